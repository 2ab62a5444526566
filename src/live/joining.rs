//! What goes to one device within a batch: segments of TCP that follow one another leave as one, if the device takes such (what the kernel calls
//! GRO). Only what can be joined waits, and no longer than the batch: so nothing that came alone is late. Packets of one flow keep their order;
//! those of others may overtake what waits, as they do in the kernel.

use super::event_loop::{Carried, PollDevice};
use crate::base::Family;
use crate::packet::Joined;

/// A device's packets that wait for others of their flows, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Joining {
    held: Vec<Joined>,
    /// Buffers for who gives one away.
    spare: Vec<Vec<u8>>,
}

impl Joining {
    /// Sends a packet, or keeps it until [`Self::flush`]; `lost` is told how many it was handed that the device does not take.
    pub(super) fn send(&mut self, device: &mut dyn PollDevice, packet: Carried<'_>, lost: &mut dyn FnMut(u64)) {
        let Carried { bytes, offload } = packet;
        if let Some(at) = self.held.iter().position(|held| held.is_of_flow_of(bytes)) {
            let is_joined = self.held[at].join(bytes, offload);
            if !is_joined || self.held[at].is_closed() {
                let joined = self.held.remove(at);
                self.send_joined(device, joined, lost);
            }
            if is_joined {
                return;
            }
        }
        let takes = Family::of_packet(bytes).is_some_and(|it| device.offloads().takes_segments(it));
        match takes.then(|| Joined::begin(bytes, offload)).flatten() {
            Some(joined) => {
                *bytes = self.spare.pop().unwrap_or_default();
                if self.held.len() == FLOWS {
                    let oldest = self.held.remove(0);
                    self.send_joined(device, oldest, lost);
                }
                self.held.push(joined);
            }
            None => {
                if device.send_with(bytes, offload).is_err() {
                    lost(1);
                }
            }
        }
    }

    /// Sends all that waits.
    pub(super) fn flush(&mut self, device: &mut dyn PollDevice, lost: &mut dyn FnMut(u64)) {
        let mut held = std::mem::take(&mut self.held);
        for joined in held.drain(..) {
            self.send_joined(device, joined, lost);
        }
        self.held = held;
    }

    /// Each of the packets that it stands for was counted as sent, and so each is lost with it.
    fn send_joined(&mut self, device: &mut dyn PollDevice, joined: Joined, lost: &mut dyn FnMut(u64)) {
        let count = joined.count();
        let (whole, left) = joined.finish();
        if device.send_with(&whole, left).is_err() {
            lost(count.into());
        }
        self.spare.push(whole);
    }
}

/// As many flows wait at a device as in a bucket of the kernel's.
const FLOWS: usize = 8;

#[cfg(test)]
mod tests;
