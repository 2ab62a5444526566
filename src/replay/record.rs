//! A packet's verdict in words: as the comment that Wireshark shows, and as a line of JSON.

use std::fmt::Write;
use std::io;

use serde::Serialize;

use super::{Ends, Left, Passed, RuleEntry};
use crate::base::bytes::hex;
use crate::base::json;

impl Passed<'_> {
    /// What became of it, in a line: verdict, state, the deciding rule or other cause, and how it left.
    pub fn comment(&self) -> String {
        let mut text = String::new();
        self.write_comment(&mut text);
        text
    }

    /// The same at the end of a text.
    pub fn write_comment(&self, text: &mut String) {
        self.write_verdict(text);
        let came = Ends::of(self.bytes());
        for left in self.output().filter(|left| !left.is_own) {
            match left.interface.as_str() {
                crate::lab::memory::LOCAL => text.push_str("; reached the router"),
                name => {
                    let _ = write!(text, "; out by {name}");
                }
            }
            if let Some(leaves) = Ends::of(left.bytes)
                && came.is_some_and(|came| came != leaves)
            {
                let _ = write!(text, " as {leaves}");
            }
        }
        let own = self.output().filter(|left| left.is_own).count();
        if own > 0 {
            let _ = write!(text, "; {}", answers(own));
        }
    }

    /// For a packet that left: which packet of the capture it is, or that it is the router's own.
    pub fn write_comment_of(&self, left: &Left<'_>, text: &mut String) {
        if left.is_own {
            text.push_str("the router's own, because of ");
        }
        let _ = write!(text, "packet {}, ", self.number());
        match self.interface().as_str() {
            crate::lab::memory::LOCAL => text.push_str("from the router: "),
            name => {
                let _ = write!(text, "in by {name}: ");
            }
        }
        self.write_verdict(text);
        if !left.is_own
            && let (Some(came), Some(leaves)) = (Ends::of(self.bytes()), Ends::of(left.bytes))
            && came != leaves
        {
            let _ = write!(text, "; came as {came}");
        }
    }

    fn write_verdict(&self, text: &mut String) {
        text.push_str(self.verdict());
        if let Some(state) = self.state() {
            let _ = write!(text, " {state}");
        }
        if let Some(why) = self.why_invalid() {
            let _ = write!(text, " ({why})");
        }
        match (self.deciding(), self.reason()) {
            (Some(place), _) => {
                let _ = write!(text, ", {place}: {}", place.entry.text);
            }
            (None, Some(reason)) => {
                let _ = write!(text, ": {reason}");
            }
            (None, None) => {}
        }
    }

    /// As a line of JSON, without its end.
    pub fn write_json(&self, writer: &mut impl io::Write, against: Option<&Passed<'_>>) -> io::Result<()> {
        let interface = self.interface();
        let line = Line {
            n: self.number(),
            r#in: interface.as_str(),
            outcome: self.json(),
            differs: against.map(|other| super::against::differ(self, other)),
            against: against.map(Passed::json),
        };
        json::to_writer(writer, &line)
    }

    fn json(&self) -> Json<'_> {
        Json {
            verdict: self.verdict(),
            ctstate: self.state(),
            out: self
                .output()
                .map(|left| LeftJson {
                    r#if: left.interface.to_string(),
                    hex: hex(left.bytes),
                })
                .collect(),
            reason: self.reason().map(ToString::to_string),
            invalid: self.why_invalid().map(|why| why.to_string()),
            rule: self.deciding().map(|place| RuleJson::of(place.entry)),
        }
    }
}

/// The line of a packet that never came to the router.
pub(crate) fn write_unused_json(
    writer: &mut impl io::Write,
    number: u64,
    interface: &str,
    reason: &str,
) -> io::Result<()> {
    let line = Line {
        n: number,
        r#in: interface,
        outcome: Json {
            verdict: "DROP",
            ctstate: None,
            out: Vec::new(),
            reason: Some(reason.to_owned()),
            invalid: None,
            rule: None,
        },
        differs: None,
        against: None,
    };
    json::to_writer(writer, &line)
}

fn answers(own: usize) -> String {
    match own {
        1 => "answered by the router".to_owned(),
        own => format!("{own} packets of the router's own because of it"),
    }
}

#[derive(Serialize)]
struct Line<'a> {
    n: u64,
    r#in: &'a str,
    #[serde(flatten)]
    outcome: Json<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    differs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Json<'a>>,
}

#[derive(Serialize)]
struct Json<'a> {
    verdict: &'static str,
    ctstate: Option<&'static str>,
    out: Vec<LeftJson>,
    /// Why it went no further.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Why it is INVALID.
    #[serde(skip_serializing_if = "Option::is_none")]
    invalid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<RuleJson<'a>>,
}

#[derive(Serialize)]
struct LeftJson {
    r#if: String,
    hex: String,
}

#[derive(Serialize)]
pub(super) struct RuleJson<'a> {
    /// `IPv4` or `IPv6`.
    pub family: &'static str,
    pub table: &'static str,
    pub chain: &'a str,
    /// `null` for the policy.
    pub number: Option<u32>,
    pub text: &'a str,
}

impl<'a> RuleJson<'a> {
    pub(super) fn of(rule: &'a RuleEntry) -> Self {
        Self {
            family: rule.family.name(),
            table: rule.table.name(),
            chain: &rule.chain,
            number: rule.number,
            text: &rule.text,
        }
    }
}
