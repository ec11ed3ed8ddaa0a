//! What a server feeds to a subscription: without a gap, within its credit, for a reason.

use steadfast::session::store::TopicId;
use steadfast::wire::{Position, ResetReason, ServerFrame, Subscribed, TopicNo, TopicSeq, Window};
use steadfast_rig::Rule;

use super::Feed;
use crate::checkers::Checkers;
use crate::network::SocketId;

impl Checkers {
    /// A client says in HELLO how long a message may be (PROTOCOL.md 2.6).
    pub(in crate::checkers) fn nothing_is_longer_than_its_client_takes(
        &mut self,
        frame: &ServerFrame,
        bytes: usize,
    ) {
        let of_a_topic = matches!(
            frame,
            ServerFrame::Event { .. }
                | ServerFrame::Snapshot { .. }
                | ServerFrame::TopicVolatile { .. }
        );
        let most = self.message_bytes;
        self.require(!of_a_topic || bytes <= most, Rule::LongIsNotSent, || {
            format!("{bytes} bytes to a client that takes {most}: {frame:?}")
        });
    }

    pub(in crate::checkers) fn feed_starts(&mut self, socket: SocketId, subscribed: &Subscribed) {
        let most = self.node_config.max_credit;
        let Some(book) = self.sockets.get_mut(&socket) else { return };
        let Some((asked, head_then)) = book.asked.get(&subscribed.sub).cloned() else {
            return self.require(false, Rule::SubscribedWasAsked, || {
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
        if let (false, None, Some(last)) = (again, asked.from, asked.last) {
            let events = subscribed.head.0.saturating_sub(subscribed.ts.0);
            let fits = events <= u64::from(last) && !subscribed.snapshot;
            self.require(fits, Rule::BeginsWithTheLast, || {
                format!("{topic:?}: the last {last}, told {subscribed:?}")
            });
            let some = if events == 0 { "none" } else { "some" };
            self.sometimes.count(&format!("begun with the last events: {some}"));
        }
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
        self.require(fits(head_then) || fits(head_now), Rule::NoInventedGap, || {
            let heads = format!("the log was at {head_then:?}, is at {head_now:?}");
            format!("{topic:?}: from {from:?}, {heads}, told {subscribed:?}")
        });
    }

    pub(in crate::checkers) fn feed_goes_on(
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
            Rule::FeedHasNoGap,
            || format!("{socket:?}: {ts} after {before:?}"),
        );
        let events = ts.0 <= before.position.0 + u64::from(before.credit.frames);
        let room =
            before.sent_bytes.saturating_sub(before.reported) < u64::from(before.credit.bytes);
        self.require(events && room, Rule::CreditIsKept, || {
            format!("{socket:?}: {ts} for {before:?}")
        });
        let place = Position { epoch: before.epoch, ts };
        self.equal_places_have_equal_bytes(&before.topic, place, bytes);
    }

    pub(in crate::checkers) fn feed_jumps(
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
        self.require(due, Rule::SnapshotIsAnnounced, || format!("{socket:?}: {number} at {ts}"));
    }

    pub(in crate::checkers) fn position_arrives(
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
}
