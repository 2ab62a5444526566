//! A live lab in a process of its own, and programs in its hosts. All of it ends with the test, however that ends.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use nflab::live::mode::{Mode, probe};

/// A client inside, a server outside, and nflab between them.
pub(crate) const ROUTER: &str = r#"[interface.lan]
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

/// The same in both families.
pub(crate) const BOTH_FAMILIES: &str = r#"[interface.lan]
address = ["10.0.0.1/24", "2001:db8::1/64"]
[interface.wan]
address = ["192.0.2.1/24", "2001:db8:1::1/64"]
[host.inside]
interface = "lan"
address = ["10.0.0.2/24", "2001:db8::2/64"]
[host.outside]
interface = "wan"
address = ["192.0.2.9/24", "2001:db8:1::9/64"]
"#;

/// What the hosts inside may ask for outside, behind a router that masquerades and lets in nothing but what belongs to it.
pub(crate) struct Service {
    pub protocol: &'static str,
    pub port: u16,
    pub helper: &'static str,
    /// What becomes of a packet to the router itself: the policy of INPUT.
    pub to_router: &'static str,
}

/// The rule that only a helper makes any packet meet.
pub(crate) const RELATED: &str = "-A FORWARD -m conntrack --ctstate RELATED -j ACCEPT";

impl Service {
    pub(crate) fn rules(&self) -> String {
        let Self {
            protocol,
            port,
            to_router,
            ..
        } = self;
        format!(
            "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n*filter\n:INPUT {to_router} [0:0]\n:FORWARD DROP [0:0]\n{RELATED}\n\
             -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n\
             -A FORWARD -i lan -o wan -p {protocol} -m {protocol} --dport {port} -m state --state NEW -j ACCEPT\nCOMMIT\n"
        )
    }

    pub(crate) fn rules_with_helper(&self) -> String {
        let Self {
            protocol, port, helper, ..
        } = self;
        let attached =
            format!("-A PREROUTING -i lan -p {protocol} -m {protocol} --dport {port} -j CT --helper {helper}");
        format!("*raw\n{attached}\nCOMMIT\n{}", self.rules())
    }
}

/// A directory and a lab name of one test alone.
pub(crate) struct Scratch {
    directory: PathBuf,
    pub name: String,
}

/// A lab that is up.
pub(crate) struct Lab {
    pub scratch: Scratch,
    process: Process,
    /// Holds the network namespace that the lab was started in: a lab makes devices there, too, and this machine's is not the place for them.
    home: Process,
}

/// The rules of one family in a lab.
pub(crate) struct Rules<'a> {
    lab: &'a Lab,
    tool: &'static str,
}

/// A program that runs until the test ends it.
pub(crate) struct Process(Child);

/// Where a server waits for its clients.
#[derive(Clone, Copy)]
pub(crate) enum Waits {
    Tcp(SocketAddrV4),
    Udp(SocketAddrV4),
    /// TCP at a port of every address, by IPv6.
    Tcp6(u16),
    /// At a raw socket of the protocol of this number.
    Raw(u8),
}

/// What a program left.
#[derive(Debug)]
pub(crate) struct Ran {
    /// -1 where a signal ended it, 124 where it took too long.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Scratch {
    /// `None`, after saying so, where this machine has not what the test needs.
    pub(crate) fn new(test: &str, programs: &[&str]) -> Option<Self> {
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

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The binary, in this directory.
    pub(crate) fn nflab(&self, args: &[&str]) -> Ran {
        let mut command = self.command(env!("CARGO_BIN_EXE_nflab"));
        command.args(args);
        run(command, "")
    }

    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.directory)
            .env("PATH", search_path())
            .env("NFLAB", &self.name)
            .env("HOME", &self.directory);
        command
    }

    /// Starts the lab, and returns once it says that it is up.
    pub(crate) fn up(self, file: &str) -> Lab {
        self.up_with(file, &[])
    }

    /// The same with options.
    pub(crate) fn up_with(self, file: &str, options: &[&str]) -> Lab {
        let path = self.write(&format!("{}.toml", self.name), file);
        let home = Process(self.command("unshare").args(["--net", "sleep", "600"]).spawn().unwrap());
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        wait_until("a namespace for the lab", || {
            namespace(&home.id().to_string()) != namespace("self")
        });
        let mut command = self.command("nsenter");
        let errors = fs::File::create(self.path("up.err")).unwrap();
        let mut child = command
            .arg(format!("--net=/proc/{}/ns/net", home.id()))
            .args([env!("CARGO_BIN_EXE_nflab"), "up"])
            .arg(path)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let process = Process(child);
        let lab = Lab {
            scratch: self,
            process,
            home,
        };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).unwrap();
        assert!(
            line.starts_with(&format!("lab {} is up", lab.scratch.name)),
            "the lab is not up: {line:?} {}",
            lab.errors()
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
    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.process.ended()
    }

    /// What it wrote to standard error.
    pub(crate) fn errors(&self) -> String {
        fs::read_to_string(self.scratch.path("up.err")).unwrap()
    }

    /// The devices of the namespace that the lab was started in.
    pub(crate) fn devices(&self) -> String {
        fs::read_to_string(format!("/proc/{}/net/dev", self.home.id())).unwrap()
    }

    /// A program in a host, which goes on.
    pub(crate) fn start(&self, host: &str, program: &[&str]) -> Process {
        Process(self.in_host(host, program).stdin(Stdio::null()).spawn().unwrap())
    }

    /// A tool that speaks to the lab.
    pub(crate) fn tool(&self, args: &[&str]) -> Ran {
        self.scratch.nflab(args)
    }

    /// The rules that this tool is for: `iptables` or `ip6tables`.
    pub(crate) fn rules(&self, tool: &'static str) -> Rules<'_> {
        Rules { lab: self, tool }
    }

    /// Sets all rules of IPv4, as from a file.
    pub(crate) fn restore(&self, rules: &str) -> Ran {
        self.rules("iptables").restore(rules)
    }

    /// `iptables-save -c` without its times.
    pub(crate) fn saved(&self) -> String {
        self.rules("iptables").saved()
    }

    /// Packets that the rule of IPv4 has seen.
    #[track_caller]
    pub(crate) fn packets(&self, rule: &str) -> u64 {
        self.rules("iptables").packets(rule)
    }

    /// Packets that met a policy of DROP of IPv4's filter table.
    #[track_caller]
    pub(crate) fn policy_drops(&self, chain: &str) -> u64 {
        self.rules("iptables").policy_drops(chain)
    }

    /// A program in a host, until it ends.
    pub(crate) fn exec(&self, host: &str, program: &[&str]) -> Ran {
        run(self.in_host(host, program), "")
    }

    /// The same for one that writes out what comes back of its input, which ends once the last line of it is back (or the program has ended): a
    /// server may have nothing to answer any more to a client that has begun to hang up.
    pub(crate) fn echoed(&self, host: &str, program: &[&str], input: &str) -> Ran {
        let mut child = bounded(&self.in_host(host, program)).spawn().unwrap();
        let mut into = child.stdin.take().unwrap();
        let out = child.stdout.take().unwrap();
        let (back, last_is_back) = mpsc::channel();
        let written = thread::scope(|scope| {
            scope.spawn(move || {
                // A program that doesn't read may be gone already.
                let _ = into.write_all(input.as_bytes());
                let _ = last_is_back.recv();
            });
            // It goes at the end of this reading, and with it who waits for it.
            let back = back;
            let mut lines = Vec::new();
            for line in BufReader::new(out).lines() {
                let line = line.unwrap();
                if input.lines().next_back() == Some(line.as_str()) {
                    let _ = back.send(());
                }
                lines.push(line + "\n");
            }
            lines.concat()
        });
        let ran = ended(child);
        Ran { out: written, ..ran }
    }

    /// A server in a host, once it waits for clients there. Its own messages go into `NAME-HOST.log`.
    pub(crate) fn serve(&self, host: &str, program: &[&str], at: Waits) -> Process {
        let name = Path::new(program[0]).file_name().unwrap().display();
        let log = self.scratch.path(&format!("{name}-{host}.log"));
        let file = fs::File::create(&log).unwrap();
        let child = self
            .in_host(host, program)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut server = Process(child);
        // `exec` becomes the program, so that the process in the host bears the child's number.
        let (table, listening) = at.line();
        let table = format!("/proc/{}/net/{table}", server.0.id());
        wait_until(&format!("{name} waits for clients"), || {
            if let Some(status) = server.0.try_wait().unwrap() {
                panic!("{program:?} ended: {status}\n{}", fs::read_to_string(&log).unwrap());
            }
            fs::read_to_string(&table).is_ok_and(|table| table.contains(&listening))
        });
        server
    }

    pub(crate) fn in_host(&self, host: &str, program: &[&str]) -> Command {
        let mut command = self.scratch.command(env!("CARGO_BIN_EXE_nflab"));
        command.args(["exec", host, "--"]).args(program);
        command
    }
}

impl Rules<'_> {
    /// Sets them all, as from a file.
    pub(crate) fn restore(&self, rules: &str) -> Ran {
        let mut command = self.lab.scratch.command(env!("CARGO_BIN_EXE_nflab"));
        command.arg(format!("{}-restore", self.tool));
        run(command, rules)
    }

    /// As the tool saves them with counters, without its times.
    pub(crate) fn saved(&self) -> String {
        let saved = self.lab.tool(&[&format!("{}-save", self.tool), "-c"]).good();
        saved
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    /// Packets that the rule has seen, which is in a line of what is saved that ends so.
    #[track_caller]
    pub(crate) fn packets(&self, rule: &str) -> u64 {
        let saved = self.saved();
        let counted = saved
            .lines()
            .find(|line| line.ends_with(rule))
            .and_then(|line| line.strip_prefix('[')?.split(':').next()?.parse().ok());
        counted.unwrap_or_else(|| panic!("no counter of {rule:?} in\n{saved}"))
    }

    /// Packets that met a chain's policy of DROP.
    #[track_caller]
    pub(crate) fn policy_drops(&self, chain: &str) -> u64 {
        let saved = self.saved();
        let start = format!(":{chain} DROP [");
        let counter = saved
            .lines()
            .find_map(|line| line.strip_prefix(&start)?.split(':').next()?.parse().ok());
        counter.unwrap_or_else(|| panic!("no policy of {chain} in\n{saved}"))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.process.0.kill();
        let _ = self.process.0.wait();
        // Ends what still runs in its hosts, too.
        let _ = self.scratch.nflab(&["down", &self.scratch.name]);
    }
}

impl Waits {
    /// The kernel's table of such sockets, and what of a line there tells this one.
    fn line(self) -> (&'static str, String) {
        let line = |address: u32, port, state| format!(" {address:08X}:{port:04X} 00000000:0000 {state} ");
        let ip = |at: SocketAddrV4| u32::from_ne_bytes(at.ip().octets());
        match self {
            Self::Tcp(at) => ("tcp", line(ip(at), at.port(), "0A")),
            Self::Udp(at) => ("udp", line(ip(at), at.port(), "07")),
            Self::Tcp6(port) => ("tcp6", format!(" {:032}:{port:04X} {:032}:0000 0A ", 0, 0)),
            Self::Raw(protocol) => ("raw", line(0, protocol.into(), "07")),
        }
    }
}

impl Process {
    pub(crate) fn of(child: Child) -> Self {
        Self(child)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the process ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ran {
    /// What it printed; that it failed is a failure of the test.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self.out
    }
}

/// Runs it with this input. A program that hangs is killed, so that the test tells what it was about.
pub(crate) fn run(command: Command, input: &str) -> Ran {
    let mut child = bounded(&command).spawn().unwrap();
    // A program that doesn't read may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    ended(child)
}

/// The command in a bound of time, with pipes.
fn bounded(command: &Command) -> Command {
    let mut bounded = Command::new("timeout");
    bounded.args(["--kill-after=2", &TOO_LONG.as_secs().to_string()]);
    bounded.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        value.map(|value| bounded.env(name, value));
    }
    if let Some(directory) = command.get_current_dir() {
        bounded.current_dir(directory);
    }
    bounded
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    bounded
}

/// What a program has printed, once it has ended.
fn ended(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Looks again and again, for ten seconds at most.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
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
