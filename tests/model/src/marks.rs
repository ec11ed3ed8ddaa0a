//! What happened somewhere in an exploration: the proof that it was not about nothing. Kept beside
//! the states, because a state that remembered how it came about would be explored once per past.

use std::sync::atomic::{AtomicU64, Ordering};

/// Something that must be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mark {
    /// A session was resumed.
    Resume,
    /// A lease went on at another node process.
    Takeover,
    /// A client lost its lease.
    LeaseLoss,
    /// A drained node left.
    Drain,
    /// An application was told of a gap.
    Gap,
    /// A stored outcome was given again.
    Duplicate,
    /// A socket was closed because a newer one had replaced it.
    Replaced,
    /// A HELLO came too late to count.
    StaleDial,
    /// A handler was told that it may be a retry.
    Retry,
    /// A commit found a record.
    RecordExists,
    /// A commit came when the client had resolved its number.
    BelowLow,
    /// An outcome could not be known.
    OutcomeUnknown,
    /// A session had expired, or its node had gone.
    ResumeFailed,
    /// A command was refused for now.
    Refused,
    /// A node settled a record that another process had left.
    Settled,
    /// An application was given a snapshot.
    Snapshot,
    /// A handler was stopped because its client had its answer already.
    Aborted,
    /// A command that was accepted waited for the store.
    WaitsForStore,
    /// An operation happened after its node had been told that nobody knows.
    Late,
    /// An operation was answered before one that had been asked earlier.
    OutOfOrder,
    /// A commit found its message id taken.
    IdUsed,
    /// The store has decided an outcome.
    Decided,
    /// A cancelled command was answered without having begun.
    NeverBegan,
    /// The handler of a cancelled command was told.
    HandlerTold,
}

impl Mark {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Resume,
        Self::Takeover,
        Self::LeaseLoss,
        Self::Drain,
        Self::Gap,
        Self::Duplicate,
        Self::Replaced,
        Self::StaleDial,
        Self::Retry,
        Self::RecordExists,
        Self::BelowLow,
        Self::OutcomeUnknown,
        Self::ResumeFailed,
        Self::Refused,
        Self::Settled,
        Self::Snapshot,
        Self::Aborted,
        Self::WaitsForStore,
        Self::Late,
        Self::OutOfOrder,
        Self::IdUsed,
        Self::Decided,
        Self::NeverBegan,
        Self::HandlerTold,
    ];

    /// For reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resume => "a session resumes",
            Self::Takeover => "a lease is taken over",
            Self::LeaseLoss => "a lease is lost",
            Self::Drain => "a drain completes",
            Self::Gap => "a gap is reported",
            Self::Duplicate => "a duplicate is answered",
            Self::Replaced => "a socket is replaced",
            Self::StaleDial => "a stale dial is refused",
            Self::Retry => "a handler may be a retry",
            Self::RecordExists => "a commit finds a record",
            Self::BelowLow => "a commit comes below low",
            Self::OutcomeUnknown => "an outcome is unknown",
            Self::ResumeFailed => "a resume fails",
            Self::Refused => "a command is refused for now",
            Self::Settled => "a record is settled later",
            Self::Snapshot => "a snapshot is given",
            Self::Aborted => "a handler is stopped",
            Self::WaitsForStore => "a command waits for the store",
            Self::Late => "an operation happens late",
            Self::OutOfOrder => "an answer overtakes another",
            Self::IdUsed => "a commit finds its id used",
            Self::Decided => "the store decides an outcome",
            Self::NeverBegan => "a cancelled command never begins",
            Self::HandlerTold => "a handler hears that it is cancelled",
        }
    }
}

/// The marks of one exploration, of all its threads.
#[derive(Debug, Default)]
pub struct Marks(AtomicU64);

impl Marks {
    /// It happened.
    pub fn set(&self, mark: Mark) {
        let bit = 1 << mark as u8;
        // Most marks are set millions of times: looking first spares the other threads.
        if self.0.load(Ordering::Relaxed) & bit == 0 {
            self.0.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether it happened.
    #[must_use]
    pub fn has(&self, mark: Mark) -> bool {
        self.0.load(Ordering::Relaxed) & (1 << mark as u8) != 0
    }
}
