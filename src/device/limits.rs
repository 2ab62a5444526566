//! How many files may be open and how far the stack may grow. What is too little for nflab itself it raises for itself; a program that it starts
//! gets what was there.

use std::io;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// What there was before it was raised; `None` where it was enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub files: Option<u64>,
    pub stack: Option<u64>,
}

static FILES: OnceLock<u64> = OnceLock::new();
static STACK: OnceLock<u64> = OnceLock::new();

/// A limit that nobody but root can raise, and too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLow {
    #[error(
        "a process may have {0} files open here, and nflab needs {FEWEST_FILES} for this: raise the limit (ulimit -n)"
    )]
    Files(u64),
    #[error("the stack may grow to {} kB here, and nflab needs {}: raise the limit (ulimit -s)", .0 >> 10, SMALLEST_STACK >> 10)]
    Stack(u64),
}

/// For what has many files open, as containment does while it is made.
pub fn enough_files() -> Result<(), TooLow> {
    raise(Resource::Nofile, MANY_FILES, &FILES)
        .filter(|it| *it < FEWEST_FILES)
        .map_or(Ok(()), |it| Err(TooLow::Files(it)))
}

/// For all that nflab does.
pub fn enough_stack() -> Result<(), TooLow> {
    raise(Resource::Stack, LARGE_STACK, &STACK)
        .filter(|it| *it < SMALLEST_STACK)
        .map_or(Ok(()), |it| Err(TooLow::Stack(it)))
}

/// Raises it to what is wanted, or as far as it can be; gives what holds then, where there is a limit.
fn raise(resource: Resource, wanted: u64, before: &OnceLock<u64>) -> Option<u64> {
    let limit = getrlimit(resource);
    let current = limit.current?;
    if current >= wanted {
        return Some(current);
    }
    let raised = limit.maximum.map_or(wanted, |it| it.min(wanted));
    if raised <= current || set(resource, raised).is_err() {
        return Some(current);
    }
    let _ = before.set(current);
    Some(raised)
}

impl Limits {
    /// Those that this process was started with.
    pub fn before() -> Self {
        Self {
            files: FILES.get().copied(),
            stack: STACK.get().copied(),
        }
    }

    /// This process has them again.
    pub fn restore(&self) -> io::Result<()> {
        for (resource, before) in [(Resource::Nofile, self.files), (Resource::Stack, self.stack)] {
            if let Some(before) = before {
                set(resource, before)?;
            }
        }
        Ok(())
    }
}

fn set(resource: Resource, current: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(current),
        maximum: getrlimit(resource).maximum,
    };
    Ok(setrlimit(resource, limit)?)
}

const MANY_FILES: u64 = 1024;
const FEWEST_FILES: u64 = 64;
const LARGE_STACK: u64 = 8 << 20;
/// Where nothing is optimized, much more of it is used.
const SMALLEST_STACK: u64 = if cfg!(debug_assertions) { 1 << 20 } else { 128 << 10 };
