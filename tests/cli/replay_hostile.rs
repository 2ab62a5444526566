//! `nflab replay` in hands that mean no good or know no better: results that destroy what they need, readers that go away, frames before the
//! first packet, rules written by hand.

use nflab::base::Time;
use nflab::device::{CaptureWriter, Frame};
use serde_json::Value;

use crate::bench::{Bench, LAB, Ran};
use crate::captures::bytes;
use crate::replay::{CONVERSATION, RULES, capture};

const ETHERNET: u32 = 1;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("rules", RULES);
    capture(&bench.path("in.pcapng"), CONVERSATION);
    bench
}

fn replay(bench: &Bench, more: &[&str]) -> Ran {
    let mut args = vec!["replay", "--lab", "lab.toml", "--rules", "rules"];
    args.extend(more);
    bench.nflab(&args)
}

fn frame(kind: [u8; 2], packet: &[u8]) -> Vec<u8> {
    [&[0; 12][..], &kind, packet].concat()
}

#[test]
fn frames_before_the_first_packet_are_in_the_annotated_copy() {
    let bench = bench();
    let arp = frame([8, 6], &[0; 28]);
    let ip = frame([8, 0], &bytes("udp 10.0.0.2:5000 > 192.0.2.9:53"));
    let mut writer = CaptureWriter::create(&bench.path("arp.pcapng")).unwrap();
    for (second, bytes) in [&arp, &arp, &ip, &arp].into_iter().enumerate() {
        let frame = Frame {
            link: ETHERNET,
            bytes,
            original_length: bytes.len(),
        };
        let time = Time::from_secs(1_700_000_000 + second as u64);
        writer.write_frame("lan", time, frame, None).unwrap();
    }
    writer.finish().unwrap();
    let ran = replay(&bench, &["arp.pcapng", "--annotate", "annotated.pcapng", "--quiet"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let mut reader = nflab::device::CaptureReader::open(&bench.path("annotated.pcapng")).unwrap();
    let mut seen = Vec::new();
    while let Some(packet) = reader.next_packet().unwrap() {
        let comment = packet.comment.unwrap().split(',').next().unwrap().to_owned();
        seen.push((packet.time.as_nanos() / 1_000_000_000 - 1_700_000_000, comment));
    }
    let left_out = "not replayed: not an IP packet".to_owned();
    let expected = [
        (0, left_out.clone()),
        (1, left_out.clone()),
        (2, "ACCEPT NEW".to_owned()),
        (3, left_out),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn results_that_would_destroy_each_other_or_the_capture() {
    let bench = bench();
    let before = std::fs::read(bench.path("in.pcapng")).unwrap();
    std::fs::hard_link(bench.path("in.pcapng"), bench.path("hard")).unwrap();
    bench.write("there", "");
    for (args, said) in [
        (["--out", "hard", "--json", "j"], "--out hard: this file is read too"),
        (
            ["--out", "new", "--annotate", "new"],
            "--annotate new: --out writes there too",
        ),
        (
            ["--json", "there", "--save", "./there"],
            "--save ./there: --json writes there too",
        ),
    ] {
        let ran = replay(&bench, &[&["in.pcapng"], &args[..]].concat());
        assert_eq!(ran.code, 2, "{args:?}");
        assert!(ran.err.contains(said), "{}", ran.err);
    }
    assert_eq!(std::fs::read(bench.path("in.pcapng")).unwrap(), before);
    for args in [
        ["--json", "-", "--save", "-"],
        ["--json", "/dev/null", "--out", "/dev/null"],
    ] {
        let ran = replay(&bench, &[&["in.pcapng"], &args[..]].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        let rules = ran.out.lines().skip_while(|line| line.starts_with('{'));
        assert!(
            rules.clone().all(|line| !line.starts_with('{')),
            "the lines, then the rules"
        );
    }
}

#[test]
fn filters_know_the_interface_that_the_map_says() {
    let bench = bench();
    capture(
        &bench.path("eth0.pcapng"),
        &[
            (0, "eth0", "udp 10.0.0.2:5000 > 192.0.2.9:53"),
            (1, "eth0", "udp 192.0.2.9:53 > 192.0.2.1:5000"),
        ],
    );
    let args = [
        "eth0.pcapng",
        "--map",
        "10.0.0.0/8=lan",
        "--map",
        "0.0.0.0/0=wan",
        "--explain",
        "all",
        "--brief",
        "--filter",
    ];
    for (filter, first) in [("in lan", "packet 1, in by lan"), ("in wan", "packet 2, in by wan")] {
        let ran = replay(&bench, &[&args[..], &[filter]].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.out.starts_with(first), "{filter}: {:?}", ran.out);
        assert_eq!(ran.out.matches("packet ").count(), 1, "{}", ran.out);
    }
}

#[test]
fn rules_written_by_hand_need_no_counters() {
    let bench = bench();
    let by_hand = RULES.replace(" [0:0]", "");
    assert_ne!(by_hand, RULES);
    bench.write("by-hand", &by_hand);
    let ran = replay(&bench, &["in.pcapng", "--against", "by-hand"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

/// A capture so long that what is printed of it fills every buffer on the way.
fn long(bench: &Bench) {
    let packet = (0, "lan", "udp 10.0.0.2:5000 > 192.0.2.9:53");
    capture(&bench.path("long.pcapng"), &vec![packet; 20_000]);
}

#[test]
fn who_reads_standard_output_may_go_and_the_files_are_whole() {
    let bench = bench();
    long(&bench);
    let program = env!("CARGO_BIN_EXE_nflab");
    for (options, files) in [
        ("--explain all --json out.jsonl --save saved", true),
        ("--json -", false),
        ("--explain all", false),
    ] {
        let line = format!(
            "set -o pipefail; {program} replay --lab lab.toml --rules rules long.pcapng --quiet {options} | head -n 1 | cut -c 1-8"
        );
        let mut command = bench.command("bash".as_ref());
        command.args(["-c", &line]);
        let ran = crate::bench::run(command, "");
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{options}");
        if files {
            assert_eq!(bench.read("out.jsonl").lines().count(), 20_000);
            assert!(bench.read("saved").ends_with('\n'));
        }
    }
    let mut command = bench.command("sh".as_ref());
    command.args([
        "-c",
        &format!("{program} replay --lab lab.toml in.pcapng --json - > /dev/full"),
    ]);
    let ran = crate::bench::run(command, "");
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.err,
        "nflab: replayed without rules, which accept all that is routed: --rules FILE gives them\n\
         nflab: cannot write standard output: No space left on device\n"
    );
}

#[test]
fn a_packet_that_was_short_on_the_link_is_not_called_cut() {
    let bench = bench();
    let whole = bytes("udp 10.0.0.2:5000 > 192.0.2.9:53 data \"and more\"");
    let mut writer = CaptureWriter::create(&bench.path("short.pcapng")).unwrap();
    writer
        .write("lan", Time::from_secs(1_700_000_000), &whole[..30], None)
        .unwrap();
    writer.finish().unwrap();
    let ran = replay(&bench, &["short.pcapng", "--json", "-"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let line: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(line["verdict"], "DROP");
}

/// Link types that carry no IP, on as many interfaces as packets: each is found at once.
#[test]
fn seventy_thousand_interfaces() {
    let bench = bench();
    let arp = frame([8, 6], &[0; 28]);
    let mut writer = CaptureWriter::create(&bench.path("many.pcapng")).unwrap();
    let first = bytes("udp 10.0.0.2:5000 > 192.0.2.9:53");
    writer
        .write("lan", Time::from_secs(1_700_000_000), &first, None)
        .unwrap();
    for number in 0..70_000 {
        let frame = Frame {
            link: ETHERNET,
            bytes: &arp,
            original_length: arp.len(),
        };
        let time = Time::from_secs(1_700_000_001);
        writer.write_frame(&format!("if{number}"), time, frame, None).unwrap();
    }
    writer.finish().unwrap();
    let begun = std::time::Instant::now();
    let ran = replay(&bench, &["many.pcapng", "--annotate", "annotated.pcapng", "--quiet"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    // Looking through all of them for each took minutes in this build.
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}
