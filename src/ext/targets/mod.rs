//! One target a file.

pub mod mark;
