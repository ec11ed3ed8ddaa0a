//! What a server was built with, and what never changes while it runs: the application, its hooks,
//! limits, store and clock. Holds no state.

use std::sync::Arc;

use super::auth::AuthHook;
use super::service::Service;
use super::settings::{Limits, NodeSettings, Settings};
use super::transacts::Transacts;
use crate::host::Clock;
use crate::session::node::NodeConfig;
use crate::store::DynStore;
use crate::transport::TransportConfig;

/// What surrounds the node.
pub(super) struct Env {
    pub(super) service: Arc<dyn Service>,
    pub(super) config: Arc<NodeConfig>,
    pub(super) transport: TransportConfig,
    pub(super) limits: Limits,
    pub(super) store: Arc<dyn DynStore>,
    /// Of the handler.
    pub(super) transacts: Transacts,
    pub(super) authenticate: AuthHook,
    /// Origins of web pages that may connect; any if `None`.
    pub(super) origins: Option<Vec<String>>,
    pub(super) clock: Clock,
}

impl Env {
    /// The configuration, for a connection of its own.
    pub(super) fn settings(&self) -> NodeSettings {
        Arc::new(Settings { config: Arc::clone(&self.config), transacts: self.transacts })
    }

    /// A message of the client enum, for a log.
    pub(super) fn message_name(&self, index: u16) -> &'static str {
        let messages = self.service.client_enum().messages;
        messages.get(usize::from(index)).map_or("?", |message| message.name)
    }

    /// A topic of the server enum, for a log.
    pub(super) fn topic_name(&self, index: u16) -> &'static str {
        let topics = self.service.server_enum().topics;
        topics.get(usize::from(index)).map_or("?", |topic| topic.name)
    }
}
