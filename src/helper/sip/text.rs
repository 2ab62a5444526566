//! How the kernel finds its way through a message of SIP (RFC 3261): lines, headers, addresses, parameters.
//!
//! Seen on Linux 6.18: a header is looked for behind each end of a line, be it `\r\n`, `\r` or `\n`; the one that is found first decides, and what
//! stands behind an empty line counts as well. A value goes on in lines that begin with a blank, whose first letter nobody looks at. Only addresses
//! are read, never names of hosts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

use crate::base::Family;
use crate::conntrack::Endpoint;
use crate::helper::address::ipv6;

/// A header that the helper reads, or its side of NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    Sequence,
    From,
    To,
    Contact,
    /// The part of Via behind this transport.
    ViaUdp,
    ViaTcp,
    Expires,
    ContentLength,
}

/// What a search for a header or a line came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// It is there, and its value, which begins here, is none.
    Unreadable(usize),
    At(Range<usize>),
}

/// An address that a message names, and where it stands with its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub range: Range<usize>,
    pub end: Endpoint,
}

/// It is there, and cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

struct Form {
    name: &'static [u8],
    compact: Option<u8>,
    /// The value stands behind this.
    behind: &'static [u8],
    value: Value,
}

#[derive(Clone, Copy)]
enum Value {
    Digits,
    /// `ADDRESS`, `ADDRESS:PORT`.
    Address,
    /// The same behind a user.
    UserAtAddress,
}

impl Header {
    fn form(self) -> Form {
        let (name, compact, behind, value): (&[u8], _, &[u8], _) = match self {
            Self::Sequence => (b"CSeq", None, b"", Value::Digits),
            Self::From => (b"From", Some(b'f'), b"sip:", Value::UserAtAddress),
            Self::To => (b"To", Some(b't'), b"sip:", Value::UserAtAddress),
            Self::Contact => (b"Contact", Some(b'm'), b"sip:", Value::UserAtAddress),
            Self::ViaUdp => (b"Via", Some(b'v'), b"UDP ", Value::Address),
            Self::ViaTcp => (b"Via", Some(b'v'), b"TCP ", Value::Address),
            Self::Expires => (b"Expires", None, b"", Value::Digits),
            Self::ContentLength => (b"Content-Length", Some(b'l'), b"", Value::Digits),
        };
        Form {
            name,
            compact,
            behind,
            value,
        }
    }
}

impl Form {
    /// How long the name is, if the header stands here.
    fn name_at(&self, text: &[u8], at: usize) -> Option<usize> {
        if starts_with(text, at, self.name) {
            return Some(self.name.len());
        }
        let compact = self.compact?;
        let [name, next] = *text.get(at..at + 2)? else {
            return None;
        };
        (name.eq_ignore_ascii_case(&compact) && !is_letter(next)).then_some(1)
    }
}

impl Value {
    fn at(self, family: Family, text: &[u8], at: usize) -> Option<Range<usize>> {
        match self {
            Self::Digits => {
                let end = at + digits(text, at);
                (end > at).then_some(at..end)
            }
            Self::Address => endpoint(family, text, at).map(|(_, end)| at..end),
            Self::UserAtAddress => {
                let line = text.get(at..)?.iter().take_while(|&&byte| !is_line_end(byte));
                let user = line.take_while(|&&byte| byte != b'@').count();
                let start = match text.get(at + user) {
                    Some(b'@') => at + user + 1,
                    _ => at,
                };
                Self::Address.at(family, text, start)
            }
        }
    }
}

/// Where lines begin from somewhere on, but not there itself.
pub(super) struct LineStarts<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> LineStarts<'a> {
    pub(super) fn new(text: &'a [u8], from: usize) -> Self {
        Self { text, at: from }
    }
}

impl Iterator for LineStarts<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let end = self.text.get(self.at..)?.iter().position(|&byte| is_line_end(byte))? + self.at;
        let start = end + 1 + usize::from(self.text[end] == b'\r' && self.text.get(end + 1) == Some(&b'\n'));
        // Seen: the first letter of a line is not looked at again, so that an empty one that ends in `\n` hides the next.
        self.at = start + 1;
        (start < self.text.len()).then_some(start)
    }
}

/// The first header of this name behind `from`.
pub(super) fn header(family: Family, text: &[u8], from: usize, header: Header) -> Found {
    let form = header.form();
    let mut named = LineStarts::new(text, from).filter_map(|start| Some(start + form.name_at(text, start)?));
    let Some(value) = named.next().and_then(|end| value_behind_colon(text, end)) else {
        return Found::Nothing;
    };
    value_at(family, text, value, &form)
}

fn value_behind_colon(text: &[u8], name_end: usize) -> Option<usize> {
    let colon = skip_blanks(text, name_end)?;
    let is_colon = text.get(colon) == Some(&b':') && colon + 1 < text.len();
    is_colon.then(|| skip_blanks(text, colon + 1)).flatten()
}

fn value_at(family: Family, text: &[u8], value: usize, form: &Form) -> Found {
    let at = match form.behind {
        b"" => Some(value),
        behind => search(text, value, behind).map(|at| at + behind.len()),
    };
    match at.and_then(|at| form.value.at(family, text, at)) {
        Some(range) => Found::At(range),
        None => Found::Unreadable(value),
    }
}

/// The number that stands in the first header of this name.
pub(super) fn number_of(text: &[u8], kind: Header) -> Option<u32> {
    // Where numbers stand, no address is read.
    match header(Family::V4, text, 0, kind) {
        Found::At(range) => Some(number(text, range.start).0),
        _ => None,
    }
}

/// The first address that stands in a header of this name.
pub(super) fn named(family: Family, text: &[u8], header: Header) -> Option<Named> {
    Walk::default().next(family, text, header)
}

/// Goes through all addresses of headers of one name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    from: usize,
    is_within: bool,
}

impl Walk {
    pub(super) fn next(&mut self, family: Family, text: &[u8], header: Header) -> Option<Named> {
        let range = self.value(family, text, header)?;
        let (end, next) = endpoint(family, text, range.start)?;
        self.from = next;
        Some(Named { range, end })
    }

    fn value(&mut self, family: Family, text: &[u8], kind: Header) -> Option<Range<usize>> {
        let mut from = self.from;
        if self.is_within {
            loop {
                match next_in_header(family, text, from, kind) {
                    Found::At(range) => return Some(range),
                    Found::Unreadable(at) => from = at,
                    Found::Nothing => break,
                }
            }
            self.is_within = false;
        }
        loop {
            match header(family, text, from, kind) {
                Found::At(range) => {
                    self.is_within = true;
                    return Some(range);
                }
                Found::Unreadable(at) => from = at,
                Found::Nothing => return None,
            }
        }
    }
}

/// The next value of the same header, behind a comma.
fn next_in_header(family: Family, text: &[u8], from: usize, kind: Header) -> Found {
    let form = kind.form();
    let behind = form.behind;
    let Some(at) = search(text, from, b",").and_then(|at| search(text, at, behind)) else {
        return Found::Nothing;
    };
    match form.value.at(family, text, at + behind.len()) {
        Some(range) => Found::At(range),
        None => Found::Unreadable(at + behind.len()),
    }
}

/// The address in a request's first line.
pub(super) fn of_request(family: Family, text: &[u8]) -> Option<Named> {
    let method = letters(text, 0);
    let from = method + 1;
    if method == 0 || from >= text.len() {
        return None;
    }
    let line = text[from..].iter().take_while(|&&byte| !is_line_end(byte)).count() + from;
    let uri = (from..line).find(|&at| at + 4 < text.len() && starts_with(text, at, b"sip:"))? + 4;
    let range = Value::UserAtAddress.at(family, text, uri)?;
    let (end, _) = endpoint(family, text, range.start)?;
    Some(Named { range, end })
}

/// `NAME=` of the value that ends at `from`; what follows, and where the value's part of the header ends.
fn parameter(text: &[u8], from: usize, name: &[u8]) -> Option<(usize, usize)> {
    let limit = search(text, from, b",").unwrap_or(text.len());
    let start = search(&text[..limit], from, name)? + name.len();
    Some((start, limit))
}

/// What a parameter says, to the next semicolon.
pub(super) fn word_of(text: &[u8], from: usize, name: &[u8]) -> Option<Range<usize>> {
    let (start, limit) = parameter(text, from, name)?;
    let end = search(&text[..limit], start, b";").unwrap_or(limit);
    Some(start..end)
}

pub(super) fn address_of(
    family: Family,
    text: &[u8],
    from: usize,
    (name, brackets): (&[u8], Brackets),
) -> Option<(IpAddr, Range<usize>)> {
    let (start, limit) = parameter(text, from, name)?;
    let (address, end) = address(family, &text[..limit], start, brackets)?;
    Some((address, start..end))
}

pub(super) fn digits_of(text: &[u8], from: usize, name: &[u8]) -> Result<Option<(u32, Range<usize>)>, Unreadable> {
    let Some((start, limit)) = parameter(text, from, name) else {
        return Ok(None);
    };
    let (number, end) = number(&text[..limit], start);
    (end > start).then_some(Some((number, start..end))).ok_or(Unreadable)
}

/// An address, and `:PORT` of five digits at most with something behind it, or nothing, which means the usual one.
fn endpoint(family: Family, text: &[u8], at: usize) -> Option<(Endpoint, usize)> {
    let (address, end) = address(family, text, at, Brackets::Needed)?;
    if text.get(end) != Some(&b':') {
        let id = super::PORT;
        return Some((Endpoint { address, id }, end));
    }
    let (port, after) = number(text, end + 1);
    let id = u16::try_from(port).ok().filter(|&port| port >= LEAST_PORT)?;
    (after - end <= ":65535".len() && after < text.len()).then_some((Endpoint { address, id }, after))
}

/// What no port of a message may be below.
pub(super) const LEAST_PORT: u16 = 1024;

/// Whether an address of IPv6 stands in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Brackets {
    Needed,
    /// Each of them may be there.
    Free,
}

/// As an address stands in a message: `10.0.0.2`, `[2001:db8::2]`.
pub(super) fn spelled_address(address: IpAddr, brackets: Brackets) -> String {
    match (address, brackets) {
        (IpAddr::V6(address), Brackets::Needed) => format!("[{address}]"),
        (address, _) => address.to_string(),
    }
}

/// The same with a port.
pub(super) fn spelled(end: Endpoint) -> String {
    SocketAddr::new(end.address, end.id).to_string()
}

/// An address of the flow's family.
pub(super) fn address(family: Family, text: &[u8], at: usize, brackets: Brackets) -> Option<(IpAddr, usize)> {
    match family {
        Family::V4 => address_of_ipv4(text, at),
        Family::V6 => address_of_ipv6(text, at, brackets),
    }
}

fn address_of_ipv6(text: &[u8], at: usize, brackets: Brackets) -> Option<(IpAddr, usize)> {
    let bracket = |at: usize, bracket: u8| match text.get(at) == Some(&bracket) {
        true => Some(at + 1),
        false => (brackets == Brackets::Free).then_some(at),
    };
    let start = bracket(at, b'[')?;
    let rest = text.get(start..)?;
    let is_part = |byte: &&u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let length = rest.iter().take_while(is_part).count();
    let address = ipv6(&rest[..length])?;
    Some((address.into(), bracket(start + length, b']')?))
}

/// Four numbers with points between. What follows is no letter of a hexadecimal number.
fn address_of_ipv4(text: &[u8], at: usize) -> Option<(IpAddr, usize)> {
    let mut octets = [0u8; 4];
    let mut end = at;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            text.get(end).filter(|&&byte| byte == b'.')?;
            end += 1;
        }
        let length = digits(text, end);
        let value = text.get(end..end + length)?.iter().try_fold(0u32, |value, digit| {
            Some(value * 10 + u32::from(digit - b'0')).filter(|&value| value < 256)
        })?;
        if length == 0 {
            return None;
        }
        *octet = value as u8;
        end += length;
    }
    match text.get(end) {
        Some(byte) if byte.is_ascii_hexdigit() || *byte == b'.' => None,
        _ => Some((Ipv4Addr::from(octets).into(), end)),
    }
}

/// Digits from there on, and where they end. Seen: of more than eleven, or more than 32 bits hold, nothing is read.
pub(super) fn number(text: &[u8], at: usize) -> (u32, usize) {
    let length = digits(text, at);
    let all = text.get(at..at + length).unwrap_or_default();
    let value = all
        .iter()
        .take(MOST_DIGITS)
        .fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    match u32::try_from(value) {
        Ok(value) if length <= MOST_DIGITS => (value, at + length),
        _ => (0, at),
    }
}

const MOST_DIGITS: usize = 11;

pub(super) fn digits(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

pub(super) fn letters(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().take_while(|&&byte| is_letter(byte)).count()
}

/// As the kernel counts them: of Latin-1.
pub(super) fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0xc0 && byte != 0xd7 && byte != 0xf7
}

pub(super) fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// In capitals or not.
pub(super) fn starts_with(text: &[u8], at: usize, word: &[u8]) -> bool {
    text.get(at..at + word.len())
        .is_some_and(|it| it.eq_ignore_ascii_case(word))
}

/// A word in a value, with something behind it.
fn search(text: &[u8], from: usize, word: &[u8]) -> Option<usize> {
    let limit = text.len().checked_sub(word.len())?;
    let mut at = from;
    while at < limit {
        if is_line_end(text[at]) {
            at = continuation(&text[..limit], at)? + 1;
            continue;
        }
        if starts_with(text, at, word) {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn skip_blanks(text: &[u8], at: usize) -> Option<usize> {
    let at = at + blanks(text, at);
    match text.get(at) {
        Some(&byte) if is_line_end(byte) => continuation(text, at),
        _ => Some(at),
    }
}

/// Where a value goes on that this line end cuts, if it does.
fn continuation(text: &[u8], line_end: usize) -> Option<usize> {
    let mut next = line_end + 1;
    if text.get(line_end) == Some(&b'\r') && text.get(next) == Some(&b'\n') {
        next += 1;
    }
    match blanks(text, next) {
        0 => None,
        some => Some(next + some),
    }
}

fn blanks(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}
