//! What a user interface shows. It looks and changes nothing; PROTOCOL.md has no say in it.

use super::router::Client;
use super::types::{ConnectionState, Status};
use crate::session::Now;

impl Client {
    pub(super) fn look(&self, now: Now) -> Status {
        let next_dial_in_ms = self.link.dials_at().map(|at| at.since(now));
        let away_ms = match &self.state {
            ConnectionState::Reconnecting { since, .. } => Some(now.since(*since)),
            _ => None,
        };
        Status {
            state: self.state.clone(),
            live: self.link.attachment().is_some_and(|attachment| !attachment.is_leaving()),
            queued: self.outbox.size().0 + self.outbox.backlog().0,
            next_dial_in_ms,
            away_ms,
            latency_ms: self.link.latency_ms(),
            server: self.server.clone(),
        }
    }
}
