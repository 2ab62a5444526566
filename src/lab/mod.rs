//! A lab: its description, scripts and expectations, the event loop, namespaces, running labs and their control socket.

pub mod file;
pub mod problem;
pub mod segment;

#[cfg(target_os = "linux")]
pub mod control;
#[cfg(target_os = "linux")]
pub mod event_loop;
#[cfg(target_os = "linux")]
pub mod namespace;
#[cfg(target_os = "linux")]
pub mod netlink;
#[cfg(target_os = "linux")]
pub mod place;
