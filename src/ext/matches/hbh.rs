//! `-m hbh`: the hop-by-hop options header of IPv6.

use super::option_header::{self, Header, OptionList, Words};
use crate::base::Family;
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::option::{Opt, Read};
use crate::ext::samples::{DATAGRAM6, Samples, fails, passes, refused, taken};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "hbh",
    aliases: &[],
    families: &[Family::V6],
    like: None,
    protocol: None,
    options: &[LENGTH.spec, OPTIONS.spec],
    needs_one: None,
    exclusive: &[],
    build: |given| option_header::build(Header::HopByHop, given),
    unlist: |listed| option_header::unlist(Header::HopByHop, listed),
    directory: None,
    about: "the hop-by-hop options header of IPv6",
    samples: SAMPLES,
};

pub(super) const WORDS: Words = Words {
    name: SPEC.name,
    header: "hop-by-hop options header",
    length: LENGTH,
    options: OPTIONS,
    no_length: "PAD0 has not got length",
};

const LENGTH: Opt<u64> = Opt::integer("hbh-len", 0, u32::MAX as u64, "the header's length in bytes").invertible();
const OPTIONS: Opt<OptionList> = Opt::own(
    "hbh-opts",
    "TYPE[:LENGTH][,...]",
    &Read(|text, _| option_header::option_list(Header::HopByHop, text)),
    "its options begin with these, padding counted: at most 16, each with its length in bytes where that is asked",
);

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "", "", "hbh"),
        taken("", "--hbh-len 8", "--hbh-len 8", "hbh length:8"),
        taken("", "! --hbh-len 8", "! --hbh-len 8", "hbh length:!8"),
        taken("", "--hbh-len 0", "--hbh-len 0", "hbh length:0"),
        taken("", "! --hbh-len 0", "! --hbh-len 0", "hbh length:!0"),
        taken(
            "",
            "--hbh-len 4294967295",
            "--hbh-len 4294967295",
            "hbh length:4294967295",
        ),
        taken("", "--hbh-opts 5", "--hbh-opts 5", "hbh opts 5"),
        taken("", "--hbh-opts 5:2", "--hbh-opts 5:2", "hbh opts 5:2"),
        taken("", "--hbh-opts 1:4,5:2,0", "--hbh-opts 1:4,5:2,0", "hbh opts 1:4,5:2,0"),
        taken("", "--hbh-opts 0x5:0x2", "--hbh-opts 5:2", "hbh opts 5:2"),
        taken("", "--hbh-opts 255:253", "--hbh-opts 255:253", "hbh opts 255:253"),
        taken("", "--hbh-opts 255:255", "--hbh-opts 255", "hbh opts 255"),
        taken("", "--hbh-opts 5:256", "--hbh-opts 5:0", "hbh opts 5:0"),
        taken("", "--hbh-opts 256", "--hbh-opts 0", "hbh opts 0"),
        taken("", "--hbh-opts 5:254", "--hbh-opts 5:254", "hbh opts 5:254"),
        taken(
            "",
            "--hbh-opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
            "--hbh-opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
            "hbh opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
        ),
        taken("", "--hbh-opts 5:0", "--hbh-opts 5:0", "hbh opts 5:0"),
        taken(
            "",
            "--hbh-len 8 --hbh-opts 5:2",
            "--hbh-len 8 --hbh-opts 5:2",
            "hbh length:8 opts 5:2",
        ),
        taken("", "--hbh-opts -1", "--hbh-opts 255", "hbh opts 255"),
        taken("", "--hbh-opts 4294967296", "--hbh-opts 0", "hbh opts 0"),
        taken("", "--hbh-opts 4294967295", "--hbh-opts 255", "hbh opts 255"),
        taken("", "--hbh-opts \" 5\"", "--hbh-opts 5", "hbh opts 5"),
        taken("", "--hbh-opts +5", "--hbh-opts 5", "hbh opts 5"),
        taken("", "--hbh-opts 5:-1", "--hbh-opts 5", "hbh opts 5"),
        taken("", "--hbh-opts 010", "--hbh-opts 8", "hbh opts 8"),
    ],
    refused: &[
        refused(
            "",
            "--hbh-len x",
            "hbh: bad value for option \"--hbh-len\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--hbh-len 4294967296",
            "hbh: bad value for option \"--hbh-len\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--hbh-len 1:2",
            "hbh: bad value for option \"--hbh-len\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--hbh-len 8 --hbh-len 8",
            "hbh: option \"--hbh-len\" can only be used once.\n",
        ),
        refused("", "--hbh-opts 5:", "hbh: no valid digits in length `'"),
        refused("", "--hbh-opts :5", "hbh: no valid digits in opt `'"),
        refused("", "--hbh-opts x", "hbh: no valid digits in opt `x'"),
        refused("", "--hbh-opts 5:x", "hbh: no valid digits in length `x'"),
        refused("", "--hbh-opts \"\"", "hbh: no valid digits in opt `'"),
        refused("", "--hbh-opts 5,", "hbh: no valid digits in opt `'"),
        refused("", "--hbh-opts ,5", "hbh: no valid digits in opt `'"),
        refused("", "--hbh-opts 5,,6", "hbh: no valid digits in opt `'"),
        refused("", "--hbh-opts 5:2:3", "hbh: error parsing length `2:3'"),
        refused("", "! --hbh-opts 5", "hbh: option \"--hbh-opts\" cannot be inverted.\n"),
        refused(
            "",
            "--hbh-opts 5 --hbh-opts 6",
            "hbh: option \"--hbh-opts\" can only be used once.\n",
        ),
        refused(
            "",
            "--hbh-opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
            "too many addresses specified",
        ),
        refused(
            "",
            "--hbh-opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16:2",
            "too many ports specified",
        ),
        refused(
            "",
            "--hbh-opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,x:2,17",
            "too many ports specified",
        ),
        refused("", "--hbh-opts 0:0", "PAD0 has not got length"),
        refused("", "--hbh-opts 0:1", "PAD0 has not got length"),
        refused("", "--hbh-opts 256:1", "PAD0 has not got length"),
        refused(
            "",
            "--hbh-opts 99999999999999999999",
            "opt `99999999999999999999' specified too big: would overflow",
        ),
        refused(
            "",
            "--hbh-opts 5:99999999999999999999",
            "length `99999999999999999999' specified too big: would overflow",
        ),
        refused("", "--hbh-opts 5x", "hbh: error parsing opt `5x'"),
        refused("", "--hbh-opts 5:0x", "hbh: error parsing length `0x'"),
        refused("", "--hbh-opts 0:255", "PAD0 has not got length"),
        refused("", "--hbh-opts 0:256", "PAD0 has not got length"),
        refused("", "--hbh-opts \"1 ,2\"", "hbh: error parsing opt `1 '"),
    ],
    packets: &[
        passes("", "", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh ra 0"),
        passes("", "--hbh-len 8", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh ra 0"),
        passes(
            "",
            "! --hbh-len 8",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh ra 0 opt 62 0x000000000000",
        ),
        passes("", "--hbh-opts 5:2", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh ra 0"),
        passes(
            "",
            "--hbh-opts 5,1:0",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh ra 0",
        ),
        passes(
            "",
            "--hbh-opts 0,5:2,62:1",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh pad 1 ra 0 opt 62 0x01",
        ),
        passes(
            "",
            "--hbh-opts 0,5",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh pad 1 ra 0 opt 62 0x01",
        ),
        fails("", "", DATAGRAM6, "hbh: packet has no hop-by-hop options header"),
        fails(
            "",
            "--hbh-len 16",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh ra 0",
            "--hbh-len 16: packet has 8",
        ),
        fails(
            "",
            "! --hbh-len 8",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh ra 0",
            "! --hbh-len 8: packet has 8",
        ),
        fails(
            "",
            "--hbh-opts 5:3",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh ra 0",
            "--hbh-opts 5:3: packet has others",
        ),
        fails(
            "",
            "--hbh-opts 5",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh pad 1 ra 0 opt 62 0x01",
            "--hbh-opts 5: packet has others",
        ),
        fails(
            "",
            "--hbh-opts 5,1,0",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh ra 0",
            "--hbh-opts 5,1,0: packet has others",
        ),
    ],
    spellings: &[
        "-m hbh",
        "-m hbh --hbh-len 0",
        "-m hbh ! --hbh-len 0",
        "-m hbh --hbh-opts 5",
        "-m hbh --hbh-opts 5:255",
        "-m hbh --hbh-opts 5:2",
        "-m hbh --hbh-opts 5:2,6",
        "-m hbh --hbh-opts 0",
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
