//! What a table remembers of one key: tokens that come with time, in the kernel's units, or what was counted in an interval.

use super::rate::{Rate, bytes_of};
use super::table::Config;
use super::{Hashlimit, rate};
use crate::base::JIFFIES_PER_SECOND;

/// As it was at some jiffy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    at: u64,
    holds: Holds,
}

#[derive(Clone, Copy, Debug)]
enum Holds {
    /// Of packets, `most` is what the bucket holds; of bytes how many times it may yet be filled before its time.
    Tokens { credit: u64, most: u64, cost: u64 },
    /// What came since the interval began.
    Count {
        /// Of the interval before: there were more than the rate.
        was_over: bool,
        count: u64,
        rate: u64,
        most: u64,
    },
}

/// The kernel's clock in its units.
const JIFFIES: u64 = JIFFIES_PER_SECOND as u64;

/// Credits that a jiffy brings a bucket of packets: the largest power of two that leaves room for a day.
const CREDITS_PER_JIFFY: u64 = {
    let most = u64::MAX / (JIFFIES * 60 * 60 * 24);
    1 << (63 - most.leading_zeros())
};

/// The same of bytes, where 32 bits hold those of a second.
const CREDITS_OF_BYTES_PER_JIFFY: u64 = 1 << (31 - (u32::MAX / JIFFIES_PER_SECOND).leading_zeros());
const FULL_OF_BYTES: u64 = CREDITS_OF_BYTES_PER_JIFFY * JIFFIES;

fn credits(period: u64) -> u64 {
    period.wrapping_mul(CREDITS_PER_JIFFY * JIFFIES / rate::SCALE)
}

/// What sixteen bytes cost.
pub(super) fn credits_of_bytes(cost: u32) -> u64 {
    (u64::from(cost) * FULL_OF_BYTES) >> 32
}

/// Whether so many tokens are more than 64 bits hold; what is large enough after it has gone around is taken.
pub(super) fn overflows(period: u64, burst: u32) -> bool {
    burst == 0 || credits(period.wrapping_mul(burst.into())) < credits(period)
}

impl Bucket {
    pub(super) fn new(config: &Config, now: u64) -> Self {
        let burst = u64::from(config.burst);
        let holds = match (config.rate, config.is_rate_match) {
            (Rate::Packets(period), false) => {
                let most = credits(period.wrapping_mul(burst));
                Holds::Tokens {
                    credit: most,
                    most,
                    cost: credits(period),
                }
            }
            (Rate::Bytes(cost), false) => Holds::Tokens {
                credit: FULL_OF_BYTES,
                most: burst,
                cost: credits_of_bytes(cost),
            },
            (rate, true) => {
                let (rate, most) = match rate {
                    Rate::Packets(period) => {
                        let rate = rate::SCALE.checked_div(period).unwrap_or(0);
                        (rate, rate + burst)
                    }
                    Rate::Bytes(cost) => {
                        let rate = bytes_of(cost);
                        (rate, rate.wrapping_mul(burst.max(1)))
                    }
                };
                Holds::Count {
                    was_over: false,
                    count: 0,
                    rate,
                    most,
                }
            }
        };
        Self { at: now, holds }
    }

    /// What time has brought since. Reading the table's file does it, too.
    pub(super) fn pass_time(&mut self, config: &Config, now: u64) {
        let passed = now.saturating_sub(self.at);
        if passed == 0 {
            return;
        }
        match &mut self.holds {
            Holds::Tokens { credit, most, .. } => {
                let (come, most) = match config.rate {
                    Rate::Packets(_) => (CREDITS_PER_JIFFY, *most),
                    Rate::Bytes(_) => (CREDITS_OF_BYTES_PER_JIFFY, FULL_OF_BYTES),
                };
                *credit = credit.saturating_add(passed.saturating_mul(come)).min(most);
            }
            Holds::Count {
                was_over, count, rate, ..
            } => {
                let interval = u64::from(config.interval) * JIFFIES;
                if passed < interval {
                    return;
                }
                *was_over = count.wrapping_mul(interval) > passed.wrapping_mul(*rate);
                *count = 0;
            }
        }
        self.at = now;
    }

    /// Takes what a packet of this length costs, or counts it. True where the bucket has not got it. Whether packets or bytes count is up to the rule,
    /// what they cost to the table.
    pub(super) fn is_over(&mut self, rule: &Hashlimit, length: u64) -> bool {
        let is_of_bytes = matches!(rule.rate, Rate::Bytes(_));
        match &mut self.holds {
            Holds::Tokens { credit, most, cost } => {
                let price = match is_of_bytes {
                    true => price(length, *cost),
                    false => *cost,
                };
                if is_of_bytes && *credit < price && *most > 0 {
                    *most -= 1;
                    *credit = FULL_OF_BYTES;
                }
                match credit.checked_sub(price) {
                    Some(rest) => {
                        *credit = rest;
                        false
                    }
                    None => true,
                }
            }
            Holds::Count {
                was_over, count, most, ..
            } => {
                *count = count.wrapping_add(if is_of_bytes { length } else { 1 });
                *was_over || *count > *most
            }
        }
    }

    /// The three numbers that the file shows. Of a count, the first is two of 32 bits: the interval, and whether the one before was over.
    pub(super) fn shown(&self, config: &Config) -> [u64; 3] {
        match self.holds {
            Holds::Tokens { credit, most, cost } => [credit, most, cost],
            Holds::Count {
                was_over, count, rate, ..
            } => [u64::from(was_over) << 32 | u64::from(config.interval), count, rate],
        }
    }

    /// In words, of a packet that was asked about just now.
    pub(super) fn said(&self, rule: &Hashlimit, length: u64) -> String {
        match self.holds {
            Holds::Tokens { credit, cost, .. } if matches!(rule.rate, Rate::Packets(_)) => {
                // Cut, not rounded: 0.999 of a token is no token.
                let left = credit as f64 / cost.max(1) as f64;
                format!("has {:.2} tokens left", (left * 100.0).floor() / 100.0)
            }
            Holds::Tokens { credit, cost, .. } => {
                let left = credit
                    .checked_div(cost)
                    .map_or(u64::MAX, |chunks| chunks.saturating_mul(16));
                format!("has {left} bytes left, packet counts as {}", chunks(length) * 16)
            }
            Holds::Count { was_over: true, .. } => "was over in the interval before".to_owned(),
            Holds::Count { count, most, .. } => format!("has had {count} of {most} in this interval"),
        }
    }
}

/// Seen: a packet has one piece of sixteen bytes more than it fills.
fn chunks(length: u64) -> u64 {
    (length >> 4) + 1
}

fn price(length: u64, cost: u64) -> u64 {
    chunks(length).wrapping_mul(cost).min(FULL_OF_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overflows_and_what_has_gone_around() {
        // As the kernel took and refused them.
        for (a_day, fits) in [
            (1, [true, false, true, false, false, false, true, true, false]),
            (2, [true, true, true, false, false, true, true, true, false]),
            (4, [true, true, true, true, false, true, true, true, false]),
            (7, [true, true, true, true, true, false, true, true, true]),
            (24, [true; 9]),
        ] {
            let period = 86_400 * rate::SCALE / a_day;
            let bursts = [1, 2, 3, 4, 7, 11, 12, 37, 100];
            assert_eq!(bursts.map(|burst| !overflows(period, burst)), fits, "{a_day}/day");
        }
    }

    #[test]
    fn what_sixteen_bytes_cost() {
        for (cost, expected) in [(1, 0), (2, 1), (613_566_756, 599_186_285), (66_076_419, 64_527_752)] {
            assert_eq!(credits_of_bytes(cost), expected);
        }
    }
}
