//! `-m rt`: the routing header of IPv6.

use std::fmt::Write;
use std::net::Ipv6Addr;
use std::sync::Arc;

use super::extension::{self, Miss};
use super::numbers::{self, AskedNumbers, Numbers, numbers};
use crate::base::{Family, write_address};
use crate::ext::MatchSpec;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::rule::{Context, Effect, Ends, HangsOn, Match, Matched};
use crate::wire::{be32, ipv6};

mod samples;

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "rt",
    aliases: &[],
    families: &[Family::V6],
    like: None,
    protocol: None,
    options: &[
        TYPE.spec,
        LEFT.option.spec,
        LENGTH.spec,
        RESERVED.spec,
        ADDRESSES.spec,
        NOT_STRICT.spec,
    ],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "the routing header of IPv6",
    samples: samples::SAMPLES,
};

const TYPE: Opt<u64> = Opt::integer("rt-type", 0, u32::MAX as u64, "the header's type").invertible();
const LEFT: Numbers = Numbers {
    option: numbers("rt-segsleft", "so many segments are left"),
    listed: "segsleft",
};
const LENGTH: Opt<u64> = Opt::integer("rt-len", 0, u32::MAX as u64, "the header's length in bytes").invertible();
const RESERVED: Opt<()> = Opt::flag("rt-0-res", "of type 0: the reserved bytes are 0")
    .only_where(is_of_type_0, "`--rt-type 0' required before `--rt-0-res'");
const ADDRESSES: Opt<Addresses> = Opt::own(
    "rt-0-addrs",
    "ADDRESS[,...]",
    &Read(|text, _| addresses(text)),
    "of type 0: these are all its addresses, at most 16",
)
.only_where(is_of_type_0, "`--rt-type 0' required before `--rt-0-addrs'");
const NOT_STRICT: Opt<()> = Opt::flag(
    "rt-0-not-strict",
    "of type 0: the addresses are among its addresses, in this order",
)
.behind(ADDRESSES, "`--rt-0-addr ...' required before `--rt-0-not-strict'");

fn is_of_type_0(given: &Given<'_>) -> bool {
    given.get(TYPE)
        == Some(Asked {
            value: 0,
            inverted: false,
        })
}

type Addresses = Arc<[Ipv6Addr]>;

fn addresses(text: &str) -> Result<Addresses, UsageError> {
    let mut found = Vec::new();
    for part in text.split(',') {
        if found.len() == MOST_ADDRESSES {
            return Err(UsageError::parameter("too many addresses specified"));
        }
        let address = part.parse::<Ipv6Addr>();
        found.push(address.map_err(|_| UsageError::parameter(format!("bad address: {part}")))?);
    }
    Ok(found.into())
}

const MOST_ADDRESSES: usize = 16;

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(Rt {
        kind: given.get(TYPE),
        left: given.get(LEFT.option),
        length: given.get(LENGTH),
        reserved: given.has(RESERVED),
        addresses: given.value(ADDRESSES),
        not_strict: given.has(NOT_STRICT),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Rt {
    kind: Option<Asked<u64>>,
    left: AskedNumbers,
    length: Option<Asked<u64>>,
    reserved: bool,
    addresses: Option<Addresses>,
    not_strict: bool,
}

/// The first option that a header failed.
enum Failed {
    Left(u8),
    Length(usize),
    Type(u8),
    Reserved,
    Addresses,
}

impl Rt {
    fn check(&self, cx: &Context<'_>) -> Result<(), Miss<Failed>> {
        let number = ipv6::extension::ROUTING;
        let header = extension::whole(cx.packet, number, 4)?;
        let length = extension::length(number, header).unwrap_or_default();
        let failed = |failed| Err(Miss::Has(failed));
        let (kind, left) = (header[2], header[3]);
        if !numbers::fits(self.left, left.into()) {
            return failed(Failed::Left(left));
        }
        if self.length.is_some_and(|it| !it.fits(it.value == length as u64)) {
            return failed(Failed::Length(length));
        }
        if self.kind.is_some_and(|it| !it.fits(it.value == u64::from(kind))) {
            return failed(Failed::Type(kind));
        }
        if self.reserved && be32(header, 4) != 0 {
            return failed(Failed::Reserved);
        }
        let has = header[8..length].as_chunks::<16>().0.iter();
        let mut has = has.map(|octets| Ipv6Addr::from(*octets));
        let fits = match &self.addresses {
            None => true,
            Some(asked) if self.not_strict => asked.iter().all(|asked| has.any(|has| has == *asked)),
            Some(asked) => has.eq(asked.iter().copied()),
        };
        match fits {
            true => Ok(()),
            false => failed(Failed::Addresses),
        }
    }
}

impl Match for Rt {
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
        let sentence = |option: Opt<u64>, asked: Option<Asked<u64>>, has: usize| {
            let Asked { value, inverted } = asked.unwrap_or_default();
            format!("{} {value}: packet has {has}", option.spelled(inverted))
        };
        match self.check(cx) {
            Ok(()) => "rt: matches".to_owned(),
            Err(Miss::Absent) => "rt: packet has no routing header".to_owned(),
            Err(Miss::CutShort) => "rt: packet's headers are cut short".to_owned(),
            Err(Miss::Has(Failed::Left(left))) => LEFT.sentence(self.left, left.into()),
            Err(Miss::Has(Failed::Length(length))) => sentence(LENGTH, self.length, length),
            Err(Miss::Has(Failed::Type(kind))) => sentence(TYPE, self.kind, kind.into()),
            Err(Miss::Has(Failed::Reserved)) => format!("{}: packet has reserved bits", RESERVED.spelled(false)),
            Err(Miss::Has(Failed::Addresses)) => {
                let mut asked = String::new();
                self.save_addresses(&mut asked);
                format!("{}: packet has others", asked.trim_start())
            }
        }
    }

    fn save(&self, out: &mut String) {
        if let Some(Asked { value, inverted }) = self.kind {
            let _ = write!(out, " {} {value}", TYPE.spelled(inverted));
        }
        LEFT.save(out, self.left);
        if let Some(Asked { value, inverted }) = self.length {
            let _ = write!(out, " {} {value}", LENGTH.spelled(inverted));
        }
        if self.reserved {
            let _ = write!(out, " {}", RESERVED.spelled(false));
        }
        self.save_addresses(out);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let bang = |inverted| if inverted { "!" } else { "" };
        out.push_str(" rt");
        if let Some(Asked { value, inverted }) = self.kind {
            let _ = write!(out, " type:{}{}", bang(inverted), value as i32);
        }
        if self.left.is_some() {
            let mut left = String::from(" ");
            LEFT.list(&mut left, self.left);
            out.push_str(left.trim_end());
        }
        if let Some(Asked { value, inverted }) = self.length {
            let _ = write!(out, " length:{}{value}", bang(inverted));
        }
        if self.reserved {
            out.push_str(" reserved");
        }
        if let Some(addresses) = &self.addresses {
            out.push_str(" 0-addrs ");
            write_addresses(out, addresses);
        }
        if self.not_strict {
            out.push_str(" 0-not-strict");
        }
    }
}

impl Rt {
    fn save_addresses(&self, out: &mut String) {
        if let Some(addresses) = &self.addresses {
            let _ = write!(out, " {} ", ADDRESSES.spelled(false));
            write_addresses(out, addresses);
        }
        if self.not_strict {
            let _ = write!(out, " {}", NOT_STRICT.spelled(false));
        }
    }
}

fn write_addresses(out: &mut String, addresses: &[Ipv6Addr]) {
    for (at, address) in addresses.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_address(out, (*address).into());
    }
}

/// ` rt type:0 segsleft:1 length:40 reserved 0-addrs ::1,::2 0-not-strict`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("rt")?;
        let mut options = Options::default();
        if let Some(value) = it.after("type:") {
            let (inverted, value) = match value.strip_prefix('!') {
                Some(value) => (true, value),
                None => (false, value),
            };
            let kind = value.parse::<i32>().ok()? as u32;
            options.push(inverted, TYPE.name(), &kind.to_string());
        }
        if let Some(word) = it.peek()
            && LEFT.unlist(word, &mut options).is_some()
        {
            it.take();
        }
        if let Some(value) = it.after("length:") {
            options.push_unless(value, LENGTH.name());
        }
        if it.word("reserved").is_some() {
            options.push(false, RESERVED.name(), "");
        }
        if it.word("0-addrs").is_some() {
            options.push(false, ADDRESSES.name(), it.take()?);
        }
        if it.word("0-not-strict").is_some() {
            options.push(false, NOT_STRICT.name(), "");
        }
        Some(options)
    })
}
