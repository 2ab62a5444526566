//! Ours, on a router of its own.

use std::net::IpAddr;

use nflab::base::Time;
use nflab::cli::{Outcome, RouterTables, World, iptables, iptables_restore, iptables_save};
use nflab::engine::{Config, Router};
use nflab::net::{Closed, Net};
use nflab::text::StaticHosts;

use super::{Seen, Step, Tool};

pub fn run(steps: &[Step]) -> Vec<Seen> {
    run_with(steps, &hosts())
}

pub fn run_with(steps: &[Step], hosts: &StaticHosts) -> Vec<Seen> {
    let router = Router::new(Config::new(Net::default()), 1, 1, Box::new(Closed));
    steps.iter().map(|step| one(step, &router, hosts)).collect()
}

fn one(step: &Step, router: &Router, hosts: &StaticHosts) -> Seen {
    let mut tables = RouterTables {
        router,
        now: Time::ZERO,
    };
    let mut read = |name: Option<&str>| match name {
        None => Ok(step.input.clone()),
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
        Tool::Iptables => iptables::run(&arguments, &mut world),
        Tool::Save => iptables_save::run(&arguments, &mut world),
        Tool::Restore => iptables_restore::run(&arguments, &mut world),
    };
    if let Some(failure) = &outcome.failure {
        assert!(!failure.explain().is_empty());
    }
    Seen {
        code: i32::from(outcome.code),
        out: outcome.out.replace(" on Thu Jan  1 00:00:00 1970", ""),
        err: outcome.err,
    }
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
