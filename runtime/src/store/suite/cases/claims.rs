//! Claims of a lease by several holders: what raises its generation, and what an earlier holder can
//! still do. What a claim gives of the records is not here.

use crate::session::store::{Claim, Generation, StoreOutcome};
use crate::store::suite::asks::{commit, lives, record};
use crate::store::suite::bench::Bench;
use crate::store::suite::case::Case;
use crate::store::suite::report::{Broken, ensure, same};
use crate::wire::{CommandNo, LeaseId};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "a claim of another holder raises the generation",
            "OpenLease makes the claim of generation 1; a ClaimLease of another holder than the \
             latest one raises it by 1, one of the same holder is a repetition.",
            |bench| Box::pin(raised(bench)),
        ),
        Case::new(
            "an earlier holder is told of the latest claim",
            "Renewal and commit are answered with the latest claim, whoever asks.",
            |bench| Box::pin(told(bench)),
        ),
        Case::new(
            "a renewal of an older generation changes nothing",
            "RenewLease of an older generation is answered like any other, and changes neither the \
             low-water mark nor whether the lease is held.",
            |bench| Box::pin(older_renewal(bench)),
        ),
    ]
}

fn latest(what: &str, outcome: &StoreOutcome) -> Result<Claim, Broken> {
    match outcome {
        StoreOutcome::Lease { claim, .. } | StoreOutcome::Committed { claim, .. } => Ok(*claim),
        _ => Err(Broken::new(format!("{what}: the latest claim"), outcome)),
    }
}

fn is_claim(bench: &Bench, who: u64, of: u64, outcome: &StoreOutcome) -> Result<(), Broken> {
    let expected = Claim { generation: Generation(of), holder: bench.holder(who) };
    same("the latest claim", &expected, &latest("an answer", outcome)?)
}

async fn raised(bench: Bench) -> Result<(), Broken> {
    let id = bench.lease(1);
    is_claim(&bench, 1, 1, &bench.open(id, "ann", 200).await?)?;
    for (who, generation) in [(1, 1), (2, 2), (2, 2), (1, 3), (3, 4)] {
        let outcome = bench.claim_by(who, id, "ann", 1).await?;
        is_claim(&bench, who, generation, &outcome)?;
    }
    Ok(())
}

async fn told(bench: Bench) -> Result<(), Broken> {
    let id = bench.opened(1).await?;
    lives("a claim", &bench.claim_by(2, id, "ann", 1).await?)?;
    for generation in [1, 2].map(Generation) {
        is_claim(&bench, 2, 2, &bench.renew_of(generation, id, true, 1).await?)?;
    }
    let commits = vec![commit(1, record(1, &[]), true)];
    is_claim(&bench, 2, 2, &bench.commit(id, 1, commits).await?.outcome)
}

/// A principal may have one lease. It is let go by who had it, and held by who has it.
async fn older_renewal(bench: Bench) -> Result<(), Broken> {
    let id = bench.lease(1);
    lives("a lease", &bench.open(id, "ann", 1).await?)?;
    lives("a claim", &bench.claim_by(2, id, "ann", 2).await?)?;
    lives("an older renewal", &bench.renew(id, false, 5).await?)?;
    is_held(&bench, id).await?;
    let (low, _) = lives("the lease", &bench.renew_of(Generation(2), id, true, 1).await?)?;
    same("the low-water mark", &CommandNo(2), &low)
}

async fn is_held(bench: &Bench, id: LeaseId) -> Result<(), Broken> {
    let outcome = bench.open(bench.lease(9), "ann", 1).await?;
    let refused = outcome == StoreOutcome::TooManyLeases;
    ensure(refused, format!("{id:?} is held, and makes no room: TooManyLeases"), &outcome)
}
