//! `-m srh`: the segment routing header of IPv6, which is a routing header of type 4 (RFC 8754).

use std::fmt::Write;
use std::net::Ipv6Addr;
use std::sync::Arc;

use super::extension::{self, Miss};
use crate::base::{AddressMask, Family, as_in_c};
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, HostMask, Opt, OptionSpec, UsageError};
use crate::ext::samples::{DATAGRAM6, Samples, fails, passes, refused, taken};
use crate::rule::{Context, Effect, HangsOn, Match, Matched};
use crate::wire::ipv6;

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "srh",
    aliases: &[],
    families: &[Family::V6],
    protocol: None,
    options: OPTIONS,
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "the segment routing header of IPv6",
    samples: SAMPLES,
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

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "", "", "srh"),
        taken("", "--srh-next-hdr 17", "--srh-next-hdr 17", "srh next-hdr:17"),
        taken("", "! --srh-next-hdr 17", "! --srh-next-hdr 17", "srh next-hdr:!17"),
        taken("", "--srh-next-hdr 0", "--srh-next-hdr 0", "srh next-hdr:0"),
        taken("", "--srh-next-hdr 0x11", "--srh-next-hdr 17", "srh next-hdr:17"),
        taken("", "--srh-hdr-len-eq 8", "--srh-hdr-len-eq 8", "srh hdr-len-eq:8"),
        taken("", "! --srh-hdr-len-eq 8", "! --srh-hdr-len-eq 8", "srh hdr-len-eq:!8"),
        taken("", "--srh-hdr-len-gt 8", "--srh-hdr-len-gt 8", "srh hdr-len-gt:8"),
        taken("", "! --srh-hdr-len-gt 8", "! --srh-hdr-len-gt 8", "srh hdr-len-gt:!8"),
        taken("", "--srh-hdr-len-lt 8", "--srh-hdr-len-lt 8", "srh hdr-len-lt:8"),
        taken("", "! --srh-hdr-len-lt 8", "! --srh-hdr-len-lt 8", "srh hdr-len-lt:!8"),
        taken(
            "",
            "--srh-hdr-len-gt 1 --srh-hdr-len-lt 8",
            "--srh-hdr-len-gt 8 --srh-hdr-len-lt 8",
            "srh hdr-len-gt:8 hdr-len-lt:8",
        ),
        taken(
            "",
            "--srh-hdr-len-eq 1 --srh-hdr-len-lt 8",
            "--srh-hdr-len-eq 8 --srh-hdr-len-lt 8",
            "srh hdr-len-eq:8 hdr-len-lt:8",
        ),
        taken("", "--srh-segs-left-eq 1", "--srh-segs-left-eq 1", "srh segs-left-eq:1"),
        taken(
            "",
            "! --srh-segs-left-eq 1",
            "! --srh-segs-left-eq 1",
            "srh segs-left-eq:!1",
        ),
        taken("", "--srh-segs-left-gt 1", "--srh-segs-left-gt 1", "srh segs-left-gt:1"),
        taken(
            "",
            "! --srh-segs-left-gt 1",
            "! --srh-segs-left-gt 1",
            "srh segs-left-gt:!1",
        ),
        taken("", "--srh-segs-left-lt 1", "--srh-segs-left-lt 1", "srh segs-left-lt:1"),
        taken(
            "",
            "! --srh-segs-left-lt 1",
            "! --srh-segs-left-lt 1",
            "srh segs-left-lt:!1",
        ),
        taken(
            "",
            "--srh-last-entry-eq 4",
            "--srh-last-entry-eq 4",
            "srh last-entry-eq:4",
        ),
        taken(
            "",
            "! --srh-last-entry-eq 4",
            "! --srh-last-entry-eq 4",
            "srh last-entry-eq:!4",
        ),
        taken(
            "",
            "--srh-last-entry-gt 4",
            "--srh-last-entry-gt 4",
            "srh last-entry-gt:4",
        ),
        taken(
            "",
            "! --srh-last-entry-gt 4",
            "! --srh-last-entry-gt 4",
            "srh last-entry-gt:!4",
        ),
        taken(
            "",
            "--srh-last-entry-lt 4",
            "--srh-last-entry-lt 4",
            "srh last-entry-lt:4",
        ),
        taken(
            "",
            "! --srh-last-entry-lt 4",
            "! --srh-last-entry-lt 4",
            "srh last-entry-lt:!4",
        ),
        taken("", "--srh-tag 0", "--srh-tag 0", "srh tag:0"),
        taken("", "! --srh-tag 5", "! --srh-tag 5", "srh tag:!5"),
        taken("", "--srh-tag 65535", "--srh-tag 65535", "srh tag:65535"),
        taken("", "--srh-tag 0x10", "--srh-tag 16", "srh tag:16"),
        taken("", "--srh-psid a::/64", "--srh-psid a::/64", "srh psid  a::/64"),
        taken("", "! --srh-psid a::/64", "! --srh-psid a::/64", "srh psid ! a::/64"),
        taken("", "--srh-psid a::1", "--srh-psid a::1/128", "srh psid  a::1/128"),
        taken("", "--srh-psid a::1/128", "--srh-psid a::1/128", "srh psid  a::1/128"),
        taken("", "--srh-psid a::1/64", "--srh-psid a::1/64", "srh psid  a::1/64"),
        taken("", "--srh-psid a::1/0", "--srh-psid a::1/0", "srh psid  a::1/0"),
        taken("", "--srh-psid a::/ffff::", "--srh-psid a::/16", "srh psid  a::/16"),
        taken(
            "",
            "--srh-psid a::/ffff::ffff",
            "--srh-psid a::/128",
            "srh psid  a::/128",
        ),
        taken("", "--srh-nsid b::/64", "--srh-nsid b::/64", "srh nsid  b::/64"),
        taken("", "! --srh-nsid b::/64", "! --srh-nsid b::/64", "srh nsid ! b::/64"),
        taken("", "--srh-lsid c::/64", "--srh-lsid c::/64", "srh lsid  c::/64"),
        taken("", "! --srh-lsid c::/64", "! --srh-lsid c::/64", "srh lsid ! c::/64"),
        taken("", "--srh-lsid c::1", "--srh-lsid c::1/128", "srh lsid  c::1/128"),
        taken("", "--srh-lsid ::/0", "--srh-lsid ::/0", "srh lsid  ::/0"),
        taken(
            "",
            "--srh-next-hdr 17 --srh-hdr-len-eq 8 --srh-segs-left-eq 2 --srh-last-entry-eq 1 --srh-tag 0 --srh-psid a::/64 --srh-nsid b::/64 --srh-lsid c::/64",
            "--srh-next-hdr 17 --srh-hdr-len-eq 8 --srh-segs-left-eq 2 --srh-last-entry-eq 1 --srh-tag 0 --srh-psid a::/64 --srh-nsid b::/64 --srh-lsid c::/64",
            "srh next-hdr:17 hdr-len-eq:8 segs-left-eq:2 last-entry-eq:1 tag:0 psid  a::/64 nsid  b::/64 lsid  c::/64",
        ),
        taken(
            "",
            "--srh-lsid c::/64 --srh-next-hdr 17 --srh-tag 1",
            "--srh-next-hdr 17 --srh-tag 1 --srh-lsid c::/64",
            "srh next-hdr:17 tag:1 lsid  c::/64",
        ),
        taken(
            "",
            "--srh-next-hdr 17 --srh-segs-left-gt 3 --srh-last-entry-gt 2 ! --srh-segs-left-lt 9",
            "--srh-next-hdr 17 --srh-segs-left-gt 9 ! --srh-segs-left-lt 9 --srh-last-entry-gt 2",
            "srh next-hdr:17 segs-left-gt:9 segs-left-lt:!9 last-entry-gt:2",
        ),
        taken("-p tcp", "--srh-tag 1", "--srh-tag 1", "srh tag:1"),
        taken(
            "",
            "--srh-psid ::ffff:1.2.3.4/96",
            "--srh-psid ::ffff:1.2.3.4/96",
            "srh psid  ::ffff:1.2.3.4/96",
        ),
        taken(
            "",
            "--srh-psid 2001:DB8::A",
            "--srh-psid 2001:db8::a/128",
            "srh psid  2001:db8::a/128",
        ),
        taken("", "--srh-psid a::/0x40", "--srh-psid a::/64", "srh psid  a::/64"),
        taken("", "--srh-psid a::/064", "--srh-psid a::/52", "srh psid  a::/52"),
        taken("", "--srh-psid a::/\" 64\"", "--srh-psid a::/64", "srh psid  a::/64"),
    ],
    refused: &[
        refused(
            "",
            "--srh-next-hdr 256",
            "srh: bad value for option \"--srh-next-hdr\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--srh-next-hdr tcp",
            "srh: bad value for option \"--srh-next-hdr\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--srh-next-hdr -1",
            "srh: bad value for option \"--srh-next-hdr\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--srh-next-hdr 1 --srh-next-hdr 2",
            "srh: option \"--srh-next-hdr\" can only be used once.\n",
        ),
        refused(
            "",
            "--srh-hdr-len-eq 256",
            "srh: bad value for option \"--srh-hdr-len-eq\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--srh-segs-left-lt 256",
            "srh: bad value for option \"--srh-segs-left-lt\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--srh-last-entry-lt 300",
            "srh: bad value for option \"--srh-last-entry-lt\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--srh-tag 65536",
            "srh: bad value for option \"--srh-tag\", or out of range (0-65535).\n",
        ),
        refused(
            "",
            "--srh-psid a::/129",
            "srh: bad value for option \"--srh-psid\", neither a valid network mask nor valid CIDR (0-128).\n",
        ),
        refused(
            "",
            "--srh-psid x",
            "getaddrinfo: Temporary failure in name resolution\n",
        ),
        refused(
            "",
            "--srh-psid a::/x",
            "srh: bad value for option \"--srh-psid\", neither a valid network mask nor valid CIDR (0-128).\n",
        ),
        refused(
            "",
            "--srh-psid 10.0.0.1",
            "getaddrinfo: Address family for hostname not supported\n",
        ),
        refused("", "--srh-psid \"\"", "getaddrinfo: Name or service not known\n"),
        refused("", "--srh-psid a::1,a::2", "getaddrinfo: Name or service not known\n"),
        refused(
            "",
            "--srh-psid a::1 --srh-psid a::1",
            "srh: option \"--srh-psid\" can only be used once.\n",
        ),
        refused(
            "",
            "--srh-nsid x",
            "getaddrinfo: Temporary failure in name resolution\n",
        ),
        refused(
            "",
            "! --srh-lsid x/",
            "getaddrinfo: Temporary failure in name resolution\n",
        ),
        refused(
            "",
            "--srh-lsid c::1/",
            "srh: bad value for option \"--srh-lsid\", neither a valid network mask nor valid CIDR (0-128).\n",
        ),
        refused(
            "",
            "--srh-psid a::/",
            "srh: bad value for option \"--srh-psid\", neither a valid network mask nor valid CIDR (0-128).\n",
        ),
        refused("", "--srh-psid /64", "getaddrinfo: Name or service not known\n"),
        refused("", "--srh-psid a::1%lo", "getaddrinfo: Name or service not known\n"),
        refused(
            "",
            "--srh-psid a::/-1",
            "srh: bad value for option \"--srh-psid\", neither a valid network mask nor valid CIDR (0-128).\n",
        ),
        refused(
            "",
            "--srh-psid a::/64/64",
            "srh: bad value for option \"--srh-psid\", neither a valid network mask nor valid CIDR (0-128).\n",
        ),
        refused("", "--srh-psid \" a::\"", "getaddrinfo: Name or service not known\n"),
    ],
    packets: &[
        passes(
            "",
            "",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "--srh-next-hdr 17 --srh-hdr-len-eq 6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "--srh-hdr-len-gt 5 ! --srh-segs-left-gt 1 --srh-last-entry-lt 3",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "! --srh-hdr-len-lt 6 --srh-segs-left-eq 1 --srh-last-entry-eq 2",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "--srh-tag 5",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 0 0x0000050020010db8000000000000000000000005",
        ),
        passes(
            "",
            "! --srh-tag 5",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "--srh-psid 2001:db8::7 --srh-nsid 2001:db8::5 --srh-lsid 2001:db8::/64",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "! --srh-lsid 2001:db8::6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        fails("", "", DATAGRAM6, "srh: packet has no routing header"),
        fails(
            "",
            "",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 2 1 2001:db8::5",
            "srh: packet has a routing header of type 2",
        ),
        fails(
            "",
            "",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 3 2001:db8::5 2001:db8::6",
            "srh: packet has more segments left than there are",
        ),
        fails(
            "",
            "--srh-next-hdr 6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-next-hdr 6: packet has 17",
        ),
        fails(
            "",
            "! --srh-hdr-len-eq 6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "! --srh-hdr-len-eq 6: packet has 6",
        ),
        fails(
            "",
            "--srh-hdr-len-gt 6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-hdr-len-gt 6: packet has 6",
        ),
        fails(
            "",
            "--srh-hdr-len-lt 6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-hdr-len-lt 6: packet has 6",
        ),
        fails(
            "",
            "! --srh-segs-left-eq 1",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "! --srh-segs-left-eq 1: packet has 1",
        ),
        fails(
            "",
            "--srh-segs-left-gt 1",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-segs-left-gt 1: packet has 1",
        ),
        fails(
            "",
            "--srh-segs-left-lt 1",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-segs-left-lt 1: packet has 1",
        ),
        fails(
            "",
            "! --srh-last-entry-eq 2",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "! --srh-last-entry-eq 2: packet has 2",
        ),
        fails(
            "",
            "--srh-last-entry-gt 2",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-last-entry-gt 2: packet has 2",
        ),
        fails(
            "",
            "--srh-last-entry-lt 2",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-last-entry-lt 2: packet has 2",
        ),
        fails(
            "",
            "--srh-hdr-len-gt 1 --srh-hdr-len-lt 9",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-hdr-len-gt 9: packet has 6",
        ),
        fails(
            "",
            "--srh-tag 6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 0 0x0000050020010db8000000000000000000000005",
            "--srh-tag 6: packet has 5",
        ),
        fails(
            "",
            "--srh-psid 2001:db8::6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-psid 2001:db8::6/128: packet has 2001:db8::7",
        ),
        fails(
            "",
            "--srh-nsid 2001:db8::6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-nsid 2001:db8::6/128: packet has 2001:db8::5",
        ),
        fails(
            "",
            "! --srh-lsid 2001:db8::/64",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "! --srh-lsid 2001:db8::/64: packet has 2001:db8::5",
        ),
        fails(
            "",
            "--srh-nsid ::/0",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 0 2001:db8::5 2001:db8::6",
            "--srh-nsid ::/0: packet has none",
        ),
    ],
    spellings: &[
        "-m srh",
        "-m srh --srh-next-hdr 0",
        "-m srh --srh-hdr-len-eq 5",
        "-m srh --srh-hdr-len-eq 1 --srh-hdr-len-gt 5",
        "-m srh --srh-hdr-len-gt 1 --srh-hdr-len-eq 5",
        "-m srh --srh-psid a::1",
        "-m srh --srh-psid a::1/128",
        "-m srh --srh-psid a::1/64",
        "-m srh --srh-psid a::1/ffff::ffff",
        "-m srh --srh-tag 0",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 6,
    |draw| {
        draw.maybe(4, &NEXT.spec, &["17", "6", "58"]);
        for field in COMPARED {
            for option in field.options {
                draw.maybe(6, &option.spec, &["0", "1", "2", "4"]);
            }
        }
        draw.maybe(6, &TAG.spec, &["0", "5"]);
        for sid in SIDS {
            draw.maybe(
                5,
                &sid.spec,
                &["2001:db8::5", "2001:db8::6/127", "::/0", "2001:db8::/64"],
            );
        }
    },
)
.in_one_scenario_of(4);
