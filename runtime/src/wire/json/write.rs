//! From a frame to its text: heads as integers straight into the buffer, bodies as they are. A
//! number above the range of PROTOCOL.md 1.6 is written as the largest one, and a missing body as
//! `{}`; nothing else is checked.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

use super::code::Word;
use super::{kind, rare};
use crate::wire::{
    Body, ClientFrame, CommandFrame, MAX_SEQUENCE, Name, ServerFrame, TopicNo, TopicSeq,
};

/// No head is longer than a kind, six numbers of 16 digits, two quoted words, and the commas
/// between.
const HEAD_BYTES: usize = 3 + 6 * 17 + 2 * 16 + 1;

/// Enough for most rare frames; the buffer grows for longer ones.
const RARE_BYTES: usize = 512;

/// Writes one frame of a client.
pub(in crate::wire) fn write_client(frame: &ClientFrame, out: &mut BytesMut) {
    match frame {
        ClientFrame::Command(command) => write_command(command, out),
        ClientFrame::Ack { ack, low } => numbers(out, kind::ACK, &[ack.0, low.0]),
        ClientFrame::Volatile { name, body } => {
            Head::begin(out, kind::VOLATILE, name.as_bytes().len() + body.len())
                .name(name)
                .body(body);
        }
        ClientFrame::Position { topic, ts, bytes } => {
            numbers(out, kind::POSITION, &[topic.0, ts.0, *bytes])
        }
        ClientFrame::Cancel { n } => numbers(out, kind::CANCEL, &[n.0]),
        ClientFrame::Ping { k } => numbers(out, kind::PING, &[*k]),
        ClientFrame::Pong { k } => numbers(out, kind::PONG, &[*k]),
        ClientFrame::Hello(hello) => object(out, kind::HELLO, &rare::hello_object(hello)),
        ClientFrame::Subscribe(it) => object(out, kind::SUBSCRIBE, &rare::subscribe_object(it)),
        ClientFrame::Lease => object(out, kind::LEASE, &rare::lease_wanted_object()),
        ClientFrame::Unsubscribe { sub } => {
            object(out, kind::UNSUBSCRIBE, &rare::unsubscribe_object(*sub))
        }
        ClientFrame::Ignored { kind } => numbers(out, (*kind).into(), &[]),
    }
}

/// Writes one frame of a server.
pub(in crate::wire) fn write_server(frame: &ServerFrame, out: &mut BytesMut) {
    match frame {
        ServerFrame::Result { seq, ack, n, dup, body } => {
            let head = Head::begin(out, kind::RESULT, body.len());
            head.number(seq.0).number(ack.0).number(n.0).number((*dup).into()).body(body);
        }
        ServerFrame::Failed { seq, ack, n, dup, code, name, body } => {
            let head = Head::begin(out, kind::FAILED, name.as_bytes().len() + body.len());
            let head = head.number(seq.0).number(ack.0).number(n.0).number((*dup).into());
            head.word(code.word()).name(name).body(body);
        }
        ServerFrame::Refused { seq, ack, n, code, retry_ms } => {
            let head = Head::begin(out, kind::REFUSED, 0).number(seq.0).number(ack.0).number(n.0);
            head.word(code.word()).number(*retry_ms).end();
        }
        ServerFrame::Direct { seq, ack, name, body } => {
            named(out, kind::DIRECT, &[seq.0, ack.0], name, body)
        }
        ServerFrame::Event { topic, ts, name, body } => {
            named(out, kind::EVENT, &[topic.0, ts.0], name, body)
        }
        ServerFrame::Snapshot { topic, ts, name, body } => {
            named(out, kind::SNAPSHOT, &[topic.0, ts.0], name, body)
        }
        ServerFrame::TopicVolatile { topic, name, body } => {
            named(out, kind::TOPIC_VOLATILE, &[topic.0], name, body);
        }
        ServerFrame::Ack { ack } => numbers(out, kind::ACK, &[ack.0]),
        ServerFrame::Skip { topic, ts } => numbers(out, kind::SKIP, &[topic.0, ts.0]),
        ServerFrame::Ping { k } => numbers(out, kind::PING, &[*k]),
        ServerFrame::Pong { k } => numbers(out, kind::PONG, &[*k]),
        ServerFrame::Welcome(welcome) => object(out, kind::WELCOME, &rare::welcome_object(welcome)),
        ServerFrame::ResumeFailed { reason } => {
            object(out, kind::RESUME_FAILED, &rare::resume_failed_object(*reason))
        }
        ServerFrame::Subscribed(it) => object(out, kind::SUBSCRIBED, &rare::subscribed_object(it)),
        ServerFrame::Unsubscribed { sub, code, retry_ms } => {
            object(out, kind::UNSUBSCRIBED, &rare::unsubscribed_object(*sub, *code, *retry_ms));
        }
        ServerFrame::Lease(lease) => object(out, kind::LEASE, &rare::lease_object(lease)),
        ServerFrame::GoAway { after_ms, deadline_ms } => {
            object(out, kind::GOAWAY, &rare::goaway_object(*after_ms, *deadline_ms));
        }
        ServerFrame::Ignored { kind } => numbers(out, (*kind).into(), &[]),
    }
}

/// An EVENT as a message of its own.
pub(in crate::wire) fn event(topic: TopicNo, ts: TopicSeq, name: &Name, body: &Body) -> Bytes {
    let mut out = BytesMut::new();
    named(&mut out, kind::EVENT, &[topic.0, ts.0], name, body);
    out.freeze()
}

/// A SNAPSHOT as a message of its own.
pub(in crate::wire) fn snapshot(topic: TopicNo, ts: TopicSeq, name: &Name, body: &Body) -> Bytes {
    let mut out = BytesMut::new();
    named(&mut out, kind::SNAPSHOT, &[topic.0, ts.0], name, body);
    out.freeze()
}

/// A TOPIC_VOLATILE as a message of its own.
pub(in crate::wire) fn topic_volatile(topic: TopicNo, name: &Name, body: &Body) -> Bytes {
    let mut out = BytesMut::new();
    named(&mut out, kind::TOPIC_VOLATILE, &[topic.0], name, body);
    out.freeze()
}

fn write_command(command: &CommandFrame, out: &mut BytesMut) {
    debug_assert!(
        command.low.0 >= 1 && command.low <= command.n,
        "`low` is at most the number being sent"
    );
    let kind =
        if command.deadline_ms.is_some() { kind::COMMAND_WITH_DEADLINE } else { kind::COMMAND };
    let back = command.n.0.saturating_sub(command.low.0);
    let head = Head::begin(out, kind, command.name.as_bytes().len() + command.body.len());
    let mut head =
        head.number(command.seq.0).number(command.ack.0).number(command.n.0).number(back);
    if let Some(deadline_ms) = command.deadline_ms {
        head = head.number(deadline_ms);
    }
    head.name(&command.name).body(&command.body);
}

fn named(out: &mut BytesMut, kind: u64, head: &[u64], name: &Name, body: &Body) {
    let start = Head::begin(out, kind, name.as_bytes().len() + body.len());
    head.iter().fold(start, |head, number| head.number(*number)).name(name).body(body);
}

fn numbers(out: &mut BytesMut, kind: u64, numbers: &[u64]) {
    numbers.iter().fold(Head::begin(out, kind, 0), |head, number| head.number(*number)).end();
}

fn object(out: &mut BytesMut, kind: u64, object: &impl Serialize) {
    let head = Head::begin(out, kind, RARE_BYTES);
    head.out.put_u8(b',');
    serde_json::to_writer((&mut *head.out).writer(), object)
        .expect("structs of integers and strings, into memory");
    head.end();
}

/// A frame in the making: one element after the other, each with a comma before it.
struct Head<'a> {
    out: &'a mut BytesMut,
}

impl<'a> Head<'a> {
    /// Reserves room for a head and for `rest` bytes of name and body.
    fn begin(out: &'a mut BytesMut, kind: u64, rest: usize) -> Self {
        out.reserve(HEAD_BYTES + rest);
        out.put_u8(b'[');
        let this = Self { out };
        this.out.put_slice(itoa::Buffer::new().format(kind).as_bytes());
        this
    }

    fn number(self, number: u64) -> Self {
        self.out.put_u8(b',');
        self.out.put_slice(itoa::Buffer::new().format(number.min(MAX_SEQUENCE)).as_bytes());
        self
    }

    fn name(self, name: &Name) -> Self {
        self.quoted(name.as_bytes())
    }

    fn word(self, word: &'static str) -> Self {
        self.quoted(word.as_bytes())
    }

    /// Neither names nor words contain anything that JSON would escape.
    fn quoted(self, text: &[u8]) -> Self {
        self.out.put_slice(b",\"");
        self.out.put_slice(text);
        self.out.put_u8(b'"');
        self
    }

    fn body(self, body: &Body) {
        self.out.put_u8(b',');
        self.out.put_slice(if body.is_empty() { b"{}" } else { body.as_bytes() });
        self.end();
    }

    fn end(self) {
        self.out.put_u8(b']');
    }
}
