//! Commands from submission to outcome (PROTOCOL.md sections 5 and 6): what is remembered of
//! clients, leases, commands and records. The rules are in the files beneath.

mod cancels;
mod commits;
mod ids;
mod journal;
mod numbers;
mod outcomes;

use std::collections::{BTreeMap, BTreeSet};

use steadfast::session::Now;
use steadfast::session::client::{CallId, CallOutcome};
use steadfast::session::store::{Outcome, Publication};
use steadfast::wire::{LeaseId, Name, RefusalCode};
use steadfast_rig::Rule;

use super::Checkers;
pub(super) use cancels::Cancels;
pub(super) use ids::{Ids, kept};
pub use journal::{Found, TakenUp};

/// A lease, as the border shows it.
#[derive(Debug, Clone, Default)]
pub(in crate::checkers) struct LeaseBook {
    user: String,
    /// Node process of its last session.
    pub(in crate::checkers) node: u64,
    /// Highest ordered number that was committed.
    last_ordered: u64,
    /// The highest `low` that its client told.
    low: u64,
}

/// A client process.
#[derive(Debug, Clone, Default)]
pub(in crate::checkers) struct ClientBook {
    welcomed: bool,
    lease: Option<LeaseId>,
    /// The lowest number never sent under the lease.
    next: u64,
    /// Numbers of the lease that are sent and not resolved.
    open: BTreeMap<u64, u64>,
    calls: BTreeMap<CallId, u64>,
    pub(in crate::checkers) unresolved: BTreeSet<CallId>,
    /// Calls that the client said are in its outbox, and that nobody has let go of.
    accepted: BTreeSet<CallId>,
    closed: bool,
}

/// How a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Resolved,
    /// It was said that it never ran, and never will.
    NeverRan,
}

impl Checkers {
    /// The lease that a client process holds.
    #[must_use]
    pub fn lease_of(&self, process: u64) -> Option<LeaseId> {
        self.clients.get(&process)?.lease
    }

    /// Whoever is connected holds a lease that lives.
    pub fn what_is_held_lives(&mut self, process: u64, lease: LeaseId, lives: bool) {
        self.require(lives, Rule::HeldLeasesLive, || format!("process {process}: {lease:?}"));
    }
}

/// What a call says.
#[derive(Debug, Clone)]
pub struct Said {
    /// Whether its command keeps its order.
    pub ordered: bool,
    /// The number in its body: which command it is, unless it has an id.
    pub written: u64,
    /// Its message and its id, if it has one: then several calls may say the same.
    pub id: Option<(Name, String)>,
}

/// A command of the run.
#[derive(Debug, Clone)]
pub(in crate::checkers) struct CallBook {
    call: CallId,
    written: u64,
    id: Option<(Name, String)>,
    pub(in crate::checkers) ordered: bool,
    fate: Fate,
    sent: Vec<(LeaseId, u64)>,
    commits: u32,
    /// The last answer that reached the client: a refusal, or (without a code) a result.
    answer: Option<Option<RefusalCode>>,
    /// The lease was lost after it was sent.
    lease_lost: bool,
    /// When its caller's patience ends, by the client's clock.
    due: Now,
    /// It was sent for the first time after that.
    late: bool,
    /// An earlier process gave it a number: whoever has its journal must take it for sent.
    maybe_sent: bool,
    /// The client process in which it was cancelled.
    unwanted_by: Option<u64>,
    /// What its caller was told last.
    told: Option<CallOutcome>,
}

/// A committed record.
#[derive(Debug, Clone)]
pub(in crate::checkers) struct CommitBook {
    outcome: Outcome,
    pub(in crate::checkers) publishes: Vec<Publication>,
}
