//! Packets with a flow and without one, what fails each option, and rules that look alike.

use super::*;
use crate::base::protocol;
use crate::conntrack::Tuple;
use crate::ext::testing::{ANY, Bench, match_packets, read_match, udp, udp_reply};

fn end(address: [u8; 4], id: u16) -> Endpoint {
    Endpoint {
        address: address.into(),
        id,
    }
}

/// A UDP flow from 10.0.0.2:1000 to 192.0.2.9:53 under SNAT to 192.0.2.1:2000, its reply seen.
fn flow() -> FlowView {
    FlowView {
        original: Tuple {
            source: end([10, 0, 0, 2], 1000),
            destination: end([192, 0, 2, 9], 53),
            protocol: protocol::UDP,
        },
        reply: Tuple {
            source: end([192, 0, 2, 9], 53),
            destination: end([192, 0, 2, 1], 2000),
            protocol: protocol::UDP,
        },
        status: Status::CONFIRMED.or(Status::SEEN_REPLY).or(Status::SRC_NAT),
        expires: 30,
        direction: Direction::Reply,
    }
}

#[test]
fn rules_that_look_alike_and_are_not() {
    let address = |typed: &str| read(typed).addresses;
    let plain = address("--ctorigsrc 10.0.0.2");
    assert_eq!(plain, address("--ctorigsrc 10.0.0.2/0.0.0.33"));
    assert_eq!(plain, address("--ctorigsrc 10.0.0.2/255.0.255.0"));
    // -C and -D tell these from it, though they are printed alike.
    assert_ne!(plain, address("--ctorigsrc 10.0.0.2/32"));
    assert_ne!(plain, address("--ctorigsrc 10.0.0.2/255.255.255.255"));
}

fn read(typed: &str) -> Conntrack {
    let made = read_match(&SPEC, ANY, typed).unwrap();
    let any = made.as_any().downcast_ref::<Conntrack>().unwrap();
    // The value is what the test needs, not the trait object: a flow cannot be made outside the table.
    Conntrack {
        addresses: any.addresses,
        ports: any.ports,
        state: any.state,
        protocol: any.protocol,
        status: any.status,
        expire: any.expire,
        direction: any.direction,
    }
}

#[test]
fn flows() {
    for (typed, sentence) in [
        ("--ctstate ESTABLISHED", ""),
        ("--ctstate SNAT", ""),
        ("--ctstate NEW", "--ctstate NEW: flow is ESTABLISHED,SNAT"),
        ("--ctstate DNAT", "--ctstate DNAT: flow is ESTABLISHED,SNAT"),
        ("! --ctstate SNAT", "! --ctstate SNAT: flow is ESTABLISHED,SNAT"),
        ("--ctproto udp", ""),
        ("--ctproto tcp", "--ctproto 6: flow has 17"),
        ("! --ctproto 0", ""),
        ("--ctorigsrc 10.0.0.9/255.0.0.0", ""),
        ("--ctorigsrc 10.0.0.9", "--ctorigsrc 10.0.0.9: flow has 10.0.0.2"),
        (
            "! --ctorigdst 192.0.2.0/24",
            "! --ctorigdst 192.0.2.0/24: flow has 192.0.2.9",
        ),
        ("--ctreplsrc 192.0.2.9 --ctrepldst 192.0.2.1", ""),
        ("--ctorigsrc 10.0.0.1/33", "--ctorigsrc 10.0.0.1: flow has 10.0.0.2"),
        // Seen in what the tool hands to the kernel: with a mask that has holes every bit is compared.
        (
            "--ctorigsrc 10.9.9.2/255.0.0.255",
            "--ctorigsrc 10.9.9.2: flow has 10.0.0.2",
        ),
        ("--ctorigsrc 10.255.0.9/255.0.0.0 --ctorigdst 1.2.3.4/0", ""),
        (
            "--ctorigsrcport 1000 --ctorigdstport 53 --ctreplsrcport 53 --ctrepldstport 2000",
            "",
        ),
        ("--ctrepldstport 1000", "--ctrepldstport 1000: flow has 2000"),
        ("! --ctorigdstport 50:60", "! --ctorigdstport 50:60: flow has 53"),
        ("--ctstatus CONFIRMED", ""),
        (
            "--ctstatus ASSURED",
            "--ctstatus ASSURED: flow has SEEN_REPLY,CONFIRMED",
        ),
        // NONE has no bit, so nothing has it.
        ("--ctstatus NONE", "--ctstatus NONE: flow has SEEN_REPLY,CONFIRMED"),
        ("! --ctstatus NONE", ""),
        ("--ctexpire 30", ""),
        ("--ctexpire 1:29", "--ctexpire 1:29: flow has 30"),
        ("--ctdir REPLY", ""),
        ("--ctdir ORIGINAL", "--ctdir ORIGINAL: packet goes REPLY"),
    ] {
        let made = read(typed);
        let flow = flow();
        assert_eq!(
            made.check(CtState::Established, Some(&flow)).is_ok(),
            sentence.is_empty(),
            "{typed}"
        );
        if !sentence.is_empty() {
            assert_eq!(made.why_not(CtState::Established, Some(&flow), ""), sentence);
        }
    }
}

#[test]
fn packets_of_a_flow() {
    let mut bench = Bench::new();
    let mut reply = udp_reply();
    bench.track(&mut reply);
    match_packets(
        &SPEC,
        ANY,
        &bench,
        &[
            (
                "--ctstate ESTABLISHED --ctdir REPLY --ctorigsrc 10.0.0.2 --ctrepldstport 1000",
                &reply,
                "",
            ),
            ("--ctstatus SEEN_REPLY --ctexpire 30", &reply, ""),
            ("--ctexpire 31:", &reply, "--ctexpire 31:4294967295: flow has 30"),
            ("--ctdir ORIGINAL", &reply, "--ctdir ORIGINAL: packet goes REPLY"),
        ],
    );
    let mut first = udp(1001, 53, &[]);
    bench.track(&mut first);
    // A flow that is not confirmed has no time left, whatever it will get.
    match_packets(
        &SPEC,
        ANY,
        &bench,
        &[("--ctstate NEW --ctexpire 0 ! --ctstatus CONFIRMED", &first, "")],
    );
}

#[test]
fn packets_without_a_flow() {
    let packet = udp(1, 2, &[]);
    let mut bench = Bench::new();
    bench.tracking.state = Some(CtState::Invalid);
    match_packets(
        &SPEC,
        ANY,
        &bench,
        &[
            ("--ctstate INVALID", &packet, ""),
            // The state alone decides; the rest is not asked.
            ("--ctstate INVALID --ctproto 6 --ctdir REPLY", &packet, ""),
            ("! --ctstate NEW --ctorigsrcport 4", &packet, ""),
            ("! --ctstate SNAT", &packet, ""),
            ("--ctstate NEW", &packet, "--ctstate NEW: packet is INVALID"),
            ("--ctproto 17", &packet, "conntrack: packet is INVALID and has no flow"),
            ("! --ctproto 6", &packet, "conntrack: packet is INVALID and has no flow"),
        ],
    );
    bench.tracking.state = Some(CtState::Untracked);
    match_packets(
        &SPEC,
        ANY,
        &bench,
        &[
            ("--ctstate UNTRACKED", &packet, ""),
            ("--ctstate INVALID", &packet, "--ctstate INVALID: packet is UNTRACKED"),
            (
                "--ctproto 17",
                &packet,
                "conntrack: packet is UNTRACKED and has no flow",
            ),
        ],
    );
}
