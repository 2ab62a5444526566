//! Captures: pcapng and classic pcap in, pcapng out.
//!
//! Reading is a stream, a packet at a time. Whatever carries IP is read (see [`LinkType`]); what doesn't is handed over as such, so that a
//! caller can count it, and a link type that isn't understood is an error. Writing gives link type RAW, nanoseconds, an interface block a name.

mod write;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::pcap::{PcapParser, PcapTsResolution};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::opt_common::CommonOption;
use pcap_file::pcapng::{Block, PcapNgParser};
use pcap_file::{DataLink, Endianness};

pub use write::CaptureWriter;

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
    pub content: Content<'a>,
    /// How long [`Self::content`] was on the link, in bytes: more than it holds when the capture was made with a short snap length.
    pub original_length: usize,
    pub comment: Option<&'a str>,
}

impl CapturedPacket<'_> {
    /// Whether the capture kept only the packet's beginning.
    pub fn is_truncated(&self) -> bool {
        match self.content {
            Content::Ip(bytes) => bytes.len() < self.original_length,
            Content::NotIp { .. } => false,
            Content::HeaderCut => true,
        }
    }
}

/// Reads a capture of either format; which one, its first four bytes say.
pub struct CaptureReader<R> {
    input: Input<R>,
    format: Format,
    path: Option<PathBuf>,
    packets: u64,
    current: Current,
}

impl CaptureReader<File> {
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let at = |problem| CaptureError {
            path: Some(path.to_path_buf()),
            packet: 0,
            offset: 0,
            problem,
        };
        let file = File::open(path).map_err(|source| at(CaptureProblem::Io(source)))?;
        let mut reader = Self::new(file).map_err(|error| at(error.problem))?;
        reader.path = Some(path.to_path_buf());
        Ok(reader)
    }
}

impl<R: Read> CaptureReader<R> {
    pub fn new(reader: R) -> Result<Self, CaptureError> {
        let mut input = Input::new(reader);
        let format = input.format().map_err(|problem| CaptureError {
            path: None,
            packet: 0,
            offset: 0,
            problem,
        })?;
        Ok(Self {
            input,
            format,
            path: None,
            packets: 0,
            current: Current::default(),
        })
    }

    /// The next packet; `None` at the end of the file. After an error there is nothing more to read.
    pub fn next_packet(&mut self) -> Result<Option<CapturedPacket<'_>>, CaptureError> {
        let link = match self.advance() {
            Ok(Some(link)) => link,
            Ok(None) => return Ok(None),
            Err(problem) => {
                return Err(CaptureError {
                    path: self.path.clone(),
                    packet: self.packets + 1,
                    offset: self.input.offset,
                    problem,
                });
            }
        };
        self.packets += 1;
        let content = link.content(&self.current.frame);
        let header = match content {
            Content::Ip(packet) => self.current.frame.len() - packet.len(),
            Content::NotIp { .. } | Content::HeaderCut => 0,
        };
        Ok(Some(CapturedPacket {
            number: self.packets,
            interface: self.format.interface_name(self.current.interface),
            time: self.current.time,
            content,
            original_length: self.current.original_length.saturating_sub(header),
            comment: self.current.comment.as_deref(),
        }))
    }

    /// Fills `current` with the next packet and says its link type.
    fn advance(&mut self) -> Result<Option<LinkType>, CaptureProblem> {
        match &mut self.format {
            Format::Pcap(parser) => {
                let header = parser.header();
                if !self.input.require(PCAP_PACKET_HEADER)? {
                    return Ok(None);
                }
                let length = word(self.input.window(), 8, header.endianness) as usize;
                self.input.require_record(PCAP_PACKET_HEADER + length)?;
                let bytes = self.input.window();
                let (rest, packet) = parser.next_raw_packet(bytes).map_err(damaged)?;
                let consumed = bytes.len() - rest.len();
                let per_second = match header.ts_resolution {
                    PcapTsResolution::MicroSecond => 1_000_000,
                    PcapTsResolution::NanoSecond => 1_000_000_000,
                };
                if packet.ts_frac >= per_second {
                    return Err(CaptureProblem::Damaged(format!(
                        "its time stamp has a fraction of {}, which must stay below {per_second}",
                        packet.ts_frac
                    )));
                }
                let nanos = u64::from(packet.ts_frac) * (1_000_000_000 / u64::from(per_second));
                self.current.time = Time::from_secs(packet.ts_sec.into()) + Duration::from_nanos(nanos);
                self.current.set(&packet.data, packet.orig_len, 0, None);
                let link = LinkType::new(header.datalink.into()).ok_or_else(|| refused(header.datalink, None))?;
                self.input.consume(consumed);
                Ok(Some(link))
            }
            Format::PcapNg(parser) => loop {
                let Some(length) = self.input.block_length(parser.section().endianness)? else {
                    return Ok(None);
                };
                self.input.require_record(length)?;
                let bytes = self.input.window();
                let (rest, raw) = parser.next_raw_block(bytes).map_err(damaged)?;
                let consumed = bytes.len() - rest.len();
                // Names, statistics and the like say nothing about packets, so they are not even decoded.
                let interface = match raw.type_ {
                    ENHANCED_PACKET | SIMPLE_PACKET | PACKET => self
                        .current
                        .fill(raw.try_into_block(parser.state()).map_err(damaged)?)?,
                    _ => None,
                };
                let Some(interface) = interface else {
                    self.input.consume(consumed);
                    continue;
                };
                let description = parser.interfaces().get(interface as usize).ok_or_else(|| {
                    CaptureProblem::Damaged(format!(
                        "it names interface {interface}, which no block before it describes"
                    ))
                })?;
                let link = LinkType::new(description.linktype.into())
                    .ok_or_else(|| refused(description.linktype, name_of(description)))?;
                self.input.consume(consumed);
                return Ok(Some(link));
            },
        }
    }
}

/// The packet last read, copied out of the input buffer.
#[derive(Default)]
struct Current {
    frame: Vec<u8>,
    original_length: usize,
    interface: u32,
    time: Time,
    comment: Option<String>,
}

impl Current {
    /// Takes a packet block in, and says the number of its interface.
    fn fill(&mut self, block: Block<'_>) -> Result<Option<u32>, CaptureProblem> {
        match block {
            Block::EnhancedPacket(packet) => {
                let comment = packet.options.iter().find_map(|option| match option {
                    EnhancedPacketOption::Common(CommonOption::Comment(text)) => Some(text.to_string()),
                    _ => None,
                });
                self.time = time(packet.timestamp)?;
                self.set(&packet.data, packet.original_len, packet.interface_id, comment);
            }
            Block::Packet(packet) => {
                self.time = time(packet.timestamp)?;
                self.set(&packet.data, packet.original_len, packet.interface_id.into(), None);
            }
            Block::SimplePacket(packet) => self.set(&packet.data, packet.original_len, 0, None),
            _ => return Ok(None),
        }
        Ok(Some(self.interface))
    }

    fn set(&mut self, data: &[u8], original_length: u32, interface: u32, comment: Option<String>) {
        self.frame.clear();
        self.frame.extend_from_slice(data);
        self.original_length = original_length as usize;
        self.interface = interface;
        self.comment = comment;
    }
}

enum Format {
    Pcap(PcapParser),
    PcapNg(PcapNgParser),
}

impl Format {
    fn interface_name(&self, index: u32) -> Option<&str> {
        match self {
            Self::Pcap(_) => None,
            Self::PcapNg(parser) => name_of(parser.interfaces().get(index as usize)?),
        }
    }
}

/// A window on the file. The crate's own reader can't tell a file that ends early from a block that is too large, and says no offset.
struct Input<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    /// Where `start` is in the file.
    offset: u64,
}

impl<R: Read> Input<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            start: 0,
            offset: 0,
        }
    }

    /// Reads the file's own header.
    fn format(&mut self) -> Result<Format, CaptureProblem> {
        while self.window().len() < 4 && self.fill()? > 0 {}
        match self.window().get(..4) {
            Some([0x0a, 0x0d, 0x0d, 0x0a]) => {
                let length = self.block_length(Endianness::Big)?.unwrap_or(12);
                self.require_record(length)?;
                let (rest, parser) = PcapNgParser::new(self.window()).map_err(damaged)?;
                let consumed = self.window().len() - rest.len();
                self.consume(consumed);
                Ok(Format::PcapNg(parser))
            }
            Some(
                [0xa1, 0xb2, 0xc3, 0xd4]
                | [0xd4, 0xc3, 0xb2, 0xa1]
                | [0xa1, 0xb2, 0x3c, 0x4d]
                | [0x4d, 0x3c, 0xb2, 0xa1],
            ) => {
                self.require(PCAP_FILE_HEADER)?;
                let (rest, parser) = PcapParser::new(self.window()).map_err(damaged)?;
                let consumed = self.window().len() - rest.len();
                self.consume(consumed);
                Ok(Format::Pcap(parser))
            }
            _ => Err(CaptureProblem::Foreign {
                begins: self.window()[..self.window().len().min(4)].to_vec(),
            }),
        }
    }

    /// The length that the block at the window's beginning says it has; `None` at the end of the file.
    fn block_length(&mut self, endianness: Endianness) -> Result<Option<usize>, CaptureProblem> {
        if !self.require(BLOCK_AT_LEAST)? {
            return Ok(None);
        }
        let endianness = match self.window()[..12] {
            // A section may come in another byte order than the one before it.
            [0x0a, 0x0d, 0x0d, 0x0a, _, _, _, _, 0x4d, 0x3c, 0x2b, 0x1a] => Endianness::Little,
            [0x0a, 0x0d, 0x0d, 0x0a, ..] => Endianness::Big,
            _ => endianness,
        };
        Ok(Some(word(self.window(), 4, endianness) as usize))
    }

    /// Sees to it that `wanted` bytes are in the window; `false` when the file has ended right here.
    fn require(&mut self, wanted: usize) -> Result<bool, CaptureProblem> {
        while self.window().len() < wanted {
            if self.fill()? == 0 {
                return match self.window().len() {
                    0 => Ok(false),
                    have => Err(CaptureProblem::Cut { wanted, have }),
                };
            }
        }
        Ok(true)
    }

    fn require_record(&mut self, wanted: usize) -> Result<(), CaptureProblem> {
        if wanted > LARGEST_RECORD {
            return Err(CaptureProblem::Damaged(format!(
                "its length field says {wanted} bytes, but no packet needs more than {LARGEST_RECORD}"
            )));
        }
        self.require(wanted.max(1)).map(|_| ())
    }

    fn window(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Reads some more; 0 at the end of the file.
    fn fill(&mut self) -> Result<usize, CaptureProblem> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        loop {
            match self.reader.read(&mut self.buffer[filled..]) {
                Ok(read) => {
                    self.buffer.truncate(filled + read);
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.truncate(filled);
                    return Err(CaptureProblem::Io(error));
                }
            }
        }
    }
}

/// What is wrong with a capture, and where.
#[derive(Debug)]
pub struct CaptureError {
    pub path: Option<PathBuf>,
    /// The number of the packet that was being read, from 1; 0 for the file's own header.
    pub packet: u64,
    /// Where its record (its block) begins in the file.
    pub offset: u64,
    pub problem: CaptureProblem,
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        if self.packet > 0 {
            write!(f, "packet {} at byte {}: ", self.packet, self.offset)?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for CaptureError {}

#[derive(Debug, thiserror::Error)]
pub enum CaptureProblem {
    #[error("{0}")]
    Io(io::Error),
    #[error(
        "not a capture: it begins with {begins:02x?}; expected pcapng (0a 0d 0d 0a) or pcap (a1 b2 c3 d4 or a1 b2 3c 4d, in either order)"
    )]
    Foreign { begins: Vec<u8> },
    #[error(
        "the file ends after {have} of {wanted} bytes; it was cut short: capture again, or keep the part before with `editcap`"
    )]
    Cut { wanted: usize, have: usize },
    #[error("the record is damaged: {0}")]
    Damaged(String),
    #[error("link type {number}{} carries no IP that is understood here; expected {}", of_interface(.interface), LinkType::ACCEPTED)]
    LinkType { number: u32, interface: Option<String> },
}

fn of_interface(name: &Option<String>) -> String {
    name.as_ref()
        .map(|name| format!(" of interface {name:?}"))
        .unwrap_or_default()
}

fn refused(link: DataLink, interface: Option<&str>) -> CaptureProblem {
    CaptureProblem::LinkType {
        number: link.into(),
        interface: interface.map(str::to_owned),
    }
}

/// The crate's errors keep what matters in their sources.
fn damaged(error: impl std::error::Error) -> CaptureProblem {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = inner.source();
    }
    CaptureProblem::Damaged(text)
}

fn time(since_epoch: Duration) -> Result<Time, CaptureProblem> {
    u64::try_from(since_epoch.as_nanos())
        .map(Time::from_nanos)
        .map_err(|_| CaptureProblem::Damaged(format!("its time, {} s, is after the year 2554", since_epoch.as_secs())))
}

fn name_of<'a>(description: &'a InterfaceDescriptionBlock<'_>) -> Option<&'a str> {
    description.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfName(name) => Some(name.as_ref()),
        _ => None,
    })
}

/// Four bytes of a header that is known to be in the window.
fn word(bytes: &[u8], at: usize, endianness: Endianness) -> u32 {
    let bytes = bytes[at..at + 4].first_chunk().copied().unwrap_or_default();
    match endianness {
        Endianness::Big => u32::from_be_bytes(bytes),
        Endianness::Little => u32::from_le_bytes(bytes),
    }
}

const PCAP_FILE_HEADER: usize = 24;
const PCAP_PACKET_HEADER: usize = 16;
/// Type, length, body of nothing, length again.
const BLOCK_AT_LEAST: usize = 12;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
/// Room for the largest packet with any link header and options; a length beyond is damage, not a reason to read a whole disk.
const LARGEST_RECORD: usize = 16 << 20;
const CHUNK: usize = 256 << 10;

#[cfg(test)]
mod tests;
