//! What has been said in each room, and how far everybody has read: both are in the logs of topics
//! and nowhere else, so they are where the store is, and a restart of the server loses nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use steadfast::protocol::{ServerEnum, TopicKey};
use steadfast::session::store::{LogEntry, TopicId};
use steadfast::store::StoreAdmin;
use steadfast::wire::Name;
use tokio::time::sleep;

use crate::protocol::{
    ChatError, ChatEvent, ChatMessage, Member, MessageId, Reading, Room, RoomId, UserId,
};

/// How many messages somebody is shown who comes into a room, at most, and of how many bytes: they
/// are one message of the protocol.
const HISTORY: (u32, u64) = (200, 48 * 1024);
/// How many of the latest reports about what was read are looked at; people who have reported
/// nothing since count as having read nothing, but for what they wrote.
const REPORTS: (u32, u64) = (1_000, 256 * 1024);
/// How often a store is asked again that does not answer, and after how long.
const TRIES: (u32, Duration) = (50, Duration::from_millis(100));

/// The rooms, as a store has them. Clones are the same rooms.
#[derive(Debug)]
pub(crate) struct Rooms<S>(Arc<S>);

impl<S> Clone for Rooms<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: StoreAdmin> Rooms<S> {
    pub(crate) fn of(store: S) -> Self {
        Self(Arc::new(store))
    }

    /// The latest messages of a room, oldest first.
    ///
    /// # Errors
    /// When the store has not answered for seconds.
    pub(crate) async fn history(&self, room: &RoomId) -> Result<Vec<ChatMessage>, ChatError> {
        let events = self.latest(&Room(room.clone()), HISTORY).await?;
        let message = |event| match event {
            ChatEvent::Posted { id, from, text, .. } => Some(ChatMessage { id, from, text }),
            _ => None,
        };
        Ok(events.into_iter().filter_map(message).collect())
    }

    /// The id of the latest message in a room, if there is one.
    ///
    /// # Errors
    /// When the store has not answered for seconds.
    pub(crate) async fn latest_message(
        &self,
        room: &RoomId,
    ) -> Result<Option<MessageId>, ChatError> {
        let events = self.latest(&Room(room.clone()), (1, HISTORY.1)).await?;
        Ok(events.into_iter().find_map(|event| match event {
            ChatEvent::Posted { id, .. } => Some(id),
            _ => None,
        }))
    }

    /// Everybody who has written in a room or read something there, with how much they have not
    /// read of its history.
    ///
    /// # Errors
    /// When the store has not answered for seconds.
    pub(crate) async fn members(&self, room: &RoomId) -> Result<Vec<Member>, ChatError> {
        let history = self.history(room).await?;
        let reports = self.latest(&Reading(room.clone()), REPORTS).await?;
        Ok(members(&history, reports))
    }

    /// The latest events of a topic, oldest first.
    async fn latest<K>(
        &self,
        key: &K,
        (max, max_bytes): (u32, u64),
    ) -> Result<Vec<ChatEvent>, ChatError>
    where
        K: TopicKey<Events = ChatEvent>,
    {
        let topic = topic(key)?;
        let (tries, pause) = TRIES;
        for _ in 0..tries {
            match self.0.read_back(&topic, None, max, max_bytes).await {
                Ok(page) => {
                    let entries = page.map(|page| page.entries).unwrap_or_default();
                    return Ok(entries
                        .iter()
                        .rev()
                        .filter_map(|aged| event(&aged.entry))
                        .collect());
                }
                Err(_) => sleep(pause).await,
            }
        }
        Err(ChatError::NotNow)
    }
}

/// Under which name and key a store keeps a topic.
fn topic<K: TopicKey<Events = ChatEvent>>(key: &K) -> Result<TopicId, ChatError> {
    let declared = ChatEvent::DESCRIPTION.topics.get(usize::from(K::TOPIC));
    let name = declared.and_then(|topic| Name::from_static(topic.name));
    match (name, key.key()) {
        (Some(name), Ok(key)) => Ok(TopicId { name, key: key.into() }),
        _ => Err(ChatError::BadRoomName),
    }
}

fn event(LogEntry { name, bodies, .. }: &LogEntry) -> Option<ChatEvent> {
    let (codec, body) = bodies.first()?;
    Some(ChatEvent::decode(name.as_str(), body.as_bytes(), *codec))
}

fn members(history: &[ChatMessage], reports: Vec<ChatEvent>) -> Vec<Member> {
    let places: BTreeMap<&MessageId, usize> =
        history.iter().zip(1..).map(|(message, place)| (&message.id, place)).collect();
    let mut read: BTreeMap<UserId, usize> = BTreeMap::new();
    let mut reads = |who: UserId, upto: usize| {
        let read = read.entry(who).or_default();
        *read = upto.max(*read);
    };
    for (message, place) in history.iter().zip(1..) {
        reads(message.from.clone(), place);
    }
    for report in reports {
        if let ChatEvent::Read { who, upto, .. } = report {
            // What is older than the history has left all of it unread.
            reads(who, places.get(&upto).copied().unwrap_or(0));
        }
    }
    let unread = |upto: usize| (history.len() - upto) as u32;
    read.into_iter().map(|(user, upto)| Member { user, unread: unread(upto) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(id: &str, from: &str) -> ChatMessage {
        let (id, from) = (MessageId(id.into()), UserId(from.into()));
        ChatMessage { id, from, text: "hello".into() }
    }

    fn read(who: &str, upto: &str) -> ChatEvent {
        let (who, upto) = (UserId(who.into()), MessageId(upto.into()));
        ChatEvent::Read { room: RoomId("lobby".into()), who, upto }
    }

    #[test]
    fn whoever_writes_has_read_until_there_and_a_report_never_goes_back() {
        let history = [said("1", "ada"), said("2", "bo"), said("3", "ada")];
        let reports = vec![read("cy", "2"), read("cy", "1"), read("ada", "1"), read("di", "gone")];
        let members = members(&history, reports);
        let unread: Vec<(&str, u32)> =
            members.iter().map(|member| (member.user.0.as_str(), member.unread)).collect();
        assert_eq!(unread, [("ada", 0), ("bo", 1), ("cy", 1), ("di", 3)]);
    }
}
