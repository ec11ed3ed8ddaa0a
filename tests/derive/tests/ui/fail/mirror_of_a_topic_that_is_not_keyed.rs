use steadfast::WsProtocol;
use steadfast::client::Subscription;

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "market", topic(Trades, key = symbol: String))]
pub enum MarketEvent {
    #[ws(event(Trades))]
    Trade { symbol: String },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

fn keep(trades: Subscription<Trades>) {
    let _ = trades.mirror();
}

fn main() {}
