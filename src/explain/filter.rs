//! Which packets one wants to hear of: `tcp dport 80 and not src 10.0.0.0/8`.
//!
//! ```text
//! FILTER = TERM { or TERM }                TERM = FACTOR { [and] FACTOR }         FACTOR = not FACTOR | ( FILTER ) | TEST
//! TEST   = tcp | udp | icmp | ... | proto NAME|NUMBER                             the protocol
//!        | [src|dst] [host|net] ADDRESS[/LENGTH]                                  either end, or one of them
//!        | sport PORTS | dport PORTS | [src|dst] port PORTS                       80, 1024-65535, 80,443
//!        | in INTERFACE | out INTERFACE                                           eth+, local, none
//!        | state NEW,ESTABLISHED,RELATED,INVALID,UNTRACKED,none
//!        | verdict ACCEPT,DROP,REJECT,STOLEN,QUEUE      or the word alone: drop
//! ```
//! Words that follow each other are joined by `and`, which binds tighter than `or`; `!`, `&&` and `||` mean the same as the words. Addresses and
//! ports are those that the packet came with.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::base::absent::NO_IPV6;
use crate::base::{AddressMask, InterfaceMask, InterfaceName, PortRange, protocol};
use crate::conntrack::CtState;
use crate::wire::ipv4::Ipv4;

/// A filter, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    root: Node,
}

/// A packet as far as it is known: before the router saw it, `outcome` is `None`.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// As it came.
    pub packet: &'a [u8],
    /// `None`: the router's own.
    pub input: Option<InterfaceName>,
    pub outcome: Option<Outcome<'a>>,
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The interfaces that something left by because of it; `local` where it reached the router.
    pub outputs: &'a [InterfaceName],
    pub state: Option<CtState>,
    /// As [`Fate::verdict`](crate::engine::Fate::verdict) has it.
    pub verdict: &'a str,
}

/// What is wrong with a filter's text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    pub text: String,
    /// In bytes of the text.
    pub position: Range<usize>,
    pub message: String,
    pub expected: String,
    pub remedy: String,
}

/// What has a name in the lab that a filter is for.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The address of a host.
    pub host_of: &'a dyn Fn(&str) -> Option<IpAddr>,
    pub is_interface: &'a dyn Fn(&str) -> bool,
}

impl Names<'static> {
    /// For who does not know them yet: whatever may be a name of a host or an interface is one.
    pub fn of_any_lab() -> Self {
        Self {
            host_of: &|name| {
                let may_be = name.starts_with(|c: char| c.is_ascii_alphabetic());
                may_be.then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
            },
            is_interface: &|_| true,
        }
    }
}

impl Filter {
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let no_hosts = Names {
            host_of: &|_| None,
            is_interface: &|_| true,
        };
        Self::parse_among(text, &no_hosts)
    }

    /// The same in a lab, which has hosts and interfaces of these names.
    pub fn parse_among(text: &str, names: &Names<'_>) -> Result<Self, FilterError> {
        let mut parser = Parser {
            names,
            text,
            tokens: tokens(text),
            at: 0,
            depth: 0,
        };
        if parser.tokens.is_empty() {
            return Err(parser.missing(
                "a filter",
                "write one, such as `tcp dport 80`; without a filter, leave the option out",
            ));
        }
        let root = parser.any()?;
        match parser.peek() {
            None => Ok(Self { root }),
            Some(token) => Err(parser.wrong(
                token,
                "expected `and`, `or` or the end",
                "remove it, or its `(` is missing",
            )),
        }
    }

    /// Whether a packet fits; a test of what is not known yet counts as failed.
    pub fn fits(&self, subject: &Subject<'_>) -> bool {
        self.root.judge(subject, &Headers::of(subject.packet)) == Some(true)
    }

    /// Whether a packet may still fit, whatever becomes of it: what to ask before it is passed.
    pub fn may_fit(&self, packet: &[u8], input: Option<InterfaceName>) -> bool {
        let subject = Subject {
            packet,
            input,
            outcome: None,
        };
        self.root.judge(&subject, &Headers::of(packet)) != Some(false)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test(Test),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Protocol(u8),
    Address(End, AddressMask),
    Ports(End, Vec<PortRange>),
    Input(Way),
    Output(Way),
    State(Vec<Option<CtState>>),
    Verdict(Vec<&'static str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Source,
    Destination,
    Either,
}

/// An interface, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Named(InterfaceMask),
    None,
}

/// The fields that filters ask for.
struct Headers {
    ends: Option<(Ipv4Addr, Ipv4Addr)>,
    protocol: Option<u8>,
    ports: Option<(u16, u16)>,
}

impl Headers {
    fn of(bytes: &[u8]) -> Self {
        let Ok(ip) = Ipv4::new(bytes) else {
            return Self {
                ends: None,
                protocol: None,
                ports: None,
            };
        };
        let payload = ip.payload();
        let has_ports = ip.fragment_offset() == 0
            && matches!(
                ip.protocol(),
                protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP | protocol::DCCP
            );
        let ports = match payload {
            [a, b, c, d, ..] if has_ports => Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))),
            _ => None,
        };
        Self {
            ends: Some((ip.source(), ip.destination())),
            protocol: Some(ip.protocol()),
            ports,
        }
    }
}

impl Node {
    /// `None`: that is not known yet.
    fn judge(&self, subject: &Subject<'_>, headers: &Headers) -> Option<bool> {
        match self {
            Self::Test(test) => test.judge(subject, headers),
            Self::Not(node) => node.judge(subject, headers).map(|it| !it),
            Self::All(nodes) => join(nodes, subject, headers, false),
            Self::Any(nodes) => join(nodes, subject, headers, true),
        }
    }
}

/// One part that is `decides` settles it; else all must be known.
fn join(nodes: &[Node], subject: &Subject<'_>, headers: &Headers, decides: bool) -> Option<bool> {
    let mut all_known = true;
    for node in nodes {
        match node.judge(subject, headers) {
            Some(it) if it == decides => return Some(decides),
            Some(_) => {}
            None => all_known = false,
        }
    }
    all_known.then_some(!decides)
}

impl Test {
    fn judge(&self, subject: &Subject<'_>, headers: &Headers) -> Option<bool> {
        let at_end = |end: &End, source: bool, destination: bool| match end {
            End::Source => source,
            End::Destination => destination,
            End::Either => source || destination,
        };
        Some(match self {
            Self::Protocol(number) => headers.protocol == Some(*number),
            Self::Address(end, mask) => headers.ends.is_some_and(|(source, destination)| {
                at_end(end, mask.contains(source.into()), mask.contains(destination.into()))
            }),
            Self::Ports(end, ranges) => headers.ports.is_some_and(|(source, destination)| {
                let within = |port: u16| ranges.iter().any(|range| range.contains(port));
                at_end(end, within(source), within(destination))
            }),
            Self::Input(way) => match (way, subject.input) {
                (Way::None, input) => input.is_none(),
                (Way::Named(mask), Some(name)) => mask.matches(&name),
                // The router's own packets come from `local`.
                (Way::Named(mask), None) => mask.text() == LOCAL,
            },
            Self::Output(way) => {
                let outputs = subject.outcome?.outputs;
                match way {
                    Way::None => outputs.is_empty(),
                    Way::Named(mask) => outputs.iter().any(|name| mask.matches(name)),
                }
            }
            Self::State(states) => states.contains(&subject.outcome?.state),
            Self::Verdict(verdicts) => verdicts.contains(&subject.outcome?.verdict),
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    text: &'a str,
    start: usize,
}

impl Token<'_> {
    fn range(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }
}

/// Words between blanks; parentheses, `!`, `&&` and `||` stand for themselves wherever they are.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut start = None;
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        let rest = &text[at..];
        let sign = ["(", ")", "!", "&&", "||"]
            .into_iter()
            .find(|sign| rest.starts_with(sign));
        if (sign.is_some() || character.is_whitespace())
            && let Some(start) = start.take()
        {
            found.push(Token {
                text: &text[start..at],
                start,
            });
        }
        match sign {
            Some(sign) => {
                found.push(Token {
                    text: &rest[..sign.len()],
                    start: at,
                });
                at += sign.len();
            }
            None => {
                if !character.is_whitespace() {
                    start.get_or_insert(at);
                }
                at += character.len_utf8();
            }
        }
    }
    if let Some(start) = start {
        found.push(Token {
            text: &text[start..],
            start,
        });
    }
    found
}

struct Parser<'a> {
    names: &'a Names<'a>,
    text: &'a str,
    tokens: Vec<Token<'a>>,
    at: usize,
    /// Of parentheses and `not`, so that a text of nothing else cannot exhaust the stack.
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    fn eat(&mut self, words: &[&str]) -> bool {
        let found = self.peek().is_some_and(|token| words.contains(&token.text));
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Node, FilterError> {
        let mut nodes = vec![self.all()?];
        while self.eat(&["or", "||"]) {
            nodes.push(self.all()?);
        }
        Ok(one_or(nodes, Node::Any))
    }

    fn all(&mut self) -> Result<Node, FilterError> {
        let mut nodes = vec![self.factor()?];
        loop {
            if !self.eat(&["and", "&&"]) && self.peek().is_none_or(|token| matches!(token.text, "or" | "||" | ")")) {
                return Ok(one_or(nodes, Node::All));
            }
            nodes.push(self.factor()?);
        }
    }

    fn factor(&mut self) -> Result<Node, FilterError> {
        self.depth += 1;
        let node = self.factor_inside();
        self.depth -= 1;
        node
    }

    fn factor_inside(&mut self) -> Result<Node, FilterError> {
        let here = self.peek();
        if let Some(token) = here
            && self.depth > DEEPEST
        {
            return Err(self.wrong(token, "expected a filter less deep", "write it with fewer parentheses"));
        }
        if self.eat(&["not", "!"]) {
            return Ok(Node::Not(Box::new(self.factor()?)));
        }
        if self.eat(&["("]) {
            let node = self.any()?;
            if !self.eat(&[")"]) {
                let open = here.map_or(0..0, |token| token.range());
                return Err(self.error(
                    open,
                    "this `(` is never closed".to_owned(),
                    "expected its `)`",
                    "put a `)` where it ends",
                ));
            }
            return Ok(node);
        }
        self.test().map(Node::Test)
    }

    fn test(&mut self) -> Result<Test, FilterError> {
        let token = self.next("a test, such as `tcp`, `dport 80` or `src 10.0.0.0/8`")?;
        if let Some(number) = protocol_named(token.text) {
            return Ok(Test::Protocol(number));
        }
        if let Some(verdict) = verdict(token.text) {
            return Ok(Test::Verdict(vec![verdict]));
        }
        match token.text {
            "proto" => {
                let token = self.next("a protocol's name or number")?;
                let number = protocol_named(token.text).or_else(|| token.text.parse().ok());
                let number = number.ok_or_else(|| {
                    self.wrong(
                        token,
                        "expected a protocol: tcp, udp, icmp, ... or 0 to 255",
                        "write its number",
                    )
                })?;
                Ok(Test::Protocol(number))
            }
            "src" => self.end(End::Source),
            "dst" => self.end(End::Destination),
            "host" | "net" => self.address(End::Either),
            "sport" => self.ports(End::Source),
            "dport" => self.ports(End::Destination),
            "port" => self.ports(End::Either),
            "in" => Ok(Test::Input(self.way()?)),
            "out" => Ok(Test::Output(self.way()?)),
            "state" => self.list("a state", STATES, state).map(Test::State),
            "verdict" => self.list("a verdict", VERDICTS_TEXT, verdict).map(Test::Verdict),
            text if text.parse::<IpAddr>().is_ok() || text.contains('/') => {
                self.at -= 1;
                self.address(End::Either)
            }
            text => {
                let remedy = match near(text) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => format!("the tests are {}", TESTS.join(", ")),
                };
                Err(self.wrong(
                    token,
                    "expected a test, such as `tcp`, `dport 80` or `src 10.0.0.0/8`",
                    &remedy,
                ))
            }
        }
    }

    fn end(&mut self, end: End) -> Result<Test, FilterError> {
        if self.eat(&["port"]) {
            return self.ports(end);
        }
        self.eat(&["host"]);
        self.eat(&["net"]);
        self.address(end)
    }

    fn address(&mut self, end: End) -> Result<Test, FilterError> {
        let token = self.next("an address, such as 10.0.0.2 or 10.0.0.0/8, or a host of the lab")?;
        let (address, length) = match token.text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (token.text, None),
        };
        let expected = "expected an IPv4 address or network, or a host of the lab";
        let host = (self.names.host_of)(address).filter(|_| length.is_none());
        match host.map_or_else(|| address.parse::<IpAddr>(), Ok) {
            Ok(IpAddr::V6(_)) => Err(self.error(
                token.range(),
                format!("{NO_IPV6}: `{}` cannot be asked for", token.text),
                expected,
                "ask for IPv4",
            )),
            Err(_) => Err(self.wrong(token, expected, "write it like 10.0.0.2 or 10.0.0.0/8")),
            Ok(address) => {
                let length = match length {
                    None => Some(32),
                    Some(text) => text.parse().ok(),
                };
                match length.and_then(|length| AddressMask::prefix(address, length)) {
                    Some(mask) => Ok(Test::Address(end, mask)),
                    None => Err(self.wrong(token, "expected a prefix length of 0 to 32", "write it like 10.0.0.0/8")),
                }
            }
        }
    }

    fn ports(&mut self, end: End) -> Result<Test, FilterError> {
        let token = self.next("a port, such as 80, 1024-65535 or 80,443")?;
        let ranges: Option<Vec<PortRange>> = token.text.split(',').map(ports).collect();
        match ranges {
            Some(ranges) => Ok(Test::Ports(end, ranges)),
            None => Err(self.wrong(
                token,
                "expected ports of 0 to 65535: 80, 1024-65535 or 80,443",
                "write the port's number, the lower end of a range first",
            )),
        }
    }

    fn way(&mut self) -> Result<Way, FilterError> {
        let token = self.next("an interface, such as `lan`, `eth+`, `local` or `none`")?;
        if token.text == "none" {
            return Ok(Way::None);
        }
        let is_there = |name: &str| name == LOCAL || name.ends_with('+') || (self.names.is_interface)(name);
        match InterfaceMask::new(token.text) {
            Some(_) if !is_there(token.text) => Err(self.error(
                token.range(),
                format!("the lab has no interface `{}`", token.text),
                "expected an interface of the lab, `local` or `none`",
                "`nflab status` shows what a lab that runs has; one that ends with `+` stands for all that begin so",
            )),
            Some(mask) => Ok(Way::Named(mask)),
            None => Err(self.wrong(
                token,
                "expected an interface's name of at most 15 bytes",
                "shorten it, or end it with `+`",
            )),
        }
    }

    fn list<T>(&mut self, what: &str, known: &str, read: fn(&str) -> Option<T>) -> Result<Vec<T>, FilterError> {
        let token = self.next(&format!("{what}: {known}"))?;
        let mut start = token.start;
        let mut found = Vec::new();
        for part in token.text.split(',') {
            let here = Token { text: part, start };
            start += part.len() + 1;
            found.push(
                read(part)
                    .ok_or_else(|| self.wrong(here, &format!("expected {what}"), &format!("it is one of {known}")))?,
            );
        }
        Ok(found)
    }

    fn next(&mut self, expected: &str) -> Result<Token<'a>, FilterError> {
        let Some(token) = self.peek() else {
            return Err(self.missing(expected, &format!("write {expected} here")));
        };
        self.at += 1;
        Ok(token)
    }

    fn missing(&self, expected: &str, remedy: &str) -> FilterError {
        let end = self.text.len();
        let message = "the filter ends too early".to_owned();
        self.error(end..end, message, &format!("expected {expected}"), remedy)
    }

    fn wrong(&self, token: Token<'_>, expected: &str, remedy: &str) -> FilterError {
        let message = format!(
            "`{}` is not understood here",
            token.text.chars().take(60).collect::<String>()
        );
        self.error(token.range(), message, expected, remedy)
    }

    fn error(&self, position: Range<usize>, message: String, expected: &str, remedy: &str) -> FilterError {
        FilterError {
            text: self.text.to_owned(),
            position,
            message,
            expected: expected.to_owned(),
            remedy: remedy.to_owned(),
        }
    }
}

impl FilterError {
    /// With colours, for a terminal.
    pub fn styled(&self) -> String {
        self.draw(&Renderer::styled())
    }

    fn draw(&self, renderer: &Renderer) -> String {
        let snippet = Snippet::source(self.text.as_str()).path("filter").annotation(
            AnnotationKind::Primary
                .span(self.position.clone())
                .label(self.expected.as_str()),
        );
        let mut group = Level::ERROR.primary_title(self.message.as_str()).element(snippet);
        if !self.remedy.is_empty() {
            group = group.element(Level::HELP.message(self.remedy.as_str()));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.draw(&Renderer::plain()))
    }
}

impl std::error::Error for FilterError {}

fn one_or(mut nodes: Vec<Node>, several: fn(Vec<Node>) -> Node) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => several(nodes),
    }
}

fn ports(text: &str) -> Option<PortRange> {
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

/// What a packet of the router's own comes from, and what reached it went to.
const LOCAL: &str = "local";
const DEEPEST: usize = 100;
const STATES: &str = "NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED, none";
const VERDICTS: [&str; 5] = ["ACCEPT", "DROP", "REJECT", "STOLEN", "QUEUE"];
const VERDICTS_TEXT: &str = "ACCEPT, DROP, REJECT, STOLEN, QUEUE";
const TESTS: [&str; 20] = [
    "tcp", "udp", "icmp", "proto", "host", "net", "src", "dst", "port", "sport", "dport", "in", "out", "state",
    "verdict", "accept", "drop", "reject", "stolen", "queue",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ipv4::Repr;

    fn packet(number: u8, ports: (u16, u16)) -> Vec<u8> {
        let mut payload = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
        payload.resize(20, 0);
        Repr {
            tos: 0,
            identification: 0,
            dont_fragment: false,
            ttl: 64,
            protocol: number,
            source: Ipv4Addr::new(10, 0, 0, 2),
            destination: Ipv4Addr::new(192, 0, 2, 9),
        }
        .emit(&payload)
    }

    #[test]
    fn what_fits() {
        let name = |text| InterfaceName::new(text).unwrap();
        let bytes = packet(protocol::TCP, (40_000, 80));
        let outputs = [name("wan")];
        let subject = Subject {
            packet: &bytes,
            input: Some(name("lan")),
            outcome: Some(Outcome {
                outputs: &outputs,
                state: Some(CtState::New),
                verdict: "ACCEPT",
            }),
        };
        for (text, expected) in [
            ("tcp", true),
            ("udp", false),
            ("not udp", true),
            ("!udp && tcp", true),
            ("tcp dport 80", true),
            ("tcp and dport 443", false),
            ("dport 443,8000-9000 or dport 79:81", true),
            ("sport 80", false),
            ("src port 40000", true),
            ("port 80", true),
            ("src 10.0.0.0/8", true),
            ("dst 10.0.0.0/8", false),
            ("host 192.0.2.9", true),
            ("10.0.0.0/24", true),
            ("192.0.2.8", false),
            ("dst net 192.0.2.0/24", true),
            ("in lan", true),
            ("in l+", true),
            ("in la", false),
            ("in local", false),
            ("in none", false),
            ("out wan", true),
            ("out none", false),
            ("state NEW,INVALID", true),
            ("state established", false),
            ("state none", false),
            ("verdict DROP,ACCEPT", true),
            ("drop", false),
            ("accept", true),
            ("proto 6", true),
            ("proto gre", false),
            // `and` binds tighter than `or`, and words alone are `and`.
            ("tcp or udp dport 443", true),
            ("(tcp or udp) dport 443", false),
            ("udp or not (dport 443 or drop)", true),
            ("not not tcp", true),
        ] {
            let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(filter.fits(&subject), expected, "{text}");
        }
    }

    /// Before the packet has passed, only what the packet itself tells counts.
    #[test]
    fn what_may_fit_yet() {
        let bytes = packet(protocol::TCP, (40_000, 80));
        let lan = InterfaceName::new("lan");
        for (text, expected) in [
            ("tcp state NEW", true),
            ("udp state NEW", false),
            ("udp or drop", true),
            ("not drop", true),
            ("not (tcp or drop)", false),
            ("in wan drop", false),
            ("in lan out wan", true),
        ] {
            assert_eq!(Filter::parse(text).unwrap().may_fit(&bytes, lan), expected, "{text}");
        }
    }

    #[test]
    fn odd_packets_fit_only_what_they_have() {
        let any = Filter::parse("not tcp").unwrap();
        let ports = Filter::parse("port 0-65535").unwrap();
        for bytes in [&[][..], &[0x45], &[0x60; 60]] {
            assert!(any.may_fit(bytes, None));
            assert!(!ports.may_fit(bytes, None));
        }
        assert!(!ports.may_fit(&packet(protocol::ICMP, (8, 0)), None));
        let mut later = packet(protocol::UDP, (1, 2));
        later[7] = 2;
        assert!(!ports.may_fit(&later, None));
    }

    #[test]
    fn what_is_wrong_is_said_where() {
        for (text, expected) in [
            (
                "tcp dprt 80",
                "error: `dprt` is not understood here\n --> filter:1:5\n  |\n1 | tcp dprt 80\n  |     ^^^^ expected a test, such as `tcp`, `dport 80` or `src 10.0.0.0/8`\n  |\n  = help: did you mean `dport`?",
            ),
            (
                "tcp dport",
                "error: the filter ends too early\n --> filter:1:10\n  |\n1 | tcp dport\n  |          ^ expected a port, such as 80, 1024-65535 or 80,443\n  |\n  = help: write a port, such as 80, 1024-65535 or 80,443 here",
            ),
            (
                "(tcp or udp",
                "error: this `(` is never closed\n --> filter:1:1\n  |\n1 | (tcp or udp\n  | ^ expected its `)`\n  |\n  = help: put a `)` where it ends",
            ),
            (
                "state NEW,ODD",
                "error: `ODD` is not understood here\n --> filter:1:11\n  |\n1 | state NEW,ODD\n  |           ^^^ expected a state\n  |\n  = help: it is one of NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED, none",
            ),
        ] {
            assert_eq!(Filter::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
        for text in [
            "",
            "   ",
            "tcp)",
            "()",
            "not",
            "tcp or",
            "or tcp",
            "dport 70000",
            "dport 9-3",
            "src 10.0.0.0/33",
            "src 2001:db8::1",
            "in",
            "proto 256",
            "in averyveryverylongname",
            "dport http",
            "§",
        ] {
            let error = Filter::parse(text).unwrap_err();
            assert!(!error.remedy.is_empty(), "{text}");
            assert!(error.to_string().contains("--> filter:1:"), "{error}");
        }
        assert!(Filter::parse(&"(".repeat(100_000)).is_err());
        assert!(Filter::parse(&"not ".repeat(100_000)).is_err());
    }
}
