//! Clients as small as they can be, so that the server is what is measured: one task per
//! connection, batches in and batches out, the same loop for both peers. What is said is up to a
//! [`Speaker`].

mod ours;
mod raw;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

pub use ours::Ours;
pub use raw::Raw;

use crate::Failure;
use crate::protocol::Posted;
use crate::settings::READ_BUFFER;

pub type Ws = WebSocketStream<TcpStream>;

/// What a message is.
#[derive(Debug)]
pub enum Heard {
    /// The reply to the oldest unanswered request, with its body.
    Reply(Bytes),
    Event,
    /// From here on events arrive.
    Followed,
    Nothing,
}

/// A client's end of a wire protocol on one connection.
pub trait Speaker: Send + Sized + 'static {
    /// The WebSocket subprotocol to ask for.
    const SUBPROTOCOL: Option<&'static str>;

    /// Does the handshake.
    fn begin(ws: &mut Ws) -> impl Future<Output = Result<Self, Failure>> + Send;
    fn post(&mut self) -> Message;
    fn burst(&mut self, events: u32, text: &str) -> Message;
    fn fetch(&mut self, bytes: u32) -> Message;
    fn follow(&mut self) -> Message;

    /// # Errors
    /// When the server broke the rules.
    fn hear(&mut self, message: Message) -> Result<Heard, Failure>;

    /// An ack that no other message has carried, if one is due.
    fn owed(&mut self, idle: bool) -> Option<Message>;
}

/// A connection.
pub struct Client<S> {
    ws: Ws,
    speaker: S,
}

/// What all connections of a row have heard together.
#[derive(Debug, Default)]
pub struct Tally {
    heard: AtomicU64,
    batches: AtomicU64,
    awaited: AtomicU64,
    reached: Notify,
}

impl Tally {
    /// How many replies or events.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Acquire)
    }

    /// How many times there was something to read.
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Acquire)
    }

    fn add(&self, heard: u64) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        let total = self.heard.fetch_add(heard, Ordering::AcqRel) + heard;
        if total == self.awaited.load(Ordering::Acquire) {
            self.reached.notify_one();
        }
    }

    /// Waits for a total. Only one may wait at a time.
    pub async fn reach(&self, total: u64) {
        self.awaited.store(total, Ordering::Release);
        while self.heard() < total {
            self.reached.notified().await;
        }
    }
}

impl<S: Speaker> Client<S> {
    pub async fn connect(port: u16) -> Result<Self, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut request = format!("ws://127.0.0.1:{port}/").into_client_request()?;
        if let Some(name) = S::SUBPROTOCOL {
            request
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
        }
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let (mut ws, _) = client_async_with_config(request, stream, Some(config)).await?;
        let speaker = S::begin(&mut ws).await?;
        Ok(Self { ws, speaker })
    }

    /// Keeps `window` posts under way, until it is aborted.
    pub async fn post(mut self, window: usize, tally: Arc<Tally>) -> Result<(), Failure> {
        for _ in 0..window {
            self.ws.feed(self.speaker.post()).await?;
        }
        loop {
            self.ws.flush().await?;
            let replies = self.hear_batch(|body| {
                let posted: Posted = serde_json::from_slice(&body)?;
                std::hint::black_box(posted.id);
                Ok(())
            });
            let replies = replies.await?;
            tally.add(replies);
            for _ in 0..replies {
                self.ws.feed(self.speaker.post()).await?;
            }
        }
    }

    /// Follows the feed until it is aborted. `ready` is told when it will miss no event.
    pub async fn follow(mut self, ready: Arc<Tally>, tally: Arc<Tally>) -> Result<(), Failure> {
        self.ws.send(self.speaker.follow()).await?;
        while !matches!(self.hear().await?, Heard::Followed) {}
        ready.add(1);
        loop {
            let events = self.hear_batch(|_| Ok(())).await?;
            tally.add(events);
            self.settle(false).await?;
        }
    }

    /// Publishes bursts until it is aborted, each when everybody has the one before.
    pub async fn publish(
        mut self,
        events: u32,
        text: String,
        followers: u64,
        tally: Arc<Tally>,
    ) -> Result<(), Failure> {
        loop {
            let total = tally.heard() + u64::from(events) * followers;
            self.ws.send(self.speaker.burst(events, &text)).await?;
            while !matches!(self.hear().await?, Heard::Reply(_)) {}
            tally.reach(total).await;
        }
    }

    /// Asks for `replies` pages at once, and reads and acknowledges all of them.
    pub async fn fetch(&mut self, replies: u32, bytes: u32) -> Result<(), Failure> {
        for _ in 0..replies {
            self.ws.feed(self.speaker.fetch(bytes)).await?;
        }
        self.ws.flush().await?;
        let mut heard = 0;
        while heard < u64::from(replies) {
            heard += self.hear_batch(|_| Ok(())).await?;
        }
        self.settle(true).await
    }

    async fn settle(&mut self, idle: bool) -> Result<(), Failure> {
        if let Some(message) = self.speaker.owed(idle) {
            self.ws.send(message).await?;
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<Heard, Failure> {
        let message = self.ws.next().await.ok_or("the server closed the connection")?;
        self.speaker.hear(message?)
    }

    /// Waits for a message, takes whatever else is there, and counts replies and events.
    async fn hear_batch(
        &mut self,
        reply: impl Fn(Bytes) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let mut count = 0;
        while count == 0 {
            let mut next = Some(self.hear().await?);
            while let Some(heard) = next {
                match heard {
                    Heard::Reply(body) => {
                        reply(body)?;
                        count += 1;
                    }
                    Heard::Event => count += 1,
                    Heard::Followed | Heard::Nothing => {}
                }
                next = self.hear().now_or_never().transpose()?;
            }
        }
        Ok(count)
    }
}
