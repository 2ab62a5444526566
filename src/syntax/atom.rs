//! The smallest parts of the lab's language, in nom: numbers, addresses with ports, durations, TCP flags, bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_till, take_while_m_n, take_while1};
use nom::character::complete::{anychar, char, digit1, hex_digit1, one_of};
use nom::combinator::{all_consuming, map, map_opt, map_res, opt, recognize, rest, value};
use nom::error::ParseError;
use nom::multi::{fold_many0, many0, many1, separated_list1};
use nom::sequence::{delimited, preceded, separated_pair, terminated};
use nom::{IResult, Parser};

use super::problem::Position;
use crate::wire::tcp::flags;

/// The whole of a text by one parser; `None` where it does not fit.
fn whole<'a, T>(
    parser: impl Parser<&'a str, Output = T, Error = nom::error::Error<&'a str>>,
    text: &'a str,
) -> Option<T> {
    all_consuming(parser).parse(text).ok().map(|(_, value)| value)
}

/// What a parser takes, and where that stands in a text of so many bytes, of which the parser is given the end.
pub fn placed<'a, T, E: ParseError<&'a str>>(
    length: usize,
    mut parser: impl Parser<&'a str, Output = T, Error = E>,
) -> impl Parser<&'a str, Output = (Position, T), Error = E> {
    move |input: &'a str| {
        let (rest, value) = parser.parse(input)?;
        Ok((rest, ((length - input.len()..length - rest.len()).into(), value)))
    }
}

fn unsigned(input: &str) -> IResult<&str, u64> {
    alt((
        map_res(preceded(tag_no_case("0x"), hex_digit1), |digits| {
            u64::from_str_radix(digits, 16)
        }),
        map_res(digit1, str::parse),
    ))
    .parse(input)
}

/// Decimal, or hexadecimal after `0x`.
pub fn number(text: &str) -> Option<u64> {
    whole(unsigned, text)
}

fn ipv4(input: &str) -> IResult<&str, Ipv4Addr> {
    map_res(
        recognize(separated_pair(digit1, char('.'), separated_list1(char('.'), digit1))),
        str::parse,
    )
    .parse(input)
}

pub fn address(text: &str) -> Option<Ipv4Addr> {
    whole(ipv4, text)
}

/// An address of either family.
pub fn ip_address(text: &str) -> Option<IpAddr> {
    whole(up_to_slash, text)
}

/// `10.0.0.1/24`: an address of either family, and what stands behind the slash if there is one.
pub fn network(text: &str) -> Option<(IpAddr, Option<&str>)> {
    whole((up_to_slash, opt(preceded(char('/'), rest))), text)
}

/// `tcp/80`: what stands before the first of a sign, and what behind it, each with its place in the text.
pub(crate) fn halves(text: &str, sign: char) -> (Placed<'_>, Option<Placed<'_>>) {
    let before = placed(text.len(), take_till(|letter| letter == sign));
    let behind = opt(preceded(char(sign), placed(text.len(), rest)));
    whole((before, behind), text).unwrap_or_default()
}

/// `FORWARD:2` as `FORWARD 2`: a blank in the place of each sign outside of quotes, so that all else stays where it is.
pub(crate) fn parted(text: &str, sign: char) -> String {
    let quoted = |quote| recognize((char(quote), take_till(move |letter| letter == quote), opt(char(quote))));
    let letter = alt((quoted('\''), quoted('"'), value(" ", char(sign)), recognize(anychar)));
    whole(fold_many0(letter, String::new, |all, letter| all + letter), text).unwrap_or_default()
}

/// A piece of a text, and where it stands in it.
pub(crate) type Placed<'a> = (Position, &'a str);

/// Digits and nothing else, of a number that a byte holds.
pub fn prefix_length(text: &str) -> Option<u8> {
    whole(map_res(digit1, str::parse), text)
}

fn up_to_slash(input: &str) -> IResult<&str, IpAddr> {
    map_res(take_till(|letter| letter == '/'), str::parse).parse(input)
}

/// `2001:db8::1`, also in brackets with a port behind them.
pub fn is_ipv6(text: &str) -> bool {
    let bracketed = text.strip_prefix('[').and_then(|it| it.split_once(']'));
    bracketed.map_or(text, |it| it.0).parse::<Ipv6Addr>().is_ok()
}

fn ipv6_in_brackets(input: &str) -> IResult<&str, Ipv6Addr> {
    let inside = map_res(take_till(|letter| letter == ']'), str::parse);
    delimited(char('['), inside, char(']')).parse(input)
}

fn port(input: &str) -> IResult<&str, u16> {
    preceded(char(':'), map_res(digit1, str::parse)).parse(input)
}

/// An address of either family, with or without a port: `10.0.0.2:40000`, `[2001:db8::2]:40000`. Without brackets an IPv6 address takes all that it can
/// be read with: `2001:db8::2:80` is one, and `2001:db8::2:40000`, which none can be, is one with a port.
pub fn endpoint(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let address = alt((map(ipv4, IpAddr::V4), map(ipv6_in_brackets, IpAddr::V6)));
    let without_brackets = || {
        let (before, behind) = text.rsplit_once(':')?;
        let port = whole(map_res(digit1, str::parse), behind)?;
        Some((IpAddr::V6(before.parse().ok()?), Some(port)))
    };
    whole((address, opt(port)), text)
        .or_else(|| Some((IpAddr::V6(text.parse().ok()?), None)))
        .or_else(without_brackets)
}

/// Whether a text has the form of a [`duration`], and is one of more nanoseconds than are counted.
pub fn is_too_long(text: &str) -> bool {
    let has_its_form = whole(many1((digit1, unit)), text).is_some() || whole(digit1, text).is_some();
    has_its_form && duration(text).is_none()
}

/// The number in a text that would be a [`duration`] if a unit stood behind it: 3 of `5m3`.
pub fn without_unit(text: &str) -> Option<&str> {
    whole(preceded(many1((digit1, unit)), digit1), text)
}

/// A unit of time as people write it out, as a [`duration`] has it: `m` of `minutes`.
pub fn unit_in_full(text: &str) -> Option<&'static str> {
    Some(match text {
        "d" | "day" | "days" => "d",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "ms" | "millisecond" | "milliseconds" => "ms",
        _ => return None,
    })
}

/// In nanoseconds.
fn unit(input: &str) -> IResult<&str, u64> {
    alt((
        value(1, tag("ns")),
        value(1_000, tag("us")),
        value(1_000_000, tag("ms")),
        value(1_000_000_000, tag("s")),
        value(60 * 1_000_000_000, tag("m")),
        value(3_600 * 1_000_000_000, tag("h")),
        value(86_400 * 1_000_000_000, tag("d")),
    ))
    .parse(input)
}

/// `30s`, `1m30s`, `250ms`, `5d`, `2h`; a bare number is seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let part = map_opt((unsigned, unit), |(count, unit)| count.checked_mul(unit));
    let parts = map_opt(many1(part), |parts| parts.into_iter().try_fold(0, u64::checked_add));
    let seconds = map_opt(unsigned, |count| count.checked_mul(1_000_000_000));
    whole(alt((all_consuming(parts), seconds)), text).map(Duration::from_nanos)
}

/// As tcpdump writes them: S F R P A (or `.`) U E W, in any order; `none` for no flag at all.
pub fn tcp_flags(text: &str) -> Option<u8> {
    let letter = map_opt(anychar, |letter| {
        Some(match letter {
            'S' => flags::SYN,
            'F' => flags::FIN,
            'R' => flags::RST,
            'P' => flags::PSH,
            'A' | '.' => flags::ACK,
            'U' => flags::URG,
            'E' => flags::ECE,
            'W' => flags::CWR,
            _ => return None,
        })
    });
    let letters = map(many1(letter), |bits| bits.into_iter().fold(0, |all, bit| all | bit));
    whole(alt((value(0, tag("none")), letters)), text)
}

/// `0x` and pairs of digits, or bare pairs of digits.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let pair = map_res(take_while_m_n(2, 2, |c: char| c.is_ascii_hexdigit()), |pair| {
        u8::from_str_radix(pair, 16)
    });
    whole(
        preceded(opt(tag_no_case("0x")), many1(terminated(pair, many0(one_of(" :"))))),
        text,
    )
}

/// Text with the escapes `\r \n \t \0 \\ \" \xNN`.
pub fn text(input: &str) -> Option<Vec<u8>> {
    let plain = map(take_while1(|c| c != '\\'), |run: &str| run.as_bytes().to_vec());
    let escape = preceded(
        char('\\'),
        alt((
            value(vec![b'\r'], char('r')),
            value(vec![b'\n'], char('n')),
            value(vec![b'\t'], char('t')),
            value(vec![0], char('0')),
            value(vec![b'\\'], char('\\')),
            value(vec![b'"'], char('"')),
            map_res(
                preceded(char('x'), take_while_m_n(2, 2, |c: char| c.is_ascii_hexdigit())),
                |digits| u8::from_str_radix(digits, 16).map(|byte| vec![byte]),
            ),
        )),
    );
    whole(map(many0(alt((plain, escape))), |parts| parts.concat()), input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_endpoints() {
        assert_eq!(number("17"), Some(17));
        assert_eq!(number("0x1F"), Some(31));
        for bad in ["", "1x", "0x", "-1", "99999999999999999999999"] {
            assert_eq!(number(bad), None, "{bad}");
        }
        for (text, address, port) in [
            ("10.0.0.2:80", "10.0.0.2", Some(80)),
            ("10.0.0.2", "10.0.0.2", None),
            ("[2001:db8::2]:80", "2001:db8::2", Some(80)),
            ("[2001:db8::2]", "2001:db8::2", None),
            ("2001:db8::2", "2001:db8::2", None),
            ("::1", "::1", None),
            ("2001:db8::2:80", "2001:db8::2:80", None),
            ("2001:db8::2:40000", "2001:db8::2", Some(40_000)),
            ("1:2:3:4:5:6:7:8:80", "1:2:3:4:5:6:7:8", Some(80)),
            ("::ffff:10.0.0.2", "::ffff:10.0.0.2", None),
        ] {
            assert_eq!(endpoint(text), Some((address.parse().unwrap(), port)), "{text}");
        }
        for bad in [
            "10.0.0",
            "10.0.0.256",
            "10.0.0.2:",
            "10.0.0.2:99999",
            "10.0.0.2:80x",
            "[10.0.0.2]:80",
            "[::1",
            "[::1]80",
            "[::1]:",
            "[::1]:99999",
            "::1:99999",
            "1:2:3:4:5:6:7:8:80:80",
            "lan:80",
            ":80",
            "",
        ] {
            assert_eq!(endpoint(bad), None, "{bad}");
        }
    }

    #[test]
    fn networks() {
        let address = IpAddr::from([10, 0, 0, 1]);
        for (text, expected) in [
            ("10.0.0.1/24", Some((address, Some("24")))),
            ("10.0.0.1/2/4", Some((address, Some("2/4")))),
            ("10.0.0.1/", Some((address, Some("")))),
            ("10.0.0.1", Some((address, None))),
            ("::1/64", Some((Ipv6Addr::LOCALHOST.into(), Some("64")))),
            ("/24", None),
            ("10.0.0/24", None),
        ] {
            assert_eq!(network(text), expected, "{text}");
            assert_eq!(
                ip_address(text),
                expected.and_then(|it| it.1.is_none().then_some(it.0)),
                "{text}"
            );
        }
        for (text, expected) in [("24", Some(24)), ("+4", None), ("256", None), ("", None)] {
            assert_eq!(prefix_length(text), expected, "{text}");
        }
    }

    #[test]
    fn pieces_of_a_text() {
        let at = |start: usize, end: usize| Position::from(start..end);
        assert_eq!(halves("tcp/80", '/'), ((at(0, 3), "tcp"), Some((at(4, 6), "80"))));
        assert_eq!(halves("a/b/c", '/'), ((at(0, 1), "a"), Some((at(2, 5), "b/c"))));
        assert_eq!(halves("icmp", '/'), ((at(0, 4), "icmp"), None));
        assert_eq!(halves("", '/'), ((at(0, 0), ""), None));
        assert_eq!(parted("é:2::x 'a:b':\":\"", ':'), "é 2  x 'a:b' \":\"");
        assert_eq!(parted("'a:b", ':'), "'a:b");
    }

    #[test]
    fn durations() {
        for (text, nanos) in [
            ("30s", 30_000_000_000),
            ("30", 30_000_000_000),
            ("1m30s", 90_000_000_000),
            ("250ms", 250_000_000),
            ("5d", 432_000_000_000_000),
            ("1us2ns", 1_002),
        ] {
            assert_eq!(duration(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        for bad in ["", "s", "3x", "1.5s", "99999999999999d", "99999999999999999999"] {
            assert_eq!(duration(bad), None, "{bad}");
            assert_eq!(is_too_long(bad), bad.starts_with('9'), "{bad}");
            assert_eq!(without_unit(bad), None, "{bad}");
        }
        for (text, number) in [("5m3", "3"), ("2m30", "30"), ("10ms5", "5"), ("1h2m03", "03")] {
            assert_eq!((duration(text), is_too_long(text)), (None, false), "{text}");
            assert_eq!(without_unit(text), Some(number), "{text}");
        }
    }

    #[test]
    fn flags_and_bytes() {
        assert_eq!(tcp_flags("S"), Some(0x02));
        assert_eq!(tcp_flags("SA"), Some(0x12));
        assert_eq!(tcp_flags("S."), Some(0x12));
        assert_eq!(tcp_flags("FPUEW"), Some(0xe9));
        assert_eq!(tcp_flags("none"), Some(0));
        assert_eq!(tcp_flags("SX"), None);
        assert_eq!(tcp_flags(""), None);
        assert_eq!(hex("0x4500"), Some(vec![0x45, 0]));
        assert_eq!(hex("45 00:01"), Some(vec![0x45, 0, 1]));
        assert_eq!(hex("450"), None);
        assert_eq!(text(r"a\r\n\x00é\\"), Some("a\r\n\0é\\".as_bytes().to_vec()));
        assert_eq!(text(r"\q"), None);
        assert_eq!(text(""), Some(vec![]));
    }
}
