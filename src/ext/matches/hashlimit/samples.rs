//! What `-m hashlimit` is tried on.

use super::{
    ABOVE, BURST, DSTMASK, HTABLE_EXPIRE, HTABLE_GCINTERVAL, HTABLE_MAX, HTABLE_SIZE, MODE, NAME, RATE_INTERVAL,
    RATE_MATCH, SRCMASK, UPTO,
};
use crate::base::Family;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};

/// A listing has no name of the table: who reads it back calls those that count so, and the others so.
pub(super) const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken(
            "",
            "--hashlimit 3/s --hashlimit-name unlisted",
            "--hashlimit-upto 3/sec --hashlimit-burst 5 --hashlimit-name unlisted",
            "limit: up to 3/sec burst 5",
        ),
        taken(
            "",
            "--hashlimit-upto 3 --hashlimit-name unlisted",
            "--hashlimit-upto 3/sec --hashlimit-burst 5 --hashlimit-name unlisted",
            "limit: up to 3/sec burst 5",
        ),
        taken(
            "",
            "! --hashlimit-upto 3/m --hashlimit-name unlisted",
            "--hashlimit-above 3/min --hashlimit-burst 5 --hashlimit-name unlisted",
            "limit: above 3/min burst 5",
        ),
        taken(
            "",
            "! --hashlimit-above 3/hour --hashlimit-name unlisted",
            "--hashlimit-upto 3/hour --hashlimit-burst 5 --hashlimit-name unlisted",
            "limit: up to 3/hour burst 5",
        ),
        taken(
            "",
            "--hashlimit-above \" +3 /s\" --hashlimit-name unlisted",
            "--hashlimit-above 3/sec --hashlimit-burst 5 --hashlimit-name unlisted",
            "limit: above 3/sec burst 5",
        ),
        taken(
            "",
            "--hashlimit-above 1.5/s --hashlimit-name unlisted",
            "--hashlimit-above 1/sec --hashlimit-burst 5 --hashlimit-name unlisted",
            "limit: above 1/sec burst 5",
        ),
        taken(
            "",
            "--hashlimit-upto 7000/s --hashlimit-name unlisted",
            "--hashlimit-upto 7042/sec --hashlimit-burst 5 --hashlimit-name unlisted",
            "limit: up to 7042/sec burst 5",
        ),
        taken(
            "",
            "--hashlimit-upto 1000000/s --hashlimit-name unlisted",
            "--hashlimit-upto 1000000/sec --hashlimit-burst 5 --hashlimit-name unlisted",
            "limit: up to 1000000/sec burst 5",
        ),
        // Of another unit than the one that was typed, what follows from that one is printed.
        taken(
            "",
            "--hashlimit-upto 60/min --hashlimit-name unlisted",
            "--hashlimit-upto 1/sec --hashlimit-burst 5 --hashlimit-name unlisted \
             --hashlimit-htable-expire 60000",
            "limit: up to 1/sec burst 5 htable-expire 60000",
        ),
        taken(
            "",
            "--hashlimit-upto 24/day --hashlimit-name unlisted",
            "--hashlimit-upto 1/hour --hashlimit-burst 5 --hashlimit-name unlisted \
             --hashlimit-htable-expire 86400000",
            "limit: up to 1/hour burst 5 htable-expire 86400000",
        ),
        taken(
            "",
            "--hashlimit-upto 1kb/s --hashlimit-name unlisted",
            "--hashlimit-upto 1kb/s --hashlimit-name unlisted",
            "limit: up to 1kb/s",
        ),
        taken(
            "",
            "--hashlimit-upto 3mb/s --hashlimit-name unlisted",
            "--hashlimit-upto 3mb/s --hashlimit-name unlisted",
            "limit: up to 3mb/s",
        ),
        taken(
            "",
            "--hashlimit-upto 100b/s --hashlimit-name unlisted",
            "--hashlimit-upto 96b/s --hashlimit-name unlisted",
            "limit: up to 96b/s",
        ),
        taken(
            "",
            "--hashlimit-above 1536kb/s --hashlimit-name unlisted",
            "--hashlimit-above 1536kb/s --hashlimit-name unlisted",
            "limit: above 1536kb/s",
        ),
        // Less than sixteen bytes are nothing, which is no rate to read again.
        taken(
            "",
            "--hashlimit-above 5Kb/s --hashlimit-name unlisted",
            "--hashlimit-above 0b/s --hashlimit-name unlisted",
            "limit: above 0b/s",
        )
        .lossy(),
        taken(
            "",
            "--hashlimit-upto 5000000000b/s --hashlimit-name unlisted",
            "--hashlimit-upto 5286113568b/s --hashlimit-name unlisted",
            "limit: up to 5286113568b/s",
        ),
        taken(
            "",
            "--hashlimit-upto 1MB/s --hashlimit-name unlisted",
            "--hashlimit-upto 1/sec --hashlimit-burst 5 --hashlimit-name unlisted",
            "limit: up to 1/sec burst 5",
        ),
        taken(
            "",
            "--hashlimit-burst 3kb --hashlimit-upto 3/s --hashlimit-name unlisted",
            "--hashlimit-upto 3/sec --hashlimit-burst 3072 --hashlimit-name unlisted",
            "limit: up to 3/sec burst 3072",
        ),
        taken(
            "",
            "--hashlimit-burst 10000 --hashlimit-upto 1kb/s --hashlimit-name unlisted",
            "--hashlimit-upto 1kb/s --hashlimit-burst 10kb --hashlimit-name unlisted",
            "limit: up to 1kb/s burst 10kb",
        ),
        taken(
            "",
            "--hashlimit-burst 2mb --hashlimit-above 1536kb/s --hashlimit-name unlisted",
            "--hashlimit-above 1536kb/s --hashlimit-burst 3mb --hashlimit-name unlisted",
            "limit: above 1536kb/s burst 3mb",
        ),
        taken(
            "",
            "--hashlimit-above 3/s --hashlimit-mode dstport,srcip --hashlimit-name unlisted",
            "--hashlimit-above 3/sec --hashlimit-burst 5 --hashlimit-mode srcip,dstport \
             --hashlimit-name unlisted",
            "limit: above 3/sec burst 5 mode srcip-dstport",
        ),
        taken(
            "",
            "--hashlimit-above 3/s --hashlimit-mode ,srcip,srcport,dstip,,srcip --hashlimit-name \
             unlisted",
            "--hashlimit-above 3/sec --hashlimit-burst 5 --hashlimit-mode srcip,srcport,dstip \
             --hashlimit-name unlisted",
            "limit: above 3/sec burst 5 mode srcip-srcport-dstip",
        ),
        taken(
            "",
            "--hashlimit-above 3/s --hashlimit-mode \"\" --hashlimit-name unlisted",
            "--hashlimit-above 3/sec --hashlimit-burst 5 --hashlimit-name unlisted",
            "limit: above 3/sec burst 5",
        ),
        taken(
            "",
            "--hashlimit-upto 3/s --hashlimit-srcmask 24 --hashlimit-dstmask 0 --hashlimit-name \
             unlisted",
            "--hashlimit-upto 3/sec --hashlimit-burst 5 --hashlimit-name unlisted \
             --hashlimit-srcmask 24 --hashlimit-dstmask 0",
            "limit: up to 3/sec burst 5 srcmask 24 dstmask 0",
        ),
        taken(
            "",
            "--hashlimit-upto 3/s --hashlimit-srcmask 255.255.0.0 --hashlimit-dstmask 32 \
             --hashlimit-name unlisted",
            "--hashlimit-upto 3/sec --hashlimit-burst 5 --hashlimit-name unlisted \
             --hashlimit-srcmask 16",
            "limit: up to 3/sec burst 5 srcmask 16",
        ),
        taken(
            "",
            "--hashlimit-upto 3/s --hashlimit-srcmask ffff:: --hashlimit-dstmask 128 \
             --hashlimit-name unlisted",
            "--hashlimit-upto 3/sec --hashlimit-burst 5 --hashlimit-name unlisted \
             --hashlimit-srcmask 16",
            "limit: up to 3/sec burst 5 srcmask 16",
        ),
        taken(
            "",
            "--hashlimit-upto 3/s --hashlimit-htable-size 0x10 --hashlimit-htable-max 7 \
             --hashlimit-htable-gcinterval 9 --hashlimit-htable-expire 5 --hashlimit-name unlisted",
            "--hashlimit-upto 3/sec --hashlimit-burst 5 --hashlimit-name unlisted \
             --hashlimit-htable-size 16 --hashlimit-htable-max 7 --hashlimit-htable-gcinterval 9 \
             --hashlimit-htable-expire 5",
            "limit: up to 3/sec burst 5 htable-size 16 htable-max 7 htable-gcinterval 9 \
             htable-expire 5",
        ),
        taken(
            "",
            "--hashlimit-upto 3/s --hashlimit-htable-size 0 --hashlimit-htable-max 0 \
             --hashlimit-htable-gcinterval 1000 --hashlimit-htable-expire 1000 --hashlimit-name \
             unlisted",
            "--hashlimit-upto 3/sec --hashlimit-burst 5 --hashlimit-name unlisted",
            "limit: up to 3/sec burst 5",
        ),
        taken(
            "",
            "--hashlimit-upto 1kb/s --hashlimit-htable-expire 15000 --hashlimit-name unlisted",
            "--hashlimit-upto 1kb/s --hashlimit-name unlisted",
            "limit: up to 1kb/s",
        ),
        taken(
            "",
            "--hashlimit-upto 1kb/s --hashlimit-burst 1mb --hashlimit-htable-expire 15000 \
             --hashlimit-name unlisted",
            "--hashlimit-upto 1kb/s --hashlimit-burst 1mb --hashlimit-name unlisted \
             --hashlimit-htable-expire 15000",
            "limit: up to 1kb/s burst 1mb htable-expire 15000",
        ),
        taken(
            "",
            "--hashlimit-above 3/s --hashlimit-rate-match --hashlimit-name unlisted-count",
            "--hashlimit-above 3/sec --hashlimit-burst 5 --hashlimit-name unlisted-count \
             --hashlimit-rate-match",
            "limit: above 3/sec burst 5 rate-match",
        ),
        taken(
            "",
            "--hashlimit-above 3/m --hashlimit-rate-match --hashlimit-name unlisted-count",
            "--hashlimit-above 3/sec --hashlimit-burst 5 --hashlimit-name unlisted-count \
             --hashlimit-htable-expire 60000 --hashlimit-rate-match --hashlimit-rate-interval 60",
            "limit: above 4320/day burst 5 htable-expire 60000 rate-match rate-interval 60",
        ),
        taken(
            "",
            "--hashlimit-above 1/d --hashlimit-rate-match --hashlimit-name unlisted-count",
            "--hashlimit-above 1/sec --hashlimit-burst 5 --hashlimit-name unlisted-count \
             --hashlimit-htable-expire 86400000 --hashlimit-rate-match --hashlimit-rate-interval \
             86400",
            "limit: above 1/day burst 5 rate-match rate-interval 86400",
        ),
        taken(
            "",
            "--hashlimit-above 3/s --hashlimit-rate-match --hashlimit-rate-interval 7x \
             --hashlimit-name unlisted-count",
            "--hashlimit-above 3/sec --hashlimit-burst 5 --hashlimit-name unlisted-count \
             --hashlimit-rate-match --hashlimit-rate-interval 7",
            "limit: above 37028/day burst 5 htable-expire 1000 rate-match rate-interval 7",
        ),
        taken(
            "",
            "--hashlimit-upto 1kb/s --hashlimit-rate-match --hashlimit-rate-interval 010 \
             --hashlimit-name unlisted-count",
            "--hashlimit-upto 1kb/s --hashlimit-name unlisted-count --hashlimit-rate-match \
             --hashlimit-rate-interval 10",
            "limit: up to 1kb/s rate-match rate-interval 10",
        ),
        // Without the other it means nothing, is not saved, and is told apart.
        taken(
            "",
            "--hashlimit-upto 3/s --hashlimit-rate-interval 5 --hashlimit-name unlisted",
            "--hashlimit-upto 3/sec --hashlimit-burst 5 --hashlimit-name unlisted",
            "limit: up to 51840/day burst 5 htable-expire 1000",
        )
        .lossy(),
    ],
    refused: &[
        refused("", "", "You have to specify --hashlimit"),
        refused("", "--hashlimit-name unlisted", "You have to specify --hashlimit"),
        refused("", "--hashlimit-burst 1kb", "You have to specify --hashlimit"),
        refused(
            "",
            "--hashlimit-upto 3/s",
            "hashlimit: option \"--hashlimit-name\" must be specified\n",
        ),
        refused(
            "",
            "--hashlimit-upto 1kb/s --hashlimit-burst 16",
            "burst cannot be smaller than 1024b",
        ),
        refused(
            "",
            "--hashlimit-upto 3/s --hashlimit-above 4/s --hashlimit-name unlisted",
            "hashlimit: option \"--hashlimit-upto\" cannot be used together with \
             \"--hashlimit-above\".\n",
        ),
        refused(
            "",
            "--hashlimit 3/s --hashlimit-upto 4/s --hashlimit-name unlisted",
            "hashlimit: option \"--hashlimit-upto\" can only be used once.\n",
        ),
        refused(
            "",
            "--hashlimit-upto 3/seconds",
            "hashlimit: Bad value for \"--hashlimit-upto\" option: \"3/seconds\"",
        ),
        refused(
            "",
            "--hashlimit-above x",
            "hashlimit: Bad value for \"--hashlimit-above\" option: \"x\"",
        ),
        refused(
            "",
            "--hashlimit-above 3/",
            "hashlimit: Bad value for \"--hashlimit-above\" option: \"3/\"",
        ),
        refused(
            "",
            "--hashlimit-above 0b/s",
            "hashlimit: Bad value for \"--hashlimit-above\" option: \"0b/s\"",
        ),
        refused("", "--hashlimit-above 1000001/s", "Rate too fast \"1000001/s\""),
        refused("", "--hashlimit-above -1/s", "Rate too fast \"-1/s\""),
        refused(
            "",
            "--hashlimit-upto 3/s --hashlimit-burst 0",
            "bad value for option \"--hashlimit-burst\", or out of range (1-1000000).",
        ),
        refused(
            "",
            "--hashlimit-upto 3/s --hashlimit-burst 1mb",
            "bad value for option \"--hashlimit-burst\", or out of range (1-1000000).",
        ),
        refused(
            "",
            "--hashlimit-burst 1000001",
            "bad value for option \"--hashlimit-burst\", or out of range (1-1000000).",
        ),
        refused(
            "",
            "--hashlimit-upto 3/s --hashlimit-mode none",
            "hashlimit: Bad value for \"--hashlimit-mode\" option: \"none\"",
        ),
        refused(
            "",
            "--hashlimit-mode srcip,SRCIP",
            "hashlimit: Bad value for \"--hashlimit-mode\" option: \"srcip,SRCIP\"",
        ),
        refused(
            "",
            "--hashlimit-srcmask x",
            "hashlimit: bad value for option \"--hashlimit-srcmask\", neither a valid network mask \
             nor valid CIDR (0-32).\n",
        )
        .only(Family::V4),
        refused(
            "",
            "--hashlimit-dstmask 129",
            "hashlimit: bad value for option \"--hashlimit-dstmask\", neither a valid network mask \
             nor valid CIDR (0-128).\n",
        )
        .only(Family::V6),
        refused(
            "",
            "--hashlimit-upto 3/s --hashlimit-name \"\"",
            "Argument must have a minimum length of 1 characters\n",
        ),
        refused(
            "",
            "--hashlimit-htable-max 4294967296",
            "hashlimit: bad value for option \"--hashlimit-htable-max\", or out of range \
             (0-4294967295).\n",
        ),
        refused(
            "",
            "--hashlimit-rate-interval 2147483648",
            "hashlimit: Bad value for \"--hashlimit-rate-interval\" option: \"2147483648\"",
        ),
        refused(
            "",
            "--hashlimit-rate-interval 0",
            "hashlimit: Bad value for \"--hashlimit-rate-interval\" option: \"0\"",
        ),
        refused(
            "",
            "! --hashlimit-rate-match",
            "hashlimit: option \"--hashlimit-rate-match\" cannot be inverted.\n",
        ),
        refused(
            "",
            "! --hashlimit-mode srcip",
            "hashlimit: option \"--hashlimit-mode\" cannot be inverted.\n",
        ),
    ],
    packets: &[
        passes(
            "",
            "--hashlimit-upto 1/hour --hashlimit-burst 1 --hashlimit-name x",
            DATAGRAM,
        ),
        fails(
            "",
            "--hashlimit-upto 1/hour --hashlimit-burst 1 --hashlimit-mode srcip --hashlimit-srcmask \
             24 --hashlimit-name x --hashlimit-htable-size 1 --hashlimit-htable-max 1",
            DATAGRAM,
            "--hashlimit-upto 1/hour: 10.0.0.0 has 0.00 tokens left",
        )
        .after(&["lan udp 10.0.0.3:1 > 192.0.2.8:2"]),
        fails(
            "",
            "--hashlimit-above 1/hour --hashlimit-burst 3 --hashlimit-mode srcip,dstip,dstport \
             --hashlimit-dstmask 28 --hashlimit-name x",
            DATAGRAM,
            "--hashlimit-above 1/hour: 10.0.0.2 > 192.0.2.0 port 2 has 2.00 tokens left",
        )
        .after(&["lan udp 10.0.0.3:1 > 192.0.2.8:2"]),
        passes(
            "",
            "--hashlimit-above 1/hour --hashlimit-burst 1 --hashlimit-mode srcport --hashlimit-name x",
            DATAGRAM,
        )
        .after(&["lan udp 10.0.0.3:1 > 192.0.2.8:7"]),
        fails(
            "",
            "--hashlimit-upto 16b/s --hashlimit-name x --hashlimit-htable-expire 600000 \
             --hashlimit-htable-gcinterval 1000",
            DATAGRAM,
            "--hashlimit-upto 16b/s: table x has 0 bytes left, packet counts as 32",
        )
        .after(&["lan udp 10.0.0.3:1 > 192.0.2.8:2"]),
        fails(
            "",
            "--hashlimit-above 3/hour --hashlimit-burst 1 --hashlimit-rate-match \
             --hashlimit-rate-interval 600 --hashlimit-mode dstip --hashlimit-name x",
            DATAGRAM,
            "--hashlimit-above 3/sec: > 192.0.2.9 has had 1 of 4 in this interval",
        ),
    ],
    spellings: &[
        "-m hashlimit --hashlimit 3/s --hashlimit-name x",
        "-m hashlimit ! --hashlimit-above 3/s --hashlimit-name x",
        "-m hashlimit --hashlimit-upto 180/m --hashlimit-name x",
        "-m hashlimit --hashlimit-upto 3/s --hashlimit-burst 5 --hashlimit-name x",
        "-m hashlimit --hashlimit-upto 3/s --hashlimit-name x --hashlimit-srcmask 16",
        "-m hashlimit --hashlimit-upto 3/s --hashlimit-name x --hashlimit-htable-size 0",
        "-m hashlimit --hashlimit-upto 3/s --hashlimit-name x --hashlimit-rate-interval 1",
        "-m hashlimit --hashlimit-above 3/s --hashlimit-name x",
        "-m hashlimit --hashlimit-upto 3/s --hashlimit-name y",
        "-m hashlimit --hashlimit-upto 1kb/s --hashlimit-name z",
        "-m hashlimit --hashlimit-upto 1024b/s --hashlimit-name z --hashlimit-htable-expire 15000",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 12,
    |draw| {
        // Each kind has tables of its own: the kernel refuses a rule that counts beside one that does not.
        let counts = draw.one_in(3);
        let option = draw.pick(&[UPTO, ABOVE]);
        if draw.one_in(4) {
            draw.give_one(&option.spec, &["1b/s", "1mb/s", "4000mb/s"]);
            draw.maybe(3, &HTABLE_EXPIRE.spec, &["600000", "4294967295"]);
        } else {
            draw.give_one(&option.spec, &["1/hour", "3/hour", "10/hour", "25/day", "24/d", "7/h"]);
            draw.maybe(3, &BURST.spec, &["1", "2", "5", "10", "20"]);
            draw.maybe(5, &HTABLE_EXPIRE.spec, &["600000", "4294967295"]);
        }
        draw.maybe(
            2,
            &MODE.spec,
            &[
                "srcip",
                "dstip",
                "srcip,dstip",
                "dstport",
                "srcip,dstport",
                "srcip,srcport,dstip,dstport",
                "srcport",
            ],
        );
        let names: &[&str] = if counts {
            &["counted", "c"]
        } else {
            &["tokens", "t", "a-third"]
        };
        draw.give_one(&NAME.spec, names);
        draw.maybe(4, &SRCMASK.spec, &["0", "8", "24", "31", "32"]);
        draw.maybe(4, &DSTMASK.spec, &["0", "8", "24", "31", "32"]);
        draw.maybe(6, &HTABLE_SIZE.spec, &["1", "2", "64"]);
        draw.maybe(6, &HTABLE_MAX.spec, &["1", "2", "3", "1000"]);
        draw.maybe(6, &HTABLE_GCINTERVAL.spec, &["60000", "4294967295"]);
        if counts {
            draw.give(&RATE_MATCH.spec, "");
            draw.give_one(&RATE_INTERVAL.spec, &["600", "3600", "86400"]);
        }
    },
)
.in_one_scenario_of(3)
.without(&[(
    "-m hashlimit with rates that bring a token, or entries that are over, within minutes",
    "whether a packet finds a token would depend on milliseconds; kept cases wait for it",
)]);
