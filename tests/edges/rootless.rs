//! `nflab` as an unprivileged user: the binary, without any group, with next to nothing in the environment.

use crate::machine::{Machine, NOBODY, PING, ROOT, STRANGER, User, wait_until};

/// No home and no runtime directory: a lab is in `/tmp`.
const BARE: User = User {
    environment: &[],
    ..NOBODY
};

#[test]
fn a_lab_of_a_user() {
    let Some(machine) = Machine::new("rootless: up") else {
        return;
    };
    whole_life(&machine, NOBODY, "/run/user/65534/nflab");
    machine.shell(ROOT, "rmdir /run/user/65534");
    whole_life(&machine, BARE, "/tmp/nflab-65534");
}

fn whole_life(machine: &Machine, user: User, place: &str) {
    machine.up(user);
    assert_eq!(machine.state(place, "/user_namespace"), true);
    // Its tools.
    machine.good(
        user,
        &["nflab", "iptables", "-A", "FORWARD", "-p", "icmp", "-j", "ACCEPT"],
    );
    machine.good(user, &["nflab", "iptables", "-P", "FORWARD", "DROP"]);
    let (_, told) = machine.start(user, &["nflab", "trace", "--follow", "icmp"]);
    // Programs in its hosts: the kernel's own devices there, and packets that go across.
    let directory = ["nflab", "exec", "client", "--", "pwd"];
    assert_eq!(machine.good(user, &directory), "/tmp\n", "where the caller is");
    let devices = machine.good(user, &["nflab", "exec", "client", "--", "cat", "/proc/net/dev"]);
    assert!(devices.contains("lan:") && !devices.contains("wan:"), "{devices}");
    wait_until(
        "the follower is told of a packet",
        || {
            machine.good(user, &PING);
            std::fs::read_to_string(&told).unwrap()
        },
        |told| told.contains("10.0.0.2"),
    );
    // From inside a host the lab's tools speak to the lab, and one gets to another host.
    let inside = machine.good(
        user,
        &["nflab", "exec", "client", "--", "nflab", "iptables", "-S", "FORWARD"],
    );
    assert!(inside.contains("-A FORWARD -p icmp -j ACCEPT"), "{inside}");
    // Nobody else gets in: not another user, and not root by mistake either.
    let socket = format!("NFLAB={place}/lab/control");
    for other in [STRANGER, ROOT] {
        for call in [
            &["nflab", "iptables", "-S"][..],
            &["nflab", "exec", "client", "--", "true"],
        ] {
            let ran = machine.run(other, &[&["env", &socket][..], call].concat());
            assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
        }
        assert_eq!(machine.run(other, &["nflab", "down", "lab"]).code, 4);
    }
    assert_eq!(machine.good(user, &["nflab", "down"]), "lab lab is down\n");
    machine.assert_nothing_left();
}

#[test]
fn what_a_killed_lab_of_a_user_left_is_cleared_away() {
    let Some(machine) = Machine::new("rootless: kill") else {
        return;
    };
    let place = "/run/user/65534/nflab";
    for again in [&["nflab", "down"][..], &["nflab", "up", "--detach", "/run/lab.toml"]] {
        machine.up(NOBODY);
        let (mut inside, _) = machine.start(NOBODY, &["nflab", "exec", "client", "--", "sleep", "600"]);
        wait_until(
            "sleep is in the host",
            || machine.run(ROOT, &["pgrep", "-x", "sleep", "-u", "65534"]).code,
            |code| *code == 0,
        );
        machine.good(NOBODY, &["kill", "-9", &machine.state(place, "/pid").to_string()]);
        let cleared = machine.run(NOBODY, again);
        assert_eq!(cleared.code, 0, "{}{}", cleared.out, cleared.err);
        assert!(
            format!("{}{}", cleared.out, cleared.err).contains("cleared away"),
            "{}{}",
            cleared.out,
            cleared.err
        );
        wait_until(
            "what ran in the host was ended",
            || inside.try_wait().unwrap().is_some(),
            |ended| *ended,
        );
    }
    machine.good(NOBODY, &["nflab", "down"]);
    machine.assert_nothing_left();
}

/// Each has a name of its own, by which nobody asks again.
#[test]
fn a_killed_demonstration_is_cleared_by_the_next() {
    let Some(machine) = Machine::new("rootless: killed demo") else {
        return;
    };
    for (user, place) in crate::machine::USERS {
        let killed = format!(
            "nflab demo > /dev/null 2>&1 & d=$!
             until grep -qs identity {place}/demo-$d/state.json; do kill -0 $d; done
             kill -9 $d; wait $d || true; ls {place}"
        );
        let left = machine.shell(user, &killed);
        assert!(left.starts_with("demo-"), "{left}");
        let shown = machine.shell(user, "nflab demo 2>&1");
        let name = left.trim();
        assert!(
            shown.contains(&format!("what a killed demo ({name}) had left was cleared away first")),
            "{shown}"
        );
        machine.assert_nothing_left();
    }
}

#[test]
fn the_demonstration_of_a_user() {
    let Some(machine) = Machine::new("rootless: demo") else {
        return;
    };
    let shown = machine.good(NOBODY, &["nflab", "demo"]);
    assert!(shown.contains("a user namespace: no root is needed"), "{shown}");
    assert!(
        shown.contains("Namespaces, devices and the socket are gone."),
        "{shown}"
    );
    machine.assert_nothing_left();
}
