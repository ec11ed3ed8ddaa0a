//! A command under way, as its caller holds it (PROTOCOL.md section 6): waiting, following and
//! decoding. What comes of a command is not decided here.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;

use super::error::CallError;
use super::shared::SharedClient;
use super::slot::{CallEnd, CallSlot};
use crate::protocol::{Reply, WsError, decode_reply};
use crate::session::client::{CallOutcome, Fate};
use crate::wire::FailureCode;

/// A command under way: a future of its reply.
///
/// The command took its place in the outbox when the method was called, so the order is the order
/// of calls. It survives any number of reconnects.
///
/// # Cancellation
/// Dropping a call does not withdraw the command; [`Call::cancel`] does if it has not begun.
/// Awaiting it by reference (`(&mut call).await`) may be broken off and taken up again. After
/// [`CallError::Timeout`] it may be awaited once more, and then waits for the true end. With an
/// outbox file the outcome stays in that until the call is dropped: hold it until the outcome was
/// dealt with, and it is there again after a crash in between.
#[must_use = "the command is sent all the same, but nobody learns what came of it"]
pub struct Call<T, E> {
    hold: Hold,
    timeout_told: bool,
    types: PhantomData<fn() -> (T, E)>,
}

/// An outbox file keeps an outcome for as long as somebody holds the call.
struct Hold {
    slot: Arc<CallSlot>,
    shared: Arc<SharedClient>,
}

/// A call's true end; its caller's patience does not end it. See [`Call::settled`].
///
/// # Cancellation
/// Dropping it does not withdraw the command. Awaiting it by reference may be broken off and taken
/// up again.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Settled<T, E>(Call<T, E>);

/// Where a call stands, followed: a stream that ends after the last fate.
///
/// # Cancellation
/// Dropping it, or a `next()` of it, changes nothing of the command; the next one gives the fate of
/// that time.
#[must_use = "a stream does nothing unless it is polled"]
pub struct Fates {
    slot: Arc<CallSlot>,
    told: Option<Fate>,
}

impl<T, E> Call<T, E> {
    pub(super) fn new(slot: Arc<CallSlot>, shared: Arc<SharedClient>) -> Self {
        Self { hold: Hold { slot, shared }, timeout_told: false, types: PhantomData }
    }

    /// The same call, with a reply of another type.
    #[cfg(feature = "outbox")]
    pub(super) fn with_reply<R>(self) -> Call<R, E> {
        Call { hold: self.hold, timeout_told: self.timeout_told, types: PhantomData }
    }

    /// How far the command has got.
    #[must_use]
    pub fn fate(&self) -> Fate {
        self.hold.slot.fate()
    }

    /// Follows how far it gets: the present fate first, then each change that the follower is quick
    /// enough to see, until the command has ended. One follower at a time is woken.
    pub fn fates(&self) -> Fates {
        Fates { slot: Arc::clone(&self.hold.slot), told: None }
    }

    /// Waits until the command is accepted: it has a place in the outbox and, if that has a file, is
    /// saved there. `false` if it ended before that. Its followers ([`Call::fates`]) are not woken
    /// meanwhile.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn accepted(&self) -> bool {
        let mut fates = self.fates();
        loop {
            match std::future::poll_fn(|cx| Pin::new(&mut fates).poll_next(cx)).await {
                Some(Fate::Waiting) => {}
                Some(Fate::Failed) | None => return false,
                Some(_) => return true,
            }
        }
    }

    /// Waits so long for this call, in place of the `timeout` that its message declares: counted from
    /// when the method was called, and at most
    /// [`ClientConfig::longest_timeout`](super::ClientConfig::longest_timeout). Then it ends with
    /// [`CallError::Timeout`], or with `Refused` and `Expired` if it could not be sent until then.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use steadfast::NoError;
    /// # use steadfast::client::{Call, CallError};
    /// async fn patient(report: Call<u64, NoError>) -> Result<u64, CallError<NoError>> {
    ///     report.timeout(Duration::from_secs(60)).await
    /// }
    /// ```
    ///
    /// A command that has not left yet tells the server until when its caller waits, and does not
    /// begin after that. One that has left goes by what it told then; that is certain only if it is
    /// said where the method is called, on a runtime with one thread or before the connection is
    /// there. For how long its handler may run is the server's to say: what the message declares.
    /// With an outbox file, a process that is started anew goes by the declared time.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_told = false;
        self.hold.shared.set_timeout(&self.hold.slot, timeout);
        self
    }

    /// The command is not wanted any more. `true` if it was certainly not executed yet (never sent,
    /// or refused for now): then it is withdrawn, never will be, and the call ends with
    /// [`CallError::Cancelled`]; with an outbox file, once that has no trace of it.
    ///
    /// `false` if it may have reached the server, or has ended. The server is told, for as long as
    /// the process lives and over any number of reconnects, and the call ends with what came of the
    /// command: [`CallError::Cancelled`] if it had not begun, else whatever its handler ends with,
    /// which may ask [`Cx::cancelled`](crate::server::Cx::cancelled) and stop early. A server of
    /// another kind may not listen: then the command just goes on.
    pub fn cancel(&self) -> bool {
        self.hold.shared.cancel(&self.hold.slot)
    }

    /// Waits for the true end, however long that takes: never [`CallError::Timeout`].
    pub fn settled(self) -> Settled<T, E> {
        Settled(self)
    }
}

impl<T: Reply, E: WsError> Call<T, E> {
    fn poll_result(&mut self, cx: &Context<'_>, patient: bool) -> Poll<Result<T, CallError<E>>> {
        let end = ready!(self.hold.slot.poll_end(cx, patient || self.timeout_told));
        self.timeout_told |= end.is_none();
        Poll::Ready(end.map_or(Err(CallError::Timeout), |end| self.result(end)))
    }

    fn result(&self, end: CallEnd) -> Result<T, CallError<E>> {
        let codec = self.hold.shared.codec();
        match end {
            CallEnd::Outcome(CallOutcome::Reply(body)) => decode_reply(body.as_bytes(), codec)
                .map_err(|error| undecodable("", body.into_bytes(), error.to_string())),
            CallEnd::Outcome(CallOutcome::Failed { code, name, body }) => Err(match code {
                FailureCode::Error => match E::decode(name.as_str(), body.as_bytes(), codec) {
                    Ok(error) => CallError::App(error),
                    Err(error) => undecodable(name.as_str(), body.into_bytes(), error.to_string()),
                },
                FailureCode::Internal => CallError::HandlerFailed,
                FailureCode::Timeout => CallError::HandlerTimedOut,
                FailureCode::Unknown => CallError::OutcomeUnknown,
                FailureCode::IdReused => CallError::IdReused,
            }),
            CallEnd::Outcome(CallOutcome::Refused(code)) => Err(CallError::Refused { code }),
            CallEnd::Outcome(CallOutcome::OutcomeUnknown) => Err(CallError::OutcomeUnknown),
            CallEnd::Outcome(CallOutcome::Closed { sent }) => {
                Err(CallError::Closed { maybe_executed: sent })
            }
            CallEnd::Outcome(CallOutcome::Kept) => Err(CallError::Kept),
            CallEnd::Outcome(CallOutcome::NotSaved) => Err(CallError::NotSaved),
            CallEnd::TooLarge { bytes, limit } => Err(CallError::TooLarge { bytes, limit }),
            CallEnd::Unencodable(error) => Err(CallError::Unencodable(error)),
            CallEnd::Full => Err(CallError::OutboxFull),
            CallEnd::Cancelled => Err(CallError::Cancelled),
        }
    }
}

fn undecodable<E>(name: &str, raw: Bytes, reason: String) -> CallError<E> {
    CallError::Undecodable { name: name.to_owned(), raw, reason }
}

#[cfg(feature = "outbox")]
impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.let_go(&self.slot);
    }
}

impl<T: Reply, E: WsError> Future for Call<T, E> {
    type Output = Result<T, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_result(cx, false)
    }
}

impl<T: Reply, E: WsError> Future for Settled<T, E> {
    type Output = Result<T, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_result(cx, true)
    }
}

impl Stream for Fates {
    type Item = Fate;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Fate>> {
        let fate = ready!(self.slot.poll_fate(cx, self.told));
        self.told = fate.or(self.told);
        Poll::Ready(fate)
    }
}

impl<T, E> fmt::Debug for Call<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("fate", &self.fate()).finish_non_exhaustive()
    }
}

impl<T, E> fmt::Debug for Settled<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settled").field("fate", &self.0.fate()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fates").field("told", &self.told).finish_non_exhaustive()
    }
}
