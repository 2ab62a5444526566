//! What is read has a bound, and what is waited for can be ended: texts without an end, FIFOs that nobody opens, keys that are no characters.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::bench::{Bench, LAB};

/// Every command that reads a text whole, with a file in that text's place.
const READING: &[&[&str]] = &[
    &["run", "ENDLESS"],
    &["run", "--lab", "ENDLESS", "script"],
    &["test", "ENDLESS"],
    &["test", "--rules", "ENDLESS", "tests.test.nflab"],
    &["trace", "--rules", "ENDLESS", "lan udp 10.0.0.2:1 > 192.0.2.9:2"],
    &["trace", "--lab", "ENDLESS", "lan udp 10.0.0.2:1 > 192.0.2.9:2"],
    &["import", "ENDLESS"],
    &["import", "--lab", "ENDLESS", "--from", "script", "script.sh"],
    &["replay", "--lab", "ENDLESS", "in.pcapng"],
    &["sh", "--lab", "ENDLESS", "--", "touch", "ran"],
    &["up", "ENDLESS"],
    &["up", "lab.toml", "--rules", "ENDLESS"],
    &["repl", "--lab", "ENDLESS"],
];

/// The same from standard input.
const PIPED: &[&[&str]] = &[
    &["run", "-"],
    &["import", "-"],
    &["up", "lab.toml", "--rules", "-"],
    &["repl", "--seed", "1"],
];

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("script", "iptables -S\n");
    bench.write("script.sh", "#!/bin/sh\niptables -S\n");
    bench.write(
        "tests.test.nflab",
        "lab lab.toml\nrules rules\ntest \"one\"\n    iptables -S\nend\n",
    );
    bench.write("rules", "*filter\nCOMMIT\n");
    bench
}

fn nflab(bench: &Bench, args: &[&str]) -> Command {
    // Without the bound this ends it, and not the machine.
    let mut command = bench.command(Path::new("prlimit"));
    command.args(["--as=4294967296", "--", env!("CARGO_BIN_EXE_nflab")]);
    command.args(args).stdin(Stdio::null());
    command
}

#[test]
fn a_text_without_an_end_is_refused_by_its_bound() {
    let bench = bench();
    let check = |args: &[&str], output: std::process::Output| {
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {err}");
        assert!(
            err.contains("it has more than the 64 MB that nflab takes of one text"),
            "{args:?}: {err}"
        );
    };
    for args in READING {
        let args: Vec<&str> = args
            .iter()
            .map(|arg| if *arg == "ENDLESS" { "/dev/zero" } else { arg })
            .collect();
        check(&args, nflab(&bench, &args).output().unwrap());
    }
    for args in PIPED {
        let zeros = std::fs::File::open("/dev/zero").unwrap();
        check(args, nflab(&bench, args).stdin(zeros).output().unwrap());
    }
    assert!(!bench.path("ran").exists());
}

/// Whoever waits for the other end of a FIFO ends by a signal, as everything that waits does: before a command is run, and after it.
#[test]
fn a_fifo_that_nobody_opens_keeps_no_command_from_ending() {
    let bench = bench();
    rustix::fs::mkfifoat(rustix::fs::CWD, bench.path("fifo"), rustix::fs::Mode::RWXU).unwrap();
    for (args, waits_for) in [
        (&["sh", "--lab", "fifo", "--", "true"][..], "fifo"),
        (&["import", "--lab", "fifo", "script.sh"], "fifo"),
        (&["sh", "--save", "fifo", "--", "touch", "ran"], "ran"),
        (&["import", "script.sh", "--out", "fifo"], "fifo"),
    ] {
        let mut command = bench.command(Path::new(env!("CARGO_BIN_EXE_nflab")));
        let mut child = command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let waits = || {
            let comes = waits_for == "fifo" || bench.path(waits_for).exists();
            let place = std::fs::read_to_string(format!("/proc/{}/wchan", child.id())).unwrap_or_default();
            comes && (place.contains("fifo") || place.contains("wait_for_partner"))
        };
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !waits() && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let waited = waits();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let ended = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if std::time::Instant::now() > until => break None,
                None => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        };
        if ended.is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(waited && ended.is_some(), "{args:?}: waited {waited}, ended {ended:?}");
    }
}

/// At a terminal, which `script` of util-linux makes.
#[test]
fn a_byte_that_is_no_character_ends_no_session() {
    let bench = bench();
    // A session that waits for what never comes ends, and the test fails.
    let mut command = bench.command(Path::new("timeout"));
    let line = format!("{} repl --lab lab.toml", env!("CARGO_BIN_EXE_nflab"));
    let mut child = command
        .args(["30", "script", "-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env("HOME", bench.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut keys, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut said, mut rest) = (String::new(), String::new());
    // What is typed before the editor waits is lost, so each step waits for the one before.
    for (awaited, typed) in [
        ("+0s> ", &b"iptables -A IN\xff"[..]),
        ("no UTF-8 was typed here", b""),
        ("iptables -A IN", b"PUT -j DROP\r"),
        ("+0s> ", b"\xfe"),
        ("no UTF-8 was typed here", b""),
        ("+0s> ", b"iptables -S INPUT\r"),
        ("\n-A INPUT -j DROP", b""),
        ("+0s> ", b"\x04"),
    ] {
        let mut step = std::mem::take(&mut rest);
        while !step.contains(awaited) {
            let mut part = [0; 4096];
            let read = std::io::Read::read(&mut shown, &mut part).unwrap();
            assert_ne!(read, 0, "it ended before {awaited:?}: {said}{step}");
            step += &String::from_utf8_lossy(&part[..read]);
        }
        let (before, behind) = step.split_at(step.find(awaited).unwrap() + awaited.len());
        said += before;
        std::io::Write::write_all(&mut keys, typed).unwrap();
        rest = behind.to_owned();
    }
    assert!(child.wait().unwrap().success());
}
