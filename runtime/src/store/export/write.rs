//! Writes an export: first what commands have published and is in no log yet goes into its log,
//! then every topic and every id is read, page by page.

use std::io::{self, Write};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::figures::ExportFigures;
use super::line::{FORMAT, Line};
use crate::session::store::{
    Append, AppendKey, AppendOutcome, OpId, Record, Retention, StoreOp, StoreOutcome, StoreTime,
    TopicId,
};
use crate::store::admin::{AdminError, ListedTopic, StoreAdmin, TopicPage};
use crate::wire::{CommandNo, Epoch, LeaseId};

/// How much is read at once.
const PAGE: u32 = 256;
/// The same in bytes.
const PAGE_BYTES: u64 = 1024 * 1024;

/// How long the entries of a topic are kept that nobody has ever used, until a node says otherwise.
const UNUSED: Retention = Retention::new(10_000, Duration::from_secs(7 * 24 * 3_600));

/// Why an export has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The store did not do what it was asked for.
    #[error(transparent)]
    Store(#[from] AdminError),
    /// An operation of the store failed, or nobody knows whether it did.
    #[error("the store failed to bring in what commands have published")]
    BringIn,
    /// Somebody has deleted a topic and made it anew meanwhile.
    #[error("topic {0:?} was made anew while it was exported")]
    Changed(TopicId),
    /// It could not be written.
    #[error("the export could not be written")]
    Write(#[from] io::Error),
}

/// Writes everything that outlives a store's incarnation as lines of JSON: topics with their logs,
/// and ids of the application. Leases are left out, as they are from a restored backup. What
/// commands have published and is in no log yet is appended to its log first.
///
/// Servers may go on meanwhile, but then each topic is of another moment. Stop them, or export from
/// a restored backup, where that matters. This reads the whole store, in pages of up to 1 MiB, and
/// blocks while `to` does: give it a thread of its own where others share the runtime.
///
/// # Errors
/// See [`ExportError`]. What was written by then lacks its last line, and
/// [`import`](super::import) refuses it.
///
/// # Cancellation
/// The future may be dropped; the store goes on as before.
///
/// # Example
/// From one store into another:
///
/// ```
/// # use steadfast::store::{MemoryStore, export, import};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (old, new, random) = (MemoryStore::default(), MemoryStore::default(), 7);
/// let mut text = Vec::new();
/// export(&old, &mut text).await?;
/// import(&new, random, &mut text.as_slice()).await?;
/// # Ok(())
/// # }
/// ```
pub async fn export<S: StoreAdmin>(
    store: &S,
    to: &mut (impl Write + Send),
) -> Result<ExportFigures, ExportError> {
    bring_in(store).await?;
    let mut lines = Lines { to, pieces: 0 };
    lines.write(&Line::Export { format: FORMAT })?;
    let mut figures = ExportFigures::default();
    let mut page = TopicPage::first(PAGE);
    loop {
        let listed = store.list_topics(page.clone()).await?;
        let Some(last) = listed.last() else { break };
        page.after = Some(last.topic.clone());
        for topic in &listed {
            if let Some(entries) = write_topic(store, topic, &mut lines).await? {
                figures.topics += 1;
                figures.entries += entries;
            }
        }
    }
    let mut after = None;
    loop {
        let ids = store.list_ids(after, PAGE, PAGE_BYTES).await?;
        let Some(last) = ids.last() else { break };
        after = Some(last.id.clone());
        for id in &ids {
            lines.write(&Line::id(id))?;
        }
        figures.ids += ids.len() as u64;
    }
    // The first line does not count.
    let pieces = lines.pieces - 1;
    lines.write(&Line::End { pieces })?;
    lines.to.flush()?;
    Ok(figures)
}

struct Lines<'w, W> {
    to: &'w mut W,
    pieces: u64,
}

impl<W: Write> Lines<'_, W> {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        serde_json::to_writer(&mut *self.to, line)?;
        self.to.write_all(b"\n")?;
        self.pieces += 1;
        Ok(())
    }
}

/// How many entries it has; `None` if it has gone since it was listed.
async fn write_topic<S: StoreAdmin, W: Write>(
    store: &S,
    listed: &ListedTopic,
    lines: &mut Lines<'_, W>,
) -> Result<Option<u64>, ExportError> {
    let topic = &listed.topic;
    let (mut before, mut written) = (None, 0);
    loop {
        let Some(page) = store.read_back(topic, before, PAGE, PAGE_BYTES).await? else {
            return if before.is_none() { Ok(None) } else { Ok(Some(written)) };
        };
        if page.head.epoch != listed.head.epoch {
            return Err(ExportError::Changed(topic.clone()));
        }
        if before.is_none() {
            lines.write(&Line::topic(topic, page.head, listed.retention))?;
        }
        let Some(last) = page.entries.last() else { return Ok(Some(written)) };
        before = Some(last.entry.ts);
        for entry in &page.entries {
            lines.write(&Line::entry(entry)?)?;
        }
        written += page.entries.len() as u64;
    }
}

// ---- what is in no log yet ----

/// Does what a node does that looks for what others have left (PROTOCOL.md 5.6).
async fn bring_in<S: StoreAdmin>(store: &S) -> Result<(), ExportError> {
    let mut after = None;
    loop {
        let list =
            StoreOp::ListUnsettled { max: PAGE, max_bytes: PAGE_BYTES, after, older_than_ms: 0 };
        let StoreOutcome::Unsettled { at, records } = ask(store, list).await? else {
            return Err(ExportError::BringIn);
        };
        let Some((lease, n, _)) = records.last() else { return Ok(()) };
        after = Some((*lease, *n));
        for (lease, n, record) in &records {
            append(store, (*lease, *n), record, at).await?;
            let records = vec![(*lease, *n)];
            ask(store, StoreOp::Settle { records }).await?;
        }
    }
}

async fn append<S: StoreAdmin>(
    store: &S,
    (lease, n): (LeaseId, CommandNo),
    record: &Record,
    at: StoreTime,
) -> Result<(), ExportError> {
    for (index, publication) in (0..).zip(record.publishes.iter()) {
        let topic = publication.topic.clone();
        let append = Append {
            key: AppendKey::Command { lease, n, index },
            as_of: Some(at),
            name: publication.name.clone(),
            bodies: publication.bodies.clone(),
        };
        // Ids of leases are random.
        let fresh_epoch = Epoch(xxh3_64(&lease.0.to_le_bytes()).wrapping_add(n.0));
        let page = store.read_back(&topic, None, 0, 0).await?;
        let retention = page.map_or(UNUSED, |page| page.retention);
        let op = StoreOp::Append { topic, appends: vec![append], retention, fresh_epoch };
        let StoreOutcome::Appended(came) = ask(store, op).await? else {
            return Err(ExportError::BringIn);
        };
        if !matches!(came[..], [AppendOutcome::Landed(_) | AppendOutcome::Settled]) {
            return Err(ExportError::BringIn);
        }
    }
    Ok(())
}

/// Asks once: an export can be begun again.
async fn ask<S: StoreAdmin>(store: &S, op: StoreOp) -> Result<StoreOutcome, ExportError> {
    let mut answers = store.execute(vec![(OpId(0), op)]).await;
    match answers.pop() {
        None | Some((_, StoreOutcome::Failed | StoreOutcome::Unknown)) => Err(ExportError::BringIn),
        Some((_, outcome)) => Ok(outcome),
    }
}
