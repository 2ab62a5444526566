//! Real programs across a live lab: ping, curl from a real web server, FTP clients and servers, through the binary as people call it; and
//! what is left after signals and kills (nothing).
//!
//! Needs root, TUN and the programs named; without them each test says loudly that it did not run, and fails under `NFLAB_REQUIRE_KERNEL`.

#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod lifecycle;
#[cfg(target_os = "linux")]
mod transfers;
