//! A packet as a line, in the words that `send` reads.

use std::fmt::Write;

use crate::base::protocol;
use crate::packet::Packet;
use crate::wire::icmpv4::{Icmpv4, kind, unreachable};
use crate::wire::ipv4::Ipv4;
use crate::wire::tcp::{Tcp, flags};
use crate::wire::udp::Udp;

/// Everything worth a glance: ends, flags, numbers, lengths.
pub fn line(bytes: &[u8]) -> String {
    let Ok(ip) = Ipv4::new(bytes) else {
        return format!("hex {}", hex(&bytes[..bytes.len().min(40)]));
    };
    let mut line = brief(bytes);
    let payload = ip.payload();
    let is_later = ip.fragment_offset() != 0;
    match ip.protocol() {
        protocol::TCP if !is_later => {
            if let Ok(tcp) = Tcp::new(payload) {
                let _ = write!(line, " seq {}", tcp.sequence());
                if tcp.has(flags::ACK) {
                    let _ = write!(line, " ack {}", tcp.acknowledgement());
                }
                data(&mut line, tcp.payload());
            }
        }
        protocol::UDP if !is_later => {
            if let Ok(udp) = Udp::new(payload) {
                data(&mut line, udp.payload());
            }
        }
        protocol::ICMP if !is_later => {
            if let Ok(icmp) = Icmpv4::new(payload) {
                if kind::is_error(icmp.kind()) {
                    if Ipv4::new(icmp.payload()).is_ok() {
                        let _ = write!(line, " quoting ({})", brief(icmp.payload()));
                    }
                } else {
                    let _ = write!(line, " id {} seq {}", icmp.identifier(), icmp.sequence());
                    data(&mut line, icmp.payload());
                }
            }
        }
        _ => data(&mut line, payload),
    }
    let _ = write!(line, " ttl {}", ip.ttl());
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
    line
}

/// Protocol, ends and flags only.
pub fn brief(bytes: &[u8]) -> String {
    let Ok(ip) = Ipv4::new(bytes) else {
        return format!("{} bytes that are no IPv4 packet", bytes.len());
    };
    let payload = ip.payload();
    let (source, destination) = (ip.source(), ip.destination());
    let is_later = ip.fragment_offset() != 0;
    match ip.protocol() {
        protocol::TCP if !is_later && payload.len() >= 14 => {
            let [from, to] = ports(payload);
            format!("tcp {source}:{from} > {destination}:{to} {}", flag_letters(payload[13]))
        }
        protocol::TCP | protocol::UDP if !is_later && payload.len() >= 4 => {
            let [from, to] = ports(payload);
            let name = protocol_name(ip.protocol());
            format!("{name} {source}:{from} > {destination}:{to}")
        }
        protocol::ICMP if !is_later && payload.len() >= 2 => {
            format!("icmp {source} > {destination} {}", icmp_kind(payload[0], payload[1]))
        }
        number => format!("ip {source} > {destination} proto {number}"),
    }
}

/// The two ends of a packet, with ports where it has them.
pub fn ends(packet: &Packet) -> String {
    match packet.ports() {
        Some((from, to)) => format!("{}:{from} > {}:{to}", packet.source(), packet.destination()),
        None => format!("{} > {}", packet.source(), packet.destination()),
    }
}

pub(crate) fn flag_letters(bits: u8) -> String {
    if bits == 0 {
        return "none".to_owned();
    }
    [
        (flags::SYN, 'S'),
        (flags::FIN, 'F'),
        (flags::RST, 'R'),
        (flags::PSH, 'P'),
        (flags::ACK, 'A'),
        (flags::URG, 'U'),
        (flags::ECE, 'E'),
        (flags::CWR, 'W'),
    ]
    .into_iter()
    .filter(|(bit, _)| bits & bit != 0)
    .map(|(_, letter)| letter)
    .collect()
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
    match number {
        protocol::ICMP => "icmp".to_owned(),
        protocol::TCP => "tcp".to_owned(),
        protocol::UDP => "udp".to_owned(),
        number => number.to_string(),
    }
}

fn ports(payload: &[u8]) -> [u16; 2] {
    [
        u16::from_be_bytes([payload[0], payload[1]]),
        u16::from_be_bytes([payload[2], payload[3]]),
    ]
}

/// Data as `send` reads it: text where it is text, and not all of what is long.
pub fn quoted(bytes: &[u8]) -> String {
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
    } else if bytes.iter().all(|b| *b == 0) {
        let _ = write!(line, " zeros {}", bytes.len());
    } else {
        let _ = write!(line, " data 0x{}", hex(shown));
        if shown.len() < bytes.len() {
            let _ = write!(line, "... ({} bytes)", bytes.len());
        }
    }
}

/// Two small letters or digits a byte, without anything between.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

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
