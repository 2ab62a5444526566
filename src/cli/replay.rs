//! `nflab replay`: a capture's packets through a lab, with the capture's own time.
//!
//! The room `replay` does the work; here are where its results go, and what is said when something is wrong with the capture: with
//! the number of the packet, once for each kind, and the rest replayed where that makes sense.

mod arguments;
mod complaint;
mod outputs;
mod screen;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

pub use self::arguments::Arguments;
use self::arguments::{Wanted, Way, check, filter_among, says_summary};
use self::complaint::Complaints;
use self::outputs::{Outputs, Results, Sink};
use self::screen::Screen;
use super::{TOOLBOX, open};
use crate::base::bytes::{bytes_of, quoted, text_of_path};
use crate::base::{InterfaceName, Time};
use crate::device::result_file;
use crate::device::standard::{self, tell};
use crate::device::text_file::read_file;
use crate::device::{CaptureError, CaptureReader, CapturedPacket, Content, Direction, Frame};
use crate::explain::filter::{self, Filter, Names};
use crate::explain::story::{Detail, Story};
use crate::lab::copy::LabCopy;
use crate::lab::memory::{LOCAL, Lab};
use crate::replay::repair::{self, Repair};
use crate::replay::{Differences, Entrances, NoEntrance, Passed, Replayer, Summary, TimedPacket};

pub fn run(arguments: &Arguments) -> u8 {
    match replay(arguments) {
        Ok(code) => code,
        Err(Stop::Said(code)) => code,
        Err(Stop::Reader) => 0,
        Err(Stop::Say(message)) => {
            tell!("nflab: {message}");
            2
        }
    }
}

/// Why it ends early.
enum Stop {
    /// It has been said already.
    Said(u8),
    Say(String),
    /// Whoever read standard output has gone.
    Reader,
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self::Say(message)
    }
}

fn replay(arguments: &Arguments) -> Result<u8, Stop> {
    let mut wanted = check(arguments)?;
    let labs = Labs::open(arguments)?;
    if let Some(text) = &arguments.filter {
        let (hosts, interfaces) = (labs.lab.machine.hosts(), labs.lab.interface_names());
        let names = Names {
            host_of: &|name| Some(hosts.get(name)?.address.into()),
            is_interface: &|name| interfaces.iter().any(|it| it.as_str() == name),
        };
        wanted.filter = Some(filter_among(text, &names)?);
    }
    let screen = Screen::open(&arguments.input, arguments.quiet)?;
    let source = screen.source(&arguments.input)?;
    let mut reader = match arguments.input == Path::new("-") {
        true => CaptureReader::new(source),
        false => CaptureReader::named(source, &arguments.input),
    }
    .map_err(|error| error.to_string())?;
    labs.tell_which(arguments);
    let mut run = Run {
        arguments,
        wanted,
        screen,
        complaints: Complaints::default(),
        stage: Stage::Waiting(Box::new(labs), Vec::new()),
        seen: 0,
        buffer: Vec::new(),
        story: Story::default(),
        told: String::new(),
    };
    // Nothing is written before a packet has come in: a wrong capture leaves older results as they are.
    run.packets(&mut reader)?;
    run.finish()
}

/// The lab, and with `--against` another one with the other rules: same seed, same clock.
struct Labs {
    lab: Lab,
    other: Option<Lab>,
    /// The current lab, where no other was named.
    copy: Option<LabCopy>,
    entrances: Entrances,
}

impl Labs {
    /// Once there is something to replay.
    fn tell_which(&self, arguments: &Arguments) {
        match (&self.copy, &arguments.rules) {
            (Some(copy), Some(_)) => tell!("nflab: replayed through a copy of the lab {}", copy.name),
            (Some(copy), None) => tell!("nflab: replayed through a copy of the lab {} with its rules", copy.name),
            (None, Some(_)) => {}
            (None, None) => {
                tell!("nflab: replayed without rules, which accept all that is routed: --rules FILE gives them");
            }
        }
    }

    fn open(arguments: &Arguments) -> Result<Self, Stop> {
        let copy = match &arguments.lab {
            Some(_) => None,
            None => Some(open::current(INSTEAD).map_err(Stop::Said)?),
        };
        let bare = |copy: &LabCopy| {
            copy.bare(arguments.seed, TOOLBOX)
                .map_err(|error| Stop::Say(error.to_string()))
        };
        let path = arguments.lab.as_deref();
        let lab = match &copy {
            Some(copy) => bare(copy)?,
            None => open::lab(path, arguments.seed).map_err(Stop::Said)?,
        };
        let other = match (&arguments.against, &copy) {
            (None, _) => None,
            (Some(_), Some(copy)) => Some(bare(copy)?),
            (Some(_), None) => Some(open::quiet_lab(path, arguments.seed).map_err(Stop::Said)?),
        };
        let mut entrances = Entrances::default();
        for line in &arguments.map {
            entrances.map(&lab, line).map_err(|error| format!("--map {error}"))?;
        }
        if let Some(name) = &arguments.interface {
            entrances
                .set_default(&lab, name)
                .map_err(|error| format!("--interface {error}"))?;
        }
        Ok(Self {
            lab,
            other,
            copy,
            entrances,
        })
    }

    /// The rules come into force at the capture's own time: a rule with `limit` counts from then.
    fn begin(mut self, arguments: &Arguments, time: Option<Time>) -> Result<(Replayer, Option<Replayer>), Stop> {
        let begin = |mut lab: Lab, rules: &Option<PathBuf>| {
            if let Some(time) = time {
                lab.start_at(time);
            }
            match (rules, &self.copy) {
                (Some(path), _) => restore(&mut lab, path)?,
                (None, Some(copy)) => copy.restore(&mut lab).map_err(|error| Stop::Say(error.to_string()))?,
                (None, None) => {}
            }
            Ok::<_, Stop>(Replayer::new(lab).with_entrances(self.entrances.clone()))
        };
        let one = begin(self.lab, &arguments.rules)?;
        let other = match self.other.take() {
            Some(lab) => Some(begin(lab, &arguments.against)?),
            None => None,
        };
        Ok((one, other))
    }
}

fn restore(lab: &mut Lab, path: &Path) -> Result<(), Stop> {
    let text = read_file(path).map_err(|error| format!("cannot read the rules {}: {error}", text_of_path(path)))?;
    let text = with_counters(&text);
    let output = lab.tool("iptables-restore", &["-c".to_owned()], &text, Path::new("."));
    standard::tell_text(&output.stderr);
    if output.code != 0 {
        tell!(
            "nflab: these rules are refused, so nothing was replayed: {}",
            text_of_path(path)
        );
        standard::tell_text(&output.advice);
        return Err(Stop::Said(2));
    }
    Ok(())
}

/// `iptables-restore -c` refuses a policy without counters, which is how people write one by hand: its counters are zero.
pub(super) fn with_counters(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        all.push_str(bare);
        if bare.starts_with(':') && bare.split_ascii_whitespace().count() == 2 {
            all.push_str(" [0:0]");
        }
        all.push_str(&line[bare.len()..]);
    }
    all
}

/// One run over a capture.
struct Run<'a> {
    arguments: &'a Arguments,
    wanted: Wanted,
    screen: Screen,
    complaints: Complaints,
    stage: Stage<'a>,
    /// Packets of the capture, used or not.
    seen: u64,
    buffer: Vec<u8>,
    story: Story,
    /// The story in words.
    told: String,
}

enum Stage<'a> {
    /// No packet has come in yet; those that could not be used.
    Waiting(Box<Labs>, Vec<Unused>),
    Running(Box<Session<'a>>),
    /// While one becomes the other.
    Between,
}

/// A packet of the capture that never came to the router.
struct Unused {
    number: u64,
    interface: String,
    reason: String,
    /// For the annotated copy, where one is made and the packet could be read.
    kept: Option<KeptFrame>,
    kind: UnusedKind,
}

/// What a packet that never came to the router is to this replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnusedKind {
    /// By --direction: none of this replay's, and without a line in the JSON.
    LeftOut,
    /// What is no IP, no rule was to see.
    Foreign,
    /// Rules were to see it.
    Lost,
}

/// A frame that waits for the annotated copy to be opened.
struct KeptFrame {
    interface: Option<String>,
    time: Time,
    link: u32,
    bytes: Vec<u8>,
    original_length: usize,
}

impl KeptFrame {
    fn of(packet: &CapturedPacket<'_>) -> Self {
        Self {
            interface: packet.interface.map(str::to_owned),
            time: packet.time,
            link: packet.frame.link,
            bytes: packet.frame.bytes.to_vec(),
            original_length: packet.frame.original_length,
        }
    }

    fn frame(&self) -> Frame<'_> {
        Frame {
            link: self.link,
            bytes: &self.bytes,
            original_length: self.original_length,
        }
    }
}

struct Session<'a> {
    replayer: Replayer,
    other: Option<Replayer>,
    summary: Summary,
    differences: Option<Differences>,
    outputs: Outputs<'a>,
}

impl Session<'_> {
    fn note_unused(&mut self, reason: &str, kind: UnusedKind) {
        self.summary.note_unused(reason);
        if kind == UnusedKind::Lost {
            self.summary.note_unseen(reason);
            if let Some(differences) = &mut self.differences {
                differences.note_unused(reason);
            }
        }
    }
}

impl<'a> Run<'a> {
    fn packets(&mut self, reader: &mut CaptureReader<impl Read>) -> Result<(), Stop> {
        loop {
            match reader.next_packet() {
                Ok(Some(packet)) => self.packet(&packet)?,
                Ok(None) => return Ok(()),
                Err(error) => {
                    let goes_on = error.goes_on();
                    self.damaged(error)?;
                    if !goes_on {
                        return Ok(());
                    }
                }
            }
            if self.seen.is_multiple_of(1 << 13) {
                self.screen.progress(self.seen);
            }
        }
    }

    fn damaged(&mut self, error: CaptureError) -> Result<(), Stop> {
        if !error.goes_on() && matches!(self.stage, Stage::Waiting(..)) {
            return Err(error.to_string().into());
        }
        self.seen = error.packet;
        let kind = error.problem.to_string();
        self.complaints.fault(&self.screen, &kind, &error.to_string());
        if error.goes_on() {
            self.unused(error.packet, "", &kind, None, UnusedKind::Lost)?;
        }
        Ok(())
    }

    #[inline]
    fn packet(&mut self, packet: &CapturedPacket<'_>) -> Result<(), Stop> {
        self.seen = packet.number;
        let name = packet.interface;
        if packet.to_another {
            let name = name.or(self.arguments.interface.as_deref()).unwrap_or_default();
            let why = "to another host (seen in promiscuous mode), which no rule sees";
            return self.unused(packet.number, name, why, Some(packet), UnusedKind::Foreign);
        }
        if let Some(wanted) = self.arguments.direction
            && !self.goes(packet, wanted)?
        {
            return Ok(());
        }
        let Content::Ip(bytes) = packet.content else {
            // What is no IP never reaches the tables: a router's IP code doesn't see it.
            let name = name.or(self.arguments.interface.as_deref()).unwrap_or_default();
            let unwrapped;
            let (why, kind) = match packet.content {
                Content::HeaderCut => ("the link's header is cut short", UnusedKind::Lost),
                Content::Undecoded(what) => {
                    unwrapped = what.to_string();
                    (unwrapped.as_str(), UnusedKind::Lost)
                }
                _ => ("not an IP packet", UnusedKind::Foreign),
            };
            return self.unused(packet.number, name, why, Some(packet), kind);
        };
        let repair = Repair {
            fill_cut: self.arguments.fill_cut,
            fix_checksums: self.arguments.fix_checksums,
        };
        let missing = repair::missing(bytes);
        // Without that it was no longer on the link either.
        if missing > 0 && packet.is_truncated() && !repair.fill_cut {
            let text = format!(
                "packet {} is cut: {} of {} bytes are in the capture, and a router drops what is shorter than it says; --fill-cut replays such packets with zeros in place of the rest",
                packet.number,
                bytes.len(),
                bytes.len() + missing
            );
            self.complaints.note(&self.screen, "packets are cut", &text);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let timed = TimedPacket {
            number: packet.number,
            time: packet.time,
            interface: name,
            bytes: repair.packet(bytes, &mut buffer),
        };
        let result = self.pass(timed, packet);
        self.buffer = buffer;
        result
    }

    /// Whether a packet went the way that was asked for. One that didn't is none of this replay's.
    fn goes(&mut self, packet: &CapturedPacket<'_>, wanted: Way) -> Result<bool, Stop> {
        let went = match packet.direction {
            Some(Direction::In) => Way::In,
            Some(Direction::Out) => Way::Out,
            None => {
                return Err(format!(
                    "packet {}: the capture doesn't say which way it went, so --direction cannot choose; `tcpdump -i any` and pcapng's packet flags say it",
                    packet.number
                )
                .into());
            }
        };
        if went == wanted {
            return Ok(true);
        }
        let why = match wanted {
            Way::In => "left out by --direction in",
            Way::Out => "left out by --direction out",
        };
        self.unused(packet.number, "", why, Some(packet), UnusedKind::LeftOut)?;
        Ok(false)
    }

    fn pass(&mut self, timed: TimedPacket<'_>, packet: &CapturedPacket<'_>) -> Result<(), Stop> {
        if let Stage::Waiting(..) = self.stage {
            self.begin(Some(&timed))?;
        }
        let Stage::Running(session) = &mut self.stage else {
            return Ok(());
        };
        let explain = self
            .wanted
            .explain
            .as_ref()
            .is_some_and(|selection| selection.contains(timed.number))
            && self.wanted.filter.as_ref().is_none_or(|filter| {
                // Not the capture's own name for it: --map and --interface may lead elsewhere.
                let entrance = session.replayer.entrance_of(&timed);
                entrance.is_none_or(|name| filter.may_fit(timed.bytes, (name.as_str() != LOCAL).then_some(name)))
            });
        let passed = match explain {
            true => {
                self.story.clear();
                session.replayer.pass_watched(timed, &mut self.story)
            }
            false => session.replayer.pass(timed),
        };
        let passed = match passed {
            Ok(passed) => passed,
            Err(problem) => return self.homeless(&problem, packet),
        };
        let compared = match &mut session.other {
            Some(other) => Some(
                other
                    .pass(timed)
                    .map_err(|problem| format!("packet {}: {problem}", timed.number))?,
            ),
            None => None,
        };
        if passed.is_late() {
            let text = format!(
                "packet {} is older than the one before it; the clock doesn't run backwards, so it (and others like it) comes at the time of the last",
                timed.number
            );
            self.complaints.note_once(&self.screen, "the clock", &text);
        }
        session.summary.note(&passed);
        session.outputs.packet(&passed, compared.as_ref(), packet)?;
        let fits = self.wanted.filter.as_ref().is_none_or(|filter| fits(filter, &passed));
        if let (Some(differences), Some(compared)) = (&mut session.differences, &compared)
            && fits
            && let Some(difference) = differences.compare(&passed, compared)
        {
            session
                .outputs
                .difference(differences, &difference, self.arguments.limit as u64)?;
        }
        if explain && fits {
            let detail = if self.arguments.brief {
                Detail::Short
            } else {
                Detail::Whole
            };
            self.told.clear();
            match self.screen.has_colour() {
                true => self.story.render_styled_to(&mut self.told, detail),
                false => self.story.render_to(&mut self.told, detail),
            }
            // The whole story says its number itself.
            let number = self.arguments.brief.then_some(passed.number());
            session.outputs.explain(number, &self.told)?;
        }
        Ok(())
    }

    /// A packet that nobody knows the interface of. The first one stops everything, before anything is written: it will be so with all.
    fn homeless(&mut self, problem: &NoEntrance, packet: &CapturedPacket<'_>) -> Result<(), Stop> {
        let kind = match problem {
            NoEntrance::Unmapped(_) => "no interface for its source".to_owned(),
            NoEntrance::Unknown { name, .. } => format!("the lab has no interface {name}", name = quoted(name)),
            NoEntrance::NotSaid => "no interface".to_owned(),
        };
        let text = of_homeless(packet.number, problem);
        self.complaints.fault(&self.screen, &kind, &text);
        self.unused(
            packet.number,
            packet.interface.unwrap_or_default(),
            &kind,
            Some(packet),
            UnusedKind::Lost,
        )
    }

    fn unused(
        &mut self,
        number: u64,
        interface: &str,
        reason: &str,
        packet: Option<&CapturedPacket<'_>>,
        unused_kind: UnusedKind,
    ) -> Result<(), Stop> {
        match &mut self.stage {
            Stage::Running(session) => {
                session.note_unused(reason, unused_kind);
                if unused_kind != UnusedKind::LeftOut {
                    session.outputs.unused(number, interface, reason)?;
                }
                if let Some(packet) = packet {
                    session
                        .outputs
                        .annotate_unused(packet.interface, packet.time, packet.frame, reason)?;
                }
            }
            Stage::Waiting(_, unused) if unused.len() < MOST_WAITING => {
                let wanted = packet.filter(|_| self.arguments.annotate.is_some());
                unused.push(Unused {
                    number,
                    interface: interface.to_owned(),
                    reason: reason.to_owned(),
                    kept: wanted.map(KeptFrame::of),
                    kind: unused_kind,
                });
            }
            Stage::Waiting(..) => {
                return Err(format!(
                    "none of the first {number} packets can be replayed ({reason}), so nothing was; is this the right capture?"
                )
                .into());
            }
            Stage::Between => {}
        }
        Ok(())
    }

    /// Rules into force, results opened.
    fn begin(&mut self, first: Option<&TimedPacket<'_>>) -> Result<(), Stop> {
        let Stage::Waiting(labs, unused) = std::mem::replace(&mut self.stage, Stage::Between) else {
            return Ok(());
        };
        let (replayer, other) = labs.begin(self.arguments, first.map(|packet| packet.time))?;
        if let Some(first) = first {
            replayer
                .check(first)
                .map_err(|problem| of_homeless(first.number, &problem))?;
        }
        let differences = self
            .arguments
            .against
            .as_ref()
            .map(|path| Differences::new(&rules_name(self.arguments), &text_of_path(path)));
        let mut session = Session {
            summary: Summary::new(&replayer),
            outputs: Outputs::open(self.arguments, replayer.lab())?,
            differences,
            other,
            replayer,
        };
        for packet in unused {
            session.note_unused(&packet.reason, packet.kind);
            if packet.kind != UnusedKind::LeftOut {
                session
                    .outputs
                    .unused(packet.number, &packet.interface, &packet.reason)?;
            }
            if let Some(kept) = &packet.kept {
                let interface = kept.interface.as_deref();
                session
                    .outputs
                    .annotate_unused(interface, kept.time, kept.frame(), &packet.reason)?;
            }
        }
        self.stage = Stage::Running(Box::new(session));
        Ok(())
    }

    fn finish(mut self) -> Result<u8, Stop> {
        if let Stage::Waiting(_, unused) = &self.stage {
            if self.complaints.faults() > 0 {
                self.complaints.end(&self.screen);
                return Err(format!(
                    "none of its {} packets can be replayed, so nothing was written",
                    unused.len()
                )
                .into());
            }
            self.begin(None)?;
        }
        self.screen.end();
        self.complaints.end(&self.screen);
        let Stage::Running(mut session) = self.stage else {
            return Ok(0);
        };
        session.replayer.settle();
        let mut code = 0;
        if let Some(differences) = &session.differences {
            session.outputs.differences_end(differences, self.arguments.limit)?;
            code = match differences.packets() {
                1.. => 1,
                0 if differences.is_all_clear() => 0,
                // No all-clear, which one may take packets for, but not their absence.
                0 if self.arguments.allow_invalid && !differences.is_empty() => 0,
                0 => 2,
            };
        }
        let mut results = session.outputs.finish()?;
        // Behind the lines: both may go to standard output.
        finish_tables(self.arguments, session.replayer.lab_mut(), &mut results)?;
        // All or none: until here every older result stands as it was.
        results.keep()?;
        if says_summary(self.arguments) {
            standard::tell_text(&session.summary.text(&session.replayer));
            tell!("\n{}", self.screen.pace(session.summary.packets()));
        }
        if let Some(beyond) = self.wanted.explain.as_ref().and_then(|it| it.beyond(self.seen)) {
            return Err(format!("--explain {beyond}: the capture has {} packets", self.seen).into());
        }
        Ok(if self.complaints.faults() > 0 { 2 } else { code })
    }
}

fn of_homeless(number: u64, problem: &NoEntrance) -> String {
    match problem {
        NoEntrance::Unknown { .. } => format!("packet {number} came by {problem}"),
        _ => format!("packet {number}: {problem}"),
    }
}

fn rules_name(arguments: &Arguments) -> String {
    match (&arguments.rules, &arguments.lab) {
        (Some(path), _) => text_of_path(path),
        (None, None) => "the lab's rules".to_owned(),
        (None, Some(_)) => "no rules".to_owned(),
    }
}

const INSTEAD: &str = "or say which: nflab replay --lab LAB.toml --rules FILE IN.pcapng";

fn fits(filter: &Filter, passed: &Passed<'_>) -> bool {
    let outputs: Vec<InterfaceName> = passed.output().map(|left| left.interface).collect();
    let input = (passed.interface().as_str() != LOCAL).then(|| passed.interface());
    filter.fits(&filter::Subject {
        packet: passed.bytes(),
        input,
        outcome: Some(filter::Outcome {
            outputs: &outputs,
            state: passed.report().state,
            verdict: passed.verdict(),
        }),
    })
}

fn finish_tables<'a>(arguments: &'a Arguments, lab: &mut Lab, results: &mut Results<'a>) -> Result<(), Stop> {
    for (file, tool, args) in [
        (&arguments.save, "iptables-save", &["-c"][..]),
        (&arguments.conntrack, "conntrack", &["-L", "-o", "extended"]),
    ] {
        let Some(file) = file else { continue };
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let output = lab.tool(tool, &args, "", Path::new("."));
        let mut sink = Sink::open(file)?;
        let written = sink.write_all(&bytes_of(&output.stdout));
        written.map_err(|error| outputs::cannot_write(file, &error))?;
        results.add(sink, file)?;
    }
    Ok(())
}

/// The whole text into a file, or to standard output for `-`.
pub fn write_text(path: &Path, text: &str) -> std::io::Result<()> {
    match path == Path::new("-") {
        true => {
            // That it failed is remembered, and said at the end.
            standard::say_text(text);
            Ok(())
        }
        false => result_file::write(path, &bytes_of(text)),
    }
}

/// Packets without use before the first one that is of any.
const MOST_WAITING: usize = 100_000;
