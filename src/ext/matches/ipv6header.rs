//! `-m ipv6header`: which headers an IPv6 packet has.

use std::fmt::Write;
use std::sync::Arc;

use super::extension;
use crate::base::{Family, protocol};
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::names;
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::samples::{DATAGRAM6, Samples, fails, passes, refused, taken};
use crate::packet::Packet;
use crate::rule::{Context, Effect, HangsOn, Match, Matched};
use crate::wire::ipv6::{self, extension as number};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "ipv6header",
    aliases: &[],
    families: &[Family::V6],
    like: None,
    protocol: None,
    options: &[HEADERS.spec, SOFT.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "which headers an IPv6 packet has",
    samples: SAMPLES,
};

const HEADERS: Opt<Headers> = Opt::words(
    "header",
    &["hop", "dst", "route", "frag", "auth", "esp", "none", "prot"],
    &Read(|text, _| headers(text)),
    "the packet has these headers and no others",
)
.invertible()
.required();
const SOFT: Opt<()> = Opt::flag(
    "soft",
    "the packet has these headers, and perhaps others; with ! before --header: it has none of them",
);

/// A bit for each header.
type Headers = u8;

/// From the highest bit down: the number, the name that is printed, the short name.
const KNOWN: [(u8, &str, &str); 8] = [
    (number::HOP_BY_HOP, "hop-by-hop", "hop"),
    (number::DESTINATION, "ipv6-opts", "dst"),
    (number::ROUTING, "ipv6-route", "route"),
    (number::FRAGMENT, "ipv6-frag", "frag"),
    (protocol::AH, "ah", "auth"),
    (protocol::ESP, "esp", "esp"),
    (NO_NEXT_HEADER, "ipv6-nonxt", "none"),
    (ANY_OTHER, "protocol", "prot"),
];

const NO_NEXT_HEADER: u8 = 59;
/// Stands for what follows the extension headers.
const ANY_OTHER: u8 = 255;

fn bit_of(number: u8) -> Option<Headers> {
    let at = KNOWN.iter().position(|(known, ..)| *known == number)?;
    Some(0x80 >> at)
}

fn headers(text: &str) -> Result<Headers, UsageError> {
    let mut found = 0;
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let unknown = |word: &str| UsageError::parameter(format!("unknown header `{word}' specified"));
        let number = number_of(word).ok_or_else(|| unknown(word))?;
        found |= bit_of(number).ok_or_else(|| unknown(&number.to_string()))?;
    }
    match found {
        0 => Err(UsageError::parameter("ip6t_ipv6header: cannot parse header names")),
        found => Ok(found),
    }
}

/// A name of this match's, one of `/etc/protocols`, or a number in its shortest form.
fn number_of(word: &str) -> Option<u8> {
    let known = KNOWN.iter().find(|(_, name, short)| [*name, *short].contains(&word));
    let is_of_a_tool = ["all", "icmpv6", "mh", "ipv6-mh"].contains(&word);
    let named = || names::protocol_number_as_typed(word).filter(|_| !is_of_a_tool);
    let number = || word.parse::<u8>().ok().filter(|it| it.to_string() == word);
    known.map(|(number, ..)| *number).or_else(named).or_else(number)
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(Ipv6Header {
        headers: given.get(HEADERS).unwrap_or_default(),
        soft: given.has(SOFT),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Ipv6Header {
    headers: Asked<Headers>,
    soft: bool,
}

/// What the packet has: `None` where the headers end too early to tell.
fn headers_of(packet: &Packet) -> Option<Headers> {
    let bytes = packet.bytes();
    let mut next = *bytes.get(6).filter(|_| packet.family() == Family::V6)?;
    let mut at = ipv6::HEADER;
    let mut found = 0;
    while let Some(bit) = bit_of(next).filter(|_| next != ANY_OTHER) {
        if next == NO_NEXT_HEADER {
            return Some(found | bit);
        }
        let header = bytes.get(at..).unwrap_or_default();
        let length = extension::length(next, header)?;
        found |= bit;
        if next == protocol::ESP {
            return Some(found);
        }
        next = header[0];
        at += length;
        // Behind a header that says to be longer than the packet the kernel looks no further, and takes what that names for a protocol.
        if at > bytes.len() {
            break;
        }
    }
    let ends = matches!(next, NO_NEXT_HEADER | protocol::ESP);
    Some(if ends { found } else { found | bit_of(ANY_OTHER)? })
}

impl Match for Ipv6Header {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let Some(has) = headers_of(cx.packet) else {
            return Matched::No;
        };
        let Asked { value: asked, inverted } = self.headers;
        let fits = match (self.soft, inverted) {
            (false, _) => self.headers.fits(has == asked),
            (true, false) => has & asked == asked,
            (true, true) => has & asked == 0,
        };
        fits.into()
    }

    fn effect(&self) -> Effect {
        // A plain packet has no extension header, and so one answer.
        Effect::PURE.hanging_on(HangsOn::Plain)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let mut asked = String::new();
        self.save(&mut asked);
        match headers_of(cx.packet) {
            Some(has) => format!("{}: packet has {}", asked.trim_start(), names_of(has)),
            None => "ipv6header: packet's headers are cut short".to_owned(),
        }
    }

    fn save(&self, out: &mut String) {
        let Asked { value, inverted } = self.headers;
        let _ = write!(out, " {} {}", HEADERS.spelled(inverted), names_of(value));
        if self.soft {
            let _ = write!(out, " {}", SOFT.spelled(false));
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let Asked { value, inverted } = self.headers;
        let _ = write!(out, " ipv6header flags:{}", if inverted { "!" } else { "" });
        let _ = match numeric {
            true => write!(out, "0x{value:02X}"),
            false => write!(out, "{}", names_of(value)),
        };
        if self.soft {
            let _ = write!(out, " {}", SOFT.name());
        }
    }
}

fn names_of(headers: Headers) -> String {
    let has = KNOWN
        .iter()
        .filter(|(number, ..)| bit_of(*number).is_some_and(|bit| headers & bit != 0));
    has.map(|(_, name, _)| *name).collect::<Vec<_>>().join(",")
}

/// ` ipv6header flags:!0x80 soft`, or with names.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("ipv6header")?;
        let text = it.after("flags:")?;
        let (inverted, text) = match text.strip_prefix('!') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let names = match text.strip_prefix("0x") {
            Some(digits) => names_of(Headers::from_str_radix(digits, 16).ok()?),
            None => text.to_owned(),
        };
        let mut options = Options::default();
        options.push(inverted, HEADERS.name(), &names);
        if it.word(SOFT.name()).is_some() {
            options.push(false, SOFT.name(), "");
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--header hop", "--header hop-by-hop", "ipv6header flags:0x80").named("ipv6header flags:hop-by-hop"),
        taken(
            "",
            "--header hop --soft",
            "--header hop-by-hop --soft",
            "ipv6header flags:0x80 soft",
        )
        .named("ipv6header flags:hop-by-hop soft"),
        taken(
            "",
            "--soft --header hop",
            "--header hop-by-hop --soft",
            "ipv6header flags:0x80 soft",
        )
        .named("ipv6header flags:hop-by-hop soft"),
        taken("", "! --header hop", "! --header hop-by-hop", "ipv6header flags:!0x80")
            .named("ipv6header flags:!hop-by-hop"),
        taken(
            "",
            "! --header hop --soft",
            "! --header hop-by-hop --soft",
            "ipv6header flags:!0x80 soft",
        )
        .named("ipv6header flags:!hop-by-hop soft"),
        taken(
            "",
            "--header hop-by-hop,ipv6-opts,ipv6-route,ipv6-frag,ah,esp,ipv6-nonxt,protocol",
            "--header hop-by-hop,ipv6-opts,ipv6-route,ipv6-frag,ah,esp,ipv6-nonxt,protocol",
            "ipv6header flags:0xFF",
        )
        .named("ipv6header flags:hop-by-hop,ipv6-opts,ipv6-route,ipv6-frag,ah,esp,ipv6-nonxt,protocol"),
        taken(
            "",
            "--header hop,dst,route,frag,auth,esp,none,prot",
            "--header hop-by-hop,ipv6-opts,ipv6-route,ipv6-frag,ah,esp,ipv6-nonxt,protocol",
            "ipv6header flags:0xFF",
        )
        .named("ipv6header flags:hop-by-hop,ipv6-opts,ipv6-route,ipv6-frag,ah,esp,ipv6-nonxt,protocol"),
        taken(
            "",
            "--header prot,none,esp",
            "--header esp,ipv6-nonxt,protocol",
            "ipv6header flags:0x07",
        )
        .named("ipv6header flags:esp,ipv6-nonxt,protocol"),
        taken(
            "",
            "--header 0,60,43,44,51,50,59",
            "--header hop-by-hop,ipv6-opts,ipv6-route,ipv6-frag,ah,esp,ipv6-nonxt",
            "ipv6header flags:0xFE",
        )
        .named("ipv6header flags:hop-by-hop,ipv6-opts,ipv6-route,ipv6-frag,ah,esp,ipv6-nonxt"),
        taken("", "--header 255", "--header protocol", "ipv6header flags:0x01").named("ipv6header flags:protocol"),
        taken("", "--header hop,", "--header hop-by-hop", "ipv6header flags:0x80").named("ipv6header flags:hop-by-hop"),
        taken("", "--header ,hop", "--header hop-by-hop", "ipv6header flags:0x80").named("ipv6header flags:hop-by-hop"),
        taken(
            "",
            "--header hop,,dst",
            "--header hop-by-hop,ipv6-opts",
            "ipv6header flags:0xC0",
        )
        .named("ipv6header flags:hop-by-hop,ipv6-opts"),
        taken("", "--header hop,hop", "--header hop-by-hop", "ipv6header flags:0x80")
            .named("ipv6header flags:hop-by-hop"),
        taken("", "--header hopopt", "--header hop-by-hop", "ipv6header flags:0x80")
            .named("ipv6header flags:hop-by-hop"),
        taken("", "--header protocol", "--header protocol", "ipv6header flags:0x01").named("ipv6header flags:protocol"),
        taken("", "--header 59", "--header ipv6-nonxt", "ipv6header flags:0x02").named("ipv6header flags:ipv6-nonxt"),
        taken("", "--header none", "--header ipv6-nonxt", "ipv6header flags:0x02").named("ipv6header flags:ipv6-nonxt"),
        taken(
            "",
            "--header ipv6-nonxt",
            "--header ipv6-nonxt",
            "ipv6header flags:0x02",
        )
        .named("ipv6header flags:ipv6-nonxt"),
        taken(
            "",
            "--header IPv6-Route",
            "--header ipv6-route",
            "ipv6header flags:0x20",
        )
        .named("ipv6header flags:ipv6-route"),
        taken(
            "",
            "--header hop,\"dst\"",
            "--header hop-by-hop,ipv6-opts",
            "ipv6header flags:0xC0",
        )
        .named("ipv6header flags:hop-by-hop,ipv6-opts"),
    ],
    refused: &[
        refused("", "", "ipv6header: option \"--header\" must be specified\n"),
        refused("", "--soft", "ipv6header: option \"--header\" must be specified\n"),
        refused(
            "",
            "! --soft --header hop",
            "ipv6header: option \"--soft\" cannot be inverted.\n",
        ),
        refused("", "--header 256", "unknown header `256' specified"),
        refused("", "--header 6", "unknown header `6' specified"),
        refused("", "--header tcp", "unknown header `6' specified"),
        refused("", "--header 135", "unknown header `135' specified"),
        refused("", "--header x", "unknown header `x' specified"),
        refused("", "--header \"\"", "ip6t_ipv6header: cannot parse header names"),
        refused("", "--header HOP", "unknown header `HOP' specified"),
        refused("", "--header ipv6-icmp", "unknown header `58' specified"),
        refused("", "--header 0x2b", "unknown header `0x2b' specified"),
        refused("", "--header ipv6", "unknown header `41' specified"),
        refused("", "--header 41", "unknown header `41' specified"),
        refused(
            "",
            "--header hop --header dst",
            "ipv6header: option \"--header\" can only be used once.\n",
        ),
        refused(
            "",
            "--header hop --soft --soft",
            "ipv6header: option \"--soft\" can only be used once.\n",
        ),
        refused("", "--header proto", "unknown header `proto' specified"),
        refused("", "--header -1", "unknown header `-1' specified"),
        refused("", "--header hop:dst", "unknown header `hop:dst' specified"),
        refused("", "--header all", "unknown header `all' specified"),
        refused("", "--header ESP", "unknown header `ESP' specified"),
        refused("", "--header AH", "unknown header `AH' specified"),
        refused("", "--header IPV6-ROUTE", "unknown header `IPV6-ROUTE' specified"),
        refused("", "--header hopopts", "unknown header `hopopts' specified"),
        refused("", "--header 00", "unknown header `00' specified"),
        refused("", "--header 043", "unknown header `043' specified"),
        refused("", "--header \" 43\"", "unknown header ` 43' specified"),
        refused("", "--header +43", "unknown header `+43' specified"),
        refused("", "--header -43", "unknown header `-43' specified"),
        refused("", "--header 43x", "unknown header `43x' specified"),
        refused("", "--header ,", "ip6t_ipv6header: cannot parse header names"),
        refused("", "--header \" hop\"", "unknown header ` hop' specified"),
    ],
    packets: &[
        passes("", "--header prot", DATAGRAM6),
        passes(
            "",
            "--header dst,prot",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt",
        ),
        passes("", "! --header dst", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt"),
        passes(
            "",
            "--header dst --soft",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt",
        ),
        passes(
            "",
            "! --header frag,esp --soft",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt",
        ),
        passes(
            "",
            "--header hop,dst,route,frag,auth,prot",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh dstopt rt 2 0 frag 0 mf ah 5 1",
        ),
        passes("", "--header none", "ip 2001:db8::2 > 2001:db8:1::9 proto none"),
        passes(
            "",
            "--header esp",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 50 data 0x0000",
        ),
        fails(
            "",
            "--header dst",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt",
            "--header ipv6-opts: packet has ipv6-opts,protocol",
        ),
        fails(
            "",
            "! --header prot",
            DATAGRAM6,
            "! --header protocol: packet has protocol",
        ),
        fails(
            "",
            "--header dst,frag --soft",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt",
            "--header ipv6-opts,ipv6-frag --soft: packet has ipv6-opts,protocol",
        ),
        fails(
            "",
            "! --header dst,frag --soft",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt",
            "! --header ipv6-opts,ipv6-frag --soft: packet has ipv6-opts,protocol",
        ),
        fails(
            "",
            "--header esp",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 50 data 0x00",
            "ipv6header: packet's headers are cut short",
        ),
    ],
    spellings: &[
        "-m ipv6header --header hop",
        "-m ipv6header --header hop --soft",
        "-m ipv6header ! --header hop",
        "-m ipv6header --header 0",
        "-m ipv6header --header hop,dst",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| {
        draw.give_one(
            &HEADERS.spec,
            &[
                "prot",
                "prot",
                "dst,prot",
                "hop,prot",
                "frag,prot",
                "route,prot",
                "esp",
                "none",
                "auth,prot",
                "hop,dst,prot",
                "frag",
                "dst",
                "hop",
            ],
        );
        draw.maybe_flag(2, &SOFT.spec);
    },
)
.in_one_scenario_of(4);
