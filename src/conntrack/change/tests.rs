//! What commands make and change. Seen with conntrack-tools 1.4.7 on Linux 6.18.

use super::*;
use crate::conntrack::testing::{A, B, Bench, address, tcp, udp};
use crate::conntrack::{CtState, Direction, Endpoint, Heard};
use crate::wire::tcp::flags::{ACK, SYN};

fn tuple(protocol: u8, port: u16) -> Tuple {
    let end = |of, id| Endpoint {
        address: address(of),
        id,
    };
    Tuple {
        source: end(A, port),
        destination: end(B, 53),
        protocol,
    }
}

fn make(bench: &Bench, protocol: u8, port: u16, change: &Change) -> Result<Arc<Flow>, ChangeRefused> {
    let original = tuple(protocol, port);
    let tuples = (original, original.inverse().unwrap());
    let change = Change {
        timeout: change.timeout.or(Some(50)),
        ..change.clone()
    };
    let flow = bench
        .table
        .make(bench.now, &bench.settings, tuples, Zone::default(), &change)?;
    bench.table.enter_made(bench.now, &flow, &change)?;
    Ok(flow)
}

fn status(status: Status) -> Change {
    Change {
        status: Some(status),
        ..Change::default()
    }
}

#[test]
fn what_is_made_is_found_and_lives_as_long_as_was_said() {
    let mut bench = Bench::new();
    let flow = make(&bench, 17, 1, &Change::default()).unwrap();
    assert_eq!(
        make(&bench, 17, 1, &Change::default()).unwrap_err(),
        ChangeRefused::Exists
    );
    let (found, direction) = bench.table.lookup(bench.now, &tuple(17, 1).inverse().unwrap()).unwrap();
    assert!(Arc::ptr_eq(&flow, &found) && direction == Direction::Reply);
    assert_eq!(flow.lock().deadline.since(bench.now).as_secs(), 50);
    // A packet of it makes it live as any other does.
    let (state, tracking) = bench.pass(udp((A, 1), (B, 53))).unwrap();
    assert!(state == CtState::New && Arc::ptr_eq(&tracking.flow.unwrap(), &flow));
    assert_eq!(flow.lock().deadline.since(bench.now).as_secs(), 30);
    bench.now = bench.now + Duration::from_secs(31);
    assert!(make(&bench, 17, 1, &Change::default()).is_ok());
    let named = bench.table.statistics.named();
    assert_eq!(named[2], ("insert", 2));
}

#[test]
fn the_bits_of_a_status_that_may_come_and_go() {
    let bench = Bench::new();
    let all = Status::SEEN_REPLY.or(Status::ASSURED).or(Status::FIXED_TIMEOUT);
    let flow = make(&bench, 17, 1, &status(all)).unwrap();
    assert_eq!(flow.lock().status, all.or(Status::CONFIRMED));
    for (wanted, expected) in [
        (Status::EXPECTED, Err(ChangeRefused::Busy)),
        (Status::SEEN_REPLY, Err(ChangeRefused::Busy)),
        (Status::ASSURED, Err(ChangeRefused::Busy)),
        (Status::SEEN_REPLY.or(Status::ASSURED), Ok(())),
    ] {
        assert_eq!(
            bench.table.change(bench.now, &flow, &status(wanted)),
            expected,
            "{wanted:?}"
        );
    }
    let timeout = Change {
        timeout: Some(7),
        ..Change::default()
    };
    let refused = bench.table.change(bench.now, &flow, &timeout);
    assert_eq!(refused, Err(ChangeRefused::NotPermitted));
    // The time is looked at first.
    let both = Change {
        status: Some(all),
        timeout: Some(7),
        mark: Some(MarkMask { value: 5, mask: 5 }),
        ..Change::default()
    };
    assert_eq!(
        bench.table.change(bench.now, &flow, &both),
        Err(ChangeRefused::NotPermitted)
    );
    assert_eq!(flow.lock().mark, 0);
    // Nor does a packet let it live longer.
    bench.pass(udp((A, 1), (B, 53))).unwrap();
    assert_eq!(flow.lock().deadline.since(bench.now).as_secs(), 50);
    assert_eq!(
        make(&bench, 17, 2, &status(Status::EXPECTED)).unwrap_err(),
        ChangeRefused::Busy
    );
    assert_eq!(bench.table.count(), 1);
}

/// Seen: the kernel takes an association's state with both tags, or not at all.
#[test]
fn an_association_is_made_with_its_tags() {
    let bench = Bench::new();
    let of = |state, tags| Change {
        timeout: Some(50),
        state,
        tags,
        ..Change::default()
    };
    for (state, tags) in [
        ("ESTABLISHED", [None, Some(7)]),
        ("ESTABLISHED", [Some(5), None]),
        ("GONE", [Some(5); 2]),
    ] {
        let refused = make(&bench, 132, 1, &of(Some(state), tags));
        assert_eq!(refused.unwrap_err(), ChangeRefused::Invalid, "{state}");
    }
    let flow = make(&bench, 132, 1, &of(Some("ESTABLISHED"), [Some(5), Some(7)])).unwrap();
    let is_now = |name, tags| {
        let state = flow.lock();
        assert_eq!(
            (state.protocol.state_name(), state.protocol.tags()),
            (Some(name), Some(tags))
        );
    };
    is_now("ESTABLISHED", [5, 7]);
    bench.table.change(bench.now, &flow, &of(None, [Some(1); 2])).unwrap();
    is_now("ESTABLISHED", [5, 7]);
    bench
        .table
        .change(bench.now, &flow, &of(Some("NONE"), [Some(1), Some(0)]))
        .unwrap();
    is_now("NONE", [1, 0]);
}

#[test]
fn marks_states_and_times_are_changed() {
    let bench = Bench::new();
    let change = Change {
        mark: Some(MarkMask {
            value: 0xff,
            mask: 0xf0,
        }),
        state: Some("ESTABLISHED"),
        timeout: Some(u32::MAX),
        status: Some(Status::SEEN_REPLY),
        ..Change::default()
    };
    let flow = make(&bench, 6, 1, &change).unwrap();
    {
        let state = flow.lock();
        assert_eq!((state.mark, state.protocol.state_name()), (0xff, Some("ESTABLISHED")));
        assert_eq!(state.deadline.since(bench.now).as_secs(), 8_589_934);
    }
    // What comes is taken for a connection that was seen before.
    let states = bench.states([
        tcp((A, 1), (B, 53), (500, 900), ACK),
        tcp((B, 53), (A, 1), (900, 500), ACK),
    ]);
    assert_eq!(states, ["ESTABLISHED", "ESTABLISHED"]);
    let unknown = Change {
        state: Some("FOO"),
        ..Change::default()
    };
    assert_eq!(
        bench.table.change(bench.now, &flow, &unknown),
        Err(ChangeRefused::Invalid)
    );
    let of_udp = make(&bench, 17, 1, &Change::default()).unwrap();
    let state = Change {
        state: Some("CLOSE"),
        ..Change::default()
    };
    assert_eq!(
        bench.table.change(bench.now, &of_udp, &state),
        Err(ChangeRefused::Invalid)
    );
    for (before, value, mask, after) in [(5, 1, u32::MAX, 1), (5, 0xff, 0xf0, 0xfa), (5, 3, 0, 6), (5, 0, 4, 1)] {
        assert_eq!(changed_mark(before, MarkMask { value, mask }), after);
    }
    bench.table.flush();
    let gone = bench.table.change(bench.now, &flow, &Change::default());
    assert_eq!(gone, Err(ChangeRefused::NoSuch));
    assert_eq!(bench.states([tcp((A, 1), (B, 53), (1, 0), SYN)]), ["NEW"]);
}

#[test]
fn who_listens_hears_that_a_command_did_it() {
    let bench = Bench::new();
    let listener = bench.table.listen(20, Box::new(|| ()));
    let flow = make(&bench, 17, 1, &Change::default()).unwrap();
    bench.pass(udp((B, 53), (A, 1))).unwrap();
    bench.table.change(bench.now, &flow, &Change::default()).unwrap();
    bench.table.delete_by_command(&flow);
    let heard: Vec<(EventKind, bool)> = std::iter::from_fn(|| listener.next_heard())
        .map(|it| match it {
            Heard::Event(event) => (event.kind, event.by_command),
            Heard::Lost => panic!("nothing is lost here"),
        })
        .collect();
    assert_eq!(
        heard,
        [
            (EventKind::New, true),
            (EventKind::Update, false),
            (EventKind::Update, true),
            (EventKind::Destroy, true)
        ]
    );
}
