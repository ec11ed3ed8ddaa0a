//! A byte stream under a WebSocket that collects what is written, so that many messages leave in
//! one system call. It keeps the write buffer and what was read ahead; it writes to the socket only
//! when asked to.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

#[cfg(feature = "server")]
use bytes::Bytes;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(feature = "client")]
use super::sieve::Sieve;
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
    /// Read but not asked for yet; given back when it is empty.
    ahead: BytesMut,
    /// Bytes read at a time.
    read_bytes: usize,
    out: Unwritten,
    /// Beyond this length, what tungstenite writes of its own accord (pongs) has to wait.
    limit: usize,
    /// What tungstenite's synchronous reads and writes wake.
    waker: Waker,
    /// During the handshake a flush writes to the socket.
    write_through: bool,
    /// All bytes that ever reached the socket. A stall is when this stands still.
    written: u64,
    /// All bytes that ever came from it: each is a sign of life (PROTOCOL.md 9.1).
    received: u64,
    /// The last bytes that were read during the handshake.
    #[cfg(feature = "client")]
    last: [u8; 4],
    /// Of a client: keeps from it what it does not take.
    #[cfg(feature = "client")]
    sieve: Option<Sieve>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pipe<S> {
    pub(super) fn new(io: S, read_bytes: usize, limit: usize) -> Self {
        let (ahead, read_bytes) = (BytesMut::new(), read_bytes.max(1));
        Self {
            io,
            ahead,
            read_bytes,
            out: Unwritten::default(),
            limit,
            waker: Waker::noop().clone(),
            write_through: false,
            written: 0,
            received: 0,
            #[cfg(feature = "client")]
            last: [0; 4],
            #[cfg(feature = "client")]
            sieve: None,
        }
    }

    #[cfg(feature = "client")]
    pub(super) fn set_write_through(&mut self, on: bool) {
        self.write_through = on;
    }

    /// From here on, messages that are longer are left out. Not if the server spoke before it was
    /// spoken to: then the library is amid its frames already, and gives up at a long one.
    #[cfg(feature = "client")]
    pub(super) fn set_limit(&mut self, bytes: u64) {
        let silent = self.ahead.is_empty() && self.last == *b"\r\n\r\n";
        self.sieve = silent.then(|| Sieve::new(bytes));
    }

    /// Whether a binary message stands for one that was left out.
    #[cfg(feature = "client")]
    pub(super) fn has_put_in(&mut self, message: &[u8]) -> bool {
        self.sieve.as_mut().is_some_and(|sieve| sieve.has_put_in(message))
    }

    pub(super) fn set_waker(&mut self, cx: &Context<'_>) {
        if !self.waker.will_wake(cx.waker()) {
            self.waker.clone_from(cx.waker());
        }
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
    /// Reads until something has come that passes. What does not fit into `buffer` is kept.
    fn read_socket(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        SCRATCH.with_borrow_mut(|scratch| {
            if scratch.len() < self.read_bytes {
                scratch.resize(self.read_bytes, 0);
            }
            loop {
                let mut cx = Context::from_waker(&self.waker);
                let mut piece = ReadBuf::new(&mut scratch[..self.read_bytes]);
                match Pin::new(&mut self.io).poll_read(&mut cx, &mut piece) {
                    Poll::Ready(result) => result?,
                    Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
                }
                let filled = piece.filled();
                self.received += filled.len() as u64;
                #[cfg(feature = "client")]
                let passed = self.sieve.as_mut().and_then(|sieve| sieve.pass(filled));
                #[cfg(not(feature = "client"))]
                let passed: Option<Vec<u8>> = None;
                let passed = passed.as_deref().unwrap_or(filled);
                if passed.is_empty() && !filled.is_empty() {
                    continue;
                }
                let (now, later) = passed.split_at(buffer.len().min(passed.len()));
                buffer[..now.len()].copy_from_slice(now);
                self.ahead.extend_from_slice(later);
                return Ok(now.len());
            }
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Read for Pipe<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            let count = self.read_socket(buffer)?;
            #[cfg(feature = "client")]
            if self.write_through {
                let news = &buffer[count.saturating_sub(self.last.len())..count];
                self.last.rotate_left(news.len());
                let at = self.last.len() - news.len();
                self.last[at..].copy_from_slice(news);
            }
            return Ok(count);
        }
        let count = buffer.len().min(self.ahead.len());
        self.ahead.copy_to_slice(&mut buffer[..count]);
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        Ok(count)
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
        if !self.write_through {
            return Ok(());
        }
        let waker = self.waker.clone();
        match self.poll_drain(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}
