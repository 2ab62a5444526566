//! What a whole replay came to, in numbers: verdicts by rule, INVALID by reason, the largest flows, rules that nothing came to.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::unseen::{self, Unseen};
use super::{Passed, Replayer, TopFlows};
use crate::base::Time;
use crate::conntrack::CtState;
use crate::engine::Fate;

/// Counts packets as they pass. Its memory depends on the ruleset, not on the capture.
#[derive(Debug)]
pub struct Summary {
    packets: u64,
    bytes: u64,
    /// When the first packet came, and the last.
    span: Option<(Time, Time)>,
    late: u64,
    verdicts: [u64; VERDICTS.len()],
    /// The last is of packets without a state.
    states: [u64; STATES.len() + 1],
    /// By the rule's place in the rulebook, then by verdict.
    rules: Vec<[u64; VERDICTS.len()]>,
    no_rule: u64,
    causes: BTreeMap<String, u64>,
    invalid: BTreeMap<String, u64>,
    flows: TopFlows,
    unused: BTreeMap<String, u64>,
    unseen: Unseen,
    /// Of the capture, replayed or not; what was left out on purpose does not count.
    seen: u64,
}

impl Summary {
    /// Of no packet yet, for the rules that the replayer has now.
    pub fn new(replayer: &Replayer) -> Self {
        Self {
            packets: 0,
            bytes: 0,
            span: None,
            late: 0,
            verdicts: [0; VERDICTS.len()],
            states: [0; STATES.len() + 1],
            rules: vec![[0; VERDICTS.len()]; replayer.rules().entries().len()],
            no_rule: 0,
            causes: BTreeMap::new(),
            invalid: BTreeMap::new(),
            flows: TopFlows::default(),
            unused: BTreeMap::new(),
            unseen: Unseen::default(),
            seen: 0,
        }
    }

    /// Counts a packet in.
    pub fn note(&mut self, passed: &Passed<'_>) {
        self.packets += 1;
        self.seen += 1;
        if let Some(why) = unseen::why(passed) {
            self.unseen.note(why);
        }
        self.bytes += passed.bytes().len() as u64;
        self.late += u64::from(passed.is_late());
        let now = passed.time();
        self.span = Some((self.span.map_or(now, |(first, _)| first), now));
        let verdict = place_of(&passed.report().fate);
        self.verdicts[verdict] += 1;
        let state = passed.report().state;
        let state = STATES.iter().position(|it| Some(*it) == state).unwrap_or(STATES.len());
        self.states[state] += 1;
        match (passed.deciding(), passed.reason()) {
            (Some(place), _) => {
                if let Some(counts) = self.rules.get_mut(place.index) {
                    counts[verdict] += 1;
                }
            }
            (None, Some(reason)) => count(&mut self.causes, &reason.to_string()),
            (None, None) => self.no_rule += 1,
        }
        if let Some(why) = passed.why_invalid() {
            count(&mut self.invalid, &why.to_string());
        }
        // The flow of a packet that went no further never was.
        if verdict == ACCEPTED
            && let Some((serial, tuple)) = &passed.witness().flow
        {
            self.flows.note(*serial, tuple, passed.bytes().len());
        }
    }

    /// A packet of the capture that never came to the router, and why.
    pub fn note_unused(&mut self, why: &str) {
        count(&mut self.unused, why);
    }

    /// One that is an IP packet, as far as anybody can tell: rules were meant to see it.
    pub fn note_unseen(&mut self, why: &str) {
        self.seen += 1;
        self.unseen.note(unseen::not_replayed(why));
    }

    /// Packets that passed.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// INVALID packets with this reason.
    pub fn invalid(&self) -> &BTreeMap<String, u64> {
        &self.invalid
    }

    /// As people read it.
    pub fn text(&self, replayer: &Replayer) -> String {
        let mut text = self.unseen.text(self.seen);
        if !text.is_empty() {
            text.push('\n');
        }
        self.write_head(&mut text);
        self.write_rules(&mut text, replayer);
        list(&mut text, "INVALID because", &by_size(&self.invalid));
        self.write_flows(&mut text);
        write_never_hit(&mut text, replayer);
        list(&mut text, "Not replayed", &by_size(&self.unused));
        text
    }

    fn write_head(&self, text: &mut String) {
        let _ = write!(
            text,
            "{}, {} bytes",
            plural(self.packets, "packet"),
            grouped(self.bytes)
        );
        if let Some((first, last)) = self.span {
            let _ = write!(text, ", {}", seconds(first, last));
        }
        text.push('\n');
        if self.packets == 0 {
            return;
        }
        let verdicts: Vec<String> = VERDICTS
            .iter()
            .zip(self.verdicts)
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {}", grouped(count)))
            .collect();
        let _ = writeln!(text, "  verdicts  {}", verdicts.join(", "));
        let states: Vec<String> = STATES
            .map(CtState::name)
            .iter()
            .chain(&["none"])
            .zip(self.states)
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {}", grouped(count)))
            .collect();
        let _ = writeln!(text, "  states    {}", states.join(", "));
        if self.late > 0 {
            let _ = writeln!(
                text,
                "  clock     {} from before the packet before them, replayed at that one's time",
                plural(self.late, "packet")
            );
        }
    }

    fn write_rules(&self, text: &mut String, replayer: &Replayer) {
        let mut lines: Vec<(u64, String)> = Vec::new();
        for (counts, entry) in self.rules.iter().zip(replayer.rules().entries()) {
            for (name, &count) in VERDICTS.iter().zip(counts) {
                if count > 0 {
                    lines.push((count, format!("{name:<7} {entry}: {}", entry.text)));
                }
            }
        }
        if self.no_rule > 0 {
            lines.push((self.no_rule, "ACCEPT  no rule had a say".to_owned()));
        }
        lines.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        list(text, "Verdicts by rule", &lines);
        list(text, "Stopped by no rule", &by_size(&self.causes));
    }

    fn write_flows(&self, text: &mut String) {
        let flows = self.flows.largest(SHOWN_FLOWS);
        if flows.is_empty() {
            return;
        }
        let least = if self.flows.is_approximate() { " (at least)" } else { "" };
        let _ = writeln!(text, "\nLargest flows{least}\n  {:>13}  {:>13}", "bytes", "packets");
        for flow in flows {
            let (bytes, packets) = (grouped(flow.bytes), grouped(flow.packets));
            let _ = writeln!(text, "  {bytes:>13}  {packets:>13}  {}", flow.ends);
        }
    }
}

fn write_never_hit(text: &mut String, replayer: &Replayer) {
    let (never, all) = replayer.rules().never_hit(replayer.lab());
    if never.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nRules never hit: {} of {all}", never.len());
    for entry in never.iter().take(SHOWN_RULES) {
        let _ = writeln!(text, "  {entry}: {}", entry.text);
    }
    if never.len() > SHOWN_RULES {
        let _ = writeln!(
            text,
            "  and {} more: --save FILE writes every rule with its count",
            never.len() - SHOWN_RULES
        );
    }
}

/// The place of a verdict among [`VERDICTS`].
fn place_of(fate: &Fate) -> usize {
    match fate {
        Fate::Forwarded | Fate::Sent | Fate::Delivered => ACCEPTED,
        stopped @ Fate::Stopped(_) => {
            let verdict = stopped.verdict();
            VERDICTS.iter().position(|it| *it == verdict).unwrap_or(ACCEPTED)
        }
    }
}

fn count(counts: &mut BTreeMap<String, u64>, what: &str) {
    // A reason may hold what the packet holds: not one line for each packet of the Internet.
    let what = match counts.contains_key(what) || counts.len() < MOST_CAUSES {
        true => what,
        false => "other reasons",
    };
    *counts.entry(what.to_owned()).or_default() += 1;
}

fn by_size(counts: &BTreeMap<String, u64>) -> Vec<(u64, String)> {
    let mut lines: Vec<(u64, String)> = counts.iter().map(|(what, count)| (*count, what.clone())).collect();
    lines.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    lines
}

fn list(text: &mut String, title: &str, lines: &[(u64, String)]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for (count, what) in lines {
        let _ = writeln!(text, "  {:>13}  {what}", grouped(*count));
    }
}

fn plural(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{} {what}s", grouped(count)),
    }
}

fn seconds(first: Time, last: Time) -> String {
    let span = last.since(first);
    match span.as_secs() {
        0..120 => format!("{:.3} s of the capture's time", span.as_secs_f64()),
        120..7200 => format!("{} minutes of the capture's time", span.as_secs() / 60),
        seconds => format!("{:.1} hours of the capture's time", seconds as f64 / 3600.0),
    }
}

/// A number with commas: 1,234,567.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const VERDICTS: [&str; 5] = ["ACCEPT", "DROP", "REJECT", "STOLEN", "QUEUE"];
const ACCEPTED: usize = 0;
const STATES: [CtState; 5] = [
    CtState::New,
    CtState::Established,
    CtState::Related,
    CtState::Invalid,
    CtState::Untracked,
];
const SHOWN_FLOWS: usize = 10;
const SHOWN_RULES: usize = 20;
const MOST_CAUSES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
