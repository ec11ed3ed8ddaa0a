//! The codec `steadfast.v1.bin` (PROTOCOL.md 3.8): heads of varints and short strings, bodies and
//! the objects of rare frames in MessagePack. It never looks into a body, and whether a sequence
//! fits is for the session to say.

mod head;
mod reader;
mod value;

use self::reader::Reader;
use super::{ClientFrame, FrameError, ServerFrame, TopicNo, read};

pub(super) use head::Head;
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
