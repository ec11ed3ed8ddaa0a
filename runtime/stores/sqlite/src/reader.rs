//! The threads that read: each has a connection of its own and one short transaction per read, so
//! that no reader holds the write-ahead log. What is read is not known here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use steadfast::session::store::{StoreOp, StoreOutcome};

use crate::file;
use crate::jobs::{Batch, answer};
use crate::queue::{Queue, Room, Taken};
use crate::read;
use crate::rows::Sql;
use crate::served::Served;
use crate::settings::LocalSettings;

/// What a reader is made of.
pub(crate) struct Reader {
    pub(crate) path: PathBuf,
    pub(crate) settings: LocalSettings,
    pub(crate) served: Served,
    pub(crate) queue: Arc<Queue<Batch>>,
}

impl Reader {
    /// Reads until the queue is closed.
    pub(crate) fn work(self) {
        const ONE: Room = Room { operations: 1, bytes: u64::MAX };
        let mut db = None;
        loop {
            match self.queue.take(ONE, Duration::MAX) {
                Taken::Some(batches) => {
                    for batch in batches {
                        self.answer(&mut db, batch);
                    }
                }
                Taken::Nothing => {}
                Taken::Closed => return,
            }
        }
    }

    fn answer(&self, db: &mut Option<Connection>, batch: Batch) {
        let outcomes: Vec<StoreOutcome> = batch
            .ops()
            .map(|(op, ..)| {
                self.read(db, op).unwrap_or_else(|error| {
                    tracing::error!(%error, path = %self.path.display(), "a read failed");
                    // It may be the connection: the next read has another one.
                    *db = None;
                    StoreOutcome::Failed
                })
            })
            .collect();
        answer(vec![batch], &mut outcomes.into_iter());
    }

    fn read(&self, db: &mut Option<Connection>, op: &StoreOp) -> Sql<StoreOutcome> {
        let db = match db {
            Some(db) => db,
            None => db.insert(file::reading(&self.path, &self.settings)?),
        };
        // One state of the file for the head and the entries.
        let step = db.unchecked_transaction()?;
        let outcome = read::read(&step, self.served.now(), op)?;
        step.finish()?;
        Ok(outcome)
    }
}
