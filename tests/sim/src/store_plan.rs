//! How the store of a run misbehaves, and how much it keeps. It decides nothing while the run goes
//! on.

use crate::plan::apart;
use crate::rng::Rng;

/// Odds per 1000 operations, and delays.
#[derive(Debug, Clone, Copy)]
pub struct StorePlan {
    /// Milliseconds until an operation happens; 0 to 0 answers within the same step.
    pub before_ms: (u64, u64),
    /// Milliseconds from then until its answer.
    pub after_ms: (u64, u64),
    /// Certainly did not happen.
    pub failed: u32,
    /// Reported as unknown, and did not happen.
    pub unknown_lost: u32,
    /// Reported as unknown, and did happen.
    pub unknown_done: u32,
    /// Reported as unknown, and happens after a while all the same: what was on its way to it.
    pub unknown_late: u32,
    /// Records whose publications it appends in the same transaction.
    pub settles: u32,
    /// Whether it keeps publications when they are in their logs, and shows them.
    pub keeps_settled: bool,
    /// Whether it loses what it took last, while nodes run.
    pub rolls_back: bool,
    /// When it is away, in milliseconds from the beginning, and for how many.
    pub away: Option<(u64, u64)>,
    /// Milliseconds that it remembers a topic that nobody asks for.
    pub topic_memory_ms: u64,
    /// Bytes of replies that it keeps: for one lease, for one principal, and in all.
    pub reply_bytes: (u64, u64, u64),
    /// Bytes of publications that it keeps until they are in their logs.
    pub owed_bytes: u64,
    /// Bytes of entries that it keeps in all.
    pub log_bytes: u64,
    /// How many topics it keeps.
    pub topics: u64,
    /// How many leases there may be.
    pub leases: u64,
    /// How many ids there may be.
    pub ids: u64,
    /// Whether its records and logs lie apart, and how many milliseconds back it believes that a
    /// record was unsettled.
    pub append_window_ms: Option<u64>,
    /// For how many milliseconds it remembers a lease that has ended, and how many.
    pub ended: (u64, usize),
}

/// More than any run comes to.
pub(crate) const ENOUGH: u64 = 1_000_000_000;

impl StorePlan {
    pub(crate) const CALM: Self = Self {
        before_ms: (0, 0),
        after_ms: (0, 0),
        failed: 0,
        unknown_lost: 0,
        unknown_done: 0,
        unknown_late: 0,
        settles: 1_000,
        keeps_settled: false,
        rolls_back: false,
        away: None,
        topic_memory_ms: 3_600_000,
        reply_bytes: (ENOUGH, ENOUGH, ENOUGH),
        owed_bytes: ENOUGH,
        log_bytes: ENOUGH,
        topics: ENOUGH,
        leases: ENOUGH,
        ids: ENOUGH,
        append_window_ms: None,
        ended: (600_000, 1_000),
    };

    /// What a seed's store does.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let hostile = rng.chance(400);
        Self {
            before_ms: rng.pick(&[(0, 0), (0, 0), (0, 5), (1, 60)]),
            after_ms: rng.pick(&[(0, 0), (0, 5), (1, 60)]),
            failed: if hostile { rng.pick(&[0, 20, 150]) } else { 0 },
            unknown_lost: if hostile { rng.pick(&[0, 20, 100]) } else { 0 },
            unknown_done: if hostile { rng.pick(&[0, 20, 100]) } else { 0 },
            unknown_late: if hostile { rng.pick(&[0, 20, 100]) } else { 0 },
            settles: rng.pick(&[0, 500, 1_000]),
            keeps_settled: rng.chance(500),
            rolls_back: rng.chance(300),
            away: None,
            topic_memory_ms: rng.pick(&[1_500, 3_600_000, 3_600_000]),
            reply_bytes: rng.pick(&[
                (0, 0, 0),
                (40, 100, 100),
                (40, 80, 150),
                (ENOUGH, ENOUGH, ENOUGH),
            ]),
            owed_bytes: rng.pick(&[60, ENOUGH, ENOUGH]),
            log_bytes: rng.pick(&[800, ENOUGH, ENOUGH]),
            append_window_ms: apart(rng).pick(&[None, None, Some(150), Some(1_500)]),
            ended: apart(&apart(rng)).pick(&[(600_000, 1_000), (600_000, 1), (300, 1_000)]),
            ..Self::CALM
        }
    }

    /// How many ids it keeps. Drawn apart, so that a seed's other settings stay what they were.
    /// Topics and leases are always enough for all that there are at rest.
    pub(crate) fn randomise_bounds(&mut self, rng: &mut Rng) {
        self.ids = rng.pick(&[2, 5, ENOUGH, ENOUGH]);
    }
}
