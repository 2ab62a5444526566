//! Rules made of the extensions' own specs from a seed: any options in any order, with values that are right, odd or wrong.

use nflab::base::Random;
use nflab::ext::option::{OptionSpec, ValueKind};
use nflab::ext::samples::Samples;

use super::Step;
use super::values::{any_match, any_target, pick, value};

pub(crate) fn scenario(random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    while steps.len() < 20 {
        let arguments = rule(random);
        // What was appended, once more: is it equal to itself?
        if random.below(8) == 0 {
            let verb = pick(random, &["-C", "-D", "-I"]);
            let again = arguments.iter().map(|it| if it == "-A" { verb } else { it }.to_owned());
            let again = Step::iptables(again.collect());
            steps.extend([Step::iptables(arguments), again]);
        } else {
            steps.push(Step::iptables(arguments));
        }
    }
    steps
}

pub(crate) fn rule(random: &mut Random) -> Vec<String> {
    let (table, chain) = pick(random, PLACES);
    let mut arguments: Vec<String> = ["-t", table, "-A", chain].map(str::to_owned).to_vec();
    let protocol = pick(random, PROTOCOLS);
    arguments.extend(protocol.split_whitespace().map(str::to_owned));
    for _ in 0..random.below(3) {
        let (spec, mut own) = any_match(random);
        let random = &mut own;
        if spec.protocol.is_none() || random.below(3) == 0 {
            let name = pick(random, &[&[spec.name], spec.aliases].concat());
            arguments.extend(["-m".to_owned(), name.to_owned()]);
        }
        options(random, &mut arguments, spec.options, &spec.samples);
    }
    if random.below(2) == 0 {
        let (spec, mut own) = any_target(random);
        arguments.extend(["-j".to_owned(), spec.name.to_owned()]);
        options(&mut own, &mut arguments, spec.options, &spec.samples);
    }
    // A word lost, doubled or misplaced.
    if random.below(12) == 0 {
        let at = random.below(arguments.len() as u32) as usize;
        let word = arguments.remove(at);
        let to = random.below(arguments.len() as u32 + 1) as usize;
        match random.below(4) {
            0 => {}
            1 => arguments.insert(to, word),
            2 => {
                arguments.insert(at, word.clone());
                arguments.insert(to, word);
            }
            _ => {
                arguments.insert(at, word);
                arguments.insert(to, pick(random, STRAY).to_owned());
            }
        }
    }
    arguments
}

fn options(random: &mut Random, arguments: &mut Vec<String>, specs: &'static [OptionSpec], samples: &Samples) {
    if specs.is_empty() {
        return;
    }
    for _ in 0..1 + random.below(3) {
        let spec = &specs[random.below(specs.len() as u32) as usize];
        if matches!(spec.value, ValueKind::Refused { .. }) {
            continue;
        }
        if random.below(6) == 0 && (spec.invert || random.below(4) == 0) {
            arguments.push("!".to_owned());
        }
        let names: Vec<_> = spec.names().collect();
        let name = pick(random, &names);
        // Sometimes cut short, sometimes with its value attached.
        let cut = if random.below(10) == 0 {
            random.below(name.len() as u32) as usize
        } else {
            0
        };
        let mut option = format!("--{}", &name[..name.len() - cut]);
        let arity = spec.value.arity();
        let mut values: Vec<String> = (0..arity).map(|_| value(random, spec, samples)).collect();
        if random.below(12) == 0 {
            option += "=";
            option += values.first().map_or("", String::as_str);
            values.drain(..arity.min(1));
        }
        arguments.push(option);
        arguments.extend(values);
    }
}

const STRAY: &[&str] = &[
    "!", "-f", "-v", "-n", "-4", "x", "-j", "-p", "--", "-", "''", "-m", "-c", "-x", "-w", "-g", "-i", "lo", "tcp",
    "-s", "--syn",
];
const PLACES: &[(&str, &str)] = &[
    ("filter", "INPUT"),
    ("filter", "FORWARD"),
    ("filter", "OUTPUT"),
    ("nat", "PREROUTING"),
    ("nat", "POSTROUTING"),
    ("mangle", "POSTROUTING"),
    ("raw", "PREROUTING"),
    ("raw", "OUTPUT"),
];
const PROTOCOLS: &[&str] = &[
    "",
    "-p tcp",
    "-p tcp",
    "-p tcp",
    "-p udp",
    "-p udp",
    "-p icmp",
    "! -p tcp",
    "-p 47",
    "-p udplite",
];
