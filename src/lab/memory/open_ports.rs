//! What listens on the router.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::net::Listeners;
use crate::packet::Packet;

/// Which ports of the router something listens on.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenPorts(pub Arc<RwLock<Vec<(u8, u16)>>>);

impl Listeners for OpenPorts {
    fn is_open(&self, packet: &Packet) -> bool {
        let Some((_, port)) = packet.ports() else {
            return false;
        };
        self.0.read().contains(&(packet.protocol(), port))
    }
}

/// What is open on the machine a copy was made of, and what was opened on the copy.
pub(super) struct AlsoOpen {
    pub before: Arc<dyn Listeners + Send + Sync>,
    pub also: OpenPorts,
}

impl Listeners for AlsoOpen {
    fn is_open(&self, packet: &Packet) -> bool {
        self.before.is_open(packet) || self.also.is_open(packet)
    }
}
