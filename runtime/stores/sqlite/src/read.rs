//! Pages of logs and of unsettled records, read from the tables. Nothing is changed here.

use rusqlite::{Connection, OptionalExtension, params};

use steadfast::session::Now;
use steadfast::session::store::{
    LogEntry, ReadFrom, Record, StoreOp, StoreOutcome, TopicHead, TopicId,
};
use steadfast::wire::{CommandNo, Epoch, LeaseId, TopicSeq};

use crate::rows::{Sql, count, event_bodies, int, lease_id, name, publication, store_time, time};

/// Carries out an operation that only reads; others fail.
pub(crate) fn read(db: &Connection, now: Now, op: &StoreOp) -> Sql<StoreOutcome> {
    match op {
        StoreOp::ListUnsettled { max, max_bytes, after, older_than_ms } => {
            let records = unsettled(db, now, (*max, *max_bytes), *after, *older_than_ms)?;
            Ok(StoreOutcome::Unsettled { at: store_time(now), records })
        }
        StoreOp::ReadLog { topic, epoch, from, max, max_bytes } => {
            let page = Page { epoch: *epoch, from: *from, max: *max, max_bytes: *max_bytes };
            log(db, now, topic, &page)
        }
        _ => {
            debug_assert!(false, "the operation writes");
            Ok(StoreOutcome::Failed)
        }
    }
}

fn unsettled(
    db: &Connection,
    now: Now,
    (max, max_bytes): (u32, u64),
    after: Option<(LeaseId, CommandNo)>,
    older_than_ms: u64,
) -> Sql<Vec<(LeaseId, CommandNo, Record)>> {
    let sql = "SELECT owed.lease, owed.n, hash \
               FROM (SELECT lease, n FROM sf_owed WHERE place = 0 AND (lease, n) > (?1, ?2)) owed \
               JOIN sf_leases ON id = owed.lease \
               JOIN sf_records r ON r.lease = no AND r.n = owed.n \
               WHERE at_ms <= ?3 ORDER BY owed.lease, owed.n LIMIT ?4";
    // Every id is above the empty one.
    let (lease, n) = after.map_or((String::new(), 0), |(id, n)| (id.to_string(), int(n.0)));
    let Some(until) = now.0.checked_sub(older_than_ms) else { return Ok(Vec::new()) };
    let mut statement = db.prepare_cached(sql)?;
    let mut found = statement.query(params![lease, n, int(until), max])?;
    let sql = "SELECT topic, key, name, body FROM sf_owed WHERE lease = ?1 AND n = ?2 \
               ORDER BY place";
    let mut owed = db.prepare_cached(sql)?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        let (id, n) = (lease_id(row, 0)?, CommandNo(count(row, 1)?));
        let rows = owed.query_map(params![id.to_string(), int(n.0)], |row| publication(row, 0))?;
        let (hash, publishes) = (row.get::<_, i64>(2)?.cast_unsigned(), rows.collect::<Sql<_>>()?);
        let record = Record { hash, outcome: Record::unsaid(), publishes, settled: false };
        bytes += record.publish_bytes();
        if !page.is_empty() && bytes > max_bytes {
            break;
        }
        page.push((id, n, record));
    }
    Ok(page)
}

/// What is asked of a log.
struct Page {
    epoch: Epoch,
    from: ReadFrom,
    max: u32,
    max_bytes: u64,
}

fn log(db: &Connection, now: Now, topic: &TopicId, page: &Page) -> Sql<StoreOutcome> {
    let sql = "SELECT no, epoch, head, oldest, keep_ms FROM sf_topics WHERE name = ?1 AND key = ?2";
    let found =
        db.prepare_cached(sql)?.query_row(params![topic.name.as_str(), &*topic.key], |row| {
            let head = TopicHead {
                epoch: Epoch(row.get::<_, i64>(1)?.cast_unsigned()),
                head: TopicSeq(count(row, 2)?),
                oldest: TopicSeq(count(row, 3)?),
            };
            Ok((row.get::<_, i64>(0)?, head, count(row, 4)?))
        });
    let Some((no, mut head, keep_ms)) = found.optional()? else {
        return Ok(StoreOutcome::TopicGone);
    };
    head.oldest = young(db, now, no, head, keep_ms)?;
    if head.epoch != page.epoch {
        return Ok(StoreOutcome::Log { head, entries: Vec::new() });
    }
    let entries = entries(db, no, head, page)?;
    Ok(StoreOutcome::Log { head, entries })
}

/// The oldest entry whose time is not over: the writer has not looked yet.
fn young(db: &Connection, now: Now, no: i64, head: TopicHead, keep_ms: u64) -> Sql<TopicSeq> {
    let sql = "SELECT ts, at_ms FROM sf_log WHERE topic = ?1 AND ts >= ?2 ORDER BY ts";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![no, int(head.oldest.0)])?;
    while let Some(row) = rows.next()? {
        if time(row, 1)?.after_ms(keep_ms) > now {
            return count(row, 0).map(TopicSeq);
        }
    }
    Ok(head.head.next())
}

fn entries(db: &Connection, no: i64, head: TopicHead, page: &Page) -> Sql<Vec<LogEntry>> {
    let first = match page.from {
        ReadFrom::After(ts) => ts.0.saturating_add(1),
        ReadFrom::Last(last) => (head.head.0 + 1).saturating_sub(u64::from(last)),
    };
    let first = first.max(head.oldest.0);
    let sql = "SELECT ts, name, body, bytes FROM sf_log WHERE topic = ?1 AND ts >= ?2 ORDER BY ts \
               LIMIT ?3";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![no, int(first), page.max])?;
    let mut entries = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        bytes += count(row, 3)?;
        if !entries.is_empty() && bytes > page.max_bytes {
            break;
        }
        let (ts, name) = (TopicSeq(count(row, 0)?), name(row, 1)?);
        entries.push(LogEntry { ts, name, bodies: event_bodies(row, 2)? });
    }
    Ok(entries)
}
