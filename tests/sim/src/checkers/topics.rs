//! Topics: what is in the logs, what servers feed, what applications see (PROTOCOL.md section 7).

use std::collections::{BTreeMap, BTreeSet};

use steadfast::session::client::{Item, SubId, SubscriptionEnd};
use steadfast::session::node::{PublishError, PublishId};
use steadfast::session::store::{AppendKey, Appended, LogEntry, Publication, TopicHead, TopicId};
use steadfast::wire::{
    Epoch, LeaseId, Position, ResetReason, ServerFrame, SubNo, Subscribed, TopicNo, TopicSeq,
    UnsubscribeCode, Window,
};

use super::{Checkers, digest, number_in};
use crate::network::SocketId;

/// The logs as the store's answers show them, and the subscriptions as the applications see them.
#[derive(Debug, Clone, Default)]
pub struct Topics {
    current: BTreeMap<TopicId, Position>,
    /// Digest of each entry, for ever.
    entries: BTreeMap<(TopicId, Epoch, TopicSeq), u64>,
    places: BTreeMap<AppendKey, (TopicId, Appended)>,
    bodies: BTreeSet<u64>,
    /// Publications from outside commands, and those that are said not to have happened.
    published: BTreeMap<(u64, PublishId), Publication>,
    denied: BTreeSet<u64>,
    last_of_lease: BTreeMap<(LeaseId, TopicId, Epoch), (u64, u32)>,
    subs: BTreeMap<(u64, SubId), SubBook>,
}

/// A subscription in an application's hands.
#[derive(Debug, Clone)]
struct SubBook {
    topic: TopicId,
    /// Everything up to here was seen.
    cursor: Option<Position>,
    handed: Option<Position>,
    finished: Option<Position>,
    /// Where what the server sends begins: SUBSCRIBED, then SNAPSHOT.
    start: Option<Position>,
    /// Everything up to here has arrived.
    arrived: Option<Position>,
    /// The server had no room for it when it was last asked.
    overload: bool,
}

/// A subscription as a server feeds it.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    sub: SubNo,
    topic: TopicId,
    epoch: Epoch,
    cursor: TopicSeq,
    position: TopicSeq,
    credit: Window,
    sent_bytes: u64,
    reported: u64,
    snapshot_due: bool,
}

/// A topic of a store that went back to its backup: where it stands under its old epoch, and under
/// its new one.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The topic.
    pub topic: TopicId,
    /// As it was in the backup; `None` if there was no such topic.
    pub before: Option<Position>,
    /// As it is now.
    pub after: Option<Position>,
}

impl Topics {
    /// Where a topic's log stands.
    #[must_use]
    pub fn head(&self, topic: &TopicId) -> Option<Position> {
        self.current.get(topic).copied()
    }

    /// Every topic and where it stands.
    pub fn heads(&self) -> impl Iterator<Item = (&TopicId, Position)> {
        self.current.iter().map(|(topic, head)| (topic, *head))
    }

    /// Where an application stands.
    #[must_use]
    pub fn cursor(&self, process: u64, sub: SubId) -> Option<Position> {
        self.subs.get(&(process, sub)).and_then(|book| book.cursor)
    }

    pub(super) fn process_ends(&mut self, process: u64) {
        self.subs.retain(|(of, _), _| *of != process);
    }

    pub(super) fn store_lost(&mut self) {
        self.current.clear();
        self.places.clear();
    }

    /// What a topic still has after the store went back has the same numbers and bytes in its new
    /// incarnation.
    pub(super) fn restored(&mut self, Restored { topic, before, after }: &Restored) {
        let (Some(before), Some(after)) = (before, after) else {
            self.current.remove(topic);
            return;
        };
        self.current.insert(topic.clone(), *after);
        for (of, place) in self.places.values_mut() {
            if of == topic && place.epoch == before.epoch && place.ts <= before.ts {
                place.epoch = after.epoch;
            }
        }
        let first = (topic.clone(), before.epoch, TopicSeq(0));
        let last = (topic.clone(), before.epoch, before.ts);
        let kept: Vec<_> =
            self.entries.range(first..=last).map(|((_, _, ts), bytes)| (*ts, *bytes)).collect();
        for (ts, bytes) in kept {
            self.entries.insert((topic.clone(), after.epoch, ts), bytes);
        }
    }
}

fn entry_digest(publication: &Publication) -> u64 {
    digest(&(&publication.name, &publication.bodies[0].1))
}

impl Checkers {
    // ---- logs ----

    pub(super) fn topic_is_at(&mut self, topic: &TopicId, head: &TopicHead) {
        let here = Position { epoch: head.epoch, ts: head.head };
        let before = self.topics.current.insert(topic.clone(), here);
        let same = before.is_none_or(|before| before.epoch != here.epoch || before.ts == here.ts);
        self.require(same, "a head moves only by appends", || {
            format!("{topic:?}: {before:?}, {here:?}")
        });
    }

    /// Equal topic, epoch and number mean equal bytes, for ever; an append that is repeated changes
    /// nothing.
    pub(super) fn append_happens(
        &mut self,
        key: AppendKey,
        publication: &Publication,
        place: Appended,
    ) {
        let before = self
            .topics
            .places
            .insert(key, (publication.topic.clone(), place))
            .map(|(_, place)| place);
        // A topic that was forgotten has forgotten its keys too; the epoch says so.
        let remembered = before.filter(|before| before.epoch == place.epoch);
        if let Some(before) = remembered {
            return self.require(before == place, "an append is repeatable", || {
                format!("{key:?}: {before:?}, then {place:?}")
            });
        }
        self.only_commits_publish(key, publication);
        // A topic that was forgotten before its publisher knew that it had the event gets it again,
        // after whatever came first.
        if before.is_none() {
            self.publications_keep_their_order(key, publication, place.epoch);
        }
        let topic = &publication.topic;
        let denied = self.topics.denied.contains(&number_in(&publication.bodies[0].1));
        self.require(!denied, "what failed is in no log", || {
            format!("{publication:?} is appended at {place:?}")
        });
        let fresh =
            self.topics.bodies.insert(number_in(&publication.bodies[0].1)) || before.is_some();
        self.require(fresh, "an event is in one place", || {
            format!("{publication:?} is appended again at {place:?}")
        });
        self.equal_places_have_equal_bytes(topic, place.epoch, place.ts, entry_digest(publication));
        let head = self
            .topics
            .current
            .entry(topic.clone())
            .or_insert(Position { epoch: place.epoch, ts: TopicSeq(0) });
        let before = *head;
        *head = Position { epoch: place.epoch, ts: place.ts };
        let next = if before.epoch == place.epoch { before.ts.next() } else { TopicSeq(1) };
        self.require(place.ts == next, "a log has no gap", || {
            format!("{topic:?}: {place:?} after {before:?}")
        });
    }

    fn equal_places_have_equal_bytes(
        &mut self,
        topic: &TopicId,
        epoch: Epoch,
        ts: TopicSeq,
        bytes: u64,
    ) {
        let before = *self.topics.entries.entry((topic.clone(), epoch, ts)).or_insert(bytes);
        self.require(before == bytes, "equal places have equal bytes", || {
            format!("{topic:?} {epoch:?} {ts}")
        });
    }

    pub(super) fn log_keeps_its_bytes(
        &mut self,
        topic: &TopicId,
        epoch: Epoch,
        entries: &[LogEntry],
    ) {
        for entry in entries {
            self.equal_places_have_equal_bytes(
                topic,
                epoch,
                entry.ts,
                digest(&(&entry.name, &entry.bodies[0].1)),
            );
        }
    }

    /// What a handler published gets into a log only with its commit.
    fn only_commits_publish(&mut self, key: AppendKey, publication: &Publication) {
        let AppendKey::Command { lease, n, index } = key else {
            let staged = self.is_published_by_a_handler(number_in(&publication.bodies[0].1));
            return self.require(!staged, "only commits publish", || {
                format!("{key:?}: {publication:?} of a handler")
            });
        };
        let committed =
            self.commits.get(&(lease, n.0)).and_then(|commit| commit.publishes.get(index as usize));
        let same = committed == Some(publication);
        self.require(same, "only commits publish", || {
            format!("{key:?}: {publication:?} is not in a record")
        });
    }

    /// What ordered commands published is in each log in the order of the commands, as long as no
    /// append was given up.
    fn publications_keep_their_order(
        &mut self,
        key: AppendKey,
        publication: &Publication,
        epoch: Epoch,
    ) {
        let AppendKey::Command { lease, n, index } = key else { return };
        if !self.is_ordered((lease, n.0)) || self.given_up {
            return;
        }
        let here = (n.0, index);
        let last =
            self.topics.last_of_lease.insert((lease, publication.topic.clone(), epoch), here);
        self.require(
            last.is_none_or(|last| last <= here),
            "publications keep the order of commands",
            || format!("{lease:?} {:?}: {here:?} after {last:?}", publication.topic),
        );
    }

    /// Somebody publishes from outside a command.
    pub fn publishes(&mut self, process: u64, id: PublishId, publication: &Publication) {
        self.sometimes.count("published from outside");
        self.topics.published.insert((process, id), publication.clone());
    }

    /// What came of it.
    pub fn published(
        &mut self,
        process: u64,
        id: PublishId,
        result: &Result<Appended, PublishError>,
    ) {
        let Some(publication) = self.topics.published.remove(&(process, id)) else {
            return self.require(false, "a publication has one outcome", || {
                format!("process {process}: {id:?}")
            });
        };
        let number = number_in(&publication.bodies[0].1);
        match result {
            Ok(place) => {
                self.equal_places_have_equal_bytes(
                    &publication.topic,
                    place.epoch,
                    place.ts,
                    entry_digest(&publication),
                );
            }
            Err(error) => {
                self.sometimes.count(&format!("publish failed: {error}"));
                if *error != (PublishError::Store { maybe: true }) {
                    self.topics.denied.insert(number);
                    let there = self.topics.bodies.contains(&number);
                    self.require(!there, "what failed is in no log", || {
                        format!("{publication:?} failed: {error:?}")
                    });
                }
            }
        }
    }

    // ---- what a server feeds ----

    pub(super) fn feed_starts(&mut self, socket: SocketId, subscribed: &Subscribed) {
        let most = self.node_config.max_credit;
        let Some(book) = self.sockets.get_mut(&socket) else { return };
        let Some((asked, head_then)) = book.asked.get(&subscribed.sub).cloned() else {
            return self.require(false, "SUBSCRIBED answers SUBSCRIBE", || {
                format!("{socket:?}: {subscribed:?}")
            });
        };
        let topic = TopicId { name: asked.topic.clone(), key: asked.key.as_str().into() };
        // Bytes count from the first SUBSCRIBED of this subscription.
        let earlier = book.feeds.values().find(|feed| feed.sub == subscribed.sub);
        let (sent_bytes, reported) =
            earlier.map_or((0, 0), |feed| (feed.sent_bytes, feed.reported));
        let again =
            book.feeds.values().any(|feed| feed.topic == topic) && subscribed.reset.is_some();
        book.feeds.retain(|_, feed| feed.topic != topic);
        let credit = Window {
            frames: asked.credit.frames.min(most.frames),
            bytes: asked.credit.bytes.min(most.bytes),
        };
        let feed = Feed {
            sub: subscribed.sub,
            topic: topic.clone(),
            epoch: subscribed.epoch,
            cursor: subscribed.ts,
            position: subscribed.ts,
            credit,
            sent_bytes,
            reported,
            snapshot_due: subscribed.snapshot,
        };
        book.feeds.insert(subscribed.number, feed);
        if !again {
            self.a_gap_is_never_invented(&topic, asked.from, head_then, subscribed);
        }
    }

    /// A reset has its reason in what the store holds; a position equal to the head is never a gap.
    fn a_gap_is_never_invented(
        &mut self,
        topic: &TopicId,
        from: Option<Position>,
        head_then: Option<Position>,
        subscribed: &Subscribed,
    ) {
        let head_now = self.topics.head(topic);
        // It was decided at some time between.
        let fits = |truth: Option<Position>| match (subscribed.reset, from, truth) {
            (None, Some(from), _) => from.epoch == subscribed.epoch && from.ts == subscribed.ts,
            (Some(ResetReason::Initial), from, _) => from.is_none(),
            (Some(ResetReason::Epoch), Some(from), Some(truth)) => from.epoch != truth.epoch,
            (Some(ResetReason::Ahead), Some(from), Some(truth)) => {
                from.epoch != truth.epoch || from.ts > truth.ts
            }
            (Some(ResetReason::Trimmed), Some(from), Some(truth)) => from != truth,
            (_, _, None) => true,
            _ => false,
        };
        self.require(fits(head_then) || fits(head_now), "a gap is never invented", || {
            format!("{topic:?}: from {from:?}, the log was at {head_then:?}, is at {head_now:?}, told {subscribed:?}")
        });
    }

    pub(super) fn feed_goes_on(
        &mut self,
        socket: SocketId,
        number: TopicNo,
        ts: TopicSeq,
        bytes: u64,
        length: usize,
    ) {
        let Some(feed) = self.sockets.get_mut(&socket).and_then(|book| book.feeds.get_mut(&number))
        else {
            return;
        };
        let before = feed.clone();
        feed.cursor = ts;
        feed.sent_bytes += length as u64;
        self.require(
            ts == before.cursor.next() && !before.snapshot_due,
            "a feed has no gap",
            || format!("{socket:?}: {ts} after {before:?}"),
        );
        let events = ts.0 <= before.position.0 + u64::from(before.credit.frames);
        let room =
            before.sent_bytes.saturating_sub(before.reported) < u64::from(before.credit.bytes);
        self.require(events && room, "a feed keeps its credit", || {
            format!("{socket:?}: {ts} for {before:?}")
        });
        self.equal_places_have_equal_bytes(&before.topic, before.epoch, ts, bytes);
    }

    pub(super) fn feed_jumps(
        &mut self,
        socket: SocketId,
        number: TopicNo,
        ts: TopicSeq,
        length: usize,
    ) {
        let Some(feed) = self.sockets.get_mut(&socket).and_then(|book| book.feeds.get_mut(&number))
        else {
            return;
        };
        let due = std::mem::take(&mut feed.snapshot_due);
        feed.cursor = ts;
        feed.position = feed.position.max(ts);
        feed.sent_bytes += length as u64;
        self.require(due, "a snapshot is announced", || format!("{socket:?}: {number} at {ts}"));
    }

    pub(super) fn position_arrives(
        &mut self,
        socket: SocketId,
        number: TopicNo,
        ts: TopicSeq,
        bytes: u64,
    ) {
        if let Some(feed) =
            self.sockets.get_mut(&socket).and_then(|book| book.feeds.get_mut(&number))
        {
            feed.position = feed.position.max(ts);
            feed.reported = feed.reported.max(bytes);
        }
    }

    // ---- what a client reads ----

    fn reader(&mut self, socket: SocketId, number: TopicNo) -> Option<&mut SubBook> {
        let book = self.sockets.get(&socket)?;
        let asked = book.asking.get(book.reading.get(&number)?)?;
        let (process, topic) =
            (book.process, TopicId { name: asked.topic.clone(), key: asked.key.as_str().into() });
        self.topics
            .subs
            .iter_mut()
            .find(|((of, _), sub)| *of == process && sub.topic == topic)
            .map(|(_, sub)| sub)
    }

    pub(super) fn feed_arrives(&mut self, socket: SocketId, frame: &ServerFrame) {
        let (number, epoch, ts) = match frame {
            ServerFrame::Subscribed(subscribed) => {
                if let Some(book) = self.sockets.get_mut(&socket) {
                    book.reading.retain(|_, sub| *sub != subscribed.sub);
                    book.reading.insert(subscribed.number, subscribed.sub);
                }
                (subscribed.number, Some(subscribed.epoch), subscribed.ts)
            }
            ServerFrame::Event { topic, ts, .. } | ServerFrame::Snapshot { topic, ts, .. } => {
                (*topic, None, *ts)
            }
            _ => return,
        };
        let Some(sub) = self.reader(socket, number) else { return };
        let Some(epoch) = epoch.or(sub.arrived.map(|at| at.epoch)) else { return };
        sub.arrived = Some(Position { epoch, ts });
        if !matches!(frame, ServerFrame::Event { .. }) {
            sub.start = sub.arrived;
        }
        sub.overload = false;
    }

    pub(super) fn refusal_arrives(&mut self, socket: SocketId, sub: SubNo, code: UnsubscribeCode) {
        let Some(book) = self.sockets.get(&socket) else { return };
        let Some(asked) = book.asking.get(&sub) else { return };
        let (process, topic) =
            (book.process, TopicId { name: asked.topic.clone(), key: asked.key.as_str().into() });
        for ((of, _), sub) in &mut self.topics.subs {
            if *of == process && sub.topic == topic {
                sub.overload = code == UnsubscribeCode::Overload;
                sub.arrived = None;
            }
        }
    }

    /// POSITION tells what the application has finished with, or where the feed begins, nothing
    /// more.
    pub(super) fn positions_are_finished_with(
        &mut self,
        socket: SocketId,
        number: TopicNo,
        ts: TopicSeq,
    ) {
        let Some(sub) = self.reader(socket, number) else { return };
        let sub = sub.clone();
        let epoch = sub.start.map(|start| start.epoch);
        let finished = sub.finished.filter(|finished| Some(finished.epoch) == epoch);
        let holds = [sub.start, finished].into_iter().flatten().any(|most| ts <= most.ts);
        self.require(holds, "positions are finished with", || {
            format!("{socket:?}: {ts} of {sub:?}")
        });
    }

    // ---- what an application sees ----

    /// An application subscribes.
    pub fn subscribes(&mut self, process: u64, sub: SubId, topic: TopicId, from: Option<Position>) {
        let book = SubBook {
            topic,
            cursor: from,
            handed: None,
            finished: None,
            start: None,
            arrived: None,
            overload: false,
        };
        self.topics.subs.insert((process, sub), book);
    }

    /// An application lets go of a subscription.
    pub fn unsubscribes(&mut self, process: u64, sub: SubId) {
        self.topics.subs.remove(&(process, sub));
    }

    /// A subscription ended.
    pub fn subscription_ended(&mut self, process: u64, sub: SubId, end: &SubscriptionEnd) {
        self.topics.subs.remove(&(process, sub));
        self.sometimes.count(&format!("subscription ended: {end:?}"));
    }

    /// An application asks for the next item: it has finished with the one before.
    pub fn asks(&mut self, process: u64, sub: SubId) {
        if let Some(book) = self.topics.subs.get_mut(&(process, sub)) {
            book.finished = book.handed.take().or(book.finished);
        }
    }

    /// An application is handed an item.
    pub fn item(&mut self, process: u64, sub: SubId, item: &Item) {
        let Some(book) = self.topics.subs.get(&(process, sub)).cloned() else { return };
        let after = match item {
            Item::Volatile { .. } => return,
            Item::Event { position, name, body } => {
                self.events_follow_each_other(&book, *position);
                self.equal_places_have_equal_bytes(
                    &book.topic,
                    position.epoch,
                    position.ts,
                    digest(&(name, body)),
                );
                *position
            }
            Item::Gap(gap) => {
                self.a_gap_tells_where_it_began(&book, gap.last, gap.reason);
                Position { epoch: gap.epoch, ts: gap.resumes_after }
            }
            Item::Snapshot { position, body, gap, .. } => {
                self.sometimes.count("snapshot");
                match gap {
                    Some(gap) => self.a_gap_tells_where_it_began(&book, gap.last, gap.reason),
                    None => self.a_snapshot_without_gap_is_the_first(&book),
                }
                self.a_snapshot_contains_its_position(&book, *position, number_in(body));
                *position
            }
        };
        if let Some(book) = self.topics.subs.get_mut(&(process, sub)) {
            book.cursor = Some(after);
            book.handed = Some(after);
        }
    }

    /// Per subscription and epoch numbers rise by 1 but for what was reported: never live across an
    /// unreported gap.
    fn events_follow_each_other(&mut self, book: &SubBook, here: Position) {
        let holds =
            book.cursor.is_none_or(|last| last.epoch == here.epoch && last.ts.next() == here.ts);
        self.require(holds, "never live across an unreported gap", || {
            format!("{:?}: {here:?} after {:?}", book.topic, book.cursor)
        });
    }

    fn a_gap_tells_where_it_began(
        &mut self,
        book: &SubBook,
        last: Option<Position>,
        reason: ResetReason,
    ) {
        self.sometimes.count(&format!("gap: {reason:?}"));
        // Before the first item only the client knows where the server let it begin.
        self.require(
            last == book.cursor || book.cursor.is_none(),
            "a gap tells where it began",
            || format!("{:?}: {last:?}, the application is at {:?}", book.topic, book.cursor),
        );
    }

    fn a_snapshot_without_gap_is_the_first(&mut self, book: &SubBook) {
        self.require(book.cursor.is_none(), "a snapshot without a gap is the first item", || {
            format!("{:?}: the application is at {:?}", book.topic, book.cursor)
        });
    }

    fn a_snapshot_contains_its_position(&mut self, book: &SubBook, here: Position, contains: u64) {
        let current = self.topics.head(&book.topic).is_some_and(|head| head.epoch == here.epoch);
        self.require(!current || contains >= here.ts.0, "a snapshot contains its position", || {
            format!("{:?}: {here:?} from a state at {contains}", book.topic)
        });
    }

    /// Why a subscription is not at its topic's head; `None` if it is.
    #[must_use]
    pub fn not_at_head(&self, process: u64, sub: SubId) -> Option<String> {
        let book = self.topics.subs.get(&(process, sub))?;
        let head = self.topics.head(&book.topic);
        // A node that may hold fewer topics or subscriptions than there are can't serve all of
        // them.
        let room = self.node_config.topics_held.min(self.node_config.subscriptions);
        if book.overload && room < 4 {
            return None;
        }
        // A topic that the store has forgotten and that nobody has published to since is told with
        // its next event.
        let renewed = head.is_none_or(|head| head.ts == TopicSeq(0));
        if book.arrived.is_none() || (book.arrived != head && !renewed) {
            return Some(format!(
                "{:?} is at {head:?}, {:?} has arrived",
                book.topic, book.arrived
            ));
        }
        let read = book.cursor.is_none() || book.cursor == book.arrived;
        (!read).then(|| {
            format!("{:?} is at {head:?}, the application at {:?}", book.topic, book.cursor)
        })
    }
}
