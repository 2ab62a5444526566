//! `-o save` of the `conntrack` tool: the options that make a flow again, and that `-R` reads.

use std::fmt::{Result, Write};

use super::tool::Occasion;
use crate::base::{Time, as_in_c};
use crate::conntrack::proto::tool::{self, Asked};
use crate::conntrack::{Direction, EventKind, Flow, FlowState, Status, Tuple, ZoneScope, proto};
use crate::packet::End;

pub(super) fn write_flow(out: &mut String, flow: &Flow, state: &FlowState, occasion: Occasion, now: Time) -> Result {
    out.push_str(match occasion {
        Occasion::Deleted => "-D",
        _ => match occasion.kind() {
            None | Some(EventKind::New) => "-A",
            Some(EventKind::Update) => "-U",
            Some(EventKind::Destroy) => "-D",
        },
    });
    if let Some(left) = occasion.left(state, now) {
        write!(out, " -t {left}")?;
    }
    write!(out, " -u {}", status(state.status))?;
    let zone = flow.zone();
    match zone.scope {
        _ if zone.id == 0 => {}
        ZoneScope::Both => write!(out, " -w {}", zone.id)?,
        ZoneScope::Original => write!(out, " --orig-zone {}", zone.id)?,
        ZoneScope::Reply => write!(out, " --reply-zone {}", zone.id)?,
    }
    let (original, reply) = (flow.original(), flow.reply());
    write!(
        out,
        " -s {} -d {}",
        as_in_c(original.source.address),
        as_in_c(original.destination.address)
    )?;
    for (done, before, after, plain, mapped) in [
        (Status::DST_NAT_DONE, &original.destination, &reply.source, 'r', 'g'),
        (Status::SRC_NAT_DONE, &original.source, &reply.destination, 'q', 'n'),
    ] {
        let is_mapped = state.status.has(done) && before.address != after.address;
        let letter = if is_mapped { mapped } else { plain };
        write!(out, " -{letter} {}", as_in_c(after.address))?;
    }
    let spec = proto::spec(original.protocol);
    match spec.name == proto::generic::SPEC.name {
        true => write!(out, " -p {}", original.protocol)?,
        false => write!(out, " -p {}", spec.name)?,
    }
    // What the kernel does not know of a protocol, it does not tell.
    for option in spec.options.iter().copied().flatten().filter(|_| spec.is_the_kernels) {
        let name = option.names[0];
        match option.asks {
            Asked::Id(direction, end) | Asked::Key(direction, end) => {
                write!(out, " --{name} {}", id(&original, &reply, direction, end))?;
            }
            Asked::Type => write!(out, " --{name} {}", original.icmp().0)?,
            Asked::Code => write!(out, " --{name} {}", original.icmp().1)?,
            Asked::State(words) => {
                if let Some(state) = state.protocol.state_name() {
                    // Seen: what the tool has no word for, it writes all the same.
                    let word = words.iter().find(|(_, shown)| *shown == state);
                    write!(out, " --{name} {}", word.map_or("(null)", |(_, shown)| shown))?;
                }
            }
            Asked::Tag(direction) => {
                if let Some(tags) = state.protocol.tags() {
                    write!(out, " --{name} {}", tool::told_tag(tags[direction.index()]))?;
                }
            }
            Asked::Expected(_) | Asked::Mask(_) | Asked::Words(..) => {}
        }
    }
    Ok(())
}

fn id(original: &Tuple, reply: &Tuple, direction: Direction, end: End) -> u16 {
    match direction {
        Direction::Original => original.end(end).id,
        Direction::Reply => reply.end(end).id,
    }
}

fn status(status: Status) -> String {
    let told = [
        (Status::SEEN_REPLY, "SEEN_REPLY"),
        (Status::ASSURED, "ASSURED"),
        (Status::FIXED_TIMEOUT, "FIXED_TIMEOUT"),
        (Status::EXPECTED, "EXPECTED"),
    ];
    let names: Vec<&str> = told
        .iter()
        .filter(|(bit, _)| status.has(*bit))
        .map(|(_, name)| *name)
        .collect();
    match names.is_empty() {
        true => "UNSET".to_owned(),
        false => names.join(","),
    }
}
