//! A lab between real devices: its packets go through the event loop's driver, its commands through a service beside it. What both need (the
//! router, the log, who follows) they share; neither waits for the other.

use super::clock::Clock;
use super::event_loop::{Arrived, Caller, Carried, Driver, Out, PortIndex};
use super::follow::Followers;
use super::queue::{Decision, Decisions};
use super::server::Service;
use crate::base::{InterfaceId, InterfaceName, Pace, Time};
use crate::engine::{Emission, Port, Report, Silent};
use crate::explain::filter::{Outcome, Subject};
use crate::explain::story::Story;
use crate::lab::file::LabFile;
use crate::lab::memory::{Lab, Passage};
use crate::lab::request::{Answer, Asker, Request, Waker};

/// A lab whose interfaces have devices.
#[derive(Debug)]
pub struct DrivenLab {
    lab: Lab,
    /// The interface of each port, in the order of the lab file.
    interfaces: Vec<InterfaceId>,
    followers: Followers,
    /// What becomes of packets that wait at queues; done by the first of several workers.
    decisions: Option<Decisions>,
    /// Of the next packet.
    number: u64,
    /// How many workers number packets: each has every so manieth number.
    numbered_by: u64,
}

impl DrivenLab {
    /// `now` is what the loop's clock shows: the log counts from here.
    pub fn new(mut lab: Lab, file: &LabFile, now: Time) -> Self {
        lab.leave_to_devices();
        let interfaces = file
            .interfaces
            .iter()
            .filter_map(|interface| lab.interface(interface.name.as_str()))
            .collect();
        lab.start_at(now);
        lab.machine.live = true;
        // Commands let packets go first wherever both want the same processor.
        lab.machine.router().set_pace(Pace::of(std::thread::yield_now));
        Self {
            lab,
            interfaces,
            followers: Followers::default(),
            decisions: Some(Decisions::default()),
            number: 1,
            numbered_by: 1,
        }
    }

    /// So many workers of one lab (at least this one), each for a loop of its own; for a lab that [`Lab::make_places`] gave the places, after
    /// [`Self::commands`], and before any packet. Fewer where there are no more places.
    pub fn workers(mut self, count: usize) -> Vec<Self> {
        let mut others: Vec<Self> = (1..count).map_while(|_| self.other()).collect();
        self.numbered_by = others.len() as u64 + 1;
        for (worker, number) in others.iter_mut().zip(2..) {
            (worker.number, worker.numbered_by) = (number, self.numbered_by);
        }
        others.insert(0, self);
        others
    }

    fn other(&self) -> Option<Self> {
        let mut lab = self.lab.beside()?;
        lab.leave_to_devices();
        lab.set_clock(self.lab.now());
        Some(Self {
            lab,
            interfaces: self.interfaces.clone(),
            followers: self.followers.clone(),
            decisions: None,
            number: 1,
            numbered_by: 1,
        })
    }

    /// The commands of this lab, for a [`Server`](super::server::Server). `clock` is the event loop's.
    ///
    /// # Panics
    /// While commands that were made before are still there: they have the place of theirs.
    pub fn commands(&self, clock: Clock) -> impl FnOnce(Waker) -> Commands + use<> {
        let lab = self.lab.beside().expect("one server serves a lab");
        let (followers, decisions) = (self.followers.clone(), self.decisions.clone().unwrap_or_default());
        move |waker| {
            followers.set_waker(waker.clone());
            Commands {
                lab,
                clock,
                followers,
                decisions,
                waker,
            }
        }
    }

    pub fn lab(&mut self) -> &mut Lab {
        &mut self.lab
    }

    /// As `packet`, of one of which nothing is left to do, and with its whole story. `None` where the lab has no such interface.
    pub fn tell(&mut self, now: Time, port: PortIndex, bytes: &[u8], out: &mut Out<'_>) -> Option<Passage> {
        let interface = self.interfaces.get(usize::from(port.0)).copied()?;
        self.lab.set_clock(now);
        let passage = self.lab.send(Some(interface), bytes.to_vec()).clone();
        hand_over(&self.interfaces, &mut passage.output.clone(), out);
        Some(passage)
    }
}

impl DrivenLab {
    /// A packet while somebody follows; its story is kept only where it may be wanted.
    fn followed(&mut self, interface: InterfaceId, packet: Carried<'_>, out: &mut Out<'_>) {
        let Carried { bytes, offload } = packet;
        let input = Some(self.lab.port_name(Port::Interface(interface)));
        if !self.followers.may_want(bytes, input) {
            let (_, emissions) = self.lab.carry_with(interface, (bytes, offload), &mut Silent);
            return hand_over(&self.interfaces, emissions, out);
        }
        let mut story = Story::default();
        let arrived = bytes.clone();
        let (report, emissions) = self.lab.carry_with(interface, (bytes, offload), &mut story);
        hand_over(&self.interfaces, emissions, out);
        let ports = emissions.iter().map(|emission| emission.port).collect();
        self.tell_followers((&arrived, input), &report, ports, story);
    }

    fn tell_followers(
        &self,
        (packet, input): (&[u8], Option<InterfaceName>),
        report: &Report,
        left_by: Vec<Port>,
        story: Story,
    ) {
        let outputs: Vec<InterfaceName> = left_by.into_iter().map(|port| self.lab.port_name(port)).collect();
        let subject = Subject {
            packet,
            input,
            outcome: Some(Outcome {
                outputs: &outputs,
                state: report.state,
                verdict: report.fate.verdict(),
            }),
        };
        self.followers.tell(&subject, story);
    }
}

impl Driver for DrivenLab {
    fn packet(&mut self, now: Time, port: PortIndex, packet: Carried<'_>, out: &mut Out<'_>) {
        let Some(interface) = self.interfaces.get(usize::from(port.0)).copied() else {
            return;
        };
        self.lab.set_clock(now);
        self.lab.number_next(self.number);
        self.number += self.numbered_by;
        if !self.followers.is_empty() {
            return self.followed(interface, packet, out);
        }
        let (_, emissions) = self
            .lab
            .carry_with(interface, (packet.bytes, packet.offload), &mut Silent);
        hand_over(&self.interfaces, emissions, out);
    }

    fn packets(&mut self, now: Time, port: PortIndex, packets: &mut [Arrived], out: &mut Out<'_>) {
        let Some(interface) = self.interfaces.get(usize::from(port.0)).copied() else {
            return;
        };
        if !self.followers.is_empty() {
            for (bytes, offload) in packets {
                let offload = *offload;
                self.packet(now, port, Carried { bytes, offload }, out);
            }
            return;
        }
        self.lab.set_clock(now);
        self.lab.number_next(self.number);
        self.number += self.numbered_by * packets.len() as u64;
        let interfaces = &self.interfaces;
        self.lab
            .carry_batch_with(interface, packets, self.numbered_by, |_, emissions| {
                hand_over(interfaces, emissions, out);
            });
    }

    fn take_caller(&mut self, caller: Caller) {
        if let Some(decisions) = &self.decisions {
            decisions.set_caller(caller);
        }
    }

    /// What was decided of packets that wait at queues is done.
    fn called(&mut self, now: Time, out: &mut Out<'_>) {
        let Some(decisions) = self.decisions.clone() else {
            return;
        };
        self.lab.set_clock(now);
        while let Some(Decision { queue, id, verdict }) = decisions.next() {
            if self.followers.is_empty() {
                if let Some((_, emissions)) = self.lab.decide_held((queue, id), verdict, &mut Silent) {
                    hand_over(&self.interfaces, emissions, out);
                }
                continue;
            }
            let held = self.lab.machine.router().held_packet(queue, id);
            let mut story = Story::default();
            let done = self.lab.decide_held((queue, id), verdict, &mut story);
            if let (Some(held), Some((report, emissions))) = (held, done) {
                hand_over(&self.interfaces, emissions, out);
                let ports = emissions.iter().map(|emission| emission.port).collect();
                let input = held.input.map(|id| self.lab.port_name(Port::Interface(id)));
                self.tell_followers((&held.bytes, input), &report, ports, story);
            }
        }
    }

    fn tick(&mut self, now: Time, out: &mut Out<'_>) {
        self.lab.set_clock(now);
        // Dead flows are collected beside the packets.
        let mut emissions = self.lab.run_timers();
        hand_over(&self.interfaces, &mut emissions, out);
    }
}

/// What a lab's control socket answers, and what the lab does by itself that packets need not wait for.
#[derive(Debug)]
pub struct Commands {
    lab: Lab,
    clock: Clock,
    followers: Followers,
    decisions: Decisions,
    waker: Waker,
}

impl Service for Commands {
    fn answer(&mut self, request: Request, asker: &Asker) -> Answer {
        if request.tool == "trace" && request.args.first().is_some_and(|arg| arg == "--follow") {
            return self.followers.add(&request, &self.lab.machine.hosts());
        }
        if request.tool == super::queue::TOOL {
            return self.decisions.answer(&request.args, &self.lab.machine, &self.waker);
        }
        self.lab.machine.asker = asker.clone();
        self.lab.set_clock(self.clock.now());
        if let Some(answer) = self.lab.answers_to_come(&request, &self.waker) {
            return answer;
        }
        self.lab.respond(request).into()
    }

    fn idle(&mut self) {
        let router = self.lab.machine.router();
        router.reclaim();
        router.flows().sweep_part(self.clock.now());
    }
}

fn hand_over(interfaces: &[InterfaceId], emissions: &mut [Emission], out: &mut Out<'_>) {
    for emission in emissions {
        // What reached the router itself has no program to go to.
        let Port::Interface(id) = emission.port else { continue };
        if let Some(at) = interfaces.iter().position(|interface| *interface == id) {
            let Emission { bytes, offload, .. } = emission;
            let packet = Carried {
                bytes,
                offload: *offload,
            };
            out(PortIndex(at as u16), packet);
        }
    }
}
