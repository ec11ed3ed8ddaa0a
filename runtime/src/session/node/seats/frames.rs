//! Frames of one connection: sequences and acks that come, and what is written next (PROTOCOL.md
//! 4.2 to 4.6). What topics have to send is not known here.

use super::state::Seats;
use crate::session::node::answer::Owed;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Timer};
use crate::session::node::keys::{LeaseKey, Seat, SessionKey};
use crate::session::node::types::ConnId;
use crate::session::{Close, CloseCode, Now};
use crate::wire::{Codec, CommandNo, Seq, ServerFrame};

/// Frames that may wait for a socket beside two per subscription: pongs, WELCOME, GOAWAY.
const CONTROL_FRAMES: usize = 64;

/// What comes of a sequenced frame.
pub(crate) enum Accept {
    /// It counts.
    Yes,
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

    /// PROTOCOL.md 4.2 and 4.6.
    pub(crate) fn accept(
        &mut self,
        conn: ConnId,
        session: SessionKey,
        seq: Seq,
        bytes: usize,
        config: &NodeConfig,
    ) -> Accept {
        let Some(session) = self.sessions.held_mut(session) else { return Accept::Repeated };
        let rewindable = self.attachments.get(&conn).is_some_and(|conn| conn.rewindable);
        if rewindable && seq <= session.recv() {
            return Accept::Repeated;
        }
        match session.accept(seq, bytes, config.window) {
            true => Accept::Yes,
            false => {
                Accept::Broken(Close::new(CloseCode::SEQUENCE, "a sequence or window was broken"))
            }
        }
    }

    /// Decides when the ack of what was accepted goes out alone (PROTOCOL.md 4.5).
    pub(crate) fn owe_ack(
        &mut self,
        now: Now,
        conn: ConnId,
        session: SessionKey,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        let Some(session) = self.sessions.held(session) else { return };
        // The ack that came along may have closed a connection that drains.
        let Some(attachment) = self.attachments.get_mut(&conn) else { return };
        if session.owes_ack(config.ack_frames, config.window) {
            attachment.ack_due = true;
            fx.wake(conn);
        } else if attachment.timers.ack.is_none() {
            let at = now.after(config.ack_delay);
            attachment.timers.ack = Some(at);
            fx.arm(at, Timer::Ack(conn));
        }
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
