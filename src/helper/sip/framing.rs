//! Where messages begin and end: a datagram is one, and a segment of TCP has one behind the other, each as long as it says.

use std::time::Duration;

use super::TIMEOUT;
use super::message::Message;
use super::text::{Found, Header, header, number};
use crate::base::Family;
use crate::conntrack::CtState;
use crate::helper::announce::Reading;
use crate::helper::{DropReason, HeardWhat};

/// Reads a datagram, also a flow's first.
pub(super) fn run_udp(reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    // Seen: an ICMP error about the flow keeps it alive too, and is written over: its text begins with the quoted header, which is no message, but headers
    // of SIP follow.
    if reading.payload().is_empty() {
        return Ok(HeardWhat::NoData);
    }
    live_on(reading);
    let length = reading.payload().len();
    if length < SHORTEST {
        return Ok(HeardWhat::NoCommand);
    }
    let mut message = Message::new(reading, 0, length);
    message.act()?;
    Ok(message.what())
}

/// Reads a segment: all messages that are whole in it.
pub(super) fn run_tcp(reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    if reading.tracking.state != Some(CtState::Established) {
        return Ok(HeardWhat::TooEarly);
    }
    if reading.payload().is_empty() {
        return Ok(HeardWhat::NoData);
    }
    live_on(reading);
    let before = reading.payload().len();
    let mut what = HeardWhat::NoCommand;
    if before < SHORTEST {
        return Ok(what);
    }
    let mut at = 0;
    while let Some(length) = length_of_message(&reading.payload()[at..]) {
        if at + length > reading.payload().len() {
            // Seen: what was written over before it shifts no sequence numbers then.
            return Ok(what);
        }
        let mut message = Message::new(reading, at, length);
        message.act()?;
        at = message.end();
        what = what.and(message.what());
    }
    reading.note_length_change(before);
    Ok(what)
}

/// Each message keeps its flow alive for as long as the module says.
fn live_on(reading: &mut Reading<'_, '_>) {
    reading.lay_in_one_piece();
    let seconds = reading.number(&TIMEOUT);
    reading.lives_on(Duration::from_secs(seconds.into()));
}

/// A message that says how long its body is. Its header ends with the first empty line behind that number.
fn length_of_message(text: &[u8]) -> Option<usize> {
    let Found::At(range) = header(Family::V4, text, 0, Header::ContentLength) else {
        return None;
    };
    let (body, end) = number(text, range.start);
    if end == range.start {
        return None;
    }
    let empty_line = text[end..].windows(END.len()).position(|it| it == END)?;
    Some(end + empty_line + END.len() + body as usize)
}

const END: &[u8] = b"\r\n\r\n";
/// The shortest answer. What is shorter is not read.
pub(super) const SHORTEST: usize = b"SIP/2.0 200".len();
