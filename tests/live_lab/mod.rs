//! The tests, the program that they start, and a runner in the way of libtest's.

mod cases;
mod child;
mod offload;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;

use nflab::live::mode::{Mode, probe};

pub(crate) fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("--child", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        exit(child::main(rest));
    }
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let chosen: Vec<_> = cases::ALL
        .iter()
        .filter(|(name, _)| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())))
        .collect();
    if args.iter().any(|arg| arg == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    println!("\nrunning {} tests", chosen.len());
    let (mut passed, mut failed, mut not_run) = (0, Vec::new(), 0);
    for (name, test) in &chosen {
        if !require_root_or_skip(name) {
            not_run += 1;
            failed.extend(std::env::var_os("NFLAB_REQUIRE_KERNEL").map(|_| *name));
            continue;
        }
        match catch_unwind(AssertUnwindSafe(test)) {
            Ok(()) => {
                passed += 1;
                println!("test {name} ... ok");
            }
            Err(_) => {
                println!("test {name} ... FAILED");
                failed.push(*name);
            }
        }
    }
    println!(
        "\ntest result: {passed} passed; {not_run} not run, for want of root; {} failed {failed:?}\n",
        failed.len()
    );
    exit(i32::from(!failed.is_empty()));
}

/// Whether live labs can be made here. Where not it says so loudly, and under `NFLAB_REQUIRE_KERNEL` the test has failed.
pub(crate) fn require_root_or_skip(test: &str) -> bool {
    match probe() {
        Mode::Root => true,
        mode => {
            println!("test {test} ... NOT RUN: live labs need root here ({mode:?})");
            eprintln!(
                "!!! {test} WAS NOT RUN: it needs root, network namespaces and /dev/net/tun. Under NFLAB_REQUIRE_KERNEL this fails."
            );
            false
        }
    }
}
