//! What a client reads, and what its application sees of it.

use steadfast::session::client::{Item, SubId, SubscriptionEnd};
use steadfast::session::store::TopicId;
use steadfast::wire::{
    Position, ResetReason, ServerFrame, SubNo, TopicNo, TopicSeq, UnsubscribeCode,
};
use steadfast_rig::Rule;
use steadfast_rig::fixtures::number_in;
use steadfast_rig::topic_log::{is_next, reached_by};

use super::SubBook;
use crate::checkers::{Checkers, digest};
use crate::network::SocketId;

impl Checkers {
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

    pub(in crate::checkers) fn feed_arrives(&mut self, socket: SocketId, frame: &ServerFrame) {
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
            sub.state_due = matches!(frame, ServerFrame::Subscribed(told) if told.snapshot);
        }
        sub.overload = false;
    }

    pub(in crate::checkers) fn refusal_arrives(
        &mut self,
        socket: SocketId,
        sub: SubNo,
        code: UnsubscribeCode,
    ) {
        let Some(book) = self.sockets.get(&socket) else { return };
        let Some(asked) = book.asking.get(&sub) else { return };
        let (process, topic) =
            (book.process, TopicId { name: asked.topic.clone(), key: asked.key.as_str().into() });
        for ((of, _), sub) in &mut self.topics.subs {
            if *of == process && sub.topic == topic {
                sub.overload = code == UnsubscribeCode::Overload;
                sub.arrived = None;
                sub.state_due = false;
            }
        }
    }

    /// POSITION tells what the application has finished with, or where the feed begins, nothing
    /// more.
    pub(in crate::checkers) fn positions_are_finished_with(
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
        self.require(holds, Rule::PositionsAreFinished, || format!("{socket:?}: {ts} of {sub:?}"));
    }

    /// An application subscribes.
    pub fn subscribes(&mut self, process: u64, sub: SubId, topic: TopicId, from: Option<Position>) {
        let book = SubBook {
            topic,
            cursor: from,
            handed: None,
            finished: None,
            start: None,
            arrived: None,
            state_due: false,
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
        let Some(after) = reached_by(item) else { return };
        match item {
            Item::Volatile { .. } => {}
            Item::Event { position, name, body } => {
                self.events_follow_each_other(&book, *position);
                let bytes = digest(&(name, body));
                self.equal_places_have_equal_bytes(&book.topic, *position, bytes);
            }
            Item::Gap(gap) => self.a_gap_tells_where_it_began(&book, gap.last, gap.reason),
            Item::Snapshot { position, body, gap, .. } => {
                self.sometimes.count("snapshot");
                match gap {
                    Some(gap) => self.a_gap_tells_where_it_began(&book, gap.last, gap.reason),
                    None => self.a_snapshot_without_gap_is_the_first(&book),
                }
                self.a_snapshot_contains_its_position(&book, *position, number_in(body));
            }
        }
        if let Some(book) = self.topics.subs.get_mut(&(process, sub)) {
            book.cursor = Some(after);
            book.handed = Some(after);
        }
    }

    /// Per subscription and epoch numbers rise by 1 but for what was reported: never live across an
    /// unreported gap.
    fn events_follow_each_other(&mut self, book: &SubBook, here: Position) {
        let holds = book.cursor.is_none_or(|last| is_next(last, here));
        self.require(holds, Rule::NoHiddenGap, || {
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
        self.require(last == book.cursor || book.cursor.is_none(), Rule::GapTellsItsStart, || {
            format!("{:?}: {last:?}, the application is at {:?}", book.topic, book.cursor)
        });
    }

    fn a_snapshot_without_gap_is_the_first(&mut self, book: &SubBook) {
        self.require(book.cursor.is_none(), Rule::SnapshotIsFirstItem, || {
            format!("{:?}: the application is at {:?}", book.topic, book.cursor)
        });
    }

    fn a_snapshot_contains_its_position(&mut self, book: &SubBook, here: Position, contains: u64) {
        let current = self.topics.head(&book.topic).is_some_and(|head| head.epoch == here.epoch);
        self.require(!current || contains >= here.ts.0, Rule::SnapshotContainsPosition, || {
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
        if book.state_due {
            return Some(format!("{:?}: its state has not arrived", book.topic));
        }
        let read = book.cursor.is_none() || book.cursor == book.arrived;
        (!read).then(|| {
            format!("{:?} is at {head:?}, the application at {:?}", book.topic, book.cursor)
        })
    }
}
