//! The book of one symbol: open limit orders, and how they meet by price and then by time. It knows
//! nothing of accounts, files or networks, and never asks what time it is.

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use crate::protocol::{Execution, OrderNumber, Price, Rejection, Side};

/// How many orders one order may meet at once, so that what is told of it stays within the bounds
/// of a command.
pub(crate) const FILLS_PER_ORDER: u32 = 100;

/// An order in the book, or on its way into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resting {
    pub(crate) number: OrderNumber,
    pub(crate) side: Side,
    pub(crate) price: Price,
    pub(crate) quantity: u32,
    pub(crate) filled: u32,
}

/// One change of one order, and the order after it. Each is told to its owner once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) order: Resting,
    pub(crate) execution: Execution,
    /// Whether it went to the end of the queue at its price.
    pub(crate) queued: bool,
}

impl Change {
    /// Whether more may happen to the order.
    pub(crate) fn open(&self) -> bool {
        self.execution != Execution::Canceled && self.order.open() > 0
    }
}

impl Resting {
    /// How much of it can still be traded.
    pub(crate) const fn open(&self) -> u32 {
        self.quantity - self.filled
    }

    /// Whether a buyer and a seller at these prices meet.
    const fn meets(&self, other: Price) -> bool {
        match self.side {
            Side::Buy => self.price.0 >= other.0,
            Side::Sell => self.price.0 <= other.0,
        }
    }

    const fn after(self, execution: Execution, queued: bool) -> Change {
        Change { order: self, execution, queued }
    }
}

/// The orders of one side by price; at one price the first came first.
type Queues = BTreeMap<Price, VecDeque<Resting>>;

/// Open orders. Two that meet are never both in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Book {
    buy: Queues,
    sell: Queues,
    places: BTreeMap<OrderNumber, (Side, Price)>,
}

impl Book {
    /// The book with these orders, which must come in the order in which they queued.
    pub(crate) fn of(orders: impl IntoIterator<Item = Resting>) -> Self {
        let mut book = Self::default();
        for order in orders {
            book.queue(order);
        }
        book
    }

    /// How many orders are open.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Takes a new order: first it is placed, then it meets what it can, and the rest queues.
    ///
    /// # Errors
    /// [`Rejection::TooManyFills`]. The book is as before.
    pub(crate) fn place(&mut self, order: Resting) -> Result<Vec<Change>, Rejection> {
        debug_assert!(!self.places.contains_key(&order.number), "numbers are given once");
        self.check_fills(&order)?;
        let mut changes = vec![order.after(Execution::Placed, true)];
        self.enter(order, &mut changes);
        Ok(changes)
    }

    /// Takes an order out.
    ///
    /// # Errors
    /// [`Rejection::NotOpen`]. The book is as before.
    pub(crate) fn cancel(&mut self, number: OrderNumber) -> Result<Vec<Change>, Rejection> {
        let order = self.take(number).ok_or(Rejection::NotOpen)?;
        Ok(vec![order.after(Execution::Canceled, false)])
    }

    /// Gives an order another price or quantity. If its price stays and its quantity does not grow
    /// it keeps its place, otherwise it comes as a new order would.
    ///
    /// # Errors
    /// [`Rejection::NotOpen`], [`Rejection::AlreadyFilled`] and [`Rejection::TooManyFills`]. The
    /// book is as before.
    pub(crate) fn replace(
        &mut self,
        number: OrderNumber,
        price: Price,
        quantity: u32,
    ) -> Result<Vec<Change>, Rejection> {
        let before = *self.find(number).ok_or(Rejection::NotOpen)?;
        if quantity <= before.filled {
            return Err(Rejection::AlreadyFilled { filled: before.filled });
        }
        let order = Resting { price, quantity, ..before };
        if price == before.price && quantity <= before.quantity {
            if let Some(place) = self.find(number) {
                *place = order;
            }
            return Ok(vec![order.after(Execution::Replaced, false)]);
        }
        self.check_fills(&order)?;
        self.take(number);
        let mut changes = vec![order.after(Execution::Replaced, true)];
        self.enter(order, &mut changes);
        Ok(changes)
    }

    /// Whether the order meets few enough others, before it meets any.
    fn check_fills(&self, order: &Resting) -> Result<(), Rejection> {
        let (mut wanted, mut fills) = (order.open(), 0);
        for other in self.best_first(order.side.opposite()) {
            if wanted == 0 || !order.meets(other.price) {
                break;
            }
            wanted -= wanted.min(other.open());
            fills += 1;
            if fills > FILLS_PER_ORDER {
                return Err(Rejection::TooManyFills { limit: FILLS_PER_ORDER });
            }
        }
        Ok(())
    }

    /// The orders of one side in the order in which they are met.
    pub(crate) fn best_first(&self, side: Side) -> Box<dyn Iterator<Item = &Resting> + '_> {
        match side {
            Side::Buy => Box::new(self.buy.values().rev().flatten()),
            Side::Sell => Box::new(self.sell.values().flatten()),
        }
    }

    fn enter(&mut self, mut order: Resting, changes: &mut Vec<Change>) {
        while order.open() > 0
            && let Some(other) = self.best(order.side.opposite())
            && order.meets(other.price)
        {
            let quantity = order.open().min(other.open());
            other.filled += quantity;
            order.filled += quantity;
            let (other, price) = (*other, other.price);
            let filled = Execution::Filled { price, quantity };
            changes.push(other.after(filled, false));
            changes.push(order.after(filled, false));
            if other.open() == 0 {
                self.take(other.number);
            }
        }
        if order.open() > 0 {
            self.queue(order);
        }
    }

    fn queues(&mut self, side: Side) -> &mut Queues {
        match side {
            Side::Buy => &mut self.buy,
            Side::Sell => &mut self.sell,
        }
    }

    fn best(&mut self, side: Side) -> Option<&mut Resting> {
        let queue = match side {
            Side::Buy => self.buy.values_mut().next_back(),
            Side::Sell => self.sell.values_mut().next(),
        };
        queue.and_then(VecDeque::front_mut)
    }

    fn find(&mut self, number: OrderNumber) -> Option<&mut Resting> {
        let (side, price) = *self.places.get(&number)?;
        self.queues(side).get_mut(&price)?.iter_mut().find(|order| order.number == number)
    }

    fn queue(&mut self, order: Resting) {
        self.places.insert(order.number, (order.side, order.price));
        self.queues(order.side).entry(order.price).or_default().push_back(order);
    }

    fn take(&mut self, number: OrderNumber) -> Option<Resting> {
        let (side, price) = self.places.remove(&number)?;
        let queues = self.queues(side);
        let queue = queues.get_mut(&price)?;
        let place = queue.iter().position(|order| order.number == number)?;
        let order = queue.remove(place);
        if queue.is_empty() {
            queues.remove(&price);
        }
        order
    }
}
