//! Reassembly of fragments (RFC 791, RFC 815), a queue per packet and per place that reassembles.
//!
//! As the kernel does it, seen fragment by fragment: a fragment within what came in one run is a duplicate and dropped alone; one that overlaps gives
//! the whole queue up, and what comes later starts a new one; a fragment before the last whose length is no multiple of 8 is cut to one;
//! the time runs from the first fragment seen, and nothing prolongs it. The result has the header of the first fragment.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::Header;
use crate::base::Time;
use crate::net::sysctl::Knob;
use crate::net::{DefragUser, DropReason, Expired, Net, Pushed};
use crate::packet::Packet;
use crate::wire::ipv4::{DONT_FRAGMENT, Ipv4};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    user: DefragUser,
    source: IpAddr,
    destination: IpAddr,
    identification: u16,
    protocol: u8,
}

#[derive(Clone, Debug)]
struct Queue {
    deadline: Time,
    /// Tells this queue from a later one under the same key.
    number: u64,
    /// Runs of fragments of which each begins where the one before ended, in the order of their offsets.
    runs: Vec<Run>,
    /// Where the packet ends, as far as is known.
    end: usize,
    end_is_known: bool,
    received: usize,
    memory: usize,
    largest: usize,
    largest_with_df: usize,
    ecn_seen: u8,
    /// The sender's fragment count when this queue last got one.
    sender_count: u32,
}

#[derive(Clone, Debug)]
struct Run {
    start: usize,
    end: usize,
    pieces: Vec<Packet>,
}

/// What all shards count together.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    memory: AtomicUsize,
    /// Queues that wait.
    queues: AtomicUsize,
    /// Of the last queue.
    number: AtomicU64,
}

impl Waiting {
    pub(crate) fn waiting(&self) -> usize {
        self.queues.load(Ordering::Relaxed)
    }

    fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    fn charge(&self, before: usize, after: usize) {
        self.memory.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }
}

impl Clone for Waiting {
    fn clone(&self) -> Self {
        Self {
            memory: self.memory().into(),
            queues: self.waiting().into(),
            number: self.number.load(Ordering::Relaxed).into(),
        }
    }
}

/// The queues of some senders that wait for fragments: which, the caller decides, so long as all fragments of a sender come to the same.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    common: Arc<Waiting>,
    queues: BTreeMap<Key, Queue>,
    /// Queues in the order of their deadlines, with those already gone.
    deadlines: VecDeque<(Time, Key, u64)>,
    /// How many fragments each sender sent, for `ipfrag_max_dist`.
    senders: BTreeMap<IpAddr, u32>,
}

/// What the kernel counts for a queue and for a buffer besides its bytes, roughly.
const QUEUE_OVERHEAD: usize = 256;
const FRAGMENT_OVERHEAD: usize = 768;
const MAX_SENDERS: usize = 65_664;

impl Reassembly {
    pub(crate) fn beside(common: &Arc<Waiting>) -> Self {
        Self {
            common: Arc::clone(common),
            ..Self::default()
        }
    }

    /// The same, counting with others.
    pub(crate) fn copy(&self, common: &Arc<Waiting>) -> Self {
        Self {
            common: Arc::clone(common),
            queues: self.queues.clone(),
            deadlines: self.deadlines.clone(),
            senders: self.senders.clone(),
        }
    }

    /// A packet that is no fragment comes back at once. Expired queues are to be taken by `expire(now)` before.
    pub(crate) fn push(&mut self, now: Time, net: &Net, user: DefragUser, packet: Packet) -> Pushed {
        if !packet.is_fragment() {
            return Pushed::Whole(packet);
        }
        let key = Key {
            user,
            source: packet.source(),
            destination: packet.destination(),
            identification: packet.header().identification(),
            protocol: packet.protocol(),
        };
        // Asked for pieces of packets that are begun, too: else a queue could grow without end.
        let limit = net.knob(Knob::FragmentHighThreshold) as u64;
        if limit == 0 || self.common.memory() as u64 > limit {
            return Pushed::Dropped(DropReason::FragmentNoMemory);
        }
        if !self.queues.contains_key(&key) {
            self.open(now, net, key);
        }
        let maximum = net.knob(Knob::FragmentMaxDistance) as u32;
        let count = match maximum {
            0 => 0,
            _ => self.count(key.source),
        };
        let Some(queue) = self.queues.get_mut(&key) else {
            return Pushed::Held;
        };
        if maximum != 0 {
            let distance = count.wrapping_sub(queue.sender_count);
            queue.sender_count = count;
            if !queue.runs.is_empty() && distance > maximum {
                // The identification was probably used again: what is there belongs to another packet.
                let before = queue.memory;
                queue.restart();
                self.common.charge(before, queue.memory);
            }
        }
        let before = queue.memory;
        let result = queue.take(packet);
        self.common.charge(before, queue.memory);
        match result {
            Ok(Taken::Waiting) => Pushed::Held,
            Ok(Taken::Complete(input)) => match self.close(&key) {
                Some(queue) => queue.assemble(input).map_or_else(Pushed::Dropped, Pushed::Whole),
                None => Pushed::Held,
            },
            Err(DropReason::FragmentDuplicate) => Pushed::Dropped(DropReason::FragmentDuplicate),
            Err(reason) => {
                self.close(&key);
                Pushed::Dropped(reason)
            }
        }
    }

    /// Takes the queues whose time is up, the oldest first, each with when that was and its number.
    pub(crate) fn expire(&mut self, now: Time) -> Vec<((Time, u64), Expired)> {
        let mut expired = Vec::new();
        while let Some((deadline, key, number)) = self.deadlines.front().copied() {
            let live = self.queues.get(&key).is_some_and(|queue| queue.number == number);
            if live && deadline > now {
                break;
            }
            self.deadlines.pop_front();
            if live && let Some(queue) = self.close(&key) {
                let first = queue.runs.into_iter().next().filter(|run| run.start == 0);
                let first = first.and_then(|run| run.pieces.into_iter().next());
                expired.push(((deadline, number), Expired { first }));
            }
        }
        expired
    }

    fn open(&mut self, now: Time, net: &Net, key: Key) {
        let seconds = net.knob(Knob::FragmentTime).max(0) as u64;
        let deadline = now + Duration::from_secs(seconds);
        let number = self.common.number.fetch_add(1, Ordering::Relaxed) + 1;
        // Deadlines come in order unless `ipfrag_time` was shortened meanwhile.
        let at = self.deadlines.partition_point(|(other, ..)| *other <= deadline);
        self.deadlines.insert(at, (deadline, key, number));
        let queue = Queue::new(deadline, number);
        self.common.charge(0, queue.memory);
        self.common.queues.fetch_add(1, Ordering::Relaxed);
        self.queues.insert(key, queue);
    }

    fn close(&mut self, key: &Key) -> Option<Queue> {
        let queue = self.queues.remove(key)?;
        self.common.charge(queue.memory, 0);
        self.common.queues.fetch_sub(1, Ordering::Relaxed);
        // Entries of queues that are gone are dropped once they are the many.
        if self.deadlines.len() > 2 * self.queues.len() + 64 {
            let queues = &self.queues;
            self.deadlines
                .retain(|(_, key, number)| queues.get(key).is_some_and(|queue| queue.number == *number));
        }
        Some(queue)
    }

    fn count(&mut self, sender: IpAddr) -> u32 {
        if self.senders.len() >= MAX_SENDERS && !self.senders.contains_key(&sender) {
            self.senders.clear();
        }
        let count = self.senders.entry(sender).or_default();
        *count = count.wrapping_add(1);
        *count
    }
}

enum Taken {
    Waiting,
    /// With the interface that the last missing fragment came by, which is the whole packet's.
    Complete(Option<crate::base::InterfaceId>),
}

impl Queue {
    fn new(deadline: Time, number: u64) -> Self {
        Self {
            deadline,
            number,
            runs: Vec::new(),
            end: 0,
            end_is_known: false,
            received: 0,
            memory: QUEUE_OVERHEAD,
            largest: 0,
            largest_with_df: 0,
            ecn_seen: 0,
            sender_count: 0,
        }
    }

    fn restart(&mut self) {
        *self = Self {
            sender_count: self.sender_count,
            ..Self::new(self.deadline, self.number)
        };
    }

    fn take(&mut self, packet: Packet) -> Result<Taken, DropReason> {
        let header = packet.header();
        let (more, df, ecn) = (header.more_fragments(), header.dont_fragment(), header.tos() & 3);
        let offset = packet.fragment_offset();
        let mut end = offset + packet.transport().len();
        if more {
            end = offset + (packet.transport().len() & !7);
            if end > self.end {
                if self.end_is_known {
                    return Err(DropReason::FragmentInconsistent);
                }
                self.end = end;
            }
        } else {
            if end < self.end || (self.end_is_known && end != self.end) {
                return Err(DropReason::FragmentInconsistent);
            }
            self.end_is_known = true;
            self.end = end;
        }
        if end == offset {
            return Err(DropReason::FragmentEmpty);
        }
        let (length, input) = (end - offset, packet.input);
        let size = packet.network_header_length() + length;
        self.insert(offset, end, packet)?;
        self.ecn_seen |= 1 << ecn;
        self.received += length;
        self.memory += size + FRAGMENT_OVERHEAD;
        self.largest = self.largest.max(size);
        if df {
            self.largest_with_df = self.largest_with_df.max(size);
        }
        let complete = self.end_is_known && self.received == self.end;
        Ok(if complete {
            Taken::Complete(input)
        } else {
            Taken::Waiting
        })
    }

    fn insert(&mut self, offset: usize, end: usize, packet: Packet) -> Result<(), DropReason> {
        let at = self.runs.partition_point(|run| run.end <= offset);
        if let Some(run) = self.runs.get(at)
            && run.start < end
        {
            return Err(match run.start <= offset && end <= run.end {
                true => DropReason::FragmentDuplicate,
                false => DropReason::FragmentOverlap,
            });
        }
        // Only the last run grows; elsewhere a neighbour stays a run of its own, which shows when a duplicate spans two.
        let is_last = at == self.runs.len();
        match self.runs.last_mut() {
            Some(last) if is_last && last.end == offset => {
                last.end = end;
                last.pieces.push(packet);
            }
            _ => self.runs.insert(
                at,
                Run {
                    start: offset,
                    end,
                    pieces: vec![packet],
                },
            ),
        }
        Ok(())
    }

    fn assemble(self, input: Option<crate::base::InterfaceId>) -> Result<Packet, DropReason> {
        // RFC 3168 5.3: marks of congestion are kept, and packets that mix "not capable" with anything else are not put together.
        const NOT_CAPABLE: u8 = 1;
        const CONGESTED: u8 = 1 << 3;
        if self.ecn_seen & NOT_CAPABLE != 0 && self.ecn_seen != NOT_CAPABLE {
            return Err(DropReason::FragmentBadEcn);
        }
        let pieces: Vec<Packet> = self.runs.into_iter().flat_map(|run| run.pieces).collect();
        let Some(first) = pieces.first() else {
            return Err(DropReason::FragmentInconsistent);
        };
        let header_length = first.network_header_length();
        let total = header_length + self.end;
        if total > usize::from(u16::MAX) {
            return Err(DropReason::FragmentTooLong);
        }
        let mark = first.mark;
        let mut bytes = Vec::with_capacity(total);
        bytes.extend_from_slice(first.header().header());
        let mut sizes = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            // A piece was cut to whole words of eight where others follow.
            let data = piece.transport();
            let length = if piece.header().more_fragments() {
                data.len() & !7
            } else {
                data.len()
            };
            bytes.extend_from_slice(&data[..length]);
            sizes.push(length as u16);
        }
        let df = self.largest_with_df == self.largest;
        if let Ok(mut header) = Ipv4::new(&mut bytes[..]) {
            header.set_total_length(total as u16);
            header.set_fragment_field(if df { DONT_FRAGMENT } else { 0 });
            if self.ecn_seen & CONGESTED != 0 {
                let tos = header.tos();
                header.set_tos(tos | 3);
            }
            header.fill_checksum();
        }
        let mut whole = Packet::parse(bytes).map_err(|_| DropReason::FragmentInconsistent)?;
        whole.input = input;
        whole.mark = mark;
        whole.largest_fragment = self.largest as u16;
        whole.fragments_had_df = df;
        whole.fragments = sizes;
        debug_assert_eq!(whole.network_header_length(), header_length);
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::example::{LAN, Make, WAN, hex, net, set, udp};
    use crate::net::{HostState, fragment};

    /// `FIRST..END` in bytes, `+` where more follow, then `d` for DF, `e` and a digit for the ECN bits.
    fn piece(whole: &Make, text: &str) -> Packet {
        let (range, flags) = text.split_at(
            text.find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(text.len()),
        );
        let (start, end) = range.split_once("..").unwrap();
        let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
        let mut make = whole.clone();
        make.transport = whole.transport[start..end].to_vec();
        make.fragment_field = (start / 8) as u16;
        for flag in flags.chars() {
            match flag {
                '+' => make.fragment_field |= 0x2000,
                'd' => make.fragment_field |= 0x4000,
                'e' => {}
                digit => make.tos |= digit.to_digit(4).unwrap() as u8,
            }
        }
        make.packet()
    }

    fn word(pushed: &Pushed) -> &'static str {
        match pushed {
            Pushed::Whole(_) => "whole",
            Pushed::Held => "held",
            Pushed::Dropped(reason) => reason.kernel_word(),
        }
    }

    /// Fragments of 608 bytes in the order they came, and what became of each.
    #[test]
    fn fragment_by_fragment() {
        let net = net();
        let whole = udp("10.0.0.2", "192.0.2.9", 600);
        for (pieces, expected) in [
            ("0..304+ 304..608", "held whole"),
            ("304..608 0..304+", "held whole"),
            ("0..304+ 0..304+ 304..608", "held DUP_FRAG whole"),
            ("304..608 304..608 0..304+", "held DUP_FRAG whole"),
            ("0..304+ 8..16+ 304..608", "held DUP_FRAG whole"),
            ("0..304+ 296..608 304..608", "held NOT_SPECIFIED held"),
            ("304..608 0..312+ 0..304+", "held NOT_SPECIFIED held"),
            ("8..16+ 0..304+ 304..608", "held NOT_SPECIFIED held"),
            ("0..304+ 304..608 304..608", "held whole held"),
            ("0..304+ 304..400 304..608", "held whole held"),
            ("304..608 304..608+", "held DUP_FRAG"),
            ("304..600 600..608+", "held NOT_SPECIFIED"),
            ("0..300+ 304..608 296..304+", "held held whole"),
            ("0..4+ 0..304+ 304..608", "NOT_SPECIFIED held whole"),
            ("304..304 0..304+", "NOT_SPECIFIED held"),
            ("0..0+ 0..304+ 304..608", "NOT_SPECIFIED held whole"),
            ("0..304+e1 304..608", "held NOT_SPECIFIED"),
            // Nothing before and nothing after it: no fragment.
            ("304..608 0..608", "held whole"),
        ] {
            let mut reassembly = Reassembly::default();
            let found: Vec<&str> = pieces
                .split(' ')
                .map(|text| word(&reassembly.push(Time::ZERO, &net, DefragUser::ConntrackIn(0), piece(&whole, text))))
                .collect();
            assert_eq!(found.join(" "), expected, "{pieces}");
        }
    }

    #[test]
    fn the_whole_may_be_as_large_as_a_packet_can_be() {
        let net = net();
        let mut whole = udp("10.0.0.2", "192.0.2.9", 600);
        whole.transport.resize(70_000, 0);
        for (last, expected) in [("65512..65515", "whole"), ("65512..65516", "NOT_SPECIFIED")] {
            let mut reassembly = Reassembly::default();
            let mut push = |text| reassembly.push(Time::ZERO, &net, DefragUser::ConntrackIn(0), piece(&whole, text));
            assert_eq!(word(&push("0..65512+")), "held");
            assert_eq!(word(&push(last)), expected, "{last}");
        }
    }

    /// ECN bits of two fragments, and those of the whole.
    #[test]
    fn ecn_marks() {
        let net = net();
        let whole = udp("10.0.0.2", "192.0.2.9", 600);
        for (first, second, expected) in [
            (0, 0, Some(0)),
            (0, 1, None),
            (0, 2, None),
            (0, 3, None),
            (3, 0, None),
            (1, 1, Some(1)),
            (1, 2, Some(1)),
            (2, 1, Some(2)),
            (1, 3, Some(3)),
            (3, 1, Some(3)),
            (2, 3, Some(3)),
            (3, 3, Some(3)),
        ] {
            let mut reassembly = Reassembly::default();
            let mut push =
                |text: String| reassembly.push(Time::ZERO, &net, DefragUser::LocalDeliver, piece(&whole, &text));
            push(format!("0..304+e{first}"));
            let found = match push(format!("304..608e{second}")) {
                Pushed::Whole(packet) => Some(packet.tos()),
                _ => None,
            };
            assert_eq!(found, expected, "{first} then {second}");
        }
    }

    /// Fragments of 3008 bytes, the MTU they leave by, and the lengths and fragment fields they left with; "" where they were too big.
    #[test]
    fn and_apart_again() {
        let mut net = net();
        net.set_mtu(LAN, 3000).unwrap();
        let whole = udp("10.0.0.2", "192.0.2.9", 3000);
        let six = "0..504+ 504..1008+ 1008..1512+ 1512..2016+ 2016..2520+ 2520..3008";
        let six_df = "0..504+d 504..1008+d 1008..1512+d 1512..2016+d 2016..2520+d 2520..3008d";
        let kept = "524:2000 524:203f 524:207e 524:20bd 524:20fc 508:013b";
        let cut = "996:2000 996:207a 996:20f4 100:016e";
        for (pieces, mtu, expected) in [
            ("0..1504+ 1504..3008", 1000, cut),
            ("0..1504+d 1504..3008d", 1000, ""),
            ("0..504+ 504..1504+ 1504..3008", 1000, cut),
            ("0..504+d 504..1008+ 1008..3008", 1000, cut),
            ("0..504+ 504..1008+ 1008..3008d", 1000, ""),
            (six, 1000, kept),
            (six_df, 1000, kept),
            (six, 65535, kept),
            // Pieces that do not fit any more are cut anew, but not larger than the largest.
            (
                six,
                300,
                "300:2000 300:2023 300:2046 300:2069 300:208c 300:20af 300:20d2 300:20f5 300:2118 300:213b 228:015e",
            ),
        ] {
            let mut reassembly = Reassembly::default();
            let mut last = None;
            for text in pieces.split(' ') {
                last = Some(reassembly.push(Time::ZERO, &net, DefragUser::ConntrackIn(0), piece(&whole, text)));
            }
            let Some(Pushed::Whole(mut packet)) = last else {
                panic!("{pieces}: {last:?}");
            };
            packet.ignores_df = true;
            assert_eq!(packet.transport(), whole.transport);
            let mut sent = Vec::new();
            let mut data = Vec::new();
            let mut emit = |piece: Packet| {
                sent.push(format!("{}:{:04x}", piece.len(), piece.header().fragment_field()));
                data.extend_from_slice(piece.transport());
            };
            let fits = fragment(packet, mtu, &mut emit).is_ok();
            assert_eq!(sent.join(" "), expected, "{pieces} over {mtu}");
            assert_eq!(fits, !expected.is_empty());
            assert!(!fits || data == whole.transport);
        }
    }

    #[test]
    fn time_and_room_run_out() {
        let mut net = net();
        let local = udp("10.0.0.2", "10.0.0.1", 600);
        let other = udp("10.0.0.2", "192.0.2.9", 600);
        let mut reassembly = Reassembly::default();
        let user = DefragUser::ConntrackIn(0);
        for packet in [
            piece(&local, "304..608"),
            piece(&local, "0..16+"),
            piece(&other, "0..304+"),
        ] {
            assert_eq!(word(&reassembly.push(Time::from_secs(1), &net, user, packet)), "held");
        }
        assert!(reassembly.expire(Time::from_secs(30)).is_empty());
        let expired = reassembly.expire(Time::from_secs(31));
        let host = HostState::new(1);
        let told: Vec<_> = expired
            .iter()
            .map(|(_, it)| {
                net.reassembly_error(&host, Time::from_secs(31), it)
                    .map(|it| it.packet.len())
                    .ok()
            })
            .collect();
        assert_eq!(
            told,
            [Some(64), None],
            "the first fragment is quoted, and only for a packet to this host"
        );
        assert_eq!((reassembly.common.waiting(), reassembly.common.memory()), (0, 0));

        set(&mut net, &[("ipfrag_low_thresh", 0), ("ipfrag_high_thresh", 0)]);
        assert_eq!(
            word(&reassembly.push(Time::ZERO, &net, user, piece(&other, "0..304+"))),
            "NOMEM"
        );
    }

    /// Queues that were opened while there was room do not grow without end after that.
    #[test]
    fn a_flood_of_pieces_stays_within_the_threshold() {
        let mut net = net();
        set(&mut net, &[("ipfrag_low_thresh", 0), ("ipfrag_high_thresh", 20_000)]);
        let mut reassembly = Reassembly::default();
        let whole = udp("10.0.0.2", "192.0.2.9", 3000);
        for at in 0..180 {
            for source in ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"] {
                let mut make = whole.clone();
                make.source = source;
                let packet = piece(&make, &format!("{}..{}+", at * 16, at * 16 + 8));
                reassembly.push(Time::ZERO, &net, DefragUser::ConntrackIn(0), packet);
                let memory = reassembly.common.memory();
                assert!(memory <= 21_000, "{memory} bytes");
            }
        }
    }

    #[test]
    fn the_whole_takes_header_and_mark_of_the_first_and_interface_of_the_last() {
        let net = net();
        let whole = Make {
            ttl: 5,
            ..udp("10.0.0.2", "192.0.2.9", 600)
        };
        let late = Make {
            ttl: 77,
            input: WAN,
            ..whole.clone()
        };
        let mut reassembly = Reassembly::default();
        let mut first = piece(&whole, "0..304+");
        first.mark = 7;
        reassembly.push(Time::ZERO, &net, DefragUser::ConntrackIn(0), first);
        let Pushed::Whole(packet) =
            reassembly.push(Time::ZERO, &net, DefragUser::ConntrackIn(0), piece(&late, "304..608"))
        else {
            panic!("not whole");
        };
        assert_eq!((packet.ttl(), packet.mark, packet.input), (5, 7, Some(WAN)));
        assert_eq!(hex(packet.transport()), hex(&whole.transport));
        assert!(packet.header().checksum_is_right());
    }
}
