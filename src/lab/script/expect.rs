//! What a script may expect, and whether it is so.

use std::net::{IpAddr, Ipv4Addr};

use super::lex::Word;
use crate::base::{InterfaceName, Time, protocol};
use crate::conntrack::text::{self as conntrack_text, ExpectationForm, FlowForm};
use crate::engine::{Emission, Fate};
use crate::explain::describe;
use crate::lab::machine::ToolOutput;
use crate::lab::memory::{LOCAL, Lab, Passage};
use crate::lab::problem::{Problem, suggestion};
use crate::lab::send::atom;
use crate::lab::send::cursor::{Cursor, unexpected};
use crate::packet::Packet;
use crate::rule::{ChainKind, Counters, Table};

/// One expectation.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// `accept`, `drop`, `reject`, `stolen`, `queue`; `forwarded`, `delivered`, `sent`.
    Fate(&'static str),
    /// `state NEW`; `None`: never tracked.
    State(Option<String>),
    /// `out wan tcp 192.0.2.1 > 192.0.2.9 S ttl 63`.
    Out(InterfaceName, Vec<Field>),
    /// `no out`, `no out wan`.
    NoOut(Option<InterfaceName>),
    /// `by filter FORWARD 3`; `None`: the policy.
    By(Table, String, Option<u32>),
    /// `rule filter FORWARD 3 packets 1 bytes 40`.
    Counted {
        table: Table,
        chain: String,
        /// `None`: the policy.
        number: Option<u32>,
        packets: Option<u64>,
        bytes: Option<u64>,
    },
    /// `flow tcp ESTABLISHED src=10.0.0.2`: words of one line of `conntrack -L -o extended`, in order.
    Flow(Vec<String>),
    NoFlow(Vec<String>),
    Flows(u64),
    /// The same of `conntrack -L expect`.
    Expected(Vec<String>),
    NoExpected(Vec<String>),
    /// A part of a line that the last packet left in the kernel's log.
    Log(String),
    NoLog(Option<String>),
    /// A part of what the last tool printed (on either stream).
    Output(String),
    NoOutput(String),
}

/// One thing that an emission has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Protocol(u8),
    Source(Ipv4Addr),
    Destination(Ipv4Addr),
    SourcePort(u16),
    DestinationPort(u16),
    Flags(u8),
    Icmp(String),
    Number(&'static str, u64),
    DontFragment,
    Data(Vec<u8>),
}

impl Expectation {
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Problem> {
        let no = cursor.eat("no");
        let word = cursor.word("what to expect, such as `accept` or `out wan`")?;
        let parsed = match (word.text.as_str(), no) {
            (text, false) if FATES.contains(&text) => {
                Self::Fate(FATES.iter().copied().find(|fate| *fate == text).unwrap_or(""))
            }
            ("state", false) => {
                let expected = "NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED or none";
                Self::State(cursor.parse(expected, |text| match text {
                    "none" => Some(None),
                    "NEW" | "ESTABLISHED" | "RELATED" | "INVALID" | "UNTRACKED" => Some(Some(text.to_owned())),
                    _ => None,
                })?)
            }
            ("out", false) => {
                let interface = cursor.parse("an interface's name, or `local`", InterfaceName::new)?;
                Self::Out(interface, fields(cursor)?)
            }
            ("out", true) => match cursor.is_done() {
                true => Self::NoOut(None),
                false => Self::NoOut(Some(
                    cursor.parse("an interface's name, or `local`", InterfaceName::new)?,
                )),
            },
            ("by", false) => {
                let (table, chain) = table_and_chain(cursor)?;
                let number = cursor.parse("a rule's number, or `policy`", |text| match text {
                    "policy" => Some(None),
                    text => atom::number(text).map(|number| Some(number as u32)),
                })?;
                Self::By(table, chain, number)
            }
            (which @ ("rule" | "policy"), false) => {
                let (table, chain) = table_and_chain(cursor)?;
                let number = match which {
                    "rule" => Some(cursor.number("a rule's number", 1..=u64::from(u32::MAX))? as u32),
                    _ => None,
                };
                let (mut packets, mut bytes) = (None, None);
                if cursor.eat("packets") {
                    packets = Some(cursor.number("a number of packets", 0..=u64::MAX)?);
                }
                if cursor.eat("bytes") {
                    bytes = Some(cursor.number("a number of bytes", 0..=u64::MAX)?);
                }
                if packets.is_none() && bytes.is_none() {
                    cursor.expect("packets")?;
                }
                Self::Counted {
                    table,
                    chain,
                    number,
                    packets,
                    bytes,
                }
            }
            ("flow", no) => {
                let words = texts(
                    cursor,
                    "words of the flow's line, such as `tcp ESTABLISHED dport=80`",
                    no,
                )?;
                if no { Self::NoFlow(words) } else { Self::Flow(words) }
            }
            ("flows", false) => Self::Flows(cursor.number("a number of flows", 0..=u64::MAX)?),
            ("expectation", no) => {
                let words = texts(cursor, "words of the expectation's line, such as `dport=1024`", no)?;
                if no {
                    Self::NoExpected(words)
                } else {
                    Self::Expected(words)
                }
            }
            ("log", false) => Self::Log(cursor.word("a part of the line")?.text.clone()),
            ("log", true) => {
                let text = cursor.peek_text().map(str::to_owned);
                if text.is_some() {
                    cursor.skip();
                }
                Self::NoLog(text)
            }
            ("output", no) => {
                let text = cursor.word("a part of what the tool printed")?.text.clone();
                if no { Self::NoOutput(text) } else { Self::Output(text) }
            }
            (text, no) => return Err(unknown(word, text, no)),
        };
        cursor.end("expected the end of the line")?;
        Ok(parsed)
    }

    /// `Err` says what is instead.
    pub fn check(&self, lab: &Lab, last_tool: Option<&ToolOutput>) -> Result<(), String> {
        match self {
            Self::Fate(wanted) => fate(passage(lab)?, wanted),
            Self::State(wanted) => {
                let passage = passage(lab)?;
                let is = passage.report.state.map(|state| state.name());
                hold(is == wanted.as_deref(), || match is {
                    Some(state) => format!("the packet's state is {state}"),
                    None => "the packet was never tracked".to_owned(),
                })
            }
            Self::Out(interface, fields) => out(lab, passage(lab)?, *interface, fields),
            Self::NoOut(interface) => {
                let passage = passage(lab)?;
                let left: Vec<String> = passage
                    .output
                    .iter()
                    .map(|emission| (lab.port_name(emission.port), emission))
                    .filter(|(name, _)| match interface {
                        Some(wanted) => name == wanted,
                        None => name.as_str() != LOCAL,
                    })
                    .map(|(name, emission)| format!("by {name}: {}", describe::line(&emission.bytes)))
                    .collect();
                hold(left.is_empty(), || format!("this left {}", left.join("; ")))
            }
            Self::By(table, chain, number) => {
                let deciding = passage(lab)?.story.deciding();
                let found: Vec<_> = deciding.iter().filter(|it| it.table == *table).collect();
                let is = found.iter().any(|it| it.chain == *chain && it.number == *number);
                hold(is, || match &found[..] {
                    [] => format!("the packet met no table {}", table.name()),
                    found => {
                        let words: Vec<String> = found
                            .iter()
                            .map(|it| match it.number {
                                Some(number) => format!("rule {number} of {} {}", table.name(), it.chain),
                                None => format!("the policy of {} {}", table.name(), it.chain),
                            })
                            .collect();
                        format!("it was decided by {}", words.join(", then by "))
                    }
                })
            }
            Self::Counted {
                table,
                chain,
                number,
                packets,
                bytes,
            } => {
                let counters = counters(lab, *table, chain, *number)?;
                let right = packets.is_none_or(|wanted| wanted == counters.packets)
                    && bytes.is_none_or(|wanted| wanted == counters.bytes);
                hold(right, || {
                    format!("it has counted {} packets, {} bytes", counters.packets, counters.bytes)
                })
            }
            Self::Flow(words) => some_line(&flow_lines(lab), words, "flow"),
            Self::NoFlow(words) => no_line(&flow_lines(lab), words),
            Self::Flows(wanted) => {
                let lines = flow_lines(lab);
                hold(lines.len() as u64 == *wanted, || {
                    format!("there are {} flows{}", lines.len(), listed(&lines))
                })
            }
            Self::Expected(words) => some_line(&expectation_lines(lab), words, "expectation"),
            Self::NoExpected(words) => no_line(&expectation_lines(lab), words),
            Self::Log(part) => {
                let log: Vec<String> = passage(lab)?.log.iter().map(|record| record.text.clone()).collect();
                hold(log.iter().any(|line| line.contains(part)), || match &log[..] {
                    [] => "the packet left nothing in the log".to_owned(),
                    log => format!("the packet left this in the log{}", listed(log)),
                })
            }
            Self::NoLog(part) => {
                let log: Vec<String> = passage(lab)?.log.iter().map(|record| record.text.clone()).collect();
                let found = log
                    .iter()
                    .find(|line| part.as_ref().is_none_or(|part| line.contains(part)));
                hold(found.is_none(), || {
                    format!("the packet left this in the log{}", listed(&log))
                })
            }
            Self::Output(part) => {
                let printed = printed(last_tool)?;
                hold(printed.contains(part), || {
                    format!("the tool printed: {}", printed.trim_end())
                })
            }
            Self::NoOutput(part) => {
                let printed = printed(last_tool)?;
                hold(!printed.contains(part), || {
                    format!("the tool printed: {}", printed.trim_end())
                })
            }
        }
    }
}

fn hold(is: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if is { Ok(()) } else { Err(otherwise()) }
}

fn passage(lab: &Lab) -> Result<&Passage, String> {
    lab.last().ok_or_else(|| "no packet has been sent yet".to_owned())
}

fn printed(last: Option<&ToolOutput>) -> Result<String, String> {
    let output = last.ok_or_else(|| "no tool has been called yet".to_owned())?;
    Ok(format!("{}{}", output.stdout, output.stderr))
}

fn fate(passage: &Passage, wanted: &str) -> Result<(), String> {
    let fate = &passage.report.fate;
    let right = match wanted {
        "forwarded" => *fate == Fate::Forwarded,
        "delivered" => *fate == Fate::Delivered,
        "sent" => *fate == Fate::Sent,
        word => fate.verdict().eq_ignore_ascii_case(word),
    };
    hold(right, || match fate {
        Fate::Forwarded => "the packet was accepted, and forwarded".to_owned(),
        Fate::Delivered => "the packet was accepted, and reached the router".to_owned(),
        Fate::Sent => "the packet was accepted, and sent".to_owned(),
        Fate::Stopped(reason) => format!("the packet went no further: {reason}"),
    })
}

fn out(lab: &Lab, passage: &Passage, interface: InterfaceName, wanted: &[Field]) -> Result<(), String> {
    let left: Vec<&Emission> = passage
        .output
        .iter()
        .filter(|emission| lab.port_name(emission.port) == interface)
        .collect();
    if left.is_empty() {
        let elsewhere: Vec<String> = passage
            .output
            .iter()
            .map(|emission| {
                format!(
                    "by {}: {}",
                    lab.port_name(emission.port),
                    describe::line(&emission.bytes)
                )
            })
            .collect();
        return Err(match &elsewhere[..] {
            [] => match &passage.report.fate {
                Fate::Stopped(reason) => format!("nothing left: {reason}"),
                _ => "nothing left".to_owned(),
            },
            lines => format!("nothing left by {interface}; this did{}", listed(lines)),
        });
    }
    let misses: Vec<Option<String>> = left
        .iter()
        .map(|emission| wanted.iter().find_map(|field| field.miss(&emission.bytes)))
        .collect();
    hold(misses.iter().any(Option::is_none), || {
        let lines: Vec<String> = left
            .iter()
            .zip(misses)
            .map(|(emission, miss)| format!("{} ({})", describe::line(&emission.bytes), miss.unwrap_or_default()))
            .collect();
        format!("this left by {interface}{}", listed(&lines))
    })
}

impl Field {
    /// What a packet has instead; `None` where it is right.
    fn miss(&self, bytes: &[u8]) -> Option<String> {
        let Ok(packet) = Packet::parse(bytes.to_vec()) else {
            return Some("it is no IPv4 packet".to_owned());
        };
        let ip = packet.ipv4();
        let differs = |name: &str, is: String, right: bool| (!right).then(|| format!("{name} is {is}"));
        let ports = packet.ports();
        let port = |name: &str, is: Option<u16>, wanted: u16| {
            let text = is.map_or("none".to_owned(), |port| port.to_string());
            differs(name, text, is == Some(wanted))
        };
        match self {
            Self::Protocol(wanted) => differs(
                "the protocol",
                describe::protocol_name(packet.protocol()),
                packet.protocol() == *wanted,
            ),
            Self::Source(wanted) => differs(
                "src",
                packet.source().to_string(),
                packet.source() == IpAddr::V4(*wanted),
            ),
            Self::Destination(wanted) => differs(
                "dst",
                packet.destination().to_string(),
                packet.destination() == IpAddr::V4(*wanted),
            ),
            Self::SourcePort(wanted) => port("sport", ports.map(|it| it.0), *wanted),
            Self::DestinationPort(wanted) => port("dport", ports.map(|it| it.1), *wanted),
            Self::Flags(wanted) => {
                let is = packet.tcp().map(|tcp| tcp.flags());
                let text = is.map_or("none".to_owned(), describe::flag_letters);
                differs("its flags are", text, is == Some(*wanted))
            }
            Self::Icmp(wanted) => {
                let is = packet
                    .icmpv4()
                    .map(|icmp| describe::icmp_kind(icmp.kind(), icmp.code()));
                let right = is.as_ref().is_some_and(|is| is == wanted);
                differs("the ICMP message", is.unwrap_or_else(|| "none".to_owned()), right)
            }
            Self::DontFragment => differs("df", "not set".to_owned(), ip.dont_fragment()),
            Self::Data(wanted) => {
                let payload = match (packet.tcp(), packet.udp(), packet.icmpv4()) {
                    (Some(tcp), ..) => tcp.payload().to_vec(),
                    (_, Some(udp), _) => udp.payload().to_vec(),
                    (.., Some(icmp)) => icmp.payload().to_vec(),
                    _ => packet.transport().to_vec(),
                };
                let found = wanted.is_empty() || payload.windows(wanted.len()).any(|part| part == wanted);
                differs("its data", format!("\"{}\"", payload.escape_ascii()), found)
            }
            Self::Number(name, wanted) => {
                let is = match *name {
                    "ttl" => Some(u64::from(ip.ttl())),
                    "tos" => Some(u64::from(ip.tos())),
                    "ipid" => Some(u64::from(ip.identification())),
                    "length" => Some(u64::from(ip.total_length())),
                    "frag" => Some(ip.fragment_offset() as u64),
                    "seq" => packet
                        .tcp()
                        .map(|tcp| u64::from(tcp.sequence()))
                        .or_else(|| packet.icmpv4().map(|icmp| u64::from(icmp.sequence()))),
                    "ack" => packet.tcp().map(|tcp| u64::from(tcp.acknowledgement())),
                    "win" => packet.tcp().map(|tcp| u64::from(tcp.window())),
                    _ => packet.icmpv4().map(|icmp| u64::from(icmp.identifier())),
                };
                let text = is.map_or("none".to_owned(), |is| is.to_string());
                differs(name, text, is == Some(*wanted))
            }
        }
    }
}

/// `[PROTOCOL] [A > B] [FLAGS|ICMP KIND] [src A] [dst A] ...`
fn fields(cursor: &mut Cursor<'_>) -> Result<Vec<Field>, Problem> {
    let mut fields = Vec::new();
    let mut of = 0;
    if let Some(number) = cursor.peek_text().and_then(|text| match text {
        "tcp" => Some(protocol::TCP),
        "udp" => Some(protocol::UDP),
        "icmp" => Some(protocol::ICMP),
        _ => None,
    }) {
        cursor.skip();
        of = number;
        fields.push(Field::Protocol(number));
    }
    if let Some((address, port)) = cursor.peek_text().and_then(atom::endpoint) {
        cursor.skip();
        fields.push(Field::Source(address));
        fields.extend(port.map(Field::SourcePort));
        cursor.expect(">")?;
        let (address, port) = cursor.parse("an address, with or without a port", atom::endpoint)?;
        fields.push(Field::Destination(address));
        fields.extend(port.map(Field::DestinationPort));
    }
    while let Some(word) = cursor.peek() {
        cursor.skip();
        match word.text.as_str() {
            "src" | "dst" => {
                let (address, port) = cursor.parse("an address, with or without a port", atom::endpoint)?;
                if word.text == "src" {
                    fields.push(Field::Source(address));
                    fields.extend(port.map(Field::SourcePort));
                } else {
                    fields.push(Field::Destination(address));
                    fields.extend(port.map(Field::DestinationPort));
                }
            }
            "sport" => fields.push(Field::SourcePort(cursor.number("a port", 0..=65_535)? as u16)),
            "dport" => fields.push(Field::DestinationPort(cursor.number("a port", 0..=65_535)? as u16)),
            "proto" => fields.push(Field::Protocol(cursor.number("a protocol's number", 0..=255)? as u8)),
            "flags" => fields.push(Field::Flags(cursor.parse("TCP flags such as SA", atom::tcp_flags)?)),
            "df" => fields.push(Field::DontFragment),
            "data" => fields.push(Field::Data(cursor.parse("a part of the data", atom::text)?)),
            text => {
                if let Some(name) = NUMBERS.iter().copied().find(|name| *name == text) {
                    fields.push(Field::Number(name, cursor.number("a number", 0..=u64::from(u32::MAX))?));
                } else if let Some(flags) = atom::tcp_flags(text).filter(|_| of == protocol::TCP) {
                    fields.push(Field::Flags(flags));
                } else if of == protocol::ICMP {
                    let mut kind = text.to_owned();
                    let takes_code = matches!(text, "unreachable" | "redirect" | "time-exceeded" | "parameter-problem");
                    if let Some(code) = cursor.peek_text().filter(|code| takes_code && !NUMBERS.contains(code)) {
                        cursor.skip();
                        kind = format!("{kind} {code}");
                    }
                    fields.push(Field::Icmp(kind));
                } else {
                    return Err(unexpected(
                        word,
                        "expected a field of the packet",
                        "known are: A > B, src, dst, sport, dport, proto, flags, df, data, ttl, tos, id, ipid, length, frag, seq, ack, win",
                    ));
                }
            }
        }
    }
    Ok(fields)
}

fn table_and_chain(cursor: &mut Cursor<'_>) -> Result<(Table, String), Problem> {
    let first = cursor.word("a chain, or a table and a chain")?;
    // A chain may be called as a table is; two words in a row that are no number mean a table and a chain.
    let two = cursor
        .peek_text()
        .is_some_and(|text| atom::number(text).is_none() && !matches!(text, "packets" | "bytes" | "policy"));
    if !two {
        return Ok((Table::Filter, first.text.clone()));
    }
    let Some(table) = Table::from_name(&first.text) else {
        return Err(unexpected(
            first,
            "expected a table: raw, mangle, nat, filter or security",
            "",
        ));
    };
    Ok((table, cursor.word("a chain")?.text.clone()))
}

fn texts(cursor: &mut Cursor<'_>, expected: &str, may_be_none: bool) -> Result<Vec<String>, Problem> {
    let words = cursor.take_rest();
    if words.is_empty() && !may_be_none {
        cursor.word(expected)?;
    }
    Ok(words.iter().map(|word| word.text.clone()).collect())
}

fn unknown(word: &Word, text: &str, no: bool) -> Problem {
    let known: Vec<&str> = FATES.iter().copied().chain(SUBJECTS.iter().copied()).collect();
    if no && known.contains(&text) {
        return unexpected(
            word,
            "expected out, flow, expectation, log or output after `no`",
            "expect what is instead",
        );
    }
    let remedy = match suggestion(text, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of {}", known.join(", ")),
    };
    unexpected(word, "expected something to expect", &remedy)
}

fn counters(lab: &Lab, table: Table, chain: &str, number: Option<u32>) -> Result<Counters, String> {
    let router = &lab.machine.router;
    if !router.tables().contains(&table) {
        return Err(format!(
            "there is no table {} yet: no rule of it has been set",
            table.name()
        ));
    }
    let rules = router.table(crate::base::Family::V4, table);
    let found = rules
        .chain(chain)
        .ok_or_else(|| format!("table {} has no chain {chain}", table.name()))?;
    let id = match (number, &found.kind) {
        (Some(number), _) => match found.rules.get(number as usize - 1) {
            Some(rule) => rule.id,
            None => return Err(format!("chain {chain} has {} rules", found.rules.len())),
        },
        (None, ChainKind::BuiltIn { id, .. }) => *id,
        (None, ChainKind::User) => return Err(format!("chain {chain} has no policy: it is no built-in one")),
    };
    Ok(router.counters(table).get(&id).copied().unwrap_or_default())
}

/// All flows as `conntrack -L -o extended` has them.
pub fn flow_lines(lab: &Lab) -> Vec<String> {
    let now: Time = lab.now();
    lab.machine
        .router
        .flows()
        .flows(now)
        .iter()
        .filter_map(|flow| conntrack_text::flow(flow, FlowForm::ToolExtended, now))
        .collect()
}

fn expectation_lines(lab: &Lab) -> Vec<String> {
    let now: Time = lab.now();
    lab.machine
        .router
        .flows()
        .expectations(now)
        .iter()
        .map(|expectation| conntrack_text::expectation(expectation, ExpectationForm::Tool, now))
        .collect()
}

fn some_line(lines: &[String], words: &[String], what: &str) -> Result<(), String> {
    hold(lines.iter().any(|line| has_words(line, words)), || match lines {
        [] => format!("there is no {what} at all"),
        lines => format!("these are the {what}s{}", listed(lines)),
    })
}

fn no_line(lines: &[String], words: &[String]) -> Result<(), String> {
    match lines.iter().find(|line| has_words(line, words)) {
        None => Ok(()),
        Some(line) => Err(format!("there is this one: {line}")),
    }
}

/// All words stand in the line, in this order.
fn has_words(line: &str, words: &[String]) -> bool {
    let mut there = line.split_ascii_whitespace();
    words.iter().all(|word| there.any(|other| other == word))
}

fn listed(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n      {line}")).collect()
}

const FATES: &[&str] = &[
    "accept",
    "drop",
    "reject",
    "stolen",
    "queue",
    "forwarded",
    "delivered",
    "sent",
];
const SUBJECTS: &[&str] = &[
    "state",
    "out",
    "by",
    "rule",
    "policy",
    "flow",
    "flows",
    "expectation",
    "log",
    "output",
    "fail",
    "no",
];
const NUMBERS: &[&str] = &["ttl", "tos", "ipid", "length", "frag", "seq", "ack", "win", "id"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_order() {
        let line = "ipv4 2 tcp 6 99 ESTABLISHED src=10.0.0.2 dst=192.0.2.9 src=192.0.2.9 [ASSURED] mark=0";
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(has_words(line, &words("tcp ESTABLISHED src=192.0.2.9 [ASSURED]")));
        assert!(!has_words(line, &words("[ASSURED] tcp")));
        assert!(!has_words(line, &words("src=10.0.0")));
    }

    #[test]
    fn what_can_be_expected() {
        use crate::lab::script::lex::lex;
        for text in [
            "accept",
            "delivered",
            "state NEW",
            "state none",
            "out wan",
            "out wan tcp 192.0.2.1:40000 > 192.0.2.9:80 S ttl 63 seq 5",
            "out wan tcp 192.0.2.1 > 192.0.2.9 SA",
            "out wan src 192.0.2.1 dst 192.0.2.9:80 flags S df length 40",
            "out lan icmp unreachable port",
            "out lan icmp echo-reply id 7",
            "no out",
            "no out lan",
            "by filter FORWARD 3",
            "by INPUT policy",
            "rule FORWARD 3 packets 1",
            "rule nat POSTROUTING 1 packets 1 bytes 40",
            "policy INPUT packets 0",
            "flow tcp dport=80",
            "no flow",
            "no flow udp",
            "flows 0",
            "expectation dport=20",
            "log \"dropped: \"",
            "no log",
            "output Bad",
            "no output 'x y'",
        ] {
            let line = lex(text).unwrap().remove(0);
            let parsed = Expectation::parse(&mut Cursor::new(&line.words));
            assert!(parsed.is_ok(), "{text}: {}", parsed.unwrap_err().message);
        }
        for (text, remedy) in [
            ("acept", "did you mean `accept`?"),
            ("no accept", "expect what is instead"),
            ("state NEWISH", ""),
            ("by nowhere INPUT 1", ""),
        ] {
            let line = lex(text).unwrap().remove(0);
            let problem = Expectation::parse(&mut Cursor::new(&line.words)).unwrap_err();
            assert_eq!(problem.remedy, remedy, "{text}");
        }
    }
}
