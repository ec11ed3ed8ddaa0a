//! Names and bodies: bytes that are shared, and compared by content. They are copies, so that none
//! of them keeps a read buffer alive.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

/// The longest name, in bytes (PROTOCOL.md 3.4).
pub const MAX_NAME_BYTES: usize = 64;

/// The wire name of a message or a topic: 1 to 64 characters of `a–z A–Z 0–9 _ . -`, or empty where
/// a frame says "no name" (PROTOCOL.md 3.4).
#[derive(Clone)]
pub struct Name(Text);

/// Names are short, and one comes with every command: most need no allocation.
#[derive(Clone)]
enum Text {
    Shared(Bytes),
    Short { len: u8, bytes: [u8; SHORT_BYTES] },
}

/// What fits beside the length without making a [`Name`] larger than [`Bytes`].
const SHORT_BYTES: usize = 23;

impl Name {
    /// No name.
    pub const EMPTY: Self = Self(Text::Short { len: 0, bytes: [0; SHORT_BYTES] });

    /// A name known at compile time; costs no allocation. `None` if it breaks the rule.
    #[must_use]
    pub fn from_static(name: &'static str) -> Option<Self> {
        Self::from_bytes(Bytes::from_static(name.as_bytes()))
    }

    /// Checks `bytes` and keeps them. `None` if they break the rule.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Option<Self> {
        fits(&bytes).then_some(Self(Text::Shared(bytes)))
    }

    /// Checks `name` and copies it, so that no buffer is kept alive. `None` if it breaks the rule.
    #[must_use]
    pub fn copy_from(name: &[u8]) -> Option<Self> {
        if !fits(name) {
            return None;
        }
        let mut bytes = [0; SHORT_BYTES];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(name);
                Some(Self(Text::Short { len, bytes }))
            }
            _ => Some(Self(Text::Shared(Bytes::copy_from_slice(name)))),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // It was checked when it was made. The fallback spares a hot path, which a peer's data
        // reaches, an `expect`.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Shared(bytes) => bytes,
            Text::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
        }
    }

    /// Whether this says "no name".
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

fn fits(name: &[u8]) -> bool {
    name.len() <= MAX_NAME_BYTES
        && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

// Names are compared by content, however they are kept.

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl Default for Name {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// The encoded fields of a message, in the attachment's codec. The protocol does not look into them
/// (PROTOCOL.md 3.5).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Body(pub Bytes);

impl Body {
    /// The JSON body of a message without fields.
    pub const UNIT: Self = Self(Bytes::from_static(b"{}"));

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing at all, not even `{}`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) if text.len() <= 200 => f.write_str(text),
            _ => write!(f, "Body({} bytes)", self.0.len()),
        }
    }
}
