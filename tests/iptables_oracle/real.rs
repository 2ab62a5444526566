//! The real tools, each scenario in namespaces of its own that end with the thread in them.

use super::{Seen, Step, Tool};

/// Why there is nothing to compare with, if so.
#[cfg(not(target_os = "linux"))]
pub fn available() -> Result<(), String> {
    Err("this is not Linux".to_owned())
}

#[cfg(not(target_os = "linux"))]
pub fn run(_: &[Step]) -> Vec<Seen> {
    Vec::new()
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{available, run};

/// As Debian's installer writes it.
#[cfg(target_os = "linux")]
const HOSTS: &str =
    "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n";

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{Seek as _, Write as _};
    use std::os::unix::process::CommandExt as _;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use nflab::base::Family;
    use nflab::base::bytes::{bytes_of, os_of, text_of};
    use nflab::device::syscall::{Namespaces, unshare};
    use rustix::fs::{MemfdFlags, memfd_create};
    use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};

    use super::{Seen, Step, Tool};

    /// Why there is nothing to compare with, if so. Asked once.
    pub(crate) fn available() -> Result<(), String> {
        static AVAILABLE: OnceLock<Result<(), String>> = OnceLock::new();
        AVAILABLE.get_or_init(look).clone()
    }

    fn look() -> Result<(), String> {
        for (tool, wanted) in [
            (Tool::Iptables(Family::V4), "iptables v1.8.9 (legacy)"),
            (Tool::Iptables(Family::V6), "ip6tables v1.8.9 (legacy)"),
            (Tool::Conntrack, "conntrack v1.4.7 (conntrack-tools)"),
            (Tool::Sysctl, "sysctl from procps-ng 4.0.2"),
        ] {
            let version = Command::new(tool.path()).arg("-V").output();
            let version = version.map_err(|error| format!("{}: {error}", tool.path()))?;
            let version = String::from_utf8_lossy(&version.stdout);
            if !version.trim().ends_with(wanted.trim_start_matches("sysctl ")) {
                return Err(format!("this is {:?}, not {wanted:?}", version.trim()));
            }
        }
        // It tells its version in no other way.
        let version = Command::new(Tool::Nfct.path()).args(["list", "version"]).output();
        let version = version.map_err(|error| format!("{}: {error}", Tool::Nfct.path()))?;
        if !version.stdout.starts_with(b"nfct v1.4.7") {
            return Err("this is not nfct v1.4.7".to_owned());
        }
        let seen = in_namespace(false, || {
            vec![one(&super::super::step("-S"), "", Path::new("/dev/null"))]
        })?;
        match &seen[0] {
            Seen { code: 0, .. } => Ok(()),
            Seen { err, .. } => Err(err.trim().to_owned()),
        }
    }

    /// Runs the steps one after the other in one fresh namespace.
    pub(crate) fn run(steps: &[Step]) -> Vec<Seen> {
        let lock = Lock::new();
        let mut saved = String::new();
        let run = || {
            let mut all = Vec::new();
            for step in steps {
                let mut seen = one(step, &saved, &lock.0);
                seen.out = undated(&seen.out);
                if let Tool::Save(_) = step.tool {
                    saved.clone_from(&seen.out);
                }
                all.push(seen);
            }
            all
        };
        let hosts = steps.iter().any(|step| step.tool.family() == Some(Family::V6));
        in_namespace(hosts, run).expect("a network namespace, as before")
    }

    /// A namespace belongs to a thread: it is gone when the thread ends, whatever happened in it.
    fn in_namespace(every_debians_hosts: bool, work: impl FnOnce() -> Vec<Seen> + Send) -> Result<Vec<Seen>, String> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let unshare = |what| unshare(what).map_err(|error| format!("unshare: {error}"));
                unshare(Namespaces::Network)?;
                unshare(Namespaces::Mount)?;
                every_debians_users()?;
                if every_debians_hosts {
                    name_hosts_of_both_families()?;
                }
                Ok(work())
            });
            thread.join().expect("the steps run")
        })
    }

    /// `-m owner` knows users and groups by their names: those of every Debian, as a lab does, and none that this machine has besides.
    fn every_debians_users() -> Result<(), String> {
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).map_err(|error| format!("mounts of one's own: {error}"))?;
        for (known, file) in [("passwd", "/etc/passwd"), ("group", "/etc/group")] {
            let known = format!("/usr/share/base-passwd/{known}.master");
            mount_bind(&known, file).map_err(|error| format!("{known} as {file}: {error}"))?;
        }
        Ok(())
    }

    /// What a lab names: of IPv4 alone every machine has that, and the C library finds `localhost` of IPv4 twice where IPv6 has the name, too.
    fn name_hosts_of_both_families() -> Result<(), String> {
        let hosts = Lock::new();
        std::fs::write(&hosts.0, super::HOSTS).map_err(|error| error.to_string())?;
        mount_bind(&hosts.0, "/etc/hosts").map_err(|error| format!("/etc/hosts: {error}"))
    }

    /// Namespaces share the tools' lock, which would make scenarios side by side fail of each other; so each brings a file of its own.
    struct Lock(PathBuf);

    impl Lock {
        fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            Self(std::env::temp_dir().join(format!("nflab-oracle-{}-{count}.lock", std::process::id())))
        }
    }

    impl Drop for Lock {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn one(step: &Step, saved: &str, lock: &Path) -> Seen {
        let output = Command::new(step.tool.path())
            .arg0(step.tool.called())
            .args(step.arguments.iter().map(|word| os_of(word)))
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .env("XTABLES_LOCKFILE", lock)
            .stdin(input(step.input(saved)))
            .output()
            .expect("the tool runs");
        Seen {
            // A tool that died of a signal (the real ones do, now and then) has no code.
            code: output.status.code().unwrap_or(-1),
            out: text_of(&output.stdout),
            err: text_of(&output.stderr),
        }
    }

    fn input(text: &str) -> Stdio {
        if text.is_empty() {
            return Stdio::null();
        }
        let mut file = File::from(memfd_create("input", MemfdFlags::CLOEXEC).expect("memory for the input"));
        file.write_all(&bytes_of(text)).expect("memory for the input");
        file.rewind().expect("memory can be rewound");
        file.into()
    }

    /// Without the moment at which it was saved.
    fn undated(text: &str) -> String {
        let mut out = String::new();
        for line in text.split_inclusive('\n') {
            match line.split_once(" on ") {
                Some((head, _)) if head.starts_with("# Generated by") || head == "# Completed" => {
                    out.push_str(head);
                    out.push('\n');
                }
                _ => out.push_str(line),
            }
        }
        out
    }
}
