//! `-m tcp`: ports, flags and options of TCP.

use std::fmt::Write;
use std::sync::Arc;

use super::ports::{self, EndOptions, EndPorts, PortMiss};
use crate::base::{Family, PortRange, protocol};
use crate::ext::MatchSpec;
use crate::ext::drawn::{CLIENT_PORTS, Drawn, SERVER_PORTS, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, Read, ReadPair, UsageError};
use crate::ext::place::only_protocol;
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::rule::{Condition, Context, Effect, Ends, Field, Lowered, Match, Matched, Refusal, Scope};
use crate::wire::tcp::flags;

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "tcp",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: Some(protocol::TCP),
    options: &[
        PORTS.source.spec,
        PORTS.destination.spec,
        OPTION.spec,
        FLAGS.spec,
        SYN.spec,
    ],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "ports, flags and options of TCP",
    samples: SAMPLES,
};

const PORTS: EndOptions = EndOptions {
    source: range("sport", "the source port lies in the range")
        .also(&["source-port"])
        .repeated("Only one `--source-port' allowed"),
    destination: range("dport", "the destination port lies in the range")
        .also(&["destination-port"])
        .repeated("Only one `--destination-port' allowed"),
    protocol: protocol::TCP,
    saves_all: false,
};
const OPTION: Opt<u8> = Opt::own(
    "tcp-option",
    "KIND",
    &Read(|text, _| option_kind(text)),
    "the header holds an option of this kind (1 to 255)",
)
.invertible()
.repeated("Only one `--tcp-option' allowed");
const FLAGS: Opt<Flags> = Opt::pair(
    "tcp-flags",
    ["FLAG[,...]", "FLAG[,...]"],
    &ReadPair(|mask, set, _| flags_under_mask(mask, set)),
    "of the flags in the first list, those in the second are set and the others are not",
)
.invertible()
.either_or(|| SYN.name(), ONE_OF_THE_FLAGS);
const SYN: Opt<()> = Opt::flag(
    "syn",
    "the packet opens a connection: short for --tcp-flags FIN,SYN,RST,ACK SYN",
)
.invertible()
.either_or(|| FLAGS.name(), ONE_OF_THE_FLAGS);

const fn range(name: &'static str, help: &'static str) -> Opt<PortRange> {
    Opt::own(
        name,
        "PORT[:PORT]",
        &Read(|text, _| ports::range(text, protocol::TCP)),
        help,
    )
    .invertible()
}

const ONE_OF_THE_FLAGS: &str = "Only one of `--syn' or `--tcp-flags'  allowed";

/// Of the flags under the mask those in the set are set, and the others are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Flags {
    mask: u8,
    set: u8,
}

fn option_kind(text: &str) -> Result<u8, UsageError> {
    crate::ext::number::whole_number(text)
        .and_then(|kind| u8::try_from(kind).ok())
        .filter(|kind| *kind != 0)
        .ok_or_else(|| UsageError::parameter(format!("Bad TCP option \"{text}\"")))
}

fn flags_under_mask(mask: &str, set: Option<&str>) -> Result<Flags, UsageError> {
    let Some(set) = set.filter(|set| !set.starts_with(['-', '!'])) else {
        return Err(UsageError::parameter("--tcp-flags requires two args."));
    };
    Ok(Flags {
        mask: flag_bits(mask)?,
        set: flag_bits(set)?,
    })
}

fn flag_bits(text: &str) -> Result<u8, UsageError> {
    let mut bits = 0;
    for word in text.split(',').filter(|word| !word.is_empty()) {
        bits |= match word {
            _ if word.eq_ignore_ascii_case("ALL") => 0x3f,
            _ if word.eq_ignore_ascii_case("NONE") => 0,
            _ => FLAG_NAMES
                .iter()
                .find(|(_, name)| name.eq_ignore_ascii_case(word))
                .map(|&(bit, _)| bit)
                .ok_or_else(|| UsageError::parameter(format!("Unknown TCP flag `{word}'")))?,
        };
    }
    Ok(bits)
}

/// In the order they are printed. ECE and CWR have no names in the tool.
const FLAG_NAMES: [(u8, &str); 6] = [
    (0x01, "FIN"),
    (0x02, "SYN"),
    (0x04, "RST"),
    (0x08, "PSH"),
    (0x10, "ACK"),
    (0x20, "URG"),
];

fn flag_names(bits: u8) -> String {
    let names: Vec<_> = FLAG_NAMES
        .iter()
        .filter(|(bit, _)| bits & bit != 0)
        .map(|&(_, name)| name)
        .collect();
    if names.is_empty() {
        "NONE".to_owned()
    } else {
        names.join(",")
    }
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let syn = given.get(SYN).map(|asked| Asked {
        value: Flags { mask: 0x17, set: 0x02 },
        inverted: asked.inverted,
    });
    Ok(Arc::new(Tcp {
        ports: PORTS.given(given),
        option: given.get(OPTION),
        flags: given.get(FLAGS).or(syn).unwrap_or_default(),
    }))
}

/// Whether SYN is among the flags that a match wants set, as the kernel asks for targets that are for such segments only: not which flags it looks
/// at.
pub(crate) fn wants_syn(test: &dyn Match) -> bool {
    let tcp = test.as_any().downcast_ref::<Tcp>();
    tcp.is_some_and(|it| it.flags.value.set & flags::SYN != 0 && !it.flags.inverted)
}

#[derive(Debug, PartialEq, Eq)]
struct Tcp {
    ports: EndPorts,
    option: Option<Asked<u8>>,
    /// None of them under no mask, where nothing was said.
    flags: Asked<Flags>,
}

/// The first option that a packet failed.
enum Miss {
    LaterFragment,
    /// A fragment at offset 8: it could overwrite the flags of a header that was let pass.
    FragmentIntoHeader,
    CutShort,
    Port(PortMiss),
    Flags(u8),
    DataOffset,
    Option,
}

impl Tcp {
    fn asks_for_flags(&self) -> bool {
        self.flags.value.mask != 0 || self.flags.inverted
    }

    fn check(&self, cx: &Context<'_>) -> Result<(), Miss> {
        match cx.packet.fragment_offset() {
            0 => {}
            // Seen: in IPv6 it is as any other later fragment.
            8 if cx.packet.family() == Family::V4 => return Err(Miss::FragmentIntoHeader),
            _ => return Err(Miss::LaterFragment),
        }
        // The kernel asks for the fixed header only; a data offset beyond the packet is no obstacle to ports and flags.
        let header = cx.packet.transport();
        let Some(fixed) = header.first_chunk::<20>() else {
            return Err(Miss::CutShort);
        };
        let source = u16::from_be_bytes([fixed[0], fixed[1]]);
        let destination = u16::from_be_bytes([fixed[2], fixed[3]]);
        self.ports.check(source, destination).map_err(Miss::Port)?;
        let Flags { mask, set } = self.flags.value;
        if !self.flags.fits(fixed[13] & mask == set) {
            return Err(Miss::Flags(fixed[13]));
        }
        if let Some(option) = self.option {
            let length = usize::from(fixed[12] >> 4) * 4;
            let Some(options) = header.get(20..length) else {
                return Err(Miss::DataOffset);
            };
            if !option.fits(has_option(options, option.value)) {
                return Err(Miss::Option);
            }
        }
        Ok(())
    }
}

/// Walks as the kernel does here: END is an option like any other, and a length of zero counts as one.
fn has_option(options: &[u8], kind: u8) -> bool {
    let mut at = 0;
    while let Some(&found) = options.get(at) {
        if found == kind {
            return true;
        }
        at += if found < 2 {
            1
        } else {
            usize::from(options.get(at + 1).copied().unwrap_or(0)).max(1)
        };
    }
    false
}

impl Match for Tcp {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        match self.check(cx) {
            Ok(()) => Matched::Yes,
            Err(Miss::FragmentIntoHeader | Miss::CutShort | Miss::DataOffset) => Matched::Malformed,
            Err(_) => Matched::No,
        }
    }

    fn lower(&self) -> Lowered {
        let Flags { mask, set } = self.flags.value;
        let mut conditions = vec![Condition::Header(20)];
        conditions.extend(self.ports.conditions());
        if self.asks_for_flags() {
            conditions.push(Condition::new(Field::TcpFlags { mask, set }, self.flags.inverted));
        }
        match self.option {
            None => Lowered::exactly(conditions),
            Some(_) => Lowered::at_least(conditions),
        }
    }

    fn effect(&self) -> Effect {
        Effect::PURE.ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        match self.check(cx) {
            Ok(()) => "tcp: matches".to_owned(),
            Err(Miss::LaterFragment) => "tcp: packet is a later fragment without a TCP header".to_owned(),
            Err(Miss::FragmentIntoHeader) => "tcp: packet is a fragment that reaches into the TCP header".to_owned(),
            Err(Miss::CutShort) => "tcp: packet's TCP header is cut short".to_owned(),
            Err(Miss::DataOffset) => "tcp: packet's TCP data offset contradicts its length".to_owned(),
            Err(Miss::Port(miss)) => PORTS.sentence(&self.ports, miss),
            Err(Miss::Flags(has)) => {
                let Flags { mask, set } = self.flags.value;
                format!(
                    "{} {} {}: packet has {}",
                    FLAGS.spelled(self.flags.inverted),
                    flag_names(mask),
                    flag_names(set),
                    flag_names(has & mask)
                )
            }
            Err(Miss::Option) => {
                let Asked { value, inverted } = self.option.unwrap_or_default();
                let has = if inverted { "it" } else { "none" };
                format!("{} {value}: packet has {has}", OPTION.spelled(inverted))
            }
        }
    }

    fn save(&self, out: &mut String) {
        PORTS.save(out, &self.ports);
        if let Some(Asked { value, inverted }) = self.option {
            let _ = write!(out, " {} {value}", OPTION.spelled(inverted));
        }
        if self.asks_for_flags() {
            let (Flags { mask, set }, option) = (self.flags.value, FLAGS.spelled(self.flags.inverted));
            let _ = write!(out, " {option} {} {}", flag_names(mask), flag_names(set));
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let bang = |inverted| if inverted { "!" } else { "" };
        out.push_str(" tcp");
        PORTS.list(out, &self.ports, numeric);
        if let Some(Asked { value, inverted }) = self.option {
            let _ = write!(out, " option={}{value}", bang(inverted));
        }
        if self.asks_for_flags() {
            let Flags { mask, set } = self.flags.value;
            let _ = write!(out, " flags:{}", bang(self.flags.inverted));
            let _ = if numeric {
                write!(out, "0x{mask:02X}/0x{set:02X}")
            } else {
                write!(out, "{}/{}", flag_names(mask), flag_names(set))
            };
        }
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_protocol(scope, "tcp match", protocol::TCP)
    }
}

/// ` tcp spt:80 dpts:!1:2 option=!7 flags:0x17/0x02`, flags by name, too.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("tcp")?;
        let mut options = Options::default();
        PORTS.unlist(it, &mut options);
        if let Some(kind) = it.after("option=") {
            options.push_unless(kind, OPTION.name());
        }
        if let Some(text) = it.after("flags:") {
            let (inverted, text) = match text.strip_prefix('!') {
                Some(text) => (true, text),
                None => (false, text),
            };
            let (mask, compared) = text.split_once('/')?;
            options.push(inverted, FLAGS.name(), &typed_flags(mask)?);
            options.word(typed_flags(compared)?);
        }
        Some(options)
    })
}

/// Flags as they are typed. ECE and CWR can't be.
fn typed_flags(listed: &str) -> Option<String> {
    match listed.strip_prefix("0x") {
        Some(digits) => {
            let bits = u8::from_str_radix(digits, 16).ok()?;
            (bits <= 0x3f).then(|| flag_names(bits))
        }
        None => Some(listed.to_owned()),
    }
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("-p tcp", "", "", "tcp"),
        taken("-p tcp", "--dport 80:", "--dport 80:65535", "tcp dpts:80:65535").named("tcp dpts:http:65535"),
        taken("-p tcp", "--dport :80", "--dport 0:80", "tcp dpts:0:80").named("tcp dpts:0:http"),
        taken("-p tcp", "--dport :", "", "tcp"),
        taken("-p tcp", "--dport 0", "--dport 0", "tcp dpt:0"),
        taken("-p tcp", "--dport 0x50", "--dport 80", "tcp dpt:80").named("tcp dpt:http"),
        taken("-p tcp", "--dport 010", "--dport 8", "tcp dpt:8"),
        taken("-p tcp", "--dport http:https", "--dport 80:443", "tcp dpts:80:443").named("tcp dpts:http:https"),
        taken("-p tcp", "! --dport 80", "! --dport 80", "tcp dpt:!80").named("tcp dpt:!http"),
        taken("-p tcp", "! --dport 80:90", "! --dport 80:90", "tcp dpts:!80:90").named("tcp dpts:!http:90"),
        taken("-p tcp", "--dport 5:5", "--dport 5", "tcp dpt:5"),
        taken(
            "-p tcp",
            "--sport 1:2 --dport 3",
            "--sport 1:2 --dport 3",
            "tcp spts:1:2 dpt:3",
        )
        .named("tcp spts:tcpmux:2 dpt:3"),
        taken(
            "-p tcp",
            "! --syn",
            "! --tcp-flags FIN,SYN,RST,ACK SYN",
            "tcp flags:!0x17/0x02",
        )
        .named("tcp flags:!FIN,SYN,RST,ACK/SYN"),
        taken(
            "-p tcp",
            "--tcp-flags ALL NONE",
            "--tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE",
            "tcp flags:0x3F/0x00",
        )
        .named("tcp flags:FIN,SYN,RST,PSH,ACK,URG/NONE"),
        taken(
            "-p tcp",
            "--tcp-flags syn,,ack SYN",
            "--tcp-flags SYN,ACK SYN",
            "tcp flags:0x12/0x02",
        )
        .named("tcp flags:SYN,ACK/SYN"),
        taken(
            "-p tcp",
            "--tcp-flags SYN \"\"",
            "--tcp-flags SYN NONE",
            "tcp flags:0x02/0x00",
        )
        .named("tcp flags:SYN/NONE"),
        taken("-p tcp", "--tcp-flags NONE NONE", "", "tcp"),
        taken("-p tcp", "--tcp-option 5", "--tcp-option 5", "tcp option=5"),
        taken("-p tcp", "! --tcp-option 0x10", "! --tcp-option 16", "tcp option=!16"),
        // An inversion of everything is listed, but not saved.
        taken("-p tcp", "! --dport 0:65535", "", "tcp dpts:!0:65535").lossy(),
    ],
    refused: &[
        refused("-p tcp", "--dport 70000", "invalid port/service `70000' specified"),
        refused("-p tcp", "--dport 80:abc", "invalid port/service `abc' specified"),
        refused("-p tcp", "--dport 80:70", "invalid portrange (min > max)"),
        refused("-p tcp", "--dport \"\"", "invalid port/service `' specified"),
        refused("-p tcp", "--dport 80:90:100", "invalid port/service `90:100' specified"),
        refused("-p tcp", "--dport -1", "invalid port/service `-1' specified"),
        refused(
            "-p tcp",
            "--dport 80 --destination-port 90",
            "Only one `--destination-port' allowed",
        ),
        refused("-p tcp", "--sport 1 --sport 2", "Only one `--source-port' allowed"),
        refused("-p tcp", "--tcp-flags SYN,ACK FOO", "Unknown TCP flag `FOO'"),
        refused("-p tcp", "--tcp-flags ECE,CWR SYN", "Unknown TCP flag `ECE'"),
        refused("-p tcp", "--tcp-flags SYN", "--tcp-flags requires two args."),
        refused("-p tcp", "--tcp-flags FOO --syn", "--tcp-flags requires two args."),
        refused(
            "-p tcp",
            "--tcp-flags SYN SYN --syn",
            "Only one of `--syn' or `--tcp-flags'  allowed",
        ),
        refused("-p tcp", "--syn --syn", "Only one of `--syn' or `--tcp-flags'  allowed"),
        refused("-p tcp", "--tcp-option 0", "Bad TCP option \"0\""),
        refused("-p tcp", "--tcp-option 256", "Bad TCP option \"256\""),
        refused(
            "-p tcp",
            "--tcp-option 5 --tcp-option 6",
            "Only one `--tcp-option' allowed",
        ),
    ],
    packets: &[
        passes("-p tcp", "--dport 443", "tcp 10.0.0.2:40000 > 192.0.2.9:443 S"),
        fails(
            "-p tcp",
            "--dport 80",
            "tcp 10.0.0.2:40000 > 192.0.2.9:443 S",
            "--dport 80: packet has 443",
        ),
        fails(
            "-p tcp",
            "! --dport 400:500",
            "tcp 10.0.0.2:40000 > 192.0.2.9:443 S",
            "! --dport 400:500: packet has 443",
        ),
        fails(
            "-p tcp",
            "--sport :1023",
            "tcp 10.0.0.2:40000 > 192.0.2.9:443 S",
            "--sport 0:1023: packet has 40000",
        ),
        passes("-p tcp", "--syn", "tcp 10.0.0.2:40000 > 192.0.2.9:443 S"),
        fails(
            "-p tcp",
            "! --syn",
            "tcp 10.0.0.2:40000 > 192.0.2.9:443 S",
            "! --tcp-flags FIN,SYN,RST,ACK SYN: packet has SYN",
        ),
        fails(
            "-p tcp",
            "--tcp-flags SYN,ACK ACK",
            "tcp 10.0.0.2:40000 > 192.0.2.9:443 S",
            "--tcp-flags SYN,ACK ACK: packet has SYN",
        ),
        passes(
            "-p tcp",
            "--tcp-option 2",
            "tcp 10.0.0.2:40000 > 192.0.2.9:443 S mss 1460",
        ),
        fails(
            "-p tcp",
            "! --tcp-option 2",
            "tcp 10.0.0.2:40000 > 192.0.2.9:443 S mss 1460",
            "! --tcp-option 2: packet has it",
        ),
        fails(
            "-p tcp",
            "--tcp-option 3",
            "tcp 10.0.0.2:40000 > 192.0.2.9:443 S mss 1460",
            "--tcp-option 3: packet has none",
        ),
        fails(
            "-p tcp",
            "--dport 80",
            "hex 45000034000100b94006adff0a000002c00002090000000000000000000000000000000000000000000000000000000000000000",
            "tcp: packet is a later fragment without a TCP header",
        ),
    ],
    spellings: &[
        "-p tcp --dport 80",
        "-p tcp -m tcp --dport 80",
        "-p 6 -m tcp --dport http",
        "-p TCP --dport 80:80",
        "-p tcp --dport 80 --sport 0:65535",
        "-p tcp --dport 80 --sport :",
        "-p tcp ! --dport 80",
        "-p tcp --sport 80",
        "-p tcp -m tcp -m tcp --dport 80",
        "-p tcp",
        "-p tcp -m tcp",
        "-p tcp --syn",
        "-p tcp --tcp-flags SYN,RST,ACK,FIN SYN",
        "-p tcp --tcp-flags FIN,ACK,RST,SYN SYN",
        "-p tcp ! --syn",
        "-p tcp --tcp-option 5",
        "-p tcp --tcp-option 0x5",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 50,
    |draw| {
        draw.maybe(3, &PORTS.source.spec, CLIENT_PORTS);
        draw.maybe(2, &PORTS.destination.spec, SERVER_PORTS);
        match draw.below(8) {
            0 => draw.give(&SYN.spec, ""),
            1 => draw.give_one(&FLAGS.spec, ASKED_FLAGS),
            _ => {}
        }
        // Window scaling, selective acks, timestamps, MSS, and some that nobody sends.
        draw.maybe(10, &OPTION.spec, &["1", "2", "3", "4", "5", "8", "30", "255"]);
    },
);

const ASKED_FLAGS: &[&str] = &[
    "SYN,ACK ACK",
    "SYN,ACK SYN,ACK",
    "ALL NONE",
    "ALL ALL",
    "FIN,RST FIN",
    "RST RST",
    "ACK,PSH,URG PSH,ACK",
    "SYN,FIN SYN,FIN",
    "FIN,SYN,RST,ACK SYN",
    "NONE NONE",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, P, TCP, UDP, ip, match_packets, match_places, read_match, tcp};
    use crate::rule::{Hook, Table};

    #[test]
    fn needs_its_protocol() {
        let other = "x_tables: ip_tables: tcp match: only valid for protocol 6";
        for (p, said) in [(TCP, ""), (UDP, other), (ANY, other), (P(protocol::TCP, true), other)] {
            match_places(&SPEC, p, "--dport 80", &[(Table::Filter, &[Hook::Input], said)]);
        }
    }

    #[test]
    fn packets() {
        let bench = Bench::new();
        let syn = tcp(40000, 443, 0x02, &[2, 4, 5, 180]);
        let with_end = tcp(40000, 443, 0x12, &[0, 8, 0, 3]);
        let padded = tcp(40000, 443, 0x12, &[1, 3, 3, 0]);
        let later = ip(protocol::TCP, 185, &[0; 32]);
        match_packets(
            &SPEC,
            TCP,
            &bench,
            &[
                ("--dport 443", &syn, ""),
                ("--dport 80", &syn, "--dport 80: packet has 443"),
                ("! --dport 400:500", &syn, "! --dport 400:500: packet has 443"),
                ("--sport :1023", &syn, "--sport 0:1023: packet has 40000"),
                ("--syn", &syn, ""),
                ("! --syn", &syn, "! --tcp-flags FIN,SYN,RST,ACK SYN: packet has SYN"),
                (
                    "--tcp-flags SYN,ACK ACK",
                    &syn,
                    "--tcp-flags SYN,ACK ACK: packet has SYN",
                ),
                ("--tcp-option 2", &syn, ""),
                ("! --tcp-option 2", &syn, "! --tcp-option 2: packet has it"),
                ("--tcp-option 3", &syn, "--tcp-option 3: packet has none"),
                // NOP has no length.
                ("--tcp-option 3", &padded, ""),
                // The kernel does not stop at END (0), and takes a length of 0 for 1.
                ("--tcp-option 3", &with_end, ""),
                ("", &later, "tcp: packet is a later fragment without a TCP header"),
            ],
        );
    }

    #[test]
    fn broken_packets_are_dropped_on_the_spot() {
        let bench = Bench::new();
        let ports = read_match(&SPEC, TCP, "--dport 443").unwrap();
        let options = read_match(&SPEC, TCP, "--tcp-option 2").unwrap();
        let whole = tcp(1, 443, 0x02, &[]);
        let mut long = whole.transport().to_vec();
        long[12] = 15 << 4;
        let mut short = long.clone();
        short[12] = 4 << 4;
        for (packet, of_ports, of_options) in [
            (
                ip(protocol::TCP, 0, &whole.transport()[..19]),
                Matched::Malformed,
                Matched::Malformed,
            ),
            (
                ip(protocol::TCP, 1, whole.transport()),
                Matched::Malformed,
                Matched::Malformed,
            ),
            (ip(protocol::TCP, 0x2000, whole.transport()), Matched::Yes, Matched::No),
            (ip(protocol::TCP, 0, &long), Matched::Yes, Matched::Malformed),
            (ip(protocol::TCP, 0, &short), Matched::Yes, Matched::Malformed),
        ] {
            assert_eq!(bench.ask(ports.as_ref(), &packet).0, of_ports, "{packet:?}");
            assert_eq!(bench.ask(options.as_ref(), &packet).0, of_options, "{packet:?}");
        }
    }
}
