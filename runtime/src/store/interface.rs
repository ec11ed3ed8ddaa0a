//! What every store is to a node: the trait, and the boxed form in which a driver keeps one. It
//! carries nothing out.

use std::any::Any;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;

use crate::session::Now;
use crate::session::store::{News, OpId, StoreOp, StoreOutcome, TopicId};

/// Carries out what a node asks for: a batch of operations in, a batch of outcomes out.
///
/// # Order
/// Operations of one batch that touch the same lease or the same topic are carried out in their
/// order; others in any order, or at once. Each operation is atomic alone; a batch is not. Several
/// batches may be under way at a time, and nothing is promised about the order between them: a node
/// that needs one waits for the first answer.
///
/// # Outcomes
/// Each operation is answered exactly once. If the store can't tell whether it happened, the answer
/// is [`StoreOutcome::Unknown`]; if it certainly did not, [`StoreOutcome::Failed`]. The node
/// repeats both, and every operation may be repeated without harm. There are no other errors, and a
/// store that can't be reached answers within a bounded time.
///
/// # Cancellation
/// The future may be dropped only together with its node, which counts on an answer. What was begun
/// may have happened, as after a crash at that moment.
///
/// # Time
/// Every time to live counts only while the store is open: leases, records, ids, keys and entries
/// grow no older while nobody could have asked for them, so that a night without a server costs no
/// client its place. A store behind a server of its own is open while that server is; one that
/// keeps a file writes down now and then for how long it has been open, and goes on from there.
/// What a crash takes of that makes things live longer, never shorter.
///
/// # What a backend needs
/// - *Leases.* SQL: a row, and an index by principal. Redis: a hash with a time to live; the set of
///   a principal lies in another slot, so its limit is kept by adding first and taking back.
///   Contact need not be durable: it may wait for the next commit. A row stays for some minutes
///   after its lease has ended, with the end in it, so that no late `OpenLease` makes it again
///   (Redis: the key's time to live is so much longer than the lease's). Rust stores may use
///   [`EndedLeases`](super::EndedLeases).
/// - *`Commit`.* SQLite: a savepoint each, one `COMMIT` for the group; settles. Postgres: one
///   transaction with locks on its topics, in order. Redis: one script on the lease's slot;
///   unsettled, since topics lie in others.
/// - *`Append`.* SQL: a table of keys, unique by topic and key. Redis: a script on the topic's slot
///   that refuses what was seen unsettled too long ago, looks the keys up, else does `XADD`.
/// - *`Settle`, `ListUnsettled`.* An index, or a set per slot, of unsettled numbers. A page that is
///   put together from several slots ends, for all of them, where the bytes of one slot were cut:
///   a short record behind that place would make the next page pass over the long one.
/// - *`ReadLog`.* A range, cut at the byte bound where it is read.
/// - *[`news`](Self::news).* Redis: sharded pub/sub, numbered, so that a hole is seen. Postgres:
///   `NOTIFY`. A file: never, where one process owns it.
///
/// A store may offer more: to decide outcomes when it writes them, so that what a command does in
/// the store's own transaction commits with its record ([`Deciding`](super::Deciding)). One that
/// does not writes the records of [`Commit::decide`](crate::session::store::Commit::decide) as they
/// are.
///
/// Epochs are kept beside the log and are lost with it. A backend that may have lost what it
/// acknowledged (it was restored from a backup, or a replica that was behind has been promoted)
/// begins another incarnation: every topic gets another epoch (PROTOCOL.md 7.1), every lease is
/// gone (5.1), and each node is told by [`News::Rolled`]. If that is lost, nodes find out when they
/// next look at their topics' heads and renew their leases.
///
/// The feature `store-suite` has each of these rules as a case. `steadfast::store::suite::run` is
/// the test of every store. Beside it there are `run_in_pairs` for one that nodes can share,
/// `run_timed` for one that can be given a clock, `run_rolled` for one that can become another
/// incarnation, `run_admin` for a [`StoreAdmin`](super::StoreAdmin), and `run_deciding` for one that
/// decides.
///
/// # Example
/// A store that counts what it is asked for, and leaves the work to another one:
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use steadfast::session::store::{News, OpId, StoreOp, StoreOutcome, TopicId};
/// use steadfast::store::Store;
///
/// struct Counted<S> {
///     store: S,
///     operations: AtomicUsize,
/// }
///
/// impl<S: Store> Store for Counted<S> {
///     async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
///         self.operations.fetch_add(batch.len(), Ordering::Relaxed);
///         self.store.execute(batch).await
///     }
///
///     async fn news(&self) -> News {
///         self.store.news().await
///     }
///
///     fn interest(&self, topic: &TopicId, interested: bool) {
///         self.store.interest(topic, interested);
///     }
/// }
/// ```
pub trait Store: Send + Sync + 'static {
    /// Carries out a batch.
    fn execute(
        &self,
        batch: Vec<(OpId, StoreOp)>,
    ) -> impl Future<Output = Vec<(OpId, StoreOutcome)>> + Send;

    /// Carries out one operation without waiting, or gives it back for [`Store::execute`]. The
    /// default always gives it back. It is for stores in memory: the driver asks under the lock
    /// that its connections share, which saves a turn.
    ///
    /// # Errors
    /// The operation, untouched.
    fn execute_at_once(&self, op: StoreOp) -> Result<StoreOutcome, StoreOp> {
        Err(op)
    }

    /// Waits until there is news, and says what; it is called again after each answer. It is for
    /// stores that several nodes share, and for those that can go back; the default never answers.
    ///
    /// All news are hints: what is lost or late costs seconds and no correctness, so any broadcast
    /// will do. A store that knows that it may have lost some says [`News::Missed`]: after each new
    /// connection to its server, when a count has a gap, when too much was waiting. Reports that
    /// nobody has asked for yet are joined per topic and bounded in count and bytes. An answer has
    /// something to report: after an empty one, or a panic, the next call comes only after a
    /// second.
    ///
    /// # Cancellation
    /// The future may be dropped at any time, and no news may be lost by that.
    fn news(&self) -> impl Future<Output = News> + Send {
        pending()
    }

    /// From here on the node wants news of a topic, or wants none any more. It says so before it
    /// opens the topic, and after it has let go of it. Called under the lock that connections
    /// share, so it must not wait; the default does nothing.
    fn interest(&self, topic: &TopicId, interested: bool) {
        let _ = (topic, interested);
    }
}

/// A boxed answer.
pub type StoreFuture<'a> = Pin<Box<dyn Future<Output = Vec<(OpId, StoreOutcome)>> + Send + 'a>>;

/// A boxed wait for [`Store::news`].
pub type NewsFuture<'a> = Pin<Box<dyn Future<Output = News> + Send + 'a>>;

/// A [`Store`] behind a pointer; every store is one.
pub trait DynStore: Send + Sync + 'static {
    /// Carries out an operation without waiting, or gives it back.
    ///
    /// # Errors
    /// The operation, untouched.
    fn execute_at_once_dyn(&self, op: StoreOp) -> Result<StoreOutcome, StoreOp>;

    /// [`Store::execute`].
    fn execute_boxed(&self, batch: Vec<(OpId, StoreOp)>) -> StoreFuture<'_>;

    /// [`Store::news`].
    fn news_boxed(&self) -> NewsFuture<'_>;

    /// [`Store::interest`].
    fn interest_dyn(&self, topic: &TopicId, interested: bool);

    /// The store as its own type, for what only that one can do.
    fn as_any(&self) -> &dyn Any;
}

impl<S: Store> DynStore for S {
    fn execute_at_once_dyn(&self, op: StoreOp) -> Result<StoreOutcome, StoreOp> {
        self.execute_at_once(op)
    }

    fn execute_boxed(&self, batch: Vec<(OpId, StoreOp)>) -> StoreFuture<'_> {
        Box::pin(self.execute(batch))
    }

    fn news_boxed(&self) -> NewsFuture<'_> {
        Box::pin(self.news())
    }

    fn interest_dyn(&self, topic: &TopicId, interested: bool) {
        self.interest(topic, interested);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A clock that counts milliseconds from any beginning and never goes back.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;
