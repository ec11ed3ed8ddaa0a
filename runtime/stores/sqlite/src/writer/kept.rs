//! What the writer knows without asking the tables, and the two together, which is what every
//! operation works on. The operations are elsewhere.

use std::collections::BTreeSet;

use rusqlite::{CachedStatement, Connection, Params};

use steadfast::session::Now;
use steadfast::session::store::{LogEntry, StoreOutcome, StoreTime, TopicId};
use steadfast::store::EndedLeases;
use steadfast::wire::LeaseId;

use super::cache::Cache;
use super::leases::Lease;
use super::ready::{Hot, Ready};
use super::topics::Topic;
use crate::rows::{PACKED_BYTES, Sql, count, int, maybe_time, store_time, strange};
use crate::settings::LocalLimits;

/// What the writer knows.
pub(super) struct Kept {
    pub(super) limits: LocalLimits,
    /// How many times the file was opened. If the file says otherwise, another store has it, and
    /// what is known here is not true any more.
    times: i64,
    pub(super) leases: Cache<LeaseId, Lease>,
    pub(super) topics: Cache<TopicId, Topic>,
    pub(super) totals: Totals,
    /// Leases that this process has ended, none of which it opens again. What another process was
    /// asked for ended with it.
    ended: EndedLeases,
    /// The same, of this group.
    ending: BTreeSet<LeaseId>,
    /// The totals before this group.
    before: Totals,
    /// When rows that can wait were written last.
    written: Now,
}

/// Sums over the tables, and when something in them is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) leases: u64,
    pub(super) topics: u64,
    pub(super) reply_bytes: u64,
    pub(super) owed_bytes: u64,
    pub(super) log_bytes: u64,
    pub(super) log_entries: u64,
    pub(super) direct_keys: u64,
    /// Ids of the application, and their bytes.
    pub(super) ids: u64,
    pub(super) id_bytes: u64,
    /// Nothing of the leases is due before.
    pub(super) lease_due: Now,
    /// Nothing of the topics is due before.
    pub(super) topic_due: Now,
    /// No id's time is over before.
    pub(super) id_due: Now,
    /// No key of a publication from outside of commands is older.
    pub(super) oldest_key: Now,
    /// The lease that lost its replies last, when there were too many in all.
    pub(super) hand: i64,
}

/// How often what can wait is written along with what can't.
const WRITE_ALONG_MS: u64 = 1_000;

/// When nothing is due.
pub(super) const NEVER: Now = Now(u64::MAX);

impl Totals {
    /// What the entries of all logs take, which [`LocalLimits::log_bytes`] bounds.
    pub(super) const fn cost_of_logs(&self) -> u64 {
        LogEntry::cost(self.log_entries, self.log_bytes)
    }

    fn read(db: &Connection) -> Sql<Self> {
        let one = |sql: &str| db.query_row(sql, [], |row| count(row, 0));
        let first = |sql: &str| db.query_row(sql, [], |row| maybe_time(row, 0));
        Ok(Self {
            leases: one("SELECT count(*) FROM sf_leases")?,
            topics: one("SELECT count(*) FROM sf_topics")?,
            reply_bytes: one("SELECT COALESCE(sum(reply_bytes), 0) FROM sf_records")?,
            owed_bytes: one(&format!(
                "SELECT COALESCE(sum(octet_length(key) + octet_length(name) + octet_length(body) \
                 - {PACKED_BYTES}), 0) FROM sf_owed"
            ))?,
            log_bytes: one("SELECT COALESCE(sum(bytes), 0) FROM sf_topics")?,
            log_entries: one("SELECT COALESCE(sum(head + 1 - oldest), 0) FROM sf_topics")?,
            direct_keys: one("SELECT count(*) FROM sf_append_keys WHERE key >= 'd:'")?,
            lease_due: first("SELECT min(due_ms) FROM sf_leases")?.unwrap_or(NEVER),
            topic_due: first("SELECT min(due_ms) FROM sf_topics")?.unwrap_or(NEVER),
            ids: one("SELECT COALESCE(sum(ids), 0) FROM sf_id_owners")?,
            id_bytes: one("SELECT COALESCE(sum(bytes), 0) FROM sf_id_owners")?,
            id_due: first("SELECT min(due_ms) FROM sf_ids")?.unwrap_or(NEVER),
            oldest_key: Now(0),
            hand: 0,
        })
    }
}

impl Kept {
    pub(super) fn read(db: &Connection, limits: LocalLimits, times: i64) -> Sql<Self> {
        let totals = Totals::read(db)?;
        let (leases, topics) = (Cache::new(), Cache::new());
        Ok(Self {
            limits,
            times,
            leases,
            topics,
            totals,
            ended: EndedLeases::default(),
            ending: BTreeSet::new(),
            before: totals,
            written: Now(0),
        })
    }

    /// Whether the tables hold nothing.
    pub(super) const fn is_empty(&self) -> bool {
        self.totals.leases == 0 && self.totals.topics == 0 && self.totals.ids == 0
    }

    pub(super) fn committed(&mut self, now: Now) {
        self.leases.committed();
        self.topics.committed();
        let memory = (self.limits.ended_memory, self.limits.ended_leases);
        for id in std::mem::take(&mut self.ending) {
            self.ended.remember(now, id, memory);
        }
        self.before = self.totals;
    }

    pub(super) fn undone(&mut self) {
        self.leases.undone();
        self.topics.undone();
        self.ending.clear();
        self.totals = self.before;
    }

    /// A lease has gone, if this group is committed.
    pub(super) fn lease_gone(&mut self, id: LeaseId) {
        self.leases.gone(&id);
        self.ending.insert(id);
    }

    /// What is answered to somebody who asks for a lease that does not live; `None` if it may be
    /// opened.
    pub(super) fn before_open(
        &self,
        id: LeaseId,
        as_of: StoreTime,
        now: Now,
    ) -> Option<StoreOutcome> {
        match self.ending.contains(&id) {
            true => Some(StoreOutcome::LeaseGone),
            false => self.ended.before_open(id, as_of, store_time(now)),
        }
    }

    /// Whether there is something that can wait.
    pub(super) fn has_waiting(&self) -> bool {
        self.leases.has_waiting() || self.topics.has_waiting()
    }
}

/// The tables and what is known of them, in a transaction.
pub(super) struct Tables<'a, 'db> {
    pub(super) db: &'a Ready<'db>,
    pub(super) kept: &'a mut Kept,
    /// For how long the store has been open in all.
    pub(super) now: Now,
}

impl<'db> Tables<'_, 'db> {
    pub(super) fn statement(&self, sql: &str) -> Sql<CachedStatement<'db>> {
        self.db.connection().prepare_cached(sql)
    }

    /// Runs a statement; how many rows it has changed.
    pub(super) fn run(&self, sql: &str, params: impl Params) -> Sql<usize> {
        self.statement(sql)?.execute(params)
    }

    /// Runs a statement that returns a count of each row that it deletes; the sum.
    pub(super) fn run_and_sum(&self, sql: &str, params: impl Params) -> Sql<u64> {
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query(params)?;
        let mut sum = 0;
        while let Some(row) = rows.next()? {
            sum += count(row, 0)?;
        }
        Ok(sum)
    }

    /// Writes the rows that were changed. Those that can wait are written about once a second, or
    /// when `all` are to be.
    pub(super) fn flush(&mut self, all: bool) -> Sql<()> {
        for id in self.kept.leases.take_dirty() {
            self.write_lease(id)?;
            self.kept.leases.wrote_all_of(&id);
        }
        self.trim_changed()?;
        for id in self.kept.topics.take_dirty() {
            self.write_head(&id)?;
        }
        if all || self.now.since(self.kept.written) >= WRITE_ALONG_MS {
            self.kept.written = self.now;
            for id in self.kept.leases.take_waiting() {
                self.write_lease(id)?;
            }
            for id in self.kept.topics.take_waiting() {
                self.write_topic(&id)?;
            }
        }
        Ok(())
    }

    /// Writes for how long the store was open. It fails, and its transaction with it, if somebody
    /// has got past the lock (it is gone, or another name of the file has another one) and has
    /// opened the file since.
    pub(super) fn write_served(&self) -> Sql<()> {
        match self.db.run(Hot::WriteServed, [int(self.now.0), self.kept.times])? {
            1 => Ok(()),
            _ => Err(strange(0, "another store has opened this file, and this one has lost it")),
        }
    }
}
