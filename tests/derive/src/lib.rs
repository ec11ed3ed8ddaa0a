//! Tests of the derive: what its expansion does, and what the compiler says to mistakes. Nothing
//! here is published.
//!
//! The library is a guest who forbids what can be forbidden: it is a test that it compiles. It
//! calls nothing.
#![forbid(
    absolute_paths_not_starting_with_crate,
    ambiguous_negative_literals,
    closure_returning_async_block,
    dead_code,
    deprecated_in_future,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    ffi_unwind_calls,
    future_incompatible,
    impl_trait_redundant_captures,
    keyword_idents_2018,
    keyword_idents_2024,
    let_underscore,
    macro_use_extern_crate,
    meta_variable_misuse,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    missing_unsafe_on_extern,
    non_ascii_idents,
    redundant_imports,
    redundant_lifetimes,
    refining_impl_trait,
    rust_2021_compatibility,
    rust_2024_compatibility,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unsafe_code,
    unstable_features,
    unused_import_braces,
    unused_lifetimes,
    unused_macro_rules,
    unused_results,
    variant_size_differences,
    clippy::nursery,
    clippy::pedantic
)]
// serde's derives allow some of these on what they make, which a `forbid` refuses.
#![deny(
    deprecated,
    nonstandard_style,
    rust_2018_idioms,
    unused,
    unused_qualifications,
    warnings,
    clippy::all
)]

mod private;
pub mod public;
