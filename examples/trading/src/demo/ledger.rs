//! The demo's book-keeping: what each client asked for and was told, and what it was shown. How
//! that compares with the exchange's records is said in `judge.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::orders::{Outcome, Request};
use crate::protocol::{AccountState, Depth, ExecutionReport, RequestId, Symbol};

/// The notes of all clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Ledger>>);

impl Notes {
    pub(crate) fn open(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has been noted.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) accounts: BTreeMap<String, Noted>,
    pub(crate) screen: BTreeMap<Symbol, Shown>,
}

/// The notes about one account.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// What was asked for, and how it ended, if it has.
    pub(crate) asked: BTreeMap<RequestId, (Request, Option<Outcome>)>,
    /// What its subscription yielded.
    pub(crate) journal: Vec<Item>,
}

/// One item of an account's subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Report(ExecutionReport),
    State(AccountState),
}

/// What the screen was shown of one symbol.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) depth: Option<Depth>,
    /// Changes of the book that it was not shown, because there was a later one.
    pub(crate) conflated: u64,
}

impl Ledger {
    pub(crate) fn asking(&mut self, account: &str, request: &Request) {
        let noted = self.accounts.entry(account.to_owned()).or_default();
        noted.asked.insert(request.id().clone(), (request.clone(), None));
    }

    pub(crate) fn told(&mut self, account: &str, request: &Request, told: Outcome) {
        let noted = self.accounts.entry(account.to_owned()).or_default();
        noted.asked.insert(request.id().clone(), (request.clone(), Some(told)));
    }

    pub(crate) fn followed(&mut self, account: &str, item: Item) {
        self.accounts.entry(account.to_owned()).or_default().journal.push(item);
    }

    pub(crate) fn shown(&mut self, depth: Depth) {
        let shown = self.screen.entry(depth.symbol.clone()).or_default();
        let before = shown.depth.as_ref().map_or(depth.version, |before| before.version);
        shown.conflated += depth.version.saturating_sub(before + 1);
        shown.depth = Some(depth);
    }

    /// How many requests there were, how many have no outcome, and how many reports were seen.
    pub(crate) fn progress(&self) -> (usize, usize, usize) {
        let asked = self.accounts.values().flat_map(|noted| noted.asked.values());
        let waiting = asked.clone().filter(|(_, told)| told.is_none()).count();
        let seen = self.accounts.values().map(|noted| noted.journal.len()).sum();
        (asked.count(), waiting, seen)
    }

    /// How many changes of the books the screen was spared.
    pub(crate) fn conflated(&self) -> u64 {
        self.screen.values().map(|shown| shown.conflated).sum()
    }
}
