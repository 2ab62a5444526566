//! Lines of the kernel's log that every packet of a flood would write: ten in five seconds, and how many were left out is said afterwards, as
//! `net.core.message_burst` and `message_cost` have it by default.

use std::time::Duration;

use crate::base::Time;
use crate::rule::LogRecord;

/// What was written of one kind of line in the current interval.
#[derive(Debug, Default)]
pub(super) struct RateLimit {
    /// `None`: none yet.
    begin: Option<Time>,
    written: u32,
    left_out: u32,
}

impl RateLimit {
    /// The lines that come into the log where this one is due.
    pub(super) fn lines(&mut self, now: Time, text: &str) -> impl Iterator<Item = LogRecord> + use<> {
        let mut missed = 0;
        if self.begin.is_none_or(|begin| begin + INTERVAL <= now) {
            missed = std::mem::take(&mut self.left_out);
            (self.begin, self.written) = (Some(now), 0);
        }
        let is_due = self.written < BURST;
        match is_due {
            true => self.written += 1,
            false => self.left_out += 1,
        }
        let suppressed = (missed > 0).then(|| format!("net_ratelimit: {missed} callbacks suppressed"));
        let line = is_due.then(|| text.to_owned());
        suppressed
            .into_iter()
            .chain(line)
            .map(|text| LogRecord { level: 4, text })
    }
}

const INTERVAL: Duration = Duration::from_secs(5);
const BURST: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_writes_ten_lines_in_five_seconds() {
        let mut limit = RateLimit::default();
        let start = Time::from_secs(1000);
        let mut at = |millis| {
            let lines = limit.lines(start + Duration::from_millis(millis), "full");
            lines.map(|record| record.text).collect::<Vec<_>>()
        };
        for _ in 0..10 {
            assert_eq!(at(0), ["full"]);
        }
        assert!(at(1).is_empty());
        assert!(at(4999).is_empty());
        assert_eq!(at(5000), ["net_ratelimit: 2 callbacks suppressed", "full"]);
        assert_eq!(at(5001), ["full"]);
    }
}
