//! Words everyone shares: families, masks, ranges, marks, interface names, virtual time, seeded randomness, texts of any bytes.
//!
//! Nothing here knows a packet or a rule. Nothing here reads a clock: time is an argument (see `Time`).

mod address;
pub mod bytes;
pub(crate) mod date;
mod interface;
#[doc(hidden)]
pub mod json;
mod mark;
mod pace;
mod random;
mod range;
pub(crate) mod sync;
#[cfg(test)]
pub(crate) mod testing;
mod time;

pub use address::{AddressMask, Family};
pub(crate) use address::{as_in_c, write_address, write_number};
pub use interface::{InterfaceId, InterfaceMask, InterfaceName};
pub use mark::MarkMask;
pub use pace::{Pace, Piece};
pub use random::Random;
pub use range::{AddressRange, PortRange};
pub(crate) use time::JIFFIES_PER_SECOND;
pub use time::Time;

/// IP protocol numbers by their names in the field.
pub mod protocol {
    /// ICMP of IPv4.
    pub const ICMP: u8 = 1;
    /// The Internet Group Management Protocol.
    pub const IGMP: u8 = 2;
    /// IPv4 in IPv4 (`ipencap` in `/etc/protocols`).
    pub const IPIP: u8 = 4;
    /// The Transmission Control Protocol.
    pub const TCP: u8 = 6;
    /// The User Datagram Protocol.
    pub const UDP: u8 = 17;
    /// The Datagram Congestion Control Protocol.
    pub const DCCP: u8 = 33;
    /// Generic Routing Encapsulation.
    pub const GRE: u8 = 47;
    /// IPsec's Encapsulating Security Payload.
    pub const ESP: u8 = 50;
    /// IPsec's Authentication Header.
    pub const AH: u8 = 51;
    /// ICMP of IPv6.
    pub const ICMPV6: u8 = 58;
    /// The Stream Control Transmission Protocol.
    pub const SCTP: u8 = 132;
    /// Messages of Mobile IPv6.
    pub const MOBILITY: u8 = 135;
    /// UDP whose checksum may cover a part of the datagram only.
    pub const UDPLITE: u8 = 136;
    /// Reserved; the kernel has it for raw sockets that take any protocol.
    pub const RAW: u8 = 255;

    /// What people call those that they ask for by name.
    pub const NAMES: [(&str, u8); 12] = [
        ("tcp", TCP),
        ("udp", UDP),
        ("icmp", ICMP),
        ("icmpv6", ICMPV6),
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
