//! What most packets have in their stories, written as it is told: without a [`Told`](crate::explain::account::Told) between, whose texts would each
//! be made, copied and freed. `tests` hold it against that.

use std::sync::Arc;

use super::{BOLD, DIM, GREEN, PLAIN, Page, Phrases, RED, RESET, state_colour};
use crate::base::{InterfaceId, write_number};
use crate::conntrack::Tracked;
use crate::engine::Config;
use crate::explain::account::indent;
use crate::explain::account::stages::{nat_not_asked_because, tracked_because, write_history, write_out_by};
use crate::explain::account::teller::{Teller, write_action};
use crate::explain::describe::{self, rule_names};
use crate::explain::story::{Span, Step, TrackedAs};
use crate::net::{InputRoute, LookedUp, Route, RoutingRule};
use crate::packet::Packet;
use crate::rule::Policy;

/// What is written of the routing rules and routes that packets went by.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// Whose they are. Held, so that no other configuration comes to stand where it stood.
    config: Option<Arc<Config>>,
    known: Vec<Way>,
}

#[derive(Debug)]
struct Way {
    /// Where it stands in the configuration.
    route: Option<usize>,
    rule: Option<RoutingRule>,
    text: String,
}

impl Ways {
    /// `by route default via 192.0.2.254 dev wan, rule 32766: from all lookup main`; nothing where no rule was asked.
    fn text(&mut self, config: &Arc<Config>, found: &LookedUp<'_>) -> &str {
        let is_theirs = self.config.as_ref().is_some_and(|it| Arc::ptr_eq(it, config));
        if !is_theirs || self.known.len() > WAYS {
            self.known.clear();
            self.config = Some(Arc::clone(config));
        }
        let place = found.route.map(|route| std::ptr::from_ref::<Route>(route) as usize);
        let known = self
            .known
            .iter()
            .position(|way| way.route == place && way.rule == found.rule);
        let at = known.unwrap_or_else(|| {
            let rule = found.rule.as_ref().map(|rule| config.net.rule_text(rule, rule_names()));
            let text = match (found.route, rule) {
                (Some(route), Some(rule)) => format!("by route {}, rule {rule}", config.net.route_text(route)),
                (None, Some(rule)) => format!("by rule {rule}"),
                (_, None) => String::new(),
            };
            self.known.push(Way {
                route: place,
                rule: found.rule.clone(),
                text,
            });
            self.known.len() - 1
        });
        &self.known[at].text
    }
}

/// In a large table of routes there come ever more.
const WAYS: usize = 16;

impl Page<'_> {
    /// Writes what is told of a step at length, if it is one that most packets have. False where it is not, and nothing has happened.
    pub(super) fn brisk<'s>(
        &mut self,
        known: &mut Phrases,
        teller: &mut Teller<'s>,
        (at, step): (usize, &'s Step),
    ) -> bool {
        match step {
            Step::Arrived { interface, packet } => {
                teller.arrives();
                self.head_begins(BOLD);
                if at == 0 && self.number != 0 {
                    self.text.push_str("packet ");
                    write_number(self.text, self.number);
                    self.text.push_str(", ");
                }
                match interface {
                    Some(name) => self.pieces(&["in by ", name.as_str(), ": "]),
                    None => self.text.push_str("from the router: "),
                }
                self.head_ends(teller, *packet);
            }
            Step::Hook(hook) => {
                teller.enter_hook(*hook);
                self.end_table();
                self.hook(hook.chain());
            }
            Step::Table(walked) => {
                if let Some(table) = teller.enter_table(*walked) {
                    self.end_table();
                    self.table(table.rules().table.name());
                    self.is_empty_table = true;
                }
            }
            Step::Matched { step, told } => self.matched(teller, at, *step, told.as_deref()),
            Step::Policy { step } => self.policy(teller, *step),
            Step::Tracked(tracking) => self.tracked(teller, tracking),
            Step::Routed(routed) => return self.routed(known, teller, at, (&routed.0, &routed.1)),
            Step::NatNotAsked { why, .. } => {
                self.end_table();
                self.table("nat");
                self.columns();
                self.colour(DIM);
                self.pieces(&["rules are not asked: ", nat_not_asked_because(*why)]);
                self.line_ends(DIM);
            }
            Step::Sent { interface, packet } => {
                self.head_begins(GREEN);
                self.pieces(&["out by ", interface.as_str(), ": "]);
                self.head_ends(teller, *packet);
            }
            Step::Delivered(packet) => {
                self.head_begins(GREEN);
                self.text.push_str("reached the router: ");
                self.head_ends(teller, *packet);
            }
            _ => return false,
        }
        true
    }

    fn matched(&mut self, teller: &mut Teller<'_>, at: usize, step: u32, counted: Option<&str>) {
        let Some((rule, action, decides)) = teller.matched(at, step) else {
            return;
        };
        self.is_empty_table = false;
        let colour = if decides { BOLD } else { PLAIN };
        self.columns();
        self.indent(indent(rule.depth));
        self.colour(colour);
        self.rule(&rule);
        self.line_ends(colour);
        self.columns();
        self.indent(indent(rule.depth) + 4);
        self.colour(GREEN);
        self.text.push_str("yes: ");
        let before = self.text.len();
        write_action(self.text, action);
        if self.text.len() == before {
            self.text.push_str("counted, on");
        }
        if let Some(counted) = counted {
            self.pieces(&[" (", counted, ")"]);
        }
        self.line_ends(GREEN);
    }

    fn policy(&mut self, teller: &Teller<'_>, step: u32) {
        let Some((chain, policy)) = teller.policy(step) else {
            return;
        };
        self.is_empty_table = false;
        let colour = if policy == Policy::Drop { RED } else { GREEN };
        self.columns();
        self.colour(colour);
        self.pieces(&["policy of ", self.whose, chain, ": ", policy.name()]);
        self.line_ends(colour);
    }

    fn tracked(&mut self, teller: &Teller<'_>, tracking: &TrackedAs) {
        self.end_table();
        self.table("conntrack");
        let because = tracked_because(tracking, teller.spared());
        let state = tracking.state.filter(|_| matches!(tracking.made, Tracked::Accept(_)));
        let Some(state) = state else {
            return self.line(RED, &because);
        };
        let colour = state_colour(state.name());
        self.columns();
        self.colour(colour);
        self.pieces(&[state.name(), ": ", &because]);
        write_history(self.text, self.number, tracking, "; ");
        self.line_ends(colour);
    }

    /// Of a packet that is forwarded; false of any other.
    fn routed(
        &mut self,
        known: &mut Phrases,
        teller: &Teller<'_>,
        at: usize,
        (decision, packet): (&InputRoute, &Packet),
    ) -> bool {
        let (InputRoute::Forward(way), Some(config)) = (decision, teller.config_at(at)) else {
            return false;
        };
        // What comes round keeps the route that it left by.
        if packet.input == Some(InterfaceId::LOOPBACK) {
            return false;
        }
        self.end_table();
        self.hook("routing");
        self.table("");
        self.columns();
        write_out_by(self.text, config.net.interface(way.output).name.as_str(), way.gateway);
        self.text.push('\n');
        let towards = way.source_route.unwrap_or(packet.destination());
        let found = config.net.looked_up_input(packet, towards);
        let text = known.ways.text(config, &found);
        if !text.is_empty() {
            self.columns();
            self.colour(DIM);
            self.text.push_str(text);
            self.line_ends(DIM);
        }
        true
    }

    fn head_begins(&mut self, colour: &str) {
        self.end_table();
        self.hook.clear();
        self.table.clear();
        self.colour(colour);
    }

    fn head_ends(&mut self, teller: &Teller<'_>, packet: Span) {
        self.colour(RESET);
        describe::write_line(self.text, teller.bytes(packet));
        self.text.push('\n');
    }

    /// Of a line that began in this colour.
    fn line_ends(&mut self, colour: &str) {
        if !colour.is_empty() {
            self.colour(RESET);
        }
        self.text.push('\n');
    }

    fn pieces(&mut self, pieces: &[&str]) {
        for piece in pieces {
            self.text.push_str(piece);
        }
    }
}
