//! One match a file.

mod ports;
pub mod tcp;
