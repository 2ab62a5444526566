//! SNMP's messages (RFC 1157, RFC 1902, RFC 1905) as the kernel reads them: where addresses stand in the values of variables.
//!
//! Seen on Linux 6.18, and held against its answers (`kernel.txt`): the trap of SNMP's first version is not among what it reads, but that of the second
//! is. Where one of several may stand it takes one after the other, in its own order: a message may hold several requests, a variable several
//! values. What is not of the form is not read at all, but for what comes behind the message.

use std::ops::Range;

/// Where the addresses begin, of four bytes each. `None`: the message cannot be read.
pub(super) fn addresses(data: &[u8]) -> Option<Vec<usize>> {
    let mut reader = Reader {
        data,
        at: 0,
        end: data.len(),
        is_unknown: false,
        addresses: Vec::new(),
    };
    reader.message()?;
    Some(reader.addresses)
}

struct Reader<'a> {
    data: &'a [u8],
    at: usize,
    /// Of the innermost list whose length is known.
    end: usize,
    /// What comes next is none of what was looked for since something was found.
    is_unknown: bool,
    addresses: Vec<usize>,
}

/// A list that is being read.
struct List {
    end_of_outer: usize,
    /// It ends where two bytes of zero say so.
    is_open: bool,
}

impl Reader<'_> {
    fn message(&mut self) -> Option<()> {
        let message = self.begin(SEQUENCE)?;
        let version = self.take(INTEGER)?;
        let (FIRST | SECOND) = self.data.get(version)? else {
            return None;
        };
        self.take(OCTETS)?;
        for request in REQUESTS {
            if self.comes(request)? {
                self.request(request)?;
            }
        }
        self.hold_known()?;
        self.end(&message)
    }

    /// All have the same form: three numbers and a list of variables.
    fn request(&mut self, tag: u8) -> Option<()> {
        let request = self.begin(tag)?;
        for _ in 0..3 {
            self.take(INTEGER)?;
        }
        let variables = self.begin(SEQUENCE)?;
        loop {
            self.variable()?;
            if self.is_over(&variables)? {
                break;
            }
        }
        self.end(&variables)?;
        self.end(&request)
    }

    fn variable(&mut self) -> Option<()> {
        let variable = self.begin(SEQUENCE)?;
        self.take(NAME)?;
        self.one_of(true, &[INTEGER, OCTETS, NAME])?;
        if self.comes(ADDRESS)? {
            let address = self.take(ADDRESS)?;
            (address.len() == 4).then_some(())?;
            self.addresses.push(address.start);
        }
        for value in VALUES {
            if self.comes(value)? {
                self.take(value)?;
            }
        }
        self.one_of(false, NO_VALUES)?;
        self.hold_known()?;
        self.end(&variable)
    }

    /// One of them, if what comes is one. `first`: the first is looked for though something was found before.
    fn one_of(&mut self, mut first: bool, tags: &[u8]) -> Option<()> {
        for &tag in tags {
            if (std::mem::take(&mut first) || self.is_unknown) && self.comes(tag)? {
                self.take(tag)?;
            }
        }
        Some(())
    }

    fn hold_known(&self) -> Option<()> {
        (!self.is_unknown).then_some(())
    }

    /// Whether this comes next. `None` where a single byte is left, or a number of a form that the kernel does not read.
    fn comes(&mut self, tag: u8) -> Option<bool> {
        if self.at == self.end {
            return Some(false);
        }
        self.is_unknown = !is_it(self.tag()?, tag);
        Some(!self.is_unknown)
    }

    /// A value: where it stands.
    fn take(&mut self, tag: u8) -> Option<Range<usize>> {
        let length = self.header(tag)??;
        let start = self.at;
        self.at += length;
        Some(start..self.at)
    }

    fn begin(&mut self, tag: u8) -> Option<List> {
        let length = self.header(tag)?;
        let end_of_outer = self.end;
        if let Some(length) = length {
            self.end = self.at + length;
        }
        Some(List {
            end_of_outer,
            is_open: length.is_none(),
        })
    }

    fn is_over(&self, list: &List) -> Option<bool> {
        match (list.is_open, self.ahead()?) {
            (false, ahead) => Some(ahead.is_empty()),
            (true, [0, 0, ..]) => Some(true),
            (true, [0, _, ..] | [] | [_]) => None,
            (true, _) => Some(false),
        }
    }

    fn end(&mut self, list: &List) -> Option<()> {
        self.is_over(list)?.then_some(())?;
        self.at += if list.is_open { 2 } else { 0 };
        self.end = list.end_of_outer;
        Some(())
    }

    fn ahead(&self) -> Option<&[u8]> {
        self.data.get(self.at..self.end)
    }

    fn tag(&self) -> Option<u8> {
        match self.ahead()? {
            [tag, _, ..] if tag & LONG_TAG != LONG_TAG => Some(*tag),
            _ => None,
        }
    }

    /// Tag and length; without the latter where the end is marked.
    fn header(&mut self, tag: u8) -> Option<Option<usize>> {
        let found = self.tag()?;
        is_it(found, tag).then_some(())?;
        self.is_unknown = false;
        let [_, short, rest @ ..] = self.ahead()? else {
            return None;
        };
        let (length, read) = match (*short, rest) {
            (OPEN, [_, _, ..]) if found & CONSTRUCTED != 0 => {
                self.at += 2;
                return Some(None);
            }
            (0..OPEN, _) => (usize::from(*short), 2),
            (0x81, [length, ..]) => (usize::from(*length), 3),
            (0x82, [high, low, ..]) => (usize::from(u16::from_be_bytes([*high, *low])), 4),
            _ => return None,
        };
        let ahead = self.ahead()?.len();
        (read + length <= ahead).then_some(())?;
        self.at += read;
        Some(Some(length))
    }
}

/// Seen: what is a list need not say so.
fn is_it(found: u8, tag: u8) -> bool {
    found | (tag & CONSTRUCTED) == tag
}

const FIRST: &[u8] = &[0];
const SECOND: &[u8] = &[1];

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const NAME: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const ADDRESS: u8 = 0x40;
/// Counters, ticks, what is opaque, and numbers without a sign, in the order in which the kernel looks for them.
const VALUES: [u8; 5] = [0x41, 0x43, 0x44, 0x46, 0x42];
/// No value at all, no such object, no such instance, and the end of what there is.
const NO_VALUES: &[u8] = &[0x05, 0x80, 0x81, 0x82];
/// Get, next, bulk, response, set, inform, trap (of the second version) and report, in that order.
const REQUESTS: [u8; 8] = [0xa0, 0xa1, 0xa5, 0xa2, 0xa3, 0xa6, 0xa7, 0xa8];

const CONSTRUCTED: u8 = 0x20;
const LONG_TAG: u8 = 0x1f;
const OPEN: u8 = 0x80;
