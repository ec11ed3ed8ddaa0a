//! What principals have: their leases with the records, and their ids. All of a principal lies in
//! one shard; which one is not said here.

use super::bytes::Sums;
use super::ids::Ids;
use super::leases::Leases;
use super::limits::MemoryLimits;
use crate::session::Now;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct People {
    pub(super) leases: Leases,
    pub(super) ids: Ids,
}

impl People {
    /// Lets go of what has expired.
    pub(super) fn expire(&mut self, now: Now, limits: &MemoryLimits) {
        self.leases.expire(now, limits);
        self.ids.expire(now);
    }

    pub(super) fn sums(&self) -> Sums {
        Sums {
            leases: self.leases.leases.len() as u64,
            replies: self.leases.reply_bytes,
            owed: self.leases.owed_bytes,
            ids: self.ids.len() as u64,
            id_bytes: self.ids.bytes,
            ..Sums::default()
        }
    }
}
