//! `nflab replay`: a capture's packets through a lab, with the capture's own time.
//!
//! The room `replay` does the work; here are where its results go, and what is said when something is wrong with the capture: with
//! the number of the packet, once for each kind, and the rest replayed where that makes sense.

mod arguments;
mod complaint;
mod labs;
mod lanes;
mod outputs;
mod screen;
mod stage;
mod together;
mod workers;

use std::io::{Read, Write};
use std::path::Path;

pub(crate) use self::arguments::Arguments;
use self::arguments::{Wanted, Way, check, filter_among, says_summary};
use self::complaint::Complaints;
use self::labs::Labs;
use self::outputs::{Results, Sink};
use self::screen::{Again, Screen};
use self::stage::{Session, Stage, Unused, UnusedFrame, UnusedKind};
use self::together::Together;
use self::workers::{Share, Whose};
use crate::base::InterfaceName;
use crate::base::bytes::{bytes_of, quoted};
use crate::device::result_file;
use crate::device::standard::{self, tell};
use crate::device::{CaptureError, CaptureReader, CapturedPacket, Content, Direction};
use crate::explain::filter::{self, Filter, Names};
use crate::explain::story::{Detail, Phrases, Story};
use crate::lab::memory::{LOCAL, Lab};
use crate::replay::repair::{self, Repair};
use crate::replay::{AT_ONCE, NoEntrance, Passed, TimedPacket};

pub(super) fn run(arguments: &Arguments) -> u8 {
    let again = Again::default();
    let result = match replay(arguments, &again, None) {
        Err(Stop::Alone(why)) => replay(arguments, &again.once_more(), Some(&why)),
        result => result,
    };
    match result {
        Ok(code) => code,
        Err(Stop::Said(code)) => code,
        Err(Stop::Reader | Stop::Alone(_)) => 0,
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
    /// Several workers can't do it, and one begins anew.
    Alone(String),
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self::Say(message)
    }
}

/// With `alone`, on one worker, and why.
fn replay(arguments: &Arguments, again: &Again, alone: Option<&str>) -> Result<u8, Stop> {
    let mut wanted = check(arguments)?;
    let screen = Screen::open(&arguments.input, arguments.quiet, again.clone())?;
    let count = if alone.is_some() {
        1
    } else {
        workers(arguments, &screen)
    };
    let labs = Labs::open(arguments, count, again)?;
    if let Some(text) = &arguments.filter {
        let (hosts, interfaces) = (labs.lab.machine.hosts(), labs.lab.interface_names());
        let names = Names {
            addresses_of: &|name| {
                hosts
                    .get(name)
                    .map_or_else(Vec::new, |host| host.addresses.all().collect())
            },
            is_interface: &|name| interfaces.iter().any(|it| it.as_str() == name),
        };
        wanted.filter = Some(filter_among(text, &names)?);
    }
    let source = screen.source(&arguments.input, count > 1)?;
    let mut reader = match arguments.input == Path::new("-") {
        true => CaptureReader::new(source),
        false => CaptureReader::named(source, &arguments.input),
    }
    .map_err(|error| error.to_string())?;
    if again.is_first() {
        labs.tell_which(arguments);
    }
    let mut run = Run {
        arguments,
        wanted: &wanted,
        screen: &screen,
        count,
        how: alone
            .map(|why| format!(" on one worker, because {why}"))
            .unwrap_or_default(),
        share: None,
        complaints: Complaints::default(),
        stage: Stage::Waiting(Box::new(labs), Vec::new()),
        seen: 0,
        buffer: Vec::new(),
        story: Story::default(),
        told: String::new(),
        phrases: Phrases::default(),
    };
    // Nothing is written before a packet has come in: a wrong capture leaves older results as they are.
    run.packets(&mut reader)?;
    run.finish()
}

/// How many share the work, as far as the capture says.
fn workers(arguments: &Arguments, screen: &Screen) -> usize {
    let asked = arguments.workers.map(usize::from);
    if asked.is_none() && screen.length() < SHORT {
        return 1;
    }
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let count = asked.unwrap_or_else(cores);
    let why = if screen.length() == 0 {
        "this capture is no file that each could read"
    } else if arguments.compares() {
        "two rulesets are compared packet by packet"
    } else {
        return count;
    };
    if asked.is_some_and(|asked| asked > 1) {
        screen.say(&format!("nflab: one worker does it all, since {why}"));
    }
    1
}

/// One run over a capture.
struct Run<'a> {
    arguments: &'a Arguments,
    wanted: &'a Wanted,
    screen: &'a Screen,
    /// How many workers there are to be, once packets come in.
    count: usize,
    /// For who asks how fast it was.
    how: String,
    /// Of a worker's part.
    share: Option<Share>,
    complaints: Complaints,
    stage: Stage<'a>,
    /// Packets of the capture, used or not.
    seen: u64,
    buffer: Vec<u8>,
    story: Story,
    /// The story in words.
    told: String,
    phrases: Phrases,
}

impl<'a> Run<'a> {
    /// The same for a worker of this run.
    fn beside(&self, session: Session<'a>, complaints: Complaints, share: Share) -> Self {
        Self {
            arguments: self.arguments,
            wanted: self.wanted,
            screen: self.screen,
            count: 1,
            how: String::new(),
            share: Some(share),
            complaints,
            stage: Stage::Running(Box::new(session)),
            seen: self.seen,
            buffer: Vec::new(),
            story: Story::default(),
            told: String::new(),
            phrases: Phrases::default(),
        }
    }

    /// Whether anything is written of packets, or printed.
    fn writes(&self) -> bool {
        self.wanted.explain.is_some()
            || arguments::written(self.arguments)
                .iter()
                .any(|(_, path)| path.is_some())
    }

    /// Whether this is who says what is to be said of records.
    fn tells(&self) -> bool {
        self.share.as_ref().is_none_or(Share::tells)
    }

    fn packets(&mut self, reader: &mut CaptureReader<impl Read + Send>) -> Result<(), Stop> {
        loop {
            // Whoever shares the work begins behind the first packet that came in.
            let is_under_way = self.count == 1 && matches!(self.stage, Stage::Running(_));
            let most = match (is_under_way, &self.share) {
                (true, Some(_)) => self.packets_of_share(),
                (true, None) => AT_ONCE,
                (false, _) => 1,
            };
            match reader.next_packets(most) {
                Ok(()) if reader.found().is_empty() => return Ok(()),
                Ok(()) => {}
                Err(error) if error.goes_on() && self.was_carried(error.packet) => continue,
                Err(error) => {
                    let goes_on = error.goes_on();
                    self.damaged(error)?;
                    if !goes_on {
                        return Ok(());
                    }
                    self.look_round()?;
                }
            }
            let mut together = Together::default();
            if self.own_packets(reader, &mut together)? {
                self.carry_all(&mut together)?;
                self.look_round()?;
                continue;
            }
            for found in reader.found() {
                if together.is_full() {
                    self.carry(&mut together)?;
                }
                if self.was_carried(found.number) {
                    continue;
                }
                if !self.passes_by(reader, found, &together) {
                    self.packet(&reader.packet(found), found.mark, &mut together)?;
                }
                if self.seen.is_multiple_of(workers::STRETCH) {
                    self.carry_all(&mut together)?;
                    self.look_round()?;
                }
            }
            self.carry_all(&mut together)?;
            drop(together);
            if self.count > 1
                && let Stage::Running(session) = &self.stage
            {
                let places = workers::meeting_places(&session.replayer);
                let count = self.workers(&places);
                self.count = 1;
                if count > 1 && workers::carry(self, count)? {
                    return Ok(());
                }
            }
        }
    }

    /// Now and then, while no packet waits.
    fn look_round(&mut self) -> Result<(), Stop> {
        if !self.seen.is_multiple_of(workers::STRETCH) {
            return Ok(());
        }
        if self.tells() && self.seen.is_multiple_of(1 << 13) {
            self.screen.progress(self.seen);
        }
        match (&self.share, &mut self.stage) {
            (Some(share), Stage::Running(session)) => share.look_round(session, self.seen),
            _ => Ok(()),
        }
    }

    fn was_carried(&self, number: u64) -> bool {
        self.share.as_ref().is_some_and(|share| share.was_carried(number))
    }

    /// How many share the work under these rules.
    fn workers(&mut self, places: &[String]) -> usize {
        let Some((first, more)) = places.split_first() else {
            return self.count;
        };
        let first = match more.len() {
            0 => first.clone(),
            more => format!("{first} (and in {more} more)"),
        };
        if self.arguments.workers.is_none() {
            self.how = format!(" on one worker, because packets of all flows meet in {first}");
            return 1;
        }
        self.screen.say_of_this_beginning(&format!(
            "nflab: packets of all flows meet in {first}: which of two that pass at the same time comes first there may be otherwise in another \
             run, but with --workers 1"
        ));
        self.count
    }

    fn fault(&mut self, kind: &str, text: &str) {
        if self.tells() {
            self.complaints.fault(self.screen, kind, text);
        }
    }

    fn damaged(&mut self, error: CaptureError) -> Result<(), Stop> {
        if !error.goes_on() && matches!(self.stage, Stage::Waiting(..)) {
            return Err(error.to_string().into());
        }
        self.seen = error.packet;
        let kind = error.problem.to_string();
        self.fault(&kind, &error.to_string());
        if error.goes_on() {
            self.unused(error.packet, "", &kind, None, UnusedKind::Lost)?;
        }
        Ok(())
    }

    #[inline]
    fn packet<'w>(
        &mut self,
        packet: &CapturedPacket<'w>,
        mark: Option<u8>,
        together: &mut Together<'w>,
    ) -> Result<(), Stop> {
        self.seen = packet.number;
        if let (Some(share), true) = (&self.share, together.is_empty()) {
            share.is_at(packet.number);
        }
        if self.waits(packet, mark, together)? {
            return Ok(());
        }
        self.carry(together)?;
        if let Some(share) = &self.share {
            share.is_at(packet.number);
        }
        self.packet_alone(packet)
    }

    fn packet_alone(&mut self, packet: &CapturedPacket<'_>) -> Result<(), Stop> {
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
        let seen = TimedPacket {
            number: packet.number,
            time: packet.time,
            interface: name,
            bytes,
        };
        let whose = match (&self.share, &self.stage) {
            (Some(share), Stage::Running(session)) => share.whose(&seen, &session.replayer)?,
            _ => Whose::Mine,
        };
        if whose == Whose::Anothers && !self.tells() {
            return self.pass_by(&seen, packet);
        }
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
            if self.tells() {
                self.complaints.note(self.screen, "packets are cut", &text);
            }
        }
        if whose == Whose::Anothers {
            return self.pass_by(&seen, packet);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let timed = TimedPacket {
            bytes: repair.packet(bytes, &mut buffer),
            ..seen
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

    /// Another worker carries it.
    #[inline]
    fn pass_by(&mut self, timed: &TimedPacket<'_>, packet: &CapturedPacket<'_>) -> Result<(), Stop> {
        let Stage::Running(session) = &mut self.stage else {
            return Ok(());
        };
        match session.replayer.pass_by(timed) {
            Ok(true) => self.late(packet.number),
            Ok(false) => {}
            Err(problem) => return self.homeless(&problem, packet),
        }
        Ok(())
    }

    #[cold]
    fn late(&mut self, number: u64) {
        if self.tells() {
            let text = format!(
                "packet {number} is older than the one before it; the clock doesn't run backwards, so it (and others like it) comes at the time of the last"
            );
            self.complaints.note_once(self.screen, "the clock", &text);
        }
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
        let is_late = passed.is_late();
        session.summary.note(&passed);
        let frame = (packet.time, packet.frame);
        session.outputs.packet(&passed, compared.as_ref(), Some(frame))?;
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
            let has_colour = self.screen.has_colour();
            self.story
                .render_of_many(&mut self.told, detail, has_colour, &mut self.phrases);
            // The whole story says its number itself.
            session
                .outputs
                .explain(passed.number(), !self.arguments.brief, &self.told)?;
        }
        if is_late {
            self.late(timed.number);
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
        self.fault(&kind, &text);
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
        kind: UnusedKind,
    ) -> Result<(), Stop> {
        if !self.tells() {
            return Ok(());
        }
        let unused = Unused {
            number,
            interface,
            reason,
            kind,
            frame: packet.map(UnusedFrame::of),
        };
        self.stage.unused(&unused, self.arguments.annotate.is_some())
    }

    fn begin(&mut self, first: Option<&TimedPacket<'_>>) -> Result<(), Stop> {
        if let Stage::Waiting(labs, unused) = std::mem::replace(&mut self.stage, Stage::Between) {
            let session = Session::begin(self.arguments, *labs, first, &unused, self.screen.again())?;
            self.stage = Stage::Running(Box::new(session));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<u8, Stop> {
        if let Stage::Waiting(_, unused) = &self.stage {
            if self.complaints.faults() > 0 {
                self.complaints.end(self.screen);
                return Err(format!(
                    "none of its {} packets can be replayed, so nothing was written",
                    unused.len()
                )
                .into());
            }
            self.begin(None)?;
        }
        self.screen.end();
        self.complaints.end(self.screen);
        let Stage::Running(mut session) = self.stage else {
            return Ok(0);
        };
        if self.arguments.conntrack.is_some() {
            session.replayer.settle();
        }
        session.summary.settle();
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
        finish_tables(
            self.arguments,
            session.replayer.lab_mut(),
            &mut results,
            self.screen.again(),
        )?;
        // All or none: until here every older result stands as it was.
        results.keep()?;
        if says_summary(self.arguments) {
            standard::tell_text(&session.summary.text(&session.replayer));
            let how = match self.count {
                0 | 1 => self.how,
                count => format!(" on {count} workers"),
            };
            tell!("\n{}", self.screen.pace(session.summary.packets(), &how));
        }
        stage::leave_to_the_system(session.replayer);
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

fn finish_tables<'a>(
    arguments: &'a Arguments,
    lab: &mut Lab,
    results: &mut Results<'a>,
    again: &Again,
) -> Result<(), Stop> {
    for (file, tool, args) in [
        (&arguments.save, "iptables-save", &["-c"][..]),
        (&arguments.save6, "ip6tables-save", &["-c"]),
        (&arguments.conntrack, "conntrack", &["-L", "-o", "extended"]),
    ] {
        let Some(file) = file else { continue };
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let output = lab.tool(tool, &args, "", Path::new("."));
        let mut sink = Sink::open(file, again)?;
        let written = sink.write_all(&bytes_of(&output.stdout));
        written.map_err(|error| outputs::cannot_write(file, &error))?;
        results.add(sink, file)?;
    }
    Ok(())
}

/// The whole text into a file, or to standard output for `-`.
pub(super) fn write_text(path: &Path, text: &str) -> std::io::Result<()> {
    match path == Path::new("-") {
        true => {
            // That it failed is remembered, and said at the end.
            standard::say_text(text);
            Ok(())
        }
        false => result_file::write(path, &bytes_of(text)),
    }
}

/// A shorter capture is through before there are threads.
const SHORT: u64 = 1 << 20;
