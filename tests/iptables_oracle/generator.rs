//! Scenarios from a seed: plausible commands with plausible mistakes.

use nflab::base::Random;
use nflab::ext::samples::{Refused, Taken};

use super::values::{address, any_match, any_target, pick, refused, taken};
use super::{Step, step};

pub(crate) fn scenario(random: &mut Random) -> Vec<Step> {
    let length = 5 + random.below(15);
    (0..length).map(|_| any_step(random)).collect()
}

fn any_step(random: &mut Random) -> Step {
    if random.below(12) == 0 {
        return restore(random);
    }
    step(&command(random, true))
}

/// A restore file of plausible commands.
pub(crate) fn file(random: &mut Random) -> String {
    let mut input = String::new();
    for _ in 0..1 + random.below(2) {
        input += &format!("*{}\n", pick(random, TABLES));
        for _ in 0..random.below(3) {
            input += &format!(
                ":{} {}{}\n",
                pick(random, CHAINS),
                pick(random, &["-", "-", "ACCEPT", "DROP", "X"]),
                pick(random, &["", " [1:2]", " [3:4]"])
            );
        }
        for _ in 0..random.below(4) {
            input += pick(random, &["", "", "[5:6] "]);
            input += &command(random, false);
            input += "\n";
        }
        if random.below(8) != 0 {
            input += "COMMIT\n";
        }
    }
    input
}

fn restore(random: &mut Random) -> Step {
    let input = file(random);
    let mut arguments = pick(random, &["", "-n", "-c", "-n -c", "-t", "-v", "-T filter"]);
    if input.contains("-v") && arguments == "-v" {
        // Twice is the dump of the tool's own memory, which we do not have.
        arguments = "";
    }
    Step::restore(arguments, input)
}

pub(crate) fn command(random: &mut Random, with_table: bool) -> String {
    let chain = pick(random, CHAINS);
    let number = pick(random, &["", "1", "2", "3", "9", "0", "x"]);
    let mut parts = match random.below(24) {
        0..=7 => vec![format!("-A {chain}"), rule(random)],
        8..=9 => vec![format!("-I {chain} {number}"), rule(random)],
        10 => vec![format!("-R {chain} {number}"), rule(random)],
        11..=12 => vec![format!("-D {chain} {number}")],
        13 => vec![format!("-D {chain}"), rule(random)],
        14 => vec![format!("-C {chain}"), rule(random)],
        15..=16 => vec![format!("-N {chain}")],
        17 => vec![format!("-X {}", pick(random, &["", chain]))],
        18 => vec![format!("-E {chain} {}", pick(random, CHAINS))],
        19 => vec![format!("-F {}", pick(random, &["", chain]))],
        20 => vec![format!("-Z {} {number}", chain)],
        21 => vec![format!("-P {chain} {}", pick(random, &["ACCEPT", "DROP", "x", ""]))],
        22 => vec![format!("-S {} ", pick(random, &["", chain]))],
        _ => vec![format!("-L {} ", pick(random, &["", chain]))],
    };
    if with_table && random.below(3) == 0 {
        parts.push(format!("-t {}", pick(random, TABLES)));
    }
    if random.below(6) == 0 {
        parts.push("-v".to_owned());
    }
    if random.below(10) == 0 {
        parts.push(pick(random, &["-c 3 4", "-n", "-x", "--line-numbers", "-4", "!", "-j", "x"]).to_owned());
    }
    if random.below(4) == 0 {
        let at = random.below(parts.len() as u32) as usize;
        let part = parts.remove(at);
        parts.push(part);
    }
    parts.join(" ")
}

fn rule(random: &mut Random) -> String {
    let mut parts = Vec::new();
    for _ in 0..random.below(4) {
        let not = pick(random, &["", "", "", "! "]);
        let part = match random.below(9) {
            0 => format!("{not}-s {}", address(random)),
            1 => format!("{not}-d {}", address(random)),
            2 => format!("{not}-i {}", pick(random, INTERFACES)),
            3 => format!("{not}-o {}", pick(random, INTERFACES)),
            4 => format!("{not}-p {}", pick(random, &["tcp", "udp", "icmp", "47", "all", "nope"])),
            5 => format!("{not}-f"),
            6 => format!(
                "-p tcp {not}--dport {}",
                pick(random, &["80", "1:2", ":5", "5:", "http", "99999"])
            ),
            _ => extension(random),
        };
        parts.push(part);
    }
    match random.below(5) {
        0 => {}
        1 => parts.push(format!("-g {}", pick(random, CHAINS))),
        2 => parts.push(format!("-j {}", pick(random, CHAINS))),
        _ => parts.push(format!(
            "-j {}",
            pick(random, &["ACCEPT", "DROP", "RETURN", "QUEUE", "NOPE"])
        )),
    }
    parts.join(" ")
}

/// An extension as one of its samples has it, or one of another's.
pub(crate) fn extension(random: &mut Random) -> String {
    let mut any = || match random.below(4) {
        0..=2 => {
            let (spec, own) = any_match(random);
            ("-m", spec.name, &spec.samples, own)
        }
        _ => {
            let (spec, own) = any_target(random);
            ("-j", spec.name, &spec.samples, own)
        }
    };
    // What belongs into another table is drawn now and then: it makes a whole file useless.
    let (drawn, other) = (any(), any());
    let (letter, name, samples, mut random) = match drawn.2.place {
        ("filter", _) => drawn,
        _ => other,
    };
    // Commands and restore files quote in ways of their own.
    let is_plain = |typed: &str| !typed.contains(['"', '\\', '\'']);
    let taken: Vec<&Taken> = taken(samples).into_iter().filter(|it| is_plain(it.typed)).collect();
    let taken = pick(&mut random, &taken);
    let known = |it: &&Refused| !it.said.contains("is not there yet") && is_plain(it.typed);
    let refused: Vec<&Refused> = refused(samples).into_iter().filter(known).collect();
    let (before, typed) = match random.below(24) {
        0 if !refused.is_empty() => {
            let refused = pick(&mut random, &refused);
            (refused.before, refused.typed)
        }
        1 => ("", taken.typed),
        _ => (taken.before, taken.typed),
    };
    format!("{before} {letter} {name} {typed}")
}

const TABLES: &[&str] = &["filter", "filter", "nat", "mangle", "raw", "security", "nope"];
const CHAINS: &[&str] = &[
    "INPUT",
    "OUTPUT",
    "FORWARD",
    "PREROUTING",
    "a",
    "b",
    "c",
    "long-name-of-a-chain",
    "caf\u{10FFE9}",
    "\u{10FF80}",
];
const INTERFACES: &[&str] = &[
    "lo",
    "eth0",
    "eth+",
    "+",
    "averyveryverylongname",
    "w\u{10FFFF}",
    "\u{10FFC3}+",
];
