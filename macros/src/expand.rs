//! The derive's steps in order: read, check, generate. It makes no tokens of its own.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::attr::EnumAttrs;
use crate::ctxt::Ctxt;
use crate::{fallback, generate, model};

/// The derive.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let ctxt = Ctxt::new();
    let attrs = EnumAttrs::read(&input.attrs, &ctxt);
    let items = match model::check(input, &attrs, &ctxt) {
        Some(model) => {
            let items = generate::generate(&model);
            #[cfg(feature = "expanded")]
            let items = crate::expanded::beside(&model, items);
            items
        }
        None => fallback::stub(input, &attrs),
    };
    let mistakes = ctxt.finish();
    quote!(#mistakes #items)
}
