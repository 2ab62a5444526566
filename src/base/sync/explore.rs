//! The order in which threads come to what they share, tried out: by chance, or one after another.

use std::cell::Cell;

use shuttle::scheduler::{DfsScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

thread_local! {
    static EXPLORING: Cell<bool> = const { Cell::new(false) };
}

/// So many orders by chance; the same ones each time.
pub(crate) fn by_chance(orders: usize, test: impl Fn() + Send + Sync + 'static) {
    run(RandomScheduler::new_from_seed(SEED, orders), test);
}

/// One order after another, this many at most, and all of them where there are fewer. Says how many there were.
pub(crate) fn one_by_one(most: usize, test: impl Fn() + Send + Sync + 'static) -> usize {
    run(DfsScheduler::new(Some(most), false), test)
}

/// Whether a scheduler decides here who goes on.
pub(crate) fn is_going_on() -> bool {
    EXPLORING.get()
}

/// Another thread may go on here.
pub(crate) fn point() {
    if is_going_on() {
        // Looking at a number that nobody else has changes nothing.
        let nothing = shuttle::sync::atomic::AtomicBool::new(false);
        nothing.load(std::sync::atomic::Ordering::SeqCst);
    }
}

const SEED: u64 = 0x006e_666c_6162;

fn run<S: Scheduler + 'static>(scheduler: S, test: impl Fn() + Send + Sync + 'static) -> usize {
    let mut config = Config::new();
    // A packet's pass through the router wants more, unoptimised, than a thread has there by default.
    config.stack_size = 1 << 20;
    // Above what any order takes: a test that never ends fails.
    config.max_steps = MaxSteps::FailAfter(100_000);
    // The scheduler runs all of a test's threads on this one.
    EXPLORING.set(true);
    let orders = Runner::new(scheduler, config).run(test);
    EXPLORING.set(false);
    orders
}
