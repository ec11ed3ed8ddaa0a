//! What an execution under way is for. The driver runs it; what it answers is for the router.

use crate::session::Now;
use crate::session::node::keys::LeaseKey;
use crate::session::node::types::ConnId;
use crate::wire::{CommandNo, SubNo, TopicNo};

/// What an execution is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Running {
    Authenticate(ConnId),
    Command(LeaseKey, CommandNo),
    Volatile(ConnId),
    Authorize(ConnId, SubNo),
    Snapshot(TopicNo),
}

/// An execution under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Run {
    pub(super) what: Running,
    /// When a hook is late; commands have their lease's timer.
    pub(super) until: Option<Now>,
}
