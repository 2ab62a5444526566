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
pub mod protocol;
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
