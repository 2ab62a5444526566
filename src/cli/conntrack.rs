//! `conntrack`, with the messages and exit codes of conntrack-tools 1.4.7 as seen by running it. What it can't do here, it refuses by name.

use std::net::IpAddr;
use std::sync::Arc;

use crate::base::{AddressMask, Family, MarkMask, protocol};
use crate::conntrack::text::{self, ExpectationForm, FlowForm};
use crate::conntrack::{Direction, Flow, Status};
use crate::lab::machine::{Machine, ToolOutput};

pub fn run(machine: &mut Machine, args: &[String]) -> ToolOutput {
    match Request::read(args) {
        Ok(request) => request.run(machine),
        Err(output) => output,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    List,
    Delete,
    Flush,
    Count,
    Version,
    Help,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Flows,
    Expectations,
}

#[derive(Debug)]
struct Request {
    command: Command,
    what: What,
    filter: Filter,
    extended: bool,
    id: bool,
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
    ports: [Option<u16>; 4],
    icmp: [Option<u16>; 3],
    state: Option<String>,
    status: Status,
    mark: Option<MarkMask>,
    /// The new source, where one is asked for.
    source_nat: Option<Option<IpAddr>>,
    destination_nat: Option<Option<IpAddr>>,
    any_nat: Option<Option<IpAddr>>,
}

impl Request {
    fn read(args: &[String]) -> Result<Self, ToolOutput> {
        let mut command = None;
        let mut request = Self {
            command: Command::Help,
            what: What::Flows,
            filter: Filter::default(),
            extended: false,
            id: false,
        };
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            at += 1;
            let (name, attached) = split(arg);
            let Some(option) = OPTIONS.iter().find(|option| option.names.contains(&name)) else {
                return Err(bad(&match arg.starts_with('-') {
                    true => format!("unknown option `{arg}'"),
                    false => format!("unknown argument `{arg}'"),
                }));
            };
            let following = args.get(at).filter(|next| !next.starts_with('-'));
            let value = match option.value {
                Value::None => None,
                Value::Optional => attached.or_else(|| {
                    at += usize::from(following.is_some());
                    following.cloned()
                }),
                Value::Needed => match attached.or_else(|| args.get(at).cloned().inspect(|_| at += 1)) {
                    Some(value) => Some(value),
                    None => return Err(bad(&format!("option `{arg}' requires an argument"))),
                },
            };
            let value = value.as_deref();
            match option.meaning {
                Meaning::Command(which) => {
                    if command.replace(which).is_some() {
                        return Err(bad("Invalid commands combination"));
                    }
                    request.what = match value {
                        None | Some("conntrack") => What::Flows,
                        Some("expect") => What::Expectations,
                        Some(table @ ("dying" | "unconfirmed")) => {
                            return Err(absent(&format!("table `{table}'")));
                        }
                        Some(other) => return Err(bad(&format!("unknown type `{other}'"))),
                    };
                }
                Meaning::Absent => return Err(absent(&format!("`{arg}'"))),
                Meaning::Ignored => {}
                Meaning::Output => request.output(value.unwrap_or(""))?,
                Meaning::Filter(set) => set(&mut request.filter, arg, value)?,
            }
        }
        request.command = command.unwrap_or(Command::Help);
        if request.filter.any_nat.is_some() && command.is_some_and(|command| command != Command::List) {
            return Err(bad("Illegal option `--any-nat' with this command"));
        }
        Ok(request)
    }

    fn output(&mut self, formats: &str) -> Result<(), ToolOutput> {
        for format in formats.split(',') {
            match format {
                "extended" => self.extended = true,
                "id" => self.id = true,
                "xml" | "save" | "timestamp" | "ktimestamp" | "labels" | "userspace" => {
                    return Err(absent(&format!("output format `{format}'")));
                }
                other => return Err(bad(&format!("Bad parameter `{other}'"))),
            }
        }
        Ok(())
    }

    fn run(&self, machine: &Machine) -> ToolOutput {
        let now = machine.now;
        let table = machine.router.flows();
        match (self.command, self.what) {
            (Command::Version, _) => ToolOutput::success(format!("{VERSION}\n")),
            (Command::Help, _) => ToolOutput::success(HELP),
            (Command::Count, What::Flows) => ToolOutput::success(format!("{}\n", table.count())),
            (Command::Count, What::Expectations) => ToolOutput::success(format!("{}\n", table.expectations(now).len())),
            (Command::Flush, What::Flows) => {
                table.flush();
                said("connection tracking table has been emptied.")
            }
            (Command::Flush | Command::Delete, What::Expectations) => absent("deleting expectations"),
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
        let config = machine.router.config();
        let extended = text::flow(flow, FlowForm::ToolExtended, machine.now, &config.conntrack)?;
        if !self.filter.lets_through(flow, &extended) {
            return None;
        }
        let form = match self.extended {
            true => FlowForm::ToolExtended,
            false => FlowForm::Tool,
        };
        let mut line = text::flow(flow, form, machine.now, &config.conntrack)?;
        if self.id {
            line += &format!(" id={}", flow.serial());
        }
        Some(line)
    }
}

impl Filter {
    fn lets_through(&self, flow: &Arc<Flow>, extended: &str) -> bool {
        let state = flow.lock();
        let original = flow.original();
        let reply = state.tuple(flow, Direction::Reply);
        let within = |mask: &Option<AddressMask>, address: IpAddr| mask.is_none_or(|mask| mask.contains(address));
        let ports = [
            original.source.id,
            original.destination.id,
            reply.source.id,
            reply.destination.id,
        ];
        let (kind, code) = original.icmp();
        let icmp = [u16::from(kind), u16::from(code), original.source.id];
        let equal = |wanted: &[Option<u16>], is: &[u16]| {
            wanted
                .iter()
                .zip(is)
                .all(|(wanted, is)| wanted.is_none_or(|wanted| wanted == *is))
        };
        // The tool looks whether the ends differ, not whether NAT made them. Seen: so any ping counts as mapped once NAT has looked at it, because
        // where ports stand elsewhere it has its identifier in one direction, and type and code in the other.
        let source_nat = |wanted: Option<IpAddr>| {
            state.status.has(Status::SRC_NAT_DONE)
                && match wanted {
                    Some(address) => {
                        original.source.address != reply.destination.address && reply.destination.address == address
                    }
                    None => original.source != reply.destination,
                }
        };
        let destination_nat = |wanted: Option<IpAddr>| {
            state.status.has(Status::DST_NAT_DONE)
                && match wanted {
                    Some(address) => {
                        original.destination.address != reply.source.address && reply.source.address == address
                    }
                    None => original.destination != reply.source,
                }
        };
        self.family.is_none_or(|family| family == original.family())
            && self.protocol.is_none_or(|number| number == original.protocol)
            && within(&self.source, original.source.address)
            && within(&self.destination, original.destination.address)
            && within(&self.reply_source, reply.source.address)
            && within(&self.reply_destination, reply.destination.address)
            && equal(&self.ports, &ports)
            && equal(&self.icmp, &icmp)
            && self
                .state
                .as_ref()
                .is_none_or(|wanted| extended.split_ascii_whitespace().nth(5) == Some(wanted))
            && state.status.has(self.status)
            && self.mark.is_none_or(|mark| mark.matches(state.mark))
            && self.source_nat.is_none_or(source_nat)
            && self.destination_nat.is_none_or(destination_nat)
            && self
                .any_nat
                .is_none_or(|wanted| source_nat(wanted) || destination_nat(wanted))
    }
}

/// A long option may carry its value behind `=`, a short one behind its letter.
fn split(arg: &str) -> (&str, Option<String>) {
    if arg.starts_with("--") {
        return match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (arg, None),
        };
    }
    match arg.char_indices().nth(2) {
        Some((at, _)) if arg.starts_with('-') => (&arg[..at], Some(arg[at..].to_owned())),
        _ => (arg, None),
    }
}

struct Opt {
    names: &'static [&'static str],
    value: Value,
    meaning: Meaning,
}

#[derive(Clone, Copy)]
enum Value {
    None,
    Optional,
    Needed,
}

type Set = fn(&mut Filter, &str, Option<&str>) -> Result<(), ToolOutput>;

#[derive(Clone, Copy)]
enum Meaning {
    Command(Command),
    Filter(Set),
    Output,
    /// It changes nothing here.
    Ignored,
    /// The real tool has it; here it is refused.
    Absent,
}

const fn command(names: &'static [&'static str], which: Command) -> Opt {
    Opt {
        names,
        value: Value::Optional,
        meaning: Meaning::Command(which),
    }
}

const fn filter(names: &'static [&'static str], value: Value, set: Set) -> Opt {
    Opt {
        names,
        value,
        meaning: Meaning::Filter(set),
    }
}

const fn absent_option(names: &'static [&'static str]) -> Opt {
    Opt {
        names,
        value: Value::None,
        meaning: Meaning::Absent,
    }
}

const OPTIONS: &[Opt] = &[
    command(&["-L", "--dump"], Command::List),
    command(&["-D", "--delete"], Command::Delete),
    command(&["-F", "--flush"], Command::Flush),
    command(&["-C", "--count"], Command::Count),
    command(&["-V", "--version"], Command::Version),
    command(&["-h", "--help"], Command::Help),
    absent_option(&["-G", "--get"]),
    absent_option(&["-I", "--create"]),
    absent_option(&["-A", "--add"]),
    absent_option(&["-U", "--update"]),
    absent_option(&["-E", "--event"]),
    absent_option(&["-S", "--stats"]),
    absent_option(&["-R", "--load-file"]),
    filter(&["-s", "--src", "--orig-src"], Value::Needed, |filter, _, value| {
        filter.source = Some(address(value)?);
        Ok(())
    }),
    filter(&["-d", "--dst", "--orig-dst"], Value::Needed, |filter, _, value| {
        filter.destination = Some(address(value)?);
        Ok(())
    }),
    filter(&["-r", "--reply-src"], Value::Needed, |filter, _, value| {
        filter.reply_source = Some(address(value)?);
        Ok(())
    }),
    filter(&["-q", "--reply-dst"], Value::Needed, |filter, _, value| {
        filter.reply_destination = Some(address(value)?);
        Ok(())
    }),
    filter(&["-p", "--proto", "--protonum"], Value::Needed, |filter, _, value| {
        filter.protocol = Some(match value.unwrap_or("") {
            "tcp" => protocol::TCP,
            "udp" => protocol::UDP,
            "icmp" => protocol::ICMP,
            "gre" => protocol::GRE,
            "sctp" => protocol::SCTP,
            "dccp" => protocol::DCCP,
            "udplite" => protocol::UDPLITE,
            other => match other.parse() {
                Ok(number) => number,
                Err(_) => return Err(bad(&format!("`{other}' unsupported protocol"))),
            },
        });
        Ok(())
    }),
    filter(&["-f", "--family"], Value::Needed, |filter, _, value| {
        filter.family = Some(match value {
            Some("ipv4") => Family::V4,
            Some("ipv6") => Family::V6,
            other => return Err(bad(&format!("`{}' unsupported protocol", other.unwrap_or("")))),
        });
        Ok(())
    }),
    filter(&["--sport", "--orig-port-src"], Value::Needed, |filter, name, value| {
        port(filter, name, 0, value)
    }),
    filter(&["--dport", "--orig-port-dst"], Value::Needed, |filter, name, value| {
        port(filter, name, 1, value)
    }),
    filter(&["--reply-port-src"], Value::Needed, |filter, name, value| {
        port(filter, name, 2, value)
    }),
    filter(&["--reply-port-dst"], Value::Needed, |filter, name, value| {
        port(filter, name, 3, value)
    }),
    filter(&["--icmp-type"], Value::Needed, |filter, name, value| {
        icmp(filter, name, 0, value)
    }),
    filter(&["--icmp-code"], Value::Needed, |filter, name, value| {
        icmp(filter, name, 1, value)
    }),
    filter(&["--icmp-id"], Value::Needed, |filter, name, value| {
        icmp(filter, name, 2, value)
    }),
    filter(&["--state"], Value::Needed, |filter, name, value| {
        let state = value.unwrap_or("");
        if filter.protocol != Some(protocol::TCP) {
            return Err(bad(&format!("unknown option `{name}'")));
        }
        if !TCP_STATES.contains(&state) {
            return Err(bad(&format!("unknown TCP state `{state}'")));
        }
        filter.state = Some(state.to_owned());
        Ok(())
    }),
    filter(&["-u", "--status"], Value::Needed, |filter, _, value| {
        for word in value.unwrap_or("").split(',') {
            filter.status.set(match word {
                "ASSURED" => Status::ASSURED,
                "SEEN_REPLY" => Status::SEEN_REPLY,
                "EXPECTED" => Status::EXPECTED,
                "SRC_NAT" => Status::SRC_NAT,
                "DST_NAT" => Status::DST_NAT,
                "UNSET" | "FIXED_TIMEOUT" | "OFFLOAD" | "HW_OFFLOAD" => {
                    return Err(absent(&format!("status `{word}'")));
                }
                other => return Err(bad(&format!("Bad parameter `{other}'"))),
            });
        }
        Ok(())
    }),
    filter(&["-m", "--mark"], Value::Needed, |filter, _, value| {
        let text = value.unwrap_or("");
        let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
        match (number(value), number(mask)) {
            (Some(value), Some(mask)) => {
                filter.mark = Some(MarkMask { value, mask });
                Ok(())
            }
            _ => Err(bad(&format!("Bad parameter `{text}'"))),
        }
    }),
    filter(&["-n", "--src-nat"], Value::Optional, |filter, _, value| {
        filter.source_nat = Some(value.map(host).transpose()?);
        Ok(())
    }),
    filter(&["-g", "--dst-nat"], Value::Optional, |filter, _, value| {
        filter.destination_nat = Some(value.map(host).transpose()?);
        Ok(())
    }),
    filter(&["-j", "--any-nat"], Value::Optional, |filter, _, value| {
        filter.any_nat = Some(value.map(host).transpose()?);
        Ok(())
    }),
    Opt {
        names: &["-o", "--output"],
        value: Value::Needed,
        meaning: Meaning::Output,
    },
    Opt {
        names: &["-b", "--buffer-size"],
        value: Value::Needed,
        meaning: Meaning::Ignored,
    },
    absent_option(&["-z", "--zero"]),
    absent_option(&["-t", "--timeout"]),
    absent_option(&["-w", "--zone"]),
    absent_option(&["--orig-zone"]),
    absent_option(&["--reply-zone"]),
    absent_option(&["-l", "--label"]),
    absent_option(&["--label-add"]),
    absent_option(&["--label-del"]),
    absent_option(&["-c", "--secmark"]),
    absent_option(&["-e", "--event-mask"]),
    absent_option(&["--tuple-src"]),
    absent_option(&["--tuple-dst"]),
    absent_option(&["--mask-src"]),
    absent_option(&["--mask-dst"]),
];

const TCP_STATES: &[&str] = &[
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "LISTEN",
];

/// Options of a protocol exist only once it has been named.
fn port(filter: &mut Filter, name: &str, which: usize, value: Option<&str>) -> Result<(), ToolOutput> {
    let has_ports = [
        protocol::TCP,
        protocol::UDP,
        protocol::UDPLITE,
        protocol::SCTP,
        protocol::DCCP,
    ];
    if !filter.protocol.is_some_and(|number| has_ports.contains(&number)) {
        return Err(bad(&format!("unknown option `{name}'")));
    }
    let text = value.unwrap_or("");
    filter.ports[which] = Some(text.parse().map_err(|_| bad(&format!("Bad parameter `{text}'")))?);
    Ok(())
}

fn icmp(filter: &mut Filter, name: &str, which: usize, value: Option<&str>) -> Result<(), ToolOutput> {
    if filter.protocol != Some(protocol::ICMP) {
        return Err(bad(&format!("unknown option `{name}'")));
    }
    let text = value.unwrap_or("");
    filter.icmp[which] = Some(text.parse().map_err(|_| bad(&format!("Bad parameter `{text}'")))?);
    Ok(())
}

fn address(value: Option<&str>) -> Result<AddressMask, ToolOutput> {
    let text = value.unwrap_or("");
    let wrong = || bad(&format!("Invalid IP address `{text}'"));
    let Some((address, mask)) = text.split_once('/') else {
        return Ok(AddressMask::host(host(text)?));
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let made = match mask.parse::<u8>() {
        Ok(length) => AddressMask::prefix(address, length),
        Err(_) => mask.parse().ok().and_then(|mask| AddressMask::new(address, mask)),
    };
    made.ok_or_else(wrong)
}

fn host(text: &str) -> Result<IpAddr, ToolOutput> {
    text.parse().map_err(|_| bad(&format!("Invalid IP address `{text}'")))
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
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

fn absent(what: &str) -> ToolOutput {
    ToolOutput::failure(
        2,
        format!("{VERSION}: {what} is not there yet in nflab; nothing was changed\n"),
    )
}

const VERSION: &str = "conntrack v1.4.7 (conntrack-tools)";

const HELP: &str = "\
conntrack of a lab: the flows that its router tracks.
  -L [conntrack|expect]  list       -D  delete what the filter lets through
  -F  delete all flows              -C [conntrack|expect]  count
Filters: -s -d (--orig-src --orig-dst) -r -q (--reply-src --reply-dst) ADDRESS[/MASK], -p PROTOCOL with --sport --dport
  --reply-port-src --reply-port-dst --state --icmp-type --icmp-code --icmp-id, -f ipv4|ipv6, -u STATUS, -m MARK[/MASK],
  -n -g -j [ADDRESS] (source, destination, any NAT).
Output: -o extended,id
";
