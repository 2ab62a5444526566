//! What is done with flows.

use std::collections::VecDeque;
use std::sync::Arc;

use super::output::Lines;
use super::request::{Command, NatEnd, Request, What};
use super::{absent, fail, said};
use crate::base::{AddressRange, PortRange, Random, protocol};
use crate::conntrack::proto;
use crate::conntrack::text::{self, Occasion};
use crate::conntrack::{Change, ChangeRefused, Direction, Flow, Labels, Status, Table};
use crate::lab::machine::{Machine, ToolOutput};
use crate::nat::{self, Manip, NatContext, NatRange};

pub(super) fn run(request: &Request, machine: &Machine) -> ToolOutput {
    let table = machine.router().flows();
    match request.command {
        Command::List => list(request, machine, table),
        Command::Get => get(request, machine, table),
        Command::Delete => delete(request, machine, table),
        Command::Create => match create(request, machine, table) {
            Ok(()) => said("1 flow entries have been created."),
            Err(Failed::Here(output)) => output,
            Err(Failed::Kernel(why)) => fail(1, &format!("Operation failed: {}", sentence(why))),
        },
        Command::Add => match create(request, machine, table) {
            Ok(()) => said("1 flow entries have been added."),
            Err(Failed::Here(output)) => output,
            Err(Failed::Kernel(ChangeRefused::Exists)) => said("0 flow entries have been added."),
            Err(Failed::Kernel(why)) => fail(1, &format!("Operation failed: {why}")),
        },
        Command::Update => update(request, machine, table),
        Command::Flush => {
            // Seen: whatever family is named, all go.
            table.flush();
            said("connection tracking table has been emptied.")
        }
        Command::Count => ToolOutput::success(format!("{}\n", table.count())),
        Command::Statistics => ToolOutput::success(statistics(&table.statistics.named())),
        Command::Events | Command::Version | Command::Help | Command::Nothing => ToolOutput::default(),
    }
}

/// A list is filtered by the kernel, which wants a status to filter by.
fn list(request: &Request, machine: &Machine, table: &Table) -> ToolOutput {
    let wanted = &request.wanted;
    let names_bits = wanted.status != Status::default() || wanted.unreplied || wanted.no_status;
    if wanted.by_status && !names_bits && request.what == What::Flows {
        return fail(1, "Operation failed: invalid parameters");
    }
    let mut lines = Lines::default();
    let flows = match request.what {
        What::Passing => Vec::new(),
        What::Flows | What::Expectations => table.flows(machine.now),
    };
    for flow in flows.iter().filter(|flow| request.lets_through(flow)) {
        lines.flow(&request.output, flow, Occasion::Listed, machine.now);
        if request.zero
            && let Some(counters) = flow.lock().counters_mut()
        {
            *counters = Default::default();
        }
    }
    lines.end(&request.output, text::xml::FLOWS);
    ToolOutput {
        stdout: lines.text,
        ..said(&format!("{} flow entries have been shown.", lines.count))
    }
}

fn get(request: &Request, machine: &Machine, table: &Table) -> ToolOutput {
    let Some(tuple) = request.wanted.original_tuple() else {
        return fail(1, "Operation failed: invalid parameters");
    };
    let Some((flow, _)) = table.lookup(machine.now, &tuple) else {
        return fail(1, "Operation failed: such conntrack doesn't exist");
    };
    let mut lines = Lines::default();
    // Seen: the kernel finds it by either tuple, and the tool looks at the original one.
    if request.lets_through(&flow) {
        lines.begin(&request.output, text::xml::FLOWS);
        lines.flow(&request.output, &flow, Occasion::Fetched, machine.now);
    }
    ToolOutput {
        stdout: lines.text,
        code: i32::from(lines.count == 0),
        ..said(&format!("{} flow entries have been shown.", lines.count))
    }
}

fn delete(request: &Request, machine: &Machine, table: &Table) -> ToolOutput {
    let mut lines = Lines::default();
    for flow in table.flows(machine.now) {
        // Seen: what is left of its time is compared only where something else is.
        let left = flow.lock().left(machine.now).as_secs();
        let asked = request.wanted.timeout.filter(|_| request.compares);
        if request.lets_through(&flow)
            && asked.is_none_or(|asked| u64::from(asked) == left)
            && table.delete_by_command(&flow)
        {
            lines.flow(&request.output, &flow, Occasion::Deleted, machine.now);
        }
    }
    ToolOutput {
        stdout: lines.text,
        // Nothing to delete is a failure, nothing to show is none.
        code: i32::from(lines.count == 0),
        ..said(&format!("{} flow entries have been deleted.", lines.count))
    }
}

/// Why no flow was made.
enum Failed {
    /// It is not there yet in nflab.
    Here(ToolOutput),
    Kernel(ChangeRefused),
}

impl From<ChangeRefused> for Failed {
    fn from(why: ChangeRefused) -> Self {
        Self::Kernel(why)
    }
}

fn create(request: &Request, machine: &Machine, table: &Table) -> Result<(), Failed> {
    let wanted = &request.wanted;
    let (original, reply) = wanted.tuples_to_make();
    let original = original.ok_or(ChangeRefused::Invalid)?;
    if proto::spec(original.protocol)
        .family
        .is_some_and(|it| it != original.family())
    {
        return Err(ChangeRefused::Invalid.into());
    }
    // Whether it is there already is looked at first.
    let zone = wanted.zone().ok_or(ChangeRefused::Invalid)?;
    if table.lookup_in(machine.now, &original, zone).is_some() {
        return Err(ChangeRefused::Exists.into());
    }
    let tuples = (original, reply.ok_or(ChangeRefused::Invalid)?);
    let change = Change {
        timeout: wanted.timeout,
        status: wanted.by_status.then_some(wanted.status),
        mark: wanted.mark,
        state: wanted.state,
        tags: wanted.tags,
        labels: wanted.labels_to_add,
    };
    let config = machine.router().config();
    let flow = match table.make(machine.now, &config.conntrack, tuples, zone, &change) {
        Err(ChangeRefused::NotMade) => return Err(Failed::Here(absent("making flows of this protocol"))),
        made => made?,
    };
    map(request, machine, table, &flow);
    Ok(table.enter_made(machine.now, &flow, &change)?)
}

/// Where NAT is asked for at all, both ends are decided, the destination first.
fn map(request: &Request, machine: &Machine, table: &Table, flow: &Arc<Flow>) {
    if !request.wanted.maps() {
        return;
    }
    let (source, destination) = (request.wanted.source_nat, request.wanted.destination_nat);
    let mut random = Random::new(flow.serial());
    let mut cx = NatContext {
        now: machine.now,
        random: &mut random,
    };
    for (end, manip) in [(destination, Manip::Destination), (source, Manip::Source)] {
        nat::setup(table, &mut cx, flow, &range(flow, end), manip);
    }
}

/// Seen: a port is heard of for TCP and UDP alone.
fn range(flow: &Flow, end: Option<NatEnd>) -> NatRange {
    let end = end.unwrap_or_default();
    let has_ports = matches!(flow.original().protocol, protocol::TCP | protocol::UDP);
    NatRange {
        addresses: end.address.map(AddressRange::single),
        ports: end.port.filter(|_| has_ports).map(PortRange::single),
        ..NatRange::default()
    }
}

/// Each flow is changed and then asked for again.
///
/// Seen: the tool reads one answer for each of the two, but of a flow that it asks for there are two, so that more and more wait to be read. What was
/// refused is told where its answer is read: when a flow is changed it is said and all goes on, when one is asked for it ends the call, and behind
/// the last flow nobody hears of it. What is shown is late as well, or never; here each flow is.
fn update(request: &Request, machine: &Machine, table: &Table) -> ToolOutput {
    let now = machine.now;
    let mut lines = Lines::default();
    let mut stderr = String::new();
    let mut changed = 0;
    let maps = request.wanted.maps();
    // What is to be another is told by the list as it was before any change.
    let flows = table.flows(now);
    let let_through = flows.iter().filter(|flow| request.lets_through(flow));
    let changes: Vec<_> = let_through
        .filter_map(|flow| Some((flow, change_of(request, flow, now)?)))
        .collect();
    let mut answers = VecDeque::new();
    for (flow, change) in changes {
        let found = match request.wanted.family {
            Some(_) => named_by(flow, table, now),
            None => Some(Arc::clone(flow)),
        };
        answers.push_back(match (&found, request.wanted.family) {
            (None, _) => Err(NOT_THERE),
            // Seen: the kernel takes no change without a family, though the tool could know it.
            (_, None) => Err(NOT_SUPPORTED),
            // Nor one of a mapping, by which it is asked for here.
            _ if maps => Err(NOT_SUPPORTED),
            (Some(flow), _) => table.change(now, flow, &change).map_err(sentence),
        });
        if let Some(Err(why)) = answers.pop_front() {
            stderr += &format!("Operation failed: {why}\n");
        }
        match (&found, request.wanted.family) {
            (None, _) => answers.push_back(Err(NOT_THERE)),
            (_, None) => answers.push_back(Err(NOT_SUPPORTED)),
            // Seen: one whose time was made 0 is gone by then.
            (Some(flow), _) if table.lookup_in(now, &flow.original(), flow.zone()).is_none() => {
                answers.push_back(Err(NOT_THERE));
            }
            // The flow, and that this was all.
            _ => answers.extend([Ok(()), Ok(())]),
        }
        match answers.pop_front() {
            // Seen: one that is not there ends nothing and counts for nothing.
            Some(Err(NOT_THERE)) => continue,
            Some(Err(why)) => {
                let failed = fail(1, &format!("Operation failed: {why}"));
                return ToolOutput {
                    stdout: lines.text,
                    stderr: stderr + &failed.stderr,
                    ..failed
                };
            }
            _ => changed += 1,
        }
        if let Some(flow) = &found {
            lines.flow(&request.output, flow, Occasion::Fetched, now);
        }
    }
    let end = said(&format!("{changed} flow entries have been updated."));
    ToolOutput {
        stdout: lines.text,
        stderr: stderr + &end.stderr,
        code: i32::from(changed == 0),
        ..end
    }
}

const NOT_THERE: &str = "No such file or directory";
const NOT_SUPPORTED: &str = "Operation not supported";

/// Whom the kernel finds by what the tool says of a flow: its original tuple, but never its zone, so that of two with that tuple it is always the one
/// that stands in no zone, and nobody where there is none.
fn named_by(flow: &Arc<Flow>, table: &Table, now: crate::base::Time) -> Option<Arc<Flow>> {
    match flow.zone().of(Direction::Original) {
        0 => Some(Arc::clone(flow)),
        _ => table.lookup(now, &flow.original()).map(|(flow, _)| flow),
    }
}

/// What of a flow is to be another; `None` where it is so already.
fn change_of(request: &Request, flow: &Flow, now: crate::base::Time) -> Option<Change> {
    let wanted = &request.wanted;
    let state = flow.lock();
    let mark = wanted
        .mark
        .filter(|mark| crate::conntrack::changed_mark(state.mark, *mark) != state.mark);
    let status = Some(wanted.status).filter(|status| wanted.by_status && !state.status.has(*status));
    let left = state.left(now).as_secs();
    let timeout = wanted.timeout.filter(|asked| u64::from(*asked) != left);
    let named = wanted.state.filter(|name| state.protocol.state_name() != Some(name));
    let something = mark.is_some() || status.is_some() || timeout.is_some() || named.is_some();
    let more = wanted.no_status || wanted.unheard;
    let labels = changed_labels(request, state.labels());
    (something || more || labels.is_some()).then(|| Change {
        timeout: wanted.timeout,
        // Bits that are there stay.
        status: wanted.by_status.then(|| state.status.or(wanted.status)),
        mark: wanted.mark,
        state: wanted.state,
        tags: wanted.tags,
        labels,
    })
}

/// Seen: what is to be added is asked of the kernel also where it is there, or has no room; what is to be taken away, only of a flow that has some.
fn changed_labels(request: &Request, labels: Option<Labels>) -> Option<Labels> {
    let there = labels.unwrap_or(0);
    let added = request.wanted.labels_to_add.map(|added| there | added);
    let left = request.wanted.labels_to_take.map(|taken| there & !taken);
    added.or(left.filter(|_| there != 0))
}

/// As the tool says what the kernel answered.
fn sentence(why: ChangeRefused) -> &'static str {
    match why {
        ChangeRefused::Exists => "Such conntrack exists, try -U to update",
        ChangeRefused::NoSuch => "such conntrack doesn't exist",
        ChangeRefused::Busy => "Device or resource busy",
        ChangeRefused::NotPermitted => "sorry, you must be root or get CAP_NET_ADMIN capability to do this",
        ChangeRefused::Invalid => "invalid parameters",
        ChangeRefused::NotMade => "Operation not supported",
        ChangeRefused::NoMemory => "not enough memory",
        ChangeRefused::NoSpace => "No space left on device",
    }
}

/// A lab's router has one table for all its workers: it counts as a machine of one processor.
pub(super) fn statistics(named: &[(&str, u64)]) -> String {
    let mut line = String::from("cpu=0   \t");
    for (name, count) in named {
        line += &format!("{name}={count} ");
    }
    line + "\n"
}
