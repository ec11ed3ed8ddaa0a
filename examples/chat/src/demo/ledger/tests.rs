//! What the ledger calls lost, doubled and reordered, one claim per test.

use super::*;

fn message(sender: Who, number: u64) -> Message {
    Message { sender, number }
}

fn seen(sender: Who, number: u64) -> Seen {
    Seen { message: message(sender, number), id: format!("{sender}-{number}") }
}

fn event(sender: Who, number: u64) -> Item {
    Item::Event(seen(sender, number))
}

fn snapshot(gap: Option<Cause>, messages: &[(Who, u64)]) -> Item {
    Item::Snapshot {
        gap,
        messages: messages.iter().map(|(sender, number)| seen(*sender, *number)).collect(),
    }
}

const EPOCH: Option<Cause> = Some(Cause::Epoch);
const TRIMMED: Option<Cause> = Some(Cause::Trimmed);

fn post(ledger: &mut Ledger, number: u64) {
    ledger.sending(message(0, number));
    ledger.outcome(message(0, number), Outcome::Done(format!("0-{number}")));
}

fn kill(ledger: &mut Ledger) {
    ledger.killing();
    ledger.replaced();
}

fn see(ledger: &mut Ledger, journal: impl IntoIterator<Item = Item>) {
    journal.into_iter().for_each(|item| ledger.saw(0, item));
}

fn unknown(ledger: &mut Ledger, number: u64) {
    ledger.sending(message(0, number));
    ledger.outcome(message(0, number), Outcome::Unknown);
}

/// One sender, whose messages `1..=done` were posted.
fn posted(done: u64) -> Ledger {
    let mut ledger = Ledger::default();
    (1..=done).for_each(|number| post(&mut ledger, number));
    ledger
}

/// The same, and one client with this journal.
fn ledger(done: u64, journal: impl IntoIterator<Item = Item>) -> Ledger {
    let mut ledger = posted(done);
    see(&mut ledger, journal);
    ledger
}

/// The same, but the server is killed after the posts and before the journal's items.
fn killed(done: u64, journal: impl IntoIterator<Item = Item>) -> Ledger {
    let mut ledger = posted(done);
    kill(&mut ledger);
    see(&mut ledger, journal);
    ledger
}

#[test]
fn a_clean_run_is_clean() {
    let verdict =
        ledger(3, [snapshot(None, &[]), event(0, 1), event(0, 2), event(0, 3)]).verdict(1);
    assert_eq!(verdict, Verdict { sent: 3, delivered: 3, ..Verdict::default() });
    assert!(verdict.kept());
}

#[test]
fn a_posted_message_that_never_comes_is_lost() {
    let verdict = ledger(3, [event(0, 1), event(0, 3)]).verdict(1);
    assert_eq!((verdict.lost, verdict.gapped, verdict.delivered), (1, 0, 2));
    assert!(!verdict.kept());
}

#[test]
fn the_last_message_can_be_lost_too() {
    assert_eq!(ledger(2, [event(0, 1)]).verdict(1).lost, 1);
}

#[test]
fn a_reported_gap_covers_what_should_have_stood_there() {
    let verdict = killed(4, [event(0, 1), snapshot(EPOCH, &[]), event(0, 4)]).verdict(1);
    assert_eq!((verdict.lost, verdict.gapped), (0, 2));
}

#[test]
fn a_gap_elsewhere_covers_nothing() {
    let before = killed(3, [snapshot(EPOCH, &[]), event(0, 1), event(0, 3)]).verdict(1);
    assert_eq!((before.lost, before.gapped), (1, 0));
    let after = killed(3, [event(0, 1), event(0, 3), snapshot(EPOCH, &[])]).verdict(1);
    assert_eq!((after.lost, after.gapped), (1, 0));
}

#[test]
fn a_first_snapshot_is_no_gap() {
    assert_eq!(ledger(2, [snapshot(None, &[(0, 2)])]).verdict(1).lost, 1);
}

#[test]
fn a_snapshot_with_a_hole_loses_what_is_missing() {
    let verdict = killed(3, [snapshot(EPOCH, &[(0, 1), (0, 3)])]).verdict(1);
    assert_eq!((verdict.lost, verdict.delivered), (1, 2));
}

#[test]
fn a_snapshot_that_stops_short_loses_what_should_follow() {
    let verdict = killed(3, [event(0, 1), snapshot(EPOCH, &[(0, 1)]), event(0, 3)]).verdict(1);
    assert_eq!(verdict.lost, 1);
}

#[test]
fn a_snapshot_after_a_gap_may_have_only_the_latest() {
    let verdict = killed(4, [event(0, 1), snapshot(EPOCH, &[(0, 3), (0, 4)])]).verdict(1);
    assert_eq!((verdict.lost, verdict.gapped, verdict.delivered), (0, 1, 3));
}

#[test]
fn an_event_that_comes_twice_is_doubled() {
    let verdict = ledger(2, [event(0, 1), event(0, 2), event(0, 2)]).verdict(1);
    assert_eq!((verdict.doubled, verdict.reordered), (1, 0));
    assert!(!verdict.kept());
}

#[test]
fn a_message_posted_twice_under_two_ids_is_doubled() {
    let again = Item::Event(Seen { message: message(0, 1), id: "other".into() });
    assert_eq!(ledger(1, [event(0, 1), again.clone()]).verdict(1).doubled, 1);
    assert_eq!(ledger(1, [snapshot(None, &[(0, 1)]), again]).verdict(1).doubled, 1);
}

#[test]
fn a_message_under_another_id_than_its_sender_was_told_is_doubled() {
    let other = Item::Event(Seen { message: message(0, 1), id: "other".into() });
    assert_eq!(ledger(1, [other]).verdict(1).doubled, 1);
}

#[test]
fn an_event_that_a_snapshot_contains_already_is_dropped_by_its_id_once() {
    let clean = [snapshot(EPOCH, &[(0, 1), (0, 2)]), event(0, 2), event(0, 3)];
    let verdict = killed(3, clean).verdict(1);
    assert_eq!((verdict.doubled, verdict.reordered, verdict.delivered), (0, 0, 3));
    let twice = [snapshot(EPOCH, &[(0, 1), (0, 2)]), event(0, 2), event(0, 2)];
    assert_eq!(killed(2, twice).verdict(1).doubled, 1);
}

#[test]
fn a_message_that_was_not_executed_and_comes_all_the_same_is_doubled() {
    let mut ledger = ledger(1, [event(0, 1), event(0, 2)]);
    ledger.sending(message(0, 2));
    ledger.outcome(message(0, 2), Outcome::NotExecuted);
    assert_eq!(ledger.verdict(1).doubled, 1);
}

#[test]
fn a_sender_that_goes_back_is_reordered() {
    let verdict = ledger(3, [event(0, 2), event(0, 1), event(0, 3)]).verdict(1);
    assert_eq!((verdict.reordered, verdict.lost), (1, 0));
    assert!(!verdict.kept());
}

#[test]
fn two_clients_that_disagree_are_reordered() {
    let mut ledger = ledger(1, [event(0, 1), event(1, 1)]);
    ledger.saw(1, event(1, 1));
    ledger.saw(1, event(0, 1));
    assert_eq!(ledger.verdict(2).reordered, 1);
}

#[test]
fn an_unknown_outcome_may_come_or_not() {
    let mut ledger = ledger(1, [event(0, 1), event(0, 2)]);
    [2, 3].into_iter().for_each(|number| ledger.sending(message(0, number)));
    kill(&mut ledger);
    [2, 3].into_iter().for_each(|number| ledger.outcome(message(0, number), Outcome::Unknown));
    let verdict = ledger.verdict(1);
    assert_eq!((verdict.unknown, verdict.delivered, verdict.lost, verdict.doubled), (2, 2, 0, 0));
}

#[test]
fn a_run_in_which_every_reconnect_costs_a_gap_is_lost() {
    let mut ledger = Ledger::default();
    for number in 1..=4 {
        post(&mut ledger, number);
        see(&mut ledger, [snapshot(EPOCH, &[(0, number)])]);
    }
    let whole = ledger.verdict(1);
    assert_eq!(
        (whole.delivered, whole.lost, whole.gapped),
        (4, 4, 0),
        "nothing is missing, and nothing went on"
    );
    post(&mut ledger, 5);
    post(&mut ledger, 6);
    see(&mut ledger, [snapshot(EPOCH, &[(0, 6)])]);
    assert_eq!(ledger.verdict(1).lost, 6, "one more gap, which covers nothing");
}

#[test]
fn a_run_in_which_every_outcome_is_unknown_is_lost() {
    let mut ledger = Ledger::default();
    (1..=3).for_each(|number| unknown(&mut ledger, number));
    let verdict = ledger.verdict(1);
    assert_eq!((verdict.unknown, verdict.lost), (3, 3));
    kill(&mut ledger);
    (4..=5).for_each(|number| unknown(&mut ledger, number));
    assert_eq!(
        ledger.verdict(1).lost,
        5,
        "neither those from before the kill nor those of the new server"
    );
}

#[test]
fn a_client_may_write_to_the_dead_server_until_it_is_told() {
    let mut ledger = posted(0);
    kill(&mut ledger);
    unknown(&mut ledger, 1);
    see(&mut ledger, [snapshot(EPOCH, &[])]);
    assert_eq!(ledger.verdict(1).lost, 0);
    unknown(&mut ledger, 2);
    assert_eq!(ledger.verdict(1).lost, 1);
}

#[test]
fn an_outcome_that_was_known_before_the_kill_stays_known() {
    let mut ledger = posted(1);
    kill(&mut ledger);
    ledger.outcome(message(0, 1), Outcome::Unknown);
    assert_eq!(ledger.verdict(1).lost, 1);
}

#[test]
fn only_the_first_gap_after_the_kill_is_free() {
    let mut ledger = killed(2, [snapshot(EPOCH, &[])]);
    assert_eq!((ledger.verdict(1).lost, ledger.verdict(1).gapped), (0, 2));
    see(&mut ledger, [snapshot(EPOCH, &[])]);
    assert_eq!((ledger.verdict(1).lost, ledger.verdict(1).gapped), (1, 2));
}

#[test]
fn the_kill_costs_only_what_its_cause_is() {
    let verdict = killed(2, [snapshot(Some(Cause::Other), &[])]).verdict(1);
    assert_eq!((verdict.lost, verdict.gapped), (3, 0));
}

#[test]
fn a_message_from_long_before_the_kill_is_not_covered_by_its_gap() {
    let mut ledger = posted(2);
    ledger.nearing_the_kill();
    post(&mut ledger, 3);
    kill(&mut ledger);
    see(&mut ledger, [snapshot(EPOCH, &[])]);
    assert_eq!((ledger.verdict(1).lost, ledger.verdict(1).gapped), (2, 1));
}

#[test]
fn a_message_that_a_later_event_has_passed_is_not_covered_by_the_gap() {
    let mut ledger = posted(1);
    ledger.sending(message(1, 1));
    ledger.outcome(message(1, 1), Outcome::Done("1-1".into()));
    see(&mut ledger, [event(1, 1)]);
    kill(&mut ledger);
    see(&mut ledger, [snapshot(EPOCH, &[])]);
    assert_eq!(
        (ledger.verdict(1).lost, ledger.verdict(1).gapped),
        (1, 0),
        "sent after the first one's outcome was known"
    );
}

#[test]
fn what_was_sent_to_the_new_server_is_missing_only_behind_a_full_snapshot() {
    let with_latest = |latest: u64| {
        let mut ledger = posted(0);
        kill(&mut ledger);
        (1..=1 + latest).for_each(|number| post(&mut ledger, number));
        let messages: Vec<(Who, u64)> = (2..=1 + latest).map(|number| (0, number)).collect();
        see(&mut ledger, [snapshot(EPOCH, &messages)]);
        (ledger.verdict(1).lost, ledger.verdict(1).gapped)
    };
    assert_eq!(with_latest(199), (1, 0));
    assert_eq!(with_latest(200), (0, 1));
}

#[test]
fn trimming_is_believed_only_where_the_room_retains_less() {
    let away_for = |missed: u64| {
        let verdict = ledger(missed, [snapshot(TRIMMED, &[(0, missed)])]).verdict(1);
        (verdict.lost, verdict.gapped)
    };
    assert_eq!(away_for(499), (499, 0), "498 messages and a gap");
    assert_eq!(away_for(500), (0, 499));
}

#[test]
fn an_answer_that_cannot_be_read_is_told() {
    let mut ledger = ledger(1, [event(0, 1)]);
    assert_eq!(ledger.unreadable(), None);
    ledger.sending(message(0, 2));
    ledger.outcome(message(0, 2), Outcome::Unreadable("too new".into()));
    assert_eq!(ledger.unreadable(), Some((1, "too new")));
}

#[test]
fn a_message_without_an_outcome_is_lost() {
    let mut ledger = ledger(1, [event(0, 1)]);
    ledger.sending(message(0, 2));
    assert_eq!((ledger.pending(), ledger.verdict(1).lost), (1, 1));
}
