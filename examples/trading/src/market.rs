//! Market data for screens: the best prices of each symbol, told a few times in a second however
//! many orders come. Trades are events, and are told by the transactions that make them.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast::server::Server;
use tokio::time::{MissedTickBehavior, interval};

use crate::desk::SYMBOLS;
use crate::protocol::{Symbol, TradingCommand};
use crate::reads::Reads;

/// How often the books are looked at. All changes in between are one for the screens.
const TICK: Duration = Duration::from_millis(50);
/// After how many ticks prices are told though they have not changed: a volatile may be lost, and a
/// screen must not lie for longer than this.
const AGAIN: u32 = 10;

/// Tells the best prices until the server's task is dropped.
pub(crate) async fn tell(server: Server<TradingCommand>, reads: Reads) {
    let mut told: BTreeMap<Symbol, u64> = BTreeMap::new();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for tick in (0..AGAIN).cycle() {
        ticks.tick().await;
        if tick == 0 {
            told.clear();
        }
        for symbol in SYMBOLS {
            let symbol = Symbol((*symbol).to_owned());
            let version = told.get(&symbol).copied();
            // If it can't be read, or told, the next tick tries again.
            if let Ok(Some(depth)) = reads.depth_after(symbol.clone(), version).await
                && server.publish(&depth).await.is_ok()
            {
                told.insert(symbol, depth.version);
            }
        }
    }
}
