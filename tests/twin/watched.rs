//! Somebody who watches changes nothing: the kept cases with a story kept of each packet and without give the same bytes, counters, flows and
//! texts.

use std::fs;
use std::path::Path;

use super::instrument::ours::{Clock, Ours};
use super::instrument::scenario::{Event, Scenario};
use super::instrument::side::{Depth, Side};

#[test]
fn the_same_with_and_without_a_trace() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/twin/cases");
    let (mut cases, mut packets) = (0, 0);
    for entry in fs::read_dir(&place).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "nflab") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let scenario = Scenario::from_text(&name, &fs::read_to_string(&path).unwrap()).unwrap();
        let mut silent = Ours::new(Clock::Virtual, scenario.speaks_ipv6()).unwrap();
        let mut watched = Ours::new(Clock::Virtual, scenario.speaks_ipv6()).unwrap();
        watched.watched = true;
        for (at, event) in scenario.events.iter().enumerate() {
            let expected = silent.happen(event).unwrap();
            let found = watched.happen(event).unwrap();
            assert_eq!(found, expected, "{name}, event {at}: {event:?}");
            packets += usize::from(matches!(event, Event::Packet { .. }));
        }
        // The verdicts and states of all packets, and then whatever the tools print.
        assert_eq!(watched.tally.0, silent.tally.0, "{name}");
        assert_eq!(
            watched.state(Depth::Texts).unwrap(),
            silent.state(Depth::Texts).unwrap(),
            "{name}"
        );
        cases += 1;
    }
    assert!(cases > 50 && packets > 500, "{cases} cases, {packets} packets");
}
