//! `modprobe`: what loading a module changes in a lab. A module that stands for something built in is loaded without a word; one that stands
//! for nothing here is not found.

use crate::helper::LoadRefused;
use crate::lab::machine::{Machine, ToolOutput};
use crate::lab::modules::{self, Module, NotLoaded};

pub(super) fn run(machine: &mut Machine, args: &[String]) -> ToolOutput {
    let (mut remove, mut all, mut quiet, mut dry) = (false, false, false, false);
    let mut words = Vec::new();
    for arg in args {
        match arg.as_str() {
            "-r" | "--remove" => remove = true,
            "-a" | "--all" => all = true,
            "-q" | "--quiet" => quiet = true,
            "-n" | "--dry-run" | "--show" => dry = true,
            "-v" | "--verbose" => {}
            "-V" | "--version" => return ToolOutput::success("kmod version 30\n"),
            "-h" | "--help" => return ToolOutput::success(HELP),
            option if option.starts_with('-') => {
                return ToolOutput::failure(1, format!("modprobe: {option} is not there in nflab\n"));
            }
            word => words.push(word),
        }
    }
    if words.is_empty() {
        return ToolOutput::failure(1, "modprobe: ERROR: missing parameters. See -h.\n");
    }
    let (names, parameters) = match all || remove {
        true => (&words[..], &[][..]),
        false => words.split_at(1),
    };
    let parameters: Vec<String> = parameters.iter().map(|it| (*it).to_owned()).collect();
    let mut output = ToolOutput::default();
    for name in names {
        let Some(module) = modules::find(name, machine.profile()) else {
            if !quiet {
                let name = name.replace('-', "_");
                // Seen: of what is to be removed no directory is told.
                let place = match remove {
                    true => ".".to_owned(),
                    false => format!(" in directory {DIRECTORY}"),
                };
                output.stderr += &format!("modprobe: FATAL: Module {name} not found{place}\n");
                if let Some(meant) = modules::meant(&name, machine.profile()) {
                    output.advice += &format!("modprobe: {meant}\n");
                }
            }
            output.code = 1;
            continue;
        };
        if dry {
            continue;
        }
        match remove {
            true => unload(machine, &module, &mut output),
            false => load(machine, &module, &parameters, &mut output),
        }
    }
    output
}

fn load(machine: &mut Machine, module: &Module, parameters: &[String], output: &mut ToolOutput) {
    if !parameters.is_empty() && machine.modules().contains(&module.name) {
        // As kmod does: what is loaded is loaded.
        let name = &module.name;
        output.advice += &format!(
            "modprobe: {name} is loaded already, and reads its parameters when it is: `modprobe -r {name}` first\n"
        );
        return;
    }
    let Err(why) = machine.load_module(module, parameters) else {
        return;
    };
    let name = &module.name;
    let said = match &why {
        // Seen: kmod takes that for a module that is loaded already.
        NotLoaded::Refused(LoadRefused::Twice) => return,
        NotLoaded::Refused(LoadRefused::NoSuch { .. }) | NotLoaded::UnknownParameter => {
            "Unknown symbol in module, or unknown parameter (see dmesg)"
        }
        NotLoaded::Refused(_) => "Invalid argument",
        NotLoaded::NoParameters(parameter) => {
            output.stderr += &format!("modprobe: parameters of {name} are not there in nflab: {parameter}\n");
            output.code = 1;
            return;
        }
    };
    output.stderr += &format!("modprobe: ERROR: could not insert '{name}': {said}\n");
    if let NotLoaded::Refused(refused) = why {
        output.advice += &format!("modprobe: {refused}\n");
    }
    output.code = 1;
}

fn unload(machine: &mut Machine, module: &Module, output: &mut ToolOutput) {
    if let Err(users) = machine.unload_module(module) {
        output.stderr += &format!("modprobe: FATAL: Module {} is in use.\n", module.name);
        output.advice += &format!("modprobe: {} is used by {users}\n", module.name);
        output.code = 1;
    }
}

const DIRECTORY: &str = "/lib/modules/6.18.0-nflab";
const HELP: &str = "\
Usage: modprobe [-n] [-q] NAME [PARAMETER=VALUE...]
       modprobe [-n] [-q] -a NAME...
       modprobe [-n] [-q] -r NAME...
Loads a module of the lab's kernel with what it needs, several (-a), or takes some out (-r); -n only looks whether there is one, -q says nothing where
there is none. Helpers, tracking and NAT have modules that change something: nflab-extensions(7) has their parameters, lsmod what is loaded.
";
