//! A process that is told from a later one with the same number: by when it started.

use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

/// A process as it is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessRecord {
    pub pid: i32,
    /// In ticks since the machine was started, as `/proc/PID/stat` has it.
    pub started: u64,
}

impl ProcessRecord {
    /// `None` where it has ended and been waited for.
    pub fn of(pid: i32) -> Option<Self> {
        Some(Self {
            pid,
            started: started(pid)?,
        })
    }

    pub fn own() -> Self {
        let pid = std::process::id() as i32;
        Self::of(pid).unwrap_or(Self { pid, started: 0 })
    }

    /// A descriptor of it, if it still runs: whatever gets its number later is never what the descriptor means.
    pub fn open(&self) -> Option<OwnedFd> {
        let descriptor = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Asked after the opening: if the number had gone to another by then, it is the other's time that comes.
        (started(self.pid)? == self.started).then_some(descriptor)
    }

    pub fn runs(&self) -> bool {
        self.open().is_some()
    }

    /// Whether the kernel is taking it down, or has: it does nothing of its own any more, and what it had open is being closed.
    pub fn is_ending(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
        stat.is_ok_and(|stat| {
            started_in(&stat) == Some(self.started) && flags_in(&stat).is_some_and(|it| it & ENDING != 0)
        })
    }
}

fn started(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    started_in(&stat)
}

/// The second field is the program's name in parentheses, and may hold anything; the 22nd is the time.
fn started_in(stat: &str) -> Option<u64> {
    field(stat, 22)
}

fn flags_in(stat: &str) -> Option<u64> {
    field(stat, 9)
}

/// Counted from 1, as proc(5) does, from the third on.
fn field(stat: &str, number: usize) -> Option<u64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_ascii_whitespace().nth(number - 3)?.parse().ok()
}

/// `PF_EXITING` among a process's flags.
const ENDING: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_alone_is_not_enough() {
        let own = ProcessRecord::own();
        assert!(own.runs());
        let earlier = ProcessRecord {
            started: own.started - 1,
            ..own
        };
        assert!(!earlier.runs());
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1";
        assert_eq!(started_in(stat), Some(4242));
        assert_eq!(flags_in(stat), Some(4_194_560));
    }
}
