//! `echo`, so that old scripts can write to `/proc/sys`, and to what rules share by name: `echo 1 > /proc/sys/net/ipv4/ip_forward`,
//! `echo +192.0.2.9 > /proc/net/xt_recent/ssh`.

use crate::lab::machine::{KnobError, Machine, ToolOutput};
use crate::lab::proc_files::place_of_shared;

pub(super) fn run(machine: &Machine, args: &[String]) -> ToolOutput {
    let (words, file) = match args {
        [words @ .., arrow, file] if arrow == ">" => (words, Some(file)),
        words => (words, None),
    };
    let text = words.join(" ");
    let Some(file) = file else {
        return ToolOutput::success(text + "\n");
    };
    let Some(path) = file.strip_prefix("/proc/sys/") else {
        return match place_of_shared(file) {
            Some((_, "")) => ToolOutput::failure(1, format!("echo: {file}: Is a directory\n")),
            Some((directory, name)) => write_shared(machine, directory, name, &text),
            None => ToolOutput::failure(
                2,
                format!("echo: {file}: a lab writes to files under /proc/sys, and to lists in /proc/net, only\n"),
            ),
        };
    };
    match machine.set_sysctl(&path.replace('/', "."), &text) {
        Ok(()) => ToolOutput::default(),
        Err(error) => {
            let why = match &error {
                KnobError::Unknown(_) => "No such file or directory",
                KnobError::ReadOnly(_) => "Permission denied",
                KnobError::Invalid(_) => "Invalid argument",
                KnobError::NotOffered(why) => why,
            };
            ToolOutput::failure(1, format!("echo: {file}: {why}\n"))
        }
    }
}

fn write_shared(machine: &Machine, directory: &str, name: &str, text: &str) -> ToolOutput {
    let file = format!("/proc/net/{directory}/{name}");
    match machine.write_shared(directory, name, format!("{text}\n").as_bytes()) {
        Some(Ok(())) => ToolOutput::default(),
        Some(Err(refused)) => ToolOutput {
            advice: format!("expected {}\n", refused.expected),
            ..ToolOutput::failure(1, "echo: write error: Invalid argument\n")
        },
        None => ToolOutput {
            advice: format!("no rule in force names {name}\n"),
            ..ToolOutput::failure(1, format!("echo: {file}: No such file or directory\n"))
        },
    }
}
