//! What a client sends: numbers in its lease, and `low`. What a node grants: leases.

use std::collections::BTreeSet;

use steadfast::session::Now;
use steadfast::session::client::CallId;
use steadfast::wire::{CommandFrame, LeaseGrant, LeaseId, LeaseState, RefusalCode, SessionId};
use steadfast_rig::Rule;
use steadfast_rig::fixtures::number_in;

use super::{Fate, LeaseBook};
use crate::checkers::Checkers;

impl Checkers {
    pub(in crate::checkers) fn lease_is_told(&mut self, process: u64, lease: LeaseId) {
        let Some(book) = self.clients.get_mut(&process) else { return };
        let before = book.lease.replace(lease);
        if before == Some(lease) {
            return;
        }
        book.next = 1;
        let lost = std::mem::take(&mut book.open);
        if before.is_some() {
            self.sometimes.count("lease lost");
        }
        for command in lost.into_values() {
            if let Some(call) = self.calls.get_mut(&command) {
                call.lease_lost = true;
            }
        }
    }

    /// `low` is told only when everything below is resolved.
    pub(in crate::checkers) fn low_never_passes_an_unresolved_number(
        &mut self,
        process: u64,
        low: u64,
    ) {
        let Some(book) = self.clients.get(&process) else { return };
        let open = book.open.first_key_value().map(|(n, command)| (*n, *command));
        let next = book.next;
        let holds = low <= next && open.is_none_or(|(n, _)| low <= n);
        if let Some(lease) = book.lease.and_then(|lease| self.leases.get_mut(&lease)) {
            lease.low = lease.low.max(low);
        }
        self.require(holds, Rule::LowPassesNothing, || {
            format!("process {process}: low {low}, next {next}, lowest unresolved {open:?}")
        });
    }

    pub(in crate::checkers) fn numbers_stay_within_the_span(&mut self, command: &CommandFrame) {
        let span = u64::from(self.node_config.span);
        self.require(command.n.0 - command.low.0 < span, Rule::NumbersWithinSpan, || {
            format!("{command:?}")
        });
    }

    /// A new number goes to the earliest call that has none.
    fn numbers_follow_the_order_of_calls(&mut self, process: u64, command: u64) {
        let Some(book) = self.clients.get(&process) else { return };
        let numbered: BTreeSet<u64> = book.open.values().copied().collect();
        let command_of = |call: &CallId| book.calls.get(call).copied();
        let first =
            book.unresolved.iter().filter_map(command_of).find(|first| !numbered.contains(first));
        self.require(first == Some(command), Rule::NumbersFollowCalls, || {
            format!("process {process}: command {command} is sent before {first:?}")
        });
    }

    pub(in crate::checkers) fn nothing_runs_that_waited_too_long(&mut self, command: u64) {
        let late = self.calls.get(&command).is_some_and(|call| call.late);
        self.require(!late, Rule::WaitedTooLongNeverRan, || format!("command {command}"));
    }

    pub(in crate::checkers) fn command_is_sent(
        &mut self,
        now: Now,
        process: u64,
        frame: &CommandFrame,
    ) {
        let Some(lease) = self.clients.get(&process).and_then(|book| book.lease) else { return };
        let n = frame.n.0;
        let command = self.command_of(process, (lease, n), number_in(&frame.body));
        self.a_cancelled_command_comes_too_late(process, (lease, command), frame);
        let Some(book) = self.clients.get_mut(&process) else { return };
        if n == book.next {
            book.next += 1;
            // One that an earlier process has numbered has its place already.
            if book.open.get(&n) != Some(&command) {
                self.numbers_follow_the_order_of_calls(process, command);
            }
            let open = self.calls.get(&command).is_some_and(|call| call.fate == Fate::Open);
            self.require(open, Rule::OnlyUnresolvedIsNumbered, || format!("command {command}"));
            if let Some(book) = self.clients.get_mut(&process) {
                book.open.insert(n, command);
            }
            self.sent.insert((lease, n), command);
            if let Some(call) = self.calls.get_mut(&command) {
                if call.sent.is_empty() && now >= call.due {
                    call.late = true;
                    self.sometimes.count("call sent after its time");
                }
                call.sent.push((lease, n));
                call.lease_lost = false;
            }
            return;
        }
        let next = book.next;
        let before = self.sent.get(&(lease, n)).copied();
        self.require(before == Some(command), Rule::NumberMeansOneCommand, || {
            format!("process {process}: {n} is command {command}, was {before:?}; next is {next}")
        });
    }

    /// Which command a body is. With an id several may have the same one: then it is what the
    /// number was before, or the first call that says so and has no number.
    fn command_of(&self, process: u64, key: (LeaseId, u64), written: u64) -> u64 {
        let says =
            |command: &u64| self.calls.get(command).is_some_and(|call| call.written == written);
        if self.calls.contains_key(&written) {
            return written;
        }
        if let Some(before) = self.sent.get(&key).filter(|command| says(command)) {
            return *before;
        }
        let Some(book) = self.clients.get(&process) else { return written };
        if let Some(saved) = book.open.get(&key.1).filter(|command| says(command)) {
            return *saved;
        }
        let numbered: BTreeSet<u64> = book.open.values().copied().collect();
        let unresolved = book.unresolved.iter().filter_map(|call| book.calls.get(call));
        let mut left = unresolved.filter(|command| says(command) && !numbered.contains(command));
        left.next().copied().unwrap_or(written)
    }

    /// Whether a number was sent as a command with this body.
    pub(in crate::checkers) fn was_sent_as(&self, key: (LeaseId, u64), written: u64) -> bool {
        let command = self.sent.get(&key).and_then(|command| self.calls.get(command));
        command.is_some_and(|call| call.written == written)
    }

    pub(in crate::checkers) fn answer_arrives(
        &mut self,
        process: u64,
        n: u64,
        refusal: Option<RefusalCode>,
    ) {
        let Some(command) = self.clients.get(&process).and_then(|book| book.open.get(&n)) else {
            return;
        };
        if let Some(code) = refusal.filter(|code| code.is_retry()) {
            self.sometimes.count(&format!("refused: {code:?}"));
        }
        let Some(of) = self.calls.get_mut(command) else { return };
        of.answer = Some(refusal);
        if of.unwanted_by == Some(process) && refusal.is_some_and(RefusalCode::is_retry) {
            let call = of.call;
            self.lets_go(process, call);
        }
    }

    /// A session says which lease it has; the first time it is granted.
    pub(in crate::checkers) fn session_has_lease(
        &mut self,
        node: u64,
        session: SessionId,
        claimed: Option<LeaseId>,
        grant: &LeaseGrant,
    ) {
        let Some(book) = self.sessions.get_mut(&session) else { return };
        match book.lease.replace(grant.id) {
            Some(before) => self.require(before == grant.id, Rule::LeaseIsClaimedOne, || {
                format!("{session:?} has {before:?}, then {grant:?}")
            }),
            None => {
                let user = book.user.clone();
                self.lease_is_granted(node, claimed, grant, &user);
            }
        }
    }

    fn lease_is_granted(
        &mut self,
        node: u64,
        claimed: Option<LeaseId>,
        grant: &LeaseGrant,
        user: &str,
    ) {
        let id = grant.id;
        if grant.state == LeaseState::New {
            let known = self.leases.contains_key(&id);
            self.require(!known && claimed != Some(id), Rule::LeaseIdOnce, || format!("{id:?}"));
            self.leases
                .insert(id, LeaseBook { user: user.to_owned(), node, last_ordered: 0, low: 0 });
            return;
        }
        self.require(claimed == Some(id), Rule::LeaseIsClaimedOne, || {
            format!("{id:?}, {claimed:?}")
        });
        let Some(lease) = self.leases.get_mut(&id) else {
            return self.require(false, Rule::UnknownLeaseExpired, || format!("{id:?} goes on"));
        };
        let owner = lease.user.clone();
        self.lease_comes_with_records(node, id);
        let Some(lease) = self.leases.get_mut(&id) else { return };
        if std::mem::replace(&mut lease.node, node) != node {
            self.sometimes.count("takeover");
        }
        self.require(owner == user, Rule::LeaseKeepsPrincipal, || {
            format!("{id:?}: {owner}, {user}")
        });
    }
}
