//! Which tools a lab has, and which applet each name means.

use super::{Outcome, RouterTables, World, cat, conntrack, dmesg, echo, ip, iptables, iptables_restore, iptables_save};
use super::{lsmod, modprobe, status, sysctl, trace};
use crate::lab::copy::LabCopy;
use crate::lab::files::Needs;
pub(super) use crate::lab::files::said_by_system;
use crate::lab::machine::{Call, Machine, ToolOutput, Toolbox};
use crate::lab::words;
use crate::text::StaticHosts;

/// All tools, for labs of every kind.
pub const TOOLBOX: Toolbox = Toolbox {
    names: NAMES,
    call,
    needs,
    goes_on,
    #[cfg(unix)]
    listen: super::listen::answer,
};

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

/// Those that it answers to only as its first word (`nflab ip route`), or where somebody made the link: one made unasked would hide the machine's.
pub const BY_WORD: &[&str] = &["ip"];

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
    "ip",
    "cat",
    "dmesg",
    "echo",
    "lsmod",
];

/// A tool: what it does, and what it needs for that.
struct Applet {
    run: fn(&mut Machine, &Call<'_>) -> ToolOutput,
    needs: fn(&[String]) -> Needs,
}

impl Applet {
    /// One that reads and writes nothing but its arguments.
    const fn plain(run: fn(&mut Machine, &Call<'_>) -> ToolOutput) -> Self {
        Self {
            run,
            needs: |_| Needs::default(),
        }
    }
}

/// The applet that a name means.
fn applet(name: &str) -> Applet {
    match name {
        "iptables" | "iptables-legacy" => Applet::plain(|machine, call| rules(machine, call, iptables::run)),
        "iptables-save" | "iptables-legacy-save" => Applet {
            run: |machine, call| rules(machine, call, iptables_save::run),
            needs: |args| iptables_save::needs(&with_name(args)),
        },
        "iptables-restore" | "iptables-legacy-restore" => Applet {
            run: |machine, call| rules(machine, call, iptables_restore::run),
            needs: |args| iptables_restore::needs(&with_name(args)),
        },
        "conntrack" => Applet::plain(|machine, call| conntrack::run(machine, call.args)),
        "sysctl" => Applet {
            run: |machine, call| sysctl::run(machine, call),
            needs: sysctl::needs,
        },
        "modprobe" => Applet::plain(|machine, call| modprobe::run(machine, call.args)),
        "ip" => Applet::plain(|machine, call| ip::run(machine, call.args)),
        "cat" => Applet::plain(|machine, call| cat::run(machine, call.args)),
        "dmesg" => Applet::plain(|machine, call| dmesg::run(machine, call.args)),
        "echo" => Applet::plain(|machine, call| echo::run(machine, call.args)),
        "lsmod" => Applet::plain(|machine, call| lsmod::run(machine, call.args)),
        // No tools of a shell's, but what nflab's own commands ask a lab.
        "copy" => Applet::plain(|machine, _| copied(machine)),
        "status" => Applet::plain(|machine, _| status::answer(machine)),
        "words" => Applet::plain(|machine, call| words::tried_on_copy(machine, call.args, call.stdin)),
        "trace" => Applet::plain(|machine, call| trace::answer(machine, call.args)),
        name if name.starts_with("ip6tables") => Applet::plain(|_, call| {
            let why = "rules for IPv6 are not there yet in nflab; nothing was changed";
            ToolOutput::failure(2, format!("{}: {why}\n", call.name))
        }),
        "ipset" => Applet::plain(|_, _| {
            ToolOutput::failure(2, "ipset: sets are not there yet in nflab; nothing was changed\n")
        }),
        _ => Applet::plain(|_, call| ToolOutput::failure(127, format!("{}: a lab has no such tool\n", call.name))),
    }
}

fn call(machine: &mut Machine, call: Call<'_>) -> ToolOutput {
    (applet(call.name).run)(machine, &call)
}

fn needs(name: &str, args: &[String]) -> Needs {
    (applet(name).needs)(args)
}

/// What waits for what comes; where nothing comes, it refuses.
fn goes_on(name: &str, args: &[String]) -> bool {
    match name {
        "conntrack" => conntrack::listens(args),
        "dmesg" => dmesg::follows(args),
        _ => false,
    }
}

/// The readers of arguments skip the name that a tool was called by.
fn with_name(args: &[String]) -> Vec<String> {
    std::iter::once(String::new()).chain(args.iter().cloned()).collect()
}

/// The lab as text, on a line of JSON.
fn copied(machine: &mut Machine) -> ToolOutput {
    match serde_json::to_string(&LabCopy::of(machine)) {
        Ok(text) => ToolOutput::success(text + "\n"),
        Err(error) => ToolOutput::failure(1, format!("nflab: this lab cannot be copied: {error}\n")),
    }
}

/// The applets that work on rules.
fn rules(machine: &mut Machine, call: &Call<'_>, run: fn(&[String], &mut World<'_>) -> Outcome) -> ToolOutput {
    let mut arguments = Vec::with_capacity(call.args.len() + 1);
    arguments.push(call.name.to_owned());
    arguments.extend_from_slice(call.args);
    let router = machine.router().clone();
    // What `/etc/hosts` would be on a machine that is this lab's router.
    let named = machine.described.hosts.iter().flat_map(|host| {
        let addresses = host.addresses.iter();
        addresses.map(|it| (host.name.as_str(), it.address))
    });
    let hosts = named.fold(StaticHosts::localhost(), |hosts, (name, address)| {
        hosts.with(name, address)
    });
    let mut tables = RouterTables {
        router: &router,
        now: machine.now,
    };
    let mut read = |name: Option<&str>| match name {
        None => Ok(call.stdin.to_owned()),
        Some(name) => call.files.take(name),
    };
    let outcome = run(
        &arguments,
        &mut World {
            tables: &mut tables,
            hosts: &hosts,
            now: machine.now,
            read: &mut read,
        },
    );
    ToolOutput {
        stdout: outcome.out,
        stderr: outcome.err,
        code: i32::from(outcome.code),
        advice: outcome
            .failure
            .and_then(|failure| failure.remedy)
            .map(|remedy| format!("{}: {remedy}\n", call.name))
            .unwrap_or_default(),
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
