//! Which routing rule and which route a look-up ended at, and both as `ip rule` and `ip route` show them: for explanations.

use std::fmt::Write;
use std::net::IpAddr;

use super::flow::Flow;
use super::lookup::Key;
use super::{Net, OutputKey, Route, RouteKind, RoutingRule, RuleAction, RuleTransport, Scope, table};
use crate::base::{Family, InterfaceId, as_in_c};
use crate::packet::Packet;

/// Where a look-up ended. Without a route the rule itself refused, or no rule led to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookedUp<'a> {
    /// The rule that led to the route or refused; `None` where nothing was asked, as of a group, or none did.
    pub rule: Option<RoutingRule>,
    /// The route that was found.
    pub route: Option<&'a Route>,
}

/// How numbers of a routing rule are told.
#[derive(Clone, Copy, Debug)]
pub struct RuleNames {
    /// Of `ipproto`.
    pub protocol: fn(u8) -> String,
    /// Of `tos`.
    pub tos: fn(u8) -> String,
}

impl Default for RuleNames {
    /// As numbers.
    fn default() -> Self {
        Self {
            protocol: |number| number.to_string(),
            tos: |number| format!("{number:#04x}"),
        }
    }
}

impl Net {
    /// What the routing decision for a packet that came in went by. `towards` is its destination, or the next hop of its source route.
    pub fn looked_up_input(&self, packet: &Packet, towards: IpAddr) -> LookedUp<'_> {
        let is_asked = towards.is_ipv6() || !towards.is_multicast() && towards != IpAddr::from([255; 4]);
        let key = is_asked.then(|| Key {
            destination: towards,
            source: packet.source(),
            mark: packet.mark,
            tos: packet.tos(),
            input: packet.input.or(Some(InterfaceId::LOOPBACK)),
            output: None,
            scope: Scope::Universe,
            flow: self.flow_for_rules(packet),
        });
        self.looked_up(key, |_| self.share_of_packet(packet))
    }

    /// The same for one that is asked about, of which only this is known.
    pub(crate) fn looked_up_asked(&self, packet: &Packet, flow: Flow) -> LookedUp<'_> {
        let key = Key {
            source: packet.source(),
            mark: packet.mark,
            tos: packet.tos(),
            input: packet.input.or(Some(InterfaceId::LOOPBACK)),
            flow,
            ..Key::to(packet.destination())
        };
        self.looked_up(Some(key), |key| self.share_of_key(key))
    }

    /// The same for a packet of the host's own.
    pub fn looked_up_output(&self, key: &OutputKey) -> LookedUp<'_> {
        let is_asked = key.destination.is_ipv6() || key.source.is_none() || !key.destination.is_multicast();
        let asked = is_asked.then(|| Key {
            destination: key.destination,
            source: key.source.unwrap_or(Family::of(key.destination).unspecified()),
            mark: key.mark,
            tos: key.tos,
            input: Some(InterfaceId::LOOPBACK),
            output: key.interface,
            scope: Scope::Universe,
            flow: key.flow,
        });
        self.looked_up(asked, |asked| self.share_of_key(asked))
    }

    fn looked_up(&self, key: Option<Key>, share: impl FnOnce(&Key) -> u32) -> LookedUp<'_> {
        let (rule, route) = key.map_or((None, None), |key| self.lookup_with_rule(&key, || share(&key)));
        LookedUp { rule, route }
    }

    /// A route as `ip route` shows it: `default via 192.0.2.254 dev wan`.
    pub fn route_text(&self, route: &Route) -> String {
        let mut text = match route.kind {
            RouteKind::Unicast => String::new(),
            RouteKind::Local => "local ".to_owned(),
            RouteKind::Broadcast => "broadcast ".to_owned(),
            RouteKind::Anycast => "anycast ".to_owned(),
            RouteKind::Multicast => "multicast ".to_owned(),
            RouteKind::Blackhole => "blackhole ".to_owned(),
            RouteKind::Unreachable => "unreachable ".to_owned(),
            RouteKind::Prohibit => "prohibit ".to_owned(),
            RouteKind::Throw => "throw ".to_owned(),
        };
        let _ = match route.to.length() {
            0 => write!(text, "default"),
            length if length == Family::of(route.to.address()).bits() => write!(text, "{}", route.to.address()),
            _ => write!(text, "{}", route.to),
        };
        if let Some(via) = route.via {
            let _ = match Family::of(via) == route.to.family() {
                true => write!(text, " via {via}"),
                false => write!(text, " via inet6 {via}"),
            };
        }
        if let Some(id) = route.interface {
            let _ = write!(text, " dev {}", self.interface(id).name);
        }
        if route.table != table::MAIN {
            let _ = write!(text, " table {}", table_name(route.table));
        }
        if route.metric != 0 {
            let _ = write!(text, " metric {}", route.metric);
        }
        text += &self.ways_text(route);
        text
    }

    /// A route's gateways, where it has several: ` nexthop via 10.0.0.9 dev lan weight 1` of each.
    pub fn ways_text(&self, route: &Route) -> String {
        let mut text = String::new();
        for way in &route.ways {
            text.push_str(" nexthop");
            if let Some(via) = way.route.via {
                let family = if Family::of(via) == route.to.family() {
                    ""
                } else {
                    "inet6 "
                };
                let _ = write!(text, " via {family}{via}");
            }
            if let Some(id) = way.route.interface {
                let _ = write!(text, " dev {}", self.interface(id).name);
            }
            let _ = write!(text, " weight {}", way.route.weight);
        }
        text
    }

    /// A routing rule as `ip rule` shows it, without who added it: `32766: from all lookup main`. Some numbers are told by these names.
    pub fn rule_text(&self, rule: &RoutingRule, names: RuleNames) -> String {
        let prefix = |it: &super::Prefix| match it.length() {
            length if length == Family::of(it.address()).bits() => as_in_c(it.address()).to_string(),
            _ => it.to_string(),
        };
        let from = rule.from.as_ref().map_or_else(|| "all".to_owned(), prefix);
        let not = if rule.inverted { "not " } else { "" };
        let mut text = format!("{}: {not}from {from}", rule.priority);
        if let Some(to) = &rule.to {
            let _ = write!(text, " to {}", prefix(to));
        }
        if rule.tos != 0 {
            let _ = write!(text, " tos {}", (names.tos)(rule.tos));
        }
        match (rule.mark.value, rule.mark.mask) {
            (0, 0) => {}
            (value, 0) => {
                let _ = write!(text, " fwmark {value:#x}/0");
            }
            (value, u32::MAX) => {
                let _ = write!(text, " fwmark {value:#x}");
            }
            (value, mask) => {
                let _ = write!(text, " fwmark {value:#x}/{mask:#x}");
            }
        }
        for (word, link) in [("iif", rule.input), ("oif", rule.output)] {
            if let Some(link) = link {
                let _ = write!(text, " {word} {}", link.name);
                if link.id.is_none() {
                    text.push_str(" [detached]");
                }
            }
        }
        let RuleTransport {
            protocol,
            source,
            destination,
        } = rule.transport;
        if protocol != 0 {
            let _ = write!(text, " ipproto {}", (names.protocol)(protocol));
        }
        for (word, ports) in [("sport", source), ("dport", destination)] {
            let _ = match ports {
                None => Ok(()),
                Some((first, last)) if first == last => write!(text, " {word} {first}"),
                Some((first, last)) => write!(text, " {word} {first}-{last}"),
            };
        }
        let _ = match rule.action {
            RuleAction::Table(number) => {
                let _ = write!(text, " lookup {}", table_name(number));
                match rule.suppressed {
                    Some(length) => write!(text, " suppress_prefixlength {length}"),
                    None => Ok(()),
                }
            }
            RuleAction::Blackhole => write!(text, " blackhole"),
            RuleAction::Goto(priority) => write!(text, " goto {priority}"),
            RuleAction::Nop => write!(text, " nop"),
            RuleAction::Unreachable => write!(text, " unreachable"),
            RuleAction::Prohibit => write!(text, " prohibit"),
        };
        text
    }
}

fn table_name(number: u32) -> String {
    match number {
        table::DEFAULT => "default".to_owned(),
        table::MAIN => "main".to_owned(),
        table::LOCAL => "local".to_owned(),
        number => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{InterfaceName, MarkMask};

    /// The texts are those of iproute2 6.1.
    #[test]
    fn the_way_as_ip_shows_it() {
        let mut net = Net::new();
        for (id, name, address) in [(1, "lan", "10.0.0.1"), (2, "wan", "192.0.2.1")] {
            net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
            net.add_address(InterfaceId(id), address.parse().unwrap(), 24).unwrap();
        }
        net.add_route(Route {
            via: Some("192.0.2.254".parse().unwrap()),
            ..Route::new("default".parse().unwrap())
        })
        .unwrap();
        net.add_route(Route {
            kind: RouteKind::Unreachable,
            ..Route::new("198.51.100.0/24".parse().unwrap())
        })
        .unwrap();
        let key = |destination: &str, mark| OutputKey {
            destination: destination.parse().unwrap(),
            source: None,
            mark,
            interface: None,
            tos: 0,
            flow: Flow::default(),
        };
        let shown = |net: &Net, key: &OutputKey| {
            let found = net.looked_up_output(key);
            (
                found.rule.map(|rule| net.rule_text(&rule, RuleNames::default())),
                found.route.map(|route| net.route_text(route)),
            )
        };
        let texts = |rule: &str, route: &str| (Some(rule.to_owned()), Some(route.to_owned()));
        for (destination, rule, route) in [
            (
                "8.8.8.8",
                "32766: from all lookup main",
                "default via 192.0.2.254 dev wan",
            ),
            ("10.0.0.9", "32766: from all lookup main", "10.0.0.0/24 dev lan"),
            (
                "10.0.0.1",
                "0: from all lookup local",
                "local 10.0.0.1 dev lan table local",
            ),
            (
                "10.0.0.255",
                "0: from all lookup local",
                "broadcast 10.0.0.255 dev lan table local",
            ),
            (
                "198.51.100.1",
                "32766: from all lookup main",
                "unreachable 198.51.100.0/24",
            ),
        ] {
            assert_eq!(shown(&net, &key(destination, 0)), texts(rule, route), "{destination}");
        }
        net.add_rule(
            Family::V4,
            RoutingRule {
                priority: 100,
                mark: MarkMask { value: 5, mask: 0xf },
                ..RoutingRule::new(RuleAction::Prohibit)
            },
        )
        .unwrap();
        assert_eq!(
            shown(&net, &key("8.8.8.8", 0x15)),
            (Some("100: from all fwmark 0x5/0xf prohibit".to_owned()), None)
        );
        assert_eq!(
            shown(&net, &key("8.8.8.8", 0)),
            texts("32766: from all lookup main", "default via 192.0.2.254 dev wan")
        );
    }
}
