//! Ways of packets that mean well.

use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;

use nflab::TOOLBOX;
use nflab::base::{Family, InterfaceId};
use nflab::device::{CaptureReader, Content, Direction};
use nflab::lab::file::LabFile;
use nflab::lab::memory::Lab;
use nflab::replay::{Entrances, Replayer, TimedPacket};
use nflab::wire::tcp::flags;

use crate::bench_router::{Setup, client, server, source_of, tcp, udp};
use crate::{PACKETS, the_counted_packets};

/// A way of packets: what is prepared, and then a number of packets, which are counted.
pub(crate) struct Way {
    pub name: &'static str,
    pub carry: fn(Family),
}

/// Each is gone in both families.
pub(crate) const WAYS: [Way; 10] = [
    Way {
        name: "untracked-udp",
        carry: |family| known_udp(family, &format!("*raw\n-A PREROUTING -j NOTRACK\nCOMMIT\n{STATE}")),
    },
    Way {
        name: "known-udp",
        carry: |family| known_udp(family, STATE),
    },
    Way {
        name: "known-udp-batches",
        carry: |family| known_udp_in_batches(family, STATE),
    },
    Way {
        name: "known-tcp-batches",
        carry: known_tcp_in_batches,
    },
    Way {
        name: "known-udp-masqueraded",
        carry: |family| known_udp(family, HOME),
    },
    Way {
        name: "known-tcp-windows",
        carry: known_tcp,
    },
    Way {
        name: "new-udp",
        carry: |family| new_udp(family, STATE),
    },
    Way {
        name: "new-udp-masqueraded",
        carry: |family| new_udp(family, HOME),
    },
    Way {
        name: "past-100-rules",
        carry: |family| known_udp(family, &rules(family, 100)),
    },
    Way {
        name: "past-10000-rules",
        carry: |family| known_udp(family, &rules(family, 10_000)),
    },
];
/// Each is gone once: by packets of both, or of none that is asked for.
pub(crate) const OF_BOTH: [Way; 2] = [
    Way {
        name: "known-udp-batches-of-both",
        carry: |_| known_udp_of_both_in_batches(),
    },
    Way {
        name: "replay",
        carry: |_| replay(),
    },
];

fn known_udp(family: Family, rules: &str) {
    let (mut setup, packets) = exchange(family, rules);
    carry(&mut setup, &packets);
}

/// The same, thirty-two packets at once.
fn known_udp_in_batches(family: Family, rules: &str) {
    let (mut setup, packets) = exchange(family, rules);
    carry_batches(&mut setup, &packets);
}

/// The same of both families in turn, as a router of both has them.
fn known_udp_of_both_in_batches() {
    let mut setup = Setup::new(STATE);
    setup.restore(Family::V6, STATE);
    let packets: Vec<_> = Family::ALL
        .into_iter()
        .flat_map(|family| exchange_by(&mut setup, family))
        .collect();
    carry_batches(&mut setup, &packets);
}

/// A flow of both directions, and then packets of both.
fn exchange(family: Family, rules: &str) -> (Setup, [(InterfaceId, Vec<u8>); 2]) {
    let mut setup = Setup::of(family, rules, 1);
    let packets = exchange_by(&mut setup, family);
    (setup, packets)
}

fn exchange_by(setup: &mut Setup, family: Family) -> [(InterfaceId, Vec<u8>); 2] {
    let (lan, wan) = (setup.lan, setup.wan);
    let out = udp((client(family, 0), 4000), (server(family), 53), 32);
    let left = setup.forward(lan, &out);
    let back = udp((server(family), 53), source_of(&left), 32);
    setup.forward(wan, &back);
    [(lan, out), (wan, back)]
}

fn known_tcp_in_batches(family: Family) {
    let (mut setup, packets) = connection(family, STATE);
    carry_batches(&mut setup, &packets);
}

/// A connection that sends, and is answered.
fn known_tcp(family: Family) {
    let (mut setup, packets) = connection(family, HOME);
    carry(&mut setup, &packets);
}

fn connection(family: Family, rules: &str) -> (Setup, Vec<(InterfaceId, Vec<u8>)>) {
    let mut setup = Setup::of(family, rules, 1);
    let (lan, wan) = (setup.lan, setup.wan);
    let (client, server) = ((client(family, 0), 4000), (server(family), 80));
    let left = setup.forward(lan, &tcp(client, server, flags::SYN, (1000, 0), 0));
    let outside = source_of(&left);
    setup.forward(wan, &tcp(server, outside, flags::SYN | flags::ACK, (5000, 1001), 0));
    setup.forward(lan, &tcp(client, server, flags::ACK, (1001, 5001), 0));
    let (mut own, mut theirs) = (1001, 5001);
    let mut packets = Vec::new();
    for _ in 0..PACKETS / 2 {
        packets.push((lan, tcp(client, server, flags::ACK | flags::PSH, (own, theirs), 100)));
        own += 100;
        packets.push((wan, tcp(server, outside, flags::ACK, (theirs, own), 20)));
        theirs += 20;
    }
    (setup, packets)
}

/// Each packet a flow of its own, in a table that has some.
fn new_udp(family: Family, rules: &str) {
    let mut setup = Setup::of(family, rules, 1);
    let lan = setup.lan;
    let packet = |number: u64| {
        let client = client(family, (number % 64) as u32);
        (
            lan,
            udp((client, 1024 + (number / 64) as u16), (server(family), 53), 32),
        )
    };
    for number in PACKETS..2 * PACKETS {
        setup.forward(lan, &packet(number).1);
    }
    let packets: Vec<_> = (0..PACKETS).map(packet).collect();
    carry(&mut setup, &packets);
}

/// The packets in turn.
pub(crate) fn carry(setup: &mut Setup, packets: &[(InterfaceId, Vec<u8>)]) {
    let mut left = 0;
    the_counted_packets(|number| {
        let (interface, bytes) = &packets[number % packets.len()];
        left += setup.receive(*interface, black_box(bytes)).1.len();
    });
    assert_eq!(left as u64, PACKETS, "every packet has to get through");
}

/// The same in batches.
fn carry_batches(setup: &mut Setup, packets: &[(InterfaceId, Vec<u8>)]) {
    const BATCH: usize = 32;
    let packets: Vec<_> = (0..PACKETS as usize)
        .map(|number| packets[number % packets.len()].clone())
        .collect();
    let mut left = 0;
    // The count of packets is the counted function's: so it is called once a packet, and most calls do nothing.
    the_counted_packets(|number| {
        if number % BATCH == 0 {
            let batch = &packets[number..packets.len().min(number + BATCH)];
            left += setup.receive_batch(black_box(batch));
        }
    });
    let expected: usize = packets.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(left, expected, "every packet has to get through");
}

/// A capture of this many packets, read and passed.
fn replay() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/ftp-masquerade");
    let file = LabFile::load(&place.join("lab.toml"), |path| std::fs::read(path)).expect("a lab");
    let mut lab = Lab::new(&file, 1, TOOLBOX).expect("a lab");
    let rules = std::fs::read_to_string(place.join("rules.v4")).expect("its rules");
    let said = lab.tool("iptables-restore", &[], &rules, &place);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let mut entrances = Entrances::default();
    entrances.map(&lab, "10.0.0.0/24=lan").expect("an interface of the lab");
    entrances.map(&lab, "0.0.0.0/0=wan").expect("an interface of the lab");
    let mut replayer = Replayer::new(lab).with_entrances(entrances);
    // Its reader begins anew where it ends, and then a packet's time is earlier than the clock: the replayer says so of it, and goes on.
    let open = || CaptureReader::open(&place.join("router.pcap.gz")).expect("a capture");
    let mut capture = open();
    let mut started = false;
    the_counted_packets(|_| {
        loop {
            let Some(packet) = capture.next_packet().expect("it is whole") else {
                capture = open();
                continue;
            };
            let (Content::Ip(bytes), Some(Direction::In)) = (packet.content, packet.direction) else {
                continue;
            };
            let packet = TimedPacket {
                number: packet.number,
                time: packet.time,
                interface: None,
                bytes,
            };
            if !started {
                replayer.lab_mut().start_at(packet.time);
                started = true;
            }
            black_box(replayer.pass(packet).expect("each has an interface").report().state);
            return;
        }
    });
}

/// Rules that do not match, by address, protocol and port.
fn rules(family: Family, count: usize) -> String {
    let mut rules = String::from("*filter\n");
    for n in 0..count {
        let (a, b) = (n / 250, n % 250 + 1);
        let source = match family {
            Family::V4 => format!("172.16.{a}.{b}/32"),
            Family::V6 => format!("fd01::{a}:{b}/128"),
        };
        let _ = writeln!(rules, "-A FORWARD -s {source} -p udp --dport {} -j DROP", n + 1);
    }
    rules + "COMMIT\n"
}

/// One rule, so that flows are tracked.
pub(crate) const STATE: &str = "*filter\n-A FORWARD -m state --state INVALID -j DROP\nCOMMIT\n";
/// What a home router has.
const HOME: &str = "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n\
    -A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -i lan -m state --state NEW -j ACCEPT\nCOMMIT\n";
