//! Packets that came together: read a few at a time, so that what is remembered of one is on its way from memory while another is read. Both families
//! are looked at side by side, in their order, and each knows only its own.

use super::remembered::{Belongs, Like, OfFamily, ShortWays};
use crate::base::{Family, InterfaceId};
use crate::conntrack::Hashes;
use crate::engine::observer::Observer;
use crate::engine::pass::{Pass, Transit};
use crate::engine::worker::{Arrival, Emission, Report, Worker};
use crate::packet::{OF_IPV4, OF_IPV6, Plain};
use crate::rule::Table;

/// Packets of which memory is asked before the first of them is carried.
pub(super) const AT_ONCE: usize = 16;

/// What is known beforehand of those of a few packets that are of one family, and plain.
struct Few<'p, const WORDS: usize> {
    read: [Option<Like<'p, WORDS>>; AT_ONCE],
    foreseen: [Hashes; AT_ONCE],
    belong: [Option<Belongs>; AT_ONCE],
    /// Of those before this place it is known whether they belong.
    asked: usize,
}

impl<const WORDS: usize> Few<'_, WORDS> {
    #[inline(always)]
    fn nothing() -> Self {
        Self {
            read: [const { None }; AT_ONCE],
            foreseen: [Hashes::default(); AT_ONCE],
            belong: [const { None }; AT_ONCE],
            asked: 0,
        }
    }
}

impl<O: Observer> Pass<'_, O> {
    pub(in crate::engine) fn arrive_together<'p, B: AsRef<[u8]>>(
        &mut self,
        packets: &'p [(InterfaceId, B)],
        each: &mut impl FnMut(&Report, &mut [Emission]),
    ) {
        let (number, now) = (self.worker.number, self.now);
        let arrival = |at: usize, (interface, bytes): &'p (InterfaceId, B)| Arrival {
            number: number + 1 + at as u64,
            time: now,
            interface: *interface,
            bytes: bytes.as_ref(),
        };
        self.arrive_all(packets, arrival, |pass, report| each(report, &mut pass.worker.output));
    }

    /// Packets that came one after another, each at its time.
    pub(in crate::engine) fn arrive_in_turn(
        &mut self,
        packets: &[Arrival<'_>],
        each: &mut impl FnMut(&mut O, Report, &mut Worker),
    ) {
        self.arrive_all(
            packets,
            |_, packet| *packet,
            |pass, report| {
                each(pass.observer, std::mem::replace(report, Report::FORWARDED), pass.worker);
            },
        );
    }

    #[inline]
    fn arrive_all<'p, P>(
        &mut self,
        packets: &'p [P],
        arrival: impl Fn(usize, &'p P) -> Arrival<'p>,
        mut each: impl FnMut(&mut Self, &mut Report),
    ) {
        let mut transit = Transit::nothing();
        let mut report = Report::FORWARDED;
        for (chunk, few) in packets.chunks(AT_ONCE).enumerate() {
            let arrival = |at: usize| arrival(chunk * AT_ONCE + at, &few[at]);
            let mut of_ipv4 = Few::nothing();
            let mut of_ipv6 = match self.read_few::<OF_IPV4>(&mut of_ipv4, few.len(), arrival) {
                true => None,
                false => self.read_others(few.len(), arrival),
            };
            self.foresee((0..few.len()).map(|at| arrival(at).bytes));
            for at in 0..few.len() {
                let packet = arrival(at);
                self.worker.foreseen.is_turn_of(at);
                (self.worker.number, self.now) = (packet.number, packet.time);
                match &mut of_ipv6 {
                    Some(of_ipv6) if of_ipv6.read[at].is_some() => {
                        self.carry_other(of_ipv6, (at, few.len()), arrival, &mut transit, &mut report);
                    }
                    _ => self.carry_of_few(&mut of_ipv4, (at, few.len()), arrival, &mut transit, &mut report),
                }
                each(self, &mut report);
            }
        }
        self.worker.foreseen.is_over();
        self.worker.recycle(&mut transit.packet);
    }

    /// Reads those that are of this family; whether all were.
    #[inline(always)]
    fn read_few<'p, const WORDS: usize>(
        &mut self,
        few: &mut Few<'p, WORDS>,
        count: usize,
        arrival: impl Fn(usize) -> Arrival<'p>,
    ) -> bool
    where
        ShortWays: OfFamily<WORDS>,
    {
        let flags = self.flags_asked::<WORDS>();
        let mut are_all = true;
        for (at, like) in few.read.iter_mut().enumerate().take(count) {
            let Arrival { interface, bytes, .. } = arrival(at);
            *like = OfFamily::<WORDS>::ways(&self.worker.short_ways).read(flags, interface, bytes);
            are_all &= like.is_some();
        }
        if OfFamily::<WORDS>::ways(&self.worker.short_ways).are_many() {
            few.foreseen = self.look_ahead(&few.read);
        }
        are_all
    }

    /// The same of IPv6, if any are.
    #[inline(never)]
    fn read_others<'p>(&mut self, count: usize, arrival: impl Fn(usize) -> Arrival<'p>) -> Option<Few<'p, OF_IPV6>> {
        let is_one = |at| Family::of_packet(arrival(at).bytes) == Some(Plain::<OF_IPV6>::FAMILY);
        (0..count).any(is_one).then(|| {
            let mut few = Few::nothing();
            self.read_few::<OF_IPV6>(&mut few, count, arrival);
            few
        })
    }

    /// The packet at this place of so many. Of those before none is to be asked any more.
    #[inline(always)]
    fn carry_of_few<'p, const WORDS: usize>(
        &mut self,
        few: &mut Few<'p, WORDS>,
        (at, count): (usize, usize),
        arrival: impl Fn(usize) -> Arrival<'p>,
        transit: &mut Transit,
        report: &mut Report,
    ) where
        ShortWays: OfFamily<WORDS>,
    {
        if at >= few.asked && O::SHORTLY {
            let when = |next: usize| {
                let next = arrival(at + next);
                (next.number, next.time)
            };
            let asked = self.belong(&few.read[at..count], &mut few.belong[at..], when);
            few.asked = at + asked.max(1);
        }
        match (&few.read[at], few.belong[at]) {
            (Some(like), Some(belongs)) => self.leaves_short(like, belongs, report),
            (like, _) => {
                let packet = arrival(at);
                transit.tracking.hashes = few.foreseen[at];
                *report = self.arrive_read(transit, (packet.interface, packet.bytes), like.as_ref());
            }
        }
    }

    /// The same of one of IPv6, apart: what one family's packets pass through is no larger for the other's.
    #[inline(never)]
    fn carry_other<'p>(
        &mut self,
        few: &mut Few<'p, OF_IPV6>,
        places: (usize, usize),
        arrival: impl Fn(usize) -> Arrival<'p>,
        transit: &mut Transit,
        report: &mut Report,
    ) {
        self.carry_of_few(few, places, arrival, transit, report);
    }

    /// Asks memory for what packets need that come next. Those whose like has not been carried before seem to open flows: of them hashes are made.
    fn look_ahead<const WORDS: usize>(&mut self, packets: &[Option<Like<'_, WORDS>>; AT_ONCE]) -> [Hashes; AT_ONCE]
    where
        ShortWays: OfFamily<WORDS>,
    {
        let mut foreseen = [Hashes::default(); AT_ONCE];
        OfFamily::<WORDS>::ways(&self.worker.short_ways).look_ahead(packets);
        let family = Plain::<WORDS>::FAMILY;
        if !O::SHORTLY || !self.tracks(family) {
            return foreseen;
        }
        let is_mapped = self.live.of(family).table(Table::Nat).is_some();
        let ways = &mut self.worker.short_ways;
        for (hashes, like) in foreseen.iter_mut().zip(packets) {
            if let Some(like) = like
                && !OfFamily::<WORDS>::ways(ways).have(like.hash)
            {
                ways.foreseen += 1;
                *hashes = self.router.flows.look_ahead(&like.plain.key, is_mapped);
            }
        }
        foreseen
    }
}
