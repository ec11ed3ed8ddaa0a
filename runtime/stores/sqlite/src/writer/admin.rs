//! What an operator asks of the file, on the writer's thread: each in a transaction of its own,
//! which is on the disk when it is answered. What nodes see of it is not said here.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::params;

use steadfast::session::store::{LogEntry, PrincipalId, TopicHead, TopicId};
use steadfast::store::{AdminError, AgedEntry, BackPage, Erased, ListedTopic, TopicPage};
use steadfast::wire::{Epoch, TopicSeq};

use super::kept::{Kept, Tables};
use super::ready::Ready;
use super::transaction;
use crate::jobs::{Asked, Told};
use crate::rows::{Sql, count, event_bodies, int, name, retention, time, topic};
use steadfast::session::Now;

/// Does what an operator asks for.
pub(super) fn run(
    db: &Ready<'_>,
    kept: &mut Kept,
    now: Now,
    asked: &Asked,
) -> Result<Told, AdminError> {
    if matches!(asked, Asked::Compact) {
        return compact(db, kept, now).map_err(|error| AdminError::Failed(error.to_string()));
    }
    let act = |tables: &mut Tables<'_, '_>| match asked {
        Asked::List(page) => tables.list_topics(page).map(Told::Listed),
        Asked::ReadBack { topic, before, max, max_bytes } => {
            tables.read_back(topic, *before, (*max, *max_bytes)).map(Told::Page)
        }
        Asked::Ids { after, max, max_bytes } => {
            tables.list_ids(after.as_ref(), (*max, *max_bytes)).map(Told::Ids)
        }
        Asked::Import { incarnation, pieces } => {
            tables.import(*incarnation, pieces).map(|()| Told::Imported)
        }
        Asked::Delete(topic) => tables.delete_topic(topic).map(Told::Deleted),
        Asked::Erase(principal) => tables.erase_principal(principal).map(Told::Erased),
        Asked::Compact => Ok(Told::Compacted),
    };
    // What a panic leaves behind is undone with the transaction.
    let done = catch_unwind(AssertUnwindSafe(|| transaction::alone(db, kept, now, act)));
    done.unwrap_or_else(|_| {
        transaction::undo(db, kept);
        Err(AdminError::Failed("it panicked".to_owned()))
    })
}

/// Nothing of it changes what is stored.
fn compact(db: &Ready<'_>, kept: &mut Kept, now: Now) -> Sql<Told> {
    transaction::write_all(db, kept, now)?;
    db.execute_batch("VACUUM")?;
    Ok(Told::Compacted)
}

impl Tables<'_, '_> {
    fn list_topics(&mut self, page: &TopicPage) -> Sql<Vec<ListedTopic>> {
        self.flush(true)?;
        let sql = "SELECT name, key, epoch, head, oldest, bytes, keep_entries, keep_bytes, keep_ms \
                   FROM sf_topics WHERE (name, key) > (?1, ?2) ORDER BY name, key";
        let after = page.after.as_ref();
        let (after_name, after_key) =
            after.map_or(("", ""), |after| (after.name.as_str(), &*after.key));
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query(params![after_name, after_key])?;
        let mut listed = Vec::new();
        while listed.len() < page.max as usize
            && let Some(row) = rows.next()?
        {
            let topic = topic(row, 0)?;
            if page.has(&topic) {
                let head = TopicHead {
                    epoch: Epoch(row.get::<_, i64>(2)?.cast_unsigned()),
                    head: TopicSeq(count(row, 3)?),
                    oldest: TopicSeq(count(row, 4)?),
                };
                let (bytes, retention) = (count(row, 5)?, retention(row, 6)?);
                listed.push(ListedTopic { topic, head, bytes, retention });
            }
        }
        Ok(listed)
    }

    fn read_back(
        &mut self,
        id: &TopicId,
        before: Option<TopicSeq>,
        (max, max_bytes): (u32, u64),
    ) -> Sql<Option<BackPage>> {
        if self.topic(id)?.is_none() {
            return Ok(None);
        }
        self.trim(id)?;
        let Some(topic) = self.kept.topics.get(id) else { return Ok(None) };
        let (no, head, retention) = (topic.no, topic.standing(), topic.retention);
        let before = before.map_or(i64::MAX, |before| int(before.0));
        let sql = "SELECT ts, name, body, bytes, at_ms FROM sf_log WHERE topic = ?1 AND ts < ?2 \
                   AND ts >= ?3 ORDER BY ts DESC LIMIT ?4";
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query(params![no, before, int(head.oldest.0), max])?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            bytes += count(row, 3)?;
            if !entries.is_empty() && bytes > max_bytes {
                break;
            }
            let (ts, name) = (TopicSeq(count(row, 0)?), name(row, 1)?);
            let entry = LogEntry { ts, name, bodies: event_bodies(row, 2)? };
            entries.push(AgedEntry { age_ms: self.now.since(time(row, 4)?), entry });
        }
        Ok(Some(BackPage { head, retention, entries }))
    }

    fn delete_topic(&mut self, id: &TopicId) -> Sql<bool> {
        let there = self.topic(id)?.is_some();
        self.forget_topic(id)?;
        Ok(there)
    }

    fn erase_principal(&mut self, principal: &PrincipalId) -> Sql<Erased> {
        let theirs = self.leases_of(principal)?;
        for id in &theirs {
            self.end_lease(*id)?;
            self.forget_outcomes_of(*id)?;
        }
        let ids = self.forget_ids_of(principal)?;
        Ok(Erased { leases: theirs.len() as u64, ids })
    }
}
