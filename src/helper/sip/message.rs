//! One message: what a request or an answer means for what is expected. Then NAT writes the addresses in it over.

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use super::SIGNALLING;
use super::framing::SHORTEST;
use super::memory::Memory;
use super::text::{self, Found, Header, header, is_letter, number, starts_with};
use crate::base::{Family, protocol};
use crate::conntrack::{Endpoint, Tuple};
use crate::helper::announce::{Ends, Reading};
use crate::helper::{Announced, DropReason, HeardWhat};

/// A message of a packet that is being read.
pub(super) struct Message<'r, 'a, 'b> {
    pub reading: &'r mut Reading<'a, 'b>,
    pub ends: Ends,
    /// Where in the payload it stands, as it is by now.
    at: usize,
    length: usize,
    pub expected: Vec<Announced>,
    /// What is expected for how much longer, since a registrar said so.
    pub confirmed: Option<(Tuple, Duration)>,
    /// How many flows are expected no longer.
    pub taken_back: usize,
}

/// What is read of requests, and of the answers to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Invite,
    Update,
    Ack,
    Prack,
    Bye,
    Register,
}

const METHODS: [(Method, &[u8]); 6] = [
    (Method::Invite, b"INVITE"),
    (Method::Update, b"UPDATE"),
    (Method::Ack, b"ACK"),
    (Method::Prack, b"PRACK"),
    (Method::Bye, b"BYE"),
    (Method::Register, b"REGISTER"),
];

impl<'r, 'a, 'b> Message<'r, 'a, 'b> {
    pub(super) fn new(reading: &'r mut Reading<'a, 'b>, at: usize, length: usize) -> Self {
        Self {
            ends: reading.ends(),
            reading,
            at,
            length,
            expected: Vec::new(),
            confirmed: None,
            taken_back: 0,
        }
    }

    /// Where it ends by now.
    pub(super) fn end(&self) -> usize {
        self.at + self.length
    }

    /// Of the flow: addresses of the other are not read.
    pub(super) fn family(&self) -> Family {
        self.ends.sender.family()
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.reading.payload()[self.at..self.end()]
    }

    /// What came of it.
    pub(super) fn what(self) -> HeardWhat {
        match self.confirmed {
            _ if !self.expected.is_empty() => HeardWhat::Announced(self.expected),
            Some((expected, lasts)) => HeardWhat::Confirmed { expected, lasts },
            None if self.taken_back > 0 => HeardWhat::TakenBack(self.taken_back),
            None => HeardWhat::NoCommand,
        }
    }

    /// Expects and forgets, and is written over.
    pub(super) fn act(&mut self) -> Result<(), DropReason> {
        match starts_with(self.text(), 0, b"SIP/2.0 ") {
            true => self.act_on_answer()?,
            false => self.act_on_request()?,
        }
        match self.reading.is_under_nat() {
            true => self.rewrite(),
            false => Ok(()),
        }
    }

    fn act_on_request(&mut self) -> Result<(), DropReason> {
        self.learn_where_answers_go();
        let text = self.text();
        let is_it = |name: &[u8]| {
            let letter = text.get(name.len() + 1);
            starts_with(text, 0, name) && text.get(name.len()) == Some(&b' ') && letter.is_some_and(|&it| is_letter(it))
        };
        let Some(&(method, _)) = METHODS.iter().find(|(_, name)| is_it(name)) else {
            return Ok(());
        };
        let (number, _) = self.sequence()?;
        match method {
            Method::Invite => {
                self.expect_no_media();
                self.agree_on_media()?;
                self.reading.remember(|memory: &mut Memory| memory.invite = number);
                Ok(())
            }
            Method::Update | Method::Ack | Method::Prack => self.agree_on_media(),
            Method::Bye => {
                self.expect_no_media();
                Ok(())
            }
            Method::Register => self.ask_to_register(number),
        }
    }

    fn act_on_answer(&mut self) -> Result<(), DropReason> {
        let text = self.text();
        if text.len() < SHORTEST {
            return Ok(());
        }
        let (code, _) = number(text, SHORTEST - 3);
        if code == 0 {
            return Err(DropReason::CannotRead("the code of an answer"));
        }
        let (number, end) = self.sequence()?;
        let text = self.text();
        // Behind the number and one letter, which nobody looks at.
        let is_it = |name: &[u8]| starts_with(text, end + 1, name);
        let Some(&(method, _)) = METHODS.iter().find(|(_, name)| is_it(name)) else {
            return Ok(());
        };
        let is_good = (100..300).contains(&code);
        match method {
            Method::Invite | Method::Update | Method::Prack if is_good => self.agree_on_media(),
            Method::Invite | Method::Update | Method::Prack => {
                if self.reading.remembered::<Memory>().invite == number {
                    self.expect_no_media();
                }
                Ok(())
            }
            Method::Register => self.answer_registration(number, code),
            Method::Ack | Method::Bye => Ok(()),
        }
    }

    /// The number of CSeq, and where it ends.
    fn sequence(&self) -> Result<(u32, usize), DropReason> {
        let text = self.text();
        let Found::At(range) = header(self.family(), text, 0, Header::Sequence) else {
            return Err(DropReason::CannotRead("CSeq"));
        };
        let (number, _) = number(text, range.start);
        if number == 0 && text[range.start] != b'0' {
            return Err(DropReason::CannotRead("CSeq"));
        }
        Ok((number, range.end))
    }

    /// Telephones there are that send from one port and name another in Via, where they wait for answers.
    fn learn_where_answers_go(&mut self) {
        let own = self.ends.sender.source;
        if let Some(via) = text::named(self.family(), self.text(), Header::ViaUdp)
            && via.end.address == own.address
            && via.end.id != own.id
        {
            self.reading
                .remember(|memory: &mut Memory| memory.answered_at = Some(via.end.id));
        }
    }

    /// What was agreed on before is over.
    fn expect_no_media(&mut self) {
        self.taken_back += self.reading.expect_no(|class| class != SIGNALLING, usize::MAX);
    }

    /// Puts `with` in the place of a range of the message.
    pub(super) fn write(&mut self, range: Range<usize>, with: &str) -> Result<(), DropReason> {
        let change = with.len() as isize - range.len() as isize;
        let in_payload = self.at + range.start..self.at + range.end;
        match self.reading.write_unnoted(in_payload, with.as_bytes()) {
            true => {
                self.length = self.length.saturating_add_signed(change);
                Ok(())
            }
            false => Err(DropReason::Mangle),
        }
    }

    pub(super) fn is_tcp(&self) -> bool {
        self.ends.sender.protocol == protocol::TCP
    }

    /// The address that stands for the sender where its packets go.
    pub(super) fn outside(&self) -> IpAddr {
        self.ends.answer.destination.address
    }

    /// What an address is called where the message goes, if it is one of the flow's.
    pub(super) fn as_called_there(&self, end: Endpoint) -> Option<Endpoint> {
        let Ends { sender, answer, .. } = self.ends;
        let called = if end == sender.source {
            answer.destination
        } else if end == sender.destination {
            let port = self.reading.remembered::<Memory>().answered_at;
            Endpoint {
                id: port.unwrap_or(answer.source.id),
                ..answer.source
            }
        } else {
            return None;
        };
        (called != end).then_some(called)
    }
}
