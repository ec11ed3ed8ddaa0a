//! The codecs that an attachment may speak, and what is wrong with a message that is no frame. The
//! encodings themselves are in modules of their own.

use bytes::{Bytes, BytesMut};

use super::CloseCode;
use super::{
    Body, ClientFrame, Name, Outgoing, ServerFrame, TopicNo, TopicSeq, binary, json, kind, write,
};

/// How frames and bodies are encoded; chosen by WebSocket subprotocol (PROTOCOL.md 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// Text messages, bodies are JSON.
    Json,
    /// Binary messages, bodies are MessagePack with the names of fields.
    Binary,
}

impl Codec {
    /// Every codec.
    pub const ALL: [Self; 2] = [Self::Json, Self::Binary];

    /// The WebSocket subprotocol that names this codec.
    #[must_use]
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "steadfast.v1.json",
            Self::Binary => "steadfast.v1.bin",
        }
    }

    /// The codec that a subprotocol names.
    #[must_use]
    pub fn from_subprotocol(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.subprotocol() == name)
    }

    /// The body of a message without fields.
    #[must_use]
    pub const fn unit(self) -> Body {
        match self {
            Self::Json => Body::UNIT,
            Self::Binary => Body::BINARY_UNIT,
        }
    }

    /// A body that the core has made, which knows no codec: of those there is
    /// [`Body::UNIT`] alone, and its text is no MessagePack.
    #[must_use]
    pub fn own(self, body: Body) -> Body {
        match self {
            Self::Json => body,
            Self::Binary if body == Body::UNIT => Body::BINARY_UNIT,
            Self::Binary => body,
        }
    }

    /// Reads one message of a client. Names and bodies are copied, so that nothing keeps the buffer
    /// of `message` alive.
    ///
    /// # Errors
    /// When the message is not a frame; the socket is then closed with [`FrameError::close_code`].
    pub fn read_client(self, message: &[u8]) -> Result<ClientFrame, FrameError> {
        match self {
            Self::Json => json::read_client(message),
            Self::Binary => binary::read_client(message),
        }
    }

    /// Reads one message of a server.
    ///
    /// # Errors
    /// When the message is not a frame.
    pub fn read_server(self, message: &[u8]) -> Result<ServerFrame, FrameError> {
        match self {
            Self::Json => json::read_server(message),
            Self::Binary => binary::read_server(message),
        }
    }

    /// The topic of an EVENT, SNAPSHOT or TOPIC_VOLATILE, of which only the beginning is here;
    /// `None` if it is another frame, or not enough of it is here.
    #[must_use]
    pub fn topic_of(self, beginning: &[u8]) -> Option<TopicNo> {
        match self {
            Self::Json => json::topic_of(beginning),
            Self::Binary => binary::topic_of(beginning),
        }
    }

    /// Appends a client's frame to `out`.
    pub fn write_client(self, frame: &ClientFrame, out: &mut BytesMut) {
        match self {
            Self::Json => write::client::<json::Head<'_>>(frame, out),
            Self::Binary => write::client::<binary::Head<'_>>(frame, out),
        }
    }

    /// Appends a server's frame to `out`.
    pub fn write_server(self, frame: &ServerFrame, out: &mut BytesMut) {
        match self {
            Self::Json => write::server::<json::Head<'_>>(frame, out),
            Self::Binary => write::server::<binary::Head<'_>>(frame, out),
        }
    }

    /// Appends what stands before a frame's body to `out`, and returns the body and what stands
    /// after it, so that nobody has to copy the body. `None` of a frame that has no body.
    pub fn write_around_body(
        self,
        mut frame: ServerFrame,
        out: &mut BytesMut,
    ) -> Option<(Body, &'static [u8])> {
        let body = frame.take_body()?;
        self.write_server(&frame, out);
        let after: &[u8] = match self {
            Self::Json => b"]",
            Self::Binary => b"",
        };
        out.truncate(out.len() - Body::UNIT.len() - after.len());
        Some((body, after))
    }

    /// An EVENT, encoded once for all its subscribers.
    #[must_use]
    pub fn event(self, topic: TopicNo, ts: TopicSeq, name: &Name, body: &Body) -> Bytes {
        self.of_topic(kind::EVENT, &[topic.0, ts.0], name, body)
    }

    /// A SNAPSHOT, encoded once for all its subscribers.
    #[must_use]
    pub fn snapshot(self, topic: TopicNo, ts: TopicSeq, name: &Name, body: &Body) -> Bytes {
        self.of_topic(kind::SNAPSHOT, &[topic.0, ts.0], name, body)
    }

    /// A TOPIC_VOLATILE, encoded once for all its subscribers.
    #[must_use]
    pub fn topic_volatile(self, topic: TopicNo, name: &Name, body: &Body) -> Bytes {
        self.of_topic(kind::TOPIC_VOLATILE, &[topic.0], name, body)
    }

    fn of_topic(self, kind: u64, numbers: &[u64], name: &Name, body: &Body) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Json => write::of_topic::<json::Head<'_>>(&mut out, kind, numbers, name, body),
            Self::Binary => {
                write::of_topic::<binary::Head<'_>>(&mut out, kind, numbers, name, body)
            }
        }
        out.freeze()
    }

    /// The encoded message of an [`Outgoing`].
    #[must_use]
    pub fn message(self, outgoing: Outgoing) -> Bytes {
        match outgoing {
            Outgoing::Shared(bytes) => bytes,
            Outgoing::Frame(frame) => {
                let mut out = BytesMut::new();
                self.write_server(&frame, &mut out);
                out.freeze()
            }
        }
    }
}

/// Why a message is not a frame (PROTOCOL.md 3.6).
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It does not fit the layout of its kind, or has no kind.
    #[error("malformed frame at byte {at}: {what}")]
    Malformed {
        /// Byte offset at which reading stopped.
        at: usize,
        /// What was expected there.
        what: &'static str,
    },
    /// A kind that this end does not know and may not ignore.
    #[error("unknown frame kind {kind}")]
    UnknownKind {
        /// The kind.
        kind: u64,
    },
}

impl FrameError {
    /// The code that the socket is closed with (PROTOCOL.md 3.6, 8.3).
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::Malformed { .. } | Self::UnknownKind { .. } => CloseCode::MALFORMED,
        }
    }
}
