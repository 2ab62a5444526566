//! What MASQUERADE and REDIRECT share: the flow gets an address that follows from its way, and a port out of what was typed.

use std::net::IpAddr;
use std::sync::Arc;

use super::nat_range;
use crate::base::AddressRange;
use crate::ext::TargetSpec;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt};
use crate::nat::{Manip, NatRange};
use crate::rule::{Effect, Hook, Refusal, Scope, Target, TargetContext, TargetVerdict};

/// Which of the two it is.
#[derive(Debug)]
pub(super) struct Way {
    pub spec: &'static TargetSpec,
    pub to: Opt<NatRange>,
    /// What a listing says before the ports, word by word.
    pub listed: [&'static str; 2],
    pub manip: Manip,
    pub hooks: &'static [Hook],
    pub address: fn(&mut TargetContext<'_>) -> Address,
}

/// What the packet's way gives.
pub(super) enum Address {
    Is(IpAddr),
    /// The packet is let through as it is.
    NeedsNone,
    /// The packet is dropped.
    None,
}

impl Way {
    pub(super) fn build(&'static self, given: &Given<'_>) -> Arc<dyn Target> {
        Arc::new(ToPorts {
            way: self,
            range: nat_range::of(given, self.to),
        })
    }

    /// ` masq ports: 80-90 random`, or nothing.
    pub(super) fn unlist<'a>(&self, listed: Listed<'a>) -> Vec<Typed<'a>> {
        listed.once(|it| {
            let mut options = Options::default();
            if it.word(self.listed[0]).is_some() {
                it.word(self.listed[1])?;
                options.push(false, self.to.name(), it.take()?);
            }
            nat_range::unlist_flags(it, &mut options);
            Some(options)
        })
    }
}

#[derive(Debug)]
struct ToPorts {
    way: &'static Way,
    range: NatRange,
}

impl PartialEq for ToPorts {
    fn eq(&self, other: &Self) -> bool {
        self.way.manip == other.way.manip && self.range == other.range
    }
}

impl Target for ToPorts {
    fn name(&self) -> &'static str {
        self.way.spec.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        let address = match (self.way.address)(cx) {
            Address::Is(address) => address,
            Address::NeedsNone => return TargetVerdict::Accept,
            Address::None => return TargetVerdict::Drop,
        };
        let range = NatRange {
            addresses: Some(AddressRange::single(address)),
            ..self.range
        };
        cx.services.nat(cx.packet, cx.tracking, &range, self.way.manip)
    }

    fn effect(&self) -> Effect {
        nat_range::EFFECT
    }

    fn save(&self, out: &mut String) {
        if self.range.ports.is_some() {
            out.push_str(&format!(" {} ", self.way.to.spelled(false)));
            nat_range::write_ports(out, &self.range);
        }
        nat_range::save_flags(out, &self.range);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        if self.range.ports.is_some() {
            out.push_str(&format!(" {} ", self.way.listed.join(" ")));
            nat_range::write_ports(out, &self.range);
        }
        nat_range::list_flags(out, &self.range);
    }

    fn needs_conntrack(&self) -> bool {
        true
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        nat_range::check(scope, self.name(), self.way.hooks)
    }
}
