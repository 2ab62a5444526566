//! One applet a file; wording and exit codes.
//!
//! A tool is a function from its arguments and what it acts on to an [`Outcome`](crate::cli::Outcome) or a [`ToolOutput`](crate::lab::machine::ToolOutput); it
//! never ends the process. The subcommands of `nflab` itself ([`main`](crate::cli::main)) print, and return the exit code.

mod cat;
#[cfg(unix)]
mod client;
mod conntrack;
#[cfg(target_os = "linux")]
mod contained;
#[cfg(unix)]
mod current;
mod demo;
mod dmesg;
mod echo;
mod entry;
#[cfg(target_os = "linux")]
mod exec;
mod helper;
mod import;
mod ip;
pub mod iptables;
pub mod iptables_restore;
pub mod iptables_save;
mod learn;
#[cfg(unix)]
mod listen;
mod lsmod;
mod modprobe;
mod nfct;
mod on_disk;
mod open;
#[cfg(unix)]
mod programs;
#[cfg(target_os = "linux")]
mod queue;
mod replay;
mod run;
#[cfg(unix)]
mod sh;
#[cfg(unix)]
mod shims;
#[cfg(unix)]
mod status;
mod sysctl;
mod temporary;
mod test;
mod tools;
mod trace;
#[cfg(target_os = "linux")]
mod up;

pub(crate) use entry::command;
pub use entry::main;
pub use tools::TOOLBOX;
pub(crate) use tools::{BY_WORD, SHIMS};

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
    /// What went wrong, with its place and a remedy: more than the real tool says.
    pub failure: Option<Failure>,
}
