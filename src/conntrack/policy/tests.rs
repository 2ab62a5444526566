//! What policies are made of, and what they do to flows. Seen with `nfct` and `conntrack -L` on Linux 6.18.

use super::*;
use crate::base::Time;
use crate::conntrack::testing::{A, B, Bench, echo, packet, tcp, udp};
use crate::conntrack::{Flow, Template, Tracking};
use crate::packet::Packet;
use crate::wire::tcp::flags::{ACK, FIN, RST, SYN};

fn policy(protocol: u8, said: &[(&str, u32)], settings: &Settings) -> Arc<TimeoutPolicy> {
    Arc::new(TimeoutPolicy::new("p", Family::V4, protocol, said, settings).unwrap())
}

/// Passes a packet behind a rule with this policy.
fn pass(bench: &Bench, policy: &Arc<TimeoutPolicy>, mut packet: Packet) -> Arc<Flow> {
    let mut tracking = Tracking {
        template: Some(Arc::new(Template {
            policy: Some(Arc::clone(policy)),
            ..Template::default()
        })),
        ..Tracking::default()
    };
    bench.table.track(&bench.context(), &mut packet, &mut tracking);
    bench.table.confirm(&bench.context(), &packet, &mut tracking).unwrap();
    tracking.flow.unwrap()
}

fn left(flow: &Flow, now: Time) -> u64 {
    flow.lock().deadline.since(now).as_secs()
}

#[test]
fn what_is_not_said_is_as_the_knobs_were() {
    let mut settings = Settings::default();
    settings.set("nf_conntrack_tcp_timeout_close", "77").unwrap();
    let of_tcp = policy(6, &[("ESTABLISHED", 100), ("SYN_SENT", 5), ("SYN_SENT", 6)], &settings);
    settings.set("nf_conntrack_tcp_timeout_close", "78").unwrap();
    let times: Vec<(&str, u64)> = of_tcp.times().collect();
    assert_eq!(
        times,
        [
            ("SYN_SENT", 6),
            ("SYN_RECV", 60),
            ("ESTABLISHED", 100),
            ("FIN_WAIT", 120),
            ("CLOSE_WAIT", 60),
            ("LAST_ACK", 30),
            ("TIME_WAIT", 120),
            ("CLOSE", 77),
            ("SYN_SENT2", 120),
            ("RETRANS", 300),
            ("UNACKNOWLEDGED", 300),
        ]
    );
    let applied = of_tcp.applied_to(&settings);
    assert_eq!(applied.get("nf_conntrack_tcp_timeout_close").as_deref(), Some("77"));
    assert_eq!(
        applied.get("nf_conntrack_udp_timeout"),
        settings.get("nf_conntrack_udp_timeout")
    );
    // The tool says nothing of one state, and the kernel has a time for it.
    settings.set("nf_conntrack_sctp_timeout_heartbeat_sent", "9").unwrap();
    let of_sctp = policy(132, &[("CLOSED", 1)], &settings);
    settings.set("nf_conntrack_sctp_timeout_heartbeat_sent", "10").unwrap();
    let applied = of_sctp.applied_to(&settings);
    assert_eq!(
        applied.get("nf_conntrack_sctp_timeout_heartbeat_sent").as_deref(),
        Some("9")
    );
    assert_eq!(of_sctp.times().count(), 7);
}

#[test]
fn numbers_that_are_too_large_are_negative() {
    for (seconds, shown, knob) in [
        (0, 0, "0"),
        (8_589_934, 8_589_934, "8589934"),
        (4_294_967_291, 17_179_864, "-5"),
        (u32::MAX, 17_179_868, "-1"),
        (1_215_752_191, 13_161_348, "-4018521"),
    ] {
        let mut settings = Settings::default();
        let made = policy(17, &[("REPLIED", seconds)], &settings);
        assert_eq!(made.times().nth(1), Some(("REPLIED", shown)));
        assert!(set_default_times(17, &mut settings, &[("REPLIED", seconds)]));
        assert_eq!(settings.get("nf_conntrack_udp_timeout_stream").as_deref(), Some(knob));
    }
}

#[test]
fn there_are_policies_for_what_the_kernel_tracks() {
    let there = |number| TimeoutPolicy::new("p", Family::V4, number, &[], &Settings::default()).is_some();
    for (name, number, states) in protocols() {
        assert_eq!(there(number), name != "dccp", "{name}");
        assert!(!states.is_empty(), "{name}");
        assert_eq!(default_times(number, &Settings::default()).is_some(), name != "dccp");
    }
    assert!(!there(50) && !set_default_times(50, &mut Settings::default(), &[]));
    assert_eq!([6, 33, 50, 255].map(tracker_of), [6, 255, 255, 255]);
}

#[test]
fn a_flow_lives_by_its_policy() {
    let mut bench = Bench::new();
    let of_tcp = [
        ("SYN_SENT", 11),
        ("SYN_RECV", 12),
        ("ESTABLISHED", 13),
        ("FIN_WAIT", 14),
        ("CLOSE", 15),
        ("UNACKNOWLEDGED", 16),
    ];
    let of_tcp = policy(6, &of_tcp, &bench.settings);
    let flow = pass(&bench, &of_tcp, tcp((A, 1), (B, 80), (1, 0), SYN));
    let mut seen = vec![left(&flow, bench.now)];
    for next in [
        tcp((B, 80), (A, 1), (9, 2), SYN | ACK),
        tcp((A, 1), (B, 80), (2, 10), ACK),
        tcp((A, 1), (B, 80), (2, 10), FIN | ACK),
        tcp((B, 80), (A, 1), (10, 3), RST | ACK),
    ] {
        bench.pass(next).unwrap();
        seen.push(left(&flow, bench.now));
    }
    assert_eq!(seen, [11, 12, 13, 14, 15]);
    let of_udp = policy(17, &[("UNREPLIED", 3), ("REPLIED", 4)], &bench.settings);
    let flow = pass(&bench, &of_udp, udp((A, 1), (B, 53)));
    let mut seen = vec![left(&flow, bench.now)];
    bench.pass(udp((B, 53), (A, 1))).unwrap();
    seen.push(left(&flow, bench.now));
    bench.now = bench.now + Duration::from_millis(2500);
    bench.pass(udp((A, 1), (B, 53))).unwrap();
    seen.push(left(&flow, bench.now));
    assert_eq!(seen, [3, 3, 4]);
    let of_icmp = policy(1, &[("TIMEOUT", 8)], &bench.settings);
    assert_eq!(left(&pass(&bench, &of_icmp, echo(A, B, 8, 7)), bench.now), 8);
    let of_others = policy(255, &[("TIMEOUT", 21)], &bench.settings);
    assert_eq!(left(&pass(&bench, &of_others, packet(50, A, B, b"x")), bench.now), 21);
    // A reset that a rule sends in the name of one end.
    let flow = pass(&bench, &of_tcp, tcp((A, 2), (B, 80), (1, 0), SYN));
    flow.lock().reset_by_rule(bench.now, &bench.settings);
    assert_eq!(left(&flow, bench.now), 15);
}

#[test]
fn flows_of_a_policy_that_goes_live_by_the_knobs() {
    let bench = Bench::new();
    let made = TimeoutPolicy::new("p", Family::V4, 17, &[("UNREPLIED", 3)], &bench.settings).unwrap();
    assert!(bench.table.policies().add(made));
    let again = TimeoutPolicy::new("p", Family::V4, 17, &[], &bench.settings).unwrap();
    assert!(!bench.table.policies().add(again));
    let policy = bench.table.policies().find("p").unwrap();
    let flow = pass(&bench, &policy, udp((A, 1), (B, 53)));
    // A copy has its own.
    let copy = bench.table.copy(bench.now);
    copy.remove_policy(&policy);
    assert!(copy.policies().all().is_empty() && copy.flows(bench.now)[0].lock().policy().is_none());
    bench.pass(udp((A, 1), (B, 53))).unwrap();
    assert_eq!(left(&flow, bench.now), 3);
    bench.table.remove_policy(&policy);
    assert!(bench.table.policies().find("p").is_none());
    bench.pass(udp((A, 1), (B, 53))).unwrap();
    assert_eq!(left(&flow, bench.now), 30);
}
