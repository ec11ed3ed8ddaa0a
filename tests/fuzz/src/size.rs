//! How much a core holds: the bytes that hashing its state goes over. The state is `Hash` to the
//! last field, so nothing that is kept escapes this count, and it needs no allocator of its own.

use std::hash::{Hash, Hasher};

struct Count(u64);

impl Hasher for Count {
    fn write(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Bytes of everything that `state` holds.
pub(crate) fn size(state: &impl Hash) -> u64 {
    let mut count = Count(0);
    state.hash(&mut count);
    count.finish()
}
