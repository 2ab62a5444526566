//! Writing pcapng.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::{CaptureError, CaptureProblem};
use crate::base::Time;
use crate::base::bytes::bytes_of;

/// A captured frame with its link's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The link type's number, as tcpdump.org registers it.
    pub link: u32,
    /// With the link's header; the front of the frame where the rest was not captured.
    pub bytes: &'a [u8],
    /// How long it was on the link.
    pub original_length: usize,
}

impl<'a> Frame<'a> {
    /// An IP packet and nothing before it.
    pub fn raw(packet: &'a [u8]) -> Self {
        Self {
            link: RAW,
            bytes: packet,
            original_length: packet.len(),
        }
    }
}

/// Writes pcapng: one interface block for each name and link type, when it first appears; nanoseconds.
///
/// tcpdump 4.99 (libpcap 1.10) reads such a file only up to the second interface block of link type RAW: it compares the number in the block, 101,
/// with its own number for the same thing, 12, and takes them for different.
pub struct CaptureWriter<W: Write> {
    writer: W,
    interfaces: Vec<(String, u32)>,
    /// Their numbers by link type and name: a hostile capture may have as many as packets.
    numbers: HashMap<u32, HashMap<String, usize>>,
    /// The interface of the packet before, which mostly is that of the next.
    last: usize,
    block: Vec<u8>,
}

impl CaptureWriter<BufWriter<File>> {
    /// A new file; what is there is overwritten.
    pub fn create(path: &Path) -> Result<Self, CaptureError> {
        File::create(path)
            .and_then(|file| Self::new(BufWriter::new(file)))
            .map_err(|error| CaptureError::of_file(path, CaptureProblem::Io(error)))
    }
}

impl<W: Write> CaptureWriter<W> {
    /// Into anything that bytes can be written to; the section's header is written at once.
    pub fn new(mut writer: W) -> io::Result<Self> {
        let mut block = Vec::new();
        block.extend(BYTE_ORDER.to_le_bytes());
        block.extend([1, 0, 0, 0]);
        // The section's length isn't known beforehand.
        block.extend((-1i64).to_le_bytes());
        write_block(&mut writer, SECTION, &block)?;
        Ok(Self {
            writer,
            interfaces: Vec::new(),
            numbers: HashMap::new(),
            last: 0,
            block,
        })
    }

    /// Writes the block of an interface that may get no packet, so that a reader knows it was there.
    pub fn interface(&mut self, name: &str) -> io::Result<u32> {
        self.interface_of(name, RAW)
    }

    /// The same for another link type.
    pub fn interface_of(&mut self, name: &str, link: u32) -> io::Result<u32> {
        let is_it = |known: &(String, u32)| known.1 == link && known.0 == name;
        if !self.interfaces.get(self.last).is_some_and(is_it) {
            self.last = match self.numbers.get(&link).and_then(|names| names.get(name)) {
                Some(index) => *index,
                None => self.describe(name, link)?,
            };
        }
        Ok(self.last as u32)
    }

    fn describe(&mut self, name: &str, link: u32) -> io::Result<usize> {
        self.block.clear();
        self.block.extend((link as u16).to_le_bytes());
        // Reserved; and no snap length.
        self.block.extend([0; 6]);
        option(&mut self.block, IF_NAME, &bytes_of(name));
        option(&mut self.block, IF_TIME_RESOLUTION, &[9]);
        option(&mut self.block, END_OF_OPTIONS, &[]);
        write_block(&mut self.writer, INTERFACE, &self.block)?;
        let names = self.numbers.entry(link).or_default();
        names.insert(name.to_owned(), self.interfaces.len());
        self.interfaces.push((name.to_owned(), link));
        Ok(self.interfaces.len() - 1)
    }

    /// An IP packet.
    pub fn write(&mut self, interface: &str, time: Time, packet: &[u8], comment: Option<&str>) -> io::Result<()> {
        self.write_frame(interface, time, Frame::raw(packet), comment)
    }

    /// A frame as it was captured. A comment that is longer than the format can say is cut.
    pub fn write_frame(
        &mut self,
        interface: &str,
        time: Time,
        frame: Frame<'_>,
        comment: Option<&str>,
    ) -> io::Result<()> {
        let index = self.interface_of(interface, frame.link)?;
        let nanos = time.as_nanos();
        self.block.clear();
        for word in [
            index,
            (nanos >> 32) as u32,
            nanos as u32,
            frame.bytes.len() as u32,
            frame.original_length as u32,
        ] {
            self.block.extend(word.to_le_bytes());
        }
        self.block.extend_from_slice(frame.bytes);
        pad(&mut self.block);
        if let Some(comment) = comment {
            let comment = &comment[..comment.floor_char_boundary(LONGEST_OPTION)];
            option(&mut self.block, COMMENT, comment.as_bytes());
            option(&mut self.block, END_OF_OPTIONS, &[]);
        }
        write_block(&mut self.writer, ENHANCED_PACKET, &self.block)
    }

    /// Flushes, and gives the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.writer.flush()?;
        Ok(self.writer)
    }
}

fn write_block(writer: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let length = (body.len() as u32 + 12).to_le_bytes();
    writer.write_all(&kind.to_le_bytes())?;
    writer.write_all(&length)?;
    writer.write_all(body)?;
    writer.write_all(&length)
}

fn option(block: &mut Vec<u8>, code: u16, value: &[u8]) {
    block.extend(code.to_le_bytes());
    block.extend((value.len() as u16).to_le_bytes());
    block.extend_from_slice(value);
    pad(block);
}

fn pad(block: &mut Vec<u8>) {
    block.resize(block.len().next_multiple_of(4), 0);
}

const RAW: u32 = 101;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const END_OF_OPTIONS: u16 = 0;
const COMMENT: u16 = 1;
const IF_NAME: u16 = 2;
const IF_TIME_RESOLUTION: u16 = 9;
/// What a length of 16 bits can say, in whole words.
const LONGEST_OPTION: usize = 65_532;
