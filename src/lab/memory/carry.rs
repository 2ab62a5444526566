//! Packets that are only carried, alone or many together: what left is told, and nothing is remembered but the log.

use super::Lab;
use crate::base::InterfaceId;
use crate::engine::{Arrival, Emission, Observer, Report, Router, Silent, Worker};
use crate::packet::Offload;

impl Lab {
    /// A packet as in [`Self::send`], without a story: for many packets. What left is in the second part.
    pub fn carry_silently(&mut self, interface: Option<InterfaceId>, bytes: &[u8]) -> (Report, &[Emission]) {
        self.carry_observed(interface, bytes, &mut Silent)
    }

    /// The same before an observer of one's own.
    pub fn carry_observed<O: Observer>(
        &mut self,
        interface: Option<InterfaceId>,
        bytes: &[u8],
        observer: &mut O,
    ) -> (Report, &[Emission]) {
        let report = self.carry(interface, bytes, observer);
        let log = self.worker.take_log();
        if !log.is_empty() {
            self.machine.log.keep(self.machine.now, log);
        }
        (report, self.worker.output())
    }

    /// Packets that come together, without a story; `each` is told what became of one, and what left because of it, before the next.
    pub fn carry_together<B: AsRef<[u8]>>(
        &mut self,
        packets: &[(InterfaceId, B)],
        each: impl FnMut(&Report, &mut [Emission]),
    ) {
        let now = self.machine.now;
        let router = self.machine.router_for_packets();
        router.receive_batch(&mut self.worker, now, packets, &mut Silent, each);
        let log = self.worker.take_log();
        self.machine.log.keep(now, log);
    }

    /// Packets that come one after another, before an observer of one's own; `each` is told what became of one, and what left because of it, before the
    /// next. The clock is to show the time of the last by now.
    pub(crate) fn carry_in_turn<O: Observer>(
        &mut self,
        packets: &[Arrival<'_>],
        observer: &mut O,
        mut each: impl FnMut(&Router, &mut O, Report, &[Emission]),
    ) {
        self.machine.router_for_packets();
        let machine = &self.machine;
        let mut times = packets.iter().map(|packet| packet.time);
        let router = machine.router();
        router.receive_in_turn(&mut self.worker, packets, observer, |observer, report, worker| {
            let time = times.next();
            let log = worker.take_log();
            if !log.is_empty() {
                machine.log.keep(time.unwrap_or(machine.now), log);
            }
            each(router, observer, report, worker.output());
        });
    }

    /// The same of a packet of which its device leaves something to do. Its bytes are taken, and another buffer is left in their place.
    pub fn carry_with<O: Observer>(
        &mut self,
        interface: InterfaceId,
        packet: (&mut Vec<u8>, Offload),
        observer: &mut O,
    ) -> (Report, &mut [Emission]) {
        let now = self.machine.now;
        let router = self.machine.router_for_packets();
        let report = router.receive_with(&mut self.worker, now, interface, packet, observer);
        let log = self.worker.take_log();
        if !log.is_empty() {
            self.machine.log.keep(now, log);
        }
        (report, self.worker.output_mut())
    }

    /// Packets of one interface that come together, of which their device leaves something to do. Their bytes are taken, and other buffers are left in
    /// their place; `each` gets what left because of one before the next comes. The first has the number of [`Self::number_next`], and each further one
    /// a number that is greater by `numbered_by`.
    pub fn carry_batch_with(
        &mut self,
        interface: InterfaceId,
        packets: &mut [(Vec<u8>, Offload)],
        numbered_by: u64,
        mut each: impl FnMut(&Report, &mut [Emission]),
    ) {
        let now = self.machine.now;
        self.machine.router_for_packets();
        let machine = &self.machine;
        let observer = &mut Silent;
        let router = machine.router();
        router.receive_batch_with(&mut self.worker, now, interface, packets, observer, |report, worker| {
            let log = worker.take_log();
            if !log.is_empty() {
                machine.log.keep(now, log);
            }
            each(report, worker.output_mut());
            worker.number_next(worker.number() + numbered_by);
        });
    }

    /// Packets leave this lab as they are, and devices do what is left.
    pub fn leave_to_devices(&mut self) {
        self.worker.leave_to_devices();
    }

    /// What left because of the last packet, or the last tick.
    pub fn output(&self) -> &[Emission] {
        self.worker.output()
    }

    pub(super) fn carry<O: Observer>(
        &mut self,
        interface: Option<InterfaceId>,
        bytes: &[u8],
        observer: &mut O,
    ) -> Report {
        let now = self.machine.now;
        let router = self.machine.router_for_packets();
        match interface {
            Some(id) => router.receive(&mut self.worker, now, id, bytes, observer),
            None => router.send_as(&mut self.worker, now, &self.sender, bytes, observer),
        }
    }

    /// Who carries its packets.
    #[doc(hidden)]
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Gives the next packet this number: explanations name packets by them. Without it they count from 1.
    pub fn number_next(&mut self, number: u64) {
        self.worker.number_next(number);
    }
}
