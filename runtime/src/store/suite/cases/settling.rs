//! How publications of records come into their logs: in the commit if the store can, else by
//! appends, and in the order of the lease either way. Keys of appends are not here.

use crate::store::suite::asks::{commit, event, record, written};
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, ensure, same};
use crate::wire::CommandNo;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "a commit that may not settle appends nothing",
            "With settle: false, a record with publications stays unsettled, and its \
             publications out of their logs.",
            |bench| Box::pin(may_not(bench)),
        ),
        Case::new(
            "a commit settles all of a record or nothing",
            "With settle: true, publications are in their logs in order, where the answer says, \
             or the record is unsettled.",
            |bench| Box::pin(all_or_nothing(bench)),
        ),
        Case::new(
            "a commit settles nothing above an unsettled record",
            "Nothing of a lease is settled in a commit while a lower record of it is unsettled.",
            |bench| Box::pin(in_order(bench)),
        ),
        Case::new(
            "a commit settles nothing above an unsettled one of its own",
            "Within one operation, too, what comes after a record that stays unsettled stays \
             unsettled.",
            |bench| Box::pin(in_order_within(bench)),
        ),
        Case::new(
            "an unsettled record below the mark still keeps its order",
            "A record that is unsettled keeps later ones from being settled even when the \
             low-water mark has passed it.",
            |bench| Box::pin(in_order_below(bench)),
        ),
        Case::new(
            "leases do not wait for each other",
            "An unsettled record keeps no record of another lease from being settled.",
            |bench| Box::pin(apart(bench)),
        ),
        Case::new(
            "a repeated commit publishes nothing again",
            "A commit that is repeated finds its record and adds nothing to a log.",
            |bench| Box::pin(repeated(bench)),
        ),
        Case::new(
            "settling again changes nothing",
            "Settle is Done for a record that is settled, for one that is forgotten, and for one \
             whose lease there is not.",
            |bench| Box::pin(settled_again(bench)),
        ),
        Case::new(
            "many records are settled at once",
            "Settle marks every record that it names, of whatever leases, those that there are.",
            |bench| Box::pin(many(bench)),
        ),
    ]
}

async fn log_is(bench: &Bench, topic: &str, expected: &[&str]) -> Result<(), Broken> {
    let texts = bench.texts(&bench.topic(topic)).await?;
    let expected: Vec<String> = expected.iter().map(|&text| text.to_owned()).collect();
    same("the log", &expected, &texts)
}

async fn may_not(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    let wrote = bench.write(id, 1, &[event(&bench.topic("t"), "one")], false).await?;
    ensure(!wrote.settled, "settled: None", &wrote)?;
    log_is(&bench, "t", &[]).await?;
    let owed = bench.owed(id).await?;
    ensure(owed.len() == 1, "the record among the unsettled ones", &owed)
}

async fn all_or_nothing(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    let said = ["a", "b", "a"].map(|topic| event(&bench.topic(topic), topic));
    let wrote = bench.write(id, 1, &said, true).await?;
    let owed = bench.owed(id).await?;
    ensure(owed.is_empty() == wrote.settled, "unsettled if it was not settled", &(&wrote, owed))?;
    let at = match (wrote.settled, wrote.at) {
        (true, at) => at,
        (false, _) => {
            log_is(&bench, "a", &[]).await?;
            Some(bench.bring_in(id, 1, &said).await?)
        }
    };
    log_is(&bench, "a", &["a", "a"]).await?;
    log_is(&bench, "b", &["b"]).await?;
    // It is not told to whoever has to ask again.
    let places = at.map(|at| at.iter().map(|landed| landed.ts.0).collect::<Vec<_>>());
    ensure(places.as_deref().is_none_or(|at| at == [1, 1, 2]), "places 1, 1 and 2", &places)
}

async fn in_order(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    let [one, two] = ["one", "two"].map(|text| [event(&bench.topic("t"), text)]);
    bench.write(id, 1, &one, false).await?;
    let wrote = bench.write(id, 2, &two, true).await?;
    ensure(!wrote.settled, "settled: None for 2 while 1 is unsettled", &wrote)?;
    log_is(&bench, "t", &[]).await?;
    bench.bring_in(id, 1, &one).await?;
    log_is(&bench, "t", &["one"]).await?;
    bench.bring_in(id, 2, &two).await?;
    log_is(&bench, "t", &["one", "two"]).await
}

async fn in_order_within(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    let [one, two] = ["one", "two"].map(|text| [event(&bench.topic("t"), text)]);
    let ours = [commit(1, record(1, &one), false), commit(2, record(2, &two), true)];
    let (outcomes, repeated) = bench.committed(id, 1, ours.to_vec()).await?;
    for (ours, outcome) in ours.iter().zip(outcomes) {
        let wrote = written(&ours.record, outcome, repeated)?;
        ensure(!wrote.settled, format!("settled: None for {}", ours.n.0), &wrote)?;
    }
    log_is(&bench, "t", &[]).await?;
    bench.bring_in(id, 1, &one).await?;
    bench.bring_in(id, 2, &two).await?;
    log_is(&bench, "t", &["one", "two"]).await
}

async fn in_order_below(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    let [one, two] = ["one", "two"].map(|text| [event(&bench.topic("t"), text)]);
    bench.write(id, 1, &one, false).await?;
    bench.renew(id, true, 2).await?;
    let wrote = bench.write(id, 2, &two, true).await?;
    ensure(!wrote.settled, "settled: None for 2 while 1 is unsettled", &wrote)?;
    bench.bring_in(id, 1, &one).await?;
    bench.bring_in(id, 2, &two).await?;
    log_is(&bench, "t", &["one", "two"]).await
}

async fn apart(bench: Bench) -> Result<(), Broken> {
    let ids = [bench.opened(1).await?, bench.opened(2).await?];
    let [one, two] = ["one", "two"].map(|text| [event(&bench.topic("t"), text)]);
    bench.write(ids[0], 1, &one, false).await?;
    let wrote = bench.write(ids[1], 2, &two, true).await?;
    if !wrote.settled {
        // It could not settle in the commit at all.
        bench.bring_in(ids[1], 2, &two).await?;
    }
    log_is(&bench, "t", &["two"]).await?;
    bench.bring_in(ids[0], 1, &one).await?;
    log_is(&bench, "t", &["two", "one"]).await
}

async fn repeated(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    let said = [event(&bench.topic("t"), "once")];
    let ours = record(1, &said);
    let mut settled = false;
    for _ in 0..3 {
        let commits = vec![commit(1, ours.clone(), true)];
        let (outcomes, _) = bench.committed(id, 1, commits).await?;
        for outcome in outcomes {
            settled |= written(&ours, outcome, true)?.settled;
        }
    }
    if !settled {
        bench.bring_in(id, 1, &said).await?;
    }
    let commits = vec![commit(1, ours.clone(), true)];
    bench.committed(id, 1, commits).await?;
    log_is(&bench, "t", &["once"]).await
}

async fn settled_again(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    let said = [event(&bench.topic("t"), "once")];
    bench.write(id, 1, &said, false).await?;
    bench.bring_in(id, 1, &said).await?;
    for low in [1, 2] {
        bench.renew(id, true, low).await?;
        bench.settle(id, 1).await?;
    }
    let owed = bench.owed(id).await?;
    ensure(owed.is_empty(), "nothing unsettled", &owed)?;
    log_is(&bench, "t", &["once"]).await
}

async fn many(bench: Bench) -> Result<(), Broken> {
    let ids = [bench.opened(1).await?, bench.opened(2).await?];
    let said = [event(&bench.topic("t"), "owed")];
    for (id, n) in ids.iter().flat_map(|id| [1, 2, 3].map(|n| (*id, n))) {
        bench.write(id, n, &said, false).await?;
    }
    let unknown = bench.lease(9);
    let named = [(ids[1], 3), (unknown, 1), (ids[0], 2), (ids[0], 9), (ids[1], 1)];
    bench.settle_all(named.map(|(id, n)| (id, CommandNo(n))).to_vec()).await?;
    for (id, expected) in ids.into_iter().zip([vec![1, 3], vec![2]]) {
        let left: Vec<u64> = bench.owed(id).await?.iter().map(|(_, n, _)| n.0).collect();
        same("what is left", &expected, &left)?;
    }
    Ok(())
}
