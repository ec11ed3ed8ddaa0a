//! All subscriptions of a client and their frames: the numbers by which client and server call them
//! on the current attachment. What happens inside one is [`super::subscription`]'s.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::config::ClientConfig;
use super::config::RETRY_CAP_MS;
use super::subscription::{Broken, Subscription};
use super::timer::{ClientTimer, Effects};
use super::types::{
    Event, Item, Resumed, SubId, SubscribeError, SubscriptionEnd, SubscriptionRequest,
};
use crate::session::{Now, Random, millis};
use crate::wire::{
    ClientFrame, Name, Position, ServerFrame, SubNo, Subscribe, Subscribed, TopicNo,
    UnsubscribeCode,
};

/// Of each SUBSCRIBE, what is not the key, in bytes: names, numbers and the object around them.
const SUBSCRIBE_HEAD_BYTES: usize = 320;
/// A JSON string has at most this many bytes per byte of its text (`\u0000`).
const ESCAPED: usize = 6;

/// Every subscription that the application has not let go of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Subscriptions {
    last: u64,
    last_sub: SubNo,
    all: BTreeMap<SubId, Subscription>,
    topics: BTreeMap<(Name, String), SubId>,
    /// Whether there is an attachment.
    attached: bool,
    by_sub: BTreeMap<SubNo, SubId>,
    by_number: BTreeMap<TopicNo, SubId>,
    asking: BTreeSet<SubId>,
    telling: BTreeSet<SubId>,
    leaving: VecDeque<SubNo>,
}

/// The most that one subscription holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fullest {
    pub(super) items: usize,
    pub(super) bytes: u64,
    pub(super) volatiles: usize,
    /// Those of a subscription with a single one left out.
    pub(super) volatile_bytes: u64,
}

impl Subscriptions {
    // ---- looks ----

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    pub(super) fn leaving(&self) -> usize {
        self.leaving.len()
    }

    pub(super) fn fullest(&self) -> Fullest {
        self.all.values().fold(Fullest::default(), |most, subscription| {
            let (items, bytes) = subscription.held();
            let (volatiles, volatile_bytes) = subscription.volatiles();
            let volatile_bytes = if volatiles > 1 { volatile_bytes } else { 0 };
            Fullest {
                items: most.items.max(items),
                bytes: most.bytes.max(bytes),
                volatiles: most.volatiles.max(volatiles),
                volatile_bytes: most.volatile_bytes.max(volatile_bytes),
            }
        })
    }

    /// A subscription whose id one of the maps here has given.
    fn of(&mut self, id: SubId) -> &mut Subscription {
        self.all.get_mut(&id).expect("an id is in no map once its subscription is gone")
    }

    // ---- the application ----

    pub(super) fn add(
        &mut self,
        request: SubscriptionRequest,
        config: &ClientConfig,
    ) -> Result<SubId, SubscribeError> {
        let name = (request.topic.clone(), request.key.clone());
        if self.topics.contains_key(&name) {
            return Err(SubscribeError::Duplicate);
        }
        if self.all.len() >= config.subscriptions as usize {
            return Err(SubscribeError::TooMany { limit: config.subscriptions });
        }
        self.last += 1;
        let id = SubId(self.last);
        self.topics.insert(name, id);
        self.all.insert(id, Subscription::new(request));
        if self.attached {
            self.asking.insert(id);
        }
        Ok(id)
    }

    pub(super) fn next_item(
        &mut self,
        now: Now,
        id: SubId,
        config: &ClientConfig,
        fx: &mut Effects,
    ) -> Option<Item> {
        let subscription = self.all.get_mut(&id)?;
        let item = subscription.next();
        if item.is_none() && subscription.is_ended() {
            self.all.remove(&id);
            return None;
        }
        self.plan_position(now, id, config, fx);
        item
    }

    pub(super) fn remove(&mut self, id: SubId, fx: &mut Effects) {
        self.detach_one(id, fx, true);
        if let Some(subscription) = self.all.remove(&id) {
            let name = (subscription.topic().clone(), subscription.key().clone());
            self.forget_topic(id, &name);
        }
    }

    /// Unless a later subscription follows the topic already.
    fn forget_topic(&mut self, id: SubId, name: &(Name, String)) {
        if self.topics.get(name) == Some(&id) {
            self.topics.remove(name);
        }
    }

    // ---- the attachment ----

    /// WELCOME has arrived: every subscription is asked for again (PROTOCOL.md 7.2).
    pub(super) fn attach(&mut self, fx: &mut Effects) {
        self.detach(fx);
        self.attached = true;
        self.asking.extend(self.topics.values());
    }

    /// The attachment has ended, and with it everything but what the application has not yet taken.
    pub(super) fn detach(&mut self, fx: &mut Effects) {
        self.attached = false;
        self.by_sub.clear();
        self.by_number.clear();
        self.asking.clear();
        self.telling.clear();
        self.leaving.clear();
        for (id, subscription) in &mut self.all {
            fx.timers.cancel(ClientTimer::Subscribe(*id));
            fx.timers.cancel(ClientTimer::Position(*id));
            subscription.detach();
        }
    }

    /// Forgets the numbers of one subscription; tells the server if it knows them.
    fn detach_one(&mut self, id: SubId, fx: &mut Effects, tell: bool) {
        fx.timers.cancel(ClientTimer::Subscribe(id));
        fx.timers.cancel(ClientTimer::Position(id));
        self.asking.remove(&id);
        self.telling.remove(&id);
        let (sub, number) = self.all.get(&id).map_or((None, None), Subscription::numbers);
        if let Some(number) = number {
            self.by_number.remove(&number);
        }
        if let Some(sub) = sub {
            self.by_sub.remove(&sub);
            self.leaving.extend(tell.then_some(sub));
        }
    }

    fn end(&mut self, id: SubId, end: SubscriptionEnd, fx: &mut Effects) {
        self.detach_one(id, fx, false);
        let subscription = self.of(id);
        subscription.end();
        let name = (subscription.topic().clone(), subscription.key().clone());
        self.forget_topic(id, &name);
        fx.event(Event::SubscriptionEnded { sub: id, end });
    }

    /// The client was closed or gave up.
    pub(super) fn close(&mut self, fx: &mut Effects) {
        self.detach(fx);
        let ids: Vec<SubId> = self.topics.values().copied().collect();
        for id in ids {
            self.end(id, SubscriptionEnd::Closed, fx);
        }
    }

    // ---- time ----

    /// A subscription that was refused for now may be asked for again.
    pub(super) fn retry(&mut self, id: SubId) {
        // The same moment may have ended the attachment, or the subscription.
        if self.all.get_mut(&id).is_some_and(Subscription::stop_waiting) {
            self.asking.insert(id);
        }
    }

    /// A position has waited long enough.
    pub(super) fn tell_position(&mut self, id: SubId) {
        if self.all.get(&id).is_some_and(|subscription| subscription.position_due().is_some()) {
            self.telling.insert(id);
        }
    }

    pub(super) fn owes_position(&self) -> bool {
        !self.telling.is_empty()
    }

    fn plan_position(&mut self, now: Now, id: SubId, config: &ClientConfig, fx: &mut Effects) {
        match self.all.get(&id).and_then(Subscription::position_due) {
            Some(true) => {
                self.telling.insert(id);
            }
            Some(false) if !self.telling.contains(&id) => {
                fx.timers.set_once(ClientTimer::Position(id), now.after(config.position_delay));
            }
            Some(false) | None => {}
        }
    }

    // ---- frames out ----

    /// The next frame about subscriptions. Leaving comes before asking, or the server would see a
    /// second one of a topic.
    pub(super) fn transmit(
        &mut self,
        frame_bytes: u32,
        config: &ClientConfig,
        fx: &mut Effects,
    ) -> Option<ClientFrame> {
        if let Some(sub) = self.leaving.pop_front() {
            return Some(ClientFrame::Unsubscribe { sub });
        }
        while let Some(id) = self.asking.pop_first() {
            if let Some(frame) = self.ask(id, frame_bytes, config, fx) {
                return Some(frame);
            }
        }
        while let Some(id) = self.telling.pop_first() {
            fx.timers.cancel(ClientTimer::Position(id));
            let position = self.all.get_mut(&id).and_then(Subscription::take_position);
            if let Some((topic, ts, bytes)) = position {
                return Some(ClientFrame::Position { topic, ts, bytes });
            }
        }
        None
    }

    fn ask(
        &mut self,
        id: SubId,
        frame_bytes: u32,
        config: &ClientConfig,
        fx: &mut Effects,
    ) -> Option<ClientFrame> {
        let subscription = self.all.get_mut(&id).filter(|subscription| subscription.is_away())?;
        let most =
            subscription.key().len().saturating_mul(ESCAPED).saturating_add(SUBSCRIBE_HEAD_BYTES);
        if most > frame_bytes as usize {
            // The server would close the socket over it, again and again.
            self.end(id, SubscriptionEnd::Refused(UnsubscribeCode::Invalid), fx);
            return None;
        }
        self.last_sub = self.last_sub.next();
        let sub = self.last_sub;
        let (from, last, credit) = subscription.ask(sub, config.credit);
        self.by_sub.insert(sub, id);
        let (topic, key) = (subscription.topic().clone(), subscription.key().clone());
        Some(ClientFrame::Subscribe(Box::new(Subscribe { sub, topic, key, from, last, credit })))
    }

    // ---- frames in ----

    /// A frame of a topic was longer than this client takes.
    pub(super) fn too_long(&mut self, number: TopicNo, fx: &mut Effects) {
        // It may have been left, and the server not have heard of it.
        let Some(&id) = self.by_number.get(&number) else { return };
        let (sub, _) = self.of(id).numbers();
        self.leaving.extend(sub);
        self.end(id, SubscriptionEnd::Refused(UnsubscribeCode::TooLarge), fx);
    }

    /// A frame about a subscription; one that this client does not know (any more) is dropped.
    pub(super) fn handle(
        &mut self,
        now: Now,
        frame: ServerFrame,
        message_bytes: usize,
        config: &ClientConfig,
        fx: &mut Effects,
    ) -> Result<(), Broken> {
        let bytes = message_bytes as u64;
        let topic = match &frame {
            ServerFrame::Event { topic, .. }
            | ServerFrame::Snapshot { topic, .. }
            | ServerFrame::TopicVolatile { topic, .. }
            | ServerFrame::Skip { topic, .. } => topic,
            _ => return Ok(()),
        };
        let Some(&id) = self.by_number.get(topic) else { return Ok(()) };
        let subscription = self.of(id);
        match frame {
            ServerFrame::Event { ts, name, body, .. } => {
                subscription.event(ts, name, body, bytes)?
            }
            ServerFrame::Snapshot { ts, name, body, .. } => {
                subscription.snapshot(ts, name, body, bytes)?
            }
            ServerFrame::Skip { ts, .. } => subscription.skip(ts)?,
            ServerFrame::TopicVolatile { name, body, .. } => {
                subscription.volatile(name, body, config.volatiles, config.volatile_bytes)
            }
            _ => {}
        }
        if subscription.tell() {
            fx.event(Event::Readable { sub: id });
        }
        self.plan_position(now, id, config, fx);
        Ok(())
    }

    pub(super) fn subscribed(
        &mut self,
        now: Now,
        frame: &Subscribed,
        config: &ClientConfig,
        fx: &mut Effects,
    ) -> Result<(), Broken> {
        // The application has left it, and UNSUBSCRIBE is under way.
        let Some(&id) = self.by_sub.get(&frame.sub) else { return Ok(()) };
        if self.by_number.get(&frame.number).is_some_and(|other| *other != id) {
            return Err("SUBSCRIBED gives a number twice");
        }
        let subscription = self.of(id);
        let first = subscription.is_asked();
        let before = subscription.subscribed(frame, config.credit)?;
        let readable = subscription.tell();
        if let Some(number) = before {
            self.by_number.remove(&number);
        }
        self.by_number.insert(frame.number, id);
        if first {
            let from = Position { epoch: frame.epoch, ts: frame.ts };
            let count = frame.head.0.saturating_sub(frame.ts.0);
            let resumed = frame.reset.is_none().then_some(Resumed { from, count });
            fx.event(Event::Subscribed { sub: id, resumed });
        }
        if readable {
            fx.event(Event::Readable { sub: id });
        }
        self.plan_position(now, id, config, fx);
        Ok(())
    }

    pub(super) fn unsubscribed(
        &mut self,
        now: Now,
        (sub, code, retry_ms): (SubNo, UnsubscribeCode, Option<u64>),
        config: &ClientConfig,
        random: &mut Random,
        fx: &mut Effects,
    ) {
        // The same.
        let Some(&id) = self.by_sub.get(&sub) else { return };
        if !code.is_retry() {
            return self.end(id, SubscriptionEnd::Refused(code), fx);
        }
        self.detach_one(id, fx, false);
        let refusals = self.of(id).wait();
        let jitter_ms = random.up_to(millis(config.backoff.ceiling(refusals)));
        let asked_ms = retry_ms.unwrap_or(0).min(RETRY_CAP_MS);
        fx.timers.set(ClientTimer::Subscribe(id), now.after_ms(asked_ms.saturating_add(jitter_ms)));
    }
}
