//! Randomness that a seed decides, so that the same run gives the same bytes.

use std::cell::Cell;

/// SplitMix64: passes BigCrush, has one word of state, and any seed will do.
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A stream of its own, for the one of this name and number among all that hang on the seed: who draws from it changes no other's draws.
    /// The name is not empty.
    pub fn named(seed: u64, name: &str, number: u64) -> Self {
        let of_name = name
            .bytes()
            .fold(seed, |state, byte| Self::new(state ^ u64::from(byte)).next_u64());
        Self::new(Self::new(of_name ^ number).next_u64())
    }

    /// Draws from what several hold at the same time.
    pub fn in_place<T>(cell: &Cell<Self>, draw: impl FnOnce(&mut Self) -> T) -> T {
        let mut random = cell.replace(Self { state: 0 });
        let drawn = draw(&mut random);
        cell.set(random);
        drawn
    }

    /// The next number of the stream, uniform over all 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The upper half of the next number.
    pub fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// The upper quarter of the next number.
    pub fn next_u16(&mut self) -> u16 {
        (self.next_u64() >> 48) as u16
    }

    /// Uniform in `0..bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    /// True once in `n` times; always for 0 and 1.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    /// `n` times of a hundred.
    pub fn percent(&mut self, n: u32) -> bool {
        self.below(100) < n
    }

    /// One of these, of which there must be some.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (random.next_u64(), random.next_u32(), random.below(10))
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let mut random = Random::new(1);
        assert!((0..1000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
    }

    /// SplitMix64's, as other implementations give them for this seed.
    #[test]
    fn the_numbers_are_known() {
        let mut random = Random::new(1_234_567);
        let numbers: Vec<u64> = (0..5).map(|_| random.next_u64()).collect();
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
        let mut random = Random::new(1_234_567);
        assert_eq!(u64::from(random.next_u32()), numbers[0] >> 32);
        assert_eq!(u64::from(random.next_u16()), numbers[1] >> 48);
        assert_eq!(u64::from(random.below(1000)), ((numbers[2] >> 32) * 1000) >> 32);
    }

    #[test]
    fn each_number_below_a_bound_is_as_likely() {
        let mut random = Random::new(3);
        let mut seen = [0; 4];
        (0..4000).for_each(|_| seen[random.below(4) as usize] += 1);
        assert!(seen.iter().all(|count| (900..1100).contains(count)), "{seen:?}");
        for (percent, expected) in [(0, 0..1), (30, 260..340), (100, 1000..1001)] {
            let hits = (0..1000).filter(|_| random.percent(percent)).count();
            assert!(expected.contains(&hits), "{hits} at {percent}");
        }
        let one_in_ten = (0..1000).filter(|_| random.one_in(10)).count();
        assert!((70..130).contains(&one_in_ten), "{one_in_ten}");
    }

    #[test]
    fn each_name_and_number_has_a_stream_of_its_own() {
        let first = |seed, name, number| Random::named(seed, name, number).next_u64();
        for seed in 0..10 {
            let mut seen = std::collections::HashSet::new();
            for name in ["a", "b", "ab", "ba"] {
                for number in 0..10 {
                    assert_eq!(first(seed, name, number), first(seed, name, number));
                    assert!(seen.insert(first(seed, name, number)), "{seed} {name} {number}");
                }
            }
        }
    }
}
