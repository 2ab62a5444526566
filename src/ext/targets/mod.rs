//! One target a file.

pub mod connmark;
pub mod ct;
pub mod dnat;
pub mod log;
pub mod mark;
mod mark_bits;
pub mod masquerade;
mod nat_range;
pub mod nfqueue;
pub mod notrack;
pub mod redirect;
pub mod reject;
pub mod snat;
pub mod tcpmss;
pub mod tee;
mod to_addresses;
mod to_ports;
