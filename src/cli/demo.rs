//! `nflab demo`: the demonstration, with real programs where the machine lets us, else in memory.

use std::io::Write;

use super::TOOLBOX;
use crate::device::standard::{self, say_styled, tell, tell_styled};
use crate::lab::demo::memory::MemoryStage;
use crate::lab::demo::{Stage, play};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// In memory, also where namespaces could be made
    #[arg(long)]
    memory: bool,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    if arguments.memory {
        return in_memory("In memory, as asked: packet by packet, without the kernel.".to_owned());
    }
    #[cfg(target_os = "linux")]
    {
        live()
    }
    #[cfg(not(target_os = "linux"))]
    {
        in_memory("In memory, packet by packet: network namespaces are on Linux only.".to_owned())
    }
}

#[cfg(target_os = "linux")]
fn live() -> u8 {
    use crate::live::demo::{LiveError, perform};
    use crate::live::up::{UpOptions, clear_killed};

    crate::device::limits::own_files_usable();
    // Each has a name of its own, so nobody brings up that of a killed one again.
    for (name, failed) in clear_killed(is_demo) {
        match failed {
            None => tell!("nflab: what a killed demo ({name}) had left was cleared away first"),
            Some(error) => tell!("nflab: what a killed demo left stays: {error}"),
        }
    }
    let instead = |reason: &str| in_memory(format!("In memory, packet by packet, because {reason}."));
    let options = match UpOptions::prepare(&format!("demo-{}", std::process::id())) {
        Ok(options) => options,
        Err(error) => return instead(&error.to_string()),
    };
    match perform(TOOLBOX, options, |stage| on(stage)) {
        Ok(code) => {
            if code == 0 {
                say_styled!("Namespaces, devices and the socket are gone.");
            }
            code
        }
        Err(LiveError::Up(reason)) => instead(&reason),
        Err(LiveError::Signal) => {
            tell!("nflab: ended by a signal; namespaces, devices and the socket are gone");
            1
        }
        Err(error) => {
            tell!("nflab: {error}");
            3
        }
    }
}

/// Whether a lab has the name of a demo: `demo-` and the number of its process.
#[cfg(target_os = "linux")]
fn is_demo(lab: &str) -> bool {
    let number = lab.strip_prefix("demo-");
    number.is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
}

fn in_memory(place: String) -> u8 {
    match MemoryStage::new(TOOLBOX, place) {
        Ok(mut stage) => on(&mut stage),
        Err(error) => {
            tell_styled!("{}", error.styled());
            2
        }
    }
}

fn on(stage: &mut dyn Stage) -> u8 {
    let mut out: Box<dyn Write> = match standard::has_colours() {
        true => Box::new(standard::output()),
        false => Box::new(anstream::StripStream::new(
            Box::new(standard::output()) as Box<dyn Write>
        )),
    };
    // Whoever reads may have seen enough (`| head`); what else went wrong is remembered.
    match play(stage, &mut out).and_then(|good| out.flush().map(|()| good)) {
        Ok(true) | Err(_) => 0,
        Ok(false) => 1,
    }
}
