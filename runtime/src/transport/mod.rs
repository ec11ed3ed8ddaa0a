//! One WebSocket as the drivers see it (PROTOCOL.md section 2): whole messages in and out, written
//! in batches, bounded in both directions. It frames messages and writes the closing handshake;
//! what a frame means, and when something is due, it does not know.

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
///
/// # Example
/// ```
/// # #[cfg(feature = "server")] {
/// let mut config = steadfast::server::TransportConfig::default();
/// config.messages_per_turn = 16;
/// config.write_buffer_bytes = 16 * 1024;
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportConfig {
    /// Bytes read at a time, into a buffer that the connections of a thread share: 16 KiB. A
    /// connection of its own keeps half a KiB.
    pub read_buffer_bytes: usize,
    /// Bytes that are collected before they are written: 64 KiB. The buffer is given back when it
    /// is empty.
    pub write_buffer_bytes: usize,
    /// The longest message that a client takes in: 16 MiB. For a server
    /// [`crate::session::node::NodeConfig::frame_bytes`] applies instead.
    pub message_bytes: usize,
    /// How many messages are taken in before something is answered, so that connections share their
    /// worker fairly: 64.
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
