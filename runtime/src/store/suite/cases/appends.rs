//! Appends: once per key, and no more once their record is settled. What a log gives back is not
//! here.

use std::slice::from_ref;

use crate::session::store::{AppendKey, AppendOutcome, Appended, StoreTime};
use crate::store::suite::asks::{KEPT, append, event};
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, ensure, same};
use crate::wire::{CommandNo, LeaseId};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "an append happens once per key",
            "An append whose key is remembered adds nothing, and is answered with the place of \
             the first one.",
            |bench| Box::pin(once(bench)),
        ),
        Case::new(
            "an append key is remembered while its record is unsettled",
            "The key of a command's publication is remembered until its record is settled, \
             whatever else happens to topic and lease.",
            |bench| Box::pin(remembered(bench)),
        ),
        Case::new(
            "different append keys are different entries",
            "Keys differ by lease, number and index, or by node and count; the text plays no \
             part.",
            |bench| Box::pin(apart(bench)),
        ),
        Case::new(
            "what a settled command appends late is not added",
            "An append of a command whose record is settled adds nothing, however long ago that \
             was: it is in the log, and this is a repetition.",
            |bench| Box::pin(late(bench)),
        ),
        Case::new(
            "appends land together, in order",
            "Several publications of one append have consecutive numbers, in their order; those \
             that are in the log already keep their places.",
            |bench| Box::pin(together(bench)),
        ),
        Case::new(
            "what another incarnation showed proves nothing",
            "An append whose as_of is of another incarnation, or missing, is Stale, unless the \
             store looks at the record itself; nothing behind it is added.",
            |bench| Box::pin(of_another_life(bench)),
        ),
    ]
}

const fn command(lease: LeaseId, n: u64) -> AppendKey {
    AppendKey::Command { lease, n: CommandNo(n), index: 0 }
}

async fn once(bench: Bench) -> Result<(), Broken> {
    let topic = bench.topic("t");
    let first = bench.say(&topic, &["one", "two", "three"], KEPT).await?;
    let again = bench.say(&topic, &["one", "two", "three"], KEPT).await?;
    same("the places of the first time", &first, &again)?;
    let texts = bench.texts(&topic).await?;
    ensure(texts == ["one", "two", "three"], "each of them once, in order", &texts)
}

async fn remembered(bench: Bench) -> Result<(), Broken> {
    let (id, topic) = (bench.opened(1).await?, bench.topic("t"));
    let said = event(&topic, "owed");
    bench.write(id, 1, from_ref(&said), false).await?;
    let key = command(id, 1);
    let first = bench.append(key, said.clone(), KEPT).await?;
    bench.say(&topic, &["other"; 50], KEPT).await?;
    bench.renew(id, true, 5).await?;
    same("the place", &first, &bench.append(key, said.clone(), KEPT).await?)?;
    bench.end(id).await?;
    same("the place, after the end", &first, &bench.append(key, said, KEPT).await?)?;
    let texts = bench.texts(&topic).await?;
    ensure(texts.len() == 51, "51 entries", &texts.len())
}

async fn apart(bench: Bench) -> Result<(), Broken> {
    let (ids, topic) = ([bench.opened(1).await?, bench.opened(2).await?], bench.topic("t"));
    let said = vec![event(&topic, "same"); 2];
    let mut landed: Vec<Appended> = Vec::new();
    for lease in ids {
        for n in [1, 2].map(CommandNo) {
            bench.write(lease, n.0, &said, false).await?;
            for index in 0..2 {
                let key = AppendKey::Command { lease, n, index };
                landed.push(bench.append(key, event(&topic, "same"), KEPT).await?);
            }
        }
    }
    for node in [0, u128::MAX].map(|bits| bench.node() << 64 | bits >> 64) {
        for count in [0, 1, u64::MAX >> 1] {
            let key = AppendKey::Direct { node, count };
            landed.push(bench.append(key, event(&topic, "same"), KEPT).await?);
        }
    }
    let places: Vec<u64> = landed.iter().map(|landed| landed.ts.0).collect();
    same("a place for each key", &(1..=14).collect::<Vec<u64>>(), &places)
}

async fn late(bench: Bench) -> Result<(), Broken> {
    let (id, topic) = (bench.opened(1).await?, bench.topic("t"));
    let said = event(&topic, "once");
    bench.write(id, 1, from_ref(&said), false).await?;
    let as_of = bench.seen(command(id, 1)).await?;
    let at = bench.bring_in(id, 1, from_ref(&said)).await?;
    for low in [1, 2] {
        bench.renew(id, true, low).await?;
        for _ in 0..200 {
            bench.stands(&topic).await?;
        }
        let again = append(command(id, 1), as_of, said.clone());
        let outcomes = bench.append_all(&topic, vec![again], KEPT).await?;
        let added = outcomes.iter().any(|outcome| match outcome {
            AppendOutcome::Landed(again) => at != [*again],
            AppendOutcome::Settled | AppendOutcome::Stale => false,
        });
        ensure(!added, format!("Settled, Stale, or the place of before: {at:?}"), &outcomes)?;
    }
    let texts = bench.texts(&topic).await?;
    ensure(texts == ["once"], "one entry", &texts)
}

async fn together(bench: Bench) -> Result<(), Broken> {
    let topic = bench.topic("t");
    let appends = |counts: &[u64]| {
        let said = counts
            .iter()
            .map(|count| append(bench.said(*count), None, event(&topic, &count.to_string())));
        said.collect::<Vec<_>>()
    };
    let first = bench.append_each(&topic, appends(&[1, 2, 3])).await?;
    let places: Vec<u64> = first.iter().map(|at| at.ts.0).collect();
    same("places", &vec![1, 2, 3], &places)?;
    let second = bench.append_each(&topic, appends(&[2, 4, 1, 5])).await?;
    let places: Vec<u64> = second.iter().map(|at| at.ts.0).collect();
    same("places, some of before", &vec![2, 4, 1, 5], &places)?;
    let texts = bench.texts(&topic).await?;
    ensure(texts == ["1", "2", "3", "4", "5"], "each of them once, in order", &texts)
}

async fn of_another_life(bench: Bench) -> Result<(), Broken> {
    let (id, topic) = (bench.opened(1).await?, bench.topic("t"));
    let said = event(&topic, "owed");
    for n in [1, 2] {
        bench.write(id, n, from_ref(&said), false).await?;
    }
    let seen = bench.seen(command(id, 1)).await?;
    let incarnation = seen.map_or(0, |seen| !seen.incarnation);
    let other = StoreTime { incarnation, ms: seen.map_or(0, |seen| seen.ms) };
    for (n, as_of) in [(1, Some(other)), (2, None)] {
        let stale = append(command(id, n), as_of, said.clone());
        let next = append(bench.said(n), None, event(&topic, "next"));
        let outcomes = bench.append_all(&topic, vec![stale, next], KEPT).await?;
        let first = outcomes.first();
        ensure(first != Some(&AppendOutcome::Settled), "Landed or Stale", &outcomes)?;
        let head = bench.stands(&topic).await?;
        let added = outcomes.iter().any(|one| matches!(one, AppendOutcome::Landed(_)));
        ensure(added || head.is_none_or(|head| head.head.0 == 0), "no entry", &head)?;
    }
    Ok(())
}
