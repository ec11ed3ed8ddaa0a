//! The one thread that writes: it takes what waits, carries it out in one transaction, and answers
//! when that is on the disk. What an operation means is for its children to say.

mod admin;
mod appends;
mod apply;
mod cache;
mod decide;
mod group;
mod ids;
mod import;
mod kept;
mod leases;
mod ready;
mod records;
mod replies;
mod topics;
mod transaction;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;

use steadfast::session::Now;
use steadfast::session::store::StoreOutcome;

use crate::file::{self, Note};
use crate::guard::Guard;
use crate::jobs::{Asked, Batch, Job, answer};
use crate::metrics::{Counts, LocalMetrics};
use crate::news::Listeners;
use crate::queue::{Queue, Room, Taken, Weighty};
use crate::rows::{Sql, count};
use crate::served::Served;
use crate::settings::{LocalLimits, LocalSettings};
use decide::Deciders;
use group::{Ended, Operation};
use kept::Kept;
use ready::Ready;

/// How old something may be that is imported: ten years.
const OLDEST_MS: u64 = 10 * 366 * 24 * 3_600_000;

/// What a writer is made of.
pub(crate) struct Parts {
    pub(crate) db: Connection,
    /// Of the connection.
    pub(crate) guard: Guard,
    /// Held until the file is closed.
    pub(crate) note: Note,
    /// How many times the file was opened.
    pub(crate) times: i64,
    pub(crate) path: PathBuf,
    pub(crate) settings: LocalSettings,
    pub(crate) limits: LocalLimits,
    pub(crate) served: Served,
    pub(crate) queue: Arc<Queue<Job>>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) listeners: Arc<Listeners>,
}

/// The thread's own things beside its connection.
struct Writer {
    kept: Kept,
    settings: LocalSettings,
    served: Served,
    queue: Arc<Queue<Job>>,
    counts: Arc<Counts>,
    listeners: Arc<Listeners>,
    /// Bytes in the write-ahead log, as of the last COMMIT.
    wal: Arc<AtomicU64>,
    path: PathBuf,
    deciders: Deciders,
    /// When everything was written last.
    written: Now,
    /// Whether the last group failed, so that this is said once.
    failing: bool,
    /// What is done between groups.
    apart: VecDeque<Job>,
}

/// Makes a writer that has read what it has to know.
pub(crate) fn prepare(parts: Parts) -> Sql<impl FnOnce() + Send + 'static> {
    let Parts { mut db, guard, note, times, path, settings, limits, .. } = parts;
    let Parts { served, queue, counts, listeners, .. } = parts;
    let page = db.query_row("PRAGMA page_size", [], |row| count(row, 0))?;
    let deciders = Deciders { guard, time: settings.decision_time };
    let wal = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&wal);
    db.wal_hook(Some(move |_: &mut _, pages| {
        seen.store(u64::try_from(pages).unwrap_or(0) * page, Ordering::Relaxed);
        Ok(())
    }))?;
    let kept = Kept::read(&db, limits, times)?;
    let written = served.now();
    let mut writer = Writer {
        kept,
        settings,
        served,
        queue,
        counts,
        listeners,
        wal,
        path,
        deciders,
        written,
        failing: false,
        apart: VecDeque::new(),
    };
    writer.count();
    let last = LastOne(Arc::clone(&writer.queue));
    Ok(move || {
        let _last = last;
        let ready = Ready::new(&db);
        writer.work(&ready);
        writer.finish(&ready);
        drop(ready);
        close(db);
        drop(note);
    })
}

/// Whoever waits for the writer when that has ended, however it has, is answered: there is nobody
/// else who would.
struct LastOne(Arc<Queue<Job>>);

impl Drop for LastOne {
    fn drop(&mut self) {
        self.0.close();
        let all = Room { operations: usize::MAX, bytes: u64::MAX };
        drop(self.0.take(all, std::time::Duration::ZERO));
    }
}

impl Writer {
    fn work(&mut self, db: &Ready<'_>) {
        loop {
            let room = Room {
                operations: self.settings.group_operations,
                bytes: self.settings.group_bytes,
            };
            match self.queue.take(room, self.settings.look) {
                Taken::Some(jobs) => self.carry_out(db, jobs),
                Taken::Nothing => self.look(db),
                Taken::Closed => return,
            }
            while let Some(job) = self.apart.pop_front() {
                self.do_apart(db, job);
            }
        }
    }

    /// Does something that is no part of a group. Whoever has asked may be gone.
    fn do_apart(&mut self, db: &Ready<'_>, job: Job) {
        match job {
            Job::Backup { to, tell } => {
                let copied = file::backup(db, &to, || self.in_between(db));
                let _ = tell.send(copied);
            }
            Job::Admin { asked, tell } => {
                if matches!(asked, Asked::Import { .. })
                    && self.kept.is_empty()
                    && self.served.now().0 < OLDEST_MS
                {
                    // What is imported may be older than this store.
                    self.served.go_forward(OLDEST_MS);
                }
                let told = admin::run(db, &mut self.kept, self.served.now(), &asked);
                if matches!(asked, Asked::Delete(_)) {
                    // Whether it was there or not: a look at heads tells.
                    self.listeners.missed();
                }
                self.count();
                self.afterwards(db);
                let _ = tell.send(told);
            }
            Job::Batch(_) => debug_assert!(false, "batches are carried out in groups"),
        }
    }

    /// A group while the file is copied, if one waits.
    fn in_between(&mut self, db: &Ready<'_>) {
        let room =
            Room { operations: self.settings.group_operations, bytes: self.settings.group_bytes };
        if let Taken::Some(jobs) = self.queue.take(room, std::time::Duration::ZERO) {
            self.carry_out(db, jobs);
        }
    }

    fn carry_out(&mut self, db: &Ready<'_>, jobs: Vec<Job>) {
        let mut batches = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job {
                Job::Batch(batch) => batches.push(batch),
                apart @ (Job::Backup { .. } | Job::Admin { .. }) => self.apart.push_back(apart),
            }
        }
        if batches.is_empty() {
            return;
        }
        if self.has_too_long_a_log(db) {
            self.failed("the write-ahead log is too long: somebody reads for long");
            answer_all(batches, &StoreOutcome::Failed);
            return;
        }
        let ops: Vec<Operation<'_>> = batches.iter().flat_map(Batch::ops).collect();
        let ended = group::run(db, &mut self.kept, self.served.now(), &ops, &self.deciders);
        let count = ops.len() as u64;
        self.counts.groups.fetch_add(1, Ordering::Relaxed);
        self.counts.operations.fetch_add(count, Ordering::Relaxed);
        self.count();
        match ended {
            Ended::Committed(outcomes) => {
                self.tell_others(&batches, &outcomes);
                answer(batches, &mut outcomes.into_iter());
                self.went_well();
            }
            Ended::Undone(error) => {
                self.failed(&error);
                answer_all(batches, &StoreOutcome::Failed);
            }
            Ended::Unknown(error) => {
                self.failed(&error);
                answer_all(batches, &StoreOutcome::Unknown);
            }
        }
        self.afterwards(db);
    }

    /// Tells the other handles of what each batch has appended.
    fn tell_others(&self, batches: &[Batch], outcomes: &[StoreOutcome]) {
        let wanting = self.listeners.wanting();
        if wanting.is_empty() {
            return;
        }
        let mut rest = outcomes;
        for batch in batches {
            let (its, others) = rest.split_at(batch.operations().min(rest.len()));
            batch.tell(its, &wanting);
            rest = others;
        }
    }

    /// Tells how much there is.
    fn count(&self) {
        let totals = &self.kept.totals;
        self.counts.keep(&LocalMetrics {
            leases: totals.leases,
            topics: totals.topics,
            reply_bytes: totals.reply_bytes,
            owed_bytes: totals.owed_bytes,
            ids: totals.ids,
            id_bytes: totals.id_bytes,
            log_bytes: totals.log_bytes,
            wal_bytes: self.wal.load(Ordering::Relaxed),
            ..LocalMetrics::default()
        });
    }

    /// What need not be waited for: brings the log into the file, and forgets what is too much.
    fn afterwards(&mut self, db: &Ready<'_>) {
        if self.wal.load(Ordering::Relaxed) >= self.settings.checkpoint_bytes {
            self.checkpoint(db, CheckpointMode::PASSIVE);
        }
        let (leases, topics) = (self.kept.leases.len(), self.kept.topics.len());
        if leases > self.settings.cached_leases || topics > self.settings.cached_topics {
            self.write_all(db);
            if !self.kept.has_waiting() {
                self.kept.leases.shorten(self.settings.cached_leases);
                self.kept.topics.shorten(self.settings.cached_topics);
            }
        }
    }

    /// Nobody asked for anything: lets go of what has expired, and writes what has waited.
    fn look(&mut self, db: &Ready<'_>) {
        let now = self.served.now();
        let totals = &self.kept.totals;
        let due = totals.lease_due.min(totals.topic_due).min(totals.id_due) <= now;
        if due || now >= self.written.after(self.settings.idle_write) {
            self.write_all(db);
            self.count();
        }
    }

    fn write_all(&mut self, db: &Ready<'_>) {
        let now = self.served.now();
        match transaction::write_all(db, &mut self.kept, now) {
            Ok(()) => self.written = now,
            Err(error) => self.failed(&error),
        }
    }

    /// Whether the write-ahead log has outgrown its bound, though it was tried to shorten it.
    fn has_too_long_a_log(&self, db: &Ready<'_>) -> bool {
        let too_long = || self.wal.load(Ordering::Relaxed) >= self.settings.wal_bytes;
        if too_long() {
            self.checkpoint(db, CheckpointMode::RESTART);
        }
        too_long()
    }

    fn checkpoint(&self, db: &Ready<'_>, mode: CheckpointMode) {
        match db.wal_checkpoint_v2(None::<&str>, mode) {
            // All of it is in the file: the next COMMIT begins the log anew.
            Ok((log, brought)) if log == brought => self.wal.store(0, Ordering::Relaxed),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the log could not be brought into the file"),
        }
    }

    fn failed(&mut self, error: &(impl std::fmt::Display + ?Sized)) {
        self.counts.failed_groups.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut self.failing, true) {
            let path = self.path.display();
            tracing::error!(
                %path, %error,
                "nothing can be written; it is tried again with each operation. If the file is \
                 damaged, restore a backup (`LocalStore::restore`)"
            );
        }
    }

    fn went_well(&mut self) {
        if std::mem::replace(&mut self.failing, false) {
            tracing::info!(path = %self.path.display(), "can be written again");
        }
    }

    fn finish(&mut self, db: &Ready<'_>) {
        self.write_all(db);
        self.checkpoint(db, CheckpointMode::TRUNCATE);
    }
}

fn close(db: Connection) {
    if let Err((_, error)) = db.close() {
        tracing::error!(%error, "the file could not be closed");
    }
}

fn answer_all(batches: Vec<Batch>, outcome: &StoreOutcome) {
    answer(batches, &mut std::iter::repeat_with(|| outcome.clone()));
}
