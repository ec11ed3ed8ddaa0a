//! Everything that waits for time, and what happens then. Timers are armed late and looked at when
//! they fire, so that traffic does not move them.

use super::state::{ConnTimers, LeaseKey, SessionKey};
use super::types::{ConnId, ExecId};
use super::{Node, OpKind};
use crate::session::store::OpId;
use crate::session::table::Key;
use crate::session::{Close, CloseCode, Now};
use crate::wire::{ServerFrame, TopicNo};

/// A deadline's reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    /// HELLO, authentication and lease take too long (PROTOCOL.md 4.1).
    Handshake(ConnId),
    /// Silence (PROTOCOL.md 9.1).
    Heartbeat(ConnId),
    /// An ack has found no frame to ride on (PROTOCOL.md 4.5).
    Ack(ConnId),
    /// Credentials are good no longer.
    Credentials(ConnId),
    /// A detached session has lived long enough.
    Session(SessionKey),
    /// A lease's contact is to be told to the store.
    Renew(LeaseKey),
    /// A lease may have come to rest.
    Rest(LeaseKey),
    /// One of a lease's handlers may have run too long.
    Overdue(LeaseKey),
    /// A hook has run too long.
    Hook(ExecId),
    /// A store operation is to be repeated.
    Retry(OpId),
    /// A topic's log is to be read again.
    Read(TopicNo),
    /// Records may be left unsettled.
    Sweep,
    /// The drain has lasted long enough.
    Drain,
}

impl Node {
    pub(super) fn arm(&mut self, at: Now, timer: Timer) {
        self.timers.insert((at, timer));
    }

    pub(super) fn disarm(&mut self, at: Option<Now>, timer: Timer) {
        if let Some(at) = at {
            self.timers.remove(&(at, timer));
        }
    }

    /// When to call [`Node::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Now> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let idle = self.idle_topics.first().map(|(since, _)| since.after(self.config.topic_idle));
        let quiet =
            self.followed_topics.first().map(|(since, _)| since.after(self.config.topic_touch));
        let sweep = self.swept.map(|swept| swept.after(self.config.sweep_interval));
        timer.into_iter().chain(idle).chain(quiet).chain(sweep).min()
    }

    /// `now` has reached [`Node::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(&(at, timer)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            self.on_timer(now, timer);
        }
        self.forget_idle_topics(now);
        self.touch_followed_topics(now);
        self.sweep_now_and_then(now);
    }

    fn on_timer(&mut self, now: Now, timer: Timer) {
        match timer {
            Timer::Handshake(conn) => self.on_handshake_late(now, conn),
            Timer::Heartbeat(conn) => self.on_heartbeat(now, conn),
            Timer::Ack(conn) => self.on_ack_timer(conn),
            Timer::Credentials(conn) => {
                self.close(
                    now,
                    conn,
                    Close::new(CloseCode::CREDENTIALS_EXPIRED, "the credentials have expired"),
                );
            }
            Timer::Session(session) => self.on_session_late(now, session),
            Timer::Renew(lease) => self.on_renew_timer(lease),
            Timer::Rest(lease) => self.on_rest(lease),
            Timer::Overdue(lease) => self.on_overdue(now, lease),
            Timer::Hook(exec) => self.on_hook_late(now, exec),
            Timer::Retry(op) => self.resubmit(op),
            Timer::Read(topic) => self.read_log(topic),
            Timer::Sweep => {
                self.sweep_armed = false;
                self.sweep_soon();
            }
            Timer::Drain => self.on_drain_late(now),
        }
    }

    fn on_handshake_late(&mut self, now: Now, conn: ConnId) {
        if self.conns.get(&conn).is_some_and(|conn| conn.attached().is_none()) {
            self.close(now, conn, Close::new(CloseCode::NO_HELLO, "the handshake took too long"));
        }
    }

    fn on_session_late(&mut self, now: Now, session: SessionKey) {
        let ttl = self.config.session_ttl;
        let Some(state) = self.sessions.get_mut(session) else { return };
        state.timer = None;
        let until = state.detached.after(ttl);
        if state.conn.is_some() {
            return;
        }
        if now >= until {
            self.expired_sessions.push_back(state.id);
            if self.expired_sessions.len() > self.config.expired_sessions as usize {
                self.expired_sessions.pop_front();
            }
            return self.end_session(now, session);
        }
        state.timer = Some(until);
        self.arm(until, Timer::Session(session));
    }

    fn on_heartbeat(&mut self, now: Now, conn: ConnId) {
        let heartbeat = self.config.heartbeat;
        let Some(state) = self.conns.get_mut(&conn) else { return };
        let quiet_until = state.heard.after(heartbeat.interval);
        if state.missed == 0 && quiet_until > now {
            return self.arm_heartbeat(conn, quiet_until);
        }
        if state.missed >= heartbeat.missed {
            return self.close(now, conn, Close::new(CloseCode::HEARTBEAT, "no sign of life"));
        }
        state.missed += 1;
        state.pings += 1;
        let k = state.pings;
        self.arm_heartbeat(conn, now.after(heartbeat.timeout));
        self.control(now, conn, ServerFrame::Ping { k });
    }

    pub(super) fn arm_heartbeat(&mut self, conn: ConnId, at: Now) {
        if let Some(state) = self.conns.get_mut(&conn) {
            state.timers.heartbeat = Some(at);
            self.arm(at, Timer::Heartbeat(conn));
        }
    }

    fn on_ack_timer(&mut self, conn: ConnId) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.timers.ack = None;
        let Some((session, _)) = state.attached() else { return };
        if self.sessions.get(session).is_some_and(|session| session.told < session.recv) {
            state.ack_due = true;
            self.wake(conn);
        }
    }

    fn on_renew_timer(&mut self, key: LeaseKey) {
        let Some(lease) = self.leases.get_mut(key) else { return };
        lease.renew_timer = None;
        // Nobody's contact is nobody's to tell: the store lets it expire.
        self.release_lease(key);
        if self.leases.get(key).is_some() {
            self.submit(OpKind::Renew(key));
        }
    }

    pub(super) fn arm_renew(&mut self, key: LeaseKey, at: Now) {
        if let Some(lease) = self.leases.get_mut(key) {
            lease.renew_timer = Some(at);
            self.arm(at, Timer::Renew(key));
        }
    }

    /// What is armed for a socket ends with it.
    pub(super) fn disarm_conn(&mut self, conn: ConnId, timers: &ConnTimers) {
        self.disarm(timers.handshake, Timer::Handshake(conn));
        self.disarm(timers.heartbeat, Timer::Heartbeat(conn));
        self.disarm(timers.ack, Timer::Ack(conn));
        self.disarm(timers.credentials, Timer::Credentials(conn));
    }

    fn resubmit(&mut self, op: OpId) {
        let key = Key::from_raw(op.0);
        if let Some(what) = self.ops.get(key).map(|op| op.what.clone()) {
            self.send_op(key, &what);
        }
    }
}
