//! What a session description says: flows of RTP, at an even port, and of RTCP, at the next, are expected for each of its media.

use std::net::IpAddr;
use std::ops::Range;

use super::message::Message;
use super::sdp::{self, Line, connection};
use super::text::{Found, LEAST_PORT, number};
use super::{AUDIO, DIRECT_MEDIA, EXTERNAL_MEDIA, IMAGE, VIDEO};
use crate::base::{Family, protocol};
use crate::conntrack::{Endpoint, ExpectationRefused, Tuple};
use crate::helper::announce::Wish;
use crate::helper::{Announced, DropReason};

const KINDS: [(&[u8], usize); 3] = [(b"audio ", AUDIO), (b"video ", VIDEO), (b"image ", IMAGE)];
/// So many lines of media with a port are read.
const MOST_MEDIA: usize = 3;

impl Message<'_, '_, '_> {
    /// Expects the media of a description, and says where they are outside.
    pub(super) fn agree_on_media(&mut self) -> Result<(), DropReason> {
        let Found::At(version) = sdp::line(self.family(), self.text(), 0, Line::Version, false) else {
            return Ok(());
        };
        let description = version.start;
        let of_session = connection(self.family(), self.text(), description);
        let mut named = of_session;
        let mut at = description;
        let mut media = 0;
        while media < MOST_MEDIA {
            let Found::At(line) = sdp::line(self.family(), self.text(), at, Line::Media, false) else {
                break;
            };
            let kind = KINDS
                .iter()
                .find(|(name, _)| self.text()[line.clone()].starts_with(name));
            let Some(&(name, class)) = kind else {
                at = line.end;
                continue;
            };
            at = line.start + name.len();
            let (port, _) = number(self.text(), at);
            if port == 0 {
                // It is not wanted, or no longer.
                continue;
            }
            let port = u16::try_from(port).ok().filter(|&port| port >= LEAST_PORT);
            let port = port.ok_or(DropReason::CannotRead("the port of a line of media"))?;
            let own = connection(self.family(), self.text(), at);
            let address = own.or(of_session);
            let address = address.ok_or(DropReason::CannotRead("the address of a line of media"))?;
            let address = self.expect_media(address, port, class, at..line.end)?;
            named = Some(address);
            if own.is_some() && self.reading.is_under_nat() {
                self.say_address(at, Line::Connection, address, false)?;
                self.say_length()?;
            }
            media += 1;
        }
        match named {
            Some(address) if self.reading.is_under_nat() => {
                self.say_address(description, Line::Owner, address, false)?;
                // A session need not say it where each of its media does.
                self.say_address(description, Line::Connection, address, true)?;
                self.say_length()
            }
            _ => Ok(()),
        }
    }

    /// Expects one kind of media; the address at which it is found outside. `digits`: where its port stands.
    fn expect_media(
        &mut self,
        address: IpAddr,
        port: u16,
        class: usize,
        digits: Range<usize>,
    ) -> Result<IpAddr, DropReason> {
        let is_direct = self.reading.is_set(&DIRECT_MEDIA);
        let is_elsewhere = match is_direct {
            true => address != self.ends.sender.source.address,
            false => self.reading.is_set(&EXTERNAL_MEDIA) && self.reading.leaves_likewise(address),
        };
        if is_elsewhere {
            return Ok(address);
        }
        let from = is_direct.then_some(self.ends.answer.source.address);
        let mut to = Endpoint { address, id: port };
        // Several telephones may get the same call, or two of them speak to each other by a server outside.
        let mut is_inside = false;
        let mut is_expected = false;
        while !is_expected {
            let tuple = Tuple {
                source: Endpoint {
                    address: from.unwrap_or(Family::of(address).unspecified()),
                    id: 0,
                },
                destination: to,
                protocol: protocol::UDP,
            };
            let Some(led_to) = self.reading.announced_by_another(&tuple, class) else {
                break;
            };
            if is_inside || led_to == to || !self.reading.is_under_nat() {
                is_expected = true;
            } else {
                (to, is_inside) = (led_to, true);
            }
        }
        let address = to.address;
        to.id &= !1;
        if is_inside {
            self.write(digits.clone(), &to.id.to_string())?;
            self.say_length()?;
        }
        if is_expected {
            return Ok(address);
        }
        let rtp = Wish {
            class,
            shared: true,
            follows: !is_inside,
            ..Wish::new(protocol::UDP, from, to)
        };
        if is_inside || !self.reading.is_under_nat() {
            self.expect_pair(rtp)?;
            return Ok(address);
        }
        self.expect_pair_outside(rtp, digits)
    }

    /// Both ports as they were named. What is expected from another message already counts as well.
    fn expect_pair(&mut self, rtp: Wish) -> Result<(), DropReason> {
        let first = self.reading.enter(&rtp, rtp.to.id);
        let first = either(first)?;
        match either(self.reading.enter(&rtp, rtp.to.id + 1)) {
            Ok(second) => {
                self.note(first, None);
                self.note(second, None);
                Ok(())
            }
            Err(refused) => {
                if let Some(first) = first {
                    self.reading.take_back(&first);
                }
                Err(refused)
            }
        }
    }

    /// The first two ports from there on that are free outside.
    fn expect_pair_outside(&mut self, rtp: Wish, digits: Range<usize>) -> Result<IpAddr, DropReason> {
        let inside = rtp.to;
        let address = match self.ends.sender.source.address == self.outside() {
            true => inside.address,
            false => self.outside(),
        };
        let mut port = inside.id;
        let pair = loop {
            let wish = |above| Wish {
                to: Endpoint { address, id: port },
                led_to: Some(inside.id | above),
                led_to_host: Some(inside.address),
                pairs: true,
                ..rtp
            };
            match self.enter_pair(wish(0), wish(1)) {
                Err(ExpectationRefused::Clash) if port < u16::MAX - 1 => port += 2,
                done => break done.map_err(DropReason::Expectation)?,
            }
        };
        if port != inside.id {
            let said = self.write(digits, &port.to_string()).and_then(|()| self.say_length());
            if let Err(reason) = said {
                pair.iter().for_each(|it| self.reading.take_back(it));
                return Err(reason);
            }
        }
        for (above, expected) in (0..).zip(pair) {
            let named = inside.id | above;
            self.note(Some(expected), (port != inside.id).then_some(named));
        }
        Ok(address)
    }

    fn enter_pair(&mut self, rtp: Wish, rtcp: Wish) -> Result<[Tuple; 2], ExpectationRefused> {
        let port = rtp.to.id;
        let first = self.reading.enter(&rtp, port)?;
        match self.reading.enter(&rtcp, port + 1) {
            Ok(second) => Ok([first, second]),
            Err(refused) => {
                self.reading.take_back(&first);
                Err(refused)
            }
        }
    }

    fn note(&mut self, expected: Option<Tuple>, instead_of: Option<u16>) {
        self.expected.extend(expected.map(|expected| Announced {
            expected,
            instead_of,
            from_mask: None,
        }));
    }

    /// Writes the first address of such a line over; that there is none is right for a connection.
    fn say_address(&mut self, from: usize, which: Line, address: IpAddr, may_lack: bool) -> Result<(), DropReason> {
        match sdp::line(self.family(), self.text(), from, which, true) {
            Found::At(range) => self.write(range, &address.to_string()),
            Found::Nothing if may_lack => Ok(()),
            _ => Err(DropReason::Mangle),
        }
    }
}

fn either(entered: Result<Tuple, ExpectationRefused>) -> Result<Option<Tuple>, DropReason> {
    match entered {
        Ok(tuple) => Ok(Some(tuple)),
        Err(ExpectationRefused::Already) => Ok(None),
        Err(refused) => Err(DropReason::Expectation(refused)),
    }
}
