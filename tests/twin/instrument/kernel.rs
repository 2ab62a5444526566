//! The kernel's side: a router in a network namespace of this thread's own.
//!
//! A write to a TUN device runs the kernel's whole receive path inside the call, so what came of a packet can be read when it returns.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nflab::base::{AddressMask, Family};
use nflab::device::syscall::{Namespaces, unshare};
use nflab::device::{Device, Offloads, Received, TunDevice};
use nflab::live::netlink::{LinkIndex, Netlink};
use nflab::packet::Offload;
use rustix::event::{Timespec, epoll};

use super::compare::without_time;
use super::groups::{ANSWERED_AT_LAST, ANSWERED_WITHIN, is_answered_later};
use super::offload::{as_it_left, handed_over};
use super::queue::Listener;
use super::scenario::{Event, QueueWord};
use super::side::{
    Answer, DEFAULT_INTERFACES, Depth, EXPECTATIONS, FLOWS, FORWARDING_OF_IPV6, PRELUDE, PRELUDE_OF_IPV6, Part, Side,
    ToolAnswer, WITHOUT_IPV6, commands, furnished, saves,
};
use super::sockets::{Hearer, Senders};

pub(crate) struct Kernel {
    links: Vec<Link>,
    /// In the order they were made; nothing where one was removed since.
    devices: Vec<Option<Held>>,
    netlink: Netlink,
    senders: Senders,
    hearers: Vec<Hearer>,
    /// Programs that listen.
    sockets: Vec<UdpSocket>,
    /// Who listens at queues.
    queues: BTreeMap<u16, Listener>,
    epoll: OwnedFd,
    buffer: Vec<u8>,
    /// Devices have offload, and packets come as cards with offload hand them over.
    offload: bool,
    /// It has both families.
    ipv6: bool,
    /// When something last was changed that it tells of unasked, where it may.
    changed: Instant,
    /// It may speak of its own accord, because it was asked.
    may_speak: bool,
    /// The routes and addresses that were waited for and did not change any more.
    given_up: Option<(String, String)>,
}

/// A device, by the number that it keeps whatever it is called.
struct Held {
    index: LinkIndex,
    device: TunDevice,
}

struct Link {
    name: String,
    index: LinkIndex,
    subnets: Vec<AddressMask>,
}

/// Programs that the kernel's side needs, and the Debian package of each.
const TOOLS: &[(&str, &str)] = &[
    ("iptables-legacy", "iptables"),
    ("iptables-legacy-save", "iptables"),
    ("iptables-legacy-restore", "iptables"),
    ("ip6tables-legacy", "iptables"),
    ("conntrack", "conntrack"),
    ("nfct", "nfct"),
    ("sysctl", "procps"),
    ("ip", "iproute2"),
];

/// The first tool that is missing, in a sentence.
pub(crate) fn missing_tool() -> Option<String> {
    TOOLS.iter().find_map(|(tool, package)| {
        let status = Command::new(tool)
            .arg("-V")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status
            .is_err()
            .then(|| format!("{tool} is not installed (Debian package {package})"))
    })
}

/// What the records say that they were made with.
pub(crate) fn version() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let tool = run(&words("iptables-legacy --version"), "").map_or_else(|_| String::new(), |it| it.out);
    format!("Linux {}, {}", release.trim(), tool.trim())
}

impl Kernel {
    /// In a new namespace, which this thread is in from now on.
    pub(crate) fn new(offload: bool, ipv6: bool) -> Result<Self, String> {
        let io = |what: &'static str| move |error: std::io::Error| format!("{what}: {error}");
        unshare(Namespaces::Network).map_err(io("unshare"))?;
        let prelude = match ipv6 {
            true => {
                // Before there is a device whose groups are to be told of.
                keep_silent()?;
                PRELUDE_OF_IPV6
            }
            false => WITHOUT_IPV6,
        };
        for (key, value) in prelude.iter().chain(PRELUDE) {
            set(key, value)?;
        }
        let mut netlink = Netlink::open().map_err(io("netlink"))?;
        netlink.set_loopback_up().map_err(|error| error.to_string())?;
        let hearers = Hearer::all(ipv6)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| error.to_string())?;
        for (at, hearer) in hearers.iter().enumerate() {
            watch(&epoll, &hearer.socket, LOCAL | at as u64)?;
        }
        let mut kernel = Self {
            links: Vec::new(),
            devices: Vec::new(),
            netlink,
            senders: Senders::new(ipv6)?,
            hearers,
            sockets: Vec::new(),
            queues: BTreeMap::new(),
            epoll,
            buffer: Vec::new(),
            offload,
            ipv6,
            changed: Instant::now(),
            may_speak: false,
            given_up: None,
        };
        let is_spoken = |address: &IpAddr| ipv6 || address.is_ipv4();
        for (name, addresses, gateways) in DEFAULT_INTERFACES {
            let addresses: Vec<_> = addresses.iter().copied().filter(|it| is_spoken(&it.0)).collect();
            kernel.interface(name, &addresses)?;
            for via in gateways.iter().filter(|it| is_spoken(it)) {
                kernel.route(AddressMask::any(Family::of(*via)), Some(*via), None)?;
            }
        }
        if ipv6 {
            let (key, value) = FORWARDING_OF_IPV6;
            set(key, value)?;
            kernel.wait_for_own_addresses()?;
        }
        kernel.drain();
        Ok(kernel)
    }

    fn interface(&mut self, name: &str, addresses: &[(IpAddr, u8)]) -> Result<(), String> {
        let is_new = self.links.iter().all(|link| link.name != name);
        let addresses = furnished(name, addresses, self.ipv6 && is_new);
        let at = match self.links.iter().position(|link| link.name == name) {
            Some(at) => at,
            None => {
                let device = match name {
                    "lo" => None,
                    name => Some(self.device(name)?),
                };
                let index = self.netlink.index(name).map_err(|error| error.to_string())?;
                let index = index.ok_or("a new device has no index")?;
                if let Some(device) = device {
                    watch(&self.epoll, &device, self.devices.len() as u64)?;
                    self.devices.push(Some(Held { index, device }));
                }
                self.netlink.set_up(index).map_err(|error| error.to_string())?;
                self.links.push(Link {
                    name: name.to_owned(),
                    index,
                    subnets: Vec::new(),
                });
                self.links.len() - 1
            }
        };
        let link = &mut self.links[at];
        for (address, length) in &addresses {
            self.netlink
                .add_address(link.index, *address, *length)
                .map_err(|error| error.to_string())?;
            link.subnets.extend(AddressMask::prefix(*address, *length));
        }
        self.wait_for_own_addresses()
    }

    /// An address of IPv6 is the router's own when a kernel thread has said so, also where nobody asks whether another has it: until then what is for it
    /// passes through. Some never are: those of a link that is down.
    fn wait_for_own_addresses(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        let (mut last, mut changed) = (None, begun);
        while self.ipv6 && begun.elapsed() < LONGEST_WAY_OUT {
            let routes = read("/proc/thread-self/net/ipv6_route")?;
            // Destination, length, ..., flags, device.
            let is_own = |address: &str| {
                let of_it = |line: &&str| line.starts_with(address) && line.contains(" 80 ");
                let is_local = |line: &str| {
                    line.split_whitespace()
                        .nth(8)
                        .is_some_and(|flags| flags.starts_with('8'))
                };
                routes.lines().filter(of_it).any(is_local)
            };
            let addresses = read("/proc/thread-self/net/if_inet6")?;
            // Address, device, length, scope, flags.
            let is_settled = |line: &str| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let flags = words.get(4).and_then(|flags| u32::from_str_radix(flags, 16).ok());
                flags.is_some_and(|flags| flags & TENTATIVE == 0) && is_own(words[0])
            };
            if addresses.lines().all(is_settled) {
                return Ok(());
            }
            let now = Some((routes, addresses));
            if now == self.given_up {
                return Ok(());
            }
            if now != last {
                (last, changed) = (now, Instant::now());
            } else if changed.elapsed() > LONGEST_STILLNESS {
                self.given_up = last;
                return Ok(());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    fn device(&self, name: &str) -> Result<TunDevice, String> {
        let opened = match self.offload {
            true => TunDevice::open_with_offload(name),
            false => TunDevice::open(name),
        };
        let device = opened.map_err(|error| error.to_string())?;
        let Offloads {
            checksum, tcp4, udp, ..
        } = device.offloads();
        match !self.offload || checksum && tcp4 && udp {
            true => Ok(device),
            false => Err("this kernel's TUN has no offload of TCP and UDP, which Linux 6.2 brought".to_owned()),
        }
    }

    /// What `ip` did to the links: new names, and devices that are gone. One that is gone would be ready for ever, with nothing to read.
    fn look_at_links(&mut self) {
        self.links.retain_mut(|link| {
            let name = rustix::net::netdevice::index_to_name(self.senders.any(), link.index.0);
            if let Ok(name) = &name {
                link.name.clone_from(name);
            }
            name.is_ok()
        });
        for slot in &mut self.devices {
            let is_there = |held: &mut Held| self.links.iter().any(|link| link.index == held.index);
            if !slot.as_mut().is_none_or(is_there) {
                *slot = None;
            }
        }
    }

    fn route(&mut self, to: AddressMask, via: Option<IpAddr>, interface: Option<&str>) -> Result<(), String> {
        let leads = |link: &&Link| match (interface, via) {
            (Some(name), _) => link.name == name,
            (None, Some(via)) => link.subnets.iter().any(|subnet| subnet.contains(via)),
            (None, None) => false,
        };
        let link = self.links.iter().find(leads);
        let link = link.ok_or_else(|| format!("no interface for a route via {via:?} by {interface:?}"))?;
        self.netlink
            .add_route(to, &[(via, link.index, 1)])
            .map_err(|error| error.to_string())
    }

    fn receive(&mut self, interface: &str, bytes: &[u8]) -> Result<(), String> {
        let link = self.links.iter().find(|link| link.name == interface);
        let index = link.ok_or_else(|| format!("no interface {interface}"))?.index;
        let held = self.devices.iter_mut().flatten().find(|held| held.index == index);
        let held = held.ok_or_else(|| format!("interface {interface} is no device"))?;
        // Refused where the first byte is of no IP version, or the link is down: then nothing arrived, and nothing comes of it.
        let _ = match self.offload {
            true => {
                let (bytes, left_to_do) = handed_over(bytes);
                held.device.send_with(&bytes, left_to_do)
            }
            false => held.device.send(bytes),
        };
        Ok(())
    }

    fn be_silent(&mut self) -> Result<(), String> {
        if std::mem::take(&mut self.may_speak) {
            keep_silent()?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Vec<(String, Vec<u8>)> {
        let (mut sent, mut local) = (Vec::new(), Vec::new());
        let mut ready = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 8];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        loop {
            let count = epoll::wait(&self.epoll, &mut ready[..], Some(&at_once)).unwrap_or(0);
            if count == 0 {
                break;
            }
            for event in &ready[..count] {
                let token = event.data.u64();
                if token & LOCAL != 0 {
                    local.extend(self.hearers[(token & !LOCAL) as usize].hear(&mut self.buffer));
                } else {
                    let Some(held) = &mut self.devices[token as usize] else {
                        continue;
                    };
                    if let Ok(Received::Packet(left_to_do)) = held.device.receive_with(&mut self.buffer) {
                        sent.push((token, self.buffer.clone(), left_to_do));
                    }
                }
            }
        }
        // What left by different interfaces is in the order of the interfaces: TUN devices do not say which was first.
        sent.sort_by_key(|(device, ..)| *device);
        let name = |device: u64| {
            let index = self.devices[device as usize].as_ref().map(|held| held.index);
            let link = self.links.iter().find(|link| Some(link.index) == index);
            link.map(|link| link.name.clone()).unwrap_or_default()
        };
        let local = local
            .into_iter()
            .map(|bytes| ("local".to_owned(), bytes, Offload::default()));
        let sent = sent
            .into_iter()
            .map(|(device, bytes, offload)| (name(device), bytes, offload));
        let form = |(name, bytes, left_to_do)| match self.offload {
            true => as_it_left(name, bytes, left_to_do),
            false => (name, bytes),
        };
        sent.chain(local).map(form).collect()
    }
}

/// Nothing is sent from an address yet.
const TENTATIVE: u32 = 0x40;

/// Marks the token of a socket, beside those of devices.
const LOCAL: u64 = 1 << 32;

fn watch(epoll: &OwnedFd, what: &impl AsFd, token: u64) -> Result<(), String> {
    epoll::add(epoll, what, epoll::EventData::new_u64(token), epoll::EventFlags::IN).map_err(|error| error.to_string())
}

impl Side for Kernel {
    fn prepare(&mut self, event: &Event) -> Result<(), String> {
        self.be_silent()?;
        if self.ipv6 && is_answered_later(event) {
            std::thread::sleep(SAID_WITHIN.saturating_sub(self.changed.elapsed()));
            let_speak()?;
            self.may_speak = true;
        }
        Ok(())
    }

    fn happen(&mut self, event: &Event) -> Result<Answer, String> {
        let mut tool = None;
        match event {
            Event::Interface { name, addresses } => self.interface(name.as_str(), addresses)?,
            Event::Route { to, via, interface } => {
                let to = AddressMask::prefix(to.address(), to.length()).ok_or("a route to no prefix")?;
                self.route(to, *via, interface.as_ref().map(nflab::base::InterfaceName::as_str))?;
            }
            Event::Listen { port } => {
                let any: IpAddr = match self.ipv6 {
                    // And of IPv4.
                    true => Ipv6Addr::UNSPECIFIED.into(),
                    false => Ipv4Addr::UNSPECIFIED.into(),
                };
                let socket = UdpSocket::bind((any, *port));
                self.sockets
                    .push(socket.map_err(|error| format!("UDP port {port}: {error}"))?);
            }
            Event::Sender(credentials) => {
                self.senders = Senders::of(credentials, self.ipv6)?;
            }
            Event::Packet {
                interface: Some(name),
                bytes,
            } => self.receive(name.as_str(), bytes)?,
            Event::Packet { interface: None, bytes } => self.senders.send(bytes),
            Event::Tool { name, args, input } => {
                let mut answer = run(&command(name, args)?, input)?;
                if *name == "conntrack" && *args == ["-S"] {
                    answer.out = of_one_processor(&answer.out);
                }
                tool = Some(answer);
                if *name == "ip" {
                    self.look_at_links();
                    self.wait_for_own_addresses()?;
                }
            }
            Event::Wait(by) => std::thread::sleep(*by),
            Event::Queue(QueueWord::Open { number, settings }) => {
                self.queues.insert(*number, Listener::open(*number, *settings)?);
            }
            Event::Queue(QueueWord::Close(number)) => {
                self.queues.remove(number).ok_or("nobody listens there")?.close()?;
            }
            Event::Queue(QueueWord::Decide {
                number,
                kind,
                mark,
                bytes,
            }) => {
                let listener = self.queues.get_mut(number).ok_or("nobody listens there")?;
                listener.decide(*kind, *mark, bytes.as_deref())?;
            }
        }
        match event {
            Event::Interface { .. } | Event::Tool { .. } => self.changed = Instant::now(),
            event if self.ipv6 && is_answered_later(event) => {
                std::thread::sleep(ANSWERED_WITHIN);
            }
            _ => {}
        }
        let mut sent = self.drain();
        for listener in self.queues.values_mut() {
            sent.extend(listener.arrived()?);
        }
        Ok(Answer { sent, tool })
    }

    fn wait_for_more(&mut self, packets: usize) -> Result<Vec<(String, Vec<u8>)>, String> {
        let began = Instant::now();
        let mut more = Vec::new();
        while more.len() < packets && began.elapsed() < ANSWERED_AT_LAST {
            std::thread::sleep(ANSWERED_WITHIN / 8);
            more.extend(self.drain());
        }
        Ok(more)
    }

    fn state(&mut self, depth: Depth) -> Result<Vec<Part>, String> {
        self.be_silent()?;
        let mut parts = vec![
            (FLOWS.to_owned(), read("/proc/thread-self/net/nf_conntrack")?),
            (EXPECTATIONS.to_owned(), expectations()?),
        ];
        for save in saves(self.ipv6) {
            let saved = words(save);
            let saved = printed(&command(&saved[0], &saved[1..])?)?;
            for line in commands(depth, save, &saved) {
                parts.push((line.join(" "), printed(&command(&line[0], &line[1..])?)?));
            }
            parts.push(((*save).to_owned(), saved));
        }
        Ok(parts.into_iter().map(|(title, text)| Part { title, text }).collect())
    }

    /// Masqueraded flows of an address or a link that went go by the hand of a kernel thread, which begins after the command has ended, and there
    /// is nothing that says when it has done: mostly it needs a millisecond or two, on a busy machine any time.
    fn wait_for_flows_to_go(&mut self, left: usize) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let there = read("/proc/thread-self/net/nf_conntrack")?.lines().count();
            // Where no more have to go than went, some more may be about to, which would be a difference.
            let enough = if there > left { LONGEST_WAY_OUT } else { USUAL_WAY_OUT };
            if there == 0 || begun.elapsed() >= enough {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

const USUAL_WAY_OUT: Duration = Duration::from_millis(40);
const LONGEST_WAY_OUT: Duration = Duration::from_secs(5);
/// Kernel threads that are about to do something do it within this, also where other work keeps the machine busy.
const LONGEST_STILLNESS: Duration = Duration::from_secs(1);

/// The real tool and its arguments. What belongs to the whole machine is none of a scenario's business.
fn command(name: &str, args: &[String]) -> Result<Vec<String>, String> {
    let program = match name {
        "iptables" | "iptables-legacy" => "iptables-legacy",
        "iptables-save" | "iptables-legacy-save" => "iptables-legacy-save",
        "iptables-restore" | "iptables-legacy-restore" => "iptables-legacy-restore",
        "ip6tables" | "ip6tables-legacy" => "ip6tables-legacy",
        "ip6tables-save" | "ip6tables-legacy-save" => "ip6tables-legacy-save",
        "ip6tables-restore" | "ip6tables-legacy-restore" => "ip6tables-legacy-restore",
        "conntrack" => "conntrack",
        "nfct" => "nfct",
        "sysctl" => "sysctl",
        "ip" => "ip",
        "cat" if args.iter().all(|path| is_list(path) || path == QUEUES) => "cat",
        "echo" => return written(args),
        other => return Err(format!("`{other}` is not compared with a kernel's")),
    };
    Ok([program.to_owned()].into_iter().chain(args.iter().cloned()).collect())
}

/// Lists that rules share, which are the namespace's own.
const LISTS: [&str; 3] = [
    "/proc/net/xt_recent/",
    "/proc/net/ipt_hashlimit/",
    "/proc/net/ip6t_hashlimit/",
];
/// And so are the queues at which somebody listens.
const QUEUES: &str = "/proc/net/netfilter/nfnetlink_queue";

fn is_list(path: &str) -> bool {
    LISTS.iter().any(|lists| path.starts_with(lists))
}

/// A line into a list, by a shell that says no more of it than its `echo` does.
fn written(args: &[String]) -> Result<Vec<String>, String> {
    match args {
        [line, arrow, file] if arrow == ">" && is_list(file) => {
            let script =
                "exec 3>&2; { echo \"$1\" >\"$2\"; } 2> >(sed 's/^[^:]*: line 1: //' >&3); code=$?; wait; exit $code";
            Ok(["bash", "-c", script, "bash", line, file].map(str::to_owned).to_vec())
        }
        _ => Err(format!("`echo {}` is not compared with a kernel's", args.join(" "))),
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn run(command: &[String], input: &str) -> Result<ToolAnswer, String> {
    let failed = |error: std::io::Error| format!("{command:?}: {error}");
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        // A lock for each namespace instead of one for the machine: the namespace's own file.
        .env("XTABLES_LOCKFILE", "/proc/self/ns/net")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Who stops reading at the first error closes the pipe.
        let _ = stdin.write_all(input.as_bytes());
    }
    let done = child.wait_with_output().map_err(failed)?;
    Ok(ToolAnswer {
        code: done.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&done.stdout).into_owned(),
        err: without_label_file(&String::from_utf8_lossy(&done.stderr)),
    })
}

/// The real tool looks for names of labels whenever it prints a rule with one, and says so where their file is not there.
fn without_label_file(said: &str) -> String {
    let lines = said.split_inclusive('\n');
    lines
        .filter(|line| !line.starts_with("Warning: cannot open /etc/xtables/connlabel.conf: "))
        .collect()
}

/// What a tool prints that has to succeed: one that could not look has seen nothing, which is no answer.
fn printed(command: &[String]) -> Result<String, String> {
    let ToolAnswer { code, out, err } = run(command, "")?;
    match code {
        0 => Ok(out),
        _ => Err(format!("{command:?} exits with {code}: {err}")),
    }
}

/// What `conntrack -S` counts, as a machine of one processor would: which of them had a packet is chance, and so is whether a search met
/// another namespace's change of the table, which all share.
fn of_one_processor(counted: &str) -> String {
    let mut sums: Vec<(&str, u64)> = Vec::new();
    for (name, count) in counted.split_whitespace().filter_map(|word| word.split_once('=')) {
        let count = match name {
            "cpu" | "search_restart" => 0,
            _ => count.parse().unwrap_or(0),
        };
        match sums.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += count,
            None => sums.push((name, count)),
        }
    }
    let named = sums.iter().filter(|(name, _)| *name != "cpu");
    let words: String = named.map(|(name, sum)| format!("{name}={sum} ")).collect();
    format!("cpu=0   \t{words}\n")
}

fn read(path: &str) -> Result<String, String> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|mut file| file.read_to_string(&mut text))
        .map_err(|error| format!("{path}: {error}"))?;
    Ok(text)
}

/// All namespaces share one table of expectations, and what another one enters or removes while the file is read shifts it: seen were lines twice.
/// Two expectations of one namespace are never the same, and a reading that the next one bears out has missed none.
fn expectations() -> Result<String, String> {
    let reading = || -> Result<Vec<String>, String> {
        let text = read("/proc/thread-self/net/nf_conntrack_expect")?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable_by(|one, other| without_time(one).cmp(without_time(other)));
        lines.dedup_by(|one, other| without_time(one) == without_time(other));
        Ok(lines)
    };
    let mut lines = reading()?;
    for _ in 0..READINGS {
        let again = reading()?;
        let bear_out = again.len() == lines.len()
            && again
                .iter()
                .zip(&lines)
                .all(|(one, other)| without_time(one) == without_time(other));
        lines = again;
        if bear_out {
            break;
        }
    }
    Ok(lines.iter().map(|line| format!("{line}\n")).collect())
}

const READINGS: usize = 8;

/// What the kernel says of its own accord in IPv6, when links come up and when it likes: reports of the groups that it is in, and questions for routers.
/// Policies of IPsec end these before any rule sees and counts them; what comes by a device, and what passes through, is of other directions.
fn keep_silent() -> Result<(), String> {
    of_own_accord("add", " action block")
}

/// The opposite, for as long as it answers who asks.
fn let_speak() -> Result<(), String> {
    of_own_accord("delete", "")
}

/// What it says unasked of a change is said by then.
const SAID_WITHIN: Duration = Duration::from_millis(80);

fn of_own_accord(verb: &str, action: &str) -> Result<(), String> {
    const SPOKEN: [&str; 4] = ["131", "132", "133", "143"];
    let lines =
        SPOKEN.map(|kind| format!("xfrm policy {verb} dst ff00::/8 proto ipv6-icmp type {kind} dir out{action}\n"));
    match run(&words("ip -batch -"), &lines.concat())? {
        ToolAnswer { code: 0, .. } => Ok(()),
        ToolAnswer { err, .. } => Err(format!("the kernel's own words in IPv6 cannot be ended: {err}")),
    }
}

fn set(key: &str, value: &str) -> Result<(), String> {
    let path = format!("/proc/sys/{}", key.replace('.', "/"));
    std::fs::write(&path, value).map_err(|error| format!("{path}: {error}"))
}
