//! What leaves because of packets that were read together: it is sent once all of them have been carried, in the order in which it came out of the
//! router.

use super::event_loop::{Carried, Port, PortIndex};
use super::joining::Joining;
use super::segment::Delivery;
use crate::packet::Offload;

/// Packets that wait to be sent, the first ones of `packets`; those behind are buffers for more.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    packets: Vec<Leaver>,
    count: usize,
}

#[derive(Debug, Default)]
struct Leaver {
    port: usize,
    /// Among the port's devices; `None` for all of them.
    device: Option<usize>,
    bytes: Vec<u8>,
    offload: Offload,
}

impl Leaving {
    /// Takes a packet from the router for who shall have it, and leaves another buffer in its place. Where many wait, they are sent first.
    pub(super) fn take(
        &mut self,
        ports: &mut [Port],
        joining: &mut [Vec<Joining>],
        to: PortIndex,
        packet: Carried<'_>,
    ) {
        let index = usize::from(to.0);
        let Some(port) = ports.get(index) else { return };
        port.counters.sent.add_one();
        let delivery = match &port.segment {
            Some(segment) => segment.deliver_from_router(packet.bytes),
            None => Delivery::Host(0),
        };
        let device = match delivery {
            Delivery::Host(host) => Some(host),
            Delivery::Everyone => None,
            Delivery::Router | Delivery::Nobody => return port.counters.unresolved.add_one(),
        };
        if self.count == MOST {
            self.send(ports, joining);
        }
        if self.packets.len() == self.count {
            self.packets.push(Leaver::default());
        }
        let leaver = &mut self.packets[self.count];
        (leaver.port, leaver.device, leaver.offload) = (index, device, packet.offload);
        std::mem::swap(&mut leaver.bytes, packet.bytes);
        self.count += 1;
    }

    /// Sends all that waits, but for what may be joined with more to come.
    pub(super) fn send(&mut self, ports: &mut [Port], joining: &mut [Vec<Joining>]) {
        for leaver in &mut self.packets[..self.count] {
            let Leaver {
                port: index,
                device,
                bytes,
                offload,
            } = leaver;
            let (Some(port), Some(joining)) = (ports.get_mut(*index), joining.get_mut(*index)) else {
                continue;
            };
            match device {
                None => (0..port.devices.len()).for_each(|device| port.send_to(device, bytes, *offload)),
                Some(device) => match (port.devices.get_mut(*device), joining.get_mut(*device)) {
                    (Some(device), Some(joining)) => {
                        let packet = Carried {
                            bytes,
                            offload: *offload,
                        };
                        joining.send(&mut **device, packet, &mut |count| port.counters.lost.add(count));
                    }
                    _ => port.counters.lost.add_one(),
                },
            }
        }
        self.count = 0;
    }
}

/// Packets that wait at most: one that comes may leave as very many.
const MOST: usize = 64;
