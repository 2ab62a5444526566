//! `-j TTL`: writes the time to live of the IPv4 header.

use super::hops;
use crate::base::Family;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::option::Opt;
use crate::ext::samples::{Samples, passes, refused, taken};
use crate::ext::{NeedsOne, TargetSpec};
use crate::rule::Table;

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "TTL",
    listed_as: "TTL",
    families: &[Family::V4],
    like: Some("HL"),
    options: &[SET.spec, DECREMENT.spec, INCREMENT.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: NEEDS_ONE,
    }),
    exclusive: &[&[SET.name(), INCREMENT.name(), DECREMENT.name()]],
    build: hops::build,
    unlist: |listed| hops::unlist(Family::V4, listed),
    about: "writes the time to live",
    samples: SAMPLES,
};

pub(super) const WORDS: hops::Words = hops::Words {
    name: SPEC.name,
    set: SET,
    decrement: DECREMENT,
    increment: INCREMENT,
};

const SET: Opt<u64> = Opt::integer("ttl-set", 0, 255, "to this");
const DECREMENT: Opt<u64> = Opt::integer("ttl-dec", 1, 255, "less by this, down to 0");
const INCREMENT: Opt<u64> = Opt::integer("ttl-inc", 1, 255, "more by this, up to 255");

const NEEDS_ONE: &str = "TTL: You must specify an action";

const SAMPLES: Samples = Samples {
    place: ("mangle", "FORWARD"),
    taken: &[
        taken("", "--ttl-set 64", "--ttl-set 64", "TTL set to 64"),
        taken("", "--ttl-set 0", "--ttl-set 0", "TTL set to 0"),
        taken("", "--ttl-set 0xff", "--ttl-set 255", "TTL set to 255"),
        taken("", "--ttl-dec 1", "--ttl-dec 1", "TTL decrement by 1"),
        taken("", "--ttl-dec 255", "--ttl-dec 255", "TTL decrement by 255"),
        taken("", "--ttl-inc 010", "--ttl-inc 8", "TTL increment by 8"),
    ],
    refused: &[
        refused("", "", NEEDS_ONE),
        refused(
            "",
            "--ttl-set 256",
            "TTL: bad value for option \"--ttl-set\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--ttl-set x",
            "TTL: bad value for option \"--ttl-set\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--ttl-inc 0",
            "TTL: bad value for option \"--ttl-inc\", or out of range (1-255).\n",
        ),
        refused(
            "",
            "--ttl-dec 0",
            "TTL: bad value for option \"--ttl-dec\", or out of range (1-255).\n",
        ),
        refused(
            "",
            "--ttl-set 5 --ttl-set 6",
            "TTL: option \"--ttl-set\" can only be used once.\n",
        ),
        refused(
            "",
            "--ttl-inc 5 --ttl-inc 0",
            "TTL: option \"--ttl-inc\" can only be used once.\n",
        ),
        refused(
            "",
            "--ttl-inc 1 --ttl-set 0",
            "TTL: option \"--ttl-set\" cannot be used together with \"--ttl-inc\".\n",
        ),
        refused(
            "",
            "--ttl-dec 5 --ttl-set 6",
            "TTL: option \"--ttl-set\" cannot be used together with \"--ttl-dec\".\n",
        ),
        refused(
            "",
            "--ttl-inc 5 --ttl-dec 6",
            "TTL: option \"--ttl-dec\" cannot be used together with \"--ttl-inc\".\n",
        ),
        refused("", "! --ttl-set 5", "TTL: option \"--ttl-set\" cannot be inverted.\n"),
        refused("", "! --ttl-dec 5", "TTL: option \"--ttl-dec\" cannot be inverted.\n"),
        refused("", "! --ttl-inc 5", "TTL: option \"--ttl-inc\" cannot be inverted.\n"),
    ],
    packets: &[
        passes("", "--ttl-set 5", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 64"),
        passes("", "--ttl-set 0", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 64"),
        passes("", "--ttl-dec 5", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 64"),
        passes("", "--ttl-dec 9", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 8"),
        passes("", "--ttl-inc 5", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 64"),
        passes("", "--ttl-inc 2", "udp 10.0.0.2:1 > 192.0.2.9:2 ttl 255"),
    ],
    spellings: &[
        "-j TTL --ttl-set 5",
        "-j TTL --ttl-set 0x5",
        "-j TTL --ttl-set 05",
        "-j TTL --ttl-inc 5",
        "-j TTL --ttl-dec 5",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match place.table {
        Table::Mangle => 12,
        _ => 0,
    },
    |draw| match draw.below(3) {
        0 => draw.give_one(&SET.spec, &["64", "1", "2", "0", "255"]),
        1 => draw.give_one(&DECREMENT.spec, &["1", "2", "63", "64", "255"]),
        _ => draw.give_one(&INCREMENT.spec, &["1", "2", "190", "191", "255"]),
    },
)
.in_one_scenario_of(4);
