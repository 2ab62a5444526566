//! The clock of the world, for labs that live in it.

use std::time::{Instant, SystemTime};

use crate::base::Time;

/// Wall-clock time that never steps back: read once, then carried on by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    at_start: Time,
}

impl Clock {
    pub fn new() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: Instant::now(),
            at_start: Time::ZERO + since_epoch,
        }
    }

    pub fn now(&self) -> Time {
        self.at_start + self.started.elapsed()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
