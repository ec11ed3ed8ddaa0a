//! What the screen knows: a market, one's open orders, and what has happened lately. It knows each
//! report and trade once, however often it hears of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use steadfast::client::Status;

use super::typed::shown;
use crate::orders::{Outcome, Request};
use crate::protocol::{
    AccountState, Depth, Execution, ExecutionReport, MarketState, Order, OrderNumber, ReportId,
    RequestId, Side, Symbol, Trade,
};

/// How many of the latest trades are shown, and how many lines of what has happened.
const LATEST: usize = 12;

/// Everything that is shown.
pub(super) struct Model {
    pub(super) name: String,
    pub(super) symbol: Symbol,
    pub(super) depth: Option<Depth>,
    /// The latest first.
    pub(super) trades: VecDeque<Trade>,
    pub(super) orders: BTreeMap<OrderNumber, Order>,
    /// What has happened, the latest first.
    pub(super) said: VecDeque<String>,
    pub(super) input: String,
    pub(super) status: Status,
    /// How long the last request took.
    pub(super) took: Option<Duration>,
    upto: ReportId,
}

impl Model {
    pub(super) fn new(name: String, symbol: Symbol, status: Status) -> Self {
        Self {
            name,
            symbol,
            depth: None,
            trades: VecDeque::new(),
            orders: BTreeMap::new(),
            said: VecDeque::new(),
            input: String::new(),
            status,
            took: None,
            upto: ReportId(0),
        }
    }

    /// The account as it stands; whatever was known is forgotten.
    pub(super) fn account(&mut self, AccountState { upto, orders, .. }: AccountState) {
        self.upto = upto;
        self.orders = orders.into_iter().map(|order| (order.number, order)).collect();
    }

    pub(super) fn report(&mut self, report: ExecutionReport) {
        if report.id <= self.upto {
            return;
        }
        self.upto = report.id;
        let ExecutionReport { execution, order, .. } = report;
        let side = side(order.side);
        self.say(match execution {
            Execution::Placed => format!(
                "{} placed: {side} {} {} at {}",
                order.number.0,
                order.quantity,
                order.symbol.0,
                shown(order.price)
            ),
            Execution::Filled { price, quantity } => format!(
                "{} filled: {side} {quantity} at {}, {} of {}",
                order.number.0,
                shown(price),
                order.filled,
                order.quantity
            ),
            Execution::Canceled => format!("{} canceled", order.number.0),
            Execution::Replaced => {
                format!("{} replaced: {} at {}", order.number.0, order.quantity, shown(order.price))
            }
        });
        if order.open {
            self.orders.insert(order.number, order);
        } else {
            self.orders.remove(&order.number);
        }
    }

    pub(super) fn market(&mut self, MarketState { depth, trades, .. }: MarketState) {
        self.depth = Some(depth);
        self.trades = trades.into_iter().rev().take(LATEST).collect();
    }

    /// The latest prices. What was on its way when a state came may be older than that.
    pub(super) fn depth(&mut self, depth: Depth) {
        if self.depth.as_ref().is_none_or(|known| known.version <= depth.version) {
            self.depth = Some(depth);
        }
    }

    pub(super) fn trade(&mut self, trade: Trade) {
        if self.trades.front().is_none_or(|known| known.id < trade.id) {
            self.trades.push_front(trade);
            self.trades.truncate(LATEST);
        }
    }

    /// A request has ended. What it has done is told by reports.
    pub(super) fn told(&mut self, request: &Request, outcome: &Outcome, took: Duration) {
        self.took = Some(took);
        let what = match request {
            Request::Place(_) => "the order",
            Request::Cancel(_) => "the cancel",
            Request::Replace(_) => "the replace",
        };
        match outcome {
            Outcome::Done(_) => {}
            Outcome::Rejected(reason) => self.say(format!("{what} was turned down: {reason}")),
            Outcome::Failed(reason) => self.say(format!("{what} was not executed: {reason}")),
            Outcome::Unknown => self.say(format!("{what} may have been executed, or not")),
        }
    }

    pub(super) fn say(&mut self, what: String) {
        self.said.push_front(what);
        self.said.truncate(LATEST);
    }

    /// The client's name for an open order.
    pub(super) fn named(&self, number: OrderNumber) -> Option<RequestId> {
        self.orders.get(&number).map(|order| order.id.clone())
    }
}

pub(super) const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}
