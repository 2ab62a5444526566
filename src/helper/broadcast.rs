//! Answers to broadcasts: the router's own question goes to all hosts of a network, and each answers from its own address.
//!
//! Seen on Linux 6.18: of a flow's first direction, each packet that a socket of the router sends to the broadcast address which an address of the
//! interface has (`brd`). Whoever is in that network may answer from the helper's port, as often as he likes, as long as the flow lives; and that lives as
//! long as answers are expected, from the last question on. Whether the table of expectations has room is not asked.

use std::time::Duration;

use super::HeardWhat;
use super::announce::{Reading, Wish};
use super::{Announced, Broadcast};
use crate::conntrack::Direction;

/// Expects the answers, if the packet is such a question.
pub(super) fn expect_answers(reading: &mut Reading<'_, '_>, lives: Duration) -> HeardWhat {
    let mask = match reading.broadcast() {
        Broadcast::No => return HeardWhat::NotOwnBroadcast,
        _ if reading.direction() == Direction::Reply => return HeardWhat::OtherWay,
        Broadcast::OfNoAddress => return HeardWhat::OfNoNetwork,
        Broadcast::To(mask) => mask,
    };
    let answer = reading.tuple(Direction::Reply);
    let wish = Wish {
        from_mask: Some(mask),
        from_port: reading.helper.ports.first().copied(),
        follows: false,
        permanent: true,
        ..Wish::new(answer.protocol, Some(answer.source.address), answer.destination)
    };
    let expected = reading.expect(&wish);
    reading.lives_on(lives);
    match expected {
        Ok(announced) => HeardWhat::Announced(vec![Announced {
            from_mask: Some(mask),
            ..announced
        }]),
        Err(_) => HeardWhat::NoRoom,
    }
}
