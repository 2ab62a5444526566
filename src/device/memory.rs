//! Two devices joined in memory: what one sends the other receives, in order. For tests, and where there is no TUN.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Device;
use crate::base::InterfaceName;

/// One end of a pair. Dropping an end leaves the other one usable: what it sends is then never read.
pub struct MemoryDevice {
    name: InterfaceName,
    incoming: Queue,
    outgoing: Queue,
}

impl MemoryDevice {
    /// Two ends that see each other. Each direction holds at most `QUEUE_LENGTH` packets.
    pub fn pair(one: InterfaceName, other: InterfaceName) -> (Self, Self) {
        let (forth, back) = (Queue::default(), Queue::default());
        (
            Self {
                name: one,
                incoming: Arc::clone(&back),
                outgoing: Arc::clone(&forth),
            },
            Self {
                name: other,
                incoming: forth,
                outgoing: back,
            },
        )
    }

    /// Packets that wait to be received.
    pub fn waiting(&self) -> usize {
        self.incoming.lock().len()
    }
}

impl Device for MemoryDevice {
    fn name(&self) -> InterfaceName {
        self.name
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(packet) = self.incoming.lock().pop_front() else {
            return Ok(None);
        };
        let length = packet.len().min(buffer.len());
        buffer[..length].copy_from_slice(&packet[..length]);
        Ok(Some(length))
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        let mut queue = self.outgoing.lock();
        if queue.len() >= QUEUE_LENGTH {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        queue.push_back(packet.into());
        Ok(())
    }
}

type Queue = Arc<Mutex<VecDeque<Box<[u8]>>>>;

/// Packets a direction holds before a sender is told that there is no room; a TUN's queue has 500 of them unless told otherwise.
pub const QUEUE_LENGTH: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (MemoryDevice, MemoryDevice) {
        MemoryDevice::pair(InterfaceName::new("a").unwrap(), InterfaceName::new("b").unwrap())
    }

    #[test]
    fn packets_cross_in_order_both_ways() {
        let (mut a, mut b) = pair();
        a.send(&[1, 2, 3]).unwrap();
        a.send(&[4]).unwrap();
        b.send(&[9]).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(b.waiting(), 2);
        assert_eq!(b.receive(&mut buffer).unwrap(), Some(3));
        assert_eq!(&buffer[..3], &[1, 2, 3]);
        assert_eq!(b.receive(&mut buffer).unwrap(), Some(1));
        assert_eq!(b.receive(&mut buffer).unwrap(), None);
        assert_eq!(a.receive(&mut buffer).unwrap(), Some(1));
        assert_eq!((a.name().as_str(), b.name().as_str()), ("a", "b"));
    }

    #[test]
    fn a_full_queue_says_so_and_a_short_buffer_cuts() {
        let (mut a, mut b) = pair();
        for _ in 0..QUEUE_LENGTH {
            a.send(&[7; 10]).unwrap();
        }
        assert_eq!(a.send(&[0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(b.receive(&mut [0; 4]).unwrap(), Some(4));
        a.send(&[0]).unwrap();
    }
}
