//! `-m icmp`: type and code of ICMP.

use std::fmt::Write;
use std::sync::Arc;

use super::header::{Miss, header};
use crate::base::{Family, protocol};
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::strtoul;
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::place::only_protocol;
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::rule::{Condition, Context, Effect, Ends, Field, Lowered, Match, Matched, Refusal, Scope};
use crate::wire::icmpv4::{self, Icmpv4};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "icmp",
    aliases: &[],
    families: &[Family::V4],
    protocol: Some(protocol::ICMP),
    options: &[TYPE.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "type and code of ICMP",
    samples: SAMPLES,
};

const TYPE: Opt<Kind> = Opt::own(
    "icmp-type",
    "TYPE[/CODE[:CODE]]|NAME",
    &Read(|text, _| kind(text)),
    "the message has this type, by number or name, and this code; any of them has `any`",
)
.invertible()
.required()
.knowing(names);

/// What firewalld asks the tool for: below this heading, and at the help's end, it reads which types there are.
fn names() -> String {
    let names = NAMES.iter().map(|(name, ..)| format!("  {name}\n"));
    format!("Valid ICMP Types:\n{}", names.collect::<String>())
}

fn kind(text: &str) -> Result<Kind, UsageError> {
    let made = |kind: u8, low: u8, high: u8| Ok(Kind { kind, low, high });
    let mut named = NAMES.iter().filter(|(name, ..)| starts_with(name, text));
    match (named.next(), named.next()) {
        (Some((first, ..)), Some((second, ..))) => {
            return Err(UsageError::parameter(format!(
                "Ambiguous ICMP type `{text}': `{first}' or `{second}'?"
            )));
        }
        (Some(&(_, kind, low, high)), None) => return made(kind, low, high),
        _ => {}
    }
    let (kind_text, code_text) = match text.split_once('/') {
        Some((kind, code)) => (kind, Some(code)),
        None => (text, None),
    };
    let unknown = |what: &str| UsageError::parameter(format!("Unknown ICMP {what} `{text}'"));
    let (kind, last_kind) = bytes(kind_text, || unknown("type"))?;
    let (low, high) = match code_text {
        Some(code_text) => bytes(code_text, || unknown("code"))?,
        None => (0, 255),
    };
    if kind != last_kind {
        return Err(UsageError::parameter("ICMP type range not supported"));
    }
    made(kind, low, high)
}

/// `number` or `number:number`, which no manual tells of; what follows is complained about by its first character.
fn bytes(text: &str, unknown: impl Fn() -> UsageError) -> Result<(u8, u8), UsageError> {
    let byte = |text| {
        let (number, rest) = strtoul(text, 0).ok_or_else(&unknown)?;
        Ok((u8::try_from(number).map_err(|_| unknown())?, rest))
    };
    let (low, mut rest) = byte(text)?;
    let mut high = low;
    if let Some(after) = rest.strip_prefix(':') {
        (high, rest) = byte(after)?;
    }
    match rest.chars().next() {
        Some(character) => Err(UsageError::parameter(format!("unknown character {character}"))),
        None => Ok((low, high)),
    }
}

fn starts_with(name: &str, text: &str) -> bool {
    name.get(..text.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(text))
}

/// In the order the tool prints them when asked for help; the first that fits a type is the one listed.
#[rustfmt::skip]
const NAMES: &[(&str, u8, u8, u8)] = &[
    ("any", 255, 0, 255),
    ("echo-reply", 0, 0, 255),
    ("pong", 0, 0, 255),
    ("destination-unreachable", 3, 0, 255),
    ("network-unreachable", 3, 0, 0),
    ("host-unreachable", 3, 1, 1),
    ("protocol-unreachable", 3, 2, 2),
    ("port-unreachable", 3, 3, 3),
    ("fragmentation-needed", 3, 4, 4),
    ("source-route-failed", 3, 5, 5),
    ("network-unknown", 3, 6, 6),
    ("host-unknown", 3, 7, 7),
    ("network-prohibited", 3, 9, 9),
    ("host-prohibited", 3, 10, 10),
    ("TOS-network-unreachable", 3, 11, 11),
    ("TOS-host-unreachable", 3, 12, 12),
    ("communication-prohibited", 3, 13, 13),
    ("host-precedence-violation", 3, 14, 14),
    ("precedence-cutoff", 3, 15, 15),
    ("source-quench", 4, 0, 255),
    ("redirect", 5, 0, 255),
    ("network-redirect", 5, 0, 0),
    ("host-redirect", 5, 1, 1),
    ("TOS-network-redirect", 5, 2, 2),
    ("TOS-host-redirect", 5, 3, 3),
    ("echo-request", 8, 0, 255),
    ("ping", 8, 0, 255),
    ("router-advertisement", 9, 0, 255),
    ("router-solicitation", 10, 0, 255),
    ("time-exceeded", 11, 0, 255),
    ("ttl-exceeded", 11, 0, 255),
    ("ttl-zero-during-transit", 11, 0, 0),
    ("ttl-zero-during-reassembly", 11, 1, 1),
    ("parameter-problem", 12, 0, 255),
    ("ip-header-bad", 12, 0, 0),
    ("required-option-missing", 12, 1, 1),
    ("timestamp-request", 13, 0, 255),
    ("timestamp-reply", 14, 0, 255),
    ("address-mask-request", 17, 0, 255),
    ("address-mask-reply", 18, 0, 255),
];

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let asked = given.get(TYPE).unwrap_or_default();
    Ok(Arc::new(Icmp { asked }))
}

/// The type that stands for all, whatever the code beside it.
const ANY: u8 = 255;

/// A type and the codes of it, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kind {
    kind: u8,
    low: u8,
    high: u8,
}

#[derive(Debug, PartialEq, Eq)]
struct Icmp {
    asked: Asked<Kind>,
}

impl Icmp {
    /// A packet that misses has this type and code.
    fn check(&self, cx: &Context<'_>) -> Result<(), Miss<(u8, u8)>> {
        let header = header(cx.packet, |bytes| Icmpv4::new(bytes).ok())?;
        let (kind, code) = (header.kind(), header.code());
        let asked = self.asked.value;
        let fits = asked.kind == ANY || (asked.kind == kind && (asked.low..=asked.high).contains(&code));
        if !self.asked.fits(fits) {
            return Err(Miss::Has((kind, code)));
        }
        Ok(())
    }
}

impl Match for Icmp {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.check(cx).into()
    }

    fn lower(&self) -> Lowered {
        let Kind { kind, low, high } = self.asked.value;
        let field = match kind {
            ANY => Field::Icmp {
                kind: None,
                low: 0,
                high: u8::MAX,
            },
            kind => Field::Icmp {
                kind: Some(kind),
                low,
                high,
            },
        };
        let header = Condition::Header(icmpv4::HEADER as u8);
        Lowered::exactly(vec![header, Condition::new(field, self.asked.inverted)])
    }

    fn effect(&self) -> Effect {
        Effect::PURE.ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        match self.check(cx) {
            Ok(()) => "icmp: matches".to_owned(),
            Err(Miss::LaterFragment) => "icmp: packet is a later fragment without an ICMP header".to_owned(),
            Err(Miss::CutShort) => "icmp: packet's ICMP header is cut short".to_owned(),
            Err(Miss::Has((kind, code))) => {
                let mut asked = String::new();
                self.save(&mut asked);
                format!("{}: packet has {kind}/{code}", asked.trim_start())
            }
        }
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} ", TYPE.spelled(self.asked.inverted));
        let Kind { kind, low, high } = self.asked.value;
        let _ = match (kind, low, high) {
            (ANY, ..) => write!(out, "any"),
            (kind, 0, 255) => write!(out, "{kind}"),
            // Of a range of codes the last is lost, as with the tool.
            (kind, low, _) => write!(out, "{kind}/{low}"),
        };
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let Kind { kind, low, high } = self.asked.value;
        let bang = if self.asked.inverted { "!" } else { "" };
        let name = NAMES.iter().find(|&&(_, a, b, c)| (a, b, c) == (kind, low, high));
        if let Some((name, ..)) = name
            && !numeric
        {
            let _ = write!(out, " icmp {bang}{name}");
            return;
        }
        // Without an inversion the real tool leaves out the space, too.
        let word = if self.asked.inverted {
            " icmp !type"
        } else {
            " icmptype"
        };
        let _ = write!(out, "{word} {kind}");
        let _ = match (low, high) {
            (0, 255) => Ok(()),
            (low, high) if low == high => write!(out, " code {low}"),
            (low, high) => write!(out, " codes {low}-{high}"),
        };
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_protocol(scope, "icmp match", protocol::ICMP)
    }
}

/// ` icmptype 8 code 0`, ` icmp !type 3 codes 0-4`, ` icmp echo-request`; old tools printed ` icmp type 8`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        let mut options = Options::default();
        let mut inverted = false;
        if it.word("icmptype").is_none() {
            it.word("icmp")?;
            let word = it.take()?;
            if word != "type" && word != "!type" {
                options.push_unless(word, TYPE.name());
                return Some(options);
            }
            inverted = word == "!type";
        }
        let mut kind = it.take()?.to_owned();
        if it.word("code").is_some() {
            kind = format!("{kind}/{}", it.take()?);
        } else if it.word("codes").is_some() {
            kind = format!("{kind}/{}", it.take()?.replace('-', ":"));
        }
        options.push(inverted, TYPE.name(), &kind);
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("-p icmp", "--icmp-type 8", "--icmp-type 8", "icmptype 8").named("icmp echo-request"),
        taken("-p icmp", "--icmp-type 3/4", "--icmp-type 3/4", "icmptype 3 code 4").named("icmp fragmentation-needed"),
        taken("-p icmp", "--icmp-type ping", "--icmp-type 8", "icmptype 8").named("icmp echo-request"),
        taken("-p icmp", "--icmp-type any", "--icmp-type any", "icmptype 255").named("icmp any"),
        taken("-p icmp", "! --icmp-type any", "! --icmp-type any", "icmp !type 255").named("icmp !any"),
        taken("-p icmp", "! --icmp-type 8", "! --icmp-type 8", "icmp !type 8").named("icmp !echo-request"),
        taken("-p icmp", "--icmp-type 255", "--icmp-type any", "icmptype 255").named("icmp any"),
        taken("-p icmp", "--icmp-type 0x8", "--icmp-type 8", "icmptype 8").named("icmp echo-request"),
        taken("-p icmp", "--icmp-type 8/0", "--icmp-type 8/0", "icmptype 8 code 0"),
        taken(
            "-p icmp",
            "! --icmp-type 3/77",
            "! --icmp-type 3/77",
            "icmp !type 3 code 77",
        ),
        taken("-p icmp", "--icmp-type i", "--icmp-type 12/0", "icmptype 12 code 0").named("icmp ip-header-bad"),
        taken("-p icmp", "--icmp-type 13", "--icmp-type 13", "icmptype 13").named("icmp timestamp-request"),
        taken(
            "-p icmp",
            "! --icmp-type 3/4:5",
            "! --icmp-type 3/4",
            "icmp !type 3 codes 4-5",
        )
        .lossy(),
        // A code beside 255 is lost on the way.
        taken("-p icmp", "--icmp-type 255/3", "--icmp-type any", "icmptype 255 code 3").lossy(),
    ],
    refused: &[
        refused("-p icmp", "", "icmp: option \"--icmp-type\" must be specified\n"),
        refused("-p icmp", "--icmp-type 256", "Unknown ICMP type `256'"),
        refused("-p icmp", "--icmp-type 3/256", "Unknown ICMP code `3/256'"),
        refused("-p icmp", "--icmp-type 3/", "Unknown ICMP code `3/'"),
        refused("-p icmp", "--icmp-type x/4-5", "Unknown ICMP type `x/4-5'"),
        refused("-p icmp", "--icmp-type /4", "Unknown ICMP type `/4'"),
        refused("-p icmp", "--icmp-type 3/0-4", "unknown character -"),
        refused("-p icmp", "--icmp-type 3/4/5", "unknown character /"),
        refused("-p icmp", "--icmp-type 3x", "unknown character x"),
        refused("-p icmp", "--icmp-type 1:x", "Unknown ICMP type `1:x'"),
        refused("-p icmp", "--icmp-type 1:2", "ICMP type range not supported"),
        refused("-p icmp", "--icmp-type 3/4:", "Unknown ICMP code `3/4:'"),
        refused("-p icmp", "--icmp-type 3/4:5:6", "unknown character :"),
        refused(
            "-p icmp",
            "--icmp-type \"\"",
            "Ambiguous ICMP type `': `any' or `echo-reply'?",
        ),
        refused(
            "-p icmp",
            "--icmp-type echo",
            "Ambiguous ICMP type `echo': `echo-reply' or `echo-request'?",
        ),
        refused(
            "-p icmp",
            "--icmp-type po",
            "Ambiguous ICMP type `po': `pong' or `port-unreachable'?",
        ),
        refused(
            "-p icmp",
            "--icmp-type 8 --icmp-type 0",
            "icmp: option \"--icmp-type\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes(
            "-p icmp",
            "--icmp-type 8",
            "icmp 10.0.0.2 > 192.0.2.9 echo-request id 1 seq 1",
        ),
        passes(
            "-p icmp",
            "--icmp-type any",
            "icmp 10.0.0.2 > 192.0.2.9 echo-request id 1 seq 1",
        ),
        passes(
            "-p icmp",
            "--icmp-type 255/3",
            "icmp 10.0.0.2 > 192.0.2.9 echo-request id 1 seq 1",
        ),
        fails(
            "-p icmp",
            "--icmp-type 0",
            "icmp 10.0.0.2 > 192.0.2.9 echo-request id 1 seq 1",
            "--icmp-type 0: packet has 8/0",
        ),
        fails(
            "-p icmp",
            "! --icmp-type 8",
            "icmp 10.0.0.2 > 192.0.2.9 echo-request id 1 seq 1",
            "! --icmp-type 8: packet has 8/0",
        ),
        fails(
            "-p icmp",
            "--icmp-type 8",
            "hex 4500001c000100014001aed40a000002c00002090808080808080808",
            "icmp: packet is a later fragment without an ICMP header",
        ),
    ],
    spellings: &[
        "-p icmp --icmp-type 8",
        "-p icmp --icmp-type echo-request",
        "-p icmp --icmp-type ping",
        "-p icmp --icmp-type 8/0",
        "-p icmp --icmp-type any",
        "-p icmp",
        "-p icmp -m icmp --icmp-type 255",
        "-p icmp -m icmp",
        "-p icmp --icmp-type 3/3",
        "-p icmp --icmp-type port-unreachable",
        "-p icmp ! --icmp-type 8",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 50,
    |draw| {
        let named = draw.pick(NAMES).0;
        let number = draw.pick(&["8", "8/0", "8/0:1", "0", "255", "3", "3/3", "3/0:3", "3/4", "0x0b/0"]);
        // Those that hosts send most.
        let common = draw.pick(&["echo-request", "ping", "echo-reply", "any", "destination-unreachable"]);
        let asked = draw.pick(&[named, named, named, number, number, common]);
        draw.give(&TYPE.spec, asked);
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{Bench, ICMP, UDP, ip, match_packets, match_places};
    use crate::rule::{Hook, Table};
    use crate::wire::icmpv4;

    #[test]
    fn needs_its_protocol() {
        let other = "x_tables: ip_tables: icmp match: only valid for protocol 1";
        for (p, said) in [(ICMP, ""), (UDP, other)] {
            match_places(&SPEC, p, "--icmp-type 8", &[(Table::Filter, &[Hook::Input], said)]);
        }
    }

    #[test]
    fn packets() {
        let bench = Bench::new();
        let echo = ip(protocol::ICMP, 0, &icmpv4::emit(8, 0, 0, &[]));
        let needed = ip(protocol::ICMP, 0, &icmpv4::emit(3, 4, 1400, &[0; 28]));
        let cut = ip(protocol::ICMP, 0, &[8, 0, 0, 0, 0, 0, 0]);
        let later = ip(protocol::ICMP, 1, &[8; 8]);
        match_packets(
            &SPEC,
            ICMP,
            &bench,
            &[
                ("--icmp-type 8", &echo, ""),
                ("--icmp-type any", &echo, ""),
                ("--icmp-type 255/3", &echo, ""),
                ("--icmp-type 0", &echo, "--icmp-type 0: packet has 8/0"),
                ("! --icmp-type 8", &echo, "! --icmp-type 8: packet has 8/0"),
                ("--icmp-type 3", &needed, ""),
                ("--icmp-type 3/3", &needed, "--icmp-type 3/3: packet has 3/4"),
                (
                    "--icmp-type 8",
                    &later,
                    "icmp: packet is a later fragment without an ICMP header",
                ),
                ("--icmp-type 8", &cut, "icmp: packet's ICMP header is cut short"),
            ],
        );
    }
}
