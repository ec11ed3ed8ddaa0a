//! The application's own ids: one outcome for each, one run at a time, and none under an id that is
//! in use (PROTOCOL.md 5.20 to 5.22). It keeps its own account of what the store has, by the store's
//! time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use steadfast::session::Now;
use steadfast::session::node::ExecId;
use steadfast::session::store::{MessageId, OpId, Outcome, Record, StoreOp, StoreOutcome};
use steadfast::wire::{FailureCode, LeaseId};
use steadfast_rig::Rule;

use crate::checkers::Checkers;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(in crate::checkers) struct Ids {
    /// What ids have stood for, one after the other; an id stands for the last until its time is
    /// over.
    stood: BTreeMap<MessageId, Vec<Stood>>,
    /// The same, as of the backup.
    backup: BTreeMap<MessageId, Vec<Stood>>,
    /// What nodes ask for.
    asked: BTreeMap<(u64, OpId), MessageId>,
    /// Those that a node process was told to be unused, and has not begun to run since.
    unused: BTreeSet<(u64, MessageId)>,
    running: BTreeMap<(u64, ExecId), MessageId>,
}

#[derive(Debug, Clone)]
struct Stood {
    /// Which body took the id.
    written: u64,
    outcome: Outcome,
    until: Now,
}

impl Stood {
    /// What a command with this body is told.
    fn tells(&self, written: u64) -> Outcome {
        if written == self.written {
            return self.outcome.clone();
        }
        Outcome::plain_failure(FailureCode::IdReused)
    }
}

impl Ids {
    pub(in crate::checkers) fn asked(&mut self, process: u64, op: OpId, body: &StoreOp) {
        if let StoreOp::FindId { id, .. } = body {
            self.asked.insert((process, op), id.clone());
        }
    }

    /// How many ids a principal has, and all together.
    fn in_use(&self, at: Now, principal: &str) -> (u64, u64) {
        let lives = |stood: &Vec<Stood>| stood.last().is_some_and(|stood| stood.until > at);
        let used = self.stood.iter().filter(|(_, stood)| lives(stood));
        used.fold((0, 0), |(mine, all), (id, _)| {
            (mine + u64::from(&*id.principal == principal), all + 1)
        })
    }

    /// What an id stands for at a time.
    fn stands_for(&self, at: Now, id: &MessageId) -> Option<&Stood> {
        self.stood.get(id)?.last().filter(|stood| stood.until > at)
    }

    pub(in crate::checkers) fn ends(&mut self, process: u64, exec: ExecId) {
        self.running.remove(&(process, exec));
    }

    pub(in crate::checkers) fn node_crashes(&mut self, process: u64) {
        self.running.retain(|(of, _), _| *of != process);
    }

    pub(in crate::checkers) fn backed_up(&mut self) {
        self.backup = self.stood.clone();
    }

    pub(in crate::checkers) fn rolled_back(&mut self) {
        self.stood = std::mem::take(&mut self.backup);
    }

    pub(in crate::checkers) fn lost(&mut self) {
        (self.stood, self.backup) = (BTreeMap::new(), BTreeMap::new());
    }
}

impl Checkers {
    /// The store has a backup.
    pub fn store_backed_up(&mut self) {
        self.ids.backed_up();
    }

    pub(in crate::checkers) fn ids_are_told(
        &mut self,
        process: u64,
        op: OpId,
        outcome: &StoreOutcome,
    ) {
        if matches!(outcome, StoreOutcome::Failed | StoreOutcome::Unknown) {
            return;
        }
        let Some(id) = self.ids.asked.remove(&(process, op)) else { return };
        match outcome {
            StoreOutcome::UnusedId => drop(self.ids.unused.insert((process, id))),
            StoreOutcome::TooManyIds => self.sometimes.count("too many ids"),
            _ => {}
        }
    }

    /// Where an id is said to be unused, there is room for it: its principal has fewer than it may,
    /// of all that there may be, and of what is left of these a part that is no larger. Where it is
    /// said that there are too many, its principal has some, or there is no room for anybody.
    pub(in crate::checkers) fn an_unused_id_finds_room(
        &mut self,
        at: Now,
        body: &StoreOp,
        outcome: &StoreOutcome,
    ) {
        let StoreOp::FindId { id, max_per_principal, .. } = body else { return };
        let (most, all) = (u64::from(*max_per_principal).min(self.most_ids), self.most_ids);
        let (mine, taken) = self.ids.in_use(at, &id.principal);
        let (left, told) = (all.saturating_sub(taken), || {
            format!("{id:?}: {outcome:?} with {mine} of {most} and {taken} of {all}")
        });
        match outcome {
            StoreOutcome::UnusedId => {
                let fair = mine == 0 || mine * all < most * left;
                self.require(left > 0 && fair, Rule::BoundsAreKept, told);
            }
            StoreOutcome::TooManyIds => {
                self.require(left == 0 || mine > 0, Rule::NewcomersFindRoom, told);
            }
            _ => {}
        }
    }

    /// The id of a command, and which body it came with.
    fn id_of(&self, key: (LeaseId, u64)) -> Option<(MessageId, u64)> {
        let call = self.calls.get(self.sent.get(&key)?)?;
        let (message, text) = call.id.clone()?;
        let principal = self.leases.get(&key.0)?.user.as_str().into();
        Some((MessageId { principal, message, text: text.into() }, call.written))
    }

    /// A handler begins only under an id of which its node knows that it is unused, and while no
    /// other one of the same process runs under it.
    pub(in crate::checkers) fn a_handler_runs_under_an_unused_id(
        &mut self,
        process: u64,
        exec: ExecId,
        key: (LeaseId, u64),
        id: Option<&MessageId>,
    ) {
        let own = self.id_of(key).map(|(id, _)| id);
        self.require(own.as_ref() == id, Rule::RunsUnderUnusedId, || {
            format!("{key:?} runs as {id:?} and is {own:?}")
        });
        let Some(id) = id else { return };
        let told = self.ids.unused.remove(&(process, id.clone()));
        self.require(told, Rule::RunsUnderUnusedId, || format!("{key:?}: {id:?}"));
        let twice = self.ids.running.iter().any(|((of, _), other)| *of == process && other == id);
        self.require(!twice, Rule::OneRunPerId, || format!("{key:?}: {id:?} runs already"));
        self.ids.running.insert((process, exec), id.clone());
    }

    /// A record is written that no handler has made: of an id that has its outcome, or had it when
    /// its node was told, however long the store was away since. Whether it is.
    pub(super) fn a_record_repeats_its_id(
        &mut self,
        process: u64,
        key: (LeaseId, u64),
        record: &Record,
    ) -> bool {
        let outcome = &record.outcome;
        if self.was_said(process, key, outcome) {
            return false;
        }
        let Some((id, written)) = self.id_of(key) else { return false };
        let mut stood = self.ids.stood.get(&id).into_iter().flatten();
        let told = stood.any(|stood| stood.tells(written) == *outcome);
        let repeats = told && record.publishes.is_empty();
        if repeats {
            self.sometimes.count(match outcome.failure() {
                Some(FailureCode::IdReused) => "id reused",
                _ => "repeated under its id",
            });
        }
        repeats
    }

    /// What a handler has made under an id that is in use is not written.
    pub(super) fn an_id_has_one_outcome(&mut self, at: Now, key: (LeaseId, u64), record: &Record) {
        let Some((id, written)) = self.id_of(key) else { return };
        let outcome = &record.outcome;
        if let Some(stood) = self.ids.stands_for(at, &id) {
            let told = stood.tells(written);
            // What expired before its id was looked up has no part in it.
            return self.require(*outcome == Outcome::Expired, Rule::IdHasOneOutcome, || {
                format!("{key:?}: {id:?} stands for {told:?}, and is committed as {outcome:?}")
            });
        }
        if stands(outcome) {
            let until = at.after(self.id_kept);
            let stood = Stood { written, outcome: outcome.clone(), until };
            self.ids.stood.entry(id).or_default().push(stood);
        }
    }

    /// The store says that an id was used.
    pub(super) fn an_id_is_used(&mut self, at: Now, key: (LeaseId, u64), outcome: &Outcome) {
        let told = self
            .id_of(key)
            .and_then(|(id, written)| Some(self.ids.stands_for(at, &id)?.tells(written)));
        self.require(told.as_ref() == Some(outcome), Rule::IdHasOneOutcome, || {
            format!("{key:?} is told {outcome:?}, its id stands for {told:?}")
        });
    }
}

/// What everybody is told who asks under the same id.
fn stands(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Ok(_)) || outcome.failure() == Some(FailureCode::Error)
}

/// For how long the messages of a plan keep their ids.
pub(in crate::checkers) fn kept(config: &steadfast::session::node::NodeConfig) -> Duration {
    config.messages().iter().find_map(|spec| spec.ids()).map_or(Duration::ZERO, |ids| ids.keep())
}
