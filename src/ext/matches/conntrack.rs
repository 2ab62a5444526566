//! `-m conntrack`: what tracking knows of the packet's flow.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::{Family, PortRange};
use crate::conntrack::{CtState, Direction, Endpoint, Status, Tuple};
use crate::ext::names;
use crate::ext::number::whole_number;
use crate::ext::option::{Given, OptionSpec, UsageError, Value, ValueKind};
use crate::ext::wording::{Ports, not};
use crate::ext::{MatchSpec, NeedsOne};
use crate::rule::{Context, Match, Matched};

pub const SPEC: MatchSpec = MatchSpec {
    name: "conntrack",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    protocol: None,
    options: &[
        OptionSpec {
            name: "ctstate",
            value: ValueKind::Words {
                words: &["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"],
                parse: |text, _| state_words(text, "ctstate", true).map(|bits| Value::Bits(bits.0)),
            },
            invert: true,
            help: "the packet's relation to its flow is one of these, or NAT rewrites the flow's source or destination",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "ctproto",
            value: ValueKind::Custom {
                syntax: "PROTOCOL",
                parse: |text, _| protocol(text),
            },
            invert: true,
            help: "the flow's protocol, by number or name",
            ..OptionSpec::PLAIN
        },
        address("ctorigsrc", "the source in the flow's original direction"),
        address("ctorigdst", "the destination in the flow's original direction"),
        address("ctreplsrc", "the source in the flow's reply direction"),
        address("ctrepldst", "the destination in the flow's reply direction"),
        port(
            "ctorigsrcport",
            "the source port (or ICMP id, or GRE key) in the original direction",
        ),
        port("ctorigdstport", "the destination port in the original direction"),
        port("ctreplsrcport", "the source port in the reply direction"),
        port("ctrepldstport", "the destination port in the reply direction"),
        OptionSpec {
            name: "ctstatus",
            value: ValueKind::Words {
                words: &["NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"],
                parse: |text, _| status_words(text),
            },
            invert: true,
            help: "the flow's status has one of these",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "ctexpire",
            value: ValueKind::IntegerRange { max: u32::MAX as u64 },
            invert: true,
            help: "so many seconds remain to the flow",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "ctdir",
            value: ValueKind::Custom {
                syntax: "ORIGINAL|REPLY",
                parse: |text, _| direction(text),
            },
            help: "the way of the packet in its flow",
            ..OptionSpec::PLAIN
        },
    ],
    needs_one: Some(NeedsOne {
        of: &[
            "ctstate",
            "ctproto",
            "ctorigsrc",
            "ctorigdst",
            "ctreplsrc",
            "ctrepldst",
            "ctorigsrcport",
            "ctorigdstport",
            "ctreplsrcport",
            "ctrepldstport",
            "ctstatus",
            "ctexpire",
            "ctdir",
        ],
        message: "conntrack: At least one option is required",
    }),
    build,
    about: "what tracking knows of the packet's flow",
};

const fn address(name: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec {
        name,
        value: ValueKind::HostMask,
        invert: true,
        help,
        ..OptionSpec::PLAIN
    }
}

const fn port(name: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec {
        name,
        value: ValueKind::PortRange,
        invert: true,
        help,
        ..OptionSpec::PLAIN
    }
}

/// A set of the words of `--ctstate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateBits(pub u32);

impl StateBits {
    const SNAT: Self = Self(1 << 5);
    const DNAT: Self = Self(1 << 6);
    /// In the order they are printed.
    const NAMES: [(u32, &str); 7] = [
        (1 << 0, "INVALID"),
        (1 << 1, "NEW"),
        (1 << 2, "RELATED"),
        (1 << 3, "ESTABLISHED"),
        (1 << 4, "UNTRACKED"),
        (Self::SNAT.0, "SNAT"),
        (Self::DNAT.0, "DNAT"),
    ];

    pub fn of(state: CtState) -> Self {
        Self(match state {
            CtState::Invalid => 1 << 0,
            CtState::New => 1 << 1,
            CtState::Related => 1 << 2,
            CtState::Established => 1 << 3,
            CtState::Untracked => 1 << 4,
        })
    }

    pub fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for StateBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_words(f, self.0, &Self::NAMES)
    }
}

fn write_words(f: &mut fmt::Formatter<'_>, bits: u32, names: &[(u32, &str)]) -> fmt::Result {
    let mut comma = "";
    for (_, name) in names.iter().filter(|(bit, _)| bits & bit != 0) {
        write!(f, "{comma}{name}")?;
        comma = ",";
    }
    Ok(())
}

/// A list of words, each of which may be cut short; an error names the rest of the list from the bad word on.
fn bits_of_words(text: &str, option: &str, names: &[(u32, &str)]) -> Result<u32, UsageError> {
    let mut bits = 0;
    let mut rest = text;
    loop {
        let (word, after) = match rest.split_once(',') {
            Some((word, after)) => (word, Some(after)),
            None => (rest, None),
        };
        let found = names.iter().find(|(_, name)| {
            !word.is_empty()
                && name
                    .get(..word.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(word))
        });
        let Some((bit, _)) = found else {
            return Err(UsageError::parameter(format!("Bad {option} \"{rest}\"")));
        };
        bits |= bit;
        match after {
            Some(after) => rest = after,
            None => return Ok(bits),
        }
    }
}

pub(super) fn state_words(text: &str, option: &str, with_nat: bool) -> Result<StateBits, UsageError> {
    let names = &StateBits::NAMES[..if with_nat { 7 } else { 5 }];
    bits_of_words(text, option, names).map(StateBits)
}

/// What of the packet a state is said of.
pub(super) fn subject(state: CtState) -> &'static str {
    match state {
        CtState::Invalid | CtState::Untracked => "packet",
        CtState::New | CtState::Established | CtState::Related => "flow",
    }
}

/// The bits are the kernel's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StatusBits(u32);

impl StatusBits {
    const NAMES: [(u32, &'static str); 5] = [
        (0, "NONE"),
        (1 << 0, "EXPECTED"),
        (1 << 1, "SEEN_REPLY"),
        (1 << 2, "ASSURED"),
        (1 << 3, "CONFIRMED"),
    ];
}

impl fmt::Display for StatusBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 & 0xf == 0 {
            return f.write_str("NONE");
        }
        write_words(f, self.0, &Self::NAMES)
    }
}

fn status_words(text: &str) -> Result<Value, UsageError> {
    bits_of_words(text, "ctstatus", &StatusBits::NAMES).map(Value::Bits)
}

fn protocol(text: &str) -> Result<Value, UsageError> {
    whole_number(text)
        .and_then(|number| u8::try_from(number).ok())
        .or_else(|| names::protocol_number(&text.to_ascii_lowercase()))
        .map(|number| Value::Integer(number.into()))
        .ok_or_else(|| UsageError::parameter(format!("unknown protocol \"{text}\" specified")))
}

fn direction(text: &str) -> Result<Value, UsageError> {
    match text.to_ascii_uppercase().as_str() {
        "ORIGINAL" => Ok(Value::Integer(0)),
        "REPLY" => Ok(Value::Integer(1)),
        _ => Err(UsageError::parameter(format!(
            "conntrack: Bad value for \"--ctdir\" option: \"{text}\"\n"
        ))),
    }
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let mut made = Conntrack::default();
    for option in given.options {
        let inverted = option.inverted;
        match (option.spec.name, &option.value) {
            ("ctstate", Value::Bits(bits)) => made.state = Some((StateBits(*bits), inverted)),
            ("ctproto", Value::Integer(number)) => made.protocol = Some((*number as u8, inverted)),
            ("ctstatus", Value::Bits(bits)) => made.status = Some((StatusBits(*bits), inverted)),
            ("ctexpire", Value::IntegerRange { low, high }) => made.expire = Some(((*low, *high), inverted)),
            ("ctdir", Value::Integer(0)) => made.direction = Some(Direction::Original),
            ("ctdir", Value::Integer(_)) => made.direction = Some(Direction::Reply),
            (name, Value::HostMask { address, mask }) => {
                if let Some(side) = SIDES.iter().position(|side| side.option == name) {
                    made.addresses[side] = Some((
                        Host {
                            address: *address,
                            mask: *mask,
                        },
                        inverted,
                    ));
                }
            }
            (name, Value::PortRange(range)) => {
                if let Some(side) = SIDES
                    .iter()
                    .position(|side| name.strip_suffix("port") == Some(side.option))
                {
                    made.ports[side] = Some((*range, inverted));
                }
            }
            _ => {}
        }
    }
    Ok(Arc::new(made))
}

/// Each part with its `!`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Conntrack {
    state: Option<(StateBits, bool)>,
    protocol: Option<(u8, bool)>,
    /// By `SIDES`.
    addresses: [Option<(Host, bool)>; 4],
    ports: [Option<(PortRange, bool)>; 4],
    status: Option<(StatusBits, bool)>,
    expire: Option<((u64, u64), bool)>,
    direction: Option<Direction>,
}

/// One of the four ends of a flow's two tuples.
struct Side {
    option: &'static str,
    end: fn(&FlowView) -> &Endpoint,
}

/// In the order the kernel asks and the tool prints.
const SIDES: [Side; 4] = [
    Side {
        option: "ctorigsrc",
        end: |flow| &flow.original.source,
    },
    Side {
        option: "ctorigdst",
        end: |flow| &flow.original.destination,
    },
    Side {
        option: "ctreplsrc",
        end: |flow| &flow.reply.source,
    },
    Side {
        option: "ctrepldst",
        end: |flow| &flow.reply.destination,
    },
];

/// An address and a mask as typed: the tool keeps the bits outside the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Host {
    address: IpAddr,
    mask: IpAddr,
}

impl Host {
    fn contains(&self, other: IpAddr) -> bool {
        match (self.address, self.mask, other) {
            (IpAddr::V4(own), IpAddr::V4(mask), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()) & mask.to_bits() == 0
            }
            (IpAddr::V6(own), IpAddr::V6(mask), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()) & mask.to_bits() == 0
            }
            _ => false,
        }
    }

    /// A mask that is no prefix is not printed at all, so it is lost when saved: the tool's doing.
    fn text(&self, numeric: bool) -> String {
        let (length, full) = match self.mask {
            IpAddr::V4(mask) => (prefix_length(mask.to_bits().into(), 32), 32),
            IpAddr::V6(mask) => (prefix_length(mask.to_bits(), 128), 128),
        };
        if !numeric && self.address.is_unspecified() && length == Some(0) {
            return "anywhere".to_owned();
        }
        let mut out = match self.address {
            IpAddr::V4(address) if !numeric => match names::host_name(address) {
                Some(name) => name.to_owned(),
                None => address.to_string(),
            },
            address => address.to_string(),
        };
        if let Some(length) = length.filter(|&length| length != full) {
            let _ = write!(out, "/{length}");
        }
        out
    }
}

fn prefix_length(mask: u128, bits: u32) -> Option<u32> {
    let ones = (mask << (128 - bits)).leading_ones();
    (ones + mask.trailing_zeros().min(bits) == bits).then_some(ones)
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
    fn check(&self, state: CtState, flow: Option<&FlowView>) -> Result<(), Miss> {
        if let Some((asked, inverted)) = self.state {
            let mut bits = StateBits::of(state);
            if let Some(flow) = flow {
                if flow.status.has(Status::SRC_NAT) {
                    bits = bits.or(StateBits::SNAT);
                }
                if flow.status.has(Status::DST_NAT) {
                    bits = bits.or(StateBits::DNAT);
                }
            }
            if asked.has_any(bits) == inverted {
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
            if let Some((host, inverted)) = self.addresses[index]
                && host.contains((side.end)(flow).address) == inverted
            {
                return Err(Miss::Address(index));
            }
        }
        if let Some((asked, inverted)) = self.protocol
            && (asked == flow.original.protocol) == inverted
        {
            return Err(Miss::Protocol(flow.original.protocol));
        }
        for (index, side) in SIDES.iter().enumerate() {
            if let Some((range, inverted)) = self.ports[index]
                && range.contains((side.end)(flow).id) == inverted
            {
                return Err(Miss::Port(index));
            }
        }
        if let Some((asked, inverted)) = self.status
            && (flow.status.bits() & asked.0 != 0) == inverted
        {
            return Err(Miss::Status(flow.status));
        }
        if let Some(((low, high), inverted)) = self.expire
            && (low..=high).contains(&flow.expires) == inverted
        {
            return Err(Miss::Expire(flow.expires));
        }
        Ok(())
    }

    fn why_not(&self, state: CtState, flow: Option<&FlowView>) -> String {
        let miss = match self.check(state, flow) {
            Ok(()) => return "conntrack: matches".to_owned(),
            Err(miss) => miss,
        };
        match (miss, flow) {
            (Miss::State(bits), _) => {
                let (asked, inverted) = self.state.unwrap_or((StateBits(0), false));
                format!("{}--ctstate {asked}: {} is {bits}", not(inverted), subject(state))
            }
            (Miss::NoFlow, _) | (_, None) => format!("conntrack: packet is {} and has no flow", state.name()),
            (Miss::Direction, Some(flow)) => {
                let asked = self.direction.unwrap_or_default();
                format!(
                    "--ctdir {}: packet goes {}",
                    direction_name(asked),
                    direction_name(flow.direction)
                )
            }
            (Miss::Address(side), Some(flow)) => {
                let (option, end) = (SIDES[side].option, (SIDES[side].end)(flow));
                let asked = self.addresses[side].map(|(host, inverted)| (host.text(true), inverted));
                let (asked, inverted) = asked.unwrap_or_default();
                format!("{}--{option} {asked}: flow has {}", not(inverted), end.address)
            }
            (Miss::Protocol(has), _) => {
                let (asked, inverted) = self.protocol.unwrap_or_default();
                format!("{}--ctproto {asked}: flow has {has}", not(inverted))
            }
            (Miss::Port(side), Some(flow)) => {
                let (option, end) = (SIDES[side].option, (SIDES[side].end)(flow));
                let (asked, inverted) = self.ports[side].unwrap_or((PortRange::ANY, false));
                format!("{}--{option}port {}: flow has {}", not(inverted), Ports(asked), end.id)
            }
            (Miss::Status(has), _) => {
                let (asked, inverted) = self.status.unwrap_or((StatusBits(0), false));
                format!(
                    "{}--ctstatus {asked}: flow has {}",
                    not(inverted),
                    StatusBits(has.bits())
                )
            }
            (Miss::Expire(has), _) => {
                let ((low, high), inverted) = self.expire.unwrap_or_default();
                format!("{}--ctexpire {}: flow has {has}", not(inverted), range_text(low, high))
            }
        }
    }

    /// `iptables -S` and `iptables -L` differ by the dashes alone, and by names for addresses.
    fn write(&self, out: &mut String, dashes: &str, numeric: bool) {
        let mut part = |name: &str, inverted, value: &dyn fmt::Display| {
            let _ = write!(out, " {}{dashes}{name} {value}", not(inverted));
        };
        if let Some((states, inverted)) = self.state {
            part("ctstate", inverted, &states);
        }
        if let Some((protocol, inverted)) = self.protocol {
            part("ctproto", inverted, &protocol);
        }
        for (side, asked) in SIDES.iter().zip(&self.addresses) {
            if let Some((host, inverted)) = asked {
                part(side.option, *inverted, &host.text(numeric));
            }
        }
        for (side, asked) in SIDES.iter().zip(&self.ports) {
            if let Some((range, inverted)) = asked {
                part(&format!("{}port", side.option), *inverted, &Ports(*range));
            }
        }
        if let Some((status, inverted)) = self.status {
            part("ctstatus", inverted, &status);
        }
        if let Some(((low, high), inverted)) = self.expire {
            part("ctexpire", inverted, &range_text(low, high));
        }
        if let Some(direction) = self.direction {
            part("ctdir", false, &direction_name(direction));
        }
    }
}

fn range_text(low: u64, high: u64) -> String {
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
    (tracking.state_for_matching(), flow)
}

impl Match for Conntrack {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let (state, flow) = view(cx);
        self.check(state, flow.as_ref()).is_ok().into()
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let (state, flow) = view(cx);
        self.why_not(state, flow.as_ref())
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
