//! What happens when a deadline has come.

use crate::session::node::effects::Timer;
use crate::session::node::keys::LeaseKey;
use crate::session::node::router::Node;
use crate::session::node::seats::Beat;
use crate::session::node::types::ConnId;
use crate::session::{Close, CloseCode, Now};

impl Node {
    /// When to call [`Node::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Now> {
        let timer = self.fx.next_timer();
        let look = self.topics.next_look(&self.config);
        let sweep = self.appends.next_sweep(&self.config);
        timer.into_iter().chain(look).chain(sweep).min()
    }

    /// `now` has reached [`Node::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.fx.pop_due(now) {
            self.on_timer(now, timer);
        }
        self.topics.forget_idle(now, &self.config, &mut self.fx);
        self.topics.look_at_heads(now, &self.config, &mut self.fx);
        self.appends.sweep().now_and_then(now, &self.config, &mut self.fx);
    }

    fn on_timer(&mut self, now: Now, timer: Timer) {
        match timer {
            Timer::Handshake(conn) => {
                if self.seats.is_handshaking(conn) {
                    let why = "the handshake took too long";
                    self.close(now, conn, Close::new(CloseCode::NO_HELLO, why));
                }
            }
            Timer::Heartbeat(conn) => self.on_heartbeat(now, conn),
            Timer::Ack(conn) => self.seats.on_ack_late(conn, &mut self.fx),
            Timer::Credentials(conn) => {
                let why = "the credentials have expired";
                self.close(now, conn, Close::new(CloseCode::CREDENTIALS_EXPIRED, why));
            }
            Timer::Session(session) => {
                if self.seats.has_expired(now, session, &self.config, &mut self.fx) {
                    self.end_session(now, session);
                }
            }
            Timer::Renew(lease) => self.leases.on_renew(lease, &self.config, &mut self.fx),
            Timer::Rest(lease) => self.on_rest(lease),
            Timer::Overdue(lease) => self.on_overdue(now, lease),
            Timer::Hook(exec) => self.on_hook_late(now, exec),
            Timer::Retry(operation) => self.fx.ask_again(operation),
            Timer::Read(topic) => self.topics.read(topic, &mut self.fx),
            Timer::Kept(topic) => self.topics.on_kept(now, topic, &self.config, &mut self.fx),
            Timer::Ahead(topic) => self.topics.on_ahead(topic, &mut self.fx),
            Timer::Sweep => self.appends.sweep().on_timer(&mut self.fx),
            Timer::Drain => self.on_drain_late(now),
        }
    }

    fn on_heartbeat(&mut self, now: Now, conn: ConnId) {
        match self.seats.on_heartbeat(now, conn, &self.config, &mut self.fx) {
            Beat::Alive => {}
            Beat::Ask(ping) => self.control(now, conn, ping),
            Beat::Dead => {
                self.close(now, conn, Close::new(CloseCode::HEARTBEAT, "no sign of life"));
            }
        }
    }

    fn on_rest(&mut self, lease: LeaseKey) {
        if let Some(session) = self.leases.on_rest(lease, &mut self.fx) {
            self.seats.shrink_to_fit(session);
        }
    }
}
