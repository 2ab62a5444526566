//! Lines of `-j CT`, taken and refused, and how they are drawn.

use super::{CTEVENTS, EXPEVENTS, HELPER, NOTRACK, TIMEOUT, ZONES};
use crate::base::protocol;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::samples::{Samples, refused, taken};
use crate::rule::Table;

pub(super) const SAMPLES: Samples = Samples {
    place: ("raw", "PREROUTING"),
    taken: &[
        taken("-p tcp", "", "", "CT"),
        taken("-p tcp", "--notrack", "--notrack", "CT notrack"),
        taken("-p tcp", "--helper ftp", "--helper ftp", "CT helper ftp"),
        taken("-p tcp", "--helper \"\"", "", "CT"),
        taken(
            "-p tcp",
            "--helper ftp --notrack",
            "--notrack --helper ftp",
            "CT notrack helper ftp",
        ),
        // A policy that is not there is not missed where nothing is tracked.
        taken(
            "-p tcp",
            "--timeout slow --notrack",
            "--notrack --timeout slow",
            "CT notrack timeout slow",
        ),
        taken("-p tcp", "--timeout \"\"", "", "CT"),
        taken("-p tcp", "--ctevents new", "--ctevents new", "CT ctevents new"),
        taken(
            "-p tcp",
            "--ctevents secmark,natseqinfo,mark,helper,protoinfo,assured,reply,destroy,related,new,new",
            "--ctevents new,related,destroy,reply,assured,protoinfo,helper,mark,natseqinfo,secmark",
            "CT ctevents new,related,destroy,reply,assured,protoinfo,helper,mark,natseqinfo,secmark",
        ),
        taken(
            "-p tcp",
            "--zone 3 --expevents new,new --ctevents mark --helper ftp",
            "--helper ftp --ctevents mark --expevents new --zone 3",
            "CT helper ftp ctevents mark expevents new zone 3",
        ),
        taken("-p tcp", "--zone 0x10", "--zone 16", "CT zone 16"),
        taken("-p tcp", "--zone Mark", "--zone mark", "CT zone mark"),
        taken("-p tcp", "--zone-orig mark", "--zone-orig mark", "CT zone-orig mark"),
        taken(
            "-p tcp",
            "--zone-reply 65535",
            "--zone-reply 65535",
            "CT zone-reply 65535",
        ),
        taken("-p tcp", "--zone-orig 1 --zone-reply 2", "--zone 2", "CT zone 2"),
        taken("-p tcp", "--zone 1 --zone-orig 2", "--zone-orig 2", "CT zone-orig 2"),
        taken("-p tcp", "--zone-orig 2 --zone 1", "--zone-orig 1", "CT zone-orig 1"),
        taken("-p tcp", "--zone 0", "", "CT"),
        taken(
            "-p tcp",
            "--zone 1 --helper ftp --notrack",
            "--notrack --helper ftp --zone 1",
            "CT notrack helper ftp zone 1",
        ),
    ],
    refused: &[
        refused("-p tcp", "--ctevents NEW", "Unknown event type \"NEW\""),
        refused("-p tcp", "--ctevents new,", "Unknown event type \"\""),
        refused("-p tcp", "--ctevents label", "Unknown event type \"label\""),
        refused("-p tcp", "--ctevents \"\"", "Unknown event type \"\""),
        refused("-p tcp", "--expevents destroy", "Unknown event type \"destroy\""),
        refused("-p tcp", "--expevents new,mark", "Unknown event type \"mark\""),
        refused(
            "-p tcp",
            "--ctevents new --ctevents mark",
            "CT: option \"--ctevents\" can only be used once.\n",
        ),
        refused(
            "-p tcp",
            "! --expevents new",
            "CT: option \"--expevents\" cannot be inverted.\n",
        ),
        refused(
            "-p tcp",
            "--timeout a --timeout b",
            "CT: option \"--timeout\" can only be used once.\n",
        ),
        refused(
            "-p tcp",
            "! --timeout a",
            "CT: option \"--timeout\" cannot be inverted.\n",
        ),
        refused("-p tcp", "--zone 65536", "Cannot parse 65536 as a zone ID"),
        refused("-p tcp", "--zone-orig 5x", "Cannot parse 5x as a zone ID"),
        refused("-p tcp", "--zone-reply mark1", "Cannot parse mark1 as a zone ID"),
        refused(
            "-p tcp",
            "--zone 1 --zone 2",
            "CT: option \"--zone\" can only be used once.\n",
        ),
        refused(
            "-p tcp",
            "--helper ftp --helper ftp",
            "CT: option \"--helper\" can only be used once.\n",
        ),
        refused(
            "-p tcp",
            "! --notrack",
            "CT: option \"--notrack\" cannot be inverted.\n",
        ),
    ],
    packets: &[],
    spellings: &[
        "-j CT --notrack",
        "-p tcp -j CT --helper ftp",
        "-j CT",
        "-p udp -j CT --notrack",
        "-j CT --ctevents new",
        "-j CT --ctevents new,mark",
        "-j CT --expevents new",
        "-j CT --notrack --timeout slow",
        "-j CT --notrack --timeout slot",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match (place.table, place.protocol) {
        (Table::Raw, Some(protocol::TCP)) => 22,
        (Table::Raw, _) => 9,
        _ => 0,
    },
    |draw| {
        let may_help = draw.place.protocol == Some(protocol::TCP);
        let values = &["1", "2", "mark", "0"];
        for (option, _) in &ZONES {
            draw.maybe(12, &option.spec, values);
        }
        draw.maybe(
            8,
            &CTEVENTS.spec,
            &["new", "reply,destroy", "mark,assured,protoinfo", "related,helper"],
        );
        draw.maybe(4, &EXPEVENTS.spec, &["new"]);
        match draw.below(if may_help { 5 } else { 2 }) {
            0 => {
                draw.give(&NOTRACK.spec, "");
                draw.maybe(20, &TIMEOUT.spec, &["slow", "fast"]);
            }
            1 => {}
            2 | 3 => draw.give(&HELPER.spec, "ftp"),
            _ => {
                draw.give(&NOTRACK.spec, "");
                draw.give(&HELPER.spec, "ftp");
            }
        }
    },
);
