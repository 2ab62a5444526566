//! One match a file.

pub mod addrtype;
pub mod comment;
pub mod connlimit;
pub mod connmark;
pub mod conntrack;
pub mod icmp;
pub mod limit;
pub mod mark;
pub mod multiport;
pub mod owner;
mod ports;
pub mod recent;
pub mod state;
pub mod statistic;
pub mod tcp;
pub mod udp;
