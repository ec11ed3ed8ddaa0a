//! A topic's state for those who can't be given its events (PROTOCOL.md 7.5). One call of the hook
//! serves all that wait, and all that come within the smallest interval between two calls.

use std::sync::Arc;
use std::time::Duration;

use super::cursor::CursorState;
use super::kept::Kept;
use super::state::{CURSOR, FEED, Notices, TOPIC, Topics};
use super::topic::SnapshotRun;
use crate::session::Now;
use crate::session::held::held;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Running, Timer};
use crate::session::node::types::{ExecId, Execution};
use crate::wire::{Body, Codec, Name, Position, TopicNo, TopicSeq, UnsubscribeCode};

const HOOK_ENDS: &str = "a topic that ends takes its hook with it";

/// Time between looks whether somebody still waits for a state that is kept.
const LOOK: Duration = Duration::from_secs(1);

/// States that are looked at, at most, to find room for a new one. Those that somebody waits for
/// are looked at again later than those that nobody does, so that they don't stand in front.
const LOOKED_AT: usize = 32;

impl Topics {
    /// Asks for the topic's state if somebody waits for it, nobody has asked, and the last time is
    /// long enough ago.
    pub(super) fn run_snapshot(
        &mut self,
        now: Now,
        number: TopicNo,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        let waits =
            self.is_in_state(number, |state| matches!(state, CursorState::AwaitingSnapshot));
        let Some(topic) = held(self.topics.get_mut(&number), TOPIC) else { return };
        // The store has not told it yet.
        let Some(epoch) = topic.epoch else { return };
        if topic.snapshot.is_some() || topic.rests(now) || !waits {
            return;
        }
        // The position is taken before the state is read: the state contains at least everything up
        // to it.
        let ts = topic.head();
        let exec = fx.begin(now, config.hook_timeout, Running::Snapshot(number));
        topic.snapshot = Some(SnapshotRun { exec, epoch, ts });
        fx.execute(Execution::Snapshot {
            exec,
            topic: topic.spec,
            key: Arc::clone(&topic.id.key),
            position: Position { epoch, ts },
            codecs: config.codecs.clone(),
        });
    }

    /// Whether somebody follows a topic who is at this point.
    fn is_in_state(&self, number: TopicNo, is: impl Fn(&CursorState) -> bool) -> bool {
        let Some(topic) = held(self.topics.get(&number), TOPIC) else { return false };
        topic.followers.iter().any(|(conn, follower)| {
            let feed = self.feeds.get(conn);
            feed.and_then(|feed| feed.cursors.get(&follower.sub)).is_some_and(|it| is(&it.state))
        })
    }

    /// The hook has answered; `None` if it failed.
    pub(crate) fn snapshot(
        &mut self,
        now: Now,
        number: TopicNo,
        exec: ExecId,
        state: Option<(Name, Vec<(Codec, Body)>)>,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Notices {
        let mut notices = Notices::new();
        let Some(topic) = held(self.topics.get_mut(&number), HOOK_ENDS) else { return notices };
        let run = topic.snapshot.take_if(|run| run.exec == exec);
        let Some(run) = held(run, "a hook answers once") else { return notices };
        let usable = topic.epoch == Some(run.epoch) && run.ts >= topic.floor();
        let follows = topic.follows();
        let told = self.read_state(number, run.ts, state, config);
        for (conn, sub) in follows {
            let Some(feed) = held(self.feeds.get_mut(&conn), FEED) else { continue };
            let codec = feed.codec;
            let Some(cursor) = held(feed.cursors.get_mut(&sub), CURSOR) else { continue };
            if !matches!(cursor.state, CursorState::AwaitingSnapshot) {
                continue;
            }
            let code = match &told {
                // It began anew at a later place, and does not go back.
                Ok(kept) if cursor.at() > kept.ts => continue,
                Ok(kept) if usable && kept.is_in(codec) => {
                    cursor.stand(kept.ts, CursorState::Snapshot);
                    feed.ready(sub);
                    fx.wake(conn);
                    continue;
                }
                Ok(_) if !usable && cursor.snapshot_tries < config.snapshot_tries => {
                    cursor.snapshot_tries += 1;
                    continue;
                }
                Ok(_) => UnsubscribeCode::Internal,
                Err(code) => *code,
            };
            notices.push(self.end(now, conn, sub, code, config, fx));
        }
        if let Some(kept) = told.ok().filter(|_| usable) {
            self.keep(now, number, kept, config, fx);
        }
        self.run_snapshot(now, number, config, fx);
        notices
    }

    /// What the hook has told, if there is room for it.
    fn read_state(
        &mut self,
        number: TopicNo,
        ts: TopicSeq,
        state: Option<(Name, Vec<(Codec, Body)>)>,
        config: &NodeConfig,
    ) -> Result<Kept, UnsubscribeCode> {
        let (name, bodies) = state.ok_or(UnsubscribeCode::Internal)?;
        if bodies.iter().any(|(_, body)| body.len() > config.snapshot_bytes as usize) {
            return Err(UnsubscribeCode::TooLarge);
        }
        let kept = Kept::new(ts, name, bodies);
        if !self.has_room(number, kept.bytes(), config) {
            self.give_way(number, kept.bytes(), config);
            if !self.has_room(number, kept.bytes(), config) {
                return Err(UnsubscribeCode::Overload);
            }
        }
        Ok(kept)
    }

    /// Whether a state of so many bytes fits in the place of the topic's earlier one.
    fn has_room(&self, number: TopicNo, bytes: u64, config: &NodeConfig) -> bool {
        let earlier = self.topics.get(&number).and_then(|topic| topic.kept.as_ref());
        let others = self.kept_bytes - earlier.map_or(0, Kept::bytes);
        others + bytes <= config.snapshots_bytes
    }

    /// States that only newcomers would get give way to one that somebody waits for. Their hooks
    /// are left alone for as long as they would have been.
    fn give_way(&mut self, number: TopicNo, bytes: u64, config: &NodeConfig) {
        let looked_at: Vec<_> = self.kept_looks.iter().take(LOOKED_AT).copied().collect();
        for (look, other) in looked_at {
            if self.has_room(number, bytes, config) {
                return;
            }
            let is_taken = self.is_in_state(other, |state| matches!(state, CursorState::Snapshot));
            if other != number && !is_taken {
                self.kept_looks.remove(&(look, other));
                let Some(topic) = held(self.topics.get_mut(&other), TOPIC) else { continue };
                self.kept_bytes -= topic.kept.take().as_ref().map_or(0, Kept::bytes);
            }
        }
    }

    // ---- what is kept ----

    /// Keeps what the hook has just told, in the place of what it told before.
    fn keep(
        &mut self,
        now: Now,
        number: TopicNo,
        kept: Kept,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        self.stop_keeping(number, fx);
        let Some(topic) = held(self.topics.get_mut(&number), TOPIC) else { return };
        self.kept_bytes += kept.bytes();
        topic.kept = Some(kept);
        let fresh_until = now.after(config.snapshot_interval);
        topic.fresh_until = Some(fresh_until);
        let look = if now < fresh_until { fresh_until } else { now.after(LOOK) };
        self.look_at_kept(number, look, fx);
    }

    /// Lets go of a topic's state, and of looking at it.
    fn stop_keeping(&mut self, number: TopicNo, fx: &mut Effects) {
        let Some(topic) = held(self.topics.get_mut(&number), TOPIC) else { return };
        let (kept, look) = (topic.kept.take(), topic.kept_look.take());
        topic.fresh_until = None;
        self.drop_kept(number, kept, look, fx);
    }

    /// What a topic had is gone, with its look.
    pub(super) fn drop_kept(
        &mut self,
        number: TopicNo,
        kept: Option<Kept>,
        look: Option<Now>,
        fx: &mut Effects,
    ) {
        self.kept_bytes -= kept.as_ref().map_or(0, Kept::bytes);
        if let Some(at) = look {
            self.kept_looks.remove(&(at, number));
        }
        fx.disarm(look, Timer::Kept(number));
    }

    fn look_at_kept(&mut self, number: TopicNo, at: Now, fx: &mut Effects) {
        let Some(topic) = held(self.topics.get_mut(&number), TOPIC) else { return };
        if let Some(before) = topic.kept_look.replace(at) {
            self.kept_looks.remove(&(before, number));
        }
        self.kept_looks.insert((at, number));
        fx.arm(at, Timer::Kept(number));
    }

    /// A state is not fresh any more: it stays while somebody waits for the socket to take it.
    pub(crate) fn on_kept(
        &mut self,
        now: Now,
        number: TopicNo,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        if self.is_in_state(number, |state| matches!(state, CursorState::Snapshot)) {
            self.look_at_kept(number, now.after(config.snapshot_interval.max(LOOK)), fx);
        } else {
            self.stop_keeping(number, fx);
        }
        self.run_snapshot(now, number, config, fx);
    }

    /// Somebody was given a state that is for nobody else to come.
    pub(super) fn let_go(&mut self, number: TopicNo, config: &NodeConfig, fx: &mut Effects) {
        if config.snapshot_interval.is_zero()
            && !self.is_in_state(number, |state| matches!(state, CursorState::Snapshot))
        {
            self.stop_keeping(number, fx);
        }
    }
}
