//! `-j MARK`: sets bits of the packet's mark.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::{Family, MarkMask};
use crate::ext::drawn::{Drawn, MARKS, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, UsageError};
use crate::ext::samples::{Samples, refused, taken};
use crate::ext::{NeedsOne, TargetSpec};
use crate::rule::{Table, Target, TargetContext, TargetVerdict};

pub const SPEC: TargetSpec = TargetSpec {
    name: "MARK",
    listed_as: "MARK",
    families: &[Family::V4, Family::V6],
    options: &[SET_XMARK.spec, SET_MARK.spec, AND.spec, OR.spec, XOR.spec],
    needs_one: Some(NeedsOne {
        of: &[],
        message: "MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required",
    }),
    exclusive: &[&[SET_XMARK.name(), SET_MARK.name(), AND.name(), OR.name(), XOR.name()]],
    build,
    unlist,
    about: "sets bits of the packet's mark",
    samples: SAMPLES,
};

const SET_XMARK: Opt<MarkMask> = Opt::mark("set-xmark", "clear the bits of the mask, then exclusive-or the value");
const SET_MARK: Opt<MarkMask> = Opt::mark("set-mark", "clear the bits of the mask, then set those of the value");
const AND: Opt<u64> = bits("and-mark", "keep these bits only");
const OR: Opt<u64> = bits("or-mark", "set these bits");
const XOR: Opt<u64> = bits("xor-mark", "flip these bits");

const fn bits(name: &'static str, help: &'static str) -> Opt<u64> {
    Opt::integer(name, 0, u32::MAX as u64, help)
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let bits = |option| given.value(option).map(|bits| bits as u32);
    let (clear, exclusive_or) = match () {
        _ if let Some(mark) = given.value(SET_XMARK) => (mark.mask, mark.value),
        _ if let Some(mark) = given.value(SET_MARK) => (mark.mask | mark.value, mark.value),
        _ if let Some(bits) = bits(AND) => (!bits, 0),
        _ if let Some(bits) = bits(OR) => (bits, bits),
        _ => (0, bits(XOR).unwrap_or_default()),
    };
    Ok(Arc::new(Mark { clear, exclusive_or }))
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
        let _ = write!(
            out,
            " {} {:#x}/{:#x}",
            SET_XMARK.spelled(false),
            self.exclusive_or,
            self.clear
        );
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
            "and" => AND.name(),
            "or" => OR.name(),
            "xor" => XOR.name(),
            "set" | "xset" => SET_XMARK.name(),
            _ => return None,
        };
        let mut options = Options::default();
        options.push(false, option, it.take()?);
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("mangle", "FORWARD"),
    taken: &[
        taken("", "--set-mark 1", "--set-xmark 0x1/0xffffffff", "MARK set 0x1"),
        taken("", "--set-mark 1/3", "--set-xmark 0x1/0x3", "MARK xset 0x1/0x3"),
        taken("", "--set-mark 5/3", "--set-xmark 0x5/0x7", "MARK xset 0x5/0x7"),
        taken("", "--set-xmark 1/2", "--set-xmark 0x1/0x2", "MARK xset 0x1/0x2"),
        taken("", "--set-xmark 5/0", "--set-xmark 0x5/0x0", "MARK xor 0x5"),
        taken("", "--set-xmark 0/0xff", "--set-xmark 0x0/0xff", "MARK and 0xffffff00"),
        taken("", "--and-mark 0xff", "--set-xmark 0x0/0xffffff00", "MARK and 0xff"),
        taken("", "--or-mark 0xff", "--set-xmark 0xff/0xff", "MARK or 0xff"),
        taken("", "--xor-mark 0xff", "--set-xmark 0xff/0x0", "MARK xor 0xff"),
        taken("", "--or-mark 0", "--set-xmark 0x0/0x0", "MARK and 0xffffffff"),
        taken("", "--set-mark 0", "--set-xmark 0x0/0xffffffff", "MARK and 0x0"),
    ],
    refused: &[
        refused(
            "",
            "",
            "MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required",
        ),
        refused(
            "",
            "--xor-mark 0xff/1",
            "MARK: bad value for option \"--xor-mark\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--and-mark 4294967296",
            "MARK: bad value for option \"--and-mark\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--set-mark x",
            "MARK: bad integer value for option \"--set-mark\", or out of range.\n",
        ),
        refused(
            "",
            "--set-mark 1x",
            "MARK: trailing garbage after value for option \"--set-mark\".\n",
        ),
        refused(
            "",
            "--set-mark 1 --or-mark 2",
            "MARK: option \"--set-mark\" cannot be used together with \"--or-mark\".\n",
        ),
        refused(
            "",
            "--set-mark 1 --set-xmark 2",
            "MARK: option \"--set-xmark\" cannot be used together with \"--set-mark\".\n",
        ),
        refused(
            "",
            "--set-mark 1 --set-mark 2",
            "MARK: option \"--set-mark\" can only be used once.\n",
        ),
        refused(
            "",
            "--set-mark 1 --or-mark 2 --or-mark 3",
            "MARK: option \"--or-mark\" can only be used once.\n",
        ),
        refused(
            "",
            "! --set-mark 1",
            "MARK: option \"--set-mark\" cannot be inverted.\n",
        ),
    ],
    packets: &[],
    spellings: &[
        "-j MARK --set-mark 1",
        "-j MARK --set-xmark 1",
        "-j MARK --set-xmark 1/0xffffffff",
        "-j MARK --or-mark 1",
        "-j MARK --set-xmark 1/1",
        "-j MARK --and-mark 1",
        "-j MARK --xor-mark 1",
        "-j MARK --set-mark 1/1",
        "-j MARK --set-mark 0x1",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match place.table {
        Table::Mangle => 33,
        Table::Security => 8,
        Table::Nat => 6,
        Table::Raw | Table::Filter => 5,
    },
    |draw| {
        let bits = ["0", "1", "4", "0xfe", "0xffffffff", "0x80000000"];
        match draw.below(6) {
            0 => draw.give_one(&SET_MARK.spec, MARKS),
            1 => draw.give_one(&SET_XMARK.spec, MARKS),
            2 => draw.give_one(&OR.spec, &bits),
            3 => draw.give_one(&AND.spec, &bits),
            4 => draw.give_one(&XOR.spec, &bits),
            _ => draw.give(&SET_MARK.spec, "1"),
        }
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, read_target, udp};

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
