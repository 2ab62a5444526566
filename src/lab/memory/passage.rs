//! Packets whose whole way is remembered: what became of each, and what left.

use super::Lab;
use crate::base::{InterfaceId, InterfaceName};
use crate::engine::{Emission, HeldPacket, Observer, Port, QueueVerdict, Report};
use crate::explain::story::{Deciders, Story};
use crate::rule::LogRecord;

/// What became of one packet.
#[derive(Clone, Debug)]
pub struct Passage {
    /// Where it came in; `None` for the router's own.
    pub interface: Option<InterfaceName>,
    /// As it came in, from the IP header on; what waited at a queue, as it waited there.
    pub sent: Vec<u8>,
    /// Where it ended, and its state.
    pub report: Report,
    /// What left because of it.
    pub output: Vec<Emission>,
    /// What the kernel's log got because of it.
    pub log: Vec<LogRecord>,
    /// Its way, to be told at any length.
    pub story: Story,
}

impl Lab {
    /// A packet comes in by an interface, or (`None`) is sent by the router itself; with its whole story.
    pub fn send(&mut self, interface: Option<InterfaceId>, bytes: Vec<u8>) -> &Passage {
        let mut story = Story::default();
        let report = match self.tells_all {
            true => self.carry(interface, &bytes, &mut story),
            false => self.carry(interface, &bytes, &mut Deciders(&mut story)),
        };
        let name = interface.map(|id| self.port_name(Port::Interface(id)));
        self.keep(name, bytes, report, story)
    }

    /// What waits longest at a queue goes on as it is decided, or does not; `None` where nothing waits there.
    pub fn decide(&mut self, queue: u16, verdict: QueueVerdict) -> Option<&Passage> {
        let mut story = Story::default();
        let (oldest, report) = self.decide_observed(queue, verdict, &mut story)?;
        let name = oldest.input.map(|id| self.port_name(Port::Interface(id)));
        Some(self.keep(name, oldest.bytes, report, story))
    }

    /// The same before an observer of one's own: the packet as it waited, and what became of it.
    pub fn decide_observed<O: Observer>(
        &mut self,
        queue: u16,
        verdict: QueueVerdict,
        observer: &mut O,
    ) -> Option<(HeldPacket, Report)> {
        let now = self.machine.now;
        let router = self.machine.router_for_packets();
        let oldest = router.held_packets(queue, 0).into_iter().next()?;
        let report = router.reinject(&mut self.worker, now, (queue, oldest.id), verdict, observer)?;
        Some((oldest, report))
    }

    /// A packet that waits at this queue under this id goes on as it is decided, or does not; what left because of it is in the second part. `None` where
    /// none of this id waits there.
    pub(crate) fn decide_held<O: Observer>(
        &mut self,
        held: (u16, u32),
        verdict: QueueVerdict,
        observer: &mut O,
    ) -> Option<(Report, &mut [Emission])> {
        let now = self.machine.now;
        let router = self.machine.router_for_packets();
        let report = router.reinject(&mut self.worker, now, held, verdict, observer)?;
        let log = self.worker.take_log();
        if !log.is_empty() {
            self.machine.log.keep(now, log);
        }
        Some((report, self.worker.output_mut()))
    }

    fn keep(&mut self, interface: Option<InterfaceName>, bytes: Vec<u8>, report: Report, story: Story) -> &Passage {
        let output = self.worker.output().to_vec();
        let log = self.worker.take_log();
        self.machine.log.keep(self.machine.now, log.iter().cloned());
        let passed = matches!(report.fate.verdict(), "ACCEPT");
        if passed {
            self.streams.note(&bytes);
        }
        for emission in &output {
            self.streams.note(&emission.bytes);
            self.departed.insert(emission.port, emission.bytes.clone());
        }
        while self.passed.len() >= REMEMBERED {
            self.passed.pop_front();
        }
        self.passed.push_back(Passage {
            interface,
            sent: bytes,
            report,
            output,
            log,
            story,
        });
        let last = self.passed.len() - 1;
        &self.passed[last]
    }

    /// What became of the last packet.
    pub fn last(&self) -> Option<&Passage> {
        self.passed.back()
    }

    /// What became of an earlier packet, by the number that its story has; of the last few hundred. The error is which there are.
    pub fn earlier(&self, number: u64) -> Result<&Passage, String> {
        let found = self
            .passed
            .iter()
            .rev()
            .find(|passage| passage.story.number() == number);
        found.ok_or_else(|| match (self.passed.front(), self.passed.back()) {
            (Some(first), Some(last)) if first.story.number() != last.story.number() => format!(
                "there is no packet {number} to tell of: packets {} to {} are remembered",
                first.story.number(),
                last.story.number()
            ),
            (Some(only), _) => format!(
                "there is no packet {number} to tell of: only packet {}",
                only.story.number()
            ),
            _ => "no packet has been sent yet".to_owned(),
        })
    }

    /// What left last this way because of [`Self::send`] or [`Self::decide`]; packets that were only carried are not kept.
    pub fn departed(&self, port: Port) -> Option<&[u8]> {
        self.departed.get(&port).map(Vec::as_slice)
    }
}

/// Packets that can be told of again.
const REMEMBERED: usize = 300;
