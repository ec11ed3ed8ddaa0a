//! `chat join`: a room in a terminal, line by line. This file says what is shown; everything about
//! connections is left to the client library.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt;
use steadfast::Codec;
use steadfast::client::{
    Call, CallError, ConnectionState, Item, SnapshotReason, Subscription, TopicItem,
};
use steadfast::wire::ResetReason;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::posts::{self, Posts};
use crate::protocol::{
    ChatClient, ChatError, ChatEvent, ChatMessage, MessageId, Room, RoomId, UserId,
};

const HELP: &str = "\
   Write a line to post it. End a line with \\ to go on in the next one; meanwhile the others see
   that you are typing.
   /who      who has been here, and how much they have not read
   /status   the connection, and what waits to be sent
   /retry    try to connect now
   /quit     leave (so does Ctrl-D)";

/// How many messages of the history are shown to somebody who joins.
const SHOWN: usize = 10;
/// How many ids of shown messages are remembered: more than a snapshot contains.
const REMEMBERED: usize = 1_000;
/// How many posts may be without an outcome; beyond, the terminal takes no more.
const UNDER_WAY: usize = 100;
/// For how long a message may wait for a connection, like its declared timeout.
const PATIENCE: Duration = Duration::from_secs(24 * 3_600);

/// Joins a room until the input ends. What is written is kept in `outbox`, if that is given, until
/// its outcome was shown.
///
/// # Errors
/// When the server can't be reached or refuses, the outbox can't be used, or the terminal fails.
pub(crate) async fn join(
    room: String,
    name: String,
    (url, codec): (String, Codec),
    outbox: Option<PathBuf>,
) -> io::Result<()> {
    let file = outbox.as_ref().map(|path| posts::open(path, &name, &url)).transpose()?;
    println!("-- connecting to {url} as {name} …");
    let token = name.clone();
    let builder = ChatClient::builder(url.clone())
        .codec(codec)
        .token(move |_| {
            let token = token.clone();
            async move { token }
        })
        .configure(|config| {
            config.backoff.cap = Duration::from_secs(5);
            (config.backoff.attempts, config.backoff.elapsed) = (None, None);
            config.outbox_age = PATIENCE;
        });
    let builder = match file {
        Some(file) => builder.outbox(file),
        None => builder,
    };
    let client = builder.connect_lazily().map_err(io::Error::other)?;
    let room = RoomId(room);
    let posts = Posts::take_up(&client, room.clone(), outbox);
    wait_for_server(&client, &url).await?;
    let subscription = client.subscribe(Room(room.clone())).await.map_err(io::Error::other)?;
    println!("-- you are {name} in {}; /help for help", room.0);
    let terminal = Terminal {
        state: client.state(),
        client,
        me: UserId(name),
        room,
        known: Known::default(),
        last: None,
        draft: String::new(),
        posts,
        away: None,
        latest: None,
    };
    terminal.run(subscription).await
}

/// Waits for the server, and says so if it takes long.
async fn wait_for_server(client: &ChatClient, url: &str) -> io::Result<()> {
    let mut state = client.state();
    let mut told = false;
    let hint = Instant::now() + Duration::from_secs(2);
    loop {
        match &*state.borrow_and_update() {
            ConnectionState::Connected { .. } => return Ok(()),
            ConnectionState::Failed { reason } => {
                return Err(io::Error::other(format!("can't join: {reason}")));
            }
            ConnectionState::Closed => return Err(io::Error::other("closed")),
            _ => {}
        }
        tokio::select! {
            changed = state.changed() => changed.map_err(io::Error::other)?,
            () = sleep_until(hint), if !told => {
                println!(
                    "-- no answer from {url} yet; still trying. \
                     Is the server running? (cargo run -p chat)"
                );
                told = true;
            }
        }
    }
}

type Latest = Call<Option<MessageId>, ChatError>;

struct Terminal {
    client: ChatClient,
    state: watch::Receiver<ConnectionState>,
    me: UserId,
    room: RoomId,
    /// What was shown. A snapshot overlaps with what came before it and with the events after it.
    known: Known,
    /// The last message shown, which is how far the server is told that we have read.
    last: Option<MessageId>,
    /// The lines so far of a message whose last line ended with a backslash.
    draft: String,
    posts: Posts,
    /// From a lost connection until everything was shown that came meanwhile.
    away: Option<Away>,
    /// Asks for the room's latest message, which is the last one that was missed.
    latest: Option<Latest>,
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

/// What is told of a time without a connection.
struct Away {
    since: Instant,
    /// For how long; `None` while there is no connection.
    lasted: Option<Duration>,
    /// Once this one was shown, nothing is missing any more.
    upto: Option<MessageId>,
    /// The room did not go on where it was.
    gap: bool,
    /// Messages of others.
    missed: usize,
}

impl Away {
    fn begin() -> Self {
        Self { since: Instant::now(), lasted: None, upto: None, gap: false, missed: 0 }
    }
}

impl Terminal {
    async fn run(mut self, mut subscription: Subscription<Room>) -> io::Result<()> {
        let mut lines = BufReader::new(stdin()).lines();
        self.state.mark_unchanged();
        loop {
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
                Some((post, news)) = self.posts.next() => {
                    let why_not_now = self.why_not_now();
                    self.posts.tell(post, news, why_not_now);
                }
                changed = self.state.changed() => {
                    changed.map_err(io::Error::other)?;
                    self.connection();
                }
                latest = answer(&mut self.latest) => self.latest(latest),
            }
        }
        self.leave().await;
        Ok(())
    }

    /// Handles one line of input. `false` if it was the last one.
    async fn line(&mut self, line: &str) -> bool {
        match line.trim() {
            "" => {}
            "/quit" | "/q" => return false,
            "/help" | "/h" | "/?" => println!("{HELP}"),
            "/who" => self.who().await,
            "/status" => self.status(),
            "/retry" => self.client.reconnect_now(),
            other if other.starts_with('/') => {
                println!("-- unknown command {other}; /help for help")
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
            println!("-- {UNDER_WAY} messages are waiting; this one was not accepted: {text}");
            return;
        }
        self.posts.push(&text, self.client.post(self.room.clone(), text.clone()));
        // With a file that is told once it is there.
        if self.posts.file().is_none()
            && let Some(why) = self.why_not_now()
        {
            println!("-- not sent yet. {why}");
        }
    }

    /// Why nothing is sent at the moment; `None` if it is.
    fn why_not_now(&self) -> Option<String> {
        let status = self.client.status();
        match status.state {
            _ if status.live => None,
            ConnectionState::Connected { .. } => {
                Some("The server is about to leave; we will connect again.".to_owned())
            }
            _ => Some(status.message),
        }
    }

    async fn who(&self) {
        if let Some(why) = self.why_not_now() {
            println!("-- can't ask now. {why}");
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
            status.latency.map(|latency| format!(" Round trip: {} ms.", latency.as_millis()));
        let unanswered = match (status.live, status.queued) {
            (false, _) => String::new(),
            (true, 0) => " Everything has been answered.".to_owned(),
            (true, count) => format!(" Not answered yet: {count}."),
        };
        println!("-- {}{}{unanswered}", status.message, latency.unwrap_or_default());
    }

    fn item(&mut self, item: TopicItem<Room>) {
        match item {
            Item::Snapshot { state, reason } => self.history(state.messages, &reason),
            Item::Event(ChatEvent::Posted { id, from, text, .. }) => {
                let theirs = from != self.me;
                if self.show(ChatMessage { id, from, text })
                    && let Some(away) = &mut self.away
                {
                    // Even if it was seen before the connection was seen to be back.
                    away.missed += usize::from(theirs);
                }
                self.look_whether_caught_up();
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
                _ => "the server has started afresh",
            };
            println!("-- messages may be missing here: {why}");
            if let Some(away) = &mut self.away {
                away.gap = true;
            }
        }
        let new = messages
            .into_iter()
            .filter(|message| !self.known.contains(&message.id))
            .collect::<Vec<_>>();
        if let Some(away) = &mut self.away {
            away.missed += new.iter().filter(|message| message.from != self.me).count();
        }
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
        self.look_whether_caught_up();
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

    /// Nobody waits for the outcome, since the next one says more.
    fn mark_read(&self) {
        if let Some(upto) = self.last.clone() {
            drop(self.client.mark_read(self.room.clone(), upto));
        }
    }

    fn connection(&mut self) {
        let state = self.state.borrow_and_update().clone();
        match state {
            ConnectionState::Reconnecting { reason, .. } => {
                if self.away.as_ref().is_none_or(|away| away.lasted.is_some()) {
                    (self.away, self.latest) = (Some(Away::begin()), None);
                    println!(
                        "-- connection lost: {reason}. You may go on writing; it will be sent later"
                    );
                }
                let next_dial_in = self.client.status().next_dial_in;
                if let Some(pause) = next_dial_in.filter(|pause| *pause >= Duration::from_secs(1)) {
                    println!("-- trying again in {} s (/retry to try now)", pause.as_secs());
                }
            }
            ConnectionState::Connected { .. } => {
                let away = self.away.get_or_insert_with(Away::begin);
                away.lasted = Some(away.since.elapsed());
                // Behind what was written meanwhile, and so after it.
                self.latest = Some(self.client.latest(self.room.clone()));
            }
            ConnectionState::Failed { reason } => {
                println!("-- gave up: {reason}. Nothing more can be sent; /quit to leave")
            }
            _ => {}
        }
    }

    fn latest(&mut self, latest: Result<Option<MessageId>, CallError<ChatError>>) {
        self.latest = None;
        match (latest, &mut self.away) {
            (Ok(Some(id)), Some(away)) => away.upto = Some(id),
            // In an empty room nothing was missed; and if it can't be told, that is all we know.
            _ => return self.caught_up(),
        }
        self.look_whether_caught_up();
    }

    fn look_whether_caught_up(&mut self) {
        let upto = self.away.as_ref().and_then(|away| away.upto.as_ref());
        if upto.is_some_and(|upto| self.known.contains(upto)) {
            self.caught_up();
        }
    }

    /// Says how many messages of others came after a reconnect, which the client had missed.
    fn caught_up(&mut self) {
        if let Some(Away { lasted: Some(lasted), gap, missed, .. }) = self.away.take() {
            let how = if gap { "connected again" } else { "resumed" };
            println!("-- {how} {} after {:.1} s (+{missed})", self.room.0, lasted.as_secs_f64());
        }
    }

    async fn leave(self) {
        let (queued, unanswered) = (self.client.status().queued, self.posts.len());
        match self.posts.file() {
            Some(file) if unanswered > 0 => println!(
                "-- leaving; {unanswered} of your messages stay in {} for the next start",
                file.display()
            ),
            None if queued > 0 => {
                println!("-- leaving, with {queued} of your messages unanswered")
            }
            _ => {}
        }
        self.client.close().await;
    }
}

/// Waits for the answer, if something was asked.
async fn answer(latest: &mut Option<Latest>) -> Result<Option<MessageId>, CallError<ChatError>> {
    match latest {
        Some(call) => call.await,
        None => std::future::pending().await,
    }
}
