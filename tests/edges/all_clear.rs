//! No false all-clear, and nothing run by mistake: a comparison that rests on packets which no rule saw says so first and exits with 2; a
//! text that parses as rules is read, whatever words stand in it.

use std::path::Path;

use crate::bench::{Bench, LAB};
use crate::captures::{self, bytes};

const RULES: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\n\
    -A FORWARD -i lan -o wan -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n";

/// What is wrong with a packet of a capture.
#[derive(Clone, Copy)]
enum Fault {
    None,
    /// As the stack hands it to a card that sums.
    Checksum,
    /// Only its first bytes are there.
    Cut,
}

fn capture(path: &Path, packets: &[(&str, &str, Fault)]) {
    let written = packets.iter().enumerate().map(|(at, (interface, line, fault))| {
        let mut packet = bytes(line);
        let original_length = packet.len();
        match fault {
            Fault::None => {}
            Fault::Checksum => packet[36] ^= 0x55,
            Fault::Cut => packet.truncate(30),
        }
        (at as u64, *interface, packet, original_length)
    });
    captures::write(path, written);
}

const OPENS: &str = "tcp 10.0.0.2:6000 > 192.0.2.9:80 S";
const OTHER: &str = "tcp 10.0.0.3:6000 > 192.0.2.9:22 S";

/// Packets, options, the exit code of a comparison of rules with themselves, and what is said (and what not).
type Case<'a> = (&'a str, &'a [(&'a str, &'a str, Fault)], &'a [&'a str], i32, &'a str);

#[test]
fn a_comparison_that_rests_on_nothing_is_no_all_clear() {
    let cases: &[Case<'_>] = &[
        (
            "all is well",
            &[("lan", OPENS, Fault::None), ("lan", OTHER, Fault::None)],
            &[],
            0,
            "rules and rules treat all 2 packets the same\n",
        ),
        (
            "checksums left to a card",
            &[("lan", OPENS, Fault::None), ("lan", OTHER, Fault::Checksum)],
            &[],
            2,
            "1 of 2 packets tells nothing about the rules, which did not see what was sent:\n              1  INVALID: the checksum is wrong\n  \
             checksums that a network card was to fill in are made right by --fix-checksums\nrules and rules treat the other 1 packet the same",
        ),
        (
            "the remedy",
            &[("lan", OPENS, Fault::None), ("lan", OTHER, Fault::Checksum)],
            &["--fix-checksums"],
            0,
            "rules and rules treat all 2 packets the same\n",
        ),
        (
            "nothing else",
            &[("lan", OTHER, Fault::Checksum)],
            &[],
            2,
            "so nothing can be said of rules and rules\n",
        ),
        (
            "as one likes",
            &[("lan", OTHER, Fault::Checksum)],
            &["--allow-invalid"],
            0,
            "1 of 1 packets tells nothing",
        ),
        (
            "cut short",
            &[("lan", OPENS, Fault::None), ("lan", OTHER, Fault::Cut)],
            &[],
            2,
            "--fill-cut",
        ),
        (
            "the other direction is missing",
            &[("wan", "tcp 192.0.2.9:80 > 10.0.0.2:6000 SA", Fault::None)],
            &[],
            2,
            "the capture lacks what came before",
        ),
        (
            "to a group that nobody here joined",
            &[
                ("lan", OPENS, Fault::None),
                ("lan", "udp 10.0.0.2:5353 > 224.0.0.251:5353", Fault::None),
            ],
            &[],
            0,
            "rules and rules treat all 2 packets the same\n",
        ),
        (
            "the lab has no way",
            &[
                ("lan", "tcp 192.0.2.7:1 > 192.0.2.9:80 S", Fault::None),
                ("wan", "udp 10.0.0.2:1 > 127.0.0.5:2", Fault::None),
            ],
            &[],
            2,
            "the lab stops it before its rules",
        ),
        (
            // Flags that no segment has are INVALID to the kernel too, and rules do see them so.
            "a scan",
            &[
                ("lan", OPENS, Fault::None),
                ("lan", "tcp 10.0.0.2:6001 > 192.0.2.9:80 FSRPAU", Fault::None),
            ],
            &[],
            0,
            "rules and rules treat all 2 packets the same\n",
        ),
    ];
    for (what, packets, options, code, said) in cases {
        let bench = Bench::new();
        bench.write("lab.toml", LAB);
        bench.write("rules", RULES);
        capture(&bench.path("in.pcapng"), packets);
        let mut args = vec![
            "replay",
            "--lab",
            "lab.toml",
            "--rules",
            "rules",
            "in.pcapng",
            "--against",
            "rules",
        ];
        args.extend(["--differences", "found.jsonl"]);
        args.extend(*options);
        let ran = bench.nflab(&args);
        assert_eq!(ran.code, *code, "{what}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains(said), "{what}: {}", ran.out);
        let first = ran.out.lines().next().unwrap_or_default();
        let blind = first.contains("about the rules");
        assert_eq!(
            blind,
            *code == 2 || options.contains(&"--allow-invalid"),
            "{what}: said first: {first}"
        );
        let total = bench.read("found.jsonl");
        let total: serde_json::Value = serde_json::from_str(total.lines().last().unwrap()).unwrap();
        assert_eq!(total["total"]["all_clear"], !blind, "{what}: {total}");
        assert_eq!(
            total["total"]["unseen"].as_array().unwrap().is_empty(),
            !blind,
            "{what}: {total}"
        );
    }
}

/// Nor does what holds no packet for rules, or holds it where it is not decoded.
#[test]
fn a_capture_without_packets_for_rules_is_no_all_clear() {
    let bench = Bench::new();
    bench.write("lab.toml", "[interface.lan]\naddress = [\"10.0.0.1/24\"]\n");
    bench.write("rules", "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n");
    let frame = |kind: [u8; 2]| [&[2; 6][..], &[4; 6], &kind, &[0; 46]].concat();
    let nothing = "the capture has no packet that rules were to see, so nothing can be said of rules and rules\n";
    for (frames, allowed, said) in [
        (&[][..], 2, nothing),
        (&[frame([0x08, 0x06])], 2, nothing),
        (&[frame([0x88, 0x64])], 0, "frames of type 0x8864 (PPPoE), not decoded"),
        (&[frame([0x88, 0x47])], 0, "frames of type 0x8847 (MPLS), not decoded"),
    ] {
        // A classic pcap of Ethernet, as tcpdump writes it.
        let numbers = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1];
        let mut capture: Vec<u8> = numbers.into_iter().flat_map(u32::to_le_bytes).collect();
        for frame in frames {
            let length = frame.len() as u32;
            capture.extend([1, 0, length, length].into_iter().flat_map(u32::to_le_bytes));
            capture.extend(frame);
        }
        std::fs::write(bench.path("capture.pcap"), capture).unwrap();
        let arguments = ["replay", "--lab", "lab.toml", "--rules", "rules", "--interface", "lan"];
        let arguments = [&arguments[..], &["capture.pcap", "--against", "rules"]].concat();
        let ran = bench.nflab(&arguments);
        assert_eq!(ran.code, 2, "{said}: {}{}", ran.out, ran.err);
        assert!(
            format!("{}{}", ran.out, ran.err).contains(said),
            "{said}: {}{}",
            ran.out,
            ran.err
        );
        let ran = bench.nflab(&[&arguments[..], &["--allow-invalid"]].concat());
        assert_eq!(ran.code, allowed, "{said}: {}{}", ran.out, ran.err);
    }
}

/// What a frame holds that nobody decodes is not known, so beside a packet that rules treat the same it leaves no all-clear; what carries no IP, and
/// what the kernel drops before its first hook, is nothing to rules.
#[test]
fn what_is_not_decoded_is_no_all_clear() {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("rules", RULES);
    let ip = bytes(OPENS);
    let ethernet = |kind: [u8; 2], behind: &[u8]| [&[2; 6][..], &[4; 6], &kind, behind, &ip].concat();
    let cooked = |packet: u8, protocol: [u8; 2]| [&[0, packet, 0, 1, 0, 6], &[4; 8][..], &protocol, &ip].concat();
    let family = |family: u8| [&[family, 0, 0, 0][..], &ip].concat();
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    let (first_ethernet, first_cooked) = (ethernet([8, 0], &[]), cooked(0, [8, 0]));
    for (link, first, second, code, said) in [
        (
            1,
            &first_ethernet,
            ethernet([0x88, 0xe5], &[0; 8]),
            2,
            "frames of type 0x88e5 (MACsec), not decoded",
        ),
        (
            1,
            &first_ethernet,
            ethernet([0x92, 0], &[0, 5, 8, 0]),
            2,
            "frames of type 0x9200 (VLAN tag), not decoded",
        ),
        (
            1,
            &first_ethernet,
            ethernet([0x12, 0x34], &[]),
            2,
            "frames of type 0x1234, not decoded",
        ),
        (
            1,
            &first_ethernet,
            ethernet([0, 60], &snap),
            2,
            "LLC/SNAP frames of type 00:00:00 0x0800, not decoded",
        ),
        (
            1,
            &first_ethernet,
            ethernet([0, 60], &[0x42, 0x42, 3]),
            0,
            "treat all 1 packets the same",
        ),
        (
            1,
            &first_ethernet,
            ethernet([8, 6], &[]),
            0,
            "treat all 1 packets the same",
        ),
        (
            113,
            &first_cooked,
            cooked(0, [0, 1]),
            2,
            "cooked frames of protocol 1, not decoded",
        ),
        (
            113,
            &first_cooked,
            cooked(0, [0, 4]),
            2,
            "LLC frames from 0x00 to 0x45, not decoded",
        ),
        (113, &first_cooked, cooked(3, [8, 0]), 0, "treat all 1 packets the same"),
        (0, &family(2), family(99), 2, "frames of family 99, not decoded"),
    ] {
        let numbers = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, link];
        let mut capture: Vec<u8> = numbers.into_iter().flat_map(u32::to_le_bytes).collect();
        for frame in [first, &second] {
            let length = frame.len() as u32;
            capture.extend([1, 0, length, length].into_iter().flat_map(u32::to_le_bytes));
            capture.extend(frame);
        }
        std::fs::write(bench.path("capture.pcap"), capture).unwrap();
        let arguments = ["replay", "--lab", "lab.toml", "--rules", "rules", "--interface", "lan"];
        let arguments = [&arguments[..], &["capture.pcap", "--against", "rules"]].concat();
        let ran = bench.nflab(&arguments);
        assert_eq!(ran.code, code, "{said}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains(said), "{said}: {}{}", ran.out, ran.err);
        let ran = bench.nflab(&[&arguments[..], &["--allow-invalid"]].concat());
        assert_eq!(ran.code, 0, "{said}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn a_difference_is_one_beside_packets_that_tell_nothing() {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("rules", RULES);
    bench.write("other", &RULES.replace("--dport 80", "--dport 81"));
    capture(
        &bench.path("in.pcapng"),
        &[("lan", OPENS, Fault::None), ("lan", OTHER, Fault::Checksum)],
    );
    let replay = ["replay", "--lab", "lab.toml", "--rules", "rules", "in.pcapng"];
    let ran = bench.nflab(&[&replay[..], &["--against", "other"]].concat());
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("1 of 2 packets tells nothing"), "{}", ran.out);
    assert!(
        ran.out.contains("1 of 2 packets, of 1 flow, are treated differently"),
        "{}",
        ran.out
    );
    // Alone it says so first, too.
    let ran = bench.nflab(&replay);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.starts_with("1 of 2 packets tells nothing about the rules"),
        "{}",
        ran.err
    );
}

#[test]
fn what_parses_as_rules_is_never_run() {
    let save = "# made by hand\n*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m comment --comment \"; touch was-run; iptables -F\" -j DROP\n\
                -A INPUT -j LOG --log-prefix \"iptables denied: \"\nCOMMIT\n";
    let commands = "-P INPUT ACCEPT\n-A INPUT -m limit --limit 5/min -j LOG --log-prefix \"iptables denied: \"\n";
    let listing = "Chain INPUT (policy ACCEPT)\ntarget     prot opt source               destination         \n\
                   DROP       all  --  0.0.0.0/0            0.0.0.0/0            /* ; touch was-run; iptables -F */\n";
    let indented: String = listing.lines().map(|line| format!("    {line}\n")).collect();
    for (what, text, code, said) in [
        ("a save file", save, 0, "--log-prefix \"iptables denied: \""),
        (
            "what was made to run",
            &format!("#!/sbin/iptables-restore\n{save}"),
            0,
            "touch was-run",
        ),
        ("commands", commands, 0, "--log-prefix \"iptables denied: \""),
        ("a listing", listing, 0, "touch was-run"),
        ("a listing as it is pasted", &indented, 0, "touch was-run"),
        ("prose", "To be safe say iptables -F\ntouch was-run\n", 2, ""),
        ("a word in quotes", "echo \"iptables -F\"\ntouch was-run\n", 2, ""),
    ] {
        let bench = Bench::new();
        bench.write("text", text);
        let ran = bench.nflab(&["import", "text"]);
        assert_eq!(ran.code, code, "{what}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains(said), "{what}: {}", ran.out);
        assert!(!ran.err.contains("command not found"), "{what}: {}", ran.err);
        assert!(!bench.path("was-run").exists(), "{what} was run");
        if code == 2 {
            assert!(ran.err.contains("--from says which it is"), "{what}: {}", ran.err);
        }
    }
    let bench = Bench::new();
    bench.write("text", save);
    let ran = bench.nflab(&["import", "--from", "script", "text"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("is read and not run"), "{}", ran.err);
}

/// Among commands of a shell a rule would be a program that is not found, and lost.
#[test]
fn a_rule_among_commands_is_not_lost() {
    for (text, said) in [
        (
            "iptables -P INPUT ACCEPT\n-A INPUT -s 10.0.0.5 -j DROP\n",
            "text:2: cannot be read",
        ),
        (
            "iptables -F\n*filter\n:INPUT DROP [0:0]\nCOMMIT\n",
            "text:3: cannot be read",
        ),
        // What only the shell can tell.
        (
            "#!/bin/sh\niptables -F\nif true; then -A INPUT -j DROP; fi 2>/dev/null\n",
            "text:3: cannot be read",
        ),
    ] {
        let bench = Bench::new();
        bench.write("text", text);
        let ran = bench.nflab(&["import", "text", "--out", "rules"]);
        assert_eq!(ran.code, 2, "{text}: {}", ran.err);
        assert!(ran.err.contains(said), "{text}: {}", ran.err);
        assert!(!bench.path("rules").exists(), "{text}");
    }
    let bench = Bench::new();
    bench.write(
        "text",
        "iptables-restore <<EOF\n*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\nEOF\n",
    );
    let ran = bench.nflab(&["import", "text"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("-A INPUT -i lo -j ACCEPT"), "{}", ran.out);
}

/// What editors and packers make of a save file is read, or refused by its name.
#[test]
fn import_knows_what_editors_and_packers_make_of_a_text() {
    let bench = Bench::new();
    let save = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n";
    for text in [
        format!("\u{feff}{save}"),
        format!("\u{feff}{}", save.replace('\n', "\r\n")),
    ] {
        bench.write("text", &text);
        let ran = bench.nflab(&["import", "text"]);
        assert_eq!(ran.code, 0, "{text:?}: {}", ran.err);
        assert!(ran.out.contains("\n*filter\n:INPUT ACCEPT [0:0]\n"), "{}", ran.out);
        assert!(!ran.out.contains(['\u{feff}', '\r']), "{}", ran.out);
    }
    let utf16: Vec<u8> = "\u{feff}*filter".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, what) in [
        (&b"\x1f\x8b\x08\0*filter\n"[..], "gunzip"),
        (b"BZh91AY&SY", "bunzip2"),
        (b"\xfd7zXZ\0\0\x04*filter\n:INPUT", "unxz"),
        (b"\x28\xb5\x2f\xfd$", "unzstd"),
        (b"PK\x03\x04", "unzip"),
        (&utf16, "iconv"),
        (b"*filter\n\0COMMIT\n", "NUL"),
    ] {
        std::fs::write(bench.path("text"), bytes).unwrap();
        let ran = bench.nflab(&["import", "text"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{what}");
        assert!(
            ran.err.starts_with("nflab: text is ") && ran.err.contains(what),
            "{what}: {}",
            ran.err
        );
    }
}

/// A listing can hold names that no file for `iptables-restore` can say.
#[test]
fn import_writes_nothing_that_restore_refuses() {
    let bench = Bench::new();
    let heading = "target     prot opt source               destination         \n";
    for (name, why) in [
        ("AB\tC", "no save file can say this"),
        ("a-name-of-twenty-nine-letters", "28 chars"),
    ] {
        let listing = format!("Chain INPUT (policy ACCEPT)\n{heading}\nChain {name} (0 references)\n{heading}");
        bench.write("listing", &listing);
        let ran = bench.nflab(&["import", "listing", "--out", "rules"]);
        assert_eq!(ran.code, 2, "{name:?}: {}", ran.err);
        assert!(ran.err.contains("listing:"), "{name:?}: {}", ran.err);
        assert!(ran.err.contains(why), "{name:?}: {}", ran.err);
        assert!(!bench.path("rules").exists());
    }
}
