//! Publications from outside any command, and volatiles (PROTOCOL.md 7.11).

use super::Node;
use super::state::{Encoded, SubState, Volatile};
use super::types::{NodeEvent, PublishError, PublishId, TopicVolatile};
use crate::session::Now;
use crate::session::store::{AppendKey, Publication};

impl Node {
    /// Publishes an event from outside any command; [`NodeEvent::Published`] tells where it landed.
    pub fn publish(&mut self, _now: Now, publication: Publication) -> PublishId {
        self.publishes += 1;
        let id = PublishId(self.publishes);
        let bytes: usize = publication.bodies.iter().map(|(_, body)| body.len()).sum();
        let fits = self.config.topic(&publication.topic.name).is_some()
            && publication.topic.key.len() <= self.config.topic_key_bytes as usize
            && bytes <= self.config.publish_bytes_per_command as usize;
        let refused = if !fits {
            Some(PublishError::Invalid)
        } else if self.publishes_waiting >= self.config.publishes_waiting {
            Some(PublishError::Full)
        } else {
            None
        };
        if let Some(error) = refused {
            self.event(NodeEvent::Published(id, Err(error)));
            return id;
        }
        self.append(AppendKey::Direct { node: self.id, count: id.0 }, publication);
        id
    }

    /// Publishes a volatile to the topic's present subscribers; the latest per conflation key waits
    /// for each of them.
    pub fn publish_volatile(&mut self, _now: Now, volatile: TopicVolatile) {
        let Some(&number) = self.topic_numbers.get(&volatile.topic) else { return };
        let Some(topic) = self.topics.get(&number) else { return };
        let frames = Encoded::of(&volatile.bodies, |codec, body| {
            codec.topic_volatile(number, &volatile.name, body)
        });
        let limit = self.config.volatiles as usize;
        let mut waiting = Vec::new();
        for (conn, follower) in &topic.followers {
            let Some(state) = self.conns.get_mut(conn) else { continue };
            let Some(frame) = frames.get(state.codec) else { continue };
            let Some(sub) = state.subs.get_mut(&follower.sub) else { continue };
            if !matches!(sub.state, SubState::Live) {
                continue;
            }
            let same =
                |old: &Volatile| old.name == volatile.name && old.conflation == volatile.conflation;
            sub.volatiles.retain(|old| !same(old));
            if sub.volatiles.len() >= limit {
                sub.volatiles.pop_front();
            }
            let (name, conflation) = (volatile.name.clone(), volatile.conflation.clone());
            sub.volatiles.push_back(Volatile { name, conflation, frame: frame.clone() });
            state.ready(follower.sub);
            waiting.push(*conn);
        }
        for conn in waiting {
            self.wake(conn);
        }
    }
}
