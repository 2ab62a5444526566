//! What an index offers against what rules say of packets, over rules and packets drawn so that they meet; rules that come and go; memory.
//!
//! `NFLAB_INDEX_ROUNDS` and `NFLAB_INDEX_SEED` make longer runs, of sixty packets a round.

use super::*;
use crate::base::testing::{families, host};
use crate::base::{AddressMask, InterfaceMask, InterfaceName, MarkMask, PortRange, Random, protocol};
use crate::conntrack::{CtState, StateBits, Tracking};
use crate::packet::Packet;
use crate::packet::testing::{echo, tcp, udp};
use crate::rule::{Answer, Condition, Field, PlainFields};

families! {
    fn what_is_left_out_does_not_match(family: Family) {
        let number = |name: &str, default| {
            let value = std::env::var(name).ok();
            value.map_or(default, |it| it.parse().expect("a number"))
        };
        let mut random = Random::new(number("NFLAB_INDEX_SEED", 1));
        let mut met = Met::default();
        for _ in 0..number("NFLAB_INDEX_ROUNDS", 60) {
            let count = 20 + random.below(120) as usize;
            let style = Style::drawn(&mut random);
            let rules: Vec<Lowered> = (0..count).map(|_| style.rule(&mut random, family)).collect();
            let Some(index) = ChainIndex::new(family, rules.iter().cloned()) else {
                continue;
            };
            assert_eq!(index.len() as usize, count);
            for _ in 0..60 {
                met.look(&index, &rules, &Sight::drawn(&mut random, family), &mut random);
            }
        }
        met.check();
    }

    /// After each step the index is as good as one that is made of the rules as they are then.
    fn rules_come_and_go(family: Family) {
        let mut random = Random::new(2);
        let mut met = Met::default();
        for _ in 0..12 {
            let style = Style::drawn(&mut random);
            let mut rules: Vec<Lowered> = (0..20).map(|_| style.rule(&mut random, family)).collect();
            let Some(mut index) = ChainIndex::new(family, rules.iter().cloned()) else {
                continue;
            };
            let grows = random.one_in(2);
            for _ in 0..200 {
                let inserts = if grows { !random.one_in(3) } else { random.one_in(2) };
                if inserts {
                    let at = random.below(rules.len() as u32 + 1);
                    let rule = style.rule(&mut random, family);
                    index = index.with_inserted(at, &rule);
                    rules.insert(at as usize, rule);
                } else if rules.len() > 1 {
                    let at = random.below(rules.len() as u32);
                    index = index.with_removed(at).unwrap();
                    rules.remove(at as usize);
                }
                assert_eq!(index.len() as usize, rules.len());
                for _ in 0..3 {
                    met.look(&index, &rules, &Sight::drawn(&mut random, family), &mut random);
                }
            }
        }
        met.check();
    }

    /// Found by one look, and with next to nothing offered that does not match.
    fn hosts_and_ports_are_told_apart(family: Family) {
        let rule = |number: u32| {
            let ports = Box::from([PortRange::single(number as u16)]);
            Lowered::exactly(vec![
                Condition::Is(Field::Source(numbered(family, number))),
                Condition::Is(Field::Protocol(protocol::UDP)),
                Condition::Header(8),
                Condition::Is(Field::DestinationPort(ports)),
            ])
        };
        let rules: Vec<Lowered> = (1..=10_000).map(rule).collect();
        let index = ChainIndex::new(family, rules.iter().cloned()).unwrap();
        assert_eq!(index.tables.len(), 1);
        assert!(index.bytes() <= 100 * rules.len(), "{} bytes", index.bytes());
        for number in [1, 77, 9_999, 10_000] {
            let packet = udp((numbered(family, number).address(), 1), (host(family, 9), number as u16), b"");
            let key = Sight::of(packet).key();
            let mut candidates = index.candidates(&key);
            assert_eq!(candidates.next(&key, 0), number - 1);
            assert_eq!(candidates.next(&key, number), 10_000);
        }
        let key = Sight::of(udp((host(family, 200), 1), (host(family, 9), 80), b"")).key();
        assert_eq!(index.candidates(&key).next(&key, 0), 10_000);
        let inserted = index.with_inserted(0, &rules[5]);
        let key = Sight::of(udp((numbered(family, 6).address(), 1), (host(family, 9), 6), b"")).key();
        let mut candidates = inserted.candidates(&key);
        assert_eq!([candidates.next(&key, 0), candidates.next(&key, 1)], [0, 6]);
        assert_eq!(candidates.next(&key, 7), 10_001);
    }

    /// What ends at a header that is cut short does so at the first rule that asks for it, whether or not that could ever match.
    fn what_is_cut_short_is_left_to_the_rules(family: Family) {
        let never = Box::from([PortRange { low: 80, high: 70 }]);
        let mut rules = vec![Lowered::exactly(vec![Condition::Is(Field::Mark(MarkMask { value: 1, mask: 1 }))]); 20];
        rules.push(Lowered::exactly(vec![
            Condition::Is(Field::Protocol(protocol::TCP)),
            Condition::Header(20),
            Condition::Is(Field::DestinationPort(never)),
        ]));
        let index = ChainIndex::new(family, rules.iter().cloned()).unwrap();
        let ends = [(host(family, 2), 4000), (host(family, 9), 80)];
        let whole = Sight::of(tcp(ends[0], ends[1], b"")).key();
        assert!(index.knows(&whole));
        assert_eq!(index.candidates(&whole).next(&whole, 0), 21);
        let cut = Sight::cut(tcp(ends[0], ends[1], b""), 19).key();
        assert!(!index.knows(&cut));
        let other = Sight::cut(udp(ends[0], ends[1], b""), 7).key();
        assert!(index.knows(&other), "nobody asks for a header of UDP");
    }
}

fn numbered(family: Family, number: u32) -> AddressMask {
    AddressMask::host(match family {
        Family::V4 => std::net::Ipv4Addr::from_bits(0xac10_0000 + number).into(),
        Family::V6 => std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(number)).into(),
    })
}

/// A chain's rules are alike in what they ask for, and some are not.
struct Style {
    percents: [u32; 8],
    /// Out of how many values they draw.
    width: u32,
}

impl Style {
    fn drawn(random: &mut Random) -> Self {
        Self {
            percents: std::array::from_fn(|_| random.pick(&[0, 0, 10, 50, 90, 100])),
            width: random.pick(&[2, 5, 40]),
        }
    }

    fn rule(&self, random: &mut Random, family: Family) -> Lowered {
        let mut conditions = Vec::new();
        let number = |random: &mut Random| random.below(self.width) as u8;
        let has = |random: &mut Random, what: usize| random.percent(self.percents[what]);
        let condition = |random: &mut Random, field| Condition::new(field, random.one_in(12));
        let ports = |random: &mut Random| {
            let range = |random: &mut Random| {
                let low = u16::from(number(random));
                let high = random.pick(&[low, low, low + 1, low + 9, 0x1003, u16::MAX, 0]);
                PortRange { low, high }
            };
            let count = random.pick(&[1, 1, 1, 2, 3]);
            (0..count).map(|_| range(random)).collect::<Box<[PortRange]>>()
        };
        if has(random, 0) {
            let field = Field::Source(address(random, family, self.width));
            conditions.push(condition(random, field));
        }
        if has(random, 1) {
            let field = Field::Destination(address(random, family, self.width));
            conditions.push(condition(random, field));
        }
        if has(random, 2) {
            let name = InterfaceMask::new(random.pick(&["lan", "lan0", "la+", "wan", "+", "abcdefghijklmno"])).unwrap();
            let field = if random.one_in(2) {
                Field::Input(name)
            } else {
                Field::Output(name)
            };
            conditions.push(condition(random, field));
        }
        if has(random, 3) {
            let states = StateBits(1 << random.below(7) | 1 << random.below(7));
            conditions.push(condition(random, Field::States(states)));
        }
        if has(random, 4) {
            let mask = random.pick(&[u32::MAX, 0xf, 0x3, 0]);
            let value = u32::from(number(random)) & random.pick(&[mask, mask, mask, u32::MAX]);
            conditions.push(condition(random, Field::Mark(MarkMask { value, mask })));
        }
        if has(random, 5) {
            conditions.push(condition(random, Field::LaterFragment));
        }
        if has(random, 6) {
            let number = random.pick(&[6, 6, 17, 17, 1]);
            conditions.push(condition(random, Field::Protocol(number)));
            let (bytes, field) = match number {
                6 if random.one_in(3) => {
                    let mask = random.pick(&[0x02, 0x12, 0x17]);
                    let set = random.pick(&[0x02, 0x10, 0x12]) & random.pick(&[mask, mask, 0xff]);
                    (20, Field::TcpFlags { mask, set })
                }
                1 => {
                    let kind = random.pick(&[None, Some(8), Some(0), Some(128)]);
                    let (low, high) = random.pick(&[(0, 0), (0, 255), (1, 1), (1, 0)]);
                    (4, Field::Icmp { kind, low, high })
                }
                _ => {
                    let field = match random.below(4) {
                        0 => Field::SourcePort(ports(random)),
                        1 => Field::EitherPort(ports(random)),
                        _ => Field::DestinationPort(ports(random)),
                    };
                    (if number == 6 { 20 } else { 8 }, field)
                }
            };
            if random.percent(80) {
                conditions.push(Condition::Header(bytes));
            }
            if has(random, 7) {
                conditions.push(condition(random, field));
            }
        }
        match random.below(4) {
            0 => Lowered::at_least(conditions),
            _ => Lowered::exactly(conditions),
        }
    }
}

/// Near each other, so that they are met.
fn address(random: &mut Random, family: Family, width: u32) -> AddressMask {
    let address = host(family, random.below(width) as u8);
    let bits = family.bits();
    match random.below(6) {
        0 => AddressMask::prefix(address, bits - random.below(8) as u8).unwrap(),
        1 => AddressMask::prefix(address, random.below(u32::from(bits) + 1) as u8).unwrap(),
        2 => {
            let low = host(family, random.pick(&[1, 3, 7, 0x55]));
            AddressMask::new(address, low).unwrap()
        }
        _ => AddressMask::host(address),
    }
}

/// A packet where a rule sees it.
struct Sight {
    packet: Packet,
    tracking: Tracking,
    input: InterfaceName,
    output: InterfaceName,
}

impl Sight {
    fn of(packet: Packet) -> Self {
        Self {
            packet,
            tracking: Tracking::default(),
            input: InterfaceName::new("lan").unwrap(),
            output: InterfaceName::default(),
        }
    }

    /// With so much behind its network header.
    fn cut(packet: Packet, length: usize) -> Self {
        let header = packet.bytes().len() - packet.transport().len();
        let family = packet.family();
        let mut bytes = packet.into_bytes();
        bytes.truncate(header + length);
        match family {
            Family::V4 => bytes[2..4].copy_from_slice(&((header + length) as u16).to_be_bytes()),
            Family::V6 => bytes[4..6].copy_from_slice(&(length as u16).to_be_bytes()),
        }
        Self::of(Packet::parse(bytes).unwrap())
    }

    fn drawn(random: &mut Random, family: Family) -> Self {
        let width = random.pick(&[2, 5, 40]);
        let mut end = || (host(family, random.below(width) as u8), random.below(width) as u16);
        let (from, to) = (end(), end());
        let mut packet = match random.below(5) {
            0 => echo(from.0, to.0, 1),
            1 | 2 => udp(from, to, b"abcdefgh"),
            _ => tcp(from, to, b""),
        };
        if family == Family::V4 && random.one_in(8) {
            let mut bytes = packet.into_bytes();
            bytes[6..8].copy_from_slice(&random.pick(&[0x2000u16, 1, 2, 0x2001, 185]).to_be_bytes());
            packet = Packet::parse(bytes).unwrap();
        }
        let mut sight = match random.one_in(12) {
            true => Self::cut(packet, random.below(8) as usize),
            false => Self::of(packet),
        };
        sight.packet.mark = random.below(width);
        sight.tracking.state = random.pick(&[None, Some(CtState::Invalid), Some(CtState::Untracked)]);
        let name = |random: &mut Random| {
            InterfaceName::new(random.pick(&["", "lan", "lan0", "wan", "abcdefghijklmno"])).unwrap()
        };
        (sight.input, sight.output) = (name(random), name(random));
        sight
    }

    fn key(&self) -> Key {
        Key::new(&self.packet, &self.tracking, &self.input, &self.output)
    }
}

/// What came up.
#[derive(Default)]
struct Met {
    looks: usize,
    left_to_the_rules: usize,
    rules: usize,
    offered: usize,
    matched: usize,
}

impl Met {
    fn look(&mut self, index: &ChainIndex, rules: &[Lowered], sight: &Sight, random: &mut Random) {
        let fields = PlainFields::new(&sight.packet, &sight.tracking, sight.input, sight.output);
        let key = sight.key();
        self.looks += 1;
        let answers: Vec<Answer> = rules.iter().map(|rule| rule.answer(&fields)).collect();
        if !index.knows(&key) {
            self.left_to_the_rules += 1;
            return;
        }
        let mut candidates = index.candidates(&key);
        // Mostly from rule to rule, now and then a few at a time.
        let mut from = 0;
        loop {
            let next = candidates.next(&key, from);
            assert!((from..=index.len()).contains(&next), "{next} from {from}");
            for left_out in from..next {
                assert_eq!(
                    answers[left_out as usize],
                    Answer::No,
                    "{:?}\n{fields:?}",
                    rules[left_out as usize]
                );
            }
            if next == index.len() {
                break;
            }
            self.offered += 1;
            from = next + 1;
            if random.one_in(5) {
                from = (from + random.below(10)).min(index.len());
            }
            // As one who comes back from a chain in which all was forgotten.
            if random.one_in(10) {
                candidates = index.candidates(&key);
            }
        }
        self.rules += rules.len();
        self.matched += answers.iter().filter(|it| **it != Answer::No).count();
    }

    fn check(&self) {
        eprintln!("{} packets", self.looks);
        let Self {
            looks,
            left_to_the_rules,
            rules,
            offered,
            matched,
        } = self;
        assert!(
            left_to_the_rules * 2 < *looks && *left_to_the_rules > 0,
            "{left_to_the_rules} of {looks}"
        );
        assert!(
            offered < &(2 * matched) && offered * 2 < *rules,
            "{offered} of {rules}, where {matched} may match"
        );
    }
}
