//! What a user interface shows (PROTOCOL.md has no say in it).

use super::link::Phase;
use super::{Client, ConnectionState, Status};
use crate::session::Now;

impl Client {
    pub(super) fn look(&self, now: Now) -> Status {
        let next_dial_in_ms = match self.link.phase {
            Phase::Waiting { until } => Some(until.since(now)),
            _ => None,
        };
        let away_ms = match &self.state {
            ConnectionState::Reconnecting { since, .. } => Some(now.since(*since)),
            _ => None,
        };
        Status {
            state: self.state.clone(),
            live: self.link.attachment().is_some_and(|attachment| attachment.draining.is_none()),
            queued: self.outbox.size().0 + self.outbox.backlog().0,
            next_dial_in_ms,
            away_ms,
            latency_ms: self.link.latency_ms,
        }
    }
}
