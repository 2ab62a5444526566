//! Which options go with which command, which it needs, and what is said where they don't. Seen by giving each to each.

use super::bad;
use super::options::{Meaning, OPTIONS};
use super::request::{Command, What};
use crate::conntrack::Direction;
use crate::conntrack::proto::tool::{Asked, ToolOption};
use crate::lab::machine::ToolOutput;

/// What a command takes of the options that are there whatever the protocol.
struct Rule {
    needs: &'static [&'static str],
    takes: Vec<&'static str>,
    /// Whether both ends of a flow must be named, by its original or by its reply direction.
    names_flow: bool,
}

/// How an option goes with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goes {
    Needed,
    Taken,
    Illegal,
}

/// The first thing that is wrong, in the tool's own order. `given` has the options' first names.
pub(super) fn check(command: Command, what: What, protocol: Option<u8>, given: &[&str]) -> Result<(), ToolOutput> {
    let rule = rule(command, what);
    let goes = |name: &str| match () {
        () if rule.needs.contains(&name) => Goes::Needed,
        () if rule.takes.contains(&name) => Goes::Taken,
        () => Goes::Illegal,
    };
    let own = OPTIONS.iter().filter(|spec| spec.protocols.is_empty());
    let own = own.filter(|spec| !matches!(spec.key, Meaning::Command(_) | Meaning::Deprecated));
    each(own.map(|spec| (spec.names[0], goes(spec.names[0]))), given)?;
    if rule.names_flow {
        both(
            given,
            [("src", "dst"), ("reply-src", "reply-dst")],
            ["--src' and `--dst", "--reply-src' and `--reply-dst"],
        )?;
    }
    let brought = |number: u8| OPTIONS.iter().filter(move |spec| spec.protocols.contains(&number));
    let of_protocol = protocol
        .into_iter()
        .flat_map(brought)
        .filter_map(|spec| match spec.key {
            Meaning::OfProtocol(option) => Some(option),
            _ => None,
        });
    let of_protocol: Vec<&ToolOption> = of_protocol.collect();
    let goes = |option: &&ToolOption| (option.names[0], goes_of_protocol(option, command, what));
    each(of_protocol.iter().map(goes), given)?;
    let names = |direction, end| {
        let is_meant =
            |it: &&&ToolOption| matches!(it.asks, Asked::Id(d, e) | Asked::Key(d, e) if (d, e) == (direction, end));
        of_protocol.iter().find(is_meant).map(|it| it.names[0])
    };
    use crate::packet::End::{Destination, Source};
    let original = names(Direction::Original, Source).zip(names(Direction::Original, Destination));
    let reply = names(Direction::Reply, Source).zip(names(Direction::Reply, Destination));
    if let (true, Some(original), Some(reply)) = (rule.names_flow, original, reply) {
        // Seen: the reply's are called otherwise here than where they are given.
        let called = match original.0 {
            "srckey" => "--reply-src-key' and `--reply-dst-key",
            _ => "--reply-src-port' and `--reply-dst-port",
        };
        let first = format!("--{}' and `--{}", original.0, original.1);
        both(given, [original, reply], [&first, called])?;
    }
    for (mask, needed) in [("mask-src", "src"), ("mask-dst", "dst")] {
        if given.contains(&mask) && !given.contains(&needed) && what == What::Flows {
            return Err(bad(&format!("Can't use --{mask} without --{needed}")));
        }
    }
    Ok(())
}

fn each<'a>(options: impl Iterator<Item = (&'a str, Goes)>, given: &[&str]) -> Result<(), ToolOutput> {
    for (name, goes) in options {
        match (goes, given.contains(&name)) {
            (Goes::Needed, false) => {
                return Err(bad(&format!(
                    "You need to supply the `--{name}' option for this command"
                )));
            }
            (Goes::Illegal, true) => return Err(bad(&format!("Illegal option `--{name}' with this command"))),
            _ => {}
        }
    }
    Ok(())
}

/// Of two pairs one has to be there whole. What is said is about the second only where nothing of the first was given.
fn both(given: &[&str], pairs: [(&str, &str); 2], called: [&str; 2]) -> Result<(), ToolOutput> {
    let has = |name: &str| given.contains(&name);
    if pairs.iter().any(|(one, other)| has(one) && has(other)) {
        return Ok(());
    }
    let second = !has(pairs[0].0) && !has(pairs[0].1) && (has(pairs[1].0) || has(pairs[1].1));
    Err(bad(&format!("you have to specify `{}'", called[usize::from(second)])))
}

/// How an option that a protocol brings goes with a command.
fn goes_of_protocol(option: &ToolOption, command: Command, what: What) -> Goes {
    use Command::{Add, Create, Delete, Events, Get, List, Update};
    let name = option.names[0];
    match what {
        What::Expectations => match (command, option.asks) {
            (_, Asked::Id(..)) if name == "icmp-id" => Goes::Illegal,
            (Create, Asked::Id(Direction::Original, _) | Asked::Expected(_) | Asked::Mask(_)) => Goes::Needed,
            // Seen: GRE's are all needed.
            (Create, Asked::Key(..)) => Goes::Needed,
            (Create, Asked::Words(..)) if name == "role" => Goes::Needed,
            (Create, Asked::Tag(_)) => Goes::Needed,
            (Get | Delete, Asked::Id(..) | Asked::Key(..)) => Goes::Needed,
            _ => Goes::Illegal,
        },
        What::Flows | What::Passing => match (command, option.asks) {
            (_, Asked::Expected(_) | Asked::Mask(_)) => Goes::Illegal,
            (Create | Add, Asked::State(_) | Asked::Tag(_)) => Goes::Needed,
            (Create | Add | Get, Asked::Type | Asked::Code) => Goes::Needed,
            (Create | Add, Asked::Words(..)) => Goes::Needed,
            (_, Asked::Words(..)) if name == "role" => Goes::Illegal,
            (List | Delete | Events, Asked::Tag(_)) => Goes::Illegal,
            (Create | Add | Get | List | Delete | Update | Events, _) => Goes::Taken,
            _ => Goes::Illegal,
        },
    }
}

fn rule(command: Command, what: What) -> Rule {
    let rule = |needs, takes: &[&'static str]| Rule {
        needs,
        takes: takes.to_vec(),
        names_flow: false,
    };
    let of_flows = |needs, letter: char| {
        let taken = OF_FLOWS.iter().filter(|(_, commands)| commands.contains(letter));
        Rule {
            needs,
            takes: taken.map(|(name, _)| *name).collect(),
            names_flow: matches!(letter, 'I' | 'A' | 'G'),
        }
    };
    match (command, what) {
        (Command::List, What::Flows | What::Passing) => of_flows(&[], 'L'),
        (Command::Delete, What::Flows) => of_flows(&[], 'D'),
        (Command::Update, What::Flows) => of_flows(&[], 'U'),
        (Command::Events, What::Flows) => of_flows(&[], 'E'),
        (Command::Create, What::Flows) => of_flows(&["protonum", "timeout"], 'I'),
        (Command::Add, What::Flows) => of_flows(&["protonum", "timeout"], 'A'),
        (Command::Get, What::Flows) => of_flows(&["protonum"], 'G'),
        (Command::Flush, What::Flows) => of_flows(&[], 'F'),
        (Command::List, What::Expectations) => rule(&[], &["family", "output"]),
        (Command::Events, What::Expectations) => rule(&[], &["output"]),
        (Command::Create, What::Expectations) => rule(EXPECTED, &["reply-src", "reply-dst", "status"]),
        (Command::Get | Command::Delete, What::Expectations) => {
            rule(&["src", "dst", "protonum"], &["reply-src", "reply-dst"])
        }
        (Command::Help, _) => rule(&[], &["protonum"]),
        // The last of all options is not looked at where there is no command.
        (Command::Nothing, _) => rule(&[], &["reply-zone"]),
        _ => rule(&[], &[]),
    }
}

/// Which commands take an option where flows are concerned, by their letters.
const OF_FLOWS: &[(&str, &str)] = &[
    ("src", "LDUEIAG"),
    ("dst", "LDUEIAG"),
    ("reply-src", "LDUEIAG"),
    ("reply-dst", "LDUEIAG"),
    ("protonum", "LDUE"),
    ("timeout", "DU"),
    ("status", "LDUIA"),
    ("zero", "L"),
    ("event-mask", "E"),
    ("mask-src", "LDUE"),
    ("mask-dst", "LDUE"),
    ("mark", "LDUEIA"),
    ("id", "DUG"),
    ("family", "LDUEF"),
    ("src-nat", "LDUEIA"),
    ("dst-nat", "LDUEIA"),
    ("output", "LDUEG"),
    ("secmark", "LE"),
    ("buffer-size", "E"),
    ("any-nat", "LE"),
    ("zone", "LDEIA"),
    ("label", "LDUE"),
    ("label-add", "UIA"),
    ("label-del", "U"),
    ("orig-zone", "LDEIA"),
    ("reply-zone", "LDEIA"),
];
const EXPECTED: &[&str] = &[
    "src",
    "dst",
    "protonum",
    "timeout",
    "tuple-src",
    "tuple-dst",
    "mask-src",
    "mask-dst",
];
