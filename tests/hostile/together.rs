//! Packets that come together under many rules fare as one by one: what is looked up for several of them at once, before the first is carried, is
//! what each of them would have found, though some are rewritten before they come there, or are of another state than was thought.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nflab::base::{Family, InterfaceId, Time};
use nflab::engine::Silent;
use nflab::wire::checksum;

use super::{Draw, Side};

/// Two that track all, and two that track nothing.
#[test]
fn what_comes_together_fares_as_one_by_one() {
    for (seed, family) in [
        (4, Family::V4),
        (5, Family::V4),
        (9, Family::V4),
        (12, Family::V4),
        (4, Family::V6),
        (9, Family::V6),
    ] {
        let mut draw = Draw(nflab::base::Random::new(seed));
        let rules = ruleset(&mut draw, family, !seed.is_multiple_of(3));
        let [mut together, mut alone] = [(); 2].map(|()| Side::new(seed, &[], &[(family, rules.clone())]));
        assert_eq!(together.workers.len(), 1);
        let now = Time::from_secs(1_800_000_000);
        for _ in 0..200 {
            let count = draw.below(50);
            let packets: Vec<_> = (0..count)
                .map(|_| (Some(InterfaceId(1)), packet(&mut draw, family)))
                .collect();
            let fared = together.carry_together(now, &packets).expect("one worker has all");
            assert_eq!(fared.len(), packets.len());
            for ((interface, bytes), (report, output)) in packets.iter().zip(fared) {
                let other = alone.carry(*interface, now, bytes, &mut Silent);
                assert_eq!((report, &output[..]), (other, alone.output()), "seed {seed}");
            }
        }
        assert_eq!(together.counters(), alone.counters(), "seed {seed}");
    }
}

/// So many that it is worth while to look ahead.
const RULES: usize = 3000;

fn ruleset(draw: &mut Draw, family: Family, tracks: bool) -> String {
    let (hops, server) = match family {
        Family::V4 => ("TTL --ttl-set", "20.3.3.3"),
        Family::V6 => ("HL --hl-set", "[2001:db8:9::1403:303]"),
    };
    let mut text = format!("*mangle\n-A PREROUTING -p udp --dport 4 -j {hops} 9\nCOMMIT\n");
    if tracks {
        let _ = write!(
            text,
            "*nat\n-A PREROUTING -p tcp --dport 1:3 -j DNAT --to-destination {server}:7\nCOMMIT\n"
        );
    }
    text.push_str("*filter\n:FORWARD DROP\n:called -\n");
    for _ in 0..RULES {
        let network = |draw: &mut Draw| {
            let length = draw.pick(&[8, 16, 24, 28, 32, 32]);
            format!("{}/{}", address(draw, family), family.bits() - 32 + length)
        };
        let _ = write!(text, "-A FORWARD -s {} -d {} ", network(draw), network(draw));
        match draw.below(12) {
            0 => {}
            1 => text.push_str("-i lan "),
            2 if tracks => text.push_str("-m state --state ESTABLISHED "),
            3 if tracks => text.push_str("-m state --state NEW "),
            4 => text.push_str("-m length --length 30:60 "),
            few => {
                let name = if few % 2 == 0 { "udp" } else { "tcp" };
                let _ = write!(text, "-p {name} --dport {} ", draw.below(9));
            }
        }
        text.push_str(draw.pick(&["-j ACCEPT\n", "-j DROP\n", "-j RETURN\n", "\n", "-j called\n"]));
    }
    text + "-A called -p tcp -j ACCEPT\n-A FORWARD -p udp -j ACCEPT\nCOMMIT\n"
}

/// Near each other, so that networks lie in networks and hosts are met.
fn address(draw: &mut Draw, family: Family) -> IpAddr {
    let last = Ipv4Addr::new(20, draw.below(4) as u8, draw.below(4) as u8, draw.below(24) as u8);
    match family {
        Family::V4 => last.into(),
        Family::V6 => Ipv6Addr::from_bits(0x2001_0db8_0009 << 80 | u128::from(last.to_bits())).into(),
    }
}

fn packet(draw: &mut Draw, family: Family) -> Vec<u8> {
    let protocol = draw.pick(&[6, 6, 17, 17, 17, 47]);
    let length: u16 = if protocol == 6 { 20 } else { 8 };
    let (source, destination) = (address(draw, family), address(draw, family));
    let mut transport = vec![0; usize::from(length)];
    transport[1] = draw.below(3) as u8;
    transport[3] = draw.below(9) as u8;
    let checksum_at = match protocol {
        6 => {
            (transport[12], transport[13]) = (5 << 4, draw.pick(&[2, 16, 24]));
            Some(16)
        }
        17 => {
            transport[4..6].copy_from_slice(&length.to_be_bytes());
            Some(6)
        }
        _ => None,
    };
    if let Some(at) = checksum_at {
        let sum = checksum::transport(source, destination, protocol, &transport);
        transport[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    // Some are later fragments, or begin one.
    let field = draw.pick(&[0, 0, 0, 0, 0, 0, 0, 0x4000, 0x2000, 9u16]);
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut bytes = vec![0x45, 0, 0, 20 + length as u8, 0, 1, 0, 0, 64, protocol, 0, 0];
            bytes[6..8].copy_from_slice(&field.to_be_bytes());
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            let sum = checksum::of(&bytes);
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
            bytes.extend(transport);
            bytes
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let (next, fragment) = match field {
                0 => (protocol, vec![]),
                _ => (44, vec![protocol, 0, 0, (field == 9) as u8 * 8 + 1, 0, 0, 0, 1]),
            };
            let mut bytes = vec![0x60, 0, 0, 0, 0, (fragment.len() + transport.len()) as u8, next, 64];
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            bytes.extend(fragment);
            bytes.extend(transport);
            bytes
        }
        _ => panic!("both are of {family}"),
    }
}
