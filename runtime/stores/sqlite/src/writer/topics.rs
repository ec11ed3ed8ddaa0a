//! Topics (PROTOCOL.md 7.1): epochs, heads, retention, and which of them is forgotten first. What
//! an entry is made of is not known here.

use rusqlite::{OptionalExtension, params};

use steadfast::session::Now;
use steadfast::session::store::{LogEntry, Retention, TopicHead, TopicId};
use steadfast::wire::{Epoch, TopicSeq};

use super::cache::Durable;
use super::kept::Tables;
use super::leases::EXPIRED_AT_ONCE;
use super::ready::Hot;
use crate::rows::{Sql, bits, count, int, retention, time, topic};

/// A topic as the writer knows it.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    /// Its row.
    pub(super) no: i64,
    pub(super) epoch: Epoch,
    pub(super) head: TopicSeq,
    /// The oldest entry; `head + 1` if there is none.
    pub(super) oldest: TopicSeq,
    pub(super) bytes: u64,
    used: Now,
    pub(super) retention: Retention,
    /// No entry is older.
    pub(super) first_at: Now,
}

impl Topic {
    pub(super) const fn standing(&self) -> TopicHead {
        TopicHead { epoch: self.epoch, head: self.head, oldest: self.oldest }
    }

    pub(super) const fn entries(&self) -> u64 {
        self.head.0 + 1 - self.oldest.0
    }
}

impl Tables<'_, '_> {
    /// A topic, if there is one.
    pub(super) fn topic(&mut self, id: &TopicId) -> Sql<Option<&Topic>> {
        let until = match self.kept.topics.get(id) {
            Some(topic) => self.until(topic),
            None => {
                let Some(topic) = self.read_topic(id)? else { return Ok(None) };
                let until = self.until(&topic);
                self.kept.topics.loaded(id.clone(), topic);
                until
            }
        };
        if until <= self.now {
            self.forget_topic(id)?;
        }
        Ok(self.kept.topics.get(id))
    }

    fn read_topic(&self, id: &TopicId) -> Sql<Option<Topic>> {
        // After a crash the time of use may be older than the latest entry, which was use, too.
        let sql = "SELECT no, epoch, head, oldest, bytes, max(used_ms, COALESCE((SELECT at_ms \
                   FROM sf_log WHERE topic = no AND ts = head), 0)), keep_entries, keep_bytes, \
                   keep_ms FROM sf_topics WHERE name = ?1 AND key = ?2";
        let mut statement = self.statement(sql)?;
        let found = statement.query_row(params![id.name.as_str(), &*id.key], |row| {
            Ok(Topic {
                no: row.get(0)?,
                epoch: Epoch(row.get::<_, i64>(1)?.cast_unsigned()),
                head: TopicSeq(count(row, 2)?),
                oldest: TopicSeq(count(row, 3)?),
                bytes: count(row, 4)?,
                used: time(row, 5)?,
                retention: retention(row, 6)?,
                first_at: Now(0),
            })
        });
        found.optional()
    }

    /// Writes where a topic stands, and not when it was used: that is in an index, and can wait.
    pub(super) fn write_head(&self, id: &TopicId) -> Sql<()> {
        let Some(topic) = self.kept.topics.get(id) else { return Ok(()) };
        let (head, oldest) = (int(topic.head.0), int(topic.oldest.0));
        self.db.run(Hot::WriteHead, [topic.no, head, oldest, int(topic.bytes)]).map(drop)
    }

    /// Writes the part of a topic's row that changes.
    pub(super) fn write_topic(&self, id: &TopicId) -> Sql<()> {
        let Some(topic) = self.kept.topics.get(id) else { return Ok(()) };
        let Retention { entries, bytes, ttl, .. } = topic.retention;
        self.db.run(
            Hot::WriteTopic,
            params![
                topic.no,
                int(topic.head.0),
                int(topic.oldest.0),
                int(topic.bytes),
                int(topic.used.0),
                entries,
                int(bytes),
                int(Now(0).after(ttl).0),
            ],
        )?;
        Ok(())
    }

    /// When a whole topic is forgotten, if nobody uses it again.
    fn until(&self, topic: &Topic) -> Now {
        let limits = &self.kept.limits;
        let until = topic.used.after(topic.retention.ttl).after(limits.topic_memory);
        if topic.head == TopicSeq::ZERO {
            return until.min(topic.used.after(limits.empty_topic_memory));
        }
        until
    }

    /// Finds a topic, or makes it. Counts as use.
    pub(super) fn touch(
        &mut self,
        id: &TopicId,
        fresh_epoch: Epoch,
        retention: Retention,
    ) -> Sql<()> {
        match self.topic(id)? {
            None => self.make_topic(id, fresh_epoch, retention),
            Some(topic) if topic.retention != retention => {
                if let Some(topic) = self.kept.topics.change(id, Durable::Now) {
                    topic.retention = retention;
                }
                self.used(id);
                self.write_topic(id)?;
                self.reschedule_topic(id)
            }
            Some(_) => {
                self.used(id);
                Ok(())
            }
        }
    }

    fn used(&mut self, id: &TopicId) {
        let now = self.now;
        if let Some(topic) = self.kept.topics.change(id, Durable::Later) {
            topic.used = topic.used.max(now);
        }
    }

    pub(super) fn make_topic(
        &mut self,
        id: &TopicId,
        epoch: Epoch,
        retention: Retention,
    ) -> Sql<()> {
        let mut topic = Topic {
            no: 0,
            epoch,
            head: TopicSeq::ZERO,
            oldest: TopicSeq(1),
            bytes: 0,
            used: self.now,
            retention,
            first_at: self.now,
        };
        let due = self.until(&topic);
        let sql = "INSERT INTO sf_topics(name, key, epoch, head, oldest, bytes, used_ms, due_ms, \
                   keep_entries, keep_bytes, keep_ms) \
                   VALUES (?1, ?2, ?3, 0, 1, 0, ?4, ?5, ?6, ?7, ?8)";
        let Retention { entries, bytes, ttl, .. } = retention;
        self.run(
            sql,
            params![
                id.name.as_str(),
                &*id.key,
                bits(epoch.0),
                int(self.now.0),
                int(due.0),
                entries,
                int(bytes),
                int(Now(0).after(ttl).0),
            ],
        )?;
        topic.no = self.db.last_insert_rowid();
        self.kept.totals.topics += 1;
        self.kept.totals.topic_due = self.kept.totals.topic_due.min(due);
        self.kept.topics.made(id.clone(), topic);
        Ok(())
    }

    /// The topic to forget when there are too many, another one than `present`: one that never had
    /// an entry, if there is one.
    fn first_to_go(&mut self, present: Option<i64>) -> Sql<Option<TopicId>> {
        self.flush(true)?;
        let sql = "SELECT name, key FROM sf_topics WHERE no IS NOT ?1 AND head = 0 \
                   ORDER BY used_ms, name, key LIMIT 1";
        let empty = self.statement(sql)?.query_row([present], |row| topic(row, 0)).optional()?;
        match empty {
            Some(empty) => Ok(Some(empty)),
            None => self.idle_longest(present, 0),
        }
    }

    /// The topic that was idle longest, another one than `present`, and of so many bytes.
    fn idle_longest(&mut self, present: Option<i64>, bytes: u64) -> Sql<Option<TopicId>> {
        self.flush(true)?;
        let sql = "SELECT name, key FROM sf_topics WHERE no IS NOT ?1 AND bytes >= ?2 \
                   ORDER BY used_ms, name, key LIMIT 1";
        let params = params![present, int(bytes)];
        self.statement(sql)?.query_row(params, |row| topic(row, 0)).optional()
    }

    /// Forgets topics while there are too many, and takes the entries of topics while there are too
    /// many bytes of them: of those first that were idle longest, and of `present` last.
    pub(super) fn keep_topics_within(&mut self, present: &TopicId) -> Sql<()> {
        let (totals, limits) = (&self.kept.totals, &self.kept.limits);
        let full = totals.topics > limits.topics.max(1) as u64;
        if !full && totals.cost_of_logs() <= limits.log_bytes {
            return Ok(());
        }
        self.trim_changed()?;
        let no = self.topic(present)?.map(|topic| topic.no);
        while self.kept.totals.topics > self.kept.limits.topics.max(1) as u64
            && let Some(oldest) = self.first_to_go(no)?
        {
            self.forget_topic(&oldest)?;
        }
        self.empty_the_idle(present, no)
    }

    pub(super) fn forget_topic(&mut self, id: &TopicId) -> Sql<()> {
        if self.kept.topics.get(id).is_none() {
            let Some(topic) = self.read_topic(id)? else { return Ok(()) };
            self.kept.topics.loaded(id.clone(), topic);
        }
        let Some(topic) = self.kept.topics.get(id) else { return Ok(()) };
        let (no, bytes, entries) = (topic.no, topic.bytes, topic.entries());
        let direct = "DELETE FROM sf_append_keys WHERE topic = ?1 AND key >= 'd:'";
        self.kept.totals.direct_keys -= self.run(direct, [no])? as u64;
        self.run("DELETE FROM sf_append_keys WHERE topic = ?1", [no])?;
        self.run("DELETE FROM sf_log WHERE topic = ?1", [no])?;
        self.run("DELETE FROM sf_topics WHERE no = ?1", [no])?;
        self.kept.totals.log_bytes -= bytes;
        self.kept.totals.log_entries -= entries;
        self.kept.totals.topics -= 1;
        self.kept.topics.gone(id);
        Ok(())
    }

    /// Finds a topic, or makes it; where it stands.
    pub(super) fn open_topic(
        &mut self,
        id: &TopicId,
        fresh_epoch: Epoch,
        retention: Retention,
    ) -> Sql<TopicHead> {
        self.touch(id, fresh_epoch, retention)?;
        self.trim(id)?;
        let topic = self.kept.topics.get(id);
        debug_assert!(topic.is_some(), "a topic that was touched is known");
        let none = TopicHead { epoch: fresh_epoch, head: TopicSeq::ZERO, oldest: TopicSeq(1) };
        Ok(topic.map_or(none, Topic::standing))
    }

    /// Where a topic stands, if there is one. Counts as use.
    pub(super) fn look(&mut self, id: &TopicId) -> Sql<Option<TopicHead>> {
        if self.topic(id)?.is_none() {
            return Ok(None);
        }
        self.used(id);
        self.trim(id)?;
        Ok(self.kept.topics.get(id).map(Topic::standing))
    }

    /// Makes the tables say of a topic what is known of it.
    pub(super) fn write_out(&mut self, id: &TopicId) -> Sql<()> {
        if self.topic(id)?.is_some() {
            self.trim(id)?;
            self.write_topic(id)?;
        }
        Ok(())
    }

    /// Lets go of what is kept no longer, in the topics that this group has changed. One statement
    /// does it for all the entries that the group has brought.
    pub(super) fn trim_changed(&mut self) -> Sql<()> {
        for id in self.kept.topics.dirty() {
            self.trim(&id)?;
        }
        Ok(())
    }

    /// Lets go of what is kept no longer.
    pub(super) fn trim(&mut self, id: &TopicId) -> Sql<()> {
        let Some(topic) = self.kept.topics.get(id) else { return Ok(()) };
        let Retention { entries, bytes, ttl, .. } = topic.retention;
        let (count, excess) = (topic.entries(), topic.bytes.saturating_sub(bytes));
        let (first_at, oldest) = (topic.first_at, topic.oldest);
        if excess > 0 && count > 1 {
            self.shorten(id, excess, 0)?;
        }
        if count > u64::from(entries) {
            let below = TopicSeq(oldest.0 + count - u64::from(entries));
            self.drop_below(id, below)?;
        }
        if count > 0 && first_at.after(ttl) <= self.now {
            self.drop_older(id)?;
        }
        Ok(())
    }

    /// Lets go of every entry whose time is over.
    fn drop_older(&mut self, id: &TopicId) -> Sql<()> {
        let Some(topic) = self.kept.topics.get(id) else { return Ok(()) };
        let ttl = Now(0).after(topic.retention.ttl).0;
        let sql = "SELECT ts, at_ms FROM sf_log WHERE topic = ?1 AND at_ms + ?2 > ?3 ORDER BY ts \
                   LIMIT 1";
        let first = |row: &rusqlite::Row<'_>| Ok((TopicSeq(count(row, 0)?), time(row, 1)?));
        let mut statement = self.statement(sql)?;
        let young = statement.query_row(params![topic.no, int(ttl), int(self.now.0)], first);
        let below = match young.optional()? {
            Some((first, at)) => {
                if let Some(topic) = self.kept.topics.change(id, Durable::Later) {
                    topic.first_at = at;
                }
                first
            }
            None => topic.head.next(),
        };
        self.drop_below(id, below)
    }

    /// Lets go of so many bytes of entries or a few more, with so many for each beside its own, the
    /// latest entry excepted.
    fn shorten(&mut self, id: &TopicId, excess: u64, beside: u64) -> Sql<()> {
        let Some(topic) = self.kept.topics.get(id) else { return Ok(()) };
        let (no, head) = (topic.no, topic.head);
        let mut below = topic.oldest;
        {
            let sql = "SELECT bytes FROM sf_log WHERE topic = ?1 AND ts < ?2 ORDER BY ts";
            let mut statement = self.statement(sql)?;
            let mut rows = statement.query(params![no, int(head.0)])?;
            let mut freed = 0;
            while freed < excess
                && let Some(row) = rows.next()?
            {
                freed += count(row, 0)? + beside;
                below = below.next();
            }
        }
        self.drop_below(id, below)
    }

    /// Lets go of every entry below a number.
    fn drop_below(&mut self, id: &TopicId, below: TopicSeq) -> Sql<()> {
        let Some(topic) = self.kept.topics.get(id) else { return Ok(()) };
        if below <= topic.oldest {
            return Ok(());
        }
        let (entries, gone) = ([topic.no, int(below.0)], below.0 - topic.oldest.0);
        let freed = self.db.count(Hot::DroppedBytes, entries)?;
        self.db.run(Hot::DropEntries, entries)?;
        if let Some(topic) = self.kept.topics.change(id, Durable::Now) {
            topic.oldest = below;
            topic.bytes -= freed;
        }
        self.kept.totals.log_bytes -= freed;
        self.kept.totals.log_entries -= gone;
        Ok(())
    }

    fn empty_the_idle(&mut self, present: &TopicId, no: Option<i64>) -> Sql<()> {
        let limit = self.kept.limits.log_bytes;
        if self.kept.totals.cost_of_logs() <= limit {
            return Ok(());
        }
        while self.kept.totals.cost_of_logs() > limit - limit / 8
            && let Some(idle) = self.idle_longest(no, 1)?
        {
            let Some(head) = self.topic(&idle)?.map(|topic| topic.head) else { continue };
            self.drop_below(&idle, head.next())?;
        }
        let excess = self.kept.totals.cost_of_logs().saturating_sub(limit);
        self.shorten(present, excess, LogEntry::BYTES_BESIDE)
    }

    pub(super) fn reschedule_topic(&mut self, id: &TopicId) -> Sql<()> {
        let Some(topic) = self.kept.topics.get(id) else { return Ok(()) };
        let mut due = self.until(topic);
        if topic.entries() > 0 {
            due = due.min(topic.first_at.after(topic.retention.ttl));
        }
        let sql = "UPDATE sf_topics SET due_ms = ?2 WHERE no = ?1";
        self.run(sql, params![topic.no, int(due.0)])?;
        self.kept.totals.topic_due = self.kept.totals.topic_due.min(due);
        Ok(())
    }

    /// Lets go of what has expired. Looks only at topics whose time may have come.
    pub(super) fn expire_topics(&mut self) -> Sql<()> {
        let sql = "SELECT name, key, due_ms FROM sf_topics ORDER BY due_ms LIMIT 1";
        for _ in 0..EXPIRED_AT_ONCE {
            if self.kept.totals.topic_due > self.now {
                return Ok(());
            }
            let first = |row: &rusqlite::Row<'_>| Ok((topic(row, 0)?, time(row, 2)?));
            let first = self.statement(sql)?.query_row([], first).optional()?;
            let Some((id, due)) = first else {
                self.kept.totals.topic_due = Now(u64::MAX);
                return Ok(());
            };
            if due > self.now {
                self.kept.totals.topic_due = due;
            } else if self.topic(&id)?.is_some() {
                self.drop_older(&id)?;
                self.reschedule_topic(&id)?;
            }
        }
        Ok(())
    }
}
