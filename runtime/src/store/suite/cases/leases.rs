//! Leases: whose they are, what a claim gives, and what their end leaves. How many a principal may
//! have is not here.

use crate::session::store::{StoreOp, StoreOutcome, StoreTime};
use crate::store::suite::asks::{commit, event, lives, record, stands};
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, ensure, same};
use crate::wire::CommandNo;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "an unknown lease is gone",
            "Claim, renewal and commit of a lease that is not there are answered LeaseGone, and \
             make none; its end is Done.",
            |bench| Box::pin(unknown(bench)),
        ),
        Case::new(
            "a lease opened again is the same one",
            "OpenLease with an id that its principal has already is answered Lease and changes \
             nothing; for another principal it is LeaseGone.",
            |bench| Box::pin(opened_again(bench)),
        ),
        Case::new(
            "a lease belongs to its principal",
            "A claim by another principal is answered LeaseGone and changes nothing.",
            |bench| Box::pin(of_another(bench)),
        ),
        Case::new(
            "a claim gives what is at or above its mark or unsettled",
            "ClaimLease raises the low-water mark, forgets settled records below it, and gives \
             all others in order.",
            |bench| Box::pin(claimed(bench)),
        ),
        Case::new(
            "a low-water mark never falls",
            "Claim, renewal and commit raise the low-water mark, and never lower it.",
            |bench| Box::pin(mark(bench)),
        ),
        Case::new(
            "an ended lease is gone",
            "After EndLease the lease is LeaseGone; to end it again is Done.",
            |bench| Box::pin(ended(bench)),
        ),
        Case::new(
            "an ended lease is not opened again",
            "OpenLease that was asked for before a lease ended is answered LeaseGone or Stale, \
             whether its end was asked for or it has made room.",
            |bench| Box::pin(not_again(bench)),
        ),
        Case::new(
            "what was asked for in another incarnation opens no lease",
            "OpenLease as of another incarnation is answered Stale; as of the time in that answer \
             it is carried out.",
            |bench| Box::pin(of_another_incarnation(bench)),
        ),
        Case::new(
            "what an ended lease owes stays",
            "Unsettled records outlive the end of their lease: they are listed, appended and \
             settled.",
            |bench| Box::pin(owed_after_the_end(bench)),
        ),
    ]
}

fn gone(what: &str, outcome: &StoreOutcome) -> Result<(), Broken> {
    ensure(*outcome == StoreOutcome::LeaseGone, format!("{what}: LeaseGone"), outcome)
}

async fn unknown(bench: Bench) -> Result<(), Broken> {
    let id = bench.lease(1);
    for _ in 0..2 {
        gone("a claim", &bench.claim(id, "ann", 1).await?)?;
        gone("a renewal", &bench.renew(id, true, 1).await?)?;
        let commits = vec![commit(1, record(1, &[]), true)];
        gone("a commit", &bench.commit(id, 1, commits).await?.outcome)?;
        bench.end(id).await?;
    }
    Ok(())
}

async fn opened_again(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    bench.write(id, 1, &[], true).await?;
    lives("opened again", &bench.open(id, "ann", 200).await?)?;
    gone("opened by another principal", &bench.open(id, "bob", 200).await?)?;
    let (_, records) = lives("a claim", &bench.claim(id, "ann", 1).await?)?;
    ensure(records.len() == 1, "the record of before", &records)
}

async fn of_another(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    bench.write(id, 1, &[], true).await?;
    gone("a claim by another principal", &bench.claim(id, "bob", 2).await?)?;
    let (low, records) = lives("a claim", &bench.claim(id, "ann", 1).await?)?;
    same("the low-water mark", &CommandNo(1), &low)?;
    ensure(records.len() == 1, "the record of before", &records)
}

async fn claimed(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    let said = [event(&bench.topic("t"), "said")];
    bench.write(id, 1, &[], true).await?;
    bench.write(id, 2, &said, false).await?;
    for n in [5, 3, 4] {
        bench.write(id, n, &[], true).await?;
    }
    let (low, records) = lives("a claim", &bench.claim(id, "ann", 4).await?)?;
    same("the low-water mark", &CommandNo(4), &low)?;
    let numbers: Vec<u64> = records.iter().map(|(n, _)| n.0).collect();
    same("records unsettled or at or above the mark", &vec![2, 4, 5], &numbers)?;
    for (n, came) in &records {
        let publishes = if n.0 == 2 { &said[..] } else { &[] };
        stands(&record(n.0, publishes), came)?;
    }
    Ok(())
}

async fn mark(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    let mut highest = 1;
    for low in [3, 2, 7, 1] {
        highest = highest.max(low);
        let (came, _) = lives("a renewal", &bench.renew(id, true, low).await?)?;
        same("the mark after a renewal", &CommandNo(highest), &came)?;
        let (came, _) = lives("a claim", &bench.claim(id, "ann", low).await?)?;
        same("the mark after a claim", &CommandNo(highest), &came)?;
    }
    bench.committed(id, 9, vec![commit(9, record(9, &[]), true)]).await?;
    bench.committed(id, 2, vec![commit(10, record(10, &[]), true)]).await?;
    let (came, _) = lives("a claim", &bench.claim(id, "ann", 1).await?)?;
    same("the mark after commits", &CommandNo(9), &came)
}

async fn ended(bench: Bench) -> Result<(), Broken> {
    let (id, other) = (bench.opened(1).await?, bench.opened(2).await?);
    bench.write(id, 1, &[], true).await?;
    for _ in 0..2 {
        bench.end(id).await?;
        gone("a claim", &bench.claim(id, "ann", 1).await?)?;
        gone("a renewal", &bench.renew(id, true, 1).await?)?;
        let commits = vec![commit(2, record(2, &[]), true)];
        gone("a commit", &bench.commit(id, 1, commits).await?.outcome)?;
    }
    lives("the other lease", &bench.claim(other, "ann", 1).await?).map(|_| ())
}

/// An operation that has opened a lease which has ended since is carried out once more.
pub(super) async fn stays_gone(bench: &Bench, op: StoreOp) -> Result<(), Broken> {
    let StoreOp::OpenLease { id, .. } = op else { return Err(Broken::new("OpenLease", &op)) };
    let again = bench.ask(op).await?.outcome;
    let refused = matches!(again, StoreOutcome::LeaseGone | StoreOutcome::Stale { .. });
    ensure(refused, "opened again: LeaseGone or Stale", &again)?;
    gone("a claim", &bench.claim(id, "ann", 1).await?)
}

async fn not_again(bench: Bench) -> Result<(), Broken> {
    let open =
        |now: StoreTime, which: u8, max| bench.open_op(now, bench.lease(which), ("ann", max));
    let ended = open(bench.now().await?, 1, 9);
    lives("an opened lease", &bench.open_by(ended.clone()).await?)?;
    bench.write(bench.lease(1), 1, &[], true).await?;
    bench.end(bench.lease(1)).await?;
    stays_gone(&bench, ended).await?;
    let loose = open(bench.now().await?, 2, 1);
    lives("an opened lease", &bench.open_by(loose.clone()).await?)?;
    lives("it, let go", &bench.renew(bench.lease(2), false, 1).await?)?;
    lives("one in its place", &bench.open_by(open(bench.now().await?, 3, 1)).await?)?;
    stays_gone(&bench, loose).await
}

async fn of_another_incarnation(bench: Bench) -> Result<(), Broken> {
    let now = bench.now().await?;
    let before = StoreTime { incarnation: now.incarnation ^ 1, ..now };
    let mut op = bench.open_op(before, bench.lease(1), ("ann", 9));
    let outcome = bench.ask(op.clone()).await?.outcome;
    let StoreOutcome::Stale { at } = outcome else { return Err(Broken::new("Stale", &outcome)) };
    same("the incarnation in the answer", &now.incarnation, &at.incarnation)?;
    gone("a claim", &bench.claim(bench.lease(1), "ann", 1).await?)?;
    if let StoreOp::OpenLease { as_of, .. } = &mut op {
        *as_of = at;
    }
    lives("as of the time in the answer", &bench.open_by(op).await?).map(drop)
}

async fn owed_after_the_end(bench: Bench) -> Result<(), Broken> {
    let (id, topic) = (bench.opened(1).await?, bench.topic("t"));
    let said = [event(&topic, "one"), event(&topic, "two")];
    bench.write(id, 1, &said, false).await?;
    bench.end(id).await?;
    let owed = bench.owed(id).await?;
    let [(_, _, came)] = &owed[..] else {
        return Err(Broken::new("the unsettled record of the ended lease", &owed));
    };
    stands(&record(1, &said), came)?;
    bench.bring_in(id, 1, &said).await?;
    same("the log", &vec!["one".to_owned(), "two".to_owned()], &bench.texts(&topic).await?)?;
    let owed = bench.owed(id).await?;
    ensure(owed.is_empty(), "nothing unsettled", &owed)
}
