//! REGISTER: a telephone says where it is called, and once the registrar agrees, calls are expected there for as long as it says.

use std::time::Duration;

use super::memory::Memory;
use super::message::Message;
use super::text::{self, Header, Named, Walk, digits_of, number_of, starts_with, word_of};
use super::{DIRECT_SIGNALLING, SIGNALLING};
use crate::base::{JIFFIES_PER_SECOND, protocol};
use crate::conntrack::{Endpoint, Status};
use crate::helper::announce::Wish;
use crate::helper::{Announced, DropReason};

impl Message<'_, '_, '_> {
    /// Expects calls, though nobody may call before the answer has come.
    pub(super) fn ask_to_register(&mut self, number: u32) -> Result<(), DropReason> {
        // Seen: whoever was called itself registers nothing by that.
        if self.reading.flow.lock().status.has(Status::EXPECTED) {
            return Ok(());
        }
        let Some(contact) = text::named(self.family(), self.text(), Header::Contact) else {
            return Ok(());
        };
        if contact.end.address != self.ends.sender.source.address {
            return Ok(());
        }
        let Some(transport) = self.transport(&contact) else {
            return Ok(());
        };
        let seconds = self.seconds(&contact, number_of(self.text(), Header::Expires).unwrap_or(0))?;
        // None: the telephone takes its registration back.
        if seconds > 0 {
            self.expect_calls(&contact, transport)?;
        }
        self.reading.remember(|memory: &mut Memory| memory.register = number);
        Ok(())
    }

    fn expect_calls(&mut self, contact: &Named, transport: u8) -> Result<(), DropReason> {
        let from = self
            .reading
            .is_set(&DIRECT_SIGNALLING)
            .then_some(self.ends.answer.source.address);
        let wish = Wish {
            class: SIGNALLING,
            helper: Some(self.reading.helper),
            permanent: true,
            inactive: true,
            ..Wish::new(transport, from, contact.end)
        };
        if !self.reading.is_under_nat() {
            let announced = self.reading.expect(&wish)?;
            self.expected.push(announced);
            return Ok(());
        }
        let (own, outside) = (self.ends.sender.source, self.ends.answer.destination);
        let answered_at = self.reading.remembered::<Memory>().answered_at;
        let port = match contact.end.id == answered_at.unwrap_or(own.id) {
            true => outside.id,
            false => contact.end.id,
        };
        let address = match own.address == outside.address {
            true => contact.end.address,
            false => outside.address,
        };
        let near = Wish {
            to: Endpoint { address, id: port },
            led_to: Some(contact.end.id),
            led_to_host: Some(contact.end.address),
            pairs: true,
            ..wish
        };
        let expected = self.reading.enter_near(&near)?;
        let end = expected.destination;
        if end != contact.end
            && let Err(reason) = self.write(contact.range.clone(), &text::spelled(end))
        {
            self.reading.take_back(&expected);
            return Err(reason);
        }
        self.expected.push(Announced {
            expected,
            from_mask: None,
            instead_of: (end.id != port).then_some(port),
        });
        Ok(())
    }

    /// The registrar says for how long, or refuses.
    pub(super) fn answer_registration(&mut self, number: u32, code: u32) -> Result<(), DropReason> {
        // Answers come late, and to questions that were asked twice.
        if self.reading.remembered::<Memory>().register != number || (100..200).contains(&code) {
            return Ok(());
        }
        if (200..300).contains(&code) && self.confirm_registration()? {
            return Ok(());
        }
        self.taken_back += self.reading.expect_no(|class| class == SIGNALLING, 1);
        Ok(())
    }

    fn confirm_registration(&mut self) -> Result<bool, DropReason> {
        let of_all = number_of(self.text(), Header::Expires).unwrap_or(0);
        let mut contacts = Walk::default();
        loop {
            let Some(contact) = contacts.next(self.family(), self.text(), Header::Contact) else {
                return Ok(false);
            };
            if contact.end.address != self.ends.sender.destination.address {
                continue;
            }
            let Some(transport) = self.transport(&contact) else {
                continue;
            };
            let seconds = self.seconds(&contact, of_all)?;
            if seconds == 0 {
                return Ok(false);
            }
            // Seen: what a clock of 32 bits does not hold begins anew.
            let lasts = Duration::from_millis(
                u64::from(seconds.wrapping_mul(JIFFIES_PER_SECOND)) * u64::from(1000 / JIFFIES_PER_SECOND),
            );
            if let Some(expected) = self.reading.confirm(SIGNALLING, transport, contact.end, lasts) {
                self.confirmed = Some((expected, lasts));
                return Ok(true);
            }
        }
    }

    /// Which transport a telephone is to be called by, if it is the one that it speaks.
    fn transport(&self, contact: &Named) -> Option<u8> {
        let text = self.text();
        let own = self.ends.sender.protocol;
        let Some(word) = word_of(text, contact.range.end, b"transport=") else {
            return Some(own);
        };
        let named = match word.start {
            at if starts_with(text, at, b"TCP") => protocol::TCP,
            at if starts_with(text, at, b"UDP") => protocol::UDP,
            _ => return None,
        };
        (named == own).then_some(named)
    }

    fn seconds(&self, contact: &Named, of_all: u32) -> Result<u32, DropReason> {
        match digits_of(self.text(), contact.range.end, b"expires=") {
            Ok(said) => Ok(said.map_or(of_all, |(seconds, _)| seconds)),
            Err(_) => Err(DropReason::CannotRead("expires")),
        }
    }
}
