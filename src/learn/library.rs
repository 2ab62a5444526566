//! The lessons that come with nflab, in the program itself.

use crate::lab::script::lex;

/// A lesson's name, and its file.
pub(crate) type Entry = (&'static str, &'static str);

macro_rules! lessons {
    ($($name:literal)*) => {
        /// In the order in which they are taken.
        pub(crate) const LIBRARY: &[Entry] = &[$((
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples-rulesets/lessons/", $name, "/lesson.nflab")),
        )),*];
    };
}

lessons! {
    "01-states"
    "02-tcp"
    "03-ping"
    "04-udp"
    "05-timeouts"
    "06-raw"
    "07-ftp"
    "08-helpers"
    "09-new-not-syn"
    "10-default"
    "11-host"
    "12-knobs"
    "13-irc"
    "14-tftp"
    "15-amanda"
    "16-h323-and-talk"
    "17-untracked"
    "18-ftp-server"
    "19-save"
    "20-both-families"
}

/// By its whole name, by what stands behind the number, or by the number.
pub(crate) fn find(asked: &str) -> Option<Entry> {
    let is_it = |(name, _): &&Entry| {
        let (number, word) = name.split_once('-').unwrap_or((name, name));
        asked == *name || asked == word || number.trim_start_matches('0') == asked.trim_start_matches('0')
    };
    LIBRARY.iter().find(is_it).copied()
}

/// What a lesson's first line calls it.
pub(crate) fn title(lesson: &str) -> String {
    let lines = lex::lex(lesson).unwrap_or_default();
    let first = lines.iter().find(|line| line.keyword() == "lesson");
    first
        .and_then(|line| line.words.get(1))
        .map_or_else(String::new, |word| word.text.clone())
}
