//! What asking a match or applying a target does beside its answer: what may be left out, put off or kept for the next packet of a flow.

use std::fmt;

/// What a match or a target may do. Each part may say more than is so, never less: [`Effect::UNKNOWN`] is always right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What it has to do with state.
    pub state: StateUse,
    /// Whose state that is.
    pub reach: Reach,
    /// Of the packet.
    pub changes: Changes,
    /// Whether the packet may end at it.
    pub ends: Ends,
    /// What its answer, or what it does, hangs on.
    pub hangs_on: HangsOn,
}

impl Effect {
    /// Anything.
    pub const UNKNOWN: Self = Self {
        state: StateUse::Writes,
        reach: Reach::Others,
        changes: Changes::ALL,
        ends: Ends::Perhaps,
        hangs_on: HangsOn::Anything,
    };

    /// An answer, always the same for the same packet under the same configuration.
    pub const PURE: Self = Self {
        state: StateUse::None,
        reach: Reach::Flow,
        changes: Changes::NONE,
        ends: Ends::Never,
        hangs_on: HangsOn::Anything,
    };

    /// The same, with another use of state: of one in which packets of any flow meet.
    pub const fn with_state(mut self, state: StateUse) -> Self {
        self.state = state;
        if !matches!(state, StateUse::None) {
            self.reach = Reach::Others;
        }
        self
    }

    /// The same, where the state is that of the packet's own flow, or the kernel's log.
    pub const fn of_its_flow(mut self) -> Self {
        self.reach = Reach::Flow;
        self
    }

    /// The same, where packets of other flows are met by what comes of it.
    pub const fn of_others(mut self) -> Self {
        self.reach = Reach::Others;
        self
    }

    /// The same, with other changes of the packet.
    pub const fn changing(mut self, changes: Changes) -> Self {
        self.changes = changes;
        self
    }

    /// The same, where it hangs on no more than that.
    pub const fn hanging_on(mut self, what: HangsOn) -> Self {
        self.hangs_on = what;
        self
    }

    /// The same, with another word about the packet's end.
    pub const fn ending(mut self, ends: Ends) -> Self {
        self.ends = ends;
        self
    }
}

/// State is what other packets or time change: what a rule remembers, what a flow does, tables of flows, the clock, draws, the log. What tracking
/// said of the packet when it came (its state, its way, both tuples) is the packet's own, and so is what NAT decided of its flow; addresses and
/// routes stay as they are until the packet is through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateUse {
    /// The same packet has the same answer whenever it is asked.
    None,
    /// Its answer may be another the next time.
    Reads,
    /// Something is another for those that come after: it may neither be left out nor be done twice.
    Writes,
}

/// Which packets may meet in the state: where none but those of one flow do, flows may pass in any order, and each packet has the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Those of the same flow alone. The kernel's log, which no packet asks, counts as nobody's.
    Flow,
    /// Any.
    Others,
}

/// What packets have to have in common to be the same to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HangsOn {
    /// Addresses, ports and service of a packet that is whole and has no options; its mark and its interfaces; its flow and its way in it, what
    /// NAT decided and what tracking called the packet; the configuration.
    Plain,
    /// That, and the mark of its flow. If it writes anything of a flow, it is this.
    FlowMark,
    /// What packets of one flow may differ in: TCP's flags, lengths, times to live, what the transport carries; the clock, and all else.
    Anything,
}

/// Whether the packet goes on behind it: of a match, whether it may drop it as malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The packet goes on.
    Never,
    /// It may end here.
    Perhaps,
    /// It ends here.
    Always,
}

/// Parts of a packet, and of what it carries of tracking.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Changes(u8);

impl Changes {
    /// No part.
    pub const NONE: Self = Self(0);
    /// The source address.
    pub const SOURCE: Self = Self(1 << 0);
    /// The destination address.
    pub const DESTINATION: Self = Self(1 << 1);
    /// All of the network header but the addresses.
    pub const NETWORK_HEADER: Self = Self(1 << 2);
    /// All that follows the network header.
    pub const TRANSPORT: Self = Self(1 << 3);
    /// All bytes of the packet.
    pub const BYTES: Self = Self((1 << 4) - 1);
    /// The packet's mark.
    pub const MARK: Self = Self(1 << 4);
    /// Where it came in, and where it goes out.
    pub const INTERFACES: Self = Self(1 << 5);
    /// State and flow of the packet, and what NAT decided of the flow.
    pub const TRACKING: Self = Self(1 << 6);
    /// Every part.
    pub const ALL: Self = Self((1 << 7) - 1);

    /// The parts of both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True where some part is in both.
    pub const fn touches(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True where every part is in `other` too.
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.iter().filter(|(part, _)| self.touches(*part));
        f.debug_set().entries(names.map(|(_, name)| name)).finish()
    }
}

const NAMES: [(Changes, &str); 7] = [
    (Changes::SOURCE, "source"),
    (Changes::DESTINATION, "destination"),
    (Changes::NETWORK_HEADER, "network header"),
    (Changes::TRANSPORT, "transport"),
    (Changes::MARK, "mark"),
    (Changes::INTERFACES, "interfaces"),
    (Changes::TRACKING, "tracking"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_apart_and_together_they_are_all() {
        let parts = NAMES.map(|(part, _)| part);
        for (at, one) in parts.iter().enumerate() {
            for (other_at, other) in parts.iter().enumerate() {
                assert_eq!(one.touches(*other), at == other_at, "{one:?} and {other:?}");
                assert_eq!(one.within(*other), at == other_at, "{one:?} and {other:?}");
                let both = one.and(*other);
                assert!(one.within(both) && other.within(both) && both.touches(*one));
            }
            assert!(!one.touches(Changes::NONE) && Changes::NONE.within(*one) && one.within(Changes::ALL));
            assert_eq!(one.within(Changes::BYTES), at < 4, "{one:?}");
        }
        let all = parts.into_iter().fold(Changes::NONE, Changes::and);
        assert_eq!(all, Changes::ALL);
        assert_eq!(
            format!("{:?}", Changes::SOURCE.and(Changes::MARK)),
            "{\"source\", \"mark\"}"
        );
    }
}
