//! A newtype for every id and sequence on the wire, with its text form. Two kinds never mix in
//! arithmetic or comparison.

use std::fmt;

/// The largest number that may travel: what any JSON parser reads exactly (PROTOCOL.md 1.6).
pub const MAX_SEQUENCE: u64 = (1 << 53) - 1;

macro_rules! sequence {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// "None yet": below the first one.
            pub const ZERO: Self = Self(0);

            /// The one after this.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

sequence!(
    /// A session sequence: numbers sequenced frames per session and direction (PROTOCOL.md 4.2).
    Seq
);
sequence!(
    /// The number of a command within its lease (PROTOCOL.md 5.2).
    CommandNo
);
sequence!(
    /// A topic sequence: numbers the events of one epoch of a topic (PROTOCOL.md 7.1).
    TopicSeq
);
sequence!(
    /// The short number by which a server process calls a topic on the wire (PROTOCOL.md 7.4).
    TopicNo
);
sequence!(
    /// The number by which a client calls one of its subscriptions (PROTOCOL.md 7.3).
    SubNo
);
sequence!(
    /// Counts the sockets that one client process has opened (PROTOCOL.md 4.9).
    Dial
);
sequence!(
    /// Counts the attachments of a session (PROTOCOL.md 1.2).
    Gen
);

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident($int:ty, $digits:literal)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl $name {
            /// Reads the text form; `None` for anything but the right number of lower-case
            /// hexadecimal digits.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                if text.len() != $digits || !text.bytes().all(lower) {
                    return None;
                }
                <$int>::from_str_radix(text, 16).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $digits, "x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                const EXPECTED: &str =
                    concat!("expected ", $digits, " lower-case hexadecimal digits");
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom(EXPECTED))
            }
        }
    };
}

hex_id!(
    /// Names a session (PROTOCOL.md 1.2).
    SessionId(u128, 32)
);
hex_id!(
    /// Names a lease (PROTOCOL.md 1.3).
    LeaseId(u128, 32)
);
hex_id!(
    /// Names one client process (PROTOCOL.md 4.9).
    InstanceId(u128, 32)
);
hex_id!(
    /// What changes when a topic's log can't be proven to be the same (PROTOCOL.md 7.1).
    Epoch(u64, 16)
);

/// The secret that proves the right to resume a session (PROTOCOL.md 4.8). Never printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResumeToken(pub u128);

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeToken(…)")
    }
}

/// A place in a topic that outlives sessions, sockets and processes (PROTOCOL.md 1.4). A client may
/// store it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// The epoch in which `ts` counts.
    pub epoch: Epoch,
    /// The topic sequence; everything up to here is finished with.
    pub ts: TopicSeq,
}
