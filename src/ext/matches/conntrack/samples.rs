//! What `-m conntrack` is tried on.

use super::{DIRECTION, EXPIRE, PROTOCOL, SIDES, STATE, STATUS};
use crate::base::Family;
use crate::ext::drawn::{DESTINATIONS, Draw, Drawn, SOURCES, STATES, drawn};
use crate::ext::option::OptionSpec;
use crate::ext::samples::{Samples, fails, passes, refused, taken};

/// What went before: a datagram and its answer.
const ANSWERED: &[&str] = &[
    "lan udp 10.0.0.2:1000 > 192.0.2.9:53",
    "wan udp 192.0.2.9:53 > 10.0.0.2:1000",
];

pub(super) const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--ctstate NEW", "--ctstate NEW", "ctstate NEW"),
        taken(
            "",
            "! --ctstate INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED,SNAT,DNAT",
            "! --ctstate INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED,SNAT,DNAT",
            "! ctstate INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED,SNAT,DNAT",
        ),
        taken(
            "",
            "--ctorigsrc 2001:DB8::1 ! --ctorigdst 2001:db8::1/64",
            "--ctorigsrc 2001:db8::1 ! --ctorigdst 2001:db8::1/64",
            "ctorigsrc 2001:db8::1 ! ctorigdst 2001:db8::1/64",
        ),
        taken(
            "",
            "--ctreplsrc ::1/ffff:: --ctrepldst ::/0",
            "--ctreplsrc ::1/16 --ctrepldst ::/0",
            "ctreplsrc ::1/16 ctrepldst ::/0",
        )
        .named("ctreplsrc localhost/16 ctrepldst anywhere"),
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
        )
        .only(Family::V4),
        refused(
            "",
            "--ctorigsrc 10.1",
            "getaddrinfo: Address family for hostname not supported\n",
        )
        .only(Family::V6),
        refused(
            "",
            "--ctorigsrc ::1/129",
            "conntrack: bad value for option \"--ctorigsrc\", neither a valid network mask nor valid CIDR (0-128).\n",
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
    spellings: &[
        "-m state --state NEW",
        "-m conntrack --ctstate NEW",
        "-m conntrack --ctstate RELATED,NEW",
        "-m conntrack ! --ctstate NEW",
        "-m conntrack --ctstate SNAT",
        "-m conntrack --ctorigsrc 10.1.2.3/8",
        "-m conntrack --ctorigsrc 10.0.0.0/8",
        "-m conntrack --ctproto 6",
        "-m conntrack --ctproto tcp",
        "-m conntrack --ctexpire 5",
        "-m conntrack --ctexpire 5:5",
        "-m conntrack --ctstatus ASSURED,CONFIRMED",
        "-m conntrack --ctstatus CONFIRMED,ASSURED",
    ],
    drawn: DRAWN,
};

/// Mostly one question, seldom many: a packet rarely answers to all.
const DRAWN: Drawn = drawn(
    |place| if place.may_track { 32 } else { 0 },
    |draw| match draw.below(16) {
        0..5 => draw.give_one(&STATE.spec, STATES),
        5 | 6 => {
            let list = [draw.pick(STATES), draw.pick(MAPPED)].join(",");
            draw.give(&STATE.spec, &list);
        }
        7 | 8 => draw.give_one(&STATE.spec, MAPPED),
        9 => {
            draw.give_one(&STATE.spec, STATES);
            draw_others(draw);
        }
        _ => draw_others(draw),
    },
)
.without(&[
    (
        "conditions on part of what a port is drawn from (--ctrepldstport 2000:3000)",
        "each side draws its own port, so the condition would hold on one side only",
    ),
    (
        "--ctexpire with bounds near a timeout",
        "the seconds that are left may differ by one",
    ),
    (
        "--ctexpire of flows that are not confirmed",
        "none is left where the kernel has run for longer than their time-out and five minutes; else what is left hangs on when it was started",
    ),
]);

const MAPPED: &[&str] = &["SNAT", "DNAT", "SNAT,DNAT"];

/// One of the other questions to a flow, or a few.
fn draw_others(draw: &mut Draw<'_>) {
    // Seen: an inverted --ctstatus before `--ctproto 0` is an error; zero is not asked for.
    let questions: [(&OptionSpec, &[&str]); 12] = [
        (&PROTOCOL.spec, &["tcp", "udp", "icmp", "6", "17", "gre", "132", "UDP"]),
        (&SIDES[0].address.spec, SOURCES),
        (&SIDES[1].address.spec, DESTINATIONS),
        (&SIDES[2].address.spec, DESTINATIONS),
        (&SIDES[3].address.spec, REPLY_DESTINATIONS),
        (&SIDES[0].port.spec, &["20000:20999", "1024:65535", "53", "21000", "0"]),
        (&SIDES[1].port.spec, &["80", "53", "1:1023", "21:22", "8080"]),
        (
            &SIDES[2].port.spec,
            &["80", "53", "443", "8000:8010", "9000:9010", "8080"],
        ),
        (&SIDES[3].port.spec, REPLY_PORTS),
        (&STATUS.spec, STATUSES),
        (&EXPIRE.spec, EXPIRES),
        (&DIRECTION.spec, &["ORIGINAL", "REPLY"]),
    ];
    let (first, many) = (draw.below(12) as usize, draw.pick(&[1, 1, 1, 2, 2, 3]));
    // Five has no divisor in common with twelve: nothing is asked twice.
    for at in 0..many {
        let (option, values) = questions[(first + at * 5) % questions.len()];
        draw.give_one(option, values);
        if option.name == EXPIRE.spec.name {
            draw.give(&STATUS.spec, "CONFIRMED");
        }
    }
}

const STATUSES: &[&str] = &[
    "NONE",
    "EXPECTED",
    "SEEN_REPLY",
    "ASSURED",
    "CONFIRMED",
    "CONFIRMED,ASSURED",
    "EXPECTED,SEEN_REPLY",
];

const REPLY_DESTINATIONS: &[&str] = &[
    "192.0.2.1",
    "192.0.2.96/29",
    "192.0.2.100",
    "10.0.0.0/24",
    "192.0.2.1/255.255.255.0",
];

/// A port that NAT draws must answer alike whichever it is: it comes out of 1 to 511, 600 to 1023, 1024 to 65535, or the range that a drawn rule
/// names (all within 6000 to 6999), so these are whole or not touched.
const REPLY_PORTS: &[&str] = &["2000", "2001", "1:511", "1:1023", "6000:6999", "1024:65535", "0"];

/// Bounds lie five seconds or more above and well below what is left to any flow that was just seen.
const EXPIRES: &[&str] = &[
    "0:4",
    "4:22",
    "22:52",
    "52:75",
    "75:105",
    "105:150",
    "150:400",
    "400:1000",
    "1000:4294967295",
];
