//! Which mistake is planted in this thread. The switch is here; the mistakes are in
//! `tests/mutants/patches`, of which the build script makes the list here.

use std::cell::Cell;
use std::marker::PhantomData;

macro_rules! mutants {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// A mistake in the core; each says what goes wrong, who is known for it, and the clause of
        /// PROTOCOL.md it breaks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutant {
            $($(#[$doc])+ $name,)+
        }

        impl Mutant {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/core/mutants.rs"));

thread_local! {
    static PLANTED: Cell<Option<Mutant>> = const { Cell::new(None) };
    static REACHED: Cell<u64> = const { Cell::new(0) };
}

/// Keeps a mutant planted in this thread for as long as it lives; it stays in this thread, too.
#[derive(Debug)]
#[must_use = "the mutant is taken out when this is dropped"]
pub struct Planted(PhantomData<*const ()>);

impl Mutant {
    /// Plants this one, and no other, in this thread.
    pub fn plant(self) -> Planted {
        PLANTED.set(Some(self));
        REACHED.set(0);
        Planted(PhantomData)
    }
}

impl Planted {
    /// How often the place was reached at which the mistake stands.
    #[must_use]
    pub fn reached(&self) -> u64 {
        REACHED.get()
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        PLANTED.set(None);
    }
}

/// Whether this mistake is planted: what a patch puts into the core asks it.
pub(crate) fn planted(mutant: Mutant) -> bool {
    let planted = PLANTED.get() == Some(mutant);
    if planted {
        REACHED.set(REACHED.get() + 1);
    }
    planted
}
