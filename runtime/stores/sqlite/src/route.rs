//! Which operations of a batch may be read beside the writer, and which go through it. They keep
//! the order that a batch has on each lease and topic.

use steadfast::session::store::{Commit, OpId, StoreOp, TopicId};

type Ops = Vec<(OpId, StoreOp)>;

/// Those that only read, and touch nothing that others of their batch touch; and all others.
pub(crate) fn split(batch: Ops) -> (Ops, Ops) {
    if !batch.iter().any(|(_, op)| reads(op)) {
        return (Vec::new(), batch);
    }
    let beside: Vec<bool> =
        batch.iter().map(|(id, op)| reads(op) && is_alone(*id, op, &batch)).collect();
    let mut split = (Vec::new(), Vec::new());
    for (op, beside) in batch.into_iter().zip(beside) {
        if beside { split.0.push(op) } else { split.1.push(op) }
    }
    split
}

const fn reads(op: &StoreOp) -> bool {
    matches!(op, StoreOp::ReadLog { .. } | StoreOp::ListUnsettled { .. })
}

/// Whether an operation that reads concerns nothing that another one of its batch writes.
fn is_alone(id: OpId, op: &StoreOp, batch: &Ops) -> bool {
    let others = batch.iter().filter(|(other, _)| *other != id);
    let mut writing = others.map(|(_, op)| op).filter(|op| !reads(op));
    match op {
        StoreOp::ReadLog { topic, .. } => !writing.any(|other| concerns(other, topic)),
        // It concerns every lease.
        _ => writing.next().is_none(),
    }
}

fn concerns(op: &StoreOp, topic: &TopicId) -> bool {
    match op {
        StoreOp::Commit { commits, .. } => {
            // Nobody knows before what a decision publishes.
            commits.iter().any(|Commit { record, decide, .. }| {
                let mut topics = record.publishes.iter().map(|publication| &publication.topic);
                decide.is_some() || topics.any(|other| other == topic)
            })
        }
        StoreOp::Append { topic: other, .. } | StoreOp::OpenTopic { topic: other, .. } => {
            other == topic
        }
        StoreOp::Heads { topics } => topics.contains(topic),
        _ => false,
    }
}
