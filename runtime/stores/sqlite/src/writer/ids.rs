//! The application's own ids of commands (PROTOCOL.md 5.20): taken with a record, kept for their
//! time, counted for each principal. They outlive the leases of the commands that took them.

use rusqlite::{OptionalExtension, params};

use steadfast::session::store::{CommitId, MessageId, Outcome, Quota, StoreOutcome, UsedId};

use super::kept::Tables;
use super::records::shrunk;
use crate::rows::{
    Sql, bits, count, int, maybe_time, outcome, outcome_columns, outcome_word, text,
};

/// How many ids whose time is over go in one group, so that no group takes long.
const GO_AT_ONCE: u32 = 1_000;

impl Tables<'_, '_> {
    pub(super) fn find_id(&self, id: &MessageId, max: u32, max_bytes: u64) -> Sql<StoreOutcome> {
        if let Some(used) = self.used_id(id)? {
            return Ok(StoreOutcome::UsedId(Box::new(used)));
        }
        let (ids, bytes) = self.ids_of(&id.principal)?;
        let (totals, limits) = (&self.kept.totals, &self.kept.limits);
        let may = Quota::new(max.into(), limits.ids).admits(ids, totals.ids)
            && Quota::new(max_bytes, limits.id_bytes).admits(bytes, totals.id_bytes);
        Ok(if may { StoreOutcome::UnusedId } else { StoreOutcome::TooManyIds })
    }

    /// How many ids a principal has in use, and their bytes.
    fn ids_of(&self, principal: &str) -> Sql<(u64, u64)> {
        let sql = "SELECT ids, bytes FROM sf_id_owners WHERE principal = ?1";
        let share = self
            .statement(sql)?
            .query_row([principal], |row| Ok((count(row, 0)?, count(row, 1)?)))
            .optional()?;
        Ok(share.unwrap_or_default())
    }

    /// Lets go of all ids of a principal. How many there were.
    pub(super) fn forget_ids_of(&mut self, principal: &str) -> Sql<u64> {
        let (ids, bytes) = self.ids_of(principal)?;
        self.run("DELETE FROM sf_ids WHERE principal = ?1", [principal])?;
        self.run("DELETE FROM sf_id_owners WHERE principal = ?1", [principal])?;
        self.kept.totals.ids -= ids;
        self.kept.totals.id_bytes -= bytes;
        Ok(ids)
    }

    /// What an id stands for.
    pub(super) fn used_id(&self, id: &MessageId) -> Sql<Option<UsedId>> {
        let sql = "SELECT hash, outcome, error, body FROM sf_ids \
                   WHERE principal = ?1 AND message = ?2 AND id = ?3 AND due_ms > ?4";
        let key = params![&*id.principal, id.message.as_str(), &*id.text, int(self.now.0)];
        let used = self.statement(sql)?.query_row(key, |row| {
            let hash = row.get::<_, i64>(0)?.cast_unsigned();
            Ok(UsedId { hash, outcome: outcome(row, 1)? })
        });
        used.optional()
    }

    pub(super) fn take_id(&mut self, taken: &CommitId, outcome: &Outcome) -> Sql<()> {
        let CommitId { id, hash, keep_ms } = taken;
        self.keep_id(id, (*hash, outcome), *keep_ms)
    }

    /// A command takes an id that is not in use. What would be beyond the bytes of all ids is kept
    /// as "unknown": the command must not run again all the same.
    pub(super) fn keep_id(
        &mut self,
        id: &MessageId,
        (hash, outcome): (u64, &Outcome),
        keep_ms: u64,
    ) -> Sql<()> {
        // It may be there, and its time be over.
        let (principal, message, text_of) = (&*id.principal, id.message.as_str(), &*id.text);
        let sql = "DELETE FROM sf_ids WHERE principal = ?1 AND message = ?2 AND id = ?3 \
                   RETURNING bytes";
        let mut statement = self.statement(sql)?;
        let old = statement.query_row([principal, message, text_of], |row| count(row, 0));
        if let Some(bytes) = old.optional()? {
            self.count_out(principal, bytes)?;
        }
        let mut outcome = outcome.clone();
        let room = self.kept.limits.id_bytes.saturating_sub(self.kept.totals.id_bytes);
        if id.bytes() + outcome.said_bytes() > room {
            outcome = shrunk();
        }
        let bytes = id.bytes() + outcome.said_bytes();
        let due = self.now.after_ms(keep_ms);
        let (error, body) = outcome_columns(&outcome);
        let sql = "INSERT INTO sf_ids(principal, message, id, hash, outcome, error, body, bytes, \
                   due_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.run(
            sql,
            params![
                principal,
                message,
                text_of,
                bits(hash),
                outcome_word(&outcome),
                error,
                body.map(text),
                int(bytes),
                int(due.0),
            ],
        )?;
        let sql = "INSERT INTO sf_id_owners(principal, ids, bytes) VALUES (?1, 1, ?2) \
                   ON CONFLICT DO UPDATE SET ids = ids + 1, bytes = bytes + excluded.bytes";
        self.run(sql, params![principal, int(bytes)])?;
        let totals = &mut self.kept.totals;
        totals.ids += 1;
        totals.id_bytes += bytes;
        totals.id_due = totals.id_due.min(due);
        Ok(())
    }

    fn count_out(&mut self, principal: &str, bytes: u64) -> Sql<()> {
        let sql = "UPDATE sf_id_owners SET ids = ids - 1, bytes = bytes - ?2 WHERE principal = ?1";
        self.run(sql, params![principal, int(bytes)])?;
        let sql = "DELETE FROM sf_id_owners WHERE principal = ?1 AND ids = 0";
        self.run(sql, [principal])?;
        self.kept.totals.ids -= 1;
        self.kept.totals.id_bytes -= bytes;
        Ok(())
    }

    /// Lets go of those that have been kept for long enough.
    pub(super) fn expire_ids(&mut self) -> Sql<()> {
        if self.kept.totals.id_due > self.now {
            return Ok(());
        }
        let sql = "DELETE FROM sf_ids WHERE (principal, message, id) IN \
                   (SELECT principal, message, id FROM sf_ids WHERE due_ms <= ?1 LIMIT ?2) \
                   RETURNING principal, bytes";
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map(params![int(self.now.0), GO_AT_ONCE], |row| {
            Ok((row.get::<_, String>(0)?, count(row, 1)?))
        })?;
        let gone: Vec<(String, u64)> = rows.collect::<Sql<_>>()?;
        for (principal, bytes) in gone {
            self.count_out(&principal, bytes)?;
        }
        let next = self
            .statement("SELECT min(due_ms) FROM sf_ids")?
            .query_row([], |row| maybe_time(row, 0))?;
        self.kept.totals.id_due = next.unwrap_or(super::kept::NEVER);
        Ok(())
    }
}
