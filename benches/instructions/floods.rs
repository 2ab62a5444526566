//! Ways of packets that mean ill, and what they are held to.

use std::hint::black_box;

use nflab::base::Family;

use crate::bench_router::floods::Flood;
use crate::{PACKETS, the_counted_packets};

/// So many times the instructions of a packet that goes all the way untracked may one of a flood take.
pub(crate) const OF_A_FLOOD: f64 = 10.0;
pub(crate) const PLAIN: &str = "untracked-udp";

pub(crate) fn carry(flood: &Flood, family: Family) {
    let (mut setup, packets) = flood.begin(family, PACKETS as usize);
    let mut as_expected = 0;
    the_counted_packets(|number| {
        let (interface, bytes) = &packets[number];
        let (report, _) = setup.receive(*interface, black_box(bytes));
        as_expected += u64::from((flood.fares)(&report.fate));
    });
    assert_eq!(as_expected, PACKETS, "{}", flood.name);
}
