//! The grammar as it is written: every name is defined, every option of the tool and every word of the lab stands in it, and sentences
//! derived from it are understood by the parsers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nflab::TOOLBOX;
use nflab::base::{Family, Random};
use nflab::explain::describe::icmp;
use nflab::ext::{MATCHES, TARGETS};
use nflab::lab::script::{OWN_WORDS, parse_text};
use nflab::lab::send::PACKET_OPTIONS;
use nflab::suite::{self, Choice, FILE_WORDS};
use nflab::text::command::{self, Context};
use nflab::text::options::LONG;
use nflab::text::{Failure, Program, StaticHosts};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

#[test]
fn every_name_is_defined_and_used() {
    let grammar = Grammar::read();
    let mut used = BTreeSet::new();
    for form in grammar.rules.values() {
        form.names(&mut used);
    }
    let defined: BTreeSet<&String> = grammar.rules.keys().collect();
    let undefined: Vec<_> = used.iter().filter(|name| !defined.contains(name)).collect();
    assert!(undefined.is_empty(), "used and not defined: {undefined:?}");
    let tops = [
        "command",
        "refused flag",
        "restore line",
        "script line",
        "test file line",
        "table head",
        "case",
    ];
    let unused: Vec<_> = defined
        .iter()
        .filter(|name| !used.contains(**name) && !tops.contains(&name.as_str()))
        .collect();
    assert!(unused.is_empty(), "defined and not used: {unused:?}");
}

#[test]
fn every_option_and_every_word_stands_in_it() {
    let grammar = Grammar::read();
    let mut literals = BTreeSet::new();
    for form in grammar.rules.values() {
        form.literals(&mut literals);
    }
    for (name, letter) in LONG {
        let (long, short) = (format!("--{name}"), format!("-{letter}"));
        assert!(literals.contains(&long), "{long}");
        assert!(*letter == '0' || literals.contains(&short), "{short}");
    }
    // What packets are written with, and the tools.
    let kinds = Family::ALL.into_iter().flat_map(icmp::words);
    for word in PACKET_OPTIONS
        .iter()
        .copied()
        .flatten()
        .copied()
        .chain(kinds)
        .chain(TOOLBOX.names.iter().copied())
    {
        assert!(literals.contains(word), "{word}");
    }
    let of_test_files = FILE_WORDS.iter().map(|(name, ..)| *name);
    for name in OWN_WORDS.iter().map(|own| own.name).chain(of_test_files) {
        assert!(literals.contains(name), "{name}");
    }
}

/// What a grammar without context cannot know, besides what the extensions' samples are refused for: options that exclude one another, need one another or come twice; where an extension or an
/// option may stand; bounds.
const MEANING: &[&str] = &[
    "can only be used once",
    "cannot be used together",
    "must be specified",
    "or out of range (",
    "multiple -",
    "! not allowed with multiple source or destination IP addresses",
    "Replacement rule does not specify a unique address",
    "Illegal option `-c' with this command",
    "limit-iface-",
    "multiport needs `-p tcp'",
    "Need TCP, UDP, SCTP or DCCP with port specification",
    "rule would never match protocol",
    "Can't use -",
    "The \"nat\" table is not intended for filtering",
    "invalid portrange (min > max)",
    // A service that the protocol has not, or where none may stand.
    "invalid port/service `",
    "Port `",
    "bad rate \"0",
    // `--to-destination` takes an address, a port or both; the grammar says that either may be missing.
    "Bad IP address \"\"",
    // What is of one family, in a command that an extension of the other makes that one's.
    "`-f' is not supported in IPv6",
    "unknown option \"--fragment",
    "host/network `",
    "unknown reject type \"icmp6-",
    // The last of several queues comes behind the first.
    " should be less than ",
];

#[test]
fn sentences_of_commands_are_understood() {
    let grammar = Grammar::read();
    let mut deriver = Deriver::new(&grammar, 7);
    let matches = MATCHES.iter().map(|it| &it.samples);
    let samples = matches.chain(TARGETS.iter().map(|it| &it.samples));
    let said: Vec<&str> = samples.flat_map(|it| it.refused).map(|it| it.said.trim_end()).collect();
    let meaning: Vec<&str> = MEANING.iter().copied().chain(said).collect();
    let (mut taken, mut strange) = (0, BTreeMap::new());
    for _ in 0..SENTENCES {
        let words = deriver.sentence("command");
        match parse(&words) {
            Ok(()) => taken += 1,
            // Of both families at once.
            Err(_) if [Family::V4, Family::V6].iter().all(|it| has_one_only_of(*it, &words)) => {}
            Err(failure) => {
                let text = failure.text(Program::Iptables(Family::V4), None);
                if !meaning.iter().any(|part| text.contains(part)) {
                    strange.entry(text).or_insert(words.join(" "));
                }
            }
        }
    }
    assert!(strange.is_empty(), "not understood: {strange:#?}");
    assert!(
        taken * 3 > SENTENCES,
        "only {taken} of {SENTENCES} sentences were taken"
    );
}

#[test]
fn cases_of_tables_are_read() {
    let grammar = Grammar::read();
    let mut deriver = Deriver::new(&grammar, 17);
    let mut text = String::from("table all\n  from to service verdict\n");
    let mut cases = BTreeSet::new();
    while cases.len() < 500 {
        let words = deriver.sentence("case");
        // The same case twice is refused, whatever verdict it has.
        if cases.insert(words[..3].to_vec()) {
            text.push_str(&format!("  {}\n", words.join(" ")));
        }
    }
    text.push_str("end\n");
    let mut reader = |path: &Path| match path.to_str() {
        Some("t") => Ok(text.clone()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let suite = suite::read(Path::new("t"), &mut reader, TOOLBOX, &Choice::default());
    assert_eq!(suite.unwrap_or_else(|error| panic!("{error}")).tests.len(), 500);
}

/// Each option of each extension for itself: some sentence with it is taken whole.
#[test]
fn every_option_of_an_extension_can_be_typed() {
    let grammar = Grammar::read();
    let mut deriver = Deriver::new(&grammar, 11);
    let mut refused = Vec::new();
    for (name, form) in &grammar.rules {
        let Some(extension) = name.strip_suffix(" option") else {
            continue;
        };
        let (flag, spelled) = match extension.split_once(' ') {
            Some(("match", spelled)) => ("-m", spelled),
            Some(("target", spelled)) => ("-j", spelled),
            _ => continue,
        };
        let alternatives = match form {
            Form::Either(forms) => forms.clone(),
            one => vec![one.clone()],
        };
        let taken = match flag {
            "-m" => MATCHES.iter().find(|it| it.name == spelled).map(|it| it.samples.taken),
            _ => TARGETS.iter().find(|it| it.name == spelled).map(|it| it.samples.taken),
        };
        let befores: Vec<&str> = taken.unwrap_or_default().iter().map(|it| it.before).collect();
        for alternative in alternatives {
            let mut last = String::new();
            let taken = (0..2_000).any(|_| {
                let before = befores[deriver.random.below(befores.len() as u32) as usize];
                let line = format!("iptables -A FORWARD {before} {flag} {spelled}");
                let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
                // An option may need others beside it: nth's round, the packet of it and the mode; or before it, as further groups do.
                let [before, behind] = [(); 2].map(|()| deriver.random.below(3));
                for _ in 0..before {
                    deriver.derive(form, &mut words);
                }
                deriver.derive(&alternative, &mut words);
                for _ in 0..behind {
                    deriver.derive(form, &mut words);
                }
                match parse(&words) {
                    Ok(()) => true,
                    Err(failure) => {
                        last = format!(
                            "{}: {}",
                            words.join(" "),
                            failure.text(Program::Iptables(Family::V4), None)
                        );
                        false
                    }
                }
            });
            if !taken {
                refused.push(last);
            }
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn sentences_of_scripts_are_read() {
    let grammar = Grammar::read();
    let mut deriver = Deriver::new(&grammar, 13);
    for _ in 0..SENTENCES {
        let line = deriver.sentence("script line").join(" ");
        if let Err(error) = parse_text("derived", &line, TOOLBOX) {
            panic!("{error}");
        }
    }
}

const SENTENCES: usize = 3000;

/// By the tool of the family whose extensions these are: the grammar has those of both.
fn parse(words: &[String]) -> Result<(), Failure> {
    let family = match has_one_only_of(Family::V6, words) {
        true => Family::V6,
        false => Family::V4,
    };
    parse_in(family, words)
}

/// Whether an extension is named that the other family has not got, or the family itself.
fn has_one_only_of(family: Family, words: &[String]) -> bool {
    let named = match family {
        Family::V4 => ["-4", "--ipv4"],
        Family::V6 => ["-6", "--ipv6"],
    };
    if words.iter().any(|word| named.contains(&word.as_str())) {
        return true;
    }
    let matches = MATCHES.iter().map(|it| (it.name, it.aliases, it.families));
    let targets = TARGETS.iter().map(|it| (it.name, &[][..], it.families));
    let mut all = matches.chain(targets).filter(|(.., families)| **families == [family]);
    all.any(|(name, aliases, _)| {
        words
            .iter()
            .any(|word| word == name || aliases.contains(&word.as_str()))
    })
}

fn parse_in(family: Family, words: &[String]) -> Result<(), Failure> {
    let context = Context {
        program: Program::Iptables(family),
        restoring: None,
        hosts: &StaticHosts::none(),
    };
    command::parse(words, context).result.map(drop)
}

/// Both files.
struct Grammar {
    rules: BTreeMap<String, Form>,
}

#[derive(Clone, Debug)]
enum Form {
    Literal(String),
    Regex(String),
    Name(String),
    Sequence(Vec<Form>),
    Either(Vec<Form>),
    Maybe(Box<Form>),
    Repeat(Box<Form>),
    /// Several with this between.
    List(Box<Form>, String),
    /// One argument.
    Joined(Box<Form>),
}

impl Grammar {
    fn read() -> Self {
        let mut rules = BTreeMap::new();
        for file in ["core.ebnf", "extensions.ebnf"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("grammar").join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            let mut reader = Reader { rest: &text, file };
            while reader.peek().is_some() {
                let name = reader.name();
                reader.expect("=");
                let form = reader.either();
                reader.expect(";");
                assert!(
                    rules.insert(name.clone(), form).is_none(),
                    "{file}: {name} is defined twice"
                );
            }
        }
        Self { rules }
    }
}

struct Reader<'a> {
    rest: &'a str,
    file: &'a str,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix("(*") {
                Some(comment) => self.rest = &comment[comment.find("*)").expect("a comment ends") + 2..],
                None => return self.rest.chars().next(),
            }
        }
    }

    fn eat(&mut self, sign: &str) -> bool {
        self.peek();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, sign: &str) {
        assert!(self.eat(sign), "{}: expected {sign} at {:.60}", self.file, self.rest);
    }

    /// Words with blanks between.
    fn name(&mut self) -> String {
        self.peek();
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || c == ' ' || c == '-' || c == '\n'))
            .unwrap_or(self.rest.len());
        let name = self.rest[..end].split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!name.is_empty(), "{}: expected a name at {:.60}", self.file, self.rest);
        self.rest = &self.rest[end..];
        name
    }

    fn either(&mut self) -> Form {
        let mut forms = vec![self.sequence()];
        while self.eat("|") {
            forms.push(self.sequence());
        }
        if forms.len() == 1 {
            forms.remove(0)
        } else {
            Form::Either(forms)
        }
    }

    fn sequence(&mut self) -> Form {
        let mut forms = vec![self.item()];
        while self.eat(",") {
            forms.push(self.item());
        }
        if forms.len() == 1 {
            forms.remove(0)
        } else {
            Form::Sequence(forms)
        }
    }

    fn item(&mut self) -> Form {
        let form = self.plain();
        if !self.eat("%") {
            return form;
        }
        match self.plain() {
            Form::Literal(between) => Form::List(Box::new(form), between),
            other => panic!("{}: {other:?} after %", self.file),
        }
    }

    fn plain(&mut self) -> Form {
        let enclosed = |reader: &mut Self, end: &str| {
            let form = reader.either();
            reader.expect(end);
            Box::new(form)
        };
        if self.eat("(") {
            *enclosed(self, ")")
        } else if self.eat("[") {
            Form::Maybe(enclosed(self, "]"))
        } else if self.eat("{") {
            Form::Repeat(enclosed(self, "}"))
        } else if self.eat("<") {
            Form::Joined(enclosed(self, ">"))
        } else if self.eat("\"") {
            Form::Literal(self.until("\""))
        } else if self.eat("?") {
            // A regular expression may hold question marks, but none between blanks.
            Form::Regex(self.until(" ?").trim().to_owned())
        } else {
            Form::Name(self.name())
        }
    }

    fn until(&mut self, end: &str) -> String {
        let at = self.rest.find(end).expect("it ends");
        let text = self.rest[..at].to_owned();
        self.rest = &self.rest[at + end.len()..];
        text
    }
}

impl Form {
    fn names(&self, into: &mut BTreeSet<String>) {
        match self {
            Self::Literal(_) | Self::Regex(_) => {}
            Self::Name(name) => {
                into.insert(name.clone());
            }
            Self::Sequence(forms) | Self::Either(forms) => forms.iter().for_each(|form| form.names(into)),
            Self::Maybe(form) | Self::Repeat(form) | Self::List(form, _) | Self::Joined(form) => form.names(into),
        }
    }

    fn literals(&self, into: &mut BTreeSet<String>) {
        match self {
            Self::Literal(text) => {
                into.insert(text.clone());
            }
            Self::Name(_) | Self::Regex(_) => {}
            Self::Sequence(forms) | Self::Either(forms) => forms.iter().for_each(|form| form.literals(into)),
            Self::Maybe(form) | Self::Repeat(form) | Self::List(form, _) | Self::Joined(form) => form.literals(into),
        }
    }
}

/// Makes sentences; the same ones for the same seed.
struct Deriver<'a> {
    grammar: &'a Grammar,
    random: Random,
    words: TestRunner,
}

impl<'a> Deriver<'a> {
    fn new(grammar: &'a Grammar, seed: u64) -> Self {
        Self {
            grammar,
            random: Random::new(seed),
            words: TestRunner::deterministic(),
        }
    }

    fn sentence(&mut self, name: &str) -> Vec<String> {
        let mut words = Vec::new();
        self.derive(&self.grammar.rules[name], &mut words);
        words
    }

    fn derive(&mut self, form: &Form, words: &mut Vec<String>) {
        match form {
            Form::Literal(text) => words.push(text.clone()),
            Form::Regex(regex) => {
                let strategy = proptest::string::string_regex(regex).unwrap_or_else(|error| panic!("{regex}: {error}"));
                words.push(strategy.new_tree(&mut self.words).unwrap().current());
            }
            Form::Name(name) => {
                let grammar = self.grammar;
                let form = grammar
                    .rules
                    .get(name)
                    .unwrap_or_else(|| panic!("{name} is not defined"));
                self.derive(form, words);
            }
            Form::Sequence(forms) => forms.iter().for_each(|form| self.derive(form, words)),
            // Each form draws from a stream of its own, and the lowest is chosen: one form more changes only where it is chosen itself.
            Form::Either(forms) => {
                let seed = self.random.next_u64();
                let draw = |form: &&Form| Random::named(seed, &format!("{form:?}"), 0).next_u64();
                let chosen = forms.iter().min_by_key(draw).expect("there are some");
                let own = Random::named(seed, &format!("{chosen:?}"), 1);
                let others = std::mem::replace(&mut self.random, own);
                self.derive(chosen, words);
                self.random = others;
            }
            Form::Maybe(form) => {
                if self.random.below(3) == 0 {
                    self.derive(form, words);
                }
            }
            Form::Repeat(form) => {
                for _ in 0..self.random.below(3) {
                    self.derive(form, words);
                }
            }
            Form::List(form, between) => {
                self.derive(form, words);
                for _ in 0..self.random.below(2) {
                    words.push(between.clone());
                    self.derive(form, words);
                }
            }
            Form::Joined(form) => {
                let mut parts = Vec::new();
                self.derive(form, &mut parts);
                words.push(parts.concat());
            }
        }
    }
}
