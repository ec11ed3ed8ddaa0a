//! Runs the application's code: each future is polled once where it begins, and a panic in it
//! ends it and nothing else. What the node is told of code at fault is the node's own
//! ([`crate::session::node::fault`]).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use super::auth::Shown;
use super::cx::{Canceller, Cx, CxParts, CxRoom, CxStage, IdempotencyKey, Leaving, Taken, TopicCx};
use super::env::Env;
use super::service::{BoxFuture, Unauthorized};
use super::settings::NodeSettings;
use super::transacts::Left;
use crate::host::{Panicked, guarded};
use crate::protocol::DecodeError;
use crate::session::node::fault::Code;
use crate::session::node::{
    Attempt, ConnId, Denied, ExecId, Executed, Execution, Identity, Principal, Recipient,
    StagedPublish,
};
use crate::session::store::Outcome;
use crate::session::{Build, Now};
use crate::wire::{Body, Codec, Name, Position};

/// An execution, with what the driver knows beside it.
pub(super) struct Prepared {
    execution: Execution,
    /// Boxed, because it is rare, and what is handed from list to list is short without it.
    shown: Option<Box<Shown>>,
    ahead: bool,
}

/// A topic's state: its name, and its body per codec.
type TopicState = (Name, Vec<(Codec, Body)>);

/// What came of the application's code.
pub(super) struct Ran {
    pub(super) executed: Executed,
    /// What decides, of [`Executed::Decides`]: the store has yet to be given it.
    pub(super) left: Option<Left>,
}

/// The application's code, begun.
pub(super) struct RunningCode {
    begun: Pending,
    code: Code,
    /// What it answers, for a log.
    of: &'static str,
}

enum Pending {
    Command(BoxFuture<Outcome>, CxStage),
    Volatile(BoxFuture<()>, CxStage),
    Authenticate(BoxFuture<Result<Identity, Denied>>),
    Authorize(BoxFuture<Result<(), Unauthorized>>),
    Snapshot(BoxFuture<Option<TopicState>>),
    /// It ended before there was a future.
    Over(Option<Executed>),
}

impl Prepared {
    pub(super) const fn new(execution: Execution, shown: Option<Box<Shown>>, ahead: bool) -> Self {
        Self { execution, shown, ahead }
    }

    pub(super) const fn exec(&self) -> ExecId {
        self.execution.exec()
    }

    /// Whether it is to begin after the one before it in the list has ended, else not at all.
    pub(super) const fn follows(&self) -> bool {
        self.ahead
    }

    pub(super) fn give_back(self) -> Execution {
        self.execution
    }

    /// Decodes and calls; the application's code has run up to its first await at most after the
    /// first poll.
    pub(super) fn begin(
        self,
        env: &Env,
        now: Now,
        settings: &NodeSettings,
        room: &mut CxRoom,
    ) -> (ExecId, RunningCode) {
        let (exec, code) = (self.exec(), self.execution.code());
        let of = name_of(env, &self.execution);
        let call = CallSite { env, now, settings, of };
        let begun =
            guarded(|| call.begin(self.execution, self.shown, room)).unwrap_or_else(|Panicked| {
                panicked(code, of);
                Pending::over(Executed::failed(code))
            });
        (exec, RunningCode { begun, code, of })
    }
}

fn name_of(env: &Env, execution: &Execution) -> &'static str {
    match execution {
        Execution::Authenticate { .. } => "",
        Execution::Command { message, .. } | Execution::Volatile { message, .. } => {
            env.message_name(*message)
        }
        Execution::Authorize { topic, .. } | Execution::Snapshot { topic, .. } => {
            env.topic_name(*topic)
        }
    }
}

fn panicked(code: Code, of: &'static str) {
    tracing::error!(?code, of, "the application's code panicked");
}

/// Who asks, by which client, in which codec, under which key.
type Asked = (Principal, Arc<Build>, Recipient, Codec, IdempotencyKey, Attempt);

/// What is there when code is called.
struct CallSite<'a> {
    env: &'a Env,
    now: Now,
    settings: &'a NodeSettings,
    of: &'static str,
}

impl CallSite<'_> {
    fn begin(&self, execution: Execution, shown: Option<Box<Shown>>, room: &mut CxRoom) -> Pending {
        let service = &self.env.service;
        match execution {
            Execution::Authenticate { token, client, .. } => {
                let shown = shown.map(|shown| *shown).unwrap_or_default();
                let credentials = shown.credentials(token, client);
                Pending::Authenticate((self.env.authenticate)(credentials))
            }
            Execution::Command {
                conn,
                lease,
                n,
                id,
                attempt,
                message,
                body,
                codec,
                principal,
                client,
                timeout_ms,
                ..
            } => {
                let key = IdempotencyKey::command(lease, n, id);
                let of = (principal, client, Recipient::Lease(lease), codec, key, attempt);
                let (cx, stage) = self.context(of, true, timeout_ms, room);
                match service.execute(message, body.as_bytes(), cx) {
                    Ok(future) => Pending::Command(future, stage),
                    Err(error) => self.unreadable(conn, &error, Executed::unreadable()),
                }
            }
            Execution::Volatile {
                exec,
                conn,
                message,
                body,
                codec,
                principal,
                client,
                timeout_ms,
            } => {
                let (key, attempt) = (IdempotencyKey::volatile(exec), Attempt::First);
                let of = (principal, client, Recipient::Connection(conn), codec, key, attempt);
                let (cx, stage) = self.context(of, false, timeout_ms, room);
                match service.volatile(message, body.as_bytes(), cx) {
                    Ok(future) => Pending::Volatile(future, stage),
                    Err(error) => self.unreadable(conn, &error, Executed::failed(Code::Volatile)),
                }
            }
            Execution::Authorize { principal, topic, key, .. } => Pending::Authorize(
                Arc::clone(service).authorize(principal, topic, key.as_ref().to_owned()),
            ),
            Execution::Snapshot { topic, key, position, codecs, .. } => {
                self.snapshot(topic, key.as_ref().to_owned(), position, codecs)
            }
        }
    }

    fn context(
        &self,
        (principal, client, sender, codec, key, attempt): Asked,
        is_command: bool,
        timeout_ms: u64,
        room: &mut CxRoom,
    ) -> (Cx, CxStage) {
        let deadline = self.env.clock.at(self.now.after_ms(timeout_ms));
        let config = Arc::clone(self.settings);
        let parts = CxParts {
            principal,
            client,
            sender,
            codec,
            key,
            attempt,
            deadline,
            config,
            is_command,
        };
        Cx::new(parts, room)
    }

    fn unreadable(&self, conn: ConnId, error: &DecodeError, executed: Executed) -> Pending {
        tracing::debug!(conn = conn.0, message = self.of, %error, "a message's body does not fit");
        Pending::over(executed)
    }

    /// Reads a topic's state, once for all codecs.
    fn snapshot(&self, topic: u16, key: String, position: Position, codecs: Vec<Codec>) -> Pending {
        let (service, of) = (Arc::clone(&self.env.service), self.of);
        let cx = TopicCx::new(position, codecs);
        Pending::Snapshot(Box::pin(async move {
            let told = service.snapshot(cx, topic, key.clone()).await;
            let log = |reason: &String| {
                tracing::error!(topic = of, key, %reason, "a topic's state can't be read");
            };
            told.inspect_err(log).ok()
        }))
    }
}

impl Pending {
    const fn over(executed: Executed) -> Self {
        Self::Over(Some(executed))
    }

    /// `None` if it can't count, for a reason that has been logged.
    fn poll_end(&mut self, cx: &mut Context<'_>, of: &'static str) -> Poll<Option<Ran>> {
        let executed = match self {
            Self::Command(future, stage) => match ready!(poll_handler(future, stage, cx)) {
                End::Left(leaving) => return Poll::Ready(self.leave(leaving, of)),
                End::Returned(outcome, published) => publications(published, of)
                    .map(|publishes| Executed::Command { outcome, publishes }),
            },
            Self::Volatile(future, stage) => match ready!(poll_handler(future, stage, cx)) {
                End::Left(leaving) => return Poll::Ready(self.leave(leaving, of)),
                End::Returned((), published) => {
                    publications(published, of).map(|publishes| Executed::Volatile { publishes })
                }
            },
            Self::Authenticate(future) => {
                Some(Executed::Authenticated(ready!(Pin::new(future).poll(cx))))
            }
            Self::Authorize(future) => {
                let answer = ready!(Pin::new(future).poll(cx));
                Some(Executed::Authorized(answer.map_err(|no| {
                    tracing::debug!(topic = of, reason = ?no, "nobody may subscribe like this");
                    no.code()
                })))
            }
            Self::Snapshot(future) => Some(Executed::Snapshot(ready!(Pin::new(future).poll(cx)))),
            Self::Over(executed) => {
                Some(executed.take().expect("nobody polls a future after its end"))
            }
        };
        Poll::Ready(executed.map(|executed| Ran { executed, left: None }))
    }

    /// The handler ends where it waits, and leaves its outcome to the store.
    fn leave(&mut self, leaving: Leaving, of: &'static str) -> Option<Ran> {
        // What the handler holds is dropped here, where a panic is its own.
        *self = Self::Over(None);
        match leaving {
            Ok(left) => Some(Ran { executed: Executed::Decides, left: Some(left) }),
            Err(reason) => {
                tracing::error!(message = of, reason, "a handler can't end in a transaction");
                None
            }
        }
    }
}

/// How a handler ended.
enum End<T> {
    /// It returned, and had published this.
    Returned(T, Result<Vec<StagedPublish>, String>),
    /// It has left its outcome to the store, whatever it returned beside that.
    Left(Leaving),
}

fn poll_handler<T>(
    future: &mut BoxFuture<T>,
    stage: &mut CxStage,
    cx: &mut Context<'_>,
) -> Poll<End<T>> {
    match Pin::new(future).poll(cx) {
        Poll::Ready(value) => {
            let Taken { published, left } = stage.take();
            Poll::Ready(left.map_or_else(|| End::Returned(value, published), End::Left))
        }
        Poll::Pending => match stage.take_left() {
            Some(leaving) => Poll::Ready(End::Left(leaving)),
            None => Poll::Pending,
        },
    }
}

/// What a handler published; `None` if it can't be.
fn publications(
    published: Result<Vec<StagedPublish>, String>,
    of: &'static str,
) -> Option<Vec<StagedPublish>> {
    published
        .inspect_err(|reason| {
            tracing::error!(message = of, reason, "a handler published what can't be");
        })
        .ok()
}

impl RunningCode {
    /// What tells a command's handler that its caller does not want it any more.
    pub(super) fn canceller(&self) -> Option<Canceller> {
        match &self.begun {
            Pending::Command(_, stage) => Some(stage.canceller()),
            _ => None,
        }
    }

    fn poll_ran(&mut self, cx: &mut Context<'_>) -> Poll<Ran> {
        let (begun, of) = (&mut self.begun, self.of);
        let failed = || Ran { executed: Executed::failed(self.code), left: None };
        match guarded(|| begun.poll_end(cx, of)) {
            Ok(end) => end.map(|end| end.unwrap_or_else(failed)),
            Err(Panicked) => {
                panicked(self.code, of);
                Poll::Ready(failed())
            }
        }
    }
}

impl Future for RunningCode {
    type Output = Ran;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ran> {
        self.poll_ran(cx)
    }
}

/// Runs to the first point where it would wait. One that ends gives its room back.
///
/// # Errors
/// The rest, if it would.
pub(super) fn first_poll(mut running: RunningCode, room: &mut CxRoom) -> Result<Ran, RunningCode> {
    // Whoever takes the rest polls it at once, so that a wake-up in between is not missed.
    match running.poll_ran(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ran) => {
            if let Pending::Command(_, stage) | Pending::Volatile(_, stage) = running.begun {
                room.give_back(stage);
            }
            Ok(ran)
        }
        Poll::Pending => Err(running),
    }
}
