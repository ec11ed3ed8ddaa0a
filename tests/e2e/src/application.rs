//! The application behind the tests: it appends, waits at gates, fails and panics on request. It
//! counts what it does, so that a test can tell "executed once" from "executed twice" without
//! asking the protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steadfast::server::{Cx, Denied, Principal, Recipient, ResumeFailure, TopicCx};
use tokio::sync::watch;

use crate::protocol::{
    ListName, TallyError, TallyEventAdded, TallyEventAppended, TallyEventNudged, TallyEventNumbers,
    TallyEventWhispered, TallyHandler, TallyTopics,
};

/// The application. Clones are the same application.
#[derive(Debug, Clone, Default)]
pub struct App {
    lists: Arc<Mutex<BTreeMap<ListName, Vec<u64>>>>,
    gates: watch::Sender<Gates>,
    back: Arc<Mutex<Vec<Result<(), ResumeFailure>>>>,
}

#[derive(Debug, Default)]
struct Gates {
    open: BTreeSet<String>,
    /// How often a handler came to each gate.
    came: BTreeMap<String, usize>,
    added: usize,
    states: usize,
}

impl App {
    fn lists(&self) -> MutexGuard<'_, BTreeMap<ListName, Vec<u64>>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that was ever appended to a list, in the order of execution, repetitions
    /// included.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<u64> {
        self.lists().get(&ListName::from(name)).cloned().unwrap_or_default()
    }

    /// Clients that have come back, and whether their sessions went on.
    #[must_use]
    pub fn back(&self) -> Vec<Result<(), ResumeFailure>> {
        self.back.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_back(&self, session: Result<(), ResumeFailure>) {
        self.back.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    /// Makes a list longer without telling anybody.
    pub fn extend(&self, name: &str, values: impl IntoIterator<Item = u64>) {
        self.lists().entry(name.into()).or_default().extend(values);
    }

    /// Opens a gate for good.
    pub fn open(&self, gate: &str) {
        self.gates.send_modify(|gates| {
            gates.open.insert(gate.to_owned());
        });
    }

    /// How often a handler came to a gate.
    #[must_use]
    pub fn came(&self, gate: &str) -> usize {
        self.gates.borrow().came.get(gate).copied().unwrap_or_default()
    }

    /// Waits until handlers have come to a gate so often.
    pub async fn has_come(&self, gate: &str, times: usize) {
        let mut gates = self.gates.subscribe();
        let _ = gates
            .wait_for(|gates| gates.came.get(gate).copied().unwrap_or_default() >= times)
            .await;
    }

    /// How often the state of a list was read.
    #[must_use]
    pub fn states_read(&self) -> usize {
        self.gates.borrow().states
    }

    /// Waits until so many numbers were appended, to whatever list.
    pub async fn has_added(&self, numbers: usize) {
        let mut gates = self.gates.subscribe();
        let _ = gates.wait_for(|gates| gates.added >= numbers).await;
    }

    async fn pass_gate(&self, gate: String) -> Result<(), TallyError> {
        self.gates.send_modify(|gates| *gates.came.entry(gate.clone()).or_default() += 1);
        let mut gates = self.gates.subscribe();
        let _ = gates.wait_for(|gates| gates.open.contains(&gate)).await;
        Ok(())
    }
}

impl TallyHandler for App {
    fn session_resumed(&self, _who: &Principal) {
        self.is_back(Ok(()));
    }

    fn session_reset(&self, _who: &Principal, why: ResumeFailure) {
        self.is_back(Err(why));
    }

    async fn add(&self, cx: &Cx, list: ListName, value: u64) -> Result<u64, TallyError> {
        let length = {
            let mut lists = self.lists();
            let numbers = lists.entry(list.clone()).or_default();
            numbers.push(value);
            numbers.len() as u64
        };
        cx.publish(TallyEventAdded { list: list.clone(), value });
        cx.publish(TallyEventAppended { list, value });
        self.gates.send_modify(|gates| gates.added += 1);
        Ok(length)
    }

    async fn pay(
        &self,
        cx: &Cx,
        _order: String,
        list: ListName,
        value: u64,
        gate: String,
    ) -> Result<u64, TallyError> {
        self.pass_gate(gate).await?;
        self.add(cx, list, value).await
    }

    async fn echo(&self, _cx: &Cx, text: String) -> Result<String, TallyError> {
        Ok(text)
    }

    async fn fill(&self, _cx: &Cx, bytes: u32) -> Result<String, TallyError> {
        Ok("x".repeat(bytes as usize))
    }

    async fn pass(&self, _cx: &Cx, gate: String) -> Result<(), TallyError> {
        self.pass_gate(gate).await
    }

    async fn pass_soon(&self, _cx: &Cx, gate: String) -> Result<(), TallyError> {
        self.pass_gate(gate).await
    }

    async fn whisper(&self, cx: &Cx, whom: String, text: String) -> Result<(), TallyError> {
        cx.send_to(&Recipient::principal(whom), TallyEventWhispered { text: text.clone() });
        if text.is_empty() { Err(TallyError::Failed) } else { Ok(()) }
    }

    async fn remind(&self, cx: &Cx, gate: String, text: String) -> Result<(), TallyError> {
        self.pass_gate(gate).await?;
        cx.send_to(&cx.sender(), TallyEventWhispered { text });
        Ok(())
    }

    async fn panic(&self, _cx: &Cx) -> Result<(), TallyError> {
        panic!("on request")
    }

    async fn fail(&self, _cx: &Cx) -> Result<(), TallyError> {
        Err(TallyError::Failed)
    }

    async fn nudge(&self, cx: &Cx, list: ListName) {
        cx.publish(TallyEventNudged { list });
    }
}

impl TallyTopics for App {
    async fn may_subscribe_list(&self, _who: &Principal, list: &ListName) -> Result<(), Denied> {
        if list.0 == "forbidden" { Err(Denied::new("not this one")) } else { Ok(()) }
    }

    async fn list_snapshot(
        &self,
        _cx: &TopicCx,
        list: &ListName,
    ) -> Result<TallyEventNumbers, TallyError> {
        self.gates.send_modify(|gates| gates.states += 1);
        Ok(TallyEventNumbers { list: list.clone(), values: self.list(&list.0) })
    }

    async fn may_subscribe_tail(&self, _who: &Principal, _list: &ListName) -> Result<(), Denied> {
        Ok(())
    }
}
