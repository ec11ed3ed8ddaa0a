//! The application's own ids: an outcome that stands takes its id with its record, and whoever
//! commits under the id later gets that outcome. How long an id is kept is not here.

use crate::session::store::{
    Commit, CommitId, CommitOutcome, MessageId, Outcome, Record, StoreOp, StoreOutcome, UsedId,
};
use crate::store::suite::asks::{LONG_MS, commit, event, lives, record, stands, written};
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, ensure};
use crate::wire::{Body, FailureCode, LeaseId, Name};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "an id is taken with its record and outlives its lease",
            "A commit takes the id of an outcome that stands; FindId is answered UsedId with hash \
             and outcome, also after the lease has ended.",
            |bench| Box::pin(taken(bench)),
        ),
        Case::new(
            "the first outcome of an id stands",
            "A commit with an id that is taken is answered Used with the outcome of that id; the \
             same is recorded, settled, and nothing is published.",
            |bench| Box::pin(first_stands(bench)),
        ),
        Case::new(
            "another body under an id is told so",
            "A commit whose hash is not that of the id is answered Used with `id_reused`.",
            |bench| Box::pin(another_body(bench)),
        ),
        Case::new(
            "an outcome that does not stand takes no id",
            "Failures that are not the application's, and Expired, are recorded and leave the id \
             unused; where the id is taken they are answered Used like any other.",
            |bench| Box::pin(leaves_it(bench)),
        ),
        Case::new(
            "an id belongs to its principal and its message",
            "The same text is another id for another principal, or another message.",
            |bench| Box::pin(apart(bench)),
        ),
        Case::new(
            "a principal has so many ids",
            "FindId of an unused id is answered TooManyIds while the principal has max_per_principal \
             or max_bytes_per_principal of them; those in use are found, and others are not \
             concerned.",
            |bench| Box::pin(quota(bench)),
        ),
        Case::new(
            "a record of its own comes before what an id stands for",
            "A commit for a number that has a record is answered Exists, whatever its id.",
            |bench| Box::pin(own_record(bench)),
        ),
        Case::new(
            "commits of one operation see the ids of those before them",
            "Of two commits of one operation with one id the second is answered Used.",
            |bench| Box::pin(in_order(bench)),
        ),
    ]
}

const HASH: u64 = u64::MAX - 7;

impl Bench {
    fn id(&self, principal: &str, message: &'static str, text: &str) -> MessageId {
        let message = Name::from_static(message).expect("a legal name");
        MessageId { principal: self.principal(principal), message, text: text.into() }
    }

    async fn find(&self, id: MessageId, max: u32, max_bytes: u64) -> Result<StoreOutcome, Broken> {
        let (max_per_principal, max_bytes_per_principal) = (max, max_bytes);
        let op = StoreOp::FindId { id, max_per_principal, max_bytes_per_principal };
        Ok(self.ask(op).await?.outcome)
    }

    async fn is_unused(&self, id: MessageId) -> Result<(), Broken> {
        let outcome = self.find(id, 100, LONG_MS).await?;
        ensure(outcome == StoreOutcome::UnusedId, "UnusedId", &outcome)
    }

    async fn is_used(&self, id: MessageId, by: &Outcome) -> Result<(), Broken> {
        let outcome = self.find(id, 100, LONG_MS).await?;
        let expected = StoreOutcome::UsedId(Box::new(UsedId { hash: HASH, outcome: by.clone() }));
        ensure(outcome == expected, format!("{expected:?}"), &outcome)
    }

    /// Writes one new record that takes an id, or tries to.
    async fn take(
        &self,
        lease: LeaseId,
        n: u64,
        (id, hash): (MessageId, u64),
        ours: Record,
    ) -> Result<(), Broken> {
        let commits = vec![with_id(commit(n, ours.clone(), true), id, hash)];
        let (outcomes, repeated) = self.committed(lease, 0, commits).await?;
        for outcome in outcomes {
            written(&ours, outcome, repeated)?;
        }
        Ok(())
    }

    /// Commits under an id that is taken: what is told, and recorded.
    async fn yields(
        &self,
        lease: LeaseId,
        n: u64,
        (id, hash): (MessageId, u64),
        ours: Record,
        told: &Outcome,
    ) -> Result<(), Broken> {
        let commits = vec![with_id(commit(n, ours.clone(), true), id, hash)];
        let (mut outcomes, repeated) = self.committed(lease, 0, commits).await?;
        let recorded =
            Record { outcome: told.clone(), publishes: Vec::new(), settled: true, ..ours };
        match outcomes.pop() {
            Some(CommitOutcome::Used(outcome)) => {
                ensure(outcome == *told, format!("Used with {told:?}"), &outcome)?;
            }
            Some(CommitOutcome::Exists(record)) if repeated => stands(&recorded, &record)?,
            other => return Err(Broken::new(format!("Used with {told:?}"), &other)),
        }
        let again = vec![commit(n, record(999, &[]), true)];
        let (mut outcomes, _) = self.committed(lease, 0, again).await?;
        match outcomes.pop() {
            Some(CommitOutcome::Exists(record)) => {
                stands(&recorded, &record)?;
                ensure(record.settled, "a settled record", &record)
            }
            other => Err(Broken::new(format!("Exists with {told:?}"), &other)),
        }
    }
}

fn with_id(commit: Commit, id: MessageId, hash: u64) -> Commit {
    Commit { id: Some(Box::new(CommitId { id, hash, keep_ms: LONG_MS })), ..commit }
}

fn reply(text: &'static str) -> Outcome {
    Outcome::Ok(Body::copy_from(text.as_bytes()))
}

async fn taken(bench: Bench) -> Result<(), Broken> {
    let lease = bench.opened(1).await?;
    let id = bench.id("ann", "order", "it's \"quoted\" ☃");
    bench.is_unused(id.clone()).await?;
    let ours = Record { outcome: reply(r#"{"order":7}"#), ..record(1, &[]) };
    bench.take(lease, 1, (id.clone(), HASH), ours.clone()).await?;
    bench.is_used(id.clone(), &ours.outcome).await?;
    lives("a claim", &bench.claim(lease, "ann", 2).await?)?;
    bench.is_used(id.clone(), &ours.outcome).await?;
    bench.end(lease).await?;
    bench.is_used(id, &ours.outcome).await
}

async fn first_stands(bench: Bench) -> Result<(), Broken> {
    let (first, second) = (bench.opened(1).await?, bench.opened(2).await?);
    let (id, topic) = (bench.id("ann", "order", "x"), bench.topic("t"));
    let name = Name::from_static("sold_out").expect("a legal name");
    let body = Body::copy_from(br#"{"left":0}"#);
    let refused = Outcome::failed(FailureCode::Error, name, body);
    let ours = Record { outcome: refused.clone(), ..record(1, &[]) };
    bench.take(first, 1, (id.clone(), HASH), ours).await?;
    let late = record(2, &[event(&topic, "discarded")]);
    bench.yields(second, 1, (id.clone(), HASH), late, &refused).await?;
    bench.is_used(id, &refused).await?;
    let texts = bench.texts(&topic).await?;
    ensure(texts.is_empty(), "nothing published by what was discarded", &texts)?;
    let owed = bench.owed(second).await?;
    ensure(owed.is_empty(), "nothing unsettled of what was discarded", &owed)
}

async fn another_body(bench: Bench) -> Result<(), Broken> {
    let lease = bench.opened(1).await?;
    let (id, ours) = (bench.id("ann", "order", "x"), record(1, &[]));
    bench.take(lease, 1, (id.clone(), HASH), ours.clone()).await?;
    let reused = Outcome::plain_failure(FailureCode::IdReused);
    bench.yields(lease, 2, (id.clone(), HASH - 1), record(2, &[]), &reused).await?;
    bench.is_used(id, &ours.outcome).await
}

async fn leaves_it(bench: Bench) -> Result<(), Broken> {
    let lease = bench.opened(1).await?;
    let id = bench.id("ann", "order", "x");
    let fallen = [
        Outcome::plain_failure(FailureCode::Internal),
        Outcome::plain_failure(FailureCode::Timeout),
        Outcome::plain_failure(FailureCode::Unknown),
        Outcome::Expired,
    ];
    for (n, outcome) in (1..).zip(fallen.clone()) {
        let ours = Record { outcome, ..record(n, &[]) };
        bench.take(lease, n, (id.clone(), HASH), ours).await?;
        bench.is_unused(id.clone()).await?;
    }
    let ours = record(10, &[]);
    bench.take(lease, 10, (id.clone(), HASH), ours.clone()).await?;
    for (n, outcome) in (11..).zip(fallen) {
        let late = Record { outcome, ..record(n, &[]) };
        bench.yields(lease, n, (id.clone(), HASH), late, &ours.outcome).await?;
    }
    Ok(())
}

async fn apart(bench: Bench) -> Result<(), Broken> {
    let lease = bench.opened(1).await?;
    let id = bench.id("ann", "order", "x");
    bench.take(lease, 1, (id, HASH), record(1, &[])).await?;
    bench.is_unused(bench.id("bob", "order", "x")).await?;
    bench.is_unused(bench.id("ann", "cancel", "x")).await?;
    bench.is_unused(bench.id("ann", "order", "X")).await
}

async fn quota(bench: Bench) -> Result<(), Broken> {
    let lease = bench.opened(1).await?;
    let (id, ours) = (bench.id("ann", "order", "x"), record(1, &[]));
    bench.take(lease, 1, (id.clone(), HASH), ours.clone()).await?;
    let next = || bench.id("ann", "order", "y");
    for (max, max_bytes, full) in [(1, LONG_MS, true), (2, 1, true), (2, LONG_MS, false)] {
        let outcome = bench.find(next(), max, max_bytes).await?;
        let expected = if full { StoreOutcome::TooManyIds } else { StoreOutcome::UnusedId };
        let limits = format!("{expected:?} of {max} ids and {max_bytes} bytes");
        ensure(outcome == expected, limits, &outcome)?;
    }
    let found = bench.find(id, 1, 1).await?;
    let used = matches!(&found, StoreOutcome::UsedId(used) if used.outcome == ours.outcome);
    ensure(used, "UsedId of an id in use, however many there are", &found)?;
    let of_bob = bench.find(bench.id("bob", "order", "y"), 1, 1).await?;
    ensure(of_bob == StoreOutcome::UnusedId, "UnusedId of another principal", &of_bob)
}

async fn own_record(bench: Bench) -> Result<(), Broken> {
    let lease = bench.opened(1).await?;
    let (id, ours) = (bench.id("ann", "order", "x"), record(1, &[]));
    bench.take(lease, 1, (id.clone(), HASH), ours.clone()).await?;
    let again = vec![with_id(commit(1, ours.clone(), true), id, HASH - 1)];
    let (outcomes, _) = bench.committed(lease, 0, again).await?;
    match &outcomes[..] {
        [CommitOutcome::Exists(came)] => stands(&ours, came),
        _ => Err(Broken::new("Exists for a number that has its record", &outcomes)),
    }
}

async fn in_order(bench: Bench) -> Result<(), Broken> {
    let lease = bench.opened(1).await?;
    let id = bench.id("ann", "order", "x");
    let (first, late) = (Record { outcome: reply("1"), ..record(1, &[]) }, record(2, &[]));
    let commits = vec![
        with_id(commit(1, first.clone(), true), id.clone(), HASH),
        with_id(commit(2, late.clone(), true), id, HASH),
    ];
    let (outcomes, repeated) = bench.committed(lease, 0, commits).await?;
    let told = Record { outcome: first.outcome.clone(), ..late };
    match &outcomes[..] {
        [one, CommitOutcome::Used(outcome)] => {
            written(&first, one.clone(), repeated)?;
            ensure(*outcome == first.outcome, "the outcome of the first", outcome)
        }
        [CommitOutcome::Exists(one), CommitOutcome::Exists(two)] if repeated => {
            stands(&first, one)?;
            stands(&told, two)
        }
        _ => Err(Broken::new("a record for 1, and Used for 2", &outcomes)),
    }
}
