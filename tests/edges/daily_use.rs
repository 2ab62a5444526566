//! What people do all day with labs that are up: which one `down` means, what `up` says while it stays, how it ends, and hosts called by name.

use crate::machine::{LAB, Machine, NOBODY, ROOT, STRANGER, User, wait_until};

const USERS: [(User, &str); 2] = [(ROOT, "/run/nflab"), (NOBODY, "/run/user/65534/nflab")];

#[test]
fn down_means_the_lab_that_every_command_means() {
    let Some(machine) = Machine::new("down") else {
        return;
    };
    // An interface without hosts is one of the machine's, of which there is but one of a name.
    let spare = "[interface.spare]\naddress = [\"10.9.0.1/24\"]\n";
    machine.write("/tmp/hosts.toml", &LAB.replace(spare, ""));
    machine.shell(STRANGER, "mkdir -m 755 /tmp/strange");
    for (user, place) in USERS {
        let down = |environment: &str, args: &str| {
            let ran = machine.run(user, &["sh", "-c", &format!("{environment} nflab down {args}")]);
            (ran.code, ran.out, ran.err)
        };
        let (code, _, said) = down("", "");
        assert_eq!(
            (code, said.as_str()),
            (4, "nflab: no lab runs, and none is left over; nothing to take down\n")
        );
        for name in ["one", "two", "three"] {
            machine.good(user, &["nflab", "up", "--detach", "--name", name, "/tmp/hosts.toml"]);
        }
        let (code, _, said) = down("", "");
        assert_eq!(
            (code, said.as_str()),
            (
                4,
                "nflab: there are several labs (one, three, two): say which one, as in `nflab down one`\n"
            )
        );
        let (code, _, said) = down("NFLAB=none", "");
        assert_eq!(code, 4, "{said}");
        assert!(
            said.contains("no lab \"none\" (NFLAB names it)") && said.contains("or unset NFLAB"),
            "{said}"
        );
        let done = |out: &str| (0, format!("lab {out}\n"), String::new());
        assert_eq!(down("NFLAB=two", ""), done("two is down"));
        assert_eq!(
            down(&format!("NFLAB={place}/three/control"), "one"),
            done("one is down")
        );
        let (code, _, said) = down("NFLAB=/tmp/strange/control", "");
        assert_eq!(code, 4, "{said}");
        assert!(
            said.contains("/tmp/strange") && said.contains("belongs to user 65533"),
            "{said}"
        );
        // What is left over can be named in the same ways.
        machine.shell(
            user,
            &format!("kill -9 $(sed -n 's/^  \"pid\": \\([0-9]*\\).*/\\1/p' {place}/three/state.json)"),
        );
        wait_until(
            "the lab was killed",
            || machine.run(user, &["nflab", "status"]).out,
            |said| said.starts_with("lab three was killed and is left over"),
        );
        assert_eq!(
            down(&format!("NFLAB={place}/three/control"), ""),
            done("three had been killed; what it left is cleared away")
        );
        machine.assert_nothing_left();
    }
}

#[test]
fn up_shows_the_log_while_it_stays_and_leaves_nothing_however_it_is_told_to_end() {
    let Some(machine) = Machine::new("up: log and end") else {
        return;
    };
    for (user, place) in USERS {
        for signal in ["INT", "QUIT", "TERM", "HUP"] {
            let (mut up, said) = machine.start(user, &["nflab", "up", "/run/lab.toml"]);
            let said = || std::fs::read_to_string(&said).unwrap();
            wait_until("it stays", said, |said| said.contains("it stays here"));
            machine.shell(
                user,
                "nflab iptables -A FORWARD -p icmp -m state --state NEW -j LOG --log-prefix 'seen: '
                 nflab exec client -- ping -n -q -c 1 192.0.2.9 > /dev/null",
            );
            wait_until("the line of LOG is on the output", said, |said| {
                said.contains("seen: IN=lan OUT=wan MAC= SRC=10.0.0.2 DST=192.0.2.9 LEN=84")
            });
            assert_eq!(
                said().lines().filter(|line| line.contains("seen: ")).count(),
                1,
                "{}",
                said()
            );
            machine.shell(
                user,
                &format!("kill -{signal} $(sed -n 's/^  \"pid\": \\([0-9]*\\).*/\\1/p' {place}/lab/state.json)"),
            );
            wait_until("it has ended", || up.try_wait().unwrap(), Option::is_some);
            assert!(said().ends_with("lab lab is down\n"), "{signal}: {}", said());
            machine.assert_nothing_left();
        }
    }
}

#[test]
fn hosts_know_each_other_by_name() {
    let Some(machine) = Machine::new("names in hosts") else {
        return;
    };
    for (user, _) in USERS {
        machine.up(user);
        let before = machine.shell(user, "cat /etc/hosts");
        let said = machine.good(
            user,
            &["nflab", "exec", "client", "--", "ping", "-n", "-c", "1", "server"],
        );
        assert!(said.starts_with("PING server (192.0.2.9)"), "{said}");
        let inside = machine.good(user, &["nflab", "exec", "server", "--", "cat", "/etc/hosts"]);
        assert!(
            inside.starts_with(&before) && inside.ends_with("10.0.0.2 client\n192.0.2.9 server\n"),
            "{inside}"
        );
        let inside = machine.good(user, &["nflab", "exec", "server", "--", "ls", "/sys/class/net"]);
        assert!(
            inside.contains("lo"),
            "the kernel's own directory is there again: {inside}"
        );
        assert_eq!(
            machine.shell(user, "cat /etc/hosts"),
            before,
            "the machine's is as it was"
        );
        machine.good(user, &["nflab", "down"]);
        machine.assert_nothing_left();
    }
}

/// What a command cannot do here it says by name, with what helps.
#[test]
fn what_is_not_there_is_refused_with_a_remedy() {
    let bench = crate::bench::Bench::new();
    for (args, expected) in [
        (
            &["nflab", "trace", "--follow"][..],
            "is for one that `nflab up` started",
        ),
        (&["conntrack", "-E", "expect"], "`conntrack -L expect` lists"),
        (&["conntrack", "-S"], "is not there yet in nflab"),
    ] {
        let ran = bench.nflab(&[&["sh", "--"], args].concat());
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.err.contains(expected), "{args:?}: {ran:?}");
    }
    bench.write("a.toml", crate::bench::LAB);
    let mut up = bench.command(std::path::Path::new("unshare"));
    up.args([
        "-r",
        "-n",
        "-m",
        env!("CARGO_BIN_EXE_nflab"),
        "up",
        "--name",
        "a/b",
        "a.toml",
    ]);
    let ran = crate::bench::run(up, "");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.contains("\"a/b\" cannot name a lab") && ran.err.contains("--name"),
        "{ran:?}"
    );
    // Nothing is replayed, so nothing is said of where.
    let ran = bench.nflab(&["sh", "--", "nflab", "replay", "none.pcapng"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.contains("none.pcapng") && !ran.err.contains("copy of the lab"),
        "{ran:?}"
    );
}
