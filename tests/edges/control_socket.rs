//! What clients of a live lab's control socket may do, and packets and other clients notice nothing of: files that nobody writes to, requests
//! that do not end, answers that nobody takes, and connections without number.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::lab::{Lab, ROUTER, Scratch};

/// Rules for some hundred kilobytes of answer.
fn many_rules(count: usize) -> String {
    let rule = |number: usize| format!("-A FORWARD -s 172.16.{}.{}/32 -j ACCEPT\n", number / 250, number % 250);
    format!("*filter\n{}COMMIT\n", (0..count).map(rule).collect::<String>())
}

#[test]
fn a_path_that_nobody_writes_to_stops_its_caller_alone() {
    let Some(scratch) = Scratch::new("edge-path", &["ping"]) else {
        return;
    };
    scratch.write("rules", "*filter\n-A INPUT -s 203.0.113.5/32 -j ACCEPT\nCOMMIT\n");
    scratch.write(
        "script.sh",
        "for how in '/dev/stdin' '<(cat rules)'; do\n\
         iptables -F; eval \"iptables-restore $how\" < rules; echo $?; iptables -S INPUT; done\n\
         mkfifo fifo; timeout 1 iptables-restore fifo; echo $?; iptables -S INPUT\n",
    );
    let lab = scratch.up(ROUTER);
    let mut command = lab.scratch.command("bash");
    let tools = lab.scratch.path("tools");
    lab.scratch.nflab(&["shims", "tools"]).good();
    command
        .arg("script.sh")
        .env("PATH", format!("{}:/usr/bin:/bin", tools.display()));
    let output = beside_pings(&lab, "paths", || command.output().unwrap());
    let text = String::from_utf8(output.stdout).unwrap();
    let rules = "-P INPUT ACCEPT\n-A INPUT -s 203.0.113.5/32 -j ACCEPT\n";
    assert_eq!(
        text,
        format!("0\n{rules}0\n{rules}124\n{rules}"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Does something while a host pings another, and holds that every ping was answered.
fn beside_pings<T>(lab: &Lab, what: &str, work: impl FnOnce() -> T) -> T {
    let ping = ["ping", "-q", "-i", "0.02", "-c", "100", "-W", "1", "192.0.2.9"];
    std::thread::scope(|scope| {
        let pings = scope.spawn(|| lab.exec("inside", &ping).good());
        let result = work();
        let said = pings.join().unwrap();
        assert!(said.contains("100 packets transmitted, 100 received"), "{what}: {said}");
        result
    })
}

/// A client that does as it likes.
fn hostile(lab: &Lab) -> UnixStream {
    let stream = UnixStream::connect(PathBuf::from("/run/nflab").join(&lab.scratch.name).join("control")).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    stream
}

/// The process that carries the packets.
fn router(lab: &Lab) -> u32 {
    let mut id = lab.id();
    while let Some(child) = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .next()
        .and_then(|child| child.parse().ok())
    {
        id = child;
    }
    id
}

fn resident_megabytes(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

/// What a hostile client has done must not show in pings, in memory, in descriptors, or in what others are answered.
#[test]
fn floods_of_every_kind_leave_packets_and_tools_alone() {
    let Some(scratch) = Scratch::new("edge-flood", &["ping"]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    lab.restore(&many_rules(5000)).good();
    let process = router(&lab);
    for kind in ["half", "newlines", "unread", "huge", "crowd"] {
        beside_pings(&lab, kind, || flood(&lab, process, kind));
    }
    assert_eq!(lab.errors(), "");
}

fn flood(lab: &Lab, process: u32, kind: &str) {
    let mut clients = Vec::new();
    for number in 0..if kind == "crowd" { 500 } else { 30 } {
        let mut stream = hostile(lab);
        let sent = match kind {
            "half" => stream.write_all(b"{\"tool\":\"iptables\",\"ar"),
            "newlines" => stream.write_all(&[b'\n'; 200_000]),
            "unread" => stream.write_all(&b"{\"tool\":\"iptables-save\"}\n".repeat(1000)),
            "huge" => stream.write_all(&vec![b'x'; if number < 6 { 50 << 20 } else { 1 << 20 }]),
            _ => Ok(()),
        };
        // It may be turned away before it has said all.
        drop(sent);
        clients.push(stream);
    }
    let began = Instant::now();
    assert_eq!(
        lab.tool(&["iptables", "-S", "INPUT"]).good(),
        "-P INPUT ACCEPT\n",
        "{kind}"
    );
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{kind}: an answer took {took:?}");
    let (memory, open) = (resident_megabytes(process), descriptors(process));
    assert!(memory < 400, "{kind}: {memory} MB");
    assert!(open < 100, "{kind}: {open} descriptors");
    if kind == "crowd" {
        let mut last = clients.pop().unwrap();
        let mut told = String::new();
        last.read_to_string(&mut told).unwrap();
        assert!(told.contains("has 32 connections already"), "{told}");
    }
}

#[test]
fn without_descriptors_it_waits_and_says_so() {
    let Some(scratch) = Scratch::new("edge-descriptors", &["ping"]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    let process = router(&lab);
    let few = descriptors(process) as u64 + 4;
    let limit = Rlimit {
        current: Some(few),
        maximum: Some(few),
    };
    prlimit(Pid::from_raw(process as i32), Resource::Nofile, limit).unwrap();
    let clients = beside_pings(&lab, "crowd", || {
        let mut clients: Vec<UnixStream> = Vec::new();
        for _ in 0..20 {
            let mut stream = hostile(&lab);
            let _ = stream.write_all(b"{\"tool\":");
            clients.push(stream);
        }
        assert_eq!(lab.tool(&["iptables", "-S", "INPUT"]).good(), "-P INPUT ACCEPT\n");
        clients
    });
    let spent = || {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        let times = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
        times.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = spent();
    std::thread::sleep(Duration::from_millis(500));
    let ticks = spent() - before;
    assert!(ticks < 20, "it spins: {ticks} hundredths of a second of half a second");
    let said = lab.errors();
    assert!(
        said.contains("no descriptor is left for a further connection to the lab"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    drop(clients);
    assert_eq!(lab.tool(&["iptables", "-S", "INPUT"]).good(), "-P INPUT ACCEPT\n");
}
