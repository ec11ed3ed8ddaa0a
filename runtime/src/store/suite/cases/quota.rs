//! How many leases a principal may have, and which of them makes room. Time plays no part here.

use crate::session::store::StoreOutcome;
use crate::store::suite::asks::lives;
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, ensure};
use crate::wire::LeaseId;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "leases that are held make no room",
            "OpenLease beyond max_per_principal is answered TooManyLeases while each is held, and \
             ends none; other principals are not concerned.",
            |bench| Box::pin(held(bench)),
        ),
        Case::new(
            "a lease that was let go makes room, the first one first",
            "RenewLease with held: false lets a lease go: it lives until another one needs its \
             room; the one that was let go first goes first.",
            |bench| Box::pin(let_go(bench)),
        ),
        Case::new(
            "a lease that is claimed or renewed is held again",
            "ClaimLease, and RenewLease with held: true, make a lease that was let go held.",
            |bench| Box::pin(held_again(bench)),
        ),
        Case::new(
            "an ended lease leaves its room",
            "EndLease makes room for another lease of its principal.",
            |bench| Box::pin(ended(bench)),
        ),
    ]
}

const MAX: u32 = 2;

/// Two leases of "ann", who may have no more.
async fn full(bench: &Bench) -> Result<[LeaseId; 2], Broken> {
    let ids = [bench.lease(1), bench.lease(2)];
    for id in ids {
        lives("a lease within the quota", &bench.open(id, "ann", MAX).await?)?;
    }
    Ok(ids)
}

async fn refused(bench: &Bench, which: u8) -> Result<(), Broken> {
    let outcome = bench.open(bench.lease(which), "ann", MAX).await?;
    let refused = outcome == StoreOutcome::TooManyLeases;
    ensure(refused, "one more than the quota: TooManyLeases", &outcome)
}

async fn held(bench: Bench) -> Result<(), Broken> {
    let ids = full(&bench).await?;
    refused(&bench, 3).await?;
    lives("a lease of another principal", &bench.open(bench.lease(4), "bob", MAX).await?)?;
    for id in ids {
        lives("a lease that is held", &bench.claim(id, "ann", 1).await?)?;
    }
    Ok(())
}

/// The first one has the lower id, too: a store whose clock stands still has nothing else to go by.
async fn let_go(bench: Bench) -> Result<(), Broken> {
    let [first, second] = full(&bench).await?;
    for id in [first, second] {
        lives("a lease that is let go", &bench.renew(id, false, 1).await?)?;
    }
    lives("one more", &bench.open(bench.lease(3), "ann", MAX).await?)?;
    let outcome = bench.claim(first, "ann", 1).await?;
    let gone = outcome == StoreOutcome::LeaseGone;
    ensure(gone, "the lease that was let go first: LeaseGone", &outcome)?;
    lives("the lease that was let go last", &bench.claim(second, "ann", 1).await?).map(|_| ())
}

async fn held_again(bench: Bench) -> Result<(), Broken> {
    let [first, second] = full(&bench).await?;
    for id in [first, second] {
        lives("a lease that is let go", &bench.renew(id, false, 1).await?)?;
    }
    lives("a claim", &bench.claim(first, "ann", 1).await?)?;
    lives("a renewal", &bench.renew(second, true, 1).await?)?;
    refused(&bench, 3).await?;
    for id in [first, second] {
        lives("a lease that is held again", &bench.claim(id, "ann", 1).await?)?;
    }
    Ok(())
}

async fn ended(bench: Bench) -> Result<(), Broken> {
    let [first, second] = full(&bench).await?;
    bench.end(first).await?;
    lives("a lease in the room of an ended one", &bench.open(bench.lease(3), "ann", MAX).await?)?;
    lives("the other lease", &bench.claim(second, "ann", 1).await?)?;
    refused(&bench, 4).await
}
