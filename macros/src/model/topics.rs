//! The topics of a server enum: each has a key, a name of its own and one snapshot at most. Whether
//! a message fits its topic is for `kind` and `variant`.

use syn::Type;

use super::message::{Kind, Limits, Message};
use super::names::{check_wire_name, plain};
use super::protocol::Topic;
use crate::attr::{EnumAttrs, TopicAttrs, bare};
use crate::case::snake;
use crate::ctxt::Ctxt;
use crate::units::{kept_ms, size_bytes};

const DEFAULT_REPLAY: u32 = 256;
const DEFAULT_TTL_MS: u64 = 600_000;

/// The topics without mistakes.
pub(super) fn check_topics(attrs: &EnumAttrs, ctxt: &Ctxt) -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::new();
    for topic in attrs.topics.iter().filter_map(|raw| check_topic(raw, ctxt)) {
        match topics.iter().find(|other| other.wire() == topic.wire()) {
            Some(_) => {
                ctxt.error(&topic.ident, format!("the topic `{}` is declared twice", topic.ident))
            }
            None => topics.push(topic),
        }
    }
    topics
}

fn check_topic(raw: &TopicAttrs, ctxt: &Ctxt) -> Option<Topic> {
    let ident = &raw.name;
    let replay = raw.replay.as_ref().and_then(|lit| ctxt.ok(lit.base10_parse::<u32>()));
    let ttl_ms = raw.ttl.as_ref().and_then(|lit| ctxt.ok(kept_ms(lit)));
    let max_bytes = raw.max_bytes.as_ref().and_then(|lit| ctxt.ok(size_bytes(lit)));
    let Some((field, ty)) = &raw.key else {
        if !raw.refused {
            ctxt.error(
                ident,
                format!("topic `{ident}` needs a key: `topic({ident}, key = room: RoomId)`"),
            );
        }
        return None;
    };
    if matches!(bare(ty), Type::Path(path) if path.path.is_ident(ident)) {
        let message = format!(
            "the topic's key type is generated and called `{ident}`; name the topic differently \
             from `{ident}`, the type of its field"
        );
        ctxt.error(ident, message);
        return None;
    }
    check_wire_name(&snake(&plain(ident)), ident.span(), ctxt);
    Some(Topic {
        ident: ident.clone(),
        field: field.clone(),
        ty: ty.clone(),
        replay: replay.unwrap_or(DEFAULT_REPLAY),
        ttl_ms: ttl_ms.unwrap_or(DEFAULT_TTL_MS),
        max_bytes: max_bytes.unwrap_or(Limits::DEFAULT.max_bytes),
        snapshot: None,
    })
}

/// Gives each topic its snapshot's struct; a topic has one at most.
pub(super) fn with_snapshots(
    mut topics: Vec<Topic>,
    messages: &[Message],
    ctxt: &Ctxt,
) -> Vec<Topic> {
    for message in messages {
        let Kind::Snapshot { topic } = message.kind else { continue };
        let topic = &mut topics[topic];
        if topic.snapshot.is_some() {
            let text =
                format!("topic `{}` has a snapshot already; a topic has one state", topic.ident);
            ctxt.error(&message.ident, text);
        } else {
            topic.snapshot = Some(message.ty());
        }
    }
    topics
}
