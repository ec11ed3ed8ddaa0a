//! Topics: their names, epochs and numbers, and what their logs keep. How pages are cut is not
//! here.

use crate::session::store::{ReadFrom, Retention, StoreOp, StoreOutcome, TopicHead};
use crate::store::suite::asks::{EPOCH, KEPT, event, text};
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, ensure, same};
use crate::wire::{Epoch, TopicSeq};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "a topic keeps its first epoch",
            "OpenTopic makes a topic with fresh_epoch, head 0 and oldest 1; a topic that exists \
             keeps its epoch.",
            |bench| Box::pin(first_epoch(bench)),
        ),
        Case::new(
            "an append makes its topic",
            "An append to a topic that does not exist makes it with fresh_epoch.",
            |bench| Box::pin(made_by_append(bench)),
        ),
        Case::new(
            "numbers count from 1 without a gap",
            "Entries of a topic are numbered from 1, each one more than the one before.",
            |bench| Box::pin(consecutive(bench)),
        ),
        Case::new(
            "topics are told apart by every byte of their keys",
            "A topic is its declared name and its key, compared byte by byte.",
            |bench| Box::pin(apart(bench)),
        ),
        Case::new(
            "a log keeps so many entries",
            "A log has the latest `entries` of its retention; oldest says where it begins.",
            |bench| Box::pin(so_many_entries(bench)),
        ),
        Case::new(
            "a log keeps so many bytes and always its latest entry",
            "A log has no more than `bytes` of its retention, the latest entry excepted.",
            |bench| Box::pin(so_many_bytes(bench)),
        ),
        Case::new(
            "heads are told in order and make no topic",
            "Heads says where each topic stands, in the order of the question, and None for one \
             that there is not; it makes none.",
            |bench| Box::pin(heads(bench)),
        ),
        Case::new(
            "entries come back whole",
            "Name and bodies of an entry come back byte by byte.",
            |bench| Box::pin(whole(bench)),
        ),
    ]
}

async fn first_epoch(bench: Bench) -> Result<(), Broken> {
    let topic = bench.topic("t");
    // An epoch has all of its 64 bits.
    let epoch = Epoch(u64::MAX - 1);
    let fresh = TopicHead { epoch, head: TopicSeq::ZERO, oldest: TopicSeq(1) };
    same("a new topic", &fresh, &bench.open_topic(&topic, KEPT, epoch).await?)?;
    same("opened again", &fresh, &bench.open_topic(&topic, KEPT, Epoch(5)).await?)?;
    bench.say(&topic, &["one"], KEPT).await?;
    let head = TopicHead { head: TopicSeq(1), ..fresh };
    same("after an entry", &head, &bench.open_topic(&topic, KEPT, Epoch(6)).await?)
}

async fn made_by_append(bench: Bench) -> Result<(), Broken> {
    let topic = bench.topic("t");
    let landed = bench.say(&topic, &["one"], KEPT).await?;
    let epochs: Vec<Epoch> = landed.iter().map(|landed| landed.epoch).collect();
    same("the append's epoch", &vec![EPOCH], &epochs)?;
    let head = TopicHead { epoch: EPOCH, head: TopicSeq(1), oldest: TopicSeq(1) };
    same("the topic", &head, &bench.open_topic(&topic, KEPT, Epoch(5)).await?)
}

async fn consecutive(bench: Bench) -> Result<(), Broken> {
    for topic in ["a", "b"].map(|key| bench.topic(key)) {
        bench.open_topic(&topic, KEPT, EPOCH).await?;
        let landed = bench.say(&topic, &["x"; 12], KEPT).await?;
        let places: Vec<u64> = landed.iter().map(|landed| landed.ts.0).collect();
        same("places", &(1..=12).collect(), &places)?;
    }
    Ok(())
}

async fn apart(bench: Bench) -> Result<(), Broken> {
    let keys = ["", "a", "A", "a ", " a", "ä", "a\u{308}", "a/b", "a%", "a_", "a*", "a:b", "'"];
    for key in keys {
        bench.say(&bench.topic(key), &[&format!("for {key:?}")], KEPT).await?;
    }
    for key in keys {
        let texts = bench.texts(&bench.topic(key)).await?;
        same("its own entry", &vec![format!("for {key:?}")], &texts)?;
    }
    Ok(())
}

async fn so_many_entries(bench: Bench) -> Result<(), Broken> {
    let (topic, few) = (bench.topic("t"), Retention::new(3, KEPT.ttl));
    bench.say(&topic, &["1", "2", "3", "4", "5"], few).await?;
    let expected = TopicHead { epoch: EPOCH, head: TopicSeq(5), oldest: TopicSeq(3) };
    same("the topic", &expected, &bench.open_topic(&topic, few, EPOCH).await?)?;
    for after in [0, 1, 2] {
        let from = ReadFrom::After(TopicSeq(after));
        let (head, page) = bench.read(&topic, from, 100, 10_000).await?;
        same("the topic", &expected, &head)?;
        let texts: Vec<String> = page.iter().map(text).collect();
        ensure(texts == ["3", "4", "5"], "the last 3 entries", &page)?;
        let first = page.first().map(|entry| entry.ts);
        same("the number of the first", &Some(TopicSeq(3)), &first)?;
    }
    Ok(())
}

async fn so_many_bytes(bench: Bench) -> Result<(), Broken> {
    let topic = bench.topic("t");
    // An entry has 4 bytes of name and 100 of body.
    let short = KEPT.with_bytes(250);
    let hundred = "x".repeat(100);
    bench.say(&topic, &[hundred.as_str(); 4], short).await?;
    let head = bench.open_topic(&topic, short, EPOCH).await?;
    same("the oldest of 4 entries of 104 bytes", &TopicSeq(3), &head.oldest)?;
    let long = event(&topic, &"y".repeat(1_000));
    bench.append(bench.said(99), long.clone(), short).await?;
    let (head, page) = bench.read(&topic, ReadFrom::Last(10), 100, 100_000).await?;
    same("only the latest entry is kept", &TopicSeq(5), &head.oldest)?;
    let bodies: Vec<_> = page.iter().map(|entry| entry.bodies.clone()).collect();
    same("it is kept though it is longer", &vec![long.bodies], &bodies)
}

async fn heads(bench: Bench) -> Result<(), Broken> {
    let topics = ["b", "none", "a"].map(|key| bench.topic(key));
    let few = Retention::new(2, KEPT.ttl);
    bench.say(&topics[2], &["1", "2", "3"], few).await?;
    bench.open_topic(&topics[0], few, EPOCH).await?;
    let standing = |head, oldest| {
        Some(TopicHead { epoch: EPOCH, head: TopicSeq(head), oldest: TopicSeq(oldest) })
    };
    let expected = StoreOutcome::Heads(vec![standing(0, 1), None, standing(3, 2)]);
    for _ in 0..2 {
        let op = StoreOp::Heads { topics: topics.to_vec() };
        same("where they stand", &expected, &bench.ask(op).await?.outcome)?;
    }
    Ok(())
}

async fn whole(bench: Bench) -> Result<(), Broken> {
    let topic = bench.topic("t");
    let long = format!("\"{}\"", "z".repeat(100_000));
    let texts = [r#"{"a":"\"'\\ \u0000 äöü ☃ 🦀"}"#, "{}", &long, "null"];
    bench.say(&topic, &texts, KEPT).await?;
    let op = StoreOp::ReadLog {
        topic: topic.clone(),
        epoch: EPOCH,
        from: ReadFrom::After(TopicSeq::ZERO),
        max: 10,
        max_bytes: 1_000_000,
    };
    let StoreOutcome::Log { entries, .. } = bench.ask(op).await?.outcome else {
        return Err(Broken::new("Log", &topic));
    };
    for (entry, text) in entries.iter().zip(texts) {
        let said = event(&topic, text);
        ensure(entry.name == said.name, format!("the name {:?}", said.name), entry)?;
        ensure(entry.bodies == said.bodies, format!("the bodies {:?}", said.bodies), entry)?;
    }
    same("so many entries", &texts.len(), &entries.len())
}
