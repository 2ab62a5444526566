//! Ours, on a router of its own.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nflab::base::bytes::{bytes_of, text_of};
use nflab::base::{Family, Time};
use nflab::cli::{Outcome, TOOLBOX, World, iptables, iptables_restore, iptables_save};
use nflab::engine::{Config, Router};
use nflab::lab::RouterTables;
use nflab::lab::files::{Files, gather};
use nflab::lab::machine::{Call, Machine};
use nflab::net::{Closed, Net};
use nflab::text::StaticHosts;

use super::{Seen, Step, Tool};

pub(crate) fn run(steps: &[Step]) -> Vec<Seen> {
    match steps.iter().any(|step| step.tool.family() == Some(Family::V6)) {
        // `real` names these to its side.
        true => run_with(steps, &StaticHosts::localhost()),
        false => run_with(steps, &hosts()),
    }
}

pub(crate) fn run_with(steps: &[Step], hosts: &StaticHosts) -> Vec<Seen> {
    // What was put together of odd bytes is other text than what comes in, where it makes a letter.
    let steps: Vec<Step> = steps
        .iter()
        .map(|step| Step {
            tool: step.tool,
            arguments: step.arguments.iter().map(|word| as_printed(word)).collect(),
            input: as_printed(&step.input),
        })
        .collect();
    let router = Router::new(Config::new(Net::default()), 1, 1, Box::new(Closed));
    let mut machine = Machine::new(Arc::new(router), Time::ZERO, TOOLBOX);
    let mut saved = String::new();
    let run = |step: &Step| {
        let seen = match step.tool {
            Tool::Conntrack => other(step, "conntrack", &mut machine),
            Tool::Sysctl => other(step, "sysctl", &mut machine),
            Tool::Nfct => other(step, "nfct", &mut machine),
            _ => one(step, &saved, machine.router(), hosts),
        };
        if let Tool::Save(_) = step.tool {
            saved.clone_from(&seen.out);
        }
        seen
    };
    steps.iter().map(run).collect()
}

fn other(step: &Step, name: &str, machine: &mut Machine) -> Seen {
    let needs = (TOOLBOX.needs)(name, &step.arguments);
    let found = gather(nflab::TOOLBOX.opener, &needs, Path::new("/"), String::new).unwrap();
    // The kernel's clock goes on too: of ten seconds nine are left when they are asked for.
    machine.now = machine.now + Duration::from_millis(1);
    let output = machine.call(Call {
        name,
        args: &step.arguments,
        stdin: &step.input,
        files: &Files::new(found.files),
    });
    Seen {
        code: output.code,
        out: as_printed(&output.stdout),
        err: as_printed(&output.stderr),
    }
}

fn one(step: &Step, saved: &str, router: &Router, hosts: &StaticHosts) -> Seen {
    let mut tables = RouterTables::new(router, Time::ZERO);
    let mut read = |name: Option<&str>| match name {
        None => Ok(step.input(saved).to_owned()),
        Some(_) => Err("No such file or directory".to_owned()),
    };
    let mut world = World {
        tables: &mut tables,
        hosts,
        now: Time::ZERO,
        read: &mut read,
    };
    let mut arguments = vec![step.tool.path().to_owned()];
    arguments.extend(step.arguments.iter().cloned());
    let outcome: Outcome = match step.tool {
        Tool::Iptables(family) => iptables::run(family, &arguments, &mut world),
        Tool::Save(family) => iptables_save::run(family, &arguments, &mut world),
        Tool::Conntrack | Tool::Sysctl | Tool::Nfct => unreachable!("they are called on a machine"),
        Tool::Restore(family) | Tool::RestoreSaved(family) => iptables_restore::run(family, &arguments, &mut world),
    };
    if let Some(failure) = &outcome.failure {
        assert!(!failure.explain().is_empty());
    }
    Seen {
        code: i32::from(outcome.code),
        out: as_printed(&outcome.out.replace(" on Thu Jan  1 00:00:00 1970", "")),
        err: as_printed(&outcome.err),
    }
}

/// As whoever reads its bytes has it.
fn as_printed(text: &str) -> String {
    text_of(&bytes_of(text))
}

/// The names that the C library of this machine finds without asking anybody.
fn hosts() -> StaticHosts {
    let mut hosts = StaticHosts::none();
    for file in ["/etc/hosts", "/etc/networks"] {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(first) = words.next() else { continue };
            let Some(second) = words.next() else { continue };
            let (address, names) = match file {
                "/etc/hosts" => (first, std::iter::once(second).chain(words).collect::<Vec<_>>()),
                _ => (second, vec![first]),
            };
            if let Ok(address) = address.parse::<IpAddr>() {
                for name in names {
                    hosts = hosts.with(name, address);
                }
            }
        }
    }
    hosts
}
