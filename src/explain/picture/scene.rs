//! What of an account the picture shows: where the packet came, what each stage said, and who had the last word.

use crate::engine::{HOOKS, Stage};
use crate::explain::account::{Account, Told, indent};
use crate::rule::Hook;

pub(super) struct Scene {
    pub packet: String,
    pub number: u64,
    pub verdict: String,
    pub state: Option<String>,
    pub tone: Tone,
    /// The sentence that says what decided.
    pub decided: String,
    pub cards: Vec<Card>,
    pub way: Vec<(Node, Node)>,
    pub answers: Vec<(Node, Node)>,
    pub input: Option<String>,
    pub output: Option<String>,
    /// Where routing sent it, and whether it was lost there.
    pub routing: Option<(String, bool)>,
    pub reached_router: bool,
    /// What the router sent because of it.
    pub answer: Option<String>,
    /// Where the last word was spoken, and every rule that was tried there.
    pub tried_in: String,
    pub tried: Vec<(bool, String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Between,
}

impl Tone {
    pub(super) fn strong(self) -> &'static str {
        match self {
            Self::Good => "#15803d",
            Self::Bad => "#c81e1e",
            Self::Between => "#b45309",
        }
    }

    pub(super) fn soft(self) -> &'static str {
        match self {
            Self::Good => "#e8f7ee",
            Self::Bad => "#fdecec",
            Self::Between => "#fdf3e1",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    In,
    Hook(Hook),
    Routing,
    Router,
    Out,
}

/// One hook.
pub(super) struct Card {
    pub hook: Hook,
    /// The packet came here.
    pub met: bool,
    pub rows: Vec<Row>,
    pub stopped: bool,
}

pub(super) struct Row {
    pub stage: &'static str,
    pub said: Option<String>,
    /// What had the last word about the packet.
    pub last_word: bool,
}

impl Scene {
    pub(super) fn of(account: &Account) -> Self {
        let first = account.steps.iter().find_map(|told| match told {
            Told::Arrived { interface, packet } => Some((interface.clone(), packet.clone())),
            _ => None,
        });
        let (input, packet) = first.unwrap_or_default();
        let tone = match account.verdict.as_str() {
            "ACCEPT" => Tone::Good,
            "STOLEN" | "QUEUE" => Tone::Between,
            _ => Tone::Bad,
        };
        let mut scene = Self {
            packet,
            number: account.number,
            verdict: account.verdict.clone(),
            state: account.state.clone(),
            tone,
            decided: String::new(),
            cards: HOOKS.iter().map(|(hook, stages)| Card::new(*hook, stages)).collect(),
            way: Vec::new(),
            answers: Vec::new(),
            input,
            output: None,
            routing: None,
            reached_router: false,
            answer: None,
            tried_in: String::new(),
            tried: Vec::new(),
        };
        scene.way = way(account.of_the_packet());
        scene.fill(account);
        scene.decide(account);
        // Of several the one that left is shown, such as the error after a redirect that was lost.
        let starts = (0..account.steps.len()).filter(|at| matches!(account.steps[*at], Told::RouterSends { .. }));
        let own = starts
            .map(|at| {
                let ends = |told: &Told| matches!(told, Told::GoesOn | Told::RouterSends { .. });
                let rest = account.steps[at + 1..].iter().position(ends);
                &account.steps[at..rest.map_or(account.steps.len(), |rest| at + 1 + rest)]
            })
            .max_by_key(|own| own.iter().any(|told| matches!(told, Told::Sent { .. })))
            .unwrap_or(&[]);
        if let Some(Told::RouterSends { packet }) = own.first() {
            scene.answer = Some(packet.clone());
        }
        let left = own.iter().find_map(|told| match told {
            Told::Sent { interface, .. } => Some(interface.clone()),
            _ => None,
        });
        scene.output = scene.output.or(left);
        scene.answers = way(own.iter());
        scene
    }

    fn fill(&mut self, account: &Account) {
        let mut at: Option<Hook> = None;
        let mut stage = "";
        for told in account.of_the_packet() {
            match told {
                Told::Hook { hook } => {
                    at = Hook::ALL.into_iter().find(|it| it.chain() == hook);
                    stage = "";
                    if let Some(card) = self.card(at) {
                        card.met = true;
                    }
                }
                Told::Table { table, .. } => stage = table_name(table),
                Told::Reassembled { .. } => self.say(at, "defragment", "whole".to_owned()),
                Told::Conntrack { state, .. } => {
                    stage = "conntrack";
                    self.say(at, stage, state.clone().unwrap_or_else(|| "dropped".to_owned()));
                }
                Told::Rule {
                    chain,
                    number,
                    decides: true,
                    action,
                    ..
                } => {
                    let hook = at.map_or("", Hook::chain);
                    let action = action.split_whitespace().next().unwrap_or("");
                    let place = if chain == hook {
                        String::new()
                    } else {
                        format!("{chain} ")
                    };
                    self.say(at, stage, format!("{place}rule {number}: {action}"));
                }
                Told::Policy { policy, .. } => self.say(at, stage, format!("policy {policy}")),
                Told::NatNotAsked { .. } => self.say(at, "nat", "not asked".to_owned()),
                Told::Nat { nat, after, .. } => {
                    let mut ends = after.split(" > ");
                    let end = match nat.as_str() {
                        "source" => ends.next(),
                        _ => ends.nth(1),
                    };
                    let end = end.unwrap_or(after).split(' ').next().unwrap_or("");
                    self.say(at, "nat", format!("\u{2192} {end}"));
                }
                Told::Helper { helper, heard, .. } => {
                    stage = HELPER;
                    let what = if heard.contains("is expected") {
                        "expects a flow"
                    } else {
                        "read"
                    };
                    self.say(at, stage, format!("{helper} {what}"));
                }
                Told::Route { way, .. } => self.routing = Some((way.clone(), false)),
                Told::Sent { interface, .. } => self.output = Some(interface.clone()),
                // What came round through lo, too.
                Told::Arrived {
                    interface: Some(interface),
                    ..
                } => self.input = Some(interface.clone()),
                Told::Delivered { .. } => self.reached_router = true,
                Told::Resumed { .. } => {
                    if let Some(card) = self.card(at) {
                        card.stopped = false;
                    }
                }
                Told::Stopped { how, by_rules, .. } => {
                    // At a table, at another stage, or (with no stage since the last hook) at the routing decision.
                    let in_routing = matches!(
                        account.of_the_packet().take_while(|it| !std::ptr::eq(*it, told)).last(),
                        Some(Told::Route { .. })
                    );
                    if in_routing {
                        if let Some((_, lost)) = &mut self.routing {
                            *lost = true;
                        }
                    } else if let Some(card) = self.card(at) {
                        card.stopped = true;
                        if how == "held"
                            && !by_rules
                            && let Some(row) = card.rows.iter_mut().find(|row| row.stage == "defragment")
                        {
                            row.said = Some("held".to_owned());
                            row.last_word = true;
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Who had the last word, and what was tried there.
    fn decide(&mut self, account: &Account) {
        let stopped = account.stopped().map(|it| (it.how, it.reason));
        let word = account.last_word();
        if let Some(word) = word {
            let mut hook = "";
            let mut table_here = "";
            for told in account.of_the_packet() {
                match told {
                    Told::Hook { hook: here } => hook = here,
                    Told::Table { table, .. } => {
                        table_here = table;
                        if hook == word.hook && *table == word.table {
                            self.tried.clear();
                        }
                    }
                    Told::Rule {
                        chain,
                        number,
                        depth,
                        rule,
                        matched,
                        why,
                        ..
                    } if hook == word.hook && table_here == word.table => {
                        let blanks = "\u{a0}".repeat(indent(*depth));
                        let text = format!("{blanks}{chain} {number}: {rule}");
                        self.tried.push((*matched, text, why.clone().unwrap_or_default()));
                    }
                    Told::Policy { chain, policy, .. } if hook == word.hook && table_here == word.table => {
                        self.tried
                            .push((true, format!("policy of {chain}: {policy}"), String::new()));
                    }
                    _ => {}
                }
            }
            self.tried_in = format!("Tried in {}table {} at {}", account.whose(), word.table, word.hook);
            // What it said last: it may have been another rule when the packet came there first.
            let texts = account.of_the_packet().filter_map(|told| match told {
                Told::Rule {
                    table,
                    chain,
                    number,
                    rule,
                    decides: true,
                    ..
                } if *table == word.table && *chain == word.chain && Some(*number) == word.rule => Some(rule.clone()),
                _ => None,
            });
            let text = texts.last();
            let place = format!("{}{} {}", account.whose(), word.table, word.chain);
            self.decided = match (word.rule, text) {
                (Some(number), Some(text)) => format!("rule {number} of {place}:  {text}"),
                (Some(number), None) => format!("rule {number} of {place}"),
                (None, _) => format!("the policy of {place}"),
            };
            let hook = Hook::ALL.into_iter().find(|it| it.chain() == word.hook);
            let stage = table_name(&word.table);
            if let Some(card) = self.card(hook)
                && let Some(row) = card.rows.iter_mut().find(|row| row.stage == stage)
            {
                row.last_word = true;
            }
        }
        match stopped {
            Some((how, reason)) if word.is_none() && self.tone == Tone::Between => {
                self.decided = format!("{how} {reason}");
            }
            Some((_, reason)) if word.is_none() => reason.clone_into(&mut self.decided),
            None if word.is_none() => "no table was asked".clone_into(&mut self.decided),
            _ => {}
        }
    }

    fn card(&mut self, hook: Option<Hook>) -> Option<&mut Card> {
        let hook = hook?;
        self.cards.iter_mut().find(|card| card.hook == hook)
    }

    fn say(&mut self, hook: Option<Hook>, stage: &str, what: String) {
        if let Some(card) = self.card(hook)
            && let Some(row) = card.rows.iter_mut().find(|row| row.stage == stage)
        {
            // What NAT wrote says more than which rule made it do so.
            row.said = Some(what);
        }
    }
}

fn way<'a>(told: impl Iterator<Item = &'a Told>) -> Vec<(Node, Node)> {
    let mut edges = Vec::new();
    let mut here: Option<Node> = None;
    for told in told {
        let next = match told {
            Told::Arrived { interface: Some(_), .. } => Node::In,
            Told::Arrived { interface: None, .. } | Told::RouterSends { .. } => {
                here = None;
                Node::Router
            }
            Told::Hook { hook } => match Hook::ALL.into_iter().find(|it| it.chain() == hook) {
                Some(hook) => Node::Hook(hook),
                None => continue,
            },
            Told::Route { .. } if here == Some(Node::Hook(Hook::Prerouting)) => Node::Routing,
            Told::Sent { .. } => Node::Out,
            Told::Delivered { .. } => Node::Router,
            _ => continue,
        };
        if let Some(from) = here {
            edges.push((from, next));
        }
        here = Some(next);
    }
    edges
}

impl Card {
    fn new(hook: Hook, stages: &[(i32, Stage)]) -> Self {
        let rows = stages
            .iter()
            .map(|(_, stage)| Row {
                stage: match stage {
                    Stage::Nat(_) => "nat",
                    Stage::Confirm => HELPER,
                    stage => stage.name(),
                },
                said: None,
                last_word: false,
            })
            .collect();
        Self {
            hook,
            met: false,
            rows,
            stopped: false,
        }
    }
}

fn table_name(name: &str) -> &'static str {
    crate::rule::Table::from_name(name).map_or("", crate::rule::Table::name)
}

/// Flows are confirmed there, too, of which there is nothing to say.
const HELPER: &str = "helper";
