//! The account of one client: what its application gave it, what it said about that, and what it
//! told its server. It checks the rules that concern a client alone, whatever its server does
//! (PROTOCOL.md 4.2, 5.2, 5.3, 5.8, 6.1, section 7).

use std::collections::{BTreeMap, BTreeSet};

use steadfast::session::client::{CallId, Event, Fate, Item, SubId};
use steadfast::wire::{
    Body, ClientFrame, CommandNo, Dial, LeaseGrant, LeaseId, Position, Seq, ServerFrame,
};
use steadfast_rig::topic_log::reached_by;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    calls: BTreeSet<CallId>,
    told: BTreeSet<CallId>,
    seen: BTreeMap<SubId, Position>,
    /// Of the present lease: what each number stands for, and how far numbers may run.
    lease: Option<LeaseId>,
    commands: BTreeMap<CommandNo, Body>,
    span: u64,
    /// The last sequence, until HELLO begins anew.
    sent: Option<Seq>,
    greeted: bool,
    welcomed: bool,
}

impl Ledger {
    // ---- the application ----

    pub(crate) fn submitted(&mut self, call: CallId) {
        assert!(self.calls.insert(call), "{call:?} is a new call");
    }

    pub(crate) fn withdrawn(&mut self, call: CallId) {
        assert!(self.calls.remove(&call), "{call:?} was there to be withdrawn");
    }

    pub(crate) fn unresolved(&self) -> usize {
        self.calls.len()
    }

    /// After the client was closed: nothing is silent.
    pub(crate) fn everything_has_ended(&self) {
        assert!(self.calls.is_empty(), "{:?} were lost", self.calls);
    }

    /// A dial, if that is what happens.
    pub(crate) fn happens(&mut self, event: Event) -> Option<Dial> {
        match event {
            Event::Resolved { call, .. } => {
                assert!(self.calls.remove(&call), "{call:?} ends once");
            }
            Event::TimedOut { call } => {
                assert!(
                    self.calls.contains(&call) && self.told.insert(call),
                    "{call:?} is told once, while it lasts"
                );
            }
            Event::Fate { call, fate } => {
                let ended = matches!(fate, Fate::Done | Fate::Failed | Fate::Unknown);
                assert!(ended || self.calls.contains(&call), "{call:?} is {fate:?} after its end");
            }
            Event::Dial { dial, .. } => {
                (self.sent, self.greeted, self.welcomed) = (None, false, false);
                return Some(dial);
            }
            _ => {}
        }
        None
    }

    pub(crate) fn begins(&mut self, sub: SubId, from: Position) {
        self.seen.insert(sub, from);
    }

    pub(crate) fn sees(&mut self, sub: SubId, item: &Item) {
        let Some(here) = reached_by(item) else { return };
        let last = self.seen.insert(sub, here);
        match (item, last) {
            (Item::Event { .. }, Some(last)) => {
                assert_eq!(last.epoch, here.epoch, "an epoch changes with a gap");
                assert!(last.ts < here.ts, "{last:?}, then {here:?}");
            }
            (Item::Snapshot { gap, .. }, Some(_)) => {
                assert!(gap.is_some(), "a snapshot in the middle is a gap");
            }
            _ => {}
        }
    }

    // ---- the server ----

    /// What a server says counts if the client takes it: that a lease is another one shows in the
    /// next command.
    pub(crate) fn hears(&mut self, frame: &ServerFrame) {
        if let ServerFrame::Welcome(welcome) = frame
            && self.greeted
            && !std::mem::replace(&mut self.welcomed, true)
        {
            self.has_lease(welcome.lease.as_ref());
        }
        if let ServerFrame::Lease(lease) = frame
            && self.welcomed
        {
            self.has_lease(Some(lease));
        }
    }

    fn has_lease(&mut self, lease: Option<&LeaseGrant>) {
        let id = lease.map(|lease| lease.id);
        if std::mem::replace(&mut self.lease, id) != id {
            self.commands.clear();
        }
        self.span = lease.map_or(1, |lease| u64::from(lease.span.max(1)));
    }

    pub(crate) fn says(&mut self, frame: &ClientFrame) {
        match frame {
            ClientFrame::Hello(_) => {
                assert!(!std::mem::replace(&mut self.greeted, true), "one HELLO per socket");
            }
            ClientFrame::Command(command) => {
                assert!(self.welcomed, "nothing between HELLO and WELCOME");
                assert!(
                    command.low.0 >= 1
                        && command.low <= command.n
                        && command.n.0 - command.low.0 < self.span
                );
                let next = self.sent.is_none_or(|sent| command.seq == sent.next());
                assert!(next && command.seq > Seq::ZERO, "{:?} after {:?}", command.seq, self.sent);
                self.sent = Some(command.seq);
                let same = self.commands.entry(command.n).or_insert_with(|| command.body.clone());
                assert_eq!(same, &command.body, "number {} stands for one command", command.n);
            }
            ClientFrame::Subscribe(ask) => {
                assert!(self.welcomed && ask.credit.frames > 0 && ask.credit.bytes > 0);
            }
            _ => assert!(self.welcomed, "nothing between HELLO and WELCOME: {frame:?}"),
        }
    }
}
