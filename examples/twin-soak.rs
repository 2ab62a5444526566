//! The kernel twin for as long as one likes: random scenarios on nflab and on the real kernel, until one differs or the time is over.
//!
//! ```sh
//! cargo run --release --example twin-soak -- --minutes 10 --seed 1
//! ```
//! Needs what the twin needs: Linux, TUN, and root or a user namespace. Exits with 1 at the first difference, which it shrinks and writes to a
//! file; with 3 where there is no kernel to ask.

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "shared with the twin, which uses other parts")]
#[path = "../tests/twin/instrument/mod.rs"]
mod instrument;

#[cfg(target_os = "linux")]
#[path = "../tests/twin/soak.rs"]
mod soak;

fn main() {
    #[cfg(target_os = "linux")]
    soak::main();
    #[cfg(not(target_os = "linux"))]
    println!("the kernel twin is for Linux");
}
