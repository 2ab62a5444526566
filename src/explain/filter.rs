//! Which packets one wants to hear of: `tcp dport 80 and not src 10.0.0.0/8`.
//!
//! ```text
//! FILTER = TERM { or TERM }                TERM = FACTOR { [and] FACTOR }         FACTOR = not FACTOR | ( FILTER ) | TEST
//! TEST   = tcp | udp | icmp | ... | proto NAME|NUMBER                             the protocol; icmp is that of the packet's own family
//!        | ip | ip6                                                               the family
//!        | [src|dst] [host|net] ADDRESS[/LENGTH]                                  either end, or one of them
//!        | sport PORTS | dport PORTS | [src|dst] port PORTS                       80, 1024-65535, 80,443
//!        | mss SIZES                                                               of TCP's option: 536, 0-1399
//!        | in INTERFACE | out INTERFACE                                           eth+, local, none
//!        | state NEW,ESTABLISHED,RELATED,INVALID,UNTRACKED,none
//!        | verdict ACCEPT,DROP,REJECT,STOLEN,QUEUE      or the word alone: drop
//! ```
//! Words that follow each other are joined by `and`, which binds tighter than `or`; `!`, `&&` and `||` mean the same as the words. Addresses and
//! ports are those that the packet came with.

mod parse;

use std::net::{IpAddr, Ipv4Addr};

use crate::base::{AddressMask, Family, InterfaceMask, InterfaceName, PortRange, protocol};
use crate::conntrack::CtState;
use crate::explain::describe;
use crate::syntax::problem::SourceError;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::Ipv6;
use crate::wire::tcp::{Tcp, option};

/// A filter, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    root: Node,
}

/// A packet as far as it is known: before the router saw it, `outcome` is `None`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// As it came.
    pub packet: &'a [u8],
    /// `None`: the router's own.
    pub input: Option<InterfaceName>,
    pub outcome: Option<Outcome<'a>>,
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome<'a> {
    /// The interfaces that something left by because of it; `local` where it reached the router.
    pub outputs: &'a [InterfaceName],
    pub state: Option<CtState>,
    /// As [`Fate::verdict`](crate::engine::Fate::verdict) has it.
    pub verdict: &'a str,
}

/// What has a name in the lab that a filter is for.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    /// The addresses of a host; empty where there is none of that name.
    pub addresses_of: &'a dyn Fn(&str) -> Vec<IpAddr>,
    pub is_interface: &'a dyn Fn(&str) -> bool,
}

impl Names<'static> {
    /// For who does not know them yet: whatever may be a name of a host or an interface is one.
    pub(crate) fn of_any_lab() -> Self {
        Self {
            addresses_of: &|name| {
                let may_be = name.starts_with(|c: char| c.is_ascii_alphabetic());
                may_be
                    .then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
                    .into_iter()
                    .collect()
            },
            is_interface: &|_| true,
        }
    }
}

impl Filter {
    #[cfg(test)]
    fn parse(text: &str) -> Result<Self, SourceError> {
        let no_hosts = Names {
            addresses_of: &|_| Vec::new(),
            is_interface: &|_| true,
        };
        Self::parse_among(text, &no_hosts)
    }

    /// The same in a lab, which has hosts and interfaces of these names.
    pub(crate) fn parse_among(text: &str, names: &Names<'_>) -> Result<Self, SourceError> {
        parse::filter(text, names).map(|root| Self { root })
    }

    /// Whether a packet fits; a test of what is not known yet counts as failed.
    pub(crate) fn fits(&self, subject: &Subject<'_>) -> bool {
        self.root.judge(subject, &Headers::of(subject.packet)) == Some(true)
    }

    /// Whether a packet may still fit, whatever becomes of it: what to ask before it is passed.
    pub(crate) fn may_fit(&self, packet: &[u8], input: Option<InterfaceName>) -> bool {
        let subject = Subject {
            packet,
            input,
            outcome: None,
        };
        self.root.judge(&subject, &Headers::of(packet)) != Some(false)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test(Test),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Protocol(u8),
    /// ICMP of the packet's own family.
    OwnIcmp,
    Family(Family),
    /// In any of them.
    Address(End, Vec<AddressMask>),
    Ports(End, Vec<PortRange>),
    Mss(Vec<PortRange>),
    Input(Way),
    Output(Way),
    State(Vec<Option<CtState>>),
    Verdict(Vec<&'static str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Source,
    Destination,
    Either,
}

/// An interface, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Named(InterfaceMask),
    None,
}

/// The fields that filters ask for.
struct Headers {
    family: Option<Family>,
    ends: Option<(IpAddr, IpAddr)>,
    protocol: Option<u8>,
    ports: Option<(u16, u16)>,
}

impl Headers {
    fn of(bytes: &[u8]) -> Self {
        let Some(whole) = Whole::of(bytes) else {
            return Self {
                family: None,
                ends: None,
                protocol: None,
                ports: None,
            };
        };
        let has_ports = matches!(
            whole.protocol,
            protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP | protocol::DCCP
        );
        let ports = match whole.transport {
            [a, b, c, d, ..] if has_ports => Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))),
            _ => None,
        };
        Self {
            family: Some(Family::of(whole.ends.0)),
            ends: Some(whole.ends),
            protocol: Some(whole.protocol),
            ports,
        }
    }
}

/// A packet of either family, as far as its header goes: the rest may be cut short.
struct Whole<'a> {
    ends: (IpAddr, IpAddr),
    protocol: u8,
    /// Empty in later fragments.
    transport: &'a [u8],
}

impl<'a> Whole<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        if Family::of_packet(bytes) == Some(Family::V6) {
            return Self::of_ipv6(bytes);
        }
        let ip = Ipv4::new(bytes).ok()?;
        Some(Self {
            ends: (ip.source().into(), ip.destination().into()),
            protocol: ip.protocol(),
            transport: match ip.fragment_offset() {
                0 => &bytes[ip.header_length()..],
                _ => &[],
            },
        })
    }

    #[cold]
    fn of_ipv6(bytes: &'a [u8]) -> Option<Self> {
        let ip = Ipv6::new(bytes).ok()?;
        let upper = ip.upper();
        Some(Self {
            ends: (ip.source().into(), ip.destination().into()),
            protocol: upper.protocol,
            transport: match upper.fragment_offset {
                0 => bytes.get(upper.offset..).unwrap_or_default(),
                _ => &[],
            },
        })
    }
}

impl Node {
    /// `None`: that is not known yet.
    fn judge(&self, subject: &Subject<'_>, headers: &Headers) -> Option<bool> {
        match self {
            Self::Test(test) => test.judge(subject, headers),
            Self::Not(node) => node.judge(subject, headers).map(|it| !it),
            Self::All(nodes) => join(nodes, subject, headers, false),
            Self::Any(nodes) => join(nodes, subject, headers, true),
        }
    }
}

/// One part that is `decides` settles it; else all must be known.
fn join(nodes: &[Node], subject: &Subject<'_>, headers: &Headers, decides: bool) -> Option<bool> {
    let mut all_known = true;
    for node in nodes {
        match node.judge(subject, headers) {
            Some(it) if it == decides => return Some(decides),
            Some(_) => {}
            None => all_known = false,
        }
    }
    all_known.then_some(!decides)
}

impl Test {
    fn judge(&self, subject: &Subject<'_>, headers: &Headers) -> Option<bool> {
        let at_end = |end: &End, source: bool, destination: bool| match end {
            End::Source => source,
            End::Destination => destination,
            End::Either => source || destination,
        };
        Some(match self {
            Self::Protocol(number) => headers.protocol == Some(*number),
            Self::OwnIcmp => headers
                .family
                .is_some_and(|family| headers.protocol == Some(describe::icmp::protocol(family))),
            Self::Family(family) => headers.family == Some(*family),
            Self::Address(end, masks) => headers.ends.is_some_and(|(source, destination)| {
                let within = |address| masks.iter().any(|mask| mask.contains(address));
                at_end(end, within(source), within(destination))
            }),
            Self::Ports(end, ranges) => headers.ports.is_some_and(|(source, destination)| {
                let within = |port: u16| ranges.iter().any(|range| range.contains(port));
                at_end(end, within(source), within(destination))
            }),
            Self::Mss(ranges) => {
                mss(subject.packet).is_some_and(|size| ranges.iter().any(|range| range.contains(size)))
            }
            Self::Input(way) => match (way, subject.input) {
                (Way::None, input) => input.is_none(),
                (Way::Named(mask), Some(name)) => mask.matches(&name),
                // The router's own packets come from `local`.
                (Way::Named(mask), None) => mask.text() == LOCAL,
            },
            Self::Output(way) => {
                let outputs = subject.outcome?.outputs;
                match way {
                    Way::None => outputs.is_empty(),
                    Way::Named(mask) => outputs.iter().any(|name| mask.matches(name)),
                }
            }
            Self::State(states) => states.contains(&subject.outcome?.state),
            Self::Verdict(verdicts) => verdicts.contains(&subject.outcome?.verdict),
        })
    }
}

/// The largest segment that a TCP packet asks for.
fn mss(bytes: &[u8]) -> Option<u16> {
    let whole = Whole::of(bytes).filter(|it| it.protocol == protocol::TCP)?;
    let tcp = Tcp::new(whole.transport).ok()?;
    let option = tcp.options().find(|it| it.kind == option::MSS)?;
    Some(u16::from_be_bytes(option.data.try_into().ok()?))
}

/// What a packet of the router's own comes from, and what reached it went to.
const LOCAL: &str = "local";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ipv4::Repr;

    fn packet(number: u8, ports: (u16, u16)) -> Vec<u8> {
        let mut payload = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
        payload.resize(20, 0);
        packet_of(number, &payload)
    }

    fn packet_of(number: u8, payload: &[u8]) -> Vec<u8> {
        Repr {
            tos: 0,
            identification: 0,
            dont_fragment: false,
            ttl: 64,
            protocol: number,
            source: Ipv4Addr::new(10, 0, 0, 2),
            destination: Ipv4Addr::new(192, 0, 2, 9),
        }
        .emit(payload)
    }

    #[test]
    fn what_fits() {
        let name = |text| InterfaceName::new(text).unwrap();
        let bytes = packet(protocol::TCP, (40_000, 80));
        let outputs = [name("wan")];
        let subject = Subject {
            packet: &bytes,
            input: Some(name("lan")),
            outcome: Some(Outcome {
                outputs: &outputs,
                state: Some(CtState::New),
                verdict: "ACCEPT",
            }),
        };
        for (text, expected) in [
            ("tcp", true),
            ("udp", false),
            ("not udp", true),
            ("!udp && tcp", true),
            ("tcp dport 80", true),
            ("tcp and dport 443", false),
            ("dport 443,8000-9000 or dport 79:81", true),
            ("sport 80", false),
            ("src port 40000", true),
            ("port 80", true),
            ("src 10.0.0.0/8", true),
            ("dst 10.0.0.0/8", false),
            ("host 192.0.2.9", true),
            ("10.0.0.0/24", true),
            ("192.0.2.8", false),
            ("dst net 192.0.2.0/24", true),
            ("in lan", true),
            ("in l+", true),
            ("in la", false),
            ("in local", false),
            ("in none", false),
            ("out wan", true),
            ("out none", false),
            ("state NEW,INVALID", true),
            ("state established", false),
            ("state none", false),
            ("verdict DROP,ACCEPT", true),
            ("drop", false),
            ("accept", true),
            ("proto 6", true),
            ("proto gre", false),
            // `and` binds tighter than `or`, and words alone are `and`.
            ("tcp or udp dport 443", true),
            ("(tcp or udp) dport 443", false),
            ("udp or not (dport 443 or drop)", true),
            ("not not tcp", true),
        ] {
            let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(filter.fits(&subject), expected, "{text}");
        }
    }

    #[test]
    fn a_segment_size_is_asked_of_its_option() {
        let segment = |options: &[u8]| {
            let mut payload = [0; 12].to_vec();
            payload.extend([(5 + options.len() as u8 / 4) << 4, 2, 0, 0, 0, 0, 0, 0]);
            payload.extend(options);
            packet_of(protocol::TCP, &payload)
        };
        let with = segment(&[1, 1, 1, 1, 2, 4, 5, 180]);
        for (text, expected) in [("mss 1460", true), ("mss 0-1459", false), ("mss 536,1400-1500", true)] {
            assert_eq!(Filter::parse(text).unwrap().may_fit(&with, None), expected, "{text}");
        }
        let any = Filter::parse("mss 0-65535").unwrap();
        for without in [
            segment(&[]),
            segment(&[2, 3, 5, 0]),
            packet(protocol::UDP, (1, 2)),
            vec![0x45],
        ] {
            assert!(!any.may_fit(&without, None));
        }
    }

    /// Before the packet has passed, only what the packet itself tells counts.
    #[test]
    fn what_may_fit_yet() {
        let bytes = packet(protocol::TCP, (40_000, 80));
        let lan = InterfaceName::new("lan");
        for (text, expected) in [
            ("tcp state NEW", true),
            ("udp state NEW", false),
            ("udp or drop", true),
            ("not drop", true),
            ("not (tcp or drop)", false),
            ("in wan drop", false),
            ("in lan out wan", true),
        ] {
            assert_eq!(Filter::parse(text).unwrap().may_fit(&bytes, lan), expected, "{text}");
        }
    }

    #[test]
    fn odd_packets_fit_only_what_they_have() {
        let any = Filter::parse("not tcp").unwrap();
        let ports = Filter::parse("port 0-65535").unwrap();
        for bytes in [&[][..], &[0x45], &[0x60; 60]] {
            assert!(any.may_fit(bytes, None));
            assert!(!ports.may_fit(bytes, None));
        }
        assert!(!ports.may_fit(&packet(protocol::ICMP, (8, 0)), None));
        let mut later = packet(protocol::UDP, (1, 2));
        later[7] = 2;
        assert!(!ports.may_fit(&later, None));
    }

    #[test]
    fn what_is_wrong_is_said_where() {
        for (text, expected) in [
            (
                "tcp dprt 80",
                "error: `dprt` is not understood here\n --> filter:1:5\n  |\n1 | tcp dprt 80\n  |     ^^^^ expected a test, such as `tcp`, `ip6`, `dport 80` or `src 10.0.0.0/8`\n  |\n  = help: did you mean `dport`?",
            ),
            (
                "tcp dport",
                "error: the filter ends too early\n --> filter:1:10\n  |\n1 | tcp dport\n  |          ^ expected a port, such as 80, 1024-65535 or 80,443\n  |\n  = help: write a port, such as 80, 1024-65535 or 80,443 here",
            ),
            (
                "(tcp or udp",
                "error: this `(` is never closed\n --> filter:1:1\n  |\n1 | (tcp or udp\n  | ^ expected its `)`\n  |\n  = help: put a `)` where it ends",
            ),
            (
                "state NEW,ODD",
                "error: `ODD` is not understood here\n --> filter:1:11\n  |\n1 | state NEW,ODD\n  |           ^^^ expected a state\n  |\n  = help: it is one of NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED, none",
            ),
        ] {
            assert_eq!(Filter::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
        for text in [
            "",
            "   ",
            "tcp)",
            "()",
            "not",
            "tcp or",
            "or tcp",
            "dport 70000",
            "dport 9-3",
            "src 10.0.0.0/33",
            "src 2001:db8::1/129",
            "src [2001:db8::1]:80",
            "in",
            "proto 256",
            "in averyveryverylongname",
            "dport http",
            "§",
        ] {
            let error = Filter::parse(text).unwrap_err();
            assert!(error.problems.iter().all(|it| !it.remedy.is_empty()), "{text}");
            assert!(error.to_string().contains("--> filter:1:"), "{error}");
        }
    }

    #[test]
    fn no_depth_exhausts_the_stack() {
        let nested = |depth: usize| format!("{}tcp{}", "(".repeat(depth), ")".repeat(depth));
        let negated = |depth: usize| format!("{}tcp", "not ".repeat(depth));
        let ask = move || {
            for text in [nested(29), negated(29)] {
                let filter = Filter::parse(&text).unwrap();
                let is_negated = text.starts_with("not");
                assert_eq!(filter.may_fit(b"no packet", None), is_negated, "{text}");
            }
            for text in [nested(30), negated(30), "(".repeat(100_000), "not ".repeat(100_000)] {
                let error = Filter::parse(&text).unwrap_err().to_string();
                assert!(
                    error.contains("expected a filter that is no more than 30 deep"),
                    "{error}"
                );
            }
        };
        // Half of what a thread has.
        let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(ask);
        thread.unwrap().join().unwrap();
    }
}
