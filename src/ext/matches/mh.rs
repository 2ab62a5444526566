//! `-m mh`: the type of a message of Mobile IPv6.

use std::fmt::Write;
use std::sync::Arc;

use super::header::{Miss, header};
use crate::base::{Family, protocol};
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::whole_number;
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::place::only_protocol;
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::rule::{Context, Effect, Ends, HangsOn, Match, Matched, Refusal, Scope};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "mh",
    aliases: &[],
    families: &[Family::V6],
    like: None,
    protocol: Some(protocol::MOBILITY),
    options: &[TYPE.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "the type of a message of Mobile IPv6",
    samples: SAMPLES,
};

const TYPE: Opt<Types> = Opt::own(
    "mh-type",
    "TYPE[:TYPE]",
    &Read(|text, _| types(text)),
    "the message has one of these types, by number or name; both ends belong to them",
)
.invertible()
.knowing(names);

fn names() -> String {
    let names = NAMES.iter().map(|(name, short)| format!("  {name} ({short})\n"));
    format!("Valid MH types:\n{}", names.collect::<String>())
}

/// By their number.
const NAMES: [(&str, &str); 8] = [
    ("binding-refresh-request", "brr"),
    ("home-test-init", "hoti"),
    ("careof-test-init", "coti"),
    ("home-test", "hot"),
    ("careof-test", "cot"),
    ("binding-update", "bu"),
    ("binding-acknowledgement", "ba"),
    ("binding-error", "be"),
];

/// Both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Types {
    low: u8,
    high: u8,
}

const ANY: Types = Types { low: 0, high: 255 };

fn types(text: &str) -> Result<Types, UsageError> {
    let Some((low, high)) = text.split_once(':') else {
        let one = kind(text)?;
        return Ok(Types { low: one, high: one });
    };
    let low = if low.is_empty() { 0 } else { kind(low)? };
    let high = if high.is_empty() { 255 } else { kind(high)? };
    if low > high {
        return Err(UsageError::parameter("Invalid MH type range (min > max)"));
    }
    Ok(Types { low, high })
}

/// A name may be cut short, even to nothing: of several the first is meant, unless one is what was typed.
fn kind(text: &str) -> Result<u8, UsageError> {
    let names = || {
        (0..)
            .zip(NAMES)
            .flat_map(|(kind, (name, short))| [(kind, name), (kind, short)])
    };
    let begins = |name: &str| name.get(..text.len()).is_some_and(|it| it.eq_ignore_ascii_case(text));
    let whole = names().find(|(_, name)| name.eq_ignore_ascii_case(text));
    let named = whole.or_else(|| names().find(|(_, name)| begins(name)));
    let number = || u8::try_from(whole_number(text)?).ok();
    let found = named.map(|(kind, _)| kind).or_else(number);
    found.ok_or_else(|| UsageError::parameter(format!("Invalid MH type `{text}'")))
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let any = Asked {
        value: ANY,
        inverted: false,
    };
    let asked = given.get(TYPE).unwrap_or(any);
    Ok(Arc::new(Mh { asked }))
}

#[derive(Debug, PartialEq, Eq)]
struct Mh {
    asked: Asked<Types>,
}

/// What of a message is not as was asked.
enum Failed {
    Type(u8),
}

impl Mh {
    fn check(&self, cx: &Context<'_>) -> Result<(), Miss<Failed>> {
        // What names another header behind it is as broken as what is cut short.
        let message = header(cx.packet, |bytes| {
            bytes.first_chunk::<HEADER>().filter(|it| it[0] == NO_NEXT_HEADER)
        })?;
        let kind = message[2];
        let Types { low, high } = self.asked.value;
        match self.asked.fits((low..=high).contains(&kind)) {
            true => Ok(()),
            false => Err(Miss::Has(Failed::Type(kind))),
        }
    }
}

/// The kernel asks for so many bytes, not for the eight that each message has.
const HEADER: usize = 6;
const NO_NEXT_HEADER: u8 = 59;

impl Match for Mh {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.check(cx).into()
    }

    fn effect(&self) -> Effect {
        // A plain packet has no extension header, and so one answer.
        Effect::PURE.hanging_on(HangsOn::Plain).ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        match self.check(cx) {
            Ok(()) => "mh: matches".to_owned(),
            Err(Miss::LaterFragment) => "mh: packet is a later fragment without a mobility header".to_owned(),
            Err(Miss::CutShort) => "mh: packet's mobility header is cut short, or names another behind it".to_owned(),
            Err(Miss::Has(Failed::Type(kind))) => {
                let Asked { value, inverted } = self.asked;
                let asked = written(value, |kind| kind.to_string());
                format!("{} {asked}: packet has {kind}", TYPE.spelled(inverted))
            }
        }
    }

    fn save(&self, out: &mut String) {
        let Asked { value, inverted } = self.asked;
        if value != ANY {
            let asked = written(value, |kind| kind.to_string());
            let _ = write!(out, " {} {asked}", TYPE.spelled(inverted));
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let Asked { value, inverted } = self.asked;
        out.push_str(" mh");
        if value == ANY && !inverted {
            return;
        }
        let name = |kind: u8| match NAMES.get(usize::from(kind)) {
            Some((name, _)) if !numeric => (*name).to_owned(),
            _ => kind.to_string(),
        };
        let _ = write!(out, " {}{}", if inverted { "!" } else { "" }, written(value, name));
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_protocol(scope, "mh match", protocol::MOBILITY)
    }
}

fn written(Types { low, high }: Types, name: impl Fn(u8) -> String) -> String {
    match low == high {
        true => name(low),
        false => format!("{}:{}", name(low), name(high)),
    }
}

/// ` mh`, ` mh !1:3`, ` mh home-test-init:home-test`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("mh")?;
        let mut options = Options::default();
        // What stands there may be another extension's: a type is printed whole.
        let is_end = |text: &str| text.parse::<u8>().is_ok() || NAMES.iter().any(|(name, _)| *name == text);
        let is_asked = |word: &&str| word.strip_prefix('!').unwrap_or(word).split(':').all(is_end);
        if let Some(word) = it.peek().filter(is_asked) {
            it.take();
            options.push_unless(word, TYPE.name());
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("-p mh", "", "", "mh"),
        taken("-p mh", "--mh-type 1", "--mh-type 1", "mh 1").named("mh home-test-init"),
        taken("-p mh", "! --mh-type 1", "! --mh-type 1", "mh !1").named("mh !home-test-init"),
        taken("-p mh", "--mh-type 1:3", "--mh-type 1:3", "mh 1:3").named("mh home-test-init:home-test"),
        taken("-p mh", "! --mh-type 1:3", "! --mh-type 1:3", "mh !1:3").named("mh !home-test-init:home-test"),
        taken("-p mh", "--mh-type :", "", "mh"),
        // An inversion of everything is listed, but not saved.
        taken("-p mh", "! --mh-type :", "", "mh !0:255")
            .named("mh !binding-refresh-request:255")
            .lossy(),
        taken("-p mh", "--mh-type 5:", "--mh-type 5:255", "mh 5:255").named("mh binding-update:255"),
        taken("-p mh", "--mh-type :5", "--mh-type 0:5", "mh 0:5").named("mh binding-refresh-request:binding-update"),
        taken("-p mh", "--mh-type 5:5", "--mh-type 5", "mh 5").named("mh binding-update"),
        taken("-p mh", "--mh-type 255", "--mh-type 255", "mh 255"),
        taken("-p mh", "--mh-type 0", "--mh-type 0", "mh 0").named("mh binding-refresh-request"),
        taken("-p mh", "--mh-type 0x3", "--mh-type 3", "mh 3").named("mh home-test"),
        taken("-p mh", "--mh-type \"\"", "--mh-type 0", "mh 0").named("mh binding-refresh-request"),
        taken("-p mh", "--mh-type brr", "--mh-type 0", "mh 0").named("mh binding-refresh-request"),
        taken("-p mh", "--mh-type binding-refresh-request", "--mh-type 0", "mh 0").named("mh binding-refresh-request"),
        taken("-p mh", "--mh-type hoti", "--mh-type 1", "mh 1").named("mh home-test-init"),
        taken("-p mh", "--mh-type ho", "--mh-type 1", "mh 1").named("mh home-test-init"),
        taken("-p mh", "--mh-type home-test", "--mh-type 3", "mh 3").named("mh home-test"),
        taken("-p mh", "--mh-type binding", "--mh-type 0", "mh 0").named("mh binding-refresh-request"),
        taken("-p mh", "--mh-type binding-u", "--mh-type 5", "mh 5").named("mh binding-update"),
        taken("-p mh", "--mh-type cot:be", "--mh-type 4:7", "mh 4:7").named("mh careof-test:binding-error"),
        taken("-p mh", "--mh-type BRR", "--mh-type 0", "mh 0").named("mh binding-refresh-request"),
        taken("-p mh", "--mh-type 0:bu", "--mh-type 0:5", "mh 0:5").named("mh binding-refresh-request:binding-update"),
        taken("-p mh", "--mh-type 7", "--mh-type 7", "mh 7").named("mh binding-error"),
        taken("-p mh", "--mh-type 8", "--mh-type 8", "mh 8"),
        taken("-p mh", "--mh-type 7:9", "--mh-type 7:9", "mh 7:9").named("mh binding-error:9"),
        taken("-p mh", "--mh-type 6:7", "--mh-type 6:7", "mh 6:7").named("mh binding-acknowledgement:binding-error"),
        taken("-p mh", "--mh-type +1", "--mh-type 1", "mh 1").named("mh home-test-init"),
        taken("-p mh", "--mh-type b", "--mh-type 0", "mh 0").named("mh binding-refresh-request"),
        taken("-p mh", "--mh-type c", "--mh-type 2", "mh 2").named("mh careof-test-init"),
        taken("-p mh", "--mh-type co", "--mh-type 2", "mh 2").named("mh careof-test-init"),
        taken("-p mh", "--mh-type h", "--mh-type 1", "mh 1").named("mh home-test-init"),
        taken("-p mh", "--mh-type 1:be", "--mh-type 1:7", "mh 1:7").named("mh home-test-init:binding-error"),
        taken("-p mh", "--mh-type Home-Test", "--mh-type 3", "mh 3").named("mh home-test"),
    ],
    refused: &[
        refused("-p mh", "--mh-type 3:1", "Invalid MH type range (min > max)"),
        refused("-p mh", "--mh-type 256", "Invalid MH type `256'"),
        refused("-p mh", "--mh-type x", "Invalid MH type `x'"),
        refused("-p mh", "--mh-type -1", "Invalid MH type `-1'"),
        refused(
            "-p mh",
            "--mh-type 1 --mh-type 2",
            "mh: option \"--mh-type\" can only be used once.\n",
        ),
        refused("-p mh", "--mh-type be:brr", "Invalid MH type range (min > max)"),
        refused("-p mh", "--mh-type 1:2:3", "Invalid MH type `2:3'"),
        refused("-p mh", "--mh-type 1/2", "Invalid MH type `1/2'"),
        refused("-p mh", "--mh-type \"1 \"", "Invalid MH type `1 '"),
        refused(
            "-p mh",
            "--mh-type \"binding-update \"",
            "Invalid MH type `binding-update '",
        ),
        refused("-p mh", "--mh-type x:1", "Invalid MH type `x'"),
        refused("-p mh", "--mh-type 1:x", "Invalid MH type `x'"),
    ],
    packets: &[
        passes(
            "-p mh",
            "",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 135 data 0x3b00010000000000",
        ),
        passes(
            "-p mh",
            "--mh-type 1",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 135 data 0x3b00010000000000",
        ),
        passes(
            "-p mh",
            "! --mh-type 1",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 135 data 0x3b00070000000000",
        ),
        passes(
            "-p mh",
            "--mh-type 1:7",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 135 data 0x3b00070000000000",
        ),
        passes(
            "-p mh",
            "--mh-type :",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 135 data 0x3b00070000000000",
        ),
        passes(
            "-p mh",
            "--mh-type 1",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 135 data 0x3b0001000000",
        ),
        passes(
            "-p mh",
            "--mh-type 1",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 135 data 0x3b00010000000000 dstopt",
        ),
        fails(
            "-p mh",
            "--mh-type 2:5",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 135 data 0x3b00010000000000",
            "--mh-type 2:5: packet has 1",
        ),
        fails(
            "-p mh",
            "! --mh-type 1",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 135 data 0x3b00010000000000",
            "! --mh-type 1: packet has 1",
        ),
        fails(
            "-p mh",
            "! --mh-type :",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 135 data 0x3b00070000000000",
            "! --mh-type 0:255: packet has 7",
        ),
        fails(
            "-p mh",
            "--mh-type 1",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 135 data 0x3b00010000",
            "mh: packet's mobility header is cut short, or names another behind it",
        ),
        fails(
            "-p mh",
            "--mh-type 1",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 135 data 0x1100010000000000",
            "mh: packet's mobility header is cut short, or names another behind it",
        ),
        fails(
            "-p mh",
            "--mh-type 1",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 135 data 0x00000000000000003b00010000000000 frag 8",
            "mh: packet is a later fragment without a mobility header",
        ),
    ],
    spellings: &[
        "-p mh -m mh",
        "-p mh -m mh --mh-type 0",
        "-p mh -m mh --mh-type brr",
        "-p mh -m mh ! --mh-type brr",
        "-p mh -m mh --mh-type :",
        "-p mh -m mh ! --mh-type :",
        "-p mh -m mh --mh-type 0:0",
        "-p mh -m mh --mh-type 1",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 50,
    |draw| {
        draw.maybe(
            2,
            &TYPE.spec,
            &["0", "1", "brr", "1:3", "binding-update", ":", "8:", "coti:be"],
        );
    },
);
