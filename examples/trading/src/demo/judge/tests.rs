//! The judge before planted faults: it finds each of them, and nothing where there is none.

use super::*;
use crate::protocol::{
    AccountId, AccountState, CancelOrder, Order, OrderNumber, PlaceOrder, Rejection, RequestId,
    Side, Symbol,
};

fn id(name: &str) -> RequestId {
    RequestId(name.into())
}

fn acme() -> Symbol {
    Symbol("ACME".into())
}

fn place() -> Request {
    let (order, symbol, side) = (id("a"), acme(), Side::Buy);
    Request::Place(PlaceOrder { order, symbol, side, price: Price(10), quantity: 5 })
}

fn cancel() -> Request {
    Request::Cancel(CancelOrder { request: id("r"), order: id("a") })
}

fn report(number: u64, execution: Execution, open: bool) -> Item {
    let (symbol, side, price, quantity, filled) = (acme(), Side::Buy, Price(10), 5, 0);
    let (id, number, account) = (id("a"), OrderNumber(1), (number, AccountId("ada".into())));
    let order = Order { id, number, symbol, side, price, quantity, filled, open };
    let (number, account) = account;
    Item::Report(ExecutionReport { id: ReportId(number), account, execution, order })
}

/// Ada places an order and takes it back, and is told so.
fn honest() -> (Ledger, Records) {
    let mut ledger = Ledger::default();
    for (request, told) in [(place(), 1), (cancel(), 2)] {
        ledger.asking("ada", &request);
        ledger.told("ada", &request, Outcome::Done(ReportId(told)));
    }
    ledger.followed("ada", report(1, Execution::Placed, true));
    ledger.followed("ada", report(2, Execution::Canceled, false));
    ledger.shown(Depth { symbol: acme(), version: 2, bids: vec![], asks: vec![] });
    let row = |id, execution: &str| {
        let execution = execution.to_owned();
        ReportRow { id, number: 1, execution, quantity: 5, filled: 0 }
    };
    let order = OrderRow {
        number: 1,
        account: "ada".into(),
        id: "a".into(),
        symbol: "ACME".into(),
        side: "buy".into(),
        price: 10,
        quantity: 5,
        filled: 0,
        open: false,
    };
    let reports = vec![row(1, "placed"), row(2, "canceled")];
    (ledger, Records { orders: vec![order], reports, versions: vec![("ACME".into(), 2)] })
}

/// The verdict after something was changed.
fn after(change: impl FnOnce(&mut Ledger, &mut Records)) -> Verdict {
    let (mut ledger, mut records) = honest();
    change(&mut ledger, &mut records);
    judge(&ledger, &records)
}

fn ada(ledger: &mut Ledger) -> &mut Noted {
    ledger.accounts.get_mut("ada").unwrap()
}

#[test]
fn where_nothing_is_wrong_nothing_is_found() {
    let verdict = after(|_, _| {});
    assert!(verdict.kept(), "{verdict:?}");
    assert_eq!((verdict.orders, verdict.executed_once, verdict.unknown), (1, 1, 0));
}

#[test]
fn an_order_that_was_reported_done_and_is_not_there_is_lost() {
    let verdict = after(|_, records| {
        records.orders.clear();
        records.reports.clear();
    });
    assert!(verdict.lost >= 1 && verdict.executed_once == 0, "{verdict:?}");
}

#[test]
fn a_request_without_an_outcome_is_lost() {
    let verdict = after(|ledger, _| ledger.asking("ada", &cancel()));
    assert!(verdict.lost == 1, "{verdict:?}");
}

#[test]
fn a_request_that_took_effect_twice_is_doubled() {
    let verdict = after(|ledger, records| {
        records.reports.push(ReportRow { id: 3, ..records.reports[1].clone() });
        ledger.followed("ada", report(3, Execution::Canceled, false));
    });
    assert_eq!((verdict.lost, verdict.doubled), (0, 1), "{verdict:?}");
}

#[test]
fn an_order_that_was_turned_down_and_is_there_is_doubled() {
    let verdict = after(|ledger, _| {
        ledger.told("ada", &place(), Outcome::Rejected(Rejection::UnknownSymbol));
    });
    assert_eq!((verdict.lost, verdict.doubled), (0, 1), "{verdict:?}");
}

#[test]
fn an_order_that_nobody_placed_is_doubled() {
    let verdict = after(|ledger, _| {
        ada(ledger).asked.remove(&id("a"));
    });
    assert!(verdict.doubled >= 1, "{verdict:?}");
}

#[test]
fn a_report_that_was_not_told_is_lost_unless_a_state_contains_it() {
    let verdict = after(|ledger, _| {
        ada(ledger).journal.pop();
    });
    assert_eq!((verdict.lost, verdict.doubled), (1, 0), "{verdict:?}");
    let verdict = after(|ledger, _| {
        let (account, upto) = (AccountId("ada".into()), ReportId(2));
        *ada(ledger).journal.last_mut().unwrap() =
            Item::State(AccountState { account, upto, orders: vec![] });
    });
    assert!(verdict.kept(), "{verdict:?}");
}

#[test]
fn a_report_that_is_told_again_or_too_late_is_doubled() {
    let again = after(|ledger, _| {
        ledger.followed("ada", report(2, Execution::Canceled, false));
    });
    assert_eq!((again.lost, again.doubled), (0, 1), "{again:?}");
    let late = after(|ledger, _| ada(ledger).journal.reverse());
    assert_eq!((late.lost, late.doubled), (0, 1), "{late:?}");
}

#[test]
fn a_report_that_the_file_does_not_hold_is_lost() {
    let verdict = after(|ledger, records| {
        records.reports.pop();
        records.orders[0].open = true;
        ada(ledger).asked.remove(&id("r"));
        ledger.shown(Depth {
            symbol: acme(),
            version: 2,
            bids: vec![Level { price: Price(10), quantity: 5 }],
            asks: vec![],
        });
    });
    assert_eq!((verdict.lost, verdict.doubled), (1, 0), "{verdict:?}");
}

#[test]
fn a_row_that_is_not_what_its_reports_say_is_a_fault() {
    assert!(!after(|_, records| records.orders[0].filled = 3).kept());
    assert!(!after(|_, records| records.reports[1].execution = "filled".into()).kept());
}

#[test]
fn a_screen_that_shows_another_book_than_the_last_is_a_fault() {
    let verdict = after(|_, records| records.versions[0].1 = 3);
    assert_eq!(verdict.lost, 1, "{verdict:?}");
    let verdict = after(|ledger, _| {
        let bids = vec![Level { price: Price(10), quantity: 5 }];
        ledger.shown(Depth { symbol: acme(), version: 2, bids, asks: vec![] });
    });
    assert_eq!(verdict.lost, 1, "{verdict:?}");
}

#[test]
fn what_the_screen_was_spared_is_counted() {
    let mut ledger = Ledger::default();
    for version in [3, 4, 4, 9] {
        ledger.shown(Depth { symbol: acme(), version, bids: vec![], asks: vec![] });
    }
    assert_eq!(ledger.conflated(), 4);
}
