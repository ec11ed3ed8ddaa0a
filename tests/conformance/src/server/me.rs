//! What a client process knows of itself across its sockets: ids, numbers, and what it may have to
//! send again. It sends nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::frame::random_id;

/// A client process: who it is, and how far it has got. Clones are the same process.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    /// The application's credential.
    pub(crate) token: Option<String>,
    pub(crate) instance: String,
    pub(crate) dial: u64,
    /// How many frames and bytes the server may have under way.
    pub(crate) window: (u64, u64),
    pub(crate) session: Option<Session>,
    pub(crate) lease: Option<String>,
    /// Says that it needs no lease yet, while it has none (5.23).
    pub(crate) lease_later: bool,
    /// The next `n`.
    pub(crate) next: u64,
    /// The lowest `n` that is not resolved.
    pub(crate) low: u64,
    /// Numbers above `low` that are resolved.
    resolved: Vec<u64>,
}

/// The session of the last WELCOME.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) generation: u64,
    /// The highest `seq` that was sent, and the highest received.
    pub(crate) sent: u64,
    pub(crate) recv: u64,
    /// The `seq` under which this session last carried each command.
    pub(crate) seq_of: BTreeMap<u64, u64>,
    /// What was sent, by `seq`: `n`, name and body. All of it is kept, since a case sends little.
    pub(crate) replay: BTreeMap<u64, (u64, String, Value)>,
}

impl Me {
    /// A new process with the credentials of a principal of ADAPTER.md.
    pub(crate) fn new(token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            instance: random_id(),
            dial: 0,
            window: (256, 256 * 1024),
            session: None,
            lease: None,
            lease_later: false,
            next: 1,
            low: 1,
            resolved: Vec::new(),
        }
    }

    /// A new process that has nothing to command.
    pub(crate) fn reader(token: &str) -> Self {
        Self { lease_later: true, ..Self::new(token) }
    }

    /// A HELLO under the present dial.
    pub(crate) fn hello(&self) -> Value {
        let mut hello = json!({
            "v": 1, "protocol": "conformance", "version": "1",
            "instance": self.instance, "dial": self.dial,
            "window": { "frames": self.window.0, "bytes": self.window.1 },
        });
        if let Some(token) = &self.token {
            hello["token"] = json!(token);
        }
        if let Some(session) = &self.session {
            hello["resume"] =
                json!({ "session": session.id, "token": session.token, "recv": session.recv });
        }
        if let Some(lease) = &self.lease {
            hello["lease"] = json!({ "id": lease, "low": self.low, "next": self.next });
        } else if self.lease_later {
            hello["lease_later"] = json!(true);
        }
        hello
    }

    /// The same process after it has lost its session: the lease stays.
    pub(crate) fn without_session(mut self) -> Self {
        self.session = None;
        self
    }

    /// Takes the lease that WELCOME gave. With another one, numbers start again (5.1).
    pub(crate) fn take_lease(&mut self, lease: String) {
        if self.lease.as_ref().is_some_and(|before| *before != lease) {
            (self.next, self.low) = (1, 1);
            self.resolved.clear();
        }
        self.lease = Some(lease);
    }

    /// Notes that there is an outcome.
    pub(crate) fn resolve(&mut self, n: u64) {
        self.resolved.push(n);
        while let Some(at) = self.resolved.iter().position(|resolved| *resolved == self.low) {
            self.resolved.swap_remove(at);
            self.low += 1;
        }
    }

    /// The highest `seq` received on the present session.
    pub(crate) fn recv(&self) -> u64 {
        self.session.as_ref().map_or(0, |session| session.recv)
    }
}
