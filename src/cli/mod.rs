//! One applet a file; wording and exit codes.
//!
//! An applet is a function from its arguments and a [`World`] to an [`Outcome`]: nothing here prints, reads files or ends the process.

pub mod iptables;
pub mod iptables_restore;
pub mod iptables_save;
mod router_tables;

pub use router_tables::RouterTables;

use crate::base::Time;
use crate::text::{Failure, Hosts, Tables};

/// What the iptables applets act on.
pub struct World<'a> {
    pub tables: &'a mut dyn Tables,
    pub hosts: &'a dyn Hosts,
    pub now: Time,
    /// Reads a file by name, or standard input for `None`; an error is what the operating system said.
    pub read: &'a mut dyn FnMut(Option<&str>) -> Result<String, String>,
}

/// What an applet printed and exits with.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub out: String,
    pub err: String,
    pub code: u8,
    /// A file to write `out` to, instead of standard output (`iptables-save -f`).
    pub file: Option<String>,
    /// What went wrong, with its place and a remedy: more than the real tool says.
    pub failure: Option<Failure>,
}
