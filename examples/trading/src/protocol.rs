//! What the exchange and its clients say, in two enums, and why an order may be turned down, in a
//! third. How orders meet is said elsewhere.

use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;

/// What is traded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Symbol(pub String);

/// Whose orders they are: the name under which a client connects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountId(pub String);

/// A client's own name for something that it asks for. It is made before the first try, so whoever
/// asks again asks for the same thing. An order keeps the name under which it was placed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId(pub String);

/// The exchange's number of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OrderNumber(pub u64);

/// The number of an execution report. They grow over all accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReportId(pub u64);

/// A price in cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Price(pub u32);

/// Which side of the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Buys at its price, or lower.
    Buy,
    /// Sells at its price, or higher.
    Sell,
}

/// A new limit order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceOrder {
    /// The client's own name for it.
    pub order: RequestId,
    /// What is traded.
    pub symbol: Symbol,
    /// Whether to buy or to sell.
    pub side: Side,
    /// The limit.
    pub price: Price,
    /// How much.
    pub quantity: u32,
}

/// Takes back what is still open of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelOrder {
    /// The client's own name for this request.
    pub request: RequestId,
    /// Which order.
    pub order: RequestId,
}

/// Gives an order another price or quantity. It keeps its place in the queue if its price stays and
/// its quantity does not grow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaceOrder {
    /// The client's own name for this request.
    pub request: RequestId,
    /// Which order.
    pub order: RequestId,
    /// The new limit.
    pub price: Price,
    /// The new quantity, in which what has been filled counts.
    pub quantity: u32,
}

/// What has happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Execution {
    /// It was accepted.
    Placed,
    /// Some of it was traded, or all.
    Filled {
        /// At which price.
        price: Price,
        /// How much.
        quantity: u32,
    },
    /// What was open of it was taken back.
    Canceled,
    /// It has another price or quantity.
    Replaced,
}

/// One change of one order, told exactly once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionReport {
    /// Its number.
    pub id: ReportId,
    /// Whose order it is.
    pub account: AccountId,
    /// What has happened.
    pub execution: Execution,
    /// The order, after it.
    pub order: Order,
}

/// An order as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The client's own name for it.
    pub id: RequestId,
    /// The exchange's number.
    pub number: OrderNumber,
    /// What is traded.
    pub symbol: Symbol,
    /// Whether it buys or sells.
    pub side: Side,
    /// Its limit.
    pub price: Price,
    /// How much it is for.
    pub quantity: u32,
    /// How much of that was traded.
    pub filled: u32,
    /// Whether more may happen to it.
    pub open: bool,
}

/// An account as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountState {
    /// Whose.
    pub account: AccountId,
    /// Every report up to here is contained.
    pub upto: ReportId,
    /// The open orders, oldest first.
    pub orders: Vec<Order>,
}

/// Two orders have met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// What was traded.
    pub symbol: Symbol,
    /// The number of the report to whoever came last. They grow.
    pub id: ReportId,
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: u32,
    /// What whoever came last did.
    pub taker: Side,
}

/// What is open at one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The price.
    pub price: Price,
    /// How much.
    pub quantity: u64,
}

/// The best prices of a symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    /// Of what.
    pub symbol: Symbol,
    /// How often the book has changed so far.
    pub version: u64,
    /// What buyers offer, the best first.
    pub bids: Vec<Level>,
    /// What sellers ask, the best first.
    pub asks: Vec<Level>,
}

/// A symbol's market as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketState {
    /// Of what.
    pub symbol: Symbol,
    /// The best prices.
    pub depth: Depth,
    /// The latest trades, oldest first.
    pub trades: Vec<Trade>,
}

/// What a client may ask for. Each reply is the number of the first report that it has caused.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(
    client,
    protocol = "trading",
    version = "1.0",
    server = TradingEvent,
    error = Rejection,
    timeout = "10s",
    max_bytes = "1KiB"
)]
pub enum TradingCommand {
    /// Place a limit order.
    #[ws(request(reply = ReportId), id = order, keep = "24h")]
    Place(PlaceOrder),

    /// Take back what is open of an order.
    #[ws(request(reply = ReportId), id = request, keep = "24h")]
    Cancel(CancelOrder),

    /// Give an order another price or quantity.
    #[ws(request(reply = ReportId), id = request, keep = "24h")]
    Replace(ReplaceOrder),
}

/// What the exchange tells its clients.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(
    server,
    protocol = "trading",
    error = Rejection,
    topic(Account, key = account: AccountId, replay = 10_000, ttl = "7d"),
    topic(Market, key = symbol: Symbol, replay = 1_000, ttl = "1d"),
)]
pub enum TradingEvent {
    /// An order has changed.
    #[ws(event(Account))]
    ExecutionReport(ExecutionReport),

    /// The open orders.
    #[ws(snapshot(Account))]
    AccountState(AccountState),

    /// Two orders have met.
    #[ws(event(Market))]
    Trade(Trade),

    /// The best prices. A screen that is slow is given the latest ones only.
    #[ws(volatile(Market, latest_by = symbol))]
    Depth(Depth),

    /// Best prices and latest trades.
    #[ws(snapshot(Market))]
    MarketState(MarketState),

    /// From a newer server.
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

/// Why an order or a request is turned down. Nothing has happened then.
#[derive(Debug, Clone, PartialEq, Eq, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(error)]
pub enum Rejection {
    /// Nothing is traded under this name.
    UnknownSymbol,
    /// The name of an order or a request has 1 to 64 characters.
    BadId,
    /// The price is not between 1 and the highest.
    BadPrice {
        /// The highest price, in cents.
        highest: u32,
    },
    /// The quantity is not between 1 and the largest.
    BadQuantity {
        /// The largest quantity.
        largest: u32,
    },
    /// The account has too many open orders.
    TooManyOrders {
        /// How many it may have.
        limit: u32,
    },
    /// It would meet too many orders at once.
    TooManyFills {
        /// How many it may meet.
        limit: u32,
    },
    /// The account has used this name for another order.
    DuplicateOrder,
    /// The account has no open order of this name.
    NotOpen,
    /// At least as much has been traded already.
    AlreadyFilled {
        /// How much.
        filled: u32,
    },
    /// The exchange can't look it up at the moment.
    NotNow,
    /// From a newer server.
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

impl Side {
    /// The one that it meets.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}
