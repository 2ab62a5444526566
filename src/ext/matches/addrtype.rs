//! `-m addrtype`: what kind of address the source and the destination are, seen from this host.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::{Family, InterfaceId};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, OptionSpec, UsageError, Value, ValueKind};
use crate::ext::place::invalid;
use crate::ext::{MatchSpec, NeedsOne};
use crate::net::AddressKind;
use crate::rule::{Context, Hook, Match, Matched, Refusal, Scope};

pub const SPEC: MatchSpec = MatchSpec {
    name: "addrtype",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    protocol: None,
    options: &[
        OptionSpec {
            name: "src-type",
            value: KINDS,
            invert: true,
            help: "the source is of one of these kinds",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "dst-type",
            value: KINDS,
            invert: true,
            help: "the destination is of one of these kinds",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "limit-iface-in",
            excludes: &["limit-iface-out"],
            help: "only what the interface has that the packet came in by counts",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "limit-iface-out",
            excludes: &["limit-iface-in"],
            help: "only what the interface has that the packet goes out by counts",
            ..OptionSpec::PLAIN
        },
    ],
    needs_one: Some(NeedsOne {
        of: &["src-type", "dst-type"],
        message: "addrtype: you must specify --src-type or --dst-type",
    }),
    build,
    unlist,
    about: "what kind of address source and destination are, seen from this host",
};

/// A bit each, from the first on. NAT and XRESOLVE are kinds that no address has.
const NAMES: [&str; 12] = [
    "UNSPEC",
    "UNICAST",
    "LOCAL",
    "BROADCAST",
    "ANYCAST",
    "MULTICAST",
    "BLACKHOLE",
    "UNREACHABLE",
    "PROHIBIT",
    "THROW",
    "NAT",
    "XRESOLVE",
];

const KINDS: ValueKind = ValueKind::Words {
    words: &NAMES,
    parse: |text, _| kinds(text),
};

/// A word may be cut short; the first that fits is taken (UN is UNSPEC, X is XRESOLVE).
fn kinds(text: &str) -> Result<Value, UsageError> {
    let mut bits = 0;
    let mut rest = text;
    loop {
        let (word, after) = match rest.split_once(',') {
            Some((word, after)) => (word, Some(after)),
            None => (rest, None),
        };
        let fits = |name: &str| {
            name.get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        match (NAMES.iter().position(|name| !word.is_empty() && fits(name)), after) {
            (Some(index), _) => bits |= 1 << index,
            (None, Some(_)) => return Err(UsageError::parameter(format!("addrtype: bad type `{rest}'"))),
            (None, None) => return Err(UsageError::parameter(format!("addrtype: bad type \"{rest}\""))),
        }
        match after {
            Some(after) => rest = after,
            None => return Ok(Value::Bits(bits)),
        }
    }
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let kinds = |name| {
        let option = given.get(name)?;
        match option.value {
            Value::Bits(bits) => Some((Kinds(bits), option.inverted)),
            _ => None,
        }
    };
    Ok(Arc::new(Addrtype {
        source: kinds("src-type"),
        destination: kinds("dst-type"),
        limit: match () {
            _ if given.has("limit-iface-in") => Some(Limit::Input),
            _ if given.has("limit-iface-out") => Some(Limit::Output),
            _ => None,
        },
    }))
}

/// Each part with its `!`.
#[derive(Debug, PartialEq, Eq)]
struct Addrtype {
    source: Option<(Kinds, bool)>,
    destination: Option<(Kinds, bool)>,
    limit: Option<Limit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Input,
    Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kinds(u32);

impl Kinds {
    fn has(self, kind: AddressKind) -> bool {
        self.0 & (1 << index(kind)) != 0
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (index, name) in NAMES.iter().enumerate() {
            if self.0 & (1 << index) != 0 {
                write!(f, "{comma}{name}")?;
                comma = ",";
            }
        }
        Ok(())
    }
}

fn index(kind: AddressKind) -> usize {
    match kind {
        AddressKind::Unspec => 0,
        AddressKind::Unicast => 1,
        AddressKind::Local => 2,
        AddressKind::Broadcast => 3,
        AddressKind::Anycast => 4,
        AddressKind::Multicast => 5,
        AddressKind::Blackhole => 6,
        AddressKind::Unreachable => 7,
        AddressKind::Prohibit => 8,
        AddressKind::Throw => 9,
    }
}

enum Miss {
    Source(AddressKind),
    Destination(AddressKind),
}

impl Addrtype {
    fn check(&self, cx: &Context<'_>) -> Result<(), Miss> {
        let interface: Option<InterfaceId> = match self.limit {
            Some(Limit::Input) => cx.packet.input,
            Some(Limit::Output) => cx.packet.output,
            None => None,
        };
        let kind = |address: IpAddr| cx.net.address_kind(address, interface);
        if let Some((kinds, inverted)) = self.source {
            let found = kind(cx.packet.source());
            if kinds.has(found) == inverted {
                return Err(Miss::Source(found));
            }
        }
        if let Some((kinds, inverted)) = self.destination {
            let found = kind(cx.packet.destination());
            if kinds.has(found) == inverted {
                return Err(Miss::Destination(found));
            }
        }
        Ok(())
    }
}

impl Match for Addrtype {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.check(cx).is_ok().into()
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let not = crate::ext::wording::not;
        match self.check(cx) {
            Ok(()) => "addrtype: matches".to_owned(),
            Err(Miss::Source(found)) => {
                let (kinds, inverted) = self.source.unwrap_or((Kinds(0), false));
                let (not, address) = (not(inverted), cx.packet.source());
                format!(
                    "{not}--src-type {kinds}: packet is from {address}, which is {}",
                    NAMES[index(found)]
                )
            }
            Err(Miss::Destination(found)) => {
                let (kinds, inverted) = self.destination.unwrap_or((Kinds(0), false));
                let (not, address) = (not(inverted), cx.packet.destination());
                format!(
                    "{not}--dst-type {kinds}: packet is for {address}, which is {}",
                    NAMES[index(found)]
                )
            }
        }
    }

    fn save(&self, out: &mut String) {
        for (option, asked) in [("src-type", self.source), ("dst-type", self.destination)] {
            if let Some((kinds, inverted)) = asked {
                let _ = write!(out, " {}--{option} {kinds}", crate::ext::wording::not(inverted));
            }
        }
        out.push_str(match self.limit {
            Some(Limit::Input) => " --limit-iface-in",
            Some(Limit::Output) => " --limit-iface-out",
            None => "",
        });
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" ADDRTYPE match");
        for (option, asked) in [("src-type", self.source), ("dst-type", self.destination)] {
            if let Some((kinds, inverted)) = asked {
                let _ = write!(out, " {option} {}{kinds}", if inverted { "!" } else { "" });
            }
        }
        out.push_str(match self.limit {
            Some(Limit::Input) => " limit-in",
            Some(Limit::Output) => " limit-out",
            None => "",
        });
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        let (hooks, words) = match self.limit {
            Some(Limit::Output) => (
                [Hook::Prerouting, Hook::Input],
                "output interface limitation not valid in PREROUTING and INPUT",
            ),
            Some(Limit::Input) => (
                [Hook::Postrouting, Hook::Output],
                "input interface limitation not valid in POSTROUTING and OUTPUT",
            ),
            None => return Ok(()),
        };
        if hooks.into_iter().any(|hook| scope.hooks.contains(hook)) {
            return Err(invalid(format!("xt_addrtype: {words}")));
        }
        Ok(())
    }
}

/// ` ADDRTYPE match src-type LOCAL dst-type !BROADCAST limit-in`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("ADDRTYPE")?;
        it.word("match")?;
        let mut options = Options::default();
        for option in ["src-type", "dst-type"] {
            if it.word(option).is_some() {
                options.push_unless(it.take()?, option);
            }
        }
        for (word, option) in [("limit-in", "limit-iface-in"), ("limit-out", "limit-iface-out")] {
            if it.word(word).is_some() {
                options.push(false, option, "");
            }
        }
        Some(options)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, match_errors, match_packets, match_texts, placed, read_match, udp};
    use crate::packet::End;
    use crate::rule::Table;

    #[test]
    fn texts_of_the_real_tool() {
        let case = |typed, saved, listed| (typed, saved, listed, listed);
        match_texts(
            &SPEC,
            ANY,
            &[
                case(
                    "! --src-type LOCAL,UNICAST",
                    " ! --src-type UNICAST,LOCAL",
                    " ADDRTYPE match src-type !UNICAST,LOCAL",
                ),
                case("--dst-type loc", " --dst-type LOCAL", " ADDRTYPE match dst-type LOCAL"),
                case("--src-type UN", " --src-type UNSPEC", " ADDRTYPE match src-type UNSPEC"),
                case(
                    "--src-type X,LOCAL",
                    " --src-type LOCAL,XRESOLVE",
                    " ADDRTYPE match src-type LOCAL,XRESOLVE",
                ),
                case(
                    "--limit-iface-in --dst-type BROADCAST --src-type LOCAL",
                    " --src-type LOCAL --dst-type BROADCAST --limit-iface-in",
                    " ADDRTYPE match src-type LOCAL dst-type BROADCAST limit-in",
                ),
                case(
                    "--limit-iface-out --src-type NAT",
                    " --src-type NAT --limit-iface-out",
                    " ADDRTYPE match src-type NAT limit-out",
                ),
            ],
        );
    }

    #[test]
    fn errors_of_the_real_tool() {
        let needs = "addrtype: you must specify --src-type or --dst-type";
        match_errors(
            &SPEC,
            ANY,
            &[
                ("", needs),
                ("--limit-iface-in --limit-iface-out", needs),
                ("--dst-type FOO", "addrtype: bad type \"FOO\""),
                ("--dst-type LOCALX", "addrtype: bad type \"LOCALX\""),
                ("--dst-type \"\"", "addrtype: bad type \"\""),
                ("--dst-type LOCAL,", "addrtype: bad type \"\""),
                ("--dst-type LOCAL,,UNICAST", "addrtype: bad type `,UNICAST'"),
                ("--dst-type ,LOCAL", "addrtype: bad type `,LOCAL'"),
                (
                    "--limit-iface-out --limit-iface-in --src-type LOCAL",
                    "addrtype: option \"--limit-iface-in\" cannot be used together with \"--limit-iface-out\".\n",
                ),
                (
                    "! --limit-iface-in --src-type LOCAL",
                    "addrtype: option \"--limit-iface-in\" cannot be inverted.\n",
                ),
                (
                    "--src-type LOCAL --src-type LOCAL",
                    "addrtype: option \"--src-type\" can only be used once.\n",
                ),
            ],
        );
    }

    #[test]
    fn places() {
        let input = read_match(&SPEC, ANY, "--src-type LOCAL --limit-iface-in").unwrap();
        let output = read_match(&SPEC, ANY, "--src-type LOCAL --limit-iface-out").unwrap();
        let at = |made: &Arc<dyn Match>, hook| placed(ANY, Table::Filter, &[hook], |scope| made.check(scope));
        assert_eq!(at(&input, Hook::Input), Ok(()));
        assert_eq!(at(&input, Hook::Forward), Ok(()));
        assert_eq!(at(&output, Hook::Output), Ok(()));
        assert_eq!(
            at(&input, Hook::Output),
            Err("xt_addrtype: input interface limitation not valid in POSTROUTING and OUTPUT".to_owned())
        );
        assert_eq!(
            at(&output, Hook::Input),
            Err("xt_addrtype: output interface limitation not valid in PREROUTING and INPUT".to_owned())
        );
    }

    #[test]
    fn packets() {
        let (bench, lan, wan) = Bench::with_addresses();
        let mut packet = udp(1, 2, &[]);
        packet.input = Some(lan);
        packet.output = Some(wan);
        let mut for_us = packet.clone();
        for_us.set_address(End::Destination, [192, 0, 2, 1].into());
        let unicast = "! --dst-type UNICAST: packet is for 192.0.2.9, which is UNICAST";
        let elsewhere = "--dst-type LOCAL: packet is for 192.0.2.1, which is UNICAST";
        match_packets(
            &SPEC,
            ANY,
            &bench,
            &[
                ("--src-type UNICAST --dst-type UNICAST,LOCAL", &packet, ""),
                (
                    "--src-type LOCAL",
                    &packet,
                    "--src-type LOCAL: packet is from 10.0.0.2, which is UNICAST",
                ),
                ("! --dst-type UNICAST", &packet, unicast),
                ("--dst-type LOCAL", &for_us, ""),
                ("--dst-type LOCAL --limit-iface-out", &for_us, ""),
                // The address is another interface's.
                ("--dst-type LOCAL --limit-iface-in", &for_us, elsewhere),
            ],
        );
    }
}
