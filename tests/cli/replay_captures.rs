//! `nflab replay` on captures of every kind, and on what is wrong with captures: said with the packet's number, the rest replayed, exit code 2.

use std::io::Write;
use std::path::Path;

use nflab::device::{CaptureReader, Content};
use serde_json::Value;

use crate::bench::{Bench, LAB, Ran};
use crate::captures::bytes;
use crate::replay::capture;

const RULES: &str = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n\
                     -A FORWARD -i lan -j ACCEPT\nCOMMIT\n";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("rules.v4", RULES);
    bench
}

fn replay(bench: &Bench, more: &[&str]) -> Ran {
    let mut args = vec![
        "replay",
        "--lab",
        "lab.toml",
        "--rules",
        "rules.v4",
        "--json",
        "out.jsonl",
    ];
    args.extend(more);
    bench.nflab(&args)
}

/// `[n, in, verdict]` of each line.
fn verdicts(bench: &Bench) -> Vec<String> {
    let lines = bench.read("out.jsonl");
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| {
            format!(
                "{} {} {}",
                line["n"],
                line["in"].as_str().unwrap(),
                line["verdict"].as_str().unwrap()
            )
        })
        .collect()
}

/// A question and its answer, seen on one link.
fn both_ways() -> [Vec<u8>; 2] {
    [
        bytes("udp 10.0.0.2:5000 > 192.0.2.9:53 data \"ask\""),
        bytes("udp 192.0.2.9:53 > 10.0.0.2:5000 data \"answer\""),
    ]
}

/// A classic pcap: each packet behind this link header, cut to so many bytes.
fn classic(path: &Path, link: u32, headers: &[&[u8]], snap: usize, packets: &[Vec<u8>]) {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, link] {
        file.extend(word.to_le_bytes());
    }
    for (at, packet) in packets.iter().enumerate() {
        let frame = [headers[at % headers.len()], packet].concat();
        let kept = frame.len().min(snap);
        for word in [1_700_000_000u32, at as u32, kept as u32, frame.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(&frame[..kept]);
    }
    std::fs::write(path, file).unwrap();
}

const MAP: &[&str] = &["--map", "10.0.0.0/8=lan", "--map", "0.0.0.0/0=wan"];

fn with<'a>(more: &[&'a str], args: &[&'a str]) -> Vec<&'a str> {
    [more, args].concat()
}

#[test]
fn hosts_on_both_sides_of_one_capture() {
    let ethernet: &[u8] = &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let tagged: &[u8] = &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 5, 8, 0];
    let cooked: &[u8] = &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0];
    let cooked2: &[u8] = &[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    for (link, header) in [
        (1, ethernet),
        (1, tagged),
        (113, cooked),
        (276, cooked2),
        (0, &[2, 0, 0, 0]),
        (228, &[]),
    ] {
        let bench = bench();
        classic(&bench.path("in.pcap"), link, &[header], 9999, &both_ways());
        let ran = replay(&bench, &with(MAP, &["in.pcap"]));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "link type {link}");
        assert_eq!(verdicts(&bench), ["1 lan ACCEPT", "2 wan ACCEPT"], "link type {link}");
    }
}

#[test]
fn the_longest_prefix_counts_and_the_rest_has_a_default() {
    let bench = bench();
    classic(&bench.path("in.pcap"), 101, &[&[]], 9999, &both_ways());
    let ran = replay(
        &bench,
        &[
            "--map",
            "0.0.0.0/0=wan",
            "--map",
            "10.0.0.0/24=lan",
            "--map",
            "10.0.0.0/8=wan",
            "in.pcap",
        ],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(verdicts(&bench), ["1 lan ACCEPT", "2 wan ACCEPT"]);
    let ran = replay(&bench, &["--map", "10.0.0.0/24=lan", "--interface", "wan", "in.pcap"]);
    assert_eq!(
        (ran.code, verdicts(&bench)),
        (0, vec!["1 lan ACCEPT".into(), "2 wan ACCEPT".into()])
    );
    let ran = replay(&bench, &["--map", "10.0.0.0/24=lan", "in.pcap"]);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.err,
        "nflab: packet 2: its source 192.0.2.9 is in no prefix of --map; add one, such as --map 0.0.0.0/0=wan, or name an interface for the rest with --interface\n"
    );
    assert_eq!(verdicts(&bench), ["1 lan ACCEPT", "2  DROP"]);
}

#[test]
fn options_that_cannot_be_kept_are_refused_before_anything_is_written() {
    let bench = bench();
    classic(&bench.path("in.pcap"), 101, &[&[]], 9999, &both_ways());
    bench.write("out.jsonl", "kept\n");
    for (args, said) in [
        (
            &["--map", "10.0.0.0/8"][..],
            "--map \"10.0.0.0/8\": it has no `=`; expected PREFIX=INTERFACE, such as 10.0.0.0/8=lan or 2001:db8::/32=lan",
        ),
        (&["--map", "10.0.0.0/33=lan"], "\"33\" is no prefix length"),
        (&["--map", "2001:db8::/129=lan"], "\"129\" is no prefix length"),
        (
            &["--map", "10.0.0.0/8=dmz"],
            "interface \"dmz\", which the lab doesn't have: it has",
        ),
        (
            &["--map", "10.0.0.0/8=lan", "--map", "10.0.0.0/8=wan"],
            "the same prefix leads to lan already",
        ),
        (&["--interface", "dmz"], "--interface interface \"dmz\""),
        (&["--explain", "0"], "--explain \"0\": packets are numbered from 1"),
        (&["--filter", "tcp dprt 80"], "dprt"),
        (&["--filter", "tcp"], "add --explain all"),
        (
            &["--explain", "1", "--save", "-"],
            "--explain writes to standard output, so --save needs a file",
        ),
        (
            &["--direction", "in", "--interface", "lan"],
            "packet 1: the capture doesn't say which way it went",
        ),
        (
            &["--against", "nosuch", "--interface", "lan"],
            "cannot read the rules nosuch",
        ),
        (
            &[],
            "packet 1: the capture doesn't say on which interface it was; name it with --interface, or let --map",
        ),
    ] {
        let ran = replay(&bench, &with(args, &["in.pcap"]));
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{args:?}: {}", ran.err);
        assert_eq!(bench.read("out.jsonl"), "kept\n", "{args:?}");
    }
}

#[test]
fn packed_and_piped_captures() {
    let bench = bench();
    capture(
        &bench.path("in.pcapng"),
        &[
            (0, "lan", "udp 10.0.0.2:5000 > 192.0.2.9:53"),
            (1, "wan", "udp 192.0.2.9:53 > 10.0.0.2:5000"),
        ],
    );
    let plain = std::fs::read(bench.path("in.pcapng")).unwrap();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&plain).unwrap();
    let packed = packer.finish().unwrap();
    std::fs::write(bench.path("in.pcapng.gz"), &packed).unwrap();
    assert_eq!(replay(&bench, &["in.pcapng.gz"]).code, 0);
    assert_eq!(verdicts(&bench), ["1 lan ACCEPT", "2 wan ACCEPT"]);
    std::fs::write(bench.path("cut.gz"), &packed[..packed.len() - 20]).unwrap();
    let ran = replay(&bench, &["cut.gz"]);
    assert!(
        ran.code == 2 && ran.err.contains("the packed file ends early"),
        "{}",
        ran.err
    );
    let shell = format!(
        "{} replay --lab lab.toml --rules rules.v4 --json - - < in.pcapng.gz",
        env!("CARGO_BIN_EXE_nflab")
    );
    let mut command = bench.command(Path::new("sh"));
    command.args(["-c", &shell]);
    let ran = crate::bench::run(command, "");
    assert_eq!((ran.code, ran.out.lines().count()), (0, 2), "{}", ran.err);
}

#[test]
fn what_lies_before_the_cut_is_replayed() {
    let bench = bench();
    capture(
        &bench.path("in.pcapng"),
        &[
            (0, "lan", "udp 10.0.0.2:5000 > 192.0.2.9:53"),
            (1, "wan", "udp 192.0.2.9:53 > 10.0.0.2:5000"),
        ],
    );
    let whole = std::fs::read(bench.path("in.pcapng")).unwrap();
    std::fs::write(bench.path("cut.pcapng"), &whole[..whole.len() - 9]).unwrap();
    let ran = replay(&bench, &["cut.pcapng", "--save", "saved", "--out", "out.pcapng"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("cut.pcapng: packet 2 at byte "), "{}", ran.err);
    assert_eq!(verdicts(&bench), ["1 lan ACCEPT"]);
    assert!(bench.read("saved").contains("[1:28] -A FORWARD -i lan -j ACCEPT"));
    let mut out = CaptureReader::open(&bench.path("out.pcapng")).unwrap();
    assert!(out.next_packet().unwrap().is_some() && out.next_packet().unwrap().is_none());
}

#[test]
fn frames_that_carry_no_ip_and_interfaces_that_nobody_knows() {
    let bench = bench();
    let (ip, arp): (&[u8], &[u8]) = (
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0],
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6],
    );
    let [ask, answer] = both_ways();
    classic(
        &bench.path("in.pcap"),
        1,
        &[arp, ip],
        9999,
        &[ask.clone(), ask.clone(), ask, answer],
    );
    let ran = replay(&bench, &with(MAP, &["in.pcap", "--summary"]));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(verdicts(&bench), ["1  DROP", "2 lan ACCEPT", "3  DROP", "4 wan ACCEPT"]);
    assert!(
        ran.err.contains("\nNot replayed\n              2  not an IP packet\n"),
        "{}",
        ran.err
    );
    classic(&bench.path("wlan.pcap"), 105, &[&[]], 9999, &both_ways());
    bench.write("out.jsonl", "kept\n");
    let ran = replay(&bench, &with(MAP, &["wlan.pcap"]));
    assert_eq!(ran.code, 2);
    assert!(
        ran.err
            .contains("wlan.pcap: packet 1 at byte 24: link type 105 carries no IP"),
        "{}",
        ran.err
    );
    assert_eq!(bench.read("out.jsonl"), "kept\n");
    // One interface that isn't the lab's beside one that is.
    capture(
        &bench.path("dmz.pcapng"),
        &[
            (0, "lan", "udp 10.0.0.2:5000 > 192.0.2.9:53"),
            (1, "dmz", "udp 10.1.0.2:5000 > 192.0.2.9:53"),
            (2, "dmz", "udp 10.1.0.2:5000 > 192.0.2.9:53"),
            (3, "wan", "udp 192.0.2.9:53 > 10.0.0.2:5000"),
        ],
    );
    let ran = replay(&bench, &["dmz.pcapng"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err
            .starts_with("nflab: packet 2 came by interface \"dmz\", which the lab doesn't have"),
        "{}",
        ran.err
    );
    assert!(
        ran.err
            .ends_with("so it is with 2 packets in all: the lab has no interface \"dmz\"\n"),
        "{}",
        ran.err
    );
    assert_eq!(
        verdicts(&bench),
        ["1 lan ACCEPT", "2 dmz DROP", "3 dmz DROP", "4 wan ACCEPT"]
    );
}

#[test]
fn packets_that_the_capture_cut() {
    let bench = bench();
    let [ask, _] = both_ways();
    classic(&bench.path("in.pcap"), 101, &[&[]], 29, &[ask.clone(), ask.clone()]);
    let ran = replay(&bench, &with(MAP, &["in.pcap"]));
    assert_eq!(ran.code, 0);
    assert_eq!(verdicts(&bench), ["1 lan DROP", "2 lan DROP"]);
    assert!(
        ran.err
            .starts_with("nflab: packet 1 is cut: 29 of 31 bytes are in the capture, and a router drops")
            && ran.err.contains("--fill-cut")
            && ran
                .err
                .ends_with("nflab: so it is with 2 packets in all: packets are cut\n"),
        "{}",
        ran.err
    );
    let ran = replay(&bench, &with(MAP, &["in.pcap", "--fill-cut", "--out", "out.pcapng"]));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(verdicts(&bench), ["1 lan ACCEPT", "2 lan ACCEPT"]);
    let mut out = CaptureReader::open(&bench.path("out.pcapng")).unwrap();
    let packet = out.next_packet().unwrap().unwrap();
    assert!(matches!(packet.content, Content::Ip(bytes) if bytes.len() == ask.len()));
}

#[test]
fn checksums_that_a_card_was_to_fill_in() {
    let bench = bench();
    bench.write(
        "rules.v4",
        "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n",
    );
    let [mut ask, _] = both_ways();
    ask[26] ^= 0xff;
    classic(&bench.path("in.pcap"), 101, &[&[]], 9999, &[ask]);
    let ran = replay(&bench, &with(MAP, &["in.pcap", "--summary"]));
    assert_eq!((ran.code, verdicts(&bench)), (0, vec!["1 lan DROP".to_owned()]));
    assert!(
        ran.err.contains("\nINVALID because\n              1  the checksum"),
        "{}",
        ran.err
    );
    replay(&bench, &with(MAP, &["in.pcap", "--fix-checksums"]));
    assert_eq!(verdicts(&bench), ["1 lan ACCEPT"]);
}
