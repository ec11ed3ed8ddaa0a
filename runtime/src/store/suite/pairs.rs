//! What two nodes of one store see of each other: that it is one store, and the news of it. What
//! each operation has to do is in the cases.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures_util::future::{Either, select};

use super::asks::{EPOCH, KEPT, event, lives, text};
use super::bench::Bench;
use super::case::CaseFuture;
use super::hostile::Hostile;
use super::report::{Broken, Report, Way, ensure, same};
use super::run::SEEDS;
use crate::session::store::{Advanced, Generation, News, StoreOutcome, TopicId};
use crate::store::interface::Store;
use crate::wire::TopicSeq;

/// How many news in a row may tell of something else.
const NEWS: usize = 64;

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Two handles of one store, as two nodes have them.
struct Pair {
    one: Bench,
    other: Bench,
    waited: Arc<dyn Fn() -> Wait + Send + Sync>,
}

#[derive(Clone, Copy)]
struct PairCase {
    name: &'static str,
    rule: &'static str,
    run: fn(Pair) -> CaseFuture,
}

const CASES: [PairCase; 4] = [
    PairCase {
        name: "two handles are of one store",
        rule: "What is written through one handle is read through another, and a claim through one \
               is told to the other.",
        run: |pair| Box::pin(one_store(pair)),
    },
    PairCase {
        name: "what one handle appends is news to another",
        rule: "A handle whose node wants news of a topic says Advanced or Missed when another one \
               has appended to it.",
        run: |pair| Box::pin(appended(pair)),
    },
    PairCase {
        name: "what one handle commits is news to another",
        rule: "The same where a commit has settled a record.",
        run: |pair| Box::pin(committed(pair)),
    },
    PairCase {
        name: "entries of news are those of the log",
        rule: "Entries of Advanced are consecutive, end at its head, and are what the log has.",
        run: |pair| Box::pin(as_in_the_log(pair)),
    },
];

/// Puts the rules about several nodes to pairs of handles that `fresh` makes, each time of a fresh
/// store: as it is, and behind a [`Hostile`] each.
///
/// `waited` makes a future that ends when news must have come: for a store behind a network a sleep
/// of some seconds, for one in memory a turn of the task. A store that is right never waits for it.
///
/// # Cancellation
/// The future may be dropped, together with the stores that it is at.
pub async fn run_in_pairs<S, F, Fut, W, WFut>(fresh: F, waited: W) -> Report
where
    S: Store,
    F: Fn() -> Fut,
    Fut: Future<Output = (S, S)>,
    W: Fn() -> WFut + Send + Sync + 'static,
    WFut: Future<Output = ()> + Send + 'static,
{
    let waited: Arc<dyn Fn() -> Wait + Send + Sync> = Arc::new(move || Box::pin(waited()));
    let mut report = Report::default();
    for case in CASES {
        let (one, other) = fresh().await;
        let came = case.put_to((one, other), &waited).await;
        report.add((case.name, case.rule), Way::InOrder, came);
        for seed in 1..=SEEDS {
            let (one, other) = fresh().await;
            let pair = (Hostile::new(one, seed), Hostile::new(other, seed + SEEDS));
            let came = case.put_to(pair, &waited).await;
            report.add((case.name, case.rule), Way::Hostile(seed), came);
        }
    }
    report
}

impl PairCase {
    async fn put_to<S: Store>(
        self,
        (one, other): (S, S),
        waited: &Arc<dyn Fn() -> Wait + Send + Sync>,
    ) -> Result<(), Broken> {
        let (one, other) = (Bench::new(Arc::new(one), 0), Bench::new(Arc::new(other), 0));
        (self.run)(Pair { one, other, waited: Arc::clone(waited) }).await
    }
}

impl Pair {
    /// The next news of the other handle, if there are any by the time that there must be.
    async fn heard(&self) -> Option<News> {
        let news = pin!(self.other.news());
        match select(news, (self.waited)()).await {
            Either::Left((news, _)) => Some(news),
            Either::Right(_) => None,
        }
    }

    /// The other handle hears that a topic stands at `head`, or that it has missed something; what
    /// it was told of the topic.
    async fn hears(&self, topic: &TopicId, head: TopicSeq) -> Result<Vec<Advanced>, Broken> {
        let mut told = Vec::new();
        for _ in 0..NEWS {
            match self.heard().await {
                Some(News::Advanced(topics)) => {
                    told.extend(topics.into_iter().filter(|advanced| advanced.topic == *topic));
                    if told.last().is_some_and(|last| last.head.ts >= head) {
                        return Ok(told);
                    }
                }
                Some(News::Missed) => return Ok(told),
                Some(News::Rolled) => return Err(Broken::new("no other incarnation", &told)),
                None => break,
            }
        }
        Err(Broken::new(format!("Missed, or that {topic:?} stands at {head:?}"), &told))
    }

    /// The other handle follows a topic.
    async fn followed(&self, which: &str) -> Result<TopicId, Broken> {
        let topic = self.other.topic(which);
        self.other.interest(&topic);
        self.other.open_topic(&topic, KEPT, EPOCH).await?;
        Ok(topic)
    }
}

async fn one_store(pair: Pair) -> Result<(), Broken> {
    let Pair { one, other, .. } = &pair;
    let id = one.opened(1).await?;
    lives("a lease of another handle", &other.claim_by(2, id, "ann", 1).await?)?;
    let told = one.renew_of(Generation(1), id, true, 1).await?;
    let of_other = matches!(&told, StoreOutcome::Lease { claim, .. }
        if claim.generation == Generation(2) && claim.holder == other.holder(2));
    ensure(of_other, "the claim of the other handle", &told)?;
    let topic = one.topic("t");
    one.say(&topic, &["a", "b"], KEPT).await?;
    same("the log", &vec!["a".to_owned(), "b".to_owned()], &other.texts(&topic).await?)
}

async fn appended(pair: Pair) -> Result<(), Broken> {
    let topic = pair.followed("t").await?;
    pair.one.say(&topic, &["a"], KEPT).await?;
    pair.hears(&topic, TopicSeq(1)).await?;
    pair.one.append(pair.one.said(2), event(&topic, "b"), KEPT).await?;
    pair.hears(&topic, TopicSeq(2)).await.map(drop)
}

async fn committed(pair: Pair) -> Result<(), Broken> {
    let topic = pair.followed("t").await?;
    let (lease, publishes) = (pair.one.opened(1).await?, [event(&topic, "a")]);
    let wrote = pair.one.write(lease, 1, &publishes, true).await?;
    if !wrote.settled {
        pair.one.bring_in(lease, 1, &publishes).await?;
    }
    pair.hears(&topic, TopicSeq(1)).await.map(drop)
}

async fn as_in_the_log(pair: Pair) -> Result<(), Broken> {
    let topic = pair.followed("t").await?;
    let texts = ["a", "b", "c"];
    pair.one.say(&topic, &texts, KEPT).await?;
    for Advanced { head, entries, .. } in pair.hears(&topic, TopicSeq(3)).await? {
        same("the epoch", &EPOCH, &head.epoch)?;
        ensure(head.ts <= TopicSeq(3), "a head at 3 or before", &head)?;
        let numbers: Vec<u64> = entries.iter().map(|entry| entry.ts.0).collect();
        let first = head.ts.0 + 1 - entries.len() as u64;
        same("numbers up to the head", &(first..=head.ts.0).collect(), &numbers)?;
        let said = |n: &u64| texts[*n as usize - 1].to_owned();
        let came: Vec<String> = entries.iter().map(text).collect();
        same("texts of the log", &numbers.iter().map(said).collect(), &came)?;
    }
    Ok(())
}
