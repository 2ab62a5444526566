//! `conntrack -E`: the same things happen to flows here and in the kernel, and are told in the same words, beside the real tool in a namespace.

use std::io::Write;
use std::process::{Command, Stdio};

use nflab::TOOLBOX;
use nflab::base::Time;
use nflab::conntrack::text::{Occasion, ToolForm, tool_flow};
use nflab::conntrack::{Event, Heard, Listener};
use nflab::lab::memory::Lab;
use nflab::lab::script::{Runner, parse_in};
use nflab::syntax::problem::Source;

/// What programs do on the loopback of a namespace. The conversations of `WORDS` are the same, between two hosts.
const PROGRAMS: &str = r#"
import socket, time
def tcp(port):
    c = socket.socket(); c.bind(('127.0.0.1', 40000 + port)); return c
server = socket.socket(); server.bind(('127.0.0.1', 80)); server.listen()
c = tcp(80); c.connect(('127.0.0.1', 80)); a, _ = server.accept()
c.sendall(b'x'); a.recv(1); a.sendall(b'y'); c.recv(1)
c.close(); time.sleep(0.3); a.close(); time.sleep(0.1)
try: tcp(81).connect(('127.0.0.1', 81))
except OSError: pass
def udp(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', port)); return s
v, u = udp(5000), udp(5353)
v.sendto(b'a', ('127.0.0.1', 5353)); u.recv(9); u.sendto(b'b', ('127.0.0.1', 5000)); v.recv(9)
time.sleep(2.2)
v.sendto(b'a', ('127.0.0.1', 5353)); u.recv(9)
udp(5001).sendto(b'a', ('127.0.0.1', 5353)); u.recv(9)
time.sleep(0.2)
"#;

const WORDS: &str = "\
handshake client:40080 > server:80
data client:40080 > server:80 1
data server:80 > client:40080 1
send client tcp client:40080 > server:80 FA
send server tcp server:80 > client:40080 A
send server tcp server:80 > client:40080 FA
send client tcp client:40080 > server:80 A
send client tcp client:40081 > server:81 S
send server tcp server:81 > client:40081 RA
send client udp client:5000 > server:5353
send server udp server:5353 > client:5000
advance 3s
send client udp client:5000 > server:5353
send client udp client:5001 > server:5353
";

fn heard(listener: &Listener, now: Time) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(heard) = listener.next_heard() {
        match heard {
            Heard::Event(event) => lines.push(shown(&event, now)),
            Heard::Lost => lines.push("lost".to_owned()),
        }
    }
    lines
}

fn shown(event: &Event, now: Time) -> String {
    let form = ToolForm {
        extended: true,
        ..ToolForm::default()
    };
    let line = tool_flow(&event.flow, &form, Occasion::of(event, None), event.at.unwrap_or(now));
    line.expect("an event is shown whatever became of the flow")
}

fn does(runner: &mut Runner, words: &str) {
    let source = Source {
        name: "test".to_owned(),
        text: words.to_owned(),
    };
    let statements = parse_in(&source, TOOLBOX, &mut runner.hosts).unwrap_or_else(|error| panic!("{error}"));
    for statement in &statements {
        let (said, result) = runner.run(statement);
        result.unwrap_or_else(|failed| panic!("{}: {}", failed.reason, said.stderr));
    }
}

fn runner(sysctls: &str) -> Runner {
    let mut runner = Runner::new(Lab::default_lab(1, TOOLBOX).unwrap(), "/".into());
    does(
        &mut runner,
        &format!(
            "host client 10.0.0.2 lan\nhost server 198.51.100.9 wan\niptables -A FORWARD -m state --state NEW\n{sysctls}"
        ),
    );
    runner
}

/// The lines of a lab, with both hosts' addresses as those on the loopback.
fn ours(sysctls: &str) -> Vec<String> {
    let mut runner = runner(sysctls);
    let listener = runner.lab.machine.router().flows().listen(1000, Box::new(|| ()));
    does(&mut runner, WORDS);
    // As long as the programs sleep at their end.
    does(&mut runner, "advance 200ms\nconntrack -D -p udp --sport 5000");
    let mut lines = heard(&listener, runner.lab.now());
    for line in &mut lines {
        *line = without_program(line)
            .replace("10.0.0.2", "127.0.0.1")
            .replace("198.51.100.9", "127.0.0.1");
    }
    lines
}

/// Without who deleted the flow, which has a number of its own in the kernel.
fn without_program(line: &str) -> String {
    line.split(" [USERSPACE]").next().unwrap_or_default().to_owned()
}

/// The lines of the real tool.
fn real(sysctls: &str) -> Option<Vec<String>> {
    let script = format!(
        "set -e
ip link set lo up
iptables-legacy -A INPUT -m state --state NEW
{sysctls}
conntrack -E -o extended >out & listener=$!
# It listens once a flow is told of.
for i in $(seq 100); do grep -q icmp out && break; ping -n -q -c 1 127.0.0.1 >/dev/null; done
python3 -c \"$PROGRAMS\"
conntrack -D -p udp --sport 5000 >/dev/null 2>&1
for i in $(seq 500); do grep -q DESTROY.*sport=5000 out && break; sleep 0.01; done
kill -INT $listener
wait $listener
cat out"
    );
    let tools = ["iptables-legacy", "conntrack", "python3", "ping", "unshare", "ip"];
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let has = |tool: &str| std::env::split_paths(&path).any(|directory| directory.join(tool).is_file());
    let is_root = rustix::process::geteuid().is_root();
    if !is_root || !tools.iter().all(|tool| has(tool)) {
        let _ = writeln!(
            std::io::stderr(),
            "!!! edges events WERE NOT COMPARED: root and {tools:?} are needed"
        );
        assert!(
            std::env::var_os("NFLAB_REQUIRE_KERNEL").is_none(),
            "NFLAB_REQUIRE_KERNEL is set"
        );
        return None;
    }
    let directory = std::env::temp_dir().join(format!("nflab-events-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let child = Command::new("timeout")
        .args(["30", "unshare", "-n", "-m", "bash", "-c", &script])
        .env("PATH", &path)
        .env("PROGRAMS", PROGRAMS)
        .current_dir(&directory)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let _ = std::fs::remove_dir_all(&directory);
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    let text = String::from_utf8(child.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.contains("icmp"));
    Some(lines.map(without_program).collect())
}

#[test]
fn the_real_tool_tells_the_same() {
    let own = without_time(ours(""));
    // Now and then a jiffy passes between a packet and what is told of it, and the kernel says a second less: what it says three times is so.
    let mut last = None;
    for _ in 0..3 {
        let Some(real) = real("") else { return };
        let real = without_time(real);
        if own == real {
            return;
        }
        last = Some(real);
    }
    assert_eq!(Some(own), last);
}

/// How long the deleted flow had still to live depends on how fast the programs were.
fn without_time(lines: Vec<String>) -> Vec<String> {
    lines
        .into_iter()
        .map(|line| match line.split_once("udp      17 1") {
            Some((before, after)) if line.starts_with("[DESTROY]") => {
                let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
                format!("{before}udp      17 1..{after}")
            }
            _ => line,
        })
        .collect()
}

#[test]
fn what_was_counted_is_told_at_the_end() {
    let lines = ours("sysctl -w net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_timestamp=1");
    let last = lines.last().cloned().unwrap_or_default();
    assert_eq!(
        last,
        "[DESTROY] ipv4     2 udp      17 119 src=127.0.0.1 dst=127.0.0.1 sport=5000 dport=5353 packets=2 bytes=56 \
         src=127.0.0.1 dst=127.0.0.1 sport=5353 dport=5000 packets=1 bytes=28 [ASSURED] delta-time=3"
    );
    let others = &lines[..lines.len() - 1];
    assert!(
        others
            .iter()
            .filter(|line| !line.starts_with("[DESTROY]"))
            .all(|line| !line.contains("packets="))
    );
}

#[test]
fn flows_from_before_are_not_told_of_unless_events_are_always_kept() {
    let mut runner = runner("");
    does(&mut runner, "send client udp client:5000 > server:53");
    let listener = runner.lab.machine.router().flows().listen(1000, Box::new(|| ()));
    does(&mut runner, "send server udp server:53 > client:5000\nconntrack -F");
    assert_eq!(heard(&listener, runner.lab.now()), Vec::<String>::new());
    does(
        &mut runner,
        "sysctl -w net.netfilter.nf_conntrack_events=0\nsend client udp client:5000 > server:53\nconntrack -F",
    );
    assert_eq!(heard(&listener, runner.lab.now()), Vec::<String>::new());
    drop(listener);
    does(
        &mut runner,
        "sysctl -w net.netfilter.nf_conntrack_events=1\nsend client udp client:5000 > server:53",
    );
    let listener = runner.lab.machine.router().flows().listen(1000, Box::new(|| ()));
    does(
        &mut runner,
        "send server udp server:53 > client:5000\nadvance 31s\nsend client udp client:5000 > server:53",
    );
    let kinds: Vec<String> = heard(&listener, runner.lab.now())
        .iter()
        .map(|line| line.split_ascii_whitespace().next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(kinds, ["[UPDATE]", "[DESTROY]", "[NEW]"]);
}

#[test]
fn a_slow_reader_loses_what_its_buffer_does_not_hold_and_hears_so_first() {
    let mut runner = runner("");
    let listener = runner.lab.machine.router().flows().listen(3, Box::new(|| ()));
    let flows: String = (0..10)
        .map(|port| format!("send client udp client:5{port:03} > server:53\n"))
        .collect();
    does(&mut runner, &flows);
    let lines = heard(&listener, runner.lab.now());
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], "lost");
    assert!(lines[3].contains("sport=5002"), "{lines:?}");
    // Once it has taken all, it hears again.
    does(&mut runner, "send client udp client:6000 > server:53");
    assert!(heard(&listener, runner.lab.now())[0].contains("sport=6000"));
}
