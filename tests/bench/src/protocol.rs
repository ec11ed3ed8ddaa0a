//! What both servers speak about. `steadfast` derives its protocol from the enums, and `raw` sends
//! the same structs as bare JSON.

use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;

/// The answer to a post.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Posted {
    pub id: u64,
}

/// The answer to a fetch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page {
    pub text: String,
}

/// What a client may ask.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(client, protocol = "bench", version = "1.0", server = BenchEvent, timeout = "10s")]
pub enum BenchCommand {
    /// Rows P1 and P2.
    #[ws(request(reply = Posted))]
    Post { room: u64, text: String, ts: u64 },
    /// Row P5: publishes so many events, back to back.
    #[ws(command)]
    Burst { events: u32, text: String },
    /// Row P6: a reply of so many bytes.
    #[ws(request(reply = Page))]
    Fetch { bytes: u32 },
}

/// What a client is told.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(server, protocol = "bench", topic(Feed, key = feed: u64, replay = 64, ttl = "10m"))]
pub enum BenchEvent {
    /// Row P5.
    #[ws(event(Feed))]
    Ticked { feed: u64, text: String },
    /// From a later version.
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

/// The feed that everybody follows.
pub const FEED: u64 = 1;

/// A text that makes an event's body exactly `length` bytes long.
pub fn event_text(length: usize) -> String {
    let empty = BenchEventTicked { feed: FEED, text: String::new() };
    let frame = serde_json::to_string(&empty).map_or(0, |json| json.len());
    "e".repeat(length.saturating_sub(frame))
}
