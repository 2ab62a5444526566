//! What the `conntrack` tool can ask of a protocol: the options that `-p NAME` brings.

use crate::conntrack::Direction::{self, Original, Reply};
use crate::packet::End::{self, Destination, Source};

/// One of those options, under all its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ToolOption {
    /// The first is what messages call it.
    pub names: &'static [&'static str],
    pub asks: Asked,
}

/// What an option asks of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The 16 bits at one end.
    Id(Direction, End),
    /// The same, which a flow is made with, but no filter compares. Seen: so it is with GRE's keys.
    Key(Direction, End),
    /// The 16 bits at one end of what is expected.
    Expected(End),
    /// Which of those count.
    Mask(End),
    /// What the original tuple of ICMP has beside its identifier.
    Type,
    Code,
    /// One of these words, each with the state that such a flow shows.
    State(&'static [(&'static str, &'static str)]),
    /// The number that packets of this direction carry, so that nobody else's are taken for them.
    Tag(Direction),
    /// One of these words, of which the kernel hears nothing; what is said of another one.
    Words(&'static str, &'static [&'static str]),
}

/// A verification tag as the tool reads and prints it, from the one that is on the wire, and back. Seen: the tool hands the four bytes on as its
/// machine has them, the last one first.
pub(crate) fn told_tag(tag: u32) -> u32 {
    tag.swap_bytes()
}

pub(crate) const fn option(names: &'static [&'static str], asks: Asked) -> ToolOption {
    ToolOption { names, asks }
}

/// What each protocol with ports brings.
pub(crate) const PORTS: &[ToolOption] = &[
    option(&["sport", "orig-port-src"], Asked::Id(Original, Source)),
    option(&["dport", "orig-port-dst"], Asked::Id(Original, Destination)),
    option(&["reply-port-src"], Asked::Id(Reply, Source)),
    option(&["reply-port-dst"], Asked::Id(Reply, Destination)),
    option(&["mask-port-src"], Asked::Mask(Source)),
    option(&["mask-port-dst"], Asked::Mask(Destination)),
    option(&["tuple-port-src"], Asked::Expected(Source)),
    option(&["tuple-port-dst"], Asked::Expected(Destination)),
];
