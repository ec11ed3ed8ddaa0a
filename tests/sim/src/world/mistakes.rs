//! Deliberate mistakes between a client's core and its application or driver: what the core is told
//! differs from what the checkers are told.

use std::sync::Arc;

use steadfast::session::client::{ClientConfig, HttpRefusal};
use steadfast_rig::fixtures;

use super::World;
use crate::checkers::contract_of;
use crate::mistake::Mistake;

impl World {
    /// Processes are of every age; what was built when follows from their number.
    pub(super) fn meddle_config(&self, process: u64) -> Arc<ClientConfig> {
        let mut config = Arc::clone(&self.plan.client);
        if let Some(contract) = contract_of(process) {
            Arc::make_mut(&mut config).contracts.fingerprint = Some(fixtures::name(contract));
        }
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
