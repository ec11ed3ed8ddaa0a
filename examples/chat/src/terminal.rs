//! `chat join`: a room in a terminal, line by line. Owns what is shown; everything that has to do
//! with connections is the client library's.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use steadfast::client::{
    Call, CallError, ConnectionState, Item, SnapshotReason, Subscription, TopicItem,
};
use steadfast::wire::ResetReason;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::protocol::{
    ChatClient, ChatError, ChatEvent, ChatMessage, MessageId, Room, RoomId, UserId,
};

const HELP: &str = "\
   write a line to post it; end a line with \\ to go on in the next one (the others see that you type)
   /who      who has been here, and how much they have not read
   /status   the connection, and what waits to be sent
   /retry    try to connect now
   /quit     leave (Ctrl-D does the same)";

/// Messages of the history that are shown on joining.
const SHOWN: usize = 10;
/// Ids of shown messages that are remembered: more than a snapshot holds.
const REMEMBERED: usize = 1_000;
/// How long after a reconnect an event counts as one that was missed.
const CATCHING_UP: Duration = Duration::from_millis(400);
/// Posts whose outcome is not known yet; beyond, the terminal asks for patience.
const UNDER_WAY: usize = 100;

/// Joins a room until the input ends.
///
/// # Errors
/// When the server can't be reached or refuses, or the terminal fails.
pub(crate) async fn join(room: String, name: String, url: String) -> io::Result<()> {
    println!("-- connecting to {url} as {name} …");
    let token = name.clone();
    let client = ChatClient::builder(url.clone())
        .token(move |_| {
            let token = token.clone();
            async move { token }
        })
        .configure(|config| {
            config.backoff.cap = Duration::from_secs(5);
            (config.backoff.attempts, config.backoff.elapsed) = (None, None);
        })
        .connect_lazily()
        .map_err(io::Error::other)?;
    wait_for_server(&client, &url).await?;
    let room = RoomId(room);
    let subscription = client.subscribe(Room(room.clone())).await.map_err(io::Error::other)?;
    println!("-- {name} in {}; /help says what there is", room.0);
    let terminal = Terminal {
        state: client.state(),
        client,
        me: UserId(name),
        room,
        known: Known::default(),
        last: None,
        draft: String::new(),
        posts: FuturesUnordered::new(),
        back: None,
    };
    terminal.run(subscription).await
}

/// Says what is the matter while there is no server.
async fn wait_for_server(client: &ChatClient, url: &str) -> io::Result<()> {
    let mut state = client.state();
    let mut told = false;
    let hint = Instant::now() + Duration::from_secs(2);
    loop {
        match &*state.borrow_and_update() {
            ConnectionState::Connected { .. } => return Ok(()),
            ConnectionState::Failed { reason } => {
                return Err(io::Error::other(format!("the server refuses: {reason}")));
            }
            ConnectionState::Closed => return Err(io::Error::other("closed")),
            _ => {}
        }
        tokio::select! {
            changed = state.changed() => changed.map_err(io::Error::other)?,
            () = sleep_until(hint), if !told => {
                println!("-- nobody answers at {url}; still trying. Is the server running? `cargo run -p chat`");
                told = true;
            }
        }
    }
}

type Posts = FuturesUnordered<Call<MessageId, ChatError>>;

struct Terminal {
    client: ChatClient,
    state: watch::Receiver<ConnectionState>,
    me: UserId,
    room: RoomId,
    /// What was shown: a snapshot overlaps with what came before it, and with the events after it.
    known: Known,
    /// The last message shown, for telling the server what was read.
    last: Option<MessageId>,
    /// Lines that ended with a backslash.
    draft: String,
    posts: Posts,
    /// Since when the connection is back, and how many messages have come since.
    back: Option<Back>,
}

/// The ids of the latest messages.
#[derive(Default)]
struct Known {
    ids: BTreeSet<MessageId>,
    order: VecDeque<MessageId>,
}

impl Known {
    fn contains(&self, id: &MessageId) -> bool {
        self.ids.contains(id)
    }

    /// `false` if it is known already.
    fn insert(&mut self, id: MessageId) -> bool {
        if !self.ids.insert(id.clone()) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

struct Back {
    until: Instant,
    away: Duration,
    resumed: bool,
    missed: u32,
}

impl Terminal {
    async fn run(mut self, mut subscription: Subscription<Room>) -> io::Result<()> {
        let mut lines = BufReader::new(stdin()).lines();
        let mut lost: Option<Instant> = None;
        self.state.mark_unchanged();
        loop {
            let caught_up = self.back.as_ref().map(|back| back.until);
            tokio::select! {
                line = lines.next_line() => match line? {
                    Some(line) => if !self.line(&line).await { break },
                    None => break,
                },
                item = subscription.next() => match item {
                    Some(item) => self.item(item),
                    None => return Err(io::Error::other(match subscription.end() {
                        Some(error) => error.to_string(),
                        None => "the room was closed".to_owned(),
                    })),
                },
                Some(outcome) = self.posts.next() => self.outcome(outcome),
                changed = self.state.changed() => {
                    changed.map_err(io::Error::other)?;
                    self.connection(&mut lost);
                }
                () = sleep_until(caught_up.unwrap_or_else(Instant::now)), if caught_up.is_some() => self.caught_up(),
            }
        }
        self.leave().await;
        Ok(())
    }

    /// One line of input; `false` if it was the last one.
    async fn line(&mut self, line: &str) -> bool {
        match line.trim() {
            "" => {}
            "/quit" | "/q" => return false,
            "/help" | "/h" | "/?" => println!("{HELP}"),
            "/who" => self.who().await,
            "/status" => self.status(),
            "/retry" => self.client.reconnect_now(),
            other if other.starts_with('/') => {
                println!("-- there is no {other}; /help says what there is")
            }
            _ => self.compose(line),
        }
        true
    }

    fn compose(&mut self, line: &str) {
        if let Some(unfinished) = line.strip_suffix('\\') {
            self.draft.push_str(unfinished);
            self.draft.push('\n');
            self.client.typing(self.room.clone());
            return;
        }
        let text = std::mem::take(&mut self.draft) + line;
        if self.posts.len() >= UNDER_WAY {
            println!("-- {UNDER_WAY} messages wait already; this one was not taken: {text}");
            return;
        }
        self.posts.push(self.client.post(self.room.clone(), text));
        let status = self.client.status();
        if !status.live {
            println!("-- queued ({} waiting). {}", status.queued, status.message);
        }
    }

    async fn who(&self) {
        if !self.client.status().live {
            println!("-- not now: {}", self.client.status().message);
            return;
        }
        match self.client.members(self.room.clone()).await {
            Ok(members) if members.is_empty() => println!("-- nobody has written here yet"),
            Ok(members) => {
                for member in members {
                    let unread = if member.unread == 0 {
                        "has read everything".to_owned()
                    } else {
                        format!("{} unread", member.unread)
                    };
                    println!("   {}: {unread}", member.user.0);
                }
            }
            Err(error) => println!("-- {error}"),
        }
    }

    fn status(&self) {
        let status = self.client.status();
        let latency =
            status.latency.map(|latency| format!(" Round trip {} ms.", latency.as_millis()));
        println!("-- {}{} {} waiting.", status.message, latency.unwrap_or_default(), status.queued);
    }

    fn item(&mut self, item: TopicItem<Room>) {
        match item {
            Item::Snapshot { state, reason } => self.history(state.messages, &reason),
            Item::Event(ChatEvent::Posted { id, from, text, .. }) => {
                if self.show(ChatMessage { id, from, text })
                    && let Some(back) = &mut self.back
                {
                    back.missed += 1;
                }
                self.mark_read();
            }
            Item::Event(ChatEvent::Typing { who, .. }) => {
                if who != self.me {
                    println!("   {} is typing …", who.0);
                }
            }
            Item::Event(_) => {}
        }
    }

    fn history(&mut self, messages: Vec<ChatMessage>, reason: &SnapshotReason) {
        if let SnapshotReason::Gap(gap) = reason {
            let why = match gap.reason {
                ResetReason::Trimmed => "more was said than the server keeps",
                _ => "the server has begun anew",
            };
            println!("-- messages may be missing here: {why}");
        }
        let new = messages
            .into_iter()
            .filter(|message| !self.known.contains(&message.id))
            .collect::<Vec<_>>();
        let hidden = new.len().saturating_sub(SHOWN);
        if hidden > 0 {
            println!("   … {hidden} earlier messages");
        }
        for message in &new[..hidden] {
            self.known.insert(message.id.clone());
        }
        for message in new.into_iter().skip(hidden) {
            self.show(message);
        }
        self.mark_read();
    }

    /// Shows a message once. `false` if it was shown before.
    fn show(&mut self, ChatMessage { id, from, text }: ChatMessage) -> bool {
        if !self.known.insert(id.clone()) {
            return false;
        }
        self.last = Some(id);
        let who = if from == self.me { "you" } else { &from.0 };
        println!("<{who}> {}", text.replace('\n', "\n     "));
        true
    }

    /// Nobody waits for the outcome: the next one says more.
    fn mark_read(&self) {
        if let Some(upto) = self.last.clone() {
            drop(self.client.mark_read(self.room.clone(), upto));
        }
    }

    fn outcome(&mut self, outcome: Result<MessageId, CallError<ChatError>>) {
        match outcome {
            Ok(_) => {}
            Err(CallError::App(ChatError::Empty)) => {
                println!("-- not posted: there is nothing in it")
            }
            Err(CallError::App(ChatError::TooManyRooms { limit })) => {
                println!("-- not posted: there are {limit} rooms already")
            }
            Err(CallError::Timeout) => println!("-- a message takes long; it is still on its way"),
            Err(CallError::OutcomeUnknown) => {
                println!(
                    "-- the server was lost with one of your messages: it may have been posted or not"
                );
            }
            Err(error) => println!("-- not posted: {error}"),
        }
    }

    fn connection(&mut self, lost: &mut Option<Instant>) {
        let state = self.state.borrow_and_update().clone();
        match state {
            ConnectionState::Reconnecting { reason, .. } => {
                let status = self.client.status();
                let (waiting, next_dial_in) = (status.queued, status.next_dial_in);
                if lost.is_none() {
                    *lost = Some(Instant::now());
                    println!(
                        "-- connection lost: {reason}. {waiting} waiting; you may go on writing"
                    );
                }
                if let Some(pause) = next_dial_in.filter(|pause| *pause >= Duration::from_secs(1)) {
                    println!(
                        "-- trying again in {} s; {waiting} waiting (/retry tries now)",
                        pause.as_secs()
                    );
                }
            }
            ConnectionState::Connected { resumed, .. } => {
                let away = lost.take().map(|lost| lost.elapsed()).unwrap_or_default();
                self.back =
                    Some(Back { until: Instant::now() + CATCHING_UP, away, resumed, missed: 0 });
            }
            ConnectionState::Failed { reason } => {
                println!("-- given up: {reason}. Nothing more can be sent; /quit leaves")
            }
            _ => {}
        }
    }

    fn caught_up(&mut self) {
        if let Some(Back { away, resumed, missed, .. }) = self.back.take() {
            let how = if resumed { "resumed" } else { "connected anew" };
            println!("-- {how} after {:.1} s (+{missed})", away.as_secs_f64());
        }
    }

    async fn leave(self) {
        let status = self.client.status();
        if status.queued > 0 {
            println!("-- leaving; {} of your messages had no answer yet", status.queued);
        }
        self.client.close().await;
    }
}
