//! What `-m srh` is tried on.

use super::{COMPARED, NEXT, SIDS, TAG};
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::samples::{DATAGRAM6, Samples, fails, passes, refused, taken};

pub(super) const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "", "", "srh"),
        taken("", "--srh-next-hdr 17", "--srh-next-hdr 17", "srh next-hdr:17"),
        taken("", "! --srh-next-hdr 17", "! --srh-next-hdr 17", "srh next-hdr:!17"),
        taken("", "--srh-next-hdr 0", "--srh-next-hdr 0", "srh next-hdr:0"),
        taken("", "--srh-next-hdr 0x11", "--srh-next-hdr 17", "srh next-hdr:17"),
        taken("", "--srh-hdr-len-eq 8", "--srh-hdr-len-eq 8", "srh hdr-len-eq:8"),
        taken("", "! --srh-hdr-len-eq 8", "! --srh-hdr-len-eq 8", "srh hdr-len-eq:!8"),
        taken("", "--srh-hdr-len-gt 8", "--srh-hdr-len-gt 8", "srh hdr-len-gt:8"),
        taken("", "! --srh-hdr-len-gt 8", "! --srh-hdr-len-gt 8", "srh hdr-len-gt:!8"),
        taken("", "--srh-hdr-len-lt 8", "--srh-hdr-len-lt 8", "srh hdr-len-lt:8"),
        taken("", "! --srh-hdr-len-lt 8", "! --srh-hdr-len-lt 8", "srh hdr-len-lt:!8"),
        taken(
            "",
            "--srh-hdr-len-gt 1 --srh-hdr-len-lt 8",
            "--srh-hdr-len-gt 8 --srh-hdr-len-lt 8",
            "srh hdr-len-gt:8 hdr-len-lt:8",
        ),
        taken(
            "",
            "--srh-hdr-len-eq 1 --srh-hdr-len-lt 8",
            "--srh-hdr-len-eq 8 --srh-hdr-len-lt 8",
            "srh hdr-len-eq:8 hdr-len-lt:8",
        ),
        taken("", "--srh-segs-left-eq 1", "--srh-segs-left-eq 1", "srh segs-left-eq:1"),
        taken(
            "",
            "! --srh-segs-left-eq 1",
            "! --srh-segs-left-eq 1",
            "srh segs-left-eq:!1",
        ),
        taken("", "--srh-segs-left-gt 1", "--srh-segs-left-gt 1", "srh segs-left-gt:1"),
        taken(
            "",
            "! --srh-segs-left-gt 1",
            "! --srh-segs-left-gt 1",
            "srh segs-left-gt:!1",
        ),
        taken("", "--srh-segs-left-lt 1", "--srh-segs-left-lt 1", "srh segs-left-lt:1"),
        taken(
            "",
            "! --srh-segs-left-lt 1",
            "! --srh-segs-left-lt 1",
            "srh segs-left-lt:!1",
        ),
        taken(
            "",
            "--srh-last-entry-eq 4",
            "--srh-last-entry-eq 4",
            "srh last-entry-eq:4",
        ),
        taken(
            "",
            "! --srh-last-entry-eq 4",
            "! --srh-last-entry-eq 4",
            "srh last-entry-eq:!4",
        ),
        taken(
            "",
            "--srh-last-entry-gt 4",
            "--srh-last-entry-gt 4",
            "srh last-entry-gt:4",
        ),
        taken(
            "",
            "! --srh-last-entry-gt 4",
            "! --srh-last-entry-gt 4",
            "srh last-entry-gt:!4",
        ),
        taken(
            "",
            "--srh-last-entry-lt 4",
            "--srh-last-entry-lt 4",
            "srh last-entry-lt:4",
        ),
        taken(
            "",
            "! --srh-last-entry-lt 4",
            "! --srh-last-entry-lt 4",
            "srh last-entry-lt:!4",
        ),
        taken("", "--srh-tag 0", "--srh-tag 0", "srh tag:0"),
        taken("", "! --srh-tag 5", "! --srh-tag 5", "srh tag:!5"),
        taken("", "--srh-tag 65535", "--srh-tag 65535", "srh tag:65535"),
        taken("", "--srh-tag 0x10", "--srh-tag 16", "srh tag:16"),
        taken("", "--srh-psid a::/64", "--srh-psid a::/64", "srh psid  a::/64"),
        taken("", "! --srh-psid a::/64", "! --srh-psid a::/64", "srh psid ! a::/64"),
        taken("", "--srh-psid a::1", "--srh-psid a::1/128", "srh psid  a::1/128"),
        taken("", "--srh-psid a::1/128", "--srh-psid a::1/128", "srh psid  a::1/128"),
        taken("", "--srh-psid a::1/64", "--srh-psid a::1/64", "srh psid  a::1/64"),
        taken("", "--srh-psid a::1/0", "--srh-psid a::1/0", "srh psid  a::1/0"),
        taken("", "--srh-psid a::/ffff::", "--srh-psid a::/16", "srh psid  a::/16"),
        taken(
            "",
            "--srh-psid a::/ffff::ffff",
            "--srh-psid a::/128",
            "srh psid  a::/128",
        ),
        taken("", "--srh-nsid b::/64", "--srh-nsid b::/64", "srh nsid  b::/64"),
        taken("", "! --srh-nsid b::/64", "! --srh-nsid b::/64", "srh nsid ! b::/64"),
        taken("", "--srh-lsid c::/64", "--srh-lsid c::/64", "srh lsid  c::/64"),
        taken("", "! --srh-lsid c::/64", "! --srh-lsid c::/64", "srh lsid ! c::/64"),
        taken("", "--srh-lsid c::1", "--srh-lsid c::1/128", "srh lsid  c::1/128"),
        taken("", "--srh-lsid ::/0", "--srh-lsid ::/0", "srh lsid  ::/0"),
        taken(
            "",
            "--srh-next-hdr 17 --srh-hdr-len-eq 8 --srh-segs-left-eq 2 --srh-last-entry-eq 1 --srh-tag 0 --srh-psid a::/64 --srh-nsid b::/64 --srh-lsid c::/64",
            "--srh-next-hdr 17 --srh-hdr-len-eq 8 --srh-segs-left-eq 2 --srh-last-entry-eq 1 --srh-tag 0 --srh-psid a::/64 --srh-nsid b::/64 --srh-lsid c::/64",
            "srh next-hdr:17 hdr-len-eq:8 segs-left-eq:2 last-entry-eq:1 tag:0 psid  a::/64 nsid  b::/64 lsid  c::/64",
        ),
        taken(
            "",
            "--srh-lsid c::/64 --srh-next-hdr 17 --srh-tag 1",
            "--srh-next-hdr 17 --srh-tag 1 --srh-lsid c::/64",
            "srh next-hdr:17 tag:1 lsid  c::/64",
        ),
        taken(
            "",
            "--srh-next-hdr 17 --srh-segs-left-gt 3 --srh-last-entry-gt 2 ! --srh-segs-left-lt 9",
            "--srh-next-hdr 17 --srh-segs-left-gt 9 ! --srh-segs-left-lt 9 --srh-last-entry-gt 2",
            "srh next-hdr:17 segs-left-gt:9 segs-left-lt:!9 last-entry-gt:2",
        ),
        taken("-p tcp", "--srh-tag 1", "--srh-tag 1", "srh tag:1"),
        taken(
            "",
            "--srh-psid ::ffff:1.2.3.4/96",
            "--srh-psid ::ffff:1.2.3.4/96",
            "srh psid  ::ffff:1.2.3.4/96",
        ),
        taken(
            "",
            "--srh-psid 2001:DB8::A",
            "--srh-psid 2001:db8::a/128",
            "srh psid  2001:db8::a/128",
        ),
        taken("", "--srh-psid a::/0x40", "--srh-psid a::/64", "srh psid  a::/64"),
        taken("", "--srh-psid a::/064", "--srh-psid a::/52", "srh psid  a::/52"),
        taken("", "--srh-psid a::/\" 64\"", "--srh-psid a::/64", "srh psid  a::/64"),
    ],
    refused: &[
        refused(
            "",
            "--srh-next-hdr 256",
            "srh: bad value for option \"--srh-next-hdr\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--srh-next-hdr tcp",
            "srh: bad value for option \"--srh-next-hdr\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--srh-next-hdr -1",
            "srh: bad value for option \"--srh-next-hdr\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--srh-next-hdr 1 --srh-next-hdr 2",
            "srh: option \"--srh-next-hdr\" can only be used once.\n",
        ),
        refused(
            "",
            "--srh-hdr-len-eq 256",
            "srh: bad value for option \"--srh-hdr-len-eq\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--srh-segs-left-lt 256",
            "srh: bad value for option \"--srh-segs-left-lt\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--srh-last-entry-lt 300",
            "srh: bad value for option \"--srh-last-entry-lt\", or out of range (0-255).\n",
        ),
        refused(
            "",
            "--srh-tag 65536",
            "srh: bad value for option \"--srh-tag\", or out of range (0-65535).\n",
        ),
        refused(
            "",
            "--srh-psid a::/129",
            "srh: bad value for option \"--srh-psid\", neither a valid network mask nor valid CIDR (0-128).\n",
        ),
        refused(
            "",
            "--srh-psid x",
            "getaddrinfo: Temporary failure in name resolution\n",
        ),
        refused(
            "",
            "--srh-psid a::/x",
            "srh: bad value for option \"--srh-psid\", neither a valid network mask nor valid CIDR (0-128).\n",
        ),
        refused(
            "",
            "--srh-psid 10.0.0.1",
            "getaddrinfo: Address family for hostname not supported\n",
        ),
        refused("", "--srh-psid \"\"", "getaddrinfo: Name or service not known\n"),
        refused("", "--srh-psid a::1,a::2", "getaddrinfo: Name or service not known\n"),
        refused(
            "",
            "--srh-psid a::1 --srh-psid a::1",
            "srh: option \"--srh-psid\" can only be used once.\n",
        ),
        refused(
            "",
            "--srh-nsid x",
            "getaddrinfo: Temporary failure in name resolution\n",
        ),
        refused(
            "",
            "! --srh-lsid x/",
            "getaddrinfo: Temporary failure in name resolution\n",
        ),
        refused(
            "",
            "--srh-lsid c::1/",
            "srh: bad value for option \"--srh-lsid\", neither a valid network mask nor valid CIDR (0-128).\n",
        ),
        refused(
            "",
            "--srh-psid a::/",
            "srh: bad value for option \"--srh-psid\", neither a valid network mask nor valid CIDR (0-128).\n",
        ),
        refused("", "--srh-psid /64", "getaddrinfo: Name or service not known\n"),
        refused("", "--srh-psid a::1%lo", "getaddrinfo: Name or service not known\n"),
        refused(
            "",
            "--srh-psid a::/-1",
            "srh: bad value for option \"--srh-psid\", neither a valid network mask nor valid CIDR (0-128).\n",
        ),
        refused(
            "",
            "--srh-psid a::/64/64",
            "srh: bad value for option \"--srh-psid\", neither a valid network mask nor valid CIDR (0-128).\n",
        ),
        refused("", "--srh-psid \" a::\"", "getaddrinfo: Name or service not known\n"),
    ],
    packets: &[
        passes(
            "",
            "",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "--srh-next-hdr 17 --srh-hdr-len-eq 6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "--srh-hdr-len-gt 5 ! --srh-segs-left-gt 1 --srh-last-entry-lt 3",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "! --srh-hdr-len-lt 6 --srh-segs-left-eq 1 --srh-last-entry-eq 2",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "--srh-tag 5",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 0 0x0000050020010db8000000000000000000000005",
        ),
        passes(
            "",
            "! --srh-tag 5",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "--srh-psid 2001:db8::7 --srh-nsid 2001:db8::5 --srh-lsid 2001:db8::/64",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        passes(
            "",
            "! --srh-lsid 2001:db8::6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
        ),
        fails("", "", DATAGRAM6, "srh: packet has no routing header"),
        fails(
            "",
            "",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 2 1 2001:db8::5",
            "srh: packet has a routing header of type 2",
        ),
        fails(
            "",
            "",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 3 2001:db8::5 2001:db8::6",
            "srh: packet has more segments left than there are",
        ),
        fails(
            "",
            "--srh-next-hdr 6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-next-hdr 6: packet has 17",
        ),
        fails(
            "",
            "! --srh-hdr-len-eq 6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "! --srh-hdr-len-eq 6: packet has 6",
        ),
        fails(
            "",
            "--srh-hdr-len-gt 6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-hdr-len-gt 6: packet has 6",
        ),
        fails(
            "",
            "--srh-hdr-len-lt 6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-hdr-len-lt 6: packet has 6",
        ),
        fails(
            "",
            "! --srh-segs-left-eq 1",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "! --srh-segs-left-eq 1: packet has 1",
        ),
        fails(
            "",
            "--srh-segs-left-gt 1",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-segs-left-gt 1: packet has 1",
        ),
        fails(
            "",
            "--srh-segs-left-lt 1",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-segs-left-lt 1: packet has 1",
        ),
        fails(
            "",
            "! --srh-last-entry-eq 2",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "! --srh-last-entry-eq 2: packet has 2",
        ),
        fails(
            "",
            "--srh-last-entry-gt 2",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-last-entry-gt 2: packet has 2",
        ),
        fails(
            "",
            "--srh-last-entry-lt 2",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-last-entry-lt 2: packet has 2",
        ),
        fails(
            "",
            "--srh-hdr-len-gt 1 --srh-hdr-len-lt 9",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-hdr-len-gt 9: packet has 6",
        ),
        fails(
            "",
            "--srh-tag 6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 0 0x0000050020010db8000000000000000000000005",
            "--srh-tag 6: packet has 5",
        ),
        fails(
            "",
            "--srh-psid 2001:db8::6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-psid 2001:db8::6/128: packet has 2001:db8::7",
        ),
        fails(
            "",
            "--srh-nsid 2001:db8::6",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "--srh-nsid 2001:db8::6/128: packet has 2001:db8::5",
        ),
        fails(
            "",
            "! --srh-lsid 2001:db8::/64",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 1 2001:db8::5 2001:db8::6 2001:db8::7",
            "! --srh-lsid 2001:db8::/64: packet has 2001:db8::5",
        ),
        fails(
            "",
            "--srh-nsid ::/0",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 rt 4 0 2001:db8::5 2001:db8::6",
            "--srh-nsid ::/0: packet has none",
        ),
    ],
    spellings: &[
        "-m srh",
        "-m srh --srh-next-hdr 0",
        "-m srh --srh-hdr-len-eq 5",
        "-m srh --srh-hdr-len-eq 1 --srh-hdr-len-gt 5",
        "-m srh --srh-hdr-len-gt 1 --srh-hdr-len-eq 5",
        "-m srh --srh-psid a::1",
        "-m srh --srh-psid a::1/128",
        "-m srh --srh-psid a::1/64",
        "-m srh --srh-psid a::1/ffff::ffff",
        "-m srh --srh-tag 0",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 6,
    |draw| {
        draw.maybe(4, &NEXT.spec, &["17", "6", "58"]);
        for field in COMPARED {
            for option in field.options {
                draw.maybe(6, &option.spec, &["0", "1", "2", "4"]);
            }
        }
        draw.maybe(6, &TAG.spec, &["0", "5"]);
        for sid in SIDS {
            draw.maybe(
                5,
                &sid.spec,
                &["2001:db8::5", "2001:db8::6/127", "::/0", "2001:db8::/64"],
            );
        }
    },
)
.in_one_scenario_of(4);
