//! `-m dst`: the destination options header of IPv6.

use super::option_header::{self, Header, OptionList, Words};
use crate::base::Family;
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::option::{Opt, Read};
use crate::ext::samples::{DATAGRAM6, Samples, fails, passes, refused, taken};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "dst",
    aliases: &[],
    families: &[Family::V6],
    like: None,
    protocol: None,
    options: &[LENGTH.spec, OPTIONS.spec],
    needs_one: None,
    exclusive: &[],
    build: |given| option_header::build(Header::Destination, given),
    unlist: |listed| option_header::unlist(Header::Destination, listed),
    directory: None,
    about: "the destination options header of IPv6",
    samples: SAMPLES,
};

pub(super) const WORDS: Words = Words {
    name: SPEC.name,
    header: "destination options header",
    length: LENGTH,
    options: OPTIONS,
    no_length: "PAD0 hasn't got length",
};

const LENGTH: Opt<u64> = Opt::integer("dst-len", 0, u32::MAX as u64, "the header's length in bytes").invertible();
const OPTIONS: Opt<OptionList> = Opt::own(
    "dst-opts",
    "TYPE[:LENGTH][,...]",
    &Read(|text, _| option_header::option_list(Header::Destination, text)),
    "its options begin with these, padding counted: at most 16, each with its length in bytes where that is asked",
);

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "", "", "dst"),
        taken("", "--dst-len 8", "--dst-len 8", "dst length:8"),
        taken("", "! --dst-len 8", "! --dst-len 8", "dst length:!8"),
        taken("", "--dst-len 0", "--dst-len 0", "dst length:0"),
        taken("", "! --dst-len 0", "! --dst-len 0", "dst length:!0"),
        taken(
            "",
            "--dst-len 4294967295",
            "--dst-len 4294967295",
            "dst length:4294967295",
        ),
        taken("", "--dst-opts 5", "--dst-opts 5", "dst opts 5"),
        taken("", "--dst-opts 5:2", "--dst-opts 5:2", "dst opts 5:2"),
        taken("", "--dst-opts 1:4,5:2,0", "--dst-opts 1:4,5:2,0", "dst opts 1:4,5:2,0"),
        taken("", "--dst-opts 0x5:0x2", "--dst-opts 5:2", "dst opts 5:2"),
        taken("", "--dst-opts 255:253", "--dst-opts 255:253", "dst opts 255:253"),
        taken("", "--dst-opts 255:255", "--dst-opts 255", "dst opts 255"),
        taken("", "--dst-opts 5:256", "--dst-opts 5:0", "dst opts 5:0"),
        taken("", "--dst-opts 256", "--dst-opts 0", "dst opts 0"),
        taken("", "--dst-opts 5:254", "--dst-opts 5:254", "dst opts 5:254"),
        taken(
            "",
            "--dst-opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
            "--dst-opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
            "dst opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
        ),
        taken("", "--dst-opts 5:0", "--dst-opts 5:0", "dst opts 5:0"),
        taken(
            "",
            "--dst-len 8 --dst-opts 5:2",
            "--dst-len 8 --dst-opts 5:2",
            "dst length:8 opts 5:2",
        ),
    ],
    refused: &[
        refused(
            "",
            "--dst-len x",
            "dst: bad value for option \"--dst-len\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--dst-len 4294967296",
            "dst: bad value for option \"--dst-len\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--dst-len 1:2",
            "dst: bad value for option \"--dst-len\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--dst-len 8 --dst-len 8",
            "dst: option \"--dst-len\" can only be used once.\n",
        ),
        refused("", "--dst-opts 5:", "dst: no valid digits in length `'"),
        refused("", "--dst-opts :5", "dst: no valid digits in opt `'"),
        refused("", "--dst-opts x", "dst: no valid digits in opt `x'"),
        refused("", "--dst-opts 5:x", "dst: no valid digits in length `x'"),
        refused("", "--dst-opts \"\"", "dst: no valid digits in opt `'"),
        refused("", "--dst-opts 5,", "dst: no valid digits in opt `'"),
        refused("", "--dst-opts ,5", "dst: no valid digits in opt `'"),
        refused("", "--dst-opts 5,,6", "dst: no valid digits in opt `'"),
        refused("", "--dst-opts 5:2:3", "dst: error parsing length `2:3'"),
        refused("", "! --dst-opts 5", "dst: option \"--dst-opts\" cannot be inverted.\n"),
        refused(
            "",
            "--dst-opts 5 --dst-opts 6",
            "dst: option \"--dst-opts\" can only be used once.\n",
        ),
        refused(
            "",
            "--dst-opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
            "too many addresses specified",
        ),
        refused(
            "",
            "--dst-opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16:2",
            "too many ports specified",
        ),
        refused(
            "",
            "--dst-opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,x:2,17",
            "too many ports specified",
        ),
        refused("", "--dst-opts 0:0", "PAD0 hasn't got length"),
    ],
    packets: &[
        passes("", "", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt ra 0"),
        passes("", "--dst-len 8", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt ra 0"),
        passes(
            "",
            "! --dst-len 8",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt pad 20",
        ),
        passes(
            "",
            "--dst-opts 5:2",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt ra 0",
        ),
        passes(
            "",
            "--dst-opts 5,1:0",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt ra 0",
        ),
        passes(
            "",
            "--dst-opts 0,5:2,62:1",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt pad 1 ra 0 opt 62 0x01",
        ),
        passes(
            "",
            "--dst-opts 0,5",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt pad 1 ra 0 opt 62 0x01",
        ),
        fails("", "", DATAGRAM6, "dst: packet has no destination options header"),
        fails(
            "",
            "--dst-len 16",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt ra 0",
            "--dst-len 16: packet has 8",
        ),
        fails(
            "",
            "! --dst-len 8",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt ra 0",
            "! --dst-len 8: packet has 8",
        ),
        fails(
            "",
            "--dst-opts 5:3",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt ra 0",
            "--dst-opts 5:3: packet has others",
        ),
        fails(
            "",
            "--dst-opts 5",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt pad 1 ra 0 opt 62 0x01",
            "--dst-opts 5: packet has others",
        ),
        fails(
            "",
            "--dst-opts 5,1,0",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 dstopt ra 0",
            "--dst-opts 5,1,0: packet has others",
        ),
    ],
    spellings: &[
        "-m dst",
        "-m dst --dst-len 0",
        "-m dst ! --dst-len 0",
        "-m dst --dst-opts 5",
        "-m dst --dst-opts 5:255",
        "-m dst --dst-opts 5:2",
        "-m dst --dst-opts 5:2,6",
        "-m dst --dst-opts 0",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| {
        draw.maybe(3, &LENGTH.spec, &["8", "16", "24", "0"]);
        draw.maybe(
            2,
            &OPTIONS.spec,
            &["5", "5:2", "1", "1:4", "5,1", "5:2,1:0", "0,0", "201:16", "62:1", "194"],
        );
    },
)
.in_one_scenario_of(4);
