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

/// The encoded fields of a message, in the attachment's codec. The protocol does not look into them
/// (PROTOCOL.md 3.5).
#[derive(Clone)]
pub struct Body(Text);

/// Names are short, and so are most replies; one of each comes with every command and is kept until
/// the client has it: most need no allocation.
#[derive(Clone)]
enum Text {
    Shared(Bytes),
    Short { len: u8, bytes: [u8; SHORT_BYTES] },
}

/// What fits beside the length without making a [`Text`] larger than [`Bytes`].
const SHORT_BYTES: usize = 23;

impl Text {
    const EMPTY: Self = Self::Short { len: 0, bytes: [0; SHORT_BYTES] };

    /// `None` if it does not fit here.
    fn short(text: &[u8]) -> Option<Self> {
        (text.len() <= SHORT_BYTES).then(|| Self::filled(text))
    }

    /// Of at most `SHORT_BYTES`.
    const fn filled(text: &[u8]) -> Self {
        let mut bytes = [0; SHORT_BYTES];
        bytes.split_at_mut(text.len()).0.copy_from_slice(text);
        Self::Short { len: text.len() as u8, bytes }
    }

    fn copied(text: &[u8]) -> Self {
        Self::short(text).unwrap_or_else(|| Self::Shared(Bytes::copy_from_slice(text)))
    }

    const fn len(&self) -> usize {
        match self {
            Self::Shared(bytes) => bytes.len(),
            Self::Short { len, .. } => *len as usize,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
        }
    }
}

// They are compared by content, however they are kept.

macro_rules! by_content {
    ($type:ty) => {
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl Eq for $type {}

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> Ordering {
                self.as_bytes().cmp(other.as_bytes())
            }
        }

        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_bytes().hash(state);
            }
        }

        impl Default for $type {
            fn default() -> Self {
                Self(Text::EMPTY)
            }
        }
    };
}

by_content!(Name);
by_content!(Body);

impl Name {
    /// No name.
    pub const EMPTY: Self = Self(Text::EMPTY);

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
        fits(name).then(|| Self(Text::copied(name)))
    }

    /// A name between quotes, copied, and what follows it. `None` if that is not what is there.
    pub(super) fn quoted(text: &[u8]) -> Option<(Self, &[u8])> {
        let text = text.strip_prefix(b"\"")?;
        let length = text.iter().position(|byte| !IN_NAMES[usize::from(*byte)])?;
        let (name, rest) = text.split_at(length);
        let fits = (1..=MAX_NAME_BYTES).contains(&length);
        Some((fits.then(|| Self(Text::copied(name)))?, rest.strip_prefix(b"\"")?))
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
        self.0.as_bytes()
    }

    /// Whether this says "no name".
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

fn fits(name: &[u8]) -> bool {
    name.len() <= MAX_NAME_BYTES && name.iter().all(|byte| IN_NAMES[usize::from(*byte)])
}

/// Which bytes a name may have.
const IN_NAMES: [bool; 256] = {
    let (mut allowed, mut byte) = ([false; 256], 0_u8);
    loop {
        allowed[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if byte == u8::MAX {
            break allowed;
        }
        byte += 1;
    }
};

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

impl Body {
    /// A body up to this length needs no allocation.
    pub(crate) const SHORT_BYTES: usize = SHORT_BYTES;

    /// The JSON body of a message without fields.
    pub const UNIT: Self = Self(Text::filled(b"{}"));

    /// The MessagePack body of a message without fields.
    pub(super) const BINARY_UNIT: Self = Self(Text::filled(&[0x80]));

    /// Copies `body`, so that no buffer is kept alive.
    #[must_use]
    pub fn copy_from(body: &[u8]) -> Self {
        Self(Text::copied(body))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The bytes, shared where they are.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Text::Shared(bytes) => bytes,
            short @ Text::Short { .. } => Bytes::copy_from_slice(short.as_bytes()),
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing at all, not even `{}`.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Text::short(&bytes).unwrap_or(Text::Shared(bytes)))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Text::short(&bytes).unwrap_or_else(|| Text::Shared(bytes.into())))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(self.as_bytes()) {
            Ok(text) if text.len() <= 200 => f.write_str(text),
            _ => write!(f, "Body({} bytes)", self.len()),
        }
    }
}
