//! The verdict: what the clients noted, beside what the exchange's file holds. It looks at nothing
//! else, so a fault of the protocol or of the server can't hide here.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Item, Ledger, Noted};
use super::records::{OrderRow, Records, ReportRow};
use crate::orders::{Outcome, Request};
use crate::protocol::{Depth, Execution, ExecutionReport, Level, Price, ReportId};
use crate::rows::LEVELS;

/// What it all comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Orders that clients placed.
    pub(crate) orders: u64,
    /// Of these, those that are in the file once, as their clients were told.
    pub(crate) executed_once: u64,
    /// Requests that were turned down, or failed, as their clients were told.
    pub(crate) turned_down: u64,
    /// Requests without an outcome, or whose effect is not in the file; reports that their account
    /// was not told, or otherwise than the file has it; prices on the screen that are not the
    /// book's.
    pub(crate) lost: u64,
    /// Requests with more than one effect, or with one although their client was told that there
    /// is none; reports that were told again, or out of their order.
    pub(crate) doubled: u64,
    /// Requests whose outcome nobody could know.
    pub(crate) unknown: u64,
    /// What is wrong with the first of them, and with the file in itself.
    pub(crate) faults: Vec<String>,
}

impl Verdict {
    /// Whether the promise was kept.
    pub(crate) fn kept(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.faults.is_empty()
    }

    fn lose(&mut self, what: String) {
        self.lost += 1;
        self.faults.push(format!("lost: {what}"));
    }

    fn double(&mut self, what: String) {
        self.doubled += 1;
        self.faults.push(format!("doubled: {what}"));
    }
}

/// The file, so that one finds one's way in it.
struct Index<'a> {
    orders: BTreeMap<(&'a str, &'a str), &'a OrderRow>,
    /// By the order's number, as they came.
    reports: BTreeMap<u64, Vec<&'a ReportRow>>,
}

impl<'a> Index<'a> {
    fn of(records: &'a Records) -> Self {
        let orders = records.orders.iter();
        let orders = orders.map(|row| ((row.account.as_str(), row.id.as_str()), row)).collect();
        let mut reports: BTreeMap<u64, Vec<&ReportRow>> = BTreeMap::new();
        for report in &records.reports {
            reports.entry(report.number).or_default().push(report);
        }
        Self { orders, reports }
    }

    fn reports(&self, number: u64) -> &[&'a ReportRow] {
        self.reports.get(&number).map_or(&[], Vec::as_slice)
    }
}

/// Judges everything.
pub(crate) fn judge(ledger: &Ledger, records: &Records) -> Verdict {
    let (mut verdict, index) = (Verdict::default(), Index::of(records));
    judge_file(&mut verdict, records, &index);
    for (account, noted) in &ledger.accounts {
        judge_requests(&mut verdict, account, noted, &index);
        judge_journal(&mut verdict, account, noted, records);
    }
    let asked = |row: &&OrderRow| {
        let noted = ledger.accounts.get(&row.account);
        noted.is_some_and(|noted| noted.asked.keys().any(|id| id.0 == row.id))
    };
    for row in records.orders.iter().filter(|row| !asked(row)) {
        verdict.double(format!("nobody has placed {}'s order {}", row.account, row.id));
    }
    judge_screen(&mut verdict, ledger, records);
    verdict
}

/// Whether the file agrees with itself: each order is what its reports made of it, and as much was
/// bought as was sold.
fn judge_file(verdict: &mut Verdict, records: &Records, index: &Index<'_>) {
    let mut balance: BTreeMap<&str, i64> = BTreeMap::new();
    for row in &records.orders {
        let reports = index.reports(row.number);
        let of = |execution: &'static str| {
            reports.iter().filter(move |report| report.execution == execution)
        };
        let traded: u32 = of("filled").map(|report| report.quantity).sum();
        let open = of("canceled").count() == 0 && row.filled < row.quantity;
        let last = reports.last().map(|report| report.filled);
        if traded != row.filled || open != row.open || last != Some(row.filled) {
            verdict
                .faults
                .push(format!("the row of an order is not what its reports say: {row:?}"));
        }
        let signed = i64::from(traded) * if row.side == "buy" { 1 } else { -1 };
        *balance.entry(&row.symbol).or_default() += signed;
    }
    for (symbol, balance) in balance.into_iter().filter(|(_, balance)| *balance != 0) {
        verdict.faults.push(format!("of {symbol}, {balance} more were bought than sold"));
    }
}

/// Whether what an account was told of its requests is what the file has of them.
fn judge_requests(verdict: &mut Verdict, account: &str, noted: &Noted, index: &Index<'_>) {
    // How many cancels and replaces of each order were done, as the account was told.
    let mut done: BTreeMap<(&str, &'static str), u64> = BTreeMap::new();
    for (request, told) in noted.asked.values() {
        let (order, execution) = match request {
            Request::Place(new) => (&new.order, "placed"),
            Request::Cancel(asked) => (&asked.order, "canceled"),
            Request::Replace(asked) => (&asked.order, "replaced"),
        };
        verdict.orders += u64::from(execution == "placed");
        let count = done.entry((&order.0, execution)).or_default();
        match told {
            Some(Outcome::Done(ReportId(id))) => {
                *count += 1;
                let row = index.orders.get(&(account, &order.0));
                let reports = row.map_or(&[][..], |row| index.reports(row.number));
                let first = reports.iter().find(|report| report.id == *id);
                if first.is_none_or(|report| report.execution != execution) {
                    verdict.lose(format!("{account}'s {request:?}, told {id}"));
                } else if execution == "placed" {
                    verdict.executed_once += 1;
                }
            }
            Some(Outcome::Rejected(_) | Outcome::Failed(_)) => verdict.turned_down += 1,
            Some(Outcome::Unknown) => verdict.unknown += 1,
            None => verdict.lose(format!("{account}'s {request:?} has no outcome")),
        }
    }
    for ((order, execution), told) in done {
        let row = index.orders.get(&(account, order));
        let reports = row.map_or(&[][..], |row| index.reports(row.number));
        let there = reports.iter().filter(|report| report.execution == execution).count() as u64;
        if there > told {
            verdict
                .double(format!("{account}'s {order} was {execution} {there} times, told {told}"));
        }
    }
}

/// Whether an account was told each report once, in order, and as the file has it. What a state
/// contains that came after a gap need not be told again.
fn judge_journal(verdict: &mut Verdict, account: &str, noted: &Noted, records: &Records) {
    let orders = records.orders.iter().filter(|row| row.account == account);
    let orders: BTreeMap<u64, &OrderRow> = orders.map(|row| (row.number, row)).collect();
    let rows: BTreeMap<u64, &ReportRow> = records
        .reports
        .iter()
        .filter(|report| orders.contains_key(&report.number))
        .map(|report| (report.id, report))
        .collect();
    let (mut missing, mut told, mut contained) = (rows.clone(), BTreeSet::new(), 0);
    for item in &noted.journal {
        match item {
            Item::State(state) => contained = contained.max(state.upto.0),
            // A state may contain more than its position says, and such a report may follow it.
            Item::Report(report) if report.id.0 <= contained && !told.contains(&report.id.0) => {}
            Item::Report(report) => {
                let ReportId(id) = report.id;
                if told.last().is_some_and(|last| *last >= id) {
                    verdict.double(format!("{account} was told report {id} again, or too late"));
                }
                told.insert(id);
                missing.remove(&id);
                let row = rows.get(&id);
                if !row.is_some_and(|row| is_told(row, report)) {
                    verdict.lose(format!("{account} was told {report:?}, the file has {row:?}"));
                }
            }
        }
    }
    for report in missing.values().filter(|report| report.id > contained) {
        verdict.lose(format!("{account} was not told {report:?}"));
    }
}

fn is_told(row: &ReportRow, told: &ExecutionReport) -> bool {
    let (execution, quantity) = match told.execution {
        Execution::Placed => ("placed", told.order.quantity),
        Execution::Filled { quantity, .. } => ("filled", quantity),
        Execution::Canceled => ("canceled", told.order.quantity),
        Execution::Replaced => ("replaced", told.order.quantity),
    };
    row.execution == execution
        && row.quantity == quantity
        && row.filled == told.order.filled
        && row.number == told.order.number.0
}

/// Whether the screen shows each book as it is at the end.
fn judge_screen(verdict: &mut Verdict, ledger: &Ledger, records: &Records) {
    for (symbol, version) in &records.versions {
        let shown = ledger.screen.iter().find(|(known, _)| known.0 == *symbol);
        let shown = shown.and_then(|(_, shown)| shown.depth.as_ref());
        if !shown.is_some_and(|depth| is_book(depth, *version, records)) {
            verdict.lose(format!("the screen shows {shown:?}, and {symbol} is at {version}"));
        }
    }
}

fn is_book(depth: &Depth, version: u64, records: &Records) -> bool {
    let levels = |side: &str| {
        let mut levels: BTreeMap<Price, u64> = BTreeMap::new();
        let open = records.orders.iter().filter(|row| row.open && row.symbol == depth.symbol.0);
        for row in open.filter(|row| row.side == side) {
            *levels.entry(Price(row.price)).or_default() += u64::from(row.quantity - row.filled);
        }
        levels.into_iter().map(|(price, quantity)| Level { price, quantity }).collect::<Vec<_>>()
    };
    let (mut bids, mut asks) = (levels("buy"), levels("sell"));
    bids.reverse();
    bids.truncate(LEVELS as usize);
    asks.truncate(LEVELS as usize);
    depth.version == version && depth.bids == bids && depth.asks == asks
}
