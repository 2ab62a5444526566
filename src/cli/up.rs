//! `nflab up` and `down`: live labs.

use std::path::PathBuf;
use std::time::Duration;

use super::{TOOLBOX, open};
use crate::device::standard::{say, tell, tell_styled};
use crate::device::syscall::termination_signals;
use crate::lab::clock::Clock;
use crate::lab::drive::DrivenLab;
use crate::lab::event_loop::{EventLoop, Stopped};
use crate::lab::live::{self, Downed, LiveLab, UpOptions};
use crate::lab::memory::Lab;
use crate::lab::mode::{Mode, enter_user_namespace, probe};
use crate::lab::place::Place;
use crate::lab::server::{Admitted, Bounds, Server};

#[derive(Debug, clap::Args)]
pub struct UpArguments {
    /// The lab's file; its name without the ending names the lab
    #[arg(value_name = "LAB.toml")]
    lab: PathBuf,
    /// Another name for the lab
    #[arg(long)]
    name: Option<String>,
    /// The same run again needs the same seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, clap::Args)]
pub struct DownArguments {
    /// Which lab; without it, the only one there is
    #[arg(value_name = "LAB")]
    lab: Option<String>,
}

pub fn up(arguments: &UpArguments) -> u8 {
    // The lab file first: what is wrong with it has nothing to do with the machine.
    let file = match open::load(&arguments.lab) {
        Ok(file) => file,
        Err(code) => return code,
    };
    open::note_without_effect(&file);
    let mut lab = match Lab::new(&file, arguments.seed, TOOLBOX) {
        Ok(lab) => lab,
        Err(error) => {
            tell_styled!("{}", error.styled());
            return 2;
        }
    };
    let signals = match termination_signals() {
        Ok(signals) => signals,
        Err(error) => return refused(&format!("signals cannot be waited for: {error}")),
    };
    let user_namespace = match probe() {
        Mode::Root => false,
        Mode::UserNamespace => match enter_user_namespace() {
            Ok(()) => true,
            Err(error) => return refused(&error.to_string()),
        },
        Mode::None(reason) => return refused(&format!("no live lab here: {reason}")),
    };
    let options = UpOptions {
        name: arguments.name.clone(),
        place: Place::own(),
        user_namespace,
    };
    let (live, ports, listener) = match LiveLab::up(&file, &options) {
        Ok(made) => made,
        Err(live::UpError::Name(error)) => {
            tell!("nflab: {error}");
            return 2;
        }
        Err(error) => return refused(&error.to_string()),
    };
    if live.cleared {
        tell!("nflab: what a killed lab of this name had left was cleared away first");
    }
    lab.machine.name = live.name().to_owned();
    lab.machine.ports = live::counters(&ports);
    let clock = Clock::new();
    let driver = DrivenLab::new(lab, &file, clock.now());
    let server = match Server::start(listener, Admitted::default(), Bounds::default(), driver.commands(clock)) {
        Ok(server) => server,
        Err(error) => return refused(&format!("the control socket cannot be served: {error}")),
    };
    let mut event_loop = match EventLoop::new(driver, ports, clock, Some(signals)) {
        Ok(event_loop) => event_loop,
        Err(error) => return refused(&format!("no event loop: {error}")),
    };
    let hosts: Vec<&str> = file.hosts.iter().map(|host| host.name.as_str()).collect();
    // Whoever started it may be gone; the lab runs all the same.
    say!(
        "lab {} is up{}; NFLAB={}",
        live.name(),
        match &hosts[..] {
            [] => String::new(),
            hosts => format!(", with hosts {}", hosts.join(", ")),
        },
        live.socket().display()
    );
    let log = super::dmesg::on_output(event_loop.driver.lab());
    let result = event_loop.run();
    // The devices go before what they lie in.
    drop((log, event_loop, server));
    let name = live.name().to_owned();
    if let Err(error) = live.down() {
        return refused(&error.to_string());
    }
    match result {
        Ok(Stopped::Signal(_) | Stopped::Asked) => {
            say!("lab {name} is down");
            0
        }
        Err(error) => refused(&format!("the event loop failed: {error}")),
    }
}

pub fn down(arguments: &DownArguments) -> u8 {
    let places = Place::all();
    let found = match &arguments.lab {
        Some(name) => places
            .iter()
            .find(|place| place.labs().contains(name))
            .map(|place| (place, name.clone())),
        None => {
            let all: Vec<(&Place, String)> = places
                .iter()
                .flat_map(|place| place.labs().into_iter().map(move |name| (place, name)))
                .collect();
            match &all[..] {
                [] => None,
                [one] => Some(one.clone()),
                several => {
                    let names: Vec<&str> = several.iter().map(|(_, name)| name.as_str()).collect();
                    tell!("nflab: there are several labs: {}; say which one", names.join(", "));
                    return 2;
                }
            }
        }
    };
    let Some((place, name)) = found else {
        match &arguments.lab {
            Some(name) => tell!("nflab: there is no lab {name:?}, running or left over; nothing to take down"),
            None => tell!("nflab: no lab runs, and none is left over; nothing to take down"),
        }
        return 4;
    };
    match live::down(place, &name, PATIENCE) {
        Ok(downed) => {
            let how = match downed {
                Downed::Stopped => "is down",
                Downed::Killed => "did not end by itself; it was killed, and cleared away",
                Downed::Cleared => "had been killed; what it left is cleared away",
            };
            say!("lab {name} {how}");
            0
        }
        Err(error) => refused(&error.to_string()),
    }
}

fn refused(message: &str) -> u8 {
    tell!("nflab: {message}");
    3
}

/// How long a lab may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);
