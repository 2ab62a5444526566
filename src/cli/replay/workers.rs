//! One capture on several workers: each sees all of it, read from the file once, and carries the packets that are its own.
//!
//! Which these are, [`meeting`] says: packets that may meet have one worker. What packets of all ends share is done in the order of the capture:
//! who comes to it waits until all before are through (`Board`). What there is to be written is laid in order here, in the thread that began.
//!
//! The other forms were one reader that hands packets out, and a router on one worker with all writing on others. The first costs each packet a
//! copy and a queue, which is more than the second look at a record that is somebody else's; the second gains nothing where nothing is written.

use std::fs::File;
use std::io::{Read, Take};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parking_lot::Mutex;

use super::complaint::Complaints;
use super::lanes::Batch;
use super::stage::{self, Session, Stage};
use super::together::Together;
use super::{Run, Stop};
use crate::base::Time;
use crate::base::bytes::text_of_path;
use crate::device::{CaptureReader, CapturedPacket, Content, Found, InOrder, SharedFile};
use crate::lab::memory::LOCAL;
use crate::replay::{PARTS, Replayer, TimedPacket, is_fragment, meeting, repair, turn};

/// What the workers of a capture know of each other.
pub(super) struct Board {
    at: Box<[Place]>,
    /// They end: somebody cannot go on.
    ends: AtomicBool,
    /// Why one worker must do it alone, from the beginning.
    alone: Mutex<Option<String>>,
}

/// How far a worker has come. Each in a line of its own, with the one that processors fetch beside it.
#[repr(align(128))]
#[derive(Default)]
struct Place {
    /// The number of the packet that it is at: all before are through, as far as they are its own.
    number: AtomicU64,
    /// What its clock showed when it last looked round, in nanoseconds.
    clock: AtomicU64,
}

impl Board {
    fn new(count: usize) -> Self {
        Self {
            at: (0..count).map(|_| Place::default()).collect(),
            ends: AtomicBool::new(false),
            alone: Mutex::default(),
        }
    }

    /// A worker comes to a packet: those of its own before it are through.
    #[inline]
    fn is_at(&self, worker: usize, number: u64) {
        self.at[worker].number.store(number, Ordering::Release);
    }

    /// Returns once all packets before this one are through.
    fn await_turn(&self, worker: usize, number: u64) {
        for (_, place) in self.at.iter().enumerate().filter(|(other, _)| *other != worker) {
            let mut looked = 0;
            while place.number.load(Ordering::Acquire) < number && !self.ends.load(Ordering::Relaxed) {
                looked += 1;
                match looked < LOOKS {
                    true => std::hint::spin_loop(),
                    false => std::thread::yield_now(),
                }
            }
        }
    }

    /// The earliest of what the clocks of the others show, and of this.
    fn all_have_come_to(&self, worker: usize, now: Time) -> Time {
        let others = self.at.iter().enumerate().filter(|(other, _)| *other != worker);
        let clocks = others.map(|(_, place)| Time::from_nanos(place.clock.load(Ordering::Acquire)));
        clocks.fold(now, Time::min)
    }

    fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

/// A worker's share of a capture.
pub(super) struct Share {
    index: usize,
    count: usize,
    board: Arc<Board>,
    /// Packets up to this number were carried before there were workers.
    carried: u64,
    /// Packets that it may be ahead of another.
    ahead: u64,
    /// Where what is to be written goes; `None` where nothing is.
    lane: Option<Lane>,
}

/// What one worker knows of the others.
struct Others {
    board: Arc<Board>,
    index: usize,
}

impl turn::Others for Others {
    fn is_at(&self, number: u64) {
        self.board.is_at(self.index, number);
    }

    fn await_turn(&self, number: u64) {
        self.board.await_turn(self.index, number);
    }

    fn all_have_come_to(&self, now: Time) -> Time {
        self.board.all_have_come_to(self.index, now)
    }
}

/// The way to who writes, and back: what was written comes again, and its room serves once more.
struct Lane {
    to: SyncSender<Batch>,
    back: Receiver<Batch>,
}

/// Its other end.
struct LaneEnd {
    from: Receiver<Batch>,
    back: SyncSender<Batch>,
}

/// Whose a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Mine,
    Anothers,
}

impl Share {
    /// The first one says what is to be said of records, whoever carries their packets.
    pub(super) fn tells(&self) -> bool {
        self.index == 0
    }

    pub(super) fn was_carried(&self, number: u64) -> bool {
        number <= self.carried
    }

    /// A record is looked at: what comes before it is through.
    #[inline]
    pub(super) fn is_at(&self, number: u64) {
        self.board.is_at(self.index, number);
    }

    /// No packet that it has yet to carry comes before this instant.
    fn has_come_to(&self, now: Time) {
        self.board.at[self.index].clock.store(now.as_nanos(), Ordering::Release);
    }

    /// It has no packets any more.
    fn is_through(&self) {
        self.is_at(u64::MAX);
        self.has_come_to(Time::from_nanos(u64::MAX));
    }

    #[inline]
    pub(super) fn whose(&self, packet: &TimedPacket<'_>, replayer: &Replayer) -> Result<Whose, Stop> {
        let Some(place) = meeting::place_of(packet.bytes) else {
            return Err(self.leave("an ICMP error comes in fragments"));
        };
        if meeting::is_without_source(packet.bytes)
            && replayer.entrance_of(packet).is_some_and(|it| it.as_str() == LOCAL)
        {
            return Err(self.leave("the router chooses the source of a packet of its own"));
        }
        match place as usize % PARTS % self.count == self.index {
            true => Ok(Whose::Mine),
            false => Ok(Whose::Anothers),
        }
    }

    /// Asks memory for the packets that are its own, all at once: half of them are in the cache of the processor that read them.
    fn look_ahead(&self, reader: &CaptureReader<impl Read>) {
        let own = reader.found().iter().filter(|found| self.is_mine(found.mark));
        std::hint::black_box(own.fold(0, |all, found| all ^ reader.touch(found)));
    }

    /// Those of some packets that are not another's, or that there is more to say of.
    fn to_look_at<'f>(&self, all: &InOrder<'f>) -> impl Iterator<Item = &'f Found> + use<'f> {
        let (index, count) = (self.index, self.count);
        let both = all.found.iter().zip(all.marks);
        both.filter_map(move |(found, mark)| {
            (*mark == TO_LOOK_AT || usize::from(*mark) % count == index).then_some(found)
        })
    }

    /// Of a packet that [`mark`] knows.
    #[inline]
    pub(super) fn is_mine(&self, mark: Option<u8>) -> bool {
        mark.is_some_and(|mark| mark != TO_LOOK_AT && usize::from(mark) % self.count == self.index)
    }

    /// Of a packet that [`mark`] knows.
    #[inline]
    pub(super) fn is_anothers(&self, mark: Option<u8>) -> bool {
        mark.is_some_and(|mark| mark != TO_LOOK_AT && usize::from(mark) % self.count != self.index)
    }

    /// Now and then: nobody is too far ahead, what was written goes on, there is room in the table of flows for what may come meanwhile, and workers
    /// do more than wait for each other.
    pub(super) fn look_round(&self, session: &mut Session<'_>, number: u64) -> Result<(), Stop> {
        self.has_come_to(session.replayer.lab().now());
        self.board.await_turn(self.index, number.saturating_sub(self.ahead));
        if self.board.ends.load(Ordering::Relaxed) {
            return Err(Stop::Reader);
        }
        if session.replayer.is_crowded(number) {
            return Err(self.leave("the table of flows is nearly full"));
        }
        if session.replayer.lab().machine.router().knows_paths() {
            return Err(self.leave(PATHS));
        }
        if session.replayer.mostly_waits() {
            return Err(self.leave("many packets are for the router, or answered by it, and wait for each other"));
        }
        self.hand_over(session)
    }

    fn hand_over(&self, session: &mut Session<'_>) -> Result<(), Stop> {
        let Some(lane) = &self.lane else { return Ok(()) };
        let room = lane.back.try_recv().unwrap_or_default();
        lane.to.send(session.outputs.take_batch(room)).map_err(|_| Stop::Reader)
    }

    /// One worker must do it alone.
    fn leave(&self, why: &str) -> Stop {
        self.board.alone.lock().get_or_insert_with(|| why.to_owned());
        self.board.end();
        Stop::Reader
    }
}

const PATHS: &str = "the router is told what a path takes";

/// What keeps a capture on one worker, or makes results hang on which worker is faster.
pub(super) fn meeting_places(replayer: &Replayer) -> Vec<String> {
    meeting::meeting_places(replayer.lab(), replayer.rules())
}

/// The rest of a capture on several workers. False where there is no place for them, and nothing was done.
pub(super) fn carry(run: &mut Run<'_>, mut count: usize) -> Result<bool, Stop> {
    let Stage::Running(session) = std::mem::replace(&mut run.stage, Stage::Between) else {
        return Ok(false);
    };
    let mut session = *session;
    // What is known of paths is everybody's, and holds from a packet on.
    let router = Arc::clone(session.replayer.lab().machine.router());
    let mut others: Vec<Replayer> = Vec::new();
    while !router.knows_paths()
        && others.len() + 1 < count.min(PARTS)
        && let Some(other) = session.replayer.beside()
    {
        others.push(other);
    }
    count = others.len() + 1;
    if count == 1 {
        run.stage = Stage::Running(Box::new(session));
        return Ok(false);
    }
    let board = Arc::new(Board::new(count));
    let ahead = ahead(&session.replayer, count);
    let mut lanes: Vec<LaneEnd> = Vec::new();
    let mut runs = Vec::new();
    let first_summary = session.summary.beside(&session.replayer);
    let first = (session.replayer, first_summary, std::mem::take(&mut run.complaints));
    let others = others.into_iter().map(|replayer| {
        let summary = session.summary.beside(&replayer);
        (replayer, summary, Complaints::default())
    });
    for (index, (mut replayer, summary, complaints)) in std::iter::once(first).chain(others).enumerate() {
        let board = Arc::clone(&board);
        replayer.take_turns(Arc::new(Others {
            board: Arc::clone(&board),
            index,
        }));
        let lane = run.writes().then(|| {
            let ((to, from), (back_to, back)) = (sync_channel(BATCHES), sync_channel(2 * BATCHES));
            lanes.push(LaneEnd { from, back: back_to });
            Lane { to, back }
        });
        let outputs = session.outputs.lanes();
        let share = Share {
            index,
            count,
            board,
            carried: run.seen,
            ahead,
            lane,
        };
        runs.push(run.beside(
            Session {
                replayer,
                other: None,
                summary,
                differences: None,
                outputs,
            },
            complaints,
            share,
        ));
    }
    let path = &run.arguments.input;
    let file = SharedFile::new(open_again(run)?, count, mark).map_err(|error| error.to_string())?;
    let scout = file.scout();
    let (written, done) = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (index, mut worker) in runs.into_iter().enumerate() {
            let (file, scout) = (&file, &scout);
            threads.push(scope.spawn(move || {
                let result = match CaptureReader::of_shared((file, scout), index, path) {
                    Ok(mut reader) => worker.packets(&mut reader),
                    Err(error) => Err(error.to_string().into()),
                };
                worker.part(result)
            }));
        }
        let written = write(&mut session.outputs, &lanes);
        if written.is_err() {
            board.end();
        }
        drop(lanes);
        let done: Vec<_> = threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        (written, done)
    });
    let of_paths = router.knows_paths().then(|| PATHS.to_owned());
    if let Some(why) = board.alone.lock().take().or(of_paths) {
        return Err(Stop::Alone(why));
    }
    let mut failed = written.err();
    let mut primary = None;
    for (index, part) in done.into_iter().enumerate() {
        let Part {
            result,
            session: part,
            complaints,
            seen,
        } = part.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        if let Err(stop) = result {
            failed.get_or_insert(stop);
        }
        let Some(part) = part else { continue };
        session.summary.add(part.summary);
        if index == 0 {
            (run.complaints, run.seen) = (complaints, seen);
            primary = Some(part.replayer);
        } else {
            stage::leave_to_the_system(part.replayer);
        }
    }
    let replayer = match (failed, primary) {
        (None, Some(replayer)) => replayer,
        (failed, _) => return Err(failed.unwrap_or(Stop::Reader)),
    };
    replayer.lab().machine.router().flows().list_by_packets();
    run.stage = Stage::Running(Box::new(Session {
        replayer,
        other: None,
        summary: session.summary,
        differences: None,
        outputs: session.outputs,
    }));
    run.count = count;
    Ok(true)
}

/// The part that a packet is of, for all workers at once: so that of nine packets of ten nobody but the one who carries them looks at their bytes.
fn mark(packet: &CapturedPacket<'_>) -> u8 {
    match packet.content {
        Content::Ip(bytes)
            if !packet.to_another
                && repair::missing(bytes) == 0
                && !meeting::is_without_source(bytes)
                && !is_fragment(bytes) =>
        {
            meeting::place_of(bytes).map_or(TO_LOOK_AT, |place| (place as usize % PARTS) as u8)
        }
        _ => TO_LOOK_AT,
    }
}

/// What all workers have, stretch by stretch.
fn write(outputs: &mut super::outputs::Outputs<'_>, lanes: &[LaneEnd]) -> Result<(), Stop> {
    while !lanes.is_empty() {
        // All see the same records, so all have as many stretches.
        let batches: Vec<Batch> = lanes.iter().filter_map(|lane| lane.from.recv().ok()).collect();
        if batches.len() < lanes.len() {
            // At the end nobody has one; where one left, the others' is nothing whole.
            break;
        }
        outputs.write(&batches)?;
        for (lane, mut batch) in lanes.iter().zip(batches) {
            batch.clear();
            // Who has left needs no room.
            let _ = lane.back.try_send(batch);
        }
    }
    Ok(())
}

/// The capture once more, for all workers; what comes to it later is nobody's.
fn open_again(run: &Run<'_>) -> Result<Take<File>, Stop> {
    let path = &run.arguments.input;
    let file = File::open(path).map_err(|error| format!("cannot read the capture {}: {error}", text_of_path(path)))?;
    Ok(file.take(run.screen.length()))
}

/// What a worker has once it is through.
struct Part<'a> {
    result: Result<(), Stop>,
    session: Option<Box<Session<'a>>>,
    complaints: Complaints,
    seen: u64,
}

impl<'a> Run<'a> {
    /// Packets that a worker sees up to the next look round.
    pub(super) fn packets_of_share(&self) -> usize {
        (STRETCH - self.seen % STRETCH) as usize
    }

    /// Goes through packets with others who do, and looks at its own alone, where nothing is to be said of others' but that time goes on. False where it has to
    /// look at each, and nothing was done.
    pub(super) fn own_packets<'w>(
        &mut self,
        reader: &'w CaptureReader<impl Read>,
        together: &mut Together<'w>,
    ) -> Result<bool, Stop> {
        let (Some(share), Stage::Running(session)) = (&self.share, &mut self.stage) else {
            return Ok(false);
        };
        share.look_ahead(reader);
        let Some(all) = reader.found_in_order() else {
            return Ok(false);
        };
        let (Some(first), Some(last)) = (all.found.first(), all.found.last()) else {
            return Ok(false);
        };
        let mut names = all.interfaces.iter().map(|it| reader.interface(*it));
        let are_seen_alike = (first.number - 1) / STRETCH == (last.number - 1) / STRETCH
            && !share.was_carried(first.number)
            && self.arguments.direction.is_none()
            && session.replayer.lets_pass_by_between(first.time(), last.time())
            && names.all(|name| name.is_some_and(|name| session.replayer.knows(name)));
        if !are_seen_alike {
            return Ok(false);
        }
        for found in share.to_look_at(&all) {
            self.packet(&reader.packet(found), found.mark, together)?;
            if together.is_full() {
                self.carry(together)?;
            }
        }
        if let Stage::Running(session) = &mut self.stage {
            session.replayer.let_all_pass_by(last.time());
        }
        self.seen = last.number;
        Ok(true)
    }

    fn part(mut self, mut result: Result<(), Stop>) -> Part<'a> {
        let mut session = match std::mem::replace(&mut self.stage, Stage::Between) {
            Stage::Running(session) => Some(session),
            Stage::Waiting(..) | Stage::Between => None,
        };
        if let (Some(share), Some(session)) = (self.share.take(), &mut session) {
            share.is_through();
            // Once workers end early nobody waited for his turn any more.
            if !share.board.ends.load(Ordering::Relaxed) {
                let handed = share.hand_over(session);
                result = result.and(handed);
            }
        }
        Part {
            result,
            session,
            complaints: self.complaints,
            seen: self.seen,
        }
    }
}

/// Nobody waits for a worker that is no more.
impl Drop for Share {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.board.end();
        }
        self.is_through();
    }
}

/// How far a worker may be ahead of another: as far as one does for which the processor is not free, but what the others bring of flows meanwhile has room in a
/// table of which a quarter is free ([`Replayer::is_crowded`]).
fn ahead(replayer: &Replayer, count: usize) -> u64 {
    let most = u64::from(replayer.lab().machine.router().config().conntrack.max);
    match most / 8 / (count as u64 - 1).max(1) {
        0 => FURTHEST,
        room => room.clamp(LEAST_AHEAD, FURTHEST),
    }
}

/// The mark of packets that there is more to say of.
const TO_LOOK_AT: u8 = u8::MAX;
/// How often a worker looks for another before it lets others have its processor.
const LOOKS: u32 = 200;
const LEAST_AHEAD: u64 = 1 << 14;
const FURTHEST: u64 = 1 << 17;
/// Stretches of a worker that wait to be written.
const BATCHES: usize = 8;
/// Packets between two looks round.
pub(super) const STRETCH: u64 = 1 << 7;
