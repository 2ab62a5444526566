//! IP protocol numbers by their names in the field, and in the tools.

/// ICMP of IPv4.
pub const ICMP: u8 = 1;
/// The Internet Group Management Protocol.
pub const IGMP: u8 = 2;
/// IPv4 in IPv4 (`ipencap` in `/etc/protocols`).
pub const IPIP: u8 = 4;
/// The Transmission Control Protocol.
pub const TCP: u8 = 6;
/// The User Datagram Protocol.
pub const UDP: u8 = 17;
/// The Datagram Congestion Control Protocol.
pub const DCCP: u8 = 33;
/// Generic Routing Encapsulation.
pub const GRE: u8 = 47;
/// IPsec's Encapsulating Security Payload.
pub const ESP: u8 = 50;
/// IPsec's Authentication Header.
pub const AH: u8 = 51;
/// ICMP of IPv6.
pub const ICMPV6: u8 = 58;
/// The Stream Control Transmission Protocol.
pub const SCTP: u8 = 132;
/// Messages of Mobile IPv6.
pub const MOBILITY: u8 = 135;
/// UDP whose checksum may cover a part of the datagram only.
pub const UDPLITE: u8 = 136;
/// Reserved; the kernel has it for raw sockets that take any protocol.
pub const RAW: u8 = 255;

/// What people call those that they ask for by name.
pub const NAMES: [(&str, u8); 12] = [
    ("tcp", TCP),
    ("udp", UDP),
    ("icmp", ICMP),
    ("icmpv6", ICMPV6),
    ("igmp", IGMP),
    ("ipip", IPIP),
    ("dccp", DCCP),
    ("gre", GRE),
    ("esp", ESP),
    ("ah", AH),
    ("sctp", SCTP),
    ("udplite", UDPLITE),
];

/// As the tools print it; none for 0, which has a wording of its own in each place.
pub(crate) fn name(number: u8) -> Option<&'static str> {
    let known = OF_TOOLS.iter().find(|(known, _)| *known == number && number != 0);
    known.map(|(_, name)| *name)
}

/// Every one that has a name there: as Debian's `/etc/protocols` has it.
#[rustfmt::skip]
pub(crate) const OF_TOOLS: &[(u8, &str)] = &[
    (0, "ip"), (1, "icmp"), (2, "igmp"), (3, "ggp"), (4, "ipencap"), (5, "st"), (6, "tcp"), (8, "egp"), (9, "igp"),
    (12, "pup"), (17, "udp"), (20, "hmp"), (22, "xns-idp"), (27, "rdp"), (29, "iso-tp4"), (33, "dccp"), (36, "xtp"),
    (37, "ddp"), (38, "idpr-cmtp"), (41, "ipv6"), (43, "ipv6-route"), (44, "ipv6-frag"), (45, "idrp"), (46, "rsvp"),
    (47, "gre"), (50, "esp"), (51, "ah"), (57, "skip"), (58, "ipv6-icmp"), (59, "ipv6-nonxt"), (60, "ipv6-opts"),
    (73, "rspf"), (81, "vmtp"), (88, "eigrp"), (89, "ospf"), (93, "ax.25"), (94, "ipip"), (97, "etherip"),
    (98, "encap"), (103, "pim"), (108, "ipcomp"), (112, "vrrp"), (115, "l2tp"), (124, "isis"), (132, "sctp"),
    (133, "fc"), (135, "mobility-header"), (136, "udplite"), (137, "mpls-in-ip"), (138, "manet"), (139, "hip"),
    (140, "shim6"), (141, "wesp"), (142, "rohc"), (143, "ethernet"),
];
