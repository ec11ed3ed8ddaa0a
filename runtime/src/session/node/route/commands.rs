//! Commands and subscriptions of an attached client, as they arrive (PROTOCOL.md 4.2 to 4.5, 5.3
//! to 5.11, 7.2).

use crate::session::held::held;
use crate::session::node::declared::MessageKind;
use crate::session::node::effects::Running;
use crate::session::node::keys::{LeaseKey, Seat};
use crate::session::node::leases::{Arrival, Offer, Room};
use crate::session::node::router::Node;
use crate::session::node::seats::{Accept, Sequenced, WRONG_ACK};
use crate::session::node::topics::{Following, Subscriber};
use crate::session::node::types::{ConnId, Execution};
use crate::session::{Close, CloseCode, Now, millis};
use crate::wire::{Body, CommandFrame, CommandNo, Name, Seq, Subscribe};

impl Node {
    pub(in super::super) fn on_command(
        &mut self,
        now: Now,
        conn: ConnId,
        seat: Seat,
        frame: CommandFrame,
    ) {
        let honest = self.leases.may_raise(seat.lease, frame.low);
        let sequenced = Sequenced { seq: frame.seq, ack: frame.ack, bytes: frame.body.len() };
        let (config, fx) = (&self.config, &mut self.fx);
        match self.seats.accept(now, conn, seat.session, &sequenced, config, fx) {
            Accept::Yes { freed } if honest => self.acked(now, conn, seat, frame.low, freed),
            Accept::Yes { .. } => return self.close(now, conn, WRONG_ACK),
            Accept::Repeated => return,
            Accept::Broken(close) => return self.close(now, conn, close),
        }
        let room = Room {
            draining: self.draining.is_some(),
            owing: self.owes_enough(seat),
            failing: self.fx.store_fails(now, &self.config),
            wait_ms: 0,
        };
        let arrival = Arrival { conn, frame };
        match self.leases.offer(now, seat.lease, arrival, room, &self.config, &mut self.fx) {
            Offer::Accepted | Offer::Nothing => {}
            Offer::Answer(owed) => self.seats.owe(seat.session, owed, &mut self.fx),
            Offer::Beyond => {
                self.close(now, conn, Close::new(CloseCode::SEQUENCE, "a command beyond the span"));
            }
            Offer::Unleased => {
                let why = "a command without a lease";
                self.close(now, conn, Close::new(CloseCode::SEQUENCE, why));
            }
            Offer::Reused => self.close_for_reuse(now, conn),
        }
    }

    /// Whether as many publications of a client's principal wait for their logs as may.
    fn owes_enough(&self, seat: Seat) -> bool {
        !self.appends.is_empty()
            && self
                .seats
                .principal(seat.session)
                .is_some_and(|principal| self.appends.has_enough(principal.user(), &self.config))
    }

    pub(super) fn close_for_reuse(&mut self, now: Now, conn: ConnId) {
        let close = Close::new(CloseCode::NUMBER_REUSED, "a command number was used again");
        self.close(now, conn, close);
    }

    /// PROTOCOL.md 4.4 and 5.4.
    pub(in super::super) fn on_ack(
        &mut self,
        now: Now,
        conn: ConnId,
        seat: Seat,
        ack: Seq,
        low: CommandNo,
    ) {
        let honest = self.leases.may_raise(seat.lease, low);
        match self.seats.on_ack(seat.session, ack).filter(|_| honest) {
            Some(freed) => self.acked(now, conn, seat, low, freed),
            None => self.close(now, conn, WRONG_ACK),
        }
    }

    /// PROTOCOL.md 5.27: a number that the lease does not hold says nothing.
    pub(in super::super) fn on_cancel(&mut self, now: Now, seat: Seat, n: CommandNo) {
        self.leases.cancel(now, (seat.lease, n), &self.config, &mut self.fx);
    }

    /// The client has so much, and has resolved everything below `low`.
    fn acked(&mut self, now: Now, conn: ConnId, seat: Seat, low: CommandNo, freed: bool) {
        self.raise_low(now, seat.lease, low);
        if freed {
            self.fx.wake(conn);
        }
        self.close_if_quiet(now, conn);
    }

    /// Everything below is resolved at the client.
    pub(super) fn raise_low(&mut self, now: Now, lease: LeaseKey, low: CommandNo) {
        let session = self.leases.raise_low(now, lease, low, &self.config, &mut self.fx);
        if let Some(session) = session {
            self.seats.forget_answers(session, low);
        }
    }

    /// The outcome of a command is final: whoever waits for it is told.
    pub(super) fn answer(&mut self, lease: LeaseKey, n: CommandNo, dup: bool) {
        if let Some((session, owed)) = self.leases.answer(lease, n, dup) {
            self.seats.owe(session, owed, &mut self.fx);
        }
    }

    /// A volatile has arrived: it is run if there is room, else dropped.
    pub(in super::super) fn on_volatile(
        &mut self,
        now: Now,
        conn: ConnId,
        seat: Seat,
        name: &Name,
        body: Body,
    ) {
        // What it does not know it drops (PROTOCOL.md 5.16).
        let Some(spec) = self.config.message(name) else { return };
        let (message, timeout) = (spec.index, spec.timeout);
        let fits = spec.kind == MessageKind::Volatile && body.len() <= spec.max_bytes as usize;
        if !fits || self.draining.is_some() {
            return;
        }
        let Some(principal) = self.seats.principal(seat.session).cloned() else { return };
        let Some(codec) = self.seats.begin_volatile(conn, &self.config) else { return };
        let client = self.seats.client(conn);
        let exec = self.fx.begin(now, timeout, Running::Volatile(conn));
        self.fx.execute(Execution::Volatile {
            exec,
            conn,
            message,
            body,
            codec,
            principal,
            client,
            timeout_ms: millis(timeout),
        });
    }

    pub(in super::super) fn on_subscribe(
        &mut self,
        now: Now,
        conn: ConnId,
        seat: Seat,
        subscribe: Subscribe,
    ) {
        let Some(principal) = self.seats.principal(seat.session).cloned() else { return };
        let codec = held(self.seats.codec(conn), "whoever speaks is connected");
        let Some(codec) = codec else { return };
        let message_bytes = self.seats.message_bytes(conn);
        let subscriber = Subscriber { conn, codec, message_bytes, principal };
        match self.topics.subscribe(now, subscriber, subscribe, &self.config, &mut self.fx) {
            Following::Asked => {}
            Following::Refused(frame) => self.control(now, conn, frame),
            Following::Reused => {
                let close =
                    Close::new(CloseCode::MALFORMED, "a subscription number was used twice");
                self.close(now, conn, close);
            }
        }
    }
}
