//! A byte stream under a WebSocket. It reads in large pieces, in which it finds whole messages, and
//! gives the library what is left; it collects what is written, so that many messages leave in one
//! system call, and writes only when asked to.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::pin::Pin;
#[cfg(feature = "client")]
use std::task::Waker;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use tokio_tungstenite::tungstenite::protocol::Role;

use super::gate::{Form, Front, Gate};
#[cfg(feature = "client")]
use super::response::ResponseHead;
use super::unwritten::Unwritten;

thread_local! {
    /// What sockets are read into: one per thread, so that an idle connection keeps no read buffer.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Reads come from the socket in large pieces; writes go to a buffer that [`Pipe::poll_drain`]
/// empties.
#[derive(Debug)]
pub(super) struct Pipe<S> {
    io: S,
    /// Read, and neither handed out nor asked for yet; given back when it is empty.
    ahead: BytesMut,
    part: Part,
    /// How many bytes at the front of `ahead` are the library's.
    granted: usize,
    /// `ahead` begins with a part of a frame.
    partial: bool,
    /// How reading has ended: for the library to say.
    end: Option<io::Result<()>>,
    /// Bytes read at a time.
    read_bytes: usize,
    out: Unwritten,
    /// Beyond this length, what tungstenite writes of its own accord (pongs) has to wait.
    limit: usize,
    /// All bytes that ever reached the socket. A stall is when this stands still.
    written: u64,
    /// All bytes that ever came from it: each is a sign of life (PROTOCOL.md 9.1).
    received: u64,
}

/// Which part of the conversation comes.
#[derive(Debug)]
enum Part {
    /// A response to the library, whose reads and flushes are the socket's and wake somebody.
    #[cfg(feature = "client")]
    Handshake { head: ResponseHead, waker: Waker },
    /// Frames.
    Frames(Gate),
}

/// Why no more messages are handed out.
#[derive(Debug)]
pub(super) enum Stop {
    /// Whoever takes them has enough.
    Enough,
    /// Some were handed out, and nothing more is there.
    Drained,
    /// The library is to read.
    Library,
    /// One was passed over because of its length; its first bytes.
    TooLong(Bytes),
    /// One is not UTF-8, and ought to be text.
    NotText,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pipe<S> {
    /// A client's end, whose library does its handshake until [`Pipe::opened`].
    #[cfg(feature = "client")]
    pub(super) fn of_client(io: S, read_bytes: usize, limit: usize) -> Self {
        let (head, waker) = (ResponseHead::default(), Waker::noop().clone());
        Self::new(io, Part::Handshake { head, waker }, read_bytes, limit)
    }

    /// A server's end, after its handshake, of which `begun` has come already. The first message
    /// may be up to `message_bytes` long.
    #[cfg(feature = "server")]
    pub(super) fn of_server(
        io: S,
        form: Form,
        read_bytes: usize,
        limit: usize,
        message_bytes: u64,
        begun: &[u8],
    ) -> Self {
        let gate = Gate::new(Role::Server, form, message_bytes, read_bytes as u64);
        let mut this = Self::new(io, Part::Frames(gate), read_bytes, limit);
        this.ahead.extend_from_slice(begun);
        this
    }

    fn new(io: S, part: Part, read_bytes: usize, limit: usize) -> Self {
        Self {
            io,
            ahead: BytesMut::new(),
            part,
            granted: 0,
            partial: false,
            end: None,
            read_bytes: read_bytes.max(1),
            out: Unwritten::default(),
            limit,
            written: 0,
            received: 0,
        }
    }

    /// The handshake is done: frames come, with messages up to this length.
    #[cfg(feature = "client")]
    pub(super) fn opened(&mut self, form: Form, message_bytes: u64) {
        let most = self.read_bytes as u64;
        self.part = Part::Frames(Gate::new(Role::Client, form, message_bytes, most));
    }

    /// Changes how long messages may be from here on.
    pub(super) const fn set_limit(&mut self, message_bytes: u64) {
        match &mut self.part {
            #[cfg(feature = "client")]
            Part::Handshake { .. } => {}
            Part::Frames(gate) => gate.set_limit(message_bytes),
        }
    }

    /// Whether the library has something to read.
    pub(super) const fn has_granted(&self) -> bool {
        self.granted > 0 || self.end.is_some()
    }

    /// Whether a message has begun and is not complete.
    pub(super) const fn is_amid_message(&self) -> bool {
        match &self.part {
            #[cfg(feature = "client")]
            Part::Handshake { .. } => false,
            Part::Frames(gate) => self.partial || gate.is_amid_message(),
        }
    }

    /// Whom the library's handshake wakes.
    #[cfg(feature = "client")]
    pub(super) fn set_waker(&mut self, cx: &Context<'_>) {
        if let Part::Handshake { waker, .. } = &mut self.part {
            waker.clone_from(cx.waker());
        }
    }

    #[cfg(test)]
    pub(super) fn into_inner(self) -> S {
        self.io
    }

    /// What waits to be written.
    pub(super) fn out(&mut self) -> &mut BytesMut {
        self.out.tail()
    }

    /// Adds bytes without a copy.
    #[cfg(feature = "server")]
    pub(super) fn share(&mut self, bytes: Bytes) {
        self.out.share(bytes);
    }

    /// Of what waits to be written, bytes of copies, and bytes that are shared.
    #[cfg(feature = "server")]
    pub(super) fn unwritten(&self) -> (usize, usize) {
        self.out.split()
    }

    pub(super) fn waiting(&self) -> usize {
        self.out.len()
    }

    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    /// Writes what waits. Ready when nothing does.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            match Pin::new(&mut self.io).poll_write(cx, self.out.first()) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    self.out.advance(count);
                    self.written += count as u64;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.out.give_back();
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Reads and throws away until the peer is gone. To close a socket with unread bytes would
    /// reset it, and lose the close frame that tells the peer why.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pipe<S> {
    /// Hands out messages, where they lie, until `take` has enough of them or something else
    /// comes.
    pub(super) fn poll_messages(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut impl FnMut(&[u8]) -> bool,
    ) -> Poll<Stop> {
        loop {
            if let Some(stop) = self.take_ahead(take) {
                return Poll::Ready(stop);
            }
            if let Some(stop) = ready!(self.poll_take(cx, take)) {
                return Poll::Ready(stop);
            }
        }
    }

    /// Of what was read before.
    fn take_ahead(&mut self, take: &mut impl FnMut(&[u8]) -> bool) -> Option<Stop> {
        if self.ahead.is_empty() {
            return None;
        }
        let (used, stop) = self.part.hand_out(&mut self.ahead, take);
        self.ahead.advance(used);
        self.stopped(stop)
    }

    /// Of a new piece.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut impl FnMut(&[u8]) -> bool,
    ) -> Poll<Option<Stop>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let piece = match ready!(self.poll_piece(cx, scratch)) {
                Ok(piece @ [_, ..]) => piece,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    return Poll::Ready(None);
                }
                end => {
                    self.end = Some(end.map(drop));
                    return Poll::Ready(Some(Stop::Library));
                }
            };
            if !self.ahead.is_empty() {
                // The rest of a frame that has begun there.
                self.ahead.extend_from_slice(piece);
                return Poll::Ready(None);
            }
            let mut taken = false;
            let (used, stop) = self.part.hand_out(piece, &mut |message: &[u8]| {
                taken = true;
                take(message)
            });
            self.ahead.extend_from_slice(&piece[used..]);
            // A socket that has more fills the room, as a rule.
            let drained = taken && piece.len() < self.read_bytes;
            Poll::Ready(self.stopped(stop).or_else(|| drained.then_some(Stop::Drained)))
        })
    }

    fn poll_piece<'a>(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &'a mut Vec<u8>,
    ) -> Poll<io::Result<&'a mut [u8]>> {
        if scratch.len() < self.read_bytes {
            scratch.resize(self.read_bytes, 0);
        }
        let room = &mut scratch[..self.read_bytes];
        let mut piece = ReadBuf::new(room);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut piece))?;
        let count = piece.filled().len();
        self.received += count as u64;
        Poll::Ready(Ok(&mut scratch[..count]))
    }

    /// What has stopped it, if anything but that more has to come.
    fn stopped(&mut self, stop: Option<Stopped>) -> Option<Stop> {
        self.partial = stop.is_none() && !self.ahead.is_empty();
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        match stop? {
            Stopped::By(stop) => Some(stop),
            Stopped::Library(count) => {
                self.granted = count;
                Some(Stop::Library)
            }
        }
    }

    /// Gives the library what is its own.
    fn read_granted(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.granted);
        if count > 0 {
            self.ahead.copy_to_slice(&mut buffer[..count]);
            self.granted -= count;
            if self.ahead.is_empty() {
                self.ahead = BytesMut::new();
            }
            return Ok(count);
        }
        match &mut self.end {
            None => Err(io::ErrorKind::WouldBlock.into()),
            // An error is told once; after it nothing comes.
            Some(end) => std::mem::replace(end, Ok(())).map(|()| 0),
        }
    }

    /// Gives the library what is left of the response's head.
    #[cfg(feature = "client")]
    fn read_response(&mut self, buffer: &mut [u8], waker: &Waker) -> io::Result<usize> {
        if self.ahead.is_empty() {
            let mut cx = Context::from_waker(waker);
            SCRATCH.with_borrow_mut(|scratch| match self.poll_piece(&mut cx, scratch) {
                Poll::Ready(piece) => piece.map(|piece| self.ahead.extend_from_slice(piece)),
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            })?;
        }
        let Part::Handshake { head, .. } = &mut self.part else { return Ok(0) };
        let here = self.ahead.len().min(buffer.len());
        let count = head.take(&self.ahead[..here]);
        self.ahead.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// What has stopped [`hand_out`].
enum Stopped {
    By(Stop),
    /// So many bytes of those that are left are the library's.
    Library(usize),
}

impl Part {
    fn hand_out(
        &mut self,
        bytes: &mut [u8],
        take: &mut impl FnMut(&[u8]) -> bool,
    ) -> (usize, Option<Stopped>) {
        match self {
            #[cfg(feature = "client")]
            Self::Handshake { .. } => (0, None),
            Self::Frames(gate) => hand_out(gate, bytes, take),
        }
    }
}

/// Hands out what is whole at the front of `bytes`. How many of them are done with, and what has
/// stopped it; `None`: that more has to come.
fn hand_out(
    gate: &mut Gate,
    bytes: &mut [u8],
    take: &mut impl FnMut(&[u8]) -> bool,
) -> (usize, Option<Stopped>) {
    let mut at = 0;
    while let Some(rest @ [_, ..]) = bytes.get_mut(at..) {
        match gate.front(rest) {
            Front::Partial => break,
            Front::Library(count) => return (at, Some(Stopped::Library(count))),
            Front::TooLong(count, None) => at += count,
            Front::TooLong(count, Some(beginning)) => {
                return (at + count, Some(Stopped::By(Stop::TooLong(beginning.into()))));
            }
            Front::Message(payload) => {
                at += payload.end;
                let message = &rest[payload];
                if gate.form() == Form::Text && std::str::from_utf8(message).is_err() {
                    return (at, Some(Stopped::By(Stop::NotText)));
                }
                if !take(message) {
                    return (at, Some(Stopped::By(Stop::Enough)));
                }
            }
        }
    }
    (at, None)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Read for Pipe<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.part {
            #[cfg(feature = "client")]
            Part::Handshake { waker, .. } => {
                let waker = waker.clone();
                self.read_response(buffer, &waker)
            }
            Part::Frames(_) => self.read_granted(buffer),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Write for Pipe<S> {
    // All or nothing, so that a frame which bypasses tungstenite never lands inside one of its
    // frames.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.len() >= self.limit {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.out.tail().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &self.part {
            #[cfg(feature = "client")]
            Part::Handshake { waker, .. } => {
                let waker = waker.clone();
                match self.poll_drain(&mut Context::from_waker(&waker)) {
                    Poll::Ready(result) => result,
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
            Part::Frames(_) => Ok(()),
        }
    }
}
