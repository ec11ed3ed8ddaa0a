//! Commands that end in a transaction of the server's store: which store that is, and what is left
//! to it. What such a command does there is said elsewhere.

use std::any::{TypeId, type_name};
use std::fmt;

use crate::session::store::DecisionId;
use crate::store::{Deciding, Decision, DynStore};

/// On which store's transactions a handler's commands end; a handler says it as `const TRANSACTS`,
/// so that a server whose store can't give them is not built.
#[derive(Clone, Copy)]
pub struct Transacts(Option<Of>);

/// What is known of a store's type.
#[derive(Clone, Copy)]
struct Of {
    id: fn() -> TypeId,
    name: fn() -> &'static str,
    withdraw: fn(&dyn DynStore, DecisionId),
}

impl Transacts {
    /// On none: no handler calls `transact`.
    pub const NEVER: Self = Self(None);

    /// Of a context without a server: whoever asks for a transaction is told what to use.
    #[cfg(feature = "test")]
    pub(super) const WITHOUT_STORE: Self =
        Self(Some(Of { id: without_store, name: || "no store", withdraw: |_, _| {} }));

    /// On those of `S`, as in `Transacts::on::<LocalStore>()`.
    #[must_use]
    pub const fn on<S: Deciding>() -> Self {
        let withdraw = |store: &dyn DynStore, id| {
            if let Some(store) = store.as_any().downcast_ref::<S>() {
                store.withdraw(id);
            }
        };
        Self(Some(Of { id: TypeId::of::<S>, name: type_name::<S>, withdraw }))
    }

    pub(super) fn are_on<S: Deciding>(self) -> bool {
        self.0.is_some_and(|of| (of.id)() == TypeId::of::<S>())
    }

    /// The name of the store that would have to be there, if this one is another.
    pub(super) fn missing(self, store: &dyn DynStore) -> Option<&'static str> {
        let of = self.0?;
        ((of.id)() != store.as_any().type_id()).then(of.name)
    }

    /// Whatever was left to the store under this number is not needed any more.
    pub(super) fn withdraw(self, store: &dyn DynStore, id: DecisionId) {
        if let Some(of) = self.0 {
            (of.withdraw)(store, id);
        }
    }
}

impl fmt::Debug for Transacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transacts").field(&self.0.map(|of| (of.name)())).finish()
    }
}

#[cfg(feature = "test")]
#[expect(clippy::panic, reason = "a test that can't pass fails here")]
fn without_store() -> TypeId {
    panic!(
        "this handler ends in a transaction of its store, and a `steadfast::test::Cx` has none: \
         test it with a `steadfast::test::Net`, whose server has the store (for `LocalStore`, a \
         file in a temporary directory)"
    )
}

/// What decides the outcome of a command, on its way to the store.
pub(super) struct Left(HandOver);

type HandOver = Box<dyn FnOnce(&dyn DynStore, DecisionId) + Send>;

impl Left {
    pub(super) fn to<S: Deciding>(decide: Decision<S>) -> Self {
        Self(Box::new(|store, id| match store.as_any().downcast_ref::<S>() {
            Some(store) => store.hand_over(id, decide),
            // The command fails: the store was given nothing.
            None => debug_assert!(false, "a server is built with the store of its handler"),
        }))
    }

    pub(super) fn hand_over(self, store: &dyn DynStore, id: DecisionId) {
        (self.0)(store, id);
    }
}

impl fmt::Debug for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Left").finish_non_exhaustive()
    }
}
