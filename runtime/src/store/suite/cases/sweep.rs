//! The list of unsettled records, page by page. Its records' content is not looked at here.

use crate::session::store::{Outcome, Record};
use crate::store::suite::asks::{LONG_MS, commit, event, record};
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, ensure, same};
use crate::wire::{Body, CommandNo};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "every unsettled record is on one page",
            "ListUnsettled gives each unsettled record once, at most max on a page, those of a \
             lease by number.",
            |bench| Box::pin(pages(bench)),
        ),
        Case::new(
            "a page goes on behind a record that is gone",
            "The record that `after` names need not be there any more.",
            |bench| Box::pin(behind_what_is_gone(bench)),
        ),
        Case::new(
            "a page of the sweep has so many bytes and always its first record",
            "A page has no more than max_bytes of the bodies that its records publish, the first \
             record excepted.",
            |bench| Box::pin(bytes(bench)),
        ),
        Case::new(
            "a sweep leaves out replies",
            "ListUnsettled gives a record with its publications and without its reply.",
            |bench| Box::pin(replies(bench)),
        ),
        Case::new(
            "young records are left out on demand",
            "ListUnsettled gives only records written at least older_than_ms ago.",
            |bench| Box::pin(young(bench)),
        ),
        Case::new(
            "records without publications are settled",
            "A record without publications is never listed as unsettled.",
            |bench| Box::pin(without(bench)),
        ),
    ]
}

async fn owing(bench: &Bench, which: u8, numbers: &[u64]) -> Result<(), Broken> {
    let id = bench.opened(which).await?;
    for n in numbers {
        bench.write(id, *n, &[event(&bench.topic("t"), "owed")], false).await?;
    }
    Ok(())
}

async fn numbers(bench: &Bench, which: u8) -> Result<Vec<u64>, Broken> {
    let owed = bench.owed(bench.lease(which)).await?;
    Ok(owed.iter().map(|(_, n, _)| n.0).collect())
}

async fn pages(bench: Bench) -> Result<(), Broken> {
    owing(&bench, 1, &[10, 9, 2, 1, 3]).await?;
    owing(&bench, 2, &[1, 2, 300, 4]).await?;
    bench.settle(bench.lease(2), 2).await?;
    same("those of a lease", &vec![1, 2, 3, 9, 10], &numbers(&bench, 1).await?)?;
    same("those of the other", &vec![1, 4, 300], &numbers(&bench, 2).await?)
}

async fn behind_what_is_gone(bench: Bench) -> Result<(), Broken> {
    owing(&bench, 1, &[1, 2, 3, 4]).await?;
    let id = bench.lease(1);
    let mut seen = Vec::new();
    let mut after = None;
    while let Some((owner, n, _)) = bench.sweep_page(1, after, 0).await?.pop() {
        after = Some((owner, n));
        if owner == id {
            seen.push(n.0);
            bench.bring_in(id, n.0, &[event(&bench.topic("t"), "owed")]).await?;
        }
        ensure(seen.len() <= 4, "no record twice", &seen)?;
    }
    same("each record once, settled as soon as it is seen", &vec![1, 2, 3, 4], &seen)
}

/// Each record publishes four bytes.
async fn bytes(bench: Bench) -> Result<(), Broken> {
    owing(&bench, 1, &[1, 2, 3, 4, 5]).await?;
    let id = bench.lease(1);
    for (max_bytes, some) in [(0, 1), (3, 1), (4, 1), (11, 2), (12, 3)] {
        let (mut after, mut seen) = (Some((id, CommandNo(0))), 0);
        while seen < 5 {
            let page = bench.sweep_within(max_bytes, after).await?;
            let fits = (1..=some).contains(&page.len());
            ensure(fits, format!("a record, at most {some} in {max_bytes} bytes"), &page)?;
            seen += page.iter().filter(|(owner, ..)| *owner == id).count();
            after = page.last().map(|(owner, n, _)| (*owner, *n));
        }
    }
    Ok(())
}

async fn replies(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    let publishes = [event(&bench.topic("t"), "owed")];
    let replied = Record { outcome: Outcome::Ok(Body::copy_from(b"7")), ..record(1, &publishes) };
    bench.committed(id, 0, vec![commit(1, replied.clone(), false)]).await?;
    let owed = vec![(id, CommandNo(1), replied.owed())];
    same("the record", &owed, &bench.owed(id).await?)
}

async fn young(bench: Bench) -> Result<(), Broken> {
    owing(&bench, 1, &[1, 2]).await?;
    let page = bench.sweep_page(100, None, LONG_MS).await?;
    ensure(page.is_empty(), "none that was just written", &page)?;
    same("with older_than_ms 0, all", &vec![1, 2], &numbers(&bench, 1).await?)
}

async fn without(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    bench.write(id, 1, &[], false).await?;
    bench.write(id, 2, &[], true).await?;
    same("none", &vec![], &numbers(&bench, 1).await?)
}
