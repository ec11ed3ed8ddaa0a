//! Who has a lease, and for how long (PROTOCOL.md 1.3, 5.1).

use super::*;

#[test]
fn an_unknown_lease_is_gone_never_new() {
    let mut shelf = Shelf::new();
    assert!(gone(&shelf.claim(1, "ann", 1)));
    assert!(gone(&shelf.renew(1, 1)));
    assert!(gone(&shelf.commit(1, 1, 1, &[], true)));
    assert_eq!(shelf.settle(1, 1), StoreOutcome::Done, "nothing is left to settle");
}

#[test]
fn a_lease_belongs_to_its_principal() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    assert!(gone(&shelf.claim(1, "bob", 1)));
    assert!(!gone(&shelf.claim(1, "ann", 1)));
}

#[test]
fn opening_again_after_a_lost_answer_changes_nothing() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.written(1, 1, 1, &[], true);
    let before = shelf.state.clone();
    assert_eq!(
        shelf.open(1, "ann"),
        StoreOutcome::Lease {
            at: StoreTime::default(),
            low: CommandNo(1),
            claim: OPENED,
            records: Vec::new()
        }
    );
    assert_eq!(shelf.state, before);
    assert!(gone(&shelf.open(1, "bob")));
}

#[test]
fn an_unused_lease_expires_sooner_than_one_that_ran_a_command() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.open(2, "ann");
    shelf.written(2, 1, 1, &[], true);
    shelf.wait(UNUSED_TTL);
    assert!(gone(&shelf.renew(1, 1)));
    assert!(!gone(&shelf.renew(2, 1)));
    shelf.wait(TTL);
    assert!(gone(&shelf.renew(2, 1)));
}

#[test]
fn contact_prolongs_a_lease() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    for _ in 0..5 {
        assert!(!gone(&shelf.wait(UNUSED_TTL - 1).renew(1, 1)));
    }
    assert!(!gone(&shelf.wait(UNUSED_TTL - 1).claim(1, "ann", 1)));
    shelf.wait(UNUSED_TTL - 1).written(1, 1, 1, &[], true);
    for n in 2..5 {
        shelf.wait(TTL - 1).written(1, n, 1, &[], true);
    }
    assert!(gone(&shelf.wait(TTL).renew(1, 1)));
}

#[test]
fn one_lease_too_many_ends_the_one_of_that_principal_that_was_idle_longest() {
    let mut shelf = Shelf::new();
    shelf.open(9, "bob");
    shelf.wait(1).open(1, "ann");
    shelf.wait(1).open(2, "ann");
    shelf.wait(HELD).renew(1, 1);
    shelf.wait(1).open(3, "ann");
    assert!(gone(&shelf.renew(2, 1)));
    for kept in [1, 3, 9] {
        assert!(!gone(&shelf.renew(kept, 1)));
    }
}

#[test]
fn a_lease_that_somebody_may_hold_is_not_ended_for_another_one() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.open(2, "ann");
    assert_eq!(shelf.wait(HELD).open(3, "ann"), StoreOutcome::TooManyLeases);
    assert!(!gone(&shelf.renew(1, 1)) && !gone(&shelf.renew(2, 1)));
}

#[test]
fn a_lease_that_was_let_go_makes_room_at_once_the_first_one_first() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.open(2, "ann");
    shelf.wait(1).let_go(2);
    shelf.wait(1).let_go(1);
    shelf.wait(1).let_go(2);
    assert!(!gone(&shelf.open(3, "ann")));
    assert!(gone(&shelf.renew(2, 1)) && !gone(&shelf.renew(1, 1)));
    assert_eq!(shelf.open(4, "ann"), StoreOutcome::TooManyLeases, "somebody holds it again");
}

#[test]
fn a_lease_that_is_claimed_is_held_again() {
    let mut shelf = Shelf::new();
    shelf.open(1, "ann");
    shelf.open(2, "ann");
    shelf.let_go(1);
    shelf.claim(1, "ann", 1);
    assert_eq!(shelf.open(3, "ann"), StoreOutcome::TooManyLeases);
}

/// Clients that crash one after the other never keep the next one out.
#[test]
fn a_hundred_crashed_clients_of_one_principal_do_not_keep_the_next_one_out() {
    let mut shelf = Shelf::new();
    for id in 1..=100 {
        assert!(!gone(&shelf.open(id, "ann")), "client {id}");
        shelf.written(id, 1, 1, &[], true);
        shelf.let_go(id);
    }
}

#[test]
fn a_full_store_makes_room_of_what_was_let_go() {
    let mut shelf = Shelf::with(MemoryLimits { leases: 2, ..MemoryLimits::default() });
    shelf.open(1, "ann");
    shelf.open(2, "bob");
    shelf.let_go(2);
    assert!(!gone(&shelf.open(3, "cid")));
    assert!(gone(&shelf.renew(2, 1)));
    assert_eq!(shelf.open(4, "dan"), StoreOutcome::TooManyLeases);
}

#[test]
fn an_ended_lease_is_gone_and_leaves_nothing_but_its_id() {
    let mut shelf = Shelf::new();
    let empty = shelf.state.clone();
    shelf.open(1, "ann");
    shelf.written(1, 1, 1, &[], true);
    assert_eq!(shelf.end(1), StoreOutcome::Done);
    assert_eq!(shelf.end(1), StoreOutcome::Done);
    assert!(gone(&shelf.claim(1, "ann", 1)));
    assert_eq!(shelf.state.ended.len(), 1, "its id");
    shelf.state.ended = empty.ended.clone();
    assert_eq!(shelf.state, empty);
}

#[test]
fn a_full_store_issues_no_lease_until_one_ends() {
    let mut shelf = Shelf::new();
    shelf.state = MemoryState::new(MemoryLimits { leases: 1, ..MemoryLimits::default() });
    shelf.open(1, "ann");
    assert_eq!(shelf.open(2, "bob"), StoreOutcome::TooManyLeases);
    shelf.end(1);
    assert!(!gone(&shelf.open(2, "bob")));
}
