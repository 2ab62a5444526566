//! Networks to measure in: a router that the kernel is, live labs, and the relay between two hosts. All of it lies in the namespaces that
//! `benches/table` made, and ends with them.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nflab::base::{AddressMask, Family};
use nflab::device::{Device, TunDevice};
use nflab::live::control::Client;
use nflab::live::namespace::{Namespace, SYSTEM_DIRECTORY};
use nflab::live::netlink::Netlink;
use nflab::live::place::Place;

use crate::peers;

/// Whether there may be any: `benches/table` says so, since nothing may be made beside its namespaces.
pub(crate) fn allowed() -> Result<(), String> {
    if std::env::var_os(CONTAINED).is_none() {
        return Err("no namespaces here: run it as root, by benches/table".to_owned());
    }
    TunDevice::available().map_err(|error| error.to_string())
}

/// Whether the real tools are there.
pub(crate) fn has_tools() -> Result<(), String> {
    allowed()?;
    let there = Command::new("iptables-legacy")
        .arg("-S")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match there.is_ok_and(|it| it.success()) {
        true => Ok(()),
        false => Err("iptables-legacy is missing (Debian package iptables), or this kernel has no tables".to_owned()),
    }
}

/// The kernel as router, with a device to either side.
pub(crate) struct Kernel {
    namespace: Namespace,
    pub lan: TunDevice,
    pub wan: TunDevice,
}

impl Kernel {
    pub(crate) fn new(name: &str) -> Self {
        let namespace = Namespace::create(Path::new(SYSTEM_DIRECTORY), name).expect("a namespace");
        let (lan, wan) = namespace
            .run(|| {
                std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("a knob of one's own namespace");
                for kind in ["all", "default"] {
                    let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{kind}/disable_ipv6"), "1");
                }
                let mut netlink = Netlink::open().expect("netlink");
                let mut device = |name: &str, address: [u8; 4], length: u8| {
                    let device = TunDevice::open(name).expect("a device");
                    let index = netlink.index(name).expect("netlink").expect("it was just made");
                    netlink.set_up(index).expect("a link");
                    netlink
                        .add_address(index, IpAddr::from(address), length)
                        .expect("an address");
                    (device, index)
                };
                let (lan, _) = device("lan", [10, 0, 0, 1], 8);
                let (wan, index) = device("wan", [192, 0, 2, 1], 24);
                let via = IpAddr::from([192, 0, 2, 254]);
                netlink
                    .add_route(AddressMask::any(Family::V4), &[(Some(via), index, 1)])
                    .expect("a route");
                (lan, wan)
            })
            .expect("a thread");
        Self { namespace, lan, wan }
    }

    /// Calls a tool there, and gives the seconds that it took.
    pub(crate) fn tool(&self, words: &[&str], input: &str) -> f64 {
        self.namespace.run(|| call(words, input)).expect("a thread")
    }

    /// Whether a tool exits with 0 there.
    pub(crate) fn takes(&self, words: &[&str], input: &str) -> bool {
        self.namespace
            .run(|| timed(words, input).1.status.success())
            .expect("a thread")
    }

    /// Through the whole router, once each.
    pub(crate) fn carry(&mut self, packets: &[Vec<u8>]) {
        let mut buffer = [0; 2048];
        for packet in packets {
            self.lan.send(packet).expect("it takes the packet");
            let left = self.wan.receive(&mut buffer).expect("a read");
            assert!(left.is_some(), "every packet has to get through");
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let _ = self.namespace.remove();
    }
}

/// Seconds.
fn call(words: &[&str], input: &str) -> f64 {
    let (took, said) = timed(words, input);
    assert!(
        said.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    took
}

fn timed(words: &[&str], input: &str) -> (f64, Output) {
    let path = std::env::temp_dir().join(format!("nflab-table-input-{}", std::process::id()));
    std::fs::write(&path, input).expect("a temporary file");
    let start = Instant::now();
    let said = Command::new(words[0])
        .args(&words[1..])
        .stdin(std::fs::File::open(&path).expect("it was just written"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .expect("the program is there");
    (start.elapsed().as_secs_f64(), said)
}

/// Two hosts and what is between them.
pub(crate) struct Hosts {
    pub client: Namespace,
    pub server: Namespace,
    between: Child,
    lab: Option<String>,
}

impl Hosts {
    /// A live lab with these rules.
    pub(crate) fn of_lab(name: &str, rules: &str) -> Self {
        let directory = std::env::temp_dir();
        let (lab, file) = (
            directory.join(format!("{name}.toml")),
            directory.join(format!("{name}.rules")),
        );
        std::fs::write(&lab, LAB).expect("a temporary file");
        std::fs::write(&file, rules).expect("a temporary file");
        let between = Command::new(NFLAB)
            .args(["up", "--workers", "1"])
            .arg(&lab)
            .arg("--rules")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("nflab");
        let place = Place::own();
        let begun = Instant::now();
        // Once the lab answers, it is whole.
        while Client::connect(&place.socket(name)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the lab does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        let state = place.state(name).ok().flatten().expect("a lab that is up has a state");
        let host = |name: &str| {
            let record = state
                .hosts
                .iter()
                .find(|host| host.name == name)
                .expect("a host of the lab");
            Namespace::at(&record.namespace)
        };
        Self {
            client: host("client"),
            server: host("server"),
            between,
            lab: Some(name.to_owned()),
        }
    }

    /// The relay, which looks at nothing.
    pub(crate) fn of_relay(name: &str, threads: usize, offload: bool) -> Result<Self, String> {
        let relay = peers::made("relay")?;
        let devices = [format!("{name}c"), format!("{name}s")];
        let mut command = Command::new(relay);
        command.args(&devices).arg(threads.to_string());
        if offload {
            command.arg("offload");
        }
        let mut between = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|it| it.to_string())?;
        let mut said = String::new();
        let output = between.stdout.take().expect("it was asked for");
        let _ = BufReader::new(output).read_line(&mut said);
        assert_eq!(said, "up\n", "the relay has its devices");
        let ends = [("client", "10.0.0.2/24"), ("server", "192.0.2.9/24")];
        let [client, server] = [0, 1].map(|end: usize| {
            let (host, address) = ends[end];
            let namespace =
                Namespace::create(Path::new(SYSTEM_DIRECTORY), format!("{name}-{host}")).expect("a namespace");
            let path = namespace.path().to_str().expect("a plain name").to_owned();
            ip(&["link", "set", &devices[end], "netns", &path]);
            namespace
                .run(|| {
                    ip(&["link", "set", "lo", "up"]);
                    ip(&["address", "add", address, "dev", &devices[end]]);
                    ip(&["link", "set", &devices[end], "up"]);
                    ip(&["route", "add", "default", "dev", &devices[end]]);
                })
                .expect("a thread");
            namespace
        });
        Ok(Self {
            client,
            server,
            between,
            lab: None,
        })
    }

    /// The control socket of the lab.
    pub(crate) fn socket(&self) -> PathBuf {
        Place::own().socket(self.lab.as_deref().expect("the relay has none"))
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        match &self.lab {
            Some(lab) => {
                let _ = Command::new(NFLAB).args(["down", lab]).stdout(Stdio::null()).status();
                let _ = self.between.wait();
            }
            None => {
                // Its standard input ends, and so does it.
                drop(self.between.stdin.take());
                let _ = self.between.wait();
                let _ = self.client.remove();
                let _ = self.server.remove();
            }
        }
    }
}

fn ip(words: &[&str]) {
    let said = Command::new("ip").args(words).output().expect("iproute2");
    assert!(
        said.status.success(),
        "ip {words:?}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
}

/// The server of all hosts.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
pub(crate) const NFLAB: &str = env!("CARGO_BIN_EXE_nflab");
/// By this `benches/table` says that the namespaces are ours.
const CONTAINED: &str = "NFLAB_TABLE_CONTAINED";
const PATIENCE: Duration = Duration::from_secs(20);
const LAB: &str = "[interface.lan]\naddress = [\"10.0.0.1/24\"]\n[interface.wan]\naddress = [\"192.0.2.1/24\"]\n\
    [host.client]\ninterface = \"lan\"\naddress = \"10.0.0.2/24\"\n[host.server]\ninterface = \"wan\"\naddress = \"192.0.2.9/24\"\n";
