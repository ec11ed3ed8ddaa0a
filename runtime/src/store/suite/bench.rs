//! Asks a store as a node does: it repeats what failed or is unknown, and takes nothing for
//! answered that is not. What the answers should be is for the cases to say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::hostile::give_way;
use super::report::{Broken, ensure};
use crate::session::store::{
    Decided, DecisionId, OpId, PrincipalId, StoreOp, StoreOutcome, TopicId,
};
use crate::store::deciding::Deciding;
use crate::store::interface::{DynStore, NewsFuture};
use crate::wire::{LeaseId, Name};

/// How often an operation is repeated: more often than failures are injected in a row.
const TRIES: usize = 64;

/// A store, and leases, principals and topics that no other bench of it has.
#[derive(Clone)]
pub(super) struct Bench {
    store: Arc<dyn DynStore>,
    /// The same, if it decides.
    decides: Option<Arc<dyn Given>>,
    copy: u64,
    last_op: Arc<AtomicU64>,
}

/// What decides here; of the store's transaction it uses nothing.
pub(super) type Decision = Box<dyn FnMut() -> Decided + Send>;

/// What a [`Deciding`] store is given.
pub(super) trait Given: Send + Sync {
    fn give(&self, id: DecisionId, decide: Decision);
    fn take_back(&self, id: DecisionId);
}

impl<S: Deciding> Given for S {
    fn give(&self, id: DecisionId, mut decide: Decision) {
        self.hand_over(id, Box::new(move |_| decide()));
    }

    fn take_back(&self, id: DecisionId) {
        self.withdraw(id);
    }
}

/// What came of an operation.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outcome: StoreOutcome,
    /// An earlier try may have been carried out.
    pub(super) repeated: bool,
}

impl Bench {
    pub(super) fn new<S: DynStore>(store: Arc<S>, copy: u64) -> Self {
        Self { store, decides: None, copy, last_op: Arc::new(AtomicU64::new(0)) }
    }

    pub(super) fn deciding<S: Deciding>(store: Arc<S>, copy: u64) -> Self {
        let decides: Arc<dyn Given> = Arc::clone(&store) as _;
        Self { decides: Some(decides), ..Self::new(store, copy) }
    }

    /// The store, given what decides.
    pub(super) fn given(&self) -> Result<&dyn Given, Broken> {
        self.decides.as_deref().ok_or_else(|| Broken::new("a store that decides", &self.copy))
    }

    /// A decision of this bench.
    pub(super) const fn decision(&self, which: u64) -> DecisionId {
        DecisionId(self.copy << 32 | which)
    }

    /// A lease of this bench.
    pub(super) fn lease(&self, which: u8) -> LeaseId {
        LeaseId(u128::from(self.copy) << 64 | 0x005e_ed00 | u128::from(which))
    }

    /// A principal of this bench.
    pub(super) fn principal(&self, which: &str) -> PrincipalId {
        format!("{which}-{}", self.copy).into()
    }

    /// A topic of this bench.
    pub(super) fn topic(&self, which: &str) -> TopicId {
        let name = Name::from_static("suite").expect("a legal name");
        TopicId { name, key: format!("{}/{which}", self.copy).into() }
    }

    /// The publishing node of this bench.
    pub(super) fn node(&self) -> u128 {
        u128::from(self.copy) + 1
    }

    /// From here on its node wants news of a topic.
    pub(super) fn interest(&self, topic: &TopicId) {
        self.store.interest_dyn(topic, true);
    }

    pub(super) fn news(&self) -> NewsFuture<'_> {
        self.store.news_boxed()
    }

    /// Asks once. The outcomes come in the order of the operations.
    pub(super) async fn batch(&self, ops: Vec<StoreOp>) -> Result<Vec<StoreOutcome>, Broken> {
        give_way().await;
        let first = self.last_op.fetch_add(ops.len() as u64, Ordering::Relaxed);
        let asked: Vec<OpId> = (first..).map(OpId).take(ops.len()).collect();
        let batch = asked.iter().copied().zip(ops).collect();
        let mut answers = self.store.execute_boxed(batch).await;
        answers.sort_by_key(|(id, _)| *id);
        let answered: Vec<OpId> = answers.iter().map(|(id, _)| *id).collect();
        ensure(answered == asked, format!("one answer to each of {asked:?}"), &answered)?;
        Ok(answers.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Asks until the store says what came of it.
    pub(super) async fn ask(&self, op: StoreOp) -> Result<Answer, Broken> {
        let mut repeated = false;
        for _ in 0..TRIES {
            for outcome in self.batch(vec![op.clone()]).await? {
                match outcome {
                    StoreOutcome::Unknown => repeated = true,
                    StoreOutcome::Failed => {}
                    outcome => return Ok(Answer { outcome, repeated }),
                }
            }
        }
        Err(Broken::new(format!("an answer within {TRIES} tries"), &op))
    }

    /// Asks with a batch until none of its operations fails or is unknown; each time with another
    /// one, since a repetition would be carried out in another order.
    pub(super) async fn ask_all(
        &self,
        mut batch: impl FnMut(u8) -> Vec<StoreOp>,
    ) -> Result<(u8, Vec<StoreOutcome>), Broken> {
        for attempt in 0..TRIES as u8 {
            let outcomes = self.batch(batch(attempt)).await?;
            let open = |outcome| matches!(outcome, &StoreOutcome::Unknown | &StoreOutcome::Failed);
            if !outcomes.iter().any(open) {
                return Ok((attempt, outcomes));
            }
        }
        Err(Broken::new(format!("answers within {TRIES} tries"), &batch(0)))
    }
}
