//! What packets of IPv6 cost beside those of IPv4, by the same rules.

use nflab::base::Family;

use crate::flows::{BATCH, Known, New, ROUNDS, Windows, memory_of_a_flow};
use crate::report::{Bound, Line, figure, rate, time};
use crate::rulesets::{HOME, STATE};
use crate::sampling::{Samples, in_turn};

/// So much longer may a packet of IPv6 take: it has twice the header, and its addresses four times the words.
const MOST: f64 = 1.25;

/// Known flows, new ones, and what one takes of memory.
pub(crate) fn both() -> Vec<Line> {
    let mut lines = vec![
        known("known UDP flow", Known::udp, STATE),
        known("known UDP flow, masqueraded", Known::udp, HOME),
        connection(),
        new("new flows, UDP", STATE),
        new("new flows, UDP, masqueraded", HOME),
    ];
    for (name, rules) in [("", STATE), (", masqueraded", HOME)] {
        let [of_ipv4, of_ipv6] = Family::ALL.map(|family| memory_of_a_flow(family, rules, 1_000_000));
        lines.push(Line::ratio(
            &format!("memory of a flow{name}, at a million, IPv6"),
            format!("{} B", figure(of_ipv6)),
            format!("IPv4: {} B", figure(of_ipv4)),
            of_ipv6 / of_ipv4,
            None,
        ));
    }
    lines
}

fn known(work: &str, prepare: fn(Family, &str) -> Known, rules: &str) -> Line {
    let [mut of_ipv4, mut of_ipv6] = Family::ALL.map(|family| prepare(family, rules));
    let samples = in_turn(
        ROUNDS,
        &mut [&mut || of_ipv4.nanoseconds(), &mut || of_ipv6.nanoseconds()],
    );
    line(work, &samples)
}

fn connection() -> Line {
    let [mut of_ipv4, mut of_ipv6] = Family::ALL.map(|family| Windows::new(family, STATE));
    let samples = in_turn(
        ROUNDS,
        &mut [&mut || of_ipv4.nanoseconds(), &mut || of_ipv6.nanoseconds()],
    );
    line("known TCP flow with windows, both directions", &samples)
}

fn line(work: &str, samples: &[Samples]) -> Line {
    Line::ratio(
        &format!("{work}, IPv6"),
        time(&samples[1]),
        format!("IPv4: {}", time(&samples[0])),
        samples[1].least() / samples[0].least(),
        Some(Bound::AtMost(MOST)),
    )
}

fn new(work: &str, rules: &str) -> Line {
    let [mut of_ipv4, mut of_ipv6] = Family::ALL.map(|family| New::udp(family, rules));
    let samples = in_turn(
        ROUNDS,
        &mut [&mut || of_ipv4.millions(BATCH), &mut || of_ipv6.millions(BATCH)],
    );
    Line::ratio(
        &format!("{work}, IPv6"),
        rate(&samples[1], "M/s"),
        format!("IPv4: {}", rate(&samples[0], "M/s")),
        samples[0].most() / samples[1].most(),
        Some(Bound::AtMost(MOST)),
    )
}
