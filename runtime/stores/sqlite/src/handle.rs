//! The store as a node has it: opened, asked, copied, closed. Which operation goes to which thread
//! is decided here; carrying it out is theirs.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use steadfast::session::Now;
use steadfast::session::store::{DecisionId, News, OpId, StoreOp, StoreOutcome, TopicId};
use steadfast::store::{AdminError, Clock, Deciding, Decision, Store};
use tokio::sync::oneshot;

use crate::decisions::Decisions;
use crate::error::{BackupError, OpenError, RestoreError};
use crate::file;
use crate::guard::Guard;
use crate::jobs::{Answered, Answers, Asked, Batch, Job, Told};
use crate::metrics::{Counts, LocalMetrics};
use crate::news::{HandleId, Listener, Listeners};
use crate::queue::{Queue, Room};
use crate::reader::Reader;
use crate::route::split;
use crate::savepoint::Savepoint;
use crate::served::{Served, system_clock};
use crate::settings::{LocalLimits, LocalSettings};
use crate::writer::{self, Parts};

/// A durable store in one SQLite file. What it has acknowledged is on the disk: it is there after
/// `kill -9`, and after a power cut if the disk keeps what it says it has flushed.
///
/// A file belongs to one process at a time, which is told by [`OpenError::InUse`]. Clones are the
/// same store; the last one that is dropped waits until what was asked for is written, and closes
/// the file. Servers of one process may share it, with a clone each; they hear at once of each
/// other's events, and of topics that an operator deletes.
///
/// An answer is passed on to others that share its COMMIT and handle by whoever gets the first of
/// them. So a future of [`Store::execute`] is to be polled until it ends, or dropped; one that is
/// merely kept makes others wait.
///
/// # Failures
/// While another program holds a lock, or something else keeps a transaction from being carried
/// out, operations are answered `Failed`. If it is COMMIT that fails, as on a full disk, they are
/// answered `Unknown`, since after a crash right then they may be there. Nodes ask again, and
/// refuse new commands (`overload`) until it works again, which needs nobody's help.
///
/// # Time
/// Leases, entries and keys age only while the store is open.
pub struct LocalStore {
    pub(crate) inner: Arc<Inner>,
    /// What decides for this handle.
    decisions: Arc<Decisions>,
    listener: Arc<Listener>,
}

pub(crate) struct Inner {
    path: PathBuf,
    writes: Arc<Queue<Job>>,
    reads: Arc<Queue<Batch>>,
    counts: Arc<Counts>,
    listeners: Arc<Listeners>,
    threads: Mutex<Threads>,
}

/// Who asks for a batch, and what decides for it.
type Asker<'a> = (HandleId, &'a Arc<Decisions>);

#[derive(Default)]
struct Threads {
    readers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
}

/// How a store is to be opened.
#[must_use]
pub struct LocalBuilder {
    path: PathBuf,
    settings: LocalSettings,
    limits: LocalLimits,
    clock: Clock,
    own_tables: Option<file::OwnTables>,
}

impl LocalStore {
    /// Opens a store, or makes it, with the default settings and limits.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file, and what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::builder(path).open()
    }

    fn of(inner: Arc<Inner>) -> Self {
        Self { listener: inner.listeners.listen(), decisions: Arc::default(), inner }
    }

    fn asker(&self) -> Asker<'_> {
        (self.listener.id, &self.decisions)
    }

    /// A store with settings and limits of one's own.
    pub fn builder(path: impl AsRef<Path>) -> LocalBuilder {
        LocalBuilder {
            path: path.as_ref().into(),
            settings: LocalSettings::default(),
            limits: LocalLimits::default(),
            clock: system_clock(),
            own_tables: None,
        }
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Copies the store into one file, while it goes on. The copy has everything that was
    /// acknowledged before this call, and is flushed when this returns.
    ///
    /// # Errors
    /// If `to` exists or can't be written. What was begun is deleted.
    ///
    /// # Cancellation
    /// The copy is made all the same.
    pub async fn backup(&self, to: impl AsRef<Path>) -> Result<(), BackupError> {
        let (tell, told) = oneshot::channel();
        let job = Job::Backup { to: to.as_ref().into(), tell };
        if self.inner.writes.put(job).is_err() {
            return Err(BackupError::Closed);
        }
        told.await.unwrap_or(Err(BackupError::Closed))
    }

    /// Puts a backup into the place of a store that nobody has open. It becomes another
    /// incarnation, because what was acknowledged after the backup is gone: every topic has another
    /// epoch (PROTOCOL.md 7.1), and every lease ends (5.1). The whole backup is checked before.
    ///
    /// # Errors
    /// Nothing was changed, unless it is an error of the operating system in the middle: then the
    /// file can't be opened until it has been restored again.
    pub fn restore(backup: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<(), RestoreError> {
        file::restore(backup.as_ref(), path.as_ref())
    }

    /// Looks at every page of a file, which takes seconds per gigabyte. The store may be open.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(path: impl AsRef<Path>) -> Result<(), OpenError> {
        file::check_file(path.as_ref())
    }

    /// How much it holds and does.
    #[must_use]
    pub fn metrics(&self) -> LocalMetrics {
        self.inner.counts.metrics(self.inner.writes.load())
    }
}

impl LocalBuilder {
    /// How it works.
    pub fn settings(mut self, settings: LocalSettings) -> Self {
        self.settings = settings;
        self
    }

    /// How much it keeps.
    pub fn limits(mut self, limits: LocalLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes the application's own tables, or brings them to their present form. It runs each time
    /// the store is opened, before anything else does, in one transaction: all of it happens or
    /// nothing. `PRAGMA user_version` is the application's, if it counts its versions.
    ///
    /// Names that begin with `sf_` are the store's; nothing can be made or changed under them.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), steadfast_sqlite::OpenError> {
    /// let store = steadfast_sqlite::LocalStore::builder("shop.db")
    ///     .schema(|db| {
    ///         db.execute_batch("CREATE TABLE IF NOT EXISTS sold(id INTEGER PRIMARY KEY, what TEXT)")
    ///     })
    ///     .open()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`OpenError::Schema`], when the store is opened.
    pub fn schema(
        mut self,
        make: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Self {
        self.own_tables = Some(Box::new(make));
        self
    }

    /// A clock of one's own, for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the store, or makes it.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file, and what to do.
    pub fn open(self) -> Result<LocalStore, OpenError> {
        let Self { path, settings, limits, clock, own_tables } = self;
        let file::Opened { mut db, note, path, times } = file::open(&path, &settings)?;
        let refused = |error| file::refused(&path, error);
        let guard = Guard::set(&mut db).map_err(refused)?;
        if let Some(make) = own_tables {
            file::make_own_tables(&db, &guard, &path, make)?;
        }
        let sql = "SELECT served_ms FROM sf_store";
        let before: i64 = db.query_row(sql, [], |row| row.get(0)).map_err(refused)?;
        let served = Served::new(clock, Now(u64::try_from(before).unwrap_or(0)));
        let room = Room { operations: settings.queue_operations, bytes: settings.queue_bytes };
        let writes = Arc::new(Queue::new(room));
        let room = Room { operations: settings.reads_waiting, bytes: u64::MAX };
        let reads = Arc::new(Queue::new(room));
        let counts = Arc::new(Counts::default());
        let listeners = Arc::new(Listeners::default());
        let parts = Parts {
            db,
            guard,
            note,
            times,
            path: path.clone(),
            settings: settings.clone(),
            limits,
            served: served.clone(),
            queue: Arc::clone(&writes),
            counts: Arc::clone(&counts),
            listeners: Arc::clone(&listeners),
        };
        let work = writer::prepare(parts).map_err(refused)?;
        let reader = || Reader {
            path: path.clone(),
            settings: settings.clone(),
            served: served.clone(),
            queue: Arc::clone(&reads),
        };
        let readers = (0..settings.readers.max(1)).map(|_| reader()).collect();
        let io = |error| OpenError::Io { path: path.clone(), error };
        let threads = Mutex::default();
        let mut inner = Inner { path: path.clone(), writes, reads, counts, listeners, threads };
        inner.start(work, readers).map_err(io)?;
        Ok(LocalStore::of(Arc::new(inner)))
    }
}

impl Inner {
    fn start(
        &mut self,
        work: impl FnOnce() + Send + 'static,
        readers: Vec<Reader>,
    ) -> std::io::Result<()> {
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        threads.writer = Some(named("sqlite-writer").spawn(work)?);
        for reader in readers {
            threads.readers.push(named("sqlite-reader").spawn(|| reader.work())?);
        }
        Ok(())
    }

    async fn write(&self, ops: Vec<(OpId, StoreOp)>, asker: Asker<'_>) -> Answers {
        let ids: Vec<OpId> = ops.iter().map(|(id, _)| *id).collect();
        let (batch, told) = Batch::new(ops, asker);
        match self.writes.put(Job::Batch(batch)) {
            Ok(()) => match told.await {
                Ok(answered) => answered.into_answers(),
                Err(_) => all(ids, &StoreOutcome::Unknown),
            },
            Err(_) => all(ids, &StoreOutcome::Failed),
        }
    }

    /// Asks the writer for what an operator wants.
    pub(crate) async fn ask_writer(&self, asked: Asked) -> Result<Told, AdminError> {
        let (tell, told) = oneshot::channel();
        match self.writes.put(Job::Admin { asked, tell }) {
            Ok(()) => told
                .await
                .unwrap_or_else(|_| Err(AdminError::Unknown("the writer has ended".to_owned()))),
            Err(_) => Err(AdminError::Failed("too much waits for the writer".to_owned())),
        }
    }

    /// Asks the readers, and gives where their answers come; `None` if there is no room.
    fn ask_readers(
        &self,
        ops: Vec<(OpId, StoreOp)>,
        asker: Asker<'_>,
    ) -> Option<oneshot::Receiver<Answered>> {
        let (batch, told) = Batch::new(ops, asker);
        self.reads.put(batch).is_ok().then_some(told)
    }
}

fn named(name: &str) -> Builder {
    Builder::new().name(name.to_owned())
}

fn all(ids: Vec<OpId>, outcome: &StoreOutcome) -> Answers {
    ids.into_iter().map(|id| (id, outcome.clone())).collect()
}

impl Drop for Inner {
    fn drop(&mut self) {
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The last connection that closes takes the write-ahead log with it: that is the writer's.
        self.reads.close();
        for reader in threads.readers.drain(..) {
            // A reader that has panicked has said so.
            let _ = reader.join();
        }
        self.writes.close();
        if let Some(writer) = threads.writer.take() {
            let _ = writer.join();
        }
    }
}

/// The same store, for another node: what decides for one is not what decides for another.
impl Clone for LocalStore {
    fn clone(&self) -> Self {
        Self::of(Arc::clone(&self.inner))
    }
}

impl std::fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalStore").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Store for LocalStore {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Answers {
        let (reads, writes) = split(batch);
        if reads.is_empty() {
            return match writes.is_empty() {
                true => Vec::new(),
                false => self.inner.write(writes, self.asker()).await,
            };
        }
        let ids: Vec<OpId> = reads.iter().map(|(id, _)| *id).collect();
        // Both are under way before the first one is waited for.
        let told = self.inner.ask_readers(reads, self.asker());
        let mut answers = match writes.is_empty() {
            true => Vec::new(),
            false => self.inner.write(writes, self.asker()).await,
        };
        let read = match told {
            Some(told) => told.await.ok(),
            None => None,
        };
        match read {
            Some(answered) => answers.extend(answered.into_answers()),
            None => answers.extend(all(ids, &StoreOutcome::Failed)),
        }
        answers
    }

    async fn news(&self) -> News {
        poll_fn(|cx| self.listener.poll(cx.waker())).await
    }

    fn interest(&self, topic: &TopicId, interested: bool) {
        self.listener.interest(topic, interested);
    }
}

/// A decision runs on the writer's thread, in a savepoint of its command, and no other command is
/// written before it has ended. Of its errors, those of the disk make the operation `Failed`, so
/// that the node asks again; any other one is the command's `internal`, as is a panic, a statement
/// that ends the whole transaction (`INSERT OR ROLLBACK`), or one that takes longer than
/// [`LocalSettings::decision_time`].
impl Deciding for LocalStore {
    type Tx<'t> = Savepoint<'t>;

    fn hand_over(&self, id: DecisionId, decide: Decision<Self>) {
        self.decisions.keep(id, decide);
    }

    fn withdraw(&self, id: DecisionId) {
        self.decisions.withdraw(id);
    }
}
