//! Rounds of drawn trials, one for each seed, for as long as there is time.

use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// From `NFLAB_FUZZ_SEED` (1) on for `NFLAB_FUZZ_SECONDS` (5), but at least one. The seed of a round that panics is named. Which seeds it were.
pub(crate) fn rounds(mut round: impl FnMut(u64)) -> RangeInclusive<u64> {
    let (first, seconds) = (number("NFLAB_FUZZ_SEED", 1), number("NFLAB_FUZZ_SECONDS", 5));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut seed = first;
    loop {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| round(seed))) {
            eprintln!("in the round of NFLAB_FUZZ_SEED={seed}");
            resume_unwind(panic);
        }
        if Instant::now() >= end {
            return first..=seed;
        }
        seed += 1;
    }
}

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |it| it.parse().expect("a number"))
}
