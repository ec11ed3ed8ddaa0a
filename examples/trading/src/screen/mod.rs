//! `trading screen`: a book, one's orders and the connection in a terminal. This file moves things
//! between terminal and client; what is shown is said in `model.rs`, how it looks in `view.rs`.

mod model;
#[cfg(test)]
mod tests;
mod typed;
mod view;

use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use steadfast::Codec;
use steadfast::client::{Item, Subscription};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval};

use crate::orders::{Outcome, Request, client};
use crate::protocol::{Account, AccountId, Market, Symbol, TradingClient, TradingEvent};
use model::Model;
use typed::Typed;

/// How often the screen is drawn anew though nothing was heard: pauses are counted down on it.
const TICK: Duration = Duration::from_millis(250);
/// How many keys may wait.
const KEYS: usize = 64;
/// How many requests may be without an outcome; beyond, the screen takes no more.
const UNDER_WAY: usize = 100;

/// Trades until somebody leaves.
///
/// # Errors
/// When the server refuses, or the terminal fails.
pub(crate) async fn run(
    name: String,
    symbol: String,
    (url, codec): (String, Codec),
) -> io::Result<()> {
    println!("Connecting to {url} as {name} … Is the server running? (cargo run -p trading)");
    let client = client(url, name.clone()).codec(codec).connect().await;
    let client = client.map_err(io::Error::other)?;
    let account = Account(AccountId(name.clone()));
    let account = client.subscribe(account).await.map_err(io::Error::other)?;
    let symbol = Symbol(symbol);
    let market = client.subscribe(Market(symbol.clone())).await.map_err(io::Error::other)?;
    let model = Model::new(name, symbol, client.status());
    let screen = Screen { client, account, market, model, under_way: FuturesUnordered::new() };
    let mut terminal = ratatui::try_init()?;
    let left = screen.run(&mut terminal).await;
    ratatui::restore();
    left
}

/// A request that is under way, and how long it took.
type UnderWay = std::pin::Pin<Box<dyn Future<Output = (Request, Outcome, Duration)>>>;

struct Screen {
    client: TradingClient,
    account: Subscription<Account>,
    market: Subscription<Market>,
    model: Model,
    under_way: FuturesUnordered<UnderWay>,
}

impl Screen {
    async fn run(mut self, terminal: &mut DefaultTerminal) -> io::Result<()> {
        let (mut keys, mut ticks) = (keys(), interval(TICK));
        loop {
            self.model.status = self.client.status();
            terminal.draw(|frame| view::draw(frame, &self.model))?;
            tokio::select! {
                key = keys.recv() => match key {
                    Some(event) if !self.key(&event) => {}
                    _ => break,
                },
                item = self.account.next() => match item {
                    Some(item) => self.account(item),
                    None => return Err(ended("the account")),
                },
                item = self.market.next() => match item {
                    Some(item) => self.market(item),
                    None => return Err(ended("the market")),
                },
                Some((request, outcome, took)) = self.under_way.next() => {
                    self.model.told(&request, &outcome, took);
                }
                _ = ticks.tick() => {}
            }
        }
        self.client.close().await;
        Ok(())
    }

    fn account(&mut self, item: steadfast::client::TopicItem<Account>) {
        match item {
            Item::Snapshot { state, .. } => self.model.account(state),
            Item::Event(TradingEvent::ExecutionReport(report)) => self.model.report(report),
            Item::Event(_) => {}
        }
    }

    fn market(&mut self, item: steadfast::client::TopicItem<Market>) {
        match item {
            Item::Snapshot { state, .. } => self.model.market(state),
            Item::Event(TradingEvent::Depth(depth)) => self.model.depth(depth),
            Item::Event(TradingEvent::Trade(trade)) => self.model.trade(trade),
            Item::Event(_) => {}
        }
    }

    /// Whether it was the key to leave with.
    fn key(&mut self, event: &Event) -> bool {
        let Event::Key(key) = event else { return false };
        if key.kind != KeyEventKind::Press {
            return false;
        }
        match key.code {
            KeyCode::Esc => return true,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
            KeyCode::Char(letter) => self.model.input.push(letter),
            KeyCode::Backspace => drop(self.model.input.pop()),
            KeyCode::Enter => return self.line(),
            _ => {}
        }
        false
    }

    /// Does what was typed. Whether that was to leave.
    fn line(&mut self) -> bool {
        let line = std::mem::take(&mut self.model.input);
        // A name that is new in every run: the account may have been used before.
        let name = || crate::protocol::RequestId(format!("{:016x}", fastrand::u64(..)));
        match typed::read(&line, &self.model.symbol, name) {
            Ok(Typed::Nothing) => {}
            Ok(Typed::Leave) => return true,
            Ok(Typed::Retry) => self.client.reconnect_now(),
            Ok(Typed::Place(new)) => self.ask(Request::Place(new)),
            Ok(Typed::About(number, about)) => match self.model.named(number) {
                Some(order) => self.ask(about.of(order, name())),
                None => self.model.say(format!("you have no open order {}", number.0)),
            },
            Err(mistake) => self.model.say(mistake),
        }
        false
    }

    fn ask(&mut self, request: Request) {
        if self.under_way.len() >= UNDER_WAY {
            return self.model.say("too much is waiting; that was not asked for".to_owned());
        }
        let (asked, began) = (request.ask(&self.client), Instant::now());
        self.under_way.push(Box::pin(async move {
            let (request, outcome) = asked.await;
            (request, outcome, began.elapsed())
        }));
    }
}

fn ended(what: &str) -> io::Error {
    io::Error::other(format!("{what} is not told any more"))
}

/// Keys come from a thread of their own, as waiting for one can't be given up.
fn keys() -> mpsc::Receiver<Event> {
    let (sender, keys) = mpsc::channel(KEYS);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                break;
            }
        }
    });
    keys
}
