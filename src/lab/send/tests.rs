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
        "ip 10.0.0.2 > 192.0.2.9 proto 47 data 0x00000800 ttl 64",
    ] {
        let bytes = made(line, &Before::default()).unwrap();
        assert_eq!(describe::line(&bytes), line);
        let packet = Packet::parse(bytes.clone()).unwrap();
        assert!(packet.ipv4().unwrap().checksum_is_right(), "{line}");
        if packet.tcp().is_some() || packet.udp().is_some() {
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
