//! Where records and logs are kept: the [`Store`] trait and the memory store. Owns carrying
//! operations out; refuses decisions, which are the node's. Needs no runtime: the futures are plain
//! ones.

mod memory;

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;

pub use memory::{MemoryLimits, MemoryState, MemoryStore};

use crate::session::Now;
use crate::session::store::{OpId, StoreOp, StoreOutcome, TopicId};
use crate::wire::Position;

/// Carries out what a node asks: a batch in, a batch of outcomes out.
///
/// # Order
/// Operations of one batch that touch the same lease or the same topic are carried out in their
/// order; others in any order, or at once. Each operation is atomic alone; a batch is not. Batches
/// may be under way side by side, and nothing is promised about the order between them: a node that
/// needs one waits for the first answer.
///
/// # Outcomes
/// Each operation is answered exactly once. Where the store can't tell whether it happened it
/// answers [`StoreOutcome::Unknown`], where it certainly did not, [`StoreOutcome::Failed`]; the
/// node repeats both, and every operation may be repeated without harm. There is no error beside
/// these, and a store that is not reachable answers in bounded time.
///
/// # Cancellation
/// The future may be dropped only when the node is given up: the node counts on an answer. What was
/// begun may have happened, which is what a crash at that moment means too.
///
/// # What a backend needs
///
/// | Operation | One file (redb) | Redis | JetStream |
/// |---|---|---|---|
/// | leases | a table by lease, one by expiry | a hash per lease with a time to live, a set per principal, in one script | a KV entry per lease with a time to live, revision checked |
/// | `Commit` | one write transaction for the whole batch, settled in it | a script on the lease's hash: low-water mark, `HSETNX` of the record; unsettled | create of `lease.n` in a KV bucket, after a revision check of the lease; unsettled |
/// | `Append` | the same transaction, a table of keys | a script: look the key up, else `XADD` at `head + 1` | publish with the key as message id, and read back where it landed |
/// | `Settle`, `ListUnsettled` | a table of unsettled numbers | a member of a sorted set per node group | a KV key that is deleted |
/// | `ReadLog` | a range | `XRANGE` | a consumer by start sequence |
/// | [`advanced`](Self::advanced) | never: one process owns the file | a pub/sub channel per node group | a core subscription |
///
/// Epochs live beside the log and are lost with it; a backend that can be rolled back (a backup, a
/// replica that was behind) must change the epoch of every topic that it touches (PROTOCOL.md 7.1).
pub trait Store: Send + Sync + 'static {
    /// Carries out a batch.
    fn execute(
        &self,
        batch: Vec<(OpId, StoreOp)>,
    ) -> impl Future<Output = Vec<(OpId, StoreOutcome)>> + Send;

    /// Carries out one operation without waiting, or gives it back for [`Store::execute`], which
    /// the default does always. For stores in memory: the driver asks under the lock that its
    /// connections share, and saves a turn.
    ///
    /// # Errors
    /// The operation, untouched.
    #[expect(clippy::result_large_err, reason = "not an error: the operation, moved back")]
    fn execute_at_once(&self, op: StoreOp) -> Result<StoreOutcome, StoreOp> {
        Err(op)
    }

    /// Waits until other nodes have appended to topics, and says which; asked again after each
    /// answer. For stores that several nodes share; the default never answers.
    ///
    /// These are hints: one that is lost or late costs time, not correctness, so any broadcast will
    /// do. A store knows which topics its node cares about from `OpenTopic` and `ReadLog`; it may
    /// report others, and may report what the node knows already. It joins reports that nobody has
    /// asked for yet, the latest position per topic, so that what it holds is bounded by the number
    /// of topics. It answers when there is something to report: after an empty answer, or a panic,
    /// it is asked again after a second.
    ///
    /// # Cancellation
    /// The future may be dropped at any time; a hint must not be lost by that.
    fn advanced(&self) -> impl Future<Output = Vec<Advanced>> + Send {
        pending()
    }
}

/// Another node appended to a topic; for
/// [`Node::handle_advanced`](crate::session::node::Node::handle_advanced).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Advanced {
    /// Which.
    pub topic: TopicId,
    /// Its incarnation and its latest entry's number, as far as the store has heard.
    pub head: Position,
}

/// A boxed answer.
pub type StoreFuture<'a> = Pin<Box<dyn Future<Output = Vec<(OpId, StoreOutcome)>> + Send + 'a>>;

/// A boxed wait for [`Store::advanced`].
pub type AdvancedFuture<'a> = Pin<Box<dyn Future<Output = Vec<Advanced>> + Send + 'a>>;

/// A [`Store`] behind a pointer; every store is one.
pub trait DynStore: Send + Sync + 'static {
    /// Carries out an operation without waiting, or gives it back.
    ///
    /// # Errors
    /// The operation, untouched.
    #[expect(clippy::result_large_err, reason = "not an error: the operation, moved back")]
    fn execute_at_once_dyn(&self, op: StoreOp) -> Result<StoreOutcome, StoreOp>;

    /// [`Store::execute`].
    fn execute_boxed(&self, batch: Vec<(OpId, StoreOp)>) -> StoreFuture<'_>;

    /// [`Store::advanced`].
    fn advanced_boxed(&self) -> AdvancedFuture<'_>;
}

impl<S: Store> DynStore for S {
    fn execute_at_once_dyn(&self, op: StoreOp) -> Result<StoreOutcome, StoreOp> {
        self.execute_at_once(op)
    }

    fn execute_boxed(&self, batch: Vec<(OpId, StoreOp)>) -> StoreFuture<'_> {
        Box::pin(self.execute(batch))
    }

    fn advanced_boxed(&self) -> AdvancedFuture<'_> {
        Box::pin(self.advanced())
    }
}

/// A clock that counts milliseconds from any beginning, and never goes back.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;
