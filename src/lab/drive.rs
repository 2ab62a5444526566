//! A lab between real devices: the event loop's driver is the lab itself, and its clock is the loop's.

use super::control::{Request, Response};
use super::event_loop::{Driver, PortIndex};
use super::file::LabFile;
use super::memory::{Lab, Passage};
use crate::base::{InterfaceId, Time};
use crate::engine::{Emission, Port};

/// A lab whose interfaces have devices.
#[derive(Debug)]
pub struct DrivenLab {
    lab: Lab,
    /// The interface of each port, in the order of the lab file.
    interfaces: Vec<InterfaceId>,
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
        Self { lab, interfaces }
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

impl Driver for DrivenLab {
    fn packet(&mut self, now: Time, port: PortIndex, bytes: &[u8], out: &mut dyn FnMut(PortIndex, &[u8])) {
        let Some(interface) = self.interfaces.get(usize::from(port.0)).copied() else {
            return;
        };
        self.lab.set_clock(now);
        let (_, emissions) = self.lab.carry_silently(Some(interface), bytes);
        hand_over(&self.interfaces, emissions, out);
    }

    fn tick(&mut self, now: Time, out: &mut dyn FnMut(PortIndex, &[u8])) {
        self.lab.set_clock(now);
        let emissions = self.lab.tick();
        hand_over(&self.interfaces, &emissions, out);
    }

    fn command(&mut self, now: Time, request: Request, _: &mut dyn FnMut(PortIndex, &[u8])) -> Response {
        self.lab.set_clock(now);
        self.lab.respond(&request)
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
