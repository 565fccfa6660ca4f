//! Seeded pseudo-randomness: jitter, boundaries. Never a secret.

/// SplitMix64: every seed gives its own sequence, the same in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number up to and including `most`.
    pub(crate) fn up_to(&mut self, most: u64) -> u64 {
        let wide = u128::from(self.next()).saturating_mul(u128::from(most).saturating_add(1));
        // The upper half of a product of two numbers below 2^64 and at most 2^64 is at most `most`.
        u64::try_from(wide >> 64).unwrap_or(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one_and_stays_in_range() {
        let mut random = SplitMix64::new(1_234_567);
        let first = [random.next(), random.next(), random.next()];
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
        for most in [0, 1, 9, u64::MAX] {
            assert!((0..100).all(|_| random.up_to(most) <= most));
        }
        assert!((0..1000).any(|_| random.up_to(9) == 9) && (0..1000).any(|_| random.up_to(9) == 0));
    }
}
