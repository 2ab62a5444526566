//! `-j LOG`: a line in the kernel's log for each packet.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::base::bytes::front_of;
use crate::ext::TargetSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::whole_number;
use crate::ext::option::{Given, Opt, Read, UsageError};
use crate::ext::samples::{Samples, refused, taken};
use crate::ext::wording::quoted;
use crate::packet::log_line::{self, IP_OPTIONS, TCP_OPTIONS, TCP_SEQUENCE, UID};
use crate::rule::{Effect, LogRecord, StateUse, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "LOG",
    listed_as: "LOG",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[
        PREFIX.spec,
        LEVEL.spec,
        FLAGS[0].option.spec,
        FLAGS[1].option.spec,
        FLAGS[2].option.spec,
        FLAGS[3].option.spec,
        FLAGS[4].option.spec,
    ],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    about: "a line in the kernel's log for each packet",
    samples: SAMPLES,
};

/// What a line tells besides.
#[derive(Clone, Copy)]
struct Flag {
    bit: u8,
    option: Opt<()>,
    /// In a listing with names.
    word: &'static str,
}

const fn flag(bit: u8, word: &'static str, name: &'static str, help: &'static str) -> Flag {
    Flag {
        bit,
        option: Opt::flag(name, help),
        word,
    }
}

/// In the order they are printed.
const FLAGS: [Flag; 5] = [
    flag(
        TCP_SEQUENCE,
        "tcp-sequence",
        "log-tcp-sequence",
        "with TCP's sequence numbers",
    ),
    flag(TCP_OPTIONS, "tcp-options", "log-tcp-options", "with TCP's options"),
    flag(
        IP_OPTIONS,
        "ip-options",
        "log-ip-options",
        "with the IP header's options",
    ),
    flag(
        UID,
        "uid",
        "log-uid",
        "with user and group of the program that sent it, where `sender` says whose it is",
    ),
    flag(
        0x20,
        "macdecode",
        "log-macdecode",
        "with the link header in words (no interface of a lab has one)",
    ),
];
const PREFIX: Opt<String> = Opt::own(
    "log-prefix",
    "TEXT",
    &Read(|text, _| prefix(text)),
    "the line begins with this, up to 29 bytes",
);
const LEVEL: Opt<u8> = Opt::own(
    "log-level",
    "LEVEL",
    &Read(|text, _| level(text)),
    "0 to 7 or emerg, panic, alert, crit, error, warning (the default), notice, info, debug",
);
/// As they are typed. Some are printed otherwise.
const LEVELS: [(&str, u8); 9] = [
    ("alert", 1),
    ("crit", 2),
    ("debug", 7),
    ("emerg", 0),
    ("error", 3),
    ("info", 6),
    ("notice", 5),
    ("panic", 0),
    ("warning", 4),
];
const PRINTED_LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
const DEFAULT_LEVEL: u8 = 4;
const PREFIX_MAX: usize = 29;

fn prefix(text: &str) -> Result<String, UsageError> {
    if text.is_empty() {
        return Err(UsageError::parameter(
            "Argument must have a minimum length of 1 characters\n",
        ));
    }
    if text.contains('\n') {
        return Err(UsageError::parameter("Newlines not allowed in --log-prefix"));
    }
    Ok(front_of(text, PREFIX_MAX))
}

fn level(text: &str) -> Result<u8, UsageError> {
    whole_number(text)
        .and_then(|level| u8::try_from(level).ok())
        .filter(|&level| level <= 7)
        .or_else(|| LEVELS.iter().find(|(name, _)| *name == text).map(|&(_, level)| level))
        .ok_or_else(|| UsageError::parameter(format!("log level \"{text}\" unknown\n")))
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let flags = FLAGS.iter().filter(|flag| given.has(flag.option));
    Ok(Arc::new(Log {
        prefix: given.value(PREFIX).unwrap_or_default(),
        level: given.value(LEVEL).unwrap_or(DEFAULT_LEVEL),
        flags: flags.fold(0, |all, flag| all | flag.bit),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Log {
    prefix: String,
    level: u8,
    flags: u8,
}

impl Log {
    fn flags(&self) -> impl Iterator<Item = Flag> {
        let flags = self.flags;
        FLAGS.into_iter().filter(move |flag| flags & flag.bit != 0)
    }
}

impl Target for Log {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        let mut text = self.prefix.clone();
        let interfaces = (cx.input.as_str(), cx.output.as_str());
        log_line::write(&mut text, cx.packet, interfaces, self.flags);
        cx.services.log(LogRecord {
            level: self.level,
            text,
        });
        TargetVerdict::Continue
    }

    fn effect(&self) -> Effect {
        Effect::PURE.with_state(StateUse::Writes).of_its_flow()
    }

    fn save(&self, out: &mut String) {
        if !self.prefix.is_empty() {
            let _ = write!(out, " {} {}", PREFIX.spelled(false), quoted(&self.prefix));
        }
        if self.level != DEFAULT_LEVEL {
            let _ = write!(out, " {} {}", LEVEL.spelled(false), self.level);
        }
        for flag in self.flags() {
            let _ = write!(out, " {}", flag.option.spelled(false));
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        if numeric {
            let _ = write!(out, " LOG flags {} level {}", self.flags, self.level);
        } else {
            let level = PRINTED_LEVELS.get(usize::from(self.level)).unwrap_or(&"debug");
            let _ = write!(out, " LOG level {level}");
            for flag in self.flags() {
                let _ = write!(out, " {}", flag.word);
            }
        }
        if !self.prefix.is_empty() {
            let _ = write!(out, " prefix \"{}\"", self.prefix);
        }
    }
}

/// ` LOG flags 2 level 4 prefix "x"`, ` LOG level warn tcp-options prefix "x"`; old tools began the prefix with a backquote and ended it with `'`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("LOG")?;
        let mut options = Options::default();
        let mut flags = None;
        if it.word("flags").is_some() {
            flags = Some(it.take()?.parse::<u8>().ok()?);
        }
        it.word("level")?;
        let typed = it.take()?;
        let level = match PRINTED_LEVELS.iter().position(|printed| *printed == typed) {
            Some(level) => level.to_string(),
            None => typed.to_owned(),
        };
        let mut flags = flags.unwrap_or_default();
        // A bit that no option sets.
        if flags & !FLAGS.iter().fold(0, |all, flag| all | flag.bit) != 0 {
            return None;
        }
        while let Some((false, word)) = it.option_of(&FLAGS.map(|flag| flag.word)) {
            flags |= FLAGS.iter().find(|flag| flag.word == word)?.bit;
        }
        if it.word("prefix").is_some() {
            // Nothing is escaped, and nothing comes behind it: it ends with the line.
            let text = it.rest.trim_ascii();
            let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            let old = || text.strip_prefix('`').and_then(|text| text.strip_suffix('\''));
            options.push(false, PREFIX.name(), quoted.or_else(old)?);
            it.rest = "";
        }
        options.push(false, LEVEL.name(), &level);
        for flag in FLAGS.iter().filter(|flag| flags & flag.bit != 0) {
            options.push(false, flag.option.name(), "");
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "", "", "LOG flags 0 level 4").named("LOG level warn"),
        taken("", "--log-level warning", "", "LOG flags 0 level 4").named("LOG level warn"),
        taken("", "--log-level error", "--log-level 3", "LOG flags 0 level 3").named("LOG level err"),
        taken("", "--log-level panic", "--log-level 0", "LOG flags 0 level 0").named("LOG level emerg"),
        taken("", "--log-level 0x7", "--log-level 7", "LOG flags 0 level 7").named("LOG level debug"),
        taken(
            "",
            "--log-prefix \"hello: \"",
            "--log-prefix \"hello: \"",
            "LOG flags 0 level 4 prefix \"hello: \"",
        )
        .named("LOG level warn prefix \"hello: \""),
        taken(
            "",
            "--log-prefix 123456789012345678901234567890",
            "--log-prefix 12345678901234567890123456789",
            "LOG flags 0 level 4 prefix \"12345678901234567890123456789\"",
        )
        .named("LOG level warn prefix \"12345678901234567890123456789\""),
        taken(
            "",
            "--log-tcp-sequence --log-tcp-options --log-ip-options --log-uid --log-macdecode",
            "--log-tcp-sequence --log-tcp-options --log-ip-options --log-uid --log-macdecode",
            "LOG flags 47 level 4",
        )
        .named("LOG level warn tcp-sequence tcp-options ip-options uid macdecode"),
        taken(
            "",
            "--log-ip-options --log-prefix abc --log-level debug",
            "--log-prefix abc --log-level 7 --log-ip-options",
            "LOG flags 4 level 7 prefix \"abc\"",
        )
        .named("LOG level debug ip-options prefix \"abc\""),
        // Bytes that are not UTF-8, as texts hold them.
        taken(
            "",
            "--log-prefix \u{10FFFF}\u{10FFA0}:",
            "--log-prefix \"\u{10FFFF}\u{10FFA0}:\"",
            "LOG flags 0 level 4 prefix \"\u{10FFFF}\u{10FFA0}:\"",
        )
        .named("LOG level warn prefix \"\u{10FFFF}\u{10FFA0}:\""),
    ],
    refused: &[
        refused("", "--log-level warn", "log level \"warn\" unknown\n"),
        refused("", "--log-level 8", "log level \"8\" unknown\n"),
        refused("", "--log-level 7x", "log level \"7x\" unknown\n"),
        refused("", "--log-level \"\"", "log level \"\" unknown\n"),
        refused(
            "",
            "--log-prefix \"\"",
            "Argument must have a minimum length of 1 characters\n",
        ),
        refused("", "--log-prefix \"a\nb\"", "Newlines not allowed in --log-prefix"),
        refused(
            "",
            "--log-uid --log-uid",
            "LOG: option \"--log-uid\" can only be used once.\n",
        ),
        refused(
            "",
            "! --log-prefix x",
            "LOG: option \"--log-prefix\" cannot be inverted.\n",
        ),
    ],
    packets: &[],
    spellings: &[
        "-j LOG",
        "-j LOG --log-level 4",
        "-j LOG --log-level warning",
        "-j LOG --log-level warn",
        "-j LOG --log-prefix \"\"",
        "-j LOG --log-prefix x",
        "-j LOG --log-uid",
        "-j LOG --log-tcp-options --log-ip-options",
        "-j LOG --log-ip-options --log-tcp-options",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 6,
    |draw| {
        draw.maybe(2, &PREFIX.spec, &["\"seen: \"", "x", "\"DROP IN=\""]);
        draw.maybe(3, &LEVEL.spec, &["debug", "4", "info", "emerg"]);
        for flag in &FLAGS {
            draw.maybe_flag(5, &flag.option.spec);
        }
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{InterfaceId, InterfaceName};
    use crate::ext::testing::{ANY, Bench, read_target, tcp};

    #[test]
    fn interfaces() {
        let tail = "SRC=10.0.0.2 DST=192.0.2.9 LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=TCP SPT=1 DPT=2 \
                    WINDOW=1000 RES=0x00 SYN URGP=0 ";
        let made = read_target(&SPEC, ANY, "--log-prefix \"a b\" --log-level info").unwrap();
        for (input, name, out, expected) in [
            (Some(InterfaceId(1)), "lan", "wan", "a bIN=lan OUT=wan MAC= "),
            (Some(InterfaceId(1)), "lan", "", "a bIN=lan OUT= MAC= "),
            (None, "", "wan", "a bIN= OUT=wan "),
            (
                Some(InterfaceId(0)),
                "lo",
                "",
                "a bIN=lo OUT= MAC=00:00:00:00:00:00:00:00:00:00:00:00:08:00 ",
            ),
        ] {
            let mut bench = Bench::new();
            bench.input = InterfaceName::new(name).unwrap();
            bench.output = InterfaceName::new(out).unwrap();
            let mut packet = tcp(1, 2, 2, &[]);
            packet.input = input;
            assert_eq!(bench.apply(made.as_ref(), &mut packet), TargetVerdict::Continue);
            let record = LogRecord {
                level: 6,
                text: format!("{expected}{tail}"),
            };
            assert_eq!(bench.logged, [record]);
        }
    }
}
