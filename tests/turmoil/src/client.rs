//! A simulated client: it posts at random moments, follows both topics, and notes what it is told.
//! Whether that is right is for the ledger to say.

use std::time::Duration;

use futures_util::StreamExt;
use steadfast::NoError;
use steadfast::client::{Call, ConnectionState, Item, SnapshotReason};
use steadfast::wire::Position;

use crate::ledger::{Followed, Ledger, Outcome, Topic};
use crate::network::{self, PORT};
use crate::protocol::{Board, BoardClient, BoardEvent, Feed, Tag};
use crate::server::ONLY;
use crate::stage::Stage;

/// How many calls may be without an answer at a time.
const UNDER_WAY: usize = 12;

/// A builder of a stage's clients.
pub fn builder(stage: &Stage, who: u32, life: u32) -> steadfast::client::Builder<BoardClient> {
    let ledger = stage.ledger.clone();
    let dial = move |target| {
        let ledger = ledger.clone();
        async move { network::dial(target).await.inspect(|_| ledger.dialled(who)) }
    };
    BoardClient::builder(format!("ws://server:{PORT}/"))
        .connector(dial)
        .configure(|config| {
            config.backoff.base = Duration::from_millis(100);
            config.backoff.cap = Duration::from_secs(1);
            config.backoff.attempts = None;
            config.backoff.elapsed = None;
            config.dial_timeout = Duration::from_secs(2);
            config.welcome_timeout = Duration::from_secs(2);
        })
        .insecure_seed(
            stage.seed.wrapping_mul(31).wrapping_add(u64::from(who) << 32 | u64::from(life)),
        )
}

/// A client's life, until the stage is over.
pub(crate) async fn run(stage: Stage, who: u32) -> turmoil::Result {
    let life = stage.ledger.client_starts(who);
    let mut random =
        fastrand::Rng::with_seed(stage.seed ^ u64::from(who) << 20 ^ u64::from(life) << 40);
    let client = builder(&stage, who, life).connect_lazily()?;
    let (board, feed) =
        (follow_board(&client, &stage.ledger, who), follow_feed(&client, &stage.ledger, who));
    let watch = watch(&client, &stage.ledger, who);
    let talk = async {
        let mut tag = Tag { who, life, number: 0 };
        while !stage.is_closing() {
            tokio::time::sleep(Duration::from_millis(random.u64(0..600))).await;
            tag.number += if tag.is_ordered() == random.bool() { 2 } else { 1 };
            if stage.ledger.pending(who) < UNDER_WAY {
                post(&client, &stage.ledger, tag, random.u64(0..900));
            }
        }
        tag.number |= 1;
        loop {
            tag.number += 2;
            stage.ledger.posting(tag);
            let outcome = outcome(client.pin(tag)).await;
            stage.ledger.told(tag, outcome);
            if matches!(outcome, Outcome::Done(_)) {
                break;
            }
        }
        stage.ledger.finished(who);
        stage.told_to_end().await;
    };
    tokio::select! {
        biased;
        () = watch => {}
        () = board => stage.ledger.wrong(format_args!("client {who} lost the board")),
        () = feed => stage.ledger.wrong(format_args!("client {who} lost the feed")),
        () = talk => {}
    }
    client.close().await;
    Ok(())
}

/// Makes a call. The answer is noted whenever it comes.
pub fn post(client: &BoardClient, ledger: &Ledger, tag: Tag, ms: u64) {
    ledger.posting(tag);
    let call = if tag.is_ordered() { client.pin(tag) } else { client.pin_later(tag, ms) };
    let ledger = ledger.clone();
    tokio::task::spawn_local(async move { ledger.told(tag, outcome(call).await) });
}

async fn outcome(call: Call<u64, NoError>) -> Outcome {
    match call.settled().await {
        Ok(reply) => Outcome::Done(reply),
        Err(error) if error.maybe_executed() => Outcome::Unknown,
        Err(_) => Outcome::NotExecuted,
    }
}

async fn watch(client: &BoardClient, ledger: &Ledger, who: u32) {
    let mut state = client.state();
    loop {
        let line = match &*state.borrow_and_update() {
            ConnectionState::Connected { resumed, .. } => {
                if *resumed {
                    ledger.once("a session was resumed");
                }
                format!("is connected, resumed: {resumed}")
            }
            ConnectionState::Reconnecting { attempt, reason, next_dial, .. } => {
                format!(
                    "reconnects, attempt {attempt}, waits: {}, after: {reason}",
                    next_dial.is_some()
                )
            }
            ConnectionState::Failed { reason } => {
                ledger.wrong(format_args!("client {who} gave up: {reason}"));
                "has failed".to_owned()
            }
            other => format!("{other:?}"),
        };
        ledger.line(format_args!("client {who} {line}"));
        if state.changed().await.is_err() {
            return;
        }
    }
}

/// Follows the board for as long as that is possible.
pub async fn follow_board(client: &BoardClient, ledger: &Ledger, who: u32) {
    let Ok(mut items) = client.subscribe(Board(ONLY)).await else { return };
    while let Some(item) = items.next().await {
        let Some(at) = items.position() else { continue };
        let followed = match item {
            Item::Event(BoardEvent::Pinned { tag, .. }) => Followed::Event { at, tag },
            Item::Snapshot { state, reason: SnapshotReason::Initial } => {
                Followed::Snapshot { at, tags: state.tags, gap: None }
            }
            Item::Snapshot { state, reason: SnapshotReason::Gap(gap) } => {
                Followed::Snapshot { at, tags: state.tags, gap: Some(gap.last) }
            }
            Item::Event(other) => {
                return ledger.wrong(format_args!("client {who} sees {other:?} on the board"));
            }
        };
        ledger.saw(who, Topic::Board, &followed);
    }
}

/// Follows the feed for as long as that is possible.
pub async fn follow_feed(client: &BoardClient, ledger: &Ledger, who: u32) {
    let Ok(mut items) = client.subscribe(Feed(ONLY)).await else { return };
    while let Some(item) = items.next().await {
        let followed = match item {
            Item::Event(BoardEvent::Happened { tag, .. }) => match items.position() {
                Some(at) => Followed::Event { at, tag },
                None => {
                    return ledger.wrong(format_args!("client {who} got {tag} without a position"));
                }
            },
            Item::Gap(gap) => Followed::Gap {
                last: gap.last,
                at: Position { epoch: gap.epoch, ts: gap.resumes_after },
            },
            Item::Event(other) => {
                return ledger.wrong(format_args!("client {who} sees {other:?} in the feed"));
            }
        };
        ledger.saw(who, Topic::Feed, &followed);
    }
}
