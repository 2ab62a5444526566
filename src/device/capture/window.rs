//! A window that moves over a file, packed or not.

use std::io::{self, BufReader, Chain, Cursor, Read};
use std::ops::Range;
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use super::CaptureProblem;
use super::shared::{Seat, Stretch};

/// The bytes of a file from where it has been read to; as many as were asked for, and some more.
///
/// What was consumed stays where it is until the window is filled again, so that a packet can be looked at without being copied.
pub(super) struct Window<R> {
    source: Source<R>,
    /// Nobody else's, but where others read the same file.
    buffer: Arc<Stretch>,
    start: usize,
    end: usize,
    /// Where `start` is in the file.
    offset: u64,
    /// How often it was filled with what others read too.
    fills: u64,
}

/// What was read to know the format, and the rest.
type Begun<R> = Chain<Cursor<Vec<u8>>, R>;

pub(super) enum Source<R> {
    Plain(R),
    Gzip(Box<MultiGzDecoder<BufReader<Begun<R>>>>),
    /// What others read too.
    Shared(Seat<R>),
    /// While the one above is made of the one before.
    Nothing,
}

impl<R: Read> Window<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            source: Source::Plain(reader),
            buffer: Arc::new(Stretch {
                bytes: vec![0; CHUNK],
                ..Stretch::default()
            }),
            start: 0,
            end: 0,
            offset: 0,
            fills: 0,
        }
    }

    /// Over a file that others read too.
    pub(super) fn of_shared(seat: Seat<R>) -> Self {
        Self {
            source: Source::Shared(seat),
            buffer: Arc::default(),
            start: 0,
            end: 0,
            offset: 0,
            fills: 0,
        }
    }

    /// Where the bytes come from, unpacked, and those that were read already.
    pub(super) fn into_source(mut self) -> Result<(Source<R>, Vec<u8>), CaptureProblem> {
        self.look_inside()?;
        let begun = self.bytes().to_vec();
        Ok((self.source, begun))
    }

    /// From now on the window shows what is in a packed file; one that isn't stays as it is.
    pub(super) fn look_inside(&mut self) -> Result<(), CaptureProblem> {
        if matches!(self.source, Source::Shared(_)) || *self.peek(2)? != GZIP {
            return Ok(());
        }
        let Source::Plain(reader) = std::mem::replace(&mut self.source, Source::Nothing) else {
            return Ok(());
        };
        let begun = Cursor::new(self.bytes().to_vec());
        let packed = BufReader::with_capacity(CHUNK, begun.chain(reader));
        self.source = Source::Gzip(Box::new(MultiGzDecoder::new(packed)));
        (self.start, self.end) = (0, 0);
        Ok(())
    }

    /// How many bytes are set aside.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.buffer.bytes.len()
    }

    /// What it shows a part of; another one once it has been filled anew, where others read the same file.
    pub(super) fn stretch(&self) -> &Arc<Stretch> {
        &self.buffer
    }

    /// How often another one came in its place.
    pub(super) fn fills(&self) -> u64 {
        self.fills
    }

    /// Where in that it begins.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// What is there: at least as much as was last required.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer.bytes[self.start..self.end]
    }

    /// Bytes by their place in the buffer; consumed or not, they are there until the window is filled again.
    #[inline]
    pub(super) fn seen(&self, range: &Range<usize>) -> &[u8] {
        self.buffer.bytes.get(range.clone()).unwrap_or_default()
    }

    /// The place in the buffer of a part of [`Self::bytes`].
    #[inline]
    pub(super) fn place(&self, part: Range<usize>) -> Range<usize> {
        self.start + part.start..self.start + part.end
    }

    #[inline]
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Bytes that were consumed since the window was last filled are so no more.
    pub(super) fn go_back_to(&mut self, offset: u64) {
        self.start -= (self.offset - offset) as usize;
        self.offset = offset;
    }

    /// And others are so, up to there.
    pub(super) fn go_on_to(&mut self, offset: u64) {
        self.start += (offset - self.offset) as usize;
        self.offset = offset;
    }

    /// Up to so many bytes: fewer where the file ends.
    pub(super) fn peek(&mut self, wanted: usize) -> Result<&[u8], CaptureProblem> {
        while self.end - self.start < wanted && self.fill(wanted)? > 0 {}
        Ok(&self.bytes()[..wanted.min(self.end - self.start)])
    }

    /// Sees to it that `wanted` bytes are in the window; `false` when the file has ended right here.
    #[inline]
    pub(super) fn require(&mut self, wanted: usize) -> Result<bool, CaptureProblem> {
        if self.end - self.start >= wanted {
            return Ok(true);
        }
        self.require_more(wanted)
    }

    #[cold]
    fn require_more(&mut self, wanted: usize) -> Result<bool, CaptureProblem> {
        while self.end - self.start < wanted {
            if self.fill(wanted)? == 0 {
                return match self.end - self.start {
                    0 => Ok(false),
                    have => Err(CaptureProblem::Cut { wanted, have }),
                };
            }
        }
        Ok(true)
    }

    /// Sees to it that a whole record is in the window.
    #[inline]
    pub(super) fn require_record(&mut self, wanted: usize) -> Result<(), CaptureProblem> {
        if wanted > LARGEST_RECORD {
            return Err(CaptureProblem::Damaged(format!(
                "its length field says {wanted} bytes, but no packet needs more than {LARGEST_RECORD}"
            )));
        }
        self.require(wanted.max(1)).map(|_| ())
    }

    /// Reads some more; 0 at the end of the file.
    fn fill(&mut self, wanted: usize) -> Result<usize, CaptureProblem> {
        let left = self.end - self.start;
        if let Source::Shared(seat) = &mut self.source {
            if !seat.next(&mut self.buffer, self.start..self.end, wanted)? {
                return Ok(0);
            }
            (self.start, self.end) = (0, self.buffer.bytes.len());
            self.fills += 1;
            return Ok(self.end - left);
        }
        let Some(Stretch { bytes: buffer, .. }) = Arc::get_mut(&mut self.buffer) else {
            // Only readers of one file have theirs from each other.
            return Ok(0);
        };
        buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, left);
        if buffer.len() < wanted.max(left + 1) {
            buffer.resize(wanted.max(left + 1).next_multiple_of(CHUNK), 0);
        }
        let read = self.source.read(&mut buffer[left..])?;
        self.end += read;
        Ok(read)
    }
}

impl<R: Read> Source<R> {
    /// Some bytes; none at the end.
    pub(super) fn read(&mut self, room: &mut [u8]) -> Result<usize, CaptureProblem> {
        loop {
            let read = match self {
                Self::Plain(reader) => reader.read(room),
                Self::Gzip(reader) => reader.read(room),
                Self::Shared(_) | Self::Nothing => Ok(0),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(|error| self.unreadable(error)),
            }
        }
    }

    fn unreadable(&self, error: io::Error) -> CaptureProblem {
        match (self, error.kind()) {
            (Self::Gzip(_), io::ErrorKind::UnexpectedEof) => CaptureProblem::PackedCut,
            (Self::Gzip(_), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other) => {
                CaptureProblem::Damaged(format!("what gzip packed cannot be unpacked: {error}"))
            }
            _ => CaptureProblem::Io(error),
        }
    }
}

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Room for the largest packet with any link header and options; a length beyond is damage, not a reason to read a whole disk.
const LARGEST_RECORD: usize = 16 << 20;
/// Small enough to stay in a processor's second cache, large enough that system calls don't count.
pub(super) const CHUNK: usize = 256 << 10;
