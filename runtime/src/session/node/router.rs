//! The node: what goes in and what comes out. It owns the machines, and routes between them; what
//! an input means to each is theirs.

use std::sync::Arc;

use super::appends::Appends;
use super::config::NodeConfig;
use super::effects::{Effect, Effects};
use super::keys::Seat;
use super::leases::Leases;
use super::load::{NodeLoad, NodePeaks};
use super::seats::{Phase, Seats, Written};
use super::topics::{Notices, Topics};
use super::types::{ConnId, ExecId, Execution, NodeEvent, Output, PublishId, TopicVolatile};
use crate::session::store::{News, Publication, TopicId};
use crate::session::{Close, CloseCode, Now, Random};
use crate::wire::{ClientFrame, Codec, Outgoing, Position, Seq, ServerFrame};

/// Why nobody may come, or stay, while a node drains (PROTOCOL.md 8.2).
pub(super) const LEAVING: Close = Close::new(CloseCode::DRAINING, "this server is leaving");

/// One server process. Every call that takes `&mut self` is an input, [`Node::poll_transmit`] too:
/// after it, [`Node::poll_output`] is polled until there is none. Then woken connections take what
/// [`Node::poll_transmit`] has for them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    pub(super) config: Arc<NodeConfig>,
    pub(super) random: Random,
    /// Names this process in the keys of its own publications, and in its claims of leases.
    pub(super) id: u128,
    /// Until when a drain lasts.
    pub(super) draining: Option<Now>,
    pub(super) seats: Seats,
    pub(super) leases: Leases,
    pub(super) topics: Topics,
    pub(super) appends: Appends,
    pub(super) fx: Effects,
}

impl Node {
    /// A node without connections. `seed` must be unguessable in production.
    #[must_use]
    pub fn new(config: Arc<NodeConfig>, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        let id = random.u128();
        let leases = Leases::new(config.terms());
        Self {
            config,
            random,
            id,
            draining: None,
            seats: Seats::default(),
            leases,
            topics: Topics::default(),
            appends: Appends::default(),
            fx: Effects::default(),
        }
    }

    /// The first input: looks for records that an earlier process left unsettled.
    pub fn start(&mut self, now: Now) {
        self.appends.sweep().start(now, &mut self.fx);
    }

    // ---- connections ----

    /// A socket was accepted. `conn` must never have been used before.
    pub fn handle_connected(&mut self, now: Now, conn: ConnId, codec: Codec) {
        if self.draining.is_some() {
            // Admitted before the drain began, connected after it: nobody waits for its HELLO.
            return self.fx.event(NodeEvent::Close(conn, LEAVING));
        }
        self.seats.connect(now, conn, codec, &self.config, &mut self.fx);
    }

    /// A frame arrived.
    pub fn handle_frame(&mut self, now: Now, conn: ConnId, frame: ClientFrame) {
        let Some(phase) = self.seats.hears(now, conn) else { return };
        match (phase, frame) {
            (Phase::Attached(seat), frame) => {
                let seat = *seat;
                self.on_attached_frame(now, conn, seat, frame);
            }
            (Phase::Silent, ClientFrame::Hello(hello)) => self.on_hello(now, conn, hello),
            _ => self.close(
                now,
                conn,
                Close::new(CloseCode::MALFORMED, "the first frame is HELLO, then the client waits"),
            ),
        }
    }

    fn on_attached_frame(&mut self, now: Now, conn: ConnId, seat: Seat, frame: ClientFrame) {
        self.seats.confirm_token(seat.session);
        match frame {
            ClientFrame::Command(command) => self.on_command(now, conn, seat, command),
            ClientFrame::Ack { ack, low } => {
                self.on_ack(now, conn, seat, ack, low);
            }
            ClientFrame::Position { topic, ts, bytes } => {
                self.topics.on_position(conn, topic, ts, bytes, &mut self.fx);
            }
            ClientFrame::Subscribe(subscribe) => self.on_subscribe(now, conn, seat, *subscribe),
            ClientFrame::Unsubscribe { sub } => {
                self.topics.unsubscribe(now, conn, sub, &mut self.fx);
            }
            ClientFrame::Lease => self.on_lease_wanted(seat),
            ClientFrame::Cancel { n } => self.on_cancel(now, seat, n),
            ClientFrame::Volatile { name, body } => self.on_volatile(now, conn, seat, &name, body),
            ClientFrame::Ping { k } => self.control(now, conn, ServerFrame::Pong { k }),
            ClientFrame::Pong { .. } | ClientFrame::Ignored { .. } => {}
            ClientFrame::Hello(_) => {
                self.close(now, conn, Close::new(CloseCode::MALFORMED, "a second HELLO"));
            }
        }
    }

    /// Something that is not a frame arrived (a WebSocket pong): a sign of life.
    pub fn handle_alive(&mut self, now: Now, conn: ConnId) {
        self.seats.hears(now, conn);
    }

    /// The socket ended. After [`NodeEvent::Close`] too.
    pub fn handle_disconnected(&mut self, now: Now, conn: ConnId, close: Close) {
        if let Some(seat) = self.forget(now, conn)
            && close.code == Some(CloseCode::NORMAL)
        {
            self.close_cleanly(now, seat);
        }
    }

    /// For attachments whose exchanges may be repeated (long-poll): the peer says that it has
    /// `recv`; everything above is sent again, and a sequenced frame at or below the node's own
    /// `recv` is dropped from now on, not an error.
    pub fn rewind(&mut self, now: Now, conn: ConnId, recv: Seq) {
        if !self.seats.rewind(conn, recv, &mut self.fx) {
            let close =
                Close::new(CloseCode::SEQUENCE, "the position to rewind to is not retained");
            self.close(now, conn, close);
        }
    }

    // ---- publishing ----

    /// Publishes an event from outside any command; [`NodeEvent::Published`] tells where it landed.
    pub fn publish(&mut self, _now: Now, publication: Publication) -> PublishId {
        self.appends.publish(publication, self.id, &self.config, &mut self.fx)
    }

    /// Publishes a volatile to the topic's present subscribers; the latest per conflation key waits
    /// for each of them.
    pub fn publish_volatile(&mut self, _now: Now, volatile: TopicVolatile) {
        self.topics.volatile(&volatile, &self.config, &mut self.fx);
    }

    /// The store has news (hints; a lost one costs seconds).
    pub fn handle_news(&mut self, now: Now, news: News) {
        match news {
            News::Advanced(topics) => {
                for advanced in topics {
                    self.topics.advanced(now, advanced, &self.config, &mut self.fx);
                }
            }
            News::Missed => self.topics.look_at_everything(now, &self.config, &mut self.fx),
            News::Rolled => {
                self.topics.look_at_everything(now, &self.config, &mut self.fx);
                self.leases.renew_all(now, &mut self.fx);
                self.fx.outlive_operations();
            }
        }
    }

    // ---- outputs ----

    /// The next thing to do, in the node's own order: what was caused first comes first, commands
    /// that may be handed out ahead follow the one before them, and commits come when nothing else
    /// is left, so that one carries everything that has ended.
    #[inline]
    pub fn poll_output(&mut self, now: Now) -> Option<Output> {
        if let Some(execution) = self.next_ahead(now) {
            return Some(Output::Execute { execution, ahead: true });
        }
        loop {
            if let Some(output) = self.next_effect(now).or_else(|| self.next_commit(now)) {
                return Some(output);
            }
            if !self.fx.take_eased() {
                return None;
            }
            self.leases.fill_places(now, &self.config, &mut self.fx);
        }
    }

    fn next_effect(&mut self, now: Now) -> Option<Output> {
        while let Some(effect) = self.fx.pop() {
            match effect {
                Effect::Event(event) => return Some(Output::Event(event)),
                Effect::Wake(conn) => {
                    if self.seats.wakes(conn) {
                        return Some(Output::Event(NodeEvent::Wake(conn)));
                    }
                }
                Effect::Execute(execution) => {
                    return Some(Output::Execute { execution, ahead: false });
                }
                Effect::Interest(topic, interested) => {
                    return Some(Output::Interest { topic, interested });
                }
                Effect::Ask(operation) => {
                    if let Some(output) = self.make_operation(now, operation) {
                        return Some(output);
                    }
                }
            }
        }
        None
    }

    fn next_commit(&mut self, now: Now) -> Option<Output> {
        while let Some(operation) = self.leases.next_commit(&mut self.fx) {
            if let Some(output) = self.make_operation(now, operation) {
                return Some(output);
            }
        }
        None
    }

    fn next_ahead(&mut self, now: Now) -> Option<Execution> {
        let before = self.fx.take_handed_out()?;
        let next = self.leases.next_ahead(now, before, &self.config, &mut self.fx)?;
        self.fx.hands_out(&next);
        Some(next)
    }

    /// The next message for a connection: control frames, answers, an ack of its own, then topics
    /// in turn. Answers and control frames never wait for a subscription's credit (PROTOCOL.md
    /// 7.9).
    pub fn poll_transmit(&mut self, now: Now, conn: ConnId) -> Option<Outgoing> {
        match self.seats.next_frame(now, conn) {
            Written::Frame(frame) => return Some(Outgoing::Frame(frame)),
            Written::Answer(frame, lease, n) => {
                self.leases.answered(lease, n);
                return Some(Outgoing::Frame(frame));
            }
            Written::Nothing => {}
            Written::NotAttached => {
                self.seats.rest(conn);
                return None;
            }
        }
        if let Some(message) = self.topics.next_message(now, conn, &self.config, &mut self.fx) {
            return Some(message);
        }
        self.seats.rest(conn);
        self.close_if_quiet(now, conn);
        None
    }

    // ---- looks ----

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Arc<NodeConfig> {
        &self.config
    }

    /// Where a topic stands, if this node knows it.
    #[must_use]
    pub fn topic_head(&self, topic: &TopicId) -> Option<Position> {
        self.topics.head_of(topic)
    }

    /// Whether the node still waits for the end of an execution. One that was handed out and is not
    /// waited for any more has been aborted, or has ended.
    #[must_use]
    pub fn is_running(&self, exec: ExecId) -> bool {
        self.fx.running(exec).is_some()
    }

    /// Whether the caller of a command that runs does not want it any more
    /// ([`NodeEvent::Cancel`]): for a driver that could not pass that on when it came.
    #[must_use]
    pub fn is_cancelled(&self, exec: ExecId) -> bool {
        self.leases.is_cancelled(exec, &self.fx)
    }

    /// How much this node holds; every number is bounded by its configuration.
    #[must_use]
    pub fn load(&self) -> NodeLoad {
        let mut load = NodeLoad::default();
        self.seats.load(&mut load);
        self.leases.load(&mut load);
        self.topics.load(&mut load);
        self.appends.load(&mut load);
        self.fx.load(&mut load);
        load
    }

    /// The fullest buffer of each kind. Costs O(everything): for tests, not for every scrape.
    #[must_use]
    pub fn peaks(&self) -> NodePeaks {
        let mut peaks = NodePeaks::default();
        self.seats.peaks(&mut peaks);
        self.leases.peaks(&mut peaks);
        self.topics.peaks(&mut peaks);
        self.appends.peaks(&mut peaks);
        peaks
    }

    // ---- for every route ----

    /// Queues a frame that waits for nothing but the socket.
    pub(super) fn control(&mut self, now: Now, conn: ConnId, frame: ServerFrame) {
        if let Err(close) = self.seats.control(conn, frame, &self.config, &mut self.fx) {
            self.close(now, conn, close);
        }
    }

    /// Passes on what topics have to say.
    pub(super) fn notify(&mut self, now: Now, notices: Notices) {
        for (conn, frame) in notices {
            self.control(now, conn, frame);
        }
    }

    /// Ends a socket from this side.
    pub(super) fn close(&mut self, now: Now, conn: ConnId, close: Close) {
        // It may be gone already.
        if self.seats.is_connected(conn) {
            self.forget(now, conn);
            self.fx.event(NodeEvent::Close(conn, close));
        }
    }

    /// A socket is gone, or about to be: its session stays. Where it sat.
    fn forget(&mut self, now: Now, conn: ConnId) -> Option<Seat> {
        let seat = self.seats.seat(conn);
        let used = seat.is_some_and(|seat| self.leases.is_used(seat.lease));
        let phase = self.seats.forget(now, conn, used, &self.config, &mut self.fx);
        self.topics.forget(now, conn, &mut self.fx);
        match phase? {
            Phase::Attached(seat) => {
                self.leases.hold(seat.lease, false, &mut self.fx);
                return Some(seat);
            }
            Phase::Authenticating { exec, .. } => self.fx.abort(exec),
            Phase::Leasing(leasing) => {
                if let Some(id) = leasing.claimed() {
                    self.leases.end_claim(id, conn);
                }
            }
            Phase::Silent => {}
        }
        None
    }
}
