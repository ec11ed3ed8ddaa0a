//! The one source of chance of a run: SplitMix64 from the run's seed. No other is used.

/// A small seeded generator; good enough to choose faults, useless for secrets.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// Starts from a seed; neighbouring seeds give unrelated runs.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed ^ 0x5deb_cafe_0b57_ac1e)
    }

    /// 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        let drawn = self.next_u64();
        if bound == 0 { 0 } else { drawn % bound }
    }

    /// A number from `range`, both ends included.
    pub const fn within(&mut self, range: (u64, u64)) -> u64 {
        range.0 + self.below(range.1 - range.0 + 1)
    }

    /// True in `per_mille` of 1000 cases.
    pub const fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < per_mille as u64
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// An index, with these weights.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut left = self.below(weights.iter().map(|&weight| u64::from(weight)).sum());
        for (at, &weight) in weights.iter().enumerate() {
            if left < u64::from(weight) {
                return at;
            }
            left -= u64::from(weight);
        }
        0
    }

    /// A seed for a core.
    pub const fn seed32(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        let mut at = 0;
        while at < 32 {
            seed[at] = self.next_u64() as u8;
            at += 1;
        }
        seed
    }
}
