//! The topics that a node holds, and their subscribers: how both come and go.

use std::collections::{BTreeMap, BTreeSet};

use super::cursor::{Cursor, CursorState, Feed};
use super::shares::Shares;
use super::topic::Topic;
use crate::session::held::held;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::Effects;
use crate::session::node::load::{NodeLoad, NodePeaks};
use crate::session::node::types::ConnId;
use crate::session::store::TopicId;
use crate::session::{Now, millis};
use crate::wire::{Position, ServerFrame, SubNo, TopicNo, UnsubscribeCode};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Topics {
    pub(super) topics: BTreeMap<TopicNo, Topic>,
    pub(super) numbers: BTreeMap<TopicId, TopicNo>,
    pub(super) last: TopicNo,
    pub(super) feeds: BTreeMap<ConnId, Feed>,
    pub(super) shares: Shares,
    /// Bytes of what is here of all logs.
    pub(super) bytes: u64,
    /// Bytes of the states that are kept.
    pub(super) kept_bytes: u64,
    /// Topics of which a state is kept, by the time at which that is looked at.
    pub(super) kept_looks: BTreeSet<(Now, TopicNo)>,
    /// Topics that nobody follows, by the time that this began.
    pub(super) idle: BTreeSet<(Now, TopicNo)>,
    /// Topics that somebody follows, by the time at which the store was last asked for their heads.
    pub(super) followed: BTreeSet<(Now, TopicNo)>,
    pub(super) heads: Heads,
}

/// Looks at heads: which is under way, and what is to be looked at before its time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Heads {
    /// One operation at a time.
    pub(super) under_way: bool,
    /// News of these may have been lost.
    pub(super) missed: BTreeSet<TopicNo>,
}

pub(super) const TOPIC: &str = "a topic that has a number is held";
pub(super) const FEED: &str = "whoever follows a topic has a feed";
pub(super) const CURSOR: &str = "whoever follows a topic has a cursor";

/// Frames for connections, in order.
pub(crate) type Notices = Vec<(ConnId, ServerFrame)>;

impl Topics {
    pub(super) fn cursor(&self, conn: ConnId, sub: SubNo) -> Option<&Cursor> {
        self.feeds.get(&conn)?.cursors.get(&sub)
    }

    pub(super) fn cursor_mut(&mut self, conn: ConnId, sub: SubNo) -> Option<&mut Cursor> {
        self.feeds.get_mut(&conn)?.cursors.get_mut(&sub)
    }

    // ---- topics that are held ----

    /// The number of a topic, held from now on. `None` if as many are held as may, and all are
    /// followed.
    pub(super) fn hold(
        &mut self,
        id: TopicId,
        spec: u16,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<TopicNo> {
        if let Some(number) = self.numbers.get(&id) {
            return Some(*number);
        }
        if self.topics.len() >= config.topics_held as usize {
            let (_, idle) = self.idle.pop_first()?;
            self.forget_topic(idle, fx);
        }
        self.last = self.last.next();
        let number = self.last;
        fx.interest(id.clone(), true);
        self.numbers.insert(id.clone(), number);
        self.topics.insert(number, Topic::new(id, spec));
        self.ask_to_open(number, fx);
        Some(number)
    }

    pub(super) fn forget_topic(&mut self, number: TopicNo, fx: &mut Effects) {
        let Some(topic) = held(self.topics.remove(&number), TOPIC) else { return };
        self.numbers.remove(&topic.id);
        self.bytes -= topic.weight();
        if let Some(touched) = topic.touched {
            self.followed.remove(&(touched, number));
        }
        if let Some(run) = topic.snapshot {
            fx.abort(run.exec);
        }
        self.drop_kept(number, topic.kept, topic.kept_look, fx);
        fx.interest(topic.id, false);
    }

    /// Forgets topics that nobody has followed for long enough.
    pub(crate) fn forget_idle(&mut self, now: Now, config: &NodeConfig, fx: &mut Effects) {
        while let Some(&(since, number)) = self.idle.first()
            && since.after(config.topic_idle) <= now
        {
            self.idle.pop_first();
            self.forget_topic(number, fx);
        }
    }

    /// When to look at idle and followed topics next.
    pub(crate) fn next_look(&self, config: &NodeConfig) -> Option<Now> {
        let idle = self.idle.first().map(|(since, _)| since.after(config.topic_idle));
        idle.into_iter().chain(self.next_heads(config)).min()
    }

    // ---- subscribers that leave ----

    /// Ends a subscription on its client's word.
    pub(crate) fn unsubscribe(&mut self, now: Now, conn: ConnId, sub: SubNo, fx: &mut Effects) {
        // It may have been ended from here meanwhile.
        let Some(feed) = self.feeds.get_mut(&conn) else { return };
        let Some(cursor) = feed.remove(sub) else { return };
        self.shares.remove(&feed.name, 1);
        if feed.cursors.is_empty() {
            self.feeds.remove(&conn);
        }
        self.unfollow(now, conn, sub, &cursor, fx);
    }

    /// A connection is gone, and its subscriptions with it.
    pub(crate) fn forget(&mut self, now: Now, conn: ConnId, fx: &mut Effects) {
        let Some(feed) = self.feeds.remove(&conn) else { return };
        // At most `subscriptions`, a u32.
        self.shares.remove(&feed.name, feed.cursors.len() as u32);
        for (sub, cursor) in feed.cursors {
            self.unfollow(now, conn, sub, &cursor, fx);
        }
    }

    fn unfollow(&mut self, now: Now, conn: ConnId, sub: SubNo, cursor: &Cursor, fx: &mut Effects) {
        if let CursorState::Authorizing { exec, .. } = cursor.state {
            fx.abort(exec);
        }
        // Before it was authorized it had no topic; one that was refused as a duplicate has
        // another follower in its place.
        let Some(topic) = self.topics.get_mut(&cursor.topic) else { return };
        if topic.followers.get(&conn).is_none_or(|follower| follower.sub != sub) {
            return;
        }
        topic.followers.remove(&conn);
        if topic.followers.is_empty() {
            topic.idle_since = Some(now);
            self.idle.insert((now, cursor.topic));
            if let Some(touched) = topic.touched.take() {
                self.followed.remove(&(touched, cursor.topic));
            }
        }
    }

    /// Ends a subscription from here: what its client is told.
    pub(super) fn end(
        &mut self,
        now: Now,
        conn: ConnId,
        sub: SubNo,
        code: UnsubscribeCode,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> (ConnId, ServerFrame) {
        self.unsubscribe(now, conn, sub, fx);
        (conn, unsubscribed(sub, code, config))
    }

    // ---- looks ----

    /// Where a topic stands, if this node knows it.
    pub(crate) fn head_of(&self, topic: &TopicId) -> Option<Position> {
        let topic = self.topics.get(self.numbers.get(topic)?)?;
        topic.epoch.map(|epoch| Position { epoch, ts: topic.head() })
    }

    pub(crate) fn load(&self, load: &mut NodeLoad) {
        load.topics = self.topics.len();
        load.topics_bytes = self.bytes;
        load.snapshot_bytes = self.kept_bytes;
    }

    pub(crate) fn peaks(&self, peaks: &mut NodePeaks) {
        for topic in self.topics.values() {
            let (entries, bytes) = topic.held();
            peaks.topic_entries = peaks.topic_entries.max(entries);
            peaks.topic_ahead = peaks.topic_ahead.max(topic.ahead.len());
            if entries > 1 {
                peaks.topic_bytes = peaks.topic_bytes.max(bytes);
            }
        }
        peaks.principal_subscriptions = self.shares.greediest().map_or(0, |(_, most)| most);
        for feed in self.feeds.values() {
            peaks.subscriptions = peaks.subscriptions.max(feed.cursors.len());
            for cursor in feed.cursors.values() {
                let (volatiles, bytes) = cursor.volatiles();
                peaks.volatiles = peaks.volatiles.max(volatiles);
                if volatiles > 1 {
                    peaks.volatile_bytes = peaks.volatile_bytes.max(bytes);
                }
            }
        }
    }
}

pub(super) fn unsubscribed(sub: SubNo, code: UnsubscribeCode, config: &NodeConfig) -> ServerFrame {
    let retry_ms = code.is_retry().then_some(millis(config.retry_after));
    ServerFrame::Unsubscribed { sub, code, retry_ms }
}
