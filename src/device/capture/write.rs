//! Writing pcapng.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use pcap_file::DataLink;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
};
use pcap_file::pcapng::blocks::opt_common::CommonOption;
use pcap_file::pcapng::{PcapNgWriteError, PcapNgWriter};

use super::{CaptureError, CaptureProblem};
use crate::base::Time;

/// Writes pcapng: one interface block for each name, when it first appears; link type RAW, nanoseconds.
///
/// tcpdump 4.99 (libpcap 1.10) reads such a file only up to the second interface block: it compares the number in the block, 101, with its own
/// number for the same thing, 12, and takes them for different.
pub struct CaptureWriter<W: Write> {
    writer: PcapNgWriter<W>,
    interfaces: Vec<String>,
}

impl CaptureWriter<BufWriter<File>> {
    pub fn create(path: &Path) -> Result<Self, CaptureError> {
        File::create(path)
            .and_then(|file| Self::new(BufWriter::new(file)))
            .map_err(|source| CaptureError {
                path: Some(path.to_path_buf()),
                packet: 0,
                offset: 0,
                problem: CaptureProblem::Io(source),
            })
    }
}

impl<W: Write> CaptureWriter<W> {
    pub fn new(writer: W) -> io::Result<Self> {
        Ok(Self {
            writer: PcapNgWriter::new(writer).map_err(write_error)?,
            interfaces: Vec::new(),
        })
    }

    /// Writes the block of an interface that may get no packet, so that a reader knows it was there.
    pub fn interface(&mut self, name: &str) -> io::Result<u32> {
        if let Some(index) = self.interfaces.iter().position(|known| known == name) {
            return Ok(index as u32);
        }
        let mut description = InterfaceDescriptionBlock::new(DataLink::RAW, 0);
        description.options = vec![
            InterfaceDescriptionOption::IfName(name.into()),
            InterfaceDescriptionOption::IfTsResol(InterfaceTsResolution::NANO),
        ];
        self.writer.write_pcapng_block(description).map_err(write_error)?;
        self.interfaces.push(name.to_owned());
        Ok(self.interfaces.len() as u32 - 1)
    }

    pub fn write(&mut self, interface: &str, time: Time, packet: &[u8], comment: Option<&str>) -> io::Result<()> {
        let interface_id = self.interface(interface)?;
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp: Duration::from_nanos(time.as_nanos()),
            original_len: packet.len() as u32,
            data: packet.into(),
            options: comment
                .map(|text| EnhancedPacketOption::Common(CommonOption::Comment(text.into())))
                .into_iter()
                .collect(),
        };
        self.writer.write_pcapng_block(block).map_err(write_error)?;
        Ok(())
    }

    /// Flushes, and gives the writer back.
    pub fn finish(self) -> io::Result<W> {
        let mut writer = self.writer.into_inner();
        writer.flush()?;
        Ok(writer)
    }
}

fn write_error(error: PcapNgWriteError) -> io::Error {
    match error {
        PcapNgWriteError::Io(error) => error,
        other => io::Error::other(other),
    }
}
