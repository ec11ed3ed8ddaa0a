//! The memory store as nodes have it: what all clones share, and for each the news of what others
//! have appended. What an operation does, and which locks it takes, is said elsewhere.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use super::bytes::MemoryBytes;
use super::decisions::Decisions;
use super::limits::MemoryLimits;
use super::locked::lock;
use super::news::Listener;
use super::run::Run;
use super::shared::{Asker, Shared};
use crate::session::store::{
    DecisionId, MessageId, News, OpId, PrincipalId, StoreOp, StoreOutcome, TopicId,
};
use crate::store::admin::{
    AdminError, BackPage, Erased, Exported, ListedId, ListedTopic, StoreAdmin, StoreFigures,
    TopicPage,
};
use crate::store::deciding::{Deciding, Decision};
use crate::store::interface::{Clock, Store};
use crate::wire::TopicSeq;

/// The state is in memory, in the one form that this version has.
const FORMAT: u32 = 1;

/// The memory store is the default. It is for tests, and for applications whose history may die
/// with the process: after a restart, clients get unknown outcomes for what was under way, and a
/// reported gap in each topic.
///
/// Clones share what they store. Servers of one process that share a store have a clone each, and
/// what one publishes reaches the subscribers of the others at once.
///
/// # Threads
/// There is no lock over everything: operations of different principals and topics are carried out
/// at the same time. Each operation is atomic, as [`Store`] asks for; bounds on all leases, ids,
/// topics or bytes are looked at when an operation ends, so what is being added by others may be
/// beyond them. A store takes about 10 kB when it is empty.
pub struct MemoryStore {
    shared: Arc<Shared>,
    clock: Clock,
    /// What this clone has not heard yet.
    listener: Arc<Listener>,
    /// What decides for this clone.
    decisions: Mutex<Decisions>,
}

impl MemoryStore {
    /// An empty store. Its clones share what they store.
    ///
    /// `clock` is asked while the store holds locks, so it must not use the store; nor may what it
    /// is given to decide.
    #[must_use]
    pub fn new(limits: MemoryLimits, clock: Clock) -> Self {
        let shared = Arc::new(Shared::new(limits));
        let listener = shared.listen();
        Self { shared, clock, listener, decisions: Mutex::default() }
    }

    /// Carries a batch out at once.
    #[must_use]
    pub fn execute_now(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        let mut asker = self.asker();
        batch.into_iter().map(|(id, op)| (id, self.carry_out(&mut asker, op))).collect()
    }

    fn carry_out(&self, asker: &mut Asker<'_>, op: StoreOp) -> StoreOutcome {
        let named = Decisions::named_by(&op);
        let mut decide = |id| self.decisions().decide(id);
        let outcome = Run::new(asker, &self.shared.limits).carry_out(op, &mut decide);
        if !named.is_empty() && outcome != StoreOutcome::Failed {
            // The application's code is dropped outside of all locks.
            drop(named.into_iter().map(|id| self.decisions().withdraw(id)).collect::<Vec<_>>());
        }
        outcome
    }

    fn decisions(&self) -> MutexGuard<'_, Decisions> {
        lock(&self.decisions)
    }

    fn asker(&self) -> Asker<'_> {
        Asker::new(&self.shared, &self.clock, &self.listener)
    }

    fn run<R>(&self, act: impl FnOnce(Run<'_, Asker<'_>>) -> R) -> R {
        act(Run::new(&mut self.asker(), &self.shared.limits))
    }

    /// How much it holds, for metrics.
    #[must_use]
    pub fn bytes(&self) -> MemoryBytes {
        self.shared.sums().bytes()
    }

    /// Makes the store another incarnation, as one does that was restored or rolled back: every
    /// topic has another epoch, every lease is gone, and every node is told. What leases that are
    /// gone still owe is appended all the same. `incarnation` is a random number.
    pub fn begin_incarnation(&self, incarnation: u64) {
        let mut asker = self.asker();
        Run::new(&mut asker, &self.shared.limits).begin_incarnation(incarnation);
        self.shared.rolled().into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
impl MemoryStore {
    pub(super) fn wanting(&self) -> usize {
        self.shared.wanting()
    }
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        let listener = self.shared.listen();
        let (shared, clock) = (Arc::clone(&self.shared), Arc::clone(&self.clock));
        Self { shared, clock, listener, decisions: Mutex::default() }
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.shared.listen_no_more(&self.listener);
    }
}

#[cfg(feature = "tokio")]
impl Default for MemoryStore {
    /// An empty store with the default limits and tokio's clock.
    fn default() -> Self {
        let clock = crate::host::Clock::new();
        Self::new(MemoryLimits::default(), Arc::new(move || clock.now()))
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        self.execute_now(batch)
    }

    fn execute_at_once(&self, op: StoreOp) -> Result<StoreOutcome, StoreOp> {
        // The driver asks under its lock, where no code of the application may run.
        if Decisions::any_named_by(&op) {
            return Err(op);
        }
        Ok(self.carry_out(&mut self.asker(), op))
    }

    async fn news(&self) -> News {
        poll_fn(|cx| self.listener.poll(cx.waker())).await
    }

    fn interest(&self, topic: &TopicId, interested: bool) {
        self.shared.interest(&self.listener, topic, interested);
    }
}

impl Deciding for MemoryStore {
    /// There is nothing to work in: its decisions only find an outcome.
    type Tx<'t> = ();

    fn hand_over(&self, id: DecisionId, decide: Decision<Self>) {
        self.decisions().hand_over(id, decide);
    }

    fn withdraw(&self, id: DecisionId) {
        let decide = self.decisions().withdraw(id);
        // The application's code is dropped outside of the lock.
        drop(decide);
    }
}

/// It does everything at once, and nothing fails but what it has no room or no place for.
impl StoreAdmin for MemoryStore {
    async fn list_topics(&self, page: TopicPage) -> Result<Vec<ListedTopic>, AdminError> {
        Ok(self.run(|run| run.list_topics(&page)))
    }

    async fn read_back(
        &self,
        topic: &TopicId,
        before: Option<TopicSeq>,
        max: u32,
        max_bytes: u64,
    ) -> Result<Option<BackPage>, AdminError> {
        Ok(self.run(|run| run.read_back(topic, before, (max, max_bytes))))
    }

    async fn list_ids(
        &self,
        after: Option<MessageId>,
        max: u32,
    ) -> Result<Vec<ListedId>, AdminError> {
        Ok(self.run(|run| run.list_ids(after.as_ref(), max)))
    }

    async fn restore(&self, incarnation: u64, pieces: Vec<Exported>) -> Result<(), AdminError> {
        self.run(|run| run.restore(incarnation, pieces))
    }

    async fn delete_topic(&self, topic: &TopicId) -> Result<bool, AdminError> {
        Ok(self.run(|run| run.delete_topic(topic)))
    }

    async fn erase_principal(&self, principal: &PrincipalId) -> Result<Erased, AdminError> {
        Ok(self.run(|run| run.erase_principal(principal)))
    }

    async fn compact(&self) -> Result<(), AdminError> {
        self.run(|run| run.compact());
        Ok(())
    }

    fn figures(&self) -> StoreFigures {
        self.shared.sums().figures()
    }

    fn format(&self) -> u32 {
        FORMAT
    }
}
