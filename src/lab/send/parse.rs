//! From the words of a packet line to a draft.

use std::net::Ipv4Addr;

use nom::Parser;
use nom::combinator::opt;
use nom::multi::many0;

use super::tcp_option::tcp_option;
use super::{Draft, IcmpDraft, IpDraft, Quote, TcpDraft, Transport};
use crate::base::absent::NO_IPV6;
use crate::base::protocol;
use crate::explain::describe::{ICMP_KINDS, UNREACHABLE_CODES};
use crate::syntax::atom;
use crate::syntax::problem::{Problem, suggestion};
use crate::syntax::words::{self, Word, Words, unexpected};
use crate::wire::icmpv4::kind;
use crate::wire::tcp::flags;

/// Reads a packet; stops before a closing parenthesis, or at the end of the line.
pub fn packet(rest: &mut Words<'_>) -> Result<Draft, Problem> {
    packet_within(0, rest)
}

/// One that so many others quote.
fn packet_within(depth: usize, rest: &mut Words<'_>) -> Result<Draft, Problem> {
    let word = rest.read(words::word("a packet: tcp, udp, icmp, ip or hex"))?;
    match word.text.as_str() {
        "tcp" => tcp(rest),
        "udp" => udp(rest),
        "icmp" => icmp(depth, rest),
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
        "icmpv6" | "tcp6" | "udp6" | "ip6" => Err(Problem::new(
            word.position,
            format!("{NO_IPV6}: `{}`", word.text),
            "expected tcp, udp, icmp, ip or hex",
            "use IPv4 addresses",
        )),
        other => Err(unexpected(
            word,
            "expected a packet: tcp, udp, icmp, ip or hex",
            &match suggestion(other, ["tcp", "udp", "icmp", "ip", "hex"]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write it like `tcp 10.0.0.2:40000 > 192.0.2.9:80 S`".to_owned(),
            },
        )),
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
                None => draft.option(word, rest, TCP_OPTIONS)?,
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
    Ok(Draft::Ip(Box::new(draft)))
}

fn udp(rest: &mut Words<'_>) -> Result<Draft, Problem> {
    let (source, destination) = ends_with_ports(rest)?;
    let transport = Transport::Udp {
        source: source.1,
        destination: destination.1,
    };
    let mut draft = IpDraft::new(source.0, destination.0, transport);
    while let Some(word) = option_word(rest)? {
        draft.option(word, rest, &[])?;
    }
    Ok(Draft::Ip(Box::new(draft)))
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
        draft.option(word, rest, &[])?;
    }
    Ok(Draft::Ip(Box::new(draft)))
}

fn icmp(depth: usize, rest: &mut Words<'_>) -> Result<Draft, Problem> {
    let (source, destination) = ends(rest)?;
    let mut message = icmp_kind(rest)?;
    let mut draft = IpDraft::new(source, destination, Transport::Other(protocol::ICMP));
    while let Some(word) = option_word(rest)? {
        match word.text.as_str() {
            "id" if !kind::is_error(message.kind) => {
                let id = rest.read(words::number("an identifier", 0..=65_535))? as u32;
                message.rest = message.rest & 0xffff | id << 16;
            }
            "seq" => {
                let sequence = rest.read(words::number("a sequence number", 0..=65_535))? as u32;
                message.rest = message.rest & 0xffff_0000 | sequence;
            }
            "mtu" => message.rest = rest.read(words::number("an MTU", 0..=65_535))? as u32,
            "gateway" => message.rest = rest.read(words::one("an IPv4 address", atom::address))?.to_bits(),
            "pointer" => message.rest = (rest.read(words::number("an octet's position", 0..=255))? as u32) << 24,
            "quoting" => message.quote = Some(quote(depth, rest)?),
            _ => draft.option(word, rest, ICMP_OPTIONS)?,
        }
    }
    if kind::is_error(message.kind) && message.quote.is_none() && draft.data.is_empty() {
        return Err(Problem::new(
            rest.position(),
            "an ICMP error quotes the packet that it is about",
            "expected `quoting last` or `quoting (PACKET)`",
            "add `quoting last`, or `data` with the bytes that shall stand there",
        ));
    }
    draft.transport = Transport::Icmp(message);
    Ok(Draft::Ip(Box::new(draft)))
}

fn icmp_kind(rest: &mut Words<'_>) -> Result<IcmpDraft, Problem> {
    let word = rest.read(words::word("a kind of ICMP message, such as echo-request"))?;
    let mut message = IcmpDraft {
        kind: 0,
        code: 0,
        rest: 0,
        quote: None,
    };
    if word.text == "type" {
        message.kind = rest.read(words::number("an ICMP type", 0..=255))? as u8;
        if rest.read(words::has("code"))? {
            message.code = rest.read(words::number("an ICMP code", 0..=255))? as u8;
        }
        return Ok(message);
    }
    let Some((_, number)) = ICMP_KINDS.iter().find(|(name, _)| *name == word.text) else {
        let names = ICMP_KINDS.map(|(name, _)| name);
        let near = match word.text.as_str() {
            "ping" | "echo" | "request" => Some("echo-request"),
            "pong" | "reply" => Some("echo-reply"),
            other => suggestion(other, names),
        };
        let remedy = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("one of {}, or `type N code N`", names.join(", ")),
        };
        return Err(unexpected(word, "expected a kind of ICMP message", &remedy));
    };
    message.kind = *number;
    let codes: &[(&str, u8)] = match *number {
        kind::DESTINATION_UNREACHABLE => UNREACHABLE_CODES,
        kind::TIME_EXCEEDED => &[("transit", 0), ("reassembly", 1)],
        kind::REDIRECT => &[("net", 0), ("host", 1), ("tos-net", 2), ("tos-host", 3)],
        _ => &[],
    };
    let code = words::made(|text| match codes.iter().find(|(name, _)| *name == text) {
        Some((_, code)) => Some(*code),
        None => atom::number(text).and_then(|number| u8::try_from(number).ok()),
    });
    if let Some(code) = rest.read(opt(code))? {
        message.code = code;
    }
    Ok(message)
}

fn quote(depth: usize, rest: &mut Words<'_>) -> Result<Quote, Problem> {
    let word = rest.read(words::word("`last` or `(PACKET)`"))?;
    match word.text.as_str() {
        "last" => Ok(Quote::Last),
        "(" if depth == DEEPEST => Err(Problem::new(
            word.position,
            format!("{DEEPEST} packets quote one another here already"),
            "what an error quotes ends after 548 bytes, and of a further one there would be nothing",
            "end with `quoting last`, or with `data` and the bytes that shall stand there",
        )),
        "(" => {
            let quoted = packet_within(depth + 1, rest)?;
            rest.read(words::expect(")"))?;
            Ok(Quote::Packet(quoted))
        }
        _ => Err(unexpected(
            word,
            "expected `last` or `(PACKET)`",
            "write it like `quoting (udp 10.0.0.2:5000 > 192.0.2.9:53)`",
        )),
    }
}

/// The word of an option: up to the parenthesis that ends a quoted packet.
fn option_word<'a>(rest: &mut Words<'a>) -> Result<Option<&'a Word>, Problem> {
    rest.read(opt(words::fitting(|word| word.text != ")" || word.quoted)))
}

fn ends(rest: &mut Words<'_>) -> Result<(Ipv4Addr, Ipv4Addr), Problem> {
    arrow_stands(rest)?;
    let source = rest.read(words::one("an IPv4 address such as 10.0.0.2", atom::address))?;
    rest.read(words::expect(">"))?;
    let destination = rest.read(words::one("an IPv4 address such as 192.0.2.9", atom::address))?;
    Ok((source, destination))
}

type End = (Ipv4Addr, u16);

fn ends_with_ports(rest: &mut Words<'_>) -> Result<(End, End), Problem> {
    arrow_stands(rest)?;
    let source = rest.read(end_with_port("10.0.0.2:40000"))?;
    rest.read(words::expect(">"))?;
    let destination = rest.read(end_with_port("192.0.2.9:80"))?;
    Ok((source, destination))
}

/// An address and its port; `example` is how one is written.
fn end_with_port<'a>(example: &'static str) -> impl Parser<Words<'a>, Output = End, Error = Problem> {
    move |words: Words<'a>| {
        let expected = format!("an IPv4 address with its port, such as {example}");
        let read = |word: &Word| match atom::endpoint(&word.text) {
            Some((address, Some(port))) => Ok((address, port)),
            Some((_, None)) => {
                let (name, (_, port)) = (
                    word.typed.as_deref().unwrap_or(&word.text),
                    example.split_once(':').unwrap_or_default(),
                );
                let remedy = format!("add a port: `{name}:{port}`");
                Err(unexpected(word, &format!("expected {expected}"), &remedy))
            }
            None => Err(unexpected(word, &format!("expected {expected}"), "")),
        };
        words::meant(&expected, read).parse(words)
    }
}

/// Names of hosts are only known beside a `>`, so what else stands in its place is told before they are read.
fn arrow_stands(rest: &Words<'_>) -> Result<(), Problem> {
    let mut ahead = *rest;
    let first = ahead.read(opt(words::anything))?;
    match (first, ahead.peek()) {
        (Some(first), Some(second)) if first.arrow.is_none() && second.arrow != Some(0) => {
            let like = first.typed.as_deref().unwrap_or(&first.text);
            Err(unexpected(
                second,
                "expected `>` between the two ends",
                &format!("write it like `{like} > 192.0.2.9:80`"),
            ))
        }
        (_, Some(second)) if second.text != ">" && second.arrow == Some(0) => Err(unexpected(
            second,
            "expected `>` between the two ends",
            "write `>`, with blanks around it",
        )),
        _ => Ok(()),
    }
}

impl IpDraft {
    fn new(source: Ipv4Addr, destination: Ipv4Addr, transport: Transport) -> Self {
        Self {
            source,
            destination,
            transport,
            data: Vec::new(),
            ttl: 64,
            tos: 0,
            id: 0,
            dont_fragment: false,
            more_fragments: false,
            piece: None,
            bad_checksum: false,
            bad_header_checksum: false,
        }
    }

    /// The options that every packet has.
    fn option(&mut self, word: &Word, rest: &mut Words<'_>, others: &[&str]) -> Result<(), Problem> {
        match word.text.as_str() {
            "ttl" => self.ttl = rest.read(words::number("a time to live", 0..=255))? as u8,
            "tos" => self.tos = rest.read(words::number("a type of service", 0..=255))? as u8,
            "id" | "ipid" => self.id = rest.read(words::number("an identification", 0..=65_535))? as u16,
            "df" => self.dont_fragment = true,
            "mf" => self.more_fragments = true,
            "badsum" => self.bad_checksum = true,
            "badipsum" => self.bad_header_checksum = true,
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
                let known: Vec<&str> = IP_OPTIONS.iter().chain(others).copied().collect();
                let capitals = flags_in_full(other).unwrap_or_else(|| other.to_uppercase());
                let is_flags = others == TCP_OPTIONS && atom::tcp_flags(&capitals).is_some();
                let remedy = match suggestion(other, known.iter().copied()) {
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
        "sctp" => protocol::SCTP,
        "udplite" => protocol::UDPLITE,
        _ => return None,
    })
}

/// Packets that quote one another: each begins 28 bytes into the one around it, and of the first one that is quoted 548 bytes are left.
const DEEPEST: usize = 20;
/// The words of a packet's options, for who holds the grammar against them.
#[doc(hidden)]
pub const PACKET_OPTIONS: [&[&str]; 3] = [IP_OPTIONS, TCP_OPTIONS, ICMP_OPTIONS];
const IP_OPTIONS: &[&str] = &[
    "ttl", "tos", "id", "ipid", "df", "mf", "frag", "badsum", "badipsum", "data", "zeros",
];
const TCP_OPTIONS: &[&str] = &["seq", "ack", "win", "urg", "mss", "wscale", "sackok", "sack", "ts"];
const ICMP_OPTIONS: &[&str] = &["seq", "mtu", "gateway", "pointer", "quoting"];
