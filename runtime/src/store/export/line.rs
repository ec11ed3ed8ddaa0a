//! One line of an export: JSON that names its kind, so that it can be read, searched and cut with
//! the usual tools. Which lines follow which is not said here.

use std::io;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::session::store::{LogEntry, MessageId, Outcome, Retention, TopicHead, TopicId, UsedId};
use crate::store::admin::{AgedEntry, ListedId};
use crate::wire::{self, Body, Codec, Epoch, FailureCode, MAX_SEQUENCE, Name, TopicSeq};

/// The form of the lines.
pub(super) const FORMAT: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "piece", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    /// The first one.
    Export { format: u32 },
    Topic {
        topic: String,
        key: String,
        epoch: String,
        head: u64,
        keep_entries: u32,
        keep_bytes: u64,
        keep_ms: u64,
    },
    /// Of the topic before it. A body is text, under the name of its codec; one that is not JSON is
    /// in hexadecimal digits.
    Entry { ts: u64, age_ms: u64, name: String, bodies: Vec<(String, String)> },
    Id {
        principal: String,
        message: String,
        id: String,
        hash: String,
        keep_ms: u64,
        outcome: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        /// The body in hexadecimal digits, if it is not JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hex: Option<String>,
    },
    /// The last one: how many lines came between the first one and this.
    End { pieces: u64 },
}

const OK: &str = "ok";
const EXPIRED: &str = "expired";

/// Failures are written with their words on the wire.
const FAILURES: [FailureCode; 5] = [
    FailureCode::Error,
    FailureCode::Internal,
    FailureCode::Timeout,
    FailureCode::Unknown,
    FailureCode::IdReused,
];

fn text(body: &Body) -> io::Result<String> {
    let text = std::str::from_utf8(body.as_bytes());
    text.map(str::to_owned).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// A body that clients can be sent.
fn body(text: &str) -> Option<Body> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(Body::copy_from(text.as_bytes()))
}

fn hex(body: &Body) -> String {
    use std::fmt::Write as _;
    body.as_bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<Body> {
    let digits = text.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(pair).collect();
    let even = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    bytes.filter(|_| even).map(Body::from)
}

/// A body in a codec that is known.
fn coded(codec: Codec, body: &Body) -> io::Result<String> {
    match codec {
        Codec::Json => text(body),
        Codec::Binary => Ok(hex(body)),
    }
}

fn decoded(codec: Codec, text: &str) -> Option<Body> {
    match codec {
        Codec::Json => body(text),
        Codec::Binary => {
            from_hex(text).filter(|body| wire::read_value::<IgnoredAny>(body.as_bytes()).is_ok())
        }
    }
}

/// An outcome's body, whose codec nobody has written down, as JSON or in hexadecimal digits.
fn uncoded(of: &Body) -> (Option<String>, Option<String>) {
    match text(of).ok().filter(|text| body(text).is_some()) {
        Some(json) => (Some(json), None),
        None => (None, Some(hex(of))),
    }
}

fn name(text: &str) -> Option<Name> {
    Name::copy_from(text.as_bytes())
}

impl Line {
    pub(super) fn topic(topic: &TopicId, head: TopicHead, retention: Retention) -> Self {
        Self::Topic {
            topic: topic.name.as_str().to_owned(),
            key: topic.key.to_string(),
            epoch: head.epoch.to_string(),
            head: head.head.0,
            keep_entries: retention.entries,
            keep_bytes: retention.bytes,
            keep_ms: u64::try_from(retention.ttl.as_millis()).unwrap_or(u64::MAX),
        }
    }

    pub(super) fn entry(AgedEntry { age_ms, entry }: &AgedEntry) -> io::Result<Self> {
        let bodies = entry.bodies.iter();
        Ok(Self::Entry {
            ts: entry.ts.0,
            age_ms: *age_ms,
            name: entry.name.as_str().to_owned(),
            bodies: bodies
                .map(|(codec, body)| Ok((codec.subprotocol().to_owned(), coded(*codec, body)?)))
                .collect::<io::Result<_>>()?,
        })
    }

    pub(super) fn id(ListedId { id, used, keep_ms }: &ListedId) -> Self {
        let (outcome, error, (body, hex)) = match &used.outcome {
            Outcome::Ok(body) => (OK.to_owned(), None, uncoded(body)),
            Outcome::Expired => (EXPIRED.to_owned(), None, (None, None)),
            Outcome::Failed(failure) => {
                let error = failure.name.as_str().to_owned();
                (failure.code.to_string(), Some(error), uncoded(&failure.body))
            }
        };
        Self::Id {
            principal: id.principal.to_string(),
            message: id.message.as_str().to_owned(),
            id: id.text.to_string(),
            // Not every tool keeps numbers of 64 bits.
            hash: format!("{:016x}", used.hash),
            keep_ms: *keep_ms,
            outcome,
            error,
            body,
            hex,
        }
    }

    /// What the line of a topic says; `None` for another one, or if it says nothing sensible.
    pub(super) fn as_topic(&self) -> Option<(TopicId, TopicHead, Retention)> {
        let Self::Topic { topic, key, epoch, head, keep_entries, keep_bytes, keep_ms } = self
        else {
            return None;
        };
        let topic = TopicId { name: name(topic)?, key: key.as_str().into() };
        let head = TopicSeq((*head <= MAX_SEQUENCE).then_some(*head)?);
        let head = TopicHead { epoch: Epoch::parse(epoch)?, head, oldest: head.next() };
        let ttl = Duration::from_millis(*keep_ms);
        Some((topic, head, Retention::new(*keep_entries, ttl).with_bytes(*keep_bytes)))
    }

    pub(super) fn as_entry(&self) -> Option<AgedEntry> {
        let Self::Entry { ts, age_ms, name: of, bodies } = self else { return None };
        let read = |(codec, text): &(String, String)| {
            let codec = Codec::from_subprotocol(codec)?;
            Some((codec, decoded(codec, text)?))
        };
        let bodies = bodies.iter().map(read).collect::<Option<Vec<_>>>()?;
        let ts = TopicSeq((1..=MAX_SEQUENCE).contains(ts).then_some(*ts)?);
        let entry = LogEntry { ts, name: name(of)?, bodies };
        Some(AgedEntry { age_ms: *age_ms, entry })
    }

    pub(super) fn as_id(&self) -> Option<ListedId> {
        let Self::Id { principal, message, id, hash, keep_ms, outcome, error, body: text, hex } =
            self
        else {
            return None;
        };
        let body = match (text, hex) {
            (Some(text), _) => body(text)?,
            (None, Some(hex)) => from_hex(hex)?,
            (None, None) => Body::UNIT,
        };
        let hash = u64::from_str_radix(hash, 16).ok()?;
        let outcome = match outcome.as_str() {
            OK => Outcome::Ok(body),
            EXPIRED => Outcome::Expired,
            word => {
                let code = FAILURES.into_iter().find(|code| code.to_string() == word)?;
                let error = error.as_deref().unwrap_or_default();
                let error = if error.is_empty() { Name::EMPTY } else { name(error)? };
                Outcome::failed(code, error, body)
            }
        };
        let id = MessageId {
            principal: principal.as_str().into(),
            message: name(message)?,
            text: id.as_str().into(),
        };
        Some(ListedId { id, used: UsedId { hash, outcome }, keep_ms: *keep_ms })
    }
}
