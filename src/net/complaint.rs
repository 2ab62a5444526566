//! What the sender of a packet is told about it, and why it is told nothing.

use std::fmt;
use std::net::IpAddr;

use super::DropReason;

/// What is wrong with a packet, as its sender is told. Each family says it in an ICMP of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Complaint {
    /// It may pass no more hops.
    TimeExceeded,
    /// Its other fragments did not come in time.
    ReassemblyTimeExceeded,
    /// It is larger than the MTU, and must not be fragmented.
    TooBig {
        /// In bytes: what the next link takes.
        mtu: u32,
    },
    /// It cannot get where it is for.
    Unreachable(Unreachable),
    /// This byte of it makes no sense.
    BadHeader {
        /// What is wrong there; IPv4 knows only fields.
        what: BadPart,
        /// Its offset, as ICMP's "parameter problem" has it.
        at: u32,
    },
}

/// What of a header nothing can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadPart {
    /// A field's value.
    Field,
    /// The number of the next header.
    NextHeader,
    /// An option, of which its sender wants to hear if it is not known.
    Option,
    /// The headers go on in another fragment than the first.
    Chain,
}

/// Why a destination cannot be had; shown in the words that REJECT's options have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unreachable {
    /// No route leads there.
    Network,
    /// A route leads there, and nobody is there.
    Host,
    /// The host does not speak this transport protocol.
    Protocol,
    /// Nobody listens at the port.
    Port,
    /// The next hop of a source route cannot be reached as it asks.
    SourceRoute,
    /// An administrator closed the network.
    NetworkProhibited,
    /// An administrator closed the host.
    HostProhibited,
    /// A filter stands between.
    AdminProhibited,
    /// The source's scope ends before; IPv6 alone says so, and what follows.
    BeyondScope,
    /// The source is one that a filter does not let in or out.
    PolicyFailed,
    /// The route to it rejects.
    RouteRejected,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "net-unreachable",
            Self::Host => "host-unreachable",
            Self::Protocol => "proto-unreachable",
            Self::Port => "port-unreachable",
            Self::SourceRoute => "source-route-failed",
            Self::NetworkProhibited => "net-prohibited",
            Self::HostProhibited => "host-prohibited",
            Self::AdminProhibited => "admin-prohibited",
            Self::BeyondScope => "beyond-scope",
            Self::PolicyFailed => "policy-fail",
            Self::RouteRejected => "reject-route",
        })
    }
}

/// An ICMP redirect that the sender may get (`Net::redirect` limits how many).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The host to use instead.
    pub gateway: IpAddr,
    /// Of the packet when it came, which is what IPv6 shows its sender.
    pub hop_limit: u8,
}

/// Why nothing is sent about a packet, or to answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppressed {
    /// It came by broadcast or multicast.
    NotUnicast,
    /// Its source is a group's address, or none.
    NoSender,
    /// Its source is an address that any of several hosts has.
    ToAny,
    /// It is a fragment other than the first: only that is answered.
    LaterFragment,
    /// It is an ICMP message other than a query or its answer.
    AboutAnError,
    /// No route leads back to its source.
    NoRouteBack,
    /// The host has no address that it could speak from over the way to its source.
    NoAddressToSpeakFrom,
    /// icmp_ratelimit: too many to this destination.
    PeerLimit,
    /// icmp_msgs_per_sec: too many altogether.
    CommonLimit,
    /// Redirects were not heeded, or the last one is too recent.
    RedirectsIgnored,
    /// Only for a packet to this host is it said that its fragments did not come in time, and only once the first did.
    NotForThisHost,
    /// A reset may not be cut, and with the options that it answers it is too long for the way back.
    LongerThanTheMtu,
    /// It would be longer than a packet can be that is no jumbogram, and the router makes none.
    TooLong,
    /// Its addresses are of two families, so there is no packet that could say it.
    TwoFamilies,
    /// A record route or time stamp has room for a part of an entry, so the options can't be answered.
    NoRoomInOptions,
    /// REJECT answers nothing whose own checksum is wrong.
    ChecksumWrong,
    /// REJECT sums up a first fragment as if it were the whole packet, and finds it wrong.
    FragmentChecksumWrong,
    /// A later fragment, or no whole TCP header: it has nothing that a reset could be about.
    NoTcpHeader,
    /// It ends in its extension headers, so there is nothing that could be refused.
    NoTransport,
    /// A redirect is told to neighbours alone, by the address of the link and about it.
    NotANeighbour,
    /// A reset is not answered with a reset.
    AboutAReset,
    /// What came by broadcast or multicast has no connection to reset.
    NoConnectionOfMany,
    /// Of two addresses of IPv6 one stands for an address of IPv4.
    ResetOfMapped,
    /// In IPv6 the host speaks from an address of IPv4 in its shape only to such others.
    SourceOfIpv4,
    /// The host drops what was delivered to it, and says nothing of it.
    Dropped(DropReason),
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUnicast => "no ICMP error is sent about a broadcast or multicast",
            Self::NoSender => "no ICMP error is sent to a group, or to the address that means none",
            Self::ToAny => {
                "no ICMP error is sent to an address that any of several hosts has (icmp.error_anycast_as_unicast is off)"
            }
            Self::LaterFragment => "no ICMP error is sent about a fragment other than the first",
            Self::AboutAnError => "no ICMP error is sent about ICMP that is neither query nor answer",
            Self::NoRouteBack => "no route leads back to the sender",
            Self::NoAddressToSpeakFrom => "the host has no address to speak from on the way to the sender",
            Self::PeerLimit => "icmp_ratelimit: too many ICMP errors to this destination",
            Self::CommonLimit => "icmp_msgs_per_sec: too many ICMP errors altogether",
            Self::RedirectsIgnored => "the last redirect to this sender is too recent, or it heeded none of nine",
            Self::LongerThanTheMtu => "with the IP options that it answers the reset is longer than the MTU of its way",
            Self::TooLong => "the answer would be longer than a packet can be",
            Self::NoRoomInOptions => "the room left in its IP options is no multiple of an entry",
            Self::TwoFamilies => "its addresses are of two families",
            Self::ChecksumWrong => "its checksum is wrong, and REJECT answers nothing whose ports may be wrong too",
            Self::FragmentChecksumWrong => {
                "REJECT sums up a first fragment as if it were whole, and its checksum is wrong then"
            }
            Self::NoTcpHeader => {
                "no reset is sent about a fragment other than the first, or about less than a TCP header"
            }
            Self::AboutAReset => "no reset is sent about a reset",
            Self::NoTransport => "REJECT answers nothing that ends in its extension headers",
            Self::NotANeighbour => {
                "a redirect goes to neighbours alone, from the link's own address and about hosts on it"
            }
            Self::Dropped(reason) => return reason.fmt(f),
            Self::NoConnectionOfMany => "no reset is sent about a broadcast or multicast",
            Self::SourceOfIpv4 => "from an address of ::ffff:0:0/96 none is sent to others",
            Self::ResetOfMapped => "no reset is sent to or from an address of ::ffff:0:0/96",
            Self::NotForThisHost => {
                "reassembly is given up silently for packets to others, and without the first fragment"
            }
        })
    }
}
