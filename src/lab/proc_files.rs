//! The files of `/proc` that a lab has. Who shows one, completes its name, or keeps a copy of it for programs inside goes by this list.

use std::sync::Arc;

use crate::base::Family;
use crate::conntrack::text::{self, ExpectationForm, FlowForm};
use crate::conntrack::{Flow, Settings};
use crate::engine::OpenQueue;
use crate::ext;
use crate::lab::machine::{KnobError, Machine, Profile};
use crate::lab::modules;
use crate::syntax::problem::suggestion;

/// A file whose text is the lab's.
pub(crate) struct ProcFile {
    pub path: &'static str,
    text: fn(&Machine) -> String,
}

/// All but `/proc/sys`, and the lists of [`place_of_shared`].
pub(crate) const FILES: &[ProcFile] = &[
    ProcFile {
        path: "/proc/modules",
        text: |machine| {
            let line = |(name, users): (&str, modules::Users)| {
                let by = match users.modules.is_empty() {
                    true => "-".to_owned(),
                    false => users.modules.join(",") + ",",
                };
                format!("{name} {MODULE_SIZE} {} {by} Live 0x0000000000000000", users.count())
            };
            lines(modules::listed(machine).into_iter().map(line))
        },
    },
    ProcFile {
        path: "/proc/net/nf_conntrack",
        text: |machine| flows(machine, FlowForm::Proc),
    },
    ProcFile {
        path: "/proc/net/ip_conntrack",
        text: |machine| flows(machine, FlowForm::OldProc),
    },
    ProcFile {
        path: "/proc/net/nf_conntrack_expect",
        text: expectations,
    },
    ProcFile {
        path: "/proc/net/ip_conntrack_expect",
        text: expectations,
    },
    ProcFile {
        path: "/proc/net/netfilter/nfnetlink_queue",
        text: |machine| lines(machine.router().open_queues().iter().map(queue)),
    },
    ProcFile {
        path: "/proc/net/ip_tables_names",
        text: |machine| table_names(machine, Family::V4),
    },
    ProcFile {
        path: "/proc/net/ip_tables_matches",
        text: |_| names(ext::MATCHES.iter().map(|spec| (spec.name, spec.families)), Family::V4),
    },
    ProcFile {
        path: "/proc/net/ip_tables_targets",
        text: |_| names(ext::TARGETS.iter().map(|spec| (spec.name, spec.families)), Family::V4),
    },
    ProcFile {
        path: "/proc/net/ip6_tables_names",
        text: |machine| table_names(machine, Family::V6),
    },
    ProcFile {
        path: "/proc/net/ip6_tables_matches",
        text: |_| names(ext::MATCHES.iter().map(|spec| (spec.name, spec.families)), Family::V6),
    },
    ProcFile {
        path: "/proc/net/ip6_tables_targets",
        text: |_| names(ext::TARGETS.iter().map(|spec| (spec.name, spec.families)), Family::V6),
    },
];

/// Told where somebody looks for flows, and nothing is tracked.
pub(crate) const NOTHING_IS_TRACKED: &str =
    "nothing is tracked yet: no rule or module asks for it; `modprobe ip_conntrack` does, or a rule with -m state";

/// More than the system says of a file: what it shows, or which one was meant. A line without its end.
pub(crate) fn advice(machine: &Machine, path: &str) -> Option<String> {
    let shows_flows = ["/proc/net/ip_conntrack", "/proc/net/nf_conntrack"].contains(&path);
    if shows_flows && !machine.router().tracks() && machine.router().flows().count() == 0 {
        return Some(NOTHING_IS_TRACKED.to_owned());
    }
    match read(machine, path) {
        Ok(_) => return None,
        Err(IS_A_DIRECTORY) => return Some(listed_by(path)),
        Err(_) if path.contains('*') => return Some(format!("nothing expands `*` here: {}", listed_by(path))),
        Err(_) => {}
    }
    of_old_name(machine, path).or_else(|| {
        let knobs = machine
            .sysctls()
            .into_iter()
            .map(|key| format!("/proc/sys/{}", key.replace('.', "/")));
        let all: Vec<String> = FILES.iter().map(|file| file.path.to_owned()).chain(knobs).collect();
        let near = suggestion(path, all.iter().map(String::as_str))?;
        Some(format!("did you mean {near}?"))
    })
}

/// How what stands in a directory is seen.
fn listed_by(path: &str) -> String {
    let name = path.trim_end_matches(['*', '/']).rsplit('/').next().unwrap_or_default();
    match path.starts_with("/proc/sys") {
        true => format!(
            "`sysctl -a | grep {}` lists its settings",
            if name == "sys" { "." } else { name }
        ),
        false => "`cat --help` lists the files".to_owned(),
    }
}

/// A name of the ip_conntrack days, wherever somebody looks for it.
fn of_old_name(machine: &Machine, path: &str) -> Option<String> {
    let (_, name) = path.rsplit_once(['/', '.'])?;
    let mut all = Settings::of(Profile::Classic);
    all.protocols.tcp.window_tracking = true;
    let old = ["", "netfilter."].map(|directory| format!("{directory}{name}"));
    let old = old.iter().find(|old| all.by_old_name(old).is_some())?;
    let config = machine.router().config();
    let here = format!("/proc/sys/net/ipv4/{}", old.replace('.', "/"));
    Some(match (config.conntrack.profile, config.conntrack.by_old_name(old)) {
        (Profile::Classic, Some(_)) => format!("did you mean {here}?"),
        (Profile::Classic, None) => format!(
            "{name} comes with the tcp-window-tracking patch, which this kernel does without: `profile classic window_tracking`, or \
             `sysctl nflab.window_tracking=1`"
        ),
        (Profile::Linux6, _) => {
            let today = all
                .by_old_name(old)
                .filter(|today| config.conntrack.get(today).is_some());
            let today = today.filter(|today| config.conntrack.names().any(|name| name == *today));
            let today = today.map_or_else(String::new, |today| {
                format!(", today's is /proc/sys/net/netfilter/{today}")
            });
            format!("{name} is a name of the ip_conntrack days{today}; `profile classic` has it")
        }
    })
}

const IS_A_DIRECTORY: &str = "Is a directory";

/// What each module is said to take: nothing here has the kernel's sizes.
pub(crate) const MODULE_SIZE: u32 = 16384;

/// What a file says, or why it cannot be read.
pub(crate) fn read(machine: &Machine, path: &str) -> Result<String, &'static str> {
    if let Some(file) = FILES.iter().find(|file| file.path == path) {
        return Ok((file.text)(machine));
    }
    if ["/proc", "/proc/net", "/proc/sys"].contains(&path.trim_end_matches('/')) {
        return Err(IS_A_DIRECTORY);
    }
    let Some(knob) = path.strip_prefix("/proc/sys/") else {
        return shared(machine, path);
    };
    let key = knob.trim_end_matches('/').replace('/', ".");
    match machine.sysctl(&key) {
        Some(value) => Ok(value + "\n"),
        None if machine.sysctls().iter().any(|it| it.starts_with(&format!("{key}."))) => Err(IS_A_DIRECTORY),
        None => Err(match machine.sysctl_unread(&key) {
            KnobError::WriteOnly(_) => "Permission denied",
            // As the kernel says of a secret that nobody set.
            KnobError::NotOffered(_) => "Input/output error",
            _ => "No such file or directory",
        }),
    }
}

fn flows(machine: &Machine, form: FlowForm) -> String {
    let flows = machine.router().flows().flows(machine.now);
    // The file of old is of IPv4 alone.
    let is_told = |flow: &&Arc<Flow>| form != FlowForm::OldProc || flow.original().family() == Family::V4;
    lines(
        flows
            .iter()
            .filter(is_told)
            .filter_map(|flow| text::flow(flow, form, machine.now)),
    )
}

fn expectations(machine: &Machine) -> String {
    let expectations = machine.router().flows().expectations(machine.now);
    lines(
        expectations
            .iter()
            .map(|it| text::expectation(it, ExpectationForm::Proc, machine.now)),
    )
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
        Some((_, "")) => Err(IS_A_DIRECTORY),
        Some((directory, name)) => match machine.router().shared(directory, name) {
            Some(state) => Ok(state.read(machine.clock())),
            None => Err("No such file or directory"),
        },
        None => Err("No such file or directory"),
    }
}

/// The directory of an extension under `/proc/net`, and a name in it: empty for the directory itself.
pub(crate) fn place_of_shared(path: &str) -> Option<(&'static str, &str)> {
    let path = path.strip_prefix("/proc/net/")?;
    let (directory, name) = path.split_once('/').unwrap_or((path, ""));
    let known = ext::matches()
        .filter_map(|spec| spec.directory)
        .flat_map(|known| Family::ALL.map(|family| known.of(family)))
        .find(|known| *known == directory)?;
    Some((known, name))
}

/// The kernel lists the youngest first, and none before its family's tool has asked for one.
fn table_names(machine: &Machine, family: Family) -> String {
    lines(machine.table_names(family).into_iter().rev().map(str::to_owned))
}

/// Of the extensions that a family has.
fn names(all: impl Iterator<Item = (&'static str, &'static [Family])>, family: Family) -> String {
    let has = all.filter(|(_, families)| families.contains(&family));
    lines(has.map(|(name, _)| name.to_owned()))
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.map(|line| line + "\n").collect()
}
