//! Orders without people: what the clients of the demo and of the load ask for, and how each
//! request is brought to its end. What comes of it is for others to judge.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use steadfast::client::{Builder, Call, CallError};
use tokio::time::sleep;

use crate::desk::SYMBOLS;
use crate::protocol::{
    CancelOrder, PlaceOrder, Price, Rejection, ReplaceOrder, ReportId, RequestId, Side, Symbol,
    TradingClient,
};

/// How many of its latest orders a client leaves alone; of twice as many it leaves none.
const REMEMBERED: usize = 30;
/// How long one waits before a request is made again that the server had no room for.
const PAUSE: Duration = Duration::from_millis(50);

/// Something that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Place(PlaceOrder),
    Cancel(CancelOrder),
    Replace(ReplaceOrder),
}

/// How a request has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done, and this report was the first about it.
    Done(ReportId),
    /// It was turned down.
    Rejected(Rejection),
    /// It may have been done.
    Unknown,
    /// It was certainly not done, for this reason.
    Failed(String),
}

impl Request {
    /// The client's name for it.
    pub(crate) fn id(&self) -> &RequestId {
        match self {
            Self::Place(PlaceOrder { order, .. }) => order,
            Self::Cancel(CancelOrder { request, .. })
            | Self::Replace(ReplaceOrder { request, .. }) => request,
        }
    }

    fn send(&self, client: &TradingClient) -> Call<ReportId, Rejection> {
        match self.clone() {
            Self::Place(new) => client.place(new),
            Self::Cancel(asked) => client.cancel(asked),
            Self::Replace(asked) => client.replace(asked),
        }
    }

    /// Asks for it now, and waits for its outcome as long as it takes. Where that can't be known it
    /// is asked for again: it has a name, so it is done once however often it is asked for.
    pub(crate) fn ask(
        self,
        client: &TradingClient,
    ) -> impl Future<Output = (Self, Outcome)> + use<> {
        let (client, mut call) = (client.clone(), self.send(client));
        async move {
            let outcome = loop {
                match (&mut call).await {
                    Ok(report) => break Outcome::Done(report),
                    Err(CallError::App(rejection)) => break Outcome::Rejected(rejection),
                    Err(CallError::Timeout) => {}
                    Err(CallError::OutcomeUnknown) => call = self.send(&client),
                    Err(CallError::Closed { maybe_executed: true }) => break Outcome::Unknown,
                    Err(error) if error.is_retryable() => {
                        sleep(PAUSE).await;
                        call = self.send(&client);
                    }
                    Err(error) => break Outcome::Failed(error.to_string()),
                }
            };
            (self, outcome)
        }
    }
}

/// Makes requests at random, around a price that everybody knows.
#[derive(Debug)]
pub(crate) struct Ideas {
    rng: Rng,
    /// What makes the names of one client's requests its own.
    run: String,
    number: u64,
    placed: VecDeque<RequestId>,
}

impl Ideas {
    /// `run` must be another one each time that the same account begins.
    pub(crate) fn new(rng: Rng, run: String) -> Self {
        Self { rng, run, number: 0, placed: VecDeque::new() }
    }

    /// The next request. It may be about an order that is gone, as people's requests may.
    pub(crate) fn next(&mut self) -> Request {
        self.number += 1;
        let id = RequestId(format!("{}-{}", self.run, self.number));
        let (price, quantity) = (Price(self.rng.u32(9_900..10_100)), self.rng.u32(1..=100));
        // All but the latest orders are thought better of, so that there are never too many.
        let many = self.rng.usize(REMEMBERED..2 * REMEMBERED);
        let old = match self.placed.len() {
            length if length >= many => self.placed.remove(self.rng.usize(..length)),
            _ => None,
        };
        match old {
            Some(order) if self.rng.u8(..3) == 0 => {
                self.placed.push_back(order.clone());
                Request::Replace(ReplaceOrder { request: id, order, price, quantity })
            }
            Some(order) => Request::Cancel(CancelOrder { request: id, order }),
            None => {
                self.placed.push_back(id.clone());
                let symbol = Symbol(SYMBOLS[self.rng.usize(..SYMBOLS.len())].to_owned());
                let side = if self.rng.bool() { Side::Buy } else { Side::Sell };
                Request::Place(PlaceOrder { order: id, symbol, side, price, quantity })
            }
        }
    }

    /// A pause of up to so many milliseconds.
    pub(crate) fn pause(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.rng.u64(1..=most))
    }
}

/// A client that goes on dialling, at the pace of somebody who watches.
pub(crate) fn client(url: String, name: String) -> Builder<TradingClient> {
    let builder = TradingClient::builder(url).token(move |_| {
        let name = name.clone();
        async move { name }
    });
    builder.configure(|config| {
        config.backoff.base = Duration::from_millis(40);
        config.backoff.cap = Duration::from_millis(400);
        config.backoff.stable = Duration::from_millis(500);
        (config.backoff.attempts, config.backoff.elapsed) = (None, None);
        config.dial_timeout = Duration::from_millis(1_500);
        config.welcome_timeout = Duration::from_millis(1_500);
    })
}
