//! A lab that is live: namespaces and devices, the event loop that carries packets, the control socket, the processes and what they may do; and the
//! containment of commands that have a lab for their network.

pub mod clock;
pub mod control;
pub(crate) mod segment;
#[cfg(unix)]
pub mod server;

#[cfg(target_os = "linux")]
pub(crate) mod contain;
#[cfg(target_os = "linux")]
pub(crate) mod demo;
#[cfg(target_os = "linux")]
pub(crate) mod detach;
#[cfg(target_os = "linux")]
pub mod down;
#[cfg(target_os = "linux")]
pub mod drive;
#[cfg(target_os = "linux")]
pub mod event_loop;
#[cfg(target_os = "linux")]
pub mod exec;
#[cfg(target_os = "linux")]
pub(crate) mod follow;
#[cfg(target_os = "linux")]
mod joining;
#[cfg(target_os = "linux")]
pub(crate) mod keeper;
#[cfg(target_os = "linux")]
mod leaving;
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
#[cfg(target_os = "linux")]
pub mod privileges;
#[cfg(target_os = "linux")]
pub(crate) mod process;
#[cfg(target_os = "linux")]
pub(crate) mod queue;
#[cfg(target_os = "linux")]
pub(crate) mod trust;
#[cfg(target_os = "linux")]
pub mod up;
