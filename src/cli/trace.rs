//! `nflab trace`: packets through a lab in memory, told rule by rule; or those that pass a live one.

use std::path::{Path, PathBuf};

#[cfg(unix)]
use super::current;
use super::open;
use super::tools::said_by_system;
use crate::base::bytes::text_of_path;
use crate::base::{Family, InterfaceName};
use crate::device::file_uses::{FileUses, Sharing};
use crate::device::result_file;
use crate::device::standard::{self, tell, tell_styled};
use crate::device::text_file::read_file;
use crate::explain::filter::{Filter, Names};
use crate::explain::picture;
use crate::explain::story::Detail;
use crate::explain::why::RuleName;
use crate::lab::conversation::Hosts;
use crate::lab::machine::{Machine, ToolOutput};
use crate::lab::memory::{LOCAL, Lab};
use crate::lab::script::lex::{Input, lex};
use crate::lab::script::trace::{Form, interface_and_packet, tell};
use crate::lab::script::{Runner, asked_family};
use crate::lab::send::Draft;
use crate::syntax::problem::{Problem, Source, SourceError};
use crate::syntax::words::Words;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A fresh lab from this file. With neither this nor --rules the current lab is asked: that of `nflab sh`, the one that NFLAB names, or the only
    /// one that runs
    #[arg(long, value_name = "LAB.toml", conflicts_with = "follow")]
    lab: Option<PathBuf>,
    /// A fresh lab with these rules, as iptables-restore reads them; without --lab: lan 10.0.0.1/24 and 2001:db8::1/64, wan 192.0.2.1/24 and
    /// 2001:db8:1::1/64, with default routes
    #[arg(long, value_name = "FILE", conflicts_with = "follow")]
    rules: Option<PathBuf>,
    /// The same of IPv6, as ip6tables-restore reads them
    #[arg(long, value_name = "FILE", conflicts_with = "follow")]
    rules6: Option<PathBuf>,
    /// The same run again needs the same seed; for a fresh lab [default: 1]
    #[arg(long, value_name = "SEED", conflicts_with = "follow")]
    seed: Option<u64>,
    #[command(flatten)]
    what: open::As,
    /// Only what decided
    #[arg(long)]
    short: bool,
    /// An object for each packet, a line each
    #[arg(long, conflicts_with = "short")]
    json: bool,
    /// Draw the last packet's way through the hooks into this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "short", "follow"])]
    svg: Option<PathBuf>,
    /// Tell only whether packets came to this rule of their family, and why it matched or not: `FORWARD 3`, `nat:PREROUTING 1`, or a part of its text or
    /// comment; `-4 ...` or `-6 ...` says which family's
    #[arg(long, value_name = "RULE", allow_hyphen_values = true, conflicts_with_all = ["svg", "short", "follow"])]
    why: Option<String>,
    /// Follow the packets of the live lab that NFLAB names, or of the only one: all, or those that fit a filter such as `tcp dport 80 and not accept`
    #[arg(long, value_name = "FILTER", num_args = 0..=1, default_missing_value = "")]
    follow: Option<String>,
    /// Follow so many packets, then end
    #[arg(long, value_name = "N", requires = "follow")]
    count: Option<u64>,
    /// Hosts that have an address of each family are called by IPv4's
    #[arg(short = '4', long, conflicts_with_all = ["ipv6", "follow"])]
    ipv4: bool,
    /// Hosts that have an address of each family are called by IPv6's
    #[arg(short = '6', long, conflicts_with = "follow")]
    ipv6: bool,
    /// Packets as `send` reads them, in order: `lan tcp 10.0.0.2:40000 > 192.0.2.9:80 S`, `lan tcp [2001:db8::2]:40000 > [2001:db8:1::9]:80 S`; `local` for
    /// the router's own
    #[arg(value_name = "PACKET", required_unless_present = "follow", conflicts_with = "follow")]
    packets: Vec<String>,
}

impl Arguments {
    /// The packets, each with the family in which its hosts are called.
    fn packets(&self) -> Vec<String> {
        let asked = match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        };
        let of_asked = |packet: &String| match asked.filter(|_| !packet.starts_with('-')) {
            Some(family) => format!("{} {packet}", family.option()),
            None => packet.clone(),
        };
        self.packets.iter().map(of_asked).collect()
    }
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    if let Err(why) = keep_what_is_read(arguments) {
        return refuse(&why);
    }
    match &arguments.follow {
        Some(_) if arguments.what.profile.is_some() => refuse("--profile is for a fresh lab: a live one has its own"),
        Some(filter) => follow(arguments, filter),
        // clap lets this pass where there are packets, since they and --follow exclude each other.
        None if arguments.count.is_some() => {
            refuse("--count is for packets that pass (--follow): leave it out, and each PACKET is traced once")
        }
        None if arguments.lab.is_some() || arguments.rules.is_some() || arguments.rules6.is_some() => trace(arguments),
        None if arguments.seed.is_some() => refuse("--seed is for a fresh lab: say which with --lab or --rules"),
        None if arguments.what.profile.is_some() => {
            refuse("--profile is for a fresh lab: say which with --lab or --rules")
        }
        None => ask(arguments),
    }
}

fn keep_what_is_read(arguments: &Arguments) -> Result<(), String> {
    let mut uses = FileUses::default();
    for file in arguments.lab.iter().chain(&arguments.rules).chain(&arguments.rules6) {
        uses.reads(file);
    }
    if let Some(picture) = &arguments.svg {
        uses.prints("the packets' ways", Sharing::Alone);
        uses.writes("--svg", picture, Sharing::Alone);
    }
    uses.check()
}

/// The current lab is asked; it tries the packets on a copy of itself.
#[cfg(unix)]
fn ask(arguments: &Arguments) -> u8 {
    use crate::lab::request::Request;

    let instead = "or give a fresh lab its rules: nflab trace --lab LAB.toml --rules FILE PACKET...";
    let target = match current::find_or_say(instead) {
        Ok(target) => target,
        Err(code) => return code,
    };
    let mut args = Vec::new();
    let mut say = |arg: &str| args.push(arg.to_owned());
    for (given, option) in [
        (arguments.json, "--json"),
        (arguments.short, "--short"),
        (arguments.svg.is_some(), "--picture"),
        (!arguments.json, "--colour"),
    ] {
        if given {
            say(option);
        }
    }
    if let Some(rule) = &arguments.why {
        say("--why");
        say(rule);
    }
    say("--");
    args.extend(arguments.packets());
    let request = Request {
        tool: "trace".to_owned(),
        args,
        ..Request::default()
    };
    let response = match current::ask(&target, &request) {
        Ok(response) => response,
        Err(code) => return code,
    };
    standard::tell_styled_text(&response.stderr);
    let (text, picture) = match &arguments.svg {
        Some(_) if response.code == 0 => match serde_json::from_str::<Told>(&response.stdout) {
            Ok(told) => (told.text, Some(told.picture)),
            Err(error) => {
                return refuse(&format!(
                    "the lab is of another version: its answer cannot be read ({error})"
                ));
            }
        },
        _ => (response.stdout, None),
    };
    if let (Some(file), Some(picture)) = (&arguments.svg, picture)
        && let Err(error) = result_file::write(file, picture.as_bytes())
    {
        return refuse(&format!(
            "cannot write the picture {}: {}",
            text_of_path(file),
            said_by_system(&error)
        ));
    }
    match said(&text) {
        Ok(_) => response.code as u8,
        Err(error) => refuse(&format!("cannot write: {}", said_by_system(&error))),
    }
}

#[cfg(not(unix))]
fn ask(_: &Arguments) -> u8 {
    refuse("labs are spoken to over unix sockets, which are not here: say which lab with --lab or --rules")
}

/// What a lab answers where a picture is asked for, too.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Told {
    text: String,
    picture: String,
}

/// The lab's side of it: `trace [--json | --short] [--why RULE] [--picture] [--colour] [--] PACKET...` on a copy of the machine.
pub(super) fn answer(machine: &Machine, args: &[String]) -> ToolOutput {
    let mut form = Form::Text(Detail::Whole);
    let (mut json, mut why) = (false, None);
    let (mut with_picture, mut styled) = (false, false);
    let mut packets = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--" => packets.extend(rest.by_ref()),
            "--json" => json = true,
            "--short" => form = Form::Text(Detail::Short),
            "--picture" => with_picture = true,
            "--colour" => styled = true,
            "--why" => why = rest.next(),
            "--follow" => {
                return ToolOutput::failure(
                    2,
                    "nflab: no packets pass this lab, which is in memory: --follow is for one that `nflab up` started; `nflab trace PACKET` says \
                     what would become of one\n",
                );
            }
            option if option.starts_with('-') => {
                return ToolOutput::failure(2, format!("nflab: `{option}` is no option of `trace`\n"));
            }
            _ => packets.push(arg),
        }
    }
    form = match (why, json) {
        (Some(rule), json) => Form::Why {
            rule: RuleName::parse(rule),
            json,
        },
        (None, true) => Form::Json,
        (None, false) => form,
    };
    let mut hosts = machine.hosts().only_these();
    let config = machine.router().config();
    let interfaces: Vec<&str> = config.net.interfaces().iter().map(|it| it.name.as_str()).collect();
    let mut drafts = Vec::with_capacity(packets.len());
    for text in packets {
        match read(text, &mut hosts, &interfaces) {
            Ok(packet) => drafts.push((text, packet)),
            Err(error) => return ToolOutput::failure(2, format!("{}\n", error.styled())),
        }
    }
    let mut runner = Runner::new(Lab::trial(machine), PathBuf::from("."));
    let mut text = String::new();
    for (at, (written, (interface, draft))) in drafts.iter().enumerate() {
        if machine.asker.is_gone() {
            return ToolOutput::failure(2, "nflab: nobody waits for this trace any more\n");
        }
        if text.len() > LONGEST_ANSWER {
            let (megabytes, count) = (text.len() >> 20, drafts.len());
            return ToolOutput {
                stdout: text,
                ..ToolOutput::failure(
                    2,
                    format!(
                        "nflab: the trace ends after packet {at} of {count}: it has {megabytes} MB already; ask for fewer packets at once, or \
                         with --short or --why RULE\n"
                    ),
                )
            };
        }
        let told = runner
            .send(*interface, draft)
            .cloned()
            .map_err(|message| refused(written, &message).styled())
            .and_then(|passage| tell(&form, &passage, &runner.lab, Path::new("."), styled));
        match told {
            Ok(told) => text += &told,
            Err(message) => return ToolOutput::failure(2, format!("nflab: {message}\n")),
        }
    }
    if with_picture {
        let passage = runner.lab.last();
        let picture = passage.map(|it| picture::draw(&it.story.account())).unwrap_or_default();
        text = serde_json::to_string(&Told { text, picture }).unwrap_or_default();
    }
    let name = &machine.name;
    ToolOutput {
        stderr: format!(
            "nflab: tried on a copy of the lab {name} as it is now, its flows too; nothing was sent, and nothing changed there\n"
        ),
        ..ToolOutput::success(text)
    }
}

/// Bytes, beyond which no further packet is told of.
const LONGEST_ANSWER: usize = 64 << 20;

fn trace(arguments: &Arguments) -> u8 {
    // All packets are read before anything is done, so that a slip in the last one shows at once.
    let packets = arguments.packets();
    let mut drafts = Vec::with_capacity(packets.len());
    let file = match open::file_or_default(arguments.lab.as_deref()) {
        Ok(file) => arguments.what.applied(file),
        Err(code) => return code,
    };
    let mut hosts = Hosts::of_lab(&file).only_these();
    let named = hosts.clone();
    let interfaces = [&["lo"], &named.interfaces()[..]].concat();
    for text in &packets {
        match read(text, &mut hosts, &interfaces) {
            Ok(packet) => drafts.push(packet),
            Err(error) => {
                tell_styled!("{}", error.styled());
                return 2;
            }
        }
    }
    let mut lab = match open::made(&file, arguments.seed.unwrap_or(1)) {
        Ok(lab) => lab,
        Err(code) => return code,
    };
    for (family, path) in [(Family::V4, &arguments.rules), (Family::V6, &arguments.rules6)] {
        if let Some(path) = path
            && let Err(code) = restore(&mut lab, family, path)
        {
            return code;
        }
    }
    let forms = forms(arguments);
    let mut runner = Runner::new(lab, PathBuf::from("."));
    let last = drafts.len().saturating_sub(1);
    for (at, ((interface, draft), text)) in drafts.iter().zip(&packets).enumerate() {
        let passage = match runner.send(*interface, draft) {
            Ok(passage) => passage.clone(),
            Err(message) => {
                tell_styled!("{}", refused(text, &message).styled());
                return 2;
            }
        };
        for form in &forms {
            if matches!(form, Form::Svg(_)) && at != last {
                continue;
            }
            // The stream takes the colours out where no terminal is.
            match tell(form, &passage, &runner.lab, Path::new("."), true) {
                Ok(text) => match said(&text) {
                    Ok(true) => {}
                    Ok(false) => return 0,
                    Err(error) => return refuse(&format!("cannot write: {}", said_by_system(&error))),
                },
                Err(message) => return refuse(&message),
            }
        }
    }
    0
}

/// A picture comes beside the text.
fn forms(arguments: &Arguments) -> Vec<Form> {
    let mut forms = vec![match (&arguments.why, arguments.json, arguments.short) {
        (Some(rule), json, _) => Form::Why {
            rule: RuleName::parse(rule),
            json,
        },
        (None, true, _) => Form::Json,
        (None, false, true) => Form::Text(Detail::Short),
        (None, false, false) => Form::Text(Detail::Whole),
    }];
    forms.extend(arguments.svg.as_ref().map(|file| Form::Svg(text_of_path(file))));
    forms
}

/// What is wrong with a packet as it is sent: the sentence ends with what helps.
fn refused(text: &str, message: &str) -> SourceError {
    let (message, remedy) = message.split_once("; ").unwrap_or((message, ""));
    let problem = Problem::new(0..text.len(), message, "this packet", remedy);
    source(text).error(vec![problem])
}

fn source(text: &str) -> Source {
    Source {
        name: "packet".to_owned(),
        text: text.to_owned(),
    }
}

/// A packet by an interface that the lab has, of these and `local`.
fn read(text: &str, hosts: &mut Hosts, interfaces: &[&str]) -> Result<(Option<InterfaceName>, Draft), SourceError> {
    let source = source(text);
    let lines = lex(text).map_err(|error| source.error(vec![error.problem]))?;
    let mut words = lines.first().map(|line| line.words.clone()).unwrap_or_default();
    if let Some(more) = lines.get(1) {
        let problem = Problem::new(
            more.position,
            "a packet ends with its line",
            "expected one packet",
            "put each packet into quotes of its own",
        );
        return Err(source.error(vec![problem]));
    }
    if let Some(line) = lines.first().filter(|line| line.input != Input::None) {
        let problem = Problem::new(
            line.position,
            "a packet reads no input",
            "expected no `<`",
            "leave it away",
        );
        return Err(source.error(vec![problem]));
    }
    let mut packet = || {
        let asked = asked_family(words.iter().take(1));
        if asked.is_some() {
            words.remove(0);
        }
        if let Some(interface) = words.first_mut() {
            hosts.resolve_interface(interface)?;
            let name = interface.text.as_str();
            if InterfaceName::new(name).is_some() && name != LOCAL && !interfaces.contains(&name) {
                return Err(Problem::new(
                    interface.position,
                    format!("the lab has no interface `{name}`"),
                    "expected the interface that the packet comes in by, or `local`",
                    format!(
                        "it has {}, and `local` for what the router itself sends",
                        interfaces.join(", ")
                    ),
                ));
            }
        }
        let on = words.first().and_then(|word| InterfaceName::new(&word.text));
        hosts.resolve(&mut words, on, asked, false)?;
        interface_and_packet(&mut Words::new(&words))
    };
    packet().map_err(|problem| source.error(vec![problem]))
}

fn restore(lab: &mut Lab, family: Family, path: &Path) -> Result<(), u8> {
    let text =
        read_file(path).map_err(|error| refuse(&format!("cannot read the rules {}: {error}", text_of_path(path))))?;
    let output = open::restore(lab, family, &text, "--rules");
    standard::tell_text(&output.stderr);
    if output.code != 0 {
        standard::tell_text(&output.advice);
        return Err(refuse(&format!(
            "these rules are refused, so nothing was traced: {}",
            text_of_path(path)
        )));
    }
    Ok(())
}

#[cfg(unix)]
fn follow(arguments: &Arguments, text: &str) -> u8 {
    use std::io::IsTerminal;

    use crate::lab::request::Request;
    use crate::live::control::Client;

    if !text.is_empty()
        // Which hosts and interfaces there are, only the lab knows.
        && let Err(error) = Filter::parse_among(text, &Names::of_any_lab())
    {
        tell_styled!("{}", error.styled());
        return 2;
    }
    let target = match current::find_or_say("") {
        Ok(target) => target,
        Err(code) => return code,
    };
    let mut args = vec!["--follow".to_owned(), text.to_owned()];
    for (given, option) in [
        (arguments.json, "--json"),
        (arguments.short, "--short"),
        (!arguments.json && std::io::stdout().is_terminal(), "--colour"),
    ] {
        if given {
            args.push(option.to_owned());
        }
    }
    let request = Request {
        tool: "trace".to_owned(),
        args,
        ..Request::default()
    };
    let gone = |error: &std::io::Error| current::gone(&target.socket, error);
    let mut client = match Client::connect(&target.socket) {
        Ok(client) => client,
        Err(error) => return gone(&error),
    };
    match client.call(&request) {
        Ok(response) if response.code == 0 => standard::tell_text(&response.stderr),
        Ok(response) => {
            standard::tell_text(&response.stderr);
            return response.code as u8;
        }
        Err(error) => return gone(&error),
    }
    let mut seen = 0;
    while arguments.count.is_none_or(|count| seen < count) {
        match client.next_answer() {
            Ok(Some(response)) => {
                standard::tell_text(&response.stderr);
                if !response.stdout.is_empty() {
                    seen += 1;
                    match said(&response.stdout) {
                        Ok(true) => {}
                        Ok(false) => return 0,
                        Err(error) => return refuse(&format!("cannot write: {}", said_by_system(&error))),
                    }
                }
            }
            Ok(None) => {
                tell!("nflab: the lab is down");
                return current::NO_LAB;
            }
            Err(error) => return gone(&error),
        }
    }
    0
}

#[cfg(not(unix))]
fn follow(_: &Arguments, _: &str) -> u8 {
    tell!("nflab: live labs are on Linux only");
    3
}

/// False where who reads has seen enough (`| head`).
fn said(text: &str) -> std::io::Result<bool> {
    match standard::say_styled_text(text) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            standard::failure_is_said();
            Err(error)
        }
    }
}

fn refuse(message: &str) -> u8 {
    tell!("nflab: {message}");
    2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_more_is_traced_for_who_is_gone() {
        let machine = Lab::default_lab(1, crate::cli::TOOLBOX).unwrap().machine;
        let args = ["--short", "lan udp 10.0.0.2:1 > 192.0.2.9:2"].map(str::to_owned);
        let told = answer(&machine, &args);
        assert!(told.code == 0 && told.stdout.contains("out by wan"), "{told:?}");
        machine.asker.hang_up();
        let told = answer(&machine, &args);
        assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{told:?}");
        assert!(told.stderr.contains("nobody waits"), "{told:?}");
    }
}
