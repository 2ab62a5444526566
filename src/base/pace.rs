//! Long work in short pieces, for whoever does it beside something that must not wait.
//!
//! A kernel may leave a thread alone from one of its ticks to the next, whoever has been woken beside it: the packets of a router whose
//! processors are all busy would wait for milliseconds while one of its own threads reads rules. What happens between two pieces is handed in.

/// What is done between two pieces of long work; by itself nothing.
#[derive(Clone, Copy, Debug)]
pub struct Pace(fn());

impl Pace {
    /// Work goes on without a pause.
    pub const NONE: Self = Self(|| {});

    /// This is done between two pieces.
    pub const fn of(pause: fn()) -> Self {
        Self(pause)
    }

    /// Between two pieces.
    #[inline]
    pub fn pause(self) {
        (self.0)();
    }

    /// So many small things have been done, of which so many make a piece.
    #[inline]
    pub fn done(self, count: usize, piece: Piece) {
        if count > 0 && count.is_multiple_of(piece as usize) {
            self.pause();
        }
    }
}

/// How many rules make a piece of work: one or three tenths of a millisecond, since a pause costs about one thousandth, and on a busy machine a turn of
/// whoever else waits for the processor. So an edit beside ten thousand rules is one piece.
#[derive(Clone, Copy, Debug)]
pub enum Piece {
    /// They are read from a text, or printed.
    Read = 64,
    /// They are made or freed.
    Made = 256,
    /// They are only looked at.
    Seen = 16384,
}

impl Default for Pace {
    fn default() -> Self {
        Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static PAUSES: Cell<usize> = const { Cell::new(0) };
    }

    #[test]
    fn there_is_a_pause_behind_each_piece() {
        let pace = Pace::of(|| PAUSES.set(PAUSES.get() + 1));
        for done in 0..=3 * Piece::Made as usize {
            pace.done(done, Piece::Made);
            Pace::NONE.done(done, Piece::Made);
        }
        assert_eq!(PAUSES.get(), 3);
    }
}
