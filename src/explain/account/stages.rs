//! What the stages between the tables made of a packet, in words: tracking, routing, NAT, helpers.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use super::Told;
use super::untracked::Spared;
use crate::base::{InterfaceId, write_address, write_number};
use crate::conntrack::{self, CtState, Direction, Endpoint, Tracked, Tuple};
use crate::engine::{Config, NatNotAsked};
use crate::explain::describe::{self, icmp, rule_names};
use crate::explain::story::TrackedAs;
use crate::helper::{Announced, Heard, HeardWhat};
use crate::nat::Manip;
use crate::net::{DropReason, InputRoute, LookedUp, OutputKey, OutputRoute};
use crate::packet::Packet;

pub(super) fn tracked(number: u64, tracking: &TrackedAs, spared: Option<Spared>) -> Told {
    Told::Conntrack {
        state: match &tracking.made {
            Tracked::Drop(_) => None,
            Tracked::Accept(_) => tracking.state.map(|state| state.name().to_owned()),
        },
        reason: tracked_because(tracking, spared).into_owned(),
        code: match &tracking.made {
            Tracked::Accept(reason) => reason.code().map(str::to_owned),
            Tracked::Drop(_) => None,
        },
        history: history(number, tracking),
    }
}

/// What is particular to the flow behind what is said of the packet.
fn with_particular(said: &'static str, tracking: &TrackedAs) -> Cow<'static, str> {
    match &tracking.particular {
        Some(particular) => format!("{said}; {particular}").into(),
        None => said.into(),
    }
}

pub(in crate::explain) fn tracked_because(tracking: &TrackedAs, spared: Option<Spared>) -> Cow<'static, str> {
    let reason = match &tracking.made {
        Tracked::Drop(reason) => return format!("dropped: {reason}").into(),
        Tracked::Accept(reason) => reason,
    };
    match reason {
        conntrack::Reason::AlreadyTracked => match tracking.state {
            Some(CtState::Untracked) => Spared::because(spared).into(),
            Some(CtState::Related) => "it goes with the flow of the packet it is about".into(),
            _ => "it was tracked before".into(),
        },
        conntrack::Reason::KnownFlow => match tracking.direction {
            Direction::Original => with_particular("of a known flow, in its original direction", tracking),
            Direction::Reply => with_particular("of a known flow, in its reply direction", tracking),
        },
        conntrack::Reason::Ignored(reason) => format!("of a known flow, which lives no longer by it: {reason}").into(),
        conntrack::Reason::EndsFlow(by) => format!("it ends its flow: {by}").into(),
        conntrack::Reason::NewFlow => with_particular("it opens a flow", tracking),
        conntrack::Reason::Expected(expectation) => {
            format!("it opens a flow that helper {} announced", expectation.made_by.name).into()
        }
        conntrack::Reason::Exempt => "of neighbour discovery or multicast, which is not tracked".into(),
        conntrack::Reason::ErrorOf => "an ICMP error about a packet of a known flow".into(),
        conntrack::Reason::Invalid(reason) => reason.to_string().into(),
    }
}

/// Which packets opened and answered the flow, where others did.
fn history(number: u64, tracking: &TrackedAs) -> Option<String> {
    let mut text = String::new();
    write_history(&mut text, number, tracking, "").then_some(text)
}

/// Appends it behind what stands before it; false where there is none.
pub(in crate::explain) fn write_history(out: &mut String, number: u64, tracking: &TrackedAs, before: &str) -> bool {
    if !matches!(
        tracking.made,
        Tracked::Accept(
            conntrack::Reason::KnownFlow
                | conntrack::Reason::Ignored(_)
                | conntrack::Reason::EndsFlow(_)
                | conntrack::Reason::ErrorOf
        )
    ) {
        return false;
    }
    let (opened, answered) = match tracking.opened_and_answered_by {
        None | Some((0, _)) => return false,
        Some(by) => by,
    };
    out.push_str(before);
    out.push_str("opened by packet ");
    write_number(out, opened);
    match answered {
        0 => out.push_str(", not answered yet"),
        answered if answered == number => out.push_str("; this is the first answer"),
        answered => {
            out.push_str(", answered since packet ");
            write_number(out, answered);
        }
    }
    true
}

pub(super) fn routed(config: Option<&Config>, decision: &InputRoute, packet: &Packet) -> Told {
    let net = config.map(|config| &config.net);
    let name = |id| net.map_or_else(String::new, |net| net.interface(id).name.to_string());
    let way = match decision {
        InputRoute::Local => "to the router itself".to_owned(),
        InputRoute::Broadcast => "to the router itself, by a broadcast address".to_owned(),
        InputRoute::Multicast => "to the router itself, by a multicast group".to_owned(),
        InputRoute::Forward(way) => out_by(&name(way.output), way.gateway),
        InputRoute::Error { reason, .. } | InputRoute::Drop(reason) => reason.to_string(),
    };
    let towards = match decision {
        InputRoute::Forward(way) => way.source_route,
        _ => None,
    };
    let by_route = match decision {
        InputRoute::Error { reason, .. } | InputRoute::Drop(reason) => matches!(
            reason,
            DropReason::Unreachable | DropReason::Prohibited | DropReason::Blackhole
        ),
        // What comes round keeps the route that it left by.
        _ => packet.input != Some(InterfaceId::LOOPBACK),
    };
    let asked = net.filter(|_| by_route);
    let found = asked.map(|net| net.looked_up_input(packet, towards.unwrap_or(packet.destination())));
    route(config, way, found, false)
}

pub(super) fn routed_out(config: Option<&Config>, way: &OutputRoute, key: &OutputKey, again: bool) -> Told {
    let net = config.map(|config| &config.net);
    let name = net.map_or_else(String::new, |net| net.interface(way.interface).name.to_string());
    let found = net.map(|net| net.looked_up_output(key));
    let text = match way.interface {
        InterfaceId::LOOPBACK => "to the router itself, by lo".to_owned(),
        _ => out_by(&name, way.gateway),
    };
    route(config, text, found, again)
}

fn out_by(name: &str, gateway: Option<IpAddr>) -> String {
    let mut text = String::new();
    write_out_by(&mut text, name, gateway);
    text
}

pub(in crate::explain) fn write_out_by(text: &mut String, name: &str, gateway: Option<IpAddr>) {
    text.push_str("out by ");
    text.push_str(name);
    match gateway {
        Some(gateway) => {
            text.push_str(", via ");
            write_address(text, gateway);
        }
        None => text.push_str(", to a neighbour there"),
    }
}

fn route(config: Option<&Config>, way: String, found: Option<LookedUp<'_>>, again: bool) -> Told {
    let (route, rule) = match (config, found) {
        (Some(config), Some(found)) => (
            found.route.map(|route| config.net.route_text(route)),
            found.rule.map(|rule| config.net.rule_text(&rule, rule_names())),
        ),
        _ => (None, None),
    };
    Told::Route {
        way,
        route,
        rule,
        again,
    }
}

pub(super) fn nat_not_asked(manip: Manip, why: NatNotAsked) -> Told {
    Told::NatNotAsked {
        nat: manip_name(manip).to_owned(),
        reason: nat_not_asked_because(why).to_owned(),
    }
}

pub(in crate::explain) fn nat_not_asked_because(why: NatNotAsked) -> &'static str {
    match why {
        NatNotAsked::NoFlow => "the packet has no flow to translate",
        NatNotAsked::Decided => "the mapping of its flow stands",
        NatNotAsked::AboutAnother => "an error follows the flow that it is about",
    }
}

fn manip_name(manip: Manip) -> &'static str {
    match manip {
        Manip::Source => "source",
        Manip::Destination => "destination",
    }
}

pub(super) fn translated(manip: Manip, before: &[u8], after: &[u8]) -> Told {
    Told::Nat {
        nat: manip_name(manip).to_owned(),
        before: all_ends(before),
        after: all_ends(after),
    }
}

/// The ends of a packet, and of the one it quotes.
fn all_ends(bytes: &[u8]) -> String {
    let Ok(packet) = Packet::parse(bytes.to_vec()) else {
        return describe::brief(bytes);
    };
    match icmp::message(&packet) {
        Some(message) if icmp::is_error(packet.family(), message.kind()) => {
            format!(
                "{} (quoting {})",
                describe::ends(&packet),
                describe::brief(message.payload())
            )
        }
        Some(message) => format!("{} id {}", describe::ends(&packet), message.identifier()),
        None => describe::ends(&packet),
    }
}

pub(super) fn helped(heard: &Heard, before: &[u8], after: &[u8]) -> Told {
    let (what, rewritten) = heard_sentence(heard, before, after);
    Told::Helper {
        helper: heard.helper.to_owned(),
        heard: what,
        rewritten,
    }
}

/// What a helper made of a packet, and what it wrote over the payload.
pub(crate) fn heard_sentence(heard: &Heard, before: &[u8], after: &[u8]) -> (String, Option<String>) {
    let said = payload_text(before);
    let what = match &heard.what {
        HeardWhat::TooEarly => "reads nothing before the flow is answered".to_owned(),
        HeardWhat::NoData => "no data to read".to_owned(),
        HeardWhat::NotAtALine { .. } => "not read: it is not known that a line begins here".to_owned(),
        HeardWhat::NoCommand => format!("read {said}: nothing that opens a flow"),
        HeardWhat::NamesAnother(address) => {
            format!("read {said}: it names {address}, which is not its sender, so nothing is expected")
        }
        HeardWhat::OtherWay => "not read: only what the other side says is".to_owned(),
        HeardWhat::NotOwnBroadcast => {
            "not read: only what the router itself broadcasts is answered by others".to_owned()
        }
        HeardWhat::OfNoNetwork => {
            "not read: no address of the interface has this broadcast address (brd), so it is not known who may answer"
                .to_owned()
        }
        HeardWhat::NoRoom => {
            "the answers are not expected: there is no room for them, or somebody else's are".to_owned()
        }
        HeardWhat::OutOfTurn => format!("read {said}: it does not fit what was said before, so it counts for nothing"),
        HeardWhat::CallOver => format!("read {said}: the call is over, and so is what was expected or came of it"),
        HeardWhat::NothingToWrite => "not read: nothing in it is called otherwise on the other side".to_owned(),
        HeardWhat::Wrote(0) => format!("read {said}: it does not name the address that NAT changes"),
        HeardWhat::Wrote(1) => format!("read {said}: an address is written over"),
        HeardWhat::Wrote(several) => format!("read {said}: {several} addresses are written over"),
        HeardWhat::Confirmed { expected, lasts } => {
            let (flow, seconds) = (expectation(expected), lasts.as_secs());
            format!("read {said}: the flow {flow} that was announced may come from now on, for {seconds} seconds")
        }
        HeardWhat::TakenBack(count) => {
            let flows = if *count == 1 { "flow is" } else { "flows are" };
            format!("read {said}: {count} {flows} expected no longer")
        }
        HeardWhat::Announced(announced) => match &announced[..] {
            [one] => format!("read {said}: a flow {} is expected", announcement(one)),
            several => {
                let flows: Vec<String> = several.iter().map(announcement).collect();
                format!("read {said}: {} flows are expected: {}", flows.len(), flows.join(", "))
            }
        },
    };
    let rewritten = (payload(before) != payload(after)).then(|| payload_text(after));
    (what, rewritten)
}

fn announcement(announced: &Announced) -> String {
    let mut text = expected_from(&announced.expected, announced.from_mask);
    if let Some(port) = announced.instead_of {
        text.push_str(&format!(" (port {port} was taken)"));
    }
    text
}

/// `tcp 192.0.2.9 > 10.0.0.2:1025`.
pub(crate) fn expectation(tuple: &Tuple) -> String {
    expected_from(tuple, None)
}

/// The same from any host of a network: `udp 10.0.0.0/24:137 > 10.0.0.1:137`.
fn expected_from(tuple: &Tuple, mask: Option<IpAddr>) -> String {
    let (source, destination) = (tuple.source, tuple.destination);
    let host = match (source.address, mask) {
        (IpAddr::V4(host), Some(IpAddr::V4(mask))) => format!("{}/{}", host & mask, mask.to_bits().count_ones()),
        (host, _) => host.to_string(),
    };
    let from = match source {
        any if any.address.is_unspecified() => "any host".to_owned(),
        Endpoint { id: 0, .. } => host,
        Endpoint { id, .. } => match source.address {
            IpAddr::V4(_) => format!("{host}:{id}"),
            IpAddr::V6(_) => format!("[{host}]:{id}"),
        },
    };
    let name = conntrack::proto::spec(tuple.protocol).name;
    let to = SocketAddr::new(destination.address, destination.id);
    format!("{name} {from} > {to}")
}

fn payload(bytes: &[u8]) -> Option<Vec<u8>> {
    let packet = Packet::parse(bytes.to_vec()).ok()?;
    match (packet.tcp(), packet.udp()) {
        (Some(tcp), _) => Some(tcp.payload().to_vec()),
        (_, Some(udp)) => Some(udp.payload().to_vec()),
        _ => None,
    }
}

fn payload_text(bytes: &[u8]) -> String {
    describe::quoted(&payload(bytes).unwrap_or_default())
}
