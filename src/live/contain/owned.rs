//! The namespaces that COMMAND has rights in: the network, names and messages of a user namespace of its own. What it sees else belongs to a
//! namespace further out, where it has none, whatever user it is.
//!
//! Two processes hold them until the first process inside has entered, because a user namespace is for whoever makes it, and its users are told
//! by somebody outside of it:
//! - the *outer* makes a user namespace in which nobody gets to make cgroup namespaces, as the limit of a namespace holds for those inside of it,
//!   and nobody inside can raise it. By a cgroup namespace one may mount the cgroups, and there their owner's number is enough to end the machine's
//!   processes.
//! - the *inner*, its child, makes COMMAND's.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions, set_parent_process_death_signal, waitpid};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Failure, tried};
use crate::device::syscall::{Forked, Namespaces, fork, inherited, unshare};

/// Open files of the namespaces, in the order of [`NAMES`].
pub(super) struct Owned(pub [OwnedFd; 4]);

/// In `/proc/PID/ns`.
const NAMES: [&str; 4] = ["user", "net", "uts", "ipc"];

/// Which process came back.
pub(super) enum Made {
    Here(Owned),
    /// One of those that held them: it has nothing more to do.
    Holder,
}

/// Makes them below the caller's own user namespace, where the same users are.
pub(super) fn make() -> Result<Made, Failure> {
    let Some((holder, mut lines)) = divide()? else {
        return Ok(Made::Holder);
    };
    let owned = (|| {
        hear(&mut lines)?;
        same_users(holder)?;
        tell(lines.get_ref(), "")?;
        let inner = hear(&mut lines)?;
        let open = |name: &str| {
            let path = format!("/proc/{inner}/ns/{name}");
            rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(tried(format!("open {path}")))
        };
        Ok(Owned([
            open(NAMES[0])?,
            open(NAMES[1])?,
            open(NAMES[2])?,
            open(NAMES[3])?,
        ]))
    })();
    // Its end tells both to end.
    drop(lines);
    let _ = waitpid(Some(holder), WaitOptions::empty());
    owned.map(Made::Here)
}

impl Owned {
    /// From what [`list`](Self::list) gave.
    pub(super) fn of(list: &OsStr) -> Option<Self> {
        let mut numbers = list.to_str()?.split(',');
        let mut next = || inherited(numbers.next()?.parse().ok()?).ok();
        Some(Self([next()?, next()?, next()?, next()?]))
    }

    /// The numbers of the descriptors, for the next program.
    pub(super) fn list(&self) -> String {
        self.0.each_ref().map(|it| it.as_raw_fd().to_string()).join(",")
    }

    /// The network alone: what is made in it then is made by the rights from outside.
    pub(super) fn enter_network(&self) -> Result<(), Failure> {
        move_into_link_name_space(self.0[1].as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(tried("enter the network"))
    }

    /// All of them, for good; and the view of files belongs to them from now on, so that nobody inside can take a mount away, or look below it.
    pub(super) fn enter(&self) -> Result<(), Failure> {
        for (at, kind) in [
            (0, LinkNameSpaceType::User),
            (2, LinkNameSpaceType::HostNameAndNISDomainName),
            (3, LinkNameSpaceType::InterProcessCommunication),
        ] {
            move_into_link_name_space(self.0[at].as_fd(), Some(kind))
                .map_err(tried(format!("enter the {} namespace", NAMES[at])))?;
        }
        unshare(Namespaces::Mount).map_err(tried("make a mount namespace"))
    }
}

/// The caller goes on with the child's number and a connection to it; in the child all is done when this returns `None`.
fn divide() -> Result<Option<(Pid, BufReader<UnixStream>)>, Failure> {
    let (ours, theirs) = UnixStream::pair().map_err(tried("make a connection"))?;
    match fork().map_err(tried("make a process"))? {
        Forked::Parent(pid) => Ok(Some((pid, BufReader::new(ours)))),
        Forked::Child => {
            drop(ours);
            answer(theirs, outer);
            Ok(None)
        }
    }
}

/// Does a holder's part; the last thing that it says is what failed, if anything did.
fn answer(outside: UnixStream, part: impl FnOnce(&mut BufReader<UnixStream>) -> Result<(), Failure>) {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let mut lines = BufReader::new(outside);
    match part(&mut lines) {
        // Held until nobody needs it.
        Ok(()) => drop(lines.read(&mut [0])),
        Err(failure) => {
            let failed = serde_json::to_string(&failure).unwrap_or_default();
            let _ = tell(lines.get_ref(), &failed);
        }
    }
}

fn outer(outside: &mut BufReader<UnixStream>) -> Result<(), Failure> {
    unshare(Namespaces::User).map_err(tried("make a user namespace"))?;
    tell(outside.get_ref(), "")?;
    hear(outside)?;
    // Where it can't be written it may hold already, which the inner one sees.
    let _ = fs::write("/proc/sys/user/max_cgroup_namespaces", "0");
    let (ours, theirs) = UnixStream::pair().map_err(tried("make a connection"))?;
    let Forked::Parent(pid) = fork().map_err(tried("make a process"))? else {
        drop(ours);
        answer(theirs, inner);
        return Ok(());
    };
    drop(theirs);
    let mut lines = BufReader::new(ours);
    hear(&mut lines)?;
    same_users(pid)?;
    tell(outside.get_ref(), &pid.as_raw_nonzero().to_string())?;
    let _ = outside.read(&mut [0]);
    drop(lines);
    let _ = waitpid(Some(pid), WaitOptions::empty());
    Ok(())
}

fn inner(outside: &mut BufReader<UnixStream>) -> Result<(), Failure> {
    unshare(Namespaces::Owned).map_err(tried("make namespaces"))?;
    if unshare(Namespaces::Cgroup).is_ok() {
        return Err(tried(
            "keep the cgroups out of reach: write /proc/sys/user/max_cgroup_namespaces",
        )("Read-only file system"));
    }
    tell(outside.get_ref(), "")
}

/// Gives a user namespace the users of ours, under the same numbers.
fn same_users(pid: Pid) -> Result<(), Failure> {
    for kind in ["uid", "gid"] {
        let own = format!("/proc/self/{kind}_map");
        let map: String = fs::read_to_string(&own)
            .map_err(tried(format!("read {own}")))?
            .lines()
            .filter_map(|line| {
                let mut fields = line.split_whitespace();
                let (inside, count) = (fields.next()?, fields.nth(1)?);
                Some(format!("{inside} {inside} {count}\n"))
            })
            .collect();
        let path = format!("/proc/{}/{kind}_map", pid.as_raw_nonzero());
        fs::write(&path, map).map_err(tried(format!("write {path}")))?;
    }
    Ok(())
}

fn tell(mut to: &UnixStream, line: &str) -> Result<(), Failure> {
    to.write_all(format!("{line}\n").as_bytes())
        .map_err(tried("speak to who holds the namespaces"))
}

/// A line, which may be what failed at the other end.
fn hear(lines: &mut BufReader<UnixStream>) -> Result<String, Failure> {
    let mut line = String::new();
    let heard = lines
        .read_line(&mut line)
        .map_err(tried("hear from who holds the namespaces"))?;
    if heard == 0 {
        return Err(tried("hear from who holds the namespaces")("it was ended"));
    }
    match serde_json::from_str::<Failure>(&line) {
        Ok(failure) => Err(failure),
        Err(_) => Ok(line.trim_end().to_owned()),
    }
}
