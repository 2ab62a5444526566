//! What `-m recent` is tried on.

use super::{HITCOUNT, MASK, NAME, RCHECK, RDEST, REAP, REMOVE, RSOURCE, RTTL, SECONDS, SET, UPDATE};
use crate::base::Family;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};

pub(super) const SAMPLES: Samples = Samples {
    place: ("filter", "INPUT"),
    taken: &[
        // A mask is printed, and read again makes another rule, if none was given.
        taken(
            "",
            "--set",
            "--set --name DEFAULT --mask 255.255.255.255 --rsource",
            "recent: SET name: DEFAULT side: source mask: 255.255.255.255",
        )
        .told_apart(),
        taken(
            "",
            "--set",
            "--set --name DEFAULT --mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --rsource",
            "recent: SET name: DEFAULT side: source mask: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ),
        taken(
            "",
            "--rcheck --rdest --mask ffff:ffff:ffff:ffff::",
            "--rcheck --name DEFAULT --mask ffff:ffff:ffff:ffff:: --rdest",
            "recent: CHECK name: DEFAULT side: dest mask: ffff:ffff:ffff:ffff::",
        ),
        taken(
            "",
            "! --set --rdest --name foo --mask 255.255.255.255",
            "! --set --name foo --mask 255.255.255.255 --rdest",
            "! recent: SET name: foo side: dest mask: 255.255.255.255",
        ),
        taken(
            "",
            "--rdest --set --rsource --mask 255.255.255.255",
            "--set --name DEFAULT --mask 255.255.255.255 --rsource",
            "recent: SET name: DEFAULT side: source mask: 255.255.255.255",
        ),
        taken(
            "",
            "--rcheck --hitcount 0 --mask 255.255.255.255",
            "--rcheck --name DEFAULT --mask 255.255.255.255 --rsource",
            "recent: CHECK name: DEFAULT side: source mask: 255.255.255.255",
        ),
        taken(
            "",
            "--rcheck --rttl --hitcount 3 --reap --seconds 60 --mask 255.255.255.255",
            "--rcheck --seconds 60 --reap --hitcount 3 --rttl --name DEFAULT --mask 255.255.255.255 --rsource",
            "recent: CHECK seconds: 60 reap hit_count: 3 TTL-Match name: DEFAULT side: source mask: 255.255.255.255",
        ),
        taken(
            "",
            "! --update --seconds 0x10 --hitcount 012 --mask 255.255.255.0",
            "! --update --seconds 16 --hitcount 10 --name DEFAULT --mask 255.255.255.0 --rsource",
            "! recent: UPDATE seconds: 16 hit_count: 10 name: DEFAULT side: source mask: 255.255.255.0",
        ),
        // Its sign is printed, and not read again.
        taken(
            "",
            "--rcheck --seconds 4294967295",
            "--rcheck --seconds -1 --name DEFAULT --mask 255.255.255.255 --rsource",
            "recent: CHECK seconds: -1 name: DEFAULT side: source mask: 255.255.255.255",
        )
        .lossy(),
        taken(
            "",
            "--remove --mask 24",
            "--remove --name DEFAULT --mask 0.0.0.24 --rsource",
            "recent: REMOVE name: DEFAULT side: source mask: 0.0.0.24",
        ),
        taken(
            "",
            "--rcheck --hitcount 65535 --mask 255.255.255.255",
            "--rcheck --hitcount 65535 --name DEFAULT --mask 255.255.255.255 --rsource",
            "recent: CHECK hit_count: 65535 name: DEFAULT side: source mask: 255.255.255.255",
        ),
    ],
    refused: &[
        refused("", "", NEEDS_ONE),
        refused("", "--name x", NEEDS_ONE),
        refused("", "--seconds 5 --hitcount 5 --rsource", NEEDS_ONE),
        refused("", "--set --set", "recent: option \"--set\" can only be used once.\n"),
        refused(
            "",
            "--update --set",
            "recent: option \"--set\" cannot be used together with \"--update\".\n",
        ),
        refused(
            "",
            "--set --remove",
            "recent: option \"--set\" cannot be used together with \"--remove\".\n",
        ),
        refused(
            "",
            "--rttl --set",
            "recent: option \"--rttl\" cannot be used together with \"--set\".\n",
        ),
        refused(
            "",
            "--remove --rttl",
            "recent: option \"--rttl\" cannot be used together with \"--remove\".\n",
        ),
        refused(
            "",
            "--set --reap",
            "recent: option \"--reap\" also requires \"--seconds\".\n",
        ),
        refused(
            "",
            "--set --rttl --reap",
            "recent: option \"--reap\" also requires \"--seconds\".\n",
        ),
        refused(
            "",
            "--rcheck --seconds 0",
            "recent: bad value for option \"--seconds\", or out of range (1-4294967295).\n",
        ),
        refused(
            "",
            "--rcheck --hitcount x",
            "recent: bad value for option \"--hitcount\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--set --mask x",
            "getaddrinfo: Temporary failure in name resolution\n",
        ),
        refused(
            "",
            "--set --mask ffff::",
            "getaddrinfo: Address family for hostname not supported\n",
        )
        .only(Family::V4),
        refused(
            "",
            "--set --mask 24",
            "getaddrinfo: Address family for hostname not supported\n",
        )
        .only(Family::V6),
        refused(
            "",
            "--set --name a --name b",
            "recent: option \"--name\" can only be used once.\n",
        ),
        refused(
            "",
            "--rcheck ! --seconds 10",
            "recent: option \"--seconds\" cannot be inverted.\n",
        ),
    ],
    packets: &[
        passes("", "--set", DATAGRAM),
        fails(
            "",
            "! --set --rdest --name out --mask 255.255.255.0",
            DATAGRAM,
            "! --set: 192.0.2.0 is in list out from now on",
        ),
        fails("", "--rcheck", DATAGRAM, "--rcheck: 10.0.0.2 is not in list DEFAULT"),
        passes("", "! --rcheck --seconds 10 --hitcount 2", DATAGRAM),
        fails(
            "",
            "--update --seconds 10 --reap --hitcount 2 --rttl --rsource",
            DATAGRAM,
            "--update --seconds 10 --reap --hitcount 2 --rttl: 10.0.0.2 is not in list DEFAULT",
        ),
        passes("", "! --update --rttl", DATAGRAM),
        fails("", "--remove", DATAGRAM, "--remove: 10.0.0.2 is not in list DEFAULT"),
        passes("", "! --remove", DATAGRAM),
    ],
    spellings: &[
        "-m recent --set",
        "-m recent --set --rsource",
        "-m recent --set --name DEFAULT",
        "-m recent --set --rdest",
        "-m recent ! --set",
        "-m recent --rcheck",
        "-m recent --rcheck --hitcount 0",
        "-m recent --rcheck --hitcount 1",
        "-m recent --rcheck --seconds 5",
        "-m recent --rcheck --seconds 5 --reap",
        "-m recent --rcheck --rttl",
        "-m recent --set --mask 255.255.255.0",
        "-m recent --set --name default",
    ],
    drawn: DRAWN,
};

const NEEDS_ONE: &str = "recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'";

const DRAWN: Drawn = drawn(
    |_| 12,
    |draw| {
        let command = draw.pick(&[SET, SET, RCHECK, UPDATE, REMOVE]);
        draw.give(&command.spec, "");
        if [RCHECK.name(), UPDATE.name()].contains(&command.name()) {
            if draw.one_in(3) {
                draw.give_one(&SECONDS.spec, &["600", "3600", "4294967295"]);
                draw.maybe_flag(2, &REAP.spec);
            }
            draw.maybe(3, &HITCOUNT.spec, &["0", "1", "2", "3", "5", "40"]);
            draw.maybe_flag(4, &RTTL.spec);
        }
        draw.maybe(2, &NAME.spec, &["a", "b", "a-third"]);
        match draw.below(4) {
            0 => draw.give(&RDEST.spec, ""),
            1 => draw.give(&RSOURCE.spec, ""),
            _ => {}
        }
        draw.maybe(4, &MASK.spec, &["255.255.255.0", "0.0.0.1", "255.255.255.255"]);
    },
)
.in_one_scenario_of(4)
.without(&[(
    "-m recent --seconds of a few seconds",
    "whether an address was seen in them would depend on milliseconds; kept cases wait for it",
)]);
