//! A client that listens to a list, and what it has to hear.

use futures_util::StreamExt;
use steadfast::client::{Item, Subscription};

use crate::{Tail, TallyClient, TallyEvent, within};

/// Follows what is appended to a list.
///
/// # Panics
/// If that is refused.
pub async fn follow_tail(client: &TallyClient, list: &str) -> Subscription<Tail> {
    within(client.subscribe(Tail(list.into()))).await.unwrap()
}

/// Waits for the next event, which has to be this one.
///
/// # Panics
/// If it is another item, or none comes in time.
pub async fn hears(tail: &mut Subscription<Tail>, wanted: u64) {
    match within(tail.next()).await.unwrap() {
        Item::Event(TallyEvent::Appended { value, .. }) => assert_eq!(value, wanted),
        other => panic!("{other:?} instead of {wanted}"),
    }
}
