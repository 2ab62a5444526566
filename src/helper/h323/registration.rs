//! RAS: a terminal finds a gatekeeper, registers, and asks it for calls; what a gatekeeper answers says whom is called and where.

use std::net::IpAddr;
use std::time::Duration;

use super::call::{is_under_nat, named, write};
use super::memory::{Memory, Pair};
use super::per::{self, Mark, Note, What};
use super::{DEFAULT_TIME_TO_LIVE, GATEKEEPER_ROUTED_ONLY, h225, q931_helper, ras_helper};
use crate::base::protocol;
use crate::conntrack::{Endpoint, Status};
use crate::helper::announce::{Ends, Reading, Wish};
use crate::helper::{Announced, DropReason, HeardWhat};

/// Reads a datagram, also a flow's first.
pub(super) fn run(reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    if reading.payload().is_empty() {
        return Ok(HeardWhat::NoData);
    }
    let mut notes = per::Notes::of(reading.packet.family());
    if !notes.read(reading.payload(), 0, &h225::RAS_MESSAGE) {
        return Ok(HeardWhat::NoCommand);
    }
    let Some(message) = notes.iter().next() else {
        return Ok(HeardWhat::NoCommand);
    };
    let ends = reading.ends();
    let mut said = Said {
        reading,
        ends,
        notes: &notes,
        expected: Vec::new(),
    };
    said.act(message.mark)?;
    Ok(match said.expected.is_empty() {
        true => HeardWhat::NoCommand,
        false => HeardWhat::Announced(said.expected),
    })
}

struct Said<'r, 'a, 'b> {
    reading: &'r mut Reading<'a, 'b>,
    ends: Ends,
    notes: &'r per::Notes,
    expected: Vec<Announced>,
}

/// For so long the answer to who unregisters is awaited.
const UNREGISTERED: Duration = Duration::from_secs(30);

impl<'r> Said<'r, '_, '_> {
    fn act(&mut self, message: Mark) -> Result<(), DropReason> {
        match message {
            Mark::GatekeeperRequest => self.say_ras_address(Mark::RasAddress),
            Mark::LocationRequest => self.say_ras_address(Mark::ReplyAddress),
            Mark::GatekeeperConfirm => self.expect_gatekeeper()?,
            Mark::RegistrationRequest => {
                self.expect_calls()?;
                self.say_ras_address(Mark::RasAddress);
                let default = self.reading.number(&DEFAULT_TIME_TO_LIVE);
                let time_to_live = self.time_to_live().unwrap_or(default);
                self.reading
                    .remember(|memory: &mut Memory| memory.time_to_live = time_to_live);
            }
            Mark::RegistrationConfirm => {
                self.say_signal_address(Mark::CallSignalAddress);
                if let Some(seconds) = self.time_to_live() {
                    self.reading
                        .remember(|memory: &mut Memory| memory.time_to_live = seconds);
                }
                let seconds = self.reading.remembered::<Memory>().time_to_live;
                if seconds > 0 {
                    self.reading.lives_on(Duration::from_secs(seconds.into()));
                }
            }
            Mark::UnregistrationRequest => {
                self.say_signal_address(Mark::CallSignalAddress);
                self.reading.expect_nothing();
                self.reading.remember(Memory::forget_signal);
                self.reading.lives_on(UNREGISTERED);
            }
            Mark::AdmissionRequest => self.say_ends_of_a_call(),
            Mark::AdmissionConfirm => self.expect_a_call(Mark::DestinationCallSignalAddress)?,
            Mark::LocationConfirm => self.expect_a_call(Mark::CallSignalAddress)?,
            Mark::InformationResponse => {
                self.say_ras_address(Mark::RasAddress);
                self.say_signal_address(Mark::CallSignalAddress);
            }
            _ => {}
        }
        Ok(())
    }

    /// A registered terminal is going to be called at the first of its addresses that is its own: by the gatekeeper, or by anybody.
    fn expect_calls(&mut self) -> Result<(), DropReason> {
        let own = self.ends.sender.source.address;
        let fits = |end: &Endpoint| end.address == own && end.id != 0;
        let mut all = self.addresses(Mark::CallSignalAddress).enumerate();
        let found = all.find_map(|(index, at)| {
            let at = at?;
            let end = named(self.reading, at);
            fits(&end).then_some((index, at, end.id))
        });
        let Some((index, at, port)) = found else {
            return Ok(());
        };
        let from_gatekeeper = self.reading.is_set(&GATEKEEPER_ROUTED_ONLY);
        let wish = Wish {
            helper: Some(q931_helper()),
            permanent: true,
            keeps_source: !from_gatekeeper,
            led_to: Some(port),
            ..Wish::new(
                protocol::TCP,
                from_gatekeeper.then_some(self.ends.answer.source.address),
                self.outside(port),
            )
        };
        let direction = self.reading.direction();
        if !is_under_nat(self.reading) {
            self.expect(&Wish { follows: false, ..wish })?;
            self.reading
                .remember(|memory: &mut Memory| memory.remember_own_signal(direction, port));
            return Ok(());
        }
        let known = self.reading.remembered::<Memory>().signal(direction);
        let asked = if known.own == port { known.outside } else { port };
        let near = Wish {
            to: self.outside(asked),
            ..wish
        };
        // Seen: where no port is free, the request passes as it is.
        let Ok(expected) = self.reading.enter_near(&near) else {
            return Ok(());
        };
        let outside = expected.destination.id;
        self.expected.push(Announced {
            expected,
            from_mask: None,
            instead_of: (outside != port).then_some(port),
        });
        self.reading
            .remember(|memory: &mut Memory| memory.remember_signal(direction, Pair { own: port, outside }));
        let end = self.outside(outside);
        write(self.reading, at, end);
        // Seen: an address of the terminal itself (127.0.0.1) before that is written over too.
        if let Some(first) = self.loopback_before(index) {
            write(self.reading, first, end);
        }
        Ok(())
    }

    /// Another gatekeeper, or another port of the same, is going to be spoken to.
    fn expect_gatekeeper(&mut self) -> Result<(), DropReason> {
        let Some(at) = self.address(Mark::RasAddress) else {
            return Ok(());
        };
        let to = named(self.reading, at);
        // Seen: who was sent on by a gatekeeper is sent on by the next one no more.
        let is_sent_on = self.reading.flow.lock().status.has(Status::EXPECTED);
        if to == self.ends.sender.source || is_sent_on {
            return Ok(());
        }
        self.expect(&Wish {
            helper: Some(ras_helper()),
            follows: false,
            ..Wish::new(protocol::UDP, Some(self.ends.answer.source.address), to)
        })
    }

    /// Who asked is going to call there.
    fn expect_a_call(&mut self, mark: Mark) -> Result<(), DropReason> {
        let Some(at) = self.address(mark) else { return Ok(()) };
        let to = named(self.reading, at);
        // Who asked is the one who is called, and answers.
        let is_answering = mark == Mark::DestinationCallSignalAddress;
        if is_answering && to.address == self.ends.sender.destination.address {
            self.say_signal_address(mark);
            return Ok(());
        }
        self.expect(&Wish {
            helper: Some(q931_helper()),
            permanent: true,
            follows: false,
            ..Wish::new(protocol::TCP, Some(self.ends.answer.source.address), to)
        })
    }

    /// Where the sender speaks RAS itself, it does so from another address outside.
    fn say_ras_address(&mut self, mark: Mark) {
        if !is_under_nat(self.reading) {
            return;
        }
        let own = self.ends.sender.source;
        let mut all = self.addresses(mark).flatten();
        if let Some(at) = all.find(|&at| named(self.reading, at) == own) {
            write(self.reading, at, self.ends.answer.destination);
        }
    }

    /// The address at which a registered terminal is called: as it is known outside where the terminal says it, and as the terminal has it where it
    /// is told. The first that is one.
    fn say_signal_address(&mut self, mark: Mark) {
        if !is_under_nat(self.reading) {
            return;
        }
        let ports = self.reading.remembered::<Memory>().signal(self.reading.direction());
        let (own, other) = (self.ends.sender.source.address, self.ends.sender.destination.address);
        for (index, at) in self.addresses(mark).enumerate() {
            let Some(at) = at else { continue };
            let end = named(self.reading, at);
            if end.id != ports.own {
                continue;
            }
            if end.address == own {
                let at = self.loopback_before(index).unwrap_or(at);
                let end = self.outside(ports.outside);
                return write(self.reading, at, end);
            }
            if end.address == other {
                let end = Endpoint {
                    address: self.ends.answer.source.address,
                    id: ports.outside,
                };
                return write(self.reading, at, end);
            }
        }
    }

    /// A terminal asks for a call that it makes, or that it has been offered.
    fn say_ends_of_a_call(&mut self) {
        if !is_under_nat(self.reading) {
            return;
        }
        let own = self.ends.sender.source.address;
        let ports = self.reading.remembered::<Memory>().signal(self.reading.direction());
        let is_called = Endpoint {
            address: own,
            id: ports.own,
        };
        if let Some(at) = self.address(Mark::DestinationCallSignalAddress)
            && named(self.reading, at) == is_called
        {
            let end = self.outside(ports.outside);
            return write(self.reading, at, end);
        }
        if let Some(at) = self.address(Mark::SourceCallSignalAddress)
            && named(self.reading, at).address == own
        {
            let end = self.outside(named(self.reading, at).id);
            write(self.reading, at, end);
        }
    }

    /// The first address of a list, if it is of 127.0.0.0/8 and another was meant.
    fn loopback_before(&self, index: usize) -> Option<usize> {
        let first = self.addresses(Mark::CallSignalAddress).next()??;
        let is_loopback = matches!(named(self.reading, first).address, IpAddr::V4(it) if it.is_loopback());
        (index > 0 && is_loopback).then_some(first)
    }

    fn address(&self, mark: Mark) -> Option<usize> {
        self.addresses(mark).next().flatten()
    }

    /// Where the addresses of this kind stand; `None` for each that is not of the flow's family.
    fn addresses(&self, mark: Mark) -> impl Iterator<Item = Option<usize>> + use<'r> {
        let place = |note: &Note| match note.what {
            What::Address(at) => Some(at),
            _ => None,
        };
        let marked = self.notes.iter().filter(move |note| note.mark == mark);
        marked.map(place)
    }

    fn time_to_live(&self) -> Option<u32> {
        self.notes.iter().find_map(|note| match (note.mark, note.what) {
            (Mark::TimeToLive, What::Number(seconds)) => Some(seconds),
            _ => None,
        })
    }

    fn expect(&mut self, wish: &Wish) -> Result<(), DropReason> {
        let announced = self.reading.expect(wish)?;
        self.expected.push(announced);
        Ok(())
    }

    fn outside(&self, port: u16) -> Endpoint {
        Endpoint {
            address: self.ends.answer.destination.address,
            id: port,
        }
    }
}
