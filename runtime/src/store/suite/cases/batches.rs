//! Batches: every operation is answered once, and those on one lease or topic are carried out in
//! order. What the operations mean is left to the other cases.

use crate::session::store::{CommitOutcome, StoreOp, StoreOutcome, TopicId};
use crate::store::suite::asks::{EPOCH, KEPT, LONG_MS, append as said, commit, event, record};
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, ensure, same};
use crate::wire::CommandNo;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "every operation of a batch is answered once",
            "Each operation is answered exactly once, whatever else is in its batch; an empty \
             batch has no answers.",
            |bench| Box::pin(answered_once(bench)),
        ),
        Case::new(
            "operations of a batch on one topic are in order",
            "Operations of one batch that touch the same topic are carried out in their order.",
            |bench| Box::pin(order_of_a_topic(bench)),
        ),
        Case::new(
            "operations of a batch on one lease are in order",
            "Operations of one batch that touch the same lease are carried out in their order.",
            |bench| Box::pin(order_of_a_lease(bench)),
        ),
    ]
}

async fn answered_once(bench: Bench) -> Result<(), Broken> {
    bench.batch(Vec::new()).await?;
    let now = bench.now().await?;
    let mut ops = Vec::new();
    for which in 1..=8 {
        let topic = bench.topic(&which.to_string());
        let lease = bench.lease(which);
        ops.push(bench.open_op(now, lease, ("ann", 200)));
        ops.push(append(&bench, &topic, which, 1));
        ops.push(StoreOp::Settle { records: vec![(lease, CommandNo(9))] });
        ops.push(StoreOp::OpenTopic { topic, fresh_epoch: EPOCH, retention: KEPT });
        let (max, max_bytes, older_than_ms) = (1, 9_999, LONG_MS);
        ops.push(StoreOp::ListUnsettled { max, max_bytes, after: None, older_than_ms });
        ops.push(StoreOp::EndLease { id: bench.lease(100 + which) });
    }
    // The bench compares the answers with what was asked.
    bench.batch(ops).await.map(|_| ())
}

fn append(bench: &Bench, topic: &TopicId, attempt: u8, count: u64) -> StoreOp {
    let key = bench.said(u64::from(attempt) * 100 + count);
    StoreOp::Append {
        topic: topic.clone(),
        appends: vec![said(key, None, event(topic, &count.to_string()))],
        retention: KEPT,
        fresh_epoch: EPOCH,
    }
}

async fn order_of_a_topic(bench: Bench) -> Result<(), Broken> {
    let topic = |attempt: u8| bench.topic(&attempt.to_string());
    let batch = |attempt| (1..=5).map(|n| append(&bench, &topic(attempt), attempt, n)).collect();
    let (attempt, _) = bench.ask_all(batch).await?;
    let texts = bench.texts(&topic(attempt)).await?;
    same(
        "the log, in the order of the batch",
        &["1", "2", "3", "4", "5"].map(str::to_owned)[..],
        &texts[..],
    )
}

async fn order_of_a_lease(bench: Bench) -> Result<(), Broken> {
    let now = bench.now().await?;
    let batch = |attempt| {
        let lease = bench.lease(attempt);
        let write = |hash| {
            let commits = vec![commit(1, record(hash, &[]), true)];
            StoreOp::Commit { lease, low: CommandNo(1), commits }
        };
        let end = StoreOp::EndLease { id: lease };
        vec![bench.open_op(now, lease, ("ann", 200)), write(1), write(2), end, write(3)]
    };
    let (_, outcomes) = bench.ask_all(batch).await?;
    let hash = |outcome: &StoreOutcome| match outcome {
        StoreOutcome::Committed { outcomes: rows, .. } => {
            rows.iter().find_map(|(_, outcome)| match outcome {
                CommitOutcome::Exists(record) => Some(record.hash),
                _ => None,
            })
        }
        _ => None,
    };
    let first = outcomes.get(2).and_then(hash);
    ensure(first == Some(1), "the second commit finds the record of the first", &outcomes)?;
    let gone = outcomes.last() == Some(&StoreOutcome::LeaseGone);
    ensure(gone, "a commit behind the end of its lease: LeaseGone", &outcomes)
}
