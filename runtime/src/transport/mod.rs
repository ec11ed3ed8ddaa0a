//! One WebSocket as the drivers see it (PROTOCOL.md section 2): whole messages in, whole messages
//! out, written in batches, bounded in both directions. Owns framing and the closing handshake's
//! bytes; refuses frames' meaning, timers and tasks.

mod pipe;
mod pump;
mod socket;
mod stream;

use std::time::Duration;

#[cfg(feature = "client")]
pub(crate) use pump::client_frame_bytes;
#[cfg(feature = "server")]
pub(crate) use pump::outgoing_bytes;
pub(crate) use pump::{Arrivals, FRAMES_PER_PASS, Pump, SocketEnd};
#[cfg(feature = "client")]
pub(crate) use socket::HandshakeFailure;
pub(crate) use socket::{Inbound, Socket};
pub(crate) use stream::Stream;

/// Settings of sockets; see each field for its default.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportConfig {
    /// Bytes read at a time, into a buffer that the connections of a thread share: 16 KiB. A
    /// connection holds half a KiB.
    pub read_buffer_bytes: usize,
    /// Bytes that collect before they are written; the buffer is given back when it is empty: 64
    /// KiB.
    pub write_buffer_bytes: usize,
    /// The longest message that is taken in; of a server,
    /// [`crate::session::node::NodeConfig::frame_bytes`] applies instead: 16 MiB.
    pub message_bytes: usize,
    /// Messages taken in before something is answered, so that connections share their worker
    /// fairly: 64.
    pub messages_per_turn: usize,
    /// For how long the peer may take nothing while something waits to be written; then the socket
    /// is closed with 4005: 20 s.
    pub write_timeout: Duration,
    /// Time for writing what is left and the closing handshake together; then the socket is
    /// dropped: 2 s.
    pub close_timeout: Duration,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            read_buffer_bytes: 16 * 1024,
            write_buffer_bytes: 64 * 1024,
            message_bytes: 16 * 1024 * 1024,
            messages_per_turn: 64,
            write_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(2),
        }
    }
}
