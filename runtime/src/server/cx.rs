//! What a handler is given: who asks, the idempotency key, and a place to publish. Nothing is sent
//! from here: that happens when the command's record is committed (PROTOCOL.md 5.6).

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use crate::host;
use crate::protocol::{Direct, Publish};
use crate::session::Build;
use crate::session::node::{Attempt, ExecId, Principal, Recipient, StagedPublish};
use crate::session::store::MessageId;
use crate::wire::{Codec, CommandNo, LeaseId, Position};

use super::publication::Staged;
use super::settings::NodeSettings;
use super::transacts::Left;
use super::wanted::Wanted;

/// The context of one command or volatile.
#[derive(Debug)]
pub struct Cx {
    state: Arc<CxState>,
}

/// What the handler's side and the driver's side of a context share.
#[derive(Debug)]
struct CxState {
    parts: CxParts,
    trace: Mutex<Trace>,
}

/// What a handler has left behind so far.
#[derive(Debug, Default)]
struct Trace {
    staged: Staged,
    left: Option<Leaving>,
    wanted: Wanted,
}

/// What a handler leaves its outcome to, or why it can't.
pub(super) type Leaving = Result<Left, String>;

/// How a handler has ended.
pub(super) struct Taken {
    /// What it published, or why something could not be.
    pub(super) published: Result<Vec<StagedPublish>, String>,
    /// What its outcome is left to.
    pub(super) left: Option<Leaving>,
}

/// The driver's side of a [`Cx`]: takes what was published once the handler has ended.
#[derive(Debug)]
pub(super) struct CxStage(Arc<CxState>);

/// The driver's way to tell the handler of a command that goes on.
#[derive(Debug, Clone)]
pub(super) struct Canceller(Arc<CxState>);

/// Room for a [`Cx`], which the commands of a turn use one after another.
#[derive(Debug, Default)]
pub(super) struct CxRoom(Option<Arc<CxState>>);

impl CxRoom {
    /// Of a handler that has ended.
    pub(super) fn give_back(&mut self, stage: CxStage) {
        self.0 = Some(stage.0);
    }

    fn fill(&mut self, state: CxState) -> Arc<CxState> {
        let Some(mut room) = self.0.take() else { return Arc::new(state) };
        match Arc::get_mut(&mut room) {
            Some(free) => {
                *free = state;
                room
            }
            // Whatever the handler has begun keeps its context.
            None => Arc::new(state),
        }
    }
}

/// What a [`Cx`] is made of.
#[derive(Debug)]
pub(super) struct CxParts {
    pub(super) principal: Principal,
    pub(super) client: Arc<Build>,
    pub(super) sender: Recipient,
    pub(super) codec: Codec,
    pub(super) key: IdempotencyKey,
    pub(super) attempt: Attempt,
    pub(super) deadline: Instant,
    pub(super) config: NodeSettings,
    /// Whether what happens here has a record.
    pub(super) is_command: bool,
}

impl Cx {
    pub(super) fn new(parts: CxParts, room: &mut CxRoom) -> (Self, CxStage) {
        let state = room.fill(CxState { parts, trace: Mutex::default() });
        (Self { state: Arc::clone(&state) }, CxStage(state))
    }

    /// Who asks, as the authentication hook found.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.state.parts.principal
    }

    /// What the client was built from: its version, its contract's fingerprint, and how it fits this
    /// server (PROTOCOL.md 4.18, 4.19). Of a command it is the client that holds its lease when the
    /// command begins.
    #[must_use]
    pub fn client(&self) -> &Build {
        &self.state.parts.client
    }

    /// The same for every execution of this command, and of no other one: for effects outside of
    /// this context, such as a row in the application's own database, that must happen once
    /// (PROTOCOL.md 5.2). A message with an id has the same key wherever the id comes from: another
    /// device, a client that was installed anew. A volatile has a key of its own each time.
    #[must_use]
    pub fn idempotency_key(&self) -> IdempotencyKey {
        self.state.parts.key.clone()
    }

    /// Whether this command may have run before without leaving a record (a server that died in the
    /// middle). Of a message with an id that can't be excluded: another device may have sent it.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.state.parts.attempt
    }

    /// When the handler is dropped at the latest, and the command ends with `timeout` (PROTOCOL.md
    /// 5.7).
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.state.parts.deadline
    }

    /// What is left until [`Cx::deadline`].
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.state.parts.deadline.saturating_duration_since(host::instant())
    }

    /// Publishes an event or a volatile, if and when this command succeeds: an event is committed
    /// together with the reply, in the order of calls (PROTOCOL.md 5.6), a volatile goes out
    /// afterwards. Nothing is published if the handler returns an error, panics, or runs out of
    /// time.
    ///
    /// A message that can't be encoded, is too long for its topic, or exceeds
    /// `NodeConfig::publishes_per_command` or `NodeConfig::publish_bytes_per_command` makes the
    /// whole command fail with `internal`, with a line in the log; the handler goes on unaware.
    ///
    #[cfg_attr(feature = "derive", doc = "```")]
    #[cfg_attr(not(feature = "derive"), doc = "```ignore")]
    /// # use steadfast::{UnknownMessage, WsProtocol};
    /// # #[derive(Debug, Clone, WsProtocol)]
    /// # #[ws(server, protocol = "chat", topic(Room, key = room: u32, replay = 100, ttl = "10m"))]
    /// # pub enum ChatEvent {
    /// #     #[ws(event(Room))]
    /// #     Posted { room: u32, text: String },
    /// #     #[ws(unknown)]
    /// #     Unknown(UnknownMessage),
    /// # }
    /// # #[derive(Debug)]
    /// # pub enum ChatError {
    /// #     Empty,
    /// # }
    /// # use steadfast::server::Cx;
    /// async fn post(cx: &Cx, room: u32, text: String) -> Result<(), ChatError> {
    ///     cx.publish(ChatEventPosted { room, text: text.clone() });
    ///     // An error takes back what was published: nobody sees an empty post.
    ///     if text.is_empty() { Err(ChatError::Empty) } else { Ok(()) }
    /// }
    /// ```
    pub fn publish<P: Publish>(&self, message: P) {
        self.trace().staged.publish(&self.state.parts.config, &message);
    }

    /// Who sent this command or volatile, as a recipient: the client, whatever socket it has by
    /// then. The sender of a volatile is found while the connection that it came on lives.
    #[must_use]
    pub fn sender(&self) -> Recipient {
        self.state.parts.sender.clone()
    }

    /// Sends a message to a session or to all sessions of a principal, if and when this command
    /// succeeds, before its reply. Nothing is sent if the handler returns an error, panics, or runs
    /// out of time.
    ///
    /// Unlike an event it is stored nowhere. Whoever is connected gets it once, in order, across
    /// reconnects; it is lost with its session, of which its client is told, and with a server that
    /// dies before it is on its way. What must not be lost is an event. Sessions that have
    /// [`NodeConfig::directs_per_session`](super::NodeConfig::directs_per_session) waiting do not
    /// get it.
    ///
    /// A message that can't be encoded, is longer than it declares, or exceeds
    /// `NodeConfig::publishes_per_command` or `NodeConfig::publish_bytes_per_command` with what was
    /// published makes the whole command fail with `internal`, with a line in the log.
    ///
    #[cfg_attr(feature = "derive", doc = "```")]
    #[cfg_attr(not(feature = "derive"), doc = "```ignore")]
    /// # use steadfast::{UnknownMessage, WsProtocol};
    /// # #[derive(Debug, Clone, WsProtocol)]
    /// # #[ws(server, protocol = "chat")]
    /// # pub enum ChatEvent {
    /// #     #[ws(direct)]
    /// #     Nudged { by: String },
    /// #     #[ws(unknown)]
    /// #     Unknown(UnknownMessage),
    /// # }
    /// # use std::convert::Infallible;
    /// use steadfast::server::{Cx, Recipient};
    ///
    /// async fn nudge(cx: &Cx, whom: String) -> Result<(), Infallible> {
    ///     let by = cx.principal().user().to_owned();
    ///     cx.send_to(&Recipient::principal(whom), ChatEventNudged { by });
    ///     Ok(())
    /// }
    /// ```
    pub fn send_to<M: Direct>(&self, to: &Recipient, message: M) {
        self.trace().staged.send(&self.state.parts.config, to, &message);
    }

    /// Whether the caller has cancelled this command since it began (`Call::cancel`). A hint: the
    /// command goes on, and whatever the handler ends with is the outcome that the caller is told.
    /// What it published is committed if it returns `Ok`. Never in a volatile's handler.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.trace().wanted.is_cancelled()
    }

    /// Waits until the caller cancels this command, for ever if it does not: something to `select!`
    /// against what takes long. See [`Cx::is_cancelled`] for what that means.
    ///
    /// ```
    /// # use steadfast::server::Cx;
    /// # async fn build_report() -> String { String::new() }
    /// # enum ReportError { GivenUp }
    /// async fn report(cx: &Cx) -> Result<String, ReportError> {
    ///     tokio::select! {
    ///         report = build_report() => Ok(report),
    ///         () = cx.cancelled() => Err(ReportError::GivenUp),
    ///     }
    /// }
    /// ```
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn cancelled(&self) {
        std::future::poll_fn(|cx| self.trace().wanted.poll_cancelled(cx.waker())).await;
    }

    /// What this command has published so far. It does not count as published any more.
    pub(super) fn take_published(&self) -> Result<Vec<StagedPublish>, String> {
        self.trace().staged.take()
    }

    /// The handler ends here, and leaves its outcome to somebody else.
    pub(super) fn leave(&self, leaving: Leaving) {
        self.trace().left = Some(leaving);
    }

    /// Whether what happens here has a record.
    pub(super) fn is_command(&self) -> bool {
        self.state.parts.is_command
    }

    pub(super) fn settings(&self) -> &NodeSettings {
        &self.state.parts.config
    }

    fn trace(&self) -> MutexGuard<'_, Trace> {
        self.state.trace()
    }

    /// How bodies of this connection are encoded. Generated code asks; a handler need not.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.state.parts.codec
    }
}

impl CxStage {
    /// What the handler has left behind at its end.
    pub(super) fn take(&mut self) -> Taken {
        // Only whatever the handler has begun may still have the context.
        match Arc::get_mut(&mut self.0) {
            Some(state) => state.trace.get_mut().unwrap_or_else(PoisonError::into_inner).take(),
            None => self.0.trace().take(),
        }
    }

    /// What tells the handler that its caller does not want the command any more.
    pub(super) fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.0))
    }

    /// What was published so far, which stays.
    #[cfg(feature = "test")]
    pub(super) fn look(&self) -> Result<Vec<StagedPublish>, String> {
        self.0.trace().staged.look()
    }

    /// What a handler that has not ended leaves its outcome to, if it does.
    pub(super) fn take_left(&mut self) -> Option<Leaving> {
        self.0.trace().left.take()
    }
}

impl CxState {
    fn trace(&self) -> MutexGuard<'_, Trace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Canceller {
    /// Tells the handler, outside of the engine's lock.
    pub(super) fn cancel(&self) {
        let waiting = self.0.trace().wanted.cancel();
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Trace {
    fn take(&mut self) -> Taken {
        Taken { published: self.staged.take(), left: self.left.take() }
    }
}

/// Names one command for ever: its lease and its number, shown as `<lease>/<n>`; or, where its
/// message declares an id, its message, principal and id, shown as `<message>/"<user>"/"<id>"`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(KeyOf);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum KeyOf {
    Command(LeaseId, CommandNo),
    /// Shared, because each use is a copy.
    Id(Arc<MessageId>),
    Volatile(ExecId),
}

impl IdempotencyKey {
    pub(super) fn command(lease: LeaseId, n: CommandNo, id: Option<Box<MessageId>>) -> Self {
        Self(id.map_or(KeyOf::Command(lease, n), |id| KeyOf::Id(id.into())))
    }

    pub(super) const fn volatile(exec: ExecId) -> Self {
        Self(KeyOf::Volatile(exec))
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            KeyOf::Command(lease, n) => write!(f, "{lease}/{n}"),
            // Quoted, so that no two of them look the same.
            KeyOf::Id(id) => write!(f, "{}/{:?}/{:?}", id.message.as_str(), id.principal, id.text),
            KeyOf::Volatile(exec) => write!(f, "volatile/{}", exec.0),
        }
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({self})")
    }
}

/// The context of a snapshot hook.
#[derive(Debug)]
pub struct TopicCx {
    position: Position,
    codecs: Vec<Codec>,
}

impl TopicCx {
    pub(super) const fn new(position: Position, codecs: Vec<Codec>) -> Self {
        Self { position, codecs }
    }

    /// What the state must contain at least: every event up to here (PROTOCOL.md 7.5). It may
    /// contain more.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// How the state is to be encoded: once in each of these. Generated code asks; a hook need not.
    #[must_use]
    pub fn codecs(&self) -> &[Codec] {
        &self.codecs
    }
}
