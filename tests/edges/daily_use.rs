//! What people do all day with labs that are up: which one `down` means, what `up` says while it stays, how it ends, and hosts called by name.

use crate::machine::{LAB, Machine, NOBODY, ROOT, STRANGER, USERS, wait_until};

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
        for (asked, example) in [
            ("iptables -S", "NFLAB=one nflab iptables -S"),
            ("exec client", "NFLAB=one nflab exec client"),
            ("dmesg -c", "NFLAB=one nflab dmesg -c"),
            (
                "trace 'lan tcp client:1 > server:2 S'",
                "NFLAB=one nflab trace 'lan tcp client:1 > server:2 S'",
            ),
            ("trace --follow", "NFLAB=one nflab trace --follow"),
            ("ip route", "NFLAB=one nflab ip route"),
            ("repl", "NFLAB=one nflab repl"),
        ] {
            let ran = machine.run(user, &["sh", "-c", &format!("nflab {asked}")]);
            let expected = format!("several labs run (one, three, two): say which one, as in `{example}`\n");
            assert!(ran.code == 4 && ran.err.contains(&expected), "{asked}: {}", ran.err);
        }
        // By a link the tool's own name is what was typed.
        let linked = machine.run(
            user,
            &[
                "sh",
                "-c",
                "d=$(mktemp -d); nflab shims $d; cd $d; ./iptables -S; rm -r $d",
            ],
        );
        assert!(
            linked.err.ends_with("as in `NFLAB=one ./iptables -S`\n"),
            "{}",
            linked.err
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

/// Nobody is there any more to read that the lab is down, which is no output that was lost.
#[test]
fn a_terminal_that_closes_ends_the_lab_and_is_no_failure() {
    let Some(machine) = Machine::new("up: a closed terminal") else {
        return;
    };
    machine.write(
        "/run/terminal.py",
        r#"
import os, pty, select, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("nflab", ["nflab", "up", "/run/lab.toml"])
seen = b""
while b"it stays here" not in seen:
    if not select.select([terminal], [], [], 20)[0]:
        sys.exit(f"it never came up: {seen}")
    seen += os.read(terminal, 1000)
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#,
    );
    for (user, _) in USERS {
        assert_eq!(machine.good(user, &["python3", "/run/terminal.py"]), "0\n");
        machine.assert_nothing_left();
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
    let ran = bench.nflab(&["sh", "--", "nflab", "trace", "--follow"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("is for one that `nflab up` started"), "{ran:?}");
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

/// To close the devices of many hosts takes the kernel seconds, and more where the machine is busy.
#[test]
fn a_big_lab_ends_as_a_small_one_does() {
    let Some(machine) = Machine::new("the end of a big lab") else {
        return;
    };
    let mut lab = String::from("[interface.lan]\naddress = [\"10.0.0.1/16\"]\n");
    for host in 1..=60 {
        lab += &format!("[host.h{host}]\ninterface = \"lan\"\naddress = \"10.0.1.{host}/16\"\n");
    }
    machine.write("/tmp/many.toml", &lab);
    let (mut up, said) = machine.start(ROOT, &["nflab", "up", "/tmp/many.toml"]);
    let said = || std::fs::read_to_string(&said).unwrap();
    wait_until("it stays", said, |said| said.contains("it stays here"));
    machine.shell(
        ROOT,
        "kill -INT $(sed -n 's/^  \"pid\": \\([0-9]*\\).*/\\1/p' /run/nflab/many/state.json)",
    );
    assert_eq!(up.wait().unwrap().code(), Some(0), "{}", said());
    assert!(said().ends_with("lab many is down\n"), "{}", said());
    machine.assert_nothing_left();
}

#[test]
fn what_cannot_be_had_is_said_with_what_can() {
    let Some(machine) = Machine::new("refusals of a live lab") else {
        return;
    };
    let says = |script: &str, code: Option<i32>, expected: &str| {
        let ran = machine.run(ROOT, &["sh", "-c", script]);
        let all = format!("{}{}", ran.out, ran.err);
        assert!(
            all.contains(expected) && code.is_none_or(|code| code == ran.code),
            "{script}\n{} {all}",
            ran.code
        );
    };
    says(
        "nflab exec client",
        Some(4),
        "`nflab up LAB.toml` brings up one whose hosts can be entered",
    );
    says(
        "nflab up --name 'a b' /run/lab.toml",
        Some(2),
        "the first a letter or digit; such as --name home",
    );
    says(
        "f=$(printf '/tmp/\\377.toml'); cp /run/lab.toml \"$f\"; nflab up \"$f\" 2> /tmp/said; code=$?; rm \"$f\"; tr -d '\\377' < /tmp/said; exit $code",
        Some(2),
        "say another name with --name",
    );
    says(
        "nflab sh -- nflab up --detach /run/lab.toml",
        Some(3),
        "no lab is brought up inside `nflab sh`",
    );
    says(
        "touch /tmp/there; nflab shims /tmp/there",
        Some(2),
        "something else is there: move it away",
    );
    machine.assert_nothing_left();
    machine.up(ROOT);
    for (script, code, expected) in [
        (
            "NFLAB=/nix nflab status",
            Some(4),
            "no lab answers at /nix (NFLAB names it)",
        ),
        ("NFLAB=nix nflab status --json", Some(4), "no lab \"nix\" runs"),
        ("NFLAB=lab nflab status", Some(0), "lab lab is up"),
        (
            "cd /tmp; NFLAB=../run nflab status",
            Some(4),
            "/run is a directory, where",
        ),
        (
            "nflab trace --count 3 'lan tcp client:1 > server:2 S'",
            Some(2),
            "--count is for packets that pass (--follow)",
        ),
        (
            "nflab trace --follow 'in nix'",
            Some(2),
            "the lab has no interface `nix`",
        ),
        (
            "nflab trace 'lan tcp client > server:80 S'",
            Some(2),
            "`client` is not understood here",
        ),
        (
            "echo 'interface lan 10.7.0.1/24' | nflab repl",
            None,
            "`ip address add ADDRESS/LENGTH dev lan`",
        ),
        (
            "echo 'profile classic' | nflab repl",
            None,
            "`sysctl -w nflab.profile=classic` changes the lab's",
        ),
        (
            "echo 'iptables -L | less' | nflab repl",
            None,
            "a lab has no `less` to pipe to",
        ),
        // A lab that runs becomes another machine; what speaks to it sees that.
        (
            "nflab sysctl -w nflab.profile=classic; nflab cat /proc/sys/net/ipv4/ip_conntrack_max; nflab status",
            Some(0),
            "profile classic",
        ),
        (
            "echo 'echo 4096 > /proc/sys/net/ipv4/ip_conntrack_max' | nflab repl; nflab cat /proc/sys/net/netfilter/nf_conntrack_max",
            Some(0),
            "4096\n",
        ),
        (
            "nflab sh --into lab -- sh -c 'echo 8192 > /proc/sys/net/ipv4/ip_conntrack_max'; nflab sysctl -n net.netfilter.nf_conntrack_max",
            Some(0),
            "8192\n",
        ),
        (
            "nflab sysctl -w nflab.profile=linux6; nflab cat /proc/sys/net/ipv4/ip_conntrack_max",
            Some(1),
            "No such file or directory",
        ),
        // Words that are a tool's meaning are that tool.
        (
            "printf 'route add 10.8.0.0/16 via 10.0.0.7\\nlab\\n' | nflab repl",
            None,
            "route 10.8.0.0/16 via 10.0.0.7 dev lan",
        ),
        ("nflab ip route", Some(0), "10.8.0.0/16 via 10.0.0.7 dev lan"),
        (
            "echo 'route del 10.8.0.0/16' | nflab repl; nflab ip route | grep -c 10.8",
            Some(1),
            "0\n",
        ),
    ] {
        says(script, code, expected);
    }
    let (mut follow, said) = machine.start(ROOT, &["nflab", "trace", "--follow", "icmp", "--count", "1000"]);
    let said = || std::fs::read_to_string(&said).unwrap();
    // It follows from some moment on.
    wait_until(
        "a packet is followed",
        || {
            machine.shell(ROOT, "nflab exec client -- ping -n -q -c 1 192.0.2.9 > /dev/null");
            said()
        },
        |said| said.contains("echo-request"),
    );
    let router = machine.state("/run/nflab", "/router/pid").to_string();
    machine.good(ROOT, &["kill", "-9", &router]);
    assert_eq!(follow.wait().unwrap().code(), Some(4), "{}", said());
    wait_until(
        "what is left of the lab says why",
        || machine.run(ROOT, &["nflab", "status"]).out,
        |said| said.contains("is left over") && said.ends_with("its log says why: /run/nflab/lab/log\n"),
    );
    machine.good(ROOT, &["nflab", "down"]);
    machine.assert_nothing_left();
}

/// Who is root of a user namespace of their own has no other user there to become.
#[test]
fn root_of_a_user_namespace_imports_as_a_user() {
    let Some(machine) = Machine::new("import in a user namespace") else {
        return;
    };
    machine.write("/tmp/fw.sh", "iptables -A INPUT -i lo -j ACCEPT\n");
    let saved = machine.good(NOBODY, &["unshare", "-Ur", "nflab", "import", "/tmp/fw.sh"]);
    assert!(saved.contains("-A INPUT -i lo -j ACCEPT\n"), "{saved}");
}
