//! The application's own ids: what a store keeps of them, for how long, and how much.

use super::*;
use crate::session::store::{CommitId, MessageId, UsedId};
use crate::wire::FailureCode;

const KEEP: u64 = 5_000;
const BODY: u64 = 70;
const OTHER_BODY: u64 = 71;

fn id(principal: &str, text: &str) -> MessageId {
    let message = Name::from_static("order").expect("a legal name");
    MessageId { principal: principal.into(), message, text: text.into() }
}

fn ok(text: &'static str) -> Outcome {
    Outcome::Ok(Body::copy_from(text.as_bytes()))
}

fn used(outcome: Outcome) -> StoreOutcome {
    StoreOutcome::UsedId(Box::new(UsedId { hash: BODY, outcome }))
}

impl Shelf {
    fn find_within(&mut self, id: MessageId, max: u32, max_bytes: u64) -> StoreOutcome {
        let (max_per_principal, max_bytes_per_principal) = (max, max_bytes);
        self.apply(StoreOp::FindId { id, max_per_principal, max_bytes_per_principal })
    }

    fn find(&mut self, id: MessageId) -> StoreOutcome {
        self.find_within(id, u32::MAX, u64::MAX)
    }

    /// Commits a command of "ann" with an id, which publishes its name to the topic "a".
    fn ordered(&mut self, of: u128, n: u64, text: &str, hash: u64, ends: Outcome) -> CommitOutcome {
        self.ordered_by("ann", (of, n), text, hash, ends)
    }

    fn ordered_by(
        &mut self,
        principal: &str,
        (of, n): (u128, u64),
        text: &str,
        hash: u64,
        ends: Outcome,
    ) -> CommitOutcome {
        let said = [event("a", text)];
        let record = Record { outcome: ends, ..record(&said) };
        let (n, retention, fresh_epochs) = (CommandNo(n), vec![KEPT], vec![self.fresh()]);
        let id = Some(Box::new(CommitId { id: id(principal, text), hash, keep_ms: KEEP }));
        let commits =
            vec![Commit { n, record, settle: true, retention, fresh_epochs, id, decide: None }];
        match self.apply(StoreOp::Commit { lease: lease(of), low: CommandNo(1), commits }) {
            StoreOutcome::Committed { mut outcomes, .. } => outcomes.remove(0).1,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_id_outlives_its_lease_and_is_kept_for_its_time() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    assert_eq!(shelf.find(id("ann", "x")), StoreOutcome::UnusedId);
    shelf.ordered(1, 1, "x", BODY, ok("7"));
    shelf.end(1);
    assert_eq!(shelf.wait(KEEP - 1).find(id("ann", "x")), used(ok("7")));
    assert_eq!(shelf.find(id("bob", "x")), StoreOutcome::UnusedId, "another principal's");
    assert_eq!(shelf.wait(1).find(id("ann", "x")), StoreOutcome::UnusedId);
}

#[test]
fn the_second_command_with_an_id_gets_the_first_outcome_and_publishes_nothing() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.open(2, "ann");
    shelf.ordered(1, 1, "x", BODY, ok("7"));
    assert_eq!(shelf.ordered(2, 1, "x", BODY, ok("8")), CommitOutcome::Used(ok("7")));
    assert_eq!(shelf.read_numbers("a", 0, 9), [1]);
    let again = shelf.ordered(2, 1, "x", BODY, ok("9"));
    let CommitOutcome::Exists(record) = again else { panic!("{again:?}") };
    assert_eq!((&record.outcome, record.settled), (&ok("7"), true), "recorded for both");
}

#[test]
fn another_body_under_an_id_is_told_so() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.ordered(1, 1, "x", BODY, ok("7"));
    let reused = Outcome::plain_failure(FailureCode::IdReused);
    assert_eq!(shelf.ordered(1, 2, "x", OTHER_BODY, ok("8")), CommitOutcome::Used(reused));
    assert_eq!(shelf.find(id("ann", "x")), used(ok("7")));
}

#[test]
fn an_outcome_that_does_not_stand_leaves_its_id_unused_and_finds_what_stands() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    let failed = |code| Outcome::plain_failure(code);
    for (n, outcome) in (1..).zip([
        failed(FailureCode::Internal),
        failed(FailureCode::Timeout),
        failed(FailureCode::Unknown),
        Outcome::Expired,
    ]) {
        let written = shelf.ordered(1, n, "x", BODY, outcome);
        assert!(matches!(written, CommitOutcome::Written { .. }), "{written:?}");
        assert_eq!(shelf.find(id("ann", "x")), StoreOutcome::UnusedId);
    }
    let refused = failed(FailureCode::Error);
    shelf.ordered(1, 5, "x", BODY, refused.clone());
    let late = shelf.ordered(1, 6, "x", BODY, failed(FailureCode::Timeout));
    assert_eq!(late, CommitOutcome::Used(refused));
}

#[test]
fn a_principal_has_so_many_ids_and_so_many_bytes_of_them() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.ordered(1, 1, "x", BODY, ok("seven by"));
    let bytes = 3 + 5 + 1 + 8;
    assert_eq!(shelf.state.bytes().ids, bytes, "principal, message, id and outcome");
    assert_eq!(shelf.find_within(id("ann", "y"), 2, bytes + 1), StoreOutcome::UnusedId);
    assert_eq!(shelf.find_within(id("ann", "y"), 1, u64::MAX), StoreOutcome::TooManyIds);
    assert_eq!(shelf.find_within(id("ann", "y"), 2, bytes), StoreOutcome::TooManyIds);
    assert_eq!(shelf.find_within(id("ann", "x"), 0, 0), used(ok("seven by")), "it is in use");
    assert_eq!(shelf.find_within(id("bob", "y"), 1, 1), StoreOutcome::UnusedId);
    shelf.wait(KEEP);
    assert_eq!(shelf.find_within(id("ann", "y"), 1, 1), StoreOutcome::UnusedId);
    assert_eq!(shelf.state.bytes().ids, 0);
}

#[test]
fn all_ids_together_are_bounded_in_number_and_bytes() {
    let limits = MemoryLimits { ids: 1, ..MemoryLimits::default() };
    let mut shelf = Shelf::with(limits);
    shelf.open(1, "ann");
    shelf.ordered(1, 1, "x", BODY, ok("7"));
    assert_eq!(shelf.find(id("bob", "y")), StoreOutcome::TooManyIds);

    let limits = MemoryLimits { id_bytes: 20, ..MemoryLimits::default() };
    let mut shelf = Shelf::with(limits);
    shelf.open(1, "ann");
    shelf.ordered(1, 1, "x", BODY, ok("a body that is too long"));
    assert_eq!(shelf.find(id("ann", "x")), used(Outcome::plain_failure(FailureCode::Unknown)));
    assert!(shelf.state.bytes().ids <= 20);
}

/// Each takes as many as it may, one after the other, and none goes for a day.
#[test]
fn ten_principals_at_their_worst_leave_ids_for_a_newcomer() {
    const ALL: u32 = 1_000;
    let limits = MemoryLimits { ids: ALL as usize, ..MemoryLimits::default() };
    let mut shelf = Shelf::with(limits);
    let mut take_all = |principal: &str, of: u128| {
        shelf.open(of, principal);
        let mut taken = 0;
        loop {
            let text = format!("{taken}");
            match shelf.find_within(id(principal, &text), ALL / 10, u64::MAX) {
                StoreOutcome::TooManyIds => return taken,
                found => assert_eq!(found, StoreOutcome::UnusedId),
            }
            taken += 1;
            shelf.ordered_by(principal, (of, taken), &text, BODY, ok("7"));
        }
    };
    let evil: Vec<u64> = (1..=10).map(|of| take_all(&format!("evil {of}"), of)).collect();
    assert!(evil[0] > 90, "alone it has nearly its quota: {evil:?}");
    let newcomer = take_all("honest", 11);
    assert!(newcomer > 30, "{newcomer} are left for a newcomer, after {evil:?}");
}

/// Whoever was told "unknown" because its lease is gone asks again and learns the truth.
#[test]
fn an_id_that_is_stored_outlives_an_incarnation() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.ordered(1, 1, "x", BODY, ok("7"));
    shelf.state.begin_incarnation(shelf.now, 9);
    assert!(gone(&shelf.claim(1, "ann", 1)));
    assert_eq!(shelf.find(id("ann", "x")), used(ok("7")));
}
