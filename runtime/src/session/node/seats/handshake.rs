//! From HELLO to WELCOME: which session a HELLO may go on with, and how a session is opened or
//! taken over (PROTOCOL.md 4.7 to 4.10). Who is asked, and what is closed, is the router's.

use std::sync::Arc;

use super::attachment::{Leasing, Phase};
use super::session::{Beginning, Session};
use super::state::Seats;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Timer};
use crate::session::node::keys::{Seat, SessionKey};
use crate::session::node::types::{ConnId, ExecId, Principal};
use crate::session::{Build, Now, Random, millis};
use crate::wire::{
    Codec, Gen, Hello, LeaseGrant, LeaseId, ResumeFailure, ResumeToken, Seq, ServerFrame,
    SessionId, Welcome, Window,
};

/// What a HELLO's claim to a session comes to.
pub(crate) enum Found {
    Resume(SessionKey),
    /// A newer socket of the same process has it.
    Stale,
    /// `ended` is the session that must not go on.
    Failed {
        reason: ResumeFailure,
        ended: Option<SessionKey>,
    },
    New,
}

/// Who opens a new session.
pub(crate) struct Opening<'a> {
    pub(crate) conn: ConnId,
    pub(crate) codec: Codec,
    pub(crate) hello: &'a Hello,
    pub(crate) principal: Principal,
    pub(crate) lease: crate::session::node::keys::LeaseKey,
    pub(crate) lease_id: Option<LeaseId>,
}

/// A socket that has lost its session to a newer one.
pub(crate) struct Replaced {
    pub(crate) conn: ConnId,
    /// The newer one is of another process.
    pub(crate) other_process: bool,
}

impl Seats {
    /// HELLO has arrived; its authentication runs.
    pub(crate) fn authenticate(
        &mut self,
        conn: ConnId,
        hello: Box<Hello>,
        client: Arc<Build>,
        exec: ExecId,
    ) {
        if let Some(attachment) = self.attachments.get_mut(&conn) {
            attachment.client = client;
            attachment.message_bytes = hello.message_bytes;
            attachment.phase = Phase::Authenticating { hello, exec };
        }
    }

    /// Authentication has ended; the HELLO that it was for. `None` if the socket has ended first.
    pub(crate) fn authenticated(&mut self, conn: ConnId) -> Option<Box<Hello>> {
        let attachment = self.attachments.get_mut(&conn)?;
        match std::mem::replace(&mut attachment.phase, Phase::Silent) {
            Phase::Authenticating { hello, .. } => Some(hello),
            phase => {
                debug_assert!(false, "an authentication ends once, and before anything else");
                attachment.phase = phase;
                None
            }
        }
    }

    /// What the client was built from.
    pub(crate) fn client(&self, conn: ConnId) -> Arc<Build> {
        let attachment = self.attachments.get(&conn);
        attachment.map(|attachment| Arc::clone(&attachment.client)).unwrap_or_default()
    }

    /// The store is asked for a lease.
    pub(crate) fn await_lease(&mut self, conn: ConnId, leasing: Leasing) {
        if let Some(attachment) = self.attachments.get_mut(&conn) {
            attachment.phase = Phase::Leasing(Box::new(leasing));
        }
    }

    /// What a connection waits for, and the codec that its lease is for.
    pub(crate) fn leasing(&mut self, conn: ConnId) -> Option<(&mut Leasing, Codec)> {
        let attachment = self.attachments.get_mut(&conn)?;
        match &mut attachment.phase {
            Phase::Leasing(leasing) => Some((leasing, attachment.codec)),
            _ => None,
        }
    }

    /// The lease is there; what the connection waited for.
    pub(crate) fn leased(&mut self, conn: ConnId) -> Option<(Box<Leasing>, Codec)> {
        let attachment = self.attachments.get_mut(&conn)?;
        match std::mem::replace(&mut attachment.phase, Phase::Silent) {
            Phase::Leasing(leasing) => Some((leasing, attachment.codec)),
            phase => {
                attachment.phase = phase;
                None
            }
        }
    }

    /// Finds the session that a HELLO wants to go on with. `stale`: a newer socket of its process
    /// holds the lease that it names.
    pub(crate) fn find(
        &mut self,
        conn: ConnId,
        hello: &Hello,
        principal: &Principal,
        stale: bool,
    ) -> Found {
        let failed = |reason, ended| Found::Failed { reason, ended };
        let codec = self.codec(conn);
        let Some(resume) = &hello.resume else {
            return if stale { Found::Stale } else { Found::New };
        };
        let Some(&key) = self.ids.get(&resume.session) else {
            if stale {
                return Found::Stale;
            }
            return match self.expired.contains(&resume.session) {
                true => failed(ResumeFailure::Expired, None),
                false => failed(ResumeFailure::Unknown, None),
            };
        };
        let Some(session) = self.sessions.held_mut(key) else {
            return failed(ResumeFailure::Unknown, None);
        };
        // Before the token: a late HELLO of this very process carries an old one.
        if session.instance == hello.instance && hello.dial <= session.dial {
            return Found::Stale;
        }
        if session.token != resume.token && session.previous_token != Some(resume.token) {
            return failed(ResumeFailure::Token, None);
        }
        if session.principal.user() != principal.user() {
            return failed(ResumeFailure::Principal, Some(key));
        }
        let unheard = session.leased_later && session.recv() == Seq::ZERO;
        let fits = match &hello.lease {
            Some(claim) => session.lease_id == Some(claim.id),
            None => session.lease_id.is_none() || unheard,
        };
        let fits = fits && codec == Some(session.codec);
        match session.conn != Some(conn) && fits && session.rewind(resume.recv) {
            true => Found::Resume(key),
            false => failed(ResumeFailure::NotRetained, Some(key)),
        }
    }

    /// A session goes on with a newer socket; the earlier one, if it is still there.
    pub(crate) fn resume(
        &mut self,
        conn: ConnId,
        hello: &Hello,
        key: SessionKey,
        principal: Principal,
        random: &mut Random,
        config: &NodeConfig,
    ) -> Option<(Seat, Option<Replaced>)> {
        let session = self.sessions.held_mut(key)?;
        if session.conn.is_none() {
            self.crowd.attach(key, session);
        }
        let presented = hello.resume.as_ref().map(|resume| resume.token);
        session.previous_token = presented;
        session.token = ResumeToken(random.u128());
        session.generation = Gen(session.generation.0 + 1);
        session.window = smaller(hello.window, config.max_client_window);
        let other_process = session.instance != hello.instance;
        session.instance = hello.instance;
        session.dial = hello.dial;
        session.message_bytes = hello.message_bytes;
        // The same user, but what the hook says of it may be new.
        session.principal = principal;
        let earlier = session.conn.replace(conn);
        let seat = Seat { session: key, lease: session.lease };
        Some((seat, earlier.map(|conn| Replaced { conn, other_process })))
    }

    /// Opens a session for a lease.
    pub(crate) fn open(
        &mut self,
        now: Now,
        opening: Opening<'_>,
        random: &mut Random,
        config: &NodeConfig,
    ) -> Seat {
        let Opening { conn, codec, hello, principal, lease, lease_id } = opening;
        let id = SessionId(random.u128());
        let beginning = Beginning {
            id,
            token: ResumeToken(random.u128()),
            principal,
            instance: hello.instance,
            dial: hello.dial,
            conn,
            codec,
            lease,
            lease_id,
            window: smaller(hello.window, config.max_client_window),
            message_bytes: hello.message_bytes,
        };
        let name = beginning.principal.id();
        let key = self.sessions.insert(Session::new(now, beginning));
        self.crowd.enter(name, key);
        self.ids.insert(id, key);
        Seat { session: key, lease }
    }

    /// Seats a connection; the WELCOME that tells it so.
    pub(crate) fn welcome(
        &mut self,
        now: Now,
        (conn, seat): (ConnId, Seat),
        resumed: bool,
        lease: Option<LeaseGrant>,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<ServerFrame> {
        let server = config.contracts.told(self.client(conn).verdict);
        let session = self.sessions.held_mut(seat.session)?;
        session.told();
        let welcome = Welcome {
            session: session.id,
            token: session.token,
            generation: session.generation,
            resumed,
            recv: session.recv(),
            ttl_ms: millis(config.session_ttl),
            frame_bytes: config.frame_bytes,
            window: config.window,
            lease,
            heartbeat: config.heartbeat.on_wire(),
            server,
        };
        if let Some(attachment) = self.attachments.get_mut(&conn) {
            attachment.phase = Phase::Attached(seat);
            fx.disarm(attachment.timers.handshake.take(), Timer::Handshake(conn));
        }
        self.arm_heartbeat(conn, now.after(config.heartbeat.interval), fx);
        Some(ServerFrame::Welcome(Box::new(welcome)))
    }

    /// The first frame after WELCOME confirms the new token (PROTOCOL.md 4.8).
    pub(crate) fn confirm_token(&mut self, session: SessionKey) {
        if let Some(session) = self.sessions.held_mut(session) {
            session.previous_token = None;
        }
    }

    /// A session has got its lease; its socket, if it has one.
    pub(crate) fn leased_later(&mut self, session: SessionKey, id: LeaseId) -> Option<ConnId> {
        let session = self.sessions.held_mut(session)?;
        session.lease_id = Some(id);
        session.leased_later = true;
        session.conn
    }

    /// A socket has lost its session to a newer one, which must not notice that it ends.
    pub(crate) fn unseat(&mut self, conn: ConnId) {
        if let Some(attachment) = self.attachments.get_mut(&conn) {
            attachment.phase = Phase::Silent;
        }
    }
}

fn smaller(asked: Window, limit: Window) -> Window {
    Window {
        frames: asked.frames.clamp(1, limit.frames.max(1)),
        bytes: asked.bytes.min(limit.bytes),
    }
}
