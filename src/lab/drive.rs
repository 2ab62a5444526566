//! A lab between real devices: the event loop's driver is the lab itself, and its clock is the loop's.

use super::control::{Request, Response};
use super::event_loop::{Driver, PortIndex};
use super::file::LabFile;
use super::follow::Followers;
use super::memory::{Lab, Passage};
use crate::base::{InterfaceId, InterfaceName, Time};
use crate::engine::{Emission, Port};
use crate::explain::filter::{Outcome, Subject};
use crate::explain::story::Story;

/// A lab whose interfaces have devices.
#[derive(Debug)]
pub struct DrivenLab {
    lab: Lab,
    /// The interface of each port, in the order of the lab file.
    interfaces: Vec<InterfaceId>,
    followers: Followers,
}

impl DrivenLab {
    /// `now` is what the loop's clock shows: the log counts from here.
    pub fn new(mut lab: Lab, file: &LabFile, now: Time) -> Self {
        let interfaces = file
            .interfaces
            .iter()
            .filter_map(|interface| lab.interface(interface.name.as_str()))
            .collect();
        lab.start_at(now);
        lab.machine.live = true;
        Self {
            lab,
            interfaces,
            followers: Followers::default(),
        }
    }

    pub fn lab(&mut self) -> &mut Lab {
        &mut self.lab
    }

    /// As `packet`, and with its whole story. `None` where the lab has no such interface.
    pub fn tell(
        &mut self,
        now: Time,
        port: PortIndex,
        bytes: &[u8],
        out: &mut dyn FnMut(PortIndex, &[u8]),
    ) -> Option<Passage> {
        let interface = self.interfaces.get(usize::from(port.0)).copied()?;
        self.lab.set_clock(now);
        let passage = self.lab.send(Some(interface), bytes.to_vec()).clone();
        hand_over(&self.interfaces, &passage.output, out);
        Some(passage)
    }
}

impl DrivenLab {
    /// A packet while somebody follows; its story is kept only where it may be wanted.
    fn followed(&mut self, interface: InterfaceId, bytes: &[u8], out: &mut dyn FnMut(PortIndex, &[u8])) {
        let input = Some(self.lab.port_name(Port::Interface(interface)));
        if !self.followers.may_want(bytes, input) {
            let (_, emissions) = self.lab.carry_silently(Some(interface), bytes);
            return hand_over(&self.interfaces, emissions, out);
        }
        let mut story = Story::default();
        let (report, emissions) = self.lab.carry_observed(Some(interface), bytes, &mut story);
        hand_over(&self.interfaces, emissions, out);
        let ports: Vec<Port> = emissions.iter().map(|emission| emission.port).collect();
        let outputs: Vec<InterfaceName> = ports.into_iter().map(|port| self.lab.port_name(port)).collect();
        let subject = Subject {
            packet: bytes,
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
    fn packet(&mut self, now: Time, port: PortIndex, bytes: &[u8], out: &mut dyn FnMut(PortIndex, &[u8])) {
        let Some(interface) = self.interfaces.get(usize::from(port.0)).copied() else {
            return;
        };
        self.lab.set_clock(now);
        if !self.followers.is_empty() {
            return self.followed(interface, bytes, out);
        }
        let (_, emissions) = self.lab.carry_silently(Some(interface), bytes);
        hand_over(&self.interfaces, emissions, out);
    }

    fn tick(&mut self, now: Time, out: &mut dyn FnMut(PortIndex, &[u8])) {
        self.lab.set_clock(now);
        let emissions = self.lab.tick();
        hand_over(&self.interfaces, &emissions, out);
    }

    fn follow(&mut self, connection: u64, request: &Request) -> Option<Response> {
        let follows = request.tool == "trace" && request.args.first().is_some_and(|arg| arg == "--follow");
        follows.then(|| self.followers.add(connection, request))
    }

    fn has_followers(&self) -> bool {
        !self.followers.is_empty()
    }

    fn owed(&mut self, connection: u64) -> Option<Response> {
        self.followers.owed(connection)
    }

    fn forget(&mut self, connection: u64) {
        self.followers.remove(connection);
    }

    fn command(&mut self, now: Time, request: Request, _: &mut dyn FnMut(PortIndex, &[u8])) -> Response {
        self.lab.set_clock(now);
        self.lab.respond(request)
    }
}

fn hand_over(interfaces: &[InterfaceId], emissions: &[Emission], out: &mut dyn FnMut(PortIndex, &[u8])) {
    for emission in emissions {
        // What reached the router itself has no program to go to.
        let Port::Interface(id) = emission.port else { continue };
        if let Some(at) = interfaces.iter().position(|interface| *interface == id) {
            out(PortIndex(at as u16), &emission.bytes);
        }
    }
}
