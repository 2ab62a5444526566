//! The NAT side: the flow's own addresses in a message are written as they are called where it goes.

use super::memory::Memory;
use super::message::Message;
use super::sdp::{self, Line};
use super::text::{self, Brackets, Found, Header, Named, Walk, address_of, digits_of, header, starts_with};
use crate::conntrack::Direction;
use crate::helper::DropReason;

impl Message<'_, '_, '_> {
    pub(super) fn rewrite(&mut self) -> Result<(), DropReason> {
        let is_request = !starts_with(self.text(), 0, b"SIP/2.0");
        if is_request && let Some(named) = text::of_request(self.family(), self.text()) {
            self.rename(&named)?;
        }
        let via = match self.is_tcp() {
            true => Header::ViaTcp,
            false => Header::ViaUdp,
        };
        if let Some(named) = text::named(self.family(), self.text(), via) {
            self.rewrite_via(&named, is_request)?;
        }
        let mut contacts = Walk::default();
        while let Some(named) = contacts.next(self.family(), self.text(), Header::Contact) {
            self.rename(&named)?;
        }
        for kind in [Header::From, Header::To] {
            if let Some(named) = text::named(self.family(), self.text(), kind) {
                self.rename(&named)?;
            }
        }
        let answered_at = self.reading.remembered::<Memory>().answered_at;
        match (self.reading.direction(), answered_at) {
            // Seen: of TCP such an answer is dropped.
            (Direction::Reply, Some(_)) if self.is_tcp() => Err(DropReason::Mangle),
            (Direction::Reply, Some(port)) => {
                self.reading.deliver_at(port);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The topmost Via is of who sent the message, or gets it; its parameters tell how that looked from the other side.
    fn rewrite_via(&mut self, via: &Named, is_request: bool) -> Result<(), DropReason> {
        let (sender, answer) = (self.ends.sender, self.ends.answer);
        let whose = match is_request {
            true => sender.source,
            false => sender.destination,
        };
        if via.end != whose {
            return Ok(());
        }
        let before = self.text().len();
        self.rename(via)?;
        let end = via.range.end + self.text().len() - before;
        if let Some((address, range)) = address_of(self.family(), self.text(), end, (b"maddr=", Brackets::Needed))
            && address == sender.source.address
            && address != answer.destination.address
        {
            self.write(
                range,
                &text::spelled_address(answer.destination.address, Brackets::Needed),
            )?;
        }
        if let Some((address, range)) = address_of(self.family(), self.text(), end, (b"received=", Brackets::Free))
            && address == sender.destination.address
            && address != answer.source.address
        {
            self.write(range, &text::spelled_address(answer.source.address, Brackets::Free))?;
        }
        if let Ok(Some((port, range))) = digits_of(self.text(), end, b"rport=")
            && port as u16 == sender.destination.id
            && port as u16 != answer.source.id
        {
            self.write(range, &answer.source.id.to_string())?;
        }
        Ok(())
    }

    fn rename(&mut self, named: &Named) -> Result<(), DropReason> {
        match self.as_called_there(named.end) {
            Some(end) => self.write(named.range.clone(), &text::spelled(end)),
            None => Ok(()),
        }
    }

    /// The description has changed its length.
    pub(super) fn say_length(&mut self) -> Result<(), DropReason> {
        let Found::At(version) = sdp::line(self.family(), self.text(), 0, Line::Version, false) else {
            return Err(DropReason::Mangle);
        };
        let length = self.text().len() - version.start + b"v=".len();
        let Found::At(range) = header(self.family(), self.text(), 0, Header::ContentLength) else {
            return Err(DropReason::Mangle);
        };
        self.write(range, &length.to_string())
    }
}
