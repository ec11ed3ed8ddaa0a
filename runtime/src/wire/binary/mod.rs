//! The codec `steadfast.v1.bin` (PROTOCOL.md 3.8): heads of varints and short strings, bodies and
//! the objects of rare frames in MessagePack. It never looks into a body, and whether a sequence
//! fits is for the session to say.

mod head;
mod reader;
mod value;

use bytes::BytesMut;

use self::head::Head;
use self::reader::Reader;
use super::{Body, ClientFrame, FrameError, Name, ServerFrame, TopicNo, read, write};

pub(crate) use value::{is_map, read_value};

/// Reads one message of a client.
pub(super) fn read_client(message: &[u8]) -> Result<ClientFrame, FrameError> {
    let (kind, mut reader) = Reader::begin(message)?;
    read::client(kind, &mut reader)
}

/// Reads one message of a server.
pub(super) fn read_server(message: &[u8]) -> Result<ServerFrame, FrameError> {
    let (kind, mut reader) = Reader::begin(message)?;
    read::server(kind, &mut reader)
}

/// The topic of a frame of which only the beginning is here. A varint says itself where it ends.
pub(super) fn topic_of(beginning: &[u8]) -> Option<TopicNo> {
    let (kind, mut reader) = Reader::begin(beginning).ok()?;
    read::topic(kind, &mut reader)
}

/// Writes one frame of a client.
pub(super) fn write_client(frame: &ClientFrame, out: &mut BytesMut) {
    write::client::<Head<'_>>(frame, out);
}

/// Writes one frame of a server.
pub(super) fn write_server(frame: &ServerFrame, out: &mut BytesMut) {
    write::server::<Head<'_>>(frame, out);
}

/// Writes a frame of a topic, of which kind and numbers are given.
pub(super) fn write_of_topic(
    kind: u64,
    numbers: &[u64],
    (name, body): (&Name, &Body),
    out: &mut BytesMut,
) {
    write::of_topic::<Head<'_>>(out, kind, numbers, name, body);
}
