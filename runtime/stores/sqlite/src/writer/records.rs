//! Completion records (PROTOCOL.md 5.6): written once, found again, settled, forgotten. A record
//! goes when the low-water mark passes it or its lease ends, but never before it is settled.

use rusqlite::{OptionalExtension, Row, params};

use steadfast::session::store::{
    AppendKey, Commit, CommitOutcome, Decide, Outcome, Publication, Record, StoreOutcome,
};
use steadfast::wire::{CommandNo, LeaseId};

use super::cache::Durable;
use super::decide::{Decider, Stopped};
use super::kept::Tables;
use super::leases::Lease;
use super::ready::Hot;
use crate::rows::{
    Sql, append_key, bits, count, event_body, int, outcome, outcome_columns, outcome_word,
    publication, store_time, text,
};
use crate::space::Space;

/// A record without its publications, from hash, outcome, error, body and settled.
fn record(row: &Row<'_>, first: usize) -> Sql<Record> {
    let hash = row.get::<_, i64>(first)?.cast_unsigned();
    let outcome = outcome(row, first + 1)?;
    Ok(Record { hash, outcome, publishes: Vec::new(), settled: row.get(first + 4)? })
}

/// The columns that [`record`] reads.
const RECORD: &str = "hash, outcome, error, body, settled";

impl Tables<'_, '_> {
    /// Carries out a commit: all of its records, in order.
    pub(super) fn commit(
        &mut self,
        id: LeaseId,
        low: CommandNo,
        commits: &[Commit],
        decider: Decider<'_>,
    ) -> Result<StoreOutcome, Stopped> {
        if self.would_owe_too_much(id, commits)? {
            return Ok(StoreOutcome::Failed);
        }
        let Some(low) = self.begin_commit(id, low)? else { return Ok(StoreOutcome::LeaseGone) };
        let mut outcomes = decider.space.commits(commits.len());
        for commit in commits {
            let outcome = match commit.n < low {
                true => CommitOutcome::BelowLow,
                false => match &commit.decide {
                    None => self.write(id, commit, decider.space)?,
                    Some(decide) => self.write_decided(id, (commit, decide), decider)?,
                },
            };
            outcomes.push((commit.n, outcome));
        }
        let Some(claim) = self.kept.leases.get(&id).map(|lease| lease.claim) else {
            debug_assert!(false, "a commit begins with its lease");
            return Ok(StoreOutcome::LeaseGone);
        };
        Ok(StoreOutcome::Committed { at: store_time(self.now), claim, outcomes })
    }

    /// Writes a record whose outcome is decided here. Nothing is decided that is not written.
    fn write_decided(
        &mut self,
        id: LeaseId,
        (commit, decide): (&Commit, &Decide),
        decider: Decider<'_>,
    ) -> Result<CommitOutcome, Stopped> {
        let Some(no) = self.kept.leases.get(&id).map(|lease| lease.no) else {
            debug_assert!(false, "a commit begins with its lease");
            return Ok(CommitOutcome::BelowLow);
        };
        if self.has_record(no, commit.n)? {
            return Ok(self.exists(id, no, commit.n)?);
        }
        if let Some(taken) = &commit.id
            && self.used_id(&taken.id)?.is_some()
        {
            return Ok(self.write(id, commit, decider.space)?);
        }
        let decided = decider.decide(self.db, decide)?;
        let mut known = commit.clone();
        known.take_decision(decide, decided.clone());
        Ok(match self.write(id, &known, decider.space)? {
            CommitOutcome::Written { settled } => {
                CommitOutcome::Decided { decided: Box::new(decided), settled }
            }
            other => {
                debug_assert!(false, "nothing was in its way: {other:?}");
                other
            }
        })
    }

    fn has_record(&self, lease: i64, n: CommandNo) -> Sql<bool> {
        Ok(self.db.count(Hot::HasRecord, [lease, int(n.0)])? > 0)
    }

    /// Writes a record, unless there is one, and settles it if that may be.
    fn write(&mut self, id: LeaseId, commit: &Commit, space: &Space) -> Sql<CommitOutcome> {
        let Commit { n, record, settle, retention, fresh_epochs, id: taken, .. } = commit;
        let publishes = record.publishes.len();
        let Some(lease) = self.kept.leases.get(&id) else {
            debug_assert!(false, "a commit begins with its lease");
            return Ok(CommitOutcome::BelowLow);
        };
        let no = lease.no;
        let owes_below = lease.owed.range(..n).next().is_some();
        let settled = publishes == 0
            || *settle
                && !owes_below
                && retention.len() == publishes
                && fresh_epochs.len() == publishes;
        if let Some(taken) = taken
            && let Some(used) = self.used_id(&taken.id)?
        {
            let outcome = used.answer(taken.hash);
            let (hash, publishes) = (record.hash, Vec::new());
            let told = Record { hash, outcome: outcome.clone(), publishes, settled: true };
            if !self.insert(no, *n, &told, true)? {
                return self.exists(id, no, *n);
            }
            self.count_reply(id, *n, outcome.reply_bytes())?;
            return Ok(CommitOutcome::Used(outcome));
        }
        if !self.insert(no, *n, record, settled)? {
            return self.exists(id, no, *n);
        }
        if let Some(taken) = taken.as_ref().filter(|_| record.outcome.stands()) {
            self.take_id(taken, &record.outcome)?;
        }
        let settled = if settled {
            let mut appended = space.places(publishes);
            let kept = retention.iter().zip(fresh_epochs);
            for (publication, (retention, epoch)) in record.publishes.iter().zip(kept) {
                appended.push(self.append_event(None, publication, *retention, *epoch)?);
            }
            Some(appended)
        } else {
            self.owe(id, *n, &record.publishes)?;
            None
        };
        self.count_reply(id, *n, record.outcome.reply_bytes())?;
        Ok(CommitOutcome::Written { settled })
    }

    /// The record that is in the way of another one.
    fn exists(&self, id: LeaseId, lease: i64, n: CommandNo) -> Sql<CommitOutcome> {
        let record = self.record_of(id, lease, n)?;
        debug_assert!(record.is_some(), "what is in the way is there");
        let exists = |record| CommitOutcome::Exists(Box::new(record));
        Ok(record.map_or(CommitOutcome::BelowLow, exists))
    }

    /// False if there is a record.
    fn insert(&self, lease: i64, n: CommandNo, record: &Record, settled: bool) -> Sql<bool> {
        let (error, body) = outcome_columns(&record.outcome);
        let changed = self.db.run(
            Hot::InsertRecord,
            params![
                lease,
                int(n.0),
                bits(record.hash),
                outcome_word(&record.outcome),
                error,
                body.map(text),
                int(record.outcome.reply_bytes()),
                settled,
                int(self.now.0),
            ],
        )?;
        Ok(changed == 1)
    }

    /// Keeps what a record publishes until it is in its logs.
    fn owe(&mut self, id: LeaseId, n: CommandNo, publishes: &[Publication]) -> Sql<()> {
        let sql = "INSERT INTO sf_owed(lease, n, place, topic, key, name, body) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let lease = id.to_string();
        for (place, publication) in (0_i64..).zip(publishes) {
            let Publication { topic, name, bodies } = publication;
            let body = event_body(bodies);
            let (topic, key, name) = (topic.name.as_str(), &*topic.key, name.as_str());
            self.run(sql, params![lease, int(n.0), place, topic, key, name, text(&body)])?;
        }
        self.kept.totals.owed_bytes += Publication::owed_bytes(publishes);
        if let Some(lease) = self.kept.leases.change(&id, Durable::Now) {
            lease.owed.insert(n);
        }
        Ok(())
    }

    /// What a record publishes that is not settled.
    fn owed(&self, id: LeaseId, n: CommandNo) -> Sql<Vec<Publication>> {
        let sql = "SELECT topic, key, name, body FROM sf_owed WHERE lease = ?1 AND n = ?2 \
                   ORDER BY place";
        let mut statement = self.statement(sql)?;
        let rows =
            statement.query_map(params![id.to_string(), int(n.0)], |row| publication(row, 0));
        rows?.collect()
    }

    /// A record with everything that is still needed of it.
    fn record_of(&self, id: LeaseId, lease: i64, n: CommandNo) -> Sql<Option<Record>> {
        let sql = format!("SELECT {RECORD} FROM sf_records WHERE lease = ?1 AND n = ?2");
        let mut statement = self.statement(&sql)?;
        let found = statement.query_row(params![lease, int(n.0)], |row| record(row, 0));
        let Some(mut record) = found.optional()? else { return Ok(None) };
        if !record.settled {
            record.publishes = self.owed(id, n)?;
        }
        Ok(Some(record))
    }

    /// The records of a lease: those at or above its mark, and those that are not settled.
    pub(super) fn records_of(&self, id: LeaseId) -> Sql<Vec<(CommandNo, Record)>> {
        let Some(lease) = self.kept.leases.get(&id) else { return Ok(Vec::new()) };
        let sql = format!(
            "SELECT {RECORD}, n FROM sf_records WHERE lease = ?1 AND (n >= ?2 OR settled = 0) \
             ORDER BY n"
        );
        let mut statement = self.statement(&sql)?;
        let rows = statement.query_map([lease.no, int(lease.low.0)], |row| {
            Ok((CommandNo(count(row, 5)?), record(row, 0)?))
        })?;
        let mut records: Vec<_> = rows.collect::<Sql<_>>()?;
        for (n, record) in &mut records {
            if !record.settled {
                record.publishes = self.owed(id, *n)?;
            }
        }
        Ok(records)
    }

    /// The replies of settled records below a mark that was raised count no longer. The records go
    /// when the mark is written: after a crash none may be missing above the mark that there is, or
    /// its command could run again.
    pub(super) fn resolve(&mut self, id: LeaseId, from: CommandNo, low: CommandNo) -> Sql<()> {
        let Some(lease) = self.kept.leases.get(&id) else { return Ok(()) };
        let resolved = [lease.no, int(from.0), int(low.0)];
        let freed = match lease.reply_bytes {
            0 => 0,
            _ => self.db.count(Hot::ResolvedBytes, resolved)?,
        };
        if freed > 0 {
            self.db.run(Hot::FreeResolved, resolved)?;
        }
        self.free_replies(id, freed);
        Ok(())
    }

    /// Forgets the settled records below the mark of a lease, which is written.
    pub(super) fn forget_resolved(&self, lease: &Lease) -> Sql<()> {
        self.db.run(Hot::ForgetResolved, [lease.no, int(lease.low.0)]).map(|_| ())
    }

    /// Forgets the settled records of a lease that ends.
    pub(super) fn forget_replies_of(&mut self, id: LeaseId) -> Sql<()> {
        let Some(lease) = self.kept.leases.get(&id) else { return Ok(()) };
        let no = lease.no;
        let freed = self.db.count(Hot::ResolvedBytes, [no, 0, i64::MAX])?;
        self.db.run(Hot::ForgetResolved, [no, i64::MAX])?;
        self.free_replies(id, freed);
        Ok(())
    }

    /// Marks a record as settled, and forgets it if nobody will ask for it.
    pub(super) fn settle(&mut self, id: LeaseId, n: CommandNo) -> Sql<()> {
        // Somebody else may have settled it, and then it, or its lease, may have gone.
        let Some(lease) = self.lease(id)? else { return Ok(()) };
        let (no, low, lives) = (lease.no, lease.low, lease.lives());
        if !lease.owed.contains(&n) {
            return Ok(());
        }
        self.is_done_with(id, n)?;
        let settled = "UPDATE sf_records SET settled = 1 WHERE lease = ?1 AND n = ?2";
        self.run(settled, params![no, int(n.0)])?;
        if !lives {
            let sql = "DELETE FROM sf_records WHERE lease = ?1 AND n = ?2 RETURNING reply_bytes";
            let freed = self.run_and_sum(sql, params![no, int(n.0)])?;
            self.free_replies(id, freed);
        } else if n < low {
            self.resolve(id, n, n.next())?;
            // It goes when the row is written.
            self.kept.leases.change(&id, Durable::Later);
        }
        let owes = self.kept.leases.get(&id).is_some_and(|lease| !lease.owed.is_empty());
        if !lives && !owes {
            self.remove_lease(id)?;
        }
        Ok(())
    }

    /// Nobody will bring a record's publications into their logs again: forgets them and the keys
    /// of their appends.
    pub(super) fn is_done_with(&mut self, id: LeaseId, n: CommandNo) -> Sql<()> {
        let publishes = self.owed(id, n)?;
        let key = "DELETE FROM sf_append_keys WHERE key = ?1";
        for index in (0..).take(publishes.len()) {
            self.run(key, [append_key(AppendKey::Command { lease: id, n, index })])?;
        }
        let sql = "DELETE FROM sf_owed WHERE lease = ?1 AND n = ?2";
        self.run(sql, params![id.to_string(), int(n.0)])?;
        self.kept.totals.owed_bytes -= Publication::owed_bytes(&publishes);
        if let Some(lease) = self.kept.leases.change(&id, Durable::Now) {
            lease.owed.remove(&n);
        }
        Ok(())
    }

    /// Whether a record's publications are not in their logs.
    pub(super) fn owes(&mut self, id: LeaseId, n: CommandNo) -> Sql<bool> {
        Ok(self.lease(id)?.is_some_and(|lease| lease.owed.contains(&n)))
    }

    /// Whether commits would leave more publications to be brought into their logs than may be.
    fn would_owe_too_much(&mut self, id: LeaseId, commits: &[Commit]) -> Sql<bool> {
        let most = commits.iter().map(|commit| commit.may_owe(true));
        if !self.is_too_much(most.fold(0, u64::saturating_add)) {
            return Ok(false);
        }
        let left = self.left_by(id, commits)?;
        Ok(self.is_too_much(left))
    }

    /// Bytes of publications that commits would leave to be appended, at most. A repetition leaves
    /// nothing new.
    fn left_by(&mut self, id: LeaseId, commits: &[Commit]) -> Sql<u64> {
        let Some(lease) = self.lease(id)?.filter(|lease| lease.lives()) else { return Ok(0) };
        let (no, low, owed) = (lease.no, lease.low, lease.owed.first().copied());
        let mut left = 0_u64;
        for commit in commits {
            if commit.n >= low && !self.has_record(no, commit.n)? {
                let behind = left > 0 || owed.is_some_and(|owed| owed < commit.n);
                left = left.saturating_add(commit.may_owe(behind));
            }
        }
        Ok(left)
    }

    /// Whether so many bytes may not be owed beside those that are.
    fn is_too_much(&self, bytes: u64) -> bool {
        let owed = self.kept.totals.owed_bytes;
        bytes > 0 && owed > 0 && owed.saturating_add(bytes) > self.kept.limits.owed_bytes
    }
}

/// What a reply is that is not kept any more.
pub(super) fn shrunk() -> Outcome {
    Outcome::plain_failure(steadfast::wire::FailureCode::Unknown)
}
