//! `-m conntrack`: what tracking knows of the packet's flow.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::{Family, PortRange};
use crate::conntrack::{CtState, Direction, Endpoint, StateBits, Status, Tuple};
use crate::ext::listed::{Listed, Options, Typed, host};
use crate::ext::names;
use crate::ext::number::whole_number;
use crate::ext::option::{Asked, Given, HostMask, IntegerRange, Opt, Read, UsageError};
use crate::ext::states::{StatusBits, since, state_words, status_words, subject};
use crate::ext::wording::{Ports, not};
use crate::ext::{MatchSpec, NeedsOne};
use crate::rule::{Condition, Context, Effect, Field, Lowered, Match, Matched, StateUse};

mod samples;

use samples::SAMPLES;

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "conntrack",
    aliases: &[],
    families: &[Family::V4, Family::V6],
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
    let full = if address.is_ipv4() { 32 } else { 128 };
    // Whatever the mask is.
    if !numeric && address.is_unspecified() {
        return "anywhere".to_owned();
    }
    let mut out = match address {
        IpAddr::V4(address) if !numeric => match names::host_name(address) {
            Some(name) => name.to_owned(),
            None => address.to_string(),
        },
        address => address.to_string(),
    };
    if let Some(length) = prefix.filter(|&length| length != full) {
        let _ = write!(out, "/{length}");
    }
    out
}

/// What is asked of a flow, taken under its lock in one go.
#[derive(Clone, Copy, Debug)]
struct FlowView {
    original: Tuple,
    reply: Tuple,
    status: Status,
    /// Seconds; zero before the flow is confirmed.
    expires: u64,
    direction: Direction,
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
    /// In the kernel's order. A packet without a flow that has passed `--ctstate` passes the rest unasked.
    fn asks_for_state_only(&self) -> bool {
        self.direction.is_none()
            && self.protocol.is_none()
            && self.status.is_none()
            && self.expire.is_none()
            && self.addresses.iter().all(Option::is_none)
            && self.ports.iter().all(Option::is_none)
    }

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
                format!(
                    "{} {value}: {} is {bits}{since}",
                    STATE.spelled(inverted),
                    subject(state)
                )
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
                format!("{} {}: flow has {has}", EXPIRE.spelled(inverted), range_text(value))
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
            part(EXPIRE.name(), asked.inverted, &range_text(asked.value));
        }
        if let Some(direction) = self.direction {
            part(DIRECTION.name(), false, &direction_name(direction));
        }
    }
}

fn range_text(IntegerRange { low, high }: IntegerRange) -> String {
    if low == high {
        low.to_string()
    } else {
        format!("{low}:{high}")
    }
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Original => "ORIGINAL",
        Direction::Reply => "REPLY",
    }
}

/// What a rule behind a CT target in table raw is told. Seen: a confirmed flow of nobody with nobody.
fn of_template() -> FlowView {
    let nobody = Endpoint {
        address: std::net::Ipv4Addr::UNSPECIFIED.into(),
        id: 0,
    };
    let tuple = Tuple {
        source: nobody,
        destination: nobody,
        protocol: 0,
    };
    FlowView {
        original: tuple,
        reply: tuple,
        status: Status::CONFIRMED,
        expires: 0,
        direction: Direction::Original,
    }
}

fn view(cx: &Context<'_>) -> (CtState, Option<FlowView>) {
    let tracking = cx.tracking;
    let flow = tracking.flow.as_ref().map(|flow| {
        let locked = flow.lock();
        FlowView {
            original: *flow.original(),
            reply: locked.reply,
            status: locked.status,
            expires: if locked.status.has(Status::CONFIRMED) {
                locked.deadline.since(cx.now).as_secs()
            } else {
                0
            },
            direction: tracking.direction,
        }
    });
    let template = || (tracking.state.is_none() && tracking.template.is_some()).then(of_template);
    (tracking.state_for_matching(), flow.or_else(template))
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
            Effect::PURE.with_state(StateUse::Reads)
        } else {
            Effect::PURE
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
                options.unknown(format!("`{name} anywhere` may be 0.0.0.0 with any mask"));
                options.push(inverted, name, "0.0.0.0/0");
            } else if SIDES.iter().any(|side| side.address.name() == name) {
                options.push(inverted, name, &host(value));
            } else {
                options.push(inverted, name, value);
            }
        }
        (left.len() < names.len()).then_some(options)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::protocol;
    use crate::ext::testing::{ANY, Bench, match_packets, read_match, udp, udp_reply};

    fn end(address: [u8; 4], id: u16) -> Endpoint {
        Endpoint {
            address: address.into(),
            id,
        }
    }

    /// A UDP flow from 10.0.0.2:1000 to 192.0.2.9:53 under SNAT to 192.0.2.1:2000, its reply seen.
    fn flow() -> FlowView {
        FlowView {
            original: Tuple {
                source: end([10, 0, 0, 2], 1000),
                destination: end([192, 0, 2, 9], 53),
                protocol: protocol::UDP,
            },
            reply: Tuple {
                source: end([192, 0, 2, 9], 53),
                destination: end([192, 0, 2, 1], 2000),
                protocol: protocol::UDP,
            },
            status: Status::CONFIRMED.or(Status::SEEN_REPLY).or(Status::SRC_NAT),
            expires: 30,
            direction: Direction::Reply,
        }
    }

    #[test]
    fn rules_that_look_alike_and_are_not() {
        let address = |typed: &str| read(typed).addresses;
        let plain = address("--ctorigsrc 10.0.0.2");
        assert_eq!(plain, address("--ctorigsrc 10.0.0.2/0.0.0.33"));
        assert_eq!(plain, address("--ctorigsrc 10.0.0.2/255.0.255.0"));
        // -C and -D tell these from it, though they are printed alike.
        assert_ne!(plain, address("--ctorigsrc 10.0.0.2/32"));
        assert_ne!(plain, address("--ctorigsrc 10.0.0.2/255.255.255.255"));
    }

    fn read(typed: &str) -> Conntrack {
        let made = read_match(&SPEC, ANY, typed).unwrap();
        let any = made.as_any().downcast_ref::<Conntrack>().unwrap();
        // The value is what the test needs, not the trait object: a flow cannot be made outside the table.
        Conntrack {
            addresses: any.addresses,
            ports: any.ports,
            state: any.state,
            protocol: any.protocol,
            status: any.status,
            expire: any.expire,
            direction: any.direction,
        }
    }

    #[test]
    fn flows() {
        for (typed, sentence) in [
            ("--ctstate ESTABLISHED", ""),
            ("--ctstate SNAT", ""),
            ("--ctstate NEW", "--ctstate NEW: flow is ESTABLISHED,SNAT"),
            ("--ctstate DNAT", "--ctstate DNAT: flow is ESTABLISHED,SNAT"),
            ("! --ctstate SNAT", "! --ctstate SNAT: flow is ESTABLISHED,SNAT"),
            ("--ctproto udp", ""),
            ("--ctproto tcp", "--ctproto 6: flow has 17"),
            ("! --ctproto 0", ""),
            ("--ctorigsrc 10.0.0.9/255.0.0.0", ""),
            ("--ctorigsrc 10.0.0.9", "--ctorigsrc 10.0.0.9: flow has 10.0.0.2"),
            (
                "! --ctorigdst 192.0.2.0/24",
                "! --ctorigdst 192.0.2.0/24: flow has 192.0.2.9",
            ),
            ("--ctreplsrc 192.0.2.9 --ctrepldst 192.0.2.1", ""),
            ("--ctorigsrc 10.0.0.1/33", "--ctorigsrc 10.0.0.1: flow has 10.0.0.2"),
            // Seen in what the tool hands to the kernel: with a mask that has holes every bit is compared.
            (
                "--ctorigsrc 10.9.9.2/255.0.0.255",
                "--ctorigsrc 10.9.9.2: flow has 10.0.0.2",
            ),
            ("--ctorigsrc 10.255.0.9/255.0.0.0 --ctorigdst 1.2.3.4/0", ""),
            (
                "--ctorigsrcport 1000 --ctorigdstport 53 --ctreplsrcport 53 --ctrepldstport 2000",
                "",
            ),
            ("--ctrepldstport 1000", "--ctrepldstport 1000: flow has 2000"),
            ("! --ctorigdstport 50:60", "! --ctorigdstport 50:60: flow has 53"),
            ("--ctstatus CONFIRMED", ""),
            (
                "--ctstatus ASSURED",
                "--ctstatus ASSURED: flow has SEEN_REPLY,CONFIRMED",
            ),
            // NONE has no bit, so nothing has it.
            ("--ctstatus NONE", "--ctstatus NONE: flow has SEEN_REPLY,CONFIRMED"),
            ("! --ctstatus NONE", ""),
            ("--ctexpire 30", ""),
            ("--ctexpire 1:29", "--ctexpire 1:29: flow has 30"),
            ("--ctdir REPLY", ""),
            ("--ctdir ORIGINAL", "--ctdir ORIGINAL: packet goes REPLY"),
        ] {
            let made = read(typed);
            let flow = flow();
            assert_eq!(
                made.check(CtState::Established, Some(&flow)).is_ok(),
                sentence.is_empty(),
                "{typed}"
            );
            if !sentence.is_empty() {
                assert_eq!(made.why_not(CtState::Established, Some(&flow), ""), sentence);
            }
        }
    }

    #[test]
    fn packets_of_a_flow() {
        let mut bench = Bench::new();
        let mut reply = udp_reply();
        bench.track(&mut reply);
        match_packets(
            &SPEC,
            ANY,
            &bench,
            &[
                (
                    "--ctstate ESTABLISHED --ctdir REPLY --ctorigsrc 10.0.0.2 --ctrepldstport 1000",
                    &reply,
                    "",
                ),
                ("--ctstatus SEEN_REPLY --ctexpire 30", &reply, ""),
                ("--ctexpire 31:", &reply, "--ctexpire 31:4294967295: flow has 30"),
                ("--ctdir ORIGINAL", &reply, "--ctdir ORIGINAL: packet goes REPLY"),
            ],
        );
        let mut first = udp(1001, 53, &[]);
        bench.track(&mut first);
        // A flow that is not confirmed has no time left, whatever it will get.
        match_packets(
            &SPEC,
            ANY,
            &bench,
            &[("--ctstate NEW --ctexpire 0 ! --ctstatus CONFIRMED", &first, "")],
        );
    }

    #[test]
    fn packets_without_a_flow() {
        let packet = udp(1, 2, &[]);
        let mut bench = Bench::new();
        bench.tracking.state = Some(CtState::Invalid);
        match_packets(
            &SPEC,
            ANY,
            &bench,
            &[
                ("--ctstate INVALID", &packet, ""),
                // The state alone decides; the rest is not asked.
                ("--ctstate INVALID --ctproto 6 --ctdir REPLY", &packet, ""),
                ("! --ctstate NEW --ctorigsrcport 4", &packet, ""),
                ("! --ctstate SNAT", &packet, ""),
                ("--ctstate NEW", &packet, "--ctstate NEW: packet is INVALID"),
                ("--ctproto 17", &packet, "conntrack: packet is INVALID and has no flow"),
                ("! --ctproto 6", &packet, "conntrack: packet is INVALID and has no flow"),
            ],
        );
        bench.tracking.state = Some(CtState::Untracked);
        match_packets(
            &SPEC,
            ANY,
            &bench,
            &[
                ("--ctstate UNTRACKED", &packet, ""),
                ("--ctstate INVALID", &packet, "--ctstate INVALID: packet is UNTRACKED"),
                (
                    "--ctproto 17",
                    &packet,
                    "conntrack: packet is UNTRACKED and has no flow",
                ),
            ],
        );
    }
}
