//! One line of an export: JSON that names its kind, so that it can be read, searched and cut with
//! the usual tools. Which lines follow which is not said here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::session::store::{LogEntry, MessageId, Outcome, Retention, TopicHead, TopicId, UsedId};
use crate::store::admin::{AgedEntry, ListedId};
use crate::wire::{Body, Codec, Epoch, FailureCode, Name, TopicSeq};

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
    /// Of the topic before it. A body is text, under the name of its codec.
    Entry { ts: u64, age_ms: u64, name: String, bodies: Vec<(String, String)> },
    Id {
        principal: String,
        message: String,
        id: String,
        hash: u64,
        keep_ms: u64,
        outcome: Ended,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    },
    /// The last one: how many lines came between the first one and this.
    End { pieces: u64 },
}

/// How the command of an id ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    Ok,
    Expired,
    Error,
    Internal,
    Timeout,
    Unknown,
    IdReused,
}

const FAILURES: [(Ended, FailureCode); 5] = [
    (Ended::Error, FailureCode::Error),
    (Ended::Internal, FailureCode::Internal),
    (Ended::Timeout, FailureCode::Timeout),
    (Ended::Unknown, FailureCode::Unknown),
    (Ended::IdReused, FailureCode::IdReused),
];

fn text(body: &Body) -> String {
    String::from_utf8_lossy(body.as_bytes()).into_owned()
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

    pub(super) fn entry(AgedEntry { age_ms, entry }: &AgedEntry) -> Self {
        let bodies = entry.bodies.iter();
        Self::Entry {
            ts: entry.ts.0,
            age_ms: *age_ms,
            name: entry.name.as_str().to_owned(),
            bodies: bodies
                .map(|(codec, body)| (codec.subprotocol().to_owned(), text(body)))
                .collect(),
        }
    }

    pub(super) fn id(ListedId { id, used, keep_ms }: &ListedId) -> Self {
        let (outcome, error, body) = match &used.outcome {
            Outcome::Ok(body) => (Ended::Ok, None, Some(text(body))),
            Outcome::Expired => (Ended::Expired, None, None),
            Outcome::Failed(failure) => {
                let known = FAILURES.into_iter().find(|(_, code)| *code == failure.code);
                let ended = known.map_or(Ended::Unknown, |(ended, _)| ended);
                (ended, Some(failure.name.as_str().to_owned()), Some(text(&failure.body)))
            }
        };
        Self::Id {
            principal: id.principal.to_string(),
            message: id.message.as_str().to_owned(),
            id: id.text.to_string(),
            hash: used.hash,
            keep_ms: *keep_ms,
            outcome,
            error,
            body,
        }
    }

    /// What the line of a topic says; `None` for another one, or if it says nothing sensible.
    pub(super) fn as_topic(&self) -> Option<(TopicId, TopicHead, Retention)> {
        let Self::Topic { topic, key, epoch, head, keep_entries, keep_bytes, keep_ms } = self
        else {
            return None;
        };
        let topic = TopicId { name: name(topic)?, key: key.as_str().into() };
        let head = TopicSeq(*head);
        let head = TopicHead { epoch: Epoch::parse(epoch)?, head, oldest: head.next() };
        let ttl = Duration::from_millis(*keep_ms);
        Some((topic, head, Retention::new(*keep_entries, ttl).with_bytes(*keep_bytes)))
    }

    pub(super) fn as_entry(&self) -> Option<AgedEntry> {
        let Self::Entry { ts, age_ms, name: of, bodies } = self else { return None };
        let body = |(codec, body): &(String, String)| {
            Some((Codec::from_subprotocol(codec)?, Body::copy_from(body.as_bytes())))
        };
        let bodies = bodies.iter().map(body).collect::<Option<Vec<_>>>()?;
        let entry = LogEntry { ts: TopicSeq(*ts), name: name(of)?, bodies };
        Some(AgedEntry { age_ms: *age_ms, entry })
    }

    pub(super) fn as_id(&self) -> Option<ListedId> {
        let Self::Id { principal, message, id, hash, keep_ms, outcome, error, body } = self else {
            return None;
        };
        let body = body.as_ref().map_or(Body::UNIT, |body| Body::copy_from(body.as_bytes()));
        let outcome = match outcome {
            Ended::Ok => Outcome::Ok(body),
            Ended::Expired => Outcome::Expired,
            ended => {
                let (_, code) = FAILURES.into_iter().find(|(known, _)| known == ended)?;
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
        Some(ListedId { id, used: UsedId { hash: *hash, outcome }, keep_ms: *keep_ms })
    }
}
