//! `-m iprange`: addresses from one to another.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::base::{AddressMask, AddressRange, Family, write_address};
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::whole_number;
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::ext::wording::not;
use crate::ext::{MatchSpec, NeedsOne};
use crate::packet::{End, Packet};
use crate::rule::{Condition, Context, Effect, Field, HangsOn, Lowered, Match, Matched};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "iprange",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[SOURCE.spec, DESTINATION.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: "iprange match: You must specify `--src-range' or `--dst-range'",
    }),
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "addresses from one to another",
    samples: SAMPLES,
};

const SOURCE: Opt<Range> = Opt::own(
    "src-range",
    "ADDRESS[-ADDRESS]",
    &Read(|text, given| range(text, given.family).map_err(|part| bad_value(SOURCE.name(), part))),
    "the source is one of these; both ends belong to them",
)
.invertible()
.remarked(reversed);
const DESTINATION: Opt<Range> = Opt::own(
    "dst-range",
    "ADDRESS[-ADDRESS]",
    &Read(|text, given| range(text, given.family).map_err(|part| bad_value(DESTINATION.name(), part))),
    "the destination is one of these; both ends belong to them",
)
.invertible()
.remarked(reversed);

/// From the first to the last, both of the rule's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range(AddressRange);

/// Two addresses, or one that stands for both; else the part that is none.
fn range(text: &str, family: Family) -> Result<Range, &str> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let address = |part: &str| match family {
        Family::V4 => dotted(part).map(IpAddr::V4),
        Family::V6 => part.parse().ok().map(IpAddr::V6),
    };
    Ok(Range(AddressRange {
        low: address(first).ok_or(first)?,
        high: address(last).ok_or(last)?,
    }))
}

/// Seen: parts that are left out are zeros at the end (`10.1` is 10.1.0.0).
fn dotted(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut places = octets.iter_mut();
    for part in text.split('.') {
        *places.next()? = u8::try_from(whole_number(part)?).ok()?;
    }
    Some(Ipv4Addr::from(octets))
}

fn bad_value(option: &str, part: &str) -> UsageError {
    UsageError::parameter(format!("iprange: Bad value for \"--{option}\" option: \"{part}\""))
}

/// Seen: it is taken all the same, and said of one behind a `!` too, although that matches whatever comes.
fn reversed(text: &str) -> Option<String> {
    let mut ranges = Family::ALL.iter().filter_map(|family| range(text, *family).ok());
    let is_reversed = ranges.any(|Range(range)| range.low > range.high);
    is_reversed.then(|| format!("xt_iprange: range {text} is reversed and will never match\n"))
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(Iprange {
        source: given.get(SOURCE),
        destination: given.get(DESTINATION),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Iprange {
    source: Option<Asked<Range>>,
    destination: Option<Asked<Range>>,
}

impl Iprange {
    /// What is asked of the packet's ends, in the kernel's order.
    fn asked(&self) -> impl Iterator<Item = (End, Asked<Range>)> {
        let source = self.source.map(|asked| (End::Source, asked));
        let destination = self.destination.map(|asked| (End::Destination, asked));
        source.into_iter().chain(destination)
    }
}

fn option(end: End) -> Opt<Range> {
    match end {
        End::Source => SOURCE,
        End::Destination => DESTINATION,
    }
}

/// In a listing.
fn word(end: End) -> &'static str {
    match end {
        End::Source => "source",
        End::Destination => "destination",
    }
}

fn address_of(packet: &Packet, end: End) -> IpAddr {
    match end {
        End::Source => packet.source(),
        End::Destination => packet.destination(),
    }
}

fn field(end: End, addresses: AddressMask) -> Field {
    match end {
        End::Source => Field::Source(addresses),
        End::Destination => Field::Destination(addresses),
    }
}

fn fits(end: End, asked: Asked<Range>, packet: &Packet) -> bool {
    asked.fits(asked.value.0.contains(address_of(packet, end)))
}

impl Range {
    /// The smallest network that has both ends, and whether it has nothing else. Of one that is reversed it says nothing that helps.
    fn network(self) -> Option<(AddressMask, bool)> {
        let AddressRange { low, high } = self.0;
        let family = Family::of(low);
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        let (first, last) = (bits(low), bits(high));
        let others = match (first ^ last).leading_zeros() {
            128 => 0,
            same => u128::MAX >> same,
        };
        let length = family.bits() - others.count_ones() as u8;
        let network = AddressMask::prefix(low, length)?;
        let is_whole = first & others == 0 && last & others == others;
        (first <= last).then_some((network, is_whole))
    }
}

fn lowered(end: End, asked: Asked<Range>) -> Lowered {
    match asked.value.network() {
        Some((network, true)) => Lowered::exactly(vec![Condition::new(field(end, network), asked.inverted)]),
        Some((network, false)) if !asked.inverted => Lowered::at_least(vec![Condition::Is(field(end, network))]),
        _ => Lowered::unknown(),
    }
}

impl Match for Iprange {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.asked().all(|(end, asked)| fits(end, asked, cx.packet)).into()
    }

    fn lower(&self) -> Lowered {
        let all = self.asked().map(|(end, asked)| lowered(end, asked));
        all.reduce(Lowered::and).unwrap_or_else(Lowered::unknown)
    }

    fn effect(&self) -> Effect {
        Effect::PURE.hanging_on(HangsOn::Plain)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let failing = self.asked().find(|(end, asked)| !fits(*end, *asked, cx.packet));
        let told = failing.map(|(end, Asked { value, inverted })| {
            let has = address_of(cx.packet, end);
            format!("{} {value}: packet has {has}", option(end).spelled(inverted))
        });
        told.unwrap_or_default()
    }

    fn save(&self, out: &mut String) {
        for (end, Asked { value, inverted }) in self.asked() {
            let _ = write!(out, " {} {value}", option(end).spelled(inverted));
        }
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        for (end, Asked { value, inverted }) in self.asked() {
            let _ = write!(out, " {} IP range {}{value}", word(end), not(inverted));
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        write_address(&mut text, self.0.low);
        text.push('-');
        write_address(&mut text, self.0.high);
        f.write_str(&text)
    }
}

/// ` source IP range 10.0.0.1-10.0.0.9 destination IP range ! 192.0.2.1-192.0.2.9`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        let mut options = Options::default();
        let mut has_one = false;
        for end in [End::Source, End::Destination] {
            if it.word(word(end)).is_none() {
                continue;
            }
            it.word("IP")?;
            it.word("range")?;
            let inverted = it.word("!").is_some();
            options.push(inverted, option(end).name(), it.take()?);
            has_one = true;
        }
        has_one.then_some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken(
            "",
            "--src-range 10.0.0.1-10.0.0.9",
            "--src-range 10.0.0.1-10.0.0.9",
            "source IP range 10.0.0.1-10.0.0.9",
        ),
        taken(
            "",
            "! --src-range 10.0.0.1-10.0.0.9",
            "! --src-range 10.0.0.1-10.0.0.9",
            "source IP range ! 10.0.0.1-10.0.0.9",
        ),
        taken(
            "",
            "! --dst-range 192.0.2.9",
            "! --dst-range 192.0.2.9-192.0.2.9",
            "destination IP range ! 192.0.2.9-192.0.2.9",
        ),
        taken(
            "",
            "! --dst-range 192.0.2.0-192.0.2.255 --src-range 10.0.0.2",
            "--src-range 10.0.0.2-10.0.0.2 ! --dst-range 192.0.2.0-192.0.2.255",
            "source IP range 10.0.0.2-10.0.0.2 destination IP range ! 192.0.2.0-192.0.2.255",
        ),
        taken(
            "",
            "--dst-range 0.0.0.0-255.255.255.255",
            "--dst-range 0.0.0.0-255.255.255.255",
            "destination IP range 0.0.0.0-255.255.255.255",
        ),
        taken(
            "",
            "--src-range 010.1-0xa.2.255",
            "--src-range 8.1.0.0-10.2.255.0",
            "source IP range 8.1.0.0-10.2.255.0",
        ),
        taken(
            "",
            "--src-range \" 10-+11\"",
            "--src-range 10.0.0.0-11.0.0.0",
            "source IP range 10.0.0.0-11.0.0.0",
        ),
        taken(
            "",
            "--src-range 10.0.0.9-10.0.0.1",
            "--src-range 10.0.0.9-10.0.0.1",
            "source IP range 10.0.0.9-10.0.0.1",
        )
        .remarked("xt_iprange: range 10.0.0.9-10.0.0.1 is reversed and will never match\n"),
        taken(
            "",
            "! --dst-range 5-4 --src-range 9-8",
            "--src-range 9.0.0.0-8.0.0.0 ! --dst-range 5.0.0.0-4.0.0.0",
            "source IP range 9.0.0.0-8.0.0.0 destination IP range ! 5.0.0.0-4.0.0.0",
        )
        .remarked(
            "xt_iprange: range 5-4 is reversed and will never match\nxt_iprange: range 9-8 is reversed and will never match\n",
        ),
        taken(
            "",
            "--src-range 2001:DB8::1-2001:db8::ff ! --dst-range ::7",
            "--src-range 2001:db8::1-2001:db8::ff ! --dst-range ::7-::7",
            "source IP range 2001:db8::1-2001:db8::ff destination IP range ! ::7-::7",
        ),
        taken(
            "",
            "--src-range ::5-::1",
            "--src-range ::5-::1",
            "source IP range ::5-::1",
        )
        .remarked("xt_iprange: range ::5-::1 is reversed and will never match\n"),
    ],
    refused: &[
        refused(
            "",
            "",
            "iprange match: You must specify `--src-range' or `--dst-range'",
        ),
        refused("", "--src-range x", "iprange: Bad value for \"--src-range\" option: \"x\""),
        refused("", "--dst-range x-y", "iprange: Bad value for \"--dst-range\" option: \"x\""),
        refused("", "--dst-range \"\"", "iprange: Bad value for \"--dst-range\" option: \"\""),
        refused(
            "",
            "--src-range 10.0.0.1-",
            "iprange: Bad value for \"--src-range\" option: \"\"",
        ),
        refused(
            "",
            "--src-range -10.0.0.1",
            "iprange: Bad value for \"--src-range\" option: \"\"",
        ),
        refused(
            "",
            "--src-range 10.0.0.1-10.0.0.256",
            "iprange: Bad value for \"--src-range\" option: \"10.0.0.256\"",
        ),
        refused(
            "",
            "--src-range 10.0.0.0/24",
            "iprange: Bad value for \"--src-range\" option: \"10.0.0.0/24\"",
        ),
        refused(
            "",
            "--dst-range 10.0.0.1-10.0.0.2-10.0.0.3",
            "iprange: Bad value for \"--dst-range\" option: \"10.0.0.2-10.0.0.3\"",
        ),
        refused(
            "",
            "--dst-range 10.0.0.1.1",
            "iprange: Bad value for \"--dst-range\" option: \"10.0.0.1.1\"",
        ),
        refused("", "--src-range 10.", "iprange: Bad value for \"--src-range\" option: \"10.\""),
        refused(
            "",
            "--src-range localhost",
            "iprange: Bad value for \"--src-range\" option: \"localhost\"",
        ),
        refused(
            "",
            "--src-range ::1-::2",
            "iprange: Bad value for \"--src-range\" option: \"::1\"",
        )
        .only(Family::V4),
        refused(
            "",
            "--src-range 1.2.3.4-1.2.3.5",
            "iprange: Bad value for \"--src-range\" option: \"1.2.3.4\"",
        )
        .only(Family::V6),
        refused("", "--src-range 10", "iprange: Bad value for \"--src-range\" option: \"10\"").only(Family::V6),
        refused(
            "",
            "--src-range ::1-::2-::3",
            "iprange: Bad value for \"--src-range\" option: \"::2-::3\"",
        ),
        refused(
            "",
            "--src-range 10.0.0.1 --src-range 10.0.0.2",
            "iprange: option \"--src-range\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "--src-range 10.0.0.2-10.0.0.9", DATAGRAM),
        passes("", "--src-range 10.0.0.1-10.0.0.2", DATAGRAM),
        passes(
            "",
            "--src-range 10.0.0.2 ! --dst-range 192.0.2.10-192.0.2.20",
            DATAGRAM,
        ),
        passes("", "! --src-range 10.0.0.9-10.0.0.1", DATAGRAM),
        fails(
            "",
            "--src-range 10.0.0.3-10.0.0.9",
            DATAGRAM,
            "--src-range 10.0.0.3-10.0.0.9: packet has 10.0.0.2",
        ),
        fails(
            "",
            "--src-range 10.0.0.9-10.0.0.1",
            DATAGRAM,
            "--src-range 10.0.0.9-10.0.0.1: packet has 10.0.0.2",
        ),
        fails(
            "",
            "! --src-range 10.0.0.2",
            DATAGRAM,
            "! --src-range 10.0.0.2-10.0.0.2: packet has 10.0.0.2",
        ),
        fails(
            "",
            "--src-range 10.0.0.0-10.0.0.255 --dst-range 192.0.2.10-192.0.2.20",
            DATAGRAM,
            "--dst-range 192.0.2.10-192.0.2.20: packet has 192.0.2.9",
        ),
        fails(
            "",
            "! --dst-range 192.0.2.9-192.0.2.20",
            DATAGRAM,
            "! --dst-range 192.0.2.9-192.0.2.20: packet has 192.0.2.9",
        ),
    ],
    spellings: &[
        "-m iprange --src-range 10.0.0.1",
        "-m iprange --src-range 10.0.0.1-10.0.0.1",
        "-m iprange --src-range 0xa.0.0.1",
        "-m iprange ! --src-range 10.0.0.1",
        "-m iprange --dst-range 10.0.0.1",
        "-m iprange --src-range 10.0.0.1-10.0.0.2",
        "-m iprange --src-range 10.0.0.1 --dst-range 10.0.0.1",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| {
        let which = draw.below(3);
        if which != 0 {
            draw.give_one(&SOURCE.spec, RANGES);
        }
        if which != 1 {
            draw.give_one(&DESTINATION.spec, RANGES);
        }
    },
)
.in_one_scenario_of(4);

const RANGES: &[&str] = &[
    "10.0.0.0-10.0.0.255",
    "10.0.0.2",
    "10.0.0.3-192.0.2.8",
    "10.0.0.2-10.0.0.130",
    "192.0.2.0-192.0.2.15",
    "192.0.2.9-203.0.113.255",
    "0.0.0.0-255.255.255.255",
    "0-10.0.0.2",
    "172.16-172.31.255.255",
    "192.0.2.9-10.0.0.2",
];
