//! Subscriptions: from SUBSCRIBE to a cursor in the log, gaps and snapshots (PROTOCOL.md section
//! 7).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Node;
use super::state::{Encoded, Running, Sub, SubState};
use super::timer::Timer;
use super::topic::{Follower, SnapshotRun, Topic};
use super::types::{ConnId, ExecId, Execution};
use crate::session::store::TopicId;
use crate::session::{Close, CloseCode, Now};
use crate::wire::{
    Body, Codec, Name, Position, ResetReason, ServerFrame, SubNo, Subscribe, Subscribed, TopicNo,
    TopicSeq, UnsubscribeCode, Window,
};

/// Where a subscription begins.
enum Place {
    /// Right after the position that the client gave.
    At(TopicSeq),
    /// Not there.
    Reset(ResetReason),
    /// The log must be read before that can be said.
    Unclear,
}

fn place(from: Option<Position>, topic: &Topic, fresh: bool) -> Place {
    let Some(from) = from else { return Place::Reset(ResetReason::Initial) };
    if topic.epoch != Some(from.epoch) {
        return if fresh { Place::Reset(ResetReason::Epoch) } else { Place::Unclear };
    }
    if from.ts > topic.head {
        return if fresh { Place::Reset(ResetReason::Ahead) } else { Place::Unclear };
    }
    if from.ts < topic.floor() { Place::Reset(ResetReason::Trimmed) } else { Place::At(from.ts) }
}

impl Node {
    pub(super) fn on_subscribe(&mut self, now: Now, conn: ConnId, subscribe: Subscribe) {
        let Subscribe { sub, topic, key, from, credit } = subscribe;
        let limits = (self.config.subscriptions as usize, self.config.topic_key_bytes as usize);
        let Some(state) = self.conns.get(&conn) else { return };
        if state.subs.contains_key(&sub) {
            return self.close(
                now,
                conn,
                Close::new(CloseCode::MALFORMED, "a subscription number was used twice"),
            );
        }
        let Some((spec, _)) = self.config.topic(&topic) else {
            return self.refuse_sub(now, conn, sub, UnsubscribeCode::Unsupported);
        };
        if state.subs.len() >= limits.0 {
            return self.refuse_sub(now, conn, sub, UnsubscribeCode::Overload);
        }
        if key.len() > limits.1 {
            return self.refuse_sub(now, conn, sub, UnsubscribeCode::Invalid);
        }
        let principal = state.attached().and_then(|(session, _)| self.sessions.get(session));
        let Some(principal) = principal.map(|session| session.principal.clone()) else { return };
        let key: Arc<str> = key.into();
        let exec = self.start_hook(now, self.config.hook_ms, Running::Authorize(conn, sub));
        let max = self.config.max_credit;
        let state = Sub {
            state: SubState::Authorizing { exec, spec, key: Arc::clone(&key) },
            topic: TopicNo::ZERO,
            from,
            credit: Window {
                frames: credit.frames.clamp(1, max.frames.max(1)),
                bytes: credit.bytes.clamp(1, max.bytes.max(1)),
            },
            cursor: TopicSeq::ZERO,
            position: TopicSeq::ZERO,
            sent_bytes: 0,
            finished_bytes: 0,
            volatiles: VecDeque::new(),
            snapshot_tries: 0,
        };
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.subs.insert(sub, state);
        }
        self.execute(Execution::Authorize { exec, conn, principal, topic: spec, key });
    }

    fn refuse_sub(&mut self, now: Now, conn: ConnId, sub: SubNo, code: UnsubscribeCode) {
        let retry_ms = code.is_retry().then_some(self.config.retry_ms);
        self.control(now, conn, ServerFrame::Unsubscribed { sub, code, retry_ms });
    }

    pub(super) fn end_sub(&mut self, now: Now, conn: ConnId, sub: SubNo, code: UnsubscribeCode) {
        self.remove_sub(now, conn, sub);
        self.refuse_sub(now, conn, sub, code);
    }

    pub(super) fn on_authorized(
        &mut self,
        now: Now,
        conn: ConnId,
        sub: SubNo,
        answer: Result<(), UnsubscribeCode>,
    ) {
        let Some(state) = self.conns.get_mut(&conn).and_then(|conn| conn.subs.get_mut(&sub)) else {
            return;
        };
        let SubState::Authorizing { spec, key, .. } =
            std::mem::replace(&mut state.state, SubState::Opening { reads: 0, anew: false })
        else {
            return;
        };
        if let Err(code) = answer {
            return self.end_sub(now, conn, sub, code);
        }
        let Some(name) = self.config.topics.get(usize::from(spec)).map(|spec| spec.name.clone())
        else {
            return;
        };
        let Some(number) = self.hold_topic(TopicId { name, key }, spec) else {
            return self.end_sub(now, conn, sub, UnsubscribeCode::Overload);
        };
        let Some(topic) = self.topics.get_mut(&number) else { return };
        if topic.followers.contains_key(&conn) {
            return self.end_sub(now, conn, sub, UnsubscribeCode::Duplicate);
        }
        // Interest is registered before anything of the log is looked at.
        topic.followers.insert(conn, Follower { sub, told: false });
        if let Some(since) = topic.idle_since.take() {
            self.idle_topics.remove(&(since, number));
        }
        if topic.touched.is_none() {
            topic.touched = Some(now);
            self.followed_topics.insert((now, number));
        }
        let (loaded, reads) = (topic.loaded, topic.reads);
        if let Some(state) = self.conns.get_mut(&conn).and_then(|conn| conn.subs.get_mut(&sub)) {
            state.topic = number;
            state.state = SubState::Opening { reads, anew: false };
        }
        if loaded && !self.open(now, number, conn, sub) {
            self.read_log(number);
        }
    }

    /// The log has been read: whoever waited for that can begin. `false` if it must be read again
    /// for somebody who came while it was being read.
    pub(super) fn open_waiting(&mut self, now: Now, number: TopicNo) -> bool {
        let Some(topic) = self.topics.get(&number) else { return true };
        let followers: Vec<_> =
            topic.followers.iter().map(|(conn, follower)| (*conn, follower.sub)).collect();
        let mut all = true;
        for (conn, sub) in followers {
            let state =
                self.conns.get(&conn).and_then(|state| state.subs.get(&sub)).map(|sub| &sub.state);
            if matches!(state, Some(SubState::Opening { .. })) {
                all &= self.open(now, number, conn, sub);
            }
        }
        self.run_snapshot(now, number);
        all
    }

    /// Finds a subscription's place in the log; `false` if the log must be read for that.
    fn open(&mut self, now: Now, number: TopicNo, conn: ConnId, sub: SubNo) -> bool {
        let Some(topic) = self.topics.get_mut(&number) else { return true };
        let spec = self.config.topics.get(usize::from(topic.spec));
        topic.expire(now, spec.map_or(0, |spec| spec.retention.ttl_ms));
        let has_snapshot = spec.is_some_and(|spec| spec.snapshot);
        let Some(state) = self.conns.get(&conn).and_then(|conn| conn.subs.get(&sub)) else {
            return true;
        };
        let SubState::Opening { reads, anew } = state.state else { return true };
        let fresh = !topic.reading && topic.reads > reads;
        match if anew { Place::Reset(ResetReason::Epoch) } else { place(state.from, topic, fresh) }
        {
            Place::Unclear => return false,
            Place::At(ts) => self.announce(now, conn, sub, number, ts, None),
            Place::Reset(reason) => {
                // Of another epoch the client may have seen everything; of this one nothing above
                // the floor.
                let kept = reason == ResetReason::Trimmed && !has_snapshot;
                let ts = if kept { topic.floor() } else { topic.head };
                self.announce(now, conn, sub, number, ts, Some(reason));
            }
        }
        true
    }

    /// Tells where a subscription begins, or begins anew.
    fn announce(
        &mut self,
        now: Now,
        conn: ConnId,
        no: SubNo,
        number: TopicNo,
        ts: TopicSeq,
        reset: Option<ResetReason>,
    ) {
        let Some(topic) = self.topics.get(&number) else { return };
        let Some(epoch) = topic.epoch else { return };
        let has_snapshot =
            self.config.topics.get(usize::from(topic.spec)).is_some_and(|spec| spec.snapshot);
        let snapshot = has_snapshot && reset.is_some();
        // A state that is being read already will do: SUBSCRIBED says where it begins, so that a
        // position never goes back.
        let run = topic.snapshot.as_ref().filter(|run| snapshot && run.ts >= topic.floor());
        let ts = run.map_or(ts, |run| run.ts);
        let head = topic.head;
        let Some(state) = self.conns.get_mut(&conn) else { return };
        let Some(sub) = state.subs.get_mut(&no) else { return };
        sub.state = if snapshot { SubState::AwaitingSnapshot } else { SubState::Live };
        sub.from = None;
        sub.cursor = ts;
        sub.position = ts;
        sub.snapshot_tries = 0;
        state.ready(no);
        let subscribed = Subscribed { sub: no, number, epoch, ts, head, snapshot, reset };
        self.control(now, conn, ServerFrame::Subscribed(Box::new(subscribed)));
        if snapshot {
            self.run_snapshot(now, number);
        }
    }

    /// A live subscription fell behind what is retained (PROTOCOL.md 7.6). It goes on at the head:
    /// at the oldest entry it would fall behind again with the next one that is published, and a
    /// peer that takes nothing would be told so each time.
    pub(super) fn on_fallen_behind(&mut self, now: Now, conn: ConnId, sub: SubNo, number: TopicNo) {
        if let Some(head) = self.topics.get(&number).map(|topic| topic.head) {
            self.announce(now, conn, sub, number, head, Some(ResetReason::Trimmed));
        }
    }

    /// Asks for the topic's state if somebody waits for it and nobody has asked (single flight).
    fn run_snapshot(&mut self, now: Now, number: TopicNo) {
        let codecs = self.config.codecs.clone();
        let Some(topic) = self.topics.get_mut(&number) else { return };
        let Some(epoch) = topic.epoch else { return };
        let conns = &self.conns;
        let waits = |(conn, follower): (&ConnId, &Follower)| {
            let sub = conns.get(conn).and_then(|state| state.subs.get(&follower.sub));
            sub.is_some_and(|sub| matches!(sub.state, SubState::AwaitingSnapshot))
        };
        if topic.snapshot.is_some() || !topic.loaded || !topic.followers.iter().any(waits) {
            return;
        }
        // The position is taken before the state is read: the state contains at least everything up
        // to it.
        let ts = topic.head;
        let (spec, key) = (topic.spec, Arc::clone(&topic.id.key));
        let exec = self.start_hook(now, self.config.hook_ms, Running::Snapshot(number));
        if let Some(topic) = self.topics.get_mut(&number) {
            topic.snapshot = Some(SnapshotRun { exec, epoch, ts });
        }
        let position = Position { epoch, ts };
        self.execute(Execution::Snapshot { exec, topic: spec, key, position, codecs });
    }

    pub(super) fn on_snapshot(
        &mut self,
        now: Now,
        number: TopicNo,
        exec: ExecId,
        state: Option<(Name, Vec<(Codec, Body)>)>,
    ) {
        let tries = self.config.snapshot_tries;
        let Some(topic) = self.topics.get_mut(&number) else { return };
        let Some(run) = topic.snapshot.take_if(|run| run.exec == exec) else { return };
        let ts = run.ts;
        let usable = topic.epoch == Some(run.epoch) && ts >= topic.floor();
        let frames = state.map(|(name, bodies)| {
            Encoded::of(&bodies, |codec, body| codec.snapshot(number, ts, &name, body))
        });
        let followers: Vec<_> =
            topic.followers.iter().map(|(conn, follower)| (*conn, follower.sub)).collect();
        for (conn, no) in followers {
            let Some(state) = self.conns.get_mut(&conn) else { continue };
            let codec = state.codec;
            let Some(sub) = state.subs.get_mut(&no) else { continue };
            if !matches!(sub.state, SubState::AwaitingSnapshot) {
                continue;
            }
            match frames.as_ref().and_then(|frames| frames.get(codec)) {
                // It began anew at a later place, and does not go back.
                Some(_) if sub.cursor > ts => {}
                Some(frame) if usable => {
                    sub.state = SubState::Snapshot { ts, frame: frame.clone() };
                    sub.cursor = ts;
                    sub.position = ts;
                    state.ready(no);
                    self.wake(conn);
                }
                Some(_) if sub.snapshot_tries < tries => sub.snapshot_tries += 1,
                _ => self.end_sub(now, conn, no, UnsubscribeCode::Internal),
            }
        }
        self.run_snapshot(now, number);
    }

    pub(super) fn on_position(
        &mut self,
        _now: Now,
        conn: ConnId,
        number: TopicNo,
        ts: TopicSeq,
        bytes: u64,
    ) {
        let Some(follower) = self.topics.get(&number).and_then(|topic| topic.followers.get(&conn))
        else {
            return;
        };
        let no = follower.sub;
        let Some(state) = self.conns.get_mut(&conn) else { return };
        let Some(sub) = state.subs.get_mut(&no) else { return };
        // Each of the two counts alone: after a reset an earlier position is too low, and its bytes
        // are as good as ever.
        sub.position = sub.position.max(ts.min(sub.cursor));
        sub.finished_bytes = sub.finished_bytes.max(bytes.min(sub.sent_bytes));
        state.ready(no);
        self.wake(conn);
    }

    pub(super) fn remove_sub(&mut self, now: Now, conn: ConnId, no: SubNo) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        let Some(sub) = state.subs.remove(&no) else { return };
        state.ready.retain(|ready| *ready != no);
        self.unfollow(now, conn, no, &sub);
    }

    pub(super) fn forget_subs(&mut self, now: Now, conn: ConnId, subs: BTreeMap<SubNo, Sub>) {
        for (no, sub) in subs {
            self.unfollow(now, conn, no, &sub);
        }
    }

    fn unfollow(&mut self, now: Now, conn: ConnId, no: SubNo, sub: &Sub) {
        if let SubState::Authorizing { exec, .. } = sub.state {
            self.abort(exec);
        }
        let Some(topic) = self.topics.get_mut(&sub.topic) else { return };
        if topic.followers.get(&conn).is_some_and(|follower| follower.sub == no) {
            topic.followers.remove(&conn);
            if topic.followers.is_empty() {
                topic.idle_since = Some(now);
                self.idle_topics.insert((now, sub.topic));
                if let Some(touched) = topic.touched.take() {
                    self.followed_topics.remove(&(touched, sub.topic));
                }
            }
        }
    }

    /// A hook has not answered in time, or not with an answer.
    pub(super) fn on_hook_late(&mut self, now: Now, exec: ExecId) {
        let Some(running) = self.end_running(exec) else { return };
        self.stop(exec);
        match running {
            Running::Volatile(conn) => self.on_volatile_executed(now, conn, Vec::new()),
            Running::Authorize(conn, sub) => {
                self.end_sub(now, conn, sub, UnsubscribeCode::Internal)
            }
            Running::Snapshot(topic) => self.on_snapshot(now, topic, exec, None),
            Running::Authenticate(conn) => {
                self.close(
                    now,
                    conn,
                    Close::new(CloseCode::OVERLOADED, "the credentials could not be checked"),
                );
            }
            // Commands have their lease's timer.
            Running::Command(..) => {}
        }
    }

    pub(super) fn read_log_later(&mut self, now: Now, number: TopicNo) {
        self.arm(now.after_ms(self.config.store_retry_ms << 10), Timer::Read(number));
    }
}
