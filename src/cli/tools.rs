//! Which tools a lab has, and which applet each name means.

use std::path::Path;

use super::{Outcome, RouterTables, World, cat, conntrack, dmesg, echo, iptables, iptables_restore, iptables_save};
use super::{lsmod, modprobe, sysctl};
use crate::lab::machine::{Call, Machine, ToolOutput, Toolbox};
use crate::text::StaticHosts;

/// All tools, for labs of every kind.
pub const TOOLBOX: Toolbox = Toolbox { names: NAMES, call };

/// The names that `nflab` answers to as a program; `nflab shims` makes a link for each.
pub const SHIMS: &[&str] = &[
    "iptables",
    "iptables-save",
    "iptables-restore",
    "iptables-legacy",
    "iptables-legacy-save",
    "iptables-legacy-restore",
    "ip6tables",
    "ip6tables-save",
    "ip6tables-restore",
    "ip6tables-legacy",
    "ip6tables-legacy-save",
    "ip6tables-legacy-restore",
    "conntrack",
    "ipset",
    "sysctl",
    "modprobe",
];

const NAMES: &[&str] = &[
    "iptables",
    "iptables-save",
    "iptables-restore",
    "iptables-legacy",
    "iptables-legacy-save",
    "iptables-legacy-restore",
    "ip6tables",
    "ip6tables-save",
    "ip6tables-restore",
    "ip6tables-legacy",
    "ip6tables-legacy-save",
    "ip6tables-legacy-restore",
    "conntrack",
    "ipset",
    "sysctl",
    "modprobe",
    "cat",
    "dmesg",
    "echo",
    "lsmod",
];

/// Whether a tool reads its standard input, so that a caller knows whether to wait for it.
pub fn reads_input(name: &str, args: &[String]) -> bool {
    let is = |wanted: &[&str]| args.iter().any(|arg| wanted.contains(&arg.as_str()));
    if name.ends_with("-restore") {
        return !is(&["-h", "--help", "-V", "--version"]);
    }
    name == "sysctl" && args.iter().any(|arg| arg == "-")
}

fn call(machine: &mut Machine, call: Call<'_>) -> ToolOutput {
    match call.name {
        "iptables" | "iptables-legacy" => rules(machine, &call, iptables::run),
        "iptables-save" | "iptables-legacy-save" => rules(machine, &call, iptables_save::run),
        "iptables-restore" | "iptables-legacy-restore" => rules(machine, &call, iptables_restore::run),
        "conntrack" => conntrack::run(machine, call.args),
        "sysctl" => sysctl::run(machine, &call),
        "modprobe" => modprobe::run(machine, call.args),
        "cat" => cat::run(machine, call.args),
        "dmesg" => dmesg::run(machine, call.args),
        "echo" => echo::run(machine, call.args),
        "lsmod" => lsmod::run(machine, call.args),
        name if name.starts_with("ip6tables") => ToolOutput::failure(
            2,
            format!("{name}: rules for IPv6 are not there yet in nflab; nothing was changed\n"),
        ),
        "ipset" => ToolOutput::failure(2, "ipset: sets are not there yet in nflab; nothing was changed\n"),
        name => ToolOutput::failure(127, format!("{name}: a lab has no such tool\n")),
    }
}

/// The applets that work on rules.
fn rules(machine: &mut Machine, call: &Call<'_>, run: fn(&[String], &mut World<'_>) -> Outcome) -> ToolOutput {
    let mut arguments = Vec::with_capacity(call.args.len() + 1);
    arguments.push(call.name.to_owned());
    arguments.extend_from_slice(call.args);
    let router = machine.router.clone();
    let mut tables = RouterTables {
        router: &router,
        now: machine.now,
    };
    let mut read = |name: Option<&str>| match name {
        None | Some("-") => Ok(call.stdin.to_owned()),
        Some(name) => std::fs::read_to_string(call.directory.join(name)).map_err(|error| said_by_system(&error)),
    };
    let outcome = run(
        &arguments,
        &mut World {
            tables: &mut tables,
            hosts: &StaticHosts::localhost(),
            now: machine.now,
            read: &mut read,
        },
    );
    let mut output = ToolOutput {
        stdout: outcome.out,
        stderr: outcome.err,
        code: i32::from(outcome.code),
        advice: outcome
            .failure
            .and_then(|failure| failure.remedy)
            .map(|remedy| format!("{}: {remedy}\n", call.name))
            .unwrap_or_default(),
    };
    if let Some(file) = outcome.file {
        write_instead(&mut output, &call.directory.join(&file), &file);
    }
    output
}

/// `iptables-save -f FILE`.
fn write_instead(output: &mut ToolOutput, path: &Path, name: &str) {
    let text = std::mem::take(&mut output.stdout);
    if let Err(error) = std::fs::write(path, text) {
        output.stderr += &format!("Failed to open output file {name}: {}\n", said_by_system(&error));
        output.code = 1;
    }
}

/// The system's own words, without Rust's `(os error 2)`.
pub(super) fn said_by_system(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shim_is_a_tool() {
        for name in SHIMS {
            assert_eq!(TOOLBOX.find(&format!("/usr/sbin/{name}")), Some(*name));
        }
    }
}
