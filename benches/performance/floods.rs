//! What packets that mean ill cost beside plain ones, in both families.

use std::hint::black_box;

use nflab::base::Family;

use crate::bench_router::floods::{FLOODS, Flood};
use crate::flows::ROUNDS;
use crate::report::{Bound, Line, nanoseconds, time};
use crate::sampling::{in_turn, of_processor};

/// So many times what a plain packet of its family takes may one of a flood take.
const MOST: f64 = 10.0;
const PACKETS: usize = 1000;

/// Each kind, one by one.
pub(crate) fn both() -> Vec<Line> {
    let [plain, floods @ ..] = &FLOODS;
    let of_family = |family: Family| {
        let mut kinds: Vec<_> = FLOODS.iter().map(|flood| move || carry(flood, family)).collect();
        let mut carried: Vec<&mut dyn FnMut() -> f64> = Vec::new();
        carried.extend(kinds.iter_mut().map(|it| it as &mut dyn FnMut() -> f64));
        let samples = in_turn(ROUNDS, &mut carried);
        let beside = samples[0].least();
        let line = |flood: &Flood, samples| {
            Line::ratio(
                &format!("a flood of {}, {family}", flood.name.replace('-', " ")),
                time(samples),
                format!("{}: {}", plain.name, nanoseconds(beside)),
                samples.least() / beside,
                Some(Bound::AtMost(MOST)),
            )
        };
        floods
            .iter()
            .zip(&samples[1..])
            .map(|(flood, samples)| line(flood, samples))
            .collect::<Vec<_>>()
    };
    Family::ALL.into_iter().flat_map(of_family).collect()
}

/// Nanoseconds a packet.
fn carry(flood: &Flood, family: Family) -> f64 {
    let (mut setup, packets) = flood.begin(family, PACKETS);
    let start = of_processor();
    for (interface, bytes) in &packets {
        black_box(setup.receive(*interface, black_box(bytes)).0.state);
    }
    (of_processor() - start).as_nanos() as f64 / PACKETS as f64
}
