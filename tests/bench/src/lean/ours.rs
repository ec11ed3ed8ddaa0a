//! PROTOCOL.md by hand: HELLO, numbered commands, acks that travel with them, positions whenever a
//! quarter of the credit is used. Every sequence that comes back is checked; nothing is resumed.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use steadfast::wire::{
    Body, ClientFrame, Codec, CommandFrame, CommandNo, Dial, Hello, InstanceId, Name, Seq,
    ServerFrame, SubNo, Subscribe, TopicNo, TopicSeq, Window,
};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{Heard, Speaker, Ws};
use crate::Failure;
use crate::protocol::{BenchCommandBurst, BenchCommandFetch, BenchCommandPost, FEED};
use crate::settings::REQUEST_TEXT;

/// The window that `steadfast`'s own client announces by default.
const WINDOW: Window = Window { frames: 256, bytes: 256 * 1024 };

static INSTANCES: AtomicU64 = AtomicU64::new(1);

/// See the module.
#[derive(Debug)]
pub struct Ours {
    text: String,
    out: BytesMut,
    sent: u64,
    /// The last command whose result has come. Commands are ordered, so all lower ones have theirs.
    resolved: CommandNo,
    recv: Seq,
    topic: Option<TopicNo>,
    cursor: TopicSeq,
    received: u64,
    reported: TopicSeq,
}

impl Ours {
    fn message(&mut self, frame: &ClientFrame) -> Message {
        Codec::Json.write_client(frame, &mut self.out);
        // The codec writes JSON, and JSON is UTF-8.
        Message::Text(Utf8Bytes::try_from(self.out.split().freeze()).unwrap_or_default())
    }

    fn command(&mut self, name: &'static str, body: &impl Serialize) -> Message {
        self.sent += 1;
        let command = CommandFrame {
            seq: Seq(self.sent),
            ack: self.recv,
            n: CommandNo(self.sent),
            low: self.resolved.next(),
            deadline_ms: None,
            name: Name::from_static(name).unwrap_or_default(),
            body: Body::from(serde_json::to_vec(body).unwrap_or_default()),
        };
        self.message(&ClientFrame::Command(command))
    }

    fn on_result(&mut self, seq: Seq, n: CommandNo, body: Bytes) -> Result<Heard, Failure> {
        if seq != self.recv.next() || n != self.resolved.next() {
            return Err("a result is out of order".into());
        }
        self.recv = seq;
        self.resolved = n;
        Ok(Heard::Reply(body))
    }

    fn on_event(&mut self, topic: TopicNo, ts: TopicSeq) -> Result<Heard, Failure> {
        if self.topic != Some(topic) || ts != self.cursor.next() {
            return Err("an event is out of order".into());
        }
        self.cursor = ts;
        Ok(Heard::Event)
    }
}

impl Speaker for Ours {
    const SUBPROTOCOL: Option<&'static str> = Some(Codec::Json.subprotocol());

    async fn begin(ws: &mut Ws) -> Result<Self, Failure> {
        let instance = u128::from(std::process::id()) << 64
            | u128::from(INSTANCES.fetch_add(1, Ordering::Relaxed));
        let mut this = Self {
            text: "t".repeat(REQUEST_TEXT),
            out: BytesMut::new(),
            sent: 0,
            resolved: CommandNo::ZERO,
            recv: Seq::ZERO,
            topic: None,
            cursor: TopicSeq::ZERO,
            received: 0,
            reported: TopicSeq::ZERO,
        };
        let hello = Hello {
            v: 1,
            protocol: "bench".to_owned(),
            version: "1.0".to_owned(),
            fingerprint: None,
            token: None,
            instance: InstanceId(instance),
            dial: Dial(1),
            window: WINDOW,
            message_bytes: None,
            resume: None,
            lease: None,
            lease_later: false,
        };
        let hello = this.message(&ClientFrame::Hello(Box::new(hello)));
        ws.send(hello).await?;
        match ws.next().await.ok_or("no WELCOME")?? {
            Message::Text(text)
                if matches!(Codec::Json.read_server(text.as_bytes())?, ServerFrame::Welcome(_)) => {
            }
            other => return Err(format!("{other} instead of WELCOME").into()),
        }
        let ack = this.message(&ClientFrame::Ack { ack: Seq::ZERO, low: CommandNo(1) });
        ws.send(ack).await?;
        Ok(this)
    }

    fn post(&mut self) -> Message {
        let post = BenchCommandPost { room: 7, text: self.text.clone(), ts: self.sent };
        self.command("post", &post)
    }

    fn burst(&mut self, events: u32, text: &str) -> Message {
        self.command("burst", &BenchCommandBurst { events, text: text.to_owned() })
    }

    fn fetch(&mut self, bytes: u32) -> Message {
        self.command("fetch", &BenchCommandFetch { bytes })
    }

    fn follow(&mut self) -> Message {
        let subscribe = Subscribe {
            sub: SubNo(1),
            topic: Name::from_static("feed").unwrap_or_default(),
            key: FEED.to_string(),
            from: None,
            last: None,
            credit: WINDOW,
        };
        self.message(&ClientFrame::Subscribe(Box::new(subscribe)))
    }

    fn hear(&mut self, message: Message) -> Result<Heard, Failure> {
        let text = match message {
            Message::Text(text) => text,
            Message::Close(close) => return Err(format!("closed: {close:?}").into()),
            _ => return Ok(Heard::Nothing),
        };
        match Codec::Json.read_server(text.as_bytes())? {
            ServerFrame::Result { seq, n, body, .. } => self.on_result(seq, n, body.into_bytes()),
            ServerFrame::Event { topic, ts, .. } => {
                self.received += text.len() as u64;
                self.on_event(topic, ts)
            }
            ServerFrame::Subscribed(subscribed) => {
                self.topic = Some(subscribed.number);
                self.cursor = subscribed.ts;
                self.reported = subscribed.ts;
                Ok(Heard::Followed)
            }
            ServerFrame::Ack { .. } | ServerFrame::Ping { .. } => Ok(Heard::Nothing),
            frame => Err(format!("unexpected: {frame:?}").into()),
        }
    }

    fn owed(&mut self, idle: bool) -> Option<Message> {
        if let Some(topic) = self.topic
            && self.cursor.0 - self.reported.0 >= u64::from(WINDOW.frames / 4)
        {
            self.reported = self.cursor;
            return Some(self.message(&ClientFrame::Position {
                topic,
                ts: self.cursor,
                bytes: self.received,
            }));
        }
        idle.then(|| self.message(&ClientFrame::Ack { ack: self.recv, low: self.resolved.next() }))
    }
}
