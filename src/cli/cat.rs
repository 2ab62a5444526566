//! `cat` for the files of `/proc` that a lab has.

use crate::lab::machine::{Machine, ToolOutput};
use crate::lab::proc_files::{FILES, advice, read};

pub(super) fn run(machine: &Machine, args: &[String]) -> ToolOutput {
    let mut output = ToolOutput::default();
    match args {
        [] => return ToolOutput::failure(2, "cat: name a file, such as /proc/net/nf_conntrack\n"),
        [word] if word == "--help" => return ToolOutput::success(help()),
        _ => {}
    }
    for name in args {
        match read(machine, name) {
            Ok(text) => output.stdout += &text,
            Err(why) => {
                output.stderr += &format!("cat: {name}: {why}\n");
                output.code = 1;
            }
        }
        if let Some(advice) = advice(machine, name) {
            output.stderr += &format!("cat: {advice}\n");
        }
    }
    output
}

fn help() -> String {
    let mut text = "Usage: cat FILE...\nPrints files of the lab: those under /proc/sys, the lists in /proc/net that rules share by name, and\n".to_owned();
    for file in FILES {
        text += &format!("  {}\n", file.path);
    }
    text
}

/// The texts of several files, for who shows them inside of `sh`: a JSON list, null for what cannot be read.
pub(super) fn texts(machine: &Machine, names: &[String]) -> ToolOutput {
    let texts: Vec<Option<String>> = names.iter().map(|name| read(machine, name).ok()).collect();
    // Texts are always JSON.
    ToolOutput::success(serde_json::to_string(&texts).unwrap_or_default() + "\n")
}
