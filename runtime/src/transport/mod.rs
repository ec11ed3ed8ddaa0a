//! One WebSocket as the drivers see it (PROTOCOL.md section 2): whole messages in and out, written
//! in batches, bounded in both directions. It frames messages and writes the closing handshake;
//! what a frame means, and when something is due, it does not know.

#[cfg(all(test, feature = "server"))]
mod alone;
mod config;
#[cfg(feature = "server")]
mod framing;
mod gate;
#[cfg(feature = "client")]
mod handshake;
mod patience;
mod pipe;
mod pump;
#[cfg(feature = "client")]
mod response;
mod socket;
mod stream;
mod unwritten;

pub use config::TransportConfig;
#[cfg(feature = "server")]
pub(crate) use gate::Form;
#[cfg(feature = "client")]
pub(crate) use handshake::HandshakeFailure;
#[cfg(feature = "client")]
pub(crate) use pump::client_frame_bytes;
#[cfg(feature = "server")]
pub(crate) use pump::outgoing_bytes;
pub(crate) use pump::{Arrivals, FRAMES_PER_PASS, Pump, SocketEnd, TooSlow};
#[cfg(feature = "server")]
pub(crate) use socket::MessageBytes;
pub(crate) use socket::Socket;
pub(crate) use stream::Stream;
