//! A new incarnation: what a store becomes that may have lost what it acknowledged. When that is
//! the case is not decided here.

use rusqlite::Connection;
use xxhash_rust::xxh3::xxh3_64;

/// A random name for a store.
pub(super) fn random() -> u64 {
    // A computer without random numbers has no business keeping sessions either.
    getrandom::u64().expect("the operating system has random numbers")
}

/// Every topic gets another epoch (PROTOCOL.md 7.1), and every lease ends (5.1); what leases owe
/// stays.
pub(super) fn begin(db: &Connection) -> rusqlite::Result<()> {
    let incarnation = random();
    db.execute("UPDATE sf_store SET incarnation = ?1", [incarnation.cast_signed()])?;
    let mut topics = db.prepare("SELECT no, epoch FROM sf_topics")?;
    let mut change = db.prepare("UPDATE sf_topics SET epoch = ?2 WHERE no = ?1")?;
    let mut rows = topics.query([])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        changes.push((row.get::<_, i64>(0)?, mixed(row.get(1)?, incarnation)));
    }
    for (no, epoch) in changes {
        change.execute((no, epoch))?;
    }
    // Those that owe nothing are gone at the writer's first look.
    db.execute_batch(
        "DELETE FROM sf_records WHERE settled = 1;
         UPDATE sf_leases SET
             let_go_ms = NULL, due_ms = 0,
             ended_ms = COALESCE(ended_ms, 3600000 + (SELECT served_ms FROM sf_store));
         UPDATE sf_leases SET ended_ms = 0
             WHERE NOT EXISTS (SELECT 1 FROM sf_owed WHERE sf_owed.lease = sf_leases.id);",
    )
}

/// The epoch of a topic in another incarnation.
pub(crate) fn mixed(epoch: i64, incarnation: u64) -> i64 {
    let mut both = [0; 16];
    both[..8].copy_from_slice(&epoch.to_le_bytes());
    both[8..].copy_from_slice(&incarnation.to_le_bytes());
    xxh3_64(&both).cast_signed()
}
