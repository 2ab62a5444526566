//! What goes on at a visit, against the tracking stage.

use super::*;
use crate::base::testing::host;
use crate::base::{Family, Random};
use crate::conntrack::testing::Bench;
use crate::conntrack::{Reason, TrackStage};
use crate::packet::testing;
use crate::wire::{be32, checksum, put16, put32, tcp::flags};

/// Two tables that have seen the same packets: of one, packets that may go on do so by a visit.
#[test]
fn whoever_goes_on_is_tracked_alike() {
    goes_on_alike::<1>(Family::V4);
    goes_on_alike::<4>(Family::V6);
}

fn goes_on_alike<const WORDS: usize>(family: Family) {
    let (mut went_on, mut others) = ([0, 0], 0);
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let is_tcp = random.below(3) > 0;
        let mut bench = Bench::new();
        bench.settings.protocols.tcp.window_tracking = random.below(10) > 0;
        let other = bench.table.copy(bench.now);
        let mut talk = Talk::default();
        for number in 1..120 {
            bench.now = bench.now + std::time::Duration::from_millis(random.below(400).into());
            let bytes = talk.next(&mut random, family, is_tcp);
            let packet = Packet::parse(bytes.clone()).unwrap();
            let cx = TrackContext {
                stage: TrackStage::Prerouting,
                packet: number,
                ..bench.context()
            };
            let track = |table: &Table| {
                let (mut packet, mut tracking) = (packet.clone(), Tracking::default());
                let tracked = table.track(&cx, &mut packet, &mut tracking);
                let confirmed = table.confirm(&cx, &packet, &mut tracking);
                (tracked, tracking, confirmed.is_ok(), packet.checksum)
            };
            let [own, its] = [&bench.table, &other].map(|table| table.flows(bench.now).pop());
            let (Some(own), Some(its), Some(plain)) = (own, its, Plain::<WORDS>::read(&bytes)) else {
                let [one, two] = [track(&bench.table), track(&other)];
                assert_eq!(format!("{:?}", one.0), format!("{:?}", two.0));
                continue;
            };
            // Whose first packet was sound opened it.
            let direction = match own.original().source.address == packet.source() {
                true => Direction::Original,
                false => Direction::Reply,
            };
            let before = format!("{:?}", &*own.lock());
            let known = KnownWay {
                direction,
                state: [CtState::New, CtState::Established][random.below(4).min(1) as usize],
                mark: Some(0).filter(|_| random.below(2) == 0),
            };
            let went = own.visit().goes_on(&cx, &plain, known);
            let (tracked, tracking, _, sum) = track(&other);
            if let Some(checksum) = went {
                assert!(
                    matches!(tracked, Tracked::Accept(Reason::KnownFlow)),
                    "{seed} {number}: {tracked:?}"
                );
                assert_eq!((tracking.state, tracking.direction), (Some(known.state), direction));
                assert_eq!(checksum, sum, "{seed} {number}");
                went_on[usize::from(is_tcp)] += 1;
            } else {
                assert_eq!(
                    format!("{:?}", &*own.lock()),
                    before,
                    "{seed} {number}: nothing has happened"
                );
                track(&bench.table);
                others += 1;
            }
            assert_eq!(
                format!("{:?}", &*own.lock()),
                format!("{:?}", &*its.lock()),
                "{seed} {number}"
            );
        }
    }
    assert!(
        went_on[0] > 5_000 && went_on[1] > 2_000 && others > 2_000,
        "{went_on:?} {others}"
    );
}

/// What two hosts say, mostly in order.
#[derive(Default)]
struct Talk {
    numbers: [u32; 2],
    said: u32,
}

impl Talk {
    fn next(&mut self, random: &mut Random, family: Family, is_tcp: bool) -> Vec<u8> {
        let is_reply = self.said == 1 || (self.said > 2 && random.below(2) == 0);
        let (near, far) = ((host(family, 2), 4000), (host(family, 9), 80));
        let (from, to) = if is_reply { (far, near) } else { (near, far) };
        let (own, theirs) = (usize::from(is_reply), usize::from(!is_reply));
        let data = vec![1; [0, 0, 32, 1400][random.below(4) as usize]];
        let mut bytes = match is_tcp {
            true => testing::tcp(from, to, &data).into_bytes(),
            false => testing::udp(from, to, &data).into_bytes(),
        };
        let header = bytes.len() - data.len() - if is_tcp { 20 } else { 8 };
        if is_tcp {
            let usual = match self.said {
                0 => flags::SYN,
                1 => flags::SYN | flags::ACK,
                _ => flags::ACK,
            };
            bytes[header + 13] = match random.below(40) {
                0 => random.next_u32() as u8,
                1 => flags::ACK | flags::FIN,
                2 => flags::ACK | flags::PSH,
                _ => usual,
            };
            let odd = |random: &mut Random| match random.below(30) {
                0 => random.next_u32() >> random.below(32),
                1 => random.below(3),
                _ => 0,
            };
            put32(&mut bytes, header + 4, self.numbers[own].wrapping_add(odd(random)));
            put32(&mut bytes, header + 8, self.numbers[theirs].wrapping_sub(odd(random)));
            if random.below(20) == 0 {
                put16(&mut bytes, header + 14, random.below(100) as u16);
            }
            let eats = data.len() as u32 + u32::from(bytes[header + 13] & (flags::SYN | flags::FIN) != 0);
            self.numbers[own] = be32(&bytes, header + 4).wrapping_add(eats);
            put16(&mut bytes, header + 16, 0);
            let sum = checksum::transport(from.0, to.0, 6, &bytes[header..]);
            put16(&mut bytes, header + 16, sum);
        } else if random.below(10) == 0 {
            put16(&mut bytes, header + 4, random.below(60) as u16);
        }
        if random.below(30) == 0 {
            let at = header + random.below((bytes.len() - header) as u32) as usize;
            bytes[at] ^= 1;
        }
        self.said += 1;
        bytes
    }
}
