//! Frames of one connection: sequences and acks that come, and what is written next (PROTOCOL.md
//! 4.2 to 4.6). What topics have to send is not known here.

use super::session::Unsent;
use super::state::Seats;
use crate::session::held::held;
use crate::session::node::answer::Owed;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Timer};
use crate::session::node::keys::{LeaseKey, Seat, SessionKey};
use crate::session::node::types::{ConnId, DirectMessage};
use crate::session::{Close, CloseCode, Now};
use crate::wire::{Codec, CommandNo, Seq, ServerFrame};

/// What a client is told that claims more than was written, or resolved more than it has called
/// (PROTOCOL.md 4.4, 5.4).
pub(crate) const WRONG_ACK: Close =
    Close::new(CloseCode::SEQUENCE, "an ack or a low-water mark was wrong");

/// Frames that may wait for a socket beside two per subscription: pongs, WELCOME, GOAWAY.
const CONTROL_FRAMES: usize = 64;

/// A sequenced frame, as far as its session is concerned.
pub(crate) struct Sequenced {
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    pub(crate) bytes: usize,
}

/// What comes of a sequenced frame.
pub(crate) enum Accept {
    /// It counts; `freed` if its ack made room for an answer that waits.
    Yes {
        freed: bool,
    },
    /// It was accepted by an earlier exchange, and is dropped.
    Repeated,
    Broken(Close),
}

/// What a connection is to write next.
pub(crate) enum Written {
    Frame(ServerFrame),
    /// The answer to a command of a lease that goes out for the first time.
    Answer(ServerFrame, LeaseKey, CommandNo),
    /// Nothing but what topics have.
    Nothing,
    /// Nothing: it is not attached, or gone.
    NotAttached,
}

impl Seats {
    // ---- what comes ----

    /// PROTOCOL.md 4.2, 4.4 and 4.6. Decides when the ack of what was accepted goes out alone
    /// (4.5).
    pub(crate) fn accept(
        &mut self,
        now: Now,
        conn: ConnId,
        session: SessionKey,
        frame: &Sequenced,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Accept {
        let Some(session) = self.sessions.held_mut(session) else { return Accept::Repeated };
        let attachment = held(self.attachments.get_mut(&conn), "whoever speaks is connected");
        let Some(attachment) = attachment else { return Accept::Repeated };
        if attachment.rewindable && frame.seq <= session.recv() {
            return Accept::Repeated;
        }
        if !session.accept(frame.seq, frame.bytes, config.window) {
            let why = "a sequence or window was broken";
            return Accept::Broken(Close::new(CloseCode::SEQUENCE, why));
        }
        if !session.on_ack(frame.ack) {
            return Accept::Broken(WRONG_ACK);
        }
        if session.owes_ack(config.ack_frames, config.window) {
            attachment.ack_due = true;
            fx.wake(conn);
        } else if attachment.timers.ack.is_none() {
            let at = now.after(config.ack_delay);
            attachment.timers.ack = Some(at);
            fx.arm(at, Timer::Ack(conn));
        }
        Accept::Yes { freed: session.has_pending() }
    }

    /// Releases what the client has accepted; whether anything waited for room. `None` if it
    /// claims more than was written.
    pub(crate) fn on_ack(&mut self, session: SessionKey, ack: Seq) -> Option<bool> {
        let session = self.sessions.held_mut(session)?;
        session.on_ack(ack).then(|| session.has_pending())
    }

    /// Everything above `recv` is sent again; `false` if that is not retained.
    pub(crate) fn rewind(&mut self, conn: ConnId, recv: Seq, fx: &mut Effects) -> bool {
        // The driver had not heard of its end.
        let Some(attachment) = self.attachments.get_mut(&conn) else { return true };
        attachment.rewindable = true;
        let Some(seat) = attachment.seat() else { return true };
        let known =
            self.sessions.held_mut(seat.session).is_some_and(|session| session.rewind(recv));
        if known {
            fx.wake(conn);
        }
        known
    }

    // ---- what goes ----

    /// Queues a frame that waits for nothing but the socket.
    ///
    /// # Errors
    /// When too many wait already.
    pub(crate) fn control(
        &mut self,
        conn: ConnId,
        frame: ServerFrame,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Result<(), Close> {
        // A connection that is gone is told nothing.
        let Some(attachment) = self.attachments.get_mut(&conn) else { return Ok(()) };
        let limit = CONTROL_FRAMES + 2 * config.subscriptions as usize;
        match frame {
            pong @ ServerFrame::Pong { .. } => attachment.control_first(pong, limit)?,
            frame => attachment.control(frame, limit)?,
        }
        fx.wake(conn);
        Ok(())
    }

    /// Queues an answer for a session; the window decides when it goes.
    pub(crate) fn owe(&mut self, session: SessionKey, owed: Owed, fx: &mut Effects) {
        let Some(session) = self.sessions.held_mut(session) else { return };
        session.owe(owed);
        if let Some(conn) = session.conn {
            fx.wake(conn);
        }
    }

    /// Queues a direct message for a session, behind what there is.
    ///
    /// # Errors
    /// When it has as many as it may, or its client takes none so long.
    pub(crate) fn send(
        &mut self,
        session: SessionKey,
        message: &DirectMessage,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Result<(), Unsent> {
        let Some(session) = self.sessions.held_mut(session) else { return Err(Unsent::Full) };
        session.send(message, config)?;
        if let Some(conn) = session.conn {
            fx.wake(conn);
        }
        Ok(())
    }

    /// The client does not wait for answers below `low`.
    pub(crate) fn forget_answers(&mut self, session: SessionKey, low: CommandNo) {
        if let Some(session) = self.sessions.held_mut(session) {
            session.forget_below(low);
        }
    }

    /// The next frame for a connection that no topic has: control frames, answers, then an ack of
    /// its own.
    pub(crate) fn next_frame(&mut self, now: Now, conn: ConnId) -> Written {
        // The driver had not heard of its end.
        let Some(attachment) = self.attachments.get_mut(&conn) else { return Written::NotAttached };
        // Whoever asks again was given something.
        if std::mem::replace(&mut attachment.asked, true) {
            attachment.life.said = now;
        }
        if let Some(frame) = attachment.next_control() {
            return Written::Frame(frame);
        }
        let Some(seat) = attachment.seat() else { return Written::NotAttached };
        let Some(session) = self.sessions.held_mut(seat.session) else { return Written::Nothing };
        if let Some((frame, answered)) = session.next_frame() {
            attachment.ack_due = false;
            return match answered {
                Some(n) => Written::Answer(frame, seat.lease, n),
                None => Written::Frame(frame),
            };
        }
        if std::mem::take(&mut attachment.ack_due) {
            session.told();
            return Written::Frame(ServerFrame::Ack { ack: session.recv() });
        }
        Written::Nothing
    }

    /// The seat of a connection to which nothing is owed, as far as its session knows.
    pub(crate) fn quiet_seat(&self, conn: ConnId) -> Option<Seat> {
        let attachment = self.attachments.get(&conn)?;
        let seat = attachment.seat().filter(|_| attachment.controls() == 0)?;
        self.sessions.held(seat.session)?.owes_nothing().then_some(seat)
    }

    /// Whether a connection has to be told that there is something to transmit: it is, once.
    pub(crate) fn wakes(&mut self, conn: ConnId) -> bool {
        // One that is gone is told nothing.
        let attachment = self.attachments.get_mut(&conn);
        attachment.is_some_and(|attachment| !std::mem::replace(&mut attachment.woken, true))
    }

    /// A connection has taken everything.
    pub(crate) fn rest(&mut self, conn: ConnId) {
        if let Some(attachment) = self.attachments.get_mut(&conn) {
            attachment.woken = false;
            attachment.asked = false;
        }
    }

    // ---- volatiles ----

    /// Counts one more handler of a volatile. `None` if its connection, or the node, has as many as
    /// it may. Handlers outlive their connection, so what each may have is not bound enough.
    pub(crate) fn begin_volatile(&mut self, conn: ConnId, config: &NodeConfig) -> Option<Codec> {
        let attachment = self.attachments.get_mut(&conn)?;
        if self.volatiles >= config.executions
            || attachment.volatiles_running >= config.volatile_executions
        {
            return None;
        }
        self.volatiles += 1;
        attachment.volatiles_running += 1;
        Some(attachment.codec)
    }

    pub(crate) fn end_volatile(&mut self, conn: ConnId) {
        self.volatiles -= 1;
        if let Some(attachment) = self.attachments.get_mut(&conn) {
            attachment.volatiles_running -= 1;
        }
    }
}
