//! What comes of executions: answers of handlers and hooks, and what happens when there is none in
//! time (PROTOCOL.md 5.7, 7.3).

use crate::session::node::effects::Running;
use crate::session::node::keys::LeaseKey;
use crate::session::node::router::Node;
use crate::session::node::types::{ConnId, ExecId, Executed, Execution, StagedPublish};
use crate::session::store::Outcome;
use crate::session::{Close, CloseCode, Now};
use crate::wire::{
    Body, Codec, CommandNo, FailureCode, Name, RefusalCode, SubNo, TopicNo, UnsubscribeCode,
};

impl Node {
    /// An execution ended.
    pub fn handle_executed(&mut self, now: Now, exec: ExecId, executed: Executed) {
        // It may have been aborted meanwhile.
        let Some(running) = self.fx.end(exec) else { return };
        match (running, executed) {
            (Running::Command(lease, n), Executed::Command { outcome, publishes }) => {
                self.on_command_ended(now, (lease, n), exec, (outcome, publishes));
            }
            (Running::Command(lease, n), Executed::Decides) => {
                self.leases.decides(now, (lease, n), exec, &self.config, &mut self.fx);
            }
            (Running::Command(lease, n), Executed::Refused(code)) => {
                self.on_unexecutable(now, (lease, n), exec, code);
            }
            (Running::Authenticate(conn), Executed::Authenticated(answer)) => {
                self.on_authenticated(now, conn, answer);
            }
            (Running::Volatile(conn), Executed::Volatile { publishes }) => {
                self.seats.end_volatile(conn);
                self.publish_all(now, publishes);
            }
            (Running::Authorize(conn, sub), Executed::Authorized(answer)) => {
                self.on_authorized(now, conn, sub, answer);
            }
            (Running::Snapshot(topic), Executed::Snapshot(state)) => {
                self.on_snapshot(now, topic, exec, state);
            }
            // An answer that does not fit its execution counts as that execution's failure, so that
            // nobody waits for ever.
            (running, _) => self.on_failed(now, exec, running),
        }
    }

    /// Commands of one lease that were handed out ahead and did not begin, in their order, because
    /// `before` did not end at once.
    pub fn handle_unbegun(&mut self, now: Now, before: ExecId, unbegun: Vec<Execution>) {
        self.leases.take_back(now, before, unbegun, &self.config, &mut self.fx);
    }

    fn on_command_ended(
        &mut self,
        now: Now,
        (lease, n): (LeaseKey, CommandNo),
        exec: ExecId,
        ended: (Outcome, Vec<StagedPublish>),
    ) {
        self.leases.executed(now, (lease, n), exec, ended, &self.config, &mut self.fx);
    }

    fn on_unexecutable(
        &mut self,
        now: Now,
        command: (LeaseKey, CommandNo),
        exec: ExecId,
        code: RefusalCode,
    ) {
        let (session, refused) =
            self.leases.unexecutable(now, command, exec, code, &self.config, &mut self.fx);
        if let Some(session) = session {
            for owed in refused {
                self.seats.owe(session, owed, &mut self.fx);
            }
        }
        self.leases.release(command.0, &self.config, &mut self.fx);
    }

    fn on_authorized(
        &mut self,
        now: Now,
        conn: ConnId,
        sub: SubNo,
        answer: Result<(), UnsubscribeCode>,
    ) {
        let (config, fx) = (&self.config, &mut self.fx);
        let notices = self.topics.authorized(now, conn, sub, answer, config, fx);
        self.notify(now, notices);
    }

    fn on_snapshot(
        &mut self,
        now: Now,
        topic: TopicNo,
        exec: ExecId,
        state: Option<(Name, Vec<(Codec, Body)>)>,
    ) {
        let (config, fx) = (&self.config, &mut self.fx);
        let notices = self.topics.snapshot(now, topic, exec, state, config, fx);
        self.notify(now, notices);
    }

    pub(super) fn publish_all(&mut self, now: Now, publishes: Vec<StagedPublish>) {
        for publish in publishes {
            match publish {
                StagedPublish::Volatile(volatile) => self.publish_volatile(now, volatile),
                StagedPublish::Direct(message) => drop(self.send_to(now, &message)),
                StagedPublish::Event(event) => drop(self.publish(now, event)),
            }
        }
    }

    // ---- what is late ----

    /// A hook, or the handler of a volatile, has run too long.
    pub(super) fn on_hook_late(&mut self, now: Now, exec: ExecId) {
        // It may have ended at the same moment.
        let Some(running) = self.fx.end(exec) else { return };
        self.fx.stop(exec);
        self.on_failed(now, exec, running);
    }

    fn on_failed(&mut self, now: Now, exec: ExecId, running: Running) {
        match running {
            Running::Command(lease, n) => {
                let outcome = Outcome::internal();
                self.on_command_ended(now, (lease, n), exec, (outcome, Vec::new()));
            }
            Running::Volatile(conn) => self.seats.end_volatile(conn),
            Running::Authorize(conn, sub) => {
                self.on_authorized(now, conn, sub, Err(UnsubscribeCode::Internal));
            }
            Running::Snapshot(topic) => self.on_snapshot(now, topic, exec, None),
            Running::Authenticate(conn) => {
                let why = "the credentials could not be checked";
                self.close(now, conn, Close::new(CloseCode::OVERLOADED, why));
            }
        }
    }

    /// Handlers of a lease may have run too long (PROTOCOL.md 5.7).
    pub(super) fn on_overdue(&mut self, now: Now, lease: LeaseKey) {
        for (n, exec) in self.leases.overdue(now, lease, &mut self.fx) {
            self.fx.abort(exec);
            let outcome = Outcome::plain_failure(FailureCode::Timeout);
            self.on_command_ended(now, (lease, n), exec, (outcome, Vec::new()));
        }
    }
}
