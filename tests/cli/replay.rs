//! `nflab replay`: captures in, captures and JSON out.

use std::path::Path;

use nflab::device::{CaptureReader, Content};
use serde_json::{Value, json};

use crate::bench::{Bench, LAB};
use crate::captures::{self, bytes};

pub(crate) const RULES: &str = "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n\
                     -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -i lan -p udp -j ACCEPT\n\
                     -A FORWARD -i lan -p tcp -j REJECT\nCOMMIT\n";

/// A capture of packets: milliseconds, interface, packet.
pub(crate) fn capture(path: &Path, packets: &[(u64, &str, &str)]) {
    let written = packets.iter().map(|(millis, interface, line)| {
        let packet = bytes(line);
        let length = packet.len();
        (*millis, *interface, packet, length)
    });
    captures::write(path, written);
}

pub(crate) const CONVERSATION: &[(u64, &str, &str)] = &[
    (0, "lan", "udp 10.0.0.2:5000 > 192.0.2.9:53 data \"ask\""),
    (10, "wan", "udp 192.0.2.9:53 > 192.0.2.1:5000 data \"answer\""),
    (20, "lan", "tcp 10.0.0.2:6000 > 192.0.2.9:80 S"),
    (30, "wan", "udp 192.0.2.9:53 > 10.0.0.2:5001"),
    (40, "local", "udp 192.0.2.1:1 > 10.0.0.2:2"),
    (60_000, "wan", "udp 192.0.2.9:53 > 192.0.2.1:5000 data \"late\""),
];

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_result_never_replaces_what_is_read() {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("rules", RULES);
    capture(&bench.path("in.pcapng"), CONVERSATION);
    let before = std::fs::read(bench.path("in.pcapng")).unwrap();
    std::os::unix::fs::symlink("in.pcapng", bench.path("link")).unwrap();
    for (option, file) in [
        ("--out", "in.pcapng"),
        ("--out", "link"),
        ("--json", "rules"),
        ("--save", "lab.toml"),
    ] {
        let ran = bench.nflab(&[
            "replay",
            "--lab",
            "lab.toml",
            "--rules",
            "rules",
            "in.pcapng",
            option,
            file,
        ]);
        assert_eq!(ran.code, 2, "{option} {file}");
        assert!(ran.err.contains("is read too"), "{}", ran.err);
    }
    assert_eq!(std::fs::read(bench.path("in.pcapng")).unwrap(), before);
    assert_eq!(
        (bench.read("rules").as_str(), bench.read("lab.toml").as_str()),
        (RULES, LAB)
    );
}

#[test]
fn every_packet_gets_its_line() {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("rules.v4", RULES);
    capture(&bench.path("in.pcapng"), CONVERSATION);
    let ran = bench.nflab(&[
        "replay",
        "--lab",
        "lab.toml",
        "--rules",
        "rules.v4",
        "in.pcapng",
        "--out",
        "out.pcapng",
        "--json",
        "out.jsonl",
        "--save",
        "saved",
        "--conntrack",
        "flows",
    ]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    let lines = lines(&bench.read("out.jsonl"));
    let brief: Vec<Value> = lines
        .iter()
        .map(|line| {
            let out: Vec<&Value> = line["out"].as_array().unwrap().iter().map(|left| &left["if"]).collect();
            json!([line["n"], line["in"], line["verdict"], line["ctstate"], out])
        })
        .collect();
    assert_eq!(
        brief,
        [
            json!([1, "lan", "ACCEPT", "NEW", ["wan"]]),
            json!([2, "wan", "ACCEPT", "ESTABLISHED", ["lan"]]),
            json!([3, "lan", "REJECT", "NEW", ["lan"]]),
            json!([4, "wan", "DROP", "NEW", []]),
            json!([5, "local", "ACCEPT", "NEW", ["lan"]]),
            // The flow has run out by the capture's own clock, so this is for the router itself.
            json!([6, "wan", "ACCEPT", "NEW", ["local", "wan"]]),
        ]
    );
    let first = bytes("udp 192.0.2.1:5000 > 192.0.2.9:53 data \"ask\" ttl 63");
    let hex: String = first.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(lines[0]["out"][0]["hex"], json!(hex));
    // The same packets are in the capture that was written, on interfaces by name.
    let mut reader = CaptureReader::open(&bench.path("out.pcapng")).unwrap();
    let mut written = Vec::new();
    while let Some(packet) = reader.next_packet().unwrap() {
        let Content::Ip(content) = packet.content else {
            panic!("not IP")
        };
        let hex: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
        written.push(json!({"if": packet.interface.unwrap(), "hex": hex}));
    }
    let told: Vec<Value> = lines
        .iter()
        .flat_map(|line| line["out"].as_array().unwrap().clone())
        .collect();
    assert_eq!(written, told);
    let saved = bench.read("saved");
    assert!(saved.contains("[1:31] -A FORWARD -i lan -p udp -j ACCEPT\n"), "{saved}");
    let flows = bench.read("flows");
    assert!(
        flows.contains("ipv4     2 udp      17 40 src=192.0.2.9 dst=192.0.2.1"),
        "{flows}"
    );
}

#[test]
fn the_same_run_again_is_the_same() {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("rules.v4", &RULES.replace("MASQUERADE", "MASQUERADE --random"));
    capture(&bench.path("in.pcapng"), CONVERSATION);
    let run = |seed: &str| {
        let ran = bench.nflab(&[
            "replay",
            "--lab",
            "lab.toml",
            "--rules",
            "rules.v4",
            "--seed",
            seed,
            "in.pcapng",
            "--json",
            "-",
        ]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out
    };
    assert_eq!(run("5"), run("5"));
    assert_ne!(run("5"), run("6"));
}

#[test]
fn the_clock_does_not_run_backwards() {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    capture(
        &bench.path("in.pcapng"),
        &[
            (5000, "lan", "udp 10.0.0.2:1 > 192.0.2.9:2"),
            (1000, "lan", "udp 10.0.0.2:1 > 192.0.2.9:2"),
        ],
    );
    let ran = bench.nflab(&["replay", "--lab", "lab.toml", "in.pcapng", "--json", "-"]);
    assert_eq!(ran.code, 0);
    assert_eq!(lines(&ran.out).len(), 2);
    assert!(
        ran.err.contains("packet 2 is older than the one before it"),
        "{}",
        ran.err
    );
}

#[test]
fn what_is_wrong_is_exit_code_2_with_a_position_and_older_results_stay() {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("rules.v4", "*filter\n-A INPUT -j ACCEPT\n-A INPUT --nonsense\nCOMMIT\n");
    capture(&bench.path("in.pcapng"), CONVERSATION);
    let whole = std::fs::read(bench.path("in.pcapng")).unwrap();
    std::fs::write(bench.path("cut.pcapng"), &whole[..whole.len() - 9]).unwrap();
    bench.write("text.pcapng", "this is no capture\n");
    capture(
        &bench.path("elsewhere.pcapng"),
        &[(0, "dmz", "udp 10.0.0.2:1 > 192.0.2.9:2")],
    );
    bench.write("kept", "kept\n");
    bench.write("kept too", "kept\n");
    let cases: &[(&[&str], &[&str])] = &[
        (&["--rules", "rules.v4", "in.pcapng"], &["line: 3", "rules.v4"]),
        (
            &["--rules", "nosuch.v4", "in.pcapng"],
            &["cannot read the rules nosuch.v4"],
        ),
        (&["--rules6", "rules.v4", "in.pcapng"], &["line: 3", "rules.v4"]),
        (&["text.pcapng"], &["text.pcapng: not a capture"]),
        (&["nosuch.pcapng"], &["cannot read the capture nosuch.pcapng"]),
    ];
    for (args, parts) in cases {
        let mut whole = vec!["replay", "--lab", "lab.toml", "--save", "kept", "--json", "kept too"];
        whole.extend(*args);
        let ran = bench.nflab(&whole);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
        for part in *parts {
            assert!(ran.err.contains(part), "{part:?} not in\n{}", ran.err);
        }
        assert_eq!(bench.read("kept"), "kept\n", "{args:?}");
        assert_eq!(bench.read("kept too"), "kept\n", "{args:?}");
    }
    let ran = bench.nflab(&["replay", "--lab", "lab.toml", "cut.pcapng"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("cut.pcapng: packet 6 at byte ") && ran.err.contains("cut short"),
        "{}",
        ran.err
    );
    let ran = bench.nflab(&["replay", "--lab", "lab.toml", "elsewhere.pcapng"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("interface \"dmz\", which the lab doesn't have"),
        "{}",
        ran.err
    );
}

#[test]
fn classic_captures_say_their_interface_by_option() {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    // Microseconds, link type RAW.
    let mut classic = Vec::new();
    classic.extend(0xa1b2_c3d4u32.to_le_bytes());
    classic.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    classic.extend(65_535u32.to_le_bytes());
    classic.extend(101u32.to_le_bytes());
    let packet = bytes("udp 10.0.0.2:1 > 192.0.2.9:2");
    classic.extend(1_700_000_000u32.to_le_bytes());
    classic.extend(0u32.to_le_bytes());
    classic.extend((packet.len() as u32).to_le_bytes());
    classic.extend((packet.len() as u32).to_le_bytes());
    classic.extend(&packet);
    std::fs::write(bench.path("in.pcap"), classic).unwrap();
    let ran = bench.nflab(&[
        "replay",
        "--lab",
        "lab.toml",
        "--interface",
        "lan",
        "in.pcap",
        "--json",
        "-",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(lines(&ran.out)[0]["in"], json!("lan"));
    let ran = bench.nflab(&["replay", "--lab", "lab.toml", "in.pcap"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("name it with --interface"), "{}", ran.err);
}
