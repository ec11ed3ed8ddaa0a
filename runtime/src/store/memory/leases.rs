//! Leases and their records (PROTOCOL.md 1.3, 5.4, 5.6). A record goes when the low-water mark
//! passes it or its lease ends, but never before it is settled: what a command published is owed,
//! whatever its client has seen since. How many bytes all of them may take is not decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::bytes::fitting;
use super::limits::MemoryLimits;
use super::records::Records;
use crate::session::Now;
use crate::session::store::{
    Claim, CommitOutcome, Generation, Holder, PrincipalId, Publication, Record, StoreOutcome,
    StoreTime,
};
use crate::wire::{Codec, CommandNo, LeaseId};

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Leases {
    /// Of the store: what was seen in another one says nothing.
    pub(super) incarnation: u64,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    /// Leases that live. One set for all principals, because most have one lease.
    by_principal: BTreeSet<(PrincipalId, LeaseId)>,
    /// One entry per lease, at or before the time when it expires.
    due: BTreeSet<(Now, LeaseId)>,
    /// When each was written.
    unsettled: BTreeMap<(LeaseId, CommandNo), Now>,
    /// Leases that were let go, by the time at which this happened.
    loose: BTreeSet<(Now, LeaseId)>,
    /// Bytes of replies, in all leases.
    pub(super) reply_bytes: u64,
    /// Bytes of publications that are not in their logs.
    pub(super) owed_bytes: u64,
    /// The lease that lost its replies last, when there were too many in all.
    pub(super) hand: Option<LeaseId>,
    /// Records whose publications nobody will bring into their logs again.
    done_with: Vec<DoneWith>,
    /// Leases that are not here any more.
    gone: Vec<LeaseId>,
}

/// A record that is settled or gone, and what it published.
pub(super) type DoneWith = (LeaseId, CommandNo, Vec<Publication>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    claim: Claim,
    principal: PrincipalId,
    codec: Codec,
    low: CommandNo,
    pub(super) records: Records,
    /// What it may keep of the bytes of its principal.
    pub(super) share: u64,
    contact: Now,
    /// When it was let go, if nobody holds it.
    loose: Option<Now>,
    ttl_ms: u64,
    unused_ttl_ms: u64,
    ran: bool,
    /// Set once it is gone for everybody except those who settle its records, who have until then.
    ended: Option<Now>,
    /// Its entry in `Leases::due`.
    due: Now,
}

impl Lease {
    pub(super) fn new(
        now: Now,
        holder: Holder,
        principal: PrincipalId,
        codec: Codec,
        (ttl_ms, unused_ttl_ms): (u64, u64),
    ) -> Self {
        let due = now.after_ms(unused_ttl_ms);
        let (low, records) = (CommandNo(1), Records::default());
        Self {
            claim: Claim { generation: Generation(1), holder },
            principal,
            codec,
            low,
            records,
            share: 0,
            contact: now,
            loose: None,
            ttl_ms,
            unused_ttl_ms,
            ran: false,
            ended: None,
            due,
        }
    }

    fn until(&self) -> Now {
        let ttl_ms = if self.ran { self.ttl_ms } else { self.unused_ttl_ms };
        self.ended.unwrap_or_else(|| self.contact.after_ms(ttl_ms))
    }

    fn lives(&self) -> bool {
        self.ended.is_none()
    }

    fn stands(&self, at: StoreTime, records: Vec<(CommandNo, Record)>) -> StoreOutcome {
        StoreOutcome::Lease { at, low: self.low, claim: self.claim, records }
    }
}

impl Leases {
    pub(super) const fn time(&self, now: Now) -> StoreTime {
        StoreTime { incarnation: self.incarnation, ms: now.0 }
    }

    pub(super) fn has_live(&self, id: LeaseId) -> bool {
        self.leases.get(&id).is_some_and(Lease::lives)
    }

    fn live(&mut self, id: LeaseId) -> Option<&mut Lease> {
        self.leases.get_mut(&id).filter(|lease| lease.lives())
    }

    /// What a lease is answered that is asked for and is there already.
    pub(super) fn as_known(&self, now: Now, id: LeaseId, lease: &Lease) -> Option<StoreOutcome> {
        let known = self.leases.get(&id)?;
        // The same request again: its first answer was lost.
        let same = known.principal == lease.principal && known.codec == lease.codec;
        Some(match known.lives() && same {
            true => known.stands(self.time(now), Vec::new()),
            false => StoreOutcome::LeaseGone,
        })
    }

    /// What a lease that is asked for is answered, if there is no room for it. Others of its
    /// principal make room.
    pub(super) fn before_open(
        &mut self,
        now: Now,
        lease: &Lease,
        (max, held_ms): (u32, u64),
        limits: &MemoryLimits,
    ) -> Option<StoreOutcome> {
        while self.of(&lease.principal).count() >= max as usize {
            let Some(oldest) = self.free(now, &lease.principal, held_ms) else {
                return Some(StoreOutcome::TooManyLeases);
            };
            self.end(now, oldest, limits);
        }
        None
    }

    /// Issues a lease.
    pub(super) fn open(
        &mut self,
        now: Now,
        id: LeaseId,
        lease: Lease,
        limits: &MemoryLimits,
    ) -> StoreOutcome {
        let opened = lease.stands(self.time(now), Vec::new());
        let principal = lease.principal.clone();
        self.by_principal.insert((principal.clone(), id));
        self.due.insert((lease.due, id));
        self.leases.insert(id, lease);
        self.share_out(&principal, limits);
        opened
    }

    pub(super) fn knows(&self, id: LeaseId) -> bool {
        self.leases.contains_key(&id)
    }

    /// The lease that was let go first.
    pub(super) fn first_loose(&self) -> Option<(Now, LeaseId)> {
        self.loose.first().copied()
    }

    /// Ends a lease if nobody has claimed it since it was let go. `false` if what it owes stays and
    /// takes its place.
    pub(super) fn end_loose(
        &mut self,
        now: Now,
        (since, id): (Now, LeaseId),
        limits: &MemoryLimits,
    ) -> bool {
        if !self.loose.contains(&(since, id)) {
            return true;
        }
        self.end(now, id, limits);
        !self.knows(id)
    }

    /// The leases of a principal.
    pub(super) fn of(&self, principal: &PrincipalId) -> impl Iterator<Item = LeaseId> + Clone {
        let first = (principal.clone(), LeaseId(0));
        let theirs = self.by_principal.range(first..);
        theirs.take_while(move |(other, _)| other == principal).map(|(_, id)| *id)
    }

    /// The lease of a principal that makes room first, if there is one that nobody holds.
    fn free(&self, now: Now, principal: &PrincipalId, held_ms: u64) -> Option<LeaseId> {
        let theirs = || self.of(principal).filter_map(|id| Some((id, self.leases.get(&id)?)));
        let loose = theirs().filter_map(|(id, lease)| Some((lease.loose?, id))).min();
        let forgotten = || {
            let (contact, id) = theirs().map(|(id, lease)| (lease.contact, id)).min()?;
            (now.since(contact) > held_ms).then_some((contact, id))
        };
        loose.or_else(forgotten).map(|(_, id)| id)
    }

    /// Somebody holds a lease, or nobody any more.
    fn hold(&mut self, now: Now, id: LeaseId, held: bool) {
        let Some(lease) = self.leases.get_mut(&id).filter(|lease| lease.lives()) else { return };
        match (lease.loose, held) {
            (Some(since), true) => {
                lease.loose = None;
                self.loose.remove(&(since, id));
            }
            (None, false) => {
                lease.loose = Some(now);
                self.loose.insert((now, id));
            }
            (Some(_), false) | (None, true) => {}
        }
    }

    pub(super) fn claim(
        &mut self,
        now: Now,
        id: LeaseId,
        holder: Holder,
        (principal, codec): (&PrincipalId, Codec),
        low: CommandNo,
    ) -> StoreOutcome {
        let live = self.live(id);
        if !live.is_some_and(|lease| lease.principal == *principal && lease.codec == codec) {
            return StoreOutcome::LeaseGone;
        }
        self.hold(now, id, true);
        let at = self.time(now);
        match self.contact(now, id, low) {
            Some(lease) => {
                if lease.claim.holder != holder {
                    let generation = Generation(lease.claim.generation.0 + 1);
                    lease.claim = Claim { generation, holder };
                }
                // Those below the mark are not settled, and whoever takes over owes their
                // publications.
                lease.stands(at, lease.records.iter().cloned().collect())
            }
            None => StoreOutcome::LeaseGone,
        }
    }

    pub(super) fn renew(
        &mut self,
        now: Now,
        id: LeaseId,
        generation: Generation,
        held: bool,
        low: CommandNo,
    ) -> StoreOutcome {
        let at = self.time(now);
        let Some(lease) = self.live(id) else { return StoreOutcome::LeaseGone };
        if generation < lease.claim.generation {
            return lease.stands(at, Vec::new());
        }
        self.hold(now, id, held);
        let Some(lease) = self.contact(now, id, low) else { return StoreOutcome::LeaseGone };
        lease.records.shrink();
        lease.stands(at, Vec::new())
    }

    /// Counts as contact, and forgets what `low` passes. `None` if there is no such lease.
    fn contact(&mut self, now: Now, id: LeaseId, low: CommandNo) -> Option<&mut Lease> {
        let lease = self.leases.get_mut(&id).filter(|lease| lease.lives())?;
        lease.contact = lease.contact.max(now);
        if low > lease.low {
            lease.low = low;
            let before = lease.records.bytes();
            lease.records.resolve(low);
            self.reply_bytes -= before - lease.records.bytes();
        }
        Some(lease)
    }

    /// Ends every lease.
    pub(super) fn end_all(&mut self, now: Now, limits: &MemoryLimits) {
        let all: Vec<LeaseId> = self.leases.keys().copied().collect();
        all.into_iter().for_each(|id| self.end(now, id, limits));
    }

    /// Ends the leases of a principal, and keeps no reply of them; how many.
    pub(super) fn end_all_of(
        &mut self,
        now: Now,
        principal: &PrincipalId,
        limits: &MemoryLimits,
    ) -> u64 {
        let theirs: Vec<LeaseId> = self.of(principal).collect();
        for id in &theirs {
            self.end(now, *id, limits);
            if let Some(lease) = self.leases.get_mut(id) {
                self.reply_bytes -= lease.records.bytes();
                lease.records.shrink_replies(0, CommandNo::ZERO, 0);
            }
        }
        theirs.len() as u64
    }

    /// Ends a lease: only its unsettled records stay, for as long as [`MemoryLimits::owed`].
    pub(super) fn end(&mut self, now: Now, id: LeaseId, limits: &MemoryLimits) {
        let Some(lease) = self.leases.get_mut(&id).filter(|lease| lease.lives()) else { return };
        lease.ended = Some(now.after(limits.owed));
        if let Some(since) = lease.loose.take() {
            self.loose.remove(&(since, id));
        }
        let principal = lease.principal.clone();
        self.by_principal.remove(&(principal.clone(), id));
        let before = lease.records.bytes();
        lease.records.resolve_all();
        self.reply_bytes -= before - lease.records.bytes();
        if lease.records.is_empty() {
            self.remove(id);
        } else {
            self.reschedule(id);
        }
        self.share_out(&principal, limits);
    }

    fn remove(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.remove(&id) else { return };
        self.gone.push(id);
        self.due.remove(&(lease.due, id));
        self.reply_bytes -= lease.records.bytes();
        for (n, record) in lease.records.iter() {
            if !record.settled {
                self.unsettled.remove(&(id, *n));
                self.is_done_with(id, *n, record.publishes.clone());
            }
        }
    }

    fn reschedule(&mut self, id: LeaseId) {
        if let Some(lease) = self.leases.get_mut(&id) {
            self.due.remove(&(lease.due, id));
            lease.due = lease.until();
            self.due.insert((lease.due, id));
        }
    }

    /// A commit counts as contact. The latest claim; `None` if there is no such lease.
    pub(super) fn begin_commit(&mut self, now: Now, id: LeaseId, low: CommandNo) -> Option<Claim> {
        let lease = self.contact(now, id, low)?;
        let claim = lease.claim;
        if !std::mem::replace(&mut lease.ran, true) {
            self.reschedule(id);
        }
        Some(claim)
    }

    /// What keeps a record from being written (PROTOCOL.md 5.6).
    pub(super) fn obstacle(&self, id: LeaseId, n: CommandNo) -> Option<CommitOutcome> {
        let lease = self.leases.get(&id)?;
        if n < lease.low {
            return Some(CommitOutcome::BelowLow);
        }
        lease.records.get(n).map(|record| CommitOutcome::Exists(Box::new(record.clone())))
    }

    pub(super) fn write(
        &mut self,
        now: Now,
        id: LeaseId,
        n: CommandNo,
        mut record: Record,
        limits: &MemoryLimits,
    ) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        if record.settled {
            record.publishes = Vec::new();
        } else {
            self.unsettled.insert((id, n), now);
            self.owed_bytes += Publication::owed_bytes(&record.publishes);
        }
        let (before, share) = (lease.records.bytes(), lease.share);
        lease.records.insert(n, record);
        lease.records.shrink_replies(share.min(limits.lease_bytes), n, share);
        self.reply_bytes = self.reply_bytes - before + lease.records.bytes();
    }

    pub(super) fn settle(&mut self, id: LeaseId, n: CommandNo) {
        // Somebody else may have settled it, and then it, or its lease, may have gone.
        if self.unsettled.remove(&(id, n)).is_none() {
            return;
        }
        let Some(lease) = self.leases.get_mut(&id) else {
            debug_assert!(false, "what is unsettled has a lease");
            return;
        };
        let Some(record) = lease.records.get_mut(n) else {
            debug_assert!(false, "what is unsettled is a record");
            return;
        };
        record.settled = true;
        let publishes = std::mem::take(&mut record.publishes);
        if n < lease.low || !lease.lives() {
            let before = lease.records.bytes();
            lease.records.remove(n);
            self.reply_bytes -= before - lease.records.bytes();
        }
        let left = lease.lives() || !lease.records.is_empty();
        self.is_done_with(id, n, publishes);
        if !left {
            self.remove(id);
        }
    }

    fn is_done_with(&mut self, id: LeaseId, n: CommandNo, publishes: Vec<Publication>) {
        self.owed_bytes -= Publication::owed_bytes(&publishes);
        self.done_with.push((id, n, publishes));
    }

    pub(super) fn owes(&self, id: LeaseId, n: CommandNo) -> bool {
        self.unsettled.contains_key(&(id, n))
    }

    /// Whether a lower record of the lease is not settled: what is appended for `n` would overtake
    /// it.
    pub(super) fn owes_below(&self, id: LeaseId, n: CommandNo) -> bool {
        self.unsettled.range((id, CommandNo::ZERO)..(id, n)).next().is_some()
    }

    /// A page of the records that are not settled.
    pub(super) fn unsettled(
        &self,
        now: Now,
        (max, max_bytes): (u32, u64),
        after: Option<(LeaseId, CommandNo)>,
        older_than_ms: u64,
    ) -> Vec<(LeaseId, CommandNo, Record)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = self.unsettled.range((from, Bound::Unbounded));
        let old = page.filter(|(_, written)| now.since(**written) >= older_than_ms);
        let records =
            old.filter_map(|((id, n), _)| Some((*id, *n, self.leases.get(id)?.records.get(*n)?)));
        let bytes = records.clone().map(|(.., record)| record.publish_bytes());
        let fit = fitting(bytes, max, max_bytes);
        // The first one that doesn't fit says where a page of several shards must end.
        records.take(fit + 1).map(|(id, n, record)| (id, n, record.owed())).collect()
    }

    /// Ends what has expired. Looks only at leases whose time may have come.
    pub(super) fn expire(&mut self, now: Now, limits: &MemoryLimits) {
        while let Some(&(at, id)) = self.due.first()
            && at <= now
        {
            match self.leases.get(&id) {
                Some(lease) if lease.until() > now => self.reschedule(id),
                Some(lease) if lease.lives() => self.end(now, id, limits),
                Some(_) => self.remove(id),
                None => {
                    self.due.pop_first();
                }
            }
        }
    }

    /// Records whose publications nobody will append again.
    pub(super) fn take_done_with(&mut self) -> Vec<DoneWith> {
        std::mem::take(&mut self.done_with)
    }

    /// Leases that have gone.
    pub(super) fn take_gone(&mut self) -> Vec<LeaseId> {
        std::mem::take(&mut self.gone)
    }
}
