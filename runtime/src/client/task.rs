//! The task that owns a client's socket: it dials when the core says so, reads what is there, lets
//! callers run, writes what they bring in one go. It decides nothing.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;
use tokio::time::Sleep;

use super::dial::{Dialled, Endpoint, NoSocket};
use super::shared::{SharedClient, SocketRequest};
use crate::host::{self, BoxFuture};
use crate::session::client::DialReason;
use crate::session::{Close, Now};
use crate::transport::{
    Arrivals, FRAMES_PER_PASS, Pump, Socket, SocketEnd, Stream, TooSlow, client_frame_bytes,
};
use crate::wire::{ClientFrame, Dial, ServerFrame, TopicNo};

/// Calls that end in one pass from which on their callers get to run before what they bring is
/// written: with fewer, writing at once overlaps better with the server's work.
const CROWD: usize = 4;

struct Task {
    shared: Arc<SharedClient>,
    endpoint: Endpoint,
    connection: CurrentSocket,
    timer: Option<(Now, Pin<Box<Sleep>>)>,
    scratch: BytesMut,
    alive: watch::Receiver<()>,
}

/// The one socket that the core knows of.
enum CurrentSocket {
    None,
    Opening { dial: Dial, opening: BoxFuture<Result<Dialled, NoSocket>> },
    Open(Box<OpenSocket>),
}

struct OpenSocket {
    dial: Dial,
    pump: Pump<Stream>,
    /// The core has more than the write buffer had room for.
    starved: bool,
}

/// What a wait brought.
struct Brought {
    opened: Option<(Dial, Result<Dialled, NoSocket>)>,
    arrivals: Arrivals<Arrived>,
}

/// A message of the server.
enum Arrived {
    /// With its length in bytes.
    Frame(ServerFrame, usize),
    /// One that is longer than this client takes, with the topic that it is of.
    TooLong(Option<TopicNo>),
}

/// Starts a client's task.
pub(super) fn start(shared: Arc<SharedClient>, endpoint: Endpoint) {
    let alive = shared.alive().subscribe();
    let task = Task {
        shared: Arc::clone(&shared),
        endpoint,
        connection: CurrentSocket::None,
        timer: None,
        scratch: BytesMut::new(),
        alive,
    };
    let ((), wakers) = shared.pass(|pass| pass.input(|now, core| core.start(now)));
    wakers.wake();
    host::spawn(task.run());
}

impl Task {
    async fn run(mut self) {
        self.orders();
        while !self.is_over() {
            let brought = poll_fn(|cx| self.poll_brought(cx)).await;
            let crowd = self.take(brought);
            if crowd {
                // Callers that were just woken put what they do next into the same write.
                tokio::task::yield_now().await;
            }
            self.send();
            self.orders();
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.connection, CurrentSocket::None) && self.shared.state().borrow().is_over()
    }

    // ---- waiting ----

    fn poll_brought(&mut self, cx: &mut Context<'_>) -> Poll<Brought> {
        let mut brought = Brought { opened: None, arrivals: Arrivals::into(Vec::new()) };
        let mut work = self.shared.wake().poll(cx);
        if let Some((_, timer)) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            self.timer = None;
            work = true;
        }
        match &mut self.connection {
            CurrentSocket::None => {}
            CurrentSocket::Opening { dial, opening } => {
                if let Poll::Ready(opened) = opening.as_mut().poll(cx) {
                    brought.opened = Some((*dial, opened));
                    self.connection = CurrentSocket::None;
                    work = true;
                }
            }
            CurrentSocket::Open(open) => {
                let codec = self.shared.codec();
                let read =
                    |message: &[u8]| Ok(Arrived::Frame(codec.read_server(message)?, message.len()));
                let too_long = |head: &Bytes| Some(Arrived::TooLong(codec.topic_of(head)));
                open.pump.poll(cx, &mut brought.arrivals, read, too_long);
                work |= open.starved && open.pump.socket().has_room();
                work |= !brought.arrivals.is_empty();
            }
        }
        if work { Poll::Ready(brought) } else { Poll::Pending }
    }

    // ---- one pass ----

    /// Hands everything to the core; whether many calls have ended by it.
    fn take(&mut self, brought: Brought) -> bool {
        let Brought { opened, arrivals } = brought;
        let current = match &self.connection {
            CurrentSocket::Open(open) => Some(open.dial),
            CurrentSocket::None | CurrentSocket::Opening { .. } => None,
        };
        let mut socket = None;
        let ((), wakers) = self.shared.pass(|pass| {
            match opened {
                Some((dial, Ok(Dialled { socket: open, token }))) => {
                    pass.input(|now, core| core.handle_connected(now, dial, token));
                    socket = Some((dial, open));
                }
                Some((dial, Err(NoSocket::Refused(refusal)))) => {
                    pass.input(|now, core| core.handle_refused(now, dial, refusal));
                }
                Some((dial, Err(NoSocket::Lost(close)))) => {
                    pass.input(|now, core| core.handle_closed(now, dial, close));
                }
                None => {}
            }
            if let Some(dial) = current {
                if arrivals.alive {
                    pass.input(|now, core| core.handle_alive(now, dial));
                }
                for arrived in arrivals.frames {
                    pass.input(|now, core| match arrived {
                        Arrived::Frame(frame, bytes) => core.handle_frame(now, dial, frame, bytes),
                        Arrived::TooLong(topic) => core.handle_too_long(now, dial, topic),
                    });
                }
                if let Some(end) = &arrivals.end {
                    pass.input(|now, core| core.handle_closed(now, dial, end.close().clone()));
                }
            }
            // After what arrived: a frame that came in time counts.
            pass.expire();
        });
        let crowd = wakers.resolved() >= CROWD;
        wakers.wake();
        if let Some((dial, socket)) = socket {
            self.connection = CurrentSocket::Open(Box::new(self.open(dial, socket)));
        }
        if let Some(end) = arrivals.end
            && let CurrentSocket::Open(open) = self.take_connection()
        {
            self.let_go(*open, end);
        }
        crowd
    }

    fn open(&self, dial: Dial, socket: Socket<Stream>) -> OpenSocket {
        let too_slow = TooSlow {
            reading: Close::lost("the server takes nothing"),
            writing: Close::lost("a message took too long to arrive"),
        };
        let pump = Pump::new(socket, &self.endpoint.transport, too_slow);
        OpenSocket { dial, pump, starved: false }
    }

    fn take_connection(&mut self) -> CurrentSocket {
        std::mem::replace(&mut self.connection, CurrentSocket::None)
    }

    /// Takes what the core has to send, as long as there is room.
    fn send(&mut self) {
        let CurrentSocket::Open(open) = &mut self.connection else {
            let (timeout, wakers) = self.shared.pass(|pass| pass.arm());
            wakers.wake();
            return self.arm(timeout);
        };
        loop {
            let mut frames = Vec::new();
            let mut room = open.pump.socket().room();
            open.starved = true;
            let (timeout, wakers) = self.shared.pass(|pass| {
                while room > 0 && frames.len() < FRAMES_PER_PASS {
                    let frame = pass.input(|now, core| core.poll_transmit(now, open.dial));
                    let Some(frame) = frame else {
                        open.starved = false;
                        break;
                    };
                    room = room.saturating_sub(client_frame_bytes(&frame));
                    frames.push(frame);
                }
                pass.arm()
            });
            wakers.wake();
            let (socket, more) = (open.pump.socket(), frames.len() == FRAMES_PER_PASS);
            for frame in frames {
                self.scratch.clear();
                self.shared.codec().write_client(&frame, &mut self.scratch);
                socket.send_masked(self.scratch.split().freeze());
                if matches!(frame, ClientFrame::Ping { .. }) {
                    socket.ping();
                }
            }
            if !more || !socket.has_room() {
                return self.arm(timeout);
            }
        }
    }

    fn arm(&mut self, timeout: Option<Now>) {
        // Without one there is nothing to wake for, and a timer that runs finds nothing due.
        let Some(at) = timeout else { return };
        // One that comes too early finds nothing due either, and is set anew.
        if self.timer.as_ref().is_none_or(|(armed, _)| at < *armed) {
            self.timer = Some((at, host::sleep_until(self.shared.clock().at(at))));
        }
    }

    // ---- what the core ordered ----

    fn orders(&mut self) {
        loop {
            let (orders, wakers) = self.shared.pass(|pass| pass.take_orders());
            wakers.wake();
            if orders.is_empty() {
                return;
            }
            self.follow(orders);
        }
    }

    fn follow(&mut self, orders: VecDeque<SocketRequest>) {
        for order in orders {
            match order {
                SocketRequest::Dial(dial, reason) => self.dial(dial, reason),
                SocketRequest::Close(dial, close) => self.close(dial, close),
            }
        }
    }

    fn dial(&mut self, dial: Dial, reason: DialReason) {
        debug_assert!(
            matches!(self.connection, CurrentSocket::None),
            "the core closes a socket, or hears of its end, before it dials anew"
        );
        let opening = self.endpoint.clone().dial(reason, self.shared.codec());
        self.connection = CurrentSocket::Opening { dial, opening: Box::pin(opening) };
        // The new future has not been polled yet.
        self.shared.wake().raise();
    }

    fn close(&mut self, ordered: Dial, close: Close) {
        match &self.connection {
            CurrentSocket::Open(open) if open.dial == ordered => {}
            CurrentSocket::Opening { dial, .. } if *dial == ordered => {
                self.connection = CurrentSocket::None;
                return;
            }
            // Its end was read in the same pass in which the core gave it up.
            CurrentSocket::None | CurrentSocket::Opening { .. } | CurrentSocket::Open(_) => return,
        }
        // A last ACK waits.
        self.send();
        if let CurrentSocket::Open(open) = self.take_connection() {
            self.let_go(*open, SocketEnd::Own { close, broken: false });
        }
    }

    /// Ends a socket within a bounded time, beside the next one.
    fn let_go(&self, mut open: OpenSocket, end: SocketEnd) {
        let limit = self.endpoint.transport.close_timeout;
        let alive = self.alive.clone();
        host::spawn(async move {
            // Whoever does not close in time is dropped.
            let _ = tokio::time::timeout(limit, open.pump.finish(&end)).await;
            drop(open);
            drop(alive);
        });
    }
}
