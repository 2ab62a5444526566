//! A lab brought up for a test, its hosts' programs, and its end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Whether a test can run here. Says what is missing; under `NFLAB_REQUIRE_KERNEL` that is a failure.
pub fn can_run(test: &str, programs: &[&str]) -> bool {
    let mut missing: Vec<String> = programs
        .iter()
        .filter(|program| !installed(program))
        .map(|program| format!("{program} is not installed"))
        .collect();
    if !rustix::process::geteuid().is_root() {
        missing.push("it needs root".to_owned());
    }
    if fs::metadata("/dev/net/tun").is_err() {
        missing.push("there is no /dev/net/tun".to_owned());
    }
    if missing.is_empty() {
        return true;
    }
    let why = missing.join(", ");
    assert!(
        std::env::var_os("NFLAB_REQUIRE_KERNEL").is_none(),
        "{test} cannot run: {why}; tests/run installs what is missing"
    );
    eprintln!(
        "!!! {test} WAS NOT RUN: {why}. Under NFLAB_REQUIRE_KERNEL this is a failure; tests/run installs what is missing."
    );
    false
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}

/// A directory, a lab name and later the lab itself; all of it goes with the test.
pub struct Lab {
    pub directory: PathBuf,
    pub name: String,
    child: Option<Child>,
}

pub const BIN: &str = env!("CARGO_BIN_EXE_nflab");

/// A client on `lan`, a server on `wan`, and the router between.
pub const TWO_HOSTS: &str = r#"[interface.lan]
address = "10.0.0.1/24"
[interface.wan]
address = "192.0.2.1/24"
[host.client]
interface = "lan"
address = "10.0.0.2/24"
[host.server]
interface = "wan"
address = "192.0.2.9/24"
"#;

impl Lab {
    /// Not up yet.
    pub fn new(text: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("e2e{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(format!("nflab-{name}"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{name}.toml")), text).unwrap();
        Self {
            directory,
            name,
            child: None,
        }
    }

    /// With these rules in force.
    pub fn up(text: &str, rules: &str) -> Self {
        let mut lab = Self::new(text);
        lab.start();
        assert_eq!(lab.tool(&["modprobe", "nf_conntrack_ftp"]).code, 0);
        let file = lab.directory.join("rules.v4");
        fs::write(&file, rules).unwrap();
        let restored = lab.tool(&["iptables-restore", file.to_str().unwrap()]);
        assert_eq!(restored.code, 0, "{}", restored.err);
        lab
    }

    pub fn file(&self) -> PathBuf {
        self.directory.join(format!("{}.toml", self.name))
    }

    /// `nflab up`, until it says that it is up.
    pub fn start(&mut self) {
        let mut child = Command::new(BIN)
            .arg("up")
            .arg(self.file())
            .env_remove("NFLAB")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        if !line.starts_with(&format!("lab {} is up", self.name)) {
            let output = child.wait_with_output().unwrap();
            panic!(
                "the lab did not come up: {line}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        self.child = Some(child);
    }

    /// The binary, in this lab.
    pub fn nflab(&self) -> Command {
        let mut command = Command::new(BIN);
        command.env("NFLAB", &self.name).stdin(Stdio::null());
        command
    }

    pub fn tool(&self, args: &[&str]) -> Ran {
        Ran::of(self.nflab().args(args).output().unwrap())
    }

    /// Runs a program in a host, at most so many seconds.
    pub fn exec(&self, host: &str, seconds: u32, command: &[&str]) -> Ran {
        let limit = seconds.to_string();
        let mut all = vec!["exec", host, "--", "timeout", &limit];
        all.extend(command);
        self.tool(&all)
    }

    /// Starts a program in a host; it ends with what is returned.
    pub fn spawn(&self, host: &str, command: &[&str]) -> Server {
        let mut all = vec!["exec", host, "--"];
        all.extend(command);
        let log = fs::File::create(self.directory.join(format!("{}.log", host))).unwrap();
        let child = self
            .nflab()
            .args(&all)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Server(child)
    }

    /// Waits until something listens on this port in a host.
    pub fn wait_for_port(&self, host: &str, port: u16) {
        let wanted = format!(":{port} ");
        eventually("a server that listens", || {
            self.exec(host, 5, &["ss", "-Htln"]).out.contains(&wanted)
        });
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = self.child.as_ref().expect("it was started").id() as i32;
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits for `nflab up` to end.
    pub fn ended(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("it was started");
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the lab does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.signal(rustix::process::Signal::INT);
            let _ = self.child.take().map(|mut child| child.wait());
        }
        let _ = Command::new(BIN).args(["down", &self.name]).output();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A program in a host.
pub struct Server(Child);

impl Server {
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a program left.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

pub fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub fn sha256(path: &Path) -> String {
    let ran = Ran::of(Command::new("sha256sum").arg(path).output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out.split_whitespace().next().unwrap().to_owned()
}
