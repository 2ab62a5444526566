//! Queues, and what is decided of the packets that wait there.

use super::done;
use crate::engine::{QueueSettings, VerdictKind};
use crate::lab::script::{Kind, QueueWord};
use crate::lab::send::packet;
use crate::syntax::problem::Problem;
use crate::syntax::words::{self, Words, unexpected};

pub(super) fn queue(rest: &mut Words<'_>) -> Result<Kind, Problem> {
    if rest.is_done() {
        return Ok(Kind::Queue(QueueWord::Show(None)));
    }
    let number = rest.read(words::number("a queue", 0..=65_535))? as u16;
    if rest.is_done() {
        return Ok(Kind::Queue(QueueWord::Show(Some(number))));
    }
    let word = rest.read(words::word("what is done there: open, close, accept, drop or repeat"))?;
    let kind = match word.text.as_str() {
        "open" => {
            let mut settings = QueueSettings::default();
            if rest.read(words::has("maximum"))? {
                settings.maximum = rest.read(words::number("so many packets", 1..=u64::from(u32::MAX)))? as u32;
            }
            settings.fail_open = rest.read(words::has("fail-open"))?;
            return done(rest, Kind::Queue(QueueWord::Open { number, settings }));
        }
        "close" => return done(rest, Kind::Queue(QueueWord::Close(number))),
        text => VerdictKind::ALL.into_iter().find(|kind| kind.name() == text),
    };
    let Some(kind) = kind else {
        return Err(unexpected(
            word,
            "expected open, close, accept, drop or repeat",
            "write it like `queue 0 open`, then `queue 0 accept`",
        ));
    };
    let mark = match rest.read(words::has("mark"))? {
        true => Some(rest.read(words::number("a mark", 0..=u64::from(u32::MAX)))? as u32),
        false => None,
    };
    let packet = match rest.read(words::has("as"))? {
        true => Some(packet(rest)?),
        false => None,
    };
    let decide = QueueWord::Decide {
        number,
        kind,
        mark,
        packet,
    };
    done(rest, Kind::Queue(decide))
}
