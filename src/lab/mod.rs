//! A lab: its description, scripts and expectations, the event loop, namespaces, running labs and their control socket.

pub mod clock;
pub mod control;
pub mod conversation;
pub mod copy;
pub mod counters;
pub mod demo;
pub mod file;
pub mod files;
#[cfg(target_os = "linux")]
pub mod follow;
pub mod kernel_log;
pub mod machine;
pub mod memory;
pub mod problem;
pub mod router_tables;
pub mod script;
pub mod segment;
pub mod send;
#[cfg(unix)]
pub mod server;
pub mod words;

#[cfg(target_os = "linux")]
pub mod contain;
#[cfg(target_os = "linux")]
pub mod drive;
#[cfg(target_os = "linux")]
pub mod event_loop;
#[cfg(target_os = "linux")]
pub mod exec;
#[cfg(target_os = "linux")]
pub mod live;
#[cfg(target_os = "linux")]
pub mod mode;
#[cfg(target_os = "linux")]
pub mod namespace;
#[cfg(target_os = "linux")]
pub mod netlink;
#[cfg(target_os = "linux")]
pub mod peers;
#[cfg(target_os = "linux")]
pub mod place;
