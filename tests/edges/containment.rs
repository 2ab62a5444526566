//! What `nflab sh` and `nflab import` run reaches the lab, and never the machine: neither its rules nor its sysctls, files or processes.
//!
//! A network and a mount namespace of the test's own play the machine. What needs root runs as root there, and then once more as a user.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, LAB, Ran, run};

/// Who runs nflab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    Root,
    User,
}

/// Runs a script of bash as root or as nobody, on a machine that is a namespace. `$nflab` is the binary, where everybody may run it.
pub(crate) struct Machine {
    bench: Bench,
    nflab: PathBuf,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let bench = Bench::new();
        let nflab = bench.path("nflab");
        std::fs::copy(env!("CARGO_BIN_EXE_nflab"), &nflab).unwrap();
        Self { bench, nflab }
    }

    pub(crate) fn script(&self, who: As, script: &str) -> Ran {
        self.script_on(who, "", script)
    }

    /// The machine is prepared by its root first, who need not be the one that runs the script.
    pub(crate) fn script_on(&self, who: As, prepared: &str, script: &str) -> Ran {
        // What one of them leaves is not in the way of the other.
        let directory = self.bench.path(&format!("{who:?}"));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
        for (name, text) in [("script.sh", script), ("lab.toml", LAB), ("other.toml", OTHER_LAB)] {
            std::fs::write(directory.join(name), text).unwrap();
        }
        let becomes = match (who, is_root()) {
            (As::User, true) => "setpriv --reuid=65534 --regid=65534 --clear-groups",
            _ => "",
        };
        let prepares = format!("{prepared} exec {becomes} bash script.sh");
        let mut command = self.bench.command(Path::new(if is_root() { "unshare" } else { "env" }));
        if is_root() {
            command.args(["--net", "--mount"]);
        }
        command
            .args(["bash", "-ec", &prepares])
            .current_dir(&directory)
            .env("TMPDIR", &directory)
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("nflab", &self.nflab);
        run(command, "")
    }

    /// Of both kinds, as far as they can be had here; the output has to be the same.
    pub(crate) fn both(&self, script: &str, expected: &str) {
        for who in able() {
            let ran = self.script(who, script);
            assert_eq!(ran.out, expected, "as {who:?}\n{script}\nsaid\n{}", ran.err);
        }
    }
}

const OTHER_LAB: &str = "[interface.lan]\naddress = [\"10.0.0.1/24\"]\nmtu = 1400\n[interface.\"eth0.5\"]\naddress = [\"198.51.100.1/25\"]\n\
                         [[route]]\nto = \"203.0.113.0/24\"\nvia = \"10.0.0.7\"\n";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Who can contain here. It is said loudly who can't.
pub(crate) fn able() -> Vec<As> {
    let succeeds = |command: &mut Command| command.output().is_ok_and(|it| it.status.success());
    let user = match is_root() {
        true => succeeds(Command::new("setpriv").args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "unshare",
            "-Urmn",
            "true",
        ])),
        false => succeeds(Command::new("unshare").args(["-Urmn", "true"])),
    };
    let mut able = Vec::new();
    for (who, is_able) in [(As::Root, is_root()), (As::User, user)] {
        if is_able {
            able.push(who);
            continue;
        }
        eprintln!("!!! containment as {who:?} WAS NOT TESTED: it needs root, or namespaces for users");
        assert!(
            std::env::var_os("NFLAB_REQUIRE_KERNEL").is_none(),
            "NFLAB_REQUIRE_KERNEL is set: this is a failure"
        );
    }
    able
}

#[test]
fn rules_by_every_way_reach_the_lab_and_not_the_machine() {
    let machine = Machine::new();
    let script = r#"
        state() { iptables-legacy-save; ip6tables-legacy-save; cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/rp_filter; ip link; ip route; }
        before=$(state 2>&1)
        "$nflab" sh --save lab.v4 --save6 lab.v6 -- bash -c '
            rule() { n=$((n + 1)); "$@" -A INPUT -s $net$n -j DROP || echo "failed: $*"; }
            for t in iptables ip6tables; do
                n=0; [ $t = iptables ] && net=203.0.113. || net=2001:db8:113::
                rule $t
                rule /sbin/$t
                rule /usr/sbin/$t-legacy
                rule /usr/sbin/$t-nft
                rule /usr/sbin/xtables-legacy-multi $t
                rule /sbin/xtables-nft-multi $t
                rule env -i /usr/sbin/$t
                rule env -i PATH=/usr/sbin:/sbin $t
                rule env -u NFLAB $t
                rule env NFLAB=/no/such $t
                rule /usr/local/sbin/$t
                rule /bin/$t
                IPT=/usr/sbin/$t-legacy; rule $IPT
                (PATH=/usr/bin:/usr/sbin; rule $t); n=$((n + 1))
                rule setsid -w /usr/sbin/$t
                cd /; rule sbin/$t; cd "$OLDPWD"
                rule "$(command -v $t)"
                rule "$(readlink -f /usr/sbin/$t)"
                rule setpriv --no-new-privs /usr/sbin/$t
                printf "*filter\n-A INPUT -s ${net}20 -j DROP\nCOMMIT\n" | /usr/sbin/$t-restore -n
                [ -x /usr/sbin/$t ] && [ -f /usr/sbin/$t-restore ] && [ ! -L /usr/sbin/$t ] || echo "no plain program"
            done
        '
        echo "exit $?"
        after=$(state 2>&1)
        [ "$before" = "$after" ] && echo untouched || diff <(echo "$before") <(echo "$after")
        grep -c "203.0.113.*DROP" lab.v4
        grep -c "2001:db8:113::.*DROP" lab.v6
    "#;
    machine.both(script, "exit 0\nuntouched\n20\n20\n");
}

#[test]
fn another_user_inside_finds_the_lab() {
    let machine = Machine::new();
    if !able().contains(&As::Root) {
        return;
    }
    let script =
        r#""$nflab" sh -- setpriv --reuid=65534 --regid=65534 --clear-groups env -i /usr/sbin/iptables -S INPUT"#;
    let ran = machine.script(As::Root, script);
    assert_eq!((ran.out.as_str(), ran.code), ("-P INPUT ACCEPT\n", 0), "{}", ran.err);
}

#[test]
fn what_has_no_place_in_a_lab_is_refused_by_name() {
    let machine = Machine::new();
    let script = r#""$nflab" sh -- bash -c '
        for call in "nft list ruleset" "/usr/sbin/ebtables -L" "arptables -L" "xtables-nft-multi ebtables -L" "iptables-translate -A INPUT"; do
            $call 2>&1; echo "exit $?"
        done
        python3 - <<P
import socket
def tried(what, call):
    try:
        call()
        print(what, "was taken")
    except OSError as error:
        print(what, error.strerror)
own = socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)
tried("a table", lambda: own.setsockopt(0, 64, bytes(92)))
tried("a look at tables", lambda: own.getsockopt(0, 64, 84))
tried("routing", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
P
        '"#;
    let expected = "nft: not there in nflab; rules are given with iptables; nothing was changed\nexit 1\n\
         ebtables: not there in nflab; nothing was changed\nexit 1\n\
         arptables: not there in nflab; nothing was changed\nexit 1\n\
         ebtables: not there in nflab; nothing was changed\nexit 1\n\
         iptables-translate: not there in nflab; it would print rules for nft, which a lab has not; nothing was changed\nexit 1\n\
         a table Protocol not available\na look at tables Protocol not available\nrouting was taken\n";
    machine.both(script, expected);
}

/// Here nf_tables of the kernel is spoken to as `libnftables` does: a table, a chain and a rule that is empty.
#[test]
fn rules_past_all_tools_are_told() {
    let machine = Machine::new();
    let script = r#""$nflab" sh -- python3 - 2> said <<'P'
import socket, struct
def attribute(kind, text): text += b"\0"; return struct.pack("=HH", 4 + len(text), kind) + text + bytes(-len(text) % 4)
def message(kind, flags, body): return struct.pack("=IHHIIBBH", 20 + len(body), kind, flags, 0, 0, 2, 0, 0 if kind > 100 else 0x0a00) + body
own = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
own.send(message(16, 1, b"") + message(0xa00, 0x401, attribute(1, b"t"))
    + message(0xa03, 0x401, attribute(1, b"t") + attribute(3, b"c")) + message(0xa06, 0xc01, attribute(1, b"t") + attribute(2, b"c")) + message(17, 1, b""))
P
        grep -c "rules were given to nf_tables" said"#;
    machine.both(script, "1\n");
}

#[test]
fn sysctls_go_both_ways_at_once() {
    let machine = Machine::new();
    let script = r#"
        before=$(cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/netfilter/nf_conntrack_max)
        "$nflab" sh --lab lab.toml --save lab.v4 -- bash -c '
            cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/netfilter/nf_conntrack_udp_timeout
            echo 0 > /proc/sys/net/ipv4/ip_forward
            sysctl net.ipv4.ip_forward net.ipv4.conf.lan.forwarding
            echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/conf/wan/forwarding
            sysctl net.ipv4.conf.lan.forwarding net.ipv4.conf.wan.forwarding
            sysctl -qw net.ipv4.conf.all.rp_filter=2 net.netfilter.nf_conntrack_udp_timeout=77
            cat /proc/sys/net/ipv4/conf/all/rp_filter /proc/sys/net/netfilter/nf_conntrack_udp_timeout
            echo 4096 > /proc/sys/net/netfilter/nf_conntrack_max; env -i /sbin/sysctl net.netfilter.nf_conntrack_max
            echo 9 > /proc/sys/kernel/panic
        ' 2> errors
        grep -c "Read-only file system" errors
        [ "$before" = "$(cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/netfilter/nf_conntrack_max)" ] && echo untouched
    "#;
    let expected = "1\n40\nnet.ipv4.ip_forward = 0\nnet.ipv4.conf.lan.forwarding = 0\n\
         net.ipv4.conf.lan.forwarding = 1\nnet.ipv4.conf.wan.forwarding = 0\n2\n77\nnet.netfilter.nf_conntrack_max = 4096\n1\nuntouched\n";
    machine.both(script, expected);
}

#[test]
fn the_network_is_the_labs() {
    let machine = Machine::new();
    let script = r#""$nflab" sh --lab other.toml -- bash -c '
        ip -br -4 addr | tr -s " "; ip route; ls /sys/class/net | tr "\n" " "; cat /sys/class/net/lan/mtu; ifconfig lan | grep -o "inet [0-9.]*.*"
        grep -o "^ *[a-z0-9.]*:" /proc/net/dev | tr -d " " | sort
        iptables -t nat -A POSTROUTING -o lan -j MASQUERADE; modprobe nf_conntrack_ftp
        cat /proc/net/ip_tables_names /proc/net/nf_conntrack /proc/net/ip6_tables_names; grep -x MASQUERADE /proc/net/ip_tables_targets
        lsmod | sed -n 2p | tr -s " "; (cat /proc/modules 2> /dev/null || echo nf_conntrack_ftp) | head -1 | cut -d" " -f1
        hostname nowhere; uname -n'
        uname -n | grep -c nowhere"#;
    let expected = "lo UNKNOWN 127.0.0.1/8 \nlan UNKNOWN 10.0.0.1/24 \neth0.5 UNKNOWN 198.51.100.1/25 \n\
         10.0.0.0/24 dev lan proto kernel scope link src 10.0.0.1 \n198.51.100.0/25 dev eth0.5 proto kernel scope link src 198.51.100.1 \n\
         203.0.113.0/24 via 10.0.0.7 dev lan \neth0.5 lan lo 1400\ninet 10.0.0.1  netmask 255.255.255.0  broadcast 10.0.0.255\n\
         eth0.5:\nlan:\nlo:\nnat\nMASQUERADE\nnf_conntrack_ftp 16384 0\nnf_conntrack_ftp\nnowhere\n0\n";
    machine.both(script, expected);
}

/// Beside what is the lab's in a directory of `/proc/net` lies what is each process's own.
#[test]
fn queues_are_the_labs() {
    let machine = Machine::new();
    let script = r#""$nflab" sh -- bash -c '
        iptables -A INPUT -j NFQUEUE; cat /proc/net/netfilter/nfnetlink_queue
        printf "queue 7 open maximum 5\nqueue 9 open\n" | nflab repl > /dev/null
        cat /proc/net/netfilter/nfnetlink_queue | tr -s " "; nflab cat /proc/net/netfilter/nfnetlink_queue | tr -s " "
        [ "$(ls /proc/net/netfilter)" = "$(ls /proc/self/net/netfilter)" ] && cat /proc/net/netfilter/nf_log | grep -c "^ 2"'"#;
    let lines = " 7 0 0 2 65531 0 0 0 1\n 9 0 0 2 65531 0 0 0 1\n";
    machine.both(script, &format!("{lines}{lines}1\n"));
}

#[test]
fn what_is_written_to_the_system_is_gone_and_the_users_own_stays() {
    let machine = Machine::new();
    let script = r#"
        find /etc /usr/local /var/lib /run /boot -xdev 2> /dev/null | sort > before; ls -ln /etc > etc
        # A user gets no copy of all that is in /usr.
        [ $UID != 0 ] || export places="/usr/share /usr/lib /boot"
        "$nflab" sh -- bash -c '
            find /run -mindepth 2 ! -path "/run/nflab-contained/*" ! -path "/run/user/*" 2> /dev/null; find /run -maxdepth 1 ! -type d
            for place in /etc /usr/local /var/lib /var/log /run /opt $places; do
                echo text > $place/nflab-was-here && cat $place/nflab-was-here > /dev/null || echo "cannot write $place"
            done
            mkdir -p /run/lock/x /etc/nflab-test/deep && mv /etc/nflab-was-here /etc/nflab-test/deep/file || echo "cannot move"
            sed -i "s/root/toor/" /etc/passwd && grep -c toor /etc/passwd
            rm /etc/hostname && [ ! -e /etc/hostname ] && echo gone
            echo mine > kept; (cd / && echo real > "$OLDPWD/kept too")
            logger -t test "nobody reads this" && ls /run/systemd/private /run/dbus/system_bus_socket 2>/dev/null; ls /dev/sd* /dev/vd* /dev/mem 2>/dev/null'
        cat kept "kept too"; rm kept "kept too"
        find /etc /usr/local /var/lib /run /boot -xdev 2> /dev/null | sort > after; ls -ln /etc > etc2
        cmp before after && cmp etc etc2 && grep -c toor /etc/passwd"#;
    machine.both(script, "1\ngone\nmine\nreal\n0\n");
}

#[test]
fn processes_end_with_it_and_see_no_others() {
    let machine = Machine::new();
    let script = r#"
        "$nflab" sh -- bash -c '
            setsid sleep 4711 & (setsid -f sleep 4712); nohup sleep 4713 > /dev/null 2>&1 &
            for i in $(seq 100); do [ $(pgrep -c sleep) = 3 ] && break; sleep 0.02; done
            pgrep -c sleep; [ $(ls -d /proc/[0-9]* | wc -l) -lt 12 ] || echo "sees others"; exit 3'
        echo "exit $?"
        pgrep -f "sleep 471[123]" || echo "none left""#;
    machine.both(script, "3\nexit 3\nnone left\n");
}

#[test]
fn signals_and_streams_are_the_commands() {
    let machine = Machine::new();
    let script = r#"
        wait_for() { for i in $(seq 200); do [ -e "$1" ] && return; sleep 0.02; done; echo "$1 never came"; }
        "$nflab" sh -- bash -c 'trap "echo told; exit 9" TERM; touch ready; i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); sleep 0.02; done' & pid=$!
        wait_for ready; kill -TERM $pid; wait $pid; echo "exit $?"; rm -f ready
        "$nflab" sh -- bash -c 'touch ready; exec sleep 4714' & pid=$!
        wait_for ready; kill -HUP $pid; wait $pid; echo "exit $?"; rm -f ready
        "$nflab" sh -- bash -c 'trap "" TERM; touch ready; setsid sleep 4715 & for i in $(seq 300); do sleep 0.1; done' & pid=$!
        wait_for ready; kill -KILL $pid; wait $pid 2> /dev/null; echo "exit $?"; rm -f ready
        for i in $(seq 200); do pgrep -f "sleep 471[45]" > /dev/null || break; sleep 0.02; done
        pgrep -f "sleep 471[45]" || echo "none left"
        echo input | "$nflab" sh -- cat; "$nflab" sh -- sh -c 'kill -INT $$'; echo "exit $?"
        "$nflab" sh -- no-such-command 2> /dev/null; echo "exit $?"; "$nflab" sh -- / 2> /dev/null; echo "exit $?"
        (exec 7> seven; "$nflab" sh -- sh -c 'echo seven >&7'); cat seven; rm seven
        ls -d "$TMPDIR"/nflab-sh* 2> /dev/null || echo "nothing left""#;
    machine.both(
        script,
        "told\nexit 9\nexit 129\nexit 137\nnone left\ninput\nexit 130\nexit 127\nexit 126\nseven\nnothing left\n",
    );
}

/// Ctrl-C reaches the command as from the terminal; what it was told to do with it, it does, and the end is clean.
#[test]
fn a_terminal_is_the_commands() {
    let machine = Machine::new();
    // The shell waits for its signal without a child: it takes one that a child outlives for that child's affair.
    let script = r#"
        cat > typed.py <<'P'
import os, pty, select, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(os.environ["nflab"], ["nflab", "sh", "--", "bash", "--norc", "-c", sys.argv[1]])
seen = b""
def until(word):
    global seen
    while word not in seen:
        if not select.select([terminal], [], [], 20)[0]:
            sys.exit(f"{word} never came: {seen}")
        try: seen += os.read(terminal, 1000)
        except OSError: break
until(b"ready"); os.write(terminal, b"\x03"); until(b"end\r\n")
print(seen.decode().replace("\r\n", " "), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
P
        python3 typed.py 'trap "echo caught; caught=1" INT; test -t 0 && echo ready; until [ $caught ] || [ $SECONDS -gt 15 ]; do :; done; stty size > /dev/null && echo end; exit 4'
        python3 typed.py 'echo ready; sleep 30; echo end' | tail -c 4"#;
    machine.both(script, "ready ^Ccaught end  4\n130\n");
}

#[test]
fn it_starts_wherever_one_is() {
    let machine = Machine::new();
    let script = r#"
        deep="$PWD/$(printf 'a%.0s' {1..100})/$(printf 'b%.0s' {1..100})/with blank"; mkdir -p "$deep"
        for place in / /tmp /etc "$deep" /usr/share /var "$HOME"; do
            cd "$place" && [ "$("$nflab" sh -- pwd)" = "$place" ] || echo "not in $place"
        done; echo done"#;
    machine.both(script, "done\n");
    if able().contains(&As::Root) {
        let ran = machine.script(
            As::Root,
            r#"cd /root && cp "$nflab" /tmp/$$.nflab && /tmp/$$.nflab sh -- pwd; rm /tmp/$$.nflab"#,
        );
        assert_eq!(ran.out, "/root\n", "{}", ran.err);
    }
}

/// Where a machine allows no namespaces: nobody gets one here, by the limit of the one around them, and root has not the right either.
#[test]
fn without_namespaces_root_is_refused_and_a_user_is_told() {
    let machine = Machine::new();
    if !able().contains(&As::Root) {
        return;
    }
    let script = r#"
        printf '#!/bin/sh\ntouch "$HOME/was-run"; iptables -A INPUT -j DROP\n' > firewall.sh
        cat > without.sh <<'S'
            echo 0 > /proc/sys/user/max_user_namespaces
            root() { setpriv --bounding-set -sys_admin --inh-caps -sys_admin "$@"; }
            user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
            root "$nflab" sh -- touch ran; echo "exit $?"; ls ran 2> /dev/null
            root "$nflab" import firewall.sh; echo "exit $?"
            root "$nflab" sh --reach-this-machine -- sh -c 'iptables -S INPUT; exit 5'; echo "exit $?"
            user "$nflab" sh -- sh -c 'iptables -S INPUT; exit 6'; echo "exit $?"
            user "$nflab" sh -- sh -c 'kill -TERM $$'; echo "exit $?"
            user "$nflab" import firewall.sh | grep INPUT
            touch here; chown 65534:65534 here; user "$nflab" sh -- sh -c 'rm -f here; exec sleep 4716' & pid=$!
            for i in $(seq 500); do [ -e here ] || break; sleep 0.02; done; pkill -TERM -x nflab -P $pid || kill -TERM $pid; wait $pid; echo "exit $?"
            ls -d nflab-sh* 2> /dev/null || echo "nothing left"
S
        mkfifo go
        unshare --user --mount bash -c 'read line < go; exec setpriv --reuid=0 --regid=0 --clear-groups bash without.sh' & pid=$!
        for i in $(seq 1000); do [ "$(readlink /proc/$pid/ns/user)" = "$(readlink /proc/self/ns/user)" ] || break; sleep 0.01; done
        echo 0 0 65536 > /proc/$pid/uid_map && echo 0 0 65536 > /proc/$pid/gid_map && echo > go; wait $pid"#;
    let ran = machine.script(As::Root, script);
    let expected = "exit 3\nexit 3\n-P INPUT ACCEPT\nexit 5\n-P INPUT ACCEPT\nexit 6\nexit 143\n:INPUT ACCEPT [0:0]\n[0:0] -A INPUT -j DROP\nexit 143\nnothing left\n";
    assert_eq!(ran.out, expected, "{}", ran.err);
    assert_eq!(ran.err.matches("cannot be contained here").count(), 2, "{}", ran.err);
    assert_eq!(ran.err.matches("not contained here (").count(), 5, "{}", ran.err);
}

#[test]
fn what_happens_in_a_lab_can_be_followed_inside() {
    let machine = Machine::new();
    let script = r#"
        cat > follow.sh <<'S'
            iptables -A INPUT -m state --state NEW -j LOG --log-prefix "seen: "
            conntrack -E > events 2> told & listener=$!
            dmesg --follow > log & reader=$!
            for i in $(seq 100); do
                echo 'send lan udp 10.0.0.2:5000 > 10.0.0.1:53' | "$nflab" repl > /dev/null 2>&1
                grep -q NEW events && grep -q seen log && break
                conntrack -F > /dev/null 2>&1
            done
            grep -o -m1 'NEW. udp.*src=10.0.0.2' events; grep -o -m1 'seen: IN=lan' log
            conntrack -L 2>&1 | grep -c sport=5000
            kill -INT $listener $reader; wait $listener; echo "exit $?"; grep -c 'events have been shown' told
            timeout 20 conntrack -E > /dev/null & timeout 20 dmesg -w > /dev/null &
S
        "$nflab" sh -- bash follow.sh; echo "exit $?"; ls -d nflab-sh* 2> /dev/null || echo "nothing left"
        # Without a place for a socket all else is as ever.
        TMPDIR=/none "$nflab" sh -- sh -c 'iptables -P INPUT DROP; iptables -S INPUT; conntrack -E 2> /dev/null'; echo "exit $?""#;
    machine.both(
        script,
        "NEW] udp      17 30 src=10.0.0.2\nseen: IN=lan\n1\nexit 0\n1\nexit 0\nnothing left\n-P INPUT DROP\nexit 2\n",
    );
}

#[test]
fn a_script_to_import_harms_nothing() {
    let machine = Machine::new();
    let script = r#"
        secret=$(mktemp -d); echo original > "$secret/file"; chmod 700 "$secret"
        cat > script.sh2 <<S
#!/bin/bash
iptables -A INPUT -m comment --comment "one" -j ACCEPT
/usr/sbin/iptables -A INPUT -s 203.0.113.1 -j ACCEPT
IPT=/sbin/iptables-legacy; \$IPT -A INPUT -s 203.0.113.2 -j ACCEPT
env -i /usr/sbin/iptables -A INPUT -s 203.0.113.3 -j ACCEPT
cat $secret/file > /dev/null 2>&1 && echo "READ"
sysctl -p $secret/file; iptables-save -f $secret/file; echo overwritten > $secret/file
for place in / /etc /usr /var /var/lib /home /root /run $secret /dev /sys; do echo x > \$place/nflab-was-here && echo "WROTE \$place"; done
echo x > /tmp/nflab-was-here && echo x > here && echo "kept to its own"
ip -br addr; ls /sys/class/net; ls -d /proc/[0-9]* | wc -l
grep -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/self/status
unshare -n true && echo "NAMESPACE WITHOUT RIGHTS"; mount -t tmpfs x /mnt && echo "MOUNTED"
setsid sleep 4717 &
exit 0
S
        "$nflab" import $(printf -- '--allow %s ' env cat ip ls grep wc unshare mount setsid sleep) script.sh2 2>&1
        grep -q original "$secret/file" && echo untouched; rm -r "$secret"
        ls /tmp/nflab-was-here nflab-was-here nflab-sh* 2> /dev/null
        pgrep -f "sleep 4717" || echo "none left""#;
    for who in able() {
        let ran = machine.script(who, script);
        for harm in [
            "READ",
            "WROTE",
            "WITHOUT RIGHTS",
            "MOUNTED",
            "overwritten",
            "was-here\n/",
        ] {
            assert!(!ran.out.contains(harm), "{harm} as {who:?}\n{}", ran.out);
        }
        for said in [
            "| kept to its own\n",
            "| lo               UNKNOWN        127.0.0.1/8 ::1/128 \n",
            "| lo\n",
            "| CapEff:\t0000000000000000\n",
            "| CapBnd:\t0000000000000000\n",
            "| NoNewPrivs:\t1\n",
            "-A INPUT -m comment --comment one -j ACCEPT\n[0:0] -A INPUT -s 203.0.113.1/32 -j ACCEPT\n\
             [0:0] -A INPUT -s 203.0.113.2/32 -j ACCEPT\n[0:0] -A INPUT -s 203.0.113.3/32 -j ACCEPT\nCOMMIT\n",
            "untouched\nnone left\n",
        ] {
            assert!(ran.out.contains(said), "{said:?} as {who:?} is not in\n{}", ran.out);
        }
    }
}

/// Each of these would take the machine's, had it no end: it is ended and told what there was too much of. None here asks for much.
#[test]
fn a_script_to_import_has_bounds() {
    let machine = Machine::new();
    for (what, lines, said) in [
        (
            "processes",
            "for ((i = 0; i < 260; i++)); do sleep 8 & done; wait",
            "not known: what comes after 200 processes at once:",
        ),
        (
            "memory",
            "x=0123456789abcdef; for i in {1..26}; do x=$x$x; done",
            "not known: what comes after 512 MB of memory:",
        ),
        (
            "addresses",
            "printf -v x %1500000000d 0",
            "not known: what a program would have done with more memory: one may have 1024 MB",
        ),
        (
            "bytes",
            "printf -v x %1000000d 0; for i in {1..100}; do echo \"$x\" > ../$i; done; read -t 8 < <(sleep 8)",
            "not known: what comes after 64 MB of files, or 10000 of them:",
        ),
        (
            "files",
            "for i in {1..10100}; do : > $i; done; sleep 8",
            "not known: what comes after 64 MB of files, or 10000 of them:",
        ),
        (
            "little",
            "echo 1 > ../file; echo 1 > /proc/sys/net/ipv4/ip_forward",
            "-A INPUT -j DROP",
        ),
    ] {
        let script = format!(
            "printf '%s\\n' '#!/bin/bash' 'iptables -A INPUT -j DROP' '{lines}' > script.sh2
             \"$nflab\" import -v --allow sleep script.sh2 2>&1; ls -d \"${{TMPDIR:-/tmp}}\"/nflab-sh* 2> /dev/null"
        );
        for who in able() {
            let ran = machine.script(who, &script);
            assert!(
                ran.out.contains(said),
                "{what} as {who:?}: {said} is not in\n{}",
                ran.out
            );
            // A bound that was met says all: nothing is told of how it ended then.
            assert!(
                !said.contains("what comes after") || !ran.out.contains("had it not ended"),
                "{what} as {who:?}\n{}",
                ran.out
            );
            assert_eq!(
                ran.out.contains("net.ipv4.ip_forward = 1 was set"),
                what == "little",
                "{what} as {who:?}\n{}",
                ran.out
            );
        }
    }
}

/// What the machine's own `ip` and `ifconfig` do to the devices inside is done in the lab before its next tool answers.
#[test]
fn addresses_and_routes_that_change_reach_the_lab() {
    let machine = Machine::new();
    let script = r#""$nflab" sh --save lab.v4 -- bash -c '
        ip addr add 10.9.0.1/24 dev lan; ip route add 203.0.113.0/24 via 10.9.0.7 metric 5
        ip route add 198.51.100.128/25 nexthop via 10.9.0.7 nexthop via 192.0.2.9 weight 3
        ip route add blackhole 198.51.100.0/24; ip route del default; ip link set wan mtu 1400
        diff <(ip route) <(nflab ip route) && diff <(ip -4 -br addr | tr -s " ") <(nflab ip -4 -br addr | tr -s " ") && echo same
        nflab ip link show wan | grep -o "mtu [0-9]*"
        ifconfig lan 10.8.0.1 netmask 255.255.0.0; ip link set wan down
        diff <(ip route) <(nflab ip route) && nflab ip -br link show wan | cut -c1-21; ip link set wan up
        ip addr flush dev lan; diff <(ip route) <(nflab ip route) && nflab ip -4 -br addr show lan | grep -c 10.
        ip rule add from 10.9.0.0/24 table 100; ip rule del from 10.9.0.0/24 table 100
        ip link add extra type ifb; iptables -S INPUT' 2> said
        grep -c "ip rule. changes here is in no lab" said
        grep -c "ip link add extra type dummy. does to the devices here is in no lab" said"#;
    machine.both(
        script,
        "same\nmtu 1400\nwan              DOWN\n0\n-P INPUT ACCEPT\n1\n1\n",
    );
}

#[test]
fn addresses_and_routes_of_ipv6_reach_the_lab() {
    let machine = Machine::new();
    let script = r#""$nflab" sh --save lab.v4 -- bash -c '
        same() { diff <(ip -6 route) <(nflab ip -6 route) && diff <(ip -6 -br addr | tr -s " ") <(nflab ip -6 -br addr | tr -s " ") && echo same; }
        ip -6 -br addr show lan | tr -s " "; ip -6 -br addr show wan | tr -s " "
        same; ip addr add 2001:db8:9::1/64 dev lan; ip -6 route add 2001:db8:5::/48 via 2001:db8:9::7 metric 5
        ip -6 route add blackhole 2001:db8:6::/48; ip -6 route del default; same; nflab ip -6 route | grep -c "metric 5 \|blackhole"
        ip link set wan down; ip addr del 2001:db8:9::1/64 dev lan; same
        nflab ip -6 -br addr show lan | tr -s " "; ip link set wan up; iptables -S INPUT
        ip -6 -br addr show wan | tr -s " "; same; ip link set lan down; ip link set lan up; iptables -S OUTPUT
        ip -6 -br addr show lan | tr -s " "; same
        ip addr add 2001:db8::1/64 dev lan; ip addr del fe80::1/64 dev lan; ip addr add fe80::7/64 dev lan
        nflab ip -6 -br addr show lan | tr -s " "; same
        sysctl -qw net.ipv6.conf.wan.disable_ipv6=1; ip -6 -br addr show wan; sysctl -qw net.ipv6.conf.wan.disable_ipv6=0
        ip -6 -br addr show wan | tr -s " "; same' 2> said
        cat said"#;
    machine.both(
        script,
        "lan UNKNOWN 2001:db8::1/64 fe80::1/64 \nwan UNKNOWN 2001:db8:1::1/64 fe80::1/64 \nsame\nsame\n2\nsame\nlan UNKNOWN 2001:db8::1/64 fe80::1/64 \n-P INPUT ACCEPT\n\
         wan UNKNOWN fe80::1/64 \nsame\n-P OUTPUT ACCEPT\nlan UNKNOWN fe80::1/64 \nsame\nlan UNKNOWN 2001:db8::1/64 fe80::7/64 \nsame\nwan UNKNOWN fe80::1/64 \nsame\n",
    );
}

/// Routes that a lost address leaves are given once more, and what such a call says of a gateway that died is nobody's business: the route stands.
#[test]
fn nothing_is_said_of_routes_that_stand() {
    let machine = Machine::new();
    let script = r#""$nflab" sh -- bash -c '
        ip route add 203.0.113.0/24 nexthop via 10.0.0.7 nexthop via 192.0.2.9
        ip -6 route add 2001:db8:5::/48 nexthop via 2001:db8::7 nexthop via 2001:db8:1::9; iptables -S INPUT
        ip addr flush dev wan; nflab ip route | grep -c "nexthop"; nflab ip -6 route | grep -c "nexthop"' 2>&1"#;
    machine.both(script, "-P INPUT ACCEPT\n2\n2\n");
}

/// Where something is mounted inside a directory of the system (a `/var/log` of its own, a container's `/etc/hosts`), a user namespace may not part it
/// from that directory: what is run is contained all the same, by a user and by `import`.
#[test]
fn mounts_inside_directories_of_the_system_hinder_nothing() {
    let machine = Machine::new();
    let script = r#"
        printf '#!/bin/sh\niptables -A INPUT -s 192.0.2.1 -j DROP\n' > rules.sh; ls /var /etc > before
        "$nflab" import rules.sh 2>&1 | grep -c -e '-s 192.0.2.1/32 -j DROP' -e 'not contained'
        "$nflab" sh -- sh -c '
            ls /var /etc | diff before - && echo all there; [ -L /var/run ] && echo linked
            mkdir /var/log/made /var/lib/made /etc/made && echo 1 > /etc/made/file && cat /etc/made/file; ls /var/log
            /usr/sbin/iptables -A INPUT -j DROP; env -i /sbin/iptables -S INPUT' 2>&1
        ls -d /var/log/made /var/lib/made /etc/made 2> /dev/null; true"#;
    let expected = "1\nall there\nlinked\n1\nmade\n-P INPUT ACCEPT\n-A INPUT -j DROP\n";
    if !is_root() {
        eprintln!("!!! mounts inside directories of the system WERE NOT TESTED: only root mounts there");
        return;
    }
    for who in able() {
        let ran = machine.script_on(
            who,
            "mount -t tmpfs log /var/log; mount --bind /etc/hostname /etc/hosts;",
            script,
        );
        assert_eq!(ran.out, expected, "as {who:?} said\n{}", ran.err);
    }
}

/// A lab inside a lab: the tools of the outer are mounts, and a copy of each in memory would fill it.
#[test]
fn a_lab_inside_a_lab() {
    let script = r#"
        "$nflab" sh -- sh -c '/sbin/iptables -P INPUT DROP
            "$nflab" sh -- sh -c "/sbin/iptables -S INPUT; df -m /usr/sbin | tail -1 | awk \"{ print (\\\$3 < 64) }\""
            /sbin/iptables -S INPUT' 2>&1"#;
    Machine::new().both(script, "-P INPUT ACCEPT\n1\n-P INPUT DROP\n");
}

/// As the outer one, by all that a machine may find in it; and no deeper, which is said.
#[test]
fn a_lab_inside_a_lab_is_a_whole_one() {
    let script = r#"
        printf '#!/bin/sh\niptables -A INPUT -s 192.0.2.1 -j DROP\n' > rules.sh
        cat > inner.sh <<'S'
            sysctl -qw net.ipv4.ip_forward=0; cat /proc/sys/net/ipv4/conf/lan/forwarding
            echo 1 > /proc/sys/net/ipv4/ip_forward; sysctl net.ipv4.ip_forward; cat /proc/sys/net/ipv4/conf/lan/forwarding
            ip addr add 10.9.9.1/24 dev lan; nflab ip -4 -br addr show lan | tr -s " "; ls /sys/class/net | tr "\n" " "
            echo 5 > /proc/sys/kernel/panic; umount /usr/sbin/iptables
            "$nflab" sh -- touch ran; echo "exit $?"; ls ran
S
        "$nflab" sh -- sh -c '"$nflab" sh -- bash inner.sh 2> said; "$nflab" import rules.sh 2>&1 | grep -e "-A INPUT"; sysctl net.ipv4.ip_forward'
        grep -c -e "Read-only file system" -e "a lab inside a lab inside a lab cannot be contained" said"#;
    let expected = "0\nnet.ipv4.ip_forward = 1\n1\nlan UNKNOWN 10.0.0.1/24 10.9.9.1/24 \nlan lo wan exit 3\n\
         [0:0] -A INPUT -s 192.0.2.1/32 -j DROP\nnet.ipv4.ip_forward = 1\n2\n";
    Machine::new().both(script, expected);
}

/// Where it starts is where people work: what it writes there stays, or it is told that it does not.
#[test]
fn what_is_written_where_it_starts_stays_or_is_told_to_be_gone() {
    if !able().contains(&As::Root) {
        return;
    }
    // Directories of root's own, on a machine whose /run, /opt and /var/tmp are the test's.
    let prepared = "mount -t tmpfs none /opt; mount -t tmpfs none /run; mount -t tmpfs none /var/tmp;";
    let script = r#"
        mkdir /opt/place /run/place /var/tmp/place; work=$PWD
        for place in /opt/place /run/place /var/tmp/place "$work"; do
            cd $place; rm -f kept
            "$nflab" sh -- sh -c 'echo it > kept; cat kept' 2> "$work/said"
            echo "$(ls kept 2> /dev/null || echo gone) $(grep -c "writes to $PWD is gone when it ends" "$work/said")"
        done
        HOME=/opt/place "$nflab" sh -- true 2>&1 | cut -d' ' -f 2-9"#;
    let ran = Machine::new().script_on(As::Root, prepared, script);
    let expected = "it\ngone 1\nit\ngone 1\nit\nkept 0\nit\nkept 0\nwhat the command writes to /opt/place is gone\n";
    assert_eq!(ran.out, expected, "{}", ran.err);
}

/// A directory that was removed under the shell's feet.
#[test]
fn it_starts_in_a_directory_that_is_gone() {
    let script = r#"mkdir gone; cd gone; rmdir ../gone
        "$nflab" sh -- sh -c '/sbin/iptables -A INPUT -j DROP; /sbin/iptables -S INPUT' 2>&1 | grep -v getcwd"#;
    Machine::new().both(script, "-P INPUT ACCEPT\n-A INPUT -j DROP\n");
}

/// The kernel's time to make devices grows with the square of their number.
#[test]
fn of_very_many_interfaces_some_are_devices_and_it_is_told() {
    let script = r#"
        for i in $(seq 0 1999); do printf '[interface.i%d]\naddress = ["10.%d.%d.1/24"]\n' $i $((i / 200)) $((i % 200)); done > many.toml
        "$nflab" sh --lab many.toml -- sh -c 'ls -d /sys/class/net/i* | wc -l; iptables -A INPUT -i i1999 -j DROP; iptables -S INPUT' 2>&1 |
            sed 's/ are devices.*/ are devices/'"#;
    let expected = "nflab: of the lab's 2000 interfaces the first 1000 are devices\n1000\n-P INPUT ACCEPT\n-A INPUT -i i1999 -j DROP\n";
    Machine::new().both(script, expected);
}

/// A lab of many interfaces begins, and is spoken to, in a time that grows no faster than they are many: four times as many would take sixteen times as
/// long if each were looked for among all.
#[test]
fn many_interfaces() {
    let machine = Machine::new();
    let time_of = |interfaces: usize| {
        let last = interfaces - 1;
        let script = format!(
            r#"
        for i in $(seq 0 {last}); do printf '[interface.i%d]\naddress = ["10.%d.%d.1/24"]\n' $i $((i / 200)) $((i % 200)); done > many.toml
        "$nflab" sh --lab many.toml -- bash -c '
            ip -br link | wc -l; echo 1 > /proc/sys/net/ipv4/conf/i{last}/rp_filter; sysctl -n net.ipv4.conf.i{last}.rp_filter
            for i in $(seq 20); do iptables -A INPUT -i i$i -j DROP; done; iptables -S | wc -l'"#
        );
        let begun = std::time::Instant::now();
        machine.both(&script, &format!("{}\n1\n23\n", interfaces + 1));
        begun.elapsed()
    };
    let (few, many) = (time_of(150), time_of(600));
    assert!(many < few * 10, "{few:?} and {many:?}");
}
