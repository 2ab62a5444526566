//! What `-m time` is tried on.

use super::{CONTIGUOUS, DATESTART, DATESTOP, KERNELTZ, LOCALTZ, MONTHDAYS, TIMESTART, TIMESTOP, UTC, WEEKDAYS};
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};

pub(super) const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        // Its own end is printed.
        taken("", "", "--datestop 2038-01-19T03:14:07", "TIME UTC"),
        taken(
            "",
            "--utc --timestart 0:0 --timestop 23:59:59 --weekdays 1,2,3,4,5,6,7",
            "--datestop 2038-01-19T03:14:07",
            "TIME UTC",
        ),
        taken(
            "",
            "--datestart 2026-05",
            "--datestart 2026-05-01T00:00:00 --datestop 2038-01-19T03:14:07",
            "TIME starting from 2026-05-01 00:00:00 UTC",
        ),
        taken(
            "",
            "--datestart 2026-2-30T10:11 --datestop 2026",
            "--datestart 2026-03-02T10:11:00 --datestop 2026-01-01T00:00:00",
            "TIME starting from 2026-03-02 10:11:00 until date 2026-01-01 00:00:00 UTC",
        ),
        taken(
            "",
            "--datestart 2026-00-01 --datestop 2026-05-00T1:2:3",
            "--datestart 2025-12-01T00:00:00 --datestop 2026-04-30T01:02:03",
            "TIME starting from 2025-12-01 00:00:00 until date 2026-04-30 01:02:03 UTC",
        ),
        taken(
            "",
            "--datestop 2038-12-31T23:59:59",
            "--datestop 2038-12-31T23:59:59",
            "TIME until date 2038-12-31 23:59:59 UTC",
        ),
        // The epoch is not printed, and read again the end is another.
        taken("", "--datestart 1970 --datestop 1970", "", "TIME until date UTC").lossy(),
        taken(
            "",
            "--timestart 10:11",
            "--timestart 10:11:00 --timestop 23:59:59 --datestop 2038-01-19T03:14:07",
            "TIME from 10:11:00 to 23:59:59 UTC",
        ),
        taken(
            "",
            "--timestop :",
            "--timestart 00:00:00 --timestop 00:00:00 --datestop 2038-01-19T03:14:07",
            "TIME from 00:00:00 to 00:00:00 UTC",
        ),
        taken(
            "",
            "--timestart 1:2:003 --timestop +1:",
            "--timestart 01:02:03 --timestop 01:00:00 --datestop 2038-01-19T03:14:07",
            "TIME from 01:02:03 to 01:00:00 UTC",
        ),
        taken(
            "",
            "--weekdays Mo,Tues,3",
            "--weekdays Mon,Tue,Wed --datestop 2038-01-19T03:14:07",
            "TIME on Mon,Tue,Wed UTC",
        ),
        taken(
            "",
            "! --weekdays Mon-Fri",
            "--weekdays Tue,Wed,Thu,Fri,Sat,Sun --datestop 2038-01-19T03:14:07",
            "TIME on Tue,Wed,Thu,Fri,Sat,Sun UTC",
        ),
        taken(
            "",
            "--weekdays 8",
            "--weekdays  --datestop 2038-01-19T03:14:07",
            "TIME on  UTC",
        )
        .lossy(),
        taken(
            "",
            "! --weekdays \"\" ! --monthdays \"\"",
            "--datestop 2038-01-19T03:14:07",
            "TIME UTC",
        ),
        taken(
            "",
            "--monthdays 11,12,13,21,22,23,3",
            "--monthdays 3,11,12,13,21,22,23 --datestop 2038-01-19T03:14:07",
            "TIME on 3rd,11st,12nd,13rd,21st,22nd,23rd UTC",
        ),
        taken(
            "",
            "! --monthdays 1,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29",
            "--monthdays 2,3,30,31 --datestop 2038-01-19T03:14:07",
            "TIME on 2nd,3rd,30th,31st UTC",
        ),
        // A day that is none makes them others than all, although all are printed.
        taken(
            "",
            "! --monthdays 0",
            "--monthdays \
             1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31 \
             --datestop 2038-01-19T03:14:07",
            "TIME on 1st,2nd,3rd,4th,5th,6th,7th,8th,9th,10th,11st,12nd,13rd,14th,15th,16th,17th,18th,\
             19th,20th,21st,22nd,23rd,24th,25th,26th,27th,28th,29th,30th,31st UTC",
        )
        .lossy(),
        taken("", "--kerneltz", "--datestop 2038-01-19T03:14:07 --kerneltz", "TIME"),
        taken(
            "",
            "--localtz --kerneltz",
            "--datestop 2038-01-19T03:14:07 --kerneltz",
            "TIME",
        )
        .remarked(
            "WARNING: --localtz is being replaced by --kerneltz, since \"local\" is ambiguous. Note the \
             kernel timezone has caveats - see manpage for details.\n",
        ),
        taken(
            "",
            "--contiguous --timestart 10:00 --timestop 10:00",
            "--timestart 10:00:00 --timestop 10:00:00 --datestop 2038-01-19T03:14:07 --contiguous",
            "TIME from 10:00:00 to 10:00:00 UTC contiguous",
        ),
        taken(
            "",
            "--weekdays Mon,Tue --monthdays 3,1 --timestart 11:00 --timestop 10:00 --datestart 2026 \
             --datestop 2027 --kerneltz --contiguous",
            "--timestart 11:00:00 --timestop 10:00:00 --monthdays 1,3 --weekdays Mon,Tue --datestart \
             2026-01-01T00:00:00 --datestop 2027-01-01T00:00:00 --kerneltz --contiguous",
            "TIME from 11:00:00 to 10:00:00 on Mon,Tue on 1st,3rd starting from 2026-01-01 00:00:00 \
             until date 2027-01-01 00:00:00 contiguous",
        ),
    ],
    refused: &[
        refused(
            "",
            "--datestart 2039",
            "Invalid date \"2039\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]",
        ),
        refused(
            "",
            "--datestart 1969",
            "Invalid date \"1969\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]",
        ),
        refused(
            "",
            "--datestop 2026-13",
            "Invalid date \"2026-13\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]",
        ),
        refused(
            "",
            "--datestop 2026-1-32",
            "Invalid date \"2026-1-32\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]",
        ),
        refused(
            "",
            "--datestop 2026T10",
            "Invalid date \"2026T10\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]",
        ),
        refused(
            "",
            "--datestart 2026-05-06T24",
            "Invalid date \"2026-05-06T24\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]",
        ),
        refused(
            "",
            "--datestart 2026-05-06T10:11:60",
            "Invalid date \"2026-05-06T10:11:60\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]",
        ),
        refused(
            "",
            "--datestart \"2026-05-06 10:11:12\"",
            "Invalid date \"2026-05-06 10:11:12\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]",
        ),
        refused(
            "",
            "--datestart 2026-05-06T10:11:12:13",
            "Invalid date \"2026-05-06T10:11:12:13\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]",
        ),
        refused(
            "",
            "--datestart \"\"",
            "Invalid date \"\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]",
        ),
        refused("", "--datestart 1970-00", "mktime returned an error"),
        refused(
            "",
            "--timestart 10",
            "invalid time \"10\" specified, should be hh:mm[:ss] format and within the boundaries",
        ),
        refused(
            "",
            "--timestart 24:00",
            "invalid time \"24:00\" specified, should be hh:mm[:ss] format and within the boundaries",
        ),
        refused(
            "",
            "--timestart 23:60:10",
            "invalid time \"60:10\" specified, should be hh:mm[:ss] format and within the boundaries",
        ),
        refused(
            "",
            "--timestop 10:11:12x",
            "invalid time \"12x\" specified, should be hh:mm[:ss] format and within the boundaries",
        ),
        refused(
            "",
            "--timestop \"10:11 \"",
            "invalid time \"11 \" specified, should be hh:mm[:ss] format and within the boundaries",
        ),
        refused("", "--monthdays 1-3", "1- is not a valid day for --monthdays"),
        refused("", "--monthdays 4294967297", "42 is not a valid day for --monthdays"),
        refused("", "! --monthdays 1,32", "32 is not a valid day for --monthdays"),
        refused("", "--weekdays Mon,thurs", "thu is not a valid day specifier"),
        refused("", "--weekdays M", "M is not a valid day specifier"),
        refused("", "--weekdays ,Mon", "No, the week does NOT begin with Sunday."),
        refused("", "--weekdays 0", "No, the week does NOT begin with Sunday."),
        refused(
            "",
            "--weekdays 1 --weekdays 2",
            "time: option \"--weekdays\" can only be used once.\n",
        ),
        refused(
            "",
            "! --timestart 10:00",
            "time: option \"--timestart\" cannot be inverted.\n",
        ),
        refused(
            "",
            "--contiguous --timestart 10:00",
            "time: --contiguous only makes sense when stoptime is smaller than starttime",
        ),
        refused(
            "",
            "--kerneltz --utc",
            "time: option \"--utc\" cannot be used together with \"--kerneltz\".\n",
        ),
        refused(
            "",
            "--utc --localtz",
            "time: option \"--localtz\" cannot be used together with \"--utc\".\n",
        ),
    ],
    packets: &[
        passes("", "--datestart 2001-09-09", DATAGRAM),
        passes("", "! --weekdays 8 --timestart 10:00 --timestop 10:00", DATAGRAM),
        fails(
            "",
            "--datestart 2038-12-31T23:59:59",
            DATAGRAM,
            "--datestart 2038-12-31T23:59:59: it is 2001-09-09T01:46:40",
        ),
        fails(
            "",
            "--datestop 2001-09-09T01:46:39 --timestart 10:00 --timestop 9:00 --localtz --kerneltz \
             --contiguous",
            DATAGRAM,
            "--datestop 2001-09-09T01:46:39: it is 2001-09-09T01:46:40",
        ),
        fails("", "--weekdays 8 --utc", DATAGRAM, "--weekdays : it is Sun"),
        fails("", "--monthdays 0", DATAGRAM, "--monthdays : it is the 9th"),
    ],
    spellings: &[
        "-m time",
        "-m time --utc",
        "-m time --kerneltz",
        "-m time --datestop 2038-01-19T03:14:07",
        "-m time --timestart 00:00",
        "-m time --weekdays 1",
        "-m time ! --weekdays 2,3,4,5,6,7",
        "-m time ! --monthdays 0",
        "-m time --weekdays 8",
        "-m time --weekdays 32",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| {
        match draw.below(6) {
            0 => draw.give_one(&DATESTART.spec, &["2020", "2030-05-06T10:11", "2038-01-19"]),
            1 => draw.give_one(&DATESTOP.spec, &["2020", "2037-05", "2038-01-19T03:14:08"]),
            _ => {}
        }
        let has_night = draw.one_in(3);
        if has_night {
            draw.give_one(&TIMESTART.spec, &["22:00", "12:34:56", "18:00"]);
            draw.give_one(&TIMESTOP.spec, &["06:00", "12:34:55", "10:30"]);
            draw.maybe_flag(2, &CONTIGUOUS.spec);
        } else if draw.one_in(3) {
            draw.give_one(&TIMESTART.spec, &["06:00", "00:00", "12:30"]);
            draw.maybe(2, &TIMESTOP.spec, &["18:00", "23:59:59", "12:30"]);
        }
        draw.maybe(
            3,
            &WEEKDAYS.spec,
            &["Mon", "2", "Wed,Thu", "5,6,7", "Mon,Tue,Wed,Thu,Fri", "Sa,Su"],
        );
        draw.maybe(
            3,
            &MONTHDAYS.spec,
            &[
                "1",
                "1,2,3,4,5,6,7,8,9,10",
                "30,31",
                "29,30",
                "11,12,13,14,15,16,17,18,19,20",
            ],
        );
        match draw.below(5) {
            0 => draw.give(&UTC.spec, ""),
            1 => draw.give(&KERNELTZ.spec, ""),
            2 => draw.give(&LOCALTZ.spec, ""),
            _ => {}
        }
    },
)
.in_one_scenario_of(3)
.without(&[(
    "days that none is (`--weekdays 8`)",
    "the tool saves an option without a value, which iptables-restore does not take",
)]);
