//! What `-m conntrack` is tried on.

use crate::ext::samples::{Samples, fails, passes, refused, taken};

/// What went before: a datagram and its answer.
const ANSWERED: &[&str] = &[
    "lan udp 10.0.0.2:1000 > 192.0.2.9:53",
    "wan udp 192.0.2.9:53 > 10.0.0.2:1000",
];

pub const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--ctstate NEW", "--ctstate NEW", "ctstate NEW"),
        taken(
            "",
            "! --ctstate INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED,SNAT,DNAT",
            "! --ctstate INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED,SNAT,DNAT",
            "! ctstate INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED,SNAT,DNAT",
        ),
        taken("", "! --ctproto 47", "! --ctproto 47", "! ctproto 47"),
        taken("", "--ctproto 0", "--ctproto 0", "ctproto 0"),
        taken(
            "",
            "--ctorigsrc 10.0.0.0/8",
            "--ctorigsrc 10.0.0.0/8",
            "ctorigsrc 10.0.0.0/8",
        ),
        taken(
            "",
            "! --ctorigdst 10.0.0.1",
            "! --ctorigdst 10.0.0.1",
            "! ctorigdst 10.0.0.1",
        ),
        taken(
            "",
            "--ctrepldst 10.0.0.1/24",
            "--ctrepldst 10.0.0.1/24",
            "ctrepldst 10.0.0.1/24",
        ),
        taken(
            "",
            "--ctorigsrc 10.0.0.1/0",
            "--ctorigsrc 10.0.0.1/0",
            "ctorigsrc 10.0.0.1/0",
        ),
        taken(
            "",
            "--ctproto 6 --ctorigdstport 80:90",
            "--ctproto 6 --ctorigdstport 80:90",
            "ctproto 6 ctorigdstport 80:90",
        ),
        taken("", "! --ctreplsrcport 80", "! --ctreplsrcport 80", "! ctreplsrcport 80"),
        taken(
            "",
            "--ctrepldstport 80:70",
            "--ctrepldstport 80:70",
            "ctrepldstport 80:70",
        ),
        taken("", "--ctstatus NONE", "--ctstatus NONE", "ctstatus NONE"),
        taken(
            "",
            "--ctstatus EXPECTED,SEEN_REPLY,ASSURED,CONFIRMED",
            "--ctstatus EXPECTED,SEEN_REPLY,ASSURED,CONFIRMED",
            "ctstatus EXPECTED,SEEN_REPLY,ASSURED,CONFIRMED",
        ),
        taken("", "! --ctstatus ASSURED", "! --ctstatus ASSURED", "! ctstatus ASSURED"),
        taken("", "! --ctexpire 10:20", "! --ctexpire 10:20", "! ctexpire 10:20"),
        taken("", "--ctdir ORIGINAL", "--ctdir ORIGINAL", "ctdir ORIGINAL"),
        taken(
            "",
            "--ctstate NEW --ctproto 17 --ctorigsrc 1.2.3.4 --ctorigdst 1.2.3.5 --ctreplsrc 1.2.3.6 --ctrepldst 1.2.3.7 --ctorigsrcport 1 --ctorigdstport 2 --ctreplsrcport 3 --ctrepldstport 4 --ctstatus NONE --ctexpire 5 --ctdir REPLY",
            "--ctstate NEW --ctproto 17 --ctorigsrc 1.2.3.4 --ctorigdst 1.2.3.5 --ctreplsrc 1.2.3.6 --ctrepldst 1.2.3.7 --ctorigsrcport 1 --ctorigdstport 2 --ctreplsrcport 3 --ctrepldstport 4 --ctstatus NONE --ctexpire 5 --ctdir REPLY",
            "ctstate NEW ctproto 17 ctorigsrc 1.2.3.4 ctorigdst 1.2.3.5 ctreplsrc 1.2.3.6 ctrepldst 1.2.3.7 ctorigsrcport 1 ctorigdstport 2 ctreplsrcport 3 ctrepldstport 4 ctstatus NONE ctexpire 5 ctdir REPLY",
        ),
        taken(
            "",
            "--ctstate snat,inv",
            "--ctstate INVALID,SNAT",
            "ctstate INVALID,SNAT",
        ),
        taken("", "--ctproto TCP", "--ctproto 6", "ctproto 6"),
        taken("", "--ctproto icmpv6", "--ctproto 58", "ctproto 58"),
        taken("", "--ctproto all", "--ctproto 0", "ctproto 0"),
        taken("", "--ctorigsrc 0/0", "--ctorigsrc 0.0.0.0/0", "ctorigsrc 0.0.0.0/0").named("ctorigsrc anywhere"),
        taken(
            "",
            "--ctorigsrc localhost",
            "--ctorigsrc 127.0.0.1",
            "ctorigsrc 127.0.0.1",
        )
        .named("ctorigsrc localhost"),
        taken(
            "",
            "--ctorigsrc 127.0.0.0/8",
            "--ctorigsrc 127.0.0.0/8",
            "ctorigsrc 127.0.0.0/8",
        )
        .named("ctorigsrc loopback/8"),
        taken(
            "",
            "--ctorigsrc 10.0.0.1/255.255.255.0",
            "--ctorigsrc 10.0.0.1/24",
            "ctorigsrc 10.0.0.1/24",
        ),
        taken(
            "",
            "--ctreplsrc 10.0.0.1/255.0.255.0",
            "--ctreplsrc 10.0.0.1",
            "ctreplsrc 10.0.0.1",
        ),
        taken(
            "",
            "--ctorigsrc 10.0.0.1/33",
            "--ctorigsrc 10.0.0.1",
            "ctorigsrc 10.0.0.1",
        ),
        taken("", "--ctorigsrc 10.0", "--ctorigsrc 10.0.0.0", "ctorigsrc 10.0.0.0"),
        taken("", "--ctorigsrcport http", "--ctorigsrcport 80", "ctorigsrcport 80"),
        taken(
            "",
            "--ctorigsrcport :",
            "--ctorigsrcport 0:65535",
            "ctorigsrcport 0:65535",
        ),
        taken(
            "",
            "--ctorigsrcport 70000",
            "--ctorigsrcport 4464",
            "ctorigsrcport 4464",
        ),
        taken(
            "",
            "--ctstatus NONE,SEEN",
            "--ctstatus SEEN_REPLY",
            "ctstatus SEEN_REPLY",
        ),
        taken(
            "",
            "--ctexpire 10:",
            "--ctexpire 10:4294967295",
            "ctexpire 10:4294967295",
        ),
        taken("", "--ctexpire \"\"", "--ctexpire 0", "ctexpire 0"),
        taken("", "--ctdir reply", "--ctdir REPLY", "ctdir REPLY"),
    ],
    refused: &[
        refused("", "", "conntrack: At least one option is required"),
        refused("", "--ctstate FOO", "Bad ctstate \"FOO\""),
        refused("", "--ctstate NEW,", "Bad ctstate \"\""),
        refused("", "--ctstate NEW,,INVALID", "Bad ctstate \",INVALID\""),
        refused("", "--ctstate XX,INVALID", "Bad ctstate \"XX,INVALID\""),
        refused("", "--ctstate \"\"", "Bad ctstate \"\""),
        refused("", "--ctstate NONE", "Bad ctstate \"NONE\""),
        refused(
            "",
            "--ctstate NEW --ctstate NEW",
            "conntrack: option \"--ctstate\" can only be used once.\n",
        ),
        refused("", "--ctproto FOO", "unknown protocol \"FOO\" specified"),
        refused("", "--ctproto 256", "unknown protocol \"256\" specified"),
        refused(
            "",
            "! --ctstatus ASSURED --ctproto all",
            "conntrack: rule would never match protocol",
        ),
        refused("", "--ctproto 6x", "unknown protocol \"6x\" specified"),
        refused(
            "",
            "--ctorigsrc 10.0.0.1/x",
            "conntrack: bad value for option \"--ctorigsrc\", neither a valid network mask nor valid CIDR (0-32).\n",
        ),
        refused(
            "",
            "--ctorigsrc 10.0.0.1/",
            "conntrack: bad value for option \"--ctorigsrc\", neither a valid network mask nor valid CIDR (0-32).\n",
        ),
        refused("", "--ctorigsrc x..y", "getaddrinfo: Name or service not known\n"),
        refused(
            "",
            "--ctorigsrc nosuchhost",
            "getaddrinfo: Temporary failure in name resolution\n",
        ),
        refused(
            "",
            "--ctorigsrc ::1",
            "getaddrinfo: Address family for hostname not supported\n",
        ),
        refused(
            "",
            "--ctorigsrcport 1:2:3",
            "conntrack: Too many components for option \"--ctorigsrcport\" (max: 2)\n",
        ),
        refused(
            "",
            "--ctorigsrcport nosuch",
            "Port \"nosuch\" does not resolve to anything.\n",
        ),
        refused("", "--ctstatus XX,ASSURED", "Bad ctstatus \"XX,ASSURED\""),
        refused(
            "",
            "--ctexpire 1:x",
            "conntrack: bad value for option \"--ctexpire\" near \"x\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--ctexpire 4294967296",
            "conntrack: bad value for option \"--ctexpire\" near \"4294967296\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--ctexpire 1x",
            "conntrack: Argument to \"--ctexpire\" has unexpected characters near \"x\".\n",
        ),
        refused(
            "",
            "--ctdir rep",
            "conntrack: Bad value for \"--ctdir\" option: \"rep\"",
        ),
        refused(
            "",
            "! --ctdir REPLY",
            "conntrack: option \"--ctdir\" cannot be inverted.\n",
        ),
    ],
    packets: &[
        passes(
            "",
            "--ctstate NEW --ctexpire 0 ! --ctstatus CONFIRMED",
            "udp 10.0.0.2:1001 > 192.0.2.9:53",
        ),
        fails(
            "",
            "--ctstate NEW",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--ctstate NEW: flow is ESTABLISHED since packet 2",
        )
        .after(ANSWERED),
        passes(
            "",
            "--ctstate ESTABLISHED --ctdir ORIGINAL --ctorigsrc 10.0.0.2 --ctrepldstport 1000",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
        )
        .after(ANSWERED),
        fails(
            "",
            "--ctdir REPLY",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--ctdir REPLY: packet goes ORIGINAL",
        ),
        fails(
            "",
            "--ctproto 6",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--ctproto 6: flow has 17",
        ),
        passes(
            "",
            "! --ctstate NEW --ctorigsrcport 4",
            "tcp 10.0.0.2:1 > 192.0.2.9:2 SF",
        ),
        fails(
            "",
            "--ctproto 17",
            "tcp 10.0.0.2:1 > 192.0.2.9:2 SF",
            "conntrack: packet is INVALID and has no flow",
        ),
        fails(
            "",
            "--ctorigsrc 10.0.0.9",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--ctorigsrc 10.0.0.9: flow has 10.0.0.2",
        )
        .after(ANSWERED),
        fails(
            "",
            "--ctorigdst 10.0.0.9",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--ctorigdst 10.0.0.9: flow has 192.0.2.9",
        )
        .after(ANSWERED),
        fails(
            "",
            "--ctreplsrc 10.0.0.9",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--ctreplsrc 10.0.0.9: flow has 192.0.2.9",
        )
        .after(ANSWERED),
        fails(
            "",
            "--ctrepldst 10.0.0.9",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--ctrepldst 10.0.0.9: flow has 10.0.0.2",
        )
        .after(ANSWERED),
        fails(
            "",
            "--ctorigsrcport 53",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--ctorigsrcport 53: flow has 1000",
        )
        .after(ANSWERED),
        fails(
            "",
            "--ctorigdstport 80:90",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--ctorigdstport 80:90: flow has 53",
        )
        .after(ANSWERED),
        fails(
            "",
            "--ctreplsrcport 80",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--ctreplsrcport 80: flow has 53",
        )
        .after(ANSWERED),
        fails(
            "",
            "--ctrepldstport 80",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--ctrepldstport 80: flow has 1000",
        )
        .after(ANSWERED),
        fails(
            "",
            "--ctstatus ASSURED",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--ctstatus ASSURED: flow has SEEN_REPLY,CONFIRMED",
        )
        .after(ANSWERED),
        fails(
            "",
            "--ctexpire 1:9",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--ctexpire 1:9: flow has 30",
        )
        .after(ANSWERED),
    ],
};
