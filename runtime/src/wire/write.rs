//! From a frame to its message: which elements each kind has, in which order, in whatever codec. A
//! number above the range of PROTOCOL.md 1.6 is written as the largest one, and a missing body as
//! one without fields; nothing else is checked.

use bytes::BytesMut;
use serde::Serialize;

use super::code::Word;
use super::{Body, ClientFrame, CommandFrame, Name, ServerFrame, kind, rare};

/// Enough for most rare frames; the buffer grows for longer ones.
pub(super) const RARE_BYTES: usize = 512;

/// A frame in the making, one element after the other.
pub(super) trait Elements<'a>: Sized {
    /// Reserves room for a head and for `rest` bytes of name and body.
    fn begin(out: &'a mut BytesMut, kind: u64, rest: usize) -> Self;

    /// A number; also a flag, as 0 or 1.
    fn number(self, number: u64) -> Self;

    /// A name.
    fn name(self, name: &Name) -> Self;

    /// A word of `code.rs`.
    fn word(self, word: &'static str) -> Self;

    /// A body, and the end.
    fn body(self, body: &Body);

    /// The object of a rare frame, and the end.
    fn object(self, object: &impl Serialize);

    /// The end of a frame without body.
    fn end(self);
}

/// Writes one frame of a client.
pub(super) fn client<'a, H: Elements<'a>>(frame: &ClientFrame, out: &'a mut BytesMut) {
    match frame {
        ClientFrame::Command(command) => self::command::<H>(command, out),
        ClientFrame::Ack { ack, low } => numbers::<H>(out, kind::ACK, &[ack.0, low.0]),
        ClientFrame::Volatile { name, body } => {
            H::begin(out, kind::VOLATILE, name.as_bytes().len() + body.len()).name(name).body(body);
        }
        ClientFrame::Position { topic, ts, bytes } => {
            numbers::<H>(out, kind::POSITION, &[topic.0, ts.0, *bytes])
        }
        ClientFrame::Ping { k } => numbers::<H>(out, kind::PING, &[*k]),
        ClientFrame::Pong { k } => numbers::<H>(out, kind::PONG, &[*k]),
        ClientFrame::Cancel { n } => numbers::<H>(out, kind::CANCEL, &[n.0]),
        ClientFrame::Hello(hello) => object::<H>(out, kind::HELLO, &rare::hello_object(hello)),
        ClientFrame::Subscribe(it) => {
            object::<H>(out, kind::SUBSCRIBE, &rare::subscribe_object(it))
        }
        ClientFrame::Lease => object::<H>(out, kind::LEASE, &rare::lease_wanted_object()),
        ClientFrame::Unsubscribe { sub } => {
            object::<H>(out, kind::UNSUBSCRIBE, &rare::unsubscribe_object(*sub))
        }
        ClientFrame::Ignored { kind } => numbers::<H>(out, (*kind).into(), &[]),
    }
}

/// Writes one frame of a server.
pub(super) fn server<'a, H: Elements<'a>>(frame: &ServerFrame, out: &'a mut BytesMut) {
    match frame {
        ServerFrame::Result { seq, ack, n, dup, body } => {
            let head = H::begin(out, kind::RESULT, body.len());
            head.number(seq.0).number(ack.0).number(n.0).number((*dup).into()).body(body);
        }
        ServerFrame::Failed { seq, ack, n, dup, code, name, body } => {
            let head = H::begin(out, kind::FAILED, name.as_bytes().len() + body.len());
            let head = head.number(seq.0).number(ack.0).number(n.0).number((*dup).into());
            head.word(code.word()).name(name).body(body);
        }
        ServerFrame::Refused { seq, ack, n, code, retry_ms } => {
            let head = H::begin(out, kind::REFUSED, 0).number(seq.0).number(ack.0).number(n.0);
            head.word(code.word()).number(*retry_ms).end();
        }
        ServerFrame::Direct { seq, ack, name, body } => {
            of_topic::<H>(out, kind::DIRECT, &[seq.0, ack.0], name, body)
        }
        ServerFrame::Event { topic, ts, name, body } => {
            of_topic::<H>(out, kind::EVENT, &[topic.0, ts.0], name, body)
        }
        ServerFrame::Snapshot { topic, ts, name, body } => {
            of_topic::<H>(out, kind::SNAPSHOT, &[topic.0, ts.0], name, body)
        }
        ServerFrame::TopicVolatile { topic, name, body } => {
            of_topic::<H>(out, kind::TOPIC_VOLATILE, &[topic.0], name, body);
        }
        ServerFrame::Ack { ack } => numbers::<H>(out, kind::ACK, &[ack.0]),
        ServerFrame::Skip { topic, ts } => numbers::<H>(out, kind::SKIP, &[topic.0, ts.0]),
        ServerFrame::Ping { k } => numbers::<H>(out, kind::PING, &[*k]),
        ServerFrame::Pong { k } => numbers::<H>(out, kind::PONG, &[*k]),
        ServerFrame::Welcome(welcome) => {
            object::<H>(out, kind::WELCOME, &rare::welcome_object(welcome))
        }
        ServerFrame::ResumeFailed { reason } => {
            object::<H>(out, kind::RESUME_FAILED, &rare::resume_failed_object(*reason))
        }
        ServerFrame::Subscribed(it) => {
            object::<H>(out, kind::SUBSCRIBED, &rare::subscribed_object(it))
        }
        ServerFrame::Unsubscribed { sub, code, retry_ms } => {
            object::<H>(
                out,
                kind::UNSUBSCRIBED,
                &rare::unsubscribed_object(*sub, *code, *retry_ms),
            );
        }
        ServerFrame::Lease(lease) => object::<H>(out, kind::LEASE, &rare::lease_object(lease)),
        ServerFrame::GoAway { after_ms, deadline_ms } => {
            object::<H>(out, kind::GOAWAY, &rare::goaway_object(*after_ms, *deadline_ms));
        }
        ServerFrame::Ignored { kind } => numbers::<H>(out, (*kind).into(), &[]),
    }
}

fn command<'a, H: Elements<'a>>(command: &CommandFrame, out: &'a mut BytesMut) {
    debug_assert!(
        command.low.0 >= 1 && command.low <= command.n,
        "`low` is at most the number being sent"
    );
    let kind =
        if command.deadline_ms.is_some() { kind::COMMAND_WITH_DEADLINE } else { kind::COMMAND };
    let back = command.n.0.saturating_sub(command.low.0);
    let head = H::begin(out, kind, command.name.as_bytes().len() + command.body.len());
    let mut head =
        head.number(command.seq.0).number(command.ack.0).number(command.n.0).number(back);
    if let Some(deadline_ms) = command.deadline_ms {
        head = head.number(deadline_ms);
    }
    head.name(&command.name).body(&command.body);
}

/// Writes a frame of a topic: its numbers, name and body.
pub(super) fn of_topic<'a, H: Elements<'a>>(
    out: &'a mut BytesMut,
    kind: u64,
    head: &[u64],
    name: &Name,
    body: &Body,
) {
    let start = H::begin(out, kind, name.as_bytes().len() + body.len());
    head.iter().fold(start, |head, number| head.number(*number)).name(name).body(body);
}

fn numbers<'a, H: Elements<'a>>(out: &'a mut BytesMut, kind: u64, numbers: &[u64]) {
    numbers.iter().fold(H::begin(out, kind, 0), |head, number| head.number(*number)).end();
}

fn object<'a, H: Elements<'a>>(out: &'a mut BytesMut, kind: u64, object: &impl Serialize) {
    H::begin(out, kind, 0).object(object);
}
