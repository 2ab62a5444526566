//! Which flows a call means.

use super::request::{Command, NatEnd, Request};
use crate::conntrack::{Flow, Status, ZoneScope, proto};

impl Request {
    /// All that was said has to hold, but for what the command is to change.
    pub(super) fn lets_through(&self, flow: &Flow) -> bool {
        let wanted = &self.wanted;
        let state = flow.lock();
        let original = flow.original();
        let reply = flow.reply();
        let is = |wanted: Option<std::net::IpAddr>, is| wanted.is_none_or(|wanted| wanted == is);
        let within = |end: usize, address| wanted.network(end).is_none_or(|it| it.contains(address));
        let ids = [original, reply].map(|tuple| [tuple.source.id, tuple.destination.id]);
        let same_ids = wanted.ids.as_flattened().iter().zip(ids.as_flattened());
        // Seen: of a zone that counts elsewhere it says 0.
        let zone = flow.zone();
        let scopes = [ZoneScope::Both, ZoneScope::Original, ZoneScope::Reply];
        let zones = scopes.map(|scope| if zone.scope == scope { zone.id } else { 0 });
        // Of a protocol that the kernel does not know it tells no ports.
        let tells_ids = proto::spec(original.protocol).is_the_kernels;
        let (kind, code) = original.icmp();
        let source_nat = |wanted: NatEnd| {
            state.status.has(Status::SRC_NAT_DONE)
                && wanted.made(original.protocol, &original.source, &reply.destination)
        };
        let destination_nat = |wanted: NatEnd| {
            state.status.has(Status::DST_NAT_DONE)
                && wanted.made(original.protocol, &original.destination, &reply.source)
        };
        let as_it_stands = || {
            // Only the kernel's filter of a list knows that word.
            let unreplied = self.command == Command::List && wanted.unreplied && !wanted.status.has(Status::SEEN_REPLY);
            wanted
                .state
                .is_none_or(|name| state.protocol.state_name() == Some(name))
                && state.status.has(wanted.status)
                && !wanted.no_status
                && !wanted.unheard
                && !(unreplied && state.status.has(Status::SEEN_REPLY))
                && wanted.mark.is_none_or(|mark| mark.matches(state.mark))
        };
        wanted.family.is_none_or(|family| family == original.family())
            && wanted.protocol.is_none_or(|number| number == original.protocol)
            && within(0, original.source.address)
            && within(1, original.destination.address)
            && is(wanted.reply[0], reply.source.address)
            && is(wanted.reply[1], reply.destination.address)
            && same_ids
                .into_iter()
                .all(|(wanted, is)| wanted.is_none_or(|wanted| tells_ids && wanted == *is))
            && wanted.kind.is_none_or(|wanted| wanted == kind)
            && wanted.code.is_none_or(|wanted| wanted == code)
            && wanted.id.is_none_or(|id| u64::from(id) == flow.serial())
            && wanted
                .zones
                .iter()
                .zip(zones)
                .all(|(wanted, is)| wanted.is_none_or(|wanted| wanted == is))
            && wanted
                .labels
                .is_none_or(|wanted| state.labels().unwrap_or(0) & wanted == wanted)
            && (self.command == Command::Update || as_it_stands())
            && wanted.source_nat.is_none_or(source_nat)
            && wanted.destination_nat.is_none_or(destination_nat)
            && wanted
                .any_nat
                .is_none_or(|wanted| source_nat(wanted) || destination_nat(wanted))
    }
}
