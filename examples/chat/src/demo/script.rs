//! One scripted client: it posts numbers, follows the room, and notes everything in the ledger. It
//! translates what the client library says into the ledger's words, and judges nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use steadfast::Codec;
use steadfast::client::{
    Call, CallError, ConnectError, ConnectionState, Item as TopicItem, SnapshotReason,
    SubscribeError, Subscription,
};
use steadfast::wire::ResetReason;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::ledger::{Cause, Item, Ledger, Message, Outcome, Seen, Who};
use crate::protocol::{
    ChatClient, ChatError, ChatEvent, ChatMessage, MessageId, Room, RoomId, UserId,
};

/// Who takes part, by [`Who`].
pub(crate) const NAMES: [&str; 3] = ["ada", "bo", "cy"];
/// How many of a client's posts may be without an outcome; beyond, it waits.
const UNDER_WAY: usize = 64;

/// A ledger that several tasks write into.
pub(crate) type Notes = Arc<Mutex<Ledger>>;

pub(crate) fn notes(notes: &Notes) -> MutexGuard<'_, Ledger> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client that posts and follows until it is told to stop.
pub(crate) struct Scripted {
    who: Who,
    chat: ChatClient,
    returns: Arc<Returns>,
    reader: JoinHandle<()>,
    watcher: JoinHandle<()>,
    sender: Option<JoinHandle<()>>,
}

/// How often a client came back.
#[derive(Debug, Default)]
pub(crate) struct Returns {
    reconnects: AtomicU64,
    resumes: AtomicU64,
}

/// Why a scripted client could not begin.
#[derive(Debug)]
pub(crate) enum StartError {
    Connect(ConnectError),
    Subscribe(SubscribeError),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "a client can't connect: {error}"),
            Self::Subscribe(error) => write!(f, "a client can't follow the room: {error}"),
        }
    }
}

impl Scripted {
    /// Connects and follows the room. Everybody follows before anybody posts, so that a first
    /// snapshot hides nothing.
    pub(crate) async fn start(who: Who, url: String, ledger: &Notes) -> Result<Self, StartError> {
        let chat = ChatClient::builder(url)
            .codec(Codec::ALL[who % Codec::ALL.len()])
            .token(move |_| async move { NAMES[who] })
            .configure(|config| {
                // At the demo's pace: with the usual pauses, which are seconds long, there would be
                // little else to see.
                config.backoff.base = Duration::from_millis(40);
                config.backoff.cap = Duration::from_millis(400);
                config.backoff.stable = Duration::from_millis(500);
                (config.backoff.attempts, config.backoff.elapsed) = (None, None);
                config.dial_timeout = Duration::from_millis(1_500);
                config.welcome_timeout = Duration::from_millis(1_500);
            })
            .connect()
            .await
            .map_err(StartError::Connect)?;
        let room = chat.subscribe(Room(room())).await.map_err(StartError::Subscribe)?;
        let returns = Arc::new(Returns::default());
        let watcher = tokio::spawn(count_returns(chat.state(), Arc::clone(&returns)));
        let reader = tokio::spawn(read(who, room, Arc::clone(ledger)));
        Ok(Self { who, chat, returns, reader, watcher, sender: None })
    }

    /// Begins to post. The task ends when `stop` says so and everything has an outcome.
    pub(crate) fn post(&mut self, seed: u64, ledger: &Notes, stop: watch::Receiver<bool>) {
        let posting = Posting {
            who: self.who,
            chat: self.chat.clone(),
            rng: Rng::with_seed(seed),
            ledger: Arc::clone(ledger),
        };
        self.sender = Some(tokio::spawn(posting.run(stop)));
    }

    /// Whether it is connected now.
    pub(crate) fn connected(&self) -> bool {
        matches!(*self.chat.state().borrow(), ConnectionState::Connected { .. })
    }

    /// How often it reconnected, and how often it then resumed its session.
    pub(crate) fn returns(&self) -> (u64, u64) {
        let Returns { reconnects, resumes } = &*self.returns;
        (reconnects.load(Ordering::Relaxed), resumes.load(Ordering::Relaxed))
    }

    /// Closes the client and ends its tasks.
    pub(crate) async fn close(self) {
        self.chat.close().await;
        if let Some(sender) = self.sender {
            sender.abort();
        }
        // Both tasks end with the client.
        let _ = self.reader.await;
        let _ = self.watcher.await;
    }
}

fn room() -> RoomId {
    RoomId("demo".to_owned())
}

struct Posting {
    who: Who,
    chat: ChatClient,
    rng: Rng,
    ledger: Notes,
}

impl Posting {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut under_way = FuturesUnordered::new();
        let mut number = 0;
        let mut next = Box::pin(sleep(Duration::ZERO));
        let stopped = stop.wait_for(|stop| *stop);
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                biased;
                Some((message, outcome)) = under_way.next() => {
                    notes(&self.ledger).outcome(message, outcome);
                }
                _ = &mut stopped => break,
                () = &mut next, if under_way.len() < UNDER_WAY => {
                    number += 1;
                    under_way.push(self.send(number));
                    let pause = Duration::from_millis(self.rng.u64(2..20));
                    next.as_mut().reset(Instant::now() + pause);
                }
            }
        }
        while let Some((message, outcome)) = under_way.next().await {
            notes(&self.ledger).outcome(message, outcome);
        }
    }

    fn send(&mut self, number: u64) -> impl Future<Output = (Message, Outcome)> + use<> {
        let message = Message { sender: self.who, number };
        notes(&self.ledger).sending(message);
        if self.rng.u8(0..8) == 0 {
            self.chat.typing(room());
        }
        let call = self.chat.post(room(), number.to_string());
        async move { (message, outcome(call).await) }
    }
}

/// Waits for the outcome, as long as it takes.
async fn outcome(mut call: Call<MessageId, ChatError>) -> Outcome {
    loop {
        return match (&mut call).await {
            Ok(MessageId(id)) => Outcome::Done(id),
            Err(CallError::Timeout) => continue,
            Err(CallError::OutcomeUnknown) => Outcome::Unknown,
            Err(CallError::Undecodable { reason, .. }) => Outcome::Unreadable(reason),
            Err(CallError::Closed { maybe_executed: true }) => Outcome::Unknown,
            // When a handler fails, what it published is discarded: the message was not posted.
            Err(_) => Outcome::NotExecuted,
        };
    }
}

async fn read(who: Who, mut room: Subscription<Room>, ledger: Notes) {
    while let Some(item) = room.next().await {
        match item {
            TopicItem::Snapshot { state, reason } => {
                let messages = state
                    .messages
                    .into_iter()
                    .filter_map(|ChatMessage { id, from, text }| seen(id, &from, &text));
                let item = Item::Snapshot { gap: cause(&reason), messages: messages.collect() };
                notes(&ledger).saw(who, item);
            }
            TopicItem::Event(ChatEvent::Posted { id, from, text, .. }) => {
                if let Some(seen) = seen(id, &from, &text) {
                    notes(&ledger).saw(who, Item::Event(seen));
                }
            }
            TopicItem::Event(_) => {}
        }
    }
}

fn cause(reason: &SnapshotReason) -> Option<Cause> {
    match reason {
        SnapshotReason::Initial => None,
        SnapshotReason::Gap(gap) => Some(match gap.reason {
            ResetReason::Trimmed => Cause::Trimmed,
            ResetReason::Epoch => Cause::Epoch,
            _ => Cause::Other,
        }),
    }
}

fn seen(MessageId(id): MessageId, from: &UserId, text: &str) -> Option<Seen> {
    let sender = NAMES.iter().position(|name| *name == from.0)?;
    Some(Seen { message: Message { sender, number: text.parse().ok()? }, id })
}

async fn count_returns(mut state: watch::Receiver<ConnectionState>, returns: Arc<Returns>) {
    state.mark_unchanged();
    while state.changed().await.is_ok() {
        match *state.borrow_and_update() {
            ConnectionState::Connected { resumed, .. } => {
                returns.reconnects.fetch_add(1, Ordering::Relaxed);
                returns.resumes.fetch_add(u64::from(resumed), Ordering::Relaxed);
            }
            ConnectionState::Closed | ConnectionState::Failed { .. } => return,
            _ => {}
        }
    }
}
