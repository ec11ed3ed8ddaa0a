use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Price(u64);

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "market", topic(Book, key = symbol: String, replay = 10))]
pub enum MarketEvent {
    #[ws(removal(Book))]
    Gone { symbol: String, price: Price },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

fn main() {}
