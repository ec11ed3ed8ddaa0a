//! What a server is set to beside its node: limits before the upgrade and of draining, and how what
//! all executions need is shared among connections. It holds no state.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::transacts::Transacts;
use crate::session::node::NodeConfig;

/// Rest after a turn, or the store's news, panicked: one that always does must not keep a core
/// busy.
pub(super) const REST: Duration = Duration::from_secs(1);

/// The configuration behind a counter of its own: each connection has one, so that its commands
/// don't all count up and down in one place with those of other threads.
pub(super) type NodeSettings = Arc<Settings>;

/// What every execution needs of its server.
pub(super) struct Settings {
    pub(super) config: Arc<NodeConfig>,
    pub(super) transacts: Transacts,
}

impl Deref for Settings {
    type Target = NodeConfig;

    fn deref(&self) -> &NodeConfig {
        &self.config
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

/// Limits beside the node's own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Sockets at a time; more are refused before the upgrade with 503: 50,000.
    pub connections: u32,
    /// Connections at a time that have not asked for their upgrade yet, in
    /// [`Server::serve_listener`](super::Server::serve_listener); more wait to be accepted. Each
    /// has [`NodeConfig::handshake`]: 1,000.
    pub handshakes: u32,
    /// What `Retry-After` tells them, in whole seconds, rounded up: 5 s.
    pub retry_after: Duration,
    /// Time over which a drain spreads the return of its clients: 5 s.
    pub drain_spread: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 50_000,
            handshakes: 1_000,
            retry_after: Duration::from_secs(5),
            drain_spread: Duration::from_secs(5),
        }
    }
}
