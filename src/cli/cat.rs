//! `cat` for the files of `/proc` that a lab has.

use super::lsmod;
use crate::base::Family;
use crate::conntrack::text::{self, ExpectationForm, FlowForm};
use crate::engine::OpenQueue;
use crate::ext;
use crate::lab::machine::{Machine, ToolOutput};

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

fn read(machine: &Machine, name: &str) -> Result<String, &'static str> {
    let now = machine.now;
    let flows = |form| {
        let flows = machine.router().flows().flows(now);
        lines(flows.iter().filter_map(|flow| text::flow(flow, form, now)))
    };
    Ok(match name {
        "/proc/net/nf_conntrack" => flows(FlowForm::Proc),
        "/proc/net/ip_conntrack" => flows(FlowForm::OldProc),
        "/proc/net/nf_conntrack_expect" | "/proc/net/ip_conntrack_expect" => {
            let expectations = machine.router().flows().expectations(now);
            lines(
                expectations
                    .iter()
                    .map(|expectation| text::expectation(expectation, ExpectationForm::Proc, now)),
            )
        }
        "/proc/net/netfilter/nfnetlink_queue" => lines(machine.router().open_queues().iter().map(queue)),
        "/proc/net/ip_tables_names" => table_names(machine, Family::V4),
        "/proc/net/ip6_tables_names" => table_names(machine, Family::V6),
        // There are no rules of IPv6 yet that any could stand in.
        "/proc/net/ip6_tables_matches" | "/proc/net/ip6_tables_targets" => String::new(),
        "/proc/modules" => lines(
            machine
                .modules()
                .iter()
                .rev()
                .map(|name| format!("{name} {} 0 - Live 0x0000000000000000", lsmod::SIZE)),
        ),
        "/proc" | "/proc/" | "/proc/net" | "/proc/net/" | "/proc/sys" | "/proc/sys/" => return Err("Is a directory"),
        "/proc/net/ip_tables_matches" => lines(ext::MATCHES.iter().map(|spec| spec.name.to_owned())),
        "/proc/net/ip_tables_targets" => lines(ext::TARGETS.iter().map(|spec| spec.name.to_owned())),
        name => {
            let Some(path) = name.strip_prefix("/proc/sys/") else {
                return shared(machine, name);
            };
            let key = path.trim_end_matches('/').replace('/', ".");
            match machine.sysctl(&key) {
                Some(value) => value + "\n",
                None if machine.sysctls().iter().any(|it| it.starts_with(&format!("{key}."))) => {
                    return Err("Is a directory");
                }
                None => return Err("No such file or directory"),
            }
        }
    })
}

/// Who listens is the lab, which has no port of netlink's, and gets packets whole.
fn queue(queue: &OpenQueue) -> String {
    format!(
        "{:5} {:6} {:5} {} {:5} {:5} {:5} {:8} {:2}",
        queue.number, 0, queue.waiting, 2, 65_531, queue.dropped, 0, queue.last_id, 1
    )
}

/// What rules share by name.
fn shared(machine: &Machine, name: &str) -> Result<String, &'static str> {
    match place_of_shared(name) {
        Some((_, "")) => Err("Is a directory"),
        Some((directory, name)) => match machine.router().shared(directory, name) {
            Some(state) => Ok(state.read(machine.clock())),
            None => Err("No such file or directory"),
        },
        None => Err("No such file or directory"),
    }
}

/// The directory of an extension under `/proc/net`, and a name in it: empty for the directory itself.
pub(super) fn place_of_shared(path: &str) -> Option<(&'static str, &str)> {
    let path = path.strip_prefix("/proc/net/")?;
    let (directory, name) = path.split_once('/').unwrap_or((path, ""));
    let known = ext::matches()
        .filter_map(|spec| spec.directory)
        .find(|known| *known == directory)?;
    Some((known, name))
}

/// The kernel lists the youngest first, and none before its family's tool has asked for one.
fn table_names(machine: &Machine, family: Family) -> String {
    lines(machine.table_names(family).into_iter().rev().map(str::to_owned))
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.map(|line| line + "\n").collect()
}
