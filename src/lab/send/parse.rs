//! From the words of a packet line to a draft.

use nom::combinator::opt;
use nom::multi::many0;

use super::ends::{ends, ends_with_ports};
use super::extension::extension;
use super::tcp_option::tcp_option;
use super::{Draft, Extension, IpDraft, TcpDraft, Transport, icmp};
use crate::base::{Family, protocol};
use crate::syntax::atom;
use crate::syntax::problem::{Problem, suggestion};
use crate::syntax::words::{self, Word, Words, unexpected};
use crate::wire::tcp::flags;

/// Reads a packet; stops before a closing parenthesis, or at the end of the line.
pub fn packet(rest: &mut Words<'_>) -> Result<Draft, Problem> {
    packet_within(0, rest)
}

/// One that so many others quote.
pub(super) fn packet_within(depth: usize, rest: &mut Words<'_>) -> Result<Draft, Problem> {
    let word = rest.read(words::word(A_PACKET))?;
    match word.text.as_str() {
        "tcp" => tcp(rest),
        "udp" => udp(rest),
        "icmp" | "icmpv6" => icmp::message(word, depth, rest),
        "ip" => ip(rest),
        "hex" => {
            let first = rest.read(words::word("bytes in hexadecimal digits"))?;
            let more = many0(words::fitting(|word| word.text != ")"));
            let text = rest
                .read(more)?
                .iter()
                .fold(first.text.clone(), |text, word| text + &word.text);
            atom::hex(&text).map(Draft::Raw).ok_or_else(|| {
                unexpected(
                    first,
                    "expected pairs of hexadecimal digits",
                    "write bytes like 4500001c",
                )
            })
        }
        other => Err(unexpected(
            word,
            &format!("expected {A_PACKET}"),
            &match of_either_family(other).or_else(|| suggestion(other, PACKETS)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write it like `tcp 10.0.0.2:40000 > 192.0.2.9:80 S`".to_owned(),
            },
        )),
    }
}

/// What stands for packets of IPv6 elsewhere: here the addresses say it.
pub(crate) fn of_either_family(text: &str) -> Option<&'static str> {
    match text {
        "tcp6" => Some("tcp"),
        "udp6" => Some("udp"),
        "ip6" => Some("ip"),
        "icmp6" | "ipv6-icmp" => Some("icmpv6"),
        _ => None,
    }
}

/// Separates parentheses that stick to a word, so that `(udp` and `53)` can be written.
pub fn split_parentheses(words: &[Word]) -> Vec<Word> {
    let mut split = Vec::with_capacity(words.len());
    for word in words {
        if word.quoted || !word.text.contains(['(', ')']) {
            split.push(word.clone());
            continue;
        }
        let mut text = word.text.as_str();
        let mut start = word.position.start;
        while let Some(rest) = text.strip_prefix('(') {
            split.push(part("(", start));
            text = rest;
            start += 1;
        }
        let inner = text.trim_end_matches(')');
        if !inner.is_empty() {
            split.push(part(inner, start));
        }
        for at in inner.len()..text.len() {
            split.push(part(")", start + at));
        }
    }
    split
}

fn part(text: &str, start: usize) -> Word {
    Word {
        text: text.to_owned(),
        typed: None,
        position: (start..start + text.len()).into(),
        quoted: false,
        arrow: text.find('>'),
    }
}

fn tcp(rest: &mut Words<'_>) -> Result<Draft, Problem> {
    let (source, destination) = ends_with_ports(rest)?;
    let mut tcp = TcpDraft {
        source: source.1,
        destination: destination.1,
        flags: flags::ACK,
        sequence: None,
        acknowledgement: None,
        window: None,
        urgent: 0,
        options: Vec::new(),
    };
    if let Some(bits) = rest.read(opt(words::made(atom::tcp_flags)))? {
        tcp.flags = bits;
    }
    let mut draft = IpDraft::new(source.0, destination.0, Transport::Other(protocol::TCP));
    while let Some(word) = option_word(rest)? {
        match word.text.as_str() {
            "seq" => {
                tcp.sequence = Some(rest.read(words::number("a sequence number", 0..=u64::from(u32::MAX)))? as u32);
            }
            "ack" => {
                tcp.acknowledgement =
                    Some(rest.read(words::number("an acknowledgement number", 0..=u64::from(u32::MAX)))? as u32);
            }
            "win" => tcp.window = Some(rest.read(words::number("a window", 0..=65_535))? as u16),
            "urg" => tcp.urgent = rest.read(words::number("an urgent pointer", 0..=65_535))? as u16,
            _ => match tcp_option(word, rest)? {
                Some(option) => tcp.options.extend(option),
                None => draft.option(word, rest, &TCP)?,
            },
        }
        if tcp.options.len() > 40 {
            return Err(Problem::new(
                word.position,
                "the TCP options are longer than 40 bytes",
                "no room for this one",
                "leave one out",
            ));
        }
    }
    draft.transport = Transport::Tcp(tcp);
    draft.done(rest)
}

fn udp(rest: &mut Words<'_>) -> Result<Draft, Problem> {
    let (source, destination) = ends_with_ports(rest)?;
    let transport = Transport::Udp {
        source: source.1,
        destination: destination.1,
    };
    let mut draft = IpDraft::new(source.0, destination.0, transport);
    while let Some(word) = option_word(rest)? {
        draft.option(word, rest, &NO_OPTIONS)?;
    }
    draft.done(rest)
}

fn ip(rest: &mut Words<'_>) -> Result<Draft, Problem> {
    let (source, destination) = ends(rest)?;
    rest.read(words::expect("proto"))?;
    let number = rest.read(words::one("a protocol: its number, or a name such as gre", |text| {
        atom::number(text)
            .and_then(|number| u8::try_from(number).ok())
            .or_else(|| protocol_number(text))
    }))?;
    let mut draft = IpDraft::new(source, destination, Transport::Other(number));
    while let Some(word) = option_word(rest)? {
        draft.option(word, rest, &NO_OPTIONS)?;
    }
    draft.done(rest)
}

/// The word of an option: up to the parenthesis that ends a quoted packet.
pub(super) fn option_word<'a>(rest: &mut Words<'a>) -> Result<Option<&'a Word>, Problem> {
    rest.read(opt(words::fitting(|word| word.text != ")" || word.quoted)))
}

impl IpDraft {
    /// The options that every packet has, and those of its family.
    pub(super) fn option(&mut self, word: &Word, rest: &mut Words<'_>, others: &PacketOptions) -> Result<(), Problem> {
        let family = self.family();
        match word.text.as_str() {
            "ttl" => self.ttl = rest.read(words::number("a time to live", 0..=255))? as u8,
            "hl" if family == Family::V6 => self.ttl = rest.read(words::number("a hop limit", 0..=255))? as u8,
            "tos" => self.tos = rest.read(words::number("a type of service", 0..=255))? as u8,
            "tclass" if family == Family::V6 => {
                self.tos = rest.read(words::number("a traffic class", 0..=255))? as u8;
            }
            "id" | "ipid" => {
                let largest = match family {
                    Family::V4 => u64::from(u16::MAX),
                    Family::V6 => u64::from(u32::MAX),
                };
                self.id = rest.read(words::number("an identification", 0..=largest))? as u32;
            }
            "df" | "badipsum" if family == Family::V6 => {
                return Err(Problem::new(
                    word.position,
                    format!("an IPv6 header has no room for `{}`", word.text),
                    "that is IPv4's",
                    match word.text.as_str() {
                        "df" => "leave it out: no router cuts a packet of IPv6",
                        _ => "leave it out: there is no checksum; `badsum` spoils that of the transport",
                    },
                ));
            }
            "df" => self.dont_fragment = true,
            "mf" => self.more_fragments = true,
            "badsum" => self.bad_checksum = true,
            "badipsum" => self.bad_header_checksum = true,
            "flow" if family == Family::V6 => {
                self.flow_label = rest.read(words::number("a flow label", 0..=0xf_ffff))? as u32;
            }
            "plen" if family == Family::V6 => {
                self.payload_length = Some(rest.read(words::number("a payload's length", 0..=65_535))? as u16);
            }
            "data" => {
                let given = rest.read(words::word("a text in quotes, or 0x and hexadecimal digits"))?;
                let bytes = if !given.quoted && given.text.starts_with("0x") {
                    atom::hex(&given.text)
                } else {
                    atom::text(&given.text)
                };
                let bytes = bytes.ok_or_else(|| {
                    unexpected(
                        given,
                        "expected a text with the escapes \\r \\n \\t \\0 \\\\ \\\" \\xNN, or 0x and pairs of digits",
                        "write it like \"GET / HTTP/1.0\\r\\n\" or 0x00ff",
                    )
                })?;
                self.data.extend(bytes);
            }
            "zeros" => {
                let count = rest.read(words::number("a number of bytes", 0..=65_515))? as usize;
                self.data.resize(self.data.len() + count, 0);
            }
            "frag" => {
                let offset = rest.read(words::one("an offset in bytes that eight divides", |text| {
                    atom::number(text).filter(|offset| offset % 8 == 0 && *offset <= 65_528)
                }))?;
                let length = match rest.peek_text().and_then(atom::number) {
                    Some(_) => Some(rest.read(words::number("a length in bytes", 0..=65_515))? as u16),
                    None => None,
                };
                if family == Family::V6 {
                    if self.piece.is_some() {
                        return Err(Problem::new(
                            word.position,
                            "this packet has a fragment header already",
                            "expected one `frag`",
                            "write another one as `ext 44 0x` and its bytes",
                        ));
                    }
                    self.extensions.push(Extension::Fragment);
                }
                self.piece = Some((offset as u16, length));
            }
            "mark" => {
                return Err(Problem::new(
                    word.position,
                    "a packet has no mark before a rule gives it one",
                    "no `mark` here",
                    "let a rule of the mangle table set it, -j MARK --set-mark N: in PREROUTING for what comes in, in OUTPUT for what `local` \
                     sends; of what waits at a queue, `queue N accept mark M as PACKET` does",
                ));
            }
            other => {
                if family == Family::V6
                    && let Some(header) = extension(word, rest)?
                {
                    self.extensions.push(header);
                    return Ok(());
                }
                let of_other = family.other();
                if let Some(all) = [&IP, others].into_iter().find(|it| it.only(of_other).contains(&other)) {
                    let example = match of_other {
                        Family::V4 => "10.0.0.2",
                        Family::V6 => "2001:db8::2",
                    };
                    let own = all.instead.iter().find(|pair| pair.contains(&other));
                    let own = own.and_then(|pair| pair.iter().find(|it| **it != other));
                    let remedy = match own {
                        Some(own) => format!("write `{own}`, as {family} calls it"),
                        None => format!("leave it out, or write addresses such as {example}"),
                    };
                    return Err(unexpected(
                        word,
                        &format!("that is of {of_other}, and these are {family} addresses"),
                        &remedy,
                    ));
                }
                let known: Vec<&str> = IP.of(family).chain(others.of(family)).collect();
                let capitals = flags_in_full(other).unwrap_or_else(|| other.to_uppercase());
                let is_flags = others.both == TCP.both && atom::tcp_flags(&capitals).is_some();
                let meant = called_elsewhere(family, other).unwrap_or(other);
                let remedy = match suggestion(meant, known.iter().copied()) {
                    _ if is_flags => {
                        format!("flags are capitals, and stand right behind the ends: `> 192.0.2.9:80 {capitals}`")
                    }
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known here: {}", known.join(", ")),
                };
                return Err(unexpected(word, "expected an option of this packet", &remedy));
            }
        }
        Ok(())
    }

    /// The packet, once all of its line is read.
    pub(super) fn done(self, rest: &Words<'_>) -> Result<Draft, Problem> {
        if self.family() == Family::V6 && self.piece.is_none() && (self.more_fragments || self.id != 0) {
            return Err(Problem::new(
                rest.position(),
                "only a fragment header of IPv6 has an identification and `mf`",
                "expected `frag OFFSET` beside them",
                "add `frag 0`: a fragment header in front of all that is left",
            ));
        }
        Ok(Draft::Ip(Box::new(self)))
    }
}

/// What other tools call an option.
fn called_elsewhere(family: Family, text: &str) -> Option<&'static str> {
    match (text, family) {
        ("hlim" | "hoplimit" | "hop-limit", Family::V4) => Some("ttl"),
        ("hlim" | "hoplimit" | "hop-limit", Family::V6) => Some("hl"),
        ("tc" | "dsfield" | "traffic-class", Family::V6) => Some("tclass"),
        ("dsfield" | "dscp", _) => Some("tos"),
        ("flowlabel" | "flow-label" | "label", Family::V6) => Some("flow"),
        ("fragment" | "offset", _) => Some("frag"),
        ("window", _) => Some("win"),
        _ => None,
    }
}

/// The letters of flags that are named in full, as `SYN,ACK` or `syn+ack`.
fn flags_in_full(text: &str) -> Option<String> {
    let names = text.split([',', '+', '/', '|']);
    let letters = names.map(|name| match name.to_ascii_uppercase().as_str() {
        "SYN" => Some('S'),
        "ACK" => Some('A'),
        "FIN" => Some('F'),
        "RST" => Some('R'),
        "PSH" => Some('P'),
        "URG" => Some('U'),
        _ => None,
    });
    letters.collect()
}

fn protocol_number(name: &str) -> Option<u8> {
    Some(match name {
        "icmp" => protocol::ICMP,
        "igmp" => protocol::IGMP,
        "ipip" => protocol::IPIP,
        "tcp" => protocol::TCP,
        "udp" => protocol::UDP,
        "dccp" => protocol::DCCP,
        "gre" => protocol::GRE,
        "esp" => protocol::ESP,
        "ah" => protocol::AH,
        "icmpv6" => protocol::ICMPV6,
        "none" => NO_NEXT_HEADER,
        "sctp" => protocol::SCTP,
        "udplite" => protocol::UDPLITE,
        _ => return None,
    })
}

/// What begins a packet.
pub(crate) const PACKETS: [&str; 6] = ["tcp", "udp", "icmp", "icmpv6", "ip", "hex"];
/// The same for who asks for one.
pub(crate) const A_PACKET: &str = "a packet: tcp, udp, icmp, icmpv6, ip or hex";

/// The words of options that packets of a kind have.
#[derive(Debug)]
pub(super) struct PacketOptions {
    /// In both families.
    both: &'static [&'static str],
    /// In IPv4 alone.
    v4: &'static [&'static str],
    /// In IPv6 alone.
    v6: &'static [&'static str],
    /// Two words for one thing: IPv4's and IPv6's.
    instead: &'static [[&'static str; 2]],
}

impl PacketOptions {
    fn only(&self, family: Family) -> &'static [&'static str] {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    fn of(&self, family: Family) -> impl Iterator<Item = &'static str> {
        self.both.iter().chain(self.only(family)).copied()
    }
}

/// The words of a packet's options, for who holds the grammar against them.
#[doc(hidden)]
pub const PACKET_OPTIONS: [&[&str]; 7] = [IP.both, IP.v4, IP.v6, TCP.both, ICMP.both, ICMP.v4, ICMP.v6];
const IP: PacketOptions = PacketOptions {
    both: &["ttl", "tos", "id", "ipid", "mf", "frag", "badsum", "data", "zeros"],
    v4: &["df", "badipsum"],
    v6: &["hl", "tclass", "flow", "plen", "hbh", "dstopt", "rt", "ah", "ext"],
    instead: &[["ttl", "hl"], ["tos", "tclass"]],
};
const NO_OPTIONS: PacketOptions = PacketOptions {
    both: &[],
    v4: &[],
    v6: &[],
    instead: &[],
};
const TCP: PacketOptions = PacketOptions {
    both: &["seq", "ack", "win", "urg", "mss", "wscale", "sackok", "sack", "ts"],
    ..NO_OPTIONS
};
pub(super) const ICMP: PacketOptions = PacketOptions {
    both: &["seq", "rest", "mtu", "pointer", "quoting"],
    v4: &["gateway"],
    v6: &["target", "group", "for", "source-link", "target-link"],
    instead: &[["gateway", "target"]],
};
/// Of IPv6: nothing stands behind this header.
const NO_NEXT_HEADER: u8 = 59;
