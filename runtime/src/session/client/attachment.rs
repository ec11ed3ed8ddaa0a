//! One socket after WELCOME, and what dies with it: the server's limits, its heartbeat, what is
//! owed to it at once. It closes nothing and knows no session.

use std::collections::VecDeque;

use super::config::ClientConfig;
use super::heartbeat::{Beat, Heart};
use crate::session::Now;
use crate::wire::{Dial, LeaseGrant, Welcome, Window};

/// Pings of a server that may wait for the socket; then the oldest goes unanswered.
const PONGS: usize = 8;

/// What belongs to one socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Attachment {
    dial: Dial,
    since: Now,
    heart: Heart,
    window: Window,
    frame_bytes: u32,
    span: u32,
    /// The lease was asked for on this socket.
    asked_for_lease: bool,
    /// GOAWAY has arrived: milliseconds between the close and the next dial.
    leaving: Option<u64>,
    /// The frame that confirms the new token is still to be sent.
    confirm: bool,
    pongs: VecDeque<u64>,
}

impl Attachment {
    pub(super) fn new(now: Now, dial: Dial, welcome: &Welcome, config: &ClientConfig) -> Self {
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
            span: welcome.lease.as_ref().map_or(0, |lease| lease.span),
            asked_for_lease: false,
            leaving: None,
            confirm: true,
            pongs: VecDeque::new(),
        }
    }

    pub(super) const fn dial(&self) -> Dial {
        self.dial
    }

    pub(super) const fn lives_since(&self) -> Now {
        self.since
    }

    pub(super) const fn window(&self) -> Window {
        self.window
    }

    /// The longest message that the server takes.
    pub(super) const fn frame_bytes(&self) -> u32 {
        self.frame_bytes
    }

    /// How far numbers may run ahead of the lowest unresolved one.
    pub(super) fn span(&self) -> u64 {
        u64::from(self.span.max(1))
    }

    // ---- lease ----

    /// Whether the lease is to be asked for: once.
    pub(super) const fn ask_for_lease(&mut self) -> bool {
        !self.is_leaving() && !std::mem::replace(&mut self.asked_for_lease, true)
    }

    /// The lease is there.
    pub(super) const fn leased(&mut self, lease: &LeaseGrant) {
        self.span = lease.span;
    }

    // ---- GOAWAY ----

    pub(super) const fn leave(&mut self, after_ms: u64) {
        self.leaving = Some(after_ms);
    }

    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// How long the server asked to wait between the end of this socket and the next dial.
    pub(super) const fn dial_after_ms(&self) -> Option<u64> {
        self.leaving
    }

    // ---- what goes before everything else ----

    pub(super) const fn take_confirmation(&mut self) -> bool {
        std::mem::replace(&mut self.confirm, false)
    }

    pub(super) fn owe_pong(&mut self, k: u64) {
        if self.pongs.len() == PONGS {
            self.pongs.pop_front();
        }
        self.pongs.push_back(k);
    }

    pub(super) fn take_pong(&mut self) -> Option<u64> {
        self.pongs.pop_front()
    }

    pub(super) fn take_ping(&mut self, now: Now) -> Option<u64> {
        self.heart.take_ping(now)
    }

    // ---- heartbeats ----

    /// A frame goes out.
    pub(super) const fn say(&mut self, now: Now) {
        self.heart.say(now);
    }

    /// When to look for life next.
    pub(super) fn next_look(&self) -> Now {
        self.heart.next()
    }

    /// Something arrived; when to look next, if that became earlier.
    pub(super) fn hear(&mut self, now: Now) -> Option<Now> {
        self.heart.hear(now).then(|| self.heart.next())
    }

    pub(super) fn look_for_life(&mut self, now: Now, pings: &mut u64) -> Beat {
        self.heart.look(now, pings)
    }

    /// The round trip that a PONG completes, in milliseconds.
    pub(super) fn ponged(&mut self, now: Now, k: u64) -> Option<u64> {
        self.heart.pong(now, k)
    }
}
