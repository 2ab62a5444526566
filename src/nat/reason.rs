//! Why NAT drops a packet.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// An ICMP error with a wrong checksum or an unreadable quote.
    IcmpErrorUnreadable,
    /// GRE of a version that NAT does not know.
    UnknownGreVersion,
    /// GRE cut short before NAT has read it.
    GreTruncated,
    /// A segment whose numbers have to be shifted (or what is taken for one) cannot be read to the end of its options.
    BrokenTcpOptions,
    /// An ICMP redirect of a flow under NAT would tell the host a wrong address.
    RedirectUnderNat,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IcmpErrorUnreadable => "NAT cannot read the ICMP error or its checksum is wrong",
            Self::UnknownGreVersion => "NAT translates GRE of versions 0 and 1 only",
            Self::GreTruncated => "NAT cannot read the GRE header, which is cut short",
            Self::BrokenTcpOptions => "its numbers have to be shifted, and its TCP options cannot be read",
            Self::RedirectUnderNat => "an ICMP redirect of a flow under NAT",
        })
    }
}
