//! Choosing a mapping for a new flow.

use std::sync::Arc;

use super::{Manip, NatContext, NatRange, spread};
use crate::base::{AddressRange, PortRange};
use crate::conntrack::proto::{self, key::Drawn};
use crate::conntrack::{
    Crowd, Direction, Expectation, ExpectationNat, Flow, Hashes, Reason, Status, Table, TrackContext, Tracked,
    Tracking, Tuple,
};
use crate::packet::{End, Packet};

/// The tracking stage where NAT is there too: `Table::track`, and an expected flow gets the mapping that its expectation asks for.
pub(crate) fn track(
    table: &Table,
    cx: &TrackContext<'_>,
    nat: &mut NatContext<'_>,
    packet: &mut Packet,
    tracking: &mut Tracking,
) -> Tracked {
    let tracked = table.track(cx, packet, tracking);
    if let (Tracked::Accept(Reason::Expected(expectation)), Some(flow)) = (&tracked, &tracking.flow) {
        follow_master(table, nat, flow, expectation);
    }
    tracked
}

/// What the SNAT and DNAT targets call on a flow that has no mapping of this kind yet. A flow that has one, or is in the table already, stays as
/// it is. Where nothing is free the flow keeps a taken tuple, and is refused when it is to be confirmed, as in the kernel.
pub(crate) fn setup(table: &Table, cx: &mut NatContext<'_>, flow: &Arc<Flow>, range: &NatRange, manip: Manip) {
    setup_hashed(table, cx, (flow, &mut Hashes::default()), range, manip);
}

/// The same of a packet's flow, where the hash of its reply may be known, and is afterwards.
pub(crate) fn setup_of_packet(
    table: &Table,
    cx: &mut NatContext<'_>,
    tracking: &mut Tracking,
    range: &NatRange,
    manip: Manip,
) {
    if let Tracking {
        flow: Some(flow),
        hashes,
        ..
    } = tracking
    {
        setup_hashed(table, cx, (flow, hashes), range, manip);
    }
}

fn setup_hashed(
    table: &Table,
    cx: &mut NatContext<'_>,
    (flow, hashes): (&Arc<Flow>, &mut Hashes),
    range: &NatRange,
    manip: Manip,
) {
    if is_done(flow, manip) || flow.settled().is_some() {
        return;
    }
    let reply = flow.reply();
    let hash = table.hash_of_reply(flow, &reply, hashes);
    // Never without one: the reply is an answer itself.
    let Some(current) = reply.inverse() else { return };
    let mut choice = Choice {
        table,
        cx,
        flow,
        range,
        manip,
        known: *hashes,
        looked_up: (reply, hash),
        ahead: [None; AHEAD],
    };
    let chosen = choice.choose(current);
    let looked_up = choice.looked_up;
    let mut state = flow.lock();
    let mut decided = done_bit(manip);
    if chosen != current
        && let Some(reply) = chosen.inverse()
    {
        flow.set_reply(&mut state, &reply);
        decided.set(match manip {
            Manip::Source => Status::SRC_NAT,
            Manip::Destination => Status::DST_NAT,
        });
        hashes.set_mapped((looked_up.0 == reply).then_some(looked_up.1));
    }
    flow.decide(&mut state, decided);
}

/// What happens at the nat hook when no rule spoke: the flow keeps its addresses, but a source port that another flow holds is changed.
pub(crate) fn null_binding(table: &Table, cx: &mut NatContext<'_>, flow: &Arc<Flow>, manip: Manip) {
    setup(table, cx, flow, &NatRange::default(), manip);
}

/// The same of a packet's flow.
pub(crate) fn null_binding_of_packet(table: &Table, cx: &mut NatContext<'_>, tracking: &mut Tracking, manip: Manip) {
    setup_of_packet(table, cx, tracking, &NatRange::default(), manip);
}

/// Whether a mapping of this kind has been decided.
pub(crate) fn is_done(flow: &Flow, manip: Manip) -> bool {
    flow.decided().has(done_bit(manip))
}

/// An expected flow seems to come from where the announcing command went, and goes to whoever sent that command.
fn follow_master(table: &Table, cx: &mut NatContext<'_>, flow: &Arc<Flow>, expectation: &Expectation) {
    let Some(nat) = expectation.nat else { return };
    if nat.pairs {
        return follow_pair(table, cx, flow, expectation, nat);
    }
    let command = expectation.master.tuple(nat.command);
    let source = match nat.keeps_source {
        true => flow.tuple(nat.command).source.address,
        false => command.destination.address,
    };
    let from = NatRange {
        addresses: Some(AddressRange::single(source)),
        ports: nat.from_port.map(PortRange::single),
        ..NatRange::default()
    };
    let to = NatRange {
        addresses: Some(AddressRange::single(nat.host.unwrap_or(command.source.address))),
        ports: nat.port.map(PortRange::single),
        ..NatRange::default()
    };
    setup(table, cx, flow, &from, Manip::Source);
    setup(table, cx, flow, &to, Manip::Destination);
}

/// One half of what goes both ways is led to who announced it, and seems to come from where the other half is awaited, if there is one and both are of
/// media, which is class 1 and above. If not, what comes from the far end of the master is called as its packets are; any other is left to rules.
fn follow_pair(
    table: &Table,
    cx: &mut NatContext<'_>,
    flow: &Arc<Flow>,
    expectation: &Expectation,
    nat: ExpectationNat,
) {
    let master = &expectation.master;
    let (command, answer) = (master.tuple(nat.command), master.tuple(nat.command.opposite()));
    let to = NatRange {
        addresses: Some(AddressRange::single(nat.host.unwrap_or(command.source.address))),
        ports: nat.port.map(PortRange::single),
        ..NatRange::default()
    };
    setup(table, cx, flow, &to, Manip::Destination);
    let own = flow.original();
    let is_pair = |it: &&Arc<Expectation>| {
        let led_to = it.nat.map(|nat| (nat.host, nat.port));
        it.tuple.protocol == own.protocol && led_to == Some((Some(own.source.address), Some(own.source.id)))
    };
    let others = match expectation.class {
        0 => Vec::new(),
        _ => table.expectations_of(cx.now, master),
    };
    let from = match others.iter().rev().find(is_pair) {
        Some(pair) => NatRange {
            addresses: Some(AddressRange::single(pair.tuple.destination.address)),
            ports: Some(PortRange::single(pair.tuple.destination.id)),
            ..NatRange::default()
        },
        None if own.source.address == answer.source.address => NatRange {
            addresses: Some(AddressRange::single(command.destination.address)),
            ..NatRange::default()
        },
        None => return,
    };
    setup(table, cx, flow, &from, Manip::Source);
}

fn done_bit(manip: Manip) -> Status {
    match manip {
        Manip::Source => Status::SRC_NAT_DONE,
        Manip::Destination => Status::DST_NAT_DONE,
    }
}

struct Choice<'a, 'b> {
    table: &'a Table,
    cx: &'a mut NatContext<'b>,
    flow: &'a Arc<Flow>,
    range: &'a NatRange,
    manip: Manip,
    known: Hashes,
    /// The reply that was last looked for in the table, and its hash.
    looked_up: (Tuple, u64),
    /// Those that are looked for next.
    ahead: [Option<(Tuple, u64)>; AHEAD],
}

impl Choice<'_, '_> {
    fn choose(&mut self, current: Tuple) -> Tuple {
        let random = self.range.random || self.range.random_fully;
        if self.manip == Manip::Source && !random {
            if self.source_is_in_range(&current) {
                if !self.is_taken_by_a_stranger(&current) {
                    return current;
                }
            } else if let Some(tuple) = self.mapping_of_the_same_source(&current) {
                return tuple;
            }
        }
        let mut tuple = current;
        self.choose_address(&mut tuple);
        if !random && self.may_keep_port(&tuple) {
            return tuple;
        }
        self.choose_port(&mut tuple);
        tuple
    }

    fn source_is_in_range(&self, tuple: &Tuple) -> bool {
        let address = self
            .range
            .addresses
            .is_none_or(|range| range.contains(tuple.source.address));
        let port = self
            .range
            .ports
            .is_none_or(|range| self.drawn(tuple) == Drawn::Nothing || range.contains(tuple.source.id));
        address && port
    }

    /// Seen: a source endpoint that was mapped for one destination gets the same mapping for another, the newest that fits the range; if that
    /// is taken there, none. One that is within the range itself does not: where it is taken, a port is drawn anew.
    fn mapping_of_the_same_source(&mut self, current: &Tuple) -> Option<Tuple> {
        let mapped = |reply: &Tuple| {
            let source = reply.inverse()?.source;
            Some(Tuple { source, ..*current })
        };
        let fits = |reply: &Tuple| mapped(reply).is_some_and(|tuple| self.source_is_in_range(&tuple));
        let reply = self.table.newest_mapping_of_source(self.flow, &self.known, fits)?;
        mapped(&reply).filter(|tuple| self.is_free(tuple))
    }

    /// The same source (and destination and zone, of whatever direction, unless `--persistent`) always gets the same address of the range.
    fn choose_address(&self, tuple: &mut Tuple) {
        let Some(range) = self.range.addresses else { return };
        let second = (!self.range.persistent).then_some((tuple.destination.address, self.flow.zone().id));
        let end = self.manip.end();
        let address = spread::pick(range, tuple.source.address, second, end);
        tuple.end_mut(end).address = address;
    }

    fn may_keep_port(&mut self, tuple: &Tuple) -> bool {
        match self.range.ports {
            None => self.is_free(tuple),
            Some(_) if self.range.port_base.is_some() => false,
            Some(range) => range.contains(self.id_of(tuple)) && (range.low == range.high || self.is_free(tuple)),
        }
    }

    fn choose_port(&mut self, tuple: &mut Tuple) {
        let id = self.id_of(tuple);
        let range = match (self.drawn(tuple), self.range.ports) {
            (Drawn::Identifier, None) => PortRange::ANY,
            // Seen: 0 is a key that may be, and not one that is given.
            (Drawn::OfAnnounced, None) => PortRange { low: 1, high: u16::MAX },
            (Drawn::Identifier | Drawn::Ports | Drawn::OfAnnounced, Some(range)) => range,
            (Drawn::Ports, None) if self.manip == Manip::Source => port_class(id),
            // DNAT changes no port unasked; other protocols have nothing to change.
            _ => return,
        };
        if range.low > range.high {
            return;
        }
        let size = u32::from(range.high - range.low) + 1;
        let random = self.range.random || self.range.random_fully;
        let mut offset = match self.range.port_base {
            Some(base) => id.wrapping_sub(base),
            None if random || self.manip == Manip::Source => self.cx.random.next_u16(),
            None => 0,
        };
        let mut attempts = size.min(MAX_ATTEMPTS);
        let at = |offset: u16| range.low + (u32::from(offset) % size) as u16;
        let may_be_crowded = self.manip == Manip::Source && self.drawn(tuple) == Drawn::Ports;
        // Who holds the last ones of a round may have to give way.
        let asked_all_the_same = match proto::spec(tuple.protocol).takes_over {
            true => LAST_ATTEMPTS,
            false => 0,
        };
        let (mut tried, mut crowd) = (0, None);
        if may_be_crowded {
            crowd = self.crowd(tuple, false);
        }
        loop {
            let mut left = attempts;
            while left > 0 {
                if let Some(crowd) = &crowd {
                    let most = left.saturating_sub(asked_all_the_same);
                    let passed = crowd.taken_at_least(self.cx.now, range, offset, most);
                    if passed > 0 {
                        self.table.count_found(passed);
                    }
                    (left, offset) = (left - passed, offset.wrapping_add(passed as u16));
                    if left == 0 {
                        // As if it had been tried.
                        self.set_id(tuple, at(offset.wrapping_sub(1)));
                        break;
                    }
                }
                self.set_id(tuple, at(offset));
                if self.is_free(tuple) || left <= LAST_ATTEMPTS && self.gives_way(tuple) {
                    return;
                }
                // Seen with a base port: the offset runs in 16 bits, and so starts over at the range's low end after 65,535.
                (left, offset, tried) = (left - 1, offset.wrapping_add(1), tried + 1);
                if may_be_crowded && tried == LONG_SEARCH {
                    crowd = self.crowd(tuple, true);
                }
                if crowd.is_none() && tried % AHEAD as u32 == 1 {
                    let next = (0..left.min(AHEAD as u32)).map(|step| at(offset.wrapping_add(step as u16)));
                    self.look_ahead(*tuple, next);
                }
            }
            if attempts >= size || attempts < MIN_ATTEMPTS {
                return;
            }
            attempts /= 2;
            offset = self.cx.random.next_u16();
        }
    }

    /// What is known of the ports that are taken towards where the tuple goes.
    fn crowd(&self, tuple: &Tuple, is_long: bool) -> Option<Arc<Crowd>> {
        self.table.crowd(self.cx.now, &tuple.inverse()?, self.flow, is_long)
    }

    fn drawn(&self, tuple: &Tuple) -> Drawn {
        match proto::spec(tuple.protocol).key.drawn() {
            Drawn::OfAnnounced if self.flow.lock().master().is_none() => Drawn::Nothing,
            drawn => drawn,
        }
    }

    fn id_of(&self, tuple: &Tuple) -> u16 {
        tuple.end(self.numbered_end(tuple)).id
    }

    fn set_id(&self, tuple: &mut Tuple, id: u16) {
        tuple.end_mut(self.numbered_end(tuple)).id = id;
    }

    /// Where in a tuple the number is that is chosen.
    fn numbered_end(&self, tuple: &Tuple) -> End {
        match self.drawn(tuple) {
            Drawn::Identifier => End::Source,
            Drawn::Ports | Drawn::OfAnnounced | Drawn::Nothing => self.manip.end(),
        }
    }

    fn is_free(&mut self, tuple: &Tuple) -> bool {
        self.look_up(tuple)
            .is_some_and(|(reply, hash)| !self.table.is_taken(self.cx.now, &reply, hash, self.flow))
    }

    fn is_taken_by_a_stranger(&mut self, tuple: &Tuple) -> bool {
        self.look_up(tuple)
            .is_none_or(|(reply, hash)| self.table.is_taken_by_a_stranger(self.cx.now, &reply, hash, self.flow))
    }

    /// The reply to a tuple, and its hash.
    fn look_up(&mut self, tuple: &Tuple) -> Option<(Tuple, u64)> {
        let reply = tuple.inverse()?;
        if self.looked_up.0 != reply {
            let ahead = self.ahead.iter().flatten().find(|(it, _)| *it == reply);
            self.looked_up = ahead.copied().unwrap_or_else(|| (reply, self.table.hash(&reply)));
        }
        Some(self.looked_up)
    }

    /// A search has failed: what it looks for next is asked of memory all at once, where each would be waited for.
    fn look_ahead(&mut self, mut tuple: Tuple, mut ids: impl Iterator<Item = u16>) {
        self.ahead = [None; AHEAD];
        for place in 0..AHEAD {
            let Some(id) = ids.next() else { return };
            self.set_id(&mut tuple, id);
            let reply = tuple.inverse().map(|reply| (reply, self.table.hash(&reply)));
            self.ahead[place] = reply;
            if let Some((_, hash)) = reply {
                self.table.ask_for(hash);
            }
        }
    }

    /// Whether who holds the tuple is a mapped TCP connection that is over, and the new one begins with later sequence numbers, so that nobody
    /// can take its segments for the old one's. Then the old one is deleted.
    fn gives_way(&self, tuple: &Tuple) -> bool {
        if !proto::spec(tuple.protocol).takes_over {
            return false;
        }
        let Some((holder, direction)) = tuple
            .inverse()
            .and_then(|reply| self.table.lookup_in(self.cx.now, &reply, self.flow.zone()))
        else {
            return false;
        };
        let opening = self.flow.lock().protocol.clone();
        let is_over = {
            let state = holder.lock();
            state.protocol.gives_way_to(&opening) && state.status.has(Status::SRC_NAT)
        };
        direction == Direction::Reply && is_over && self.table.delete(&holder)
    }
}

/// So many ports are looked ahead.
const AHEAD: usize = 4;

/// After so many attempts it pays to remember what was found.
const LONG_SEARCH: u32 = 8;

/// In its last attempts a round takes the port of a connection that is over, too.
const LAST_ATTEMPTS: u32 = 32;

/// The first round tries so many ports from its starting point, each further one half as many from another.
const MAX_ATTEMPTS: u32 = 128;
const MIN_ATTEMPTS: u32 = 16;

/// A source port stays in its class, since servers may ask for a privileged one. Seen: 512 to 599 go to 600 and above.
fn port_class(port: u16) -> PortRange {
    match port {
        0..512 => PortRange { low: 1, high: 511 },
        512..1024 => PortRange { low: 600, high: 1023 },
        _ => PortRange {
            low: 1024,
            high: u16::MAX,
        },
    }
}

#[cfg(test)]
mod tests;
