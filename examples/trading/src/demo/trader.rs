//! The demo's clients: traders, who ask for things at random and follow their accounts, and a
//! screen that follows the markets. They note everything and judge nothing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use steadfast::Codec;
use steadfast::client::{ConnectionState, Item as TopicItem, Subscription};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::ledger::{Item, Notes};
use crate::desk::SYMBOLS;
use crate::orders::{Ideas, client};
use crate::protocol::{Account, AccountId, Market, Symbol, TradingClient, TradingEvent};

/// Who trades.
pub(crate) const NAMES: [&str; 3] = ["ada", "bo", "cy"];
/// How many requests of a trader may be without an outcome; beyond, it waits.
const UNDER_WAY: usize = 64;
/// The longest pause between two requests, in milliseconds.
const PAUSE: u64 = 12;

/// A client, and the tasks that use it.
pub(crate) struct Trader {
    client: TradingClient,
    resumes: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Trader {
    /// Connects and follows an account. Everybody follows before anybody asks, so that a first
    /// state hides nothing.
    ///
    /// # Errors
    /// When the server can't be reached, or refuses.
    pub(crate) async fn start(name: &'static str, url: String, notes: &Notes) -> io::Result<Self> {
        // Each other one speaks the binary codec.
        let at = NAMES.iter().position(|known| *known == name).unwrap_or_default();
        let codec = Codec::ALL[at % Codec::ALL.len()];
        let mut trader = Self::connect(name, url, codec).await?;
        let account = Account(AccountId(name.to_owned()));
        let account = trader.client.subscribe(account).await.map_err(io::Error::other)?;
        trader.tasks.push(tokio::spawn(follow(name, account, notes.clone())));
        Ok(trader)
    }

    /// Connects and follows the markets.
    ///
    /// # Errors
    /// As [`Trader::start`].
    pub(crate) async fn watch(url: String, notes: &Notes) -> io::Result<Self> {
        let mut screen = Self::connect("screen", url, Codec::Binary).await?;
        for symbol in SYMBOLS {
            let market = Market(Symbol((*symbol).to_owned()));
            let market = screen.client.subscribe(market).await.map_err(io::Error::other)?;
            screen.tasks.push(tokio::spawn(look(market, notes.clone())));
        }
        Ok(screen)
    }

    async fn connect(name: &str, url: String, codec: Codec) -> io::Result<Self> {
        let client = client(url, name.to_owned()).codec(codec).connect().await;
        let client = client.map_err(io::Error::other)?;
        let resumes = Arc::new(AtomicU64::new(0));
        let counting = count_resumes(client.state(), Arc::clone(&resumes));
        let tasks = vec![tokio::spawn(counting)];
        Ok(Self { client, resumes, tasks })
    }

    /// Begins to ask. The task ends when `stop` says so and everything has an outcome.
    pub(crate) fn trade(
        &mut self,
        name: &'static str,
        ideas: Ideas,
        notes: &Notes,
        stop: watch::Receiver<bool>,
    ) {
        let trading = trade(name, self.client.clone(), ideas, notes.clone(), stop);
        self.tasks.push(tokio::spawn(trading));
    }

    /// Whether it is connected now.
    pub(crate) fn connected(&self) -> bool {
        self.client.state().borrow().is_connected()
    }

    /// How often it resumed its session.
    pub(crate) fn resumes(&self) -> u64 {
        self.resumes.load(Ordering::Relaxed)
    }

    /// Closes the client and ends its tasks.
    pub(crate) async fn close(self) {
        self.client.close().await;
        for task in self.tasks {
            task.abort();
        }
    }
}

async fn trade(
    name: &'static str,
    client: TradingClient,
    mut ideas: Ideas,
    notes: Notes,
    mut stop: watch::Receiver<bool>,
) {
    let mut under_way = FuturesUnordered::new();
    let mut next = Box::pin(sleep(ideas.pause(PAUSE)));
    let stopped = stop.wait_for(|stop| *stop);
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            biased;
            Some((request, told)) = under_way.next() => notes.open().told(name, &request, told),
            _ = &mut stopped => break,
            () = &mut next, if under_way.len() < UNDER_WAY => {
                let request = ideas.next();
                notes.open().asking(name, &request);
                under_way.push(request.ask(&client));
                next.set(sleep(ideas.pause(PAUSE)));
            }
        }
    }
    while let Some((request, told)) = under_way.next().await {
        notes.open().told(name, &request, told);
    }
}

async fn follow(name: &'static str, mut account: Subscription<Account>, notes: Notes) {
    while let Some(item) = account.next().await {
        let item = match item {
            TopicItem::Snapshot { state, .. } => Item::State(state),
            TopicItem::Event(TradingEvent::ExecutionReport(report)) => Item::Report(report),
            TopicItem::Event(_) => continue,
        };
        notes.open().followed(name, item);
    }
}

async fn look(mut market: Subscription<Market>, notes: Notes) {
    while let Some(item) = market.next().await {
        match item {
            TopicItem::Snapshot { state, .. } => notes.open().shown(state.depth),
            TopicItem::Event(TradingEvent::Depth(depth)) => notes.open().shown(depth),
            TopicItem::Event(_) => {}
        }
    }
}

async fn count_resumes(mut state: watch::Receiver<ConnectionState>, resumes: Arc<AtomicU64>) {
    state.mark_unchanged();
    while state.changed().await.is_ok() {
        if let ConnectionState::Connected { resumed: true, .. } = *state.borrow_and_update() {
            resumes.fetch_add(1, Ordering::Relaxed);
        }
    }
}
