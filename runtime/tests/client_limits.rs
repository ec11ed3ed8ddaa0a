//! What a client takes of a topic, and what it does about more: long messages, granted credit.

mod client_support;

use client_support::{EPOCH, Rig, at};
use steadfast::session::CloseCode;
use steadfast::session::client::{Event, SubscriptionEnd};
use steadfast::wire::{
    ClientFrame, ServerFrame, Subscribed, TopicNo, TopicSeq, UnsubscribeCode, Window,
};

/// PROTOCOL.md 2.7: one message never ends everything.
#[test]
fn a_message_that_is_too_long_ends_its_subscription_alone() {
    let mut rig = Rig::attached();
    let sub = rig.subscribe(Some(at(0)));
    let asked = rig.subscribes().remove(0);
    rig.subscribed(asked.sub, 0, None, false);
    rig.take();
    let (dial, number) = (rig.dial, TopicNo(9));
    rig.act(|client, now| client.handle_too_long(now, dial, Some(number)));
    let end = SubscriptionEnd::Refused(UnsubscribeCode::TooLarge);
    assert!(rig.events.contains(&Event::SubscriptionEnded { sub, end }));
    assert!(rig.closes().is_empty());
    assert!(matches!(rig.take().1[..], [ClientFrame::Unsubscribe { .. }]));
    // What the server still sends of it is dropped.
    rig.event(1);
    assert!(rig.closes().is_empty());
}

/// PROTOCOL.md 7.14: what was granted counts, for the server's rule and for POSITION.
#[test]
fn an_event_beyond_the_granted_credit_is_an_error() {
    let mut rig = Rig::attached();
    rig.subscribe(Some(at(0)));
    let sub = rig.subscribes().remove(0).sub;
    rig.frame(ServerFrame::Subscribed(Box::new(Subscribed {
        sub,
        number: TopicNo(9),
        epoch: EPOCH,
        ts: TopicSeq(0),
        head: TopicSeq(9),
        snapshot: false,
        reset: None,
        credit: Some(Window { frames: 2, bytes: 262_144 }),
    })));
    rig.events(1..=2);
    assert!(rig.closes().is_empty());
    rig.event(3);
    assert!(rig.has_closed_with(CloseCode::SEQUENCE));
}
