//! One file for several readers, each of which sees all of it: every stretch is read from the file, unpacked, and looked through once.
//!
//! A reader of its own does that, the [`Scout`], which goes some stretches ahead of all others, and which whoever has come to a stretch takes one
//! further, where nobody else does. So nobody waits for a stretch while another reads it, unless all that was read is used up.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use parking_lot::{Condvar, Mutex};
use smallvec::SmallVec;

use super::window::{CHUNK, Source, Window};
use super::{CaptureProblem, CaptureReader, CapturedPacket, Found};

/// What a packet is to all readers of its file, found out by one of them.
pub(crate) type Mark = fn(&CapturedPacket<'_>) -> u8;

/// Bytes of a file, one behind another.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    pub(super) bytes: Vec<u8>,
    /// What the first reader found who came to the end of its first record.
    pub(super) run: OnceLock<Run>,
}

/// Packets that lie one behind another in a stretch.
#[derive(Debug)]
pub(super) struct Run {
    /// Where the first begins.
    pub(super) start: usize,
    pub(super) found: Vec<Found>,
    /// The mark of each.
    pub(super) marks: Vec<u8>,
    /// The interfaces that they came by; `None` where that are many.
    pub(super) interfaces: Option<SmallVec<[u32; FEW]>>,
    /// Which are older than the one before them, in order.
    pub(super) late: Vec<u32>,
}

/// The file, and what was read of it that not all have seen.
pub(crate) struct SharedFile<R> {
    /// Taken before `state`, where both are.
    source: Mutex<Unread<R>>,
    state: Mutex<State>,
    /// Somebody has come further.
    moved: Condvar,
    mark: Mark,
}

struct Unread<R> {
    source: Source<R>,
    /// What was read to know what the file is.
    begun: Vec<u8>,
}

struct State {
    /// From number `first` on.
    stretches: VecDeque<Arc<Stretch>>,
    first: u64,
    /// The number of the stretch that each reader sees next. The last is the scout's.
    next: Vec<u64>,
    /// What there is in the place of a further stretch: nothing, or what is wrong.
    end: Option<Option<CaptureProblem>>,
    spare: Vec<Vec<u8>>,
}

/// The reader that goes ahead, until the file ends or cannot be read further; what that is, the others find out by themselves.
pub(crate) struct Scout<R>(Mutex<Option<CaptureReader<R>>>);

/// A reader's place.
pub(super) struct Seat<R> {
    file: Arc<SharedFile<R>>,
    index: usize,
    /// Who goes ahead of it.
    scout: Option<Arc<Scout<R>>>,
}

impl<R: Read> SharedFile<R> {
    /// For so many readers, which are all to be made ([`super::CaptureReader::of_shared`]): none comes much further than any other.
    pub(crate) fn new(reader: R, readers: usize, mark: Mark) -> Result<Arc<Self>, CaptureProblem> {
        let (source, begun) = Window::new(reader).into_source()?;
        let mut next = vec![0; readers];
        next.push(NOBODY);
        Ok(Arc::new(Self {
            source: Mutex::new(Unread { source, begun }),
            state: Mutex::new(State {
                stretches: VecDeque::new(),
                first: 0,
                next,
                end: None,
                spare: Vec::new(),
            }),
            moved: Condvar::new(),
            mark,
        }))
    }

    /// Before any reader is made. Where it can't be, the file can't be read, as each of them will say.
    pub(crate) fn scout(self: &Arc<Self>) -> Arc<Scout<R>> {
        let index = {
            let mut state = self.state.lock();
            let index = state.next.len() - 1;
            state.next[index] = 0;
            index
        };
        let seat = Seat {
            file: Arc::clone(self),
            index,
            scout: None,
        };
        Arc::new(Scout(Mutex::new(CaptureReader::of_seat(seat).ok())))
    }

    /// Stretches that some have yet to see.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().stretches.len()
    }

    pub(super) fn seat(self: &Arc<Self>, index: usize, scout: &Arc<Scout<R>>) -> Seat<R> {
        Seat {
            file: Arc::clone(self),
            index,
            scout: Some(Arc::clone(scout)),
        }
    }

    /// Reads the stretch of this number, unless somebody else has done so meanwhile, or the file has ended. `left` stands before it.
    fn read(&self, number: u64, left: &[u8], wanted: usize) {
        let mut source = self.source.lock();
        let spare = {
            let mut state = self.state.lock();
            if state.has(number) || state.end.is_some() {
                return;
            }
            state.spare.pop()
        };
        let read = source.read(left, wanted, spare.unwrap_or_default());
        let mut state = self.state.lock();
        match read {
            Ok(Some(bytes)) => state.stretches.push_back(Arc::new(Stretch {
                bytes,
                run: OnceLock::new(),
            })),
            Ok(None) => state.end = Some(None),
            Err(problem) => state.end = Some(Some(problem)),
        }
    }
}

impl<R: Read> Scout<R> {
    /// A stretch further.
    fn goes_on(scout: &mut Option<CaptureReader<R>>) {
        if !scout.as_mut().is_some_and(CaptureReader::finds_a_stretch) {
            *scout = None;
        }
    }

    /// On to the stretch of this number, which somebody waits for.
    fn goes_to(&self, file: &SharedFile<R>, number: u64) {
        let mut scout = self.0.lock();
        while scout.is_some() && !file.state.lock().has(number) {
            Self::goes_on(&mut scout);
        }
    }

    /// A stretch further than the one of this number is, unless it is far enough ahead, or somebody else does it.
    fn goes_ahead(&self, file: &SharedFile<R>, number: u64) {
        if let Some(mut scout) = self.0.try_lock()
            && scout.is_some()
            && file.state.lock().beyond(number) < AHEAD
        {
            Self::goes_on(&mut scout);
        }
    }
}

impl<R: Read> Seat<R> {
    pub(super) fn mark(&self) -> Mark {
        self.file.mark
    }

    /// Puts the next stretch in the place of the one before: what is left of that, and what comes behind it; false where nothing does. All readers have the
    /// same left, since all read the same records.
    pub(super) fn next(
        &mut self,
        before: &mut Arc<Stretch>,
        left: Range<usize>,
        wanted: usize,
    ) -> Result<bool, CaptureProblem> {
        let file = &*self.file;
        let number = {
            let mut state = file.state.lock();
            let number = state.next[self.index];
            // The scout is never far ahead of whoever takes it along, and who holds it must not wait for somebody who waits for it.
            while self.scout.is_some() && number >= state.first + MOST {
                file.moved.wait(&mut state);
            }
            number
        };
        if let Some(scout) = self.scout.as_ref().filter(|_| !file.state.lock().has(number)) {
            scout.goes_to(file, number);
        }
        let (stretch, beyond) = loop {
            let mut state = file.state.lock();
            if let Some(stretch) = state.at(number) {
                state.next[self.index] = number + 1;
                state.forget_what_all_have_seen();
                break (stretch, state.beyond(number));
            }
            if let Some(end) = &state.end {
                return end.as_ref().map_or(Ok(false), |problem| Err(again(problem)));
            }
            drop(state);
            file.read(number, &before.bytes[left.clone()], wanted);
        };
        // Whoever was the last to have it leaves its room for one to come.
        if let Ok(Stretch { bytes, .. }) = Arc::try_unwrap(std::mem::replace(before, stretch))
            && bytes.capacity() >= CHUNK
        {
            file.state.lock().spare.push(bytes);
        }
        file.moved.notify_all();
        if let (Some(scout), true) = (&self.scout, beyond < AHEAD) {
            scout.goes_ahead(file, number);
        }
        Ok(true)
    }
}

impl<R: Read> Unread<R> {
    fn read(&mut self, left: &[u8], wanted: usize, room: Vec<u8>) -> Result<Option<Vec<u8>>, CaptureProblem> {
        if !self.begun.is_empty() {
            return Ok(Some(std::mem::take(&mut self.begun)));
        }
        let mut stretch = room;
        let room = wanted.max(left.len() + 1).next_multiple_of(CHUNK);
        stretch.resize(room, 0);
        stretch[..left.len()].copy_from_slice(left);
        let read = self.source.read(&mut stretch[left.len()..])?;
        // Not made shorter before it is clear that there is anything: its room would have to be cleared again.
        stretch.truncate(left.len() + read);
        Ok((read > 0).then_some(stretch))
    }
}

impl State {
    fn at(&self, number: u64) -> Option<Arc<Stretch>> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.stretches.get(at).map(Arc::clone)
    }

    fn has(&self, number: u64) -> bool {
        number < self.first + self.stretches.len() as u64
    }

    /// How many were read behind this one.
    fn beyond(&self, number: u64) -> u64 {
        (self.first + self.stretches.len() as u64).saturating_sub(number + 1)
    }

    fn forget_what_all_have_seen(&mut self) {
        let seen = self.next.iter().copied().min().unwrap_or(NOBODY);
        while self.first < seen && self.stretches.pop_front().is_some() {
            self.first += 1;
        }
    }
}

impl<R> Drop for Seat<R> {
    /// Nobody waits for it any more.
    fn drop(&mut self) {
        let mut state = self.file.state.lock();
        state.next[self.index] = NOBODY;
        state.forget_what_all_have_seen();
        drop(state);
        self.file.moved.notify_all();
    }
}

/// The same problem for another reader.
fn again(problem: &CaptureProblem) -> CaptureProblem {
    match problem {
        CaptureProblem::PackedCut => CaptureProblem::PackedCut,
        CaptureProblem::Damaged(what) => CaptureProblem::Damaged(what.clone()),
        CaptureProblem::Io(error) => CaptureProblem::Io(io::Error::new(error.kind(), error.to_string())),
        other => CaptureProblem::Damaged(other.to_string()),
    }
}

/// Stretches that one reader may be ahead of another.
pub(super) const MOST: u64 = 64;
/// Stretches that are read and found before somebody comes to them: no more than stay in a cache.
const AHEAD: u64 = 3;
/// Interfaces of a run that are kept in mind.
pub(super) const FEW: usize = 4;
/// The next stretch of who sees none any more.
const NOBODY: u64 = u64::MAX;
