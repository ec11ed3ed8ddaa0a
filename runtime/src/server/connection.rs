//! One socket's task: read what is there, one turn of the node, write what there is to write, wait.
//! Keeps the socket and its write deadline, and decides nothing.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use super::auth::Shown;
use super::engine::Engine;
use super::registry::ConnHandle;
use super::settings::NodeSettings;
use super::state::State;
use crate::host;
use crate::session::node::ConnId;
use crate::session::{Close, CloseCode, Now};
use crate::transport::{Inbound, Socket};
use crate::wire::{ClientFrame, Codec, Outgoing, ServerFrame};

/// Messages taken from the node in one pass under its lock, so that one connection does not hold
/// the others up.
const SENT_PER_PASS: usize = 64;

thread_local! {
    /// Room that the connections of a thread use one after another.
    static FRAMES: Cell<Vec<ClientFrame>> = const { Cell::new(Vec::new()) };
    static MESSAGES: Cell<Vec<Outgoing>> = const { Cell::new(Vec::new()) };
}

struct Connection<S> {
    engine: Arc<Engine>,
    socket: Socket<S>,
    conn: ConnId,
    handle: Arc<ConnHandle>,
    codec: Codec,
    settings: NodeSettings,
    greeted: bool,
    /// The node has more than the write buffer had room for.
    starved: bool,
    stall: Option<Stall>,
    disconnect: Disconnect,
}

/// Something waits to be written, and the peer takes nothing.
struct Stall {
    written: u64,
    until: Pin<Box<Sleep>>,
}

/// What a wait brought.
#[derive(Default)]
struct Ready {
    frames: Vec<ClientFrame>,
    alive: bool,
    end: Option<End>,
}

/// How a socket ends.
enum End {
    /// The peer closed, or is gone.
    Peer(Close),
    /// This end closes; `broken` if what the peer sends can't be read any more.
    Own { close: Close, broken: bool },
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
        let (greeted, starved, stall) = (false, false, None);
        Self { engine, socket, conn, handle, codec, settings, greeted, starved, stall, disconnect }
    }

    async fn serve(&mut self) -> End {
        loop {
            let ready = poll_fn(|cx| self.poll_ready(cx)).await;
            let taken = self.turn(ready.frames, ready.alive);
            self.send(taken);
            if let Some(end) = ready.end {
                return end;
            }
            if let Some(close) = self.handle.take_close() {
                return End::Own { close, broken: false };
            }
        }
    }

    /// Writes what waits, reads what is there; ready if anything is to be done.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Ready> {
        let mut ready = Ready { frames: FRAMES.take(), ..Ready::default() };
        let mut work = self.handle.wake.poll(cx);
        match self.socket.poll_drain(cx) {
            Poll::Ready(Ok(())) => self.stall = None,
            Poll::Ready(Err(error)) => {
                ready.end = Some(End::Peer(Close {
                    code: None,
                    reason: format!("writing failed: {error}").into(),
                }));
                return Poll::Ready(ready);
            }
            Poll::Pending => {
                if self.poll_stall(cx).is_ready() {
                    let close = Close::new(CloseCode::SLOW, "the peer reads too slowly");
                    ready.end = Some(End::Own { close, broken: true });
                    return Poll::Ready(ready);
                }
            }
        }
        work |= self.starved && self.socket.has_room();
        self.poll_frames(cx, &mut ready);
        if work || ready.alive || ready.end.is_some() || !ready.frames.is_empty() {
            self.handle.wake.rest();
            return Poll::Ready(ready);
        }
        FRAMES.set(ready.frames);
        Poll::Pending
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>, ready: &mut Ready) {
        while ready.frames.len() < self.engine.env.transport.messages_per_turn {
            match self.socket.poll_read(cx) {
                Poll::Pending => return,
                Poll::Ready(Inbound::Alive) => {
                    ready.alive = true;
                    // Pings are answered by the socket itself; a peer that sends nothing else must
                    // not hold the task.
                    return cx.waker().wake_by_ref();
                }
                Poll::Ready(Inbound::Ended(close)) => {
                    ready.end = Some(End::Peer(close));
                    return;
                }
                Poll::Ready(Inbound::Broken(close)) => {
                    ready.end = Some(End::Own { close, broken: true });
                    return;
                }
                Poll::Ready(Inbound::Message(message)) => match self.codec.read_client(&message) {
                    Ok(frame) => {
                        self.greet();
                        ready.frames.push(frame);
                    }
                    Err(error) => {
                        tracing::debug!(conn = self.conn.0, %error, "not a frame");
                        let close = Close {
                            code: Some(CloseCode::MALFORMED),
                            reason: error.to_string().into(),
                        };
                        ready.end = Some(End::Own { close, broken: true });
                        return;
                    }
                },
            }
        }
    }

    fn greet(&mut self) {
        if !self.greeted {
            self.greeted = true;
            self.socket.set_message_bytes(self.engine.env.config.frame_bytes as usize);
        }
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let written = self.socket.written();
        let patience = Duration::from_millis(self.engine.env.transport.write_timeout_ms);
        let stall =
            self.stall.get_or_insert_with(|| Stall { written, until: host::sleep(patience) });
        if stall.written != written {
            *stall = Stall { written, until: host::sleep(patience) };
        }
        stall.until.as_mut().poll(cx)
    }

    /// Hands frames to the node, and takes what it has to send as long as there is room.
    fn turn(&mut self, mut frames: Vec<ClientFrame>, alive: bool) -> Vec<Outgoing> {
        let (conn, mut outbox) = (self.conn, Taken::new(self.socket.room()));
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
                        state.registry.introduce(conn, hello.instance);
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
        for message in messages.drain(..) {
            match message {
                Outgoing::Shared(bytes) => {
                    self.socket.send_unmasked(|out| out.extend_from_slice(&bytes))
                }
                Outgoing::Frame(frame) => {
                    self.socket.send_unmasked(|out| self.codec.write_server(&frame, out));
                    if matches!(frame, ServerFrame::Ping { .. }) {
                        self.socket.ping();
                    }
                }
            }
        }
        MESSAGES.set(messages);
    }

    /// Writes what is left and closes, within a bounded time.
    async fn close(mut self: Box<Self>, end: End) {
        let (End::Peer(close) | End::Own { close, .. }) = &end;
        tracing::debug!(conn = self.conn.0, %close, "disconnected");
        self.disconnect.close = Some(close.clone());
        let limit = Duration::from_millis(self.engine.env.transport.close_timeout_ms);
        let _ = tokio::time::timeout(limit, async {
            match end {
                // Nothing more can come: the node need not wait for the closing handshake.
                End::Peer(_) => {
                    self.disconnect.tell();
                    self.socket.finish_close();
                    let _ = poll_fn(|cx| self.socket.poll_drain(cx)).await;
                }
                End::Own { close, broken } => {
                    if broken {
                        self.disconnect.tell();
                    } else {
                        self.send_rest().await;
                    }
                    self.socket.start_close(&close);
                    poll_fn(|cx| self.socket.poll_closed(cx, broken)).await;
                }
            }
        })
        .await;
    }

    async fn send_rest(&mut self) {
        loop {
            let _ = poll_fn(|cx| self.socket.poll_drain(cx)).await;
            let taken = self.turn(Vec::new(), false);
            if taken.is_empty() {
                return;
            }
            self.send(taken);
        }
    }
}

/// What is taken from the node in one turn.
struct Taken {
    messages: Vec<Outgoing>,
    room: usize,
    more: bool,
}

impl Taken {
    fn new(room: usize) -> Self {
        Self { messages: MESSAGES.take(), room, more: false }
    }

    fn fill(&mut self, now: Now, state: &mut State, conn: ConnId) {
        self.more = false;
        while self.room > 0 && self.messages.len() < SENT_PER_PASS {
            let Some(message) = state.node.poll_transmit(now, conn) else { return };
            self.room = self.room.saturating_sub(estimate(&message));
            self.messages.push(message);
        }
        self.more = true;
    }
}

/// Bytes on the wire, roughly.
fn estimate(message: &Outgoing) -> usize {
    const HEAD_BYTES: usize = 64;
    HEAD_BYTES
        + match message {
            Outgoing::Shared(bytes) => bytes.len(),
            Outgoing::Frame(
                ServerFrame::Result { body, .. }
                | ServerFrame::Failed { body, .. }
                | ServerFrame::Event { body, .. }
                | ServerFrame::Snapshot { body, .. }
                | ServerFrame::TopicVolatile { body, .. },
            ) => body.len(),
            Outgoing::Frame(_) => 0,
        }
}
