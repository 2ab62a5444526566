//! A live lab that one can live with: what `status`, `dmesg`, `cat`, `conntrack -E`, `trace` and the editor tell of one, and a shell in its hosts.

use std::process::Stdio;

use rustix::process::Signal;

use crate::lab::{Process, ROUTER, Scratch, run, wait_until};

/// A command of nflab's that goes on, and what it has printed.
struct Listening {
    process: Process,
    out: std::path::PathBuf,
}

impl Listening {
    fn start(lab: &crate::lab::Lab, name: &str, args: &[&str]) -> Self {
        let out = lab.scratch.path(name);
        let err = std::fs::File::create(lab.scratch.path(&format!("{name}.err"))).unwrap();
        let mut command = lab.scratch.command(env!("CARGO_BIN_EXE_nflab"));
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&out).unwrap())
            .stderr(err);
        Self {
            process: Process::of(command.spawn().unwrap()),
            out,
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap()
    }
}

#[test]
fn what_passes_is_shown_as_it_passes() {
    let Some(scratch) = Scratch::new("live", &["ping", "sh"]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    let ping = ["ping", "-n", "-c", "1", "-W", "1", "192.0.2.9"];
    lab.restore(
        "*filter\n:FORWARD ACCEPT\n-A FORWARD -p icmp -m state --state NEW -j LOG --log-prefix \"seen: \"\nCOMMIT\n",
    )
    .good();
    lab.exec("inside", &ping).good();
    let log = lab.tool(&["dmesg"]).good();
    assert!(
        log.lines().all(|line| line.contains("seen: IN=lan OUT=wan")) && !log.is_empty(),
        "{log}"
    );
    let follow = Listening::start(&lab, "dmesg", &["dmesg", "--follow"]);
    let new = Listening::start(&lab, "new", &["dmesg", "-W"]);
    let mut events = Listening::start(
        &lab,
        "events",
        &["conntrack", "-E", "-o", "timestamp,extended", "-p", "icmp"],
    );
    wait_until("both hear of a ping", || {
        lab.exec("inside", &ping).good();
        events.said().contains("[UPDATE]") && !new.said().is_empty()
    });
    wait_until("what is told is all that there is", || {
        follow.said() == lab.tool(&["dmesg"]).good()
    });
    lab.tool(&["conntrack", "-F"]).good();
    wait_until("the end of a flow", || {
        events.said().contains("[DESTROY] ipv4     2 icmp     1 ")
    });
    events.process.signal(Signal::INT);
    assert!(events.process.ended().success());
    let said = events.said();
    let shown = std::fs::read_to_string(lab.scratch.path("events.err")).unwrap();
    let lines = said.lines().count();
    assert_eq!(
        shown,
        format!("conntrack v1.4.7 (conntrack-tools): {lines} flow events have been shown.\n")
    );
    assert!(
        said.starts_with('[')
            && said.contains("]\t    [NEW] ipv4     2 icmp     1 30 src=10.0.0.2 dst=192.0.2.9 type=8"),
        "{said}"
    );
    let mut made = Listening::start(&lab, "made", &["conntrack", "-E", "-o", "xml", "-e", "NEW"]);
    wait_until("a flow that a command made", || {
        let flow = ["-I", "-t", "60", "-p", "50", "-s", "10.0.0.2", "-d", "192.0.2.9"];
        lab.tool(&["conntrack", "-D", "-p", "50"]);
        lab.tool(&[&["conntrack"][..], &flow].concat());
        made.said().contains("<flow type=\"new\">")
    });
    made.process.signal(Signal::INT);
    assert!(made.process.ended().success());
    let document = made.said();
    assert!(
        document.starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n")
            && document.ends_with("</conntrack>\n"),
        "{document}"
    );
    let flows = document.lines().count() - 3;
    assert_eq!(
        std::fs::read_to_string(lab.scratch.path("made.err")).unwrap(),
        format!("conntrack v1.4.7 (conntrack-tools): {flows} flow events have been shown.\n")
    );
    assert_eq!(lab.tool(&["dmesg", "-C"]).good(), "");
    assert_eq!(lab.tool(&["dmesg"]).good(), "");
    for (file, part) in [
        ("/proc/net/ip_tables_names", "filter\n"),
        ("/proc/sys/net/ipv4/ip_forward", "1\n"),
        ("/proc/net/ip6_tables_names", ""),
    ] {
        assert_eq!(lab.tool(&["cat", file]).good(), part, "{file}");
    }
    let directory = lab.tool(&["cat", "/proc/sys/net", "/proc/none"]);
    assert_eq!(directory.code, 1);
    assert_eq!(
        directory.err,
        "cat: /proc/sys/net: Is a directory\ncat: /proc/none: No such file or directory\n"
    );
}

#[test]
fn a_lab_says_what_is_in_it() {
    let Some(scratch) = Scratch::new("status", &["ping", "sh"]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    lab.tool(&[
        "iptables", "-A", "FORWARD", "-s", "inside", "-m", "state", "--state", "NEW",
    ])
    .good();
    lab.exec(
        "inside",
        &["ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", "192.0.2.9"],
    )
    .good();
    let name = lab.scratch.name.clone();
    let text = lab.tool(&["status"]).good();
    for part in [
        format!("lab {name} is up for "),
        "interface lan mtu 1500 10.0.0.1/24".to_owned(),
        "2 received".to_owned(),
        "host inside on lan 10.0.0.2/24".to_owned(),
        "flows 1 of at most ".to_owned(),
        "rules filter 1".to_owned(),
        "NFLAB=".to_owned(),
    ] {
        assert!(text.contains(&part), "{part}: {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&lab.tool(&["status", "--json"]).good()).unwrap();
    let labs = json["labs"].as_array().unwrap();
    let own = labs.iter().find(|lab| lab["name"] == name.as_str()).unwrap();
    assert_eq!((&own["live"], &own["rules"]["filter"]), (&true.into(), &1.into()));
    assert_eq!(own["interfaces"][0]["counters"]["received"], 2);
    // The rule was given by the host's name, and shows it where names are asked for.
    let saved = lab.saved();
    assert!(
        saved.contains("-A FORWARD -s 10.0.0.2/32 -m state --state NEW"),
        "{saved}"
    );
    assert!(lab.tool(&["iptables", "-L", "FORWARD"]).good().contains("inside"));
    // A shell, whose commands come as its input.
    let mut shell = lab.scratch.command(env!("CARGO_BIN_EXE_nflab"));
    shell.args(["exec", "inside"]).env("SHELL", "/bin/sh");
    let ran = run(shell, "ip -o -4 address show dev lan\necho $NFLAB\n");
    assert!(
        ran.out.contains("10.0.0.2/24") && ran.out.contains("/control"),
        "{}{}",
        ran.out,
        ran.err
    );
}

#[test]
fn packets_are_tried_on_a_copy_of_a_live_lab() {
    let Some(scratch) = Scratch::new("trial", &["ping"]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    lab.restore("*filter\n:FORWARD DROP\n-A FORWARD -m state --state ESTABLISHED -j ACCEPT\n-A FORWARD -i lan -j ACCEPT\nCOMMIT\n")
        .good();
    let before = lab.saved();
    let traced = lab.tool(&[
        "trace",
        "--short",
        "wan icmp outside > inside echo-request",
        "inside icmp inside > outside echo-request",
    ]);
    assert!(traced.err.contains("tried on a copy of the lab"), "{}", traced.err);
    let out = traced.good();
    assert!(
        out.contains("dropped: by the policy of filter FORWARD") && out.contains("out by wan"),
        "{out}"
    );
    // At the prompt a second packet knows the first one; the tools are the lab's.
    let mut editor = lab.scratch.command(env!("CARGO_BIN_EXE_nflab"));
    editor.arg("repl");
    let ran = run(
        editor,
        "send inside tcp inside:5000 > outside:80 S\nsend outside tcp outside:80 > inside:5000 SA\nexpect state ESTABLISHED\nadvance 1h\nconntrack -C\niptables -P FORWARD ACCEPT\nsend wan udp outside:5 > inside:6\nexpect accept\n",
    );
    assert!(ran.err.contains("on a copy of it"), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "every expectation is met: {}", ran.err);
    assert!(ran.out.contains("\n0\n"), "the lab itself saw nothing: {}", ran.out);
    assert_eq!(lab.saved(), before.replace(":FORWARD DROP", ":FORWARD ACCEPT"));
}
