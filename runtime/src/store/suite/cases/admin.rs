//! What an operator may ask for: lists, pages from the end, and that something goes. Each looks
//! with the operations of a node at what is left.

use crate::session::store::{
    AppendKey, Commit, CommitId, MessageId, Outcome, ReadFrom, Record, StoreOp, StoreOutcome,
};
use crate::store::admin::{BackPage, Erased, StoreAdmin, TopicPage};
use crate::store::suite::admin_case::{AdminBench, AdminCase, told};
use crate::store::suite::asks::{EPOCH, KEPT, LONG_MS, commit, event, lives, record, text};
use crate::store::suite::bench::Bench;
use crate::store::suite::report::{Broken, ensure, same};
use crate::wire::{Body, CommandNo, Epoch, Name, TopicSeq};

pub(super) fn cases<S: StoreAdmin>() -> Vec<AdminCase<S>> {
    vec![
        AdminCase {
            name: "topics are listed in order, page by page",
            rule: "list_topics gives topics by name and key, those behind `after` and of a prefix, \
                   with their heads; it makes none.",
            run: |it| Box::pin(listed(it)),
        },
        AdminCase {
            name: "a log is read from its end",
            rule: "read_back gives the latest entries first, below `before`, no more than max and \
                   max_bytes but always one; None without the topic.",
            run: |it| Box::pin(read_back(it)),
        },
        AdminCase {
            name: "a deleted topic begins anew with another epoch",
            rule: "delete_topic takes the log, the head and the keys; whoever asks next makes the \
                   topic with the epoch that it proposes.",
            run: |it| Box::pin(deleted(it)),
        },
        AdminCase {
            name: "what is owed to a deleted topic is appended to the new one",
            rule: "delete_topic settles nothing: an unsettled record still brings its publications \
                   in, once.",
            run: |it| Box::pin(owed_to_deleted(it)),
        },
        AdminCase {
            name: "an erased principal has no lease and no id",
            rule: "erase_principal ends every lease of a principal, forgets its ids, and concerns \
                   nobody else.",
            run: |it| Box::pin(erased(it)),
        },
        AdminCase {
            name: "what an erased principal owes arrives without its replies",
            rule: "erase_principal keeps unsettled records until they are settled; nobody is told \
                   their replies.",
            run: |it| Box::pin(erased_owes(it)),
        },
        AdminCase {
            name: "compacting changes nothing that can be asked for",
            rule: "compact lets go of what has expired, and of nothing else.",
            run: |it| Box::pin(compacted(it)),
        },
        AdminCase {
            name: "figures follow what is stored",
            rule: "figures counts leases, topics, ids, and bytes of replies, logs and publications \
                   that are not in them.",
            run: |it| Box::pin(figures(it)),
        },
    ]
}

/// The page behind a topic of this bench.
fn page(bench: &Bench, max: u32) -> TopicPage {
    let mut page = TopicPage::first(max);
    // The keys of other copies begin otherwise.
    page.key_prefix = bench.topic("").key.to_string();
    page
}

async fn listed<S: StoreAdmin>(it: AdminBench<S>) -> Result<(), Broken> {
    let bench = &it.bench;
    for which in ["c", "a", "d", "b"] {
        bench.say(&bench.topic(which), &["one", "two"], KEPT).await?;
    }
    let (mut page, mut keys) = (page(bench, 3), Vec::new());
    loop {
        let listed = told("a list", it.store.list_topics(page.clone()).await)?;
        ensure(listed.len() <= 3, "at most 3 topics", &listed)?;
        let Some(last) = listed.last() else { break };
        page.after = Some(last.topic.clone());
        for topic in &listed {
            let head = bench.stands(&topic.topic).await?;
            ensure(head == Some(topic.head), "a topic with its head", topic)?;
            ensure(topic.bytes == 2 * 4 + 6, "the bytes of its entries: 14", topic)?;
        }
        keys.extend(listed.into_iter().map(|listed| listed.topic));
    }
    let all: Vec<_> = ["a", "b", "c", "d"].map(|which| bench.topic(which)).into();
    same("topics by name and key", &all, &keys)
}

fn numbers(page: &BackPage) -> Vec<u64> {
    page.entries.iter().map(|aged| aged.entry.ts.0).collect()
}

async fn read_back<S: StoreAdmin>(it: AdminBench<S>) -> Result<(), Broken> {
    let (bench, topic) = (&it.bench, it.bench.topic("t"));
    let none = told("a page", it.store.read_back(&topic, None, 9, 999).await)?;
    ensure(none.is_none(), "None without the topic", &none)?;
    bench.say(&topic, &["a", "b", "c", "d", "e"], KEPT).await?;
    // Each entry has 5 bytes.
    let asked = [
        (None, 2, 999, vec![5, 4]),
        (Some(4), 9, 999, vec![3, 2, 1]),
        (None, 9, 10, vec![5, 4]),
        (None, 9, 0, vec![5]),
        (Some(1), 9, 999, vec![]),
        (None, 0, 999, vec![]),
    ];
    for (before, max, max_bytes, expected) in asked {
        let before = before.map(TopicSeq);
        let page = told("a page", it.store.read_back(&topic, before, max, max_bytes).await)?;
        let Some(page) = page else { return Err(Broken::new("a page", &page)) };
        same("the latest entries first", &expected, &numbers(&page))?;
        let texts: Vec<String> = page.entries.iter().map(|aged| text(&aged.entry)).collect();
        let letters: Vec<&str> =
            expected.iter().map(|n| ["a", "b", "c", "d", "e"][*n as usize - 1]).collect();
        ensure(texts == letters, format!("{letters:?}"), &texts)?;
    }
    Ok(())
}

async fn deleted<S: StoreAdmin>(it: AdminBench<S>) -> Result<(), Broken> {
    let bench = &it.bench;
    let (topic, other) = (bench.topic("t"), bench.topic("u"));
    let none = told("a deletion", it.store.delete_topic(&topic).await)?;
    ensure(!none, "false without the topic", &none)?;
    bench.say(&topic, &["a", "b"], KEPT).await?;
    bench.append(bench.said(9), event(&other, "stays"), KEPT).await?;
    let deleted = told("a deletion", it.store.delete_topic(&topic).await)?;
    ensure(deleted, "true with the topic", &deleted)?;
    let stands = bench.stands(&topic).await?;
    ensure(stands.is_none(), "no head", &stands)?;
    let (from, max, max_bytes) = (ReadFrom::After(TopicSeq::ZERO), 9, 999);
    let read = StoreOp::ReadLog { topic: topic.clone(), epoch: EPOCH, from, max, max_bytes };
    let read = bench.ask(read).await?.outcome;
    ensure(read == StoreOutcome::TopicGone, "TopicGone", &read)?;
    let fresh = Epoch(EPOCH.0 + 1);
    let head = bench.open_topic(&topic, KEPT, fresh).await?;
    let anew = head.epoch == fresh && head.head == TopicSeq::ZERO && head.oldest == TopicSeq(1);
    ensure(anew, format!("a new log of epoch {fresh:?}"), &head)?;
    let again = bench.append(bench.said(1), event(&topic, "anew"), KEPT).await?;
    ensure(again.ts == TopicSeq(1) && again.epoch == fresh, "number 1 of the new log", &again)?;
    same("another topic", &vec!["stays".to_owned()], &bench.texts(&other).await?)
}

async fn owed_to_deleted<S: StoreAdmin>(it: AdminBench<S>) -> Result<(), Broken> {
    let (bench, topic) = (&it.bench, it.bench.topic("t"));
    let lease = bench.opened(1).await?;
    bench.say(&topic, &["a"], KEPT).await?;
    let publishes = [event(&topic, "owed")];
    bench.write(lease, 1, &publishes, false).await?;
    told("a deletion", it.store.delete_topic(&topic).await)?;
    let owed = bench.owed(lease).await?;
    ensure(owed.len() == 1, "the record, unsettled", &owed)?;
    bench.bring_in(lease, 1, &publishes).await?;
    same("the new log", &vec!["owed".to_owned()], &bench.texts(&topic).await?)
}

fn id(bench: &Bench, who: &str) -> MessageId {
    let message = Name::from_static("order").expect("a legal name");
    MessageId { principal: bench.principal(who), message, text: "x".into() }
}

/// A record with a reply, and an id if somebody takes one.
fn replied(bench: &Bench, n: u64, who: Option<&str>) -> Commit {
    let outcome = Outcome::Ok(Body::copy_from(b"{\"secret\":1}"));
    let id = who.map(|who| Box::new(CommitId { id: id(bench, who), hash: 1, keep_ms: LONG_MS }));
    Commit { id, ..commit(n, Record { outcome, ..record(n, &[]) }, true) }
}

async fn find(bench: &Bench, who: &str) -> Result<StoreOutcome, Broken> {
    let (id, max_bytes_per_principal) = (id(bench, who), LONG_MS);
    let op = StoreOp::FindId { id, max_per_principal: 9, max_bytes_per_principal };
    Ok(bench.ask(op).await?.outcome)
}

async fn erased<S: StoreAdmin>(it: AdminBench<S>) -> Result<(), Broken> {
    let bench = &it.bench;
    let (ann, bob) = ([bench.lease(1), bench.lease(2)], bench.lease(3));
    for (lease, who) in [(ann[0], "ann"), (ann[1], "ann"), (bob, "bob")] {
        lives("a lease", &bench.open(lease, who, 9).await?)?;
    }
    for (lease, who) in [(ann[0], "ann"), (bob, "bob")] {
        bench.committed(lease, 0, vec![replied(bench, 1, Some(who))]).await?;
    }
    let came = told("erased", it.store.erase_principal(&bench.principal("ann")).await)?;
    same("what was erased", &Erased { leases: 2, ids: 1 }, &came)?;
    for lease in ann {
        let claim = bench.claim(lease, "ann", 0).await?;
        ensure(claim == StoreOutcome::LeaseGone, "LeaseGone", &claim)?;
        let commit = bench.commit(lease, 0, vec![replied(bench, 2, None)]).await?.outcome;
        ensure(commit == StoreOutcome::LeaseGone, "LeaseGone", &commit)?;
    }
    let found = find(bench, "ann").await?;
    ensure(found == StoreOutcome::UnusedId, "UnusedId", &found)?;
    let again = told("erased", it.store.erase_principal(&bench.principal("ann")).await)?;
    same("nothing is left", &Erased::default(), &again)?;
    let (_, records) = lives("another's lease", &bench.claim(bob, "bob", 0).await?)?;
    ensure(records.len() == 1, "the other's record", &records)?;
    let found = find(bench, "bob").await?;
    ensure(matches!(found, StoreOutcome::UsedId(_)), "the other's id", &found)
}

async fn erased_owes<S: StoreAdmin>(it: AdminBench<S>) -> Result<(), Broken> {
    let (bench, topic) = (&it.bench, it.bench.topic("t"));
    let lease = bench.opened(1).await?;
    let publishes = [event(&topic, "owed")];
    let mut owing = commit(1, record(1, &publishes), false);
    owing.record.outcome = replied(bench, 1, None).record.outcome;
    bench.committed(lease, 0, vec![owing]).await?;
    told("erased", it.store.erase_principal(&bench.principal("ann")).await)?;
    let owed = bench.owed(lease).await?;
    let [(_, n, record)] = &owed[..] else { return Err(Broken::new("one record", &owed)) };
    let claim = bench.claim(lease, "ann", 0).await?;
    ensure(claim == StoreOutcome::LeaseGone, "LeaseGone", &claim)?;
    let silent = record.outcome.bytes() <= Body::UNIT.len() as u64;
    ensure(*n == CommandNo(1) && silent, "a record without its reply", record)?;
    let key = AppendKey::Command { lease, n: CommandNo(1), index: 0 };
    bench.append(key, publishes[0].clone(), KEPT).await?;
    bench.settle(lease, 1).await?;
    let owed = bench.owed(lease).await?;
    ensure(owed.is_empty(), "nothing unsettled", &owed)?;
    same("the log", &vec!["owed".to_owned()], &bench.texts(&topic).await?)
}

async fn compacted<S: StoreAdmin>(it: AdminBench<S>) -> Result<(), Broken> {
    let (bench, topic) = (&it.bench, it.bench.topic("t"));
    let lease = bench.opened(1).await?;
    bench.committed(lease, 0, vec![replied(bench, 1, Some("ann"))]).await?;
    bench.write(lease, 2, &[event(&topic, "owed")], false).await?;
    bench.say(&topic, &["a", "b"], KEPT).await?;
    told("compacted", it.store.compact().await)?;
    let (_, records) = lives("a lease", &bench.claim(lease, "ann", 0).await?)?;
    ensure(records.len() == 2, "both records", &records)?;
    let found = find(bench, "ann").await?;
    ensure(matches!(found, StoreOutcome::UsedId(_)), "the id", &found)?;
    let owed = bench.owed(lease).await?;
    ensure(owed.len() == 1, "the unsettled record", &owed)?;
    same("the log", &vec!["a".to_owned(), "b".to_owned()], &bench.texts(&topic).await?)
}

/// Others may store something at the same time, so there may be more than was stored here.
async fn figures<S: StoreAdmin>(it: AdminBench<S>) -> Result<(), Broken> {
    let (bench, topic) = (&it.bench, it.bench.topic("t"));
    ensure(it.store.format() > 0, "a version of the format", &it.store.format())?;
    let lease = bench.opened(1).await?;
    bench.committed(lease, 0, vec![replied(bench, 1, Some("ann"))]).await?;
    bench.write(lease, 2, &[event(&topic, "owed")], false).await?;
    bench.say(&topic, &["a", "b"], KEPT).await?;
    let figures = it.store.figures();
    let counted = figures.leases >= 1 && figures.topics >= 1 && figures.ids >= 1;
    ensure(counted, "a lease, a topic and an id", &figures)?;
    let bytes = figures.reply_bytes >= 12 && figures.id_bytes >= 12 && figures.log_bytes >= 10;
    ensure(bytes, "bytes of a reply, an id and two entries", &figures)?;
    // The store may have settled the record, if it was not told not to.
    let owed = figures.owed_bytes >= 8 || figures.log_bytes >= 18;
    ensure(owed, "bytes of a publication", &figures)
}
