//! Who sent a packet of the router's own, as far as its socket tells.

use std::fmt;
use std::sync::Arc;

use crate::base::InterfaceId;

/// What a packet's socket says of its sender. One that came in has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sender {
    /// It came in, or was made by the engine beside another (TEE), or is a reset of IPv6.
    #[default]
    NoSocket,
    /// A socket without a program: that of ICMP, that of TCP's resets in IPv4.
    Kernel,
    /// A program's, and nobody said whose.
    Unsaid,
    /// A program's, by its user and groups.
    Program(Arc<Credentials>),
}

/// What a packet of the router's own is, where rules or errors about it can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Origin {
    /// None of these, or it came in.
    #[default]
    Usual,
    /// Neighbour discovery sent it.
    Discovery {
        /// The link that it is about, where it may leave by another.
        about: Option<InterfaceId>,
    },
    /// TEE made it.
    Copy {
        /// Where the packet had come in that it is a copy of.
        from: Option<InterfaceId>,
        /// The interface that has the address it was sent to, where that is the router's own.
        to: Option<InterfaceId>,
        /// Any of several routers has that address.
        to_any: bool,
    },
}

/// A program's user, as the file of its socket has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its number.
    pub user: u32,
    /// The number of the first group.
    pub group: u32,
    /// The user's further groups.
    pub groups: Vec<u32>,
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSocket => f.write_str("from no socket"),
            Self::Kernel => f.write_str("from a socket of the kernel's own"),
            Self::Unsaid => f.write_str("from a program, nothing says whose"),
            Self::Program(it) => {
                write!(f, "from user {}, group {}", it.user, it.group)?;
                for (at, group) in it.groups.iter().enumerate() {
                    write!(f, "{} {group}", if at == 0 { ", also in" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

impl Credentials {
    /// `USER:GROUP[,GROUP...]`, in numbers.
    pub fn read(text: &str) -> Option<Self> {
        let (user, groups) = text.split_once(':')?;
        let mut groups = groups.split(',').map(|group| group.parse().ok());
        Some(Self {
            user: user.parse().ok()?,
            group: groups.next()??,
            groups: groups.collect::<Option<_>>()?,
        })
    }
}
