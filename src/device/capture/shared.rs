//! One file for several readers, each of which sees all of it: every stretch is read from the file, and unpacked, by who comes to it first.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use parking_lot::{Condvar, Mutex};

use super::window::{CHUNK, Source, Window};
use super::{CaptureProblem, CapturedPacket, Found};

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
}

/// The file, and what was read of it that not all have seen.
pub(crate) struct SharedFile<R> {
    state: Mutex<State<R>>,
    /// Somebody has come further.
    moved: Condvar,
    pub(super) mark: Mark,
}

struct State<R> {
    source: Source<R>,
    /// What was read to know what the file is.
    begun: Vec<u8>,
    /// From number `first` on.
    stretches: VecDeque<Arc<Stretch>>,
    first: u64,
    /// The number of the stretch that each reader sees next.
    next: Vec<u64>,
    /// What there is in the place of a further stretch: nothing, or what is wrong.
    end: Option<Option<CaptureProblem>>,
    spare: Vec<Vec<u8>>,
}

/// A reader's place.
pub(super) struct Seat<R> {
    file: Arc<SharedFile<R>>,
    index: usize,
}

impl<R: Read> SharedFile<R> {
    /// For so many readers, which are all to be made ([`super::CaptureReader::of_shared`]): none comes much further than any other.
    pub(crate) fn new(reader: R, readers: usize, mark: Mark) -> Result<Arc<Self>, CaptureProblem> {
        let (source, begun) = Window::new(reader).into_source()?;
        Ok(Arc::new(Self {
            state: Mutex::new(State {
                source,
                begun,
                stretches: VecDeque::new(),
                first: 0,
                next: vec![0; readers],
                end: None,
                spare: Vec::new(),
            }),
            moved: Condvar::new(),
            mark,
        }))
    }

    /// Stretches that some have yet to see.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().stretches.len()
    }

    pub(super) fn seat(self: &Arc<Self>, index: usize) -> Seat<R> {
        Seat {
            file: Arc::clone(self),
            index,
        }
    }
}

impl<R: Read> Seat<R> {
    /// Puts the next stretch in the place of the one before: what is left of that, and what comes behind it; false where nothing does. All readers have the
    /// same left, since all read the same records.
    pub(super) fn next(
        &mut self,
        before: &mut Arc<Stretch>,
        left: Range<usize>,
        wanted: usize,
    ) -> Result<bool, CaptureProblem> {
        let mut state = self.file.state.lock();
        let number = state.next[self.index];
        while number >= state.first + MOST {
            self.file.moved.wait(&mut state);
        }
        let state = &mut *state;
        if number == state.first + state.stretches.len() as u64 {
            if let Some(end) = &state.end {
                return end.as_ref().map_or(Ok(false), |problem| Err(again(problem)));
            }
            match state.read(&before.bytes[left], wanted) {
                Ok(Some(stretch)) => state.stretches.push_back(Arc::new(Stretch {
                    bytes: stretch,
                    run: OnceLock::new(),
                })),
                Ok(None) => {
                    state.end = Some(None);
                    return Ok(false);
                }
                Err(problem) => {
                    state.end = Some(Some(again(&problem)));
                    return Err(problem);
                }
            }
        }
        let stretch = Arc::clone(&state.stretches[(number - state.first) as usize]);
        state.next[self.index] = number + 1;
        state.forget_what_all_have_seen();
        // Whoever was the last to have it leaves its room for one to come.
        if let Ok(Stretch { bytes, .. }) = Arc::try_unwrap(std::mem::replace(before, stretch))
            && bytes.capacity() >= CHUNK
        {
            state.spare.push(bytes);
        }
        self.file.moved.notify_all();
        Ok(true)
    }
}

impl<R: Read> State<R> {
    fn read(&mut self, left: &[u8], wanted: usize) -> Result<Option<Vec<u8>>, CaptureProblem> {
        if !self.begun.is_empty() {
            return Ok(Some(std::mem::take(&mut self.begun)));
        }
        let mut stretch = self.spare.pop().unwrap_or_default();
        let room = wanted.max(left.len() + 1).next_multiple_of(CHUNK);
        stretch.resize(room, 0);
        stretch[..left.len()].copy_from_slice(left);
        let read = self.source.read(&mut stretch[left.len()..])?;
        // Not made shorter before it is clear that there is anything: its room would have to be cleared again.
        stretch.truncate(left.len() + read);
        Ok((read > 0).then_some(stretch))
    }
}

impl<R> State<R> {
    fn forget_what_all_have_seen(&mut self) {
        let seen = self.next.iter().copied().min().unwrap_or(u64::MAX);
        while self.first < seen && self.stretches.pop_front().is_some() {
            self.first += 1;
        }
    }
}

impl<R> Drop for Seat<R> {
    /// Nobody waits for it any more.
    fn drop(&mut self) {
        let mut state = self.file.state.lock();
        state.next[self.index] = u64::MAX;
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
const MOST: u64 = 64;
