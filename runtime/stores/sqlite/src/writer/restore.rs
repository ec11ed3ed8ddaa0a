//! Puts what another store had into the tables, and lists what has to be put into another one. Each
//! call is one transaction. The text of an export is not known here.

use rusqlite::{Error, params};

use steadfast::session::Now;
use steadfast::session::store::{MessageId, Retention, TopicHead, TopicId, UsedId};
use steadfast::store::{AgedEntry, Exported, ListedId};
use steadfast::wire::{Epoch, TopicSeq};

use super::cache::Durable;
use super::kept::Tables;
use crate::file::mixed;
use crate::rows::{Sql, count, event_body, int, name, outcome, text};

/// What can't be put into the tables, and why.
fn refused(why: impl Into<String>) -> Error {
    Error::ToSqlConversionFailure(why.into().into())
}

impl Tables<'_> {
    pub(super) fn list_ids(&self, after: Option<&MessageId>, max: u32) -> Sql<Vec<ListedId>> {
        let sql = "SELECT principal, message, id, hash, outcome, error, body, due_ms FROM sf_ids \
                   WHERE due_ms > ?1 AND (principal, message, id) > (?2, ?3, ?4) \
                   ORDER BY principal, message, id LIMIT ?5";
        let (principal, message, id) =
            after.map_or(("", "", ""), |id| (&*id.principal, id.message.as_str(), &*id.text));
        let mut statement = self.statement(sql)?;
        let params = params![int(self.now.0), principal, message, id, max];
        let listed = statement.query_map(params, |row| {
            let id = MessageId {
                principal: row.get::<_, String>(0)?.into(),
                message: name(row, 1)?,
                text: row.get::<_, String>(2)?.into(),
            };
            let hash = row.get::<_, i64>(3)?.cast_unsigned();
            let used = UsedId { hash, outcome: outcome(row, 4)? };
            Ok(ListedId { id, used, keep_ms: Now(count(row, 7)?).since(self.now) })
        })?;
        listed.collect()
    }

    pub(super) fn restore(&mut self, incarnation: u64, pieces: &[Exported]) -> Sql<()> {
        for piece in pieces {
            match piece {
                Exported::Id(id) => self.restore_id(id)?,
                Exported::Topic { topic, head, retention } => {
                    self.restore_topic(topic, *head, *retention, incarnation)?;
                }
                Exported::Entries { topic, entries } => self.restore_entries(topic, entries)?,
                other => return Err(refused(format!("this version does not know {other:?}"))),
            }
        }
        Ok(())
    }

    fn restore_id(&mut self, ListedId { id, used, keep_ms }: &ListedId) -> Sql<()> {
        if self.used_id(id)?.is_some() {
            return Err(refused(format!("{id:?} is in use")));
        }
        let (totals, limits) = (&self.kept.totals, &self.kept.limits);
        let bytes = id.bytes() + super::ids::outcome_bytes(&used.outcome);
        if totals.ids >= limits.ids || totals.id_bytes + bytes > limits.id_bytes {
            return Err(refused("there is no room for more ids"));
        }
        self.keep_id(id, (used.hash, &used.outcome), *keep_ms)
    }

    fn restore_topic(
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

    fn restore_entries(&mut self, id: &TopicId, entries: &[AgedEntry]) -> Sql<()> {
        let now = self.now;
        let Some(topic) = self.topic(id)? else {
            return Err(refused(format!("there is no topic {id:?} for its entries")));
        };
        let no = topic.no;
        let (mut oldest, mut first_at) = (topic.oldest, topic.first_at);
        let more: u64 = entries.iter().map(|aged| aged.entry.bytes()).sum();
        if self.kept.totals.log_bytes + more > self.kept.limits.log_bytes {
            return Err(refused("there is no room for more entries"));
        }
        for AgedEntry { age_ms, entry } in entries {
            if entry.ts == TopicSeq::ZERO || entry.ts.next() != oldest {
                let (ts, oldest) = (entry.ts.0, oldest.0);
                let why = format!("{id:?}: entry {ts} does not come right before {oldest}");
                return Err(refused(why));
            }
            oldest = entry.ts;
            first_at = first_at.min(Now(now.0.saturating_sub(*age_ms)));
            let body = text(event_body(&entry.bodies));
            let (ts, bytes) = (int(entry.ts.0), int(entry.bytes()));
            let sql = "INSERT INTO sf_log(topic, ts, at_ms, name, body, bytes) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let name = entry.name.as_str();
            self.run(sql, params![no, ts, int(first_at.0), name, body, bytes])?;
        }
        if let Some(topic) = self.kept.topics.change(id, Durable::Now) {
            (topic.oldest, topic.first_at) = (oldest, first_at);
            topic.bytes += more;
        }
        self.kept.totals.log_bytes += more;
        self.reschedule_topic(id)
    }
}
