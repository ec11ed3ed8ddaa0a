//! Outcomes that the store decides when it writes the record. What a decision does in a store's own
//! transaction is that store's to test.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::session::store::{
    Commit, CommitId, CommitOutcome, Decide, Decided, MessageId, Outcome, Publication,
    StoreOutcome, Terms, TopicId,
};
use crate::store::suite::asks::{EPOCH, KEPT, LONG_MS, commit, event, record};
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, ensure, same};
use crate::wire::{Body, FailureCode, Name};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "an outcome is decided when its record is written",
            "What a decision comes to is answered, recorded and published, as if its commit had \
             said so.",
            |bench| Box::pin(decided(bench)),
        ),
        Case::new(
            "what is not written is not decided",
            "Nothing is decided for a number that has a record or is below the low-water mark, for \
             an id that is taken, or for a lease that is gone.",
            |bench| Box::pin(not_decided(bench)),
        ),
        Case::new(
            "a decision holds on its terms",
            "A decision that breaks its terms is recorded as internal and publishes nothing; nor \
             does one for an error.",
            |bench| Box::pin(on_its_terms(bench)),
        ),
        Case::new(
            "a decision overtakes nothing",
            "A record whose decision publishes to a topic for which earlier appends wait is not \
             settled by its commit, and its publications are owed.",
            |bench| Box::pin(overtakes_nothing(bench)),
        ),
        Case::new(
            "decisions of one commit are made in order",
            "The decisions of one operation are made in the order of its commits.",
            |bench| Box::pin(in_order(bench)),
        ),
        Case::new(
            "a decision that panics has failed alone",
            "A panic in a decision is recorded as internal, and harms no other command of the \
             operation.",
            |bench| Box::pin(panics_alone(bench)),
        ),
        Case::new(
            "what was withdrawn is not decided",
            "A decision that was withdrawn before its commit is never made.",
            |bench| Box::pin(withdrawn(bench)),
        ),
    ]
}

/// How often a decision was made.
type Made = Arc<AtomicU64>;

fn ok(text: &'static str) -> Outcome {
    Outcome::Ok(Body::from(text))
}

fn error() -> Outcome {
    let name = Name::from_static("no_such_room").expect("a legal name");
    Outcome::failed(FailureCode::Error, name, Body::UNIT)
}

/// Those of every commit here, for events of these topics.
fn terms(topic: &TopicId) -> Terms {
    let topics = BTreeMap::from([(topic.name.clone(), KEPT)]);
    Terms { reply_bytes: 20, publishes: 2, publish_bytes: 20, key_bytes: 100, topics }
}

impl Bench {
    /// Gives the store a decision, for the number `n`.
    fn give(&self, n: u64, outcome: Outcome, publishes: Vec<Publication>) -> Result<Made, Broken> {
        let made = Made::default();
        let count = Arc::clone(&made);
        let decide = move || {
            count.fetch_add(1, Ordering::Relaxed);
            Decided { outcome: outcome.clone(), publishes: publishes.clone() }
        };
        self.given()?.give(self.decision(n), Box::new(decide));
        Ok(made)
    }

    /// The commit that waits for it.
    fn deciding_commit(&self, n: u64, topic: &TopicId, waiting: &[&TopicId]) -> Commit {
        let decide = Decide {
            id: self.decision(n),
            terms: Arc::new(terms(topic)),
            waiting: Arc::new(waiting.iter().map(|topic| (*topic).clone()).collect()),
            fresh_epoch: EPOCH,
        };
        let mut commit = commit(n, record(n, &[]), true);
        commit.record.outcome = Decided::internal().outcome;
        commit.decide = Some(Box::new(decide));
        commit
    }
}

fn count(made: &Made) -> u64 {
    made.load(Ordering::Relaxed)
}

fn never(what: &str, made: &Made) -> Result<(), Broken> {
    same(&format!("decisions, {what}"), &0, &count(made))
}

/// What a decision that was written is told, and whether its record is settled. An earlier try may
/// have written it.
fn told(outcome: &CommitOutcome, repeated: bool) -> Result<(Outcome, bool), Broken> {
    match outcome {
        CommitOutcome::Decided { decided, settled } => {
            let settled = settled.as_ref().map(Vec::len);
            let all = settled.is_none_or(|places| places == decided.publishes.len());
            ensure(all, "where each publication landed", outcome)?;
            Ok((decided.outcome.clone(), settled.is_some() || decided.publishes.is_empty()))
        }
        CommitOutcome::Exists(record) if repeated => Ok((record.outcome.clone(), record.settled)),
        other => Err(Broken::new("Decided", other)),
    }
}

async fn published(bench: &Bench, topic: &TopicId, texts: &[&str]) -> Result<(), Broken> {
    let came = bench.texts(topic).await?;
    ensure(came == texts, format!("what was published: {texts:?}"), &came)
}

async fn decided(bench: Bench) -> Result<(), Broken> {
    let (id, topic) = (bench.opened(1).await?, bench.topic("t"));
    for (n, outcome) in (1..).zip([ok("{\"id\":7}"), error()]) {
        let said = vec![event(&topic, "one"), event(&topic, "two")];
        let made = bench.give(n, outcome.clone(), said.clone())?;
        let commits = vec![bench.deciding_commit(n, &topic, &[])];
        let (rows, repeated) = bench.committed(id, 0, commits.clone()).await?;
        let (came, settled) = told(&rows[0], repeated)?;
        same("the outcome that was decided", &outcome, &came)?;
        ensure(count(&made) > 0, "a decision", &count(&made))?;
        let (rows, _) = bench.committed(id, 0, commits).await?;
        let CommitOutcome::Exists(record) = &rows[0] else {
            return Err(Broken::new(format!("Exists for {n}"), &rows));
        };
        same("the outcome that was recorded", &outcome, &record.outcome)?;
        same("the hash of the commit", &n, &record.hash)?;
        if !settled {
            bench.bring_in(id, n, &said).await?;
        }
    }
    published(&bench, &topic, &["one", "two"]).await
}

async fn not_decided(bench: Bench) -> Result<(), Broken> {
    let (id, topic) = (bench.opened(1).await?, bench.topic("t"));
    let said = || vec![event(&topic, "never")];
    bench.write(id, 5, &[], true).await?;
    let made = bench.give(5, ok("{}"), said())?;
    let commits = vec![bench.deciding_commit(5, &topic, &[])];
    let (rows, _) = bench.committed(id, 5, commits).await?;
    ensure(matches!(rows[0], CommitOutcome::Exists(_)), "Exists for 5", &rows)?;
    never("with a record", &made)?;
    let made = bench.give(4, ok("{}"), said())?;
    let commits = vec![bench.deciding_commit(4, &topic, &[])];
    let (rows, _) = bench.committed(id, 5, commits).await?;
    ensure(rows[0] == CommitOutcome::BelowLow, "BelowLow for 4", &rows)?;
    never("below the mark", &made)?;
    let name = Name::from_static("pay").expect("a legal name");
    let taken = MessageId { principal: bench.principal("ann"), message: name, text: "x".into() };
    let taken = CommitId { id: taken, hash: 1, keep_ms: LONG_MS };
    let first = Commit { id: Some(Box::new(taken.clone())), ..commit(6, record(6, &[]), true) };
    bench.committed(id, 5, vec![first]).await?;
    let made = bench.give(7, ok("{}"), said())?;
    let again = Commit { id: Some(Box::new(taken)), ..bench.deciding_commit(7, &topic, &[]) };
    let (rows, repeated) = bench.committed(id, 5, vec![again]).await?;
    let used = matches!(rows[0], CommitOutcome::Used(_));
    let before = repeated && matches!(rows[0], CommitOutcome::Exists(_));
    ensure(used || before, "Used for 7", &rows)?;
    never("with an id that is taken", &made)?;
    let made = bench.give(8, ok("{}"), said())?;
    let commits = vec![bench.deciding_commit(8, &topic, &[])];
    let gone = bench.commit(bench.lease(2), 0, commits).await?.outcome;
    ensure(gone == StoreOutcome::LeaseGone, "LeaseGone", &gone)?;
    never("without a lease", &made)?;
    published(&bench, &topic, &[]).await
}

async fn on_its_terms(bench: Bench) -> Result<(), Broken> {
    let (id, topic) = (bench.opened(1).await?, bench.topic("t"));
    let other = Name::from_static("other").expect("a legal name");
    let elsewhere = TopicId { name: other, key: topic.key.clone() };
    let internal = Decided::internal().outcome;
    let said = |topic: &TopicId, times: usize| vec![event(topic, "x"); times];
    let rows = [
        (ok("{}"), said(&topic, 3), &internal, "with too many publications"),
        (ok("{}"), said(&elsewhere, 1), &internal, "for a topic that is not declared"),
        (ok("{}"), vec![event(&topic, &"x".repeat(21))], &internal, "with long publications"),
        (ok("\"a reply that is too long\""), Vec::new(), &internal, "with a long reply"),
        (error(), said(&topic, 1), &error(), "for an error"),
    ];
    for (n, (outcome, publishes, expected, what)) in (1..).zip(rows) {
        bench.give(n, outcome, publishes)?;
        let commits = vec![bench.deciding_commit(n, &topic, &[])];
        let (rows, repeated) = bench.committed(id, 0, commits).await?;
        let (came, settled) = told(&rows[0], repeated)?;
        same(&format!("the outcome of a decision {what}"), expected, &came)?;
        ensure(settled, format!("nothing is owed of a decision {what}"), &rows)?;
    }
    published(&bench, &topic, &[]).await
}

async fn overtakes_nothing(bench: Bench) -> Result<(), Broken> {
    let (id, topic) = (bench.opened(1).await?, bench.topic("t"));
    let said = vec![event(&topic, "second")];
    bench.give(1, ok("{}"), said.clone())?;
    let commits = vec![bench.deciding_commit(1, &topic, &[&bench.topic("u"), &topic])];
    let (rows, repeated) = bench.committed(id, 0, commits).await?;
    let (_, settled) = told(&rows[0], repeated)?;
    ensure(!settled, "a record that is not settled", &rows)?;
    let owed = bench.owed(id).await?;
    let publishes: Vec<_> = owed.iter().map(|(_, _, record)| &record.publishes).collect();
    same("what is owed", &vec![&said], &publishes)?;
    bench.say(&topic, &["first"], KEPT).await?;
    bench.bring_in(id, 1, &said).await?;
    published(&bench, &topic, &["first", "second"]).await
}

async fn in_order(bench: Bench) -> Result<(), Broken> {
    let (id, topic) = (bench.opened(1).await?, bench.topic("t"));
    let made = Arc::new(Mutex::new(Vec::new()));
    for n in 1..=3_u64 {
        let made = Arc::clone(&made);
        let decide = move || {
            made.lock().unwrap_or_else(PoisonError::into_inner).push(n);
            Decided { outcome: ok("{}"), publishes: Vec::new() }
        };
        bench.given()?.give(bench.decision(n), Box::new(decide));
    }
    let commits = (1..=3).map(|n| bench.deciding_commit(n, &topic, &[])).collect();
    let (rows, repeated) = bench.committed(id, 0, commits).await?;
    for outcome in &rows {
        told(outcome, repeated)?;
    }
    let made = made.lock().unwrap_or_else(PoisonError::into_inner);
    // A transaction that was begun anew has made them again.
    let last = made.len().saturating_sub(3);
    same("the last three decisions", &[1, 2, 3][..], &made[last..])
}

async fn panics_alone(bench: Bench) -> Result<(), Broken> {
    let (id, topic) = (bench.opened(1).await?, bench.topic("t"));
    bench.give(1, ok("1"), Vec::new())?;
    let decide = || std::panic::resume_unwind(Box::new("on purpose"));
    bench.given()?.give(bench.decision(2), Box::new(decide));
    bench.give(3, ok("3"), Vec::new())?;
    let commits = (1..=3).map(|n| bench.deciding_commit(n, &topic, &[])).collect();
    let (rows, repeated) = bench.committed(id, 0, commits).await?;
    for (row, expected) in rows.iter().zip([ok("1"), Decided::internal().outcome, ok("3")]) {
        same("the outcome", &expected, &told(row, repeated)?.0)?;
    }
    Ok(())
}

async fn withdrawn(bench: Bench) -> Result<(), Broken> {
    let (id, topic) = (bench.opened(1).await?, bench.topic("t"));
    let made = bench.give(1, ok("{}"), vec![event(&topic, "never")])?;
    bench.given()?.take_back(bench.decision(1));
    let commits = vec![bench.deciding_commit(1, &topic, &[])];
    let (rows, repeated) = bench.committed(id, 0, commits).await?;
    let (came, _) = told(&rows[0], repeated)?;
    same("the outcome", &Decided::internal().outcome, &came)?;
    never("withdrawn", &made)?;
    published(&bench, &topic, &[]).await
}
