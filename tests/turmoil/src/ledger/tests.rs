//! The ledger notices each mistake, or the simulation would prove nothing.

use steadfast::wire::{Epoch, Position, TopicSeq};

use super::*;

const fn tag(number: u32) -> Tag {
    Tag { who: 1, life: 1, number }
}

const fn at(epoch: u64, ts: u64) -> Position {
    Position { epoch: Epoch(epoch), ts: TopicSeq(ts) }
}

const fn event(epoch: u64, ts: u64, number: u32) -> Followed {
    Followed::Event { at: at(epoch, ts), tag: tag(number) }
}

/// One client, whose first command was done, and which saw the event.
fn sound() -> Ledger {
    let ledger = Ledger::default();
    let server = ledger.server_starts();
    ledger.client_starts(1);
    ledger.dialled(1);
    ledger.saw(1, Topic::Board, &Followed::Snapshot { at: at(9, 0), tags: Vec::new(), gap: None });
    ledger.posting(tag(2));
    ledger.applied(tag(2), server, 1);
    ledger.told(tag(2), Outcome::Done(1));
    ledger.saw(1, Topic::Board, &event(9, 1, 2));
    ledger.saw(1, Topic::Feed, &event(8, 1, 2));
    ledger.finished(1);
    ledger
}

#[track_caller]
fn finds(what: &str, story: impl FnOnce(&Ledger)) {
    let ledger = sound();
    story(&ledger);
    ledger.judge();
    let mistakes = ledger.mistakes();
    assert!(
        mistakes.iter().any(|mistake| mistake.contains(what)),
        "not found: {what}; found: {mistakes:?}"
    );
}

#[test]
fn a_sound_run_has_no_mistakes() {
    let ledger = sound();
    assert_eq!(ledger.missing(), None);
    ledger.judge();
    assert_eq!(ledger.mistakes(), Vec::<String>::new());
}

#[test]
fn what_outcomes_do_not_fit_is_found() {
    finds("applied twice", |ledger| ledger.applied(tag(2), 1, 2));
    finds("was told 7", |ledger| {
        ledger.posting(tag(4));
        ledger.told(tag(4), Outcome::Done(7));
    });
    finds("told that it was not done", |ledger| {
        ledger.posting(tag(4));
        ledger.applied(tag(4), 1, 2);
        ledger.told(tag(4), Outcome::NotExecuted);
    });
    finds("unknown although no server ended", |ledger| {
        ledger.posting(tag(4));
        ledger.told(tag(4), Outcome::Unknown);
    });
}

#[test]
fn what_subscriptions_do_not_fit_is_found() {
    let saw = |ledger: &Ledger, followed| ledger.saw(1, Topic::Board, &followed);
    finds("goes on with", |ledger| saw(ledger, event(9, 3, 4)));
    finds("goes on with", |ledger| saw(ledger, event(9, 1, 2)));
    finds("goes on with", |ledger| saw(ledger, event(7, 2, 4)));
    finds("is 1.1.2 and 1.1.4", |ledger| {
        ledger.client_starts(2);
        ledger.saw(2, Topic::Board, &event(9, 1, 4));
    });
    finds("is at (9, 1) and at (9, 2)", |ledger| saw(ledger, event(9, 2, 2)));
    finds("never applied", |ledger| saw(ledger, event(9, 2, 4)));
    finds("anew without a gap", |ledger| {
        saw(ledger, Followed::Snapshot { at: at(9, 1), tags: vec![tag(2)], gap: None });
    });
    finds("the gap says", |ledger| {
        saw(
            ledger,
            Followed::Snapshot { at: at(9, 5), tags: vec![tag(2)], gap: Some(Some(at(9, 0))) },
        );
    });
    finds("lacks", |ledger| {
        saw(
            ledger,
            Followed::Snapshot { at: at(9, 5), tags: Vec::new(), gap: Some(Some(at(9, 1))) },
        );
    });
    finds("told of a gap", |ledger| {
        saw(ledger, Followed::Gap { last: Some(at(9, 1)), at: at(9, 1) })
    });
    finds("incarnations", |ledger| {
        saw(ledger, Followed::Gap { last: Some(at(9, 1)), at: at(6, 0) })
    });
    finds("before an earlier one", |ledger| {
        for (ts, number) in [(2, 6), (3, 4)] {
            ledger.applied(tag(number), 1, ts);
            saw(ledger, event(9, ts, number));
        }
    });
}

#[test]
fn what_is_still_to_come_is_named() {
    let missing = |story: &dyn Fn(&Ledger)| {
        let ledger = sound();
        story(&ledger);
        ledger.missing().unwrap_or_default()
    };
    assert_eq!(missing(&|ledger| ledger.posting(tag(4))), "1.1.4 has no outcome");
    let another = |ledger: &Ledger| assert_eq!(ledger.client_starts(2), 1);
    assert_eq!(missing(&another), "client 2 has not finished");
    let done = |ledger: &Ledger| {
        ledger.posting(tag(4));
        ledger.applied(tag(4), 1, 2);
        ledger.told(tag(4), Outcome::Done(2));
    };
    assert_eq!(missing(&done), "client 1 does not know 1.1.4, which was done");
    let on_the_board = |ledger: &Ledger| {
        done(ledger);
        ledger.saw(1, Topic::Board, &event(9, 2, 4));
        ledger.client_starts(2);
        ledger.finished(2);
    };
    assert!(
        missing(&on_the_board).starts_with("client 2 does not know"),
        "{}",
        missing(&on_the_board)
    );
}
