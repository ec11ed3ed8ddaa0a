//! A group: operations that share one COMMIT. It is carried out, or undone as if it had never been;
//! what it is answered follows from how far it got.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::{Error, ErrorCode};

use steadfast::session::Now;
use steadfast::session::store::{DecisionId, StoreOp, StoreOutcome};

use super::decide::{Decider, Deciders, Stopped};
use super::kept::{Kept, Tables};
use super::ready::Ready;
use super::transaction::{begin, commit, concerns_all, undo, write_what_changed};
use crate::decisions::{Decisions, named_by};
use crate::space::Space;

/// How a group ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It is on the disk; what came of each operation, in order.
    Committed(Vec<StoreOutcome>),
    /// It certainly did not happen.
    Undone(Error),
    /// COMMIT failed: after a crash right now it may have happened.
    Unknown(Error),
}

/// How one attempt ended.
enum Attempt {
    Ended(Ended),
    /// It was undone because of one operation, and may succeed without it.
    Without(usize),
    /// It was undone by a decision of one operation, and may succeed without that.
    Barring(usize, DecisionId),
    /// It can't be committed, because of what a decision has done.
    Unfit,
}

/// An operation, where the decisions are that it waits for, and room for what comes of it.
pub(super) type Operation<'a> = (&'a StoreOp, Option<&'a Decisions>, &'a Space);

/// Operations that are carried out together, as often as it takes.
struct Group<'a> {
    ops: &'a [Operation<'a>],
    deciders: &'a Deciders,
    left_out: Vec<bool>,
    /// Decisions that are not made, by the place of their operation.
    barred: BTreeMap<usize, BTreeSet<DecisionId>>,
}

static NONE: BTreeSet<DecisionId> = BTreeSet::new();

/// Carries out operations in one transaction. An operation that SQLite refuses, or that panics, is
/// answered `Failed`, and the others are carried out again without it; a decision that ends the
/// transaction is barred from the next one. So what runs here is run as often as it takes, until
/// its COMMIT has succeeded.
pub(super) fn run(
    db: &Ready<'_>,
    kept: &mut Kept,
    now: Now,
    ops: &[Operation<'_>],
    deciders: &Deciders,
) -> Ended {
    let left_out = vec![false; ops.len()];
    let mut group = Group { ops, deciders, left_out, barred: BTreeMap::new() };
    match group.run(db, kept, now, 0..ops.len()) {
        Some(ended) => ended,
        None => Ended::Committed(group.split(db, kept, now, 0..ops.len())),
    }
}

impl Group<'_> {
    /// How some of the operations end together; `None` if they can't because of a decision that
    /// nobody has named.
    fn run(
        &mut self,
        db: &Ready<'_>,
        kept: &mut Kept,
        now: Now,
        range: Range<usize>,
    ) -> Option<Ended> {
        loop {
            match self.attempt(db, kept, now, range.clone()) {
                Attempt::Ended(ended) => return Some(ended),
                Attempt::Unfit => return None,
                Attempt::Without(index) => {
                    debug_assert!(!self.left_out[index], "what was left out did not run");
                    self.left_out[index] = true;
                }
                Attempt::Barring(index, id) => {
                    let new = self.barred.entry(index).or_default().insert(id);
                    debug_assert!(new, "what was barred did not run");
                }
            }
        }
    }

    /// Finds the operation whose decision can't be committed: those before it and behind it have
    /// transactions of their own.
    fn split(
        &mut self,
        db: &Ready<'_>,
        kept: &mut Kept,
        now: Now,
        range: Range<usize>,
    ) -> Vec<StoreOutcome> {
        if range.len() == 1 {
            return self.alone(db, kept, now, range);
        }
        let middle = range.start + range.len() / 2;
        let mut outcomes = Vec::with_capacity(range.len());
        for half in [range.start..middle, middle..range.end] {
            match self.run(db, kept, now, half.clone()) {
                Some(ended) => outcomes.extend(ended.outcomes(half.len())),
                None => outcomes.extend(self.split(db, kept, now, half)),
            }
        }
        outcomes
    }

    /// An operation with a decision that can't be committed: without each of them in turn, and if
    /// that is not enough without any.
    fn alone(
        &mut self,
        db: &Ready<'_>,
        kept: &mut Kept,
        now: Now,
        range: Range<usize>,
    ) -> Vec<StoreOutcome> {
        let index = range.start;
        let barred = self.barred.get(&index).cloned().unwrap_or_default();
        let (op, ..) = self.ops[index];
        let ids: BTreeSet<DecisionId> = named_by(op).filter(|id| !barred.contains(id)).collect();
        let each = ids.iter().map(|id| BTreeSet::from([*id]));
        for more in each.chain([ids.clone()]) {
            self.barred.insert(index, &barred | &more);
            if let Some(ended) = self.run(db, kept, now, range.clone()) {
                return ended.outcomes(1);
            }
        }
        // Without a decision it is as any other operation: it is tried again later.
        vec![StoreOutcome::Failed]
    }

    fn attempt(&self, db: &Ready<'_>, kept: &mut Kept, now: Now, range: Range<usize>) -> Attempt {
        let changes = db.total_changes();
        if let Err(error) = begin(db, kept, now) {
            undo(db, kept);
            return Attempt::Ended(Ended::Undone(error));
        }
        let mut outcomes = Vec::with_capacity(range.len());
        for index in range.clone() {
            if self.left_out[index] {
                outcomes.push(StoreOutcome::Failed);
                continue;
            }
            match self.carry_out(db, kept, now, index) {
                Ok(outcome) => outcomes.push(outcome),
                Err(attempt) => return attempt,
            }
        }
        let mut tables = Tables { db, kept, now };
        if let Err(error) = write_what_changed(&mut tables, changes) {
            undo(db, kept);
            return Attempt::Ended(Ended::Undone(error));
        }
        match commit(db, kept, now) {
            Ok(()) => Attempt::Ended(Ended::Committed(outcomes)),
            // A constraint that is looked at only now. None of the store's is.
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
                    && self.ops[range].iter().any(|(op, ..)| Decisions::any_named_by(op)) =>
            {
                tracing::error!(%error, "what a command has done can't be committed");
                Attempt::Unfit
            }
            Err(error) => Attempt::Ended(Ended::Unknown(error)),
        }
    }

    /// One operation. If it can't be carried out, all that was done is undone.
    fn carry_out(
        &self,
        db: &Ready<'_>,
        kept: &mut Kept,
        now: Now,
        index: usize,
    ) -> Result<StoreOutcome, Attempt> {
        let (op, given, space) = self.ops[index];
        let barred = self.barred.get(&index).unwrap_or(&NONE);
        let decider = Decider { all: self.deciders, given, barred, space };
        let mut tables = Tables { db, kept, now };
        // What a panic leaves behind is undone with the group.
        let stopped = match catch_unwind(AssertUnwindSafe(|| tables.apply(op, decider))) {
            Ok(Ok(outcome)) => return Ok(outcome),
            Ok(Err(stopped)) => stopped,
            Err(_) => {
                undo(db, kept);
                return Err(Attempt::Without(index));
            }
        };
        let group = matches!(&stopped, Stopped::Sql(error) if concerns_all(db, error));
        undo(db, kept);
        Err(match stopped {
            Stopped::EndedBy(id) => {
                tracing::error!("a command has ended the transaction that it shares with others");
                Attempt::Barring(index, id)
            }
            Stopped::Sql(error) | Stopped::NotNow(error) => {
                tracing::error!(%error, "SQLite refused an operation");
                match group {
                    true => Attempt::Ended(Ended::Undone(error)),
                    false => Attempt::Without(index),
                }
            }
        })
    }
}

impl Ended {
    /// What came of each of so many operations.
    fn outcomes(self, operations: usize) -> Vec<StoreOutcome> {
        match self {
            Self::Committed(outcomes) => outcomes,
            Self::Undone(_) => vec![StoreOutcome::Failed; operations],
            Self::Unknown(_) => vec![StoreOutcome::Unknown; operations],
        }
    }
}
