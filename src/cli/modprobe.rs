//! `modprobe`: what loading a module changes in a lab. A module that stands for something built in is loaded without a word; one that stands
//! for nothing here is not found.

use crate::base::Family;
use crate::ext;
use crate::helper::{self, HelperSpec};
use crate::lab::machine::{Machine, ToolOutput};

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
        let instead = names.first().and_then(|name| instead_of(name, parameter));
        let instead = instead.map_or_else(String::new, |instead| format!("; {instead}"));
        return ToolOutput::failure(
            1,
            format!("modprobe: module parameters are not there yet in nflab: {parameter}{instead}\n"),
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
                let _ = machine.load_helper(helper, &[]);
                machine.set_nat_helper(helper, true);
            }
        }
    }
    output
}

/// What helps where a helper's module has this parameter.
fn instead_of(module: &str, parameter: &str) -> Option<&'static str> {
    let spec = helper_module(&module.replace('-', "_"))?;
    let name = parameter.split('=').next()?;
    let known = spec.parameters.iter().find(|parameter| parameter.name == name)?;
    Some(known.about)
}

fn helper_module(name: &str) -> Option<&'static HelperSpec> {
    let is_called_so = |spec: &&&HelperSpec| spec.modules.contains(&name) || spec.nat_modules.contains(&name);
    helper::registry().iter().find(is_called_so).copied()
}

/// What a module is here.
#[derive(Clone, Copy, Debug)]
enum Module {
    BuiltIn,
    /// Tracks connections from the moment it is loaded.
    Tracking,
    Helper(&'static HelperSpec),
}

fn module(name: &str) -> Option<Module> {
    if matches!(name, "ip_conntrack" | "nf_conntrack" | "nf_conntrack_ipv4") {
        return Some(Module::Tracking);
    }
    if let Some(spec) = helper_module(name) {
        return Some(Module::Helper(spec));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_are_found_by_all_names_of_their_modules() {
        for spec in helper::registry() {
            for name in spec.modules.iter().chain(spec.nat_modules) {
                let found = module(name);
                assert!(
                    matches!(found, Some(Module::Helper(it)) if std::ptr::eq(it, *spec)),
                    "{name}"
                );
            }
        }
        assert!(module("nf_conntrack_nothing").is_none());
    }

    #[test]
    fn parameters_are_refused_with_what_helps() {
        for (module, parameter, helps) in [
            ("nf_conntrack_ftp", "ports=21,2121", true),
            ("ip-conntrack-ftp", "loose", true),
            ("nf_conntrack_ftp", "nothing=1", false),
            ("ip_tables", "ports=21", false),
        ] {
            assert_eq!(instead_of(module, parameter).is_some(), helps, "{module} {parameter}");
        }
    }
}
