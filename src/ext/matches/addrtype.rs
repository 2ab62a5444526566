//! `-m addrtype`: what kind of address the source and the destination are, seen from this host.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::{Family, InterfaceId};
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::place::invalid;
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::ext::wording::{begun, write_words};
use crate::ext::{MatchSpec, NeedsOne};
use crate::net::AddressKind;
use crate::rule::{Context, Effect, HangsOn, Hook, Match, Matched, Refusal, Scope};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "addrtype",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[SOURCE.spec, DESTINATION.spec, LIMIT_IN.spec, LIMIT_OUT.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[SOURCE.name(), DESTINATION.name()],
        message: "addrtype: you must specify --src-type or --dst-type",
    }),
    exclusive: &[&[LIMIT_IN.name(), LIMIT_OUT.name()]],
    build,
    unlist,
    directory: None,
    about: "what kind of address source and destination are, seen from this host",
    samples: SAMPLES,
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

const SOURCE: Opt<Kinds> = of_kinds("src-type", "the source is of one of these kinds");
const DESTINATION: Opt<Kinds> = of_kinds("dst-type", "the destination is of one of these kinds");
const LIMIT_IN: Opt<()> = Opt::flag(
    "limit-iface-in",
    "only what the interface has that the packet came in by counts",
);
const LIMIT_OUT: Opt<()> = Opt::flag(
    "limit-iface-out",
    "only what the interface has that the packet goes out by counts",
);

const fn of_kinds(name: &'static str, help: &'static str) -> Opt<Kinds> {
    Opt::words(name, &NAMES, &Read(|text, _| kinds(text)), help).invertible()
}

/// A word may be cut short; the first that fits is taken (UN is UNSPEC, X is XRESOLVE).
fn kinds(text: &str) -> Result<Kinds, UsageError> {
    let mut bits = 0;
    let mut rest = text;
    loop {
        let (word, after) = match rest.split_once(',') {
            Some((word, after)) => (word, Some(after)),
            None => (rest, None),
        };
        match (begun(word, NAMES), after) {
            (Some(index), _) => bits |= 1 << index,
            (None, Some(_)) => return Err(UsageError::parameter(format!("addrtype: bad type `{rest}'"))),
            (None, None) => return Err(UsageError::parameter(format!("addrtype: bad type \"{rest}\""))),
        }
        match after {
            Some(after) => rest = after,
            None => return Ok(Kinds(bits)),
        }
    }
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(Addrtype {
        source: given.get(SOURCE),
        destination: given.get(DESTINATION),
        limit: match () {
            _ if given.has(LIMIT_IN) => Some(Limit::Input),
            _ if given.has(LIMIT_OUT) => Some(Limit::Output),
            _ => None,
        },
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Addrtype {
    source: Option<Asked<Kinds>>,
    destination: Option<Asked<Kinds>>,
    limit: Option<Limit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Input,
    Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kinds(u32);

impl Kinds {
    fn of(kinds: impl IntoIterator<Item = AddressKind>) -> Self {
        Self(kinds.into_iter().fold(0, |all, kind| all | 1 << index(kind)))
    }

    /// Whether this is what an address is that is of these kinds. Of IPv4 it is of one alone. Seen: of IPv6 it must be all of those asked for that it
    /// tells itself, and one of those that routes tell.
    fn has(self, found: Self, family: Family) -> bool {
        let by_itself = self.0 & BY_ITSELF;
        let by_route = self.0 & !BY_ITSELF;
        match family {
            Family::V4 => self.0 & found.0 != 0,
            Family::V6 => by_itself & !found.0 == 0 && (by_route == 0 || by_route & found.0 != 0),
        }
    }
}

/// What an address of IPv6 tells itself: UNSPEC, UNICAST, MULTICAST.
const BY_ITSELF: u32 = 1 << 0 | 1 << 1 | 1 << 5;

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = NAMES.iter().enumerate().filter(|(index, _)| self.0 & (1 << index) != 0);
        write_words(f, has.map(|(_, name)| *name))
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

/// Which address is not as asked, and what it is.
enum Miss {
    Source(Kinds),
    Destination(Kinds),
}

impl Addrtype {
    /// A kind that addresses of IPv6 do not come in, in the kernel's words and its order.
    fn not_of_ipv6(&self) -> Option<&'static str> {
        let asked = [self.source, self.destination].into_iter().flatten();
        let all = asked.fold(0, |all, it| all | it.value.0);
        let bit = |kind| 1 << index(kind);
        match all {
            _ if all & bit(AddressKind::Blackhole) != 0 => Some("BLACKHOLE matching not supported"),
            _ if all >= bit(AddressKind::Prohibit) => Some("PROHIBIT (THROW, NAT ..) matching not supported"),
            _ if all & bit(AddressKind::Broadcast) != 0 => Some("does not support BROADCAST matching"),
            _ => None,
        }
    }

    fn check(&self, cx: &Context<'_>) -> Result<(), Miss> {
        let interface: Option<InterfaceId> = match self.limit {
            Some(Limit::Input) => cx.packet.input,
            Some(Limit::Output) => cx.packet.output,
            None => None,
        };
        let family = cx.packet.family();
        let kinds = |address: IpAddr| match address {
            IpAddr::V4(_) => Kinds::of([cx.net.address_kind(address, interface)]),
            IpAddr::V6(address) => Kinds::of(cx.net.ipv6_kinds(address, interface)),
        };
        if let Some(asked) = self.source {
            let found = kinds(cx.packet.source());
            if !asked.fits(asked.value.has(found, family)) {
                return Err(Miss::Source(found));
            }
        }
        if let Some(asked) = self.destination {
            let found = kinds(cx.packet.destination());
            if !asked.fits(asked.value.has(found, family)) {
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

    fn effect(&self) -> Effect {
        Effect::PURE.hanging_on(HangsOn::Plain)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let (option, asked, way, address, found) = match self.check(cx) {
            Ok(()) => return "addrtype: matches".to_owned(),
            Err(Miss::Source(found)) => (SOURCE, self.source, "from", cx.packet.source(), found),
            Err(Miss::Destination(found)) => (DESTINATION, self.destination, "for", cx.packet.destination(), found),
        };
        let asked = asked.unwrap_or_default();
        format!(
            "{} {}: packet is {way} {address}, which is {}",
            option.spelled(asked.inverted),
            asked.value,
            if found == Kinds::default() {
                "none".to_owned()
            } else {
                found.to_string()
            }
        )
    }

    fn save(&self, out: &mut String) {
        for (option, asked) in [(SOURCE, self.source), (DESTINATION, self.destination)] {
            if let Some(asked) = asked {
                let _ = write!(out, " {} {}", option.spelled(asked.inverted), asked.value);
            }
        }
        let _ = match self.limit {
            Some(Limit::Input) => write!(out, " {}", LIMIT_IN.spelled(false)),
            Some(Limit::Output) => write!(out, " {}", LIMIT_OUT.spelled(false)),
            None => Ok(()),
        };
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" ADDRTYPE match");
        for (option, asked) in [(SOURCE, self.source), (DESTINATION, self.destination)] {
            if let Some(Asked { value, inverted }) = asked {
                let _ = write!(out, " {} {}{value}", option.name(), if inverted { "!" } else { "" });
            }
        }
        out.push_str(match self.limit {
            Some(Limit::Input) => " limit-in",
            Some(Limit::Output) => " limit-out",
            None => "",
        });
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        let barred = match self.limit {
            Some(Limit::Output) => Some((
                [Hook::Prerouting, Hook::Input],
                "output interface limitation not valid in PREROUTING and INPUT",
            )),
            Some(Limit::Input) => Some((
                [Hook::Postrouting, Hook::Output],
                "input interface limitation not valid in POSTROUTING and OUTPUT",
            )),
            None => None,
        };
        if let Some((hooks, words)) = barred
            && hooks.into_iter().any(|hook| scope.hooks.contains(hook))
        {
            return Err(invalid(format!("xt_addrtype: {words}")));
        }
        match self.not_of_ipv6().filter(|_| scope.selector.family == Family::V6) {
            Some(words) => Err(invalid(format!("xt_addrtype: ipv6 {words}"))),
            None => Ok(()),
        }
    }
}

/// ` ADDRTYPE match src-type LOCAL dst-type !BROADCAST limit-in`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("ADDRTYPE")?;
        it.word("match")?;
        let mut options = Options::default();
        for option in [SOURCE.name(), DESTINATION.name()] {
            if it.word(option).is_some() {
                options.push_unless(it.take()?, option);
            }
        }
        for (word, option) in [("limit-in", LIMIT_IN), ("limit-out", LIMIT_OUT)] {
            if it.word(word).is_some() {
                options.push(false, option.name(), "");
            }
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken(
            "",
            "! --src-type LOCAL,UNICAST",
            "! --src-type UNICAST,LOCAL",
            "ADDRTYPE match src-type !UNICAST,LOCAL",
        ),
        taken(
            "",
            "--dst-type loc",
            "--dst-type LOCAL",
            "ADDRTYPE match dst-type LOCAL",
        ),
        taken(
            "",
            "--src-type UN",
            "--src-type UNSPEC",
            "ADDRTYPE match src-type UNSPEC",
        ),
        taken(
            "",
            "--src-type X,LOCAL",
            "--src-type LOCAL,XRESOLVE",
            "ADDRTYPE match src-type LOCAL,XRESOLVE",
        )
        .only(Family::V4),
        taken(
            "",
            "--limit-iface-in --dst-type BROADCAST --src-type LOCAL",
            "--src-type LOCAL --dst-type BROADCAST --limit-iface-in",
            "ADDRTYPE match src-type LOCAL dst-type BROADCAST limit-in",
        )
        .only(Family::V4),
        taken(
            "",
            "--limit-iface-out --src-type NAT",
            "--src-type NAT --limit-iface-out",
            "ADDRTYPE match src-type NAT limit-out",
        )
        .only(Family::V4),
        taken(
            "",
            "--limit-iface-in --dst-type MULTICAST --src-type LOCAL,ANYCAST",
            "--src-type LOCAL,ANYCAST --dst-type MULTICAST --limit-iface-in",
            "ADDRTYPE match src-type LOCAL,ANYCAST dst-type MULTICAST limit-in",
        )
        .only(Family::V6),
        taken(
            "",
            "--limit-iface-out --src-type UNREACH",
            "--src-type UNREACHABLE --limit-iface-out",
            "ADDRTYPE match src-type UNREACHABLE limit-out",
        )
        .only(Family::V6),
    ],
    refused: &[
        refused("", "", "addrtype: you must specify --src-type or --dst-type"),
        refused(
            "",
            "--limit-iface-in --limit-iface-out",
            "addrtype: you must specify --src-type or --dst-type",
        ),
        refused("", "--dst-type FOO", "addrtype: bad type \"FOO\""),
        refused("", "--dst-type LOCALX", "addrtype: bad type \"LOCALX\""),
        refused("", "--dst-type \"\"", "addrtype: bad type \"\""),
        refused("", "--dst-type LOCAL,", "addrtype: bad type \"\""),
        refused("", "--dst-type LOCAL,,UNICAST", "addrtype: bad type `,UNICAST'"),
        refused("", "--dst-type ,LOCAL", "addrtype: bad type `,LOCAL'"),
        refused(
            "",
            "--limit-iface-out --limit-iface-in --src-type LOCAL",
            "addrtype: option \"--limit-iface-in\" cannot be used together with \"--limit-iface-out\".\n",
        ),
        refused(
            "",
            "! --limit-iface-in --src-type LOCAL",
            "addrtype: option \"--limit-iface-in\" cannot be inverted.\n",
        ),
        refused(
            "",
            "--src-type LOCAL --src-type LOCAL",
            "addrtype: option \"--src-type\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "--src-type UNICAST --dst-type UNICAST,LOCAL", DATAGRAM),
        fails(
            "",
            "--src-type LOCAL",
            DATAGRAM,
            "--src-type LOCAL: packet is from 10.0.0.2, which is UNICAST",
        ),
        fails(
            "",
            "! --dst-type UNICAST",
            DATAGRAM,
            "! --dst-type UNICAST: packet is for 192.0.2.9, which is UNICAST",
        ),
        fails(
            "",
            "--dst-type LOCAL --limit-iface-in",
            DATAGRAM,
            "--dst-type LOCAL: packet is for 192.0.2.9, which is UNICAST",
        ),
        fails(
            "",
            "--src-type LOCAL --limit-iface-out",
            DATAGRAM,
            "--src-type LOCAL: packet is from 10.0.0.2, which is UNICAST",
        ),
    ],
    spellings: &[
        "-m addrtype --src-type LOCAL",
        "-m addrtype --src-type LOCAL,LOCAL",
        "-m addrtype --dst-type LOCAL",
        "-m addrtype --src-type LOCAL,UNICAST",
        "-m addrtype --src-type UNICAST,LOCAL",
        "-m addrtype ! --src-type LOCAL",
        "-m addrtype --src-type LOCAL --limit-iface-in",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| {
        let which = draw.below(3);
        if which != 0 {
            draw.give_one(&SOURCE.spec, ASKED);
        }
        if which != 1 {
            draw.give_one(&DESTINATION.spec, ASKED);
        }
        if draw.one_in(4) {
            let may_be_in = draw.place.is_none_of(&[Hook::Output, Hook::Postrouting]);
            if may_be_in && draw.one_in(2) {
                draw.give(&LIMIT_IN.spec, "");
            } else if draw.place.is_none_of(&[Hook::Input, Hook::Prerouting]) {
                draw.give(&LIMIT_OUT.spec, "");
            }
        }
    },
);

const ASKED: &[&str] = &[
    "LOCAL",
    "LOCAL",
    "UNICAST",
    "UNICAST,LOCAL",
    "BROADCAST",
    "MULTICAST",
    "BROADCAST,MULTICAST",
    "UNSPEC",
    "ANYCAST",
    "BLACKHOLE",
    "UNREACHABLE",
    "PROHIBIT",
    "THROW",
    "NAT",
    "XRESOLVE",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, match_packets, match_places, udp};
    use crate::packet::End;
    use crate::rule::Table;

    #[test]
    fn places() {
        let (coming, going) = (
            "--src-type LOCAL --limit-iface-in",
            "--src-type LOCAL --limit-iface-out",
        );
        let no_input = "xt_addrtype: input interface limitation not valid in POSTROUTING and OUTPUT";
        let no_output = "xt_addrtype: output interface limitation not valid in PREROUTING and INPUT";
        for (typed, hook, said) in [
            (coming, Hook::Input, ""),
            (coming, Hook::Forward, ""),
            (going, Hook::Output, ""),
            (coming, Hook::Output, no_input),
            (going, Hook::Input, no_output),
        ] {
            match_places(&SPEC, ANY, typed, &[(Table::Filter, &[hook], said)]);
        }
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
