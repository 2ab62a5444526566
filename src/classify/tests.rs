//! What an index offers against what rules say of packets, over rules and packets drawn so that they meet; rules that come and go; memory.
//!
//! `NFLAB_INDEX_ROUNDS` and `NFLAB_INDEX_SEED` make longer runs, of sixty packets a round; `NFLAB_INDEX_EDITS` of rules that come and go.

use super::*;
use crate::base::testing::{families, host};
use crate::base::{AddressMask, InterfaceMask, InterfaceName, MarkMask, Pace, PortRange, Random, protocol};
use crate::conntrack::{CtState, StateBits, Tracking};
use crate::packet::Packet;
use crate::packet::testing::{echo, tcp, udp};
use crate::rule::{Answer, Condition, Field, PlainFields};

families! {
    fn what_is_left_out_does_not_match(family: Family) {
        let mut random = Random::new(number("NFLAB_INDEX_SEED", 1));
        let mut met = Met::default();
        for _ in 0..number("NFLAB_INDEX_ROUNDS", 60) {
            let most = random.pick(&[120, 120, 120, 700]);
            let count = 20 + random.below(most) as usize;
            let style = Style::drawn(&mut random);
            let rules: Vec<Lowered> = (0..count).map(|_| style.rule(&mut random, family)).collect();
            let Some(index) = index_of(family, &rules, &mut random) else {
                continue;
            };
            assert_eq!(index.len() as usize, count);
            met.made(&index);
            for _ in 0..60 {
                met.look(&index, &rules, &Sight::drawn(&mut random, family), &mut random);
            }
        }
        met.check();
        assert!(met.foreseen > 0, "{met:?}");
    }

    /// After each step the index is as good as one that is made of the rules as they are then.
    fn rules_come_and_go(family: Family) {
        let mut random = Random::new(number("NFLAB_INDEX_SEED", 2));
        let mut met = Met::default();
        for _ in 0..number("NFLAB_INDEX_EDITS", 24) {
            let style = Style::drawn(&mut random);
            let count = random.pick(&[20, 20, 100]);
            let mut rules: Vec<Lowered> = (0..count).map(|_| style.rule(&mut random, family)).collect();
            let Some(mut index) = index_of(family, &rules, &mut random) else {
                continue;
            };
            met.made(&index);
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
                    rules.remove(at as usize);
                    let without = index.with_removed(at);
                    met.made_anew += usize::from(without.is_none());
                    let Some(without) = without.or_else(|| index_of(family, &rules, &mut random)) else {
                        break;
                    };
                    index = without;
                    met.made(&index);
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
        let index = of_all(family, &rules).unwrap();
        assert!(index.bytes() <= 100 * rules.len(), "{} bytes", index.bytes());
        assert_eq!(index.shape(), (1, None));
        for number in [1, 77, 9_999, 10_000] {
            let packet = udp((numbered(family, number).address(), 1), (host(family, 9), number as u16), b"");
            let key = Sight::of(packet).key();
            let mut candidates = index.candidates(&key, 0, None);
            assert_eq!(candidates.next(&key, 0).step, number - 1);
            assert_eq!(candidates.next(&key, number).step, 10_000);
        }
        let key = Sight::of(udp((host(family, 200), 1), (host(family, 9), 80), b"")).key();
        assert_eq!(index.candidates(&key, 0, None).next(&key, 0).step, 10_000);
        let inserted = index.with_inserted(0, &rules[5]);
        let key = Sight::of(udp((numbered(family, 6).address(), 1), (host(family, 9), 6), b"")).key();
        let mut candidates = inserted.candidates(&key, 0, None);
        assert_eq!([0, 1, 7].map(|from| candidates.next(&key, from).step), [0, 6, 10_001]);
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
        let index = of_all(family, &rules).unwrap();
        let ends = [(host(family, 2), 4000), (host(family, 9), 80)];
        let whole = Sight::of(tcp(ends[0], ends[1], b"")).key();
        assert!(index.knows(&whole));
        assert_eq!(index.candidates(&whole, 0, None).next(&whole, 0).step, 21);
        let cut = Sight::cut(tcp(ends[0], ends[1], b""), 19).key();
        assert!(!index.knows(&cut));
        let other = Sight::cut(udp(ends[0], ends[1], b""), 7).key();
        assert!(index.knows(&other), "nobody asks for a header of UDP");
    }
}

/// Of the environment.
fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |it| it.parse().expect("a number"))
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
    /// How far ports are from each other.
    spread: u16,
    /// One in so many asks for little, so that few packets go past it.
    wide: u32,
}

impl Style {
    fn drawn(random: &mut Random) -> Self {
        let by_ports = random.one_in(4).then_some([0, 0, 0, 0, 0, 0, 100, 90]);
        Self {
            percents: by_ports.unwrap_or_else(|| std::array::from_fn(|_| random.pick(&[0, 0, 10, 50, 90, 100]))),
            spread: random.pick(&[1, 1, 250]),
            width: random.pick(&[2, 5, 40, 250]),
            wide: random.pick(&[8, 40, u32::MAX]),
        }
    }

    fn rule(&self, random: &mut Random, family: Family) -> Lowered {
        if random.one_in(self.wide) {
            return Lowered::exactly(match random.below(3) {
                0 => vec![],
                1 => vec![Condition::Is(Field::Protocol(random.pick(&[6, 17])))],
                _ => vec![Condition::new(Field::LaterFragment, random.one_in(2))],
            });
        }
        let mut conditions = Vec::new();
        let number = |random: &mut Random| random.below(self.width) as u8;
        let has = |random: &mut Random, what: usize| random.percent(self.percents[what]);
        let condition = |random: &mut Random, field| Condition::new(field, random.one_in(12));
        let ports = |random: &mut Random| {
            let range = |random: &mut Random| {
                let low = self.spread * u16::from(number(random));
                let high = random.pick(&[low, low, low + 1, low + 9, low + 1500, 0x1003, u16::MAX, 0]);
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

fn of_all(family: Family, rules: &[Lowered]) -> Option<ChainIndex> {
    ChainIndex::new(family, rules.iter().map(|rule| (rule.clone(), false)), Pace::NONE)
}

/// Packets that match go no further at some rules, or it is said so.
fn index_of(family: Family, rules: &[Lowered], random: &mut Random) -> Option<ChainIndex> {
    let percent = random.pick(&[0, 50, 100]);
    let rules = rules.iter().map(|rule| (rule.clone(), random.percent(percent)));
    ChainIndex::new(family, rules.collect::<Vec<_>>().into_iter(), Pace::NONE)
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
        let width = random.pick(&[2, 5, 40, 250]);
        let spread = random.pick(&[1, 1, 250]);
        let mut end = || {
            let port = spread * random.below(width) + random.below(3);
            (host(family, random.below(width) as u8), port as u16)
        };
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
        Key::new(&self.packet, &self.tracking, Some((&self.input, &self.output)))
    }

    /// As an index needs it.
    fn key_for(&self, index: &ChainIndex) -> Key {
        let names = index.asks_names().then_some((&self.input, &self.output));
        Key::new(&self.packet, &self.tracking, names)
    }
}

/// What came up.
#[derive(Default, Debug)]
struct Met {
    looks: usize,
    left_to_the_rules: usize,
    rules: usize,
    offered: usize,
    certain: usize,
    matched: usize,
    trees: usize,
    with_tables: usize,
    closed: usize,
    made_anew: usize,
    /// How often it was right.
    foreseen: usize,
    bytes_before: Vec<u8>,
    /// No packet is offered all that stands behind a rule.
    is_open: bool,
}

impl Met {
    fn look(&mut self, index: &ChainIndex, rules: &[Lowered], sight: &Sight, random: &mut Random) {
        let fields = PlainFields::new(&sight.packet, &sight.tracking, sight.input, sight.output);
        let key = sight.key_for(index);
        self.looks += 1;
        let answers: Vec<Answer> = rules.iter().map(|rule| rule.answer(&fields)).collect();
        if !index.knows(&key) {
            self.left_to_the_rules += 1;
            return;
        }
        let foreseen = self.foresee(index, sight, &key, random);
        let mut candidates = index.candidates(&key, 0, foreseen.as_ref());
        // Mostly from rule to rule, now and then a few at a time.
        let mut from = 0;
        loop {
            let Candidate { step: next, matches } = candidates.next(&key, from);
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
            self.offered += usize::from(self.is_open);
            if matches {
                self.certain += 1;
                assert_eq!(
                    answers[next as usize],
                    Answer::Yes,
                    "{:?}\n{fields:?}",
                    rules[next as usize]
                );
            }
            from = next + 1;
            if random.one_in(5) {
                from = (from + random.below(10)).min(index.len());
            }
            // As one who comes back from a chain in which all was forgotten.
            if random.one_in(10) {
                candidates = index.candidates(&key, from, foreseen.as_ref());
            }
        }
        if self.is_open {
            self.rules += rules.len();
            self.matched += answers.iter().filter(|it| **it != Answer::No).count();
        }
    }

    /// What is thought of a packet before it comes: mostly as it is, else as another is, or as one of another state.
    fn foresee(&mut self, index: &ChainIndex, sight: &Sight, key: &Key, random: &mut Random) -> Option<Foresight> {
        let bytes = match random.one_in(4) {
            true => std::mem::take(&mut self.bytes_before),
            false => sight.packet.bytes().to_vec(),
        };
        let manner = if random.one_in(4) { 0 } else { key.manner() };
        let mut found = [None];
        index.foresee(std::iter::once(&bytes[..]), manner, &mut found);
        self.bytes_before = sight.packet.bytes().to_vec();
        let [foreseen] = found;
        self.foreseen += usize::from(foreseen.is_some_and(|it| it.sight == key.sight(index.window)));
        foreseen
    }

    fn made(&mut self, index: &ChainIndex) {
        self.trees += usize::from(index.tree.is_some());
        self.with_tables += usize::from(!index.tables.is_empty());
        self.is_open = !index.tree.as_ref().is_some_and(Tree::has_closed);
        self.closed += usize::from(!self.is_open);
    }

    fn check(&self) {
        eprintln!("{self:?}");
        let Self {
            looks,
            left_to_the_rules,
            rules,
            offered,
            matched,
            ..
        } = self;
        let reached = [self.certain, self.trees, self.with_tables, self.closed];
        assert!(
            !reached.contains(&0),
            "what may be certain, a tree, tables, a closed leaf"
        );
        assert!(
            left_to_the_rules * 3 < *looks * 2 && *left_to_the_rules > 0,
            "{left_to_the_rules} of {looks}"
        );
        assert!(
            offered < &(2 * matched) && offered * 2 < *rules,
            "{offered} of {rules}, where {matched} may match"
        );
    }
}
