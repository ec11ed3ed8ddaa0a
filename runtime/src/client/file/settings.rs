//! What an application says of an outbox file. What comes of it is the other files'.

/// When something counts as saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Flush {
    /// When the disk has it (`fdatasync`; `F_FULLFSYNC` on Apple's systems): it survives the loss of
    /// power, too. A command waits for one flush before it is sent; those that come meanwhile share
    /// the next one.
    #[default]
    ToDisk,
    /// When the operating system has it: it survives the death of the process, whatever kills it,
    /// and may be lost with the machine's power. Then a command that was sent may be forgotten, and
    /// its number given to another one; a server that still knows the first one stops the client.
    ToSystem,
}

/// How an outbox file is used.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OutboxSettings {
    /// When something counts as saved: [`Flush::ToDisk`].
    pub flush: Flush,
    /// Whose commands these are, in words of the application; empty. A file of another account is
    /// refused: its commands would be sent as somebody else's.
    pub account: String,
    /// What becomes of a file that is damaged in its middle: false, it is refused. With true a copy
    /// of it is kept beside it, with `.damaged-1` behind its name (or a higher number), and of the
    /// commands that can be read those without an outcome end as unknown. None of them is sent,
    /// because which were sent before is not certain.
    pub salvage: bool,
}
