//! A book as one would explain it: a list of orders, searched from its beginning for the best one
//! each time. It is slow, and there is little in it that could be wrong.

use super::{Change, FILLS_PER_ORDER, Resting};
use crate::protocol::{Execution, OrderNumber, Price, Rejection, Side};

/// The open orders, in the order in which they queued.
#[derive(Debug, Clone, Default)]
pub(super) struct Naive(pub(super) Vec<Resting>);

type Told = Result<Vec<Change>, Rejection>;

fn change(order: &Resting, execution: Execution, queued: bool) -> Change {
    Change { order: *order, execution, queued }
}

impl Naive {
    pub(super) fn place(&mut self, order: Resting) -> Told {
        self.come(order, Execution::Placed)
    }

    pub(super) fn cancel(&mut self, number: OrderNumber) -> Told {
        let place = self.place_of(number)?;
        Ok(vec![change(&self.0.remove(place), Execution::Canceled, false)])
    }

    pub(super) fn replace(&mut self, number: OrderNumber, price: Price, quantity: u32) -> Told {
        let place = self.place_of(number)?;
        let before = self.0[place];
        let order = Resting { price, quantity, ..before };
        if quantity <= before.filled {
            Err(Rejection::AlreadyFilled { filled: before.filled })
        } else if price == before.price && quantity <= before.quantity {
            self.0[place] = order;
            Ok(vec![change(&order, Execution::Replaced, false)])
        } else {
            let others = self.clone();
            self.0.remove(place);
            self.come(order, Execution::Replaced).inspect_err(|_| *self = others)
        }
    }

    /// Tries it on a copy, so that a rejection leaves everything as it was.
    fn come(&mut self, mut order: Resting, execution: Execution) -> Told {
        let mut after = self.clone();
        let mut changes = vec![change(&order, execution, true)];
        let mut fills = 0;
        while order.filled < order.quantity
            && let Some(best) = after.best_for(&order)
        {
            let other = &mut after.0[best];
            let quantity = (order.quantity - order.filled).min(other.quantity - other.filled);
            (order.filled, other.filled) = (order.filled + quantity, other.filled + quantity);
            let filled = Execution::Filled { price: other.price, quantity };
            changes.extend([change(other, filled, false), change(&order, filled, false)]);
            after.0.retain(|order| order.filled < order.quantity);
            fills += 1;
        }
        if fills > FILLS_PER_ORDER {
            return Err(Rejection::TooManyFills { limit: FILLS_PER_ORDER });
        }
        if order.filled < order.quantity {
            after.0.push(order);
        }
        *self = after;
        Ok(changes)
    }

    /// The first of the best-priced orders that this one meets.
    fn best_for(&self, order: &Resting) -> Option<usize> {
        let met = self.0.iter().enumerate().filter(|(_, other)| {
            other.side != order.side
                && match order.side {
                    Side::Buy => other.price <= order.price,
                    Side::Sell => other.price >= order.price,
                }
        });
        let best = met.min_by_key(|(place, other)| {
            let price = i64::from(other.price.0);
            (if order.side == Side::Buy { price } else { -price }, *place)
        });
        best.map(|(place, _)| place)
    }

    fn place_of(&self, number: OrderNumber) -> Result<usize, Rejection> {
        let place = self.0.iter().position(|order| order.number == number);
        place.ok_or(Rejection::NotOpen)
    }
}
