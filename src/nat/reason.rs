//! Why NAT drops a packet.

use std::fmt;

use crate::conntrack::proto::key::Unwritable;

/// Why NAT drops a packet of a flow that it rewrites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// An ICMP error with a wrong checksum or an unreadable quote.
    IcmpErrorUnreadable,
    /// Its protocol's header cannot be rewritten.
    Unwritable(Unwritable),
    /// A segment whose numbers have to be shifted (or what is taken for one) cannot be read to the end of its options.
    BrokenTcpOptions,
    /// An ICMP redirect of a flow under NAT would tell the host a wrong address.
    RedirectUnderNat,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IcmpErrorUnreadable => "NAT cannot read the ICMP error or its checksum is wrong",
            Self::Unwritable(Unwritable(why)) => why,
            Self::BrokenTcpOptions => "its numbers have to be shifted, and its TCP options cannot be read",
            Self::RedirectUnderNat => "an ICMP redirect of a flow under NAT",
        })
    }
}
