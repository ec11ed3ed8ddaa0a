//! The description of a protocol: `'static`, `Copy` and serializable, read from the types, as in
//! `ChatCommand::DESCRIPTION`. It says what was declared; it decides nothing at run time.

use serde::Serialize;

/// How long a handler may take, in milliseconds, unless its message or enum says otherwise.
pub const DEFAULT_TIMEOUT_MS: u64 = 10_000;

/// The longest body, in bytes, unless the message, its enum or its topic says otherwise.
pub const DEFAULT_MAX_BYTES: u32 = 64 * 1024;

/// How many events a topic retains, unless it says otherwise.
pub const DEFAULT_REPLAY: u32 = 256;

/// How long a topic retains an event, in milliseconds, unless it says otherwise.
pub const DEFAULT_TTL_MS: u64 = 600_000;

/// The messages that clients send.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ClientEnum {
    /// Name of the protocol; equal to its server enum's.
    pub protocol: &'static str,
    /// The version that is sent in HELLO (PROTOCOL.md 4.1).
    pub version: &'static str,
    /// Name of the Rust enum.
    pub rust_name: &'static str,
    /// Its doc comment.
    pub docs: &'static str,
    /// Its messages. The runtime calls a message by its index here.
    pub messages: &'static [Message],
    /// Wire names that may not come back.
    pub reserved: &'static [&'static str],
}

impl ClientEnum {
    /// A client enum without anything; stands in for one that did not compile.
    pub const EMPTY: Self =
        Self { protocol: "", version: "", rust_name: "", docs: "", messages: &[], reserved: &[] };
}

/// The messages that a server sends.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ServerEnum {
    /// Name of the protocol; equal to its client enum's.
    pub protocol: &'static str,
    /// Name of the Rust enum.
    pub rust_name: &'static str,
    /// Its doc comment.
    pub docs: &'static str,
    /// Its topics. The runtime calls a topic by its index here.
    pub topics: &'static [Topic],
    /// Its messages.
    pub messages: &'static [Message],
    /// Wire names that may not come back.
    pub reserved: &'static [&'static str],
}

impl ServerEnum {
    /// An empty server enum, in place of one that did not compile.
    pub const EMPTY: Self =
        Self { protocol: "", rust_name: "", docs: "", topics: &[], messages: &[], reserved: &[] };
}

/// The errors with which an application answers commands.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ErrorEnum {
    /// Name of the Rust enum.
    pub rust_name: &'static str,
    /// Its doc comment.
    pub docs: &'static str,
    /// Its errors.
    pub messages: &'static [Message],
}

impl ErrorEnum {
    /// An empty error enum, in place of one that did not compile.
    pub const EMPTY: Self = Self { rust_name: "", docs: "", messages: &[] };
}

/// One message. Variants marked `#[ws(unknown)]` are not listed: they have no wire name.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Message {
    /// Wire name (PROTOCOL.md 3.4); what is sent.
    pub name: &'static str,
    /// Other names by which it is understood.
    pub aliases: &'static [&'static str],
    /// Name of the Rust variant.
    pub rust_name: &'static str,
    /// Its doc comment.
    pub docs: &'static str,
    /// The note of `#[deprecated]`, empty if it has none.
    pub deprecated: Option<&'static str>,
    /// How it is delivered.
    pub kind: Kind,
    /// The application's own id of it, if it declares one (PROTOCOL.md 5.20).
    pub id: Option<MessageId>,
    /// Its fields. Those of a newtype variant are not known here.
    pub fields: &'static [Field],
    /// The user's own type, for a newtype variant.
    pub payload: Option<&'static str>,
    /// JSON Schema of its body.
    #[cfg(feature = "schema")]
    #[serde(skip)]
    pub json_schema: Option<Describe>,
    /// JSON Schema of its reply.
    #[cfg(feature = "schema")]
    #[serde(skip)]
    pub reply_json_schema: Option<Describe>,
}

/// What schemars makes of a type.
#[cfg(feature = "schema")]
pub type Describe = fn(&mut schemars::SchemaGenerator) -> schemars::Schema;

impl Message {
    /// What a description starts from: generated code names only what differs.
    pub const EMPTY: Self = Self {
        name: "",
        aliases: &[],
        rust_name: "",
        docs: "",
        deprecated: None,
        kind: Kind::Error,
        id: None,
        fields: &[],
        payload: None,
        #[cfg(feature = "schema")]
        json_schema: None,
        #[cfg(feature = "schema")]
        reply_json_schema: None,
    };

    /// Whether `name` is its wire name or an alias.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// How a message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Client to server: numbered, answered with a reply.
    Request {
        /// The reply's Rust type.
        reply: &'static str,
        /// Whether it waits for lower-numbered ordered commands (PROTOCOL.md 5.5).
        ordered: bool,
        /// Milliseconds for its handler.
        timeout_ms: u64,
        /// The longest body, in bytes.
        max_bytes: u32,
    },
    /// Client to server: numbered, answered without a value.
    Command {
        /// Whether it waits for lower-numbered ordered commands (PROTOCOL.md 5.5).
        ordered: bool,
        /// Milliseconds for its handler.
        timeout_ms: u64,
        /// The longest body, in bytes.
        max_bytes: u32,
    },
    /// Client to server: may be lost (PROTOCOL.md 5.16).
    ClientVolatile {
        /// Fields by which a later one replaces one that still waits; by kind alone if empty.
        latest_by: &'static [&'static str],
        /// Milliseconds for its handler.
        timeout_ms: u64,
        /// The longest body, in bytes.
        max_bytes: u32,
    },
    /// Server to client: numbered by its topic.
    Event {
        /// Index of its topic.
        topic: u16,
    },
    /// Server to client: a topic's state.
    Snapshot {
        /// Index of its topic.
        topic: u16,
    },
    /// Server to client: of a topic, may be lost (PROTOCOL.md 7.11).
    TopicVolatile {
        /// Index of its topic.
        topic: u16,
        /// Fields by which a later one replaces one that still waits; by kind alone if empty.
        latest_by: &'static [&'static str],
    },
    /// Server to client: to one session or principal, outside of topics (PROTOCOL.md 4.16).
    Direct {
        /// The longest body, in bytes.
        max_bytes: u32,
    },
    /// An application error.
    Error,
}

/// The application's own id of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MessageId {
    /// The field that has it.
    pub field: &'static str,
    /// Milliseconds for which it is kept after the first outcome.
    pub keep_ms: u64,
}

/// A declared topic.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Topic {
    /// Wire name.
    pub name: &'static str,
    /// Name of the Rust key type.
    pub rust_name: &'static str,
    /// The field that every message of the topic has.
    pub key_field: &'static str,
    /// That field's Rust type.
    pub key_type: &'static str,
    /// How many events are retained.
    pub replay: u32,
    /// How long an event is retained, in milliseconds.
    pub ttl_ms: u64,
    /// Whether there is a snapshot message.
    pub has_snapshot: bool,
    /// The longest body of its events, in bytes.
    pub max_bytes: u32,
    /// JSON Schema of its key.
    #[cfg(feature = "schema")]
    #[serde(skip)]
    pub key_json_schema: Option<Describe>,
    /// Never named, so that there is always something to take from `EMPTY`.
    #[doc(hidden)]
    #[serde(skip)]
    pub more: (),
}

impl Topic {
    /// What a description starts from: generated code names only what differs.
    pub const EMPTY: Self = Self {
        name: "",
        rust_name: "",
        key_field: "",
        key_type: "",
        replay: DEFAULT_REPLAY,
        ttl_ms: DEFAULT_TTL_MS,
        has_snapshot: false,
        max_bytes: DEFAULT_MAX_BYTES,
        #[cfg(feature = "schema")]
        key_json_schema: None,
        more: (),
    };
}

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Name on the wire; what is written.
    pub name: &'static str,
    /// Other names by which it is read.
    pub aliases: &'static [&'static str],
    /// Name in Rust.
    pub rust_name: &'static str,
    /// Type in Rust, as written.
    pub ty: &'static str,
    /// What writes and reads it in place of its type: the path in `#[serde(with = "..")]`.
    pub with: Option<&'static str>,
    /// Whether a reader can do without it, as serde has it: it has `#[serde(default)]`, or is an
    /// `Option` that nothing else reads.
    pub optional: bool,
    /// Its doc comment.
    pub docs: &'static str,
    /// Never named, so that there is always something to take from `EMPTY`.
    #[doc(hidden)]
    #[serde(skip)]
    pub more: (),
}

impl Field {
    /// What a description starts from: generated code names only what differs.
    pub const EMPTY: Self = Self {
        name: "",
        aliases: &[],
        rust_name: "",
        ty: "",
        with: None,
        optional: false,
        docs: "",
        more: (),
    };
}
