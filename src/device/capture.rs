//! Captures: pcapng and classic pcap in, gzip or not; pcapng out.
//!
//! Reading is a stream, a packet at a time and without copying it: memory is what the largest record needs, whatever the file's size. Whatever
//! carries IP is read (see [`LinkType`]); what doesn't is handed over as such, so that a caller can count it. What is wrong is an error with the
//! packet's number and the byte where its record begins; where the file can still be followed, so can the reader ([`CaptureError::goes_on`]).
//!
//! Formats: the pcap and pcapng drafts of the IETF's opsawg (`draft-ietf-opsawg-pcap`, `draft-ietf-opsawg-pcapng`). Parsed here and not by a
//! crate, because the ones there are copy each packet and its options, and can't say where in the file they are.

mod blocks;
mod classic;
mod problem;
mod shared;
mod together;
mod window;
mod write;

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use problem::{CaptureError, CaptureProblem};
pub(crate) use shared::{Scout, SharedFile};
pub(crate) use together::{Found, InOrder};
pub use write::{CaptureWriter, Frame};

use self::blocks::Section;
use self::classic::Classic;
use self::shared::{Mark, Seat};
use self::together::Batch;
use self::window::Window;
use super::link::{Content, LinkType};
use crate::base::Time;

/// One packet of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedPacket<'a> {
    /// Its number in the file, from 1, counting what isn't IP too.
    pub number: u64,
    /// The `if_name` of its interface; `None` in classic pcap and where the block has none.
    pub interface: Option<&'a str>,
    /// A pcapng simple packet carries no time; it gets that of the packet before it.
    pub time: Time,
    /// What the frame holds.
    pub content: Content<'a>,
    /// How long [`Self::content`] was on the link, in bytes: more than it holds when the capture was made with a short snap length.
    pub original_length: usize,
    /// The first comment of its block, which only pcapng has.
    pub comment: Option<&'a str>,
    /// Which way it went, where the capture tells.
    pub direction: Option<Direction>,
    /// Whether the capture tells that it was another host's (`LinkType::is_to_another`).
    pub to_another: bool,
    /// All of it, with the link's header.
    pub frame: Frame<'a>,
}

impl CapturedPacket<'_> {
    /// Whether the capture kept only the packet's beginning.
    pub fn is_truncated(&self) -> bool {
        match self.content {
            Content::Ip(bytes) => bytes.len() < self.original_length,
            Content::NotIp { .. } | Content::Undecoded(_) => false,
            Content::HeaderCut => true,
        }
    }
}

/// Which way a packet went, as the capturing machine saw it: pcapng's packet flags and the cooked link headers say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It came to the machine.
    In,
    /// The machine sent it.
    Out,
}

/// Reads a capture of either format; which one, its first bytes say.
pub struct CaptureReader<R> {
    window: Window<R>,
    format: Format,
    path: Option<PathBuf>,
    packets: u64,
    /// The packet last read.
    record: Record,
    batch: Batch,
    /// Where others read the same file.
    mark: Option<Mark>,
}

impl CaptureReader<File> {
    /// A file, whose name errors then bear.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let file = File::open(path).map_err(|error| CaptureError::of_file(path, CaptureProblem::Io(error)))?;
        Self::named(file, path)
    }
}

impl<R: Read> CaptureReader<R> {
    /// Anything that bytes can be read from, packed with gzip or not; the file's header is read at once.
    pub fn new(reader: R) -> Result<Self, CaptureError> {
        Self::over(Window::new(reader))
    }

    /// One of the readers of a file, by its number from 0, behind the file's scout; errors name the file so.
    pub(crate) fn of_shared(
        (file, scout): (&Arc<SharedFile<R>>, &Arc<Scout<R>>),
        index: usize,
        path: &Path,
    ) -> Result<Self, CaptureError> {
        let reader = Self::of_seat(file.seat(index, scout));
        let mut reader = reader.map_err(|error| CaptureError::of_file(path, error.problem))?;
        reader.path = Some(path.to_path_buf());
        Ok(reader)
    }

    fn of_seat(seat: Seat<R>) -> Result<Self, CaptureError> {
        let mark = seat.mark();
        let mut reader = Self::over(Window::of_shared(seat))?;
        reader.mark = Some(mark);
        Ok(reader)
    }

    fn over(mut window: Window<R>) -> Result<Self, CaptureError> {
        let format = Format::read(&mut window).map_err(|problem| CaptureError {
            path: None,
            packet: 0,
            offset: 0,
            problem,
        })?;
        Ok(Self {
            window,
            format,
            path: None,
            packets: 0,
            record: Record::default(),
            batch: Batch::default(),
            mark: None,
        })
    }

    /// The same; errors name this file.
    pub fn named(reader: R, path: &Path) -> Result<Self, CaptureError> {
        let mut reader = Self::new(reader).map_err(|error| CaptureError::of_file(path, error.problem))?;
        reader.path = Some(path.to_path_buf());
        Ok(reader)
    }

    /// The next packet; `None` at the end of the file. After an error that doesn't [go on](CaptureError::goes_on) there is nothing more to read.
    #[inline]
    pub fn next_packet(&mut self) -> Result<Option<CapturedPacket<'_>>, CaptureError> {
        let offset = self.window.offset();
        match self.read() {
            Ok(Some(link)) => Ok(Some(self.packet_at(&self.record, link, self.packets))),
            Ok(None) => Ok(None),
            Err(problem) => Err(self.failed(problem, offset)),
        }
    }

    /// Whether the next record is one of a packet, and can be read without moving the window.
    #[inline]
    fn is_next_here(&self) -> bool {
        match &self.format {
            Format::Classic(classic) => classic.is_packet_here(self.window.bytes()),
            Format::Blocks(section) => section.is_packet_here(self.window.bytes()),
            Format::Broken => false,
        }
    }

    #[inline]
    fn read(&mut self) -> Result<Option<LinkType>, CaptureProblem> {
        let is_there = match &mut self.format {
            Format::Classic(classic) => classic.next(&mut self.window, &mut self.record)?,
            Format::Blocks(section) => section.next(&mut self.window, &mut self.record)?,
            Format::Broken => false,
        };
        if !is_there {
            return Ok(None);
        }
        let Some(link) = LinkType::new(self.record.link) else {
            self.record.failed = true;
            return Err(CaptureProblem::LinkType {
                number: self.record.link & LINK_TYPE,
                interface: self.format.interface_name(self.record.interface).map(str::to_owned),
            });
        };
        self.packets += 1;
        Ok(Some(link))
    }

    #[inline]
    fn packet_at(&self, record: &Record, link: LinkType, number: u64) -> CapturedPacket<'_> {
        let bytes = self.window.seen(&record.data);
        let content = link.content(bytes);
        let header = match content {
            Content::Ip(packet) => bytes.len() - packet.len(),
            Content::NotIp { .. } | Content::Undecoded(_) | Content::HeaderCut => 0,
        };
        let options = self.window.seen(&record.options);
        let (comment, flags) = match (&self.format, options.is_empty()) {
            (Format::Blocks(section), false) => section.packet_options(options),
            _ => (None, None),
        };
        CapturedPacket {
            number,
            interface: self.format.interface_name(record.interface),
            time: record.time,
            content,
            original_length: record.original_length.saturating_sub(header),
            comment,
            direction: flags.or_else(|| link.direction(bytes)),
            to_another: link.is_to_another(bytes),
            frame: Frame {
                link: record.link & LINK_TYPE,
                bytes,
                original_length: record.original_length,
            },
        }
    }

    /// The error; and what it means for the packets that follow.
    #[cold]
    fn failed(&mut self, problem: CaptureProblem, offset: u64) -> CaptureError {
        let error = CaptureError {
            path: self.path.clone(),
            packet: self.packets + 1,
            offset: if self.record.failed { self.record.offset } else { offset },
            problem,
        };
        self.record.failed = false;
        if error.goes_on() && !self.format.is_one_link_of_no_use(&error.problem) {
            self.packets += 1;
        } else {
            self.format = Format::Broken;
        }
        error
    }
}

/// Where a packet lies in the window.
#[derive(Clone, Debug, Default)]
struct Record {
    /// Where it begins in the file.
    offset: u64,
    data: Range<usize>,
    options: Range<usize>,
    original_length: usize,
    interface: u32,
    link: u32,
    time: Time,
    /// `offset` is that of a record which can't be used.
    failed: bool,
}

enum Format {
    Classic(Classic),
    Blocks(Section),
    /// An error came that nothing can be read behind.
    Broken,
}

impl Format {
    /// Reads the file's own header.
    fn read<R: Read>(window: &mut Window<R>) -> Result<Self, CaptureProblem> {
        window.look_inside()?;
        match *window.peek(4)? {
            [0x0a, 0x0d, 0x0d, 0x0a] => Section::read(window).map(Self::Blocks),
            [0xa1, 0xb2, 0xc3 | 0x3c, 0xd4 | 0x4d] | [0xd4 | 0x4d, 0xc3 | 0x3c, 0xb2, 0xa1] => {
                Classic::read(window).map(Self::Classic)
            }
            ref begins => Err(CaptureProblem::Foreign {
                begins: begins.to_vec(),
            }),
        }
    }

    #[inline]
    fn interface_name(&self, index: u32) -> Option<&str> {
        match self {
            Self::Blocks(section) => section.interface_name(index),
            Self::Classic(_) | Self::Broken => None,
        }
    }

    /// A classic file has one link type: if it is foreign, so is every packet.
    fn is_one_link_of_no_use(&self, problem: &CaptureProblem) -> bool {
        matches!((self, problem), (Self::Classic(_), CaptureProblem::LinkType { .. }))
    }
}

/// Byte order of a file or of a section of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

impl Order {
    /// Four bytes of a header.
    #[inline]
    fn word(self, bytes: &[u8], at: usize) -> u32 {
        let bytes = bytes_at(bytes, at);
        match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        }
    }

    #[inline]
    fn half(self, bytes: &[u8], at: usize) -> u16 {
        let bytes = bytes_at(bytes, at);
        match self {
            Self::Big => u16::from_be_bytes(bytes),
            Self::Little => u16::from_le_bytes(bytes),
        }
    }
}

/// Zero where they aren't there, which no caller lets happen.
#[inline]
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

/// A link type's number; the bits above it hold the length of a check sequence.
const LINK_TYPE: u32 = 0x03ff_ffff;

#[cfg(test)]
mod tests;
