//! Which bits tell the rules of a piece apart best, for what it costs in rules that stand in several pieces then.

use super::asked::Filter;

/// Some bits side by side of one of a packet's three words: those by which a piece is cut, into as many pieces as they have values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Above six bits of how far up.
    place: u8,
    bits: u8,
}

impl Default for Cut {
    fn default() -> Self {
        Self::NONE
    }
}

impl Cut {
    /// Of what is not cut.
    pub(super) const NONE: Self = Self { place: 0, bits: 0 };
    /// The same, where nothing is to be looked for behind the last rule.
    pub(super) const CLOSED: Self = Self { place: 1, bits: 0 };

    fn new(word: usize, up: u32, bits: u32) -> Self {
        Self {
            place: (word as u8) << 6 | up as u8,
            bits: bits as u8,
        }
    }

    #[inline]
    pub(super) fn is_none(self) -> bool {
        self.bits == 0
    }

    #[inline]
    pub(super) fn word(self) -> usize {
        usize::from(self.place >> 6)
    }

    #[inline]
    pub(super) fn up(self) -> u32 {
        u32::from(self.place & 63)
    }

    pub(super) fn pieces(self) -> usize {
        1 << self.bits
    }

    /// The bits, where they stand.
    pub(super) fn bits(self) -> u64 {
        (self.pieces() as u64 - 1) << self.up()
    }

    /// The piece that a packet lies in.
    #[inline]
    pub(super) fn of(self, words: &[u64; 4]) -> usize {
        (words[self.word()] >> self.up()) as usize & ((1 << (self.bits & 15)) - 1)
    }
}

/// Bits of one field, or half a field, of which the best are tried.
struct Zone {
    word: usize,
    /// Where what is cut may begin.
    low: u32,
    high: u32,
    /// And where it must end.
    end: u32,
}

const fn zone(word: usize, low: u32, high: u32, end: u32) -> Zone {
    Zone { word, low, high, end }
}

/// Addresses by halves; states, flags and protocol, names; ports.
const ZONES: [Zone; 10] = [
    zone(0, 48, 64, 64),
    zone(0, 32, 48, 64),
    zone(0, 16, 32, 32),
    zone(0, 0, 16, 32),
    zone(1, 8, 16, 16),
    zone(1, 16, 32, 32),
    zone(1, 32, 48, 48),
    zone(1, 48, 64, 64),
    zone(2, 16, 32, 32),
    zone(2, 0, 16, 16),
];

/// So many rules stand for all: half of them the first, since they are asked first.
const SAMPLE: usize = 512;
/// For the first look at each bit.
const SOME: usize = 64;
/// As many pieces as one cut may make.
const WIDEST: u32 = 12;
/// What a rule in twice as many places weighs against half as many rules in one.
const PRICE: f32 = 0.4;
/// A packet lies in a piece that has rules more often than elsewhere.
const OF_RULES: f32 = 0.7;
/// What leaves more than this of the rules together is not worth a step.
const TOO_MUCH: f32 = 0.93;

/// Memory for choosing, used again and again.
#[derive(Default)]
pub(super) struct Choosing {
    some: Vec<Filter>,
    counts: Vec<u32>,
}

impl Choosing {
    /// For a piece in which these bits are known. `None` where no cut pays, or all take more room.
    pub(super) fn choose(&mut self, filters: &[Filter], rules: &[u32], known: &[u64; 3], room: f64) -> Option<Cut> {
        self.sample(filters, rules);
        let worth = self.worth_of_bits(known);
        let most = (rules.len() / 3).ilog2().clamp(1, WIDEST);
        let mut best: Option<(f32, Cut)> = None;
        for zone in &ZONES {
            let mut tried = 0;
            for less in [0, 2, 4, 7] {
                let bits = most.saturating_sub(less).max(1);
                if bits == tried {
                    break;
                }
                tried = bits;
                let Some(cut) = zone.best(&worth, bits) else {
                    continue;
                };
                if let Some(gain) = self.gain(cut, rules.len(), room)
                    && best.is_none_or(|(most, _)| gain > most)
                {
                    best = Some((gain, cut));
                }
            }
        }
        best.map(|(_, cut)| cut)
    }

    fn sample(&mut self, filters: &[Filter], rules: &[u32]) {
        let of = |rule: &u32| filters[*rule as usize];
        self.some.clear();
        if rules.len() <= SAMPLE {
            self.some.extend(rules.iter().map(of));
        } else {
            let (first, others) = rules.split_at(SAMPLE / 2);
            let step = others.len().div_ceil(SAMPLE / 2);
            self.some
                .extend(first.iter().chain(others.iter().step_by(step)).map(of));
        }
    }

    /// How much each bit alone would tell apart, less what it would cost.
    fn worth_of_bits(&self, known: &[u64; 3]) -> [[f32; 64]; 3] {
        let step = self.some.len().div_ceil(SOME);
        let mut asked = [Columns::default(); 3];
        let mut ones = [Columns::default(); 3];
        let mut rules = 0;
        for filter in self.some.iter().step_by(step) {
            rules += 1;
            for (word, (value, mask)) in filter.bits().into_iter().enumerate() {
                asked[word].add(mask);
                ones[word].add(value & mask);
            }
        }
        let all = rules as f32;
        let worth = |word: usize, bit: u32| {
            let (asked, ones) = (asked[word].of(bit), ones[word].of(bit));
            if asked == 0.0 || known[word] >> bit & 1 != 0 {
                return 0.0;
            }
            let wild = all - asked;
            let (one, other) = (ones + wild, asked - ones + wild);
            let together = (one * one + other * other) / ((one + other) * all);
            let anywhere = (one + other) / (2.0 * all);
            1.0 - left(together, anywhere) - PRICE * wild / all
        };
        std::array::from_fn(|word| std::array::from_fn(|bit| worth(word, bit as u32)))
    }

    /// How many fewer rules are left together, as a logarithm, less what that costs.
    fn gain(&mut self, cut: Cut, rules: usize, room: f64) -> Option<f32> {
        let pieces = cut.pieces();
        self.counts.clear();
        self.counts.resize(pieces, 0);
        let counts = &mut self.counts;
        let (some, all) = (self.some.len() as f32, rules as f32);
        // What is in all pieces takes long to count, and no room has it.
        let most = some * (1.0 + room as f32 / all);
        let mut sum = 0_u32;
        for filter in &self.some {
            filter.pieces(cut, |piece| {
                counts[piece] += 1;
                sum += 1;
            });
            if sum as f32 > most {
                return None;
            }
        }
        let squares: u64 = counts.iter().map(|count| u64::from(*count).pow(2)).sum();
        let sum = sum as f32;
        // Of two rules that were drawn, how often both are left together.
        let together = (squares as f32 - sum) / (sum * (some - 1.0));
        let anywhere = sum / (pieces as f32 * some);
        let left = left(together, anywhere) + 1.0 / all;
        let more = (sum / some - 1.0) * all + 2.0 * pieces as f32;
        if f64::from(more) > room || left > TOO_MUCH {
            return None;
        }
        Some(-left.ln() - PRICE * (1.0 + more / all).ln())
    }
}

/// How many rules a packet may match still, of one drawn inside of a rule and one drawn anywhere.
fn left(together: f32, anywhere: f32) -> f32 {
    OF_RULES * together + (1.0 - OF_RULES) * anywhere
}

impl Zone {
    /// So many bits that are worth most, if they are worth anything.
    fn best(&self, worth: &[[f32; 64]; 3], bits: u32) -> Option<Cut> {
        let worth = &worth[self.word];
        let starts = self.low..self.high.min((self.end + 1).saturating_sub(bits));
        let sum = |low: u32| worth[low as usize..(low + bits) as usize].iter().sum::<f32>();
        let (best, low) = starts
            .map(|low| (sum(low), low))
            .max_by(|one, other| one.0.total_cmp(&other.0))?;
        (best > 0.0).then(|| Cut::new(self.word, low, bits))
    }
}

/// Counts how often each of 64 bits is set, up to 127 times: the counts' bits lie beside each other.
#[derive(Clone, Copy, Default)]
struct Columns([u64; 7]);

impl Columns {
    fn add(&mut self, mut bits: u64) {
        for column in &mut self.0 {
            if bits == 0 {
                return;
            }
            let carried = *column & bits;
            *column ^= bits;
            bits = carried;
        }
    }

    fn of(&self, bit: u32) -> f32 {
        let columns = self.0.iter().enumerate();
        columns
            .map(|(power, column)| ((column >> bit & 1) as u32) << power)
            .sum::<u32>() as f32
    }
}
