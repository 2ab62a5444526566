//! `echo`, so that old scripts can write to `/proc/sys`: `echo 1 > /proc/sys/net/ipv4/ip_forward`.

use crate::lab::machine::{KnobError, Machine, ToolOutput};

pub fn run(machine: &Machine, args: &[String]) -> ToolOutput {
    let (words, file) = match args {
        [words @ .., arrow, file] if arrow == ">" => (words, Some(file)),
        words => (words, None),
    };
    let text = words.join(" ");
    let Some(file) = file else {
        return ToolOutput::success(text + "\n");
    };
    let Some(path) = file.strip_prefix("/proc/sys/") else {
        return ToolOutput::failure(2, format!("echo: {file}: a lab writes to files under /proc/sys only\n"));
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
