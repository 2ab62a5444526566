//! A call: Q.931 says where H.245 is spoken or speaks it itself, and H.245 where media go.

use std::net::IpAddr;
use std::ops::Range;

use super::memory::{Memory, Pair};
use super::per::{self, Mark, Type, What};
use super::{CALL_FORWARD_FILTER, framing, h225, h245, h245_helper, q931_helper};
use crate::base::{Family, protocol};
use crate::conntrack::{CtState, Endpoint, ExpectationRefused, Tuple};
use crate::helper::announce::{Ends, Reading, Wish};
use crate::helper::{Announced, DropReason, HeardWhat};

/// Reads a segment of a call's signalling.
pub(super) fn run_q931(reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    run(reading, &h225::USER_INFORMATION, framing::user_information)
}

/// Reads a segment of a control channel.
pub(super) fn run_h245(reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    let whole = |message: &[u8]| Some(0..message.len());
    run(reading, &h245::MULTIMEDIA_SYSTEM_CONTROL_MESSAGE, whole)
}

fn run(
    reading: &mut Reading<'_, '_>,
    of: &Type,
    value_of: impl Fn(&[u8]) -> Option<Range<usize>>,
) -> Result<HeardWhat, DropReason> {
    if reading.tracking.state != Some(CtState::Established) {
        return Ok(HeardWhat::TooEarly);
    }
    let direction = reading.direction().index();
    let announced = reading.remembered::<Memory>().announced[direction];
    if reading.payload().is_empty() {
        // Seen: between a header and its message nothing may come, not even an acknowledgement.
        if announced != 0 {
            reading.remember(|memory: &mut Memory| memory.announced[direction] = 0);
        }
        return Ok(HeardWhat::NoData);
    }
    let mut frames = framing::Frames::new(announced);
    let mut call = Call::new(reading);
    let (mut notes, mut done) = (per::Notes::of(call.reading.packet.family()), Ok(()));
    while let Some(frame) = frames.next(call.reading.payload()) {
        let message = &call.reading.payload()[frame.clone()];
        let is_read = value_of(message).is_some_and(|value| {
            let end = frame.start + value.end;
            notes.read(&call.reading.payload()[..end], frame.start + value.start, of)
        });
        // Seen: what cannot be read passes, but nothing behind it is read.
        if !is_read {
            break;
        }
        done = call.act(&notes);
        if done.is_err() {
            break;
        }
    }
    let expected = call.expected;
    if announced != frames.announces() {
        reading.remember(|memory: &mut Memory| memory.announced[direction] = frames.announces());
    }
    done?;
    Ok(match expected.is_empty() {
        true => HeardWhat::NoCommand,
        false => HeardWhat::Announced(expected),
    })
}

struct Call<'r, 'a, 'b> {
    reading: &'r mut Reading<'a, 'b>,
    ends: Ends,
    expected: Vec<Announced>,
}

impl<'r, 'a, 'b> Call<'r, 'a, 'b> {
    fn new(reading: &'r mut Reading<'a, 'b>) -> Self {
        let ends = reading.ends();
        Self {
            reading,
            ends,
            expected: Vec::new(),
        }
    }

    fn act(&mut self, notes: &per::Notes) -> Result<(), DropReason> {
        let (mut alternative, mut is_forwarded) = (None, false);
        let (mut has_stack, mut is_reverse) = (false, false);
        for note in notes.iter() {
            match (note.mark, note.what) {
                (Mark::Tunnel, _) => is_forwarded = false,
                // Seen: of a call that is forwarded, nothing else of the message counts.
                _ if is_forwarded => {}
                (Mark::AlternativeAddress, What::Address(at)) => alternative = Some(at),
                (Mark::CallForwarded, _) => {
                    is_forwarded = true;
                    if let Some(at) = alternative {
                        self.forward(at)?;
                    }
                }
                (Mark::H245Address, What::Address(at)) => self.control_channel(at)?,
                (Mark::DestinationCallSignalAddress, What::Address(at)) => self.say(at, self.ends.answer.source),
                (Mark::SourceCallSignalAddress, What::Address(at)) => self.say(at, self.ends.answer.destination),
                (Mark::OpenLogicalChannel, _) => (has_stack, is_reverse) = (false, false),
                (Mark::OpenLogicalChannelAck, _) => (has_stack, is_reverse) = (true, false),
                (Mark::ReverseParameters, _) => is_reverse = true,
                (Mark::T120SeparateLanStack, _) if !is_reverse => has_stack = true,
                (Mark::SeparateStack, What::Address(at)) if has_stack => self.data_channel(at)?,
                (Mark::MediaChannel | Mark::MediaControlChannel, What::Address(at)) => self.media_channel(at)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The sender waits for H.245.
    fn control_channel(&mut self, at: usize) -> Result<(), DropReason> {
        let Some(port) = self.own_port(at) else { return Ok(()) };
        let wish = Wish {
            helper: Some(h245_helper()),
            ..self.wish(protocol::TCP, port)
        };
        if !self.is_translated() {
            return self.expect(wish);
        }
        let direction = self.reading.direction();
        let known = self.reading.remembered::<Memory>().signal(direction);
        let asked = if known.own == port { known.outside } else { port };
        let Some(outside) = self.enter_near(wish, asked, port) else {
            return Ok(());
        };
        self.reading
            .remember(|memory: &mut Memory| memory.remember_signal(direction, Pair { own: port, outside }));
        self.write(at, self.outside(outside));
        Ok(())
    }

    /// RTP and RTCP, of which one is named: the even port and the odd one above it.
    fn media_channel(&mut self, at: usize) -> Result<(), DropReason> {
        let Some(port) = self.own_port(at) else { return Ok(()) };
        let even = port & !1;
        if !self.is_translated() {
            let first = self.wish(protocol::UDP, even);
            let entered = self.enter_both(&first, even);
            return entered.map_err(DropReason::Expectation);
        }
        let direction = self.reading.direction();
        let memory = self.reading.remembered::<Memory>();
        // Seen: a fifth channel is not opened, and its address stays as it was.
        let Some(channel) = memory.channel(direction, even) else {
            return Ok(());
        };
        let known = memory.media(channel, direction);
        let mut outside = if known.own == even { known.outside } else { even };
        let wish = Wish {
            led_to: Some(even),
            follows: true,
            ..self.wish(protocol::UDP, even)
        };
        loop {
            // What is above the last port is none.
            if outside == 0 {
                return Ok(());
            }
            match self.enter_both(&wish, outside) {
                Ok(()) => break,
                Err(ExpectationRefused::Clash) => outside = outside.wrapping_add(2),
                Err(_) => return Ok(()),
            }
        }
        let ports = Pair { own: even, outside };
        self.reading
            .remember(|memory: &mut Memory| memory.remember_media(channel, direction, ports));
        self.write(at, self.outside(outside + (port & 1)));
        Ok(())
    }

    /// Both or none.
    fn enter_both(&mut self, wish: &Wish, even: u16) -> Result<(), ExpectationRefused> {
        let led_to = |above: u16| wish.led_to.map(|port| port + above);
        let first = self.reading.enter(wish, even)?;
        let second = Wish {
            led_to: led_to(1),
            ..*wish
        };
        let named = wish.to.id;
        match self.reading.enter(&second, even + 1) {
            Ok(second) => {
                for (expected, named) in [(first, named), (second, named + 1)] {
                    self.announced(expected, named);
                }
                Ok(())
            }
            Err(refused) => {
                self.reading.take_back(&first);
                Err(refused)
            }
        }
    }

    /// T.120, over as many connections as it likes.
    fn data_channel(&mut self, at: usize) -> Result<(), DropReason> {
        let Some(port) = self.own_port(at) else { return Ok(()) };
        let wish = Wish {
            permanent: true,
            ..self.wish(protocol::TCP, port)
        };
        if !self.is_translated() {
            return self.expect(wish);
        }
        if let Some(outside) = self.enter_near(wish, port, port) {
            self.write(at, self.outside(outside));
        }
        Ok(())
    }

    /// The other side is asked to call somebody else.
    fn forward(&mut self, at: usize) -> Result<(), DropReason> {
        let to = self.named(at);
        if to.id == 0 {
            return Ok(());
        }
        let other = self.ends.answer.source.address;
        if self.reading.is_set(&CALL_FORWARD_FILTER) && self.reading.is_same_way(to.address, other) {
            return Ok(());
        }
        let wish = Wish {
            helper: Some(q931_helper()),
            follows: false,
            ..Wish::new(protocol::TCP, Some(other), to)
        };
        if !self.is_translated() {
            return self.expect(wish);
        }
        let wish = Wish {
            led_to_host: Some(to.address),
            keeps_source: true,
            to: self.outside(to.id),
            ..wish
        };
        if let Some(outside) = self.enter_near(wish, to.id, to.id) {
            self.write(at, self.outside(outside));
        }
        Ok(())
    }

    /// What the message says of one of its flow's own ends.
    fn say(&mut self, at: usize, end: Endpoint) {
        if is_under_nat(self.reading) && self.named(at).address != end.address {
            self.write(at, end);
        }
    }

    /// The port of an address that is the sender's own: it opens nothing for others.
    fn own_port(&self, at: usize) -> Option<u16> {
        let named = self.named(at);
        (named.address == self.ends.sender.source.address && named.id != 0).then_some(named.id)
    }

    /// From the other side, as the sender knows it, to the sender, as the other side knows it.
    fn wish(&self, protocol: u8, port: u16) -> Wish {
        Wish {
            follows: false,
            ..Wish::new(protocol, Some(self.ends.answer.source.address), self.outside(port))
        }
    }

    /// The sender is called otherwise on the other side.
    fn is_translated(&self) -> bool {
        is_under_nat(self.reading) && self.ends.sender.source.address != self.ends.answer.destination.address
    }

    fn outside(&self, port: u16) -> Endpoint {
        Endpoint {
            address: self.ends.answer.destination.address,
            id: port,
        }
    }

    fn expect(&mut self, wish: Wish) -> Result<(), DropReason> {
        let announced = self.reading.expect(&wish)?;
        self.expected.push(announced);
        Ok(())
    }

    /// At the port that is asked for or another; `None` where none is free, which the kernel lets pass without a word.
    fn enter_near(&mut self, wish: Wish, asked: u16, own: u16) -> Option<u16> {
        let wish = Wish {
            to: self.outside(asked),
            led_to: Some(own),
            follows: true,
            ..wish
        };
        let expected = self.reading.enter_near(&wish).ok()?;
        self.announced(expected, own);
        Some(expected.destination.id)
    }

    fn announced(&mut self, expected: Tuple, named: u16) {
        self.expected.push(Announced {
            expected,
            from_mask: None,
            instead_of: (expected.destination.id != named).then_some(named),
        });
    }

    fn named(&self, at: usize) -> Endpoint {
        named(self.reading, at)
    }

    fn write(&mut self, at: usize, end: Endpoint) {
        write(self.reading, at, end);
    }
}

/// The address of the flow's family, and the port, that stand at this place of the payload.
pub(super) fn named(reading: &Reading<'_, '_>, at: usize) -> Endpoint {
    let family = reading.packet.family();
    let rest = reading.payload().get(at..).unwrap_or_default();
    let port = rest.get(usize::from(family.bits() / 8)..);
    let port = port.and_then(|port| port.first_chunk());
    Endpoint {
        address: family.address_in(rest).unwrap_or(family.unspecified()),
        id: u16::from_be_bytes(port.copied().unwrap_or_default()),
    }
}

/// The NAT side is IPv4's alone: a message of IPv6 leaves as it came, and what it names is expected as it is called outside.
pub(super) fn is_under_nat(reading: &Reading<'_, '_>) -> bool {
    reading.packet.family() == Family::V4 && reading.is_under_nat()
}

/// Puts another address and port there: what is not IPv4 has no such place.
pub(super) fn write(reading: &mut Reading<'_, '_>, at: usize, end: Endpoint) {
    let IpAddr::V4(address) = end.address else { return };
    let mut bytes = [0; 6];
    bytes[..4].copy_from_slice(&address.octets());
    bytes[4..].copy_from_slice(&end.id.to_be_bytes());
    reading.write(at..at + bytes.len(), &bytes);
}
