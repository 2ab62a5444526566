//! The kernel's log of a lab: written by who carries packets, read by tools in other threads.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::base::Time;
use crate::rule::LogRecord;

/// One line of the kernel's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    pub time: Time,
    pub record: LogRecord,
}

/// A handle on the log; its clones are handles on the same one. The lock is held for as long as it takes to copy references.
#[derive(Clone, Default)]
pub(crate) struct KernelLog(Arc<Mutex<Ring>>);

#[derive(Default)]
struct Ring {
    lines: VecDeque<Arc<LogLine>>,
    /// The number of the first of them; they are counted from the beginning of the lab.
    first: u64,
    /// Called whenever lines have come, with a number each.
    told: Vec<(u64, Arc<dyn Fn() + Send + Sync>)>,
    next_told: u64,
}

/// Who is told of new lines, until this is dropped.
#[derive(Debug)]
pub(crate) struct Told {
    log: KernelLog,
    number: u64,
}

impl Drop for Told {
    fn drop(&mut self) {
        self.log.0.lock().told.retain(|(number, _)| *number != self.number);
    }
}

impl KernelLog {
    /// Keeps lines; the oldest go when there are too many, as in the kernel's ring.
    pub(crate) fn keep(&self, time: Time, records: impl IntoIterator<Item = LogRecord>) {
        let mut records = records.into_iter().peekable();
        if records.peek().is_none() {
            return;
        }
        let mut dropped = Vec::new();
        let mut ring = self.0.lock();
        for record in records {
            if ring.lines.len() >= LOG_KEPT {
                dropped.extend(ring.lines.pop_front());
                ring.first += 1;
            }
            ring.lines.push_back(Arc::new(LogLine { time, record }));
        }
        let told: Vec<_> = ring.told.iter().map(|(_, call)| Arc::clone(call)).collect();
        drop(ring);
        for call in told {
            call();
        }
    }

    pub(crate) fn lines(&self) -> Vec<Arc<LogLine>> {
        self.0.lock().lines.iter().map(Arc::clone).collect()
    }

    /// The lines from a number on, as far as they are kept, and the number of the one that comes next.
    pub(crate) fn since(&self, number: u64) -> (Vec<Arc<LogLine>>, u64) {
        let ring = self.0.lock();
        let skipped = usize::try_from(number.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        let lines = ring.lines.iter().skip(skipped).map(Arc::clone).collect();
        (lines, ring.first + ring.lines.len() as u64)
    }

    /// Has this called whenever lines have come, in the thread that carries packets: it must be quick.
    pub(crate) fn notify(&self, call: impl Fn() + Send + Sync + 'static) -> Told {
        let mut ring = self.0.lock();
        let number = ring.next_told;
        ring.next_told += 1;
        ring.told.push((number, Arc::new(call)));
        Told {
            log: self.clone(),
            number,
        }
    }

    pub(crate) fn clear(&self) {
        let mut ring = self.0.lock();
        ring.first += ring.lines.len() as u64;
        let lines = std::mem::take(&mut ring.lines);
        drop(ring);
        drop(lines);
    }
}

impl std::fmt::Debug for KernelLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KernelLog").finish_non_exhaustive()
    }
}

/// Lines that are kept.
const LOG_KEPT: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_go_on_where_they_were() {
        let log = KernelLog::default();
        let record = |text: &str| LogRecord {
            level: 4,
            text: text.to_owned(),
        };
        log.keep(Time::ZERO, [record("a"), record("b")]);
        let (lines, next) = log.since(0);
        assert_eq!((lines.len(), next), (2, 2));
        log.keep(Time::ZERO, [record("c")]);
        let (lines, next) = log.since(next);
        assert_eq!((lines[0].record.text.as_str(), lines.len(), next), ("c", 1, 3));
        log.clear();
        assert_eq!(log.since(0).1, 3);
        log.keep(Time::ZERO, (0..LOG_KEPT + 5).map(|_| record("d")));
        assert_eq!(log.lines().len(), LOG_KEPT);
        assert_eq!(log.since(next).1, 3 + LOG_KEPT as u64 + 5);
    }
}
