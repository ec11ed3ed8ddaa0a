//! The ways that bytes travel along a line. Nothing travels here.

/// Which way a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
    /// Both of them.
    Both,
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Way {
    /// Whether it is the way of what this side says.
    pub(super) fn is_of(self, side: Side) -> bool {
        match self {
            Self::ToServer => side == Side::Client,
            Self::ToClient => side == Side::Server,
            Self::Both => true,
        }
    }
}
