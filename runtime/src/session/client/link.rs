//! Dials, handshakes, and what follows from the end of a socket (PROTOCOL.md 4.1, 4.7 to 4.12 and
//! section 8). Owns the connection's state; refuses to look into commands and topics.

use std::collections::VecDeque;

use super::heartbeat::Heart;
use super::sequence::Session;
use super::timer::ClientTimer;
use super::{Client, ClientConfig, ConnectionState, DialReason, Event, HttpRefusal};
use crate::session::{Close, CloseCode, Now, Reaction, millis};
use crate::wire::{ClientFrame, Dial, Hello, Resume, ServerFrame, Welcome, Window};

/// Pings of a server that may wait for the socket; then the oldest goes unanswered.
const PONGS: usize = 8;

/// Where the current socket stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// No socket, and none to come unless somebody asks.
    Idle,
    /// The next dial has its time.
    Waiting { until: Now },
    /// A socket is being opened.
    Dialing { dial: Dial },
    /// It is open; WELCOME has not arrived.
    Greeting { dial: Dial, token: Option<String>, hello_sent: bool },
    /// WELCOME has arrived.
    Attached(Box<Attachment>),
}

/// What belongs to one socket and dies with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Attachment {
    pub(super) dial: Dial,
    since: Now,
    pub(super) heart: Heart,
    pub(super) window: Window,
    pub(super) frame_bytes: u32,
    pub(super) span: u32,
    /// GOAWAY has arrived: milliseconds between the close and the next dial.
    pub(super) draining: Option<u64>,
    /// The frame that confirms the new token is still to be sent.
    pub(super) confirm: bool,
    pub(super) pongs: VecDeque<u64>,
}

/// Everything about sockets that outlives one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Link {
    pub(super) phase: Phase,
    last_dial: Dial,
    /// Since the last connection that was stable.
    dials: u32,
    delays: u32,
    sequence_errors: u32,
    /// Since the last WELCOME.
    credential_refusals: u32,
    /// When the last connection was lost, and why the last socket ended.
    lost: Option<(Now, Close)>,
    reason: DialReason,
    /// A last frame for a socket that this end is closing.
    farewell: Option<(Dial, ClientFrame)>,
    pub(super) pings: u64,
    pub(super) latency_ms: Option<u64>,
    /// The longest message of the last server that said so.
    pub(super) frame_bytes: Option<u32>,
}

impl Link {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            last_dial: Dial::ZERO,
            dials: 0,
            delays: 0,
            sequence_errors: 0,
            credential_refusals: 0,
            lost: None,
            reason: DialReason::First,
            farewell: None,
            pings: 0,
            latency_ms: None,
            frame_bytes: None,
        }
    }

    /// The current socket, open or about to be.
    pub(super) const fn dial(&self) -> Option<Dial> {
        match &self.phase {
            Phase::Idle | Phase::Waiting { .. } => None,
            Phase::Dialing { dial } | Phase::Greeting { dial, .. } => Some(*dial),
            Phase::Attached(attachment) => Some(attachment.dial),
        }
    }

    pub(super) fn attachment(&self) -> Option<&Attachment> {
        match &self.phase {
            Phase::Attached(attachment) => Some(attachment),
            _ => None,
        }
    }

    pub(super) fn attachment_mut(&mut self) -> Option<&mut Attachment> {
        match &mut self.phase {
            Phase::Attached(attachment) => Some(attachment),
            _ => None,
        }
    }

    pub(super) fn take_farewell(&mut self, dial: Dial) -> Option<ClientFrame> {
        self.farewell.take_if(|(of, _)| *of == dial).map(|(_, frame)| frame)
    }
}

impl Attachment {
    fn new(now: Now, dial: Dial, welcome: &Welcome, config: &ClientConfig) -> Self {
        // What is under way is kept, answered or not: no server decides alone how much that is.
        let window = Window {
            frames: welcome.window.frames.min(config.outbox_commands),
            bytes: welcome.window.bytes.min(config.outbox_bytes),
        };
        Self {
            dial,
            since: now,
            heart: Heart::new(now, &welcome.heartbeat),
            window,
            frame_bytes: welcome.frame_bytes,
            span: welcome.lease.span,
            draining: None,
            confirm: true,
            pongs: VecDeque::new(),
        }
    }

    pub(super) fn owe_pong(&mut self, k: u64) {
        if self.pongs.len() == PONGS {
            self.pongs.pop_front();
        }
        self.pongs.push_back(k);
    }
}

impl Client {
    // ---- dialling ----

    pub(super) fn begin(&mut self, now: Now) {
        if let Some(time) = self.config.backoff.elapsed {
            self.fx.timers.set(ClientTimer::Elapsed, now.after(time));
        }
        self.dial(now);
    }

    /// Opens the next socket.
    pub(super) fn dial(&mut self, now: Now) {
        self.fx.timers.cancel(ClientTimer::Dial);
        self.link.last_dial = self.link.last_dial.next();
        self.link.dials = self.link.dials.saturating_add(1);
        let dial = self.link.last_dial;
        self.link.phase = Phase::Dialing { dial };
        self.fx.timers.set(ClientTimer::Handshake, now.after(self.config.dial_timeout));
        self.show_attempt(self.link.dials, None);
        let reason = std::mem::replace(&mut self.link.reason, DialReason::Reconnect);
        self.fx.event(Event::Dial { dial, reason });
    }

    fn show_attempt(&mut self, attempt: u32, next_dial: Option<Now>) {
        let state = match &self.link.lost {
            Some((since, reason)) => ConnectionState::Reconnecting {
                attempt,
                next_dial,
                since: *since,
                reason: reason.clone(),
            },
            None => ConnectionState::Connecting { attempt },
        };
        self.set_state(state);
    }

    pub(super) fn set_state(&mut self, state: ConnectionState) {
        if self.state != state {
            self.state = state.clone();
            self.fx.event(Event::State(state));
        }
    }

    pub(super) fn connected(&mut self, now: Now, dial: Dial, token: Option<String>) {
        if self.link.phase == (Phase::Dialing { dial }) {
            self.link.phase = Phase::Greeting { dial, token, hello_sent: false };
            self.fx.timers.set(ClientTimer::Handshake, now.after(self.config.welcome_timeout));
        }
    }

    /// The dial, or WELCOME, has taken too long.
    pub(super) fn handshake_overdue(&mut self, now: Now) {
        match self.link.phase {
            Phase::Dialing { .. } => self.abandon(now, Close::lost("the dial took too long")),
            Phase::Greeting { .. } => {
                self.abandon(now, Close::lost("there was no WELCOME in time"))
            }
            Phase::Idle | Phase::Waiting { .. } | Phase::Attached(_) => {}
        }
    }

    /// HELLO, if it is what the socket waits for.
    pub(super) fn take_hello(&mut self, dial: Dial) -> Option<ClientFrame> {
        let Phase::Greeting { dial: current, token, hello_sent } = &mut self.link.phase else {
            return None;
        };
        if *current != dial || std::mem::replace(hello_sent, true) {
            return None;
        }
        Some(ClientFrame::Hello(Box::new(Hello {
            v: 1,
            protocol: self.config.protocol.clone(),
            version: self.config.version.clone(),
            token: token.take(),
            instance: self.instance,
            dial,
            window: self.config.window,
            resume: self.session.as_ref().map(|session| Resume {
                session: session.id,
                token: session.token,
                recv: session.recv,
            }),
            lease: self.lease.map(|id| self.outbox.claim(id)),
        })))
    }

    // ---- the handshake ----

    /// A frame before WELCOME, or WELCOME.
    pub(super) fn greeted(&mut self, now: Now, dial: Dial, frame: ServerFrame) {
        let asked = matches!(self.link.phase, Phase::Greeting { hello_sent: true, .. });
        match frame {
            ServerFrame::Welcome(welcome) if asked => self.welcomed(now, dial, &welcome),
            ServerFrame::ResumeFailed { .. } if asked && self.session.is_some() => {
                self.drop_session()
            }
            ServerFrame::Ping { .. } | ServerFrame::Pong { .. } | ServerFrame::Ignored { .. } => {}
            _ => self.violated(now, "a frame before WELCOME"),
        }
    }

    fn welcomed(&mut self, now: Now, dial: Dial, welcome: &Welcome) {
        let continued = match welcome.resumed {
            true => self.resumed(welcome),
            false => {
                self.renewed(welcome);
                true
            }
        };
        if !continued {
            return self.violated(now, "WELCOME resumes what it can't");
        }
        self.fx.timers.cancel(ClientTimer::Handshake);
        self.fx.timers.cancel(ClientTimer::Elapsed);
        self.lease = Some(welcome.lease.id);
        self.link.credential_refusals = 0;
        self.link.lost = None;
        self.link.frame_bytes = Some(welcome.frame_bytes);
        let attachment = Attachment::new(now, dial, welcome, &self.config);
        self.fx.timers.set(ClientTimer::Heartbeat, attachment.heart.next());
        self.link.phase = Phase::Attached(Box::new(attachment));
        self.subscriptions.attach(&mut self.fx);
        self.plan_retry(now);
        self.set_state(ConnectionState::Connected { resumed: welcome.resumed, since: now });
    }

    /// The session goes on; `false` if the server can't mean it.
    fn resumed(&mut self, welcome: &Welcome) -> bool {
        let same_lease = self.lease == Some(welcome.lease.id);
        let Some(session) =
            self.session.as_mut().filter(|session| session.id == welcome.session && same_lease)
        else {
            return false;
        };
        session.resume(welcome.token, welcome.recv) && self.acknowledged(welcome.recv)
    }

    fn renewed(&mut self, welcome: &Welcome) {
        self.drop_session();
        if self.lease.is_some_and(|lease| lease != welcome.lease.id) {
            self.outbox.lease_lost(&mut self.fx);
        }
        self.session = Some(Session::new(welcome.session, welcome.token));
    }

    /// Forgets the session; the lease stays, and what the session carried is sent again under it.
    fn drop_session(&mut self) {
        if self.session.take().is_some() {
            self.outbox.session_lost();
        }
    }

    // ---- the end of a socket ----

    /// The server broke a rule of sequences: this end closes.
    pub(super) fn violated(&mut self, now: Now, what: &'static str) {
        self.abandon(now, Close::new(CloseCode::SEQUENCE, what));
    }

    /// Closes the current socket and goes on as if it had been lost with this close.
    pub(super) fn abandon(&mut self, now: Now, close: Close) {
        if let Some(dial) = self.link.dial() {
            self.fx.event(Event::CloseSocket { dial, close: close.clone() });
        }
        self.socket_ended(now, close);
    }

    /// Reacts by the table of PROTOCOL.md 8.1.
    pub(super) fn socket_ended(&mut self, now: Now, close: Close) {
        self.ended(now, close, None);
    }

    /// The server answered the upgrade with something else; see the table of [`HttpRefusal`].
    pub(super) fn upgrade_refused(&mut self, now: Now, refusal: HttpRefusal) {
        let asked_ms = refusal.retry_after_ms.map(|ms| {
            // Everybody who heard the same comes at another moment.
            let spread_ms = self.random.up_to(millis(self.config.backoff.base));
            ms.min(millis(self.config.retry_after_cap)).saturating_add(spread_ms)
        });
        // Whoever was connected once has a lease, and never lets go of it.
        let known = self.lease.is_some();
        self.ended(now, refusal.into_close(known), asked_ms);
    }

    fn ended(&mut self, now: Now, close: Close, asked_ms: Option<u64>) {
        let was = std::mem::replace(&mut self.link.phase, Phase::Idle);
        self.detach();
        let after_ms = match &was {
            Phase::Attached(attachment) => {
                self.connection_lost(now, attachment, &close);
                attachment.draining
            }
            _ => asked_ms,
        };
        if let Some((_, reason)) = &mut self.link.lost {
            *reason = close.clone();
        }
        match close.reaction() {
            Reaction::Stop => return self.give_up(close),
            Reaction::NewSession => self.drop_session(),
            Reaction::RefreshCredentials => {
                self.link.reason = DialReason::Refused;
                self.link.credential_refusals += 1;
            }
            Reaction::Resume | Reaction::DropSocket => {}
        }
        if close.code == Some(CloseCode::SEQUENCE) {
            self.link.sequence_errors += 1;
        }
        if self.exhausted() {
            return self.give_up(close);
        }
        self.wait_to_dial(now, after_ms.filter(|_| close.reaction() == Reaction::Resume));
    }

    fn detach(&mut self) {
        for timer in [
            ClientTimer::Handshake,
            ClientTimer::Heartbeat,
            ClientTimer::Ack,
            ClientTimer::Retry,
            ClientTimer::Drain,
        ] {
            self.fx.timers.cancel(timer);
        }
        self.subscriptions.detach(&mut self.fx);
        self.volatiles.clear();
    }

    fn connection_lost(&mut self, now: Now, attachment: &Attachment, close: &Close) {
        self.link.lost = Some((now, close.clone()));
        if let Some(time) = self.config.backoff.elapsed {
            self.fx.timers.set(ClientTimer::Elapsed, now.after(time));
        }
        if attachment.since.after(self.config.backoff.stable) <= now {
            self.link.dials = 0;
            self.link.delays = 0;
            self.link.sequence_errors = 0;
        }
    }

    fn exhausted(&self) -> bool {
        self.link.credential_refusals >= self.config.credential_refusals.max(1)
            || self.link.sequence_errors >= self.config.sequence_errors.max(1)
            || self.config.backoff.attempts.is_some_and(|most| self.link.dials >= most.max(1))
    }

    /// Waits as long as a leaving server asked for, or else a random part of the backoff.
    fn wait_to_dial(&mut self, now: Now, after_ms: Option<u64>) {
        let delay_ms = after_ms.unwrap_or_else(|| {
            let ceiling = self.config.backoff.ceiling(self.link.delays);
            self.link.delays = self.link.delays.saturating_add(1);
            self.random.up_to(millis(ceiling))
        });
        let until = now.after_ms(delay_ms);
        self.link.phase = Phase::Waiting { until };
        self.fx.timers.set(ClientTimer::Dial, until);
        self.show_attempt(self.link.dials.saturating_add(1), Some(until));
    }

    /// Stops for good because nothing else is left.
    pub(super) fn give_up(&mut self, reason: Close) {
        self.finish(&reason);
        self.set_state(ConnectionState::Failed { reason });
    }

    /// Stops for good because the application says so.
    pub(super) fn shut(&mut self) {
        let close = Close::new(CloseCode::NORMAL, "closed by the client");
        if let (Some(attachment), Some(session)) = (self.link.attachment(), &self.session) {
            let frame = ClientFrame::Ack { ack: session.recv, low: self.outbox.low() };
            self.link.farewell = Some((attachment.dial, frame));
        }
        self.finish(&close);
        self.set_state(ConnectionState::Closed);
    }

    fn finish(&mut self, close: &Close) {
        if let Some(dial) = self.link.dial() {
            self.fx.event(Event::CloseSocket { dial, close: close.clone() });
        }
        self.link.phase = Phase::Idle;
        self.session = None;
        self.outbox.close(&mut self.fx);
        self.subscriptions.close(&mut self.fx);
        self.volatiles.clear();
        self.fx.timers.clear();
    }
}
