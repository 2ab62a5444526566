//! What the engine asks of the host, in the words of both families; each packet's family answers.

use std::net::IpAddr;

use super::{
    Answer, Complaint, Delivery, DropReason, Expired, ForwardOutcome, Forwarding, InputRoute, Limiter, Listeners, Net,
    OutputKey, OutputRoute, PathMtus, Redirect, RoutesSeen, Suppressed, Unreachable, v4, v6,
};
use crate::base::{Family, InterfaceId, Random, Time};
use crate::packet::{Layout, Packet, Plain};
use crate::wire::ipv6::extension;

/// What the host keeps from packet to packet, for all workers: there is no lock around it.
#[derive(Clone, Debug)]
pub(crate) struct HostState {
    pub limiter: Limiter,
    /// What packets were too big for.
    pub paths: PathMtus,
    /// Who asked which groups links are in.
    pub memberships: v6::Memberships,
    /// What flow labels are drawn by.
    pub(super) labels: u64,
    pub(super) identification: v4::Identification,
}

impl HostState {
    /// The seed decides identifications and what shares a lock.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            limiter: Limiter::new(seed),
            paths: PathMtus::new(seed),
            memberships: v6::Memberships::default(),
            labels: seed,
            identification: v4::Identification::new(seed),
        }
    }

    /// Of a packet of IPv6 that leaves in pieces; never zero.
    fn identification_of_pieces(&self) -> u32 {
        let none = Family::V6.unspecified();
        let count = self.identification.next(none, none, extension::FRAGMENT);
        Random::new(self.identification.key() ^ u64::from(count))
            .next_u32()
            .max(1)
    }

    /// The identification that `lacks_identification` found missing; the header checksum is the caller's.
    pub(crate) fn identify(&self, packet: &mut Packet) {
        let next = self
            .identification
            .next(packet.source(), packet.destination(), packet.protocol());
        packet.set_identification(next);
    }
}

/// A packet of the host's own, ready for OUTPUT: its output interface and mark are set.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub packet: Packet,
    pub route: OutputRoute,
}

/// The packet is too big for the way and says that it must not be fragmented.
#[derive(Clone, Debug)]
pub(crate) struct FragmentationNeeded {
    /// What its sender is told.
    pub mtu: u32,
    pub packet: Packet,
}

/// Why a packet does not leave in pieces.
#[derive(Clone, Debug)]
pub(crate) enum NotCut {
    TooBig(FragmentationNeeded),
    /// Nobody is told.
    Dropped(DropReason),
}

/// What is looked at before any hook sees a packet.
#[inline]
pub(crate) fn sanity(bytes: &[u8]) -> Result<Layout, DropReason> {
    match is_of_the_other_family(bytes) {
        true => v6::sanity(bytes),
        false => v4::sanity(bytes),
    }
}

/// Whether [`sanity`] finds nothing wrong with a packet that is plain.
#[inline]
pub(crate) fn is_plainly_sane<const WORDS: usize>(packet: &Plain<'_, WORDS>) -> bool {
    match Plain::<WORDS>::FAMILY {
        Family::V4 => true,
        Family::V6 => v6::ends_are_sane(packet.bytes()),
    }
}

/// What is looked at of a packet that the host itself sent, and that comes in again.
pub(crate) fn come_round(packet: &mut Packet) -> Result<(), DropReason> {
    match packet.family() {
        // Its length was written as it was sent.
        Family::V4 => Ok(()),
        Family::V6 => v6::come_round(packet),
    }
}

/// A packet as a program hands it to a raw socket, which is as long as it is, whatever its header says.
pub(crate) fn from_program(bytes: Vec<u8>) -> Result<Packet, DropReason> {
    match is_of_the_other_family(&bytes) {
        true => v6::from_program(bytes),
        false => v4::from_program(bytes),
    }
}

#[inline]
fn is_of_the_other_family(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first >> 4 == 6)
}

/// Whether an ICMP message of the host's own belongs to the flow of the packet that it is about.
pub(crate) fn belongs_to_what_it_quotes(packet: &Packet) -> bool {
    match packet.family() {
        Family::V4 => true,
        Family::V6 => v6::belongs_to_what_it_quotes(packet),
    }
}

/// Whether fragments that are for the host are joined before INPUT sees them, and not behind it.
#[inline]
pub(crate) fn is_joined_before_input(packet: &Packet) -> bool {
    packet.is_fragment() && packet.family() == Family::V4
}

/// Whether tracking joins fragments whose flow it knows, since they come round.
pub(crate) fn is_joined_again(packet: &Packet) -> bool {
    packet.family() == Family::V4
}

/// Whether the host writes into a program's packet what the program left out, and its length anew.
pub(crate) fn is_completed(packet: &Packet) -> bool {
    packet.family() == Family::V4
}

/// What of a packet of the host's own decides whether rules that changed it have it routed anew: what routes are asked by, and in IPv6 more.
pub(crate) fn leads_its_way(packet: &Packet) -> (OutputKey, u64) {
    let more = match packet.family() {
        Family::V4 => 0,
        Family::V6 => v6::leads_its_way(packet),
    };
    (OutputKey::of(packet), more)
}

/// Whether a message of the host's own ICMP is sent by the socket that sends one at a time. Neighbour discovery has one of its own.
pub(crate) fn is_sent_by_the_icmp_socket(packet: &Packet) -> bool {
    match packet.family() {
        Family::V4 => true,
        Family::V6 => v6::is_sent_by_the_icmp_socket(packet),
    }
}

/// Whether it can only be routed anew by the interface that it was to leave by.
pub(crate) fn stays_on_its_link(packet: &Packet) -> bool {
    match packet.destination() {
        IpAddr::V4(_) => false,
        IpAddr::V6(to) => to.is_multicast() || to.is_unicast_link_local(),
    }
}

/// A program left the identification to the host, and the packet may need one ([`HostState::identify`]).
pub(crate) fn lacks_identification(packet: &Packet) -> bool {
    match packet.family() {
        Family::V4 => v4::lacks_identification(packet),
        Family::V6 => false,
    }
}

/// Whether a packet that does not fit, or goes with one that does not, is refused rather than fragmented.
pub(crate) fn must_not_be_cut(packet: &Packet, mtu: u32) -> bool {
    match packet.family() {
        Family::V4 => v4::must_not_be_cut(packet, mtu as usize),
        // Nobody on the way cuts a packet of the other family.
        Family::V6 => true,
    }
}

/// Hands the packet, whole or in pieces that fit, to `emit`.
pub(crate) fn fragment(host: &HostState, packet: Packet, mtu: u32, emit: &mut dyn FnMut(Packet)) -> Result<(), NotCut> {
    match packet.family() {
        Family::V4 => v4::fragment(packet, mtu, emit),
        Family::V6 => v6::fragment(packet, mtu, host.identification_of_pieces(), emit),
    }
}

impl Net {
    /// What the header of a packet that came in asks of every router: else why it goes no further, and what its sender is told.
    #[inline]
    pub(crate) fn arrive(&self, packet: &Packet) -> Result<(), (DropReason, Option<Complaint>)> {
        match packet.family() {
            // Its options are read once it has a route.
            Family::V4 => Ok(()),
            Family::V6 => v6::arrive(self, packet),
        }
    }

    /// What comes after PREROUTING: the routing decision, then what the packet's header asks of the host, which may be written to. What is `seen` was
    /// decided by this very `Net`.
    #[inline]
    pub(crate) fn receive(&self, now: Time, packet: &mut Packet, seen: &mut RoutesSeen) -> InputRoute {
        match packet.family() {
            Family::V4 => v4::receive(self, now, packet, seen),
            Family::V6 => v6::receive(self, packet, seen),
        }
    }

    /// The same for a packet whose route is known: one that came round through `lo`. Its header is read anew.
    ///
    /// Seen: what was forwarded through `lo` is forwarded again, by the same route, until its time to live is over; what the host itself sent
    /// through `lo` is its own, whatever its address.
    #[inline]
    pub(crate) fn receive_known(
        &self,
        now: Time,
        packet: &mut Packet,
        delivery: Delivery,
        forwarding: Option<Forwarding>,
    ) -> InputRoute {
        match packet.family() {
            Family::V4 => v4::receive_known(self, now, packet, delivery, forwarding),
            Family::V6 => v6::receive_known(packet, delivery, forwarding),
        }
    }

    /// The routing decision for a packet whose `input` is set. A packet that the host sent to itself keeps its output route instead and is
    /// not asked about again.
    #[inline]
    pub(crate) fn route_input(&self, packet: &Packet) -> InputRoute {
        match (packet.input, packet.family()) {
            (None, _) => InputRoute::Drop(DropReason::NoRoute),
            (Some(input), Family::V4) => v4::route(self, packet, input),
            (Some(input), Family::V6) => v6::route(self, packet, input),
        }
    }

    /// What forwarding asks of a packet before FORWARD sees it, and the hop that it takes from it. Inlined, for its answer is large, and mostly empty.
    #[inline(always)]
    pub(crate) fn forward(&self, packet: &mut Packet, route: &Forwarding) -> ForwardOutcome {
        match packet.family() {
            Family::V4 => v4::forward(packet, route),
            Family::V6 => v6::forward(self, packet, route),
        }
    }

    /// What forwarding writes into a packet's header after FORWARD.
    #[inline]
    pub(crate) fn forward_options(&self, packet: &mut Packet, route: &Forwarding) {
        match packet.family() {
            Family::V4 => self.forward_ipv4_options(packet, route),
            Family::V6 => {}
        }
    }

    /// What the host does with a packet that got through INPUT. `delivery` is what `InputRoute` said; fragments are reassembled before.
    pub(crate) fn answer(
        &self,
        host: &HostState,
        now: Time,
        listeners: &dyn Listeners,
        packet: &Packet,
        delivery: Delivery,
    ) -> Answer {
        match packet.family() {
            Family::V4 => v4::answer(self, host, now, listeners, packet, delivery),
            Family::V6 => v6::answer(self, host, now, listeners, packet, delivery),
        }
    }

    /// Tells the sender of `original`, whose destination was found as `delivery` says: for a packet in FORWARD `Unicast`, in INPUT as
    /// `InputRoute` says, in OUTPUT that of its `OutputRoute`.
    pub(crate) fn complain(
        &self,
        host: &HostState,
        now: Time,
        original: &Packet,
        delivery: Delivery,
        complaint: Complaint,
    ) -> Result<Outgoing, Suppressed> {
        match original.family() {
            Family::V4 => v4::complain(self, host, now, original, delivery, complaint),
            Family::V6 => v6::complain(self, host, now, original, complaint),
        }
    }

    /// What REJECT tells the sender of `original`; it keeps silent also of itself, whatever the host may send.
    pub(crate) fn unreachable_by_rule(
        &self,
        host: &HostState,
        now: Time,
        original: &Packet,
        delivery: Delivery,
        why: Unreachable,
    ) -> Result<Outgoing, Suppressed> {
        match original.family() {
            Family::V4 => v4::may_be_rejected(original)?,
            Family::V6 => v6::may_be_rejected(original)?,
        }
        self.complain(host, now, original, delivery, Complaint::Unreachable(why))
    }

    /// What `InputRoute::Error` asks for. In IPv4 an error about a missing route has a limit of its own before the
    /// common ones.
    pub(crate) fn complain_of_arrival(
        &self,
        host: &HostState,
        now: Time,
        original: &Packet,
        delivery: Delivery,
        complaint: Complaint,
    ) -> Result<Outgoing, Suppressed> {
        let is_about_a_route = matches!(complaint, Complaint::Unreachable(_)) && original.family() == Family::V4;
        if is_about_a_route && !host.limiter.route_error_allows(now, original.source()) {
            return Err(Suppressed::PeerLimit);
        }
        self.complain(host, now, original, delivery, complaint)
    }

    /// Builds the redirect that `forward` asked for, unless the sender has had too many.
    pub(crate) fn redirect(
        &self,
        host: &HostState,
        now: Time,
        original: &Packet,
        redirect: Redirect,
    ) -> Result<Outgoing, Suppressed> {
        match original.family() {
            Family::V4 => v4::redirect(self, host, now, original, redirect),
            Family::V6 => v6::redirect(self, host, now, original, redirect),
        }
    }

    /// What the sender of a packet hears whose fragments did not come in time.
    pub(crate) fn reassembly_error(
        &self,
        host: &HostState,
        now: Time,
        expired: &Expired,
    ) -> Result<Outgoing, Suppressed> {
        let first = expired.first.as_ref().ok_or(Suppressed::NotForThisHost)?;
        // In IPv6 the senders of what is for others hear it too, from tracking.
        let is_v4 = first.family() == Family::V4;
        if is_v4 && first.input.is_some() && self.route_input(first) != InputRoute::Local {
            return Err(Suppressed::NotForThisHost);
        }
        self.complain(host, now, first, Delivery::Local, Complaint::ReassemblyTimeExceeded)
    }

    /// What the host says by now that it was asked before: the groups that its links are in.
    pub(crate) fn reports(&self, host: &HostState, now: Time) -> Vec<Outgoing> {
        v6::reports(self, host, now)
    }

    /// Questions to a link that is gone, or has no IPv6 any more, are not answered when it has.
    pub(crate) fn forget_questions(&self, host: &HostState) {
        host.memberships.forget(|id| !self.has_ipv6(self.interface(id)));
    }

    /// Seen: who gives a link an address of IPv6, or only tries to, has it forget who asked there for listeners, and in which version.
    pub(crate) fn forget_askers(&self, host: &HostState, id: InterfaceId) {
        if self.interface(id).is_up {
            host.memberships.forget_askers(id);
        }
    }

    /// The reset that closes the connection which `packet` wanted, for REJECT.
    pub(crate) fn reset(&self, packet: &Packet, delivery: Delivery) -> Result<Outgoing, Suppressed> {
        match packet.family() {
            Family::V4 => v4::reset(self, packet, delivery),
            Family::V6 => v6::reset(self, packet, delivery),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::{families, host};
    use crate::net::example::{LAN, both, elsewhere, far};
    use crate::net::{Closed, DefragUser, OutputKey, Pushed, Reassembly, RouteError};
    use crate::packet::testing::udp;

    families! {
        fn packets_of_both_families_are_let_in(family: Family) {
            let bytes = udp((host(family, 2), 4000), (host(family, 1), 53), b"abc").into_bytes();
            assert_eq!(sanity(&bytes).err(), None);
            assert_eq!(sanity(&bytes[..10]).err(), Some(DropReason::Truncated));
            assert_eq!(from_program(bytes).err(), None);
        }

        fn a_packet_is_for_the_router_or_goes_on_or_nowhere(family: Family) {
            let net = both();
            for (to, expected) in [(host(family, 1), "local"), (far(family, 9), "wan"), (elsewhere(family), "error")] {
                let mut packet = udp((host(family, 2), 4000), (to, 53), b"abc");
                packet.input = Some(LAN);
                let found = match net.receive(Time::from_secs(1), &mut packet, &mut RoutesSeen::default()) {
                    InputRoute::Local => "local".to_owned(),
                    InputRoute::Forward(way) => {
                        let went = net.forward(&mut packet, &way);
                        assert_eq!((went, packet.ttl()), (ForwardOutcome::Continue { redirect: None }, 63));
                        net.interface(way.output).name.to_string()
                    }
                    InputRoute::Error { reason: DropReason::NoRoute, .. } => "error".to_owned(),
                    other => panic!("{to}: {other:?}"),
                };
                assert_eq!(found, expected, "{to}");
            }
        }

        fn the_router_speaks_from_the_address_that_faces_whom_it_speaks_to(family: Family) {
            let net = both();
            for (to, interface, source) in [
                (host(family, 2), "lan", host(family, 1)),
                (far(family, 9), "wan", far(family, 1)),
                (host(family, 1), "lo", host(family, 1)),
            ] {
                let way = net.route_output(OutputKey::towards(to)).unwrap();
                assert_eq!((net.interface(way.interface).name.as_str(), way.source), (interface, source), "{to}");
            }
            let nowhere = net.route_output(OutputKey::towards(elsewhere(family)));
            assert_eq!(nowhere, Err(RouteError::NetworkUnreachable));
        }

        /// No question about a packet panics, whichever family it is of.
        fn every_question_is_answered(family: Family) {
            let net = both();
            let state = HostState::new(1);
            let mut packet = udp((host(family, 2), 4000), (host(family, 1), 53), b"abc");
            packet.input = Some(LAN);
            let now = Time::from_secs(1);
            assert_eq!(net.receive(now, &mut packet, &mut RoutesSeen::default()), InputRoute::Local);
            assert_eq!(net.receive_known(now, &mut packet, Delivery::Local, None), InputRoute::Local);
            assert_eq!(net.route_input(&packet), InputRoute::Local);
            let answer = net.answer(&state, now, &Closed, &packet, Delivery::Local);
            assert!(matches!(answer, Answer::Refused(DropReason::NoSocket, _)), "{answer:?}");
            let told = net.complain(&state, now, &packet, Delivery::Local, Complaint::TimeExceeded);
            assert_eq!(told.map(|sent| sent.packet.is_icmp()), Ok(true));
            assert_eq!(net.reset(&packet, Delivery::Local).map(drop), Err(Suppressed::NoTcpHeader));
            let told = net.unreachable_by_rule(&state, now, &packet, Delivery::Local, Unreachable::Port);
            assert_eq!(told.map(|sent| sent.packet.destination()), Ok(host(family, 2)));
            assert!(!lacks_identification(&packet) || family == Family::V4);
            let pushed = Reassembly::new().push(now, &net, DefragUser::LocalDeliver, packet.clone());
            assert!(matches!(pushed, Pushed::Whole(_) | Pushed::Left(_)), "{pushed:?}");
            let mut pieces = 0;
            let fits = fragment(&state, packet, 1500, &mut |_| pieces += 1);
            assert_eq!((fits.is_ok(), pieces), (true, 1));
        }
    }
}
