//! What `-m rt` is tried on.

use super::{ADDRESSES, LEFT, LENGTH, NOT_STRICT, RESERVED, TYPE};
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::samples::{DATAGRAM6, Samples, fails, passes, refused, taken};

pub(super) const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "", "", "rt"),
        taken("", "--rt-type 0", "--rt-type 0", "rt type:0"),
        taken("", "--rt-type 2", "--rt-type 2", "rt type:2"),
        taken("", "! --rt-type 2", "! --rt-type 2", "rt type:!2"),
        taken("", "--rt-type 0x4", "--rt-type 4", "rt type:4"),
        taken("", "--rt-type 255", "--rt-type 255", "rt type:255"),
        taken("", "--rt-type 256", "--rt-type 256", "rt type:256"),
        // It is listed as a number that can be below zero.
        taken("", "--rt-type 4294967295", "--rt-type 4294967295", "rt type:-1"),
        taken("", "--rt-segsleft 1", "--rt-segsleft 1", "rt segsleft:1"),
        taken("", "! --rt-segsleft 1", "! --rt-segsleft 1", "rt segsleft:!1"),
        taken("", "--rt-segsleft 1:3", "--rt-segsleft 1:3", "rt segslefts:1:3"),
        taken("", "--rt-segsleft 3:1", "--rt-segsleft 3:1", "rt segslefts:3:1"),
        taken("", "--rt-segsleft :3", "--rt-segsleft 0:3", "rt segslefts:0:3"),
        taken(
            "",
            "--rt-segsleft 3:",
            "--rt-segsleft 3:4294967295",
            "rt segslefts:3:4294967295",
        ),
        taken("", "--rt-segsleft :", "", "rt").told_apart(),
        // An inversion of everything is listed, but not saved.
        taken("", "! --rt-segsleft :", "", "rt segslefts:!0:4294967295").lossy(),
        taken("", "--rt-segsleft 5:5", "--rt-segsleft 5", "rt segsleft:5"),
        taken("", "--rt-len 24", "--rt-len 24", "rt length:24"),
        taken("", "! --rt-len 24", "! --rt-len 24", "rt length:!24"),
        taken("", "--rt-len 0", "--rt-len 0", "rt length:0"),
        taken(
            "",
            "--rt-type 0 --rt-0-res",
            "--rt-type 0 --rt-0-res",
            "rt type:0 reserved",
        ),
        taken(
            "",
            "--rt-type 0 --rt-0-addrs 2001:db8::1",
            "--rt-type 0 --rt-0-addrs 2001:db8::1",
            "rt type:0 0-addrs 2001:db8::1",
        ),
        taken(
            "",
            "--rt-type 0 --rt-0-addrs 2001:db8::1,2001:db8::2",
            "--rt-type 0 --rt-0-addrs 2001:db8::1,2001:db8::2",
            "rt type:0 0-addrs 2001:db8::1,2001:db8::2",
        ),
        taken(
            "",
            "--rt-type 0 --rt-0-addrs 2001:db8::1,2001:db8::2 --rt-0-not-strict",
            "--rt-type 0 --rt-0-addrs 2001:db8::1,2001:db8::2 --rt-0-not-strict",
            "rt type:0 0-addrs 2001:db8::1,2001:db8::2 0-not-strict",
        ),
        taken(
            "",
            "--rt-type 0 --rt-0-addrs ::1,::2,::3,::4,::5,::6,::7,::8,::9,::a,::b,::c,::d,::e,::f,::10",
            "--rt-type 0 --rt-0-addrs ::1,::2,::3,::4,::5,::6,::7,::8,::9,::a,::b,::c,::d,::e,::f,::10",
            "rt type:0 0-addrs ::1,::2,::3,::4,::5,::6,::7,::8,::9,::a,::b,::c,::d,::e,::f,::10",
        ),
        taken(
            "",
            "--rt-type 0 --rt-segsleft 1 --rt-len 40 --rt-0-res --rt-0-addrs ::1 --rt-0-not-strict",
            "--rt-type 0 --rt-segsleft 1 --rt-len 40 --rt-0-res --rt-0-addrs ::1 --rt-0-not-strict",
            "rt type:0 segsleft:1 length:40 reserved 0-addrs ::1 0-not-strict",
        ),
        taken(
            "",
            "--rt-type 0 --rt-0-addrs ::ffff:1.2.3.4",
            "--rt-type 0 --rt-0-addrs ::ffff:1.2.3.4",
            "rt type:0 0-addrs ::ffff:1.2.3.4",
        ),
        taken(
            "",
            "--rt-type 0 --rt-0-addrs 2001:DB8::A",
            "--rt-type 0 --rt-0-addrs 2001:db8::a",
            "rt type:0 0-addrs 2001:db8::a",
        ),
    ],
    refused: &[
        refused(
            "",
            "--rt-type x",
            "rt: bad value for option \"--rt-type\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--rt-type 4294967296",
            "rt: bad value for option \"--rt-type\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--rt-type 1:2",
            "rt: bad value for option \"--rt-type\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--rt-type 1 --rt-type 2",
            "rt: option \"--rt-type\" can only be used once.\n",
        ),
        refused(
            "",
            "--rt-segsleft x",
            "rt: bad value for option \"--rt-segsleft\" near \"x\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--rt-segsleft 1 --rt-segsleft 2",
            "rt: option \"--rt-segsleft\" can only be used once.\n",
        ),
        refused(
            "",
            "--rt-segsleft 4294967296",
            "rt: bad value for option \"--rt-segsleft\" near \"4294967296\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--rt-len x",
            "rt: bad value for option \"--rt-len\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--rt-len 4294967296",
            "rt: bad value for option \"--rt-len\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--rt-len 1:2",
            "rt: bad value for option \"--rt-len\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--rt-len 1 --rt-len 2",
            "rt: option \"--rt-len\" can only be used once.\n",
        ),
        refused("", "--rt-0-res", "`--rt-type 0' required before `--rt-0-res'"),
        refused("", "! --rt-0-res", "rt: option \"--rt-0-res\" cannot be inverted.\n"),
        refused(
            "",
            "--rt-type 2 --rt-0-res",
            "`--rt-type 0' required before `--rt-0-res'",
        ),
        refused(
            "",
            "! --rt-type 0 --rt-0-res",
            "`--rt-type 0' required before `--rt-0-res'",
        ),
        refused(
            "",
            "--rt-0-res --rt-type 0",
            "`--rt-type 0' required before `--rt-0-res'",
        ),
        refused(
            "",
            "--rt-type 0 --rt-0-res --rt-0-res",
            "rt: option \"--rt-0-res\" can only be used once.\n",
        ),
        refused(
            "",
            "--rt-type 0 ! --rt-0-res",
            "rt: option \"--rt-0-res\" cannot be inverted.\n",
        ),
        refused(
            "",
            "--rt-0-addrs 2001:db8::1",
            "`--rt-type 0' required before `--rt-0-addrs'",
        ),
        refused(
            "",
            "--rt-type 0 --rt-0-not-strict --rt-0-addrs 2001:db8::1",
            "`--rt-0-addr ...' required before `--rt-0-not-strict'",
        ),
        refused(
            "",
            "--rt-type 0 --rt-0-not-strict",
            "`--rt-0-addr ...' required before `--rt-0-not-strict'",
        ),
        refused(
            "",
            "--rt-0-not-strict",
            "`--rt-0-addr ...' required before `--rt-0-not-strict'",
        ),
        refused(
            "",
            "--rt-type 0 ! --rt-0-addrs 2001:db8::1",
            "rt: option \"--rt-0-addrs\" cannot be inverted.\n",
        ),
        refused("", "--rt-type 0 --rt-0-addrs x", "bad address: x"),
        refused("", "--rt-type 0 --rt-0-addrs \"\"", "bad address: "),
        refused("", "--rt-type 0 --rt-0-addrs ::1,", "bad address: "),
        refused("", "--rt-type 0 --rt-0-addrs ,::1", "bad address: "),
        refused("", "--rt-type 0 --rt-0-addrs ::1,,::2", "bad address: "),
        refused("", "--rt-type 0 --rt-0-addrs 10.0.0.1", "bad address: 10.0.0.1"),
        refused(
            "",
            "--rt-type 0 --rt-0-addrs ::1 --rt-0-addrs ::2",
            "rt: option \"--rt-0-addrs\" can only be used once.\n",
        ),
        refused(
            "",
            "--rt-type 0 --rt-0-addrs ::1,::2,::3,::4,::5,::6,::7,::8,::9,::a,::b,::c,::d,::e,::f,::10,::11",
            "too many addresses specified",
        ),
        refused("", "--rt-type 0 --rt-0-addrs ::1/64", "bad address: ::1/64"),
        refused(
            "",
            "--rt-type 0 --rt-0-addrs ::1 --rt-0-not-strict --rt-0-not-strict",
            "rt: option \"--rt-0-not-strict\" can only be used once.\n",
        ),
        refused(
            "",
            "--rt-type 0 --rt-0-addrs ::1 ! --rt-0-not-strict",
            "rt: option \"--rt-0-not-strict\" cannot be inverted.\n",
        ),
        refused(
            "",
            "--rt-type 0 --rt-0-res --rt-type 2",
            "rt: option \"--rt-type\" can only be used once.\n",
        ),
        refused("", "--rt-type 0 --rt-0-addrs \"::1, ::2\"", "bad address:  ::2"),
        refused("", "--rt-type 0 --rt-0-addrs localhost", "bad address: localhost"),
        refused("", "--rt-type 0 --rt-0-addrs fe80::1%lo", "bad address: fe80::1%lo"),
    ],
    packets: &[
        passes(
            "",
            "",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 0 3 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "--rt-type 0",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 0 3 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "! --rt-type 0",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 2 1 2001:db8::5",
        ),
        passes(
            "",
            "--rt-segsleft 1:2",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 2 1 2001:db8::5",
        ),
        passes(
            "",
            "--rt-len 24",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 2 1 2001:db8::5",
        ),
        passes(
            "",
            "! --rt-len 24",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 0 3 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "--rt-type 0 --rt-0-res",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 0 3 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "--rt-type 0 --rt-0-addrs 2001:db8::5,2001:db8::6,2001:db8::7",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 0 3 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "--rt-type 0 --rt-0-addrs 2001:db8::5,2001:db8::7 --rt-0-not-strict",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 0 3 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        fails("", "", DATAGRAM6, "rt: packet has no routing header"),
        fails(
            "",
            "--rt-type 2",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 0 3 2001:db8::5 2001:db8::6 2001:db8::7",
            "--rt-type 2: packet has 0",
        ),
        fails(
            "",
            "! --rt-type 2",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 2 1 2001:db8::5",
            "! --rt-type 2: packet has 2",
        ),
        fails(
            "",
            "--rt-type 258",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 2 1 2001:db8::5",
            "--rt-type 258: packet has 2",
        ),
        fails(
            "",
            "--rt-segsleft 2:3",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 2 1 2001:db8::5",
            "--rt-segsleft 2:3: packet has 1",
        ),
        fails(
            "",
            "! --rt-segsleft :",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 2 1 2001:db8::5",
            "! --rt-segsleft 0:4294967295: packet has 1",
        ),
        fails(
            "",
            "--rt-len 56",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 2 1 2001:db8::5",
            "--rt-len 56: packet has 24",
        ),
        fails(
            "",
            "! --rt-len 56",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 0 3 2001:db8::5 2001:db8::6 2001:db8::7",
            "! --rt-len 56: packet has 56",
        ),
        fails(
            "",
            "--rt-type 0 --rt-0-res",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 0 0 0x00000001",
            "--rt-0-res: packet has reserved bits",
        ),
        fails(
            "",
            "--rt-type 0 --rt-0-addrs 2001:db8::5,2001:db8::6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 0 3 2001:db8::5 2001:db8::6 2001:db8::7",
            "--rt-0-addrs 2001:db8::5,2001:db8::6: packet has others",
        ),
        fails(
            "",
            "--rt-type 0 --rt-0-addrs 2001:db8::6,2001:db8::5 --rt-0-not-strict",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 0 3 2001:db8::5 2001:db8::6 2001:db8::7",
            "--rt-0-addrs 2001:db8::6,2001:db8::5 --rt-0-not-strict: packet has others",
        ),
    ],
    spellings: &[
        "-m rt",
        "-m rt --rt-type 0",
        "-m rt --rt-type 256",
        "-m rt --rt-segsleft 5",
        "-m rt --rt-segsleft 5:5",
        "-m rt --rt-segsleft :",
        "-m rt --rt-len 0",
        "-m rt --rt-type 0 --rt-0-addrs ::1",
        "-m rt --rt-type 0 --rt-0-addrs ::1 --rt-0-not-strict",
        "-m rt --rt-type 0 --rt-0-addrs ::1,::2",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| {
        let is_of_type_0 = draw.one_in(2);
        if is_of_type_0 {
            draw.give_upright(&TYPE.spec, "0");
        } else {
            draw.maybe(2, &TYPE.spec, &["0", "2", "4", "256"]);
        }
        draw.maybe(3, &LEFT.option.spec, &["0", "1", "1:2", ":", "2:1", "1:"]);
        draw.maybe(4, &LENGTH.spec, &["8", "24", "40"]);
        if is_of_type_0 {
            draw.maybe_flag(4, &RESERVED.spec);
            if draw.one_in(2) {
                draw.give_one(
                    &ADDRESSES.spec,
                    &[
                        "2001:db8::5",
                        "2001:db8::5,2001:db8::6",
                        "2001:db8::6",
                        "2001:db8::6,2001:db8::5",
                    ],
                );
                draw.maybe_flag(2, &NOT_STRICT.spec);
            }
        }
    },
)
.in_one_scenario_of(4);
