//! Recorded packets through a lab, at the times they were recorded: what became of each, and which rule decided.
//!
//! A [`Replayer`](crate::replay::Replayer) takes packets one by one, or any iterator of them, and says what became of each. Nothing is kept of a packet once the next
//! one comes, so that a capture may be larger than memory. What is wanted besides is put together of the same parts: [`Summary`](crate::replay::Summary) counts,
//! [`Differences`](crate::replay::Differences) compares two rulesets, `record` writes a packet's verdict as a comment or as JSON, `Selection` chooses packets by
//! number, `repair` completes packets that the capture cut.
//!
//! ```
//! use nflab::base::Time;
//! use nflab::cli::TOOLBOX;
//! use nflab::lab::memory::Lab;
//! use nflab::replay::{Replayer, Summary, TimedPacket};
//!
//! # let question: &[u8] = &[
//! #     0x45, 0, 0, 32, 0, 1, 0x40, 0, 64, 17, 0x6e, 0xc1, 10, 0, 0, 2, 192, 0, 2, 9, // 10.0.0.2 > 192.0.2.9
//! #     0x13, 0x88, 0, 53, 0, 12, 0, 0, b'w', b'h', b'o', b'?', // 5000 > 53, no checksum
//! # ];
//! // `lan` is 10.0.0.1/24 and 2001:db8::1/64, `wan` 192.0.2.1/24 and 2001:db8:1::1/64.
//! let mut lab = Lab::default_lab(1, TOOLBOX)?;
//! let rules = "*filter\n:FORWARD DROP\n-A FORWARD -i lan -p udp --dport 53 -j ACCEPT\nCOMMIT\n";
//! assert_eq!(lab.tool("iptables-restore", &[], rules, ".".as_ref()).code, 0);
//!
//! let first = Time::from_secs(1_700_000_000);
//! lab.start_at(first);
//! let mut replayer = Replayer::new(lab);
//! let mut summary = Summary::new(&replayer);
//! let packets = [TimedPacket::new(1, first, "lan", question), TimedPacket::new(2, first, "wan", question)];
//! for packet in packets {
//!     let passed = replayer.pass(packet)?;
//!     summary.note(&passed);
//!     println!("{} {}: {}", passed.number(), passed.verdict(), passed.comment());
//! }
//! println!("{}", summary.text(&replayer));
//!
//! // The same, as values to keep.
//! let outcomes: Vec<_> = replayer.run(packets).collect::<Result<_, _>>()?;
//! assert_eq!(outcomes[0].verdict, "ACCEPT");
//! assert_eq!(outcomes[0].rule.as_deref(), Some("rule 1 of filter FORWARD"));
//! assert_eq!(outcomes[1].rule.as_deref(), Some("policy of filter FORWARD"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod against;
mod entrance;
mod flows;
pub(crate) mod hearing;
pub(crate) mod meeting;
mod passed;
pub(crate) mod record;
pub(crate) mod repair;
mod rulebook;
mod selection;
mod summary;
mod tally;
pub(crate) mod turn;
pub(crate) mod unseen;
mod witness;

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

pub use against::{Difference, Differences, Side};
pub use entrance::{Entrances, MapError, NoEntrance};
pub use flows::Ends;
pub(crate) use flows::PARTS;
use flows::TopFlows;
pub use passed::{Left, Outcome, Passed};
pub use rulebook::{RuleEntry, RulePlace, Rulebook};
pub(crate) use selection::Selection;
pub use summary::Summary;
pub(crate) use summary::grouped;

use self::entrance::Entrance;
use self::witness::Witness;
use crate::base::{InterfaceName, Time};
use crate::engine::{Arrival, Emission, Observer, Silent};
use crate::lab::memory::Lab;

/// A packet and when it came.
#[derive(Clone, Copy, Debug)]
pub struct TimedPacket<'a> {
    /// What messages call it: its number in its capture.
    pub number: u64,
    /// As the capture tells it. A clock that runs backwards is taken to stand still.
    pub time: Time,
    /// The interface it came in by; `local` for the router's own. `None` where the capture doesn't say: then [`Entrances`] must.
    pub interface: Option<&'a str>,
    /// From its IP header on.
    pub bytes: &'a [u8],
}

impl<'a> TimedPacket<'a> {
    /// One that came in by an interface of the lab.
    pub fn new(number: u64, time: Time, interface: &'a str, bytes: &'a [u8]) -> Self {
        Self {
            number,
            time,
            interface: Some(interface),
            bytes,
        }
    }
}

/// A lab that recorded packets pass, and what became of the last one.
pub struct Replayer {
    lab: Lab,
    entrances: Entrances,
    rules: Arc<Rulebook>,
    /// Of the names in the capture that came last.
    named_entrances: Vec<(String, Entrance)>,
    witness: Witness,
    /// What left because time went on, before the last packet.
    meanwhile: Vec<Emission>,
    last_tick: Time,
    /// Packets since flows that ran out were last collected, and how many flows stayed then: so a packet pays for a look at less than two flows,
    /// and the dead in the table are no more than a few times the living.
    since_sweep: usize,
    swept_to: usize,
    /// A fragment has come, so that there may be one whose time runs out.
    fragments: bool,
    /// Others carry packets too: what is done now and then waits for its turn, and is done only where there is something to do.
    takes_turns: bool,
}

impl Replayer {
    /// With the rules that are in force in the lab now. Set its clock ([`Lab::start_at`]) before they are put there: a rule with `limit` counts from
    /// that instant.
    pub fn new(lab: Lab) -> Self {
        Self {
            rules: Arc::new(Rulebook::of(&lab)),
            last_tick: lab.now(),
            lab,
            entrances: Entrances::default(),
            named_entrances: Vec::new(),
            witness: Witness::default(),
            meanwhile: Vec::new(),
            since_sweep: 0,
            swept_to: 0,
            fragments: false,
            takes_turns: false,
        }
    }

    /// Another one for packets of the same capture, in another thread: the same router, another of its workers; `None` where it has no more.
    /// Packets that may meet ([`meeting`]) must come to one of them, in their order, and each is told of all others' packets by [`Self::pass_by`].
    pub(crate) fn beside(&self) -> Option<Self> {
        Some(Self {
            lab: self.lab.beside()?,
            entrances: self.entrances.clone(),
            rules: Arc::clone(&self.rules),
            named_entrances: Vec::new(),
            witness: Witness::default(),
            meanwhile: Vec::new(),
            last_tick: self.last_tick,
            since_sweep: 0,
            swept_to: self.swept_to,
            fragments: self.fragments,
            takes_turns: self.takes_turns,
        })
    }

    /// The same where nothing is to be said of it; false: [`Self::pass_by`] says what is.
    #[inline]
    pub(crate) fn let_pass_by(&mut self, packet: &TimedPacket<'_>) -> bool {
        packet.time >= self.lab.now() && self.pass_by(packet).is_ok()
    }

    /// The same of a whole packet that came by an interface which the capture names, without a look at its bytes.
    #[inline]
    pub(crate) fn let_pass_by_unseen(&mut self, time: Time, interface: Option<&str>) -> bool {
        let packet = TimedPacket {
            number: 0,
            time,
            interface,
            bytes: &[],
        };
        interface.is_some() && self.entrances.ask_the_capture() && self.let_pass_by(&packet)
    }

    /// Whether it is enough to tell it of the last of some packets that others carry, by [`Self::let_all_pass_by`]: of whole ones, between these two, none older than the
    /// one before it, that came by interfaces which the capture names and it [knows](Self::knows).
    pub(crate) fn lets_pass_by_between(&self, first: Time, last: Time) -> bool {
        first >= self.lab.now() && last.since(self.last_tick) < TICK
    }

    /// Whether packets come in by the interface of this name, without a look at their bytes.
    pub(crate) fn knows(&mut self, interface: &str) -> bool {
        let packet = TimedPacket::new(0, Time::ZERO, interface, &[]);
        self.entrances.ask_the_capture() && self.entrance(&packet).is_ok()
    }

    /// The last of them.
    pub(crate) fn let_all_pass_by(&mut self, last: Time) {
        self.lab.set_clock(last);
    }

    /// From now on others carry packets of the same capture.
    pub(crate) fn take_turns(&mut self, turn: turn::Turn) {
        self.takes_turns = true;
        self.witness.take_turns(turn);
    }

    fn await_turn_of(&self, number: u64) {
        self.witness.await_turn_of(number);
    }

    /// Whether it carries so many packets that wait for those of others that one worker is better.
    pub(crate) fn mostly_waits(&self) -> bool {
        self.witness.mostly_waits()
    }

    /// A packet that another worker carries: it moves the clock all the same. Gives whether it is late, as [`Passed::is_late`].
    #[inline]
    pub(crate) fn pass_by(&mut self, packet: &TimedPacket<'_>) -> Result<bool, NoEntrance> {
        self.entrance(packet)?;
        let is_late = !self.lab.set_clock(packet.time);
        self.fragments |= is_fragment(packet.bytes);
        if self.lab.now().since(self.last_tick) >= TICK {
            self.last_tick = self.lab.now();
        }
        Ok(is_late)
    }

    /// Where packets come in whose capture doesn't say, or not in the lab's words.
    pub fn with_entrances(mut self, entrances: Entrances) -> Self {
        self.entrances = entrances;
        self.named_entrances.clear();
        self
    }

    /// Passes one packet. Its time moves the clock, which never runs backwards: a packet from the past comes now ([`Passed::is_late`]).
    pub fn pass<'a>(&'a mut self, packet: TimedPacket<'a>) -> Result<Passed<'a>, NoEntrance> {
        self.pass_watched(packet, &mut Silent)
    }

    /// The same, and somebody watches: a [`Story`](crate::explain::story::Story), which then tells why.
    pub fn pass_watched<'a, O: Observer>(
        &'a mut self,
        packet: TimedPacket<'a>,
        observer: &mut O,
    ) -> Result<Passed<'a>, NoEntrance> {
        let entrance = self.entrance(&packet)?;
        let is_late = !self.lab.set_clock(packet.time);
        self.fragments |= is_fragment(packet.bytes);
        self.meanwhile.clear();
        self.let_time_work(packet.number);
        self.witness.begin(packet.number);
        if entrance.interface().is_none() {
            // It is numbered before anything is seen of it.
            self.witness.await_turn();
        }
        let mut both = witness::Both {
            witness: &mut self.witness,
            other: observer,
        };
        self.lab.number_next(packet.number);
        let (report, _) = self.lab.carry_observed(entrance.interface(), packet.bytes, &mut both);
        Ok(Passed {
            packet,
            entrance,
            time: self.lab.now(),
            is_late,
            report,
            router: self.lab.machine.router(),
            rules: &self.rules,
            witness: &self.witness,
            output: self.lab.output(),
            meanwhile: &self.meanwhile,
        })
    }

    /// Takes a packet that nothing has to be done for but to carry it: then it may wait for those behind it, and be carried with them
    /// ([`Self::pass_in_turn`]), and the clock shows its time. `None`: it is one for [`Self::pass`], once those that wait are carried.
    #[inline]
    pub(crate) fn let_wait<'p>(&mut self, packet: TimedPacket<'p>) -> Option<Waiting<'p>> {
        let entrance = self.entrance(&packet).ok()?;
        entrance.interface()?;
        let is_late = packet.time < self.lab.now();
        if is_late || packet.time.since(self.last_tick) >= TICK {
            return None;
        }
        self.lab.set_clock(packet.time);
        self.fragments |= is_fragment(packet.bytes);
        self.since_sweep += 1;
        Some(Waiting { packet, entrance })
    }

    /// Passes packets that wait. `each` is told what became of one before the next comes.
    pub(crate) fn pass_in_turn(&mut self, waiting: &[Waiting<'_>], mut each: impl FnMut(&Passed<'_>)) {
        let Some(first) = waiting.first() else { return };
        let arrivals: SmallVec<[Arrival<'_>; AT_ONCE]> = waiting.iter().filter_map(Waiting::arrival).collect();
        self.meanwhile.clear();
        self.witness.begin_in_turn(first.packet.number);
        let rules = &*self.rules;
        let mut both = witness::Both {
            witness: &mut self.witness,
            other: &mut Silent,
        };
        let mut behind = waiting.iter();
        self.lab
            .carry_in_turn(&arrivals, &mut both, |router, both, report, output| {
                let Some(Waiting { packet, entrance, .. }) = behind.next() else {
                    return;
                };
                each(&Passed {
                    packet: *packet,
                    entrance: *entrance,
                    time: packet.time,
                    is_late: false,
                    report,
                    router,
                    rules,
                    witness: both.witness,
                    output,
                    meanwhile: &[],
                });
                if let Some(next) = behind.as_slice().first() {
                    both.witness.begin_in_turn(next.packet.number);
                }
            });
    }

    /// The capture's name for an interface mostly is one of a few.
    #[inline]
    fn entrance(&mut self, packet: &TimedPacket<'_>) -> Result<Entrance, NoEntrance> {
        if self.entrances.ask_the_capture()
            && let Some(name) = packet.interface
        {
            if let Some((_, entrance)) = self.named_entrances.iter().find(|(known, _)| known == name) {
                return Ok(*entrance);
            }
            let found = self.entrances.find(&self.lab, packet)?;
            if self.named_entrances.len() == NAMED_ENTRANCES {
                self.named_entrances.clear();
            }
            self.named_entrances.push((name.to_owned(), found));
            return Ok(found);
        }
        self.entrances.find(&self.lab, packet)
    }

    /// The interface by which a packet would come in, or `local`; `None` where nobody knows.
    pub fn entrance_of(&self, packet: &TimedPacket<'_>) -> Option<InterfaceName> {
        self.entrances
            .find(&self.lab, packet)
            .ok()
            .map(|entrance| entrance.name())
    }

    /// Finds out where a packet would come in, and does nothing else.
    pub fn check(&self, packet: &TimedPacket<'_>) -> Result<(), NoEntrance> {
        self.entrances.find(&self.lab, packet).map(|_| ())
    }

    /// Passes packets as they are asked for, and keeps what became of each.
    pub fn run<'p, I>(&mut self, packets: I) -> impl Iterator<Item = Result<Outcome, NoEntrance>>
    where
        I: IntoIterator<Item = TimedPacket<'p>>,
    {
        packets
            .into_iter()
            .map(|packet| self.pass(packet).map(|passed| passed.outcome()))
    }

    /// Fragment queues run out when they should, and may cause ICMP errors of the router's; dead flows are collected before they are many. Not at
    /// each packet: that looks through the whole table of flows.
    #[inline]
    fn let_time_work(&mut self, number: u64) {
        self.since_sweep += 1;
        if self.lab.now().since(self.last_tick) >= TICK {
            self.tick(number);
        }
    }

    #[cold]
    fn tick(&mut self, number: u64) {
        self.last_tick = self.lab.now();
        let router = self.lab.machine.router();
        // Where the table is nearly full, a new flow needs the room of a dead one.
        let (flows, most) = (router.flows().count(), router.config().conntrack.max as usize);
        let is_crowded = most > 0 && flows >= most / 4 * 3 && self.since_sweep >= self.swept_to / 4;
        let sweeps = is_crowded || self.since_sweep >= self.swept_to * 4 + SWEEP_AT_LEAST;
        let expires = self.fragments || !self.takes_turns || router.has_questions();
        if sweeps {
            // What is over to this packet may not be to one before it, which another worker carries.
            let over = self.witness.all_have_come_to(self.lab.now());
            router.flows().sweep(over);
            self.since_sweep = 0;
            self.swept_to = router.flows().count();
        }
        self.meanwhile = if expires {
            self.await_turn_of(number);
            self.lab.run_timers()
        } else {
            Vec::new()
        };
    }

    /// Whether the table of flows is so full, with all that ran out collected, that it may soon be full: who finds no room then hangs on the order
    /// in which flows came to it.
    pub(crate) fn is_crowded(&mut self, number: u64) -> bool {
        let most = self.lab.machine.router().config().conntrack.max as usize;
        let flows = |lab: &Lab| lab.machine.router().flows().count();
        if most == 0 || flows(&self.lab) < most / 4 * 3 {
            return false;
        }
        self.await_turn_of(number);
        self.lab.machine.router().flows().sweep(self.lab.now());
        flows(&self.lab) >= most / 4 * 3
    }

    /// Collects flows that have run out, as a look at the table at the end should find it.
    pub fn settle(&mut self) {
        self.lab.machine.router().flows().sweep(self.lab.now());
    }

    /// The lab as the last packet left it.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// To be set up before the first packet; rules that change later are not in the rulebook.
    pub fn lab_mut(&mut self) -> &mut Lab {
        &mut self.lab
    }

    /// The lab alone, flows and counters included.
    pub fn into_lab(self) -> Lab {
        self.lab
    }

    /// The rules by which packets are decided.
    pub fn rules(&self) -> &Rulebook {
        &self.rules
    }
}

/// A packet that waits for others, to be carried with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting<'p> {
    packet: TimedPacket<'p>,
    /// An interface.
    entrance: Entrance,
}

impl<'p> Waiting<'p> {
    /// As the engine takes it.
    #[inline]
    fn arrival(&self) -> Option<Arrival<'p>> {
        Some(Arrival {
            number: self.packet.number,
            time: self.packet.time,
            interface: self.entrance.interface()?,
            bytes: self.packet.bytes,
        })
    }
}

#[inline]
pub(crate) fn is_fragment(packet: &[u8]) -> bool {
    matches!(packet, [_, _, _, _, _, _, flags, offset, ..] if flags & 0x3f != 0 || *offset != 0)
}

/// Packets that wait for each other at most.
pub(crate) const AT_ONCE: usize = 32;
const NAMED_ENTRANCES: usize = 8;
const SWEEP_AT_LEAST: usize = 1 << 14;
/// As often as a live lab ticks.
const TICK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
