//! How the disks of clients with a journal behave in a run. What is on them is the world's.

use std::time::Duration;

use steadfast::session::client::ClientConfig;

use crate::rng::Rng;

/// Delays, and odds per 1000 writes.
#[derive(Debug, Clone, Copy)]
pub struct JournalPlan {
    /// Whether clients have a journal.
    pub on: bool,
    /// Milliseconds that a write takes.
    pub delay_ms: (u64, u64),
    /// It fails.
    pub fails: u32,
    /// The client's process dies before it is done.
    pub dies: u32,
}

impl JournalPlan {
    /// Nobody has one.
    pub const NONE: Self = Self { on: false, delay_ms: (0, 0), fails: 0, dies: 0 };

    /// The disks of a random run.
    pub(crate) fn random(rng: &Rng, config: &mut ClientConfig) -> Self {
        // Drawn apart, so that a seed's other settings stay what they were.
        let mut rng = Rng::new(rng.clone().next_u64().rotate_left(16));
        if !rng.chance(300) {
            return Self::NONE;
        }
        config.journal.slack_bytes = rng.pick(&[0, 300, 1_000_000]);
        config.journal.retry = Duration::from_millis(rng.within((20, 500)));
        Self {
            on: true,
            delay_ms: rng.pick(&[(0, 0), (0, 5), (1, 60), (5, 300)]),
            fails: rng.pick(&[0, 0, 30, 200]),
            dies: rng.pick(&[0, 0, 10, 50]),
        }
    }
}
