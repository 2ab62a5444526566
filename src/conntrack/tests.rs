//! The table: what enters it, what leaves it, and when. What single packets make of their flows is in the recordings (`helper::replay`).

use std::sync::Arc;
use std::time::Duration;

use super::testing::{A, B, Bench, FTP, announced, echo, packet, tcp, udp};
use super::text::{self, ExpectationForm, FlowForm};
use super::{
    ConntrackHelper, DropReason, Expectation, ExpectationRefused, Flow, Reason, Status, Template, Tracked, Tracking,
};
use crate::base::protocol;
use crate::base::testing::{families, host};
use crate::packet::testing::udp as datagram;
use crate::wire::tcp::flags::{ACK, FIN, RST, SYN};

#[test]
fn a_flow_enters_when_its_packet_gets_out() {
    let bench = Bench::new();
    let mut first = udp((A, 1), (B, 53));
    let (tracked, mut tracking) = bench.track(&mut first);
    assert!(matches!(tracked, Tracked::Accept(Reason::NewFlow)));
    assert_eq!(bench.table.count(), 0);
    // Dropped on its way: nothing happened, and the next packet is NEW again.
    drop(tracking);
    (_, tracking) = bench.track(&mut first);
    bench.table.confirm(&bench.context(), &first, &mut tracking).unwrap();
    assert_eq!(bench.table.count(), 1);
    assert_eq!(
        bench.states([udp((A, 1), (B, 53)), udp((B, 53), (A, 1)), udp((A, 1), (B, 53))]),
        ["NEW", "ESTABLISHED", "ESTABLISHED"]
    );
    assert_eq!(bench.table.count(), 1);
}

#[test]
fn what_was_tracked_before_passes() {
    let bench = Bench::new();
    let mut packet = udp((A, 1), (A, 2));
    let (_, mut tracking) = bench.track(&mut packet);
    let again = bench.table.track(&bench.context(), &mut packet, &mut tracking);
    assert!(matches!(again, Tracked::Accept(Reason::AlreadyTracked)));
}

#[test]
fn a_flow_deleted_on_its_way_does_not_enter() {
    let bench = Bench::new();
    let mut packet = udp((A, 1), (B, 53));
    let (_, mut tracking) = bench.track(&mut packet);
    assert!(bench.table.delete(tracking.flow.as_ref().unwrap()));
    let result = bench.table.confirm(&bench.context(), &packet, &mut tracking);
    assert_eq!(result, Err(DropReason::FlowDied));
    assert_eq!(bench.table.count(), 0);
}

#[test]
fn the_living_are_counted_whatever_ends() {
    let mut bench = Bench::new();
    let living = |bench: &Bench| {
        let living = bench.table.living(bench.now);
        assert_eq!(living, bench.table.flows(bench.now).len());
        living
    };
    bench.pass_all([udp((A, 1), (B, 53)), udp((A, 2), (B, 53)), echo(A, B, 8, 7)]);
    assert_eq!(living(&bench), 3);
    bench.pass_all([udp((A, 3), (B, 53))]);
    assert_eq!(living(&bench), 4, "a new one");
    bench.settings.protocols.udp.timeout = Duration::ZERO;
    bench.pass_all([udp((A, 4), (B, 53))]);
    assert_eq!(living(&bench), 4, "one that ends at once");
    bench.pass_all([udp((A, 3), (B, 53))]);
    assert_eq!(living(&bench), 3, "one that is let go");
    bench.table.sweep(bench.now);
    assert_eq!((living(&bench), bench.table.count()), (3, 3));
    bench.now = bench.now + Duration::from_secs(30);
    assert_eq!((living(&bench), bench.table.count()), (0, 3), "by time");
    assert_eq!(living(&bench), 0, "asked again");
}

fn assured_connection(port: u16) -> [crate::packet::Packet; 3] {
    [
        tcp((A, port), (B, 80), (1, 0), SYN),
        tcp((B, 80), (A, port), (100, 2), SYN | ACK),
        tcp((A, port), (B, 80), (2, 101), ACK),
    ]
}

#[test]
fn a_full_table_drops_unassured_flows_first() {
    let mut bench = Bench::new();
    bench.settings.max = 40;
    for port in 0..39 {
        bench.pass_all(assured_connection(1000 + port));
    }
    bench.pass_all([udp((A, 7), (B, 7))]);
    assert_eq!(bench.table.count(), 40);
    bench.pass_all(assured_connection(2000));
    assert_eq!(bench.table.count(), 40);
    let all_assured = bench
        .table
        .flows(bench.now)
        .iter()
        .all(|flow| flow.lock().status.has(Status::ASSURED));
    assert!(all_assured);
    assert_eq!(bench.pass(udp((A, 8), (B, 8))).err(), Some(DropReason::TableFull));
    assert_eq!(bench.states([tcp((A, 2000), (B, 80), (2, 101), ACK)]), ["ESTABLISHED"]);
    bench.settings.max = 0;
    assert_eq!(bench.states([udp((A, 8), (B, 8))]), ["NEW"]);
}

#[test]
fn expired_flows_are_gone_and_collected() {
    let mut bench = Bench::new();
    bench.pass_all([udp((A, 1), (B, 53)), udp((A, 2), (B, 53)), echo(A, B, 8, 7)]);
    bench.now = bench.now + Duration::from_secs(29);
    assert_eq!(bench.states([udp((B, 53), (A, 2))]), ["ESTABLISHED"]);
    bench.now = bench.now + Duration::from_secs(1);
    assert_eq!(bench.table.flows(bench.now).len(), 1);
    assert_eq!(bench.table.count(), 3);
    // An answer that comes too late opens a flow of its own.
    assert_eq!(bench.states([udp((B, 53), (A, 1))]), ["NEW"]);
    assert_eq!(bench.table.sweep(bench.now), 1);
    assert_eq!(bench.table.count(), 2);
    bench.table.flush();
    assert_eq!(bench.table.count(), 0);
}

#[test]
fn flows_are_listed_as_they_came() {
    let bench = Bench::new();
    bench.pass_all((0..200).map(|port| udp((A, 1000 + port), (B, 53))));
    let ports: Vec<_> = bench
        .table
        .flows(bench.now)
        .iter()
        .map(|flow| flow.original().source.id)
        .collect();
    assert_eq!(ports, (1000..1200).collect::<Vec<_>>());
}

/// Where all are assured, one that is about to end goes.
#[test]
fn a_full_table_drops_a_connection_that_ends() {
    let mut bench = Bench::new();
    for port in 0..20 {
        bench.pass_all(assured_connection(1000 + port));
    }
    bench.settings.max = 20;
    assert_eq!(bench.pass(udp((A, 8), (B, 8))).err(), Some(DropReason::TableFull));
    bench.pass_all([tcp((A, 1007), (B, 80), (2, 101), FIN | ACK)]);
    assert_eq!(bench.states([udp((A, 8), (B, 8))]), ["NEW"]);
    let flows = bench.table.flows(bench.now);
    assert_eq!(flows.len(), 20);
    assert!(flows.iter().all(|flow| flow.original().source.id != 1007));
}

#[test]
fn what_is_dropped_says_why() {
    let said = [DropReason::TableFull, DropReason::Clash, DropReason::FlowDied].map(|it| it.to_string());
    assert_eq!(
        said,
        [
            "the table of flows is full",
            "another flow with the same tuple came first",
            "the flow was deleted while its first packet was under way",
        ]
    );
}

static LOADED: &[&ConntrackHelper] = &[&FTP];

#[test]
fn helpers_are_attached_where_asked() {
    let template = |name: &str| {
        Some(Arc::new(Template {
            helper: Some(name.to_owned()),
            ..Template::default()
        }))
    };
    for (loaded, automatic, template, port, expected) in [
        (true, false, None, 21, None),
        (true, true, None, 21, Some("ftp")),
        (true, true, None, 2121, None),
        (false, true, None, 21, None),
        (true, false, template("ftp"), 2121, Some("ftp")),
        (false, false, template("ftp"), 21, None),
        (true, false, template("irc"), 21, None),
    ] {
        let mut bench = Bench::new();
        bench.helpers = if loaded { LOADED } else { &[] };
        bench.settings.automatic_helper = automatic;
        let mut tracking = Tracking {
            template: template.clone(),
            ..Tracking::default()
        };
        let mut packet = tcp((A, 1), (B, port), (1, 0), SYN);
        bench.table.track(&bench.context(), &mut packet, &mut tracking);
        let helper = tracking.flow.unwrap().lock().helper().map(|helper| helper.name);
        assert_eq!(helper, expected, "{loaded} {automatic} {template:?} {port}");
    }
}

pub(super) fn wish(master: &Arc<Flow>, bench: &Bench, port: u16) -> Expectation {
    Expectation {
        class: 0,
        ..announced(bench, master, B, (A, port))
    }
}

fn masters(bench: &Bench) -> [Arc<Flow>; 2] {
    [3000, 3001].map(|port| {
        let (_, tracking) = bench.pass(tcp((A, port), (B, 21), (1, 0), SYN)).unwrap();
        tracking.flow.unwrap()
    })
}

fn expected_ports(bench: &Bench) -> Vec<u16> {
    let all = bench.table.expectations(bench.now);
    all.iter().map(|it| it.tuple.destination.id).collect()
}

/// Each of these was seen on the kernel with two FTP connections.
#[test]
fn expectations_replace_clash_and_die_with_their_master() {
    let mut bench = Bench::new();
    let [first, second] = masters(&bench);
    let expect =
        |bench: &Bench, master: &Arc<Flow>, port| bench.table.expect(bench.now, wish(master, bench, port), 4096);
    expect(&bench, &first, 1025).unwrap();
    assert_eq!(expect(&bench, &second, 1025), Err(ExpectationRefused::Clash));
    expect(&bench, &second, 1026).unwrap();
    assert_eq!(expected_ports(&bench), [1025, 1026]);
    bench.now = bench.now + Duration::from_secs(2);
    expect(&bench, &first, 1025).unwrap();
    expect(&bench, &second, 1027).unwrap();
    assert_eq!(expected_ports(&bench), [1025, 1027]);
    bench.table.delete(&first);
    assert_eq!(expected_ports(&bench), [1027]);
    assert_eq!(expect(&bench, &first, 1025), Err(ExpectationRefused::MasterDied));
    let unbounded = Expectation {
        class: 1,
        ..wish(&second, &bench, 9)
    };
    assert_eq!(
        bench.table.expect(bench.now, unbounded, 1),
        Err(ExpectationRefused::Full)
    );
    bench.now = bench.now + Duration::from_secs(300);
    assert_eq!(expected_ports(&bench), Vec::<u16>::new());
}

#[test]
fn an_expected_flow_is_related_until_it_is_answered() {
    let bench = Bench::new();
    let [master, _] = masters(&bench);
    master.lock().mark = 7;
    bench
        .table
        .expect(bench.now, wish(&master, &bench, 1025), 4096)
        .unwrap();
    let syn = |from: [u8; 4]| tcp((from, 20), (A, 1025), (1, 0), SYN);
    assert_eq!(bench.states([syn([192, 0, 2, 10])]), ["NEW"]);
    let (state, tracking) = bench.pass(syn(B)).unwrap();
    assert_eq!(state.name(), "RELATED");
    let data = tracking.flow.unwrap();
    assert!(data.lock().status.has(Status::EXPECTED));
    assert_eq!(data.lock().mark, 7);
    assert!(Arc::ptr_eq(data.lock().master().unwrap(), &master));
    assert_eq!(expected_ports(&bench), Vec::<u16>::new());
    assert_eq!(
        bench.states([
            syn(B),
            tcp((A, 1025), (B, 20), (1, 2), SYN | ACK),
            tcp((B, 20), (A, 1025), (2, 2), ACK)
        ]),
        ["RELATED", "ESTABLISHED", "ESTABLISHED"]
    );
}

#[test]
fn permanent_stay_and_inactive_open_nothing() {
    let bench = Bench::new();
    let [first, second] = masters(&bench);
    let permanent = Expectation {
        permanent: true,
        ..wish(&first, &bench, 1)
    };
    let inactive = Expectation {
        inactive: true,
        ..wish(&second, &bench, 2)
    };
    bench.table.expect(bench.now, permanent, 9).unwrap();
    bench.table.expect(bench.now, inactive, 9).unwrap();
    let syn = |from, to| tcp((B, from), (A, to), (1, 0), SYN);
    assert_eq!(
        bench.states([syn(20, 1), syn(21, 1), syn(20, 2)]),
        ["RELATED", "RELATED", "NEW"]
    );
    assert_eq!(expected_ports(&bench), [1, 2]);
}

/// The same flows on Linux 6.18 and with conntrack-tools 1.4.7.
#[test]
fn flows_as_text() {
    let mut bench = Bench::new();
    bench.settings.acct = true;
    bench.settings.timestamp = true;
    let [master, _] = masters(&bench);
    master.lock().set_helper(Some(&FTP));
    bench.table.expect(bench.now, wish(&master, &bench, 1025), 9).unwrap();
    bench.pass_all([
        tcp((B, 20), (A, 1025), (1, 0), SYN),
        packet(protocol::DCCP, A, B, b"abcd"),
        packet(protocol::GRE, A, B, &[0, 0, 8, 0]),
        echo(A, B, 8, 7),
    ]);
    bench.now = bench.now + Duration::from_millis(1500);
    let flows = bench.table.flows(bench.now);
    let line = |at: usize, form| text::flow(&flows[at], form, bench.now).unwrap();
    for (at, form, expected) in [
        (
            0,
            FlowForm::Proc,
            "ipv4     2 tcp      6 118 SYN_SENT src=10.0.0.2 dst=192.0.2.9 sport=3000 dport=21 packets=1 bytes=40 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 sport=21 dport=3000 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=3",
        ),
        (
            0,
            FlowForm::Tool,
            "tcp      6 118 SYN_SENT src=10.0.0.2 dst=192.0.2.9 sport=3000 dport=21 packets=1 bytes=40 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 sport=21 dport=3000 packets=0 bytes=0 mark=0 delta-time=1 helper=ftp use=2",
        ),
        (
            1,
            FlowForm::OldProc,
            "tcp      6 118 SYN_SENT src=10.0.0.2 dst=192.0.2.9 sport=3001 dport=21 packets=1 bytes=40 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 sport=21 dport=3001 packets=0 bytes=0 use=1",
        ),
        (
            3,
            FlowForm::ToolExtended,
            "ipv4     2 dccp     33 598 src=10.0.0.2 dst=192.0.2.9 sport=0 dport=0 packets=1 bytes=24 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 sport=0 dport=0 packets=0 bytes=0 mark=0 delta-time=1 use=1",
        ),
        (
            3,
            FlowForm::Proc,
            "ipv4     2 unknown  33 598 src=10.0.0.2 dst=192.0.2.9 packets=1 bytes=24 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
        ),
        (
            4,
            FlowForm::Proc,
            "ipv4     2 gre      47 28 timeout=30, stream_timeout=180 src=10.0.0.2 dst=192.0.2.9 srckey=0x0 dstkey=0x0 packets=1 bytes=24 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 srckey=0x0 dstkey=0x0 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
        ),
        (
            4,
            FlowForm::Tool,
            "gre      47 28 src=10.0.0.2 dst=192.0.2.9 srckey=0x0 dstkey=0x0 packets=1 bytes=24 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 srckey=0x0 dstkey=0x0 packets=0 bytes=0 mark=0 delta-time=1 use=1",
        ),
        (
            5,
            FlowForm::Tool,
            "icmp     1 28 src=10.0.0.2 dst=192.0.2.9 type=8 code=0 id=7 packets=1 bytes=36 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 type=0 code=0 id=7 packets=0 bytes=0 mark=0 delta-time=1 use=1",
        ),
    ] {
        assert_eq!(line(at, form), expected);
    }
    // A flow keeps what it began with, whatever the knobs say later.
    bench.settings.timestamp = false;
    assert!(line(2, FlowForm::Proc).contains(" delta-time=1 "));
    bench.pass_all([echo(A, B, 8, 8)]);
    bench.settings.timestamp = true;
    let flows = bench.table.flows(bench.now);
    let last = text::flow(flows.last().unwrap(), FlowForm::Proc, bench.now).unwrap();
    assert!(!last.contains("delta-time"), "{last}");
    bench.table.delete(&flows[2]);
    assert_eq!(text::flow(&flows[2], FlowForm::Tool, bench.now), None);
}

#[test]
fn expectations_as_text() {
    let mut bench = Bench::new();
    let [master, _] = masters(&bench);
    let mut made = wish(&master, &bench, 1025);
    bench.now = bench.now + Duration::from_millis(500);
    assert_eq!(
        text::expectation(&made, ExpectationForm::Proc, bench.now),
        "299 l3proto = 2 proto=6 src=192.0.2.9 dst=10.0.0.2 sport=0 dport=1025 ftp"
    );
    assert_eq!(
        text::expectation(&made, ExpectationForm::Tool, bench.now),
        "299 proto=6 src=192.0.2.9 dst=10.0.0.2 sport=0 dport=1025 mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 dport=65535 \
         master-src=10.0.0.2 master-dst=192.0.2.9 sport=3000 dport=21 class=0 helper=ftp"
    );
    made.permanent = true;
    made.inactive = true;
    assert!(text::expectation(&made, ExpectationForm::Proc, bench.now).ends_with("dport=1025 PERMANENT,INACTIVE ftp"));
}

/// What the kernel handed to a program under `nf_conntrack_log_invalid`: the numbers are those of its lines about the same packets.
#[test]
fn what_the_log_says_of_it() {
    let bench = Bench::new();
    let quote = |from, to| {
        let quoted = udp((from, 7), (to, 8));
        packet(
            protocol::ICMP,
            to,
            from,
            &crate::wire::icmpv4::emit(3, 3, 0, quoted.bytes()),
        )
    };
    for (packet, code, line) in [
        (packet(protocol::TCP, A, B, &[0; 19]), "tcp-truncated", None),
        (
            tcp((A, 1), (B, 80), (1, 0), SYN | FIN),
            "tcp-flag-combination",
            Some("nf_ct_proto_6: invalid tcp flag combination "),
        ),
        (
            tcp((A, 1), (B, 80), (1, 0), SYN | ACK),
            "tcp-cannot-open",
            Some("nf_ct_proto_6: invalid new "),
        ),
        (packet(protocol::UDP, A, B, &[0; 3]), "header-truncated", None),
        (
            packet(protocol::UDP, A, B, &[0; 4]),
            "header-truncated",
            Some("nf_ct_proto_17: short packet "),
        ),
        (
            packet(protocol::UDP, A, B, &[0; 8]),
            "udp-length",
            Some("nf_ct_proto_17: truncated/malformed packet "),
        ),
        (
            packet(protocol::UDPLITE, A, B, &[0, 1, 0, 2, 0, 8, 0, 0]),
            "udplite-no-checksum",
            Some("nf_ct_proto_136: checksum missing "),
        ),
        (
            packet(protocol::UDPLITE, A, B, &[0, 1, 0, 2, 0, 9, 0, 0]),
            "udplite-coverage",
            Some("nf_ct_proto_136: invalid checksum coverage "),
        ),
        (
            packet(protocol::ICMP, A, B, &[8]),
            "header-truncated",
            Some("nf_ct_proto_1: short packet "),
        ),
        (
            echo(A, B, 19, 1),
            "icmp-unknown-type",
            Some("nf_ct_proto_1: invalid icmp type "),
        ),
        (echo(A, B, 0, 1), "icmp-unasked", None),
        (quote(B, A), "quote-of-no-flow", None),
        (
            packet(protocol::GRE, A, B, &[0x20, 1, 1, 1, 0, 0, 0, 1]),
            "gre-not-ppp",
            None,
        ),
        (packet(protocol::SCTP, A, B, &[0, 1, 0]), "sctp-truncated", None),
        (
            packet(protocol::SCTP, A, B, &[0, 1, 0, 2]),
            "sctp-truncated",
            Some("nf_ct_proto_132: nf_ct_sctp: short packet  "),
        ),
    ] {
        said(&bench, packet, code, line);
    }
    // 65,535 is the window of both.
    bench.pass_all([
        tcp((A, 1), (B, 80), (100, 0), SYN),
        tcp((B, 80), (A, 1), (500, 101), SYN | ACK),
        tcp((A, 1), (B, 80), (101, 501), ACK),
    ]);
    let (there, back) = (((A, 1), (B, 80)), ((B, 80), (A, 1)));
    for ((from, to), numbers, flags, code, line) in [
        (
            there,
            (131_300, 501),
            ACK,
            "tcp-sequence-above-window",
            "SEQ is over upper bound 65637 (over the window of the receiver)",
        ),
        (
            there,
            (101, 502),
            ACK,
            "tcp-acknowledges-unseen",
            "ACK is over upper bound 502 (ACKed data not seen yet)",
        ),
        (
            there,
            (101_u32.wrapping_sub(65_537), 501),
            ACK,
            "tcp-sequence-below-window",
            "SEQ is under lower bound 4294901861 (already ACKed data retransmitted)",
        ),
        (
            back,
            (501, 101_u32.wrapping_sub(66_001)),
            ACK,
            "tcp-stale-acknowledgement",
            "ignored ACK under lower bound 4294901396 (possible overly delayed)",
        ),
        (
            there,
            (100, 501),
            SYN | ACK,
            "tcp-out-of-state",
            "packet (index 1) in dir 0 invalid, state ESTABLISHED",
        ),
        (there, (100, 501), RST, "tcp-stale-reset", "invalid rst"),
        (
            back,
            (500, 101),
            SYN | ACK,
            "tcp-may-be-an-answer",
            "packet (index 1) in dir 1 ignored, state ESTABLISHED",
        ),
        (there, (65_638, 501), ACK, "tcp-overshot", "3 bytes more than expected"),
    ] {
        said(
            &bench,
            tcp(from, to, numbers, flags),
            code,
            Some(&format!("nf_ct_proto_6: {line} ")),
        );
    }
}

fn said(bench: &Bench, mut packet: crate::packet::Packet, code: &str, line: Option<&str>) {
    let protocol = packet.protocol();
    let (tracked, _) = bench.track(&mut packet);
    let Tracked::Accept(reason) = tracked else {
        panic!("{code}: {tracked:?}");
    };
    assert_eq!(reason.code(), Some(code), "{reason:?}");
    assert_eq!(reason.log_line(protocol).as_deref(), line, "{reason:?}");
}

families! {
    fn a_datagram_and_its_answer(family: Family) {
        let (client, server) = ((host(family, 2), 4000), (host(family, 9), 53));
        let bench = Bench::new();
        let states = bench.states([
            datagram(client, server, b"?"),
            datagram(server, client, b"!"),
            datagram(client, server, b"?"),
            datagram(server, (client.0, 4001), b"!"),
        ]);
        assert_eq!(states, ["NEW", "ESTABLISHED", "ESTABLISHED", "NEW"]);
        let flows = bench.table.flows(bench.now);
        assert_eq!(flows.iter().map(|flow| flow.original().family()).collect::<Vec<_>>(), [family; 2]);
    }
}
