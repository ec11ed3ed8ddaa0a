//! The link: which socket is the current one, where it stands, and how those before it ended
//! (PROTOCOL.md 4.1 and section 8). What follows from that is not decided here.

use std::time::Duration;

use super::attachment::Attachment;
use super::config::{Backoff, ClientConfig};
use super::heartbeat::Beat;
use super::types::{ConnectionState, DialReason};
use crate::session::{Close, CloseCode, Now, Reaction};
use crate::wire::{ClientFrame, Dial};

/// Where the current socket stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum LinkPhase {
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

/// Everything about sockets that outlives one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Link {
    phase: LinkPhase,
    last_dial: Dial,
    /// Since the last connection that was stable.
    dials: u32,
    delays: u32,
    sequence_errors: u32,
    /// Sockets that ended over a message of nobody knows which subscription.
    too_large: u32,
    /// Sockets that were closed because another process took over.
    takeovers: u32,
    /// Since the last WELCOME.
    credential_refusals: u32,
    /// When the last connection was lost, and why the last socket ended.
    lost: Option<(Now, Close)>,
    reason: DialReason,
    /// A last frame for a socket that this end is closing.
    farewell: Option<(Dial, ClientFrame)>,
    pings: u64,
    latency_ms: Option<u64>,
    /// The longest message of the last server that said so.
    frame_bytes: Option<u32>,
}

impl Link {
    pub(super) const fn new() -> Self {
        Self {
            phase: LinkPhase::Idle,
            last_dial: Dial::ZERO,
            dials: 0,
            delays: 0,
            sequence_errors: 0,
            too_large: 0,
            takeovers: 0,
            credential_refusals: 0,
            lost: None,
            reason: DialReason::First,
            farewell: None,
            pings: 0,
            latency_ms: None,
            frame_bytes: None,
        }
    }

    // What begins.

    /// Opens the next socket; why, for whoever asks for credentials.
    pub(super) fn begin_dial(&mut self) -> (Dial, DialReason) {
        self.last_dial = self.last_dial.next();
        self.dials = self.dials.saturating_add(1);
        self.phase = LinkPhase::Dialing { dial: self.last_dial };
        (self.last_dial, std::mem::replace(&mut self.reason, DialReason::Reconnect))
    }

    /// The socket of `dial` is open; whether it is the one that was being opened.
    pub(super) fn greet(&mut self, dial: Dial, token: Option<String>) -> bool {
        let expected = self.phase == (LinkPhase::Dialing { dial });
        if expected {
            self.phase = LinkPhase::Greeting { dial, token, hello_sent: false };
        }
        expected
    }

    /// The token for HELLO, if HELLO is what the socket waits for.
    pub(super) fn take_hello(&mut self, dial: Dial) -> Option<Option<String>> {
        let LinkPhase::Greeting { dial: current, token, hello_sent } = &mut self.phase else {
            return None;
        };
        let due = *current == dial && !std::mem::replace(hello_sent, true);
        due.then(|| token.take())
    }

    /// Whether HELLO was sent, and nothing that answers it has come.
    pub(super) const fn is_asking(&self) -> bool {
        matches!(self.phase, LinkPhase::Greeting { hello_sent: true, .. })
    }

    /// WELCOME has arrived.
    pub(super) fn attach(&mut self, attachment: Attachment, frame_bytes: u32) {
        self.credential_refusals = 0;
        self.lost = None;
        self.frame_bytes = Some(frame_bytes);
        self.phase = LinkPhase::Attached(Box::new(attachment));
    }

    // What ends.

    /// What the handshake has waited for too long, if there is one.
    pub(super) const fn overdue(&self) -> Option<&'static str> {
        match self.phase {
            LinkPhase::Dialing { .. } => Some("the dial took too long"),
            LinkPhase::Greeting { .. } => Some("there was no WELCOME in time"),
            LinkPhase::Idle | LinkPhase::Waiting { .. } | LinkPhase::Attached(_) => None,
        }
    }

    /// There is no socket; what was attached to it.
    pub(super) fn end(&mut self) -> Option<Box<Attachment>> {
        match std::mem::replace(&mut self.phase, LinkPhase::Idle) {
            LinkPhase::Attached(attachment) => Some(attachment),
            _ => None,
        }
    }

    /// A connection ended. One that was stable makes up for the failures before it.
    pub(super) fn lose(
        &mut self,
        now: Now,
        attachment: &Attachment,
        close: &Close,
        stable: Duration,
    ) {
        self.lost = Some((now, close.clone()));
        if attachment.lives_since().after(stable) <= now {
            self.dials = 0;
            self.delays = 0;
            self.sequence_errors = 0;
            self.too_large = 0;
            self.takeovers = 0;
        }
    }

    /// Counts how a socket ended, and keeps it to be shown.
    pub(super) fn note(&mut self, close: &Close) {
        if let Some((_, reason)) = &mut self.lost {
            *reason = close.clone();
        }
        if close.reaction() == Reaction::RefreshCredentials {
            self.reason = DialReason::Refused;
            self.credential_refusals += 1;
        }
        if close.code == Some(CloseCode::SEQUENCE) {
            self.sequence_errors += 1;
        }
        if close.code == Some(CloseCode::SUPERSEDED) {
            self.takeovers += 1;
        }
        if close.is_too_large_for_client() {
            self.too_large += 1;
        }
    }

    /// Whether it has failed as often as it may.
    pub(super) fn is_exhausted(&self, config: &ClientConfig) -> bool {
        self.credential_refusals >= config.credential_refusals.max(1)
            || self.sequence_errors >= config.sequence_errors.max(1)
            || self.too_large >= config.too_large_messages.max(1)
            || self.takeovers >= config.journal.takeovers.max(1)
            || config.backoff.attempts.is_some_and(|most| self.dials >= most.max(1))
    }

    /// The longest delay before the next dial; the one after that may be longer.
    pub(super) fn next_ceiling(&mut self, backoff: &Backoff) -> Duration {
        let ceiling = backoff.ceiling(self.delays);
        self.delays = self.delays.saturating_add(1);
        ceiling
    }

    pub(super) fn wait(&mut self, until: Now) {
        self.phase = LinkPhase::Waiting { until };
    }

    pub(super) fn leave_farewell(&mut self, dial: Dial, frame: ClientFrame) {
        self.farewell = Some((dial, frame));
    }

    // What it shows.

    /// The state while there is no attachment: the dial under way, or the one at `next_dial`.
    pub(super) fn shown(&self, next_dial: Option<Now>) -> ConnectionState {
        let attempt = self.dials.saturating_add(u32::from(next_dial.is_some()));
        match &self.lost {
            Some((since, reason)) => ConnectionState::Reconnecting {
                attempt,
                next_dial,
                since: *since,
                reason: reason.clone(),
            },
            None => ConnectionState::Connecting { attempt },
        }
    }

    /// The current socket, open or about to be.
    pub(super) const fn dial(&self) -> Option<Dial> {
        match &self.phase {
            LinkPhase::Idle | LinkPhase::Waiting { .. } => None,
            LinkPhase::Dialing { dial } | LinkPhase::Greeting { dial, .. } => Some(*dial),
            LinkPhase::Attached(attachment) => Some(attachment.dial()),
        }
    }

    pub(super) fn attachment(&self) -> Option<&Attachment> {
        match &self.phase {
            LinkPhase::Attached(attachment) => Some(attachment),
            _ => None,
        }
    }

    pub(super) fn attachment_mut(&mut self) -> Option<&mut Attachment> {
        match &mut self.phase {
            LinkPhase::Attached(attachment) => Some(attachment),
            _ => None,
        }
    }

    /// When the next dial begins, if one is waited for.
    pub(super) const fn dials_at(&self) -> Option<Now> {
        match self.phase {
            LinkPhase::Waiting { until } => Some(until),
            _ => None,
        }
    }

    /// Whether there ever was a WELCOME.
    pub(super) const fn was_attached(&self) -> bool {
        self.frame_bytes.is_some()
    }

    /// The longest message of the last server that said so.
    pub(super) const fn frame_bytes(&self) -> Option<u32> {
        self.frame_bytes
    }

    /// The last measured round trip of a heartbeat.
    pub(super) const fn latency_ms(&self) -> Option<u64> {
        self.latency_ms
    }

    /// Looks whether the server is alive, if there is an attachment.
    pub(super) fn look_for_life(&mut self, now: Now) -> Option<Beat> {
        let LinkPhase::Attached(attachment) = &mut self.phase else { return None };
        Some(attachment.look_for_life(now, &mut self.pings))
    }

    pub(super) fn ponged(&mut self, now: Now, k: u64) {
        // A PONG that nobody asked for measures nothing (PROTOCOL.md 9.2).
        if let Some(ms) = self.attachment_mut().and_then(|attachment| attachment.ponged(now, k)) {
            self.latency_ms = Some(ms);
        }
    }

    pub(super) fn take_farewell(&mut self, dial: Dial) -> Option<ClientFrame> {
        self.farewell.take_if(|(of, _)| *of == dial).map(|(_, frame)| frame)
    }
}
