//! What became of a packet, for people: packets as lines, and the story of their way.

pub mod account;
pub mod describe;
pub(crate) mod filter;
pub mod picture;
pub mod story;
mod text;
pub(crate) mod why;
