//! How a command ends, as the node records it and its caller is told. Which handler made it so,
//! and where it is kept, is not said here.

use crate::wire::{Body, Codec, FailureCode, Name};

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// With a reply.
    Ok(Body),
    /// Without success. Boxed, because it is rare and replies are kept by the thousand.
    Failed(Box<Failure>),
    /// It did not run and never will: its deadline had passed before it started (PROTOCOL.md 5.13).
    Expired,
}

/// What a failed command says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Failure {
    /// How.
    pub code: FailureCode,
    /// Wire name of the application's error, else empty.
    pub name: Name,
    /// Its fields, else `{}`.
    pub body: Body,
}

impl Outcome {
    /// Without success.
    #[must_use]
    pub fn failed(code: FailureCode, name: Name, body: Body) -> Self {
        Self::Failed(Box::new(Failure { code, name, body }))
    }

    /// Without success, for a reason that is not the application's: no error, no fields.
    #[must_use]
    pub fn plain_failure(code: FailureCode) -> Self {
        Self::failed(code, Name::EMPTY, Body::UNIT)
    }

    /// As it is told in a codec, in which its body is already, unless that is the core's own
    /// [`Body::UNIT`].
    #[must_use]
    pub fn told_in(self, codec: Codec) -> Self {
        match (codec, self) {
            (Codec::Json, outcome) => outcome,
            (codec, Self::Ok(body)) => Self::Ok(codec.own(body)),
            (codec, Self::Failed(mut failure)) => {
                failure.body = codec.own(std::mem::take(&mut failure.body));
                Self::Failed(failure)
            }
            (_, Self::Expired) => Self::Expired,
        }
    }

    /// How it failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<FailureCode> {
        match self {
            Self::Failed(failure) => Some(failure.code),
            Self::Ok(_) | Self::Expired => None,
        }
    }

    /// The wire name of the application's error, if it is one.
    #[must_use]
    pub fn error(&self) -> Option<&Name> {
        match self {
            Self::Failed(failure) => Some(&failure.name),
            Self::Ok(_) | Self::Expired => None,
        }
    }

    /// Whether it stands for the command's message id: everybody who asks under this id is told
    /// the same (PROTOCOL.md 5.20). Of the others nothing was committed that a handler did through
    /// its context, and the id is free for another try.
    #[must_use]
    pub fn stands(&self) -> bool {
        match self {
            Self::Ok(_) => true,
            Self::Failed(failure) => failure.code == FailureCode::Error,
            Self::Expired => false,
        }
    }

    /// Bytes of everything that it says: its body, and the name of an error.
    #[must_use]
    pub fn said_bytes(&self) -> u64 {
        self.error().map_or(0, |name| name.as_bytes().len() as u64) + self.bytes()
    }

    /// What its reply takes beside its record; `{}` takes nothing.
    #[must_use]
    pub fn reply_bytes(&self) -> u64 {
        match self.said_bytes() {
            bytes if bytes <= Body::UNIT.len() as u64 => 0,
            bytes => bytes,
        }
    }

    /// Bytes of its body.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        match self {
            Self::Ok(body) => body.len() as u64,
            Self::Failed(failure) => failure.body.len() as u64,
            Self::Expired => 0,
        }
    }
}
