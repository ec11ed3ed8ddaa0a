//! Contexts without a server, for the test kit: what handlers and hooks are given there. Nothing of
//! them is committed.

use std::sync::Arc;
use std::time::Duration;

use super::cx::{Cx, CxParts, CxRoom, CxStage, IdempotencyKey, TopicCx};
use super::settings::{NodeSettings, Settings};
use super::transacts::Transacts;
use crate::host;
use crate::session::Build;
use crate::session::node::{
    Attempt, ConnId, ExecId, NodeConfig, Principal, Recipient, StagedPublish,
};
use crate::session::store::MessageId;
use crate::wire::{Codec, CommandNo, LeaseId, Position};

/// What a context is made of.
#[derive(Debug, Clone)]
pub(crate) struct AloneParts {
    pub(crate) principal: Principal,
    pub(crate) client: Arc<Build>,
    pub(crate) lease: LeaseId,
    pub(crate) n: CommandNo,
    pub(crate) id: Option<MessageId>,
    pub(crate) attempt: Attempt,
    pub(crate) timeout: Duration,
    pub(crate) codec: Codec,
    pub(crate) is_command: bool,
}

/// A context, and the driver's side of it.
#[derive(Debug)]
pub(crate) struct Alone {
    cx: Cx,
    stage: CxStage,
}

impl Alone {
    pub(crate) fn new(parts: AloneParts) -> Self {
        let AloneParts { principal, client, lease, n, id, attempt, timeout, codec, is_command } =
            parts;
        let mut config = NodeConfig::new("test");
        config.codecs = vec![codec];
        let (sender, key) = if is_command {
            (Recipient::Lease(lease), IdempotencyKey::command(lease, n, id.map(Box::new)))
        } else {
            (Recipient::Connection(ConnId(1)), IdempotencyKey::volatile(ExecId(n.0)))
        };
        let settings = Settings { config: Arc::new(config), transacts: Transacts::WITHOUT_STORE };
        let parts = CxParts {
            principal,
            client,
            sender,
            codec,
            key,
            attempt,
            deadline: host::instant() + timeout,
            config: NodeSettings::new(settings),
            is_command,
        };
        let (cx, stage) = Cx::new(parts, &mut CxRoom::default());
        Self { cx, stage }
    }

    pub(crate) const fn cx(&self) -> &Cx {
        &self.cx
    }

    /// What was published and sent so far.
    ///
    /// # Errors
    /// Why something could not be.
    pub(crate) fn staged(&self) -> Result<Vec<StagedPublish>, String> {
        self.stage.look()
    }

    /// The caller does not want it any more.
    pub(crate) fn cancel(&self) {
        self.stage.canceller().cancel();
    }
}

/// The context of a snapshot hook.
pub(crate) const fn topic_cx(position: Position, codecs: Vec<Codec>) -> TopicCx {
    TopicCx::new(position, codecs)
}
