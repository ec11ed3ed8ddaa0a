//! What must hold, whatever happens: each rule a small function named after it, fed with what
//! crosses the border between the cores and the world. The checkers keep a second, naive opinion of
//! every sequence, commit and cursor, and never ask a core.

mod backlog;
mod bounds;
mod builds;
mod claims;
mod commands;
mod directs;
mod drains;
mod executions;
mod known;
mod life;
mod outages;
mod promises;
mod refusals;
mod sequences;
mod sometimes;
mod states;
mod topics;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use steadfast::session::client::{Backoff, ConnectionState};
use steadfast::session::node::{ConnId, ExecId, NodeConfig};
use steadfast::session::{Close, Now};
use steadfast::wire::{LeaseId, SessionId};
use steadfast_rig::Rule;

pub use builds::contract_of;
pub use promises::Owed;
pub use sometimes::{REQUIRED, Sometimes};
pub use topics::{Restored, Topics};

use self::backlog::RoomBook;
use self::bounds::Largest;
use self::claims::Claims;
use self::commands::{CallBook, Cancels, ClientBook, CommitBook, Ids, LeaseBook, kept};
pub use self::commands::{Found, Said, TakenUp};
use self::directs::InboxBook;
use self::drains::Unanswered;
use self::executions::Executions;
use self::known::Known;
use self::life::{Heard, Row};
use self::outages::Outages;
use self::promises::Promises;
use self::refusals::Reaction;
use self::sequences::SessionBook;
use self::wire::SocketBook;
use crate::network::SocketId;
use crate::plan::Plan;

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// How.
    pub detail: String,
}

/// Everything that was seen, and the first rule that it broke.
#[derive(Debug)]
pub struct Checkers {
    violation: Option<Violation>,
    /// What happened at least once.
    pub sometimes: Sometimes,
    /// Logs and subscriptions.
    pub topics: Topics,
    node_config: NodeConfig,
    sockets: BTreeMap<SocketId, SocketBook>,
    sessions: BTreeMap<SessionId, SessionBook>,
    leases: BTreeMap<LeaseId, LeaseBook>,
    clients: BTreeMap<u64, ClientBook>,
    calls: BTreeMap<u64, CallBook>,
    sent: BTreeMap<(LeaseId, u64), u64>,
    commits: BTreeMap<(LeaseId, u64), CommitBook>,
    unsettled: BTreeSet<(LeaseId, u64)>,
    unanswered: Unanswered,
    executions: Executions,
    cancels: Cancels,
    known: Known,
    ids: Ids,
    /// For how long messages keep their ids.
    id_kept: Duration,
    largest: Largest,
    /// How many ids there may be in the store.
    most_ids: u64,
    claims: Claims,
    outages: Outages,
    /// Whether clients have journals.
    journals: bool,
    /// Whether nodes or the store let go of replies that take too much room.
    replies_shrink: bool,
    states: BTreeMap<u64, ConnectionState>,
    /// Outbox and backlog of each client process.
    rooms: BTreeMap<u64, RoomBook>,
    /// What is expected of client processes whose upgrade was refused.
    refusals: BTreeMap<u64, Reaction>,
    /// By process.
    promises: BTreeMap<u64, Promises>,
    /// Whose credentials a hook looks at.
    authenticating: BTreeMap<(u64, ExecId), ConnId>,
    backoff: Backoff,
    /// The longest message that clients say they take.
    message_bytes: usize,
    /// Of attached ends.
    heard: Heard,
    /// By client process.
    rows: BTreeMap<u64, Row>,
    /// By client process.
    inboxes: BTreeMap<u64, InboxBook>,
}

pub(crate) fn digest(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

impl Checkers {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            violation: None,
            sometimes: Sometimes::default(),
            topics: Topics::default(),
            node_config: NodeConfig::clone(&plan.node),
            sockets: BTreeMap::new(),
            sessions: BTreeMap::new(),
            leases: BTreeMap::new(),
            clients: BTreeMap::new(),
            calls: BTreeMap::new(),
            sent: BTreeMap::new(),
            commits: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            unanswered: Unanswered::new(),
            executions: Executions::default(),
            cancels: Cancels::default(),
            known: Known::default(),
            ids: Ids::default(),
            id_kept: kept(&plan.node),
            largest: Largest::default(),
            most_ids: plan.store.ids,
            claims: Claims::default(),
            outages: Outages::default(),
            journals: plan.journal.on,
            replies_shrink: plan.replies_shrink(),
            states: BTreeMap::new(),
            rooms: BTreeMap::new(),
            refusals: BTreeMap::new(),
            promises: BTreeMap::new(),
            authenticating: BTreeMap::new(),
            backoff: plan.client.backoff.clone(),
            message_bytes: plan.client.message_bytes as usize,
            heard: Heard::new(),
            rows: BTreeMap::new(),
            inboxes: BTreeMap::new(),
        }
    }

    /// Whether a rule was broken.
    #[must_use]
    pub const fn violated(&self) -> bool {
        self.violation.is_some()
    }

    /// The first broken rule.
    #[must_use]
    pub const fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    pub(crate) fn require(&mut self, holds: bool, rule: Rule, detail: impl FnOnce() -> String) {
        if !holds && self.violation.is_none() {
            self.violation = Some(Violation { rule, detail: detail() });
        }
    }

    /// A frame is the same after its bytes have been read.
    pub fn frames_survive_encoding(&mut self, same: bool, message: &[u8]) {
        self.require(same, Rule::FramesSurviveEncoding, || {
            String::from_utf8_lossy(message).into_owned()
        });
    }

    /// A timer that fired is not due again at once, for ever.
    pub fn timers_make_progress(&mut self, spinning: bool, who: &'static str) {
        self.require(!spinning, Rule::TimersProgress, || {
            format!("a {who} asks for the same time again and again")
        });
    }

    /// An input has an end: no core goes on for ever without time or anything else moving.
    pub fn outputs_come_to_an_end(&mut self, ends: bool) {
        self.require(ends, Rule::OutputsEnd, || {
            "one input keeps everybody busy for ever".to_owned()
        });
    }

    /// Both ends keep the rules, and the network changes no bytes: nobody may blame the other.
    fn nobody_breaks_a_rule(&mut self, close: &Close, who: &str) {
        let blame = close.code.is_some_and(|code| {
            (4400..=4499).contains(&code.0) && code != steadfast::session::CloseCode::NO_HELLO
                || code.0 == 4300
        });
        self.require(!blame, Rule::NobodyBlames, || format!("the {who} closes with {close}"));
    }

    /// A client closes a socket.
    pub fn client_closes(&mut self, process: u64, now: Now, close: &Close) {
        self.nobody_breaks_a_rule(close, "client");
        self.nobody_leaves_a_living_peer((process, None), now, close);
    }

    /// A server closes a socket.
    pub fn server_closes(&mut self, process: u64, conn: ConnId, now: Now, close: &Close) {
        let taken_over = close.code.is_some_and(|code| code.0 == 4300) && self.journals;
        if taken_over {
            // By the next process; a living one that was told so would stop, and never come to rest.
            self.sometimes.count("lease taken over by the next process");
        } else {
            self.nobody_breaks_a_rule(close, "server");
        }
        self.nobody_leaves_a_living_peer((process, Some(conn)), now, close);
        match close.code.map(|code| code.0) {
            Some(4001) => self.sometimes.count("stale dial refused"),
            Some(4002) => self.sometimes.count("socket replaced"),
            Some(4003) => self.sometimes.count("heartbeat missed"),
            Some(4202) => self.sometimes.count("credentials expired"),
            Some(4005) => self.sometimes.count("slow reader closed"),
            Some(4100) => self.sometimes.count("session ended by server"),
            _ => {}
        }
    }

    /// Outbox and backlog hold what was submitted and is not resolved.
    pub fn outbox_holds_what_is_unresolved(&mut self, process: u64, held: usize) {
        let unresolved = self.clients.get(&process).map_or(0, |book| book.unresolved.len());
        self.require(held == unresolved, Rule::OutboxHoldsUnresolved, || {
            format!("process {process} holds {held} commands, {unresolved} are unresolved")
        });
    }

    /// When faults stop, everything is resolved and read in bounded time.
    pub fn everything_comes_to_rest(&mut self, rested: bool, why: &str) {
        self.require(rested, Rule::ComesToRest, || why.to_owned());
    }

    /// Nobody dials when nothing is wrong.
    pub fn nobody_reconnects_at_rest(&mut self, dials: u64) {
        self.require(dials == 0, Rule::NobodyReconnects, || format!("{dials} dials"));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn each_rule_is_judged_somewhere() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let left = Rule::named_nowhere(Rule::ALL, &sources).expect("the sources can be read");
        assert_eq!(left, []);
    }
}
