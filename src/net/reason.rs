//! Why a packet went no further. The words are the kernel's own (`skb:kfree_skb` prints them), the sentences are for people.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $sentence:expr;)*) => {
        /// Why the host around netfilter dropped a packet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DropReason {
            $($(#[$doc])* #[doc = $sentence] $variant,)*
        }

        impl DropReason {
            /// Every reason, for manuals and tests.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The kernel's word for it (`enum skb_drop_reason`); several of our reasons may share one.
            pub fn kernel_word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl DropReason {
            /// Whether the packet was dropped before its transport was looked at, when the host still holds its flow.
            pub(crate) fn is_before_transport(self) -> bool {
                self == Self::NoProtocol || self.is_before_any_reader()
            }

            /// Whether it was dropped for what stands before its transport, so that no socket heard it either.
            pub(crate) fn is_before_any_reader(self) -> bool {
                let of_jumbograms = matches!(
                    self,
                    Self::JumboOption | Self::JumboTooShort | Self::JumboAndLength | Self::JumboBeyondPacket
                );
                of_jumbograms || matches!(self, Self::BadExtension | Self::UnknownExtension)
            }
        }

        impl fmt::Display for DropReason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $sentence,)*
                })
            }
        }
    };
}

reasons! {
    Truncated = "IP_INHDR", "the packet is shorter than its IP header";
    BadVersion = "IP_INHDR", "the IP version is not the one the device announced";
    BadHeaderLength = "IP_INHDR", "the IP header length is below 20 bytes";
    BadTotalLength = "IP_INHDR", "the IP total length is shorter than the header";
    TotalLengthBeyondPacket = "PKT_TOO_SMALL", "the IP header tells of more bytes than the packet has";
    BadHeaderChecksum = "IP_CSUM", "the IP header checksum is wrong";
    Ipv6Disabled = "IPV6DISABLED", "IPv6 is disabled on the interface that it came by";
    BadOptions = "IP_INHDR", "the IP options are malformed";
    SourceRouteRefused = "NOT_SPECIFIED", "a source route, and accept_source_route is off";
    SourceRouteFailed = "NOT_SPECIFIED", "the next hop of a source route can't be reached as asked";
    MartianSource = "IP_INVALID_SOURCE", "no host may send from this source address";
    LocalSource = "IP_LOCAL_SOURCE", "the source address is one of the host's own, and accept_local is off";
    LoopbackOutside = "IP_LOCALNET", "a 127.0.0.0/8 address outside of the loopback interface, and route_localnet is off";
    LoopbackOutsideIpv6 = "IP_LOCALNET", "the address ::1 outside of the loopback interface";
    MartianDestination = "IP_INVALID_DEST", "no packet may go to this destination address";
    ReversePath = "IP_RPFILTER", "rp_filter: the way back to the source is not the interface it came from";
    LinkDown = "DEV_READY", "the interface is down";
    NoRoute = "IP_INNOROUTES", "no route to the destination";
    NotForwarding = "IP_INADDRERRORS", "not for this host, and forwarding is off on the interface it came by";
    Blackhole = "NOT_SPECIFIED", "a blackhole route";
    Unreachable = "NOT_SPECIFIED", "an unreachable route";
    Prohibited = "NOT_SPECIFIED", "a prohibit route";
    MulticastNotJoined = "NOT_SPECIFIED", "a multicast group the host has not joined";
    GroupOfTheHost = "NOT_SPECIFIED", "for a group that reaches no further than the host itself";
    CopyOnItsWay = "NOT_SPECIFIED", "a copy for a group that came round to its sender: its own way leads on, to the gateway that it was copied to";
    TimeToLiveOver = "IP_INHDR", "the time to live would reach zero here";
    HopLimitOver = "IP_INHDR", "the hop limit would reach zero here";
    TooBig = "PKT_TOO_BIG", "larger than the MTU, and it must not be fragmented";
    NoProtocol = "IP_NOPROTO", "the host has no handler for this protocol";
    NoSocket = "NO_SOCKET", "no socket listens there";
    NoBroadcastSocket = "NOT_SPECIFIED", "no socket takes this broadcast or multicast";
    TcpChecksum = "TCP_CSUM", "the TCP checksum is wrong";
    UdpChecksum = "UDP_CSUM", "the UDP checksum is wrong";
    IcmpChecksum = "ICMP_CSUM", "the ICMP checksum is wrong";
    TransportTruncated = "NOT_SPECIFIED", "the transport header is cut short";
    SegmentsRefused = "NOT_SPECIFIED", "it cannot be cut into the segments that its device says it stands for";
    TransportLength = "PKT_TOO_SMALL", "a length in the transport header contradicts the packet";
    QuotedHeader = "IP_INHDR", "the header that the ICMP error quotes is malformed";
    UnknownIcmp = "UNHANDLED_PROTO", "no such ICMP type";
    NoIcmpByBroadcast = "INVALID_PROTO", "this ICMP message is not taken from a broadcast or multicast address";
    ScopeEnds = "IP_INADDRERRORS", "its source is known on its own link only, and it would leave that";
    NotFromANeighbour = "IPV6_NDISC_HOP_LIMIT", "neighbour discovery that passed a router: its hop limit is not 255";
    NeighbourInFragments = "IPV6_NDISC_FRAG", "neighbour discovery in fragments";
    BadNeighbourMessage = "IPV6_NDISC_BAD_OPTIONS", "a message of neighbour discovery that is malformed";
    NotOurNeighbour = "IPV6_NDISC_NS_OTHERHOST", "a neighbour solicitation for another host";
    BadExtension = "IPV6_BAD_EXTHDR", "an extension header or an option in one that cannot be taken";
    JumboOption = "IPV6_BAD_EXTHDR", "a jumbo payload option that is malformed: it has four bytes, and stands two bytes behind a multiple of four";
    JumboTooShort = "IPV6_BAD_EXTHDR", "a jumbogram that says it is no longer than 65,535 bytes, which the header itself could say";
    JumboAndLength = "IPV6_BAD_EXTHDR", "a jumbogram whose header says a length too: there it has to be 0";
    JumboBeyondPacket = "IPV6_BAD_EXTHDR", "a jumbogram that says it is longer than the packet";
    UnknownExtension = "IP_NOPROTO", "an extension header that the host does not read there";
    NoGroups = "NOT_SPECIFIED", "a question for members of groups, and the interface is in none that is told of: all hosts never is, all routers is in IPv6 where it forwards";
    BadGroupQuery = "NOT_SPECIFIED", "a question for members of groups that is malformed or not of the link: it comes from a link-local address, with a hop limit of 1 and a router alert";
    AdvertisementNotHeeded = "NOT_SPECIFIED", "an advertisement of a router: here addresses and routes are given by hand";
    RedirectNotHeeded = "NOT_SPECIFIED", "a redirect that is not heeded: accept_redirects is off, the host forwards, or it is not from the gateway that the way leads by now";
    NotAnswered = "NOT_SPECIFIED", "the host takes this message and answers nothing";
    EchoIgnored = "NOT_SPECIFIED", "icmp_echo_ignore_all is on";
    BroadcastEchoIgnored = "INVALID_PROTO", "an echo or timestamp request to a broadcast or multicast address, and icmp_echo_ignore_broadcasts is on";
    FragmentDuplicate = "DUP_FRAG", "a fragment that was there already";
    FragmentOverlap = "NOT_SPECIFIED", "a fragment that overlaps another: the whole packet is given up";
    FragmentInconsistent = "NOT_SPECIFIED", "its end contradicts what other fragments said";
    FragmentEmpty = "NOT_SPECIFIED", "a fragment without data: the whole packet is given up";
    FragmentTooLong = "NOT_SPECIFIED", "the whole would exceed 65,535 bytes";
    FragmentNoMemory = "NOMEM", "ipfrag_high_thresh: no room for more fragments";
    HeadersInSeveralFragments = "NOT_SPECIFIED", "its first fragment ends among headers that each piece has to carry, so it cannot be cut again";
    FragmentBadEcn = "NOT_SPECIFIED", "its fragments carry ECN marks that contradict each other";
}
