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
mod shared;
mod window;
mod write;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smallvec::SmallVec;

pub(crate) use shared::{Scout, SharedFile};
pub use write::{CaptureWriter, Frame};

use self::blocks::Section;
use self::classic::Classic;
use self::shared::{FEW, Mark, Run, Seat, Stretch};
use self::window::Window;
use super::link::{Content, LinkType};
use crate::base::Time;
use crate::base::bytes::{quoted, text_of_path};

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

    /// Finds the next packet, as [`Self::next_packet`] does, and as many of those behind it, up to `most` in all, as were read from the file along with
    /// it and are whole. They are in [`Self::found`], until more are asked for: none at the end of the file. An error is about the first.
    pub(crate) fn next_packets(&mut self, most: usize) -> Result<(), CaptureError> {
        if self.next_of_run(most) {
            return Ok(());
        }
        let mut found = match std::mem::take(&mut self.batch) {
            Batch::Own(found) => found,
            Batch::OfRun(..) => Vec::new(),
        };
        found.clear();
        let result = self.find(most, &mut found);
        self.batch = Batch::Own(found);
        result
    }

    fn find(&mut self, most: usize, found: &mut Vec<Found>) -> Result<(), CaptureError> {
        let stretch = Arc::as_ptr(self.window.stretch());
        while found.len() < most && (found.is_empty() || self.is_next_here()) {
            let offset = self.window.offset();
            match self.read() {
                Ok(Some(link)) => found.push(self.found_one(link)),
                Ok(None) => break,
                Err(problem) if found.is_empty() => return Err(self.failed(problem, offset)),
                Err(_) => {
                    // Whoever asks for the next one is told.
                    self.window.go_back_to(offset);
                    self.record.failed = false;
                    break;
                }
            }
            if self.mark.is_some() && stretch != Arc::as_ptr(self.window.stretch()) {
                // Here begins what all readers find alike.
                break;
            }
        }
        Ok(())
    }

    /// The same of what a reader of the same file has found already, or finds now for all of them.
    fn next_of_run(&mut self, most: usize) -> bool {
        if self.mark.is_none() {
            return false;
        }
        let stretch = Arc::clone(self.window.stretch());
        let from = match &self.batch {
            Batch::OfRun(of, range) if Arc::ptr_eq(of, &stretch) => range.end,
            _ => {
                let start = self.window.start();
                if stretch.run.get_or_init(|| self.run()).start != start {
                    return false;
                }
                0
            }
        };
        let all = stretch.run.get().map_or(&[][..], |run| &run.found);
        let to = all.len().min(from.saturating_add(most));
        let Some(last) = all.get(from..to).and_then(<[Found]>::last) else {
            return false;
        };
        self.window.go_on_to(last.end);
        self.packets = last.number;
        self.record = last.record.clone();
        self.batch = Batch::OfRun(stretch, from..to);
        true
    }

    /// The packets that lie here one behind another; the reader stays where it is.
    fn run(&mut self) -> Run {
        let (start, offset) = (self.window.start(), self.window.offset());
        let (packets, record) = (self.packets, self.record.clone());
        let (mut found, mut marks, mut late) = (Vec::new(), Vec::new(), Vec::new());
        let mut interfaces = Some(SmallVec::<[u32; FEW]>::new());
        let mut last = Time::ZERO;
        while self.is_next_here()
            && let Ok(Some(link)) = self.read()
        {
            let one = self.found_one(link);
            let Record { interface, time, .. } = one.record;
            let is_one_more = |few: &&mut SmallVec<[u32; FEW]>| !few.contains(&interface);
            if time < std::mem::replace(&mut last, time) {
                late.push(found.len() as u32);
            }
            if let Some(few) = interfaces.as_mut().filter(is_one_more) {
                match few.len() < FEW {
                    true => few.push(interface),
                    false => interfaces = None,
                }
            }
            marks.push(one.mark.unwrap_or_default());
            found.push(one);
        }
        self.window.go_back_to(offset);
        (self.packets, self.record) = (packets, record);
        Run {
            start,
            found,
            marks,
            interfaces,
            late,
        }
    }

    /// Goes through the next stretch of a file that others read too; false where there is none.
    fn finds_a_stretch(&mut self) -> bool {
        let fills = self.window.fills();
        while fills == self.window.fills() {
            match self.next_packets(usize::MAX) {
                Ok(()) if self.found().is_empty() => return false,
                Err(error) if !error.goes_on() => return false,
                Ok(()) | Err(_) => {}
            }
        }
        self.next_of_run(usize::MAX);
        true
    }

    #[inline]
    fn found_one(&self, link: LinkType) -> Found {
        let mark = self
            .mark
            .map(|mark| mark(&self.packet_at(&self.record, link, self.packets)));
        Found {
            number: self.packets,
            link,
            record: self.record.clone(),
            end: self.window.offset(),
            mark,
        }
    }

    /// What the last call of [`Self::next_packets`] found.
    pub(crate) fn found(&self) -> &[Found] {
        match &self.batch {
            Batch::Own(found) => found,
            Batch::OfRun(stretch, range) => {
                let run = stretch.run.get();
                run.and_then(|run| run.found.get(range.clone())).unwrap_or_default()
            }
        }
    }

    /// The same where these are of a file with several readers, lie one behind another, and came in order of time: with the mark of each.
    pub(crate) fn found_in_order(&self) -> Option<InOrder<'_>> {
        let Batch::OfRun(stretch, range) = &self.batch else {
            return None;
        };
        let run = stretch.run.get()?;
        let next_late = run.late.partition_point(|at| *at as usize <= range.start);
        if run.late.get(next_late).is_some_and(|at| (*at as usize) < range.end) {
            return None;
        }
        Some(InOrder {
            found: run.found.get(range.clone())?,
            marks: run.marks.get(range.clone())?,
            interfaces: run.interfaces.as_deref()?,
        })
    }

    /// One of them.
    #[inline]
    pub(crate) fn packet(&self, found: &Found) -> CapturedPacket<'_> {
        self.packet_at(&found.record, found.link, found.number)
    }

    /// A byte of it, for who wants it in his processor's cache.
    #[inline]
    pub(crate) fn touch(&self, found: &Found) -> u8 {
        self.window
            .seen(&found.record.data)
            .first()
            .copied()
            .unwrap_or_default()
    }

    /// The name of its interface, as [`CapturedPacket::interface`].
    #[inline]
    pub(crate) fn interface_of(&self, found: &Found) -> Option<&str> {
        self.interface(found.record.interface)
    }

    /// The name of an interface by its number, as [`InOrder::interfaces`] has it.
    #[inline]
    pub(crate) fn interface(&self, number: u32) -> Option<&str> {
        self.format.interface_name(number)
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

/// A packet that was found, and not looked at.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) number: u64,
    link: LinkType,
    record: Record,
    /// Where the next record begins in the file.
    end: u64,
    /// Where several read the file.
    pub(crate) mark: Option<u8>,
}

impl Found {
    /// As [`CapturedPacket::time`].
    #[inline]
    pub(crate) fn time(&self) -> Time {
        self.record.time
    }
}

/// Packets that lie one behind another, none older than the one before it.
pub(crate) struct InOrder<'a> {
    pub(crate) found: &'a [Found],
    /// Of each.
    pub(crate) marks: &'a [u8],
    /// Of those that they came by; there may be more of them.
    pub(crate) interfaces: &'a [u32],
}

/// What was found last.
enum Batch {
    Own(Vec<Found>),
    /// So many of those that the readers of a file have in common.
    OfRun(Arc<Stretch>, Range<usize>),
}

impl Default for Batch {
    fn default() -> Self {
        Self::Own(Vec::new())
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

/// What is wrong with a capture, and where.
#[derive(Debug)]
pub struct CaptureError {
    /// `None` where the reader was not given one.
    pub path: Option<PathBuf>,
    /// The number of the packet that was being read, from 1; 0 for the file's own header.
    pub packet: u64,
    /// Where its record (its block) begins in the file; in what is unpacked, if the file is packed.
    pub offset: u64,
    /// What is wrong.
    pub problem: CaptureProblem,
}

impl CaptureError {
    fn of_file(path: &Path, problem: CaptureProblem) -> Self {
        Self {
            path: Some(path.to_path_buf()),
            packet: 0,
            offset: 0,
            problem,
        }
    }

    /// Whether only this packet can't be used: the next call of [`CaptureReader::next_packet`] gives the one behind it. (In a classic pcap a
    /// foreign link type is that of the whole file, and the reader then says that nothing follows.)
    pub fn goes_on(&self) -> bool {
        matches!(
            self.problem,
            CaptureProblem::Record(_) | CaptureProblem::LinkType { .. }
        )
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", text_of_path(path))?;
        }
        if self.packet > 0 {
            write!(f, "packet {} at byte {}: ", self.packet, self.offset)?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for CaptureError {}

/// What is wrong with a capture; texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum CaptureProblem {
    /// It cannot be read or written.
    #[error("{0}")]
    Io(io::Error),
    /// It is no capture that is known here.
    #[error("not a capture: it {}; expected pcapng (0a 0d 0d 0a) or pcap (a1 b2 c3 d4 or a1 b2 3c 4d, in either order), as they are or packed with gzip", seems(.begins))]
    Foreign {
        /// Its first bytes, four at most.
        begins: Vec<u8>,
    },
    /// It ends in the middle of a record.
    #[error(
        "the file ends after {have} of {wanted} bytes; it was cut short: capture again, or keep the part before with `editcap`"
    )]
    Cut {
        /// How many bytes the record says it has.
        wanted: usize,
        /// How many of them are there.
        have: usize,
    },
    /// What it is packed in ends early.
    #[error("the packed file ends early; it was cut short: pack it again")]
    PackedCut,
    /// Nothing behind it can be found.
    #[error("the record is damaged: {0}")]
    Damaged(String),
    /// The record can't be used, but where the next one begins is known.
    #[error("the record is damaged: {0}")]
    Record(String),
    /// The link's frames are not read here.
    #[error("link type {number}{} carries no IP that is understood here; expected {}", of_interface(.interface), LinkType::ACCEPTED)]
    LinkType {
        /// As tcpdump.org registers it.
        number: u32,
        /// The interface whose link it is, where the capture has names.
        interface: Option<String>,
    },
}

fn of_interface(name: &Option<String>) -> String {
    name.as_ref()
        .map(|name| format!(" of interface {name}", name = quoted(name)))
        .unwrap_or_default()
}

/// What a file that isn't a capture seems to be.
fn seems(bytes: &[u8]) -> String {
    let known = match bytes {
        [] => return "is empty".to_owned(),
        [0x28, 0xb5, 0x2f, 0xfd] => Some("packed with zstd: unpack it first, `zstd -dc FILE | nflab replay ... -`"),
        [0xfd, b'7', b'z', b'X'] => Some("packed with xz: unpack it first, `xz -dc FILE | nflab replay ... -`"),
        [b'B', b'Z', b'h', _] => Some("packed with bzip2: unpack it first, `bzip2 -dc FILE | nflab replay ... -`"),
        [0x04, 0x22, 0x4d, 0x18] => Some("packed with lz4: unpack it first, `lz4 -dc FILE | nflab replay ... -`"),
        [b's', b'n', b'o', b'o'] => Some("a snoop capture: convert it, `editcap FILE OUT.pcapng`"),
        [0xa1, 0xb2, 0xcd, 0x34] | [0x34, 0xcd, 0xb2, 0xa1] => {
            Some("a pcap of Kuznetzov's variant: convert it, `editcap FILE OUT.pcapng`")
        }
        _ => None,
    };
    match known {
        Some(known) => format!("begins as a file {known}"),
        None => format!("begins with {bytes:02x?}"),
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
