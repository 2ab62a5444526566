//! The part of a command that says a rule: addresses, interfaces, protocol, and the extensions with their options, as they are met.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::failure::Failure;
use super::getopt::{Long, Takes};
use super::hosts::Hosts;
use super::options::Key;
use super::parse::{LONGEST_CHAIN, is_space};
use super::{address, number};
use crate::base::bytes::exceeds;
use crate::base::{AddressMask, Family, InterfaceMask};
use crate::ext::missing::{self, Kind};
use crate::ext::option::{Given, GivenOption, OptionSpec, parse_value};
use crate::ext::{self, LabelFile, MatchSpec, TargetSpec, names};
use crate::rule::{Action, Counters, Match, Selector, Target};

/// A rule as it was typed: as many rules as it has selectors, and a jump that the table must still resolve.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    pub selectors: Selectors,
    pub matches: Vec<Arc<dyn Match>>,
    pub jump: Jump<'a>,
    pub counters: Option<Counters>,
}

/// Those of one rule, which mostly is one.
pub(super) type Selectors = SmallVec<[Selector; 1]>;

/// What stands behind `-j` or `-g`.
#[derive(Clone, Debug)]
pub enum Jump<'a> {
    /// Nothing, ACCEPT, DROP, RETURN or QUEUE.
    Plain(Action),
    /// A chain, or a target of this name. A chain of the table has precedence.
    Name {
        name: &'a str,
        target: Option<Arc<dyn Target>>,
        at: usize,
    },
    Goto {
        name: &'a str,
        at: usize,
    },
}

/// A rule being read.
pub(crate) struct RuleOptions<'a> {
    base: Selector,
    labels: &'a LabelFile,
    source: Option<Addresses<'a>>,
    destination: Option<Addresses<'a>>,
    loaded: SmallVec<[Loaded; 2]>,
    jump: Option<Typed<'a>>,
    /// The protocol's own match has been brought in by an option of it.
    implicit_loaded: bool,
    /// The protocol was typed by a name of its match, or by a number whose name is one: the tool goes by that (`-p mobility-header` brings in no `mh`).
    is_named_as_match: bool,
}

struct Addresses<'a> {
    text: &'a str,
    at: usize,
}

struct Typed<'a> {
    name: &'a str,
    goto: bool,
    at: usize,
}

/// An extension and the options it was given.
struct Loaded {
    spec: Spec,
    given: SmallVec<[GivenOption; 2]>,
}

#[derive(Clone, Copy)]
enum Spec {
    Match(&'static MatchSpec),
    Target(&'static TargetSpec),
}

impl Spec {
    fn name(self) -> &'static str {
        match self {
            Self::Match(spec) => spec.name,
            Self::Target(spec) => spec.name,
        }
    }

    fn options(self) -> &'static [OptionSpec] {
        match self {
            Self::Match(spec) => spec.options,
            Self::Target(spec) => spec.options,
        }
    }
}

impl<'a> RuleOptions<'a> {
    pub(crate) fn new(family: Family, labels: &'a LabelFile) -> Self {
        Self {
            base: Selector::any(family),
            labels,
            source: None,
            destination: None,
            loaded: SmallVec::new(),
            jump: None,
            implicit_loaded: false,
            is_named_as_match: false,
        }
    }

    /// The options of loaded extensions, the latest first: of two `-m tcp` the second gets the next `--dport`, and neither makes the other's
    /// names ambiguous.
    pub(crate) fn long_options(&self) -> impl Iterator<Item = Long<Key>> {
        self.latest().flat_map(|(loaded, it)| {
            it.spec.options().iter().enumerate().flat_map(move |(option, spec)| {
                spec.names()
                    .map(move |name| as_long(name, spec, Key::Extension { loaded, option }))
            })
        })
    }

    /// The first of these that has exactly this name.
    pub(crate) fn long_option(&self, name: &str) -> Option<Long<Key>> {
        self.latest().find_map(|(loaded, it)| {
            it.spec.options().iter().enumerate().find_map(|(option, spec)| {
                let name = spec.names().find(|own| *own == name)?;
                Some(as_long(name, spec, Key::Extension { loaded, option }))
            })
        })
    }

    fn latest(&self) -> impl Iterator<Item = (usize, &Loaded)> {
        let latest = |(loaded, it): &(usize, &Loaded)| {
            let later = &self.loaded[loaded + 1..];
            !later.iter().any(|other| other.spec.name() == it.spec.name())
        };
        self.loaded.iter().enumerate().rev().filter(latest)
    }

    pub(crate) fn option(&self, loaded: usize, option: usize) -> &'static OptionSpec {
        &self.loaded[loaded].spec.options()[option]
    }

    /// Gives an option to a loaded extension.
    pub(crate) fn give(
        &mut self,
        loaded: usize,
        option: usize,
        arguments: &[&str],
        inverted: bool,
        at: usize,
    ) -> Result<Option<String>, Failure> {
        let spec = self.option(loaded, option);
        let it = &self.loaded[loaded];
        let value = parse_value(spec, it.spec.name(), arguments, inverted, &self.given(&it.given))?;
        self.loaded[loaded].given.push(GivenOption {
            spec,
            inverted,
            value,
            at,
        });
        Ok(spec.remark_on(arguments))
    }

    fn given<'b>(&'b self, options: &'b [GivenOption]) -> Given<'b> {
        Given {
            family: self.base.family,
            protocol: self.base.protocol,
            protocol_inverted: self.base.protocol_inverted,
            labels: self.labels,
            options,
        }
    }

    fn implicit(&self) -> Option<&'static MatchSpec> {
        let spec = ext::implicit_match(self.base.protocol, self.base.family);
        spec.filter(|_| self.is_named_as_match)
    }

    /// Brings in the match of `-p`, once. False where there is none.
    pub(crate) fn load_implicit(&mut self) -> bool {
        if self.implicit_loaded {
            return false;
        }
        let Some(spec) = self.implicit() else {
            return false;
        };
        self.implicit_loaded = true;
        self.load(Spec::Match(spec));
        true
    }

    pub(crate) fn load_match(&mut self, name: &str) -> Result<(), Failure> {
        if exceeds(name, LONGEST_CHAIN) {
            return Err(Failure::parameter(format!(
                "Invalid match name \"{name}\" ({LONGEST_CHAIN} chars max)"
            )));
        }
        let spec = ext::find_match(name, self.base.family).ok_or_else(|| {
            match missing::find(Kind::Match, name, self.base.family) {
                Some(name) => Failure::parameter(missing::refusal(Kind::Match, name)),
                None => Failure::parameter(format!("Couldn't load match `{name}':No such file or directory\n")),
            }
            .remedy(format!("there are: {}", ext::match_names(self.base.family)))
        })?;
        self.load(Spec::Match(spec));
        Ok(())
    }

    fn load(&mut self, spec: Spec) {
        self.loaded.push(Loaded {
            spec,
            given: SmallVec::new(),
        });
    }

    /// `-j`: the options of a target of this name may follow.
    ///
    /// A name that a restore file has announced as a chain (`:LOG -`) is never looked up as a target.
    pub(crate) fn jump(&mut self, name: &'a str, at: usize, is_announced: bool) -> Result<(), Failure> {
        check_target_name(name)?;
        if plain(name).is_none() && !is_announced {
            if let Some(spec) = ext::find_target(name, self.base.family) {
                self.load(Spec::Target(spec));
            } else if let Some(name) = missing::find(Kind::Target, name, self.base.family) {
                return Err(Failure::parameter(missing::refusal(Kind::Target, name))
                    .at(at)
                    .remedy(format!("there are: {}", ext::target_names(self.base.family))));
            }
        }
        self.jump = Some(Typed { name, goto: false, at });
        Ok(())
    }

    pub(crate) fn goto(&mut self, name: &'a str, at: usize) -> Result<(), Failure> {
        check_target_name(name)?;
        self.jump = Some(Typed { name, goto: true, at });
        Ok(())
    }

    pub(crate) fn jump_name(&self) -> Option<&'a str> {
        self.jump.as_ref().map(|it| it.name)
    }

    /// `-p`; gives the tool's warning where no packet can be of the protocol.
    pub(crate) fn protocol(&mut self, text: &str, inverted: bool) -> Result<Option<String>, Failure> {
        let lowered = match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        };
        let number = number::whole(&lowered, 0, 255).map(|number| number as u8);
        let found = number.or_else(|| names::protocol_number(&lowered));
        let protocol = found.ok_or_else(|| Failure::parameter(format!("unknown protocol \"{lowered}\" specified")))?;
        if protocol == 0 && inverted {
            return Err(Failure::parameter("rule would never match protocol"));
        }
        let name = match number {
            Some(number) => names::protocol_name(number),
            None => Some(&lowered[..]),
        };
        let spec = ext::implicit_match(protocol, self.base.family);
        self.is_named_as_match = spec.is_some_and(|spec| name.is_some_and(|name| spec.is_named(name)));
        self.base.protocol = protocol;
        self.base.protocol_inverted = inverted;
        self.base.asks_for_all_protocols = protocol == 0 && self.base.family == Family::V6;
        let is_passed_over = self.base.family == Family::V6 && !inverted && EXTENSION_HEADERS.contains(&protocol);
        Ok(is_passed_over
            .then(|| format!("Warning: never matched protocol: {lowered}. use extension match instead.\n")))
    }

    /// `-s` or `-d`: looked at when the whole command has been read.
    pub(crate) fn address(&mut self, letter: char, text: &'a str, inverted: bool, at: usize) {
        let addresses = Some(Addresses { text, at });
        if letter == 's' {
            self.source = addresses;
            self.base.source_inverted = inverted;
        } else {
            self.destination = addresses;
            self.base.destination_inverted = inverted;
        }
    }

    /// `-i` or `-o`; gives the tool's warning where a name is odd.
    pub(crate) fn interface(&mut self, letter: char, name: &str, inverted: bool) -> Result<Option<String>, Failure> {
        let mask = InterfaceMask::new(name)
            .ok_or_else(|| Failure::parameter(format!("interface name `{name}' must be shorter than IFNAMSIZ (15)")))?;
        if letter == 'i' {
            self.base.input = mask;
            self.base.input_inverted = inverted;
        } else {
            self.base.output = mask;
            self.base.output_inverted = inverted;
        }
        Ok(name.contains(['/', ' ']).then(|| {
            format!("Warning: weird character in interface `{name}' ('/' and ' ' are not allowed by the kernel).\n")
        }))
    }

    pub(crate) fn fragment(&mut self, inverted: bool) {
        self.base.fragment = true;
        self.base.fragment_inverted = inverted;
    }

    pub(crate) fn has_input(&self) -> bool {
        !self.base.input.is_any()
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.base.output.is_any()
    }

    /// The extensions, built.
    #[allow(
        clippy::type_complexity,
        reason = "what a rule has, matches and target, and nothing else has both"
    )]
    pub(crate) fn finish(&self) -> Result<(Vec<Arc<dyn Match>>, Option<Arc<dyn Target>>), Failure> {
        let is_match = |it: &&Loaded| matches!(it.spec, Spec::Match(_));
        let mut matches = Vec::with_capacity(self.loaded.iter().filter(is_match).count());
        for it in &self.loaded {
            if let Spec::Match(spec) = it.spec {
                matches.push(spec.finish(&self.given(&it.given))?);
            }
        }
        let mut target = None;
        for it in &self.loaded {
            if let Spec::Target(spec) = it.spec {
                target = Some(spec.finish(&self.given(&it.given))?);
            }
        }
        Ok((matches, target))
    }

    /// One selector for each pair of a source and a destination.
    pub(crate) fn selectors(&self, hosts: &dyn Hosts) -> Result<Selectors, Failure> {
        let read = |addresses: &Option<Addresses<'_>>| match addresses {
            Some(it) => address::parse(it.text, self.base.family, hosts).map_err(|failure| failure.at(it.at)),
            None => Ok(smallvec![AddressMask::any(self.base.family)]),
        };
        let sources = read(&self.source)?;
        let destinations = read(&self.destination)?;
        let inverted = self.base.source_inverted || self.base.destination_inverted;
        if inverted && (sources.len() > 1 || destinations.len() > 1) {
            return Err(Failure::parameter(
                "! not allowed with multiple source or destination IP addresses",
            ));
        }
        let count = sources.len().saturating_mul(destinations.len());
        if count > RULES_AT_ONCE {
            return Err(Failure::parameter(format!(
                "{} source and {} destination addresses are {count} rules, more than the {RULES_AT_ONCE} that one command may make",
                sources.len(),
                destinations.len()
            ))
            .remedy("give networks (10.0.0.0/24), or several commands"));
        }
        let mut selectors = Selectors::with_capacity(count);
        for &source in &sources {
            for &destination in &destinations {
                selectors.push(Selector {
                    source,
                    destination,
                    ..self.base
                });
            }
        }
        Ok(selectors)
    }

    pub(crate) fn resolved_jump(&self, target: Option<Arc<dyn Target>>) -> Jump<'a> {
        let Some(typed) = &self.jump else {
            return Jump::Plain(Action::Nothing);
        };
        let (name, at) = (typed.name, typed.at);
        if typed.goto {
            return Jump::Goto { name, at };
        }
        match plain(name) {
            Some(action) => Jump::Plain(action),
            None => Jump::Name { name, target, at },
        }
    }

    /// The jump of a line that `-6` cut short: a name must still be something, but `-g` is not looked at.
    pub(crate) fn unfinished_jump(&self) -> Jump<'a> {
        match &self.jump {
            Some(typed)
                if plain(typed.name).is_none()
                    && (typed.goto || ext::find_target(typed.name, self.base.family).is_none()) =>
            {
                Jump::Name {
                    name: typed.name,
                    target: None,
                    at: typed.at,
                }
            }
            _ => Jump::Plain(Action::Nothing),
        }
    }

    /// The help of every extension loaded so far, then of the match that the protocol brings with it.
    pub(crate) fn help(&self) -> impl Iterator<Item = String> {
        let loaded = self.loaded.iter().map(|it| match it.spec {
            Spec::Match(spec) => spec.help(self.base.family),
            Spec::Target(spec) => spec.help(self.base.family),
        });
        let of_protocol = self
            .implicit()
            .filter(|spec| !self.loaded.iter().any(|it| it.spec.name() == spec.name));
        loaded.chain(of_protocol.map(|spec| spec.help(self.base.family)))
    }
}

/// The kernel gives a program no argument over 128 KiB, which is 65,536 addresses; pairs may be more. Whoever speaks to a lab's socket has no such
/// bound, and the lab would work on long after they have gone.
const RULES_AT_ONCE: usize = 1 << 18;

/// Headers of IPv6 that lead on to a packet's protocol: no packet is of them. Those of which the tool warns.
const EXTENSION_HEADERS: [u8; 4] = [43, 44, 51, 60];

fn as_long(name: &'static str, spec: &OptionSpec, key: Key) -> Long<Key> {
    Long {
        name,
        takes: match spec.value.arity() {
            0 => Takes::Nothing,
            _ => Takes::Argument,
        },
        key,
    }
}

fn plain(name: &str) -> Option<Action> {
    Some(match name {
        "ACCEPT" => Action::Accept,
        "DROP" => Action::Drop,
        "QUEUE" => Action::Queue,
        "RETURN" => Action::Return,
        _ => return None,
    })
}

fn check_target_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() {
        return Err(Failure::parameter("Invalid target name (too short)"));
    }
    if exceeds(name, LONGEST_CHAIN) {
        return Err(Failure::parameter(format!(
            "Invalid target name `{name}' ({LONGEST_CHAIN} chars max)"
        )));
    }
    if name.contains(is_space) {
        return Err(Failure::parameter(format!("Invalid target name `{name}'")));
    }
    Ok(())
}
