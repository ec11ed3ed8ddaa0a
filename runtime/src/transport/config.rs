//! How sockets are read and written. The limits are settings; what happens at one is not decided
//! here.

use std::time::Duration;

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
    /// connection itself keeps half a KiB.
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
    /// Time from the first bytes of a message to its last; then the socket is closed, by a server
    /// with 4005: 5 min. Every byte is a sign of life, so heartbeats do not bound this.
    pub message_timeout: Duration,
    /// For how long the peer may neither take nor say anything while something waits to be written;
    /// then the socket is closed, by a server with 4005: 60 s. It has to be longer than the
    /// heartbeat's interval, in which every living peer says something (PROTOCOL.md 9.1).
    pub write_timeout: Duration,
    /// For how long a peer that says something may take nothing of what waits: 10 min. The buffers
    /// beneath a socket can hold some MiB, and a slow line needs minutes to empty them; whether it
    /// does can't be seen from here.
    pub slow_write_timeout: Duration,
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
            message_timeout: Duration::from_secs(300),
            write_timeout: Duration::from_secs(60),
            slow_write_timeout: Duration::from_secs(600),
            close_timeout: Duration::from_secs(2),
        }
    }
}
