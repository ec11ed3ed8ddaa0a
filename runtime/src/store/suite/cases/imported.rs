//! What another store had is put into this one, and what a store has is listed for that. Each case
//! looks with the operations of a node at what is there.

use crate::session::store::{
    Commit, CommitId, LogEntry, MessageId, Outcome, Record, StoreOp, StoreOutcome, TopicHead,
    UsedId,
};
use crate::store::admin::{AgedEntry, Exported, ListedId, StoreAdmin};
use crate::store::suite::admin_case::{AdminBench, AdminCase, told};
use crate::store::suite::asks::{EPOCH, KEPT, LONG_MS, commit, event, record, text};
use crate::store::suite::bench::Bench;
use crate::store::suite::report::{Broken, ensure, same};
use crate::wire::{Body, Codec, Epoch, Name, TopicSeq};

const INCARNATION: u64 = 12_345;

pub(super) fn cases<S: StoreAdmin>() -> Vec<AdminCase<S>> {
    vec![
        AdminCase {
            name: "ids are listed in order, page by page",
            rule: "list_ids gives the ids that are in use by principal, message and text, those \
                   behind `after`, with what they stand for and for how long.",
            run: |it| Box::pin(ids_listed(it)),
        },
        AdminCase {
            name: "an imported topic is read as it was, under another epoch",
            rule: "import makes the topic with its head, another epoch and its entries; the next \
                   entry follows them.",
            run: |it| Box::pin(topic_imported(it)),
        },
        AdminCase {
            name: "an imported id is found",
            rule: "import takes an id: FindId is answered UsedId with hash and outcome.",
            run: |it| Box::pin(id_imported(it)),
        },
        AdminCase {
            name: "what is there already is not imported over",
            rule: "import fails for a topic or an id that is there, and for entries that do not \
                   come right before those of their topic.",
            run: |it| Box::pin(refused(it)),
        },
    ]
}

fn id(bench: &Bench, who: &str, text: &str) -> MessageId {
    let message = Name::from_static("order").expect("a legal name");
    MessageId { principal: bench.principal(who), message, text: text.into() }
}

fn replied() -> Outcome {
    Outcome::Ok(Body::copy_from(b"{\"no\":1}"))
}

async fn ids_listed<S: StoreAdmin>(it: AdminBench<S>) -> Result<(), Broken> {
    let bench = &it.bench;
    let lease = bench.opened(1).await?;
    for (n, text) in (1..).zip(["b", "d", "a", "c"]) {
        let taken = CommitId { id: id(bench, "ann", text), hash: n, keep_ms: LONG_MS };
        let record = Record { outcome: replied(), ..record(n, &[]) };
        let commits = vec![Commit { id: Some(Box::new(taken)), ..commit(n, record, true) }];
        bench.committed(lease, 0, commits).await?;
    }
    // Copies have principals of their own, whose ids may lie between.
    let (mut after, mut mine) = (None, Vec::new());
    loop {
        let page = told("ids", it.store.list_ids(after.clone(), 3, 999).await)?;
        ensure(page.len() <= 3, "at most 3 ids", &page)?;
        let Some(last) = page.last() else { break };
        ensure(Some(&last.id) > after.as_ref(), "ids behind the last page", &page)?;
        after = Some(last.id.clone());
        mine.extend(page.into_iter().filter(|it| it.id.principal == bench.principal("ann")));
    }
    let all: Vec<_> = ["a", "b", "c", "d"].map(|text| id(bench, "ann", text)).into();
    same("ids by their text", &all, &mine.iter().map(|it| it.id.clone()).collect())?;
    for (listed, hash) in mine.iter().zip([3, 1, 4, 2]) {
        let used = UsedId { hash, outcome: replied() };
        same("what an id stands for", &used, &listed.used)?;
        let kept = (1..=LONG_MS).contains(&listed.keep_ms);
        ensure(kept, format!("what is left of {LONG_MS} ms"), &listed.keep_ms)?;
    }
    Ok(())
}

fn entry(ts: u64) -> AgedEntry {
    let name = Name::from_static("said").expect("a legal name");
    let bodies = vec![(Codec::Json, Body::copy_from(format!("\"t{ts}\"").as_bytes()))];
    AgedEntry { age_ms: 5, entry: LogEntry { ts: TopicSeq(ts), name, bodies } }
}

/// A topic at 9, of which 6 to 9 are kept.
fn pieces(bench: &Bench, which: &str) -> Vec<Exported> {
    let topic = bench.topic(which);
    let head = TopicHead { epoch: EPOCH, head: TopicSeq(9), oldest: TopicSeq(6) };
    let entries = |of: &[u64]| Exported::Entries {
        topic: topic.clone(),
        entries: of.iter().copied().map(entry).collect(),
    };
    let made = Exported::Topic { topic: topic.clone(), head, retention: KEPT };
    vec![made, entries(&[9, 8, 7]), entries(&[6])]
}

async fn topic_imported<S: StoreAdmin>(it: AdminBench<S>) -> Result<(), Broken> {
    let (bench, topic) = (&it.bench, it.bench.topic("t"));
    let mut pieces = pieces(bench, "t");
    let last = pieces.pop().into_iter().collect();
    told("imported", it.store.import(INCARNATION, pieces).await)?;
    told("imported", it.store.import(INCARNATION, last).await)?;
    let head = bench.open_topic(&topic, KEPT, Epoch(1)).await?;
    let stands = (head.head, head.oldest) == (TopicSeq(9), TopicSeq(6));
    ensure(stands, "a head at 9, and entries from 6 on", &head)?;
    ensure(head.epoch != EPOCH && head.epoch != Epoch(1), "another epoch", &head)?;
    let landed = bench.append(bench.said(1), event(&topic, "\"t10\""), KEPT).await?;
    ensure(landed.ts == TopicSeq(10) && landed.epoch == head.epoch, "number 10", &landed)?;
    let page = told("a page", it.store.read_back(&topic, None, 9, 999).await)?;
    let Some(page) = page else { return Err(Broken::new("a page", &page)) };
    let texts: Vec<String> = page.entries.iter().map(|aged| text(&aged.entry)).collect();
    let all = [10, 9, 8, 7, 6].map(|ts| format!("\"t{ts}\""));
    ensure(texts == all, "t10 to t6", &texts)
}

async fn id_imported<S: StoreAdmin>(it: AdminBench<S>) -> Result<(), Broken> {
    let (bench, used) = (&it.bench, UsedId { hash: 7, outcome: replied() });
    let id = id(bench, "ann", "x");
    let listed = ListedId { id: id.clone(), used: used.clone(), keep_ms: LONG_MS };
    told("imported", it.store.import(INCARNATION, vec![Exported::Id(listed)]).await)?;
    let find = StoreOp::FindId { id, max_per_principal: 9, max_bytes_per_principal: LONG_MS };
    let found = bench.ask(find).await?.outcome;
    let there = matches!(&found, StoreOutcome::UsedId(found) if **found == used);
    ensure(there, format!("UsedId({used:?})"), &found)
}

async fn refused<S: StoreAdmin>(it: AdminBench<S>) -> Result<(), Broken> {
    let bench = &it.bench;
    told("imported", it.store.import(INCARNATION, pieces(bench, "t")).await)?;
    let used = UsedId { hash: 7, outcome: replied() };
    let listed = ListedId { id: id(bench, "ann", "x"), used, keep_ms: LONG_MS };
    told("imported", it.store.import(INCARNATION, vec![Exported::Id(listed.clone())]).await)?;
    let entries = |which: &str, of: &[u64]| Exported::Entries {
        topic: bench.topic(which),
        entries: of.iter().copied().map(entry).collect(),
    };
    let wrong = [
        ("a topic that is there", pieces(bench, "t").remove(0)),
        ("an id that is there", Exported::Id(listed)),
        ("an entry that is there", entries("t", &[6])),
        ("an entry with a gap before the others", entries("t", &[4])),
        ("an entry of no topic", entries("u", &[1])),
    ];
    for (what, piece) in wrong {
        let came = it.store.import(INCARNATION, vec![piece]).await;
        ensure(came.is_err(), format!("an error for {what}"), &came)?;
    }
    let page = told("a page", it.store.read_back(&bench.topic("t"), None, 9, 999).await)?;
    let numbers: Vec<u64> =
        page.iter().flat_map(|page| &page.entries).map(|aged| aged.entry.ts.0).collect();
    ensure(numbers == [9, 8, 7, 6], "the entries that were imported first", &numbers)
}
