//! `ip route get`: which way a packet would go.

use std::fmt::Write;
use std::net::IpAddr;

use super::route::device_of;
use super::routes::{write_via, write_whole};
use super::words::{Refused, abbreviates, number, prefix, table_name, tos, tos_name};
use super::{Call, cache, get6, metrics, rule};
use crate::base::{Family, InterfaceId, Time, protocol};
use crate::engine::Router;
use crate::net::{Delivery, DropReason, Flow, InputRoute, Net, OutputKey, PathMtu, Route, RouteError, table};
use crate::packet::Packet;
use crate::wire::checksum;

#[derive(Debug, Default)]
pub(super) struct Asked {
    family: Option<Family>,
    to: Option<IpAddr>,
    pub from: Option<IpAddr>,
    pub input: Option<InterfaceId>,
    pub output: Option<InterfaceId>,
    pub mark: u32,
    pub tos: u8,
    pub fibmatch: bool,
    protocol: Option<u8>,
    /// Source and destination.
    ports: [u16; 2],
}

impl Asked {
    /// Nothing else is known of the packet. Seen: of IPv4 it is taken for UDP, of IPv6 for nothing.
    pub(super) fn flow(&self) -> Flow {
        let [source, destination] = self.ports;
        let is_ipv6 = self.to.is_some_and(|to| to.is_ipv6());
        let usual = if is_ipv6 { 0 } else { protocol::UDP };
        Flow::with_ports(self.protocol.unwrap_or(usual), source, destination)
    }
}

/// Where the answer is looked up, and how its lines end.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub net: &'a Net,
    router: &'a Router,
    now: Time,
    pub(super) line_end: &'static str,
}

impl Told<'_> {
    /// What was learned of this way.
    pub(super) fn learned(&self, to: IpAddr, route: &Route) -> Option<PathMtu> {
        self.router.path_mtu(self.now, to, route)
    }

    /// What of the way's size is known, by word or by the route, and what else that says.
    pub(super) fn write_mtu(&self, out: &mut String, learned: Option<&PathMtu>, route: Option<&Route>) {
        if let Some(learned) = learned {
            cache::write_until(out, learned, self.now);
        }
        let Some(route) = route.or(learned.map(|it| &it.route)) else {
            return;
        };
        metrics::write(out, route, learned.and_then(cache::size));
    }
}

pub(super) fn run(call: &mut Call<'_>) -> Result<(), Refused> {
    let asked = asked(call)?;
    let Some(to) = asked.to else {
        return Err(Refused::new(1, "need at least a destination address\n"));
    };
    let config = call.machine.router().config();
    let told = Told {
        net: &config.net,
        router: call.machine.router(),
        now: call.machine.now,
        line_end: call.style.line_end(),
    };
    if let IpAddr::V6(to) = to {
        return get6::write(&mut call.out, told, &asked, to);
    }
    match asked.input {
        Some(input) => arriving(&mut call.out, told, &asked, to, input),
        None => own(&mut call.out, told, &asked, to),
    }
}

fn asked(call: &mut Call<'_>) -> Result<Asked, Refused> {
    let mut asked = Asked {
        family: call.style.family,
        ..Asked::default()
    };
    let (mut input, mut output) = (None, None);
    while let Some(word) = call.words.take() {
        match word {
            "from" => {
                let typed = prefix(call.words.need()?, asked.family)?;
                asked.family = asked.family.or(typed.family());
                asked.from = Some(typed.address(asked.family));
            }
            "iif" => input = Some(call.words.need()?),
            "oif" | "dev" => output = Some(call.words.need()?),
            "mark" => {
                let value = call.words.need()?;
                asked.mark = number(value).ok_or_else(|| Refused::wrong(value, "invalid \"mark\" value\n"))?;
            }
            it if it == "tos" || abbreviates(it, "dsfield") => {
                let value = call.words.need()?;
                asked.tos = tos(value).ok_or_else(|| Refused::wrong(value, "TOS value is invalid\n"))?;
            }
            "fibmatch" => asked.fibmatch = true,
            "uid" => {
                // Rules of a lab ask nobody's identity.
                call.words.need()?;
            }
            "ipproto" => asked.protocol = Some(rule::ip_protocol(call.words.need()?)?),
            "sport" => asked.ports[0] = port(call.words.need()?, "invalid sport\n")?,
            "dport" => asked.ports[1] = port(call.words.need()?, "invalid dport\n")?,
            "connected" | "notify" | "vrf" => {
                return Err(Refused::not_there(&format!("`{word}` of `ip route get`")));
            }
            it => {
                let value = if it == "to" { call.words.need()? } else { it };
                if abbreviates(value, "help") {
                    return Err(Refused::usage(
                        "Usage: ip route get [ fibmatch ] ADDRESS [ from ADDRESS iif DEVICE ] [ oif DEVICE ] [ tos TOS ] [ mark NUMBER ]\n                    [ ipproto PROTOCOL ] [ sport PORT ] [ dport PORT ]\n",
                    ));
                }
                let typed = prefix(value, asked.family)?;
                asked.family = asked.family.or(typed.family());
                // Of everything of no family the real tool says nothing.
                let is_of_one = asked.family.is_some();
                asked.family = asked.family.or(Some(Family::V4));
                let to = typed.address(asked.family);
                let bits = Family::of(to).bits();
                if typed.is_prefix && typed.length != bits && is_of_one {
                    call.warning += &format!(
                        "Warning: /{} as prefix is invalid, only /{bits} (or none) is supported.\n",
                        typed.length
                    );
                }
                asked.to = Some(to);
            }
        }
    }
    let family = asked.family.unwrap_or(Family::V4);
    let is_known = |it: u8| match it {
        protocol::TCP | protocol::UDP => true,
        protocol::ICMP => family == Family::V4,
        protocol::ICMPV6 => family == Family::V6,
        _ => false,
    };
    if asked.protocol.is_some_and(|it| !is_known(it)) {
        return Err(Refused::explained("Unsupported ip proto."));
    }
    asked.input = input.map(|name| device_of(call, name)).transpose()?;
    asked.output = output.map(|name| device_of(call, name)).transpose()?;
    Ok(asked)
}

/// A packet of the router's own.
fn own(out: &mut String, told: Told<'_>, asked: &Asked, to: IpAddr) -> Result<(), Refused> {
    let net = told.net;
    let key = OutputKey {
        destination: to,
        source: asked.from,
        mark: asked.mark,
        interface: asked.output,
        tos: asked.tos,
        flow: asked.flow(),
    };
    let key = OutputKey {
        flow: net.flow_of_question(&key),
        ..key
    };
    let way = net.route_output(key).map_err(|error| {
        Refused::by_kernel(match error {
            RouteError::NetworkUnreachable => "Network is unreachable",
            RouteError::HostUnreachable => "No route to host",
            RouteError::Prohibited => "Permission denied",
            RouteError::Blackhole | RouteError::BadSource => "Invalid argument",
            RouteError::SourceOfIpv4 => "Address family not supported by protocol",
            RouteError::NoSource => "Cannot assign requested address",
        })
    })?;
    // What goes nowhere goes to the router itself, whatever route is there.
    let found = net.looked_up_output(&key).route.filter(|_| !to.is_unspecified());
    if asked.fibmatch {
        let found = found.ok_or_else(|| Refused::by_kernel("Network is unreachable"))?;
        write_whole(out, net, net.whole_route(found), told.line_end);
        return Ok(());
    }
    let _ = write!(out, "{}{to} ", kind(way.delivery));
    if let Some(from) = asked.from {
        let _ = write!(out, "from {from} ");
    }
    write_tos(out, found);
    let learned = found.and_then(|route| told.learned(to, route));
    if let Some(gateway) = learned.as_ref().map_or(way.gateway, |it| it.gateway(way.gateway)) {
        write_via(out, gateway, Family::V4);
    }
    let _ = write!(out, "dev {} ", net.interface(way.interface).name);
    write_table(out, net, found);
    if asked.from.is_none() && !way.source.is_unspecified() {
        let _ = write!(out, "src {} ", way.source);
    }
    write_flags(out, way.delivery);
    write_mark(out, asked.mark);
    // By lo everything is the router's own.
    let cached = match (way.interface, way.delivery) {
        (InterfaceId::LOOPBACK, Delivery::Unicast) => cached(Delivery::Local),
        (_, delivery) => cached(delivery),
    };
    let _ = write!(out, "uid 0 {}    cache {cached}", told.line_end);
    told.write_mtu(
        out,
        learned.as_ref(),
        found.filter(|_| way.delivery == Delivery::Unicast),
    );
    out.push('\n');
    Ok(())
}

/// A packet that comes in.
fn arriving(out: &mut String, told: Told<'_>, asked: &Asked, to: IpAddr, input: InterfaceId) -> Result<(), Refused> {
    let net = told.net;
    let from = asked.from.unwrap_or(IpAddr::from([0; 4]));
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (from, to) else {
        return Err(Refused::by_kernel("Invalid argument"));
    };
    let carried = asked.protocol.unwrap_or(protocol::UDP);
    let mut bytes = vec![0x45, asked.tos, 0, 28, 0, 0, 0, 0, 64, carried, 0, 0];
    bytes.extend(source.octets());
    bytes.extend(destination.octets());
    let sum = checksum::of(&bytes);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(asked.ports.map(u16::to_be_bytes).as_flattened());
    bytes.extend([0; 4]);
    let Ok(mut packet) = Packet::parse(bytes) else {
        return Err(Refused::by_kernel("Invalid argument"));
    };
    packet.input = Some(input);
    packet.mark = asked.mark;
    let decision = net.route_input(&packet);
    let found = net.looked_up_input(&packet, to).route;
    let (delivery, way) = match decision {
        InputRoute::Forward(way) => (Delivery::Unicast, Some(way)),
        InputRoute::Local => (Delivery::Local, None),
        InputRoute::Broadcast => (Delivery::Broadcast, None),
        InputRoute::Multicast => (Delivery::Multicast { has_joined: true }, None),
        InputRoute::Error { reason, .. } | InputRoute::Drop(reason) => {
            return Err(Refused::by_kernel(match reason {
                DropReason::NoRoute => "Network is unreachable",
                DropReason::Unreachable | DropReason::NotForwarding => "No route to host",
                DropReason::Prohibited => "Permission denied",
                _ => "Invalid argument",
            }));
        }
    };
    if asked.fibmatch {
        let found = found.ok_or_else(|| Refused::by_kernel("Network is unreachable"))?;
        write_whole(out, net, net.whole_route(found), told.line_end);
        return Ok(());
    }
    let _ = write!(out, "{}{to} from {from} ", kind(delivery));
    write_tos(out, found);
    let leads_on = found.filter(|_| way.is_some());
    let learned = leads_on.and_then(|route| told.learned(to, route));
    let gateway = way.and_then(|way| way.gateway);
    if let Some(gateway) = learned.as_ref().map_or(gateway, |it| it.gateway(gateway)) {
        write_via(out, gateway, Family::V4);
    }
    let output = way.map_or(InterfaceId::LOOPBACK, |way| way.output);
    let _ = write!(out, "dev {} ", net.interface(output).name);
    write_table(out, net, found);
    write_flags(out, delivery);
    write_mark(out, asked.mark);
    let _ = write!(out, "{}    cache {}", told.line_end, cached(delivery));
    if way.is_some_and(|way| way.redirect) {
        out.push_str("<redirect> ");
    }
    told.write_mtu(out, learned.as_ref(), leads_on);
    let _ = writeln!(out, "iif {} ", net.interface(input).name);
    Ok(())
}

fn port(word: &str, why: &str) -> Result<u16, Refused> {
    let found = number(word).and_then(|it| u16::try_from(it).ok());
    found.ok_or_else(|| Refused::wrong(word, why))
}

fn kind(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Unicast => "",
        Delivery::Local => "local ",
        Delivery::Broadcast => "broadcast ",
        Delivery::Multicast { .. } => "multicast ",
    }
}

fn cached(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Unicast => "",
        Delivery::Local => "<local> ",
        Delivery::Broadcast => "<local,brd> ",
        Delivery::Multicast { has_joined: true } => "<local,mc> ",
        Delivery::Multicast { has_joined: false } => "<mc> ",
    }
}

/// The kernel tells it only where it asks the tables one by one.
fn write_table(out: &mut String, net: &Net, found: Option<&Route>) {
    let named = found.filter(|route| net.tables_are_apart(Family::V4) && route.table != table::MAIN);
    if let Some(route) = named {
        let _ = write!(out, "table {} ", table_name(route.table));
    }
}

/// Seen: not what was asked for is told, but what the route is for.
fn write_tos(out: &mut String, found: Option<&Route>) {
    if let Some(route) = found.filter(|route| route.tos != 0) {
        let _ = write!(out, "tos {} ", tos_name(route.tos));
    }
}

/// The bit by which the kernel calls a look-up's answer a multicast, iproute2 takes for another of the same number.
fn write_flags(out: &mut String, delivery: Delivery) {
    if matches!(delivery, Delivery::Multicast { .. }) {
        out.push_str("rt_offload_failed ");
    }
}

fn write_mark(out: &mut String, mark: u32) {
    let _ = match mark {
        0 => Ok(()),
        1..16 => write!(out, "mark {mark} "),
        _ => write!(out, "mark {mark:#x} "),
    };
}
