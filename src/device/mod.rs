//! Where packets come from and go to: captures, TUN; where results go, and where texts come from: files, standard output.
//!
//! A [`Device`](crate::device::Device) moves whole IP packets of either family, nothing below them: no link header, no clock. What it must never do is block.
//!
//! - *Offload.* A TUN with offload hands over packets of up to 64 KiB that stand for many, with only the pseudo-header summed, and takes such:
//!   [`Device::receive_with`](crate::device::Device::receive_with) and `send_with` carry what is left to do of a packet
//!   ([`packet::Offload`](crate::packet::Offload)) beside its bytes. A device that knows nothing of it is handed finished packets.
//! - *Queues*: a queue of a TUN with several is a `Device` of its own. Opening one gives a list of devices of the same name, and a worker owns one of
//!   them. Nothing here is shared, so there is nothing to lock.

mod capture;
pub(crate) mod file_uses;
pub(crate) mod limits;
mod link;
pub(crate) mod result_file;
pub(crate) mod standard;
#[cfg(target_os = "linux")]
#[doc(hidden)]
pub mod syscall;
pub mod text_file;
#[cfg(target_os = "linux")]
mod tun;
pub(crate) mod undecoded;
mod vnet;

use std::io;

#[cfg(target_os = "linux")]
use crate::base::InterfaceName;
pub use capture::{CaptureError, CaptureProblem, CaptureReader, CaptureWriter, CapturedPacket, Direction, Frame};
pub(crate) use capture::{Found, InOrder, SharedFile};
pub use link::Content;
pub use tun::{TunDevice, TunError};
pub use undecoded::Undecoded;
pub use vnet::BadOffload;

use crate::base::Family;
use crate::packet::{Offload, cut, finish};

/// The largest IP packet that a device hands over: what a 16-bit total length can say (a jumbogram is none).
pub const LARGEST_PACKET: usize = 65_535;

/// What a device takes unfinished, and may hand over so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// Checksums of TCP and UDP of which only the pseudo-header is summed.
    pub checksum: bool,
    /// Packets of IPv4 that stand for many segments of TCP.
    pub tcp4: bool,
    /// The same of IPv6.
    pub tcp6: bool,
    /// Packets that stand for many datagrams of UDP.
    pub udp: bool,
}

impl Offloads {
    /// Whether it takes packets of a family that stand for many segments of TCP.
    pub fn takes_segments(self, family: Family) -> bool {
        match family {
            Family::V4 => self.tcp4,
            Family::V6 => self.tcp6,
        }
    }

    /// Their names, as `ethtool -k` has them for short: none where the device takes finished packets alone.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.checksum, "csum"),
            (self.tcp4, "tso4"),
            (self.tcp6, "tso6"),
            (self.udp, "uso"),
        ];
        all.into_iter().filter_map(|(is_on, name)| is_on.then_some(name))
    }
}

/// What came of asking a device for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// One, with this left to do.
    Packet(Offload),
    /// One that is not what its device says, and goes nowhere.
    Refused(BadOffload),
    /// None waits.
    Nothing,
}

/// A source and sink of IP packets.
pub trait Device: Send {
    /// The interface's name, as rules and the lab call it.
    fn name(&self) -> InterfaceName;

    /// Copies the next packet into `buffer` and says its length; `Ok(None)` when none waits. A packet that is longer than the buffer is cut, so
    /// give it [`LARGEST_PACKET`] bytes.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Sends one packet. `WouldBlock` says that the other side has no room, and the packet is lost, as on a full transmit queue.
    fn send(&mut self, packet: &[u8]) -> io::Result<()>;

    /// Puts the next packet into `buffer`, whatever was there before, and says what is left to do of it.
    fn receive_with(&mut self, buffer: &mut Vec<u8>) -> io::Result<Received> {
        buffer.resize(LARGEST_PACKET, 0);
        let length = self.receive(buffer)?;
        buffer.truncate(length.unwrap_or_default());
        Ok(length.map_or(Received::Nothing, |_| Received::Packet(Offload::default())))
    }

    /// Sends one packet of which this is left to do. What the device does not take unfinished is finished before, and cut into the packets that it
    /// stands for; the error is that of the last that was lost.
    fn send_with(&mut self, packet: &[u8], offload: Offload) -> io::Result<()> {
        if offload.is_done() {
            return self.send(packet);
        }
        let mut sent = Ok(());
        let mut buffer = Vec::new();
        let mut send = |piece: &mut Vec<u8>| {
            if let Err(error) = self.send(piece) {
                sent = Err(error);
            }
        };
        match offload.segment_size {
            0 => {
                buffer.extend_from_slice(packet);
                finish(&mut buffer);
                send(&mut buffer);
            }
            size => cut(packet, size, &mut buffer, &mut send),
        }
        sent
    }

    /// What it takes unfinished.
    fn offloads(&self) -> Offloads {
        Offloads::default()
    }

    /// True of a further handle on a device that has one queue: another one has what comes, and by this packets are sent.
    fn is_only_written(&self) -> bool {
        self.only_written_because().is_some()
    }

    /// Why it has no queue of its own; `None` where it has one.
    fn only_written_because(&self) -> Option<&io::Error> {
        None
    }
}
