//! A device over a pair of sockets, which epoll can wait for as for a TUN; `benches/packet_delay.rs` takes it from here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::{Device, InterfaceName, Port};

struct SocketDevice(OwnedFd);

impl Device for SocketDevice {
    fn name(&self) -> InterfaceName {
        InterfaceName::default()
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::io::read(&self.0, buffer) {
            Ok(length) => Ok(Some(length)),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        rustix::io::write(&self.0, packet)?;
        Ok(())
    }
}

impl AsFd for SocketDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A port with such a device, and the other end of it.
pub(super) fn port() -> (Port, OwnedFd) {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (inside, outside) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let port = Port {
        name: InterfaceName::default(),
        devices: vec![Box::new(SocketDevice(inside))],
        segment: None,
        counters: Arc::default(),
    };
    (port, outside)
}
