//! A story in words, piece by piece: the model that the text, the JSON form and the picture are made of. `docs/trace.md` describes the JSON.

pub(super) mod stages;
pub(super) mod teller;
mod untracked;

use serde::{Deserialize, Serialize};
pub(crate) use stages::{expectation as expectation_sentence, heard_sentence};

use super::story::{Detail, Story};
use crate::base::Family;
use crate::rule::Rule;

/// All that is told of one packet and of what it caused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its number in its session or capture, from 1.
    pub number: u64,
    /// `IPv4` or `IPv6`: the one whose rules it met, as did all that it caused. `None` of bytes that are of neither.
    #[serde(default)]
    pub family: Option<String>,
    /// `ACCEPT`, `DROP`, `REJECT`, `STOLEN` or `QUEUE`: what became of the packet itself, not of answers to it.
    pub verdict: String,
    /// What tracking called it; `None` where it never got that far.
    pub state: Option<String>,
    /// Table by table, what had the last word about the packet itself.
    pub decided_by: Vec<Decided>,
    /// All of what happened, in order, also to what the router sent because of the packet.
    pub steps: Vec<Told>,
}

/// A rule or policy that had the last word in a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// As chains are named: `PREROUTING`.
    pub hook: String,
    /// As `-t` names it.
    pub table: String,
    /// The chain in which the walk ended, built-in or of the user's.
    pub chain: String,
    /// `None`: the chain's policy.
    pub rule: Option<u32>,
}

/// One thing that happened. Packets are lines as [`describe::line`](super::describe::line) makes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Told {
    /// By an interface, or from the router itself (`None`).
    Arrived {
        /// The interface's name, `lo` for what comes round.
        interface: Option<String>,
        /// As it came; what the router sends, as it was filled in.
        packet: String,
    },
    /// The packets before it completed this one.
    Reassembled {
        /// All of it.
        packet: String,
    },
    /// What follows is of a packet of the router's own, caused by the one before.
    RouterSends {
        /// As it was made, before OUTPUT.
        packet: String,
    },
    /// What follows is of the packet before it again.
    GoesOn,
    /// What follows is of a copy of the router's own broadcast, which it hears itself.
    Copied {
        /// As it was copied, before POSTROUTING.
        packet: String,
    },
    /// What follows is of the broadcast again.
    CopyDone,
    /// A hook begins; what is told behind it happens there.
    Hook {
        /// As chains are named: `PREROUTING`.
        hook: String,
    },
    /// A table that has a chain at this hook is walked from here on.
    Table {
        /// `IPv4` or `IPv6`: each has five tables of its own.
        #[serde(default)]
        family: String,
        /// As `-t` names it.
        table: String,
        /// How many rules the chain of this hook has.
        rules: usize,
    },
    /// The packet came to a rule.
    Rule {
        /// The table being walked.
        table: String,
        /// The chain that it stands in.
        chain: String,
        /// Its position in the chain, from 1.
        number: u32,
        /// How many jumps deep it stands.
        depth: usize,
        /// As it was typed, without its chain: `-p tcp -j ACCEPT`.
        rule: String,
        /// All its parts did; a match that dropped the packet did not.
        matched: bool,
        /// Of a rule that matched: what it did. Empty where it only counted.
        action: String,
        /// It had the last word in its table.
        decides: bool,
        /// Of a rule that did not match: its first part that failed, and the packet's datum against it. Of one that did: what its matches
        /// have counted, where that decided.
        why: Option<String>,
    },
    /// A target changed the packet's mark.
    Marked {
        /// How many jumps deep the rule stands.
        depth: usize,
        /// The mark as it was.
        from: u32,
        /// The mark as it is.
        to: u32,
    },
    /// A target changed the mark of the packet's flow.
    FlowMarked {
        /// How many jumps deep the rule stands.
        depth: usize,
        /// The mark as it was; 0 where there is no flow.
        from: u32,
        /// The mark as it is.
        to: u32,
    },
    /// A target changed the packet, or found that it need not: in its own words.
    Edited {
        /// How many jumps deep the rule stands.
        depth: usize,
        /// What was changed from what to what.
        text: String,
    },
    /// The packet came to the end of a built-in chain, or RETURN led there.
    Policy {
        /// The table being walked.
        table: String,
        /// The built-in chain.
        chain: String,
        /// `ACCEPT` or `DROP`.
        policy: String,
    },
    /// Back in a chain that was jumped from.
    Returned {
        /// The chain where the packet goes on.
        chain: String,
        /// How many jumps deep that stands.
        depth: usize,
    },
    /// So many steps of this walk are left out. What follows of it tells of each rule the first time only that the packet came to it, and knows
    /// no depth.
    Cut {
        /// Jumps and returns among them, not those that were told before.
        left_out: u64,
    },
    /// Tracking has seen the packet.
    Conntrack {
        /// `NEW` and so on; `None` where tracking dropped it.
        state: Option<String>,
        /// Why it has this state, or why it was dropped, in words.
        reason: String,
        /// Of a packet that is INVALID or does not count for its flow: that reason's name, which stays.
        code: Option<String>,
        /// Which packets opened and answered its flow.
        history: Option<String>,
    },
    /// Routing has spoken, of a packet that came in or of one of the router's own.
    Route {
        /// Where it goes, or why it goes nowhere, in words.
        way: String,
        /// The route as `ip route` shows it, and the routing rule as `ip rule` does.
        route: Option<String>,
        /// As `ip rule` shows it; `None` where no rule led there.
        rule: Option<String>,
        /// OUTPUT changed what the way out depends on.
        again: bool,
    },
    /// The nat table was not asked.
    NatNotAsked {
        /// `source` or `destination`: the side that the hook would have decided.
        nat: String,
        /// Why not, in words.
        reason: String,
    },
    /// NAT rewrote the packet.
    Nat {
        /// `source` or `destination`: the side that the hook decides.
        nat: String,
        /// Both ends as they were, with ports where there are any, and those of a packet that is quoted.
        before: String,
        /// The same as they are now.
        after: String,
    },
    /// A helper had the packet in its hands.
    Helper {
        /// Its name of today, without `nf_conntrack_`: `ftp`.
        helper: String,
        /// What it read and what it expects now, in words.
        heard: String,
        /// What the helper wrote over what it read.
        rewritten: Option<String>,
    },
    /// A rule's target or match wrote a line to the kernel's log.
    Log {
        /// syslog's level, 0 (emergency) to 7 (debug).
        level: u8,
        /// How many jumps deep the walk stands where this is told.
        depth: usize,
        /// The line, without time and host.
        text: String,
    },
    /// It left by an interface.
    Sent {
        /// The interface's name.
        interface: String,
        /// As it left; a piece, where it was cut.
        packet: String,
    },
    /// It reached the router itself.
    Delivered {
        /// As INPUT left it.
        packet: String,
    },
    /// It told the router that a way takes less than was known, or leads by another gateway, and the router heeds it.
    PathHeard {
        /// The destination.
        to: String,
        /// The largest packet that it takes, in bytes, if anything is known of that.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        mtu: Option<u32>,
        /// The gateway that a redirect named; the destination itself, where it is a neighbour.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        by: Option<String>,
    },
    /// It was held at a queue, and who listens there has decided: `accept`, `drop` or `repeat`.
    Resumed {
        /// The queue's number.
        queue: u16,
        /// What was decided.
        verdict: String,
        /// The mark that it was given.
        mark: Option<u32>,
        /// What was made of it.
        packet: Option<String>,
    },
    /// The router sends nothing where an answer, an ICMP message or a reset was due, or drops what was delivered to it.
    Unanswered {
        /// Why, in words.
        reason: String,
    },
    /// The packet goes no further, or waits.
    Stopped {
        /// `dropped`, `rejected`, `held` or `queued`.
        how: String,
        /// Why, in words, with the rule where one decided.
        reason: String,
        /// By a rule or policy, which is the last of `decided_by`; else by a check.
        by_rules: bool,
    },
}

impl Account {
    /// Short of rules that did not match, it is made many times as fast.
    pub(super) fn of(story: &Story, detail: Detail) -> Self {
        let steps = teller::tell(story, detail);
        let (verdict, state) = story.report.unwrap_or_default();
        let decided_by = story.deciding().into_iter().map(|it| Decided {
            hook: it.hook.chain().to_owned(),
            table: it.table.name().to_owned(),
            chain: it.chain,
            rule: it.number,
        });
        Self {
            number: story.number,
            family: story.family().map(|family| family.name().to_owned()),
            verdict: verdict.to_owned(),
            state: state.map(|state| state.name().to_owned()),
            decided_by: decided_by.collect(),
            steps,
        }
    }

    /// What is told of the packet itself, and not of what the router sent because of it, nor of a copy that it made for itself.
    pub fn of_the_packet(&self) -> impl Iterator<Item = &Told> {
        self.of_each()
            .filter(|(whose, _)| whose.is_none())
            .map(|(_, told)| told)
    }

    /// All of it, each with the packet that it is told of, where that is another: what the router sent because of it, or a copy.
    pub(super) fn of_each(&self) -> impl Iterator<Item = (Option<&str>, &Told)> {
        let (mut other, mut others) = (None, false);
        let mut before_copy = None;
        let mut copy = None;
        self.steps.iter().filter_map(move |told| {
            match told {
                Told::Copied { packet } => {
                    before_copy = Some(other);
                    copy = Some(packet.as_str());
                    other = copy;
                }
                Told::CopyDone => {
                    // The copy may have been answered.
                    other = before_copy.take().unwrap_or(other);
                    copy = None;
                    return None;
                }
                Told::RouterSends { packet } => (other, others) = (Some(packet.as_str()), true),
                Told::GoesOn => {
                    other = copy;
                    return None;
                }
                Told::Arrived { packet, .. } if others => other = Some(packet.as_str()),
                _ => {}
            }
            Some((other, told))
        })
    }

    /// What stands in front of its tables and chains, as [`Family::whose`] has it.
    pub(super) fn whose(&self) -> &'static str {
        self.family.as_deref().map_or("", whose)
    }

    /// As JSON, on a line.
    pub fn json(&self) -> String {
        // Texts and numbers: there is nothing in it that JSON can't hold.
        crate::base::json::to_string(self)
    }

    /// The rule or policy that had the last word about the packet itself: the one that stopped it, else the last of table filter, else of any.
    /// `None` where a check stopped it, or no table was asked.
    pub fn last_word(&self) -> Option<&Decided> {
        let of_filter = self.decided_by.iter().rev().find(|it| it.table == "filter");
        match self.stopped() {
            None => of_filter.or(self.decided_by.last()),
            Some(stopped) if stopped.by_rules => self.decided_by.last(),
            Some(_) => None,
        }
    }

    /// Where the packet itself goes no further, or waits; not what it has waited for at a queue.
    pub(super) fn stopped(&self) -> Option<Stopped<'_>> {
        let mut stopped = None;
        for told in self.of_the_packet() {
            match told {
                Told::Stopped { how, reason, by_rules } if stopped.is_none() => {
                    stopped = Some(Stopped {
                        how,
                        reason,
                        by_rules: *by_rules,
                    });
                }
                Told::Resumed { .. } => stopped = None,
                _ => {}
            }
        }
        stopped
    }
}

/// As [`Told::Stopped`] has it.
pub(super) struct Stopped<'a> {
    pub how: &'a str,
    pub reason: &'a str,
    pub by_rules: bool,
}

/// [`Family::whose`] of the family of this name.
pub(super) fn whose(family: &str) -> &'static str {
    let mut all = Family::ALL.into_iter();
    all.find(|it| it.name() == family).map_or("", Family::whose)
}

/// How many blanks a line of a called chain begins with. Deeper ones stand below each other: a way through thousands of chains would be blanks
/// mostly, and the more the longer it is.
pub(super) fn indent(depth: usize) -> usize {
    const DEEPEST: usize = 40;
    2 * depth.min(DEEPEST)
}

/// The rule as it was typed, without its chain.
pub(super) fn rule_text(rule: &Rule) -> String {
    let mut text = String::new();
    crate::text::save::write_rule(&mut text, "", rule, None);
    text.truncate(text.trim_end().len());
    text.drain(..text.len() - text.trim_start_matches("-A").trim_start().len());
    text
}
