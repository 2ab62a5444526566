//! What is done at each stage: which tables are asked about which packet, when it is tracked, and when its flow enters the table.

use crate::base::Family;
use crate::conntrack::CtState;
use crate::engine::Fate;
use crate::engine::example::{Example, fate, table};
use crate::net::example::{LAN, Make, WAN, icmp, net, udp};
use crate::rule::{Table, TableRules};
use crate::wire::icmpv4;

/// Every table there is, empty; nothing in them needs tracking.
fn empty_tables() -> Vec<TableRules> {
    Table::ALL
        .into_iter()
        .map(|it| TableRules::new(Family::V4, it))
        .collect()
}

/// A rule that makes the router track, and lets everything pass.
fn tracking() -> TableRules {
    table(Table::Raw, &[("PREROUTING", &["yes"])])
}

#[test]
fn tables_are_asked_in_the_order_of_the_hooks() {
    let ping = |source, destination| icmp(source, destination, icmpv4::kind::ECHO_REPLY, 0, b"data").bytes();
    let forwarded = &[
        "PREROUTING",
        "raw",
        "mangle",
        "FORWARD",
        "mangle",
        "filter",
        "security",
        "POSTROUTING",
        "mangle",
    ];
    let delivered = &["PREROUTING", "raw", "mangle", "INPUT", "mangle", "filter", "security"];
    let sent = &["OUTPUT", "raw", "mangle", "filter", "security", "POSTROUTING", "mangle"];
    // Without tracking the nat table is not asked.
    let mut example = Example::with(net(), empty_tables());
    assert_eq!(
        example.receive(LAN, &ping("10.0.0.2", "198.18.0.9")).0.stages,
        *forwarded
    );
    assert_eq!(example.receive(LAN, &ping("10.0.0.2", "10.0.0.1")).0.stages, *delivered);
    assert_eq!(example.send(&ping("192.0.2.1", "198.18.0.9")).0.stages, *sent);
    assert_eq!(example.router.flows().count(), 0);
    // Tables that do not exist are not asked.
    let mut example = Example::with(net(), [table(Table::Filter, &[])]);
    let stages = example.receive(LAN, &ping("10.0.0.2", "198.18.0.9")).0.stages;
    assert_eq!(stages, ["PREROUTING", "FORWARD", "filter", "POSTROUTING"]);
}

/// The nat table is asked about the first packet of a flow, once at each end; what follows keeps what was decided, and an error goes with its flow.
#[test]
fn nat_is_asked_once() {
    let mut example = Example::with(
        net(),
        [
            tracking(),
            table(Table::Nat, &[("PREROUTING", &[""]), ("POSTROUTING", &[""])]),
        ],
    );
    let there = udp("10.0.0.2", "198.18.0.9", 8).bytes();
    let asked = |stages: &[String]| stages.iter().filter(|it| *it == "nat").count();
    let (way, report) = example.receive(LAN, &there);
    assert_eq!((asked(&way.stages), report.state), (2, Some(CtState::New)));
    assert_eq!(example.router.flows().count(), 1);
    // A second packet without an answer is NEW still, and decided.
    let (way, report) = example.receive(LAN, &there);
    assert_eq!((asked(&way.stages), report.state), (0, Some(CtState::New)));
    let unasked = |way: &crate::engine::example::Way, why: &str| {
        way.told
            .iter()
            .filter(|it| it.contains("nat not asked") && it.contains(why))
            .count()
    };
    assert_eq!(unasked(&way, "Decided"), 2, "{:?}", way.told);
    let mut back = udp("198.18.0.9", "10.0.0.2", 8);
    back.transport[..4].copy_from_slice(&[0x13, 0x88, 0x0f, 0xa0]);
    back.transport[6..8].fill(0);
    let (way, report) = example.receive(WAN, &back.bytes());
    assert_eq!((asked(&way.stages), report.state), (0, Some(CtState::Established)));
    let error = icmp(
        "198.18.0.7",
        "10.0.0.2",
        icmpv4::kind::DESTINATION_UNREACHABLE,
        1,
        &there,
    );
    let (way, report) = example.receive(WAN, &error.bytes());
    assert_eq!((asked(&way.stages), report.state), (0, Some(CtState::Related)));
    assert_eq!(unasked(&way, "AboutAnother"), 2, "{:?}", way.told);
    assert_eq!(example.counted(Table::Nat)[0].1, [1, 1]);
}

/// A flow enters the table when its first packet gets out: not where a rule stops it on its way, wherever that is.
#[test]
fn a_flow_that_does_not_get_out_never_existed() {
    for (of, chain) in [
        (Table::Mangle, "PREROUTING drop"),
        (Table::Nat, "PREROUTING drop"),
        (Table::Filter, "FORWARD drop"),
        (Table::Security, "FORWARD drop"),
        (Table::Mangle, "POSTROUTING drop"),
        (Table::Nat, "POSTROUTING drop"),
    ] {
        let mut example = Example::with(net(), [tracking(), table(of, &[(chain, &[])])]);
        let (way, report) = example.receive(LAN, &udp("10.0.0.2", "198.18.0.9", 8).bytes());
        assert!(
            fate(&report).starts_with("dropped by the policy"),
            "{chain}: {report:?}"
        );
        assert_eq!(report.state, Some(CtState::New), "{chain}");
        assert!(
            way.told.contains(&"tracked Some(New)".to_owned()),
            "{chain}: {:?}",
            way.told
        );
        assert_eq!(example.router.flows().count(), 0, "{chain} of {}", of.name());
    }
    let mut example = Example::with(net(), [tracking(), table(Table::Raw, &[("PREROUTING drop", &["yes"])])]);
    assert_eq!(
        example.receive(LAN, &udp("10.0.0.2", "198.18.0.9", 8).bytes()).1.state,
        None
    );
    // What is for the router itself enters at the end of INPUT.
    let mut example = Example::with(net(), [tracking()]);
    example.receive(
        LAN,
        &icmp("10.0.0.2", "10.0.0.1", icmpv4::kind::ECHO_REQUEST, 0, b"data").bytes(),
    );
    assert_eq!(example.router.flows().count(), 1);
}

/// What a rule of raw leaves untracked has no flow, meets no nat, and its fragments are not gathered.
#[test]
fn untracked_is_left_alone() {
    let untracked = table(Table::Raw, &[("PREROUTING", &["yes UNTRACK"])]);
    let mut example = Example::with(net(), [untracked, table(Table::Nat, &[("POSTROUTING drop", &[])])]);
    let (way, report) = example.receive(LAN, &udp("10.0.0.2", "198.18.0.9", 8).bytes());
    assert_eq!((report.fate, report.state), (Fate::Forwarded, Some(CtState::Untracked)));
    assert!(!way.stages.contains(&"nat".to_owned()));
    assert_eq!(example.router.flows().count(), 0);
}

/// Fragments are gathered before raw where anything is tracked, and pass one by one where nothing is.
#[test]
fn fragments_are_gathered_for_tracking() {
    let whole = udp("10.0.0.2", "198.18.0.9", 64);
    let first = Make {
        fragment_field: 0x2000,
        transport: whole.transport[..32].to_vec(),
        ..whole.clone()
    };
    let last = Make {
        fragment_field: 4,
        transport: whole.transport[32..].to_vec(),
        ..whole
    };
    let mut example = Example::with(net(), [tracking()]);
    let (way, report) = example.receive(LAN, &first.bytes());
    assert_eq!(fate(&report), "held until its other fragments come");
    assert_eq!(way.stages, ["PREROUTING"], "no table sees a piece");
    let (way, report) = example.receive(LAN, &last.bytes());
    assert_eq!((report.fate, report.state), (Fate::Forwarded, Some(CtState::New)));
    assert!(way.told.contains(&"reassembled".to_owned()), "{:?}", way.told);
    assert_eq!(example.counted(Table::Raw)[0].1, [1, 1]);
    assert_eq!(example.worker.output().len(), 2, "it leaves in the pieces it came in");

    let mut example = Example::with(net(), [table(Table::Raw, &[("PREROUTING", &[""])])]);
    for piece in [first, last] {
        assert_eq!(example.receive(LAN, &piece.bytes()).1.fate, Fate::Forwarded);
    }
    assert_eq!(example.counted(Table::Raw)[0].1, [2, 2]);
}

/// A mark that mangle sets in OUTPUT lets the way out be looked up anew; one that is as it was does not.
#[test]
fn output_is_routed_anew_where_its_key_changed() {
    for (rules, again) in [(&["MARK 5"][..], true), (&["MARK 0"], false), (&[""], false)] {
        let mut example = Example::with(net(), [table(Table::Mangle, &[("OUTPUT", rules)])]);
        let (way, report) = example.send(&udp("192.0.2.1", "198.18.0.9", 8).bytes());
        assert_eq!(report.fate, Fate::Sent);
        assert_eq!(
            way.told.contains(&"routed anew".to_owned()),
            again,
            "{rules:?}: {:?}",
            way.told
        );
    }
    // Another table's mark does not.
    let mut example = Example::with(net(), [table(Table::Filter, &[("OUTPUT", &["MARK 5"])])]);
    let (way, _) = example.send(&udp("192.0.2.1", "198.18.0.9", 8).bytes());
    assert!(!way.told.contains(&"routed anew".to_owned()), "{:?}", way.told);
}
