//! `-j MARK`: sets bits of the packet's mark.

use std::sync::Arc;

use super::mark_bits::{AND, MarkBits, OR, SET_MARK, SET_XMARK, XOR};
use crate::base::Family;
use crate::ext::drawn::{Drawn, MARKS, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, UsageError};
use crate::ext::samples::{Samples, refused, taken};
use crate::ext::{NeedsOne, TargetSpec};
use crate::rule::{Changes, Effect, HangsOn, Table, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "MARK",
    listed_as: "MARK",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[SET_XMARK.spec, SET_MARK.spec, AND.spec, OR.spec, XOR.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: "MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required",
    }),
    exclusive: &[&[SET_XMARK.name(), SET_MARK.name(), AND.name(), OR.name(), XOR.name()]],
    build,
    unlist,
    about: "sets bits of the packet's mark",
    samples: SAMPLES,
};

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    // The spec asks for one of them.
    let bits = MarkBits::given(given).unwrap_or(MarkBits {
        clear: 0,
        exclusive_or: 0,
    });
    Ok(Arc::new(Mark { bits }))
}

#[derive(Debug, PartialEq, Eq)]
struct Mark {
    bits: MarkBits,
}

impl Target for Mark {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        cx.packet.mark = self.bits.apply(cx.packet.mark);
        TargetVerdict::Continue
    }

    fn effect(&self) -> Effect {
        Effect::PURE.changing(Changes::MARK).hanging_on(HangsOn::Plain)
    }

    fn save(&self, out: &mut String) {
        self.bits.save(out);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" MARK");
        self.bits.list(out);
    }
}

/// ` MARK and 0xff`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("MARK")?;
        let mut options = Options::default();
        MarkBits::unlist(it, &mut options)?;
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
