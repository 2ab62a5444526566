//! `-m helper`: the helper that announced the packet's flow. Not the one that reads the flow: a control connection never matches.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Typed};
use crate::ext::option::{Asked, Given, Opt, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::ext::wording::{not, quoted};
use crate::rule::{Context, Effect, Match, Matched, StateUse};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "helper",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[HELPER.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "the helper that announced the packet's flow",
    samples: SAMPLES,
};

const HELPER: Opt<String> = Opt::text("helper", 0, LONGEST, "this helper announced the flow; \"\" for any")
    .invertible()
    .required();

/// Bytes.
const LONGEST: usize = 29;

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let helper = given.get(HELPER).unwrap_or_default();
    Ok(Arc::new(Helper { helper }))
}

#[derive(Debug)]
struct Helper {
    helper: Asked<String>,
}

/// Seen: `-C` and `-D` take any `-m helper` for any other, whatever was typed behind it.
impl PartialEq for Helper {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Helper {
    /// The name of the helper whose flow announced this one.
    fn announced_by(cx: &Context<'_>) -> Option<&'static str> {
        let master = cx.tracking.flow.as_ref()?.lock().master().cloned()?;
        let helper = master.lock().helper()?;
        Some(helper.name)
    }
}

impl Match for Helper {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    /// Seen: a name that only begins as the helper's does fits too (`ftp-2121` for `ftp`), and where no helper announced anything `!` always does.
    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let Asked { value, .. } = &self.helper;
        let fits = Self::announced_by(cx).is_some_and(|name| value.is_empty() || value.starts_with(name));
        self.helper.fits(fits).into()
    }

    fn effect(&self) -> Effect {
        Effect::PURE.with_state(StateUse::Reads).of_its_flow()
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let Asked { value, inverted } = &self.helper;
        let typed = format!("{} {}", HELPER.spelled(*inverted), quoted(value));
        match (Self::announced_by(cx), &cx.tracking.flow) {
            (Some(name), _) => format!("{typed}: helper {name} announced the flow"),
            (None, Some(_)) => format!("{typed}: no helper announced the flow"),
            (None, None) => format!("{typed}: packet has no flow"),
        }
    }

    fn save(&self, out: &mut String) {
        let Asked { value, inverted } = &self.helper;
        let _ = write!(out, " {} {}", HELPER.spelled(*inverted), quoted(value));
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let Asked { value, inverted } = &self.helper;
        let _ = write!(out, " helper match {}\"{value}\"", not(*inverted));
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// ` helper match ! "ftp"`. The name may hold `"` itself, so every one may be the end, as far as a name may be long.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    let start = listed.rest.trim_ascii_start();
    let Some(rest) = start.strip_prefix("helper match ") else {
        return Vec::new();
    };
    let (inverted, rest) = match rest.strip_prefix("! ") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let Some(inside) = rest.strip_prefix('"') else {
        return Vec::new();
    };
    let ends = inside.match_indices('"').filter(|(at, _)| {
        let after = &inside[at + 1..];
        after.is_empty() || after.starts_with(' ')
    });
    let ends = ends.take_while(|(at, _)| *at <= LONGEST);
    ends.map(|(at, _)| {
        let mut options = vec![HELPER.spelled(false).to_string(), inside[..at].to_owned()];
        if inverted {
            options.insert(0, "!".to_owned());
        }
        Typed {
            options,
            rest: &inside[at + 1..],
            unknown: None,
        }
    })
    .collect()
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--helper ftp", "--helper ftp", "helper match \"ftp\""),
        taken("", "! --helper ftp", "! --helper ftp", "helper match ! \"ftp\""),
        taken(
            "",
            "--helper ftp-2121",
            "--helper ftp-2121",
            "helper match \"ftp-2121\"",
        ),
        taken("", "--helper \"\"", "--helper \"\"", "helper match \"\""),
        taken("", "! --helper \"\"", "! --helper \"\"", "helper match ! \"\""),
        taken("", "--helper \"a b\"", "--helper \"a b\"", "helper match \"a b\""),
        taken(
            "",
            "--helper \"x\\\"y\"",
            "--helper \"x\\\"y\"",
            "helper match \"x\"y\"",
        ),
        taken(
            "",
            "--helper 1234567890123456789012345678901",
            "--helper 12345678901234567890123456789",
            "helper match \"12345678901234567890123456789\"",
        ),
    ],
    refused: &[
        refused("", "", "helper: option \"--helper\" must be specified\n"),
        refused(
            "",
            "--helper ftp --helper irc",
            "helper: option \"--helper\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "! --helper ftp", DATAGRAM),
        fails(
            "",
            "--helper ftp",
            DATAGRAM,
            "--helper ftp: no helper announced the flow",
        ),
        fails(
            "",
            "--helper \"\"",
            "tcp 10.0.0.2:1 > 192.0.2.9:2 SF",
            "--helper \"\": packet has no flow",
        ),
    ],
    spellings: &[
        "-m helper --helper ftp",
        "-m helper ! --helper ftp",
        "-m helper --helper ftp-2121",
        "-m helper --helper \"\"",
        "-m helper --helper ftp -m helper --helper irc",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| if place.may_track { 5 } else { 0 },
    |draw| {
        draw.give_one(
            &HELPER.spec,
            &["ftp", "ftp", "irc", "tftp", "amanda", "ftp-2121", "\"\"", "fTP"],
        );
    },
)
.in_one_scenario_of(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::testing::FTP;
    use crate::ext::testing::{ANY, Bench, match_packets, read_match, udp};

    #[test]
    fn the_announcer_is_asked_not_the_reader() {
        let mut master = Bench::new();
        master.track(&mut udp(1000, 53, &[]));
        let master = master.tracking.flow.clone().unwrap();
        let mut bench = Bench::new();
        let mut packet = udp(1001, 53, &[]);
        bench.track(&mut packet);
        let flow = bench.tracking.flow.clone().unwrap();
        flow.lock().set_helper(Some(&FTP));
        let cases = [
            ("--helper ftp", &packet, "--helper ftp: no helper announced the flow"),
            ("--helper \"\"", &packet, "--helper \"\": no helper announced the flow"),
            ("! --helper ftp", &packet, ""),
        ];
        match_packets(&SPEC, ANY, &bench, &cases);
        flow.lock().set_master(&master);
        match_packets(&SPEC, ANY, &bench, &cases);
        master.lock().set_helper(Some(&FTP));
        let cases = [
            ("--helper ftp", &packet, ""),
            ("--helper \"\"", &packet, ""),
            ("--helper ftp-2121", &packet, ""),
            ("--helper ft", &packet, "--helper ft: helper ftp announced the flow"),
            ("--helper FTP", &packet, "--helper FTP: helper ftp announced the flow"),
            (
                "! --helper ftp",
                &packet,
                "! --helper ftp: helper ftp announced the flow",
            ),
            ("! --helper irc", &packet, ""),
        ];
        match_packets(&SPEC, ANY, &bench, &cases);
    }

    #[test]
    fn it_needs_tracking() {
        assert!(read_match(&SPEC, ANY, "--helper ftp").unwrap().needs_conntrack());
    }
}
