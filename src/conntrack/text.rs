//! Flows and expectations as text: `/proc/net/nf_conntrack`, `/proc/net/ip_conntrack`, `conntrack -L`, `conntrack -L expect`.
//!
//! The kernel lists flows in the order of its hash table, which nobody can foresee; here they come in the order of their creation.

mod save;
mod tool;
pub(crate) mod xml;

use std::fmt::Write;
use std::net::IpAddr;

use super::proto;
use super::{Counted, Direction, Expectation, Flow, FlowState, Status, Tuple, Zone, ZoneScope};
use crate::base::{Family, Time, as_in_c};
pub use tool::{Occasion, Syntax, ToolForm, tool_expectation, tool_flow};

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
    let extended = match form {
        FlowForm::Proc | FlowForm::OldProc => {
            write_flow(&mut line, flow, &state, form, now).ok()?;
            return Some(line);
        }
        FlowForm::Tool => false,
        FlowForm::ToolExtended => true,
    };
    let form = ToolForm {
        extended,
        ..ToolForm::default()
    };
    Some(tool::shown(flow, &state, &form, Occasion::Listed, now))
}

fn write_flow(line: &mut String, flow: &Flow, state: &FlowState, form: FlowForm, now: Time) -> std::fmt::Result {
    let original = flow.original();
    if form == FlowForm::Proc {
        write_family(line, original.family())?;
    }
    let name = name_in_kernel(original.protocol);
    let left = state.left(now).as_secs();
    write!(line, "{name:<8} {} {left} ", original.protocol)?;
    if let Some(name) = state.protocol.state_name() {
        write!(line, "{name} ")?;
    }
    state.protocol.write_for_proc(line)?;
    write_tuple(line, &original, true)?;
    let zone = if form == FlowForm::OldProc {
        Zone::default()
    } else {
        flow.zone()
    };
    write_zone_of(line, zone, Direction::Original, true)?;
    write_counters(line, state.counters(), Direction::Original)?;
    if !state.status.has(Status::SEEN_REPLY) {
        line.push_str("[UNREPLIED] ");
    }
    write_tuple(line, &flow.reply(), true)?;
    write_zone_of(line, zone, Direction::Reply, true)?;
    write_counters(line, state.counters(), Direction::Reply)?;
    if state.status.has(Status::ASSURED) {
        line.push_str("[ASSURED] ");
    }
    let mut uses = 1 + state.uses();
    if form == FlowForm::Proc {
        // The reader of the file holds the flow too.
        uses += 1;
        write!(line, "mark={} ", state.mark)?;
        write_zone(line, flow.zone(), true)?;
        if let Some(started) = state.started() {
            write!(line, "delta-time={} ", now.since(started).as_secs())?;
        }
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
    write_flags(line, it)?;
    line.push_str(it.made_by.name);
    match it.made_by.policy(it.class).name {
        "" => Ok(()),
        class => write!(line, "/{class}"),
    }
}

fn write_expectation_of_tool(line: &mut String, it: &Expectation, now: Time) -> std::fmt::Result {
    let left = it.deadline.since(now).as_secs();
    write!(line, "{left} proto={} ", it.tuple.protocol)?;
    write_tuple(line, &it.tuple, false)?;
    write!(
        line,
        "mask-src={} mask-dst={} ",
        as_in_c(it.mask.address),
        Family::of(it.mask.address).every_bit()
    )?;
    let key = &proto::spec(it.tuple.protocol).key;
    key.write(line, &it.mask_tuple(), false)?;
    let master = it.master.original();
    write!(
        line,
        "master-src={} master-dst={} ",
        as_in_c(master.source.address),
        as_in_c(master.destination.address)
    )?;
    proto::spec(master.protocol).key.write(line, &master, false)?;
    write_flags(line, it)?;
    write!(line, "class={} helper={}", it.class, it.made_by.name)
}

fn write_flags(line: &mut String, it: &Expectation) -> std::fmt::Result {
    let mut delimiter = "";
    for (set, name) in [(it.permanent, "PERMANENT"), (it.inactive, "INACTIVE")] {
        if set {
            write!(line, "{delimiter}{name}")?;
            delimiter = ",";
        }
    }
    match delimiter {
        "" => Ok(()),
        _ => line.write_char(' '),
    }
}

fn write_family(line: &mut String, family: Family) -> std::fmt::Result {
    match family {
        Family::V4 => write!(line, "{:<8} {} ", "ipv4", 2),
        Family::V6 => write!(line, "{:<8} {} ", "ipv6", 10),
    }
}

fn name_in_kernel(number: u8) -> &'static str {
    let spec = proto::spec(number);
    match spec.is_the_kernels {
        true => spec.name,
        false => proto::generic::SPEC.name,
    }
}

fn write_tuple(line: &mut String, tuple: &Tuple, from_kernel: bool) -> std::fmt::Result {
    let [source, destination] = [tuple.source.address, tuple.destination.address];
    match from_kernel {
        true => write!(line, "src={} dst={} ", in_kernel(source), in_kernel(destination))?,
        false => write!(line, "src={} dst={} ", as_in_c(source), as_in_c(destination))?,
    }
    proto::spec(tuple.protocol).key.write(line, tuple, from_kernel)
}

/// An address as the kernel's own texts have it: all 32 digits of an IPv6 address.
pub(crate) fn in_kernel(address: IpAddr) -> impl std::fmt::Display {
    std::fmt::from_fn(move |f| match address {
        IpAddr::V4(address) => write!(f, "{address}"),
        IpAddr::V6(address) => {
            let [first, rest @ ..] = address.segments();
            write!(f, "{first:04x}")?;
            rest.iter().try_for_each(|it| write!(f, ":{it:04x}"))
        }
    })
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
