//! Application protocols that open other flows: parser and NAT edit side by side.

mod ftp;
mod mangle;
#[cfg(test)]
mod replay;

use std::time::Duration;

use crate::base::{Family, Random, Time, protocol};
use crate::conntrack::{DropReason, HelperSpec, Settings, Table, Tracking};
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
pub fn run(packet: &mut Packet, tracking: &Tracking, cx: &mut HelperContext<'_>) -> Result<(), DropReason> {
    let Some(flow) = &tracking.flow else {
        return Ok(());
    };
    let helper = flow.lock().helper;
    match helper {
        Some("ftp") => ftp::run(packet, tracking, cx),
        _ => Ok(()),
    }
}
