//! The extension headers of IPv6 in the words that `send` reads, and in its order: each with all that it says, or as digits where no word does.

use std::fmt::Write;
use std::net::Ipv6Addr;

use super::hex;
use crate::wire::ipv6::{Extensions, HEADER, Ipv6, NEXT_HEADER, extension};
use crate::wire::{be16, be32};

/// Behind a line, of a packet whose IPv6 header is whole.
pub(super) fn write(line: &mut String, packet: &[u8]) {
    for found in headers(packet) {
        write_header(line, found.kind, found.bytes);
    }
}

/// What the first fragment header says.
pub(super) fn identification(packet: &[u8]) -> Option<u32> {
    let found = headers(packet).find(|it| it.kind == extension::FRAGMENT)?;
    Some(found.identification())
}

/// Those of this number: all behind the byte that names the next header, and the words for it.
pub(crate) fn of_number(packet: &[u8], number: u8) -> Vec<(&[u8], String)> {
    let Ok(ip) = Ipv6::new(packet) else {
        return Vec::new();
    };
    headers(&packet[..packet.len().min(ip.total_length())])
        .filter(|it| it.kind == number)
        .map(|it| {
            let mut words = String::new();
            write_header(&mut words, number, it.bytes);
            (&it.bytes[1..], words.trim_start().to_owned())
        })
        .collect()
}

/// Whether more fragments are to come, as the first fragment header says.
pub(super) fn more_fragments(packet: &[u8]) -> Option<bool> {
    let found = headers(packet).find_map(|it| it.fragment())?;
    Some(found.1)
}

fn headers(packet: &[u8]) -> Extensions<'_> {
    Extensions::from(packet, NEXT_HEADER, HEADER)
}

fn write_header(line: &mut String, number: u8, header: &[u8]) {
    let told = match number {
        extension::HOP_BY_HOP => options("hbh", &header[2..]),
        extension::DESTINATION => options("dstopt", &header[2..]),
        extension::ROUTING => routing(header),
        extension::FRAGMENT => {
            let field = be16(header, 2);
            let _ = write!(line, " frag {}", field & !7);
            if field & 1 != 0 {
                line.push_str(" mf");
            }
            let _ = write!(line, " ipid {}", be32(header, 4));
            return;
        }
        _ => authentication(header),
    };
    match told {
        Some(words) => {
            line.push(' ');
            line.push_str(&words);
        }
        None => {
            let _ = write!(line, " ext {number} 0x{}", hex(&header[1..]));
        }
    }
}

/// Each by its word; digits where what fills them up is not what `send` would put there.
fn options(name: &str, all: &[u8]) -> Option<String> {
    let mut text = name.to_owned();
    let mut rest = all;
    loop {
        let padding = match rest {
            [] | [0] => true,
            [1, length, zeros @ ..] => usize::from(*length) == zeros.len() && zeros.iter().all(|byte| *byte == 0),
            _ => false,
        };
        if padding && rest.len() < 8 {
            return Some(text);
        }
        let (kind, length) = match rest {
            [0, ..] => return Some(format!("{name} 0x{}", hex(all))),
            [kind, length, ..] => (*kind, usize::from(*length)),
            _ => return Some(format!("{name} 0x{}", hex(all))),
        };
        let Some(data) = rest.get(2..2 + length).filter(|_| kind != 1) else {
            return Some(format!("{name} 0x{}", hex(all)));
        };
        match (kind, data) {
            (5, [_, _]) => drop(write!(text, " ra {}", be16(data, 0))),
            (0xc2, [_, _, _, _]) => drop(write!(text, " jumbo {}", be32(data, 0))),
            (_, []) => drop(write!(text, " opt {kind}")),
            _ => drop(write!(text, " opt {kind} 0x{}", hex(data))),
        }
        rest = &rest[2 + length..];
    }
}

fn routing(header: &[u8]) -> Option<String> {
    let (kind, left) = (header[2], header[3]);
    let (segments, odd) = header[8..].as_chunks::<16>();
    let usual = match kind {
        4 => [(segments.len().max(1) - 1) as u8, 0, 0, 0],
        _ => [0; 4],
    };
    let mut text = format!("rt {kind} {left}");
    if header[4..8] != usual || !odd.is_empty() {
        let _ = write!(text, " 0x{}", hex(&header[4..]));
        return Some(text);
    }
    for segment in segments {
        let _ = write!(text, " {}", Ipv6Addr::from(*segment));
    }
    Some(text)
}

fn authentication(header: &[u8]) -> Option<String> {
    let usual = header.len() == 24 && header[2..4] == [0; 2] && header[12..].iter().all(|byte| *byte == 0);
    usual.then(|| format!("ah {} {}", be32(header, 4), be32(header, 8)))
}
