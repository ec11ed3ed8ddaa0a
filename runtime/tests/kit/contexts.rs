//! Handlers and hooks alone.

use std::time::Duration;

use steadfast::Codec;
use steadfast::server::{Attempt, Principal, Recipient};
use steadfast::test::{Cx, TopicCx};

use super::board::*;

fn notes() -> Notes {
    Notes::default()
}

#[tokio::test]
async fn a_handler_is_told_who_asks_and_what_it_published_and_sent_can_be_looked_at() {
    for codec in Codec::ALL {
        let cx = Cx::of("ada").with_codec(codec);
        assert_eq!(notes().pin(&cx, 7, "tea".into()).await, Ok(1));
        let pinned = BoardEvent::Pinned { board: 7, by: "ada".into(), text: "tea".into() };
        assert_eq!(cx.published::<BoardEvent>().len(), 2, "the index, and the board");
        assert_eq!(cx.published_in(&Board(7)), std::slice::from_ref(&pinned));
        assert_eq!(cx.published_in(&Board(8)), []);
        assert_eq!(cx.published::<BoardEvent>()[1], pinned, "looking takes nothing away");
        let thanked = BoardEvent::Thanked { text: "tea".into() };
        assert_eq!(cx.sent::<BoardEvent>(), [(cx.sender(), thanked)]);
    }
}

#[tokio::test]
async fn an_error_is_what_the_handler_returns() {
    let cx = Cx::of("ada");
    assert_eq!(notes().pin(&cx, 7, String::new()).await, Err(BoardError::Empty));
    assert_eq!(cx.sent::<BoardEvent>(), []);
}

#[tokio::test]
async fn two_contexts_are_one_command_if_client_and_number_or_the_id_are_the_same() {
    let key = |cx: Cx| cx.idempotency_key();
    assert_eq!(
        key(Cx::of("ada").from_client(2).as_command(3)),
        key(Cx::of("ada").from_client(2).as_command(3))
    );
    assert_ne!(
        key(Cx::of("ada").from_client(2).as_command(3)),
        key(Cx::of("ada").from_client(2).as_command(4))
    );
    assert_ne!(
        key(Cx::of("ada").from_client(2).as_command(3)),
        key(Cx::of("ada").from_client(1).as_command(3))
    );
    assert_eq!(
        key(Cx::of("ada").with_id("pay", "x").as_command(3)),
        key(Cx::of("ada").with_id("pay", "x"))
    );
    assert_ne!(key(Cx::of("ada").with_id("pay", "x")), key(Cx::of("bo").with_id("pay", "x")));
    assert_ne!(Cx::of("ada").from_client(2).sender(), Cx::of("ada").sender());
    assert_ne!(key(Cx::of("ada").as_volatile()), key(Cx::of("ada")));
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_context_is_what_it_was_told() {
    let principal = Principal::new("ada").with("role", "admin");
    let cx =
        Cx::by(principal).with_attempt(Attempt::MaybeRetry).with_timeout(Duration::from_secs(3));
    assert_eq!(cx.principal().attribute("role"), Some("admin"));
    assert_eq!(cx.attempt(), Attempt::MaybeRetry);
    assert_eq!(cx.time_left(), Duration::from_secs(3));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(cx.time_left(), Duration::from_secs(1));
    assert_eq!(cx.codec(), Codec::Json);
    assert_eq!(TopicCx::at(5).position().ts.0, 5);
    assert!(matches!(cx.as_volatile().sender(), Recipient::Connection(_)));
}

#[tokio::test]
async fn a_volatiles_handler_and_a_hook_are_tested_alike() {
    let cx = Cx::of("ada").as_volatile();
    notes().look(&cx, 7).await;
    assert_eq!(cx.published_in(&Board(7)), [BoardEvent::Looking { board: 7, who: "ada".into() }]);
    let state = notes().board_snapshot(&TopicCx::at(5), &7).await.unwrap();
    assert_eq!((state.board, state.upto), (7, 5));
}

#[tokio::test]
async fn a_handler_that_waits_hears_that_it_is_cancelled() {
    let cx = Cx::of("ada");
    assert!(!cx.is_cancelled());
    let notes = notes();
    let (ended, ()) = tokio::join!(notes.wait(&cx), async { cx.cancel() });
    assert_eq!(ended, Err(BoardError::GivenUp));
}

#[tokio::test]
#[should_panic(expected = "`internal`: Err(\"more than 64 publications in one command\")")]
async fn what_can_not_be_published_is_not_passed_over() {
    let cx = Cx::of("ada");
    for board in 0..65 {
        cx.publish(BoardEventPinned { board, by: String::new(), text: String::new() });
    }
    let _ = cx.published::<BoardEvent>();
}

#[tokio::test]
#[should_panic(expected = "test it with a `steadfast::test::Net`")]
async fn a_handler_that_ends_in_a_transaction_is_told_what_to_use() {
    let cx = Cx::of("ada");
    let _: Result<u64, BoardError> =
        cx.leave_to::<steadfast::store::MemoryStore, _, _, _, _>(|_, _| Some(Ok(1))).await;
}
