//! The five tables, the five hooks, and which table has which.

/// In the order packets meet them at a hook that has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    Raw,
    Mangle,
    Nat,
    Filter,
    Security,
}

impl Table {
    pub const ALL: [Self; 5] = [Self::Raw, Self::Mangle, Self::Nat, Self::Filter, Self::Security];

    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
            Self::Filter => "filter",
            Self::Security => "security",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// The hooks this table has a built-in chain for, in hook order.
    pub fn hooks(self) -> &'static [Hook] {
        use Hook::*;
        match self {
            Self::Raw => &[Prerouting, Output],
            Self::Mangle => &[Prerouting, Input, Forward, Output, Postrouting],
            Self::Nat => &[Prerouting, Input, Output, Postrouting],
            Self::Filter | Self::Security => &[Input, Forward, Output],
        }
    }
}

/// Where in a packet's way rules are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
}

impl Hook {
    pub const ALL: [Self; 5] = [
        Self::Prerouting,
        Self::Input,
        Self::Forward,
        Self::Output,
        Self::Postrouting,
    ];

    /// The name of the built-in chain at this hook.
    pub fn chain(self) -> &'static str {
        match self {
            Self::Prerouting => "PREROUTING",
            Self::Input => "INPUT",
            Self::Forward => "FORWARD",
            Self::Output => "OUTPUT",
            Self::Postrouting => "POSTROUTING",
        }
    }
}

/// A set of hooks: those from which a rule can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HookSet(u8);

impl HookSet {
    pub const EMPTY: Self = Self(0);

    pub const fn of(hooks: &[Hook]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < hooks.len() {
            bits |= 1 << hooks[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    pub fn insert(&mut self, hook: Hook) {
        self.0 |= 1 << hook as u8;
    }

    pub fn contains(self, hook: Hook) -> bool {
        self.0 & (1 << hook as u8) != 0
    }

    /// True when every hook of `self` is in `other`.
    pub fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
