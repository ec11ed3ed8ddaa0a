//! What a peer's bytes come to is what the library alone makes of them, however they are cut into
//! pieces. Knows nothing of what a message says.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::config::TransportConfig;
use super::gate::Form;
use super::socket::{Inbound, MessageBytes, Socket, failed, settings, told};
use crate::session::Close;

const READ_BYTES: usize = 200;
const LIMITS: MessageBytes = MessageBytes { first: 90, then: 700 };

/// What came of a conversation: what was heard, how it ended, and what was answered.
#[derive(Debug, PartialEq, Eq, Default)]
struct Heard {
    what: Vec<What>,
    end: Option<Close>,
    answered: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    Message(Vec<u8>),
    Control,
}

/// The bytes of a peer in pieces, and what was said to it.
#[derive(Debug, Default)]
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    said: Vec<u8>,
}

impl Pieces {
    /// The first ones have these lengths; the last one has all that is left.
    fn cut(bytes: &[u8], lengths: &[usize]) -> Self {
        let (mut pieces, mut rest) = (VecDeque::new(), bytes);
        for length in lengths {
            let (piece, after) = rest.split_at((*length).clamp(1, READ_BYTES).min(rest.len()));
            pieces.push_back(piece.to_vec());
            rest = after;
        }
        pieces.extend(rest.chunks(READ_BYTES).map(<[u8]>::to_vec));
        pieces.retain(|piece| !piece.is_empty());
        Self { pieces, said: Vec::new() }
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = self.pieces.pop_front() {
            buffer.put_slice(&piece);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.said.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Ours; the first `begun` bytes come with the handshake.
fn ours(form: Form, bytes: &[u8], begun: usize, lengths: &[usize]) -> Heard {
    let (begun, rest) = bytes.split_at(begun.min(bytes.len()));
    let config = TransportConfig { read_buffer_bytes: READ_BYTES, ..TransportConfig::default() };
    let mut socket = Socket::server(Pieces::cut(rest, lengths), form, begun, &config, LIMITS);
    let mut cx = Context::from_waker(Waker::noop());
    let mut heard = Heard::default();
    while heard.end.is_none() {
        let what = &mut heard.what;
        let mut take = |message: &[u8]| {
            what.push(What::Message(message.to_vec()));
            !what.len().is_multiple_of(3)
        };
        match socket.poll_read(&mut cx, &mut take) {
            Poll::Ready(Inbound::Enough) => {}
            Poll::Ready(Inbound::Control) => heard.what.push(What::Control),
            Poll::Ready(Inbound::Ended(close) | Inbound::Broken(close)) => heard.end = Some(close),
            Poll::Ready(Inbound::TooLong(_)) => unreachable!("a server passes nothing over"),
            Poll::Pending => unreachable!("these pieces are always there"),
        }
    }
    socket.finish_close();
    assert!(socket.poll_drain(&mut cx).is_ready());
    heard.answered = socket.into_inner().said;
    heard
}

/// What the library reads, all at once, and is told.
struct Whole<'a>(Cursor<&'a [u8]>, Vec<u8>);

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Whole<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn alone(form: Form, bytes: &[u8]) -> Heard {
    let settings = settings(&TransportConfig::default(), LIMITS.first);
    let whole = Whole(Cursor::new(bytes), Vec::new());
    let mut ws = WebSocket::from_raw_socket(whole, Role::Server, Some(settings));
    let mut heard = Heard::default();
    while heard.end.is_none() {
        let read = ws.read();
        let message = match (&read, form) {
            (Ok(Message::Text(text)), Form::Text) => Some(text.as_bytes().to_vec()),
            (Ok(Message::Binary(bytes)), Form::Bytes) => Some(bytes.to_vec()),
            _ => None,
        };
        match (read, message) {
            (_, Some(message)) => {
                heard.what.push(What::Message(message));
                ws.set_config(|config| {
                    config.max_message_size = Some(LIMITS.then);
                    config.max_frame_size = Some(LIMITS.then);
                });
            }
            (Ok(Message::Ping(_) | Message::Pong(_)), _) => heard.what.push(What::Control),
            (Ok(Message::Close(frame)), _) => heard.end = Some(told(frame)),
            (Ok(Message::Text(_) | Message::Binary(_)), _) => {
                let close = failed(&Error::AlreadyClosed, Role::Server);
                heard.end = Some(close);
            }
            (Ok(Message::Frame(_)), _) => {}
            (Err(error), _) => heard.end = Some(failed(&error, Role::Server)),
        }
    }
    let _ = ws.flush();
    heard.answered = ws.get_ref().1.clone();
    heard
}

/// One frame of a peer, good or not.
#[derive(Debug, Clone)]
struct Sent {
    first: u8,
    mask: Option<[u8; 4]>,
    payload: Vec<u8>,
    /// It says its length in more bytes than it needs.
    long: bool,
}

impl Sent {
    fn text(payload: &[u8]) -> Self {
        Self { first: 0x81, mask: Some([1, 2, 3, 250]), payload: payload.to_vec(), long: false }
    }

    fn kind(self, first: u8) -> Self {
        Self { first, ..self }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        out.push(self.first);
        match self.payload.len() {
            length @ 0..126 if !self.long => out.push(masked | length as u8),
            length => {
                out.push(masked | 126);
                out.extend((length as u16).to_be_bytes());
            }
        }
        let mask = self.mask.unwrap_or_default();
        out.extend(self.mask.into_iter().flatten());
        out.extend(self.payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    }
}

fn written(sent: &[Sent]) -> Vec<u8> {
    let mut out = Vec::new();
    sent.iter().for_each(|frame| frame.write(&mut out));
    out
}

/// The first byte of a frame with a message's beginning.
fn begun(form: Form) -> u8 {
    form.first_byte() & 0x0f
}

/// Everything that a good client may say, and a close.
fn conversation(form: Form) -> Vec<u8> {
    let text = |payload| Sent::text(payload).kind(form.first_byte());
    written(&[
        text(b"[20]"),
        text("äöü, and then some more of it to pass sixteen".as_bytes()),
        text(b""),
        text(b"ping me").kind(0x89),
        text(b"begun, ").kind(begun(form)),
        text(b"").kind(0x8a),
        text(b"gone on, ").kind(0x00),
        text(b"ended").kind(0x80),
        text(&[b'x'; 150]),
        text(&[b'y'; 400]),
        text(b"last"),
        text(b"\x03\xe8bye").kind(0x88),
        text(b"late"),
    ])
}

#[test]
fn frames_are_read_like_the_library_reads_them_when_they_are_cut_at_any_two_bytes() {
    for form in [Form::Text, Form::Bytes] {
        let bytes = conversation(form);
        let wanted = alone(form, &bytes);
        assert_eq!((wanted.what.len(), wanted.answered.len()), (9, 16), "{wanted:?}");
        for first in 0..bytes.len() {
            assert_eq!(ours(form, &bytes, first, &[]), wanted, "{first} with the handshake");
            for second in [1, 2, 5, 7, 60] {
                let lengths = [first, second];
                assert_eq!(ours(form, &bytes, 0, &lengths), wanted, "{first}, then {second}");
            }
        }
        assert_eq!(ours(form, &bytes, 0, &vec![1; bytes.len()]), wanted, "byte by byte");
        for end in 0..bytes.len() {
            let cut = &bytes[..end];
            assert_eq!(ours(form, cut, 0, &[7, 30]), alone(form, cut), "{end} bytes of it");
        }
    }
}

/// Numbers that look like chance, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        // Knuth's constants; the upper bits are the better ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        (self.0 >> 33) as usize % end
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn sent(&mut self, form: Form) -> Sent {
        let first = match self.below(60) {
            0..44 => form.first_byte(),
            44..48 => begun(form),
            48..50 => 0x00,
            50..53 => 0x80,
            53..57 => 0x89,
            57..59 => 0x8a,
            _ => self.byte(),
        };
        let payload = match self.below(11) {
            0..8 => "aäz€ß".chars().cycle().skip(self.below(5)).take(self.below(40)).collect(),
            8..10 => "x".repeat(self.below(720)),
            _ => String::new(),
        };
        let mut payload = payload.into_bytes();
        if self.one_in(40) {
            payload = (0..self.below(140)).map(|_| self.byte()).collect();
        }
        let mask = [self.byte(), self.byte(), self.byte(), self.byte()];
        let (mask, long) = ((!self.one_in(200)).then_some(mask), self.one_in(20));
        Sent { first, mask, payload, long }
    }

    /// A conversation, which may be damaged.
    fn bytes(&mut self, form: Form) -> Vec<u8> {
        let sent: Vec<Sent> = (0..self.below(12)).map(|_| self.sent(form)).collect();
        let mut bytes = written(&sent);
        if self.one_in(5) && !bytes.is_empty() {
            let at = self.below(bytes.len());
            bytes[at] = self.byte();
        }
        bytes
    }
}

#[test]
fn what_a_peer_sends_is_read_like_the_library_reads_it() {
    let (mut dice, mut texts, mut answers) = (Dice(7), 0, 0);
    for round in 0..4_000 {
        let form = if round % 4 == 0 { Form::Bytes } else { Form::Text };
        let (bytes, begun) = (dice.bytes(form), dice.below(40));
        let lengths: Vec<usize> = (0..dice.below(20)).map(|_| dice.below(READ_BYTES) + 1).collect();
        let (ours, alone) = (ours(form, &bytes, begun, &lengths), alone(form, &bytes));
        assert_eq!(ours.what, alone.what, "{round}");
        assert_eq!(ours.answered, alone.answered, "{round}");
        // The library calls a message of the other form a good one.
        let ends = [&ours.end, &alone.end].map(|end| end.as_ref().and_then(|close| close.code));
        assert!(ends[0] == ends[1] || ends[1].is_none(), "{round}: {ends:?}");
        texts += alone.what.len();
        answers += alone.answered.len();
    }
    assert!(texts > 6_000 && answers > 8_000, "{texts} {answers}: most is what clients say");
}
