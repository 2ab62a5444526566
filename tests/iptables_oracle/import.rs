//! Import against the real tool: random rules over the whole registry are listed and printed by the real iptables, imported, restored into the
//! real iptables in another namespace, and listed again. The texts must be the same but for what [`NOT_TOLD`] names.

use nflab::base::{Family, Random};
use nflab::ext::option::{OptionSpec, ValueKind};
use nflab::ext::samples::Samples;
use nflab::import::{self, Import, Input, Options};
use nflab::syntax::problem::Source;
use nflab::text::StaticHosts;

use super::fresh_seed::fresh_seed;
use super::values::{any_match, any_target, pick, right};
use super::{Step, Tool, compare, number, real, six, step, words};

/// What a listing, or `-S`, does not tell of a rule, so that it is refused or comes back as another.
struct NotTold {
    what: &'static str,
    why: &'static str,
    /// The line as it was printed at first.
    is: fn(&str) -> bool,
}

const NOT_TOLD: &[NotTold] = &[
    NotTold {
        what: "text that holds a line's end, or another control character",
        why: "a comment may hold any byte, and a listing prints it as it is: the rule goes on in a line that looks like a rule of its own; \
              iptables-restore has no way to say it either",
        is: |line| {
            let open = line.replace("\\\"", "").matches('"').count() % 2 == 1;
            let is_cut = line.matches("/*").count() > line.matches("*/").count() || line.rfind("/*") > line.rfind("*/");
            open || line.contains(|it: char| it.is_control()) || is_cut
        },
    },
    NotTold {
        what: "the base of a shifted range of ports that SNAT or MASQUERADE lost",
        why: "the tool prints it as 0, and takes no 0",
        is: |line| {
            line.contains("/0") && (line.contains("to:") || line.contains("masq ports:") || line.contains("--to-"))
        },
    },
    NotTold {
        what: "ports of tracking that end at 0",
        why: "20:0 is printed as 20",
        is: |line| line.contains("srcport") || line.contains("dstport"),
    },
    NotTold {
        what: "the name of a helper, or of a policy of timeouts, with a blank or a quote, which -j CT --notrack may have",
        why: UNQUOTED,
        is: has_odd_name_of_tracking,
    },
    NotTold {
        what: "the interface +",
        why: "-L shows it, but iptables-save prints nothing for it: a save file says any interface, even where + was denied",
        is: |line| line.contains(" +  ") || line.contains(" !+ "),
    },
    NotTold {
        what: "a denied match for any number, of ports or of an extension header",
        why: "-L shows it, but iptables-save prints nothing for it, so a save file says the contrary",
        is: |line| ["s:!0:65535", "s:!0:4294967295"].iter().any(|any| line.contains(any)),
    },
    NotTold {
        what: "a range of ICMP codes",
        why: "-L shows it, but iptables-save prints only its first code",
        is: |line| line.contains(" codes "),
    },
    NotTold {
        what: "the name of a list of recent with a blank or a quote",
        why: UNQUOTED,
        is: |line| {
            let listed = line.split(" name: ").nth(1).and_then(|it| it.split(" side: ").next());
            let saved = line.split(" --name ").nth(1).and_then(|it| it.split(" --mask ").next());
            listed.or(saved).is_some_and(|name| name.contains([' ', '"']))
        },
    },
    NotTold {
        what: "flags of TCP of which none is asked for (`--tcp-flags NONE SYN`)",
        why: "nothing is printed of them, but the kernel takes TCPMSS for their sake",
        is: |line| line.contains("TCPMSS") && !line.contains("flags") && !line.contains("--syn"),
    },
    NotTold {
        what: "days of -m time that none is (`--weekdays 8`), or that all are and one more (`! --monthdays 0`)",
        why: "of the first nothing is printed, which iptables-restore does not take; the second are printed as all days, which are saved as none",
        is: |line| {
            let has_all = |first: &str, last: &str| line.contains(first) && line.contains(last);
            line.contains("days  ")
                || line.contains(" on  ")
                || line.ends_with(" on ")
                || has_all("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,", "26,27,28,29,30,31")
                || has_all(
                    "1st,2nd,3rd,4th,5th,6th,7th,8th,9th,10th,11st,12nd,",
                    "26th,27th,28th,29th,30th,31st",
                )
        },
    },
    NotTold {
        what: "the name of a table of hashlimit with a blank or a quote",
        why: UNQUOTED,
        is: |line| {
            let mut said = line.split(" --hashlimit-name ").skip(1);
            said.any(|name| {
                let mut words = name.split(' ');
                let is_quoted = words.next().is_some_and(|word| word.contains('"'));
                is_quoted || words.next().is_some_and(|word| !word.starts_with('-'))
            })
        },
    },
    NotTold {
        what: "more seconds of recent than 2147483647",
        why: "-L and iptables-save print a negative number, which iptables-restore does not take",
        is: |line| line.contains("seconds: -") || line.contains("--seconds -"),
    },
];

fn has_odd_name_of_tracking(line: &str) -> bool {
    let saved = line.split_once(" -j CT ").map(|(_, options)| (options, "--"));
    let listed = line.split_once(" CT notrack ").map(|(_, options)| (options, ""));
    let Some((options, dashes)) = saved.or(listed) else {
        return false;
    };
    let options = format!(" {options}");
    ["helper", "timeout"].iter().any(|option| {
        let Some((_, said)) = options.split_once(&format!(" {dashes}{option} ")) else {
            return false;
        };
        let others = ["timeout", "ctevents", "expevents", "zone", "zone-orig", "zone-reply"];
        let behind = others.iter().filter_map(|it| said.find(&format!(" {dashes}{it} ")));
        said[..behind.min().unwrap_or(said.len())].contains([' ', '"'])
    })
}

const UNQUOTED: &str = "iptables-save prints it without quotes, so that iptables-restore reads another word, or none";

/// Finds again what was found.
#[test]
fn import_from_the_fixed_seed() {
    from_seed(1, number("ORACLE_COUNT").unwrap_or(12));
}

/// Finds more.
#[test]
fn import_from_a_fresh_seed() {
    let seed = number("ORACLE_SEED").unwrap_or_else(fresh_seed);
    from_seed(seed, number("ORACLE_COUNT").unwrap_or(12));
}

#[test]
fn every_reason_is_said() {
    for it in NOT_TOLD {
        assert!(!it.what.is_empty() && !it.why.is_empty());
        assert!(
            !(it.is)("ACCEPT     0    --  *      *       0.0.0.0/0            0.0.0.0/0"),
            "{}",
            it.what
        );
    }
}

fn from_seed(seed: u64, count: u64) {
    if !compare::can("import") {
        return;
    }
    let mut random = Random::new(seed);
    let mut figures = Figures::default();
    let mut wrong = String::new();
    for _ in 0..count {
        for family in Family::ALL {
            let made = commands(&mut random, family);
            for form in FORMS {
                one((family, form), &made, &mut figures, &mut wrong);
            }
        }
    }
    println!("import (ORACLE_SEED={seed} ORACLE_COUNT={count}): {figures:?}");
    assert!(wrong.is_empty(), "ORACLE_SEED={seed} ORACLE_COUNT={count}\n{wrong}");
    assert!(
        figures.rules.iter().all(|rules| *rules > 20 * count as usize),
        "hardly a rule was taken: {figures:?}"
    );
}

#[derive(Debug, Default)]
struct Figures {
    /// By family.
    rules: [usize; 2],
    lines_compared: usize,
    tables_compared: usize,
    /// By `NOT_TOLD`.
    not_told: [usize; NOT_TOLD.len()],
}

impl Figures {
    /// True where a reason is known, which is counted.
    fn excused(&mut self, lines: &[&str]) -> bool {
        let reason = NOT_TOLD.iter().position(|it| lines.iter().any(|line| (it.is)(line)));
        if let Some(reason) = reason {
            self.not_told[reason] += 1;
        }
        reason.is_some()
    }
}

const FORMS: [&str; 2] = ["-L -n -v -x --line-numbers", "-S -v"];
const TABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];

/// What was printed how: the family, and the words behind its tool's name.
type Form = (Family, &'static str);

/// Lists what the commands made, imports it, restores it, lists it again.
fn one(form: Form, made: &[Step], figures: &mut Figures, wrong: &mut String) {
    let mut before = printed(made, form);
    figures.rules[form.0 as usize] += before.iter().map(|(_, text)| rules_of(text)).sum::<usize>();
    // A line that can't be told takes its table with it; the other tables go on.
    loop {
        if before.is_empty() {
            return;
        }
        let import = imported(form, &before);
        if let Some(refused) = import.refused.first() {
            let all = together(form, &before);
            let line = refused
                .lines
                .first()
                .map_or("", |at| all.lines().nth(at - 1).unwrap_or_default());
            let place = table_at(form, &before, refused.lines.first().copied().unwrap_or(1));
            // What goes on in another line is refused there.
            let above = all
                .lines()
                .nth(refused.lines.first().map_or(0, |at| at.saturating_sub(2)))
                .unwrap_or_default();
            if !figures.excused(&[line, above]) {
                *wrong += &format!("refused: {line}\n    {}\n", refused.text);
            }
            before.remove(place);
            continue;
        }
        let save = import.save(form.0).unwrap_or_default().to_owned();
        let steps = [Step::restore("-c", save.clone()).of(form.0)];
        let tables: Vec<&str> = before.iter().map(|(table, _)| *table).collect();
        let seen = run_and_print(&steps, form, &tables);
        figures.tables_compared += before.len();
        for ((table, old), new) in before.iter().zip(&seen) {
            differences(table, old, new, &save, figures, wrong);
        }
        return;
    }
}

fn differences(table: &str, old: &str, new: &str, save: &str, figures: &mut Figures, wrong: &mut String) {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    for (at, line) in old.iter().enumerate() {
        figures.lines_compared += 1;
        let other = new.get(at).copied().unwrap_or("(nothing)");
        if *line == other {
            continue;
        }
        if !figures.excused(&[line]) {
            *wrong += &format!("{table}: {line}\n     is: {other}\n");
            if other == "(nothing)" {
                *wrong += save;
                return;
            }
        }
    }
}

fn rules_of(text: &str) -> usize {
    text.lines()
        .filter(|line| line.starts_with(|it: char| it.is_ascii_digit()) || line.starts_with("-A"))
        .count()
}

fn imported(form: Form, texts: &[(&str, String)]) -> Import {
    let source = Source {
        name: "text".to_owned(),
        text: together(form, texts),
    };
    let options = Options {
        table: None,
        family: None,
        hosts: StaticHosts::none(),
    };
    import::read(&[Input { source, kind: None }], &options)
}

/// What one pastes: the real tool's listing of random rules.
pub(crate) fn listed(random: &mut Random, family: Family) -> String {
    let form = (family, pick(random, &FORMS));
    together(form, &printed(&commands(random, family), form))
}

/// As one would paste them.
fn together((family, form): Form, texts: &[(&str, String)]) -> String {
    texts
        .iter()
        .map(|(table, text)| format!("# {} -t {table} {form}\n{text}\n", tool(family)))
        .collect()
}

pub(crate) fn tool(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    }
}

fn table_at(form: Form, texts: &[(&str, String)], line: usize) -> usize {
    let mut end = 0;
    for (at, text) in texts.iter().enumerate() {
        end += together(form, std::slice::from_ref(text)).lines().count();
        if line <= end {
            return at;
        }
    }
    texts.len() - 1
}

/// The tables that hold something.
fn printed(made: &[Step], form: Form) -> Vec<(&'static str, String)> {
    let texts = run_and_print(made, form, &TABLES);
    TABLES
        .into_iter()
        .zip(texts)
        .filter(|(_, text)| rules_of(text) > 0)
        .collect()
}

fn run_and_print(steps: &[Step], (family, form): Form, tables: &[&str]) -> Vec<String> {
    let mut all = steps.to_vec();
    for table in tables {
        all.push(Step::iptables(words(&format!("-t {table} {form}"))).of(family));
    }
    let seen = real::run(&all);
    if let [
        Step {
            tool: Tool::Restore(_), ..
        },
    ] = steps
        && seen[0].code != 0
    {
        return tables
            .iter()
            .map(|_| format!("iptables-restore: {}", seen[0].err))
            .collect();
    }
    seen[steps.len()..].iter().map(|it| it.out.clone()).collect()
}

/// Rules over the whole registry, plausible so that most are taken.
fn commands(random: &mut Random, family: Family) -> Vec<Step> {
    let mut all = Vec::new();
    for table in TABLES {
        for chain in CHAINS {
            all.push(step(&format!("-t {table} -N {chain}")));
        }
    }
    all.push(step("-P FORWARD DROP"));
    for _ in 0..60 {
        all.push(Step::iptables(rule(random, family)));
    }
    all.into_iter().map(|step| step.of(family)).collect()
}

pub(crate) const CHAINS: [&str; 3] = ["web", "log_and_drop", "a-chain-with-a-longer-name"];

/// A rule's words, with addresses of its family.
pub(crate) fn rule(random: &mut Random, family: Family) -> Vec<String> {
    six::drawn(family, || drawn_rule(random))
}

fn drawn_rule(random: &mut Random) -> Vec<String> {
    let (target, mut of_target) = any_target(random);
    let (table, built_in) = match target.samples.place {
        ("filter", _) => ("filter", pick(random, &["INPUT", "FORWARD", "OUTPUT"])),
        place => place,
    };
    let (table, target) = match random.below(3) {
        0 => (pick(random, &TABLES), None),
        _ => (table, Some(target)),
    };
    let chain = match random.below(3) {
        0 => pick(random, &CHAINS),
        _ => built_in,
    };
    let mut words: Vec<String> = ["-t", table, "-A", chain].map(str::to_owned).to_vec();
    let mut say = |random: &mut Random, option: &str, values: &[&str], one_in: u32| {
        if random.below(one_in) != 0 {
            return;
        }
        if random.below(4) == 0 {
            words.push("!".to_owned());
        }
        words.push(option.to_owned());
        if !values.is_empty() {
            words.push(pick(random, values).to_owned());
        }
    };
    say(
        random,
        "-s",
        &["10.0.0.1", "10.0.0.0/8", "10.1.2.3/255.0.255.0", "0/0", "1.2.3.4/31"],
        3,
    );
    say(
        random,
        "-d",
        &["192.0.2.1", "192.0.2.0/24", "0/1", "255.255.255.255"],
        3,
    );
    say(random, "-i", &["lo", "eth0", "eth+", "+", "a-long-ifname", "br-1.2"], 4);
    say(random, "-o", &["lo", "ppp+", "wlan0"], 5);
    say(
        random,
        "-p",
        &["tcp", "tcp", "tcp", "udp", "icmp", "47", "sctp", "esp", "99"],
        2,
    );
    say(random, "-f", &[], 12);
    if !words.contains(&"-p".to_owned()) && random.below(2) == 0 {
        words.extend(["-p", "tcp"].map(str::to_owned));
    }
    for _ in 0..random.below(3) {
        let (spec, mut own) = any_match(random);
        words.extend(["-m".to_owned(), spec.name.to_owned()]);
        options(&mut own, spec.options, &spec.samples, &mut words);
    }
    if random.below(4) == 0 {
        words.extend(["-c", "12", "3400000000"].map(str::to_owned));
    }
    match (target, random.below(8)) {
        (None, 0) => {}
        (None, 1..=2) => words.extend(["-g".to_owned(), pick(random, &CHAINS).to_owned()]),
        (None, 3..=4) => words.extend(["-j".to_owned(), pick(random, &CHAINS).to_owned()]),
        (None, _) => words.extend([
            "-j".to_owned(),
            pick(random, &["ACCEPT", "DROP", "RETURN", "QUEUE"]).to_owned(),
        ]),
        (Some(spec), _) => {
            words.extend(["-j".to_owned(), spec.name.to_owned()]);
            options(&mut of_target, spec.options, &spec.samples, &mut words);
        }
    }
    words
}

fn options(random: &mut Random, specs: &'static [OptionSpec], samples: &Samples, words: &mut Vec<String>) {
    let known: Vec<&OptionSpec> = specs
        .iter()
        .filter(|it| !matches!(it.value, ValueKind::Refused { .. }))
        .collect();
    for spec in &known {
        let wanted = spec.required || random.below(known.len() as u32) < 2;
        if !wanted {
            continue;
        }
        if spec.invert && random.below(4) == 0 {
            words.push("!".to_owned());
        }
        words.push(format!("--{}", spec.name));
        for _ in 0..spec.value.arity() {
            // What a listing tells badly comes more often than it would.
            words.push(match (spec.name, random.below(4)) {
                ("icmp-type", 0) => "3/0:5".to_owned(),
                ("comment", 0) => pick(random, &["two\nlines", "a */ b", "/* a", " */ tcp dpt:80 /* "]).to_owned(),
                ("sport" | "dport", 0) => ":".to_owned(),
                _ => right(random, spec, samples),
            });
        }
    }
}
