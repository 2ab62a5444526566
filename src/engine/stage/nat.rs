//! A new flow asks the nat table once, and its packets are translated.

use super::rules::Passed;
use crate::conntrack::CtState;
use crate::engine::observer::{Event, NatNotAsked, Observer};
use crate::engine::pass::{Pass, Transit};
use crate::engine::reason::Reason;
use crate::nat::{self, Manip, NatContext, NatHook, Translated};
use crate::rule::{Hook, Table};

impl<O: Observer> Pass<'_, O> {
    /// The nat hook: a new flow asks the table once, everything else follows what was decided then.
    pub(super) fn nat(&mut self, hook: Hook, at: usize, manip: Manip, transit: &mut Transit) -> Result<(), Reason> {
        if self.live.of(transit.packet.family()).table(Table::Nat).is_none() {
            return Ok(());
        }
        let Some(flow) = &transit.tracking.flow else {
            if O::WATCHING {
                let why = NatNotAsked::NoFlow;
                self.observer.see(Event::NatNotAsked { hook, manip, why });
            }
            return Ok(());
        };
        let opens = matches!(transit.tracking.state, Some(CtState::New | CtState::Related));
        let about_another = transit.tracking.state == Some(CtState::Related) && transit.packet.is_icmp();
        if opens && !about_another && !nat::is_done(flow, manip) {
            self.worker.short_ways.notes.stop();
            if self.rules(hook, at, Table::Nat, transit)? == Passed::ByQueue {
                // Nothing is decided of its flow, nor translated here: the next packet that opens it asks again.
                return Ok(());
            }
            // Where a rule spoke, this leaves it as it is.
            let mut cx = NatContext {
                now: self.now,
                random: &mut self.worker.random,
            };
            nat::null_binding_of_packet(&self.router.flows, &mut cx, &mut transit.tracking, manip);
        } else if O::WATCHING {
            let why = match about_another {
                true => NatNotAsked::AboutAnother,
                false => NatNotAsked::Decided,
            };
            self.observer.see(Event::NatNotAsked { hook, manip, why });
        }
        let at = match hook {
            Hook::Prerouting => NatHook::Prerouting,
            Hook::Input => NatHook::Input,
            Hook::Output => NatHook::Output,
            Hook::Forward | Hook::Postrouting => NatHook::Postrouting,
        };
        let before = if O::IN_DETAIL {
            Some(transit.packet.clone())
        } else {
            None
        };
        let translated = nat::translate(&mut transit.packet, &transit.tracking, at).map_err(Reason::Nat)?;
        if translated == Translated::Changed {
            self.worker.short_ways.notes.is_rewritten(manip);
        }
        if translated == Translated::Moved {
            if let Some(flow) = &transit.tracking.flow {
                self.router.flows.delete(flow);
            }
            return Err(Reason::MasqueradeMoved);
        }
        if let Some(before) = before
            && before.bytes() != transit.packet.bytes()
        {
            self.observer.see(Event::Translated {
                hook,
                manip,
                before: &before,
                after: &transit.packet,
            });
        }
        Ok(())
    }
}
