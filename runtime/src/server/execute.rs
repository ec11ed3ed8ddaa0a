//! Running the application's code: each future is polled once where it begins, and a panic in it
//! ends it and nothing else. Owns the turn from what came out into what the node is told.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::auth::Credentials;
use super::cx::{Cx, CxParts, IdempotencyKey, Settings, Stage, TopicCx};
use super::shared::{Shared, Shown};
use crate::driver::{Guarded, Panicked, guarded};
use crate::session::Now;
use crate::session::node::{Denied, ExecId, Executed, Execution, Identity};
use crate::session::store::{OpId, Outcome, StoreOp, StoreOutcome};
use crate::store::DynStore;
use crate::stub::{BoxFuture, DecodeError, Unauthorized};
use crate::wire::{Body, Codec, FailureCode, InstanceId, Name, RefusalCode, UnsubscribeCode};

/// An execution, with what the driver knows beside it.
pub(super) struct Prepared {
    execution: Execution,
    shown: Option<Shown>,
    /// To begin after the one before it in the list has ended, else not at all.
    pub(super) follows: bool,
}

/// A topic's state: its name, and its body per codec.
type State = (Name, Vec<(Codec, Body)>);

/// The application's code, begun.
pub(super) enum Running {
    Command(BoxFuture<Outcome>, Option<Stage>),
    Volatile(BoxFuture<()>, Option<Stage>),
    Authenticate(BoxFuture<Result<Identity, Denied>>),
    Authorize(BoxFuture<Result<(), Unauthorized>>),
    Snapshot(BoxFuture<Option<State>>),
    /// It ended before there was a future.
    Over(Option<Executed>),
}

impl Prepared {
    pub(super) const fn new(execution: Execution, shown: Option<Shown>) -> Self {
        Self { execution, shown, follows: false }
    }

    pub(super) const fn following(execution: Execution) -> Self {
        Self { execution, shown: None, follows: true }
    }

    pub(super) const fn exec(&self) -> ExecId {
        self.execution.exec()
    }

    pub(super) fn give_back(self) -> Execution {
        self.execution
    }

    /// Decodes and calls; the application's code has run up to its first await at most after the
    /// first poll.
    pub(super) fn begin(self, shared: &Shared, now: Now, settings: &Settings) -> (ExecId, Running) {
        let service = &shared.service;
        let given = |timeout_ms| (shared.clock.at(now.after_ms(timeout_ms)), Arc::clone(settings));
        match self.execution {
            Execution::Authenticate { exec, token, .. } => {
                let shown = self.shown.unwrap_or_default();
                let credentials = Credentials {
                    token: token.or(shown.token),
                    peer: shown.peer,
                    instance: shown.instance.unwrap_or(InstanceId(0)),
                };
                let check =
                    guarded(|| (shared.authenticate)(credentials)).map(Running::Authenticate);
                (exec, check.unwrap_or_else(|Panicked| Running::over(failed_hook())))
            }
            Execution::Command {
                exec,
                lease,
                n,
                attempt,
                message,
                body,
                codec,
                principal,
                timeout_ms,
                ..
            } => {
                let key = IdempotencyKey::command(lease, n);
                let (deadline, config) = given(timeout_ms);
                let (cx, stage) =
                    Cx::new(CxParts { principal, codec, key, attempt, deadline, config });
                let begun = guarded(|| service.execute(message, body.0, cx));
                (exec, begin_command(begun, stage, message))
            }
            Execution::Volatile { exec, message, body, codec, principal, timeout_ms, .. } => {
                let (key, attempt) =
                    (IdempotencyKey::volatile(exec), crate::session::node::Attempt::First);
                let (deadline, config) = given(timeout_ms);
                let (cx, stage) =
                    Cx::new(CxParts { principal, codec, key, attempt, deadline, config });
                let begun = guarded(|| service.volatile(message, body.0, cx));
                (exec, begin_volatile(begun, stage, message))
            }
            Execution::Authorize { exec, principal, topic, key, .. } => {
                let ask = guarded(|| {
                    Arc::clone(service).authorize(principal, topic, key.as_ref().to_owned())
                });
                let denied = Executed::Authorized(Err(UnsubscribeCode::Internal));
                (exec, ask.map_or_else(|Panicked| Running::over(denied), Running::Authorize))
            }
            Execution::Snapshot { exec, topic, key, position, codecs } => {
                let (service, key) = (Arc::clone(service), key.as_ref().to_owned());
                let read = async move {
                    let mut bodies = Vec::with_capacity(codecs.len());
                    let mut named = None;
                    for codec in codecs {
                        let cx = TopicCx::new(position, codec);
                        match Arc::clone(&service).snapshot(cx, topic, key.clone()).await {
                            Ok((name, body)) => {
                                named = Some(name);
                                bodies.push((codec, body));
                            }
                            Err(reason) => {
                                tracing::error!(topic, key, %reason, "a topic's state could not be read");
                                return None;
                            }
                        }
                    }
                    named.map(|name| (name, bodies))
                };
                (exec, Running::Snapshot(Box::pin(read)))
            }
        }
    }
}

fn begin_command(
    begun: Result<Result<BoxFuture<Outcome>, DecodeError>, Panicked>,
    stage: Stage,
    message: u16,
) -> Running {
    match begun {
        Ok(Ok(future)) => Running::Command(future, Some(stage)),
        Ok(Err(error)) => {
            tracing::debug!(message, %error, "a command's body does not fit");
            Running::over(Executed::Refused(RefusalCode::Invalid))
        }
        Err(Panicked) => Running::over(internal()),
    }
}

fn begin_volatile(
    begun: Result<Result<BoxFuture<()>, DecodeError>, Panicked>,
    stage: Stage,
    message: u16,
) -> Running {
    match begun {
        Ok(Ok(future)) => return Running::Volatile(future, Some(stage)),
        Ok(Err(error)) => tracing::debug!(message, %error, "a volatile's body does not fit"),
        Err(Panicked) => tracing::error!(message, "a volatile's handler panicked"),
    }
    Running::over(Executed::Volatile { publishes: Vec::new() })
}

impl Running {
    const fn over(executed: Executed) -> Self {
        Self::Over(Some(executed))
    }

    fn poll_executed(&mut self, cx: &mut Context<'_>) -> Poll<Executed> {
        match self {
            Self::Command(future, stage) => {
                Pin::new(&mut Guarded(future)).poll(cx).map(|end| ended(end, stage.take()))
            }
            Self::Volatile(future, stage) => {
                Pin::new(&mut Guarded(future)).poll(cx).map(|end| volatile_ended(end, stage.take()))
            }
            Self::Authenticate(future) => {
                Pin::new(&mut Guarded(future)).poll(cx).map(|end| match end {
                    Ok(answer) => Executed::Authenticated(answer),
                    Err(Panicked) => failed_hook(),
                })
            }
            Self::Authorize(future) => Pin::new(&mut Guarded(future)).poll(cx).map(|end| {
                let answer = end.map(|answer| answer.map_err(|no| no.code()));
                Executed::Authorized(answer.unwrap_or(Err(UnsubscribeCode::Internal)))
            }),
            Self::Snapshot(future) => Pin::new(&mut Guarded(future))
                .poll(cx)
                .map(|end| Executed::Snapshot(end.unwrap_or(None))),
            Self::Over(executed) => {
                Poll::Ready(executed.take().unwrap_or(Executed::Volatile { publishes: Vec::new() }))
            }
        }
    }
}

impl Future for Running {
    type Output = Executed;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Executed> {
        self.poll_executed(cx)
    }
}

/// Runs to the first point where it would wait.
///
/// # Errors
/// The rest, if it would.
pub(super) fn first_poll(mut running: Running) -> Result<Executed, Running> {
    // Whoever takes the rest polls it at once, so that a wake-up in between is not missed.
    match running.poll_executed(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(executed) => Ok(executed),
        Poll::Pending => Err(running),
    }
}

fn ended(end: Result<Outcome, Panicked>, stage: Option<Stage>) -> Executed {
    let Ok(outcome) = end else {
        tracing::error!("a handler panicked");
        return internal();
    };
    match stage.map_or(Ok(Vec::new()), Stage::take) {
        Ok(publishes) => Executed::Command { outcome, publishes },
        Err(reason) => {
            tracing::error!(reason, "a command failed because of what its handler published");
            internal()
        }
    }
}

fn volatile_ended(end: Result<(), Panicked>, stage: Option<Stage>) -> Executed {
    let published = match end {
        Ok(()) => stage.map_or(Ok(Vec::new()), Stage::take),
        Err(Panicked) => Err("the handler panicked".to_owned()),
    };
    let publishes = published.unwrap_or_else(|reason| {
        tracing::error!(reason, "a volatile published nothing");
        Vec::new()
    });
    Executed::Volatile { publishes }
}

fn internal() -> Executed {
    let outcome =
        Outcome::Failed { code: FailureCode::Internal, name: Name::EMPTY, body: Body::UNIT };
    Executed::Command { outcome, publishes: Vec::new() }
}

fn failed_hook() -> Executed {
    tracing::error!("the authentication hook panicked");
    Executed::Authenticated(Err(Denied::new("the server could not check the credentials")))
}

type Stored = Vec<(OpId, StoreOutcome)>;

/// Hands a batch to the store; a store that answers at once needs no task.
///
/// # Errors
/// The rest, if it would wait.
pub(super) fn store_once(
    store: &Arc<dyn DynStore>,
    batch: Vec<(OpId, StoreOp)>,
) -> Result<Stored, BoxFuture<Stored>> {
    let ids: Vec<OpId> = batch.iter().map(|(id, _)| *id).collect();
    let store = Arc::clone(store);
    let mut answer: BoxFuture<Stored> = Box::pin(async move {
        let answer = Guarded(Box::pin(async move { store.execute_boxed(batch).await })).await;
        complete(ids, answer.unwrap_or_default())
    });
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(stored) => Ok(stored),
        Poll::Pending => Err(answer),
    }
}

/// A store that panicked or left an answer out may have done it or not.
fn complete(ids: Vec<OpId>, mut stored: Stored) -> Stored {
    if stored.len() != ids.len() {
        let missing: Vec<OpId> = ids
            .into_iter()
            .filter(|id| stored.iter().all(|(answered, _)| answered != id))
            .collect();
        tracing::error!(missing = missing.len(), "the store left operations without an answer");
        stored.extend(missing.into_iter().map(|id| (id, StoreOutcome::Unknown)));
    }
    stored
}
