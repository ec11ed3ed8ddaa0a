//! Appends to logs: once per key, numbered without a gap. How long entries are kept is the topics'
//! to say.

use rusqlite::{OptionalExtension, params};

use steadfast::session::Now;
use steadfast::session::store::{
    Append, AppendKey, AppendOutcome, Appended, Publication, Retention, StoreOutcome, TopicId,
};
use steadfast::wire::{Epoch, TopicSeq};

use super::cache::Durable;
use super::kept::Tables;
use super::ready::Hot;
use crate::rows::{Sql, append_key, count, event_body, int, text, time};

/// Keys that are forgotten in one group because they are too old; the rest waits for the next one.
const KEYS_AT_ONCE: i64 = 1_000;

impl Tables<'_, '_> {
    pub(super) fn append(
        &mut self,
        topic: &TopicId,
        appends: &[Append],
        retention: Retention,
        fresh_epoch: Epoch,
    ) -> Sql<StoreOutcome> {
        let mut outcomes = Vec::with_capacity(appends.len());
        for append in appends {
            outcomes.push(self.append_one(topic, append, retention, fresh_epoch)?);
        }
        Ok(StoreOutcome::Appended(outcomes))
    }

    /// Record and log are in one file, so the record itself says whether this is a repetition.
    fn append_one(
        &mut self,
        topic: &TopicId,
        append: &Append,
        retention: Retention,
        fresh_epoch: Epoch,
    ) -> Sql<AppendOutcome> {
        let Append { key, name, bodies, .. } = append;
        let written = append_key(*key);
        if let Some(appended) = self.landed(&written, topic)? {
            return Ok(AppendOutcome::Landed(appended));
        }
        if let AppendKey::Command { lease, n, .. } = key
            && !self.owes(*lease, *n)?
        {
            return Ok(AppendOutcome::Settled);
        }
        let (topic, name, bodies) = (topic.clone(), name.clone(), bodies.clone());
        let publication = Publication { topic, name, bodies };
        let appended = self.append_event(Some(&written), &publication, retention, fresh_epoch)?;
        if matches!(key, AppendKey::Direct { .. }) {
            self.kept.totals.direct_keys += 1;
        }
        Ok(AppendOutcome::Landed(appended))
    }

    /// Where an append landed, if its key is remembered.
    fn landed(&mut self, key: &str, id: &TopicId) -> Sql<Option<Appended>> {
        let Some((no, epoch)) = self.topic(id)?.map(|topic| (topic.no, topic.epoch)) else {
            return Ok(None);
        };
        let sql = "SELECT ts FROM sf_append_keys WHERE key = ?1 AND topic = ?2";
        let mut statement = self.statement(sql)?;
        let ts = statement.query_row(params![key, no], |row| count(row, 0)).optional()?;
        Ok(ts.map(|ts| Appended { epoch, ts: TopicSeq(ts) }))
    }

    /// Appends; the caller knows that `key` is a new one. Without a key it will not be repeated.
    /// What is kept no longer goes with the group.
    pub(super) fn append_event(
        &mut self,
        key: Option<&str>,
        publication: &Publication,
        retention: Retention,
        fresh_epoch: Epoch,
    ) -> Sql<Appended> {
        let Publication { topic: id, name, bodies } = publication;
        self.touch(id, fresh_epoch, retention)?;
        let now = self.now;
        let body = event_body(bodies);
        let bytes = (name.as_bytes().len() + publication.bytes()) as u64;
        let Some(topic) = self.kept.topics.change(id, Durable::Now) else {
            debug_assert!(false, "a topic that was touched is known");
            return Err(rusqlite::Error::QueryReturnedNoRows);
        };
        let first = topic.entries() == 0;
        topic.head = topic.head.next();
        topic.bytes += bytes;
        if first {
            topic.first_at = now;
        }
        let (no, appended) = (topic.no, Appended { epoch: topic.epoch, ts: topic.head });
        self.kept.totals.log_bytes += bytes;
        self.kept.totals.log_entries += 1;
        let ts = int(appended.ts.0);
        let entry = params![no, ts, int(now.0), name.as_str(), text(&body), int(bytes)];
        self.db.run(Hot::InsertEntry, entry)?;
        if let Some(key) = key {
            let sql = "INSERT INTO sf_append_keys(key, topic, ts, at_ms) VALUES (?1, ?2, ?3, ?4)";
            self.run(sql, params![key, no, ts, int(now.0)])?;
        }
        if first {
            self.reschedule_topic(id)?;
        }
        Ok(appended)
    }

    /// Forgets keys of publications from outside of commands that are too old or too many, a part
    /// at a time.
    pub(super) fn forget_direct_keys(&mut self) -> Sql<()> {
        let (limits, totals) = (&self.kept.limits, &self.kept.totals);
        let too_many = totals.direct_keys.saturating_sub(limits.direct_keys_max);
        let old = totals.oldest_key.after(limits.direct_keys) <= self.now;
        if too_many == 0 && !old || totals.direct_keys == 0 {
            return Ok(());
        }
        let age = Now(0).after(limits.direct_keys).0;
        // Keys are numbered in the order of their times.
        let sql = "DELETE FROM sf_append_keys WHERE no IN (SELECT no FROM sf_append_keys \
                   WHERE key >= 'd:' ORDER BY no LIMIT ?1)";
        let mut gone = self.run(sql, [int(too_many)])? as u64;
        let sql = "DELETE FROM sf_append_keys WHERE no IN (SELECT no FROM sf_append_keys \
                   WHERE key >= 'd:' AND at_ms + ?1 <= ?2 ORDER BY no LIMIT ?3)";
        gone += self.run(sql, params![int(age), int(self.now.0), KEYS_AT_ONCE])? as u64;
        self.kept.totals.direct_keys -= gone;
        let sql = "SELECT at_ms FROM sf_append_keys WHERE key >= 'd:' ORDER BY no LIMIT 1";
        let oldest = self.statement(sql)?.query_row([], |row| time(row, 0)).optional()?;
        self.kept.totals.oldest_key = oldest.unwrap_or(self.now);
        Ok(())
    }
}
