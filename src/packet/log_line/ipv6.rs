//! The packet's part of a log line, of IPv6: its headers one after the other, then what it carries.
//!
//! The kernel logs for no namespace but the first, so these lines were asked of another: one of user-mode-linux (`ipv6.txt`).

use std::fmt::Write;
use std::ops::ControlFlow;

use super::{IP_OPTIONS, carried, incomplete};
use crate::base::protocol;
use crate::wire::{be16, be32};

/// From the IPv6 header on. `None` where the line breaks off, which leaves out user, group and mark too.
pub(super) fn header(out: &mut String, bytes: &[u8], flags: u8, quoted: bool) -> Option<()> {
    let Some(fixed) = bytes.first_chunk::<HEADER>() else {
        out.push_str("TRUNCATED");
        return None;
    };
    for (name, at) in [("SRC", 8), ("DST", 24)] {
        let _ = write!(out, "{name}={:04x}", be16(fixed, at));
        for group in 1..8 {
            let _ = write!(out, ":{:04x}", be16(fixed, at + 2 * group));
        }
        out.push(' ');
    }
    let words = be32(fixed, 0);
    let _ = write!(
        out,
        "LEN={} TC={} HOPLIMIT={} FLOWLBL={} ",
        HEADER + usize::from(be16(fixed, 4)),
        words >> 20 & 0xff,
        fixed[7],
        words & 0xf_ffff
    );
    let (kind, at, is_later) = extensions(out, fixed[6], bytes, flags)?;
    let rest = bytes.get(at..).unwrap_or(&[]);
    let left = (bytes.len() as u32).wrapping_sub(at as u32);
    match carried(out, kind, (rest, left), is_later, flags) {
        Some(ControlFlow::Continue(())) => return Some(()),
        Some(ControlFlow::Break(())) => return None,
        None => {}
    }
    match kind {
        protocol::ICMPV6 => {
            out.push_str("PROTO=ICMPv6 ");
            if !is_later {
                let Some(message) = rest.first_chunk::<8>() else {
                    incomplete(out, left);
                    return None;
                };
                icmp(out, message, rest, flags, quoted);
            }
        }
        other => {
            let _ = write!(out, "PROTO={other} ");
        }
    }
    Some(())
}

/// What stands behind them: its number, its place, and whether it is a later fragment's.
fn extensions(out: &mut String, first: u8, bytes: &[u8], flags: u8) -> Option<(u8, usize, bool)> {
    let (mut kind, mut at, mut is_later) = (first, HEADER, false);
    let is_told = flags & IP_OPTIONS != 0;
    while EXTENSIONS.contains(&kind) {
        let rest = bytes.get(at..).unwrap_or(&[]);
        let Some(&[next, length]) = rest.first_chunk() else {
            out.push_str("TRUNCATED");
            return None;
        };
        if is_told {
            out.push_str("OPT ( ");
        }
        let left = bytes.len().saturating_sub(at) as u32;
        let breaks_off = |out: &mut String| {
            if is_told {
                out.push(')');
            }
        };
        match kind {
            FRAGMENT => {
                out.push_str("FRAG:");
                let Some(fragment) = rest.first_chunk::<8>() else {
                    out.push_str("TRUNCATED ");
                    return None;
                };
                let field = be16(fragment, 2);
                let _ = write!(out, "{} ", field & 0xfff8);
                if field & 1 != 0 {
                    out.push_str("INCOMPLETE ");
                }
                let _ = write!(out, "ID:{:08x} ", be32(fragment, 4));
                is_later |= field & 0xfff8 != 0;
                at += 8;
            }
            protocol::AH => {
                if is_told {
                    out.push_str("AH ");
                    if is_later {
                        breaks_off(out);
                        return None;
                    }
                    let Some(header) = rest.first_chunk::<12>() else {
                        incomplete(out, left);
                        breaks_off(out);
                        return None;
                    };
                    let _ = write!(out, "SPI={:#x} ", be32(header, 4));
                }
                at += (usize::from(length) + 2) * 4;
            }
            protocol::ESP => {
                // Nothing behind it can be read.
                if is_told {
                    out.push_str("ESP ");
                    match rest.first_chunk::<8>() {
                        Some(header) if !is_later => {
                            let _ = write!(out, "SPI={:#x} )", be32(header, 0));
                        }
                        Some(_) => breaks_off(out),
                        None => {
                            incomplete(out, left);
                            breaks_off(out);
                        }
                    }
                }
                return None;
            }
            _ => {
                if is_later {
                    breaks_off(out);
                    return None;
                }
                at += (usize::from(length) + 1) * 8;
            }
        }
        if is_told {
            out.push_str(") ");
        }
        kind = next;
    }
    Some((kind, at, is_later))
}

fn icmp(out: &mut String, fixed: &[u8; 8], message: &[u8], flags: u8, quoted: bool) {
    let (kind, code) = (fixed[0], fixed[1]);
    let _ = write!(out, "TYPE={kind} CODE={code} ");
    match kind {
        128 | 129 => {
            let _ = write!(out, "ID={} SEQ={} ", be16(fixed, 4), be16(fixed, 6));
        }
        4 => {
            let _ = write!(out, "POINTER={:08x} ", be32(fixed, 4));
        }
        _ => {}
    }
    if matches!(kind, 1..=4) {
        // A quote within a quote is left out.
        if !quoted {
            out.push('[');
            // Where the quote breaks off, the line around it goes on.
            let _ = header(out, &message[8..], flags, true);
            out.push_str("] ");
        }
        if kind == 2 {
            let _ = write!(out, "MTU={} ", be32(fixed, 4));
        }
    }
}

const HEADER: usize = 40;
const FRAGMENT: u8 = 44;
/// Headers that are gone through: hop by hop, routing, fragment, ESP, AH, destination.
const EXTENSIONS: [u8; 6] = [0, 43, FRAGMENT, protocol::ESP, protocol::AH, 60];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::unhex;

    /// A packet of this next header from fe80::1 to ff02::16 with hop limit 1, flow label 5 and traffic class 0xb8.
    fn packet(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x6b, 0x80, 0, 5, 0, payload.len() as u8, next, 1];
        let mut address = |first: u16, last: u16| {
            bytes.extend_from_slice(&first.to_be_bytes());
            bytes.extend_from_slice(&[0; 12]);
            bytes.extend_from_slice(&last.to_be_bytes());
        };
        address(0xfe80, 1);
        address(0xff02, 0x16);
        bytes.extend_from_slice(payload);
        bytes
    }

    const UDP: [u8; 8] = [0, 53, 0x14, 0xe9, 0, 8, 0, 0];

    #[test]
    fn lines_of_the_kernel() {
        let text = include_str!("ipv6.txt");
        let mut differ = Vec::new();
        let mut count = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let [flags, packet, said] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            count += 1;
            let mut out = String::new();
            let _ = header(&mut out, &unhex(packet), flags.parse().unwrap(), false);
            if out != said {
                differ.push(format!("{flags} {packet}\nkernel {said}\nhere   {out}"));
            }
        }
        assert!(count > 100, "{count} lines");
        assert!(differ.is_empty(), "{}", differ.join("\n"));
    }

    #[test]
    fn a_quote_is_told_once() {
        let inner = packet(17, &UDP);
        let error = [&[1, 4, 0, 0, 0, 0, 0, 0][..], &inner].concat();
        let outer = packet(58, &[&[3, 0, 0, 0, 0, 0, 0, 0][..], &packet(58, &error)].concat());
        let mut out = String::new();
        let _ = header(&mut out, &outer, 0, false);
        assert_eq!(out.matches('[').count(), 1, "{out}");
        assert!(out.ends_with("PROTO=ICMPv6 TYPE=1 CODE=4 ] "), "{out}");
        // Whatever is cut off, the line is told.
        for length in 0..outer.len() {
            let _ = header(&mut String::new(), &outer[..length], 7, false);
        }
    }
}
