//! A packet as a line, in the words that `send` reads.

use std::fmt::Write;
use std::net::IpAddr;

use crate::base::{protocol, write_address, write_number};
use crate::packet::Packet;
use crate::wire::icmpv4::{Icmpv4, kind, unreachable};
use crate::wire::ipv4::Ipv4;
use crate::wire::tcp::{Tcp, TcpOption, flags, option};
use crate::wire::udp::Udp;

/// Everything worth a glance: ends, flags, numbers, lengths.
pub fn line(bytes: &[u8]) -> String {
    let mut line = String::with_capacity(LINE);
    write_line(&mut line, bytes);
    line
}

/// The same at the end of a text. Where many packets are told of, this is most of what is written: hence numbers without `fmt`.
pub(crate) fn write_line(line: &mut String, bytes: &[u8]) {
    let Ok(ip) = Ipv4::new(bytes) else {
        let _ = write!(line, "hex {}", hex(&bytes[..bytes.len().min(40)]));
        return;
    };
    write_brief(line, bytes);
    let payload = ip.payload();
    let is_later = ip.fragment_offset() != 0;
    match ip.protocol() {
        protocol::TCP if !is_later => {
            if let Ok(tcp) = Tcp::new(payload) {
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
        protocol::UDP if !is_later => {
            if let Ok(udp) = Udp::new(payload) {
                data(line, udp.payload());
            }
        }
        protocol::ICMP if !is_later => {
            if let Ok(icmp) = Icmpv4::new(payload) {
                if kind::is_error(icmp.kind()) {
                    if Ipv4::new(icmp.payload()).is_ok() {
                        line.push_str(" quoting (");
                        write_brief(line, icmp.payload());
                        line.push(')');
                    }
                } else {
                    let _ = write!(line, " id {} seq {}", icmp.identifier(), icmp.sequence());
                    data(line, icmp.payload());
                }
            }
        }
        _ => data(line, payload),
    }
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

/// Protocol, ends and flags only.
pub fn brief(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(LINE);
    write_brief(&mut text, bytes);
    text
}

fn write_brief(text: &mut String, bytes: &[u8]) {
    let Ok(ip) = Ipv4::new(bytes) else {
        let _ = write!(text, "{} bytes that are no IPv4 packet", bytes.len());
        return;
    };
    let payload = ip.payload();
    let is_later = ip.fragment_offset() != 0;
    let (number, name) = (ip.protocol(), protocol_word(ip.protocol()));
    let with_ports = matches!(number, protocol::TCP | protocol::UDP) && !is_later && payload.len() >= 4;
    let [from, to] = match with_ports {
        true => ports(payload).map(Some),
        false => [None; 2],
    };
    let of_icmp = (number == protocol::ICMP && !is_later && payload.len() >= 2).then(|| (payload[0], payload[1]));
    text.push_str(match (with_ports, of_icmp, name) {
        (true, _, Some(name)) | (_, Some(_), Some(name)) => name,
        _ => "ip",
    });
    text.push(' ');
    write_end(text, ip.source().into(), from);
    text.push_str(" > ");
    write_end(text, ip.destination().into(), to);
    if with_ports && number == protocol::TCP && payload.len() >= 14 {
        text.push(' ');
        write_flag_letters(text, payload[13]);
    } else if let Some((kind, code)) = of_icmp {
        text.push(' ');
        text.push_str(&icmp_kind(kind, code));
    } else if !with_ports {
        text.push_str(" proto ");
        write_number(text, number);
    }
}

fn write_end(text: &mut String, address: IpAddr, port: Option<u16>) {
    write_address(text, address);
    if let Some(port) = port {
        text.push(':');
        write_number(text, port);
    }
}

/// The two ends of a packet, with ports where it has them.
pub fn ends(packet: &Packet) -> String {
    match packet.ports() {
        Some((from, to)) => format!("{}:{from} > {}:{to}", packet.source(), packet.destination()),
        None => format!("{} > {}", packet.source(), packet.destination()),
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

pub(crate) fn icmp_kind(number: u8, code: u8) -> String {
    let name = ICMP_KINDS
        .iter()
        .find(|(_, known)| *known == number)
        .map(|(name, _)| *name);
    match name {
        None => format!("type {number} code {code}"),
        Some(name) if number == kind::DESTINATION_UNREACHABLE => {
            match UNREACHABLE_CODES.iter().find(|(_, known)| *known == code) {
                Some((code, _)) => format!("{name} {code}"),
                None => format!("{name} {code}"),
            }
        }
        Some(name) if code == 0 => name.to_owned(),
        Some(name) => format!("{name} {code}"),
    }
}

pub(crate) fn protocol_name(number: u8) -> String {
    protocol_word(number).map_or_else(|| number.to_string(), str::to_owned)
}

fn protocol_word(number: u8) -> Option<&'static str> {
    match number {
        protocol::ICMP => Some("icmp"),
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

/// Two small letters or digits a byte, without anything between.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Most lines are no longer.
const LINE: usize = 128;

/// The words for ICMP types.
pub const ICMP_KINDS: [(&str, u8); 13] = [
    ("echo-reply", kind::ECHO_REPLY),
    ("unreachable", kind::DESTINATION_UNREACHABLE),
    ("source-quench", kind::SOURCE_QUENCH),
    ("redirect", kind::REDIRECT),
    ("echo-request", kind::ECHO_REQUEST),
    ("time-exceeded", kind::TIME_EXCEEDED),
    ("parameter-problem", kind::PARAMETER_PROBLEM),
    ("timestamp-request", kind::TIMESTAMP_REQUEST),
    ("timestamp-reply", kind::TIMESTAMP_REPLY),
    ("information-request", kind::INFORMATION_REQUEST),
    ("information-reply", kind::INFORMATION_REPLY),
    ("address-mask-request", kind::ADDRESS_MASK_REQUEST),
    ("address-mask-reply", kind::ADDRESS_MASK_REPLY),
];

/// The words for the codes of unreachable messages.
pub const UNREACHABLE_CODES: &[(&str, u8)] = &[
    ("net", unreachable::NET),
    ("host", unreachable::HOST),
    ("protocol", unreachable::PROTOCOL),
    ("port", unreachable::PORT),
    ("fragmentation-needed", unreachable::FRAGMENTATION_NEEDED),
    ("source-route-failed", 5),
    ("net-prohibited", unreachable::NET_PROHIBITED),
    ("host-prohibited", unreachable::HOST_PROHIBITED),
    ("admin-prohibited", unreachable::ADMIN_PROHIBITED),
];

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
            (vec![0x45, 0, 0], "3 bytes that are no IPv4 packet"),
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
    fn each_message_of_icmp_has_its_words() {
        for (number, code, expected) in [
            (8, 0, "echo-request"),
            (8, 1, "echo-request 1"),
            (3, 3, "unreachable port"),
            (3, 0, "unreachable net"),
            (3, 15, "unreachable 15"),
            (11, 1, "time-exceeded 1"),
            (99, 0, "type 99 code 0"),
        ] {
            assert_eq!(icmp_kind(number, code), expected);
        }
        for (bits, expected) in [(0, "none"), (0xff, "SFRPAUEW"), (flags::SYN | flags::ACK, "SA")] {
            assert_eq!(flag_letters(bits), expected);
        }
    }
}
