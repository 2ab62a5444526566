//! What a whole replay came to, in numbers: verdicts by rule, INVALID by reason, the largest flows, rules that nothing came to.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::tally::Tally;
use super::unseen::{self, Unseen, Why};
use super::{Passed, Replayer, TopFlows};
use crate::base::Time;
use crate::conntrack::{CtState, InvalidReason};
use crate::engine::{Fate, Reason};

/// What a packet was counted by, and the same in words.
#[derive(Debug)]
struct Lately {
    reason: Option<Reason>,
    invalid: Option<InvalidReason>,
    is_decided: bool,
    cause: Option<String>,
    why_invalid: Option<String>,
    unseen: Option<Why>,
}

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
    causes: Tally<String>,
    invalid: Tally<String>,
    /// Reasons that were counted lately, by what they are of: most packets that have one have one of few.
    lately: Vec<Lately>,
    flows: TopFlows,
    unused: Tally<String>,
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
            causes: Tally::new(MOST_CAUSES),
            invalid: Tally::new(MOST_CAUSES),
            lately: Vec::new(),
            flows: TopFlows::default(),
            unused: Tally::new(MOST_CAUSES),
            unseen: Unseen::default(),
            seen: 0,
        }
    }

    /// Counts a packet in.
    pub fn note(&mut self, passed: &Passed<'_>) {
        self.packets += 1;
        self.seen += 1;
        self.bytes += passed.bytes().len() as u64;
        self.late += u64::from(passed.is_late());
        let now = passed.time();
        self.span = Some((self.span.map_or(now, |(first, _)| first), now));
        let verdict = place_of(&passed.report().fate);
        self.verdicts[verdict] += 1;
        let state = passed.report().state;
        let state = STATES.iter().position(|it| Some(*it) == state).unwrap_or(STATES.len());
        self.states[state] += 1;
        let place = passed.deciding();
        match (place, passed.reason()) {
            (Some(place), _) => {
                if let Some(counts) = self.rules.get_mut(place.index) {
                    counts[verdict] += 1;
                }
            }
            (None, Some(_)) => {}
            (None, None) => self.no_rule += 1,
        }
        self.note_reasons(passed, place.is_some());
        // The flow of a packet that went no further never was.
        if verdict == ACCEPTED
            && let Some((serial, tuple)) = &passed.witness().flow
        {
            // Of pieces the last one alone is of a flow, and with it all that they are.
            let bytes = passed.witness().joined.unwrap_or(passed.bytes().len());
            self.flows.note(*serial, tuple, bytes);
        }
    }

    /// Why a packet went no further, where no rule decided; why it is INVALID; why it says nothing about the rules.
    #[inline]
    fn note_reasons(&mut self, passed: &Passed<'_>, is_decided: bool) {
        let (reason, invalid) = (passed.reason(), passed.why_invalid());
        if invalid.is_some() || !matches!(reason, None | Some(Reason::Rule(_) | Reason::Policy(_))) {
            self.note_reasons_of((reason, invalid, is_decided), passed);
        }
    }

    fn note_reasons_of(
        &mut self,
        (reason, invalid, is_decided): (Option<&Reason>, Option<InvalidReason>, bool),
        passed: &Passed<'_>,
    ) {
        let is_it = |it: &Lately| it.invalid == invalid && it.is_decided == is_decided && it.reason.as_ref() == reason;
        let at = self.lately.iter().position(is_it).unwrap_or_else(|| {
            if self.lately.len() >= LATELY {
                self.lately.clear();
            }
            self.lately.push(Lately {
                reason: reason.cloned(),
                invalid,
                is_decided,
                cause: reason.filter(|_| !is_decided).map(ToString::to_string),
                why_invalid: invalid.map(|why| why.to_string()),
                unseen: unseen::why(passed),
            });
            self.lately.len() - 1
        });
        let lately = &self.lately[at];
        let await_turn = || passed.await_turn();
        if let Some(why) = &lately.unseen {
            self.unseen.note(why, await_turn);
        }
        if let Some(cause) = &lately.cause {
            self.causes.count(cause, others, await_turn);
        }
        if let Some(why) = &lately.why_invalid {
            self.invalid.count(why, others, await_turn);
        }
    }

    /// For another worker's packets of the same capture.
    pub(crate) fn beside(&self, replayer: &Replayer) -> Self {
        Self {
            causes: self.causes.beside(),
            invalid: self.invalid.beside(),
            unused: self.unused.beside(),
            unseen: self.unseen.beside(),
            ..Self::new(replayer)
        }
    }

    /// What another worker counted.
    pub(crate) fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.late += other.late;
        self.no_rule += other.no_rule;
        self.seen += other.seen;
        self.span = match (self.span, other.span) {
            (Some((first, last)), Some((theirs, their_last))) => Some((first.min(theirs), last.max(their_last))),
            (one, other) => one.or(other),
        };
        add_each(&mut self.verdicts, other.verdicts);
        add_each(&mut self.states, other.states);
        for (mine, theirs) in self.rules.iter_mut().zip(other.rules) {
            add_each(mine, theirs);
        }
        self.causes.add(other.causes);
        self.invalid.add(other.invalid);
        self.unused.add(other.unused);
        self.unseen.add(other.unseen);
        self.flows.add(other.flows);
    }

    /// No more packets come for now: what was noted of flows is counted, which else is done at each look at them.
    pub(crate) fn settle(&mut self) {
        self.flows.settle();
    }

    /// A packet of the capture that never came to the router, and why.
    pub fn note_unused(&mut self, why: &str) {
        self.unused.count(&why.to_owned(), others, || ());
    }

    /// One that is an IP packet, as far as anybody can tell: rules were meant to see it.
    pub fn note_unseen(&mut self, why: &str) {
        self.seen += 1;
        self.unseen.note(&unseen::not_replayed(why), || ());
    }

    /// Packets that passed.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// INVALID packets with this reason.
    pub fn invalid(&self) -> BTreeMap<String, u64> {
        self.invalid.sums()
    }

    /// As people read it.
    pub fn text(&self, replayer: &Replayer) -> String {
        let mut text = self.unseen.text(self.seen);
        if !text.is_empty() {
            text.push('\n');
        }
        self.write_head(&mut text);
        self.write_rules(&mut text, replayer);
        list(&mut text, "INVALID because", &by_size(&self.invalid.sums()));
        self.write_flows(&mut text);
        write_never_hit(&mut text, replayer);
        list(&mut text, "Not replayed", &by_size(&self.unused.sums()));
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
        list(text, "Stopped by no rule", &by_size(&self.causes.sums()));
    }

    fn write_flows(&self, text: &mut String) {
        let (flows, is_approximate) = self.flows.largest(SHOWN_FLOWS);
        if flows.is_empty() {
            return;
        }
        let least = if is_approximate { " (at least)" } else { "" };
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

/// A reason may hold what the packet holds: not one line for each packet of the Internet.
fn others(_: &String) -> String {
    "other reasons".to_owned()
}

fn add_each<const N: usize>(sums: &mut [u64; N], more: [u64; N]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
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
const LATELY: usize = 16;

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
