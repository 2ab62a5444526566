//! `-j CT`: what tracking shall make of the packet: nothing, or a flow with a helper or in a zone.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::base::{Family, Time, protocol};
use crate::conntrack::{CtState, Template, Tracking, Zone, ZoneScope};
use crate::ext::TargetSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::whole_number;
use crate::ext::option::{Given, Opt, Read, UsageError};
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
        ZONES[0].0.spec,
        ZONES[1].0.spec,
        ZONES[2].0.spec,
    ],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    about: "what tracking shall make of the packet: nothing, or a flow with a helper or in a zone",
    samples: SAMPLES,
};

const NOTRACK: Opt<()> = Opt::flag("notrack", "keep the packet out of connection tracking");
const HELPER: Opt<String> = Opt::text("helper", 0, 15, "attach this helper to the flow that the packet opens");

/// Each with the direction that it is for.
const ZONES: [(Opt<ZoneId>, ZoneScope); 3] = [
    (
        zone_option(
            "zone",
            "look for the packet's flow in this zone, and open it there; or in that of the packet's mark",
        ),
        ZoneScope::Both,
    ),
    (
        zone_option(
            "zone-orig",
            "the same, but the zone counts in the original direction only",
        ),
        ZoneScope::Original,
    ),
    (
        zone_option(
            "zone-reply",
            "the same, but the zone counts in the reply direction only",
        ),
        ZoneScope::Reply,
    ),
];

const fn zone_option(name: &'static str, help: &'static str) -> Opt<ZoneId> {
    Opt::own(name, "ZONE|mark", &Read(|text, _| zone_id(text)), help)
}

/// What a zone is said by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ZoneId {
    Number(u16),
    Mark,
}

fn zone_id(text: &str) -> Result<ZoneId, UsageError> {
    if text.eq_ignore_ascii_case("mark") {
        return Ok(ZoneId::Mark);
    }
    let number = whole_number(text).and_then(|number| u16::try_from(number).ok());
    let number = number.ok_or_else(|| UsageError::parameter(format!("Cannot parse {text} as a zone ID")));
    number.map(ZoneId::Number)
}

/// Seen: of several the last one's number counts, but a direction that one of them named counts too, and so does the mark.
fn zone(given: &Given<'_>) -> (Zone, bool) {
    let asked = |at: usize| given.value(ZONES[at].0);
    let scope = match (asked(1), asked(2)) {
        (Some(_), None) => ZoneScope::Original,
        (None, Some(_)) => ZoneScope::Reply,
        _ => ZoneScope::Both,
    };
    let typed = given.options.iter().filter_map(|option| {
        let at = ZONES
            .iter()
            .position(|(known, _)| known.spec.name == option.spec.name)?;
        asked(at)
    });
    let (mut id, mut by_mark) = (0, false);
    for said in typed {
        match said {
            ZoneId::Number(number) => id = number,
            ZoneId::Mark => by_mark = true,
        }
    }
    (Zone { id, scope }, by_mark)
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    // An empty name is none at all, as a comparison with `-C` shows.
    let helper = given.value(HELPER).filter(|name| !name.is_empty());
    let (zone, zone_by_mark) = zone(given);
    Ok(Arc::new(Ct {
        notrack: given.has(NOTRACK),
        helper,
        zone,
        zone_by_mark,
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Ct {
    notrack: bool,
    helper: Option<String>,
    zone: Zone,
    /// Its number is the packet's mark.
    zone_by_mark: bool,
}

impl Ct {
    /// The option that says its zone, and what it says.
    fn zone_said(&self) -> Option<(Opt<ZoneId>, String)> {
        let (option, _) = ZONES.into_iter().find(|(_, scope)| *scope == self.zone.scope)?;
        match (self.zone_by_mark, self.zone.id) {
            (true, _) => Some((option, "mark".to_owned())),
            (false, 0) => None,
            (false, id) => Some((option, id.to_string())),
        }
    }
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
        if let Some((option, said)) = self.zone_said() {
            let _ = write!(out, " {} {said}", option.spelled(false));
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
        if let Some((option, said)) = self.zone_said() {
            let _ = write!(out, " {} {said}", option.name());
        }
    }

    /// The template: one for all packets, and a new one with each replacement of the table.
    fn state(&self, _now: Time) -> Option<Box<State>> {
        let template = Template {
            helper: self.helper.clone(),
            zone: self.zone,
            zone_by_mark: self.zone_by_mark,
            ..Template::default()
        };
        (!self.notrack).then(|| Box::new(Arc::new(template)) as Box<State>)
    }

    fn copy_state(&self, state: &State) -> Option<Box<State>> {
        let template = state.downcast_ref::<Arc<Template>>()?;
        Some(Box::new(Arc::new(Template {
            helper: template.helper.clone(),
            zone: template.zone,
            zone_by_mark: template.zone_by_mark,
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
        if let Some((false, name)) = it.option_of(&ZONES.map(|(option, _)| option.name())) {
            options.push(false, name, it.take()?);
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
        taken("-p tcp", "--zone 0x10", "--zone 16", "CT zone 16"),
        taken("-p tcp", "--zone Mark", "--zone mark", "CT zone mark"),
        taken("-p tcp", "--zone-orig mark", "--zone-orig mark", "CT zone-orig mark"),
        taken(
            "-p tcp",
            "--zone-reply 65535",
            "--zone-reply 65535",
            "CT zone-reply 65535",
        ),
        taken("-p tcp", "--zone-orig 1 --zone-reply 2", "--zone 2", "CT zone 2"),
        taken("-p tcp", "--zone 1 --zone-orig 2", "--zone-orig 2", "CT zone-orig 2"),
        taken("-p tcp", "--zone-orig 2 --zone 1", "--zone-orig 1", "CT zone-orig 1"),
        taken("-p tcp", "--zone 0", "", "CT"),
        taken(
            "-p tcp",
            "--zone 1 --helper ftp --notrack",
            "--notrack --helper ftp --zone 1",
            "CT notrack helper ftp zone 1",
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
        refused("-p tcp", "--zone 65536", "Cannot parse 65536 as a zone ID"),
        refused("-p tcp", "--zone-orig 5x", "Cannot parse 5x as a zone ID"),
        refused("-p tcp", "--zone-reply mark1", "Cannot parse mark1 as a zone ID"),
        refused(
            "-p tcp",
            "--zone 1 --zone 2",
            "CT: option \"--zone\" can only be used once.\n",
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
        let values = &["1", "2", "mark", "0"];
        for (option, _) in &ZONES {
            draw.maybe(12, &option.spec, values);
        }
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
