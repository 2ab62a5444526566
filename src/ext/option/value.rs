//! How the kit reads the kinds of values that several extensions share.

use std::net::IpAddr;

use super::{Given, IntegerRange, OptionSpec, UsageError, Value, ValueKind};
use crate::base::bytes::{front_of, length_of};
use crate::base::{Family, MarkMask, PortRange};
use crate::ext::names;
use crate::ext::number::{inet_aton, strtoul, whole_number};

/// An address and a prefix as typed: the tool keeps the bits outside of it. Without one every bit counts, which the tool tells from a prefix of all
/// bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostMask {
    /// All of it, also the bits that the prefix leaves out.
    pub address: IpAddr,
    /// How many leading bits count; `None` where no mask was typed, and where it was no prefix.
    pub prefix: Option<u8>,
}

pub(super) fn parse(
    spec: &'static OptionSpec,
    extension: &str,
    args: &[&str],
    given: &Given<'_>,
) -> Result<Value, UsageError> {
    let name = spec.name_in_errors();
    let text = args.first().copied().unwrap_or("");
    match spec.value {
        ValueKind::Flag => Ok(Value::new(())),
        ValueKind::Text { min, max } => text_value(text, min, max),
        ValueKind::Integer { min, max } => {
            let max = spec.most_in_ipv6.filter(|_| given.family == Family::V6).unwrap_or(max);
            let number = whole_number(text).filter(|number| (min..=max).contains(number));
            number.map(Value::new).ok_or_else(|| {
                UsageError::parameter(format!(
                    "{extension}: bad value for option \"--{name}\", or out of range ({min}-{max}).\n"
                ))
            })
        }
        ValueKind::IntegerRange { max } => integer_range(text, extension, name, max).map(Value::new),
        ValueKind::MarkMask => mark_mask(text, extension, name),
        ValueKind::PortRange => port_range(text, extension, name),
        ValueKind::HostMask => host_mask(text, extension, name, given.family),
        ValueKind::Words { read, .. } | ValueKind::Own { read, .. } => read.read(text, given),
        ValueKind::Pair { read, .. } => read.read(text, args.get(1).copied(), given),
        ValueKind::Refused { .. } => Err(UsageError::parameter(format!(
            "{extension}: option \"--{name}\" is not there yet: take it out of the rule.\n"
        ))),
    }
}

fn text_value(text: &str, min: usize, max: usize) -> Result<Value, UsageError> {
    if length_of(text) < min {
        return Err(UsageError::parameter(format!(
            "Argument must have a minimum length of {min} characters\n"
        )));
    }
    Ok(Value::new(front_of(text, max)))
}

/// Both ends of `a:b`, each with its own reader; an end left out is `None`. A text without a colon is one end.
fn ends<T: Copy>(
    text: &str,
    extension: &str,
    name: &str,
    lowest: T,
    highest: T,
    mut read: impl FnMut(&str) -> Result<T, UsageError>,
) -> Result<(T, T), UsageError> {
    let mut found = [None; 2];
    let mut count = 0;
    for (index, part) in text.split(':').enumerate() {
        let Some(slot) = found.get_mut(index) else {
            return Err(UsageError::parameter(format!(
                "{extension}: Too many components for option \"--{name}\" (max: 2)\n"
            )));
        };
        if !part.is_empty() {
            *slot = Some(read(part)?);
        }
        count += 1;
    }
    Ok(if count == 1 {
        // An empty text leaves zeros behind.
        let only = found[0].unwrap_or(lowest);
        (only, only)
    } else {
        (found[0].unwrap_or(lowest), found[1].unwrap_or(highest))
    })
}

/// `number`, `number:number`, `:number`, `number:`.
pub(crate) fn integer_range(text: &str, extension: &str, name: &str, max: u64) -> Result<IntegerRange, UsageError> {
    let mut consumed = 0;
    let (low, high) = ends(text, extension, name, 0, max, |part| {
        let from = consumed + text[consumed..].find(part).unwrap_or(0);
        consumed = from + part.len();
        let Some((number, rest)) = strtoul(part, 0).filter(|&(number, _)| number <= max) else {
            return Err(UsageError::parameter(format!(
                "{extension}: bad value for option \"--{name}\" near \"{}\", or out of range (0-{max}).\n",
                &text[from..]
            )));
        };
        if !rest.is_empty() {
            let tail = &text[consumed - rest.len()..];
            return Err(UsageError::parameter(format!(
                "{extension}: Argument to \"--{name}\" has unexpected characters near \"{tail}\".\n"
            )));
        }
        Ok(number)
    })?;
    Ok(IntegerRange { low, high })
}

fn mark_mask(text: &str, extension: &str, name: &str) -> Result<Value, UsageError> {
    let number = |text| {
        strtoul(text, 0)
            .and_then(|(number, rest)| Some((u32::try_from(number).ok()?, rest)))
            .ok_or_else(|| {
                UsageError::parameter(format!(
                    "{extension}: bad integer value for option \"--{name}\", or out of range.\n"
                ))
            })
    };
    let (value, mut rest) = number(text)?;
    let mut mask = u32::MAX;
    if let Some(after) = rest.strip_prefix('/') {
        (mask, rest) = number(after)?;
    }
    if !rest.is_empty() {
        return Err(UsageError::parameter(format!(
            "{extension}: trailing garbage after value for option \"--{name}\".\n"
        )));
    }
    Ok(Value::new(MarkMask { value, mask }))
}

fn port_range(text: &str, extension: &str, name: &str) -> Result<Value, UsageError> {
    let (low, high) = ends(text, extension, name, 0, u16::MAX, |part| {
        resolved_port(part)
            .ok_or_else(|| UsageError::parameter(format!("Port \"{part}\" does not resolve to anything.\n")))
    })?;
    Ok(Value::new(PortRange { low, high }))
}

/// As getaddrinfo resolves a service: decimal only, and what exceeds 16 bits wraps without a word, below zero too (`-4294967295` is 1).
fn resolved_port(text: &str) -> Option<u16> {
    let below = text
        .trim_ascii_start()
        .strip_prefix('-')
        .filter(|digits| digits.starts_with(|first: char| first.is_ascii_digit()));
    let number = match below {
        Some(digits) => strtoul(digits, 10).map(|(number, rest)| (number.wrapping_neg(), rest)),
        None => strtoul(text, 10),
    };
    match number {
        Some((number, "")) => (number as i32 >= 0).then_some(number as u16),
        _ => names::port_of_any_protocol(text),
    }
}

fn host_mask(text: &str, extension: &str, name: &str, family: Family) -> Result<Value, UsageError> {
    let (host, mask) = match text.split_once('/') {
        Some((host, mask)) => (host, Some(mask)),
        None => (text, None),
    };
    let bits = family.bits();
    // The host is looked for before its mask is read.
    let address = address(host, family)?;
    let prefix = match mask {
        None => None,
        Some(text) => prefix(text, family).ok_or_else(|| {
            UsageError::parameter(format!(
                "{extension}: bad value for option \"--{name}\", neither a valid network mask nor valid CIDR (0-{bits}).\n"
            ))
        })?,
    };
    Ok(Value::new(HostMask { address, prefix }))
}

/// A prefix's length, or its mask in any form that an address may have. Seen: a mask that is no prefix's is the same as none, and so is what exceeds
/// the family's bits where it is an address (`33` is 0.0.0.33).
pub(crate) fn prefix(text: &str, family: Family) -> Option<Option<u8>> {
    let length = whole_number(text).and_then(|length| u8::try_from(length).ok());
    match length.filter(|length| *length <= family.bits()) {
        Some(length) => Some(Some(length)),
        None => literal(text, family).map(prefix_length),
    }
}

fn prefix_length(mask: IpAddr) -> Option<u8> {
    let (ones, zeros, bits) = match mask {
        IpAddr::V4(mask) => (mask.to_bits().leading_ones(), mask.to_bits().trailing_zeros(), 32),
        IpAddr::V6(mask) => (mask.to_bits().leading_ones(), mask.to_bits().trailing_zeros(), 128),
    };
    (ones + zeros == bits).then_some(ones as u8)
}

fn literal(text: &str, family: Family) -> Option<IpAddr> {
    match family {
        Family::V4 => inet_aton(text).map(IpAddr::V4),
        Family::V6 => text.parse().ok().map(IpAddr::V6),
    }
}

/// As the tool asks for a host: an address in any form, or a name that is known without asking anybody.
pub(crate) fn address(text: &str, family: Family) -> Result<IpAddr, UsageError> {
    if let Some(address) = literal(text, family) {
        return Ok(address);
    }
    if let Some(address) = names::host_address(text, family) {
        return Ok(address);
    }
    match () {
        _ if Family::ALL.iter().any(|other| literal(text, *other).is_some()) => Err(UsageError::parameter(
            "getaddrinfo: Address family for hostname not supported\n",
        )),
        // A lab has no name server to ask. What the tool says of a name then, and of what can be none:
        _ if looks_like_a_name(text) => Err(UsageError::parameter(
            "getaddrinfo: Temporary failure in name resolution\n",
        )),
        _ => Err(UsageError::parameter("getaddrinfo: Name or service not known\n")),
    }
}

fn looks_like_a_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(letter);
    let number = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    !text.starts_with('-') && !text.bytes().all(number) && text.split('.').all(label)
}
