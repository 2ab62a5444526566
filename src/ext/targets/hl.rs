//! `-j HL`: writes the hop limit of the IPv6 header.

use super::hops;
use crate::base::Family;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::option::Opt;
use crate::ext::samples::{Samples, passes, refused, taken};
use crate::ext::{NeedsOne, TargetSpec};
use crate::rule::Table;

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "HL",
    listed_as: "HL",
    families: &[Family::V6],
    like: Some("TTL"),
    options: &[SET.spec, DECREMENT.spec, INCREMENT.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: NEEDS_ONE,
    }),
    exclusive: &[&[SET.name(), INCREMENT.name(), DECREMENT.name()]],
    build: hops::build,
    unlist: |listed| hops::unlist(Family::V6, listed),
    about: "writes the hop limit",
    samples: SAMPLES,
};

pub(super) const WORDS: hops::Words = hops::Words {
    name: SPEC.name,
    set: SET,
    decrement: DECREMENT,
    increment: INCREMENT,
};

const SET: Opt<u64> = Opt::integer("hl-set", 0, 255, "to this");
const DECREMENT: Opt<u64> = Opt::integer("hl-dec", 1, 255, "less by this, down to 0");
const INCREMENT: Opt<u64> = Opt::integer("hl-inc", 1, 255, "more by this, up to 255");

const NEEDS_ONE: &str = "HL: You must specify an action";

const SAMPLES: Samples = Samples {
    place: ("mangle", "FORWARD"),
    taken: &[
        taken("", "--hl-set 64", "--hl-set 64", "HL set to 64"),
        taken("", "--hl-set 0", "--hl-set 0", "HL set to 0"),
        taken("", "--hl-set 0xff", "--hl-set 255", "HL set to 255"),
        taken("", "--hl-dec 1", "--hl-dec 1", "HL decrement by 1"),
        taken("", "--hl-dec 255", "--hl-dec 255", "HL decrement by 255"),
        taken("", "--hl-inc 010", "--hl-inc 8", "HL increment by 8"),
    ],
    refused: &[
        refused("", "", NEEDS_ONE),
        refused(
            "",
            "--hl-set 256",
            "HL: bad value for option \"--hl-set\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--hl-set x",
            "HL: bad value for option \"--hl-set\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--hl-inc 0",
            "HL: bad value for option \"--hl-inc\", or out of range (1-255).\n",
        ),
        refused(
            "",
            "--hl-dec 0",
            "HL: bad value for option \"--hl-dec\", or out of range (1-255).\n",
        ),
        refused(
            "",
            "--hl-set 5 --hl-set 6",
            "HL: option \"--hl-set\" can only be used once.\n",
        ),
        refused(
            "",
            "--hl-inc 5 --hl-inc 0",
            "HL: option \"--hl-inc\" can only be used once.\n",
        ),
        refused(
            "",
            "--hl-inc 1 --hl-set 0",
            "HL: option \"--hl-set\" cannot be used together with \"--hl-inc\".\n",
        ),
        refused(
            "",
            "--hl-dec 5 --hl-set 6",
            "HL: option \"--hl-set\" cannot be used together with \"--hl-dec\".\n",
        ),
        refused(
            "",
            "--hl-inc 5 --hl-dec 6",
            "HL: option \"--hl-dec\" cannot be used together with \"--hl-inc\".\n",
        ),
        refused("", "! --hl-set 5", "HL: option \"--hl-set\" cannot be inverted.\n"),
        refused("", "! --hl-dec 5", "HL: option \"--hl-dec\" cannot be inverted.\n"),
        refused("", "! --hl-inc 5", "HL: option \"--hl-inc\" cannot be inverted.\n"),
    ],
    packets: &[
        passes("", "--hl-set 5", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hl 64"),
        passes("", "--hl-set 0", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hl 64"),
        passes("", "--hl-dec 5", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hl 64"),
        passes("", "--hl-dec 9", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hl 8"),
        passes("", "--hl-inc 5", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hl 64"),
        passes("", "--hl-inc 2", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hl 255"),
    ],
    spellings: &[
        "-j HL --hl-set 5",
        "-j HL --hl-set 0x5",
        "-j HL --hl-set 05",
        "-j HL --hl-inc 5",
        "-j HL --hl-dec 5",
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
