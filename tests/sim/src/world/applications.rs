//! The clients' applications, and whoever publishes from outside: what they ask of the cores, and
//! how fast they read.

use std::time::Duration;

use steadfast::session::client::{
    CallId, SubId, Submission, SubmitError, SubscribeError, SubscriptionEnd, SubscriptionRequest,
};
use steadfast::session::node::{DirectMessage, PublishId, Recipient};
use steadfast::wire::{Body, Position, TopicSeq};
use steadfast_rig::fixtures;

use super::handlers::{numbered, topic_id};
use super::{Due, World};
use crate::checkers::{Owed, Said};
use crate::mistake::Mistake;
use crate::plan::{
    CONCURRENT, CONCURRENT_WITH_ID, KEYS, ORDERED, ORDERED_WITH_ID, TOPICS, VOLATILE, name,
};
use crate::rng::Rng;

const NO_TIME: Duration = Duration::ZERO;

/// How fast an application takes items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Not at all, until everything heals.
    Never,
    /// One each so many milliseconds.
    Each(u64),
}

/// A command with an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Its message.
    pub message: &'static str,
    /// The number in its body.
    pub written: u64,
    /// Its id.
    pub id: u64,
}

/// A subscription in the application's hands.
#[derive(Debug, Clone, Copy)]
pub struct AppSub {
    /// Which declared topic.
    pub topic: usize,
    /// How fast it is read.
    pub pace: Pace,
    /// Whether the application is about to ask for an item.
    asking: bool,
}

impl World {
    pub(super) fn work(&mut self) {
        let at = self.rng.below(self.clients.len() as u64) as usize;
        if self.client_sleeps(at) {
            return;
        }
        // Beside the rest, with chances of its own, so that a seed's other deeds stay what they are.
        let mut apart = Rng::new(self.rng.clone().next_u64().rotate_left(24));
        if apart.chance(100) {
            self.send_direct(at, &mut apart);
        }
        match self.rng.weighted(&[50, 14, 4, 5, 5, 16, 4, 2, 1]) {
            0 => self.submit_something(at),
            1 => self.subscribe_something(at),
            2 => self.unsubscribe_something(at),
            3 => self.cancel_something(at),
            4 => self.send_volatile(at),
            5 => self.publish_something(),
            6 => self.publish_volatile(),
            7 => {
                let now = self.client_now(at);
                self.checkers.wants_to_dial_at_once(self.clients[at].process);
                self.clients[at].core.reconnect_now(now);
            }
            _ => self.close_client(at),
        }
    }

    fn submit_something(&mut self, at: usize) {
        if self.clients[at].closed {
            self.crash_client(at);
            return;
        }
        if at + self.plan.readers >= self.clients.len() {
            return;
        }
        let message = match self.rng.below(40) {
            0 => "nonsense",
            1..=6 => return self.submit_something_with_an_id(at),
            at if at % 3 == 0 => CONCURRENT,
            _ => ORDERED,
        };
        let padding = self.rng.pick(&[0, 0, 10, 100, 1_500]);
        let timeout_ms = self.rng.pick(&[60, 500, 2_000, 10_000]);
        if self.meddle_order() {
            let (first, second) = (self.fresh(), self.fresh());
            let _ = self.submit_as(at, message, (second, first), padding, timeout_ms);
            let _ = self.submit_as(at, message, (first, second), padding, timeout_ms);
        } else {
            // What finds no room is not a call of the run.
            let _ = self.submit_with(at, message, padding, timeout_ms);
        }
    }

    /// Submits a command with an id: a new one, or as one that somebody has submitted lately, or with
    /// such an id and another body.
    fn submit_something_with_an_id(&mut self, at: usize) {
        let timeout_ms = self.rng.pick(&[60, 500, 2_000, 10_000]);
        let lately = self.named.len().saturating_sub(6);
        let known: Vec<Named> = self.named[lately..].to_vec();
        let named = match self.rng.below(6) {
            2.. if !known.is_empty() => self.rng.pick(&known),
            1 if !known.is_empty() => Named { written: self.fresh(), ..self.rng.pick(&known) },
            _ => {
                let message = self.rng.pick(&[ORDERED_WITH_ID, CONCURRENT_WITH_ID]);
                Named { message, written: self.fresh(), id: self.fresh() }
            }
        };
        if !self.named.contains(&named) {
            self.named.push(named);
        }
        let _ = self.submit_named(at, named, timeout_ms);
    }

    /// Submits a command with an id, which others may have submitted, too.
    ///
    /// # Errors
    /// As the client says.
    pub fn submit_named(
        &mut self,
        at: usize,
        named: Named,
        timeout_ms: u64,
    ) -> Result<(u64, CallId), SubmitError> {
        let Named { message, written, id } = named;
        let (command, body) = (self.fresh(), fixtures::with_id(written, id));
        let said = Said {
            ordered: message == ORDERED_WITH_ID && !self.is_unfit(written),
            written,
            id: Some((name(message), id.to_string())),
        };
        self.submit_body(at, message, body, (command, said), timeout_ms)
    }

    /// Submits a command; says which one of the run it is, and how the client calls it.
    ///
    /// # Panics
    /// When the client refuses it.
    pub fn submit(&mut self, at: usize, message: &str) -> (u64, CallId) {
        let done =
            self.submit_with(at, message, 0, 60_000).expect("a test does not fill the outbox");
        self.pump();
        done
    }

    /// Submits a command with a body and a patience.
    ///
    /// # Errors
    /// As the client says.
    pub fn submit_with(
        &mut self,
        at: usize,
        message: &str,
        padding: u64,
        timeout_ms: u64,
    ) -> Result<(u64, CallId), SubmitError> {
        let command = self.fresh();
        self.submit_as(at, message, (command, command), padding, timeout_ms)
    }

    /// Submits a command; the one in its body is the one that it is, unless the harness errs.
    fn submit_as(
        &mut self,
        at: usize,
        message: &str,
        (written, command): (u64, u64),
        padding: u64,
        timeout_ms: u64,
    ) -> Result<(u64, CallId), SubmitError> {
        let ordered = message == ORDERED && !self.is_unfit(command);
        let said = Said { ordered, written: command, id: None };
        self.submit_body(at, message, numbered(written, padding), (command, said), timeout_ms)
    }

    fn submit_body(
        &mut self,
        at: usize,
        message: &str,
        body: Body,
        (command, said): (u64, Said),
        timeout_ms: u64,
    ) -> Result<(u64, CallId), SubmitError> {
        let spec = self.plan.node.message(&name(message));
        let submission = Submission {
            name: name(message),
            body,
            timeout_ms: self.meddle_patience(timeout_ms),
            declared_timeout_ms: spec.map_or(1_000, |spec| spec.timeout.as_millis() as u64),
            max_bytes: 2_048,
        };
        let now = self.client_now(at);
        let (bytes, due) = (submission.body.len(), now.after_ms(timeout_ms));
        let slot = &mut self.clients[at];
        let call = slot.core.submit(now, submission)?;
        let (process, fate) = (slot.process, slot.core.fate(call));
        if self.plan.mistake != Some(Mistake::ForgetsPatience) {
            let save = if self.plan.journal.on { self.plan.client.journal.retry } else { NO_TIME };
            self.checkers.promise(process, Owed::Call(call), due.after(save));
        }
        self.checkers.submitted(process, call, command, said, due);
        if self.plan.journal.on {
            // It waits for room, or for the journal.
            self.checkers.sometimes.count("call waited to be saved");
        } else {
            self.checkers.call_is_taken(process, call, bytes, fate);
        }
        self.note(|_| format!("client {at}: submits {message} {command} as {call:?}"));
        Ok((command, call))
    }

    fn cancel_something(&mut self, at: usize) {
        let now = self.client_now(at);
        let slot = &mut self.clients[at];
        let Some(call) = self.checkers.some_call(slot.process, &mut self.rng) else { return };
        let cancelled = slot.core.cancel(now, call);
        // It may be there or not if the process dies before it is told to be withdrawn, be it later.
        self.checkers.lets_go(slot.process, call);
        self.checkers.is_unwanted(slot.process, call);
        self.note(|_| format!("client {at}: cancels {call:?}: {cancelled}"));
    }

    fn subscribe_something(&mut self, at: usize) {
        let topic = self.rng.below(TOPICS.len() as u64) as usize;
        let key = self.rng.pick(&KEYS);
        let known = self.checkers.topics.head(&topic_id(topic, key));
        let from = match self.rng.below(6) {
            0 => known,
            1 => known.map(|at| Position { ts: TopicSeq(at.ts.0 / 2), ..at }),
            2 if self.rng.chance(300) => {
                known.map(|at| Position { ts: TopicSeq(at.ts.0 + 3), ..at })
            }
            _ => None,
        };
        let pace = match self.rng.below(6) {
            0 => Pace::Never,
            1 => Pace::Each(self.rng.within((50, 500))),
            _ => Pace::Each(self.rng.within((0, 5))),
        };
        let last = match from {
            None if self.rng.chance(300) => Some(self.rng.below(9) as u32),
            _ => None,
        };
        let _ = self.subscribe_with(at, topic, key, (from, last), pace);
    }

    /// Subscribes.
    ///
    /// # Panics
    /// When the client refuses it.
    pub fn subscribe(&mut self, at: usize, topic: usize, key: &str, pace: Pace) -> SubId {
        let sub = self
            .subscribe_with(at, topic, key, (None, None), pace)
            .expect("a test does not subscribe too often");
        self.pump();
        sub
    }

    /// Subscribes from a position, or with so many of the latest events.
    ///
    /// # Errors
    /// As the client says.
    pub fn subscribe_with(
        &mut self,
        at: usize,
        topic: usize,
        key: &str,
        (from, last): (Option<Position>, Option<u32>),
        pace: Pace,
    ) -> Result<SubId, SubscribeError> {
        let request =
            SubscriptionRequest { topic: name(TOPICS[topic]), key: key.to_owned(), from, last };
        let now = self.client_now(at);
        let slot = &mut self.clients[at];
        let sub = slot.core.subscribe(now, request)?;
        slot.subs.insert(sub, AppSub { topic, pace, asking: false });
        let process = slot.process;
        self.checkers.subscribes(process, sub, topic_id(topic, key), from);
        self.note(|_| {
            format!(
                "client {at}: follows {} {key} as {sub:?} from {from:?}, {pace:?}",
                TOPICS[topic]
            )
        });
        Ok(sub)
    }

    fn unsubscribe_something(&mut self, at: usize) {
        let subs: Vec<SubId> = self.clients[at].subs.keys().copied().collect();
        if subs.is_empty() {
            return;
        }
        let sub = self.rng.pick(&subs);
        self.unsubscribe(at, sub);
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, at: usize, sub: SubId) {
        let now = self.client_now(at);
        let slot = &mut self.clients[at];
        slot.core.unsubscribe(now, sub);
        slot.subs.remove(&sub);
        let process = slot.process;
        self.checkers.unsubscribes(process, sub);
        self.note(|_| format!("client {at}: leaves {sub:?}"));
    }

    pub(super) fn subscription_ended(&mut self, at: usize, sub: SubId, end: &SubscriptionEnd) {
        let process = self.clients[at].process;
        self.clients[at].subs.remove(&sub);
        self.checkers.subscription_ended(process, sub, end);
    }

    pub(super) fn readable(&mut self, at: usize, sub: SubId) {
        let process = self.clients[at].process;
        let Some(app) = self.clients[at].subs.get_mut(&sub) else { return };
        let Pace::Each(ms) = app.pace else { return };
        if !std::mem::replace(&mut app.asking, true) {
            self.after(ms, Due::Poll { client: at, process, sub });
        }
    }

    pub(super) fn application_polls(&mut self, at: usize, process: u64, sub: SubId) {
        if self.clients[at].process != process || !self.clients[at].subs.contains_key(&sub) {
            return;
        }
        let more = self.poll_once(at, sub);
        let Some(app) = self.clients[at].subs.get_mut(&sub) else { return };
        app.asking = more && app.pace != Pace::Never;
        if let (true, Pace::Each(ms)) = (app.asking, app.pace) {
            self.after(ms, Due::Poll { client: at, process, sub });
        }
    }

    /// The application asks for an item; says whether there was one.
    pub fn poll_once(&mut self, at: usize, sub: SubId) -> bool {
        let process = self.clients[at].process;
        let now = self.client_now(at);
        let item = self.clients[at].core.poll_item(now, sub);
        self.note(|_| format!("client {at}: {sub:?} yields {item:?}"));
        self.checkers.asks(process, sub);
        self.pump_client(at);
        let Some(item) = item else { return false };
        for item in self.meddle_items(item) {
            self.checkers.item(process, sub, &item);
        }
        true
    }

    fn send_volatile(&mut self, at: usize) {
        let unique = self.fresh();
        let now = self.client_now(at);
        self.clients[at].core.volatile(
            now,
            name(VOLATILE),
            format!("k{}", unique % 3),
            numbered(unique, 0),
        );
    }

    fn publish_something(&mut self) {
        let at = self.rng.below(self.nodes.len() as u64) as usize;
        self.publish(at);
    }

    /// Publishes an event from outside any command.
    pub fn publish(&mut self, at: usize) -> Option<PublishId> {
        let publication = self.publication();
        let (process, now) = (self.nodes[at].process, self.node_now(at));
        if self.node_sleeps(at) {
            return None;
        }
        let core = self.nodes[at].core.as_mut()?;
        let id = core.publish(now, publication.clone());
        self.checkers.publishes(process, id, &publication);
        self.note(|_| format!("node {at}: publishes {publication:?}"));
        self.pump();
        Some(id)
    }

    /// Some node is given a message for a client: for its lease, or for everybody of its user.
    fn send_direct(&mut self, client: usize, rng: &mut Rng) {
        let process = self.clients[client].process;
        let here = self.checkers.node_of(process).filter(|_| rng.chance(700));
        let here = here.and_then(|of| self.nodes.iter().position(|node| node.process == of));
        let at = here.unwrap_or_else(|| rng.below(self.nodes.len() as u64) as usize);
        let lease = self.checkers.lease_of(process);
        let to = match lease.filter(|_| rng.chance(700)) {
            Some(lease) => Recipient::Lease(lease),
            None => Recipient::principal(self.clients[client].user.as_str()),
        };
        for _ in 0..rng.within((1, 4)) {
            self.send_direct_to(at, &to, rng.pick(&[0, 5, 60]));
        }
    }

    /// A node is given a message.
    pub fn send_direct_to(&mut self, at: usize, to: &Recipient, padding: u64) {
        self.directs += 1;
        let (number, process, now) = (self.directs, self.nodes[at].process, self.node_now(at));
        let bodies = self.in_each_codec(&numbered(number, padding));
        let message = DirectMessage { to: to.clone(), name: name("told"), bodies };
        let asleep = self.node_sleeps(at);
        let Some(core) = self.nodes[at].core.as_mut().filter(|_| !asleep) else { return };
        let sent = core.send_to(now, &message);
        self.note(|_| format!("node {at}: sends {message:?}: {sent:?}"));
        match to {
            Recipient::Lease(lease) => {
                self.checkers.is_sent_to_lease(process, *lease, number, sent);
            }
            Recipient::Principal(_) | Recipient::Connection(_) => self.checkers.is_sent(sent),
        }
        self.pump();
    }

    /// Every third application looks into its inbox at the end alone.
    pub(super) fn inbox_has_something(&mut self, at: usize) {
        if self.healing || at % 3 != 2 {
            self.empty_inbox(at);
        }
    }

    pub(super) fn empty_inbox(&mut self, at: usize) {
        let process = self.clients[at].process;
        while let Some(next) = self.clients[at].core.poll_inbox() {
            self.note(|_| format!("client {at}: takes {next:?}"));
            self.checkers.takes(process, &next);
        }
    }

    fn publish_volatile(&mut self) {
        let at = self.rng.below(self.nodes.len() as u64) as usize;
        let volatile = self.topic_volatile();
        let (now, asleep) = (self.node_now(at), self.node_sleeps(at));
        if let Some(core) = self.nodes[at].core.as_mut().filter(|_| !asleep) {
            core.publish_volatile(now, volatile);
        }
    }

    /// The application closes its client.
    pub fn close_client(&mut self, at: usize) {
        let now = self.client_now(at);
        let slot = &mut self.clients[at];
        if slot.closed {
            return;
        }
        slot.closed = true;
        let process = slot.process;
        self.checkers.client_closed(process);
        slot.core.close(now);
        self.note(|_| format!("client {at}: closes"));
    }

    pub(super) fn everybody_reads(&mut self) {
        for at in 0..self.clients.len() {
            let process = self.clients[at].process;
            let subs: Vec<SubId> = self.clients[at].subs.keys().copied().collect();
            for sub in subs {
                if let Some(app) = self.clients[at].subs.get_mut(&sub) {
                    app.pace = Pace::Each(0);
                    if !std::mem::replace(&mut app.asking, true) {
                        self.after(1, Due::Poll { client: at, process, sub });
                    }
                }
            }
        }
    }
}
