//! The machine of the ip_conntrack days beside today's, conversation by conversation.

use super::*;
use crate::conntrack::Settings;
use crate::conntrack::testing::{A, B, Bench, echo, tcp, udp};
use crate::packet::Packet;
use crate::wire::tcp::flags::{ACK, FIN, RST, SYN};

/// The chapter's two, the kernel's log of machines of 1 GB and more (`8192 buckets, 65536 max`), and today's documentation.
#[test]
fn memory_makes_the_table() {
    for (profile, text, table) in [
        (Profile::Classic, "128M", Some((1024, 8192))),
        (Profile::Classic, "256M", Some((2047, 16_376))),
        (Profile::Classic, "512M", Some((4095, 32_760))),
        (Profile::Classic, "1G", Some((8192, 65_536))),
        (Profile::Classic, "4G", Some((8192, 65_536))),
        (Profile::Classic, "1M", Some((16, 128))),
        (Profile::Linux6, "128M", Some((8192, 8192))),
        (Profile::Linux6, "1M", Some((1024, 1024))),
        (Profile::Linux6, "64G", Some((262_144, 262_144))),
        (Profile::Linux6, "134217728", Some((8192, 8192))),
        (Profile::Linux6, "0", None),
        (Profile::Linux6, "128T", None),
        (Profile::Linux6, "M", None),
        (Profile::Linux6, "99999999999999999999G", None),
    ] {
        let found = memory(text).map(|bytes| profile.table_of_memory(bytes));
        assert_eq!(found, table, "{profile:?} {text}");
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for profile in Profile::ALL {
        assert_eq!(Profile::from_name(profile.name()), Some(profile));
    }
    assert_eq!(Profile::from_name("linux2"), None);
}

/// What `/proc` shows first of the only flow, without its tuples: `tcp 6 119 SYN_SENT [UNREPLIED]`.
fn shown(bench: &Bench) -> String {
    let flows = bench.table.flows(bench.now);
    let [flow] = &flows[..] else {
        return format!("{} flows", flows.len());
    };
    let line = crate::conntrack::text::flow(flow, crate::conntrack::text::FlowForm::OldProc, bench.now);
    let plain = |word: &&str| !word.contains('=');
    line.unwrap_or_default()
        .split_whitespace()
        .filter(plain)
        .collect::<Vec<_>>()
        .join(" ")
}

fn bench(profile: Profile, windows: bool) -> Bench {
    let mut bench = Bench::new();
    bench.settings = Settings::of(profile);
    bench.settings.protocols.tcp.window_tracking = windows;
    bench
}

/// Packets one after the other: the state that each has, and what is shown behind it.
fn hold(name: &str, bench: &Bench, steps: &[(Packet, &str, &str)]) {
    for (at, (packet, state, expected)) in steps.iter().enumerate() {
        let got = bench.states([packet.clone()]);
        assert_eq!(
            (got[0], shown(bench).as_str()),
            (*state, *expected),
            "{name}, packet {}",
            at + 1
        );
    }
}

#[test]
fn a_ping_is_gone_with_its_reply() {
    let (ask, answer) = (|| echo(A, B, 8, 7), || echo(B, A, 0, 7));
    hold(
        "classic",
        &bench(Profile::Classic, false),
        &[
            (ask(), "NEW", "icmp 1 30 [UNREPLIED]"),
            (answer(), "ESTABLISHED", "0 flows"),
            // Nobody is waiting for a second one.
            (answer(), "INVALID", "0 flows"),
            // Two questions wait for two answers.
            (ask(), "NEW", "icmp 1 30 [UNREPLIED]"),
            (ask(), "NEW", "icmp 1 30 [UNREPLIED]"),
            (answer(), "ESTABLISHED", "icmp 1 30"),
            (answer(), "ESTABLISHED", "0 flows"),
        ],
    );
    hold(
        "linux6",
        &bench(Profile::Linux6, true),
        &[
            (ask(), "NEW", "icmp 1 30 [UNREPLIED]"),
            (answer(), "ESTABLISHED", "icmp 1 30"),
        ],
    );
}

#[test]
fn a_question_with_its_answer_is_a_stream_at_the_next_packet() {
    let (ask, answer) = (|| udp((A, 1025), (B, 53)), || udp((B, 53), (A, 1025)));
    hold(
        "classic",
        &bench(Profile::Classic, false),
        &[
            (ask(), "NEW", "udp 17 30 [UNREPLIED]"),
            (answer(), "ESTABLISHED", "udp 17 30"),
            (ask(), "ESTABLISHED", "udp 17 180 [ASSURED]"),
        ],
    );
    hold(
        "linux6",
        &bench(Profile::Linux6, true),
        &[
            (ask(), "NEW", "udp 17 30 [UNREPLIED]"),
            (answer(), "ESTABLISHED", "udp 17 30"),
            (ask(), "ESTABLISHED", "udp 17 30"),
        ],
    );
}

/// The chapter's figures of a connection's begin and end, and what it says of connections that are picked up, reset, opened by both ends.
#[test]
fn tcp_goes_by_states_only() {
    let from = |flags, numbers| tcp((A, 1031), (B, 23), numbers, flags);
    let back = |flags, numbers| tcp((B, 23), (A, 1031), numbers, flags);
    let opens = [
        (from(SYN, (100, 0)), "NEW", "tcp 6 120 SYN_SENT [UNREPLIED]"),
        (back(SYN | ACK, (900, 101)), "ESTABLISHED", "tcp 6 60 SYN_RECV"),
        (
            from(ACK, (101, 901)),
            "ESTABLISHED",
            "tcp 6 432000 ESTABLISHED [ASSURED]",
        ),
    ];
    let with = |more: &[(Packet, &'static str, &'static str)]| [&opens[..], more].concat();
    for (name, steps) in [
        (
            "closed by the client",
            with(&[
                (
                    from(FIN | ACK, (101, 901)),
                    "ESTABLISHED",
                    "tcp 6 120 FIN_WAIT [ASSURED]",
                ),
                (back(ACK, (901, 102)), "ESTABLISHED", "tcp 6 120 FIN_WAIT [ASSURED]"),
                (
                    back(FIN | ACK, (901, 102)),
                    "ESTABLISHED",
                    "tcp 6 120 TIME_WAIT [ASSURED]",
                ),
                (from(ACK, (102, 902)), "ESTABLISHED", "tcp 6 120 TIME_WAIT [ASSURED]"),
                // The ports are used anew.
                (from(SYN, (500, 0)), "ESTABLISHED", "tcp 6 120 SYN_SENT [ASSURED]"),
            ]),
        ),
        (
            "closed by the server",
            with(&[
                (
                    back(FIN | ACK, (901, 101)),
                    "ESTABLISHED",
                    "tcp 6 43200 CLOSE_WAIT [ASSURED]",
                ),
                (from(ACK, (101, 902)), "ESTABLISHED", "tcp 6 43200 CLOSE_WAIT [ASSURED]"),
                (
                    from(FIN | ACK, (101, 902)),
                    "ESTABLISHED",
                    "tcp 6 30 LAST_ACK [ASSURED]",
                ),
                (back(ACK, (902, 102)), "ESTABLISHED", "tcp 6 120 TIME_WAIT [ASSURED]"),
            ]),
        ),
        (
            "reset, whatever its numbers",
            with(&[(back(RST, (7, 0)), "ESTABLISHED", "tcp 6 10 CLOSE [ASSURED]")]),
        ),
        (
            "numbers from nowhere",
            with(&[(
                from(ACK, (4_000_000, 77)),
                "ESTABLISHED",
                "tcp 6 432000 ESTABLISHED [ASSURED]",
            )]),
        ),
        (
            "refused",
            vec![opens[0].clone(), (back(RST | ACK, (0, 101)), "ESTABLISHED", "0 flows")],
        ),
        (
            "an ACK that answers another SYN+ACK",
            vec![
                opens[0].clone(),
                opens[1].clone(),
                (from(ACK, (101, 5)), "ESTABLISHED", "tcp 6 60 SYN_RECV"),
                opens[2].clone(),
            ],
        ),
        (
            "both ends open",
            vec![
                opens[0].clone(),
                (back(SYN, (900, 0)), "ESTABLISHED", "tcp 6 60 SYN_RECV"),
            ],
        ),
        (
            "picked up: five days, and never assured",
            vec![
                (from(ACK, (1, 1)), "NEW", "tcp 6 432000 ESTABLISHED [UNREPLIED]"),
                (back(ACK, (1, 1)), "ESTABLISHED", "tcp 6 432000 ESTABLISHED"),
                (from(ACK, (1, 1)), "ESTABLISHED", "tcp 6 432000 ESTABLISHED"),
            ],
        ),
        (
            "begun by an answer",
            vec![(from(SYN | ACK, (1, 1)), "NEW", "tcp 6 120 SYN_SENT [UNREPLIED]")],
        ),
        (
            "begun by its end",
            vec![(from(FIN | ACK, (1, 1)), "NEW", "tcp 6 120 TIME_WAIT [UNREPLIED]")],
        ),
        (
            "begun by a reset",
            vec![(from(RST, (1, 0)), "NEW", "tcp 6 10 CLOSE [UNREPLIED]")],
        ),
        ("no flag at all", vec![(from(0, (1, 0)), "INVALID", "0 flows")]),
    ] {
        let mut bench = bench(Profile::Classic, false);
        // Knobs of the patch, which mean nothing without it.
        bench.settings.protocols.tcp.loose = 0;
        hold(name, &bench, &steps);
    }
}

/// What the tcp-window-tracking patch changes of it: numbers count, `loose` and its fellows too, and a SYN that crosses another is INVALID.
#[test]
fn the_patch_tracks_windows() {
    let from = |flags, numbers| tcp((A, 1031), (B, 23), numbers, flags);
    let back = |flags, numbers| tcp((B, 23), (A, 1031), numbers, flags);
    let mut strict = bench(Profile::Classic, true);
    hold(
        "crossing SYN",
        &strict,
        &[
            (from(SYN, (100, 0)), "NEW", "tcp 6 120 SYN_SENT [UNREPLIED]"),
            (back(SYN, (900, 0)), "INVALID", "tcp 6 120 SYN_SENT [UNREPLIED]"),
            (back(SYN | ACK, (900, 101)), "ESTABLISHED", "tcp 6 60 SYN_RECV"),
            (
                from(ACK, (101, 901)),
                "ESTABLISHED",
                "tcp 6 432000 ESTABLISHED [ASSURED]",
            ),
            (
                from(ACK, (4_000_000, 901)),
                "INVALID",
                "tcp 6 432000 ESTABLISHED [ASSURED]",
            ),
        ],
    );
    strict.table.flush();
    hold(
        "picked up",
        &strict,
        &[(from(ACK, (1, 1)), "NEW", "tcp 6 432000 ESTABLISHED [UNREPLIED]")],
    );
    strict.table.flush();
    strict.settings.protocols.tcp.loose = 0;
    hold("not picked up", &strict, &[(from(ACK, (1, 1)), "INVALID", "0 flows")]);
    hold(
        "today both ends may open",
        &bench(Profile::Linux6, true),
        &[
            (from(SYN, (100, 0)), "NEW", "tcp 6 120 SYN_SENT [UNREPLIED]"),
            (back(SYN, (900, 0)), "ESTABLISHED", "tcp 6 120 SYN_SENT2"),
        ],
    );
}

/// Windows that were only noted are right for who turns tracking of them on.
#[test]
fn windows_may_be_turned_on_for_flows_that_are_there() {
    let from = |flags, numbers| tcp((A, 1031), (B, 23), numbers, flags);
    let back = |flags, numbers| tcp((B, 23), (A, 1031), numbers, flags);
    let mut bench = bench(Profile::Classic, false);
    bench.pass_all([from(SYN, (100, 0)), back(SYN | ACK, (900, 101)), from(ACK, (101, 901))]);
    bench.settings.protocols.tcp.window_tracking = true;
    assert_eq!(
        bench.states([from(ACK, (101, 901)), from(ACK, (4_000_000, 901))]),
        ["ESTABLISHED", "INVALID"]
    );
}

/// What flows ask for is the same in both but for these.
#[test]
fn old_names_are_names_of_todays_knobs() {
    assert!(Settings::of(Profile::Linux6).old_names().is_empty());
    let mut settings = Settings::of(Profile::Classic);
    for (old, today) in [
        ("ip_conntrack_max", Some("nf_conntrack_max")),
        ("netfilter.ip_conntrack_max", Some("nf_conntrack_max")),
        ("netfilter.ip_ct_icmp_timeout", Some("nf_conntrack_icmp_timeout")),
        ("netfilter.ip_ct_generic_timeout", Some("nf_conntrack_generic_timeout")),
        (
            "netfilter.ip_ct_tcp_timeout_established",
            Some("nf_conntrack_tcp_timeout_established"),
        ),
        (
            "netfilter.ip_conntrack_tcp_timeout_none",
            Some("nf_conntrack_tcp_timeout_none"),
        ),
        (
            "netfilter.ip_ct_tcp_timeout_listen",
            Some("nf_conntrack_tcp_timeout_listen"),
        ),
        ("netfilter.ip_conntrack_tcp_be_liberal", None),
        ("netfilter.ip_ct_tcp_loose", None),
        ("netfilter.ip_ct_tcp_timeout_unacknowledged", None),
        ("netfilter.ip_conntrack_acct", None),
        ("ip_ct_icmp_timeout", None),
        ("netfilter.nf_conntrack_max", None),
    ] {
        assert_eq!(settings.by_old_name(old), today, "{old}");
    }
    settings.protocols.tcp.window_tracking = true;
    for name in ["be_liberal", "loose", "max_retrans", "timeout_max_retrans"] {
        for begin in ["ip_conntrack", "ip_ct"] {
            assert!(
                settings.by_old_name(&format!("netfilter.{begin}_tcp_{name}")).is_some(),
                "{name}"
            );
        }
    }
    let names = settings.old_names();
    assert!(names.windows(2).all(|two| two[0] < two[1]));
    for (_, today) in names {
        assert!(settings.names().any(|name| name == today), "{today}");
    }
}

/// The names that only the one machine has.
#[test]
fn each_machine_has_its_names() {
    let [today, classic] = Profile::ALL.map(|profile| Settings::of(profile).names().collect::<Vec<_>>());
    let only: Vec<&str> = classic.iter().filter(|name| !today.contains(name)).copied().collect();
    assert_eq!(
        only,
        ["nf_conntrack_tcp_timeout_listen", "nf_conntrack_tcp_timeout_none"]
    );
    assert!(today.iter().all(|name| classic.contains(name)));
}

#[test]
fn hashsize_makes_eight_flows_a_bucket() {
    let mut settings = Settings::of(Profile::Classic);
    settings.fit_buckets(4096);
    assert_eq!((settings.buckets, settings.max), (4096, 32_768));
    settings.fit_memory(128 << 20);
    assert_eq!((settings.buckets, settings.max), (1024, 8192));
}
