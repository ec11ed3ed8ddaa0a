//! The server's way to a topic's hooks: by index and key, as they come from a peer.
#![deny(warnings)]
#![allow(missing_docs, unreachable_pub)]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use steadfast::WsProtocol;
use steadfast::server::{Denied, Principal, TopicHooks, Unauthorized};
use steadfast::wire::UnsubscribeCode;

#[derive(Debug, WsProtocol)]
#[ws(server, protocol = "hooks", topic(Room, key = room: u64), topic(Symbol, key = symbol: String))]
pub enum HooksEvent {
    #[ws(event(Room))]
    Posted { room: u64 },
    #[ws(event(Symbol))]
    Traded { symbol: String },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

struct Rooms;

impl HooksTopics for Rooms {
    async fn may_subscribe_room(&self, who: &Principal, room: &u64) -> Result<(), Denied> {
        if who.user() == "ann" && *room == 7 {
            Ok(())
        } else {
            Err(Denied { reason: "not a member".into() })
        }
    }
    async fn may_subscribe_symbol(&self, _: &Principal, symbol: &String) -> Result<(), Denied> {
        assert_eq!(symbol, "7");
        Ok(())
    }
}

fn asked(who: &str, topic: u16, key: &str) -> Result<(), UnsubscribeCode> {
    let future = pin!(HooksEvent::authorize(&Rooms, Principal::new(who), topic, key.to_owned()));
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer.map_err(|refused: Unauthorized| refused.code()),
        Poll::Pending => unreachable!("these hooks never wait"),
    }
}

#[test]
fn the_hook_of_the_topic_is_asked_with_its_key() {
    assert_eq!(asked("ann", 0, "7"), Ok(()));
    assert_eq!(asked("bob", 0, "7"), Err(UnsubscribeCode::Forbidden));
    assert_eq!(asked("bob", 1, "7"), Ok(()));
}

#[test]
fn a_key_that_does_not_fit_never_reaches_the_hook() {
    assert_eq!(asked("ann", 0, "seven"), Err(UnsubscribeCode::Invalid));
}

#[test]
fn a_topic_that_is_not_declared_is_refused() {
    assert_eq!(asked("ann", 2, "7"), Err(UnsubscribeCode::Unsupported));
}
