//! What a rule asks of the plain fields of a packet, in a form that an index can be made of: conditions of one field each, exact or a superset.
//!
//! Two things must hold of what a match says of itself, and a test over all samples and drawn rules holds them (`ext::claims`): a packet of which
//! the answer is *no* never matches, and does not end here as malformed either; one of which it is *yes* matches. *Perhaps* is always right.

use std::net::IpAddr;

use super::{Changes, Context};
use crate::base::{AddressMask, InterfaceMask, InterfaceName, MarkMask, PortRange};
use crate::conntrack::{StateBits, Status, Tracking};
use crate::packet::Packet;

/// Conditions that must all hold, in the order in which they are asked: what is cut short is known before anything behind it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    conditions: Vec<Condition>,
    is_exact: bool,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There are so many bytes of a transport header. A later fragment has none, and fails; a packet that is cut short, or a fragment that reaches
    /// into a header that was let pass, nothing can be said of: what asks for a header may end it.
    Header(u8),
    /// The field is what is asked for; what lies in a header needs that to be there.
    Is(Field),
    /// The header is there, and the field is something else.
    IsNot(Field),
}

/// What is asked of one field. Ports, flags, type and code are read where the header of their protocol has them, whatever the packet's is: a
/// rule that asks for them asks for the protocol first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The source address is in it.
    Source(AddressMask),
    /// The destination address is in it.
    Destination(AddressMask),
    /// It came in by such an interface.
    Input(InterfaceMask),
    /// It goes out by such an interface.
    Output(InterfaceMask),
    /// The transport protocol has this number.
    Protocol(u8),
    /// A second or further fragment.
    LaterFragment,
    /// In one of the ranges, as with all ports.
    SourcePort(Box<[PortRange]>),
    /// The destination port is in one of the ranges.
    DestinationPort(Box<[PortRange]>),
    /// One of both ports is in one of the ranges.
    EitherPort(Box<[PortRange]>),
    /// Of the flags under the mask those in the set are set, and the others are not.
    TcpFlags {
        /// The flags that are looked at, as TCP's header has them.
        mask: u8,
        /// Those of them that are set.
        set: u8,
    },
    /// A type (any, where there is none) and a code between these, both included.
    Icmp {
        /// The type; `None` is any.
        kind: Option<u8>,
        /// The lowest code.
        low: u8,
        /// The highest code.
        high: u8,
    },
    /// The mark is the value under the mask.
    Mark(MarkMask),
    /// One of these.
    States(StateBits),
}

/// What conditions are asked of: all of a packet that an index may know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainFields {
    /// As the packet has it now.
    pub source: IpAddr,
    /// As the packet has it now.
    pub destination: IpAddr,
    /// Empty where the packet has none.
    pub input: InterfaceName,
    /// Empty before the routing decision.
    pub output: InterfaceName,
    /// The number of the transport protocol.
    pub protocol: u8,
    /// In bytes.
    pub fragment_offset: usize,
    /// The beginning of what follows the network header.
    pub transport: [u8; Self::LONGEST],
    /// How many of these bytes are the packet's; the rest is zero.
    pub transport_length: u8,
    /// The packet's mark.
    pub mark: u32,
    /// One state, and what NAT decided of the flow.
    pub states: StateBits,
}

/// What can be said of a packet before a rule or a match is asked itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// It does not match, and nothing else becomes of it.
    No,
    /// It matches.
    Yes,
    /// It must be asked.
    Perhaps,
}

impl Lowered {
    /// Excludes nothing and promises nothing.
    pub const fn unknown() -> Self {
        Self {
            conditions: Vec::new(),
            is_exact: false,
        }
    }

    /// The bits of TCP's flags that it hangs on, as far as conditions say.
    pub(crate) fn tcp_flags(&self) -> u8 {
        let asked = self.conditions.iter().map(|condition| match condition {
            Condition::Is(Field::TcpFlags { mask, .. }) | Condition::IsNot(Field::TcpFlags { mask, .. }) => *mask,
            _ => 0,
        });
        asked.fold(0, |all, mask| all | mask)
    }

    /// What meets all of them matches.
    pub fn exactly(conditions: Vec<Condition>) -> Self {
        Self {
            conditions,
            is_exact: true,
        }
    }

    /// What meets all of them may match.
    pub fn at_least(conditions: Vec<Condition>) -> Self {
        Self {
            conditions,
            is_exact: false,
        }
    }

    /// In the order in which they are asked.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Whether a packet that meets all of them matches.
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// Both, this one asked first.
    pub fn and(mut self, then: Self) -> Self {
        self.conditions.extend(then.conditions);
        self.is_exact &= then.is_exact;
        self
    }

    /// The first answer of a condition that is not *yes*; where all are, *yes* if they are exact, else *perhaps*.
    pub fn answer(&self, fields: &PlainFields) -> Answer {
        let conditions = self.conditions.iter().map(|condition| condition.answer(fields));
        let undecided = conditions.into_iter().find(|answer| *answer != Answer::Yes);
        undecided.unwrap_or(if self.is_exact { Answer::Yes } else { Answer::Perhaps })
    }
}

impl Condition {
    /// `IsNot` where it is inverted.
    pub fn new(field: Field, inverted: bool) -> Self {
        if inverted { Self::IsNot(field) } else { Self::Is(field) }
    }

    /// *Perhaps* where the header that it asks for is cut short.
    pub fn answer(&self, fields: &PlainFields) -> Answer {
        match self {
            Self::Header(bytes) => fields.has_header(*bytes),
            Self::Is(field) => field.answer(fields, false),
            Self::IsNot(field) => field.answer(fields, true),
        }
    }
}

impl Field {
    /// The part of a packet that it lies in: a target that changes it makes the answer another.
    pub fn part(&self) -> Changes {
        match self {
            Self::Source(_) => Changes::SOURCE,
            Self::Destination(_) => Changes::DESTINATION,
            Self::Input(_) | Self::Output(_) => Changes::INTERFACES,
            Self::Protocol(_) | Self::LaterFragment => Changes::NETWORK_HEADER,
            Self::SourcePort(_)
            | Self::DestinationPort(_)
            | Self::EitherPort(_)
            | Self::TcpFlags { .. }
            | Self::Icmp { .. } => Changes::TRANSPORT,
            Self::Mark(_) => Changes::MARK,
            Self::States(_) => Changes::TRACKING,
        }
    }

    /// A header that is not there is neither what was asked for nor something else.
    fn answer(&self, fields: &PlainFields, inverted: bool) -> Answer {
        match fields.has_header(self.header()) {
            Answer::Yes if self.fits(fields) != inverted => Answer::Yes,
            Answer::Yes => Answer::No,
            other => other,
        }
    }

    /// How much of a transport header it lies in.
    pub(crate) fn header(&self) -> u8 {
        match self {
            Self::SourcePort(_) | Self::DestinationPort(_) | Self::EitherPort(_) => 4,
            Self::TcpFlags { .. } => TCP_FLAGS as u8 + 1,
            Self::Icmp { .. } => 2,
            _ => 0,
        }
    }

    fn fits(&self, fields: &PlainFields) -> bool {
        let is_in = |ranges: &[PortRange], port| ranges.iter().any(|range| range.contains(port));
        match self {
            Self::Source(asked) => asked.contains(fields.source),
            Self::Destination(asked) => asked.contains(fields.destination),
            Self::Input(asked) => asked.matches(&fields.input),
            Self::Output(asked) => asked.matches(&fields.output),
            Self::Protocol(asked) => *asked == fields.protocol,
            Self::LaterFragment => fields.fragment_offset != 0,
            Self::SourcePort(asked) => is_in(asked, fields.source_port()),
            Self::DestinationPort(asked) => is_in(asked, fields.destination_port()),
            Self::EitherPort(asked) => is_in(asked, fields.source_port()) || is_in(asked, fields.destination_port()),
            Self::TcpFlags { mask, set } => fields.transport[TCP_FLAGS] & mask == *set,
            Self::Icmp { kind, low, high } => {
                let [has, code, ..] = fields.transport;
                kind.is_none_or(|kind| kind == has) && (*low..=*high).contains(&code)
            }
            Self::Mark(asked) => asked.matches(fields.mark),
            Self::States(asked) => asked.has_any(fields.states),
        }
    }
}

/// Where TCP has its flags.
const TCP_FLAGS: usize = 13;

impl PlainFields {
    /// The longest header that a condition asks for: TCP's, without options.
    pub const LONGEST: usize = 20;

    /// What is there now of a packet: an index asks again once a target has changed it.
    pub fn new(packet: &Packet, tracking: &Tracking, input: InterfaceName, output: InterfaceName) -> Self {
        let found = packet.transport();
        let length = found.len().min(Self::LONGEST);
        let mut transport = [0; Self::LONGEST];
        transport[..length].copy_from_slice(&found[..length]);
        // What NAT decided is settled before a rule of another table sees the packet.
        let flow = tracking.flow.as_ref();
        let status = flow.map_or_else(Status::default, |flow| flow.as_decided().status);
        Self {
            source: packet.source(),
            destination: packet.destination(),
            input,
            output,
            protocol: packet.protocol(),
            fragment_offset: packet.fragment_offset(),
            transport,
            transport_length: length as u8,
            mark: packet.mark,
            states: StateBits::with_nat(tracking.state_for_matching(), status),
        }
    }

    /// Those of the packet that a match is asked about.
    pub fn of(cx: &Context<'_>) -> Self {
        Self::new(cx.packet, cx.tracking, cx.input, cx.output)
    }

    fn has_header(&self, bytes: u8) -> Answer {
        match self.fragment_offset {
            _ if bytes == 0 => Answer::Yes,
            0 if bytes <= self.transport_length => Answer::Yes,
            0 | INTO_THE_HEADER => Answer::Perhaps,
            _ => Answer::No,
        }
    }

    fn source_port(&self) -> u16 {
        u16::from_be_bytes([self.transport[0], self.transport[1]])
    }

    fn destination_port(&self) -> u16 {
        u16::from_be_bytes([self.transport[2], self.transport[3]])
    }
}

/// A fragment here could overwrite the flags of a TCP header that was let pass, for which the kernel drops it.
pub(crate) const INTO_THE_HEADER: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::{families, host};
    use crate::base::{Family, protocol};
    use crate::packet::testing::{tcp, udp};

    fn fields(packet: &Packet) -> PlainFields {
        let [lan, none] = ["lan", ""].map(|name| InterfaceName::new(name).unwrap());
        PlainFields::new(packet, &Tracking::default(), lan, none)
    }

    families! {
        fn each_field_is_read_where_it_lies(family: Family) {
            let mut packet = tcp((host(family, 2), 4000), (host(family, 9), 80), b"abc");
            packet.mark = 0x15;
            let has = fields(&packet);
            let ports = |low, high| Box::from([PortRange { low, high }, PortRange::single(1)]);
            let address = |number| AddressMask::host(host(family, number));
            let interface = |text| InterfaceMask::new(text).unwrap();
            for (field, is) in [
                (Field::Source(address(2)), true),
                (Field::Source(address(9)), false),
                (Field::Source(AddressMask::any(family)), true),
                (Field::Destination(address(9)), true),
                (Field::Destination(address(2)), false),
                (Field::Input(interface("la+")), true),
                (Field::Input(interface("wan")), false),
                (Field::Output(interface("+")), true),
                (Field::Output(interface("lan")), false),
                (Field::Protocol(protocol::TCP), true),
                (Field::Protocol(protocol::UDP), false),
                (Field::LaterFragment, false),
                (Field::SourcePort(ports(4000, 4001)), true),
                (Field::SourcePort(ports(80, 80)), false),
                (Field::DestinationPort(ports(79, 80)), true),
                (Field::DestinationPort(ports(4000, 4000)), false),
                (Field::EitherPort(ports(4000, 4000)), true),
                (Field::EitherPort(ports(80, 80)), true),
                (Field::EitherPort(ports(81, 3999)), false),
                (Field::TcpFlags { mask: 0x12, set: 0x10 }, true),
                (Field::TcpFlags { mask: 0x12, set: 0x02 }, false),
                (Field::Mark(MarkMask { value: 5, mask: 0xf }), true),
                (Field::Mark(MarkMask { value: 5, mask: 0xff }), false),
                (Field::States(StateBits::INVALID.or(StateBits::NEW)), true),
                (Field::States(StateBits::NEW), false),
            ] {
                let said = |is| if is { Answer::Yes } else { Answer::No };
                assert_eq!(Condition::Is(field.clone()).answer(&has), said(is), "{field:?}");
                assert_eq!(Condition::IsNot(field.clone()).answer(&has), said(!is), "not {field:?}");
            }
        }

        /// A later fragment has none, and of one that is cut short nobody knows.
        fn a_header_is_asked_as_far_as_a_field_lies_in_it(family: Family) {
            let whole = tcp((host(family, 2), 4000), (host(family, 9), 80), b"").into_bytes();
            let header = whole.len() - 20;
            let ports = |port| Box::from([PortRange::single(port)]);
            for (field, needs) in [
                (Field::SourcePort(ports(4000)), 4),
                (Field::DestinationPort(ports(80)), 4),
                (Field::EitherPort(ports(80)), 4),
                (Field::TcpFlags { mask: 0x10, set: 0x10 }, 14),
                (Field::Protocol(protocol::TCP), 0),
            ] {
                for length in [0, 2, 3, 4, 13, 14, 20] {
                    let mut bytes = whole[..header + length].to_vec();
                    match family {
                        Family::V4 => bytes[3] = (header + length) as u8,
                        Family::V6 => bytes[5] = length as u8,
                    }
                    let has = fields(&Packet::parse(bytes).unwrap());
                    let said = if length < needs { Answer::Perhaps } else { Answer::Yes };
                    assert_eq!(Condition::Is(field.clone()).answer(&has), said, "{field:?} of {length} bytes");
                }
            }
        }

        fn of_a_header_cut_short_nothing_is_said(family: Family) {
            let has = fields(&udp((host(family, 2), 4000), (host(family, 9), 53), b""));
            let dns = || Field::DestinationPort(Box::from([PortRange::single(53)]));
            for (conditions, said) in [
                (vec![Condition::Header(8), Condition::Is(dns())], Answer::Yes),
                (vec![Condition::Header(8), Condition::IsNot(dns())], Answer::No),
                // What stands behind is not asked.
                (vec![Condition::Header(9), Condition::IsNot(dns())], Answer::Perhaps),
                (vec![Condition::IsNot(dns()), Condition::Header(9)], Answer::No),
                (vec![Condition::Is(Field::TcpFlags { mask: 0, set: 0 })], Answer::Perhaps),
            ] {
                assert_eq!(Lowered::exactly(conditions.clone()).answer(&has), said, "{conditions:?}");
            }
            for (fragment_offset, said) in [(8, Answer::Perhaps), (16, Answer::No), (1480, Answer::No)] {
                let has = PlainFields { fragment_offset, ..has };
                for condition in [Condition::Header(4), Condition::Is(dns()), Condition::IsNot(dns())] {
                    assert_eq!(condition.answer(&has), said, "{condition:?} at {fragment_offset}");
                }
            }
        }
    }

    #[test]
    fn a_superset_never_says_yes() {
        let has = fields(&udp((host(Family::V4, 2), 1), (host(Family::V4, 9), 2), b""));
        let udp = || vec![Condition::Is(Field::Protocol(protocol::UDP))];
        let tcp = || vec![Condition::Is(Field::Protocol(protocol::TCP))];
        assert_eq!(Lowered::unknown().answer(&has), Answer::Perhaps);
        assert_eq!(Lowered::exactly(udp()).answer(&has), Answer::Yes);
        assert_eq!(Lowered::at_least(udp()).answer(&has), Answer::Perhaps);
        assert_eq!(Lowered::at_least(tcp()).answer(&has), Answer::No);
        let both = Lowered::exactly(udp()).and(Lowered::at_least(udp()));
        assert_eq!((both.is_exact(), both.answer(&has)), (false, Answer::Perhaps));
        let none = Lowered::unknown().and(Lowered::exactly(tcp()));
        assert_eq!(none.answer(&has), Answer::No);
    }
}
