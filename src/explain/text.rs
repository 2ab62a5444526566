//! A story as text: three columns, hook, table and what happened; in colours where there is a terminal.

use std::sync::Arc;

use super::account::teller::{Missed, RulePieces, Teller};
use super::account::{Told, indent};
use super::story::{Detail, Story};
use crate::base::{Family, write_number};
use crate::engine::LiveTable;
use crate::rule::Miss;

mod brisk;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Always,
    Never,
}

pub(super) fn render(
    text: &mut String,
    story: &Story,
    detail: Detail,
    colour: Colour,
    mut known: Option<&mut Phrases>,
) {
    if let Some(known) = &mut known {
        known.begin(colour);
    }
    let mut page = Page {
        text,
        hook: String::new(),
        table: String::new(),
        colour,
        whole: detail == Detail::Whole,
        number: story.number(),
        whose: story.family().map_or("", Family::whose),
        is_empty_table: false,
    };
    let mut teller = Teller::new(story, detail);
    for (at, step) in story.steps.iter().enumerate() {
        // Most lines are about rules that failed: these are written without a detour.
        if page.whole
            && let Some(known) = &mut known
            && page.has_no_columns()
            && let Some(missed) = teller.missed(step)
        {
            page.missed(known, &missed, &teller);
        } else if page.whole
            && let Some(rule) = teller.failed(step)
        {
            page.failed(&rule, |text| teller.why(step, text));
        } else if page.whole
            && let Some(known) = &mut known
            && page.brisk(known, &mut teller, (at, step))
        {
        } else if let Some(told) = teller.tell(at, step) {
            page.tell(at == 0, &told);
        }
    }
    page.end_table();
}

/// What was written of rules that failed on their addresses, interfaces or protocol, up to the packet's own datum, which is all that is new where
/// many packets are told of: of a hundred rules nearly all fail so.
#[derive(Debug, Default)]
pub(crate) struct Phrases {
    colour: Option<Colour>,
    /// Few: those of a ruleset. Held, so that no other table comes to stand where one stood.
    tables: Vec<(Arc<LiveTable>, PhrasesOfSteps)>,
    /// The data of the packet at hand.
    data: Vec<(u32, Miss, String)>,
    scratch: String,
    ways: brisk::Ways,
}

/// Two of each, the last one first: of a rule's addresses the packets of one direction mostly fail on one, those of the other on the other.
type PhrasesOfSteps = Box<[[Option<Phrase>; 2]]>;

#[derive(Clone, Debug)]
struct Phrase {
    miss: Miss,
    depth: usize,
    text: Box<str>,
}

impl Phrases {
    fn begin(&mut self, colour: Colour) {
        if self.colour != Some(colour) || self.tables.len() > TABLES {
            self.tables.clear();
            self.colour = Some(colour);
        }
        self.data.clear();
    }

    fn place(&mut self, missed: &Missed<'_>) -> (usize, usize) {
        let known = self
            .tables
            .iter()
            .position(|(table, _)| Arc::ptr_eq(table, missed.table));
        let at = known.unwrap_or_else(|| {
            let steps = vec![[None, None]; missed.table.steps()].into();
            self.tables.push((Arc::clone(missed.table), steps));
            self.tables.len() - 1
        });
        (at, missed.step as usize)
    }

    fn phrase(&self, (table, step): (usize, usize), missed: &Missed<'_>) -> Option<&Phrase> {
        let both = self.tables.get(table)?.1.get(step)?.iter().flatten();
        both.into_iter()
            .find(|phrase| phrase.miss == missed.miss && phrase.depth == missed.depth)
    }

    fn datum(&mut self, missed: &Missed<'_>, teller: &Teller<'_>) -> &str {
        let known = self
            .data
            .iter()
            .position(|(moment, miss, _)| (*moment, *miss) == (missed.moment, missed.miss));
        let at = known.unwrap_or_else(|| {
            let mut text = String::new();
            teller.datum(missed, &mut text);
            self.data.push((missed.moment, missed.miss, text));
            self.data.len() - 1
        });
        &self.data[at].2
    }
}

/// Tables whose phrases are kept: in a lab whose rules change there come ever more.
const TABLES: usize = 16;

impl Page<'_> {
    fn has_no_columns(&self) -> bool {
        self.hook.is_empty() && self.table.is_empty()
    }

    /// As [`Self::failed`], with what is known of the rule.
    fn missed(&mut self, known: &mut Phrases, missed: &Missed<'_>, teller: &Teller<'_>) {
        let place = known.place(missed);
        if known.phrase(place, missed).is_none() {
            let mut scratch = std::mem::take(&mut known.scratch);
            scratch.clear();
            std::mem::swap(self.text, &mut scratch);
            if let Some(rule) = teller.failed_at(missed) {
                self.failed_up_to(&rule, |text| teller.asked(missed, text));
            }
            std::mem::swap(self.text, &mut scratch);
            if let Some([last, before]) = known.tables[place.0].1.get_mut(place.1) {
                *before = last.take();
                *last = Some(Phrase {
                    miss: missed.miss,
                    depth: missed.depth,
                    text: scratch.as_str().into(),
                });
            }
            known.scratch = scratch;
        }
        self.is_empty_table = false;
        if let Some(phrase) = known.phrase(place, missed) {
            self.text.push_str(&phrase.text);
        }
        self.text.push_str(known.datum(missed, teller));
        self.colour(RESET);
        self.text.push('\n');
    }

    fn tell(&mut self, is_first: bool, told: &Told) {
        let whole = self.whole;
        let page = self;
        match told {
            Told::Rule { .. } | Told::Policy { .. } => page.is_empty_table = false,
            _ => page.end_table(),
        }
        match told {
            Told::Arrived { interface, packet } => {
                // Other packets' traces name this one by its number.
                let number = match whole && is_first && page.number != 0 {
                    true => format!("packet {}, ", page.number),
                    false => String::new(),
                };
                let from = match interface {
                    Some(name) => format!("{number}in by {name}: "),
                    None => format!("{number}from the router: "),
                };
                page.head(BOLD, &from, packet);
            }
            Told::Reassembled { packet } => {
                page.table("fragments");
                page.line(PLAIN, &format!("all are there: {packet}"));
            }
            Told::GoesOn => page.head(BOLD, "the packet itself goes on", ""),
            Told::Copied { packet } => page.head(BOLD, "a copy for the router itself: ", packet),
            Told::CopyDone => page.head(BOLD, "the packet itself goes on", ""),
            Told::RouterSends { packet } => page.head(BOLD, "the router sends: ", packet),
            Told::Hook { hook } => page.hook(hook),
            Told::Table { table, .. } => {
                page.table(table);
                page.is_empty_table = whole;
            }
            Told::Rule { .. } => rule(page, told, whole),
            Told::Marked { depth, from, to } if whole => {
                let indent = " ".repeat(indent(*depth));
                page.line(PLAIN, &format!("{indent}    mark {from:#x} becomes {to:#x}"));
            }
            Told::FlowMarked { depth, from, to } if whole => {
                let indent = " ".repeat(indent(*depth));
                page.line(PLAIN, &format!("{indent}    the flow's mark {from:#x} becomes {to:#x}"));
            }
            Told::Edited { depth, text } if whole => {
                page.line(PLAIN, &format!("{}    {text}", " ".repeat(indent(*depth))));
            }
            Told::Marked { .. } | Told::FlowMarked { .. } | Told::Edited { .. } => {}
            Told::Policy { chain, policy, .. } => {
                let colour = if policy == "DROP" { RED } else { GREEN };
                page.line(colour, &format!("policy of {}{chain}: {policy}", page.whose));
            }
            Told::Returned { chain, depth } if whole => {
                page.line(DIM, &format!("{}back to {chain}", " ".repeat(indent(*depth))));
            }
            Told::Returned { .. } => {}
            Told::Cut { left_out } => {
                let steps = if *left_out == 1 { "step is" } else { "steps are" };
                page.line(
                    YELLOW,
                    &format!(
                        "{left_out} {steps} left out: from here on each rule of this table is told of once \
                         (--short tells only of rules that matched, --why RULE of one rule)"
                    ),
                );
            }
            Told::Conntrack {
                state, reason, history, ..
            } => {
                page.table("conntrack");
                let more = history.as_deref().filter(|_| whole);
                let more = more.map_or_else(String::new, |history| format!("; {history}"));
                match state {
                    Some(state) => page.line(state_colour(state), &format!("{state}: {reason}{more}")),
                    None => page.line(RED, reason),
                }
            }
            Told::Route {
                way,
                route,
                rule,
                again,
            } => {
                page.hook("routing");
                page.table("");
                let again = if *again {
                    "again, because OUTPUT changed it: "
                } else {
                    ""
                };
                page.line(PLAIN, &format!("{again}{way}"));
                if whole {
                    match (route, rule) {
                        (Some(route), Some(rule)) => page.line(DIM, &format!("by route {route}, rule {rule}")),
                        (None, Some(rule)) => page.line(DIM, &format!("by rule {rule}")),
                        _ => {}
                    }
                }
            }
            Told::NatNotAsked { reason, .. } if whole => {
                page.table("nat");
                page.line(DIM, &format!("rules are not asked: {reason}"));
            }
            Told::NatNotAsked { .. } => {}
            Told::Nat { before, after, .. } => {
                page.table("nat");
                page.line(CYAN, &format!("{before}  becomes  {after}"));
            }
            Told::Helper {
                helper,
                heard,
                rewritten,
            } => {
                if whole || rewritten.is_some() || heard.contains("is expected") {
                    page.table("helper");
                    page.line(CYAN, &format!("{helper}: {heard}"));
                    if let Some(rewritten) = rewritten {
                        page.line(CYAN, &format!("{helper}: wrote {rewritten} over it"));
                    }
                }
            }
            Told::Log { depth, text, .. } => {
                let indent = if whole {
                    " ".repeat(indent(*depth)) + "    "
                } else {
                    String::new()
                };
                page.line(PLAIN, &format!("{indent}log: {}", text.trim_end()));
            }
            Told::Sent { interface, packet } => page.head(GREEN, &format!("out by {interface}: "), packet),
            Told::Delivered { packet } => page.head(GREEN, "reached the router: ", packet),
            Told::PathHeard { to, mtu, by } if whole => {
                let takes = mtu.map(|mtu| format!("takes {mtu} bytes"));
                let leads = by.as_ref().map(|by| match by == to {
                    true => "leads to a neighbour".to_owned(),
                    false => format!("leads by {by}"),
                });
                let what: Vec<String> = takes.into_iter().chain(leads).collect();
                let line = format!(
                    "{}    the way to {to} {} from now on",
                    " ".repeat(indent(0)),
                    what.join(" and ")
                );
                page.line(PLAIN, &line);
            }
            Told::PathHeard { .. } => {}
            Told::Resumed {
                queue,
                verdict,
                mark,
                packet,
            } => {
                let mark = mark.map_or_else(String::new, |mark| format!(", mark {mark:#x}"));
                let packet = packet
                    .as_deref()
                    .map_or_else(String::new, |packet| format!(", as {packet}"));
                page.head(BOLD, &format!("queue {queue}: "), &format!("{verdict}{mark}{packet}"));
            }
            Told::Unanswered { reason } => page.head(YELLOW, "not answered: ", reason),
            Told::Stopped { how, reason, .. } => {
                let colour = match how.as_str() {
                    "held" | "queued" => YELLOW,
                    _ => RED,
                };
                page.head(colour, &format!("{how}: "), reason);
            }
        }
    }
}

fn rule(page: &mut Page<'_>, told: &Told, whole: bool) {
    let Told::Rule {
        chain,
        number,
        depth,
        rule,
        matched,
        action,
        decides,
        why,
        ..
    } = told
    else {
        return;
    };
    let indent = " ".repeat(indent(*depth));
    let line = format!("{indent}rule {number} of {}{chain}: {rule}", page.whose);
    match (whole, matched) {
        (false, true) if *decides || !action.is_empty() => page.line(if *decides { GREEN } else { PLAIN }, &line),
        (false, _) => {}
        (true, false) => {
            let rule = RulePieces {
                chain,
                number: *number,
                depth: *depth,
                text: rule,
            };
            page.failed(&rule, |text| text.push_str(why.as_deref().unwrap_or("")));
        }
        (true, true) => {
            let action = if action.is_empty() { "counted, on" } else { action };
            page.line(if *decides { BOLD } else { PLAIN }, &line);
            let counted = why.as_ref().map_or(String::new(), |why| format!(" ({why})"));
            page.line(GREEN, &format!("{indent}    yes: {action}{counted}"));
        }
    }
}

fn state_colour(state: &str) -> &'static str {
    match state {
        "INVALID" => RED,
        "NEW" => YELLOW,
        "ESTABLISHED" | "RELATED" => GREEN,
        _ => PLAIN,
    }
}

struct Page<'a> {
    text: &'a mut String,
    hook: String,
    table: String,
    colour: Colour,
    whole: bool,
    /// The packet's.
    number: u64,
    /// What stands in front of chains: whose rules they have.
    whose: &'static str,
    /// Of the table that is walked nothing was told yet.
    is_empty_table: bool,
}

impl Page<'_> {
    fn head(&mut self, colour: &str, what: &str, rest: &str) {
        self.hook.clear();
        self.table.clear();
        self.paint(colour, what, 0);
        self.text.push_str(rest);
        self.text.push('\n');
    }

    fn hook(&mut self, name: &str) {
        name.clone_into(&mut self.hook);
        self.table.clear();
    }

    fn table(&mut self, name: &str) {
        name.clone_into(&mut self.table);
    }

    /// The walk of a table without rules shows only the policy, and in most tables nobody set one.
    fn end_table(&mut self) {
        if std::mem::take(&mut self.is_empty_table) {
            self.line(
                DIM,
                if self.whose.is_empty() {
                    "no rules"
                } else {
                    "no rules of IPv6"
                },
            );
        }
    }

    fn failed(&mut self, rule: &RulePieces<'_>, why: impl FnOnce(&mut String)) {
        self.failed_up_to(rule, why);
        self.colour(RESET);
        self.text.push('\n');
    }

    fn failed_up_to(&mut self, rule: &RulePieces<'_>, why: impl FnOnce(&mut String)) {
        self.is_empty_table = false;
        self.columns();
        self.indent(indent(rule.depth));
        self.colour(DIM);
        self.rule(rule);
        self.colour(RESET);
        self.text.push('\n');
        self.columns();
        self.indent(indent(rule.depth) + 4);
        self.colour(YELLOW);
        self.text.push_str("no: ");
        why(self.text);
    }

    fn rule(&mut self, rule: &RulePieces<'_>) {
        self.text.push_str("rule ");
        write_number(self.text, rule.number);
        for piece in [" of ", self.whose, rule.chain, ": ", rule.text] {
            self.text.push_str(piece);
        }
    }

    /// Each column's name stands only in the first line that it is true of.
    fn line(&mut self, colour: &str, what: &str) {
        self.columns();
        // The indentation is not painted, so that nothing but words is dimmed.
        let words = what.trim_start();
        self.text.push_str(&what[..what.len() - words.len()]);
        self.paint(colour, words, 0);
        self.text.push('\n');
    }

    fn columns(&mut self) {
        if self.hook.is_empty() && self.table.is_empty() {
            return self.indent(24);
        }
        let (mut hook, mut table) = (std::mem::take(&mut self.hook), std::mem::take(&mut self.table));
        self.text.push_str("  ");
        self.paint(BOLD, &hook, 11);
        self.text.push(' ');
        self.paint(BLUE, &table, 9);
        self.text.push(' ');
        // Their room is kept.
        hook.clear();
        table.clear();
        (self.hook, self.table) = (hook, table);
    }

    fn indent(&mut self, width: usize) {
        let mut left = width;
        while left > 0 {
            let now = left.min(SPACES.len());
            self.text.push_str(&SPACES[..now]);
            left -= now;
        }
    }

    fn colour(&mut self, colour: &str) {
        if self.colour == Colour::Always {
            self.text.push_str(colour);
        }
    }

    /// A text of at least this width.
    fn paint(&mut self, colour: &str, text: &str, width: usize) {
        let is_painted = self.colour == Colour::Always && !colour.is_empty() && !text.is_empty();
        if is_painted {
            self.text.push_str(colour);
        }
        self.text.push_str(text);
        if width > 0 {
            self.indent(width.saturating_sub(text.chars().count()));
        }
        if is_painted {
            self.text.push_str(RESET);
        }
    }
}

const SPACES: &str = "                                ";
const PLAIN: &str = "";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const BLUE: &str = "\x1b[34m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

#[cfg(test)]
mod tests;
