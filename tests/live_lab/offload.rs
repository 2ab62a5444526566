//! Packets that stand for many, beside the kernel: what it cuts of them, and what it does with them as a router and by rules.

pub(super) mod rules;

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use nflab::TOOLBOX;
use nflab::base::{InterfaceId, Random};
use nflab::device::syscall::{Namespaces, unshare};
use nflab::device::{Device, Received, TunDevice};
use nflab::engine::{Port, Silent};
use nflab::lab::file::LabFile;
use nflab::lab::memory::Lab;
use nflab::live::netlink::Netlink;
use nflab::packet::{ChecksumState, Offload, Packet, cut};
use nflab::wire::{be16, checksum, put16};

const SENDER: [u8; 4] = [10, 81, 0, 2];
const ROUTER: [u8; 4] = [10, 81, 0, 1];
const RECEIVER: [u8; 4] = [10, 82, 0, 2];

/// A kernel that routes between two devices, and the packets that came out of each.
struct Kernel {
    near: TunDevice,
    far: TunDevice,
}

impl Kernel {
    /// In a namespace of the calling thread's own.
    fn new(far_offload: bool, far_mtu: u32) -> Self {
        unshare(Namespaces::Network).unwrap();
        let set = |key: &str, value: &str| std::fs::write(format!("/proc/sys/net/{key}"), value).unwrap();
        set("ipv4/ip_forward", "1");
        set("ipv6/conf/default/disable_ipv6", "1");
        let near = TunDevice::open_with_offload("near").unwrap();
        assert!(
            near.offloads().tcp4 && near.offloads().udp,
            "this kernel has no offload for TUN"
        );
        let far = match far_offload {
            true => TunDevice::open_with_offload("far").unwrap(),
            false => TunDevice::open("far").unwrap(),
        };
        let mut netlink = Netlink::open().unwrap();
        for (name, address, mtu) in [("near", ROUTER, 1500), ("far", [10, 82, 0, 1], far_mtu)] {
            let link = netlink.index(name).unwrap().unwrap();
            netlink.set_mtu(link, mtu).unwrap();
            netlink.set_queue_length(link, 20_000).unwrap();
            netlink.add_address(link, address.into(), 24).unwrap();
            netlink.set_up(link).unwrap();
        }
        Self { near, far }
    }
}

/// The next packet, waited for as long as this.
fn next(device: &mut TunDevice, patience: Duration) -> Option<(Vec<u8>, Offload)> {
    let mut buffer = Vec::new();
    loop {
        match device.receive_with(&mut buffer).unwrap() {
            Received::Packet(offload) => return Some((buffer, offload)),
            Received::Refused(why) => panic!("the kernel wrote what cannot be: {why}"),
            Received::Nothing => {
                let timeout = Timespec::try_from(patience).unwrap();
                let mut waited = [PollFd::from_borrowed_fd(device.as_fd(), PollFlags::IN)];
                if poll(&mut waited, Some(&timeout)).unwrap() == 0 {
                    return None;
                }
            }
        }
    }
}

fn in_a_namespace(work: impl FnOnce() + Send + 'static) {
    if let Err(panic) = thread::spawn(work).join() {
        std::panic::resume_unwind(panic);
    }
}

struct Made {
    to: [u8; 4],
    port: u16,
    ttl: u8,
    df: bool,
    size: u16,
    flags: u8,
    is_tcp: bool,
    options: usize,
    data: Vec<u8>,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            to: RECEIVER,
            port: 80,
            ttl: 64,
            df: true,
            size: 1000,
            flags: 0x18,
            is_tcp: true,
            options: 0,
            data: (0..4500u32).map(|at| (at * 7) as u8).collect(),
        }
    }
}

impl Made {
    fn packet(&self, identification: u16) -> (Vec<u8>, Offload) {
        let ip: PacketBuilderStep<IpHeaders> = PacketBuilder::ipv4(SENDER, self.to, self.ttl);
        let mut bytes = Vec::new();
        if self.is_tcp {
            let options = vec![1; self.options * 4];
            let tcp = ip.tcp(4000, self.port, 0xffff_fc00, 500).ack(2000);
            let tcp = tcp.options_raw(&options).unwrap();
            tcp.write(&mut bytes, &self.data).unwrap();
            bytes[33] = self.flags;
        } else {
            ip.udp(4000, self.port).write(&mut bytes, &self.data).unwrap();
        }
        put16(&mut bytes, 4, identification);
        bytes[6] = if self.df { 0x40 } else { 0 };
        let mut packet = Packet::parse(bytes).unwrap();
        packet.fill_header_checksum();
        let length = packet.transport().len();
        let sum = checksum::pseudo_header(packet.source(), packet.destination(), packet.protocol(), length);
        put16(packet.transport_mut(), self.checksum_at(), checksum::fold(sum));
        let offload = Offload {
            checksum: ChecksumState::Partial,
            segment_size: self.size,
            ecn: false,
        };
        (packet.into_bytes(), offload)
    }

    fn checksum_at(&self) -> usize {
        if self.is_tcp { 16 } else { 6 }
    }

    /// Changes the data so that the first segment's checksum comes to zero.
    fn with_a_zero_sum(mut self) -> Self {
        let (bytes, offload) = self.packet(0);
        let mut first = None;
        cut(&bytes, offload.segment_size, &mut Vec::new(), &mut |piece| {
            first.get_or_insert_with(|| be16(piece, 20 + self.checksum_at()));
        });
        let word = u32::from(be16(&self.data, 0)) + u32::from(first.unwrap());
        put16(&mut self.data, 0, checksum::fold(word));
        self
    }
}

fn segments(bytes: &[u8], offload: Offload) -> Vec<Vec<u8>> {
    let mut packet = Packet::parse(bytes.to_vec()).unwrap();
    packet.decrement_ttl();
    let mut all = Vec::new();
    cut(packet.bytes(), offload.segment_size, &mut Vec::new(), &mut |piece| {
        all.push(piece.clone());
    });
    all
}

pub(super) fn segments_are_what_the_kernel_cuts() {
    in_a_namespace(|| {
        let Kernel { mut near, mut far } = Kernel::new(false, 1500);
        let mut random = Random::new(7);
        let mut made = vec![
            Made::default().with_a_zero_sum(),
            Made {
                is_tcp: false,
                ..Made::default()
            }
            .with_a_zero_sum(),
        ];
        for _ in 0..150 {
            let size = 8 + random.below(1380) as u16;
            let data = 1 + u32::from(size) + random.below(u32::from(size) * 20);
            made.push(Made {
                df: random.below(2) == 0,
                size,
                flags: random.next_u32() as u8,
                is_tcp: random.below(3) != 0,
                options: random.below(11) as usize,
                data: (0..data.min(65_000)).map(|_| random.next_u32() as u8).collect(),
                ..Made::default()
            });
        }
        // What `UDP_SEGMENT` lets a program send.
        made.extend((1..8).map(|size| Made {
            size,
            is_tcp: false,
            data: vec![3; usize::from(size) * 128],
            ..Made::default()
        }));
        let mut compared = 0;
        for (number, made) in made.iter().enumerate() {
            let (bytes, offload) = made.packet(random.next_u32() as u16);
            near.send_with(&bytes, offload).unwrap();
            for (at, expected) in segments(&bytes, offload).into_iter().enumerate() {
                let (got, _) =
                    next(&mut far, Duration::from_secs(5)).unwrap_or_else(|| panic!("{number}: no segment {at}"));
                assert!(got == expected, "{number}, segment {at}:\n{got:02x?}\n{expected:02x?}");
                compared += 1;
            }
        }
        assert!(compared > 500, "{compared}");
        assert!(next(&mut far, Duration::ZERO).is_none());
    });
}

/// What leaves by each device: two kinds of wires that are told apart by their numbers.
type Left = Vec<(usize, Vec<u8>, Offload)>;

/// Without what a host draws: the identification of what it sends itself (NAT may give that another's address), and what follows from that.
fn without_draws(left: Left) -> Left {
    let blank = |(wire, mut bytes, offload): (usize, Vec<u8>, Offload)| {
        let is_icmp = bytes[9] == 1;
        if is_icmp || bytes[12..16] == ROUTER {
            put16(&mut bytes, 4, 0);
            put16(&mut bytes, 10, 0);
        }
        (wire, bytes, offload)
    };
    left.into_iter().map(blank).collect()
}

/// The kernel, and nflab's router in memory with the same two devices.
struct Beside {
    kernel: Kernel,
    lab: Lab,
    wires: [InterfaceId; 2],
}

impl Beside {
    fn new(far_mtu: u32) -> Self {
        let text = format!(
            "[interface.near]\naddress = \"10.81.0.1/24\"\n[interface.far]\naddress = \"10.82.0.1/24\"\nmtu = {far_mtu}\n"
        );
        let file = LabFile::parse("two", &text).unwrap();
        let mut lab = Lab::new(&file, 1, TOOLBOX).unwrap();
        lab.leave_to_devices();
        let wires = ["near", "far"].map(|name| lab.interface(name).unwrap());
        let kernel = Kernel::new(true, far_mtu);
        Self { kernel, lab, wires }
    }

    /// A packet comes in by `near`, and the same leaves both; how many that are.
    fn carry(&mut self, what: &str, (bytes, offload): (Vec<u8>, Offload)) -> usize {
        self.kernel.near.send_with(&bytes, offload).unwrap();
        let carried = (&mut bytes.clone(), offload);
        let (_, emissions) = self.lab.carry_with(self.wires[0], carried, &mut Silent);
        let mut ours = Left::new();
        for emission in emissions {
            if let Port::Interface(id) = emission.port {
                let wire = self.wires.iter().position(|it| *it == id).unwrap();
                ours.push((wire, emission.bytes.clone(), emission.offload));
            }
        }
        let mut theirs = Left::new();
        for (wire, device) in [&mut self.kernel.near, &mut self.kernel.far].into_iter().enumerate() {
            let expected = ours.iter().filter(|(it, ..)| *it == wire).count();
            for _ in 0..expected {
                let came = next(device, Duration::from_secs(5));
                let (bytes, offload) = came.unwrap_or_else(|| panic!("{what}: the kernel sends less by {wire}"));
                theirs.push((wire, bytes, offload));
            }
        }
        for device in [&mut self.kernel.near, &mut self.kernel.far] {
            let more = next(device, Duration::ZERO);
            assert!(more.is_none(), "{what}: the kernel sends more: {more:02x?}");
        }
        ours.sort_by_key(|(wire, ..)| *wire);
        let finished = |left: Left| {
            let done = |(wire, mut bytes, offload): (usize, Vec<u8>, Offload)| {
                // Who sums what is whole is the device's affair.
                if offload.segment_size == 0 && offload.checksum == ChecksumState::Partial {
                    nflab::packet::finish(&mut bytes);
                }
                (wire, bytes, offload.segment_size)
            };
            without_draws(left).into_iter().map(done).collect::<Vec<_>>()
        };
        let (ours, theirs) = (finished(ours), finished(theirs));
        assert!(ours == theirs, "{what}:\nours   {ours:02x?}\nkernel {theirs:02x?}");
        ours.len()
    }
}

pub(super) fn what_stands_for_many_is_routed_as_the_kernel_routes_it() {
    const FAR_MTU: u32 = 900;
    in_a_namespace(|| {
        let mut beside = Beside::new(FAR_MTU);
        let udp = || Made {
            is_tcp: false,
            ..Made::default()
        };
        let made = [
            (
                "fits in segments",
                Made {
                    size: 800,
                    ..Made::default()
                },
            ),
            (
                "just fits",
                Made {
                    size: 860,
                    ..Made::default()
                },
            ),
            (
                "a byte too much",
                Made {
                    size: 861,
                    ..Made::default()
                },
            ),
            ("too big", Made::default()),
            (
                "segments in fragments",
                Made {
                    df: false,
                    ..Made::default()
                },
            ),
            ("datagrams", Made { size: 700, ..udp() }),
            ("datagrams in fragments", Made { df: false, ..udp() }),
            ("datagrams too big", udp()),
            (
                "no time to live",
                Made {
                    ttl: 1,
                    size: 800,
                    ..Made::default()
                },
            ),
            (
                "CWR",
                Made {
                    flags: 0x98,
                    size: 800,
                    ..Made::default()
                },
            ),
            (
                "one that said to be many",
                Made {
                    size: 4500,
                    df: false,
                    ..Made::default()
                },
            ),
            (
                "nobody listens",
                Made {
                    to: ROUTER,
                    size: 800,
                    ..Made::default()
                },
            ),
            (
                "no datagram is wanted",
                Made {
                    to: ROUTER,
                    size: 800,
                    ..udp()
                },
            ),
        ];
        for (number, (what, made)) in made.into_iter().enumerate() {
            let left = beside.carry(what, made.packet(100 + 10 * number as u16));
            assert_ne!(left, 0, "{what}: nothing leaves");
        }
    });
}
