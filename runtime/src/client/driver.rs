//! The task that owns a client's socket: it dials when the core says so, reads what is there, lets
//! callers run, writes what they bring in one go. Decides nothing.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::watch;
use tokio::time::Sleep;

use super::dial::{Dialled, Endpoint, Refused};
use super::shared::{Order, Shared};
use super::state::ConnectionState;
use crate::host::{self, BoxFuture};
use crate::session::client::DialReason;
use crate::session::{Close, CloseCode, Now};
use crate::transport::{Inbound, Socket, Stream};
use crate::wire::{ClientFrame, Dial, ServerFrame};

/// Frames taken from the core in one pass under its lock.
const SENT_PER_PASS: usize = 64;

/// Calls that end in one pass from which on their callers get to run before what they bring is
/// written: with fewer, writing at once overlaps better with the server's work.
const CROWD: usize = 4;

struct Driver {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    link: Link,
    timer: Option<(Now, Pin<Box<Sleep>>)>,
    scratch: BytesMut,
    /// Whether WELCOME has ever arrived.
    known: bool,
    alive: watch::Receiver<()>,
}

enum Link {
    None,
    Opening { dial: Dial, opening: BoxFuture<Result<Dialled, Refused>> },
    Open(Box<Open>),
}

struct Open {
    dial: Dial,
    socket: Socket<Stream>,
    starved: bool,
    stall: Option<(u64, Pin<Box<Sleep>>)>,
}

/// What a wait brought.
#[derive(Default)]
struct Ready {
    opened: Option<(Dial, Result<Dialled, Refused>)>,
    frames: Vec<(ServerFrame, usize)>,
    alive: bool,
    /// How the socket ended; `true` if this end still has to say so.
    ended: Option<(Close, bool)>,
}

/// Starts a client's task.
pub(super) fn start(shared: Arc<Shared>, endpoint: Endpoint) {
    let alive = shared.alive.subscribe();
    let driver = Driver {
        shared: Arc::clone(&shared),
        endpoint,
        link: Link::None,
        timer: None,
        scratch: BytesMut::new(),
        known: false,
        alive,
    };
    let ((), wakers) = shared.enter(|now, inner| inner.core.start(now));
    wakers.wake();
    host::spawn(driver.run());
}

impl Driver {
    async fn run(mut self) {
        self.orders();
        while !self.is_over() {
            let ready = poll_fn(|cx| self.poll_ready(cx)).await;
            let crowd = self.take(ready);
            if crowd {
                // Callers that were just woken put what they do next into the same write.
                tokio::task::yield_now().await;
            }
            self.send();
            self.orders();
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.link, Link::None) && self.shared.state.borrow().is_over()
    }

    // ---- waiting ----

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Ready> {
        let mut ready = Ready::default();
        let mut work = self.shared.wake.poll(cx);
        if let Some((_, timer)) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            self.timer = None;
            work = true;
        }
        match &mut self.link {
            Link::None => {}
            Link::Opening { dial, opening } => {
                if let Poll::Ready(opened) = opening.as_mut().poll(cx) {
                    ready.opened = Some((*dial, opened));
                    self.link = Link::None;
                    work = true;
                }
            }
            Link::Open(open) => work |= open.poll(cx, &self.shared, &self.endpoint, &mut ready),
        }
        if work { Poll::Ready(ready) } else { Poll::Pending }
    }

    // ---- one pass ----

    /// Hands everything to the core; whether many calls have ended by it.
    fn take(&mut self, ready: Ready) -> bool {
        let current = match &self.link {
            Link::Open(open) => Some(open.dial),
            _ => None,
        };
        let mut opened = None;
        let ((), wakers) = self.shared.enter(|now, inner| {
            if let Some((dial, result)) = ready.opened {
                match result {
                    Ok(Dialled { socket, token }) => {
                        inner.core.handle_connected(now, dial, token);
                        opened = Some(Open { dial, socket, starved: false, stall: None });
                    }
                    Err(Refused { close, retry_ms: None }) => {
                        inner.core.handle_closed(now, dial, close)
                    }
                    Err(Refused { close, retry_ms: Some(ms) }) => {
                        inner.core.handle_refused(now, dial, close, ms)
                    }
                }
            }
            if let Some(dial) = current {
                if ready.alive {
                    inner.core.handle_alive(now, dial);
                }
                for (frame, bytes) in ready.frames {
                    inner.core.handle_frame(now, dial, frame, bytes);
                }
                if let Some((close, _)) = &ready.ended {
                    inner.core.handle_closed(now, dial, close.clone());
                }
            }
            // Timers that are due are seen to together with what arrived, after it: a frame that
            // came in time counts.
            if inner.core.poll_timeout().is_some_and(|at| at <= now) {
                inner.core.handle_timeout(now);
            }
        });
        let crowd = wakers.resolved >= CROWD;
        wakers.wake();
        if let Some(open) = opened {
            self.link = Link::Open(Box::new(open));
        }
        if let Some((close, own)) = ready.ended
            && let Link::Open(open) = std::mem::replace(&mut self.link, Link::None)
        {
            self.let_go(*open, if own { Some(close) } else { None }, own);
        }
        crowd
    }

    /// Takes what the core has to send, as long as there is room.
    fn send(&mut self) {
        let Link::Open(open) = &mut self.link else {
            let (timeout, wakers) = self.shared.enter(|_, inner| inner.arm());
            wakers.wake();
            return self.arm(timeout);
        };
        loop {
            let mut frames = Vec::new();
            let mut room = open.socket.room();
            open.starved = true;
            let (timeout, wakers) = self.shared.enter(|now, inner| {
                while room > 0 && frames.len() < SENT_PER_PASS {
                    let Some(frame) = inner.core.poll_transmit(now, open.dial) else {
                        open.starved = false;
                        break;
                    };
                    room = room.saturating_sub(estimate(&frame));
                    frames.push(frame);
                }
                inner.arm()
            });
            wakers.wake();
            let more = frames.len() == SENT_PER_PASS;
            for frame in frames {
                self.scratch.clear();
                self.shared.codec.write_client(&frame, &mut self.scratch);
                open.socket.send_masked(self.scratch.split().freeze());
                if matches!(frame, ClientFrame::Ping { .. }) {
                    open.socket.ping();
                }
            }
            if !more || !open.socket.has_room() {
                return self.arm(timeout);
            }
        }
    }

    fn arm(&mut self, timeout: Option<Now>) {
        let Some(at) = timeout else { return };
        // One that comes too early finds nothing due, and is set anew.
        if self.timer.as_ref().is_none_or(|(armed, _)| at < *armed) {
            self.timer = Some((at, host::sleep_until(self.shared.clock.at(at))));
        }
    }

    /// Does what the core ordered.
    fn orders(&mut self) {
        loop {
            let (orders, wakers) = self.shared.enter(|_, inner| std::mem::take(&mut inner.orders));
            wakers.wake();
            if orders.is_empty() {
                return;
            }
            self.follow(orders);
        }
    }

    fn follow(&mut self, orders: VecDeque<Order>) {
        for order in orders {
            match order {
                Order::Dial(dial, reason) => self.dial(dial, reason),
                Order::Close(dial, close) => self.close(dial, close),
            }
        }
    }

    fn dial(&mut self, dial: Dial, reason: DialReason) {
        if let Link::Open(open) = std::mem::replace(&mut self.link, Link::None) {
            self.let_go(
                *open,
                Some(Close::new(CloseCode::GOING_AWAY, "a newer socket takes over")),
                false,
            );
        }
        let known = self.known();
        let opening = self.endpoint.clone().dial(reason, self.shared.codec, known);
        self.link = Link::Opening { dial, opening: Box::pin(opening) };
        // The new future has not been polled yet.
        self.shared.wake_task();
    }

    fn known(&mut self) -> bool {
        let state = self.shared.state.borrow();
        self.known |= matches!(
            *state,
            ConnectionState::Connected { .. } | ConnectionState::Reconnecting { .. }
        );
        self.known
    }

    fn close(&mut self, dial: Dial, close: Close) {
        match std::mem::replace(&mut self.link, Link::None) {
            Link::Open(open) if open.dial == dial => {
                self.link = Link::Open(open);
                // A last ACK waits.
                self.send();
                if let Link::Open(open) = std::mem::replace(&mut self.link, Link::None) {
                    self.let_go(*open, Some(close), false);
                }
            }
            Link::Opening { dial: opening, .. } if opening == dial => {}
            other => self.link = other,
        }
    }

    /// Ends a socket within a bounded time, beside the next one.
    fn let_go(&self, mut open: Open, close: Option<Close>, discard: bool) {
        let limit = Duration::from_millis(self.endpoint.transport.close_timeout_ms);
        let alive = self.alive.clone();
        host::spawn(async move {
            let _ = tokio::time::timeout(limit, async {
                match close {
                    Some(close) => {
                        open.socket.start_close(&close);
                        poll_fn(|cx| open.socket.poll_closed(cx, discard)).await;
                    }
                    None => {
                        open.socket.finish_close();
                        let _ = poll_fn(|cx| open.socket.poll_drain(cx)).await;
                    }
                }
            })
            .await;
            drop(open);
            drop(alive);
        });
    }
}

impl Open {
    /// Writes what waits, reads what is there; whether there is anything to do.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Shared,
        endpoint: &Endpoint,
        ready: &mut Ready,
    ) -> bool {
        match self.socket.poll_drain(cx) {
            Poll::Ready(Ok(())) => self.stall = None,
            Poll::Ready(Err(error)) => {
                let close = Close { code: None, reason: format!("writing failed: {error}").into() };
                ready.ended = Some((close, false));
                return true;
            }
            Poll::Pending => {
                if self.poll_stall(cx, endpoint.transport.write_timeout_ms).is_ready() {
                    ready.ended = Some((Close::lost("the server takes nothing"), true));
                    return true;
                }
            }
        }
        self.poll_frames(cx, shared, endpoint.transport.messages_per_turn, ready);
        (self.starved && self.socket.has_room())
            || ready.alive
            || ready.ended.is_some()
            || !ready.frames.is_empty()
    }

    fn poll_frames(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Shared,
        most: usize,
        ready: &mut Ready,
    ) {
        while ready.frames.len() < most {
            match self.socket.poll_read(cx) {
                Poll::Pending => return,
                Poll::Ready(Inbound::Alive) => {
                    ready.alive = true;
                    return cx.waker().wake_by_ref();
                }
                Poll::Ready(Inbound::Ended(close)) => {
                    ready.ended = Some((close, false));
                    return;
                }
                Poll::Ready(Inbound::Broken(close)) => {
                    ready.ended = Some((close, true));
                    return;
                }
                Poll::Ready(Inbound::Message(message)) => {
                    match shared.codec.read_server(&message) {
                        Ok(frame) => ready.frames.push((frame, message.len())),
                        Err(error) => {
                            let close = Close {
                                code: Some(CloseCode::MALFORMED),
                                reason: error.to_string().into(),
                            };
                            ready.ended = Some((close, true));
                            return;
                        }
                    }
                }
            }
        }
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>, timeout_ms: u64) -> Poll<()> {
        let written = self.socket.written();
        let fresh = || (written, host::sleep(Duration::from_millis(timeout_ms)));
        let stall = self.stall.get_or_insert_with(fresh);
        if stall.0 != written {
            *stall = fresh();
        }
        ready!(stall.1.as_mut().poll(cx));
        Poll::Ready(())
    }
}

/// Bytes on the wire, roughly.
fn estimate(frame: &ClientFrame) -> usize {
    const HEAD_BYTES: usize = 64;
    HEAD_BYTES
        + match frame {
            ClientFrame::Command(command) => command.body.len(),
            ClientFrame::Volatile { body, .. } => body.len(),
            _ => 0,
        }
}
