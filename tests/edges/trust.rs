//! A lab is trusted only if its owner is. Each test is a stranger's try to pass for a lab of the caller's.

use std::path::PathBuf;

use crate::machine::{Machine, NOBODY, ROOT, STRANGER, User, wait_until};

/// Who makes what looks like root's lab in `/tmp/nflab-0`, as could be seen in earlier versions, and answers for it.
const STRANGERS_LAB: &str = r#"
import fcntl, json, os, socket, sys
base = sys.argv[1]
here = base + "/evil"
os.makedirs(here, exist_ok=True)
os.chmod(base, 0o755); os.chmod(here, 0o755)
lock = open(here + "/lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
host = {"name": "client", "interface": "lan", "namespace": f"/proc/{os.getpid()}/ns/net", "identity": None}
json.dump({"lab": "evil", "pid": os.getpid(), "started": 1, "file": "x", "user_namespace": False, "hosts": [host], "devices": []}, open(here + "/state.json", "w"))
control = socket.socket(socket.AF_UNIX)
control.bind(here + "/control")
os.chmod(here + "/control", 0o666)
control.listen(5)
print("listens", flush=True)
while True:
    client, _ = control.accept()
    # That somebody connects is no harm; that something is said is.
    if data := client.recv(65536):
        print("the stranger got:", data[:300], flush=True)
    client.sendall(b'{"stdout":"-P INPUT ACCEPT\n","stderr":"","code":0}\n')
    client.close()
"#;

struct Stranger {
    output: PathBuf,
}

impl Stranger {
    fn at(machine: &Machine, base: &str) -> Self {
        let (_, output) = machine.start(STRANGER, &["python3", "-c", STRANGERS_LAB, base]);
        wait_until(
            "the stranger listens",
            || std::fs::read_to_string(&output).unwrap(),
            |said| said == "listens\n",
        );
        Self { output }
    }

    /// What it was sent.
    fn got(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap().replace("listens\n", "")
    }
}

/// What every command has to say where only a stranger's lab is.
#[track_caller]
fn assert_none_runs(machine: &Machine, user: User, named: &str) {
    for call in [
        &["nflab", "iptables", "-S"][..],
        &["nflab", "exec", "client", "--", "/usr/bin/true"],
        &["nflab", "down"],
        &["nflab", "down", "evil"],
    ] {
        let ran = machine.run(user, call);
        assert_eq!(ran.code, 4, "{call:?}: {}{}", ran.out, ran.err);
        let times = ran.err.matches("passed over").count();
        assert_eq!(times, usize::from(!named.is_empty()), "{}", ran.err);
        assert!(ran.err.contains(named), "{}", ran.err);
    }
}

#[test]
fn root_looks_for_labs_where_only_root_can_put_them() {
    let Some(machine) = Machine::new("trust: root") else {
        return;
    };
    let stranger = Stranger::at(&machine, "/tmp/nflab-0");
    let other = Stranger::at(&machine, "/tmp/run/nflab");
    let lured = User {
        environment: &["XDG_RUNTIME_DIR=/tmp/run"],
        ..ROOT
    };
    for user in [ROOT, lured] {
        assert_none_runs(&machine, user, "");
        machine.up(user);
        assert!(
            machine
                .good(user, &["nflab", "iptables", "-S"])
                .contains("-P FORWARD ACCEPT")
        );
        assert_eq!(machine.good(user, &["nflab", "down"]), "lab lab is down\n");
    }
    assert_eq!((stranger.got(), other.got()), (String::new(), String::new()));
}

#[test]
fn a_user_is_not_led_to_a_strangers_lab() {
    let Some(machine) = Machine::new("trust: user") else {
        return;
    };
    let without_directory = User {
        environment: &[],
        ..NOBODY
    };
    machine.shell(ROOT, "rmdir /run/user/65534");
    let stranger = Stranger::at(&machine, "/tmp/nflab-65534");
    let named = "nflab: passed over: /tmp/nflab-65534 belongs to user 65533, not to user 65534 or root";
    assert_none_runs(&machine, without_directory, named);
    let refused = machine.run(without_directory, &["nflab", "up", "--detach", "/run/lab.toml"]);
    assert_eq!(refused.code, 3, "{}", refused.out);
    assert!(
        refused.err.contains("/tmp/nflab-65534 belongs to user 65533"),
        "{}",
        refused.err
    );
    // By its path it is no better.
    for nflab in ["NFLAB=/tmp/nflab-65534/evil/control", "NFLAB=/tmp/link/evil/control"] {
        machine.run(STRANGER, &["ln", "-s", "/tmp/nflab-65534", "/tmp/link"]);
        for user in [ROOT, without_directory] {
            let ran = machine.run(user, &["env", nflab, "nflab", "iptables", "-S"]);
            assert_eq!(ran.code, 4, "{}", ran.out);
            assert!(ran.err.contains("which is not spoken to: "), "{}", ran.err);
            assert!(ran.err.contains("belongs to user 65533"), "{}", ran.err);
        }
    }
    assert_eq!(stranger.got(), "");
    machine.assert_gone_but("/tmp/nflab-65534");
}

#[test]
fn what_is_no_lab_is_named_and_stops_no_other() {
    let Some(machine) = Machine::new("trust: broken labs") else {
        return;
    };
    machine.up(ROOT);
    machine.shell(
        ROOT,
        "cd /run/nflab
         mkdir -m 700 fifo garbage huge linked-lock devices
         mkfifo fifo/lock
         mkfifo garbage/state.json; mkfifo devices/control
         echo '{' > devices/state.json
         truncate -s 100G huge/state.json
         ln -s /run/nflab/lab/lock linked-lock/lock
         ln -s /run/nflab/lab linked
         mkdir -m 777 open
         cp -r lab theirs; chown -R 65533 theirs
         chmod 600 */state.json",
    );
    let started = std::time::Instant::now();
    let listed = machine.run(ROOT, &["nflab", "iptables", "-S"]);
    assert_eq!(listed.code, 0, "{}", listed.err);
    assert!(started.elapsed().as_secs() < 5, "nothing of it was waited for");
    for named in [
        "/run/nflab/fifo/lock is a FIFO, where a file is expected",
        "/run/nflab/linked-lock/lock is a symbolic link, where a file is expected",
        "/run/nflab/linked is a symbolic link, where a directory is expected",
        "/run/nflab/open can be written by others (mode 0777)",
        "/run/nflab/theirs belongs to user 65533, not to root",
    ] {
        let line = format!("nflab: passed over: {named}");
        assert_eq!(listed.err.matches(&line).count(), 1, "{named}: {}", listed.err);
    }
    let down = machine.run(ROOT, &["nflab", "down"]);
    assert_eq!((down.code, down.out.as_str()), (0, "lab lab is down\n"), "{}", down.err);
    for named in [
        "/run/nflab/garbage/state.json is a FIFO, where a file is expected",
        "/run/nflab/huge/state.json has 107374182400 bytes",
        "/run/nflab/devices/state.json is no state of a lab: EOF while parsing",
    ] {
        assert!(
            down.err.contains(&format!("nflab: passed over: {named}")),
            "{named}: {}",
            down.err
        );
    }
    // None of it is taken for something that a lab left.
    let refused = machine.run(ROOT, &["nflab", "up", "--detach", "--name", "devices", "/run/lab.toml"]);
    assert_eq!(refused.code, 3, "{}", refused.out);
    assert!(refused.err.contains("what it left is not known"), "{}", refused.err);
}

#[test]
fn who_answers_and_who_asks_is_checked_besides() {
    let Some(machine) = Machine::new("trust: peers") else {
        return;
    };
    // A socket that root made, and at which another listens.
    let answers = r#"
import os, socket
os.makedirs("/run/other", 0o700)
control = socket.socket(socket.AF_UNIX)
control.bind("/run/other/control")
os.setuid(65533)
control.listen(5)
while True:
    client, _ = control.accept()
    if data := client.recv(65536):
        print("got", data, flush=True)
"#;
    let (_, got) = machine.start(ROOT, &["python3", "-c", answers]);
    let other = &["env", "NFLAB=/run/other/control", "nflab", "iptables", "-S"];
    wait_until(
        "the other listens",
        || machine.run(ROOT, other).err,
        |said| said.contains("who answers at /run/other/control is user 65533, not root"),
    );
    assert_eq!(std::fs::read_to_string(got).unwrap(), "", "nothing was said to it");
    // A lab whose directory was opened to all answers nobody but its owner.
    machine.up(ROOT);
    machine.good(ROOT, &["nflab", "iptables", "-A", "FORWARD", "-j", "DROP"]);
    machine.shell(
        ROOT,
        "chmod 755 /run/nflab /run/nflab/lab; chmod 666 /run/nflab/lab/control",
    );
    let asks = r#"
import socket
control = socket.socket(socket.AF_UNIX)
control.connect("/run/nflab/lab/control")
control.settimeout(10)
try:
    control.sendall(b'{"tool":"iptables","args":["-F"]}\n')
    print(control.recv(100))
except (BrokenPipeError, ConnectionResetError):
    print(b"")
"#;
    let answer = machine.good(NOBODY, &["python3", "-c", asks]);
    // The word may be lost where the connection is closed under what was sent.
    let turned_away = answer == "b''\n" || answer.contains("answers its owner and root, not the user 65534");
    assert!(turned_away, "{answer}");
    assert!(
        machine
            .good(ROOT, &["nflab", "iptables", "-S"])
            .contains("-A FORWARD -j DROP")
    );
    let answer = machine.good(ROOT, &["python3", "-c", asks]);
    assert!(answer.contains("code"), "its owner is answered: {answer}");
}

impl Machine {
    /// A directory is still as the stranger made it.
    #[track_caller]
    fn assert_gone_but(&self, kept: &str) {
        let left = self.left();
        assert!(left.lines().all(|line| line.starts_with(kept)), "{left}");
    }
}
