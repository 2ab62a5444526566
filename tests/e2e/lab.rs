//! A live lab in a process of its own, and programs in its hosts. All of it ends with the test, however that ends.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nflab::lab::mode::{Mode, probe};

/// A client inside, a server outside, and nflab between them.
pub const ROUTER: &str = r#"[interface.lan]
address = ["10.0.0.1/24"]
[interface.wan]
address = ["192.0.2.1/24"]
[host.inside]
interface = "lan"
address = "10.0.0.2/24"
[host.outside]
interface = "wan"
address = "192.0.2.9/24"
"#;

/// A directory and a lab name of one test alone.
pub struct Scratch {
    directory: PathBuf,
    pub name: String,
}

/// A lab that is up.
pub struct Lab {
    pub scratch: Scratch,
    child: Child,
}

/// What a program left.
#[derive(Debug)]
pub struct Ran {
    /// -1 where a signal ended it, 124 where it took too long.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Scratch {
    /// `None`, after saying so, where this machine has not what the test needs.
    pub fn new(test: &str, programs: &[&str]) -> Option<Self> {
        if let Some(missing) = missing(programs) {
            // Past libtest, which keeps what a passing test prints to itself.
            let _ = writeln!(std::io::stderr(), "!!! e2e {test} WAS NOT RUN: {missing}");
            let required = ["CI", "NFLAB_REQUIRE_KERNEL"]
                .into_iter()
                .find(|name| std::env::var_os(name).is_some());
            if let Some(name) = required {
                panic!("{name} is set, and e2e {test} cannot run: {missing}");
            }
            return None;
        }
        let name = format!("e2e-{test}-{}", std::process::id());
        let directory = std::env::temp_dir().join(&name);
        fs::create_dir(&directory).unwrap();
        Some(Self { directory, name })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The binary, in this directory.
    pub fn nflab(&self, args: &[&str]) -> Ran {
        let mut command = self.command(env!("CARGO_BIN_EXE_nflab"));
        command.args(args);
        run(command, "")
    }

    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.directory)
            .env("PATH", search_path())
            .env("NFLAB", &self.name)
            .env("HOME", &self.directory);
        command
    }

    /// Starts the lab, and returns once it says that it is up.
    pub fn up(self, file: &str) -> Lab {
        let path = self.write(&format!("{}.toml", self.name), file);
        let mut command = self.command(env!("CARGO_BIN_EXE_nflab"));
        let errors = fs::File::create(self.path("up.err")).unwrap();
        let mut child = command
            .arg("up")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let lab = Lab { scratch: self, child };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).unwrap();
        let said = fs::read_to_string(lab.scratch.path("up.err")).unwrap();
        assert!(
            line.starts_with(&format!("lab {} is up", lab.scratch.name)),
            "the lab is not up: {line:?} {said}"
        );
        lab
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Lab {
    /// A tool that speaks to the lab.
    pub fn tool(&self, args: &[&str]) -> Ran {
        self.scratch.nflab(args)
    }

    /// A program in a host, until it ends.
    pub fn exec(&self, host: &str, program: &[&str]) -> Ran {
        run(self.in_host(host, program), "")
    }

    fn in_host(&self, host: &str, program: &[&str]) -> Command {
        let mut command = self.scratch.command(env!("CARGO_BIN_EXE_nflab"));
        command.args(["exec", host, "--"]).args(program);
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Ends what still runs in its hosts, too.
        let _ = self.scratch.nflab(&["down", &self.scratch.name]);
    }
}

impl Ran {
    /// What it printed; that it failed is a failure of the test.
    #[track_caller]
    pub fn good(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self.out
    }
}

/// Runs it with this input. A program that hangs is killed, so that the test tells what it was about.
pub fn run(command: Command, input: &str) -> Ran {
    let mut bounded = Command::new("timeout");
    bounded.args(["--kill-after=2", &TOO_LONG.as_secs().to_string()]);
    bounded.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        value.map(|value| bounded.env(name, value));
    }
    if let Some(directory) = command.get_current_dir() {
        bounded.current_dir(directory);
    }
    let mut child = bounded
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
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What is missing for live labs with these programs, if anything is.
fn missing(programs: &[&str]) -> Option<String> {
    match probe() {
        Mode::Root => {}
        Mode::UserNamespace => return Some("servers for several users need root here, and this is not root".into()),
        Mode::None(reason) => return Some(reason),
    }
    let path = search_path();
    let is_missing = |program: &&&str| !std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    let missing: Vec<&str> = programs.iter().filter(is_missing).copied().collect();
    (!missing.is_empty()).then(|| format!("not installed: {} (tests/run installs them)", missing.join(", ")))
}

/// Servers lie where a user's search path doesn't lead.
fn search_path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// How long a program may take: less than the minute that a test has.
const TOO_LONG: Duration = Duration::from_secs(50);
