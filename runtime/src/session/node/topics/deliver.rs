//! What subscribers get: events of the log in turn, snapshots, volatiles, each as far as its
//! credit goes (PROTOCOL.md 7.4, 7.8, 7.11).

use bytes::Bytes;

use super::cursor::{CursorState, Volatile};
use super::entries::Encoded;
use super::state::{CURSOR, FEED, TOPIC, Topics};
use super::topic::Arrived;
use crate::session::Now;
use crate::session::held::held;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Timer};
use crate::session::node::types::{ConnId, TopicVolatile};
use crate::session::store::{Appended, Publication};
use crate::wire::{Outgoing, ServerFrame, SubNo, TopicNo, TopicSeq, UnsubscribeCode};

/// What a subscription has to send.
enum Step {
    Send(Bytes),
    /// The state of this topic.
    State(TopicNo, ServerFrame),
    /// The state of this topic has given way to others meanwhile: it is asked for again.
    StateGone(TopicNo),
    Nothing,
    FellBehind,
    /// The next message is longer than the client takes.
    TooLarge,
}

impl Topics {
    /// The next message that topics have for a connection. Subscriptions take turns, one message
    /// each.
    pub(crate) fn next_message(
        &mut self,
        now: Now,
        conn: ConnId,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<Outgoing> {
        loop {
            let sub = self.feeds.get_mut(&conn)?.next_ready()?;
            match self.step(conn, sub) {
                Step::Send(bytes) => return Some(Outgoing::Shared(bytes)),
                Step::State(topic, frame) => {
                    self.let_go(topic, config, fx);
                    return Some(Outgoing::Frame(frame));
                }
                Step::StateGone(topic) => self.run_snapshot(now, topic, config, fx),
                Step::Nothing => {}
                Step::FellBehind => {
                    if let Some(subscribed) = self.fell_behind(now, conn, sub, config, fx) {
                        return Some(Outgoing::Frame(subscribed));
                    }
                }
                Step::TooLarge => {
                    let code = UnsubscribeCode::TooLarge;
                    let (_, unsubscribed) = self.end(now, conn, sub, code, config, fx);
                    return Some(Outgoing::Frame(unsubscribed));
                }
            }
        }
    }

    fn step(&mut self, conn: ConnId, sub: SubNo) -> Step {
        let Some(feed) = held(self.feeds.get_mut(&conn), FEED) else { return Step::Nothing };
        let (codec, most) = (feed.codec, feed.message_bytes.unwrap_or(u32::MAX) as usize);
        let cursor = held(feed.cursors.get_mut(&sub), CURSOR);
        let Some(cursor) = cursor else { return Step::Nothing };
        // Without a topic it is being authorized.
        let Some(topic) = self.topics.get_mut(&cursor.topic) else { return Step::Nothing };
        let frame = match &cursor.state {
            CursorState::Snapshot => {
                let number = cursor.topic;
                let Some(kept) = topic.kept.as_ref() else {
                    topic.untell(conn);
                    if !cursor.has_byte_credit() {
                        return Step::Nothing;
                    }
                    cursor.state = CursorState::AwaitingSnapshot;
                    return Step::StateGone(number);
                };
                let frame = held(kept.frame(number, codec), "a state is told in every codec");
                let Some((frame, bytes)) = frame else { return Step::Nothing };
                if bytes > most {
                    return Step::TooLarge;
                }
                if !cursor.has_byte_credit() {
                    topic.untell(conn);
                    return Step::Nothing;
                }
                cursor.stand(kept.ts, CursorState::Live);
                cursor.sends(bytes);
                feed.ready(sub);
                return Step::State(number, frame);
            }
            CursorState::Live => match cursor.next_volatile() {
                Some(volatile) => Some(volatile.frame),
                None if cursor.at() < topic.floor() => {
                    return Step::FellBehind;
                }
                None => None,
            },
            _ => {
                topic.untell(conn);
                return Step::Nothing;
            }
        };
        let frame = match frame {
            Some(frame) => Some(frame),
            None => match topic.frame(cursor.at().next(), codec) {
                Some(event) if event.len() > most => return Step::TooLarge,
                Some(event) if cursor.has_credit() => {
                    cursor.advance(event.len());
                    Some(event.clone())
                }
                // It was published when this codec was not enabled: it is lost to this follower,
                // who is told so.
                None if cursor.at() < topic.head() => return Step::FellBehind,
                Some(_) | None => None,
            },
        };
        match frame {
            Some(frame) => {
                feed.ready(sub);
                Step::Send(frame)
            }
            None => {
                topic.untell(conn);
                Step::Nothing
            }
        }
    }

    /// An application has finished with so much of a topic (PROTOCOL.md 7.8).
    pub(crate) fn on_position(
        &mut self,
        conn: ConnId,
        number: TopicNo,
        ts: TopicSeq,
        bytes: u64,
        fx: &mut Effects,
    ) {
        // What was said of a topic that has begun anew since, or was left.
        let Some(topic) = self.topics.get(&number) else { return };
        let Some(follower) = topic.followers.get(&conn) else { return };
        let Some(feed) = held(self.feeds.get_mut(&conn), FEED) else { return };
        let cursor = held(feed.cursors.get_mut(&follower.sub), CURSOR);
        let Some(cursor) = cursor else { return };
        cursor.finished(ts, bytes);
        feed.ready(follower.sub);
        fx.wake(conn);
    }

    /// An event is in the log.
    pub(crate) fn published(
        &mut self,
        now: Now,
        publication: &Publication,
        at: Appended,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        // Nobody here follows it.
        let Some(&number) = self.numbers.get(&publication.topic) else { return };
        let Some(topic) = held(self.topics.get_mut(&number), TOPIC) else { return };
        let same = topic.epoch == Some(at.epoch);
        if same && at.ts <= topic.head() {
            return;
        }
        if !same {
            return self.read(number, fx);
        }
        let Publication { name, bodies, .. } = publication;
        let arrived = Self::weighing(&mut self.bytes, topic, |topic| {
            topic.arrive(now, (number, at.ts), (name, bodies), config, fx)
        });
        self.on_arrived(now, number, arrived, config, fx);
    }

    /// What follows from an entry that came by itself.
    pub(super) fn on_arrived(
        &mut self,
        now: Now,
        number: TopicNo,
        arrived: Arrived,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        self.keep_within_all(number, config, fx);
        match arrived {
            Arrived::Known => {}
            Arrived::Next => self.tell_followers(number, fx),
            Arrived::Early => self.wait_for_earlier(now, number, config, fx),
            Arrived::TooMany => self.read(number, fx),
        }
    }

    /// Answers of the store come in any order: what comes too early waits a moment for what is
    /// missing, and only then the log is read.
    fn wait_for_earlier(
        &mut self,
        now: Now,
        number: TopicNo,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        let Some(topic) = held(self.topics.get_mut(&number), TOPIC) else { return };
        if topic.ahead.until.is_none() {
            let until = now.after(config.reorder_wait);
            topic.ahead.until = Some(until);
            fx.arm(until, Timer::Ahead(number));
        }
    }

    /// That moment is over.
    pub(crate) fn on_ahead(&mut self, number: TopicNo, fx: &mut Effects) {
        // It may have been forgotten meanwhile, or made anew under another number.
        let Some(topic) = self.topics.get_mut(&number) else { return };
        topic.ahead.until = None;
        if !topic.ahead.is_empty() {
            self.read(number, fx);
        }
    }

    /// Wakes those who follow and have not been told yet: O(subscribers), nothing more.
    pub(super) fn tell_followers(&mut self, number: TopicNo, fx: &mut Effects) {
        let Some(topic) = held(self.topics.get_mut(&number), TOPIC) else { return };
        for (conn, follower) in &mut topic.followers {
            if follower.told {
                continue;
            }
            let Some(feed) = held(self.feeds.get_mut(conn), FEED) else { continue };
            follower.told = true;
            feed.ready(follower.sub);
            fx.wake(*conn);
        }
    }

    /// Gives a volatile to the topic's present subscribers; the latest per conflation key waits
    /// for each of them.
    pub(crate) fn volatile(
        &mut self,
        volatile: &TopicVolatile,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        // Nobody here follows it.
        let Some(&number) = self.numbers.get(&volatile.topic) else { return };
        let Some(topic) = held(self.topics.get(&number), TOPIC) else { return };
        let TopicVolatile { name, conflation, bodies, .. } = volatile;
        let frames = Encoded::of(bodies, |codec, body| codec.topic_volatile(number, name, body));
        for (conn, follower) in &topic.followers {
            let Some(feed) = held(self.feeds.get_mut(conn), FEED) else { continue };
            // Its codec is not one that this node publishes in.
            let Some(frame) = frames.get(feed.codec) else { continue };
            if !feed.takes(frame.len()) {
                continue;
            }
            let cursor = held(feed.cursors.get_mut(&follower.sub), CURSOR);
            let Some(cursor) = cursor else { continue };
            if !matches!(cursor.state, CursorState::Live) {
                continue;
            }
            let (name, conflation) = (name.clone(), conflation.clone());
            cursor.keep(Volatile { name, conflation, frame: frame.clone() }, config);
            feed.ready(follower.sub);
            fx.wake(*conn);
        }
    }
}
