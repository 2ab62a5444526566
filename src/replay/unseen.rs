//! Packets that say nothing about a ruleset: no rule saw them, or every rule saw them as INVALID although they were none on the wire.
//!
//! A comparison that rests on them is no all-clear. Four kinds are told apart. What the capture made of a packet (a checksum that a network
//! card was to fill in, a packet cut short, segments that a card joined) or left out before it (a connection's beginning, its other direction)
//! never tells; nor does what the lab's own description stops before any rule, nor what ends in a queue, where nobody listens to a replay: of the
//! rules behind it nothing is known. What is INVALID by what it is (flags that no segment has, a
//! sequence number outside of the window of a connection that is tracked) is so to the kernel, too, and rules do treat it: that is an answer.

use std::fmt::Write;

use serde::Serialize;

use super::tally::Tally;
use super::{Passed, grouped};
use crate::conntrack::{Because, InvalidReason};
use crate::engine::Reason;
use crate::net::DropReason;

/// Why a packet says nothing, and what helps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Why {
    pub reason: String,
    pub remedy: &'static str,
}

/// How many packets said nothing, by reason.
#[derive(Debug)]
pub struct Unseen {
    packets: u64,
    /// Reasons may hold what packets hold.
    reasons: Tally<Why>,
}

impl Default for Unseen {
    fn default() -> Self {
        Self {
            packets: 0,
            reasons: Tally::new(MOST_REASONS),
        }
    }
}

/// Why this packet says nothing about the rules; `None` where it does.
pub(crate) fn why(passed: &Passed<'_>) -> Option<Why> {
    let is_queued = matches!(passed.reason(), Some(Reason::Queued(_)));
    if let Some(reason) = passed.why_invalid().filter(|it| !is_queued || of_invalid(it).is_some()) {
        return of_invalid(&reason).map(|remedy| Why {
            reason: format!("INVALID: {reason}"),
            remedy,
        });
    }
    let remedy = match passed.reason()? {
        Reason::Malformed(_) => CUT,
        Reason::WalkTooLong(_) => TOO_LONG,
        Reason::NoWay(_) => LAB,
        Reason::Queued(_) => QUEUED,
        Reason::Host(reason) if passed.deciding().is_none() => of_host(*reason)?,
        _ => return None,
    };
    let reason = match passed.reason()? {
        reason @ Reason::Queued(_) => format!("{reason}: it came to no rule behind that"),
        reason => reason.to_string(),
    };
    Some(Why { reason, remedy })
}

/// A packet that was not replayed at all.
pub(crate) fn not_replayed(reason: &str) -> Why {
    Why {
        reason: format!("not replayed: {reason}"),
        remedy: "no rule can be asked about it",
    }
}

fn of_invalid(reason: &InvalidReason) -> Option<&'static str> {
    match reason.because() {
        Because::Checksum => Some(CHECKSUMS),
        Because::Cut => Some(CUT),
        Because::Before => Some(BEFORE),
        Because::Itself => None,
    }
}

fn of_host(reason: DropReason) -> Option<&'static str> {
    Some(match reason {
        DropReason::BadHeaderChecksum
        | DropReason::TcpChecksum
        | DropReason::UdpChecksum
        | DropReason::IcmpChecksum => CHECKSUMS,
        DropReason::Truncated
        | DropReason::BadVersion
        | DropReason::BadHeaderLength
        | DropReason::BadTotalLength
        | DropReason::TotalLengthBeyondPacket
        | DropReason::BadOptions
        | DropReason::TransportTruncated
        | DropReason::TransportLength => CUT,
        DropReason::TooBig => {
            "where a network card joined segments, `mtu = 65535` on the lab's interfaces takes them as the router did"
        }
        DropReason::MartianSource
        | DropReason::LocalSource
        | DropReason::LoopbackOutside
        | DropReason::LoopbackOutsideIpv6
        | DropReason::MartianDestination
        | DropReason::ReversePath
        | DropReason::LinkDown
        | DropReason::NoRoute
        | DropReason::NotForwarding => LAB,
        // The way of such a packet ends there under any rules: so does that of one to a group, which no lab's host joins and no router without
        // multicast routing passes on. The summary names it by its reason.
        _ => return None,
    })
}

impl Unseen {
    pub fn note(&mut self, why: &Why, await_turn: impl FnOnce()) {
        self.packets += 1;
        let other = |why: &Why| Why {
            reason: "other reasons".to_owned(),
            remedy: why.remedy,
        };
        self.reasons.count(why, other, await_turn);
    }

    pub fn beside(&self) -> Self {
        Self {
            packets: 0,
            reasons: self.reasons.beside(),
        }
    }

    pub fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.reasons.add(other.reasons);
    }

    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// `56 of 63 packets tell nothing about the rules`, with a line for each reason and one for what helps; nothing where there are none.
    pub fn text(&self, of: u64) -> String {
        let mut text = String::new();
        if self.packets == 0 {
            return text;
        }
        let tell = if self.packets == 1 { "tells" } else { "tell" };
        let _ = writeln!(
            text,
            "{} of {} packets {tell} nothing about the rules, which did not see what was sent:",
            grouped(self.packets),
            grouped(of)
        );
        let sums = self.reasons.sums();
        let mut reasons: Vec<(&Why, &u64)> = sums.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (why, count) in &reasons {
            let _ = writeln!(text, "  {:>13}  {}", grouped(**count), why.reason);
        }
        let mut said: Vec<&str> = Vec::new();
        for (why, _) in reasons {
            if !said.contains(&why.remedy) {
                said.push(why.remedy);
                let _ = writeln!(text, "  {}", why.remedy);
            }
        }
        text
    }

    pub fn json(&self) -> Vec<UnseenJson> {
        let reasons = self.reasons.sums().into_iter();
        reasons
            .map(|(why, packets)| UnseenJson {
                reason: why.reason,
                remedy: why.remedy,
                packets,
            })
            .collect()
    }
}

#[derive(Debug, Serialize)]
pub struct UnseenJson {
    reason: String,
    remedy: &'static str,
    packets: u64,
}

const CHECKSUMS: &str = "checksums that a network card was to fill in are made right by --fix-checksums";
const CUT: &str =
    "packets that the capture cut short are filled by --fill-cut; what is malformed on the wire reaches no rule";
const TOO_LONG: &str = "no packet goes that way in time, in a kernel neither: chains that jump into each other over and over need fewer jumps";
const QUEUED: &str = "nobody listens at queues here: a rule with --queue-bypass, or none in its place, lets packets go on to those behind it";
const BEFORE: &str = "the capture lacks what came before, or the other direction: capture both, from the beginning";
const LAB: &str =
    "the lab stops it before its rules: look whether its interfaces, addresses, routes and sysctls are the router's";
const MOST_REASONS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_lab_lacks_for_a_packet_is_said_by_its_reason() {
        for (reason, remedy) in [
            (DropReason::BadHeaderChecksum, Some(CHECKSUMS)),
            (DropReason::IcmpChecksum, Some(CHECKSUMS)),
            (DropReason::Truncated, Some(CUT)),
            (DropReason::TransportLength, Some(CUT)),
            (DropReason::MartianSource, Some(LAB)),
            (DropReason::NoRoute, Some(LAB)),
            (DropReason::FragmentTooLong, None),
        ] {
            assert_eq!(of_host(reason), remedy, "{reason:?}");
        }
        assert!(of_host(DropReason::TooBig).is_some_and(|it| it.contains("`mtu = 65535`")));
    }
}
