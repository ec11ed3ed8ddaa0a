//! Keyed topics: an entry supersedes the earlier one of its item, and what is left is read, kept
//! and counted as any other log.

use crate::session::store::{
    AppendKey, ItemKey, LogEntry, Publication, ReadFrom, Retention, TopicHead, TopicId,
};
use crate::store::suite::asks::{EPOCH, KEPT, append, event, text};
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, same};
use crate::wire::{CommandNo, TopicSeq};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "an entry supersedes the earlier one of its item",
            "An append with an item takes the earlier entry of that item out of the log, wherever \
             it lies; every other entry stays, and numbers go on.",
            |bench| Box::pin(superseded(bench)),
        ),
        Case::new(
            "an item of one topic is none of another",
            "Items are told apart by topic and by every byte; an entry without an item supersedes \
             nothing.",
            |bench| Box::pin(apart(bench)),
        ),
        Case::new(
            "an item that comes twice in one append has its last entry",
            "Of several entries of an item in one append the last one stays, and each has its \
             number.",
            |bench| Box::pin(twice(bench)),
        ),
        Case::new(
            "an append that is repeated supersedes nothing",
            "A repetition of an append changes nothing, though its item has a later entry.",
            |bench| Box::pin(repeated(bench)),
        ),
        Case::new(
            "what a record publishes supersedes, too",
            "Publications of a record supersede the entries of their items when they come into \
             their logs, with the record or later, and keep their items until then.",
            |bench| Box::pin(by_records(bench)),
        ),
        Case::new(
            "a keyed log keeps so many items",
            "Retention counts the entries that are left: the oldest of them goes first, and oldest \
             says where the log begins.",
            |bench| Box::pin(so_many_items(bench)),
        ),
        Case::new(
            "a keyed log keeps so many bytes of what is left",
            "What was superseded counts no more: a log of a few items never outgrows its bytes.",
            |bench| Box::pin(so_many_bytes(bench)),
        ),
        Case::new(
            "pages of a keyed log leave nothing out",
            "Pages give every entry that is left, in order, from wherever the reader stands; the \
             last so many are entries, not numbers.",
            |bench| Box::pin(pages(bench)),
        ),
    ]
}

fn of(topic: &TopicId, item: &str, text: &str) -> Publication {
    Publication { item: Some(item.into()), ..event(topic, text) }
}

/// Appends texts of items, the `n`-th with the key `n`, from 1.
async fn tell(
    bench: &Bench,
    topic: &TopicId,
    told: &[(&str, &str)],
    retention: Retention,
) -> Result<(), Broken> {
    for (count, (item, text)) in (1..).zip(told) {
        bench.append(bench.said(count), of(topic, item, text), retention).await?;
    }
    Ok(())
}

type Seen = (u64, Option<ItemKey>, String);

fn seen(entries: &[LogEntry]) -> Vec<Seen> {
    entries.iter().map(|it| (it.ts.0, it.item.clone(), text(it))).collect()
}

async fn log(bench: &Bench, topic: &TopicId) -> Result<Vec<Seen>, Broken> {
    let from = ReadFrom::After(TopicSeq::ZERO);
    Ok(seen(&bench.read(topic, from, 100, 1_000_000).await?.1))
}

fn entry(ts: u64, item: &str, text: &str) -> Seen {
    (ts, Some(item.into()), text.to_owned())
}

async fn superseded(bench: Bench) -> Result<(), Broken> {
    let topic = bench.topic("t");
    tell(&bench, &topic, &[("a", "1"), ("b", "2"), ("c", "3"), ("b", "4")], KEPT).await?;
    let left = vec![entry(1, "a", "1"), entry(3, "c", "3"), entry(4, "b", "4")];
    same("the log", &left, &log(&bench, &topic).await?)?;
    let head = TopicHead { epoch: EPOCH, head: TopicSeq(4), oldest: TopicSeq(1) };
    same("where it stands", &Some(head), &bench.stands(&topic).await?)?;
    // The oldest one, and then the only one.
    bench.append(bench.said(5), of(&topic, "a", "5"), KEPT).await?;
    let head = TopicHead { head: TopicSeq(5), oldest: TopicSeq(3), ..head };
    same("without the oldest", &Some(head), &bench.stands(&topic).await?)?;
    let alone = bench.topic("u");
    tell(&bench, &alone, &[("a", "1"), ("a", "2"), ("a", "3")], KEPT).await?;
    same("the only one", &vec![entry(3, "a", "3")], &log(&bench, &alone).await?)?;
    let head = TopicHead { epoch: EPOCH, head: TopicSeq(3), oldest: TopicSeq(3) };
    same("where it stands", &Some(head), &bench.stands(&alone).await?)
}

async fn apart(bench: Bench) -> Result<(), Broken> {
    let (topic, other) = (bench.topic("t"), bench.topic("other"));
    let items = ["", "a", "A", "a ", "ä", "'", "%"];
    let told: Vec<(&str, &str)> = items.iter().map(|item| (*item, "x")).collect();
    tell(&bench, &topic, &told, KEPT).await?;
    tell(&bench, &other, &[("a", "y")], KEPT).await?;
    bench.append(bench.said(8), event(&topic, "a"), KEPT).await?;
    bench.append(bench.said(9), event(&topic, "a"), KEPT).await?;
    let mut all: Vec<Seen> =
        (1..).zip(items).map(|(ts, item)| (ts, Some(item.into()), "x".to_owned())).collect();
    all.extend([8, 9].map(|ts| (ts, None, "a".to_owned())));
    same("all of them", &all, &log(&bench, &topic).await?)
}

async fn twice(bench: Bench) -> Result<(), Broken> {
    let topic = bench.topic("t");
    bench.append(bench.said(1), of(&topic, "a", "0"), KEPT).await?;
    let told = [("a", "1"), ("b", "2"), ("a", "3")];
    let appends = (2..)
        .zip(told)
        .map(|(count, (item, text))| append(bench.said(count), None, of(&topic, item, text)));
    let landed = bench.append_each(&topic, appends.collect()).await?;
    let places: Vec<u64> = landed.iter().map(|landed| landed.ts.0).collect();
    same("places", &vec![2, 3, 4], &places)?;
    let left = vec![entry(3, "b", "2"), entry(4, "a", "3")];
    same("the log", &left, &log(&bench, &topic).await?)
}

async fn repeated(bench: Bench) -> Result<(), Broken> {
    let topic = bench.topic("t");
    tell(&bench, &topic, &[("a", "1"), ("a", "2")], KEPT).await?;
    let landed = bench.append(bench.said(1), of(&topic, "a", "1"), KEPT).await?;
    same("where it landed", &TopicSeq(1), &landed.ts)?;
    same("the log", &vec![entry(2, "a", "2")], &log(&bench, &topic).await?)
}

async fn by_records(bench: Bench) -> Result<(), Broken> {
    let (lease, topic) = (bench.opened(1).await?, bench.topic("t"));
    let first = [of(&topic, "a", "1"), of(&topic, "b", "2"), of(&topic, "a", "3")];
    let wrote = bench.write(lease, 1, &first, true).await?;
    if !wrote.settled {
        bench.bring_in(lease, 1, &first).await?;
    }
    let left = vec![entry(2, "b", "2"), entry(3, "a", "3")];
    same("the log", &left, &log(&bench, &topic).await?)?;
    let later = [of(&topic, "b", "4"), event(&topic, "5")];
    bench.write(lease, 2, &later, false).await?;
    let owed = bench.owed(lease).await?;
    let owed: Vec<_> = owed.iter().flat_map(|(.., record)| &record.publishes).cloned().collect();
    same("what is owed", &later.to_vec(), &owed)?;
    same("the log", &left, &log(&bench, &topic).await?)?;
    for (index, publication) in (0..).zip(owed) {
        let key = AppendKey::Command { lease, n: CommandNo(2), index };
        bench.append(key, publication, KEPT).await?;
    }
    bench.settle(lease, 2).await?;
    let left = vec![entry(3, "a", "3"), entry(4, "b", "4"), (5, None, "5".to_owned())];
    same("the log", &left, &log(&bench, &topic).await?)
}

async fn so_many_items(bench: Bench) -> Result<(), Broken> {
    let (topic, few) = (bench.topic("t"), Retention::new(3, KEPT.ttl));
    let told = [("a", "1"), ("b", "2"), ("c", "3"), ("a", "4"), ("a", "5"), ("c", "6")];
    tell(&bench, &topic, &told, few).await?;
    let left = vec![entry(2, "b", "2"), entry(5, "a", "5"), entry(6, "c", "6")];
    same("three items", &left, &log(&bench, &topic).await?)?;
    bench.append(bench.said(7), of(&topic, "d", "7"), few).await?;
    let left = vec![entry(5, "a", "5"), entry(6, "c", "6"), entry(7, "d", "7")];
    same("without the oldest", &left, &log(&bench, &topic).await?)?;
    let head = TopicHead { epoch: EPOCH, head: TopicSeq(7), oldest: TopicSeq(5) };
    same("where it stands", &Some(head), &bench.stands(&topic).await?)?;
    // An item that fell out is a new one.
    bench.append(bench.said(8), of(&topic, "b", "8"), few).await?;
    let left = vec![entry(6, "c", "6"), entry(7, "d", "7"), entry(8, "b", "8")];
    same("the log", &left, &log(&bench, &topic).await?)
}

async fn so_many_bytes(bench: Bench) -> Result<(), Broken> {
    let topic = bench.topic("t");
    // An entry has 4 bytes of name, 1 of its item and 100 of body.
    let short = KEPT.with_bytes(250);
    let hundred = "x".repeat(100);
    let told = ["a", "b", "a", "b", "a", "b"].map(|item| (item, hundred.as_str()));
    tell(&bench, &topic, &told, short).await?;
    let left = vec![entry(5, "a", &hundred), entry(6, "b", &hundred)];
    same("two items", &left, &log(&bench, &topic).await?)?;
    bench.append(bench.said(7), of(&topic, "c", &hundred), short).await?;
    let left = vec![entry(6, "b", &hundred), entry(7, "c", &hundred)];
    same("without the oldest", &left, &log(&bench, &topic).await?)
}

async fn pages(bench: Bench) -> Result<(), Broken> {
    let topic = bench.topic("t");
    let told = ["a", "b", "c", "d", "b", "e", "d", "d"].map(|item| (item, "x"));
    tell(&bench, &topic, &told, KEPT).await?;
    let numbers = |entries: &[LogEntry]| entries.iter().map(|it| it.ts.0).collect::<Vec<_>>();
    for (from, max, left) in [
        (ReadFrom::After(TopicSeq(0)), 2, vec![1, 3]),
        (ReadFrom::After(TopicSeq(1)), 2, vec![3, 5]),
        (ReadFrom::After(TopicSeq(2)), 2, vec![3, 5]),
        (ReadFrom::After(TopicSeq(6)), 2, vec![8]),
        (ReadFrom::After(TopicSeq(8)), 2, vec![]),
        (ReadFrom::Last(3), 9, vec![5, 6, 8]),
    ] {
        let (_, page) = bench.read(&topic, from, max, 1_000_000).await?;
        same(&format!("{from:?}"), &left, &numbers(&page))?;
    }
    Ok(())
}
