//! Every limit of a client. Decides nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::session::Contracts;
use crate::wire::{Codec, Window};

/// The longest wait that a server's `retry_ms` brings about, in milliseconds (PROTOCOL.md 5.10).
pub(super) const RETRY_CAP_MS: u64 = 60_000;

/// Settings of a client's core; see each field for its default's reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ClientConfig {
    pub(super) protocol: String,
    /// The contract that the server is told of, and earlier ones by which it is judged: none.
    pub contracts: Contracts,
    /// What the socket speaks.
    pub codec: Codec,
    /// Sequenced frames and bytes that the server may have under way: 256 frames, 256 KiB.
    pub window: Window,
    /// The longest message that this client takes, in bytes, as the server is told (PROTOCOL.md
    /// 2.6): 16 MiB. The tokio client's builder sets it to
    /// [`TransportConfig::message_bytes`](crate::client::TransportConfig::message_bytes).
    pub message_bytes: u32,
    /// Commands that the outbox holds, and those that may be under way without an acknowledgement:
    /// 1024.
    pub outbox_commands: u32,
    /// Body bytes that the outbox holds, and those that may be under way: 4 MiB.
    pub outbox_bytes: u32,
    /// Calls that may wait, in their order, while the outbox has no room; what is beyond ends at
    /// once, and with 0 every call does that finds the outbox full: 1024.
    pub backlog_calls: u32,
    /// Body bytes of the calls that may wait: 4 MiB, like the outbox itself.
    pub backlog_bytes: u32,
    /// Time after which a command that was never sent is given up, wherever it waits: 10 min.
    /// Reported as never executed.
    pub outbox_age: Duration,
    /// The longest timeout that a single call is given (`Call::timeout`); a longer one counts as
    /// this: 24 h.
    pub longest_timeout: Duration,
    /// Whether a lease is asked for with every HELLO: false. Without it a client that has nothing to
    /// command costs its server's store nothing, and its first command waits for one more round
    /// trip; clients for which that matters ask at once.
    pub lease_at_once: bool,
    /// Subscriptions at a time: 256.
    pub subscriptions: u32,
    /// Events and bytes that may wait in a subscription for the application: 256 events, 256 KiB.
    pub credit: Window,
    /// Volatile messages that may wait, per subscription and for sending; the oldest is dropped:
    /// 64.
    pub volatiles: u32,
    /// What is saved beyond the process, for a client with a journal.
    pub journal: JournalConfig,
    /// Bytes of their bodies; the same, but the latest one is kept however long it is: 256 KiB.
    pub volatile_bytes: u32,
    /// Direct messages that may wait for the application, of which the oldest is thrown away: 256,
    /// as many as a server may have on its way.
    pub inbox_messages: u32,
    /// Bytes of their bodies; the same, but the latest one is kept however long it is: 256 KiB.
    pub inbox_bytes: u32,
    /// When to dial again.
    pub backoff: Backoff,
    /// Time for credentials, name resolution, TCP, TLS and upgrade together: 10 s.
    pub dial_timeout: Duration,
    /// The longest wait that a server may ask for by `Retry-After` when it refuses the upgrade: 5
    /// min. Beyond that a mistaken proxy would keep a client away from a server that has long come
    /// back; below it a server that is restored step by step may spread its clients.
    pub retry_after_cap: Duration,
    /// Time from HELLO to WELCOME: 10 s.
    pub welcome_timeout: Duration,
    /// Refused credentials in a row after which the client fails: 3.
    pub credential_refusals: u32,
    /// Sequence errors in a row after which the client fails: 3.
    pub sequence_errors: u32,
    /// Messages in a row that were longer than [`ClientConfig::message_bytes`], and of which it
    /// could not be told whose they are, after which the client fails: 3 (PROTOCOL.md 2.7).
    pub too_large_messages: u32,
    /// Unacknowledged frames after which an ACK goes out alone: 32 (PROTOCOL.md 4.5).
    pub ack_frames: u32,
    /// Time after which an ACK goes out alone: 250 ms (PROTOCOL.md 4.5).
    pub ack_delay: Duration,
    /// Time after which a position goes out that is not yet due by count: 200 ms.
    pub position_delay: Duration,
}

/// Limits of what a client saves beyond its process. The commands in it are those of the outbox, and
/// bounded with them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct JournalConfig {
    /// Outcomes that stay saved until the application lets go of them: 1024. Of more the oldest is
    /// forgotten, of which the application was told.
    pub kept_outcomes: u32,
    /// Bytes of those outcomes and their commands: 4 MiB.
    pub kept_bytes: u32,
    /// Bytes that are added, beside as many as there were, before all is written anew: 1 MiB.
    pub slack_bytes: u32,
    /// Time between one that failed and the next try: 1 s.
    pub retry: Duration,
    /// Sockets in a row that the server closed because another process took the lease over, after
    /// which the client fails: 3 (PROTOCOL.md 5.26). An earlier process may do that once, if what it
    /// said last is late; more often it is a copy of the journal.
    pub takeovers: u32,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            kept_outcomes: 1024,
            kept_bytes: 4 * 1024 * 1024,
            slack_bytes: 1024 * 1024,
            retry: Duration::from_secs(1),
            takeovers: 3,
        }
    }
}

/// Delays between dials: exponential, capped, then full jitter (each delay is uniform between 0 and
/// the cap of its attempt).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Backoff {
    /// Upper end of the first delay: 1 s. The first retry is jittered too.
    pub base: Duration,
    /// No delay is longer: 30 s.
    pub cap: Duration,
    /// Dials in a row without a stable connection after which the client fails; `None`: never. 20.
    pub attempts: Option<u32>,
    /// Time without a connection after which the client fails; `None`: never. 10 min.
    pub elapsed: Option<Duration>,
    /// For how long a connection must have lived for the attempts to count from 0 again: 5 s.
    pub stable: Duration,
}

impl Backoff {
    /// Upper end of the delay after so many delays in a row.
    #[must_use]
    pub fn ceiling(&self, delays: u32) -> Duration {
        let factor = 1_u32.checked_shl(delays).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(30),
            attempts: Some(20),
            elapsed: Some(Duration::from_secs(600)),
            stable: Duration::from_secs(5),
        }
    }
}

impl ClientConfig {
    /// The defaults, for a protocol.
    #[must_use]
    pub fn new(protocol: impl Into<String>, version: impl Into<Arc<str>>) -> Self {
        Self {
            protocol: protocol.into(),
            contracts: Contracts::new(version),
            codec: Codec::Json,
            window: Window { frames: 256, bytes: 256 * 1024 },
            message_bytes: 16 * 1024 * 1024,
            outbox_commands: 1024,
            outbox_bytes: 4 * 1024 * 1024,
            backlog_calls: 1024,
            backlog_bytes: 4 * 1024 * 1024,
            outbox_age: Duration::from_secs(600),
            longest_timeout: Duration::from_secs(24 * 3600),
            lease_at_once: false,
            subscriptions: 256,
            credit: Window { frames: 256, bytes: 256 * 1024 },
            volatiles: 64,
            journal: JournalConfig::default(),
            volatile_bytes: 256 * 1024,
            inbox_messages: 256,
            inbox_bytes: 256 * 1024,
            backoff: Backoff::default(),
            dial_timeout: Duration::from_secs(10),
            retry_after_cap: Duration::from_secs(300),
            welcome_timeout: Duration::from_secs(10),
            credential_refusals: 3,
            sequence_errors: 3,
            too_large_messages: 3,
            ack_frames: 32,
            ack_delay: Duration::from_millis(250),
            position_delay: Duration::from_millis(200),
        }
    }

    /// Name of the application's protocol.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.contracts.version
    }
}
