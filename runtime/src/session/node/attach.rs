//! From HELLO to WELCOME, and from there to the socket's end: authentication, resume, leases
//! (PROTOCOL.md 4 and 5.1).

use std::collections::VecDeque;

use super::lease::Lease;
use super::state::{LeaseKey, Phase, Running, Session, SessionKey};
use super::timer::Timer;
use super::types::{ConnId, Denied, Execution, Identity, Principal};
use super::{Node, OpKind};
use crate::session::{Close, CloseCode, Now};
use crate::wire::{
    Gen, Hello, LeaseGrant, LeaseState, ResumeFailure, ResumeToken, Seq, ServerFrame, SessionId,
    Welcome, Window,
};

impl Node {
    pub(super) fn on_hello(&mut self, now: Now, conn: ConnId, hello: Box<Hello>) {
        if hello.v != 1 || hello.protocol != self.config.protocol {
            let close = Close::new(
                CloseCode::UNSUPPORTED,
                "this server does not speak that protocol or version",
            );
            return self.close(now, conn, close);
        }
        if self.draining.is_some() {
            return self.close(
                now,
                conn,
                Close::new(CloseCode::DRAINING, "this server is leaving"),
            );
        }
        let exec = self.start_running(Running::Authenticate(conn));
        let token = hello.token.clone();
        if let Some(state) = self.conns.get_mut(&conn) {
            state.phase = Phase::Authenticating { hello, exec };
        }
        self.execute(Execution::Authenticate { exec, conn, token });
    }

    pub(super) fn on_authenticated(
        &mut self,
        now: Now,
        conn: ConnId,
        answer: Result<Identity, Denied>,
    ) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        let Phase::Authenticating { hello, .. } =
            std::mem::replace(&mut state.phase, Phase::Silent)
        else {
            return;
        };
        let identity = match answer {
            Ok(identity) => identity,
            Err(denied) => {
                let close = Close {
                    code: Some(CloseCode::CREDENTIALS_REFUSED),
                    reason: shorten(denied.reason).into(),
                };
                return self.close(now, conn, close);
            }
        };
        if let Some(ms) = identity.expires_in_ms {
            let until = now.after_ms(ms);
            state.timers.credentials = Some(until);
            self.arm(until, Timer::Credentials(conn));
        }
        if self.draining.is_some() {
            return self.close(
                now,
                conn,
                Close::new(CloseCode::DRAINING, "this server is leaving"),
            );
        }
        match self.find_session(now, conn, &hello, &identity.principal) {
            Found::Resume(session) => self.resume(now, conn, &hello, session, identity.principal),
            Found::Stale => self.close(
                now,
                conn,
                Close::new(CloseCode::STALE_DIAL, "a newer socket has taken over"),
            ),
            Found::Failed(reason) => {
                self.control(now, conn, ServerFrame::ResumeFailed { reason });
                self.ask_for_lease(now, conn, *hello, identity.principal);
            }
            Found::New => self.ask_for_lease(now, conn, *hello, identity.principal),
        }
    }

    fn find_session(
        &mut self,
        now: Now,
        conn: ConnId,
        hello: &Hello,
        principal: &Principal,
    ) -> Found {
        let Some(resume) = &hello.resume else {
            return if self.is_stale(hello) { Found::Stale } else { Found::New };
        };
        let Some(&key) = self.session_ids.get(&resume.session) else {
            let reason = match self.expired_sessions.contains(&resume.session) {
                true => ResumeFailure::Expired,
                false => ResumeFailure::Unknown,
            };
            return if self.is_stale(hello) { Found::Stale } else { Found::Failed(reason) };
        };
        let Some(session) = self.sessions.get(key) else {
            return Found::Failed(ResumeFailure::Unknown);
        };
        // Before the token: a late HELLO of this very process carries an old one.
        if session.instance == hello.instance && hello.dial <= session.dial {
            return Found::Stale;
        }
        if session.token != resume.token && session.previous_token != Some(resume.token) {
            return Found::Failed(ResumeFailure::Token);
        }
        if session.principal.user() != principal.user() {
            self.end_session(now, key);
            return Found::Failed(ResumeFailure::Principal);
        }
        let lease = self.leases.get(session.lease).map(|lease| lease.id);
        let fits = session.conn != Some(conn)
            && lease.is_some()
            && lease == hello.lease.as_ref().map(|lease| lease.id);
        let rewound =
            fits && self.sessions.get_mut(key).is_some_and(|session| session.rewind(resume.recv));
        if rewound {
            return Found::Resume(key);
        }
        self.end_session(now, key);
        Found::Failed(ResumeFailure::NotRetained)
    }

    /// Whether a newer socket of the same process holds the lease that this HELLO names
    /// (PROTOCOL.md 4.9).
    pub(super) fn is_stale(&self, hello: &Hello) -> bool {
        let lease = hello.lease.as_ref().and_then(|claim| self.lease_ids.get(&claim.id));
        lease
            .and_then(|key| self.leases.get(*key))
            .is_some_and(|lease| lease.instance == hello.instance && hello.dial <= lease.dial)
    }

    fn resume(
        &mut self,
        now: Now,
        conn: ConnId,
        hello: &Hello,
        key: SessionKey,
        principal: Principal,
    ) {
        let token = ResumeToken(self.random.u128());
        let Some(session) = self.sessions.get_mut(key) else { return };
        let presented = hello.resume.as_ref().map(|resume| resume.token);
        session.previous_token = presented;
        session.token = token;
        session.generation = Gen(session.generation.0 + 1);
        session.window = smaller(hello.window, self.config.max_client_window);
        let other_process = session.instance != hello.instance;
        session.instance = hello.instance;
        session.dial = hello.dial;
        // The same user, but what the hook says of it may be new.
        session.principal = principal.clone();
        let earlier = session.conn.replace(conn);
        let key_of_lease = session.lease;
        if let Some(earlier) = earlier {
            self.replace_conn(now, earlier, other_process);
        }
        if let Some(claim) = &hello.lease
            && let Some(lease) = self.leases.get_mut(key_of_lease)
        {
            lease.instance = hello.instance;
            lease.dial = hello.dial;
            lease.principal = principal;
            self.raise_low(now, key_of_lease, claim.low);
        }
        self.welcome(now, conn, key, key_of_lease, true, LeaseState::Ok);
    }

    pub(super) fn replace_conn(&mut self, now: Now, conn: ConnId, other_process: bool) {
        let close = if other_process {
            Close::new(CloseCode::SUPERSEDED, "another process has taken over")
        } else {
            Close::new(CloseCode::REPLACED, "a newer socket has taken over")
        };
        // The session goes on: it must not notice that its earlier socket ends.
        if let Some(state) = self.conns.get_mut(&conn) {
            state.phase = Phase::Silent;
        }
        self.close(now, conn, close);
    }

    /// Whether there is no room for the session that this HELLO needs; one that replaces another
    /// needs none.
    pub(super) fn is_full(&self, hello: &Hello) -> bool {
        let claimed = hello.lease.as_ref().and_then(|claim| self.lease_ids.get(&claim.id));
        let replaces = claimed
            .and_then(|key| self.leases.get(*key))
            .is_some_and(|lease| lease.session.is_some());
        self.sessions.len() >= self.config.sessions as usize && !replaces
    }

    pub(super) fn new_session(
        &mut self,
        now: Now,
        conn: ConnId,
        hello: &Hello,
        principal: Principal,
        lease: LeaseKey,
    ) -> SessionKey {
        let id = SessionId(self.random.u128());
        let session = Session {
            id,
            token: ResumeToken(self.random.u128()),
            previous_token: None,
            generation: Gen(1),
            principal,
            instance: hello.instance,
            dial: hello.dial,
            conn: Some(conn),
            detached: now,
            timer: None,
            lease,
            recv: Seq::ZERO,
            told: Seq::ZERO,
            untold_bytes: 0,
            sent: Seq::ZERO,
            replay: VecDeque::new(),
            replay_bytes: 0,
            unwritten: 0,
            pending: VecDeque::new(),
            window: smaller(hello.window, self.config.max_client_window),
        };
        let key = self.sessions.insert(session);
        self.session_ids.insert(id, key);
        if let Some(lease) = self.leases.get_mut(lease) {
            lease.session = Some(key);
        }
        key
    }

    pub(super) fn welcome(
        &mut self,
        now: Now,
        conn: ConnId,
        key: SessionKey,
        lease: LeaseKey,
        resumed: bool,
        state: LeaseState,
    ) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(id) = self.leases.get(lease).map(|lease| lease.id) else { return };
        session.told();
        let welcome = Welcome {
            session: session.id,
            token: session.token,
            generation: session.generation,
            resumed,
            recv: session.recv,
            ttl_ms: self.config.session_ttl_ms,
            frame_bytes: self.config.frame_bytes,
            window: self.config.window,
            lease: LeaseGrant {
                id,
                state,
                span: self.config.span,
                ttl_ms: self.config.lease_ttl_ms,
            },
            heartbeat: self.config.heartbeat,
        };
        if let Some(state) = self.conns.get_mut(&conn) {
            state.phase = Phase::Attached { session: key, lease };
            let handshake = state.timers.handshake.take();
            self.disarm(handshake, Timer::Handshake(conn));
        }
        self.control(now, conn, ServerFrame::Welcome(Box::new(welcome)));
        self.arm_heartbeat(conn, now.after_ms(self.config.heartbeat.interval_ms));
    }

    /// Ends a session for good; its lease stays while something of it runs.
    pub(super) fn end_session(&mut self, now: Now, key: SessionKey) {
        let Some(session) = self.sessions.get(key) else { return };
        let (conn, lease) = (session.conn, session.lease);
        if let Some(conn) = conn {
            self.close(now, conn, Close::new(CloseCode::SESSION_ENDED, "the session has ended"));
        }
        self.remove_session(key);
        self.release_lease(lease);
    }

    pub(super) fn remove_session(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.remove(key) else { return };
        self.session_ids.remove(&session.id);
        self.disarm(session.timer, Timer::Session(key));
        if let Some(lease) = self.leases.get_mut(session.lease)
            && lease.session == Some(key)
        {
            lease.session = None;
        }
    }

    /// The client is done: the session ends, and the lease too if nothing of it is open
    /// (PROTOCOL.md 5.15).
    pub(super) fn close_cleanly(&mut self, now: Now, session: SessionKey, lease: LeaseKey) {
        let done = |lease: &&Lease| lease.is_resolved() && lease.is_idle();
        let ended = self.leases.get(lease).filter(done).map(|lease| lease.id);
        self.end_session(now, session);
        if let Some(id) = ended {
            self.submit(OpKind::End(id));
        }
    }

    /// The socket is gone, or about to be: the session stays.
    pub(super) fn forget_conn(&mut self, now: Now, conn: ConnId) {
        let Some(state) = self.conns.remove(&conn) else { return };
        self.disarm_conn(conn, &state.timers);
        self.forget_subs(now, conn, state.subs);
        match state.phase {
            Phase::Authenticating { exec, .. } => self.abort(exec),
            Phase::Attached { session, .. } => self.detach(now, session),
            Phase::Leasing(leasing) => {
                if let Some(claim) = &leasing.hello.lease {
                    self.claims.remove(&(claim.id, conn));
                }
            }
            Phase::Silent => {}
        }
    }

    fn detach(&mut self, now: Now, key: SessionKey) {
        let until = now.after_ms(self.config.session_ttl_ms);
        if let Some(session) = self.sessions.get_mut(key) {
            session.conn = None;
            session.detached = now;
            if session.timer.is_none() {
                session.timer = Some(until);
                self.arm(until, Timer::Session(key));
            }
        }
    }
}

/// What a HELLO's claim to a session comes to.
enum Found {
    Resume(SessionKey),
    Stale,
    Failed(ResumeFailure),
    New,
}

fn smaller(asked: Window, limit: Window) -> Window {
    Window {
        frames: asked.frames.clamp(1, limit.frames.max(1)),
        bytes: asked.bytes.min(limit.bytes),
    }
}

/// A close reason has at most 123 bytes (RFC 6455 5.5).
fn shorten(mut reason: String) -> String {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}
