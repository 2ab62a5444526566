//! Words everyone shares: families, masks, ranges, marks, interface names, virtual time, seeded randomness, texts of any bytes.
//!
//! Nothing here knows a packet or a rule. Nothing here reads a clock: time is an argument (see `Time`).

pub(crate) mod absent;
mod address;
pub mod bytes;
mod interface;
#[doc(hidden)]
pub mod json;
mod mark;
mod random;
mod range;
pub(crate) mod sync;
#[cfg(test)]
pub(crate) mod testing;
mod time;

pub(crate) use address::write_address;
pub use address::{AddressMask, Family};
pub use interface::{InterfaceId, InterfaceMask, InterfaceName};
pub use mark::MarkMask;
pub use random::Random;
pub use range::{AddressRange, PortRange};
pub use time::Time;

/// IP protocol numbers by their names in the field.
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const IPIP: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const GRE: u8 = 47;
    pub const ESP: u8 = 50;
    pub const AH: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;
    pub const UDPLITE: u8 = 136;
    pub const RAW: u8 = 255;

    /// What people call those that they ask for by name.
    pub const NAMES: [(&str, u8); 11] = [
        ("tcp", TCP),
        ("udp", UDP),
        ("icmp", ICMP),
        ("igmp", IGMP),
        ("ipip", IPIP),
        ("dccp", DCCP),
        ("gre", GRE),
        ("esp", ESP),
        ("ah", AH),
        ("sctp", SCTP),
        ("udplite", UDPLITE),
    ];
}
