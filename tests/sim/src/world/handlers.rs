//! The server's application as data: how long it takes, what it answers, what it publishes.

use std::sync::Arc;
use std::time::Duration;

use steadfast::session::node::{
    ExecId, Executed, Execution, Identity, Principal, StagedPublish, TopicVolatile,
};
use steadfast::session::store::{Decided, Outcome, Publication, TopicId};
use steadfast::wire::{Body, Codec, CommandNo, FailureCode, LeaseId, RefusalCode, UnsubscribeCode};
use steadfast_rig::fixtures::{self, STATE, number_in};
use steadfast_rig::pump::Begun;

use super::{Due, World};
use crate::checkers::Owed;
use crate::mistake::Mistake;
use crate::plan::{KEYS, TOPICS, name};

/// A command whose handler waits for [`World::finish`].
#[derive(Debug, Clone)]
pub struct Held {
    /// Where it runs.
    pub node: usize,
    /// In which process.
    pub process: u64,
    /// As what.
    pub exec: ExecId,
    /// Under which lease.
    pub lease: LeaseId,
    /// Its number.
    pub n: CommandNo,
    /// Which command of the run it is.
    pub command: u64,
}

/// What a handler answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Success, with so many events for the first topic, key `a`.
    Ok(u64),
    /// The application's error.
    Error,
    /// Its own failure.
    Internal,
    /// The body does not fit.
    Invalid,
}

/// A body with a number that occurs nowhere else.
#[must_use]
pub(super) fn numbered(number: u64, padding: u64) -> Body {
    fixtures::numbered(number, "x".repeat(padding as usize))
}

/// A topic's name in the store.
#[must_use]
pub(super) fn topic_id(topic: usize, key: &str) -> TopicId {
    fixtures::topic(TOPICS[topic], key)
}

impl World {
    /// Runs an execution, or lets it run for a while.
    pub(super) fn execute(&mut self, node: usize, execution: Execution) -> Begun {
        let process = self.nodes[node].process;
        self.note(|_| format!("node {node}: execute {execution:?}"));
        let now = self.node_now(node);
        self.checkers.executing(now, process, &execution);
        self.checkers.runs_until(process, now, &execution);
        let (exec, after, executed) = match execution {
            Execution::Authenticate { exec, token, .. } => {
                (exec, self.hook_delay(), self.authenticate(token))
            }
            Execution::Command { exec, lease, n, ref body, .. } => {
                let command = number_in(body);
                if self.plan.handlers.manual {
                    self.held.push(Held { node, process, exec, lease, n, command });
                    return Begun::Pends;
                }
                let unfit = self.is_unfit(command);
                let Some(after) = self.handler_delay(unfit) else { return Begun::Pends };
                (exec, after, self.handle_command(command))
            }
            Execution::Volatile { exec, .. } => (exec, self.hook_delay(), self.handle_volatile()),
            Execution::Authorize { exec, .. } => {
                let forbidden = !self.healing && self.rng.chance(self.plan.handlers.forbidden);
                let verdict = if forbidden { Err(UnsubscribeCode::Forbidden) } else { Ok(()) };
                (exec, self.hook_delay(), Executed::Authorized(verdict))
            }
            Execution::Snapshot { exec, topic, ref key, .. } => {
                (exec, self.hook_delay(), self.snapshot(topic, key))
            }
        };
        if after == 0 {
            let goes_on = executed == Executed::Decides;
            self.report(node, process, exec, executed);
            return if goes_on { Begun::Pends } else { Begun::Ended };
        }
        self.after(after, Due::Executed { node, process, exec, executed: Box::new(executed) });
        Begun::Pends
    }

    fn hook_delay(&mut self) -> u64 {
        if self.healing { 0 } else { self.rng.within(self.plan.handlers.delay_ms) }
    }

    /// A body that does not fit does not fit the next time either; no handler ever sees it.
    pub(super) const fn is_unfit(&self, command: u64) -> bool {
        self.plan.handlers.invalid > 0 && command.is_multiple_of(29)
    }

    fn handler_delay(&mut self, unfit: bool) -> Option<u64> {
        if unfit {
            return Some(0);
        }
        let delay = self.hook_delay();
        let never = !self.healing && self.rng.chance(self.plan.handlers.never);
        (!never).then_some(delay)
    }

    fn authenticate(&mut self, token: Option<String>) -> Executed {
        let token = token.unwrap_or_default();
        let mut user = token.trim_end_matches('!').to_owned();
        if user == "nobody" {
            self.checkers.sometimes.count("credentials refused");
            return fixtures::denied();
        }
        if self.plan.mistake == Some(Mistake::SwapsPrincipals) && self.rng.chance(300) {
            user = "mallory".to_owned();
        }
        let mut identity = Identity::new(Principal::new(user));
        if token.ends_with('!') {
            identity.expires_in = Some(Duration::from_millis(self.rng.within((50, 1_500))));
        }
        Executed::Authenticated(Ok(identity))
    }

    fn handle_command(&mut self, command: u64) -> Executed {
        let odds = self.plan.handlers;
        if self.is_unfit(command) {
            return self.executed(Answer::Invalid);
        }
        if odds.decides > 0 && self.rng.chance(odds.decides) {
            return Executed::Decides;
        }
        let answer = self.answer();
        self.executed(answer)
    }

    fn answer(&mut self) -> Answer {
        let odds = self.plan.handlers;
        if self.rng.chance(odds.error) {
            Answer::Error
        } else if self.rng.chance(odds.internal) {
            Answer::Internal
        } else {
            Answer::Ok(self.rng.within((0, odds.publishes)))
        }
    }

    /// What a handler that has left its outcome to the store decides there.
    pub(super) fn decide(&mut self) -> Decided {
        let answer = self.answer();
        let Executed::Command { outcome, publishes } = self.executed(answer) else {
            unreachable!("a body that does not fit comes to no decision")
        };
        let events = publishes.into_iter().filter_map(|publish| match publish {
            StagedPublish::Event(event) => Some(event),
            StagedPublish::Volatile(_) | StagedPublish::Direct(_) => None,
        });
        Decided { outcome, publishes: events.collect() }
    }

    fn executed(&mut self, answer: Answer) -> Executed {
        let unique = self.fresh();
        let failed = |code, error: &str| Outcome::failed(code, name(error), Body::UNIT);
        let (outcome, events) = match answer {
            Answer::Ok(events) => (Outcome::Ok(numbered(unique, unique % 40)), events),
            Answer::Error => {
                let body = numbered(unique, 0);
                (Outcome::failed(FailureCode::Error, name("muted"), body), 1)
            }
            Answer::Internal => (failed(FailureCode::Internal, ""), 1),
            Answer::Invalid => return Executed::Refused(RefusalCode::Invalid),
        };
        let publishes = (0..events).map(|_| StagedPublish::Event(self.publication())).collect();
        Executed::Command { outcome, publishes }
    }

    pub(super) fn publication(&mut self) -> Publication {
        let (topic, key) = if self.plan.handlers.manual {
            (0, KEYS[0])
        } else {
            (self.rng.below(TOPICS.len() as u64) as usize, self.rng.pick(&KEYS))
        };
        let unique = self.fresh();
        let padding = self.rng.pick(&[0, 5, 60]);
        let body = numbered(unique, padding);
        let bodies = self.in_each_codec(&body);
        Publication { bodies, ..fixtures::publication(topic_id(topic, key), body) }
    }

    pub(super) fn topic_volatile(&mut self) -> TopicVolatile {
        let topic = self.publication().topic;
        let unique = self.fresh();
        let body = numbered(unique, 0);
        let bodies = self.in_each_codec(&body);
        TopicVolatile { bodies, ..fixtures::volatile(topic, &format!("k{}", unique % 3), body) }
    }

    /// What a server does with what it publishes. To the protocol a body is bytes, in any codec.
    pub(super) fn in_each_codec(&self, body: &Body) -> Vec<(Codec, Body)> {
        self.plan.codecs.iter().map(|codec| (*codec, body.clone())).collect()
    }

    fn handle_volatile(&mut self) -> Executed {
        let publishes = vec![StagedPublish::Volatile(self.topic_volatile())];
        Executed::Volatile { publishes }
    }

    fn snapshot(&mut self, topic: u16, key: &Arc<str>) -> Executed {
        if !self.healing && self.rng.chance(self.plan.handlers.snapshot_fails) {
            self.checkers.sometimes.count("snapshot failed");
            return Executed::Snapshot(None);
        }
        let head =
            self.checkers.topics.head(&topic_id(usize::from(topic), key)).map_or(0, |at| at.ts.0);
        let bodies = self.in_each_codec(&numbered(head, 0));
        Executed::Snapshot(Some((name(STATE), bodies)))
    }

    pub(super) fn report(&mut self, node: usize, process: u64, exec: ExecId, executed: Executed) {
        let now = self.node_now(node);
        let slot = &mut self.nodes[node];
        let Some(core) = slot.core.as_mut().filter(|_| slot.process == process) else { return };
        self.checkers.executed(process, exec, &executed);
        self.checkers.run_ends(process, exec, now, &executed);
        core.handle_executed(now, exec, executed.clone());
        self.note(|_| format!("node {node}: {exec:?} ended {executed:?}"));
    }

    pub(super) fn abort(&mut self, node: usize, exec: ExecId) {
        let process = self.nodes[node].process;
        self.held.retain(|held| (held.process, held.exec) != (process, exec));
        self.checkers.aborted(process, exec);
        self.checkers.kept(process, Owed::Run(exec));
    }

    /// A handler is told that its caller does not want it any more: some give up soon.
    pub(super) fn cancel_handler(&mut self, node: usize, exec: ExecId) {
        let process = self.nodes[node].process;
        self.checkers.handler_is_told(process, exec);
        if self.plan.handlers.manual || self.rng.chance(500) {
            return;
        }
        let (after, answer) = (self.rng.within((0, 20)), self.answer());
        let executed = Box::new(self.executed(answer));
        self.after(after, Due::Executed { node, process, exec, executed });
    }

    /// The handler that holds a command answers, the newest one if there are several; `false` if
    /// none does.
    pub fn finish(&mut self, command: u64, answer: Answer) -> bool {
        let Some(at) = self.held.iter().rposition(|held| held.command == command) else {
            return false;
        };
        self.finish_held(at, answer);
        true
    }

    /// The handler at this place of [`World::held`] answers.
    pub fn finish_held(&mut self, at: usize, answer: Answer) {
        let held = self.held.remove(at);
        let executed = self.executed(answer);
        self.report(held.node, held.process, held.exec, executed);
        self.pump();
    }
}
