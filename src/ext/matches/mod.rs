//! One match a file.

pub(crate) mod addrtype;
mod asked_mark;
pub(crate) mod comment;
pub(crate) mod connlabel;
pub(crate) mod connlimit;
pub(crate) mod connmark;
pub(crate) mod conntrack;
mod header;
pub(crate) mod helper;
pub(crate) mod icmp;
pub(crate) mod iprange;
pub(crate) mod length;
pub(crate) mod limit;
pub(crate) mod mark;
pub(crate) mod multiport;
pub(crate) mod owner;
mod ports;
pub(crate) mod recent;
pub(crate) mod state;
pub(crate) mod statistic;
pub(crate) mod tcp;
pub(crate) mod ttl;
pub(crate) mod udp;
