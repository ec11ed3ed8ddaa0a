//! Completion records: each is written once, at or above the low-water mark, and kept whole. Their
//! publications' way into the logs is not here.

use crate::session::store::{CommitOutcome, Outcome, Record};
use crate::store::suite::asks::{commit, event, record, stands, written};
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, ensure};
use crate::wire::{Body, FailureCode, Name};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "the first record of a number stands",
            "A commit for a number that has a record is answered Exists with that record.",
            |bench| Box::pin(first_stands(bench)),
        ),
        Case::new(
            "a number below the low-water mark is not written",
            "Commit raises the low-water mark first; numbers below it are answered BelowLow.",
            |bench| Box::pin(below(bench)),
        ),
        Case::new(
            "commits of one operation are carried out in order",
            "The commits of one operation are written and answered in their order, each for \
             itself.",
            |bench| Box::pin(in_order(bench)),
        ),
        Case::new(
            "a record is kept whole",
            "Hash and outcome of a record come back as they were written, whatever its outcome.",
            |bench| Box::pin(whole(bench)),
        ),
        Case::new(
            "publications of an unsettled record are kept whole",
            "While a record is not settled, Exists gives all of its publications.",
            |bench| Box::pin(unsettled_whole(bench)),
        ),
        Case::new(
            "numbers of different leases are different",
            "A record belongs to its lease and its number.",
            |bench| Box::pin(apart(bench)),
        ),
    ]
}

async fn exists(bench: &Bench, lease: u8, n: u64, ours: &Record) -> Result<(), Broken> {
    let other = commit(n, record(999, &[]), true);
    let (outcomes, _) = bench.committed(bench.lease(lease), 0, vec![other]).await?;
    match &outcomes[..] {
        [CommitOutcome::Exists(came)] => stands(ours, came),
        _ => Err(Broken::new(format!("Exists for {n}"), &outcomes)),
    }
}

async fn first_stands(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    bench.write(id, 1, &[], true).await?;
    for _ in 0..2 {
        exists(&bench, 1, 1, &record(1, &[])).await?;
    }
    Ok(())
}

async fn below(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    let (topic, ours) = (bench.topic("t"), record(5, &[]));
    let lost = record(4, &[event(&topic, "discarded")]);
    let commits = vec![commit(4, lost, true), commit(5, ours.clone(), true)];
    let (outcomes, repeated) = bench.committed(id, 5, commits).await?;
    let [CommitOutcome::BelowLow, at_the_mark] = &outcomes[..] else {
        return Err(Broken::new("BelowLow for 4, a record for 5", &outcomes));
    };
    written(&ours, at_the_mark.clone(), repeated)?;
    let texts = bench.texts(&topic).await?;
    ensure(texts.is_empty(), "nothing published by what was discarded", &texts)
}

async fn in_order(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    let ours: Vec<_> = [(3, 30), (1, 10), (3, 31), (2, 20)]
        .map(|(n, hash)| commit(n, record(hash, &[]), true))
        .into();
    let (outcomes, repeated) = bench.committed(id, 1, ours.clone()).await?;
    for (at, (ours, outcome)) in ours.iter().zip(outcomes).enumerate() {
        if at == 2 {
            let CommitOutcome::Exists(came) = &outcome else {
                return Err(Broken::new("Exists for the second commit of 3", &outcome));
            };
            stands(&record(30, &[]), came)?;
        } else {
            written(&ours.record, outcome, repeated)?;
        }
    }
    Ok(())
}

async fn whole(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    let name = Name::from_static("no_such_room").expect("a legal name");
    let body = |text: &'static str| Body::from(text);
    let long = Body::from(format!("\"{}\"", "x".repeat(20_000)));
    let outcomes = [
        Outcome::Ok(body(r#"{"text":"it's \"quoted\" \u0000 {} äöü ☃ 🦀"}"#)),
        Outcome::Ok(long),
        Outcome::Ok(body("null")),
        Outcome::failed(FailureCode::Error, name, body(r#"{"room":7}"#)),
        Outcome::plain_failure(FailureCode::Internal),
        Outcome::plain_failure(FailureCode::Timeout),
        Outcome::plain_failure(FailureCode::Unknown),
        Outcome::Expired,
    ];
    for (n, outcome) in (1..).zip(outcomes) {
        // A hash has all of its 64 bits.
        let ours = Record { outcome, ..record(u64::MAX - n, &[]) };
        let commits = vec![commit(n, ours.clone(), true)];
        let (outcomes, repeated) = bench.committed(id, 0, commits).await?;
        for outcome in outcomes {
            written(&ours, outcome, repeated)?;
        }
        exists(&bench, 1, n, &ours).await?;
    }
    Ok(())
}

async fn unsettled_whole(bench: Bench) -> Result<(), Broken> {
    let (id, topic) = (bench.opened(1).await?, bench.topic("t"));
    let said: Vec<_> = ["one", "two", "three"].map(|text| event(&topic, text)).into();
    bench.write(id, 1, &said, false).await?;
    // What another node finds may not be what it would have published itself.
    let ours = record(1, &said);
    exists(&bench, 1, 1, &ours).await?;
    let owed = bench.owed(id).await?;
    let [(_, _, came)] = &owed[..] else {
        return Err(Broken::new("one unsettled record", &owed));
    };
    ensure(came.publishes == said, format!("all publications: {said:?}"), came)
}

async fn apart(bench: Bench) -> Result<(), Broken> {
    let ids = [bench.opened(1).await?, bench.opened(2).await?];
    for id in ids {
        bench.write(id, 1, &[], true).await?;
        bench.write(id, 11, &[], true).await?;
    }
    exists(&bench, 2, 11, &record(11, &[])).await
}
