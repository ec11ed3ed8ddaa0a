//! The JSON codec against serde_json: the tables of PROTOCOL.md sections 3, 4.1 and 7.2 as data,
//! and what serde_json makes of the same message. It compares them in both directions, and looks at
//! no state.

use serde_json::Value;
use steadfast::wire::{
    Body, ClientFrame, Codec, FrameError, MAX_NAME_BYTES, MAX_SEQUENCE, ServerFrame,
};

use crate::frames::{client_text, server_text};

/// What stands at one place of a frame (PROTOCOL.md 3.6), or in a member of an object.
#[derive(Debug, Clone, Copy)]
enum Part {
    Number,
    Flag,
    /// Any string: codes and keys.
    Text,
    Name,
    /// A name, or `""`.
    MaybeName,
    Bool,
    /// So many lower-case hexadecimal digits.
    Hex(usize),
    /// One of two words; no other is defined (PROTOCOL.md 4.1).
    LeaseState,
    Object(&'static [(&'static str, Part, Need)]),
    /// Any JSON value, the last element.
    Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Must,
    May,
}

use Need::{May, Must};
use Part::{Bool, Flag, Hex, MaybeName, Number, Object, Text};

type Layout = (u64, &'static [Part]);

const WINDOW: Part = Object(&[("frames", Number, Must), ("bytes", Number, Must)]);
const HELLO: Part = Object(&[
    ("v", Number, Must),
    ("protocol", Text, Must),
    ("version", Text, Must),
    ("fingerprint", Part::Name, May),
    ("token", Text, May),
    ("instance", Hex(32), Must),
    ("dial", Number, Must),
    ("window", WINDOW, Must),
    (
        "resume",
        Object(&[("session", Hex(32), Must), ("token", Hex(32), Must), ("recv", Number, Must)]),
        May,
    ),
    ("lease", Object(&[("id", Hex(32), Must), ("low", Number, Must), ("next", Number, Must)]), May),
    ("lease_later", Bool, May),
]);
const LEASE: Part = Object(&[
    ("id", Hex(32), Must),
    ("state", Part::LeaseState, Must),
    ("span", Number, Must),
    ("ttl_ms", Number, Must),
]);
const WELCOME: Part = Object(&[
    ("session", Hex(32), Must),
    ("token", Hex(32), Must),
    ("gen", Number, Must),
    ("resumed", Bool, Must),
    ("recv", Number, Must),
    ("ttl_ms", Number, Must),
    ("frame_bytes", Number, Must),
    ("window", WINDOW, Must),
    ("lease", LEASE, May),
    (
        "heartbeat",
        Object(&[
            ("interval_ms", Number, Must),
            ("timeout_ms", Number, Must),
            ("missed", Number, Must),
        ]),
        Must,
    ),
    ("version", Text, May),
    ("fingerprint", Part::Name, May),
    ("verdict", Text, May),
]);
const SUBSCRIBE: Part = Object(&[
    ("sub", Number, Must),
    ("topic", Part::Name, Must),
    ("key", Text, Must),
    ("from", Object(&[("epoch", Hex(16), Must), ("ts", Number, Must)]), May),
    ("credit", Object(&[("events", Number, Must), ("bytes", Number, Must)]), Must),
]);
const SUBSCRIBED: Part = Object(&[
    ("sub", Number, Must),
    ("number", Number, Must),
    ("epoch", Hex(16), Must),
    ("ts", Number, Must),
    ("head", Number, Must),
    ("snapshot", Bool, Must),
    ("reset", Text, May),
]);

const CLIENT: &[Layout] = &[
    (0, &[Number, Number]),
    (1, &[Number, Number, Number, Number, Part::Name, Part::Body]),
    (2, &[Number, Number, Number, Number, Number, Part::Name, Part::Body]),
    (6, &[Part::Name, Part::Body]),
    (8, &[Number, Number, Number]),
    (12, &[Number]),
    (13, &[Number]),
    (20, &[HELLO]),
    (23, &[SUBSCRIBE]),
    (25, &[Object(&[("sub", Number, Must)])]),
    (28, &[Object(&[])]),
    (129, &[Number]),
];

const SERVER: &[Layout] = &[
    (0, &[Number]),
    (3, &[Number, Number, Number, Flag, Part::Body]),
    (4, &[Number, Number, Number, Flag, Text, MaybeName, Part::Body]),
    (5, &[Number, Number, Part::Name, Part::Body]),
    (7, &[Number, Part::Name, Part::Body]),
    (9, &[Number, Number, Number, Text, Number]),
    (10, &[Number, Number, Part::Name, Part::Body]),
    (11, &[Number, Number]),
    (12, &[Number]),
    (13, &[Number]),
    (14, &[Number, Number, Part::Name, Part::Body]),
    (21, &[WELCOME]),
    (22, &[Object(&[("reason", Text, Must)])]),
    (24, &[SUBSCRIBED]),
    (26, &[Object(&[("sub", Number, Must), ("code", Text, Must), ("retry_ms", Number, May)])]),
    (27, &[Object(&[("after_ms", Number, Must), ("deadline_ms", Number, Must)])]),
    (28, &[LEASE]),
];

/// Kinds that a receiver may pass over (PROTOCOL.md 3.6).
const IGNORABLE: std::ops::RangeInclusive<u64> = 128..=255;

/// Compares what the reader made of a client's message with what serde_json makes of it.
pub(crate) fn client(message: &[u8], read: &Result<ClientFrame, FrameError>) {
    if let Ok(frame) = read {
        let (head, body) = without_body(frame.clone());
        agree(message, body.as_ref(), &client_text(Codec::Json, &head));
    }
    judge(message, read.is_ok(), CLIENT, |text| Codec::Json.read_client(text).is_ok());
}

/// Compares what the reader made of a server's message with what serde_json makes of it.
pub(crate) fn server(message: &[u8], read: &Result<ServerFrame, FrameError>) {
    if let Ok(frame) = read {
        let (head, body) = without_server_body(frame.clone());
        agree(message, body.as_ref(), &server_text(Codec::Json, &head));
    }
    judge(message, read.is_ok(), SERVER, |text| Codec::Json.read_server(text).is_ok());
}

pub(crate) fn without_body(mut frame: ClientFrame) -> (ClientFrame, Option<Body>) {
    let body = match &mut frame {
        ClientFrame::Command(command) => Some(std::mem::replace(&mut command.body, Body::UNIT)),
        ClientFrame::Volatile { body, .. } => Some(std::mem::replace(body, Body::UNIT)),
        _ => None,
    };
    (frame, body)
}

pub(crate) fn without_server_body(mut frame: ServerFrame) -> (ServerFrame, Option<Body>) {
    let body = match &mut frame {
        ServerFrame::Result { body, .. }
        | ServerFrame::Failed { body, .. }
        | ServerFrame::Direct { body, .. }
        | ServerFrame::Event { body, .. }
        | ServerFrame::Snapshot { body, .. }
        | ServerFrame::TopicVolatile { body, .. } => Some(std::mem::replace(body, Body::UNIT)),
        _ => None,
    };
    (frame, body)
}

// ---- what our reader took ----

/// A message that our reader took is JSON up to its body, with the values that our reader found;
/// `ours` is the frame as it is written, with another body.
fn agree(message: &[u8], body: Option<&Body>, ours: &[u8]) {
    let ours = array(ours).expect("our own frames are JSON");
    let Some(kind) = ours.first().and_then(Value::as_u64) else { return };
    let (theirs, heads) = match body {
        Some(body) => (array(&other_body(message, body)), ours.len() - 1),
        // What follows a kind that nobody knows is not looked at.
        None if IGNORABLE.contains(&kind) && ours.len() == 1 => return,
        None => {
            let valid = serde_json::from_slice::<serde::de::IgnoredAny>(message).is_ok();
            assert!(valid, "a frame without body is JSON");
            (array(message), ours.len())
        }
    };
    let Some(theirs) = theirs else {
        // Unknown members may hold what serde_json passes over and can't keep: text that is not
        // UTF-8, deep nesting.
        assert!(body.is_none() && kind >= 20, "the head is JSON");
        return;
    };
    assert_eq!(theirs.len(), ours.len(), "the elements of the layout, no more and no less");
    for (ours, theirs) in ours.iter().zip(&theirs).take(heads) {
        assert!(
            same(kind, ours, theirs) && !is_lost(kind, ours, theirs),
            "{ours} was read from {theirs}"
        );
    }
}

fn array(text: &[u8]) -> Option<Vec<Value>> {
    serde_json::from_slice(text).ok()
}

/// The message with `null` where its body was.
fn other_body(message: &[u8], body: &Body) -> Vec<u8> {
    let inner = trimmed(message).strip_suffix(b"]").map(trimmed);
    let head = inner.and_then(|inner| inner.strip_suffix(body.as_bytes()));
    let mut text = head.expect("the body is what stands before the closing bracket").to_vec();
    text.extend_from_slice(b"null]");
    text
}

/// Without JSON's white space at the end, which has no form feed.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t' | b'\n' | b'\r'] = text {
        text = rest;
    }
    text
}

/// Whether the reader may have made `ours` of `theirs` in a frame of this kind: limits beyond 32
/// bits read as the largest one, and words of a later version as the one that stands for them.
fn same(kind: u64, ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => match (ours.as_u64(), theirs.as_u64()) {
            (Some(ours), Some(theirs)) => {
                ours == theirs || (ours == u64::from(u32::MAX) && theirs > ours)
            }
            _ => false,
        },
        (Value::String(ours), Value::String(theirs)) => {
            let (known, stand_in) = words(kind);
            ours == theirs || (ours == stand_in && !known.contains(&&theirs[..]))
        }
        (Value::Object(ours), Value::Object(theirs)) => ours
            .iter()
            .all(|(name, ours)| theirs.get(name).is_some_and(|theirs| same(kind, ours, theirs))),
        (ours, theirs) => ours == theirs,
    }
}

/// Whether an optional member that came was passed over.
fn is_lost(kind: u64, ours: &Value, theirs: &Value) -> bool {
    let members: &[&str] = match kind {
        20 => &["token", "resume", "lease"],
        21 => &["lease"],
        23 => &["from"],
        24 => &["reset"],
        26 => &["retry_ms"],
        _ => &[],
    };
    members.iter().any(|name| {
        theirs.get(name).is_some_and(|value| !value.is_null()) && ours.get(name).is_none()
    })
}

/// The words of a frame's codes, and the one that stands for all others (PROTOCOL.md 4.10, 5.7,
/// 5.10, 7.5, 7.10).
fn words(kind: u64) -> (&'static [&'static str], &'static str) {
    match kind {
        4 => (&["error", "internal", "timeout", "unknown"], "internal"),
        9 => (
            &[
                "draining",
                "overload",
                "rate_limited",
                "unsupported",
                "invalid",
                "too_large",
                "forbidden",
                "expired",
            ],
            "other",
        ),
        22 => (&["unknown", "expired", "token", "principal", "not_retained"], "unknown"),
        24 => (&["initial", "trimmed", "epoch", "ahead"], "epoch"),
        26 => {
            (&["forbidden", "unsupported", "duplicate", "invalid", "overload", "internal"], "other")
        }
        _ => (&[], ""),
    }
}

// ---- what serde_json took ----

/// A message that serde_json reads as a documented layout is a frame, and one that it reads as
/// something else is none.
fn judge(message: &[u8], taken: bool, layouts: &[Layout], read: impl Fn(&[u8]) -> bool) {
    let Ok(value) = serde_json::from_slice::<Value>(message) else { return };
    let Some(fits) = fits(&value, layouts) else { return };
    if !fits {
        return assert!(!taken, "{value} fits no layout");
    }
    // As serde_json writes it there are no escapes in names and no member twice.
    let canonical = value.to_string();
    assert!(read(canonical.as_bytes()), "{value} fits its layout");
    let plain = !message.contains(&b'\\') && canonical.len() == message.len();
    assert!(taken || !plain, "{value} fits its layout as it came");
}

/// Whether the value is a frame; `None` where PROTOCOL.md leaves it open to the reader.
fn fits(value: &Value, layouts: &[Layout]) -> Option<bool> {
    let Some((kind, elements)) = value.as_array().and_then(|elements| elements.split_first())
    else {
        return Some(false);
    };
    let Some(kind) = kind.as_u64() else { return Some(false) };
    let Some((_, layout)) = layouts.iter().find(|(of, _)| *of == kind) else {
        return Some(IGNORABLE.contains(&kind));
    };
    let has_body = matches!(layout.last(), Some(Part::Body));
    if has_body && elements.len() > layout.len() {
        // Where a body ends is found without reading it (PROTOCOL.md 3.2).
        return None;
    }
    let all = elements.len() == layout.len()
        && elements.iter().zip(*layout).all(|(value, part)| is(value, part));
    Some(
        all && (!matches!(kind, 1 | 2)
            || low_is_at_least_1(elements)
            || layouts.len() == SERVER.len()),
    )
}

/// `back` is below `n` (PROTOCOL.md 3.7).
fn low_is_at_least_1(elements: &[Value]) -> bool {
    match (elements.get(2).and_then(Value::as_u64), elements.get(3).and_then(Value::as_u64)) {
        (Some(n), Some(back)) => back < n,
        _ => false,
    }
}

fn is(value: &Value, part: &Part) -> bool {
    match part {
        Part::Number => value.as_u64().is_some_and(|number| number <= MAX_SEQUENCE),
        Part::Flag => value.as_u64().is_some_and(|number| number <= 1),
        Part::Bool => value.is_boolean(),
        Part::Text => value.is_string(),
        Part::Name => value.as_str().is_some_and(|text| !text.is_empty() && is_name(text)),
        Part::MaybeName => value.as_str().is_some_and(is_name),
        Part::Hex(digits) => value.as_str().is_some_and(|text| {
            text.len() == *digits
                && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        }),
        Part::LeaseState => matches!(value.as_str(), Some("new" | "ok")),
        Part::Body => true,
        Part::Object(members) => value.as_object().is_some_and(|object| {
            members.iter().all(|(name, part, need)| match object.get(*name) {
                None | Some(Value::Null) => *need == May,
                Some(value) => is(value, part),
            })
        }),
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}
