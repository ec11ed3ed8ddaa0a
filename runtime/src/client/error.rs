//! What goes wrong, as an application sees it: no client, no reply, no subscription. Decides
//! nothing about it.

use std::fmt;

use bytes::Bytes;

use crate::protocol::EncodeError;
use crate::session::Close;
use crate::session::client as core;
use crate::wire::{RefusalCode, UnsubscribeCode};

/// Why there is no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is not one that this client can dial.
    #[error("`{url}` can't be dialled: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A message may be longer, as it is declared, than a setting lets through.
    #[error("`{message}` may have {bytes} bytes, but {setting} lets {limit} through")]
    Limits {
        /// Its wire name.
        message: &'static str,
        /// Its declared `max_bytes`.
        bytes: u32,
        /// Which setting.
        setting: &'static str,
        /// What it is set to.
        limit: u32,
    },
    /// The outbox file can't be used.
    #[cfg(feature = "outbox")]
    #[error(transparent)]
    Outbox(#[from] super::file::OutboxError),
    /// The client gave up; the reason is that of the last dial.
    #[error("could not connect: {reason}")]
    Failed {
        /// Why.
        reason: Close,
    },
}

/// Why a call has no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The application's own error: the handler ran and said no.
    App(E),
    /// Certainly not executed.
    Refused {
        /// Why. `Expired` also when its time ran out before it could be sent.
        code: RefusalCode,
    },
    /// The declared time is over without an outcome. The command stays until it has one: await the
    /// call again, or [`super::Call::settled`], to learn it (PROTOCOL.md 6.2).
    Timeout,
    /// Whether it was executed can't be known: the server lost what it knew, or forgot this client
    /// (PROTOCOL.md 5.1).
    OutcomeUnknown,
    /// The handler failed inside; nothing that it published was committed.
    HandlerFailed,
    /// The handler took too long; nothing that it published was committed.
    HandlerTimedOut,
    /// Its id is that of another command, of this user and of the same message, with other fields
    /// (PROTOCOL.md 5.21). Not executed.
    IdReused,
    /// Executed, but this build can't read the reply or the error: the server is of another
    /// version.
    Undecodable {
        /// The error's wire name; empty for a reply.
        name: String,
        /// What came.
        raw: Bytes,
        /// Why it can't be read.
        reason: String,
    },
    /// Longer than its message, or the server, allows. Not sent.
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: u32,
    },
    /// The message can't be encoded. Not sent.
    Unencodable(EncodeError),
    /// The outbox has no room, and as many calls wait already as may
    /// ([`super::ClientConfig::backlog_calls`]). Not sent.
    OutboxFull,
    /// Withdrawn by [`super::Call::cancel`] before it began: certainly not executed.
    Cancelled,
    /// The client was closed, or gave up.
    Closed {
        /// Whether it may have been executed.
        maybe_executed: bool,
    },
    /// The client was closed, or gave up; the command is in its outbox file, and the next client
    /// that opens it goes on with it.
    Kept,
    /// The outbox file can't be written: the disk is full, or failed. Not sent.
    NotSaved,
}

impl<E> CallError<E> {
    /// Whether the server may have executed the command, or still may. If not, doing the same again
    /// is safe; if so, a new call is a new command.
    #[must_use]
    pub const fn maybe_executed(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::IdReused
            | Self::TooLarge { .. }
            | Self::Unencodable(_)
            | Self::OutboxFull
            | Self::Cancelled
            | Self::NotSaved
            | Self::Closed { maybe_executed: false } => false,
            Self::App(_)
            | Self::Timeout
            | Self::OutcomeUnknown
            | Self::HandlerFailed
            | Self::HandlerTimedOut
            | Self::Undecodable { .. }
            | Self::Kept
            | Self::Closed { maybe_executed: true } => true,
        }
    }

    /// Whether it was certainly not executed and the same call may succeed later on this client.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::OutboxFull | Self::NotSaved => true,
            Self::Refused { code } => code.is_retry() || matches!(code, RefusalCode::Expired),
            _ => false,
        }
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(error) => write!(f, "the server answered with an error: {error}"),
            Self::Refused { code: RefusalCode::Expired } => {
                f.write_str("its time was over before it could be executed")
            }
            Self::Refused { code } => {
                write!(f, "the server refused it ({code}); it was not executed")
            }
            Self::Timeout => f.write_str("there is no answer yet; it may still be executed"),
            Self::OutcomeUnknown => f.write_str("whether it was executed can't be known"),
            Self::HandlerFailed => f.write_str("the server's handler failed"),
            Self::HandlerTimedOut => f.write_str("the server's handler took too long"),
            Self::IdReused => f.write_str("its id is that of another command; it was not executed"),
            Self::Undecodable { name, reason, .. } if name.is_empty() => {
                write!(f, "can't read the reply: {reason}")
            }
            Self::Undecodable { name, reason, .. } => {
                write!(f, "can't read the error `{name}`: {reason}")
            }
            Self::TooLarge { bytes, limit } => {
                write!(f, "the message has {bytes} bytes, {limit} are allowed")
            }
            Self::Unencodable(error) => write!(f, "the message {error}"),
            Self::OutboxFull => f.write_str("the outbox is full"),
            Self::Cancelled => f.write_str("it was cancelled before it began"),
            Self::Closed { maybe_executed: true } => {
                f.write_str("the client is closed; it may have been executed")
            }
            Self::Closed { maybe_executed: false } => {
                f.write_str("the client is closed; it was not executed")
            }
            Self::Kept => f.write_str("the client is closed; its outbox file has it for the next"),
            Self::NotSaved => f.write_str("it could not be written to the outbox file"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for CallError<E> {}

/// Why a subscription could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// This client follows that topic already.
    #[error("this client already has a subscription of that topic")]
    Duplicate,
    /// As many as [`super::ClientConfig::subscriptions`].
    #[error("this client has {limit} subscriptions, which is its limit")]
    TooMany {
        /// The limit.
        limit: u32,
    },
    /// The server said no.
    #[error("the server refused the subscription: {code}")]
    Refused {
        /// Why.
        code: UnsubscribeCode,
    },
    /// The key can't be written as text.
    #[error("the topic's key {0}")]
    Key(#[from] EncodeError),
    /// The client was closed, or gave up.
    #[error("the client is closed")]
    Closed,
}

impl From<core::SubscribeError> for SubscribeError {
    fn from(error: core::SubscribeError) -> Self {
        match error {
            core::SubscribeError::Duplicate => Self::Duplicate,
            core::SubscribeError::TooMany { limit } => Self::TooMany { limit },
            core::SubscribeError::Closed => Self::Closed,
        }
    }
}

impl From<core::SubscriptionEnd> for SubscribeError {
    fn from(end: core::SubscriptionEnd) -> Self {
        match end {
            core::SubscriptionEnd::Refused(code) => Self::Refused { code },
            core::SubscriptionEnd::Closed => Self::Closed,
        }
    }
}

/// Why a subscription ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriptionEnd {
    /// The server ended it, for good.
    Refused(UnsubscribeCode),
    /// The client was closed, or gave up.
    Closed,
    /// The server sent a state that this build can't read, or a gap where the topic has a snapshot:
    /// it is of another version. Going on would show the application a history with a hole.
    Unreadable {
        /// What was wrong.
        reason: String,
    },
}

impl From<core::SubscriptionEnd> for SubscriptionEnd {
    fn from(end: core::SubscriptionEnd) -> Self {
        match end {
            core::SubscriptionEnd::Refused(code) => Self::Refused(code),
            core::SubscriptionEnd::Closed => Self::Closed,
        }
    }
}

impl fmt::Display for SubscriptionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code) => write!(f, "the server ended the subscription: {code}"),
            Self::Closed => f.write_str("the client is closed"),
            Self::Unreadable { reason } => write!(f, "the topic can't be read: {reason}"),
        }
    }
}
