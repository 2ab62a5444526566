//! Packets that wait, and those who decide of them.

use super::{Found, Held, QueueSettings, QueueTaken, QueueVerdict, QueuedAt, Queues, VerdictKind, choose};
use crate::conntrack::Tracking;
use crate::engine::example::{Example, Way, fate, table};
use crate::engine::pass::{Onward, Transit};
use crate::net::example::{LAN, net, udp};
use crate::net::{Delivery, OutputKey};
use crate::packet::{ChecksumState, Offload, Packet};
use crate::rule::{Hook, QueueTo, Table};

fn queueing() -> Example {
    let forward = table(Table::Filter, &[("FORWARD", &["queue", "yes"])]);
    let mangle = table(Table::Mangle, &[("POSTROUTING", &["yes"])]);
    Example::with(net(), [forward, mangle])
}

fn comes(example: &mut Example) -> String {
    let bytes = udp("10.0.0.2", "198.18.0.9", 8).bytes();
    fate(&example.receive(LAN, &bytes).1)
}

fn decide(example: &mut Example, id: u32, verdict: impl Into<QueueVerdict>) -> Option<(Way, String)> {
    let mut way = Way::default();
    let (router, worker) = (&example.router, &mut example.worker);
    let report = router.reinject(worker, example.now, (0, id), verdict.into(), &mut way)?;
    Some((way, fate(&report)))
}

#[test]
fn it_goes_on_behind_its_table_or_comes_to_it_again() {
    let mut example = queueing();
    example.router.listen_queue(0, QueueSettings::default()).unwrap();
    for _ in 0..3 {
        assert_eq!(comes(&mut example), "held at queue 0 by rule 1 of filter FORWARD");
        assert!(example.worker.output().is_empty());
    }
    let (way, became) = decide(&mut example, 2, VerdictKind::Accept).unwrap();
    assert_eq!((became.as_str(), example.worker.output().len()), ("Forwarded", 1));
    // No rule of the table that queued it is asked any more.
    assert_eq!(way.rules, ["POSTROUTING 1", "POSTROUTING Accept"]);
    let (way, became) = decide(&mut example, 1, VerdictKind::Repeat).unwrap();
    assert_eq!(became, "held at queue 0 by rule 1 of filter FORWARD");
    assert_eq!(way.rules, ["FORWARD 1"]);
    let (_, became) = decide(&mut example, 3, VerdictKind::Drop).unwrap();
    assert_eq!(became, "dropped by who listens at queue 0");
    assert!(decide(&mut example, 3, VerdictKind::Accept).is_none());
    // What came again waits behind the others, under a new id.
    let waiting: Vec<u32> = example.router.held_packets(0, 0).iter().map(|it| it.id).collect();
    assert_eq!(waiting, [4]);
}

/// Seen of the kernel's queues: who listens gets segments, unless they said that they take more.
#[test]
fn what_stands_for_many_waits_as_many() {
    let many = |example: &mut Example| {
        let mut bytes = udp("10.0.0.2", "198.18.0.9", 300).bytes();
        let offload = Offload {
            checksum: ChecksumState::Partial,
            segment_size: 100,
            ecn: false,
        };
        let (router, worker, mut way) = (&example.router, &mut example.worker, Way::default());
        let report = router.receive_with(worker, example.now, LAN, (&mut bytes, offload), &mut way);
        let asked = way.rules.iter().filter(|rule| rule.as_str() == "FORWARD 1");
        assert_eq!(asked.count(), 1, "it is one for rules");
        (fate(&report), worker.output().len())
    };
    for (maximum, fail_open, waiting, leave) in [(9, false, 3, 0), (2, false, 2, 0), (2, true, 2, 1)] {
        let mut example = queueing();
        let settings = QueueSettings { maximum, fail_open };
        example.router.listen_queue(0, settings).unwrap();
        let became = many(&mut example);
        assert_eq!(
            became,
            ("held at queue 0 by rule 1 of filter FORWARD".to_owned(), leave)
        );
        let lengths = |example: &Example| -> Vec<usize> {
            let held = example.router.held_packets(0, 0);
            held.iter().map(|it| it.bytes.len()).collect()
        };
        assert_eq!(lengths(&example), vec![128; waiting], "{maximum}");
        for id in 1..=waiting as u32 {
            let (way, became) = decide(&mut example, id, VerdictKind::Accept).unwrap();
            assert_eq!((became.as_str(), example.worker.output().len()), ("Forwarded", 1));
            assert_eq!(way.rules, ["POSTROUTING 1", "POSTROUTING Accept"]);
        }
    }
}

#[test]
fn it_may_become_another() {
    let mut example = queueing();
    example.router.listen_queue(0, QueueSettings::default()).unwrap();
    let changed = udp("10.0.0.2", "198.18.0.9", 80).bytes();
    for (bytes, expected) in [
        (changed.clone(), "Forwarded"),
        (
            changed[..40].to_vec(),
            "dropped: what who listens at queue 0 made of it is no packet of its family",
        ),
        (
            Vec::new(),
            "dropped: what who listens at queue 0 made of it is no packet of its family",
        ),
    ] {
        comes(&mut example);
        let id = example.router.open_queues()[0].last_id;
        let verdict = QueueVerdict {
            kind: VerdictKind::Accept,
            mark: Some(7),
            bytes: Some(bytes),
        };
        assert_eq!(decide(&mut example, id, verdict).unwrap().1, expected);
    }
    let left: Vec<usize> = example.worker.output().iter().map(|it| it.bytes.len()).collect();
    assert!(left.is_empty());
}

#[test]
fn a_queue_holds_so_many_and_none_when_it_is_closed() {
    let mut example = queueing();
    assert_eq!(
        comes(&mut example),
        "queued by rule 1 of filter FORWARD, and nobody listens"
    );
    let settings = QueueSettings {
        maximum: 1,
        fail_open: false,
    };
    example.router.listen_queue(0, settings).unwrap();
    assert_eq!(example.router.listen_queue(0, settings), Err(QueueTaken(0)));
    assert_eq!(comes(&mut example), "held at queue 0 by rule 1 of filter FORWARD");
    assert_eq!(
        comes(&mut example),
        "dropped at rule 1 of filter FORWARD: queue 0 is full"
    );
    let shown = example.router.open_queues()[0];
    assert_eq!((shown.waiting, shown.dropped, shown.last_id), (1, 1, 1));
    assert_eq!(example.router.close_queue(0), Some(1));
    assert_eq!(example.router.close_queue(0), None);
    assert!(decide(&mut example, 1, VerdictKind::Accept).is_none());
    let settings = QueueSettings {
        fail_open: true,
        ..settings
    };
    example.router.listen_queue(0, settings).unwrap();
    comes(&mut example);
    assert_eq!(comes(&mut example), "Forwarded");
    assert_eq!(example.router.open_queues()[0].dropped, 0);
}

#[test]
fn it_is_gone_with_its_interface() {
    let mut example = queueing();
    example.router.listen_queue(0, QueueSettings::default()).unwrap();
    comes(&mut example);
    let down = example.router.configure(|config| config.net.set_link_up(LAN, false));
    down.unwrap();
    assert_eq!(example.router.open_queues()[0].waiting, 0);
    assert!(decide(&mut example, 1, VerdictKind::Accept).is_none());
}

#[test]
fn both_directions_wait_at_one_of_several_queues() {
    let to = QueueTo {
        first: 5,
        last: 8,
        ..QueueTo::FIRST
    };
    let packet = |from, to| Packet::parse(udp(from, to, 8).bytes()).unwrap();
    let mut met = [false; 4];
    for host in [
        "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.9", "10.0.1.2",
        "10.0.1.3", "10.0.1.4", "10.0.1.5", "10.0.1.6", "10.0.1.7", "10.0.1.8", "10.0.1.9", "10.0.2.2", "10.0.2.3",
    ] {
        let there = choose(to, &packet(host, "198.18.0.9"), 0, 1);
        assert_eq!(there, choose(to, &packet("198.18.0.9", host), 3, 1));
        met[usize::from(there - 5)] = true;
    }
    assert_eq!(met, [true; 4]);
    let by_processor = QueueTo {
        by_processor: true,
        ..to
    };
    assert_eq!(choose(by_processor, &packet("10.0.0.2", "198.18.0.9"), 6, 1), 7);
}

/// A packet has its place, and is not there yet, while the queue is closed and somebody else opens it.
#[test]
fn a_queue_that_was_opened_again_gets_nothing_from_before() {
    let queues = Queues::default();
    let settings = QueueSettings {
        maximum: 1,
        fail_open: false,
    };
    queues.open(0, settings, None).unwrap();
    let Found::Place(kept) = queues.find(0) else {
        panic!("there is room");
    };
    assert_eq!((queues.close(0), queues.open(0, settings, None)), (Some(0), Ok(())));
    let packet = udp("10.0.0.2", "198.18.0.9", 8).packet();
    queues.put(Held {
        place: QueuedAt {
            queue: 0,
            kept,
            hook: Hook::Input,
            stage: 0,
            key: OutputKey::of(&packet),
        },
        transit: Transit {
            packet,
            tracking: Tracking::default(),
            delivery: Delivery::Local,
            way: None,
        },
        onward: Onward::Deliver,
        number: 1,
        remembered: None,
    });
    assert!(queues.held(0, 0).is_empty());
    assert_eq!(queues.shown()[0].waiting, 0);
    // Its one place is free, and who takes it has the same id.
    assert!(matches!(queues.find(0), Found::Place(now) if now.id == kept.id && now != kept));
}
