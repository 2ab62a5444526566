//! Application protocols that open other flows: parser and NAT edit side by side.

mod ftp;
mod mangle;
mod reason;
#[cfg(test)]
mod replay;

pub use reason::DropReason;

use std::net::IpAddr;
use std::time::Duration;

use crate::base::{Family, Random, Time, protocol};
use crate::conntrack::{HelperSpec, Settings, Table, Tracking, Tuple};
use crate::packet::Packet;

/// What a helper needs beside the packet.
#[derive(Debug)]
pub struct HelperContext<'a> {
    pub now: Time,
    pub settings: &'a Settings,
    pub table: &'a Table,
    pub random: &'a mut Random,
    /// The helpers that are loaded.
    pub helpers: &'a [HelperSpec],
}

/// What a helper made of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub helper: &'static str,
    pub what: HeardWhat,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeardWhat {
    /// Its flow is not established yet.
    TooEarly,
    /// It carries no data.
    NoData,
    /// It is not known that a line begins with its data, so none is read.
    NotAtALine,
    /// No command that opens a flow.
    NoCommand,
    /// A command that names another host than its sender: the helper opens nothing for that one.
    NamesAnother(IpAddr),
    /// A flow is expected.
    Announced {
        /// Which flow: the bits of the source that count, and the destination.
        expected: Tuple,
        /// The port that the command named, where another had to be taken.
        instead_of: Option<u16>,
    },
}

/// All helpers there are. Which of them a lab has loaded is the lab's to know.
pub fn registry() -> &'static [HelperSpec] {
    &[FTP]
}

const FTP: HelperSpec = HelperSpec {
    name: "ftp",
    family: Family::V4,
    protocol: protocol::TCP,
    port: 21,
    max_expected: 1,
    expect_timeout: Duration::from_secs(300),
};

/// The helper stage: the flow's helper reads the packet, and rewrites it where the flow is under NAT. To be called after the last nat hook, and
/// before `nat::adjust_sequences`.
///
/// `None`: the packet is of no flow that a helper reads.
pub fn run(packet: &mut Packet, tracking: &Tracking, cx: &mut HelperContext<'_>) -> Result<Option<Heard>, DropReason> {
    let Some(flow) = &tracking.flow else {
        return Ok(None);
    };
    let helper = flow.lock().helper;
    match helper {
        Some("ftp") => ftp::run(packet, tracking, cx).map(|what| Some(Heard { helper: "ftp", what })),
        _ => Ok(None),
    }
}
