//! Stores that decide outcomes when they write them (see [`Commit::decide`]). What a decision does
//! there is the store's own, and the application's.
//!
//! [`Commit::decide`]: crate::session::store::Commit::decide

use super::interface::Store;
use crate::session::store::{Decided, DecisionId};

/// What decides, for the store `S`. It runs in the transaction of a record, perhaps several times,
/// since a transaction may be begun anew; of these only the last run counts.
pub type Decision<S> = Box<dyn for<'t> FnMut(&mut <S as Deciding>::Tx<'t>) -> Decided + Send>;

/// A [`Store`] that a node's driver gives what decides: the ends of handlers that commit together
/// with their records, or not at all.
///
/// A decision that panics has decided for a failure, `internal`, and harms no other command. One
/// that the store was not given is a failure as well.
pub trait Deciding: Store + Sized {
    /// What a decision works in: the transaction of its record, as far as it may do something
    /// there.
    type Tx<'t>;

    /// Keeps what decides, before the commit comes that names it, until one that did is answered
    /// with something else than `Failed` and `Unknown`. Handles that nodes of one process have of
    /// the same store keep them apart: the same `id` means something else to each node.
    fn hand_over(&self, id: DecisionId, decide: Decision<Self>);

    /// Lets go of what decides; the driver says so when the node aborts the execution
    /// ([`NodeEvent::Abort`](crate::session::node::NodeEvent::Abort)). What runs just then goes on,
    /// and what it comes to may be committed.
    fn withdraw(&self, id: DecisionId);
}
