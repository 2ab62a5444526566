//! `nflab queue`: who listens at a live lab's queue decides of what waits there.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::lab::{ROUTER, Scratch, wait_until};

const PING: &[&str] = &["ping", "-n", "-c", "1", "-W", "1", "192.0.2.9"];
const QUEUED: &[&str] = &[
    "iptables",
    "-A",
    "FORWARD",
    "-p",
    "icmp",
    "--icmp-type",
    "echo-request",
    "-j",
    "NFQUEUE",
    "--queue-num",
    "3",
];

#[test]
fn who_listens_decides() {
    let Some(scratch) = Scratch::new("queues", &["ping"]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    lab.tool(QUEUED).good();
    assert_ne!(lab.exec("inside", PING).code, 0, "nobody listens yet");

    let mut listener = listening(&lab, &["queue", "3"]);
    let (mut verdicts, packets) = (listener.stdin.take().unwrap(), listener.stdout.take().unwrap());
    let mut listener = crate::lab::Process::of(listener);
    wait_until("somebody listens", || {
        lab.tool(&["cat", "/proc/net/netfilter/nfnetlink_queue"])
            .out
            .contains(" 3 ")
    });
    let taken = lab.tool(&["queue", "3", "--drop"]);
    assert_eq!(
        (taken.code, taken.err.as_str()),
        (1, "nflab: somebody listens at queue 3 already\n")
    );

    let mut packets = BufReader::new(packets).lines();
    for (verdict, passes) in [
        ("accept", true),
        ("drop", false),
        ("repeat 99", false),
        ("accept", true),
    ] {
        let asking = std::thread::scope(|scope| {
            let ping = scope.spawn(|| lab.exec("inside", PING));
            let shown = packets.next().unwrap().unwrap();
            let id = shown.split(' ').next().unwrap();
            assert_eq!(
                shown,
                format!(
                    "{id} FORWARD in lan out wan: icmp 10.0.0.2 > 192.0.2.9 echo-request id {}",
                    shown.rsplit("id ").next().unwrap()
                )
            );
            match verdict.split_once(' ') {
                // Of a packet that does not wait, and so nothing becomes of the one that does.
                Some((verdict, other)) => writeln!(verdicts, "{verdict} {other}").unwrap(),
                None => writeln!(verdicts, "{verdict} {id}").unwrap(),
            }
            ping.join().unwrap()
        });
        assert_eq!(asking.code == 0, passes, "{verdict}");
    }
    // Who decides is gone, and nobody listens any more.
    drop(verdicts);
    assert_eq!(listener.ended().code(), Some(1), "a packet was named that did not wait");
    assert_eq!(lab.tool(&["cat", "/proc/net/netfilter/nfnetlink_queue"]).out, "");
    assert_ne!(lab.exec("inside", PING).code, 0);
}

/// What is decided is followed as any packet, and a mark or other bytes are what goes on.
#[test]
fn what_goes_on_is_what_was_decided() {
    let Some(scratch) = Scratch::new("queue-example", &["ping"]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    lab.tool(QUEUED).good();
    lab.tool(&[
        "iptables",
        "-t",
        "mangle",
        "-A",
        "POSTROUTING",
        "-m",
        "mark",
        "--mark",
        "5",
    ])
    .good();
    let example = std::path::Path::new(env!("CARGO_BIN_EXE_nflab")).with_file_name("examples/decide_queued_packets");
    assert!(
        example.exists(),
        "`cargo build --example decide_queued_packets` makes it"
    );
    let mut deciding = lab.scratch.command(&example);
    deciding
        .args([env!("CARGO_BIN_EXE_nflab"), "3", "forbidden"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut deciding = deciding.spawn().unwrap();
    let mut said = BufReader::new(deciding.stdout.take().unwrap()).lines();
    let deciding = crate::lab::Process::of(deciding);
    wait_until("the example listens", || {
        lab.tool(&["cat", "/proc/net/netfilter/nfnetlink_queue"])
            .out
            .contains(" 3 ")
    });
    let with = |pattern: &str| {
        let mut words = PING.to_vec();
        words.splice(1..1, ["-s", "32", "-p", pattern]);
        lab.exec("inside", &words).code == 0
    };
    assert!(with("61"), "nothing in it is forbidden");
    // "forbidden", then "forbidden" again.
    assert!(!with("666f7262696464656e"), "its word is in it");
    let said: Vec<String> = (0..2).map(|_| said.next().unwrap().unwrap()).collect();
    assert!(
        said[0].starts_with("accept: icmp 10.0.0.2 > 192.0.2.9 echo-request"),
        "{said:?}"
    );
    assert!(said[1].starts_with("drop: icmp 10.0.0.2"), "{said:?}");
    drop(deciding);
    wait_until("the queue is closed", || {
        lab.tool(&["cat", "/proc/net/netfilter/nfnetlink_queue"]).out.is_empty()
    });

    let mut marking = listening(&lab, &["queue", "3", "--json"]);
    let (mut verdicts, packets) = (marking.stdin.take().unwrap(), marking.stdout.take().unwrap());
    let _marking = crate::lab::Process::of(marking);
    let passed = std::thread::scope(|scope| {
        let ping = scope.spawn(|| lab.exec("inside", PING));
        let shown = BufReader::new(packets).lines().next().unwrap().unwrap();
        assert!(
            shown.starts_with("{\"id\":1,\"hook\":\"FORWARD\",\"in\":\"lan\",\"out\":\"wan\",\"mark\":0,"),
            "{shown}"
        );
        writeln!(verdicts, "accept 1 mark 5").unwrap();
        ping.join().unwrap().code == 0
    });
    assert!(passed);
    let listed = lab.tool(&["iptables", "-t", "mangle", "-nvxL", "POSTROUTING"]).out;
    assert!(
        listed.lines().nth(2).unwrap().trim_start().starts_with("1 "),
        "{listed}"
    );
}

fn listening(lab: &crate::lab::Lab, args: &[&str]) -> std::process::Child {
    let mut command: Command = lab.scratch.command(env!("CARGO_BIN_EXE_nflab"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap()
}
