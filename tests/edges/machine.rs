//! A machine to try things on: namespaces of its own, `/run` and `/tmp` empty, `/dev/net/tun` open to everybody, and the binary where
//! every user finds it. It ends with all that runs in it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::bench::{Bench, Ran, run};

pub(crate) const LAB: &str = r#"[interface.lan]
address = ["10.0.0.1/24"]
[interface.wan]
address = ["192.0.2.1/24"]
[interface.spare]
address = ["10.9.0.1/24"]
[host.client]
interface = "lan"
address = "10.0.0.2/24"
[host.server]
interface = "wan"
address = "192.0.2.9/24"
"#;

pub(crate) struct Machine {
    holder: Child,
    /// Its first process, by which one enters.
    inside: u32,
    outputs: Bench,
}

/// Who calls: root, or a user without any group, and with only this in the environment.
#[derive(Clone, Copy)]
pub(crate) struct User {
    pub number: u32,
    pub environment: &'static [&'static str],
}

pub(crate) const ROOT: User = User {
    number: 0,
    environment: &[],
};
pub(crate) const NOBODY: User = User {
    number: 65_534,
    environment: &["XDG_RUNTIME_DIR=/run/user/65534"],
};
/// Who may have a lab, and where theirs is.
pub(crate) const USERS: [(User, &str); 2] = [(ROOT, "/run/nflab"), (NOBODY, "/run/user/65534/nflab")];
pub(crate) const STRANGER: User = User {
    number: 65_533,
    environment: &["XDG_RUNTIME_DIR=/run/user/65533"],
};

/// A packet from the client to the server, and its answer.
pub(crate) const PING: [&str; 11] = [
    "nflab",
    "exec",
    "client",
    "--",
    "ping",
    "-n",
    "-c",
    "1",
    "-W",
    "2",
    "192.0.2.9",
];

impl Machine {
    /// `None`, after saying so, where no such machine can be made.
    pub(crate) fn new(test: &str) -> Option<Self> {
        Self::with(&[], test)
    }

    /// The same, also where one of these programs is not installed.
    pub(crate) fn with(programs: &[&str], test: &str) -> Option<Self> {
        match Self::make(programs) {
            Ok(machine) => Some(machine),
            Err(why) => {
                let _ = writeln!(std::io::stderr(), "!!! {test} WAS NOT RUN: {why}");
                assert!(
                    std::env::var_os("NFLAB_REQUIRE_KERNEL").is_none() && std::env::var_os("CI").is_none(),
                    "{test} has to run, and cannot: {why}"
                );
                None
            }
        }
    }

    fn make(programs: &[&str]) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("it needs root, to have several users".into());
        }
        for program in ["unshare", "nsenter", "setpriv", "python3"].iter().chain(programs) {
            let there = ["/usr/bin", "/bin", "/usr/sbin"].map(|directory| Path::new(directory).join(program).exists());
            if !there.contains(&true) {
                return Err(format!("not installed: {program}"));
            }
        }
        let mut holder = Command::new("unshare")
            .args(["-n", "-m", "-p", "-i", "-u", "--fork", "--kill-child", "--mount-proc"])
            .args(["--propagation", "private", "sh", "-ec", SET_UP])
            .env("BINARY", env!("CARGO_BIN_EXE_nflab"))
            .env("LAB", LAB)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let children = format!("/proc/{0}/task/{0}/children", holder.id());
        let inside = fs::read_to_string(children).unwrap_or_default().trim().parse();
        match (line.as_str(), inside) {
            ("ready\n", Ok(inside)) => Ok(Self {
                holder,
                inside,
                outputs: Bench::new(),
            }),
            _ => {
                let _ = holder.kill();
                let _ = holder.wait();
                Err("no namespaces of its own, or no TUN in them".into())
            }
        }
    }

    /// A program on the machine, in `/tmp`.
    pub(crate) fn command(&self, user: User, program: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["-t", &self.inside.to_string(), "-n", "-m", "-p", "-i", "-u"])
            .args([
                "setpriv",
                &format!("--reuid={}", user.number),
                &format!("--regid={}", user.number),
            ])
            .args([
                "--clear-groups",
                "env",
                "--chdir=/tmp",
                "-i",
                "PATH=/run/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            ])
            .args(user.environment)
            .args(program)
            .stdin(Stdio::null());
        command
    }

    /// Starts it; what it prints goes to a file, which is the answer. It ends with the machine.
    pub(crate) fn start(&self, user: User, program: &[&str]) -> (Child, PathBuf) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.outputs.path(&format!("output-{number}"));
        let output = fs::File::create(&path).unwrap();
        let errors = output.try_clone().unwrap();
        let child = self
            .command(user, program)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap();
        (child, path)
    }

    /// Runs it to its end; what hangs is ended, with 124.
    pub(crate) fn run(&self, user: User, program: &[&str]) -> Ran {
        let bounded = ["timeout", "--kill-after=2", "40"];
        run(self.command(user, &[&bounded[..], program].concat()), "")
    }

    /// Runs it, and its success is what is expected.
    #[track_caller]
    pub(crate) fn good(&self, user: User, program: &[&str]) -> String {
        let ran = self.run(user, program);
        assert_eq!(ran.code, 0, "{program:?}: {}{}", ran.out, ran.err);
        ran.out
    }

    #[track_caller]
    pub(crate) fn shell(&self, user: User, script: &str) -> String {
        self.good(user, &["sh", "-ec", script])
    }

    /// A file that everybody may read.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let command = self.command(ROOT, &["sh", "-ec", &format!("cat > {path}; chmod 644 {path}")]);
        assert_eq!(run(command, text).code, 0, "{path}");
    }

    /// Brings `/run/lab.toml` up.
    #[track_caller]
    pub(crate) fn up(&self, user: User) {
        let up = self.run(user, &["nflab", "up", "--detach", "/run/lab.toml"]);
        assert_eq!((up.code, up.err.as_str()), (0, ""), "{}", up.out);
    }

    /// A field of the lab's state, as a JSON pointer.
    pub(crate) fn state(&self, place: &str, pointer: &str) -> serde_json::Value {
        let text = self.shell(ROOT, &format!("cat {place}/lab/state.json"));
        let state: serde_json::Value = serde_json::from_str(&text).unwrap();
        state.pointer(pointer).cloned().unwrap_or_default()
    }

    /// What of labs is on the machine: namespaces, mounts, devices, places and processes that live.
    pub(crate) fn left(&self) -> String {
        self.shell(
            ROOT,
            "[ ! -d /run/netns ] || ls -A /run/netns
             for place in /run/nflab /run/user /tmp; do [ ! -d $place ] || find $place -ignore_readdir_race -mindepth 1 -path '*nflab*'; done
             sed -n '/\\/netns\\//p' /proc/mounts
             ls /sys/class/net /proc/sys/net/ipv4/conf | sed -n -E '/^(lan|wan|spare)$/p'
             ps -e -o stat=,pid=,args= | sed -n -E '/^Z|sed|timeout/d; /(nflab|\\/run\\/bin\\/nfla[b]) /p'",
        )
    }

    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        wait_until("nothing of a lab is left", || self.left(), String::is_empty);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Looks again and again, for ten seconds at most.
#[track_caller]
pub(crate) fn wait_until<T: std::fmt::Debug>(what: &str, mut look: impl FnMut() -> T, good: impl Fn(&T) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let seen = look();
        if good(&seen) {
            return;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}: {seen:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

const SET_UP: &str = r#"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/bin /run/user
for user in 65533 65534; do mkdir -m 700 /run/user/$user; chown $user:$user /run/user/$user; done
touch /run/bin/nflab
mount --bind "$BINARY" /run/bin/nflab
printf %s "$LAB" > /run/lab.toml
mkdir -p /dev/net
mount -t tmpfs -o mode=755,dev tmpfs /dev/net
mknod -m 666 /dev/net/tun c 10 200
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t sysfs sysfs /sys
ip link set lo up
cd /tmp
echo ready
exec sleep 1200
"#;
