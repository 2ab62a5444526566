//! `cat` for the files of `/proc` that a lab has.

use crate::lab::machine::{Machine, ToolOutput};
use crate::lab::proc_files::read;

pub(super) fn run(machine: &Machine, args: &[String]) -> ToolOutput {
    let mut output = ToolOutput::default();
    if args.is_empty() {
        return ToolOutput::failure(2, "cat: name a file, such as /proc/net/nf_conntrack\n");
    }
    for name in args {
        match read(machine, name) {
            Ok(text) => output.stdout += &text,
            Err(why) => {
                output.stderr += &format!("cat: {name}: {why}\n");
                output.code = 1;
            }
        }
    }
    output
}

/// The texts of several files, for who shows them inside of `sh`: a JSON list, null for what cannot be read.
pub(super) fn texts(machine: &Machine, names: &[String]) -> ToolOutput {
    let texts: Vec<Option<String>> = names.iter().map(|name| read(machine, name).ok()).collect();
    // Texts are always JSON.
    ToolOutput::success(serde_json::to_string(&texts).unwrap_or_default() + "\n")
}
