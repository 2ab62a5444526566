//! `-o xml` of the `conntrack` tool.

use std::fmt::{Result, Write};
use std::net::IpAddr;

use super::tool::{Occasion, ToolForm};
use crate::base::date::Date;
use crate::base::{Family, Time, as_in_c};
use crate::conntrack::{Direction, EventKind, Expectation, Flow, FlowState, Status, Tuple, ZoneScope, proto};

/// The first lines of a document of these, and the last.
pub(crate) const FLOWS: [&str; 2] = [
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n",
    "</conntrack>\n",
];
pub(crate) const EXPECTATIONS: [&str; 2] = ["<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<expect>\n", "</expect>\n"];

pub(super) fn write_flow(
    out: &mut String,
    flow: &Flow,
    state: &FlowState,
    form: &ToolForm,
    occasion: Occasion,
    now: Time,
) -> Result {
    write_beginning(out, occasion.kind())?;
    for (name, tuple, direction) in [
        ("original", &flow.original(), Direction::Original),
        ("reply", &flow.reply(), Direction::Reply),
    ] {
        write!(
            out,
            "<meta direction=\"{name}\"><layer3 {}><src>{}</src><dst>{}</dst></layer3>",
            family(tuple),
            as_in_c(tuple.source.address),
            as_in_c(tuple.destination.address)
        )?;
        write!(out, "<layer4 {}>{}</layer4>", transport(tuple), numbers(tuple)?)?;
        if flow.zone().scope != ZoneScope::Both && flow.zone().of(direction) != 0 {
            write!(out, "<zone>{}</zone>", flow.zone().id)?;
        }
        if let Some(counters) = state.counters().filter(|_| occasion.sums_up()) {
            let counted = counters[direction.index()];
            write!(
                out,
                "<counters><packets>{}</packets><bytes>{}</bytes></counters>",
                counted.packets, counted.bytes
            )?;
        }
        out.push_str("</meta>");
    }
    out.push_str("<meta direction=\"independent\">");
    if let Some(name) = state.protocol.state_name() {
        write!(out, "<state>{name}</state>")?;
    }
    if let Some(left) = occasion.left(state, now) {
        write!(out, "<timeout>{left}</timeout>")?;
    }
    if occasion.tells_mark(state.mark) {
        write!(out, "<mark>{}</mark>", state.mark)?;
    }
    if let Some(names) = form.names_of(state, occasion) {
        let labels = names.iter().map(|name| format!("<label>{name}</label>"));
        write!(out, "<labels>{}</labels>", labels.collect::<String>())?;
    }
    if flow.zone().scope == ZoneScope::Both && flow.zone().id != 0 {
        write!(out, "<zone>{}</zone>", flow.zone().id)?;
    }
    if let Some(uses) = occasion.uses(state) {
        write!(out, "<use>{uses}</use>")?;
    }
    write!(out, "<id>{}</id>", flow.serial())?;
    if state.status.has(Status::ASSURED) {
        out.push_str("<assured/>");
    }
    if !state.status.has(Status::SEEN_REPLY) {
        out.push_str("<unreplied/>");
    }
    if let (Some(started), true) = (state.started(), occasion.sums_up()) {
        if form.ktimestamp && occasion != Occasion::Deleted {
            write!(out, "<timestamp><start>{}</start>", nanoseconds(started))?;
            if occasion.is_end() {
                write!(out, "<stop>{}</stop>", nanoseconds(now))?;
            }
            out.push_str("</timestamp>");
        }
        write!(out, "<deltatime>{}</deltatime>", now.since(started).as_secs())?;
    }
    out.push_str("</meta>");
    if let Occasion::Happened { when: Some(when), .. } = occasion {
        write_when(out, when)?;
    }
    if let (Some(helper), false) = (state.helper(), occasion.is_end()) {
        write!(out, "<helper>{}</helper>", helper.name)?;
    }
    out.push_str("</flow>");
    Ok(())
}

pub(super) fn write_expectation(
    out: &mut String,
    it: &Expectation,
    kind: Option<EventKind>,
    when: Option<Time>,
    now: Time,
) -> Result {
    write_beginning(out, kind)?;
    let tuple = &it.tuple;
    let master = it.master.original();
    let pair = |name: &str, [source, destination]: [IpAddr; 2]| {
        let (source, destination) = (as_in_c(source), as_in_c(destination));
        format!("<{name}><src>{source}</src><dst>{destination}</dst></{name}>")
    };
    write!(out, "<layer3 {}>", family(tuple))?;
    out.push_str(&pair("expected", [tuple.source.address, tuple.destination.address]));
    out.push_str(&pair(
        "mask",
        [it.mask.address, Family::of(it.mask.address).every_bit()],
    ));
    out.push_str(&pair("master", [master.source.address, master.destination.address]));
    write!(
        out,
        "</layer3><layer4 {}><expected>{}</expected><mask>{}</mask><master>{}</master></layer4>",
        transport(tuple),
        numbers(tuple)?,
        numbers(&it.mask_tuple())?,
        numbers(&master)?
    )?;
    let left = it.deadline.since(now).as_secs();
    write!(
        out,
        "<meta><helper-name>{}</helper-name><timeout>{left}</timeout><class>{}</class>",
        it.made_by.name, it.class
    )?;
    if let Some(when) = when {
        write_when(out, when)?;
    }
    out.push_str("</meta></flow>");
    Ok(())
}

fn write_beginning(out: &mut String, kind: Option<EventKind>) -> Result {
    let kind = match kind {
        None => "",
        Some(EventKind::New) => " type=\"new\"",
        Some(EventKind::Update) => " type=\"update\"",
        Some(EventKind::Destroy) => " type=\"destroy\"",
    };
    write!(out, "<flow{kind}>")
}

/// Seen: a week's days are counted from 1, hours have one digit where one is enough, minutes and seconds two.
fn write_when(out: &mut String, when: Time) -> Result {
    let date = Date::of(when);
    write!(
        out,
        "<when><hour>{}</hour><min>{:02}</min><sec>{:02}</sec><wday>{}</wday><day>{}</day><month>{}</month><year>{}</year></when>",
        date.hour,
        date.minute,
        date.second,
        date.weekday + 1,
        date.day,
        date.month + 1,
        date.year
    )
}

fn nanoseconds(instant: Time) -> u128 {
    instant.since(Time::ZERO).as_nanos()
}

fn family(tuple: &Tuple) -> &'static str {
    match tuple.family() {
        Family::V4 => "protonum=\"2\" protoname=\"ipv4\"",
        Family::V6 => "protonum=\"10\" protoname=\"ipv6\"",
    }
}

fn transport(tuple: &Tuple) -> String {
    let name = proto::spec(tuple.protocol).name;
    format!("protonum=\"{}\" protoname=\"{name}\"", tuple.protocol)
}

/// What a line says of the ports, each in an element of its name.
fn numbers(tuple: &Tuple) -> std::result::Result<String, std::fmt::Error> {
    let key = &proto::spec(tuple.protocol).key;
    let mut words = String::new();
    if key.is_in_xml() {
        key.write(&mut words, tuple, false)?;
    }
    let parted = words.split_whitespace().filter_map(|word| word.split_once('='));
    Ok(parted
        .map(|(name, value)| format!("<{name}>{value}</{name}>"))
        .collect())
}
