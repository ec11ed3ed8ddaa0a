//! The client's credit: what it asks for, what counts as finished with, when POSITION is due
//! (PROTOCOL.md 7.8, 7.14 to 7.19).

mod client_support;

use client_support::{MESSAGE_BYTES, Rig, WIDE, at};
use steadfast::session::CloseCode;
use steadfast::wire::{
    ClientFrame, Epoch, ResetReason, ServerFrame, SubNo, Subscribed, TopicNo, TopicSeq, Window,
};

fn positions(rig: &mut Rig) -> Vec<(u64, u64)> {
    let frames = rig.take().1.into_iter();
    frames
        .filter_map(|frame| {
            if let ClientFrame::Position { ts, bytes, .. } = frame {
                Some((ts.0, bytes))
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn more_than_half_of_the_credit_is_asked_for_again() {
    let (mut rig, sub) = Rig::following(0, Window { frames: 8, bytes: 100_000 });
    rig.events(1..=7);
    rig.reconnect();
    rig.take();
    rig.welcome_resumed(0);
    let again = rig.subscribes().remove(0);
    assert_eq!((again.from, again.credit.frames), (Some(at(4)), 4));
    rig.subscribed(again.sub, 4, None, false);
    rig.events(5..=8);
    assert_eq!(rig.items(sub), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn reconnecting_without_reading_neither_grows_nor_stalls() {
    let (mut rig, sub) = Rig::following(0, Window { frames: 8, bytes: 800 });
    let mut last = 0;
    for _ in 0..20 {
        rig.pass(5_000);
        rig.reconnect();
        rig.take();
        rig.welcome_new();
        let ask = rig.subscribes().remove(0);
        let from = ask.from.unwrap().ts.0;
        assert!(from <= 4 && ask.credit.frames >= 4 && ask.credit.bytes >= 400);
        rig.subscribed(ask.sub, from, None, false);
        last = from + u64::from(ask.credit.frames);
        rig.events(from + 1..=last);
        assert!(rig.closes().is_empty());
    }
    assert_eq!(rig.items(sub), (1..=last as i64).collect::<Vec<_>>());
}

#[test]
fn a_position_is_told_after_a_quarter_of_the_credit_or_its_delay() {
    let (mut rig, sub) = Rig::following(0, Window { frames: 16, bytes: 100_000 });
    rig.events(1..=6);
    for _ in 0..4 {
        rig.item(sub);
    }
    assert!(positions(&mut rig).is_empty(), "the fourth is not finished with");
    rig.item(sub);
    assert_eq!(positions(&mut rig), [(4, 400)]);
    rig.item(sub);
    rig.pass(199);
    assert!(positions(&mut rig).is_empty());
    rig.pass(1);
    assert_eq!(positions(&mut rig), [(5, 500)]);
}

#[test]
fn a_position_is_told_after_a_quarter_of_the_bytes() {
    let (mut rig, sub) = Rig::following(0, Window { frames: 1_000, bytes: 800 });
    rig.events(1..=3);
    rig.items(sub);
    assert_eq!(positions(&mut rig).first(), Some(&(2, 200)));
}

#[test]
fn what_was_buffered_before_a_reconnect_does_not_count_for_the_new_credit() {
    let (mut rig, sub) = Rig::following(0, WIDE);
    rig.events(1..=3);
    rig.reconnect();
    rig.take();
    rig.welcome_new();
    let ask = rig.subscribes().remove(0);
    rig.subscribed(ask.sub, 3, None, false);
    rig.event(4);
    assert_eq!(rig.items(sub), [1, 2, 3, 4]);
    rig.pass(200);
    assert_eq!(positions(&mut rig), [(4, 100)]);
}

#[test]
fn events_beyond_the_credit_are_an_error() {
    let (mut rig, _) = Rig::following(0, Window { frames: 4, bytes: 100_000 });
    rig.events(1..=4);
    assert!(rig.closes().is_empty());
    rig.event(5);
    assert!(rig.has_closed_with(CloseCode::SEQUENCE));
    let (mut rig, _) = Rig::following(0, Window { frames: 100, bytes: 250 });
    rig.events(1..=3);
    assert!(rig.closes().is_empty(), "one may begin below the limit");
    rig.event(4);
    assert!(rig.has_closed_with(CloseCode::SEQUENCE));
}

#[test]
fn skipped_events_are_finished_with_when_what_came_before_is() {
    let (mut rig, sub) = Rig::following(0, WIDE);
    rig.event(1);
    let skip =
        |rig: &mut Rig, ts| rig.frame(ServerFrame::Skip { topic: TopicNo(9), ts: TopicSeq(ts) });
    skip(&mut rig, 50);
    rig.pass(1_000);
    assert!(positions(&mut rig).is_empty(), "the event before is not finished with");
    assert_eq!(rig.items(sub), [1]);
    rig.pass(200);
    assert_eq!(positions(&mut rig), [(50, 100)]);
    skip(&mut rig, 90);
    rig.pass(200);
    assert_eq!(positions(&mut rig), [(90, 100)]);
    rig.event(91);
    assert_eq!(rig.items(sub), [91]);
    skip(&mut rig, 5);
    assert!(rig.has_closed_with(CloseCode::SEQUENCE));
}

#[test]
fn skips_behind_what_an_earlier_attachment_left_do_not_stall_the_credit() {
    let (mut rig, sub) = Rig::following(0, WIDE);
    rig.events(1..=2);
    rig.reconnect();
    rig.take();
    rig.welcome_new();
    let ask = rig.subscribes().remove(0);
    rig.subscribed(ask.sub, 2, None, false);
    rig.frame(ServerFrame::Skip { topic: TopicNo(9), ts: TopicSeq(200) });
    assert_eq!(rig.items(sub), [1, 2]);
    rig.pass(200);
    assert_eq!(positions(&mut rig), [(200, 0)]);
}

#[test]
fn one_subscription_that_nobody_reads_holds_nothing_else_up() {
    let (mut rig, _) = Rig::following(0, Window { frames: 4, bytes: 100_000 });
    rig.events(1..=4);
    rig.submit("a");
    assert_eq!(rig.commands().len(), 1);
    rig.ack = 1;
    rig.result(1);
    assert_eq!(rig.outcomes().len(), 1);
    assert_eq!(MESSAGE_BYTES, 100);
}

/// PROTOCOL.md 7.8: a POSITION that was under way when the reset came means the same before and
/// after it.
#[test]
fn a_reset_does_not_reset_the_bytes_of_a_position() {
    let (mut rig, sub) = Rig::following(0, Window { frames: 100, bytes: 800 });
    rig.events(1..=3);
    rig.item(sub);
    rig.subscribed(SubNo(1), 30, Some(ResetReason::Trimmed), false);
    rig.event(31);
    assert_eq!(rig.items(sub), [2, 3, -1, 31]);
    rig.pass(200);
    assert_eq!(
        positions(&mut rig).last(),
        Some(&(31, 400)),
        "three events of before, one of after"
    );
}

/// PROTOCOL.md 7.8: a POSITION under the number of before was ignored, so its bytes are told again.
#[test]
fn a_new_number_is_told_the_position_again() {
    let (mut rig, sub) = Rig::following(0, Window { frames: 100, bytes: 400 });
    rig.events(1..=3);
    assert_eq!(rig.items(sub), [1, 2, 3]);
    assert_eq!(positions(&mut rig).last(), Some(&(3, 300)));
    let anew = Subscribed {
        sub: SubNo(1),
        number: TopicNo(10),
        epoch: Epoch(77),
        ts: TopicSeq(0),
        head: TopicSeq(5),
        snapshot: false,
        reset: Some(ResetReason::Epoch),
        credit: None,
    };
    rig.frame(ServerFrame::Subscribed(Box::new(anew)));
    let told = ClientFrame::Position { topic: TopicNo(10), ts: TopicSeq(0), bytes: 300 };
    assert_eq!(rig.take().1, [told]);
}

/// PROTOCOL.md 7.8: what a client throws away it will not finish with: its credit comes back at
/// once.
#[test]
fn what_a_reset_throws_away_gives_its_credit_back() {
    let mut rig = Rig::attached_with(|config| config.credit = Window { frames: 8, bytes: 250 });
    let sub = rig.subscribe(Some(at(0)));
    let ask = rig.subscribes().remove(0);
    rig.subscribed(ask.sub, 0, None, false);
    rig.events(1..=3);
    rig.subscribed(ask.sub, 30, Some(ResetReason::Trimmed), false);
    rig.pass(200);
    assert_eq!(positions(&mut rig), [(0, 100)], "nothing of the new feed is finished with");
    rig.event(31);
    assert_eq!(rig.items(sub), [1, 2, -1, 31]);
}
