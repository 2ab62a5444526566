//! What COMMAND changes with the machine's own `ip` and `ifconfig`: links, addresses and routes of the namespace, told to the lab before its next tool
//! is called.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;

use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use super::relay::Upstream;
use crate::base::Family;
use crate::device::standard::tell;
use crate::live::netlink::Netlink;

/// Before each of a route's several gateways.
const NEXTHOP: &str = " nexthop";

/// The namespace's network as it was last told.
pub(super) struct Watch {
    /// Says that something changed, not what.
    events: Socket,
    netlink: Netlink,
    seen: Network,
    told_of_rules: bool,
}

/// What a lab has words for.
#[derive(Default)]
struct Network {
    links: BTreeMap<u32, Link>,
    /// By link and address, as `10.0.0.1/24`.
    addresses: BTreeSet<(String, String)>,
    /// By family, as `ip route add` takes them; what the kernel made by itself, the lab makes too.
    routes: BTreeSet<(Family, String)>,
}

#[derive(PartialEq, Eq)]
struct Link {
    name: String,
    up: bool,
    mtu: u32,
}

impl Watch {
    pub(super) fn start(lab: &mut Upstream) -> io::Result<Self> {
        let mut events = Socket::new(NETLINK_ROUTE)?;
        events.bind(&SocketAddr::new(0, 0))?;
        let of_ipv4 = [RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE];
        let of_ipv6 = [RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE];
        for group in [RTNLGRP_LINK].into_iter().chain(of_ipv4).chain(of_ipv6) {
            events.add_membership(group)?;
        }
        events.set_non_blocking(true)?;
        let mut netlink = Netlink::open()?;
        let mut watch = Self {
            seen: Network::look(&mut netlink)?,
            events,
            netlink,
            told_of_rules: false,
        };
        watch.show_addresses_of_links(lab)?;
        Ok(watch)
    }

    pub(super) fn carry_in(&mut self, lab: &mut Upstream) -> io::Result<()> {
        let mut changed = false;
        // Some of them are up again by now.
        let mut went_down = BTreeSet::new();
        loop {
            match self.events.recv_from_full() {
                Ok((told, _)) if is_of_rules(&told) => self.tell_of_rules(),
                Ok((told, _)) => {
                    changed = true;
                    went_down.extend(link_that_is_down(&told));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // More came than it could hold.
                Err(_) => changed = true,
            }
        }
        if !changed {
            return Ok(());
        }
        let now = Network::look(&mut self.netlink)?;
        let mut draws = false;
        for call in self.seen.changes_to(&now, &went_down) {
            draws |= call.starts_with("link ");
            let args: Vec<&str> = call.split(' ').collect();
            let answer = lab.call("ip", &args)?;
            let already = [
                "File exists",
                "No such process",
                "Cannot assign",
                "Cannot find device",
                // With a link that goes down those of IPv6 go by themselves.
                "address not found",
                "ddress already assigned",
            ];
            if answer.code != 0
                && !already.iter().any(|it| answer.stderr.contains(it))
                && !self.stands(&now, &call, lab)?
            {
                let why = answer.stderr.lines().next().unwrap_or_default();
                tell!("nflab: what `ip {call}` does to the devices here is in no lab: {why}");
            }
        }
        self.seen = now;
        match draws {
            true => self.show_addresses_of_links(lab),
            false => Ok(()),
        }
    }

    /// What the lab has drawn for its links: here the kernel draws none, since it would draw another.
    pub(super) fn show_addresses_of_links(&mut self, lab: &mut Upstream) -> io::Result<()> {
        let listed = lab.call("ip", &["-6", "-o", "addr", "show", "scope", "link"])?;
        for line in listed.stdout.lines() {
            let mut words = line.split_whitespace().skip(1);
            let (Some(link), Some(place)) = (words.next(), words.nth(1)) else {
                continue;
            };
            let parts = place
                .split_once('/')
                .map(|(address, length)| (address.parse(), length.parse()));
            // It may be there, its link may be gone, and a kernel without IPv6 shows none.
            if let Some((Ok(address), Ok(length))) = parts
                && let Ok(Some(index)) = self.netlink.index(link)
                && self.netlink.add_address(index, address, length).is_ok()
            {
                self.seen.addresses.insert((link.to_owned(), place.to_owned()));
            }
        }
        Ok(())
    }

    /// Whether a call gives a route once more that stood all the time, here and in the lab: its gateway may have died meanwhile, and such a route no call
    /// would make.
    fn stands(&self, now: &Network, call: &str, lab: &mut Upstream) -> io::Result<bool> {
        let mut both = self.seen.routes.intersection(&now.routes);
        let Some((family, route)) = both.find(|it| call_of_route("add", it) == call) else {
            return Ok(false);
        };
        let words: Vec<&str> = route.split(' ').collect();
        // What becomes of its packets may stand before its place.
        let is_place = |word: &&&str| **word == "default" || word.contains(['.', ':']);
        let to = words.iter().find(is_place).copied().unwrap_or_default();
        let mut asked = vec![family.option(), "route", "show", to];
        let table = words.windows(2).find(|pair| pair[0] == "table");
        asked.extend(table.into_iter().flatten());
        Ok(!lab.call("ip", &asked)?.stdout.is_empty())
    }

    fn tell_of_rules(&mut self) {
        if !self.told_of_rules {
            tell!("nflab: what the machine's `ip rule` changes here is in no lab: `nflab ip rule` changes the lab's");
            self.told_of_rules = true;
        }
    }
}

/// Whether a message tells of a routing rule.
fn is_of_rules(message: &[u8]) -> bool {
    matches!(kind_of(message), Some(RTM_NEWRULE | RTM_DELRULE))
}

/// The link that a message tells to be down.
fn link_that_is_down(message: &[u8]) -> Option<u32> {
    // `struct nlmsghdr`, and in `struct ifinfomsg` behind it four bytes before the link and its flags.
    let word = |at: usize| Some(u32::from_ne_bytes(message.get(at..at + 4)?.try_into().ok()?));
    let (link, flags) = (word(20)?, word(24)?);
    let is_up = LinkFlags::from_bits_retain(flags).contains(LinkFlags::Up);
    (kind_of(message) == Some(RTM_NEWLINK) && !is_up).then_some(link)
}

/// Of `struct nlmsghdr`.
fn kind_of(message: &[u8]) -> Option<u16> {
    let kind = message.get(4..6).and_then(|it| it.try_into().ok());
    kind.map(u16::from_ne_bytes)
}

impl Network {
    fn look(netlink: &mut Netlink) -> io::Result<Self> {
        let mut network = Self::default();
        for message in netlink.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))? {
            if let RouteNetlinkMessage::NewLink(link) = message {
                network.links.insert(link.header.index, Link::of(&link));
            }
        }
        for (family, asked_for) in [(Family::V4, AddressFamily::Inet), (Family::V6, AddressFamily::Inet6)] {
            let mut asked = AddressMessage::default();
            asked.header.family = asked_for;
            for message in netlink.dump(RouteNetlinkMessage::GetAddress(asked))? {
                if let RouteNetlinkMessage::NewAddress(address) = message {
                    network.addresses.extend(network.address(&address));
                }
            }
            let mut asked = RouteMessage::default();
            asked.header.address_family = asked_for;
            for message in netlink.dump(RouteNetlinkMessage::GetRoute(asked))? {
                if let RouteNetlinkMessage::NewRoute(route) = message {
                    let route = network.route(&route);
                    network.routes.extend(route.map(|route| (family, route)));
                }
            }
        }
        Ok(network)
    }

    fn name(&self, link: u32) -> Option<&str> {
        self.links.get(&link).map(|it| it.name.as_str())
    }

    fn address(&self, message: &AddressMessage) -> Option<(String, String)> {
        let own = message.attributes.iter().find_map(|it| match it {
            AddressAttribute::Local(address) => Some(*address),
            _ => None,
        });
        // IPv6 tells it so where there is no peer.
        let address = own.or_else(|| {
            message.attributes.iter().find_map(|it| match it {
                AddressAttribute::Address(address @ IpAddr::V6(_)) => Some(*address),
                _ => None,
            })
        })?;
        let link = self.name(message.header.index)?.to_owned();
        Some((link, format!("{address}/{}", message.header.prefix_len)))
    }

    fn route(&self, message: &RouteMessage) -> Option<String> {
        let header = &message.header;
        if header.protocol == RouteProtocol::Kernel {
            return None;
        }
        let mut table = u32::from(header.table);
        let mut to = "default".to_owned();
        let (mut more, mut ways) = (String::new(), String::new());
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(address) => {
                    to = format!("{}/{}", plain(address)?, header.destination_prefix_length);
                }
                RouteAttribute::Gateway(address) => more += &format!(" via {}", plain(address)?),
                RouteAttribute::Oif(link) => more += &format!(" dev {}", self.name(*link)?),
                RouteAttribute::Priority(metric) => more += &format!(" metric {metric}"),
                RouteAttribute::PrefSource(address) => more += &format!(" src {}", plain(address)?),
                RouteAttribute::Table(number) => table = *number,
                RouteAttribute::MultiPath(hops) => {
                    for hop in hops {
                        ways += NEXTHOP;
                        for attribute in &hop.attributes {
                            if let RouteAttribute::Gateway(address) = attribute {
                                ways += &format!(" via {}", plain(address)?);
                            }
                        }
                        let weight = u16::from(hop.hops) + 1;
                        ways += &format!(" dev {} weight {weight}", self.name(hop.interface_index)?);
                    }
                }
                _ => {}
            }
        }
        let kind = match header.kind {
            RouteType::Unicast => "",
            RouteType::BlackHole => "blackhole ",
            RouteType::Unreachable => "unreachable ",
            RouteType::Prohibit => "prohibit ",
            _ => return None,
        };
        if table != MAIN {
            more += &format!(" table {table}");
        }
        Some(format!("{kind}{to}{more}{ways}"))
    }

    /// The calls of `ip` that make this network into another. What goes, goes first.
    fn changes_to(&self, now: &Self, went_down: &BTreeSet<u32>) -> Vec<String> {
        let mut calls = Vec::new();
        // A route of several gateways goes when the last of them is dead, so links come up before anything goes, and go down behind all: nothing dies here
        // that lived there all the time.
        let mut down = Vec::new();
        for (number, link) in &self.links {
            let Some(now) = now.links.get(number) else {
                calls.push(format!("link del {}", link.name));
                continue;
            };
            if now.name != link.name {
                calls.push(format!("link set {} name {}", link.name, now.name));
            }
            match (link.up, now.up) {
                (false, true) => calls.push(format!("link set {} up", now.name)),
                (true, false) => down.push(format!("link set {} down", now.name)),
                (true, true) if went_down.contains(number) => {
                    calls.push(format!("link set {} down", now.name));
                    calls.push(format!("link set {} up", now.name));
                }
                _ => {}
            }
        }
        let gone = &self.routes - &now.routes;
        let mut lost = &self.addresses - &now.addresses;
        // With its link an address of IPv6 goes in the lab, too, and what the lab draws for the link comes with it again.
        let went_down: Vec<&str> = went_down.iter().filter_map(|number| self.name(*number)).collect();
        lost.retain(|(link, address)| !address.contains(':') || !went_down.contains(&link.as_str()));
        // With an address the lab takes others and routes away, as the kernel does; but what goes and comes in one step here may have gone and come
        // otherwise there. So what shall be left is given once more.
        // No address of IPv6 takes others with it.
        let lost_of_ipv4: Vec<&str> = lost
            .iter()
            .filter(|it| !it.1.contains(':'))
            .map(|it| it.0.as_str())
            .collect();
        let (new, come) = match lost_of_ipv4.is_empty() {
            true => (&now.addresses - &self.addresses, &now.routes - &self.routes),
            false => {
                let touched = |it: &&(String, String)| lost_of_ipv4.contains(&it.0.as_str());
                let of_touched: BTreeSet<_> = now.addresses.iter().filter(touched).cloned().collect();
                let of_ipv4 = now.routes.iter().filter(|it| it.0 == Family::V4).cloned().collect();
                let come = &(&now.routes - &self.routes) | &of_ipv4;
                (&(&now.addresses - &self.addresses) | &of_touched, come)
            }
        };
        calls.extend(
            lost.iter()
                .map(|(link, address)| format!("addr del {address} dev {link}")),
        );
        // Without its gateways it is meant whole.
        let place = |it: &(Family, String)| (it.0, it.1.split(NEXTHOP).next().unwrap_or_default().to_owned());
        calls.extend(gone.iter().map(|it| call_of_route("del", &place(it))));
        for (number, link) in &now.links {
            let before = self.links.get(number);
            if before.is_none() {
                calls.push(format!("link add {} type dummy", link.name));
                continue;
            }
            if before.is_some_and(|it| it.mtu != link.mtu) {
                calls.push(format!("link set {} mtu {}", link.name, link.mtu));
            }
        }
        calls.extend(new.iter().map(|(link, address)| {
            let broadcast = if address.contains(':') { "" } else { " brd +" };
            format!("addr add {address}{broadcast} dev {link}")
        }));
        calls.extend(come.iter().map(|it| call_of_route("add", it)));
        calls.extend(down);
        calls
    }
}

fn call_of_route(verb: &str, (family, route): &(Family, String)) -> String {
    match family {
        Family::V4 => format!("route {verb} {route}"),
        Family::V6 => format!("-6 route {verb} {route}"),
    }
}

impl Link {
    fn of(message: &LinkMessage) -> Self {
        let mut link = Self {
            name: String::new(),
            up: message.header.flags.contains(LinkFlags::Up),
            mtu: 0,
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                _ => {}
            }
        }
        link
    }
}

fn plain(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

const MAIN: u32 = 254;
const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_IPV4_ROUTE: u32 = 7;
const RTNLGRP_IPV4_RULE: u32 = 8;
const RTNLGRP_IPV6_IFADDR: u32 = 9;
const RTNLGRP_IPV6_ROUTE: u32 = 11;
const RTNLGRP_IPV6_RULE: u32 = 19;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
