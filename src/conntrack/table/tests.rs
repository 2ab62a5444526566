//! How the table is built: hashes, shards, pieces, and what is found by them.

use std::cell::RefCell;
use std::collections::HashSet;
use std::time::Duration;

use super::*;
use crate::base::protocol;
use crate::conntrack::testing::{A, B, Bench, address, announced, tcp, udp};
use crate::conntrack::{Endpoint, Expectation};
use crate::wire::tcp::flags::{ACK, SYN};

fn tuple(source: ([u8; 4], u16), destination: ([u8; 4], u16), protocol: u8) -> Tuple {
    let end = |(of, id)| Endpoint {
        address: address(of),
        id,
    };
    Tuple {
        source: end(source),
        destination: end(destination),
        protocol,
    }
}

/// A table with so many flows of datagrams, none answered.
fn flood(flows: u16) -> Bench {
    let mut bench = Bench::new();
    bench.settings.max = 0;
    bench.pass_all((0..flows).map(|port| udp((A, port), (B, 53))));
    bench
}

#[test]
fn tuples_that_differ_in_anything_have_other_hashes() {
    let tuples = [
        tuple((A, 1), (B, 53), 17),
        tuple((B, 1), (B, 53), 17),
        tuple((A, 2), (B, 53), 17),
        tuple((A, 1), (A, 53), 17),
        tuple((A, 1), (B, 54), 17),
        tuple((A, 1), (B, 53), 6),
        tuple((B, 53), (A, 1), 17),
    ];
    let (one, other) = (Table::new((1, 2)), Table::new((1, 3)));
    let hashes: HashSet<u64> = tuples.iter().flat_map(|it| [one.hash(it), other.hash(it)]).collect();
    assert_eq!(hashes.len(), 2 * tuples.len());
    // By source: address, identifier and protocol.
    let by_source: Vec<u64> = tuples.iter().map(|it| one.hash_source(it)).collect();
    let distinct: HashSet<u64> = by_source.iter().copied().collect();
    assert_eq!(distinct.len(), 5);
    assert_eq!((by_source[0], by_source[0]), (by_source[3], by_source[4]));
}

#[test]
fn flows_are_spread_and_shards_say_when_entries_move() {
    let bench = flood(2000);
    for shard in &bench.table.shards {
        let shard = shard.lock();
        // 4,000 entries in 64 shards.
        assert!((25..=110).contains(&shard.len()), "{}", shard.len());
        // It grew by half each time: from nothing to 40 lines at most.
        assert!((4..=8).contains(&shard.moves()), "{}", shard.moves());
    }
}

/// Two tuples that have one hash are two all the same.
#[test]
fn a_hash_alone_finds_nothing() {
    let bench = Bench::new();
    let (_, tracking) = bench.pass(udp((A, 1), (B, 53))).unwrap();
    let flow = tracking.flow.unwrap();
    let other = tuple((A, 2), (B, 53), protocol::UDP);
    let hash = bench.table.hash(&flow.original());
    assert!(bench.table.find(hash, &flow.original(), Zone::default()).is_some());
    assert!(bench.table.find(hash, &other, Zone::default()).is_none());
    let (_, mut tracking) = bench.track(&mut udp((A, 2), (B, 53)));
    let same_hash = tracking.flow.take().unwrap();
    same_hash.settle(&same_hash.lock());
    bench
        .table
        .shard(hash)
        .lock()
        .insert(hash as u32, false, Arc::clone(&same_hash));
    let (found, _) = bench.table.find(hash, &other, Zone::default()).unwrap();
    assert!(Arc::ptr_eq(&found, &same_hash));
}

/// Part after part, and none of them more than some flows: each is looked at once in a round.
#[test]
fn a_part_of_a_sweep_goes_on_where_the_last_one_ended() {
    let mut bench = flood(30_000);
    bench.now = bench.now + Duration::from_secs(600);
    let mut left = 30_000;
    for part in 0.. {
        bench.table.sweep_part(bench.now);
        let gone = left - bench.table.count();
        left = bench.table.count();
        if left == 0 {
            assert!((5..=10).contains(&part), "{part}");
            break;
        }
        assert!((2000..8000).contains(&gone), "{gone}");
    }
    assert_eq!(bench.table.sweep(bench.now), 0);
}

/// Few flows are all looked at, wherever it begins, and it ends there.
#[test]
fn a_part_of_a_sweep_is_the_whole_of_a_small_table() {
    let mut bench = flood(3000);
    bench.table.sweep_part(bench.now);
    assert_eq!(*bench.table.swept.lock(), SweepPlace::default());
    assert_eq!(bench.table.count(), 3000, "all live");
    bench.now = bench.now + Duration::from_secs(600);
    let within = SweepPlace { shard: 60, line: 2 };
    *bench.table.swept.lock() = within;
    bench.table.sweep_part(bench.now);
    assert_eq!(*bench.table.swept.lock(), within);
    assert_eq!(bench.table.count(), 0);
}

fn assured(bench: &Bench, port: u16) {
    bench.pass_all([
        tcp((A, port), (B, 80), (1, 0), SYN),
        tcp((B, 80), (A, port), (100, 2), SYN | ACK),
        tcp((A, port), (B, 80), (2, 101), ACK),
    ]);
}

/// Wherever it looks first, the one flow that is not assured is found.
#[test]
fn early_drop_looks_everywhere() {
    let mut bench = Bench::new();
    bench.settings.max = 0;
    (0..600).for_each(|port| assured(&bench, port));
    for shard in 0..SHARDS as u64 {
        let (_, tracking) = bench.pass(udp((A, shard as u16), (B, 53))).unwrap();
        let hash = (shard << 40) | (shard * 7);
        assert!(bench.table.early_drop(bench.now, hash), "{shard}");
        assert!(tracking.flow.unwrap().lock().status.has(Status::DYING));
        assert!(!bench.table.early_drop(bench.now, hash), "{shard}");
    }
    assert_eq!(bench.table.count(), 600);
}

/// Whoever fills the table with assured flows makes each packet look at some of them, and not at thousands.
#[test]
fn early_drop_looks_far_only_so_often() {
    let mut bench = Bench::new();
    bench.settings.max = 0;
    (0..600).for_each(|port| assured(&bench, port));
    let found = |bench: &Bench| {
        let shards = (0..SHARDS as u64).filter(|shard| {
            let (_, tracking) = bench.pass(udp((A, *shard as u16), (B, 53))).unwrap();
            let is_found = bench.table.early_drop(bench.now, (shard << 40) | (shard * 7));
            bench.table.delete(&tracking.flow.unwrap());
            is_found
        });
        shards.count()
    };
    assert_eq!(found(&bench), SHARDS);
    (0..1000).for_each(|shard| assert!(!bench.table.early_drop(bench.now, shard << 40)));
    let near = found(&bench);
    assert!(near < SHARDS / 4, "{near}");
    bench.now = bench.now + Duration::from_secs(1);
    assert_eq!((found(&bench), bench.table.count()), (SHARDS, 600));
}

/// Under a flood not always the same place of a shard is looked at first.
#[test]
fn early_drop_begins_by_the_hash() {
    let dropped = |low: u64| {
        let bench = flood(2000);
        let all = bench.table.flows(bench.now);
        assert!(bench.table.early_drop(bench.now, (3 << 40) | low << 29));
        let gone = all.iter().find(|it| it.lock().status.has(Status::DYING)).unwrap();
        gone.serial()
    };
    let by_lower_half: HashSet<u64> = (0..8).map(dropped).collect();
    assert!(by_lower_half.len() > 1, "{by_lower_half:?}");
}

/// What a helper announced, for so many seconds.
fn wish(bench: &Bench, master: &Arc<Flow>, port: u16, seconds: u64) -> Expectation {
    Expectation {
        deadline: bench.now + Duration::from_secs(seconds),
        ..announced(bench, master, B, (A, port))
    }
}

fn expected(bench: &Bench, master: &Arc<Flow>, port: u16) -> Arc<Flow> {
    bench
        .table
        .expect(bench.now, wish(bench, master, port, 300), 9)
        .unwrap();
    let (_, tracking) = bench.pass(tcp((B, 20), (A, port), (1, 0), SYN)).unwrap();
    tracking.flow.unwrap()
}

/// A master, which NAT has seen; the numbers of source and destination are its own.
fn master(bench: &Bench, to: u16) -> Arc<Flow> {
    let mut packet = tcp((A, 3000), (B, to), (1, 0), SYN);
    let (_, mut tracking) = bench.track(&mut packet);
    let flow = Arc::clone(tracking.flow.as_ref().unwrap());
    flow.lock().status.set(Status::SRC_NAT_DONE);
    bench.table.confirm(&bench.context(), &packet, &mut tracking).unwrap();
    flow
}

/// A flow of no table, that asks for a mapping.
fn nobodys(original: Tuple) -> Arc<Flow> {
    let bench = Bench::new();
    let (_, tracking) = bench.pass(tcp((A, 1), (B, 9), (1, 0), SYN)).unwrap();
    let state = tracking.flow.unwrap().lock().plain();
    let reply = original.inverse().unwrap();
    Flow::begun(1, (&original, &reply), (Zone::default(), EventMask::NONE), state)
}

/// A mapping is found while its flow lives, or a flow that it announced; a copy of the table goes on in the same way.
#[test]
fn a_mapping_lasts_as_long_as_somebody_remembers_its_flow() {
    let bench = Bench::new();
    let asked = tuple((A, 3000), (B, 9), protocol::TCP);
    let ports = |table: &Table| {
        let found = RefCell::new(Vec::new());
        table.newest_mapping_of_source(&nobodys(asked), &Hashes::default(), |reply| {
            found.borrow_mut().push(reply.source.id);
            false
        });
        // And none of another source.
        let other = tuple((A, 3001), (B, 9), protocol::TCP);
        assert_eq!(
            table.newest_mapping_of_source(&nobodys(other), &Hashes::default(), |_| true),
            None
        );
        found.into_inner()
    };
    // One that nobody remembers goes at once.
    let forgotten = master(&bench, 23);
    assert_eq!(ports(&bench.table), [23]);
    let gone = expected(&bench, &forgotten, 1024);
    bench.table.delete(&gone);
    bench.table.delete(&forgotten);
    assert_eq!(bench.table.orphaned_count.load(Ordering::Relaxed), 0);
    assert!(ports(&bench.table).is_empty());

    let [first, second, third] = [21, 22, 24].map(|to| master(&bench, to));
    assert_eq!(ports(&bench.table), [24, 22, 21], "the newest first");
    let children = [expected(&bench, &first, 1025), expected(&bench, &second, 1026)];
    for master in [&first, &second, &third] {
        bench.table.delete(master);
    }
    assert_eq!(ports(&bench.table), [22, 21]);
    let copy = bench.table.copy(bench.now);
    assert_eq!(ports(&copy), [22, 21]);
    let [copied, _] = children
        .each_ref()
        .map(|it| copy.lookup(bench.now, &it.original()).unwrap().0);
    copy.delete(&copied);
    assert_eq!((ports(&copy), ports(&bench.table)), (vec![22], vec![22, 21]));
    bench.table.delete(&children[1]);
    // A sweep collects what nobody remembers, and expectations whose time is over.
    bench.table.sweep(bench.now);
    assert_eq!(bench.table.orphaned_count.load(Ordering::Relaxed), 1);
    assert_eq!(ports(&bench.table), [21]);
}

/// Who lets flows announce each other, and each die, gets no more of them than a table may have.
#[test]
fn masters_that_are_gone_count_while_they_are_remembered() {
    let mut bench = Bench::new();
    bench.settings.max = 8;
    let mut last = master(&bench, 21);
    let (mut longest, mut begun_anew) = (0, 0);
    for step in 0..100 {
        bench.table.expect(bench.now, wish(&bench, &last, 1025, 5), 9).unwrap();
        let (_, tracking) = bench.pass(tcp((B, 20 + step), (A, 1025), (1, 0), SYN)).unwrap();
        bench.table.delete(&last);
        last = tracking.flow.unwrap();
        // The last one had to make room, and all that it remembered went with it.
        begun_anew += u32::from(last.lock().master().is_none());
        longest = longest.max(bench.table.count());
        assert!(bench.table.count() <= 8 && bench.table.flows(bench.now).len() == 1);
        assert_eq!(bench.table.copy(bench.now).count(), bench.table.count());
    }
    assert!(longest == 8 && begun_anew > 5, "{longest}, {begun_anew}");
    bench.table.delete(&last);
    assert_eq!(bench.table.count(), 0);
}

#[test]
fn a_sweep_collects_expectations() {
    let mut bench = Bench::new();
    let master = master(&bench, 21);
    bench
        .table
        .expect(bench.now, wish(&bench, &master, 1025, 5), 9)
        .unwrap();
    assert!(bench.table.expects_anything());
    bench.now = bench.now + Duration::from_secs(5);
    bench.table.sweep(bench.now);
    assert!(!bench.table.expects_anything());
}
