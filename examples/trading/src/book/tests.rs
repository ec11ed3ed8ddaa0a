//! The book against the naive one, and a few lives of orders that one can follow by eye.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::naive::Naive;
use super::{Book, Change, FILLS_PER_ORDER, Resting};
use crate::protocol::{Execution, OrderNumber, Price, Rejection, Side};

#[derive(Debug, Clone)]
enum Request {
    Place { side: Side, price: u32, quantity: u32 },
    Cancel { which: u64 },
    Replace { which: u64, price: u32, quantity: u32 },
}

/// Few prices and small quantities, so that most orders meet.
fn requests() -> impl Strategy<Value = Vec<Request>> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let place = (side, 1..8_u32, 1..20_u32).prop_map(|(side, price, quantity)| Request::Place {
        side,
        price,
        quantity,
    });
    let cancel = (1..60_u64).prop_map(|which| Request::Cancel { which });
    let replace = (1..60_u64, 1..8_u32, 1..20_u32)
        .prop_map(|(which, price, quantity)| Request::Replace { which, price, quantity });
    proptest::collection::vec(prop_oneof![6 => place, 1 => cancel, 2 => replace], 1..120)
}

fn order(number: u64, side: Side, price: u32, quantity: u32) -> Resting {
    let (number, price) = (OrderNumber(number), Price(price));
    Resting { number, side, price, quantity, filled: 0 }
}

/// Puts the requests to both books; what both said to each.
fn both(requests: &[Request]) -> (Book, Naive, Vec<Result<Vec<Change>, Rejection>>) {
    let (mut book, mut naive, mut told) = (Book::default(), Naive::default(), Vec::new());
    for (request, number) in requests.iter().zip(1..) {
        let (ours, theirs) = match *request {
            Request::Place { side, price, quantity } => {
                let order = order(number, side, price, quantity);
                (book.place(order), naive.place(order))
            }
            Request::Cancel { which } => {
                (book.cancel(OrderNumber(which)), naive.cancel(OrderNumber(which)))
            }
            Request::Replace { which, price, quantity } => (
                book.replace(OrderNumber(which), Price(price), quantity),
                naive.replace(OrderNumber(which), Price(price), quantity),
            ),
        };
        assert_eq!(ours, theirs, "request {number}: {request:?}");
        told.push(ours);
    }
    (book, naive, told)
}

proptest! {
    #[test]
    fn the_book_says_what_the_naive_one_says_and_keeps_what_it_keeps(requests in requests()) {
        let (book, naive, _) = both(&requests);
        // Which a book is rebuilt from, too.
        prop_assert_eq!(&Book::of(naive.0.iter().copied()), &book);
        prop_assert_eq!(book.len(), naive.0.len());
        let best = |side| book.best_first(side).next().map(|order| order.price);
        if let (Some(bid), Some(ask)) = (best(Side::Buy), best(Side::Sell)) {
            prop_assert!(bid < ask, "orders that meet are never both left");
        }
    }

    #[test]
    fn every_change_of_an_order_is_told_once(requests in requests()) {
        let (book, _, told) = both(&requests);
        // The orders as somebody knows them who was told everything, and nothing else.
        let mut known: BTreeMap<OrderNumber, Resting> = BTreeMap::new();
        for change in told.into_iter().flatten().flatten() {
            let Change { order, execution, .. } = change;
            let before = known.remove(&order.number);
            let expected = match (execution, before) {
                (Execution::Placed, None) => Resting { filled: 0, ..order },
                (Execution::Filled { price, quantity }, Some(before)) => {
                    prop_assert!(quantity > 0);
                    let within = match order.side {
                        Side::Buy => price <= before.price,
                        Side::Sell => price >= before.price,
                    };
                    prop_assert!(within, "an order keeps its limit");
                    Resting { filled: before.filled + quantity, ..before }
                }
                (Execution::Canceled, Some(before)) => before,
                (Execution::Replaced, Some(before)) => {
                    Resting { price: order.price, quantity: order.quantity, ..before }
                }
                (execution, before) => {
                    return Err(TestCaseError::fail(format!("{execution:?} after {before:?}")));
                }
            };
            prop_assert_eq!(order, expected);
            if change.open() {
                known.insert(order.number, order);
            }
        }
        let left = [Side::Buy, Side::Sell].into_iter().flat_map(|side| book.best_first(side));
        let left: BTreeMap<OrderNumber, Resting> =
            left.map(|order| (order.number, *order)).collect();
        prop_assert_eq!(known, left);
    }
}

fn fills(changes: &[Change]) -> Vec<(u64, u32, u32)> {
    let filled = changes.iter().filter_map(|change| match change.execution {
        Execution::Filled { price, quantity } => Some((change.order.number.0, price.0, quantity)),
        _ => None,
    });
    filled.collect()
}

#[test]
fn the_better_price_comes_first_and_at_one_price_the_earlier_order() {
    let mut book = Book::default();
    for (number, price) in [(1, 12), (2, 11), (3, 11)] {
        book.place(order(number, Side::Sell, price, 10)).unwrap();
    }
    let changes = book.place(order(4, Side::Buy, 12, 25)).unwrap();
    let expected = [(2, 11, 10), (4, 11, 10), (3, 11, 10), (4, 11, 10), (1, 12, 5), (4, 12, 5)];
    assert_eq!(fills(&changes), expected);
}

#[test]
fn an_order_that_shrinks_keeps_its_place_and_one_that_grows_does_not() {
    let mut book = Book::default();
    for number in 1..=3 {
        book.place(order(number, Side::Sell, 10, 10)).unwrap();
    }
    book.replace(OrderNumber(1), Price(10), 4).unwrap();
    book.replace(OrderNumber(2), Price(10), 11).unwrap();
    let queue: Vec<u64> = book.best_first(Side::Sell).map(|order| order.number.0).collect();
    assert_eq!(queue, [1, 3, 2]);
}

#[test]
fn what_was_filled_counts_in_a_new_quantity() {
    let mut book = Book::default();
    book.place(order(1, Side::Sell, 10, 10)).unwrap();
    book.place(order(2, Side::Buy, 10, 6)).unwrap();
    let told = book.replace(OrderNumber(1), Price(10), 6);
    assert_eq!(told, Err(Rejection::AlreadyFilled { filled: 6 }));
    book.replace(OrderNumber(1), Price(10), 7).unwrap();
    let changes = book.place(order(3, Side::Buy, 10, 5)).unwrap();
    assert_eq!(fills(&changes), [(1, 10, 1), (3, 10, 1)]);
}

#[test]
fn an_order_that_would_meet_too_many_is_turned_down_and_changes_nothing() {
    let mut book = Book::default();
    for number in 1..=u64::from(FILLS_PER_ORDER) + 1 {
        book.place(order(number, Side::Sell, 10, 1)).unwrap();
    }
    let before = book.clone();
    let told = book.place(order(900, Side::Buy, 10, FILLS_PER_ORDER + 1));
    assert_eq!(told, Err(Rejection::TooManyFills { limit: FILLS_PER_ORDER }));
    assert_eq!(book, before);
    assert_eq!(fills(&book.place(order(901, Side::Buy, 10, 100)).unwrap()).len(), 200);
}
