//! What a lab file may say, key by key: refusals name them, and the manual is made of them.

/// A key of one place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// As it is written.
    pub(crate) name: &'static str,
    /// How the line is written.
    pub(crate) syntax: &'static str,
    /// What it says, in a phrase.
    pub(crate) about: &'static str,
}

/// A table of the file, or its top.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// As its head is written; empty at the top.
    pub(crate) head: &'static str,
    /// What it is for, in a phrase.
    pub(crate) about: &'static str,
    /// In the order in which refusals name them.
    pub(crate) keys: &'static [Key],
}

const fn key(name: &'static str, syntax: &'static str, about: &'static str) -> Key {
    Key { name, syntax, about }
}

pub(super) const TOP: Place = Place {
    head: "",
    about: "the machine as a whole",
    keys: &[
        key(
            "profile",
            "profile = \"linux6\"|\"classic\"",
            "whose machine it is: today's kernel, or one of the ip_conntrack days; linux6 unless written",
        ),
        key(
            "memory",
            "memory = \"128M\"",
            "what the machine has, with K, M or G, or in bytes: it makes nf_conntrack_max and the table's buckets",
        ),
        key(
            "offload",
            "offload = true|false",
            "for nflab up: devices carry packets that stand for many (TSO, USO, GRO); true unless written, and an interface may say it for itself",
        ),
        key(
            "workers",
            "workers = N",
            "for nflab up: threads that carry packets, 1 to 128; as many as there are cores unless written",
        ),
        key(
            "sysctl",
            "[sysctl]",
            "a table of keys under /proc/sys with dots, as \"net.netfilter.nf_conntrack_tcp_loose\" = 0, which are set when the lab is made",
        ),
        key(
            "interface",
            "[interface.NAME]",
            "a table for each interface but lo, which every lab has; at least one",
        ),
        key("route", "[[route]]", "a table for each route of either family"),
        key(
            "host",
            "[host.NAME]",
            "a table for each host: a name in packets and filters, and for nflab up a network namespace LAB-NAME",
        ),
    ],
};

pub(super) const PROFILE: Place = Place {
    head: "[profile]",
    about: "the profile with what its kernel was built with",
    keys: &[
        key("name", "name = \"classic\"", "as profile = \"classic\" says it"),
        key(
            "window_tracking",
            "window_tracking = true|false",
            "whether a classic kernel has the tcp-window-tracking patch; false unless written",
        ),
    ],
};

pub(super) const INTERFACE: Place = Place {
    head: "[interface.NAME]",
    about: "an interface of the router",
    keys: &[
        key(
            "address",
            "address = [\"10.0.0.1/24\", \"2001:db8::1/64\"]",
            "the router's own addresses on it, one or a list; [] for none. fe80::1/64 is there besides, unless another of the link is given",
        ),
        key("mtu", "mtu = N", "the largest packet in bytes; 1500 unless written"),
        key("offload", "offload = true|false", "as at the top, for this interface"),
    ],
};

pub(super) const ROUTE: Place = Place {
    head: "[[route]]",
    about: "a route, besides those to the interfaces' own networks",
    keys: &[
        key(
            "to",
            "to = \"default\"|\"PREFIX\"",
            "where it leads; default is IPv6's where its gateway is, else IPv4's",
        ),
        key("via", "via = \"ADDRESS\"", "the next router; this, dev or both"),
        key("dev", "dev = \"INTERFACE\"", "the interface by which it leaves"),
        key(
            "nexthop",
            "nexthop = [{ via = ..., weight = 2 }, { via = ... }]",
            "several gateways, which share its packets",
        ),
    ],
};

pub(super) const NEXTHOP: Place = Place {
    head: "nexthop",
    about: "one of a route's gateways",
    keys: &[
        key("via", "via = \"ADDRESS\"", "the next router"),
        key("dev", "dev = \"INTERFACE\"", "the interface by which it leaves"),
        key("weight", "weight = N", "its share; 1 unless written"),
    ],
};

pub(super) const HOST: Place = Place {
    head: "[host.NAME]",
    about: "a host on one of the interfaces",
    keys: &[
        key("interface", "interface = \"NAME\"", "the one that it is on"),
        key(
            "address",
            "address = \"10.0.0.2/24\"",
            "its own, or a list of them, each of a network of the interface's",
        ),
        key(
            "gateway",
            "gateway = \"10.0.0.1\"",
            "its default gateway, or a list; the interface's own address of the same network unless written",
        ),
    ],
};

/// All of them, in the order of the manual.
pub(crate) const PLACES: [Place; 6] = [TOP, PROFILE, INTERFACE, ROUTE, NEXTHOP, HOST];
