//! The way through a table: which rules are asked, in which order, what counts, and who decides.

use std::cell::Cell;

use super::{MOST_VISITS, Visits, Walk};
use crate::base::{InterfaceName, Random, Time};
use crate::conntrack::Tracking;
use crate::engine::compile::Entry;
use crate::engine::example::{Example, fate, table};
use crate::engine::short_way::Notes;
use crate::nat::{Manip, NatRange};
use crate::net::example::{LAN, net, udp};
use crate::packet::Packet;
use crate::rule::{Hook, LogRecord, Services, Table, TargetVerdict};

/// Chains, the way through them, and what became of the packet.
type Case = (
    &'static [(&'static str, &'static [&'static str])],
    &'static [&'static str],
    &'static str,
);

const CASES: &[Case] = &[
    // The policy decides where nobody else does.
    (&[("FORWARD", &[])], &["FORWARD Accept"], "Forwarded"),
    (
        &[("FORWARD drop", &[])],
        &["FORWARD Drop"],
        "dropped by the policy of filter FORWARD",
    ),
    // Rules are asked in order; the first that decides ends it.
    (
        &[("FORWARD drop", &["", "no drop", "yes accept", "drop"])],
        &["FORWARD 1", "FORWARD 2 failed: No", "FORWARD 3"],
        "Forwarded",
    ),
    (
        &[("FORWARD", &["drop", "accept"])],
        &["FORWARD 1"],
        "dropped by rule 1 of filter FORWARD",
    ),
    (
        &[("FORWARD", &["queue"])],
        &["FORWARD 1"],
        "queued by rule 1 of filter FORWARD, and nobody listens",
    ),
    // The selector before the matches, the matches as they stand, and none behind one that fails.
    (
        &[("FORWARD drop", &["from wan broken accept", "to wan yes accept"])],
        &["FORWARD 1 failed: -i wan: packet came in by lan", "FORWARD 2"],
        "Forwarded",
    ),
    (
        &[("FORWARD", &["no broken drop", "yes no drop"])],
        &["FORWARD 1 failed: No", "FORWARD 2 failed: No", "FORWARD Accept"],
        "Forwarded",
    ),
    (
        &[("FORWARD", &["yes broken accept", "accept"])],
        &["FORWARD 1 failed: Malformed"],
        "dropped at rule 1 of filter FORWARD: its transport header is cut short",
    ),
    // What matches that were met say of what they have counted.
    (
        &[(
            "FORWARD drop",
            &["yes tells once", "tells twice yes tells thrice accept"],
        )],
        &["FORWARD 1: once", "FORWARD 2: twice; thrice"],
        "Forwarded",
    ),
    // A jump comes back behind itself, at the chain's end and at RETURN.
    (
        &[("FORWARD drop", &["jump a", "accept"]), ("a", &["no drop"])],
        &["FORWARD 1", "a 1 failed: No", "a back to FORWARD", "FORWARD 2"],
        "Forwarded",
    ),
    (
        &[("FORWARD drop", &["jump a", "accept"]), ("a", &["return", "drop"])],
        &["FORWARD 1", "a 1", "a back to FORWARD", "FORWARD 2"],
        "Forwarded",
    ),
    (
        &[
            ("FORWARD drop", &["jump a", "accept"]),
            ("a", &["jump b", "return"]),
            ("b", &[]),
        ],
        &[
            "FORWARD 1",
            "a 1",
            "b back to a",
            "a 2",
            "a back to FORWARD",
            "FORWARD 2",
        ],
        "Forwarded",
    ),
    // What was gone to comes back where the last jump was, and without one to the policy.
    (
        &[
            ("FORWARD drop", &["jump a", "accept"]),
            ("a", &["goto b", "drop"]),
            ("b", &[]),
        ],
        &["FORWARD 1", "a 1", "b back to FORWARD", "FORWARD 2"],
        "Forwarded",
    ),
    (
        &[("FORWARD drop", &["goto a", "accept"]), ("a", &[""])],
        &["FORWARD 1", "a 1", "a back to FORWARD", "FORWARD Drop"],
        "dropped by the policy of filter FORWARD",
    ),
    (
        &[("FORWARD drop", &["goto a", "accept"]), ("a", &["return"])],
        &["FORWARD 1", "a 1", "a back to FORWARD", "FORWARD Drop"],
        "dropped by the policy of filter FORWARD",
    ),
    (
        &[
            ("FORWARD drop", &["goto a", "accept"]),
            ("a", &["jump b", "return", "accept"]),
            ("b", &["return"]),
        ],
        &[
            "FORWARD 1",
            "a 1",
            "b 1",
            "b back to a",
            "a 2",
            "a back to FORWARD",
            "FORWARD Drop",
        ],
        "dropped by the policy of filter FORWARD",
    ),
    (
        &[("FORWARD drop", &["return", "accept"])],
        &["FORWARD 1", "FORWARD back to FORWARD", "FORWARD Drop"],
        "dropped by the policy of filter FORWARD",
    ),
    // A verdict in a chain is one for the table.
    (
        &[("FORWARD drop", &["jump a", "drop"]), ("a", &["accept"])],
        &["FORWARD 1", "a 1"],
        "Forwarded",
    ),
    (
        &[("FORWARD", &["jump a"]), ("a", &["", "drop"])],
        &["FORWARD 1", "a 1", "a 2"],
        "dropped by rule 2 of filter a",
    ),
    // Targets decide, or let it go on with what they changed.
    (&[("FORWARD drop", &["ACCEPT"])], &["FORWARD 1"], "Forwarded"),
    (
        &[("FORWARD", &["DROP"])],
        &["FORWARD 1"],
        "dropped by rule 1 of filter FORWARD",
    ),
    (
        &[("FORWARD drop", &["CONTINUE", "MARK 7", "MARK 7", "accept"])],
        &["FORWARD 1", "FORWARD 2", "mark 0 becomes 7", "FORWARD 3", "FORWARD 4"],
        "Forwarded",
    ),
    // A copy goes its own way from the router, and the packet on behind the rule.
    (
        &[("FORWARD drop", &["", "COPY 198.18.0.7", "accept"])],
        &["FORWARD 1", "FORWARD 2", "OUTPUT Accept", "FORWARD 3"],
        "Forwarded",
    ),
    (
        &[
            ("FORWARD drop", &["jump a", "accept"]),
            ("a", &["COPY 198.18.0.7", ""]),
            ("OUTPUT", &["jump b"]),
            ("b", &["return"]),
        ],
        &[
            "FORWARD 1",
            "a 1",
            "OUTPUT 1",
            "b 1",
            "b back to OUTPUT",
            "OUTPUT Accept",
            "a 2",
            "a back to FORWARD",
            "FORWARD 2",
        ],
        "Forwarded",
    ),
];

#[test]
fn rules_are_asked_in_order() {
    for (chains, way, became) in CASES {
        let mut example = Example::with(net(), [table(Table::Filter, chains)]);
        let (seen, report) = example.receive(LAN, &udp("10.0.0.2", "198.18.0.9", 8).bytes());
        assert_eq!(seen.rules, *way, "{chains:?}");
        assert_eq!(fate(&report), *became, "{chains:?}");
    }
}

/// Each rule that matches counts once for each time it is met, whatever it does; what fails counts nothing, nor does a policy that is not asked.
#[test]
fn what_matches_counts() {
    for (chains, counted) in [
        (
            &[("FORWARD", &["", "no", "yes"][..])][..],
            &[("FORWARD", &[3, 0, 3, 3][..])][..],
        ),
        (&[("FORWARD", &["drop", ""])], &[("FORWARD", &[3, 0, 0])]),
        (&[("FORWARD", &["broken"])], &[("FORWARD", &[0, 0])]),
        (
            &[("FORWARD", &["jump a", "jump a", "return"]), ("a", &["", "return", ""])],
            &[("FORWARD", &[3, 3, 3, 3]), ("a", &[6, 6, 0])],
        ),
        (
            &[("FORWARD", &["goto a", ""]), ("a", &["MARK 1"])],
            &[("FORWARD", &[3, 0, 3]), ("a", &[3])],
        ),
    ] {
        let mut example = Example::with(net(), [table(Table::Filter, chains)]);
        for _ in 0..3 {
            example.receive(LAN, &udp("10.0.0.2", "198.18.0.9", 8).bytes());
        }
        let mut all = example.counted(Table::Filter);
        all.retain(|(name, _)| counted.iter().any(|(own, _)| own == name));
        let seen: Vec<(&str, &[u64])> = all.iter().map(|(name, own)| (name.as_str(), own.as_slice())).collect();
        assert_eq!(seen, counted, "{chains:?}");
    }
}

/// Twenty-two chains, each of which jumps into the next one twice, are four million rules: the walk ends at a jump, and what it had counted stays.
#[test]
fn a_walk_that_grows_without_end_is_ended() {
    let names: Vec<String> = (0..22).map(|number| format!("c{number}")).collect();
    let jumps: Vec<[String; 2]> = names
        .iter()
        .skip(1)
        .map(|next| [format!("jump {next}"), format!("jump {next}")])
        .collect();
    let lines: Vec<[&str; 2]> = jumps.iter().map(|pair| [pair[0].as_str(), pair[1].as_str()]).collect();
    let mut chains: Vec<(&str, &[&str])> = vec![("FORWARD", &["jump c0"])];
    chains.extend(names.iter().zip(&lines).map(|(name, pair)| (name.as_str(), &pair[..])));
    chains.push((names.last().unwrap(), &["", ""]));
    let mut example = Example::with(net(), [table(Table::Filter, &chains)]);
    let bytes = udp("10.0.0.2", "198.18.0.9", 8).bytes();
    let report = example.router.receive(
        &mut example.worker,
        example.now,
        LAN,
        &bytes,
        &mut crate::engine::Silent,
    );
    let told = fate(&report);
    assert!(told.contains("its way through the table is too long"), "{told}");
    let counted: u64 = example.counted(Table::Filter).iter().flat_map(|(_, all)| all).sum();
    assert!((MOST_VISITS / 2..=MOST_VISITS).contains(&counted), "{counted}");
    // The worker is as it was: the next packet walks as ever.
    example
        .router
        .replace(
            table(Table::Filter, &[("FORWARD", &["jump a"]), ("a", &[])]),
            example.now,
        )
        .unwrap();
    let (seen, _) = example.receive(LAN, &bytes);
    assert_eq!(seen.rules, ["FORWARD 1", "a back to FORWARD", "FORWARD Accept"]);
}

/// What was jumped over stays off the next walk: the second packet goes the same way as the first.
#[test]
fn a_walk_leaves_nothing_to_come_back_to() {
    let chains: &[(&str, &[&str])] = &[
        ("FORWARD drop", &["jump a", ""]),
        ("a", &["jump b"]),
        ("b", &["accept"]),
    ];
    let mut example = Example::with(net(), [table(Table::Filter, chains)]);
    for _ in 0..3 {
        let (seen, _) = example.receive(LAN, &udp("10.0.0.2", "198.18.0.9", 8).bytes());
        assert_eq!(seen.rules, ["FORWARD 1", "a 1", "b 1"]);
        assert!(example.worker.stack.is_empty());
    }
}

#[test]
fn rules_are_counted_by_the_stretch() {
    let mut visits = Visits::new(10, 5);
    assert_eq!((visits.sum, visits.most), (0, MOST_VISITS));
    visits.leave(12, 100);
    assert_eq!(visits.sum, 3);
    visits.leave(100, 12);
    assert_eq!(visits.sum, 4);
    visits.leave(15, 10);
    assert_eq!(visits.sum, 8);
    for (sum, too_many) in [(MOST_VISITS - 1, false), (MOST_VISITS, false), (MOST_VISITS + 1, true)] {
        visits.sum = sum;
        assert_eq!(visits.are_too_many(), too_many, "{sum}");
    }
    // A table that is larger than any sensible one is still walked whole.
    assert_eq!(Visits::new(0, MOST_VISITS as usize).most, 2 * MOST_VISITS);
}

/// A target may send a packet that walks another table on the same worker: what lies below is not this walk's to come back to.
#[test]
fn a_walk_within_a_walk_comes_back_to_its_own_jumps_only() {
    struct Nobody;
    impl Services for Nobody {
        fn log(&mut self, _: LogRecord) {}

        fn nat(&mut self, _: &Packet, _: &mut Tracking, _: &NatRange, _: Manip) -> TargetVerdict {
            TargetVerdict::Accept
        }
    }
    let entry = Entry { start: 0, policy: 9 };
    for (bottom, expected, left) in [(0, 7, 1), (1, 7, 1), (2, 9, 2)] {
        let mut packet = Packet::parse(udp("10.0.0.2", "198.18.0.9", 8).bytes()).unwrap();
        let mut stack = vec![5, 7];
        let flows = crate::conntrack::Table::new((1, 2));
        let mut notes = Notes::default();
        let mut walk = Walk {
            packet: &mut packet,
            tracking: &mut Tracking::default(),
            net: &net(),
            flows: &flows,
            services: &mut Nobody,
            random: &Cell::new(Random::new(1)),
            hook: Hook::Forward,
            input: InterfaceName::default(),
            output: InterfaceName::default(),
            now: Time::ZERO,
            way: None,
            worker: 0,
            stack: &mut stack,
            notes: &mut notes,
        };
        assert_eq!(walk.comes_back(bottom, entry), expected, "{bottom}");
        assert_eq!(stack.len(), left);
    }
}

/// Rules that ask for a protocol, packets of IPv6 whose extension headers end so, and what the kernel made of them: in a chain of one rule, and in one
/// that is long enough for an index.
#[test]
fn who_asks_for_a_protocol_drops_what_it_cannot_read() {
    use crate::base::Family;
    use crate::net::example::both;
    use crate::rule::{Chain, Selector, TableRules};
    const HEADER: &[u8] = b"\x60\0\0\0\0\x08\x3c\x40\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x20\x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\x09";
    let (passes, drops) = (
        "Forwarded",
        "dropped at rule 1 of IPv6's filter FORWARD: its transport header is cut short",
    );
    const ALL: u8 = 0;
    const NONE: u8 = 255;
    for (protocol, inverted, next, rest, expected) in [
        (6, false, 60, &[17, 0, 1, 4, 0, 0, 0, 0][..], passes),
        (6, true, 60, &[17, 0, 1, 4, 0, 0, 0, 0], passes),
        // A length that goes beyond the end is believed, and what it names is the protocol.
        (6, false, 60, &[17, 9, 1, 4, 0, 0, 0, 0], passes),
        (6, false, 60, &[60, 9, 1, 4, 0, 0, 0, 0], drops),
        (6, true, 60, &[60, 9, 1, 4, 0, 0, 0, 0], drops),
        (ALL, false, 60, &[60, 9, 1, 4, 0, 0, 0, 0], drops),
        (ALL, false, 60, &[17, 0, 1, 4, 0, 0, 0, 0], passes),
        (NONE, false, 60, &[60, 9, 1, 4, 0, 0, 0, 0], passes),
        (6, false, 43, &[], drops),
        (6, false, 44, &[17, 0], drops),
        (6, false, 44, &[17, 0, 0, 9, 0, 0, 0, 9], passes),
        (6, false, 44, &[59, 0, 0, 9, 0, 0, 0, 9], passes),
        (6, false, 44, &[60, 0, 0, 9, 0, 0, 0, 9], drops),
        (59, true, 59, &[], passes),
        // Of a routing header four bytes are read.
        (6, false, 43, &[17, 0, 0], drops),
        (17, false, 43, &[17, 0, 0, 0], passes),
        (6, false, 60, &[43, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0], drops),
    ] {
        for count in [1, 60] {
            let mut rules = TableRules::new(Family::V6, Table::Filter);
            let selector = Selector {
                protocol: if protocol == NONE { 0 } else { protocol },
                protocol_inverted: inverted,
                asks_for_all_protocols: protocol == ALL,
                ..Selector::any(Family::V6)
            };
            let made = |_| {
                let mut made = (*crate::engine::example::rule("")).clone();
                made.id = crate::rule::CountId::fresh();
                made.selector = selector;
                std::sync::Arc::new(made)
            };
            let chain: &mut Chain = rules.chain_mut("FORWARD").unwrap();
            chain.rules = (0..count).map(made).collect();
            let mut bytes = [HEADER, rest].concat();
            (bytes[5], bytes[6]) = (rest.len() as u8, next);
            let mut example = Example::with(both(), [rules]);
            let (_, report) = example.receive(LAN, &bytes);
            assert_eq!(fate(&report), expected, "-p {protocol} {next} {rest:02x?} of {count}");
            let silent = &mut crate::engine::Silent;
            let report = example
                .router
                .receive(&mut example.worker, example.now, LAN, &bytes, silent);
            assert_eq!(
                fate(&report),
                expected,
                "-p {protocol} {next} {rest:02x?} of {count}, unwatched"
            );
        }
    }
}
