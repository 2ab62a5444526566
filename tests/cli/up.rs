//! `nflab up`, `exec` and `down` through the binary. Needs root, or user namespaces, and TUN; without them it says that it did not run, and
//! fails where `NFLAB_REQUIRE_KERNEL` is set.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::{Bench, Ran, run};

const LAB: &str = r#"[interface.lan]
address = ["10.77.0.1/24"]
[interface.wan]
address = ["192.0.2.1/24"]
[host.inside]
interface = "lan"
address = "10.77.0.2/24"
[host.outside]
interface = "wan"
address = "192.0.2.9/24"
"#;

struct Up {
    child: Child,
    name: String,
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut down = Command::new(env!("CARGO_BIN_EXE_nflab"));
        let _ = down.args(["down", &self.name]).output();
    }
}

/// `None` where the machine has no live labs.
fn up(bench: &Bench) -> Option<Up> {
    let name = format!("cli{}", std::process::id());
    bench.write(&format!("{name}.toml"), LAB);
    let mut command = bench.command(env!("CARGO_BIN_EXE_nflab").as_ref());
    let mut child = command
        .args(["up", &format!("{name}.toml")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    if line.is_empty() {
        let output = child.wait_with_output().unwrap();
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{why}");
        assert!(std::env::var_os("NFLAB_REQUIRE_KERNEL").is_none(), "no live lab: {why}");
        eprintln!("NOT RUN: live lab: {why}");
        return None;
    }
    assert!(
        line.starts_with(&format!("lab {name} is up, with hosts inside, outside; NFLAB=")),
        "{line}"
    );
    Some(Up { child, name })
}

fn call(bench: &Bench, lab: &str, args: &[&str]) -> Ran {
    let mut command = bench.command(env!("CARGO_BIN_EXE_nflab").as_ref());
    command.args(args).env("NFLAB", lab);
    run(command, "")
}

#[test]
fn so_many_workers_are_refused() {
    let bench = Bench::new();
    for (workers, expected) in [
        (
            "0",
            "--workers 0: expected 1 to 128, since the kernel gives a device no more queues; leave it out",
        ),
        ("129", "--workers 129: expected 1 to 128"),
        ("many", "invalid value 'many' for '--workers <N>'"),
    ] {
        let refused = bench.nflab(&["up", "--workers", workers, "lab.toml"]);
        assert_eq!(refused.code, 2, "{}", refused.err);
        assert!(refused.err.contains(expected), "{}", refused.err);
    }
}

#[test]
fn up_tools_exec_and_down() {
    let bench = Bench::new();
    let Some(mut lab) = up(&bench) else { return };
    let name = lab.name.clone();
    // A second one of the same name is refused, and the first goes on.
    let second = bench.nflab(&["up", &format!("{name}.toml")]);
    assert_eq!(second.code, 3, "{}", second.err);
    assert!(second.err.contains("runs already"), "{}", second.err);
    assert_eq!(call(&bench, &name, &["iptables", "-P", "FORWARD", "DROP"]).code, 0);
    let rules = [
        "iptables", "-A", "FORWARD", "-i", "lan", "-p", "tcp", "-m", "state", "--state", "NEW", "-j", "REJECT",
    ];
    assert_eq!(call(&bench, &name, &rules).code, 0);
    // A real program in a host: its connection is refused by the rule.
    let script = "import socket\ns = socket.socket()\ns.settimeout(5)\ntry:\n    s.connect(('192.0.2.9', 80))\nexcept ConnectionRefusedError:\n    print('refused')";
    let ran = call(&bench, &name, &["exec", "inside", "--", "python3", "-c", script]);
    assert_eq!(ran.out, "refused\n", "{}", ran.err);
    let saved = call(&bench, &name, &["iptables-save", "-c"]);
    assert!(saved.out.contains("[1:60] -A FORWARD -i lan"), "{}", saved.out);
    assert_eq!(call(&bench, &name, &["exec", "nobody", "--", "true"]).code, 2);
    assert_eq!(call(&bench, "nolab", &["exec", "inside", "--", "true"]).code, 4);
    // A wrong rule leaves what is there.
    assert_eq!(
        call(&bench, &name, &["iptables", "-A", "FORWARD", "--nonsense"]).code,
        2
    );
    assert_eq!(
        call(&bench, &name, &["iptables-save", "-c"]).out.lines().count(),
        saved.out.lines().count()
    );
    let down = bench.nflab(&["down", &name]);
    assert_eq!(
        (down.code, down.out),
        (0, format!("lab {name} is down\n")),
        "{}",
        down.err
    );
    let deadline = Instant::now() + Duration::from_secs(5);
    while lab.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the lab's process is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(bench.nflab(&["down", &name]).code, 4);
}
