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
use steadfast::wire::{Body, LeaseId, SessionId};
use steadfast_rig::Rule;

use self::commands::{ClientBook, CommandBook, LeaseBook};
use self::sessions::SessionBook;
use self::topics::Topic;
use crate::model::Model;
use crate::state::{Process, State};

pub(crate) use self::topics::OF_COMMANDS;

macro_rules! judged {
    ($($rule:ident,)*) => {
        /// The rules that make sense without time.
        pub const RULES: &[Rule] = &[$(Rule::$rule,)*];

        /// Each of them as a property of every state.
        pub(crate) fn properties() -> Vec<stateright::Property<Model>> {
            vec![$(stateright::Property::always(Rule::$rule.name(), |_, state: &State| {
                state.ledger.broken().is_none_or(|(rule, _)| *rule != Rule::$rule)
            }),)*]
        }
    };
}

judged! {
    OneCommitPerNumber,
    OneCommitPerCommand,
    ReplyIsCommitted,
    ResultFollowsCommit,
    StartsInOrder,
    NothingBeginsInOutage,
    CommitsInOrder,
    IdHasOneOutcome,
    RefusedNeverRan,
    OutcomeHasReason,
    OutboxHoldsUnresolved,
    LowPassesNothing,
    NumberMeansOneCommand,
    LeaseIdOnce,
    LeaseKeepsPrincipal,
    ResumeKeepsPrincipal,
    SessionIdOnce,
    GenerationRises,
    SequencesAreWhole,
    AcksCoverAccepted,
    WindowIsKept,
    EqualPlacesEqualBytes,
    LogHasNoGap,
    HeadMovesByAppends,
    EventInOnePlace,
    OnlyCommitsPublish,
    NoHiddenGap,
    NoInventedGap,
    NobodyBlames,
    NoClientGivesUp,
    ComesToRest,
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
    /// Whether all commands are one, by their id.
    one_id: bool,
    /// Which of them was first, and its outcome.
    of_id: Option<(u64, Body)>,
    topic: Topic,
}

impl Ledger {
    /// Of a run in which all commands are one, by their id, or none has one.
    #[must_use]
    pub fn new(one_id: bool) -> Self {
        Self { one_id, ..Self::default() }
    }

    /// The rule that was broken, and how.
    #[must_use]
    pub const fn broken(&self) -> Option<&(Rule, String)> {
        self.broken.as_ref()
    }

    pub(crate) fn require(&mut self, holds: bool, rule: Rule, detail: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            assert!(RULES.contains(&rule), "{rule:?} is no property: nobody would hear of it");
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
        self.require(!over, Rule::NoClientGivesUp, || format!("{state:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn each_rule_of_the_model_is_judged_somewhere() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let left = Rule::named_nowhere(RULES, &sources).expect("the sources can be read");
        assert_eq!(left, []);
    }
}
