//! `-m ttl`: the time to live in the IPv4 header.

use super::hops;
use crate::base::Family;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::option::Opt;
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::ext::{MatchSpec, NeedsOne};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "ttl",
    aliases: &[],
    families: &[Family::V4],
    like: Some("hl"),
    protocol: None,
    options: &[LESS.spec, GREATER.spec, EQUAL.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: NEEDS_ONE,
    }),
    exclusive: &[&[EQUAL.name(), LESS.name(), GREATER.name()]],
    build: hops::build,
    unlist: |listed| hops::unlist(Family::V4, listed),
    directory: None,
    about: "the time to live",
    samples: SAMPLES,
};

pub(super) const WORDS: hops::Words = hops::Words {
    name: SPEC.name,
    listed: "TTL",
    equal: EQUAL,
    less: LESS,
    greater: GREATER,
};

const LESS: Opt<u64> = Opt::integer("ttl-lt", 0, 255, "the time to live is less than this");
const GREATER: Opt<u64> = Opt::integer("ttl-gt", 0, 255, "the time to live is greater than this");
const EQUAL: Opt<u64> = Opt::integer("ttl-eq", 0, 255, "the time to live is this")
    .invertible()
    .also(&["ttl"]);

/// The tool forgets the last quote.
const NEEDS_ONE: &str = "TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt";

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--ttl-eq 64", "--ttl-eq 64", "TTL match TTL == 64"),
        taken("", "! --ttl-eq 64", "! --ttl-eq 64", "TTL match TTL != 64"),
        taken("", "--ttl +0", "--ttl-eq 0", "TTL match TTL == 0"),
        taken("", "! --ttl 0xff", "! --ttl-eq 255", "TTL match TTL != 255"),
        taken("", "--ttl-lt 0x10", "--ttl-lt 16", "TTL match TTL < 16"),
        taken("", "--ttl-lt 0", "--ttl-lt 0", "TTL match TTL < 0"),
        taken("", "--ttl-gt 010", "--ttl-gt 8", "TTL match TTL > 8"),
    ],
    refused: &[
        refused("", "", NEEDS_ONE),
        refused(
            "",
            "--ttl 256",
            "ttl: bad value for option \"--ttl-eq\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--ttl-eq 08",
            "ttl: bad value for option \"--ttl-eq\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--ttl-lt -1",
            "ttl: bad value for option \"--ttl-lt\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--ttl-gt 1:2",
            "ttl: bad value for option \"--ttl-gt\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--ttl-eq 1 --ttl 2",
            "ttl: option \"--ttl-eq\" can only be used once.\n",
        ),
        refused(
            "",
            "--ttl-eq 1 --ttl-lt 2",
            "ttl: option \"--ttl-lt\" cannot be used together with \"--ttl-eq\".\n",
        ),
        refused(
            "",
            "--ttl-lt 1 --ttl-gt 2",
            "ttl: option \"--ttl-lt\" cannot be used together with \"--ttl-gt\".\n",
        ),
        refused(
            "",
            "--ttl-gt 1 ! --ttl-eq 2",
            "ttl: option \"--ttl-gt\" cannot be used together with \"--ttl-eq\".\n",
        ),
        refused("", "! --ttl-lt 2", "ttl: option \"--ttl-lt\" cannot be inverted.\n"),
        refused("", "! --ttl-gt 2", "ttl: option \"--ttl-gt\" cannot be inverted.\n"),
    ],
    // FORWARD sees one less than came in.
    packets: &[
        passes("", "--ttl-eq 7", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 8"),
        passes("", "! --ttl-eq 7", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 7"),
        passes("", "--ttl-lt 7", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 7"),
        passes("", "--ttl-gt 7", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 9"),
        passes("", "--ttl-gt 253", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 255"),
        fails(
            "",
            "--ttl-eq 7",
            "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 7",
            "--ttl-eq 7: packet has 6",
        ),
        fails(
            "",
            "! --ttl-eq 7",
            "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 8",
            "! --ttl-eq 7: packet has 7",
        ),
        fails(
            "",
            "--ttl-lt 7",
            "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 8",
            "--ttl-lt 7: packet has 7",
        ),
        fails(
            "",
            "--ttl-gt 7",
            "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 8",
            "--ttl-gt 7: packet has 7",
        ),
    ],
    spellings: &[
        "-m ttl --ttl-eq 5",
        "-m ttl --ttl 5",
        "-m ttl --ttl 0x5",
        "-m ttl ! --ttl 5",
        "-m ttl --ttl-lt 5",
        "-m ttl --ttl-gt 5",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| match draw.below(3) {
        0 => draw.give_one(&EQUAL.spec, &["63", "64", "1", "255", "0"]),
        1 => draw.give_one(&LESS.spec, &["64", "2", "10", "65"]),
        _ => draw.give_one(&GREATER.spec, &["63", "1", "62", "254"]),
    },
)
.in_one_scenario_of(4);
