//! `conntrack`, with the messages and exit codes of conntrack-tools 1.4.7 as seen by running it. What it can't do here, it refuses by name.

use std::net::IpAddr;
use std::sync::Arc;

use crate::base::{AddressMask, Family, MarkMask};
use crate::conntrack::proto::tool::{Asked, ToolOption};
use crate::conntrack::text::{self, ExpectationForm, FlowForm};
use crate::conntrack::{Direction, Endpoint, EventKind, Flow, Status};
use crate::lab::machine::{Machine, ToolOutput};
use arguments::{Reader, Spec};
use options::{
    ALL, DELETE, EVENT, EVENTS, FORMATS, LIST, Meaning, OPTIONS, STATUSES, ask, each, host, loose, network, table_of,
};

mod arguments;
#[cfg(unix)]
pub(crate) mod events;
mod options;

pub(super) fn run(machine: &mut Machine, args: &[String]) -> ToolOutput {
    // Said before anything else, an error too.
    let mut warnings = String::new();
    let output = match Request::read(args, &mut warnings) {
        Ok(request) => request.run(machine),
        Err(output) => output,
    };
    ToolOutput {
        stderr: warnings + &output.stderr,
        ..output
    }
}

/// Whether these arguments ask for what happens to flows; what is wrong with them is said when the tool runs.
pub(super) fn listens(args: &[String]) -> bool {
    let request = Request::read(args, &mut String::new());
    request.is_ok_and(|request| (request.command, request.what) == (Command::Events, What::Flows))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    List,
    Delete,
    Flush,
    Count,
    Events,
    Version,
    Help,
    /// One of the real tool's that is not here.
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Flows,
    Expectations,
}

/// Which of the options that protocols bring go with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Brought {
    None,
    ThatFilter,
    All,
}

impl Brought {
    fn allows(self, option: &ToolOption) -> bool {
        match self {
            Self::None => false,
            Self::ThatFilter => option.asks != Asked::Unasked,
            Self::All => true,
        }
    }
}

#[derive(Debug)]
struct Request {
    command: Command,
    what: What,
    filter: Filter,
    extended: bool,
    id: bool,
    timestamp: bool,
    /// Which things that happen to flows are shown.
    events: Vec<EventKind>,
    /// As asked for, in bytes.
    buffer: Option<u64>,
}

/// All of these have to hold.
#[derive(Debug, Default)]
struct Filter {
    family: Option<Family>,
    protocol: Option<u8>,
    source: Option<AddressMask>,
    destination: Option<AddressMask>,
    reply_source: Option<AddressMask>,
    reply_destination: Option<AddressMask>,
    /// The 16 bits at the ends: the original's source and destination, the reply's.
    ids: [Option<u16>; 4],
    /// ICMP's type and code.
    kind: Option<u8>,
    code: Option<u8>,
    state: Option<&'static str>,
    /// `-u` was given, whatever it said.
    by_status: bool,
    status: Status,
    unreplied: bool,
    /// A status that no flow here can have.
    none: bool,
    mark: Option<MarkMask>,
    /// The new source, where one is asked for.
    source_nat: Option<NatEnd>,
    destination_nat: Option<NatEnd>,
    any_nat: Option<NatEnd>,
}

/// What an address was changed to, as far as it is asked for.
#[derive(Clone, Copy, Debug, Default)]
struct NatEnd {
    address: Option<IpAddr>,
    port: Option<u16>,
}

impl NatEnd {
    /// The tool looks whether the ends differ, not whether NAT made them. Seen: so any ping counts as mapped once NAT has looked at it, because
    /// where ports stand elsewhere it has its identifier in one direction, and type and code in the other. What is asked for must differ itself.
    fn made(&self, before: &Endpoint, after: &Endpoint) -> bool {
        let Some(address) = self.address else {
            return before != after;
        };
        before.address != after.address
            && after.address == address
            && self.port.is_none_or(|port| before.id != after.id && after.id == port)
    }
}

impl Request {
    fn read(args: &[String], warnings: &mut String) -> Result<Self, ToolOutput> {
        let mut command = None;
        let mut table = None;
        let mut request = Self {
            command: Command::Help,
            what: What::Flows,
            filter: Filter::default(),
            extended: false,
            id: false,
            timestamp: false,
            events: Vec::new(),
            buffer: None,
        };
        // Places in `OPTIONS`, because the tool complains of the first in its own order.
        let mut given = Vec::new();
        let mut refused = None;
        let mut reader = Reader::new(args, &OPTIONS);
        while let Some((spec, value)) = reader.next()? {
            let name = spec.names[0];
            let value = value.as_deref();
            match spec.key {
                Meaning::Command(which) => {
                    table = value.map(table_of).transpose()?.or(table);
                    if which != Command::List && matches!(table, Some("dying" | "unconfirmed")) {
                        return Err(bad("Can't do that command with tables `dying' and `unconfirmed'"));
                    }
                    if command.replace(which).is_some() {
                        return Err(bad("Invalid commands combination"));
                    }
                    if which == Command::Absent {
                        refused = refused.or(Some(format!("`--{name}'")));
                    }
                    continue;
                }
                // The C library's pointer to the option's text is all it has to say of it.
                Meaning::Deprecated => *warnings += "WARNING: ignoring -a, deprecated option.\n",
                Meaning::Absent => refused = refused.or(Some(format!("`--{name}'"))),
                Meaning::AbsentAddress => {
                    match name.starts_with("tuple") {
                        true => drop(network(&mut request.filter, name, value)?),
                        false => drop(host(&mut request.filter, name, value)?),
                    }
                    refused = refused.or(Some(format!("`--{name}'")));
                }
                Meaning::Output => refused = refused.or(request.output(value.unwrap_or(""), warnings)?),
                Meaning::Events => each(value.unwrap_or(""), EVENTS, warnings, |word| match word {
                    "NEW" => request.events.push(EventKind::New),
                    "UPDATES" => request.events.push(EventKind::Update),
                    "DESTROY" => request.events.push(EventKind::Destroy),
                    _ => request.events.extend(EVERY_EVENT),
                })?,
                Meaning::Buffer => request.buffer = Some(loose(value.unwrap_or(""), 10)),
                Meaning::Status => request.status(value.unwrap_or(""), warnings)?,
                Meaning::OfProtocol(asked) => match asked.asks {
                    Asked::NotThere => refused = refused.or(Some(format!("`--{name}'"))),
                    _ => ask(&mut request.filter, asked, value.unwrap_or(""))?,
                },
                Meaning::Filter(set) => {
                    set(&mut request.filter, name, value)?;
                    reader.protocols.extend(request.filter.protocol);
                }
            }
            given.push(name);
        }
        request.filter.one_kind_of_nat()?;
        request.command = command.unwrap_or(Command::Help);
        request.what = match table {
            None | Some("conntrack") => What::Flows,
            Some("expect") => What::Expectations,
            Some(table) => {
                refused = Some(format!("table `{table}'"));
                What::Flows
            }
        };
        let (legal, brought) = request.legal();
        let is_illegal = |spec: &&Spec<Meaning>| match spec.key {
            Meaning::OfProtocol(option) => !brought.allows(option),
            _ => !legal.contains(&spec.names[0]),
        };
        let mut illegal = OPTIONS.iter().filter(is_illegal).map(|spec| spec.names[0]);
        let illegal = illegal.find(|name| given.contains(name));
        if let Some(name) = illegal {
            return Err(bad(&format!("Illegal option `--{name}' with this command")));
        }
        for (mask, needed) in [("mask-src", "src"), ("mask-dst", "dst")] {
            if given.contains(&mask) && !given.contains(&needed) {
                return Err(bad(&format!("Can't use --{mask} without --{needed}")));
            }
        }
        if request.timestamp && request.command != Command::Events {
            refused = refused.or(Some("output format `timestamp'".to_owned()));
        }
        match refused {
            Some(what) => Err(absent(&what)),
            None => Ok(request),
        }
    }

    /// The options of its own that the command goes with, and which of those that a protocol brings.
    fn legal(&self) -> (&'static [&'static str], Brought) {
        match (self.command, self.what) {
            (Command::List, What::Flows) => (LIST, Brought::ThatFilter),
            (Command::Delete, What::Flows) => (DELETE, Brought::ThatFilter),
            (Command::List, What::Expectations) => (&["family", "output"], Brought::None),
            (Command::Flush, What::Flows) => (&["family"], Brought::None),
            (Command::Events, What::Flows) => (EVENT, Brought::ThatFilter),
            (Command::Events, What::Expectations) => (&["family", "output", "buffer-size"], Brought::None),
            // What is refused whole is refused with any option.
            (Command::Absent, _) | (Command::Delete, What::Expectations) => (ALL, Brought::All),
            _ => (&[], Brought::None),
        }
    }

    /// Gives the format that is not here, if one was named. A name may be cut short.
    fn output(&mut self, formats: &str, warnings: &mut String) -> Result<Option<String>, ToolOutput> {
        let mut refused = None;
        let Self {
            extended,
            id,
            timestamp,
            ..
        } = self;
        each(formats, FORMATS, warnings, |format| match format {
            "extended" => *extended = true,
            "id" => *id = true,
            "timestamp" => *timestamp = true,
            format => refused = Some(format!("output format `{format}'")),
        })?;
        Ok(refused)
    }

    fn status(&mut self, words: &str, warnings: &mut String) -> Result<(), ToolOutput> {
        let filter = &mut self.filter;
        filter.by_status = true;
        each(words, STATUSES, warnings, |word| match word {
            "ASSURED" => filter.status.set(Status::ASSURED),
            "SEEN_REPLY" => filter.status.set(Status::SEEN_REPLY),
            "EXPECTED" => filter.status.set(Status::EXPECTED),
            "UNREPLIED" => filter.unreplied = true,
            // Nothing here makes such a flow.
            "FIXED_TIMEOUT" | "OFFLOAD" | "HW_OFFLOAD" => filter.none = true,
            _ => {}
        })
    }

    fn run(&self, machine: &Machine) -> ToolOutput {
        let now = machine.now;
        let table = machine.router().flows();
        match (self.command, self.what) {
            (Command::Version, _) => ToolOutput::success(format!("{VERSION}\n")),
            (Command::Help | Command::Absent, _) => ToolOutput::success(HELP),
            (Command::Count, What::Flows) => ToolOutput::success(format!("{}\n", table.count())),
            (Command::Count, What::Expectations) => ToolOutput::success(format!("{}\n", table.expectations(now).len())),
            (Command::Flush, What::Flows) => {
                table.flush();
                said("connection tracking table has been emptied.")
            }
            (Command::Flush | Command::Delete, What::Expectations) => absent("deleting expectations"),
            (Command::Events, What::Expectations) => absent_but(
                "events of expectations",
                "`nflab conntrack -L expect` lists those that there are",
            ),
            (Command::Events, What::Flows) => ToolOutput::failure(
                2,
                format!(
                    "{VERSION}: `--event' waits for what happens, and this lab answers one call at a time; run `nflab conntrack -E` on a live lab, or list with `nflab conntrack -L'\n"
                ),
            ),
            (Command::List, What::Expectations) => {
                let lines: Vec<String> = table
                    .expectations(now)
                    .iter()
                    .map(|expectation| text::expectation(expectation, ExpectationForm::Tool, now))
                    .collect();
                ToolOutput {
                    stdout: lines.iter().map(|line| format!("{line}\n")).collect(),
                    ..said(&format!("{} expectations have been shown.", lines.len()))
                }
            }
            // A list is filtered by the kernel, which wants a status to filter by.
            (Command::List, What::Flows) if self.filter.by_status && !self.filter.has_status() => {
                ToolOutput::failure(1, format!("{VERSION}: Operation failed: invalid parameters\n"))
            }
            (command @ (Command::List | Command::Delete), What::Flows) => {
                let mut stdout = String::new();
                let mut count = 0;
                for flow in table.flows(now) {
                    let Some(line) = self.line(machine, &flow) else {
                        continue;
                    };
                    if command == Command::Delete && !table.delete(&flow) {
                        continue;
                    }
                    count += 1;
                    stdout += &line;
                    stdout.push('\n');
                }
                match command {
                    Command::Delete => ToolOutput {
                        stdout,
                        // Nothing to delete is a failure, nothing to show is none.
                        code: i32::from(count == 0),
                        ..said(&format!("{count} flow entries have been deleted."))
                    },
                    _ => ToolOutput {
                        stdout,
                        ..said(&format!("{count} flow entries have been shown."))
                    },
                }
            }
        }
    }

    /// The flow's line, if the filter lets it through and it still lives.
    fn line(&self, machine: &Machine, flow: &Arc<Flow>) -> Option<String> {
        if !self.filter.lets_through(flow) {
            return None;
        }
        let form = match self.extended {
            true => FlowForm::ToolExtended,
            false => FlowForm::Tool,
        };
        let mut line = text::flow(flow, form, machine.now)?;
        if self.id {
            line += &format!(" id={}", flow.serial());
        }
        Some(line)
    }
}

impl Filter {
    fn has_status(&self) -> bool {
        self.status != Status::default() || self.unreplied || self.none
    }

    /// Any address says of which family everything is.
    fn of_family(&mut self, family: Family) -> Result<(), ToolOutput> {
        match self.family.replace(family) {
            Some(other) if other != family => Err(bad("mismatched address family")),
            _ => Ok(()),
        }
    }

    fn one_kind_of_nat(&self) -> Result<(), ToolOutput> {
        match self.any_nat.is_some() && (self.source_nat.is_some() || self.destination_nat.is_some()) {
            true => Err(bad("cannot specify `--src-nat' or `--dst-nat' with `--any-nat'")),
            false => Ok(()),
        }
    }

    fn lets_through(&self, flow: &Flow) -> bool {
        let state = flow.lock();
        let original = flow.original();
        let reply = state.tuple(flow, Direction::Reply);
        let within = |mask: &Option<AddressMask>, address: IpAddr| mask.is_none_or(|mask| mask.contains(address));
        let ids = [
            original.source.id,
            original.destination.id,
            reply.source.id,
            reply.destination.id,
        ];
        let (kind, code) = original.icmp();
        let source_nat = |wanted: NatEnd| {
            state.status.has(Status::SRC_NAT_DONE) && wanted.made(&original.source, &reply.destination)
        };
        let destination_nat = |wanted: NatEnd| {
            state.status.has(Status::DST_NAT_DONE) && wanted.made(&original.destination, &reply.source)
        };
        self.family.is_none_or(|family| family == original.family())
            && self.protocol.is_none_or(|number| number == original.protocol)
            && within(&self.source, original.source.address)
            && within(&self.destination, original.destination.address)
            && within(&self.reply_source, reply.source.address)
            && within(&self.reply_destination, reply.destination.address)
            && self
                .ids
                .iter()
                .zip(ids)
                .all(|(wanted, is)| wanted.is_none_or(|wanted| wanted == is))
            && self.kind.is_none_or(|wanted| wanted == kind)
            && self.code.is_none_or(|wanted| wanted == code)
            && self
                .state
                .is_none_or(|wanted| state.protocol.state_name() == Some(wanted))
            && state.status.has(self.status)
            && !self.none
            && (!self.unreplied || self.status.has(Status::SEEN_REPLY) || !state.status.has(Status::SEEN_REPLY))
            && self.mark.is_none_or(|mark| mark.matches(state.mark))
            && self.source_nat.is_none_or(source_nat)
            && self.destination_nat.is_none_or(destination_nat)
            && self
                .any_nat
                .is_none_or(|wanted| source_nat(wanted) || destination_nat(wanted))
    }
}

fn said(what: &str) -> ToolOutput {
    ToolOutput {
        stderr: format!("{VERSION}: {what}\n"),
        ..ToolOutput::default()
    }
}

fn bad(what: &str) -> ToolOutput {
    ToolOutput::failure(
        2,
        format!("{VERSION}: {what}\nTry `conntrack -h' or 'conntrack --help' for more information.\n"),
    )
}

fn absent_but(what: &str, instead: &str) -> ToolOutput {
    ToolOutput::failure(2, format!("{VERSION}: {what} are not there yet in nflab: {instead}\n"))
}

fn absent(what: &str) -> ToolOutput {
    ToolOutput::failure(
        2,
        format!("{VERSION}: {what} is not there yet in nflab; nothing was changed\n"),
    )
}

const EVERY_EVENT: [EventKind; 3] = [EventKind::New, EventKind::Update, EventKind::Destroy];

const VERSION: &str = "conntrack v1.4.7 (conntrack-tools)";

const HELP: &str = "\
conntrack of a lab: the flows that its router tracks.
  -L [conntrack|expect]  list       -D  delete what the filter lets through
  -F  delete all flows              -C [conntrack|expect]  count
  -E  show what happens to flows, as it happens, with -e NEW,UPDATES,DESTROY and -b BUFFER
Filters: -s -d (--orig-src --orig-dst) -r -q (--reply-src --reply-dst) ADDRESS[/MASK], -p PROTOCOL with --sport --dport
  --reply-port-src --reply-port-dst --state --icmp-type --icmp-code --icmp-id, -f ipv4|ipv6, -u STATUS, -m MARK[/MASK],
  -n -g -j [ADDRESS] (source, destination, any NAT).
Output: -o extended,id, and for -E timestamp
";
