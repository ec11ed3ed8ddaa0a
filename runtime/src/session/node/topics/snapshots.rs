//! A topic's state for those who can't be given its events (PROTOCOL.md 7.5). One call of the hook
//! serves all that wait.

use std::sync::Arc;

use super::cursor::CursorState;
use super::state::{CURSOR, FEED, Notices, TOPIC, Topics};
use super::topic::{Encoded, SnapshotRun};
use crate::session::Now;
use crate::session::held::held;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Running};
use crate::session::node::types::{ExecId, Execution};
use crate::wire::{Body, Codec, Name, Position, TopicNo, UnsubscribeCode};

const HOOK_ENDS: &str = "a topic that ends takes its hook with it";

impl Topics {
    /// Asks for the topic's state if somebody waits for it and nobody has asked.
    pub(super) fn run_snapshot(
        &mut self,
        now: Now,
        number: TopicNo,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        let feeds = &self.feeds;
        let Some(topic) = held(self.topics.get_mut(&number), TOPIC) else { return };
        // The store has not told it yet.
        let Some(epoch) = topic.epoch else { return };
        let waits = |(conn, sub)| {
            let cursor = feeds.get(&conn).and_then(|feed| feed.cursors.get(&sub));
            cursor.is_some_and(|cursor| matches!(cursor.state, CursorState::AwaitingSnapshot))
        };
        if topic.snapshot.is_some()
            || !topic.reading.loaded
            || !topic.followers.iter().any(|(conn, follower)| waits((*conn, follower.sub)))
        {
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
        let ts = run.ts;
        let usable = topic.epoch == Some(run.epoch) && ts >= topic.floor();
        let frames = state.map(|(name, bodies)| {
            Encoded::of(&bodies, |codec, body| codec.snapshot(number, ts, &name, body))
        });
        for (conn, sub) in topic.follows() {
            let Some(feed) = held(self.feeds.get_mut(&conn), FEED) else { continue };
            let frame = frames.as_ref().and_then(|frames| frames.get(feed.codec));
            let Some(cursor) = held(feed.cursors.get_mut(&sub), CURSOR) else { continue };
            if !matches!(cursor.state, CursorState::AwaitingSnapshot) {
                continue;
            }
            match frame {
                // It began anew at a later place, and does not go back.
                Some(_) if cursor.at() > ts => {}
                Some(frame) if usable => {
                    cursor.stand(ts, CursorState::Snapshot { frame: frame.clone() });
                    feed.ready(sub);
                    fx.wake(conn);
                }
                Some(_) if cursor.snapshot_tries < config.snapshot_tries => {
                    cursor.snapshot_tries += 1;
                }
                _ => {
                    notices.push(self.end(now, conn, sub, UnsubscribeCode::Internal, config, fx));
                }
            }
        }
        self.run_snapshot(now, number, config, fx);
        notices
    }
}
