//! A command of an earlier process, as the application finds it after a start: what it said, and the
//! way to its outcome. When it is sent is not decided here.

use std::fmt;
use std::sync::Arc;

use super::call::Call;
use super::saves;
use super::shared::SharedClient;
use crate::protocol::{ClientEnum, DecodeError, Message, Reply, decode_body};
use crate::session::client::{Command, Fate};
use crate::wire::Codec;

/// A command that an earlier process left in the outbox file; see [`Client::recovered`].
///
/// [`Client::recovered`]: super::Client::recovered
///
/// # Cancellation
/// Dropping it, or the call that it becomes, says that the application is done with it: the command
/// is executed all the same, and its outcome is forgotten. One that is held until its outcome was
/// dealt with is there again after another crash.
#[must_use = "a recovered command that is dropped is forgotten as soon as it has ended"]
pub struct RecoveredCall<C: ClientEnum> {
    call: Call<(), C::Error>,
    codec: Codec,
    command: Command,
}

impl<C: ClientEnum> RecoveredCall<C> {
    pub(super) fn new(call: saves::RecoveredCall, shared: Arc<SharedClient>) -> Self {
        let saves::RecoveredCall { slot, command } = call;
        let codec = shared.codec();
        Self { call: Call::new(slot, shared), codec, command }
    }

    /// Its message's wire name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.command.name().as_str()
    }

    /// Its fields, as they travel.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.command.body().as_bytes()
    }

    /// The version of the protocol in which it was written.
    #[must_use]
    pub fn version(&self) -> &str {
        self.command.version().map_or("", |version| version)
    }

    /// Reads it as a message; `None` if it is another one.
    ///
    /// # Errors
    /// When its fields do not fit the message as this build knows it.
    #[must_use]
    pub fn read<M: Message>(&self) -> Option<Result<M, DecodeError>> {
        let body = self.body();
        (self.name() == M::NAME).then(|| decode_body(body, self.codec))
    }

    /// How far it has got.
    #[must_use]
    pub fn fate(&self) -> Fate {
        self.call.fate()
    }

    /// The call, to be awaited like one of this process; `R` is the reply that its message declares,
    /// and `()` fits one without a reply.
    pub fn into_call<R: Reply>(self) -> Call<R, C::Error> {
        self.call.with_reply()
    }
}

impl<C: ClientEnum> fmt::Debug for RecoveredCall<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoveredCall")
            .field("name", &self.name())
            .field("fate", &self.fate())
            .finish_non_exhaustive()
    }
}
