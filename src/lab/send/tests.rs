//! Packet lines there and back, and what a draft becomes in bytes.

use std::net::IpAddr;

use super::{BuildError, Surroundings, build, packet, split_parentheses};
use crate::explain::describe;
use crate::lab::script::lex::lex;
use crate::packet::Packet;
use crate::syntax::words::Words;
use crate::wire::ipv4::Ipv4;

/// What passed before: a stream's next number, and a packet that left.
#[derive(Default)]
struct Before {
    next: Option<u32>,
    departed: Option<Vec<u8>>,
}

impl Surroundings for Before {
    fn next_sequence(&self, _: (IpAddr, u16), _: (IpAddr, u16)) -> Option<u32> {
        self.next
    }

    fn departed(&self) -> Option<Vec<u8>> {
        self.departed.clone()
    }
}

fn made(line: &str, before: &Before) -> Result<Vec<u8>, BuildError> {
    let words = split_parentheses(&lex(line).unwrap().remove(0).words);
    let mut rest = Words::new(&words);
    let draft = packet(&mut rest).unwrap_or_else(|problem| panic!("{line}: {}", problem.message));
    assert!(rest.is_done(), "{line}");
    build(&draft, before)
}

#[test]
fn what_is_described_can_be_sent_again() {
    for line in [
        "tcp 10.0.0.2:40000 > 192.0.2.9:80 S seq 7 ttl 64",
        "tcp 10.0.0.2:40000 > 192.0.2.9:80 PA seq 7 ack 9 data \"GET / HTTP/1.0\\r\\n\" ttl 63 tos 0x10 df",
        "tcp 10.0.0.2:40000 > 192.0.2.9:80 none seq 0 ttl 1",
        "tcp 10.0.0.2:40000 > 192.0.2.9:80 S seq 7 mss 1460 sackok ts 5 0 wscale 7 ttl 64",
        "tcp 10.0.0.2:40000 > 192.0.2.9:80 A seq 7 ack 9 ts 5 4294967295 sack 1000-2000 3000-4000 data \"x\" ttl 64",
        "udp 10.0.0.2:5000 > 192.0.2.9:53 data 0x0001ff ttl 64",
        "udp 10.0.0.2:5000 > 192.0.2.9:53 zeros 30 ttl 64",
        "icmp 10.0.0.2 > 192.0.2.9 echo-request id 7 seq 1 data \"ping\" ttl 64",
        "icmp 10.0.0.2 > 192.0.2.9 timestamp-reply id 7 seq 1 ttl 64",
        "icmp 192.0.2.9 > 10.0.0.2 unreachable port quoting (udp 10.0.0.2:5000 > 192.0.2.9:53) ttl 64",
        "icmp 192.0.2.254 > 10.0.0.2 redirect 1 gateway 192.0.2.253 quoting (udp 10.0.0.2:5000 > 192.0.2.9:53) ttl 64",
        "icmp 192.0.2.254 > 10.0.0.2 redirect gateway 192.0.2.253 quoting (udp 10.0.0.2:5000 > 192.0.2.9:53) ttl 64",
        "icmp 192.0.2.254 > 10.0.0.2 redirect 1 quoting (udp 10.0.0.2:5000 > 192.0.2.9:53) ttl 64",
        "ip 10.0.0.2 > 192.0.2.9 proto 47 data 0x00000800 ttl 64",
        "tcp [2001:db8::2]:40000 > [2001:db8:1::9]:80 S seq 7 mss 1440 sackok hl 64",
        "tcp [2001:db8::2]:40000 > [2001:db8:1::9]:80 PA seq 7 ack 9 data \"GET / HTTP/1.0\\r\\n\" hl 63 tclass 0x10 flow 0x12345",
        "udp [fe80::2]:5000 > [ff02::fb]:5353 data 0x0001ff hl 255",
        "udp [2001:db8::2]:5000 > [2001:db8:1::9]:53 zeros 30 hl 64 hbh ra 0 dstopt opt 201 0x00112233 ah 256 7",
        "udp [2001:db8::2]:5000 > [2001:db8:1::9]:53 hl 64 rt 0 0 2001:db8::5 2001:db8::6 frag 0 ipid 4000000000",
        "udp [2001:db8::2]:5000 > [2001:db8:1::9]:53 hl 64 rt 4 0 2001:db8::5 dstopt",
        "udp [2001:db8::2]:5000 > [2001:db8:1::9]:53 zeros 8 hl 64 rt 2 1 2001:db8::5",
        "udp [2001:db8::2]:5000 > [2001:db8:1::9]:53 hl 64 hbh 0x010000010001 dstopt jumbo 70000 opt 5 0x01",
        "udp [2001:db8::2]:5000 > [2001:db8:1::9]:53 hl 64 rt 4 0 0x01000000 ext 51 0x04000000000001000000020a0b0c0d0e0f101112131415",
        "udp [2001:db8::2]:5000 > [2001:db8:1::9]:53 zeros 40 hl 64 frag 0 mf ipid 7",
        "icmpv6 2001:db8::2 > 2001:db8:1::9 echo-request id 7 seq 1 data \"ping\" hl 64",
        "icmp 192.0.2.9 > 10.0.0.2 unreachable fragmentation-needed mtu 1280 quoting (udp 10.0.0.2:5000 > 192.0.2.9:53) ttl 64",
        "icmp 192.0.2.9 > 10.0.0.2 unreachable fragmentation-needed rest 0x10500 quoting (udp 10.0.0.2:5000 > 192.0.2.9:53) ttl 64",
        "icmp 192.0.2.9 > 10.0.0.2 unreachable port rest 0x500 quoting (udp 10.0.0.2:5000 > 192.0.2.9:53) ttl 64",
        "icmp 192.0.2.9 > 10.0.0.2 parameter-problem pointer 20 quoting (udp 10.0.0.2:5000 > 192.0.2.9:53) ttl 64",
        "icmp 192.0.2.9 > 10.0.0.2 parameter-problem rest 0x14000001 quoting (udp 10.0.0.2:5000 > 192.0.2.9:53) ttl 64",
        "icmpv6 2001:db8:1::9 > 2001:db8::2 unreachable port quoting (udp [2001:db8::2]:5000 > [2001:db8:1::9]:53) hl 64",
        "icmpv6 2001:db8:1::9 > 2001:db8::2 packet-too-big mtu 1280 quoting (tcp [2001:db8::2]:5000 > [2001:db8:1::9]:53 A) hl 64",
        "icmpv6 2001:db8:1::9 > 2001:db8::2 parameter-problem next-header pointer 40 quoting (ip 2001:db8::2 > 2001:db8:1::9 proto 200) hl 64",
        "icmpv6 fe80::2 > ff02::1:ff00:1 neighbour-solicitation target fe80::1 source-link 02:00:00:00:00:01 hl 255",
        "icmpv6 fe80::2 > fe80::1 neighbour-advertisement rest 0x60000000 target fe80::2 target-link 02:00:00:00:00:02 hl 255",
        "icmpv6 fe80::2 > fe80::1 redirect target fe80::3 for 2001:db8:1::9 hl 255",
        "icmpv6 fe80::2 > fe80::1 neighbour-solicitation data 0x0102 hl 255",
        "icmpv6 fe80::2 > fe80::1 redirect target fe80::3 data 0x0102 hl 255",
        "icmpv6 fe80::2 > ff02::2 router-solicitation hl 255",
        "icmpv6 fe80::2 > ff02::16 multicast-report-v2 rest 0x1 data 0x04000000ff0200000000000000000001ff000002 hl 1 hbh ra 0",
        "icmpv6 2001:db8::2 > 2001:db8:1::9 type 200 code 3 rest 0x1020304 hl 64",
        "ip 2001:db8::2 > 2001:db8:1::9 proto 59 hl 64",
        "ip 2001:db8::2 > 2001:db8:1::9 proto 1 data 0x08000000 hl 64",
        "ip 10.0.0.2 > 192.0.2.9 proto 58 data 0x80000000 ttl 64",
    ] {
        let bytes = made(line, &Before::default()).unwrap();
        assert_eq!(describe::line(&bytes), line);
        let packet = Packet::parse(bytes.clone()).unwrap();
        assert!(packet.ipv4().is_none_or(|ip| ip.checksum_is_right()), "{line}");
        // A routing header that is not at its end has the sum of where it leads to.
        let has_sum = !packet.is_fragment() && !line.contains("rt 2 1");
        if has_sum
            && (packet.tcp().is_some() || packet.udp().is_some() || (packet.is_icmp() && packet.ipv4().is_none()))
        {
            let sum = crate::wire::checksum::transport(
                packet.source(),
                packet.destination(),
                packet.protocol(),
                packet.transport(),
            );
            assert_eq!(sum, 0, "{line}");
        }
    }
}

#[test]
fn a_conversation_goes_on_by_itself() {
    let before = Before {
        next: Some(5000),
        departed: None,
    };
    let tcp = |line: &str| {
        let packet = Packet::parse(made(line, &before).unwrap()).unwrap();
        let tcp = packet.tcp().unwrap();
        (tcp.sequence(), tcp.acknowledgement())
    };
    assert_eq!(tcp("tcp 10.0.0.2:1 > 10.0.0.3:2 A"), (5000, 5000));
    assert_eq!(tcp("tcp 10.0.0.2:1 > 10.0.0.3:2 A seq 1 ack 2"), (1, 2));
    let (first, none) = tcp("tcp 10.0.0.2:1 > 10.0.0.3:2 S");
    assert_eq!(none, 0, "a SYN acknowledges nothing");
    assert_ne!(first, 5000, "and begins anew");
}

#[test]
fn options_checksums_and_pieces() {
    let plain = Before::default();
    let syn =
        Packet::parse(made("tcp 10.0.0.2:1 > 10.0.0.3:2 S mss 1460 sackok ts 1 0 wscale 7", &plain).unwrap()).unwrap();
    let kinds: Vec<u8> = syn.tcp().unwrap().options().map(|option| option.kind).collect();
    assert_eq!(kinds, [2, 4, 8, 3]);
    let spoiled = made("udp 10.0.0.2:1 > 10.0.0.3:2 data 0x01 badsum", &plain).unwrap();
    assert!(Ipv4::new(&spoiled).unwrap().checksum_is_right());
    let spoiled = made("udp 10.0.0.2:1 > 10.0.0.3:2 badipsum", &plain).unwrap();
    assert!(!Ipv4::new(&spoiled).unwrap().checksum_is_right());
    let whole = made("udp 10.0.0.2:1 > 10.0.0.3:2 zeros 100 id 9", &plain).unwrap();
    let first = made("udp 10.0.0.2:1 > 10.0.0.3:2 zeros 100 id 9 frag 0 56", &plain).unwrap();
    let last = made("udp 10.0.0.2:1 > 10.0.0.3:2 zeros 100 id 9 frag 56", &plain).unwrap();
    let (first, last) = (Ipv4::new(&first).unwrap(), Ipv4::new(&last).unwrap());
    assert!(first.more_fragments() && !last.more_fragments());
    assert_eq!((first.fragment_offset(), last.fragment_offset()), (0, 56));
    assert_eq!(
        [first.payload(), last.payload()].concat(),
        Ipv4::new(&whole).unwrap().payload()
    );
    assert_eq!(made("hex 45 00 ff", &plain), Ok(vec![0x45, 0, 0xff]));
    for (line, error) in [
        (
            "icmp 10.0.0.2 > 10.0.0.3 time-exceeded quoting last",
            BuildError::NothingToQuote,
        ),
        (
            "udp 10.0.0.2:1 > 10.0.0.3:2 frag 8",
            BuildError::PieceBeyondEnd { length: 8, offset: 8 },
        ),
        ("udp 10.0.0.2:1 > 10.0.0.3:2 zeros 65510", BuildError::TooLong(65_538)),
        ("tcp 10.0.0.2:1 > 10.0.0.3:2 S zeros 65500", BuildError::TooLong(65_540)),
        (
            "tcp 10.0.0.2:1 > 10.0.0.3:2 S mss 1460 sackok ts 1 0 wscale 7 zeros 65500",
            BuildError::TooLong(65_560),
        ),
    ] {
        assert_eq!(made(line, &plain), Err(error), "{line}");
    }
}

#[test]
fn icmp_is_that_of_the_addresses() {
    let plain = Before::default();
    for (family_of_its_own, named) in [
        (
            "icmp 2001:db8::2 > 2001:db8:1::9 echo-request id 7",
            "icmpv6 2001:db8::2 > 2001:db8:1::9 echo-request id 7",
        ),
        (
            "icmp fe80::2 > fe80::1 neighbor-solicitation target fe80::1",
            "icmpv6 fe80::2 > fe80::1 type 135 target fe80::1",
        ),
        (
            "udp 2001:db8::2:40000 > [2001:db8:1::9]:53",
            "udp [2001:db8::2]:40000 > [2001:db8:1::9]:53",
        ),
        (
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:53 ttl 3 id 9 frag 0",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:53 frag 0 ipid 9 hl 3",
        ),
    ] {
        assert_eq!(made(family_of_its_own, &plain), made(named, &plain), "{named}");
    }
}

/// What neighbours say to one another is heard from a hop limit of 255 alone, so that is what is meant, unless another is written.
#[test]
fn neighbours_speak_with_the_largest_hop_limit() {
    let plain = Before::default();
    for (line, limit) in [
        (
            "icmp fe80::2 > ff02::1:ff00:1 neighbour-solicitation target fe80::1",
            255,
        ),
        (
            "icmp fe80::2 > fe80::1 neighbour-advertisement target fe80::2 hl 64",
            64,
        ),
        ("icmp fe80::2 > fe80::1 neighbour-advertisement ttl 7 target fe80::2", 7),
        ("icmp fe80::2 > ff02::2 router-solicitation", 255),
        ("icmp fe80::2 > ff02::1 router-advertisement", 255),
        ("icmp fe80::2 > fe80::1 redirect target fe80::3 for ::1", 255),
        ("icmp fe80::2 > ff02::2 type 133", 255),
        ("icmp fe80::2 > ff02::1 multicast-query group ::", 64),
        ("icmp fe80::2 > fe80::1 echo-request", 64),
    ] {
        assert_eq!(made(line, &plain).unwrap()[7], limit, "{line}");
    }
    let of_ipv4 = made("icmp 10.0.0.2 > 10.0.0.3 type 133", &plain).unwrap();
    assert_eq!(of_ipv4[8], 64);
}

/// As the router's own has it (RFC 4861, 4.5): the addresses, the options, and of the quoted packet words of eight bytes.
#[test]
fn a_redirect_of_ipv6_quotes_in_an_option() {
    let plain = Before::default();
    let quoted = "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 data 0x010203040506070809";
    let quote = made(quoted, &plain).unwrap();
    let begins = "icmpv6 fe80::2 > fe80::1 redirect";
    let addresses = "target fe80::8 for 2001:db8:1::9";
    let all_of_it = made(
        &format!("{begins} {addresses} target-link 02:00:00:00:00:08 quoting ({quoted}) hl 255"),
        &plain,
    )
    .unwrap();
    let message = &all_of_it[48..];
    let target: std::net::Ipv6Addr = "fe80::8".parse().unwrap();
    let was_for: std::net::Ipv6Addr = "2001:db8:1::9".parse().unwrap();
    assert_eq!(message[..16], target.octets());
    assert_eq!(message[16..32], was_for.octets());
    assert_eq!(message[32..40], [2, 1, 2, 0, 0, 0, 0, 8]);
    assert_eq!(quote.len(), 57, "of which the last byte fills no word");
    assert_eq!(message[40..48], [4, 8, 0, 0, 0, 0, 0, 0]);
    assert_eq!(message[48..], quote[..56]);
    let other_order = "for 2001:db8:1::9 target-link 02:00:00:00:00:08 target fe80::8";
    let other_order = made(&format!("{begins} quoting ({quoted}) {other_order} hl 255"), &plain);
    assert_eq!(other_order, Ok(all_of_it));
    let long = made(
        &format!("{begins} {addresses} quoting (udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 2000)"),
        &plain,
    );
    assert_eq!(long.unwrap().len(), 1280);
    // What is told of it is sent again, where it is short enough to be told whole.
    let short = "udp [2001:db8::2]:1 > [2001:db8:1::9]:2";
    let line = format!("{begins} {addresses} quoting ({short}) hl 255");
    let bytes = made(&line, &plain).unwrap();
    assert_eq!(made(&describe::line(&bytes), &plain), Ok(bytes));
    // Of a quoted message the end may be missing, as it is told.
    let cut = "time-exceeded quoting (icmpv6 2001:db8::2 > 2001:db8:1::9 neighbour-solicitation)";
    assert_eq!(made(&format!("icmpv6 ::1 > ::2 {cut}"), &plain).unwrap().len(), 96);
}

/// What a chain of headers is put together from, byte by byte.
#[test]
fn extension_headers_stand_in_their_order() {
    let plain = Before::default();
    let bytes = made(
        "ip 2001:db8::2 > 2001:db8:1::9 proto 17 data 0x01020304 dstopt hbh ra 1 plen 9 hl 2 tclass 0xb8",
        &plain,
    )
    .unwrap();
    assert_eq!(bytes[..8], [0x6b, 0x80, 0, 0, 0, 9, 60, 2]);
    assert_eq!(
        bytes[40..],
        [0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 5, 2, 0, 1, 1, 0, 1, 2, 3, 4]
    );
    // What stands behind the fragment header is cut, also of further headers.
    let line = |piece: &str| {
        format!("ip 2001:db8::2 > 2001:db8:1::9 proto 17 data 0x0102030405060708 hbh {piece} ipid 9 dstopt")
    };
    let first = made(&line("frag 0 8"), &plain).unwrap();
    assert_eq!(first[48..], [60, 0, 0, 1, 0, 0, 0, 9, 17, 0, 1, 4, 0, 0, 0, 0]);
    let last = made(&line("frag 8"), &plain).unwrap();
    assert_eq!(last[48..], [60, 0, 0, 8, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8]);
    let beyond = BuildError::PieceBeyondEnd { length: 16, offset: 16 };
    assert_eq!(made(&line("frag 16"), &plain), Err(beyond));
    assert_eq!(
        made("udp [2001:db8::2]:1 > [2001:db8:1::9]:2 zeros 65515 hbh dstopt", &plain),
        Err(BuildError::TooLong(40 + 8 + 16 + 65_515))
    );
    // The sum is that of the last destination: as if the packet were there already.
    let sum = |line: &str| made(line, &plain).unwrap().last_chunk::<2>().copied();
    let there = sum("udp [2001:db8::2]:1 > [2001:db8::7]:2");
    for way in ["rt 0 1 2001:db8::5 2001:db8::7", "rt 4 1 2001:db8::7 2001:db8::5"] {
        assert_eq!(
            sum(&format!("udp [2001:db8::2]:1 > [2001:db8:1::9]:2 {way}")),
            there,
            "{way}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_packet_of_ipv6_is_said() {
    for (line, message, remedy) in [
        (
            "tcp 2001:db8::2 > [2001:db8:1::9]:80",
            "`2001:db8::2` is not understood here",
            "add a port: `[2001:db8::2]:40000`",
        ),
        (
            "tcp 2001:db8::2:80 > [2001:db8:1::9]:80",
            "`2001:db8::2:80` is not understood here",
            "that is an address without a port: write it in brackets, `[2001:db8::2]:80`",
        ),
        (
            "tcp [2001:db8::2]:40000 > 192.0.2.9:80",
            "2001:db8::2 and 192.0.2.9 are of two families",
            "write two IPv4 addresses, or two of IPv6",
        ),
        (
            "icmpv6 10.0.0.2 > 10.0.0.3 echo-request",
            "ICMPv6 is spoken between IPv6 addresses",
            "write `icmp`, which is that of the addresses' family",
        ),
        (
            "tcp6 [::1]:1 > [::1]:2",
            "`tcp6` is not understood here",
            "did you mean `tcp`?",
        ),
        (
            "icmp6 ::1 > ::1 echo-request",
            "`icmp6` is not understood here",
            "did you mean `icmpv6`?",
        ),
        (
            "udp [::1]:1 > [::1]:2 df",
            "an IPv6 header has no room for `df`",
            "leave it out: no router cuts a packet of IPv6",
        ),
        (
            "udp [::1]:1 > [::1]:2 badipsum",
            "an IPv6 header has no room for `badipsum`",
            "leave it out: there is no checksum; `badsum` spoils that of the transport",
        ),
        (
            "udp [::1]:1 > [::1]:2 id 7",
            "only a fragment header of IPv6 has an identification and `mf`",
            "add `frag 0`: a fragment header in front of all that is left",
        ),
        (
            "udp [::1]:1 > [::1]:2 frag 0 frag 8",
            "this packet has a fragment header already",
            "write another one as `ext 44 0x` and its bytes",
        ),
        (
            "udp 10.0.0.2:1 > 10.0.0.3:2 hbh",
            "`hbh` is not understood here",
            "leave it out, or write addresses such as 2001:db8::2",
        ),
        (
            "icmp ::1 > ::2 echo-requst",
            "`echo-requst` is not understood here",
            "did you mean `echo-request`?",
        ),
        (
            "icmp ::1 > ::2 echo-request target ::3",
            "an echo-request has no target",
            "leave it out; `data` writes bytes as they are",
        ),
        (
            "icmp ::1 > ::2 packet-too-big mtu 1280 target ::3 quoting last",
            "a packet-too-big has no target",
            "leave it out; `data` writes bytes as they are",
        ),
        (
            "icmp ::1 > ::2 neighbour-solicitation group ::3",
            "a neighbour-solicitation has no group",
            "leave it out; `data` writes bytes as they are",
        ),
        (
            "icmp ::1 > ::2 redirect target ::3 target ::4",
            "this message has its `target` already",
            "leave one of them out",
        ),
        (
            "icmp ::1 > ::2 neighbour-solicitation source-link 02:00:00:00:00:01",
            "a neighbour-solicitation lacks its `target`",
            "add `target A`, or all of its bytes as `data`",
        ),
        (
            "icmp ::1 > ::2 redirect for ::3 data 0x00",
            "a redirect lacks its `target`",
            "add `target A`, or all of its bytes as `data`",
        ),
        (
            "icmp ::1 > ::2 redirect target ::3 quoting last",
            "a redirect lacks its `for`",
            "add `for A`, or all of its bytes as `data`",
        ),
        (
            "icmp ::1 > ::2 neighbour-advertisement target ::3 quoting last",
            "a neighbour-advertisement quotes nothing",
            "leave it out; `data` writes bytes as they are",
        ),
        (
            "icmp ::1 > ::2 router-advertisement quoting last",
            "a router-advertisement quotes nothing",
            "leave it out; `data` writes bytes as they are",
        ),
        (
            "icmp 10.0.0.2 > 10.0.0.3 echo-request quoting last",
            "an echo-request quotes nothing",
            "leave it out; `data` writes bytes as they are",
        ),
        (
            "icmp 10.0.0.2 > 10.0.0.3 echo-request mtu 1400",
            "an echo-request has no mtu",
            "leave it out; `rest` writes the four bytes behind the checksum as they are",
        ),
        (
            "icmp 10.0.0.2 > 10.0.0.3 unreachable port quoting last mtu 1400",
            "an unreachable port has no mtu",
            "leave it out; `rest` writes the four bytes behind the checksum as they are",
        ),
        (
            "icmp 10.0.0.2 > 10.0.0.3 time-exceeded pointer 1 quoting last",
            "a time-exceeded has no pointer",
            "leave it out; `rest` writes the four bytes behind the checksum as they are",
        ),
        (
            "icmp 10.0.0.2 > 10.0.0.3 echo-request gateway 10.0.0.4",
            "an echo-request has no gateway",
            "leave it out; `rest` writes the four bytes behind the checksum as they are",
        ),
        (
            "icmp ::1 > ::2 unreachable port mtu 1280 quoting last",
            "an unreachable port has no mtu",
            "leave it out; `rest` writes the four bytes behind the checksum as they are",
        ),
        (
            "icmp ::1 > ::2 packet-too-big pointer 40 quoting last",
            "a packet-too-big has no pointer",
            "leave it out; `rest` writes the four bytes behind the checksum as they are",
        ),
        (
            "icmp ::1 > ::2 neighbour-solicitation target ::3 seq 1",
            "a neighbour-solicitation has no seq",
            "leave it out; `rest` writes the four bytes behind the checksum as they are",
        ),
        (
            "udp [::1]:1 > [::1]:2 rt 0 1 ::5 0x00",
            "`0x00` is not understood here",
            "leave one of them out",
        ),
    ] {
        let words = split_parentheses(&lex(line).unwrap().remove(0).words);
        let problem = packet(&mut Words::new(&words)).unwrap_err();
        assert_eq!(
            (problem.message.as_str(), problem.remedy.as_str()),
            (message, remedy),
            "{line}"
        );
    }
}

#[test]
fn packets_quote_one_another_as_deep_as_anything_is_left_of_them() {
    let nested = |depth: usize| {
        let error = "icmp 10.0.0.2 > 10.0.0.3 time-exceeded quoting (";
        format!(
            "{}udp 10.0.0.9:1 > 10.0.0.3:2{}",
            error.repeat(depth),
            ")".repeat(depth)
        )
    };
    let ask = move || {
        let twenty = made(&nested(20), &Before::default()).unwrap();
        let nineteen = made(&nested(19), &Before::default()).unwrap();
        assert_eq!((twenty.len(), nineteen.len()), (576, 28 * 19 + 28));
        let udp_begins = 28 * 20;
        assert_eq!(
            twenty[udp_begins..].len(),
            16,
            "the header of the last one, but for its addresses"
        );
        for depth in [21, 2000] {
            let line = nested(depth);
            let words = split_parentheses(&lex(&line).unwrap().remove(0).words);
            let problem = packet(&mut Words::new(&words)).unwrap_err();
            assert_eq!(problem.message, "20 packets quote one another here already");
            let at = nested(20).find("udp").unwrap() + "icmp 10.0.0.2 > 10.0.0.3 time-exceeded quoting ".len();
            assert_eq!(problem.position.start, at);
        }
    };
    // Half of what a thread has.
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(ask);
    thread.unwrap().join().unwrap();
}
