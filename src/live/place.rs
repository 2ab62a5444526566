//! Where running labs keep what others must find: a directory for each, with its lock, its state and its control socket.
//!
//! Root's are in `/run/nflab`, and nowhere else. Another user's are in `$XDG_RUNTIME_DIR/nflab`, without that variable in `/run/user/UID/nflab`,
//! and where there is no such directory either in `/tmp/nflab-UID`. Whatever lies there is used only as far as `super::trust` goes; what is
//! not is named on standard error, once, and passed over.
//!
//! A lab runs as long as somebody holds its lock: the kernel lets go of it when the last process of the lab ends, however it ends, so a
//! directory whose lock is free is what a killed lab left.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, FlockOperation, OFlags, flock, mkdirat, renameat, statat, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::control::Target;
use super::namespace::{Identity, SYSTEM_DIRECTORY};
use super::netlink::LinkIndex;
use super::privileges::Privileges;
use super::process::ProcessRecord;
use super::trust::{Distrust, TrustedDirectory, is_own, user_outside};
use crate::base::bytes::{text_of, text_of_path};
use crate::device::standard::tell;
use crate::lab::file::check_lab_name;

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
#[serde(default)]
pub struct State {
    pub lab: String,
    /// The process that holds the lock, and clears away at the end.
    #[serde(flatten)]
    pub keeper: ProcessRecord,
    /// When it came up, in seconds since 1970.
    pub since: u64,
    /// The lab file, as given.
    pub file: String,
    /// Whether it all lies in a user namespace of the keeper.
    pub user_namespace: bool,
    pub hosts: Vec<HostRecord>,
    /// TUN devices in the lab's own network namespace.
    pub devices: Vec<DeviceRecord>,
    /// The process that carries packets and answers at the control socket; `None` until it does.
    pub router: Option<ProcessRecord>,
    /// What the router may still do.
    pub privileges: Option<Privileges>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    pub name: String,
    pub interface: String,
    /// The file that holds its network namespace.
    #[serde(with = "path_as_text")]
    pub namespace: PathBuf,
    /// Known once it is made.
    pub identity: Option<Identity>,
}

/// JSON has characters, and a path bytes, of any kind.
mod path_as_text {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::base::bytes::{path_of, text_of_path};

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        text_of_path(path).serialize(serializer)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<PathBuf, D::Error> {
        String::deserialize(deserializer).map(|text| path_of(&text))
    }
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

    /// Where a lab that this process starts belongs.
    pub fn own() -> Self {
        match is_root_of_the_machine() {
            true => Self::system(),
            // There is always the one in /tmp.
            false => Self::of_user().into_iter().next().unwrap_or_else(Self::system),
        }
    }

    /// Everywhere that a lab this process could speak to may be.
    pub fn all() -> Vec<Self> {
        match is_root_of_the_machine() {
            true => vec![Self::system()],
            false => Self::of_user(),
        }
    }

    /// A user's, the first of which is for new labs. The others are where a process with another environment (cron's) may have put one.
    fn of_user() -> Vec<Self> {
        let user = user_outside();
        let named = std::env::var_os("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|directory| directory.is_absolute());
        let usual = PathBuf::from(format!("/run/user/{user}"));
        let mut places: Vec<Self> = Vec::new();
        for directory in named.into_iter().chain(is_own(&usual).then_some(usual)) {
            let place = Self::at(directory.join("nflab"));
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places.push(Self::at(format!("/tmp/nflab-{user}")));
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

    /// Whether a lab may be put here: the place is not there yet, or can be believed.
    pub fn check(&self) -> io::Result<()> {
        match TrustedDirectory::open(&self.base) {
            Err(distrust) if !distrust.is_missing() => Err(distrust.into()),
            _ => Ok(()),
        }
    }

    /// Removes the place where it holds nothing: who was killed between making it and making a lab's directory left it so.
    pub fn remove_if_empty(&self) {
        if self.look().is_some() {
            // Not empty, or somebody was quicker.
            let _ = fs::remove_dir(&self.base);
        }
    }

    /// The labs that run here, by name.
    pub fn running(&self) -> Vec<RunningLab> {
        let Some(base) = self.look() else {
            return Vec::new();
        };
        let mut labs: Vec<_> = self
            .names(&base)
            .into_iter()
            .filter_map(|name| self.running_lab(&base, name).unwrap_or_else(pass_over))
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
        let Some(base) = self.look() else {
            return Vec::new();
        };
        let believed = |name: &String| {
            let directory = base.directory(name)?;
            is_locked(&directory)?;
            self.state_in(&directory, name).map(|_| Some(()))
        };
        let mut labs = self.names(&base);
        labs.retain(|name| believed(name).unwrap_or_else(pass_over).is_some());
        labs.sort();
        labs
    }

    /// `None` where there is none; an error where it can't be believed.
    pub fn state(&self, lab: &str) -> Result<Option<State>, StateError> {
        let opened = TrustedDirectory::open(&self.base).and_then(|base| base.directory(lab));
        match opened {
            Err(distrust) if distrust.is_missing() => Ok(None),
            other => self.state_in(&other?, lab),
        }
    }

    /// Where a lab without a terminal writes its log.
    pub fn log(&self, lab: &str) -> PathBuf {
        self.directory(lab).join(LOG)
    }

    /// What a lab has written to its log, if it has.
    pub fn logged(&self, lab: &str) -> Option<String> {
        let directory = TrustedDirectory::open(&self.base).ok()?.directory(lab).ok()?;
        let bytes = directory.read(LOG).ok()??;
        Some(text_of(&bytes)).filter(|text| !text.is_empty())
    }

    fn state_in(&self, directory: &TrustedDirectory, lab: &str) -> Result<Option<State>, StateError> {
        let Some(bytes) = directory.read(STATE)? else {
            return Ok(None);
        };
        let path = directory.path().join(STATE);
        let wrong = |why: String| StateError::Wrong {
            path: path.clone(),
            why,
        };
        let state: State = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        match self.untrue(&state, lab) {
            None => Ok(Some(state)),
            Some(why) => Err(wrong(why)),
        }
    }

    /// A state names what is removed by whoever clears away, so it may name only what a lab of this name makes.
    fn untrue(&self, state: &State, lab: &str) -> Option<String> {
        if state.lab != lab {
            return Some(format!("it is of a lab {:?}", state.lab));
        }
        let namespaces = self.namespaces(lab, state.user_namespace);
        let wrong = |host: &&HostRecord| {
            host.name.contains('/') || host.namespace != namespaces.join(format!("{lab}-{}", host.name))
        };
        let host = state.hosts.iter().find(wrong)?;
        Some(format!("no lab keeps a host in {}", text_of_path(&host.namespace)))
    }

    /// Where a lab keeps its hosts' namespaces.
    pub fn namespaces(&self, lab: &str, user_namespace: bool) -> PathBuf {
        match user_namespace {
            true => self.directory(lab).join(NAMESPACES),
            false => PathBuf::from(SYSTEM_DIRECTORY),
        }
    }

    fn running_lab(&self, base: &TrustedDirectory, name: String) -> Result<Option<RunningLab>, StateError> {
        let directory = base.directory(&name)?;
        if !is_locked(&directory)? {
            return Ok(None);
        }
        // Without a state yet it is coming up, or going down.
        let state = self.state_in(&directory, &name)?;
        Ok(state.map(|state| RunningLab {
            socket: self.socket(&name),
            name,
            state,
        }))
    }

    /// The place itself, if it is there and can be believed.
    fn look(&self) -> Option<TrustedDirectory> {
        match TrustedDirectory::open(&self.base) {
            Ok(base) => Some(base),
            // Not there, or of no concern.
            Err(distrust) if distrust.is_missing() || distrust.is_closed() => None,
            Err(distrust) => pass_over(distrust.into()),
        }
    }

    fn names(&self, base: &TrustedDirectory) -> Vec<String> {
        let Ok(entries) = fs::read_dir(base.path()) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| check_lab_name(name).is_ok())
            .collect()
    }

    /// Takes the lab's lock, making its directory; `None` when somebody holds it.
    pub fn lock(&self, lab: &str) -> io::Result<Option<Lock>> {
        // Who looks whether a lab runs holds the lock for a moment too.
        let deadline = Instant::now() + Duration::from_millis(300);
        loop {
            let directory = match self.make(lab) {
                // Whoever had it took the place away just now.
                Err(distrust) if distrust.is_missing() && Instant::now() < deadline => continue,
                other => other?,
            };
            let file = match directory.file(LOCK, OFlags::RDWR | OFlags::CREATE) {
                Err(distrust) if distrust.is_missing() && Instant::now() < deadline => continue,
                other => other?,
            };
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    let own = file.metadata()?.ino();
                    let found = statat(&directory, LOCK, AtFlags::SYMLINK_NOFOLLOW);
                    if found.is_ok_and(|found| found.st_ino == own) {
                        return Ok(Some(Lock {
                            _file: file,
                            directory,
                            base: self.base.clone(),
                        }));
                    }
                }
                Err(Errno::WOULDBLOCK) if Instant::now() >= deadline => return Ok(None),
                Err(Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes the place and the lab's directory in it, as far as they are not there, for their owner alone.
    fn make(&self, lab: &str) -> Result<TrustedDirectory, Distrust> {
        let made = fs::DirBuilder::new().mode(0o700).create(&self.base);
        match made {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Distrust::System {
                    path: self.base.clone(),
                    source,
                });
            }
            _ => {}
        }
        let base = TrustedDirectory::open(&self.base)?;
        match mkdirat(&base, lab, rustix::fs::Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => base.directory(lab),
            Err(error) => Err(Distrust::System {
                path: self.directory(lab),
                source: error.into(),
            }),
        }
    }
}

/// Whether this process is root, and not just called so in a user namespace: there `/run` is somebody else's.
fn is_root_of_the_machine() -> bool {
    rustix::process::geteuid().is_root() && is_own(Path::new("/run"))
}

/// Says that something is not used, and why: once, however often one comes by.
fn pass_over<T>(why: StateError) -> Option<T> {
    static NAMED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    // What was there a moment ago and is gone was a lab that ended.
    if !why.is_missing() {
        let line = format!("nflab: passed over: {why}");
        if NAMED.lock().insert(line.clone()) {
            tell!("{line}");
        }
    }
    None
}

/// Why a lab's state is not used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Distrust(#[from] Distrust),
    #[error("{} is no state of a lab: {why}", text_of_path(path))]
    Wrong { path: PathBuf, why: String },
}

impl StateError {
    fn is_missing(&self) -> bool {
        matches!(self, Self::Distrust(distrust) if distrust.is_missing())
    }
}

impl From<StateError> for io::Error {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Distrust(distrust) => distrust.into(),
            wrong @ StateError::Wrong { .. } => Self::new(io::ErrorKind::InvalidData, wrong.to_string()),
        }
    }
}

/// The right to be (or to clear away) a lab; given up when dropped, by every process that has it.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    directory: TrustedDirectory,
    base: PathBuf,
}

impl Lock {
    pub fn write_state(&self, state: &State) -> io::Result<()> {
        let mut file = self
            .directory
            .file(NEXT_STATE, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
        file.write_all(&serde_json::to_vec_pretty(state)?)?;
        renameat(&self.directory, NEXT_STATE, &self.directory, STATE)?;
        Ok(())
    }

    /// Where a lab without a terminal writes what it has to say.
    pub fn log(&self) -> io::Result<File> {
        Ok(self
            .directory
            .file(LOG, OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND)?)
    }

    /// Removes the lab's directory, the lock last; then the place itself, if no other lab has a directory there.
    pub fn remove(self) -> io::Result<()> {
        for name in [SOCKET, NEXT_STATE, STATE, LOG] {
            ignore_missing(unlinkat(&self.directory, name, AtFlags::empty()))?;
        }
        ignore_missing(unlinkat(&self.directory, NAMESPACES, AtFlags::REMOVEDIR))?;
        ignore_missing(unlinkat(&self.directory, LOCK, AtFlags::empty()))?;
        match fs::remove_dir(self.directory.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Not empty: another lab is there.
        let _ = fs::remove_dir(&self.base);
        Ok(())
    }
}

fn ignore_missing(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_locked(directory: &TrustedDirectory) -> Result<bool, Distrust> {
    let file = match directory.file(LOCK, OFlags::RDONLY) {
        Err(distrust) if distrust.is_missing() => return Ok(false),
        other => other?,
    };
    Ok(flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK))
}

const LOCK: &str = "lock";
const STATE: &str = "state.json";
const NEXT_STATE: &str = "state.next";
const SOCKET: &str = "control";
const LOG: &str = "log";
/// Where a lab in a user namespace keeps its hosts' namespaces, since it may not write to `/run/netns`.
const NAMESPACES: &str = "netns";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_runs_while_its_lock_is_held() {
        let place = Place::at(std::env::temp_dir().join(format!("nflab-device-place-{}", std::process::id())));
        let state = State {
            lab: "x".into(),
            keeper: ProcessRecord::own(),
            ..State::default()
        };
        let lock = place.lock("x").unwrap().expect("nobody holds it");
        lock.write_state(&state).unwrap();
        assert!(place.lock("x").unwrap().is_none(), "it is held");
        let running = place.running();
        assert_eq!((running.len(), &running[0].state), (1, &state));
        for (written, told) in [
            (None, None),
            (Some(&b""[..]), None),
            (Some(b"it ended\n"), Some("it ended\n")),
            (Some(b"\xff"), Some("\u{10FFFF}")),
        ] {
            if let Some(bytes) = written {
                fs::write(place.log("x"), bytes).unwrap();
            }
            assert_eq!(place.logged("x").as_deref(), told);
        }
        assert_eq!(place.logged("y"), None, "no such lab");
        fs::remove_file(place.log("x")).unwrap();
        drop(lock);
        assert!(place.running().is_empty(), "as after a kill");
        assert_eq!(place.labs(), ["x"], "and its directory is still there");
        let lock = place.lock("x").unwrap().expect("free again");
        lock.remove().unwrap();
        assert!(!place.base().exists());
    }

    #[test]
    fn a_state_that_is_none_is_told_and_stops_no_other_lab() {
        let place = Place::at(std::env::temp_dir().join(format!("nflab-device-states-{}", std::process::id())));
        let good = State {
            lab: "good".into(),
            ..State::default()
        };
        let labs = ["cut", "foreign", "good", "reaching", "climbing"];
        let locks = labs.map(|name| place.lock(name).unwrap().expect("nobody holds it"));
        locks[2].write_state(&good).unwrap();
        locks[1].write_state(&good).unwrap();
        let reaching = State {
            lab: "reaching".into(),
            hosts: vec![HostRecord {
                name: "x".into(),
                interface: "lan".into(),
                namespace: "/etc/passwd".into(),
                identity: None,
            }],
            ..State::default()
        };
        locks[3].write_state(&reaching).unwrap();
        let climbing = State {
            lab: "climbing".into(),
            hosts: vec![HostRecord {
                name: "x/../../../etc/passwd".into(),
                namespace: "/run/netns/climbing-x/../../../etc/passwd".into(),
                ..reaching.hosts[0].clone()
            }],
            ..State::default()
        };
        locks[4].write_state(&climbing).unwrap();
        fs::write(place.directory("cut").join(STATE), "{\"lab\": ").unwrap();
        for (name, expected) in [
            ("cut", "cut/state.json is no state of a lab: EOF while parsing"),
            (
                "foreign",
                "foreign/state.json is no state of a lab: it is of a lab \"good\"",
            ),
            ("reaching", "no lab keeps a host in /etc/passwd"),
            (
                "climbing",
                "no lab keeps a host in /run/netns/climbing-x/../../../etc/passwd",
            ),
        ] {
            let said = place.state(name).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
        }
        let running: Vec<String> = place.running().into_iter().map(|lab| lab.name).collect();
        assert_eq!(running, ["good"]);
        assert_eq!(place.labs(), ["good"]);
        for lock in locks {
            lock.remove().unwrap();
        }
        assert!(!place.base().exists());
    }
}
