//! `-m dccp`: ports, types and options of DCCP (RFC 4340).

use std::fmt::Write;
use std::sync::Arc;

use super::header::{Miss as HeaderMiss, header};
use super::ports::{EndOptions, EndPorts, PortMiss};
use crate::base::{Family, protocol};
use crate::ext::MatchSpec;
use crate::ext::drawn::{CLIENT_PORTS, Drawn, SERVER_PORTS, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::place::only_protocol;
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::rule::{Condition, Context, Effect, Ends, Lowered, Match, Matched, Refusal, Scope};
use crate::wire::be16;

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "dccp",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: Some(protocol::DCCP),
    options: &[PORTS.source.spec, PORTS.destination.spec, TYPES.spec, OPTION.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "ports, types and options of DCCP",
    samples: SAMPLES,
};

const PORTS: EndOptions = EndOptions {
    source: Opt::ports("sport", "the source port lies in the range")
        .invertible()
        .in_errors(&["source-port"]),
    destination: Opt::ports("dport", "the destination port lies in the range")
        .invertible()
        .in_errors(&["destination-port"]),
    protocol: protocol::DCCP,
    saves_all: true,
};
const TYPES: Opt<Types> = Opt::words(
    "dccp-types",
    &NAMES,
    &Read(|text, _| types(text)),
    "the packet is of one of these types",
)
.invertible();
const OPTION: Opt<u64> = Opt::integer("dccp-option", 1, 255, "the header holds an option of this number").invertible();

/// A bit a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Types(u16);

/// In the order of their numbers. The last stands for it and all others.
const NAMES: [&str; 11] = [
    "REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK", "INVALID",
];
const INVALID: u16 = 0xfc00;

fn bits_of(at: usize) -> u16 {
    match at {
        10.. => INVALID,
        at => 1 << at,
    }
}

fn types(text: &str) -> Result<Types, UsageError> {
    let mut bits = 0;
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let at = NAMES.iter().position(|name| name.eq_ignore_ascii_case(word));
        let at = at.ok_or_else(|| UsageError::parameter(format!("Unknown DCCP type `{word}'")))?;
        bits |= bits_of(at);
    }
    Ok(Types(bits))
}

impl Types {
    fn has(self, kind: u8) -> bool {
        self.0 & (1 << kind) != 0
    }

    fn names(self) -> String {
        let known = NAMES.iter().enumerate().filter(|(at, _)| self.0 & bits_of(*at) != 0);
        known.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
    }

    fn numbers(self) -> String {
        let kinds = (0..16u8).filter(|kind| self.has(*kind));
        kinds.map(|kind| kind.to_string()).collect::<Vec<_>>().join(",")
    }
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(Dccp {
        ports: PORTS.given(given),
        types: given.get(TYPES),
        option: given.get(OPTION),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Dccp {
    ports: EndPorts,
    types: Option<Asked<Types>>,
    option: Option<Asked<u64>>,
}

/// The first option that a packet failed.
enum Failed {
    Port(PortMiss),
    Type(u8),
    Option,
    /// Its options are not all there, or begin within what its type has before them.
    DataOffset,
}

impl Dccp {
    fn check(&self, cx: &Context<'_>) -> Result<(), HeaderMiss<Failed>> {
        let packet = header(cx.packet, |bytes| (bytes.len() >= HEADER).then_some(bytes))?;
        self.ports
            .check(be16(packet, 0), be16(packet, 2))
            .map_err(|miss| HeaderMiss::Has(Failed::Port(miss)))?;
        let kind = kind(packet);
        if self.types.is_some_and(|asked| !asked.fits(asked.value.has(kind))) {
            return Err(HeaderMiss::Has(Failed::Type(kind)));
        }
        if let Some(asked) = self.option {
            let Some(options) = packet.get(before_options(packet)..usize::from(packet[4]) * 4) else {
                return Err(HeaderMiss::Has(Failed::DataOffset));
            };
            if !asked.fits(has_option(options, asked.value)) {
                return Err(HeaderMiss::Has(Failed::Option));
            }
        }
        Ok(())
    }
}

/// With a short sequence number.
const HEADER: usize = 12;

fn kind(packet: &[u8]) -> u8 {
    packet[8] >> 1 & 0x0f
}

/// What stands before the options: the header, four bytes more with a long sequence number, and what the type has (RFC 4340, section 5).
fn before_options(packet: &[u8]) -> usize {
    let long = if packet[8] & 1 != 0 { 4 } else { 0 };
    let of_type = match kind(packet) {
        0 => 4,
        2 => 0,
        3..=6 | 8 | 9 => 8,
        _ => 12,
    };
    HEADER + long + of_type
}

/// Those below 32 are of one byte in the RFC; seen: the kernel takes only 0 and 1 for such, and a length of zero for one.
fn has_option(options: &[u8], number: u64) -> bool {
    let mut at = 0;
    while let Some(&found) = options.get(at) {
        if u64::from(found) == number {
            return true;
        }
        at += match found {
            0 | 1 => 1,
            _ => usize::from(options.get(at + 1).copied().unwrap_or(0)).max(1),
        };
    }
    false
}

impl Match for Dccp {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        match self.check(cx) {
            Err(HeaderMiss::Has(Failed::DataOffset)) => Matched::Malformed,
            other => other.into(),
        }
    }

    fn lower(&self) -> Lowered {
        let mut conditions = vec![Condition::Header(HEADER as u8)];
        conditions.extend(self.ports.conditions());
        match (self.types, self.option) {
            (None, None) => Lowered::exactly(conditions),
            _ => Lowered::at_least(conditions),
        }
    }

    fn effect(&self) -> Effect {
        Effect::PURE.ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        match self.check(cx) {
            Ok(()) => "dccp: matches".to_owned(),
            Err(HeaderMiss::LaterFragment) => "dccp: packet is a later fragment without a DCCP header".to_owned(),
            Err(HeaderMiss::CutShort) => "dccp: packet's DCCP header is cut short".to_owned(),
            Err(HeaderMiss::Has(Failed::Port(miss))) => PORTS.sentence(&self.ports, miss),
            Err(HeaderMiss::Has(Failed::Type(kind))) => {
                let inverted = self.types.is_some_and(|it| it.inverted);
                let asked = self.types.map(|it| it.value.names()).unwrap_or_default();
                let found = NAMES[usize::from(kind).min(NAMES.len() - 1)];
                format!("{} {asked}: packet is {found}", TYPES.spelled(inverted))
            }
            Err(HeaderMiss::Has(Failed::Option)) => {
                let Asked { value, inverted } = self.option.unwrap_or_default();
                let has = if inverted { "it" } else { "none" };
                format!("{} {value}: packet has {has}", OPTION.spelled(inverted))
            }
            Err(HeaderMiss::Has(Failed::DataOffset)) => "dccp: packet's options are cut short".to_owned(),
        }
    }

    fn save(&self, out: &mut String) {
        PORTS.save(out, &self.ports);
        if let Some(Asked { value, inverted }) = self.types {
            let _ = write!(out, " {} {}", TYPES.spelled(inverted), value.names());
        }
        if let Some(Asked { value, inverted }) = self.option {
            let _ = write!(out, " {} {value}", OPTION.spelled(inverted));
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        out.push_str(" dccp");
        PORTS.list(out, &self.ports, numeric);
        if let Some(Asked { value, inverted }) = self.types {
            let bang = if inverted { " !" } else { "" };
            let types = if numeric { value.numbers() } else { value.names() };
            let _ = write!(out, "{bang} {types}");
        }
        if let Some(Asked { value, inverted }) = self.option {
            let _ = write!(out, " option={}{value}", if inverted { "!" } else { "" });
        }
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_protocol(scope, "dccp match", protocol::DCCP)
    }
}

/// ` dccp spt:53 ! DATA,ACK option=!5`; types by their names or numbers.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word(SPEC.name)?;
        let mut options = Options::default();
        PORTS.unlist(it, &mut options);
        let inverted = it.word("!").is_some();
        let types = it.peek().and_then(types_as_typed);
        match types {
            Some(types) => {
                it.take();
                options.push(inverted, TYPES.name(), &types);
            }
            None if inverted => return None,
            None => {}
        }
        if let Some(option) = it.after("option=") {
            options.push_unless(option, OPTION.name());
        }
        Some(options)
    })
}

fn types_as_typed(listed: &str) -> Option<String> {
    let mut bits = 0;
    for word in listed.split(',') {
        let by_number = word.parse::<u8>().ok().filter(|kind| *kind < 16).map(|kind| 1 << kind);
        let by_name = || NAMES.iter().position(|name| *name == word).map(bits_of);
        bits |= by_number.or_else(by_name)?;
    }
    Some(Types(bits).names())
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("-p dccp", "", "", "dccp"),
        taken("-p dccp", "--sport 5", "--sport 5", "dccp spt:5"),
        taken(
            "-p dccp",
            "--destination-port 5:10 ! --source-port 80",
            "! --sport 80 --dport 5:10",
            "dccp spt:!80 dpts:5:10",
        ),
        taken("-p dccp", "--dport :", "--dport 0:65535", "dccp").listing_less(),
        taken("-p dccp", "! --dport :", "! --dport 0:65535", "dccp dpts:!0:65535"),
        taken("-p dccp", "--dport http", "--dport 80", "dccp dpt:80"),
        taken("-p dccp", "--dport \"\"", "--dport 0", "dccp dpt:0"),
        taken("-p dccp", "--dport 65536", "--dport 0", "dccp dpt:0"),
        taken("-p dccp", "--dport 10:5", "--dport 10:5", "dccp dpts:10:5"),
        taken(
            "-p dccp",
            "--dccp-types request,RESPONSE",
            "--dccp-types REQUEST,RESPONSE",
            "dccp 0,1",
        )
        .named("dccp REQUEST,RESPONSE"),
        taken(
            "-p dccp",
            "! --dccp-types DATA,ACK,DATAACK,CLOSEREQ,CLOSE,RESET,SYNC,SYNCACK,INVALID",
            "! --dccp-types DATA,ACK,DATAACK,CLOSEREQ,CLOSE,RESET,SYNC,SYNCACK,INVALID",
            "dccp ! 2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        )
        .named("dccp ! DATA,ACK,DATAACK,CLOSEREQ,CLOSE,RESET,SYNC,SYNCACK,INVALID"),
        taken("-p dccp", "--dccp-option 5", "--dccp-option 5", "dccp option=5"),
        taken(
            "-p dccp",
            "! --dccp-option 0x10",
            "! --dccp-option 16",
            "dccp option=!16",
        ),
        taken(
            "-p dccp",
            "--dccp-option 1 --dccp-types DATA --sport 1 --dport 2",
            "--sport 1 --dport 2 --dccp-types DATA --dccp-option 1",
            "dccp spt:1 dpt:2 2 option=1",
        )
        .named("dccp spt:1 dpt:2 DATA option=1"),
    ],
    refused: &[
        refused("-p dccp", "--dport x", "Port \"x\" does not resolve to anything.\n"),
        refused(
            "-p dccp",
            "--dport 1:2:3",
            "dccp: Too many components for option \"--destination-port\" (max: 2)\n",
        ),
        refused(
            "-p dccp",
            "--dport 1 --dport 2",
            "dccp: option \"--destination-port\" can only be used once.\n",
        ),
        refused("-p dccp", "--dccp-types DATA,FOO", "Unknown DCCP type `FOO'"),
        refused("-p dccp", "--dccp-types 3", "Unknown DCCP type `3'"),
        refused(
            "-p dccp",
            "--dccp-types DATA --dccp-types ACK",
            "dccp: option \"--dccp-types\" can only be used once.\n",
        ),
        refused(
            "-p dccp",
            "--dccp-option 0",
            "dccp: bad value for option \"--dccp-option\", or out of range (1-255).\n",
        ),
        refused(
            "-p dccp",
            "--dccp-option 256",
            "dccp: bad value for option \"--dccp-option\", or out of range (1-255).\n",
        ),
        refused(
            "-p dccp",
            "--dccp-option 1 --dccp-option 2",
            "dccp: option \"--dccp-option\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("-p dccp", "--dport 80", REQUEST),
        passes("-p dccp", "--dccp-types REQUEST,ACK", REQUEST),
        passes("-p dccp", "--dccp-option 44", REQUEST),
        fails("-p dccp", "--dport 81:90", REQUEST, "--dport 81:90: packet has 80"),
        fails("-p dccp", "! --sport 1000", REQUEST, "! --sport 1000: packet has 1000"),
        fails(
            "-p dccp",
            "--dccp-types DATA,ACK",
            REQUEST,
            "--dccp-types DATA,ACK: packet is REQUEST",
        ),
        fails(
            "-p dccp",
            "! --dccp-types INVALID",
            "ip 10.0.0.2 > 192.0.2.9 proto 33 data 0x03e80050030000001a000001",
            "! --dccp-types INVALID: packet is INVALID",
        ),
        fails(
            "-p dccp",
            "--dccp-option 5",
            REQUEST,
            "--dccp-option 5: packet has none",
        ),
        fails(
            "-p dccp",
            "! --dccp-option 44",
            REQUEST,
            "! --dccp-option 44: packet has it",
        ),
        fails(
            "-p dccp",
            "--dccp-option 5",
            "ip 10.0.0.2 > 192.0.2.9 proto 33 data 0x03e800500900000001000000000000010000002a2c040102",
            "dccp: packet's options are cut short",
        ),
        fails(
            "-p dccp",
            "--dport 80",
            "ip 10.0.0.2 > 192.0.2.9 proto 33 data 0x03e8005003000000040000",
            "dccp: packet's DCCP header is cut short",
        ),
    ],
    spellings: &[
        "-p dccp",
        "-p dccp -m dccp",
        "-p dccp --dport 80",
        "-p dccp --dport 80:80",
        "-p dccp --dport :",
        "-p dccp ! --dport 80",
        "-p dccp --dccp-types DATA",
        "-p dccp --dccp-types data,DATA",
        "-p dccp ! --dccp-types DATA",
        "-p dccp --dccp-option 5",
        "-p dccp --dccp-option 0x5",
    ],
    drawn: DRAWN,
};

/// From port 1000 to 80, with a long sequence number, a service, and an option (44) of four bytes.
const REQUEST: &str = "ip 10.0.0.2 > 192.0.2.9 proto 33 data 0x03e800500600000001000000000000010000002a2c040102";

const DRAWN: Drawn = drawn(
    |_| 50,
    |draw| {
        draw.maybe(3, &PORTS.source.spec, CLIENT_PORTS);
        draw.maybe(2, &PORTS.destination.spec, SERVER_PORTS);
        draw.maybe(
            3,
            &TYPES.spec,
            &["REQUEST", "DATA,ACK,DATAACK", "INVALID", "RESPONSE,RESET", "CLOSE,SYNC"],
        );
        draw.maybe(4, &OPTION.spec, &["1", "2", "5", "32", "44", "255"]);
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{Bench, P, TCP, ip, match_packets, match_places};
    use crate::rule::{Hook, Table};

    const DCCP: P = P(protocol::DCCP, false);

    #[test]
    fn needs_its_protocol() {
        let other = "x_tables: ip_tables: dccp match: only valid for protocol 33";
        for (p, said) in [(DCCP, ""), (TCP, other), (P(protocol::DCCP, true), other)] {
            match_places(&SPEC, p, "--dport 80", &[(Table::Filter, &[Hook::Input], said)]);
        }
    }

    /// Of this type with a short or long sequence number, so many words long, and what stands behind the first twelve bytes.
    fn packet(kind: u8, is_long: bool, words: u8, rest: &[u8]) -> crate::packet::Packet {
        let mut bytes = vec![3, 0xe8, 0, 80, words, 0, 0, 0, kind << 1 | u8::from(is_long), 0, 0, 1];
        bytes.extend(rest);
        ip(protocol::DCCP, 0, &bytes)
    }

    #[test]
    fn options_begin_behind_what_the_type_has() {
        let bench = Bench::new();
        for (kind, least) in [
            (0, 4),
            (1, 12),
            (2, 0),
            (3, 8),
            (4, 8),
            (5, 8),
            (6, 8),
            (7, 12),
            (8, 8),
            (9, 8),
            (10, 12),
            (15, 12),
        ] {
            for (is_long, more) in [(false, 0), (true, 4)] {
                let mut rest = vec![9; least + more];
                rest.extend([1, 5, 3, 0]);
                let words = (HEADER + rest.len()) / 4;
                let whole = packet(kind, is_long, words as u8, &rest);
                let within = packet(kind, is_long, (words - 2) as u8, &rest);
                let none = packet(kind, is_long, (words - 1) as u8, &rest);
                let cut = packet(kind, is_long, words as u8 + 1, &rest);
                match_packets(
                    &SPEC,
                    DCCP,
                    &bench,
                    &[
                        ("--dccp-option 5", &whole, ""),
                        ("--dccp-option 9", &whole, "--dccp-option 9: packet has none"),
                        ("--dccp-option 5", &within, "dccp: packet's options are cut short"),
                        ("! --dccp-option 5", &none, ""),
                        ("! --dccp-option 7", &cut, "dccp: packet's options are cut short"),
                    ],
                );
            }
        }
    }

    #[test]
    fn broken_packets() {
        let bench = Bench::new();
        let cut = ip(protocol::DCCP, 0, &[0; 11]);
        let later = ip(protocol::DCCP, 1, &[0; 12]);
        match_packets(
            &SPEC,
            DCCP,
            &bench,
            &[
                ("", &cut, "dccp: packet's DCCP header is cut short"),
                ("", &later, "dccp: packet is a later fragment without a DCCP header"),
            ],
        );
    }
}
