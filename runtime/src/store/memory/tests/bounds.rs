//! What a store keeps is bounded in bytes, whoever sends what.

use super::*;
use crate::wire::FailureCode;

/// A body of so many bytes.
fn long(bytes: usize) -> Body {
    Body::from(vec![b'x'; bytes])
}

fn limits(change: impl FnOnce(&mut MemoryLimits)) -> MemoryLimits {
    let mut limits = MemoryLimits::default();
    change(&mut limits);
    limits
}

fn unknown(record: &Record) -> bool {
    record.outcome.failure() == Some(FailureCode::Unknown)
}

impl Shelf {
    /// Commits a reply of so many bytes.
    fn reply(&mut self, id: u128, n: u64, bytes: usize) {
        let record = Record { outcome: Outcome::Ok(long(bytes)), ..record(&[]) };
        let (retention, fresh_epochs) = (Vec::new(), Vec::new());
        let commit = Commit {
            n: CommandNo(n),
            record,
            settle: true,
            retention,
            fresh_epochs,
            id: None,
            decide: None,
        };
        let (lease, low) = (lease(id), CommandNo(1));
        self.apply(StoreOp::Commit { lease, low, commits: vec![commit] });
    }

    /// The numbers of a lease whose replies are still whole.
    fn whole(&mut self, id: u128, principal: &str) -> Vec<u64> {
        let StoreOutcome::Lease { records, .. } = self.claim(id, principal, 1) else {
            panic!("{id} lives")
        };
        let whole = records.into_iter().filter(|(_, record)| !unknown(record));
        whole.map(|(n, _)| n.0).collect()
    }
}

#[test]
fn a_lease_keeps_so_many_bytes_of_replies_and_always_its_latest() {
    let mut shelf = Shelf::with(limits(|limits| limits.lease_bytes = 250));
    shelf.open(1, "ann");
    for n in 1..=4 {
        shelf.reply(1, n, 100);
    }
    assert_eq!(shelf.whole(1, "ann"), [3, 4]);
    shelf.reply(1, 5, 1_000);
    assert_eq!(shelf.whole(1, "ann"), [5]);
    shelf.reply(1, 6, 100);
    assert_eq!(shelf.whole(1, "ann"), [6], "the long one goes for the next");
}

/// A lease whose numbers end in any order keeps no more than one whose numbers end in order.
#[test]
fn replies_that_are_written_backwards_are_bounded_as_well() {
    let mut shelf = Shelf::with(limits(|limits| limits.lease_bytes = 250));
    shelf.open(1, "ann");
    for n in (1..=9).rev() {
        shelf.reply(1, n, 100);
        assert!(shelf.state.bytes().replies <= 250);
    }
    assert_eq!(shelf.whole(1, "ann").len(), 2);
}

#[test]
fn a_short_answer_never_shrinks() {
    let mut shelf = Shelf::with(limits(|limits| limits.lease_bytes = 0));
    shelf.open(1, "ann");
    shelf.reply(1, 1, 2);
    shelf.reply(1, 2, 100);
    shelf.reply(1, 3, 100);
    assert_eq!(shelf.whole(1, "ann"), [1, 3]);
}

#[test]
fn the_leases_of_a_principal_share_what_it_may_keep() {
    let mut shelf = Shelf::with(limits(|limits| limits.principal_bytes = 400));
    shelf.open(1, "ann");
    for n in 1..=4 {
        shelf.reply(1, n, 100);
    }
    assert_eq!(shelf.whole(1, "ann"), [1, 2, 3, 4]);
    shelf.open(2, "ann");
    assert_eq!(shelf.whole(1, "ann"), [3, 4], "half is the other one's");
    shelf.reply(2, 1, 300);
    assert!(shelf.whole(2, "ann").is_empty(), "the latest has no more than its share, either");
    shelf.end(2);
    shelf.reply(1, 5, 200);
    assert_eq!(shelf.whole(1, "ann"), [3, 4, 5]);
}

#[test]
fn all_leases_together_keep_so_many_bytes_of_replies() {
    let mut shelf = Shelf::with(limits(|limits| limits.reply_bytes = 1_000));
    for id in 1..=20 {
        shelf.open(id, &format!("user {id}"));
        shelf.reply(id, 1, 100);
        assert!(shelf.state.bytes().replies <= 1_000);
    }
    let kept = (1..=20).filter(|id| !shelf.whole(*id, &format!("user {id}")).is_empty()).count();
    assert_eq!(kept, 10);
}

#[test]
fn no_record_goes_for_its_bytes() {
    let mut shelf = Shelf::with(limits(|limits| limits.reply_bytes = 0));
    shelf.open(1, "ann");
    for n in 1..=3 {
        shelf.reply(1, n, 100);
    }
    let again = shelf.written(1, 1, 1, &[], true);
    assert!(matches!(again, CommitOutcome::Exists(record) if unknown(&record)));
}

#[test]
fn publications_are_kept_until_they_are_in_their_logs_and_no_longer() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.written(1, 1, 1, &[event("a", "a long event")], true);
    assert_eq!(shelf.state.bytes().owed, 0);
    shelf.written(1, 2, 1, &[event("a", "another one")], false);
    assert_eq!(shelf.state.bytes().owed, 1 + 4 + 11, "key, name and body");
    shelf.append(command(1, 2), event("a", "another one"));
    shelf.settle(1, 2);
    assert_eq!(shelf.state.bytes().owed, 0);
    let CommitOutcome::Exists(record) = shelf.written(1, 2, 1, &[], true) else { panic!() };
    assert!(record.settled && record.publishes.is_empty());
}

#[test]
fn commits_that_would_owe_too_much_fail_until_something_is_settled() {
    let mut shelf = Shelf::with(limits(|limits| limits.owed_bytes = 20));
    shelf.open(1, "ann");
    shelf.written(1, 1, 1, &[event("a", "fourteen bytes")], false);
    assert_eq!(shelf.commit(1, 2, 1, &[event("a", "x")], false), StoreOutcome::Failed);
    assert!(matches!(shelf.written(1, 3, 1, &[], true), CommitOutcome::Written { .. }));
    shelf.append(command(1, 1), event("a", "fourteen bytes"));
    shelf.settle(1, 1);
    let again = shelf.written(1, 2, 1, &[event("a", "x")], false);
    assert_eq!(again, CommitOutcome::Written { settled: None });
}

/// What may not overtake an earlier record waits with it, whatever the node asked for.
#[test]
fn what_has_to_wait_for_a_lower_record_is_owed_as_well() {
    let mut shelf = Shelf::with(limits(|limits| limits.owed_bytes = 20));
    shelf.open(1, "ann");
    shelf.open(2, "bob");
    shelf.written(1, 1, 1, &[event("a", "fourteen bytes")], false);
    assert_eq!(shelf.commit(1, 2, 1, &[event("a", "x")], true), StoreOutcome::Failed);
    let at_once = shelf.written(2, 1, 1, &[event("a", "fourteen bytes")], true);
    assert!(matches!(at_once, CommitOutcome::Written { settled: Some(_) }), "{at_once:?}");
    let again = shelf.written(1, 1, 1, &[event("a", "fourteen bytes")], false);
    assert!(matches!(again, CommitOutcome::Exists(_)), "a repetition leaves nothing new");
}

#[test]
fn a_log_keeps_so_many_bytes_and_always_its_latest_entry() {
    let mut shelf = Shelf::new();
    let retention = KEPT.with_bytes(30);
    for (count, length) in [(1, 10), (2, 10), (3, 13), (4, 100)] {
        let mut said = event("a", "");
        said.bodies[0].1 = long(length);
        shelf.apply(append_op(count, said, retention, Epoch(1)));
        let kept = shelf.state.topics.entries_of(&topic("a"));
        assert_eq!(kept, [1, 2, 1, 1][count as usize - 1], "after {count}");
    }
    assert_eq!(shelf.state.bytes().logs, 104);
}

#[test]
fn all_logs_together_keep_so_many_bytes_and_those_idle_longest_give() {
    let mut shelf = Shelf::with(limits(|limits| limits.log_bytes = 64));
    let first = shelf.publish(1, "a", "sixteen bytes...");
    shelf.wait(1).publish(2, "b", "sixteen bytes...");
    shelf.wait(1).publish(3, "c", "sixteen bytes...");
    assert_eq!(shelf.state.bytes().logs, 60);
    shelf.wait(1).publish(4, "b", "sixteen bytes...");
    assert_eq!(shelf.state.topics.entries_of(&topic("a")), 0);
    assert_eq!(shelf.state.topics.entries_of(&topic("b")), 2);
    let head = shelf.head("a");
    assert_eq!((head.epoch, head.head), (first.epoch, first.ts), "no epoch is lost for bytes");
    for count in 5..50 {
        shelf.publish(count, "b", "sixteen bytes...");
        assert!(shelf.state.bytes().logs <= 64);
    }
}

/// The attack that kept 33 MB for 12 kB of requests: a client that asks for long replies, resolves
/// nothing and leaves.
#[test]
fn who_never_resolves_a_reply_leaves_no_more_than_its_share() {
    let mut shelf = Shelf::new();
    for id in 1..=2 {
        shelf.open(id, "ann");
        for n in 1..=256 {
            shelf.reply(id, n, 130_000);
        }
    }
    let kept = shelf.state.bytes().replies;
    assert!(kept <= 2 * 256 * 1024, "{kept}");
}

/// What comes and goes leaves no byte in the books.
#[test]
fn the_books_are_empty_when_the_store_is() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.reply(1, 1, 500);
    shelf.written(1, 2, 1, &[event("a", "x")], false);
    shelf.written(1, 3, 1, &[event("a", "y")], true);
    shelf.end(1);
    shelf.wait(10_000_000).head("z");
    shelf.wait(10_000_000).unsettled();
    assert_eq!(shelf.state.bytes(), super::super::MemoryBytes::default());
}
