//! One match a file.

pub mod tcp;
