//! The application's own ids: one outcome for each, whatever lease asks (PROTOCOL.md 5.20 to 5.22).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use std::time::Duration;

use node_support::{Bench, event, told_answers};
use steadfast::session::node::{Attempt, ConnId, Executed, Execution};
use steadfast::session::store::{Outcome, StoreOp, StoreOutcome};
use steadfast::wire::{ClientFrame, FailureCode, RefusalCode};
use steadfast_rig::fixtures::{
    BOB, CONCURRENT_WITH_ID, ID_KEPT, ORDERED_WITH_ID, body, failed, log, with_id,
};

impl Bench {
    fn book(&mut self, conn: ConnId, n: u64, which: u64, id: &str) {
        let text = with_id(which, id);
        self.send(conn, CONCURRENT_WITH_ID, n, std::str::from_utf8(text.as_bytes()).unwrap());
    }

    fn pay(&mut self, conn: ConnId, n: u64, which: u64, id: &str) {
        let text = with_id(which, id);
        self.send(conn, ORDERED_WITH_ID, n, std::str::from_utf8(text.as_bytes()).unwrap());
    }

    fn say(&mut self, n: u64, reply: &str) {
        self.finish_with(n, Outcome::Ok(body(reply)), vec![event(log("a"), reply)]);
    }

    /// What was published so far.
    fn said(&mut self) -> u64 {
        let head = StoreOp::Heads { topics: vec![log("a")] };
        let StoreOutcome::Heads(heads) = self.store.apply(self.now, head) else { panic!() };
        heads[0].map_or(0, |head| head.head.0)
    }
}

/// Two devices of one user.
fn two_clients() -> (Bench, ConnId, ConnId) {
    let mut bench = Bench::new();
    let (phone, desk) = (bench.attach(), bench.attach());
    (bench, phone, desk)
}

#[test]
fn another_lease_gets_the_first_outcome_as_a_duplicate() {
    for send in [Bench::book, Bench::pay] {
        let (mut bench, phone, desk) = two_clients();
        send(&mut bench, phone, 1, 7, "x");
        bench.say(1, "first");
        assert_eq!(bench.answers(phone), told_answers(&[(1, "ok")]));
        send(&mut bench, desk, 1, 7, "x");
        assert!(bench.running().is_empty());
        assert_eq!(bench.answers(desk), told_answers(&[(1, "ok again")]));
        send(&mut bench, desk, 2, 7, "x");
        assert_eq!(bench.answers(desk), told_answers(&[(2, "ok again")]));
        assert_eq!(bench.said(), 1);
    }
}

#[test]
fn an_error_of_the_application_is_an_outcome_too() {
    let (mut bench, phone, desk) = two_clients();
    bench.book(phone, 1, 7, "x");
    bench.finish_with(1, failed("full"), Vec::new());
    bench.book(desk, 1, 7, "x");
    assert_eq!(bench.answers(desk), told_answers(&[(1, "Error again")]));
}

#[test]
fn who_asks_while_the_first_one_runs_waits_for_its_outcome() {
    let (mut bench, phone, desk) = two_clients();
    bench.pay(phone, 1, 7, "x");
    bench.pay(desk, 1, 7, "x");
    bench.post(desk, 2);
    assert_eq!(bench.running(), [1], "one handler, and what comes behind the other waits");
    bench.say(1, "first");
    assert_eq!(bench.answers(phone), told_answers(&[(1, "ok")]));
    assert_eq!(bench.answers(desk), told_answers(&[(1, "ok again")]));
    assert_eq!(bench.running(), [2]);
    assert_eq!(bench.said(), 1);
}

#[test]
fn an_id_belongs_to_its_principal_and_its_message() {
    let (mut bench, phone, _) = two_clients();
    let bob = bench.attach_as(BOB);
    bench.book(phone, 1, 7, "x");
    bench.book(bob, 1, 7, "x");
    bench.pay(phone, 2, 7, "x");
    assert_eq!(bench.running(), [1, 1, 2]);
}

#[test]
fn another_body_under_an_id_is_told_so_and_does_not_run() {
    let (mut bench, phone, desk) = two_clients();
    bench.book(phone, 1, 7, "x");
    bench.book(desk, 1, 8, "x");
    assert_eq!(bench.running(), [1]);
    bench.say(1, "first");
    assert_eq!(bench.answers(desk), told_answers(&[(1, "IdReused")]));
    bench.book(desk, 2, 9, "x");
    assert_eq!(bench.answers(desk), told_answers(&[(2, "IdReused")]));
    bench.book(desk, 2, 9, "x");
    assert_eq!(bench.answers(desk), told_answers(&[(2, "IdReused again")]), "and stays told");
    assert!(bench.running().is_empty());
}

/// Nothing that such a handler did through its context was committed: the next one may try.
#[test]
fn a_failure_leaves_the_id_to_who_asks_next() {
    let internal = Outcome::plain_failure(FailureCode::Internal);
    let (mut bench, phone, desk) = two_clients();
    bench.book(phone, 1, 7, "x");
    bench.book(desk, 1, 7, "x");
    bench.finish_with(1, internal, vec![event(log("a"), 1)]);
    assert_eq!(bench.answers(phone), told_answers(&[(1, "Internal")]));
    assert_eq!(bench.running(), [1], "the one that had joined runs");
    bench.pass(10_000);
    assert_eq!(bench.answers(desk), told_answers(&[(1, "Timeout")]));
    bench.executions.clear();
    bench.book(desk, 2, 7, "x");
    bench.say(2, "at last");
    assert_eq!(bench.answers(desk), told_answers(&[(2, "ok")]));
    assert_eq!(bench.said(), 1);
}

#[test]
fn a_first_one_that_is_refused_leaves_the_id_to_who_has_joined() {
    let (mut bench, phone, desk) = two_clients();
    bench.book(phone, 1, 7, "x");
    bench.book(desk, 1, 7, "x");
    let execution = bench.started(1);
    bench.executed(&execution, Executed::Refused(RefusalCode::Invalid));
    assert_eq!(bench.answers(phone), told_answers(&[(1, "refused Invalid")]));
    assert_eq!(bench.running(), [1]);
}

#[test]
fn a_first_one_whose_lease_is_gone_leaves_the_id_to_who_has_joined() {
    let (mut bench, phone, desk) = two_clients();
    bench.book(phone, 1, 7, "x");
    bench.book(desk, 1, 7, "x");
    let lease = bench.welcome(phone).lease.as_ref().unwrap().id;
    bench.store.apply(bench.now, StoreOp::EndLease { id: lease });
    bench.say(1, "in vain");
    assert!(bench.closed.contains_key(&phone));
    assert_eq!(bench.running(), [1]);
    assert_eq!(bench.said(), 0);
}

/// The handler can't know that it is the first one, and has a key that is the same for all.
#[test]
fn a_handler_of_a_message_with_an_id_may_be_a_retry_and_is_told_the_id() {
    let (mut bench, phone, _) = two_clients();
    bench.book(phone, 1, 7, "x");
    let Execution::Command { attempt, id: Some(id), .. } = bench.started(1) else { panic!() };
    assert_eq!(attempt, Attempt::MaybeRetry);
    assert_eq!((&*id.principal, id.message.as_str(), &*id.text), ("ann", CONCURRENT_WITH_ID, "x"));
}

#[test]
fn a_message_without_its_id_is_invalid_and_so_is_a_long_one() {
    let (mut bench, phone, _) = two_clients();
    bench.send(phone, CONCURRENT_WITH_ID, 1, "{}");
    bench.book(phone, 2, 7, "");
    bench.book(phone, 3, 7, &"x".repeat(257));
    let invalid = "refused Invalid";
    let told = told_answers(&[(1, invalid), (2, invalid), (3, invalid)]);
    assert_eq!(bench.answers(phone), told);
    bench.book(phone, 4, 7, &"x".repeat(256));
    assert_eq!(bench.running(), [4]);
}

#[test]
fn one_id_more_than_a_principal_may_have_is_refused_before_it_runs() {
    let mut bench = Bench::with(|config| config.ids_per_principal = 1);
    let phone = bench.attach();
    bench.pay(phone, 1, 7, "x");
    bench.say(1, "first");
    bench.answers(phone);
    bench.by_hand = true;
    bench.pay(phone, 2, 8, "y");
    bench.post(phone, 3);
    bench.store_all();
    let overload = "refused Overload";
    assert_eq!(bench.answers(phone), told_answers(&[(2, overload), (3, overload)]));
    bench.by_hand = false;
    bench.now = bench.now.after(ID_KEPT);
    let phone = bench.attach();
    bench.pay(phone, 1, 8, "y");
    assert_eq!(bench.running(), [1], "the first id has been kept for its time");
}

#[test]
fn a_store_that_does_not_say_is_asked_again_and_then_the_command_is_refused() {
    let mut bench = Bench::with(|config| config.store_patience = Duration::from_millis(50));
    let (phone, desk) = (bench.attach(), bench.attach());
    bench.by_hand = true;
    bench.book(phone, 1, 7, "x");
    bench.book(desk, 1, 7, "x");
    assert_eq!(bench.ops.len(), 1, "one asks for both");
    bench.outcome(StoreOutcome::Unknown);
    bench.pass(50);
    bench.outcome(StoreOutcome::Failed);
    for conn in [phone, desk] {
        assert_eq!(bench.answers(conn), told_answers(&[(1, "refused Overload")]));
    }
    bench.book(desk, 1, 7, "x");
    bench.store_one();
    assert_eq!(bench.running(), [1]);
}

/// Nothing begins while the store does not take what handlers have done.
#[test]
fn a_command_whose_id_is_looked_up_waits_while_commits_fail() {
    let mut bench = Bench::new();
    let (phone, desk) = (bench.attach(), bench.attach());
    bench.ask(phone, 1);
    bench.by_hand = true;
    bench.pay(desk, 1, 7, "x");
    bench.pay(phone, 2, 7, "x");
    let find = bench.ops.pop_front().unwrap();
    bench.finish(1);
    bench.outcome(StoreOutcome::Failed);
    bench.pass(2_000);
    bench.outcome(StoreOutcome::Failed);
    bench.ops.push_front(find);
    bench.store_all();
    assert!(bench.running().is_empty());
    bench.by_hand = false;
    bench.pass(2_000);
    assert_eq!(bench.running(), [1]);
    bench.say(1, "after all");
    assert_eq!(bench.answers(desk), told_answers(&[(1, "ok")]));
    assert_eq!(bench.answers(phone), told_answers(&[(1, "ok"), (2, "ok again")]));
}

/// The whole point: whoever was told "unknown" asks again and learns the truth.
#[test]
fn who_was_told_unknown_asks_again_and_learns_the_truth() {
    let mut bench = Bench::with(|config| config.store_patience = Duration::from_millis(50));
    let (phone, desk) = (bench.attach(), bench.attach());
    bench.book(phone, 1, 7, "x");
    bench.by_hand = true;
    bench.say(1, "first");
    let what = bench.ops[0].1.clone();
    bench.store.apply(bench.now, what);
    bench.outcome(StoreOutcome::Unknown);
    bench.pass(50);
    bench.outcome(StoreOutcome::Unknown);
    assert_eq!(bench.answers(phone), told_answers(&[(1, "Unknown")]));
    bench.by_hand = false;
    bench.book(phone, 2, 7, "x");
    assert_eq!(bench.answers(phone), told_answers(&[(2, "ok again")]));
    bench.book(desk, 1, 7, "x");
    assert_eq!(bench.answers(desk), told_answers(&[(1, "ok again")]));
    assert_eq!(bench.said(), 1);
}

/// Two nodes at a time: both handlers run, and there is one outcome.
#[test]
fn of_two_nodes_at_a_time_the_first_commit_stands_and_both_callers_are_told_it() {
    for (which, told) in [(7, "ok again"), (8, "IdReused")] {
        let (mut here, mut there) = (Bench::new(), Bench::of(node_support::config(), [4; 32]));
        let phone = here.attach();
        there.store = here.store.clone();
        let desk = there.attach();
        here.store = there.store.clone();
        here.book(phone, 1, 7, "x");
        there.book(desk, 1, which, "x");
        here.say(1, "first");
        there.store = here.store.clone();
        there.say(1, "second");
        assert_eq!(here.answers(phone), told_answers(&[(1, "ok")]));
        assert_eq!(there.answers(desk), told_answers(&[(1, told)]));
        assert_eq!(there.said(), 1);
    }
}

#[test]
fn a_deadline_that_passes_while_the_store_is_asked_is_expired() {
    let (mut bench, phone, desk) = two_clients();
    bench.by_hand = true;
    let text = with_id(7, "x");
    let text = std::str::from_utf8(text.as_bytes()).unwrap();
    let mut command = bench.command_frame(phone, ORDERED_WITH_ID, 1, text);
    command.deadline_ms = Some(100);
    bench.frame(phone, ClientFrame::Command(command));
    bench.pay(desk, 1, 7, "x");
    bench.pass(100);
    bench.by_hand = false;
    bench.store_all();
    assert_eq!(bench.answers(phone), told_answers(&[(1, "refused Expired")]));
    assert_eq!(bench.running(), [1], "the one that had joined has time left");
}

/// Another node has answered meanwhile.
#[test]
fn what_the_client_calls_resolved_while_the_store_is_asked_does_not_run() {
    let (mut bench, phone, desk) = two_clients();
    bench.by_hand = true;
    bench.pay(phone, 1, 7, "x");
    bench.pay(desk, 1, 7, "x");
    bench.peer(phone).low = 2;
    bench.ack(phone);
    bench.by_hand = false;
    bench.store_all();
    assert_eq!(bench.running(), [1]);
    bench.say(1, "of the desk");
    assert_eq!(bench.answers(desk), told_answers(&[(1, "ok")]));
    assert!(bench.answers(phone).is_empty());
    bench.post(phone, 2);
    assert_eq!(bench.running(), [2], "its place is free");
}

#[test]
fn an_outcome_is_kept_for_its_time_and_then_the_command_runs_again() {
    let (mut bench, phone, _) = two_clients();
    bench.book(phone, 1, 7, "x");
    bench.say(1, "first");
    bench.now = bench.now.after(ID_KEPT);
    let desk = bench.attach();
    bench.book(desk, 1, 7, "x");
    assert_eq!(bench.running(), [1]);
}
