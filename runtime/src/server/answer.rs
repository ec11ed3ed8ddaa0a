//! From a handler's result to the outcome that its caller is told. It runs no handler.

use std::any::type_name;

use crate::protocol::{EncodeError, Reply, WsError, encode_reply};
use crate::session::store::Outcome;
use crate::wire::{Codec, FailureCode};

/// What the caller is told. A reply or error that can't be encoded is the server's fault:
/// `internal` (PROTOCOL.md 5.7), and the log says which type it was.
pub(crate) fn answer<R: Reply, E: WsError>(codec: Codec, result: Result<R, E>) -> Outcome {
    match result {
        Ok(reply) => match encode_reply(&reply, codec) {
            Ok(body) => Outcome::Ok(body),
            Err(error) => unencodable(type_name::<R>(), &error),
        },
        Err(failed) => match failed.encode(codec) {
            Ok((name, body)) => Outcome::failed(FailureCode::Error, name, body),
            Err(error) => unencodable(type_name::<E>(), &error),
        },
    }
}

fn unencodable(type_name: &'static str, error: &EncodeError) -> Outcome {
    tracing::error!(type_name, %error, "a handler's answer can't be sent");
    Outcome::internal()
}
