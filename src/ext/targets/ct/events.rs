//! The words of `--ctevents` and `--expevents`.

use crate::conntrack::EventMask;
use crate::ext::option::UsageError;

/// Words between commas.
pub(super) fn parse(text: &str, words: &[&str]) -> Result<EventMask, UsageError> {
    text.split(',').try_fold(EventMask::NONE, |mask, typed| {
        let bit = words.iter().position(|word| *word == typed);
        match bit {
            Some(bit) => Ok(mask.or(EventMask(1 << bit))),
            None => Err(UsageError::parameter(format!("Unknown event type \"{typed}\""))),
        }
    })
}

/// The words of a mask; `None` for one of nothing.
pub(super) fn said(mask: EventMask, words: &[&'static str]) -> Option<String> {
    let said = mask.said_by(words);
    (!said.is_empty()).then(|| said.join(","))
}
