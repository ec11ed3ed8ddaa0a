//! Every limit of a client, with its unit in its name.

use crate::wire::{Codec, Window};

/// The longest wait that a server's `retry_ms` brings about, in milliseconds (PROTOCOL.md 5.10).
pub(super) const RETRY_CAP_MS: u64 = 60_000;

/// Settings of a client's core; see each field for its default's reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientConfig {
    /// Name of the application's protocol.
    pub protocol: String,
    /// Its version.
    pub version: String,
    /// What the socket speaks.
    pub codec: Codec,
    /// Sequenced frames and bytes that the server may have under way: 256 frames, 256 KiB.
    pub window: Window,
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
    /// Milliseconds after which a command that was never sent is given up, wherever it waits: 10
    /// min. Reported as never executed.
    pub outbox_age_ms: u64,
    /// Subscriptions at a time: 256.
    pub subscriptions: u32,
    /// Events and bytes that may wait in a subscription for the application: 256 events, 256 KiB.
    pub credit: Window,
    /// Volatile messages that may wait, per subscription and for sending; the oldest is dropped:
    /// 64.
    pub volatiles: u32,
    /// When to dial again.
    pub backoff: Backoff,
    /// Milliseconds for credentials, name resolution, TCP, TLS and upgrade together: 10 s.
    pub dial_timeout_ms: u64,
    /// The longest wait, in milliseconds, that a server may ask for by `Retry-After` when it refuses
    /// the upgrade: 5 min. Beyond that a mistaken proxy would keep a client away from a server that
    /// has long come back; below it a server that is restored step by step may spread its clients.
    pub retry_after_cap_ms: u64,
    /// Milliseconds from HELLO to WELCOME: 10 s.
    pub welcome_timeout_ms: u64,
    /// Refused credentials in a row after which the client fails: 3.
    pub credential_refusals: u32,
    /// Sequence errors in a row after which the client fails: 3.
    pub sequence_errors: u32,
    /// Unacknowledged frames after which an ACK goes out alone: 32 (PROTOCOL.md 4.5).
    pub ack_frames: u32,
    /// Milliseconds after which an ACK goes out alone: 250 (PROTOCOL.md 4.5).
    pub ack_ms: u64,
    /// Milliseconds after which a position goes out that is not yet due by count: 200.
    pub position_ms: u64,
}

/// Delays between dials: exponential, capped, then full jitter (each delay is uniform between 0 and
/// the cap of its attempt).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// Upper end of the first delay in milliseconds: 1 s. The first retry is jittered too.
    pub base_ms: u64,
    /// No delay is longer: 30 s.
    pub cap_ms: u64,
    /// Dials in a row without a stable connection after which the client fails; `None`: never. 20.
    pub attempts: Option<u32>,
    /// Milliseconds without a connection after which the client fails; `None`: never. 10 min.
    pub elapsed_ms: Option<u64>,
    /// Milliseconds that a connection must have lived for the attempts to count from 0 again: 5 s.
    pub stable_ms: u64,
}

impl Backoff {
    /// Upper end of the delay after so many delays in a row, in milliseconds.
    #[must_use]
    pub fn ceiling_ms(&self, delays: u32) -> u64 {
        let factor = 1_u64.checked_shl(delays).unwrap_or(u64::MAX);
        self.base_ms.saturating_mul(factor).min(self.cap_ms)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base_ms: 1_000,
            cap_ms: 30_000,
            attempts: Some(20),
            elapsed_ms: Some(600_000),
            stable_ms: 5_000,
        }
    }
}

impl ClientConfig {
    /// The defaults, for a protocol.
    #[must_use]
    pub fn new(protocol: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            protocol: protocol.into(),
            version: version.into(),
            codec: Codec::Json,
            window: Window { frames: 256, bytes: 256 * 1024 },
            outbox_commands: 1024,
            outbox_bytes: 4 * 1024 * 1024,
            backlog_calls: 1024,
            backlog_bytes: 4 * 1024 * 1024,
            outbox_age_ms: 600_000,
            subscriptions: 256,
            credit: Window { frames: 256, bytes: 256 * 1024 },
            volatiles: 64,
            backoff: Backoff::default(),
            dial_timeout_ms: 10_000,
            retry_after_cap_ms: 300_000,
            welcome_timeout_ms: 10_000,
            credential_refusals: 3,
            sequence_errors: 3,
            ack_frames: 32,
            ack_ms: 250,
            position_ms: 200,
        }
    }
}
