//! Direct messages that wait for the application (PROTOCOL.md 4.16). What is thrown away, or may
//! have been lost with a session, is told in its place.

use std::collections::VecDeque;

use super::config::ClientConfig;
use crate::wire::{Body, Name};

/// What an application finds in its inbox, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Direct {
    /// A message.
    Message {
        /// Wire name.
        name: Name,
        /// Its fields.
        body: Body,
    },
    /// Here some may be missing.
    Missed(Missed),
}

/// Why direct messages may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Missed {
    /// The session was lost, and with it whatever was on its way.
    SessionLost,
    /// The application did not take them, and the oldest ones were thrown away
    /// ([`ClientConfig::inbox_messages`], [`ClientConfig::inbox_bytes`]).
    Overflow,
}

/// Never two tellings in a row, so there is one more of them than messages at most.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Inbox {
    waiting: VecDeque<Direct>,
    messages: usize,
    bytes: u64,
}

impl Inbox {
    /// Takes a message in; the oldest ones go while there are too many, but never this one.
    pub(super) fn put(&mut self, name: Name, body: Body, config: &ClientConfig) {
        self.messages += 1;
        self.bytes += body.len() as u64;
        self.waiting.push_back(Direct::Message { name, body });
        let mut thrown = false;
        while self.messages > 1
            && (self.messages > config.inbox_messages as usize
                || self.bytes > u64::from(config.inbox_bytes))
        {
            thrown |= matches!(self.take(), Some(Direct::Message { .. }));
        }
        if thrown {
            self.tell_first();
        }
    }

    /// Whatever stood first is told of by this.
    fn tell_first(&mut self) {
        if matches!(self.waiting.front(), Some(Direct::Missed(_))) {
            self.waiting.pop_front();
        }
        self.waiting.push_front(Direct::Missed(Missed::Overflow));
    }

    /// What was on its way to this client is lost.
    pub(super) fn session_lost(&mut self) {
        if !matches!(self.waiting.back(), Some(Direct::Missed(_))) {
            self.waiting.push_back(Direct::Missed(Missed::SessionLost));
        }
    }

    pub(super) fn take(&mut self) -> Option<Direct> {
        let first = self.waiting.pop_front()?;
        if let Direct::Message { body, .. } = &first {
            self.messages -= 1;
            self.bytes -= body.len() as u64;
        }
        Some(first)
    }

    /// Messages, and the bytes of their bodies.
    pub(super) const fn held(&self) -> (usize, u64) {
        (self.messages, self.bytes)
    }
}
