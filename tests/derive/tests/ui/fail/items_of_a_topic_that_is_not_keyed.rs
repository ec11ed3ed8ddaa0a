use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Price(u64);

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "market", topic(Book, key = symbol: String, items = 10))]
pub enum MarketEvent {
    #[ws(event(Book))]
    Level { symbol: String, price: Price, size: u64 },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

fn main() {}
