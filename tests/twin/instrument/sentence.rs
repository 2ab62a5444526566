//! A packet's bytes as a line that `send` reads back into the same bytes. What has no such line is written in hex.

use std::fmt::Write;

use nflab::TOOLBOX;
use nflab::explain::describe;
use nflab::lab::script::{self, Kind};
use nflab::lab::send;
use nflab::packet::Packet;
use nflab::wire::ipv4::Ipv4;

use super::layout::is_ipv6;

pub(crate) fn of(bytes: &[u8]) -> String {
    match line(bytes) {
        Some(line) if read(&line).as_deref() == Some(bytes) => line,
        _ => format!("hex {}", describe::hex(bytes)),
    }
}

fn line(bytes: &[u8]) -> Option<String> {
    if is_ipv6(bytes, 0) {
        // Headers stand there in their order, and with what is in them.
        return Some(describe::line(bytes));
    }
    let ip = Ipv4::new(bytes).ok()?;
    let packet = Packet::parse(bytes.to_vec()).ok()?;
    let payload = ip.payload();
    let mut line = describe::brief(bytes);
    let data = match ip.protocol() {
        _ if ip.is_fragment() => {
            line = format!("ip {} > {} proto {}", ip.source(), ip.destination(), ip.protocol());
            payload
        }
        6 => {
            let tcp = packet.tcp()?;
            let _ = write!(line, " seq {}", tcp.sequence());
            if tcp.acknowledgement() != 0 || tcp.has(nflab::wire::tcp::flags::ACK) {
                let _ = write!(line, " ack {}", tcp.acknowledgement());
            }
            let window = u16::from_be_bytes([payload[14], payload[15]]);
            let _ = write!(line, " win {window}");
            payload.get(tcp.header_length()..)?
        }
        17 => payload.get(8..)?,
        1 => {
            let message = packet.icmpv4()?;
            if matches!(message.kind(), 0 | 8) {
                let _ = write!(line, " id {} seq {}", message.identifier(), message.sequence());
            }
            payload.get(8..)?
        }
        _ => payload,
    };
    if !data.is_empty() {
        let _ = write!(
            line,
            " data {}",
            text(data).unwrap_or_else(|| format!("0x{}", describe::hex(data)))
        );
    }
    let _ = write!(line, " ttl {}", ip.ttl());
    if ip.tos() != 0 {
        let _ = write!(line, " tos {}", ip.tos());
    }
    if ip.identification() != 0 {
        let _ = write!(line, " ipid {}", ip.identification());
    }
    if ip.dont_fragment() {
        line.push_str(" df");
    }
    Some(line)
}

/// Words in quotes, where they are words.
fn text(data: &[u8]) -> Option<String> {
    let mut text = String::from("\"");
    for byte in data {
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b' '..=b'~' if !b"\"\\$`'".contains(byte) => text.push(char::from(*byte)),
            _ => return None,
        }
    }
    text.push('"');
    Some(text)
}

fn read(line: &str) -> Option<Vec<u8>> {
    let statements = script::parse_text("", &format!("send local {line}"), TOOLBOX).ok()?;
    match statements.into_iter().next()?.kind {
        Kind::Send { draft, .. } => send::build(&draft, &super::scenario::Nothing).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_packets_are_written_in_words_and_odd_ones_in_hex() {
        for text in [
            "tcp 10.0.0.2:40000 > 192.0.2.9:80 S seq 100 win 64240 ttl 64",
            "udp 10.0.0.2:40000 > 192.0.2.9:53 data \"hi\\r\\n\" ttl 3 df",
            "icmp 10.0.0.2 > 192.0.2.9 echo-request id 7 seq 1 ttl 64",
            "ip 10.0.0.2 > 192.0.2.9 proto 47 data 0x00 ttl 64 ipid 9",
            "hex 45",
        ] {
            assert_eq!(of(&read(text).unwrap()), text);
        }
    }
}
