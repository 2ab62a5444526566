//! How an extension is drawn at random, by whoever makes rules up to try them: the kernel twin, the tests with hostile packets.
//!
//! Its spec says it ([`Drawn`]), in its own file. Each is drawn from a stream of its own for each rule, which the seed and its name decide:
//! so one extension more, or less, changes nobody else's draws.

use std::ops::{Deref, DerefMut};

use super::option::{OptionSpec, ValueKind};
use super::{MatchSpec, TargetSpec};
use crate::base::{Family, Random};
use crate::rule::{Hook, HookSet, Table};

/// How random rules have an extension.
#[derive(Debug)]
pub struct Drawn {
    /// One scenario in so many has it, which the seed decides: if each had all of a hundred extensions, no packet would pass a rule.
    pub scenarios: u32,
    /// How many of a hundred rules have it at such a place, in a scenario that has it: none where it may not stand.
    pub percent: fn(&Place) -> u32,
    /// Writes its options, of values that packets meet.
    pub options: fn(&mut Draw<'_>),
    /// Of a match that a `-p` brings in: it stands in rules without that, too.
    pub without_protocol: bool,
    /// A match that must stand in its rule.
    pub behind: &'static str,
    /// A target that leaves little of a packet to look at: a rule that asks nothing has it seldom.
    pub is_blunt: bool,
    /// What is never written because two routers could not be held against each other exactly, and why.
    pub left_out: &'static [(&'static str, &'static str)],
}

/// As most are: in every scenario.
pub const fn drawn(percent: fn(&Place) -> u32, options: fn(&mut Draw<'_>)) -> Drawn {
    Drawn {
        scenarios: 1,
        percent,
        options,
        without_protocol: false,
        behind: "",
        is_blunt: false,
        left_out: &[],
    }
}

impl Drawn {
    /// Of an extension that no rule is made up with.
    pub const NEVER: Self = drawn(|_| 0, |_| {});

    /// See [`Drawn::scenarios`].
    pub const fn in_one_scenario_of(mut self, scenarios: u32) -> Self {
        self.scenarios = scenarios;
        self
    }

    /// See [`Drawn::without_protocol`].
    pub const fn without_protocol(mut self) -> Self {
        self.without_protocol = true;
        self
    }

    /// Of a target that the kernel takes only behind a match with these options: ` -m NAME --OPTION VALUE`.
    pub const fn behind(mut self, asked: &'static str) -> Self {
        self.behind = asked;
        self
    }

    /// See [`Drawn::is_blunt`].
    pub const fn blunt(mut self) -> Self {
        self.is_blunt = true;
        self
    }

    /// See [`Drawn::left_out`].
    pub const fn without(mut self, left_out: &'static [(&'static str, &'static str)]) -> Self {
        self.left_out = left_out;
        self
    }
}

/// Where a rule stands, and what it asks by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// That of the ruleset: what the other family has is not drawn.
    pub family: Family,
    /// A rule's table: some targets stand in one only.
    pub table: Table,
    /// Every hook from which it can be reached.
    pub hooks: HookSet,
    /// That of a plain `-p`.
    pub protocol: Option<u8>,
    /// False in a ruleset that shall not start tracking.
    pub may_track: bool,
}

impl Place {
    /// True where it can be reached from no other hook than these.
    pub fn is_within(&self, hooks: &[Hook]) -> bool {
        self.hooks.within(HookSet::of(hooks))
    }

    /// True where it can be reached from none of these hooks.
    pub fn is_none_of(&self, hooks: &[Hook]) -> bool {
        !hooks.iter().any(|hook| self.hooks.contains(*hook))
    }
}

/// What is drawn for one extension in one rule.
#[derive(Debug)]
pub struct Drawing {
    /// As it stands in the rule, with a blank before it.
    pub words: String,
    /// Of several targets the one with the lowest stands in the rule; matches stand in their order.
    pub key: u32,
    /// That of its [`Drawn`]: where rules are made up, a target that is blunt needs a rule that asks something.
    pub is_blunt: bool,
}

impl MatchSpec {
    /// Its part of the rule of this number of the scenario of this seed: numbers begin with 1.
    pub fn drawn(&self, seed: u64, rule: u64, place: &Place) -> Option<Drawing> {
        let is_its = self.protocol == place.protocol;
        let may_stand = self.protocol.is_none() || is_its || self.samples.drawn.without_protocol;
        if !may_stand || !self.families.contains(&place.family) {
            return None;
        }
        let loading = format!(" -m {}", self.name);
        let mut draw = Draw::of(&self.samples.drawn, &loading, seed, rule, place)?;
        let mut key = draw.below(u32::MAX).max(1);
        // What `-p` brings in stands behind it: the options of others are longer (`--dports`), and would be taken for cut short.
        let is_brought = self.protocol.is_some() && is_its && !draw.one_in(3);
        let mut words = String::new();
        if is_brought {
            key = 0;
        } else {
            words += &loading;
        }
        words += &draw.options(&self.samples.drawn);
        if !is_brought && draw.one_in(12) {
            words += &loading;
            words += &draw.options(&self.samples.drawn);
        }
        Some(Drawing {
            words,
            key,
            is_blunt: false,
        })
    }
}

impl TargetSpec {
    /// As [`MatchSpec::drawn`]: none where the rule has another.
    pub fn drawn(&self, seed: u64, rule: u64, place: &Place) -> Option<Drawing> {
        if !self.families.contains(&place.family) {
            return None;
        }
        let jump = format!(" -j {}", self.name);
        let draw = Draw::of(&self.samples.drawn, &jump, seed, rule, place)?;
        Some(self.written(draw, jump))
    }

    /// The target for a rule that is to have it, whatever its percentage.
    pub fn drawn_surely(&self, seed: u64, rule: u64, place: &Place) -> Drawing {
        let jump = format!(" -j {}", self.name);
        self.written(Draw::new(&jump, seed, rule, place), jump)
    }

    fn written(&self, mut draw: Draw<'_>, jump: String) -> Drawing {
        Drawing {
            key: draw.below(u32::MAX),
            words: self.samples.drawn.behind.to_owned() + &jump + &draw.options(&self.samples.drawn),
            is_blunt: self.samples.drawn.is_blunt,
        }
    }
}

/// Randomness of one extension's own, with the rule that it writes into.
#[derive(Debug)]
pub struct Draw<'a> {
    random: Random,
    /// Where the rule stands: what may be written often depends on it.
    pub place: &'a Place,
    words: String,
}

impl<'a> Draw<'a> {
    fn new(name: &str, seed: u64, rule: u64, place: &'a Place) -> Self {
        Self {
            random: Random::named(seed, name, rule),
            place,
            words: String::new(),
        }
    }

    /// None where the scenario has none of it, or this rule.
    fn of(drawn: &Drawn, name: &str, seed: u64, rule: u64, place: &'a Place) -> Option<Self> {
        let mut draw = Self::new(name, seed, rule, place);
        let has = draw.percent((drawn.percent)(place)) && Random::named(seed, name, 0).one_in(drawn.scenarios);
        has.then_some(draw)
    }

    /// The option, and a value of these; a `!` one time in five where it may have one, and now and then another spelling.
    pub fn give_one(&mut self, option: &OptionSpec, values: &[&str]) {
        let value = self.pick(values);
        self.give(option, value);
    }

    /// As `give_one`, in one rule of so many.
    pub fn maybe(&mut self, one_in: u32, option: &OptionSpec, values: &[&str]) {
        if self.one_in(one_in) {
            self.give_one(option, values);
        }
    }

    /// The option with this value, empty for a flag.
    pub fn give(&mut self, option: &OptionSpec, value: &str) {
        if option.invert && self.one_in(5) {
            self.words += " !";
        }
        let names: Vec<&str> = option.names().collect();
        let name = if self.one_in(8) { self.pick(&names) } else { option.name };
        self.words += " --";
        self.words += name;
        if !matches!(option.value, ValueKind::Flag) {
            self.words += " ";
            self.words += value;
        }
    }

    /// The option as its help spells it, with this value and without a `!`: another option hangs on it.
    pub fn give_upright(&mut self, option: &OptionSpec, value: &str) {
        self.words += " --";
        self.words += option.name;
        self.words += " ";
        self.words += value;
    }

    /// A flag, in one rule of so many.
    pub fn maybe_flag(&mut self, one_in: u32, option: &OptionSpec) {
        if self.one_in(one_in) {
            self.give(option, "");
        }
    }

    /// Everything that stands behind the name.
    fn options(&mut self, drawn: &Drawn) -> String {
        (drawn.options)(self);
        std::mem::take(&mut self.words)
    }
}

impl Deref for Draw<'_> {
    type Target = Random;

    fn deref(&self) -> &Random {
        &self.random
    }
}

impl DerefMut for Draw<'_> {
    fn deref_mut(&mut self) -> &mut Random {
        &mut self.random
    }
}

// What rules and packets are about, so that they meet: the hosts, networks and ports of the lab that samples speak of.

/// Addresses and networks for `-s`, some with a mask that is no prefix.
pub const SOURCES: &[&str] = &[
    "10.0.0.0/24",
    "10.0.0.2",
    "10.0.0.0/25",
    "10.0.0.128/255.255.255.128",
    "192.0.2.0/28",
    "192.0.2.9/32",
    "198.51.100.0/24",
    "172.16.0.0/12",
    "0.0.0.2/0.0.0.255",
    "10.0.0.1/255.0.0.3",
    "0.0.0.0/0",
    "0.0.0.1/0.0.0.1",
];

/// Addresses and networks for `-d`: the hosts, the router's own, broadcasts, groups.
pub const DESTINATIONS: &[&str] = &[
    "10.0.0.0/24",
    "10.0.0.2",
    "10.0.0.3/255.255.255.254",
    "10.0.0.1",
    "192.0.2.1",
    "192.0.2.0/28",
    "192.0.2.96/29",
    "203.0.113.0/24",
    "172.16.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255",
    "127.0.0.0/8",
    "0.0.0.9/0.0.0.255",
    "128.0.0.0/128.0.0.1",
];

/// Ports and ranges of servers, some by name, for `--dport`.
pub const SERVER_PORTS: &[&str] = &[
    "21",
    "22",
    "53",
    "80",
    "80",
    "443",
    "8080",
    "3128",
    "http",
    "domain",
    "1:1023",
    "1024:",
    ":100",
    "0",
    "8000:8010",
    "20:25",
    "65535",
    "ssh:https",
    ":",
];

/// Ports and ranges of clients, for `--sport`.
pub const CLIENT_PORTS: &[&str] = &[
    "20000:20999",
    "20000:20010",
    "30000:33999",
    "1024:",
    "1024:65535",
    ":1023",
    "53",
    "0",
    "20",
    "21000",
];

/// Marks with and without a mask, among them some that no packet can have.
pub const MARKS: &[&str] = &["0", "1", "0x0/0xff", "5/7", "0x4/0x4", "4/1", "0xffffffff", "0/0"];

/// States that a list of them asks for.
pub const STATES: &[&str] = &[
    "NEW",
    "NEW",
    "ESTABLISHED",
    "ESTABLISHED",
    "RELATED",
    "INVALID",
    "UNTRACKED",
    "NEW,ESTABLISHED",
    "RELATED,ESTABLISHED",
    "RELATED,ESTABLISHED",
    "NEW,RELATED",
    "INVALID,UNTRACKED",
    "NEW,INVALID,RELATED,ESTABLISHED,UNTRACKED",
];
