//! What the engine does on a target's behalf.

use std::cell::Cell;

use crate::base::{Random, Time};
use crate::conntrack::Tracking;
use crate::nat::{self, Manip, NatContext, NatRange};
use crate::net::{Net, OutputKey};
use crate::packet::Packet;
use crate::rule::{LogRecord, Services, TargetVerdict};

use super::router::Router;

pub(super) struct EngineServices<'a> {
    pub router: &'a Router,
    pub random: &'a Cell<Random>,
    pub log: &'a mut Vec<LogRecord>,
    pub now: Time,
}

impl Services for EngineServices<'_> {
    fn log(&mut self, record: LogRecord) {
        match self.log.len() {
            ..MOST_LINES => self.log.push(record),
            MOST_LINES => self.log.push(LogRecord {
                level: record.level,
                text: format!("nflab: one packet wrote {MOST_LINES} lines into the log; its further ones are left out"),
            }),
            _ => {}
        }
    }

    fn nat(&mut self, _packet: &Packet, tracking: &mut Tracking, range: &NatRange, manip: Manip) -> TargetVerdict {
        // Without a flow there is nothing to keep a mapping in; the nat table is not even asked about such packets.
        Random::in_place(self.random, |random| {
            let mut cx = NatContext { now: self.now, random };
            nat::setup_of_packet(&self.router.flows, &mut cx, tracking, range, manip);
        });
        TargetVerdict::Accept
    }

    fn own_path_mtu(&self, net: &Net, key: OutputKey) -> Option<u32> {
        let mut route = net.route_output(key).ok()?;
        net.heed_path(&self.router.host, self.now, &key, &mut route);
        Some(route.mtu)
    }

    fn heard_of_path(&self, net: &Net, packet: &Packet) -> Option<u32> {
        net.heard_of_forwarded(&self.router.host, self.now, packet)
    }
}

/// Lines that one packet writes: as many as a lab's log keeps.
pub(super) const MOST_LINES: usize = 10_000;
