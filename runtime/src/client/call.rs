//! A command under way, as its caller holds it (PROTOCOL.md section 6). Owns waiting and decoding;
//! refuses to withdraw what was sent.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;

use super::shared::Shared;
use crate::protocol::{EncodeError, Reply, WsError, decode_reply};
use crate::session::client::{CallId, CallOutcome, Fate};
use crate::sync::{Mutex, MutexGuard};
use crate::wire::{FailureCode, RefusalCode};

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
    /// call again, or [`Call::settled`], to learn it (PROTOCOL.md 6.2).
    Timeout,
    /// Whether it was executed can't be known: the server lost what it knew, or forgot this client
    /// (PROTOCOL.md 5.1).
    OutcomeUnknown,
    /// The handler failed inside; nothing that it published was committed.
    HandlerFailed,
    /// The handler took too long; nothing that it published was committed.
    HandlerTimedOut,
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
    /// The outbox has no room, and this client fails then or too many callers wait already. Not
    /// sent.
    OutboxFull,
    /// Withdrawn by [`Call::cancel`]. Not sent.
    Cancelled,
    /// The client was closed, or gave up.
    Closed {
        /// Whether it may have been executed.
        maybe_executed: bool,
    },
}

impl<E> CallError<E> {
    /// Whether the server may have executed the command, or still may. If not, doing the same again
    /// is safe; if so, a new call is a new command.
    #[must_use]
    pub const fn maybe_executed(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::Unencodable(_)
            | Self::OutboxFull
            | Self::Cancelled
            | Self::Closed { maybe_executed: false } => false,
            Self::App(_)
            | Self::Timeout
            | Self::OutcomeUnknown
            | Self::HandlerFailed
            | Self::HandlerTimedOut
            | Self::Undecodable { .. }
            | Self::Closed { maybe_executed: true } => true,
        }
    }

    /// Whether it was certainly not executed and the same call may succeed later on this client.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::OutboxFull => true,
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
                write!(f, "the server refused it ({code:?}); it was not executed")
            }
            Self::Timeout => f.write_str("there is no answer yet; it may still be executed"),
            Self::OutcomeUnknown => f.write_str("whether it was executed can't be known"),
            Self::HandlerFailed => f.write_str("the server's handler failed"),
            Self::HandlerTimedOut => f.write_str("the server's handler took too long"),
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
            Self::Cancelled => f.write_str("it was withdrawn before it was sent"),
            Self::Closed { maybe_executed: true } => {
                f.write_str("the client is closed; it may have been executed")
            }
            Self::Closed { maybe_executed: false } => {
                f.write_str("the client is closed; it was not executed")
            }
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for CallError<E> {}

/// A command under way: a future of its reply.
///
/// The command took its place in the outbox when the method was called, so the order is the order
/// of calls. It survives any number of reconnects.
///
/// # Cancellation
/// Dropping a call does not withdraw the command; [`Call::cancel`] does, while it is unsent.
/// Awaiting it by reference (`(&mut call).await`) may be broken off and taken up again. After
/// [`CallError::Timeout`] it may be awaited once more, and then waits for the true end.
#[must_use = "the command is sent all the same, but nobody learns what came of it"]
pub struct Call<T, E> {
    slot: Arc<Slot>,
    shared: Arc<Shared>,
    timeout_told: bool,
    types: PhantomData<fn() -> (T, E)>,
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
    slot: Arc<Slot>,
    told: Option<Fate>,
}

/// What a call and the client share.
pub(super) struct Slot {
    state: Mutex<SlotState>,
}

pub(super) struct SlotState {
    place: Place,
    fate: Fate,
    timed_out: bool,
    end: Option<End>,
    waker: Option<Waker>,
    follower: Option<Waker>,
}

/// Where the command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It waits for room in the outbox, under this ticket.
    Waiting(u64),
    /// In the outbox.
    Outbox(CallId),
    /// Nowhere any more.
    Over,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub(super) enum End {
    Outcome(CallOutcome),
    TooLarge { bytes: usize, limit: u32 },
    Unencodable(EncodeError),
    Full,
    Cancelled,
}

impl Slot {
    pub(super) fn new(place: Place) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(SlotState {
                place,
                fate: Fate::Queued,
                timed_out: false,
                end: None,
                waker: None,
                follower: None,
            }),
        })
    }

    pub(super) fn over(end: End) -> Arc<Self> {
        let slot = Self::new(Place::Over);
        slot.end(end);
        slot
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn place(&self) -> Place {
        self.lock().place
    }

    pub(super) fn set_place(&self, place: Place) {
        self.lock().place = place;
    }

    /// Ends the call; the wakers are the caller's to wake once no lock is held.
    pub(super) fn end(&self, end: End) -> [Option<Waker>; 2] {
        let mut state = self.lock();
        state.place = Place::Over;
        state.fate = match &end {
            // The core has said it already, and knows better.
            End::Outcome(CallOutcome::Reply(_)) => Fate::Done,
            End::Outcome(CallOutcome::OutcomeUnknown | CallOutcome::Closed { sent: true }) => {
                Fate::Unknown
            }
            End::Outcome(CallOutcome::Failed { code: FailureCode::Unknown, .. }) => Fate::Unknown,
            _ => Fate::Failed,
        };
        state.end = Some(end);
        [state.waker.take(), state.follower.take()]
    }

    pub(super) fn time_out(&self) -> Option<Waker> {
        let mut state = self.lock();
        state.timed_out = true;
        state.waker.take()
    }

    pub(super) fn set_fate(&self, fate: Fate) -> Option<Waker> {
        let mut state = self.lock();
        state.fate = fate;
        state.follower.take()
    }
}

impl<T, E> Call<T, E> {
    pub(super) fn new(slot: Arc<Slot>, shared: Arc<Shared>) -> Self {
        Self { slot, shared, timeout_told: false, types: PhantomData }
    }

    /// How far the command has got.
    #[must_use]
    pub fn fate(&self) -> Fate {
        self.slot.lock().fate
    }

    /// Follows how far it gets: the present fate first, then each change that the follower is quick
    /// enough to see, until the command has ended. One follower at a time is woken.
    pub fn fates(&self) -> Fates {
        Fates { slot: Arc::clone(&self.slot), told: None }
    }

    /// Withdraws the command if it was certainly never sent; the call then ends with
    /// [`CallError::Cancelled`]. `false` if it may have been sent, or has ended.
    pub fn cancel(&self) -> bool {
        self.shared.cancel(&self.slot)
    }

    /// Waits for the true end, however long that takes: never [`CallError::Timeout`].
    pub fn settled(self) -> Settled<T, E> {
        Settled(self)
    }

    fn poll_end(&mut self, cx: &Context<'_>, patient: bool) -> Poll<Option<End>> {
        let mut state = self.slot.lock();
        if let Some(end) = &state.end {
            return Poll::Ready(Some(end.clone()));
        }
        if !patient && state.timed_out && !self.timeout_told {
            self.timeout_told = true;
            return Poll::Ready(None);
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl<T: Reply, E: WsError> Call<T, E> {
    fn poll_result(&mut self, cx: &Context<'_>, patient: bool) -> Poll<Result<T, CallError<E>>> {
        self.poll_end(cx, patient)
            .map(|end| end.map_or(Err(CallError::Timeout), |end| self.result(end)))
    }

    fn result(&self, end: End) -> Result<T, CallError<E>> {
        let codec = self.shared.codec;
        match end {
            End::Outcome(CallOutcome::Reply(body)) => decode_reply(&body.0, codec)
                .map_err(|error| undecodable("", body.0, error.to_string())),
            End::Outcome(CallOutcome::Failed { code, name, body }) => Err(match code {
                FailureCode::Error => match E::decode(name.as_str(), &body.0, codec) {
                    Ok(error) => CallError::App(error),
                    Err(error) => undecodable(name.as_str(), body.0, error.to_string()),
                },
                FailureCode::Internal => CallError::HandlerFailed,
                FailureCode::Timeout => CallError::HandlerTimedOut,
                FailureCode::Unknown => CallError::OutcomeUnknown,
            }),
            End::Outcome(CallOutcome::Refused(code)) => Err(CallError::Refused { code }),
            End::Outcome(CallOutcome::OutcomeUnknown) => Err(CallError::OutcomeUnknown),
            End::Outcome(CallOutcome::Closed { sent }) => {
                Err(CallError::Closed { maybe_executed: sent })
            }
            End::TooLarge { bytes, limit } => Err(CallError::TooLarge { bytes, limit }),
            End::Unencodable(error) => Err(CallError::Unencodable(error)),
            End::Full => Err(CallError::OutboxFull),
            End::Cancelled => Err(CallError::Cancelled),
        }
    }
}

fn undecodable<E>(name: &str, raw: Bytes, reason: String) -> CallError<E> {
    CallError::Undecodable { name: name.to_owned(), raw, reason }
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
        let (fate, over) = {
            let mut state = self.slot.lock();
            if self.told == Some(state.fate) && state.end.is_none() {
                state.follower = Some(cx.waker().clone());
                return Poll::Pending;
            }
            (state.fate, state.end.is_some())
        };
        if over && self.told == Some(fate) {
            return Poll::Ready(None);
        }
        self.told = Some(fate);
        Poll::Ready(Some(fate))
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
