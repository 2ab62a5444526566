//! `-m conntrack`: what tracking knows of the packet's flow.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::{Family, PortRange, write_address};
use crate::conntrack::{CtState, Direction, Endpoint, StateBits, Status};
use crate::ext::listed::{Listed, Options, Typed, host};
use crate::ext::names;
use crate::ext::number::whole_number;
use crate::ext::option::{Asked, Given, HostMask, IntegerRange, Opt, Read, UsageError};
use crate::ext::states::{StatusBits, since, state_words, status_words, subject, write_states};
use crate::ext::wording::{Ends, Ports, not};
use crate::ext::{MatchSpec, NeedsOne};
use crate::rule::{Condition, Context, Effect, Field, HangsOn, Lowered, Match, Matched, StateUse};

mod flow;
mod samples;

use flow::{FlowView, view};
use samples::SAMPLES;

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "conntrack",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[
        STATE.spec,
        PROTOCOL.spec,
        SIDES[0].address.spec,
        SIDES[1].address.spec,
        SIDES[2].address.spec,
        SIDES[3].address.spec,
        SIDES[0].port.spec,
        SIDES[1].port.spec,
        SIDES[2].port.spec,
        SIDES[3].port.spec,
        STATUS.spec,
        EXPIRE.spec,
        DIRECTION.spec,
    ],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: "conntrack: At least one option is required",
    }),
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "what tracking knows of the packet's flow",
    samples: SAMPLES,
};

const STATE: Opt<StateBits> = Opt::words(
    "ctstate",
    &["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"],
    &Read(|text, _| state_words(text, STATE.name(), true)),
    "the packet's relation to its flow is one of these, or NAT rewrites the flow's source or destination",
)
.invertible();
const PROTOCOL: Opt<u8> = Opt::own(
    "ctproto",
    "PROTOCOL",
    &Read(protocol),
    "the flow's protocol, by number or name",
)
.invertible();
const STATUS: Opt<StatusBits> = Opt::words(
    "ctstatus",
    &["NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"],
    &Read(|text, _| status_words(text, STATUS.name())),
    "the flow's status has one of these",
)
.invertible();
const EXPIRE: Opt<IntegerRange> =
    Opt::integers("ctexpire", u32::MAX as u64, "so many seconds remain to the flow").invertible();
const DIRECTION: Opt<Direction> = Opt::own(
    "ctdir",
    "ORIGINAL|REPLY",
    &Read(|text, _| direction(text)),
    "the way of the packet in its flow",
);

/// One of the four ends of a flow's two tuples.
struct Side {
    address: Opt<HostMask>,
    port: Opt<PortRange>,
    end: fn(&FlowView) -> &Endpoint,
}

/// In the order the kernel asks and the tool prints.
const SIDES: [Side; 4] = [
    Side {
        address: Opt::host("ctorigsrc", "the source in the flow's original direction").invertible(),
        port: Opt::ports(
            "ctorigsrcport",
            "the source port (or ICMP id, or GRE key) in the original direction",
        )
        .invertible(),
        end: |flow| &flow.original.source,
    },
    Side {
        address: Opt::host("ctorigdst", "the destination in the flow's original direction").invertible(),
        port: Opt::ports("ctorigdstport", "the destination port in the original direction").invertible(),
        end: |flow| &flow.original.destination,
    },
    Side {
        address: Opt::host("ctreplsrc", "the source in the flow's reply direction").invertible(),
        port: Opt::ports("ctreplsrcport", "the source port in the reply direction").invertible(),
        end: |flow| &flow.reply.source,
    },
    Side {
        address: Opt::host("ctrepldst", "the destination in the flow's reply direction").invertible(),
        port: Opt::ports("ctrepldstport", "the destination port in the reply direction").invertible(),
        end: |flow| &flow.reply.destination,
    },
];

fn protocol(text: &str, given: &Given<'_>) -> Result<u8, UsageError> {
    let number = whole_number(text)
        .and_then(|number| u8::try_from(number).ok())
        .or_else(|| names::protocol_number_as_typed(text))
        .ok_or_else(|| UsageError::parameter(format!("unknown protocol \"{text}\" specified")))?;
    // The tool means to refuse `! --ctproto all`, but looks at the inversion of another option, and only at one that stands before.
    if number == 0 && given.get(STATUS).is_some_and(|status| status.inverted) {
        return Err(UsageError::parameter("conntrack: rule would never match protocol"));
    }
    Ok(number)
}

fn direction(text: &str) -> Result<Direction, UsageError> {
    match text.to_ascii_uppercase().as_str() {
        "ORIGINAL" => Ok(Direction::Original),
        "REPLY" => Ok(Direction::Reply),
        _ => Err(UsageError::parameter(format!(
            "conntrack: Bad value for \"--ctdir\" option: \"{text}\""
        ))),
    }
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(Conntrack {
        state: given.get(STATE),
        protocol: given.get(PROTOCOL),
        addresses: SIDES.map(|side| given.get(side.address)),
        ports: SIDES.map(|side| given.get(side.port)),
        status: given.get(STATUS),
        expire: given.get(EXPIRE),
        direction: given.value(DIRECTION),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Conntrack {
    state: Option<Asked<StateBits>>,
    protocol: Option<Asked<u8>>,
    /// By `SIDES`.
    addresses: [Option<Asked<HostMask>>; 4],
    ports: [Option<Asked<PortRange>>; 4],
    status: Option<Asked<StatusBits>>,
    expire: Option<Asked<IntegerRange>>,
    direction: Option<Direction>,
}

fn contains(asked: HostMask, other: IpAddr) -> bool {
    let (apart, bits) = match (asked.address, other) {
        (IpAddr::V4(own), IpAddr::V4(other)) => ((own.to_bits() ^ other.to_bits()).leading_zeros(), 32),
        (IpAddr::V6(own), IpAddr::V6(other)) => ((own.to_bits() ^ other.to_bits()).leading_zeros(), 128),
        _ => return false,
    };
    apart >= asked.prefix.map_or(bits, u32::from)
}

fn host_text(asked: HostMask, numeric: bool) -> String {
    let HostMask { address, prefix } = asked;
    let full = Family::of(address).bits();
    // Whatever the mask is.
    if !numeric && address.is_unspecified() {
        return "anywhere".to_owned();
    }
    let mut out = String::new();
    match names::host_name(address) {
        Some(name) if !numeric => out.push_str(name),
        _ => write_address(&mut out, address),
    }
    if let Some(length) = prefix.filter(|&length| length != full) {
        let _ = write!(out, "/{length}");
    }
    out
}

enum Miss {
    State(StateBits),
    NoFlow,
    Direction,
    Address(usize),
    Protocol(u8),
    Port(usize),
    Status(Status),
    Expire(u64),
}

impl Conntrack {
    fn asks_for_state_only(&self) -> bool {
        self.direction.is_none()
            && self.protocol.is_none()
            && self.status.is_none()
            && self.expire.is_none()
            && self.addresses.iter().all(Option::is_none)
            && self.ports.iter().all(Option::is_none)
    }

    /// In the kernel's order. A packet without a flow that has passed `--ctstate` passes the rest unasked.
    fn check(&self, state: CtState, flow: Option<&FlowView>) -> Result<(), Miss> {
        if let Some(asked) = self.state {
            let bits = StateBits::with_nat(state, flow.map_or_else(Status::default, |flow| flow.status));
            if !asked.fits(asked.value.has_any(bits)) {
                return Err(Miss::State(bits));
            }
        }
        let Some(flow) = flow else {
            return if self.state.is_some() {
                Ok(())
            } else {
                Err(Miss::NoFlow)
            };
        };
        if self.direction.is_some_and(|asked| asked != flow.direction) {
            return Err(Miss::Direction);
        }
        for (index, side) in SIDES.iter().enumerate() {
            if let Some(asked) = self.addresses[index]
                && !asked.fits(contains(asked.value, (side.end)(flow).address))
            {
                return Err(Miss::Address(index));
            }
        }
        if let Some(asked) = self.protocol
            && !asked.fits(asked.value == flow.original.protocol)
        {
            return Err(Miss::Protocol(flow.original.protocol));
        }
        for (index, side) in SIDES.iter().enumerate() {
            if let Some(asked) = self.ports[index]
                && !asked.fits(asked.value.contains((side.end)(flow).id))
            {
                return Err(Miss::Port(index));
            }
        }
        if let Some(asked) = self.status
            && !asked.fits(flow.status.bits() & asked.value.0 != 0)
        {
            return Err(Miss::Status(flow.status));
        }
        if let Some(asked) = self.expire
            && !asked.fits((asked.value.low..=asked.value.high).contains(&flow.expires))
        {
            return Err(Miss::Expire(flow.expires));
        }
        Ok(())
    }

    fn why_not(&self, state: CtState, flow: Option<&FlowView>, since: &str) -> String {
        let miss = match self.check(state, flow) {
            Ok(()) => return "conntrack: matches".to_owned(),
            Err(miss) => miss,
        };
        match (miss, flow) {
            (Miss::State(bits), _) => {
                let Asked { value, inverted } = self.state.unwrap_or_default();
                // Most packets of most rulesets have this said of them.
                let mut text = String::with_capacity(80);
                STATE.spelled(inverted).write(&mut text);
                text.push(' ');
                write_states(&mut text, value);
                for piece in [": ", subject(state), " is "] {
                    text.push_str(piece);
                }
                write_states(&mut text, bits);
                text.push_str(since);
                text
            }
            (Miss::NoFlow, _) | (_, None) => format!("conntrack: packet is {} and has no flow", state.name()),
            (Miss::Direction, Some(flow)) => {
                let asked = self.direction.unwrap_or_default();
                format!(
                    "{} {}: packet goes {}",
                    DIRECTION.spelled(false),
                    direction_name(asked),
                    direction_name(flow.direction)
                )
            }
            (Miss::Address(side), Some(flow)) => {
                let (option, end) = (SIDES[side].address, (SIDES[side].end)(flow));
                let asked = self.addresses[side].map(|it| (host_text(it.value, true), it.inverted));
                let (asked, inverted) = asked.unwrap_or_default();
                format!("{} {asked}: flow has {}", option.spelled(inverted), end.address)
            }
            (Miss::Protocol(has), _) => {
                let Asked { value, inverted } = self.protocol.unwrap_or_default();
                format!("{} {value}: flow has {has}", PROTOCOL.spelled(inverted))
            }
            (Miss::Port(side), Some(flow)) => {
                let (option, end) = (SIDES[side].port, (SIDES[side].end)(flow));
                let (asked, inverted) = self.ports[side].map_or((PortRange::ANY, false), |it| (it.value, it.inverted));
                format!("{} {}: flow has {}", option.spelled(inverted), Ports(asked), end.id)
            }
            (Miss::Status(has), _) => {
                let Asked { value, inverted } = self.status.unwrap_or_default();
                format!(
                    "{} {value}: flow has {}",
                    STATUS.spelled(inverted),
                    StatusBits(has.bits())
                )
            }
            (Miss::Expire(has), _) => {
                let Asked { value, inverted } = self.expire.unwrap_or_default();
                format!(
                    "{} {}: flow has {has}",
                    EXPIRE.spelled(inverted),
                    Ends(value.low, value.high)
                )
            }
        }
    }

    /// `iptables -S` and `iptables -L` differ by the dashes alone, and by names for addresses.
    fn write(&self, out: &mut String, dashes: &str, numeric: bool) {
        let mut part = |name: &str, inverted, value: &dyn fmt::Display| {
            let _ = write!(out, " {}{dashes}{name} {value}", not(inverted));
        };
        if let Some(asked) = self.state {
            part(STATE.name(), asked.inverted, &asked.value);
        }
        if let Some(asked) = self.protocol {
            part(PROTOCOL.name(), asked.inverted, &asked.value);
        }
        for (side, asked) in SIDES.iter().zip(self.addresses) {
            if let Some(asked) = asked {
                part(side.address.name(), asked.inverted, &host_text(asked.value, numeric));
            }
        }
        for (side, asked) in SIDES.iter().zip(self.ports) {
            if let Some(Asked { value: range, inverted }) = asked {
                // A range that ends at 0 shows its beginning only (`20:0` is `20`), though it is another rule.
                let shown = match range.high {
                    0 => PortRange::single(range.low),
                    _ => range,
                };
                part(side.port.name(), inverted, &Ports(shown));
            }
        }
        if let Some(asked) = self.status {
            part(STATUS.name(), asked.inverted, &asked.value);
        }
        if let Some(asked) = self.expire {
            part(EXPIRE.name(), asked.inverted, &Ends(asked.value.low, asked.value.high));
        }
        if let Some(direction) = self.direction {
            part(DIRECTION.name(), false, &direction_name(direction));
        }
    }
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Original => "ORIGINAL",
        Direction::Reply => "REPLY",
    }
}

impl Match for Conntrack {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        // Most rules ask for a state and nothing else, and most packets fail by it: the flow needs no look then.
        if let Some(asked) = self.state
            && !asked.value.has_any(StateBits::SNAT.or(StateBits::DNAT))
        {
            let state = StateBits::of(cx.tracking.state_for_matching());
            if !asked.fits(asked.value.has_any(state)) {
                return Matched::No;
            }
            if self.asks_for_state_only() {
                return Matched::Yes;
            }
        }
        let (state, flow) = view(cx);
        self.check(state, flow.as_ref()).is_ok().into()
    }

    /// Tuples and directions are for no index: who asks for them must be asked.
    fn lower(&self) -> Lowered {
        let state = |asked: &Asked<StateBits>| Condition::new(Field::States(asked.value), asked.inverted);
        let conditions = self.state.iter().map(state).collect();
        if self.state.is_some() && self.asks_for_state_only() {
            Lowered::exactly(conditions)
        } else {
            Lowered::at_least(conditions)
        }
    }

    /// What a flow has seen, and how long it lives on, other packets change.
    fn effect(&self) -> Effect {
        if self.status.is_some() || self.expire.is_some() {
            Effect::PURE.with_state(StateUse::Reads).of_its_flow()
        } else {
            Effect::PURE.hanging_on(HangsOn::Plain)
        }
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let (state, flow) = view(cx);
        self.why_not(state, flow.as_ref(), &since(cx.tracking))
    }

    fn save(&self, out: &mut String) {
        self.write(out, "--", true);
    }

    fn list(&self, out: &mut String, numeric: bool) {
        self.write(out, "", numeric);
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// ` ctstate NEW ! ctproto 6`, as typed but for the dashes. Two of these matches side by side read as one: they ask the same.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        let names: Vec<&'static str> = SPEC.options.iter().map(|option| option.name).collect();
        let mut options = Options::default();
        // They are printed in this order: one that comes too late is the next match's.
        let mut left = &names[..];
        while let Some((inverted, name)) = it.option_of(left) {
            let at = left.iter().position(|known| *known == name)?;
            left = &left[at + 1..];
            let value = it.take()?;
            if value == "anywhere" {
                let nowhere = it.family.unspecified();
                options.unknown(format!("`{name} anywhere` may be {nowhere} with any mask"));
                options.push(inverted, name, &format!("{nowhere}/0"));
            } else if SIDES.iter().any(|side| side.address.name() == name) {
                options.push(inverted, name, &host(value, it.family));
            } else {
                options.push(inverted, name, value);
            }
        }
        (left.len() < names.len()).then_some(options)
    })
}

#[cfg(test)]
mod tests;
