//! A match and a target of one's own: `-m weekday` matches on days of the week, `-j COUNTRY` marks packets by where they come from. Neither is in
//! nflab; both are typed, saved, listed and explained like those that are.
//!
//! ```sh
//! cargo run --example write_an_extension
//! ```
//! An extension is a *spec* (its name, its options, how to build it) and a *value* (what was typed, which decides about packets). The kit reads
//! the options by the spec and complains as iptables does; `build` makes the value; `add_match` and `add_target` bring them in.

use std::error::Error;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use nflab::TOOLBOX;
use nflab::base::Family;
use nflab::explain::story::Detail;
use nflab::ext::drawn::Drawn;
use nflab::ext::listed::{Listed, Options, Typed};
use nflab::ext::option::{Asked, Given, Opt, Read, UsageError};
use nflab::ext::samples::Samples;
use nflab::ext::{MatchSpec, NameTaken, TargetSpec, add_match, add_target};
use nflab::lab::memory::Lab;
use nflab::lab::script::{Runner, parse};
use nflab::rule::{Context, Match, Matched, Target, TargetContext, TargetVerdict};
use nflab::syntax::problem::Source;

/// `-m weekday [!] --days Mon,Tue`.
static WEEKDAY: MatchSpec = MatchSpec {
    name: "weekday",
    aliases: &[],
    families: &[Family::V4],
    like: None,
    // Not one that `-p` brings in by itself, as tcp is.
    protocol: None,
    options: &[ON_DAYS.spec],
    needs_one: None,
    exclusive: &[],
    build: |given| Ok(Arc::new(Weekday::of(given))),
    unlist: unlist_weekday,
    directory: None,
    about: "days of the week",
    samples: NO_SAMPLES,
};

/// The option and the type of its value: the one place that spells its name.
const ON_DAYS: Opt<u32> = Opt::words(
    "days",
    &DAYS,
    &Read(|text, _| days(text)),
    "the packet comes on one of these days, in universal time",
)
.invertible()
.required();

/// Those of nflab's own extensions are walked by its tests; yours may be by yours.
const NO_SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[],
    refused: &[],
    packets: &[],
    spellings: &[],
    drawn: Drawn::NEVER,
};

/// The first of January 1970 was a Thursday.
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// The text of the option to a value: a bit for each day. The error is printed behind `iptables v1.8.9 (legacy): `.
fn days(text: &str) -> Result<u32, UsageError> {
    let mut bits = 0;
    for word in text.split(',') {
        let day = DAYS.iter().position(|day| day.eq_ignore_ascii_case(word));
        bits |= 1
            << day.ok_or_else(|| {
                UsageError::parameter(format!("weekday: no day `{word}'; there are {}", DAYS.join(", ")))
            })?;
    }
    Ok(bits)
}

/// What was typed. Equal values are equal rules to `-C` and `-D`.
#[derive(Debug, PartialEq, Eq)]
struct Weekday {
    /// A bit for each day.
    days: Asked<u32>,
}

impl Weekday {
    fn of(given: &Given<'_>) -> Self {
        // It is required, so the kit has seen to it that it is there.
        Self {
            days: given.get(ON_DAYS).unwrap_or_default(),
        }
    }

    fn words(&self) -> String {
        let days = DAYS
            .iter()
            .enumerate()
            .filter(|(at, _)| self.days.value & (1 << at) != 0);
        days.map(|(_, day)| *day).collect::<Vec<_>>().join(",")
    }
}

/// The time is an argument like the packet: in a test it is the test's.
fn today(cx: &Context<'_>) -> usize {
    (cx.now.as_secs() / 86_400 % 7) as usize
}

impl Match for Weekday {
    fn name(&self) -> &'static str {
        WEEKDAY.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.days.fits(self.days.value & (1 << today(cx)) != 0).into()
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let option = ON_DAYS.spelled(self.days.inverted);
        format!("{option} {}: packet comes on a {}", self.words(), DAYS[today(cx)])
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} {}", ON_DAYS.spelled(self.days.inverted), self.words());
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let not = if self.days.inverted { "!" } else { "" };
        let _ = write!(out, " on {not}{}", self.words());
    }
}

/// The inverse of `list`, for `nflab import`; `listed::never` would do where nobody needs it.
fn unlist_weekday(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("on")?;
        let mut options = Options::default();
        options.push_unless(it.take()?, ON_DAYS.name());
        Some(options)
    })
}

/// `-j COUNTRY`: sets the mark to a country's number, which the rules behind it ask for.
static COUNTRY: TargetSpec = TargetSpec {
    name: "COUNTRY",
    listed_as: "COUNTRY",
    families: &[Family::V4],
    like: None,
    options: &[],
    needs_one: None,
    exclusive: &[],
    build: |_| Ok(Arc::new(Country)),
    unlist: nflab::ext::listed::nothing,
    about: "sets the mark to the number of the source's country",
    samples: NO_SAMPLES,
};

#[derive(Debug, PartialEq, Eq)]
struct Country;

impl Target for Country {
    fn name(&self) -> &'static str {
        COUNTRY.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        cx.packet.mark = match cx.packet.source() {
            IpAddr::V4(source) if source.octets()[0] == 10 => 49,
            _ => 0,
        };
        TargetVerdict::Continue
    }

    fn save(&self, _out: &mut String) {}

    fn list(&self, _out: &mut String, _numeric: bool) {}
}

const SCRIPT: &str = "\
iptables -P FORWARD DROP
iptables -A FORWARD -j COUNTRY
iptables -A FORWARD -m weekday ! --days Sat,Sun -m mark --mark 49 -j ACCEPT
iptables -L FORWARD -n
send lan tcp 10.0.0.2:40000 > 192.0.2.9:80 S
";

fn main() -> Result<(), Box<dyn Error>> {
    bring()?;
    print!("{}", tell()?);
    Ok(())
}

/// Once in a process, before rules are read.
pub(crate) fn bring() -> Result<(), NameTaken> {
    add_match(&WEEKDAY)?;
    add_target(&COUNTRY)
}

/// Everything that the example prints: a listing, and two packets, the second three days later.
pub(crate) fn tell() -> Result<String, Box<dyn Error>> {
    let mut runner = Runner::new(Lab::default_lab(1, TOOLBOX)?, ".".into());
    runner.tells = Some(Detail::Whole);
    let mut out = String::new();
    for text in [SCRIPT, "advance 3d", "send lan tcp 10.0.0.2:40001 > 192.0.2.9:80 S"] {
        let source = Source {
            name: "script".to_owned(),
            text: format!("{text}\n"),
        };
        for statement in &parse(&source, TOOLBOX)? {
            let (said, result) = runner.run(statement);
            out += &said.stdout;
            result.map_err(|failed| format!("{}{}", said.stderr, failed.reason))?;
        }
    }
    Ok(out)
}
