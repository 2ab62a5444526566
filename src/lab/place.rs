//! Where running labs keep what others must find: a directory for each, with its lock, its state and its control socket.
//!
//! `/run/nflab/LAB` for root, `$XDG_RUNTIME_DIR/nflab/LAB` for others. A lab runs as long as somebody holds its lock: the kernel lets go of it
//! when the process ends, however it ends, so a directory whose lock is free is what a killed lab left.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::control::Target;
use super::namespace::Identity;
use super::netlink::LinkIndex;

/// A directory that holds a directory for each lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    base: PathBuf,
}

/// A lab whose lock is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningLab {
    pub name: String,
    pub socket: PathBuf,
    pub state: State,
}

/// What a lab has made, or is about to make: written before it is made, so that whoever comes after a kill knows what to remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub lab: String,
    pub pid: i32,
    /// The lab file, as given.
    pub file: String,
    /// Whether it all lies in a user namespace of the process `pid`.
    pub user_namespace: bool,
    pub hosts: Vec<HostRecord>,
    /// TUN devices in the lab's own network namespace.
    pub devices: Vec<DeviceRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    pub name: String,
    pub interface: String,
    /// The file that holds its network namespace.
    pub namespace: PathBuf,
    /// Known once it is made.
    pub identity: Option<Identity>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    pub name: String,
    /// Known once it is made.
    pub index: Option<LinkIndex>,
}

impl Place {
    pub fn at(base: impl Into<PathBuf>) -> Self {
        Self { base: base.into() }
    }

    /// Root's.
    pub fn system() -> Self {
        Self::at("/run/nflab")
    }

    /// This user's: under `$XDG_RUNTIME_DIR`, or a directory of the user's own in `/tmp` where there is none.
    pub fn user() -> Self {
        match std::env::var_os("XDG_RUNTIME_DIR").filter(|directory| !directory.is_empty()) {
            Some(directory) => Self::at(Path::new(&directory).join("nflab")),
            None => Self::at(format!("/tmp/nflab-{}", rustix::process::geteuid().as_raw())),
        }
    }

    /// Where a lab that this process starts belongs.
    pub fn own() -> Self {
        if rustix::process::geteuid().is_root() {
            Self::system()
        } else {
            Self::user()
        }
    }

    /// Everywhere that a lab this process could speak to may be.
    pub fn all() -> Vec<Self> {
        let mut places = vec![Self::system()];
        let user = Self::user();
        if !places.contains(&user) {
            places.push(user);
        }
        places
    }

    pub fn base(&self) -> &Path {
        &self.base
    }

    pub fn directory(&self, lab: &str) -> PathBuf {
        self.base.join(lab)
    }

    pub fn socket(&self, lab: &str) -> PathBuf {
        self.directory(lab).join(SOCKET)
    }

    /// The labs that run here, by name. What can't be read isn't ours.
    pub fn running(&self) -> Vec<RunningLab> {
        let mut labs: Vec<_> = self
            .labs()
            .into_iter()
            .filter(|name| is_locked(&self.directory(name)))
            .filter_map(|name| {
                Some(RunningLab {
                    socket: self.socket(&name),
                    state: self.state(&name)?,
                    name,
                })
            })
            .collect();
        labs.sort_by(|a, b| a.name.cmp(&b.name));
        labs
    }

    /// All labs that run, in every place, for [`control::find`](super::control::find).
    pub fn targets() -> Vec<Target> {
        let labs = Self::all().into_iter().flat_map(|place| place.running());
        labs.map(|lab| Target {
            name: lab.name,
            socket: lab.socket,
        })
        .collect()
    }

    /// All labs that have a directory here, running or left over.
    pub fn labs(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.base) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    pub fn state(&self, lab: &str) -> Option<State> {
        serde_json::from_slice(&fs::read(self.directory(lab).join(STATE)).ok()?).ok()
    }

    /// Takes the lab's lock, making its directory; `None` when somebody holds it.
    pub fn lock(&self, lab: &str) -> io::Result<Option<Lock>> {
        let directory = self.directory(lab);
        // Who looks whether a lab runs holds the lock for a moment too.
        let deadline = Instant::now() + Duration::from_millis(300);
        loop {
            self.make(&directory)?;
            let path = directory.join(LOCK);
            let opened = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path);
            let file = match opened {
                Ok(file) => file,
                // Whoever had it took the directory away just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound && Instant::now() < deadline => continue,
                Err(error) => return Err(error),
            };
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    let still_there =
                        fs::metadata(&path).is_ok_and(|it| it.ino() == file.metadata().map_or(0, |own| own.ino()));
                    if still_there {
                        return Ok(Some(Lock {
                            _file: file,
                            directory,
                            base: self.base.clone(),
                        }));
                    }
                }
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() >= deadline => return Ok(None),
                Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn make(&self, directory: &Path) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory)?;
        // In /tmp somebody else could have made it first, and would then hold our socket.
        let owner = fs::metadata(&self.base)?.uid();
        if owner != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{} belongs to user {owner}", self.base.display()),
            ));
        }
        Ok(())
    }
}

/// The right to be (or to clear away) a lab; given up when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    directory: PathBuf,
    base: PathBuf,
}

impl Lock {
    pub fn write_state(&self, state: &State) -> io::Result<()> {
        let (next, path) = (self.directory.join("state.next"), self.directory.join(STATE));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&next)?;
        file.write_all(&serde_json::to_vec_pretty(state)?)?;
        fs::rename(next, path)
    }

    /// Removes the lab's directory, the lock last; then the place itself, if no other lab has a directory there.
    pub fn remove(self) -> io::Result<()> {
        for name in [SOCKET, "state.next", STATE] {
            ignore_missing(fs::remove_file(self.directory.join(name)))?;
        }
        ignore_missing(fs::remove_dir(self.directory.join(NAMESPACES)))?;
        ignore_missing(fs::remove_file(self.directory.join(LOCK)))?;
        ignore_missing(fs::remove_dir(&self.directory))?;
        // Not empty: another lab is there.
        let _ = fs::remove_dir(&self.base);
        Ok(())
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn is_locked(directory: &Path) -> bool {
    let Ok(file) = File::open(directory.join(LOCK)) else {
        return false;
    };
    matches!(
        flock(&file, FlockOperation::NonBlockingLockShared),
        Err(rustix::io::Errno::WOULDBLOCK)
    )
}

const LOCK: &str = "lock";
const STATE: &str = "state.json";
const SOCKET: &str = "control";
/// Where a lab in a user namespace keeps its hosts' namespaces, since it may not write to `/run/netns`.
pub const NAMESPACES: &str = "netns";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_runs_while_its_lock_is_held() {
        let place = Place::at(std::env::temp_dir().join(format!("nflab-device-place-{}", std::process::id())));
        let state = State {
            lab: "x".into(),
            pid: 1,
            ..State::default()
        };
        let lock = place.lock("x").unwrap().expect("nobody holds it");
        lock.write_state(&state).unwrap();
        assert!(place.lock("x").unwrap().is_none(), "it is held");
        let running = place.running();
        assert_eq!((running.len(), &running[0].state), (1, &state));
        drop(lock);
        assert!(place.running().is_empty(), "as after a kill");
        assert_eq!(place.labs(), ["x"], "and its directory is still there");
        let lock = place.lock("x").unwrap().expect("free again");
        lock.remove().unwrap();
        assert!(!place.base().exists());
    }
}
