//! Leases (PROTOCOL.md 1.3, 5.4): issued, claimed, renewed, ended, expired. What their records are
//! is not known here, only what a lease owes of them.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};

use steadfast::session::Now;
use steadfast::session::store::{
    Claim, Generation, Holder, PrincipalId, Record, StoreOutcome, StoreTime,
};
use steadfast::wire::{Codec, CommandNo, LeaseId};

use super::cache::Durable;
use super::kept::Tables;
use super::ready::Hot;
use crate::rows::{
    Sql, codec, count, holder, holder_text, int, lease_id, maybe, maybe_time, store_time, time,
};

/// Leases and topics that are let go of in one group because their time is over; the rest waits
/// for the next group.
pub(super) const EXPIRED_AT_ONCE: usize = 1_000;

/// A lease as the writer knows it.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    /// Its row.
    pub(super) no: i64,
    pub(super) principal: PrincipalId,
    pub(super) codec: Codec,
    pub(super) low: CommandNo,
    pub(super) claim: Claim,
    contact: Now,
    /// When it was let go, if nobody holds it.
    let_go: Option<Now>,
    ttl_ms: u64,
    unused_ttl_ms: u64,
    ran: bool,
    /// Set once it is gone for everybody except those who settle its records, who have until then.
    ended: Option<Now>,
    pub(super) reply_bytes: u64,
    /// What it may keep of the bytes of its principal; unknown until it is asked for.
    pub(super) share: Option<u64>,
    /// Every reply below has shrunk.
    pub(super) shrunk_below: CommandNo,
    /// Its records that are not settled.
    pub(super) owed: BTreeSet<CommandNo>,
}

impl Lease {
    pub(super) const fn lives(&self) -> bool {
        self.ended.is_none()
    }

    fn until(&self) -> Now {
        let ttl_ms = if self.ran { self.ttl_ms } else { self.unused_ttl_ms };
        self.ended.unwrap_or_else(|| self.contact.after_ms(ttl_ms))
    }

    fn stands(&self, now: Now, records: Vec<(CommandNo, Record)>) -> StoreOutcome {
        let at = store_time(now);
        StoreOutcome::Lease { at, low: self.low, claim: self.claim, records }
    }

    fn is_of(&self, principal: &PrincipalId, codec: Codec) -> bool {
        self.lives() && self.principal == *principal && self.codec == codec
    }
}

/// What is asked for with a new lease.
pub(super) struct Wanted<'a> {
    pub(super) id: LeaseId,
    pub(super) as_of: StoreTime,
    pub(super) holder: Holder,
    pub(super) principal: &'a PrincipalId,
    pub(super) codec: Codec,
    pub(super) ttl_ms: u64,
    pub(super) unused_ttl_ms: u64,
    pub(super) max_per_principal: u32,
    pub(super) held_ms: u64,
}

/// What a reply takes is summed up here: a crash may come between a record and its lease's row.
const COLUMNS: &str = "no, principal, codec, low, contact_ms, let_go_ms, ttl_ms, unused_ttl_ms, \
                       ran, ended_ms, (SELECT COALESCE(sum(reply_bytes), 0) FROM sf_records \
                       WHERE lease = sf_leases.no), generation, holder";

impl Tables<'_, '_> {
    /// A lease, whether it lives or not. One whose time is over is ended first.
    pub(super) fn lease(&mut self, id: LeaseId) -> Sql<Option<&Lease>> {
        let until = match self.kept.leases.get(&id) {
            Some(lease) => lease.until(),
            None => {
                let Some(lease) = self.read_lease(id)? else { return Ok(None) };
                let until = lease.until();
                self.kept.leases.loaded(id, lease);
                until
            }
        };
        if until <= self.now {
            self.expire_lease(id)?;
        }
        Ok(self.kept.leases.get(&id))
    }

    /// A lease that lives.
    pub(super) fn live(&mut self, id: LeaseId) -> Sql<Option<&Lease>> {
        Ok(self.lease(id)?.filter(|lease| lease.lives()))
    }

    fn read_lease(&self, id: LeaseId) -> Sql<Option<Lease>> {
        let id = id.to_string();
        let sql = format!("SELECT {COLUMNS} FROM sf_leases WHERE id = ?1");
        let found = self.statement(&sql)?.query_row([&id], |row| {
            Ok(Lease {
                no: row.get(0)?,
                principal: row.get::<_, String>(1)?.into(),
                codec: codec(row, 2)?,
                low: CommandNo(count(row, 3)?),
                claim: Claim { generation: Generation(count(row, 11)?), holder: holder(row, 12)? },
                contact: time(row, 4)?,
                let_go: maybe_time(row, 5)?,
                ttl_ms: count(row, 6)?,
                unused_ttl_ms: count(row, 7)?,
                ran: row.get(8)?,
                ended: maybe_time(row, 9)?,
                reply_bytes: count(row, 10)?,
                share: None,
                shrunk_below: CommandNo::ZERO,
                owed: BTreeSet::new(),
            })
        });
        let Some(mut lease) = found.optional()? else { return Ok(None) };
        let mut owed = self.statement("SELECT n FROM sf_owed WHERE lease = ?1 AND place = 0")?;
        let numbers = owed.query_map([&id], |row| count(row, 0).map(CommandNo))?;
        lease.owed = numbers.collect::<Sql<_>>()?;
        Ok(Some(lease))
    }

    /// Writes the part of a lease's row that changes, and forgets what its mark has passed.
    pub(super) fn write_lease(&self, id: LeaseId) -> Sql<()> {
        let Some(lease) = self.kept.leases.get(&id) else { return Ok(()) };
        self.db.run(
            Hot::WriteLease,
            params![
                lease.no,
                int(lease.low.0),
                int(lease.contact.0),
                maybe(lease.let_go),
                lease.ran,
                maybe(lease.ended),
                int(lease.claim.generation.0),
                holder_text(lease.claim.holder),
            ],
        )?;
        self.forget_resolved(lease)
    }

    pub(super) fn open_lease(&mut self, wanted: &Wanted<'_>) -> Sql<StoreOutcome> {
        let now = self.now;
        if let Some(known) = self.lease(wanted.id)? {
            // The same request again: its first answer was lost.
            return Ok(match known.is_of(wanted.principal, wanted.codec) {
                true => known.stands(now, Vec::new()),
                false => StoreOutcome::LeaseGone,
            });
        }
        if let Some(answer) = self.kept.before_open(wanted.id, wanted.as_of, now) {
            return Ok(answer);
        }
        if !self.make_room(wanted)? {
            return Ok(StoreOutcome::TooManyLeases);
        }
        let due = self.now.after_ms(wanted.unused_ttl_ms);
        let sql = "INSERT INTO sf_leases(id, principal, codec, low, contact_ms, ttl_ms, \
                   unused_ttl_ms, ran, due_ms, generation, holder) \
                   VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, 0, ?7, 1, ?8)";
        self.run(
            sql,
            params![
                wanted.id.to_string(),
                &**wanted.principal,
                wanted.codec.subprotocol(),
                int(self.now.0),
                int(wanted.ttl_ms),
                int(wanted.unused_ttl_ms),
                int(due.0),
                holder_text(wanted.holder),
            ],
        )?;
        self.kept.totals.leases += 1;
        self.kept.totals.lease_due = self.kept.totals.lease_due.min(due);
        let lease = Lease {
            no: self.db.last_insert_rowid(),
            principal: wanted.principal.clone(),
            codec: wanted.codec,
            low: CommandNo(1),
            claim: Claim { generation: Generation(1), holder: wanted.holder },
            contact: self.now,
            let_go: None,
            ttl_ms: wanted.ttl_ms,
            unused_ttl_ms: wanted.unused_ttl_ms,
            ran: false,
            ended: None,
            reply_bytes: 0,
            share: None,
            shrunk_below: CommandNo::ZERO,
            owed: BTreeSet::new(),
        };
        let opened = lease.stands(self.now, Vec::new());
        self.kept.leases.made(wanted.id, lease);
        self.share_out(wanted.principal)?;
        Ok(opened)
    }

    /// Ends leases that nobody holds until there is room for one more. False if there is none.
    fn make_room(&mut self, wanted: &Wanted<'_>) -> Sql<bool> {
        loop {
            let theirs = self.leases_of(wanted.principal)?;
            if theirs.len() < wanted.max_per_principal as usize {
                break;
            }
            let Some(first) = self.first_free(&theirs, wanted.held_ms)? else { return Ok(false) };
            self.end_lease(first)?;
        }
        while self.kept.totals.leases >= self.kept.limits.leases as u64 {
            self.flush(true)?;
            let sql = "SELECT id FROM sf_leases WHERE let_go_ms IS NOT NULL ORDER BY let_go_ms, id \
                       LIMIT 1";
            let oldest = self.statement(sql)?.query_row([], |row| lease_id(row, 0)).optional()?;
            let Some(oldest) = oldest else { return Ok(false) };
            self.end_lease(oldest)?;
            // What it still owes is kept, and takes its place.
            if self.lease(oldest)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The leases of a principal that live.
    pub(super) fn leases_of(&mut self, principal: &PrincipalId) -> Sql<Vec<LeaseId>> {
        let sql = "SELECT id FROM sf_leases WHERE principal = ?1 AND ended_ms IS NULL ORDER BY id";
        let all: Vec<LeaseId> = {
            let mut statement = self.statement(sql)?;
            statement.query_map([&**principal], |row| lease_id(row, 0))?.collect::<Sql<_>>()?
        };
        let mut live = Vec::with_capacity(all.len());
        for id in all {
            if self.live(id)?.is_some() {
                live.push(id);
            }
        }
        Ok(live)
    }

    /// The lease that makes room first, if there is one that nobody holds.
    fn first_free(&mut self, theirs: &[LeaseId], held_ms: u64) -> Sql<Option<LeaseId>> {
        let (mut let_go, mut silent) = (Vec::new(), Vec::new());
        for &id in theirs {
            let Some(lease) = self.live(id)? else { continue };
            let_go.extend(lease.let_go.map(|since| (since, id)));
            silent.push((lease.contact, id));
        }
        let silent = silent.into_iter().min();
        let forgotten = silent.filter(|(contact, _)| self.now.since(*contact) > held_ms);
        Ok(let_go.into_iter().min().or(forgotten).map(|(_, id)| id))
    }

    pub(super) fn claim_lease(
        &mut self,
        id: LeaseId,
        holder: Holder,
        (principal, codec): (&PrincipalId, Codec),
        low: CommandNo,
    ) -> Sql<StoreOutcome> {
        let known = self.live(id)?.filter(|lease| lease.is_of(principal, codec));
        let Some(before) = known.map(|lease| lease.claim) else {
            return Ok(StoreOutcome::LeaseGone);
        };
        if before.holder != holder
            && let Some(lease) = self.kept.leases.change(&id, Durable::Now)
        {
            let generation = Generation(before.generation.0 + 1);
            lease.claim = Claim { generation, holder };
        }
        self.hold(id, true);
        self.contact(id, low)?;
        let records = self.records_of(id)?;
        self.standing(id, records)
    }

    pub(super) fn renew_lease(
        &mut self,
        id: LeaseId,
        generation: Generation,
        held: bool,
        low: CommandNo,
    ) -> Sql<StoreOutcome> {
        let Some(lease) = self.live(id)? else { return Ok(StoreOutcome::LeaseGone) };
        if generation >= lease.claim.generation {
            self.hold(id, held);
            self.contact(id, low)?;
        }
        self.standing(id, Vec::new())
    }

    fn standing(&self, id: LeaseId, records: Vec<(CommandNo, Record)>) -> Sql<StoreOutcome> {
        let lease = self.kept.leases.get(&id);
        debug_assert!(lease.is_some(), "a lease that lives is known");
        Ok(lease.map_or(StoreOutcome::LeaseGone, |lease| lease.stands(self.now, records)))
    }

    /// Somebody holds a lease that lives, or nobody any more.
    fn hold(&mut self, id: LeaseId, held: bool) {
        let now = self.now;
        let let_go = self.kept.leases.get(&id).and_then(|lease| lease.let_go);
        if let_go.is_none() != held
            && let Some(lease) = self.kept.leases.change(&id, Durable::Later)
        {
            lease.let_go = (!held).then_some(now);
        }
    }

    /// Counts as contact with a lease that lives, and with `low` the client has resolved what is
    /// below it. The mark, which need not be durable.
    pub(super) fn contact(&mut self, id: LeaseId, low: CommandNo) -> Sql<CommandNo> {
        let now = self.now;
        let Some(lease) = self.kept.leases.change(&id, Durable::Later) else {
            debug_assert!(false, "a lease that lives is known");
            return Ok(low);
        };
        lease.contact = lease.contact.max(now);
        if low > lease.low {
            let from = std::mem::replace(&mut lease.low, low);
            self.resolve(id, from, low)?;
            return Ok(low);
        }
        Ok(lease.low)
    }

    /// A commit counts as contact, and from the first one on a lease has its longer time to live.
    /// The mark; `None` if there is no such lease.
    pub(super) fn begin_commit(&mut self, id: LeaseId, low: CommandNo) -> Sql<Option<CommandNo>> {
        let Some(lease) = self.live(id)? else { return Ok(None) };
        let first = !lease.ran;
        let low = self.contact(id, low)?;
        if first && let Some(lease) = self.kept.leases.change(&id, Durable::Now) {
            lease.ran = true;
            self.reschedule_lease(id)?;
        }
        Ok(Some(low))
    }

    /// Ends a lease: only its unsettled records stay, for as long as [`LocalLimits::owed`].
    ///
    /// [`LocalLimits::owed`]: crate::LocalLimits::owed
    pub(super) fn end_lease(&mut self, id: LeaseId) -> Sql<()> {
        if self.live(id)?.is_none() {
            return Ok(());
        }
        self.end(id)
    }

    /// Ends a lease that is known.
    fn end(&mut self, id: LeaseId) -> Sql<()> {
        self.forget_replies_of(id)?;
        let until = self.now.after(self.kept.limits.owed);
        let Some(lease) = self.kept.leases.change(&id, Durable::Now) else { return Ok(()) };
        lease.ended = Some(until);
        lease.let_go = None;
        let (principal, owes) = (lease.principal.clone(), !lease.owed.is_empty());
        self.write_lease(id)?;
        if owes {
            self.reschedule_lease(id)?;
        } else {
            self.remove_lease(id)?;
        }
        self.share_out(&principal)
    }

    /// Forgets a lease with all that it owes.
    pub(super) fn remove_lease(&mut self, id: LeaseId) -> Sql<()> {
        let Some(lease) = self.kept.leases.get(&id).cloned() else { return Ok(()) };
        for n in lease.owed {
            self.is_done_with(id, n)?;
        }
        self.kept.totals.reply_bytes -= lease.reply_bytes;
        self.run("DELETE FROM sf_records WHERE lease = ?1", [lease.no])?;
        self.run("DELETE FROM sf_leases WHERE no = ?1", [lease.no])?;
        self.kept.totals.leases -= 1;
        self.kept.lease_gone(id);
        Ok(())
    }

    fn reschedule_lease(&mut self, id: LeaseId) -> Sql<()> {
        let Some(lease) = self.kept.leases.get(&id) else { return Ok(()) };
        let (no, due) = (lease.no, lease.until());
        self.kept.totals.lease_due = self.kept.totals.lease_due.min(due);
        self.run("UPDATE sf_leases SET due_ms = ?2 WHERE no = ?1", params![no, int(due.0)])?;
        Ok(())
    }

    /// Ends a lease whose time is over, or forgets it if it had ended.
    fn expire_lease(&mut self, id: LeaseId) -> Sql<()> {
        match self.kept.leases.get(&id) {
            Some(lease) if lease.lives() => self.end(id),
            _ => self.remove_lease(id),
        }
    }

    /// Ends what has expired. Looks only at leases whose time may have come.
    pub(super) fn expire_leases(&mut self) -> Sql<()> {
        let sql = "SELECT id, due_ms FROM sf_leases ORDER BY due_ms LIMIT 1";
        for _ in 0..EXPIRED_AT_ONCE {
            if self.kept.totals.lease_due > self.now {
                return Ok(());
            }
            let first = |row: &rusqlite::Row<'_>| Ok((lease_id(row, 0)?, time(row, 1)?));
            let first = self.statement(sql)?.query_row([], first).optional()?;
            let Some((id, due)) = first else {
                self.kept.totals.lease_due = Now(u64::MAX);
                return Ok(());
            };
            if due > self.now {
                self.kept.totals.lease_due = due;
            } else if self.lease(id)?.is_some_and(|lease| lease.until() > due) {
                self.reschedule_lease(id)?;
            }
        }
        Ok(())
    }
}
