//! The authentication header of IPsec, for `-m ah` of either family: in IPv4 it is a protocol, in IPv6 an extension header, of which more is asked.

use std::fmt::Write;
use std::sync::Arc;

use super::extension::{self, Miss};
use super::header::{self, header};
use super::numbers::{self, AskedNumbers, Numbers, numbers};
use crate::base::{Family, protocol};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, UsageError};
use crate::ext::place::only_protocol;
use crate::rule::{Condition, Context, Effect, Ends, HangsOn, Lowered, Match, Matched, Refusal, Scope};
use crate::wire::{be16, be32};

pub(super) const NAME: &str = "ah";

pub(super) const SPI: Numbers = Numbers {
    option: numbers("ahspi", "the security parameters index lies in the range"),
    listed: "spi",
};
/// In IPv6 only, as what follows.
pub(super) const LENGTH: Opt<u64> = Opt::integer(
    "ahlen",
    0,
    u32::MAX as u64,
    "the header's length in bytes; 0 is any, also behind !",
)
.invertible();
pub(super) const RESERVED: Opt<()> = Opt::flag("ahres", "the reserved bytes are 0");

pub(super) fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let says_nothing = Asked {
        value: 0,
        inverted: false,
    };
    Ok(Arc::new(Ah {
        family: given.family,
        // All of them, unless turned round, is what the tool has where nothing was said, and so is a length of 0.
        spi: given.get(SPI.option).filter(numbers::is_something),
        length: given.get(LENGTH).filter(|it| *it != says_nothing),
        reserved: given.has(RESERVED),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Ah {
    family: Family,
    spi: AskedNumbers,
    length: Option<Asked<u64>>,
    reserved: bool,
}

/// The first option that a header failed.
enum Failed {
    Spi(u32),
    Length(usize),
    Reserved,
}

impl Ah {
    fn check(&self, cx: &Context<'_>) -> Result<(), Miss<Failed>> {
        let found = match self.family {
            Family::V4 => {
                header(cx.packet, |bytes| (bytes.len() >= HEADER).then_some(bytes)).map_err(|miss| match miss {
                    header::Miss::CutShort => Miss::CutShort,
                    header::Miss::LaterFragment => Miss::Absent,
                    header::Miss::Has(failed) => Miss::Has(failed),
                })?
            }
            Family::V6 => extension::whole(cx.packet, protocol::AH, HEADER)?,
        };
        let spi = be32(found, 4);
        if !numbers::fits(self.spi, spi) {
            return Err(Miss::Has(Failed::Spi(spi)));
        }
        let length = extension::length(protocol::AH, found).unwrap_or_default();
        let is_asked = |it: &Asked<u64>| it.value != 0;
        if self
            .length
            .filter(is_asked)
            .is_some_and(|it| !it.fits(it.value == length as u64))
        {
            return Err(Miss::Has(Failed::Length(length)));
        }
        if self.reserved && be16(found, 2) != 0 {
            return Err(Miss::Has(Failed::Reserved));
        }
        Ok(())
    }
}

/// Without what it vouches with.
const HEADER: usize = 12;

impl Match for Ah {
    fn name(&self) -> &'static str {
        NAME
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.check(cx).into()
    }

    fn lower(&self) -> Lowered {
        match self.family {
            Family::V4 => Lowered::at_least(vec![Condition::Header(HEADER as u8)]),
            Family::V6 => Lowered::unknown(),
        }
    }

    fn effect(&self) -> Effect {
        // A plain packet has no extension header, and so one answer.
        Effect::PURE.hanging_on(HangsOn::Plain).ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        match self.check(cx) {
            Ok(()) => "ah: matches".to_owned(),
            Err(Miss::Absent) => "ah: packet has no authentication header".to_owned(),
            Err(Miss::CutShort) => "ah: packet's headers are cut short".to_owned(),
            Err(Miss::Has(Failed::Spi(spi))) => SPI.sentence(self.spi, spi),
            Err(Miss::Has(Failed::Length(length))) => {
                let Asked { value, inverted } = self.length.unwrap_or_default();
                format!("{} {value}: packet has {length}", LENGTH.spelled(inverted))
            }
            Err(Miss::Has(Failed::Reserved)) => format!("{}: packet has reserved bits", RESERVED.spelled(false)),
        }
    }

    fn save(&self, out: &mut String) {
        SPI.save(out, self.spi);
        if let Some(Asked { value, inverted }) = self.length {
            let _ = write!(out, " {} {value}", LENGTH.spelled(inverted));
        }
        if self.reserved {
            let _ = write!(out, " {}", RESERVED.spelled(false));
        }
    }

    /// With a blank behind its name, and none between index and length.
    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" ah ");
        SPI.list(out, self.spi);
        if let Some(Asked { value, inverted }) = self.length {
            let _ = write!(out, "length:{}{value}", if inverted { "!" } else { "" });
        }
        if self.reserved {
            out.push_str(" reserved");
        }
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        match self.family {
            Family::V4 => only_protocol(scope, "ah match", protocol::AH),
            Family::V6 => Ok(()),
        }
    }
}

/// ` ah spi:5`, ` ah spis:!1:5length:24 reserved`.
pub(super) fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word(NAME)?;
        it.rest = it.rest.strip_prefix(' ').unwrap_or(it.rest);
        let mut options = Options::default();
        // Without the blank before it, it is the match's own.
        if !it.rest.starts_with(' ')
            && let Some(word) = it.peek()
        {
            let (spi, length) = match word.split_once("length:") {
                Some((spi, length)) => (spi, Some(length)),
                None => (word, None),
            };
            let is_spi = SPI.unlist(spi, &mut options).is_some();
            if let Some(length) = length {
                options.push_unless(length, LENGTH.name());
            }
            if is_spi || length.is_some() {
                it.take();
            }
        }
        if it.word("reserved").is_some() {
            options.push(false, RESERVED.name(), "");
        }
        Some(options)
    })
}
