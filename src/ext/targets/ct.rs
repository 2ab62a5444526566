//! `-j CT`: what tracking shall make of the packet: nothing, or a flow with a helper.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::base::{Family, Time, protocol};
use crate::conntrack::{CtState, Template, Tracking};
use crate::ext::TargetSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, UsageError};
use crate::ext::place::only_table;
use crate::ext::samples::{Samples, refused, taken};
use crate::helper;
use crate::rule::{Changes, Effect, Errno, Refusal, Scope, State, Table, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "CT",
    listed_as: "CT",
    families: &[Family::V4, Family::V6],
    options: &[
        NOTRACK.spec,
        HELPER.spec,
        Opt::refused("timeout", "POLICY", "use a timeout policy").spec,
        Opt::refused("ctevents", "EVENT[,...]", "report these events only").spec,
        Opt::refused("expevents", "EVENT[,...]", "report these events of expectations only").spec,
        Opt::refused("zone", "ZONE|mark", "track in this zone").spec,
        Opt::refused("zone-orig", "ZONE|mark", "track the original direction in this zone").spec,
        Opt::refused("zone-reply", "ZONE|mark", "track the reply direction in this zone").spec,
    ],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    about: "what tracking shall make of the packet: nothing, or a flow with a helper",
    samples: SAMPLES,
};

const NOTRACK: Opt<()> = Opt::flag("notrack", "keep the packet out of connection tracking");
const HELPER: Opt<String> = Opt::text("helper", 0, 15, "attach this helper to the flow that the packet opens");

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    // An empty name is none at all, as a comparison with `-C` shows.
    let helper = given.value(HELPER).filter(|name| !name.is_empty());
    Ok(Arc::new(Ct {
        notrack: given.has(NOTRACK),
        helper,
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Ct {
    notrack: bool,
    helper: Option<String>,
}

/// The helper that a rule's target attaches; `None` for any other target.
pub(crate) fn helper_of(one: &dyn Target) -> Option<&str> {
    let ct = one.as_any().downcast_ref::<Ct>()?;
    ct.helper.as_deref()
}

/// A packet that has a flow or a template already (it came back over `lo`, or an earlier rule was faster) keeps it.
pub(super) fn leave_untracked(tracking: &mut Tracking) {
    if tracking.state.is_none() && tracking.template.is_none() {
        tracking.state = Some(CtState::Untracked);
    }
}

impl Target for Ct {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        if self.notrack {
            leave_untracked(cx.tracking);
        } else if cx.tracking.state.is_none() && cx.tracking.template.is_none() {
            cx.tracking.template = cx.state::<Arc<Template>>().cloned();
        }
        TargetVerdict::Continue
    }

    fn effect(&self) -> Effect {
        Effect::PURE.changing(Changes::TRACKING)
    }

    fn save(&self, out: &mut String) {
        if self.notrack {
            let _ = write!(out, " {}", NOTRACK.spelled(false));
        }
        if let Some(helper) = &self.helper {
            // Never in quotes, so a name with a blank would not be read again.
            let _ = write!(out, " {} {helper}", HELPER.spelled(false));
        }
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" CT");
        if self.notrack {
            let _ = write!(out, " {}", NOTRACK.name());
        }
        if let Some(helper) = &self.helper {
            let _ = write!(out, " {} {helper}", HELPER.name());
        }
    }

    /// The template: one for all packets, and a new one with each replacement of the table.
    fn state(&self, _now: Time) -> Option<Box<State>> {
        let template = Template {
            helper: self.helper.clone(),
            ..Template::default()
        };
        (!self.notrack).then(|| Box::new(Arc::new(template)) as Box<State>)
    }

    fn copy_state(&self, state: &State) -> Option<Box<State>> {
        let template = state.downcast_ref::<Arc<Template>>()?;
        Some(Box::new(Arc::new(Template {
            helper: template.helper.clone(),
            mark: AtomicU32::new(template.mark.load(Ordering::Relaxed)),
        })))
    }

    fn needs_conntrack(&self) -> bool {
        !self.notrack
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, "CT target", Table::Raw)?;
        let (false, Some(name)) = (self.notrack, &self.helper) else {
            return Ok(());
        };
        let no_entry = |reason| Refusal {
            errno: Errno::NoEntry,
            reason,
        };
        let selector = scope.selector;
        if selector.protocol == 0 || selector.protocol_inverted {
            return Err(no_entry(
                "xt_CT: You must specify a L4 protocol and not use inversions on it".to_owned(),
            ));
        }
        // The kernel fetches the helper's module here, so it need not have been loaded before.
        let known = helper::is_known(|helper| {
            helper.name == name && helper.protocol == selector.protocol && helper.families.contains(&selector.family)
        });
        if !known {
            return Err(no_entry(format!("xt_CT: No such helper \"{name}\"")));
        }
        Ok(())
    }
}

/// ` CT notrack helper ftp`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("CT")?;
        let mut options = Options::default();
        if it.word(NOTRACK.name()).is_some() {
            options.push(false, NOTRACK.name(), "");
        }
        if it.word(HELPER.name()).is_some() {
            options.push(false, HELPER.name(), it.take()?);
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("raw", "PREROUTING"),
    taken: &[
        taken("-p tcp", "", "", "CT"),
        taken("-p tcp", "--notrack", "--notrack", "CT notrack"),
        taken("-p tcp", "--helper ftp", "--helper ftp", "CT helper ftp"),
        taken("-p tcp", "--helper \"\"", "", "CT"),
        taken(
            "-p tcp",
            "--helper ftp --notrack",
            "--notrack --helper ftp",
            "CT notrack helper ftp",
        ),
    ],
    refused: &[
        refused(
            "-p tcp",
            "--timeout x",
            "CT: option \"--timeout\" is not there yet: take it out of the rule.\n",
        ),
        refused(
            "-p tcp",
            "--expevents new",
            "CT: option \"--expevents\" is not there yet: take it out of the rule.\n",
        ),
        refused(
            "-p tcp",
            "--zone-orig 5",
            "CT: option \"--zone-orig\" is not there yet: take it out of the rule.\n",
        ),
        refused(
            "-p tcp",
            "--zone-reply 5",
            "CT: option \"--zone-reply\" is not there yet: take it out of the rule.\n",
        ),
        refused(
            "-p tcp",
            "--helper ftp --helper ftp",
            "CT: option \"--helper\" can only be used once.\n",
        ),
        refused(
            "-p tcp",
            "! --notrack",
            "CT: option \"--notrack\" cannot be inverted.\n",
        ),
        refused(
            "-p tcp",
            "--zone 5",
            "CT: option \"--zone\" is not there yet: take it out of the rule.\n",
        ),
        refused(
            "-p tcp",
            "--ctevents new",
            "CT: option \"--ctevents\" is not there yet: take it out of the rule.\n",
        ),
    ],
    packets: &[],
    spellings: &[
        "-j CT --notrack",
        "-p tcp -j CT --helper ftp",
        "-j CT",
        "-p udp -j CT --notrack",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match (place.table, place.protocol) {
        (Table::Raw, Some(protocol::TCP)) => 22,
        (Table::Raw, _) => 9,
        _ => 0,
    },
    |draw| {
        let may_help = draw.place.protocol == Some(protocol::TCP);
        match draw.below(if may_help { 5 } else { 2 }) {
            0 => draw.give(&NOTRACK.spec, ""),
            1 => {}
            2 | 3 => draw.give(&HELPER.spec, "ftp"),
            _ => {
                draw.give(&NOTRACK.spec, "");
                draw.give(&HELPER.spec, "ftp");
            }
        }
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::protocol;
    use crate::ext::testing::{ANY, Bench, P, TCP, UDP, read_target, target_places, udp};
    use crate::rule::Hook;

    #[test]
    fn places() {
        let protocol = "xt_CT: You must specify a L4 protocol and not use inversions on it";
        let no_helper = "xt_CT: No such helper \"123456789012345\"";
        for (p, typed, said) in [
            (TCP, "--helper ftp", ""),
            (ANY, "", ""),
            (ANY, "--helper ftp", protocol),
            (P(protocol::TCP, true), "--helper ftp", protocol),
            (UDP, "--helper ftp", "xt_CT: No such helper \"ftp\""),
            (TCP, "--helper 1234567890123456", no_helper),
        ] {
            target_places(&SPEC, p, typed, &[(Table::Raw, &[Hook::Output], said)]);
        }
        let table = "x_tables: ip_tables: CT target: only valid in raw table, not filter";
        target_places(&SPEC, TCP, "", &[(Table::Filter, &[Hook::Input], table)]);
    }

    #[test]
    fn tracking_starts_with_ct_but_not_with_notrack() {
        assert!(read_target(&SPEC, TCP, "").unwrap().needs_conntrack());
        assert!(!read_target(&SPEC, TCP, "--notrack").unwrap().needs_conntrack());
    }

    #[test]
    fn the_first_rule_decides() {
        let mut bench = Bench::new();
        let ftp = read_target(&SPEC, TCP, "--helper ftp").unwrap();
        let notrack = read_target(&SPEC, TCP, "--notrack").unwrap();
        assert_eq!(bench.apply(ftp.as_ref(), &mut udp(1, 2, &[])), TargetVerdict::Continue);
        bench.apply(notrack.as_ref(), &mut udp(1, 2, &[]));
        assert_eq!(bench.tracking.state, None);
        let helper = bench.tracking.template.as_ref().and_then(|it| it.helper.clone());
        assert_eq!(helper.as_deref(), Some("ftp"));
        let mut bench = Bench::new();
        bench.apply(notrack.as_ref(), &mut udp(1, 2, &[]));
        bench.apply(ftp.as_ref(), &mut udp(1, 2, &[]));
        assert_eq!(bench.tracking.state, Some(CtState::Untracked));
        assert!(bench.tracking.template.is_none());
    }

    #[test]
    fn an_empty_helper_is_none() {
        let none = read_target(&SPEC, TCP, "").unwrap();
        assert!(read_target(&SPEC, TCP, "--helper \"\"").unwrap().equals(none.as_ref()));
    }
}
