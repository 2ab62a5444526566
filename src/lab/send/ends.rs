//! The two ends of a packet, with ports or without.

use std::net::IpAddr;

use nom::Parser;
use nom::combinator::opt;

use crate::base::Family;
use crate::syntax::atom;
use crate::syntax::problem::Problem;
use crate::syntax::words::{self, Word, Words, unexpected};

pub(super) type End = (IpAddr, u16);

/// `A > B`.
pub(super) fn ends(rest: &mut Words<'_>) -> Result<(IpAddr, IpAddr), Problem> {
    arrow_stands(rest)?;
    let source = rest.read(end_without_port("an address such as 10.0.0.2 or 2001:db8::2"))?;
    rest.read(words::expect(">"))?;
    let destination = rest.read(end_without_port("an address such as 192.0.2.9 or 2001:db8:1::9"))?;
    of_one_family(rest, source, destination)?;
    Ok((source, destination))
}

/// `A:PORT > B:PORT`.
pub(super) fn ends_with_ports(rest: &mut Words<'_>) -> Result<(End, End), Problem> {
    arrow_stands(rest)?;
    let source = rest.read(end_with_port(["10.0.0.2", "[2001:db8::2]"], 40_000))?;
    rest.read(words::expect(">"))?;
    let destination = rest.read(end_with_port(["192.0.2.9", "[2001:db8:1::9]"], 80))?;
    of_one_family(rest, source.0, destination.0)?;
    Ok((source, destination))
}

/// An IPv6 address may stand in brackets here too.
fn end_without_port<'a>(expected: &'static str) -> impl Parser<Words<'a>, Output = IpAddr, Error = Problem> {
    words::one(expected, |text| match atom::endpoint(text)? {
        (address, None) => Some(address),
        _ => None,
    })
}

/// `examples` are how one is written in either family.
fn end_with_port<'a>(
    examples: [&'static str; 2],
    example: u16,
) -> impl Parser<Words<'a>, Output = End, Error = Problem> {
    move |words: Words<'a>| {
        let expected = format!(
            "an address with its port, such as {}:{example} or {}:{example}",
            examples[0], examples[1]
        );
        let read = |word: &Word| match atom::endpoint(&word.text) {
            Some((address, Some(port))) => Ok((address, port)),
            Some((_, None)) => {
                let remedy = with_a_port(word.typed.as_deref().unwrap_or(&word.text), example);
                Err(unexpected(word, &format!("expected {expected}"), &remedy))
            }
            None => Err(unexpected(
                word,
                &format!("expected {expected}"),
                &with_a_dot(&word.text).unwrap_or_default(),
            )),
        };
        words::meant(&expected, read).parse(words)
    }
}

/// How an end without a port is written with one. What looks like a port behind an IPv6 address is the end of that.
fn with_a_port(text: &str, example: u16) -> String {
    if !atom::is_ipv6(text) {
        return format!("add a port: `{text}:{example}`");
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let meant = bare
        .rsplit_once(':')
        .filter(|(before, behind)| atom::is_ipv6(before) && atom::number(behind).is_some());
    match meant {
        Some((address, port)) => {
            format!("that is an address without a port: write it in brackets, `[{address}]:{port}`")
        }
        None => format!("add a port: `[{bare}]:{example}`"),
    }
}

/// As tcpdump prints a port: behind a dot.
fn with_a_dot(text: &str) -> Option<String> {
    let (address, port) = text.rsplit_once('.')?;
    let address: IpAddr = address.parse().ok()?;
    atom::number(port)?;
    Some(match address {
        IpAddr::V4(address) => format!("write it as `{address}:{port}`"),
        IpAddr::V6(address) => format!("write it as `[{address}]:{port}`"),
    })
}

fn of_one_family(rest: &Words<'_>, source: IpAddr, destination: IpAddr) -> Result<(), Problem> {
    match Family::of(source) == Family::of(destination) {
        true => Ok(()),
        false => Err(Problem::new(
            rest.position(),
            format!("{source} and {destination} are of two families"),
            "expected an address of the same family as the sender's",
            "write two IPv4 addresses, or two of IPv6",
        )),
    }
}

/// Names of hosts are only known beside a `>`, so what else stands in its place is told before they are read.
fn arrow_stands(rest: &Words<'_>) -> Result<(), Problem> {
    let mut ahead = *rest;
    let first = ahead.read(opt(words::anything))?;
    match (first, ahead.peek()) {
        (Some(first), Some(second)) if first.arrow.is_none() && second.arrow != Some(0) => {
            let like = first.typed.as_deref().unwrap_or(&first.text);
            Err(unexpected(
                second,
                "expected `>` between the two ends",
                &format!("write it like `{like} > 192.0.2.9:80`"),
            ))
        }
        (_, Some(second)) if second.text != ">" && second.arrow == Some(0) => Err(unexpected(
            second,
            "expected `>` between the two ends",
            "write `>`, with blanks around it",
        )),
        _ => Ok(()),
    }
}
