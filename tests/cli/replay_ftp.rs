//! What happened live happens in the replay: FTP sessions that crossed a masquerading router of the kernel's, recorded there both ways.
//!
//! `tests/captures/ftp-masquerade/make` records anew. The replay gets what came to the router, without knowing by which interface; what nflab
//! sends is held against what the kernel sent, byte for byte.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use nflab::device::{CaptureReader, Content, Direction};
use serde_json::Value;

use crate::bench::Bench;

fn recorded(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/captures/ftp-masquerade")
        .join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(recorded(name)).unwrap()
}

/// The recorded arrivals through nflab. Gives the standard error.
fn replay(bench: &Bench, rules: &str) -> String {
    let path = |name: &str| recorded(name).display().to_string();
    let ran = bench.nflab(&[
        "replay",
        "--lab",
        &path("lab.toml"),
        "--rules",
        rules,
        "--map",
        "10.0.0.0/24=lan",
        "--map",
        "0.0.0.0/0=wan",
        "--direction",
        "in",
        &path("router.pcap.gz"),
        "--json",
        "out.jsonl",
        "--save",
        "rules.after",
        "--conntrack",
        "flows.after",
        "--annotate",
        "annotated.pcapng",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.err
}

/// Packets by the interface they left by, in order. Identification and checksum of a header are the sender's own counting where the router itself
/// speaks: zero here.
type Sent = BTreeMap<&'static str, Vec<Vec<u8>>>;

fn sent_by_the_kernel() -> Sent {
    let file = std::fs::File::open(recorded("router.pcap.gz")).unwrap();
    let mut reader = CaptureReader::new(file).unwrap();
    let mut sent = Sent::new();
    while let Some(packet) = reader.next_packet().unwrap() {
        if packet.direction == Some(Direction::Out)
            && let Content::Ip(bytes) = packet.content
        {
            let to = Ipv4Addr::new(bytes[16], bytes[17], bytes[18], bytes[19]);
            let interface = if to.octets()[0] == 10 { "lan" } else { "wan" };
            sent.entry(interface)
                .or_default()
                .push(without_counting(bytes.to_vec()));
        }
    }
    sent
}

fn sent_by_nflab(bench: &Bench) -> Sent {
    let mut sent = Sent::new();
    for line in bench.read("out.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for left in line["out"].as_array().unwrap() {
            let hex = left["hex"].as_str().unwrap();
            let bytes = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
            let interface = match left["if"].as_str().unwrap() {
                "lan" => "lan",
                "wan" => "wan",
                // What reached the router itself left nowhere.
                "local" => continue,
                other => panic!("out by {other}"),
            };
            sent.entry(interface)
                .or_default()
                .push(without_counting(bytes.collect()));
        }
    }
    sent
}

fn without_counting(mut bytes: Vec<u8>) -> Vec<u8> {
    if is_of_the_router(&bytes) {
        bytes[4..6].fill(0);
        bytes[10..12].fill(0);
    }
    bytes
}

/// An ICMP error, or a reset to one who wanted the router: nothing else comes with a TTL that no hop has counted down.
fn is_of_the_router(bytes: &[u8]) -> bool {
    matches!(bytes[8], 64 | 255)
}

#[test]
fn the_same_packets_leave_as_left_the_kernels_router() {
    let bench = Bench::new();
    let said = replay(&bench, &recorded("rules.v4").display().to_string());
    assert_eq!(said, "");
    let (kernel, nflab) = (sent_by_the_kernel(), sent_by_nflab(&bench));
    assert!(kernel["lan"].len() > 70 && kernel["wan"].len() > 70);
    assert!(kernel.values().flatten().any(|it| is_of_the_router(it)));
    for (interface, packets) in &kernel {
        for (number, (kernel, nflab)) in packets.iter().zip(&nflab[interface]).enumerate() {
            assert_eq!(nflab, kernel, "packet {} out by {interface}", number + 1);
        }
        assert_eq!(nflab[interface].len(), packets.len(), "out by {interface}");
    }
}

#[test]
fn the_counters_and_the_flows_are_those_of_the_kernel() {
    let bench = Bench::new();
    replay(&bench, &recorded("rules.v4").display().to_string());
    let own = bench.read("rules.after");
    let tables = |text: &str| {
        let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut table = String::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if line.starts_with('*') {
                table = line.to_owned();
            }
            tables.entry(table.clone()).or_default().push(line.to_owned());
        }
        tables
    };
    assert_eq!(tables(&own), tables(&text("rules.after")));
    // All but the seconds left: the kernel's table was read a moment after the last packet.
    let flows = |text: &str| {
        let mut flows: Vec<String> = text
            .lines()
            .map(|line| {
                let mut words: Vec<&str> = line.split_whitespace().collect();
                words[4] = "-";
                words.join(" ")
            })
            .collect();
        flows.sort();
        flows
    };
    assert_eq!(flows(&bench.read("flows.after")), flows(&text("flows.after")));
}

#[test]
fn without_the_helper_no_data_connection_opens() {
    let bench = Bench::new();
    let rules = text("rules.v4");
    let at = rules.find("*nat").unwrap();
    bench.write("rules.v4", &rules[at..]);
    replay(&bench, "rules.v4");
    let related = bench
        .read("out.jsonl")
        .lines()
        .filter(|line| line.contains("\"ctstate\":\"RELATED\""))
        .count();
    assert_eq!(related, 0);
    assert_ne!(sent_by_nflab(&bench), sent_by_the_kernel());
}

/// Both copies of the world: with the link's header as it was, and every packet of the capture, also those that `--direction` left out.
#[test]
fn the_annotated_copy_has_every_frame() {
    let bench = Bench::new();
    replay(&bench, &recorded("rules.v4").display().to_string());
    let mut original = CaptureReader::new(std::fs::File::open(recorded("router.pcap.gz")).unwrap()).unwrap();
    let mut copy = CaptureReader::open(&bench.path("annotated.pcapng")).unwrap();
    let mut comments = Vec::new();
    while let Some(packet) = original.next_packet().unwrap() {
        let copied = copy.next_packet().unwrap().unwrap();
        assert_eq!((copied.frame, copied.time), (packet.frame, packet.time));
        comments.push(copied.comment.unwrap().to_owned());
    }
    assert!(copy.next_packet().unwrap().is_none());
    let has = |part: &str| comments.iter().any(|comment| comment.contains(part));
    assert!(has(
        "ACCEPT RELATED, rule 2 of filter FORWARD: -m conntrack --ctstate RELATED -j ACCEPT; out by lan as tcp 192.0.2.9:20 > 10.0.0.2:"
    ));
    assert!(has("not replayed: left out by --direction in"));
    assert!(has("DROP NEW, policy of filter FORWARD: DROP"));
    assert!(has("REJECT NEW, rule 4 of filter FORWARD"), "{comments:#?}");
}
