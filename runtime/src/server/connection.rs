//! One socket's task: read what is there, one turn of the node, write what there is to write, wait.
//! Owns the socket and its write deadline; decides nothing.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use super::cx::Settings;
use super::shared::{Inner, Link, Shared, Shown};
use crate::session::node::ConnId;
use crate::session::{Close, CloseCode, Now};
use crate::transport::{Arrivals, FRAMES_PER_PASS, Pump, Socket, SocketEnd, outgoing_bytes};
use crate::wire::{ClientFrame, Codec, Outgoing, ServerFrame};

/// The longest HELLO (PROTOCOL.md 2.3).
pub(super) const HELLO_BYTES: usize = 64 * 1024;

thread_local! {
    /// Room that the connections of a thread use one after another.
    static FRAMES: Cell<Vec<ClientFrame>> = const { Cell::new(Vec::new()) };
    static MESSAGES: Cell<Vec<Outgoing>> = const { Cell::new(Vec::new()) };
}

struct Connection<S> {
    shared: Arc<Shared>,
    pump: Pump<S>,
    conn: ConnId,
    link: Arc<Link>,
    codec: Codec,
    settings: Settings,
    greeted: bool,
    /// The node has more than the write buffer had room for.
    starved: bool,
    disconnect: Disconnect,
}

/// Counts a socket for as long as it lives.
pub(super) struct Counted(Arc<Shared>);

impl Counted {
    /// One more, if there may be.
    pub(super) fn admit(shared: &Arc<Shared>) -> Option<Self> {
        let limit = shared.limits.connections as usize;
        let admitted = shared.sockets.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
            (count < limit).then_some(count + 1)
        });
        admitted.ok().map(|_| Self(Arc::clone(shared)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.socket_gone();
    }
}

/// Serves a socket to its end.
///
/// What lives as long as the connection is boxed, so that the task around it is not as large as its
/// largest moment.
pub(super) fn run<S>(
    shared: Arc<Shared>,
    socket: Socket<S>,
    codec: Codec,
    shown: Shown,
) -> impl Future<Output = ()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = Box::new(Connection::open(shared, socket, codec, shown));
    async move {
        let end = connection.serve().await;
        Box::pin(connection.close(end)).await;
    }
}

/// Tells the node that a socket is gone, even if its task is dropped.
struct Disconnect {
    shared: Arc<Shared>,
    conn: ConnId,
    close: Option<Close>,
    told: bool,
}

impl Disconnect {
    fn tell(&mut self) {
        if let Some(close) = self.close.take() {
            self.told = true;
            self.shared.disconnect(self.conn, close);
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
    fn open(shared: Arc<Shared>, socket: Socket<S>, codec: Codec, shown: Shown) -> Self {
        let (conn, link) = shared.connect(codec, shown);
        tracing::debug!(conn = conn.0, "connected");
        let disconnect = Disconnect { shared: Arc::clone(&shared), conn, close: None, told: false };
        let settings = Arc::new(Arc::clone(&shared.config));
        let slow = Close::new(CloseCode::SLOW, "the peer reads too slowly");
        let pump = Pump::new(socket, &shared.transport, slow);
        let (greeted, starved) = (false, false);
        Self { shared, pump, conn, link, codec, settings, greeted, starved, disconnect }
    }

    async fn serve(&mut self) -> SocketEnd {
        loop {
            let ready = poll_fn(|cx| self.poll_ready(cx)).await;
            let taken = self.turn(ready.frames, ready.alive);
            self.send(taken);
            if let Some(end) = ready.end {
                return end;
            }
            if let Some(close) = self.link.take_close() {
                return SocketEnd::Own { close, broken: false };
            }
        }
    }

    /// Writes what waits, reads what is there; ready if anything is to be done.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Arrivals<ClientFrame>> {
        let mut arrivals = Arrivals::into(FRAMES.take());
        let mut work = self.link.wake.poll(cx);
        let (codec, greeted) = (self.codec, &mut self.greeted);
        let frame_bytes = self.shared.config.frame_bytes as usize;
        self.pump.poll(cx, &mut arrivals, |socket, message| {
            let frame = codec.read_client(message)?;
            if !std::mem::replace(greeted, true) {
                socket.set_message_bytes(frame_bytes);
            }
            Ok(frame)
        });
        work |= self.starved && self.pump.socket().has_room();
        if work || !arrivals.is_empty() {
            self.link.wake.rest();
            return Poll::Ready(arrivals);
        }
        FRAMES.set(arrivals.frames);
        Poll::Pending
    }

    /// Hands frames to the node, and takes what it has to send as long as there is room.
    fn turn(&mut self, mut frames: Vec<ClientFrame>, alive: bool) -> Vec<Outgoing> {
        let (conn, mut outbox) = (self.conn, Outbox::new(self.pump.socket().room()));
        let link = Arc::clone(&self.link);
        let shared = Arc::clone(&self.shared);
        shared.turn_and(
            &self.settings,
            |now, inner| {
                if alive {
                    inner.node.handle_alive(now, conn);
                }
                for frame in frames.drain(..) {
                    if let ClientFrame::Hello(hello) = &frame {
                        inner.introduce(conn, hello.instance);
                    }
                    inner.node.handle_frame(now, conn, frame);
                }
            },
            |now, inner, wakes| {
                outbox.fill(now, inner, conn);
                if !outbox.more {
                    wakes.served(&link);
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
                Outgoing::Shared(bytes) => {
                    socket.send_unmasked(|out| out.extend_from_slice(&bytes));
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
        let limit = self.shared.transport.close_timeout;
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
            let taken = self.turn(Vec::new(), false);
            if taken.is_empty() {
                return;
            }
            self.send(taken);
        }
    }
}

/// What is taken from the node in one turn.
struct Outbox {
    messages: Vec<Outgoing>,
    room: usize,
    more: bool,
}

impl Outbox {
    fn new(room: usize) -> Self {
        Self { messages: MESSAGES.take(), room, more: false }
    }

    fn fill(&mut self, now: Now, inner: &mut Inner, conn: ConnId) {
        self.more = false;
        while self.room > 0 && self.messages.len() < FRAMES_PER_PASS {
            let Some(message) = inner.node.poll_transmit(now, conn) else { return };
            self.room = self.room.saturating_sub(outgoing_bytes(&message));
            self.messages.push(message);
        }
        self.more = true;
    }
}
