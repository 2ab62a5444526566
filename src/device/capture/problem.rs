//! What can be wrong with a capture.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::base::bytes::{quoted, text_of_path};
use crate::device::link::LinkType;

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
    pub(super) fn of_file(path: &Path, problem: CaptureProblem) -> Self {
        Self {
            path: Some(path.to_path_buf()),
            packet: 0,
            offset: 0,
            problem,
        }
    }

    /// Whether only this packet can't be used: the next call of [`CaptureReader::next_packet`](super::CaptureReader::next_packet) gives the one behind it. (In a classic pcap a
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
