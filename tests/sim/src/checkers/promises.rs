//! What is owed by a certain time: whoever waits has a timer that is due by then. It keeps one
//! deadline for each thing that is waited for, in the time of whoever waits, and never asks a core.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast::session::Now;
use steadfast::session::client::{CallId, ConnectionState};
use steadfast::session::node::{ConnId, ExecId, Executed, Execution, Identity};
use steadfast_rig::Rule;

use super::Checkers;

/// Something that ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owed {
    /// The next dial.
    Dial,
    /// A socket that is being opened, or its WELCOME.
    Handshake,
    /// A sign of life on the current socket.
    Life,
    /// The patience of a caller.
    Call(CallId),
    /// HELLO, and all that comes before WELCOME, at the server.
    Hello(ConnId),
    /// A sign of life of a client.
    Alive(ConnId),
    /// Something to be said: by a client, or by a node on a connection.
    Voice(Option<ConnId>),
    /// Credentials that expire.
    Credentials(ConnId),
    /// A handler or a hook.
    Run(ExecId),
}

/// Deadlines of one process.
pub(super) type Promises = BTreeMap<Owed, Now>;

impl Checkers {
    /// Something will end by then, at the latest.
    pub fn promise(&mut self, process: u64, owed: Owed, by: Now) {
        self.promises.entry(process).or_default().insert(owed, by);
    }

    /// It has ended.
    pub fn kept(&mut self, process: u64, owed: Owed) {
        if let Some(promises) = self.promises.get_mut(&process) {
            promises.remove(&owed);
        }
    }

    /// Nothing is owed any more.
    pub fn owes_nothing(&mut self, process: u64) {
        self.promises.remove(&process);
    }

    /// A client's state is another one: what it waits for now.
    pub(super) fn state_promises(&mut self, process: u64, now: Now, state: &ConnectionState) {
        match state {
            ConnectionState::Reconnecting { next_dial: Some(at), .. } => {
                self.is_detached((process, None));
                self.kept(process, Owed::Life);
                self.kept(process, Owed::Handshake);
                self.promise(process, Owed::Dial, *at);
            }
            ConnectionState::Connected { .. } => {
                self.kept(process, Owed::Handshake);
                self.lives((process, None), now);
            }
            ConnectionState::Failed { .. } | ConnectionState::Closed => self.owes_nothing(process),
            ConnectionState::Connecting { .. } => {
                self.kept(process, Owed::Handshake);
                let by = self.dials_until(process);
                let by = by.unwrap_or_else(|| now.after(self.backoff.cap));
                self.promise(process, Owed::Dial, by);
            }
            ConnectionState::Disconnected
            | ConnectionState::Reconnecting { next_dial: None, .. } => {}
        }
    }

    /// A client asks for a socket.
    pub fn dials(&mut self, process: u64, by: Now) {
        self.kept(process, Owed::Dial);
        self.counts_a_dial(process);
        self.promise(process, Owed::Handshake, by);
    }

    /// Something arrived on a client's current socket after WELCOME.
    pub fn client_heard(&mut self, process: u64, now: Now) {
        self.hears_something((process, None), now);
        let by = now.after(self.node_config.heartbeat.interval);
        self.promise(process, Owed::Life, by);
    }

    /// Something arrived at a node.
    pub fn node_heard(&mut self, process: u64, conn: ConnId, now: Now) {
        self.hears_something((process, Some(conn)), now);
        if self.owes(process, Owed::Alive(conn)) {
            let by = now.after(self.node_config.heartbeat.interval);
            self.promise(process, Owed::Alive(conn), by);
        }
    }

    /// A node accepted a socket.
    pub fn node_accepts(&mut self, process: u64, conn: ConnId, now: Now) {
        let by = now.after(self.node_config.handshake);
        self.promise(process, Owed::Hello(conn), by);
    }

    /// A node said WELCOME.
    pub fn node_welcomes(&mut self, process: u64, conn: ConnId, now: Now) {
        self.kept(process, Owed::Hello(conn));
        self.lives((process, Some(conn)), now);
        let by = now.after(self.node_config.heartbeat.interval);
        self.promise(process, Owed::Alive(conn), by);
    }

    /// A node has let go of a socket.
    pub fn node_forgets(&mut self, process: u64, conn: ConnId) {
        self.is_detached((process, Some(conn)));
        for owed in [Owed::Hello(conn), Owed::Alive(conn), Owed::Credentials(conn)] {
            self.kept(process, owed);
        }
    }

    /// A handler or a hook begins.
    pub fn runs_until(&mut self, process: u64, now: Now, execution: &Execution) {
        let (exec, limit) = match execution {
            Execution::Command { exec, timeout_ms, .. }
            | Execution::Volatile { exec, timeout_ms, .. } => {
                (*exec, Duration::from_millis(*timeout_ms))
            }
            Execution::Authorize { exec, .. } | Execution::Snapshot { exec, .. } => {
                (*exec, self.node_config.hook_timeout)
            }
            // It has what is left of the handshake.
            Execution::Authenticate { exec, conn, .. } => {
                self.authenticating.insert((process, *exec), *conn);
                return;
            }
        };
        self.promise(process, Owed::Run(exec), now.after(limit));
    }

    /// It has ended; credentials that it found good may be so for a while only.
    pub fn run_ends(&mut self, process: u64, exec: ExecId, now: Now, executed: &Executed) {
        self.kept(process, Owed::Run(exec));
        let conn = self.authenticating.remove(&(process, exec));
        // A socket that is gone meanwhile has no credentials.
        let Some(conn) = conn.filter(|conn| self.owes(process, Owed::Hello(*conn))) else { return };
        if let Executed::Authenticated(Ok(Identity { expires_in: Some(time), .. })) = executed {
            self.promise(process, Owed::Credentials(conn), now.after(*time));
        }
    }

    pub(super) fn owes(&self, process: u64, owed: Owed) -> bool {
        self.promises.get(&process).is_some_and(|promises| promises.contains_key(&owed))
    }

    /// Whoever waits for something has a timer for it: the next one is due no later than the first
    /// promise. What is overdue is due now.
    pub fn no_timer_is_lost(&mut self, process: u64, now: Now, timer: Option<Now>) {
        let timeout = self.node_config.heartbeat.timeout;
        let Some(promises) = self.promises.get(&process) else { return };
        let by = |owed: Owed, by: Now| match owed {
            // After a PING the next look is a timeout away, whatever is heard meanwhile.
            Owed::Life | Owed::Alive(_) | Owed::Voice(_) => by.max(now.after(timeout)),
            _ => by.max(now),
        };
        let lost = promises
            .iter()
            .map(|(owed, at)| (*owed, by(*owed, *at)))
            .find(|(_, at)| timer.is_none_or(|t| t > *at));
        self.require(lost.is_none(), Rule::NoTimerIsLost, || {
            format!("process {process} at {now:?} waits for {lost:?}, its next timer is {timer:?}")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn a_timer_that_is_missing_or_too_late_is_found() {
        let find = |timer, now| {
            let mut checkers = Checkers::new(&Plan::calm());
            checkers.promise(1, Owed::Dial, Now(100));
            checkers.no_timer_is_lost(1, now, timer);
            checkers.violated()
        };
        assert!(!find(Some(Now(100)), Now(5)));
        assert!(!find(Some(Now(99)), Now(5)));
        assert!(!find(Some(Now(150)), Now(150)), "overdue, and due at once");
        assert!(find(Some(Now(101)), Now(5)));
        assert!(find(Some(Now(151)), Now(150)));
        assert!(find(None, Now(5)));
    }
}
