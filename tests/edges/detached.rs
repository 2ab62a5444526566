//! A lab that outlives its caller: what the caller had open, its mask, its directory and its terminal are not the lab's; and one that hangs is told.

use std::time::{Duration, Instant};

use crate::machine::{LAB, Machine, PING, ROOT, USERS, wait_until};

#[test]
fn a_lab_keeps_nothing_open_that_was_its_callers() {
    let Some(machine) = Machine::new("detached: descriptors") else {
        return;
    };
    for (user, place) in USERS {
        // A script that allows itself only once, and one that waits for the end of a pipe.
        let said = machine.shell(
            user,
            "exec 9> /tmp/once-$(id -u)
             flock 9
             { nflab up --detach /run/lab.toml 8>&1 > /dev/null; echo ended; } | cat
             exec 9>&-
             flock -n /tmp/once-$(id -u) echo free",
        );
        assert_eq!(said, "ended\nfree\n");
        for process in ["/pid", "/router/pid"] {
            let pid = machine.state(place, process);
            let open = machine.shell(ROOT, &format!("ls -l /proc/{pid}/fd"));
            assert!(!open.contains("/tmp/once"), "{open}");
        }
        machine.good(user, &["nflab", "down"]);
        machine.assert_nothing_left();
    }
}

#[test]
fn neither_mask_nor_directory_nor_streams_of_the_caller_matter() {
    let Some(machine) = Machine::new("detached: surroundings") else {
        return;
    };
    for (user, place) in USERS {
        for around in [
            "umask 0777; nflab up --detach /run/lab.toml",
            "umask 0; nflab up --detach /run/lab.toml",
            "d=$(mktemp -d); cd $d; rmdir $d; nflab up --detach /run/lab.toml",
            "nflab up --detach /run/lab.toml <&- >&- 2>&-",
        ] {
            machine.shell(user, around);
            let rules = machine.good(user, &["nflab", "iptables", "-S", "INPUT"]);
            assert_eq!(rules, "-P INPUT ACCEPT\n", "{around}");
            let mode = "find \"$0\" -perm /022 ! -type l";
            let open = machine.good(ROOT, &["sh", "-ec", mode, place]);
            assert_eq!(open, "", "{around}");
            machine.good(user, &["nflab", "down"]);
            machine.assert_nothing_left();
        }
    }
}

/// It would be up, and nobody could speak to it.
#[test]
fn a_lab_that_could_accept_nobody_is_refused() {
    let Some(machine) = Machine::new("detached: few files") else {
        return;
    };
    for (user, _) in USERS {
        let few = machine.shell(user, "(ulimit -n 16; nflab up --detach /run/lab.toml 2>&1 || echo $?)");
        assert!(
            few.contains("a process may have 16 files open here") && few.contains("ulimit -n"),
            "{few}"
        );
        assert!(few.ends_with("\n3\n"), "{few}");
        machine.assert_nothing_left();
        // What may be raised is.
        let soft = machine.shell(
            user,
            "(ulimit -Sn 16; nflab up --detach /run/lab.toml 2>&1; nflab iptables -S INPUT; nflab down)",
        );
        assert!(soft.contains("-P INPUT ACCEPT\n"), "{soft}");
        machine.assert_nothing_left();
    }
}

/// A mask that takes the owner's own rights away hinders neither `down` nor what is run and removed.
#[test]
fn no_mask_hinders_what_nflab_makes_for_itself() {
    let Some(machine) = Machine::new("detached: masks") else {
        return;
    };
    for ((user, _), mask) in USERS.into_iter().flat_map(|it| [(it, "0777"), (it, "0077")]) {
        let said = machine.shell(
            user,
            &format!(
                "printf 'iptables -P INPUT DROP\\n' > /tmp/script-$(id -u)
             umask {mask}
             nflab up --detach /run/lab.toml > /dev/null; nflab down
             nflab sh -- sh -c 'umask; iptables -P INPUT DROP && iptables -S INPUT'
             nflab import /tmp/script-$(id -u) | grep ':INPUT'
             nflab demo > /dev/null; echo $?
             ls -d /tmp/nflab-sh* 2> /dev/null || echo none"
            ),
        );
        let expected = format!("lab lab is down\n{mask}\n-P INPUT DROP\n:INPUT DROP [0:0]\n0\nnone\n");
        assert_eq!(said, expected);
        machine.assert_nothing_left();
    }
}

#[test]
fn a_lab_that_hangs_is_told_as_such_and_goes_down() {
    let Some(machine) = Machine::new("detached: it hangs") else {
        return;
    };
    for (user, place) in USERS {
        for process in ["/router/pid", "/pid"] {
            machine.up(user);
            let pid = machine.state(place, process).to_string();
            machine.good(ROOT, &["kill", "-STOP", &pid]);
            let began = Instant::now();
            let status = machine.good(user, &["nflab", "status"]);
            let expected = match process {
                "/pid" => "lab lab is up for",
                _ => "lab lab: it has not answered for 5 seconds\n",
            };
            assert!(status.starts_with(expected), "{status}");
            assert!(began.elapsed() < Duration::from_secs(9), "it was asked more than once");
            machine.good(user, &["nflab", "down"]);
            machine.assert_nothing_left();
        }
    }
}

#[test]
fn an_empty_place_goes_too() {
    let Some(machine) = Machine::new("detached: an empty place") else {
        return;
    };
    for (user, place) in USERS {
        machine.good(user, &["mkdir", "-m", "700", place]);
        assert_eq!(machine.run(user, &["nflab", "down", "lab"]).code, 4);
        machine.assert_nothing_left();
    }
}

#[test]
fn what_was_left_takes_nothing_of_another_with_it() {
    let Some(machine) = Machine::new("detached: one name for two") else {
        return;
    };
    // Both labs call their host's namespace `a-b-client`.
    machine.write(
        "/run/a.toml",
        &LAB.replace("[host.client]", "[host.b-client]")
            .replace("interface.spare", "interface.one"),
    );
    machine.write("/run/a-b.toml", &LAB.replace("interface.spare", "interface.two"));
    machine.good(ROOT, &["nflab", "up", "--detach", "/run/a.toml"]);
    let state = machine.shell(ROOT, "cat /run/nflab/a/state.json");
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    machine.good(ROOT, &["kill", "-9", &state["pid"].to_string()]);
    wait_until(
        "its router is gone",
        || {
            machine
                .run(
                    ROOT,
                    &["grep", "State", &format!("/proc/{}/status", state["router"]["pid"])],
                )
                .out
        },
        |state| state.is_empty() || state.contains('Z'),
    );
    machine.good(ROOT, &["ip", "netns", "delete", "a-b-client"]);
    machine.good(ROOT, &["nflab", "up", "--detach", "/run/a-b.toml"]);
    let down = machine.good(ROOT, &["nflab", "down", "a"]);
    assert!(down.contains("had been killed"), "{down}");
    machine.good(ROOT, &[&["env", "NFLAB=a-b"], &PING[..]].concat());
    machine.good(ROOT, &["nflab", "down"]);
    machine.assert_nothing_left();
}
