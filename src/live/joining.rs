//! What goes to one device within a batch: segments of TCP that follow one another leave as one, if the device takes such (what the kernel calls
//! GRO). Only what can be joined waits, and no longer than the batch: so nothing that came alone is late. Packets of one flow keep their order;
//! those of others may overtake what waits, as they do in the kernel.

use std::io;

use super::event_loop::{Carried, PollDevice};
use crate::packet::Joined;

/// A device's packets that wait for others of their flows, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Joining {
    held: Vec<Joined>,
    /// Buffers for who gives one away.
    spare: Vec<Vec<u8>>,
}

impl Joining {
    /// Sends a packet, or keeps it until [`Self::flush`]; `lost` is told of each that the device does not take.
    pub(super) fn send(&mut self, device: &mut dyn PollDevice, packet: Carried<'_>, lost: &mut dyn FnMut()) {
        let Carried { bytes, offload } = packet;
        let mut sent = |result: io::Result<()>| {
            if result.is_err() {
                lost();
            }
        };
        if let Some(at) = self.held.iter().position(|held| held.is_of_flow_of(bytes)) {
            let is_joined = self.held[at].join(bytes, offload);
            if !is_joined || self.held[at].is_closed() {
                let (whole, left) = self.held.remove(at).finish();
                sent(device.send_with(&whole, left));
                self.spare.push(whole);
            }
            if is_joined {
                return;
            }
        }
        match device.offloads().tcp4.then(|| Joined::begin(bytes, offload)).flatten() {
            Some(joined) => {
                *bytes = self.spare.pop().unwrap_or_default();
                if self.held.len() == FLOWS {
                    let (whole, left) = self.held.remove(0).finish();
                    sent(device.send_with(&whole, left));
                    self.spare.push(whole);
                }
                self.held.push(joined);
            }
            None => sent(device.send_with(bytes, offload)),
        }
    }

    /// Sends all that waits.
    pub(super) fn flush(&mut self, device: &mut dyn PollDevice, lost: &mut dyn FnMut()) {
        for joined in self.held.drain(..) {
            let (whole, left) = joined.finish();
            if device.send_with(&whole, left).is_err() {
                lost();
            }
            self.spare.push(whole);
        }
    }
}

/// As many flows wait at a device as in a bucket of the kernel's.
const FLOWS: usize = 8;

#[cfg(test)]
mod tests;
