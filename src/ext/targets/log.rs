//! `-j LOG`: a line in the kernel's log for each packet.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::bytes::front_of;
use crate::base::{Family, InterfaceId};
use crate::ext::TargetSpec;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::whole_number;
use crate::ext::option::{Given, OptionSpec, UsageError, Value, ValueKind};
use crate::ext::wording::quoted;
use crate::rule::{LogRecord, Target, TargetContext, TargetVerdict};

mod line;

pub const SPEC: TargetSpec = TargetSpec {
    name: "LOG",
    listed_as: "LOG",
    families: &[Family::V4],
    options: &[
        OptionSpec {
            name: "log-prefix",
            value: ValueKind::Custom {
                syntax: "TEXT",
                parse: |text, _| prefix(text),
            },
            help: "the line begins with this, up to 29 bytes",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "log-level",
            value: ValueKind::Custom {
                syntax: "LEVEL",
                parse: |text, _| level(text),
            },
            help: "0 to 7 or emerg, panic, alert, crit, error, warning (the default), notice, info, debug",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "log-tcp-sequence",
            help: "with TCP's sequence numbers",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "log-tcp-options",
            help: "with TCP's options",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "log-ip-options",
            help: "with the IP header's options",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "log-uid",
            help: "with the user of the process that sent it (no packet of a lab has one)",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "log-macdecode",
            help: "with the link header in words (no interface of a lab has one)",
            ..OptionSpec::PLAIN
        },
    ],
    needs_one: None,
    build,
    unlist,
    about: "a line in the kernel's log for each packet",
};

/// Bits of the number that `-L -n` prints.
const TCP_SEQUENCE: u8 = 0x01;
const TCP_OPTIONS: u8 = 0x02;
const IP_OPTIONS: u8 = 0x04;
/// In the order they are printed; the option is `log-` and the word.
const FLAGS: [(u8, &str); 5] = [
    (TCP_SEQUENCE, "tcp-sequence"),
    (TCP_OPTIONS, "tcp-options"),
    (IP_OPTIONS, "ip-options"),
    (0x08, "uid"),
    (0x20, "macdecode"),
];
/// As they are typed. Some are printed otherwise.
const LEVELS: [(&str, u64); 9] = [
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

fn prefix(text: &str) -> Result<Value, UsageError> {
    if text.is_empty() {
        return Err(UsageError::parameter(
            "Argument must have a minimum length of 1 characters\n",
        ));
    }
    if text.contains('\n') {
        return Err(UsageError::parameter("Newlines not allowed in --log-prefix"));
    }
    Ok(Value::Text(front_of(text, PREFIX_MAX)))
}

fn level(text: &str) -> Result<Value, UsageError> {
    whole_number(text)
        .filter(|&level| level <= 7)
        .or_else(|| LEVELS.iter().find(|(name, _)| *name == text).map(|&(_, level)| level))
        .map(Value::Integer)
        .ok_or_else(|| UsageError::parameter(format!("log level \"{text}\" unknown\n")))
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let mut made = Log {
        prefix: String::new(),
        level: DEFAULT_LEVEL,
        flags: 0,
    };
    for option in given.options {
        match &option.value {
            Value::Text(text) => made.prefix.clone_from(text),
            Value::Integer(level) => made.level = *level as u8,
            _ => {
                let word = option.spec.name.strip_prefix("log-");
                let flag = FLAGS.iter().find(|&&(_, known)| word == Some(known));
                made.flags |= flag.map_or(0, |&(bit, _)| bit);
            }
        }
    }
    Ok(Arc::new(made))
}

#[derive(Debug, PartialEq, Eq)]
struct Log {
    prefix: String,
    level: u8,
    flags: u8,
}

impl Log {
    fn flag_words(&self) -> impl Iterator<Item = &'static str> {
        let flags = self.flags;
        FLAGS
            .iter()
            .filter(move |(bit, _)| flags & bit != 0)
            .map(|&(_, word)| word)
    }
}

impl Target for Log {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        let mut text = format!("{}IN={} OUT={} ", self.prefix, cx.input, cx.output);
        match cx.packet.input {
            // The one interface of a lab with a link header, and that is all zeros but for the protocol.
            Some(InterfaceId::LOOPBACK) => text.push_str("MAC=00:00:00:00:00:00:00:00:00:00:00:00:08:00 "),
            Some(_) => text.push_str("MAC= "),
            None => {}
        }
        line::write(&mut text, cx.packet.bytes(), self.flags, cx.packet.mark);
        cx.services.log(LogRecord {
            level: self.level,
            text,
        });
        TargetVerdict::Continue
    }

    fn save(&self, out: &mut String) {
        if !self.prefix.is_empty() {
            let _ = write!(out, " --log-prefix {}", quoted(&self.prefix));
        }
        if self.level != DEFAULT_LEVEL {
            let _ = write!(out, " --log-level {}", self.level);
        }
        for word in self.flag_words() {
            let _ = write!(out, " --log-{word}");
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        if numeric {
            let _ = write!(out, " LOG flags {} level {}", self.flags, self.level);
        } else {
            let level = PRINTED_LEVELS.get(usize::from(self.level)).unwrap_or(&"debug");
            let _ = write!(out, " LOG level {level}");
            for word in self.flag_words() {
                let _ = write!(out, " {word}");
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
        let mut words = Vec::new();
        match flags {
            Some(flags) => {
                let known = FLAGS.iter().fold(0, |all, (bit, _)| all | bit);
                // A bit that no option sets.
                if flags & !known != 0 {
                    return None;
                }
                words.extend(FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|&(_, word)| word));
            }
            None => {
                while let Some((false, word)) = it.option_of(&FLAGS.map(|(_, word)| word)) {
                    words.push(word);
                }
            }
        }
        if it.word("prefix").is_some() {
            // Nothing is escaped, and nothing comes behind it: it ends with the line.
            let text = it.rest.trim_ascii();
            let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            let old = || text.strip_prefix('`').and_then(|text| text.strip_suffix('\''));
            options.push(false, "log-prefix", quoted.or_else(old)?);
            it.rest = "";
        }
        options.push(false, "log-level", &level);
        for word in words {
            options.push(false, &format!("log-{word}"), "");
        }
        Some(options)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::InterfaceName;
    use crate::ext::testing::{ANY, Bench, read_target, target_errors, target_texts, tcp};

    #[test]
    fn texts_of_the_real_tool() {
        target_texts(
            &SPEC,
            ANY,
            &[
                ("", "", " LOG flags 0 level 4", " LOG level warn"),
                ("--log-level warning", "", " LOG flags 0 level 4", " LOG level warn"),
                (
                    "--log-level error",
                    " --log-level 3",
                    " LOG flags 0 level 3",
                    " LOG level err",
                ),
                (
                    "--log-level panic",
                    " --log-level 0",
                    " LOG flags 0 level 0",
                    " LOG level emerg",
                ),
                (
                    "--log-level 0x7",
                    " --log-level 7",
                    " LOG flags 0 level 7",
                    " LOG level debug",
                ),
                (
                    "--log-prefix \"hello: \"",
                    " --log-prefix \"hello: \"",
                    " LOG flags 0 level 4 prefix \"hello: \"",
                    " LOG level warn prefix \"hello: \"",
                ),
                (
                    "--log-prefix 123456789012345678901234567890",
                    " --log-prefix 12345678901234567890123456789",
                    " LOG flags 0 level 4 prefix \"12345678901234567890123456789\"",
                    " LOG level warn prefix \"12345678901234567890123456789\"",
                ),
                (
                    "--log-tcp-sequence --log-tcp-options --log-ip-options --log-uid --log-macdecode",
                    " --log-tcp-sequence --log-tcp-options --log-ip-options --log-uid --log-macdecode",
                    " LOG flags 47 level 4",
                    " LOG level warn tcp-sequence tcp-options ip-options uid macdecode",
                ),
                (
                    "--log-ip-options --log-prefix abc --log-level debug",
                    " --log-prefix abc --log-level 7 --log-ip-options",
                    " LOG flags 4 level 7 prefix \"abc\"",
                    " LOG level debug ip-options prefix \"abc\"",
                ),
            ],
        );
    }

    #[test]
    fn errors_of_the_real_tool() {
        target_errors(
            &SPEC,
            ANY,
            &[
                ("--log-level warn", "log level \"warn\" unknown\n"),
                ("--log-level 8", "log level \"8\" unknown\n"),
                ("--log-level 7x", "log level \"7x\" unknown\n"),
                ("--log-level \"\"", "log level \"\" unknown\n"),
                (
                    "--log-prefix \"\"",
                    "Argument must have a minimum length of 1 characters\n",
                ),
                ("--log-prefix \"a\nb\"", "Newlines not allowed in --log-prefix"),
                (
                    "--log-uid --log-uid",
                    "LOG: option \"--log-uid\" can only be used once.\n",
                ),
                ("! --log-prefix x", "LOG: option \"--log-prefix\" cannot be inverted.\n"),
            ],
        );
    }

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
