//! The two headers of IPv6 that carry options, for `-m hbh` and `-m dst`: one match with words for each.

use std::fmt::{self, Write};
use std::sync::Arc;

use super::extension::{self, Miss};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::strtoul;
use crate::ext::option::{Asked, Given, Opt, UsageError};
use crate::rule::{Context, Effect, Ends, HangsOn, Match, Matched};
use crate::wire::ipv6::extension::{DESTINATION, HOP_BY_HOP};

/// What each match calls it.
#[derive(Debug)]
pub(super) struct Words {
    pub name: &'static str,
    /// In sentences.
    pub header: &'static str,
    pub length: Opt<u64>,
    pub options: Opt<OptionList>,
    /// Of a length for an option that has none.
    pub no_length: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    HopByHop,
    Destination,
}

impl Header {
    const fn words(self) -> &'static Words {
        match self {
            Self::HopByHop => &super::hbh::WORDS,
            Self::Destination => &super::dst::WORDS,
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::HopByHop => HOP_BY_HOP,
            Self::Destination => DESTINATION,
        }
    }
}

/// The first options of the header, in this order and with nothing between them.
pub(super) type OptionList = Arc<[Wanted]>;

/// The type of an option, and how many bytes of data it has, if that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    kind: u8,
    length: Option<u8>,
}

/// `TYPE[:LENGTH],...`. Of each number the lowest eight bits count; a length of 255 is as none.
pub(super) fn option_list(header: Header, text: &str) -> Result<OptionList, UsageError> {
    let mut found = Vec::new();
    for part in text.split(',') {
        if found.len() == MOST_OPTIONS {
            return Err(UsageError::parameter("too many addresses specified"));
        }
        let (kind, length) = match part.split_once(':') {
            Some((kind, length)) => (kind, Some(length)),
            None => (part, None),
        };
        // The real one has no length for the last option it has room for.
        if length.is_some() && found.len() == MOST_OPTIONS - 1 {
            return Err(UsageError::parameter("too many ports specified"));
        }
        let kind = byte(header, "opt", kind)?;
        if kind == PAD1 && length.is_some() {
            return Err(UsageError::parameter(header.words().no_length));
        }
        let length = length.map(|text| byte(header, "length", text)).transpose()?;
        found.push(Wanted {
            kind,
            length: length.filter(|length| *length != ANY_LENGTH),
        });
    }
    Ok(found.into())
}

fn byte(header: Header, what: &str, text: &str) -> Result<u8, UsageError> {
    let name = header.words().name;
    let digits = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let is_below = digits.starts_with('-');
    let digits = digits.strip_prefix(['-', '+']).unwrap_or(digits);
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(UsageError::parameter(format!(
            "{name}: no valid digits in {what} `{text}'"
        )));
    }
    let Some((number, rest)) = strtoul(digits, 0) else {
        return Err(UsageError::parameter(format!(
            "{what} `{text}' specified too big: would overflow"
        )));
    };
    if !rest.is_empty() {
        return Err(UsageError::parameter(format!("{name}: error parsing {what} `{text}'")));
    }
    let number = if is_below { number.wrapping_neg() } else { number };
    Ok(number as u8)
}

const MOST_OPTIONS: usize = 16;
const PAD1: u8 = 0;
const ANY_LENGTH: u8 = 255;

pub(super) fn build(header: Header, given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let words = header.words();
    Ok(Arc::new(OptionHeader {
        header,
        length: given.get(words.length),
        options: given.value(words.options),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct OptionHeader {
    header: Header,
    length: Option<Asked<u64>>,
    options: Option<OptionList>,
}

/// The first option of the rule that a header failed.
enum Failed {
    Length(usize),
    Options,
}

impl OptionHeader {
    fn check(&self, cx: &Context<'_>) -> Result<(), Miss<Failed>> {
        let number = self.header.number();
        let header = extension::whole(cx.packet, number, 2)?;
        let length = extension::length(number, header).unwrap_or_default();
        if self.length.is_some_and(|it| !it.fits(it.value == length as u64)) {
            return Err(Miss::Has(Failed::Length(length)));
        }
        let wanted = self.options.as_deref().unwrap_or_default();
        if !begins_with(wanted, &header[2..length]) {
            return Err(Miss::Has(Failed::Options));
        }
        Ok(())
    }
}

/// Whether the options of a header begin with these. The last of them may reach beyond the header.
fn begins_with(wanted: &[Wanted], options: &[u8]) -> bool {
    let mut rest = options;
    for wanted in wanted {
        let taken = match *rest {
            [kind, ..] if kind != wanted.kind => return false,
            [PAD1, ..] => 1,
            [_, length, ..] if wanted.length.is_none_or(|it| it == length) => 2 + usize::from(length),
            _ => return false,
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    true
}

impl Match for OptionHeader {
    fn name(&self) -> &'static str {
        self.header.words().name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.check(cx).into()
    }

    fn effect(&self) -> Effect {
        // A plain packet has no extension header, and so one answer.
        Effect::PURE.hanging_on(HangsOn::Plain).ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let words = self.header.words();
        match self.check(cx) {
            Ok(()) => format!("{}: matches", words.name),
            Err(Miss::Absent) => format!("{}: packet has no {}", words.name, words.header),
            Err(Miss::CutShort) => format!("{}: packet's headers are cut short", words.name),
            Err(Miss::Has(Failed::Length(length))) => {
                let Asked { value, inverted } = self.length.unwrap_or_default();
                format!("{} {value}: packet has {length}", words.length.spelled(inverted))
            }
            Err(Miss::Has(Failed::Options)) => format!(
                "{} {}: packet has others",
                words.options.spelled(false),
                List(self.options.as_deref().unwrap_or_default())
            ),
        }
    }

    fn save(&self, out: &mut String) {
        let words = self.header.words();
        if let Some(Asked { value, inverted }) = self.length {
            let _ = write!(out, " {} {value}", words.length.spelled(inverted));
        }
        if let Some(options) = &self.options {
            let _ = write!(out, " {} {}", words.options.spelled(false), List(options));
        }
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(out, " {}", self.name());
        if let Some(Asked { value, inverted }) = self.length {
            let _ = write!(out, " length:{}{value}", if inverted { "!" } else { "" });
        }
        if let Some(options) = &self.options {
            let _ = write!(out, " opts {}", List(options));
        }
    }
}

/// As they are typed.
struct List<'a>(&'a [Wanted]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Wanted { kind, length }) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{kind}")?;
            if let Some(length) = length {
                write!(f, ":{length}")?;
            }
        }
        Ok(())
    }
}

/// ` hbh length:8 opts 5:2,0`.
pub(super) fn unlist(header: Header, listed: Listed<'_>) -> Vec<Typed<'_>> {
    let words = header.words();
    listed.once(|it| {
        it.word(words.name)?;
        let mut options = Options::default();
        if let Some(value) = it.after("length:") {
            options.push_unless(value, words.length.name());
        }
        if it.word("opts").is_some() {
            options.push(false, words.options.name(), it.take()?);
        }
        Some(options)
    })
}
