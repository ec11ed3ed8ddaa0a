//! A client process: writers with a connection each, and a follower of every room. It says what it
//! does before it does it, and what it sees, in lines of a history; it judges nothing.
//!
//! There are two workloads, after those of Jepsen that are called so. *Indefinite*: commands
//! without a name of their own, of which nobody can know any more when their caller is killed.
//! *Idempotence*: two devices of a user ask for the same commands by name, at the same time, and
//! whoever comes after a kill asks again for what was left open.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use steadfast::NoError;
use steadfast::client::{Call, CallError, Item, Subscription};
use steadfast::wire::{Epoch, Position, TopicSeq};
use steadfast_histories::{Answer, Line};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::protocol::{HistoryClient, HistoryEvent, Room};

/// The rooms that everybody writes into and follows.
pub const ROOMS: [&str; 3] = ["a", "b", "c"];
/// The names of the last commands begin so: whoever has seen them has seen everything.
pub const LAST: &str = "last/";
/// What the process says: it follows; its writers have ended; its followers have.
pub const READY: &str = "ready";
pub const AT_REST: &str = "at rest";
pub const ALL_SEEN: &str = "all seen";

const WRITERS: u64 = 2;
/// Commands of a writer that may be without an answer.
const WINDOW: usize = 4;
/// How often a named command is asked for, at most.
const TRIES: u32 = 20;

/// Which process this is, and what it knows of the one before.
#[derive(Clone)]
struct Me {
    url: String,
    process: u64,
    life: u64,
    named: bool,
}

fn say(line: &Line) {
    line.write(std::io::stdout().lock()).expect("the parent reads");
}

fn say_word(word: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{word}").and_then(|()| out.flush()).expect("the parent reads");
}

/// `<url> <process> <life> <named|plain> [<room>:<epoch>:<ts>]…`
pub async fn run(arguments: &[&str]) {
    let [url, process, life, kind, positions @ ..] = arguments else { panic!("{arguments:?}") };
    let number = |text: &str| text.parse().expect("a number");
    let (process, life) = (number(process), number(life));
    let me = Me { url: (*url).to_owned(), process, life, named: *kind == "named" };
    let mut followers = me.follow(positions).await;
    say_word(READY);
    let (stop, stopped) = watch::channel(false);
    let (mut again, mut writers) = (Vec::new(), JoinSet::new());
    let mut orders = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            order = orders.next_line() => {
                let Ok(Some(order)) = order else { return };
                match &order.split(' ').collect::<Vec<_>>()[..] {
                    ["again", room, name] => again.push(((*room).to_owned(), (*name).to_owned())),
                    ["go"] => {
                        for writer in 0..WRITERS {
                            let writer = Writer::new(&me, writer).await;
                            writers.spawn(writer.work(again.clone(), stopped.clone()));
                        }
                    }
                    ["stop"] => {
                        stop.send_replace(true);
                        while let Some(ended) = writers.join_next().await {
                            ended.expect("a writer does not panic");
                        }
                        say_word(AT_REST);
                    }
                    ["last"] => Writer::new(&me, WRITERS).await.write_the_last().await,
                    other => panic!("{other:?}"),
                }
            }
            Some(ended) = followers.join_next() => {
                ended.expect("a follower does not panic");
                if followers.is_empty() {
                    say_word(ALL_SEEN);
                }
            }
        }
    }
}

impl Me {
    async fn connect(&self) -> HistoryClient {
        let user = format!("user-{}", self.process);
        let builder = HistoryClient::builder(self.url.clone())
            .token(move |_| std::future::ready(user.clone()))
            .configure(|config| {
                config.backoff.base = Duration::from_millis(5);
                config.backoff.cap = Duration::from_millis(50);
                (config.backoff.attempts, config.backoff.elapsed) = (None, None);
            });
        builder.connect().await.expect("it dials until there is a server")
    }

    /// Follows every room, from where the process before was.
    async fn follow(&self, positions: &[&str]) -> JoinSet<()> {
        let mut following = JoinSet::new();
        let client = self.connect().await;
        for room in ROOMS {
            let position = positions.iter().find_map(|text| at(text, room));
            let mut subscribe = client.subscribe(Room(room.to_owned()));
            if let Some(position) = position {
                subscribe = subscribe.from(position);
            }
            let subscription = subscribe.await.expect("everybody may follow");
            let (who, room) = (format!("f{}", self.process), room.to_owned());
            let after = position.map(|position| position.ts.0);
            say(&Line::Follows { who: who.clone(), room: room.clone(), after });
            following.spawn(see(who, room, subscription, client.clone()));
        }
        following
    }
}

/// Where a follower was in a room, as `<room>:<epoch>:<ts>`.
fn at(text: &str, room: &str) -> Option<Position> {
    let (epoch, ts) = text.strip_prefix(room)?.strip_prefix(':')?.split_once(':')?;
    Some(Position { epoch: Epoch(epoch.parse().ok()?), ts: TopicSeq(ts.parse().ok()?) })
}

/// Says what comes, until the last command's event has come. The client lives as long.
async fn see(
    who: String,
    room: String,
    mut subscription: Subscription<Room>,
    _client: HistoryClient,
) {
    while let Some(item) = subscription.next().await {
        let (who, room) = (who.clone(), room.clone());
        match item {
            Item::Event(HistoryEvent::Wrote { name, receipt, .. }) => {
                let at = subscription.position().expect("an event has a position");
                let (epoch, ts, last) = (at.epoch.0, at.ts.0, name.starts_with(LAST));
                say(&Line::Saw { who, room, epoch, ts, name, receipt });
                if last {
                    return;
                }
            }
            Item::Event(HistoryEvent::Unknown(unknown)) => panic!("{unknown:?}"),
            Item::Gap(gap) => say(&Line::Gap { who, room, reason: format!("{:?}", gap.reason) }),
        }
    }
}

/// A connection that writes.
struct Writer {
    who: String,
    process: u64,
    life: u64,
    named: bool,
    client: HistoryClient,
    /// Calls so far.
    calls: Arc<AtomicU64>,
}

impl Writer {
    async fn new(me: &Me, number: u64) -> Self {
        let Me { process, life, named, .. } = *me;
        let (who, client) = (format!("c{process}.{life}.{number}"), me.connect().await);
        Self { who, process, life, named, client, calls: Arc::default() }
    }

    async fn work(self, again: Vec<(String, String)>, stop: watch::Receiver<bool>) {
        let mut again = again.into_iter();
        let mut under_way = FuturesUnordered::new();
        let mut count = 0;
        while !*stop.borrow() || !under_way.is_empty() {
            while under_way.len() < WINDOW && !*stop.borrow() {
                let (room, name) = again.next().unwrap_or_else(|| {
                    count += 1;
                    let room = ROOMS[(count % ROOMS.len() as u64) as usize].to_owned();
                    // Both writers of a process have the same names.
                    (room, format!("n{}.{}.{count}", self.process, self.life))
                });
                under_way.push(self.write(room, name));
            }
            under_way.next().await;
        }
    }

    /// Asks for a command, until it is known what came of it, as far as that can be.
    fn write(&self, room: String, name: String) -> impl Future<Output = ()> + use<> {
        let asking = Asking {
            who: self.who.clone(),
            named: self.named,
            client: self.client.clone(),
            calls: Arc::clone(&self.calls),
        };
        // The first call is made here, so that calls are in the order of their numbers.
        let first = asking.ask(room.clone(), name.clone());
        async move {
            let mut answer = told(&asking.who, first).await;
            for _ in 1..TRIES {
                if !asking.named || matches!(answer, Answer::Done { .. }) {
                    return;
                }
                answer = told(&asking.who, asking.ask(room.clone(), name.clone())).await;
            }
        }
    }

    async fn write_the_last(mut self) {
        self.named = true;
        for room in ROOMS {
            self.write(room.to_owned(), format!("{LAST}{room}")).await;
        }
    }
}

/// What it takes to ask for a command once more.
struct Asking {
    who: String,
    named: bool,
    client: HistoryClient,
    calls: Arc<AtomicU64>,
}

type Asked = (u64, Call<u64, NoError>);

impl Asking {
    fn ask(&self, room: String, name: String) -> Asked {
        let op = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let name = if self.named { name } else { format!("{}/{op}", self.who) };
        let (who, ordered) = (self.who.clone(), !self.named);
        say(&Line::Asked { who, op, room: room.clone(), name: name.clone(), ordered });
        let call = match self.named {
            true => self.client.write_once(room, name),
            false => self.client.write(room, name),
        };
        (op, call)
    }
}

/// Waits for the outcome, as long as it takes.
async fn told(who: &str, (op, mut call): Asked) -> Answer {
    let answer = loop {
        break match (&mut call).await {
            Ok(receipt) => Answer::Done { receipt },
            Err(CallError::Timeout) => continue,
            // What a handler that failed has published is not committed.
            Err(error @ (CallError::HandlerFailed | CallError::HandlerTimedOut)) => {
                Answer::NotDone { why: error.to_string() }
            }
            Err(error) if !error.maybe_executed() => Answer::NotDone { why: error.to_string() },
            Err(_) => Answer::Unknown,
        };
    };
    say(&Line::Told { who: who.to_owned(), op, answer: answer.clone() });
    answer
}
