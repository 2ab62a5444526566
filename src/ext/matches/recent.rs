//! `-m recent`: addresses that were seen, in lists that rules share by name and `/proc/net/xt_recent` shows.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::{Family, JIFFIES_PER_SECOND, Time, as_in_c};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, Read, UsageError, address};
use crate::ext::place::invalid;
use crate::ext::wording::not;
use crate::ext::{Directory, MatchSpec, NeedsOne};
use crate::packet::Sender;
use crate::rule::{Context, Effect, Errno, Match, Matched, Refusal, Scope, Shared, Sharing, State, StateUse};

mod list;
mod samples;

use list::{Found, List};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "recent",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[
        SET.spec,
        RCHECK.spec,
        UPDATE.spec,
        REMOVE.spec,
        SECONDS.spec,
        REAP.spec,
        HITCOUNT.spec,
        RTTL.spec,
        NAME.spec,
        RSOURCE.spec,
        RDEST.spec,
        MASK.spec,
    ],
    needs_one: Some(NeedsOne::Of {
        of: &[SET.name(), RCHECK.name(), UPDATE.name(), REMOVE.name()],
        message: "recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'",
    }),
    exclusive: &[&[SET.name(), RCHECK.name(), UPDATE.name(), REMOVE.name()]],
    build,
    unlist,
    directory: Some(Directory::OfBoth(DIRECTORY)),
    about: "addresses that were seen, in lists that rules share",
    samples: samples::SAMPLES,
};

const SET: Opt<()> = Opt::flag(
    "set",
    "the address goes into the list, or is seen there once more; matches always",
)
.invertible();
const RCHECK: Opt<()> = Opt::flag("rcheck", "the address is in the list").invertible();
const UPDATE: Opt<()> = Opt::flag("update", "the address is in the list, and is seen there once more").invertible();
const REMOVE: Opt<()> = Opt::flag("remove", "the address is in the list, and is taken out of it").invertible();
const SECONDS: Opt<u64> = Opt::integer(
    "seconds",
    1,
    u32::MAX as u64,
    "with --rcheck or --update: it was seen within so many seconds",
);
const REAP: Opt<()> = Opt::flag(
    "reap",
    "takes the address that was not seen for longest out of the list, where that is more seconds ago",
)
.together_with(|| SECONDS.name());
const HITCOUNT: Opt<u64> = Opt::integer(
    "hitcount",
    0,
    u32::MAX as u64,
    "with --rcheck or --update: it was seen so many times",
);
const RTTL: Opt<()> = Opt::flag(
    "rttl",
    "with --rcheck or --update: its last packet had the TTL that this one has",
);
const NAME: Opt<String> = Opt::text("name", 0, LONGEST_NAME, "the list, DEFAULT by itself");
const RSOURCE: Opt<()> = Opt::flag("rsource", "about the packet's source, as by itself");
const RDEST: Opt<()> = Opt::flag("rdest", "about the packet's destination");
const MASK: Opt<IpAddr> = Opt::own(
    "mask",
    "MASK",
    &Read(|text, given| address(text, given.family)),
    "bits of the address that count; the first rule that names a list decides for all",
);

const DIRECTORY: &str = "xt_recent";
const LONGEST_NAME: usize = 199;

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let command = [
        (given.get(SET), Command::Set),
        (given.get(RCHECK), Command::Check),
        (given.get(UPDATE), Command::Update),
        (given.get(REMOVE), Command::Remove),
    ];
    let asked = command.into_iter().find_map(|(asked, command)| Some((asked?, command)));
    // One is there: the spec says so.
    let (inverted, command) = asked.map_or((false, Command::Set), |(asked, command)| (asked.inverted, command));
    if given.has(RTTL) && matches!(command, Command::Set | Command::Remove) {
        // Here and not in the spec, since the tool says it from this side.
        return Err(UsageError::parameter(format!(
            "recent: option \"{}\" cannot be used together with \"{}\".\n",
            RTTL.spelled(false),
            command.option().spelled(false)
        )));
    }
    // Of the two sides the last counts.
    let sides = given.options.iter().rev().map(|option| option.spec.name);
    let side = sides
        .into_iter()
        .find(|name| [RSOURCE.name(), RDEST.name()].contains(name));
    Ok(Arc::new(Recent {
        command,
        inverted,
        seconds: given.value(SECONDS).unwrap_or(0) as u32,
        reap: given.has(REAP),
        hits: given.value(HITCOUNT).unwrap_or(0) as u32,
        same_ttl: given.has(RTTL),
        name: given.value(NAME).unwrap_or_else(|| "DEFAULT".to_owned()),
        by_destination: side == Some(RDEST.name()),
        mask: given.value(MASK).unwrap_or(given.family.every_bit()),
        is_ipv4_mask_given: given.value(MASK).is_some_and(|mask| mask.is_ipv4()),
    }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Set,
    Check,
    Update,
    Remove,
}

impl Command {
    fn option(self) -> Opt<()> {
        match self {
            Self::Set => SET,
            Self::Check => RCHECK,
            Self::Update => UPDATE,
            Self::Remove => REMOVE,
        }
    }

    fn listed(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Check => "CHECK",
            Self::Update => "UPDATE",
            Self::Remove => "REMOVE",
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Recent {
    command: Command,
    inverted: bool,
    /// 0: however long ago.
    seconds: u32,
    reap: bool,
    /// 0: however often.
    hits: u32,
    same_ttl: bool,
    name: String,
    by_destination: bool,
    mask: IpAddr,
    /// Rules are compared by all the bytes of an IPv6 mask, of which `--mask` with an IPv4 address clears three quarters: a rule that is
    /// deleted has to say its mask if it was given one, and may not if it was not, although both print the same.
    is_ipv4_mask_given: bool,
}

impl Recent {
    /// In both families' place for it: what `--mask` says of IPv4 clears the other three quarters, and who says nothing fills all of them.
    fn mask_of_list(&self) -> u128 {
        match self.mask {
            IpAddr::V6(mask) => mask.to_bits(),
            IpAddr::V4(mask) if self.is_ipv4_mask_given => u128::from(mask.to_bits()) << 96,
            IpAddr::V4(_) => u128::MAX,
        }
    }

    fn address(&self, cx: &Context<'_>) -> IpAddr {
        match self.by_destination {
            true => cx.packet.destination(),
            false => cx.packet.source(),
        }
    }

    /// As it was when the packet came: one that is forwarded has lost one by now, and the kernel tells it by the way out and the missing socket.
    fn ttl(&self, cx: &Context<'_>) -> u8 {
        let is_forwarded = !cx.output.is_empty() && cx.packet.sender == Sender::NoSocket;
        cx.packet.ttl().wrapping_add(u8::from(is_forwarded))
    }

    /// What the list has to have of it.
    fn asked(&self, now: u64) -> list::Asked {
        list::Asked {
            // As the kernel reckons, in 32 bits.
            since: (self.seconds != 0)
                .then(|| now.wrapping_sub(u64::from(self.seconds.wrapping_mul(JIFFIES_PER_SECOND)))),
            hits: self.hits,
        }
    }

    fn prefix(&self) -> String {
        let mut text = self.command.option().spelled(self.inverted).to_string();
        self.write_conditions(&mut text);
        text
    }

    fn write_conditions(&self, out: &mut String) {
        if self.seconds != 0 {
            // The tool prints it with its sign.
            let _ = write!(out, " {} {}", SECONDS.spelled(false), self.seconds as i32);
        }
        if self.reap {
            let _ = write!(out, " {}", REAP.spelled(false));
        }
        if self.hits != 0 {
            let _ = write!(out, " {} {}", HITCOUNT.spelled(false), self.hits);
        }
        if self.same_ttl {
            let _ = write!(out, " {}", RTTL.spelled(false));
        }
    }

    /// What the list says about the packet, as it is now.
    fn found(&self, cx: &Context<'_>) -> Option<Found> {
        match cx.state::<Found>() {
            Some(kept) => Some(*kept),
            None => {
                let list = cx.state::<List>()?;
                let now = cx.now.jiffies();
                Some(list.found(
                    self.address(cx),
                    self.same_ttl.then(|| self.ttl(cx)),
                    self.asked(now),
                    now,
                ))
            }
        }
    }
}

impl Match for Recent {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let Some(list) = cx.state::<List>() else {
            return Matched::No;
        };
        let (now, ttl) = (cx.now.jiffies(), self.ttl(cx));
        let mut list = list.lock();
        list.begin();
        let address = list.masked(self.address(cx));
        let Some(at) = list.find(address, self.same_ttl.then_some(ttl)) else {
            let is_new = self.command == Command::Set;
            if is_new {
                list.enter(address, ttl, now);
            }
            return (is_new != self.inverted).into();
        };
        let asked = self.asked(now);
        let has = match self.command {
            Command::Set => true,
            Command::Remove => {
                list.remove(at);
                return (!self.inverted).into();
            }
            Command::Check | Command::Update => list.fits(at, asked),
        };
        let matched = has != self.inverted;
        let is_seen = self.command == Command::Set || self.command == Command::Update && matched;
        let at = match self.reap {
            true => list.reap(asked, at, is_seen, now),
            false => Some(at),
        };
        if let (true, Some(at)) = (is_seen, at) {
            list.see(at, ttl, now);
        }
        matched.into()
    }

    fn effect(&self) -> Effect {
        Effect::PURE.with_state(match (self.command, self.reap) {
            (Command::Check, false) => StateUse::Reads,
            _ => StateUse::Writes,
        })
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let (name, found) = (&self.name, self.found(cx));
        let mut text = self.prefix() + ": ";
        let Some(found) = found else {
            let _ = write!(text, "list {name} is not there");
            return text;
        };
        let address = found.address;
        let _ = match (self.command, found.entry) {
            (Command::Set, _) => write!(text, "{address} is in list {name} from now on"),
            (Command::Remove, _) if self.inverted => write!(text, "{address} was in list {name}"),
            (_, None) => match found.other_ttl {
                Some((ttl, packet)) => write!(
                    text,
                    "{address} is in list {name} with TTL {ttl}, the packet came with {packet}"
                ),
                None => write!(text, "{address} is not in list {name}"),
            },
            (_, Some(seen)) => {
                let _ = write!(
                    text,
                    "{address} {} in list {name}, seen {} time{}",
                    if found.is_reaped { "was" } else { "is" },
                    seen.hits,
                    if seen.hits == 1 { "" } else { "s" }
                );
                if self.seconds != 0 {
                    let ago = seen.ago as f64 / f64::from(JIFFIES_PER_SECOND);
                    let _ = write!(text, " within that time, last {ago:.3} s ago");
                }
                match found.is_reaped {
                    true => write!(text, ", and {} took it out", REAP.spelled(false)),
                    false => Ok(()),
                }
            }
        };
        text
    }

    fn remember(&self, cx: &Context<'_>) -> Option<Box<State>> {
        Some(Box::new(self.found(cx)?))
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        Some(self)
    }

    fn check(&self, _scope: &Scope<'_>) -> Result<(), Refusal> {
        let refused = |reason: String| Err(Refusal::unlogged(Errno::InvalidArgument, reason));
        let is_plain = (self.seconds, self.hits) == (0, 0);
        if matches!(self.command, Command::Set | Command::Remove) && !is_plain {
            let command = self.command.option().spelled(false);
            return refused(format!("{command} takes neither --seconds nor --hitcount nor --reap"));
        }
        if self.hits > MOST_HITS {
            let hits = self.hits;
            return Err(invalid(format!(
                "xt_recent: hitcount ({hits}) is larger than allowed maximum ({MOST_HITS})"
            )));
        }
        if ["", ".", ".."].contains(&self.name.as_str()) || self.name.contains('/') {
            return refused(format!(
                "{:?} cannot be the name of a file in /proc/net/xt_recent",
                self.name
            ));
        }
        Ok(())
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {}", self.command.option().spelled(self.inverted));
        self.write_conditions(out);
        let side = if self.by_destination { RDEST } else { RSOURCE };
        let _ = write!(
            out,
            " {} {} {} {} {}",
            NAME.spelled(false),
            self.name,
            MASK.spelled(false),
            as_in_c(self.mask),
            side.spelled(false)
        );
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(out, " {}recent: {}", not(self.inverted), self.command.listed());
        if self.seconds != 0 {
            let _ = write!(out, " seconds: {}", self.seconds as i32);
        }
        if self.reap {
            let _ = write!(out, " {}", REAP.name());
        }
        if self.hits != 0 {
            let _ = write!(out, " hit_count: {}", self.hits);
        }
        if self.same_ttl {
            out.push_str(" TTL-Match");
        }
        let side = if self.by_destination { "dest" } else { "source" };
        let _ = write!(out, " name: {} side: {side} mask: {}", self.name, as_in_c(self.mask));
    }
}

/// As many as a list can keep of one address.
const MOST_HITS: u32 = u16::MAX as u32;

impl Sharing for Recent {
    fn directory(&self) -> &'static str {
        DIRECTORY
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn make(&self, _now: Time) -> Arc<dyn Shared> {
        Arc::new(List::new(self.hits, self.mask_of_list()))
    }

    fn join(&self, state: &State) {
        if let Some(list) = state.downcast_ref::<List>() {
            list.lock().remember_so_many(self.hits);
        }
    }
}

/// ` ! recent: UPDATE seconds: 5 reap hit_count: 3 TTL-Match name: N side: source mask: M`; old tools printed no mask.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        let inverted = it.word("!").is_some();
        it.word("recent:")?;
        let command = it.take()?;
        let commands = [Command::Set, Command::Check, Command::Update, Command::Remove];
        let command = commands.into_iter().find(|known| known.listed() == command)?;
        let mut options = Options::default();
        options.push(inverted, command.option().name(), "");
        if it.word("seconds:").is_some() {
            // What is more than half of what there is was printed as negative.
            let seconds: i32 = it.take()?.parse().ok()?;
            options.push(false, SECONDS.name(), &(seconds as u32).to_string());
        }
        if it.word(REAP.name()).is_some() {
            options.push(false, REAP.name(), "");
        }
        if it.word("hit_count:").is_some() {
            options.push(false, HITCOUNT.name(), it.take()?);
        }
        if it.word("TTL-Match").is_some() {
            options.push(false, RTTL.name(), "");
        }
        it.word("name:")?;
        // A name may have blanks: it ends where the side begins.
        let mut name = it.take()?.to_owned();
        while it.peek()? != "side:" {
            name = name + " " + it.take()?;
        }
        options.push(false, NAME.name(), &name);
        it.word("side:")?;
        let side = if it.take()? == "dest" { RDEST } else { RSOURCE };
        // Old tools had no mask to print: they asked for whole addresses.
        let mask = match it.word("mask:") {
            Some(()) => it.take()?,
            None => "255.255.255.255",
        };
        options.push(false, MASK.name(), mask);
        options.push(false, side.name(), "");
        Some(options)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ext::testing::{ANY, Bench, match_places, read_match, udp};
    use crate::packet::{End, Packet};
    use crate::rule::{BoundState, Clock, Hook, Table};

    fn from(last: u8) -> Packet {
        let mut packet = udp(1, 2, &[]);
        packet.set_address(End::Source, IpAddr::from([10, 0, 0, last]));
        packet.sender = Sender::Unsaid;
        packet
    }

    /// Rules that share one list, asked one after another: milliseconds, rule, the packet's last byte, and whether it matches.
    fn play(steps: &[(u64, &str, u8, bool)]) -> (Bench, BoundState) {
        let mut bench = Bench::new();
        let start = bench.now;
        let mut state: Option<BoundState> = None;
        for &(at, typed, last, matches) in steps {
            let made = read_match(&SPEC, ANY, typed).unwrap();
            if let Some(state) = &state {
                made.sharing().unwrap().join(&**state);
            }
            let state = state.get_or_insert_with(|| BoundState::fresh(made.as_ref(), start).unwrap());
            bench.now = start + Duration::from_millis(at);
            let packet = from(last);
            let matched = made.evaluate(&bench.context(&packet, Some(&**state)));
            assert_eq!(matched == Matched::Yes, matches, "{typed} of {last} at {at}");
        }
        (bench, state.unwrap())
    }

    #[test]
    fn what_was_seen_counts() {
        let many = [(0, "--set", 2, true); 3];
        play(
            &[
                &many[..],
                &[
                    (0, "--rcheck --hitcount 3", 2, true),
                    (0, "--rcheck --hitcount 4", 2, false),
                    (0, "--rcheck --hitcount 3", 3, false),
                    (0, "! --rcheck --hitcount 3", 3, true),
                    (1000, "--update --seconds 1", 2, true),
                    (2000, "--rcheck --seconds 1 --hitcount 2", 2, false),
                    (2004, "--rcheck --seconds 1", 2, false),
                    (2004, "--update --seconds 1", 2, false),
                    (2004, "! --update --seconds 1", 2, true),
                    (2004, "--rcheck --seconds 1", 2, true),
                    (2004, "! --remove", 2, false),
                    (2004, "--remove", 2, false),
                    (2004, "--rcheck", 2, false),
                    (2004, "! --set", 2, false),
                    (2004, "--rcheck", 2, true),
                ],
            ]
            .concat(),
        );
    }

    #[test]
    fn who_needs_more_times_than_are_kept_empties_the_list() {
        play(&[
            (0, "--rcheck --hitcount 3", 2, false),
            (0, "--set", 2, true),
            (0, "--rcheck --hitcount 1", 2, true),
            (0, "--rcheck --hitcount 32", 2, false),
            (0, "--rcheck", 2, true),
            (0, "--rcheck --hitcount 33", 2, false),
            (0, "--rcheck", 2, false),
        ]);
    }

    #[test]
    fn reaping_takes_the_oldest_alone() {
        play(&[
            (0, "--set", 2, true),
            (0, "--set", 3, true),
            (5000, "--set", 4, true),
            (5000, "--rcheck --seconds 2 --reap", 4, true),
            (5000, "--rcheck", 2, false),
            (5000, "--rcheck", 3, true),
            // The one at hand stays where it is seen just now, and goes where it is not.
            (5000, "! --update --seconds 2 --reap", 3, true),
            (9000, "--rcheck --seconds 2 --reap", 4, false),
            (9000, "--rcheck", 4, false),
            (9000, "--rcheck", 3, true),
        ]);
    }

    #[test]
    fn a_hundred_addresses_are_kept() {
        let mut steps: Vec<(u64, &str, u8, bool)> = (1..=100).map(|last| (0, "--set", last, true)).collect();
        steps.extend([
            (0, "--update", 1, true),
            (0, "--set", 101, true),
            (0, "--rcheck", 2, false),
            (0, "--rcheck", 1, true),
        ]);
        play(&steps);
    }

    #[test]
    fn the_first_rule_s_mask_counts() {
        play(&[
            (0, "--set --mask 255.255.255.254", 2, true),
            (0, "--rcheck --mask 255.255.255.255", 3, true),
            (0, "--rcheck --mask 255.255.255.0", 4, false),
        ]);
    }

    #[test]
    fn the_kernel_refuses_some() {
        for (typed, said) in [
            ("--set", ""),
            ("--rcheck --hitcount 65535 --seconds 1", ""),
            (
                "--rcheck --hitcount 65536",
                "xt_recent: hitcount (65536) is larger than allowed maximum (65535)",
            ),
            (
                "--set --seconds 10",
                "--set takes neither --seconds nor --hitcount nor --reap",
            ),
            (
                "--remove --hitcount 1",
                "--remove takes neither --seconds nor --hitcount nor --reap",
            ),
            (
                "--set --name a/b",
                "\"a/b\" cannot be the name of a file in /proc/net/xt_recent",
            ),
            (
                "--set --name \"\"",
                "\"\" cannot be the name of a file in /proc/net/xt_recent",
            ),
            (
                "--set --name ..",
                "\"..\" cannot be the name of a file in /proc/net/xt_recent",
            ),
        ] {
            match_places(&SPEC, ANY, typed, &[(Table::Filter, &[Hook::Input], said)]);
        }
    }

    #[test]
    fn a_sentence_says_what_the_list_said_then() {
        let (mut bench, state) = play(&[(0, "--set", 2, true), (4, "--set", 2, true)]);
        let packet = from(2);
        let start = Bench::new().now;
        bench.now = bench.now + Duration::from_secs(3);
        for (typed, said) in [
            (
                "--rcheck --hitcount 3",
                "--rcheck --hitcount 3: 10.0.0.2 is in list DEFAULT, seen 2 times",
            ),
            (
                "--rcheck --seconds 2 --hitcount 2",
                "--rcheck --seconds 2 --hitcount 2: 10.0.0.2 is in list DEFAULT, seen 0 times within that time, last 3.000 s ago",
            ),
            ("! --rcheck", "! --rcheck: 10.0.0.2 is in list DEFAULT, seen 2 times"),
            (
                "--rcheck --seconds 2 --reap",
                "--rcheck --seconds 2 --reap: 10.0.0.2 was in list DEFAULT, seen 0 times within that time, last 3.000 s ago, and --reap took it out",
            ),
        ] {
            let made = read_match(&SPEC, ANY, typed).unwrap();
            let cx = bench.context(&packet, Some(&*state));
            assert_eq!(made.evaluate(&cx), Matched::No);
            assert_eq!(made.explain(&cx), said);
            let kept = made.remember(&cx).unwrap();
            read_match(&SPEC, ANY, "--set").unwrap().evaluate(&cx);
            read_match(&SPEC, ANY, "--remove").unwrap().evaluate(&cx);
            assert_ne!(made.explain(&cx), said);
            assert_eq!(made.explain(&bench.context(&packet, Some(kept.as_ref()))), said);
            for at in [0, 4] {
                let cx = Context {
                    now: start + Duration::from_millis(at),
                    ..cx
                };
                read_match(&SPEC, ANY, "--set").unwrap().evaluate(&cx);
            }
        }
    }

    #[test]
    fn a_ttl_is_that_before_forwarding() {
        let (bench, state) = play(&[(0, "--set", 2, true)]);
        let mut packet = from(2);
        packet.sender = Sender::Unsaid;
        let made = read_match(&SPEC, ANY, "--rcheck --rttl").unwrap();
        // One that came in and goes out had one more.
        assert_eq!(made.evaluate(&bench.context(&packet, Some(&*state))), Matched::Yes);
        packet.sender = Sender::NoSocket;
        let cx = bench.context(&packet, Some(&*state));
        assert_eq!(made.evaluate(&cx), Matched::No);
        assert_eq!(
            made.explain(&cx),
            "--rcheck --rttl: 10.0.0.2 is in list DEFAULT with TTL 64, the packet came with 65"
        );
    }

    #[test]
    fn a_file_shows_the_list_and_takes_lines() {
        let (bench, state) = play(&[(0, "--set", 2, true), (4, "--set", 3, true), (8, "--update", 2, true)]);
        let BoundState::Shared(list) = &state else {
            panic!("it is shared");
        };
        let clock = Clock {
            now: bench.now,
            booted: Time::from_secs(900),
        };
        let at_boot = 4_294_892_296u64 + 100 * 250;
        let shown = |rest: &str| {
            format!(
                "src=10.0.0.3 ttl: 64 last_seen: {} oldest_pkt: 1 {}\nsrc=10.0.0.2 ttl: 64 last_seen: {} oldest_pkt: 2 {}, {}\n{rest}",
                at_boot + 1,
                at_boot + 1,
                at_boot + 2,
                at_boot,
                at_boot + 2
            )
        };
        assert_eq!(list.read(clock), shown(""));
        let line = |last: &str| format!("src={last} ttl: 0 last_seen: {0} oldest_pkt: 1 {0}\n", at_boot + 2);
        for (text, is_taken, is_logged, added) in [
            ("+1.2.3.4\n", true, false, "1.2.3.4"),
            ("-1.2.3.4\n", true, false, ""),
            ("-9.9.9.9", true, false, ""),
            ("", true, false, ""),
            ("\n", false, true, ""),
            ("x", false, true, ""),
            (" +1.2.3.4", false, true, ""),
            ("1.2.3.4\n", false, true, ""),
            ("+1.2.3", false, false, ""),
            ("+1.2.3.4 \n", false, false, ""),
            ("+1.2.3.4/24", false, false, ""),
            ("+256.1.1.1", false, false, ""),
            ("+1.2.3.04\nand more", true, false, "1.2.3.4"),
            ("-1.2.3.4", true, false, ""),
            ("+fe80::1\n", true, false, "fe80:0000:0000:0000:0000:0000:0000:0001"),
            ("-fe80::1\n", true, false, ""),
        ] {
            let written = list.write(text.as_bytes(), bench.now);
            assert_eq!(written.is_ok(), is_taken, "{text:?}");
            assert_eq!(written.is_err_and(|it| it.logged.is_some()), is_logged, "{text:?}");
            let added = if added.is_empty() { String::new() } else { line(added) };
            assert_eq!(list.read(clock), shown(&added), "{text:?}");
        }
        let copy = list.copy();
        list.write(b"/x", bench.now).unwrap();
        assert_eq!((list.read(clock), copy.read(clock)), (String::new(), shown("")));
    }
}
