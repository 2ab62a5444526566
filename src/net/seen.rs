//! What routing said of the packets that a worker had lately: packets come in rows, and nothing but a change of the configuration lets the next of the
//! same addresses go elsewhere.

use std::net::{IpAddr, Ipv4Addr};

use super::{Forwarding, InputRoute, Net};
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

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    question: Question,
    answer: Answer,
}

/// The two of an [`InputRoute`] that most packets get.
#[derive(Clone, Copy, Debug, Default)]
enum Answer {
    #[default]
    None,
    Local,
    Forward {
        output: u16,
        gateway: Option<Ipv4Addr>,
        mtu: u32,
        redirect: bool,
        broadcast: bool,
    },
}

/// A power of two; some 20 kB.
const PLACES: usize = 512;

impl Question {
    #[inline]
    fn place(self) -> usize {
        let rest = u64::from(self.mark) ^ (u64::from(self.input) << 40) ^ (u64::from(self.tos) << 32);
        let addresses = (u64::from(self.source) << 32) | u64::from(self.destination);
        // Whoever makes two meet in one place makes them be decided anew, no more.
        let mixed = (addresses ^ rest.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (u64::BITS - PLACES.trailing_zeros())) as usize
    }
}

impl Answer {
    fn of(route: &InputRoute) -> Self {
        match route {
            InputRoute::Local => Self::Local,
            // What options ask for comes later; a gateway of the other family has no room.
            InputRoute::Forward(to) => match to.gateway {
                Some(IpAddr::V6(_)) => Self::None,
                None => Self::forward(to, None),
                Some(IpAddr::V4(gateway)) => Self::forward(to, Some(gateway)),
            },
            _ => Self::None,
        }
    }

    fn forward(to: &Forwarding, gateway: Option<Ipv4Addr>) -> Self {
        Self::Forward {
            output: to.output.0,
            gateway,
            mtu: to.mtu,
            redirect: to.redirect,
            broadcast: to.broadcast,
        }
    }

    #[inline]
    fn route(self) -> Option<InputRoute> {
        match self {
            Self::None => None,
            Self::Local => Some(InputRoute::Local),
            Self::Forward {
                output,
                gateway,
                mtu,
                redirect,
                broadcast,
            } => Some(InputRoute::Forward(Forwarding {
                output: InterfaceId(output),
                gateway: gateway.map(IpAddr::V4),
                mtu,
                redirect,
                source_route: None,
                strict: false,
                broadcast,
                recorded_at: None,
                stamped_at: None,
                options_changed: false,
            })),
        }
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
        let (source, destination) = packet.addresses_as_numbers();
        let question = Question {
            source: source as u32,
            destination: destination as u32,
            mark: packet.mark,
            input: input.0,
            tos: packet.tos(),
        };
        let at = question.place();
        if let Some(place) = self.places.get(at)
            && place.question == question
            && let Some(route) = place.answer.route()
        {
            return route;
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
            answer: Answer::of(&route),
        };
        route
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Random;
    use crate::net::example::{BARE, LAN, Make, WAN, net, set, udp};

    #[test]
    fn a_place_is_small() {
        assert!(size_of::<Place>() <= 40, "{}", size_of::<Place>());
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
        for _ in 0..20_000 {
            if random.below(50) == 0 {
                let knob = format!("conf.lan.{}", knobs[random.below(6) as usize]);
                set(&mut net, &[(&knob, i64::from(random.below(2)))]);
                seen.forget();
            }
            let mut drawn = || addresses[random.below(addresses.len() as u32) as usize];
            let make = udp(drawn(), drawn(), 1);
            let input = [LAN, WAN, BARE][random.below(3) as usize];
            let mut packet = Make { input, ..make }.packet();
            packet.mark = random.below(2);
            let question = seen
                .places
                .iter()
                .filter(|it| !matches!(it.answer, Answer::None))
                .count();
            assert_eq!(seen.route(&net, &packet, input), net.route_input(&packet));
            again += usize::from(
                seen.places
                    .iter()
                    .filter(|it| !matches!(it.answer, Answer::None))
                    .count()
                    == question,
            );
        }
        assert!(again > 10_000, "{again}");
    }
}
