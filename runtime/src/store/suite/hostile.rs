//! A store that fails in every way that the contract allows, in front of one that works. What it
//! says is never wrong: only late, unknown or failed.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use crate::session::store::{DecisionId, News, OpId, StoreOp, StoreOutcome, TopicId};
use crate::store::deciding::{Deciding, Decision};
use crate::store::interface::Store;

/// Carries operations out in front of another store, and injects failures: of eight operations one
/// is carried out and answered `Unknown`, one is answered `Unknown` and carried out later, as a
/// rule after it was repeated, and one is not carried out and answered `Failed`. Answers come in
/// the reverse order. Which operation meets which fate follows from the seed.
#[derive(Debug)]
pub struct Hostile<S> {
    store: S,
    dice: Mutex<Dice>,
}

#[derive(Debug)]
struct Dice {
    random: u64,
    operations: u64,
    /// What is still to be carried out, and after how many operations.
    late: Vec<(u64, StoreOp)>,
}

/// A batch, taken apart.
#[derive(Default)]
struct Sorted {
    forward: Vec<(OpId, StoreOp)>,
    /// Those of `forward` whose outcomes nobody will see.
    hidden: Vec<OpId>,
    answers: Vec<(OpId, StoreOutcome)>,
}

impl<S> Hostile<S> {
    /// In front of `store`.
    #[must_use]
    pub const fn new(store: S, seed: u64) -> Self {
        Self { store, dice: Mutex::new(Dice { random: seed, operations: 0, late: Vec::new() }) }
    }

    fn dice(&self) -> MutexGuard<'_, Dice> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dice {
    /// SplitMix64.
    fn roll(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn sort(&mut self, batch: Vec<(OpId, StoreOp)>) -> Sorted {
        let mut sorted = Sorted::default();
        for (id, op) in batch {
            self.operations += 1;
            match self.roll() % 8 {
                0 => {
                    sorted.hidden.push(id);
                    sorted.forward.push((id, op));
                }
                1 => {
                    self.late.push((self.operations + delay(&op), op));
                    sorted.answers.push((id, StoreOutcome::Unknown));
                }
                2 => sorted.answers.push((id, StoreOutcome::Failed)),
                _ => sorted.forward.push((id, op)),
            }
        }
        sorted
    }

    fn due(&mut self) -> Vec<(OpId, StoreOp)> {
        let operations = self.operations;
        let due = self.late.extract_if(.., |(at, _)| *at <= operations).map(|(_, op)| op);
        (0..).map(OpId).zip(due).collect()
    }
}

/// After how many other operations one is carried out that is late. A node does not go on with a
/// lease before it knows where the lease stands, so there only the repetition comes in between.
const fn delay(op: &StoreOp) -> u64 {
    match op {
        StoreOp::OpenLease { .. }
        | StoreOp::ClaimLease { .. }
        | StoreOp::RenewLease { .. }
        | StoreOp::EndLease { .. } => 1,
        _ => 3,
    }
}

/// Lets other futures of the same task come in between.
pub(super) async fn give_way() {
    let mut asked = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<S: Store> Store for Hostile<S> {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        let Sorted { forward, hidden, mut answers } = self.dice().sort(batch);
        if !forward.is_empty() {
            let outcomes = self.store.execute(forward).await;
            answers.extend(outcomes.into_iter().map(|(id, outcome)| {
                (id, if hidden.contains(&id) { StoreOutcome::Unknown } else { outcome })
            }));
        }
        let due = self.dice().due();
        if !due.is_empty() {
            self.store.execute(due).await;
        }
        give_way().await;
        answers.reverse();
        answers
    }

    async fn news(&self) -> News {
        self.store.news().await
    }

    fn interest(&self, topic: &TopicId, interested: bool) {
        self.store.interest(topic, interested);
    }
}

impl<S: Deciding> Deciding for Hostile<S> {
    type Tx<'t> = S::Tx<'t>;

    fn hand_over(&self, id: DecisionId, decide: Decision<Self>) {
        self.store.hand_over(id, decide);
    }

    fn withdraw(&self, id: DecisionId) {
        self.store.withdraw(id);
    }
}
