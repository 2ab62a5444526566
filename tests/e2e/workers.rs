//! Several workers, each with queues of its own: what a flow sends keeps its order, and everything is counted once.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nflab::live::namespace::Namespace;

use crate::lab::{Lab, ROUTER, Scratch};

#[test]
fn one_worker_keeps_order_and_counts() {
    carried("work-one", "workers = 1", Duration::ZERO);
}

#[test]
fn two_workers_keep_order_and_count() {
    carried("work-two", "workers = 2", FORGOTTEN);
}

#[test]
fn two_workers_without_offload_keep_order_and_count() {
    carried("work-wire", "workers = 2\noffload = false", Duration::ZERO);
}

#[test]
fn four_workers_keep_order_and_count() {
    carried("work-four", "workers = 4", Duration::ZERO);
}

/// Packets of many flows in both directions at once, while rules are changed: the order of each direction, and all counters.
fn carried(test: &str, head: &str, pause: Duration) {
    let Some(scratch) = Scratch::new(test, &["unshare", "nsenter"]) else {
        return;
    };
    let lab = scratch.up(&format!("{head}\n{ROUTER}"));
    let workers = head.split(['=', '\n']).nth(1).unwrap().trim();
    let status = lab.tool(&["status", "--json"]).good();
    assert!(
        status.contains(&format!("\"queues\":{workers}")) && !status.contains("\"queues\":0"),
        "{status}"
    );
    for knob in ["acct", "checksum"] {
        lab.tool(&["sysctl", "-w", &format!("net.netfilter.nf_conntrack_{knob}=1")])
            .good();
    }
    lab.restore(RULES).good();
    let done = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let edits = scope.spawn(|| {
            let mut edits = 0;
            while !done.load(Ordering::Acquire) {
                for action in ["-I", "-D"] {
                    let rule = ["FORWARD", "-s", "203.0.113.9", "-j", "DROP"];
                    lab.tool(&[&["iptables", action], &rule[..]].concat()).good();
                    edits += 1;
                }
                lab.restore(BESIDE).good();
            }
            edits
        });
        // However the packets fare, the edits end.
        let _done = Done(&done);
        let streams = scope.spawn(|| streams(&lab));
        let sent = datagrams(&lab, pause);
        streams.join().unwrap();
        done.store(true, Ordering::Release);
        assert!(edits.join().unwrap() > 0);
        sent
    });
    counted(&lab, &sent);
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Sends over all ports both ways at once, and gives how many datagrams each port sent outward and inward. Nobody is further ahead than what the
/// receiver's socket holds, so that none may be lost.
fn datagrams(lab: &Lab, pause: Duration) -> BTreeMap<u16, [u64; 2]> {
    let (inside, outside) = (host(lab, "inside"), host(lab, "outside"));
    let begun: Vec<(u16, UdpSocket, UdpSocket)> = (0..FLOWS)
        .map(|flow| {
            let port = FIRST_PORT + flow;
            let bind = |host: &Namespace| {
                host.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)))
                    .unwrap()
                    .unwrap()
            };
            let (near, far) = (bind(&inside), bind(&outside));
            near.connect((OUTSIDE, port)).unwrap();
            // As far as the other side sees, the router is its peer.
            far.connect((ROUTER_OUTSIDE, port)).unwrap();
            for socket in [&near, &far] {
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
            }
            // Here the flow begins, else what comes from outside first is another one.
            near.send(&0u32.to_be_bytes()).unwrap();
            assert_eq!(far.recv(&mut [0; 4]).unwrap(), 4, "the flow of port {port} begins");
            (port, near, far)
        })
        .collect();
    thread::sleep(pause);
    thread::scope(|scope| {
        let ports = begun.into_iter().map(|(port, near, far)| {
            scope.spawn(move || {
                let [outward, inward] = [AtomicU64::new(0), AtomicU64::new(0)];
                thread::scope(|scope| {
                    scope.spawn(|| send(&near, &outward));
                    scope.spawn(|| send(&far, &inward));
                    scope.spawn(|| receive(&near, &inward));
                    receive(&far, &outward);
                });
                (port, [EACH + 1, EACH])
            })
        });
        let ports: Vec<_> = ports.collect();
        ports.into_iter().map(|port| port.join().unwrap()).collect()
    })
}

fn send(socket: &UdpSocket, received: &AtomicU64) {
    let deadline = Instant::now() + PATIENCE;
    for number in 1..=EACH {
        while number > received.load(Ordering::Acquire) + AHEAD {
            assert!(Instant::now() < deadline, "what was sent does not arrive");
            thread::yield_now();
        }
        socket.send(&(number as u32).to_be_bytes()).unwrap();
    }
}

#[track_caller]
fn receive(socket: &UdpSocket, received: &AtomicU64) {
    for expected in 1..=EACH {
        let mut number = [0; 4];
        socket.recv(&mut number).unwrap();
        assert_eq!(
            u64::from(u32::from_be_bytes(number)),
            expected,
            "in the order in which they were sent"
        );
        received.store(expected, Ordering::Release);
    }
}

/// What one host sends comes back to it whole, over several connections at once.
fn streams(lab: &Lab) {
    let (inside, outside) = (host(lab, "inside"), host(lab, "outside"));
    let listener = outside.run(|| TcpListener::bind((OUTSIDE, 80))).unwrap().unwrap();
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let to = SocketAddr::from((OUTSIDE, 80));
            let stream = inside
                .run(|| TcpStream::connect_timeout(&to, PATIENCE))
                .unwrap()
                .unwrap();
            let (mut echo, _) = listener.accept().unwrap();
            let mut back = echo.try_clone().unwrap();
            let mut stream_out = stream.try_clone().unwrap();
            let mut stream = stream;
            for stream in [&stream, &echo] {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
            }
            scope.spawn(move || {
                std::io::copy(&mut echo, &mut back).and_then(|_| back.shutdown(std::net::Shutdown::Write))
            });
            let noise = move |at: usize| ((at + connection).wrapping_mul(0x9e37_79b9) >> 11) as u8;
            scope.spawn(move || {
                let all: Vec<u8> = (0..STREAM).map(noise).collect();
                stream_out.write_all(&all).unwrap();
                stream_out.shutdown(std::net::Shutdown::Write).unwrap();
            });
            scope.spawn(move || {
                let mut all = Vec::new();
                stream.read_to_end(&mut all).unwrap();
                assert_eq!(all.len(), STREAM);
                assert!(
                    all.iter().enumerate().all(|(at, byte)| *byte == noise(at)),
                    "connection {connection}"
                );
            });
        }
    });
}

/// Rules, rules that share a state, and tracking have seen every datagram once.
fn counted(lab: &Lab, sent: &BTreeMap<u16, [u64; 2]>) {
    let [outward, inward] = [0, 1].map(|way: usize| sent.values().map(|it| it[way]).sum::<u64>());
    let all = outward + inward;
    let flows = sent.len() as u64;
    for (rule, expected) in [
        ("-A FORWARD -i lan -p udp -m comment --comment outward", outward),
        ("-A FORWARD -i wan -p udp -m comment --comment inward", inward),
        ("-m comment --comment tenth", all / 10),
        ("-m comment --comment bucket", 50),
        ("-A POSTROUTING -o wan -p udp -j MASQUERADE", flows),
    ] {
        assert_eq!(lab.packets(rule), expected, "{rule}\n{}", lab.saved());
    }
    let of_state = |state| lab.packets(&format!("-A FORWARD -p udp -m conntrack --ctstate {state} -j ACCEPT"));
    assert_eq!(of_state("NEW") + of_state("ESTABLISHED"), all, "{}", lab.saved());
    let listed = lab.tool(&["conntrack", "-L", "-p", "udp"]).good();
    for (port, ways) in sent {
        let flow = listed
            .lines()
            .find(|line| line.contains(&format!("sport={port} dport={port} packets=")));
        let flow = flow.unwrap_or_else(|| panic!("no flow of port {port} in\n{listed}"));
        let counts: Vec<u64> = flow
            .split_ascii_whitespace()
            .filter_map(|word| word.strip_prefix("packets=")?.parse().ok())
            .collect();
        assert_eq!(counts, ways, "{flow}");
    }
    let status = lab.tool(&["status", "--json"]).good();
    assert!(status.contains("\"lost\":0"), "{status}");
}

fn host(lab: &Lab, name: &str) -> Namespace {
    Namespace::at(Path::new(&format!("/run/netns/{}-{name}", lab.scratch.name)))
}

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const ROUTER_OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FIRST_PORT: u16 = 7000;
const FLOWS: u16 = 10;
/// Datagrams of each direction.
const EACH: u64 = 2000;
/// Datagrams under way.
const AHEAD: u64 = 48;
const CONNECTIONS: usize = 6;
const STREAM: usize = 2 << 20;
/// After three seconds without a packet a kernel that learned where packets of a flow are written (and so shall ours not) has forgotten it. Where then both
/// ends begin at once, it would move flows from queue to queue while packets are under way.
const FORGOTTEN: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(15);

const RULES: &str = "*nat
-A POSTROUTING -o wan -p udp -j MASQUERADE
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*raw
-A PREROUTING -p udp -m statistic --mode nth --every 10 --packet 0 -m comment --comment tenth
-A PREROUTING -p udp -m limit --limit 2/hour --limit-burst 50 -m comment --comment bucket
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -i lan -p udp -m comment --comment outward
-A FORWARD -i wan -p udp -m comment --comment inward
-A FORWARD -p udp -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -p udp -m conntrack --ctstate NEW -j ACCEPT
-A FORWARD -m conntrack --ctstate NEW -j ACCEPT
COMMIT
";

/// Of another table, so that what the others have counted goes on. What rules of a table keep beside counters begins anew when it is edited, so
/// those of this kind have a table that is not.
const BESIDE: &str = "*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -s 203.0.113.9 -j MARK --set-mark 1
COMMIT
";
