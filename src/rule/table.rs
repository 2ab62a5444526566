//! The five tables, the five hooks, and which table has which.

/// In the order packets meet them at a hook that has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Asked before tracking, so that a rule can keep packets from it.
    Raw,
    /// For edits of packets and their marks; the only one with a chain at every hook.
    Mangle,
    /// Asked once a flow, by the packet that opens it.
    Nat,
    /// Where packets are let through or not; the table that is meant without `-t`.
    Filter,
    /// For marks of mandatory access control, behind filter.
    Security,
}

impl Table {
    /// In the order in which packets meet them.
    pub const ALL: [Self; 5] = [Self::Raw, Self::Mangle, Self::Nat, Self::Filter, Self::Security];

    /// As `-t` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
            Self::Filter => "filter",
            Self::Security => "security",
        }
    }

    /// The inverse of [`Self::name`]; no other spelling is taken.
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
    /// A packet came in, and nobody knows yet where it goes.
    Prerouting,
    /// It is for the router itself.
    Input,
    /// It goes out by an interface again.
    Forward,
    /// The router made it.
    Output,
    /// It is about to go out, whoever made it.
    Postrouting,
}

impl Hook {
    /// In the order of a packet's way.
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
    /// No hook.
    pub const EMPTY: Self = Self(0);

    /// These hooks.
    pub const fn of(hooks: &[Hook]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < hooks.len() {
            bits |= 1 << hooks[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// Puts one in.
    pub fn insert(&mut self, hook: Hook) {
        self.0 |= 1 << hook as u8;
    }

    /// Whether this hook is in it.
    pub fn contains(self, hook: Hook) -> bool {
        self.0 & (1 << hook as u8) != 0
    }

    /// True when every hook of `self` is in `other`.
    pub fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The hooks of both.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_hooks_has_those_that_were_put_in() {
        let forward_and_output = HookSet::of(&[Hook::Forward, Hook::Output]);
        for hook in Hook::ALL {
            assert!(!HookSet::EMPTY.contains(hook) && HookSet::of(&Hook::ALL).contains(hook));
            let mut alone = HookSet::EMPTY;
            alone.insert(hook);
            assert_eq!(Hook::ALL.map(|it| alone.contains(it)), Hook::ALL.map(|it| it == hook));
            let is_one_of_them = matches!(hook, Hook::Forward | Hook::Output);
            assert_eq!(forward_and_output.contains(hook), is_one_of_them, "{hook:?}");
            assert_eq!(alone.within(forward_and_output), is_one_of_them, "{hook:?}");
            assert!(!forward_and_output.within(alone) && HookSet::EMPTY.within(alone));
        }
    }
}
