//! How both ends get onto turmoil's network. What happens to it is the stage's business.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use steadfast::client::Target;
use steadfast::server::Listener;
use turmoil::net::{TcpListener, TcpStream};

/// Where servers listen.
pub const PORT: u16 = 9000;

/// A listener on the simulated network.
pub struct Port(TcpListener);

impl Port {
    /// Listens on [`PORT`] of this host.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn bind() -> io::Result<Self> {
        TcpListener::bind(("0.0.0.0", PORT)).await.map(Self)
    }
}

impl Listener for Port {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            if let Ok(accepted) = self.0.accept().await {
                return accepted;
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Port")
    }
}

/// Dials over the simulated network.
///
/// # Errors
/// When the host refuses.
pub async fn dial(target: Target) -> io::Result<TcpStream> {
    TcpStream::connect((&*target.host, target.port)).await
}
