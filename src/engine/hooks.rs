//! The way of a packet as one table: which stages a hook has, in which order.
//!
//! Priorities are the kernel's: a lower one is asked first. `docs/hooks.txt` is this table, printed; a test holds them together.

use crate::nat::Manip;
use crate::rule::{Hook, Table};

/// What is done at one place of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Fragments are gathered, since a flow is known by the transport header that only the first one has.
    Defragment,
    Rules(Table),
    Track,
    Nat(Manip),
    /// Helpers read, sequence numbers are adjusted, and a new flow enters the table.
    Confirm,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Defragment => "defragment",
            Self::Rules(table) => table.name(),
            Self::Track => "conntrack",
            Self::Nat(Manip::Destination) => "nat (destination)",
            Self::Nat(Manip::Source) => "nat (source)",
            Self::Confirm => "helper, confirm",
        }
    }
}

/// Every hook with its stages and their priorities.
pub(crate) const HOOKS: &[(Hook, &[(i32, Stage)])] = &[
    (
        Hook::Prerouting,
        &[
            (-400, Stage::Defragment),
            (-300, Stage::Rules(Table::Raw)),
            (-200, Stage::Track),
            (-150, Stage::Rules(Table::Mangle)),
            (-100, Stage::Nat(Manip::Destination)),
        ],
    ),
    (
        Hook::Input,
        &[
            (-150, Stage::Rules(Table::Mangle)),
            (0, Stage::Rules(Table::Filter)),
            (50, Stage::Rules(Table::Security)),
            (100, Stage::Nat(Manip::Source)),
            (i32::MAX, Stage::Confirm),
        ],
    ),
    (
        Hook::Forward,
        &[
            (-150, Stage::Rules(Table::Mangle)),
            (0, Stage::Rules(Table::Filter)),
            (50, Stage::Rules(Table::Security)),
        ],
    ),
    (
        Hook::Output,
        &[
            (-400, Stage::Defragment),
            (-300, Stage::Rules(Table::Raw)),
            (-200, Stage::Track),
            (-150, Stage::Rules(Table::Mangle)),
            (-100, Stage::Nat(Manip::Destination)),
            (0, Stage::Rules(Table::Filter)),
            (50, Stage::Rules(Table::Security)),
        ],
    ),
    (
        Hook::Postrouting,
        &[
            (-150, Stage::Rules(Table::Mangle)),
            (100, Stage::Nat(Manip::Source)),
            (i32::MAX, Stage::Confirm),
        ],
    ),
];

/// The stages of a hook, in order.
pub(super) fn stages(hook: Hook) -> &'static [(i32, Stage)] {
    // In the order of `Hook`, which a test checks.
    HOOKS[hook as usize].1
}

/// Some stages of a hook, by their places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StageSet(u8);

impl StageSet {
    pub(super) fn of(hook: Hook, is_meant: impl Fn(Stage) -> bool) -> Self {
        let places = stages(hook).iter().enumerate();
        let meant = places.filter(|(_, (_, stage))| is_meant(*stage));
        Self(meant.fold(0, |set, (place, _)| set | 1 << place))
    }

    /// Those from a place on.
    #[inline]
    pub(super) fn from(self, place: usize) -> Self {
        Self(self.0 >> place << place)
    }
}

/// In order.
impl Iterator for StageSet {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let place = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (place < u8::BITS).then_some(place as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_in_order() {
        for (at, (hook, stages)) in HOOKS.iter().enumerate() {
            assert_eq!(Hook::ALL[at], *hook);
            assert!(stages.windows(2).all(|pair| pair[0].0 < pair[1].0), "{hook:?}");
            let all = StageSet::of(*hook, |_| true);
            for from in 0..stages.len() {
                assert!(all.from(from).eq(from..stages.len()), "{hook:?}");
            }
            assert_eq!(StageSet::of(*hook, |_| false).next(), None);
        }
        for table in Table::ALL {
            for hook in Hook::ALL {
                let asked = stages(hook).iter().any(|(_, stage)| match stage {
                    Stage::Rules(own) => *own == table,
                    Stage::Nat(_) => table == Table::Nat,
                    _ => false,
                });
                assert_eq!(asked, table.hooks().contains(&hook), "{table:?} at {hook:?}");
            }
        }
    }

    #[test]
    fn the_printed_table_is_true() {
        let mut printed = String::new();
        for (hook, stages) in HOOKS {
            printed.push_str(&format!("{}\n", hook.chain()));
            for (priority, stage) in *stages {
                let priority = if *priority == i32::MAX {
                    "last".to_owned()
                } else {
                    priority.to_string()
                };
                printed.push_str(&format!("  {priority:>5}  {}\n", stage.name()));
            }
        }
        assert_eq!(printed, include_str!("../../docs/hooks.txt"), "docs/hooks.txt is stale");
    }
}
