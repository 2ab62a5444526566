//! What routing said of the packets that a worker had lately: packets come in rows, and nothing but a change of the configuration lets the next of the
//! same addresses go elsewhere.

use super::{InputRoute, Net};
use crate::base::InterfaceId;
use crate::packet::Packet;

/// Answers of one [`Net`], each where its question says: another with the same place takes that. Whoever keeps it has to forget all when the `Net` is
/// another, or changed.
#[derive(Debug, Default)]
pub(crate) struct RoutesSeen {
    pub(super) of_ipv4: Places<u32>,
    pub(super) of_ipv6: Places<u128>,
}

/// Those of one family, by a number that its addresses fit into: so none pays for the other's.
#[derive(Debug, Default)]
pub(super) struct Places<A> {
    /// None before the first.
    places: Box<[Place<A>]>,
}

/// All that the decision about a packet depends on, beside the `Net`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Question<A> {
    source: A,
    destination: A,
    mark: u32,
    input: u16,
    tos: u8,
}

/// Whole, so that it is copied in the pieces in which it was written: the processor waits where it is read in others.
#[derive(Clone, Copy, Debug, Default)]
struct Place<A> {
    question: Question<A>,
    answer: Option<InputRoute>,
}

/// A power of two; some 20 kB of IPv4.
const PLACES: usize = 256;

/// An address as a number.
pub(super) trait Address: Copy + Default + Eq {
    fn of(number: u128) -> Self;
    /// Both in a word.
    fn mixed(source: Self, destination: Self) -> u64;
}

impl Address for u32 {
    #[inline]
    fn of(number: u128) -> Self {
        number as Self
    }

    #[inline]
    fn mixed(source: Self, destination: Self) -> u64 {
        (u64::from(source) << 32) | u64::from(destination)
    }
}

impl Address for u128 {
    #[inline]
    fn of(number: u128) -> Self {
        number
    }

    /// Networks and hosts of both, so that neither many hosts of one network nor one host of many share a place.
    #[inline]
    fn mixed(source: Self, destination: Self) -> u64 {
        let folded = |address: Self| (address >> 64) as u64 ^ (address as u64).rotate_left(29);
        folded(source).rotate_left(32) ^ folded(destination)
    }
}

impl<A: Address> Question<A> {
    #[inline]
    fn of(packet: &Packet, input: InterfaceId) -> Self {
        let (source, destination) = packet.addresses_as_numbers();
        Self {
            source: A::of(source),
            destination: A::of(destination),
            mark: packet.mark,
            input: input.0,
            tos: packet.tos(),
        }
    }

    #[inline]
    fn place(self) -> usize {
        let rest = u64::from(self.mark) ^ (u64::from(self.input) << 40) ^ (u64::from(self.tos) << 32);
        let addresses = A::mixed(self.source, self.destination);
        // Whoever makes two meet in one place makes them be decided anew, no more.
        let mixed = (addresses ^ rest.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (u64::BITS - PLACES.trailing_zeros())) as usize
    }
}

impl RoutesSeen {
    /// The `Net` has changed.
    pub(crate) fn forget(&mut self) {
        self.of_ipv4.places.fill(Place::default());
        self.of_ipv6.places.fill(Place::default());
    }
}

impl<A: Address> Places<A> {
    /// [`Net::route_input`] of a packet of this family that came in there.
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
    fn decide(&mut self, net: &Net, packet: &Packet, (question, at): (Question<A>, usize)) -> InputRoute {
        let route = net.route_input(packet);
        // More than these addresses may decide then.
        if net.has_several_gateways(packet.family()) || net.rules_ask_transport(packet.family()) {
            return route;
        }
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
    use std::net::IpAddr;

    use crate::base::{Family, MarkMask, Random, Time};
    use crate::net::example::{BARE, LAN, WAN, both};
    use crate::net::{RoutingRule, RuleAction};
    use crate::packet::testing::udp;

    #[test]
    fn a_place_is_small() {
        assert!(size_of::<Place<u32>>() <= 80, "{}", size_of::<Place<u32>>());
        assert!(size_of::<Place<u128>>() <= 128, "{}", size_of::<Place<u128>>());
    }

    /// What a family's packets are drawn of.
    struct Drawn {
        family: Family,
        addresses: &'static [&'static str],
        knobs: &'static [&'static str],
    }

    /// Packets of few addresses, in any order, under settings that come and go: what is remembered is what is decided.
    #[test]
    fn what_was_seen_is_what_is_decided() {
        let of_ipv4 = Drawn {
            family: Family::V4,
            addresses: &[
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
            ],
            knobs: &[
                "accept_local",
                "rp_filter",
                "route_localnet",
                "forwarding",
                "bc_forwarding",
                "send_redirects",
            ],
        };
        let of_ipv6 = Drawn {
            family: Family::V6,
            addresses: &[
                "2001:db8::2",
                "2001:db8::1",
                "2001:db8::ff",
                "2001:db8:1::9",
                "2001:db8:1::1",
                "2001:db8:1::",
                "2001:db8:7::1",
                "fe80::1",
                "fe80::2",
                "::",
                "ff02::1",
                "ff02::2",
                "ff05::2",
            ],
            knobs: &["forwarding", "mtu"],
        };
        let again = is_as_decided(&of_ipv4, |seen, question| {
            let places = &seen.of_ipv4.places;
            places
                .iter()
                .any(|it| it.answer.is_some() && it.question == Question::of(question, question.input.unwrap()))
        });
        assert!(again > 1_000, "{again}");
        let again = is_as_decided(&of_ipv6, |seen, question| {
            let places = &seen.of_ipv6.places;
            places
                .iter()
                .any(|it| it.answer.is_some() && it.question == Question::of(question, question.input.unwrap()))
        });
        assert!(again > 1_000, "{again}");
    }

    /// How many were there already, by whoever looks.
    fn is_as_decided(drawn: &Drawn, is_there: impl Fn(&RoutesSeen, &Packet) -> bool) -> usize {
        let mut random = Random::new(5);
        let family = drawn.family;
        let (mut seen, mut net) = (RoutesSeen::default(), both());
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
                net.add_rule(family, by_mark).unwrap();
                net.add_rule(family, by_tos).unwrap();
                seen.forget();
            }
            if random.below(1000) == 0 {
                let knob = drawn.knobs[random.below(drawn.knobs.len() as u32) as usize];
                let value = match knob {
                    "mtu" => 1280 + random.below(100),
                    _ => random.below(2),
                };
                let version = if family == Family::V4 { 4 } else { 6 };
                let name = format!("net.ipv{version}.conf.lan.{knob}");
                net.sysctl_set(&name, &value.to_string()).unwrap();
                seen.forget();
            }
            let mut address = || -> IpAddr {
                let count = drawn.addresses.len() as u32;
                drawn.addresses[random.below(count) as usize].parse().unwrap()
            };
            let mut bytes = udp((address(), 4000), (address(), 53), b"a").into_bytes();
            // What IPv4 has in this byte, IPv6 has half in it.
            bytes[1] |= match random.below(2) {
                0 => 0,
                _ if family == Family::V4 => 4,
                _ => 4 << 4,
            };
            let mut packet = Packet::parse(bytes).unwrap();
            packet.input = Some([LAN, WAN, BARE][random.below(3) as usize]);
            packet.mark = random.below(2);
            again += usize::from(is_there(&seen, &packet));
            let now = Time::from_secs(1);
            let decided = net.route_input(&packet);
            assert_eq!(net.receive(now, &mut packet, &mut seen), decided, "{packet:?}");
        }
        again
    }
}
