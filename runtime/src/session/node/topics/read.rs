//! Topics and the store: opened at their heads, read behind them, begun anew when continuity can't
//! be proven (PROTOCOL.md 7.1, 7.6, 7.7). What lies before is read elsewhere.

use super::cursor::CursorState;
use super::earlier::READ_ENTRIES;
use super::entries::{Encoded, LogLimits};
use super::state::{Notices, TOPIC, Topics};
use super::topic::{Topic, before};
use crate::session::held::held;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Purpose, Timer};
use crate::session::store::{Advanced, LogEntry, ReadFrom, StoreOp, TopicHead, TopicId};
use crate::session::{Now, Random};
use crate::wire::{Epoch, TopicNo, UnsubscribeCode};

impl Topics {
    /// Reads what the store has and this node has not; one read at a time.
    pub(crate) fn read(&mut self, number: TopicNo, fx: &mut Effects) {
        // It may have been forgotten since a timer was set, or made anew under another number.
        let Some(topic) = self.topics.get_mut(&number) else { return };
        topic.reading.behind = true;
        if topic.epoch.is_some() && !topic.reading.under_way {
            topic.reading.under_way = true;
            topic.reading.count += 1;
            topic.reading.behind = false;
            fx.ask(Purpose::ReadLog(number));
        }
    }

    /// Events may be in a log that this node has not heard of.
    pub(crate) fn look_at(&mut self, topic: &TopicId, fx: &mut Effects) {
        if let Some(&number) = self.numbers.get(topic) {
            self.read(number, fx);
        }
    }

    /// Another node has appended. The epoch tells a topic that was made anew from one that this
    /// node knows already.
    pub(crate) fn advanced(
        &mut self,
        now: Now,
        news: Advanced,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        let Advanced { topic: id, head, entries } = news;
        // A store may tell of others, too.
        let Some(&number) = self.numbers.get(&id) else { return };
        let Some(topic) = held(self.topics.get_mut(&number), TOPIC) else { return };
        let same = topic.epoch == Some(head.epoch);
        if same && head.ts <= topic.head() {
            return;
        }
        if !same || entries.is_empty() {
            return self.read(number, fx);
        }
        for LogEntry { ts, name, bodies } in &entries {
            let Some(topic) = held(self.topics.get_mut(&number), TOPIC) else { return };
            let arrived = Self::weighing(&mut self.bytes, topic, |topic| {
                topic.arrive(now, (number, *ts), (name, bodies), config, fx)
            });
            self.on_arrived(now, number, arrived, config, fx);
        }
    }

    pub(crate) fn open_op(
        &self,
        number: TopicNo,
        config: &NodeConfig,
        random: &mut Random,
    ) -> Option<StoreOp> {
        let topic = self.topics.get(&number)?;
        let retention = config.retention(&topic.id.name);
        let fresh_epoch = Epoch(random.u64());
        Some(StoreOp::OpenTopic { topic: topic.id.clone(), fresh_epoch, retention })
    }

    pub(crate) fn read_op(&mut self, number: TopicNo, config: &NodeConfig) -> Option<StoreOp> {
        let topic = self.topics.get_mut(&number)?;
        let (epoch, after) = (topic.epoch?, topic.head());
        topic.reading.from = after;
        let (max, max_bytes) = (READ_ENTRIES, u64::from(config.read_bytes));
        let (topic, from) = (topic.id.clone(), ReadFrom::After(after));
        Some(StoreOp::ReadLog { topic, epoch, from, max, max_bytes })
    }

    /// The store has told where a topic stands: whoever follows from there needs nothing else.
    pub(crate) fn opened(
        &mut self,
        now: Now,
        number: TopicNo,
        head: TopicHead,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Notices {
        let mut notices = Notices::new();
        // It may have been forgotten meanwhile, or made anew under another number.
        let Some(topic) = self.topics.get_mut(&number) else { return notices };
        match topic.epoch {
            None => topic.begin(head),
            Some(epoch) if epoch != head.epoch => {
                return self.start_over(now, number, head, config, fx);
            }
            Some(_) => {}
        }
        // Something was heard of since it was asked.
        let more = topic.reading.behind || topic.head() < head.head;
        let unclear = !self.open_waiting(now, number, None, config, fx, &mut notices);
        if unclear || more {
            self.read(number, fx);
        }
        notices
    }

    /// Asks the store where a topic stands, and makes it if need be.
    pub(super) fn ask_to_open(&mut self, number: TopicNo, fx: &mut Effects) {
        if let Some(topic) = self.topics.get_mut(&number) {
            topic.reading.count += 1;
            fx.ask(Purpose::OpenTopic(number));
        }
    }

    /// The store has forgotten a topic that was to be read: it is made anew, with another epoch.
    pub(crate) fn gone(&mut self, number: TopicNo, fx: &mut Effects) {
        // It may have been forgotten here as well.
        if let Some(topic) = self.topics.get_mut(&number) {
            topic.reading.under_way = false;
            topic.read_no_earlier(&mut self.bytes);
            self.ask_to_open(number, fx);
        }
    }

    /// A read has ended.
    pub(crate) fn log(
        &mut self,
        now: Now,
        number: TopicNo,
        (head, entries): (TopicHead, Vec<LogEntry>),
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Notices {
        let mut notices = Notices::new();
        // It may have been forgotten meanwhile, or made anew under another number.
        let Some(topic) = self.topics.get_mut(&number) else { return notices };
        topic.reading.under_way = false;
        // Lower than the head that is here is old news if an append was heard of in the meantime.
        if topic.epoch != Some(head.epoch) || head.head < topic.reading.from {
            return self.start_over(now, number, head, config, fx);
        }
        topic.oldest = topic.oldest.max(head.oldest);
        Self::weighing(&mut self.bytes, topic, |topic| {
            topic.take(now, number, entries, config);
            if topic.head() < before(head.oldest) {
                // The store has let go of what comes next: whoever stands before it has a gap.
                topic.clear(before(head.oldest));
                topic.catch_up(now, config);
            }
        });
        topic.wait_no_more(number, fx);
        let complete = topic.head() >= head.head;
        let more = topic.reading.behind || !complete;
        self.keep_within_all(number, config, fx);
        // Who came while the log was being read may know more than this read shows.
        let unclear = complete && !self.open_waiting(now, number, None, config, fx, &mut notices);
        if unclear || more {
            self.read(number, fx);
        }
        self.tell_followers(number, fx);
        notices
    }

    /// Continuity with what is here can't be proven: the log's incarnation is another one
    /// (PROTOCOL.md 7.1). It gets a number of its own, so that frames and positions of the two are
    /// never taken for each other (7.6).
    pub(super) fn start_over(
        &mut self,
        now: Now,
        number: TopicNo,
        head: TopicHead,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Notices {
        let mut notices = Notices::new();
        let Some(mut earlier) = held(self.topics.remove(&number), TOPIC) else { return notices };
        self.bytes -= earlier.weight();
        if let Some(run) = earlier.snapshot.take() {
            fx.abort(run.exec);
        }
        self.drop_kept(number, earlier.kept.take(), earlier.kept_look, fx);
        self.last = self.last.next();
        let anew = self.last;
        let mut topic = Topic::new(earlier.id, earlier.spec);
        topic.begin(head);
        topic.followers = earlier.followers;
        topic.idle_since = earlier.idle_since;
        topic.touched = earlier.touched;
        for (times, at) in [(&mut self.idle, topic.idle_since), (&mut self.followed, topic.touched)]
        {
            if let Some(at) = at {
                times.remove(&(at, number));
                times.insert((at, anew));
            }
        }
        for (conn, follower) in &mut topic.followers {
            follower.told = false;
            let cursor =
                self.feeds.get_mut(conn).and_then(|feed| feed.cursors.get_mut(&follower.sub));
            if let Some(cursor) = cursor {
                cursor.begin_anew(anew);
            }
        }
        self.numbers.insert(topic.id.clone(), anew);
        self.topics.insert(anew, topic);
        if !self.open_waiting(now, anew, None, config, fx, &mut notices) {
            self.read(anew, fx);
        }
        notices
    }

    /// The store does not give the topic: whoever waits for it is told, the rest goes on with what
    /// is here.
    pub(crate) fn give_up(
        &mut self,
        now: Now,
        number: TopicNo,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Notices {
        // It may have been forgotten meanwhile, or made anew under another number.
        let Some(topic) = self.topics.get_mut(&number) else { return Notices::new() };
        topic.reading.under_way = false;
        topic.read_no_earlier(&mut self.bytes);
        let is_open = topic.epoch.is_some();
        let mut waiting = topic.follows();
        waiting.retain(|(conn, sub)| {
            let state = self.cursor(*conn, *sub).map(|cursor| &cursor.state);
            !is_open || matches!(state, Some(CursorState::Opening { .. }))
        });
        let code = UnsubscribeCode::Internal;
        let ended =
            waiting.into_iter().map(|(conn, sub)| self.end(now, conn, sub, code, config, fx));
        let notices = ended.collect();
        if is_open {
            // What the store has more must not be missed for ever.
            fx.arm(now.after(config.store_pause()), Timer::Read(number));
        } else {
            self.idle.retain(|(_, idle)| *idle != number);
            self.forget_topic(number, fx);
        }
        notices
    }
}

impl Topic {
    /// Reads no more of what lies before what is here.
    fn read_no_earlier(&mut self, bytes: &mut u64) {
        Topics::weighing(bytes, self, |topic| topic.earlier = None);
    }

    fn take(&mut self, now: Now, number: TopicNo, entries: Vec<LogEntry>, config: &NodeConfig) {
        let limits = LogLimits::of(self.spec, config);
        for entry in entries {
            // An append was heard of in the meantime.
            if entry.ts <= self.head() {
                continue;
            }
            if entry.ts != self.head().next() {
                self.clear(before(entry.ts));
            }
            let LogEntry { ts, name, bodies } = entry;
            let frames = Encoded::of(&bodies, |codec, body| codec.event(number, ts, &name, body));
            self.push(now, frames, limits);
        }
        self.catch_up(now, config);
    }
}
