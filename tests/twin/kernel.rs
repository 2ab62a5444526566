//! The kernel's side: a router in a network namespace of this thread's own.
//!
//! A write to a TUN device runs the kernel's whole receive path inside the call, so what came of a packet can be read when it returns.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use nflab::device::syscall::{Namespaces, unshare};
use rustix::net::ipproto::RAW;
use rustix::net::{AddressFamily, SendFlags, SocketType, sendto, socket};
use tun_tap::{Iface, Mode};

use crate::Sent;
use crate::scenario::Scenario;

pub struct Kernel {
    devices: Vec<(String, Iface)>,
    raw: OwnedFd,
}

/// Why there is no kernel to ask; `None` where there is.
pub fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it needs root".to_owned());
    }
    for tool in ["ip", "iptables-legacy-restore", "iptables-legacy-save", "conntrack"] {
        if Command::new(tool)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_err()
        {
            return Some(format!("{tool} is not installed"));
        }
    }
    std::fs::metadata("/dev/net/tun")
        .err()
        .map(|error| format!("/dev/net/tun: {error}"))
}

impl Kernel {
    pub fn new(scenario: &Scenario) -> Result<Self, String> {
        // Changes the namespace of this thread only, which was made for it.
        unshare(Namespaces::Network).map_err(|error| format!("unshare: {error}"))?;
        run("ip", &["link", "set", "lo", "up"], "")?;
        for kind in ["all", "default"] {
            set(&format!("net.ipv6.conf.{kind}.disable_ipv6"), "1")?;
            set(&format!("net.ipv4.conf.{kind}.rp_filter"), "0")?;
        }
        set("net.ipv4.ip_forward", "1")?;
        set("net.ipv4.icmp_ratelimit", "0")?;
        set("net.ipv4.icmp_msgs_per_sec", "100000")?;
        set("net.ipv4.icmp_msgs_burst", "100000")?;
        let mut devices = Vec::new();
        for (name, address) in &scenario.interfaces {
            let device = Iface::without_packet_info(name, Mode::Tun).map_err(|error| format!("TUN {name}: {error}"))?;
            device.set_non_blocking().map_err(|error| error.to_string())?;
            run("ip", &["addr", "add", address, "dev", name], "")?;
            run("ip", &["link", "set", name, "up"], "")?;
            devices.push(((*name).to_owned(), device));
        }
        for (to, via) in &scenario.routes {
            run("ip", &["route", "add", to, "via", via], "")?;
        }
        for (key, value) in &scenario.sysctls {
            set(key, value)?;
        }
        let raw =
            socket(AddressFamily::INET, SocketType::RAW, Some(RAW)).map_err(|error| format!("raw socket: {error}"))?;
        let mut kernel = Self { devices, raw };
        kernel.restore(&scenario.rules)?;
        kernel.drain();
        Ok(kernel)
    }

    pub fn restore(&mut self, rules: &str) -> Result<(), String> {
        run("iptables-legacy-restore", &[], rules).map(drop)
    }

    pub fn receive(&mut self, interface: &str, packet: &[u8]) -> Result<Sent, String> {
        let (_, device) = self
            .devices
            .iter()
            .find(|(name, _)| name == interface)
            .ok_or(format!("no interface {interface}"))?;
        // Refused where the first byte is of no IP version: then nothing arrived, and nothing comes of it.
        let _ = device.send(packet);
        Ok(self.drain())
    }

    /// The router itself sends; what OUTPUT drops is refused with EPERM, which is no error here.
    pub fn send(&mut self, packet: &[u8]) -> Result<Sent, String> {
        let destination = Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]);
        // Refused where a rule drops it.
        let _ = sendto(
            &self.raw,
            packet,
            SendFlags::empty(),
            &SocketAddrV4::new(destination, 0),
        );
        Ok(self.drain())
    }

    fn drain(&mut self) -> Sent {
        let mut sent = Sent::new();
        let mut buffer = vec![0; 65_536];
        for (name, device) in &self.devices {
            while let Ok(length) = device.recv(&mut buffer) {
                sent.push((name.clone(), buffer[..length].to_vec()));
            }
        }
        sent
    }

    pub fn save(&self) -> Result<String, String> {
        let text = run("iptables-legacy-save", &["-c"], "")?;
        Ok(text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect())
    }

    pub fn flows(&self) -> Result<String, String> {
        read("/proc/thread-self/net/nf_conntrack").map(|text| crate::ours::normal(&text))
    }

    pub fn expectations(&self) -> Result<String, String> {
        read("/proc/thread-self/net/nf_conntrack_expect")
    }
}

fn read(path: &str) -> Result<String, String> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|mut file| file.read_to_string(&mut text))
        .map_err(|error| format!("{path}: {error}"))?;
    Ok(text)
}

fn set(key: &str, value: &str) -> Result<(), String> {
    let path = format!("/proc/sys/{}", key.replace('.', "/"));
    std::fs::write(&path, value).map_err(|error| format!("{path}: {error}"))
}

fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(input.as_bytes())
            .map_err(|error| format!("{program}: {error}"))?;
    }
    let done = child
        .wait_with_output()
        .map_err(|error| format!("{program}: {error}"))?;
    if !done.status.success() {
        return Err(format!(
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        ));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
