//! Two rulesets over the same packets: what each treats differently, by which rules.

use std::collections::HashMap;
use std::fmt::Write;
use std::io;

use serde::Serialize;

use super::record::RuleJson;
use super::unseen::{self, Unseen, UnseenJson};
use super::{Ends, Passed, RuleEntry, grouped};
use crate::base::json;
use crate::explain::describe;
use crate::lab::memory::LOCAL;
use crate::wire::ipv4::Ipv4;

/// Whether two rulesets treated a packet differently: another verdict, another state, or something else left. Which rule decided is no difference
/// by itself; nor is the identification of an IP header, which a router counts up for its own packets.
pub(super) fn differ(one: &Passed<'_>, other: &Passed<'_>) -> bool {
    one.verdict() != other.verdict()
        || one.report().state != other.report().state
        || one.output().len() != other.output().len()
        || one
            .output()
            .zip(other.output())
            .any(|(one, other)| one.interface != other.interface || !is_same(one.bytes, other.bytes))
}

fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    // The identification, and the header's checksum over it.
    one.len() == other.len()
        && Ipv4::new(one).is_ok()
        && one[..4] == other[..4]
        && one[6..10] == other[6..10]
        && one[12..] == other[12..]
}

/// What two rulesets treated differently. Its memory has a bound: beyond so many flows they are only counted.
#[derive(Debug)]
pub struct Differences {
    names: [String; 2],
    compared: u64,
    packets: u64,
    flows: HashMap<Ends, FlowDifference>,
    /// Packets of flows that found no room.
    unlisted: u64,
    pairs: Vec<Pair>,
    /// Packets whose equal treatment tells nothing.
    unseen: Unseen,
}

/// A packet that was treated differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its number in its capture.
    pub number: u64,
    /// Where it came in; `local` for the router's own.
    pub interface: String,
    /// The packet as a line.
    pub packet: String,
    /// Between whom its flow is.
    pub flow: Ends,
    /// What the one made of it, and what the other.
    pub sides: [Side; 2],
}

/// What one ruleset made of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// As [`Passed::verdict`].
    pub verdict: &'static str,
    /// As [`Passed::state`].
    pub state: Option<&'static str>,
    /// The deciding rule, or another cause, in words.
    pub cause: String,
    /// What left, in words: by which interface, and with which ends where they are others.
    pub output: Vec<String>,
    rule: Option<RuleEntry>,
}

#[derive(Debug)]
struct FlowDifference {
    packets: u64,
    first: u64,
    sides: [Brief; 2],
}

/// Verdict and cause, which is what packets have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Brief {
    verdict: &'static str,
    cause: String,
}

#[derive(Debug)]
struct Pair {
    sides: [Brief; 2],
    packets: u64,
    flows: u64,
}

impl Differences {
    /// Between rulesets of these names.
    pub fn new(one: &str, other: &str) -> Self {
        Self {
            names: [one.to_owned(), other.to_owned()],
            compared: 0,
            packets: 0,
            flows: HashMap::new(),
            unlisted: 0,
            pairs: Vec::new(),
            unseen: Unseen::default(),
        }
    }

    /// Compares what became of one packet under each.
    pub fn compare(&mut self, one: &Passed<'_>, other: &Passed<'_>) -> Option<Difference> {
        self.compared += 1;
        if !differ(one, other) {
            if let (Some(why), Some(_)) = (unseen::why(one), unseen::why(other)) {
                self.unseen.note(&why, || ());
            }
            return None;
        }
        self.packets += 1;
        let difference = Difference {
            number: one.number(),
            interface: one.interface().to_string(),
            packet: describe::line(one.bytes()),
            flow: flow_of(one, other),
            sides: [Side::of(one), Side::of(other)],
        };
        self.note(&difference);
        Some(difference)
    }

    /// What follows in a flow follows from its first difference: so that is what all its packets are put down to.
    fn note(&mut self, difference: &Difference) {
        let own = difference.sides.each_ref().map(Side::brief);
        let has_room = self.flows.len() < MOST_FLOWS;
        let (sides, is_first) = match self.flows.get_mut(&difference.flow) {
            Some(flow) => {
                flow.packets += 1;
                (flow.sides.clone(), false)
            }
            None if has_room => {
                let flow = FlowDifference {
                    packets: 1,
                    first: difference.number,
                    sides: own.clone(),
                };
                self.flows.insert(difference.flow, flow);
                (own, true)
            }
            None => {
                self.unlisted += 1;
                (own, false)
            }
        };
        let at = self.pairs.iter().position(|pair| pair.sides == sides);
        let at = at.unwrap_or_else(|| {
            self.pairs.push(Pair {
                sides,
                packets: 0,
                flows: 0,
            });
            self.pairs.len() - 1
        });
        self.pairs[at].packets += 1;
        self.pairs[at].flows += u64::from(is_first);
    }

    /// A packet of the capture that came to neither.
    pub fn note_unused(&mut self, why: &str) {
        self.compared += 1;
        self.unseen.note(&unseen::not_replayed(why), || ());
    }

    /// Packets whose equal treatment tells nothing: with any of them, no difference is no all-clear.
    pub fn unseen(&self) -> &Unseen {
        &self.unseen
    }

    /// Whether there were packets to tell something, all of them did, and none was treated differently.
    pub fn is_all_clear(&self) -> bool {
        self.compared > 0 && self.packets == 0 && self.unseen.packets() == 0
    }

    /// Whether no packet at all was compared.
    pub fn is_empty(&self) -> bool {
        self.compared == 0
    }

    /// Packets that were treated differently.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// A packet's difference as people read it.
    pub fn packet_text(&self, difference: &Difference) -> String {
        let mut text = format!(
            "packet {}, in by {}: {}\n",
            difference.number, difference.interface, difference.packet
        );
        for (name, side) in self.padded().iter().zip(&difference.sides) {
            let state = side.state.unwrap_or("-");
            let _ = writeln!(text, "    {name}  {:<6}  {state:<11}  {}", side.verdict, side.cause);
            for left in &side.output {
                let _ = writeln!(text, "    {}                       {left}", " ".repeat(name.len()));
            }
        }
        text
    }

    /// Flows, pairs of rules and totals, after the last packet.
    pub fn text(&self, shown: usize) -> String {
        let mut text = self.unseen.text(self.compared);
        let told = self.compared - self.unseen.packets();
        if self.packets == 0 {
            let (one, other) = (&self.names[0], &self.names[1]);
            let _ = match (self.unseen.packets(), told) {
                (0, 0) => writeln!(
                    text,
                    "the capture has no packet that rules were to see, so nothing can be said of {one} and {other}"
                ),
                (0, _) => writeln!(text, "{one} and {other} treat all {} packets the same", grouped(told)),
                (_, 0) => writeln!(text, "so nothing can be said of {one} and {other}"),
                (_, told) => writeln!(
                    text,
                    "{one} and {other} treat the other {} the same; that is no all-clear (--allow-invalid takes it for one)",
                    packets(told)
                ),
            };
            return text;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        let flows = self.sorted_flows();
        text.push_str("Flows treated differently\n");
        for (ends, flow) in flows.iter().take(shown) {
            let _ = writeln!(
                text,
                "  {ends}: {}, the first is packet {}",
                packets(flow.packets),
                flow.first
            );
            self.write_sides(&mut text, &flow.sides);
        }
        if flows.len() > shown {
            let _ = writeln!(
                text,
                "  and {} more (--limit shows more, --differences writes all)",
                flows.len() - shown
            );
        }
        text.push_str("\nRules that make the difference\n");
        let mut pairs: Vec<&Pair> = self.pairs.iter().collect();
        pairs.sort_by_key(|pair| std::cmp::Reverse((pair.flows, pair.packets)));
        for pair in pairs.iter().take(shown) {
            let _ = writeln!(text, "  {} of {}", packets(pair.packets), of_flows(pair.flows));
            self.write_sides(&mut text, &pair.sides);
        }
        if pairs.len() > shown {
            let _ = writeln!(text, "  and {} more (--limit shows more)", pairs.len() - shown);
        }
        let _ = writeln!(
            text,
            "\n{} of {} packets, of {}{}, are treated differently",
            grouped(self.packets),
            grouped(self.compared),
            if self.unlisted > 0 { "more than " } else { "" },
            of_flows(self.flows.len() as u64)
        );
        text
    }

    fn write_sides(&self, text: &mut String, sides: &[Brief; 2]) {
        for (name, side) in self.padded().iter().zip(sides) {
            let _ = writeln!(text, "      {name}  {:<6}  {}", side.verdict, side.cause);
        }
    }

    /// The rulesets' names, of one width.
    fn padded(&self) -> [String; 2] {
        let width = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        self.names.each_ref().map(|name| format!("{name:<width$}"))
    }

    /// In the order of their first packets.
    fn sorted_flows(&self) -> Vec<(&Ends, &FlowDifference)> {
        let mut flows: Vec<_> = self.flows.iter().collect();
        flows.sort_by_key(|(_, flow)| flow.first);
        flows
    }

    /// A packet's difference as a line of JSON, without its end.
    pub fn write_packet_json(&self, writer: &mut impl io::Write, difference: &Difference) -> io::Result<()> {
        let side = |at: usize| SideJson::of(&self.names[at], &difference.sides[at]);
        let line = DifferenceLine::Packet(PacketJson {
            n: difference.number,
            r#in: &difference.interface,
            packet: &difference.packet,
            flow: difference.flow.to_string(),
            sides: [side(0), side(1)],
        });
        json::to_writer(writer, &line)
    }

    /// The flows and the totals, a line each with its end.
    pub fn write_end_json(&self, writer: &mut impl io::Write) -> io::Result<()> {
        let brief = |at: usize, sides: &[Brief; 2]| BriefJson {
            rules: self.names[at].clone(),
            verdict: sides[at].verdict,
            cause: sides[at].cause.clone(),
        };
        let flows = self.sorted_flows().into_iter().map(|(ends, flow)| {
            DifferenceLine::Flow(FlowJson {
                flow: ends.to_string(),
                packets: flow.packets,
                first: flow.first,
                sides: [brief(0, &flow.sides), brief(1, &flow.sides)],
            })
        });
        let total = DifferenceLine::Total(TotalJson {
            compared: self.compared,
            packets: self.packets,
            flows: self.flows.len() as u64,
            packets_of_flows_not_listed: self.unlisted,
            unseen: self.unseen.json(),
            all_clear: self.is_all_clear(),
        });
        for line in flows.chain([total]) {
            json::to_writer(&mut *writer, &line)?;
            writer.write_all(b"\n")?;
        }
        Ok(())
    }
}

impl Side {
    fn of(passed: &Passed<'_>) -> Self {
        let came = Ends::of(passed.bytes());
        let place = passed.deciding();
        let mut cause = match (&place, passed.reason()) {
            (Some(place), _) => format!("{place}: {}", place.entry.text),
            (None, Some(reason)) => reason.to_string(),
            (None, None) => "no rule had a say".to_owned(),
        };
        if let Some(why) = passed.why_invalid() {
            let _ = write!(cause, " (INVALID: {why})");
        }
        let output = passed.output().map(|left| {
            let ends = Ends::of(left.bytes).unwrap_or_else(Ends::unspecified);
            if left.interface.as_str() == LOCAL {
                return "reached the router".to_owned();
            }
            match (left.is_own, Some(ends) == came) {
                (true, _) => format!(
                    "out by {}, the router's own: {}",
                    left.interface,
                    describe::brief(left.bytes)
                ),
                (false, true) => format!("out by {}", left.interface),
                (false, false) => format!("out by {} as {ends}", left.interface),
            }
        });
        Self {
            verdict: passed.verdict(),
            state: passed.state(),
            cause,
            output: output.collect(),
            rule: place.map(|place| place.entry.clone()),
        }
    }

    fn brief(&self) -> Brief {
        Brief {
            verdict: self.verdict,
            cause: self.cause.clone(),
        }
    }
}

/// The flow as one ruleset or the other knows it, else the packet's own ends.
fn flow_of(one: &Passed<'_>, other: &Passed<'_>) -> Ends {
    let tracked = [one, other].into_iter().find_map(|passed| passed.witness().flow);
    match tracked {
        Some((_, tuple)) => Ends::of_tuple(&tuple),
        None => Ends::of(one.bytes()).map_or_else(Ends::unspecified, Ends::undirected),
    }
}

fn packets(count: u64) -> String {
    match count {
        1 => "1 packet".to_owned(),
        count => format!("{} packets", grouped(count)),
    }
}

fn of_flows(count: u64) -> String {
    match count {
        1 => "1 flow".to_owned(),
        count => format!("{} flows", grouped(count)),
    }
}

/// A line of what `--differences` writes.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum DifferenceLine<'a> {
    Packet(PacketJson<'a>),
    Flow(FlowJson),
    Total(TotalJson),
}

#[derive(Serialize)]
struct PacketJson<'a> {
    n: u64,
    r#in: &'a str,
    packet: &'a str,
    flow: String,
    sides: [SideJson<'a>; 2],
}

#[derive(Serialize)]
struct SideJson<'a> {
    rules: &'a str,
    verdict: &'static str,
    ctstate: Option<&'static str>,
    cause: &'a str,
    rule: Option<RuleJson<'a>>,
    out: &'a [String],
}

impl<'a> SideJson<'a> {
    fn of(rules: &'a str, side: &'a Side) -> Self {
        Self {
            rules,
            verdict: side.verdict,
            ctstate: side.state,
            cause: &side.cause,
            rule: side.rule.as_ref().map(RuleJson::of),
            out: &side.output,
        }
    }
}

#[derive(Serialize)]
struct FlowJson {
    flow: String,
    packets: u64,
    first: u64,
    sides: [BriefJson; 2],
}

#[derive(Serialize)]
struct BriefJson {
    rules: String,
    verdict: &'static str,
    cause: String,
}

#[derive(Serialize)]
struct TotalJson {
    compared: u64,
    packets: u64,
    flows: u64,
    packets_of_flows_not_listed: u64,
    /// Packets that tell nothing about the rules, by reason.
    unseen: Vec<UnseenJson>,
    /// No packet was treated differently, and each tells something.
    all_clear: bool,
}

const MOST_FLOWS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(number: u64) -> Difference {
        let side = |verdict| Side {
            verdict,
            state: None,
            cause: "a rule".to_owned(),
            output: Vec::new(),
            rule: None,
        };
        let port = Some(number as u16);
        Difference {
            number,
            interface: "lan".to_owned(),
            packet: String::new(),
            flow: Ends {
                protocol: 17,
                source: ([10, 0, 0, 2].into(), port),
                destination: ([192, 0, 2, 9].into(), port),
            },
            sides: [side("ACCEPT"), side("DROP")],
        }
    }

    /// Of a flow that is listed each packet is put down to it.
    #[test]
    fn of_more_flows_than_are_listed_the_packets_are_counted() {
        let most = MOST_FLOWS as u64;
        for (flows, unlisted) in [(most, 0), (most + 1, 1), (most + 3, 3)] {
            let mut differences = Differences::new("one", "other");
            for number in (0..flows).chain([7, 7]) {
                differences.note(&difference(number));
            }
            assert_eq!((differences.flows.len(), differences.unlisted), (MOST_FLOWS, unlisted));
            assert_eq!(differences.flows[&difference(7).flow].packets, 3);
            let [pair] = &differences.pairs[..] else {
                panic!("{:?}", differences.pairs)
            };
            assert_eq!((pair.packets, pair.flows), (flows + 2, most));
            (differences.compared, differences.packets) = (flows + 2, flows + 2);
            assert_eq!(differences.text(1).contains("more than 10,000 flows"), unlisted > 0);
            let mut json = Vec::new();
            differences.write_end_json(&mut json).unwrap();
            let said = format!("\"packets_of_flows_not_listed\":{unlisted}");
            assert!(String::from_utf8(json).unwrap().contains(&said), "{said}");
        }
    }
}
