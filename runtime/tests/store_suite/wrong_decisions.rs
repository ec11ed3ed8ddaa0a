//! Stores that decide outcomes with one mistake each, in front of the memory store. What finds them
//! is not here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use steadfast::session::store::{Commit, Decided, DecisionId, OpId, StoreOp, StoreOutcome, Terms};
use steadfast::store::{Deciding, Decision, MemoryStore, Store};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    DecidesNothing,
    DecidesBeforeItLooks,
    AnyTerms,
    Overtakes,
    KeepsWhatIsWithdrawn,
}

/// Each with the cases that have to find it, and no others.
pub const MISTAKES: &[(Mistake, &[&str])] = &[
    (
        Mistake::DecidesNothing,
        &[
            "an outcome is decided when its record is written",
            "a decision holds on its terms",
            "a decision overtakes nothing",
            "decisions of one commit are made in order",
            "a decision that panics has failed alone",
            "what was withdrawn is not decided",
        ],
    ),
    (Mistake::DecidesBeforeItLooks, &["what is not written is not decided"]),
    (Mistake::AnyTerms, &["a decision holds on its terms"]),
    (Mistake::Overtakes, &["a decision overtakes nothing"]),
    (Mistake::KeepsWhatIsWithdrawn, &["what was withdrawn is not decided"]),
];

type Shared = Arc<Mutex<Decision<MemoryStore>>>;

pub struct Wrong {
    store: MemoryStore,
    mistake: Mistake,
    given: Mutex<BTreeMap<DecisionId, Shared>>,
}

fn decide(shared: &Shared) -> Decided {
    // One that has panicked is asked again.
    (shared.lock().unwrap_or_else(PoisonError::into_inner))(&mut ())
}

impl Wrong {
    pub fn new(store: MemoryStore, mistake: Mistake) -> Self {
        Self { store, mistake, given: Mutex::default() }
    }

    fn spoil(&self, commit: &mut Commit) {
        let Some(mut it) = commit.decide.take() else { return };
        match self.mistake {
            Mistake::DecidesNothing => return,
            Mistake::DecidesBeforeItLooks => {
                let shared = self.given.lock().unwrap().get(&it.id).cloned();
                // A panic is not what this one is about.
                let _ = shared.map(|it| std::panic::catch_unwind(|| decide(&it)));
            }
            Mistake::AnyTerms => {
                let (reply_bytes, topics) = (u64::MAX, it.terms.topics.clone());
                let many = usize::MAX;
                let (publishes, publish_bytes, key_bytes) = (many, many, many);
                it.terms =
                    Arc::new(Terms { reply_bytes, publishes, publish_bytes, key_bytes, topics });
            }
            Mistake::Overtakes => it.waiting = Arc::default(),
            Mistake::KeepsWhatIsWithdrawn => {}
        }
        commit.decide = Some(it);
    }
}

impl Store for Wrong {
    async fn execute(&self, mut batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        for (_, op) in &mut batch {
            if let StoreOp::Commit { commits, .. } = op {
                commits.iter_mut().for_each(|commit| self.spoil(commit));
            }
        }
        self.store.execute(batch).await
    }
}

impl Deciding for Wrong {
    type Tx<'t> = ();

    fn hand_over(&self, id: DecisionId, made: Decision<Self>) {
        let shared = Arc::new(Mutex::new(made));
        self.given.lock().unwrap().insert(id, Arc::clone(&shared));
        self.store.hand_over(id, Box::new(move |()| decide(&shared)));
    }

    fn withdraw(&self, id: DecisionId) {
        if self.mistake != Mistake::KeepsWhatIsWithdrawn {
            self.store.withdraw(id);
            self.given.lock().unwrap().remove(&id);
        }
    }
}
