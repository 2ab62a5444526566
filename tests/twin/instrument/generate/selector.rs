//! What a rule asks by itself: addresses, interfaces, pieces, the protocol.

use nflab::base::Family;
use nflab::ext::drawn::{DESTINATIONS, SOURCES};

use super::draw::Draw;
use super::rules::Place;

/// Few rules ask much, since a packet rarely answers to it.
pub(super) fn selector(draw: &mut Draw, place: &Place, rule: &mut String) {
    if draw.one_in(5) {
        *rule += &format!(" {}-s {}", draw.not(5), draw.pick(SOURCES));
    }
    if draw.one_in(5) {
        *rule += &format!(" {}-d {}", draw.not(5), draw.pick(DESTINATIONS));
    }
    if draw.one_in(6) && place.may_ask_input() {
        *rule += &format!(" {}-i {}", draw.not(5), draw.pick(INTERFACES));
    }
    if draw.one_in(6) && place.may_ask_output() {
        *rule += &format!(" {}-o {}", draw.not(5), draw.pick(INTERFACES));
    }
    if draw.one_in(25) && place.family == Family::V4 {
        *rule += &format!(" {}-f", draw.not(2));
    }
}

const INTERFACES: &[&str] = &["lan", "lan", "wan", "wan", "wa+", "l+", "+", "lo", "dmz", "eth0"];

/// The number of a plain `-p`: of an inverted one nothing may be asked.
pub(super) fn protocol(draw: &mut Draw, family: Family, rule: &mut String) -> Option<u8> {
    let (name, number) = match (family, draw.pick(PROTOCOLS)) {
        (Family::V6, ("icmp", _)) => ("ipv6-icmp", 58),
        (Family::V6, ("1", _)) => ("58", 58),
        (Family::V6, ("igmp", _)) => ("icmpv6", 58),
        (Family::V6, ("47", _)) => ("mh", 135),
        (Family::V6, ("esp", _)) => ("ah", 51),
        (_, drawn) => drawn,
    };
    if name.is_empty() {
        return None;
    }
    if draw.one_in(8) && number != 0 {
        *rule += &format!(" ! -p {name}");
        return None;
    }
    *rule += &format!(" -p {name}");
    (number != 0).then_some(number)
}

const PROTOCOLS: &[(&str, u8)] = &[
    ("", 0),
    ("", 0),
    ("", 0),
    ("", 0),
    ("", 0),
    ("ipcomp", 108),
    ("tcp", 6),
    ("tcp", 6),
    ("tcp", 6),
    ("6", 6),
    ("udp", 17),
    ("udp", 17),
    ("17", 17),
    ("icmp", 1),
    ("1", 1),
    ("gre", 47),
    ("47", 47),
    ("esp", 50),
    ("sctp", 132),
    ("dccp", 33),
    ("udplite", 136),
    ("igmp", 2),
    ("ah", 51),
    ("0", 0),
];
