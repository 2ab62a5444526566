//! `nflab replay`: a capture's packets through a lab, with the capture's own time.
//!
//! The room `replay` does the work; here are where its results go, and what is said when something is wrong with the capture: with
//! the number of the packet, once for each kind, and the rest replayed where that makes sense.

mod alone;
mod arguments;
mod complaint;
mod end;
mod labs;
mod lanes;
mod outputs;
mod screen;
mod stage;
mod together;
mod workers;

use std::io::Read;
use std::path::Path;

pub(crate) use self::arguments::Arguments;
use self::arguments::{Wanted, check, filter_among};
use self::complaint::Complaints;
use self::labs::Labs;
use self::screen::{Again, Screen};
use self::stage::{Session, Stage, UnusedKind};
use self::together::Together;
use self::workers::Share;
use crate::base::bytes::bytes_of;
use crate::device::result_file;
use crate::device::standard::{self, tell};
use crate::device::{CaptureError, CaptureReader, CapturedPacket};
use crate::explain::filter::Names;
use crate::explain::story::{Phrases, Story};
use crate::replay::{AT_ONCE, TimedPacket};

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

    fn begin(&mut self, first: Option<&TimedPacket<'_>>) -> Result<(), Stop> {
        if let Stage::Waiting(labs, unused) = std::mem::replace(&mut self.stage, Stage::Between) {
            let session = Session::begin(self.arguments, *labs, first, &unused, self.screen.again())?;
            self.stage = Stage::Running(Box::new(session));
        }
        Ok(())
    }
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
