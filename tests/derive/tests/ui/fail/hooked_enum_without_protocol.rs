use steadfast::client::{Client, Item};
use steadfast::server::{Cx, Denied, Principal, Server, TopicCx};
use steadfast::{NoError, WsProtocol};

#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
pub enum ChatCommand {
    #[ws(command)]
    Post { room: u64, text: String },
}

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Posted {
    room: u64,
    text: String,
}

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct History {
    room: u64,
    texts: Vec<String>,
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, topic(Room, key = room: u64))]
pub enum ChatEvent {
    #[ws(event(Room))]
    Posted(Posted),
    #[ws(snapshot(Room))]
    History(History),
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

struct Chat;

impl ChatHandler for Chat {
    async fn post(&self, cx: &Cx, room: u64, text: String) -> Result<(), NoError> {
        cx.publish(Posted { room, text });
        Ok(())
    }
}

impl ChatTopics for Chat {
    async fn may_subscribe_room(&self, _: &Principal, _: &u64) -> Result<(), Denied> {
        Ok(())
    }
    async fn room_snapshot(&self, _: &TopicCx, room: &u64) -> Result<History, NoError> {
        Ok(History { room: *room, texts: Vec::new() })
    }
}

pub async fn follow(chat: &Client<ChatCommand>) -> usize {
    let Ok(mut room) = chat.subscribe(Room(7)).await else { return 0 };
    match room.next().await {
        Some(Item::Snapshot { state, .. }) => state.texts.len(),
        Some(Item::Event(ChatEvent::Posted(posted))) => posted.text.len(),
        _ => 0,
    }
}

pub async fn tell(server: &Server<ChatCommand>) {
    let _ = server.publish(Posted { room: 7, text: "hello".into() }).await;
}

fn main() {
    let _ = ChatServer::builder(Chat);
}
