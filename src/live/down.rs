//! A lab goes down: asked to, killed where it does not listen, or cleared away where it had been killed.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};

use super::namespace::{Identity, Inside, Namespace, end_processes};
use super::netlink::Netlink;
use super::place::{HostRecord, Lock, Place, RunningLab, State, StateError};
use super::process::ProcessRecord;
use crate::base::bytes::{quoted, text_of_path};

/// What `nflab down LAB` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downed {
    /// It ran; it was asked to end, and has.
    Stopped,
    /// It ran and did not end when asked, so it was killed, and cleared away.
    Killed,
    /// It had been killed; what was left is cleared away.
    Cleared,
}

/// Takes a lab down from outside, whatever state it is in. As long as it comes nearer to its end it is left to it; `patience` is how long nothing
/// may happen.
pub fn down(place: &Place, name: &str, patience: Duration) -> Result<Downed, DownError> {
    if !fs::exists(place.directory(name)).unwrap_or(false) {
        return Err(DownError::Unknown {
            name: name.into(),
            known: place.labs(),
        });
    }
    let left = |source| DownError::Left {
        name: name.into(),
        source,
    };
    let mut downed = Downed::Cleared;
    let mut held = place.lock(name).map_err(left)?;
    for (signal, outcome) in [(Signal::TERM, Downed::Stopped), (Signal::KILL, Downed::Killed)] {
        if held.is_some() {
            break;
        }
        downed = outcome;
        let Some(state) = believed(place, name)? else {
            // It is coming up, or went down just now.
            held = wait_for(place, name, &State::default(), patience).map_err(left)?;
            continue;
        };
        // The keeper ends its router. A router whose keeper was killed is being killed by the kernel.
        if let Some(keeper) = state.keeper.open() {
            match pidfd_send_signal(keeper, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(left(error.into())),
            }
        }
        held = wait_for(place, name, &state, patience).map_err(left)?;
    }
    let Some(lock) = held else {
        return Err(DownError::Stuck { name: name.into() });
    };
    if let Some(state) = believed(place, name)? {
        clear(place, &state).map_err(left)?;
    }
    lock.remove().map_err(left)?;
    Ok(downed)
}

fn believed(place: &Place, name: &str) -> Result<Option<State>, DownError> {
    place.state(name).map_err(|source| DownError::State {
        name: name.into(),
        directory: place.directory(name),
        source,
    })
}

fn wait_for(place: &Place, name: &str, state: &State, patience: Duration) -> io::Result<Option<Lock>> {
    let mut deadline = Instant::now() + patience;
    let mut left = left_of(state);
    loop {
        // It waits a while itself.
        let held = place.lock(name)?;
        if held.is_some() {
            return Ok(held);
        }
        let now_left = left_of(state);
        let is_ending = [Some(state.keeper), state.router]
            .iter()
            .flatten()
            .any(ProcessRecord::is_ending);
        if is_ending || now_left != left {
            left = now_left;
            deadline = Instant::now() + patience;
        } else if Instant::now() >= deadline {
            return Ok(None);
        }
    }
}

/// How much of a lab is still there, for who waits until nothing is: its router, and its hosts.
fn left_of(state: &State) -> usize {
    let hosts = state
        .hosts
        .iter()
        .filter(|host| fs::exists(&host.namespace).unwrap_or(false));
    hosts.count() + usize::from(state.router.is_some_and(|router| router.runs()))
}

/// Removes what the state names. What isn't there any more is no error; all is tried before the first error is told.
pub(super) fn clear(place: &Place, state: &State) -> io::Result<()> {
    let others: Vec<RunningLab> = match state.user_namespace || state.hosts.is_empty() {
        true => Vec::new(),
        false => place
            .running()
            .into_iter()
            .filter(|lab| lab.name != state.lab)
            .collect(),
    };
    // The kernel gives a number that has become free to the next namespace, so that one tells only who is certainly another.
    let is_of_others = |host: &HostRecord| {
        let mut hosts = others.iter().flat_map(|lab| &lab.state.hosts);
        hosts.any(|other| other.namespace == host.namespace)
    };
    let mut first_error = None;
    let mut note = |result: io::Result<()>| {
        if let Err(error) = result {
            first_error.get_or_insert(error);
        }
    };
    for host in &state.hosts {
        let namespace = Namespace::at(&host.namespace);
        if !state.user_namespace && (is_of_others(host) || is_anothers(&namespace, host)) {
            continue;
        }
        // In a user namespace the file tells nothing from outside, and the number is written down; it might be another's by now, but whoever
        // was in the host sees the file mounted. As root the file itself pins its namespace.
        let inside = match state.user_namespace {
            true => host.identity.map(|identity| Inside {
                identity,
                mounted: Some(host.namespace.clone()),
            }),
            false => namespace
                .identity()
                .ok()
                .filter(|found| is_a_namespace(*found))
                .map(Inside::of),
        };
        if let Some(inside) = inside {
            let left = end_processes(&inside, PATIENCE);
            if !left.is_empty() {
                note(Err(io::Error::other(format!(
                    "processes {left:?} in host {} do not end",
                    host.name
                ))));
            }
        }
        note(namespace.remove());
    }
    if !state.devices.is_empty() && !state.user_namespace {
        note(remove_devices(state));
    }
    first_error.map_or(Ok(()), Err)
}

/// A TUN goes with its last open file, so there is none left, unless a child that was forked at the wrong moment still holds it.
fn remove_devices(state: &State) -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    for device in &state.devices {
        let found = netlink.index(&device.name).map_err(io::Error::other)?;
        // Somebody else may have made one of that name since.
        if let Some(index) = found.filter(|index| Some(*index) == device.index) {
            match netlink.delete(index) {
                Ok(()) => {}
                Err(error) if error.source.raw_os_error() == Some(libc::ENODEV) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
    Ok(())
}

/// Whether another namespace has got the name since: lab `a`, host `b-c`, and lab `a-b`, host `c`, have one name.
fn is_anothers(namespace: &Namespace, host: &HostRecord) -> bool {
    let found = namespace.identity().ok().filter(|found| is_a_namespace(*found));
    found.is_some_and(|found| host.identity.is_some_and(|made| made != found))
}

/// Whether a file under `/run/netns` has a namespace mounted on it: then it lies on the same device as our own namespace's file.
fn is_a_namespace(found: Identity) -> bool {
    Namespace::at("/proc/self/ns/net")
        .identity()
        .is_ok_and(|own| own.device == found.device)
}

/// How long a process in a host may take to end when asked.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
pub enum DownError {
    #[error("there is no lab {name}; {}", known_text(known), name = quoted(name))]
    Unknown { name: String, known: Vec<String> },
    #[error("lab {name:?} is not wholly down: {source}; run `nflab down {name}` again once that is mended")]
    Left { name: String, source: io::Error },
    #[error(
        "what lab {name:?} has made is not known, so it was left as it is: {source}; look for its namespaces ({name}-...) in /run/netns, then remove {}",
        text_of_path(directory)
    )]
    State {
        name: String,
        directory: PathBuf,
        source: StateError,
    },
    #[error("lab {name:?} does not end, not even when killed: its process hangs in the kernel")]
    Stuck { name: String },
}

fn known_text(known: &[String]) -> String {
    match known {
        [] => "no lab runs".into(),
        names => format!("there is: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As long as less and less is left, a lab is coming down, however long it takes.
    #[test]
    fn who_waits_has_patience_anew_with_whatever_goes() {
        let base = std::env::temp_dir().join(format!("nflab-device-down-{}", std::process::id()));
        let place = Place::at(base.clone());
        let lock = place.lock("x").unwrap().expect("nobody holds it");
        let namespace = base.join("host");
        fs::write(&namespace, "").unwrap();
        let host = HostRecord {
            name: "host".into(),
            interface: "lan".into(),
            namespace: namespace.clone(),
            identity: None,
        };
        let state = State {
            hosts: vec![host],
            ..State::default()
        };
        let is_held = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| wait_for(&place, "x", &state, Duration::from_secs(60)));
            // One try for the lock takes 300 ms: the host goes in the second, and two more are to follow.
            std::thread::sleep(Duration::from_millis(450));
            fs::remove_file(&namespace).unwrap();
            let end = Instant::now() + Duration::from_millis(900);
            while !waiting.is_finished() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(10));
            }
            drop(lock);
            waiting.join().unwrap().unwrap().is_some()
        });
        fs::remove_dir_all(&base).unwrap();
        assert!(is_held, "it was given up");
    }
}
