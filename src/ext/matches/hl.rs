//! `-m hl`: the hop limit in the IPv6 header.

use super::hops;
use crate::base::Family;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::option::Opt;
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::ext::{MatchSpec, NeedsOne};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "hl",
    aliases: &[],
    families: &[Family::V6],
    like: Some("ttl"),
    protocol: None,
    options: &[LESS.spec, GREATER.spec, EQUAL.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: NEEDS_ONE,
    }),
    exclusive: &[&[EQUAL.name(), LESS.name(), GREATER.name()]],
    build: hops::build,
    unlist: |listed| hops::unlist(Family::V6, listed),
    directory: None,
    about: "the hop limit",
    samples: SAMPLES,
};

pub(super) const WORDS: hops::Words = hops::Words {
    name: SPEC.name,
    listed: "HL",
    equal: EQUAL,
    less: LESS,
    greater: GREATER,
};

const LESS: Opt<u64> = Opt::integer("hl-lt", 0, 255, "the hop limit is less than this");
const GREATER: Opt<u64> = Opt::integer("hl-gt", 0, 255, "the hop limit is greater than this");
const EQUAL: Opt<u64> = Opt::integer("hl-eq", 0, 255, "the hop limit is this")
    .invertible()
    .also(&["hl"]);

const NEEDS_ONE: &str = "HL match: You must specify one of `--hl-eq', `--hl-lt', `--hl-gt'";

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--hl-eq 64", "--hl-eq 64", "HL match HL == 64"),
        taken("", "! --hl-eq 64", "! --hl-eq 64", "HL match HL != 64"),
        taken("", "--hl +0", "--hl-eq 0", "HL match HL == 0"),
        taken("", "! --hl 0xff", "! --hl-eq 255", "HL match HL != 255"),
        taken("", "--hl-lt 0x10", "--hl-lt 16", "HL match HL < 16"),
        taken("", "--hl-lt 0", "--hl-lt 0", "HL match HL < 0"),
        taken("", "--hl-gt 010", "--hl-gt 8", "HL match HL > 8"),
    ],
    refused: &[
        refused("", "", NEEDS_ONE),
        refused(
            "",
            "--hl 256",
            "hl: bad value for option \"--hl-eq\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--hl-eq 08",
            "hl: bad value for option \"--hl-eq\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--hl-lt -1",
            "hl: bad value for option \"--hl-lt\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--hl-gt 1:2",
            "hl: bad value for option \"--hl-gt\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--hl-eq 1 --hl 2",
            "hl: option \"--hl-eq\" can only be used once.\n",
        ),
        refused(
            "",
            "--hl-eq 1 --hl-lt 2",
            "hl: option \"--hl-lt\" cannot be used together with \"--hl-eq\".\n",
        ),
        refused(
            "",
            "--hl-lt 1 --hl-gt 2",
            "hl: option \"--hl-lt\" cannot be used together with \"--hl-gt\".\n",
        ),
        refused(
            "",
            "--hl-gt 1 ! --hl-eq 2",
            "hl: option \"--hl-gt\" cannot be used together with \"--hl-eq\".\n",
        ),
        refused("", "! --hl-lt 2", "hl: option \"--hl-lt\" cannot be inverted.\n"),
        refused("", "! --hl-gt 2", "hl: option \"--hl-gt\" cannot be inverted.\n"),
    ],
    // FORWARD sees one less than came in.
    packets: &[
        passes("", "--hl-eq 7", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hl 8"),
        passes("", "! --hl-eq 7", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ttl 7"),
        passes("", "--hl-lt 7", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ttl 7"),
        passes("", "--hl-gt 7", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ttl 9"),
        passes("", "--hl-gt 253", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ttl 255"),
        fails(
            "",
            "--hl-eq 7",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ttl 7",
            "--hl-eq 7: packet has 6",
        ),
        fails(
            "",
            "! --hl-eq 7",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hl 8",
            "! --hl-eq 7: packet has 7",
        ),
        fails(
            "",
            "--hl-lt 7",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hl 8",
            "--hl-lt 7: packet has 7",
        ),
        fails(
            "",
            "--hl-gt 7",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hl 8",
            "--hl-gt 7: packet has 7",
        ),
    ],
    spellings: &[
        "-m hl --hl-eq 5",
        "-m hl --hl 5",
        "-m hl --hl 0x5",
        "-m hl ! --hl 5",
        "-m hl --hl-lt 5",
        "-m hl --hl-gt 5",
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
