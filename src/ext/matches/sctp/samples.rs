//! What is typed, printed and asked of `-m sctp`.

use super::{CHUNKS, PORTS};
use crate::ext::drawn::{CLIENT_PORTS, Drawn, drawn};
use crate::ext::samples::{Samples, fails, passes, refused, taken};

pub(super) const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("-p sctp", "", "", "sctp"),
        taken("-p sctp", "--sport 5", "--sport 5", "sctp spt:5"),
        taken(
            "-p sctp",
            "--dport 5:10 ! --sport 80",
            "! --sport 80 --dport 5:10",
            "sctp spt:!80 dpts:5:10",
        ),
        taken(
            "-p sctp",
            "--source-port 5 --destination-port :7",
            "--sport 5 --dport 0:7",
            "sctp spt:5 dpts:0:7",
        ),
        taken("-p sctp", "--dport :", "--dport 0:65535", "sctp").listing_less(),
        taken("-p sctp", "! --dport :", "! --dport 0:65535", "sctp dpts:!0:65535"),
        taken("-p sctp", "--dport 0x10", "--dport 16", "sctp dpt:16"),
        taken("-p sctp", "--sport 5:5", "--sport 5", "sctp spt:5"),
        taken(
            "-p sctp",
            "--chunk-types any INIT",
            "--chunk-types any INIT",
            "sctp any 0x0001",
        )
        .named("sctp any INIT"),
        taken(
            "-p sctp",
            "--chunk-types all INIT,DATA",
            "--chunk-types all DATA,INIT",
            "sctp all 0x0000,0x0001",
        )
        .named("sctp all DATA,INIT"),
        taken(
            "-p sctp",
            "--chunk-types only INIT,DATA:BE,SACK",
            "--chunk-types only DATA:BE,INIT,SACK",
            "sctp only 0x0000:BE,0x0001,0x0003",
        )
        .named("sctp only DATA:BE,INIT,SACK"),
        taken(
            "-p sctp",
            "! --chunk-types only DATA:Ube,ABORT:T,SHUTDOWN_COMPLETE:t",
            "! --chunk-types only DATA:Ube,ABORT:T,SHUTDOWN_COMPLETE:t",
            "sctp ! only 0x0000:Ube,0x0006:T,0x000E:t",
        )
        .named("sctp ! only DATA:Ube,ABORT:T,SHUTDOWN_COMPLETE:t"),
        taken(
            "-p sctp",
            "--chunk-types all ALL",
            "--chunk-types all ALL",
            "sctp all ALL",
        ),
        taken(
            "-p sctp",
            "--chunk-types any NONE",
            "--chunk-types any NONE",
            "sctp any NONE",
        ),
        taken(
            "-p sctp",
            "--chunk-types any ,",
            "--chunk-types any NONE",
            "sctp any NONE",
        ),
        taken(
            "-p sctp",
            "--chunk-types ANY init",
            "--chunk-types any INIT",
            "sctp any 0x0001",
        )
        .named("sctp any INIT"),
        taken(
            "-p sctp",
            "--chunk-types any FORWARD_TSN,ASCONF,ASCONF_ACK,RE_CONFIG,PAD,I_FORWARD_TSN",
            "--chunk-types any ASCONF_ACK,RE_CONFIG,PAD,FORWARD_TSN,ASCONF,I_FORWARD_TSN",
            "sctp any 0x0080,0x0082,0x0084,0x00C0,0x00C1,0x00C2",
        )
        .named("sctp any ASCONF_ACK,RE_CONFIG,PAD,FORWARD_TSN,ASCONF,I_FORWARD_TSN"),
        taken(
            "-p sctp",
            "--chunk-types any DATA:IuUi,DATA,INIT:",
            "--chunk-types any DATA:IU,INIT",
            "sctp any 0x0000:IU,0x0001",
        )
        .named("sctp any DATA:IU,INIT"),
        // They are lost.
        taken(
            "-p sctp",
            "--chunk-types any I_DATA:IUbe",
            "--chunk-types any I_DATA",
            "sctp any 0x0040",
        )
        .named("sctp any I_DATA")
        .told_apart(),
    ],
    refused: &[
        refused("-p sctp", "--dport http", "invalid port/service `http' specified"),
        refused("-p sctp", "--dport 10:5", "invalid portrange (min > max)"),
        refused("-p sctp", "--dport 65536", "invalid port/service `65536' specified"),
        refused("-p sctp", "--dport 1:2:3", "invalid port/service `2:3' specified"),
        refused(
            "-p sctp",
            "--dport 1 --destination-port 2",
            "Only one `--destination-port' allowed",
        ),
        refused("-p sctp", "--sport 1 --sport 2", "Only one `--source-port' allowed"),
        refused("-p sctp", "--chunk-types any AUTH", "Unknown sctp chunk `AUTH'"),
        refused("-p sctp", "--chunk-types any ALL,INIT", "Unknown sctp chunk `ALL'"),
        refused("-p sctp", "--chunk-types any :U", "Unknown sctp chunk `'"),
        refused(
            "-p sctp",
            "--chunk-types foo INIT",
            "Match type has to be one of \"ALL\", \"ANY\" or \"ONLY\"",
        ),
        refused("-p sctp", "--chunk-types foo", "--chunk-types requires two args"),
        refused(
            "-p sctp",
            "--chunk-types any --dport 1",
            "--chunk-types requires two args",
        ),
        refused("-p sctp", "--chunk-types any INIT:U", "Invalid flags for chunk type 1"),
        refused(
            "-p sctp",
            "--chunk-types any DATA:U:B",
            "Invalid flags for chunk type 0",
        ),
        refused(
            "-p sctp",
            "--chunk-types any FORWARD_TSN:U",
            "Invalid flags for chunk type 20",
        ),
        refused(
            "-p sctp",
            "--chunk-types any DATA --chunk-types all INIT",
            "Only one `--chunk-types' allowed",
        ),
    ],
    packets: &[
        passes("-p sctp", "--dport 80", DATA_AND_SACK),
        fails(
            "-p sctp",
            "--dport 81:90",
            DATA_AND_SACK,
            "--dport 81:90: packet has 80",
        ),
        fails(
            "-p sctp",
            "! --sport 1000",
            DATA_AND_SACK,
            "! --sport 1000: packet has 1000",
        ),
        passes("-p sctp", "--chunk-types any INIT,SACK", DATA_AND_SACK),
        passes("-p sctp", "--chunk-types all SACK,DATA:B", DATA_AND_SACK),
        passes("-p sctp", "--chunk-types only SACK,DATA,INIT", DATA_AND_SACK),
        passes("-p sctp", "--chunk-types any I_DATA:b", I_DATA),
        fails(
            "-p sctp",
            "--chunk-types all SACK,INIT",
            DATA_AND_SACK,
            "--chunk-types all INIT,SACK: packet has DATA:iuBE,SACK",
        ),
        fails(
            "-p sctp",
            "--chunk-types only DATA:b,SACK",
            DATA_AND_SACK,
            "--chunk-types only DATA:b,SACK: packet has DATA:iuBE,SACK",
        ),
        fails(
            "-p sctp",
            "! --chunk-types any ALL",
            DATA_AND_SACK,
            "! --chunk-types any ALL: packet has DATA:iuBE,SACK",
        ),
        fails(
            "-p sctp",
            "--chunk-types any INIT",
            "ip 10.0.0.2 > 192.0.2.9 proto 132 data 0x03e80050000000010000000000030005",
            "--chunk-types any INIT: packet has DATA:iuBE",
        ),
        fails(
            "-p sctp",
            "--chunk-types any INIT",
            "ip 10.0.0.2 > 192.0.2.9 proto 132 data 0x03e80050000000010000000000030000",
            "sctp: packet's chunks are cut short",
        ),
        fails(
            "-p sctp",
            "--dport 80",
            "ip 10.0.0.2 > 192.0.2.9 proto 132 data 0x03e80050000000010000",
            "sctp: packet's SCTP header is cut short",
        ),
    ],
    spellings: &[
        "-p sctp",
        "-p sctp -m sctp",
        "-p sctp --dport 80",
        "-p sctp --dport 80:80",
        "-p sctp --dport :",
        "-p sctp ! --dport 80",
        "-p sctp --sport 80",
        "-p sctp --chunk-types any DATA",
        "-p sctp --chunk-types any DATA:",
        "-p sctp --chunk-types any DATA:B",
        "-p sctp --chunk-types any DATA,DATA:bB",
        "-p sctp --chunk-types any DATA:B,ABORT:T",
        "-p sctp --chunk-types any ABORT:T,DATA:B",
        "-p sctp --chunk-types any I_DATA",
        "-p sctp --chunk-types any I_DATA:I",
        "-p sctp --chunk-types all DATA",
    ],
    drawn: DRAWN,
};

/// From port 1000 to 80, a chunk of data that begins and ends a message and one that acknowledges.
const DATA_AND_SACK: &str = "ip 10.0.0.2 > 192.0.2.9 proto 132 data 0x03e800500000000100000000000300110000000100000000000000006100000003000010000000010000100000000000";
const I_DATA: &str = "ip 10.0.0.2 > 192.0.2.9 proto 132 data 0x03e80050000000010000000040030004";

const DRAWN: Drawn = drawn(
    |_| 50,
    |draw| {
        draw.maybe(3, &PORTS.source.spec, CLIENT_PORTS);
        // The tool knows no service of SCTP by name.
        draw.maybe(
            2,
            &PORTS.destination.spec,
            &["80", "80:90", "53", ":1023", "8080", "1024:"],
        );
        draw.maybe(
            3,
            &CHUNKS.spec,
            &[
                "any INIT",
                "any DATA:B,SACK",
                "all DATA",
                "only DATA:be,SACK",
                "only INIT,INIT_ACK,COOKIE_ECHO,COOKIE_ACK",
                "any ABORT:T,SHUTDOWN_COMPLETE:t,ERROR",
                "any ALL",
                "all NONE",
                "only HEARTBEAT,HEARTBEAT_ACK",
                "all SHUTDOWN,SACK",
            ],
        );
    },
);
