//! A command that can reach nothing but its lab: namespaces of its own, in which the lab's tools, interfaces and knobs stand where the machine's
//! would be.
//!
//! Three processes of this program, besides COMMAND:
//! - *outside* (`outside`): `nflab sh` itself, with the lab; it answers the tools' calls and passes signals on.
//! - *the door* (`door`): enters new namespaces and starts the next one, because a process namespace begins with a child. While it does, two
//!   more hold the namespaces that COMMAND gets (`owned`).
//! - *the first process inside* (`inside`): makes the view of the machine (`files`, `kernel_files`, `links`), listens where tools look for
//!   their lab (`relay`), carries what was changed beside the tools to the lab and back (`knobs`), and starts COMMAND. What is left in the
//!   namespace ends when it does, since the kernel ends a process namespace with its first process.
//!
//! Outside and inside hold two socket pairs: over one go tools' calls, over the other the [`Plan`] and whether it could be kept, then the signals
//! to pass on. Its end is the order to end.

mod bounds;
mod confine;
mod cover;
mod door;
mod files;
mod inside;
mod kernel_files;
mod knobs;
mod links;
mod outside;
mod owned;
mod refusal;
mod relay;
mod tools;
mod watch;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::device::limits::Limits;
use crate::lab::file::LabFile;

pub(crate) use bounds::MOST_OF_A_PROCESS;
pub(crate) use door::{DOOR, INSIDE, PLAIN, enter, plainly};
pub(crate) use files::lost_at_the_end;
pub(crate) use inside::program;
pub(crate) use outside::{Contained, Ended, Signals, StartError, Waiting};

/// What the inside shall look like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub links: Vec<Link>,
    pub routes: Vec<Route>,
    /// The names under which this program stands wherever programs of the system are.
    pub tools: Vec<String>,
    /// Whether the tools come first in `PATH`.
    pub tools_first: bool,
    /// For a stranger's script: all is read-only but this directory and a `/tmp` of its own, and it has no rights but its user's.
    pub only: Option<PathBuf>,
    /// What COMMAND gets again, since it was raised for nflab.
    pub limits: Limits,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub name: String,
    pub mtu: u32,
    pub addresses: Vec<(IpAddr, u8)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Route {
    pub to: (IpAddr, u8),
    /// Each with its link and its weight.
    pub hops: Vec<(Option<IpAddr>, String, u16)>,
}

impl Plan {
    /// The interfaces, addresses and routes of a lab.
    pub(crate) fn of(file: &LabFile) -> Self {
        let links = file.interfaces.iter().map(|interface| Link {
            name: interface.name.to_string(),
            mtu: interface.mtu,
            addresses: interface
                .addresses
                .iter()
                .map(|it| (it.address, it.prefix_length))
                .collect(),
        });
        let routes = file.routes.iter().map(|route| Route {
            to: (route.to.address(), route.to.prefix_length().unwrap_or_default()),
            hops: route
                .hops
                .iter()
                .map(|hop| (hop.via, hop.interface.to_string(), hop.weight))
                .collect(),
        });
        Self {
            links: links.collect(),
            routes: routes.collect(),
            ..Self::default()
        }
    }
}

/// Who enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Root, with the rights to make namespaces.
    Root,
    /// A user, who is root of a user namespace.
    User,
    /// Root, who becomes nobody first.
    Nobody,
}

impl Who {
    fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::User => "user",
            Self::Nobody => "nobody",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Root, Self::User, Self::Nobody]
            .into_iter()
            .find(|it| it.word() == word)
    }
}

/// What of the setting-up failed, and why.
#[derive(Clone, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{what}: {why}")]
pub(crate) struct Failure {
    pub what: String,
    pub why: String,
}

/// Says what was tried, for `map_err`.
fn tried<E: ToString>(what: impl Into<String>) -> impl FnOnce(E) -> Failure {
    move |error| Failure {
        what: what.into(),
        why: without_number(&error.to_string()),
    }
}

/// The system's own words, without Rust's `(os error 2)`.
fn without_number(text: &str) -> String {
    match text.find(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text.to_owned(),
    }
}

/// Where the inside keeps what is nflab's.
const OWN: &str = "/run/nflab-contained";

/// Where a tool inside finds its lab, whatever its environment says: nobody but the first process inside can make it, since `/run` is root's.
pub(crate) fn socket() -> &'static Path {
    Path::new("/run/nflab-contained/control")
}

/// The same, for whoever runs inside.
pub(crate) fn found() -> Option<PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let directory = std::fs::symlink_metadata(OWN).ok()?;
    let own = rustix::process::geteuid().as_raw();
    let trusted = directory.is_dir() && [0, own].contains(&directory.uid()) && directory.mode() & 0o022 == 0;
    (trusted && socket().exists()).then(|| socket().to_owned())
}

/// The user that owns nothing.
pub(crate) const NOBODY: u32 = 65_534;

/// Whether there is one to become. In a user namespace of one user there is none, and that one has no rights outside anyhow.
pub(crate) fn has_nobody() -> bool {
    let has = |line: &str| {
        let mut fields = line.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(count))) = (fields.next(), fields.nth(1)) else {
            return false;
        };
        (first..first.saturating_add(count)).contains(&u64::from(NOBODY))
    };
    ["uid_map", "gid_map"]
        .iter()
        .all(|map| std::fs::read_to_string(Path::new("/proc/self").join(map)).is_ok_and(|text| text.lines().any(has)))
}
