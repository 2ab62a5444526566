//! A call of `conntrack` as its arguments say it.

use std::net::IpAddr;
use std::sync::Arc;

use super::arguments::Reader;
use super::made::has_type;
use super::options::{self, Meaning, OPTIONS, STATUSES, each, loose};
use super::output::Output;
use super::{bad, fail, legal};
use crate::base::{AddressMask, Family, MarkMask};
use crate::conntrack::labels::{BITS, FILE};
use crate::conntrack::proto::tool::{self, Asked, ToolOption};
use crate::conntrack::proto::{self};
use crate::conntrack::{Endpoint, EventKind, LabelNames, Labels, Status, Zone, ZoneScope};
use crate::lab::files::Files;
use crate::lab::machine::ToolOutput;
use crate::packet::End;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    List,
    Get,
    Delete,
    Create,
    /// As `Create`, but what is there already is no failure.
    Add,
    Update,
    Events,
    Flush,
    Count,
    Statistics,
    Version,
    Help,
    /// None was named.
    Nothing,
}

/// Which table it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Flows,
    /// Those on their way into the table, or out of it. Seen: the kernel keeps lists of neither any more.
    Passing,
    Expectations,
}

/// What reading arguments needs besides, and leaves.
#[derive(Debug, Default)]
pub(super) struct Surroundings<'a> {
    /// Where the file of labels may be; without, any label is taken for one.
    files: Option<&'a Files>,
    labels: Option<Result<Arc<LabelNames>, String>>,
    /// What is said before anything else.
    pub warnings: String,
    /// Labels are asked for by name.
    pub names_labels: bool,
}

impl<'a> Surroundings<'a> {
    pub(super) fn with(files: &'a Files) -> Self {
        Self {
            files: Some(files),
            ..Self::default()
        }
    }

    /// Reads the file of labels, once; what is wrong with it is said each time.
    fn labels(&mut self) {
        self.names_labels = true;
        let Some(files) = self.files else { return };
        let read = self
            .labels
            .get_or_insert_with(|| Ok(Arc::new(LabelNames::parse(&files.take(FILE)?))));
        if let Err(why) = read {
            self.warnings += &format!("nfct_labelmap_new: {why}\n");
        }
    }

    /// The bits of some labels between commas.
    fn bits(&mut self, names: &str) -> Result<Labels, ToolOutput> {
        let mut bits = 0;
        for name in names.split(',').filter(|_| self.files.is_some()) {
            let labels = self.labels.as_ref().and_then(|read| read.as_ref().ok());
            let bit = labels.and_then(|labels| labels.bit(name));
            let bit = bit.filter(|bit| *bit < BITS);
            bits |= 1 << bit.ok_or_else(|| bad(&format!("unknown label '{name}'")))?;
        }
        Ok(bits)
    }
}

#[derive(Debug)]
pub(super) struct Request {
    pub command: Command,
    pub what: What,
    pub wanted: Wanted,
    pub output: Output,
    /// Counters are set to zero when they have been shown.
    pub zero: bool,
    /// Which things that happen are shown; all where none is named.
    pub events: Vec<EventKind>,
    /// As asked for, in bytes.
    pub buffer: Option<u64>,
    /// Some option was given by which flows are compared one by one.
    pub compares: bool,
}

/// What the options say of a flow or an expectation: what a filter lets through, or what is made of it.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub family: Option<Family>,
    pub protocol: Option<u8>,
    /// The same where its options are known by that.
    pub options_of: Option<u8>,
    /// Source and destination, as in all of these.
    pub original: [Option<IpAddr>; 2],
    pub masks: [Option<IpAddr>; 2],
    pub reply: [Option<IpAddr>; 2],
    pub expected: [Option<IpAddr>; 2],
    /// The 16 bits at the ends that a filter compares, original and reply.
    pub ids: [[Option<u16>; 2]; 2],
    /// Those that a flow is made with.
    pub made_ids: [[Option<u16>; 2]; 2],
    /// ICMP's type and code.
    pub kind: Option<u8>,
    pub code: Option<u8>,
    /// Whether an address stood before the type. Seen: only then does the tool know the answer's.
    pub kind_is_of_family: bool,
    /// Whether both addresses of a reply did, which the type is told to then.
    pub kind_is_of_reply: bool,
    pub state: Option<&'static str>,
    /// Those that a flow is made with, original and reply.
    pub tags: [Option<u32>; 2],
    /// A state of a protocol of which the kernel neither takes nor tells one.
    pub unheard: bool,
    /// `-u` was given, whatever it said.
    pub by_status: bool,
    pub status: Status,
    pub unreplied: bool,
    /// A status that no flow here can have.
    pub no_status: bool,
    pub mark: Option<MarkMask>,
    pub id: Option<u32>,
    pub timeout: Option<u32>,
    /// Of both directions, of the original, of the reply.
    pub zones: [Option<u16>; 3],
    /// The new source, where one is asked for.
    pub source_nat: Option<NatEnd>,
    pub destination_nat: Option<NatEnd>,
    pub any_nat: Option<NatEnd>,
    /// Labels that a flow must have.
    pub labels: Option<Labels>,
    pub labels_to_add: Option<Labels>,
    pub labels_to_take: Option<Labels>,
}

/// What an address was changed to, or shall be, as far as that is said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NatEnd {
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
}

impl NatEnd {
    /// What was said before stays where nothing else is said of it.
    pub(super) fn after(self, before: Option<Self>) -> Self {
        let before = before.unwrap_or_default();
        Self {
            address: self.address.or(before.address),
            port: self.port.or(before.port),
        }
    }

    /// The tool looks whether the ends differ, not whether NAT made them. Seen: so any ping counts as mapped once NAT has looked at it, because
    /// where ports stand elsewhere it has its identifier in one direction, and type and code in the other. What is asked for must differ itself;
    /// and asked for its port, a ping has 0.
    pub(super) fn made(&self, number: u8, before: &Endpoint, after: &Endpoint) -> bool {
        let port = if has_type(number) { 0 } else { after.id };
        let has_port = |asked| before.id != after.id && port == asked;
        match self.address {
            Some(address @ IpAddr::V4(_)) => {
                before.address != after.address && after.address == address && self.port.is_none_or(has_port)
            }
            // Seen: it compares no address of IPv6, but the port that stands behind one.
            Some(IpAddr::V6(_)) => self.port.map_or(before != after, has_port),
            None => before != after,
        }
    }
}

impl Request {
    pub(super) fn read(args: &[String], around: &mut Surroundings<'_>) -> Result<Self, ToolOutput> {
        let mut command = None;
        let mut table = None;
        let mut request = Self {
            command: Command::Nothing,
            what: What::Flows,
            wanted: Wanted::default(),
            output: Output::default(),
            zero: false,
            events: Vec::new(),
            buffer: None,
            compares: false,
        };
        // By their first names, because the tool complains of the first in its own order.
        let mut given = Vec::new();
        let mut reader = Reader::new(args, &OPTIONS);
        while let Some((spec, value)) = reader.next()? {
            let name = spec.names[0];
            let value = value.as_deref();
            let text = value.unwrap_or("");
            match spec.key {
                Meaning::Command(which) => {
                    let named = value.map(options::table_of).transpose()?;
                    if which != Command::List && matches!(named, Some("dying" | "unconfirmed")) {
                        return Err(bad("Can't do that command with tables `dying' and `unconfirmed'"));
                    }
                    if let (Command::Add | Command::Update, Some("expect")) = (which, named) {
                        return Err(bad(&format!("Can't do --{name} on expectations")));
                    }
                    // Seen: what a command cannot do is said before it is one too many.
                    if command.replace(which).is_some() {
                        return Err(bad("Invalid commands combination"));
                    }
                    table = named;
                    continue;
                }
                // The C library's pointer to the option's text is all it has to say of it.
                Meaning::Deprecated => {
                    around.warnings += "WARNING: ignoring -a, deprecated option.\n";
                    continue;
                }
                Meaning::Output => {
                    request.output.read(text, &mut around.warnings)?;
                    if request.output.labels {
                        around.labels();
                    }
                }
                Meaning::Events => each(text, options::EVENTS, &mut around.warnings, |word| match word {
                    "NEW" => request.events.push(EventKind::New),
                    "UPDATES" => request.events.push(EventKind::Update),
                    "DESTROY" => request.events.push(EventKind::Destroy),
                    _ => request.events.extend(EVERY_EVENT),
                })?,
                Meaning::Buffer => request.buffer = Some(loose(text, 10)),
                Meaning::Zero => request.zero = true,
                Meaning::Status => request.wanted.read_status(text, &mut around.warnings)?,
                Meaning::OfProtocol(option) => request.wanted.read_of_protocol(option, text)?,
                Meaning::Label => {
                    around.labels();
                    let bits = around.bits(text)?;
                    request.wanted.labels = Some(request.wanted.labels.unwrap_or(0) | bits);
                }
                Meaning::LabelToAdd => {
                    around.labels();
                    one_change_of_labels(request.wanted.labels_to_take)?;
                    let bits = around.bits(text)?;
                    request.wanted.labels_to_add = Some(request.wanted.labels_to_add.unwrap_or(0) | bits);
                }
                Meaning::LabelToTake => {
                    around.labels();
                    one_change_of_labels(request.wanted.labels_to_add)?;
                    let bits = value.map_or(Ok(Labels::MAX), |names| around.bits(names))?;
                    request.wanted.labels_to_take = Some(request.wanted.labels_to_take.unwrap_or(0) | bits);
                }
                Meaning::Set(set) => {
                    set(&mut request.wanted, name, value)?;
                    reader.protocols.extend(request.wanted.options_of);
                    // A mask after the slash is one of its own.
                    let masks = request.wanted.masks.iter().zip(["mask-src", "mask-dst"]);
                    given.extend(masks.filter(|(mask, _)| mask.is_some()).map(|(_, name)| name));
                }
            }
            given.push(name);
        }
        request.output.form.labels = around.labels.as_ref().and_then(|read| read.as_ref().ok()).cloned();
        request.wanted.one_kind_of_nat()?;
        request.command = command.unwrap_or(Command::Nothing);
        request.what = match table {
            None | Some("conntrack") => What::Flows,
            Some("expect") => What::Expectations,
            Some(_) => What::Passing,
        };
        legal::check(request.command, request.what, request.wanted.options_of, &given)?;
        request.compares = COMPARED.iter().any(|name| given.contains(name));
        if request.zero && request.compares && request.what == What::Flows {
            return Err(bad("Can't use -z with filtering parameters"));
        }
        Ok(request)
    }
}

impl Wanted {
    /// Any address says of which family everything is.
    pub(super) fn of_family(&mut self, family: Family) -> Result<(), ToolOutput> {
        match self.family.replace(family) {
            Some(other) if other != family => Err(bad("mismatched address family")),
            _ => Ok(()),
        }
    }

    /// The zone of a flow that is made. Seen: behind one that is not 0 the kernel takes no other, not even 0.
    pub(super) fn zone(&self) -> Option<Zone> {
        let scopes = [ZoneScope::Both, ZoneScope::Original, ZoneScope::Reply];
        let mut named = self.zones.iter().zip(scopes);
        named.try_fold(Zone::default(), |zone, (id, scope)| match id {
            Some(_) if zone.id != 0 => None,
            Some(id) => Some(Zone { id: *id, scope }),
            None => Some(zone),
        })
    }

    /// The addresses that the original's end may be.
    pub(super) fn network(&self, end: usize) -> Option<AddressMask> {
        let address = self.original[end]?;
        match self.masks[end] {
            None => Some(AddressMask::host(address)),
            Some(mask) => AddressMask::new(address, mask),
        }
    }

    /// Whether a mapping is asked for. Seen: without an address the tool tells the kernel of none.
    pub(super) fn maps(&self) -> bool {
        let ends = [self.source_nat, self.destination_nat];
        ends.into_iter().flatten().any(|end| end.address.is_some())
    }

    fn one_kind_of_nat(&self) -> Result<(), ToolOutput> {
        match self.any_nat.is_some() && (self.source_nat.is_some() || self.destination_nat.is_some()) {
            true => Err(bad("cannot specify `--src-nat' or `--dst-nat' with `--any-nat'")),
            false => Ok(()),
        }
    }

    fn read_status(&mut self, words: &str, warnings: &mut String) -> Result<(), ToolOutput> {
        self.by_status = true;
        each(words, STATUSES, warnings, |word| match word {
            "ASSURED" => self.status.set(Status::ASSURED),
            "SEEN_REPLY" => self.status.set(Status::SEEN_REPLY),
            "EXPECTED" => self.status.set(Status::EXPECTED),
            "FIXED_TIMEOUT" => self.status.set(Status::FIXED_TIMEOUT),
            "UNREPLIED" => self.unreplied = true,
            // Only what carries flows around the kernel sets these.
            "OFFLOAD" | "HW_OFFLOAD" => self.no_status = true,
            _ => {}
        })
    }

    /// What an option that a protocol brings asks, with its value.
    fn read_of_protocol(&mut self, option: &ToolOption, value: &str) -> Result<(), ToolOutput> {
        let number = loose(value, 10) as u16;
        let of_end = |end| match end {
            End::Source => 0,
            End::Destination => 1,
        };
        match option.asks {
            Asked::Id(direction, end) => {
                self.ids[direction.index()][of_end(end)] = Some(number);
                self.made_ids[direction.index()][of_end(end)] = Some(number);
            }
            Asked::Key(direction, end) => {
                self.made_ids[direction.index()][of_end(end)] = Some(loose(value, 0) as u16);
            }
            // A byte each.
            Asked::Type => {
                self.kind = Some(number as u8);
                self.kind_is_of_family = self.family.is_some();
                self.kind_is_of_reply = self.reply.iter().all(Option::is_some);
            }
            Asked::Code => self.code = Some(number as u8),
            Asked::State(words) => {
                let Some((_, shown)) = words.iter().find(|(word, _)| *word == value) else {
                    let protocol = self.protocol.map_or("", |number| proto::spec(number).name);
                    let protocol = protocol.to_ascii_uppercase();
                    return Err(bad(&format!("unknown {protocol} state `{value}'")));
                };
                self.state = Some(shown);
            }
            Asked::Tag(direction) => self.tags[direction.index()] = Some(tool::told_tag(loose(value, 10) as u32)),
            Asked::Words(complaint, words) if !words.contains(&value) => {
                return Err(bad(&format!("{complaint} `{value}'")));
            }
            Asked::Words(..) => self.unheard |= option.names == ["state"],
            // What is expected is so whatever its ports, as far as the tool tells the kernel: seen.
            Asked::Expected(_) | Asked::Mask(_) => {}
        }
        Ok(())
    }
}

/// Seen: this is said before the names are looked for.
fn one_change_of_labels(other: Option<Labels>) -> Result<(), ToolOutput> {
    match other {
        Some(_) => Err(fail(1, "cannot use --label-add and --label-del at the same time")),
        None => Ok(()),
    }
}

pub(super) const EVERY_EVENT: [EventKind; 3] = [EventKind::New, EventKind::Update, EventKind::Destroy];

/// The options by which the tool compares flows itself.
const COMPARED: &[&str] = &[
    "src",
    "dst",
    "reply-src",
    "reply-dst",
    "protonum",
    "mark",
    "status",
    "id",
    "secmark",
    "zone",
    "orig-zone",
    "reply-zone",
];
