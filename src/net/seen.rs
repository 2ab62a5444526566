//! What routing said of the packets that a worker had lately: packets come in rows, and nothing but a change of the configuration lets the next of the
//! same addresses go elsewhere.

use super::{InputRoute, Net};
use crate::base::InterfaceId;
use crate::packet::Packet;

/// Answers of one [`Net`], each where its question says: another with the same place takes that. Whoever keeps it has to forget all when the `Net` is
/// another, or changed.
#[derive(Debug, Default)]
pub(crate) struct RoutesSeen {
    /// None before the first.
    places: Box<[Place]>,
}

/// All that the decision about a packet of IPv4 depends on, beside the `Net`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Question {
    source: u32,
    destination: u32,
    mark: u32,
    input: u16,
    tos: u8,
}

/// Whole, so that it is copied in the pieces in which it was written: the processor waits where it is read in others.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    question: Question,
    answer: Option<InputRoute>,
}

/// A power of two; some 20 kB.
const PLACES: usize = 256;

impl Question {
    #[inline]
    fn of(packet: &Packet, input: InterfaceId) -> Self {
        let (source, destination) = packet.addresses_as_numbers();
        Self {
            source: source as u32,
            destination: destination as u32,
            mark: packet.mark,
            input: input.0,
            tos: packet.tos(),
        }
    }

    #[inline]
    fn place(self) -> usize {
        let rest = u64::from(self.mark) ^ (u64::from(self.input) << 40) ^ (u64::from(self.tos) << 32);
        let addresses = (u64::from(self.source) << 32) | u64::from(self.destination);
        // Whoever makes two meet in one place makes them be decided anew, no more.
        let mixed = (addresses ^ rest.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (u64::BITS - PLACES.trailing_zeros())) as usize
    }
}

impl RoutesSeen {
    /// The `Net` has changed.
    pub(crate) fn forget(&mut self) {
        self.places.fill(Place::default());
    }

    /// [`Net::route_input`] of a packet of IPv4 that came in there.
    #[inline]
    pub(super) fn route(&mut self, net: &Net, packet: &Packet, input: InterfaceId) -> InputRoute {
        let question = Question::of(packet, input);
        let at = question.place();
        if let Some(place) = self.places.get(at)
            && place.question == question
            && let Some(route) = &place.answer
        {
            return *route;
        }
        self.decide(net, packet, (question, at))
    }

    #[inline(never)]
    fn decide(&mut self, net: &Net, packet: &Packet, (question, at): (Question, usize)) -> InputRoute {
        let route = net.route_input(packet);
        if self.places.is_empty() {
            self.places = vec![Place::default(); PLACES].into();
        }
        self.places[at] = Place {
            question,
            answer: Some(route),
        };
        route
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Family, MarkMask, Random};
    use crate::net::example::{BARE, LAN, Make, WAN, net, set, udp};
    use crate::net::{RoutingRule, RuleAction};

    #[test]
    fn a_place_is_small() {
        assert!(size_of::<Place>() <= 80, "{}", size_of::<Place>());
    }

    /// Packets of few addresses, in any order, under settings that come and go: what is remembered is what is decided.
    #[test]
    fn what_was_seen_is_what_is_decided() {
        let mut random = Random::new(5);
        let addresses = [
            "10.0.0.2",
            "10.0.0.1",
            "10.0.0.255",
            "192.0.2.9",
            "192.0.2.1",
            "198.51.1.1",
            "198.51.0.1",
            "8.8.8.8",
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "10.88.0.1",
        ];
        let knobs = [
            "accept_local",
            "rp_filter",
            "route_localnet",
            "forwarding",
            "bc_forwarding",
            "send_redirects",
        ];
        let (mut seen, mut net) = (RoutesSeen::default(), net());
        let mut again = 0;
        for step in 0..20_000 {
            if step == 10_000 {
                let by_mark = RoutingRule {
                    mark: MarkMask { value: 1, mask: 1 },
                    ..RoutingRule::new(RuleAction::Prohibit)
                };
                let by_tos = RoutingRule {
                    tos: 4,
                    ..RoutingRule::new(RuleAction::Unreachable)
                };
                net.add_rule(Family::V4, by_mark).unwrap();
                net.add_rule(Family::V4, by_tos).unwrap();
                seen.forget();
            }
            if random.below(1000) == 0 {
                let knob = format!("conf.lan.{}", knobs[random.below(6) as usize]);
                set(&mut net, &[(&knob, i64::from(random.below(2)))]);
                seen.forget();
            }
            let mut drawn = || addresses[random.below(addresses.len() as u32) as usize];
            let make = udp(drawn(), drawn(), 1);
            let input = [LAN, WAN, BARE][random.below(3) as usize];
            let tos = [0, 4][random.below(2) as usize];
            let mut packet = Make { input, tos, ..make }.packet();
            packet.mark = random.below(2);
            let question = Question::of(&packet, input);
            again += usize::from(
                seen.places
                    .iter()
                    .any(|it| it.answer.is_some() && it.question == question),
            );
            assert_eq!(seen.route(&net, &packet, input), net.route_input(&packet));
        }
        assert!(again > 1_000, "{again}");
    }
}
