//! An append happens once per key, for as long as it may be repeated.

use super::*;

#[test]
fn an_append_happens_once_per_key() {
    let mut shelf = Shelf::new();
    let first = shelf.publish(1, "a", "x");
    assert_eq!(shelf.publish(1, "a", "x"), first);
    assert_eq!(shelf.publish(2, "a", "y").ts, TopicSeq(2));
    shelf.open(1, "ann");
    shelf.written(1, 1, 1, &[event("a", "z")], false);
    let third = shelf.append(command(1, 1), event("a", "z"));
    assert_eq!(shelf.append(command(1, 1), event("a", "z")), third);
    assert_eq!(shelf.head("a").head, TopicSeq(3));
}

#[test]
fn a_key_outlives_the_end_of_its_lease_while_the_record_is_unsettled() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.written(1, 1, 1, &[event("a", "x")], false);
    let first = shelf.append(command(1, 1), event("a", "x"));
    shelf.end(1);
    assert_eq!(shelf.append(command(1, 1), event("a", "x")), first);
    assert_eq!(shelf.head("a").head, TopicSeq(1));
}

#[test]
fn a_command_whose_record_is_settled_and_forgotten_appends_no_more() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.written(1, 1, 1, &[event("a", "x")], false);
    shelf.append(command(1, 1), event("a", "x"));
    shelf.settle(1, 1);
    shelf.renew(1, 2);
    assert_eq!(shelf.append(command(1, 1), event("a", "x")), AppendOutcome::Settled);
    let never_committed = shelf.append(command(1, 7), event("a", "x"));
    assert_eq!(never_committed, AppendOutcome::Settled);
    assert_eq!(shelf.head("a").head, TopicSeq(1));
}

#[test]
fn keys_of_commands_are_remembered_while_their_records_are_unsettled() {
    let mut shelf = Shelf::new();
    shelf.publish(0, "a", "there before");
    shelf.open(1, "ann");
    shelf.written(1, 1, 1, &[event("a", "x")], true);
    let keys = |shelf: &Shelf| shelf.state.topics.keys_of(&topic("a"));
    assert_eq!(keys(&shelf), 1, "what is settled at once is not appended again");
    shelf.written(1, 2, 1, &[event("a", "y")], false);
    shelf.append(command(1, 2), event("a", "y"));
    assert_eq!(keys(&shelf), 2);
    shelf.renew(1, 3);
    assert_eq!(keys(&shelf), 2, "the second one is unsettled");
    shelf.settle(1, 2);
    assert_eq!(keys(&shelf), 1);
}

#[test]
fn direct_keys_are_bounded() {
    let mut shelf = Shelf::with(MemoryLimits { direct_keys: 2, ..MemoryLimits::default() });
    let keys = [(1, "a"), (2, "a"), (3, "b"), (4, "a")];
    let at = keys.map(|(count, key)| shelf.publish(count, key, "x"));
    // The oldest one goes with the next operation, whichever topic it is of.
    assert_eq!(shelf.publish(3, "b", "x"), at[2]);
    assert_eq!(shelf.publish(4, "a", "x"), at[3]);
    let keys = ["a", "b"].map(|key| shelf.state.topics.keys_of(&topic(key)));
    assert_eq!(keys, [1, 1]);
}

// ---- records and logs apart ----

const WINDOW_MS: u64 = 100;

/// A store whose records and logs lie apart, with one record that is not settled, and when that
/// was seen.
fn apart() -> (Shelf, StoreTime) {
    let window = Some(Duration::from_millis(WINDOW_MS));
    let mut shelf = Shelf::with(MemoryLimits { append_window: window, ..MemoryLimits::default() });
    shelf.wait(7).open(1, "ann");
    let written = shelf.written(1, 1, 1, &[event("a", "x")], true);
    assert_eq!(written, CommitOutcome::Written { settled: None }, "it never settles in a commit");
    let seen = StoreTime { incarnation: 0, ms: 7 };
    let listed = shelf.apply(StoreOp::ListUnsettled {
        max: 1,
        max_bytes: 9_999,
        after: None,
        older_than_ms: 0,
    });
    assert!(matches!(listed, StoreOutcome::Unsettled { at, .. } if at == seen));
    (shelf, seen)
}

#[test]
fn what_was_seen_unsettled_too_long_ago_is_stale() {
    let (mut shelf, seen) = apart();
    shelf.wait(WINDOW_MS + 1);
    let append = shelf.append_seen(command(1, 1), Some(seen), event("a", "x"));
    assert_eq!(append, AppendOutcome::Stale);
    assert_eq!(shelf.append(command(1, 1), event("a", "x")), AppendOutcome::Stale);
    let now = StoreTime { ms: shelf.now.0, ..seen };
    let landed = shelf.append_seen(command(1, 1), Some(now), event("a", "x"));
    assert!(matches!(landed, AppendOutcome::Landed(at) if at.ts == TopicSeq(1)));
}

#[test]
fn a_key_is_remembered_for_longer_than_anything_that_was_seen_before_its_record_was_settled() {
    let (mut shelf, seen) = apart();
    let first = shelf.append_seen(command(1, 1), Some(seen), event("a", "x"));
    shelf.wait(WINDOW_MS * 9);
    let seen = StoreTime { ms: shelf.now.0, ..seen };
    let again = shelf.append_seen(command(1, 1), Some(seen), event("a", "x"));
    assert_eq!(again, first, "however long it is not settled");
    shelf.settle(1, 1);
    shelf.wait(WINDOW_MS);
    let late = shelf.append_seen(command(1, 1), Some(seen), event("a", "x"));
    assert_eq!(late, first);
    shelf.wait(1);
    let later = shelf.append_seen(command(1, 1), Some(seen), event("a", "x"));
    assert_eq!(later, AppendOutcome::Stale);
    assert_eq!(shelf.state.topics.keys_of(&topic("a")), 0);
    assert_eq!(shelf.head("a").head, TopicSeq(1));
}

#[test]
fn what_another_incarnation_showed_is_stale() {
    let (mut shelf, seen) = apart();
    shelf.state.begin_incarnation(shelf.now, 5);
    let append = shelf.append_seen(command(1, 1), Some(seen), event("a", "x"));
    assert_eq!(append, AppendOutcome::Stale);
    let seen = StoreTime { incarnation: 5, ..seen };
    let landed = shelf.append_seen(command(1, 1), Some(seen), event("a", "x"));
    assert!(matches!(landed, AppendOutcome::Landed(_)), "an ended lease owes it all the same");
}

#[test]
fn nothing_behind_a_stale_one_is_appended() {
    let (mut shelf, seen) = apart();
    shelf.wait(WINDOW_MS + 1);
    let said = |key, as_of| {
        let Publication { name, bodies, .. } = event("a", "x");
        Append { key, as_of, name, bodies }
    };
    let direct = |count| AppendKey::Direct { node: 1, count };
    let appends =
        vec![said(direct(1), None), said(command(1, 1), Some(seen)), said(direct(2), None)];
    let fresh_epoch = shelf.fresh();
    let op = StoreOp::Append { topic: topic("a"), appends, retention: KEPT, fresh_epoch };
    let landed = AppendOutcome::Landed(Appended { epoch: fresh_epoch, ts: TopicSeq(1) });
    let expected = StoreOutcome::Appended(vec![landed, AppendOutcome::Stale]);
    assert_eq!(shelf.apply(op), expected);
    assert_eq!(shelf.head("a").head, TopicSeq(1));
}
