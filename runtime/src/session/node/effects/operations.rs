//! What a store operation under way is for, and how often it was tried. What is to be done about
//! one that failed is for the router.

use crate::session::Now;
use crate::session::node::keys::LeaseKey;
use crate::session::node::types::ConnId;
use crate::session::store::TopicId;
use crate::wire::{CommandNo, LeaseId, TopicNo};

/// A store operation that is under way, or waits to be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Operation {
    pub(crate) purpose: Purpose,
    /// When it went out for the first time; `None` until then.
    pub(crate) asked: Option<Now>,
    /// How often it has failed.
    pub(crate) tries: u32,
    /// An earlier try may have happened.
    pub(crate) maybe: bool,
    /// The store has become another incarnation since it was asked.
    pub(crate) outlived: bool,
    /// The store has answered that it was asked for too long ago.
    pub(crate) stale: bool,
}

/// What an operation is for; enough to make it again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    Lease(ConnId),
    /// A lease that this node has reserved under this id.
    Issue(LeaseKey, LeaseId),
    Renew(LeaseKey),
    End(LeaseId),
    Commit(LeaseKey, Vec<CommandNo>),
    FindId(LeaseKey, CommandNo),
    /// A commit whose lease was dropped meanwhile: these topics may have got its events, and its
    /// records may be unsettled.
    Orphan(Vec<TopicId>),
    Append(TopicId),
    /// What a topic's append carries was seen too long ago.
    Look(TopicId),
    Settle,
    OpenTopic(TopicNo),
    ReadLog(TopicNo),
    ReadEarlier(TopicNo),
    Heads(Vec<(TopicNo, TopicId)>),
    ListUnsettled,
}
