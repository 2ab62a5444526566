//! `modprobe`: what loading a module changes in a lab. A module that stands for something built in is loaded without a word; one that stands
//! for nothing here is not found.

use crate::base::Family;
use crate::ext;
use crate::helper;
use crate::lab::machine::{Machine, ToolOutput};

pub fn run(machine: &mut Machine, args: &[String]) -> ToolOutput {
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
    if let Some(parameter) = parameters.first() {
        return ToolOutput::failure(
            1,
            format!("modprobe: module parameters are not there yet in nflab: {parameter}\n"),
        );
    }
    let mut output = ToolOutput::default();
    for name in names {
        let name = name.replace('-', "_");
        let Some(module) = module(&name) else {
            if !quiet {
                output.stderr += &format!("modprobe: FATAL: Module {name} not found in directory {DIRECTORY}\n");
            }
            output.code = 1;
            continue;
        };
        if dry {
            continue;
        }
        if remove {
            machine.forget_module(&name);
        } else {
            machine.note_module(&name);
        }
        match module {
            Module::BuiltIn => {}
            Module::Tracking => machine.track_always(!remove),
            Module::Helper(helper) if remove => machine.unload_helper(helper),
            Module::Helper(helper) => {
                // A helper's module brings tracking in, as its dependencies did.
                machine.track_always(true);
                machine.load_helper(helper);
            }
        }
    }
    output
}

/// What a module is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Module {
    BuiltIn,
    /// Tracks connections from the moment it is loaded.
    Tracking,
    Helper(&'static str),
}

fn module(name: &str) -> Option<Module> {
    if matches!(name, "ip_conntrack" | "nf_conntrack" | "nf_conntrack_ipv4") {
        return Some(Module::Tracking);
    }
    for prefix in ["nf_conntrack_", "ip_conntrack_", "nf_nat_", "ip_nat_"] {
        let helper = name
            .strip_prefix(prefix)
            .and_then(|rest| helper::registry().iter().find(|spec| spec.name == rest));
        if let Some(spec) = helper {
            return Some(Module::Helper(spec.name));
        }
    }
    let extension = ["xt_", "ipt_"].into_iter().find_map(|prefix| name.strip_prefix(prefix));
    let known = BUILT_IN.contains(&name)
        || extension.is_some_and(|name| {
            ext::find_match(name, Family::V4).is_some() || ext::find_target(name, Family::V4).is_some()
        });
    known.then_some(Module::BuiltIn)
}

/// What the lab has in itself: tables, NAT, reassembly, logging.
const BUILT_IN: &[&str] = &[
    "ip_tables",
    "x_tables",
    "iptable_raw",
    "iptable_mangle",
    "iptable_nat",
    "iptable_filter",
    "iptable_security",
    "ip_nat",
    "nf_nat",
    "nf_nat_ipv4",
    "nf_defrag_ipv4",
    "nf_reject_ipv4",
    "nf_log_ipv4",
    "nf_log_syslog",
    "nf_log_common",
    "nf_conntrack_netlink",
    "xt_tcpudp",
    "xt_nat",
    "ipt_state",
];

const DIRECTORY: &str = "/lib/modules/6.18.0-nflab";
