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
        output.advise("cat", || advice(machine, name));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::TOOLBOX;
    use crate::lab::memory::Lab;
    use crate::syntax::problem::SHOWN;

    #[test]
    fn who_names_very_many_wrong_files_is_advised_of_the_first() {
        let lab = Lab::default_lab(1, TOOLBOX).unwrap();
        let names = vec!["/proc/sys/net/netfilter/nf_conntrack_mx".to_owned(); SHOWN + 5];
        let output = run(&lab.machine, &names);
        let advice = "cat: did you mean /proc/sys/net/netfilter/nf_conntrack_max?\n";
        assert_eq!(output.advice, advice.repeat(SHOWN));
        assert_eq!(output.stderr.lines().count(), SHOWN + 5);
    }
}
