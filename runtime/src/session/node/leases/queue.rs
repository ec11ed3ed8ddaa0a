//! What waits of one lease for places to run in, in its order. Who gets the next place is not
//! decided here.

use std::collections::VecDeque;

use crate::session::Now;
use crate::session::table::Key;
use crate::wire::CommandNo;

/// Kind of the rows that [`super::places::Places`] holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PersonRow {}
pub(super) type PersonKey = Key<PersonRow>;

/// Commands of a lease whose order has come, and that wait for a place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    pub(super) person: PersonKey,
    pub(super) waiting: VecDeque<(Now, CommandNo)>,
    /// It is among those that get the principal's next places.
    pub(super) in_turn: bool,
}

impl Queue {
    pub(super) const fn new(person: PersonKey) -> Self {
        Self { person, waiting: VecDeque::new(), in_turn: false }
    }

    /// Gives back what a burst needed.
    pub(super) fn shrink_to_fit(&mut self) {
        self.waiting.shrink_to_fit();
    }
}
