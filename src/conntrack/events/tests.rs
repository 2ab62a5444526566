//! Who hears what, and when. Seen with `conntrack -E` on Linux 6.18.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::conntrack::testing::{A, B, Bench, udp};
use crate::conntrack::{Change, Template, Tracking};

fn there(port: u16) -> crate::packet::Packet {
    udp((A, port), (B, 53))
}

fn back(port: u16) -> crate::packet::Packet {
    udp((B, 53), (A, port))
}

fn listen(bench: &Bench, bound: usize) -> (Listener, Arc<AtomicUsize>) {
    let woken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&woken);
    let wake = Box::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    (bench.table.listen(bound, wake), woken)
}

/// All that waits: what happened to the flow from which port.
fn heard(listener: &Listener) -> Vec<String> {
    let next = || listener.next_heard();
    std::iter::from_fn(next)
        .map(|it| match it {
            Heard::Lost => "lost".to_owned(),
            Heard::Event(event) => {
                let kind = match event.kind {
                    EventKind::New => "new",
                    EventKind::Update => "update",
                    EventKind::Destroy => "destroy",
                };
                format!("{kind} {}", event.flow.original().source.id)
            }
        })
        .collect()
}

#[test]
fn a_flow_is_told_of_where_somebody_listened_when_it_began() {
    for (knob, early, expected) in [
        (0, true, &[][..]),
        (0, false, &[]),
        (1, true, &["new 1", "update 1", "destroy 1"]),
        (1, false, &["update 1", "destroy 1"]),
        (2, true, &["new 1", "update 1", "destroy 1"]),
        (2, false, &[]),
    ] {
        let mut bench = Bench::new();
        bench.settings.events = knob;
        let before = early.then(|| listen(&bench, 10).0);
        bench.pass_all([there(1)]);
        let listener = before.unwrap_or_else(|| listen(&bench, 10).0);
        bench.pass_all([back(1)]);
        bench.table.flush();
        assert_eq!(heard(&listener), expected, "{knob} {early}");
    }
}

#[test]
fn a_change_is_told_once() {
    let bench = Bench::new();
    let (listener, woken) = listen(&bench, 10);
    let (_, tracking) = bench.pass(there(1)).unwrap();
    assert_eq!(heard(&listener), ["new 1"]);
    bench.pass_all([there(1)]);
    assert_eq!(heard(&listener), [""; 0]);
    bench.pass_all([back(1), back(1)]);
    assert_eq!(heard(&listener), ["update 1"]);
    // Another mark is told with the next packet that gets through.
    let flow = tracking.flow.unwrap();
    flow.lock().mark = 7;
    assert_eq!(heard(&listener), [""; 0]);
    bench.table.got_through(bench.now, &flow);
    assert_eq!(heard(&listener), ["update 1"]);
    assert_eq!(woken.load(Ordering::Relaxed), 3);
    // A flow that never got into the table is told of by nobody.
    let (_, tracking) = bench.track(&mut there(2));
    assert!(bench.table.delete(tracking.flow.as_ref().unwrap()));
    assert_eq!(heard(&listener), [""; 0]);
}

#[test]
fn who_is_too_slow_hears_that_first_and_nothing_more_until_all_is_taken() {
    let bench = Bench::new();
    let (listener, woken) = listen(&bench, 2);
    bench.pass_all([there(1), there(2)]);
    assert_eq!(heard(&listener), ["new 1", "new 2"]);
    bench.pass_all([there(3), there(4), there(5)]);
    assert!(matches!(listener.next_heard(), Some(Heard::Lost)));
    let Some(Heard::Event(event)) = listener.next_heard() else {
        panic!("the first of those that found room");
    };
    assert_eq!(event.flow.original().source.id, 3);
    // There is room for one, but not all has been taken.
    bench.pass_all([there(6)]);
    assert_eq!(heard(&listener), ["lost", "new 4"]);
    bench.pass_all([there(7)]);
    assert_eq!(heard(&listener), ["new 7"]);
    assert_eq!(woken.load(Ordering::Relaxed), 7);
}

#[test]
fn who_stops_listening_takes_nobody_else_along() {
    let bench = Bench::new();
    let ((first, _), (second, _)) = (listen(&bench, 10), listen(&bench, 10));
    drop(first);
    bench.pass_all([there(1)]);
    assert_eq!(heard(&second), ["new 1"]);
    drop(second);
    assert!(!bench.table.events.heard());
    assert!(bench.table.events.queues.lock().is_empty());
    // Begun while nobody listened.
    bench.pass_all([there(2)]);
    let (third, _) = listen(&bench, 10);
    bench.pass_all([back(2), back(1)]);
    assert_eq!(heard(&third), ["update 1"]);
}

/// Tracks and confirms, behind a rule with these masks.
fn pass_asked(bench: &Bench, flow: EventMask, expectations: EventMask) -> Arc<Flow> {
    let said = EventMasks { flow, expectations };
    let mut tracking = Tracking {
        template: Some(Arc::new(Template {
            events: Some(said),
            ..Template::default()
        })),
        ..Tracking::default()
    };
    let mut packet = there(1);
    bench.table.track(&bench.context(), &mut packet, &mut tracking);
    bench.table.confirm(&bench.context(), &packet, &mut tracking).unwrap();
    tracking.flow.unwrap()
}

/// Seen: of what happens at once all is told where some of it was asked for, whatever the knob says.
#[test]
fn a_rule_says_what_is_told() {
    for (mask, expected) in [
        (EventMask::NEW, &["new 1"][..]),
        (EventMask::REPLY, &["update 1", "update 1"]),
        (EventMask::MARK, &["update 1", "update 1"]),
        (EventMask::DESTROY, &["destroy 1"]),
        (EventMask::NEW.or(EventMask::DESTROY), &["new 1", "destroy 1"]),
        (EventMask::RELATED, &[]),
        (EventMask::ASSURED, &["update 1"]),
        (EventMask::NONE, &[]),
    ] {
        for knob in [0, 1, 2] {
            let mut bench = Bench::new();
            bench.settings.events = knob;
            let (listener, _) = listen(&bench, 10);
            let flow = pass_asked(&bench, mask, EventMask::EXPECTATION_NEW);
            bench.pass_all([back(1)]);
            flow.lock().mark = 7;
            bench.pass_all([there(1)]);
            bench.table.change(bench.now, &flow, &Change::default()).unwrap();
            bench.table.flush();
            assert_eq!(heard(&listener), expected, "{mask:?} {knob}");
        }
    }
}

#[test]
fn a_word_that_nobody_would_hear_is_lost() {
    let said = Some(EventMasks {
        flow: EventMask::NEW,
        expectations: EventMask::NONE,
    });
    for (knob, heard, said, expected) in [
        (0, true, None, None),
        (0, false, said, said),
        (1, false, said, said),
        (1, false, None, Some(EventMasks::ALL)),
        (2, true, said, said),
        (2, true, None, Some(EventMasks::ALL)),
        (2, false, said, None),
        (2, false, None, None),
    ] {
        let settings = Settings {
            events: knob,
            ..Settings::default()
        };
        assert_eq!(EventMasks::begin(&settings, heard, said), expected, "{knob} {heard}");
    }
}

#[test]
fn labels_are_told_where_they_have_changed() {
    let bench = Bench::new();
    bench.table.keep_labels(true);
    let (listener, _) = listen(&bench, 10);
    let (_, tracking) = bench.pass(there(1)).unwrap();
    let flow = tracking.flow.unwrap();
    assert!(flow.lock().set_labels(5));
    bench.pass_all([there(1), back(1), there(1)]);
    bench.table.change(bench.now, &flow, &Change::default()).unwrap();
    bench.table.flush();
    let told: Vec<(EventKind, Option<Labels>)> = std::iter::from_fn(|| listener.next_heard())
        .map(|it| match it {
            Heard::Event(event) => (event.kind, event.flow.lock().labels()),
            Heard::Lost => panic!("nothing is lost here"),
        })
        .collect();
    assert_eq!(
        told,
        [
            (EventKind::New, None),
            (EventKind::Update, Some(5)),
            (EventKind::Update, None),
            (EventKind::Update, Some(5)),
            (EventKind::Destroy, None),
        ]
    );
    // Without a rule that asks for them there is no room.
    bench.table.keep_labels(false);
    let (_, tracking) = bench.pass(there(2)).unwrap();
    assert!(!tracking.flow.unwrap().lock().set_labels(1));
}

/// What is told of expectations is the master's to say, and nothing where nobody would have heard of the master.
#[test]
fn expectations_are_told_as_their_master_says() {
    for (listens_first, mask, expected) in [
        (true, EventMask::ALL, &[EventKind::New, EventKind::Destroy][..]),
        (true, EventMask::EXPECTATION_NEW, &[EventKind::New]),
        (true, EventMask::EXPECTATION_DESTROY, &[EventKind::Destroy]),
        (true, EventMask::NONE, &[]),
        (false, EventMask::NONE, &[]),
    ] {
        let bench = Bench::new();
        let listen = || bench.table.listen_to_expectations(10, Box::new(|| ()));
        let before = listens_first.then(listen);
        let master = match (listens_first, mask) {
            (true, EventMask::ALL) | (false, _) => bench.pass(there(1)).unwrap().1.flow.unwrap(),
            (true, mask) => pass_asked(&bench, EventMask::NEW, mask),
        };
        let listener = before.unwrap_or_else(listen);
        bench
            .table
            .expect(bench.now, crate::conntrack::tests::wish(&master, &bench, 1025), 9)
            .unwrap();
        bench.table.flush();
        let told: Vec<EventKind> = std::iter::from_fn(|| listener.next_heard())
            .map(|it| match it {
                Heard::Event(event) => event.kind,
                Heard::Lost => panic!("nothing is lost here"),
            })
            .collect();
        assert_eq!(told, expected, "{listens_first} {mask:?}");
    }
}
