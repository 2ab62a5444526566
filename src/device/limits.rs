//! How many files may be open, how far the stack may grow, and the mask of modes. What is too little for nflab itself it raises for itself; a program that it starts
//! gets what was there.

use std::io;
use std::sync::OnceLock;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use serde::{Deserialize, Serialize};

/// What there was before it was raised; `None` where it was enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub files: Option<u64>,
    pub stack: Option<u64>,
    pub mask: Option<u32>,
}

static FILES: OnceLock<u64> = OnceLock::new();
static STACK: OnceLock<u64> = OnceLock::new();
static MASK: OnceLock<u32> = OnceLock::new();

/// A limit that nobody but root can raise, and too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooLow {
    #[error(
        "a process may have {here} files open here, and nflab needs {needed} for this: raise the limit (ulimit -n)"
    )]
    Files { here: u64, needed: u64 },
    #[error("the stack may grow to {} kB here, and nflab needs {}: raise the limit (ulimit -s)", .0 >> 10, SMALLEST_STACK >> 10)]
    Stack(u64),
}

/// A mask that differs from the contained view's.
fn unlike_the_view(mask: Mode) -> Option<u32> {
    (mask != VIEW_MASK).then_some(mask.as_raw_mode())
}

/// For what has many files open, as containment does while it is made.
pub(crate) fn enough_files() -> Result<(), TooLow> {
    enough_files_beside(0)
}

/// The same, beside so many that are open all the time, as a lab's devices are.
pub(crate) fn enough_files_beside(open: usize) -> Result<(), TooLow> {
    let open = open as u64;
    let needed = FEWEST_FILES + open;
    raise(Resource::Nofile, MANY_FILES + open, &FILES)
        .filter(|it| *it < needed)
        .map_or(Ok(()), |here| Err(TooLow::Files { here, needed }))
}

/// For all that nflab does.
pub(crate) fn enough_stack() -> Result<(), TooLow> {
    raise(Resource::Stack, LARGE_STACK, &STACK)
        .filter(|it| *it < SMALLEST_STACK)
        .map_or(Ok(()), |it| Err(TooLow::Stack(it)))
}

/// Where the mask takes the owner's own rights away, nobody but root could use what is made, or remove it.
pub(crate) fn own_files_usable() {
    let before = umask(Mode::from_raw_mode(0o077));
    let usable = before - Mode::RWXU;
    umask(usable);
    if usable != before {
        let _ = MASK.set(before.as_raw_mode());
    }
}

/// For the processes that make a contained view.
pub(crate) fn mask_of_view() {
    umask(VIEW_MASK);
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
    pub(crate) fn before() -> Self {
        Self {
            files: FILES.get().copied(),
            stack: STACK.get().copied(),
            mask: MASK.get().copied(),
        }
    }

    /// The same, with the mask wherever it differs from what the contained view is made with, which every user inside may look at.
    pub(crate) fn before_view() -> Self {
        let own = umask(VIEW_MASK);
        umask(own);
        let before = Self::before();
        let mask = before.mask.or(unlike_the_view(own));
        Self { mask, ..before }
    }

    /// This process has them again.
    pub(crate) fn restore(&self) -> io::Result<()> {
        for (resource, before) in [(Resource::Nofile, self.files), (Resource::Stack, self.stack)] {
            if let Some(before) = before {
                set(resource, before)?;
            }
        }
        if let Some(mask) = self.mask {
            umask(Mode::from_raw_mode(mask));
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

const VIEW_MASK: Mode = Mode::from_raw_mode(0o022);
const MANY_FILES: u64 = 1024;
const FEWEST_FILES: u64 = 64;
const LARGE_STACK: u64 = 8 << 20;
/// Where nothing is optimized, much more of it is used.
const SMALLEST_STACK: u64 = if cfg!(debug_assertions) { 1 << 20 } else { 128 << 10 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_kept_where_it_is_not_the_views() {
        assert_eq!(unlike_the_view(VIEW_MASK), None);
        for mask in [0o077, 0o777].map(Mode::from_raw_mode) {
            assert_eq!(unlike_the_view(mask), Some(mask.as_raw_mode()));
        }
    }
}
