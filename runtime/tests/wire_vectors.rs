//! `testdata/frames.json` and `frames_bin.json`, read and written: what a client in another language
//! can test itself against.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use bytes::BytesMut;
use serde_json::{Value, json};
use steadfast::wire::{
    Body, ClientFrame, Codec, FailureCode, LeaseGrant, Name, Position, RefusalCode, ServerFrame,
    UnsubscribeCode, Window,
};

fn vectors(codec: Codec) -> Value {
    let text = match codec {
        Codec::Json => include_str!("../testdata/frames.json"),
        _ => include_str!("../testdata/frames_bin.json"),
    };
    serde_json::from_str(text).unwrap()
}

/// A message, which is text or hexadecimal digits.
fn message(vector: &Value, codec: Codec) -> Vec<u8> {
    match codec {
        Codec::Json => text(vector, "text").as_bytes().to_vec(),
        _ => bytes(text(vector, "hex")),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text<'a>(vector: &'a Value, member: &str) -> &'a str {
    vector[member].as_str().unwrap_or_else(|| panic!("{member} in {vector}"))
}

fn shown(bytes: &[u8], codec: Codec) -> String {
    match codec {
        Codec::Json => std::str::from_utf8(bytes).unwrap().to_owned(),
        _ => hex(bytes),
    }
}

fn frames_and_bytes(window: Window) -> Value {
    json!({"frames": window.frames, "bytes": window.bytes})
}

fn events_and_bytes(credit: Window) -> Value {
    json!({"events": credit.frames, "bytes": credit.bytes})
}

/// Leaves out the members that are absent on the wire.
fn present(mut fields: Value) -> Value {
    fields.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    fields
}

fn client_fields(frame: &ClientFrame, codec: Codec) -> (&'static str, Value) {
    let body = |it: &Body| shown(it.as_bytes(), codec);
    match frame {
        ClientFrame::Ack { ack, low } => ("ACK", json!({"ack": ack, "low": low})),
        ClientFrame::Command(it) => (
            "COMMAND",
            json!({
                "seq": it.seq, "ack": it.ack, "n": it.n, "low": it.low, "deadline_ms": it.deadline_ms,
                "name": it.name.as_str(), "body": body(&it.body),
            }),
        ),
        ClientFrame::Volatile { name, body: it } => {
            ("VOLATILE", json!({"name": name.as_str(), "body": body(it)}))
        }
        ClientFrame::Position { topic, ts, bytes } => {
            ("POSITION", json!({"topic": topic, "ts": ts, "bytes": bytes}))
        }
        ClientFrame::Hello(it) => (
            "HELLO",
            json!({
                "v": it.v, "protocol": it.protocol, "version": it.version, "token": it.token, "instance": it.instance,
                "dial": it.dial, "window": frames_and_bytes(it.window),
                "message_bytes": it.message_bytes,
                "resume": it.resume.as_ref().map(|resume| json!({
                    "session": resume.session, "token": format!("{:032x}", resume.token.0), "recv": resume.recv,
                })),
                "lease": it.lease.as_ref().map(|lease| json!({
                    "id": lease.id, "low": lease.low, "next": lease.next,
                })),
                "lease_later": it.lease_later.then_some(true),
                "fingerprint": it.fingerprint.as_ref().map(Name::as_str),
            }),
        ),
        ClientFrame::Subscribe(it) => (
            "SUBSCRIBE",
            json!({
                "sub": it.sub, "topic": it.topic.as_str(), "key": it.key,
                "from": it.from.map(|Position { epoch, ts }| json!({"epoch": epoch, "ts": ts})),
                "last": it.last,
                "credit": events_and_bytes(it.credit),
            }),
        ),
        ClientFrame::Unsubscribe { sub } => ("UNSUBSCRIBE", json!({"sub": sub})),
        ClientFrame::Lease => ("LEASE", json!({})),
        ClientFrame::Cancel { n } => ("CANCEL", json!({"n": n})),
        ClientFrame::Ping { k } => ("PING", json!({"k": k})),
        ClientFrame::Pong { k } => ("PONG", json!({"k": k})),
        ClientFrame::Ignored { kind } => ("IGNORED", json!({"kind": kind})),
    }
}

fn lease_fields(it: &LeaseGrant) -> Value {
    json!({"id": it.id, "state": it.state, "span": it.span, "ttl_ms": it.ttl_ms})
}

fn server_fields(frame: &ServerFrame, codec: Codec) -> (&'static str, Value) {
    let body = |it: &Body| shown(it.as_bytes(), codec);
    match frame {
        ServerFrame::Welcome(it) => (
            "WELCOME",
            json!({
                "session": it.session, "token": format!("{:032x}", it.token.0), "gen": it.generation,
                "resumed": it.resumed, "recv": it.recv, "ttl_ms": it.ttl_ms, "frame_bytes": it.frame_bytes,
                "window": frames_and_bytes(it.window),
                "lease": it.lease.as_ref().map(lease_fields),
                "heartbeat": it.heartbeat,
                "version": it.server.version,
                "fingerprint": it.server.fingerprint.as_ref().map(Name::as_str),
                "verdict": it.server.verdict.map(|verdict| verdict.to_string()),
            }),
        ),
        ServerFrame::Lease(it) => ("LEASE", lease_fields(it)),
        ServerFrame::ResumeFailed { reason } => ("RESUME_FAILED", json!({"reason": reason})),
        ServerFrame::Ack { ack } => ("ACK", json!({"ack": ack})),
        ServerFrame::Result { seq, ack, n, dup, body: it } => {
            ("RESULT", json!({"seq": seq, "ack": ack, "n": n, "dup": dup, "body": body(it)}))
        }
        ServerFrame::Failed { seq, ack, n, dup, code, name, body: it } => (
            "FAILED",
            json!({
                "seq": seq, "ack": ack, "n": n, "dup": dup, "code": failure(*code), "name": name.as_str(),
                "body": body(it),
            }),
        ),
        ServerFrame::Refused { seq, ack, n, code, retry_ms } => (
            "REFUSED",
            json!({"seq": seq, "ack": ack, "n": n, "code": refusal(*code), "retry_ms": retry_ms}),
        ),
        ServerFrame::Direct { seq, ack, name, body: it } => {
            ("DIRECT", json!({"seq": seq, "ack": ack, "name": name.as_str(), "body": body(it)}))
        }
        ServerFrame::Event { topic, ts, name, body: it } => {
            ("EVENT", json!({"topic": topic, "ts": ts, "name": name.as_str(), "body": body(it)}))
        }
        ServerFrame::Snapshot { topic, ts, name, body: it } => {
            ("SNAPSHOT", json!({"topic": topic, "ts": ts, "name": name.as_str(), "body": body(it)}))
        }
        ServerFrame::TopicVolatile { topic, name, body: it } => {
            ("TOPIC_VOLATILE", json!({"topic": topic, "name": name.as_str(), "body": body(it)}))
        }
        ServerFrame::Skip { topic, ts } => ("SKIP", json!({"topic": topic, "ts": ts})),
        ServerFrame::Subscribed(it) => (
            "SUBSCRIBED",
            json!({
                "sub": it.sub, "number": it.number, "epoch": it.epoch, "ts": it.ts, "head": it.head,
                "snapshot": it.snapshot, "reset": it.reset,
                "credit": it.credit.map(events_and_bytes),
            }),
        ),
        ServerFrame::Unsubscribed { sub, code, retry_ms } => {
            ("UNSUBSCRIBED", json!({"sub": sub, "code": unsubscribe(*code), "retry_ms": retry_ms}))
        }
        ServerFrame::GoAway { after_ms, deadline_ms } => {
            ("GOAWAY", json!({"after_ms": after_ms, "deadline_ms": deadline_ms}))
        }
        ServerFrame::Ping { k } => ("PING", json!({"k": k})),
        ServerFrame::Pong { k } => ("PONG", json!({"k": k})),
        ServerFrame::Ignored { kind } => ("IGNORED", json!({"kind": kind})),
    }
}

fn failure(code: FailureCode) -> &'static str {
    match code {
        FailureCode::Error => "error",
        FailureCode::Internal => "internal",
        FailureCode::Timeout => "timeout",
        FailureCode::Unknown => "unknown",
        FailureCode::IdReused => "id_reused",
    }
}

fn refusal(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::Draining => "draining",
        RefusalCode::Overload => "overload",
        RefusalCode::RateLimited => "rate_limited",
        RefusalCode::Unsupported => "unsupported",
        RefusalCode::Invalid => "invalid",
        RefusalCode::TooLarge => "too_large",
        RefusalCode::Forbidden => "forbidden",
        RefusalCode::Expired => "expired",
        RefusalCode::Other => "other",
    }
}

fn unsubscribe(code: UnsubscribeCode) -> &'static str {
    match code {
        UnsubscribeCode::Forbidden => "forbidden",
        UnsubscribeCode::Unsupported => "unsupported",
        UnsubscribeCode::Duplicate => "duplicate",
        UnsubscribeCode::Invalid => "invalid",
        UnsubscribeCode::Overload => "overload",
        UnsubscribeCode::Internal => "internal",
        UnsubscribeCode::TooLarge => "too_large",
        UnsubscribeCode::Other => "other",
    }
}

/// Each vector of a list, with the codec that it is of.
fn each(list: &str, mut check: impl FnMut(&Value, Codec)) {
    for codec in Codec::ALL {
        for vector in vectors(codec)[list].as_array().unwrap() {
            check(vector, codec);
        }
    }
}

#[test]
fn every_vector_is_read_and_written_as_it_says() {
    each("frames", |vector, codec| {
        let message = message(vector, codec);
        let mut written = BytesMut::new();
        let (kind, fields) = if text(vector, "direction") == "client" {
            let frame =
                codec.read_client(&message).unwrap_or_else(|error| panic!("{vector}: {error}"));
            codec.write_client(&frame, &mut written);
            client_fields(&frame, codec)
        } else {
            let frame =
                codec.read_server(&message).unwrap_or_else(|error| panic!("{vector}: {error}"));
            codec.write_server(&frame, &mut written);
            server_fields(&frame, codec)
        };
        assert_eq!(kind, text(vector, "frame"), "{vector}");
        assert_eq!(present(fields), vector["fields"], "{vector}");
        let rewritten = vector["rewritten"].as_str().map(str::to_owned);
        let wanted = rewritten.unwrap_or_else(|| shown(&message, codec));
        assert_eq!(shown(&written, codec), wanted, "{vector}");
    });
}

#[test]
fn every_malformed_vector_ends_the_socket_with_its_code() {
    each("malformed", |vector, codec| {
        let message = message(vector, codec);
        let read = if text(vector, "direction") == "client" {
            codec.read_client(&message).map(|frame| format!("{frame:?}"))
        } else {
            codec.read_server(&message).map(|frame| format!("{frame:?}"))
        };
        let Err(error) = read else { panic!("{vector} was read as {read:?}") };
        assert_eq!(u64::from(error.close_code().0), vector["close"].as_u64().unwrap(), "{vector}");
    });
}

#[test]
fn the_vectors_cover_every_kind_of_both_directions() {
    Codec::ALL.into_iter().for_each(covers_every_kind);
}

fn covers_every_kind(codec: Codec) {
    let all = vectors(codec);
    let seen = |direction: &str| -> std::collections::BTreeSet<String> {
        let frames = all["frames"].as_array().unwrap().iter();
        frames
            .filter(|it| it["direction"] == direction)
            .map(|it| text(it, "frame").to_owned())
            .collect()
    };
    let named = |names: &str| names.split(' ').map(str::to_owned).collect();
    let expected: std::collections::BTreeSet<String> = named(
        "ACK COMMAND VOLATILE POSITION HELLO SUBSCRIBE UNSUBSCRIBE LEASE CANCEL PING PONG IGNORED",
    );
    assert_eq!(seen("client"), expected);
    let expected: std::collections::BTreeSet<String> = named(
        "ACK RESULT FAILED EVENT TOPIC_VOLATILE REFUSED DIRECT SNAPSHOT SKIP WELCOME RESUME_FAILED \
         SUBSCRIBED UNSUBSCRIBED GOAWAY LEASE PING PONG IGNORED",
    );
    assert_eq!(seen("server"), expected);
}
