//! What the threads of a store are asked for. How they do it is theirs.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use steadfast::session::store::{
    Append, Appended, Commit, MessageId, OpId, PrincipalId, Publication, StoreOp, StoreOutcome,
    TopicId,
};
use steadfast::store::{AdminError, BackPage, Erased, Exported, ListedId, ListedTopic, TopicPage};
use steadfast::wire::{Position, TopicSeq};

use crate::decisions::Decisions;
use crate::error::BackupError;
use crate::news::{HandleId, Listener};
use crate::queue::Weighty;
use crate::space::Space;

/// Answers to a batch.
pub(crate) type Answers = Vec<(OpId, StoreOutcome)>;

/// What a thread of the store gives back: the operations, which whoever has asked lets go of on a
/// thread of its own, and what came of them.
pub(crate) struct Answered {
    ops: Vec<(OpId, StoreOp)>,
    outcomes: Vec<StoreOutcome>,
    others: Others,
    /// What is left of the room for them.
    spaces: Vec<Space>,
}

/// Where the answer to a batch goes.
type Tell = oneshot::Sender<Answered>;

/// Answers to other batches of the same handle and group. Whoever gets the first answer passes them
/// on: to wake a task from a thread of its own runtime costs a fraction of what it costs the writer,
/// which goes on with the next group meanwhile. They are passed on when this is dropped, so nobody
/// who has gone can keep them.
#[derive(Default)]
struct Others(Vec<(Tell, Answered)>);

impl Drop for Others {
    fn drop(&mut self) {
        for (tell, answered) in self.0.drain(..) {
            let _ = tell.send(answered);
        }
    }
}

impl Answered {
    pub(crate) fn into_answers(self) -> Answers {
        let Self { ops, outcomes, others, spaces } = self;
        drop(others);
        drop(spaces);
        ops.into_iter().map(|(id, _)| id).zip(outcomes).collect()
    }
}

/// Answers batches with the outcomes of all their operations in order. Whoever has asked may be
/// gone.
pub(crate) fn answer(batches: Vec<Batch>, outcomes: &mut impl Iterator<Item = StoreOutcome>) {
    let mut first: BTreeMap<HandleId, (Tell, Answered)> = BTreeMap::new();
    for batch in batches {
        let (from, tell, answered) = batch.answered(outcomes);
        match first.entry(from) {
            Entry::Vacant(none) => drop(none.insert((tell, answered))),
            Entry::Occupied(mut first) => first.get_mut().1.others.0.push((tell, answered)),
        }
    }
    for (tell, answered) in first.into_values() {
        let _ = tell.send(answered);
    }
}

/// Operations that are asked for and answered together.
pub(crate) struct Batch {
    ops: Vec<(OpId, StoreOp)>,
    bytes: u64,
    /// Of the handle that asks, if one of its operations waits for a decision.
    decisions: Option<Arc<Decisions>>,
    /// The handle that asks.
    from: HandleId,
    /// Room for outcomes, and for each of them.
    outcomes: Vec<StoreOutcome>,
    spaces: Vec<Space>,
    tell: Tell,
}

/// What an operator asks for.
pub(crate) enum Asked {
    List(TopicPage),
    ReadBack { topic: TopicId, before: Option<TopicSeq>, max: u32, max_bytes: u64 },
    Ids { after: Option<MessageId>, max: u32, max_bytes: u64 },
    Import { incarnation: u64, pieces: Vec<Exported> },
    Delete(TopicId),
    Erase(PrincipalId),
    Compact,
}

/// What an operator is told.
pub(crate) enum Told {
    Listed(Vec<ListedTopic>),
    Page(Option<BackPage>),
    Ids(Vec<ListedId>),
    Imported,
    Deleted(bool),
    Erased(Erased),
    Compacted,
}

/// Something for the writer to do.
pub(crate) enum Job {
    Batch(Batch),
    /// What an operator asks for.
    Admin {
        asked: Asked,
        tell: oneshot::Sender<Result<Told, AdminError>>,
    },
    /// A copy of the file.
    Backup {
        to: PathBuf,
        tell: oneshot::Sender<Result<(), BackupError>>,
    },
}

impl Batch {
    /// A batch, and where its answers come.
    pub(crate) fn new(
        ops: Vec<(OpId, StoreOp)>,
        (from, decisions): (HandleId, &Arc<Decisions>),
    ) -> (Self, oneshot::Receiver<Answered>) {
        let (tell, told) = oneshot::channel();
        let bytes = ops.iter().map(|(_, op)| weight(op)).sum();
        let decides = ops.iter().any(|(_, op)| Decisions::any_named_by(op));
        let decisions = decides.then(|| Arc::clone(decisions));
        let outcomes = Vec::with_capacity(ops.len());
        let spaces = ops.iter().map(|(_, op)| Space::for_outcome_of(op)).collect();
        (Self { ops, bytes, decisions, from, outcomes, spaces, tell }, told)
    }

    /// What it asks for, where the decisions are that its operations wait for, and room for what
    /// comes of them.
    pub(crate) fn ops(&self) -> impl Iterator<Item = (&StoreOp, Option<&Decisions>, &Space)> {
        let each = self.ops.iter().zip(&self.spaces);
        each.map(|((_, op), space)| (op, self.decisions.as_deref(), space))
    }

    /// Tells other handles of the topics to which it has appended; `outcomes` are those of its
    /// operations.
    pub(crate) fn tell(&self, outcomes: &[StoreOutcome], others: &[Arc<Listener>]) {
        for other in others.iter().filter(|other| other.id != self.from) {
            for ((_, op), outcome) in self.ops.iter().zip(outcomes) {
                op.landed(outcome, |topic, _, Appended { epoch, ts }| {
                    other.appended(topic, Position { epoch, ts });
                });
            }
        }
    }

    /// Its answer, each operation with the next outcome. What has decided is let go of.
    fn answered(self, next: &mut impl Iterator<Item = StoreOutcome>) -> (HandleId, Tell, Answered) {
        let Self { ops, decisions, from, mut outcomes, spaces, tell, .. } = self;
        outcomes.extend(next.take(ops.len()));
        if let Some(decisions) = &decisions {
            let is_over = |outcome: &StoreOutcome| {
                !matches!(outcome, StoreOutcome::Failed | StoreOutcome::Unknown)
            };
            let over = ops.iter().zip(&outcomes).filter(|(_, outcome)| is_over(outcome));
            over.for_each(|((_, op), _)| decisions.done_with(op));
        }
        (from, tell, Answered { ops, outcomes, others: Others::default(), spaces })
    }
}

impl Weighty for Batch {
    fn operations(&self) -> usize {
        self.ops.len()
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Weighty for Job {
    fn operations(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.operations(),
            Self::Backup { .. } | Self::Admin { .. } => 1,
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Batch(batch) => batch.bytes(),
            Self::Backup { .. } | Self::Admin { .. } => 0,
        }
    }
}

/// About what an operation takes in memory.
fn weight(op: &StoreOp) -> u64 {
    const ROW: u64 = 128;
    let commit = |commit: &Commit| {
        let Commit { record, .. } = commit;
        ROW + record.outcome.bytes() + published(&record.publishes)
    };
    match op {
        StoreOp::Commit { commits, .. } => ROW + commits.iter().map(commit).sum::<u64>(),
        StoreOp::Append { topic, appends, .. } => {
            let append = |append: &Append| {
                let bodies: usize = append.bodies.iter().map(|(_, body)| body.len()).sum();
                ROW + (topic.key.len() + append.name.as_bytes().len() + bodies) as u64
            };
            appends.iter().map(append).sum()
        }
        StoreOp::Settle { records } => ROW * (1 + records.len() as u64),
        StoreOp::Heads { topics } => topics.iter().map(|topic| ROW + topic.key.len() as u64).sum(),
        _ => ROW,
    }
}

fn published(publications: &[Publication]) -> u64 {
    Publication::owed_bytes(publications)
}
