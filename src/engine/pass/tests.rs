//! One packet's pass: what comes in, what the router sends of its own, and what goes round.

use crate::base::{Family, InterfaceId, Time, protocol};
use crate::engine::example::{Example, fate, table};
use crate::engine::{Fate, Port, Reason, Silent};
use crate::net::example::{BARE, LAN, Make, WAN, icmp, net, set, udp};
use crate::net::{DropReason, Net, Route, RouteKind, RouteSelector};
use crate::packet::{ChecksumState, Offload, Packet};
use crate::rule::Table;
use crate::wire::icmpv4;

/// A name, where it comes in, the packet, what becomes of it (empty: the host stops it), and what leaves.
type Case = (
    &'static str,
    InterfaceId,
    Vec<u8>,
    &'static str,
    &'static [&'static str],
);

/// The packets that left, each in words: where, from whom to whom, which protocol.
fn left(example: &Example) -> Vec<String> {
    let words = |emission: &crate::engine::Emission| {
        let packet = Packet::parse(emission.bytes.clone()).unwrap();
        let port = match emission.port {
            Port::Local => "router".to_owned(),
            Port::Interface(id) => example.router.config().net.interface(id).name.to_string(),
        };
        let what = packet.icmpv4().map_or_else(
            || format!("p{}", packet.protocol()),
            |message| format!("icmp {}/{}", message.kind(), message.code()),
        );
        format!("{port} {}>{} {what}", packet.source(), packet.destination())
    };
    example.worker.output().iter().map(words).collect()
}

/// As seen of the kernel: one packet for rules and counters, cut where its segments would not fit, and refused by their size alone.
#[test]
fn what_stands_for_many_goes_whole_where_it_can() {
    let udp = |destination, field| Make {
        fragment_field: field,
        ..udp("10.0.0.2", destination, 2000)
    };
    // 198.52.0.9 is behind a route with an MTU of 700.
    for (destination, field, size, to_devices, expected) in [
        ("198.18.0.9", 0x4000, 1000, true, &[(2028, 1000)][..]),
        ("198.18.0.9", 0x4000, 1000, false, &[(1028, 0), (1028, 0)]),
        ("198.52.0.9", 0x4000, 672, true, &[(2028, 672)]),
        ("198.52.0.9", 0x4000, 673, true, &[(576, 0)]),
        ("198.52.0.9", 0, 1000, true, &[(700, 0), (348, 0), (700, 0), (348, 0)]),
        ("198.18.0.9", 0, 1000, false, &[(1028, 0), (1028, 0)]),
    ] {
        let rules = table(Table::Filter, &[("FORWARD", &["yes"])]);
        let mut example = Example::with(net(), [rules]);
        if to_devices {
            example.worker.leave_to_devices();
        }
        let mut bytes = udp(destination, field).bytes();
        let offload = Offload {
            checksum: ChecksumState::Partial,
            segment_size: size,
            ecn: false,
        };
        let (router, worker) = (&example.router, &mut example.worker);
        let report = router.receive_with(worker, example.now, LAN, (&mut bytes, offload), &mut Silent);
        let left: Vec<(usize, u16)> = worker
            .output()
            .iter()
            .map(|it| (it.bytes.len(), it.offload.segment_size))
            .collect();
        assert_eq!(left, expected, "{destination} {size} {to_devices}: {}", fate(&report));
        let counted = router.counters(Family::V4, Table::Filter);
        let all: Vec<(u64, u64)> = counted.values().map(|it| (it.packets, it.bytes)).collect();
        let is_refused = expected[0].0 == 576;
        assert_eq!(all.contains(&(1, 2028)), !is_refused, "{all:?}");
        let is_once = |it: &(u64, u64)| [(0, 0), (1, 2028), (1, 576)].contains(it);
        assert!(all.iter().all(is_once), "{all:?}");
    }
}

#[test]
fn what_no_device_can_mean_is_dropped() {
    let mut example = Example::new(net());
    let mut bytes = icmp("10.0.0.2", "198.18.0.9", 8, 0, &[0; 100]).bytes();
    let offload = Offload {
        checksum: ChecksumState::Partial,
        segment_size: 50,
        ecn: false,
    };
    let (router, worker) = (&example.router, &mut example.worker);
    let report = router.receive_with(worker, example.now, LAN, (&mut bytes, offload), &mut Silent);
    assert_eq!(report.fate, Fate::Stopped(Reason::Host(DropReason::SegmentsRefused)));
    assert!(example.worker.output().is_empty());
}

#[test]
fn what_comes_in_goes_where_it_has_to() {
    let forwarded = |destination| udp("10.0.0.2", destination, 8);
    let expired = Make {
        ttl: 1,
        ..forwarded("198.18.0.9")
    };
    let large = Make {
        fragment_field: 0x4000,
        ..udp("10.0.0.2", "198.52.0.9", 800)
    };
    let pieces = udp("10.0.0.2", "198.52.0.9", 800);
    let broken = Make {
        options: vec![0x44, 3],
        ..forwarded("198.18.0.9")
    };
    let cases: &[Case] = &[
        (
            "forwarded",
            LAN,
            forwarded("198.18.0.9").bytes(),
            "Forwarded",
            &["wan 10.0.0.2>198.18.0.9 p17"],
        ),
        (
            "the last hop is told",
            LAN,
            expired.bytes(),
            "",
            &["lan 10.0.0.1>10.0.0.2 icmp 11/0"],
        ),
        (
            "too big, and not to be cut",
            LAN,
            large.bytes(),
            "",
            &["lan 10.0.0.1>10.0.0.2 icmp 3/4"],
        ),
        (
            "cut",
            LAN,
            pieces.bytes(),
            "Forwarded",
            &["wan 10.0.0.2>198.52.0.9 p17", "wan 10.0.0.2>198.52.0.9 p17"],
        ),
        (
            "an unreachable route is told",
            LAN,
            forwarded("198.51.1.9").bytes(),
            "",
            &["lan 10.0.0.1>10.0.0.2 icmp 3/1"],
        ),
        ("a black hole is not", LAN, forwarded("198.51.0.9").bytes(), "", &[]),
        (
            "delivered, and answered",
            LAN,
            icmp("10.0.0.2", "10.0.0.1", icmpv4::kind::ECHO_REQUEST, 0, b"data").bytes(),
            "Delivered",
            &["router 10.0.0.2>10.0.0.1 icmp 8/0", "lan 10.0.0.1>10.0.0.2 icmp 0/0"],
        ),
        (
            "delivered, and refused",
            LAN,
            forwarded("10.0.0.1").bytes(),
            "Delivered",
            &["router 10.0.0.2>10.0.0.1 p17", "lan 10.0.0.1>10.0.0.2 icmp 3/3"],
        ),
        ("not a packet at all", LAN, vec![0x45, 0, 0], "", &[]),
        (
            "options that cannot be read",
            LAN,
            broken.bytes(),
            "",
            &["lan 10.0.0.1>10.0.0.2 icmp 12/0"],
        ),
    ];
    for (name, interface, bytes, became, out) in cases {
        let mut example = Example::new(net());
        let (way, report) = example.receive(*interface, bytes);
        if became.is_empty() {
            assert!(
                matches!(report.fate, Fate::Stopped(Reason::Host(_))),
                "{name}: {report:?}"
            );
        } else {
            assert!(fate(&report).contains(became), "{name}: {report:?}");
        }
        assert_eq!(left(&example), *out, "{name}");
        // What stopped it is told once, before anything that is sent because of it.
        let stops = way.told.iter().filter(|it| it.starts_with("stopped")).count();
        assert_eq!(
            stops,
            usize::from(matches!(report.fate, Fate::Stopped(_))),
            "{name}: {:?}",
            way.told
        );
    }
}

/// Where a link is down nothing comes in: no hook sees it.
#[test]
fn a_link_that_is_down() {
    let down = |name: InterfaceId| {
        let mut net = net();
        net.set_link_up(name, false).unwrap();
        net
    };
    let bytes = udp("10.0.0.2", "198.18.0.9", 8).bytes();
    let mut example = Example::new(down(LAN));
    let (way, report) = example.receive(LAN, &bytes);
    assert!(matches!(report.fate, Fate::Stopped(Reason::Host(_))));
    assert!(way.stages.is_empty(), "{:?}", way.stages);
}

/// A program's packet: the router fills in what the program left open, and refuses what it cannot send.
#[test]
fn what_the_router_sends_of_its_own() {
    let unsaid = Make {
        source: "0.0.0.0",
        identification: 0,
        ..udp("0.0.0.0", "198.18.0.9", 8)
    };
    let mut example = Example::new(net());
    let (way, report) = example.send(&unsaid.bytes());
    assert_eq!(report.fate, Fate::Sent);
    assert_eq!(left(&example), ["wan 192.0.2.1>198.18.0.9 p17"]);
    assert_eq!(way.stages, ["OUTPUT", "POSTROUTING"]);
    let sent = Packet::parse(example.worker.output()[0].bytes.clone()).unwrap();
    let header = sent.ipv4().unwrap();
    assert!(header.checksum_is_right());
    assert_ne!(header.identification(), 0);

    let (_, report) = example.send(&udp("192.0.2.1", "198.18.0.9", 1500).bytes());
    assert_eq!(report.fate, Fate::Stopped(Reason::MessageTooLong));
    // A route's own MTU is not the link's: such a packet is cut, not refused.
    let (_, report) = example.send(&udp("192.0.2.1", "198.52.0.9", 800).bytes());
    assert_eq!(report.fate, Fate::Sent);
    assert_eq!(left(&example).len(), 2);
    for destination in ["198.51.0.9", "198.51.1.9", "203.0.113.9"] {
        let (way, report) = example.send(&udp("192.0.2.1", destination, 8).bytes());
        assert!(matches!(report.fate, Fate::Stopped(Reason::NoWay(_))), "{report:?}");
        assert!(way.stages.is_empty() && left(&example).is_empty());
    }
    let (_, report) = example.send(&[0x45, 0, 0]);
    assert!(matches!(report.fate, Fate::Stopped(Reason::Host(_))), "{report:?}");
}

/// What the router sends to itself leaves by `lo` and comes in by it, with the hooks of both.
#[test]
fn what_it_sends_to_itself_comes_round() {
    let mut example = Example::new(net());
    let (way, report) = example.send(&icmp("10.0.0.1", "10.0.0.1", icmpv4::kind::ECHO_REQUEST, 0, b"data").bytes());
    assert_eq!(report.fate, Fate::Sent);
    let round = ["OUTPUT", "POSTROUTING", "PREROUTING", "INPUT"];
    assert_eq!(way.stages, [round, round].concat(), "the request, then its answer");
    assert_eq!(
        left(&example),
        ["router 10.0.0.1>10.0.0.1 icmp 8/0", "router 10.0.0.1>10.0.0.1 icmp 0/0"]
    );
}

/// The router's own broadcast reaches itself too, at once where a program sent it.
#[test]
fn a_broadcast_is_heard_by_who_sends_it() {
    let mut example = Example::new(net());
    let (way, report) = example.send(&udp("10.0.0.1", "10.0.0.255", 8).bytes());
    assert_eq!(report.fate, Fate::Sent);
    assert!(way.told.contains(&"copied".to_owned()), "{:?}", way.told);
    assert_eq!(
        way.stages,
        ["OUTPUT", "POSTROUTING", "PREROUTING", "INPUT", "POSTROUTING"]
    );
    assert_eq!(
        left(&example),
        ["router 10.0.0.1>10.0.0.255 p17", "lan 10.0.0.1>10.0.0.255 p17"]
    );
    // A rule that stops the copy does not stop what it was made of, and the other way round.
    let stops = table(Table::Filter, &[("INPUT drop", &[])]);
    let mut example = Example::with(net(), [stops]);
    assert_eq!(
        example.send(&udp("10.0.0.1", "10.0.0.255", 8).bytes()).1.fate,
        Fate::Sent
    );
    assert_eq!(left(&example), ["lan 10.0.0.1>10.0.0.255 p17"]);
}

/// Fragments that stay alone run out, and their sender is told of it if the first one is there.
#[test]
fn fragments_run_out() {
    for (first, told) in [(true, 1), (false, 0)] {
        let whole = udp("10.0.0.2", "10.0.0.1", 64);
        let piece = match first {
            true => Make {
                fragment_field: 0x2000,
                transport: whole.transport[..32].to_vec(),
                ..whole
            },
            false => Make {
                fragment_field: 4,
                transport: whole.transport[32..].to_vec(),
                ..whole
            },
        };
        let mut example = Example::new(net());
        let (_, report) = example.receive(LAN, &piece.bytes());
        assert_eq!(report.fate, Fate::Stopped(Reason::HeldFragment));
        let later = example.now + std::time::Duration::from_secs(60);
        example
            .router
            .tick(&mut example.worker, later, &mut crate::engine::Silent);
        assert_eq!(left(&example).len(), told, "{:?}", left(&example));
        assert!(left(&example).iter().all(|it| it == "lan 10.0.0.1>10.0.0.2 icmp 11/1"));
    }
}

/// A packet that a rule rejects, or that no hook lets out, causes nothing more than its own answer: a router that answers its own answers
/// would never end.
#[test]
fn an_icmp_error_causes_no_other() {
    let mut net: Net = net();
    set(&mut net, &[("icmp_ratelimit", 0)]);
    let mut example = Example::with(net, [table(Table::Filter, &[("OUTPUT drop", &[])])]);
    let (way, report) = example.receive(LAN, &udp("10.0.0.2", "10.0.0.1", 8).bytes());
    assert_eq!(report.fate, Fate::Delivered);
    assert_eq!(left(&example), ["router 10.0.0.2>10.0.0.1 p17"]);
    assert_eq!(way.stages, ["PREROUTING", "INPUT", "filter", "OUTPUT", "filter"]);
}

/// An interface without an address forwards as any other; each packet keeps its number, and what came of the one before is gone.
#[test]
fn each_packet_stands_alone() {
    let mut example = Example::new(net());
    for number in 1..=3 {
        let (_, report) = example.receive(
            if number == 2 { BARE } else { LAN },
            &udp("10.0.0.2", "198.18.0.9", 8).bytes(),
        );
        assert_eq!(example.worker.number(), number);
        let came = usize::from(report.fate == Fate::Forwarded);
        assert_eq!(left(&example).len(), came, "{report:?}");
    }
    assert!(example.now > Time::ZERO);
    let strange = Make::new("10.0.0.2", "198.18.0.9", protocol::GRE, vec![0; 8]);
    assert_eq!(example.receive(LAN, &strange.bytes()).1.fate, Fate::Forwarded);
    assert_eq!(
        example.receive(WAN, &udp("198.18.0.9", "10.0.0.2", 8).bytes()).1.fate,
        Fate::Forwarded
    );
}

/// A program's packet may be as large as the interface takes, to the byte.
#[test]
fn a_program_sends_what_the_interface_takes() {
    // `sml` takes 600 bytes.
    for (data, goes) in [(572, true), (573, false)] {
        let mut example = Example::new(net());
        let (_, report) = example.send(&udp("172.16.0.1", "172.16.0.9", data).bytes());
        let expected = match goes {
            true => Fate::Sent,
            false => Fate::Stopped(Reason::MessageTooLong),
        };
        assert_eq!(report.fate, expected, "{data}");
        assert_eq!(example.worker.output().len(), usize::from(goes));
    }
}

/// What routing said of a packet holds for the next of its kind until the configuration is another, however that came.
#[test]
fn the_first_packet_after_a_change_of_routes_goes_its_new_way() {
    let mut example = Example::new(net());
    let bytes = udp("10.0.0.2", "198.18.0.9", 1).bytes();
    let route = |kind| Route {
        kind,
        ..Route::new("198.18.0.9".parse().unwrap())
    };
    let goes = |example: &mut Example| {
        let first = fate(&example.receive(LAN, &bytes).1);
        assert_eq!(fate(&example.receive(LAN, &bytes).1), first);
        first
    };
    assert_eq!(goes(&mut example), "Forwarded");
    let change = example
        .router
        .configure(|config| config.net.add_route(route(RouteKind::Blackhole)));
    change.unwrap();
    assert_ne!(goes(&mut example), "Forwarded");
    let only = RouteSelector::only(&route(RouteKind::Blackhole));
    let change = example.router.change_net(|net| net.remove_first_route(&only).map(drop));
    change.unwrap();
    assert_eq!(goes(&mut example), "Forwarded");
    // The same again, so that one configuration may lie where the one before the last lay.
    for _ in 0..20 {
        let change = example
            .router
            .configure(|config| config.net.add_route(route(RouteKind::Blackhole)));
        change.unwrap();
        assert_ne!(goes(&mut example), "Forwarded");
        let change = example
            .router
            .configure(|config| config.net.remove_first_route(&only).map(drop));
        change.unwrap();
        assert_eq!(goes(&mut example), "Forwarded");
    }
}
