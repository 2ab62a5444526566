//! What two workers and a command do to one table at the same time, in the orders that are tried.

use std::sync::Arc;

use shuttle::thread::spawn;

use super::*;
use crate::base::sync::explore;
use crate::conntrack::testing::{Bench, announced, tcp, udp};
use crate::conntrack::{DropReason, Expectation, Reason, Tracked, Tracking};
use crate::packet::Packet;
use crate::wire::tcp::flags;

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 2], 4000);
const OTHER: ([u8; 4], u16) = ([10, 0, 0, 3], 4000);
const SERVER: ([u8; 4], u16) = ([198, 51, 100, 7], 53);

/// Every flow stands there under both tuples (under its reply alone, where it stands beside another), is confirmed and lives, and is counted; and what
/// is known of sources is of flows that stand there.
fn assert_whole(table: &Table) {
    let mut flows = Vec::new();
    let (mut entries, mut beside) = (0, 0);
    for shard in &table.shards {
        let shard = shard.lock();
        for (flow, is_reply) in (0..shard.count()).flat_map(|line| shard.line(line)) {
            entries += 1;
            let (state, direction) = (flow.lock(), direction_of(is_reply));
            assert!(state.status.has(Status::CONFIRMED) && !state.status.has(Status::DYING));
            let same = |it: &Arc<Flow>, _| Arc::ptr_eq(it, flow);
            assert!(shard.find(table.hash(&flow.tuple(direction)) as u32, same).is_some());
            assert!(flow.settled().is_some());
            match (direction, state.status.has(Status::CLASHES)) {
                (Direction::Reply, true) => beside += 1,
                (direction, clashes) => {
                    assert!(!clashes);
                    if direction == Direction::Original {
                        flows.push(Arc::clone(flow));
                    }
                }
            }
        }
    }
    let count = table.count.load(Ordering::Relaxed);
    assert_eq!((entries, count), (2 * flows.len() + beside, flows.len() + beside));
    for flow in &flows {
        for tuple in &[flow.original(), flow.reply()] {
            assert!(
                table
                    .find(table.hash(tuple), tuple, Zone::default())
                    .is_some_and(|(found, _)| Arc::ptr_eq(&found, flow))
            );
        }
    }
    let kept: usize = table.sources.iter().map(|shard| shard.lock().len()).sum();
    let mapped = flows.iter().filter(|flow| flow.lock().status.has(Status::SRC_NAT_DONE));
    assert_eq!(kept, mapped.count());
    // Read first: whoever looks at them counts them anew.
    let counted = table.expectation_count.load(Ordering::Acquire);
    assert_eq!(counted, table.with_expectations(|all| all.len()));
}

/// A packet from tracking to confirmation; between the two `nat` may do to its flow what NAT does.
fn pass(
    bench: &Bench,
    mut packet: Packet,
    nat: impl FnOnce(&Flow, &mut FlowState),
) -> Result<(Tracked, Tracking), DropReason> {
    let (tracked, mut tracking) = bench.track(&mut packet);
    if let Some(flow) = &tracking.flow {
        let mut state = flow.lock();
        if !state.status.has(Status::CONFIRMED) {
            nat(flow, &mut state);
        }
    }
    bench.table.confirm(&bench.context(), &packet, &mut tracking)?;
    Ok((tracked, tracking))
}

fn no_nat(_: &Flow, _: &mut FlowState) {}

/// Both clients leave as the router.
fn masqueraded(flow: &Flow, state: &mut FlowState) {
    let mut reply = flow.reply();
    reply.destination.address = [192, 0, 2, 1].into();
    flow.set_reply(state, &reply);
    state.status.set(Status::SRC_NAT.or(Status::SRC_NAT_DONE));
}

/// Two workers with a packet each and somebody who deletes, one order after another as far as the bound goes, and then by chance.
fn try_out(orders: usize, test: impl Fn() + Send + Sync + Clone + 'static) {
    explore::one_by_one(orders, test.clone());
    explore::by_chance(orders, test);
}

#[test]
fn two_packets_of_a_new_flow_and_a_flush() {
    try_out(ORDERS, || {
        let bench = Arc::new(Bench::new());
        let workers = [(); 2].map(|()| {
            let bench = Arc::clone(&bench);
            spawn(move || pass(&bench, udp(CLIENT, SERVER), no_nat))
        });
        bench.table.flush();
        for worker in workers {
            // The other's flow is joined, or it is gone: a datagram is dropped for one reason only.
            if let Err(reason) = worker.join().unwrap() {
                assert_eq!(reason, DropReason::FlowDied);
            }
        }
        assert_whole(&bench.table);
        assert!(bench.table.count() <= 1);
    });
}

#[test]
fn two_segments_that_open_the_same_connection() {
    try_out(ORDERS, || {
        let bench = Arc::new(Bench::new());
        let workers = [(); 2].map(|()| {
            let bench = Arc::clone(&bench);
            spawn(move || pass(&bench, tcp(CLIENT, SERVER, (1, 0), flags::SYN), no_nat))
        });
        let passed = workers
            .into_iter()
            .filter(|_| true)
            .map(|worker| worker.join().unwrap());
        let passed = passed.filter(Result::is_ok).count();
        assert!(passed >= 1, "one of them opens it");
        assert_whole(&bench.table);
        assert_eq!(bench.table.count(), 1);
    });
}

/// Whoever holds a flow may delete it before it gets out: then it never does, or it is taken out again.
#[test]
fn a_flow_is_deleted_while_its_first_packet_is_under_way() {
    try_out(ORDERS, || {
        let bench = Arc::new(Bench::new());
        let mut packet = udp(CLIENT, SERVER);
        let (_, mut tracking) = bench.track(&mut packet);
        let flow = tracking.flow.clone().unwrap();
        let confirmed = {
            let bench = Arc::clone(&bench);
            spawn(move || bench.table.confirm(&bench.context(), &packet, &mut tracking))
        };
        assert!(bench.table.delete(&flow));
        assert!(matches!(
            confirmed.join().unwrap(),
            Ok(None) | Err(DropReason::FlowDied)
        ));
        assert_whole(&bench.table);
        assert_eq!(bench.table.count(), 0);
    });
}

/// NAT leads two packets of one flow to two hosts: the second stands beside the first, or has the place to itself.
#[test]
fn two_packets_of_a_flow_that_goes_to_two_hosts_and_a_flush() {
    try_out(ORDERS, || {
        let bench = Arc::new(Bench::new());
        let workers = [7, 8].map(|host| {
            let bench = Arc::clone(&bench);
            let led = move |flow: &Flow, state: &mut FlowState| {
                let mut reply = flow.reply();
                reply.source.address = [10, 0, 0, host].into();
                flow.set_reply(state, &reply);
            };
            spawn(move || pass(&bench, udp(CLIENT, SERVER), led))
        });
        bench.table.flush();
        for worker in workers {
            if let Err(reason) = worker.join().unwrap() {
                assert_eq!(reason, DropReason::FlowDied);
            }
        }
        assert_whole(&bench.table);
        assert!(bench.table.count() <= 2);
    });
}

/// NAT chose the same reply for both: one gets it, and nothing is left of the other.
#[test]
fn two_flows_that_want_the_same_reply_while_one_is_deleted() {
    try_out(ORDERS, || {
        let bench = Arc::new(Bench::new());
        let workers = [CLIENT, OTHER].map(|client| {
            let bench = Arc::clone(&bench);
            spawn(move || pass(&bench, udp(client, SERVER), masqueraded))
        });
        let deleted = {
            let bench = Arc::clone(&bench);
            spawn(move || {
                bench
                    .table
                    .flows(bench.now)
                    .iter()
                    .filter(|flow| bench.table.delete(flow))
                    .count()
            })
        };
        let passed = workers
            .map(|worker| worker.join().unwrap())
            .iter()
            .filter(|it| it.is_ok())
            .count();
        let deleted = deleted.join().unwrap();
        assert_whole(&bench.table);
        assert_eq!(bench.table.count() + deleted, passed);
        assert!(passed == 1 || passed == 2 && deleted == 1);
    });
}

/// The tuples of one are in the shards of the other's, the other way round: whoever took them as they come would wait for ever.
#[test]
fn two_flows_whose_shards_cross() {
    let ports = crossing(&Bench::new().table);
    try_out(ORDERS, move || {
        let bench = Arc::new(Bench::new());
        let workers = ports.map(|port| {
            let bench = Arc::clone(&bench);
            spawn(move || pass(&bench, udp((CLIENT.0, port), SERVER), no_nat).is_ok())
        });
        assert_eq!(workers.map(|worker| worker.join().unwrap()), [true, true]);
        assert_whole(&bench.table);
    });
}

fn crossing(table: &Table) -> [u16; 2] {
    let mut seen = std::collections::HashMap::new();
    for port in 1..=u16::MAX {
        let tuple = Tuple::of(&udp((CLIENT.0, port), SERVER)).unwrap();
        let [to, back] = [tuple, tuple.inverse().unwrap()].map(|it| table.shard_number(table.hash(&it)));
        if let Some(&other) = seen.get(&(back, to))
            && to != back
        {
            return [other, port];
        }
        seen.insert((to, back), port);
    }
    panic!("no two of 65,535 flows cross")
}

/// A connection from the server to the client.
fn expected_by(bench: &Bench, master: &Arc<Flow>) -> Expectation {
    Expectation {
        class: 0,
        ..announced(bench, master, SERVER.0, CLIENT)
    }
}

/// New flows look for what is expected only where the number says that anything is.
#[test]
fn what_is_expected_is_counted_while_it_is_forgotten() {
    let orders = explore::one_by_one(ORDERS, || {
        let bench = Arc::new(Bench::new());
        let (_, tracking) = pass(&bench, tcp(CLIENT, SERVER, (1, 0), flags::SYN), no_nat).unwrap();
        let expectation = expected_by(&bench, &tracking.flow.unwrap());
        let announces = {
            let bench = Arc::clone(&bench);
            spawn(move || bench.table.expect(bench.now, expectation, 10).is_ok())
        };
        bench.table.flush_expectations();
        assert!(announces.join().unwrap());
        assert_whole(&bench.table);
    });
    assert!(orders < ORDERS, "all of them");
}

/// Of two flows that fit one expectation one is RELATED; when the master ends meanwhile, none may be, and nothing is expected any more.
#[test]
fn two_flows_that_were_expected_and_the_end_of_their_master() {
    try_out(ORDERS, || {
        let bench = Arc::new(Bench::new());
        let (_, tracking) = pass(&bench, tcp(CLIENT, SERVER, (1, 0), flags::SYN), no_nat).unwrap();
        let master = tracking.flow.unwrap();
        let expectation = expected_by(&bench, &master);
        let announced = {
            let (bench, expectation) = (Arc::clone(&bench), expectation.clone());
            spawn(move || bench.table.expect(bench.now, expectation, 10).is_ok())
        };
        let workers = [20, 21].map(|port| {
            let bench = Arc::clone(&bench);
            let packet = tcp((SERVER.0, port), CLIENT, (1, 0), flags::SYN);
            spawn(move || pass(&bench, packet, no_nat).unwrap().0)
        });
        bench.table.delete(&master);
        let is_expected = |tracked: &Tracked| matches!(tracked, Tracked::Accept(Reason::Expected(_)));
        let expected = workers
            .map(|worker| worker.join().unwrap())
            .iter()
            .filter(|it| is_expected(it))
            .count();
        let announced = announced.join().unwrap();
        assert!(expected <= usize::from(announced));
        assert_whole(&bench.table);
        assert!(bench.table.expectations(bench.now).is_empty(), "its master has ended");
    });
}

/// How many orders of each kind each test tries.
const ORDERS: usize = 500;
