//! A client with a journal: nothing is accepted, sent or let go of before that is saved, and the
//! next process goes on from whatever was saved.
#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod client_support;

use std::sync::Arc;

use client_support::*;
use steadfast::session::client::{
    CallId, CallOutcome, Client, ClientConfig, Event, Fate, Record, Recovery, SaveNo, Saving,
};
use steadfast::session::{Now, client::Submission};
use steadfast::wire::{Body, ClientFrame, LeaseId, RefusalCode};

/// A rig whose journal the test writes.
struct Journaled {
    rig: Rig,
    /// What a crash leaves.
    disk: Vec<Record>,
    pending: Vec<(SaveNo, Saving)>,
}

impl Journaled {
    fn with(disk: Vec<Record>, set: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = ClientConfig::new("chat", "1.0");
        set(&mut config);
        let mut recovery = Recovery::default();
        disk.iter().cloned().for_each(|record| recovery.apply(record));
        let client = Client::with_journal(Arc::new(config), [8; 32], &recovery);
        let mut rig = Rig::around(client);
        rig.start();
        Self { rig, disk, pending: Vec::new() }
    }

    fn new() -> Self {
        Self::with(Vec::new(), |_| ())
    }

    /// A client that is attached, with everything saved.
    fn attached() -> Self {
        let mut this = Self::new();
        this.attach();
        this
    }

    fn attach(&mut self) {
        self.rig.connect();
        self.rig.welcome_new();
        self.save();
        self.rig.take();
    }

    /// The process dies, and another one starts with what is saved.
    fn crash(self) -> Self {
        let mut next = Self::with(self.disk, |_| ());
        next.rig.lease = self.rig.lease;
        next
    }

    fn collect(&mut self) {
        for event in std::mem::take(&mut self.rig.events) {
            match event {
                Event::Save { no, saving } => self.pending.push((no, saving)),
                other => self.rig.events.push(other),
            }
        }
    }

    /// Saves everything that is asked for, until nothing is.
    fn save(&mut self) {
        self.collect();
        while !self.pending.is_empty() {
            for (no, saving) in std::mem::take(&mut self.pending) {
                match saving {
                    Saving::Append(record) => self.disk.push(record),
                    Saving::Rewrite(records) => self.disk = records,
                }
                self.rig.act(|client, now| client.handle_saved(now, no));
            }
            self.collect();
        }
    }

    /// Saving fails.
    fn fail(&mut self, undone: bool) {
        self.collect();
        let first = std::mem::take(&mut self.pending).first().expect("something to save").0;
        self.rig.act(|client, now| client.handle_unsaved(now, first, undone));
    }

    fn outcomes(&mut self) -> Vec<(CallId, CallOutcome)> {
        self.collect();
        self.rig.outcomes()
    }

    fn sent(&mut self) -> Vec<(u64, String)> {
        self.rig.numbers().into_iter().map(|(_, n, text)| (n, text)).collect()
    }

    /// What the last frame says is resolved.
    fn told_low(&mut self) -> u64 {
        self.rig.pass_alive(1_000);
        let frames = std::mem::take(&mut self.rig.sent).into_iter().rev();
        let mut lows = frames.filter_map(|frame| match frame {
            ClientFrame::Ack { low, .. } => Some(low.0),
            ClientFrame::Command(command) => Some(command.low.0),
            _ => None,
        });
        lows.next().expect("a frame with `low`")
    }
}

fn sent(list: &[(u64, &str)]) -> Vec<(u64, String)> {
    list.iter().map(|(n, text)| (*n, (*text).to_owned())).collect()
}

fn reply() -> CallOutcome {
    CallOutcome::Reply(Body::UNIT)
}

#[test]
fn a_command_is_accepted_and_sent_once_it_is_saved() {
    let mut client = Journaled::attached();
    let call = client.rig.submit("a");
    assert_eq!((client.rig.client.fate(call), client.sent()), (Some(Fate::Waiting), vec![]));
    client.save();
    assert_eq!(client.sent(), sent(&[(1, "a")]));
    let fates = client.rig.events.iter().filter_map(|event| match event {
        Event::Fate { fate, .. } => Some(*fate),
        _ => None,
    });
    assert_eq!(fates.collect::<Vec<_>>(), [Fate::Queued, Fate::Written]);
}

#[test]
fn a_command_that_is_saved_without_its_number_is_not_sent() {
    let mut client = Journaled::new();
    client.save();
    client.rig.submit("a");
    client.save();
    client.rig.connect();
    client.rig.welcome_new();
    assert_eq!(client.sent(), []);
    client.save();
    assert_eq!(client.sent(), sent(&[(1, "a")]));
}

#[test]
fn the_next_process_sends_again_what_may_have_been_sent_and_then_the_rest() {
    let mut client = Journaled::attached();
    client.rig.submit("done");
    client.rig.submit("maybe");
    client.save();
    client.rig.result(1);
    client.save();
    client.rig.closed(lost());
    client.rig.submit("new");
    client.save();
    let mut next = client.crash();
    let hello = next.rig.connect();
    let claim = hello.lease.expect("the lease of before");
    assert_eq!((claim.id, claim.low.0, claim.next.0), (next.rig.lease, 2, 3));
    assert_eq!(hello.resume, None);
    next.rig.welcome_new();
    next.save();
    assert_eq!(next.sent(), sent(&[(2, "maybe"), (3, "new")]));
    next.rig.result(2);
    next.rig.result(3);
    let told: Vec<CallOutcome> = next.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(told, [reply(), reply()]);
}

#[test]
fn a_number_is_not_given_again_when_all_that_had_one_have_ended() {
    let mut client = Journaled::attached();
    let call = client.rig.submit("a");
    client.save();
    client.rig.result(1);
    client.rig.act(|client, now| client.forget(now, call));
    client.save();
    // What is written anew at a start has no command any more.
    let mut client = client.crash();
    client.save();
    let mut client = client.crash();
    client.rig.submit("b");
    client.attach();
    client.rig.closed(lost());
    client.rig.await_dial();
    client.rig.connect();
    client.rig.welcome_new();
    assert_eq!(client.sent(), sent(&[(2, "b")]));
}

#[test]
fn a_reply_is_told_at_once_and_stays_until_the_application_lets_go_of_it() {
    let mut client = Journaled::attached();
    let call = client.rig.submit("a");
    client.save();
    client.rig.result(1);
    assert_eq!(client.outcomes(), [(call, reply())]);
    client.save();
    let mut recovery = Recovery::default();
    client.disk.iter().cloned().for_each(|record| recovery.apply(record));
    assert_eq!(recovery.calls()[&call].outcome, Some(reply()));
    client.rig.act(|client, now| client.forget(now, call));
    client.save();
    client.disk.iter().cloned().for_each(|record| recovery.apply(record));
    assert!(recovery.calls().is_empty());
}

#[test]
fn the_server_may_forget_an_outcome_once_it_is_saved_and_not_before() {
    let mut client = Journaled::attached();
    client.rig.submit("a");
    client.save();
    client.rig.result(1);
    assert_eq!(client.told_low(), 1);
    client.save();
    assert_eq!(client.told_low(), 2);
}

#[test]
fn that_a_command_never_ran_is_told_once_it_can_not_come_again() {
    let mut client = Journaled::attached();
    let call = client.rig.submit("a");
    client.save();
    client.rig.refuse(1, RefusalCode::Forbidden, 0);
    assert_eq!(client.outcomes(), []);
    client.save();
    assert_eq!(client.outcomes(), [(call, CallOutcome::Refused(RefusalCode::Forbidden))]);
}

#[test]
fn numbers_move_up_when_a_command_is_withdrawn_that_had_one() {
    let mut client = Journaled::attached();
    client.rig.window.frames = 1;
    client.rig.reconnect();
    client.rig.welcome_new();
    client.save();
    for text in ["a", "b", "c"] {
        client.rig.submit(text);
    }
    client.save();
    assert_eq!(client.sent(), sent(&[(1, "a")]));
    assert!(client.rig.act(|client, now| client.cancel(now, CallId(2))));
    let withdrawn = Event::Withdrawn { call: CallId(2) };
    client.collect();
    assert!(!client.rig.events.contains(&withdrawn), "it could come again");
    client.save();
    assert!(client.rig.events.contains(&withdrawn));
    client.rig.ack = 1;
    client.rig.result(1);
    client.save();
    assert_eq!(client.sent(), sent(&[(2, "c")]));
}

#[test]
fn whatever_is_saved_of_a_withdrawal_the_next_process_gives_no_number_twice() {
    let mut client = Journaled::attached();
    client.rig.window.frames = 1;
    client.rig.reconnect();
    client.rig.welcome_new();
    client.save();
    for text in ["a", "b", "c"] {
        client.rig.submit(text);
    }
    client.save();
    client.rig.act(|client, now| client.cancel(now, CallId(2)));
    client.collect();
    let (disk, lease) = (client.disk.clone(), client.rig.lease);
    let pending: Vec<Record> = client
        .pending
        .into_iter()
        .map(|(_, saving)| match saving {
            Saving::Append(record) => record,
            Saving::Rewrite(_) => panic!("nothing was long"),
        })
        .collect();
    for kept in 0..=pending.len() {
        let saved = disk.iter().chain(&pending[..kept]).cloned().collect();
        let mut next = Journaled::with(saved, |_| ());
        next.rig.lease = lease;
        next.attach();
        next.rig.reconnect();
        next.rig.welcome_new();
        let again = next.sent();
        // `b` was never sent, and so may have any number; nothing but `c` may have what `c` had.
        assert!(again[0] == (1, "a".into()), "{kept}: {again:?}");
        let numbers: Vec<u64> = again.iter().map(|(n, _)| *n).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{kept}: {again:?}");
    }
}

/// The number of a refused command was used: the server forgets it when nobody can ask for it again.
#[test]
fn low_passes_a_refused_command_that_is_cancelled_when_that_is_saved() {
    let mut client = Journaled::attached();
    let call = client.rig.submit("a");
    client.save();
    client.rig.ack = 1;
    client.rig.refuse(1, RefusalCode::Overload, 60_000);
    client.save();
    assert!(client.rig.act(|client, now| client.cancel(now, call)));
    assert_eq!(client.told_low(), 1);
    client.save();
    assert!(client.rig.events.contains(&Event::Withdrawn { call }));
    assert_eq!(client.told_low(), 2);
    let next = client.crash();
    assert_eq!(next.rig.client.outbox(), (0, 0));
}

#[test]
fn a_full_disk_refuses_a_command_and_is_tried_again() {
    let mut client = Journaled::attached();
    let early = client.rig.submit("early");
    client.save();
    let call = client.rig.submit("a");
    client.fail(true);
    assert_eq!(client.outcomes(), [(call, CallOutcome::NotSaved)]);
    assert_eq!(client.sent(), sent(&[(1, "early")]));
    client.rig.result(1);
    assert_eq!(client.outcomes().last(), Some(&(early, reply())));
    let later = client.rig.submit("b");
    client.rig.pass_alive(1_000);
    client.save();
    assert_eq!(client.rig.client.fate(later), Some(Fate::Written));
    assert_eq!(client.sent(), sent(&[(2, "b")]));
}

#[test]
fn what_may_have_been_saved_is_not_refused() {
    let mut client = Journaled::attached();
    client.rig.submit("a");
    client.fail(false);
    assert_eq!(client.outcomes(), []);
    client.rig.pass_alive(1_000);
    client.save();
    assert_eq!(client.sent(), sent(&[(1, "a")]));
}

#[test]
fn a_failure_from_before_everything_was_saved_anew_changes_nothing() {
    let mut client = Journaled::attached();
    client.rig.submit("a");
    client.collect();
    let first = client.pending[0].0;
    client.fail(false);
    client.rig.pass_alive(1_000);
    // The same failure, told once more for what was asked for after it.
    client.rig.act(|client, now| client.handle_unsaved(now, SaveNo(first.0 + 1), true));
    assert_eq!(client.outcomes(), []);
    client.save();
    assert_eq!(client.sent(), sent(&[(1, "a")]));
}

#[test]
fn a_client_that_is_closed_leaves_its_commands_to_the_next_process() {
    let mut client = Journaled::attached();
    let sent_one = client.rig.submit("a");
    client.save();
    let unsaved = client.rig.submit("b");
    client.rig.act(|client, now| client.close(now));
    assert_eq!(client.outcomes(), [(sent_one, CallOutcome::Kept)]);
    client.save();
    assert_eq!(client.outcomes().last(), Some(&(unsaved, CallOutcome::Kept)));
    let mut next = client.crash();
    next.attach();
    next.rig.reconnect();
    next.rig.welcome_new();
    assert_eq!(next.sent(), sent(&[(1, "a"), (2, "b")]));
}

#[test]
fn a_client_that_is_closed_while_its_disk_is_full_says_what_is_not_saved() {
    for (undone, told) in
        [(true, CallOutcome::NotSaved), (false, CallOutcome::Closed { sent: true })]
    {
        let mut client = Journaled::attached();
        let call = client.rig.submit("a");
        client.rig.act(|client, now| client.close(now));
        client.fail(undone);
        assert_eq!(client.outcomes(), [(call, told)]);
    }
}

#[test]
fn with_an_expired_lease_what_may_have_been_sent_is_unknown_and_the_rest_is_sent() {
    let mut client = Journaled::attached();
    let maybe = client.rig.submit("maybe");
    client.save();
    client.rig.closed(lost());
    client.rig.submit("new");
    client.save();
    let mut next = client.crash();
    next.rig.connect();
    next.rig.lease = LeaseId(0xf);
    next.rig.welcome_new();
    assert_eq!(next.outcomes(), [], "the next process would not know of it");
    next.save();
    assert_eq!(next.outcomes(), [(maybe, CallOutcome::OutcomeUnknown)]);
    assert_eq!(next.sent(), sent(&[(1, "new")]));
}

#[test]
fn time_counts_across_processes() {
    let said = |text: &str| Submission { timeout_ms: 10_000, ..command(text) };
    let taken = |call: u64, text: &str, waited_ms| Record::Taken {
        call: CallId(call),
        command: steadfast::session::client::Command::of_before(
            Now(1_000),
            said(text),
            waited_ms,
            "0.9".into(),
        ),
    };
    let disk = vec![taken(1, "late", 60_000), taken(2, "in time", 4_000)];
    let mut client = Journaled::with(disk, |_| ());
    client.rig.pass(0);
    client.save();
    let expired = CallOutcome::Refused(RefusalCode::Expired);
    assert_eq!(client.outcomes(), [(CallId(1), expired)]);
    client.rig.connect();
    client.rig.welcome_new();
    client.save();
    let commands = client.rig.commands();
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0].deadline_ms, Some(6_000));
}

#[test]
fn records_that_were_lost_leave_nothing_to_be_sent() {
    let mut client = Journaled::attached();
    client.rig.submit("a");
    client.save();
    let mut recovery = Recovery::default();
    client.disk.iter().cloned().for_each(|record| recovery.apply(record));
    recovery.distrust();
    let config = Arc::new(ClientConfig::new("chat", "1.0"));
    let mut rig = Rig::around(Client::with_journal(config, [9; 32], &recovery));
    rig.start();
    let hello = rig.connect();
    assert_eq!((hello.lease, hello.lease_later), (None, true));
    assert_eq!(recovery.calls()[&CallId(1)].outcome, Some(CallOutcome::OutcomeUnknown));
}

#[test]
fn the_journal_is_written_anew_when_it_is_long() {
    let mut client = Journaled::with(Vec::new(), |config| config.journal.slack_bytes = 2_000);
    client.attach();
    for round in 1..=200 {
        let call = client.rig.submit("x".repeat(100));
        client.save();
        client.rig.result(round);
        client.rig.act(|client, now| client.forget(now, call));
        client.save();
        assert!(client.disk.len() < 60, "{} records", client.disk.len());
    }
}

#[test]
fn outcomes_that_nobody_lets_go_of_are_bounded() {
    let mut client = Journaled::with(Vec::new(), |config| config.journal.kept_outcomes = 3);
    client.attach();
    for round in 1..=10 {
        client.rig.submit("a");
        client.save();
        client.rig.result(round);
        client.save();
        assert!(client.rig.client.load().kept_outcomes <= 3);
    }
    let mut recovery = Recovery::default();
    client.disk.iter().cloned().for_each(|record| recovery.apply(record));
    let kept: Vec<u64> = recovery.calls().keys().map(|call| call.0).collect();
    assert_eq!(kept, [8, 9, 10]);
}
