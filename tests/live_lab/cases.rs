//! What is tested.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nflab::device::{Device, TunDevice};
use nflab::lab::file::LabFile;
use nflab::lab::request::Request;
use nflab::live::clock::Clock;
use nflab::live::control::{Client, FindError, Target, find};
use nflab::live::down::{Downed, down};
use nflab::live::event_loop::EventLoop;
use nflab::live::namespace::{Inside, Namespace};
use nflab::live::netlink::Netlink;
use nflab::live::peers::Content;
use nflab::live::peers::ftp::{DataMode, FtpServer, retrieve};
use nflab::live::peers::http::{HttpServer, download};
use nflab::live::peers::ping::{Ping, PingOutcome};
use nflab::live::place::{Place, State};
use nflab::live::up::{LiveLab, UpError, UpOptions};

use super::child::Relay;
use super::offload;

pub(super) const ALL: &[(&str, fn())] = &[
    (
        "hosts_reach_each_other_through_the_router",
        hosts_reach_each_other_through_the_router,
    ),
    ("programs_of_our_own_cross_the_lab", programs_of_our_own_cross_the_lab),
    (
        "an_interface_without_hosts_is_a_device_here",
        an_interface_without_hosts_is_a_device_here,
    ),
    (
        "a_second_up_is_refused_and_changes_nothing",
        a_second_up_is_refused_and_changes_nothing,
    ),
    ("a_failing_up_leaves_nothing", a_failing_up_leaves_nothing),
    ("signals_leave_nothing", signals_leave_nothing),
    ("down_after_a_kill_leaves_nothing", down_after_a_kill_leaves_nothing),
    ("down_clears_a_half_made_lab", down_clears_a_half_made_lab),
    ("up_after_a_kill_clears_away_first", up_after_a_kill_clears_away_first),
    ("exec_gives_the_commands_status", exec_gives_the_commands_status),
    ("tools_find_the_lab", tools_find_the_lab),
    ("a_user_namespace_does_as_well", a_user_namespace_does_as_well),
    (
        "a_device_of_one_queue_is_read_by_one_worker",
        a_device_of_one_queue_is_read_by_one_worker,
    ),
    (
        "segments_are_what_the_kernel_cuts",
        offload::segments_are_what_the_kernel_cuts,
    ),
    (
        "what_stands_for_many_is_routed_as_the_kernel_routes_it",
        offload::what_stands_for_many_is_routed_as_the_kernel_routes_it,
    ),
    (
        "rules_meet_what_stands_for_many_as_one_packet",
        offload::rules::rules_meet_what_stands_for_many_as_one_packet,
    ),
];

const TWO_SIDES: &str = r#"
[interface.lan]
address = ["10.77.0.1/24", "fd77::1/64"]
[interface.wan]
address = ["10.78.0.1/24", "fd78::1/64"]
[host.a]
interface = "lan"
address = ["10.77.0.2/24", "fd77::2/64"]
[host.b]
interface = "lan"
address = "10.77.0.3/24"
[host.c]
interface = "wan"
address = ["10.78.0.2/24", "fd78::2/64"]
"#;

/// A directory and a lab name of this test alone; the directory goes with it.
struct Scratch {
    directory: PathBuf,
    name: String,
}

impl Scratch {
    fn new(test: &str) -> Self {
        let name = format!("nflab-device-{test}-{}", std::process::id());
        let directory = std::env::temp_dir().join(&name);
        fs::create_dir_all(&directory).unwrap();
        Self { directory, name }
    }

    fn place(&self) -> Place {
        Place::at(self.directory.join("run"))
    }

    fn state(&self) -> State {
        let state = self.place().state(&self.name).unwrap();
        state.expect("the lab has a state")
    }

    fn lab_file(&self, text: &str) -> PathBuf {
        let path = self.directory.join(format!("{}.toml", self.name));
        fs::write(&path, text).unwrap();
        path
    }

    fn options(&self) -> UpOptions {
        UpOptions {
            name: None,
            place: self.place(),
            user_namespace: false,
            cleared: false,
        }
    }

    /// Names under /run/netns that are this test's.
    fn namespaces(&self) -> Vec<String> {
        let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with(&self.name))
            .collect()
    }

    fn assert_nothing_left(&self) {
        assert_eq!(self.namespaces(), Vec::<String>::new(), "namespaces");
        assert!(!self.place().base().exists(), "state: {:?}", self.place().labs());
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(&self.name), "a mount is left");
    }

    fn spawn(&self, args: &[&str]) -> Child {
        let place = self.place().base().display().to_string();
        Command::new(std::env::current_exe().unwrap())
            .args(["--child", args[0], &place])
            .args(&args[1..])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Starts a lab in a process of its own, and waits until it is up.
    fn start(&self, text: &str) -> Running {
        self.start_as(text, &[])
    }

    fn start_as(&self, text: &str, more: &[&str]) -> Running {
        let file = self.lab_file(text).display().to_string();
        let mut child = self.spawn(&[&["up", &file], more].concat());
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        if line != "up\n" {
            let output = child.wait_with_output().unwrap();
            panic!(
                "the lab did not come up: {line} {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Running(child)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for lab in self.place().labs() {
            let _ = down(&self.place(), &lab, Duration::from_secs(2));
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A lab in a process of its own, killed with the test.
struct Running(Child);

impl Running {
    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.0.id() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn wait(&mut self) -> std::process::ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match self.0.try_wait().unwrap() {
                Some(status) => return status,
                None if Instant::now() > deadline => panic!("the lab does not end"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Brings a lab up in this process, its loop on a thread, for as long as `work` takes.
fn with_lab(scratch: &Scratch, text: &str, work: impl FnOnce(&LiveLab)) -> EventLoop<Relay> {
    let file = LabFile::load(&scratch.lab_file(text), nflab::device::text_file::read_bytes).unwrap();
    let (lab, ports, listener) = LiveLab::up(&file, &scratch.options()).unwrap_or_else(|error| panic!("{error}"));
    let relay = Relay::new(&file);
    let server = relay.serve(listener);
    let mut event_loop = EventLoop::new(relay, ports, Clock::new(), None).unwrap();
    let stopper = event_loop.stopper();
    let thread = std::thread::spawn(move || {
        event_loop.run().unwrap();
        event_loop
    });
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&lab)));
    stopper.stop();
    let mut event_loop = thread.join().unwrap();
    event_loop.ports.iter_mut().for_each(|port| port.devices.clear());
    drop(server);
    let downed = lab.down();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
    downed.unwrap();
    event_loop
}

/// Where somebody has made the device with one queue, all workers write to it, and the first reads it; else each has a queue.
fn a_device_of_one_queue_is_read_by_one_worker() {
    let scratch = Scratch::new("queues");
    let path = PathBuf::from("/run/netns");
    let namespace = Namespace::create(&path, format!("{}-one", scratch.name)).unwrap();
    namespace
        .run(|| {
            let made = Command::new("ip")
                .args(["tuntap", "add", "dev", "single", "mode", "tun"])
                .status();
            assert!(made.unwrap().success(), "iproute2 makes a device of one queue");
            for (name, offload, are_read) in [
                ("single", false, [true, false]),
                ("two", true, [true; 2]),
                ("three", false, [true; 2]),
            ] {
                let mut queues = TunDevice::open_queues(name, offload, 2).unwrap();
                let read: Vec<bool> = queues.iter().map(|queue| !queue.is_only_written()).collect();
                assert_eq!(read, are_read, "{name}");
                let why = queues[1].only_written_because().map(std::io::Error::raw_os_error);
                let expected = (!are_read[1]).then_some(Some(libc::EINVAL));
                assert_eq!(why, expected, "{name}: why it has no other queue");
                assert_eq!(queues[1].offloads(), queues[0].offloads(), "{name}");
                assert_eq!(queues[0].offloads().checksum, offload, "{name}");
                let mut netlink = Netlink::open().unwrap();
                let index = netlink.index(name).unwrap().unwrap();
                fs::write(format!("/proc/sys/net/ipv6/conf/{name}/addr_gen_mode"), "1").unwrap();
                netlink.leave_out_queueing(index).unwrap();
                netlink.set_up(index).unwrap();
                for queue in &mut queues {
                    queue.send(&[0x45; 20]).unwrap();
                }
                let counted = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
                let of_device = counted
                    .lines()
                    .find(|line| line.trim_start().starts_with(name))
                    .unwrap();
                let packets = of_device.split_ascii_whitespace().nth(2).unwrap();
                assert_eq!(packets, "2", "what each sent has come in: {of_device}");
            }
        })
        .unwrap();
    namespace.remove().unwrap();
}

fn ping(from: &Namespace, to: &str) -> PingOutcome {
    let ping = Ping {
        timeout: Duration::from_secs(2),
        ..Ping::new(to.parse().unwrap())
    };
    from.run(|| ping.run()).unwrap().unwrap().pop().unwrap()
}

fn hosts_reach_each_other_through_the_router() {
    let scratch = Scratch::new("reach");
    let event_loop = with_lab(&scratch, TWO_SIDES, |lab| {
        assert_eq!(scratch.namespaces().len(), 3, "as `ip netns` sees them");
        let (a, b, c) = (lab.host("a").unwrap(), lab.host("b").unwrap(), lab.host("c").unwrap());
        for (host, target) in [
            (&a, "10.78.0.2"),
            (&c, "10.77.0.2"),
            (&c, "10.77.0.3"),
            (&a, "fd78::2"),
            (&c, "fd77::2"),
            (&a, "127.0.0.1"),
            (&a, "::1"),
        ] {
            let outcome = ping(host, target);
            assert!(outcome.is_answered(), "{target} from {host:?}: {outcome:?}");
        }
        let neighbour = ping(&a, "10.77.0.3");
        assert!(neighbour.is_answered(), "on the same interface: {neighbour:?}");
        assert!(ping(&b, "10.77.0.2").is_answered());
        assert!(matches!(ping(&a, "10.77.0.99"), PingOutcome::NoAnswer), "nobody has it");
    });
    let [lan, wan] = &event_loop.ports[..] else { panic!() };
    // Five pings crossed, each there and back; two went between a and b.
    assert_eq!(
        (lan.counters.sent.get(), wan.counters.sent.get()),
        (6, 5),
        "one of them to nobody: {lan:?}",
        lan = lan.counters
    );
    assert_eq!(
        (lan.counters.received.get(), wan.counters.received.get()),
        (6, 5),
        "and no noise from the hosts' kernels"
    );
    assert_eq!(
        (
            lan.counters.relayed.get(),
            lan.counters.unresolved.get(),
            lan.counters.lost.get()
        ),
        (4, 1, 0)
    );
    scratch.assert_nothing_left();
}

fn programs_of_our_own_cross_the_lab() {
    let scratch = Scratch::new("peers");
    with_lab(&scratch, TWO_SIDES, |lab| {
        let (a, c) = (lab.host("a").unwrap(), lab.host("c").unwrap());
        let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let files = BTreeMap::from([("file".to_owned(), Content::Pattern(2_000_000))]);
        let _http = c
            .run(|| HttpServer::start(at("10.78.0.2:80"), BTreeMap::new()))
            .unwrap()
            .unwrap();
        let _ftp = c.run(|| FtpServer::start(at("10.78.0.2:21"), files)).unwrap().unwrap();
        let patience = Duration::from_secs(30);
        let web = a
            .run(|| download(at("10.78.0.2:80"), "/bytes/20000000", patience))
            .unwrap()
            .unwrap();
        assert_eq!(web.body.checksum, Content::Pattern(20_000_000).checksum());
        for mode in [
            DataMode::Passive,
            DataMode::ExtendedPassive,
            DataMode::Active,
            DataMode::ExtendedActive,
        ] {
            let transfer = a.run(|| retrieve(at("10.78.0.2:21"), "file", mode, patience)).unwrap();
            let transfer = transfer.unwrap_or_else(|error| panic!("{mode:?}: {error} {:#?}", error.dialogue));
            assert_eq!(
                transfer.received.checksum,
                Content::Pattern(2_000_000).checksum(),
                "{mode:?}"
            );
        }
    });
    scratch.assert_nothing_left();
}

fn an_interface_without_hosts_is_a_device_here() {
    let scratch = Scratch::new("device");
    // In a namespace of its own, so that the name can't be in anybody's way.
    std::thread::spawn(move || {
        nflab::device::syscall::unshare(nflab::device::syscall::Namespaces::Network).unwrap();
        let text = "[interface.lan]\naddress = \"10.77.0.1/24\"\nmtu = 1400\n";
        let file = LabFile::load(&scratch.lab_file(text), nflab::device::text_file::read_bytes).unwrap();
        let (lab, ports, listener) = LiveLab::up(&file, &scratch.options()).unwrap();
        let mut netlink = Netlink::open().unwrap();
        let index = netlink.index("lan").unwrap().expect("a device called lan");
        assert_eq!(lab.state().devices[0].index, Some(index));
        drop((ports, listener));
        assert_eq!(netlink.index("lan").unwrap(), None, "a TUN goes with its file");
        lab.down().unwrap();
        scratch.assert_nothing_left();
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn a_second_up_is_refused_and_changes_nothing() {
    let scratch = Scratch::new("second");
    let running = scratch.start(TWO_SIDES);
    let before = scratch.state();
    let file = LabFile::load(&scratch.lab_file(TWO_SIDES), nflab::device::text_file::read_bytes).unwrap();
    let error = LiveLab::up(&file, &scratch.options()).err().expect("refused");
    assert!(
        matches!(&error, UpError::Running { pid, .. } if *pid == running.0.id() as i32),
        "{error}"
    );
    assert!(
        error.to_string().contains("runs already") && error.to_string().contains("nflab down"),
        "{error}"
    );
    assert_eq!(scratch.state(), before);
    let a = Namespace::at(&before.hosts[0].namespace);
    assert!(ping(&a, "10.78.0.2").is_answered(), "it still routes");
    assert_eq!(
        down(&scratch.place(), &scratch.name, Duration::from_secs(5)).unwrap(),
        Downed::Stopped
    );
    scratch.assert_nothing_left();
}

fn a_failing_up_leaves_nothing() {
    let scratch = Scratch::new("failing");
    let file = LabFile::load(&scratch.lab_file(TWO_SIDES), nflab::device::text_file::read_bytes).unwrap();
    let taken = Namespace::create(Path::new("/run/netns"), format!("{}-c", scratch.name)).unwrap();
    let error = LiveLab::up(&file, &scratch.options()).err().expect("the name is taken");
    let still_there = taken.path().exists();
    taken.remove().unwrap();
    assert!(error.to_string().contains("exists already"), "{error}");
    assert!(still_there, "somebody else's namespace is not ours to remove");
    scratch.assert_nothing_left();
}

fn signals_leave_nothing() {
    let scratch = Scratch::new("signals");
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let mut running = scratch.start(TWO_SIDES);
        assert_eq!(scratch.namespaces().len(), 3);
        running.signal(signal);
        assert!(running.wait().success());
        scratch.assert_nothing_left();
    }
}

fn down_after_a_kill_leaves_nothing() {
    let scratch = Scratch::new("kill");
    let mut running = scratch.start(TWO_SIDES);
    let mut inside = scratch.spawn(&["exec", &scratch.name, "a", "sleep", "600"]);
    let host = Namespace::at(&scratch.state().hosts[0].namespace);
    wait_until("sleep is in the host", || host.processes() == [inside.id() as i32]);
    running.signal(rustix::process::Signal::KILL);
    running.wait();
    assert_eq!(scratch.namespaces().len(), 3, "a killed lab leaves its namespaces");
    assert!(scratch.place().running().is_empty(), "but does not run");
    assert_eq!(
        down(&scratch.place(), &scratch.name, Duration::from_secs(2)).unwrap(),
        Downed::Cleared
    );
    let status = inside.wait().unwrap();
    assert!(!status.success(), "what ran in the host was ended: {status}");
    scratch.assert_nothing_left();
    let error = down(&scratch.place(), &scratch.name, Duration::from_secs(1))
        .unwrap_err()
        .to_string();
    assert!(error.contains("there is no lab"), "{error}");
}

/// As if killed between writing down what will be made and making it: one name without its namespace, the other not even that.
fn down_clears_a_half_made_lab() {
    let scratch = Scratch::new("half");
    let mut running = scratch.start(TWO_SIDES);
    running.signal(rustix::process::Signal::KILL);
    running.wait();
    let state = scratch.state();
    for host in &state.hosts {
        Namespace::at(&host.namespace).remove().unwrap();
    }
    fs::write(&state.hosts[1].namespace, b"").unwrap();
    assert_eq!(
        down(&scratch.place(), &scratch.name, Duration::from_secs(2)).unwrap(),
        Downed::Cleared
    );
    scratch.assert_nothing_left();
}

fn up_after_a_kill_clears_away_first() {
    let scratch = Scratch::new("again");
    let mut running = scratch.start(TWO_SIDES);
    running.signal(rustix::process::Signal::KILL);
    running.wait();
    with_lab(&scratch, TWO_SIDES, |lab| {
        assert!(lab.cleared);
        assert!(ping(&lab.host("a").unwrap(), "10.78.0.2").is_answered());
    });
    scratch.assert_nothing_left();
}

fn exec_gives_the_commands_status() {
    let scratch = Scratch::new("exec");
    let _running = scratch.start(TWO_SIDES);
    let exec = |args: &[&str]| -> Output {
        scratch
            .spawn(&[&["exec", &scratch.name], args].concat())
            .wait_with_output()
            .unwrap()
    };
    let output = exec(&["a", "sh", "-c", "echo $NFLAB; ls /sys/class/net; exit 7"]);
    assert_eq!(
        output.status.code(),
        Some(7),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let socket = scratch.place().socket(&scratch.name).display().to_string();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{socket}\nlan\nlo\n"));
    assert_eq!(exec(&["a", "no-such-command"]).status.code(), Some(127));
    let output = exec(&["nobody", "true"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("its hosts are a, b, c"));
}

fn tools_find_the_lab() {
    let scratch = Scratch::new("find");
    let targets = || -> Vec<Target> {
        let labs = scratch.place().running().into_iter();
        labs.map(|lab| Target {
            name: lab.name,
            socket: lab.socket,
        })
        .collect()
    };
    assert!(matches!(find(None, "", targets), Err(FindError::NoneRuns)));
    let _running = scratch.start(TWO_SIDES);
    let socket = scratch.place().socket(&scratch.name);
    for nflab in [None, Some(scratch.name.as_str()), Some(socket.to_str().unwrap())] {
        let target = find(nflab, "", targets).unwrap();
        let mut client = Client::connect(&target.socket).unwrap();
        client.set_timeout(Some(Duration::from_secs(5))).unwrap();
        let request = Request {
            tool: "iptables".into(),
            ..Request::default()
        };
        assert_eq!(client.call(&request).unwrap().stdout, "iptables {}\n");
    }
    let error = find(Some("other"), "", targets).unwrap_err().to_string();
    assert!(error.contains(&format!("running: {}", scratch.name)), "{error}");
    let error = find(Some("/nonexistent/socket"), "", targets).unwrap_err().to_string();
    assert!(error.contains("no lab answers at /nonexistent/socket"), "{error}");
}

/// The same lab in a user namespace of its own (entered as root here, since `/dev/net/tun` may be root's alone).
fn a_user_namespace_does_as_well() {
    let scratch = Scratch::new("user");
    let mut running = scratch.start_as(TWO_SIDES, &["user"]);
    assert_eq!(
        scratch.namespaces(),
        Vec::<String>::new(),
        "nothing of it shows in /run/netns"
    );
    let output = scratch
        .spawn(&["exec", &scratch.name, "a", "cat", "/proc/net/route"])
        .wait_with_output()
        .unwrap();
    let routes = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        routes.contains("lan\t00000000\t01004D0A"),
        "{routes}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut inside = scratch.spawn(&["exec", &scratch.name, "c", "sleep", "600"]);
    let host = scratch.state().hosts[2].clone();
    let host = Inside {
        identity: host.identity.expect("noted once it is made"),
        mounted: Some(host.namespace),
    };
    wait_until("sleep is in the host", || host.processes() == [inside.id() as i32]);
    running.signal(rustix::process::Signal::KILL);
    running.wait();
    assert_eq!(
        down(&scratch.place(), &scratch.name, Duration::from_secs(2)).unwrap(),
        Downed::Cleared
    );
    let status = inside.wait().unwrap();
    assert!(!status.success(), "what ran in the host was ended: {status}");
    scratch.assert_nothing_left();
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
