//! A story in words, piece by piece: the model that the text, the JSON form and the picture are made of. `docs/trace.md` describes the JSON.

pub(super) mod teller;

use serde::{Deserialize, Serialize};

use super::story::{Detail, Story};
use crate::rule::Rule;

/// All that is told of one packet and of what it caused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its number in its session or capture, from 1.
    pub number: u64,
    /// `ACCEPT`, `DROP`, `REJECT`, `STOLEN` or `QUEUE`: what became of the packet itself, not of answers to it.
    pub verdict: String,
    /// What tracking called it; `None` where it never got that far.
    pub state: Option<String>,
    /// Table by table, what had the last word about the packet itself.
    pub decided_by: Vec<Decided>,
    pub steps: Vec<Told>,
}

/// A rule or policy that had the last word in a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    pub hook: String,
    pub table: String,
    pub chain: String,
    /// `None`: the chain's policy.
    pub rule: Option<u32>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Told {
    /// By an interface, or from the router itself (`None`).
    Arrived {
        interface: Option<String>,
        packet: String,
    },
    /// The packets before it completed this one.
    Reassembled {
        packet: String,
    },
    /// What follows is of a packet of the router's own, caused by the one before.
    RouterSends {
        packet: String,
    },
    /// What follows is of the packet before it again.
    GoesOn,
    /// What follows is of a copy of the router's own broadcast, which it hears itself.
    Copied {
        packet: String,
    },
    /// What follows is of the broadcast again.
    CopyDone,
    Hook {
        hook: String,
    },
    Table {
        table: String,
        /// How many rules the chain of this hook has.
        rules: usize,
    },
    Rule {
        table: String,
        chain: String,
        number: u32,
        /// How many jumps deep it stands.
        depth: usize,
        rule: String,
        matched: bool,
        /// Of a rule that matched: what it did. Empty where it only counted.
        action: String,
        /// It had the last word in its table.
        decides: bool,
        /// Of a rule that did not match: its first part that failed, and the packet's datum against it.
        why: Option<String>,
    },
    /// A target changed the packet's mark.
    Marked {
        depth: usize,
        from: u32,
        to: u32,
    },
    /// A target changed the mark of the packet's flow.
    FlowMarked {
        depth: usize,
        from: u32,
        to: u32,
    },
    /// A target changed the packet, or found that it need not: in its own words.
    Edited {
        depth: usize,
        text: String,
    },
    Policy {
        table: String,
        chain: String,
        policy: String,
    },
    /// Back in a chain that was jumped from.
    Returned {
        chain: String,
        depth: usize,
    },
    /// So many steps of this walk are left out. What follows of it tells of each rule the first time only that the packet came to it, and knows
    /// no depth.
    Cut {
        left_out: u64,
    },
    Conntrack {
        state: Option<String>,
        reason: String,
        /// Which packets opened and answered its flow.
        history: Option<String>,
    },
    Route {
        way: String,
        /// The route as `ip route` shows it, and the routing rule as `ip rule` does.
        route: Option<String>,
        rule: Option<String>,
        /// OUTPUT changed what the way out depends on.
        again: bool,
    },
    NatNotAsked {
        nat: String,
        reason: String,
    },
    Nat {
        nat: String,
        before: String,
        after: String,
    },
    Helper {
        helper: String,
        heard: String,
        /// What the helper wrote over what it read.
        rewritten: Option<String>,
    },
    Log {
        level: u8,
        depth: usize,
        text: String,
    },
    Sent {
        interface: String,
        packet: String,
    },
    Delivered {
        packet: String,
    },
    /// It was held at a queue, and who listens there has decided: `accept`, `drop` or `repeat`.
    Resumed {
        queue: u16,
        verdict: String,
        /// The mark that it was given.
        mark: Option<u32>,
        /// What was made of it.
        packet: Option<String>,
    },
    /// An ICMP message that was due is not sent.
    Unanswered {
        reason: String,
    },
    Stopped {
        /// `dropped`, `rejected`, `held` or `queued`.
        how: String,
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
            verdict: verdict.to_owned(),
            state: state.map(|state| state.name().to_owned()),
            decided_by: decided_by.collect(),
            steps,
        }
    }

    /// What is told of the packet itself, and not of what the router sent because of it, nor of a copy that it made for itself.
    pub fn of_the_packet(&self) -> impl Iterator<Item = &Told> {
        let (mut is_own, mut others) = (false, false);
        let mut before_copy = None;
        self.steps.iter().filter(move |told| {
            match told {
                Told::Copied { .. } => before_copy = Some(is_own),
                Told::CopyDone => {
                    // The copy may have been answered.
                    is_own = before_copy.take().unwrap_or(is_own);
                    return false;
                }
                Told::RouterSends { .. } => (is_own, others) = (true, true),
                Told::GoesOn => {
                    is_own = false;
                    return false;
                }
                Told::Arrived { .. } if others => is_own = true,
                _ => {}
            }
            !is_own && before_copy.is_none()
        })
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
        let stopped = self.of_the_packet().find_map(|told| match told {
            Told::Stopped { by_rules, .. } => Some(*by_rules),
            _ => None,
        });
        match stopped {
            None => of_filter.or(self.decided_by.last()),
            Some(true) => self.decided_by.last(),
            Some(false) => None,
        }
    }
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
