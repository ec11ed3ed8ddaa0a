//! Which mistake is planted in this process, since a store works on threads of its own. The switch
//! is here; the mistakes are in `patches`, of which the build script makes the list here.

use std::sync::OnceLock;

/// The variable that names the one that is planted.
pub const PLANTED: &str = "STEADFAST_MUTANT";

macro_rules! mutants {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// A mistake in the store; each says what goes wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[$doc])+ $name,)+
        }

        impl Mutant {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/sqlite/mutants.rs"));

/// Whether this mistake is planted: what a patch puts into the store asks it.
pub(crate) fn planted(mutant: Mutant) -> bool {
    static NAMED: OnceLock<Option<Mutant>> = OnceLock::new();
    let named = || {
        let name = std::env::var(PLANTED).ok()?;
        Mutant::ALL.iter().copied().find(|mutant| format!("{mutant:?}") == name)
    };
    *NAMED.get_or_init(named) == Some(mutant)
}
