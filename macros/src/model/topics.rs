//! The topics of a server enum: each has a key, a name of its own and one snapshot at most. Whether
//! a message fits its topic is for `kind` and `variant`.

use proc_macro2::Ident;
use syn::{LitInt, Type};

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
    let count =
        |lit: Option<&(Ident, LitInt)>| lit.and_then(|(_, lit)| ctxt.ok(lit.base10_parse::<u32>()));
    let replay = count(raw.replay.as_ref());
    let items = count(raw.items.as_ref());
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
    check_keyed(raw, items, ctxt)?;
    Some(Topic {
        ident: ident.clone(),
        field: field.clone(),
        ty: ty.clone(),
        replay: items.or(replay).unwrap_or(DEFAULT_REPLAY),
        keyed: raw.latest_by.as_ref().map(|(_, fields)| fields.clone()),
        ttl_ms: ttl_ms.unwrap_or(DEFAULT_TTL_MS),
        max_bytes: max_bytes.unwrap_or(Limits::DEFAULT.max_bytes),
        snapshot: None,
    })
}

/// A keyed topic says how many items it keeps, another one how many events. `None` if there was a
/// mistake; it was reported.
fn check_keyed(raw: &TopicAttrs, items: Option<u32>, ctxt: &Ctxt) -> Option<()> {
    let ident = &raw.name;
    match (&raw.latest_by, &raw.items, &raw.replay) {
        (None, Some((key, _)), _) => {
            let message = "`items` belongs to a keyed topic, whose events are about items: add \
                           `latest_by = price: Price`";
            if !raw.refused {
                ctxt.error(key, message);
            }
            None
        }
        (Some(_), _, Some((key, _))) => {
            let message = "a keyed topic keeps the latest event of each item: write \
                           `items = 1_000`, not `replay`";
            ctxt.error(key, message);
            None
        }
        (Some((key, _)), None, None) => {
            let message = format!(
                "a keyed topic says how many items it keeps: `topic({ident}, .., items = 1_000)`"
            );
            if !raw.refused {
                ctxt.error(key, message);
            }
            None
        }
        (Some(_), Some((key, _)), None) if items == Some(0) => {
            ctxt.error(key, "a topic without items keeps nothing: `items = 1_000`");
            None
        }
        (Some(_), Some(_), None) => items.map(|_| ()),
        (None, None, _) => Some(()),
    }
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
        if topic.keyed.is_some() {
            let text = format!(
                "the state of the keyed topic `{}` is its items, so it has no snapshot: drop this \
                 variant, or `latest_by`",
                topic.ident
            );
            ctxt.error(&message.ident, text);
        } else if topic.snapshot.is_some() {
            let text =
                format!("topic `{}` has a snapshot already; a topic has one state", topic.ident);
            ctxt.error(&message.ident, text);
        } else {
            topic.snapshot = Some(message.ty());
        }
    }
    topics
}
