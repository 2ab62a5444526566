//! Flows and expectations as text: `/proc/net/nf_conntrack`, `/proc/net/ip_conntrack`, `conntrack -L`, `conntrack -L expect`.
//!
//! The kernel lists flows in the order of its hash table, which nobody can foresee; here they come in the order of their creation.

use std::fmt::Write;
use std::net::IpAddr;

use super::proto;
use super::{Counted, Direction, Event, EventKind, Expectation, Flow, FlowState, Status, Tuple, Zone, ZoneScope};
use crate::base::{Family, Time};

/// Which of the forms of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowForm {
    /// `/proc/net/nf_conntrack`.
    Proc,
    /// `/proc/net/ip_conntrack` of kernels before 2.6.20, as its documents show it: neither family nor mark nor zone.
    OldProc,
    /// `conntrack -L`.
    Tool,
    /// `conntrack -L -o extended`.
    ToolExtended,
}

/// One line without its end; `None` for a flow that died meanwhile.
pub fn flow(flow: &Flow, form: FlowForm, now: Time) -> Option<String> {
    let state = flow.lock();
    if state.status.has(Status::DYING) || state.is_expired(now) {
        return None;
    }
    let mut line = String::with_capacity(200);
    write_flow(&mut line, flow, &state, form, now).ok()?;
    Some(line)
}

fn write_flow(line: &mut String, flow: &Flow, state: &FlowState, form: FlowForm, now: Time) -> std::fmt::Result {
    let original = flow.original();
    let from_kernel = matches!(form, FlowForm::Proc | FlowForm::OldProc);
    if matches!(form, FlowForm::Proc | FlowForm::ToolExtended) {
        write_family(line, original.family())?;
    }
    let name = protocol_name(original.protocol, from_kernel);
    let left = state.deadline.since(now).as_secs();
    write!(line, "{name:<8} {} {left} ", original.protocol)?;
    if let Some(name) = state.protocol.state_name() {
        write!(line, "{name} ")?;
    }
    if from_kernel {
        state.protocol.write_for_proc(line)?;
    }
    write_tuple(line, original, from_kernel)?;
    let zone = if form == FlowForm::OldProc {
        Zone::default()
    } else {
        flow.zone()
    };
    write_zone_of(line, zone, Direction::Original, from_kernel)?;
    write_counters(line, state.counters.as_deref(), Direction::Original)?;
    if !state.status.has(Status::SEEN_REPLY) {
        line.push_str("[UNREPLIED] ");
    }
    write_tuple(line, &state.reply, from_kernel)?;
    write_zone_of(line, zone, Direction::Reply, from_kernel)?;
    write_counters(line, state.counters.as_deref(), Direction::Reply)?;
    if state.status.has(Status::ASSURED) {
        line.push_str("[ASSURED] ");
    }
    let mut uses = 1 + state.expected_flows();
    match form {
        FlowForm::OldProc => {}
        FlowForm::Proc => {
            // The reader of the file holds the flow too.
            uses += 1;
            write!(line, "mark={} ", state.mark)?;
            write_zone(line, flow.zone(), true)?;
        }
        FlowForm::Tool | FlowForm::ToolExtended => {
            write!(line, "mark={} ", state.mark)?;
            write_zone(line, flow.zone(), false)?;
        }
    }
    if let (Some(started), true) = (state.started, form != FlowForm::OldProc) {
        write!(line, "delta-time={} ", now.since(started).as_secs())?;
    }
    if let (Some(helper), false) = (state.helper, from_kernel) {
        write!(line, "helper={} ", helper.name)?;
    }
    write!(line, "use={uses}")
}

/// A zone of both directions. Seen: the tool says nothing of zone 0.
fn write_zone(line: &mut String, zone: Zone, from_kernel: bool) -> std::fmt::Result {
    match zone.scope {
        ZoneScope::Both if from_kernel || zone.id != 0 => write!(line, "zone={} ", zone.id),
        _ => Ok(()),
    }
}

/// A zone that counts in this direction alone, behind its tuple.
fn write_zone_of(line: &mut String, zone: Zone, direction: Direction, from_kernel: bool) -> std::fmt::Result {
    let name = match (zone.scope, direction) {
        (ZoneScope::Original, Direction::Original) => "zone-orig",
        (ZoneScope::Reply, Direction::Reply) => "zone-reply",
        _ => return Ok(()),
    };
    match from_kernel || zone.id != 0 {
        true => write!(line, "{name}={} ", zone.id),
        false => Ok(()),
    }
}

/// What happened to a flow, as `conntrack -E` prints it, without the end of the line. `now` counts where the event has no time of its own.
pub fn event(event: &Event, extended: bool, now: Time) -> String {
    let mut line = String::with_capacity(200);
    // Writing into a string cannot fail.
    let _ = write_event(&mut line, event, extended, event.at.unwrap_or(now));
    line.truncate(line.trim_end().len());
    line
}

/// Seen: a time that is over is not shown, nor a mark of zero; only a flow's end tells what was counted, and how long it lived.
fn write_event(line: &mut String, event: &Event, extended: bool, now: Time) -> std::fmt::Result {
    let (flow, state) = (&event.flow, event.flow.lock());
    let original = flow.original();
    let is_end = event.kind == EventKind::Destroy;
    line.push_str(match event.kind {
        EventKind::New => "    [NEW] ",
        EventKind::Update => " [UPDATE] ",
        EventKind::Destroy => "[DESTROY] ",
    });
    if extended {
        write_family(line, original.family())?;
    }
    let name = protocol_name(original.protocol, false);
    write!(line, "{name:<8} {} ", original.protocol)?;
    let left = state.deadline.since(now).as_secs();
    if left != 0 || !is_end {
        write!(line, "{left} ")?;
    }
    if let Some(name) = state.protocol.state_name() {
        write!(line, "{name} ")?;
    }
    let counters = state.counters.as_deref().filter(|_| is_end);
    write_tuple(line, original, false)?;
    write_zone_of(line, flow.zone(), Direction::Original, false)?;
    write_counters(line, counters, Direction::Original)?;
    if !state.status.has(Status::SEEN_REPLY) {
        line.push_str("[UNREPLIED] ");
    }
    write_tuple(line, &state.reply, false)?;
    write_zone_of(line, flow.zone(), Direction::Reply, false)?;
    write_counters(line, counters, Direction::Reply)?;
    if state.status.has(Status::ASSURED) {
        line.push_str("[ASSURED] ");
    }
    if state.mark != 0 {
        write!(line, "mark={} ", state.mark)?;
    }
    write_zone(line, flow.zone(), false)?;
    if let (Some(started), true) = (state.started, is_end) {
        write!(line, "delta-time={} ", now.since(started).as_secs())?;
    }
    if let Some(helper) = state.helper {
        write!(line, "helper={} ", helper.name)?;
    }
    Ok(())
}

/// Which of the forms of an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectationForm {
    /// `/proc/net/nf_conntrack_expect`.
    Proc,
    /// `conntrack -L expect`, with or without `-o extended`.
    Tool,
}

/// One line without its end.
pub fn expectation(expectation: &Expectation, form: ExpectationForm, now: Time) -> String {
    let mut line = String::with_capacity(200);
    // Writing into a string cannot fail.
    let _ = match form {
        ExpectationForm::Proc => write_expectation_of_proc(&mut line, expectation, now),
        ExpectationForm::Tool => write_expectation_of_tool(&mut line, expectation, now),
    };
    line
}

fn write_expectation_of_proc(line: &mut String, it: &Expectation, now: Time) -> std::fmt::Result {
    let family = match it.tuple.family() {
        Family::V4 => 2,
        Family::V6 => 10,
    };
    let left = it.deadline.since(now).as_secs();
    write!(line, "{left} l3proto = {family} proto={} ", it.tuple.protocol)?;
    write_tuple(line, &it.tuple, true)?;
    let mut delimiter = "";
    for (set, name) in [(it.permanent, "PERMANENT"), (it.inactive, "INACTIVE")] {
        if set {
            write!(line, "{delimiter}{name}")?;
            delimiter = ",";
        }
    }
    if !delimiter.is_empty() {
        line.push(' ');
    }
    line.push_str(it.made_by.name);
    Ok(())
}

fn write_expectation_of_tool(line: &mut String, it: &Expectation, now: Time) -> std::fmt::Result {
    let left = it.deadline.since(now).as_secs();
    write!(line, "{left} proto={} ", it.tuple.protocol)?;
    write_tuple(line, &it.tuple, false)?;
    let whole: IpAddr = match it.mask.address {
        IpAddr::V4(_) => std::net::Ipv4Addr::BROADCAST.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::from_bits(u128::MAX).into(),
    };
    write!(
        line,
        "mask-src={} mask-dst={whole} sport={} dport={} ",
        it.mask.address,
        it.mask.id,
        u16::MAX
    )?;
    let master = it.master.original();
    write!(
        line,
        "master-src={} master-dst={} sport={} dport={} ",
        master.source.address, master.destination.address, master.source.id, master.destination.id
    )?;
    if it.permanent {
        line.push_str("PERMANENT ");
    }
    write!(line, "class={} helper={}", it.class, it.made_by.name)
}

fn write_family(line: &mut String, family: Family) -> std::fmt::Result {
    match family {
        Family::V4 => write!(line, "{:<8} {} ", "ipv4", 2),
        Family::V6 => write!(line, "{:<8} {} ", "ipv6", 10),
    }
}

fn protocol_name(number: u8, from_kernel: bool) -> &'static str {
    let spec = proto::spec(number);
    match from_kernel && !spec.is_the_kernels {
        true => proto::generic::SPEC.name,
        false => spec.name,
    }
}

fn write_tuple(line: &mut String, tuple: &Tuple, from_kernel: bool) -> std::fmt::Result {
    write!(line, "src={} dst={} ", tuple.source.address, tuple.destination.address)?;
    proto::spec(tuple.protocol).key.write(line, tuple, from_kernel)
}

fn write_counters(line: &mut String, counters: Option<&[Counted; 2]>, direction: Direction) -> std::fmt::Result {
    match counters {
        Some(counters) => {
            let Counted { packets, bytes } = counters[direction.index()];
            write!(line, "packets={packets} bytes={bytes} ")
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
