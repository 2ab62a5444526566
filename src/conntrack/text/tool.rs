//! Flows and expectations as the `conntrack` tool shows them, whatever its `-o` says: here the lines, in `xml` and `save` the other two.

use std::fmt::Write;
use std::sync::Arc;

use super::{save, write_counters, write_family, write_tuple, write_zone, write_zone_of, xml};
use crate::base::Time;
use crate::base::date::Date;
use crate::conntrack::{Direction, Event, EventKind, Expectation, Flow, FlowState, LabelNames, Status, proto};

/// The language of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syntax {
    /// A line of words.
    #[default]
    Plain,
    /// `-o xml`.
    Xml,
    /// `-o save`: the options that make the flow again.
    Save,
}

/// How the tool shows what it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolForm {
    /// The language.
    pub syntax: Syntax,
    /// The network's protocol before all.
    pub extended: bool,
    /// The number of the flow.
    pub id: bool,
    /// When it began and ended.
    pub ktimestamp: bool,
    /// Its labels, by these names.
    pub labels: Option<Arc<LabelNames>>,
}

impl ToolForm {
    /// The names that are shown for a flow's labels; `None` where it has none. Seen: also none of what was deleted.
    pub(super) fn names_of(&self, state: &FlowState, occasion: Occasion) -> Option<Vec<&str>> {
        let labels = state.labels().filter(|labels| *labels != 0)?;
        let names = self.labels.as_ref().filter(|_| occasion != Occasion::Deleted)?;
        Some(names.of(labels).collect())
    }
}

/// What a flow is shown for, which decides how much is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// It is in a list.
    Listed,
    /// It was asked for, or has been changed: who shows it holds it too.
    Fetched,
    /// It has just been deleted.
    Deleted,
    /// Something happened to it.
    Happened {
        /// What.
        kind: EventKind,
        /// A command did it.
        by_command: bool,
        /// When somebody heard of it, where that is to be shown.
        when: Option<Time>,
    },
}

impl Occasion {
    /// Of an event.
    pub fn of(event: &Event, when: Option<Time>) -> Self {
        Self::Happened {
            kind: event.kind,
            by_command: event.by_command,
            when,
        }
    }

    pub(super) fn kind(self) -> Option<EventKind> {
        match self {
            Self::Happened { kind, .. } => Some(kind),
            Self::Listed | Self::Fetched | Self::Deleted => None,
        }
    }

    pub(super) fn is_end(self) -> bool {
        self.kind() == Some(EventKind::Destroy)
    }

    /// What was counted, and how long it lived: an event tells only at the end.
    pub(super) fn sums_up(self) -> bool {
        matches!(self.kind(), None | Some(EventKind::Destroy))
    }

    /// Seen: an event tells no mark of zero, but where a command has changed the flow.
    pub(super) fn tells_mark(self, mark: u32) -> bool {
        match self {
            Self::Happened { kind, by_command, .. } => mark != 0 || by_command && kind == EventKind::Update,
            _ => true,
        }
    }

    /// How often the flow is held; an event does not tell.
    pub(super) fn uses(self, state: &FlowState) -> Option<usize> {
        let uses = 1 + state.uses();
        match self {
            Self::Listed | Self::Deleted => Some(uses),
            Self::Fetched => Some(uses + 1),
            Self::Happened { .. } => None,
        }
    }

    pub(super) fn left(self, state: &FlowState, now: Time) -> Option<u64> {
        // Seen: a time that is over is not shown at the end.
        Some(state.left(now).as_secs()).filter(|left| *left != 0 || !self.is_end())
    }
}

/// A flow as the tool shows it, without the end of the line; `None` where it died meanwhile and this is no event.
pub fn tool_flow(flow: &Flow, form: &ToolForm, occasion: Occasion, now: Time) -> Option<String> {
    let state = flow.lock();
    if matches!(occasion, Occasion::Listed | Occasion::Fetched)
        && (state.status.has(Status::DYING) || state.is_expired(now))
    {
        return None;
    }
    Some(shown(flow, &state, form, occasion, now))
}

pub(crate) fn shown(flow: &Flow, state: &FlowState, form: &ToolForm, occasion: Occasion, now: Time) -> String {
    let mut out = String::with_capacity(200);
    // Writing into a string cannot fail.
    let _ = match form.syntax {
        Syntax::Plain => write_line(&mut out, flow, state, form, occasion, now),
        Syntax::Xml => xml::write_flow(&mut out, flow, state, form, occasion, now),
        Syntax::Save => save::write_flow(&mut out, flow, state, occasion, now),
    };
    if let Occasion::Happened { by_command: true, .. } = occasion {
        out.push_str(BY_COMMAND);
    }
    out
}

fn write_line(
    line: &mut String,
    flow: &Flow,
    state: &FlowState,
    form: &ToolForm,
    occasion: Occasion,
    now: Time,
) -> std::fmt::Result {
    let original = flow.original();
    line.push_str(occasion.kind().map_or("", heading));
    if form.extended {
        write_family(line, original.family())?;
    }
    write!(
        line,
        "{:<8} {} ",
        proto::spec(original.protocol).name,
        original.protocol
    )?;
    if let Some(left) = occasion.left(state, now) {
        write!(line, "{left} ")?;
    }
    if let Some(name) = state.protocol.state_name() {
        write!(line, "{name} ")?;
    }
    let counters = state.counters().filter(|_| occasion.sums_up());
    write_tuple(line, &original, false)?;
    write_zone_of(line, flow.zone(), Direction::Original, false)?;
    write_counters(line, counters, Direction::Original)?;
    if !state.status.has(Status::SEEN_REPLY) {
        line.push_str("[UNREPLIED] ");
    }
    write_tuple(line, &flow.reply(), false)?;
    write_zone_of(line, flow.zone(), Direction::Reply, false)?;
    write_counters(line, counters, Direction::Reply)?;
    if state.status.has(Status::ASSURED) {
        line.push_str("[ASSURED] ");
    }
    if occasion.tells_mark(state.mark) {
        write!(line, "mark={} ", state.mark)?;
    }
    write_zone(line, flow.zone(), false)?;
    if let (Some(started), true) = (state.started(), occasion.sums_up()) {
        write!(line, "delta-time={} ", now.since(started).as_secs())?;
        // Seen: what was deleted is shown without, whatever was asked for.
        if form.ktimestamp && occasion != Occasion::Deleted {
            write!(line, "[start={}] ", Date::of(started))?;
            if occasion.is_end() {
                write!(line, "[stop={}] ", Date::of(now))?;
            }
        }
    }
    if let (Some(helper), false) = (state.helper(), occasion.is_end()) {
        write!(line, "helper={} ", helper.name)?;
    }
    if let Some(uses) = occasion.uses(state) {
        write!(line, "use={uses} ")?;
    }
    if form.id {
        write!(line, "id={} ", flow.serial())?;
    }
    if let Some(names) = form.names_of(state, occasion) {
        // Seen: where no bit has a name, the sign goes with the name.
        let sign = if names.is_empty() { "" } else { "=" };
        write!(line, "labels{sign}{}", names.join(","))?;
    }
    line.truncate(line.trim_end().len());
    Ok(())
}

/// What stands before an event's line.
fn heading(kind: EventKind) -> &'static str {
    match kind {
        EventKind::New => "    [NEW] ",
        EventKind::Update => " [UPDATE] ",
        EventKind::Destroy => "[DESTROY] ",
    }
}

/// An expectation as the tool shows it, and what happened to it if that is what is shown, without the end of the line. Seen: neither
/// `extended` nor `save` changes it.
pub fn tool_expectation(
    expectation: &Expectation,
    syntax: Syntax,
    kind: Option<EventKind>,
    when: Option<Time>,
    now: Time,
) -> String {
    let mut out = String::with_capacity(200);
    // Writing into a string cannot fail.
    let _ = match syntax {
        Syntax::Xml => xml::write_expectation(&mut out, expectation, kind, when, now),
        Syntax::Plain | Syntax::Save => {
            out.push_str(kind.map_or("", heading));
            super::write_expectation_of_tool(&mut out, expectation, now)
        }
    };
    out
}

/// Which program it was, the kernel does not tell; the tool finds that out, and every command here is one of its own kind.
const BY_COMMAND: &str = " [USERSPACE] portid=1 progname=conntrack";

#[cfg(test)]
mod tests;
