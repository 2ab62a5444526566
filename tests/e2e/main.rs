//! The main job, end to end: real programs in namespaces of their own, across a live lab that the binary brought up.
//!
//! Needs root, `/dev/net/tun` and the programs that `tests/run` installs. Where one of them is missing the test says so in a loud line and has
//! failed if `NFLAB_REQUIRE_KERNEL` or `CI` is set.

#![cfg(target_os = "linux")]

mod ending;
mod follow;
mod ftp;
mod ipv6;
mod irc;
mod lab;
mod ping;
mod pptp;
mod queues;
mod refusals;
mod sctp;
mod sip;
mod talk;
mod terminal;
mod tftp;
mod web;
mod workers;
