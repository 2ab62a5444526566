//! Which tools a lab has, and which applet each name means.

use super::{Outcome, World, cat, conntrack, dmesg, echo, ip, iptables, iptables_restore, iptables_save};
use super::{lsmod, modprobe, nfct, status, sysctl, trace};
use crate::base::Family;
use crate::ext::LabelFile;
use crate::lab::copy::LabCopy;
use crate::lab::files::Needs;
pub(super) use crate::lab::files::said_by_system;
use crate::lab::machine::{Call, Knobs, Machine, TEXTS_OF_FILES, ToolOutput, Toolbox};
use crate::lab::machine_tables::MachineTables;
use crate::lab::meant;
use crate::lab::words;
use crate::text::{Program, StaticHosts};

/// All tools, for labs of every kind.
pub const TOOLBOX: Toolbox = Toolbox {
    names: NAMES,
    call: |machine, call| (applet(call.name).run)(machine, &call),
    needs: |name, args| (applet(name).needs)(args),
    goes_on: |name, args| (applet(name).goes_on)(args),
    knobs: |name| applet(name).knobs,
    #[cfg(unix)]
    listen: super::listen::answer,
    #[cfg(not(unix))]
    listen: |_, _, _| None,
    opener: &super::on_disk::OnDisk,
};

/// The names that `nflab` answers to as a program; `nflab shims` makes a link for each.
pub(crate) const SHIMS: &[&str] = &names::<{ count(Some(Called::ByLink)) }>(Some(Called::ByLink));

/// Those that it answers to only as its first word (`nflab ip route`), or where somebody made the link: one made unasked would hide the machine's.
pub(crate) const BY_WORD: &[&str] = &names::<{ count(Some(Called::ByWord)) }>(Some(Called::ByWord));

const NAMES: &[&str] = &names::<{ count(None) }>(None);

/// Every name that a lab answers to, in the order in which they are told.
const TOOLS: &[Tool] = &[
    Tool::of_rules("iptables", iptables),
    Tool::of_rules("iptables-save", save),
    Tool::of_rules("iptables-restore", restore),
    Tool::of_rules("iptables-legacy", iptables),
    Tool::of_rules("iptables-legacy-save", save),
    Tool::of_rules("iptables-legacy-restore", restore),
    Tool::of_rules("ip6tables", iptables),
    Tool::of_rules("ip6tables-save", save),
    Tool::of_rules("ip6tables-restore", restore),
    Tool::of_rules("ip6tables-legacy", iptables),
    Tool::of_rules("ip6tables-legacy-save", save),
    Tool::of_rules("ip6tables-legacy-restore", restore),
    Tool::of("conntrack", Called::ByLink, || {
        Applet::plain(|machine, call| conntrack::run(machine, call.args, call.stdin, call.files))
            .needing(conntrack::needs)
            .that_goes_on(conntrack::listens)
            .with_knobs(Knobs::Seen)
    }),
    Tool::of("ipset", Called::ByLink, || {
        Applet::of_rules(|_, _| ToolOutput::failure(2, "ipset: sets are not there yet in nflab; nothing was changed\n"))
    }),
    Tool::of("sysctl", Called::ByLink, || {
        Applet::plain(|machine, call| sysctl::run(machine, call)).needing(sysctl::needs)
    }),
    Tool::of("modprobe", Called::ByLink, || {
        Applet::plain(|machine, call| modprobe::run(machine, call.args))
    }),
    Tool::of("nfct", Called::ByLink, || {
        Applet::plain(|machine, call| nfct::run(machine, call.args))
    }),
    Tool::of("ip", Called::ByWord, || {
        Applet::plain(|machine, call| ip::run(machine, call.args))
    }),
    Tool::of("cat", Called::InLabs, || {
        Applet::plain(|machine, call| cat::run(machine, call.args)).with_knobs(Knobs::Seen)
    }),
    Tool::of("dmesg", Called::InLabs, || {
        Applet::plain(|machine, call| dmesg::run(machine, call.args))
            .that_goes_on(dmesg::follows)
            .with_knobs(Knobs::Seen)
    }),
    Tool::of("echo", Called::InLabs, || {
        Applet::plain(|machine, call| echo::run(machine, call.args))
    }),
    Tool::of("lsmod", Called::InLabs, || {
        Applet::plain(|machine, call| lsmod::run(machine, call.args)).with_knobs(Knobs::Seen)
    }),
];

/// A name, and what it means.
struct Tool {
    name: &'static str,
    called: Called,
    applet: fn() -> Applet,
}

/// Where a tool answers to its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Called {
    /// As a program, as the first word, and in labs.
    ByLink,
    /// As the first word, and in labs.
    ByWord,
    /// In labs alone.
    InLabs,
}

impl Tool {
    const fn of(name: &'static str, called: Called, applet: fn() -> Applet) -> Self {
        Self { name, called, applet }
    }

    const fn of_rules(name: &'static str, applet: fn() -> Applet) -> Self {
        Self::of(name, Called::ByLink, applet)
    }

    const fn is_called(&self, how: Option<Called>) -> bool {
        match how {
            None => true,
            Some(how) => self.called as u8 == how as u8,
        }
    }
}

const fn count(how: Option<Called>) -> usize {
    let (mut count, mut at) = (0, 0);
    while at < TOOLS.len() {
        count += TOOLS[at].is_called(how) as usize;
        at += 1;
    }
    count
}

/// The names that are called so, or all.
const fn names<const COUNT: usize>(how: Option<Called>) -> [&'static str; COUNT] {
    let mut names = [""; COUNT];
    let (mut found, mut at) = (0, 0);
    while at < TOOLS.len() {
        if TOOLS[at].is_called(how) {
            names[found] = TOOLS[at].name;
            found += 1;
        }
        at += 1;
    }
    names
}

/// A tool: what it does, and what others have to know of it.
struct Applet {
    run: fn(&mut Machine, &Call<'_>) -> ToolOutput,
    /// What a call reads and writes besides its arguments.
    needs: fn(&[String]) -> Needs,
    /// Whether a call waits for what comes; where nothing comes, it refuses.
    goes_on: fn(&[String]) -> bool,
    knobs: Knobs,
}

impl Applet {
    /// One that reads and writes nothing but its arguments, comes to an end, and may turn any knob.
    const fn plain(run: fn(&mut Machine, &Call<'_>) -> ToolOutput) -> Self {
        Self {
            run,
            needs: |_| Needs::default(),
            goes_on: |_| false,
            knobs: Knobs::Turned,
        }
    }

    /// One that sees rules alone.
    const fn of_rules(run: fn(&mut Machine, &Call<'_>) -> ToolOutput) -> Self {
        Self::plain(run).with_knobs(Knobs::NotSeen)
    }

    const fn with_knobs(self, knobs: Knobs) -> Self {
        Self { knobs, ..self }
    }

    const fn needing(self, needs: fn(&[String]) -> Needs) -> Self {
        Self { needs, ..self }
    }

    const fn that_goes_on(self, goes_on: fn(&[String]) -> bool) -> Self {
        Self { goes_on, ..self }
    }
}

/// The applet that a name means.
fn applet(name: &str) -> Applet {
    if let Some(tool) = TOOLS.iter().find(|it| it.name == name) {
        return (tool.applet)();
    }
    match name {
        // No tools of a shell's, but what nflab's own commands ask a lab.
        "copy" => Applet::plain(|machine, _| copied(machine)),
        "status" => Applet::plain(|machine, _| status::answer(machine)),
        TEXTS_OF_FILES => Applet::plain(|machine, call| cat::texts(machine, call.args)),
        "words" => Applet::plain(|machine, call| words::tried_on_copy(machine, call.args, call.stdin)),
        "trace" => Applet::plain(|machine, call| trace::answer(machine, call.args)),
        _ => Applet::plain(|_, call| ToolOutput::failure(127, format!("{}: a lab has no such tool\n", call.name))),
    }
}

fn iptables() -> Applet {
    Applet::of_rules(|machine, call| rules(machine, call, iptables::run)).needing(iptables::needs)
}

fn save() -> Applet {
    Applet::of_rules(|machine, call| rules(machine, call, iptables_save::run))
        .needing(|args| iptables_save::needs(&with_name(args)))
}

fn restore() -> Applet {
    Applet::of_rules(|machine, call| rules(machine, call, iptables_restore::run))
        .needing(|args| iptables_restore::needs(&with_name(args)))
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

/// The applets that work on rules, of the family that their name says.
fn rules(machine: &mut Machine, call: &Call<'_>, run: fn(Family, &[String], &mut World<'_>) -> Outcome) -> ToolOutput {
    let family = Program::called(call.name).map_or(Family::V4, Program::family);
    let mut arguments = Vec::with_capacity(call.args.len() + 1);
    arguments.push(call.name.to_owned());
    arguments.extend_from_slice(call.args);
    // What `/etc/hosts` would be on a machine that is this lab's router.
    let named = machine.described.hosts.iter().flat_map(|host| {
        let addresses = host.addresses.iter();
        addresses.map(|it| (host.name.as_str(), it.address))
    });
    let mut hosts = named.fold(StaticHosts::localhost(), |hosts, (name, address)| {
        hosts.with(name, address)
    });
    hosts = hosts.with_links(machine.router().config().net.interfaces().iter().map(|it| it.name));
    if let Some(found) = call.files.take_if_brought(LabelFile::PATH) {
        hosts = hosts.with_labels(LabelFile::found(found.as_deref().map_err(Clone::clone)));
    }
    let now = machine.now;
    let mut tables = MachineTables::new(machine);
    let mut read = |name: Option<&str>| match name {
        None => Ok(call.stdin.to_owned()),
        Some(name) => call.files.take(name),
    };
    let outcome = run(
        family,
        &arguments,
        &mut World {
            tables: &mut tables,
            hosts: &hosts,
            now,
            read: &mut read,
        },
    );
    let said = outcome.failure.and_then(|failure| {
        let meant = meant::instead_of(call.args, family);
        // Where another word was meant, nothing else helps.
        meant.or(failure.remedy)
    });
    ToolOutput {
        stdout: outcome.out,
        stderr: outcome.err,
        code: i32::from(outcome.code),
        advice: said.map(|said| format!("{}: {said}\n", call.name)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::base::Random;
    use crate::lab::memory::Lab;
    use crate::net::example;

    #[test]
    fn every_shim_is_a_tool() {
        for name in SHIMS {
            assert_eq!(TOOLBOX.find(&format!("/usr/sbin/{name}")), Some(*name));
        }
    }

    /// Whoever reads a script knows each tool of rules by its name, and takes no other tool for one.
    #[test]
    fn tools_of_rules_are_known_by_their_names() {
        for tool in TOOLS {
            let is_of_rules = tool.name.contains("tables");
            assert_eq!(Program::called(tool.name).is_some(), is_of_rules, "{}", tool.name);
        }
    }

    /// Whoever keeps a copy of the knobs renews it by that: a tool that says too little leaves it behind.
    #[test]
    fn tools_say_what_they_have_to_do_with_knobs() {
        let stand = |lab: &Lab| -> Vec<Option<String>> {
            let keys = lab.machine.sysctls().into_iter();
            keys.map(|key| lab.machine.sysctl(&key)).collect()
        };
        let mut turned = Vec::new();
        for line in [
            "iptables -A INPUT -j DROP",
            "iptables-save",
            "iptables-restore",
            "ip6tables -L",
            "ipset list",
            "conntrack -L",
            "cat /proc/modules",
            "dmesg",
            "lsmod",
            "echo x",
            "sysctl -w net.ipv4.ip_forward=0",
            "modprobe nf_conntrack",
            "nfct default-set timeout inet udp replied 7",
            "ip link set lan mtu 1400",
        ] {
            let mut lab = Lab::default_lab(1, TOOLBOX).unwrap();
            let before = stand(&lab);
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            lab.tool(&words[0], &words[1..], "", Path::new("."));
            if before != stand(&lab) {
                assert_eq!((TOOLBOX.knobs)(&words[0]), Knobs::Turned, "{line}");
                turned.push(words[0].clone());
            }
        }
        assert!(turned.contains(&"sysctl".to_owned()), "{turned:?}");
        assert_eq!((TOOLBOX.knobs)("iptables"), Knobs::NotSeen);
    }

    /// A lab in memory keeps tables in hand from command to command, a live one puts each command into force: nobody must notice.
    #[test]
    fn commands_in_hand_leave_what_commands_in_force_leave() {
        const CHAINS: &[&str] = &["a", "b", "c", "d", "PREROUTING", "POSTROUTING", "OUTPUT"];
        const RULES: &[&str] = &[
            "-j a",
            "-j b",
            "-j c",
            "-g d",
            "-j ACCEPT",
            "-j RETURN",
            "-p tcp --dport 80",
            "-s 10.0.0.1,10.0.0.2 -j b",
            "-c 5 50 -m state --state NEW",
            "-j SNAT --to-source 192.0.2.1",
            "-p udp -j DNAT --to-destination 192.0.2.9",
            "-j OUTPUT",
            "-m limit --limit 1/hour --limit-burst 2",
            "-m limit --limit 1/day --limit-burst 200",
        ];
        let lab = || Lab::default_lab(1, TOOLBOX).unwrap();
        let (mut held, mut in_force) = (lab(), lab());
        in_force.machine.live = true;
        let packet = example::udp("10.0.0.2", "192.0.2.9", 8).bytes();
        let mut random = Random::new(5);
        let (mut refused, mut done) = (0, 0);
        for _ in 0..4_000 {
            let mut draw = |length: usize| (random.next_u64() >> 20) as usize % length;
            let (chain, rule, number) = (CHAINS[draw(CHAINS.len())], RULES[draw(RULES.len())], draw(3) + 1);
            let line = match draw(30) {
                0..8 => format!("-A {chain} {rule}"),
                8 | 9 => format!("-I {chain} {number} {rule}"),
                10 => format!("-R {chain} {number} {rule}"),
                11 | 12 => format!("-D {chain} {rule}"),
                13..16 => format!("-D {chain} {number}"),
                16 => format!("-C {chain} {rule}"),
                17..20 => format!("-N {chain}"),
                20 | 21 => format!("-F {chain}"),
                22 | 23 => format!("-X {chain}"),
                24 => format!("-P {chain} {}", ["ACCEPT", "DROP"][number % 2]),
                25 => format!("-Z {chain}"),
                26 => format!("-Z {chain} {number}"),
                27 => format!("-E {chain} {}", CHAINS[number]),
                28 => "-vS".to_owned(),
                _ => {
                    for lab in [&mut held, &mut in_force] {
                        let interface = lab.interface("lan");
                        // The table is asked only for what begins a flow.
                        lab.machine.router().flows().flush();
                        lab.carry_silently(interface, &packet);
                    }
                    continue;
                }
            };
            let words: Vec<String> = format!("-t nat {line}").split(' ').map(str::to_owned).collect();
            let said = [&mut held, &mut in_force].map(|lab| lab.tool("iptables", &words, "", Path::new("/")));
            assert_eq!(said[0], said[1], "{line}");
            match said[0].code {
                0 => done += 1,
                _ => refused += 1,
            }
        }
        assert!(done > 1_000 && refused > 500, "{done} {refused}");
    }
}
