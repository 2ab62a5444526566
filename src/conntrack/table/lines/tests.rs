//! Lines against a plain list, and what is counted of those that passed.

use super::*;
use crate::base::Random;
use crate::conntrack::testing::{A, B, Bench, udp};

fn flows(count: u16) -> Vec<Arc<Flow>> {
    let bench = Bench::new();
    let opened = (0..count).map(|port| bench.track(&mut udp((A, port), (B, 53))).1);
    opened.map(|tracking| tracking.flow.unwrap()).collect()
}

#[test]
fn a_line_is_a_line_of_the_cache() {
    assert_eq!(size_of::<Line>(), 64);
}

/// Few hashes, so that many are equal and lines overflow; what is found is what a list finds.
#[test]
fn lines_find_what_a_list_finds() {
    let flows = flows(300);
    let mut random = Random::new(7);
    let (mut lines, mut list) = (Lines::default(), Vec::<(u32, bool, usize)>::new());
    for _ in 0..20_000 {
        let (at, hash) = (random.below(300) as usize, random.below(40) << 26);
        let is_it = |it: &Arc<Flow>, _: bool| Arc::ptr_eq(it, &flows[at]);
        let place = list.iter().position(|entry| (entry.0, entry.2) == (hash, at));
        match (place, random.below(2)) {
            (Some(place), 0) => {
                list.swap_remove(place);
                assert!(lines.remove(hash, is_it).is_some_and(|it| Arc::ptr_eq(&it, &flows[at])));
            }
            (None, 0) if list.len() < 250 => {
                let bit = random.below(2) == 0;
                list.push((hash, bit, at));
                lines.insert(hash, bit, Arc::clone(&flows[at]));
            }
            (place, _) => {
                let found = lines.find(hash, is_it).map(|(_, bit)| bit);
                assert_eq!(found, place.map(|place| list[place].1));
            }
        }
        assert_eq!(lines.len(), list.len());
    }
    let all = (0..lines.count()).flat_map(|line| lines.line(line)).count();
    assert_eq!(all, list.len());
    for (hash, _, at) in list {
        assert!(lines.remove(hash, |it, _| Arc::ptr_eq(it, &flows[at])).is_some());
    }
    assert!(lines.len == 0 && lines.lines.iter().all(|line| line.passed == 0));
}

/// As few as have no line yet: what is found, gone through and taken out is what a list has.
#[test]
fn the_first_few_are_found_as_well() {
    let flows = flows(4);
    let held = |lines: &Lines| -> Vec<u16> {
        let all = (0..lines.count()).flat_map(|line| lines.line(line));
        let mut ports: Vec<u16> = all.map(|(flow, _)| flow.original().source.id).collect();
        ports.sort_unstable();
        ports
    };
    for count in 0..=4 {
        let mut lines = Lines::default();
        for (at, flow) in flows[..count].iter().enumerate() {
            lines.insert(7, at % 2 == 1, Arc::clone(flow));
        }
        assert_eq!(lines.lines.is_empty(), count <= FEW, "{count}");
        assert_eq!(
            (lines.len(), lines.few.capacity()),
            (count, if count <= FEW { count } else { 0 })
        );
        for (at, flow) in flows[..count].iter().enumerate() {
            let is_it = |it: &Arc<Flow>, _| Arc::ptr_eq(it, flow);
            assert_eq!(lines.find(7, is_it).map(|(_, bit)| bit), Some(at % 2 == 1));
            assert!(lines.find(8, is_it).is_none());
        }
        assert_eq!(held(&lines), (0..count as u16).collect::<Vec<_>>());
        for (gone, flow) in flows[..count].iter().enumerate() {
            assert!(lines.remove(8, |_, _| true).is_none());
            assert!(lines.remove(7, |it, _| Arc::ptr_eq(it, flow)).is_some());
            assert_eq!(held(&lines), (gone as u16 + 1..count as u16).collect::<Vec<_>>());
        }
        assert_eq!(lines.len(), 0);
    }
}

/// So many that nobody counts them any more.
#[test]
fn what_passed_without_being_counted_is_looked_for_all_the_same() {
    let flow = &flows(1)[0];
    let mut lines = Lines::default();
    (0..6).for_each(|_| lines.insert(1, false, Arc::clone(flow)));
    assert_eq!((lines.home(1), lines.lines[0].passed), (0, 1));
    lines.lines[0].passed = u16::MAX - 1;
    (0..2).for_each(|_| lines.insert(1, false, Arc::clone(flow)));
    assert_eq!(lines.lines[0].passed, u16::MAX);
    (0..8).for_each(|_| assert!(lines.remove(1, |_, _| true).is_some()));
    assert!(lines.remove(1, |_, _| true).is_none() && lines.len == 0);
    assert_eq!(lines.lines[0].passed, u16::MAX);
}
