//! Pages of a log: where they begin, and where they end. What a log keeps is not here.

use crate::session::store::{
    AppendKey, LogEntry, Publication, ReadFrom, StoreOp, StoreOutcome, TopicHead, TopicId,
};
use crate::store::suite::asks::{EPOCH, KEPT, event};
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, ensure, same};
use crate::wire::{Body, Codec, CommandNo, Epoch, TopicSeq};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "a page begins where it was asked for",
            "After(ts) begins right above ts, Last(n) so many entries before the end.",
            |bench| Box::pin(begins(bench)),
        ),
        Case::new(
            "a page has so many entries",
            "A page has no more than max entries, the lowest ones first.",
            |bench| Box::pin(so_many(bench)),
        ),
        Case::new(
            "a page has so many bytes and always its first entry",
            "A page has no more than max_bytes of names and bodies, the first entry excepted, \
             which comes however long it is.",
            |bench| Box::pin(so_long(bench)),
        ),
        Case::new(
            "a body comes back in each codec",
            "An entry has the bodies that were published, each in its codec, in the same order, also \
             if its record was settled by somebody else; a body need not be text.",
            |bench| Box::pin(in_each_codec(bench)),
        ),
        Case::new(
            "a reader of another epoch gets nothing",
            "ReadLog with another epoch tells where the log stands, and gives no entries.",
            |bench| Box::pin(other_epoch(bench)),
        ),
        Case::new(
            "a topic that is not there is gone",
            "ReadLog of a topic that does not exist is answered TopicGone, and makes none.",
            |bench| Box::pin(gone(bench)),
        ),
    ]
}

/// Bytes of an entry's name, and of bodies of one letter.
const SHORT: u64 = 5;

fn numbers(page: &[LogEntry]) -> Vec<u64> {
    page.iter().map(|entry| entry.ts.0).collect()
}

async fn five(bench: &Bench) -> Result<TopicId, Broken> {
    let topic = bench.topic("t");
    bench.say(&topic, &["a", "b", "c", "d", "e"], KEPT).await?;
    Ok(topic)
}

async fn begins(bench: Bench) -> Result<(), Broken> {
    let topic = five(&bench).await?;
    let after = |ts| ReadFrom::After(TopicSeq(ts));
    for (from, expected) in [
        (after(0), 1..6),
        (after(3), 4..6),
        (after(5), 6..6),
        (after(1_000), 6..6),
        (ReadFrom::Last(2), 4..6),
        (ReadFrom::Last(0), 6..6),
        (ReadFrom::Last(1_000), 1..6),
    ] {
        let (head, page) = bench.read(&topic, from, 100, 10_000).await?;
        let standing = TopicHead { epoch: EPOCH, head: TopicSeq(5), oldest: TopicSeq(1) };
        same("where the log stands", &standing, &head)?;
        same(&format!("{from:?} of 5"), &expected.collect::<Vec<u64>>(), &numbers(&page))?;
    }
    Ok(())
}

async fn in_each_codec(bench: Bench) -> Result<(), Broken> {
    let (id, topic) = (bench.opened(1).await?, bench.topic("t"));
    let (json, binary) = (Body::UNIT, Body::copy_from(&[0xc1, 0x01, 0xff, 0x00]));
    let bodies = [
        vec![(Codec::Json, json.clone()), (Codec::Binary, binary.clone())],
        vec![(Codec::Binary, binary.clone())],
        vec![(Codec::Json, json)],
        vec![(Codec::Json, binary)],
    ];
    let said = bodies.clone().map(|bodies| Publication { bodies, ..event(&topic, "") });
    bench.write(id, 1, &said, false).await?;
    let owed = bench.owed(id).await?;
    let owed = owed.iter().flat_map(|owed| owed.2.publishes.iter().map(|one| one.bodies.clone()));
    same("the bodies that are owed", &bodies.to_vec(), &owed.collect())?;
    for (index, publication) in (0..).zip(said) {
        let key = AppendKey::Command { lease: id, n: CommandNo(1), index };
        bench.append(key, publication, KEPT).await?;
    }
    let (_, page) = bench.read(&topic, ReadFrom::After(TopicSeq(0)), 100, 10_000).await?;
    let read = page.into_iter().map(|entry| entry.bodies);
    same("the bodies in the log", &bodies.to_vec(), &read.collect())
}

async fn so_many(bench: Bench) -> Result<(), Broken> {
    let topic = five(&bench).await?;
    let (_, page) = bench.read(&topic, ReadFrom::After(TopicSeq(1)), 2, 10_000).await?;
    same("2 entries after 1", &vec![2, 3], &numbers(&page))?;
    let (_, page) = bench.read(&topic, ReadFrom::Last(4), 1, 10_000).await?;
    same("1 of the last 4 entries", &vec![2], &numbers(&page))
}

async fn so_long(bench: Bench) -> Result<(), Broken> {
    let topic = five(&bench).await?;
    for (max_bytes, expected) in [
        (3 * SHORT, vec![1, 2, 3]),
        (3 * SHORT - 1, vec![1, 2]),
        (3 * SHORT + 1, vec![1, 2, 3]),
        (1, vec![1]),
        (0, vec![1]),
    ] {
        let from = ReadFrom::After(TopicSeq::ZERO);
        let (_, page) = bench.read(&topic, from, 100, max_bytes).await?;
        same(&format!("{max_bytes} bytes of entries of {SHORT}"), &expected, &numbers(&page))?;
    }
    let long = bench.topic("long");
    let body = "x".repeat(1_000);
    bench.say(&long, &[&body, "a", &body, "b"], KEPT).await?;
    let mut after = TopicSeq::ZERO;
    for expected in [vec![1], vec![2], vec![3], vec![4]] {
        let (_, page) = bench.read(&long, ReadFrom::After(after), 100, 2 * SHORT).await?;
        same("the next page", &expected, &numbers(&page))?;
        after = after.next();
    }
    Ok(())
}

async fn other_epoch(bench: Bench) -> Result<(), Broken> {
    let topic = five(&bench).await?;
    for from in [ReadFrom::After(TopicSeq::ZERO), ReadFrom::Last(3)] {
        let topic = topic.clone();
        let op = StoreOp::ReadLog { topic, epoch: Epoch(4), from, max: 10, max_bytes: 1_000 };
        let outcome = bench.ask(op).await?.outcome;
        let head = TopicHead { epoch: EPOCH, head: TopicSeq(5), oldest: TopicSeq(1) };
        same("no entries", &StoreOutcome::Log { head, entries: Vec::new() }, &outcome)?;
    }
    Ok(())
}

async fn gone(bench: Bench) -> Result<(), Broken> {
    let topic = bench.topic("t");
    for _ in 0..2 {
        let from = ReadFrom::After(TopicSeq::ZERO);
        let topic = topic.clone();
        let op = StoreOp::ReadLog { topic, epoch: EPOCH, from, max: 10, max_bytes: 1_000 };
        let outcome = bench.ask(op).await?.outcome;
        ensure(outcome == StoreOutcome::TopicGone, "TopicGone", &outcome)?;
    }
    let head = bench.open_topic(&topic, KEPT, Epoch(6)).await?;
    same("the epoch of a topic made afterwards", &Epoch(6), &head.epoch)
}
