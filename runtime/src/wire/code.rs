//! The words that stand for codes and reasons on the wire, each written and read by one table. A
//! word from a later version of the protocol is read as PROTOCOL.md says that unknown ones count.

use std::fmt;

use super::{FailureCode, RefusalCode, ResetReason, ResumeFailure, UnsubscribeCode, Verdict};

macro_rules! words {
    ($type:ty, $($value:ident = $word:literal),+; unknown = $unknown:ident) => {
        impl Word for $type {
            fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                    #[allow(unreachable_patterns, reason = "some types have a word for each value")]
                    _ => "other",
                }
            }

            fn from_word(word: &str) -> Self {
                match word {
                    $($word => Self::$value,)+
                    _ => Self::$unknown,
                }
            }
        }

        /// The word on the wire.
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

/// A value that travels as a word.
pub(super) trait Word: Copy {
    /// How it is written.
    fn word(self) -> &'static str;

    /// How it is read.
    fn from_word(word: &str) -> Self;
}

// PROTOCOL.md 5.7: "Other codes count as `internal`".
words!(
    FailureCode,
    Error = "error",
    Internal = "internal",
    Timeout = "timeout",
    Unknown = "unknown",
    IdReused = "id_reused";
    unknown = Internal
);

// PROTOCOL.md 5.10: "A code that a client does not know is terminal".
words!(
    RefusalCode,
    Draining = "draining",
    Overload = "overload",
    RateLimited = "rate_limited",
    Unsupported = "unsupported",
    Invalid = "invalid",
    TooLarge = "too_large",
    Forbidden = "forbidden",
    Expired = "expired";
    unknown = Other
);

words!(
    UnsubscribeCode,
    Forbidden = "forbidden",
    Unsupported = "unsupported",
    Duplicate = "duplicate",
    Invalid = "invalid",
    Overload = "overload",
    Internal = "internal",
    TooLarge = "too_large";
    unknown = Other
);

// Of all reasons, `epoch` promises the least about what the client already has.
words!(
    ResetReason,
    Initial = "initial",
    Trimmed = "trimmed",
    Epoch = "epoch",
    Ahead = "ahead";
    unknown = Epoch
);

words!(
    Verdict,
    Same = "same",
    Compatible = "compatible",
    ClientOutdated = "client_outdated",
    ServerOutdated = "server_outdated",
    Unknown = "unknown";
    unknown = Unknown
);

words!(
    ResumeFailure,
    Unknown = "unknown",
    Expired = "expired",
    Token = "token",
    Principal = "principal",
    NotRetained = "not_retained";
    unknown = Unknown
);
