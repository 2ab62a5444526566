//! What SNAT and DNAT share: the flow gets an address and a port out of what was typed.

use std::sync::Arc;

use super::nat_range;
use crate::ext::TargetSpec;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt};
use crate::nat::{Manip, NatRange};
use crate::rule::{Effect, Hook, Refusal, Scope, Target, TargetContext, TargetVerdict};

/// Which of the two it is.
#[derive(Debug)]
pub(super) struct End {
    pub spec: &'static TargetSpec,
    pub to: Opt<NatRange>,
    pub manip: Manip,
    pub hooks: &'static [Hook],
}

impl End {
    pub(super) fn build(&'static self, given: &Given<'_>) -> Arc<dyn Target> {
        Arc::new(ToAddresses {
            end: self,
            range: nat_range::of(given, self.to),
        })
    }

    /// ` to:1.2.3.4:80 random`.
    pub(super) fn unlist<'a>(&self, listed: Listed<'a>) -> Vec<Typed<'a>> {
        listed.once(|it| {
            let mut options = Options::default();
            options.push(false, self.to.name(), it.after("to:")?);
            nat_range::unlist_flags(it, &mut options);
            Some(options)
        })
    }
}

#[derive(Debug)]
struct ToAddresses {
    end: &'static End,
    range: NatRange,
}

impl PartialEq for ToAddresses {
    fn eq(&self, other: &Self) -> bool {
        self.end.manip == other.end.manip && self.range == other.range
    }
}

impl Target for ToAddresses {
    fn name(&self) -> &'static str {
        self.end.spec.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        cx.services.nat(cx.packet, cx.tracking, &self.range, self.end.manip)
    }

    fn effect(&self) -> Effect {
        nat_range::EFFECT
    }

    fn save(&self, out: &mut String) {
        out.push_str(&format!(" {} ", self.end.to.spelled(false)));
        nat_range::write_to(out, &self.range);
        nat_range::save_flags(out, &self.range);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" to:");
        nat_range::write_to(out, &self.range);
        nat_range::list_flags(out, &self.range);
    }

    fn needs_conntrack(&self) -> bool {
        true
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        nat_range::check(scope, self.name(), self.end.hooks)
    }
}
