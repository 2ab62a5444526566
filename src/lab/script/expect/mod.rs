//! What a script may expect, and whether it is so. Each file beside this one knows one kind of thing.

mod packet;
mod rule;
mod tracking;

pub(super) use packet::Field;
pub(super) use rule::RuleName;
pub(crate) use tracking::flow_lines;

use nom::combinator::opt;

use crate::base::InterfaceName;
use crate::lab::machine::ToolOutput;
use crate::lab::memory::{Lab, Passage};
use crate::syntax::problem::{Problem, suggestion};
use crate::syntax::words::{self, Word, Words, unexpected};

/// One expectation.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// `accept`, `drop`, `reject`, `stolen`, `queue`; `forwarded`, `delivered`, `sent`.
    Fate(&'static str),
    /// `state NEW`; `None`: never tracked.
    State(Option<String>),
    /// `no state NEW`: it has another, or with `None`: it was tracked.
    NoState(Option<String>),
    /// `out wan tcp 192.0.2.1 > 192.0.2.9 S ttl 63`.
    Out(InterfaceName, Vec<Field>),
    /// `no out`, `no out wan`.
    NoOut(Option<InterfaceName>),
    /// `by filter FORWARD 3`, `by comment web`.
    By(RuleName),
    /// `no by filter FORWARD 3`: something else decided.
    NoBy(RuleName),
    /// `rule filter FORWARD 3 packets 1 bytes 40`, `policy INPUT packets 0`.
    Counted {
        /// A rule, or a policy.
        rule: RuleName,
        /// Exactly so many stand in its counter; `None`: any number.
        packets: Option<u64>,
        /// The same of bytes, IP headers included.
        bytes: Option<u64>,
    },
    /// `flow tcp ESTABLISHED src=10.0.0.2`: words of one line of `conntrack -L -o extended`, in order.
    Flow(Vec<String>),
    /// No line has these words; without words: there is no flow at all.
    NoFlow(Vec<String>),
    /// `flows 3`: exactly so many.
    Flows(u64),
    /// The same of `conntrack -L expect`.
    Expected(Vec<String>),
    /// No line has these words; without words: nothing is expected.
    NoExpected(Vec<String>),
    /// A part of a line that the last packet left in the kernel's log.
    Log(String),
    /// It left no such line; `None`: none at all.
    NoLog(Option<String>),
    /// A part of what the last tool printed (on either stream).
    Output(String),
    /// The last tool did not print it.
    NoOutput(String),
}

impl Expectation {
    pub(crate) fn parse(rest: &mut Words<'_>) -> Result<Self, Problem> {
        let no = rest.read(words::has("no"))?;
        let word = rest.read(words::word("what to expect, such as `accept` or `out wan`"))?;
        let parsed = match (word.text.as_str(), no) {
            (text, false) if fate(text).is_some() => Self::Fate(fate(text).unwrap_or_default()),
            ("state", no) => {
                let state = rest.read(words::helped(
                    "NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED or none",
                    "write one of these, as `-m conntrack --ctstate` has them; `none` is what was never tracked",
                    state,
                ))?;
                if no { Self::NoState(state) } else { Self::State(state) }
            }
            ("out", false) => Self::out(rest)?,
            ("out", true) => match rest.is_done() {
                true => Self::NoOut(None),
                false => Self::NoOut(Some(
                    rest.read(words::one("an interface's name, or `local`", InterfaceName::new))?,
                )),
            },
            ("by", false) => Self::by(rest)?,
            ("by", true) => Self::NoBy(RuleName::parse(rest)?),
            ("rule", false) => counted(RuleName::parse(rest)?, rest)?,
            ("policy", false) => counted(RuleName::parse_policy(rest)?, rest)?,
            ("flow", no) => {
                let words = texts(rest, "words of the flow's line, such as `tcp ESTABLISHED dport=80`", no)?;
                if no { Self::NoFlow(words) } else { Self::Flow(words) }
            }
            ("flows", false) => Self::Flows(rest.read(words::number("a number of flows", 0..=u64::MAX))?),
            ("expectation", no) => {
                let words = texts(rest, "words of the expectation's line, such as `dport=1024`", no)?;
                if no {
                    Self::NoExpected(words)
                } else {
                    Self::Expected(words)
                }
            }
            ("log", false) => Self::Log(rest.read(words::text("a part of the line"))?),
            ("log", true) => {
                let text = rest.read(opt(words::anything))?;
                Self::NoLog(text.map(|word| word.text.clone()))
            }
            ("output", no) => {
                let text = rest.read(words::text("a part of what the tool printed"))?;
                if no { Self::NoOutput(text) } else { Self::Output(text) }
            }
            (text, no) => return Err(unknown(word, text, no)),
        };
        rest.read(words::end("expected the end of the line"))?;
        Ok(parsed)
    }

    /// What follows `out`.
    pub(crate) fn out(rest: &mut Words<'_>) -> Result<Self, Problem> {
        let interface = rest.read(words::one("an interface's name, or `local`", InterfaceName::new))?;
        Ok(Self::Out(interface, packet::fields(rest)?))
    }

    /// What follows `by`.
    pub(crate) fn by(rest: &mut Words<'_>) -> Result<Self, Problem> {
        RuleName::parse(rest).map(Self::By)
    }

    /// A rule with this comment decided.
    pub(crate) fn by_comment(comment: &str) -> Self {
        Self::By(RuleName::of_comment(comment))
    }

    /// `Err` says what is instead.
    pub(crate) fn check(&self, lab: &Lab, last_tool: Option<&ToolOutput>) -> Result<(), String> {
        match self {
            Self::Fate(wanted) => packet::fate(passage(lab)?, wanted),
            Self::State(wanted) => packet::state(lab, passage(lab)?, wanted.as_deref(), false),
            Self::NoState(unwanted) => packet::state(lab, passage(lab)?, unwanted.as_deref(), true),
            Self::Out(interface, fields) => packet::out(lab, passage(lab)?, *interface, fields),
            Self::NoOut(interface) => packet::no_out(lab, passage(lab)?, *interface),
            Self::By(rule) => rule::decided(lab, passage(lab)?, rule, false),
            Self::NoBy(rule) => rule::decided(lab, passage(lab)?, rule, true),
            Self::Counted { rule, packets, bytes } => rule::counted(lab, rule, *packets, *bytes),
            Self::Flow(words) => tracking::some_flow(lab, words),
            Self::NoFlow(words) => tracking::no_line(&flow_lines(lab), words),
            Self::Flows(wanted) => tracking::so_many(lab, *wanted),
            Self::Expected(words) => tracking::some_line(&tracking::expectation_lines(lab), words, "expectation"),
            Self::NoExpected(words) => tracking::no_line(&tracking::expectation_lines(lab), words),
            Self::Log(part) => log(passage(lab)?, Some(part), false),
            Self::NoLog(part) => log(passage(lab)?, part.as_deref(), true),
            Self::Output(part) => output(last_tool, part, false),
            Self::NoOutput(part) => output(last_tool, part, true),
        }
    }

    /// True where it is about what the last tool printed.
    pub(crate) fn is_of_the_tool(&self) -> bool {
        matches!(self, Self::Output(_) | Self::NoOutput(_))
    }

    /// True where it is about the last packet, whose story then says why it is not so.
    pub(crate) fn is_of_the_packet(&self) -> bool {
        match self {
            Self::Fate(_)
            | Self::State(_)
            | Self::NoState(_)
            | Self::Out(..)
            | Self::NoOut(_)
            | Self::By(_)
            | Self::NoBy(_)
            | Self::Log(_)
            | Self::NoLog(_) => true,
            Self::Counted { .. }
            | Self::Flow(_)
            | Self::NoFlow(_)
            | Self::Flows(_)
            | Self::Expected(_)
            | Self::NoExpected(_)
            | Self::Output(_)
            | Self::NoOutput(_) => false,
        }
    }
}

/// A word for what became of a packet, as the language has it.
pub(crate) fn fate(text: &str) -> Option<&'static str> {
    FATES.iter().copied().find(|fate| *fate == text)
}

/// A state's name; `Some(None)` is `none`.
pub(crate) fn state(text: &str) -> Option<Option<String>> {
    match text {
        "none" => Some(None),
        "NEW" | "ESTABLISHED" | "RELATED" | "INVALID" | "UNTRACKED" => Some(Some(text.to_owned())),
        _ => None,
    }
}

fn counted(rule: RuleName, rest: &mut Words<'_>) -> Result<Expectation, Problem> {
    let (mut packets, mut bytes) = (None, None);
    if rest.read(words::has("packets"))? {
        packets = Some(rest.read(words::number("a number of packets", 0..=u64::MAX))?);
    }
    if rest.read(words::has("bytes"))? {
        bytes = Some(rest.read(words::number("a number of bytes", 0..=u64::MAX))?);
    }
    if packets.is_none() && bytes.is_none() {
        rest.read(words::expect("packets"))?;
    }
    Ok(Expectation::Counted { rule, packets, bytes })
}

fn hold(is: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if is { Ok(()) } else { Err(otherwise()) }
}

fn passage(lab: &Lab) -> Result<&Passage, String> {
    lab.last().ok_or_else(|| "no packet has been sent yet".to_owned())
}

fn log(passage: &Passage, part: Option<&str>, no: bool) -> Result<(), String> {
    let lines: Vec<String> = passage.log.iter().map(|record| record.text.clone()).collect();
    let found = lines.iter().any(|line| part.is_none_or(|part| line.contains(part)));
    hold(found != no, || match &lines[..] {
        [] => "the packet left nothing in the log".to_owned(),
        lines => format!("the packet left this in the log{}", listed(lines)),
    })
}

fn output(last: Option<&ToolOutput>, part: &str, no: bool) -> Result<(), String> {
    let output = last.ok_or_else(|| "no tool has been called yet".to_owned())?;
    let printed = format!("{}{}", output.stdout, output.stderr);
    hold(printed.contains(part) != no, || {
        format!("the tool printed: {}", printed.trim_end())
    })
}

fn texts(rest: &mut Words<'_>, expected: &str, may_be_none: bool) -> Result<Vec<String>, Problem> {
    let words = rest.read_all();
    if words.is_empty() && !may_be_none {
        rest.read(words::word(expected))?;
    }
    Ok(words.iter().map(|word| word.text.clone()).collect())
}

fn unknown(word: &Word, text: &str, no: bool) -> Problem {
    let known: Vec<&str> = FATES.iter().copied().chain(SUBJECTS.iter().copied()).collect();
    if no && known.contains(&text) {
        return unexpected(
            word,
            "expected out, state, by, flow, expectation, log or output after `no`",
            "expect what is instead",
        );
    }
    let capitals = text.to_uppercase();
    let remedy = match suggestion(text, known.iter().copied()) {
        _ if matches!(state(&capitals), Some(Some(_))) => format!("did you mean `state {capitals}`?"),
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of {}", known.join(", ")),
    };
    unexpected(word, "expected something to expect", &remedy)
}

fn listed(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n      {line}")).collect()
}

/// The words for what became of a packet.
pub(crate) const FATES: &[&str] = &[
    "accept",
    "drop",
    "reject",
    "stolen",
    "queue",
    "forwarded",
    "delivered",
    "sent",
];
/// The words for what else may be expected.
pub(crate) const SUBJECTS: &[&str] = &[
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

#[cfg(test)]
mod tests {
    use super::*;
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
            "by comment 'the web server'",
            "by nat PREROUTING text '--dport 80'",
            "no by FORWARD 3",
            "no state INVALID",
            "rule comment web packets 1",
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
            let parsed = Expectation::parse(&mut Words::new(&line.words));
            assert!(parsed.is_ok(), "{text}: {}", parsed.unwrap_err().message);
        }
        for (text, remedy) in [
            ("acept", "did you mean `accept`?"),
            ("no accept", "expect what is instead"),
            (
                "state NEWISH",
                "write one of these, as `-m conntrack --ctstate` has them; `none` is what was never tracked",
            ),
            ("by nowhere INPUT 1", ""),
        ] {
            let line = lex(text).unwrap().remove(0);
            let problem = Expectation::parse(&mut Words::new(&line.words)).unwrap_err();
            assert_eq!(problem.remedy, remedy, "{text}");
        }
    }
}
