//! The reference: a plain tokio-tungstenite server with serde_json, as good as that library allows.
//! Replies are fed while requests are ready and then flushed once; events are encoded once and
//! cloned. It has no sequences, acks, dedupe or resume.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

use crate::Failure;
use crate::peer::Role;
use crate::protocol::{
    BenchCommandBurst, BenchCommandFetch, BenchCommandPost, BenchEventTicked, FEED, Page, Posted,
};
use crate::settings::{READ_BUFFER, SMALL_READ_BUFFER};

type Ws = WebSocketStream<TcpStream>;

/// What a subscriber of the feed says first.
pub const FOLLOW: &str = "follow";

struct Shared {
    posts: AtomicU64,
    feed: broadcast::Sender<Utf8Bytes>,
}

pub async fn serve(listener: TcpListener, role: Role) -> Result<(), Failure> {
    let shared = Arc::new(Shared { posts: AtomicU64::new(0), feed: broadcast::Sender::new(1024) });
    let read_buffer = if role == Role::Fetch { SMALL_READ_BUFFER } else { READ_BUFFER };
    let config = WebSocketConfig::default().read_buffer_size(read_buffer);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let Ok(ws) = accept_async_with_config(stream, Some(config)).await else { return };
            // A client that has gone is not a failure.
            let _ = match role {
                Role::Post => answer(ws, |text| reply(&post(&shared, text))).await,
                Role::Fetch => answer(ws, |text| reply(&fetch(text))).await,
                Role::Feed => feed(ws, &shared).await,
            };
        });
    }
}

/// Feeds replies while requests are ready, and flushes once.
async fn answer(mut ws: Ws, reply: impl Fn(&str) -> Message) -> Result<(), Error> {
    while let Some(first) = ws.next().await {
        let mut next = Some(first);
        while let Some(message) = next {
            if let Message::Text(text) = message? {
                ws.feed(reply(&text)).await?;
            }
            next = ws.next().now_or_never().flatten();
        }
        ws.flush().await?;
    }
    Ok(())
}

fn post(shared: &Shared, text: &str) -> Option<Posted> {
    let post: BenchCommandPost = serde_json::from_str(text).ok()?;
    std::hint::black_box(post);
    Some(Posted { id: shared.posts.fetch_add(1, Ordering::Relaxed) })
}

fn fetch(text: &str) -> Option<Page> {
    let fetch: BenchCommandFetch = serde_json::from_str(text).ok()?;
    Some(Page { text: "x".repeat(fetch.bytes as usize) })
}

fn reply(reply: &impl Serialize) -> Message {
    Message::text(serde_json::to_string(reply).unwrap_or_default())
}

/// Serves a publisher, until it says that it follows.
async fn feed(mut ws: Ws, shared: &Shared) -> Result<(), Error> {
    while let Some(message) = ws.next().await {
        let Message::Text(text) = message? else { continue };
        if text.as_str() == FOLLOW {
            let events = shared.feed.subscribe();
            // From here on the client will miss nothing.
            ws.send(Message::text(FOLLOW)).await?;
            return follow(ws, events).await;
        }
        if let Ok(burst) = serde_json::from_str::<BenchCommandBurst>(&text) {
            for _ in 0..burst.events {
                let event = BenchEventTicked { feed: FEED, text: burst.text.clone() };
                let _ = shared.feed.send(serde_json::to_string(&event).unwrap_or_default().into());
            }
            ws.send(Message::text("{}")).await?;
        }
    }
    Ok(())
}

/// Feeds events while there are any, and flushes once.
async fn follow(mut ws: Ws, mut events: broadcast::Receiver<Utf8Bytes>) -> Result<(), Error> {
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(event) => {
                    ws.feed(Message::Text(event)).await?;
                    while let Ok(event) = events.try_recv() {
                        ws.feed(Message::Text(event)).await?;
                    }
                    ws.flush().await?;
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
            message = ws.next() => match message {
                Some(message) => drop(message?),
                None => return Ok(()),
            },
        }
    }
}
