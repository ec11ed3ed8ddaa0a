//! The screen as somebody sees it: what it knows, drawn into a buffer.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::model::Model;
use super::view;
use crate::orders::{Outcome, Request, client};
use crate::protocol::{
    AccountId, AccountState, CancelOrder, Depth, Execution, ExecutionReport, Level, MarketState,
    Order, OrderNumber, Price, Rejection, ReportId, RequestId, Side, Symbol, Trade,
};

fn acme() -> Symbol {
    Symbol("ACME".into())
}

fn model() -> Model {
    // It has nobody to talk to, which is what its status says.
    let client = client("ws://127.0.0.1:9".into(), "ada".into()).connect_lazily().unwrap();
    Model::new("ada".into(), acme(), client.status())
}

fn drawn(model: &Model) -> String {
    let mut terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
    terminal.draw(|frame| view::draw(frame, model)).unwrap();
    let cells = terminal.backend().buffer().content();
    let lines = cells.chunks(100).map(|line| line.iter().map(|cell| cell.symbol()).collect());
    lines.collect::<Vec<String>>().join("\n")
}

fn order(filled: u32, open: bool) -> Order {
    let (id, number, side) = (RequestId("a".into()), OrderNumber(7), Side::Buy);
    let (price, quantity) = (Price(9_950), 10);
    Order { id, number, symbol: acme(), side, price, quantity, filled, open }
}

fn report(id: u64, execution: Execution, order: Order) -> ExecutionReport {
    ExecutionReport { id: ReportId(id), account: AccountId("ada".into()), execution, order }
}

fn depth(version: u64, bid: u32) -> Depth {
    let level = |price| vec![Level { price: Price(price), quantity: 40 }];
    Depth { symbol: acme(), version, bids: level(bid), asks: level(10_150) }
}

#[tokio::test]
async fn book_orders_trades_connection_and_input_are_on_it() {
    let mut model = model();
    let trade = Trade {
        symbol: acme(),
        id: ReportId(3),
        price: Price(9_999),
        quantity: 6,
        taker: Side::Sell,
    };
    let (symbol, trades) = (acme(), vec![trade]);
    model.market(MarketState { symbol, depth: depth(5, 9_950), trades });
    model.report(report(4, Execution::Placed, order(0, true)));
    let filled = Execution::Filled { price: Price(9_950), quantity: 4 };
    model.report(report(6, filled, order(4, true)));
    model.input = "buy 1".into();
    let drawn = drawn(&model);
    for wanted in [
        "ada · Connecting.",
        "ACME · 5 changes",
        "101.50",
        "6 at 99.99",
        "Your orders · 1 open",
        "4/10",
        "7 placed: buy 10 ACME at 99.50",
        "7 filled: buy 4 at 99.50, 4 of 10",
        "> buy 1",
    ] {
        assert!(drawn.contains(wanted), "`{wanted}` is not on\n{drawn}");
    }
}

#[tokio::test]
async fn a_report_that_the_state_contains_is_not_told_again() {
    let mut model = model();
    let (account, upto) = (AccountId("ada".into()), ReportId(6));
    model.account(AccountState { account, upto, orders: vec![order(4, true)] });
    model.report(report(4, Execution::Placed, order(0, true)));
    assert_eq!(model.orders[&OrderNumber(7)].filled, 4);
    assert!(model.said.is_empty());
    model.report(report(8, Execution::Canceled, order(4, false)));
    assert!(model.orders.is_empty());
}

#[tokio::test]
async fn prices_never_go_back_to_older_ones() {
    let mut model = model();
    model.depth(depth(5, 9_950));
    model.depth(depth(4, 9_900));
    assert_eq!(model.depth.as_ref().map(|depth| depth.version), Some(5));
}

#[tokio::test]
async fn what_is_turned_down_is_said_with_its_reason() {
    let mut model = model();
    let (request, order) = (RequestId("r".into()), RequestId("a".into()));
    let request = Request::Cancel(CancelOrder { request, order });
    model.told(&request, &Outcome::Rejected(Rejection::NotOpen), std::time::Duration::ZERO);
    let said = model.said.front().cloned().unwrap_or_default();
    assert!(said.contains("the cancel was turned down: The account has no open order"), "{said}");
}
