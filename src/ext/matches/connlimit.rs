//! `-m connlimit`: how many connections an address, or a network, has at once.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::sync::Mutex;
use crate::base::{AddressMask, Family, Time, protocol};
use crate::conntrack::{Flow, Status, Table as Flows, Tuple, Zone};
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, Read, UsageError, prefix};
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::ext::{MatchSpec, NeedsOne};
use crate::rule::{Context, Effect, Ends, Match, Matched, State, StateUse};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "connlimit",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[UPTO.spec, ABOVE.spec, MASK.spec, SADDR.spec, DADDR.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[UPTO.name(), ABOVE.name()],
        message: "You must specify \"--connlimit-above\" or \"--connlimit-upto\".",
    }),
    exclusive: &[&[UPTO.name(), ABOVE.name()], &[SADDR.name(), DADDR.name()]],
    build,
    unlist,
    directory: None,
    about: "how many connections an address has at once",
    samples: SAMPLES,
};

const UPTO: Opt<u64> = Opt::integer(
    "connlimit-upto",
    0,
    u32::MAX as u64,
    "they are no more than so many, this one included",
)
.invertible();
const ABOVE: Opt<u64> = Opt::integer(
    "connlimit-above",
    0,
    u32::MAX as u64,
    "they are more than so many, this one included",
)
.invertible();
const MASK: Opt<Option<u8>> = Opt::own(
    "connlimit-mask",
    "LENGTH|MASK",
    &Read(|text, given| {
        let bits = given.family.bits();
        prefix(text, given.family).ok_or_else(|| {
            UsageError::parameter(format!(
                "connlimit: bad value for option \"--connlimit-mask\", neither a valid network mask nor valid CIDR (0-{bits}).\n"
            ))
        })
    }),
    "addresses alike in so many bits are counted together; all bits by itself",
);
const SADDR: Opt<()> = Opt::flag("connlimit-saddr", "those of the packet's source, as by itself");
const DADDR: Opt<()> = Opt::flag("connlimit-daddr", "those of the packet's destination");

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    // `! --connlimit-upto` is `--connlimit-above`, and printed so.
    let (asked, is_above) = match given.get(ABOVE) {
        Some(above) => (above, !above.inverted),
        None => {
            let upto = given.get(UPTO).unwrap_or_default();
            (upto, upto.inverted)
        }
    };
    let prefix = given.value(MASK).flatten();
    Ok(Arc::new(Connlimit {
        limit: asked.value as u32,
        is_above,
        prefix: prefix.unwrap_or(given.family.bits()),
        clears_bits: prefix.is_some_and(|it| it < Family::V6.bits()),
        by_destination: given.has(DADDR),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Connlimit {
    limit: u32,
    is_above: bool,
    prefix: u8,
    /// Rules are compared by all 128 bits of the mask: a prefix of IPv4 clears three quarters of them, and no mask clears none. So a rule that
    /// is deleted has to say `--connlimit-mask 32` if it was given that, and may not if it was not, although both print the same.
    clears_bits: bool,
    by_destination: bool,
}

/// The connections that the rule has seen of each address, by their original tuples, and what was not tracked by its own. A replacement of the table begins anew, in the kernel too.
/// It is no look at the table of flows: what the rule has not seen does not count.
#[derive(Default)]
struct Seen {
    of: HashMap<IpAddr, Connections>,
    /// So many addresses are kept until all are looked through.
    most: usize,
    /// What the last packet was told, for who explains.
    last: usize,
    /// How many of those are over, where it was remembered.
    over: Option<Over>,
}

/// Connections that are counted though they are over.
#[derive(Clone, Copy)]
struct Over {
    count: usize,
    /// They were looked through in this very jiffy, and are not looked through again.
    in_this_jiffy: bool,
}

/// Those of one address.
#[derive(Clone)]
struct Connections {
    tuples: Vec<Known>,
    /// In jiffies: when it was last looked which are over.
    looked_at: u64,
}

/// A connection by its first packet's tuple, and where it is.
type Known = (Tuple, Zone);

/// What a packet is to its connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nobody knows of the connection yet, or it is not tracked.
    Opens,
    /// It is in the table.
    Follows,
    Assured,
}

impl Stage {
    fn of(flow: &Flow) -> Self {
        let state = flow.lock();
        match state.status.has(Status::CONFIRMED) {
            false => Self::Opens,
            true if state.status.has(Status::ASSURED) => Self::Assured,
            true => Self::Follows,
        }
    }
}

/// Addresses that are kept though all their connections may be over.
const MANY: usize = 1024;

impl Seen {
    /// The connections of an address, with the packet's. `None`: there are none, for which the kernel drops the packet.
    ///
    /// Seen: a packet enters its connection until that is assured; those after that only look which are over. So the last packet of the only
    /// connection finds none, and is dropped. But nobody looks twice within a jiffy: meanwhile what is over counts, and what is opened enters again,
    /// though it is there already.
    fn count(&mut self, address: IpAddr, tuple: &Known, stage: Stage, flows: &Flows, now: Time) -> Option<usize> {
        if self.of.len() > self.most.max(MANY) {
            self.of.retain(|_, known| {
                known.tuples.retain(|tuple| lives(flows, now, tuple));
                !known.tuples.is_empty()
            });
            self.most = self.of.len() * 2;
        }
        let jiffy = now.jiffies();
        let count = match self.of.get_mut(&address) {
            None => {
                let first = Connections {
                    tuples: vec![*tuple],
                    looked_at: jiffy,
                };
                self.of.insert(address, first);
                1
            }
            Some(known) => {
                match (stage, known.looked_at == jiffy) {
                    (Stage::Opens, true) => known.tuples.push(*tuple),
                    (Stage::Assured, true) => {}
                    (Stage::Assured, false) => {
                        known.tuples.retain(|it| lives(flows, now, it));
                        known.looked_at = jiffy;
                    }
                    (Stage::Opens, false) | (Stage::Follows, _) => {
                        if enter(&mut known.tuples, tuple, flows, now) {
                            known.looked_at = jiffy;
                        }
                    }
                }
                known.tuples.len()
            }
        };
        self.last = count;
        (count > 0).then_some(count)
    }
}

/// Looks through those before it, and no further: what is over behind it still counts. False where it was there.
fn enter(tuples: &mut Vec<Known>, tuple: &Known, flows: &Flows, now: Time) -> bool {
    let mut at = 0;
    while let Some(known) = tuples.get(at) {
        let is_there = flows.lookup_in(now, &known.0, known.1).is_some();
        if is_there && known == tuple {
            return false;
        }
        if is_there && lives(flows, now, known) {
            at += 1;
        } else {
            tuples.remove(at);
        }
    }
    tuples.push(*tuple);
    true
}

/// A connection of TCP that has been closed lives no more, however long its flow is kept.
fn lives(flows: &Flows, now: Time, (tuple, zone): &Known) -> bool {
    let Some((flow, _)) = flows.lookup_in(now, tuple, *zone) else {
        return false;
    };
    let state = flow.lock();
    !matches!(state.protocol.state_name(), Some("TIME_WAIT" | "CLOSE"))
}

impl Connlimit {
    fn address(&self, cx: &Context<'_>) -> IpAddr {
        let address = match self.by_destination {
            true => cx.packet.destination(),
            false => cx.packet.source(),
        };
        AddressMask::prefix(address, self.prefix).map_or(address, |mask| mask.address())
    }

    /// Of the connections that the packet at hand was counted with, those that are over: its own may not be in the table yet.
    fn over(&self, seen: &Seen, cx: &Context<'_>) -> Over {
        let own = match &cx.tracking.flow {
            Some(flow) => Some((flow.original(), flow.zone())),
            None => Tuple::of(cx.packet).map(|tuple| (tuple, Zone::default())),
        };
        let known = seen.of.get(&self.address(cx));
        let over = |tuple: &&Known| Some(**tuple) != own && !lives(cx.flows, cx.now, tuple);
        Over {
            count: known.map_or(0, |known| known.tuples.iter().filter(over).count()),
            in_this_jiffy: known.is_some_and(|known| known.looked_at == cx.now.jiffies()),
        }
    }

    fn option(&self) -> Opt<u64> {
        if self.is_above { ABOVE } else { UPTO }
    }

    fn side(&self) -> Opt<()> {
        if self.by_destination { DADDR } else { SADDR }
    }
}

impl Match for Connlimit {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let Some(seen) = cx.state::<Mutex<Seen>>() else {
            return Matched::No;
        };
        // In front of tracking, and where nothing is tracked, the kernel looks for a flow itself; but what it counts there is the packet's own
        // tuple, so that an answer counts beside its question.
        let (tuple, stage) = match &cx.tracking.flow {
            Some(flow) => ((flow.original(), flow.zone()), Stage::of(flow)),
            None => match Tuple::of(cx.packet) {
                None => return Matched::Malformed,
                Some(own) => {
                    let found = cx.flows.lookup(cx.now, &own);
                    (
                        (own, Zone::default()),
                        found.map_or(Stage::Opens, |(flow, _)| Stage::of(&flow)),
                    )
                }
            },
        };
        let count = seen.lock().count(self.address(cx), &tuple, stage, cx.flows, cx.now);
        match count {
            Some(count) => ((count as u64 > u64::from(self.limit)) == self.is_above).into(),
            None => Matched::Dropped,
        }
    }

    fn effect(&self) -> Effect {
        Effect::PURE.with_state(StateUse::Writes).ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let address = self.address(cx);
        let (count, over) = match cx.state::<Mutex<Seen>>().map(|seen| seen.lock()) {
            Some(seen) => (seen.last, Some(seen.over.unwrap_or_else(|| self.over(&seen, cx)))),
            None => (0, None),
        };
        let mut text = format!("{} {}: {address}", self.option().spelled(false), self.limit);
        if self.prefix != Family::of(address).bits() {
            let _ = write!(text, "/{}", self.prefix);
        }
        let _ = match count {
            0 => write!(text, " has none left that is not over, and the kernel drops the packet"),
            1 => write!(text, " has 1 connection"),
            _ => write!(text, " has {count} connections"),
        };
        if let Some(over) = over.filter(|over| count > 0 && over.count > 0) {
            let _ = write!(text, ", {} of them over", over.count);
            text.push_str(match over.in_this_jiffy {
                true => ": the kernel looks for that once a jiffy, which is 4 ms",
                false => ": the kernel has not looked that far",
            });
        }
        text
    }

    fn explain_match(&self, cx: &Context<'_>) -> Option<String> {
        Some(self.explain(cx))
    }

    fn remember(&self, cx: &Context<'_>) -> Option<Box<State>> {
        let seen = cx.state::<Mutex<Seen>>()?.lock();
        Some(Box::new(Mutex::new(Seen {
            last: seen.last,
            over: Some(self.over(&seen, cx)),
            ..Seen::default()
        })))
    }

    fn state(&self, _now: Time) -> Option<Box<State>> {
        Some(Box::new(Mutex::new(Seen::default())))
    }

    fn copy_state(&self, state: &State) -> Option<Box<State>> {
        let seen = state.downcast_ref::<Mutex<Seen>>()?.lock();
        Some(Box::new(Mutex::new(Seen {
            of: seen.of.clone(),
            ..*seen
        })))
    }

    fn needs_conntrack(&self) -> bool {
        true
    }

    fn save(&self, out: &mut String) {
        let _ = write!(
            out,
            " {} {} {} {} {}",
            self.option().spelled(false),
            self.limit,
            MASK.spelled(false),
            self.prefix,
            self.side().spelled(false)
        );
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let side = if self.by_destination { "dst" } else { "src" };
        let than = if self.is_above { ">" } else { "<=" };
        let _ = write!(out, " #conn {side}/{} {than} {}", self.prefix, self.limit);
    }
}

/// ` #conn src/32 > 3`; old tools printed ` #conn/32 > 3`, and ` #conn/32 < 3` for no more than three.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        // Old tools had the source to ask for alone.
        let (side, prefix) = match it.after("#conn/") {
            Some(prefix) => ("src", prefix),
            None => {
                it.word("#conn")?;
                it.take()?.split_once('/')?
            }
        };
        let option = match it.take()? {
            ">" => ABOVE,
            "<=" | "<" => UPTO,
            _ => return None,
        };
        let mut options = Options::default();
        options.push(false, option.name(), it.take()?);
        options.push(false, MASK.name(), prefix);
        options.push(false, if side == "dst" { DADDR.name() } else { SADDR.name() }, "");
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken(
            "",
            "--connlimit-above 3",
            "--connlimit-above 3 --connlimit-mask 32 --connlimit-saddr",
            "#conn src/32 > 3",
        )
        .told_apart()
        .only(Family::V4),
        taken(
            "",
            "--connlimit-above 3",
            "--connlimit-above 3 --connlimit-mask 128 --connlimit-saddr",
            "#conn src/128 > 3",
        )
        .only(Family::V6),
        taken(
            "",
            "--connlimit-above 3 --connlimit-mask ffff:ffff::",
            "--connlimit-above 3 --connlimit-mask 32 --connlimit-saddr",
            "#conn src/32 > 3",
        ),
        taken(
            "",
            "! --connlimit-above 0x10 --connlimit-daddr",
            "--connlimit-upto 16 --connlimit-mask 32 --connlimit-daddr",
            "#conn dst/32 <= 16",
        )
        .told_apart()
        .only(Family::V4),
        taken(
            "",
            "! --connlimit-upto 3 --connlimit-mask 255.255.255.0",
            "--connlimit-above 3 --connlimit-mask 24 --connlimit-saddr",
            "#conn src/24 > 3",
        ),
        taken(
            "",
            "--connlimit-saddr --connlimit-upto 4294967295 --connlimit-mask 0",
            "--connlimit-upto 4294967295 --connlimit-mask 0 --connlimit-saddr",
            "#conn src/0 <= 4294967295",
        ),
        taken(
            "",
            "--connlimit-upto 1 --connlimit-mask 128",
            "--connlimit-upto 1 --connlimit-mask 32 --connlimit-saddr",
            "#conn src/32 <= 1",
        )
        .told_apart()
        .only(Family::V4),
        taken(
            "",
            "--connlimit-upto 1 --connlimit-mask 128",
            "--connlimit-upto 1 --connlimit-mask 128 --connlimit-saddr",
            "#conn src/128 <= 1",
        )
        .only(Family::V6),
    ],
    refused: &[
        refused("", "", NEEDS_ONE),
        refused("", "--connlimit-mask 24 --connlimit-saddr", NEEDS_ONE),
        refused(
            "",
            "--connlimit-above 3 --connlimit-upto 3",
            "connlimit: option \"--connlimit-upto\" cannot be used together with \"--connlimit-above\".\n",
        ),
        refused(
            "",
            "--connlimit-above 3 --connlimit-daddr --connlimit-saddr",
            "connlimit: option \"--connlimit-saddr\" cannot be used together with \"--connlimit-daddr\".\n",
        ),
        refused(
            "",
            "--connlimit-above 3 --connlimit-above 3",
            "connlimit: option \"--connlimit-above\" can only be used once.\n",
        ),
        refused(
            "",
            "--connlimit-upto 4294967296",
            "connlimit: bad value for option \"--connlimit-upto\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--connlimit-above x",
            "connlimit: bad value for option \"--connlimit-above\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--connlimit-above 3 --connlimit-mask x",
            "connlimit: bad value for option \"--connlimit-mask\", neither a valid network mask nor valid CIDR (0-32).\n",
        )
        .only(Family::V4),
        refused(
            "",
            "--connlimit-above 3 --connlimit-mask 129",
            "connlimit: bad value for option \"--connlimit-mask\", neither a valid network mask nor valid CIDR (0-128).\n",
        )
        .only(Family::V6),
        refused(
            "",
            "--connlimit-above 3 ! --connlimit-mask 3",
            "connlimit: option \"--connlimit-mask\" cannot be inverted.\n",
        ),
    ],
    packets: &[
        passes("", "--connlimit-upto 1", "udp 10.0.0.2:1 > 192.0.2.9:2"),
        fails(
            "",
            "--connlimit-above 1 --connlimit-saddr",
            "udp 10.0.0.2:1 > 192.0.2.9:2",
            "--connlimit-above 1: 10.0.0.2 has 1 connection",
        ),
        fails(
            "",
            "--connlimit-upto 1 --connlimit-daddr --connlimit-mask 24",
            "udp 10.0.0.2:1 > 192.0.2.9:2",
            "--connlimit-upto 1: 192.0.2.0/24 has 2 connections",
        )
        .after(&["lan udp 10.0.0.3:1 > 192.0.2.8:2"]),
        fails(
            "",
            "! --connlimit-upto 2",
            "udp 10.0.0.2:1 > 192.0.2.9:2",
            "--connlimit-above 2: 10.0.0.2 has 2 connections",
        )
        .after(&["lan udp 10.0.0.2:3 > 192.0.2.8:2"]),
        passes("", "! --connlimit-above 2", "udp 10.0.0.2:1 > 192.0.2.9:2").after(&[
            "lan udp 10.0.0.3:1 > 192.0.2.8:2",
            "lan udp 10.0.0.2:3 > 192.0.2.8:2",
            "lan udp 10.0.0.2:3 > 192.0.2.8:2",
        ]),
    ],
    spellings: &[
        "-m connlimit --connlimit-above 3",
        "-m connlimit ! --connlimit-upto 3",
        "-m connlimit --connlimit-upto 3",
        "-m connlimit --connlimit-above 3 --connlimit-mask 32",
        "-m connlimit --connlimit-above 3 --connlimit-mask 24",
        "-m connlimit --connlimit-above 3 --connlimit-daddr",
        "-m connlimit --connlimit-above 4",
    ],
    drawn: DRAWN,
};

const NEEDS_ONE: &str = "You must specify \"--connlimit-above\" or \"--connlimit-upto\".";

const DRAWN: Drawn = drawn(
    |place| match place.protocol {
        Some(protocol::UDP | protocol::ICMP) if place.may_track => 20,
        _ => 0,
    },
    |draw| {
        let option = draw.pick(&[UPTO, ABOVE]);
        draw.give_one(&option.spec, &["0", "4294967295"]);
        draw.maybe(2, &MASK.spec, &["0", "8", "24", "31", "255.255.255.0", "32"]);
        match draw.below(4) {
            0 => draw.give(&DADDR.spec, ""),
            1 => draw.give(&SADDR.spec, ""),
            _ => {}
        }
    },
)
.in_one_scenario_of(5)
.without(&[(
    "-m connlimit with a number that may be reached, or of TCP, whose connections end",
    "whether what is over still counts depends on where a jiffy ends; kept cases wait for it",
)]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, ip, read_match, udp};

    #[test]
    fn what_was_not_entered_by_others_is_forgotten() {
        let (mut bench, made) = (Bench::new(), read_match(&SPEC, ANY, "--connlimit-above 1").unwrap());
        let state = made.state(bench.now);
        // None of these flows gets into the table: each goes when the next one comes.
        for port in 1..50 {
            bench.now = Time::from_secs(1000 + u64::from(port));
            let packet = udp(port, 53, &[]);
            let cx = bench.context(&packet, state.as_deref());
            assert_eq!(made.evaluate(&cx), Matched::No);
            assert_eq!(made.explain(&cx), "--connlimit-above 1: 10.0.0.2 has 1 connection");
        }
    }

    /// As the kernel counted datagrams that a rule behind this one drops, so that their flows never get into the table.
    #[test]
    fn within_a_jiffy_all_that_opens_counts() {
        let (mut bench, made) = (Bench::new(), read_match(&SPEC, ANY, "--connlimit-above 9").unwrap());
        let state = made.state(bench.now);
        let once = "the kernel looks for that once a jiffy, which is 4 ms";
        for (nanoseconds, port, count, over) in [
            (0, 1, 1, 0),
            (1, 1, 2, 0),
            (3_999_999, 2, 3, 2),
            (4_000_000, 2, 1, 0),
            (5_000_000, 3, 2, 1),
            (9_000_000, 1, 1, 0),
        ] {
            bench.now = Time::from_nanos(1_000_000_000_000 + nanoseconds);
            let packet = udp(port, 53, &[]);
            let cx = bench.context(&packet, state.as_deref());
            made.evaluate(&cx);
            let plural = if count == 1 { "" } else { "s" };
            let of_them = match over {
                0 => String::new(),
                over => format!(", {over} of them over: {once}"),
            };
            let expected = format!("--connlimit-above 9: 10.0.0.2 has {count} connection{plural}{of_them}");
            assert_eq!(made.explain(&cx), expected, "after {nanoseconds} ns");
            // Asked long after, when the state is another.
            let remembered = made.remember(&cx);
            let later = bench.context(&packet, remembered.as_deref());
            assert_eq!(made.explain(&later), expected, "after {nanoseconds} ns");
            assert_eq!(made.explain_match(&later), Some(expected));
        }
    }

    #[test]
    fn a_packet_without_ports_to_tell_is_dropped() {
        let (bench, made) = (Bench::new(), read_match(&SPEC, ANY, "--connlimit-above 1").unwrap());
        assert_eq!(bench.ask(made.as_ref(), &ip(17, 185, &[0; 8])).0, Matched::Malformed);
    }

    #[test]
    fn addresses_whose_connections_are_over_are_not_kept_for_ever() {
        let (flows, mut seen) = (Flows::new((1, 2)), Seen::default());
        let tuple = (Tuple::of(&udp(1, 2, &[])).unwrap(), Zone::default());
        for address in 0..10_000u32 {
            let count = seen.count(
                IpAddr::from(address.to_be_bytes()),
                &tuple,
                Stage::Opens,
                &flows,
                Time::ZERO,
            );
            assert_eq!(count, Some(1));
            assert!(seen.of.len() <= MANY + 1);
        }
    }
}
