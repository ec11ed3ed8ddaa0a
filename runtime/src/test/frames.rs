//! What passes along a line, in pieces: the heads of the upgrade, WebSocket frames, and the
//! messages of the protocol in them. Reads along and changes nothing.

use bytes::{Buf, Bytes, BytesMut};

use super::way::Side;
use crate::wire::{ClientFrame, Codec, ServerFrame};

/// The longest frame that is put together, 64 MiB: more than any end takes by its defaults.
const FRAME_BYTES: u64 = 64 * 1024 * 1024;

/// The longest head of an upgrade, 64 KiB.
const HEAD_BYTES: usize = 64 * 1024;

/// One piece, complete.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// What it says, if it is a message of the protocol.
    pub(super) message: Option<Said>,
}

/// A message of the protocol.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) kind: SaidKind,
    /// For a trace.
    pub(super) text: String,
}

/// What a fault may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SaidKind {
    /// A command.
    Command,
    /// A command's outcome.
    Answer,
    /// Anything else.
    Other,
}

/// What passes can't be taken apart: too long, or no HTTP.
#[derive(Debug)]
pub(super) struct TooLong;

/// Takes apart what one side says.
#[derive(Debug)]
pub(super) struct Splitter {
    side: Side,
    stage: Stage,
    held: BytesMut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The head of the request, or of the answer.
    Head,
    /// WebSocket.
    Frames,
    /// The upgrade was refused: a body follows.
    Body,
}

impl Splitter {
    pub(super) fn new(side: Side) -> Self {
        Self { side, stage: Stage::Head, held: BytesMut::new() }
    }

    pub(super) fn take_in(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next piece, if all of it is there.
    ///
    /// # Errors
    /// It is longer than what is put together here.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, TooLong> {
        match self.stage {
            Stage::Head => self.head(),
            Stage::Frames => self.frame(),
            Stage::Body if self.held.is_empty() => Ok(None),
            Stage::Body => Ok(Some(self.plain(self.held.len()))),
        }
    }

    /// What is left when nothing more comes: half a piece.
    pub(super) fn rest(&mut self) -> Bytes {
        self.held.split().freeze()
    }

    fn plain(&mut self, len: usize) -> Piece {
        Piece { bytes: self.held.split_to(len).freeze(), message: None }
    }

    fn head(&mut self) -> Result<Option<Piece>, TooLong> {
        let Some(end) = self.held.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if self.held.len() > HEAD_BYTES { Err(TooLong) } else { Ok(None) };
        };
        // "HTTP/1.1 101 Switching Protocols"
        let upgraded = self.side == Side::Client || self.held.get(9..12) == Some(b"101");
        self.stage = if upgraded { Stage::Frames } else { Stage::Body };
        Ok(Some(self.plain(end + 4)))
    }

    fn frame(&mut self) -> Result<Option<Piece>, TooLong> {
        let Some(head) = FrameHead::read(&self.held)? else { return Ok(None) };
        if self.held.len() < head.bytes + head.body {
            return Ok(None);
        }
        let piece = self.plain(head.bytes + head.body);
        let message = head.codec.map(|codec| {
            let mut body = piece.bytes[head.bytes..].to_vec();
            if let Some(mask) = head.mask {
                body.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            }
            said(self.side, codec, &body)
        });
        Ok(Some(Piece { message, ..piece }))
    }
}

/// What stands before a WebSocket frame's content (RFC 6455 5.2).
struct FrameHead {
    bytes: usize,
    body: usize,
    mask: Option<[u8; 4]>,
    /// Of a whole message; neither of a part of one nor of a control frame.
    codec: Option<Codec>,
}

impl FrameHead {
    fn read(mut at: &[u8]) -> Result<Option<Self>, TooLong> {
        let before = at.len();
        let Ok(first) = at.try_get_u16() else { return Ok(None) };
        let [kind, len] = first.to_be_bytes();
        let body = match len & 0x7f {
            126 => at.try_get_u16().map(u64::from),
            127 => at.try_get_u64(),
            short => Ok(u64::from(short)),
        };
        let Ok(body) = body else { return Ok(None) };
        if body > FRAME_BYTES {
            return Err(TooLong);
        }
        let mask = if len & 0x80 == 0 {
            None
        } else {
            let Ok(mask) = at.try_get_u32() else { return Ok(None) };
            Some(mask.to_be_bytes())
        };
        let codec = match kind {
            0x81 => Some(Codec::Json),
            0x82 => Some(Codec::Binary),
            _ => None,
        };
        let body = usize::try_from(body).map_err(|_| TooLong)?;
        Ok(Some(Self { bytes: before - at.len(), body, mask, codec }))
    }
}

fn said(side: Side, codec: Codec, message: &[u8]) -> Said {
    let read = match side {
        Side::Client => codec.read_client(message).map(|frame| client(&frame)),
        Side::Server => codec.read_server(message).map(|frame| server(&frame)),
    };
    let (kind, text) = read
        .unwrap_or_else(|error| (SaidKind::Other, format!("no frame of the protocol: {error}")));
    Said { kind, text }
}

fn client(frame: &ClientFrame) -> (SaidKind, String) {
    let text = match frame {
        ClientFrame::Command(command) => {
            let text = format!("COMMAND {} n={}", command.name.as_str(), command.n);
            return (SaidKind::Command, text);
        }
        // Its token has no business in a trace.
        ClientFrame::Hello(hello) if hello.resume.is_some() => "HELLO, to resume".to_owned(),
        ClientFrame::Hello(_) => "HELLO".to_owned(),
        ClientFrame::Ack { ack, .. } => format!("ACK {ack}"),
        ClientFrame::Volatile { name, .. } => format!("VOLATILE {}", name.as_str()),
        ClientFrame::Position { topic, ts, .. } => format!("POSITION of topic {topic}: {ts}"),
        ClientFrame::Subscribe(_) => "SUBSCRIBE".to_owned(),
        ClientFrame::Unsubscribe { .. } => "UNSUBSCRIBE".to_owned(),
        ClientFrame::Lease => "LEASE".to_owned(),
        ClientFrame::Cancel { n } => format!("CANCEL n={n}"),
        ClientFrame::Ping { .. } => "PING".to_owned(),
        ClientFrame::Pong { .. } => "PONG".to_owned(),
        ClientFrame::Ignored { kind } => format!("kind {kind}"),
    };
    (SaidKind::Other, text)
}

fn server(frame: &ServerFrame) -> (SaidKind, String) {
    let text = match frame {
        ServerFrame::Result { n, dup, .. } => {
            let again = if *dup { ", again" } else { "" };
            return (SaidKind::Answer, format!("RESULT n={n}{again}"));
        }
        ServerFrame::Failed { n, code, .. } => {
            return (SaidKind::Answer, format!("FAILED n={n} {code:?}"));
        }
        ServerFrame::Welcome(_) => "WELCOME".to_owned(),
        ServerFrame::ResumeFailed { reason } => format!("RESUME_FAILED {reason:?}"),
        ServerFrame::Ack { ack } => format!("ACK {ack}"),
        ServerFrame::Refused { n, code, .. } => format!("REFUSED n={n} {code:?}"),
        ServerFrame::Direct { name, .. } => format!("DIRECT {}", name.as_str()),
        ServerFrame::Event { topic, ts, name, .. } => {
            format!("EVENT {} of topic {topic}: {ts}", name.as_str())
        }
        ServerFrame::Snapshot { topic, ts, .. } => format!("SNAPSHOT of topic {topic}: {ts}"),
        ServerFrame::TopicVolatile { name, .. } => format!("TOPIC_VOLATILE {}", name.as_str()),
        ServerFrame::Skip { topic, ts } => format!("SKIP in topic {topic}: {ts}"),
        ServerFrame::Subscribed(_) => "SUBSCRIBED".to_owned(),
        ServerFrame::Unsubscribed { code, .. } => format!("UNSUBSCRIBED {code:?}"),
        ServerFrame::Lease(_) => "LEASE".to_owned(),
        ServerFrame::GoAway { .. } => "GOAWAY".to_owned(),
        ServerFrame::Ping { .. } => "PING".to_owned(),
        ServerFrame::Pong { .. } => "PONG".to_owned(),
        ServerFrame::Ignored { kind } => format!("kind {kind}"),
    };
    (SaidKind::Other, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, mask: Option<[u8; 4]>, body: &[u8]) -> Vec<u8> {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let mut bytes = match body.len() {
            short @ 0..126 => vec![first, bit | short as u8],
            long => [vec![first, bit | 126], (long as u16).to_be_bytes().to_vec()].concat(),
        };
        bytes.extend(mask.into_iter().flatten());
        let mask = mask.unwrap_or_default();
        bytes.extend(body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    fn pieces(side: Side, bytes: &[u8], size: usize) -> Vec<Piece> {
        let (mut splitter, mut pieces) = (Splitter::new(side), Vec::new());
        for part in bytes.chunks(size) {
            splitter.take_in(part);
            while let Some(piece) = splitter.next().unwrap() {
                pieces.push(piece);
            }
        }
        assert!(splitter.rest().is_empty());
        pieces
    }

    #[test]
    fn whatever_pieces_it_comes_in_each_message_is_told_apart_and_none_is_changed() {
        let head = b"GET / HTTP/1.1\r\nhost: chat\r\n\r\n".to_vec();
        let mask = Some([1, 2, 3, 4]);
        let padding = "x".repeat(300);
        let long = format!("[22,1,0,1,0,\"post\",{{\"text\":\"{padding}\"}}]");
        let all = [
            head.clone(),
            frame(0x81, mask, b"[25]"),
            frame(0x89, mask, b""),
            frame(0x81, mask, long.as_bytes()),
        ]
        .concat();
        for size in [1, 7, 64, all.len()] {
            let pieces = pieces(Side::Client, &all, size);
            let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect();
            assert_eq!(bytes, all);
            assert_eq!(pieces.len(), 4, "{pieces:?}");
            assert_eq!(pieces[0].bytes, head);
            let said: Vec<bool> = pieces.iter().map(|piece| piece.message.is_some()).collect();
            assert_eq!(said, [false, true, false, true]);
        }
    }

    #[test]
    fn a_refusals_body_is_no_frame() {
        let all = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n\x81\x7fno";
        let pieces = pieces(Side::Server, all, 9);
        assert!(pieces.iter().all(|piece| piece.message.is_none()));
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect();
        assert_eq!(bytes, all);
    }

    #[test]
    fn what_is_too_long_to_be_put_together_is_said_and_not_kept() {
        let mut splitter = Splitter::new(Side::Client);
        splitter.take_in(b"\r\n\r\n");
        assert!(splitter.next().unwrap().is_some());
        splitter.take_in(&[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0]);
        assert!(splitter.next().is_err());
        let mut splitter = Splitter::new(Side::Server);
        splitter.take_in(&vec![b'x'; HEAD_BYTES + 1]);
        assert!(splitter.next().is_err());
    }
}
