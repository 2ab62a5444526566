//! Commands and restore files to rules; rules to save and list forms; errors with positions.
//!
//! The language is that of iptables 1.8.9 (legacy), as seen by running it: the same things are accepted and refused, in the same words. A command
//! goes through three hands: `command::parse` makes a value of its arguments, `apply::execute` does it to a [`Session`](crate::text::Session) (one table, opened,
//! not yet committed), and what it printed and what went wrong come back as values. [`restore::run`](crate::text::restore::run) does the same for a file of lines.
//! Nothing here resolves names over a network, reads files or prints.

mod address;
pub(crate) mod apply;
#[doc(hidden)]
pub mod command;
mod counters;
mod failure;
mod getopt;
pub(crate) mod help;
mod hosts;
mod in_hand;
pub(crate) mod list;
mod number;
#[doc(hidden)]
pub mod options;
pub(crate) mod own_options;
mod parse;
mod places;
mod reach;
mod renames;
pub mod restore;
mod rule_options;
pub(crate) mod save;
mod session;

pub use apply::Printed;
pub use failure::{Denial, Failure, FailureKind, Place, Program};
pub use hosts::{Hosts, StaticHosts};
pub(crate) use session::{Counted, Untouched};
pub use session::{OpenChain, Session, Tables};
