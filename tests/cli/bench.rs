//! What every test here needs: a directory of its own, and the binary with nobody else's lab in its way.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) const LAB: &str = r#"[sysctl]
"net.netfilter.nf_conntrack_udp_timeout" = 40
[interface.lan]
address = ["10.0.0.1/24"]
[interface.wan]
address = ["192.0.2.1/24"]
[[route]]
to = "default"
via = "192.0.2.254"
"#;

/// A directory that goes with the test.
pub(crate) struct Bench(PathBuf);

/// What a call of the binary left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "nflab-cli-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(path.join("run")).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Calls the binary in this directory, with this text as its input.
    pub(crate) fn nflab_with(&self, input: &str, args: &[&str]) -> Ran {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_nflab")));
        command.args(args);
        run(command, input)
    }

    pub(crate) fn nflab(&self, args: &[&str]) -> Ran {
        self.nflab_with("", args)
    }

    /// Any program, with an environment in which no lab runs. Root's labs are found wherever `XDG_RUNTIME_DIR` points, so `NFLAB` has to name
    /// nobody: else a test speaks to the lab that somebody else runs on this machine, and changes it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.0)
            .env("NFLAB", self.path("run/nobody"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("HOME", &self.0)
            .env("TMPDIR", &self.0);
        command
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn run(mut command: Command, input: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that doesn't read may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
