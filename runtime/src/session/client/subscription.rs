//! One subscription: what waits for the application, what it has finished with, and what the server
//! may send (PROTOCOL.md section 7). Between two items nothing is missing that was not reported as
//! a gap; frames and timers are not its business.

use std::collections::VecDeque;

use super::topic_volatiles::TopicVolatiles;
use super::types::{Gap, Item, SubscriptionRequest};
use crate::wire::{
    Body, Epoch, Name, Position, ResetReason, SubNo, Subscribed, TopicNo, TopicSeq, Window,
};

/// A rule that the server broke; the socket ends with 4410.
pub(super) type Broken = &'static str;

/// A topic's number stands for a live feed from SUBSCRIBED to the end of the attachment or of the
/// subscription, so this is never seen.
const NOT_LIVE: Broken = "a frame of a topic before SUBSCRIBED";

/// Where a subscription stands towards the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum FeedStage {
    /// No attachment, or SUBSCRIBE is about to go out.
    Away,
    /// SUBSCRIBE was sent.
    Asked { sub: SubNo, from: Option<Position>, credit: Window },
    /// SUBSCRIBED has arrived.
    Live(Box<Live>),
    /// Refused for now; a timer runs.
    Waiting,
    /// Over; what is buffered can still be taken.
    Ended,
}

/// An established subscription on the current attachment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Live {
    sub: SubNo,
    number: TopicNo,
    epoch: Epoch,
    cursor: TopicSeq,
    /// SUBSCRIBED's position, which nobody has finished with.
    begins: TopicSeq,
    /// Where the credit of a server counts from before the first POSITION.
    start: TopicSeq,
    /// A snapshot must come next, for this reason.
    awaited: Option<ResetReason>,
    credit: Window,
    /// Bytes of messages received, finished with and reported, since the first SUBSCRIBED of `sub`.
    received: u64,
    finished: CreditPosition,
    reported: CreditPosition,
    /// The number has changed: what was said under the earlier one may not have been heard, and is
    /// said again.
    renumbered: bool,
}

/// What the application has finished with, as POSITION tells it (PROTOCOL.md 7.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct CreditPosition {
    ts: TopicSeq,
    bytes: u64,
}

/// An item that waits, or was handed out and is not finished.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ItemPlace {
    /// What has been seen when this item has.
    after: Position,
    /// Bytes of its message.
    bytes: u64,
    /// Which SUBSCRIBED its `ts` belongs to.
    feed: u64,
    /// Which `sub` it came under, and the bytes that finishing it adds to POSITION there.
    sub: SubNo,
    counts: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Subscription {
    topic: Name,
    key: String,
    stage: FeedStage,
    /// Refusals in a row.
    refusals: u32,
    /// Whether the application was told that there is something, and has not yet found nothing.
    told: bool,
    queue: VecDeque<(Item, ItemPlace)>,
    queue_bytes: u64,
    volatiles: TopicVolatiles,
    volatile_next: bool,
    handed: Option<ItemPlace>,
    /// How many of the latest events to begin with, instead of the topic's state.
    last: Option<u32>,
    /// The resume position while nothing is buffered (PROTOCOL.md 7.17).
    resumes_at: Option<Position>,
    /// Counts SUBSCRIBED.
    feed: u64,
}

impl Subscription {
    pub(super) fn new(request: SubscriptionRequest) -> Self {
        Self {
            topic: request.topic,
            key: request.key,
            stage: FeedStage::Away,
            refusals: 0,
            told: false,
            queue: VecDeque::new(),
            queue_bytes: 0,
            volatiles: TopicVolatiles::default(),
            volatile_next: false,
            handed: None,
            last: request.last,
            resumes_at: request.from,
            feed: 0,
        }
    }

    pub(super) const fn topic(&self) -> &Name {
        &self.topic
    }

    pub(super) const fn key(&self) -> &String {
        &self.key
    }

    // ---- where it stands ----

    pub(super) fn is_away(&self) -> bool {
        self.stage == FeedStage::Away
    }

    pub(super) fn is_ended(&self) -> bool {
        self.stage == FeedStage::Ended
    }

    /// Whether SUBSCRIBED has not yet answered on this attachment.
    pub(super) const fn is_asked(&self) -> bool {
        matches!(self.stage, FeedStage::Asked { .. })
    }

    /// The numbers by which this attachment calls it.
    pub(super) fn numbers(&self) -> (Option<SubNo>, Option<TopicNo>) {
        match &self.stage {
            FeedStage::Asked { sub, .. } => (Some(*sub), None),
            FeedStage::Live(live) => (Some(live.sub), Some(live.number)),
            FeedStage::Away | FeedStage::Waiting | FeedStage::Ended => (None, None),
        }
    }

    /// The attachment has ended.
    pub(super) fn detach(&mut self) {
        if !self.is_ended() {
            self.stage = FeedStage::Away;
        }
    }

    /// It is over; what is buffered can still be taken.
    pub(super) fn end(&mut self) {
        self.stage = FeedStage::Ended;
    }

    /// The server refused it for now; how often in a row before.
    pub(super) fn wait(&mut self) -> u32 {
        self.stage = FeedStage::Waiting;
        let before = self.refusals;
        self.refusals = before.saturating_add(1);
        before
    }

    /// It has waited long enough; whether it did wait.
    pub(super) fn stop_waiting(&mut self) -> bool {
        let waited = self.stage == FeedStage::Waiting;
        if waited {
            self.stage = FeedStage::Away;
        }
        waited
    }

    // ---- the application ----

    /// The next item. The one before is finished with; volatiles and others take turns, so that
    /// neither starves.
    pub(super) fn next(&mut self) -> Option<Item> {
        self.finish();
        let volatile = !self.volatiles.is_empty() && (self.volatile_next || self.queue.is_empty());
        self.volatile_next = !volatile;
        if volatile {
            let (name, body) = self.volatiles.take()?;
            return Some(Item::Volatile { name, body });
        }
        let Some((item, place)) = self.queue.pop_front() else {
            self.told = false;
            return None;
        };
        self.queue_bytes -= place.bytes;
        self.resumes_at = Some(place.after);
        self.handed = Some(place);
        Some(item)
    }

    fn finish(&mut self) {
        // The first item has none before it.
        let Some(place) = self.handed.take() else { return };
        // Between two attachments there is nobody to tell; the resume position says what was seen.
        let FeedStage::Live(live) = &mut self.stage else { return };
        if place.sub == live.sub {
            live.finished.bytes += place.counts;
        }
        if place.feed == self.feed {
            live.finished.ts = place.after.ts;
        }
    }

    /// Items that wait for the application, and bytes of their messages.
    pub(super) fn held(&self) -> (usize, u64) {
        (self.queue.len(), self.queue_bytes)
    }

    /// The same of volatiles, with the bytes of their bodies.
    pub(super) fn volatiles(&self) -> (usize, u64) {
        self.volatiles.held()
    }

    pub(super) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.volatiles.is_empty()
    }

    /// Whether the application has to be told that there is something to take.
    pub(super) fn tell(&mut self) -> bool {
        !self.is_drained() && !std::mem::replace(&mut self.told, true)
    }

    // ---- asking ----

    /// Prepares SUBSCRIBE: from the highest position that was handed out or is still buffered, or
    /// else with the number of events wanted (PROTOCOL.md 7.25). At most half of the credit stays
    /// buffered; the rest is announced, so it is never too small, and both never exceed the credit.
    pub(super) fn ask(
        &mut self,
        sub: SubNo,
        credit: Window,
    ) -> (Option<Position>, Option<u32>, Window) {
        self.truncate(u64::from(credit.frames / 2), u64::from(credit.bytes / 2));
        let rest = Window {
            frames: credit.frames.saturating_sub(count(self.queue.len())).max(1),
            bytes: credit
                .bytes
                .saturating_sub(u32::try_from(self.queue_bytes).unwrap_or(u32::MAX))
                .max(1),
        };
        let from = self.resume_position();
        self.stage = FeedStage::Asked { sub, from, credit: rest };
        (from, self.last.filter(|_| from.is_none()), rest)
    }

    /// Everything up to here was handed out or is buffered (PROTOCOL.md 7.17).
    fn resume_position(&self) -> Option<Position> {
        self.queue.back().map_or(self.resumes_at, |(_, place)| Some(place.after))
    }

    /// Lets go of the latest items, which nobody will finish: for the credit they count as finished
    /// with.
    fn truncate(&mut self, frames: u64, bytes: u64) {
        while self.queue.len() as u64 > frames || self.queue_bytes > bytes {
            let Some((_, place)) = self.queue.pop_back() else {
                debug_assert_eq!(self.queue_bytes, 0, "an empty queue has no bytes");
                return;
            };
            self.queue_bytes -= place.bytes;
            if let FeedStage::Live(live) = &mut self.stage
                && place.sub == live.sub
            {
                live.finished.bytes += place.counts;
            }
        }
    }

    // ---- the server ----

    /// SUBSCRIBED, the first one or a reset. Returns the number that the topic had before.
    pub(super) fn subscribed(
        &mut self,
        frame: &Subscribed,
        most: Window,
    ) -> Result<Option<TopicNo>, Broken> {
        match &self.stage {
            FeedStage::Asked { from, .. } => {
                let here = Position { epoch: frame.epoch, ts: frame.ts };
                if frame.reset.is_none() && (*from != Some(here) || frame.snapshot) {
                    return Err("SUBSCRIBED continues from somewhere else");
                }
            }
            FeedStage::Live(_) if frame.reset.is_some() => {}
            FeedStage::Live(_) => return Err("SUBSCRIBED twice"),
            FeedStage::Away | FeedStage::Waiting | FeedStage::Ended => return Ok(None),
        }
        if frame.reset.is_some() {
            self.truncate(u64::from(most.frames), u64::from(most.bytes));
        }
        self.refusals = 0;
        self.feed += 1;
        let start = |bytes| CreditPosition { ts: frame.ts, bytes };
        let mut live = Live {
            sub: frame.sub,
            number: frame.number,
            epoch: frame.epoch,
            cursor: frame.ts,
            begins: frame.ts,
            start: frame.ts,
            awaited: None,
            credit: most,
            received: 0,
            finished: start(0),
            reported: start(0),
            renumbered: false,
        };
        let mut number = None;
        match &self.stage {
            // A server grants no more than it was asked for.
            FeedStage::Asked { credit, .. } => {
                live.credit = frame.credit.unwrap_or(*credit).granted(*credit);
            }
            // Bytes count on, so that a POSITION which is under way means the same before and after
            // (PROTOCOL.md 7.8).
            FeedStage::Live(earlier) => {
                live.credit = frame.credit.unwrap_or(earlier.credit).granted(earlier.credit);
                live.received = earlier.received;
                live.finished = start(earlier.finished.bytes);
                live.reported = start(earlier.reported.bytes);
                live.renumbered = earlier.renumbered || earlier.number != frame.number;
                number = Some(earlier.number);
            }
            FeedStage::Away | FeedStage::Waiting | FeedStage::Ended => {}
        }
        self.stage = FeedStage::Live(Box::new(live));
        if let Some(reason) = frame.reset {
            match (&mut self.stage, frame.snapshot) {
                (FeedStage::Live(live), true) => live.awaited = Some(reason),
                _ => self.miss(reason, Position { epoch: frame.epoch, ts: frame.ts }),
            }
        }
        Ok(number)
    }

    /// A gap without a snapshot. One that nothing follows yet becomes part of the new one.
    fn miss(&mut self, reason: ResetReason, here: Position) {
        while matches!(self.queue.back(), Some((Item::Gap(_), _))) {
            self.queue.pop_back();
        }
        match self.gap(reason, here) {
            Some(gap) => self.push(Item::Gap(gap), here, 0),
            None => self.resumes_at = Some(here),
        }
    }

    /// What to report; nothing when the application had asked for nothing in particular and has
    /// seen nothing.
    fn gap(&self, reason: ResetReason, here: Position) -> Option<Gap> {
        let last = self.resume_position();
        let silent = reason == ResetReason::Initial && last.is_none();
        (!silent).then_some(Gap { reason, last, epoch: here.epoch, resumes_after: here.ts })
    }

    fn push(&mut self, item: Item, after: Position, bytes: u64) {
        let FeedStage::Live(live) = &self.stage else {
            debug_assert!(false, "items come from a live feed");
            return;
        };
        self.queue_bytes += bytes;
        self.queue.push_back((
            item,
            ItemPlace { after, bytes, feed: self.feed, sub: live.sub, counts: bytes },
        ));
    }

    pub(super) fn event(
        &mut self,
        ts: TopicSeq,
        name: Name,
        body: Body,
        bytes: u64,
    ) -> Result<(), Broken> {
        let FeedStage::Live(live) = &mut self.stage else { return Err(NOT_LIVE) };
        if live.awaited.is_some() {
            return Err("EVENT instead of SNAPSHOT");
        }
        if ts.0.checked_sub(1) != Some(live.cursor.0) {
            return Err("EVENT out of order");
        }
        let floor = live.reported.ts.max(live.start);
        let over_events = ts.0.saturating_sub(floor.0) > u64::from(live.credit.frames);
        if over_events
            || live.received.saturating_sub(live.reported.bytes) >= u64::from(live.credit.bytes)
        {
            return Err("EVENT beyond the credit");
        }
        live.cursor = ts;
        live.received = live.received.saturating_add(bytes);
        let position = Position { epoch: live.epoch, ts };
        self.push(Item::Event { position, name, body }, position, bytes);
        Ok(())
    }

    pub(super) fn snapshot(
        &mut self,
        ts: TopicSeq,
        name: Name,
        body: Body,
        bytes: u64,
    ) -> Result<(), Broken> {
        let FeedStage::Live(live) = &mut self.stage else { return Err(NOT_LIVE) };
        let Some(reason) = live.awaited.take() else {
            return Err("SNAPSHOT that nothing announced");
        };
        live.cursor = ts;
        live.start = ts;
        live.received = live.received.saturating_add(bytes);
        let position = Position { epoch: live.epoch, ts };
        let gap = self.gap(reason, position);
        self.push(Item::Snapshot { position, name, body, gap }, position, bytes);
        Ok(())
    }

    /// Everything up to `ts` is not for this subscriber: it is finished with as soon as what came
    /// before is.
    pub(super) fn skip(&mut self, ts: TopicSeq) -> Result<(), Broken> {
        let FeedStage::Live(live) = &mut self.stage else { return Err(NOT_LIVE) };
        if live.awaited.is_some() || ts < live.cursor {
            return Err("SKIP out of order");
        }
        live.cursor = ts;
        let here = Position { epoch: live.epoch, ts };
        let (feed, sub) = (self.feed, live.sub);
        if let Some((_, place)) = self.queue.back_mut() {
            place.pass(here, feed, sub);
            return Ok(());
        }
        self.resumes_at = Some(here);
        match &mut self.handed {
            Some(place) => place.pass(here, feed, sub),
            None => live.finished.ts = ts,
        }
        Ok(())
    }

    /// Keeps a volatile, at the price of the oldest ones.
    pub(super) fn volatile(&mut self, name: Name, body: Body, most: u32, most_bytes: u32) {
        debug_assert!(matches!(self.stage, FeedStage::Live(_)), "{NOT_LIVE}");
        self.volatiles.put(name, body, most, most_bytes);
    }

    // ---- positions ----

    /// Whether there is a position to tell, and whether it is time by count.
    pub(super) fn position_due(&self) -> Option<bool> {
        let FeedStage::Live(live) = &self.stage else { return None };
        if live.renumbered {
            return Some(true);
        }
        if live.finished == live.reported {
            return None;
        }
        let events = live.finished.ts.0.saturating_sub(live.reported.ts.0);
        let bytes = live.finished.bytes.saturating_sub(live.reported.bytes);
        let quarter = |of: u32| u64::from(of / 4).max(1);
        Some(events >= quarter(live.credit.frames) || bytes >= quarter(live.credit.bytes))
    }

    /// The position to tell now.
    pub(super) fn take_position(&mut self) -> Option<(TopicNo, TopicSeq, u64)> {
        let FeedStage::Live(live) = &mut self.stage else { return None };
        if live.finished == live.reported && !live.renumbered {
            return None;
        }
        live.renumbered = false;
        live.reported = live.finished;
        // Bytes alone, while the application is still with what came before.
        let ts = if live.finished.ts == live.begins { TopicSeq::ZERO } else { live.finished.ts };
        Some((live.number, ts, live.finished.bytes))
    }
}

impl ItemPlace {
    /// Extends what is seen with this item. Bytes of an earlier subscription do not count for a
    /// later one.
    fn pass(&mut self, here: Position, feed: u64, sub: SubNo) {
        self.after = here;
        self.feed = feed;
        if self.sub != sub {
            self.sub = sub;
            self.counts = 0;
        }
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
