//! How many bytes of replies leases may keep: each, all of one principal, and all in all. What
//! shrinks is answered with "unknown" (PROTOCOL.md 5.7); no record goes for it.

use std::ops::Bound;

use super::leases::Leases;
use super::limits::MemoryLimits;
use crate::session::store::PrincipalId;
use crate::wire::{CommandNo, LeaseId};

impl Leases {
    /// Gives each lease of a principal the same share of what the principal may keep, when one has
    /// come or gone. So a commit has to look at its own lease only.
    pub(super) fn share_out(&mut self, principal: &PrincipalId, limits: &MemoryLimits) {
        let theirs: Vec<LeaseId> = self.of(principal).collect();
        let share = limits.principal_bytes / theirs.len().max(1) as u64;
        for id in theirs {
            let Some(lease) = self.leases.get_mut(&id) else { continue };
            let before = lease.records.bytes();
            lease.share = share;
            let (limit, highest) = (share.min(limits.lease_bytes), lease.records.highest());
            lease.records.shrink_replies(limit, highest, share);
            self.reply_bytes -= before - lease.records.bytes();
        }
    }

    /// Takes the replies of the next lease that has some. Each lease that is looked at has had
    /// commits for it, so this costs O(1) per commit over time.
    pub(super) fn take_next_replies(&mut self) {
        if self.reply_bytes == 0 {
            return;
        }
        let after = (self.hand.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let mut next = self.leases.range_mut(after).find(|(_, lease)| lease.records.bytes() > 0);
        if next.is_none() {
            next = self.leases.iter_mut().find(|(_, lease)| lease.records.bytes() > 0);
        }
        let Some((id, lease)) = next else {
            debug_assert!(false, "bytes are some lease's");
            return;
        };
        self.hand = Some(*id);
        self.reply_bytes -= lease.records.bytes();
        lease.records.shrink_replies(0, CommandNo::ZERO, 0);
    }
}
