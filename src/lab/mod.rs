//! What a lab is, as values and functions of them: its file, scripts and expectations, conversations, the machine in memory, what is asked of it.
//!
//! It touches no system. What it needs of one (whoever opens files, whoever is woken) is handed in with `machine::Toolbox` and `request::Waker`.

pub(crate) mod conversation;
#[doc(hidden)]
pub mod copy;
pub(crate) mod counters;
pub(crate) mod demo;
pub mod file;
#[doc(hidden)]
pub mod files;
pub(crate) mod kernel_log;
pub mod machine;
pub(crate) mod machine_tables;
pub(crate) mod meant;
pub mod memory;
pub(crate) mod modules;
pub(crate) mod proc_files;
#[doc(hidden)]
pub mod request;
mod router_tables;
pub mod script;
pub mod send;
pub(crate) mod words;

pub use router_tables::RouterTables;
