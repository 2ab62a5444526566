//! Samples taken in turn, and what they say.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Several samples of one thing.
#[derive(Clone, Debug)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn of(mut samples: Vec<f64>) -> Self {
        assert!(!samples.is_empty(), "something has to be measured");
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    /// The best where less is better.
    pub(crate) fn least(&self) -> f64 {
        self.0[0]
    }

    /// The best where more is better.
    pub(crate) fn most(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    pub(crate) fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    /// How far the median is from the best, in percent.
    pub(crate) fn spread(&self, best: f64) -> f64 {
        100.0 * (self.median() / best - 1.0)
    }
}

/// Asks each in turn, so many times round: what disturbs the machine disturbs all of them.
pub(crate) fn in_turn(rounds: usize, each: &mut [&mut dyn FnMut() -> f64]) -> Vec<Samples> {
    let mut taken = vec![Vec::new(); each.len()];
    for _ in 0..rounds {
        for (samples, measure) in taken.iter_mut().zip(each.iter_mut()) {
            samples.push(measure());
        }
    }
    taken.into_iter().map(Samples::of).collect()
}

/// Nanoseconds of one of the `count` things that `work` does each time; done again until enough time has passed to tell.
pub(crate) fn nanoseconds(count: usize, mut work: impl FnMut()) -> f64 {
    let start = of_processor();
    let mut times = 0;
    while of_processor() - start < ENOUGH || times == 0 {
        work();
        times += 1;
    }
    (of_processor() - start).as_nanos() as f64 / (times * count) as f64
}

/// The processor's time of this thread, the kernel's part included: other programs do not count.
pub(crate) fn of_processor() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Seconds that it took, once.
pub(crate) fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

const ENOUGH: Duration = Duration::from_millis(40);
