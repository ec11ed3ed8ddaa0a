//! The connection as an application sees it, with words for people. Which state follows which is
//! the core's.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::host::Clock;
use crate::session::client as core;
use crate::session::{Build, Close};
use crate::wire::Verdict;

/// Where the connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Not started.
    Disconnected,
    /// No connection yet.
    Connecting {
        /// Which dial in a row, from 1.
        attempt: u32,
    },
    /// There is one.
    Connected {
        /// Whether the session of the connection before went on: nothing had to be sent again that
        /// was received.
        resumed: bool,
        /// Since when.
        since: Instant,
    },
    /// There was one.
    Reconnecting {
        /// Which dial in a row, from 1; the next one while waiting.
        attempt: u32,
        /// When the next dial begins; `None` while one is under way.
        next_dial: Option<Instant>,
        /// When the connection was lost.
        since: Instant,
        /// Why the last socket ended.
        reason: Close,
    },
    /// Given up; nothing more will happen.
    Failed {
        /// Why.
        reason: Close,
    },
    /// Closed by the application.
    Closed,
}

/// What a user interface shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The state.
    pub state: ConnectionState,
    /// Whether an action is sent now; otherwise it is queued.
    pub live: bool,
    /// Actions that have no outcome yet.
    pub queued: usize,
    /// Until the next dial.
    pub next_dial_in: Option<Duration>,
    /// Since the connection was lost.
    pub away: Option<Duration>,
    /// The last measured round trip of a heartbeat.
    pub latency: Option<Duration>,
    /// What the server was built from, and how the two fit, as of the last connection; `None`
    /// before the first one. It has been set when [`ConnectionState::Connected`] is seen.
    pub server: Option<Arc<Build>>,
    /// One or two English sentences for people.
    pub message: String,
}

impl ConnectionState {
    pub(super) fn of(clock: Clock, state: &core::ConnectionState) -> Self {
        match state {
            core::ConnectionState::Disconnected => Self::Disconnected,
            core::ConnectionState::Connecting { attempt } => Self::Connecting { attempt: *attempt },
            core::ConnectionState::Connected { resumed, since } => {
                Self::Connected { resumed: *resumed, since: clock.at(*since) }
            }
            core::ConnectionState::Reconnecting { attempt, next_dial, since, reason } => {
                Self::Reconnecting {
                    attempt: *attempt,
                    next_dial: next_dial.map(|at| clock.at(at)),
                    since: clock.at(*since),
                    reason: reason.clone(),
                }
            }
            core::ConnectionState::Failed { reason } => Self::Failed { reason: reason.clone() },
            core::ConnectionState::Closed => Self::Closed,
        }
    }

    /// Whether there is a connection.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Closed)
    }
}

impl Status {
    pub(super) fn of(clock: Clock, status: &core::Status) -> Self {
        let state = ConnectionState::of(clock, &status.state);
        let queued = status.queued;
        let next_dial_in = status.next_dial_in_ms.map(Duration::from_millis);
        Self {
            message: message(&state, queued, next_dial_in) + advice(status.server.as_deref()),
            state,
            live: status.live,
            queued,
            next_dial_in,
            away: status.away_ms.map(Duration::from_millis),
            latency: status.latency_ms.map(Duration::from_millis),
            server: status.server.clone(),
        }
    }
}

/// What people can do about a client that does not fit any more.
fn advice(server: Option<&Build>) -> &'static str {
    match server.map(|server| server.verdict) {
        Some(Verdict::ClientOutdated) => " There is a newer version of this program.",
        _ => "",
    }
}

fn message(state: &ConnectionState, queued: usize, next_dial_in: Option<Duration>) -> String {
    let mut message = match state {
        ConnectionState::Disconnected => "Not connected.".to_owned(),
        ConnectionState::Connecting { attempt: 1 } => "Connecting.".to_owned(),
        ConnectionState::Connecting { .. } => "Can't connect yet. We'll keep trying.".to_owned(),
        ConnectionState::Connected { .. } => return "Connected.".to_owned(),
        ConnectionState::Reconnecting { .. } => "Connection lost. We'll keep trying.".to_owned(),
        ConnectionState::Failed { reason } => return format!("Not connected: {reason}."),
        ConnectionState::Closed => return "Closed.".to_owned(),
    };
    if let Some(wait) = next_dial_in.filter(|wait| wait.as_secs() > 0) {
        message.push_str(&format!(" Next try in {} s.", wait.as_secs()));
    }
    match queued {
        0 => {}
        1 => message.push_str(" 1 action is queued."),
        count => message.push_str(&format!(" {count} actions are queued.")),
    }
    message
}
