//! What must hold, each rule by its name, and what has to be remembered to tell: a second, naive
//! opinion of every sequence, commit and cursor, fed with what crosses the border between the cores
//! and the world. Never asks a core. Remembers as little as it can, because states that differ in
//! it are explored twice.

mod commands;
mod sessions;
mod topics;

use std::collections::{BTreeMap, BTreeSet};

use steadfast::session::Close;
use steadfast::session::client::ConnectionState;
use steadfast::wire::{LeaseId, SessionId};

use self::commands::{ClientBook, CommandBook, LeaseBook};
use self::sessions::SessionBook;
use self::topics::Topic;

use crate::state::Process;

pub use self::commands::number_in;
pub(crate) use self::topics::OF_COMMANDS;

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $name:literal,)*) => {
        /// What must hold in every state.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// For reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)*
                }
            }
        }

        /// Every rule as a property of the model.
        pub(crate) fn properties() -> Vec<stateright::Property<crate::model::Model>> {
            vec![$(stateright::Property::always($name, |_, state: &crate::state::State| {
                state.ledger.broken().is_none_or(|(rule, _)| *rule != Rule::$rule)
            }),)*]
        }
    };
}

rules! {
    /// PROTOCOL.md 5.6.
    CommitOnce = "at most one commit per number",
    /// However often a command was sent.
    EffectOnce = "at most one effect per command",
    /// PROTOCOL.md 5.5.
    CommitsInOrder = "ordered commands commit in order",
    /// PROTOCOL.md 5.6, 5.7.
    ResultFollowsCommit = "results follow commits",
    /// What the application is told is what was committed.
    ReplyIsTrue = "a reply implies one commit with its bytes",
    /// PROTOCOL.md 4.2, 4.7.
    Sequences = "sequences have no gap and no repeat",
    /// PROTOCOL.md 4.3, 4.4.
    Acks = "acked ≤ accepted ≤ sent",
    /// PROTOCOL.md 4.6.
    WithinWindow = "what is not acknowledged fits the window",
    /// PROTOCOL.md 4.7.
    Generations = "one attachment per generation",
    /// PROTOCOL.md 4.10, 5.1.
    Principals = "nothing changes its principal",
    /// PROTOCOL.md 5.2.
    Numbers = "a number means one command",
    /// PROTOCOL.md 5.4.
    Low = "low never passes an unresolved number",
    /// PROTOCOL.md 5.5.
    StartsInOrder = "ordered commands start in order",
    /// PROTOCOL.md 6.1.
    Reasons = "an outcome has its reason",
    /// PROTOCOL.md 5.10.
    RefusedNeverRan = "what was refused never ran",
    /// PROTOCOL.md 6.1.
    Outbox = "the outbox holds what is unresolved",
    /// PROTOCOL.md 7.4 to 7.7.
    NoHiddenGap = "never live across an unreported gap",
    /// PROTOCOL.md 7.6.
    NoInventedGap = "a gap is never invented",
    /// PROTOCOL.md 7.1.
    EqualBytes = "equal places have equal bytes",
    /// PROTOCOL.md 5.6.
    OnlyCommitsPublish = "only commits publish",
    /// A publication that is repeated changes nothing.
    OnePlace = "an event is in one place",
    /// The network changes nothing, so nobody may blame the other.
    NobodyBlames = "nobody breaks a rule",
    /// With an endless patience.
    NobodyGivesUp = "no client gives up",
    /// Without further faults everything comes to its end.
    Rest = "at rest everything is resolved and read",
}

/// The observer's memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Ledger {
    broken: Option<(Rule, String)>,
    clients: BTreeMap<Process, ClientBook>,
    commands: BTreeMap<u64, CommandBook>,
    sessions: BTreeMap<SessionId, SessionBook>,
    leases: BTreeMap<LeaseId, LeaseBook>,
    commits: BTreeSet<(LeaseId, u64)>,
    topic: Topic,
}

impl Ledger {
    /// The rule that was broken, and how.
    #[must_use]
    pub const fn broken(&self) -> Option<&(Rule, String)> {
        self.broken.as_ref()
    }

    pub(crate) fn require(&mut self, holds: bool, rule: Rule, detail: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some((rule, detail()));
        }
    }

    /// Both ends keep the rules, and the network changes no bytes.
    pub(crate) fn closes(&mut self, close: &Close, who: &str) {
        let blame = close.code.is_some_and(|code| (4300..=4499).contains(&code.0));
        self.require(!blame, Rule::NobodyBlames, || format!("the {who} closes with {close}"));
    }

    /// A client's state is another one.
    pub(crate) fn client_state(&mut self, state: &ConnectionState) {
        let over = matches!(state, ConnectionState::Failed { .. });
        self.require(!over, Rule::NobodyGivesUp, || format!("{state:?}"));
    }
}
