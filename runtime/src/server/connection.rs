//! One socket's task: read what is there, one turn of the node, write what there is to write, wait.
//! Keeps the socket and its write deadline, and decides nothing.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};

use super::auth::Shown;
use super::engine::Engine;
use super::registry::ConnHandle;
use super::settings::NodeSettings;
use super::state::State;
use crate::session::node::ConnId;
use crate::session::{Close, CloseCode, Now};
use crate::transport::{
    Arrivals, FRAMES_PER_PASS, Pump, Socket, SocketEnd, TooSlow, outgoing_bytes,
};
use crate::wire::{Body, ClientFrame, Codec, Outgoing, ServerFrame};

thread_local! {
    /// Room that the connections of a thread use one after another.
    static FRAMES: Cell<Vec<ClientFrame>> = const { Cell::new(Vec::new()) };
    static MESSAGES: Cell<Vec<Outgoing>> = const { Cell::new(Vec::new()) };
}

struct Connection<S> {
    engine: Arc<Engine>,
    pump: Pump<S>,
    conn: ConnId,
    handle: Arc<ConnHandle>,
    codec: Codec,
    settings: NodeSettings,
    /// The node has more than the write buffer had room for.
    starved: bool,
    disconnect: Disconnect,
}

/// Serves a socket to its end.
///
/// What lives as long as the connection is boxed, so that the task around it is not as large as its
/// largest moment.
pub(super) fn run<S>(
    engine: Arc<Engine>,
    socket: Socket<S>,
    codec: Codec,
    shown: Shown,
) -> impl Future<Output = ()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = Box::new(Connection::open(engine, socket, codec, shown));
    async move {
        let end = connection.serve().await;
        Box::pin(connection.close(end)).await;
    }
}

/// What a client that is too slow is told.
const TOO_SLOW: TooSlow = TooSlow {
    reading: Close::new(CloseCode::SLOW, "the peer reads too slowly"),
    writing: Close::new(CloseCode::SLOW, "a message took too long to arrive"),
};

/// Closes a socket that was upgraded only to say why it is not served, within a bounded time.
pub(super) async fn refuse<S>(engine: &Engine, socket: Socket<S>, close: Close)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    tracing::debug!(%close, "refused");
    let mut pump = Pump::new(socket, &engine.env.transport, TOO_SLOW);
    let end = SocketEnd::Own { close, broken: true };
    // Whoever does not close in time is dropped.
    let _ = tokio::time::timeout(engine.env.transport.close_timeout, pump.finish(&end)).await;
}

/// Bodies from here on are written from where they are, which others may share: so many followers
/// as a topic may have, its state is in memory once.
const SHARED_BYTES: usize = 16 * 1024;

fn is_long(body: &Body) -> bool {
    body.len() >= SHARED_BYTES
}

/// Tells the node that a socket is gone, even if its task is dropped.
struct Disconnect {
    engine: Arc<Engine>,
    conn: ConnId,
    close: Option<Close>,
    told: bool,
}

impl Disconnect {
    fn tell(&mut self) {
        if let Some(close) = self.close.take() {
            self.told = true;
            self.engine.disconnect(self.conn, close);
        }
    }
}

impl Drop for Disconnect {
    fn drop(&mut self) {
        if !self.told {
            self.close.get_or_insert_with(|| Close::lost("the connection's task was dropped"));
            self.tell();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn open(engine: Arc<Engine>, socket: Socket<S>, codec: Codec, shown: Shown) -> Self {
        let (conn, handle) = engine.connect(codec, shown);
        tracing::debug!(conn = conn.0, "connected");
        let disconnect = Disconnect { engine: Arc::clone(&engine), conn, close: None, told: false };
        let settings = engine.env.settings();
        let pump = Pump::new(socket, &engine.env.transport, TOO_SLOW);
        Self { engine, pump, conn, handle, codec, settings, starved: false, disconnect }
    }

    async fn serve(&mut self) -> SocketEnd {
        loop {
            let ready = poll_fn(|cx| self.poll_ready(cx)).await;
            let batch = self.turn(ready.frames, ready.alive);
            self.send(batch);
            if let Some(end) = ready.end {
                return end;
            }
            if let Some(close) = self.handle.take_close() {
                return SocketEnd::Own { close, broken: false };
            }
        }
    }

    /// Writes what waits, reads what is there; ready if anything is to be done.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Arrivals<ClientFrame>> {
        let mut arrivals = Arrivals::into(FRAMES.take());
        let mut work = self.handle.wake.poll(cx);
        let codec = self.codec;
        let read = |message: &[u8]| codec.read_client(message);
        // What is too long ends a client's socket (PROTOCOL.md 2.3).
        self.pump.poll(cx, &mut arrivals, read, |_| None);
        self.handle.unwritten.set(self.pump.socket().unwritten());
        work |= self.starved && self.pump.socket().has_room();
        if work || !arrivals.is_empty() {
            self.handle.wake.rest();
            return Poll::Ready(arrivals);
        }
        FRAMES.set(arrivals.frames);
        Poll::Pending
    }

    /// Hands frames to the node, and takes what it has to send as long as there is room.
    fn turn(&mut self, mut frames: Vec<ClientFrame>, alive: bool) -> Vec<Outgoing> {
        let (conn, mut outbox) = (self.conn, Batch::new(self.pump.socket().room()));
        let handle = Arc::clone(&self.handle);
        let engine = Arc::clone(&self.engine);
        engine.turn_with(
            &self.settings,
            |now, state| {
                if alive {
                    state.node.handle_alive(now, conn);
                }
                for frame in frames.drain(..) {
                    if let ClientFrame::Hello(hello) = &frame {
                        state.registry.introduce(conn, hello);
                    }
                    state.node.handle_frame(now, conn, frame);
                }
            },
            |now, state, wakes| {
                outbox.fill(now, state, conn);
                if !outbox.more {
                    wakes.served(&handle);
                }
            },
        );
        FRAMES.set(frames);
        self.starved = outbox.more;
        outbox.messages
    }

    fn send(&mut self, mut messages: Vec<Outgoing>) {
        let socket = self.pump.socket();
        for message in messages.drain(..) {
            match message {
                Outgoing::Shared(bytes) if bytes.len() >= SHARED_BYTES => {
                    socket.send_shared(&[], bytes, &[]);
                }
                Outgoing::Shared(bytes) => {
                    socket.send_unmasked(|out| out.extend_from_slice(&bytes));
                }
                Outgoing::Frame(frame) if frame.body().is_some_and(is_long) => {
                    let mut before = BytesMut::new();
                    let around = self.codec.write_around_body(frame, &mut before);
                    let (body, after) = around.expect("it has a body");
                    socket.send_shared(&before, body.into_bytes(), after);
                }
                Outgoing::Frame(frame) => {
                    socket.send_unmasked(|out| self.codec.write_server(&frame, out));
                    if matches!(frame, ServerFrame::Ping { .. }) {
                        socket.ping();
                    }
                }
            }
        }
        MESSAGES.set(messages);
    }

    /// Writes what is left and closes, within a bounded time.
    async fn close(mut self: Box<Self>, end: SocketEnd) {
        tracing::debug!(conn = self.conn.0, close = %end.close(), "disconnected");
        self.disconnect.close = Some(end.close().clone());
        let limit = self.engine.env.transport.close_timeout;
        // Whoever does not close in time is dropped.
        let _ = tokio::time::timeout(limit, async {
            match end {
                // Nothing more can come: the node need not wait for the closing handshake.
                SocketEnd::Peer(_) | SocketEnd::Own { broken: true, .. } => self.disconnect.tell(),
                SocketEnd::Own { broken: false, .. } => self.send_rest().await,
            }
            self.pump.finish(&end).await;
        })
        .await;
    }

    async fn send_rest(&mut self) {
        loop {
            let _ = poll_fn(|cx| self.pump.socket().poll_drain(cx)).await;
            let batch = self.turn(Vec::new(), false);
            if batch.is_empty() {
                return;
            }
            self.send(batch);
        }
    }
}

/// What is taken from the node in one turn.
struct Batch {
    messages: Vec<Outgoing>,
    room: usize,
    more: bool,
}

impl Batch {
    fn new(room: usize) -> Self {
        Self { messages: MESSAGES.take(), room, more: false }
    }

    fn fill(&mut self, now: Now, state: &mut State, conn: ConnId) {
        self.more = false;
        while self.room > 0 && self.messages.len() < FRAMES_PER_PASS {
            let Some(message) = state.node.poll_transmit(now, conn) else { return };
            self.room = self.room.saturating_sub(outgoing_bytes(&message));
            self.messages.push(message);
        }
        self.more = true;
    }
}
