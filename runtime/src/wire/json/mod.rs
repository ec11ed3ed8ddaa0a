//! The codec `steadfast.v1.json` (PROTOCOL.md section 3). Hot frames are read by hand, in one pass
//! over their head; only the objects of rare frames go through serde. It never looks into a body,
//! and whether a sequence fits is for the session to say.

mod compact;
mod head;
mod reader;

use self::reader::Reader;
use super::{ClientFrame, FrameError, ServerFrame, TopicNo, read};

pub(super) use head::Head;

/// Reads one message of a client.
pub(super) fn read_client(message: &[u8]) -> Result<ClientFrame, FrameError> {
    if let Some(command) = compact::command(message) {
        return Ok(ClientFrame::Command(command));
    }
    let (kind, mut reader) = Reader::begin(message)?;
    read::client(kind, &mut reader)
}

/// Reads one message of a server.
pub(super) fn read_server(message: &[u8]) -> Result<ServerFrame, FrameError> {
    let (kind, mut reader) = Reader::begin(message)?;
    read::server(kind, &mut reader)
}

/// The topic of a frame of which only the beginning is here.
pub(super) fn topic_of(beginning: &[u8]) -> Option<TopicNo> {
    let (kind, mut reader) = Reader::begin(beginning).ok()?;
    let topic = read::topic(kind, &mut reader)?;
    // A number that is cut off would be another one.
    reader.comma().ok().map(|()| topic)
}
