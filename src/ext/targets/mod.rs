//! One target a file.

pub(crate) mod audit;
pub(crate) mod checksum;
pub(crate) mod classify;
pub(crate) mod connmark;
pub(crate) mod ct;
pub(crate) mod dnat;
pub(crate) mod dscp;
pub(crate) mod ecn;
pub(crate) mod hl;
mod hops;
pub(crate) mod log;
pub(crate) mod mark;
mod mark_bits;
pub(crate) mod masquerade;
mod nat_range;
pub(crate) mod netmap;
pub(crate) mod nfqueue;
pub(crate) mod notrack;
pub(crate) mod redirect;
pub(crate) mod reject;
pub(crate) mod snat;
pub(crate) mod tcpmss;
pub(crate) mod tee;
mod to_addresses;
mod to_ports;
pub(crate) mod tos;
pub(crate) mod ttl;
