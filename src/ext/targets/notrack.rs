//! `-j NOTRACK`: keeps the packet out of tracking. The kernel has it as CT with a flag that keeps the old name for printing, so a rule with one
//! is not the same as a rule with `CT --notrack`.

use std::sync::Arc;

use super::ct::leave_untracked;
use crate::base::Family;
use crate::ext::TargetSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::place::only_table;
use crate::ext::samples::{Samples, taken};
use crate::rule::{Changes, Effect, Refusal, Scope, Table, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "NOTRACK",
    listed_as: "CT",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[],
    needs_one: None,
    exclusive: &[],
    build: |_| Ok(Arc::new(Notrack)),
    unlist,
    about: "keeps the packet out of connection tracking",
    samples: SAMPLES,
};

#[derive(Debug, PartialEq, Eq)]
struct Notrack;

impl Target for Notrack {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn kernel_name(&self) -> &'static str {
        "CT"
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        leave_untracked(cx.tracking);
        TargetVerdict::Continue
    }

    fn effect(&self) -> Effect {
        Effect::PURE.changing(Changes::TRACKING)
    }

    fn save(&self, _out: &mut String) {}

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" NOTRACK");
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, "CT target", Table::Raw)
    }
}

/// ` NOTRACK`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("NOTRACK")?;
        Some(Options::default())
    })
}

const SAMPLES: Samples = Samples {
    place: ("raw", "PREROUTING"),
    taken: &[taken("", "", "", "NOTRACK")],
    refused: &[],
    packets: &[],
    spellings: &["-j NOTRACK"],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(|place| if place.table == Table::Raw { 5 } else { 0 }, |_| {}).blunt();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::CtState;
    use crate::ext::targets::ct;
    use crate::ext::testing::{ANY, Bench, read_target, target_places, udp};
    use crate::rule::Hook;

    #[test]
    fn places() {
        target_places(
            &SPEC,
            ANY,
            "",
            &[
                (Table::Raw, &[Hook::Prerouting], ""),
                (
                    Table::Mangle,
                    &[Hook::Prerouting],
                    "x_tables: ip_tables: CT target: only valid in raw table, not mangle",
                ),
            ],
        );
        // The kernel does not start to track because of it.
        assert!(!read_target(&SPEC, ANY, "").unwrap().needs_conntrack());
    }

    #[test]
    fn is_not_ct_by_another_name() {
        let own = read_target(&SPEC, ANY, "").unwrap();
        let other = read_target(&ct::SPEC, ANY, "--notrack").unwrap();
        assert!(!own.equals(other.as_ref()));
    }

    #[test]
    fn what_was_tracked_stays_tracked() {
        let mut bench = Bench::new();
        let made = read_target(&SPEC, ANY, "").unwrap();
        assert_eq!(bench.apply(made.as_ref(), &mut udp(1, 2, &[])), TargetVerdict::Continue);
        assert_eq!(bench.tracking.state, Some(CtState::Untracked));
        bench.tracking.state = Some(CtState::Established);
        bench.apply(made.as_ref(), &mut udp(1, 2, &[]));
        assert_eq!(bench.tracking.state, Some(CtState::Established));
    }
}
