//! `nfct`: timeout policies, and the timeouts that stand where a flow has none, in the words of conntrack-tools 1.4.7.
//!
//! Seen: command and subsystem stand in either order and may be cut short to any of their first letters; all that is wrong exits with 1.

use std::fmt::Write;

use crate::base::Family;
use crate::base::bytes::front_of;
use crate::conntrack::TimeoutPolicy;
use crate::conntrack::policy::{default_times, protocols, set_default_times};
use crate::engine::PolicyRefused;
use crate::ext::number::strtoul;
use crate::lab::machine::{Machine, ToolOutput};

pub(super) fn run(machine: &Machine, args: &[String]) -> ToolOutput {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match read(&args) {
        Ok((Subsystem::Version, ..)) => ToolOutput::success(format!("{VERSION}: timeout policies of a lab\n")),
        Ok((Subsystem::Helper, ..)) => {
            fail("helpers in user space are not there yet in nflab: `modprobe' loads the kernel's; nothing was changed")
        }
        Ok((Subsystem::Timeout, command, rest)) => {
            done(machine, command, rest).map_or_else(|what| fail(&what), ToolOutput::success)
        }
        Err(refused) => refused,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    List,
    Add,
    Delete,
    Get,
    Flush,
    Disable,
    DefaultSet,
    DefaultGet,
}

/// Of several that begin so the first is meant.
const COMMANDS: &[(&str, Command)] = &[
    ("list", Command::List),
    ("add", Command::Add),
    ("delete", Command::Delete),
    ("get", Command::Get),
    ("flush", Command::Flush),
    ("disable", Command::Disable),
    ("default-set", Command::DefaultSet),
    ("default-get", Command::DefaultGet),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subsystem {
    Timeout,
    Helper,
    Version,
}

const SUBSYSTEMS: &[(&str, Subsystem)] = &[
    ("timeout", Subsystem::Timeout),
    ("helper", Subsystem::Helper),
    ("version", Subsystem::Version),
];

/// What is meant, and what stands behind it. Seen: it is always the first word that is said to be unknown.
fn read<'a>(args: &'a [&'a str]) -> Result<(Subsystem, Command, &'a [&'a str]), ToolOutput> {
    let [first, second, rest @ ..] = args else {
        return Err(ToolOutput::failure(1, USAGE));
    };
    let unknown = |what: &str| ToolOutput::failure(1, format!("{VERSION}: Unknown {what}: {first}\n{USAGE}"));
    if let Some(command) = meant(COMMANDS, first) {
        let subsystem = meant(SUBSYSTEMS, second).ok_or_else(|| unknown("subsystem"))?;
        return Ok((subsystem, command, rest));
    }
    let subsystem = meant(SUBSYSTEMS, first).ok_or_else(|| unknown("subsystem"))?;
    let command = meant(COMMANDS, second).ok_or_else(|| unknown("command"))?;
    Ok((subsystem, command, rest))
}

fn meant<T: Copy>(known: &[(&str, T)], typed: &str) -> Option<T> {
    let found = known.iter().find(|(name, _)| name.starts_with(typed));
    found.map(|(_, it)| *it)
}

fn done(machine: &Machine, command: Command, args: &[&str]) -> Result<String, String> {
    let router = machine.router();
    let policies = router.flows().policies();
    let nothing_more = |most: usize| match args.len() > most {
        true => Err("too many arguments".to_owned()),
        false => Ok(()),
    };
    let name = || {
        let name = args.first().ok_or("missing timeout policy name")?;
        Ok::<_, String>(front_of(name, LONGEST_NAME))
    };
    match command {
        Command::List => {
            nothing_more(0)?;
            Ok(policies.all().iter().map(|policy| shown(policy)).collect())
        }
        Command::Add => {
            let &[name, family, protocol, ref said @ ..] = args else {
                return Err(missing("add timeout name family protocol state1 timeout1 ..."));
            };
            let (family, protocol) = (family_of(family)?, Protocol::of(protocol)?);
            let said = protocol.times(said)?;
            if said.is_empty() {
                return Err(netlink("Invalid argument"));
            }
            let name = front_of(name, LONGEST_NAME);
            if policies.find(&name).is_some() {
                return Err(netlink(BUSY));
            }
            let config = router.config();
            let policy = TimeoutPolicy::new(&name, family, protocol.number, &said, &config.conntrack);
            match policies.add(policy.ok_or_else(|| netlink(NOT_SUPPORTED))?) {
                true => Ok(String::new()),
                false => Err(netlink(BUSY)),
            }
        }
        Command::Get => {
            let name = name()?;
            nothing_more(1)?;
            match policies.find(&name) {
                Some(policy) => Ok(shown(&policy)),
                None => Err(netlink(NO_SUCH)),
            }
        }
        Command::Delete => {
            let name = name()?;
            nothing_more(1)?;
            match router.remove_timeout_policy(&name) {
                Ok(()) => Ok(String::new()),
                Err(PolicyRefused::NoSuch) => Err(netlink(NO_SUCH)),
                Err(PolicyRefused::InUse) => Err(netlink(BUSY)),
            }
        }
        Command::Flush => {
            nothing_more(0)?;
            for policy in policies.all() {
                // Seen: those that rules name stay, without a word.
                let _ = router.remove_timeout_policy(policy.name());
            }
            Ok(String::new())
        }
        Command::DefaultGet => {
            let &[family, protocol, ..] = args else {
                return Err(missing("default-get timeout family protocol"));
            };
            let (family, protocol) = (family_of(family)?, Protocol::of(protocol)?);
            let times = default_times(protocol.number, &router.config().conntrack);
            let times = times.ok_or_else(|| netlink(NOT_SUPPORTED))?;
            Ok(written(family, protocol.number, times.into_iter()))
        }
        Command::DefaultSet => {
            let &[family, protocol, ref said @ ..] = args else {
                return Err(missing(OF_DEFAULT_SET));
            };
            if said.is_empty() {
                return Err(missing(OF_DEFAULT_SET));
            }
            family_of(family)?;
            let protocol = Protocol::of(protocol)?;
            let said = protocol.times(said)?;
            match machine.set_default_timeouts(|settings| set_default_times(protocol.number, settings, &said)) {
                true => Ok(String::new()),
                false => Err(netlink(NOT_SUPPORTED)),
            }
        }
        Command::Disable => Err(format!(
            "Missing command\nnfct <{OF_TIMEOUTS}> timeout [<parameters>, ...]"
        )),
    }
}

fn family_of(name: &str) -> Result<Family, String> {
    match name {
        "inet" => Ok(Family::V4),
        "inet6" => Ok(Family::V6),
        _ => Err("unknown layer 3 protocol".to_owned()),
    }
}

/// A protocol as it was typed.
struct Protocol<'a> {
    typed: &'a str,
    number: u8,
    states: Vec<&'static str>,
}

impl<'a> Protocol<'a> {
    fn of(typed: &'a str) -> Result<Self, String> {
        let found = protocols().find(|(name, ..)| name.eq_ignore_ascii_case(typed));
        let (_, number, states) = found.ok_or("unknown layer 4 protocol")?;
        Ok(Self { typed, number, states })
    }

    /// States and seconds in turn.
    fn times(&self, said: &[&str]) -> Result<Vec<(&'static str, u32)>, String> {
        let read = |pair: &[&str]| {
            let &[state, seconds] = pair else {
                return Err("missing value for this timeout".to_owned());
            };
            let known = self.states.iter().find(|known| known.eq_ignore_ascii_case(state));
            let known = known.ok_or_else(|| format!("Wrong state name: `{state}' for protocol `{}'", self.typed))?;
            Ok((*known, seconds_of(seconds)))
        };
        said.chunks(2).map(read).collect()
    }
}

/// What begins as a number is one; of a larger one 32 bits count.
fn seconds_of(text: &str) -> u32 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number = match &digits[..end] {
        "" => 0,
        digits => strtoul(digits, 10).map_or(u64::MAX, |(number, _)| number),
    };
    match negative {
        true if number != u64::MAX => number.wrapping_neg() as u32,
        _ => number as u32,
    }
}

fn shown(policy: &TimeoutPolicy) -> String {
    let of = written(policy.family(), policy.protocol(), policy.times());
    format!(".{} = {{\n{of}", policy.name())
}

fn written(family: Family, protocol: u8, times: impl Iterator<Item = (&'static str, u64)>) -> String {
    let family = match family {
        Family::V4 => 2,
        Family::V6 => 10,
    };
    let mut text = format!("\t.l3proto = {family},\n\t.l4proto = {protocol},\n\t.policy = {{\n");
    for (state, seconds) in times {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "\t\t.{state} = {seconds},");
    }
    text + "\t},\n};\n"
}

fn missing(syntax: &str) -> String {
    format!("missing parameters\nsyntax: nfct {syntax}")
}

fn netlink(what: &str) -> String {
    format!("netlink error: {what}")
}

fn fail(what: &str) -> ToolOutput {
    ToolOutput::failure(1, format!("{VERSION}: {what}\n"))
}

const VERSION: &str = "nfct v1.4.7";
const USAGE: &str = "Usage: nfct command subsystem [parameters]...\n";
const OF_TIMEOUTS: &str = "list|add|delete|get|default-set|default-get|flush";
const OF_DEFAULT_SET: &str = "default-set timeout family protocol state1 timeout1...";
/// Bytes; the rest of a longer one is not looked at.
const LONGEST_NAME: usize = 31;
const BUSY: &str = "Device or resource busy";
const NO_SUCH: &str = "No such file or directory";
const NOT_SUPPORTED: &str = "Operation not supported";
