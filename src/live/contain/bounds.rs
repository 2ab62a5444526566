//! What a stranger's script may take of the machine, at most. The kernel's own limits hold at any moment; an eye on the sums ends the script before
//! it comes to them, and says which it was.
//!
//! The kernel counts processes by user namespace and user, so the limit holds for root's COMMAND too, which is nobody in a namespace of its own.
//! Memory it bounds for each process only; what all have together is summed here, without what they share. Files are in memory
//! ([`super::confine::confine`]), each file system with a size.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::fs::statvfs;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};
use serde::{Deserialize, Serialize};

use super::{Failure, OWN, tried};

/// What there was too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Met {
    Processes,
    Memory,
    Files,
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processes => write!(f, "{MOST_PROCESSES} processes at once"),
            Self::Memory => write!(f, "{} MB of memory", MOST_MEMORY >> 20),
            Self::Files => write!(f, "{} MB of files, or {MOST_FILES} of them", MOST_BYTES >> 20),
        }
    }
}

/// How a file system in memory is mounted for a script: no larger than this, with this mode.
pub(super) fn sized(mode: &str) -> String {
    format!("mode={mode},size={MOST_BYTES},nr_inodes={MOST_FILES}")
}

/// The kernel's limits, for this process and all that it starts.
pub(super) fn set() -> Result<(), Failure> {
    for (resource, most) in [
        (Resource::Nproc, MOST_PROCESSES + SPARE_PROCESSES),
        (Resource::As, MOST_OF_A_PROCESS),
        (Resource::Fsize, MOST_BYTES),
        (Resource::Core, 0),
    ] {
        // Lower ones stay.
        let before = rustix::process::getrlimit(resource);
        let least = |it: Option<u64>| Some(it.map_or(most, |it| it.min(most)));
        let limit = Rlimit {
            current: least(before.current),
            maximum: least(before.maximum),
        };
        setrlimit(resource, limit).map_err(tried("set limits"))?;
    }
    Ok(())
}

/// Looks again and again, and ends COMMAND where it has too much.
pub(super) fn watch(directory: PathBuf, command: Pid) -> std::io::Result<Arc<OnceLock<Met>>> {
    let met: Arc<OnceLock<Met>> = Arc::default();
    let told = Arc::clone(&met);
    std::thread::Builder::new().spawn(move || {
        let mut places: Vec<PathBuf> = ["/tmp", "/var/tmp", "/dev/shm", OWN]
            .iter()
            .map(PathBuf::from)
            .collect();
        places.push(directory);
        loop {
            if let Some(found) = processes().or_else(|| places.iter().find_map(|place| files(place))) {
                let _ = told.set(found);
                // It may have ended just now. The rest ends with the first process.
                let _ = kill_process(command, Signal::KILL);
                return;
            }
            std::thread::sleep(LOOKED_AFTER);
        }
    })?;
    Ok(met)
}

fn processes() -> Option<Met> {
    let (mut count, mut memory) = (0, 0);
    for entry in fs::read_dir("/proc").ok()?.filter_map(Result::ok) {
        if !entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // It may have ended since.
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else {
            continue;
        };
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|it| it.split_ascii_whitespace().next()?.parse::<u64>().ok())
                .unwrap_or(0)
        };
        count += number("Threads:").max(1);
        memory += (number("RssAnon:") + number("RssShmem:")) << 10;
    }
    match (count, memory) {
        (MOST_PROCESSES.., _) => Some(Met::Processes),
        (_, MOST_MEMORY..) => Some(Met::Memory),
        _ => None,
    }
}

fn files(place: &Path) -> Option<Met> {
    let there = statvfs(place).ok()?;
    let bytes = there.f_blocks.saturating_sub(there.f_bfree) * there.f_frsize;
    let files = there.f_files.saturating_sub(there.f_ffree);
    // Of a place that is not in memory nothing can be taken: it is read-only.
    let is_ours = !there.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
    (is_ours && (bytes >= MOST_BYTES || files >= MOST_FILES)).then_some(Met::Files)
}

/// Threads count, too.
const MOST_PROCESSES: u64 = 200;
/// So that they are seen before the kernel makes no more.
const SPARE_PROCESSES: u64 = 20;
const MOST_MEMORY: u64 = 512 << 20;
/// Of addresses, more of which are reserved than used.
pub(crate) const MOST_OF_A_PROCESS: u64 = 1 << 30;
const MOST_BYTES: u64 = 64 << 20;
const MOST_FILES: u64 = 10_000;
const LOOKED_AFTER: Duration = Duration::from_millis(20);
