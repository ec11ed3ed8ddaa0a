//! What clients and servers of the histories say. Each command writes one event into the log of a
//! room, under the name that its caller gave it.

use steadfast::WsProtocol;

/// What clients ask for.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(client, protocol = "history", version = "1", server = HistoryEvent, timeout = "30s")]
pub enum HistoryCommand {
    /// Writes; the reply is the receipt. Whoever is killed will never know.
    #[ws(request(reply = u64))]
    Write { room: String, name: String },
    /// The same, once per name, however often and from wherever it is asked for.
    #[ws(request(reply = u64, concurrent), id = name, keep = "24h")]
    WriteOnce { room: String, name: String },
}

/// What clients see.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(server, protocol = "history", topic(Room, key = room: String, replay = 10000000, ttl = "24h"))]
pub enum HistoryEvent {
    /// A command was carried out.
    #[ws(event(Room))]
    Wrote { room: String, name: String, receipt: u64 },
    /// From another version.
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}
