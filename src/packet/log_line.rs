//! The packet's part of a log line, as the kernel 6.18 words it. Each line of the tests is one of `dmesg`.

mod ipv6;

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;

use super::{Packet, Sender};
use crate::base::{Family, InterfaceId, protocol};
use crate::wire::{be16, be32};

/// What a line tells besides: bits as the kernel has them, and `iptables -L -n` prints them.
pub(crate) const TCP_SEQUENCE: u8 = 0x01;
pub(crate) const TCP_OPTIONS: u8 = 0x02;
pub(crate) const IP_OPTIONS: u8 = 0x04;
pub(crate) const UID: u8 = 0x08;

/// Interfaces, the link header and the packet, as they stand behind a prefix.
pub(crate) fn write(out: &mut String, packet: &Packet, (input, output): (&str, &str), flags: u8) {
    let _ = write!(out, "IN={input} OUT={output} ");
    match packet.input {
        // The one interface of a lab with a link header, and that is all zeros but for the protocol.
        Some(InterfaceId::LOOPBACK) => {
            out.push_str("MAC=00:00:00:00:00:00:00:00:00:00:00:00:");
            out.push_str(match packet.family() {
                Family::V4 => "08:00 ",
                Family::V6 => "86:dd ",
            });
        }
        Some(_) => out.push_str("MAC= "),
        None => {}
    }
    write_whole(out, packet.bytes(), flags, &packet.sender, packet.mark);
}

fn write_whole(out: &mut String, packet: &[u8], flags: u8, sender: &Sender, mark: u32) {
    let told = match Family::of_packet(packet) {
        Some(Family::V6) => ipv6::header(out, packet, flags, false),
        _ => header(out, packet, flags, false),
    };
    if told.is_none() {
        return;
    }
    // The socket's file has them. A socket of the kernel's own has no file.
    if let Sender::Program(program) = sender
        && flags & UID != 0
    {
        let _ = write!(out, "UID={} GID={} ", program.user, program.group);
    }
    if mark != 0 {
        let _ = write!(out, "MARK={mark:#x} ");
    }
}

/// From the IP header on. `None` where the line breaks off, which leaves out user, group and mark too.
fn header(out: &mut String, bytes: &[u8], flags: u8, quoted: bool) -> Option<()> {
    let Some(fixed) = bytes.first_chunk::<20>() else {
        out.push_str("TRUNCATED");
        return None;
    };
    let address = |at| Ipv4Addr::from_bits(be32(fixed, at));
    // The kernel believes what a quoted header says of its own length, be it less than a header has.
    let header_length = usize::from(fixed[0] & 0x0f) * 4;
    let fragment = be16(fixed, 6);
    let offset = fragment & 0x1fff;
    let (tos, protocol) = (fixed[1], fixed[9]);
    let _ = write!(
        out,
        "SRC={} DST={} LEN={} TOS=0x{:02X} PREC=0x{:02X} TTL={} ID={} ",
        address(12),
        address(16),
        be16(fixed, 2),
        tos & 0x1e,
        tos & 0xe0,
        fixed[8],
        be16(fixed, 4)
    );
    for (bit, name) in [(0x8000, "CE "), (0x4000, "DF "), (0x2000, "MF ")] {
        if fragment & bit != 0 {
            out.push_str(name);
        }
    }
    if offset != 0 {
        let _ = write!(out, "FRAG:{offset} ");
    }
    if flags & IP_OPTIONS != 0 && header_length > 20 {
        let Some(options) = bytes.get(20..header_length) else {
            out.push_str("TRUNCATED");
            return None;
        };
        write_hex(out, options);
    }
    let rest = bytes.get(header_length..).unwrap_or(&[]);
    // Below zero where a quoted header claims to be longer than what is there; printed as the kernel does.
    let left = (bytes.len() as u32).wrapping_sub(header_length as u32);
    match carried(out, protocol, (rest, left), offset != 0, flags) {
        Some(ControlFlow::Continue(())) => return Some(()),
        Some(ControlFlow::Break(())) => return None,
        None => {}
    }
    match protocol {
        protocol::ICMP => {
            out.push_str("PROTO=ICMP ");
            if offset == 0 {
                match rest.first_chunk::<8>() {
                    Some(message) => icmp(out, message, rest, flags, quoted),
                    None => incomplete(out, left),
                }
            }
        }
        // Of a later fragment not even the name.
        protocol::AH if offset != 0 => {}
        protocol::AH => {
            out.push_str("PROTO=AH ");
            match rest.get(..12) {
                Some(ah) => {
                    let _ = write!(out, "SPI={:#x} ", be32(ah, 4));
                }
                None => incomplete(out, left),
            }
        }
        protocol::ESP => {
            out.push_str("PROTO=ESP ");
            if offset == 0 {
                match rest.get(..8) {
                    Some(esp) => {
                        let _ = write!(out, "SPI={:#x} ", be32(esp, 0));
                    }
                    None => incomplete(out, left),
                }
            }
        }
        other => {
            let _ = write!(out, "PROTO={other} ");
        }
    }
    Some(())
}

fn incomplete(out: &mut String, left: u32) {
    let _ = write!(out, "INCOMPLETE [{left} bytes] ");
}

/// TCP and UDP, as the lines of both families have them; `None` where it is neither. What is there of it comes with the length that the kernel says
/// where that is too little; of a later fragment only the name is told.
fn carried(
    out: &mut String,
    protocol: u8,
    (rest, left): (&[u8], u32),
    is_later: bool,
    flags: u8,
) -> Option<ControlFlow<()>> {
    let goes_on = Some(ControlFlow::Continue(()));
    out.push_str(match protocol {
        protocol::TCP => "PROTO=TCP ",
        protocol::UDP => "PROTO=UDP ",
        protocol::UDPLITE => "PROTO=UDPLITE ",
        _ => return None,
    });
    if is_later {
        return goes_on;
    }
    if protocol == protocol::TCP {
        let Some(segment) = rest.first_chunk::<20>() else {
            incomplete(out, left);
            return Some(ControlFlow::Break(()));
        };
        return match tcp(out, segment, rest, flags) {
            Some(()) => goes_on,
            None => Some(ControlFlow::Break(())),
        };
    }
    let Some(datagram) = rest.first_chunk::<8>() else {
        incomplete(out, left);
        return Some(ControlFlow::Break(()));
    };
    let (source, destination, length) = (be16(datagram, 0), be16(datagram, 2), be16(datagram, 4));
    let _ = write!(out, "SPT={source} DPT={destination} LEN={length} ");
    goes_on
}

fn tcp(out: &mut String, fixed: &[u8; 20], segment: &[u8], flags: u8) -> Option<()> {
    let _ = write!(out, "SPT={} DPT={} ", be16(fixed, 0), be16(fixed, 2));
    if flags & TCP_SEQUENCE != 0 {
        let _ = write!(out, "SEQ={} ACK={} ", be32(fixed, 4), be32(fixed, 8));
    }
    let reserved = (fixed[12] & 0x0e) << 2;
    let _ = write!(out, "WINDOW={} RES=0x{reserved:02x} ", be16(fixed, 14));
    if fixed[12] & 0x01 != 0 {
        out.push_str("AE ");
    }
    for (bit, name) in TCP_FLAGS {
        if fixed[13] & bit != 0 {
            out.push_str(name);
        }
    }
    let _ = write!(out, "URGP={} ", be16(fixed, 18));
    let length = usize::from(fixed[12] >> 4) * 4;
    if flags & TCP_OPTIONS != 0 && length > 20 {
        let Some(options) = segment.get(20..length) else {
            out.push_str("OPT (TRUNCATED)");
            return None;
        };
        write_hex(out, options);
    }
    Some(())
}

const TCP_FLAGS: [(u8, &str); 8] = [
    (0x80, "CWR "),
    (0x40, "ECE "),
    (0x20, "URG "),
    (0x10, "ACK "),
    (0x08, "PSH "),
    (0x04, "RST "),
    (0x02, "SYN "),
    (0x01, "FIN "),
];

fn icmp(out: &mut String, fixed: &[u8; 8], message: &[u8], flags: u8, quoted: bool) {
    let (kind, code) = (fixed[0], fixed[1]);
    let _ = write!(out, "TYPE={kind} CODE={code} ");
    let needed = match kind {
        3 | 4 | 5 | 11 | 12 => 28,
        13 | 14 => 20,
        17 | 18 => 12,
        _ => 8,
    };
    if message.len() < needed {
        let _ = write!(out, "INCOMPLETE [{} bytes] ", message.len());
        return;
    }
    match kind {
        0 | 8 => {
            let _ = write!(out, "ID={} SEQ={} ", be16(fixed, 4), be16(fixed, 6));
        }
        12 => {
            let _ = write!(out, "PARAMETER={} ", fixed[4]);
        }
        5 => {
            let _ = write!(out, "GATEWAY={} ", Ipv4Addr::from_bits(be32(fixed, 4)));
        }
        _ => {}
    }
    if matches!(kind, 3 | 4 | 5 | 11) {
        // A quote within a quote is left out.
        if !quoted {
            out.push('[');
            // Where the quote breaks off, the line around it goes on.
            let _ = header(out, &message[8..], flags, true);
            out.push_str("] ");
        }
        if (kind, code) == (3, 4) {
            let _ = write!(out, "MTU={} ", be16(fixed, 6));
        }
    }
}

fn write_hex(out: &mut String, bytes: &[u8]) {
    out.push_str("OPT (");
    for byte in bytes {
        let _ = write!(out, "{byte:02X}");
    }
    out.push_str(") ");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::unhex;
    use crate::packet::Credentials;

    #[test]
    fn only_who_is_known_is_told_of() {
        let (_, packet, _, line) = LINES[0];
        for (sender, flags, told) in [
            (
                Sender::Program(Credentials::read("0:7").unwrap().into()),
                UID,
                "UID=0 GID=7 ",
            ),
            (Sender::Program(Credentials::read("0:7").unwrap().into()), 0, ""),
            (Sender::Unsaid, UID, ""),
            (Sender::Kernel, UID, ""),
            (Sender::NoSocket, UID, ""),
        ] {
            let mut out = String::new();
            write_whole(&mut out, &unhex(packet), flags, &sender, 0);
            assert_eq!(out, format!("{line}{told}"), "{sender}");
        }
    }

    /// Name, packet, flags (tcp-sequence, tcp-options, ip-options: all or none), line.
    #[rustfmt::skip]
    const LINES: &[(&str, &str, u8, &str)] = &[
        ("syn", "4500002c000100004006aec00a000002c00002099c4000500102030400000000600203e800000000020405b4", 0,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=44 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=40000 DPT=80 WINDOW=1000 RES=0x00 SYN URGP=0 "),
        ("syn", "4500002c000100004006aec00a000002c00002099c4000500102030400000000600203e800000000020405b4", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=44 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=40000 DPT=80 SEQ=16909060 ACK=0 WINDOW=1000 RES=0x00 SYN URGP=0 OPT (020405B4) "),
        ("all flags", "45000028000100004006aec40a000002c00002090001000201020304000000055fff03e800000007", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=1 DPT=2 SEQ=16909060 ACK=5 WINDOW=1000 RES=0x38 AE CWR ECE URG ACK PSH RST SYN FIN URGP=7 "),
        ("none flags", "45000028000100004006aec40a000002c0000209000100020102030400000000500003e800000000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=1 DPT=2 SEQ=16909060 ACK=0 WINDOW=1000 RES=0x00 URGP=0 "),
        ("tcp cut 19", "45000027000100004006aec50a000002c00002099c4000500102030400000000600203e8000000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=39 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP INCOMPLETE [19 bytes] "),
        ("tcp cut 3", "45000017000100004006aed50a000002c00002099c4000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=23 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP INCOMPLETE [3 bytes] "),
        ("tcp cut 4", "45000018000100004006aed40a000002c00002099c400050", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=24 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP INCOMPLETE [4 bytes] "),
        ("tcp opt cut", "4500002a000100004006aec20a000002c00002099c4000500102030400000000600203e8000000000204", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=42 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=40000 DPT=80 SEQ=16909060 ACK=0 WINDOW=1000 RES=0x00 SYN URGP=0 OPT (TRUNCATED)"),
        ("tcp doff4", "45000028000100004006aec40a000002c0000209000100020102030400000000400203e800000000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=1 DPT=2 SEQ=16909060 ACK=0 WINDOW=1000 RES=0x00 SYN URGP=0 "),
        ("tcp doff15", "45000028000100004006aec40a000002c0000209000100020102030400000000f00203e800000000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=1 DPT=2 SEQ=16909060 ACK=0 WINDOW=1000 RES=0x00 SYN URGP=0 OPT (TRUNCATED)"),
        ("frag later", "4500002c000100054006aebb0a000002c00002099c4000500102030400000000600203e800000000020405b4", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=44 TOS=0x00 PREC=0x00 TTL=64 ID=1 FRAG:5 PROTO=TCP "),
        ("frag first MF DF CE", "4500002c0001e0004006cebf0a000002c00002099c4000500102030400000000600203e800000000020405b4", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=44 TOS=0x00 PREC=0x00 TTL=64 ID=1 CE DF MF PROTO=TCP SPT=40000 DPT=80 SEQ=16909060 ACK=0 WINDOW=1000 RES=0x00 SYN URGP=0 OPT (020405B4) "),
        ("tos", "45b7002cffff00000106ed0a0a000002c00002099c4000500102030400000000600203e800000000020405b4", 0,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=44 TOS=0x16 PREC=0xA0 TTL=1 ID=65535 PROTO=TCP SPT=40000 DPT=80 WINDOW=1000 RES=0x00 SYN URGP=0 "),
        ("udp", "45000020000100004011aec10a000002c0000209003514e9000c000061626364", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=32 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDP SPT=53 DPT=5353 LEN=12 "),
        ("udp cut", "45000018000100004011aec90a000002c0000209003514e9", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=24 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDP INCOMPLETE [4 bytes] "),
        ("udp later", "4500001c000100034011aec20a000002c0000209003514e9000c0000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 FRAG:3 PROTO=UDP "),
        ("udplite", "4500001c000100004088ae4e0a000002c0000209003514e9000c0000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDPLITE SPT=53 DPT=5353 LEN=12 "),
        ("icmp8", "45000028000100004001aec90a000002c00002090800000012340007787878787878787878787878", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=8 CODE=0 ID=4660 SEQ=7 "),
        ("icmp0", "45000028000100004001aec90a000002c00002090000000012340007787878787878787878787878", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=0 CODE=0 ID=4660 SEQ=7 "),
        ("icmp13", "45000028000100004001aec90a000002c00002090d00000012340007787878787878787878787878", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=13 CODE=0 "),
        ("icmp14", "45000028000100004001aec90a000002c00002090e00000012340007787878787878787878787878", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=14 CODE=0 "),
        ("icmp15", "45000028000100004001aec90a000002c00002090f00000012340007787878787878787878787878", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=15 CODE=0 "),
        ("icmp16", "45000028000100004001aec90a000002c00002091000000012340007787878787878787878787878", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=16 CODE=0 "),
        ("icmp17", "45000028000100004001aec90a000002c00002091100000012340007787878787878787878787878", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=17 CODE=0 "),
        ("icmp18", "45000028000100004001aec90a000002c00002091200000012340007787878787878787878787878", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=18 CODE=0 "),
        ("icmp9", "45000028000100004001aec90a000002c00002090900000012340007787878787878787878787878", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=9 CODE=0 "),
        ("icmp10", "45000028000100004001aec90a000002c00002090a00000012340007787878787878787878787878", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=10 CODE=0 "),
        ("icmp4", "45000028000100004001aec90a000002c00002090400000012340007787878787878787878787878", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=4 CODE=0 INCOMPLETE [20 bytes] "),
        ("icmp19", "45000028000100004001aec90a000002c00002091300000012340007787878787878787878787878", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=19 CODE=0 "),
        ("icmp40", "45000028000100004001aec90a000002c00002092801000012340007787878787878787878787878", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=40 CODE=1 "),
        ("icmp err 3/1", "45000038000100004001aeb90a000002c000020903010000000000004500001c000100004011aec5c00002090a0000020001000200080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=1 [SRC=192.0.2.9 DST=10.0.0.2 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDP SPT=1 DPT=2 LEN=8 ] "),
        ("icmp err 3/3", "45000038000100004001aeb90a000002c000020903030000123456784500001c000100004011aec5c00002090a0000020001000200080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=3 [SRC=192.0.2.9 DST=10.0.0.2 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDP SPT=1 DPT=2 LEN=8 ] "),
        ("icmp err 3/4", "45000038000100004001aeb90a000002c000020903040000000005784500001c000100004011aec5c00002090a0000020001000200080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=4 [SRC=192.0.2.9 DST=10.0.0.2 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDP SPT=1 DPT=2 LEN=8 ] MTU=1400 "),
        ("icmp err 4/0", "45000038000100004001aeb90a000002c000020904000000000000094500001c000100004011aec5c00002090a0000020001000200080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=4 CODE=0 [SRC=192.0.2.9 DST=10.0.0.2 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDP SPT=1 DPT=2 LEN=8 ] "),
        ("icmp err 5/1", "45000038000100004001aeb90a000002c0000209050100000a0000054500001c000100004011aec5c00002090a0000020001000200080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=5 CODE=1 GATEWAY=10.0.0.5 [SRC=192.0.2.9 DST=10.0.0.2 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDP SPT=1 DPT=2 LEN=8 ] "),
        ("icmp err 5/0", "45000038000100004001aeb90a000002c0000209050000000a0000054500001c000100004011aec5c00002090a0000020001000200080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=5 CODE=0 GATEWAY=10.0.0.5 [SRC=192.0.2.9 DST=10.0.0.2 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDP SPT=1 DPT=2 LEN=8 ] "),
        ("icmp err 11/0", "45000038000100004001aeb90a000002c00002090b000000000000004500001c000100004011aec5c00002090a0000020001000200080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=11 CODE=0 [SRC=192.0.2.9 DST=10.0.0.2 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDP SPT=1 DPT=2 LEN=8 ] "),
        ("icmp err 11/1", "45000038000100004001aeb90a000002c00002090b010000000000034500001c000100004011aec5c00002090a0000020001000200080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=11 CODE=1 [SRC=192.0.2.9 DST=10.0.0.2 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDP SPT=1 DPT=2 LEN=8 ] "),
        ("icmp err 12/0", "45000038000100004001aeb90a000002c00002090c000000140000004500001c000100004011aec5c00002090a0000020001000200080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=12 CODE=0 PARAMETER=20 "),
        ("icmp err 12/1", "45000038000100004001aeb90a000002c00002090c010000010203044500001c000100004011aec5c00002090a0000020001000200080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=12 CODE=1 PARAMETER=1 "),
        ("icmp err inner tcp syn opts", "4500004c000100004001aea50a000002c0000209030100000000000046000030000100004006abbb0a000002c0000209010101009c4000500102030400000000600203e800000000020405b4", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=76 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=1 [SRC=10.0.0.2 DST=192.0.2.9 LEN=48 TOS=0x00 PREC=0x00 TTL=64 ID=1 OPT (01010100) PROTO=TCP SPT=40000 DPT=80 SEQ=16909060 ACK=0 WINDOW=1000 RES=0x00 SYN URGP=0 OPT (020405B4) ] "),
        ("icmp err inner tcp 8", "45000038000100004001aeb90a000002c000020903010000000000004500002c000100004006aec00a000002c00002099c40005001020304", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=1 [SRC=10.0.0.2 DST=192.0.2.9 LEN=44 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP INCOMPLETE [8 bytes] ] "),
        ("icmp err inner icmp err", "45000054000100004001ae9d0a000002c0000209030100000000000045000038000100004001aeb90a000002c000020903010000000000004500001c000100004011aec5c00002090a0000020001000200080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=84 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=1 [SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=1 ] "),
        ("icmp err inner icmp echo", "45000038000100004001aeb90a000002c000020903010000000000004500001c000100004001aed50a000002c00002090800000000010002", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=1 [SRC=10.0.0.2 DST=192.0.2.9 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=8 CODE=0 ID=1 SEQ=2 ] "),
        ("icmp err no inner", "4500001c000100004001aed50a000002c00002090301000000000000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=1 INCOMPLETE [8 bytes] "),
        ("icmp err inner 19", "4500002f000100004001aec20a000002c000020903010000000000004500001c000100004011aec5c00002090a0000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=47 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=1 INCOMPLETE [27 bytes] "),
        ("icmp err inner 24", "45000034000100004001aebd0a000002c000020903010000000000004500001c000100004011aec5c00002090a00000200010002", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=52 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=1 [SRC=192.0.2.9 DST=10.0.0.2 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDP INCOMPLETE [4 bytes] ] "),
        ("icmp err inner 20", "45000030000100004001aec10a000002c000020903010000000000004500001c000100004011aec5c00002090a000002", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=48 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=1 [SRC=192.0.2.9 DST=10.0.0.2 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDP INCOMPLETE [0 bytes] ] "),
        ("icmp err inner bad ihl", "45000038000100004001aeb90a000002c000020903010000000000004400001c000100004011aec5c00002090a0000020001000200080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=56 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=1 [SRC=192.0.2.9 DST=10.0.0.2 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=UDP SPT=2560 DPT=2 LEN=1 ] "),
        ("icmp redirect short", "45000018000100004001aed90a000002c000020905010000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=24 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP INCOMPLETE [4 bytes] "),
        ("icmp cut 3", "45000017000100004001aeda0a000002c0000209080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=23 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP INCOMPLETE [3 bytes] "),
        ("icmp cut 4", "45000018000100004001aed90a000002c000020908000000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=24 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP INCOMPLETE [4 bytes] "),
        ("icmp cut 7", "4500001b000100004001aed60a000002c000020908000000000000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=27 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP INCOMPLETE [7 bytes] "),
        ("icmp err cut 7", "4500001b000100004001aed60a000002c000020903000000000000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=27 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP INCOMPLETE [7 bytes] "),
        ("icmp frag", "4500001c000100034001aed20a000002c00002090800000012340007", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 FRAG:3 PROTO=ICMP "),
        ("icmp MF", "4500001c0001200040018ed50a000002c00002090800000012340007", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 MF PROTO=ICMP TYPE=8 CODE=0 ID=4660 SEQ=7 "),
        ("esp", "4500001c000100004032aea40a000002c0000209deadbeef00000005", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ESP SPI=0xdeadbeef "),
        ("esp cut", "45000018000100004032aea80a000002c0000209deadbeef", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=24 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ESP INCOMPLETE [4 bytes] "),
        ("ah", "4500002c000100004033ae930a000002c0000209060400000000cafe00000005000000000000000000000000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=44 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=AH SPI=0xcafe "),
        ("ah cut", "4500001c000100004033aea30a000002c0000209060400000000cafe", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=AH INCOMPLETE [8 bytes] "),
        ("esp frag", "4500001c000100024032aea20a000002c0000209deadbeef00000005", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 FRAG:2 PROTO=ESP "),
        ("ah frag", "4500001c000100024033aea10a000002c0000209deadbeef00000005", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 FRAG:2 "),
        ("gre", "4500001c00010000402faea70a000002c00002090000080061626364", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=47 "),
        ("sctp", "45000020000100004084ae4e0a000002c0000209000100020000000300000004", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=32 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=132 "),
        ("dccp", "45000028000100004021aea90a000002c00002090001000200000003000000040000000000000000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=33 "),
        ("proto 200", "450000140001000040c8ae160a000002c0000209", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=20 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=200 "),
        ("ipopts", "470000240001000040119bb20a000002c000020907070401020304000001000200080000", 7,
            "SRC=10.0.0.2 DST=192.0.2.9 LEN=36 TOS=0x00 PREC=0x00 TTL=64 ID=1 OPT (0707040102030400) PROTO=UDP SPT=1 DPT=2 LEN=8 "),
    ];

    #[test]
    fn lines_of_the_kernel() {
        for (name, packet, flags, line) in LINES {
            let mut out = String::new();
            write_whole(&mut out, &unhex(packet), *flags, &Sender::NoSocket, 0);
            assert_eq!(out, *line, "{name}");
        }
    }

    #[test]
    fn the_sender_and_the_mark_come_last_unless_the_line_broke_off() {
        let sender = Sender::Program(Credentials::read("44:45,46").unwrap().into());
        for (name, packet, flags, line) in LINES {
            let mut out = String::new();
            write_whole(&mut out, &unhex(packet), *flags | UID, &sender, 0x1f);
            let broken = !name.starts_with("inner")
                && !name.contains("inner")
                && (line.ends_with("(TRUNCATED)")
                    || (line.contains("INCOMPLETE") && (line.contains("PROTO=TCP") || line.contains("PROTO=UDP"))));
            let expected = if broken {
                (*line).to_owned()
            } else {
                format!("{line}UID=44 GID=45 MARK=0x1f ")
            };
            assert_eq!(out, expected, "{name}");
        }
    }

    #[test]
    fn any_bytes_give_a_line() {
        for (_, packet, _, _) in LINES {
            let packet = unhex(packet);
            for length in 0..packet.len() {
                write_whole(&mut String::new(), &packet[..length], 7, &Sender::Unsaid, 1);
            }
            for at in 0..packet.len() {
                let mut broken = packet.clone();
                broken[at] ^= 0xff;
                write_whole(&mut String::new(), &broken, 7, &Sender::Unsaid, 1);
            }
        }
    }
}
