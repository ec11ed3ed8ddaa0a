//! What the chat says, in two enums, and what can go wrong, in a third. Everything else of the
//! protocol is derived from them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;

/// A room's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct RoomId(pub String);

/// A person's name, as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct UserId(pub String);

/// A message's id, which is never used again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct MessageId(pub String);

/// A message in a room's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatMessage {
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub from: UserId,
    /// What they wrote.
    pub text: String,
}

/// Somebody who has written or read something in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// How many messages of the room's history they have not read.
    pub unread: u32,
}

/// What a chat client may say.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(
    client,
    protocol = "chat",
    version = "1.0",
    server = ChatEvent,
    error = ChatError,
    timeout = "10s",
    json_schema
)]
pub enum ChatCommand {
    /// Post a message to a room. However long it waits for a connection, it is to be posted.
    #[ws(request(reply = MessageId), max_bytes = "16KiB", timeout = "24h")]
    Post {
        /// In which room.
        room: RoomId,
        /// What it says.
        text: String,
    },

    /// Everything up to this message has been read.
    #[ws(command, max_bytes = "1KiB")]
    MarkRead {
        /// In which room.
        room: RoomId,
        /// The last message that was read.
        upto: MessageId,
    },

    /// The id of the latest message in a room, if there is one: whoever has been shown that one has
    /// missed nothing.
    #[ws(request(reply = Option<MessageId>))]
    Latest {
        /// In which room.
        room: RoomId,
    },

    /// Who has been here, and how far they have read.
    #[ws(request(reply = Vec<Member>))]
    Members {
        /// In which room.
        room: RoomId,
    },

    /// Shown while somebody is typing. It is lost when offline, and nobody minds.
    #[ws(volatile(latest_by = room))]
    Typing {
        /// In which room.
        room: RoomId,
    },
}

/// What the server tells its clients.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(
    server,
    protocol = "chat",
    error = ChatError,
    json_schema,
    topic(Room, key = room: RoomId, replay = 500, ttl = "30d"),
    topic(Reading, key = room: RoomId, replay = 1000, ttl = "30d"),
)]
pub enum ChatEvent {
    /// Somebody has posted a message.
    #[ws(event(Room))]
    Posted {
        /// In which room.
        room: RoomId,
        /// The message's id.
        id: MessageId,
        /// Who wrote it.
        from: UserId,
        /// What they wrote.
        text: String,
    },

    /// The latest messages of a room, oldest first.
    #[ws(snapshot(Room))]
    History {
        /// Of which room.
        room: RoomId,
        /// The messages.
        messages: Vec<ChatMessage>,
    },

    /// Somebody has read everything up to a message. It has a topic of its own, so that nobody is
    /// told who does not ask.
    #[ws(event(Reading))]
    Read {
        /// In which room.
        room: RoomId,
        /// Who has read.
        who: UserId,
        /// The last message that was read.
        upto: MessageId,
    },

    /// Somebody is typing.
    #[ws(volatile(Room, latest_by = who))]
    Typing {
        /// In which room.
        room: RoomId,
        /// Who is typing.
        who: UserId,
    },

    /// From a newer server.
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

/// Why the server does not do what it was asked to.
#[derive(Debug, Clone, PartialEq, WsProtocol)]
#[ws(error, json_schema)]
pub enum ChatError {
    /// There is nothing in the message.
    Empty,
    /// The name of a room has 1 to 64 characters.
    BadRoomName,
    /// The server can't look it up at the moment.
    NotNow,
    /// From a newer server.
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[cfg(test)]
mod tests {
    use super::ChatCommand;

    /// Clients of every age talk to the server: whoever changes what they say to each other is
    /// shown what, and accepts it with `STEADFAST_CONTRACT=update cargo test -p chat`.
    #[test]
    fn the_protocol_is_what_was_agreed() {
        steadfast::assert_contract!(ChatCommand);
    }
}
