//! Deliberate mistakes between a client's core and its application or driver: what the core is told
//! differs from what the checkers are told.

use std::sync::Arc;

use steadfast::session::client::{ClientConfig, HttpRefusal};

use super::World;
use crate::mistake::Mistake;

impl World {
    pub(super) fn meddle_config(&self) -> Arc<ClientConfig> {
        let mut config = Arc::clone(&self.plan.client);
        if self.plan.mistake == Some(Mistake::WidensBacklog) {
            Arc::make_mut(&mut config).backlog_calls += 100;
        }
        config
    }

    pub(super) fn meddle_patience(&self, timeout_ms: u64) -> u64 {
        let forgets = self.plan.mistake == Some(Mistake::ForgetsPatience);
        if forgets { timeout_ms.saturating_mul(100) } else { timeout_ms }
    }

    pub(super) fn meddle_refusal(&self, refusal: HttpRefusal) -> HttpRefusal {
        match self.plan.mistake {
            Some(Mistake::MisreadsRefusals) => HttpRefusal { status: Some(503), ..refusal },
            _ => refusal,
        }
    }

    /// Whether the two next calls change places.
    pub(super) fn meddle_order(&mut self) -> bool {
        self.plan.mistake == Some(Mistake::SwapsCalls) && self.rng.chance(100)
    }
}
