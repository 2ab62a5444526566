//! `-j CT`: what tracking shall make of the packet: nothing, or a flow with a helper, with timeouts of its own, in a zone, of which only some is told.

mod events;
mod listed;
mod samples;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::base::Family;
use crate::base::bytes::front_of;
use crate::conntrack::policy::tracker_of;
use crate::conntrack::{CtState, EventMask, EventMasks, Template, Tracking, Zone, ZoneScope};
use crate::ext::TargetSpec;
use crate::ext::number::whole_number;
use crate::ext::option::{Given, Opt, Read, UsageError};
use crate::ext::place::only_table;
use crate::helper;
use crate::rule::{
    Changes, Effect, Errno, Refusal, Scope, State, Table, Target, TargetContext, TargetVerdict, TrackingNow,
};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "CT",
    listed_as: "CT",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[
        NOTRACK.spec,
        HELPER.spec,
        TIMEOUT.spec,
        CTEVENTS.spec,
        EXPEVENTS.spec,
        ZONES[0].0.spec,
        ZONES[1].0.spec,
        ZONES[2].0.spec,
    ],
    needs_one: None,
    exclusive: &[],
    build,
    unlist: listed::unlist,
    about: "what tracking shall make of the packet: nothing, or a flow with a helper, timeouts of its own, in a zone",
    samples: samples::SAMPLES,
};

const NOTRACK: Opt<()> = Opt::flag("notrack", "keep the packet out of connection tracking");
const HELPER: Opt<String> = Opt::text(
    "helper",
    0,
    LONGEST_HELPER,
    "attach this helper to the flow that the packet opens",
);

const TIMEOUT: Opt<String> = Opt::text(
    "timeout",
    0,
    LONGEST_POLICY,
    "the flow that the packet opens has the timeouts of this policy, as made by `nfct add timeout NAME inet tcp established 100`",
);
const CTEVENTS: Opt<EventMask> = Opt::words(
    "ctevents",
    EventMask::WORDS,
    &Read(|text, _| events::parse(text, EventMask::WORDS)),
    "of the flow that the packet opens only these events are told",
);
const EXPEVENTS: Opt<EventMask> = Opt::words(
    "expevents",
    EventMask::WORDS_OF_EXPECTATIONS,
    &Read(|text, _| events::parse(text, EventMask::WORDS_OF_EXPECTATIONS)),
    "of what its helper expects only these events are told",
);

/// Bytes.
const LONGEST_HELPER: usize = 15;
const LONGEST_POLICY: usize = 31;

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
        timeout: given.value(TIMEOUT).filter(|name| !name.is_empty()),
        events: EventMasks {
            flow: given.value(CTEVENTS).unwrap_or(EventMask::NONE),
            expectations: given.value(EXPEVENTS).unwrap_or(EventMask::NONE),
        },
        zone,
        zone_by_mark,
    }))
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Ct {
    notrack: bool,
    helper: Option<String>,
    timeout: Option<String>,
    events: EventMasks,
    zone: Zone,
    /// Its number is the packet's mark.
    zone_by_mark: bool,
}

impl Ct {
    /// What it says behind its options' names, without the zone.
    fn said(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        let events = [
            (CTEVENTS.name(), events::said(self.events.flow, EventMask::WORDS)),
            (
                EXPEVENTS.name(),
                events::said(self.events.expectations, EventMask::WORDS_OF_EXPECTATIONS),
            ),
        ];
        let named = [
            (HELPER.name(), self.helper.clone()),
            (TIMEOUT.name(), self.timeout.clone()),
        ];
        let notrack = self.notrack.then_some((NOTRACK.name(), None));
        let said = named.into_iter().chain(events).filter(|(_, value)| value.is_some());
        notrack.into_iter().chain(said)
    }

    /// The kernel takes the helper and the policy where they are there. It fetches the helper's module here, so that need not have been loaded before.
    fn check_names(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        let refused = |errno, reason| Err(Refusal::logged(errno, reason));
        let selector = scope.selector;
        let has_protocol = selector.protocol != 0 && !selector.protocol_inverted;
        if let Some(name) = &self.helper {
            if !has_protocol {
                return refused(Errno::NoEntry, NO_PROTOCOL.to_owned());
            }
            let known = helper::is_known(|helper| {
                helper.name == name
                    && helper.protocol == selector.protocol
                    && helper.families.contains(&selector.family)
            });
            if !known {
                return refused(Errno::NoEntry, format!("xt_CT: No such helper \"{name}\""));
            }
        }
        let Some(name) = &self.timeout else { return Ok(()) };
        if !has_protocol {
            return refused(Errno::InvalidArgument, NO_PROTOCOL.to_owned());
        }
        let Some(policy) = scope.policies.find(name) else {
            return refused(Errno::NoEntry, format!("No such timeout policy \"{name}\""));
        };
        let other = if policy.family() != selector.family {
            let number = match policy.family() {
                Family::V4 => 2,
                Family::V6 => 10,
            };
            format!("L3 protocol number {number}")
        } else if policy.protocol() != tracker_of(selector.protocol) {
            format!("L4 protocol number {}", policy.protocol())
        } else {
            return Ok(());
        };
        refused(
            Errno::InvalidArgument,
            format!("Timeout policy `{name}' can only be used by {other}"),
        )
    }

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

    /// What a helper expects, packets of other ends come to.
    fn effect(&self) -> Effect {
        let effect = Effect::PURE.changing(Changes::TRACKING);
        match self.helper {
            Some(_) => effect.of_others(),
            None => effect,
        }
    }

    fn save(&self, out: &mut String) {
        for (name, value) in self.said() {
            // Never in quotes, so a name with a blank would not be read again.
            let _ = match value {
                Some(value) => write!(out, " --{name} {value}"),
                None => write!(out, " --{name}"),
            };
        }
        if let Some((option, said)) = self.zone_said() {
            let _ = write!(out, " {} {said}", option.spelled(false));
        }
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" CT");
        for (name, value) in self.said() {
            let _ = match value {
                Some(value) => write!(out, " {name} {value}"),
                None => write!(out, " {name}"),
            };
        }
        if let Some((option, said)) = self.zone_said() {
            let _ = write!(out, " {} {said}", option.name());
        }
    }

    /// The template: one for all packets, and a new one with each replacement of the table.
    fn state(&self, tracking: &TrackingNow<'_>) -> Option<Box<State>> {
        let template = Template {
            helper: self.helper.clone(),
            policy: self.timeout_policy().and_then(|name| tracking.policies.find(name)),
            events: tracking.events(self.events),
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
            policy: template.policy.clone(),
            events: template.events,
            zone: template.zone,
            zone_by_mark: template.zone_by_mark,
            mark: AtomicU32::new(template.mark.load(Ordering::Relaxed)),
        })))
    }

    fn timeout_policy(&self) -> Option<&str> {
        self.timeout.as_deref().filter(|_| !self.notrack)
    }

    fn read_back(&self) -> Option<Arc<dyn Target>> {
        let name = self.timeout.as_ref()?;
        let given_back = front_of(name, GIVEN_BACK);
        (given_back != *name).then(|| {
            Arc::new(Self {
                timeout: Some(given_back),
                ..self.clone()
            }) as Arc<dyn Target>
        })
    }

    fn needs_conntrack(&self) -> bool {
        !self.notrack
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, "CT target", Table::Raw)?;
        match self.notrack {
            true => Ok(()),
            false => self.check_names(scope),
        }
    }
}

const NO_PROTOCOL: &str = "xt_CT: You must specify a L4 protocol and not use inversions on it";

/// Seen: of a policy's name the kernel gives back so many bytes, and the next command on the table says no more than these: it is refused, unless
/// there is a policy of that name.
const GIVEN_BACK: usize = 4;
