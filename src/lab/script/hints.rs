//! What a learner trips on, told when it happens: behind what became of a packet, a line that says what to do about it.

use std::net::IpAddr;

use crate::base::protocol;
use crate::conntrack::{CtState, Tuple};
use crate::engine::{Fate, Port};
use crate::explain::describe::icmp;
use crate::helper::{self, Heard, HeardWhat, HelperSpec};
use crate::lab::conversation;
use crate::lab::machine::{Machine, Profile};
use crate::lab::memory::{Lab, Passage};
use crate::packet::Packet;
use crate::wire::tcp::flags;

/// All there is to say of a packet, a line each.
pub(super) fn of(lab: &Lab, passage: &Passage) -> String {
    let Ok(packet) = Packet::parse(passage.sent.clone()) else {
        return String::new();
    };
    let hints = [
        nobody_listens(passage, &packet),
        not_attached(lab, passage, &packet),
        not_at_a_line(passage),
    ];
    lines(hints.into_iter().flatten())
}

/// The same of a packet whose interface somebody chose by hand.
pub(super) fn of_sent(lab: &Lab, passage: &Passage) -> String {
    let packet = Packet::parse(passage.sent.clone()).ok();
    let elsewhere = packet.and_then(|packet| elsewhere(lab, passage, &packet));
    of(lab, passage) + &lines(elsewhere.into_iter())
}

fn lines(hints: impl Iterator<Item = String>) -> String {
    hints.map(|hint| format!("hint: {hint}\n")).collect()
}

/// The router itself got it, and answered that nothing is there.
fn nobody_listens(passage: &Passage, packet: &Packet) -> Option<String> {
    let (_, port) = packet.ports()?;
    // What belongs to nothing would be answered so by a program's host, too.
    if passage.report.fate != Fate::Delivered || passage.report.state == Some(CtState::Invalid) {
        return None;
    }
    let answers = passage
        .output
        .iter()
        .filter(|it| it.port != Port::Local && !it.is_beside);
    let mut answers = answers.filter_map(|it| Packet::parse(it.bytes.clone()).ok());
    let (name, answer) = match packet.protocol() {
        protocol::TCP => {
            let reset = |it: &Packet| {
                it.tcp()
                    .is_some_and(|tcp| tcp.has(flags::RST) && tcp.source_port() == port)
            };
            ("tcp", answers.any(|it| reset(&it)).then_some("RST")?)
        }
        protocol::UDP => {
            let unreachable =
                |it: &Packet| icmp::message(it).is_some_and(|message| message.kind() == icmp::unreachable(it.family()));
            ("udp", answers.any(|it| unreachable(&it)).then_some("port-unreachable")?)
        }
        _ => return None,
    };
    Some(format!(
        "no program listens on this port, so the router answers {answer}: `listen {name} {port}`"
    ))
}

/// It opened a flow to a helper's port, and the helper does not read it.
fn not_attached(lab: &Lab, passage: &Passage, packet: &Packet) -> Option<String> {
    if passage.report.state != Some(CtState::New) {
        return None;
    }
    let (flow, _) = lab.machine.router().flows().lookup(lab.now(), &Tuple::of(packet)?)?;
    if flow.lock().helper().is_some() {
        return None;
    }
    let (machine, to) = (&lab.machine, flow.original());
    let is_its = |spec: &&&HelperSpec| {
        spec.conntrack()
            .any(|helper| helper.protocol == to.protocol && helper.ports.contains(&to.destination.id))
    };
    let spec = helper::registry().iter().find(is_its)?;
    let helper = spec.conntrack().next()?.name;
    let chain = match passage.interface {
        Some(_) => "PREROUTING",
        None => "OUTPUT",
    };
    let name = if to.protocol == protocol::TCP { "tcp" } else { "udp" };
    match (machine.profile(), is_loaded(machine, spec)) {
        (Profile::Linux6, true) => Some(format!(
            "the helper {helper} is loaded but not attached to this flow: `iptables -t raw -A {chain} -p {name} --dport {port} -j CT --helper {helper}`, \
             or `profile classic`, where helpers bind to their ports",
            port = to.destination.id
        )),
        (Profile::Classic, false) => Some(format!(
            "no helper reads this flow: `modprobe {}` before it begins",
            spec.modules
                .iter()
                .find(|name| name.starts_with("ip_"))
                .or(spec.modules.first())?
        )),
        _ => None,
    }
}

/// A helper would have read a command, and does not know that a line begins with it.
fn not_at_a_line(passage: &Passage) -> Option<String> {
    let in_vain = |heard: &&Heard| matches!(heard.what, HeardWhat::NotAtALine { in_vain: true });
    let heard = passage.story.heard().find(in_vain)?;
    Some(format!(
        "the helper {} does not read this: it only knows where a line begins once this side has sent a whole one; a real session opens with others \
         (`data` with \"USER anonymous\\r\\n\")",
        heard.helper
    ))
}

/// It came in by another interface than the one behind which its sender is, as forged packets do, and mistaken ones.
fn elsewhere(lab: &Lab, passage: &Passage, packet: &Packet) -> Option<String> {
    let came_in = passage.interface?;
    if is_on_every_link(packet.source()) {
        return None;
    }
    let behind = conversation::behind(lab, packet.source())?;
    (behind != came_in).then(|| {
        format!(
            "{} is behind {behind}, and this packet came in by {came_in}, as a forged one would: `send {behind} ...`",
            packet.source()
        )
    })
}

/// Who has no address yet, or one of the link alone: such senders are behind every interface.
fn is_on_every_link(source: IpAddr) -> bool {
    source.is_unspecified()
        || match source {
            IpAddr::V4(source) => source.is_link_local(),
            IpAddr::V6(source) => source.is_unicast_link_local(),
        }
}

fn is_loaded(machine: &Machine, spec: &HelperSpec) -> bool {
    machine
        .modules()
        .iter()
        .any(|name| spec.modules.contains(&name.as_str()))
}
