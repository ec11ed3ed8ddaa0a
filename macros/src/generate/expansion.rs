//! What one enum becomes, by the feature of the runtime that it needs. It is put together by
//! `generate`.

use proc_macro2::TokenStream;

/// The items of one enum.
#[derive(Default)]
pub(crate) struct Expansion {
    pub(crate) common: TokenStream,
    pub(crate) client: TokenStream,
    pub(crate) server: TokenStream,
}
