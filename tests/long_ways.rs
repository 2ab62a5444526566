//! Packets whose way through the rules has no end that anybody would wait for: N chains that jump into the next one twice are 2^N rules. No time is
//! asserted; what is counted are rules, steps, lines and bytes.

#[path = "../benches/bench_router/mod.rs"]
#[allow(dead_code, reason = "benches need more of it")]
mod bench_router;

use std::fmt::Write;

use bench_router::{CLIENT, SERVER, Setup, tcp, udp};
use nflab::engine::{Fate, MOST_VISITS, Reason, Report};
use nflab::rule::Table;
use nflab::wire::tcp::flags;

/// Each chain jumps into the next one twice; UDP goes there. `last` stands in the last chain.
fn doubling(chains: usize, last: &str) -> String {
    let mut text = "*filter\n".to_owned();
    for at in 0..chains {
        let _ = writeln!(text, ":c{at} - [0:0]");
    }
    text += "-A FORWARD -p udp -j c0\n";
    for at in 1..chains {
        let _ = write!(text, "-A c{} -j c{at}\n-A c{} -j c{at}\n", at - 1, at - 1);
    }
    if !last.is_empty() {
        let _ = writeln!(text, "-A c{} {last}", chains - 1);
    }
    text + "COMMIT\n"
}

/// A chain of a thousand rules, gone through so often.
fn thousands(times: usize) -> String {
    format!(
        "*filter\n:many - [0:0]\n{}{}COMMIT\n",
        "-A many -p tcp -j DROP\n".repeat(1000),
        "-A FORWARD -j many\n".repeat(times)
    )
}

fn datagram() -> Vec<u8> {
    udp((CLIENT, 4000), (SERVER, 53), 10)
}

fn send(setup: &mut Setup, bytes: &[u8]) -> Report {
    let lan = setup.lan;
    setup.receive(lan, bytes).0
}

fn visits(setup: &Setup) -> u64 {
    setup.router.counters(Table::Filter).values().map(|it| it.packets).sum()
}

#[test]
fn a_walk_that_is_too_long_ends_with_the_packet() {
    let mut setup = Setup::new(&doubling(40, ""));
    let report = send(&mut setup, &datagram());
    let Fate::Stopped(reason @ Reason::WalkTooLong(place)) = &report.fate else {
        panic!("{report:?}");
    };
    assert!(place.chain.starts_with('c'), "{place}");
    assert!(
        reason
            .to_string()
            .starts_with(&format!("dropped at {place}: its way through the table is too long")),
        "{reason}"
    );
    assert!(visits(&setup) <= MOST_VISITS + 100, "{}", visits(&setup));
    let log = setup.worker.take_log();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].text, format!("nflab: a packet was {reason}"));
    // Nothing is left of it that the next packet would meet.
    let other = tcp((CLIENT, 4000), (SERVER, 80), flags::SYN, (1, 0), 0);
    assert_eq!(send(&mut setup, &other).fate, Fate::Forwarded);
}

/// Two million rules are come to, not one less.
#[test]
fn the_bound_counts_rules_and_not_jumps() {
    let each = 1001 + 1;
    let most = usize::try_from(MOST_VISITS).unwrap() / each;
    for (times, goes_out) in [(most - 1, true), (most + 2, false)] {
        let mut setup = Setup::new(&thousands(times));
        let fate = send(&mut setup, &datagram()).fate;
        assert_eq!(fate == Fate::Forwarded, goes_out, "{times}: {fate:?}");
        assert_eq!(
            matches!(fate, Fate::Stopped(Reason::WalkTooLong(_))),
            !goes_out,
            "{times}: {fate:?}"
        );
    }
}

#[test]
fn one_packet_writes_so_many_lines_and_no_more() {
    let mut setup = Setup::new(&doubling(16, "-j LOG"));
    assert_eq!(send(&mut setup, &datagram()).fate, Fate::Forwarded);
    let log = setup.worker.take_log();
    assert_eq!(log.len(), 10_001);
    assert!(log[9_999].text.starts_with("IN=lan OUT=wan"), "{:?}", log[9_999]);
    assert_eq!(
        log[10_000].text,
        "nflab: one packet wrote 10000 lines into the log; its further ones are left out"
    );
}
