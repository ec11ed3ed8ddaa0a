//! How much a client holds, for metrics and for the proof that everything is bounded. Looks;
//! changes nothing.

use super::router::Client;

/// How full a client's buffers are; each is bounded by the setting that its line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientLoad {
    /// Commands in the outbox ([`super::ClientConfig::outbox_commands`]).
    pub outbox_commands: usize,
    /// Bytes of their bodies ([`super::ClientConfig::outbox_bytes`]).
    pub outbox_bytes: usize,
    /// Calls that wait for room in the outbox ([`super::ClientConfig::backlog_calls`]).
    pub backlog_calls: usize,
    /// Bytes of their bodies ([`super::ClientConfig::backlog_bytes`]).
    pub backlog_bytes: usize,
    /// Outcomes that the journal keeps for the application
    /// ([`super::JournalConfig::kept_outcomes`]).
    pub kept_outcomes: usize,
    /// Their bytes, and those of their commands ([`super::JournalConfig::kept_bytes`]).
    pub kept_bytes: usize,
    /// Commands that have ended, or were withdrawn, of which is told when that is saved; with those
    /// in the outbox no more than may be in there.
    pub untold: usize,
    /// Commands that the server has not acknowledged (its window, PROTOCOL.md 4.6).
    pub unacknowledged: usize,
    /// Bytes of their bodies.
    pub unacknowledged_bytes: usize,
    /// Subscriptions, with those that ended and are not yet read to their end
    /// ([`super::ClientConfig::subscriptions`]).
    pub subscriptions: usize,
    /// Items that wait in the fullest subscription ([`super::ClientConfig::credit`]).
    pub items: usize,
    /// Bytes of the messages that wait in the one with most of them.
    pub item_bytes: u64,
    /// Volatiles that wait for the socket, or in the fullest subscription
    /// ([`super::ClientConfig::volatiles`]).
    pub volatiles: usize,
    /// Bytes of their bodies where they have most, those that wait alone left out
    /// ([`super::ClientConfig::volatile_bytes`]).
    pub volatile_bytes: u64,
    /// Direct messages that wait for the application ([`super::ClientConfig::inbox_messages`]).
    pub inbox_messages: usize,
    /// Bytes of their bodies, those of one that waits alone left out
    /// ([`super::ClientConfig::inbox_bytes`]).
    pub inbox_bytes: u64,
    /// UNSUBSCRIBE frames that wait for the socket: at most one per subscription that was asked
    /// for.
    pub leaving: usize,
    /// Deadlines: at most one per command and waiting call, two per subscription, and eight.
    pub timers: usize,
}

impl Client {
    /// How much this client holds. Costs O(subscriptions).
    #[must_use]
    pub fn load(&self) -> ClientLoad {
        let (outbox_commands, outbox_bytes) = self.outbox.size();
        let (backlog_calls, backlog_bytes) = self.outbox.backlog();
        let (kept_outcomes, kept_bytes, untold) = self.outbox.journal();
        let (unacknowledged, unacknowledged_bytes) =
            self.session.as_ref().map_or((0, 0), |session| session.held());
        let fullest = self.subscriptions.fullest();
        let (volatiles, volatile_bytes) = self.volatiles.held();
        let volatile_bytes = if volatiles > 1 { volatile_bytes } else { 0 };
        let (inbox_messages, inbox_bytes) = self.inbox.held();
        ClientLoad {
            inbox_messages,
            inbox_bytes: if inbox_messages > 1 { inbox_bytes } else { 0 },
            outbox_commands,
            outbox_bytes,
            backlog_calls,
            backlog_bytes,
            kept_outcomes,
            kept_bytes,
            untold,
            unacknowledged,
            unacknowledged_bytes,
            subscriptions: self.subscriptions.count(),
            items: fullest.items,
            item_bytes: fullest.bytes,
            volatiles: fullest.volatiles.max(volatiles),
            volatile_bytes: fullest.volatile_bytes.max(volatile_bytes),
            leaving: self.subscriptions.leaving(),
            timers: self.fx.timers.count(),
        }
    }
}
