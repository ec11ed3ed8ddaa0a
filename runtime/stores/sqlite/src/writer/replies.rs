//! How many bytes of replies leases may keep: each, all of one principal, and all in all. What
//! shrinks is answered with "unknown" (PROTOCOL.md 5.7); no record goes for it.

use rusqlite::{OptionalExtension, params};

use steadfast::session::store::PrincipalId;
use steadfast::wire::{CommandNo, LeaseId};

use super::cache::Durable;
use super::kept::Tables;
use super::records::shrunk;
use crate::rows::{Sql, count, int, lease_id, outcome_columns, outcome_word, text};

impl Tables<'_, '_> {
    /// A record of a lease was written that has so many bytes of reply.
    pub(super) fn count_reply(&mut self, id: LeaseId, n: CommandNo, bytes: u64) -> Sql<()> {
        if bytes == 0 {
            return Ok(());
        }
        let Some(lease) = self.kept.leases.change(&id, Durable::Later) else { return Ok(()) };
        lease.reply_bytes += bytes;
        lease.shrunk_below = lease.shrunk_below.min(n);
        self.kept.totals.reply_bytes += bytes;
        let share = self.share_of(id)?;
        self.shrink_replies(id, share.min(self.kept.limits.lease_bytes), n, share)?;
        self.take_replies()
    }

    /// So many bytes of a lease's replies are gone.
    pub(super) fn free_replies(&mut self, id: LeaseId, freed: u64) {
        if freed > 0
            && let Some(lease) = self.kept.leases.change(&id, Durable::Later)
        {
            lease.reply_bytes -= freed;
            self.kept.totals.reply_bytes -= freed;
        }
    }

    /// What a lease may keep. It is shared out already; here it is found out again for a lease that
    /// was read from its row.
    fn share_of(&mut self, id: LeaseId) -> Sql<u64> {
        let Some(lease) = self.kept.leases.get(&id) else { return Ok(0) };
        if let Some(share) = lease.share {
            return Ok(share);
        }
        let principal = lease.principal.clone();
        let theirs = self.leases_of(&principal)?.len();
        let share = self.share(theirs);
        if let Some(lease) = self.kept.leases.change(&id, Durable::Later) {
            lease.share = Some(share);
        }
        Ok(share)
    }

    fn share(&self, leases: usize) -> u64 {
        self.kept.limits.principal_bytes / leases.max(1) as u64
    }

    /// Gives each lease of a principal the same share of what the principal may keep, when one has
    /// come or gone. So a commit has to look at its own lease only.
    pub(super) fn share_out(&mut self, principal: &PrincipalId) -> Sql<()> {
        let theirs = self.leases_of(principal)?;
        let share = self.share(theirs.len());
        for id in theirs {
            let Some(lease) = self.kept.leases.change(&id, Durable::Later) else { continue };
            lease.share = Some(share);
            let (no, bytes) = (lease.no, lease.reply_bytes);
            let limit = share.min(self.kept.limits.lease_bytes);
            if bytes > limit {
                let sql = "SELECT COALESCE(max(n), 0) FROM sf_records WHERE lease = ?1";
                let highest = self.statement(sql)?.query_row([no], |row| count(row, 0))?;
                self.shrink_replies(id, limit, CommandNo(highest), share)?;
            }
        }
        Ok(())
    }

    /// Shrinks the replies of the lowest numbers until all of them together take no more than
    /// `limit` bytes. That of `latest` goes last, and only if it alone is longer than `longest`.
    fn shrink_replies(
        &mut self,
        id: LeaseId,
        limit: u64,
        latest: CommandNo,
        longest: u64,
    ) -> Sql<()> {
        let Some(lease) = self.kept.leases.get(&id) else { return Ok(()) };
        let (no, mut bytes, from) = (lease.no, lease.reply_bytes, lease.shrunk_below);
        if bytes <= limit {
            return Ok(());
        }
        let sql = "SELECT n, reply_bytes FROM sf_records WHERE lease = ?1 AND n >= ?2 ORDER BY n";
        let mut shrinking = Vec::new();
        {
            let mut statement = self.statement(sql)?;
            let mut rows = statement.query(params![no, int(from.0)])?;
            while bytes > limit
                && let Some(row) = rows.next()?
            {
                let (n, reply) = (CommandNo(count(row, 0)?), count(row, 1)?);
                if reply > 0 && (n != latest || reply > longest) {
                    bytes -= reply;
                    shrinking.push((n, reply));
                }
            }
        }
        for (n, reply) in shrinking {
            self.shrink(no, n)?;
            self.free_replies(id, reply);
            if n < latest
                && let Some(lease) = self.kept.leases.change(&id, Durable::Later)
            {
                lease.shrunk_below = n.next();
            }
        }
        Ok(())
    }

    /// Keeps no reply of a lease, if it is there still.
    pub(super) fn forget_outcomes_of(&mut self, id: LeaseId) -> Sql<()> {
        self.shrink_replies(id, 0, CommandNo::ZERO, 0)
    }

    fn shrink(&self, lease: i64, n: CommandNo) -> Sql<()> {
        let sql = "UPDATE sf_records SET outcome = ?3, error = ?4, body = ?5, reply_bytes = 0 \
                   WHERE lease = ?1 AND n = ?2";
        let unknown = shrunk();
        let (error, body) = outcome_columns(&unknown);
        let word = outcome_word(&unknown);
        self.run(sql, params![lease, int(n.0), word, error, body.map(text)]).map(|_| ())
    }

    /// Takes the replies of lease after lease while there are too many bytes of them in all. Each
    /// lease that is looked at has had commits for it, so this costs O(1) per commit over time.
    fn take_replies(&mut self) -> Sql<()> {
        while self.kept.totals.reply_bytes > self.kept.limits.reply_bytes {
            let sql = "SELECT no, id FROM sf_leases WHERE no > ?1 AND EXISTS (SELECT 1 \
                       FROM sf_records WHERE lease = no AND reply_bytes > 0) ORDER BY no LIMIT 1";
            let mut next = self.statement(sql)?;
            let mut after = |hand: i64| {
                next.query_row([hand], |row| Ok((row.get(0)?, lease_id(row, 1)?))).optional()
            };
            let mut found: Option<(i64, LeaseId)> = after(self.kept.totals.hand)?;
            if found.is_none() {
                found = after(0)?;
            }
            let Some((no, id)) = found else {
                debug_assert!(false, "bytes are some lease's");
                return Ok(());
            };
            self.kept.totals.hand = no;
            if self.lease(id)?.is_some() {
                self.shrink_replies(id, 0, CommandNo::ZERO, 0)?;
            }
        }
        Ok(())
    }
}
