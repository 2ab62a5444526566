//! `-j CONNMARK`: sets bits of the mark of the packet's flow, or copies marks between the packet and its flow.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::mark_bits::{AND, MarkBits, OR, SET_MARK, SET_XMARK, XOR};
use crate::base::Family;
use crate::ext::drawn::{Drawn, MARKS, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, passes, refused, taken};
use crate::ext::{NeedsOne, TargetSpec};
use crate::rule::{
    Changes, Effect, Errno, HangsOn, Refusal, Scope, StateUse, Table, Target, TargetContext, TargetVerdict,
};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "CONNMARK",
    listed_as: "CONNMARK",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[
        SET_XMARK.spec,
        SET_MARK.spec,
        AND.spec,
        OR.spec,
        XOR.spec,
        SAVE.spec,
        RESTORE.spec,
        LEFT.spec,
        RIGHT.spec,
        CTMASK.spec,
        NFMASK.spec,
        MASK.spec,
    ],
    needs_one: Some(NeedsOne::Of {
        of: OPERATIONS,
        message: "CONNMARK target: No operation specified",
    }),
    exclusive: &[OPERATIONS, &[CTMASK.name(), MASK.name()], &[NFMASK.name(), MASK.name()]],
    build,
    unlist,
    about: "sets bits of the mark of the packet's flow, or copies marks between packet and flow",
    samples: SAMPLES,
};

const OPERATIONS: &[&str] = &[
    SET_MARK.name(),
    SAVE.name(),
    RESTORE.name(),
    AND.name(),
    OR.name(),
    XOR.name(),
    SET_XMARK.name(),
];

const SAVE: Opt<()> = Opt::flag("save-mark", "copy the packet's mark to the flow");
const RESTORE: Opt<()> = Opt::flag("restore-mark", "copy the flow's mark to the packet");
const LEFT: Opt<u64> = Opt::integer(
    "left-shift-mark",
    0,
    32,
    "shift what is written left by so many bits, 31 at most",
);
const RIGHT: Opt<u64> = Opt::integer(
    "right-shift-mark",
    0,
    32,
    "shift what is written right by so many bits, 31 at most",
);
const CTMASK: Opt<u64> = Opt::bits("ctmask", "copy from, or replace, these bits of the flow's mark only");
const NFMASK: Opt<u64> = Opt::bits("nfmask", "copy from, or replace, these bits of the packet's mark only");
const MASK: Opt<u64> = Opt::bits("mask", "both masks at once");

/// Seen: each option writes into the value as it is met, so of a mask and an operation that says a mask too the last one counts.
fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let bits = |option| given.value(option).unwrap_or_default() as u32;
    let mut made = Connmark {
        operation: Operation::Set,
        mark: 0,
        ctmask: u32::MAX,
        nfmask: u32::MAX,
        shift: Shift::Left(0),
    };
    for option in given.options {
        match option.spec.name {
            name if name == SAVE.name() => made.operation = Operation::Save,
            name if name == RESTORE.name() => made.operation = Operation::Restore,
            name if name == LEFT.name() => made.shift = Shift::Left(bits(LEFT)),
            name if name == RIGHT.name() => made.shift = Shift::Right(bits(RIGHT)),
            name if name == CTMASK.name() => made.ctmask = bits(CTMASK),
            name if name == NFMASK.name() => made.nfmask = bits(NFMASK),
            name if name == MASK.name() => (made.ctmask, made.nfmask) = (bits(MASK), bits(MASK)),
            _ => {
                if let Some(bits) = MarkBits::given(given) {
                    (made.mark, made.ctmask) = (bits.exclusive_or, bits.clear);
                }
            }
        }
    }
    Ok(Arc::new(made))
}

#[derive(Debug, PartialEq, Eq)]
struct Connmark {
    operation: Operation,
    mark: u32,
    ctmask: u32,
    nfmask: u32,
    shift: Shift,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Set,
    Save,
    Restore,
}

/// By less than 32 bits in a rule that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shift {
    Left(u32),
    Right(u32),
}

impl Shift {
    fn by(self) -> u32 {
        let (Self::Left(by) | Self::Right(by)) = self;
        by
    }

    fn of(self, mark: u32) -> u32 {
        match self {
            Self::Left(by) => mark.checked_shl(by).unwrap_or_default(),
            Self::Right(by) => mark.checked_shr(by).unwrap_or_default(),
        }
    }

    /// The option, where it does anything.
    fn option(self) -> Option<Opt<u64>> {
        match self {
            Self::Left(0) | Self::Right(0) => None,
            Self::Left(_) => Some(LEFT),
            Self::Right(_) => Some(RIGHT),
        }
    }
}

impl Connmark {
    fn operate(&self, of_flow: &mut u32, of_packet: &mut u32) {
        match self.operation {
            Operation::Set => *of_flow = self.shift.of(self.bits().apply(*of_flow)),
            Operation::Save => {
                let saved = self.shift.of(*of_packet & self.nfmask);
                *of_flow = (*of_flow & !self.ctmask) ^ saved;
            }
            Operation::Restore => {
                let restored = self.shift.of(*of_flow & self.ctmask);
                *of_packet = (*of_packet & !self.nfmask) ^ restored;
            }
        }
    }

    fn bits(&self) -> MarkBits {
        MarkBits {
            clear: self.ctmask,
            exclusive_or: self.mark,
        }
    }
}

impl Target for Connmark {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        if let Some(flow) = &cx.tracking.flow {
            self.operate(&mut flow.lock().mark, &mut cx.packet.mark);
        } else if let Some(template) = cx.tracking.template_in_place() {
            // One of its rule, for all packets: it is not inherited by their flows.
            let mut mark = template.mark.load(Ordering::Relaxed);
            self.operate(&mut mark, &mut cx.packet.mark);
            template.mark.store(mark, Ordering::Relaxed);
        }
        TargetVerdict::Continue
    }

    fn effect(&self) -> Effect {
        let effect = match self.operation {
            Operation::Set | Operation::Save => Effect::PURE.with_state(StateUse::Writes),
            Operation::Restore => Effect::PURE.with_state(StateUse::Reads).changing(Changes::MARK),
        };
        effect.of_its_flow().hanging_on(HangsOn::FlowMark)
    }

    fn save(&self, out: &mut String) {
        match self.operation {
            Operation::Set => self.bits().save(out),
            Operation::Save | Operation::Restore => {
                let option = if self.operation == Operation::Save {
                    SAVE
                } else {
                    RESTORE
                };
                let _ = write!(
                    out,
                    " {} {} {:#x} {} {:#x}",
                    option.spelled(false),
                    NFMASK.spelled(false),
                    self.nfmask,
                    CTMASK.spelled(false),
                    self.ctmask
                );
            }
        }
        if let Some(option) = self.shift.option() {
            let _ = write!(out, " {} {}", option.spelled(false), self.shift.by());
        }
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let Self { ctmask, nfmask, .. } = *self;
        out.push_str(" CONNMARK");
        match self.operation {
            Operation::Set => self.bits().list(out),
            Operation::Save => out.push_str(" save"),
            Operation::Restore => out.push_str(" restore"),
        }
        let _ = match self.operation {
            Operation::Set => Ok(()),
            _ if ctmask == nfmask && ctmask == u32::MAX => Ok(()),
            _ if ctmask == nfmask => write!(out, " mask {ctmask:#x}"),
            Operation::Save => write!(out, " nfmask {nfmask:#x} ctmask ~{ctmask:#x}"),
            Operation::Restore => write!(out, " ctmask {ctmask:#x} nfmask ~{nfmask:#x}"),
        };
        if let Some(option) = self.shift.option() {
            let _ = write!(out, " {} {}", option.name(), self.shift.by());
        }
    }

    fn needs_conntrack(&self) -> bool {
        true
    }

    fn check(&self, _scope: &Scope<'_>) -> Result<(), Refusal> {
        match self.shift.by() {
            ..32 => Ok(()),
            _ => Err(Refusal::unlogged(
                Errno::InvalidArgument,
                "CONNMARK: a mark has 32 bits: shift it by 31 at most",
            )),
        }
    }
}

/// ` CONNMARK save nfmask 0xff ctmask ~0xf0 left-shift-mark 3`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("CONNMARK")?;
        let mut options = Options::default();
        match it.peek()? {
            word @ ("save" | "restore") => {
                it.word(word)?;
                let option = if word == "save" { SAVE } else { RESTORE };
                options.push(false, option.name(), "");
                while let Some((_, name)) = it.option_of(&[MASK.name(), CTMASK.name(), NFMASK.name()]) {
                    options.push(false, name, it.take()?.trim_start_matches('~'));
                }
            }
            _ => MarkBits::unlist(it, &mut options)?,
        }
        if let Some((_, name)) = it.option_of(&[LEFT.name(), RIGHT.name()]) {
            options.push(false, name, it.take()?);
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("mangle", "FORWARD"),
    taken: &[
        taken("", "--set-mark 1", "--set-xmark 0x1/0xffffffff", "CONNMARK set 0x1"),
        taken("", "--set-mark 5/3", "--set-xmark 0x5/0x7", "CONNMARK xset 0x5/0x7"),
        taken("", "--set-xmark 5/0", "--set-xmark 0x5/0x0", "CONNMARK xor 0x5"),
        taken("", "--and-mark 0xff", "--set-xmark 0x0/0xffffff00", "CONNMARK and 0xff"),
        taken("", "--or-mark 0xff", "--set-xmark 0xff/0xff", "CONNMARK or 0xff"),
        taken("", "--xor-mark 0xff", "--set-xmark 0xff/0x0", "CONNMARK xor 0xff"),
        taken(
            "",
            "--save-mark",
            "--save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
            "CONNMARK save",
        ),
        taken(
            "",
            "--save-mark --mask 0xff",
            "--save-mark --nfmask 0xff --ctmask 0xff",
            "CONNMARK save mask 0xff",
        ),
        taken(
            "",
            "--nfmask 0xff --ctmask 0xf0 --save-mark",
            "--save-mark --nfmask 0xff --ctmask 0xf0",
            "CONNMARK save nfmask 0xff ctmask ~0xf0",
        ),
        taken(
            "",
            "--restore-mark",
            "--restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
            "CONNMARK restore",
        ),
        taken(
            "",
            "--restore-mark --ctmask 0xff",
            "--restore-mark --nfmask 0xffffffff --ctmask 0xff",
            "CONNMARK restore ctmask 0xff nfmask ~0xffffffff",
        ),
        taken(
            "",
            "--restore-mark --mask 0 --left-shift-mark 3",
            "--restore-mark --nfmask 0x0 --ctmask 0x0 --left-shift-mark 3",
            "CONNMARK restore mask 0x0 left-shift-mark 3",
        ),
        taken(
            "",
            "--left-shift-mark 1 --right-shift-mark 31 --save-mark --nfmask 7",
            "--save-mark --nfmask 0x7 --ctmask 0xffffffff --right-shift-mark 31",
            "CONNMARK save nfmask 0x7 ctmask ~0xffffffff right-shift-mark 31",
        ),
        taken(
            "",
            "--or-mark 1 --right-shift-mark 2",
            "--set-xmark 0x1/0x1 --right-shift-mark 2",
            "CONNMARK or 0x1 right-shift-mark 2",
        ),
        taken("", "--ctmask 3 --or-mark 1", "--set-xmark 0x1/0x1", "CONNMARK or 0x1"),
        taken(
            "",
            "--or-mark 1 --ctmask 3",
            "--set-xmark 0x1/0x3",
            "CONNMARK xset 0x1/0x3",
        ),
        // What is of no use is kept, and not printed.
        taken(
            "",
            "--set-mark 1/7 --mask 3",
            "--set-xmark 0x1/0x3",
            "CONNMARK xset 0x1/0x3",
        )
        .told_apart(),
        taken(
            "",
            "--nfmask 1 --set-mark 1",
            "--set-xmark 0x1/0xffffffff",
            "CONNMARK set 0x1",
        )
        .told_apart(),
        taken(
            "",
            "--xor-mark 1 --right-shift-mark 0",
            "--set-xmark 0x1/0x0",
            "CONNMARK xor 0x1",
        )
        .told_apart(),
    ],
    refused: &[
        refused("", "", "CONNMARK target: No operation specified"),
        refused("", "--mask 1 --nfmask 2", "CONNMARK target: No operation specified"),
        refused("", "--left-shift-mark 3", "CONNMARK target: No operation specified"),
        refused(
            "",
            "--set-mark x",
            "CONNMARK: bad integer value for option \"--set-mark\", or out of range.\n",
        ),
        refused(
            "",
            "--save-mark --mask x",
            "CONNMARK: bad value for option \"--mask\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--save-mark --left-shift-mark 33",
            "CONNMARK: bad value for option \"--left-shift-mark\", or out of range (0-32).\n",
        ),
        refused(
            "",
            "--save-mark --xor-mark 1 --restore-mark",
            "CONNMARK: option \"--xor-mark\" cannot be used together with \"--save-mark\".\n",
        ),
        refused(
            "",
            "--set-mark 1 --set-xmark 1 --save-mark",
            "CONNMARK: option \"--set-xmark\" cannot be used together with \"--set-mark\".\n",
        ),
        refused(
            "",
            "--save-mark --nfmask 1 --ctmask 2 --mask 3",
            "CONNMARK: option \"--ctmask\" cannot be used together with \"--mask\".\n",
        ),
        refused(
            "",
            "--save-mark --mask 1 --nfmask 2",
            "CONNMARK: option \"--nfmask\" cannot be used together with \"--mask\".\n",
        ),
        refused(
            "",
            "! --save-mark",
            "CONNMARK: option \"--save-mark\" cannot be inverted.\n",
        ),
        refused(
            "",
            "--save-mark --save-mark",
            "CONNMARK: option \"--save-mark\" can only be used once.\n",
        ),
    ],
    packets: &[passes("", "--set-mark 1", DATAGRAM)],
    spellings: &[
        "-j CONNMARK --set-mark 1",
        "-j CONNMARK --set-xmark 1",
        "-j CONNMARK --set-xmark 1 --left-shift-mark 0",
        "-j CONNMARK --set-xmark 1 --right-shift-mark 0",
        "-j CONNMARK --or-mark 1",
        "-j CONNMARK --set-mark 1/1",
        "-j CONNMARK --set-mark 1 --mask 1",
        "-j CONNMARK --mask 1 --set-mark 1",
        "-j CONNMARK --set-mark 1 --ctmask 1",
        "-j CONNMARK --set-mark 1 --nfmask 1",
        "-j CONNMARK --save-mark",
        "-j CONNMARK --save-mark --mask 0xffffffff",
        "-j CONNMARK --save-mark --mask 1",
        "-j CONNMARK --save-mark --nfmask 1 --ctmask 1",
        "-j CONNMARK --restore-mark",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match place.table {
        _ if !place.may_track => 0,
        Table::Mangle => 30,
        Table::Security | Table::Nat | Table::Filter => 8,
        Table::Raw => 3,
    },
    |draw| {
        let bits = ["0", "1", "4", "0xfe", "0xffffffff", "0x80000000"];
        match draw.below(7) {
            0 => draw.give_one(&SET_MARK.spec, MARKS),
            1 => draw.give_one(&SET_XMARK.spec, MARKS),
            2 => draw.give_one(&OR.spec, &bits),
            3 => draw.give_one(&AND.spec, &bits),
            4 => draw.give_one(&XOR.spec, &bits),
            5 => draw.give(&SAVE.spec, ""),
            _ => draw.give(&RESTORE.spec, ""),
        }
        match draw.below(6) {
            0 => draw.give_one(&MASK.spec, &bits),
            1 => draw.give_one(&CTMASK.spec, &bits),
            2 => draw.give_one(&NFMASK.spec, &bits),
            3 => {
                draw.give_one(&NFMASK.spec, &bits);
                draw.give_one(&CTMASK.spec, &bits);
            }
            _ => {}
        }
        draw.maybe(5, &LEFT.spec, &["1", "7", "31", "0"]);
        draw.maybe(5, &RIGHT.spec, &["1", "7", "31", "0"]);
    },
)
.in_one_scenario_of(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, read_target, target_places, udp};
    use crate::rule::Hook;

    /// The packet's mark is 0xf0 and the flow's 0x0f before.
    #[test]
    fn marks() {
        for (typed, packet, flow) in [
            ("--set-mark 5/3", 0xf0, 0x0d),
            ("--set-xmark 5/3", 0xf0, 0x09),
            ("--and-mark 0x3c", 0xf0, 0x0c),
            ("--or-mark 0x30", 0xf0, 0x3f),
            ("--xor-mark 0xff", 0xf0, 0xf0),
            ("--xor-mark 0xff --left-shift-mark 4", 0xf0, 0xf00),
            ("--save-mark", 0xf0, 0xf0),
            ("--save-mark --mask 0x30", 0xf0, 0x3f),
            // What is copied is flipped where the flow's bits stay.
            (
                "--save-mark --nfmask 0x90 --ctmask 0x1 --right-shift-mark 4",
                0xf0,
                0x07,
            ),
            ("--restore-mark", 0x0f, 0x0f),
            ("--restore-mark --ctmask 0x3 --nfmask 0x80", 0x73, 0x0f),
            ("--restore-mark --left-shift-mark 4 --mask 0x0c", 0x30, 0x0f),
        ] {
            let mut bench = Bench::new();
            let mut asked = udp(1000, 53, &[]);
            bench.track(&mut asked);
            asked.mark = 0xf0;
            let tracked = Arc::clone(bench.tracking.flow.as_ref().unwrap());
            tracked.lock().mark = 0x0f;
            let made = read_target(&SPEC, ANY, typed).unwrap();
            assert_eq!(bench.apply(made.as_ref(), &mut asked), TargetVerdict::Continue);
            assert_eq!((asked.mark, tracked.lock().mark), (packet, flow), "{typed}");
        }
    }

    #[test]
    fn without_a_flow_nothing_is_marked() {
        for typed in ["--set-mark 1", "--save-mark", "--restore-mark"] {
            let mut bench = Bench::new();
            let mut packet = udp(1, 2, &[]);
            packet.mark = 0xf0;
            let made = read_target(&SPEC, ANY, typed).unwrap();
            assert_eq!(bench.apply(made.as_ref(), &mut packet), TargetVerdict::Continue);
            assert_eq!(packet.mark, 0xf0, "{typed}");
            assert!(made.needs_conntrack());
        }
    }

    #[test]
    fn a_mark_is_shifted_by_less_than_its_bits() {
        let by = "CONNMARK: a mark has 32 bits: shift it by 31 at most";
        for (typed, said) in [
            ("--save-mark --left-shift-mark 31", ""),
            ("--save-mark --left-shift-mark 32", by),
            ("--set-mark 1 --right-shift-mark 32", by),
        ] {
            target_places(&SPEC, ANY, typed, &[(Table::Mangle, &[Hook::Forward], said)]);
        }
    }
}
