//! `-m hashlimit`: a bucket of tokens, of bytes, or a count, for each address or flow, in tables that rules share by name and
//! `/proc/net/ipt_hashlimit` shows.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::{AddressMask, Family, Time, protocol};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::number::atoll;
use crate::ext::option::{Given, Opt, OptionSpec, Read, UsageError, ValueKind, prefix};
use crate::ext::place::invalid;
use crate::ext::{Directory, MatchSpec, NeedsOne};
use crate::packet::Packet;
use crate::rule::{Context, Effect, Ends, Errno, Match, Matched, Refusal, Scope, Shared, Sharing, State, StateUse};

mod bucket;
mod rate;
mod samples;
mod table;
#[cfg(test)]
mod tests;

use rate::{Asked, Burst, Rate};
use table::{Config, Key, Table, Told};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "hashlimit",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[
        UPTO.spec,
        ABOVE.spec,
        MODE.spec,
        SRCMASK.spec,
        DSTMASK.spec,
        NAME.spec,
        BURST.spec,
        HTABLE_SIZE.spec,
        HTABLE_MAX.spec,
        HTABLE_GCINTERVAL.spec,
        HTABLE_EXPIRE.spec,
        RATE_MATCH.spec,
        RATE_INTERVAL.spec,
    ],
    needs_one: Some(NeedsOne::AsAsked(has_a_rate_that_fits)),
    exclusive: &[&[UPTO.name(), ABOVE.name()]],
    build,
    unlist,
    directory: Some(DIRECTORY),
    about: "a rate for each address or flow, in tables that rules share",
    samples: samples::SAMPLES,
};

const DIRECTORY: Directory = Directory::OfEach {
    v4: "ipt_hashlimit",
    v6: "ip6t_hashlimit",
};

const RATE: &str = "NUMBER[/second|/minute|/hour|/day]|NUMBER[k|m]b/s";
const UPTO: Opt<Asked> = Opt::own(
    "hashlimit-upto",
    RATE,
    &Read(|text, _| rate::read(text, UPTO)),
    "there are tokens left, which come at this rate; or bytes",
)
.also(&["hashlimit"])
.invertible();
const ABOVE: Opt<Asked> = Opt::own(
    "hashlimit-above",
    RATE,
    &Read(|text, _| rate::read(text, ABOVE)),
    "there are none left",
)
.invertible();
const MODE: Opt<Mode> = Opt::words(
    "hashlimit-mode",
    &["srcip", "srcport", "dstip", "dstport"],
    &Read(|text, _| Mode::read(text)),
    "what has tokens of its own: addresses, ports; by itself all packets have them together",
);
const SRCMASK: Opt<u8> = Opt::own(
    "hashlimit-srcmask",
    "MASK",
    &Read(|text, given| mask(text, given, SRCMASK)),
    "sources alike in so many bits are one; all bits by itself",
);
const DSTMASK: Opt<u8> = Opt::own(
    "hashlimit-dstmask",
    "MASK",
    &Read(|text, given| mask(text, given, DSTMASK)),
    "destinations alike in so many bits are one; all bits by itself",
);
const NAME: Opt<String> = Opt::text(
    "hashlimit-name",
    1,
    LONGEST_NAME,
    "the table, whose first rule decides of it for all",
)
.required();
const BURST: Opt<Burst> = Opt::own(
    "hashlimit-burst",
    "NUMBER|NUMBER[k|m]b",
    &Read(|text, _| Burst::read(text)),
    "so many tokens are kept (default 5), or so many bytes may come at once",
);
const HTABLE_SIZE: Opt<u64> = Opt::integer(
    "hashlimit-htable-size",
    0,
    u32::MAX as u64,
    "buckets of the hash (by itself, and where it is 0, by the machine's memory)",
);
const HTABLE_MAX: Opt<u64> = Opt::integer(
    "hashlimit-htable-max",
    0,
    u32::MAX as u64,
    "so many entries, but no fewer than buckets; packets that need one more are dropped (by itself, and where it is 0, eight a bucket)",
);
const HTABLE_GCINTERVAL: Opt<u64> = Opt::integer(
    "hashlimit-htable-gcinterval",
    0,
    u32::MAX as u64,
    "milliseconds between looks for entries that are over (default 1000)",
);
const HTABLE_EXPIRE: Opt<u64> = Opt::integer(
    "hashlimit-htable-expire",
    0,
    u32::MAX as u64,
    "an entry is over so many milliseconds after its last packet (by itself the unit of the rate; of bytes 15 seconds, or 60 with a burst)",
);
const RATE_MATCH: Opt<()> = Opt::flag(
    "hashlimit-rate-match",
    "packets are counted, whatever becomes of them: for intervals in which there are more, and until their number was less in one",
);
const RATE_INTERVAL: Opt<u32> = Opt::own(
    "hashlimit-rate-interval",
    "NUMBER",
    &Read(|text, _| match atoll(text) as i32 {
        seconds @ 1.. => Ok(seconds as u32),
        _ => Err(rate::bad_value(RATE_INTERVAL.name(), text)),
    }),
    "how many seconds such an interval has (by itself the unit of the rate)",
);

const LONGEST_NAME: usize = 254;
const DEFAULT_GCINTERVAL: u32 = 1000;
/// More the kernel makes of neither, and gives them back so.
const LARGEST_TABLE: u32 = 1 << 20;

/// The bits of what tells entries apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mode(u8);

impl Mode {
    const SOURCE: u8 = 1 << 0;
    const SOURCE_PORT: u8 = 1 << 1;
    const DESTINATION: u8 = 1 << 2;
    const DESTINATION_PORT: u8 = 1 << 3;

    fn read(text: &str) -> Result<Self, UsageError> {
        let mut mode = Self::default();
        // Seen: between commas there may be nothing.
        for word in text.split(',').filter(|word| !word.is_empty()) {
            let known = MODES.iter().find(|(name, _)| *name == word);
            let (_, bit) = known.ok_or_else(|| rate::bad_value(MODE.name(), text))?;
            mode.0 |= bit;
        }
        Ok(mode)
    }

    fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }

    fn names(self) -> Vec<&'static str> {
        let asked = MODES.iter().filter(|(_, bit)| self.has(*bit));
        asked.map(|(name, _)| *name).collect()
    }
}

const MODES: [(&str, u8); 4] = [
    ("srcip", Mode::SOURCE),
    ("srcport", Mode::SOURCE_PORT),
    ("dstip", Mode::DESTINATION),
    ("dstport", Mode::DESTINATION_PORT),
];

/// Seen: one that is no prefix is taken, and refused by the kernel.
fn mask(text: &str, given: &Given<'_>, option: Opt<u8>) -> Result<u8, UsageError> {
    let bits = given.family.bits();
    let length = prefix(text, given.family).ok_or_else(|| {
        UsageError::parameter(format!(
            "hashlimit: bad value for option \"{}\", neither a valid network mask nor valid CIDR (0-{bits}).\n",
            option.spelled(false)
        ))
    })?;
    Ok(length.unwrap_or(u8::MAX))
}

/// What was asked of the rate, and whether it is what is above it: `! --hashlimit-upto` is `--hashlimit-above`, and printed so.
fn asked_rate(given: &Given<'_>) -> Option<(Asked, bool)> {
    let above = given.get(ABOVE).map(|above| (above.value, !above.inverted));
    above.or_else(|| given.get(UPTO).map(|upto| (upto.value, upto.inverted)))
}

/// Seen: asked before the kit asks for a name.
fn has_a_rate_that_fits(given: &Given<'_>) -> Result<(), UsageError> {
    let Some((rate, _)) = asked_rate(given) else {
        return Err(UsageError::parameter("You have to specify --hashlimit"));
    };
    match given.value(BURST) {
        Some(burst) => burst.of(rate).map(drop),
        None => Ok(()),
    }
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    // One is there: `has_a_rate_that_fits` says so.
    let (asked, is_above) = asked_rate(given).unwrap_or_default();
    let burst = given.value(BURST);
    let number = |option| given.value(option).map(|number: u64| number as u32);
    let is_rate_match = given.has(RATE_MATCH);
    let every_bit = given.family.bits();
    Ok(Arc::new(Hashlimit {
        family: given.family,
        is_above,
        rate: asked.rate(is_rate_match),
        burst: match burst {
            Some(burst) => burst.of(asked)?,
            None => asked.default_burst(),
        },
        mode: given.value(MODE).unwrap_or_default(),
        name: given.value(NAME).unwrap_or_default(),
        size: number(HTABLE_SIZE).unwrap_or(0),
        max: number(HTABLE_MAX).unwrap_or(0),
        gc_interval: number(HTABLE_GCINTERVAL).unwrap_or(DEFAULT_GCINTERVAL),
        expire: number(HTABLE_EXPIRE).unwrap_or_else(|| 1000 * asked.seconds_kept(burst.is_some())),
        source_mask: given.value(SRCMASK).unwrap_or(every_bit),
        destination_mask: given.value(DSTMASK).unwrap_or(every_bit),
        is_rate_match,
        interval: match (given.value(RATE_INTERVAL), is_rate_match) {
            (Some(seconds), _) => seconds,
            (None, true) => asked.interval(),
            (None, false) => 0,
        },
    }))
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hashlimit {
    family: Family,
    is_above: bool,
    rate: Rate,
    /// Tokens; of bytes, how many times what comes in a second.
    burst: u32,
    mode: Mode,
    name: String,
    size: u32,
    max: u32,
    /// Milliseconds.
    gc_interval: u32,
    /// Milliseconds.
    expire: u32,
    source_mask: u8,
    destination_mask: u8,
    is_rate_match: bool,
    /// Seconds; without `--hashlimit-rate-match` it means nothing.
    interval: u32,
}

impl Hashlimit {
    fn option(&self) -> Opt<Asked> {
        if self.is_above { ABOVE } else { UPTO }
    }

    /// Of the packet, by what the table asks. `None` where ports that it asks for are cut off.
    fn key(&self, config: &Config, packet: &Packet) -> Option<Key> {
        let address = |bit: u8, address: IpAddr, length: u8| match config.mode.has(bit) {
            true => AddressMask::prefix(address, length).map_or(address, |mask| mask.address()),
            false => packet.family().unspecified(),
        };
        let asks_for_ports = config.mode.has(Mode::SOURCE_PORT | Mode::DESTINATION_PORT);
        let (source_port, destination_port) = if asks_for_ports { ports(packet)? } else { (0, 0) };
        let port = |bit: u8, port: u16| if config.mode.has(bit) { port } else { 0 };
        Some(Key {
            source: address(Mode::SOURCE, packet.source(), config.source_mask),
            destination: address(Mode::DESTINATION, packet.destination(), config.destination_mask),
            source_port: port(Mode::SOURCE_PORT, source_port),
            destination_port: port(Mode::DESTINATION_PORT, destination_port),
        })
    }

    /// What is so of the packet's entry now.
    fn told(&self, cx: &Context<'_>) -> Option<Told> {
        if let Some(kept) = cx.state::<Told>() {
            return Some(*kept);
        }
        let table = cx.state::<Table>()?.lock();
        let key = self.key(&table.config, cx.packet)?;
        Some(table.told(key))
    }

    /// What stands of the rule between what `-S` and `-L` begin and end with. `unit` is what the rate was printed in, in seconds.
    fn print(&self, out: &mut String, form: &Form, unit: u32) {
        let _ = match self.rate {
            Rate::Packets(_) => write!(out, " {} {}", form.word(BURST.name()), self.burst),
            Rate::Bytes(_) if self.burst == 0 => Ok(()),
            Rate::Bytes(cost) => {
                let bytes = u64::from(self.burst) * rate::bytes_of(cost);
                write!(out, " {} {}", form.word(BURST.name()), rate::Bytes(bytes))
            }
        };
        if self.mode != Mode::default() {
            let names = self.mode.names().join(form.between);
            let _ = write!(out, " {} {names}", form.word(MODE.name()));
        }
        if form.has_name {
            let _ = write!(out, " {} {}", form.word(NAME.name()), self.name);
        }
        let mut number = |option: &str, number: u32, default: u32| {
            if number != default {
                let _ = write!(out, " {} {number}", form.word(option));
            }
        };
        let kept = match self.rate {
            Rate::Packets(_) => unit,
            Rate::Bytes(_) => rate::seconds_of_bytes(self.burst != 0),
        };
        number(HTABLE_SIZE.name(), self.size, 0);
        number(HTABLE_MAX.name(), self.max, 0);
        number(HTABLE_GCINTERVAL.name(), self.gc_interval, DEFAULT_GCINTERVAL);
        number(HTABLE_EXPIRE.name(), self.expire, kept.wrapping_mul(1000));
        let every_bit = u32::from(self.family.bits());
        number(SRCMASK.name(), self.source_mask.into(), every_bit);
        number(DSTMASK.name(), self.destination_mask.into(), every_bit);
        if self.is_rate_match {
            let _ = write!(out, " {}", form.word(RATE_MATCH.name()));
            if self.interval != 1 {
                let _ = write!(out, " {} {}", form.word(RATE_INTERVAL.name()), self.interval);
            }
        }
    }
}

/// How options are called, in `-S` or in a listing.
struct Form {
    before: &'static str,
    is_short: bool,
    between: &'static str,
    has_name: bool,
}

const SAVED: Form = Form {
    before: "--",
    is_short: false,
    between: ",",
    has_name: true,
};
const LISTED: Form = Form {
    before: "",
    is_short: true,
    between: "-",
    has_name: false,
};

impl Form {
    fn word(&self, option: &str) -> String {
        let name = match self.is_short {
            true => option.strip_prefix(BEFORE_ALL).unwrap_or(option),
            false => option,
        };
        format!("{}{name}", self.before)
    }
}

/// What the names of all options begin with, and no word of a listing does.
const BEFORE_ALL: &str = "hashlimit-";

/// Seen: in later fragments of IPv4 it reads where the first has them; those of IPv6 have none. What has no ports is told apart by 0.
fn ports(packet: &Packet) -> Option<(u16, u16)> {
    if packet.family() == Family::V6 && packet.fragment_offset() != 0 {
        return Some((0, 0));
    }
    if !packet.has_transport() {
        return None;
    }
    let at = match packet.protocol() {
        protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP | protocol::DCCP | protocol::ESP => 0,
        // Its index of parameters, as that of ESP.
        protocol::AH => 4,
        _ => return Some((0, 0)),
    };
    let bytes = packet.transport().get(at..)?.first_chunk::<4>()?;
    Some((
        u16::from_be_bytes([bytes[0], bytes[1]]),
        u16::from_be_bytes([bytes[2], bytes[3]]),
    ))
}

impl Match for Hashlimit {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let Some(table) = cx.state::<Table>() else {
            return Matched::No;
        };
        let mut table = table.lock();
        let Some(key) = self.key(&table.config, cx.packet) else {
            return Matched::Malformed;
        };
        match table.touch(key, cx.now.jiffies()) {
            Some(bucket) => (bucket.is_over(self, cx.packet.len() as u64) == self.is_above).into(),
            None => Matched::Dropped,
        }
    }

    fn effect(&self) -> Effect {
        Effect::PURE.with_state(StateUse::Writes).ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let mut text = format!("{} {}: ", self.option().spelled(false), self.rate.printed(1).0);
        match self.told(cx) {
            Some(told) => told.write(&mut text, self, cx.packet.len() as u64),
            None => {
                let _ = write!(text, "table {} is not there", self.name);
            }
        }
        text
    }

    fn remember(&self, cx: &Context<'_>) -> Option<Box<State>> {
        Some(Box::new(self.told(cx)?))
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        Some(self)
    }

    fn check(&self, _scope: &Scope<'_>) -> Result<(), Refusal> {
        let refused = |reason: &str| Err(Refusal::unlogged(Errno::InvalidArgument, reason));
        if self.gc_interval == 0 || self.expire == 0 {
            return refused("--hashlimit-htable-gcinterval and --hashlimit-htable-expire are more than 0");
        }
        if self.source_mask.max(self.destination_mask) > self.family.bits() {
            return refused("--hashlimit-srcmask and --hashlimit-dstmask are prefixes of an address");
        }
        match self.rate {
            // Of more than a million in its unit, nothing is left as the time for one.
            Rate::Packets(0) if self.is_rate_match => {
                return Err(Refusal::logged(Errno::OutOfRange, "xt_hashlimit: invalid rate"));
            }
            Rate::Packets(period) if !self.is_rate_match && bucket::overflows(period, self.burst) => {
                return Err(Refusal::logged(
                    Errno::OutOfRange,
                    format!("xt_hashlimit: overflow, try lower: {period}/{}", self.burst),
                ));
            }
            Rate::Bytes(cost) if !self.is_rate_match && bucket::credits_of_bytes(cost) == 0 => {
                return Err(invalid(format!("xt_hashlimit: overflow, rate too high: {cost}")));
            }
            _ => {}
        }
        if [".", ".."].contains(&self.name.as_str()) || self.name.contains('/') {
            return refused("a file in /proc/net/ipt_hashlimit cannot have this name");
        }
        Ok(())
    }

    fn read_back(&self) -> Option<Arc<dyn Match>> {
        (self.size.max(self.max) > LARGEST_TABLE).then(|| {
            Arc::new(Self {
                size: self.size.min(LARGEST_TABLE),
                max: self.max.min(LARGEST_TABLE),
                ..self.clone()
            }) as Arc<dyn Match>
        })
    }

    fn save(&self, out: &mut String) {
        let (rate, unit) = self.rate.printed(1);
        let _ = write!(out, " {} {rate}", self.option().spelled(false));
        self.print(out, &SAVED, unit);
    }

    /// Seen: of a rate over an interval, a listing tells what comes in a unit of time, and `-S` what comes in the interval.
    fn list(&self, out: &mut String, _numeric: bool) {
        let (rate, unit) = self.rate.printed(self.interval.max(1).into());
        let word = if self.is_above { "above" } else { "up to" };
        let _ = write!(out, " limit: {word} {rate}");
        self.print(out, &LISTED, unit);
    }
}

impl Sharing for Hashlimit {
    fn directory(&self) -> &'static str {
        DIRECTORY.of(self.family)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn make(&self, now: Time) -> Arc<dyn Shared> {
        Arc::new(Table::new(Config::of(self), now.jiffies()))
    }

    fn is_sure_to_join(&self) -> bool {
        false
    }

    /// Seen: a table counts, or it has tokens, and the kernel lets nobody join who asks for the other.
    fn may_join(&self, state: &State) -> Result<(), Refusal> {
        let table = state.downcast_ref::<Table>().map(Table::lock);
        match table.is_none_or(|table| table.config.is_rate_match == self.is_rate_match) {
            true => Ok(()),
            false => Err(Refusal::unlogged(
                Errno::InvalidArgument,
                format!(
                    "all rules of table {} have --hashlimit-rate-match, or none has it",
                    self.name
                ),
            )),
        }
    }
}

/// ` limit: up to 3/sec burst 5 mode srcip-dstip htable-size 5 srcmask 24 rate-match rate-interval 8`, without the name.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("limit:")?;
        let option = match it.take()? {
            "above" => ABOVE,
            "up" => it.word("to").map(|()| UPTO)?,
            _ => return None,
        };
        let rate = it.take()?;
        let mut options = Options::default();
        options.unknown("which table it is: `--hashlimit-name` is not listed");
        let (mut interval, mut has_expire, mut counts) = (None, false, false);
        while let Some(word) = it.peek() {
            let is_it = |option: &&OptionSpec| option.name.strip_prefix(BEFORE_ALL) == Some(word);
            let Some(option) = SPEC.options.iter().find(is_it) else {
                break;
            };
            it.take();
            let value = match option.value {
                ValueKind::Flag => String::new(),
                _ => it.take()?.replace('-', ","),
            };
            has_expire |= option.name == HTABLE_EXPIRE.name();
            counts |= option.name == RATE_MATCH.name();
            if option.name == RATE_INTERVAL.name() {
                interval = Some(value.parse().ok()?);
            }
            options.push(false, option.name, &value);
        }
        options.push(false, NAME.name(), if counts { UNLISTED_COUNT } else { UNLISTED });
        match interval.and_then(|seconds| rate::over_interval(rate, seconds)) {
            None => options.push(false, option.name(), rate),
            Some((number, unit)) => {
                options.push(false, option.name(), &format!("{number}/s"));
                // What follows from the unit that was typed is listed where it does not follow from the one that is listed.
                if !has_expire {
                    options.push(false, HTABLE_EXPIRE.name(), &(1000 * unit).to_string());
                }
            }
        }
        Some(options)
    })
}

/// A table must have a name to be typed, and those that count are others.
const UNLISTED: &str = "unlisted";
const UNLISTED_COUNT: &str = "unlisted-count";

/// As `/proc` prints an address: of IPv6 all of its digits.
fn write_address(out: &mut String, address: IpAddr) {
    let _ = match address {
        IpAddr::V4(address) => write!(out, "{address}"),
        IpAddr::V6(address) => {
            let groups = address.segments().map(|group| format!("{group:04x}"));
            write!(out, "{}", groups.join(":"))
        }
    };
}
