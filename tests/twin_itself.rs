//! Tests of the kernel twin's own parts: what it compares, what it leaves free, how it shrinks, what it writes down; and its kept
//! cases while somebody watches.

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "shared with the twin, which uses other parts")]
#[path = "twin/instrument/mod.rs"]
mod instrument;

#[cfg(target_os = "linux")]
#[path = "twin/watched.rs"]
mod watched;
