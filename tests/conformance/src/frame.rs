//! Frames, read without any trust (PROTOCOL.md section 3): the table of layouts, and the check of
//! one message against it. What depends on the frames before is checked elsewhere.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::case::{Broken, Step, Stop};

/// The kinds, by name.
pub(crate) mod kind {
    pub(crate) const ACK: u64 = 0;
    pub(crate) const COMMAND: u64 = 1;
    pub(crate) const COMMAND_WITH_DEADLINE: u64 = 2;
    pub(crate) const RESULT: u64 = 3;
    pub(crate) const FAILED: u64 = 4;
    pub(crate) const EVENT: u64 = 5;
    pub(crate) const VOLATILE: u64 = 6;
    pub(crate) const TOPIC_VOLATILE: u64 = 7;
    pub(crate) const POSITION: u64 = 8;
    pub(crate) const REFUSED: u64 = 9;
    pub(crate) const SNAPSHOT: u64 = 10;
    pub(crate) const SKIP: u64 = 11;
    pub(crate) const PING: u64 = 12;
    pub(crate) const PONG: u64 = 13;
    pub(crate) const DIRECT: u64 = 14;
    pub(crate) const HELLO: u64 = 20;
    pub(crate) const WELCOME: u64 = 21;
    pub(crate) const RESUME_FAILED: u64 = 22;
    pub(crate) const SUBSCRIBE: u64 = 23;
    pub(crate) const SUBSCRIBED: u64 = 24;
    pub(crate) const UNSUBSCRIBE: u64 = 25;
    pub(crate) const UNSUBSCRIBED: u64 = 26;
    pub(crate) const GOAWAY: u64 = 27;
    pub(crate) const LEASE: u64 = 28;
    pub(crate) const CANCEL: u64 = 129;
}

use kind::*;

/// Who sent a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
}

/// The largest number on the wire (1.6).
pub(crate) const LARGEST: u64 = (1 << 53) - 1;

/// Kind, who sends it, and the elements after the kind: `i` an integer, `d` 0 or 1, `n` a name, `m`
/// a name or "", `s` a string, `b` a body that is an object, `v` a body of any value, `o` the
/// object of a rare frame.
const LAYOUTS: &[(u64, Sender, &str)] = &[
    (ACK, Sender::Server, "i"),
    (ACK, Sender::Client, "ii"),
    (COMMAND, Sender::Client, "iiiinb"),
    (COMMAND_WITH_DEADLINE, Sender::Client, "iiiiinb"),
    (RESULT, Sender::Server, "iiidv"),
    (FAILED, Sender::Server, "iiidsmb"),
    (EVENT, Sender::Server, "iinb"),
    (VOLATILE, Sender::Client, "nb"),
    (TOPIC_VOLATILE, Sender::Server, "inb"),
    (POSITION, Sender::Client, "iii"),
    (REFUSED, Sender::Server, "iiisi"),
    (SNAPSHOT, Sender::Server, "iinb"),
    (SKIP, Sender::Server, "ii"),
    (PING, Sender::Client, "i"),
    (PING, Sender::Server, "i"),
    (PONG, Sender::Client, "i"),
    (PONG, Sender::Server, "i"),
    (DIRECT, Sender::Server, "iinb"),
    (HELLO, Sender::Client, "o"),
    (WELCOME, Sender::Server, "o"),
    (RESUME_FAILED, Sender::Server, "o"),
    (SUBSCRIBE, Sender::Client, "o"),
    (SUBSCRIBED, Sender::Server, "o"),
    (UNSUBSCRIBE, Sender::Client, "o"),
    (UNSUBSCRIBED, Sender::Server, "o"),
    (GOAWAY, Sender::Server, "o"),
    (LEASE, Sender::Client, "o"),
    (LEASE, Sender::Server, "o"),
    (CANCEL, Sender::Client, "i"),
];

/// What a frame of this kind consists of, if this end sends it.
pub(crate) fn layout(kind: u64, sender: Sender) -> Option<&'static str> {
    LAYOUTS.iter().find(|(of, by, _)| *of == kind && *by == sender).map(|(.., layout)| *layout)
}

/// A message that was read as a frame.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// The message as it travelled, or as it would have in JSON.
    pub(crate) text: String,
    /// The bytes of the message in its codec.
    pub(crate) bytes: usize,
    /// And those of its body.
    body_bytes: usize,
    pub(crate) kind: u64,
    elements: Vec<Box<RawValue>>,
}

impl Frame {
    /// Reads a message, and checks it against its row of the table.
    pub(crate) fn read(text: &str, sender: Sender) -> Result<Self, Broken> {
        let broken = |clause, what: &str| Broken { clause, what: format!("{what}: {text:.200}") };
        let mut elements: Vec<Box<RawValue>> = serde_json::from_str(text)
            .map_err(|_| broken("3.1", "a message that is not a JSON array"))?;
        if elements.is_empty() {
            return Err(broken("3.1", "a frame without a kind"));
        }
        let kind = elements.remove(0);
        let kind =
            integer(kind.get()).ok_or_else(|| broken("3.1", "a kind that is not a number"))?;
        let body_bytes = elements.last().map_or(0, |body| body.get().len());
        let frame = Self { text: text.to_owned(), bytes: text.len(), body_bytes, kind, elements };
        if (128..256).contains(&kind) {
            return Ok(frame);
        }
        let layout = layout(kind, sender)
            .ok_or_else(|| broken("3.6", "a kind that this end does not send"))?;
        if frame.elements.len() != layout.len() {
            return Err(broken("3.2", "another number of elements than the layout has"));
        }
        for (element, part) in frame.elements.iter().zip(layout.chars()) {
            if let Some((clause, what)) = misfit(element.get(), part) {
                return Err(broken(clause, what));
            }
        }
        Ok(frame)
    }

    /// With what it was in another codec.
    pub(crate) fn of_bytes(self, bytes: usize, body_bytes: usize) -> Self {
        Self { bytes, body_bytes, ..self }
    }

    /// An integer of the head, counted from 0 after the kind. The layout has been checked.
    pub(crate) fn number(&self, at: usize) -> u64 {
        self.elements.get(at).and_then(|element| integer(element.get())).unwrap_or_default()
    }

    /// A string of the head.
    pub(crate) fn string(&self, at: usize) -> String {
        let value = self.elements.get(at).map(|element| serde_json::from_str(element.get()));
        value.and_then(Result::ok).unwrap_or_default()
    }

    /// The last element as it travelled: a body's text.
    pub(crate) fn body_text(&self) -> &str {
        self.elements.last().map_or("", |element| element.get())
    }

    /// The last element: a body, or the object of a rare frame.
    pub(crate) fn body(&self) -> Value {
        serde_json::from_str(self.body_text()).unwrap_or_default()
    }

    /// Whether the frame is sequenced (4.2).
    pub(crate) const fn is_sequenced(&self) -> bool {
        matches!(self.kind, COMMAND | COMMAND_WITH_DEADLINE | RESULT | FAILED | REFUSED | DIRECT)
    }

    /// How many bytes of a window the frame takes (4.6): those of its body.
    pub(crate) fn window_bytes(&self) -> u64 {
        if self.kind == REFUSED { 0 } else { self.body_bytes as u64 }
    }

    /// A member of a rare frame that must be a number.
    pub(crate) fn member(&self, clause: &'static str, path: &str) -> Step<u64> {
        let found = self.body().pointer(path).and_then(Value::as_u64);
        found.ok_or_else(|| Stop::broken(clause, format!("no number at {path}: {}", self.text)))
    }

    /// A member of a rare frame that must be a string.
    pub(crate) fn text_member(&self, clause: &'static str, path: &str) -> Step<String> {
        let found = self.body().pointer(path).and_then(Value::as_str).map(str::to_owned);
        found.ok_or_else(|| Stop::broken(clause, format!("no string at {path}: {}", self.text)))
    }
}

/// What is wrong with an element, and which clause says so.
fn misfit(text: &str, part: char) -> Option<(&'static str, &'static str)> {
    let is_object = || serde_json::from_str::<serde_json::Map<String, Value>>(text).is_ok();
    match part {
        'i' => integer(text)
            .is_none()
            .then_some(("1.6", "a number that is not an integer from 0 to 2^53 - 1")),
        'd' => (text != "0" && text != "1").then_some(("3.7", "`dup` is neither 0 nor 1")),
        'n' => (!is_name(text)).then_some(("3.4", "a name that breaks the rule for names")),
        'm' => (text != "\"\"" && !is_name(text))
            .then_some(("3.4", "a name that breaks the rule for names")),
        's' => (!text.starts_with('"')).then_some(("3.7", "a code that is not a string")),
        'b' => (!is_object()).then_some(("3.5", "a body that is not an object")),
        'o' => (!is_object()).then_some(("3.3", "a rare frame without its object")),
        _ => None,
    }
}

/// A number that is written as 1.6 demands.
pub(crate) fn integer(text: &str) -> Option<u64> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|number| plain && *number <= LARGEST)
}

/// Whether this is a name, written with its quotes as 3.4 demands.
fn is_name(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=64).contains(&inner.len()) && inner.bytes().all(allowed)
}

/// Whether this is a name (3.4), in a text of its own.
pub(crate) fn is_bare_name(text: &str) -> bool {
    let in_names = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(in_names)
}

/// Whether a text is so many lower-case hexadecimal digits (1.5).
pub(crate) fn is_id(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A random id of 32 digits.
pub(crate) fn random_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}
