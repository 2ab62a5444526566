//! Virtual time: nanoseconds since the Unix epoch, given by whoever drives the engine.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment, to the nanosecond. It runs from the epoch to the year 2554, and calculations stop at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Time(u64);

/// Of a second.
const NANOSECONDS: u64 = 1_000_000_000;

/// The kernel's ticks, as kernels are built.
pub(crate) const JIFFIES_PER_SECOND: u32 = 250;

impl Time {
    /// In the kernel's ticks.
    pub(crate) fn jiffies(self) -> u64 {
        self.as_nanos() / (1_000_000_000 / u64::from(JIFFIES_PER_SECOND))
    }

    /// The Unix epoch.
    pub const ZERO: Self = Self(0);

    /// What has no end ends then.
    pub const NEVER: Self = Self(u64::MAX);

    /// So many nanoseconds after the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// So many seconds after the epoch, at most 18,446,744,073: 64 bits of nanoseconds hold no more.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000_000)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, the fraction cut off.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Saturates at the end of time (the year 2554).
    #[inline]
    fn add(self, rhs: Duration) -> Self {
        let whole = rhs.as_secs().saturating_mul(NANOSECONDS);
        Self(self.0.saturating_add(whole.saturating_add(rhs.subsec_nanos().into())))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_counted_in_nanoseconds_and_stays_within_its_ends() {
        let time = Time::from_nanos(2_999_999_999);
        assert_eq!((time.as_nanos(), time.as_secs()), (2_999_999_999, 2));
        assert_eq!(Time::from_secs(3).since(time), Duration::from_nanos(1));
        assert_eq!(time.since(Time::from_secs(3)), Duration::ZERO);
        assert_eq!(time + Duration::from_nanos(1), Time::from_secs(3));
        assert_eq!(Time::from_secs(3) - Duration::from_nanos(1), time);
        assert_eq!(time - Duration::from_secs(3), Time::ZERO);
        assert_eq!((time + Duration::MAX).as_nanos(), u64::MAX);
    }
}
