//! What both drivers do with a socket while they wait: write what is there to write, notice a peer
//! that takes nothing, read a bounded number of whole frames. It knows no core, and tells no frame
//! from another.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::config::TransportConfig;
use super::patience::Patience;
use super::socket::{Inbound, Socket};
use crate::session::{Close, CloseCode};
#[cfg(feature = "client")]
use crate::wire::ClientFrame;
use crate::wire::FrameError;
#[cfg(feature = "server")]
use crate::wire::{Body, Outgoing};

/// Frames taken from a core in one pass under its lock, so that one connection does not hold others
/// up.
pub(crate) const FRAMES_PER_PASS: usize = 64;

/// A socket, and what its driver remembers between two polls.
pub(crate) struct Pump<S> {
    socket: Socket<S>,
    patience: Patience,
    messages_per_turn: usize,
    too_slow: TooSlow,
}

/// What this end says to a peer that is too slow.
pub(crate) struct TooSlow {
    /// It takes nothing.
    pub(crate) reading: Close,
    /// A message of it does not come to its end.
    pub(crate) writing: Close,
}

/// What a poll brought.
pub(crate) struct Arrivals<F> {
    pub(crate) frames: Vec<F>,
    /// A sign of life that is no frame: a WebSocket ping or pong, or a part of a message.
    pub(crate) alive: bool,
    pub(crate) end: Option<SocketEnd>,
}

/// How a socket ends.
pub(crate) enum SocketEnd {
    /// The peer closed, or is gone.
    Peer(Close),
    /// This end closes; `broken` if what the peer sends can't be read any more.
    Own { close: Close, broken: bool },
}

impl<F> Arrivals<F> {
    /// Nothing yet; `frames` is empty, and brings its room.
    pub(crate) const fn into(frames: Vec<F>) -> Self {
        Self { frames, alive: false, end: None }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.frames.is_empty() && !self.alive && self.end.is_none()
    }
}

impl SocketEnd {
    pub(crate) const fn close(&self) -> &Close {
        let (Self::Peer(close) | Self::Own { close, .. }) = self;
        close
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pump<S> {
    pub(crate) fn new(socket: Socket<S>, config: &TransportConfig, too_slow: TooSlow) -> Self {
        Self {
            socket,
            patience: Patience::new(config),
            messages_per_turn: config.messages_per_turn,
            too_slow,
        }
    }

    pub(crate) const fn socket(&mut self) -> &mut Socket<S> {
        &mut self.socket
    }

    /// Writes what waits, then reads what is there. `read` decodes a message; `too_long` gets the
    /// first bytes of one that is longer than a client takes.
    pub(crate) fn poll<F>(
        &mut self,
        cx: &mut Context<'_>,
        arrivals: &mut Arrivals<F>,
        read: impl FnMut(&[u8]) -> Result<F, FrameError>,
        too_long: impl FnMut(&Bytes) -> Option<F>,
    ) {
        match self.socket.poll_drain(cx) {
            Poll::Ready(Ok(())) => self.patience.all_written(),
            Poll::Ready(Err(error)) => {
                let reason = format!("writing failed: {error}").into();
                arrivals.end = Some(SocketEnd::Peer(Close { code: None, reason }));
                return;
            }
            Poll::Pending => {
                let (written, received) = (self.socket.written(), self.socket.received());
                if self.patience.poll_stall(cx, written, received).is_ready() {
                    let close = self.too_slow.reading.clone();
                    arrivals.end = Some(SocketEnd::Own { close, broken: true });
                    return;
                }
            }
        }
        let before = self.socket.received();
        self.poll_frames(cx, arrivals, read, too_long);
        arrivals.alive |= self.socket.received() > before && arrivals.frames.is_empty();
        let amid = self.socket.is_amid_message();
        if arrivals.end.is_none() && self.patience.poll_message(cx, amid).is_ready() {
            let close = self.too_slow.writing.clone();
            arrivals.end = Some(SocketEnd::Own { close, broken: true });
        }
    }

    fn poll_frames<F>(
        &mut self,
        cx: &mut Context<'_>,
        arrivals: &mut Arrivals<F>,
        mut read: impl FnMut(&[u8]) -> Result<F, FrameError>,
        mut too_long: impl FnMut(&Bytes) -> Option<F>,
    ) {
        let Self { socket, patience, messages_per_turn, .. } = self;
        while arrivals.frames.len() < *messages_per_turn {
            let before = arrivals.frames.len();
            let Arrivals { frames, end, .. } = &mut *arrivals;
            let mut take = |message: &[u8]| match read(message) {
                Ok(frame) => {
                    frames.push(frame);
                    frames.len() < *messages_per_turn
                }
                Err(error) => {
                    tracing::debug!(%error, "not a frame");
                    let reason = error.to_string().into();
                    let close = Close { code: Some(CloseCode::MALFORMED), reason };
                    *end = Some(SocketEnd::Own { close, broken: true });
                    false
                }
            };
            let inbound = socket.poll_read(cx, &mut take);
            if arrivals.frames.len() > before {
                patience.message_ended();
            }
            match inbound {
                Poll::Pending | Poll::Ready(Inbound::Enough) => return,
                // Pings are answered by the socket itself; a peer that sends nothing else must not
                // hold the task.
                Poll::Ready(Inbound::Control) => return cx.waker().wake_by_ref(),
                Poll::Ready(Inbound::TooLong(beginning)) => {
                    patience.message_ended();
                    arrivals.frames.extend(too_long(&beginning));
                }
                Poll::Ready(Inbound::Ended(close)) => {
                    return arrivals.end = Some(SocketEnd::Peer(close));
                }
                Poll::Ready(Inbound::Broken(close)) => {
                    return arrivals.end = Some(SocketEnd::Own { close, broken: true });
                }
            }
        }
    }

    /// Writes what is left, and sees the closing handshake through. Unbounded in time.
    pub(crate) async fn finish(&mut self, end: &SocketEnd) {
        match end {
            SocketEnd::Peer(_) => {
                self.socket.finish_close();
                // A failure means that the peer is gone, which is where this leads anyway.
                let _ = poll_fn(|cx| self.socket.poll_drain(cx)).await;
            }
            SocketEnd::Own { close, broken } => {
                self.socket.start_close(close);
                poll_fn(|cx| self.socket.poll_closed(cx, *broken)).await;
            }
        }
    }
}

/// Of each frame, what is not its body, in bytes, roughly.
const HEAD_BYTES: usize = 64;

/// Bytes on the wire, roughly.
#[cfg(feature = "client")]
pub(crate) fn client_frame_bytes(frame: &ClientFrame) -> usize {
    HEAD_BYTES
        + match frame {
            ClientFrame::Command(command) => command.body.len(),
            ClientFrame::Volatile { body, .. } => body.len(),
            _ => 0,
        }
}

/// Bytes on the wire, roughly.
#[cfg(feature = "server")]
pub(crate) fn outgoing_bytes(message: &Outgoing) -> usize {
    HEAD_BYTES
        + match message {
            Outgoing::Shared(bytes) => bytes.len(),
            Outgoing::Frame(frame) => frame.body().map_or(0, Body::len),
        }
}
