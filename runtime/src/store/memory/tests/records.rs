//! What a lease remembers of its commands (PROTOCOL.md 5.4, 5.6).

use std::time::Duration;

use super::*;

#[test]
fn a_record_is_written_once_and_the_first_one_stands() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    assert_eq!(
        shelf.written(1, 1, 1, &[], true),
        CommitOutcome::Written { settled: Some(Vec::new()) }
    );
    let second = shelf.written(1, 1, 1, &[event("a", "x")], true);
    assert_eq!(second, CommitOutcome::Exists(Box::new(record(&[]))));
    assert_eq!(shelf.head("a").head, TopicSeq(0), "the second one's effects are discarded");
}

#[test]
fn commits_of_one_operation_are_carried_out_in_order() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    let one = |n, text: &str| Commit {
        n: CommandNo(n),
        record: record(&[event("a", text)]),
        settle: true,
        retention: vec![KEPT],
        fresh_epochs: vec![Epoch(n)],
        id: None,
        decide: None,
    };
    let commits = vec![one(2, "x"), one(1, "y"), one(2, "z")];
    let outcome = shelf.apply(StoreOp::Commit { lease: lease(1), low: CommandNo(1), commits });
    let StoreOutcome::Committed { outcomes, .. } = outcome else { panic!("{outcome:?}") };
    let at = |ts| CommitOutcome::Written {
        settled: Some(vec![Appended { epoch: Epoch(2), ts: TopicSeq(ts) }]),
    };
    assert_eq!(outcomes[0], (CommandNo(2), at(1)));
    assert_eq!(outcomes[1], (CommandNo(1), at(2)));
    assert!(matches!(&outcomes[2], (CommandNo(2), CommitOutcome::Exists(_))));
}

#[test]
fn a_number_below_the_low_water_mark_is_not_written() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.renew(1, 5);
    assert_eq!(shelf.written(1, 4, 1, &[event("a", "x")], true), CommitOutcome::BelowLow);
    assert_eq!(shelf.head("a").head, TopicSeq(0));
    assert!(matches!(shelf.written(1, 5, 1, &[], true), CommitOutcome::Written { .. }));
}

#[test]
fn a_claim_gives_the_records_from_low_on_and_forgets_those_below() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    for n in [1, 2, 4] {
        shelf.written(1, n, 1, &[], true);
    }
    let expected = [2, 4].map(|n| (CommandNo(n), record(&[]))).to_vec();
    assert_eq!(
        shelf.claim(1, "ann", 2),
        StoreOutcome::Lease {
            at: StoreTime::default(),
            low: CommandNo(2),
            claim: OPENED,
            records: expected.clone()
        }
    );
    let outcome = shelf.claim(1, "ann", 1);
    assert_eq!(
        outcome,
        StoreOutcome::Lease {
            at: StoreTime::default(),
            low: CommandNo(2),
            claim: OPENED,
            records: expected
        },
        "low never goes back"
    );
}

#[test]
fn a_commit_that_may_settle_appends_in_the_same_step() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    let outcome =
        shelf.written(1, 1, 1, &[event("a", "x"), event("b", "y"), event("a", "z")], true);
    let CommitOutcome::Written { settled: Some(at) } = outcome else { panic!("{outcome:?}") };
    assert_eq!(at.iter().map(|at| at.ts.0).collect::<Vec<_>>(), [1, 1, 2]);
    assert_eq!(shelf.read_numbers("a", 0, 10), [1, 2]);
    assert!(shelf.unsettled().is_empty());
}

#[test]
fn a_commit_that_may_not_settle_leaves_it_to_the_node() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    assert_eq!(
        shelf.written(1, 1, 1, &[event("a", "x")], false),
        CommitOutcome::Written { settled: None }
    );
    assert_eq!(shelf.head("a").head, TopicSeq(0));
    assert_eq!(shelf.unsettled(), [(lease(1), CommandNo(1))]);
    shelf.append(command(1, 1), event("a", "x"));
    assert_eq!(shelf.settle(1, 1), StoreOutcome::Done);
    assert!(shelf.unsettled().is_empty());
    let StoreOutcome::Lease { records, .. } = shelf.claim(1, "ann", 1) else { panic!("it lives") };
    assert!(records[0].1.settled);
}

#[test]
fn what_is_unsettled_outlives_the_low_water_mark() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.written(1, 1, 1, &[event("a", "x")], false);
    shelf.written(1, 2, 1, &[], true);
    let StoreOutcome::Lease { low, records, .. } = shelf.claim(1, "ann", 3) else {
        panic!("the lease lives")
    };
    let numbers: Vec<CommandNo> = records.into_iter().map(|(n, _)| n).collect();
    assert_eq!(
        (low, numbers),
        (CommandNo(3), vec![CommandNo(1)]),
        "who takes over owes what is not settled"
    );
    assert_eq!(shelf.unsettled(), [(lease(1), CommandNo(1))]);
    assert!(matches!(shelf.append(command(1, 1), event("a", "x")), AppendOutcome::Landed(_)));
    shelf.settle(1, 1);
    assert!(shelf.unsettled().is_empty());
}

#[test]
fn what_is_unsettled_outlives_its_lease_but_not_for_ever() {
    let mut shelf =
        Shelf::with(MemoryLimits { owed: Duration::from_millis(50), ..MemoryLimits::default() });
    shelf.open(1, "ann");
    shelf.open(2, "ann");
    shelf.written(1, 1, 1, &[event("a", "x")], false);
    shelf.written(2, 1, 1, &[event("a", "y")], false);
    shelf.end(1);
    shelf.end(2);
    assert!(gone(&shelf.claim(1, "ann", 1)), "to everybody else it is gone");
    assert_eq!(shelf.unsettled().len(), 2);
    assert!(matches!(shelf.append(command(1, 1), event("a", "x")), AppendOutcome::Landed(_)));
    assert_eq!(shelf.settle(1, 1), StoreOutcome::Done);
    assert_eq!(shelf.unsettled(), [(lease(2), CommandNo(1))]);
    assert!(shelf.wait(50).unsettled().is_empty());
    assert_eq!(shelf.append(command(2, 1), event("a", "y")), AppendOutcome::Settled);
}

#[test]
fn unsettled_records_come_in_pages_and_young_ones_only_on_demand() {
    let mut shelf = Shelf::new();
    for id in 1..=2 {
        shelf.open(id, "ann");
        shelf.written(id, 1, 1, &[event("a", "x")], false);
    }
    shelf.wait(10).written(1, 2, 1, &[event("a", "y")], false);
    let mut page = |max, after: Option<(u128, u64)>, older_than_ms| {
        let after = after.map(|(id, n)| (lease(id), CommandNo(n)));
        match shelf.apply(StoreOp::ListUnsettled { max, max_bytes: 9_999, after, older_than_ms }) {
            StoreOutcome::Unsettled { records, .. } => {
                records.into_iter().map(|(id, n, _)| (id.0, n.0)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(page(2, None, 0), [(1, 1), (1, 2)]);
    assert_eq!(page(2, Some((1, 2)), 0), [(2, 1)]);
    assert!(page(2, Some((2, 1)), 0).is_empty());
    assert_eq!(page(9, None, 10), [(1, 1), (2, 1)]);
    assert_eq!(page(9, Some((1, 1)), 0), [(1, 2), (2, 1)], "the one before may be gone");
}

#[test]
fn settling_the_last_record_of_an_ended_lease_leaves_nothing_but_its_id() {
    let mut shelf = Shelf::new();
    shelf.publish(0, "a", "there before");
    let before = shelf.state.clone();
    shelf.open(1, "ann");
    shelf.written(1, 1, 1, &[event("a", "x")], false);
    shelf.end(1);
    shelf.settle(1, 1);
    assert_eq!(shelf.state.ended.len(), 1, "its id");
    shelf.state.ended = before.ended.clone();
    assert_eq!(shelf.state, before);
}
