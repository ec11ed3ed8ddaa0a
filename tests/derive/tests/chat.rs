//! The chat of the documentation, whole.
#![deny(warnings)]
#![allow(missing_docs, unreachable_pub)]

use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;
use steadfast::server::{Cx, Denied, Principal, TopicCx};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RoomId(u64);
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MessageId(u64);
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserId(String);
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatMessage {
    id: MessageId,
    text: String,
}

/// What a chat client may say.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(client, protocol = "chat", version = "1.0", server = ChatEvent, error = ChatError, timeout = "10s")]
pub enum ChatCommand {
    /// Post a message to a room.
    #[ws(request(reply = MessageId), max_bytes = "16KiB")]
    Post { room: RoomId, text: String },

    /// Everything up to this message has been read.
    #[ws(command)]
    MarkRead { room: RoomId, upto: MessageId },

    /// Shown while somebody types; lost when offline, and nobody minds.
    #[ws(volatile(latest_by = room))]
    Typing { room: RoomId },
}

/// What the server tells its clients.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(server, protocol = "chat", error = ChatError, topic(Room, key = room: RoomId, replay = 500, ttl = "10m"))]
pub enum ChatEvent {
    #[ws(event(Room))]
    Posted { room: RoomId, id: MessageId, from: UserId, text: String },
    #[ws(snapshot(Room))]
    History { room: RoomId, messages: Vec<ChatMessage> },
    #[ws(volatile(Room, latest_by = who))]
    Typing { room: RoomId, who: UserId },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(error)]
pub enum ChatError {
    RoomFull {
        limit: u32,
    },
    Muted,
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

struct Chat;

impl ChatHandler for Chat {
    async fn post(&self, cx: &Cx, room: RoomId, text: String) -> Result<MessageId, ChatError> {
        cx.publish(ChatEventPosted { room, id: MessageId(1), from: UserId("ann".into()), text });
        Ok(MessageId(1))
    }
    async fn mark_read(&self, _cx: &Cx, _room: RoomId, _upto: MessageId) -> Result<(), ChatError> {
        Err(ChatError::RoomFull { limit: 3 })
    }
    async fn typing(&self, _cx: &Cx, _room: RoomId) {}
}

impl ChatTopics for Chat {
    async fn may_subscribe_room(&self, _who: &Principal, _room: &RoomId) -> Result<(), Denied> {
        Ok(())
    }
    async fn room_snapshot(
        &self,
        _cx: &TopicCx,
        room: &RoomId,
    ) -> Result<ChatEventHistory, ChatError> {
        Ok(ChatEventHistory { room: *room, messages: vec![] })
    }
}

#[test]
fn a_server_is_built_from_its_handler() {
    let _ = ChatServer::builder(Chat);
    let _ = |chat: ChatClient| {
        drop(chat.post(RoomId(1), "hello".into()));
        drop(chat.subscribe(Room(RoomId(1))));
        let _ = chat.typing(RoomId(1));
    };
}

#[test]
fn the_description_says_what_the_derive_found() {
    use steadfast::protocol::{ClientEnum, ServerEnum};
    use steadfast::schema::Kind;

    let commands = ChatCommand::DESCRIPTION;
    assert_eq!(
        (commands.protocol, commands.version, commands.docs),
        ("chat", "1.0", "What a chat client may say.")
    );
    let kinds: Vec<Kind> = commands.messages.iter().map(|message| message.kind).collect();
    let expected = [
        Kind::Request {
            reply: "MessageId",
            ordered: true,
            timeout_ms: 10_000,
            max_bytes: 16 * 1024,
        },
        Kind::Command { ordered: true, timeout_ms: 10_000, max_bytes: 64 * 1024 },
        Kind::ClientVolatile { latest_by: &["room"], timeout_ms: 10_000, max_bytes: 64 * 1024 },
    ];
    assert_eq!(kinds, expected);
    assert_eq!(commands.messages[0].docs, "Post a message to a room.");
    let events: Vec<Kind> =
        ChatEvent::DESCRIPTION.messages.iter().map(|message| message.kind).collect();
    let expected = [
        Kind::Event { topic: 0 },
        Kind::Snapshot { topic: 0 },
        Kind::TopicVolatile { topic: 0, latest_by: &["who"] },
    ];
    assert_eq!(events, expected);
    assert_eq!(ChatEvent::DESCRIPTION.messages[1].fields[1].ty, "Vec<ChatMessage>");
}
