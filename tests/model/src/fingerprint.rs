//! When two states are the same. This is the one abstraction of the model: random ids count by
//! where they occur, not by their value.
//!
//! The cores draw session ids, resume tokens, lease ids and instance ids from generators that move
//! with every draw. Two orders of the same events therefore end in states that differ in nothing
//! but the values of ids, and in how far the generators are. Here each id is named by its first
//! occurrence in the state, in the order in which the state is walked, and generators are passed
//! over: no two have the same seed, so whatever they give next is new in either state. Processes
//! are named in the same way. Equal fingerprints then mean that a renaming of ids makes the two
//! states the same one.
//!
//! That is sound because the cores do nothing with these ids but compare them for equality and keep
//! them in ordered maps: states that are equal up to a renaming have successors that are equal up
//! to a renaming. Draws for anything else than an id would break this; in every configuration their
//! bound is 0 ([`crate::settings::Settings::client`]), so that each of them gives 0. Which of two
//! ids is the smaller one is explored for one seed only, in both cases. Two walks of a map agree
//! only if its ids are in the same order in both, so a state may be explored several times over,
//! but never is one left out; how often depends on which came first, so the number of states varies
//! a little from run to run.

use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::xxh3_64;

/// Every seed begins with this, so that the walk knows a generator when it meets one.
const MARK: [u8; 24] = *b"steadfast-model seed ...";

/// The seed of a process.
#[must_use]
pub fn seed(process: u64) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..24].copy_from_slice(&MARK);
    seed[24..].copy_from_slice(&process.to_le_bytes());
    seed
}

/// The fingerprint of something that contains random ids.
#[must_use]
pub fn of(state: &impl Hash) -> u64 {
    let mut walk =
        Walk { bytes: Vec::with_capacity(16 * 1024), ids: Vec::new(), counter_is_next: false };
    state.hash(&mut walk);
    walk.finish()
}

/// Writes down what is hashed, with ids renamed.
struct Walk {
    bytes: Vec<u8>,
    ids: Vec<u128>,
    counter_is_next: bool,
}

impl Hasher for Walk {
    fn finish(&self) -> u64 {
        xxh3_64(&self.bytes)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.counter_is_next = bytes.len() == 32 && bytes.starts_with(&MARK);
        if !self.counter_is_next {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn write_u64(&mut self, number: u64) {
        if !std::mem::take(&mut self.counter_is_next) {
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn write_u128(&mut self, id: u128) {
        let known = self.ids.iter().position(|known| *known == id);
        let place = known.unwrap_or_else(|| {
            self.ids.push(id);
            self.ids.len() - 1
        });
        // A tag keeps a renamed id from being taken for a short number.
        self.bytes.extend_from_slice(&[0xfe, 0x1d]);
        self.bytes.extend_from_slice(&(place as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast::session::Random;

    #[test]
    fn ids_count_by_where_they_occur() {
        assert_eq!(of(&(7_u128, 9_u128, 7_u128)), of(&(3_u128, 4_u128, 3_u128)));
        assert_ne!(of(&(7_u128, 9_u128, 7_u128)), of(&(7_u128, 9_u128, 9_u128)));
    }

    #[test]
    fn generators_do_not_count() {
        let fresh = Random::new(seed(1));
        let mut used = fresh.clone();
        used.u128();
        assert_ne!(fresh, used);
        assert_eq!(of(&fresh), of(&used));
        assert_eq!(of(&fresh), of(&Random::new(seed(2))));
    }

    #[test]
    fn numbers_after_a_generator_count() {
        let random = Random::new(seed(1));
        assert_ne!(of(&(random.clone(), 1_u64)), of(&(random, 2_u64)));
    }
}
