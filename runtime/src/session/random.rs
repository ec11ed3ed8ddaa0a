//! Random numbers from an injected seed: unguessable if the seed is, repeatable if the seed is
//! known.

use sha2::{Digest, Sha256};

/// A generator in counter mode over SHA-256. Whoever sees its numbers can't tell the next one
/// without the seed, which is what resume tokens and lease ids need; a simulator that knows the
/// seed gets the same numbers again.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Random {
    seed: [u8; 32],
    counter: u64,
}

impl Random {
    /// Starts from a seed; production drivers take it from the operating system.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.counter.to_le_bytes());
        self.counter += 1;
        hash.finalize().into()
    }

    /// 128 random bits.
    pub fn u128(&mut self) -> u128 {
        let block = self.block();
        let mut half = [0; 16];
        half.copy_from_slice(&block[..16]);
        u128::from_le_bytes(half)
    }

    /// 64 random bits.
    pub fn u64(&mut self) -> u64 {
        // Truncation is the point.
        self.u128() as u64
    }

    /// A number from 0 to `bound`, both included.
    pub fn up_to(&mut self, bound: u64) -> u64 {
        match bound.checked_add(1) {
            // The bias of a remainder over 128 bits is far below anything a delay could show.
            Some(count) => (self.u128() % u128::from(count)) as u64,
            None => self.u64(),
        }
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Random(#{})", self.counter)
    }
}
