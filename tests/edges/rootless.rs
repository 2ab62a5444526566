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

/// Servers and clients that think they are root, and what the lab makes of them: with the helpers files arrive, without them none.
#[test]
fn files_cross_a_users_lab_with_the_helpers_alone() {
    let programs = ["vsftpd", "curl", "dnsmasq", "tftp"];
    let Some(machine) = Machine::with(&programs, "rootless: FTP and TFTP") else {
        return;
    };
    let user = NOBODY;
    machine.up(user);
    machine.shell(
        user,
        "mkdir files; head -c 300000 /dev/urandom > files/file; chmod -R a+rX files",
    );
    // vsftpd believes only what belongs to it.
    machine.shell(user, &format!("cat > vsftpd.conf <<'END'\n{VSFTPD}END"));
    let in_server = |program: &[&str]| machine.start(user, &[&["nflab", "exec", "server", "--"], program].concat());
    let (_, said) = in_server(&["vsftpd", "/tmp/vsftpd.conf"]);
    // tftpd-hpa wants to leave its groups, which a user's namespace does not let it.
    in_server(&TFTPD);
    let sockets = ["nflab", "exec", "server", "--", "cat", "/proc/net/tcp", "/proc/net/udp"];
    wait_until(
        "both servers wait for clients",
        || machine.good(user, &sockets) + &std::fs::read_to_string(&said).unwrap(),
        |sockets| sockets.contains(" 090200C0:0015 ") && sockets.contains(" 090200C0:0045 "),
    );
    for with_helpers in [false, true] {
        let helpers = if with_helpers { HELPERS } else { "" };
        machine.write("/tmp/rules", &format!("*raw\n{helpers}COMMIT\n{RULES}"));
        machine.good(user, &["nflab", "iptables-restore", "/tmp/rules"]);
        for way in [
            "curl -sS --connect-timeout $T --max-time $T --ftp-pasv --no-ftp-skip-pasv-ip -o got ftp://192.0.2.9/file",
            "curl -sS --connect-timeout $T --max-time $T --ftp-port - -o got ftp://192.0.2.9/file",
            "timeout $T tftp -4 -m binary 192.0.2.9 -c get file got",
        ] {
            let seconds = if with_helpers { "10" } else { "0.5" };
            let script = format!(
                "rm -f got; T={seconds}; nflab exec client -- {way} || echo failed; if cmp -s got files/file; then echo arrived; fi"
            );
            let expected = if with_helpers { "arrived\n" } else { "failed\n" };
            assert_eq!(machine.shell(user, &script), expected, "{way}");
        }
        let related = if with_helpers { "[3:" } else { "[0:" };
        let saved = machine.good(user, &["nflab", "iptables-save", "-c"]);
        let rule = saved.lines().find(|line| line.ends_with("--ctstate RELATED -j ACCEPT"));
        assert!(rule.is_some_and(|rule| rule.starts_with(related)), "{saved}");
    }
    machine.good(user, &["nflab", "down"]);
    machine.assert_nothing_left();
}

const TFTPD: [&str; 8] = [
    "dnsmasq",
    "-d",
    "-C/dev/null",
    "--port=0",
    "--listen-address=192.0.2.9",
    "--bind-interfaces",
    "--enable-tftp",
    "--tftp-root=/tmp/files",
];

/// There is one user in a lab without root.
const VSFTPD: &str = "listen=YES
listen_address=192.0.2.9
background=NO
run_as_launching_user=YES
anonymous_enable=YES
no_anon_password=YES
local_enable=NO
anon_root=/tmp/files
secure_chroot_dir=/tmp/files
connect_from_port_20=YES
connect_timeout=1
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
";

const HELPERS: &str = "-A PREROUTING -i lan -p tcp -m tcp --dport 21 -j CT --helper ftp
-A PREROUTING -i lan -p udp -m udp --dport 69 -j CT --helper tftp
";
const RULES: &str = "*nat
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate RELATED -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -i lan -p tcp -m tcp --dport 21 -j ACCEPT
-A FORWARD -i lan -p udp -m udp --dport 69 -j ACCEPT
COMMIT
";

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
             kill -9 $d; wait $d || [ $? = 137 ]; ls {place}"
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
