//! The attachments and sessions of a node, and how they begin and end.

use std::collections::{BTreeMap, VecDeque};

use super::attachment::{Attachment, Phase};
use super::crowd::{Crowd, Vacancy};
use super::session::Session;
use crate::session::Now;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Timer};
use crate::session::node::keys::{LeaseKey, Seat, SessionKey, SessionRow};
use crate::session::node::load::{NodeLoad, NodePeaks};
use crate::session::node::types::{ConnId, Principal};
use crate::session::table::Table;
use crate::wire::{Codec, SessionId};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Seats {
    pub(super) attachments: BTreeMap<ConnId, Box<Attachment>>,
    pub(super) sessions: Table<SessionRow, Session>,
    pub(super) ids: BTreeMap<SessionId, SessionKey>,
    pub(super) crowd: Crowd,
    /// The latest sessions that have expired: their clients are told so.
    pub(super) expired: VecDeque<SessionId>,
    /// Handlers of volatiles that run.
    pub(super) volatiles: u32,
}

impl Seats {
    pub(crate) fn connect(
        &mut self,
        now: Now,
        conn: ConnId,
        codec: Codec,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        let mut attachment = Attachment::new(now, codec);
        let until = now.after(config.handshake);
        attachment.timers.handshake = Some(until);
        self.attachments.insert(conn, Box::new(attachment));
        fx.arm(until, Timer::Handshake(conn));
    }

    /// Something arrived on a connection; how far its handshake has got. `None` if it is gone: the
    /// driver had not heard of its end.
    pub(crate) fn hears(&mut self, now: Now, conn: ConnId) -> Option<&Phase> {
        let attachment = self.attachments.get_mut(&conn)?;
        attachment.hears(now);
        Some(&attachment.phase)
    }

    pub(crate) fn seat(&self, conn: ConnId) -> Option<Seat> {
        self.attachments.get(&conn)?.seat()
    }

    pub(crate) fn codec(&self, conn: ConnId) -> Option<Codec> {
        self.attachments.get(&conn).map(|attachment| attachment.codec)
    }

    /// The longest message that a client takes.
    pub(crate) fn message_bytes(&self, conn: ConnId) -> Option<u32> {
        self.attachments.get(&conn)?.message_bytes
    }

    pub(crate) fn is_connected(&self, conn: ConnId) -> bool {
        self.attachments.contains_key(&conn)
    }

    pub(crate) fn connections(&self) -> Vec<ConnId> {
        self.attachments.keys().copied().collect()
    }

    pub(crate) fn conn_of(&self, session: SessionKey) -> Option<ConnId> {
        self.sessions.held(session)?.conn
    }

    /// Every session of a principal.
    pub(crate) fn sessions_of(&self, user: &str) -> &[SessionKey] {
        self.crowd.sessions_of(user)
    }

    pub(crate) fn principal(&self, session: SessionKey) -> Option<&Principal> {
        self.sessions.held(session).map(|session| &session.principal)
    }

    // ---- ends ----

    /// A socket is gone, or about to be; how far it had got. Its session stays; `used` says whether
    /// a command was ever accepted under its lease.
    pub(crate) fn forget(
        &mut self,
        now: Now,
        conn: ConnId,
        used: bool,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<Phase> {
        let attachment = self.attachments.remove(&conn)?;
        attachment.timers.disarm(conn, fx);
        if let Some(seat) = attachment.seat() {
            self.detach(now, seat.session, used, config, fx);
        }
        Some(attachment.phase)
    }

    /// Ends a session for good; the lease that it held.
    pub(crate) fn remove(&mut self, key: SessionKey, fx: &mut Effects) -> Option<LeaseKey> {
        let session = self.sessions.remove(key)?;
        self.crowd.leave(key, &session);
        self.ids.remove(&session.id);
        fx.disarm(session.timer, Timer::Session(key));
        Some(session.lease)
    }

    /// Gives back what a burst needed.
    pub(crate) fn shrink_to_fit(&mut self, session: SessionKey) {
        if let Some(session) = self.sessions.held_mut(session) {
            session.shrink_to_fit();
        }
    }

    // ---- looks ----

    /// Whether there is room for one more session of a principal.
    pub(crate) fn vacancy(&self, principal: &Principal, config: &NodeConfig) -> Vacancy {
        self.crowd.vacancy(principal, self.sessions.len(), config)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.attachments.is_empty()
    }

    pub(crate) fn load(&self, load: &mut NodeLoad) {
        load.connections = self.attachments.len();
        load.sessions = self.sessions.len();
        load.answers_waiting = self.sessions.values().map(Session::pending).sum();
    }

    pub(crate) fn peaks(&self, peaks: &mut NodePeaks) {
        peaks.expired_sessions = self.expired.len();
        peaks.principal_sessions = self.crowd.most();
        for attachment in self.attachments.values() {
            peaks.control = peaks.control.max(attachment.controls());
        }
        for session in self.sessions.values() {
            let (directs, direct_bytes) = session.directs();
            peaks.directs = peaks.directs.max(directs);
            if directs > 1 {
                peaks.direct_bytes = peaks.direct_bytes.max(direct_bytes);
            }
            let (held, bytes) = session.unacknowledged();
            peaks.unacknowledged = peaks.unacknowledged.max(held);
            peaks.answers_waiting = peaks.answers_waiting.max(session.pending());
            if held > 1 {
                peaks.unacknowledged_bytes = peaks.unacknowledged_bytes.max(bytes);
            }
        }
    }
}
