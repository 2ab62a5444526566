//! Live labs on this machine: namespaces, TUN devices, signals and what is left after them. Needs root, or says loudly why not.
//!
//! It has a `main` of its own for two reasons: the tests start this very program again as the lab that gets killed, and a user namespace
//! can only be entered by a process without threads, which libtest never is.

#[cfg(target_os = "linux")]
mod live_lab;

fn main() {
    #[cfg(target_os = "linux")]
    live_lab::main();
    #[cfg(not(target_os = "linux"))]
    println!("live labs are for Linux; there is nothing to test here");
}
