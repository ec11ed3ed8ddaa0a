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
    assert!(gone(&shelf.append(command(1, 1), event("a", "x"))));
    assert!(
        gone(&shelf.append(command(1, 7), event("a", "x"))),
        "nor does one that was never committed"
    );
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
    let at: Vec<_> = (1..=3).map(|count| shelf.publish(count, "a", "x")).collect();
    assert_eq!(shelf.state.topics.keys_of(&topic("a")), 2);
    assert_eq!(shelf.publish(2, "a", "x"), at[1]);
    assert_eq!(shelf.publish(3, "a", "x"), at[2]);
}
