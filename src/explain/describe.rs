//! A packet as a line, in the words that `send` reads.

pub(crate) mod extension;
pub mod icmp;

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use crate::base::bytes::hex;
use crate::base::{Family, protocol, write_address, write_number};
use crate::net::RuleNames;
use crate::packet::Packet;
use crate::wire::be32;
use crate::wire::icmpv4::Icmpv4;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::Ipv6;
use crate::wire::tcp::{Tcp, TcpOption, flags, option};
use crate::wire::udp::Udp;

/// Everything worth a glance: ends, flags, numbers, lengths.
pub fn line(bytes: &[u8]) -> String {
    let mut line = String::with_capacity(LINE);
    write_line(&mut line, bytes);
    line
}

/// What a line is made of, of a packet of either family.
struct Head<'a> {
    family: Family,
    source: IpAddr,
    destination: IpAddr,
    /// Of the transport.
    protocol: u8,
    /// Not the first fragment: there is no transport header.
    is_later: bool,
    /// What stands behind the network header.
    payload: &'a [u8],
}

impl<'a> Head<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        if Family::of_packet(bytes) == Some(Family::V6) {
            return Self::of_ipv6(bytes);
        }
        let ip = Ipv4::new(bytes).ok()?;
        Some(Self {
            family: Family::V4,
            source: ip.source().into(),
            destination: ip.destination().into(),
            protocol: ip.protocol(),
            is_later: ip.fragment_offset() != 0,
            payload: &bytes[ip.header_length()..],
        })
    }

    #[cold]
    fn of_ipv6(bytes: &'a [u8]) -> Option<Self> {
        let ip = Ipv6::new(bytes).ok()?;
        let upper = ip.upper();
        Some(Self {
            family: Family::V6,
            source: ip.source().into(),
            destination: ip.destination().into(),
            protocol: upper.protocol,
            is_later: upper.fragment_offset != 0,
            payload: bytes[..bytes.len().min(ip.total_length())].get(upper.offset..)?,
        })
    }

    fn is_icmp(&self) -> bool {
        self.protocol == icmp::protocol(self.family)
    }
}

/// The same at the end of a text. Where many packets are told of, this is most of what is written: hence numbers without `fmt`.
pub(crate) fn write_line(line: &mut String, bytes: &[u8]) {
    let Some(head) = Head::of(bytes) else {
        let _ = write!(line, "hex {}", hex(&bytes[..bytes.len().min(40)]));
        return;
    };
    write_head(line, &head);
    match head.protocol {
        _ if head.is_later => data(line, head.payload),
        protocol::TCP => {
            if let Ok(tcp) = Tcp::new(head.payload) {
                line.push_str(" seq ");
                write_number(line, tcp.sequence());
                if tcp.has(flags::ACK) {
                    line.push_str(" ack ");
                    write_number(line, tcp.acknowledgement());
                }
                for option in tcp.options().filter_map(tcp_option) {
                    line.push(' ');
                    line.push_str(&option);
                }
                data(line, tcp.payload());
            }
        }
        protocol::UDP => {
            if let Ok(udp) = Udp::new(head.payload) {
                data(line, udp.payload());
            }
        }
        _ if head.is_icmp() => {
            if let Ok(message) = Icmpv4::new(head.payload) {
                write_message(line, head.family, message);
            }
        }
        _ => data(line, head.payload),
    }
    match head.family {
        Family::V4 => write_ipv4(line, bytes),
        Family::V6 => write_ipv6(line, bytes),
    }
}

/// What only IPv4's header says.
fn write_ipv4(line: &mut String, bytes: &[u8]) {
    let Ok(ip) = Ipv4::new(bytes) else { return };
    line.push_str(" ttl ");
    write_number(line, ip.ttl());
    if ip.tos() != 0 {
        let _ = write!(line, " tos {:#x}", ip.tos());
    }
    if ip.is_fragment() {
        let _ = write!(line, " ipid {} frag {}", ip.identification(), ip.fragment_offset());
        if ip.more_fragments() {
            line.push_str(" mf");
        }
    }
    if ip.dont_fragment() {
        line.push_str(" df");
    }
}

/// What only IPv6's header says, and the headers behind it.
#[cold]
fn write_ipv6(line: &mut String, bytes: &[u8]) {
    let Ok(ip) = Ipv6::new(bytes) else { return };
    let first = be32(bytes, 0);
    let _ = write!(line, " hl {}", bytes[7]);
    if first >> 20 & 0xff != 0 {
        let _ = write!(line, " tclass {:#x}", first >> 20 & 0xff);
    }
    if first & 0xf_ffff != 0 {
        let _ = write!(line, " flow {:#x}", first & 0xf_ffff);
    }
    extension::write(line, &bytes[..bytes.len().min(ip.total_length())]);
}

/// What stands in a message of ICMP behind its kind. The first eight bytes of either family's are alike.
fn write_message(line: &mut String, family: Family, message: Icmpv4<&[u8]>) {
    if icmp::is_error(family, message.kind()) {
        write_rest_of_error(line, family, message);
        if Head::of(message.payload()).is_some_and(|head| head.family == family) {
            line.push_str(" quoting (");
            write_brief(line, message.payload());
            line.push(')');
        }
    } else if family == Family::V6 && !matches!(message.kind(), 128 | 129) {
        write_addresses(line, message);
    } else {
        let _ = write!(line, " id {} seq {}", message.identifier(), message.sequence());
        data(line, message.payload());
    }
}

/// Of an error: where packets shall go instead, the MTU that one was too big for, or the place of what was wrong.
#[cold]
fn write_rest_of_error(line: &mut String, family: Family, message: Icmpv4<&[u8]>) {
    let rest = rest_of(message);
    let has = |word| icmp::has(family, (message.kind(), message.code()), word);
    match family {
        Family::V6 if has("mtu") => drop(write!(line, " mtu {rest}")),
        Family::V6 if has("pointer") => drop(write!(line, " pointer {rest}")),
        _ if rest == 0 => {}
        // IPv4's have fewer bits.
        Family::V4 if has("mtu") && rest >> 16 == 0 => drop(write!(line, " mtu {rest}")),
        Family::V4 if has("pointer") && rest << 8 == 0 => drop(write!(line, " pointer {}", rest >> 24)),
        Family::V4 if has("gateway") => drop(write!(line, " gateway {}", Ipv4Addr::from(rest))),
        _ => drop(write!(line, " rest {rest:#x}")),
    }
}

/// Of what ICMPv6 says between neighbours, of groups and to all: the addresses, those of the link, and the rest as it is.
#[cold]
fn write_addresses(line: &mut String, message: Icmpv4<&[u8]>) {
    match rest_of(message) {
        0 => {}
        rest => drop(write!(line, " rest {rest:#x}")),
    }
    let names = icmp::addresses(Family::V6, message.kind());
    let mut payload = message.payload();
    for name in names {
        let Some((address, behind)) = payload.split_first_chunk::<16>() else {
            return data(line, payload);
        };
        let _ = write!(line, " {name} {}", Ipv6Addr::from(*address));
        payload = behind;
    }
    while let (false, [kind @ 1..=2, 1, a, b, c, d, e, f, behind @ ..]) = (names.is_empty(), payload) {
        let whose = if *kind == 1 { "source" } else { "target" };
        let _ = write!(line, " {whose}-link {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        payload = behind;
    }
    data(line, payload);
}

/// The four bytes behind the checksum.
fn rest_of(message: Icmpv4<&[u8]>) -> u32 {
    u32::from(message.identifier()) << 16 | u32::from(message.sequence())
}

/// Protocol, ends and flags only.
pub fn brief(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(LINE);
    write_brief(&mut text, bytes);
    text
}

fn write_brief(text: &mut String, bytes: &[u8]) {
    match Head::of(bytes) {
        Some(head) => write_head(text, &head),
        None => drop(write!(text, "{} bytes that are no IP packet", bytes.len())),
    }
}

fn write_head(text: &mut String, head: &Head<'_>) {
    let (number, payload) = (head.protocol, head.payload);
    let name = protocol_word(number);
    let with_ports = matches!(number, protocol::TCP | protocol::UDP) && !head.is_later && payload.len() >= 4;
    let [from, to] = match with_ports {
        true => ports(payload).map(Some),
        false => [None; 2],
    };
    let of_icmp = (head.is_icmp() && !head.is_later && payload.len() >= 2).then(|| (payload[0], payload[1]));
    text.push_str(match (with_ports, of_icmp, name) {
        (true, _, Some(name)) | (_, Some(_), Some(name)) => name,
        _ => "ip",
    });
    text.push(' ');
    write_end(text, head.source, from);
    text.push_str(" > ");
    write_end(text, head.destination, to);
    if with_ports && number == protocol::TCP && payload.len() >= 14 {
        text.push(' ');
        write_flag_letters(text, payload[13]);
    } else if let Some((kind, code)) = of_icmp {
        text.push(' ');
        text.push_str(&icmp::text(head.family, kind, code));
    } else if !with_ports {
        text.push_str(" proto ");
        write_number(text, number);
    }
}

fn write_end(text: &mut String, address: IpAddr, port: Option<u16>) {
    match (address, port) {
        (IpAddr::V6(_), Some(port)) => drop(write!(text, "{}", SocketAddr::new(address, port))),
        (_, None) => write_address(text, address),
        (_, Some(port)) => {
            write_address(text, address);
            text.push(':');
            write_number(text, port);
        }
    }
}

/// The two ends of a packet, with ports where it has them.
pub fn ends(packet: &Packet) -> String {
    match packet.ports() {
        Some((from, to)) => {
            let (source, destination) = (packet.source(), packet.destination());
            format!(
                "{} > {}",
                SocketAddr::new(source, from),
                SocketAddr::new(destination, to)
            )
        }
        None => format!("{} > {}", packet.source(), packet.destination()),
    }
}

/// Whether a packet says that more fragments follow.
pub(crate) fn more_fragments(bytes: &[u8]) -> bool {
    match Family::of_packet(bytes) {
        Some(Family::V4) => Ipv4::new(bytes).is_ok_and(|ip| ip.more_fragments()),
        Some(Family::V6) => extension::more_fragments(bytes).unwrap_or(false),
        None => false,
    }
}

/// That of an IPv4 packet, or in a fragment header of IPv6; `None` where there is none.
pub(crate) fn identification(bytes: &[u8]) -> Option<u32> {
    match Family::of_packet(bytes)? {
        Family::V4 => Some(Ipv4::new(bytes).ok()?.identification().into()),
        Family::V6 => extension::identification(bytes),
    }
}

/// An option of TCP's in the words that `send` reads; `None` for one that it cannot write.
pub(crate) fn tcp_option(it: TcpOption<'_>) -> Option<String> {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all << 8 | u32::from(*byte));
    Some(match (it.kind, it.data) {
        (option::MSS, size @ [_, _]) => format!("mss {}", number(size)),
        (option::WINDOW_SCALE, [shift]) => format!("wscale {shift}"),
        (option::SACK_PERMITTED, []) => "sackok".to_owned(),
        (option::SACK, edges) if matches!(edges.len(), 8 | 16 | 24 | 32) => {
            let blocks = edges
                .chunks(8)
                .map(|it| format!(" {}-{}", number(&it[..4]), number(&it[4..])));
            format!("sack{}", blocks.collect::<String>())
        }
        (option::TIMESTAMP, stamps) if stamps.len() == 8 => {
            format!("ts {} {}", number(&stamps[..4]), number(&stamps[4..]))
        }
        _ => return None,
    })
}

pub(crate) fn flag_letters(bits: u8) -> String {
    let mut text = String::new();
    write_flag_letters(&mut text, bits);
    text
}

fn write_flag_letters(text: &mut String, bits: u8) {
    if bits == 0 {
        return text.push_str("none");
    }
    for (bit, letter) in [
        (flags::SYN, 'S'),
        (flags::FIN, 'F'),
        (flags::RST, 'R'),
        (flags::PSH, 'P'),
        (flags::ACK, 'A'),
        (flags::URG, 'U'),
        (flags::ECE, 'E'),
        (flags::CWR, 'W'),
    ] {
        if bits & bit != 0 {
            text.push(letter);
        }
    }
}

pub(crate) fn protocol_name(number: u8) -> String {
    protocol_word(number).map_or_else(|| number.to_string(), str::to_owned)
}

/// How a story tells a routing rule.
pub(crate) fn rule_names() -> RuleNames {
    RuleNames {
        protocol: protocol_name,
        ..RuleNames::default()
    }
}

fn protocol_word(number: u8) -> Option<&'static str> {
    match number {
        protocol::ICMP => Some("icmp"),
        protocol::ICMPV6 => Some("icmpv6"),
        protocol::TCP => Some("tcp"),
        protocol::UDP => Some("udp"),
        _ => None,
    }
}

fn ports(payload: &[u8]) -> [u16; 2] {
    [
        u16::from_be_bytes([payload[0], payload[1]]),
        u16::from_be_bytes([payload[2], payload[3]]),
    ]
}

/// Data as `send` reads it: text where most of it is text, and not all of what is long.
pub fn quoted(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(60)];
    let is_text = |byte: &&u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let texts = shown.iter().filter(is_text).count();
    // A few marks within a text, as IRC has them, do not make it another.
    if texts < shown.len() && texts * 4 >= shown.len() * 3 {
        let more = match shown.len() < bytes.len() {
            true => format!("... ({} bytes)", bytes.len()),
            false => String::new(),
        };
        return format!("\"{}\"{more}", shown.escape_ascii());
    }
    let mut text = String::new();
    data(&mut text, bytes);
    match text.strip_prefix(" data ") {
        Some(data) => data.to_owned(),
        None => text.trim_start().to_owned(),
    }
}

/// Text where it is text, else its length.
fn data(line: &mut String, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let shown = &bytes[..bytes.len().min(60)];
    if shown
        .iter()
        .all(|b| b.is_ascii_graphic() || matches!(b, b' ' | b'\r' | b'\n' | b'\t'))
    {
        let _ = write!(line, " data \"{}\"", shown.escape_ascii());
        if shown.len() < bytes.len() {
            let _ = write!(line, "... ({} bytes)", bytes.len());
        }
    } else if are_zeros(shown) && are_zeros(bytes) {
        line.push_str(" zeros ");
        write_number(line, bytes.len());
    } else {
        let _ = write!(line, " data 0x{}", hex(shown));
        if shown.len() < bytes.len() {
            let _ = write!(line, "... ({} bytes)", bytes.len());
        }
    }
}

/// Without a look at each whether it is the last: so many are looked at at once.
fn are_zeros(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |all, byte| all | byte) == 0
}

/// Most lines are no longer.
const LINE: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Family;
    use crate::base::testing::host;
    use crate::packet::testing::{echo, tcp, udp};

    fn ends() -> [(std::net::IpAddr, u16); 2] {
        [(host(Family::V4, 2), 40_000), (host(Family::V4, 9), 80)]
    }

    /// With so many bytes behind the network header.
    fn cut(packet: &Packet, length: usize) -> Vec<u8> {
        let mut bytes = packet.bytes()[..20 + length].to_vec();
        bytes[3] = 20 + length as u8;
        bytes
    }

    #[test]
    fn a_packet_is_told_as_far_as_its_header_goes() {
        let [from, to] = ends();
        let (segment, datagram, ping) = (tcp(from, to, b"abc"), udp(from, to, b"abc"), echo(from.0, to.0, 7));
        let mut later = segment.bytes().to_vec();
        later[7] = 1;
        for (bytes, expected) in [
            (segment.bytes().to_vec(), "tcp 10.0.0.2:40000 > 10.0.0.9:80 A"),
            (cut(&segment, 14), "tcp 10.0.0.2:40000 > 10.0.0.9:80 A"),
            (cut(&segment, 13), "tcp 10.0.0.2:40000 > 10.0.0.9:80"),
            (cut(&segment, 4), "tcp 10.0.0.2:40000 > 10.0.0.9:80"),
            (cut(&segment, 3), "ip 10.0.0.2 > 10.0.0.9 proto 6"),
            (later, "ip 10.0.0.2 > 10.0.0.9 proto 6"),
            (datagram.bytes().to_vec(), "udp 10.0.0.2:40000 > 10.0.0.9:80"),
            (cut(&datagram, 3), "ip 10.0.0.2 > 10.0.0.9 proto 17"),
            (ping.bytes().to_vec(), "icmp 10.0.0.2 > 10.0.0.9 echo-request"),
            (cut(&ping, 2), "icmp 10.0.0.2 > 10.0.0.9 echo-request"),
            (cut(&ping, 1), "ip 10.0.0.2 > 10.0.0.9 proto 1"),
            (vec![0x45, 0, 0], "3 bytes that are no IP packet"),
        ] {
            assert_eq!(brief(&bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_line_is_what_send_would_read() {
        let [from, to] = ends();
        let mut first = udp(from, to, &[0; 16]).into_bytes();
        (first[1], first[4], first[5], first[6]) = (0x10, 1, 2, 0x60);
        for (bytes, expected) in [
            (
                tcp(from, to, b"abc").into_bytes(),
                "tcp 10.0.0.2:40000 > 10.0.0.9:80 A seq 1000 ack 2000 data \"abc\" ttl 64 df",
            ),
            (
                first,
                "udp 10.0.0.2:40000 > 10.0.0.9:80 zeros 16 ttl 64 tos 0x10 ipid 258 frag 0 mf df",
            ),
            (
                echo(from.0, to.0, 7).into_bytes(),
                "icmp 10.0.0.2 > 10.0.0.9 echo-request id 7 seq 1 data \"data\" ttl 64 df",
            ),
            (vec![1, 2, 3], "hex 010203"),
        ] {
            assert_eq!(line(&bytes), expected);
        }
    }

    #[test]
    fn data_are_text_where_they_can_be_and_not_endless() {
        let long = "a".repeat(60);
        for (bytes, expected) in [
            (&b""[..], String::new()),
            (b"GET /\r\n\t \"", "\"GET /\\r\\n\\t \\\"\"".to_owned()),
            (&[b'a'; 60], format!("\"{long}\"")),
            (&[b'a'; 61], format!("\"{long}\"... (61 bytes)")),
            (b"PRIVMSG b :\x01DCC\x01", "\"PRIVMSG b :\\x01DCC\\x01\"".to_owned()),
            (b"\0\x01notes\0", "0x00016e6f74657300".to_owned()),
            (&[0; 5], "zeros 5".to_owned()),
            (&[0, 0, 1], "0x000001".to_owned()),
            (&[1; 60], format!("0x{}", "01".repeat(60))),
            (&[1; 61], format!("0x{}... (61 bytes)", "01".repeat(60))),
        ] {
            assert_eq!(quoted(bytes), expected);
        }
    }

    #[test]
    fn flags_have_their_letters() {
        for (bits, expected) in [(0, "none"), (0xff, "SFRPAUEW"), (flags::SYN | flags::ACK, "SA")] {
            assert_eq!(flag_letters(bits), expected);
        }
    }
}
