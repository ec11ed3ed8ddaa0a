//! Signs of life and what ends for want of them: heartbeats, late handshakes, acks that found no
//! frame to ride on, sessions that nobody came back to (PROTOCOL.md 4.5, 9.1).

use super::session::Session;
use super::state::Seats;
use crate::session::Now;
use crate::session::held::held;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Timer};
use crate::session::node::keys::SessionKey;
use crate::session::node::types::ConnId;
use crate::wire::ServerFrame;

const ENDS_WITH_IT: &str = "what is armed for a connection ends with it";

/// What a look at a heartbeat has found.
pub(crate) enum Beat {
    /// The peer was heard, or has time left.
    Alive,
    /// It has been silent: ask it.
    Ask(ServerFrame),
    Dead,
}

impl Seats {
    /// A HELLO without WELCOME has had its time.
    pub(crate) fn is_handshaking(&self, conn: ConnId) -> bool {
        self.attachments.get(&conn).is_some_and(|attachment| attachment.seat().is_none())
    }

    /// Credentials are good for so long.
    pub(crate) fn credentials_until(&mut self, conn: ConnId, until: Now, fx: &mut Effects) {
        if let Some(attachment) = self.attachments.get_mut(&conn) {
            attachment.timers.credentials = Some(until);
            fx.arm(until, Timer::Credentials(conn));
        }
    }

    pub(crate) fn on_heartbeat(
        &mut self,
        now: Now,
        conn: ConnId,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Beat {
        let heartbeat = config.heartbeat;
        let attachment = held(self.attachments.get_mut(&conn), ENDS_WITH_IT);
        let Some(attachment) = attachment else { return Beat::Alive };
        let life = &mut attachment.life;
        let (heard_until, said_until) =
            (life.heard.after(heartbeat.interval), life.said.after(heartbeat.interval));
        let heard = life.missed == 0 && heard_until > now;
        if heard && said_until > now {
            self.arm_heartbeat(conn, heard_until.min(said_until), fx);
            return Beat::Alive;
        }
        if !heard && life.missed >= heartbeat.missed {
            return Beat::Dead;
        }
        life.pings += 1;
        let ping = ServerFrame::Ping { k: life.pings };
        let next = if heard {
            // Nothing is asked: the peer is to hear something (PROTOCOL.md 9.1).
            life.said = now;
            heard_until.min(now.after(heartbeat.interval))
        } else {
            life.missed += 1;
            now.after(heartbeat.timeout)
        };
        self.arm_heartbeat(conn, next, fx);
        Beat::Ask(ping)
    }

    pub(super) fn arm_heartbeat(&mut self, conn: ConnId, at: Now, fx: &mut Effects) {
        if let Some(attachment) = self.attachments.get_mut(&conn) {
            attachment.timers.heartbeat = Some(at);
            fx.arm(at, Timer::Heartbeat(conn));
        }
    }

    /// An ack has waited long enough for a frame to ride on.
    pub(crate) fn on_ack_late(&mut self, conn: ConnId, fx: &mut Effects) {
        let attachment = held(self.attachments.get_mut(&conn), ENDS_WITH_IT);
        let Some(attachment) = attachment else { return };
        attachment.timers.ack = None;
        let session = attachment.seat().and_then(|seat| self.sessions.held(seat.session));
        if session.is_some_and(Session::is_untold) {
            attachment.ack_due = true;
            fx.wake(conn);
        }
    }

    /// The last socket of a session has ended: the session has its time to live.
    pub(super) fn detach(
        &mut self,
        now: Now,
        key: SessionKey,
        used: bool,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        let Some(session) = self.sessions.held_mut(key) else { return };
        session.conn = None;
        session.detached = now;
        session.used = used;
        self.crowd.detach(key, session);
        if session.timer.is_none() {
            let until = now.after(config.session_ttl);
            session.timer = Some(until);
            fx.arm(until, Timer::Session(key));
        }
    }

    /// Whether a session has been without a socket for as long as it may; if so, it is remembered
    /// as expired.
    pub(crate) fn has_expired(
        &mut self,
        now: Now,
        key: SessionKey,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> bool {
        let Some(session) = self.sessions.held_mut(key) else { return false };
        session.timer = None;
        if session.conn.is_some() {
            return false;
        }
        let until = session.detached.after(config.session_ttl);
        if now < until {
            session.timer = Some(until);
            fx.arm(until, Timer::Session(key));
            return false;
        }
        self.remember_expired(key, config);
        true
    }

    /// A session ends without its client's doing, which is told so if it asks in time.
    pub(crate) fn remember_expired(&mut self, key: SessionKey, config: &NodeConfig) {
        let Some(session) = self.sessions.held(key) else { return };
        self.expired.push_back(session.id);
        if self.expired.len() > config.expired_sessions as usize {
            self.expired.pop_front();
        }
    }
}
