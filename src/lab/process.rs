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
}

fn started(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    started_in(&stat)
}

/// The second field is the program's name in parentheses, and may hold anything; the 22nd is the time.
fn started_in(stat: &str) -> Option<u64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

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
    }
}
