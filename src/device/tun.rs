//! A TUN device, through the `tun-tap` crate; with offload, of which that crate knows nothing, through [`syscall`](super::syscall).
//!
//! A TUN belongs to the network namespace of the thread that opened it, and its file works from any other: so a lab opens one inside a host's
//! namespace and keeps the file. It goes away with its file, also when the process is killed.
//!
//! *Several queues* ([`TunDevice::open_queues`]) are several files of one device; the kernel puts a packet into one of them by the hash of its
//! addresses and ports, and would from then on put a flow where packets of it were last written. Where NAT makes the two directions of a flow hash
//! differently, it so moves flows that are under way from queue to queue (Linux 6.18: of 64 directions of UDP that began together, 9 to 31 had
//! datagrams out of order). So a queue is written through a second file, which is detached: the kernel learns nothing of that, and the hash
//! alone says where a packet goes.

use std::io;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use tun_tap::{Iface, Mode};

use super::syscall::TunFlags;
use super::{Device, LARGEST_PACKET, Offloads, Received, syscall, vnet};
use crate::base::{Family, InterfaceName, protocol};
use crate::packet::{Offload, cut, finish, transport_of};

/// An open TUN device, or one queue of it: IP packets, and with offload packets that stand for many, and such whose checksum is unfinished.
pub struct TunDevice {
    file: File,
    /// Where packets are written, if not to `file`.
    output: Option<OwnedFd>,
    /// Of a device of one queue, another handle has what comes; why there is no queue for this one.
    only_written_because: Option<Arc<io::Error>>,
    name: InterfaceName,
    offloads: Offloads,
    /// Where packets are finished that the device does not take as they are.
    finished: Vec<u8>,
    /// What came last was large, and so may be what comes next.
    expects_large: bool,
    /// A header and its packet, to be written in one piece.
    record: Vec<u8>,
}

enum File {
    /// One packet is one record. The crate's where it makes the device.
    Crate(Iface),
    Plain(OwnedFd),
    /// A header stands before each packet.
    WithHeader(OwnedFd),
}

impl TunDevice {
    /// Makes the device `name` in the namespace of the calling thread. It is down and has no address yet.
    pub fn open(name: &str) -> Result<Self, TunError> {
        // tun-tap cuts a longer name without a word, and `%d` in a name makes the kernel choose a number.
        let wanted = valid_name(name).ok_or_else(|| TunError::BadName { name: name.into() })?;
        let interface = Iface::without_packet_info(name, Mode::Tun).map_err(|error| TunError::of(name, error))?;
        if interface.name() != name {
            return Err(TunError::Renamed {
                name: name.into(),
                given: interface.name().into(),
            });
        }
        interface
            .set_non_blocking()
            .map_err(|error| TunError::of(name, error))?;
        Ok(Self::of(File::Crate(interface), wanted, Offloads::default()))
    }

    /// The same, with as much offload as the kernel has; without, where it has none.
    pub fn open_with_offload(name: &str) -> Result<Self, TunError> {
        let wanted = valid_name(name).ok_or_else(|| TunError::BadName { name: name.into() })?;
        let flags = TunFlags {
            header: true,
            several: false,
        };
        if let Ok(file) = syscall::open_tun(name, flags)
            && let Some(offloads) = set_offload(&file)
        {
            return Ok(Self::of(File::WithHeader(file), wanted, offloads));
        }
        // Whatever is wrong beside offload shows here.
        Self::open(name)
    }

    /// Makes the device with so many queues (1 to 128: the kernel has 256, those that are detached among them), each for a worker of its own: packets of one direction of a flow come to one
    /// queue, and whatever is sent by one leaves the device as it was sent. Where no more than one queue can be had, the first of the list
    /// reads it, and through the others packets are sent alone ([`Device::is_only_written`]), which know why.
    pub fn open_queues(name: &str, offload: bool, count: usize) -> Result<Vec<Self>, TunError> {
        let wanted = valid_name(name).ok_or_else(|| TunError::BadName { name: name.into() })?;
        let open_one = || match offload {
            true => Self::open_with_offload(name),
            false => Self::open(name),
        };
        if count <= 1 {
            return Ok(vec![open_one()?]);
        }
        if offload && let Ok(queues) = Self::open_several(name, wanted, true, count) {
            return Ok(queues);
        }
        // Without offload less can be wrong, so what is wrong then is the reason.
        let why = match Self::open_several(name, wanted, false, count) {
            Ok(queues) => return Ok(queues),
            Err(error) => Arc::new(error),
        };
        let first = open_one()?;
        let others: io::Result<Vec<Self>> = (1..count).map(|_| first.to_write(Arc::clone(&why))).collect();
        let others = others.map_err(|error| TunError::of(name, error))?;
        Ok(std::iter::once(first).chain(others).collect())
    }

    /// On an error the device is gone again.
    fn open_several(name: &str, wanted: InterfaceName, header: bool, count: usize) -> io::Result<Vec<Self>> {
        let flags = TunFlags { header, several: true };
        let mut queues: Vec<Self> = Vec::with_capacity(count);
        for _ in 0..count {
            let file = syscall::open_tun(name, flags)?;
            let output = syscall::open_tun(name, flags)?;
            syscall::detach_tun_queue(&output)?;
            // They are the device's, not the queue's.
            let offloads = match queues.first() {
                Some(first) => first.offloads,
                None if header => set_offload(&file).ok_or(io::ErrorKind::Unsupported)?,
                None => Offloads::default(),
            };
            let file = if header {
                File::WithHeader(file)
            } else {
                File::Plain(file)
            };
            queues.push(Self {
                output: Some(output),
                ..Self::of(file, wanted, offloads)
            });
        }
        Ok(queues)
    }

    fn of(file: File, name: InterfaceName, offloads: Offloads) -> Self {
        Self {
            file,
            output: None,
            only_written_because: None,
            name,
            offloads,
            finished: Vec::new(),
            expects_large: false,
            record: Vec::new(),
        }
    }

    /// Another handle on the one queue that there is.
    fn to_write(&self, why: Arc<io::Error>) -> io::Result<Self> {
        let file = self.as_fd().try_clone_to_owned()?;
        let file = match &self.file {
            File::WithHeader(_) => File::WithHeader(file),
            File::Crate(_) | File::Plain(_) => File::Plain(file),
        };
        Ok(Self {
            only_written_because: Some(why),
            ..Self::of(file, self.name, self.offloads)
        })
    }

    /// Whether this process could make one, without making one: `/dev/net/tun` is there and may be opened. Making it also takes
    /// `CAP_NET_ADMIN`, which shows only then.
    pub fn available() -> Result<(), TunError> {
        match std::fs::OpenOptions::new().read(true).write(true).open(CLONE_DEVICE) {
            Ok(_) => Ok(()),
            Err(error) => Err(TunError::of("", error)),
        }
    }
}

impl Device for TunDevice {
    fn name(&self) -> InterfaceName {
        self.name
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut whole = Vec::new();
        loop {
            match self.receive_with(&mut whole)? {
                Received::Packet(offload) => {
                    // Who asks so takes one packet as it is: only a checksum can be finished for them.
                    if !offload.is_done() {
                        finish(&mut whole);
                    }
                    let length = whole.len().min(buffer.len());
                    buffer[..length].copy_from_slice(&whole[..length]);
                    return Ok(Some(length));
                }
                Received::Refused(_) => {}
                Received::Nothing => return Ok(None),
            }
        }
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        self.write(packet, Offload::default())
    }

    fn receive_with(&mut self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        buffer.clear();
        buffer.reserve(vnet::LENGTH + LONGEST_READ);
        let mut header = [0; vnet::LENGTH];
        let file = self.as_fd();
        let mut read_whole = || uninterrupted(|| Ok(rustix::io::read(file, rustix::buffer::spare_capacity(buffer))?));
        let received = match &self.file {
            File::Crate(_) | File::Plain(_) => read_whole(),
            File::WithHeader(_) if self.expects_large => {
                uninterrupted(|| syscall::read_header_and_body(file, &mut header, buffer))
            }
            // Two pieces cost the kernel more than it does to move a small packet to the beginning.
            File::WithHeader(_) => read_whole().inspect(|_| {
                if let Some(first) = buffer.first_chunk() {
                    header = *first;
                    buffer.drain(..vnet::LENGTH);
                }
            }),
        };
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Received::Nothing),
            Err(error) => Err(error),
            Ok(_) if !matches!(self.file, File::WithHeader(_)) => Ok(Received::Packet(Offload::default())),
            Ok(length) if length < vnet::LENGTH => Ok(Received::Refused(vnet::BadOffload::Truncated)),
            Ok(length) => {
                self.expects_large = length > SMALL;
                Ok(vnet::read(&header, buffer).map_or_else(Received::Refused, Received::Packet))
            }
        }
    }

    fn send_with(&mut self, packet: &[u8], offload: Offload) -> io::Result<()> {
        if offload.is_done() || self.takes(packet, offload) {
            return self.write(packet, offload);
        }
        let mut finished = std::mem::take(&mut self.finished);
        let mut sent = Ok(());
        let mut write = |piece: &mut Vec<u8>| {
            if let Err(error) = self.write(piece, Offload::default()) {
                sent = Err(error);
            }
        };
        match offload.segment_size {
            0 => {
                finished.clear();
                finished.extend_from_slice(packet);
                finish(&mut finished);
                write(&mut finished);
            }
            size => cut(packet, size, &mut finished, &mut write),
        }
        self.finished = finished;
        sent
    }

    fn offloads(&self) -> Offloads {
        self.offloads
    }

    fn only_written_because(&self) -> Option<&io::Error> {
        self.only_written_because.as_deref()
    }
}

impl TunDevice {
    fn takes(&self, packet: &[u8], offload: Offload) -> bool {
        let Offloads {
            checksum,
            tcp4,
            tcp6,
            udp,
        } = self.offloads;
        match (offload.segment_size, transport_of(packet)) {
            (0, _) => checksum,
            (_, Some((_, protocol::UDP))) => udp,
            (_, Some((Family::V4, _))) => tcp4,
            (_, Some((Family::V6, _))) => tcp6,
            (_, None) => false,
        }
    }

    fn write(&mut self, packet: &[u8], offload: Offload) -> io::Result<()> {
        let mut record = std::mem::take(&mut self.record);
        let file = self.output.as_ref().map_or_else(|| self.as_fd(), AsFd::as_fd);
        let written = match &self.file {
            File::Crate(_) | File::Plain(_) => uninterrupted(|| Ok(rustix::io::write(file, packet)?)),
            File::WithHeader(_) if packet.len() <= SMALL => {
                record.clear();
                record.extend_from_slice(&vnet::write(packet, offload));
                record.extend_from_slice(packet);
                uninterrupted(|| Ok(rustix::io::write(file, &record)?))
            }
            File::WithHeader(_) => {
                let header = vnet::write(packet, offload);
                let pieces = [IoSlice::new(&header), IoSlice::new(packet)];
                uninterrupted(|| Ok(rustix::io::writev(file, &pieces)?))
            }
        };
        self.record = record;
        written.map(drop)
    }
}

impl AsFd for TunDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.file {
            File::Crate(interface) => syscall::borrow(interface, interface.as_raw_fd()),
            File::Plain(file) | File::WithHeader(file) => file.as_fd(),
        }
    }
}

/// As much as the kernel has; `None` where it has none.
fn set_offload(file: &OwnedFd) -> Option<Offloads> {
    let taken = ASKED
        .iter()
        .find(|(bits, _)| syscall::set_tun_offload(file, *bits).is_ok());
    taken.map(|(_, offloads)| *offloads)
}

/// What is asked of the kernel, the most first: the bits of `TUN_F_...`, and what they mean. UDP came with Linux 6.2, both families at once.
const ASKED: [(u32, Offloads); 3] = [
    (
        CHECKSUM | TCP4 | TCP6 | TCP_ECN | UDP4 | UDP6,
        Offloads {
            checksum: true,
            tcp4: true,
            tcp6: true,
            udp: true,
        },
    ),
    (
        CHECKSUM | TCP4 | TCP6 | TCP_ECN,
        Offloads {
            checksum: true,
            tcp4: true,
            tcp6: true,
            udp: false,
        },
    ),
    (
        CHECKSUM,
        Offloads {
            checksum: true,
            tcp4: false,
            tcp6: false,
            udp: false,
        },
    ),
];
const CHECKSUM: u32 = 0x01;
const TCP4: u32 = 0x02;
const TCP6: u32 = 0x04;
const TCP_ECN: u32 = 0x08;
const UDP4: u32 = 0x20;
const UDP6: u32 = 0x40;

/// A packet of IPv6 has its header beside what its length field tells.
const LONGEST_READ: usize = LARGEST_PACKET + 40;

/// A packet of so many bytes is copied in less time than it takes the kernel to look at a second piece; one of 64 kB is not.
const SMALL: usize = 2048;

/// Why there is no TUN device, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TunError {
    /// The kernel takes no such name.
    #[error(
        "{name:?} cannot name a network interface: a name has 1 to 15 bytes, without `/`, `:`, `%` or blanks, and is not `.` or `..`; choose a shorter or plainer one"
    )]
    BadName {
        /// What was asked for.
        name: String,
    },
    #[error(
        "/dev/net/tun is missing: this kernel or container has no TUN; run `modprobe tun` (`mknod /dev/net/tun c 10 200` where only the node is missing), or give the container the device (`--device /dev/net/tun`)"
    )]
    /// There is no `/dev/net/tun`, or no driver behind it.
    NoTun,
    #[error(
        "/dev/net/tun may not be opened, or no device made with it: run as root, or with CAP_NET_ADMIN and read and write permission on /dev/net/tun"
    )]
    /// EPERM or EACCES, of the node or of the device.
    NoPermission,
    /// EBUSY, EEXIST or EINVAL: the name is another device's.
    #[error(
        "an interface {name:?} exists already in this network namespace: remove it (`ip link delete {name}`) or call the lab's interface something else"
    )]
    Exists {
        /// What was asked for.
        name: String,
    },
    /// It gave the device another name.
    #[error("the kernel called the device {given:?} instead of {name:?}")]
    Renamed {
        /// What was asked for.
        name: String,
        /// What the device is called.
        given: String,
    },
    /// Any other error of the system.
    #[error("cannot make the TUN device {name:?}: {source}")]
    Other {
        /// What was asked for.
        name: String,
        /// What the call failed with.
        source: io::Error,
    },
}

impl TunError {
    fn of(name: &str, error: io::Error) -> Self {
        match error.raw_os_error() {
            // ENODEV and ENXIO: the node is there, its driver is not.
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => Self::NoTun,
            Some(libc::EPERM | libc::EACCES) => Self::NoPermission,
            // EINVAL is what TUNSETIFF says for a name that a device of another kind has; EBUSY for a TUN that is attached already.
            Some(libc::EBUSY | libc::EEXIST | libc::EINVAL) => Self::Exists { name: name.into() },
            _ => Self::Other {
                name: name.into(),
                source: error,
            },
        }
    }
}

/// What a call comes to that a signal does not cut short.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn valid_name(name: &str) -> Option<InterfaceName> {
    let refused = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b':' | b'%' | 0 | 0x0b);
    if name.is_empty() || name == "." || name == ".." || name.bytes().any(refused) {
        return None;
    }
    InterfaceName::new(name)
}

const CLONE_DEVICE: &str = "/dev/net/tun";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_before_the_crate_cuts_them() {
        for name in [
            "",
            "a-name-longer-than-fifteen",
            "a/b",
            "a b",
            "tun%d",
            ".",
            "..",
            "a:1",
            "sixteen-bytes-xx",
        ] {
            match TunDevice::open(name) {
                Err(TunError::BadName { name: told }) => assert_eq!(told, name),
                Err(other) => panic!("{name:?}: {other}"),
                Ok(_) => panic!("{name:?} was accepted"),
            }
        }
    }

    #[test]
    fn a_signal_cuts_nothing_short_and_an_error_ends_it() {
        for (answers, calls, last) in [
            (&[Ok(7)][..], 1, Ok(7)),
            (&[Err(libc::EINTR), Err(libc::EINTR), Ok(7)], 3, Ok(7)),
            (&[Err(libc::EAGAIN), Ok(7)], 1, Err(libc::EAGAIN)),
            (&[Err(libc::EINTR), Err(libc::EBADFD), Ok(7)], 2, Err(libc::EBADFD)),
        ] {
            let mut rest = answers.iter();
            let done = uninterrupted(|| match *rest.next().unwrap() {
                Ok(length) => Ok(length),
                Err(number) => Err(io::Error::from_raw_os_error(number)),
            });
            assert_eq!(done.map_err(|error| error.raw_os_error().unwrap()), last);
            assert_eq!(answers.len() - rest.len(), calls);
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        let error = TunError::of("lan", io::Error::from_raw_os_error(libc::EPERM));
        assert!(matches!(error, TunError::NoPermission));
        assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
        let error = TunError::of("lan", io::Error::from_raw_os_error(libc::EBUSY));
        assert!(error.to_string().contains("ip link delete lan"), "{error}");
        let error = TunError::of("lan", io::Error::from_raw_os_error(libc::ENOENT));
        assert!(error.to_string().contains("modprobe tun"), "{error}");
    }
}
