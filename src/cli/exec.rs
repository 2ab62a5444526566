//! `nflab exec`: a command in a host of the current lab, or a shell there.

use std::ffi::OsString;

use super::{current, status};
use crate::device::standard::tell;
use crate::live::contain;
use crate::live::control::FindError;
use crate::live::exec as hosts;
use crate::live::place::{Place, RunningLab};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A host of the lab file
    #[arg(value_name = "HOST")]
    host: String,
    /// The command with its arguments; without it, a shell: that of SHELL, else sh
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let target = match current::find() {
        Ok(target) => target,
        Err(FindError::NoneRuns) => {
            tell!("nflab: no lab runs: `nflab up LAB.toml` brings up one whose hosts can be entered");
            return current::NO_LAB;
        }
        Err(error) => {
            tell!("nflab: {error}");
            return current::NO_LAB;
        }
    };
    let running: Vec<RunningLab> = Place::all().iter().flat_map(Place::running).collect();
    let Some(lab) = running.iter().find(|lab| lab.socket == target.socket) else {
        match contain::found() {
            Some(_) => tell!("nflab: no host can be entered from inside `nflab sh`; run `nflab exec` outside of it"),
            None => tell!(
                "nflab: the current lab ({}) is in memory, where no host can run a command; `nflab up LAB.toml` brings up one whose hosts can",
                target.name
            ),
        }
        return current::NO_LAB;
    };
    let names = status::names_of_hosts(&target.socket);
    let error = match arguments.command.split_first() {
        Some((command, args)) => hosts::exec(lab, &arguments.host, &names, command, args),
        None => {
            let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
            let shell = shell.unwrap_or_else(|| "sh".into());
            hosts::shell(lab, &arguments.host, &names, &shell)
        }
    };
    tell!("nflab: {error}");
    error.exit_code() as u8
}
