//! What the router may still do: nothing, as `/proc` and a child that tries say; and that neither of a lab's two processes outlives the other.

use std::fs;
use std::process::{Command, Stdio};

use nflab::live::privileges;

use crate::bench::Bench;
use crate::machine::{Machine, ROOT, USERS, User, wait_until};

#[test]
fn the_router_has_no_privilege() {
    let Some(machine) = Machine::new("privileges") else {
        return;
    };
    for (user, place) in USERS {
        machine.up(user);
        let router = machine.state(place, "/router/pid").to_string();
        let status = machine.good(ROOT, &["cat", &format!("/proc/{router}/status")]);
        for field in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert!(status.contains(&format!("{field}:\t0000000000000000\n")), "{status}");
        }
        assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
        assert!(status.contains("Seccomp:\t2\nSeccomp_filters:\t2\n"), "{status}");
        // Every thread of it.
        let all = machine.shell(
            ROOT,
            &format!("grep -h -E '^(CapEff|Seccomp):' /proc/{router}/task/*/status | sort -u"),
        );
        assert_eq!(all, "CapEff:\t0000000000000000\nSeccomp:\t2\n");
        assert_eq!(machine.state(place, "/privileges/capabilities"), 0);
        assert_eq!(machine.state(place, "/privileges/seccomp"), true);
        assert_eq!(machine.state(place, "/privileges/no_new_privs"), true);
        // And does its work: every command, and packets.
        every_command(&machine, user);
        machine.good(user, &["nflab", "down"]);
        machine.assert_nothing_left();
    }
}

/// Each in its own words; what is refused here would show as "Operation not permitted".
fn every_command(machine: &Machine, user: User) {
    machine.shell(
        user,
        "export NFLAB=lab
         for i in $(seq 300); do echo \"-A FORWARD -s 10.1.$((i / 256)).$((i % 256)) -j DROP\"; done > /tmp/many
         (echo '*filter'; cat /tmp/many; echo '-A FORWARD -p icmp -j LOG'; echo COMMIT) | nflab iptables-restore
         nflab iptables -t nat -A POSTROUTING -o wan -j MASQUERADE
         nflab exec client -- ping -n -c 1 -W 2 192.0.2.9
         nflab iptables-save -c > /tmp/saved
         nflab iptables-restore -c < /tmp/saved
         nflab iptables -L -n -v > /dev/null
         nflab conntrack -L
         nflab conntrack -L -o extended
         nflab conntrack -S | grep -q '^cpu=0'
         ! nflab iptables -A INPUT -m nfacct --nfacct-name x 2> /tmp/refused
         grep -q 'nfacct is not there yet' /tmp/refused
         nflab trace --svg /tmp/way.svg 'lan icmp client > server echo-request' > /dev/null
         grep -q '</svg>' /tmp/way.svg
         printf '%s\n' 'iptables -S FORWARD' 'expect output \"-A FORWARD -p icmp -j LOG\"' > /tmp/typed
         nflab repl < /tmp/typed > /dev/null
         nflab conntrack -F
         nflab sysctl -w net.ipv4.ip_forward=1
         nflab sysctl -a > /dev/null
         nflab modprobe nf_conntrack_ftp
         rm -f /tmp/many /tmp/saved /tmp/refused /tmp/way.svg /tmp/typed",
    );
}

#[test]
fn what_is_not_needed_is_refused() {
    if std::env::var_os(CHILD).is_some() {
        return try_things();
    }
    let bench = Bench::new();
    let file = bench.write("file", "");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "privileges::what_is_not_needed_is_refused", "--nocapture"])
        .env(CHILD, &file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    for refused in [
        "write a file: Operation not permitted",
        "read a file: Operation not permitted",
        "run a program: Operation not permitted",
        "a TCP socket: Operation not permitted",
        "a packet socket: Operation not permitted",
        "signal another: Operation not permitted",
        "a user namespace: Operation not permitted",
        "a thread: done",
        "memory: done",
    ] {
        assert!(
            said.contains(refused),
            "{refused}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "");
}

/// In a child, since there is no way back.
fn try_things() {
    let file = std::env::var_os(CHILD).unwrap();
    let parent = rustix::process::getppid().unwrap();
    privileges::end().unwrap();
    let told = |what: &str, result: std::io::Result<()>| match result {
        Ok(()) => println!("{what}: done"),
        Err(error) => println!("{what}: {error}"),
    };
    told("write a file", fs::write(&file, "written"));
    told("read a file", fs::read("/etc/passwd").map(drop));
    told(
        "run a program",
        Command::new("/bin/true").stdin(Stdio::null()).status().map(drop),
    );
    told("a TCP socket", std::net::TcpListener::bind("127.0.0.1:0").map(drop));
    let packet = rustix::net::socket(rustix::net::AddressFamily::PACKET, rustix::net::SocketType::RAW, None);
    told("a packet socket", packet.map(drop).map_err(Into::into));
    told(
        "signal another",
        rustix::process::test_kill_process(parent).map_err(Into::into),
    );
    let user = nflab::device::syscall::unshare(nflab::device::syscall::Namespaces::UserNetworkMount);
    told("a user namespace", user);
    told(
        "a thread",
        std::thread::Builder::new()
            .spawn(|| ())
            .map(|thread| thread.join().unwrap()),
    );
    drop(std::hint::black_box(vec![1u8; 64 << 20]));
    told("memory", Ok(()));
}

#[test]
fn neither_process_outlives_the_other() {
    let Some(machine) = Machine::new("privileges: two processes") else {
        return;
    };
    for (user, place) in USERS {
        let mut up = machine
            .command(user, &["nflab", "up", "/run/lab.toml"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let router = || {
            machine
                .run(ROOT, &["grep", "-c", "router", &format!("{place}/lab/state.json")])
                .out
        };
        wait_until("the router is written down", router, |count| {
            count.trim() != "0" && !count.is_empty()
        });
        let number = |pointer: &str| machine.state(place, pointer).to_string();
        wait_until("the router runs", || number("/router/pid"), |pid| pid != "null");
        // The router first: its keeper sees it, says so, and takes all away.
        machine.good(ROOT, &["kill", "-9", &number("/router/pid")]);
        assert_eq!(up.wait().unwrap().code(), Some(3));
        let said = std::io::read_to_string(up.stderr.take().unwrap()).unwrap();
        assert!(
            said.contains("the router's process was ended by signal 9; lab lab was taken down"),
            "{said}"
        );
        machine.assert_nothing_left();
        // The keeper: the kernel takes the router, and `down` what it left.
        machine.up(user);
        let router = format!("/proc/{}", number("/router/pid"));
        machine.good(ROOT, &["kill", "-9", &number("/pid")]);
        wait_until(
            "the router is gone",
            || machine.run(ROOT, &["grep", "State", &format!("{router}/status")]).out,
            |state| state.is_empty() || state.contains('Z'),
        );
        assert!(machine.good(user, &["nflab", "down"]).contains("had been killed"));
        machine.assert_nothing_left();
        // A detached lab whose router died keeps its log for `down`.
        machine.up(user);
        machine.good(ROOT, &["kill", "-9", &number("/router/pid")]);
        let log = || machine.run(ROOT, &["cat", &format!("{place}/lab/log")]).out;
        wait_until("it is logged", log, |log| log.contains("was ended by signal 9"));
        let keeper = format!("/proc/{}/status", number("/pid"));
        wait_until(
            "the keeper has ended",
            || machine.run(ROOT, &["grep", "State", &keeper]).out,
            |state| state.is_empty() || state.contains('Z'),
        );
        let down = machine.run(user, &["nflab", "down"]);
        assert_eq!(down.code, 0, "{}", down.err);
        assert!(
            down.err
                .contains("its log says:\nnflab: the router's process was ended by signal 9"),
            "{}",
            down.err
        );
        machine.assert_nothing_left();
    }
}

const CHILD: &str = "NFLAB_EDGES_TRY_THINGS";
