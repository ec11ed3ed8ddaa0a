//! Leases and their records (PROTOCOL.md 1.3, 5.4, 5.6). A record goes when the low-water mark
//! passes it or its lease ends, but never before it is settled: what a command published is owed,
//! whatever its client has seen since.

use std::collections::{BTreeMap, BTreeSet};

use super::limits::MemoryLimits;
use super::records::Records;
use crate::session::Now;
use crate::session::store::{CommitOutcome, PrincipalId, Record, StoreOutcome};
use crate::wire::{Codec, CommandNo, LeaseId};

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Leases {
    leases: BTreeMap<LeaseId, Lease>,
    /// Leases that live. One set for all principals, because most have one lease.
    by_principal: BTreeSet<(PrincipalId, LeaseId)>,
    /// One entry per lease, at or before the time when it expires.
    due: BTreeSet<(Now, LeaseId)>,
    unsettled: BTreeSet<(LeaseId, CommandNo)>,
    /// Records let go by the operation under way.
    forgotten: Vec<(LeaseId, CommandNo, Record)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    principal: PrincipalId,
    codec: Codec,
    low: CommandNo,
    records: Records,
    contact: Now,
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
        principal: PrincipalId,
        codec: Codec,
        ttl_ms: u64,
        unused_ttl_ms: u64,
    ) -> Self {
        let due = now.after_ms(unused_ttl_ms);
        let (low, records) = (CommandNo(1), Records::default());
        Self {
            principal,
            codec,
            low,
            records,
            contact: now,
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
}

impl Leases {
    fn live(&mut self, id: LeaseId) -> Option<&mut Lease> {
        self.leases.get_mut(&id).filter(|lease| lease.lives())
    }

    pub(super) fn open(
        &mut self,
        now: Now,
        id: LeaseId,
        lease: Lease,
        (max, held_ms): (u32, u64),
        limits: &MemoryLimits,
    ) -> StoreOutcome {
        if let Some(known) = self.leases.get(&id) {
            // The same request again: its first answer was lost.
            return match known.lives()
                && known.principal == lease.principal
                && known.codec == lease.codec
            {
                true => StoreOutcome::Lease { low: known.low, records: Vec::new() },
                false => StoreOutcome::LeaseGone,
            };
        }
        if self.leases.len() >= limits.leases {
            return StoreOutcome::TooManyLeases;
        }
        let low = lease.low;
        while let Some(oldest) = self.one_too_many(&lease.principal, max) {
            if self.leases.get(&oldest).is_some_and(|lease| now.since(lease.contact) <= held_ms) {
                return StoreOutcome::TooManyLeases;
            }
            self.end(now, oldest, limits);
        }
        self.by_principal.insert((lease.principal.clone(), id));
        self.due.insert((lease.due, id));
        self.leases.insert(id, lease);
        StoreOutcome::Lease { low, records: Vec::new() }
    }

    /// The lease of a principal that was idle longest, if the principal may not have another one.
    fn one_too_many(&self, principal: &PrincipalId, max: u32) -> Option<LeaseId> {
        let first = (principal.clone(), LeaseId(0));
        let theirs = self
            .by_principal
            .range(first..)
            .take_while(|(other, _)| other == principal)
            .map(|(_, id)| *id);
        let full = theirs.clone().count() >= max as usize;
        let oldest = || theirs.min_by_key(|id| self.leases.get(id).map(|lease| lease.contact));
        if full { oldest() } else { None }
    }

    pub(super) fn claim(
        &mut self,
        now: Now,
        id: LeaseId,
        principal: &PrincipalId,
        codec: Codec,
        low: CommandNo,
    ) -> StoreOutcome {
        let live = self.live(id);
        if !live.is_some_and(|lease| lease.principal == *principal && lease.codec == codec) {
            return StoreOutcome::LeaseGone;
        }
        match self.contact(now, id, low) {
            Some(lease) => {
                // Those below the mark are not settled, and whoever takes over owes their
                // publications.
                let records = lease.records.0.iter().cloned().collect();
                StoreOutcome::Lease { low: lease.low, records }
            }
            None => StoreOutcome::LeaseGone,
        }
    }

    pub(super) fn renew(&mut self, now: Now, id: LeaseId, low: CommandNo) -> StoreOutcome {
        let low = self.contact(now, id, low).map(|lease| lease.low);
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.records.shrink();
        }
        low.map_or(StoreOutcome::LeaseGone, |low| StoreOutcome::Lease { low, records: Vec::new() })
    }

    /// Counts as contact, and forgets what `low` passes. `None` if there is no such lease.
    fn contact(&mut self, now: Now, id: LeaseId, low: CommandNo) -> Option<&Lease> {
        let lease = self.leases.get_mut(&id).filter(|lease| lease.lives())?;
        lease.contact = lease.contact.max(now);
        if low > lease.low {
            lease.low = low;
            for (n, record) in lease.records.resolve(low) {
                self.forgotten.push((id, n, record));
            }
        }
        Some(lease)
    }

    /// Ends every lease.
    pub(super) fn end_all(&mut self, now: Now, limits: &MemoryLimits) {
        let all: Vec<LeaseId> = self.leases.keys().copied().collect();
        all.into_iter().for_each(|id| self.end(now, id, limits));
    }

    /// Ends a lease: only its unsettled records stay, for as long as [`MemoryLimits::owed`].
    pub(super) fn end(&mut self, now: Now, id: LeaseId, limits: &MemoryLimits) {
        let Some(lease) = self.leases.get_mut(&id).filter(|lease| lease.lives()) else { return };
        lease.ended = Some(now.after(limits.owed));
        self.by_principal.remove(&(lease.principal.clone(), id));
        for (n, record) in std::mem::take(&mut lease.records).0 {
            if record.settled {
                self.forgotten.push((id, n, record));
            } else {
                lease.records.insert(n, record);
            }
        }
        if lease.records.0.is_empty() {
            self.remove(id);
        } else {
            self.reschedule(id);
        }
    }

    fn remove(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.remove(&id) else { return };
        self.due.remove(&(lease.due, id));
        for (n, record) in lease.records.0 {
            self.unsettled.remove(&(id, n));
            self.forgotten.push((id, n, record));
        }
    }

    fn reschedule(&mut self, id: LeaseId) {
        if let Some(lease) = self.leases.get_mut(&id) {
            self.due.remove(&(lease.due, id));
            lease.due = lease.until();
            self.due.insert((lease.due, id));
        }
    }

    /// A commit counts as contact. False if there is no such lease.
    pub(super) fn begin_commit(&mut self, now: Now, id: LeaseId, low: CommandNo) -> bool {
        if self.contact(now, id, low).is_none() {
            return false;
        }
        if let Some(lease) = self.live(id) {
            let first = !lease.ran;
            lease.ran = true;
            if first {
                self.reschedule(id);
            }
        }
        true
    }

    /// What keeps a record from being written (PROTOCOL.md 5.6).
    pub(super) fn obstacle(&self, id: LeaseId, n: CommandNo) -> Option<CommitOutcome> {
        let lease = self.leases.get(&id)?;
        if n < lease.low {
            return Some(CommitOutcome::BelowLow);
        }
        lease.records.get(n).map(|record| CommitOutcome::Exists(Box::new(record.clone())))
    }

    pub(super) fn write(&mut self, id: LeaseId, n: CommandNo, record: Record) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        if !record.settled {
            self.unsettled.insert((id, n));
        }
        lease.records.insert(n, record);
    }

    pub(super) fn settle(&mut self, id: LeaseId, n: CommandNo) -> StoreOutcome {
        self.unsettled.remove(&(id, n));
        let Some(lease) = self.leases.get_mut(&id) else { return StoreOutcome::LeaseGone };
        if let Some(record) = lease.records.get_mut(n) {
            record.settled = true;
        }
        if n < lease.low || !lease.lives() {
            self.forgotten.extend(lease.records.remove(n).map(|record| (id, n, record)));
        }
        if !lease.lives() && lease.records.0.is_empty() {
            self.remove(id);
        }
        StoreOutcome::Done
    }

    pub(super) fn owes(&self, id: LeaseId, n: CommandNo) -> bool {
        self.unsettled.contains(&(id, n))
    }

    /// Whether a lower record of the lease is not settled: what is appended for `n` would overtake
    /// it.
    pub(super) fn owes_below(&self, id: LeaseId, n: CommandNo) -> bool {
        self.unsettled.range((id, CommandNo::ZERO)..(id, n)).next().is_some()
    }

    pub(super) fn unsettled(&self, max: u32) -> Vec<(LeaseId, CommandNo, Record)> {
        let first = self.unsettled.iter().take(max as usize);
        let records = first
            .filter_map(|(id, n)| Some((*id, *n, self.leases.get(id)?.records.get(*n)?.clone())));
        records.collect()
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

    pub(super) fn take_forgotten(
        &mut self,
    ) -> impl Iterator<Item = (LeaseId, CommandNo, Record)> + '_ {
        self.forgotten.drain(..)
    }
}
