//! What `conntrack -E` says of a flow. Seen with conntrack-tools 1.4.7.

use std::time::Duration;

use super::*;
use crate::conntrack::events::Heard;
use crate::conntrack::testing::{A, B, Bench, FTP, echo, tcp, udp};
use crate::wire::tcp::flags::{ACK, SYN};

/// The lines of all that happened; `now` is a second and a half later.
fn told(bench: &mut Bench, extended: bool, what: impl FnOnce(&mut Bench)) -> Vec<String> {
    let listener = bench.table.listen(20, Box::new(|| ()));
    what(bench);
    let now = bench.now + Duration::from_millis(1500);
    std::iter::from_fn(|| listener.next_heard())
        .map(|heard| match heard {
            Heard::Event(it) => event(&it, extended, now),
            Heard::Lost => panic!("nothing is lost here"),
        })
        .collect()
}

#[test]
fn what_happens_to_a_flow() {
    let mut bench = Bench::new();
    bench.settings.acct = true;
    bench.settings.timestamp = true;
    let lines = told(&mut bench, false, |bench| {
        let (_, tracking) = bench.pass(tcp((A, 3000), (B, 21), (1, 0), SYN)).unwrap();
        let flow = tracking.flow.unwrap();
        bench.pass_all([tcp((B, 21), (A, 3000), (100, 2), SYN | ACK)]);
        flow.lock().mark = 7;
        flow.lock().helper = Some(&FTP);
        bench.pass_all([tcp((A, 3000), (B, 21), (2, 101), ACK)]);
        bench.table.flush();
    });
    let ends = "src=10.0.0.2 dst=192.0.2.9 sport=3000 dport=21";
    let answer = "src=192.0.2.9 dst=10.0.0.2 sport=21 dport=3000";
    assert_eq!(
        lines,
        [
            format!("    [NEW] tcp      6 120 SYN_SENT {ends} [UNREPLIED] {answer}"),
            format!(" [UPDATE] tcp      6 60 SYN_RECV {ends} {answer}"),
            format!(" [UPDATE] tcp      6 432000 ESTABLISHED {ends} {answer} [ASSURED] mark=7 helper=ftp"),
            format!(
                "[DESTROY] tcp      6 431998 ESTABLISHED {ends} packets=2 bytes=80 {answer} packets=1 bytes=40 [ASSURED] mark=7 \
                 delta-time=1 helper=ftp"
            ),
        ]
    );
}

/// A time that is over is not shown at a flow's end; at its beginning it is.
#[test]
fn times_that_are_over_and_families() {
    let mut bench = Bench::new();
    bench.settings.protocols.udp.timeout = Duration::ZERO;
    let lines = told(&mut bench, true, |bench| {
        bench.pass_all([udp((A, 1), (B, 53)), echo(A, B, 8, 7)]);
        bench.table.sweep(bench.now);
    });
    assert_eq!(
        lines,
        [
            "    [NEW] ipv4     2 udp      17 0 src=10.0.0.2 dst=192.0.2.9 sport=1 dport=53 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 sport=53 dport=1",
            "    [NEW] ipv4     2 icmp     1 30 src=10.0.0.2 dst=192.0.2.9 type=8 code=0 id=7 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 type=0 code=0 id=7",
            "[DESTROY] ipv4     2 udp      17 src=10.0.0.2 dst=192.0.2.9 sport=1 dport=53 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 sport=53 dport=1",
        ]
    );
}
