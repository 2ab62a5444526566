//! Packets that are under way at the same time, one step of each after the other.

use super::*;
use crate::base::protocol;
use crate::conntrack::testing::{A, B, Bench, address, announced, echo, packet, tcp, udp};
use crate::conntrack::{Counted, Endpoint, Tracking, Tuple};
use crate::wire::tcp::flags::SYN;

/// Under way: tracked, and not at its end yet.
struct UnderWay {
    packet: Packet,
    tracking: Tracking,
}

impl UnderWay {
    fn new(bench: &Bench, mut packet: Packet) -> Self {
        let (_, tracking) = bench.track(&mut packet);
        Self { packet, tracking }
    }

    /// NAT leads it to this host.
    fn led_to(self, host: [u8; 4]) -> Self {
        let flow = self.flow();
        let reply = flow.reply();
        let source = Endpoint {
            address: address(host),
            ..reply.source
        };
        flow.set_reply(&mut flow.lock(), &Tuple { source, ..reply });
        self
    }

    fn flow(&self) -> &Arc<Flow> {
        self.tracking.flow.as_ref().unwrap()
    }

    fn end(&mut self, bench: &Bench) -> Result<Option<Clash>, DropReason> {
        bench.table.confirm(&bench.context(), &self.packet, &mut self.tracking)
    }
}

fn counts(bench: &Bench) -> [u64; 3] {
    let named = bench.table.statistics.named();
    ["insert_failed", "drop", "clash_resolve"].map(|name| named.iter().find(|it| it.0 == name).unwrap().1)
}

const OTHER: [u8; 4] = [192, 0, 2, 10];
const NEVER: Result<Option<Clash>, DropReason> = Err(DropReason::Clash);
const JOINED: Result<Option<Clash>, DropReason> = Ok(Some(Clash::Joined));
const BESIDE: Result<Option<Clash>, DropReason> = Ok(Some(Clash::Beside));

#[test]
fn two_first_packets_at_a_time() {
    const DCCP: [u8; 16] = [0, 1, 0, 53, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (number, joins) in [
        (protocol::UDP, true),
        (protocol::GRE, true),
        (50, true),
        (33, true),
        (protocol::TCP, false),
        (protocol::ICMP, false),
    ] {
        let make = || match number {
            protocol::UDP => udp((A, 1), (B, 53)),
            protocol::TCP => tcp((A, 1), (B, 80), (1, 0), SYN),
            protocol::ICMP => echo(A, B, 8, 7),
            protocol::GRE => packet(number, A, B, &[0, 0, 8, 0]),
            33 => packet(number, A, B, &DCCP),
            other => packet(other, A, B, b"x"),
        };
        for (hosts, resolved) in [([B, B], JOINED), ([B, OTHER], BESIDE)] {
            let mut bench = Bench::new();
            bench.settings.acct = true;
            let [mut first, mut second] = hosts.map(|host| UnderWay::new(&bench, make()).led_to(host));
            assert_eq!(first.end(&bench), Ok(None), "{number}");
            let expected = if joins { resolved } else { NEVER };
            assert_eq!(second.end(&bench), expected, "{number}");
            let same = Arc::ptr_eq(first.flow(), second.flow());
            assert_eq!(same, expected == JOINED, "{number}");
            let counted = first.flow().lock().counters().unwrap()[0].packets;
            assert_eq!(counted, 1 + u64::from(same), "{number}");
            assert_eq!(bench.table.count(), 1 + usize::from(expected == BESIDE), "{number}");
            let told = if joins { [0, 0, 1] } else { [1, 1, 0] };
            assert_eq!(counts(&bench), told, "{number}");
        }
    }
}

/// The same flow from the other end counts where it goes the same way; in another zone it is another flow.
#[test]
fn from_both_ends() {
    let mut bench = Bench::new();
    bench.settings.acct = true;
    let [mut there, mut back] =
        [udp((A, 1), (B, 53)), udp((B, 53), (A, 1))].map(|packet| UnderWay::new(&bench, packet));
    assert_eq!((there.end(&bench), back.end(&bench)), (Ok(None), JOINED));
    let both = Counted { packets: 2, bytes: 56 };
    assert_eq!(*there.flow().lock().counters().unwrap(), [both, Counted::default()]);
}

/// It is found by its answers alone, in no listing, and for a second.
#[test]
fn what_stands_beside_another() {
    let bench = Bench::new();
    let [mut first, mut second, mut third] =
        [B, OTHER, OTHER].map(|host| UnderWay::new(&bench, udp((A, 1), (B, 53))).led_to(host));
    assert_eq!((first.end(&bench), second.end(&bench)), (Ok(None), BESIDE));
    // Like the one that stands beside already.
    assert_eq!(third.end(&bench), JOINED);
    assert!(Arc::ptr_eq(second.flow(), third.flow()));
    let table = &bench.table;
    let found = |tuple: &Tuple, now| {
        table
            .lookup(now, tuple)
            .map(|(flow, direction)| (flow.serial(), direction))
    };
    let answer = second.flow().reply();
    assert_eq!(
        found(&first.flow().original(), bench.now),
        Some((first.flow().serial(), Direction::Original))
    );
    let beside = Some((second.flow().serial(), Direction::Reply));
    assert_eq!(found(&answer, bench.now), beside);
    assert_eq!(table.flows(bench.now).len(), 1);
    assert_eq!((table.count(), table.living(bench.now)), (2, 2));
    // A copy has it, and packets are tried there as here.
    let copy = table.copy(bench.now);
    assert_eq!((copy.count(), copy.flows(bench.now).len()), (2, 1));
    // Answers change nothing.
    for _ in 0..3 {
        bench.pass(udp((OTHER, 53), (A, 1))).unwrap();
    }
    assert!(!second.flow().lock().status.has(Status::ASSURED));
    let almost = bench.now + Duration::from_millis(999);
    assert_eq!(found(&answer, almost), beside);
    assert_eq!(found(&answer, bench.now + Duration::from_secs(1)), None);
    assert_eq!(table.count(), 1);
    assert_eq!(copy.sweep(bench.now + Duration::from_secs(1)), 1);
    let copy = table.copy(bench.now);
    copy.flush();
    assert_eq!(copy.count(), 0);
}

/// Its reply is another flow's: then it cannot.
#[test]
fn what_can_stand_nowhere() {
    let bench = Bench::new();
    let mut first = UnderWay::new(&bench, udp((A, 1), (B, 53)));
    let mut second = UnderWay::new(&bench, udp((A, 1), (B, 53))).led_to(OTHER);
    assert_eq!(first.end(&bench), Ok(None));
    bench.pass(udp((A, 1), (OTHER, 53))).unwrap();
    assert_eq!(second.end(&bench), NEVER);
    assert_eq!((bench.table.count(), counts(&bench)), (2, [1, 1, 0]));
    // And it is as it was: nothing of an end that is near.
    let state = second.flow().lock();
    assert!(
        !state
            .status
            .has_any(Status::CONFIRMED.or(Status::FIXED_TIMEOUT).or(Status::CLASHES))
    );
}

/// What its helper announced goes with it.
#[test]
fn what_joins_another_expects_nothing() {
    for (host, left) in [(B, 0), (OTHER, 1)] {
        let bench = Bench::new();
        let mut first = UnderWay::new(&bench, udp((A, 1), (B, 53)));
        let mut second = UnderWay::new(&bench, udp((A, 1), (B, 53))).led_to(host);
        let wish = announced(&bench, second.flow(), B, (A, 1025));
        bench.table.expect(bench.now, wish, 9).unwrap();
        assert_eq!(first.end(&bench), Ok(None));
        let flow = Arc::clone(second.flow());
        second.end(&bench).unwrap();
        bench.table.got_no_further(&flow);
        assert_eq!(bench.table.expectations(bench.now).len(), left);
    }
}

#[test]
fn it_is_told() {
    let said = [Clash::Joined, Clash::Beside].map(|it| it.to_string());
    assert!(said[0].ends_with("this one counts for that flow"));
    assert!(said[1].ends_with("only its answers belong to it"));
}
