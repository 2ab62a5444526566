//! Where packets come from and go to: captures, TUN; where results go, and where texts come from: files, standard output.
//!
//! A [`Device`](crate::device::Device) moves whole IP packets of either family, nothing below them: no link header, no clock. What it must never do is block.
//!
//! How it will grow, so that no caller needs a rebuild:
//! - *Offload.* A TUN with `IFF_VNET_HDR` hands over segments of up to 64 KiB with only the pseudo-header summed, and says so in a header before
//!   the packet. That arrives as a second pair of methods with default bodies (`receive_with`, `send_with`, carrying `packet`'s own
//!   checksum state and segment size beside the bytes); the defaults say "complete, not segmented" and call the pair below.
//! - *Queues.* A queue of a multi-queue TUN is a file of its own, so it is a `Device` of its own: opening one gives a list of devices of the same
//!   name, and a worker owns one of them. Nothing here is shared, so there is nothing to lock.

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

use std::io;

#[cfg(target_os = "linux")]
use crate::base::InterfaceName;
pub use capture::{CaptureError, CaptureProblem, CaptureReader, CaptureWriter, CapturedPacket, Direction, Frame};
pub use link::Content;
pub use tun::{TunDevice, TunError};
pub use undecoded::Undecoded;

/// The largest IP packet that a device hands over: what a 16-bit total length can say (a jumbogram is none).
pub const LARGEST_PACKET: usize = 65_535;

/// A source and sink of IP packets.
pub trait Device: Send {
    /// The interface's name, as rules and the lab call it.
    fn name(&self) -> InterfaceName;

    /// Copies the next packet into `buffer` and says its length; `Ok(None)` when none waits. A packet that is longer than the buffer is cut, so
    /// give it [`LARGEST_PACKET`] bytes.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Sends one packet. `WouldBlock` says that the other side has no room, and the packet is lost, as on a full transmit queue.
    fn send(&mut self, packet: &[u8]) -> io::Result<()>;
}
