//! Frames of an attachment, in and out: which one goes next, and whom an arriving one concerns (the
//! order of PROTOCOL.md 3 and 4.5). What a frame leads to is decided by the outbox, the session or
//! a subscription.

use super::attachment::Attachment;
use super::heartbeat::Beat;
use super::outbox::NextCommand;
use super::router::Client;
use super::timer::ClientTimer;
use super::types::CallOutcome;
use crate::session::{Close, CloseCode, Now, millis};
use crate::wire::{
    Body, ClientFrame, CommandFrame, CommandNo, Dial, LeaseGrant, Name, RefusalCode, Seq,
    ServerFrame, TopicNo, body_limit,
};

impl Client {
    // ---- out ----

    /// The next frame of the attachment.
    pub(super) fn next_frame(&mut self, now: Now) -> Option<ClientFrame> {
        let frame = self.choose_frame(now)?;
        if let Some(attachment) = self.link.attachment_mut() {
            attachment.say(now);
        }
        Some(frame)
    }

    /// Signs of life first, then what releases the server, then what asks of it.
    fn choose_frame(&mut self, now: Now) -> Option<ClientFrame> {
        let attachment = self.link.attachment_mut()?;
        if attachment.take_confirmation() {
            return self.ack_frame();
        }
        if let Some(k) = attachment.take_pong() {
            return Some(ClientFrame::Pong { k });
        }
        if let Some(k) = attachment.take_ping(now) {
            return Some(ClientFrame::Ping { k });
        }
        let frame_bytes = attachment.frame_bytes();
        let low = self.outbox.low();
        if self.session.as_ref().is_some_and(|session| session.ack_due(&self.config, low)) {
            return self.ack_frame();
        }
        if self.asks_for_lease() {
            return Some(ClientFrame::Lease);
        }
        let about_topics = self.subscriptions.transmit(frame_bytes, &self.config, &mut self.fx);
        if about_topics.is_some() {
            return about_topics;
        }
        if let Some(n) = self.outbox.next_cancel() {
            return Some(ClientFrame::Cancel { n });
        }
        if let Some(command) = self.replayed_command(now).or_else(|| self.next_command(now)) {
            return Some(ClientFrame::Command(command));
        }
        let (name, body) = self.volatiles.take()?;
        Some(ClientFrame::Volatile { name, body })
    }

    fn asks_for_lease(&mut self) -> bool {
        self.lease.is_none()
            && self.wants_lease()
            && self.link.attachment_mut().is_some_and(Attachment::ask_for_lease)
    }

    fn ack_frame(&mut self) -> Option<ClientFrame> {
        let low = self.outbox.low();
        let ack = self.tell(low)?;
        Some(ClientFrame::Ack { ack, low })
    }

    /// Notes that the frame being written carries the ack and `low`.
    fn tell(&mut self, low: CommandNo) -> Option<Seq> {
        let session = self.session.as_mut()?;
        session.told(low);
        if !session.owes_ack(self.outbox.low()) {
            self.fx.timers.cancel(ClientTimer::Ack);
        }
        Some(session.recv())
    }

    /// What the server had not accepted when the last socket broke, again under its sequence.
    fn replayed_command(&mut self, now: Now) -> Option<CommandFrame> {
        let flight = self.session.as_mut()?.next_replay()?;
        // A resolved command has a number below `low`; its head can't say so, and the server
        // ignores a lower one (5.4).
        let low = self.outbox.low().min(flight.n);
        let ack = self.tell(low)?;
        let deadline_ms = self.outbox.replay_deadline(now, flight.call);
        Some(CommandFrame {
            seq: flight.seq,
            ack,
            n: flight.n,
            low,
            deadline_ms,
            name: flight.name,
            body: flight.body,
        })
    }

    /// With a journal, gives new commands their numbers as soon as they could be sent.
    pub(super) fn plan(&mut self) {
        let attachment = self.link.attachment().filter(|attachment| !attachment.is_leaving());
        if let Some(attachment) = attachment.filter(|_| self.lease.is_some()) {
            self.outbox.plan(attachment.span(), &mut self.fx);
        }
    }

    fn next_command(&mut self, now: Now) -> Option<CommandFrame> {
        loop {
            self.lease?;
            self.plan();
            let attachment = self.link.attachment()?;
            if attachment.is_leaving() {
                return None;
            }
            let (call, n, bytes) = match self.outbox.head(now) {
                NextCommand::Ready { call, n, bytes } => (call, n, bytes),
                NextCommand::Wait(until) => {
                    self.fx.timers.set(ClientTimer::Retry, until);
                    return None;
                }
                NextCommand::None => return None,
            };
            if bytes > body_limit(attachment.frame_bytes()) as usize {
                self.outbox.too_large(call, &mut self.fx);
                continue;
            }
            let ahead = n.0.saturating_sub(self.outbox.low().0);
            let fits = self
                .session
                .as_ref()
                .is_some_and(|session| session.has_room(attachment.window(), bytes));
            if !fits || ahead >= attachment.span() {
                return None;
            }
            let sending = self.outbox.send(now, call, &mut self.fx)?;
            let (n, name, body) = (sending.n, sending.name, sending.body);
            let seq = self.session.as_mut()?.send(call, n, name.clone(), body.clone());
            let low = self.outbox.low();
            let ack = self.tell(low)?;
            return Some(CommandFrame {
                seq,
                ack,
                n,
                low,
                deadline_ms: sending.deadline_ms,
                name,
                body,
            });
        }
    }

    /// Makes sure that a refused command is not forgotten while nothing else happens.
    pub(super) fn plan_retry(&mut self, now: Now) {
        let idle = self.link.attachment().is_none_or(|attachment| attachment.is_leaving());
        match self.outbox.retry_at() {
            Some(at) if !idle && at > now => self.fx.timers.set(ClientTimer::Retry, at),
            _ => self.fx.timers.cancel(ClientTimer::Retry),
        }
    }

    // ---- in ----

    pub(super) fn frame_arrived(
        &mut self,
        now: Now,
        dial: Dial,
        frame: ServerFrame,
        message_bytes: usize,
    ) {
        self.heard(now);
        if self.link.attachment().is_none() {
            return self.greeted(now, dial, frame);
        }
        match frame {
            ServerFrame::Ack { ack } => self.check(now, ack),
            ServerFrame::Result { seq, ack, n, body, .. } => {
                let bytes = body.len();
                self.answered(now, (seq, ack), n, bytes, CallOutcome::Reply(body));
            }
            ServerFrame::Failed { seq, ack, n, code, name, body, .. } => {
                let bytes = body.len();
                self.answered(now, (seq, ack), n, bytes, CallOutcome::Failed { code, name, body });
            }
            ServerFrame::Refused { seq, ack, n, code, retry_ms } => {
                self.refused(now, (seq, ack), n, code, retry_ms);
            }
            ServerFrame::Ping { k } => self.pinged(k),
            ServerFrame::Pong { k } => self.link.ponged(now, k),
            ServerFrame::GoAway { after_ms, deadline_ms } => {
                self.go_away(now, after_ms, deadline_ms)
            }
            ServerFrame::Lease(lease) => self.leased(now, &lease),
            ServerFrame::Ignored { .. } => {}
            ServerFrame::Welcome(_) | ServerFrame::ResumeFailed { .. } => {
                self.violated(now, "WELCOME twice")
            }
            frame => self.topic_frame(now, frame, message_bytes),
        }
    }

    fn topic_frame(&mut self, now: Now, frame: ServerFrame, message_bytes: usize) {
        let result = match frame {
            ServerFrame::Subscribed(frame) => {
                self.subscriptions.subscribed(now, &frame, &self.config, &mut self.fx)
            }
            ServerFrame::Unsubscribed { sub, code, retry_ms } => {
                let answer = (sub, code, retry_ms);
                self.subscriptions.unsubscribed(
                    now,
                    answer,
                    &self.config,
                    &mut self.random,
                    &mut self.fx,
                );
                Ok(())
            }
            frame => {
                self.subscriptions.handle(now, frame, message_bytes, &self.config, &mut self.fx)
            }
        };
        if let Err(what) = result {
            self.violated(now, what);
        }
    }

    /// Commands may go. A lease may come twice if a resume has come between it and the question.
    fn leased(&mut self, now: Now, lease: &LeaseGrant) {
        if self.lease.is_some_and(|known| known != lease.id) {
            return self.violated(now, "a second lease");
        }
        self.lease = Some(lease.id);
        self.outbox.leased(lease.id, &mut self.fx);
        if let Some(attachment) = self.link.attachment_mut() {
            attachment.leased(lease);
        }
    }

    pub(super) fn arrived_too_long(&mut self, now: Now, topic: Option<TopicNo>) {
        self.heard(now);
        match topic {
            Some(number) => self.subscriptions.too_long(number, &mut self.fx),
            None => {
                let what = "a message is longer than this client takes";
                self.abandon(now, Close::new(CloseCode::TOO_LARGE_FOR_CLIENT, what));
            }
        }
    }

    /// Any byte counts as life (PROTOCOL.md 9.1).
    pub(super) fn heard(&mut self, now: Now) {
        let sooner = self.link.attachment_mut().and_then(|attachment| attachment.hear(now));
        if let Some(at) = sooner {
            self.fx.timers.set(ClientTimer::Heartbeat, at);
        }
    }

    fn pinged(&mut self, k: u64) {
        if let Some(attachment) = self.link.attachment_mut() {
            attachment.owe_pong(k);
        }
    }

    fn go_away(&mut self, now: Now, after_ms: u64, deadline_ms: u64) {
        if let Some(attachment) = self.link.attachment_mut() {
            attachment.leave(after_ms);
            // A server that forgets to close must not keep the outbox waiting.
            let patience_ms = deadline_ms.saturating_add(millis(self.config.welcome_timeout));
            self.fx.timers.set_once(ClientTimer::Drain, now.after_ms(patience_ms));
            self.volatiles.clear();
            self.plan_retry(now);
        }
    }

    /// The heartbeat timer has fired.
    pub(super) fn look_for_life(&mut self, now: Now) {
        match self.link.look_for_life(now) {
            Some(Beat::Wait(at)) => self.fx.timers.set(ClientTimer::Heartbeat, at),
            Some(Beat::Dead) => {
                self.abandon(now, Close::new(CloseCode::HEARTBEAT, "the server went silent"))
            }
            // Another timer of the same moment has ended the attachment.
            None => {}
        }
    }

    // ---- session ----

    fn check(&mut self, now: Now, ack: Seq) {
        if !self.acknowledged(ack) {
            self.violated(now, "an ack of what was never sent");
        }
    }

    /// Lets go of what the server has accepted; `false` if it can't have.
    pub(super) fn acknowledged(&mut self, ack: Seq) -> bool {
        let Some(session) = self.session.as_mut().filter(|session| session.admits(ack)) else {
            return false;
        };
        while let Some(flight) = session.release(ack) {
            self.outbox.accepted(flight.call, &mut self.fx);
        }
        true
    }

    /// Checks the head of a sequenced frame; `false` if the socket had to be closed over it.
    fn sequenced(&mut self, now: Now, (seq, ack): (Seq, Seq), bytes: usize) -> bool {
        if !self.acknowledged(ack) {
            self.violated(now, "an ack of what was never sent");
            return false;
        }
        let next = self.session.as_mut().is_some_and(|session| session.accept(seq, bytes));
        if !next {
            self.violated(now, "a sequence that is not the next one");
            return false;
        }
        self.fx.timers.set_once(ClientTimer::Ack, now.after(self.config.ack_delay));
        true
    }

    fn answered(
        &mut self,
        now: Now,
        head: (Seq, Seq),
        n: CommandNo,
        bytes: usize,
        outcome: CallOutcome,
    ) {
        if self.sequenced(now, head, bytes) {
            self.outbox.outcome(n, outcome, &mut self.fx);
            self.plan_retry(now);
        }
    }

    fn refused(
        &mut self,
        now: Now,
        head: (Seq, Seq),
        n: CommandNo,
        code: RefusalCode,
        retry_ms: u64,
    ) {
        if !code.is_retry() {
            return self.answered(now, head, n, 0, CallOutcome::Refused(code));
        }
        if self.sequenced(now, head, 0) {
            self.outbox.refused(now, n, retry_ms, &mut self.fx);
            self.plan_retry(now);
        }
    }

    /// Takes a volatile if it can be sent now.
    pub(super) fn take_volatile(&mut self, name: Name, conflation: String, body: Body) -> bool {
        let live = self.link.attachment().is_some_and(|attachment| {
            !attachment.is_leaving() && body.len() <= body_limit(attachment.frame_bytes()) as usize
        });
        if live {
            let (most, most_bytes) = (self.config.volatiles, self.config.volatile_bytes);
            self.volatiles.put((name, conflation), body, most, most_bytes);
        }
        live
    }
}
