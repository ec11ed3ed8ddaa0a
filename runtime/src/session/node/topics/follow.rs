//! Subscriptions: from SUBSCRIBE to a cursor in the log, and where a gap begins anew (PROTOCOL.md
//! 7.2 to 7.6).

use std::sync::Arc;

use super::cursor::{Cursor, CursorState, Feed};
use super::state::{CURSOR, Notices, TOPIC, Topics, unsubscribed};
use super::topic::{Follower, Topic, before};

use crate::session::Now;
use crate::session::held::held;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Running};
use crate::session::node::types::{ConnId, Execution, Principal};
use crate::session::store::TopicId;
use crate::wire::{
    Codec, ResetReason, ServerFrame, SubNo, Subscribe, Subscribed, TopicNo, TopicSeq,
    UnsubscribeCode,
};

/// Who asks for a subscription.
pub(crate) struct Subscriber {
    pub(crate) conn: ConnId,
    pub(crate) codec: Codec,
    /// The longest message that the client takes.
    pub(crate) message_bytes: Option<u32>,
    pub(crate) principal: Principal,
}

/// What comes of a SUBSCRIBE.
pub(crate) enum Following {
    /// The hook is asked.
    Asked,
    Refused(ServerFrame),
    /// The number is another subscription's.
    Reused,
}

/// Where a subscription begins.
enum Place {
    /// Right after the position that the client gave.
    At(TopicSeq),
    /// Not there.
    Reset(ResetReason),
    /// So many events before the head as the client asked for, or as there are.
    Last(TopicSeq),
    /// The store must be asked before that can be said.
    Unclear,
    /// What lies above must be read first.
    Earlier(TopicSeq),
}

/// What becomes of a subscription that waits for its place.
enum Opened {
    /// It begins, or has ended.
    Yes,
    Unclear,
    Earlier(TopicSeq),
}

/// `fresh`: the store has told where the topic stands since the question came. `read`: everything
/// above was read, as far as there is room for it.
fn place(
    cursor: &Cursor,
    topic: &Topic,
    fresh: bool,
    read: Option<TopicSeq>,
    config: &NodeConfig,
) -> Place {
    let Some(from) = cursor.from else {
        let initial = Place::Reset(ResetReason::Initial);
        return cursor.last.map_or(initial, |last| place_of_last(last, topic, read));
    };
    if topic.epoch != Some(from.epoch) {
        return if fresh { Place::Reset(ResetReason::Epoch) } else { Place::Unclear };
    }
    if from.ts > topic.head() {
        return if fresh { Place::Reset(ResetReason::Ahead) } else { Place::Unclear };
    }
    if from.ts >= topic.floor() {
        return Place::At(from.ts);
    }
    // Who has missed something for good gets what there is, or the topic's state.
    let first = from.ts.max(before(topic.oldest));
    let state = first > from.ts && topic.has_snapshot(config);
    if state || !is_to_be_read(first, topic, read) {
        return Place::Reset(ResetReason::Trimmed);
    }
    Place::Earlier(first)
}

/// Whether entries above `first` are in the store alone.
fn is_to_be_read(first: TopicSeq, topic: &Topic, read: Option<TopicSeq>) -> bool {
    first < topic.floor() && read.is_none_or(|read| read > first)
}

/// Right before the latest events, as many as were asked for (PROTOCOL.md 7.25).
fn place_of_last(last: u32, topic: &Topic, read: Option<TopicSeq>) -> Place {
    let wanted = TopicSeq(topic.head().0.saturating_sub(u64::from(last)));
    let first = wanted.max(before(topic.oldest));
    if is_to_be_read(first, topic, read) {
        return Place::Earlier(first);
    }
    Place::Last(first.max(topic.floor()))
}

impl Topics {
    pub(crate) fn subscribe(
        &mut self,
        now: Now,
        subscriber: Subscriber,
        subscribe: Subscribe,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Following {
        let Subscribe { sub, topic, key, from, last, credit } = subscribe;
        let Subscriber { conn, codec, message_bytes, principal } = subscriber;
        let refused = |code| Following::Refused(unsubscribed(sub, code, config));
        let count = match self.feeds.get(&conn) {
            Some(feed) if feed.cursors.contains_key(&sub) => return Following::Reused,
            feed => feed.map_or(0, |feed| feed.cursors.len()),
        };
        let Some((spec, _)) = config.topic(&topic) else {
            return refused(UnsubscribeCode::Unsupported);
        };
        let full = self.shares.of(principal.user()) >= config.subscriptions_per_principal;
        if full || count >= config.subscriptions as usize {
            return refused(UnsubscribeCode::Overload);
        }
        if key.len() > config.topic_key_bytes as usize {
            return refused(UnsubscribeCode::Invalid);
        }
        let key: Arc<str> = key.into();
        let exec = fx.begin(now, config.hook_timeout, Running::Authorize(conn, sub));
        let credit = credit.granted(config.max_credit);
        let state = CursorState::Authorizing { exec, spec, key: Arc::clone(&key) };
        let name = principal.id();
        let feed = self.feeds.entry(conn).or_insert_with(|| Feed::new(codec, message_bytes, name));
        self.shares.add(&feed.name);
        feed.cursors.insert(sub, Cursor::new(state, from, last, credit));
        fx.execute(Execution::Authorize { exec, conn, principal, topic: spec, key });
        Following::Asked
    }

    /// The hook has answered.
    pub(crate) fn authorized(
        &mut self,
        now: Now,
        conn: ConnId,
        sub: SubNo,
        answer: Result<(), UnsubscribeCode>,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Notices {
        let cursor = held(self.cursor_mut(conn, sub), "a subscription takes its hook with it");
        let Some(cursor) = cursor else { return Notices::new() };
        let opening = CursorState::Opening { reads: 0, anew: false };
        let CursorState::Authorizing { spec, key, .. } =
            std::mem::replace(&mut cursor.state, opening)
        else {
            debug_assert!(false, "a hook answers once");
            return Notices::new();
        };
        let mut notices = Notices::new();
        let followed = answer.and_then(|()| {
            let declared = config.topic_at(spec).ok_or(UnsubscribeCode::Unsupported)?;
            let id = TopicId { name: declared.name.clone(), key };
            notices.extend(self.make_room(now, conn, &id, config, fx));
            self.follow(now, (conn, sub), spec, id, config, fx)
        });
        match followed {
            Ok(number) => notices.extend(self.open_or_read(now, number, conn, sub, config, fx)),
            Err(code) => notices.push(self.end(now, conn, sub, code, config, fx)),
        }
        notices
    }

    /// As many topics are held as may, and all are followed: whoever follows most gives up one that
    /// nobody else follows, unless the newcomer has as many. What its client is told. Looks through
    /// all connections, but only then.
    fn make_room(
        &mut self,
        now: Now,
        conn: ConnId,
        id: &TopicId,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<(ConnId, ServerFrame)> {
        let full = self.topics.len() >= config.topics_held as usize && self.idle.is_empty();
        if !full || self.numbers.contains_key(id) {
            return None;
        }
        let mine = self.feeds.get(&conn).map_or(0, |feed| self.shares.of(&feed.name));
        let (name, most) = self.shares.greediest()?;
        if most <= mine {
            return None;
        }
        let alone = |topic: TopicNo| {
            self.topics.get(&topic).is_some_and(|topic| topic.followers.len() == 1)
        };
        let theirs = self.feeds.iter().filter(|(_, feed)| feed.name == *name);
        let (conn, sub) = theirs
            .rev()
            .flat_map(|(conn, feed)| feed.cursors.iter().rev().map(|it| (*conn, it)))
            .find_map(|(conn, (sub, cursor))| alone(cursor.topic).then_some((conn, *sub)))?;
        Some(self.end(now, conn, sub, UnsubscribeCode::Overload, config, fx))
    }

    /// Registers a subscriber's interest, before anything of the log is looked at.
    fn follow(
        &mut self,
        now: Now,
        (conn, sub): (ConnId, SubNo),
        spec: u16,
        id: TopicId,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Result<TopicNo, UnsubscribeCode> {
        let known = self.numbers.get(&id).and_then(|number| self.topics.get(number));
        let reads = known.map_or(0, |topic| topic.reading.count);
        let number = self.hold(id, spec, config, fx).ok_or(UnsubscribeCode::Overload)?;
        let topic = held(self.topics.get_mut(&number), TOPIC).ok_or(UnsubscribeCode::Internal)?;
        if topic.followers.contains_key(&conn) {
            return Err(UnsubscribeCode::Duplicate);
        }
        topic.followers.insert(conn, Follower { sub, told: false });
        if let Some(since) = topic.idle_since.take() {
            self.idle.remove(&(since, number));
        }
        if topic.touched.is_none() {
            topic.touched = Some(now);
            self.followed.insert((now, number));
        }
        if let Some(cursor) = self.cursor_mut(conn, sub) {
            cursor.topic = number;
            cursor.state = CursorState::Opening { reads, anew: false };
        }
        Ok(number)
    }

    fn open_or_read(
        &mut self,
        now: Now,
        number: TopicNo,
        conn: ConnId,
        sub: SubNo,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Notices {
        let mut notices = Notices::new();
        if self.topics.get(&number).is_some_and(|topic| topic.epoch.is_some()) {
            match self.open(now, number, (conn, sub), None, config, fx, &mut notices) {
                Opened::Yes => {}
                Opened::Unclear => self.read(number, fx),
                Opened::Earlier(from) => self.read_earlier(number, from, fx),
            }
        }
        notices
    }

    /// The store has answered: whoever waited for that can begin. `false` if it must be asked again
    /// for somebody who came since it was asked. `read`: everything above was read.
    pub(super) fn open_waiting(
        &mut self,
        now: Now,
        number: TopicNo,
        read: Option<TopicSeq>,
        config: &NodeConfig,
        fx: &mut Effects,
        notices: &mut Notices,
    ) -> bool {
        let Some(topic) = held(self.topics.get(&number), TOPIC) else { return true };
        let (mut all, mut lowest) = (true, None);
        for (conn, sub) in topic.follows() {
            let state = self.cursor(conn, sub).map(|cursor| &cursor.state);
            if matches!(state, Some(CursorState::Opening { .. })) {
                match self.open(now, number, (conn, sub), read, config, fx, notices) {
                    Opened::Yes => {}
                    Opened::Unclear => all = false,
                    Opened::Earlier(from) => {
                        lowest = Some(lowest.map_or(from, |lowest: TopicSeq| lowest.min(from)));
                    }
                }
            }
        }
        if let Some(from) = lowest {
            self.read_earlier(number, from, fx);
        }
        self.run_snapshot(now, number, config, fx);
        all
    }

    /// Finds a subscription's place in the log, as far as that can be said.
    #[expect(clippy::too_many_arguments, reason = "what is known, and what comes of it")]
    fn open(
        &mut self,
        now: Now,
        number: TopicNo,
        (conn, sub): (ConnId, SubNo),
        read: Option<TopicSeq>,
        config: &NodeConfig,
        fx: &mut Effects,
        notices: &mut Notices,
    ) -> Opened {
        let cursor = self.feeds.get(&conn).and_then(|feed| feed.cursors.get(&sub));
        let Some(cursor) = held(cursor, CURSOR) else { return Opened::Yes };
        let Some(topic) = held(self.topics.get_mut(&number), TOPIC) else { return Opened::Yes };
        Self::weighing(&mut self.bytes, topic, |topic| topic.expire(now, config));
        let CursorState::Opening { reads, anew } = cursor.state else {
            debug_assert!(false, "only what waits for the log is opened");
            return Opened::Yes;
        };
        let fresh = !topic.reading.under_way && topic.reading.count > reads;
        let place = match anew {
            true => Place::Reset(ResetReason::Epoch),
            false => place(cursor, topic, fresh, read, config),
        };
        let (ts, reset) = match place {
            Place::Unclear => return Opened::Unclear,
            Place::Earlier(from) => return Opened::Earlier(from),
            Place::At(ts) => (ts, None),
            Place::Last(ts) => (ts, Some(ResetReason::Initial)),
            Place::Reset(reason) => {
                // Of another epoch the client may have seen everything; of this one nothing above
                // the floor.
                let kept = reason == ResetReason::Trimmed && !topic.has_snapshot(config);
                (if kept { topic.floor() } else { topic.head() }, Some(reason))
            }
        };
        if let Some(subscribed) = self.announce(now, number, (conn, sub), ts, reset, config, fx) {
            if let Some(feed) = self.feeds.get_mut(&conn) {
                feed.ready(sub);
            }
            notices.push((conn, subscribed));
        }
        Opened::Yes
    }

    /// A live subscription fell behind what is retained (PROTOCOL.md 7.6). It goes on at the head:
    /// at the oldest entry it would fall behind again with the next one that is published, and a
    /// peer that takes nothing would be told so each time.
    pub(super) fn fell_behind(
        &mut self,
        now: Now,
        conn: ConnId,
        sub: SubNo,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<ServerFrame> {
        let number = self.cursor(conn, sub)?.topic;
        let head = self.topics.get(&number)?.head();
        let reset = Some(ResetReason::Trimmed);
        let subscribed = self.announce(now, number, (conn, sub), head, reset, config, fx);
        if let Some(feed) = self.feeds.get_mut(&conn) {
            feed.ready(sub);
        }
        subscribed
    }

    /// Where a subscription begins, or begins anew: the SUBSCRIBED that says so.
    #[expect(clippy::too_many_arguments, reason = "a place, and what is decided with it")]
    fn announce(
        &mut self,
        now: Now,
        number: TopicNo,
        (conn, no): (ConnId, SubNo),
        ts: TopicSeq,
        reset: Option<ResetReason>,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<ServerFrame> {
        let topic = self.topics.get(&number)?;
        let epoch = topic.epoch?;
        let feed = self.feeds.get(&conn)?;
        let stateless = reset == Some(ResetReason::Initial)
            && feed.cursors.get(&no).is_some_and(|cursor| cursor.last.is_some());
        let snapshot = reset.is_some() && !stateless && topic.has_snapshot(config);
        // A state that was read just now will do if nothing has happened since, and one that is
        // being read: SUBSCRIBED says where it begins, so that a position never goes back.
        let codec = feed.codec;
        let kept = topic.kept.as_ref().filter(|kept| {
            snapshot && topic.rests(now) && kept.ts == topic.head() && kept.is_in(codec)
        });
        let run = topic.snapshot.as_ref().filter(|run| snapshot && run.ts >= topic.floor());
        let begins = kept.map(|kept| kept.ts).or(run.map(|run| run.ts));
        let ts = begins.unwrap_or(ts);
        let state = match (snapshot, kept) {
            (true, Some(_)) => CursorState::Snapshot,
            (true, None) => CursorState::AwaitingSnapshot,
            (false, _) => CursorState::Live,
        };
        let head = topic.head();
        let cursor = self.cursor_mut(conn, no)?;
        cursor.stand(ts, state);
        let credit = cursor.credit();
        cursor.from = None;
        cursor.snapshot_tries = 0;
        if snapshot {
            self.run_snapshot(now, number, config, fx);
        }
        let credit = Some(credit);
        let subscribed = Subscribed { sub: no, number, epoch, ts, head, snapshot, reset, credit };
        Some(ServerFrame::Subscribed(Box::new(subscribed)))
    }
}
