//! `-m srh`: the segment routing header of IPv6, which is a routing header of type 4 (RFC 8754).

use std::fmt::Write;
use std::net::Ipv6Addr;
use std::sync::Arc;

use super::extension::{self, Miss};
use crate::base::{AddressMask, Family, as_in_c};
use crate::ext::MatchSpec;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, HostMask, Opt, OptionSpec, UsageError};
use crate::rule::{Context, Effect, HangsOn, Match, Matched};
use crate::wire::ipv6;

mod samples;

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "srh",
    aliases: &[],
    families: &[Family::V6],
    like: None,
    protocol: None,
    options: OPTIONS,
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "the segment routing header of IPv6",
    samples: samples::SAMPLES,
};

const OPTIONS: &[OptionSpec] = &[
    NEXT.spec,
    COMPARED[0].options[0].spec,
    COMPARED[0].options[1].spec,
    COMPARED[0].options[2].spec,
    COMPARED[1].options[0].spec,
    COMPARED[1].options[1].spec,
    COMPARED[1].options[2].spec,
    COMPARED[2].options[0].spec,
    COMPARED[2].options[1].spec,
    COMPARED[2].options[2].spec,
    TAG.spec,
    SIDS[0].spec,
    SIDS[1].spec,
    SIDS[2].spec,
];

const NEXT: Opt<u64> = Opt::integer("srh-next-hdr", 0, 255, "the number of the header behind it").invertible();
const TAG: Opt<u64> = Opt::integer(
    "srh-tag",
    0,
    65_535,
    "the header's tag, its two bytes the other way round: the kernel compares them so",
)
.invertible();
/// In the order of the way: where the packet was sent before, where it will be sent next, and last.
const SIDS: [Opt<HostMask>; 3] = [
    Opt::host("srh-psid", "the segment before the one that the packet goes to now").invertible(),
    Opt::host("srh-nsid", "the segment behind the one that the packet goes to now").invertible(),
    Opt::host("srh-lsid", "the last segment").invertible(),
];

/// A byte of the header with three options, which share one number: the one that was typed last.
struct Compared {
    at: usize,
    options: [Opt<u64>; 3],
}

const COMPARED: [Compared; 3] = [
    Compared {
        at: 1,
        options: [
            byte(
                "srh-hdr-len-eq",
                "the header's length in units of eight bytes, without the first, is this",
            ),
            byte(
                "srh-hdr-len-gt",
                "it is greater than this; of numbers for one field the last one typed counts for all",
            ),
            byte("srh-hdr-len-lt", "it is less than this"),
        ],
    },
    Compared {
        at: 3,
        options: [
            byte("srh-segs-left-eq", "so many segments are left"),
            byte("srh-segs-left-gt", "more than this are left"),
            byte("srh-segs-left-lt", "less than this are left"),
        ],
    },
    Compared {
        at: 4,
        options: [
            byte("srh-last-entry-eq", "the last segment of the list has this number"),
            byte("srh-last-entry-gt", "it has a greater number than this"),
            byte("srh-last-entry-lt", "it has a lower number than this"),
        ],
    },
];

const fn byte(name: &'static str, help: &'static str) -> Opt<u64> {
    Opt::integer(name, 0, 255, help).invertible()
}

/// As the options of [`Compared`] stand.
const RELATIONS: [fn(u8, u8) -> bool; 3] = [
    |has, asked| has == asked,
    |has, asked| has > asked,
    |has, asked| has < asked,
];

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let compared = COMPARED.map(|Compared { options, .. }| {
        let of_field = |name: &str| options.iter().find(|option| option.name() == name);
        let mut typed = given.options.iter().rev().filter_map(|it| of_field(it.spec.name));
        let value = typed.next().and_then(|last| given.value(*last)).unwrap_or_default();
        AskedByte {
            value: value as u8,
            relations: options.map(|option| given.get(option).map(|it| it.inverted)),
        }
    });
    let sids = SIDS.map(|option| {
        let asked = given.get(option)?;
        // Without a mask every bit counts, and here the tool does not tell that from a prefix of all bits.
        let prefix = asked.value.prefix.or(Some(Family::V6.bits()));
        Some(Asked {
            value: HostMask { prefix, ..asked.value },
            ..asked
        })
    });
    Ok(Arc::new(Srh {
        next: given.get(NEXT),
        compared,
        tag: given.get(TAG),
        sids,
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Srh {
    next: Option<Asked<u64>>,
    /// As `COMPARED` has them.
    compared: [AskedByte; 3],
    tag: Option<Asked<u64>>,
    /// As `SIDS` has them.
    sids: [Option<Asked<HostMask>>; 3],
}

/// Of each relation that is asked for, whether a `!` turns it round.
#[derive(Debug, PartialEq, Eq)]
struct AskedByte {
    value: u8,
    relations: [Option<bool>; 3],
}

/// What of a routing header is not as it should be.
enum Failed {
    Type(u8),
    /// More segments are left than there are.
    TooManyLeft,
    Next(u8),
    Byte {
        field: usize,
        relation: usize,
        has: u8,
    },
    Tag(u16),
    /// `None` where the packet has no such segment.
    Sid(usize, Option<Ipv6Addr>),
}

impl Srh {
    fn check(&self, cx: &Context<'_>) -> Result<(), Miss<Failed>> {
        // To the packet's end: the kernel reads segments that lie behind the header.
        let header = extension::whole(cx.packet, ipv6::extension::ROUTING, 8)?;
        let (kind, left, last) = (header[2], header[3], header[4]);
        if kind != SEGMENT_ROUTING {
            return Err(Miss::Has(Failed::Type(kind)));
        }
        if left > last {
            return Err(Miss::Has(Failed::TooManyLeft));
        }
        let is_not = |asked: Option<Asked<u64>>, has: u16| asked.is_some_and(|it| !it.fits(it.value == u64::from(has)));
        if is_not(self.next, header[0].into()) {
            return Err(Miss::Has(Failed::Next(header[0])));
        }
        for (field, asked) in self.compared.iter().enumerate() {
            let has = header[COMPARED[field].at];
            let fits =
                |it: usize| asked.relations[it].is_none_or(|inverted| RELATIONS[it](has, asked.value) != inverted);
            if let Some(relation) = (0..3).find(|it| !fits(*it)) {
                return Err(Miss::Has(Failed::Byte { field, relation, has }));
            }
        }
        // Seen: the kernel compares it as it lies there to a number of its own, lowest byte first.
        let tag = u16::from_le_bytes([header[6], header[7]]);
        if is_not(self.tag, tag) {
            return Err(Miss::Has(Failed::Tag(tag)));
        }
        // The list begins with the last.
        let left = usize::from(left);
        let places = [(left < last.into()).then_some(left + 1), left.checked_sub(1), Some(0)];
        for (which, (asked, place)) in self.sids.iter().zip(places).enumerate() {
            let Some(asked) = asked else { continue };
            let segment = || header.get(8 + 16 * place?..)?.first_chunk::<16>();
            let has = segment().map(|octets| Ipv6Addr::from(*octets));
            if !has.is_some_and(|has| asked.fits(contains(asked.value, has))) {
                return Err(Miss::Has(Failed::Sid(which, has)));
            }
        }
        Ok(())
    }
}

fn contains(asked: HostMask, other: Ipv6Addr) -> bool {
    let all = asked.prefix.unwrap_or(Family::V6.bits());
    AddressMask::prefix(asked.address, all).is_some_and(|mask| mask.contains(other.into()))
}

const SEGMENT_ROUTING: u8 = 4;

impl Match for Srh {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    /// Unlike its fellows the kernel's match drops nothing that is cut short.
    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.check(cx).is_ok().into()
    }

    fn effect(&self) -> Effect {
        // A plain packet has no extension header, and so one answer.
        Effect::PURE.hanging_on(HangsOn::Plain)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let failed = match self.check(cx) {
            Ok(()) => return "srh: matches".to_owned(),
            Err(Miss::Absent) => return "srh: packet has no routing header".to_owned(),
            Err(Miss::CutShort) => return "srh: packet's headers are cut short".to_owned(),
            Err(Miss::Has(failed)) => failed,
        };
        let sentence = |option: Opt<u64>, asked: Option<Asked<u64>>, has: u16| {
            let Asked { value, inverted } = asked.unwrap_or_default();
            format!("{} {value}: packet has {has}", option.spelled(inverted))
        };
        match failed {
            Failed::Type(kind) => format!("srh: packet has a routing header of type {kind}"),
            Failed::TooManyLeft => "srh: packet has more segments left than there are".to_owned(),
            Failed::Next(has) => sentence(NEXT, self.next, has.into()),
            Failed::Byte { field, relation, has } => {
                let AskedByte { value, relations } = &self.compared[field];
                let asked = relations[relation].map(|inverted| Asked {
                    value: (*value).into(),
                    inverted,
                });
                sentence(COMPARED[field].options[relation], asked, has.into())
            }
            Failed::Tag(tag) => sentence(TAG, self.tag, tag),
            Failed::Sid(which, has) => {
                let mut asked = String::new();
                self.save_sid(&mut asked, which);
                let has = has.map_or("none".to_owned(), |has| has.to_string());
                format!("{}: packet has {has}", asked.trim_start())
            }
        }
    }

    fn save(&self, out: &mut String) {
        for (option, value, inverted) in self.numbers() {
            let _ = write!(out, " {} {value}", option.spelled(inverted));
        }
        for which in 0..3 {
            self.save_sid(out, which);
        }
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" srh");
        for (option, value, inverted) in self.numbers() {
            let bang = if inverted { "!" } else { "" };
            let _ = write!(out, " {}:{bang}{value}", listed(option.name()));
        }
        for (option, asked) in SIDS.iter().zip(&self.sids) {
            let Some(Asked { value, inverted }) = asked else {
                continue;
            };
            let bang = if *inverted { "!" } else { "" };
            let _ = write!(out, " {} {bang} {}", listed(option.name()), text(*value));
        }
    }
}

impl Srh {
    /// All that is asked of numbers, in the order in which it is printed.
    fn numbers(&self) -> Vec<(Opt<u64>, u64, bool)> {
        let one = |option, asked: Option<Asked<u64>>| asked.map(|it| (option, it.value, it.inverted));
        let compared = COMPARED.iter().zip(&self.compared).flat_map(|(field, asked)| {
            let of_relation = field.options.iter().zip(asked.relations);
            of_relation.filter_map(|(option, inverted)| Some((*option, asked.value.into(), inverted?)))
        });
        one(NEXT, self.next)
            .into_iter()
            .chain(compared)
            .chain(one(TAG, self.tag))
            .collect()
    }

    fn save_sid(&self, out: &mut String, which: usize) {
        if let Some(Asked { value, inverted }) = self.sids[which] {
            let _ = write!(out, " {} {}", SIDS[which].spelled(inverted), text(value));
        }
    }
}

fn text(asked: HostMask) -> String {
    format!(
        "{}/{}",
        as_in_c(asked.address),
        asked.prefix.unwrap_or(Family::V6.bits())
    )
}

/// Listings leave out what all options begin with.
fn listed(name: &str) -> &str {
    name.strip_prefix("srh-").unwrap_or(name)
}

/// ` srh next-hdr:17 segs-left-gt:!1 tag:0 psid  a::/64 nsid ! b::/64`.
fn unlist(listed_as: Listed<'_>) -> Vec<Typed<'_>> {
    listed_as.once(|it| {
        it.word("srh")?;
        let mut options = Options::default();
        while let Some((word, value)) = it.peek().and_then(|word| word.split_once(':')) {
            let Some(known) = OPTIONS.iter().find(|option| listed(option.name) == word) else {
                break;
            };
            it.take();
            options.push_unless(value, known.name);
        }
        for option in SIDS {
            if it.word(listed(option.name())).is_some() {
                let inverted = it.word("!").is_some();
                options.push(inverted, option.name(), it.take()?);
            }
        }
        Some(options)
    })
}
