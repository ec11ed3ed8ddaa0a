//! Targets `client_frames` and `server_frames`: one message, read by the end that it is meant for.
//! They check what holds for every codec, and between them; [`crate::oracle`] checks what concerns
//! JSON alone.

use bytes::{Bytes, BytesMut};
use steadfast::wire::{ClientFrame, Codec, FrameError, Outgoing, ServerFrame};

use crate::{CODECS, oracle};

/// Words that a reader does not know are written as the longest one that stands for them; nothing
/// else grows.
const GROWTH_BYTES: usize = 16;

/// A message of a client, read by a server.
pub(crate) fn client(codec: Codec, message: &[u8]) {
    let read = codec.read_client(message);
    if let Ok(frame) = &read {
        let canonical = client_text(codec, frame);
        same(&codec.read_client(&canonical), frame);
        let again = client_text(codec, frame);
        steady(message, &canonical, &again);
        // A body is in one codec; everything else is the same value in each.
        let (head, _) = oracle::without_body(frame.clone());
        for other in CODECS {
            same(&other.read_client(&client_text(*other, &head)), &head);
        }
    }
    if codec == Codec::Json {
        oracle::client(message, &read);
    }
}

/// A message of a server, read by a client.
pub(crate) fn server(codec: Codec, message: &[u8]) {
    let read = codec.read_server(message);
    if let Ok(frame) = &read {
        let canonical = server_text(codec, frame);
        let reread = codec.read_server(&canonical);
        same(&reread, frame);
        if let Ok(reread) = &reread {
            steady(message, &canonical, &server_text(codec, reread));
        }
        let (head, _) = oracle::without_server_body(frame.clone());
        for other in CODECS {
            same(&other.read_server(&server_text(*other, &head)), &head);
        }
    }
    if codec == Codec::Json {
        oracle::server(message, &read);
    }
}

fn same<F: PartialEq + std::fmt::Debug>(reread: &Result<F, FrameError>, frame: &F) {
    assert_eq!(reread.as_ref(), Ok(frame), "what was read can be written and read again");
}

fn steady(message: &[u8], canonical: &[u8], again: &[u8]) {
    assert_eq!(canonical, again, "the canonical form is written the same again");
    assert!(
        canonical.len() <= message.len() + GROWTH_BYTES,
        "the canonical form is not longer than what came"
    );
}

/// A client's frame as a message.
#[must_use]
pub(crate) fn client_text(codec: Codec, frame: &ClientFrame) -> Bytes {
    let mut out = BytesMut::new();
    codec.write_client(frame, &mut out);
    out.freeze()
}

/// A server's frame as a message.
#[must_use]
pub(crate) fn server_text(codec: Codec, frame: &ServerFrame) -> Bytes {
    codec.message(Outgoing::Frame(frame.clone()))
}
