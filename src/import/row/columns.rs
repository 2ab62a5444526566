//! The columns of a row, as the tools of each family and age print them.

use std::net::IpAddr;

use crate::base::Family;
use crate::ext::listed::Listed;
use crate::ext::names;

/// A word that a `!` may stand before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Negatable {
    pub inverted: bool,
    pub word: String,
}

impl Negatable {
    /// The address, without its mask; none for a name.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.word.split('/').next()?.parse().ok()
    }

    pub(super) fn of(text: &str) -> Self {
        let (inverted, word) = match text.strip_prefix('!') {
            Some(word) => (true, word),
            None => (false, text),
        };
        Self {
            inverted,
            word: word.to_owned(),
        }
    }
}

/// A counter, and whether it is exact: `100K` is not.
pub(in crate::import) fn count(text: &str) -> Option<(u64, bool)> {
    let units = [
        ('K', 1_000),
        ('M', 1_000_000),
        ('G', 1_000_000_000),
        ('T', 1_000_000_000_000u64),
    ];
    for (unit, factor) in units {
        if let Some(digits) = text.strip_suffix(unit) {
            return Some((digits.parse::<u64>().ok()?.checked_mul(factor)?, false));
        }
    }
    text.parse().ok().map(|number| (number, true))
}

/// The columns target, prot and opt.
pub(super) fn target_to_option<'a>(row: &mut Listed<'a>, verbose: bool) -> Result<[&'a str; 3], String> {
    let blanks = row.rest.len() - row.rest.trim_ascii_start().len();
    let (before, first, second) = (*row, row.take().unwrap_or_default(), row.take().unwrap_or_default());
    // Seen of 1.8.8: `ipv6-icmp--`.
    if let Some((protocol, option)) = glued(second) {
        return Ok([first, protocol, option]);
    }
    if let Some((protocol, option)) = glued(first) {
        *row = before;
        row.take();
        return Ok(["", protocol, option]);
    }
    // A rule that only counts leaves the column of targets blank.
    if is_option(second) && !row.peek().is_some_and(is_option) {
        return Ok(["", first, second]);
    }
    match row.peek() {
        Some(third) if is_option(third) => {
            row.take();
            Ok([first, second, third])
        }
        // ip6tables had nothing to say in the column opt, before 1.8.9.
        Some(_) if blanks >= BLANK_TARGET && has_addresses_of_six(before, 1, verbose) => {
            *row = before;
            Ok(["", row.take().unwrap_or_default(), ""])
        }
        Some(_) if has_addresses_of_six(before, 2, verbose) => Ok([first, second, ""]),
        None => Err("the line ends too early; expected the columns target, prot, opt, source, destination".to_owned()),
        Some(third) => Err(format!("`{third}` in the column opt; expected --, -f or !f")),
    }
}

/// Whether addresses, of which one is of IPv6, stand behind so many columns and those of interfaces.
fn has_addresses_of_six(mut row: Listed<'_>, columns: usize, verbose: bool) -> bool {
    let before = columns + if verbose { 2 } else { 0 };
    for _ in 0..before {
        row.take();
    }
    let ends = [row.take(), row.take()].map(|word| word.map(Negatable::of));
    ends.iter().all(Option::is_some)
        && ends
            .iter()
            .flatten()
            .any(|it| is_any_address(&it.word, Family::V6) || it.address().is_some_and(|address| address.is_ipv6()))
}

fn is_option(word: &str) -> bool {
    OPTIONS.contains(&word)
}

/// The name of a protocol that is longer than its column, and the option that a tool printed without a blank behind it.
fn glued(word: &str) -> Option<(&str, &str)> {
    let (protocol, option) = OPTIONS
        .iter()
        .find_map(|option| Some((word.strip_suffix(option)?, *option)))?;
    names::protocol_number(protocol.trim_start_matches('!')).map(|_| (protocol, option))
}

/// What stands in the column opt.
const OPTIONS: [&str; 3] = ["--", "-f", "!f"];

/// A host of IPv6 as today's tool lists it, where older ones listed its mask (`ff02::fb/128`).
pub(super) fn without_whole_mask(word: &str) -> &str {
    word.strip_suffix("/128").unwrap_or(word)
}

pub(super) fn is_any_address(word: &str, family: Family) -> bool {
    ["anywhere", anywhere(family), "default"].contains(&word)
}

pub(super) fn anywhere(family: Family) -> &'static str {
    match family {
        Family::V4 => "0.0.0.0/0",
        Family::V6 => "::/0",
    }
}

pub(super) fn is_any_protocol(word: &str) -> bool {
    ["all", "0", "ip"].contains(&word)
}

/// So many blanks stand where a target would.
const BLANK_TARGET: usize = 10;
