//! The stages of a hook, in order, and what is done at each of them.

mod confirm;
mod nat;
mod rules;
mod tracking;

use super::hooks::{Stage, stages};
use super::observer::{Event, Observer};
use super::pass::{Pass, Transit, way_of};
use super::reason::Reason;
use crate::base::Family;
use crate::conntrack::{CtState, Tracking};
use crate::net::{
    Complaint, DefragUser, OutputKey, OutputRoute, Pushed, ReassemblyKnobs, ReassemblyLimits, is_joined_again,
    leads_its_way, stays_on_its_link,
};
use crate::rule::{Hook, Table};

impl<O: Observer> Pass<'_, O> {
    /// All stages of a hook from one on, in order, until one stops the packet.
    pub(super) fn hook(&mut self, hook: Hook, from: usize, transit: &mut Transit) -> Result<(), Reason> {
        if O::WATCHING {
            self.observer.see(Event::Hook {
                hook,
                packet: &transit.packet,
                config: &self.config,
            });
        }
        let live = self.live.of(transit.packet.family());
        // Where nothing could be done nothing is asked.
        for at in live.stages(hook, self.config.always_track).from(from) {
            self.stage(hook, at, stages(hook)[at].1, transit)?;
        }
        Ok(())
    }

    /// OUTPUT: as any hook, but what a rule of mangle or nat changed may change the way out, and so may who listens at a queue: `held` is what it
    /// depended on before the packet was held there.
    pub(super) fn output_hook(
        &mut self,
        from: usize,
        held: Option<OutputKey>,
        transit: &mut Transit,
        route: &mut OutputRoute,
    ) -> Result<(), Reason> {
        if O::WATCHING {
            self.observer.see(Event::Hook {
                hook: Hook::Output,
                packet: &transit.packet,
                config: &self.config,
            });
        }
        if held.is_some_and(|before| before != OutputKey::of(&transit.packet)) {
            self.route_again(transit, route)?;
        }
        for (at, (_, stage)) in stages(Hook::Output).iter().enumerate().skip(from) {
            let before = leads_its_way(&transit.packet);
            if let Err(reason) = self.stage(Hook::Output, at, *stage, transit) {
                if let Some(queued) = &mut self.queued {
                    queued.key = before.0;
                }
                return Err(reason);
            }
            let after = leads_its_way(&transit.packet);
            let again = match stage {
                Stage::Rules(Table::Mangle) => before != after,
                Stage::Nat(_) => {
                    self.live.of(transit.packet.family()).table(Table::Nat).is_some()
                        && is_led_elsewhere(&transit.tracking)
                }
                _ => false,
            };
            if again {
                self.route_again(transit, route)?;
            }
        }
        // All of the hook showed rules the interface that the packet had when it began, as the kernel does.
        transit.packet.output = Some(route.interface);
        Ok(())
    }

    fn route_again(&mut self, transit: &mut Transit, route: &mut OutputRoute) -> Result<(), Reason> {
        let key = OutputKey {
            interface: transit.packet.output.filter(|_| stays_on_its_link(&transit.packet)),
            ..OutputKey::of(&transit.packet)
        };
        let net = &self.config.net;
        *route = net.reroute_output(key).map_err(Reason::NoWay)?;
        net.heed_path(&self.router.host, self.now, &net.rerouted_by(key), route);
        transit.delivery = route.delivery;
        transit.way = Some(way_of(route));
        if O::WATCHING {
            self.observer.see(Event::RoutedOut {
                route,
                key,
                net: &self.config.net,
                again: true,
            });
        }
        Ok(())
    }

    /// The stage at a place of a hook.
    fn stage(&mut self, hook: Hook, at: usize, stage: Stage, transit: &mut Transit) -> Result<(), Reason> {
        match stage {
            Stage::Defragment => {
                // Of most packets this is all that is asked.
                if !transit.packet.has_fragment_header() {
                    return Ok(());
                }
                // What comes round untracked is left as it is.
                let untracked = transit.tracking.state == Some(CtState::Untracked);
                let known = transit.tracking.flow.is_some() && !is_joined_again(&transit.packet);
                if untracked || known || !self.tracks(transit.packet.family()) {
                    return Ok(());
                }
                let user = match hook {
                    Hook::Output => DefragUser::ConntrackOut(0),
                    _ => DefragUser::ConntrackIn(0),
                };
                self.defragment(user, transit).map_err(|(reason, _)| reason)
            }
            Stage::Rules(table) => self.rules(hook, at, table, transit).map(|_| ()),
            Stage::Track => self.track(hook, transit),
            Stage::Nat(manip) => self.nat(hook, at, manip, transit),
            Stage::Confirm => self.confirm(transit),
        }
    }

    /// `Router::tracks`, of what this packet sees.
    pub(super) fn tracks(&self, family: Family) -> bool {
        self.live.of(family).needs_conntrack || self.config.always_track
    }

    /// Gathers fragments; the packet becomes the whole when the last one is there. Else why it goes no further, and what its sender is told.
    pub(super) fn defragment(
        &mut self,
        user: DefragUser,
        transit: &mut Transit,
    ) -> Result<(), (Reason, Option<Complaint>)> {
        let (input, output) = (transit.packet.input, transit.packet.output);
        let (sender, origin) = (transit.packet.sender.clone(), transit.packet.origin);
        let frag6 = &self.config.conntrack.frag6;
        let knobs = ReassemblyKnobs {
            net: &self.config.net,
            tracking: ReassemblyLimits {
                memory: frag6.high_thresh,
                seconds: frag6.timeout.as_secs() as i64,
            },
        };
        let fragments = &self.router.fragments;
        // Tracked is what comes round by lo, and waits for the host itself: that counts as a use of its flow. Seen: the first piece's alone.
        let is_first = transit.packet.fragment_offset() == 0;
        let flow = transit.tracking.flow.as_ref();
        let flow = flow.filter(|_| user == DefragUser::LocalDeliver && is_first);
        let kept = flow.map(|flow| flow.lock().used());
        let pushed = fragments.push_keeping(self.now, knobs, user, transit.packet.take(), kept);
        match pushed {
            Pushed::Whole(packet) => {
                transit.packet = packet;
                transit.packet.input = input;
                transit.packet.output = output;
                transit.packet.sender = sender;
                transit.packet.origin = origin;
                transit.packet.ignores_df = user != DefragUser::LocalDeliver;
                if O::WATCHING {
                    self.observer.see(Event::Reassembled {
                        packet: &transit.packet,
                    });
                }
                Ok(())
            }
            Pushed::Left(packet) => {
                transit.packet = packet;
                transit.packet.sender = sender;
                Ok(())
            }
            Pushed::Refused {
                packet,
                reason,
                complaint,
            } => {
                transit.packet = packet;
                Err((Reason::Host(reason), Some(complaint)))
            }
            Pushed::Held => Err((Reason::HeldFragment, None)),
            Pushed::Dropped(reason) => Err((Reason::Host(reason), None)),
        }
    }
}

/// Whether NAT leads what goes this way of the flow elsewhere than to who opened it. The kernel asks that of the flow, not of the packet: also an
/// error of the router's own that has the right destination from the start gets its way anew, and by its source now.
fn is_led_elsewhere(tracking: &Tracking) -> bool {
    tracking.flow.as_ref().is_some_and(|flow| {
        let tuple = |direction| flow.tuple(direction);
        tuple(tracking.direction).destination.address != tuple(tracking.direction.opposite()).source.address
    })
}

#[cfg(test)]
mod tests;
