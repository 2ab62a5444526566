//! `nflab up` and `down`: live labs.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{TOOLBOX, current, open};
use crate::base::Family;
use crate::base::bytes::{path_of, quoted, text_of, text_of_path};
use crate::device::limits::{enough_files_beside, own_files_usable};
use crate::device::standard::{say, say_text, tell, tell_styled, tell_text};
use crate::device::syscall::{close_inherited, termination_signals};
use crate::device::text_file::{read_bytes, read_whole};
use crate::lab::file::{LabFile, MOST_WORKERS, check_lab_name};
use crate::lab::memory::Lab;
use crate::live::clock::Clock;
use crate::live::contain;
use crate::live::control::{self, FindError};
use crate::live::detach::{Detached, detach};
use crate::live::down::{self, Downed};
use crate::live::drive::DrivenLab;
use crate::live::event_loop::{EventLoop, Port, run_all};
use crate::live::keeper::{Divided, Ended, Keeper, divide};
use crate::live::place::Place;
use crate::live::privileges::Privileges;
use crate::live::server::{Admitted, Bounds, Server};
use crate::live::up::{self, LiveLab, UpOptions};

#[derive(Debug, clap::Args)]
pub(super) struct UpArguments {
    /// The lab's file; its name without the ending names the lab
    #[arg(value_name = "LAB.toml")]
    lab: PathBuf,
    /// Another name for the lab
    #[arg(long)]
    name: Option<String>,
    /// The same run again needs the same seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    what: open::As,
    /// Come back once the lab is up, and leave it running; it ends by `nflab down`
    #[arg(long)]
    detach: bool,
    /// Rules to begin with, as `iptables-restore -c` takes them; `-` is standard input
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Those of IPv6, as `ip6tables-restore -c` takes them
    #[arg(long, value_name = "FILE")]
    rules6: Option<PathBuf>,
    /// Threads that carry packets, each with queues of its own; as many as there are cores, unless the lab file says `workers = N`
    #[arg(long, value_name = "N")]
    workers: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub(super) struct DownArguments {
    /// Which lab, by its name (a socket's path is for NFLAB); without it, the one that NFLAB names, else the only one there is
    #[arg(value_name = "LAB")]
    lab: Option<String>,
}

pub(super) fn up(arguments: &UpArguments) -> u8 {
    if contain::found().is_some() {
        return refused(
            "no lab is brought up inside `nflab sh`: what is asked there is asked of its lab, and no host of another could be entered; run `nflab up` outside of it",
        );
    }
    // The texts first: what is wrong with them has nothing to do with the machine, and they are read as whoever calls.
    let (file, lab, workers) = match read(arguments) {
        Ok(read) => read,
        Err(code) => return code,
    };
    // Else it would be up, and nobody could speak to it.
    if let Err(error) = enough_files_beside(files_of(&file, workers)) {
        return refused(&error.to_string());
    }
    leave_the_callers_ways();
    let mut terminal = None;
    if arguments.detach {
        match detach() {
            Ok(Detached::Caller(code)) => return code,
            Ok(Detached::Lab(held)) => terminal = Some(held),
            Err(error) => return refused(&format!("no process of its own for the lab: {error}")),
        }
    }
    let begun = begin(arguments, &file, lab, workers);
    let (keeper, signals) = match begun {
        Ok(Begun::Keeper(keeper, signals)) => (keeper, signals),
        // The router's process, at its end.
        Ok(Begun::Router(code)) => return code,
        Err(Refusal::Text(message)) => {
            tell!("nflab: {message}");
            return 2;
        }
        Err(Refusal::Machine(message)) => return refused(&message),
    };
    greet(keeper.live(), &file, arguments.detach);
    if let Some(terminal) = terminal
        && let Err(error) = keeper.live().log().and_then(|log| terminal.let_go(&log))
    {
        return refused(&format!("the lab has no log, and was taken down: {error}"));
    }
    let ended = keeper.wait(&signals);
    let live = keeper.into_live();
    let name = live.name().to_owned();
    let trouble = match ended {
        Ok(Ended::Orderly) => None,
        Ok(Ended::Died(how)) => Some(format!("the router's process {how}; lab {name} was taken down")),
        Err(error) => Some(format!(
            "the router's process is not seen any more: {error}; lab {name} was taken down"
        )),
    };
    // Of a detached lab the log is all that tells, so it stays until `down`.
    let downed = match &trouble {
        Some(_) if arguments.detach => live.leave_log(),
        _ => live.down(),
    };
    if let Err(error) = downed {
        return refused(&error.to_string());
    }
    match trouble {
        Some(trouble) => refused(&trouble),
        None => {
            say!("lab {name} is down");
            0
        }
    }
}

/// A lab outlives what its caller had open: the lock of a script, held by a descriptor that came along, would never be free, nor would a reader see
/// the end of its pipe; and the router has no use for them. And where the caller's mask takes away the owner's own rights, nobody could find the lab.
fn leave_the_callers_ways() {
    close_inherited();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
}

/// The lab file, a lab made of it with the rules in force, and how many workers carry its packets.
fn read(arguments: &UpArguments) -> Result<(LabFile, Lab, usize), u8> {
    let rules = [(Family::V4, &arguments.rules), (Family::V6, &arguments.rules6)];
    if rules
        .iter()
        .all(|(_, path)| path.as_deref().is_some_and(is_standard_input))
    {
        tell!(
            "nflab: --rules - and --rules6 -: expected one of them from standard input, which can be read once; give the other a file"
        );
        return Err(2);
    }
    if let Some(asked) = arguments.workers
        && !(1..=MOST_WORKERS as u32).contains(&asked)
    {
        tell!(
            "nflab: --workers {asked}: expected 1 to {MOST_WORKERS}, since the kernel gives a device no more queues; leave it out for one worker on each core"
        );
        return Err(2);
    }
    let file = arguments.what.applied(open::load(&arguments.lab)?);
    let mut lab = Lab::new(&file, arguments.seed, TOOLBOX).map_err(|error| {
        tell_styled!("{}", error.styled());
        2
    })?;
    let asked = arguments.workers.or(file.workers.map(u32::from));
    let workers = asked.map_or_else(|| fitting_workers(&file), |asked| asked as usize);
    // Before there are rules, whose counters are by place. One more place is who answers commands.
    lab.make_places(workers + 1);
    for (family, path) in rules {
        if let Some(path) = path {
            restore(&mut lab, family, path)?;
        }
    }
    Ok((file, lab, workers))
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// As many as there are cores, and no more than may have their files.
fn fitting_workers(file: &LabFile) -> usize {
    let cores = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_WORKERS);
    let fits = |workers: &usize| enough_files_beside(files_of(file, *workers)).is_ok();
    (1..=cores).rev().find(fits).unwrap_or(1)
}

/// Files of a lab's devices: of each the queues, to read and to write.
fn files_of(file: &LabFile, workers: usize) -> usize {
    let devices = file.interfaces.len() + file.hosts.len();
    devices * if workers > 1 { 2 * workers } else { 1 }
}

/// With its counters, as `iptables-restore -c`.
fn restore(lab: &mut Lab, family: Family, path: &Path) -> Result<(), u8> {
    let read = match is_standard_input(path) {
        true => read_whole(std::io::stdin().lock()),
        false => read_bytes(path),
    };
    let bytes = read.map_err(|error| {
        tell!(
            "nflab: cannot read the rules {}: {}",
            text_of_path(path),
            super::tools::said_by_system(&error)
        );
        2
    })?;
    let output = open::restore(lab, family, &text_of(&bytes), "--rules");
    tell_text(&output.stderr);
    if output.code != 0 {
        tell!(
            "nflab: these rules are refused, so nothing was brought up: {}",
            text_of_path(path)
        );
        tell_text(&output.advice);
        return Err(2);
    }
    Ok(())
}

enum Begun {
    Router(u8),
    Keeper(Box<Keeper>, OwnedFd),
}

enum Refusal {
    Text(String),
    Machine(String),
}

/// From what is read to a router that runs.
fn begin(arguments: &UpArguments, file: &LabFile, mut lab: Lab, workers: usize) -> Result<Begun, Refusal> {
    let machine = |error: &dyn std::fmt::Display| Refusal::Machine(error.to_string());
    let signals =
        termination_signals().map_err(|error| Refusal::Machine(format!("signals cannot be waited for: {error}")))?;
    let name = match &arguments.name {
        Some(name) => check_lab_name(name).map(|()| name.clone()),
        None => file.lab_name(),
    };
    let name = name.map_err(|error| Refusal::Text(error.to_string()))?;
    file.tells_gateways_apart()
        .map_err(|error| Refusal::Text(error.to_string()))?;
    let options = UpOptions::prepare(&name).map_err(|error| machine(&error))?;
    let (live, ports, listener) = LiveLab::up_for(file, &options, workers).map_err(|error| machine(&error))?;
    if live.cleared {
        tell!("nflab: what a killed lab of this name had left was cleared away first");
    }
    lab.machine.name = live.name().to_owned();
    lab.machine.ports = up::counters(&ports);
    for (name, why) in up::without_queues(&ports) {
        tell!(
            "nflab: {name} has one queue, and one of the {workers} workers reads all of its packets, since no other queue could be had: {why}"
        );
    }
    let log = match arguments.detach {
        true => Some(
            live.log()
                .map_err(|error| Refusal::Machine(format!("the lab has no log: {error}")))?,
        ),
        false => None,
    };
    let follow_log = !arguments.detach;
    let divided = divide(live, log.as_ref(), move |ready| {
        let clock = Clock::new();
        let driver = DrivenLab::new(lab, file, clock.now());
        let server = match Server::start(listener, Admitted::default(), Bounds::default(), driver.commands(clock)) {
            Ok(server) => server,
            Err(error) => return refused(&format!("the control socket cannot be served: {error}")),
        };
        let mut loops = match loops(driver.workers(workers), ports, clock) {
            Ok(loops) => loops,
            Err(error) => return refused(&format!("no event loop: {error}")),
        };
        // A detached lab has nobody who looks; `dmesg` tells its log.
        let log = follow_log.then(|| super::dmesg::on_output(loops[0].driver.lab()));
        // Dropped untold only behind the message: who waits for it ends this process then.
        let mut ready = Some(ready);
        let result = run_all(&mut loops, || {
            if let Some(ready) = ready.take() {
                ready.tell();
            }
        });
        // The last lines of the log are still printed. All else the kernel takes away with the process, which is ending from then on: to close
        // hundreds of devices one by one takes seconds, in which it could not be told from one that hangs.
        drop(log);
        std::mem::forget((loops, server));
        match result {
            Ok(_) => 0,
            Err(error) => refused(&format!("the event loop failed: {error}")),
        }
    });
    match divided.map_err(|error| machine(&error))? {
        Divided::Router(code) => Ok(Begun::Router(code)),
        Divided::Keeper(keeper) => Ok(Begun::Keeper(keeper, signals)),
    }
}

/// A loop for each worker, the first with what all of them have in common: signals and the clock's ticks.
fn loops(workers: Vec<DrivenLab>, ports: Vec<Vec<Port>>, clock: Clock) -> std::io::Result<Vec<EventLoop<DrivenLab>>> {
    if workers.len() != ports.len() {
        return Err(std::io::Error::other("the router has no place for so many workers"));
    }
    let mut loops = Vec::with_capacity(workers.len());
    for (worker, ports) in workers.into_iter().zip(ports) {
        let signals = if loops.is_empty() {
            Some(termination_signals()?)
        } else {
            None
        };
        let mut event_loop = EventLoop::new(worker, ports, clock, signals)?;
        if !loops.is_empty() {
            event_loop.tick_every = None;
        }
        loops.push(event_loop);
    }
    Ok(loops)
}

fn greet(live: &LiveLab, file: &LabFile, detached: bool) {
    if let Some(missing) = live.state().privileges.as_ref().and_then(Privileges::missing) {
        tell!("nflab: the router could not give up all that it should: {missing}");
    }
    let hosts: Vec<&str> = file.hosts.iter().map(|host| host.name.as_str()).collect();
    let name = live.name();
    let mut text = format!(
        "lab {name} is up{}; NFLAB={}\n",
        match &hosts[..] {
            [] => String::new(),
            hosts => format!(", with hosts {}", hosts.join(", ")),
        },
        text_of_path(&live.socket())
    );
    match detached {
        true => text += &format!("it runs by itself; `nflab down {name}` ends it\n"),
        false => {
            let host = hosts
                .first()
                .map(|host| format!("`nflab exec {host}`, "))
                .unwrap_or_default();
            text += &format!(
                "it stays here; Ctrl-C ends it, or `nflab down {name}` elsewhere; in another terminal: `export NFLAB={name}`, then `nflab iptables -S`, `nflab conntrack -L`, {host}`nflab repl` ...\n"
            );
        }
    }
    // Whoever started it may be gone; the lab runs all the same.
    say_text(&text);
}

pub(super) fn down(arguments: &DownArguments) -> u8 {
    own_files_usable();
    let places = Place::all();
    let (place, name) = match which(&places, arguments.lab.as_deref()) {
        Ok(found) => found,
        Err(code) => {
            places.iter().for_each(Place::remove_if_empty);
            return code;
        }
    };
    let log = place.logged(&name);
    match down::down(place, &name, PATIENCE) {
        Ok(downed) => {
            let how = match downed {
                Downed::Stopped => "is down",
                Downed::Killed => "did not end by itself; it was killed, and cleared away",
                Downed::Cleared => "had been killed; what it left is cleared away",
            };
            say!("lab {name} {how}");
            if let Some(log) = log.filter(|_| downed == Downed::Cleared) {
                tell!("nflab: its log says:");
                tell_text(&log);
            }
            0
        }
        Err(error) => refused(&error.to_string()),
    }
}

/// The lab to take down, decided as for any command, but that one which is left over counts too. What is wrong is said.
fn which<'a>(places: &'a [Place], named: Option<&str>) -> Result<(&'a Place, String), u8> {
    let nothing = |message: &str| {
        tell!("nflab: {message}");
        Err(current::NO_LAB)
    };
    let all = || {
        let labs = |place: &'a Place| place.labs().into_iter().map(move |name| (place, name));
        places.iter().flat_map(labs).collect::<Vec<(&Place, String)>>()
    };
    if let Some(name) = named {
        return match all().into_iter().find(|(_, lab)| lab == name) {
            Some(found) => Ok(found),
            None => nothing(&format!(
                "there is no lab {name}, running or left over; nothing to take down",
                name = quoted(name)
            )),
        };
    }
    if contain::found().is_some() {
        return nothing(
            "the lab of `nflab sh` ends with its command; nothing to take down; say which lab is meant, if another is",
        );
    }
    let mut all = all();
    if let Some(name) = current::named() {
        let is_meant = |(place, lab): &(&Place, String)| *lab == name || place.socket(lab) == path_of(&name);
        return match all.into_iter().find(is_meant) {
            Some(found) => Ok(found),
            None => match control::find(Some(&name), "nflab down", current::running) {
                Ok(_) => nothing(&format!(
                    "the lab {name} (NFLAB names it) ends with its command; nothing to take down"
                )),
                Err(error @ FindError::Distrusted { .. }) => nothing(&error.to_string()),
                Err(_) => nothing(&format!(
                    "there is no lab {name} (NFLAB names it), running or left over; nothing to take down; say which lab is meant, or unset NFLAB",
                    name = quoted(&name)
                )),
            },
        };
    }
    match all.len() {
        0 => nothing("no lab runs, and none is left over; nothing to take down"),
        1 => Ok(all.remove(0)),
        _ => {
            let names: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
            let first = names[0];
            nothing(&format!(
                "there are several labs ({}): say which one, as in `nflab down {first}`",
                names.join(", ")
            ))
        }
    }
}

fn refused(message: &str) -> u8 {
    tell!("nflab: {message}");
    3
}

/// How long nothing may happen while a lab ends by itself.
const PATIENCE: Duration = Duration::from_secs(5);
