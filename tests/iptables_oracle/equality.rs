//! Chains and rule numbers, and when two rules are the same: `-C` and `-D` of a rule in another spelling, and everything that names a chain.

use nflab::base::Random;

use super::values::{any_match, any_target, pick, taken};
use super::{Step, step};

pub(crate) fn scenario(random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    match random.below(3) {
        0 => spellings(random, &mut steps),
        1 => names(random, &mut steps),
        _ => forms(random, &mut steps),
    }
    steps
}

/// Rules that say the same, or nearly so.
fn spellings(random: &mut Random, steps: &mut Vec<Step>) {
    steps.extend(["-N a", "-N b", "-t raw -N a", "-t mangle -N a", "-t nat -N a"].map(step));
    for _ in 0..4 {
        let (place, family) = match random.below(5) {
            0 => {
                let (places, family) = pick(random, SPELLINGS);
                (pick(random, places), family.iter().map(|it| (*it).to_owned()).collect())
            }
            _ => of_an_extension(random),
        };
        let spelled = |random: &mut Random, verb: &str| {
            let rule = &family[random.below(family.len() as u32) as usize];
            step(&format!("-t {place} {rule}{}", pick(random, TAILS)).replace("VERB", verb))
        };
        for _ in 0..1 + random.below(3) {
            steps.push(spelled(random, "-A"));
        }
        for _ in 0..1 + random.below(4) {
            // Where the rule is, the verb and the chain stand before it.
            let verb = pick(random, &["-C", "-D", "-D", "-v -C", "-v -D"]);
            steps.push(spelled(random, verb));
        }
        steps.push(step(&format!("-t {place} -S")));
    }
}

/// The table, and spellings of rules with one extension: those that its spec names, and samples both as they are typed and as they are saved.
fn of_an_extension(random: &mut Random) -> (&'static str, Vec<String>) {
    let (of_match, target) = (any_match(random), any_target(random));
    let (letter, name, samples, mut random) = match random.below(2) {
        0 => ("-m", of_match.0.name, &of_match.0.samples, of_match.1),
        _ => ("-j", target.0.name, &target.0.samples, target.1),
    };
    let (table, chain) = samples.place;
    let in_chain = |rule: &str| format!("VERB {chain} {rule}");
    let mut family: Vec<String> = samples
        .spellings
        .iter()
        .map(|it| in_chain(&it.replace('"', "'")))
        .collect();
    // Commands and restore files quote in ways of their own.
    let plain = taken(samples).into_iter();
    let plain: Vec<_> = plain.filter(|it| !it.typed.contains(['"', '\\', '\''])).collect();
    let few = family.len() < 4;
    for _ in 0..if few { 3 } else { 1 } {
        let sample = pick(&mut random, &plain);
        for options in [sample.typed, sample.saved] {
            family.push(in_chain(&format!("{} {letter} {name} {options}", sample.before)));
        }
    }
    (table, family)
}

/// Chain names, good and bad, in every command that takes one.
fn names(random: &mut Random, steps: &mut Vec<Step>) {
    for _ in 0..20 {
        let [name, other] = [any_name(random), any_name(random)];
        let number = pick(random, NUMBERS);
        let table = pick(random, &["", "", "", "", "-t nat ", "-t raw ", "-t nope "]);
        let line = match random.below(20) {
            0..=3 => format!("-N {name}"),
            4..=5 => format!("-A {name} -j {other}"),
            6 => format!("-A {name} -g {other}"),
            7 => format!("-X {name}"),
            8 => format!("-E {name} {other}"),
            9 => format!("-F {name}"),
            10 => format!("-Z {name} {number}"),
            11 => format!("-L {name} {number} -n"),
            12 => format!("-S {name} {number}"),
            13 => format!(
                "-P {name} {}",
                pick(random, &["ACCEPT", "DROP", "RETURN", "QUEUE", "accept", "''", other])
            ),
            14 => format!("-D {name} {number}"),
            15 => format!("-R {name} {number} -j {other}"),
            16 => format!("-I {name} {number} -j {other}"),
            17 => format!("-C {name} -j {other}"),
            18 => format!("-D {name} -j {other}"),
            _ => pick(random, &["-X", "-F", "-Z", "-S", "-L"]).to_owned(),
        };
        steps.push(step(&format!("{table}{line}")));
    }
}

/// A target's name is none for a chain.
fn any_name(random: &mut Random) -> &'static str {
    match random.below(9) {
        0 => any_target(random).0.name,
        _ => pick(random, NAMES),
    }
}

/// The tool's own options in odd places, twice, and with a `!`.
fn forms(random: &mut Random, steps: &mut Vec<Step>) {
    steps.extend(["-N a", "-A INPUT -j a", "-A INPUT -s 10.0.0.1 -j DROP -c 3 4"].map(step));
    for _ in 0..18 {
        let mut parts = vec![pick(random, VERBS).to_owned()];
        for _ in 0..random.below(4) {
            let (of_match, target) = (any_match(random).0.name, any_target(random).0.name);
            parts.push(match random.below(40) {
                0 => format!("-m {of_match}"),
                1 => format!("-j {target} -j {target}"),
                _ => pick(random, PARTS).to_owned(),
            });
        }
        if random.below(3) == 0 {
            let at = random.below(parts.len() as u32) as usize;
            let part = parts.remove(at);
            parts.push(part);
        }
        steps.push(step(&parts.join(" ")));
    }
}

/// Tables and chains, and spellings of rules that fit in them, of what the tool itself knows. What extensions know their specs say.
#[rustfmt::skip]
const SPELLINGS: &[(&[&str], &[&str])] = &[
    (&["filter", "mangle", "raw"], &[
        "VERB OUTPUT -s 10.0.0.1", "VERB OUTPUT -s 10.0.0.1/32", "VERB OUTPUT -s 10.0.0.1/255.255.255.255", "VERB OUTPUT --source 10.0.0.1",
        "VERB OUTPUT ! -s 10.0.0.1", "VERB OUTPUT -s 10.0.0.1 -d 0/0", "VERB OUTPUT -s 10.0.0.1 -d 1.2.3.4/0", "VERB OUTPUT -d 10.0.0.1",
        "VERB OUTPUT -s 10.0.0.1 -p all", "VERB OUTPUT -s 10.0.0.1 -o +", "VERB OUTPUT -s 0xa000001", "VERB OUTPUT -s 10.1",
        "VERB OUTPUT -s 10.0.0.1,10.0.0.2", "VERB OUTPUT -s 10.0.0.2,10.0.0.1", "VERB OUTPUT -s 10.0.0.2", "VERB OUTPUT -s 10.0.0.1,10.0.0.1",
    ]),
    (&["filter"], &[
        "VERB INPUT -j a", "VERB INPUT -g a", "VERB INPUT -j b", "VERB INPUT", "VERB INPUT -j ACCEPT", "VERB INPUT -j DROP", "VERB INPUT -j RETURN", "VERB INPUT -j QUEUE",
        "VERB a -j b", "VERB a", "VERB nope", "VERB INPUT -j nope", "VERB INPUT -j OUTPUT", "VERB INPUT -g OUTPUT",
    ]),
    (&["filter"], &[
        "VERB FORWARD -i eth0", "VERB FORWARD -i eth+", "VERB FORWARD -i eth0+", "VERB FORWARD ! -i eth0", "VERB FORWARD -i +", "VERB FORWARD", "VERB FORWARD -i eth0 -o +",
        "VERB FORWARD -o eth0", "VERB FORWARD -f", "VERB FORWARD ! -f", "VERB FORWARD -f -i eth0", "VERB FORWARD -i eth", "VERB FORWARD ! -i +",
    ]),
];
const TAILS: &[&str] = &[
    "",
    "",
    "",
    "",
    "",
    " -c 5 6",
    " -j ACCEPT",
    " -v",
    " -n",
    " -m comment --comment z",
];
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "a", "a", "a", "b", "b", "c", "INPUT", "OUTPUT", "PREROUTING", "ACCEPT", "DROP", "QUEUE", "RETURN", "-a", "!a", "'a b'", "''",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "é", "a/b", "a.b", "a:b", "#a", "[a", "*a", "a\"b", "0", "1", "tcp", "accept", "ERROR", "input",
];
const NUMBERS: &[&str] = &[
    "",
    "",
    "1",
    "1",
    "2",
    "3",
    "0",
    "-1",
    "x",
    "1x",
    "0x1",
    "01",
    "99",
    "4294967295",
    "4294967296",
    "2147483648",
    "''",
    "' 1'",
    "+1",
    "!",
];
#[rustfmt::skip]
const VERBS: &[&str] = &[
    "-A INPUT", "-A INPUT -j ACCEPT", "-I INPUT", "-I INPUT 2", "-D INPUT 1", "-D INPUT", "-R INPUT 1", "-R INPUT", "-C INPUT", "-L", "-L INPUT", "-L INPUT 1", "-S", "-S INPUT 1",
    "-F", "-F a", "-Z", "-Z INPUT", "-Z INPUT 1", "-N z", "-X", "-X a", "-E a z", "-P INPUT DROP", "-P INPUT", "-A FORWARD", "-A OUTPUT", "", "--append INPUT", "--list",
    "--list-rules", "--new z", "--new-chain=z", "--delete INPUT 1", "--delete-chain", "--flush", "--zero", "--policy INPUT ACCEPT", "--rename-chain a z", "-AINPUT", "-LINPUT", "-SINPUT", "-nvL", "-vnxL",
    "-nL --line", "-t filter -A INPUT", "-tfilter -S", "-tnat -S",
];
#[rustfmt::skip]
const PARTS: &[&str] = &[
    "-w", "-w 1", "-w1", "-w x", "-w 1.5", "-w -1", "-w -W 100", "-W 100", "-W", "-w -W x", "-w -W 1000000", "--wait", "--wait=1", "--wait 1", "-c 1 2", "-c 1,2", "-c 1", "-c", "-c 1 x", "-c x 1",
    "-c 1,x", "-c ,1", "-c 1,", "-c -1 2", "-c 0x10 010", "-c 18446744073709551615 1", "-c 18446744073709551616 1", "-c 1 2 3", "--set-counters 1 2", "-4", "-6", "--ipv4", "--ipv6", "-V", "--version",
    "! -V", "-M /bin/false", "--modprobe=/bin/false", "--modprobe", "-f", "! -f", "-f !", "-f -f", "! ! -f", "--fragments", "-n", "-n -n", "-v", "-v -v", "-x", "-x -x", "--line-numbers", "--line",
    "--line-numbers --line-numbers", "-t filter", "-t nat", "-t filter -t nat", "-t", "-t ''", "! -t filter", "-p tcp", "! -p tcp", "-p ! tcp", "-p tcp -p tcp", "-p tcp !", "-s 1.1.1.1", "! -s 1.1.1.1",
    "-s ! 1.1.1.1", "-s 1.1.1.1 -s 2.2.2.2", "-s", "--src 1.1.1.1", "--source=1.1.1.1", "--dst 1.1.1.1", "-d 1.1.1.1/24", "-i lo", "! -i lo", "-i ! lo", "-i lo -i lo", "-o lo", "! -o lo", "-i ''", "-ilo",
    "-i", "-j ACCEPT", "-j DROP", "! -j DROP", "-j ! DROP", "-j DROP -j DROP", "-j a", "-g a", "-j a -g a", "-g a -j a", "-g DROP", "-g INPUT", "-j INPUT", "-j", "-j ''", "-jDROP", "--jump=DROP", "--goto=a", "--goto a",
    "-m tcp", "! -m tcp", "-m", "-m ''", "-mtcp", "!", "! !", "--", "-", "x", "''", "-q", "--nope", "--nope=1", "-0", "-1", "--proto tcp", "--in-interface lo",
    "--in lo", "--out lo", "--num", "--exact", "--verb", "--frag", "--match tcp", "--tab nat", "--tab", "--s 1.1.1.1", "--so 1.1.1.1", "--p tcp", "--pro tcp", "--line=1", "--exact=1", "-L", "-S", "-Z", "-A INPUT",
    "-Z INPUT", "-L INPUT", "-N q", "-X", "-F",
];
