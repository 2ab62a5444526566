//! A packet is never a reason to panic, to answer nonsense, or to behave differently because someone watches.
//!
//! Conversations that are mostly sound, then broken: flipped, cut, lengthened, spliced, in fragments of every order, with lying lengths; through
//! rulesets over the whole registry, random knobs, jumps of the clock and tables replaced under way. Each rule that a packet meets is held
//! against what it says of itself to an index. `NFLAB_FUZZ_SEED` and `NFLAB_FUZZ_SECONDS`
//! choose other runs; a failure names the seed of its own round.

#[path = "hostile/packets.rs"]
mod packets;
#[path = "hostile/rounds.rs"]
mod rounds;
#[path = "hostile/rules.rs"]
mod rules;
#[path = "hostile/together.rs"]
mod together;
#[path = "twin/instrument/generate/translated.rs"]
mod translated;
#[path = "hostile/workers.rs"]
mod workers;

use std::net::IpAddr;
use std::time::Duration;

use nflab::base::{Family, InterfaceId, InterfaceName, Random, Time};
use nflab::engine::{Config, Emission, Event, Failed, Observer, Part, Port, Router, Silent, Tried, Worker};
use nflab::explain::story::{Detail, Story};
use nflab::lab::RouterTables;
use nflab::net::{Closed, Net, Prefix, Route};
use nflab::rule::{Answer, LogRecord, Matched, PlainFields, Rule, StateUse};
use nflab::text::{StaticHosts, restore};
use nflab::wire::checksum;

use packets::Packets;

/// Of one family, of the other, and of both at once.
#[test]
fn whatever_comes_in() {
    let mut carried = 0;
    let seeds = rounds::rounds(|seed| {
        for families in [&[Family::V4][..], &[Family::V6], &Family::ALL] {
            carried += round(seed, families);
        }
    });
    eprintln!("{carried} packets in rounds {seeds:?}");
}

/// One router and its twin, which is watched, with the same packets.
fn round(seed: u64, families: &'static [Family]) -> usize {
    let mut draw = Draw(Random::new(seed));
    let knobs = rules::knobs(&mut draw);
    let texts = rulesets(&mut draw, families);
    let mut quiet = Side::new(seed, &knobs, &texts);
    let mut watched = Side::new(seed, &knobs, &texts);
    let maximum = quiet.router.config().conntrack.max as usize;
    let mut packets = Packets::of(families);
    let mut now = Time::from_secs(1_800_000_000);
    let rounds = 150 + draw.below(250);
    let mut heard = Vec::new();
    for _ in 0..rounds {
        now = now + draw.pause();
        if draw.one_in(8) {
            quiet.tick(now, &mut Silent);
            let mut story = Story::default();
            watched.tick(now, &mut story);
            drop(story.render(Detail::Whole));
            assert_eq!(quiet.output(), watched.output(), "what a tick sent");
        }
        if draw.one_in(60) {
            let texts = rulesets(&mut draw, families);
            quiet.restore(&texts, now);
            watched.restore(&texts, now);
        }
        let drawn = packets.draw(&mut draw, &heard);
        // What comes together fares as one by one.
        let mut together = quiet.carry_together(now, &drawn).map(Vec::into_iter);
        let mut logs = [Vec::new(), Vec::new()];
        for (interface, bytes) in drawn {
            let mut watcher = Watcher::default();
            let (one, output) = match together.as_mut().and_then(Iterator::next) {
                Some(fared) => fared,
                None => (
                    quiet.carry(interface, now, &bytes, &mut Silent),
                    quiet.output().to_vec(),
                ),
            };
            let other = watched.carry(interface, now, &bytes, &mut watcher);
            logs[0].extend(quiet.take_log());
            logs[1].extend(watched.take_log());
            let story = watcher.story;
            drop((story.render(Detail::Whole), story.render(Detail::Short)));
            let account = story.account();
            drop((account.json(), nflab::explain::picture::draw(&account)));
            assert_eq!(one, other, "a watched packet fares as an unwatched one");
            assert_eq!(output, watched.output());
            for emission in &output {
                check(emission, interface.is_some(), &bytes);
            }
            heard.extend(output.into_iter().map(|it| it.bytes));
            packets.count += 1;
        }
        assert_eq!(logs[0], logs[1], "what the kernel's log says");
        if heard.len() > 40 {
            heard.drain(..heard.len() - 20);
        }
        let count = quiet.router.flows().count();
        assert!(maximum == 0 || count <= maximum, "{count} flows where {maximum} may be");
        assert_eq!(count, watched.router.flows().count());
    }
    assert_eq!(quiet.counters(), watched.counters(), "counters");
    packets.count
}

/// One for each family.
fn rulesets(draw: &mut Draw, families: &[Family]) -> Vec<(Family, String)> {
    let ruleset = |family: &Family| (*family, rules::ruleset(draw, *family));
    families.iter().map(ruleset).collect()
}

/// What leaves is always a whole packet; and its payload is as right as the payload that came.
fn check(emission: &Emission, from_outside: bool, input: &[u8]) {
    let bytes = &emission.bytes;
    let hex = || format!("in {}\nout {}", hex(input), hex(bytes));
    let (header, total) = match Family::of_packet(bytes) {
        Some(Family::V4) => {
            assert!(bytes.len() >= 20, "{}", hex());
            let total = u16::from_be_bytes([bytes[2], bytes[3]]);
            (usize::from(bytes[0] & 15) * 4, usize::from(total))
        }
        Some(Family::V6) => {
            assert!(bytes.len() >= 40, "{}", hex());
            let payload = u16::from_be_bytes([bytes[4], bytes[5]]);
            (40, 40 + usize::from(payload))
        }
        None => panic!("of no family: {}", hex()),
    };
    assert!((20..=bytes.len()).contains(&header), "{}", hex());
    // What a program writes of IPv6 into a raw socket leaves as it is written.
    let is_as_written = header == 40 && !from_outside;
    assert!(total == bytes.len() || is_as_written, "total length: {}", hex());
    // What reaches the router itself has its options filled in, and nobody looks at its checksum any more.
    if emission.port != Port::Local {
        assert!(
            header == 40 || checksum::of(&bytes[..header]) == 0,
            "header checksum: {}",
            hex()
        );
        assert!(bytes.len() <= 1500, "longer than the MTU: {}", hex());
    }
    // A source route changes the destination, which the transport checksum covers as it is at the end.
    let may_be_source_routed = input[0] >> 4 == 4 && input[0] != 0x45;
    if from_outside
        && !may_be_source_routed
        && !is_fragment(input)
        && transport_is_right(input) == Some(true)
        && !is_fragment(bytes)
    {
        assert_ne!(transport_is_right(bytes), Some(false), "transport checksum: {}", hex());
    }
}

/// Of IPv6 only what follows the header at once has ports that are looked at.
fn is_fragment(bytes: &[u8]) -> bool {
    let is_v4 = Family::of_packet(bytes) != Some(Family::V6);
    bytes.len() < 20 || is_v4 && u16::from_be_bytes([bytes[6], bytes[7]]) & 0x3fff != 0
}

/// `None` where there is no such checksum.
fn transport_is_right(bytes: &[u8]) -> Option<bool> {
    let word = |at: usize| Some(usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
    let (header, total, protocol) = match Family::of_packet(bytes)? {
        Family::V4 => (usize::from(bytes.first()? & 15) * 4, word(2)?, *bytes.get(9)?),
        Family::V6 => (40, 40 + word(4)?, *bytes.get(6)?),
    };
    let segment = bytes.get(header..total)?;
    let (source, destination): (IpAddr, IpAddr) = match Family::of_packet(bytes)? {
        Family::V4 => {
            let address = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]].into();
            (address(12), address(16))
        }
        Family::V6 => {
            let address = |at: usize| <[u8; 16]>::try_from(&bytes[at..at + 16]).map(IpAddr::from).ok();
            (address(8)?, address(24)?)
        }
    };
    match protocol {
        6 if segment.len() >= 20 => {}
        17 if segment.len() >= 8 => {
            if segment[6..8] == [0, 0] {
                return Some(true);
            }
            let length = usize::from(u16::from_be_bytes([segment[4], segment[5]]));
            if length != segment.len() {
                return None;
            }
        }
        58 if header == 40 && segment.len() >= 8 => {}
        1 if header != 40 && segment.len() >= 8 => return Some(checksum::of(segment) == 0),
        _ => return None,
    }
    Some(checksum::transport(source, destination, protocol, segment) == 0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A router with one worker, or with two over which packets are spread by their flows.
struct Side {
    router: Router,
    workers: Vec<Worker>,
    /// Which carried the last packet.
    last: usize,
}

impl Side {
    fn new(seed: u64, knobs: &[(String, String)], rules: &[(Family, String)]) -> Self {
        let mut net = Net::new();
        for (name, addresses) in [
            ("lan", ["10.0.0.1", "2001:db8::1", "fe80::1"]),
            ("wan", ["192.0.2.1", "2001:db8:1::1", "fe80::1"]),
        ] {
            let id = net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
            for address in addresses {
                let address: IpAddr = address.parse().unwrap();
                net.add_address(id, address, if address.is_ipv4() { 24 } else { 64 })
                    .unwrap();
            }
        }
        for via in ["192.0.2.254", "2001:db8:1::fe"] {
            let via: IpAddr = via.parse().unwrap();
            let mut route = Route::new(Prefix::default_of(Family::of(via)));
            route.via = Some(via);
            net.add_route(route).unwrap();
        }
        net.sysctl_set("net.ipv4.ip_forward", "1").unwrap();
        net.sysctl_set("net.ipv6.conf.all.forwarding", "1").unwrap();
        let mut config = Config::new(net);
        config.helpers = nflab::helper::Loaded::all();
        config.conntrack.automatic_helper = seed.is_multiple_of(2);
        config.always_track = !seed.is_multiple_of(3);
        for (key, value) in knobs {
            match key.strip_prefix("net.netfilter.") {
                Some(name) => config.conntrack.set(name, value).unwrap(),
                None => config.net.sysctl_set(key, value).unwrap(),
            }
        }
        let workers = 1 + seed as usize / 2 % 2;
        let router = Router::new(config, seed, workers, Box::new(Closed));
        let side = Self {
            workers: router.workers(),
            router,
            last: 0,
        };
        side.restore(rules, Time::from_secs(1_800_000_000));
        side
    }

    fn restore(&self, rulesets: &[(Family, String)], now: Time) {
        for (family, rules) in rulesets {
            let options = restore::Options::of(*family);
            let mut tables = RouterTables::new(&self.router, now);
            if let (_, Err(failure)) = restore::run(rules, &options, &mut tables, &StaticHosts::none()) {
                let at = failure.place.line.map_or(0, |line| line as usize);
                let line = rules.lines().nth(at.saturating_sub(1)).unwrap_or_default();
                panic!("{family}: {}\n{line}\n{rules}", failure.explain());
            }
        }
    }

    fn carry<O: Observer>(
        &mut self,
        interface: Option<InterfaceId>,
        now: Time,
        bytes: &[u8],
        observer: &mut O,
    ) -> String {
        // Ports and addresses, in either order.
        let (before, long) = if bytes.first().is_some_and(|it| it >> 4 == 6) {
            (8, 36)
        } else {
            (12, 12)
        };
        let flow = bytes.iter().skip(before).take(long);
        self.last = flow.map(|&it| usize::from(it)).sum::<usize>() % self.workers.len();
        let worker = &mut self.workers[self.last];
        let report = match interface {
            Some(id) => self.router.receive(worker, now, id, bytes, observer),
            None => self.router.send(worker, now, bytes, observer),
        };
        format!("{report:?}")
    }

    /// The same of packets that come at once, where one worker carries all and all come from outside: each one's end, and what left.
    fn carry_together(
        &mut self,
        now: Time,
        packets: &[(Option<InterfaceId>, Vec<u8>)],
    ) -> Option<Vec<(String, Vec<Emission>)>> {
        let [worker] = &mut self.workers[..] else {
            return None;
        };
        let packets = packets
            .iter()
            .map(|(interface, bytes)| Some(((*interface)?, &bytes[..])));
        let packets = packets.collect::<Option<Vec<_>>>()?;
        let mut fared = Vec::new();
        self.router
            .receive_batch(worker, now, &packets, &mut Silent, |report, output| {
                fared.push((format!("{report:?}"), output.to_vec()));
            });
        Some(fared)
    }

    fn take_log(&mut self) -> Vec<LogRecord> {
        self.workers[self.last].take_log()
    }

    fn output(&self) -> &[Emission] {
        self.workers[self.last].output()
    }

    fn tick<O: Observer>(&mut self, now: Time, observer: &mut O) {
        self.last = 0;
        self.router.tick(&mut self.workers[0], now, observer);
    }

    /// In the order of the rules, because their numbers differ from router to router.
    fn counters(&self) -> String {
        let mut tables = RouterTables::new(&self.router, Time::ZERO);
        let mut read = |_: Option<&str>| Ok(String::new());
        let arguments = ["iptables-save", "-c"].map(str::to_owned);
        let hosts = StaticHosts::none();
        let mut world = nflab::cli::World {
            tables: &mut tables,
            hosts: &hosts,
            now: Time::ZERO,
            read: &mut read,
        };
        Family::ALL
            .map(|family| nflab::cli::iptables_save::run(family, &arguments, &mut world).out)
            .concat()
    }
}

/// Tells the story, and holds what each rule says of itself (`Rule::lower`) against what becomes of it.
#[derive(Default)]
struct Watcher {
    story: Story,
    /// Of the packet as the next rule will see it, where that is known.
    fields: Option<PlainFields>,
}

impl Observer for Watcher {
    const WATCHING: bool = true;

    fn see(&mut self, event: Event<'_>) {
        match &event {
            Event::Table { cx, .. } => self.fields = Some(PlainFields::of(cx)),
            Event::Rule { rule, tried, .. } => {
                if let Tried::Failed(failed) = tried {
                    self.fields = Some(PlainFields::of(&failed.cx));
                }
                if let Some(fields) = &self.fields {
                    let answer = rule.lower().answer(fields);
                    assert!(fits(answer, rule, tried), "said {answer:?} of {fields:?}\n{rule:?}");
                }
            }
            Event::Policy { .. } | Event::Returned { .. } => {}
            _ => self.fields = None,
        }
        self.story.see(event);
    }
}

fn fits(answer: Answer, rule: &Rule, tried: &Tried<'_>) -> bool {
    let is_malformed = |failed: &Failed<'_>| match failed.part {
        Part::Selector(_) => false,
        Part::Match(at) => {
            let test = &rule.matches[usize::from(at)];
            test.effect().state != StateUse::Writes && test.evaluate(&failed.cx) == Matched::Malformed
        }
    };
    match (answer, tried) {
        (Answer::Perhaps, _) => true,
        (Answer::Yes, tried) => matches!(tried, Tried::Matched { .. }),
        (Answer::No, Tried::Failed(failed)) => !is_malformed(failed),
        (Answer::No, Tried::Matched { .. }) => false,
    }
}

pub struct Draw(Random);

impl Draw {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound as u32) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn u16(&mut self) -> u16 {
        self.0.next_u16()
    }

    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Mostly moments, now and then hours or years.
    fn pause(&mut self) -> Duration {
        match self.below(40) {
            0 => Duration::from_secs(86_400 * 400),
            1 => Duration::from_secs(7_200),
            2..=5 => Duration::from_secs(31),
            _ => Duration::from_millis(self.below(500) as u64),
        }
    }
}
