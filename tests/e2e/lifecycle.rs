//! Up and down: signals, kills, a second lab of the same name, a machine that refuses. Whatever happens, nothing is left.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::lab::{BIN, Lab, Ran, Server, can_run, eventually};

/// Two hosts, and an interface without one: its device stands in the namespace that `up` is called in.
fn lab() -> Lab {
    let lab = Lab::new("");
    let device = device(&lab);
    let text = format!(
        "[interface.lan]\naddress = \"10.0.0.1/24\"\n[interface.wan]\naddress = \"192.0.2.1/24\"\n[interface.{device}]\naddress = \
         \"172.16.0.1/24\"\n[host.client]\ninterface = \"lan\"\naddress = \"10.0.0.2/24\"\n[host.server]\ninterface = \
         \"wan\"\naddress = \"192.0.2.9/24\"\n"
    );
    fs::write(lab.file(), text).unwrap();
    lab
}

/// A name of at most 15 bytes that nobody else has.
fn device(lab: &Lab) -> String {
    lab.name.replace("e2e", "n").replace('-', "x")
}

/// Everything that a lab is made of: found while it is up, gone afterwards.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    namespaces: usize,
    device: bool,
    socket: bool,
    mounts: usize,
}

fn traces(lab: &Lab) -> Traces {
    let prefix = format!("{}-", lab.name);
    let namespaces = fs::read_dir("/run/netns")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .count();
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    Traces {
        namespaces,
        device: Path::new("/sys/class/net").join(device(lab)).exists(),
        socket: Path::new("/run/nflab").join(&lab.name).exists(),
        mounts: mounts.lines().filter(|line| line.contains(&prefix)).count(),
    }
}

const NOTHING: Traces = Traces {
    namespaces: 0,
    device: false,
    socket: false,
    mounts: 0,
};

/// A program that would outlive its lab, were it not ended.
fn sleeper(lab: &Lab) -> Server {
    let sleeper = lab.spawn("client", &["sleep", "1000"]);
    let comm = format!("/proc/{}/comm", sleeper.id());
    eventually("a program in the host", || {
        fs::read_to_string(&comm).is_ok_and(|name| name.trim() == "sleep")
    });
    sleeper
}

/// Ended, whether or not its parent has looked.
fn is_gone(program: &Server) -> bool {
    match fs::read_to_string(format!("/proc/{}/stat", program.id())) {
        Err(_) => true,
        Ok(stat) => stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with('Z')),
    }
}

fn up() -> (Lab, Server) {
    let mut lab = lab();
    lab.start();
    let found = traces(&lab);
    assert_eq!(
        (found.namespaces, found.device, found.socket),
        (2, true, true),
        "{found:?}"
    );
    let sleeper = sleeper(&lab);
    (lab, sleeper)
}

#[test]
fn signals_leave_nothing() {
    if !can_run("signals_leave_nothing", &["sleep"]) {
        return;
    }
    for signal in [Signal::INT, Signal::TERM] {
        let (mut lab, sleeper) = up();
        lab.signal(signal);
        assert_eq!(lab.ended().code(), Some(0), "{signal:?}");
        assert_eq!(traces(&lab), NOTHING, "{signal:?}");
        assert!(is_gone(&sleeper), "{signal:?}: a program in a host is left");
    }
}

#[test]
fn down_after_a_kill_leaves_nothing() {
    if !can_run("down_after_a_kill_leaves_nothing", &["sleep"]) {
        return;
    }
    let (mut lab, sleeper) = up();
    lab.signal(Signal::KILL);
    assert_eq!(lab.ended().code(), None, "killed");
    assert!(
        traces(&lab).namespaces > 0,
        "what a killed lab leaves is what `down` is for"
    );
    let down = Ran::of(Command::new(BIN).args(["down", &lab.name]).output().unwrap());
    assert_eq!(down.code, 0, "{}", down.err);
    assert_eq!(traces(&lab), NOTHING);
    assert!(is_gone(&sleeper), "a program in a host is left");
    let again = Ran::of(Command::new(BIN).args(["down", &lab.name]).output().unwrap());
    assert_eq!(again.code, 4, "{}", again.err);
}

#[test]
fn down_ends_a_running_lab() {
    if !can_run("down_ends_a_running_lab", &["sleep"]) {
        return;
    }
    let (mut lab, sleeper) = up();
    let down = Ran::of(Command::new(BIN).args(["down", &lab.name]).output().unwrap());
    assert_eq!(down.code, 0, "{}", down.err);
    assert_eq!(lab.ended().code(), Some(0));
    assert_eq!(traces(&lab), NOTHING);
    assert!(is_gone(&sleeper), "a program in a host is left");
}

#[test]
fn a_second_up_is_refused_and_the_first_goes_on() {
    if !can_run("a_second_up_is_refused_and_the_first_goes_on", &["ping", "timeout"]) {
        return;
    }
    let mut lab = lab();
    lab.start();
    assert_eq!(
        lab.tool(&["iptables", "-A", "FORWARD", "-p", "tcp", "-j", "DROP"]).code,
        0
    );
    let (rules, before) = (lab.tool(&["iptables-save"]).out, traces(&lab));
    let second = Ran::of(Command::new(BIN).arg("up").arg(lab.file()).output().unwrap());
    assert_eq!(second.code, 3, "{second:?}");
    assert!(
        second.err.contains("runs already") && second.err.contains("nflab down"),
        "{}",
        second.err
    );
    assert_eq!(
        (without_comments(&lab.tool(&["iptables-save"]).out), traces(&lab)),
        (without_comments(&rules), before)
    );
    let ping = lab.exec("client", 10, &["ping", "-n", "-c", "1", "-W", "2", "192.0.2.9"]);
    assert_eq!(ping.code, 0, "{ping:?}");
}

/// `iptables-save` says the time.
fn without_comments(saved: &str) -> String {
    saved
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_wrong_rule_changes_nothing() {
    if !can_run("a_wrong_rule_changes_nothing", &[]) {
        return;
    }
    let mut lab = lab();
    lab.start();
    assert_eq!(
        lab.tool(&["iptables", "-A", "INPUT", "-p", "icmp", "-j", "DROP"]).code,
        0
    );
    let before = without_comments(&lab.tool(&["iptables-save", "-c"]).out);
    let file = lab.directory.join("wrong.v4");
    fs::write(
        &file,
        "*filter\n:INPUT ACCEPT\n-A INPUT -s 10.0.0.0/8 -j DROP\n-A INPUT -m nowhere -j DROP\nCOMMIT\n",
    )
    .unwrap();
    let restored = lab.tool(&["iptables-restore", file.to_str().unwrap()]);
    assert_eq!(restored.code, 2, "{restored:?}");
    assert!(
        restored.err.contains("line 4") || restored.err.contains("line: 4"),
        "{}",
        restored.err
    );
    let added = lab.tool(&["iptables", "-A", "INPUT", "-j", "NOWHERE"]);
    assert_eq!(added.code, 2, "{added:?}");
    assert_eq!(without_comments(&lab.tool(&["iptables-save", "-c"]).out), before);
}

#[test]
fn a_wrong_lab_file_is_drawn_where_it_is_wrong() {
    let lab = Lab::new("[interface.lan]\nadress = \"10.0.0.1/24\"\n");
    let ran = Ran::of(Command::new(BIN).arg("up").arg(lab.file()).output().unwrap());
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.contains(&format!("{}.toml:2:1", lab.name)) && ran.err.contains("adress"),
        "{}",
        ran.err
    );
}

/// In a mount namespace of its own in which `/dev/net` is what the script makes of it.
fn up_where(lab: &Lab, script: &str) -> Ran {
    // Nobody may read where the tests were built.
    let binary = lab.directory.join("nflab");
    fs::copy(BIN, &binary).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let script = format!(
        "set -e; mount -t tmpfs none /dev/net; {}",
        script.replace("UP", &format!("{} up {}", binary.display(), lab.file().display()))
    );
    Ran::of(
        Command::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .env_remove("NFLAB")
            .env_remove("XDG_RUNTIME_DIR")
            .output()
            .unwrap(),
    )
}

#[test]
fn a_machine_without_tun_refuses_with_a_remedy() {
    if !can_run(
        "a_machine_without_tun_refuses_with_a_remedy",
        &["unshare", "setpriv", "mknod"],
    ) {
        return;
    }
    let lab = lab();
    let missing = up_where(&lab, "UP");
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(
        missing.err.contains("/dev/net/tun") && missing.err.contains("modprobe tun"),
        "{}",
        missing.err
    );
    let nobody = up_where(
        &lab,
        "mknod -m 600 /dev/net/tun c 10 200; exec setpriv --reuid 65534 --regid 65534 --clear-groups UP",
    );
    assert_eq!(nobody.code, 3, "{nobody:?}");
    assert!(
        nobody.err.contains("permission") && nobody.err.contains("root"),
        "{}",
        nobody.err
    );
    assert_eq!(traces(&lab), NOTHING);
}
