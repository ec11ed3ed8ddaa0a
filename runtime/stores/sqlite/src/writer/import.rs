//! Puts what another store had into the tables, and lists what has to be put into another one. Each
//! call is one transaction. The text of an export is not known here.

use rusqlite::{Error, OptionalExtension, params};

use steadfast::session::Now;
use steadfast::session::store::{LogEntry, MessageId, Retention, TopicHead, TopicId, UsedId};
use steadfast::store::{AgedEntry, Exported, ImportedLog, ListedId};
use steadfast::wire::{Epoch, TopicSeq};

use super::cache::Durable;
use super::kept::Tables;
use crate::file::mixed;
use crate::rows::{Sql, count, event_body, int, name, outcome, text, time};

/// What can't be put into the tables, and why.
fn refused(why: impl Into<String>) -> Error {
    Error::ToSqlConversionFailure(why.into().into())
}

impl Tables<'_, '_> {
    pub(super) fn list_ids(
        &self,
        after: Option<&MessageId>,
        (max, max_bytes): (u32, u64),
    ) -> Sql<Vec<ListedId>> {
        let sql = "SELECT principal, message, id, hash, outcome, error, body, due_ms FROM sf_ids \
                   WHERE due_ms > ?1 AND (principal, message, id) > (?2, ?3, ?4) \
                   ORDER BY principal, message, id LIMIT ?5";
        let (principal, message, id) =
            after.map_or(("", "", ""), |id| (&*id.principal, id.message.as_str(), &*id.text));
        let mut statement = self.statement(sql)?;
        let params = params![int(self.now.0), principal, message, id, max];
        let (mut bytes, mut page) = (0, Vec::new());
        let mut listed = statement.query_map(params, |row| {
            let id = MessageId {
                principal: row.get::<_, String>(0)?.into(),
                message: name(row, 1)?,
                text: row.get::<_, String>(2)?.into(),
            };
            let hash = row.get::<_, i64>(3)?.cast_unsigned();
            let used = UsedId { hash, outcome: outcome(row, 4)? };
            Ok(ListedId { id, used, keep_ms: Now(count(row, 7)?).since(self.now) })
        })?;
        while let Some(id) = listed.next().transpose()? {
            bytes += id.bytes();
            if !page.is_empty() && bytes > max_bytes {
                break;
            }
            page.push(id);
        }
        Ok(page)
    }

    pub(super) fn import(&mut self, incarnation: u64, pieces: &[Exported]) -> Sql<()> {
        for piece in pieces {
            piece.check().map_err(refused)?;
            match piece {
                Exported::Id(id) => self.import_id(id)?,
                Exported::Topic { topic, head, retention } => {
                    self.import_topic(topic, *head, *retention, incarnation)?;
                }
                Exported::Entries { topic, entries } => self.import_entries(topic, entries)?,
                other => return Err(refused(format!("this version does not know {other:?}"))),
            }
        }
        Ok(())
    }

    fn import_id(&mut self, listed: &ListedId) -> Sql<()> {
        let ListedId { id, used, keep_ms } = listed;
        if self.used_id(id)?.is_some() {
            return Err(refused(format!("{id:?} is in use")));
        }
        let (totals, limits) = (&self.kept.totals, &self.kept.limits);
        if totals.ids >= limits.ids || totals.id_bytes + listed.bytes() > limits.id_bytes {
            return Err(refused("there is no room for more ids"));
        }
        self.keep_id(id, (used.hash, &used.outcome), *keep_ms)
    }

    fn import_topic(
        &mut self,
        id: &TopicId,
        head: TopicHead,
        retention: Retention,
        incarnation: u64,
    ) -> Sql<()> {
        if self.topic(id)?.is_some() {
            return Err(refused(format!("there is a topic {id:?}")));
        }
        if self.kept.totals.topics >= self.kept.limits.topics as u64 {
            return Err(refused("there is no room for more topics"));
        }
        let epoch = mixed(head.epoch.0.cast_signed(), incarnation);
        self.make_topic(id, Epoch(epoch.cast_unsigned()), retention)?;
        if let Some(topic) = self.kept.topics.change(id, Durable::Now) {
            (topic.head, topic.oldest) = (head.head, head.head.next());
        }
        Ok(())
    }

    fn import_entries(&mut self, id: &TopicId, entries: &[AgedEntry]) -> Sql<()> {
        let now = self.now;
        let Some(topic) = self.topic(id)? else {
            return Err(refused(format!("there is no topic {id:?} for its entries")));
        };
        let (no, before) = (topic.no, topic.bytes);
        let mut log = ImportedLog {
            head: topic.head,
            oldest: topic.oldest,
            bytes: before,
            retention: topic.retention,
        };
        let mut first_at = self.appended_at(no, log.oldest)?.unwrap_or(now);
        let oldest = log.oldest;
        let room = self.kept.limits.log_bytes.saturating_sub(self.kept.totals.cost_of_logs());
        for aged in entries {
            if !log.take(id, aged).map_err(refused)? {
                continue;
            }
            let entries = oldest.0 - log.oldest.0;
            if LogEntry::cost(entries, log.bytes - before) > room {
                return Err(refused("there is no room for more entries"));
            }
            let AgedEntry { age_ms, entry } = aged;
            first_at = first_at.min(Now(now.0.saturating_sub(*age_ms)));
            let sql = "INSERT INTO sf_log(topic, ts, at_ms, name, body, bytes) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let (name, body) = (entry.name.as_str(), event_body(&entry.bodies));
            let (ts, at, bytes) = (int(entry.ts.0), int(first_at.0), int(entry.bytes()));
            self.run(sql, params![no, ts, at, name, text(&body), bytes])?;
        }
        if let Some(topic) = self.kept.topics.change(id, Durable::Now) {
            (topic.oldest, topic.first_at, topic.bytes) = (log.oldest, first_at, log.bytes);
        }
        self.kept.totals.log_bytes += log.bytes - before;
        self.kept.totals.log_entries += oldest.0 - log.oldest.0;
        self.reschedule_topic(id)
    }

    fn appended_at(&self, topic: i64, ts: TopicSeq) -> Sql<Option<Now>> {
        let sql = "SELECT at_ms FROM sf_log WHERE topic = ?1 AND ts = ?2";
        let params = params![topic, int(ts.0)];
        self.statement(sql)?.query_row(params, |row| time(row, 0)).optional()
    }
}
