//! The words that this derive knows: attributes, their keys, and names that are taken. There is no
//! logic here.

pub(crate) const WS: &str = "ws";
pub(crate) const SERDE: &str = "serde";

pub(crate) const ROLES: &[&str] = &["client", "server", "error"];

/// Keys on the enum, by role.
pub(crate) const CLIENT_KEYS: &[&str] = &[
    "protocol",
    "version",
    "server",
    "error",
    "timeout",
    "max_bytes",
    "reserved",
    "crate",
    "json_schema",
];
pub(crate) const SERVER_KEYS: &[&str] =
    &["protocol", "error", "topic", "reserved", "crate", "json_schema"];
pub(crate) const ERROR_KEYS: &[&str] = &["own_display", "crate", "json_schema"];

/// Kinds of messages, by role.
pub(crate) const CLIENT_KINDS: &[&str] = &["request", "command", "volatile"];
pub(crate) const SERVER_KINDS: &[&str] = &["event", "snapshot", "volatile", "direct", "unknown"];
pub(crate) const ERROR_KINDS: &[&str] = &["unknown"];

/// Keys beside the kind of a variant.
pub(crate) const VARIANT_KEYS: &[&str] = &["timeout", "max_bytes", "id", "keep", "method", "as"];

pub(crate) const REQUEST_KEYS: &[&str] =
    &["reply", "concurrent", "timeout", "max_bytes", "id", "keep"];
pub(crate) const COMMAND_KEYS: &[&str] = &["concurrent", "timeout", "max_bytes", "id", "keep"];
pub(crate) const VOLATILE_KEYS: &[&str] = &["latest_by", "max_bytes"];
pub(crate) const DIRECT_KEYS: &[&str] = &["max_bytes"];
pub(crate) const TOPIC_KEYS: &[&str] = &["key", "replay", "ttl", "max_bytes"];

/// What every client has: its own functions, which `generate::calls` makes, and `Clone`'s.
pub(crate) const CLIENT_METHODS: &[&str] = &[
    "builder",
    "inner",
    "subscribe",
    "handle",
    "inbox",
    "state",
    "status",
    "reconnect_now",
    "close",
    "clone",
];

/// What every handler has beside a method per message.
pub(crate) const HANDLER_METHODS: &[&str] = &["session_resumed", "session_reset"];
