//! Target `bodies`: the fields of a message, a reply, an error, a topic key, read by what the
//! derive made. The input is a name, a line break, and a body. It checks what holds for bodies in
//! any codec.

use serde::{Serialize, de::DeserializeOwned};
use steadfast::protocol::{
    Message, Publish, ServerEnum, SnapshotState, WsError, decode_body, decode_reply,
    decode_topic_key, encode_body, encode_reply, topic_key,
};
use steadfast::wire::{Codec, Epoch, LeaseId, MAX_NAME_BYTES, Name, SessionId};

use crate::protocol::{
    MarketCommandAsk, MarketCommandFlush, MarketCommandNudge, MarketCommandPlace,
    MarketCommandPlant, MarketError, MarketEvent, MarketEventBlinked, MarketEventMoved,
    MarketEventOpened, MarketEventPlaced, Order, Side,
};

/// A name and a body, as they stand in a frame.
pub(crate) fn read(codec: Codec, input: &[u8]) {
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (name, body) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    names(name);
    let Ok(name) = std::str::from_utf8(name) else { return };
    match name {
        MarketCommandPlace::NAME => message::<MarketCommandPlace>(body, codec),
        MarketCommandPlant::NAME => message::<MarketCommandPlant>(body, codec),
        MarketCommandFlush::NAME => message::<MarketCommandFlush>(body, codec),
        MarketCommandAsk::NAME => message::<MarketCommandAsk>(body, codec),
        MarketCommandNudge::NAME => message::<MarketCommandNudge>(body, codec),
        MarketEventPlaced::NAME => publication::<MarketEventPlaced>(body, codec),
        MarketEventMoved::NAME => publication::<MarketEventMoved>(body, codec),
        MarketEventBlinked::NAME => publication::<MarketEventBlinked>(body, codec),
        MarketEventOpened::NAME => {
            message::<MarketEventOpened>(body, codec);
            let _ = <MarketEventOpened as SnapshotState>::decode(name, body, codec);
        }
        "reply" => {
            reply::<u64>(body, codec);
            reply::<()>(body, codec);
            reply::<Option<std::collections::BTreeMap<String, u8>>>(body, codec);
            reply::<Vec<Order>>(body, codec);
        }
        "key" => keys(body),
        _ => {}
    }
    event(name, body, codec);
    error(name, body, codec);
}

/// Names and ids read as what they are written as, and as nothing else.
fn names(bytes: &[u8]) {
    let name = Name::copy_from(bytes);
    assert_eq!(name.is_some(), Name::from_bytes(bytes::Bytes::copy_from_slice(bytes)).is_some());
    if let Some(name) = name {
        assert!(
            name.as_bytes() == bytes
                && name.as_str().len() == bytes.len()
                && bytes.len() <= MAX_NAME_BYTES
        );
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(SessionId::parse(text).is_none_or(|id| id.to_string() == text));
        assert!(LeaseId::parse(text).is_none_or(|id| id.to_string() == text));
        assert!(Epoch::parse(text).is_none_or(|id| id.to_string() == text));
    }
}

/// What was read is written, read and written again with the same bytes.
fn message<M: Message>(body: &[u8], codec: Codec) {
    if let Ok(message) = decode_body::<M>(body, codec) {
        let written = encode_body(&message, codec).expect("what was read can be written");
        let again =
            decode_body::<M>(written.as_bytes(), codec).expect("what was written can be read");
        assert_eq!(encode_body(&again, codec).as_ref(), Ok(&written));
    }
}

fn publication<P: Publish>(body: &[u8], codec: Codec) {
    message::<P>(body, codec);
    if let Ok(message) = decode_body::<P>(body, codec) {
        message.topic_key().expect("what was read has a key");
        message.conflation_key().expect("what was read has a conflation key");
    }
}

fn reply<R: Serialize + DeserializeOwned>(body: &[u8], codec: Codec) {
    if let Ok(reply) = decode_reply::<R>(body, codec) {
        let written = encode_reply(&reply, codec).expect("what was read can be written");
        let again =
            decode_reply::<R>(written.as_bytes(), codec).expect("what was written can be read");
        assert_eq!(encode_reply(&again, codec).as_ref(), Ok(&written));
    }
}

/// A message of a server is always something: what can't be read is kept as it came.
fn event(name: &str, body: &[u8], codec: Codec) {
    if let MarketEvent::Unknown(unknown) = MarketEvent::decode(name, body, codec) {
        assert!(
            unknown.name == name && unknown.body == body,
            "an unknown message is kept as it came"
        );
    }
}

fn error(name: &str, body: &[u8], codec: Codec) {
    if let Ok(error) = MarketError::decode(name, body, codec)
        && let Ok((written, fields)) = error.encode(codec)
    {
        let again = MarketError::decode(written.as_str(), fields.as_bytes(), codec)
            .expect("what was written can be read");
        assert_eq!(again.encode(codec), Ok((written, fields)));
    }
}

/// Each key has one text (PROTOCOL.md 7.1).
fn keys(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    one_text::<String>(text);
    one_text::<u32>(text);
    one_text::<Side>(text);
    one_text::<(Side, String)>(text);
    one_text::<Option<u8>>(text);
}

fn one_text<K: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str) {
    if let Ok(key) = decode_topic_key::<K>(text) {
        let written = topic_key(&key).expect("what was read can be written");
        assert_eq!(written, text, "the text of {key:?}");
    }
}
