//! Dials, handshakes, and what follows from the end of a socket (PROTOCOL.md 4.1, 4.7 to 4.12 and
//! section 8). The connection's state changes here and nowhere else; commands and topics are not
//! looked into.

use std::sync::Arc;

use super::attachment::Attachment;
use super::refusal::HttpRefusal;
use super::router::Client;
use super::sequence::ClientSession;
use super::timer::ClientTimer;
use super::types::{ConnectionState, Event};
use crate::session::{Close, CloseCode, Now, Reaction, millis};
use crate::wire::{ClientFrame, Dial, Hello, ServerFrame, Welcome};

impl Client {
    pub(super) fn begin(&mut self, now: Now) {
        if let Some(time) = self.config.backoff.elapsed {
            self.fx.timers.set(ClientTimer::Elapsed, now.after(time));
        }
        self.dial(now);
    }

    /// Opens the next socket.
    pub(super) fn dial(&mut self, now: Now) {
        self.fx.timers.cancel(ClientTimer::Dial);
        let (dial, reason) = self.link.begin_dial();
        self.fx.timers.set(ClientTimer::Handshake, now.after(self.config.dial_timeout));
        self.set_state(self.link.shown(None));
        self.fx.event(Event::Dial { dial, reason });
    }

    pub(super) fn set_state(&mut self, state: ConnectionState) {
        if self.state != state {
            self.state = state.clone();
            self.fx.event(Event::State(state));
        }
    }

    pub(super) fn connected(&mut self, now: Now, dial: Dial, token: Option<String>) {
        if self.link.greet(dial, token) {
            self.fx.timers.set(ClientTimer::Handshake, now.after(self.config.welcome_timeout));
        }
    }

    /// The dial, or WELCOME, has taken too long.
    pub(super) fn handshake_overdue(&mut self, now: Now) {
        if let Some(what) = self.link.overdue() {
            self.abandon(now, Close::lost(what));
        }
    }

    /// HELLO, if it is what the socket waits for.
    pub(super) fn take_hello(&mut self, dial: Dial) -> Option<ClientFrame> {
        let token = self.link.take_hello(dial)?;
        Some(ClientFrame::Hello(Box::new(Hello {
            v: 1,
            protocol: self.config.protocol.clone(),
            version: self.config.version().to_owned(),
            fingerprint: self.config.contracts.fingerprint.clone(),
            token,
            instance: self.instance,
            dial,
            window: self.config.window,
            message_bytes: Some(self.config.message_bytes),
            resume: self.session.as_ref().map(ClientSession::claim),
            lease: self.lease.map(|id| self.outbox.claim(id)),
            lease_later: self.lease.is_none() && !self.wants_lease(),
        })))
    }

    /// Whether there is something to command, or a lease is to be there before (PROTOCOL.md 5.23).
    pub(super) fn wants_lease(&self) -> bool {
        self.config.lease_at_once || self.outbox.size().0 > 0
    }

    /// A frame before WELCOME, or WELCOME.
    pub(super) fn greeted(&mut self, now: Now, dial: Dial, frame: ServerFrame) {
        let asked = self.link.is_asking();
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
        self.server = Some(Arc::new(self.config.contracts.server(&welcome.server)));
        self.lease = welcome.lease_id();
        if let Some(lease) = self.lease {
            self.outbox.leased(lease, &mut self.fx);
        }
        let attachment = Attachment::new(now, dial, welcome, &self.config);
        self.fx.timers.set(ClientTimer::Heartbeat, attachment.next_look());
        self.link.attach(attachment, welcome.frame_bytes);
        self.subscriptions.attach(&mut self.fx);
        self.outbox.attached();
        self.plan_retry(now);
        self.set_state(ConnectionState::Connected { resumed: welcome.resumed, since: now });
    }

    /// The session goes on; `false` if the server can't mean it.
    fn resumed(&mut self, welcome: &Welcome) -> bool {
        let same_lease = self.lease.is_none() || self.lease == welcome.lease_id();
        let Some(session) =
            self.session.as_mut().filter(|session| session.id() == welcome.session && same_lease)
        else {
            return false;
        };
        session.resume(welcome.token, welcome.recv) && self.acknowledged(welcome.recv)
    }

    fn renewed(&mut self, welcome: &Welcome) {
        self.drop_session();
        if self.lease.is_some() && self.lease != welcome.lease_id() {
            self.outbox.lease_lost(&mut self.fx);
        }
        self.session = Some(ClientSession::new(welcome.session, welcome.token));
    }

    /// Forgets the session; the lease stays, and what the session carried is sent again under it.
    fn drop_session(&mut self) {
        if self.session.take().is_some() {
            self.outbox.session_lost();
            self.inbox.session_lost();
            self.fx.event(Event::Inbox);
        }
    }

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
        let known = self.link.was_attached();
        self.ended(now, refusal.into_close(known), asked_ms);
    }

    fn ended(&mut self, now: Now, close: Close, asked_ms: Option<u64>) {
        let was = self.link.end();
        self.detach();
        let after_ms = match &was {
            Some(attachment) => {
                self.connection_lost(now, attachment, &close);
                attachment.dial_after_ms()
            }
            None => asked_ms.filter(|_| close.reaction() == Reaction::Resume),
        };
        self.link.note(&close);
        match self.reaction(&close) {
            Reaction::Stop => return self.give_up(close),
            Reaction::NewSession => self.drop_session(),
            Reaction::RefreshCredentials | Reaction::Resume | Reaction::DropSocket => {}
        }
        if self.link.is_exhausted(&self.config) {
            return self.give_up(close);
        }
        self.wait_to_dial(now, after_ms, close.backs_off());
    }

    /// By the table; but who has a journal has its lease alone. If that was taken over, then by an
    /// earlier process of its own, of which a last HELLO was late (PROTOCOL.md 5.26).
    fn reaction(&self, close: &Close) -> Reaction {
        match close.code {
            Some(CloseCode::SUPERSEDED) if self.outbox.has_journal() => Reaction::NewSession,
            _ => close.reaction(),
        }
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
        self.link.lose(now, attachment, close, self.config.backoff.stable);
        if let Some(time) = self.config.backoff.elapsed {
            self.fx.timers.set(ClientTimer::Elapsed, now.after(time));
        }
    }

    /// Waits as long as a leaving server asked for, or else a random part of the backoff, or of its
    /// first delay.
    fn wait_to_dial(&mut self, now: Now, after_ms: Option<u64>, backs_off: bool) {
        let delay_ms = after_ms.unwrap_or_else(|| {
            let backoff = &self.config.backoff;
            let ceiling =
                if backs_off { self.link.next_ceiling(backoff) } else { backoff.ceiling(0) };
            self.random.up_to(millis(ceiling))
        });
        let until = now.after_ms(delay_ms);
        self.link.wait(until);
        self.fx.timers.set(ClientTimer::Dial, until);
        self.set_state(self.link.shown(Some(until)));
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
            let frame = ClientFrame::Ack { ack: session.recv(), low: self.outbox.low() };
            let dial = attachment.dial();
            self.link.leave_farewell(dial, frame);
        }
        self.finish(&close);
        self.set_state(ConnectionState::Closed);
    }

    fn finish(&mut self, close: &Close) {
        if let Some(dial) = self.link.dial() {
            self.fx.event(Event::CloseSocket { dial, close: close.clone() });
        }
        self.link.end();
        self.session = None;
        self.outbox.close(&mut self.fx);
        self.subscriptions.close(&mut self.fx);
        self.volatiles.clear();
        self.fx.timers.clear();
    }
}
