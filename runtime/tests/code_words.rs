//! The words of codes and reasons: what people read is what travels.
#![allow(missing_docs)]

use std::fmt::Display;

use bytes::BytesMut;
use steadfast::session::Close;
use steadfast::wire::{
    Body, CloseCode, Codec, CommandNo, Epoch, FailureCode, Name, RefusalCode, ResetReason,
    ResumeFailure, Seq, ServerFrame, SubNo, Subscribed, TopicNo, TopicSeq, UnsubscribeCode,
};

/// Holds each code's `Display` against its word, and the word against the frame that carries it.
fn words<C: Copy + Display>(table: &[(C, &str)], frame: impl Fn(C) -> ServerFrame) {
    for &(code, word) in table {
        assert_eq!(code.to_string(), word);
        let mut message = BytesMut::new();
        Codec::Json.write_server(&frame(code), &mut message);
        let message = String::from_utf8_lossy(&message);
        assert!(message.contains(&format!("\"{word}\"")), "{word} in {message}");
    }
}

#[test]
fn a_refusal_reads_as_on_the_wire() {
    let table = [
        (RefusalCode::Draining, "draining"),
        (RefusalCode::Overload, "overload"),
        (RefusalCode::RateLimited, "rate_limited"),
        (RefusalCode::Unsupported, "unsupported"),
        (RefusalCode::Invalid, "invalid"),
        (RefusalCode::TooLarge, "too_large"),
        (RefusalCode::Forbidden, "forbidden"),
        (RefusalCode::Expired, "expired"),
        (RefusalCode::Other, "other"),
    ];
    let (seq, n) = (Seq(1), CommandNo(1));
    words(&table, |code| ServerFrame::Refused { seq, ack: seq, n, code, retry_ms: 0 });
}

#[test]
fn a_failure_reads_as_on_the_wire() {
    let table = [
        (FailureCode::Error, "error"),
        (FailureCode::Internal, "internal"),
        (FailureCode::Timeout, "timeout"),
        (FailureCode::Unknown, "unknown"),
        (FailureCode::IdReused, "id_reused"),
    ];
    words(&table, |code| ServerFrame::Failed {
        seq: Seq(1),
        ack: Seq(1),
        n: CommandNo(1),
        dup: false,
        code,
        name: Name::default(),
        body: Body::UNIT,
    });
}

#[test]
fn the_end_of_a_subscription_reads_as_on_the_wire() {
    let table = [
        (UnsubscribeCode::Forbidden, "forbidden"),
        (UnsubscribeCode::Unsupported, "unsupported"),
        (UnsubscribeCode::Duplicate, "duplicate"),
        (UnsubscribeCode::Invalid, "invalid"),
        (UnsubscribeCode::Overload, "overload"),
        (UnsubscribeCode::Internal, "internal"),
        (UnsubscribeCode::Other, "other"),
    ];
    words(&table, |code| ServerFrame::Unsubscribed { sub: SubNo(1), code, retry_ms: None });
}

#[test]
fn the_failure_of_a_resume_reads_as_on_the_wire() {
    let table = [
        (ResumeFailure::Unknown, "unknown"),
        (ResumeFailure::Expired, "expired"),
        (ResumeFailure::Token, "token"),
        (ResumeFailure::Principal, "principal"),
        (ResumeFailure::NotRetained, "not_retained"),
    ];
    words(&table, |reason| ServerFrame::ResumeFailed { reason });
}

#[test]
fn the_reason_of_a_reset_reads_as_on_the_wire() {
    let table = [
        (ResetReason::Initial, "initial"),
        (ResetReason::Trimmed, "trimmed"),
        (ResetReason::Epoch, "epoch"),
        (ResetReason::Ahead, "ahead"),
    ];
    words(&table, |reason| {
        ServerFrame::Subscribed(Box::new(Subscribed {
            sub: SubNo(1),
            number: TopicNo(1),
            epoch: Epoch(1),
            ts: TopicSeq(0),
            head: TopicSeq(0),
            snapshot: false,
            reset: Some(reason),
            credit: None,
        }))
    });
}

#[test]
fn a_close_code_reads_as_its_number_and_its_name() {
    let table = [
        (CloseCode::NORMAL, "1000 normal"),
        (CloseCode::GOING_AWAY, "1001 going_away"),
        (CloseCode::TOO_LARGE_FOR_CLIENT, "1009 too_large_for_client"),
        (CloseCode::STALE_DIAL, "4001 stale_dial"),
        (CloseCode::REPLACED, "4002 replaced"),
        (CloseCode::HEARTBEAT, "4003 heartbeat"),
        (CloseCode::OVERLOADED, "4004 overloaded"),
        (CloseCode::SLOW, "4005 slow"),
        (CloseCode::DRAINING, "4010 draining"),
        (CloseCode::SESSION_ENDED, "4100 session_ended"),
        (CloseCode::CREDENTIALS_REFUSED, "4201 credentials_refused"),
        (CloseCode::CREDENTIALS_EXPIRED, "4202 credentials_expired"),
        (CloseCode::FORBIDDEN, "4403 forbidden"),
        (CloseCode::SUPERSEDED, "4300 superseded"),
        (CloseCode::MALFORMED, "4400 malformed"),
        (CloseCode::UNSUPPORTED, "4401 unsupported"),
        (CloseCode::NO_HELLO, "4408 no_hello"),
        (CloseCode::NUMBER_REUSED, "4409 number_reused"),
        (CloseCode::SEQUENCE, "4410 sequence"),
        (CloseCode::TOO_LARGE, "4413 too_large"),
        (CloseCode(4999), "4999"),
    ];
    for (code, text) in table {
        assert_eq!(code.to_string(), text);
    }
}

#[test]
fn a_close_reads_as_its_reason_and_its_code() {
    let close = |reason| Close::new(CloseCode::DRAINING, reason).to_string();
    assert_eq!(close("this server goes"), "this server goes (close code 4010 draining)");
    assert_eq!(close(""), "close code 4010 draining");
}
