//! `-j MARK`: sets bits of the packet's mark.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, OptionSpec, UsageError, Value, ValueKind};
use crate::ext::{NeedsOne, TargetSpec};
use crate::rule::{Target, TargetContext, TargetVerdict};

pub const SPEC: TargetSpec = TargetSpec {
    name: "MARK",
    listed_as: "MARK",
    families: &[Family::V4, Family::V6],
    options: &[
        OptionSpec {
            name: "set-xmark",
            value: ValueKind::MarkMask,
            excludes: &["set-mark", "and-mark", "or-mark", "xor-mark"],
            help: "clear the bits of the mask, then exclusive-or the value",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "set-mark",
            value: ValueKind::MarkMask,
            excludes: &["set-xmark", "and-mark", "or-mark", "xor-mark"],
            help: "clear the bits of the mask, then set those of the value",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "and-mark",
            value: BITS,
            excludes: &["set-xmark", "set-mark", "or-mark", "xor-mark"],
            help: "keep these bits only",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "or-mark",
            value: BITS,
            excludes: &["set-xmark", "set-mark", "and-mark", "xor-mark"],
            help: "set these bits",
            ..OptionSpec::PLAIN
        },
        OptionSpec {
            name: "xor-mark",
            value: BITS,
            excludes: &["set-xmark", "set-mark", "and-mark", "or-mark"],
            help: "flip these bits",
            ..OptionSpec::PLAIN
        },
    ],
    needs_one: Some(NeedsOne {
        of: &["set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark"],
        message: "MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required",
    }),
    build,
    unlist,
    about: "sets bits of the packet's mark",
};

const BITS: ValueKind = ValueKind::Integer {
    min: 0,
    max: u32::MAX as u64,
};

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let mut made = Mark {
        clear: 0,
        exclusive_or: 0,
    };
    for option in given.options {
        (made.clear, made.exclusive_or) = match (option.spec.name, &option.value) {
            ("set-xmark", Value::MarkMask(mark)) => (mark.mask, mark.value),
            ("set-mark", Value::MarkMask(mark)) => (mark.mask | mark.value, mark.value),
            ("and-mark", Value::Integer(bits)) => (!(*bits as u32), 0),
            ("or-mark", Value::Integer(bits)) => (*bits as u32, *bits as u32),
            ("xor-mark", Value::Integer(bits)) => (0, *bits as u32),
            _ => continue,
        };
    }
    Ok(Arc::new(made))
}

#[derive(Debug, PartialEq, Eq)]
struct Mark {
    clear: u32,
    exclusive_or: u32,
}

impl Target for Mark {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        cx.packet.mark = (cx.packet.mark & !self.clear) ^ self.exclusive_or;
        TargetVerdict::Continue
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " --set-xmark {:#x}/{:#x}", self.exclusive_or, self.clear);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let (value, mask) = (self.exclusive_or, self.clear);
        let _ = match () {
            _ if value == 0 => write!(out, " MARK and {:#x}", !mask),
            _ if value == mask => write!(out, " MARK or {value:#x}"),
            _ if mask == 0 => write!(out, " MARK xor {value:#x}"),
            _ if mask == u32::MAX => write!(out, " MARK set {value:#x}"),
            _ => write!(out, " MARK xset {value:#x}/{mask:#x}"),
        };
    }
}

/// ` MARK and 0xff`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("MARK")?;
        let option = match it.take()? {
            "and" => "and-mark",
            "or" => "or-mark",
            "xor" => "xor-mark",
            "set" | "xset" => "set-xmark",
            _ => return None,
        };
        let mut options = Options::default();
        options.push(false, option, it.take()?);
        Some(options)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, read_target, target_errors, target_texts, udp};

    #[test]
    fn texts_of_the_real_tool() {
        let case = |typed, saved, listed| (typed, saved, listed, listed);
        target_texts(
            &SPEC,
            ANY,
            &[
                case("--set-mark 1", " --set-xmark 0x1/0xffffffff", " MARK set 0x1"),
                case("--set-mark 1/3", " --set-xmark 0x1/0x3", " MARK xset 0x1/0x3"),
                case("--set-mark 5/3", " --set-xmark 0x5/0x7", " MARK xset 0x5/0x7"),
                case("--set-xmark 1/2", " --set-xmark 0x1/0x2", " MARK xset 0x1/0x2"),
                case("--set-xmark 5/0", " --set-xmark 0x5/0x0", " MARK xor 0x5"),
                case("--set-xmark 0/0xff", " --set-xmark 0x0/0xff", " MARK and 0xffffff00"),
                case("--and-mark 0xff", " --set-xmark 0x0/0xffffff00", " MARK and 0xff"),
                case("--or-mark 0xff", " --set-xmark 0xff/0xff", " MARK or 0xff"),
                case("--xor-mark 0xff", " --set-xmark 0xff/0x0", " MARK xor 0xff"),
                case("--or-mark 0", " --set-xmark 0x0/0x0", " MARK and 0xffffffff"),
                case("--set-mark 0", " --set-xmark 0x0/0xffffffff", " MARK and 0x0"),
            ],
        );
    }

    #[test]
    fn errors_of_the_real_tool() {
        target_errors(
            &SPEC,
            ANY,
            &[
                (
                    "",
                    "MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required",
                ),
                (
                    "--xor-mark 0xff/1",
                    "MARK: bad value for option \"--xor-mark\", or out of range (0-4294967295).\n",
                ),
                (
                    "--and-mark 4294967296",
                    "MARK: bad value for option \"--and-mark\", or out of range (0-4294967295).\n",
                ),
                (
                    "--set-mark x",
                    "MARK: bad integer value for option \"--set-mark\", or out of range.\n",
                ),
                (
                    "--set-mark 1x",
                    "MARK: trailing garbage after value for option \"--set-mark\".\n",
                ),
                (
                    "--set-mark 1 --or-mark 2",
                    "MARK: option \"--set-mark\" cannot be used together with \"--or-mark\".\n",
                ),
                (
                    "--set-mark 1 --set-xmark 2",
                    "MARK: option \"--set-xmark\" cannot be used together with \"--set-mark\".\n",
                ),
                (
                    "--set-mark 1 --set-mark 2",
                    "MARK: option \"--set-mark\" can only be used once.\n",
                ),
                (
                    "--set-mark 1 --or-mark 2 --or-mark 3",
                    "MARK: option \"--or-mark\" can only be used once.\n",
                ),
                ("! --set-mark 1", "MARK: option \"--set-mark\" cannot be inverted.\n"),
            ],
        );
    }

    #[test]
    fn bits() {
        let mut bench = Bench::new();
        for (typed, before, after) in [
            ("--set-mark 5/3", 0xf0, 0xf5),
            ("--set-xmark 5/3", 0xf4, 0xf1),
            ("--and-mark 0x3c", 0xff, 0x3c),
            ("--or-mark 0x3", 0xf0, 0xf3),
            ("--xor-mark 0xff", 0xf0, 0x0f),
        ] {
            let mut packet = udp(1, 2, &[]);
            packet.mark = before;
            let made = read_target(&SPEC, ANY, typed).unwrap();
            assert_eq!(bench.apply(made.as_ref(), &mut packet), TargetVerdict::Continue);
            assert_eq!(packet.mark, after, "{typed}");
        }
    }
}
