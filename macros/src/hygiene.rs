//! `quote!` for generated code, with names that can't meet a user's. It knows nothing of what is
//! generated.
//!
//! A derive may stand in a `macro_rules!` macro, and then a field's name may come from the macro's
//! caller. With `quote!` alone, `self` and local variables belong to where the derive stands: a
//! piece that points at such a field would not find them, and a field of the same name would hide
//! them.

/// `quote!`, with `self` and local variables of the derive's own. Items, methods and fields are
/// found where the derive stands, as with `quote!`. A piece that points into the user's code is
/// made with `quote_spanned!`, and has no local variable but by interpolation.
///
/// A local variable begins with `__`. It is a pattern, and a constant, static or unit struct of its
/// name would be meant instead: some frameworks make a unit struct of each `fn handler`.
macro_rules! code {
    ($($tokens:tt)*) => {
        ::quote::quote_spanned!(::proc_macro2::Span::mixed_site()=> $($tokens)*)
    };
}

pub(crate) use code;

use proc_macro2::{Ident, Span};

/// A name of the user's, where it stands, as a name that the derive wrote. What is generated under
/// such a name may lie unused or name something deprecated: lints leave it alone, and no `#[allow]`
/// is needed, which a user's `#![forbid]` would refuse. Not for local variables and parameters.
pub(crate) fn derived(ident: &Ident) -> Ident {
    let mut derived = ident.clone();
    derived.set_span(Span::mixed_site().located_at(ident.span()));
    derived
}
