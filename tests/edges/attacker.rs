//! What somebody who means harm tries from inside `nflab sh`, as root and as a user: nothing of the machine is in reach. What an attack would do
//! does no harm where it works, as it may reach the machine that this test runs on.

use crate::containment::{Machine, able};

/// Succeeds where the attack does.
struct Attack {
    name: &'static str,
    script: &'static str,
}

const fn attack(name: &'static str, script: &'static str) -> Attack {
    Attack { name, script }
}

/// Each runs with a directory of its own, `$d`, and an empty one in it, `m`.
const ATTACKS: &[Attack] = &[
    attack("a disk's node is made", "mknod $d/disk b 7 0"),
    attack("a node that was there is opened", "[ -b /opt/node ] && cat /opt/node"),
    attack("a disk is mounted", "mount /opt/node $d/m"),
    attack(
        "a file system in a file is mounted",
        "mount -t ext4 -o loop /opt/image $d/m",
    ),
    attack("a look below what lies over the system", "mount --bind / $d/m"),
    attack("a cover is taken away", "umount -l /opt && [ -e /opt/below ]"),
    attack("a tool is uncovered", "umount -l /usr/sbin/iptables"),
    attack(
        "the machine's /run is uncovered",
        "umount -l /run || umount -l /run/nflab-contained",
    ),
    attack(
        "covers are taken away in another namespace",
        "unshare -m umount -l /opt",
    ),
    attack(
        "a switch of the kernel in another /proc",
        "unshare -p --fork sh -c 'mount -t proc p $0/m && cat $0/m/sys/kernel/core_pattern > $0/m/sys/kernel/core_pattern' $d",
    ),
    attack(
        "a switch of the kernel in this /proc",
        "mount -o remount,rw,bind /proc/sys; cat /proc/sys/kernel/core_pattern > /proc/sys/kernel/core_pattern",
    ),
    attack(
        "a switch of the kernel in a /proc that is kept",
        "for it in /run/nflab-contained/whole/proc; do mount -o remount,rw,bind $it; cat $it/sys/vm/swappiness > $it/sys/vm/swappiness; done",
    ),
    attack("the system's request key", "echo h > /proc/sysrq-trigger"),
    attack(
        "a switch in another /sys",
        "mount -t sysfs s $d/m && cat $d/m/kernel/mm/ksm/run > $d/m/kernel/mm/ksm/run",
    ),
    attack(
        "a switch in this /sys",
        "mount -o remount,rw,bind /sys; cat /sys/kernel/mm/ksm/run > /sys/kernel/mm/ksm/run",
    ),
    attack("a cgroup namespace", "unshare -C true"),
    attack(
        "the cgroups",
        "mount -t cgroup2 c $d/m || mount -t cgroup -o memory c $d/m",
    ),
    attack(
        "the kernel's debug files",
        "mount -t debugfs d $d/m || mount -t tracefs d $d/m || mount -t securityfs d $d/m",
    ),
    attack("the machine's devices", "mount -t devtmpfs d $d/m"),
    attack("a file by its handle", "by_handle"),
    attack(
        "the clock",
        "python3 -c 'import time; time.clock_settime(time.CLOCK_REALTIME, time.time())'",
    ),
    // LINUX_REBOOT_CMD_CAD_OFF
    attack(
        "what a reboot takes",
        "python3 -c 'import ctypes; exit(ctypes.CDLL(None).reboot(0) != 0)'",
    ),
    attack(
        "a module",
        "python3 -c 'import ctypes; exit(ctypes.CDLL(None).syscall(175, b\"\", 0, b\"\") != 0)'",
    ),
    attack(
        "the kernel's log",
        "python3 -c 'import ctypes; exit(ctypes.CDLL(None).klogctl(10, None, 0) < 0)' || cat /dev/kmsg /proc/kmsg",
    ),
    attack(
        "swap",
        "truncate -s 64k $d/swap; chmod 600 $d/swap; mkswap $d/swap && swapon $d/swap",
    ),
    attack("the key of who started it", "keys"),
    attack("a terminal is typed into", "typed"),
    attack(
        "a socket to the machine's host",
        "python3 -c 'import socket; socket.socket(socket.AF_VSOCK)'",
    ),
    attack(
        "the processes outside are seen",
        "[ -e /proc/$outside/stat ] && grep -q outside-of-it /proc/$outside/cmdline",
    ),
    attack("a process outside is ended", "kill -9 $outside"),
    attack("the names of the machine", "hostname $d; false"),
];

#[test]
fn nothing_of_the_machine_is_in_reach() {
    let machine = Machine::new();
    let mut attacks = ATTACKS_SET_UP.to_owned();
    for Attack { name, script } in ATTACKS {
        attacks += &format!(
            "d=$(mktemp -d); mkdir $d/m; export d\nif ({script}) > said 2>&1; then echo \"TAKEN: {name}\"; cat said; fi\n"
        );
    }
    attacks += "echo all tried\n";
    let script = format!("cat > attacks.sh <<'ATTACKS'\n{attacks}ATTACKS\n{AROUND}");
    for who in able() {
        // The machine's root made all this; a user has no more of it than anybody.
        let prepared = if rustix::process::geteuid().is_root() {
            PREPARED
        } else {
            ""
        };
        let ran = machine.script_on(who, prepared, &script);
        assert_eq!(ran.out, "all tried\nuntouched\n", "as {who:?}: {}", ran.err);
    }
}

/// Somebody listens at a socket in a directory of the system; in which something is mounted, so that a user's view of it is put together.
const PREPARED: &str = "mount -t tmpfs -o mode=1777 opt /opt; echo canary > /opt/below; truncate -s 1M /opt/image; mknod -m 666 /opt/node b 7 250
    mkdir /opt/inner; mount -t tmpfs inner /opt/inner
    setpriv --reuid=65534 --pdeathsig KILL python3 -c '
import os, socket, time
own = socket.socket(socket.AF_UNIX); own.bind(\"/opt/socket\"); os.chmod(\"/opt/socket\", 0o666); own.listen(); time.sleep(60)' &
    until [ -S /opt/socket ]; do sleep 0.01; done;";

/// `keys`: the key that was put into the session is found. `typed`: a character comes back as if somebody had typed it. `by_handle`: the machine's
/// root directory is opened, by its number.
const ATTACKS_SET_UP: &str = r#"
keys() { python3 -c '
import ctypes
libc = ctypes.CDLL(None)
exit(libc.syscall(250, 10, -3, b"user", b"nflab-test", 0) < 0)'; }
typed() { python3 -c '
import fcntl, os, pty
main, terminal = pty.openpty()
pid = os.fork()
if pid == 0:
    os.setsid(); fcntl.ioctl(terminal, 0x540E, 0)
    try: fcntl.ioctl(terminal, 0x5412, b"x"); os._exit(0)
    except OSError as error: os._exit(0 if error.errno != 1 else 1)
exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))'; }
by_handle() { python3 -c '
import ctypes, os, struct, sys
root = os.open("/", os.O_RDONLY)
handle = ctypes.create_string_buffer(struct.pack("=IiII", 8, 1, 2, 0) + bytes(16))
exit(ctypes.CDLL(None).syscall(304, root, handle, 0) < 0)'; }
"#;

const AROUND: &str = r#"
    state() { uname -n; cat /proc/sys/kernel/core_pattern /proc/self/cgroup; ls -a /opt; grep -c . /proc/self/mountinfo; ls -d /dev/sd* /dev/vd* 2> /dev/null; }
    before=$(state)
    sleep 4731 & export outside=$!
    python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.syscall(250, 1, None)
libc.syscall(248, b"user", b"nflab-test", b"secret", 6, -3)
os.execv(os.environ["nflab"], ["nflab", "sh", "--", "bash", "attacks.sh"])'
    kill $outside && { [ "$before" = "$(state)" ] && echo untouched || diff <(echo "$before") <(state); }
"#;

/// A program of 32 bits could make calls that nobody looks at: here it asks for its own number, which takes no right.
#[test]
fn a_strangers_script_has_no_other_machines_calls() {
    let script = r#"
        cat > ask.py <<'P'
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=7); code.write(b"\xb8\x14\0\0\0\xcd\x80\xc3")
print("answered", ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))() > 0)
P
        { printf '#!/bin/sh\niptables -A INPUT -j DROP\npython3 - <<P\n'; cat ask.py; echo P; } > rules.sh
        /usr/bin/python3 ask.py 2> /dev/null | grep -q True || echo "no such calls here"
        PATH=/usr/bin:$PATH "$nflab" import --allow python3 rules.sh 2>&1 | grep -o "answered .*""#;
    let machine = Machine::new();
    for who in able() {
        let ran = machine.script_on(who, "", script);
        if ran.out.starts_with("no such calls here") {
            eprintln!("!!! 32-bit calls WERE NOT TRIED as {who:?}: this machine has none");
            continue;
        }
        assert_eq!(ran.out, "answered False\n", "as {who:?}: {}", ran.err);
    }
}
