//! The kernel twin as a test: every kept case, and scenarios at random, on nflab and on the real kernel.
//!
//! Where there is no kernel to ask, the kept cases are held against what the kernel was recorded to answer, and it says what was not run;
//! with `NFLAB_REQUIRE_KERNEL` that is a failure. `NFLAB_TWIN_RECORD=1` records anew; `NFLAB_TWIN_SEED` and `NFLAB_TWIN_COUNT` choose the
//! random scenarios. Words on the command line choose tests by name, `--kept` leaves the random scenarios out, and `--recorded`
//! asks the records alone.
//!
//! It has a `main` of its own, because a user namespace can only be entered by a process without threads, which libtest never is. What tests
//! the instrument itself is `tests/twin_itself.rs`.

#[cfg(target_os = "linux")]
#[path = "../fresh_seed/mod.rs"]
mod fresh_seed;
#[cfg(target_os = "linux")]
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the soak, and with the tests of its own parts that libtest runs"
)]
mod instrument;
#[cfg(target_os = "linux")]
mod samples;
#[cfg(target_os = "linux")]
mod suite;

fn main() {
    #[cfg(target_os = "linux")]
    suite::main();
    #[cfg(not(target_os = "linux"))]
    {
        println!("NOT RUN: the kernel twin is for Linux; there is nothing to test here");
        std::process::exit(i32::from(std::env::var_os("NFLAB_REQUIRE_KERNEL").is_some()));
    }
}
