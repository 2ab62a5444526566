//! The lab file: which interfaces, addresses, routes, hosts and sysctls a lab has.
//!
//! ```toml
//! profile = "classic"     # or "linux6"; profile.window_tracking = true for the patch of the classic days
//! memory = "128M"         # what the machine has: it makes nf_conntrack_max
//! offload = true          # of `up`: devices carry packets that stand for many; `[interface.NAME]` may say it, too
//! workers = 2             # of `up`: threads that carry packets; as many as there are cores unless given
//! [sysctl]
//! "net.netfilter.nf_conntrack_tcp_loose" = 0
//! [interface.lan]
//! address = ["10.0.0.1/24", "2001:db8::1/64"]
//! mtu = 1500
//! [interface.wan]
//! address = ["192.0.2.1/24"]
//! [[route]]
//! to = "default"          # or a prefix; "default" is IPv4 unless `via` is IPv6
//! via = "192.0.2.254"     # `via`, `dev`, or both
//! dev = "wan"           # or several: nexthop = [{ via = "192.0.2.254", weight = 2 }, { via = "198.51.100.254" }]
//! [host.laptop]
//! interface = "lan"
//! address = "10.0.0.2/24" # or a list
//! gateway = "10.0.0.1"    # or a list; the interface's own address of the same subnet when absent
//! ```
//!
//! The result is a plain value that has passed every check that needs no knowledge of the engine; sysctl keys are kept with their positions
//! for the room that knows them. What is wrong is reported at its place, all of it together: first what can't be read, then what doesn't
//! fit together.

mod check;
pub(crate) mod keys;
mod parse;
mod route;
mod value;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::base::bytes::{quoted, text_of, text_of_path};
use crate::base::{AddressMask, InterfaceName};
use crate::conntrack::Profile;
use crate::syntax::problem::{Position, Problem, Source, SourceError};

/// A lab as its file describes it. Interfaces, routes, hosts and sysctls are in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LabFile {
    /// Whose machine it is; `None` where the file does not say.
    pub profile: Option<Profile>,
    /// `profile.window_tracking`.
    pub window_tracking: Option<bool>,
    /// The machine's, in bytes; `None`: enough for a table of any size.
    pub memory: Option<u64>,
    /// How many threads carry a live lab's packets, 1 to [`MOST_WORKERS`]; `None` where the file does not say.
    pub workers: Option<u8>,
    /// The text that it was read from; positions count in it.
    pub source: Source,
    /// As written: whether a lab has the keys is not known here.
    pub sysctls: Vec<Sysctl>,
    /// At least one; names, addresses and MTUs fit together.
    pub interfaces: Vec<Interface>,
    /// Those of both families.
    pub routes: Vec<Route>,
    /// Each on an interface that there is, with addresses of its subnets.
    pub hosts: Vec<Host>,
}

/// A line of `[sysctl]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// With dots, as written: `net.netfilter.nf_conntrack_max`.
    pub key: String,
    /// As `sysctl -w` would be given it; `true` and `false` are 1 and 0.
    pub value: String,
    /// Where the key stands, for who does not know it.
    pub key_position: Position,
    /// Where the value stands, for who does not take it.
    pub value_position: Position,
}

/// An `[interface.NAME]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Never `lo`, which every lab has.
    pub name: InterfaceName,
    /// The router's own on it; may be empty.
    pub addresses: Vec<InterfaceAddress>,
    /// [`DEFAULT_MTU`] unless the file says otherwise.
    pub mtu: u32,
    /// Whether its devices in a live lab may leave work to the router and take unfinished packets, where the kernel lets them: so, unless the file
    /// says `offload = false`.
    pub offload: bool,
    /// Of the name.
    pub position: Position,
}

/// An address with the length of its subnet's prefix: `10.0.0.1/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface's, or the host's.
    pub address: IpAddr,
    /// At most 32, of IPv6 128.
    pub prefix_length: u8,
    /// Of the text that it was read from.
    pub position: Position,
}

impl InterfaceAddress {
    /// The network that it lies in.
    pub fn subnet(&self) -> AddressMask {
        AddressMask::prefix(self.address, self.prefix_length).unwrap_or_else(|| AddressMask::host(self.address))
    }
}

/// A `[[route]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// A prefix; `default` is that of all addresses.
    pub to: AddressMask,
    /// Its gateways: at least one. Several share its packets.
    pub hops: Vec<Hop>,
    /// Of the first gateway, or of `to` where there is none.
    pub position: Position,
}

/// One gateway of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The next router; `None` for hosts on the link.
    pub via: Option<IpAddr>,
    /// The interface it leaves by: the one written, or the one whose subnet holds `via`.
    pub interface: InterfaceName,
    /// Its share of the packets, beside those of the others: 1 to 256.
    pub weight: u16,
    /// Of `via`, where it has one.
    pub position: Position,
}

/// A `[host.NAME]` table: a neighbour on one of the interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// As scripts and packets call it; part of its namespace's name in a live lab.
    pub name: String,
    /// The router's interface that it is behind.
    pub interface: InterfaceName,
    /// At least one, each in a subnet of the interface.
    pub addresses: Vec<InterfaceAddress>,
    /// At most one of each family.
    pub gateways: Vec<IpAddr>,
    /// Of the name.
    pub position: Position,
}

impl LabFile {
    /// From a file that `read` reads: `nflab::device::text_file::read_bytes`, or whatever knows its bytes.
    pub fn load(path: &Path, read: impl FnOnce(&Path) -> io::Result<Vec<u8>>) -> Result<Self, LabFileError> {
        let text = read(path).map_err(|source| LabFileError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        let name = text_of_path(path);
        match String::from_utf8(text) {
            Ok(text) => Ok(Self::parse(&name, &text)?),
            Err(error) => {
                let (valid, _) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
                let valid_up_to = text_of(valid).len();
                let source = Source {
                    name,
                    text: text_of(error.as_bytes()),
                };
                let problem = Problem::new(
                    valid_up_to..valid_up_to,
                    "the file is not UTF-8",
                    "this byte begins no character",
                    "a lab file is TOML, which is UTF-8 text; save it so",
                );
                Err(source.error(vec![problem]).into())
            }
        }
    }

    /// `name` is what messages call the text.
    pub fn parse(name: &str, text: &str) -> Result<Self, SourceError> {
        parse::parse(Source {
            name: name.into(),
            text: text.into(),
        })
    }

    /// The same lab as another machine, whatever the file says of profiles.
    #[must_use]
    pub fn as_profile(mut self, profile: Profile) -> Self {
        self.profile = Some(profile);
        self.window_tracking = self
            .window_tracking
            .filter(|tracks| *tracks || profile == Profile::Classic);
        self
    }

    /// The lab's name: the file's name without its ending.
    pub fn lab_name(&self) -> Result<String, LabNameError> {
        // As it is shown: of a name that is not UTF-8 some bytes stand for themselves, and are none that a lab's name may have.
        let stem = Path::new(&self.source.name).file_stem().and_then(|stem| stem.to_str());
        let name = stem.unwrap_or_default();
        check_lab_name(name).map_err(|error| LabNameError {
            is_of_file: true,
            ..error
        })?;
        Ok(name.to_owned())
    }

    /// By its name.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name.as_str() == name)
    }

    /// By its name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The hosts on an interface.
    pub fn hosts_of(&self, interface: InterfaceName) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(move |host| host.interface == interface)
    }

    /// An error at a position that this file gave out (of a sysctl that another room refuses, say), drawn like all others.
    pub fn error_at(&self, position: Position, message: &str, expected: &str, remedy: &str) -> SourceError {
        self.source
            .error(vec![Problem::new(position, message, expected, remedy)])
    }
}

/// A lab's name becomes part of file and namespace names.
pub fn check_lab_name(name: &str) -> Result<(), LabNameError> {
    if is_plain_name(name) {
        Ok(())
    } else {
        Err(LabNameError {
            name: name.into(),
            is_of_file: false,
        })
    }
}

/// Letters, digits, `-`, `_` and `.`, not first; at most 64 bytes.
fn is_plain_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(allowed) && name.as_bytes()[0].is_ascii_alphanumeric()
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{name} cannot name a lab: expected 1 to 64 letters, digits, `-`, `_` or `.`, the first a letter or digit; {}", if *.is_of_file { "say another name with --name, or rename the lab file (its name without the ending is taken else)" } else { "such as --name home" }, name = quoted(name)
)]
/// Why a text cannot name a lab.
pub struct LabNameError {
    /// The text.
    pub name: String,
    /// The lab file's, not one that was given.
    pub is_of_file: bool,
}

/// Why there is no lab of a file.
#[derive(Debug, thiserror::Error)]
pub enum LabFileError {
    /// Its bytes cannot be had.
    #[error("cannot read the lab file {}: {source}", text_of_path(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It says something that no lab can be; all such places.
    #[error(transparent)]
    Text(#[from] SourceError),
}

/// What a TUN has before anyone sets it.
pub const DEFAULT_MTU: u32 = 1500;

/// Threads that may carry a live lab's packets: so many queues a device has in the kernel, of which a worker needs two.
pub const MOST_WORKERS: usize = 128;

#[cfg(test)]
mod tests;
