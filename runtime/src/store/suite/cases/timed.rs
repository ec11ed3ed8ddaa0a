//! How long things live: leases without contact, ids, entries, topics. Each case lets time pass, and
//! leaves a margin on both sides of the moment at which something ends.

use std::time::Duration;

use super::leases::stays_gone;
use crate::session::store::{
    Commit, CommitId, Generation, MessageId, Retention, StoreOp, StoreOutcome,
};
use crate::store::suite::asks::{EPOCH, KEPT, commit, event, lives, record};
use crate::store::suite::bench::Bench;
use crate::store::suite::report::{Broken, ensure, same};
use crate::store::suite::timed_case::{TimedBench, TimedCase};
use crate::wire::{Epoch, LeaseId, Name, TopicSeq};

const MINUTE: u64 = 60_000;

pub(in crate::store::suite) fn timed_cases() -> Vec<TimedCase> {
    vec![
        TimedCase {
            name: "a lease that no command has run in lives for unused_ttl_ms",
            rule: "OpenLease: without contact a lease ends unused_ttl_ms after the last one, if no \
                   record was written.",
            run: |it| Box::pin(unused(it)),
        },
        TimedCase {
            name: "a lease that a command has run in lives for ttl_ms",
            rule: "OpenLease: once a record was written, a lease ends ttl_ms after the last contact.",
            run: |it| Box::pin(used(it)),
        },
        TimedCase {
            name: "a claim and a renewal are contact",
            rule: "ClaimLease and RenewLease count as contact: the lease's time begins again.",
            run: |it| Box::pin(contact(it)),
        },
        TimedCase {
            name: "nobody holds a lease for longer than held_ms without contact",
            rule: "OpenLease: after held_ms without contact a lease makes room for another one of \
                   its principal, whether a node has let go of it or not.",
            run: |it| Box::pin(held(it)),
        },
        TimedCase {
            name: "a lease whose time is over is not opened again",
            rule: "OpenLease that was asked for before a lease ended, by its time, is answered \
                   LeaseGone or Stale, however late it is carried out.",
            run: |it| Box::pin(not_again(it)),
        },
        TimedCase {
            name: "what a lease owes outlives it",
            rule: "An unsettled record stays when its lease has ended, until it is settled.",
            run: |it| Box::pin(owes(it)),
        },
        TimedCase {
            name: "a sweep leaves out what is young",
            rule: "ListUnsettled gives only records that were written at least older_than_ms ago.",
            run: |it| Box::pin(young(it)),
        },
        TimedCase {
            name: "an id is kept for its time",
            rule: "An id is in use for keep_ms after its commit, and unused after that.",
            run: |it| Box::pin(id_kept(it)),
        },
        TimedCase {
            name: "an entry is kept for its time",
            rule: "An entry goes retention.ttl after its append; the head stays, and oldest says \
                   where the log begins.",
            run: |it| Box::pin(entry_kept(it)),
        },
        TimedCase {
            name: "a topic without entries is soon forgotten, unless somebody asks for it",
            rule: "A topic that never had an entry goes some minutes after its last use, at most an \
                   hour; OpenTopic and Heads are use.",
            run: |it| Box::pin(empty(it)),
        },
        TimedCase {
            name: "a topic that had entries is not forgotten with the empty ones",
            rule: "A topic keeps its epoch for retention.ttl after its last use.",
            run: |it| Box::pin(had_entries(it)),
        },
    ]
}

/// A lease that lives for 10 minutes, and for 60 once a command has run.
async fn opened(bench: &Bench, which: u8, max: u32) -> Result<StoreOutcome, Broken> {
    bench.open_by(open_op(bench, which, max).await?).await
}

async fn open_op(bench: &Bench, which: u8, max: u32) -> Result<StoreOp, Broken> {
    let mut op = bench.open_op(bench.now().await?, bench.lease(which), ("ann", max));
    if let StoreOp::OpenLease { ttl_ms, unused_ttl_ms, held_ms, .. } = &mut op {
        (*ttl_ms, *unused_ttl_ms, *held_ms) = (60 * MINUTE, 10 * MINUTE, 5 * MINUTE);
    }
    Ok(op)
}

async fn lease(bench: &Bench) -> Result<LeaseId, Broken> {
    lives("an opened lease", &opened(bench, 1, 9).await?)?;
    Ok(bench.lease(1))
}

async fn gone(bench: &Bench, id: LeaseId) -> Result<(), Broken> {
    let claim = bench.claim(id, "ann", 0).await?;
    ensure(claim == StoreOutcome::LeaseGone, "LeaseGone", &claim)
}

async fn unused(it: TimedBench) -> Result<(), Broken> {
    let id = lease(&it.bench).await?;
    it.go_on(9 * MINUTE);
    lives("within unused_ttl_ms", &it.bench.claim(id, "ann", 0).await?)?;
    it.go_on(11 * MINUTE);
    gone(&it.bench, id).await
}

async fn used(it: TimedBench) -> Result<(), Broken> {
    let id = lease(&it.bench).await?;
    it.bench.write(id, 1, &[], true).await?;
    it.go_on(59 * MINUTE);
    let (_, records) = lives("within ttl_ms", &it.bench.claim(id, "ann", 0).await?)?;
    ensure(records.len() == 1, "its record", &records)?;
    it.go_on(61 * MINUTE);
    gone(&it.bench, id).await
}

async fn contact(it: TimedBench) -> Result<(), Broken> {
    let id = lease(&it.bench).await?;
    for round in 0..6 {
        it.go_on(7 * MINUTE);
        let came = match round % 2 {
            0 => it.bench.claim(id, "ann", 0).await?,
            _ => it.bench.renew_of(Generation(u64::MAX), id, true, 0).await?,
        };
        lives("a lease with contact", &came)?;
    }
    it.go_on(11 * MINUTE);
    gone(&it.bench, id).await
}

async fn held(it: TimedBench) -> Result<(), Broken> {
    let id = lease(&it.bench).await?;
    it.go_on(4 * MINUTE);
    let refused = opened(&it.bench, 2, 1).await?;
    ensure(refused == StoreOutcome::TooManyLeases, "TooManyLeases", &refused)?;
    it.go_on(2 * MINUTE);
    lives("another lease", &opened(&it.bench, 2, 1).await?)?;
    gone(&it.bench, id).await
}

async fn not_again(it: TimedBench) -> Result<(), Broken> {
    let op = open_op(&it.bench, 1, 9).await?;
    lives("an opened lease", &it.bench.ask(op.clone()).await?.outcome)?;
    it.bench.write(it.bench.lease(1), 1, &[], true).await?;
    for (other, minutes) in (2..).zip([61, 1, 10, 100, 1_000]) {
        it.go_on(minutes * MINUTE);
        stays_gone(&it.bench, op.clone()).await?;
        lives("another lease", &opened(&it.bench, other, 9).await?)?;
    }
    Ok(())
}

async fn owes(it: TimedBench) -> Result<(), Broken> {
    let (bench, topic) = (&it.bench, it.bench.topic("t"));
    let id = lease(bench).await?;
    let publishes = [event(&topic, "owed")];
    let wrote = bench.write(id, 1, &publishes, false).await?;
    it.go_on(61 * MINUTE);
    gone(bench, id).await?;
    let owed = bench.owed(id).await?;
    ensure(wrote.settled || owed.len() == 1, "the record, unsettled", &owed)?;
    if !wrote.settled {
        bench.bring_in(id, 1, &publishes).await?;
    }
    same("the log", &vec!["owed".to_owned()], &bench.texts(&topic).await?)?;
    let owed = bench.owed(id).await?;
    ensure(owed.is_empty(), "nothing unsettled", &owed)
}

async fn young(it: TimedBench) -> Result<(), Broken> {
    let id = lease(&it.bench).await?;
    let wrote = it.bench.write(id, 1, &[event(&it.bench.topic("t"), "owed")], false).await?;
    it.go_on(MINUTE);
    let page = it.bench.sweep_page(9, None, 2 * MINUTE).await?;
    ensure(page.is_empty(), "nothing older than two minutes", &page)?;
    it.go_on(2 * MINUTE);
    let page = it.bench.sweep_page(9, None, 2 * MINUTE).await?;
    ensure(wrote.settled || page.len() == 1, "the record", &page)
}

async fn id_kept(it: TimedBench) -> Result<(), Broken> {
    let bench = &it.bench;
    let lease = lease(bench).await?;
    let message = Name::from_static("order").expect("a legal name");
    let id = MessageId { principal: bench.principal("ann"), message, text: "x".into() };
    let taken = CommitId { id: id.clone(), hash: 1, keep_ms: 30 * MINUTE };
    let commits = vec![Commit { id: Some(Box::new(taken)), ..commit(1, record(1, &[]), true) }];
    bench.committed(lease, 0, commits).await?;
    let find = StoreOp::FindId { id, max_per_principal: 9, max_bytes_per_principal: 9_999 };
    it.go_on(29 * MINUTE);
    let found = bench.ask(find.clone()).await?.outcome;
    ensure(matches!(found, StoreOutcome::UsedId(_)), "UsedId within keep_ms", &found)?;
    it.go_on(2 * MINUTE);
    let found = bench.ask(find).await?.outcome;
    ensure(found == StoreOutcome::UnusedId, "UnusedId after keep_ms", &found)
}

async fn entry_kept(it: TimedBench) -> Result<(), Broken> {
    let (bench, topic) = (&it.bench, it.bench.topic("t"));
    let kept = Retention::new(100, Duration::from_millis(30 * MINUTE));
    bench.say(&topic, &["a", "b"], kept).await?;
    it.go_on(20 * MINUTE);
    bench.append(bench.said(9), event(&topic, "c"), kept).await?;
    let head = bench.open_topic(&topic, kept, EPOCH).await?;
    ensure(head.oldest == TopicSeq(1), "all three entries", &head)?;
    it.go_on(11 * MINUTE);
    let head = bench.open_topic(&topic, kept, EPOCH).await?;
    let left = (head.head, head.oldest) == (TopicSeq(3), TopicSeq(3));
    ensure(left, "the head, and the entry that is young enough", &head)?;
    it.go_on(20 * MINUTE);
    let head = bench.open_topic(&topic, kept, EPOCH).await?;
    let none = (head.head, head.oldest) == (TopicSeq(3), TopicSeq(4));
    ensure(none && head.epoch == EPOCH, "the head, and no entry", &head)
}

async fn empty(it: TimedBench) -> Result<(), Broken> {
    let (bench, topic) = (&it.bench, it.bench.topic("t"));
    bench.open_topic(&topic, KEPT, EPOCH).await?;
    for _ in 0..90 {
        it.go_on(MINUTE);
        let stands = bench.stands(&topic).await?;
        let there = stands.is_some_and(|head| head.epoch == EPOCH);
        ensure(there, "a topic that somebody asks for", &stands)?;
    }
    it.go_on(61 * MINUTE);
    let fresh = Epoch(EPOCH.0 + 1);
    let head = bench.open_topic(&topic, KEPT, fresh).await?;
    ensure(head.epoch == fresh, "a new topic with the epoch that was proposed", &head)
}

async fn had_entries(it: TimedBench) -> Result<(), Broken> {
    let (bench, topic) = (&it.bench, it.bench.topic("t"));
    bench.say(&topic, &["a"], KEPT).await?;
    it.go_on(23 * 60 * MINUTE);
    let head = bench.open_topic(&topic, KEPT, Epoch(EPOCH.0 + 1)).await?;
    ensure(head.epoch == EPOCH && head.head == TopicSeq(1), "the same topic", &head)
}
