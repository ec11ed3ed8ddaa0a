//! The client: what goes in and what comes out. It owns the parts, and routes between them; what
//! an input means to each is theirs.

use std::sync::Arc;
use std::time::Duration;

use super::config::ClientConfig;
use super::inbox::{Direct, Inbox};
use super::link::Link;
use super::outbox::Outbox;
use super::recovery::Recovery;
use super::refusal::HttpRefusal;
use super::sequence::ClientSession;
use super::subscriptions::Subscriptions;
use super::timer::{ClientTimer, Effects};
use super::types::{
    CallId, ConnectionState, Event, Fate, Item, SaveNo, Status, SubId, Submission, SubmitError,
    SubscribeError, SubscriptionRequest,
};
use super::volatiles::Volatiles;
use crate::session::{Build, Close, CloseCode, Now, Random, millis};
use crate::wire::{
    Body, ClientFrame, Dial, InstanceId, LeaseId, Name, ServerFrame, TopicNo, body_limit,
};

/// The client's core.
///
/// Every method that takes `&mut self` is an input, [`Client::poll_transmit`] and
/// [`Client::poll_item`] among them: each may cause events. After it [`Client::poll_output`] is
/// polled until there is none, so that nothing waits for the next input. An input may also give the
/// socket something to carry: after one from the application the driver takes frames anew.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Client {
    pub(super) config: Arc<ClientConfig>,
    pub(super) random: Random,
    pub(super) instance: InstanceId,
    pub(super) state: ConnectionState,
    pub(super) link: Link,
    /// What the last server was built from.
    pub(super) server: Option<Arc<Build>>,
    pub(super) session: Option<ClientSession>,
    pub(super) lease: Option<LeaseId>,
    pub(super) outbox: Outbox,
    pub(super) subscriptions: Subscriptions,
    pub(super) volatiles: Volatiles,
    pub(super) inbox: Inbox,
    pub(super) fx: Effects,
}

impl Client {
    /// A client that has not dialled yet. `seed` must be unguessable in production.
    #[must_use]
    pub fn new(config: Arc<ClientConfig>, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        let instance = InstanceId(random.u128());
        let outbox = Outbox::new(&config);
        Self {
            config,
            random,
            instance,
            state: ConnectionState::Disconnected,
            link: Link::new(),
            server: None,
            session: None,
            lease: None,
            outbox,
            subscriptions: Subscriptions::default(),
            volatiles: Volatiles::default(),
            inbox: Inbox::default(),
            fx: Effects::default(),
        }
    }

    /// A client with a journal, which has not dialled yet, and takes up what an earlier process left
    /// in it: a command that may have been sent is sent again under its number, the others follow.
    /// It asks by [`Event::Save`] for what it has to remember, and is told how that went.
    #[must_use]
    pub fn with_journal(config: Arc<ClientConfig>, seed: [u8; 32], recovery: &Recovery) -> Self {
        let mut client = Self::new(config, seed);
        client.lease = recovery.lease();
        client.outbox = Outbox::recovered(&client.config, recovery, &mut client.fx);
        client
    }

    /// What the server was built from, and how it fits this client, as of the last WELCOME.
    #[must_use]
    pub fn server(&self) -> Option<&Build> {
        self.server.as_deref()
    }

    /// Begins to dial. Does nothing unless the state is `Disconnected`.
    pub fn start(&mut self, now: Now) {
        if self.state == ConnectionState::Disconnected {
            self.begin(now);
        }
    }

    /// Puts a command into the outbox, or into the backlog while there is no room; its place is its
    /// order. One that waits enters the outbox by itself, and its time counts meanwhile
    /// ([`Event::Fate`] and [`Event::Resolved`] tell what comes of it).
    ///
    /// # Errors
    /// When outbox and backlog are full, the body is longer than its message, the server or the
    /// outbox allows, or the client closed or failed. Nothing was queued then.
    pub fn submit(&mut self, now: Now, command: Submission) -> Result<CallId, SubmitError> {
        if self.is_over() {
            return Err(SubmitError::Closed);
        }
        let server_limit = self.link.frame_bytes().map_or(u32::MAX, body_limit);
        let limit = command.max_bytes.min(server_limit).min(self.config.outbox_bytes);
        if command.body.len() > limit as usize {
            return Err(SubmitError::TooLarge { bytes: command.body.len(), limit });
        }
        let call = self.outbox.submit(now, command, &mut self.fx)?;
        self.plan();
        Ok(call)
    }

    /// The caller does not want a command any more. One that certainly was not executed (not sent,
    /// or refused for now) is withdrawn: `true`, and [`Event::Withdrawn`] follows, with a journal
    /// once that is saved. Of one that may have been the server is told, for as long as it is not
    /// resolved: `false`. It ends with its outcome, which is `Refused(Expired)` if it had not begun,
    /// or with [`Event::Withdrawn`] if the server refuses it for now. `false` and nothing else if it
    /// is resolved.
    pub fn cancel(&mut self, _now: Now, call: CallId) -> bool {
        // What is over leaves its journal as it is to the next process.
        !self.is_over() && self.outbox.cancel(call, &mut self.fx)
    }

    /// The caller waits so long for a command, counted from when it was submitted, in place of what
    /// was said then; [`ClientConfig::longest_timeout`] at most. If it was sent, the server goes by
    /// what it was told with it, until it is sent again. Nothing if it is resolved.
    pub fn set_timeout(&mut self, _now: Now, call: CallId, timeout: Duration) {
        let timeout = timeout.min(self.config.longest_timeout);
        if !self.is_over() {
            self.outbox.set_timeout(call, millis(timeout), &mut self.fx);
        }
    }

    /// The application is done with the outcome of a call. Until then it stays in the journal, so
    /// that a process which starts anew is told. Nothing without one.
    pub fn forget(&mut self, _now: Now, call: CallId) {
        self.outbox.forget(call, &mut self.fx);
    }

    /// Hands a volatile to the live attachment, the latest per `conflation` key; `false` (and
    /// dropped) if there is none.
    pub fn volatile(&mut self, _now: Now, name: Name, conflation: String, body: Body) -> bool {
        self.take_volatile(name, conflation, body)
    }

    /// Adds a subscription, live or as soon as there is an attachment.
    ///
    /// # Errors
    /// When there are too many, one for that topic exists, or the client is closed or failed.
    pub fn subscribe(
        &mut self,
        _now: Now,
        request: SubscriptionRequest,
    ) -> Result<SubId, SubscribeError> {
        if self.is_over() {
            return Err(SubscribeError::Closed);
        }
        self.subscriptions.add(request, &self.config)
    }

    /// The next item of a subscription. Asking says that the application has finished with the one
    /// before.
    pub fn poll_item(&mut self, now: Now, sub: SubId) -> Option<Item> {
        self.subscriptions.next_item(now, sub, &self.config, &mut self.fx)
    }

    /// Whether a position waits to be told: after [`Client::poll_item`] the driver looks for what
    /// to transmit then.
    #[must_use]
    pub fn owes_position(&self) -> bool {
        self.subscriptions.owes_position()
    }

    /// The next thing in the inbox ([`Event::Inbox`]).
    pub fn poll_inbox(&mut self) -> Option<Direct> {
        self.inbox.take()
    }

    /// Ends a subscription; its id is never used again.
    pub fn unsubscribe(&mut self, _now: Now, sub: SubId) {
        self.subscriptions.remove(sub, &mut self.fx);
    }

    /// Dials at once if the client waits to dial.
    pub fn reconnect_now(&mut self, now: Now) {
        if self.link.dials_at().is_some() {
            self.dial(now);
        }
    }

    /// Closes for good: state `Closed`, socket closed with 1000 after a last ACK; unresolved calls
    /// end as `CallOutcome::Closed { sent }`.
    pub fn close(&mut self, _now: Now) {
        if !self.is_over() {
            self.shut();
        }
    }

    // What the driver reports: anything about a dial that is not the current one is ignored.

    /// The socket of `dial` is open; `token` is what the credentials callback gave.
    pub fn handle_connected(&mut self, now: Now, dial: Dial, token: Option<String>) {
        self.connected(now, dial, token);
    }

    /// A frame arrived in a message of `message_bytes`.
    pub fn handle_frame(&mut self, now: Now, dial: Dial, frame: ServerFrame, message_bytes: usize) {
        if self.link.dial() == Some(dial) {
            self.frame_arrived(now, dial, frame, message_bytes);
        }
    }

    /// Something that is not a frame arrived (a WebSocket pong): a sign of life.
    pub fn handle_alive(&mut self, now: Now, dial: Dial) {
        if self.link.dial() == Some(dial) {
            self.heard(now);
        }
    }

    /// A message arrived that is longer than [`ClientConfig::message_bytes`], and was passed over.
    /// If it is a topic's, its subscription ends; else the socket does, with 1009 (PROTOCOL.md
    /// 2.7).
    pub fn handle_too_long(&mut self, now: Now, dial: Dial, topic: Option<TopicNo>) {
        if self.link.dial() == Some(dial) {
            self.arrived_too_long(now, topic);
        }
    }

    /// The socket of `dial` ended, or could not be opened, or spoke nonsense (`close.code` says
    /// what this end thinks of it).
    pub fn handle_closed(&mut self, now: Now, dial: Dial, close: Close) {
        if self.link.dial() == Some(dial) {
            self.socket_ended(now, close);
        }
    }

    /// The server answered the upgrade with something else than a socket; what follows is in the
    /// table of [`HttpRefusal`].
    pub fn handle_refused(&mut self, now: Now, dial: Dial, refusal: HttpRefusal) {
        if self.link.dial() == Some(dial) {
            self.upgrade_refused(now, refusal);
        }
    }

    /// Everything that was to be saved up to `no` is: a crash can't take it any more.
    pub fn handle_saved(&mut self, now: Now, no: SaveNo) {
        self.outbox.saved(no, self.is_over(), &mut self.fx);
        let low = self.outbox.low();
        if self.session.as_ref().is_some_and(|session| session.owes_ack(low)) {
            // No frame of the server will remind of it.
            self.fx.timers.set_once(ClientTimer::Ack, now.after(self.config.ack_delay));
        }
    }

    /// `no` could not be saved, and neither will be what was handed out after it, until a save
    /// replaces everything ([`super::Saving::Rewrite`]), which is tried again by itself. `undone`
    /// says that nothing of it is left where it was to be saved.
    pub fn handle_unsaved(&mut self, now: Now, no: SaveNo, undone: bool) {
        self.outbox.unsaved(now, (no, undone), self.is_over(), &mut self.fx);
    }

    /// `now` has reached [`Client::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Now) {
        for timer in self.fx.timers.due(now) {
            self.fire(now, timer);
        }
    }

    /// The next frame to write on the socket of `dial`; `None` when there is nothing, or `dial` is
    /// not the current one. A command counts as (possibly) sent from here on. Asking is an input:
    /// it causes events (a command's fate, the end of a subscription that can't be asked for) even
    /// if there is no frame, so [`Client::poll_output`] is polled after it until there is none.
    pub fn poll_transmit(&mut self, now: Now, dial: Dial) -> Option<ClientFrame> {
        if let Some(frame) = self.link.take_farewell(dial).or_else(|| self.take_hello(dial)) {
            return Some(frame);
        }
        self.link.attachment().filter(|attachment| attachment.dial() == dial)?;
        self.next_frame(now)
    }

    /// The next thing that the driver has to do or to pass on, in the core's own order. Polled
    /// until there is none after every input; the one method with `&mut self` that is no input
    /// itself.
    pub fn poll_output(&mut self) -> Option<Event> {
        self.fx.next_event()
    }

    /// When to call [`Client::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Now> {
        self.fx.timers.next()
    }

    /// The connection's state.
    #[must_use]
    pub fn state(&self) -> &ConnectionState {
        &self.state
    }

    /// What a user interface shows.
    #[must_use]
    pub fn status(&self, now: Now) -> Status {
        self.look(now)
    }

    /// A command's fate; `None` once it is resolved and reported.
    #[must_use]
    pub fn fate(&self, call: CallId) -> Option<Fate> {
        self.outbox.fate(call)
    }

    /// Commands and body bytes in the outbox.
    #[must_use]
    pub fn outbox(&self) -> (usize, usize) {
        self.outbox.size()
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    fn is_over(&self) -> bool {
        matches!(self.state, ConnectionState::Closed | ConnectionState::Failed { .. })
    }

    fn fire(&mut self, now: Now, timer: ClientTimer) {
        // An earlier one of the same moment may have ended what this one was for.
        if self.is_over() {
            return;
        }
        match timer {
            ClientTimer::Dial if self.link.dials_at().is_some() => self.dial(now),
            ClientTimer::Handshake => self.handshake_overdue(now),
            ClientTimer::Elapsed => {
                self.give_up(Close::lost("there was no connection for too long"))
            }
            ClientTimer::Drain if self.link.attachment().is_some() => {
                self.abandon(now, Close::new(CloseCode::DRAINING, "the server did not close"))
            }
            ClientTimer::Heartbeat => self.look_for_life(now),
            ClientTimer::Ack => {
                if let Some(session) = &mut self.session {
                    session.ack_overdue();
                }
            }
            ClientTimer::Save => self.outbox.rewrite(&mut self.fx),
            ClientTimer::Call(call) => self.outbox.expired(call, &mut self.fx),
            ClientTimer::Subscribe(sub) => self.subscriptions.retry(sub),
            ClientTimer::Position(sub) => self.subscriptions.tell_position(sub),
            // `poll_transmit` finds what may be sent again; what belonged to an earlier socket is
            // void.
            ClientTimer::Retry | ClientTimer::Dial | ClientTimer::Drain => {}
        }
    }
}
