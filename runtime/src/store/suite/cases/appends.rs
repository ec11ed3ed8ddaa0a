//! Appends: once per key, and no more once their record is settled. What a log gives back is not
//! here.

use std::slice::from_ref;

use crate::session::store::{AppendKey, Appended, StoreOp, StoreOutcome};
use crate::store::suite::asks::{EPOCH, KEPT, event};
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, ensure, same};
use crate::wire::CommandNo;

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
            "An append of a command whose record is settled adds nothing: it is in the log, and \
             this is a repetition.",
            |bench| Box::pin(late(bench)),
        ),
    ]
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
    let key = AppendKey::Command { lease: id, n: CommandNo(1), index: 0 };
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
    let at = bench.bring_in(id, 1, from_ref(&said)).await?;
    for low in [1, 2] {
        bench.renew(id, true, low).await?;
        let key = AppendKey::Command { lease: id, n: CommandNo(1), index: 0 };
        let publication = said.clone();
        let op = StoreOp::Append { key, publication, retention: KEPT, fresh_epoch: EPOCH };
        let outcome = bench.ask(op).await?.outcome;
        let refused = match &outcome {
            StoreOutcome::Appended(again) => at == [*again],
            outcome => *outcome == StoreOutcome::LeaseGone,
        };
        ensure(refused, format!("LeaseGone, or the place of before: {at:?}"), &outcome)?;
    }
    let texts = bench.texts(&topic).await?;
    ensure(texts == ["once"], "one entry", &texts)
}
