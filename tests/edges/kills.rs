//! Kills at random moments: of `up` (its keeper or its router), of `iptables-restore`, of `down`; with packets on their way and without.
//! Rules are the old ones or the new ones, never half; and after `down`, or the next `up`, nothing is left.
//!
//! `NFLAB_KILLS=200` does that many, `NFLAB_KILLS_SEED` others.

use std::fmt::Write as _;
use std::process::Child;
use std::time::Duration;

use nflab::base::Random;

use crate::machine::{Machine, NOBODY, ROOT, User};

#[test]
fn kills_leave_nothing_half_done() {
    let Some(machine) = Machine::new("kills") else { return };
    let number = |name: &str, otherwise| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let (kills, seed) = (number("NFLAB_KILLS", 16), number("NFLAB_KILLS_SEED", 1));
    let mut rolls = Random::new(seed);
    let mut tally = Tally::default();
    for (name, rules) in [("old", 2000), ("new", 3000)] {
        let mut text = String::from("*filter\n:FORWARD ACCEPT [0:0]\n");
        for rule in 0..rules {
            let _ = writeln!(
                text,
                "-A FORWARD -s 10.{}.{}.{} -j DROP",
                if name == "old" { 1 } else { 2 },
                rule / 256,
                rule % 256
            );
        }
        text += "COMMIT\n";
        machine.write(&format!("/tmp/{name}"), &text);
    }
    for kill in 0..kills {
        let user = if rolls.below(2) == 0 { ROOT } else { NOBODY };
        let traffic = rolls.below(2) == 0;
        match kill % 4 {
            0 => up_is_killed(&machine, user, &mut rolls, &mut tally),
            1 => running_lab_is_killed(&machine, user, traffic, &mut rolls, &mut tally),
            2 => restore_is_killed(&machine, user, traffic, &mut rolls, &mut tally),
            _ => down_is_killed(&machine, user, traffic, &mut rolls, &mut tally),
        }
        machine.assert_nothing_left();
    }
    eprintln!("{kills} kills with seed {seed}: {tally:?}");
}

/// How each went, so that a run can be seen to have met every case.
#[derive(Debug, Default)]
struct Tally {
    up_before_it_was_up: u32,
    up_afterwards: u32,
    cleared_by_down: u32,
    cleared_by_up: u32,
    still_ran: u32,
    keepers: u32,
    routers: u32,
    restores_old: u32,
    restores_new: u32,
    down_in_between: u32,
    down_afterwards: u32,
    with_traffic: u32,
}

fn up_is_killed(machine: &Machine, user: User, rolls: &mut Random, tally: &mut Tally) {
    // Its router, as soon as there is one; its keeper; or both.
    let kill = [
        "while r=$(cat $children) && [ -d /proc/$k ]; do [ -z \"$r\" ] || { kill -9 $r; break; }; done",
        "kill -9 $k",
        "kill -9 $k $(cat $children)",
    ][rolls.below(3) as usize];
    let script = format!(
        "nflab up /run/lab.toml > /dev/null & k=$!; children=/proc/$k/task/$k/children; sleep 0.{:03}
         if grep -qs 'router.: {{' {}/lab/state.json; then echo up; fi
         {kill}; wait $k",
        rolls.below(40),
        place(user)
    );
    match machine.run(user, &["sh", "-c", &script]).out.as_str() {
        "up\n" => tally.up_afterwards += 1,
        _ => tally.up_before_it_was_up += 1,
    }
    clear_away(machine, user, rolls, tally);
}

/// A child that was forked at the wrong moment may hold a device open when its lab is killed. A bridge with its name and number stands for that.
#[test]
fn a_device_that_outlived_its_lab_goes_down_with_it() {
    let Some(machine) = Machine::new("outlived") else {
        return;
    };
    for (number, stays) in [("its own", false), ("another's", true)] {
        machine.up(ROOT);
        let state = |pointer: &str| machine.state(place(ROOT), pointer).to_string();
        let (keeper, router) = (state("/pid"), state("/router/pid"));
        let devices = machine.state(place(ROOT), "/devices");
        let device = devices
            .as_array()
            .into_iter()
            .flatten()
            .find(|it| it["name"] == "spare");
        let index = device
            .and_then(|it| it["index"].as_u64())
            .expect("its number is written down");
        let index = index + u64::from(stays);
        machine.shell(
            ROOT,
            &format!(
                "kill -9 {keeper} {router}
                 while [ -e /sys/class/net/spare ]; do sleep 0.01; done
                 ip link add spare index {index} type bridge"
            ),
        );
        machine.good(ROOT, &["nflab", "down", "lab"]);
        let found = machine.shell(ROOT, "ls /sys/class/net");
        assert_eq!(
            found.lines().any(|it| it == "spare"),
            stays,
            "a device with {number} number"
        );
        if stays {
            machine.good(ROOT, &["ip", "link", "delete", "spare"]);
        }
        machine.assert_nothing_left();
    }
}

fn running_lab_is_killed(machine: &Machine, user: User, traffic: bool, rolls: &mut Random, tally: &mut Tally) {
    machine.up(user);
    let traffic = traffic.then(|| start_traffic(machine, user, tally));
    let whom = match rolls.below(2) {
        0 => {
            tally.keepers += 1;
            "/pid"
        }
        _ => {
            tally.routers += 1;
            "/router/pid"
        }
    };
    let pid = machine.state(place(user), whom).to_string();
    std::thread::sleep(Duration::from_micros(rolls.below(50_000).into()));
    machine.good(ROOT, &["kill", "-9", &pid]);
    clear_away(machine, user, rolls, tally);
    if let Some(mut traffic) = traffic {
        ended(&mut traffic);
    }
}

fn restore_is_killed(machine: &Machine, user: User, traffic: bool, rolls: &mut Random, tally: &mut Tally) {
    let up = machine.run(
        user,
        &["nflab", "up", "--detach", "--rules", "/tmp/old", "/run/lab.toml"],
    );
    assert_eq!(up.code, 0, "{}", up.err);
    let traffic = traffic.then(|| start_traffic(machine, user, tally));
    let script = format!(
        "nflab iptables-restore /tmp/new & sleep 0.{:03}; kill -9 $! 2>/dev/null; wait; nflab iptables-save -t filter | grep -c -- '-A FORWARD -s 10.[12]'",
        rolls.below(25)
    );
    let counted = machine.run(user, &["sh", "-c", &script]).out;
    match counted.trim() {
        "2000" => tally.restores_old += 1,
        "3000" => tally.restores_new += 1,
        other => panic!("{other} rules are there: neither the old 2000 nor the new 3000"),
    }
    machine.good(user, &["nflab", "down"]);
    if let Some(mut traffic) = traffic {
        ended(&mut traffic);
    }
}

fn down_is_killed(machine: &Machine, user: User, traffic: bool, rolls: &mut Random, tally: &mut Tally) {
    machine.up(user);
    let traffic = traffic.then(|| start_traffic(machine, user, tally));
    let script = format!("nflab down & sleep 0.{:03}; kill -9 $!; wait $!", rolls.below(400));
    match machine.run(user, &["sh", "-c", &script]).code {
        137 => tally.down_in_between += 1,
        _ => tally.down_afterwards += 1,
    }
    clear_away(machine, user, rolls, tally);
    if let Some(mut traffic) = traffic {
        ended(&mut traffic);
    }
}

/// By `down`, or by the next `up` and its `down`.
#[track_caller]
fn clear_away(machine: &Machine, user: User, rolls: &mut Random, tally: &mut Tally) {
    if rolls.below(2) == 0 {
        tally.cleared_by_down += 1;
        let down = machine.run(user, &["nflab", "down", "lab"]);
        assert!(matches!(down.code, 0 | 4), "{}{}", down.out, down.err);
    } else {
        let up = machine.run(user, &["nflab", "up", "--detach", "/run/lab.toml"]);
        match up.code {
            0 => tally.cleared_by_up += 1,
            // A `down` that was killed before it had said anything, or a keeper that is still clearing away.
            _ => {
                tally.still_ran += 1;
                assert!(up.err.contains("runs already"), "{}", up.err);
            }
        }
        let down = machine.run(user, &["nflab", "down", "lab"]);
        assert!(matches!(down.code, 0 | 4), "{}{}", down.out, down.err);
    }
}

/// Packets both ways, as many as go, until the host is taken away.
fn start_traffic(machine: &Machine, user: User, tally: &mut Tally) -> Child {
    tally.with_traffic += 1;
    let flood = "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try: s.sendto(b'x' * 500, ('192.0.2.9', 9))
    except OSError: pass";
    let (child, _) = machine.start(user, &["nflab", "exec", "client", "--", "python3", "-c", flood]);
    child
}

#[track_caller]
fn ended(child: &mut Child) {
    crate::machine::wait_until("it has ended", || child.try_wait().unwrap().is_some(), |ended| *ended);
}

fn place(user: User) -> &'static str {
    match user.number {
        0 => "/run/nflab",
        _ => "/run/user/65534/nflab",
    }
}
