//! From a filter's text to what it asks.

use std::net::IpAddr;

use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::character::complete::satisfy;
use nom::combinator::{cut, map, not, peek, recognize, value};
use nom::multi::{many0, many0_count, many1_count, separated_list1};
use nom::sequence::preceded;
use nom::{Err, IResult, Parser};

use super::{End, LOCAL, Names, Node, Test, Way};
use crate::base::{AddressMask, Family, InterfaceMask, PortRange, protocol};
use crate::conntrack::CtState;
use crate::syntax::atom;
use crate::syntax::problem::{Position, Problem, Source, SourceError};
use crate::syntax::words::{self, Read, Word, Words};

/// The whole of a text.
pub(super) fn filter(text: &str, names: &Names<'_>) -> Result<Node, SourceError> {
    let words = words_of(text);
    let mut rest = Words::of("filter", &words, text.len());
    let mut root = || {
        if rest.is_done() {
            return Err(Problem::new(
                text.len()..text.len(),
                "the filter ends too early",
                "expected a filter",
                "write one, such as `tcp dport 80`; without a filter, leave the option out",
            ));
        }
        let root = rest.read(|words| any(names, 1, words))?;
        match rest.peek() {
            None => Ok(root),
            Some(word) => Err(wrong(
                word,
                "expected `and`, `or` or the end",
                "remove it, or its `(` is missing",
            )),
        }
    };
    root().map_err(|problem| {
        let source = Source {
            name: "filter".to_owned(),
            text: text.to_owned(),
        };
        source.error(vec![problem])
    })
}

/// Words between blanks; parentheses, `!`, `&&` and `||` stand for themselves wherever they are.
fn words_of(text: &str) -> Vec<Word> {
    let letter = |text| satisfy(|letter| !letter.is_whitespace()).parse(text);
    let run = recognize(many1_count(preceded(not(sign), letter)));
    let blanks = many0_count(satisfy(char::is_whitespace));
    let word = preceded(blanks, atom::placed(text.len(), alt((sign, run))));
    let found: IResult<&str, Vec<(Position, &str)>> = many0(word).parse(text);
    let words = found.map(|(_, words)| words).unwrap_or_default();
    let plain = |(position, text): (Position, &str)| Word {
        text: text.to_owned(),
        typed: None,
        position,
        quoted: false,
        arrow: text.find('>'),
    };
    words.into_iter().map(plain).collect()
}

fn sign(text: &str) -> IResult<&str, &str> {
    alt((tag("("), tag(")"), tag("!"), tag("&&"), tag("||"))).parse(text)
}

/// `FILTER` of the grammar. How deep it stands counts parentheses and `not`, so that a text of nothing else cannot exhaust the stack.
fn any<'a>(names: &Names<'_>, depth: usize, words: Words<'a>) -> Read<'a, Node> {
    let nodes = separated_list1(either(["or", "||"]), cut(|words| all(names, depth, words)));
    map(nodes, |nodes| one_or(nodes, Node::Any)).parse(words)
}

/// `TERM`.
fn all<'a>(names: &Names<'_>, depth: usize, words: Words<'a>) -> Read<'a, Node> {
    let goes_on = peek(words::fitting(|word| !matches!(word.text.as_str(), "or" | "||" | ")")));
    let joined = alt((either(["and", "&&"]), goes_on));
    let nodes = separated_list1(joined, cut(|words| factor(names, depth, words)));
    map(nodes, |nodes| one_or(nodes, Node::All)).parse(words)
}

/// `FACTOR`.
fn factor<'a>(names: &Names<'_>, depth: usize, words: Words<'a>) -> Read<'a, Node> {
    if let Some(word) = words.peek()
        && depth > DEEPEST
    {
        let problem = wrong(
            word,
            &format!("expected a filter that is no more than {DEEPEST} deep"),
            "write it with fewer parentheses, and without `not not`",
        );
        return Err(Err::Failure(problem));
    }
    let negated = preceded(either(["not", "!"]), cut(|words| factor(names, depth + 1, words)));
    alt((
        map(negated, |node| Node::Not(Box::new(node))),
        |words| in_parentheses(names, depth + 1, words),
        map(|words| test(names, words), Node::Test),
    ))
    .parse(words)
}

fn in_parentheses<'a>(names: &Names<'_>, depth: usize, words: Words<'a>) -> Read<'a, Node> {
    let (rest, open) = words::this("(").parse(words)?;
    let (rest, node) = any(names, depth, rest)?;
    let never_closed = |_| {
        Err::Failure(Problem::new(
            open.position,
            "this `(` is never closed",
            "expected its `)`",
            "put a `)` where it ends",
        ))
    };
    value(node, words::this(")")).parse(rest).map_err(never_closed)
}

/// `TEST`.
fn test<'a>(names: &Names<'_>, words: Words<'a>) -> Read<'a, Test> {
    let (rest, word) = words::word(A_TEST).parse(words)?;
    if let Some(test) = match word.text.as_str() {
        "icmp" => Some(Test::OwnIcmp),
        "ip" => Some(Test::Family(Family::V4)),
        "ip6" => Some(Test::Family(Family::V6)),
        text => protocol_named(text).map(Test::Protocol),
    } {
        return Ok((rest, test));
    }
    if let Some(verdict) = verdict(&word.text) {
        return Ok((rest, Test::Verdict(vec![verdict])));
    }
    match word.text.as_str() {
        "proto" => map(words::meant("a protocol's name or number", protocol), Test::Protocol).parse(rest),
        "src" => at_end(names, End::Source, rest),
        "dst" => at_end(names, End::Destination, rest),
        "host" | "net" => address(names, End::Either).parse(rest),
        "sport" => ports(End::Source).parse(rest),
        "dport" => ports(End::Destination).parse(rest),
        "port" => ports(End::Either).parse(rest),
        "mss" => map(sizes, Test::Mss).parse(rest),
        "in" => map(way(names), Test::Input).parse(rest),
        "out" => map(way(names), Test::Output).parse(rest),
        "state" => map(list("a state", STATES, state), Test::State).parse(rest),
        "verdict" => map(list("a verdict", VERDICTS_TEXT, verdict), Test::Verdict).parse(rest),
        text if text.parse::<IpAddr>().is_ok() || text.contains('/') => address(names, End::Either).parse(words),
        text => {
            let remedy = match near(text) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("the tests are {}", TESTS.join(", ")),
            };
            Err(Err::Failure(wrong(word, &format!("expected {A_TEST}"), &remedy)))
        }
    }
}

/// What follows `src` or `dst`.
fn at_end<'a>(names: &Names<'_>, end: End, words: Words<'a>) -> Read<'a, Test> {
    let (rest, is_port) = words::has("port").parse(words)?;
    if is_port {
        return ports(end).parse(rest);
    }
    preceded((words::has("host"), words::has("net")), address(names, end)).parse(rest)
}

fn protocol(word: &Word) -> Result<u8, Problem> {
    let number = protocol_named(&word.text).or_else(|| word.text.parse().ok());
    number.ok_or_else(|| {
        wrong(
            word,
            "expected a protocol: tcp, udp, icmp, ... or 0 to 255",
            "write its number",
        )
    })
}

fn address<'a>(names: &Names<'_>, end: End) -> impl Parser<Words<'a>, Output = Test, Error = Problem> {
    let what = "an address, such as 10.0.0.2, 10.0.0.0/8 or 2001:db8::/32, or a host of the lab";
    words::meant(what, move |word| {
        let (address, length) = match word.text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (word.text.as_str(), None),
        };
        let known = match length {
            None => (names.addresses_of)(address),
            Some(_) => Vec::new(),
        };
        if !known.is_empty() {
            return Ok(Test::Address(end, known.into_iter().map(AddressMask::host).collect()));
        }
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(wrong(
                word,
                "expected an address or network, or a host of the lab",
                "write it like 10.0.0.2, 10.0.0.0/8 or 2001:db8::/32",
            ));
        };
        let most = Family::of(address).bits();
        let length = length.map_or(Some(most), |text| text.parse().ok());
        match length.and_then(|length| AddressMask::prefix(address, length)) {
            Some(mask) => Ok(Test::Address(end, vec![mask])),
            None => Err(wrong(
                word,
                &format!("expected a prefix length of 0 to {most}"),
                match Family::of(address) {
                    Family::V4 => "write it like 10.0.0.0/8",
                    Family::V6 => "write it like 2001:db8::/32",
                },
            )),
        }
    })
}

fn ports<'a>(end: End) -> impl Parser<Words<'a>, Output = Test, Error = Problem> {
    let ranges = words::meant("a port, such as 80, 1024-65535 or 80,443", |word| {
        ranges(word).ok_or_else(|| {
            wrong(
                word,
                "expected ports of 0 to 65535: 80, 1024-65535 or 80,443",
                "write the port's number, the lower end of a range first",
            )
        })
    });
    map(ranges, move |ranges| Test::Ports(end, ranges))
}

fn sizes(words: Words<'_>) -> Read<'_, Vec<PortRange>> {
    words::meant("a segment size, such as 1460 or 0-1399", |word| {
        ranges(word).ok_or_else(|| {
            wrong(
                word,
                "expected segment sizes of 0 to 65535: 1460, 0-1399 or 536,1220",
                "write numbers, the lower end of a range first",
            )
        })
    })
    .parse(words)
}

fn ranges(word: &Word) -> Option<Vec<PortRange>> {
    word.text.split(',').map(range).collect()
}

fn way<'a>(names: &Names<'_>) -> impl Parser<Words<'a>, Output = Way, Error = Problem> {
    words::meant("an interface, such as `lan`, `eth+`, `local` or `none`", |word| {
        if word.text == "none" {
            return Ok(Way::None);
        }
        let is_there = |name: &str| name == LOCAL || name.ends_with('+') || (names.is_interface)(name);
        match InterfaceMask::new(&word.text) {
            Some(_) if !is_there(&word.text) => Err(Problem::new(
                word.position,
                format!("the lab has no interface `{}`", word.text),
                "expected an interface of the lab, `local` or `none`",
                "`nflab status` shows what a lab that runs has; one that ends with `+` stands for all that begin so",
            )),
            Some(mask) => Ok(Way::Named(mask)),
            None => Err(wrong(
                word,
                "expected an interface's name of at most 15 bytes",
                "shorten it, or end it with `+`",
            )),
        }
    })
}

/// Names with commas between them.
fn list<'a, T>(
    what: &str,
    known: &str,
    read: fn(&str) -> Option<T>,
) -> impl Parser<Words<'a>, Output = Vec<T>, Error = Problem> {
    move |words: Words<'a>| {
        words::meant(&format!("{what}: {known}"), |word| {
            let mut start = word.position.start;
            let parts = word.text.split(',').map(|part| {
                let position = start..start + part.len();
                start = position.end + 1;
                read(part).ok_or_else(|| {
                    let (expected, remedy) = (format!("expected {what}"), format!("it is one of {known}"));
                    Problem::new(position, not_understood(part), expected, remedy)
                })
            });
            parts.collect()
        })
        .parse(words)
    }
}

fn either<'a>(texts: [&str; 2]) -> impl Parser<Words<'a>, Output = &'a Word, Error = Problem> {
    words::fitting(move |word| texts.contains(&word.text.as_str()))
}

fn wrong(word: &Word, expected: &str, remedy: &str) -> Problem {
    Problem::new(word.position, not_understood(&word.text), expected, remedy)
}

fn not_understood(text: &str) -> String {
    format!("`{}` is not understood here", text.chars().take(60).collect::<String>())
}

fn one_or(mut nodes: Vec<Node>, several: fn(Vec<Node>) -> Node) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => several(nodes),
    }
}

fn range(text: &str) -> Option<PortRange> {
    let (low, high) = text.split_once(['-', ':']).unwrap_or((text, text));
    let (low, high) = (low.parse::<u16>().ok()?, high.parse::<u16>().ok()?);
    (low <= high).then_some(PortRange { low, high })
}

fn protocol_named(text: &str) -> Option<u8> {
    protocol::NAMES
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, number)| *number)
}

fn state(text: &str) -> Option<Option<CtState>> {
    if text.eq_ignore_ascii_case("none") {
        return Some(None);
    }
    [
        CtState::New,
        CtState::Established,
        CtState::Related,
        CtState::Invalid,
        CtState::Untracked,
    ]
    .into_iter()
    .find(|state| state.name().eq_ignore_ascii_case(text))
    .map(Some)
}

fn verdict(text: &str) -> Option<&'static str> {
    VERDICTS.into_iter().find(|verdict| verdict.eq_ignore_ascii_case(text))
}

/// A word of the language that is one letter away.
fn near(word: &str) -> Option<&'static str> {
    if word.len() > 16 {
        return None;
    }
    let letters: Vec<char> = word.chars().collect();
    TESTS.iter().copied().find(|known| {
        let known: Vec<char> = known.chars().collect();
        let same = letters.iter().zip(&known).take_while(|(a, b)| a == b).count();
        let tails =
            |a: usize, b: usize| letters.get(same + a..) == known.get(same + b..) && letters.get(same + a..).is_some();
        let swapped =
            letters.get(same) == known.get(same + 1) && letters.get(same + 1) == known.get(same) && tails(2, 2);
        tails(1, 1) || tails(1, 0) || tails(0, 1) || swapped
    })
}

/// A thread's stack holds so many of either also where nothing is optimised and others stand on it.
const DEEPEST: usize = 30;
const STATES: &str = "NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED, none";
const VERDICTS: [&str; 5] = ["ACCEPT", "DROP", "REJECT", "STOLEN", "QUEUE"];
const VERDICTS_TEXT: &str = "ACCEPT, DROP, REJECT, STOLEN, QUEUE";
const A_TEST: &str = "a test, such as `tcp`, `ip6`, `dport 80` or `src 10.0.0.0/8`";
const TESTS: [&str; 24] = [
    "tcp", "udp", "icmp", "icmpv6", "ip", "ip6", "proto", "host", "net", "src", "dst", "port", "sport", "dport", "mss",
    "in", "out", "state", "verdict", "accept", "drop", "reject", "stolen", "queue",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_one_letter_away_is_meant() {
        for (word, meant) in [
            ("tcpp", Some("tcp")),
            ("tp", Some("tcp")),
            ("txp", Some("tcp")),
            ("upd", Some("udp")),
            ("upx", None),
            ("dprot", Some("dport")),
            ("dpotr", Some("dport")),
            ("dptro", None),
            ("elephant", None),
            ("a_very_long_word_indeed", None),
        ] {
            assert_eq!(near(word), meant, "{word}");
        }
    }
}
