//! What another incarnation has of the one before: no epoch and no lease, but its ids and what its
//! leases owe. Each case asks before and after; how much of the logs is left, a store decides.

use std::pin::pin;

use futures_util::future::{Either, select};

use crate::session::store::{
    AppendKey, Commit, CommitId, MessageId, News, Outcome, ReadFrom, StoreOp, StoreOutcome,
    TopicHead, UsedId,
};
use crate::store::suite::asks::{EPOCH, KEPT, LONG_MS, append, commit, event, lives, record};
use crate::store::suite::bench::Bench;
use crate::store::suite::report::{Broken, ensure, same};
use crate::store::suite::rolled_case::{Risen, RolledCase};
use crate::wire::{Body, CommandNo, Epoch, Name, TopicSeq};

/// Proposed for every topic afterwards.
const FRESH: Epoch = Epoch(EPOCH.0 + 1);
/// How many news in a row may tell of something else.
const NEWS: usize = 64;
const HASH: u64 = 5;

pub(in crate::store::suite) fn rolled_cases() -> Vec<RolledCase> {
    vec![
        RolledCase {
            name: "in another incarnation every topic has another epoch",
            rule: "Of another incarnation no topic has the epoch that it had, and who reads with \
                   that one gets no entries.",
            before: |bench| Box::pin(topics(bench)),
            after: |it| Box::pin(other_epochs(it.bench)),
        },
        RolledCase {
            name: "in another incarnation every lease is gone",
            rule: "In another incarnation the answer to ClaimLease, RenewLease and Commit of any \
                   lease is LeaseGone, and it takes no room of its principal.",
            before: |bench| Box::pin(leases(bench)),
            after: |it| Box::pin(no_leases(it.bench)),
        },
        RolledCase {
            name: "ids outlive an incarnation",
            rule: "In another incarnation an id is in use that was before, with its outcome.",
            before: |bench| Box::pin(an_id(bench)),
            after: |it| Box::pin(id_stays(it.bench)),
        },
        RolledCase {
            name: "what leases owe outlives an incarnation",
            rule: "In another incarnation unsettled records are listed whole, though their leases \
                   are gone; what they have published is appended once, and they are settled.",
            before: |bench| Box::pin(debts(bench)),
            after: |it| Box::pin(debts_stay(it.bench)),
        },
        RolledCase {
            name: "a handle that lives through it tells of another incarnation",
            rule: "News::Rolled comes from each handle that was there before.",
            before: |bench| Box::pin(topics(bench)),
            after: |it| Box::pin(told(it)),
        },
    ]
}

/// One topic with an entry, and one without.
async fn topics(bench: Bench) -> Result<(), Broken> {
    let topic = bench.topic("full");
    bench.interest(&topic);
    bench.say(&topic, &["a"], KEPT).await?;
    bench.open_topic(&bench.topic("empty"), KEPT, EPOCH).await.map(drop)
}

fn is_other(head: &TopicHead) -> Result<(), Broken> {
    ensure(head.epoch != EPOCH, format!("another epoch than {EPOCH:?}"), head)
}

async fn other_epochs(bench: Bench) -> Result<(), Broken> {
    for which in ["full", "empty"] {
        let topic = bench.topic(which);
        let from = ReadFrom::After(TopicSeq::ZERO);
        let read = StoreOp::ReadLog { topic, epoch: EPOCH, from, max: 9, max_bytes: 9_999 };
        match bench.ask(read).await?.outcome {
            StoreOutcome::TopicGone => {}
            StoreOutcome::Log { head, entries } => {
                is_other(&head)?;
                ensure(entries.is_empty(), "no entries for the old epoch", &entries)?;
            }
            other => return Err(Broken::new("Log without entries, or TopicGone", &other)),
        }
        bench.stands(&bench.topic(which)).await?.as_ref().map_or(Ok(()), is_other)?;
        is_other(&bench.open_topic(&bench.topic(which), KEPT, FRESH).await?)?;
    }
    let topic = bench.topic("full");
    let landed = bench.append(bench.said(2), event(&topic, "b"), KEPT).await?;
    let head = bench.open_topic(&topic, KEPT, FRESH).await?;
    same("the epoch and number of an entry", &(head.epoch, head.head), &(landed.epoch, landed.ts))
}

/// One lease that has a record, and one that has none.
async fn leases(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    bench.write(id, 1, &[], true).await?;
    bench.opened(2).await.map(drop)
}

async fn no_leases(bench: Bench) -> Result<(), Broken> {
    for which in [1, 2] {
        let id = bench.lease(which);
        let asked = [
            bench.claim(id, "ann", 0).await?,
            bench.renew(id, true, 0).await?,
            bench.commit(id, 0, vec![commit(2, record(2, &[]), true)]).await?.outcome,
        ];
        for outcome in asked {
            ensure(outcome == StoreOutcome::LeaseGone, "LeaseGone", &outcome)?;
        }
    }
    lives("the only lease", &bench.open(bench.lease(3), "ann", 1).await?).map(drop)
}

fn order(bench: &Bench) -> MessageId {
    let message = Name::from_static("order").expect("a legal name");
    MessageId { principal: bench.principal("ann"), message, text: "x".into() }
}

async fn an_id(bench: Bench) -> Result<(), Broken> {
    let lease = bench.opened(1).await?;
    let taken = CommitId { id: order(&bench), hash: HASH, keep_ms: LONG_MS };
    let ours = commit(1, record(HASH, &[]), true);
    let commits = vec![Commit { id: Some(Box::new(taken)), ..ours }];
    bench.committed(lease, 0, commits).await.map(drop)
}

async fn id_stays(bench: Bench) -> Result<(), Broken> {
    let (max_per_principal, max_bytes_per_principal) = (9, 9_999);
    let id = order(&bench);
    let find = StoreOp::FindId { id, max_per_principal, max_bytes_per_principal };
    let used = UsedId { hash: HASH, outcome: Outcome::Ok(Body::UNIT) };
    let found = bench.ask(find).await?.outcome;
    same("the id", &StoreOutcome::UsedId(Box::new(used)), &found)
}

async fn debts(bench: Bench) -> Result<(), Broken> {
    let lease = bench.opened(1).await?;
    let publishes = [event(&bench.topic("t"), "a"), event(&bench.topic("t"), "b")];
    bench.write(lease, 1, &publishes, false).await.map(drop)
}

async fn debts_stay(bench: Bench) -> Result<(), Broken> {
    let (lease, topic) = (bench.lease(1), bench.topic("t"));
    let publishes = [event(&topic, "a"), event(&topic, "b")];
    let owed = bench.owed(lease).await?;
    let whole = matches!(&owed[..], [(.., record)] if record.publishes == publishes);
    ensure(whole, "the record with both publications", &owed)?;
    for index in [0, 0, 1, 1] {
        let key = AppendKey::Command { lease, n: CommandNo(1), index };
        let landed = bench.append(key, publishes[index as usize].clone(), KEPT).await?;
        same("where it landed", &TopicSeq(u64::from(index) + 1), &landed.ts)?;
    }
    bench.settle(lease, 1).await?;
    let owed = bench.owed(lease).await?;
    ensure(owed.is_empty(), "nothing unsettled", &owed)?;
    let key = AppendKey::Command { lease, n: CommandNo(1), index: 0 };
    let late = append(key, None, publishes[0].clone());
    bench.append_all(&topic, vec![late], KEPT).await?;
    let head = bench.open_topic(&topic, KEPT, FRESH).await?;
    ensure(head.head == TopicSeq(2), "two entries", &head)
}

async fn told(it: Risen) -> Result<(), Broken> {
    let Some(mut wait) = it.told else { return Ok(()) };
    let mut others = Vec::new();
    for _ in 0..NEWS {
        let news = pin!(it.bench.news());
        match select(news, &mut wait).await {
            Either::Left((News::Rolled, _)) => return Ok(()),
            Either::Left((other, _)) => others.push(other),
            Either::Right(_) => break,
        }
    }
    Err(Broken::new("Rolled", &others))
}
