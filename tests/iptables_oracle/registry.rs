//! A walk over the registry: every option of every match and target in every form that a command line can give it.

use nflab::base::{Family, Random};
use nflab::ext::option::{OptionSpec, ValueKind};
use nflab::ext::samples::{Samples, Taken};
use nflab::ext::{MATCHES, MatchSpec, TARGETS, TargetSpec};

use super::Step;
use super::values::{self, any_match, any_target, pick, right, words_of};

/// A few of all the forms, side by side in one scenario.
pub(crate) fn scenario(random: &mut Random) -> Vec<Step> {
    (0..20)
        .map(|_| {
            let (of_match, target) = (any_match(random), any_target(random));
            let (extension, mut random) = match random.below(2) {
                0 => (Extension::of_match(of_match.0), of_match.1),
                _ => (Extension::of_target(target.0), target.1),
            };
            let forms = extension.forms(&mut random);
            let mut form = forms[random.below(forms.len() as u32) as usize].clone();
            form.retain(|word| word != NOTHING);
            Step::iptables(form)
        })
        .collect()
}

/// The samples of the specs: each as a rule in its place, then the table as it is saved and listed, or the tool's words. Each in its families.
pub(crate) fn samples() -> Vec<Vec<Step>> {
    let of_both = extensions().flat_map(|it| it.families.iter().map(move |family| (it, *family)));
    of_both.flat_map(|(it, family)| samples_of(it, family)).collect()
}

fn samples_of(extension: Extension, family: Family) -> Vec<Vec<Step>> {
    let mut scenarios = Vec::new();
    let Samples {
        place, taken, refused, ..
    } = extension.samples;
    let (table, chain) = *place;
    let add = |before: &str, typed: &str| {
        let words = format!("-t {table} -A {chain} {before} {} {}", extension.letter, extension.name);
        let mut words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        words.extend(words_of(typed));
        Step::iptables(words).of(family)
    };
    let taken: Vec<&Taken> = taken.iter().filter(|it| it.is_of(family)).collect();
    for some in taken.chunks(10) {
        let mut steps: Vec<Step> = some.iter().map(|it| add(it.before, it.typed)).collect();
        for print in ["-S", "-L -n", "-L"] {
            steps.push(super::step(&format!("-t {table} {print}")).of(family));
        }
        scenarios.push(steps);
    }
    // The real tool has what is not there yet.
    let refused = refused
        .iter()
        .filter(|it| it.is_of(family) && !it.said.contains("is not there yet"));
    scenarios.push(refused.map(|it| add(it.before, it.typed)).collect());
    scenarios
}

#[derive(Clone, Copy)]
struct Extension {
    letter: &'static str,
    name: &'static str,
    aliases: &'static [&'static str],
    options: &'static [OptionSpec],
    samples: &'static Samples,
    families: &'static [Family],
}

fn extensions() -> impl Iterator<Item = Extension> {
    let matches = MATCHES.iter().map(|spec| Extension::of_match(spec));
    matches.chain(TARGETS.iter().map(|spec| Extension::of_target(spec)))
}

type Words = Vec<String>;

impl Extension {
    fn of_match(spec: &'static MatchSpec) -> Self {
        Self {
            letter: "-m",
            name: spec.name,
            aliases: spec.aliases,
            options: spec.options,
            samples: &spec.samples,
            families: spec.families,
        }
    }

    fn of_target(spec: &'static TargetSpec) -> Self {
        Self {
            letter: "-j",
            name: spec.name,
            aliases: &[],
            options: spec.options,
            samples: &spec.samples,
            families: spec.families,
        }
    }

    fn forms(&self, random: &mut Random) -> Vec<Words> {
        let options: Vec<&OptionSpec> = self
            .options
            .iter()
            .filter(|spec| !matches!(spec.value, ValueKind::Refused { .. }))
            .collect();
        let mut forms = self.nameless(random);
        if options.is_empty() {
            return forms;
        }
        // One option stands for its fellows: all of them at once would be thousands for one pick.
        let spec = pick(random, &options);
        let given = |random: &mut Random, spec: &OptionSpec| {
            let mut words = vec![format!("--{}", spec.name)];
            words.extend((0..spec.value.arity()).map(|_| right(random, spec, self.samples)));
            words
        };
        // With a fitting protocol and place, and whatever else the extension needs.
        let around = |random: &mut Random, middle: Words| {
            let mut form = self.head(random);
            for other in options.iter().filter(|it| it.required && it.name != spec.name) {
                form.extend(given(random, other));
            }
            form.extend(middle);
            form
        };
        for value in values::all(spec, self.samples) {
            let mut middle = vec![format!("--{}", spec.name)];
            if spec.value.arity() > 0 {
                middle.push(value.clone());
            }
            if spec.value.arity() > 1 {
                middle.push(right(random, spec, self.samples));
            }
            let inverted = std::iter::once("!".to_owned()).chain(middle.clone()).collect();
            forms.push(around(random, middle));
            forms.push(around(random, inverted));
            forms.push(around(random, vec![format!("--{}={value}", spec.name)]));
        }
        for name in spec.names() {
            for end in 1..=name.len() {
                let mut middle = vec![format!("--{}", &name[..end])];
                middle.extend((0..spec.value.arity()).map(|_| right(random, spec, self.samples)));
                forms.push(around(random, middle));
            }
            // No argument: at the end, before an option, before a `!`.
            for after in ["", "-v", "-j ACCEPT", "! -f", "!", "--", "-"] {
                let mut middle = vec![format!("--{name}")];
                middle.extend(after.split_whitespace().map(str::to_owned));
                forms.push(around(random, middle));
            }
        }
        for other in &options {
            let one = given(random, spec);
            let two = given(random, other);
            let not = ["!".to_owned()];
            for middle in [
                [&one[..], &two].concat(),
                [&two[..], &one].concat(),
                [&not[..], &one, &two].concat(),
                [&one[..], &not, &two].concat(),
                // The old place of `!`, behind the option.
                [&one[..1], &not, &one[1..]].concat(),
                [&not[..], &not, &one].concat(),
                [&one[..], &not].concat(),
            ] {
                forms.push(around(random, middle));
            }
        }
        // Before the extension is loaded, without it, loaded twice, and with one that has the same names.
        let one = given(random, spec);
        let mut head = self.head(random);
        let loading = head.split_off(head.len() - 2);
        forms.push([&head[..], &one, &loading].concat());
        forms.push([&head[..], &one].concat());
        forms.push([&head[..], &loading, &one, &loading, &one].concat());
        forms.push([&head[..], &loading, &loading, &one].concat());
        let other = any_match(random).0;
        forms.push([&head[..], &["-m".to_owned(), other.name.to_owned()], &loading, &one].concat());
        forms.push([&head[..], &loading, &["-m".to_owned(), other.name.to_owned()], &one].concat());
        forms
    }

    /// The name alone, misspelt, and in every place.
    fn nameless(&self, random: &mut Random) -> Vec<Words> {
        let name = self.name;
        let names = [
            name.to_owned(),
            name.to_lowercase(),
            name.to_uppercase(),
            name[..name.len() - 1].to_owned(),
            format!("{name}x"),
            format!(" {name}"),
            format!("{name} "),
            format!("!{name}"),
            format!("{name}{}", "y".repeat(29)),
            String::new(),
        ];
        let aliases = self.aliases.iter().map(|it| (*it).to_owned());
        let mut forms = Vec::new();
        for name in names.into_iter().chain(aliases) {
            for letter in ["-m", "-j", "-g", "-p"] {
                let mut form = self.head(random);
                form.truncate(form.len() - 2);
                form.extend([letter.to_owned(), name.clone()]);
                forms.push(form);
            }
            let long = if self.letter == "-m" { "match" } else { "jump" };
            forms.push([&self.head(random)[..4], &[format!("--{long}={name}")]].concat());
        }
        forms
    }

    /// Place, protocol and name.
    fn head(&self, random: &mut Random) -> Words {
        let (table, chain) = match random.below(4) {
            0 => pick(random, PLACES),
            _ => self.samples.place,
        };
        let protocol = match (random.below(4), values::taken(self.samples).first()) {
            (0, _) => pick(random, PROTOCOLS),
            (_, Some(sample)) if !sample.before.is_empty() => sample.before,
            _ => NOTHING,
        };
        let mut words: Words = ["-t", table, "-A", chain].map(str::to_owned).to_vec();
        words.extend(protocol.split(' ').map(str::to_owned));
        words.extend([self.letter.to_owned(), self.name.to_owned()]);
        words
    }
}

/// Holds the place of a protocol where there is none.
const NOTHING: &str = "(nothing)";
const PLACES: &[(&str, &str)] = &[
    ("filter", "INPUT"),
    ("filter", "FORWARD"),
    ("filter", "OUTPUT"),
    ("filter", "PREROUTING"),
    ("nat", "PREROUTING"),
    ("nat", "INPUT"),
    ("nat", "OUTPUT"),
    ("nat", "POSTROUTING"),
    ("nat", "FORWARD"),
    ("mangle", "PREROUTING"),
    ("mangle", "POSTROUTING"),
    ("raw", "PREROUTING"),
    ("raw", "OUTPUT"),
    ("raw", "INPUT"),
    ("security", "FORWARD"),
    ("security", "PREROUTING"),
    ("none", "INPUT"),
];
const PROTOCOLS: &[&str] = &[
    NOTHING,
    "-p tcp",
    "-p udp",
    "-p icmp",
    "! -p tcp",
    "-p 47",
    "-p sctp",
    "-p all",
    "-p 0",
    "-p TCP",
    "-p 6",
    "-p 0x6",
    "-p 256",
    "-p udplite",
    "-p nope",
    "-p ''",
    "! -p all",
    "-p icmpv6",
    "-p tcp -p udp",
];
