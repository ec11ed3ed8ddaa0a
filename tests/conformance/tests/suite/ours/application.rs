//! The application that ADAPTER.md asks for, written with this implementation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;
use steadfast::server::{Cx, Denied, Principal, TopicCx};
use tokio::sync::watch;

/// What clients send.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(
    client,
    protocol = "conformance",
    version = "1",
    server = ConformanceEvent,
    error = ConformanceError,
    timeout = "60s"
)]
pub enum ConformanceCommand {
    /// Returns the text.
    #[ws(request(reply = String))]
    Echo { text: String },
    /// The same, for short texts.
    #[ws(request(reply = String), max_bytes = "1KiB")]
    Small { text: String },
    /// Appends; the reply is the list's new length.
    #[ws(request(reply = u64))]
    Append { list: String, text: String },
    /// The list.
    #[ws(request(reply = Vec<String>, concurrent))]
    Read { list: String },
    /// Ends when the gate is open; later ordered commands wait.
    #[ws(command)]
    Hold { gate: String },
    /// Ends when the gate is open.
    #[ws(command(concurrent))]
    Wait { gate: String },
    /// The same, for at most 300 ms.
    #[ws(command(concurrent), timeout = "300ms")]
    Late { gate: String },
    /// Opens a gate.
    #[ws(command(concurrent))]
    Open { gate: String },
    /// How often a handler came to a gate.
    #[ws(request(reply = u64, concurrent))]
    Came { gate: String },
    /// Who asks.
    #[ws(request(reply = String, concurrent))]
    Whoami,
    /// Says something to whoever sent this.
    #[ws(command(concurrent))]
    Tell { text: String },
    /// Publishes, then fails with an error.
    #[ws(command(concurrent))]
    Fail { list: String },
    /// Publishes, then panics.
    #[ws(command(concurrent))]
    Crash { list: String },
    /// Appends under an id of the application's own, once the gate is open; the reply is the list's
    /// new length.
    #[ws(request(reply = u64, concurrent), id = id, keep = "24h")]
    Order { id: String, list: String, text: String, gate: String },
    /// Passed on to whoever follows the list.
    #[ws(volatile(latest_by = list))]
    Nudge { list: String },
}

/// What the server sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(
    server,
    protocol = "conformance",
    error = ConformanceError,
    topic(List, key = list: String, replay = 8, ttl = "10m", max_bytes = "16KiB"),
    topic(Log, key = list: String, replay = 8, ttl = "10m", max_bytes = "16KiB"),
)]
pub enum ConformanceEvent {
    /// A text was appended.
    #[ws(event(List))]
    Appended { list: String, text: String },
    /// A whole list.
    #[ws(snapshot(List))]
    State { list: String, texts: Vec<String> },
    /// Somebody nudged.
    #[ws(volatile(List))]
    Nudged { list: String },
    /// The same as `Appended`, in a topic that has no snapshot.
    #[ws(event(Log))]
    Logged { list: String, text: String },
    /// For one client.
    #[ws(direct)]
    Told { text: String },
    /// From another version.
    #[ws(unknown)]
    #[serde(skip)]
    Unknown(steadfast::UnknownMessage),
}

/// Why the application refuses.
#[derive(Debug, Clone, PartialEq, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(error)]
pub enum ConformanceError {
    /// On request.
    Failed { list: String },
    /// From another version.
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

/// The application. Clones are the same application.
#[derive(Debug, Clone, Default)]
pub struct App {
    lists: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
    gates: watch::Sender<Gates>,
}

#[derive(Debug, Default)]
struct Gates {
    open: BTreeSet<String>,
    came: BTreeMap<String, u64>,
}

impl App {
    fn lists(&self) -> MutexGuard<'_, BTreeMap<String, Vec<String>>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a gate for good.
    pub fn open_gate(&self, gate: &str) {
        self.gates.send_modify(|gates| {
            gates.open.insert(gate.to_owned());
        });
    }

    async fn pass(&self, gate: String) -> Result<(), ConformanceError> {
        self.gates.send_modify(|gates| *gates.came.entry(gate.clone()).or_default() += 1);
        let mut gates = self.gates.subscribe();
        let _ = gates.wait_for(|gates| gates.open.contains(&gate)).await;
        Ok(())
    }
}

impl ConformanceHandler for App {
    async fn echo(&self, _: &Cx, text: String) -> Result<String, ConformanceError> {
        Ok(text)
    }

    async fn small(&self, _: &Cx, text: String) -> Result<String, ConformanceError> {
        Ok(text)
    }

    async fn append(&self, cx: &Cx, list: String, text: String) -> Result<u64, ConformanceError> {
        let length = {
            let mut lists = self.lists();
            let texts = lists.entry(list.clone()).or_default();
            texts.push(text.clone());
            texts.len() as u64
        };
        cx.publish(ConformanceEventAppended { list: list.clone(), text: text.clone() });
        cx.publish(ConformanceEventLogged { list, text });
        Ok(length)
    }

    async fn read(&self, _: &Cx, list: String) -> Result<Vec<String>, ConformanceError> {
        Ok(self.lists().get(&list).cloned().unwrap_or_default())
    }

    async fn hold(&self, _: &Cx, gate: String) -> Result<(), ConformanceError> {
        self.pass(gate).await
    }

    async fn wait(&self, _: &Cx, gate: String) -> Result<(), ConformanceError> {
        self.pass(gate).await
    }

    async fn late(&self, _: &Cx, gate: String) -> Result<(), ConformanceError> {
        self.pass(gate).await
    }

    async fn open(&self, _: &Cx, gate: String) -> Result<(), ConformanceError> {
        self.open_gate(&gate);
        Ok(())
    }

    async fn came(&self, _: &Cx, gate: String) -> Result<u64, ConformanceError> {
        Ok(self.gates.borrow().came.get(&gate).copied().unwrap_or_default())
    }

    async fn whoami(&self, cx: &Cx) -> Result<String, ConformanceError> {
        Ok(cx.principal().user().to_owned())
    }

    async fn tell(&self, cx: &Cx, text: String) -> Result<(), ConformanceError> {
        cx.send_to(&cx.sender(), ConformanceEventTold { text });
        Ok(())
    }

    async fn fail(&self, cx: &Cx, list: String) -> Result<(), ConformanceError> {
        cx.publish(ConformanceEventLogged { list: list.clone(), text: "never".into() });
        Err(ConformanceError::Failed { list })
    }

    async fn crash(&self, cx: &Cx, list: String) -> Result<(), ConformanceError> {
        cx.publish(ConformanceEventLogged { list, text: "never".into() });
        panic!("on request")
    }

    async fn order(
        &self,
        cx: &Cx,
        _: String,
        list: String,
        text: String,
        gate: String,
    ) -> Result<u64, ConformanceError> {
        self.pass(gate).await?;
        if text == "crash" {
            panic!("on request")
        }
        if text == "fail" {
            return Err(ConformanceError::Failed { list });
        }
        self.append(cx, list, text).await
    }

    async fn nudge(&self, cx: &Cx, list: String) {
        cx.publish(ConformanceEventNudged { list });
    }
}

impl ConformanceTopics for App {
    async fn may_subscribe_list(&self, _: &Principal, list: &String) -> Result<(), Denied> {
        if list == "forbidden" { Err(Denied::new("not this one")) } else { Ok(()) }
    }

    async fn list_snapshot(
        &self,
        _: &TopicCx,
        list: &String,
    ) -> Result<ConformanceEventState, ConformanceError> {
        let texts = self.lists().get(list).cloned().unwrap_or_default();
        Ok(ConformanceEventState { list: list.clone(), texts })
    }

    async fn may_subscribe_log(&self, _: &Principal, _: &String) -> Result<(), Denied> {
        Ok(())
    }
}
